//! Maven: version ranges (POM reference, "Dependency Version Requirement Specification"), and the plain comparisons that advisory
//! feeds write. A bare version is that version.

use super::{Compare, ConstraintError, Op, Term, operator};
use crate::Scheme;

const OPERATORS: &[(&str, Op)] = &[
    ("=", Op::Equal),
    ("==", Op::Equal),
    ("!=", Op::Different),
    (">", Op::Greater),
    ("<", Op::Less),
    (">=", Op::AtLeast),
    ("=>", Op::AtLeast),
    ("<=", Op::AtMost),
    ("=<", Op::AtMost),
];

pub(super) fn parse(text: &str) -> Result<Compare, ConstraintError> {
    let alternatives = if text.contains(['[', '(', ']', ')']) { ranges(text)? } else { comparisons(text)? };
    Ok(Compare { scheme: Scheme::Maven, alternatives })
}

/// `[1.0,2.0),[3.0,)`: a union of intervals.
fn ranges(text: &str) -> Result<Vec<Vec<Term>>, ConstraintError> {
    let error = |reason| ConstraintError::new(text, reason);
    let mut alternatives = Vec::new();
    let mut rest = text.trim();
    loop {
        let (open, after) = match (rest.strip_prefix('['), rest.strip_prefix('(')) {
            (Some(after), _) => (Op::AtLeast, after),
            (None, Some(after)) => (Op::Greater, after),
            (None, None) => return Err(error("an interval begins with a bracket")),
        };
        let end = after.find([']', ')']).ok_or_else(|| error("an interval is not closed"))?;
        let (inner, closing) = after.split_at(end);
        let close = if closing.starts_with(']') { Op::AtMost } else { Op::Less };
        let mut terms = Vec::new();
        match inner.split_once(',') {
            // One version stands for itself; Maven asks for square brackets around it, its imitators do not.
            None if inner.trim().is_empty() => return Err(error("an interval holds nothing")),
            None => terms.push(Term::new(Op::Equal, inner.trim())),
            Some((low, high)) => {
                if high.contains(',') {
                    return Err(error("an interval has two ends"));
                }
                if !low.trim().is_empty() {
                    terms.push(Term::new(open, low.trim()));
                }
                if !high.trim().is_empty() {
                    terms.push(Term::new(close, high.trim()));
                }
            }
        }
        alternatives.push(terms);
        rest = closing.get(1..).unwrap_or_default().trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        if rest.is_empty() {
            return Ok(alternatives);
        }
    }
}

fn comparisons(text: &str) -> Result<Vec<Vec<Term>>, ConstraintError> {
    text.split("||")
        .map(|alternative| {
            let mut terms = Vec::new();
            let mut rest = alternative.trim_start();
            while !rest.is_empty() {
                let (op, after) = operator(rest, OPERATORS).unwrap_or((Op::Equal, rest));
                let after = after.trim_start();
                let end = after.find(|c: char| c == ',' || c.is_whitespace() || "=<>!".contains(c)).unwrap_or(after.len());
                let (version, after) = after.split_at(end);
                if version.is_empty() {
                    return Err(ConstraintError::new(text, "a comparison has no version"));
                }
                terms.push(Term::new(op, version));
                rest = after.trim_start();
                rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
            }
            if terms.is_empty() { Err(ConstraintError::new(text, "an alternative is empty")) } else { Ok(terms) }
        })
        .collect()
}
