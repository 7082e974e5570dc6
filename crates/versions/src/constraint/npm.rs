//! npm ranges (node-semver, "Ranges"): sets of comparators joined by blanks, alternatives by `||`; hyphens, wildcards, `~` and `^`
//! are written out as comparators.
//!
//! A pre-release is admitted by a set only if one of its comparators names a pre-release of the same three numbers.

use super::semver::pre_order;
use super::{ConstraintError, Op, Side, operator};
use crate::semver::identifiers;
use std::cmp::Ordering;
use std::fmt;

/// `Number.MAX_SAFE_INTEGER`: npm takes no greater number.
const MAX_SAFE: u64 = 9_007_199_254_740_991;

/// A version by npm's grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    numbers: [u64; 3],
    /// Dotted; empty when there is none.
    pre: String,
}

impl Version {
    const fn new(numbers: [u64; 3]) -> Self {
        Self { numbers, pre: String::new() }
    }

    fn with_pre(numbers: [u64; 3], pre: &str) -> Self {
        Self { numbers, pre: pre.to_owned() }
    }

    /// `loose` takes leading zeros, leading `v`, `=` and blanks in any number, and a pre-release without its hyphen.
    pub(crate) fn parse(text: &str, loose: bool) -> Option<Self> {
        if text.len() > 256 {
            return None;
        }
        let text = text.trim();
        let text = if loose { trim_prefix(text) } else { text.strip_prefix('v').unwrap_or(text) };
        let (partial, rest) = Partial::take(text, loose)?;
        match (rest.is_empty(), partial.parts) {
            (true, [Some(major), Some(minor), Some(patch)]) => {
                Some(Self { numbers: [major, minor, patch], pre: partial.pre }).filter(Self::is_safe)
            }
            _ => None,
        }
    }

    /// Whether npm takes its numbers; one more than the greatest is too much.
    fn is_safe(&self) -> bool {
        self.numbers.iter().all(|number| *number <= MAX_SAFE)
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| pre_order(&self.pre, &other.pre))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        if self.pre.is_empty() { Ok(()) } else { write!(f, "-{}", self.pre) }
    }
}

/// `[v=\s]*`
fn trim_prefix(text: &str) -> &str {
    text.trim_start_matches(|c: char| c == 'v' || c == '=' || c.is_whitespace())
}

/// A version of which parts may be missing or wild.
#[derive(Clone, Debug)]
struct Partial {
    /// None is a wildcard.
    parts: [Option<u64>; 3],
    pre: String,
}

impl Partial {
    /// A whole text, behind `[v=\s]*`.
    fn parse(text: &str, loose: bool) -> Option<Self> {
        let (partial, rest) = Self::take(trim_prefix(text), loose)?;
        rest.is_empty().then_some(partial)
    }

    /// `[v=\s]*` is gone. Takes what fits the grammar and leaves the rest.
    fn take(text: &str, loose: bool) -> Option<(Self, &str)> {
        let mut parts = [None; 3];
        let mut rest = text;
        let mut given = 0;
        for part in &mut parts {
            if given > 0 {
                match rest.strip_prefix('.') {
                    Some(after) => rest = after,
                    None => break,
                }
            }
            (*part, rest) = identifier(rest, loose)?;
            given += 1;
        }
        let mut pre = String::new();
        if given == 3 {
            let (suffix, build) = rest.split_once('+').map_or((rest, None), |(suffix, build)| (suffix, Some(build)));
            if build.is_some_and(|build| !identifiers(build)) {
                return None;
            }
            rest = "";
            if !suffix.is_empty() {
                // A hyphen is a letter of pre-releases too: loose, `1.2.3-` is 1.2.3 with the pre-release `-`.
                let hyphened = suffix.strip_prefix('-').and_then(|text| prerelease(text, loose));
                pre = hyphened.or_else(|| loose.then(|| prerelease(suffix, true)).flatten())?;
            }
        }
        Some((Self { parts, pre }, rest))
    }

    /// Sets what is missing to zero.
    fn floor(&self) -> [u64; 3] {
        self.parts.map(Option::unwrap_or_default)
    }
}

/// A number, or a wildcard.
fn identifier(text: &str, loose: bool) -> Option<(Option<u64>, &str)> {
    if let Some(rest) = text.strip_prefix(['x', 'X', '*']) {
        return Some((None, rest));
    }
    let (digits, rest) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let plain = loose || digits.len() == 1 || !digits.starts_with('0');
    // Too great a number is still a number: it spoils the range, where loose would drop what is no comparator.
    let number = digits.parse().unwrap_or(u64::MAX).min(MAX_SAFE + 1);
    (plain && !digits.is_empty()).then_some((Some(number), rest))
}

