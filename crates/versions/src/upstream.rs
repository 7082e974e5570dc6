//! Versions of programs whose makers follow no ecosystem's rules, as NVD writes them: numbers, then perhaps letters.
//!
//! Letters behind a number are a level of patches where they end the version or are a `p` with a number (OpenSSL's `1.1.1w` and
//! `0.9.8za`, OpenSSH's `9.6p1`), and a pre-release otherwise (Python's `3.13.0rc1`, PostgreSQL's `16beta2`). Zeros at the end say
//! nothing.

use crate::digits;
use std::cmp::Ordering;

/// What letters are that are no level of patches although they end the version.
const PRE_RELEASES: [&[u8]; 7] = [b"alpha", b"beta", b"rc", b"pre", b"preview", b"dev", b"snapshot"];

/// A part of a version, in the order of what it makes of what stands before it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Before,
    End,
    Patch,
    Number,
}

pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (start(a), start(b));
    loop {
        let ((a_rank, a_run, a_rest), (b_rank, b_run, b_rest)) = (part(a), part(b));
        let order = a_rank.cmp(&b_rank).then_with(|| match a_rank {
            Rank::Number => digits::compare(a_run, b_run),
            _ => a_run.to_ascii_lowercase().cmp(&b_run.to_ascii_lowercase()),
        });
        if order.is_ne() || a_rank == Rank::End {
            return order;
        }
        (a, b) = (a_rest, b_rest);
    }
}

pub(crate) fn is_valid(version: &str) -> bool {
    let version = start(version);
    version.first().is_some_and(u8::is_ascii_digit) && version.iter().all(|c| c.is_ascii_alphanumeric() || b".-_+~".contains(c))
}

fn start(version: &str) -> &[u8] {
    let version = version.trim();
    version.strip_prefix(['v', 'V']).unwrap_or(version).as_bytes()
}

/// The first part, and what follows it.
fn part(text: &[u8]) -> (Rank, &[u8], &[u8]) {
    let (_, text) = digits::take_while(text, |c| !c.is_ascii_alphanumeric());
    match text.first() {
        None => (Rank::End, text, text),
        Some(c) if c.is_ascii_digit() => {
            let (run, rest) = digits::take_while(text, |c| c.is_ascii_digit());
            // Zeros up to the end, or up to letters, are as if they were not there.
            let (_, beyond) = digits::take_while(text, |c| c == b'0' || !c.is_ascii_alphanumeric());
            if beyond.first().is_none_or(|c| !c.is_ascii_digit()) && run.iter().all(|c| *c == b'0') {
                return part(beyond);
            }
            (Rank::Number, run, rest)
        }
        Some(_) => {
            let (run, rest) = digits::take_while(text, |c| c.is_ascii_alphabetic());
            let ends = rest.iter().all(|c| !c.is_ascii_alphanumeric());
            let is_patch = match ends {
                true => run.len() <= 2 && !PRE_RELEASES.iter().any(|word| run.eq_ignore_ascii_case(word)),
                false => run.eq_ignore_ascii_case(b"p") && rest.first().is_some_and(u8::is_ascii_digit),
            };
            (if is_patch { Rank::Patch } else { Rank::Before }, run, rest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_patches_or_come_before() {
        for order in [
            &["0.9.8", "0.9.8y", "0.9.8z", "0.9.8za", "1.0.0-beta1", "1.0.0", "1.0.0a", "1.1.1", "1.1.1v", "1.1.1w", "3.0.0-alpha2", "3.0"]
                [..],
            &["9.5", "9.6p1", "9.6p2", "9.7p1"],
            &["3.12.9", "3.13.0a1", "3.13.0b2", "3.13.0rc1", "3.13.0", "3.13.1"],
            &["16beta2", "16", "16.1"],
        ] {
            for pair in order.windows(2) {
                assert_eq!((compare(pair[0], pair[1]), compare(pair[1], pair[0])), (Ordering::Less, Ordering::Greater), "{pair:?}");
            }
        }
        assert_eq!(compare("3.12", "v3.12.0"), Ordering::Equal);
        assert_eq!(compare("1.0.0-rc", "1.0"), Ordering::Less);
        assert!(is_valid("1.1.1w") && is_valid("9.6p1") && !is_valid("*") && !is_valid("-"));
    }
}
