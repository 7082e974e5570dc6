//! What somebody published about vulnerable versions.

use crate::{Ecosystem, Hash, Score, Timestamp};
use serde::{Deserialize, Serialize};

/// Names an advisory among all: the feed that brought it and the feed's own id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AdvisoryKey {
    /// The feed: `osv`, `debian-tracker`, `starter`.
    pub feed: String,
    /// The record's id in that feed.
    pub id: String,
}

/// Where a vulnerability stands in one package of one release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FixState {
    /// A fixed version exists.
    Fixed,
    /// No fixed version exists yet.
    Open,
    /// A fix will come with a later update, without an advisory of its own.
    Deferred,
    /// The distributor has decided not to fix it.
    WillNotFix,
    /// The package or release is no longer looked after.
    EndOfLife,
    /// Whether it is affected is being looked into.
    UnderInvestigation,
}

impl FixState {
    /// Lower case with hyphens, for people and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Open => "open",
            Self::Deferred => "deferred",
            Self::WillNotFix => "will-not-fix",
            Self::EndOfLife => "end-of-life",
            Self::UnderInvestigation => "under-investigation",
        }
    }
}

/// One event of a range (OSV schema, `affected[].ranges[].events`). Its version is a text of its own, or one that is read where it
/// stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Event<S = String> {
    /// From this version on it is affected; `0` is before every version.
    Introduced(S),
    /// From this version on it is not.
    Fixed(S),
    /// This version is the last one affected.
    LastAffected(S),
    /// Versions from here on are not spoken about.
    Limit(S),
}

/// Which order a range's events are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RangeKind {
    /// SemVer 2.0.
    Semver,
    /// The ecosystem's own order.
    Ecosystem,
}

/// A range of versions, as a list of events in any order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Range<S = String> {
    /// Its order.
    pub kind: RangeKind,
    /// Its events.
    pub events: Vec<Event<S>>,
}

/// What an advisory says of one package: the unit that is compared with components.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Affected<S = String> {
    /// Where the package lives; for distributions with the release.
    pub ecosystem: Ecosystem,
    /// The package's name, normalised; for Debian and its like the source package.
    pub name: S,
    /// The module stream that it speaks of, as `name:stream`; see [`Component::module`](crate::Component::module). Of Windows it is what
    /// mends it, see [`Remedies`](crate::Remedies).
    pub module: Option<S>,
    /// Ranges; a version in any of them is affected.
    pub ranges: Vec<Range<S>>,
    /// Versions that are affected beside the ranges.
    pub versions: Vec<S>,
    /// Where it stands when no range names a fix.
    pub unfixed: FixState,
    /// The distributor's own word for how bad it is in this package, verbatim.
    pub vendor_severity: Option<S>,
}

impl Affected {
    /// Every version of a package, without a fix: where that stands.
    #[must_use]
    pub fn always(ecosystem: Ecosystem, name: &str, unfixed: FixState) -> Self {
        let name = ecosystem.family.normalise(name).into_owned();
        let ranges = vec![Range { kind: RangeKind::Ecosystem, events: vec![Event::Introduced("0".into())] }];
        Self { ecosystem, name, module: None, ranges, versions: vec![], unfixed, vendor_severity: None }
    }

    /// The versions of a package before the one that fixed it.
    #[must_use]
    pub fn before(ecosystem: Ecosystem, name: &str, fixed: &str) -> Self {
        let mut before = Self::always(ecosystem, name, FixState::Open);
        before.ranges.iter_mut().for_each(|range| range.events.push(Event::Fixed(fixed.to_owned())));
        before
    }
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reference {
    /// `http` or `https`, checked on import.
    pub url: String,
}

/// One record of one feed, normalised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Advisory {
    /// Its name.
    pub key: AdvisoryKey,
    /// Other ids of the *same* vulnerability (OSV `aliases`, never `related` or `upstream`).
    pub aliases: Vec<String>,
    /// Ids that it fixes or relates to (OSV `upstream`): an advisory about several vulnerabilities.
    pub upstream: Vec<String>,
    /// One line.
    pub summary: String,
    /// Text, at most 64 KiB; longer is cut on import.
    pub details: String,
    /// When it was first published.
    pub published: Option<Timestamp>,
    /// When it says that it was last changed; shown, never trusted.
    pub modified: Option<Timestamp>,
    /// Since when it is withdrawn.
    pub withdrawn: Option<Timestamp>,
    /// Scores, each with its source.
    pub scores: Vec<Score>,
    /// The publisher's own word for how bad it is.
    pub vendor_severity: Option<String>,
    /// CWE ids.
    pub cwes: Vec<String>,
    /// Links.
    pub references: Vec<Reference>,
    /// Packages.
    pub affected: Vec<Affected>,
}

