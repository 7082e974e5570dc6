//! Maven versions (POM reference, "Version Order Specification"; `ComparableVersion` of Maven 4).
//!
//! A version is a sequence of numbers and qualifiers, each behind a dot or a hyphen; a change between digits and letters is a
//! hyphen, and a qualifier's dot counts as one. Zeros before a hyphen and at the end say nothing. What is compared is that
//! sequence, with the end standing where `final` stands: above `snapshot`, below `sp`.
//!
//! Maven's own order is not total: it has `1.0.0.RC7` < `1.0.0` < `1.0.0-branch-beta3` < `1.0.0.RC7`. Comparing plain sequences is,
//! and the one place to cut that circle is its last but one step: words that lead up to a pre-release qualifier make a
//! pre-release.

use crate::digits;
use std::cmp::Ordering;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    /// An unknown qualifier that is followed, words only between, by one of a pre-release.
    Branch(&'a str),
    /// A known qualifier, by its place; [`RELEASE`] is the end's own.
    Known(u8),
    /// Any other qualifier, in lower case only by comparison.
    Word(&'a str),
    Hyphen(&'a [u8]),
    Dot(&'a [u8]),
}

const RELEASE: u8 = 5;

impl Token<'_> {
    const fn rank(self) -> u8 {
        match self {
            Self::Branch(_) => 0,
            Self::Known(_) => 1,
            Self::Word(_) => 2,
            Self::Hyphen(_) => 3,
            Self::Dot(_) => 4,
        }
    }

    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Known(a), Self::Known(b)) => a.cmp(&b),
            (Self::Word(a), Self::Word(b)) | (Self::Branch(a), Self::Branch(b)) => {
                a.chars().flat_map(char::to_lowercase).cmp(b.chars().flat_map(char::to_lowercase))
            }
            (Self::Hyphen(a), Self::Hyphen(b)) | (Self::Dot(a), Self::Dot(b)) => digits::compare(a, b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }

    fn is_zero(self) -> bool {
        matches!(self, Self::Hyphen(number) | Self::Dot(number) if number.iter().all(|&c| c == b'0'))
    }
}

fn qualifier(word: &str, before_digit: bool) -> Token<'_> {
    const KNOWN: &[(&str, u8)] = &[
        ("alpha", 0),
        ("beta", 1),
        ("milestone", 2),
        ("rc", 3),
        ("cr", 3),
        ("snapshot", 4),
        ("ga", RELEASE),
        ("final", RELEASE),
        ("release", RELEASE),
        ("sp", 6),
    ];
    if let Some((_, place)) = KNOWN.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)) {
        return Token::Known(*place);
    }
    match word.as_bytes() {
        [b'a' | b'A'] if before_digit => Token::Known(0),
        [b'b' | b'B'] if before_digit => Token::Known(1),
        [b'm' | b'M'] if before_digit => Token::Known(2),
        _ => Token::Word(word),
    }
}

/// Numbers are never signed and words never hold a digit, a dot or a hyphen.
fn tokens(version: &str) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token<'_>> = Vec::with_capacity(8);
    let mut rest = version;
    let mut hyphen = false;
    loop {
        let is_digit = rest.starts_with(|c: char| c.is_ascii_digit());
        let end = rest.find(|c: char| c == '.' || c == '-' || c.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        let token = match (run.is_empty() || is_digit, hyphen) {
            (true, true) => Token::Hyphen(run.as_bytes()),
            (true, false) => Token::Dot(run.as_bytes()),
            (false, _) => {
                let number = after.strip_prefix('-').unwrap_or(after);
                qualifier(run, number.starts_with(|c: char| c.is_ascii_digit()))
            }
        };
        if !matches!(token, Token::Dot(_)) {
            drop_zeros(&mut tokens);
        }
        tokens.push(token);
        let mut chars = after.chars();
        match chars.next() {
            None => break,
            Some('.') => (hyphen, rest) = (false, chars.as_str()),
            Some('-') => (hyphen, rest) = (true, chars.as_str()),
            Some(_) => (hyphen, rest) = (true, after),
        }
    }
    drop_zeros(&mut tokens);
    let mut leads_up = false;
    for token in tokens.iter_mut().rev() {
        match *token {
            Token::Word(word) if leads_up => *token = Token::Branch(word),
            Token::Known(place) => leads_up = place < RELEASE,
            _ => leads_up = false,
        }
    }
    tokens
}

fn drop_zeros(tokens: &mut Vec<Token<'_>>) {
    while tokens.pop_if(|token| token.is_zero()).is_some() {}
}

pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (tokens(a.trim()), tokens(b.trim()));
    let end = Token::Known(RELEASE);
    for i in 0..a.len().max(b.len()) {
        let order = a.get(i).copied().unwrap_or(end).compare(b.get(i).copied().unwrap_or(end));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// Every text that is not empty is a version to Maven.
pub(crate) fn is_valid(version: &str) -> bool {
    !version.trim().is_empty()
}
