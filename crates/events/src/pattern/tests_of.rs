//! The tests that a leaf of a pattern is made of, and what they are asked about.

use super::wildcard::Wildcard;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

/// A value of an event or a literal of a pattern.
#[derive(Clone, Debug)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    /// Numbers that EventBridge compares count by their value: 300 is 300.0.
    Number(f64),
    /// Others as they are written: of account numbers none is rounded to another.
    Digits(String),
    Text(String),
}

impl Scalar {
    pub(super) fn of(value: &serde_json::Value) -> Option<Self> {
        Some(match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => match number.as_f64().filter(|value| is_comparable(*value)) {
                // Minus zero is zero.
                Some(value) => Self::Number(value + 0.0),
                None => Self::Digits(number.to_string()),
            },
            serde_json::Value::String(text) => Self::Text(text.clone()),
            _ => return None,
        })
    }

    /// Whether it is what a literal of a pattern asks for: an address in whatever spelling.
    pub(super) fn is_meant_by(&self, literal: &Self) -> bool {
        self == literal || matches!((spelled(self), spelled(literal)), (Some(a), Some(b)) if a == b)
    }

    /// What tells it from others, so that equal values are found by it.
    pub(super) fn key(&self) -> String {
        if let Some(address) = spelled(self) {
            return format!("t{address}");
        }
        match self {
            Self::Null => "n".to_owned(),
            Self::Bool(value) => format!("b{value}"),
            Self::Number(number) => format!("d{:x}", number.to_bits()),
            Self::Digits(digits) => format!("e{digits}"),
            Self::Text(text) => format!("t{text}"),
        }
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b) == Ordering::Equal,
            (Self::Text(a), Self::Text(b)) | (Self::Digits(a), Self::Digits(b)) => a == b,
            _ => false,
        }
    }
}

/// The address, which has many spellings, that a text is.
fn spelled(value: &Scalar) -> Option<IpAddr> {
    if let Scalar::Text(text) = value { address(text) } else { None }
}

/// The address that EventBridge takes a text for: four decimal numbers, zeros before them or not, or IPv6 without dots in it, of which
/// what is mapped from IPv4 is IPv4.
fn address(text: &str) -> Option<IpAddr> {
    let within = |is_it: fn(&u8) -> bool| text.bytes().all(|byte| is_it(&byte));
    if text.contains('.') && within(|byte| byte.is_ascii_digit() || *byte == b'.') {
        let octets: Vec<u8> = text.split('.').map(|octet| octet.parse().ok()).collect::<Option<_>>()?;
        return <[u8; 4]>::try_from(octets).ok().map(IpAddr::from);
    }
    if !text.contains(':') || !within(|byte| byte.is_ascii_hexdigit() || *byte == b':') {
        return None;
    }
    let v6: Ipv6Addr = text.parse().ok()?;
    Some(v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4))
}

/// Whether EventBridge compares a number by its value: up to five thousand million, with up to six decimals.
pub(super) fn is_comparable(number: f64) -> bool {
    // Written as short as it can be, and never with an exponent.
    number.abs() <= 5.0e9 && number.to_string().split_once('.').is_none_or(|(_, decimals)| decimals.len() <= 6)
}

/// A text, in any case or as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Affix {
    pub(super) text: String,
    pub(super) any_case: bool,
}

impl Affix {
    pub(super) fn begins(&self, text: &str) -> bool {
        if self.any_case { AnyCase::begins(&self.text, text) } else { text.starts_with(&self.text) }
    }

    pub(super) fn ends(&self, text: &str) -> bool {
        if self.any_case { AnyCase::ends(&self.text, text) } else { text.ends_with(&self.text) }
    }
}

/// A text in any case, as EventBridge understands that: each character stands for what it is in lower and in upper case, however long
/// that is (`ß` is `SS` too), and for nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct AnyCase(pub(super) String);

impl AnyCase {
    pub(super) fn is(&self, text: &str) -> bool {
        if self.0.is_ascii() {
            return self.0.eq_ignore_ascii_case(text);
        }
        Self::ends_of(&self.0, text).contains(&text.len())
    }

    fn begins(pattern: &str, text: &str) -> bool {
        !Self::ends_of(pattern, text).is_empty()
    }

    fn ends(pattern: &str, text: &str) -> bool {
        // Where it may begin, from the last character on.
        let mut begins = BTreeSet::from([text.len()]);
        for forms in pattern.chars().rev().map(forms) {
            let mut earlier = BTreeSet::new();
            for end in begins {
                earlier.extend(forms.iter().filter_map(|form| text[..end].strip_suffix(form.as_str())).map(str::len));
            }
            begins = earlier;
        }
        !begins.is_empty()
    }

