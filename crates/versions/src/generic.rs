//! Versions of no particular ecosystem: as many numbers as there are, then what a pre-release may look like in SemVer, with or
//! without its hyphen (the reading of `aquasecurity/go-version`, package `version`).

use crate::{digits, semver};
use std::cmp::Ordering;

/// A version in its parts.
pub(crate) struct Parts<'a> {
    pub(crate) numbers: &'a str,
    pub(crate) pre: &'a str,
}

impl<'a> Parts<'a> {
    /// Takes the numbers off the front; all else up to a `+` is the pre-release.
    pub(crate) fn of(version: &'a str) -> Self {
        let version = version.trim();
        let version = version.strip_prefix(['v', 'V']).unwrap_or(version);
        let version = version.split('+').next().unwrap_or_default();
        let mut end = 0;
        for part in version.split_inclusive('.') {
            let number = part.bytes().take_while(u8::is_ascii_digit).count();
            if number == 0 {
                break;
            }
            end += part.len();
            if number + 1 != part.len() || !part.ends_with('.') {
                end = end - part.len() + number;
                break;
            }
        }
        let (numbers, pre) = version.split_at_checked(end).unwrap_or((version, ""));
        let pre = pre.strip_prefix(['-', '.']).unwrap_or(pre);
        Self { numbers: numbers.trim_end_matches('.'), pre }
    }

    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        numbers(self.numbers, other.numbers).then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => semver::prerelease(self.pre, other.pre),
        })
    }
}

fn numbers(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let (left, right) = (a.next(), b.next());
        if left.is_none() && right.is_none() {
            return Ordering::Equal;
        }
        let order = digits::compare(left.unwrap_or_default().as_bytes(), right.unwrap_or_default().as_bytes());
        if order.is_ne() {
            return order;
        }
    }
}

pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    Parts::of(a).compare(&Parts::of(b))
}

pub(crate) fn is_valid(version: &str) -> bool {
    let parts = Parts::of(version);
    let word = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'~');
    let words = |text: &str| text.split('.').all(|part| !part.is_empty() && part.bytes().all(word));
    !parts.numbers.is_empty() && (parts.pre.is_empty() || words(parts.pre)) && version.split_once('+').is_none_or(|(_, build)| words(build))
}
