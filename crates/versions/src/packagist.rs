//! Composer versions, in the order of PHP's `version_compare` (PHP manual, "version_compare"), behind an optional `v`.
//!
//! A version is read as numbers and words; `-`, `_`, `+` and a change between digits and others are dots. A word counts by how it
//! begins: anything unknown, then `dev`, `a`, `b`, `rc`, then the end, then numbers, then `p`.

use crate::digits;
use std::cmp::Ordering;

#[derive(Clone, Copy)]
struct Part<'a> {
    weight: u8,
    number: &'a [u8],
}

const END: Part<'static> = Part { weight: 5, number: b"" };

struct Parts<'a>(&'a str);

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let text = self.0.trim_start_matches(['.', '-', '_', '+']);
        let first = text.chars().next()?;
        let numeric = first.is_ascii_digit();
        let end = text.find(|c: char| matches!(c, '.' | '-' | '_' | '+') || c.is_ascii_digit() != numeric).unwrap_or(text.len());
        let (run, rest) = text.split_at(end);
        self.0 = rest;
        Some(if numeric { Part { weight: 7, number: run.as_bytes() } } else { Part { weight: weight(run), number: b"" } })
    }
}

fn weight(word: &str) -> u8 {
    const KNOWN: &[(&str, u8)] = &[("dev", 1), ("a", 2), ("b", 3), ("RC", 4), ("rc", 4), ("#", 6), ("p", 8)];
    KNOWN.iter().find(|(prefix, _)| word.starts_with(prefix)).map_or(0, |(_, weight)| *weight)
}

pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (Parts(strip(a)), Parts(strip(b)));
    loop {
        let (left, right) = (a.next(), b.next());
        if left.is_none() && right.is_none() {
            return Ordering::Equal;
        }
        let (left, right) = (left.unwrap_or(END), right.unwrap_or(END));
        let order = left.weight.cmp(&right.weight).then_with(|| digits::compare(left.number, right.number));
        if order.is_ne() {
            return order;
        }
    }
}

fn strip(version: &str) -> &str {
    let version = version.trim();
    version.strip_prefix(['v', 'V']).unwrap_or(version)
}
