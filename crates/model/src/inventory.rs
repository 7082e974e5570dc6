//! What was found in one resource.

use crate::{Component, Ecosystem, Hash};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which package manager put a component where it is. Inventories are kept with the number of the variant: a new one goes before the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are their own documentation")]
pub enum Manager {
    Apk,
    Bundler,
    Cargo,
    Composer,
    Dpkg,
    GoBinary,
    GoModules,
    Jar,
    Npm,
    /// An installed Node package (`node_modules/*/package.json`).
    NodePackage,
    NuGet,
    Pip,
    Pnpm,
    Poetry,
    /// An installed Python distribution (`*.dist-info`, `*.egg-info`).
    PythonPackage,
    Rpm,
    Uv,
    Yarn,
    Bottlerocket,
    Bun,
    Cabal,
    CocoaPods,
    Conan,
    Conda,
    /// What a .NET program was published with (`*.deps.json`).
    DotNetDeps,
    /// An installed Ruby gem (`specifications/*.gemspec`).
    Gem,
    Gradle,
    Julia,
    Maven,
    Mix,
    Pub,
    Renv,
    Sbt,
    Stack,
    Swift,
    /// A program that lists the crates that it was built from.
    RustBinary,
    Other,
    Pacman,
    /// Windows itself, with the updates that it knows to be installed.
    WindowsServicing,
}

/// One place where a component lies.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Occurrence {
    /// Index into [`Inventory::components`].
    pub component: u32,
    /// The file that says so, relative to the root, `/`-separated; lossily decoded, so only for people.
    pub path: String,
    /// The computed digest (`sha256:…`) of the image layer that brought it.
    pub layer: Option<String>,
    /// The architecture as the package manager spells it.
    pub arch: Option<String>,
    /// Who manages it.
    pub manager: Manager,
}

/// What an os-release file (or its fall-backs) said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OsRelease {
    /// `ID`, lower case: `debian`.
    pub id: String,
    /// `VERSION_ID`: `12`; empty on testing releases.
    pub version: String,
    /// `PRETTY_NAME`, for people.
    pub pretty_name: String,
}

impl OsRelease {
    /// The ecosystem of this system's own packages; none when the distribution is not one that we know.
    #[must_use]
    pub fn ecosystem(&self) -> Option<Ecosystem> {
        use crate::Family;
        let major = self.version.split('.').next().unwrap_or_default();
        let (family, release) = match self.id.as_str() {
            "debian" => (Family::Debian, major.to_owned()),
            "ubuntu" => (Family::Ubuntu, self.version.clone()),
            "alpine" => (Family::Alpine, format!("v{}", self.version.splitn(3, '.').take(2).collect::<Vec<_>>().join("."))),
            "almalinux" => (Family::AlmaLinux, major.to_owned()),
            "rocky" => (Family::RockyLinux, major.to_owned()),
            "rhel" | "centos" => (Family::RedHat, major.to_owned()),
            // The first Amazon Linux counted by months.
            "amzn" if self.version.starts_with("201") => (Family::Amazon, "1".to_owned()),
            "amzn" => (Family::Amazon, self.version.clone()),
            "ol" => (Family::Oracle, major.to_owned()),
            "photon" => (Family::Photon, self.version.clone()),
            "mariner" | "azurelinux" => (Family::AzureLinux, major.to_owned()),
            "sles" | "sles_sap" => (Family::Suse, format!("Linux Enterprise Server {}", service_pack(&self.version))),
            "sled" => (Family::Suse, format!("Linux Enterprise Desktop {}", service_pack(&self.version))),
            "opensuse-leap" => (Family::OpenSuse, format!("Leap {}", self.version)),
            "opensuse-tumbleweed" => (Family::OpenSuse, "Tumbleweed".to_owned()),
            "fedora" => (Family::Fedora, self.version.clone()),
            // One line of releases, each of which replaces the one before.
            "bottlerocket" => (Family::Bottlerocket, String::new()),
            // A rolling release: there is one state of it.
            "arch" => (Family::Arch, String::new()),
            // A product is a release: `Windows Server 2022`.
            "windows" => (Family::Windows, self.version.clone()),
            "wolfi" => (Family::Wolfi, String::new()),
            "chainguard" => (Family::Chainguard, String::new()),
            _ => return None,
        };
        Some(Ecosystem { family, release: (!release.is_empty() && release != "v").then_some(release) })
    }
}

