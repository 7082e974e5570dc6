//! The tests that a leaf of a pattern is made of, and what they are asked about.

use super::wildcard::Wildcard;
use std::cmp::Ordering;
use std::net::{IpAddr, Ipv6Addr};

/// A value of an event or a literal of a pattern.
#[derive(Clone, Debug)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    /// Numbers are compared by value: 300 is 300.0.
    Number(f64),
    Text(String),
}

impl Scalar {
    pub(super) fn of(value: &serde_json::Value) -> Option<Self> {
        Some(match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            // Minus zero is zero.
            serde_json::Value::Number(number) => Self::Number(number.as_f64()? + 0.0),
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
            (Self::Text(a), Self::Text(b)) => a == b,
            _ => false,
        }
    }
}

/// The address of IPv6, which has many spellings, that a text is.
fn spelled(value: &Scalar) -> Option<Ipv6Addr> {
    let Scalar::Text(text) = value else { return None };
    text.contains(':').then(|| text.parse().ok()).flatten()
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
        if self.any_case { folded(text).starts_with(&self.text) } else { text.starts_with(&self.text) }
    }

    pub(super) fn ends(&self, text: &str) -> bool {
        if self.any_case { folded(text).ends_with(&self.text) } else { text.ends_with(&self.text) }
    }
}

/// A text without its case.
pub(super) fn folded(text: &str) -> String {
    text.to_lowercase()
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
        let (address, prefix) = text.split_once('/').ok_or_else(|| format!("'{text}' is no block of addresses: it has no '/'"))?;
        let address: IpAddr = address.parse().map_err(|_| format!("'{address}' is no address"))?;
        let (number, bits) = number(address);
        let prefix =
            prefix.parse::<u32>().ok().filter(|prefix| *prefix <= bits).ok_or_else(|| format!("'{prefix}' is no length of a prefix"))?;
        let mask = mask(prefix, bits);
        Ok(Self { base: number & mask, prefix, v6: address.is_ipv6() })
    }

    fn contains(self, text: &str) -> bool {
        let Ok(address) = text.parse::<IpAddr>() else { return false };
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
    /// Texts without their case.
    ButAnyCase(Vec<String>),
    ButWildcard(Vec<Wildcard>),
}

/// One test of a leaf.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Equals(Scalar),
    Prefix(Affix),
    Suffix(Affix),
    /// A text without its case.
    AnyCase(String),
    Wildcard(Wildcard),
    Numeric {
        low: Option<Bound>,
        high: Option<Bound>,
    },
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
            Self::AnyCase(literal) => text.is_some_and(|text| folded(text) == *literal),
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
                Anything::ButAnyCase(literals) => !text.is_some_and(|text| literals.contains(&folded(text))),
                Anything::ButWildcard(wildcards) => !text.is_some_and(|text| wildcards.iter().any(|wildcard| wildcard.matches(text))),
            },
        }
    }
}
