//! Composer's versions, in the order of PHP's `version_compare`: parts of digits and of words between `.`, `-`, `_` and `+`.

use crate::digits;
use std::cmp::Ordering;

pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (Parts::of(a), Parts::of(b));
    loop {
        let (x, y) = (a.next(), b.next());
        let order = match (x, y) {
            (None, None) => return Ordering::Equal,
            (Some(x), Some(y)) if is_number(x) && is_number(y) => digits::compare(x, y),
            (x, y) => rank(x).cmp(&rank(y)),
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn is_number(part: &[u8]) -> bool {
    part.first().is_some_and(u8::is_ascii_digit)
}

/// Words in their order, each known by its beginning as PHP knows it: `post` is a `p`, as `patch` is.
const WORDS: [(&[u8], u8); 9] =
    [(b"dev", 1), (b"alpha", 2), (b"a", 2), (b"beta", 3), (b"b", 3), (b"RC", 4), (b"rc", 4), (b"pl", 7), (b"p", 7)];

/// Unknown words, development, alpha, beta, release candidate, the end, a number, a patch level.
fn rank(part: Option<&[u8]>) -> u8 {
    match part {
        None => 5,
        Some(part) if is_number(part) => 6,
        Some(part) => WORDS.iter().find(|(word, _)| part.starts_with(word)).map_or(0, |(_, rank)| *rank),
    }
}

struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn of(version: &'a str) -> Self {
        Self(version.trim().trim_start_matches(['v', 'V']).as_bytes())
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        let separator = |c: u8| matches!(c, b'.' | b'-' | b'_' | b'+');
        self.0 = digits::take_while(self.0, separator).1;
        let digit = self.0.first()?.is_ascii_digit();
        let (part, rest) = digits::take_while(self.0, |c| c.is_ascii_digit() == digit && !separator(c));
        self.0 = rest;
        Some(part)
    }
}
