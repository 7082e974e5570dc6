//! Debian versions: `[epoch:]upstream[-revision]` (Debian policy 5.6.12, deb-version(7)).

use crate::digits;
use std::cmp::Ordering;

pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (a_epoch, a_upstream, a_revision) = split(digits::trimmed(a));
    let (b_epoch, b_upstream, b_revision) = split(digits::trimmed(b));
    digits::compare(a_epoch, b_epoch).then_with(|| part(a_upstream, b_upstream)).then_with(|| part(a_revision, b_revision))
}

/// An absent epoch is 0; what stands before a colon and is no number belongs to the upstream version.
fn split(version: &str) -> (&[u8], &[u8], &[u8]) {
    let (epoch, rest) = digits::epoch(version.as_bytes());
    match rest.iter().rposition(|&c| c == b'-') {
        Some(dash) => (epoch, &rest[..dash], &rest[dash + 1..]),
        None => (epoch, rest, b""),
    }
}

/// What dpkg accepts (`lib/dpkg/parsehelp.c`), and the underscore: policy forbids it, packages in the wild have it.
pub(crate) fn is_valid(version: &str) -> bool {
    let version = version.trim();
    let (epoch, rest) = version.split_once(':').map_or((None, version), |(epoch, rest)| (Some(epoch), rest));
    let (upstream, revision) = rest.rsplit_once('-').map_or((rest, None), |(upstream, revision)| (upstream, Some(revision)));
    // An epoch is a C int.
    epoch.is_none_or(|epoch| epoch.bytes().all(|c| c.is_ascii_digit()) && epoch.parse::<u32>().is_ok_and(|n| n <= i32::MAX as u32))
        && upstream.starts_with(|c: char| c.is_ascii_digit())
        && upstream.bytes().all(|c| c.is_ascii_alphanumeric() || b".+-~:_".contains(&c))
        && revision.is_none_or(|r| !r.is_empty() && r.bytes().all(|c| c.is_ascii_alphanumeric() || b".+~_".contains(&c)))
}

/// Alternates between non-digits (by [`weight`]) and digits (by value) until one differs.
fn part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (a_text, a_rest) = digits::take_while(a, |c| !c.is_ascii_digit());
        let (b_text, b_rest) = digits::take_while(b, |c| !c.is_ascii_digit());
        for i in 0..a_text.len().max(b_text.len()) {
            let order = weight(a_text.get(i)).cmp(&weight(b_text.get(i)));
            if order.is_ne() {
                return order;
            }
        }
        let (a_digits, a_rest) = digits::take_while(a_rest, |c| c.is_ascii_digit());
        let (b_digits, b_rest) = digits::take_while(b_rest, |c| c.is_ascii_digit());
        let order = digits::compare(a_digits, b_digits);
        if order.is_ne() {
            return order;
        }
        (a, b) = (a_rest, b_rest);
    }
    Ordering::Equal
}

/// `~` before the end, the end before letters, letters before everything else.
fn weight(c: Option<&u8>) -> i32 {
    match c {
        None => 0,
        Some(b'~') => -1,
        Some(c) if c.is_ascii_alphabetic() => i32::from(*c),
        Some(c) => i32::from(*c) + 256,
    }
}
