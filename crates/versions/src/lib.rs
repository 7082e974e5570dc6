//! Ordering and ranges of every ecosystem's versions. Pure; the only code in the house that compares two versions.
//!
//! A [`Scheme`] is a total order over *all* strings: versions that do not parse still have their place, so that sorting never
//! panics and never depends on the order of its input. Where an ecosystem has no scheme yet, [`Scheme::of`] answers none and
//! callers must say "cannot be compared", never "not affected".

mod apk;
mod deb;
mod digits;
mod packagist;
mod pep440;
mod range;
mod rpm;
mod rubygems;
mod semver;

pub use range::{Position, position};

use lestrade_model::Family;
use std::cmp::Ordering;

/// A way of ordering versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// apk-tools.
    Apk,
    /// Debian policy 5.6.12.
    Deb,
    /// `rpmvercmp` over epoch, version, release (rpm manual, "Version comparison").
    Rpm,
    /// `rpmvercmp` alone, over a single version or release.
    RpmSegment,
    /// SemVer 2.0.0, lenient about a leading `v` and the number of parts.
    Semver,
    /// PEP 440.
    Pep440,
    /// RubyGems.
    RubyGems,
    /// PHP's `version_compare`, as Composer uses it.
    Packagist,
}

impl Scheme {
    /// The order of an ecosystem's versions; none when it is not supported.
    #[must_use]
    pub const fn of(family: &Family) -> Option<Self> {
        Some(match family {
            Family::Debian | Family::Ubuntu => Self::Deb,
            Family::AlmaLinux
            | Family::Amazon
            | Family::AzureLinux
            | Family::Oracle
            | Family::Photon
            | Family::RedHat
            | Family::RockyLinux
            | Family::Suse => Self::Rpm,
            Family::Npm | Family::CratesIo | Family::Go | Family::Hex | Family::SwiftUrl | Family::Bitnami => Self::Semver,
            Family::PyPi => Self::Pep440,
            Family::Alpine | Family::Wolfi | Family::Chainguard => Self::Apk,
            Family::RubyGems => Self::RubyGems,
            Family::Packagist => Self::Packagist,
            _ => return None,
        })
    }

    /// Compares two versions.
    #[must_use]
    pub fn compare(self, a: &str, b: &str) -> Ordering {
        match self {
            Self::Apk => apk::compare(a, b),
            Self::Deb => deb::compare(a, b),
            Self::Rpm => rpm::compare(a, b),
            Self::RpmSegment => rpm::compare_segments(a, b),
            Self::Semver => semver::compare(a, b),
            Self::Pep440 => pep440::compare(a, b),
            Self::RubyGems => rubygems::compare(a, b),
            Self::Packagist => packagist::compare(a, b),
        }
    }
}
