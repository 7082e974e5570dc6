//! Which world a package's name and version belong to.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// The family of an ecosystem: one set of naming and ordering rules.
///
/// Names are those of the OSV schema ("defined ecosystems"), which has none for Amazon Linux, Arch Linux, Bottlerocket,
/// CocoaPods, Conda, Fedora and Windows; an unknown one is kept verbatim and is never guessed at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are their own documentation")]
pub enum Family {
    AlmaLinux,
    Alpine,
    Amazon,
    AzureLinux,
    Bitnami,
    Bottlerocket,
    Chainguard,
    ConanCenter,
    Cran,
    CratesIo,
    Debian,
    Fedora,
    Go,
    Hackage,
    Hex,
    Maven,
    Npm,
    NuGet,
    OpenSuse,
    Oracle,
    Packagist,
    Photon,
    Pub,
    PyPi,
    RedHat,
    RockyLinux,
    RubyGems,
    Suse,
    SwiftUrl,
    Ubuntu,
    Wolfi,
    CocoaPods,
    Conda,
    Julia,
    Kubernetes,
    Other(String),
    Arch,
    Windows,
}

const NAMES: &[(Family, &str)] = &[
    (Family::AlmaLinux, "AlmaLinux"),
    (Family::Alpine, "Alpine"),
    (Family::Amazon, "Amazon Linux"),
    (Family::AzureLinux, "Azure Linux"),
    (Family::Bitnami, "Bitnami"),
    (Family::Bottlerocket, "Bottlerocket"),
    (Family::Chainguard, "Chainguard"),
    (Family::ConanCenter, "ConanCenter"),
    (Family::Cran, "CRAN"),
    (Family::CratesIo, "crates.io"),
    (Family::Debian, "Debian"),
    (Family::Fedora, "Fedora"),
    (Family::Go, "Go"),
    (Family::Hackage, "Hackage"),
    (Family::Hex, "Hex"),
    (Family::Maven, "Maven"),
    (Family::Npm, "npm"),
    (Family::NuGet, "NuGet"),
    (Family::OpenSuse, "openSUSE"),
    (Family::Oracle, "Oracle Linux"),
    (Family::Packagist, "Packagist"),
    (Family::Photon, "Photon OS"),
    (Family::Pub, "Pub"),
    (Family::PyPi, "PyPI"),
    (Family::RedHat, "Red Hat"),
    (Family::RockyLinux, "Rocky Linux"),
    (Family::RubyGems, "RubyGems"),
    (Family::Suse, "SUSE"),
    (Family::SwiftUrl, "SwiftURL"),
    (Family::Ubuntu, "Ubuntu"),
    (Family::Wolfi, "Wolfi"),
    (Family::CocoaPods, "CocoaPods"),
    (Family::Conda, "Conda"),
    (Family::Julia, "Julia"),
    (Family::Kubernetes, "Kubernetes"),
    (Family::Arch, "Arch Linux"),
    (Family::Windows, "Windows"),
];

