//! Cargo requirements (The Cargo Book, "Specifying Dependencies"): comparisons joined by commas; a bare version is a caret.
//!
//! They are npm's comparators under another punctuation, with npm's rule for pre-releases.

use super::npm::{Prefix, Range};
use super::{ConstraintError, Op, operator};

const OPERATORS: &[(&str, Prefix)] = &[
    ("=", Prefix::Compare(Op::Equal)),
    (">", Prefix::Compare(Op::Greater)),
    ("<", Prefix::Compare(Op::Less)),
    (">=", Prefix::Compare(Op::AtLeast)),
    ("<=", Prefix::Compare(Op::AtMost)),
    ("~", Prefix::Tilde),
    ("^", Prefix::Caret),
];

pub(super) fn parse(text: &str) -> Result<Range, ConstraintError> {
    let error = || ConstraintError::new(text, "a comparison has no version");
    let mut terms = Vec::new();
    for part in text.split(',') {
        let part = part.trim();
        let (prefix, version) = operator(part, OPERATORS).map_or((None, part), |(prefix, rest)| (Some(prefix), rest.trim_start()));
        let bare =
            if version.contains(['*', 'x', 'X']) && !version.contains(['-', '+']) { Prefix::Compare(Op::Equal) } else { Prefix::Caret };
        if !version.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '*' | 'x' | 'X')) {
            return Err(error());
        }
        terms.push((prefix.unwrap_or(bare), version));
    }
    Range::from_partials(terms.into_iter()).ok_or_else(error)
}
