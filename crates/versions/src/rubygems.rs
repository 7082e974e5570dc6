//! RubyGems' versions (`Gem::Version`): segments of digits and of letters; letters make a pre-release.

use crate::digits;
use std::cmp::Ordering;

pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (segments(a), segments(b));
    (0..a.len().max(b.len()))
        // A missing segment is zero.
        .map(|i| segment(a.get(i).copied().unwrap_or(b"0"), b.get(i).copied().unwrap_or(b"0")))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Letters are less than numbers.
fn segment(a: &[u8], b: &[u8]) -> Ordering {
    let numeric = |s: &[u8]| s.first().is_some_and(u8::is_ascii_digit);
    match (numeric(a), numeric(b)) {
        (true, true) => digits::compare(a, b),
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => a.cmp(b),
    }
}

/// Runs of digits and runs of anything else between dots; a dash begins a pre-release. Zeros at the end of the numbers before
/// the first letters, and at the end of all, do not count.
fn segments(version: &str) -> Vec<&[u8]> {
    let mut all: Vec<&[u8]> = Vec::new();
    let mut letters_at = None;
    let is_zero = |segment: &[u8]| segment.iter().all(|c| *c == b'0');
    for part in version.trim().split('.') {
        for (i, piece) in part.split('-').enumerate() {
            if i > 0 {
                letters_at.get_or_insert(all.len());
                all.push(b"pre");
            }
            let mut rest = piece.as_bytes();
            while let Some(first) = rest.first() {
                let digit = first.is_ascii_digit();
                let (run, after) = digits::take_while(rest, |c| c.is_ascii_digit() == digit);
                if !digit {
                    letters_at.get_or_insert(all.len());
                }
                all.push(run);
                rest = after;
            }
        }
    }
    let mut tail = all.split_off(letters_at.unwrap_or(all.len()));
    for list in [&mut all, &mut tail] {
        while list.last().is_some_and(|segment| is_zero(segment)) {
            list.pop();
        }
    }
    all.append(&mut tail);
    all
}