impl Family {
    /// The OSV schema's spelling.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Other(name) => name,
            known => NAMES.iter().find(|(family, _)| family == known).map_or("", |(_, name)| name),
        }
    }

    /// Whether packages of this family are an operating system's own, judged by its distributor's advisories.
    #[must_use]
    pub const fn is_os(&self) -> bool {
        matches!(
            self,
            Self::AlmaLinux
                | Self::Alpine
                | Self::Amazon
                | Self::Arch
                | Self::AzureLinux
                | Self::Bottlerocket
                | Self::Chainguard
                | Self::Debian
                | Self::Fedora
                | Self::OpenSuse
                | Self::Oracle
                | Self::Photon
                | Self::RedHat
                | Self::RockyLinux
                | Self::Suse
                | Self::Ubuntu
                | Self::Windows
                | Self::Wolfi
        )
    }

    /// Whether advisories of this family name the *source* package, so that its name and version are what is compared.
    #[must_use]
    pub const fn judges_source(&self) -> bool {
        matches!(self, Self::Debian | Self::Ubuntu | Self::Alpine | Self::Wolfi | Self::Chainguard)
    }

    /// Whether advisories of this family name packages as they are installed where they know a fix, and source packages where
    /// there is none.
    #[must_use]
    pub const fn names_both(&self) -> bool {
        matches!(self, Self::RedHat)
    }

    /// A release without what some write about it and others do not.
    ///
    /// `22.04:LTS` is `22.04` to Ubuntu; `Pro:22.04:LTS` is another release: its fixes are for subscribers. Red Hat's are CPEs
    /// (`enterprise_linux:9::baseos`), of which the repository does not matter; those of extended support (`rhel_eus:9.2`) are
    /// releases of their own. SUSE's are products: what a module or an edition gets is of the service pack that all share
    /// (`Linux Enterprise Module for Basesystem 15 SP4` is of `15 SP4`).
    fn plain_release<'a>(&self, release: &'a str) -> &'a str {
        match self {
            Self::Ubuntu => release.strip_suffix(":LTS").unwrap_or(release),
            Self::RedHat => {
                let product = release.strip_prefix("enterprise_linux:").unwrap_or(release);
                product.split_once("::").map_or(product, |(product, _)| product)
            }
            Self::Suse => service_pack(release),
            _ => release,
        }
    }

    /// A package name in the one spelling under which it is indexed.
    ///
    /// PyPI by PEP 503; NuGet and Packagist are case-insensitive; all others are taken as they are.
    #[must_use]
    pub fn normalise<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match self {
            Self::PyPi => pep503(name),
            Self::NuGet | Self::Packagist | Self::CratesIo if name.bytes().any(|b| b.is_ascii_uppercase()) => {
                Cow::Owned(name.to_ascii_lowercase())
            }
            _ => Cow::Borrowed(name),
        }
    }
}

/// `15 SP4` of `Linux Enterprise Server 15 SP4-LTSS`; what is no edition of the enterprise system is kept whole.
fn service_pack(release: &str) -> &str {
    let Some(product) = release.strip_prefix("Linux Enterprise ").filter(|product| !product.starts_with("Micro")) else { return release };
    let Some(at) = product.find(|c: char| c.is_ascii_digit()) else { return release };
    // Names of modules may have numbers of their own: the release is the last.
    let at =
        product.match_indices(' ').map(|(at, _)| at + 1).rfind(|at| product[*at..].starts_with(|c: char| c.is_ascii_digit())).unwrap_or(at);
    let pack = &product[at..];
    pack.find('-').map_or(pack, |end| &pack[..end])
}

/// PEP 503: lower case, runs of `-`, `_` and `.` become one `-`.
fn pep503(name: &str) -> Cow<'_, str> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if name.bytes().all(plain) {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if out.ends_with('-') => {}
            '-' | '_' | '.' => out.push('-'),
            c => out.push(c.to_ascii_lowercase()),
        }
    }
    Cow::Owned(out)
}

/// A family and, where it has them, a release: `Debian:12`, `Ubuntu:22.04:LTS`, `npm`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ecosystem {
    /// The family.
    pub family: Family,
    /// What follows the first colon, if anything.
    pub release: Option<String>,
}

/// An ecosystem name that is empty or absurdly long.
#[derive(Debug, thiserror::Error)]
#[error("an ecosystem is 1 to 256 characters, not {0}")]
pub struct EcosystemError(usize);

impl Ecosystem {
    /// An ecosystem without a release.
    #[must_use]
    pub const fn of(family: Family) -> Self {
        Self { family, release: None }
    }

    /// An ecosystem of one release.
    #[must_use]
    pub fn release(family: Family, release: &str) -> Self {
        Self { family, release: Some(release.to_owned()) }
    }

