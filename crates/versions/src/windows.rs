//! Builds of Windows (`10.0.20348.2227`: number by number, of two that agree so far the longer is the greater) and its updates, by
//! their articles (`KB5034129`). An update sorts above all builds.

use crate::{digits, numeric};
use std::cmp::Ordering;

const SEPARATORS: &[char] = &['.'];

pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    match (article(a), article(b)) {
        (Some(a), Some(b)) => digits::compare(a.as_bytes(), b.as_bytes()),
        (Some(_), None) => Ordering::Greater,
        (None, Some(_)) => Ordering::Less,
        (None, None) => numeric::compare(a, b, SEPARATORS),
    }
}

pub(crate) fn is_valid(version: &str) -> bool {
    article(version).is_some() || numeric::is_valid(version, SEPARATORS)
}

fn article(version: &str) -> Option<&str> {
    version.trim().strip_prefix("KB").filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_are_numbers_and_updates_are_above_them() {
        for pair in ["10.0.20348", "10.0.20348.887", "10.0.20348.2227", "10.0.26100.1", "KB958644", "KB5034129"].windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
        }
        assert!(is_valid("KB5034129") && is_valid("10.0.20348.2227") && !is_valid("Release Notes"));
    }
}
