//! Ordering and ranges of every ecosystem's versions. Pure; the only code in the house that compares two versions.
//!
//! A [`Scheme`] is a total order over *all* strings: versions that do not parse still have their place, so that sorting never
//! panics and never depends on the order of its input. Where an ecosystem is unknown, [`Scheme::of`] answers none and callers must
//! say "cannot be compared", never "not affected".
//!
//! Ranges come in two shapes: the events of OSV ([`position`]) and the constraint languages of the package managers
//! ([`Constraint`]).

mod apk;
mod constraint;
mod deb;
mod digits;
mod generic;
mod maven;
mod numeric;
mod packagist;
mod pacman;
mod pep440;
mod range;
mod rpm;
mod rubygems;
mod semver;
mod upstream;
mod windows;

pub use constraint::{Constraint, ConstraintError, Language, Side};
pub use range::{Position, position};

use lestrade_model::Family;
use semver::Dialect;
use std::cmp::Ordering;

/// What separates the numbers of a CRAN version.
const CRAN: &[char] = &['.', '-'];
/// What separates the numbers of a Hackage version.
const HACKAGE: &[char] = &['.'];

/// A way of ordering versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// Debian policy 5.6.12.
    Deb,
    /// `rpmvercmp` over epoch, version, release (rpm manual, "Version comparison").
    Rpm,
    /// `rpmvercmp` alone, over a single version or release.
    RpmSegment,
    /// apk-tools' order.
    Apk,
    /// SemVer 2.0.0, lenient about a leading `v` and the number of parts.
    Semver,
    /// SemVer as npm reads it: a pre-release may lack its hyphen.
    Npm,
    /// The same order; [`Scheme::is_valid`] is node-semver's "loose" reading.
    NpmLoose,
    /// SemVer with a fourth number, pre-releases without regard to case.
    NuGet,
    /// SemVer with build metadata taking part.
    Pub,
    /// PEP 440.
    Pep440,
    /// The POM reference's version order.
    Maven,
    /// `Gem::Version`.
    RubyGems,
    /// PHP's `version_compare`, as Composer's registry uses it.
    Packagist,
    /// R's `package_version`.
    Cran,
    /// The Haskell Package Versioning Policy.
    Hackage,
    /// Any number of numbers, then a pre-release as in SemVer.
    Generic,
    /// vercmp(8), pacman's.
    Pacman,
    /// Builds and updates of Windows.
    Windows,
    /// Versions of programs that follow no ecosystem's rules.
    Upstream,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Deb,
        Self::Rpm,
        Self::RpmSegment,
        Self::Apk,
        Self::Semver,
        Self::Npm,
        Self::NpmLoose,
        Self::NuGet,
        Self::Pub,
        Self::Pep440,
        Self::Maven,
        Self::RubyGems,
        Self::Packagist,
        Self::Cran,
        Self::Hackage,
        Self::Generic,
        Self::Pacman,
        Self::Windows,
        Self::Upstream,
    ];

    /// The order of an ecosystem's versions; none when the ecosystem is not known: its order is never guessed at.
    #[must_use]
    pub const fn of(family: &Family) -> Option<Self> {
        Some(match family {
            Family::Debian | Family::Ubuntu => Self::Deb,
            Family::AlmaLinux
            | Family::Amazon
            | Family::AzureLinux
            | Family::Oracle
            | Family::Bottlerocket
            | Family::Fedora
            | Family::OpenSuse
            | Family::Photon
            | Family::RedHat
            | Family::RockyLinux
            | Family::Suse => Self::Rpm,
            Family::Alpine | Family::Chainguard | Family::Wolfi => Self::Apk,
            Family::Npm => Self::Npm,
            Family::CratesIo | Family::Go | Family::Hex | Family::Julia | Family::Kubernetes | Family::SwiftUrl | Family::Bitnami => {
                Self::Semver
            }
            Family::Pub => Self::Pub,
            Family::NuGet => Self::NuGet,
            Family::PyPi => Self::Pep440,
            Family::Maven => Self::Maven,
            Family::CocoaPods | Family::RubyGems => Self::RubyGems,
            Family::Packagist => Self::Packagist,
            Family::Cran => Self::Cran,
            Family::Hackage => Self::Hackage,
            Family::ConanCenter => Self::Generic,
            Family::Arch => Self::Pacman,
            Family::Windows => Self::Windows,
            // What of it is judged at all is what others have written.
            Family::Conda => Self::Upstream,
            _ => return None,
        })
    }

    /// Compares two versions.
    #[must_use]
    pub fn compare(self, a: &str, b: &str) -> Ordering {
        match self {
            Self::Deb => deb::compare(a, b),
            Self::Rpm => rpm::compare(a, b),
            Self::RpmSegment => rpm::compare_segments(a, b),
            Self::Apk => apk::compare(a, b),
            Self::Semver => semver::compare(a, b, Dialect::Plain),
            Self::Npm | Self::NpmLoose => semver::compare(a, b, Dialect::Npm),
            Self::NuGet => semver::compare(a, b, Dialect::NuGet),
            Self::Pub => semver::compare(a, b, Dialect::Pub),
            Self::Pep440 => pep440::compare(a, b),
            Self::Maven => maven::compare(a, b),
            Self::RubyGems => rubygems::compare(a, b),
            Self::Packagist => packagist::compare(a, b),
            Self::Cran => numeric::compare(a, b, CRAN),
            Self::Hackage => numeric::compare(a, b, HACKAGE),
            Self::Generic => generic::compare(a, b),
            Self::Pacman => pacman::compare(a, b),
            Self::Windows => windows::compare(a, b),
            Self::Upstream => upstream::compare(a, b),
        }
    }

    /// Whether a text is a version by the letter of the ecosystem's grammar. Comparing asks for no such thing.
    #[must_use]
    pub fn is_valid(self, version: &str) -> bool {
        match self {
            Self::Deb => deb::is_valid(version),
            Self::Rpm | Self::RpmSegment => rpm::is_valid(version),
            Self::Apk => apk::is_valid(version),
            Self::Semver | Self::Pub => semver::Strict::of(version).is_some(),
            Self::Npm => constraint::npm::Version::parse(version, false).is_some(),
            Self::NpmLoose => constraint::npm::Version::parse(version, true).is_some(),
            Self::NuGet => semver::is_valid_nuget(version),
            Self::Pep440 => pep440::is_valid(version),
            Self::Maven => maven::is_valid(version),
            Self::RubyGems => rubygems::is_valid(version),
            Self::Packagist => constraint::composer::normalise(version).is_some(),
            Self::Cran => numeric::is_valid(version, CRAN) && version.contains(CRAN),
            Self::Hackage => numeric::is_valid(version, HACKAGE),
            Self::Generic => generic::is_valid(version),
            Self::Pacman => pacman::is_valid(version),
            Self::Windows => windows::is_valid(version),
            Self::Upstream => upstream::is_valid(version),
        }
    }

    /// apk's fuzzy match, `~`: whether `version` is `prefix` or goes on from it. No other scheme has one.
    #[must_use]
    pub fn goes_on_from(self, version: &str, prefix: &str) -> bool {
        match self {
            Self::Apk => apk::matches_prefix(version, prefix),
            _ => false,
        }
    }
}