impl Advisory {
    /// A record that says nothing yet.
    #[must_use]
    pub fn new(feed: &str, id: &str) -> Self {
        Self {
            key: AdvisoryKey { feed: feed.to_owned(), id: id.to_owned() },
            aliases: vec![],
            upstream: vec![],
            summary: String::new(),
            details: String::new(),
            published: None,
            modified: None,
            withdrawn: None,
            scores: vec![],
            vendor_severity: None,
            cwes: vec![],
            references: vec![],
            affected: vec![],
        }
    }

    /// The vulnerabilities that this advisory is about, by their best-known ids.
    ///
    /// Every CVE among id and aliases: some records take several into one, and some were given those of a whole chain of aliases;
    /// to join them would lose all but one. Without any, a distributor's advisory answers each CVE among its upstream ids, and
    /// others answer one id: the smallest GHSA, so that every record of an alias group answers the same, or their own.
    #[must_use]
    pub fn vulnerabilities(&self) -> Vec<&str> {
        let own: Vec<&str> = std::iter::once(&self.key.id).chain(&self.aliases).map(String::as_str).collect();
        let upstream: Vec<&str> = self.upstream.iter().map(String::as_str).collect();
        for ids in [&own, &upstream] {
            let mut cves: Vec<&str> = ids.iter().copied().filter(|id| id.starts_with("CVE-")).collect();
            if !cves.is_empty() {
                cves.sort_unstable();
                cves.dedup();
                return cves;
            }
        }
        vec![own.into_iter().filter(|id| id.starts_with("GHSA-")).min().unwrap_or(&self.key.id)]
    }

    /// Whether it may be matched at all: withdrawn records are history.
    #[must_use]
    pub const fn is_withdrawn(&self) -> bool {
        self.withdrawn.is_some()
    }

    /// A hash of its content without the dates that feeds move for no reason: equal hashes mean that nothing changed.
    #[must_use]
    pub fn content_hash(&self, encode: impl Fn(&Self) -> Vec<u8>) -> Hash {
        let still = Self { modified: None, ..self.clone() };
        Hash::of(&encode(&still))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advisory(id: &str, aliases: &[&str], upstream: &[&str]) -> Advisory {
        let strings = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        Advisory { aliases: strings(aliases), upstream: strings(upstream), ..Advisory::new("osv", id) }
    }

    #[test]
    fn an_alias_group_answers_one_id() {
        assert_eq!(advisory("GHSA-b", &["PYSEC-1", "CVE-2024-1"], &[]).vulnerabilities(), ["CVE-2024-1"]);
        assert_eq!(advisory("PYSEC-1", &["GHSA-b"], &[]).vulnerabilities(), ["GHSA-b"]);
        assert_eq!(advisory("RUSTSEC-1", &[], &[]).vulnerabilities(), ["RUSTSEC-1"]);
        assert_eq!(advisory("RUSTSEC-1", &["CVE-2024-2", "CVE-2024-1", "GHSA-b"], &[]).vulnerabilities(), ["CVE-2024-1", "CVE-2024-2"]);
    }

    #[test]
    fn a_distributors_advisory_answers_each_upstream_id() {
        assert_eq!(advisory("DSA-1", &[], &["CVE-2024-2", "CVE-2024-1"]).vulnerabilities(), ["CVE-2024-1", "CVE-2024-2"]);
    }
}
