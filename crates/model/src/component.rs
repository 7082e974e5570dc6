//! An installed piece of software, as matching sees it.

use crate::{Ecosystem, Family, Hash};
use serde::{Deserialize, Serialize};

/// The source package from which a binary package was built.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its version, without a binNMU suffix.
    pub version: String,
}

/// A package at a version in an ecosystem. Its fields carry *all* that a verdict needs, and nothing that a verdict does not:
/// where it lies is an [`Occurrence`](crate::Occurrence). Equal components are one component in the whole estate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Component {
    /// Whose naming and ordering apply; for an operating system's packages with its release.
    pub ecosystem: Ecosystem,
    /// The name as indexed (see [`Family::normalise`](crate::Family::normalise)).
    pub name: String,
    /// The installed version, verbatim.
    pub version: String,
    /// The source package, where the ecosystem has such and it differs from name and version.
    pub source: Option<Source>,
    /// The module stream that it was built in, as `name:stream` (`nodejs:18`): streams of one release are fixed apart (Fedora
    /// modularity; rpm's `MODULARITYLABEL`). Of Windows it is the updates that are installed, see
    /// [`with_updates`](Self::with_updates).
    pub module: Option<String>,
    /// For a language package: whether an operating system's package owns its files. Then the distributor's advisory about
    /// that package answers for it, because the distributor patches without raising the upstream version.
    pub os_owned: bool,
}

impl Component {
    /// A component whose name is normalised here.
    #[must_use]
    pub fn new(ecosystem: Ecosystem, name: &str, version: &str) -> Self {
        let name = ecosystem.family.normalise(name).into_owned();
        Self { ecosystem, name, version: version.to_owned(), source: None, module: None, os_owned: false }
    }

    /// The same component, built from a source package.
    #[must_use]
    pub fn from_source(mut self, name: &str, version: &str) -> Self {
        self.source = (name != self.name || version != self.version).then(|| Source { name: name.to_owned(), version: version.to_owned() });
        self
    }

    /// The same component, built in a module stream or in none.
    #[must_use]
    pub fn in_module(mut self, module: Option<String>) -> Self {
        self.module = module;
        self
    }

    /// The same component, owned by an operating system's package or not.
    #[must_use]
    pub const fn owned_by_os(mut self, owned: bool) -> Self {
        self.os_owned = owned;
        self
    }

    /// The name that advisories of this ecosystem use.
    #[must_use]
    pub fn advised_name(&self) -> &str {
        match &self.source {
            Some(source) if self.ecosystem.family.judges_source() => &source.name,
            _ => &self.name,
        }
    }

    /// The other name that an advisory of this ecosystem may mean it by: see [`Family::names_both`](crate::Family::names_both).
    #[must_use]
    pub fn advised_source(&self) -> Option<&str> {
        let source = self.source.as_ref().filter(|_| self.ecosystem.family.names_both())?;
        (source.name != self.name).then_some(source.name.as_str())
    }

    /// The version that advisories of this ecosystem are compared with; empty where nobody knows it.
    #[must_use]
    pub fn advised_version(&self) -> &str {
        match &self.source {
            Some(source) if self.ecosystem.family.judges_source() => &source.version,
            // The toolchain calls itself `go1.21.3`, and what was built from a folder `(devel)`.
            _ if self.ecosystem.family == Family::Go && self.version == "(devel)" => "",
            _ if self.ecosystem.family == Family::Go => self.version.strip_prefix("go").unwrap_or(&self.version),
            _ => &self.version,
        }
    }

    /// Epoch, version and release of an operating system's package, as Inspector tells them apart; of any other the whole
    /// version, without epoch and release.
    #[must_use]
    pub fn version_parts(&self) -> (u32, &str, Option<&str>) {
        let version = self.version.as_str();
        if !self.ecosystem.family.is_os() {
            return (0, version, None);
        }
        let (epoch, rest) = version.split_once(':').map_or((0, version), |(epoch, rest)| (epoch.parse().unwrap_or(0), rest));
        rest.rsplit_once('-').map_or((epoch, rest, None), |(version, release)| (epoch, version, Some(release)))
    }

    /// The identity of this component: a hash of all its fields.
    #[must_use]
    pub fn hash(&self) -> Hash {
        let ecosystem = self.ecosystem.to_string();
        let (source_name, source_version) = self.source.as_ref().map_or(("", ""), |s| (&s.name, &s.version));
        Hash::of_fields([
            ecosystem.as_bytes(),
            self.name.as_bytes(),
            self.version.as_bytes(),
            source_name.as_bytes(),
            source_version.as_bytes(),
            self.module.as_deref().unwrap_or_default().as_bytes(),
            &[u8::from(self.os_owned)],
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_a_systems_packages_are_taken_apart() {
        let parts = |ecosystem: &str, version: &str| {
            let component = Component::new(ecosystem.parse::<Ecosystem>().unwrap(), "x", version);
            let (epoch, version, release) = component.version_parts();
            (epoch, version.to_owned(), release.map(str::to_owned))
        };
        assert_eq!(parts("Debian:12", "1:2.39.2-1.1"), (1, "2.39.2".into(), Some("1.1".into())));
        assert_eq!(parts("Debian:12", "12.4"), (0, "12.4".into(), None));
        assert_eq!(parts("npm", "1.0.0-rc.1"), (0, "1.0.0-rc.1".into(), None));
    }
}
