//! Comparisons of SemVer versions in the language of `aquasecurity/go-version` (package `semver`): comparisons joined by commas or
//! spaces, alternatives by `||`, `x` and `*` as wildcards.
//!
//! Of that package's options, pre-releases take part and missing numbers are zero: an advisory that says `<=11` has 11.0.0 in
//! mind, and a pre-release of an affected version is affected. A version that has a pre-release and not all its numbers says
//! nothing and admits nothing.

use super::generic::comparisons;
use super::{ConstraintError, Op};
use crate::semver::{Strict, identifiers, prerelease};
use std::cmp::Ordering;

#[derive(Clone, Copy, Debug)]
enum SemverOp {
    Plain(Op),
    Tilde,
    Caret,
}

const OPERATORS: &[(&str, SemverOp)] = &[
    ("=", SemverOp::Plain(Op::Equal)),
    ("==", SemverOp::Plain(Op::Equal)),
    ("!=", SemverOp::Plain(Op::Different)),
    (">", SemverOp::Plain(Op::Greater)),
    ("<", SemverOp::Plain(Op::Less)),
    (">=", SemverOp::Plain(Op::AtLeast)),
    ("=>", SemverOp::Plain(Op::AtLeast)),
    ("<=", SemverOp::Plain(Op::AtMost)),
    ("=<", SemverOp::Plain(Op::AtMost)),
    ("~", SemverOp::Tilde),
    ("~>", SemverOp::Tilde),
    ("^", SemverOp::Caret),
];

#[derive(Clone, Debug)]
pub(super) struct Constraints(Vec<Vec<(SemverOp, Pattern)>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Any,
    Missing,
    Number(u64),
}

impl Part {
    const fn value(self) -> u64 {
        if let Self::Number(number) = self { number } else { 0 }
    }
}

#[derive(Clone, Debug)]
struct Pattern {
    parts: [Part; 3],
    pre: String,
}

impl Constraints {
    pub(super) fn parse(text: &str) -> Result<Self, ConstraintError> {
        let error = || ConstraintError::new(text, "a comparison has no version");
        let mut alternatives = Vec::new();
        for alternative in text.split("||") {
            let mut terms = Vec::new();
            for (op, version) in comparisons(alternative, OPERATORS) {
                terms.push((op.unwrap_or(SemverOp::Plain(Op::Equal)), Pattern::parse(version).ok_or_else(error)?));
            }
            alternatives.push(terms);
        }
        Ok(Self(alternatives))
    }

    pub(super) fn contains(&self, version: &str) -> bool {
        let Some(strict) = Strict::of(version) else { return false };
        let [Ok(major), Ok(minor), Ok(patch)] = strict.numbers.map(str::parse::<u64>) else { return false };
        let version = ([major, minor, patch], strict.pre);
        self.0.iter().any(|terms| terms.iter().all(|(op, pattern)| pattern.admits(*op, version)))
    }
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
        let (core, pre) = text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)));
        let mut parts = [Part::Missing; 3];
        let mut given = core.split('.');
        for part in &mut parts {
            *part = match given.next() {
                None => Part::Missing,
                Some("x" | "X" | "*") => Part::Any,
                Some(number) if number.bytes().all(|c| c.is_ascii_digit()) => Part::Number(number.parse().ok()?),
                Some(_) => return None,
            };
        }
        let sound = given.next().is_none() && pre.is_none_or(identifiers) && build.is_none_or(identifiers);
        sound.then(|| Self { parts, pre: pre.unwrap_or_default().to_owned() })
    }

    fn admits(&self, op: SemverOp, version: ([u64; 3], &str)) -> bool {
        let is_partial = self.parts.iter().any(|part| !matches!(part, Part::Number(_)));
        if is_partial && !self.pre.is_empty() {
            return false;
        }
        let order = self.compare(version);
        match op {
            // A wildcard is as small as it can be where a version must lie below it.
            SemverOp::Plain(Op::Less) => compare(version, (self.parts.map(Part::value), &self.pre)).is_lt(),
            SemverOp::Plain(op) => op.holds(order),
            SemverOp::Tilde => order.is_ge() && self.tilde().is_none_or(|bound| compare(version, (bound, "")).is_lt()),
            SemverOp::Caret => order.is_ge() && self.caret().is_none_or(|bound| compare(version, (bound, "")).is_lt()),
        }
    }

    /// How the version stands to the pattern: a wildcard ends the comparison.
    fn compare(&self, (numbers, pre): ([u64; 3], &str)) -> Ordering {
        for (number, part) in numbers.iter().zip(&self.parts) {
            let order = match part {
                Part::Any => return Ordering::Equal,
                part => number.cmp(&part.value()),
            };
            if order.is_ne() {
                return order;
            }
        }
        pre_order(pre, &self.pre)
    }

    /// The first version above `~`; none is no bound.
    const fn tilde(&self) -> Option<[u64; 3]> {
        match self.parts {
            [Part::Number(major), Part::Number(minor), _] => Some([major, minor.saturating_add(1), 0]),
            [Part::Number(major), ..] => Some([major.saturating_add(1), 0, 0]),
            _ => None,
        }
    }

    /// The first version above `^`; none is no bound.
    const fn caret(&self) -> Option<[u64; 3]> {
        match self.parts {
            [Part::Number(0), Part::Number(0), Part::Number(patch)] => Some([0, 0, patch.saturating_add(1)]),
            [Part::Number(0), Part::Number(minor), _] => Some([0, minor.saturating_add(1), 0]),
            [Part::Number(major), ..] => Some([major.saturating_add(1), 0, 0]),
            _ => None,
        }
    }
}

fn compare(a: ([u64; 3], &str), b: ([u64; 3], &str)) -> Ordering {
    a.0.cmp(&b.0).then_with(|| pre_order(a.1, b.1))
}

/// A release is above its pre-releases.
pub(super) fn pre_order(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (false, false) => prerelease(a, b),
        (a_is_release, b_is_release) => a_is_release.cmp(&b_is_release),
    }
}
