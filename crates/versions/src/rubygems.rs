//! Gem versions (`Gem::Version` of RubyGems, "How Software Changes" and `<=>`).
//!
//! Runs of digits and of letters are segments; a missing one is zero, and a word is below every number, which is what makes a
//! version with letters a pre-release. A hyphen reads as `.pre.`.

use crate::digits;
use std::cmp::Ordering;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Segment<'a> {
    Word(&'a str),
    Number(&'a [u8]),
}

impl Segment<'_> {
    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Word(a), Self::Word(b)) => a.cmp(b),
            (Self::Word(_), Self::Number(_)) => Ordering::Less,
            (Self::Number(_), Self::Word(_)) => Ordering::Greater,
            (Self::Number(a), Self::Number(b)) => digits::compare(a, b),
        }
    }

    fn is_zero(self) -> bool {
        matches!(self, Self::Number(number) if number.iter().all(|&c| c == b'0'))
    }
}

pub(crate) fn segments(version: &str) -> Vec<Segment<'_>> {
    let mut segments = Vec::with_capacity(6);
    let mut rest = version;
    while let Some(first) = rest.chars().next() {
        let same = |c: char| if first.is_ascii_digit() { c.is_ascii_digit() } else { c.is_ascii_alphabetic() };
        let (run, after) = rest.split_at(rest.find(|c: char| !same(c)).unwrap_or(rest.len()));
        if run.is_empty() {
            if first == '-' {
                segments.push(Segment::Word("pre"));
            }
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            continue;
        }
        segments.push(if first.is_ascii_digit() { Segment::Number(run.as_bytes()) } else { Segment::Word(run) });
        rest = after;
    }
    segments
}

/// Zeros at the end of the numbers, and at the end of all, say nothing.
fn canonical(version: &str) -> Vec<Segment<'_>> {
    let mut kept: Vec<Segment<'_>> = Vec::with_capacity(6);
    let mut release = true;
    for segment in segments(version) {
        if release && matches!(segment, Segment::Word(_)) {
            release = false;
            while kept.pop_if(|segment| segment.is_zero()).is_some() {}
        }
        kept.push(segment);
    }
    while kept.pop_if(|segment| segment.is_zero()).is_some() {}
    kept
}

pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (canonical(a), canonical(b));
    let zero = Segment::Number(b"0");
    (0..a.len().max(b.len()))
        .map(|i| a.get(i).copied().unwrap_or(zero).compare(b.get(i).copied().unwrap_or(zero)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// `Gem::Version::VERSION_PATTERN`; the empty version is 0.
pub(crate) fn is_valid(version: &str) -> bool {
    let version = version.trim();
    let (release, pre) = version.split_once('-').map_or((version, None), |(release, pre)| (release, Some(pre)));
    let mut parts = release.split('.');
    let numeric = parts.next().is_some_and(|first| !first.is_empty() && first.bytes().all(|c| c.is_ascii_digit()));
    let words = parts.all(|part| !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric()));
    let pre =
        pre.is_none_or(|pre| pre.split('.').all(|part| !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')));
    version.is_empty() || numeric && words && pre
}
