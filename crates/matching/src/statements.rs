//! What somebody says about a vulnerability in a product of theirs: the part of the second gate that a person or a supplier
//! writes (VEX, ignore files), as opposed to what the resource itself shows.

use lestrade_model::{Component, Ecosystem, PackageUrl, Timestamp};
use serde::{Deserialize, Serialize};

/// What a statement says of a vulnerability in what it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// It is there (again): an earlier statement no longer holds.
    Affected,
    /// It is not exploitable there, or not there at all.
    NotAffected,
    /// It was fixed without the version telling.
    Fixed,
    /// The user does not want to see it.
    Ignored,
}

impl Status {
    /// Lower case with hyphens, for people and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Affected => "affected",
            Self::NotAffected => "not-affected",
            Self::Fixed => "fixed",
            Self::Ignored => "ignored",
        }
    }
}

/// Which packages a statement covers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PackagePattern {
    /// The package, without regard to a version.
    component: Component,
    /// The one version that is meant; none for all.
    version: Option<String>,
    /// Whether the pattern names a release of a distribution.
    released: bool,
}

impl PackagePattern {
    /// The packages that a package URL names: all versions where it names none, all releases of a distribution likewise.
    /// None where its type is not one of packages that advisories speak of.
    #[must_use]
    pub fn of(url: &PackageUrl) -> Option<Self> {
        let component = Component::from_purl(url, None)?;
        let version = url.version.is_some().then(|| component.version.clone());
        let released = component.ecosystem.release.is_some();
        Some(Self { component, version, released })
    }

    /// Whether another pattern may be about a package that this one is about, of whatever version.
    #[must_use]
    pub fn is_of_the_package_of(&self, other: &Self) -> bool {
        self.component.ecosystem.family == other.component.ecosystem.family && self.component.name == other.component.name
    }

    /// Whether a component is one of them, by its own name or by its source package's.
    #[must_use]
    pub fn covers(&self, component: &Component) -> bool {
        let bare = Ecosystem::of(self.component.ecosystem.family.clone());
        let ecosystem = if self.released { &self.component.ecosystem } else { &bare };
        ecosystem.covers(&component.ecosystem)
            && (self.component.name == component.name || self.component.name == component.advised_name())
            && self.version.as_deref().is_none_or(|version| version == component.version || version == component.advised_version())
    }
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// The vulnerability's ids: any of them.
    pub ids: Vec<String>,
    /// The packages; empty for all.
    pub packages: Vec<PackagePattern>,
    /// The files, as a glob in which `*` stops at `/`; none for all.
    pub path: Option<String>,
    /// What it says.
    pub status: Status,
    /// Why.
    pub reason: String,
    /// Who says so: the document.
    pub source: String,
    /// When it was made: of several the latest counts.
    pub made: Option<Timestamp>,
    /// Until when it holds.
    pub expires: Option<Timestamp>,
}

/// Statements, in the order in which they count.
#[derive(Debug, Default)]
pub struct Statements {
    all: Vec<(Statement, Option<globset::GlobMatcher>)>,
}

/// A path pattern that is no glob.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no pattern of paths")]
pub struct BadPattern(pub String);

