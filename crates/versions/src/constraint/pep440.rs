//! Python version specifiers (PEP 440, "Version specifiers"): clauses joined by commas.
//!
//! Pre-releases are versions like any other here, as if `prereleases` were on: that switch says what to install, not what is
//! affected.

use super::{ConstraintError, Op, operator};
use crate::digits;
use crate::pep440::{Parsed, releases};
use std::cmp::Ordering;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clause {
    Compare(Op),
    Compatible,
    Arbitrary,
    /// `==1.2.*`
    Prefix,
    /// `!=1.2.*`
    NotPrefix,
}

const OPERATORS: &[(&str, Clause)] = &[
    ("~=", Clause::Compatible),
    ("==", Clause::Compare(Op::Equal)),
    ("!=", Clause::Compare(Op::Different)),
    ("<=", Clause::Compare(Op::AtMost)),
    (">=", Clause::Compare(Op::AtLeast)),
    ("<", Clause::Compare(Op::Less)),
    (">", Clause::Compare(Op::Greater)),
    ("===", Clause::Arbitrary),
];

#[derive(Clone, Debug)]
pub(super) struct Specifiers(Vec<(Clause, String)>);

impl Specifiers {
    pub(super) fn parse(text: &str) -> Result<Self, ConstraintError> {
        let mut clauses = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let Some((clause, version)) = operator(part, OPERATORS) else {
                return Err(ConstraintError::new(text, "a clause begins with an operator"));
            };
            let version = version.trim().to_ascii_lowercase();
            let (clause, version) = match (clause, version.strip_suffix(".*")) {
                (Clause::Compare(Op::Equal), Some(prefix)) => (Clause::Prefix, prefix.to_owned()),
                (Clause::Compare(Op::Different), Some(prefix)) => (Clause::NotPrefix, prefix.to_owned()),
                _ => (clause, version),
            };
            let parsed = Parsed::of(&version);
            let sound = match (clause, &parsed) {
                (Clause::Arbitrary, _) => !version.is_empty(),
                (_, None) => false,
                (Clause::Compatible, Some(parsed)) => parsed.release.len() > 1 && parsed.local.is_none(),
                (Clause::Prefix | Clause::NotPrefix, Some(parsed)) => parsed.local.is_none() && parsed.dev.is_none(),
                (Clause::Compare(Op::Equal | Op::Different), Some(_)) => true,
                (Clause::Compare(_), Some(parsed)) => parsed.local.is_none(),
            };
            if !sound {
                return Err(ConstraintError::new(text, "a clause has no version that fits its operator"));
            }
            clauses.push((clause, version));
        }
        Ok(Self(clauses))
    }

    pub(super) fn contains(&self, version: &str) -> bool {
        let version = version.trim().to_ascii_lowercase();
        let parsed = Parsed::of(&version);
        self.0.iter().all(|(clause, bound)| match (clause, &parsed, Parsed::of(bound)) {
            (Clause::Arbitrary, _, _) => version == *bound,
            (clause, Some(version), Some(bound)) => admits(*clause, version, &bound),
            _ => false,
        })
    }
}

fn admits(clause: Clause, version: &Parsed<'_>, bound: &Parsed<'_>) -> bool {
    // Local versions take part only where the clause has one.
    let public = Parsed { local: if bound.local.is_some() { version.local } else { None }, ..version.clone() };
    let order = public.compare(bound);
    match clause {
        Clause::Compare(Op::Less) => {
            // `<1.0` does not mean the pre-releases of 1.0.
            order.is_lt() && (is_pre(bound) || !is_pre(version) || !same_release(version, bound))
        }
        Clause::Compare(Op::Greater) => {
            // `>1.0` means neither the post-releases nor the local versions of 1.0.
            let is_post_of = bound.post.is_none() && version.post.is_some() && same_release(version, bound);
            let is_local_of = version.local.is_some() && same_release(version, bound);
            version.compare(bound).is_gt() && !is_post_of && !is_local_of
        }
        Clause::Compare(op) => op.holds(order),
        Clause::Prefix => has_prefix(version, bound),
        Clause::NotPrefix => !has_prefix(version, bound),
        Clause::Compatible => {
            let mut prefix = Parsed { pre: None, post: None, dev: None, local: None, ..bound.clone() };
            prefix.release.pop();
            order.is_ge() && has_prefix(version, &prefix)
        }
        // Decided by the text alone.
        Clause::Arbitrary => false,
    }
}

const fn is_pre(version: &Parsed<'_>) -> bool {
    version.pre.is_some() || version.dev.is_some()
}

fn same_release(a: &Parsed<'_>, b: &Parsed<'_>) -> bool {
    digits::compare(a.epoch, b.epoch).is_eq() && releases(&a.release, &b.release).is_eq()
}

/// Missing numbers of the version are zeros; a prefix with a suffix (`1.0a1.*`) is matched up to that suffix.
fn has_prefix(version: &Parsed<'_>, prefix: &Parsed<'_>) -> bool {
    let numbers = prefix
        .release
        .iter()
        .enumerate()
        .all(|(i, number)| digits::compare(version.release.get(i).copied().unwrap_or_default(), number).is_eq());
    let same = |a: Option<&[u8]>, b: Option<&[u8]>| match (a, b) {
        (Some(a), Some(b)) => digits::compare(a, b).is_eq(),
        (a, b) => a.is_none() && b.is_none(),
    };
    let rest_is_zero = || version.release.iter().skip(prefix.release.len()).all(|n| digits::compare(n, b"").is_eq());
    let suffix = match (prefix.pre, prefix.post) {
        (None, None) => true,
        (Some((letter, number)), None) => {
            rest_is_zero() && version.pre.is_some_and(|(l, n)| l == letter && digits::compare(n, number) == Ordering::Equal)
        }
        (pre, post) => {
            rest_is_zero()
                && pre.map(|(letter, _)| letter) == version.pre.map(|(letter, _)| letter)
                && same(pre.map(|(_, n)| n), version.pre.map(|(_, n)| n))
                && same(post, version.post)
        }
    };
    digits::compare(version.epoch, prefix.epoch).is_eq() && numbers && suffix
}