/// SUSE's way to write `15.5`: `15 SP5`.
fn service_pack(version: &str) -> String {
    match version.split_once('.') {
        Some((major, pack)) if pack != "0" => format!("{major} SP{pack}"),
        _ => version.split('.').next().unwrap_or_default().to_owned(),
    }
}

impl fmt::Display for OsRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.id.as_str(), self.version.as_str()) {
            ("", _) => f.write_str("unknown system"),
            // Its version is the whole name of a product.
            ("windows", product) if !product.is_empty() => f.write_str(product),
            (id, "") => f.write_str(id),
            (id, version) => write!(f, "{id} {version}"),
        }
    }
}

/// Why a part of an input is not covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The bytes are not what the format asks for.
    Malformed,
    /// The bytes end too early.
    Truncated,
    /// A limit was reached: size, depth, count, ratio or time.
    LimitExceeded,
    /// The bytes could not be read (I/O, permission).
    Unreadable,
    /// A format or variant that is recognised and not read.
    Unsupported,
    /// A digest that was promised is not the one computed.
    DigestMismatch,
    /// The parser died or was stopped by its sandbox.
    Crashed,
    /// The operating system could not be told, so its packages are listed and judged by nobody.
    UnknownSystem,
}

/// A part of an input that is not covered, and why. Never dropped: shown in the output, the exit code and the coverage.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// Where: a path inside the artifact, a layer digest, or the artifact itself.
    pub path: String,
    /// What kind.
    pub kind: ProblemKind,
    /// One clause for a person, without line breaks.
    pub detail: String,
}

/// How an input ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Completeness {
    /// All that we know how to read was read.
    Complete,
    /// Something was not.
    Partial,
}

/// Everything found in one resource: what a person is shown. Its identity is the hash of its occurrences; the set of its
/// components alone is the *match set*, which is what matching sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The operating system, if there is one.
    pub os: Option<OsRelease>,
    /// Distinct components, sorted.
    pub components: Vec<Component>,
    /// Where they lie, sorted.
    pub occurrences: Vec<Occurrence>,
    /// What could not be read, sorted.
    pub problems: Vec<Problem>,
}

impl Inventory {
    /// An inventory from (component, occurrence) pairs in any order. The occurrence's component index is set here; equal
    /// components and equal occurrences collapse.
    #[must_use]
    pub fn assemble(os: Option<OsRelease>, found: Vec<(Component, Occurrence)>, mut problems: Vec<Problem>) -> Self {
        let mut components: Vec<Component> = found.iter().map(|(component, _)| component.clone()).collect();
        components.sort_unstable();
        components.dedup();
        let mut occurrences: Vec<Occurrence> = found
            .into_iter()
            .filter_map(|(component, mut occurrence)| {
                occurrence.component = u32::try_from(components.binary_search(&component).ok()?).ok()?;
                Some(occurrence)
            })
            .collect();
        occurrences.sort_unstable();
        occurrences.dedup();
        problems.sort_unstable();
        problems.dedup();
        Self { os, components, occurrences, problems }
    }

    /// Whether everything was read.
    #[must_use]
    pub const fn completeness(&self) -> Completeness {
        if self.problems.is_empty() { Completeness::Complete } else { Completeness::Partial }
    }

    /// The identity of the match set: the hash of the sorted component hashes.
    #[must_use]
    pub fn match_set(&self) -> Hash {
        let mut hashes: Vec<Hash> = self.components.iter().map(Component::hash).collect();
        hashes.sort_unstable();
        Hash::of_fields(hashes.iter().map(|hash| hash.as_bytes().as_slice()))
    }

    /// What was found and where, as [`Inventory::assemble`] takes it.
    pub fn found(&self) -> impl Iterator<Item = (Component, Occurrence)> {
        let component = |occurrence: &Occurrence| self.components.get(usize::try_from(occurrence.component).ok()?).cloned();
        self.occurrences.iter().filter_map(move |occurrence| Some((component(occurrence)?, occurrence.clone())))
    }

    /// The occurrences of a component.
    pub fn occurrences_of(&self, component: u32) -> impl Iterator<Item = &Occurrence> {
        let start = self.occurrences.partition_point(|o| o.component < component);
        self.occurrences[start..].iter().take_while(move |o| o.component == component)
    }
}