/// A pre-release in npm's own spelling: numbers lose their leading zeros, which only `loose` takes.
fn prerelease(text: &str, loose: bool) -> Option<String> {
    if !identifiers(text) {
        return None;
    }
    let mut spelled = Vec::new();
    for part in text.split('.') {
        let is_padded = part.len() > 1 && part.starts_with('0') && part.bytes().all(|c| c.is_ascii_digit());
        if is_padded && !loose {
            return None;
        }
        let trimmed = if is_padded { part.trim_start_matches('0') } else { part };
        spelled.push(if trimmed.is_empty() { "0" } else { trimmed });
    }
    Some(spelled.join("."))
}

/// One comparator; none is any version at all.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Comparator(Option<(Op, Version)>);

impl Comparator {
    const ANY: Self = Self(None);

    const fn new(op: Op, version: Version) -> Self {
        Self(Some((op, version)))
    }

    /// `<0.0.0-0`: no version at all.
    fn none() -> Self {
        Self::new(Op::Less, Version::with_pre([0; 3], "0"))
    }

    fn admits(&self, version: &Version) -> bool {
        self.0.as_ref().is_none_or(|(op, bound)| op.holds(version.compare(bound)))
    }
}

impl fmt::Display for Comparator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((op, version)) = &self.0 else { return Ok(()) };
        let op = match op {
            Op::Less => "<",
            Op::AtMost => "<=",
            Op::Greater => ">",
            Op::AtLeast => ">=",
            Op::Equal | Op::Different => "",
        };
        write!(f, "{op}{version}")
    }
}

/// How the comparators of a range are read and applied.
#[derive(Clone, Copy, Debug)]
struct Options {
    include_prerelease: bool,
    loose: bool,
}

/// What stands in front of a version.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    Compare(Op),
    Tilde,
    Caret,
}

const OPERATORS: &[(&str, Prefix)] = &[
    ("=", Prefix::Compare(Op::Equal)),
    (">", Prefix::Compare(Op::Greater)),
    ("<", Prefix::Compare(Op::Less)),
    (">=", Prefix::Compare(Op::AtLeast)),
    ("<=", Prefix::Compare(Op::AtMost)),
    ("~>", Prefix::Tilde),
    ("~", Prefix::Tilde),
    ("^", Prefix::Caret),
];

/// A range: any of the sets, all comparators of one.
#[derive(Clone, Debug)]
pub(super) struct Range {
    sets: Vec<Vec<Comparator>>,
    options: Options,
}

impl Range {
    pub(super) fn parse(text: &str, include_prerelease: bool, loose: bool) -> Result<Self, ConstraintError> {
        let options = Options { include_prerelease, loose };
        let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut sets = Vec::new();
        for alternative in plain.split("||") {
            let set = set(alternative.trim(), options).ok_or_else(|| ConstraintError::new(text, "a comparator has no version"))?;
            if set.iter().filter_map(|comparator| comparator.0.as_ref()).any(|(_, version)| !version.is_safe()) {
                return Err(ConstraintError::new(text, "a number is too great"));
            }
            if !set.is_empty() {
                sets.push(set);
            }
        }
        if sets.is_empty() {
            return Err(ConstraintError::new(text, "no comparator is left"));
        }
        Ok(Self::of(sets, options))
    }

    /// From sets of comparators that another language wrote out.
    pub(super) fn from_partials<'a>(terms: impl Iterator<Item = (Prefix, &'a str)>) -> Option<Self> {
        let options = Options { include_prerelease: false, loose: false };
        let mut set = Vec::new();
        for (prefix, text) in terms {
            write_out(prefix, &Partial::parse(text, false)?, options, &mut set);
        }
        if set.iter().filter_map(|comparator| comparator.0.as_ref()).any(|(_, version)| !version.is_safe()) {
            return None;
        }
        Some(Self::of(vec![tidy(set)], options))
    }

    fn of(mut sets: Vec<Vec<Comparator>>, options: Options) -> Self {
        if sets.len() > 1 {
            let none = Comparator::none();
            let first = sets.first().cloned();
            sets.retain(|set| set.first() != Some(&none));
            if sets.is_empty() {
                sets.extend(first);
            } else if sets.iter().any(|set| set.as_slice() == [Comparator::ANY]) {
                sets = vec![vec![Comparator::ANY]];
            }
        }
        Self { sets, options }
    }

    pub(super) fn contains(&self, version: &str) -> bool {
        Version::parse(version, self.options.loose).is_some_and(|version| self.admits(&version))
    }

    fn admits(&self, version: &Version) -> bool {
        self.sets.iter().any(|set| {
            set.iter().all(|comparator| comparator.admits(version))
                && (version.pre.is_empty()
                    || self.options.include_prerelease
                    || set.iter().filter_map(|c| c.0.as_ref()).any(|(_, bound)| !bound.pre.is_empty() && bound.numbers == version.numbers))
        })
    }

    pub(super) fn is_outside(&self, version: &str, side: Side) -> Option<bool> {
        let version = Version::parse(version, self.options.loose)?;
        if self.admits(&version) {
            return Some(false);
        }
        // Seen from below, everything is the other way round.
        let turn = |order: Ordering| if side == Side::Above { order } else { order.reverse() };
        let (open, closed) = if side == Side::Above { (Op::Greater, Op::AtLeast) } else { (Op::Less, Op::AtMost) };
        let zero = (Op::AtLeast, Version::new([0; 3]));
        Some(self.sets.iter().all(|set| {
            let mut comparators = set.iter().map(|comparator| comparator.0.as_ref().unwrap_or(&zero));
            let Some(first) = comparators.next() else { return true };
            let (mut high, mut low) = (first, first);
            for comparator in comparators {
                if turn(comparator.1.compare(&high.1)).is_gt() {
                    high = comparator;
                } else if turn(comparator.1.compare(&low.1)).is_lt() {
                    low = comparator;
                }
            }
            let is_unbounded = high.0 == open || high.0 == closed;
            let order = turn(version.compare(&low.1));
            let is_before = (low.0 == Op::Equal || low.0 == open) && order.is_le() || low.0 == closed && order.is_lt();
            !is_unbounded && !is_before
        }))
    }
}

