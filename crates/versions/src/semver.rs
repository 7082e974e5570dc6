//! SemVer 2.0.0 (semver.org), lenient as its ecosystems are: a leading `v` or `=`, any number of parts, missing parts are zero.
//!
//! NuGet compares pre-releases without regard to case (NuGet, "Package versioning"); Dart's Pub orders by build metadata too
//! (`pub_semver`), and npm takes a pre-release without its hyphen ("loose" in node-semver).

use crate::digits;
use std::cmp::Ordering;

/// Where the ecosystems differ.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Plain,
    Npm,
    NuGet,
    Pub,
}

pub(crate) fn compare(a: &str, b: &str, dialect: Dialect) -> Ordering {
    if let Some(order) = digits::dotted(a, b) {
        return order;
    }
    if dialect == Dialect::NuGet {
        let lower = |version: &str| version.bytes().any(|c| c.is_ascii_uppercase()).then(|| version.to_ascii_lowercase());
        return match (lower(a), lower(b)) {
            (None, None) => compare(a, b, Dialect::Plain),
            (lower_a, lower_b) => compare(lower_a.as_deref().unwrap_or(a), lower_b.as_deref().unwrap_or(b), Dialect::Plain),
        };
    }
    let (a_core, a_pre, a_build) = split(a, dialect);
    let (b_core, b_pre, b_build) = split(b, dialect);
    core(a_core, b_core)
        .then_with(|| match (a_pre, b_pre) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => prerelease(a, b),
        })
        .then_with(|| match (a_build, b_build) {
            (Some(a), Some(b)) if dialect == Dialect::Pub => prerelease(a, b),
            (a, b) if dialect == Dialect::Pub => a.is_some().cmp(&b.is_some()),
            _ => Ordering::Equal,
        })
}

/// The dotted core, the pre-release and the build metadata.
fn split(version: &str, dialect: Dialect) -> (&str, Option<&str>, Option<&str>) {
    let version = digits::trimmed(version).trim_start_matches(['v', 'V', '=', ' ']);
    let (version, build) = version.split_once('+').map_or((version, None), |(version, build)| (version, Some(build)));
    if dialect == Dialect::Npm {
        let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
        let (core, pre) = version.split_at(end);
        let pre = (!pre.is_empty()).then(|| pre.strip_prefix('-').unwrap_or(pre));
        return (core, pre, build);
    }
    match version.split_once('-') {
        Some((core, pre)) => (core, Some(pre), build),
        None => (version, None, build),
    }
}

fn core(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) => {
                let order = identifier(a.filter(|s| !s.is_empty()).unwrap_or("0"), b.filter(|s| !s.is_empty()).unwrap_or("0"));
                if order.is_ne() {
                    return order;
                }
            }
        }
    }
}

/// Numbers by value, below words; words by bytes.
fn identifier(a: &str, b: &str) -> Ordering {
    match (is_number(a), is_number(b)) {
        (true, true) => digits::compare(a.as_bytes(), b.as_bytes()),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
    }
}

fn is_number(s: &str) -> bool {
    s.bytes().all(|c| c.is_ascii_digit())
}

/// SemVer item 11.4: identifier by identifier; of two that agree so far the longer is the greater.
pub(crate) fn prerelease(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => {
                let order = identifier(a, b);
                if order.is_ne() {
                    return order;
                }
            }
        }
    }
}

/// A version by the letter of the specification: three numbers without leading zeros, a pre-release, build metadata.
pub(crate) struct Strict<'a> {
    pub(crate) numbers: [&'a str; 3],
    /// Empty when there is none.
    pub(crate) pre: &'a str,
}

impl<'a> Strict<'a> {
    pub(crate) fn of(version: &'a str) -> Option<Self> {
        let (version, build) = version.split_once('+').map_or((version, None), |(version, build)| (version, Some(build)));
        let (core, pre) = version.split_once('-').map_or((version, None), |(core, pre)| (core, Some(pre)));
        let mut parts = core.split('.');
        let (Some(major), Some(minor), Some(patch), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return None;
        };
        let numbers = [major, minor, patch];
        let sound = numbers.iter().all(|part| is_plain_number(part))
            && pre.is_none_or(|pre| identifiers(pre) && pre.split('.').all(|part| !is_number(part) || is_plain_number(part)))
            && build.is_none_or(identifiers);
        sound.then_some(Self { numbers, pre: pre.unwrap_or_default() })
    }
}

/// A number without leading zeros.
fn is_plain_number(part: &str) -> bool {
    !part.is_empty() && is_number(part) && (part.len() == 1 || !part.starts_with('0'))
}

/// Dotted, not empty, of letters, digits and hyphens.
pub(crate) fn identifiers(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-'))
}

/// One to four numbers, and the suffixes of SemVer.
pub(crate) fn is_valid_nuget(version: &str) -> bool {
    let (version, build) = version.trim().split_once('+').map_or((version.trim(), None), |(version, build)| (version, Some(build)));
    let (core, pre) = version.split_once('-').map_or((version, None), |(core, pre)| (core, Some(pre)));
    core.split('.').count() <= 4
        && core.split('.').all(|part| !part.is_empty() && is_number(part))
        && pre.is_none_or(identifiers)
        && build.is_none_or(identifiers)
}