    /// Whether an advisory for `self` speaks about a component of `other`: same family, and the same release unless one of
    /// the two names none (OSV: bare `Debian` is all releases).
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.family == other.family
            && match (&self.release, &other.release) {
                (Some(a), Some(b)) => a == b || self.family.plain_release(a) == self.family.plain_release(b),
                _ => true,
            }
    }
}

impl FromStr for Ecosystem {
    type Err = EcosystemError;

    fn from_str(text: &str) -> Result<Self, EcosystemError> {
        if text.is_empty() || text.len() > 256 {
            return Err(EcosystemError(text.len()));
        }
        let (family, release) = match text.split_once(':') {
            Some((family, release)) if !release.is_empty() => (family, Some(release.to_owned())),
            Some((family, _)) => (family, None),
            None => (text, None),
        };
        let family =
            NAMES.iter().find(|(_, name)| *name == family).map_or_else(|| Family::Other(family.to_owned()), |(known, _)| known.clone());
        Ok(Self { family, release })
    }
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.family.name())?;
        self.release.as_ref().map_or(Ok(()), |release| write!(f, ":{release}"))
    }
}

impl TryFrom<String> for Ecosystem {
    type Error = EcosystemError;
    fn try_from(text: String) -> Result<Self, EcosystemError> {
        text.parse()
    }
}

impl From<Ecosystem> for String {
    fn from(ecosystem: Ecosystem) -> Self {
        ecosystem.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for text in ["Debian:12", "npm", "Ubuntu:22.04:LTS", "Packagist:https://packages.drupal.org/8", "Something New:1"] {
            assert_eq!(text.parse::<Ecosystem>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_bare_release_covers_all() {
        let eco = |s: &str| s.parse::<Ecosystem>().unwrap();
        assert!(eco("Debian").covers(&eco("Debian:12")));
        assert!(!eco("Debian:11").covers(&eco("Debian:12")));
        assert!(!eco("Ubuntu").covers(&eco("Debian:12")));
        assert!(eco("Ubuntu:22.04:LTS").covers(&eco("Ubuntu:22.04")) && eco("Ubuntu:22.04").covers(&eco("Ubuntu:22.04:LTS")));
        assert!(!eco("Ubuntu:Pro:22.04:LTS").covers(&eco("Ubuntu:22.04")));
        assert!(eco("Red Hat:enterprise_linux:9::baseos").covers(&eco("Red Hat:9")));
        assert!(!eco("Red Hat:rhel_eus:9.2::baseos").covers(&eco("Red Hat:9")));
        assert!(eco("Red Hat:rhel_eus:9.2::baseos").covers(&eco("Red Hat:rhel_eus:9.2::appstream")));
    }

    #[test]
    fn all_editions_of_a_service_pack_are_one_release() {
        let eco = |s: &str| s.parse::<Ecosystem>().unwrap();
        let ours = eco("SUSE:Linux Enterprise Server 15 SP4");
        for same in
            ["Server 15 SP4-LTSS", "Module for Basesystem 15 SP4", "Module for Python 3 15 SP4", "Server for SAP Applications 15 SP4"]
        {
            assert!(eco(&format!("SUSE:Linux Enterprise {same}")).covers(&ours), "{same}");
        }
        for other in ["Linux Enterprise Server 15 SP5", "Linux Enterprise Server 15", "Linux Enterprise Micro 5.4", "Manager Server 4.3"] {
            assert!(!eco(&format!("SUSE:{other}")).covers(&ours), "{other}");
        }
    }

    #[test]
    fn names_are_normalised_by_their_family_only() {
        assert_eq!(Family::PyPi.normalise("Foo__Bar.baz"), "foo-bar-baz");
        assert_eq!(Family::Npm.normalise("@A/b"), "@A/b");
        assert_eq!(Family::NuGet.normalise("Newtonsoft.Json"), "newtonsoft.json");
    }
}
