//! Alpine's versions (apk-tools, `version.c`): `1.2.3a_rc1_p2-r4`.
//!
//! A version is a list of tokens, compared one by one. What ends early is less than what goes on, except before the suffix of a
//! pre-release.

use crate::digits;
use std::cmp::Ordering;

pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (Tokens::new(a.trim()), Tokens::new(b.trim()));
    loop {
        let (x, y) = (a.next(), b.next());
        let order = x.compare(&y);
        if order.is_ne() || matches!(x, Token::End | Token::Invalid(_)) {
            return order;
        }
    }
}

/// Before the release, and after it, each in order.
const BEFORE: [&str; 4] = ["alpha", "beta", "pre", "rc"];
const AFTER: [&str; 5] = ["cvs", "svn", "git", "hg", "p"];

#[derive(Debug)]
enum Token<'a> {
    /// `_alpha` to `_rc`.
    Before(usize),
    /// What is no version from here on, by its bytes.
    Invalid(&'a [u8]),
    End,
    /// `-r4`
    Revision(&'a [u8]),
    /// The number of a suffix.
    SuffixNumber(&'a [u8]),
    /// `_cvs` to `_p`.
    After(usize),
    Letter(u8),
    /// A part that begins with zeros is less than one that does not; more zeros are less.
    Zeros(usize),
    Number(&'a [u8]),
}

impl Token<'_> {
    const fn rank(&self) -> u8 {
        match self {
            Self::Before(_) => 0,
            Self::Invalid(_) => 1,
            Self::End => 2,
            Self::Revision(_) => 3,
            Self::SuffixNumber(_) => 4,
            Self::After(_) => 5,
            Self::Letter(_) => 6,
            Self::Zeros(_) => 7,
            Self::Number(_) => 8,
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Before(a), Self::Before(b)) | (Self::After(a), Self::After(b)) | (Self::Zeros(b), Self::Zeros(a)) => a.cmp(b),
            (Self::Invalid(a), Self::Invalid(b)) => a.cmp(b),
            (Self::Letter(a), Self::Letter(b)) => a.cmp(b),
            (Self::Revision(a), Self::Revision(b))
            | (Self::SuffixNumber(a), Self::SuffixNumber(b))
            | (Self::Number(a), Self::Number(b)) => digits::compare(a, b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Expect {
    /// The first number.
    First,
    /// A number after a dot, which may begin with zeros.
    Part,
    /// The digits after leading zeros.
    AfterZeros,
    /// What may follow a number.
    Tail,
    /// What may follow a suffix: its number.
    SuffixTail,
}

struct Tokens<'a> {
    rest: &'a [u8],
    expect: Expect,
}

impl<'a> Tokens<'a> {
    const fn new(text: &'a str) -> Self {
        Self { rest: text.as_bytes(), expect: Expect::First }
    }

    fn digits(&mut self) -> &'a [u8] {
        let (number, rest) = digits::take_while(self.rest, |c| c.is_ascii_digit());
        self.rest = rest;
        number
    }

    fn number(&mut self) -> Token<'a> {
        let number = self.digits();
        self.expect = Expect::Tail;
        if number.is_empty() { Token::Invalid(self.rest) } else { Token::Number(number) }
    }

    fn next(&mut self) -> Token<'a> {
        match self.expect {
            Expect::First => self.number(),
            Expect::Part if self.rest.first() == Some(&b'0') => {
                let (zeros, rest) = digits::take_while(self.rest, |c| c == b'0');
                self.rest = rest;
                self.expect = if rest.first().is_some_and(u8::is_ascii_digit) { Expect::AfterZeros } else { Expect::Tail };
                Token::Zeros(zeros.len())
            }
            Expect::Part | Expect::AfterZeros => self.number(),
            Expect::SuffixTail if self.rest.first().is_some_and(u8::is_ascii_digit) => {
                self.expect = Expect::Tail;
                Token::SuffixNumber(self.digits())
            }
            Expect::Tail | Expect::SuffixTail => self.tail(),
        }
    }

    fn tail(&mut self) -> Token<'a> {
        let whole = self.rest;
        match whole {
            [] => Token::End,
            [b'.', rest @ ..] => {
                self.rest = rest;
                self.expect = Expect::Part;
                self.next()
            }
            [letter @ b'a'..=b'z', rest @ ..] => {
                self.rest = rest;
                Token::Letter(*letter)
            }
            [b'-', b'r', rest @ ..] => {
                self.rest = rest;
                let number = self.digits();
                if number.is_empty() { Token::Invalid(whole) } else { Token::Revision(number) }
            }
            [b'_', rest @ ..] => {
                self.expect = Expect::SuffixTail;
                let (word, after) = digits::take_while(rest, |c| c.is_ascii_lowercase());
                self.rest = after;
                let at = |names: &[&str]| names.iter().position(|name| name.as_bytes() == word);
                at(&BEFORE).map(Token::Before).or_else(|| at(&AFTER).map(Token::After)).unwrap_or(Token::Invalid(rest))
            }
            _ => Token::Invalid(whole),
        }
    }
}
