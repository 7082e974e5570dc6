//! The feeds that are fetched: where each is, what of an index it brings, and how its next state is judged.

use crate::formats::{ALPINE_FEED, alpine_prefix};
use lestrade_matching::Manifest;
use lestrade_model::{Advisory, Ecosystem, Family};

/// What a feed brings: the part of an index that its next state replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedScope {
    /// The records of OSV all of whose packages are of one family.
    Osv(Family),
    /// The Debian security tracker.
    DebianTracker,
    /// One release and repository of Alpine's secdb.
    AlpineSecdb {
        /// `v3.20`.
        release: String,
        /// `main`, `community`.
        repository: String,
    },
    /// EPSS.
    Epss,
    /// CISA's catalogue of exploited vulnerabilities.
    Kev,
}

impl Feed {
    /// The end of its address, which tells how it is written: `all.zip`, `data.json`.
    pub(crate) fn file(&self) -> &str {
        let end = self.url.split(['?', '#']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        // The Debian tracker's address ends in a folder.
        if end.contains('.') { end } else { "data.json" }
    }
}

impl FeedScope {
    /// Whether something of it is in an index, whoever brought it in.
    #[must_use]
    pub fn is_in(&self, manifest: &Manifest) -> bool {
        let has = |feed: &str| manifest.feeds.iter().any(|state| state.feed == feed);
        match self {
            Self::Osv(family) => manifest.ecosystems.iter().any(|(ecosystem, _)| ecosystem.family == *family),
            Self::DebianTracker => has("debian-tracker") || manifest.ecosystems.iter().any(|(e, _)| e.family == Family::Debian),
            Self::AlpineSecdb { release, .. } => manifest.speaks_of(&Ecosystem::release(Family::Alpine, release)),
            Self::Epss => has("epss"),
            Self::Kev => has("kev"),
        }
    }

    /// Whether a record is one of this feed's.
    pub(crate) fn holds(&self, advisory: &Advisory) -> bool {
        match self {
            Self::Osv(family) => {
                advisory.key.feed == "osv"
                    && !advisory.affected.is_empty()
                    && advisory.affected.iter().all(|affected| affected.ecosystem.family == *family)
            }
            Self::DebianTracker => advisory.key.feed == "debian-tracker",
            Self::AlpineSecdb { release, repository } => {
                advisory.key.feed == ALPINE_FEED && advisory.key.id.starts_with(&alpine_prefix(release, repository))
            }
            Self::Epss | Self::Kev => false,
        }
    }
}

/// A feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// Its name: `osv/npm`, `debian-tracker`, `alpine-secdb/v3.20/main`, `epss`, `kev`.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// What it brings.
    pub scope: FeedScope,
}

/// Where feeds are.
#[derive(Clone, Debug)]
pub struct FeedPlaces {
    /// The folder of OSV's dumps.
    pub osv: String,
    /// OSV's ecosystems, as its folders are named.
    pub osv_ecosystems: Vec<String>,
    /// The Debian tracker's JSON.
    pub debian_tracker: String,
    /// The folder of Alpine's secdb.
    pub alpine_secdb: String,
    /// Alpine's releases: `v3.20`.
    pub alpine_releases: Vec<String>,
    /// EPSS's CSV.
    pub epss: String,
    /// KEV's JSON.
    pub kev: String,
}

impl FeedPlaces {
    /// Every feed.
    #[must_use]
    pub fn feeds(&self) -> Vec<Feed> {
        let mut all: Vec<Feed> = self.osv_ecosystems.iter().map(|ecosystem| self.osv(ecosystem)).collect();
        all.push(Feed { name: "debian-tracker".into(), url: self.debian_tracker.clone(), scope: FeedScope::DebianTracker });
        all.extend(self.alpine_releases.iter().flat_map(|release| self.alpine(release)));
        all.push(Feed { name: "epss".into(), url: self.epss.clone(), scope: FeedScope::Epss });
        all.push(Feed { name: "kev".into(), url: self.kev.clone(), scope: FeedScope::Kev });
        all
    }

    fn osv(&self, ecosystem: &str) -> Feed {
        let family = ecosystem.parse::<Ecosystem>().map_or_else(|_| Family::Other(ecosystem.to_owned()), |parsed| parsed.family);
        let folder = ecosystem.replace(' ', "%20");
        Feed {
            name: format!("osv/{ecosystem}"),
            url: format!("{}/{folder}/all.zip", self.osv.trim_end_matches('/')),
            scope: FeedScope::Osv(family),
        }
    }

    fn alpine(&self, release: &str) -> Vec<Feed> {
        let one = |repository: &str| Feed {
            name: format!("alpine-secdb/{release}/{repository}"),
            url: format!("{}/{release}/{repository}.json", self.alpine_secdb.trim_end_matches('/')),
            scope: FeedScope::AlpineSecdb { release: release.to_owned(), repository: repository.to_owned() },
        };
        vec![one("main"), one("community")]
    }

    /// The feeds of a name: one, or all below it (`osv`, `alpine-secdb/v3.20`).
    #[must_use]
    pub fn named(&self, name: &str) -> Vec<Feed> {
        let below = |feed: &Feed| feed.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.feeds().into_iter().filter(below).collect()
    }

    /// The feeds that are needed to judge packages of these ecosystems, with what is known of exploitation.
    #[must_use]
    pub fn needed(&self, ecosystems: &[Ecosystem]) -> Vec<Feed> {
        let speaks = |feed: &Feed| match &feed.scope {
            FeedScope::Osv(family) => {
                // Where a distribution's own feed is fetched, OSV's copy of it is not needed.
                let own = matches!(family, Family::Debian | Family::Alpine);
                !own && ecosystems.iter().any(|ecosystem| ecosystem.family == *family)
            }
            FeedScope::DebianTracker => ecosystems.iter().any(|ecosystem| ecosystem.family == Family::Debian),
            FeedScope::AlpineSecdb { release, .. } => {
                ecosystems.iter().any(|e| e.family == Family::Alpine && e.release.as_deref() == Some(release.as_str()))
            }
            FeedScope::Epss | FeedScope::Kev => true,
        };
        let mut needed: Vec<Feed> = self.feeds().into_iter().filter(speaks).collect();
        // A release that nobody listed is still there.
        for ecosystem in ecosystems.iter().filter(|ecosystem| ecosystem.family == Family::Alpine) {
            let listed = ecosystem.release.as_ref().filter(|release| !self.alpine_releases.contains(release));
            needed.extend(listed.into_iter().flat_map(|release| self.alpine(release)));
        }
        needed
    }
}
