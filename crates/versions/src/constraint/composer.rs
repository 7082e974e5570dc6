//! Composer constraints (Composer documentation, "Versions and constraints"; `composer/semver`): comparisons joined by blanks or
//! commas, alternatives by `|` or `||`, hyphens, wildcards, `~` and `^`.
//!
//! Versions are compared in Composer's normal form, four numbers and a stability, so that `1.0` is `1.0.0`. Branches (`dev-main`)
//! are equal to themselves and to nothing else.

use super::{ConstraintError, Op, next_number, operator};
use crate::packagist;

#[derive(Clone, Copy)]
enum ComposerOp {
    Plain(Op),
    Tilde,
    Caret,
}

const OPERATORS: &[(&str, ComposerOp)] = &[
    ("=", ComposerOp::Plain(Op::Equal)),
    ("==", ComposerOp::Plain(Op::Equal)),
    ("!=", ComposerOp::Plain(Op::Different)),
    ("<>", ComposerOp::Plain(Op::Different)),
    (">", ComposerOp::Plain(Op::Greater)),
    ("<", ComposerOp::Plain(Op::Less)),
    (">=", ComposerOp::Plain(Op::AtLeast)),
    ("<=", ComposerOp::Plain(Op::AtMost)),
    ("~", ComposerOp::Tilde),
    ("^", ComposerOp::Caret),
];

#[derive(Clone, Debug)]
pub(super) struct Constraints(Vec<Vec<(Op, String)>>);

impl Constraints {
    pub(super) fn parse(text: &str) -> Result<Self, ConstraintError> {
        let error = || ConstraintError::new(text, "a comparison has no version");
        let mut alternatives = Vec::new();
        for alternative in text.replace("||", "|").split('|') {
            let mut terms = Vec::new();
            let alternative = alternative.trim();
            if let Some((from, to)) = alternative.split_once(" - ") {
                hyphen(from.trim(), to.trim(), &mut terms).ok_or_else(error)?;
            } else {
                let mut words = alternative.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
                while let Some(word) = words.next() {
                    let mut joined = word.to_owned();
                    if joined.ends_with(['<', '>', '=', '~', '^']) {
                        joined.push_str(words.next().unwrap_or_default());
                    }
                    comparison(&joined, &mut terms).ok_or_else(error)?;
                }
                if alternative.is_empty() {
                    return Err(error());
                }
            }
            alternatives.push(terms);
        }
        Ok(Self(alternatives))
    }

    pub(super) fn contains(&self, version: &str) -> bool {
        let Some(version) = normalise(version) else { return false };
        self.0.iter().any(|terms| terms.iter().all(|(op, bound)| admits(*op, &version, bound)))
    }
}

fn admits(op: Op, version: &str, bound: &str) -> bool {
    if is_branch(version) || is_branch(bound) {
        return match op {
            Op::Equal => version == bound,
            Op::Different => version != bound,
            _ => false,
        };
    }
    op.holds(packagist::compare(version, bound))
}

fn is_branch(version: &str) -> bool {
    version.starts_with("dev-")
}

fn comparison(word: &str, terms: &mut Vec<(Op, String)>) -> Option<()> {
    // `@dev` says which stability may be installed, not which version is meant.
    let word = word.split_once('@').map_or(word, |(word, _)| word);
    if word.is_empty() || word == "*" || word == "x" || word == "X" {
        return Some(());
    }
    let (op, text) = operator(word, OPERATORS).map_or((None, word), |(op, rest)| (Some(op), rest));
    let numbers = numbers(text);
    let bounds = |position: usize| -> Option<(String, String)> {
        let stable = text.strip_prefix(['v', 'V']).unwrap_or(text).bytes().all(|c| c.is_ascii_digit() || c == b'.');
        let low = normalise(text)?;
        Some((if stable { low + "-dev" } else { low }, bumped(&numbers, position)? + "-dev"))
    };
    match op {
        Some(ComposerOp::Caret) => {
            let given = numbers.len();
            let first = numbers.iter().position(|n| n.bytes().any(|c| c != b'0')).unwrap_or(given.checked_sub(1)?);
            let (low, high) = bounds(first)?;
            terms.extend([(Op::AtLeast, low), (Op::Less, high)]);
        }
        Some(ComposerOp::Tilde) => {
            // `~1.2.3.4` keeps three numbers, `~1.2` and `~1` one.
            let (low, high) = bounds(numbers.len().checked_sub(1)?.saturating_sub(1))?;
            terms.extend([(Op::AtLeast, low), (Op::Less, high)]);
        }
        _ if text.ends_with(".*") || text.ends_with(".x") || text.ends_with(".X") => {
            let position = numbers.len().checked_sub(1)?;
            let low = padded(&numbers) + "-dev";
            let high = bumped(&numbers, position)? + "-dev";
            match op {
                None | Some(ComposerOp::Plain(Op::Equal)) => terms.extend([(Op::AtLeast, low), (Op::Less, high)]),
                _ => return None,
            }
        }
        op => {
            let op = if let Some(ComposerOp::Plain(op)) = op { op } else { Op::Equal };
            let stable = text.strip_prefix(['v', 'V']).unwrap_or(text).bytes().all(|c| c.is_ascii_digit() || c == b'.');
            let version = normalise(text)?;
            // `<2.0` means no pre-release of 2.0 either, and `>=1.0` all of 1.0's.
            let floor = stable && matches!(op, Op::Less | Op::AtLeast);
            terms.push((op, if floor { version + "-dev" } else { version }));
        }
    }
    Some(())
}

