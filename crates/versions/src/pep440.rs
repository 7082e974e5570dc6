//! Python versions (PEP 440, "Summary of permitted suffixes and relative ordering").
//!
//! What does not parse sorts before everything that does, by bytes.

use crate::digits;
use std::cmp::Ordering;

pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    // An empty text is no version at all here.
    if !a.is_empty()
        && !b.is_empty()
        && let Some(order) = digits::dotted(a, b)
    {
        return order;
    }
    let (a_text, b_text) = (a.trim().to_ascii_lowercase(), b.trim().to_ascii_lowercase());
    match (Parsed::of(&a_text), Parsed::of(&b_text)) {
        (None, None) => a_text.cmp(&b_text),
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(a), Some(b)) => a.compare(&b),
    }
}

/// Whether it is a version at all (PEP 440, appendix B).
pub(crate) fn is_valid(version: &str) -> bool {
    Parsed::of(&version.trim().to_ascii_lowercase()).is_some()
}

/// A version in its parts; [`Parsed::of`] takes lower case only.
#[derive(Clone)]
pub(crate) struct Parsed<'a> {
    pub(crate) epoch: &'a [u8],
    pub(crate) release: Vec<&'a [u8]>,
    /// Letter (`a`, `b`, `r`) and number.
    pub(crate) pre: Option<(u8, &'a [u8])>,
    pub(crate) post: Option<&'a [u8]>,
    pub(crate) dev: Option<&'a [u8]>,
    pub(crate) local: Option<&'a str>,
}

/// Reads a version from left to right.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn eat(&mut self, prefix: &str) -> bool {
        self.0.strip_prefix(prefix).map(|rest| self.0 = rest).is_some()
    }

    fn separator(&mut self) {
        if let Some(rest) = self.0.strip_prefix(['-', '_', '.']) {
            self.0 = rest;
        }
    }

    fn digits(&mut self) -> &'a [u8] {
        let end = self.0.bytes().position(|c| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        self.0 = rest;
        digits.as_bytes()
    }

    /// `[separator] word [separator] [number]`, the first word of `words` that fits; nothing is consumed otherwise.
    fn suffix(&mut self, words: &[(&str, u8)]) -> Option<(u8, &'a [u8])> {
        let before = self.0;
        self.separator();
        for (word, letter) in words {
            if self.eat(word) {
                let after_word = self.0;
                self.separator();
                let number = self.digits();
                if number.is_empty() {
                    self.0 = after_word;
                }
                return Some((*letter, number));
            }
        }
        self.0 = before;
        None
    }
}

impl<'a> Parsed<'a> {
    pub(crate) fn of(text: &'a str) -> Option<Self> {
        let mut cursor = Cursor(text);
        cursor.eat("v");
        let mut epoch: &[u8] = b"";
        let mut first = cursor.digits();
        if !first.is_empty() && cursor.eat("!") {
            epoch = first;
            first = cursor.digits();
        }
        if first.is_empty() {
            return None;
        }
        let mut release = vec![first];
        while cursor.0.starts_with('.') && cursor.0[1..].starts_with(|c: char| c.is_ascii_digit()) {
            cursor.eat(".");
            release.push(cursor.digits());
        }
        let pre = cursor.suffix(&[
            ("alpha", b'a'),
            ("beta", b'b'),
            ("preview", b'r'),
            ("pre", b'r'),
            ("rc", b'r'),
            ("c", b'r'),
            ("a", b'a'),
            ("b", b'b'),
        ]);
        let implicit_post = cursor.0.starts_with('-') && cursor.0[1..].starts_with(|c: char| c.is_ascii_digit());
        let post = if implicit_post {
            cursor.eat("-");
            Some(cursor.digits())
        } else {
            cursor.suffix(&[("post", 0), ("rev", 0), ("r", 0)]).map(|(_, number)| number)
        };
        let dev = cursor.suffix(&[("dev", 0)]).map(|(_, number)| number);
        let local = cursor.eat("+").then(|| std::mem::take(&mut cursor.0));
        let local_is_sound = local.is_none_or(|l| {
            !l.is_empty() && l.split(['-', '_', '.']).all(|part| !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric()))
        });
        (cursor.0.is_empty() && local_is_sound).then_some(Self { epoch, release, pre, post, dev, local })
    }

    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        digits::compare(self.epoch, other.epoch)
            .then_with(|| releases(&self.release, &other.release))
            .then_with(|| self.pre_rank().cmp(&other.pre_rank()))
            .then_with(|| match (self.pre, other.pre) {
                (Some((a, m)), Some((b, n))) => a.cmp(&b).then_with(|| digits::compare(m, n)),
                _ => Ordering::Equal,
            })
            .then_with(|| optional(self.post, other.post))
            // A development release comes before the release that it develops.
            .then_with(|| match (self.dev, other.dev) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(a), Some(b)) => digits::compare(a, b),
            })
            .then_with(|| locals(self.local, other.local))
    }

    /// `1.dev1` sorts before `1a1`, which sorts before `1`.
    const fn pre_rank(&self) -> u8 {
        match (self.pre.is_some(), self.post.is_some(), self.dev.is_some()) {
            (false, false, true) => 0,
            (true, _, _) => 1,
            (false, _, _) => 2,
        }
    }
}

pub(crate) fn releases(a: &[&[u8]], b: &[&[u8]]) -> Ordering {
    (0..a.len().max(b.len()))
        .map(|i| digits::compare(a.get(i).unwrap_or(&b"".as_slice()), b.get(i).unwrap_or(&b"".as_slice())))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn optional(a: Option<&[u8]>, b: Option<&[u8]>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => digits::compare(a, b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

fn locals(a: Option<&str>, b: Option<&str>) -> Ordering {
    let (Some(a), Some(b)) = (a, b) else {
        return a.is_some().cmp(&b.is_some());
    };
    let (mut a, mut b) = (a.split(['-', '_', '.']), b.split(['-', '_', '.']));
    let numeric = |s: &str| s.bytes().all(|c| c.is_ascii_digit());
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (numeric(a), numeric(b)) {
                (true, true) => digits::compare(a.as_bytes(), b.as_bytes()),
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => a.cmp(b),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}
