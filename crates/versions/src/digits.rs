//! Numbers of any length, compared without being parsed into a machine word.

use std::cmp::Ordering;

/// Compares two strings of ASCII digits by value; the empty string is zero.
pub(crate) fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let significant = |s: &[u8]| s.iter().position(|&c| c != b'0').unwrap_or(s.len());
    let (a, b) = (&a[significant(a)..], &b[significant(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Splits off the longest prefix whose bytes satisfy `wanted`.
pub(crate) fn take_while(s: &[u8], wanted: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    s.split_at(s.iter().position(|&c| !wanted(c)).unwrap_or(s.len()))
}