/// `*` is written as nothing, as node-semver does.
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, set) in self.sets.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "||" })?;
            for (k, comparator) in set.iter().enumerate() {
                f.write_str(if k == 0 { "" } else { " " })?;
                comparator.fmt(f)?;
            }
        }
        Ok(())
    }
}

/// The comparators of one alternative. None when one of them is none and `loose` does not drop it.
fn set(text: &str, options: Options) -> Option<Vec<Comparator>> {
    let text = strip_builds(text);
    let mut set = Vec::new();
    if let Some((from, to)) = hyphen(&text, options.loose) {
        hyphen_bounds(&from, &to, options, &mut set);
        return Some(tidy(set));
    }
    let mut words = text.split(' ').peekable();
    while let Some(word) = words.next() {
        // An operator may stand apart from its version; `> =1` is `>=1`, but `> <1` is nothing.
        let mut joined = word.to_owned();
        while !joined.is_empty() && joined.bytes().all(|c| b"<>=~^".contains(&c)) {
            let is_comparison = !joined.ends_with(['~', '^']);
            match words.next_if(|next| !is_comparison || !next.starts_with(['<', '>', '~', '^'])) {
                Some(next) => joined.push_str(next),
                None => break,
            }
        }
        if !comparator(&joined, options, &mut set) && !options.loose {
            return None;
        }
    }
    if set.is_empty() { Some(set) } else { Some(tidy(set)) }
}

fn comparator(word: &str, options: Options, set: &mut Vec<Comparator>) -> bool {
    if word.is_empty() {
        set.push(Comparator::ANY);
        return true;
    }
    let (prefix, rest) = operator(word, OPERATORS).unwrap_or((Prefix::Compare(Op::Equal), word));
    if let Some(partial) = Partial::parse(rest, options.loose) {
        // A wildcard in front of a number says nothing.
        let is_ordered = !matches!(partial.parts, [None, Some(_), _] | [_, None, Some(_)]);
        if is_ordered || prefix == Prefix::Caret || prefix == Prefix::Tilde {
            write_out(prefix, &partial, options, set);
            return true;
        }
    }
    starred(word, options.loose).is_some_and(|comparator| {
        set.push(comparator);
        true
    })
}

/// node-semver takes a star, with the operator in front of it, out of any comparator: `1.2.3*` is `1.2.3`.
fn starred(word: &str, loose: bool) -> Option<Comparator> {
    let (before, after) = word.split_once('*')?;
    let before = before.strip_suffix('=').unwrap_or(before);
    let rest = before.strip_suffix(['<', '>']).unwrap_or(before).to_owned() + after;
    let (prefix, version) = operator(&rest, OPERATORS).unwrap_or((Prefix::Compare(Op::Equal), &rest));
    match prefix {
        Prefix::Compare(op) => Some(Comparator::new(op, Version::parse(version, loose)?)),
        Prefix::Tilde | Prefix::Caret => None,
    }
}

