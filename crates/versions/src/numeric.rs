//! Versions that are numbers and nothing else: CRAN (R, "package_version": dots and hyphens alike) and Hackage (Haskell Package
//! Versioning Policy: dots).
//!
//! Number by number; of two that agree so far the longer is the greater. A part that is no number sorts above all numbers, by
//! bytes.

use crate::digits;
use std::cmp::Ordering;

pub(crate) fn compare(a: &str, b: &str, separators: &[char]) -> Ordering {
    let (mut a, mut b) = (a.trim().split(separators), b.trim().split(separators));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (is_number(a), is_number(b)) {
                (true, true) => digits::compare(a.as_bytes(), b.as_bytes()),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => a.cmp(b),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}

pub(crate) fn is_valid(version: &str, separators: &[char]) -> bool {
    version.split(separators).all(is_number)
}

fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit())
}
