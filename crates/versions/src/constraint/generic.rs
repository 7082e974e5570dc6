//! Comparisons of versions of no particular ecosystem, in the language of `aquasecurity/go-version` (package `version`):
//! comparisons joined by commas or spaces, alternatives by `||`; missing numbers are zero and pre-releases take part.

use super::{Compare, ConstraintError, Op, Term, next_number, operator};
use crate::Scheme;
use crate::generic::Parts;

#[derive(Clone, Copy)]
enum GenericOp {
    Plain(Op),
    Pessimistic,
    Tilde,
    Caret,
}

const OPERATORS: &[(&str, GenericOp)] = &[
    ("=", GenericOp::Plain(Op::Equal)),
    ("==", GenericOp::Plain(Op::Equal)),
    ("!=", GenericOp::Plain(Op::Different)),
    (">", GenericOp::Plain(Op::Greater)),
    ("<", GenericOp::Plain(Op::Less)),
    (">=", GenericOp::Plain(Op::AtLeast)),
    ("=>", GenericOp::Plain(Op::AtLeast)),
    ("<=", GenericOp::Plain(Op::AtMost)),
    ("=<", GenericOp::Plain(Op::AtMost)),
    ("~>", GenericOp::Pessimistic),
    ("~", GenericOp::Tilde),
    ("^", GenericOp::Caret),
];

pub(super) fn parse(text: &str) -> Result<Compare, ConstraintError> {
    let mut alternatives = Vec::new();
    for alternative in text.split("||") {
        let mut terms = Vec::new();
        for (op, version) in comparisons(alternative, OPERATORS) {
            let op = op.unwrap_or(GenericOp::Plain(Op::Equal));
            let parts = Parts::of(version);
            if parts.numbers.is_empty() || !crate::generic::is_valid(version) {
                return Err(ConstraintError::new(text, "a comparison has no version"));
            }
            match op {
                GenericOp::Plain(op) => terms.push(Term::new(op, version)),
                _ => {
                    terms.push(Term::new(Op::AtLeast, version));
                    terms.push(Term::new(Op::Less, bump(op, &parts)));
                }
            }
        }
        if terms.is_empty() {
            return Err(ConstraintError::new(text, "an alternative is empty"));
        }
        alternatives.push(terms);
    }
    Ok(Compare { scheme: Scheme::Generic, alternatives })
}

/// The first version that is no longer meant.
fn bump(op: GenericOp, parts: &Parts<'_>) -> String {
    let mut numbers: Vec<String> = parts.numbers.split('.').map(str::to_owned).collect();
    let length = numbers.len();
    let position = match op {
        GenericOp::Caret => numbers.iter().position(|n| n.bytes().any(|c| c != b'0')).unwrap_or(length.saturating_sub(1)),
        GenericOp::Tilde if length == 2 => 1,
        _ => length.saturating_sub(2),
    };
    if let Some(number) = numbers.get_mut(position) {
        *number = next_number(number);
    }
    numbers.truncate(position + 1);
    // With nothing cut off, `~1.2-a` and `~>1-a` keep their pre-release in the bound.
    let keeps_pre =
        !parts.pre.is_empty() && (matches!(op, GenericOp::Tilde) && length <= 2 || matches!(op, GenericOp::Pessimistic) && length == 1);
    let mut bound = numbers.join(".");
    if keeps_pre {
        bound.push('-');
        bound.push_str(parts.pre);
    }
    bound
}

/// The comparisons of one alternative: an operator, if any, and what stands before the next blank, comma or operator.
pub(super) fn comparisons<'a, T: Copy>(text: &'a str, operators: &'a [(&str, T)]) -> impl Iterator<Item = (Option<T>, &'a str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
        if rest.is_empty() {
            return None;
        }
        let (op, after) = operator(rest, operators).map_or((None, rest), |(op, after)| (Some(op), after));
        let after = after.trim_start();
        // A tilde is an operator only in front of a version: within one it is a character like any other.
        let end = after.find(|c: char| c == ',' || c.is_whitespace() || "=<>!^".contains(c)).unwrap_or(after.len());
        let (version, after) = after.split_at(end);
        rest = after;
        Some((op, version))
    })
}