impl Statements {
    /// Statements as of `now`; those that expired are answered beside.
    ///
    /// # Errors
    /// When a pattern of paths is no glob.
    pub fn new(mut all: Vec<Statement>, now: Timestamp) -> Result<(Self, Vec<Statement>), BadPattern> {
        all.sort_by_key(|statement| statement.made);
        let (expired, standing): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|statement| statement.expires.is_some_and(|until| until < now));
        let compiled = standing.into_iter().map(|statement| {
            let glob = |pattern: &String| {
                let glob = globset::GlobBuilder::new(pattern.trim_start_matches('/')).literal_separator(true).build();
                glob.map(|glob| glob.compile_matcher()).map_err(|_| BadPattern(pattern.clone()))
            };
            let path = statement.path.as_ref().map(glob).transpose()?;
            Ok((statement, path))
        });
        Ok((Self { all: compiled.collect::<Result<_, _>>()? }, expired))
    }

    /// The last statement about one of these ids in this component at this path, unless it says that it is affected.
    #[must_use]
    pub fn against(&self, ids: &[&str], component: &Component, path: &str) -> Option<&Statement> {
        let last = self.all.iter().rfind(|(statement, glob)| {
            ids.iter().any(|id| statement.ids.iter().any(|said| said.eq_ignore_ascii_case(id)))
                && (statement.packages.is_empty() || statement.packages.iter().any(|package| package.covers(component)))
                && glob.as_ref().is_none_or(|glob| glob.is_match(path))
        });
        last.map(|(statement, _)| statement).filter(|statement| statement.status != Status::Affected)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(id: &str, purl: &str, status: Status) -> Statement {
        Statement {
            ids: vec![id.into()],
            packages: purl.parse().ok().and_then(|url| PackagePattern::of(&url)).into_iter().collect(),
            path: None,
            status,
            reason: "because".into(),
            source: "test".into(),
            made: None,
            expires: None,
        }
    }

    fn against(statements: Vec<Statement>, component: &Component) -> Option<Status> {
        let (statements, _) = Statements::new(statements, Timestamp::default()).unwrap();
        statements.against(&["CVE-1", "GHSA-1"], component, "app/package.json").map(|statement| statement.status)
    }

    #[test]
    fn packages_are_covered_as_precisely_as_the_statement_says() {
        let libssl = Component::new("Debian:12".parse::<Ecosystem>().unwrap(), "libssl3", "3.0.9-1").from_source("openssl", "3.0.9-1");
        for (purl, covers) in [
            ("pkg:deb/debian/libssl3@3.0.9-1?distro=debian-12&arch=amd64", true),
            ("pkg:deb/debian/libssl3@3.0.9-1?distro=debian-11", false),
            ("pkg:deb/debian/libssl3@3.0.10-1", false),
            ("pkg:deb/debian/openssl", true),
            ("pkg:deb/debian/libssl3", true),
            ("pkg:deb/ubuntu/libssl3", false),
            ("pkg:npm/libssl3", false),
        ] {
            assert_eq!(against(vec![statement("ghsa-1", purl, Status::NotAffected)], &libssl).is_some(), covers, "{purl}");
        }
        assert!(against(vec![statement("CVE-2", "pkg:deb/debian/openssl", Status::NotAffected)], &libssl).is_none());
    }

    #[test]
    fn the_latest_statement_counts_and_none_for_ever() {
        let component = Component::new(Ecosystem::of(lestrade_model::Family::Npm), "a", "1");
        let at = |made: &str, status| Statement { made: Timestamp::parse(made).ok(), ..statement("CVE-1", "pkg:npm/a", status) };
        let later = at("2024-02-01T00:00:00Z", Status::Affected);
        let earlier = at("2024-01-01T00:00:00Z", Status::NotAffected);
        assert_eq!(against(vec![later, earlier.clone()], &component), None);
        assert_eq!(against(vec![earlier.clone()], &component), Some(Status::NotAffected));
        let expired = Statement { expires: Timestamp::parse("2024-01-02T00:00:00Z").ok(), ..earlier };
        let (statements, expired) = Statements::new(vec![expired], Timestamp::parse("2024-01-03T00:00:00Z").unwrap()).unwrap();
        assert_eq!((statements.is_empty(), expired.len()), (true, 1));
    }

    #[test]
    fn paths_are_globs() {
        let component = Component::new(Ecosystem::of(lestrade_model::Family::Npm), "a", "1");
        let on = |path: &str| Statement { path: Some(path.into()), ..statement("CVE-1", "", Status::Ignored) };
        assert!(against(vec![on("app/*.json")], &component).is_some());
        assert!(against(vec![on("**/package.json")], &component).is_some());
        assert!(against(vec![on("*.json")], &component).is_none());
        assert!(Statements::new(vec![on("[")], Timestamp::default()).is_err());
    }
}
