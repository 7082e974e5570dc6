//! pacman's versions: `[epoch:]version[-release]` (vercmp(8)). Like rpm's of old: a run of letters behind a number is a pre-release
//! of it, there is neither `~` nor `^`, and a release counts only where both have one.

use crate::digits;
use std::cmp::Ordering;

pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (a_epoch, a_version, a_release) = split(a.trim());
    let (b_epoch, b_version, b_release) = split(b.trim());
    digits::compare(a_epoch, b_epoch).then_with(|| segments(a_version, b_version)).then_with(|| match (a_release, b_release) {
        (Some(a), Some(b)) => segments(a, b),
        // To vercmp a version is each of its releases, which differ: no order. Here it comes before them, as rpm's does.
        _ => a_release.is_some().cmp(&b_release.is_some()),
    })
}

/// Visible characters and no second colon.
pub(crate) fn is_valid(version: &str) -> bool {
    let (_, rest) = version.split_once(':').unwrap_or(("", version));
    !rest.is_empty() && rest.bytes().all(|c| c.is_ascii_graphic() && c != b':')
}

fn split(version: &str) -> (&[u8], &[u8], Option<&[u8]>) {
    let (epoch, rest) = match version.split_once(':') {
        Some((epoch, rest)) if epoch.bytes().all(|c| c.is_ascii_digit()) => (epoch, rest),
        _ => ("", version),
    };
    match rest.rsplit_once('-') {
        Some((version, release)) => (epoch.as_bytes(), version.as_bytes(), Some(release.as_bytes())),
        None => (epoch.as_bytes(), rest.as_bytes(), None),
    }
}

/// Compares runs of digits and of letters, one by one, each by what separates it from the one before, then by its kind: letters
/// sort before the end of a version, and that before digits. Where vercmp's answers hang on which of two texts is asked about (that
/// is so of texts that nobody writes), this is the order nearest to them.
fn segments(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        let ((a_gap, a_run, a_rest), (b_gap, b_run, b_rest)) = (segment(a), segment(b));
        let order = a_gap.cmp(&b_gap).then_with(|| rank(a_run).cmp(&rank(b_run))).then_with(|| match rank(a_run) {
            Rank::Digits => digits::compare(a_run, b_run),
            _ => a_run.cmp(b_run),
        });
        if order.is_ne() || a_run.is_empty() {
            return order;
        }
        (a, b) = (a_rest, b_rest);
    }
}

/// How many separators lie before the next run, the run, and what follows it.
fn segment(text: &[u8]) -> (usize, &[u8], &[u8]) {
    let (gap, rest) = digits::take_while(text, |c| !c.is_ascii_alphanumeric());
    let (run, rest) = match rest.first() {
        Some(c) if c.is_ascii_digit() => digits::take_while(rest, |c| c.is_ascii_digit()),
        _ => digits::take_while(rest, |c| c.is_ascii_alphabetic()),
    };
    (gap.len(), run, rest)
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Letters,
    End,
    Digits,
}

fn rank(run: &[u8]) -> Rank {
    match run.first() {
        None => Rank::End,
        Some(c) if c.is_ascii_digit() => Rank::Digits,
        Some(_) => Rank::Letters,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two orders of vercmp(8), and what epochs and releases do.
    #[test]
    fn versions_are_in_the_order_of_vercmp() {
        let letters = ["1.0a", "1.0b", "1.0beta", "1.0p", "1.0pre", "1.0rc", "1.0", "1.0.a", "1.0.1"];
        let numbers = ["1", "1.0", "1.1", "1.1.1", "1.2", "2.0", "3.0.0", "1:0.1", "2:0.0.1-1"];
        for order in [letters, numbers] {
            for (place, a) in order.iter().enumerate() {
                for (other, b) in order.iter().enumerate() {
                    assert_eq!(compare(a, b), place.cmp(&other), "{a} {b}");
                }
            }
        }
        for (a, b, order) in [
            ("1.5-1", "1.5", Ordering::Greater),
            ("1.5-1", "1.5-2", Ordering::Less),
            ("0:1.0", "1.0", Ordering::Equal),
            ("1.0.", "1.0", Ordering::Greater),
            ("1..0", "1.0", Ordering::Greater),
            ("1.5.b", "1.5.1", Ordering::Less),
            ("8.5.0-1", "8.4.0-1", Ordering::Greater),
            ("2.38+r1+g0000000-1", "2.38-1", Ordering::Greater),
        ] {
            assert_eq!(compare(a, b), order, "{a} {b}");
            assert_eq!(compare(b, a), order.reverse(), "{b} {a}");
        }
    }
}