    /// Where the pattern may end in a text that begins with it.
    fn ends_of(pattern: &str, text: &str) -> BTreeSet<usize> {
        let mut ends = BTreeSet::from([0]);
        for forms in pattern.chars().map(forms) {
            let mut later = BTreeSet::new();
            for begin in ends {
                later.extend(forms.iter().filter(|form| text[begin..].starts_with(form.as_str())).map(|form| begin + form.len()));
            }
            ends = later;
        }
        ends
    }
}

/// A character in lower and in upper case.
fn forms(character: char) -> [String; 2] {
    [character.to_lowercase().collect(), character.to_uppercase().collect()]
}

/// A block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    base: u128,
    prefix: u32,
    v6: bool,
}

impl Block {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (base, prefix) = text.split_once('/').ok_or_else(|| format!("'{text}' is no block of addresses: it has no '/'"))?;
        let address = address(base).ok_or_else(|| format!("'{base}' is no address"))?;
        let (number, bits) = number(address);
        let length = prefix.parse::<u32>().map_err(|_| format!("'{prefix}' is no length of a prefix"))?;
        // A single address is a literal.
        let prefix =
            Some(length).filter(|length| *length < bits).ok_or_else(|| format!("a prefix of {length} is not shorter than {bits}"))?;
        let mask = mask(prefix, bits);
        Ok(Self { base: number & mask, prefix, v6: address.is_ipv6() })
    }

    fn contains(self, text: &str) -> bool {
        let Some(address) = address(text) else { return false };
        let (number, bits) = number(address);
        address.is_ipv6() == self.v6 && number & mask(self.prefix, bits) == self.base
    }
}

fn number(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    }
}

const fn mask(prefix: u32, bits: u32) -> u128 {
    if prefix == 0 { 0 } else { u128::MAX << (bits - prefix) }
}

/// An end of a range of numbers, and whether it belongs to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bound {
    pub(super) value: f64,
    pub(super) included: bool,
}

/// What a value must not be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Anything {
    But(Vec<Scalar>),
    ButPrefix(Vec<String>),
    ButSuffix(Vec<String>),
    ButAnyCase(Vec<AnyCase>),
    ButWildcard(Vec<Wildcard>),
}

/// One test of a leaf.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Equals(Scalar),
    Prefix(Affix),
    Suffix(Affix),
    AnyCase(AnyCase),
    Wildcard(Wildcard),
    Numeric { low: Option<Bound>, high: Option<Bound> },
    Cidr(Block),
    Exists,
    Absent,
    Anything(Anything),
}

impl Test {
    /// Whether a value passes. What asks for absence is never passed by a value.
    pub(super) fn holds(&self, value: &Scalar) -> bool {
        let text = if let Scalar::Text(text) = value { Some(text.as_str()) } else { None };
        match self {
            Self::Equals(literal) => value.is_meant_by(literal),
            Self::Prefix(affix) => text.is_some_and(|text| affix.begins(text)),
            Self::Suffix(affix) => text.is_some_and(|text| affix.ends(text)),
            Self::AnyCase(literal) => text.is_some_and(|text| literal.is(text)),
            Self::Wildcard(wildcard) => text.is_some_and(|text| wildcard.matches(text)),
            Self::Numeric { low, high } => {
                let Scalar::Number(number) = value else { return false };
                if !is_comparable(*number) {
                    return false;
                }
                let above = low.is_none_or(|low| if low.included { *number >= low.value } else { *number > low.value });
                above && high.is_none_or(|high| if high.included { *number <= high.value } else { *number < high.value })
            }
            Self::Cidr(block) => text.is_some_and(|text| block.contains(text)),
            Self::Exists => true,
            Self::Absent => false,
            Self::Anything(anything) => match anything {
                Anything::But(literals) => !literals.contains(value),
                // What is no text begins and ends with nothing.
                Anything::ButPrefix(prefixes) => !text.is_some_and(|text| prefixes.iter().any(|prefix| text.starts_with(prefix))),
                Anything::ButSuffix(suffixes) => !text.is_some_and(|text| suffixes.iter().any(|suffix| text.ends_with(suffix))),
                Anything::ButAnyCase(literals) => !text.is_some_and(|text| literals.iter().any(|literal| literal.is(text))),
                Anything::ButWildcard(wildcards) => !text.is_some_and(|text| wildcards.iter().any(|wildcard| wildcard.matches(text))),
            },
        }
    }
}
