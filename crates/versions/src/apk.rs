//! Alpine versions: `digits{.digits}[letter]{_suffix[number]}[~commit][-r number]` (apk-package(5), "Package versions";
//! `version.c` of apk-tools 3).
//!
//! A version is read as tokens, and the order is the lexicographic one of its tokens: where one version has ended, the other is
//! the greater, unless it goes on with a pre-release suffix. What does not fit the grammar ends the reading and sorts below the
//! end, by bytes.

use crate::digits;
use std::cmp::Ordering;

/// In order: before a release, then after it.
const SUFFIXES: &[(&[u8], i8)] =
    &[(b"alpha", -4), (b"beta", -3), (b"pre", -2), (b"rc", -1), (b"cvs", 1), (b"svn", 2), (b"git", 3), (b"hg", 4), (b"p", 5)];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    First(&'a [u8]),
    Digits(&'a [u8]),
    Letter(u8),
    Suffix(i8),
    SuffixNumber(&'a [u8]),
    Commit(&'a [u8]),
    Revision(&'a [u8]),
    End,
    Invalid(&'a [u8]),
}

impl Token<'_> {
    /// Of two tokens of different kinds, the one that stands earlier in the grammar is the greater; a pre-release suffix is below
    /// everything.
    const fn rank(self) -> u8 {
        match self {
            Self::Suffix(weight) if weight < 0 => 0,
            Self::Invalid(_) => 1,
            Self::End => 2,
            Self::Revision(_) => 3,
            Self::Commit(_) => 4,
            Self::SuffixNumber(_) => 5,
            Self::Suffix(_) => 6,
            Self::Letter(_) => 7,
            Self::Digits(_) => 8,
            Self::First(_) => 9,
        }
    }

    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::First(a), Self::First(b)) | (Self::SuffixNumber(a), Self::SuffixNumber(b)) | (Self::Revision(a), Self::Revision(b)) => {
                digits::compare(a, b)
            }
            // A leading zero makes both numbers fractions, as Gentoo has it: 1.06 is below 1.1.
            (Self::Digits(a), Self::Digits(b)) if a.first() == Some(&b'0') || b.first() == Some(&b'0') => a.cmp(b),
            (Self::Digits(a), Self::Digits(b)) => digits::compare(a, b),
            (Self::Letter(a), Self::Letter(b)) => a.cmp(&b),
            (Self::Suffix(a), Self::Suffix(b)) => a.cmp(&b),
            (Self::Commit(a), Self::Commit(b)) | (Self::Invalid(a), Self::Invalid(b)) => a.cmp(b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}

struct Tokens<'a> {
    rest: &'a [u8],
    last: Token<'a>,
}

impl<'a> Tokens<'a> {
    const fn of(version: &'a str) -> Self {
        Self { rest: version.as_bytes(), last: Token::End }
    }

    fn digits(&mut self, from: &'a [u8]) -> Option<&'a [u8]> {
        let (run, rest) = digits::take_while(from, |c| c.is_ascii_digit());
        (!run.is_empty()).then(|| {
            self.rest = rest;
            run
        })
    }

    fn first(&mut self) -> Token<'a> {
        let rest = self.rest;
        self.last = self.digits(rest).map_or(Token::Invalid(rest), Token::First);
        self.last
    }

    fn next(&mut self) -> Token<'a> {
        let rest = self.rest;
        // How far the grammar has been followed: the part that comes next must not stand before the last.
        let stage = self.last.stage();
        let token = match rest.split_first() {
            None => Some(Token::End),
            Some((b'.', after)) if stage <= 1 => self.digits(after).map(Token::Digits),
            Some((&c, after)) if stage <= 1 && c.is_ascii_lowercase() => {
                self.rest = after;
                Some(Token::Letter(c))
            }
            // apk-tools 2 took a number behind a letter too.
            Some((c, _)) if stage == 2 && c.is_ascii_digit() => self.digits(rest).map(Token::Digits),
            Some((b'_', after)) if stage <= 4 => SUFFIXES.iter().find(|(name, _)| after.starts_with(name)).map(|(name, weight)| {
                self.rest = after.get(name.len()..).unwrap_or_default();
                Token::Suffix(*weight)
            }),
            Some((c, _)) if stage == 3 && c.is_ascii_digit() => self.digits(rest).map(Token::SuffixNumber),
            Some((b'~', after)) if stage <= 4 => {
                let (hash, rest) = digits::take_while(after, |c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
                (!hash.is_empty()).then(|| {
                    self.rest = rest;
                    Token::Commit(hash)
                })
            }
            Some((b'-', after)) if stage <= 5 => after.strip_prefix(b"r").and_then(|number| self.digits(number)).map(Token::Revision),
            Some(_) => None,
        };
        self.last = token.unwrap_or(Token::Invalid(rest));
        self.last
    }
}

impl Token<'_> {
    const fn stage(self) -> u8 {
        match self {
            Self::First(_) | Self::Digits(_) => 1,
            Self::Letter(_) => 2,
            Self::Suffix(_) => 3,
            Self::SuffixNumber(_) => 4,
            Self::Commit(_) => 5,
            Self::Revision(_) => 6,
            Self::End | Self::Invalid(_) => 7,
        }
    }
}

pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    walk(a.trim(), b.trim(), false)
}

/// Whether `version` is `prefix` or goes on from it: apk's fuzzy match, `~`.
pub(crate) fn matches_prefix(version: &str, prefix: &str) -> bool {
    walk(version.trim(), prefix.trim(), true).is_eq()
}

fn walk(a: &str, b: &str, fuzzy: bool) -> Ordering {
    let (mut a, mut b) = (Tokens::of(a), Tokens::of(b));
    let (mut left, mut right) = (a.first(), b.first());
    loop {
        if fuzzy && right == Token::End {
            return Ordering::Equal;
        }
        let order = left.compare(right);
        if order.is_ne() || matches!(left, Token::End | Token::Invalid(_)) {
            return order;
        }
        (left, right) = (a.next(), b.next());
    }
}

pub(crate) fn is_valid(version: &str) -> bool {
    let mut tokens = Tokens::of(version);
    let mut token = tokens.first();
    loop {
        match token {
            Token::End => return true,
            Token::Invalid(_) => return false,
            _ => token = tokens.next(),
        }
    }
}
