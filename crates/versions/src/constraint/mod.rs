//! The range languages of the package managers.
//!
//! Each language has a file. Most are comparisons joined by "and" within "or"; npm and Cargo also say which pre-releases a range
//! may hold.

mod cargo;
pub(crate) mod composer;
mod generic;
mod maven;
pub(crate) mod npm;
mod pep440;
mod rubygems;
mod semver;

use crate::Scheme;
use std::cmp::Ordering;
use std::fmt;

/// A range language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Language {
    /// npm ranges (node-semver).
    Npm {
        /// Pre-releases are versions like any other.
        include_prerelease: bool,
        /// Versions with leading zeros or without a hyphen are taken, comparators that make no sense are dropped.
        loose: bool,
    },
    /// Python version specifiers (PEP 440). Pre-releases are versions like any other: an advisory speaks about all of them.
    Pep440,
    /// Maven ranges (`[1.0,2.0)`), or comparisons (`>=1.0, <2.0 || 3.0`).
    Maven,
    /// Gem requirements (`~> 1.2, != 1.2.3`).
    RubyGems,
    /// Composer constraints.
    Composer,
    /// Cargo requirements.
    Cargo,
    /// Comparisons of [`Scheme::Generic`] versions, with `~`, `~>` and `^`.
    Generic,
    /// Comparisons of SemVer versions, with `~`, `^` and wildcards. Pre-releases are versions like any other.
    Semver,
}

/// What a constraint does not admit, and on which side a version is outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Above everything that the constraint admits.
    Above,
    /// Below everything that the constraint admits.
    Below,
}

/// A text that is not a constraint of its language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConstraintError {
    text: String,
    reason: &'static str,
}

impl ConstraintError {
    fn new(text: &str, reason: &'static str) -> Self {
        Self { text: text.chars().take(128).collect(), reason }
    }
}

impl fmt::Display for ConstraintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not a constraint: {}", self.text, self.reason)
    }
}

impl std::error::Error for ConstraintError {}

/// A parsed constraint.
#[derive(Clone, Debug)]
pub struct Constraint(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Npm(npm::Range),
    Pep440(pep440::Specifiers),
    Composer(composer::Constraints),
    Semver(semver::Constraints),
    Compare(Compare),
}

/// Longer texts are refused: no package manager writes them, and nothing here should take long.
const LONGEST: usize = 16 * 1024;

impl Constraint {
    /// Parses a constraint.
    ///
    /// # Errors
    /// When the text is not a constraint of this language.
    pub fn parse(language: Language, text: &str) -> Result<Self, ConstraintError> {
        if text.len() > LONGEST {
            return Err(ConstraintError::new(text, "it is too long"));
        }
        Ok(Self(match language {
            Language::Npm { include_prerelease, loose } => Kind::Npm(npm::Range::parse(text, include_prerelease, loose)?),
            Language::Pep440 => Kind::Pep440(pep440::Specifiers::parse(text)?),
            Language::Maven => Kind::Compare(maven::parse(text)?),
            Language::RubyGems => Kind::Compare(rubygems::parse(text)?),
            Language::Composer => Kind::Composer(composer::Constraints::parse(text)?),
            Language::Cargo => Kind::Npm(cargo::parse(text)?),
            Language::Generic => Kind::Compare(generic::parse(text)?),
            Language::Semver => Kind::Semver(semver::Constraints::parse(text)?),
        }))
    }

    /// Whether the constraint admits a version. A text that the language does not take for a version is admitted by nothing;
    /// [`Scheme::is_valid`] tells the two apart.
    #[must_use]
    pub fn contains(&self, version: &str) -> bool {
        match &self.0 {
            Kind::Npm(range) => range.contains(version),
            Kind::Pep440(specifiers) => specifiers.contains(version),
            Kind::Composer(constraints) => constraints.contains(version),
            Kind::Semver(constraints) => constraints.contains(version),
            Kind::Compare(compare) => compare.contains(version),
        }
    }

    /// Whether a version lies outside on one side, as node-semver's `gtr` and `ltr` have it. Only npm's and Cargo's ranges tell;
    /// none from all others and for what is no version.
    #[must_use]
    pub fn is_outside(&self, version: &str, side: Side) -> Option<bool> {
        match &self.0 {
            Kind::Npm(range) => range.is_outside(version, side),
            _ => None,
        }
    }

    /// The range in plain comparators; only npm's and Cargo's languages have such a form.
    #[must_use]
    pub fn normalised(&self) -> Option<String> {
        match &self.0 {
            Kind::Npm(range) => Some(range.to_string()),
            _ => None,
        }
    }
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Equal,
    Different,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Op {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Different => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

/// Comparisons under one scheme: any of the alternatives, all within one.
#[derive(Clone, Debug)]
struct Compare {
    scheme: Scheme,
    alternatives: Vec<Vec<Term>>,
}

#[derive(Clone, Debug)]
struct Term {
    op: Op,
    version: String,
    /// The version is compared by its release alone, as in the upper bound of a gem's `~>`.
    release_only: bool,
}

impl Term {
    fn new(op: Op, version: impl Into<String>) -> Self {
        Self { op, version: version.into(), release_only: false }
    }
}

impl Compare {
    fn contains(&self, version: &str) -> bool {
        self.alternatives.iter().any(|terms| {
            terms.iter().all(|term| {
                let version = if term.release_only { rubygems::release(version) } else { version };
                term.op.holds(self.scheme.compare(version, &term.version))
            })
        })
    }
}

/// Takes the longest of the operators off the front of a text.
fn operator<'a, T: Copy>(text: &'a str, operators: &[(&str, T)]) -> Option<(T, &'a str)> {
    operators
        .iter()
        .filter_map(|(name, op)| text.strip_prefix(name).map(|rest| (name.len(), *op, rest)))
        .max_by_key(|(length, ..)| *length)
        .map(|(_, op, rest)| (op, rest))
}

/// One more than a number of any length.
fn next_number(number: &str) -> String {
    let mut digits = number.as_bytes().to_vec();
    for digit in digits.iter_mut().rev() {
        if *digit == b'9' {
            *digit = b'0';
        } else {
            *digit += 1;
            return digits.into_iter().map(char::from).collect();
        }
    }
    std::iter::once('1').chain(digits.into_iter().map(char::from)).collect()
}
