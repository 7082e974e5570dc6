//! Gem requirements (`Gem::Requirement`): comparisons joined by commas; `~>` lets the last number but one stand.

use super::{Compare, ConstraintError, Op, Term, next_number, operator};
use crate::Scheme;
use crate::rubygems::{Segment, is_valid, segments};

#[derive(Clone, Copy)]
enum GemOp {
    Plain(Op),
    Pessimistic,
}

const OPERATORS: &[(&str, GemOp)] = &[
    ("=", GemOp::Plain(Op::Equal)),
    ("!=", GemOp::Plain(Op::Different)),
    (">", GemOp::Plain(Op::Greater)),
    ("<", GemOp::Plain(Op::Less)),
    (">=", GemOp::Plain(Op::AtLeast)),
    ("<=", GemOp::Plain(Op::AtMost)),
    ("~>", GemOp::Pessimistic),
];

pub(super) fn parse(text: &str) -> Result<Compare, ConstraintError> {
    let mut terms = Vec::new();
    for part in text.split(',') {
        let part = part.trim();
        if part.is_empty() && text.trim().is_empty() {
            break;
        }
        let (op, version) = operator(part, OPERATORS).unwrap_or((GemOp::Plain(Op::Equal), part));
        let version = version.trim();
        if version.is_empty() || !is_valid(version) {
            return Err(ConstraintError::new(text, "a requirement has no gem version"));
        }
        match op {
            GemOp::Plain(op) => terms.push(Term::new(op, version)),
            GemOp::Pessimistic => {
                terms.push(Term::new(Op::AtLeast, version));
                terms.push(Term { op: Op::Less, version: bump(version), release_only: true });
            }
        }
    }
    Ok(Compare { scheme: Scheme::RubyGems, alternatives: vec![terms] })
}

/// `Gem::Version#bump`: 5.3.1 to 5.4, 5 to 6; letters and what follows them go first.
fn bump(version: &str) -> String {
    let mut numbers: Vec<&str> = segments(version)
        .into_iter()
        .map_while(|segment| match segment {
            Segment::Number(number) => std::str::from_utf8(number).ok(),
            Segment::Word(_) => None,
        })
        .collect();
    if numbers.len() > 1 {
        numbers.pop();
    }
    let last = next_number(numbers.pop().unwrap_or("0"));
    let mut bumped = numbers.join(".");
    if !bumped.is_empty() {
        bumped.push('.');
    }
    bumped + &last
}

/// `Gem::Version#release`: what stands before the first letter.
pub(super) fn release(version: &str) -> &str {
    let end = version.find(|c: char| c.is_ascii_alphabetic() || c == '-').unwrap_or(version.len());
    version.get(..end).unwrap_or_default()
}