/// Pairs of comparators for what is written short.
fn write_out(prefix: Prefix, partial: &Partial, options: Options, set: &mut Vec<Comparator>) {
    // The lowest pre-release is the true floor only where pre-releases count.
    let floor = |numbers| Version::with_pre(numbers, if options.include_prerelease { "0" } else { "" });
    let below = |numbers| Comparator::new(Op::Less, Version::with_pre(numbers, "0"));
    let from = |version| Comparator::new(Op::AtLeast, version);
    let given = |numbers| Version::with_pre(numbers, &partial.pre);
    match (prefix, partial.parts) {
        (Prefix::Compare(Op::Greater | Op::Less), [None, ..]) => set.push(Comparator::none()),
        (_, [None, ..]) => set.push(Comparator::ANY),
        (Prefix::Caret, [Some(major), Some(minor), Some(patch)]) => {
            set.push(from(given([major, minor, patch])));
            set.push(below(match (major, minor) {
                (0, 0) => [0, 0, patch + 1],
                (0, minor) => [0, minor + 1, 0],
                (major, _) => [major + 1, 0, 0],
            }));
        }
        (Prefix::Tilde, [Some(major), Some(minor), Some(patch)]) => {
            set.push(from(given([major, minor, patch])));
            set.push(below([major, minor + 1, 0]));
        }
        (Prefix::Compare(op), [Some(major), Some(minor), Some(patch)]) => set.push(Comparator::new(op, given([major, minor, patch]))),
        (Prefix::Caret, [Some(major @ 1..), Some(minor), None]) => {
            set.push(from(floor([major, minor, 0])));
            set.push(below([major + 1, 0, 0]));
        }
        (_, [Some(major), minor, _]) => {
            let next = minor.map_or([major + 1, 0, 0], |minor| [major, minor + 1, 0]);
            let numbers = [major, minor.unwrap_or_default(), 0];
            match prefix {
                Prefix::Compare(Op::Greater) => set.push(from(floor(next))),
                Prefix::Compare(Op::AtMost) => set.push(below(next)),
                Prefix::Compare(Op::Less) => set.push(below(numbers)),
                Prefix::Compare(Op::AtLeast) => set.push(from(floor(numbers))),
                _ => {
                    set.push(from(floor(numbers)));
                    set.push(below(next));
                }
            }
        }
    }
    // `>=0.0.0` is `*`.
    let zero = from(floor([0; 3]));
    for comparator in set {
        if *comparator == zero {
            *comparator = Comparator::ANY;
        }
    }
}

/// A set that holds "none" holds nothing else; "any" beside others says nothing; nothing is said twice.
fn tidy(set: Vec<Comparator>) -> Vec<Comparator> {
    let none = Comparator::none();
    if set.contains(&none) {
        return vec![none];
    }
    let mut kept: Vec<Comparator> = Vec::with_capacity(set.len());
    for comparator in set {
        if !kept.contains(&comparator) {
            kept.push(comparator);
        }
    }
    if kept.len() > 1 {
        kept.retain(|comparator| comparator.0.is_some());
    }
    kept
}

/// Both ends of `1.2 - 2.3`.
fn hyphen(text: &str, loose: bool) -> Option<(Partial, Partial)> {
    let (from, to) = text.split_once(" - ")?;
    Some((Partial::parse(from, loose)?, Partial::parse(to, loose)?))
}

fn hyphen_bounds(from: &Partial, to: &Partial, options: Options, set: &mut Vec<Comparator>) {
    let zero = |pre: &str| if pre.is_empty() && options.include_prerelease { "0".to_owned() } else { pre.to_owned() };
    let low = match from.parts {
        [None, ..] => Comparator::ANY,
        [Some(_), Some(_), Some(_)] => Comparator::new(Op::AtLeast, Version { numbers: from.floor(), pre: zero(&from.pre) }),
        [Some(major), None, _] => Comparator::new(Op::AtLeast, Version { numbers: [major, 0, 0], pre: zero("") }),
        [Some(_), Some(_), None] => Comparator::new(Op::AtLeast, Version { numbers: from.floor(), pre: zero("") }),
    };
    let below = |numbers| Comparator::new(Op::Less, Version::with_pre(numbers, "0"));
    let high = match to.parts {
        [None, ..] => Comparator::ANY,
        [Some(major), None, _] => below([major + 1, 0, 0]),
        [Some(major), Some(minor), None] => below([major, minor + 1, 0]),
        [Some(major), Some(minor), Some(patch)] if to.pre.is_empty() && options.include_prerelease => below([major, minor, patch + 1]),
        [Some(_), Some(_), Some(_)] => Comparator::new(Op::AtMost, Version::with_pre(to.floor(), &to.pre)),
    };
    let floor = Version { numbers: [0; 3], pre: zero("") };
    let low = if low == Comparator::new(Op::AtLeast, floor) { Comparator::ANY } else { low };
    set.extend([low, high]);
}

/// Build metadata takes no part, and must not be read as a version.
fn strip_builds(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('+') {
        kept.push_str(before);
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.').unwrap_or(after.len());
        let (build, after) = after.split_at(end);
        // A plus without anything behind it stays, and spoils the comparator.
        if build.is_empty() || !identifiers(build) {
            kept.push('+');
            kept.push_str(build);
        }
        rest = after;
    }
    kept.push_str(rest);
    kept
}