fn hyphen(from: &str, to: &str, terms: &mut Vec<(Op, String)>) -> Option<()> {
    let low = normalise(from)?;
    let stable = from.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    terms.push((Op::AtLeast, if stable { low + "-dev" } else { low }));
    let given = numbers(to);
    let partial = given.len() < 3 && to.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    terms.push(if partial { (Op::Less, bumped(&given, given.len().checked_sub(1)?)? + "-dev") } else { (Op::AtMost, normalise(to)?) });
    Some(())
}

/// The numbers in front, without a leading `v`.
fn numbers(text: &str) -> Vec<&str> {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    text.split('.')
        .map(|part| part.split_at(part.bytes().take_while(u8::is_ascii_digit).count()))
        .scan(true, |whole, (number, rest)| {
            let go_on = *whole && !number.is_empty();
            *whole = rest.is_empty();
            go_on.then_some(number)
        })
        .take(4)
        .collect()
}

/// Four numbers.
fn padded(numbers: &[&str]) -> String {
    let mut four: Vec<&str> = numbers.to_vec();
    four.resize(4, "0");
    four.join(".")
}

/// The number at a position raised, all behind it zero.
fn bumped(numbers: &[&str], position: usize) -> Option<String> {
    let raised = next_number(numbers.get(position)?);
    let mut kept: Vec<&str> = numbers.get(..position)?.to_vec();
    kept.push(&raised);
    Some(padded(&kept))
}

/// Composer's normal form: four numbers and, behind a hyphen, the stability. None for what Composer refuses.
pub(crate) fn normalise(version: &str) -> Option<String> {
    let version = version.trim();
    if version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("dev-")) {
        return version.get(4..).filter(|name| !name.is_empty()).map(|name| format!("dev-{name}"));
    }
    let version = version.split(['+', '@']).next()?;
    let text = version.strip_prefix(['v', 'V']).unwrap_or(version);
    let numbers = numbers(text);
    let used: usize = numbers.iter().map(|n| n.len() + 1).sum::<usize>().checked_sub(1)?;
    let mut rest = text.get(used..)?;
    let mut normal = padded(&numbers);
    rest = rest.strip_prefix(['.', '-', '_']).unwrap_or(rest);
    if rest.is_empty() {
        // A separator at the end belongs to nothing.
        return (text.len() == used).then_some(normal);
    }
    const STABILITIES: &[(&str, &str)] = &[
        ("stable", ""),
        ("alpha", "alpha"),
        ("beta", "beta"),
        ("patch", "patch"),
        ("rc", "RC"),
        ("pl", "patch"),
        ("a", "alpha"),
        ("b", "beta"),
        ("p", "patch"),
    ];
    let lower = rest.to_ascii_lowercase();
    let mut suffix = lower.as_str();
    if let Some((name, stability)) = STABILITIES.iter().find(|(name, _)| lower.starts_with(name)) {
        suffix = suffix.get(name.len()..)?;
        let number = suffix.trim_start_matches(['.', '-']);
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
        let (number, after) = number.split_at(end);
        if !stability.is_empty() {
            normal.push('-');
            normal.push_str(stability);
            normal.push_str(number.trim_end_matches('.'));
        }
        suffix = after;
    }
    match suffix.trim_start_matches(['.', '-']) {
        "" => Some(normal),
        "dev" => Some(normal + "-dev"),
        _ => None,
    }
}
