//! Bringing records in: what is there, and what is new, becomes the next generation.

use crate::documents::Syntax;
use crate::feeds::FeedScope;
use crate::{AdvisoriesError, Document, Documents, alpine, debian, exploitation, osv};
use lestrade_matching::{AdvisoryIndex, FeedState, Manifest, build_index_with};
use lestrade_model::{Advisory, AdvisoryKey, Event, Exploitation, KnownExploited, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The feed under which imported OSV records are kept.
const OSV_FEED: &str = "osv";
/// The feeds of what is known of exploitation.
const EPSS_FEED: &str = "epss";
const KEV_FEED: &str = "kev";
const MAX_QUARANTINED: usize = 1000;
/// The longest name, id or version, in bytes, and the most ids of one record.
const MAX_NAME: usize = 1024;
const MAX_IDS: usize = 10_000;

/// What an import brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// Records read.
    pub read: u64,
    /// Files whose names are not of documents.
    pub passed_over: usize,
    /// Records and documents that could not be used, with the reason.
    pub quarantined: Vec<(String, String)>,
}

/// Collects records on top of an existing generation.
pub struct Importer {
    advisories: BTreeMap<AdvisoryKey, Advisory>,
    exploitation: BTreeMap<String, Exploitation>,
    summary: ImportSummary,
    now: Timestamp,
    generation: u64,
    feeds: BTreeMap<String, Timestamp>,
    /// The date that EPSS's or KEV's file bears.
    dated: Option<String>,
}

impl Importer {
    /// Starts from nothing.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            advisories: BTreeMap::new(),
            exploitation: BTreeMap::new(),
            summary: ImportSummary::default(),
            now,
            generation: 1,
            feeds: BTreeMap::new(),
            dated: None,
        }
    }

    /// Starts from what is there.
    ///
    /// # Errors
    /// When the index is corrupt.
    pub fn on_top_of<B: AsRef<[u8]>>(index: &AdvisoryIndex<B>, now: Timestamp) -> Result<Self, AdvisoriesError> {
        let mut importer = Self::new(now);
        importer.generation = index.manifest().generation + 1;
        importer.feeds = index.manifest().feeds.iter().map(|feed| (feed.feed.clone(), feed.imported_at)).collect();
        for advisory in index.advisories()? {
            let advisory = advisory?;
            importer.advisories.insert(advisory.key.clone(), advisory);
        }
        importer.exploitation = index.exploitations()?.collect::<Result<_, _>>()?;
        Ok(importer)
    }

    /// Brings in every record under a path.
    ///
    /// # Errors
    /// When the path cannot be read or an archive is broken.
    pub fn import(&mut self, path: &Path) -> Result<(), AdvisoriesError> {
        let before = self.summary.read;
        let passed_over = Documents::each(path, &mut |document| {
            self.document(document);
            Ok(())
        })?;
        self.summary.passed_over += passed_over;
        if self.summary.read == before {
            return Err(AdvisoriesError::Nothing { path: path.to_owned() });
        }
        Ok(())
    }

    fn quarantine(&mut self, id: String, reason: String) {
        if self.summary.quarantined.len() < MAX_QUARANTINED {
            self.summary.quarantined.push((id, reason));
        }
    }

    fn document(&mut self, document: Document) {
        let Document { name, syntax, bytes } = document;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_start_matches('\u{feff}');
        let value: Result<Value, String> = match syntax {
            Syntax::Csv if exploitation::is_epss(text) => {
                self.dated = exploitation::epss_date(text);
                return self.epss(text, name);
            }
            Syntax::Csv => Err("not EPSS's CSV".into()),
            Syntax::Yaml => serde_saphyr::from_str(text).map_err(|error| error.to_string()),
            Syntax::Json => serde_json::from_str(text).map_err(|error| error.to_string()),
        };
        match value {
            Ok(Value::Object(map)) if alpine::is_secdb(&map) => self.adopt(alpine::read_secdb(&map)),
            Ok(Value::Object(map)) if exploitation::is_kev(&map) => match self.dated_kev(map) {
                Ok(known) => self.kev(known),
                Err(reason) => self.quarantine(name, reason),
            },
            Ok(Value::Object(map)) if map.contains_key("id") => self.record(Value::Object(map), &name),
            Ok(Value::Object(map)) if debian::is_tracker(&map) => self.adopt(debian::read_tracker(map)),
            Ok(Value::Object(map)) if debian::is_derived_tracker(&map) => self.adopt(debian::read_derived_tracker(map)),
            Ok(Value::Array(records)) => records.into_iter().for_each(|record| self.record(record, &name)),
            Ok(_) => self.quarantine(name, "none of the formats that are read".into()),
            Err(reason) => self.quarantine(name, reason.lines().next().unwrap_or_default().to_owned()),
        }
    }

    fn dated_kev(&mut self, map: serde_json::Map<String, Value>) -> Result<BTreeMap<String, KnownExploited>, String> {
        self.dated = map.get("dateReleased").and_then(Value::as_str).map(str::to_owned);
        exploitation::read_kev(map)
    }

    /// Another day of EPSS takes the place of the one before.
    fn epss(&mut self, text: &str, name: String) {
        match exploitation::read_epss(text) {
            Err(reason) => self.quarantine(name, reason),
            Ok((scores, bad)) => {
                self.summary.read += scores.len() as u64;
                self.feeds.insert(EPSS_FEED.to_owned(), self.now);
                for known in self.exploitation.values_mut() {
                    (known.epss, known.percentile) = (None, None);
                }
                for (id, (epss, percentile)) in scores {
                    let known = self.exploitation.entry(id).or_default();
                    (known.epss, known.percentile) = (Some(epss), Some(percentile));
                }
                bad.into_iter().for_each(|(row, reason)| self.quarantine(format!("{name}: {row}"), reason));
            }
        }
    }

    /// Another catalogue takes the place of the one before: entries can be removed.
    fn kev(&mut self, catalogue: BTreeMap<String, KnownExploited>) {
        self.summary.read += catalogue.len() as u64;
        self.feeds.insert(KEV_FEED.to_owned(), self.now);
        self.exploitation.values_mut().for_each(|known| known.known_exploited = None);
        for (id, entry) in catalogue {
            self.exploitation.entry(id).or_default().known_exploited = Some(entry);
        }
    }

    fn adopt(&mut self, (advisories, quarantined): (Vec<Advisory>, Vec<(String, String)>)) {
        advisories.into_iter().for_each(|advisory| self.insert(advisory));
        quarantined.into_iter().for_each(|(id, reason)| self.quarantine(id, reason));
    }

    fn record(&mut self, record: Value, name: &str) {
        match osv::read_osv(OSV_FEED, record) {
            Ok(advisory) => self.insert(advisory),
            Err(refused) => self.quarantine(format!("{name}: {}", refused.id), refused.reason),
        }
    }

    fn insert(&mut self, advisory: Advisory) {
        if let Some(reason) = poison(&advisory) {
            return self.quarantine(advisory.key.id.chars().take(128).collect(), reason.to_owned());
        }
        self.summary.read += 1;
        self.feeds.insert(advisory.key.feed.clone(), self.now);
        self.advisories.insert(advisory.key.clone(), advisory);
    }

    /// Adds records that were made by other means.
    pub fn extend(&mut self, advisories: impl IntoIterator<Item = Advisory>) {
        advisories.into_iter().for_each(|advisory| self.insert(advisory));
    }

    /// Puts what another importer collected of one feed in the place of what is here of it: what the feed no longer has goes.
    pub(crate) fn replace(&mut self, scope: &FeedScope, part: Self) {
        match scope {
            FeedScope::Epss => {
                for known in self.exploitation.values_mut() {
                    (known.epss, known.percentile) = (None, None);
                }
            }
            FeedScope::Kev => self.exploitation.values_mut().for_each(|known| known.known_exploited = None),
            scope => self.advisories.retain(|_, advisory| !scope.holds(advisory)),
        }
        for (id, new) in part.exploitation {
            let known = self.exploitation.entry(id).or_default();
            if new.epss.is_some() {
                (known.epss, known.percentile) = (new.epss, new.percentile);
            }
            if new.known_exploited.is_some() {
                known.known_exploited = new.known_exploited;
            }
        }
        self.feeds.extend(part.feeds);
        self.advisories.extend(part.advisories);
        self.summary.read += part.summary.read;
        part.summary.quarantined.into_iter().for_each(|(id, reason)| self.quarantine(id, reason));
    }

    /// How many records were brought in.
    pub(crate) const fn records(&self) -> u64 {
        self.summary.read
    }

    /// How many of the records here are a feed's.
    pub(crate) fn records_in(&self, scope: &FeedScope) -> u64 {
        match scope {
            FeedScope::Epss => self.scored(),
            FeedScope::Kev => self.exploited(),
            scope => self.advisories.values().filter(|advisory| scope.holds(advisory)).count() as u64,
        }
    }

    pub(crate) fn scored(&self) -> u64 {
        self.exploitation.values().filter(|known| known.epss.is_some()).count() as u64
    }

    pub(crate) fn exploited(&self) -> u64 {
        self.exploitation.values().filter(|known| known.known_exploited.is_some()).count() as u64
    }

    /// The date that a file of EPSS or KEV bears.
    pub(crate) fn dated(&self) -> Option<&str> {
        self.dated.as_deref()
    }

    pub(crate) fn quarantined(&self) -> &[(String, String)] {
        &self.summary.quarantined
    }

    /// Compiles the next generation.
    ///
    /// # Errors
    /// When there are more records than an index can hold.
    pub fn finish(mut self) -> Result<(Vec<u8>, ImportSummary), AdvisoriesError> {
        self.exploitation.retain(|_, known| !known.is_empty());
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        self.advisories.keys().for_each(|key| *counts.entry(&key.feed).or_default() += 1);
        let known = self.exploitation.values();
        for (feed, records) in [
            (EPSS_FEED, known.clone().filter(|known| known.epss.is_some()).count()),
            (KEV_FEED, known.filter(|known| known.known_exploited.is_some()).count()),
        ] {
            if records > 0 {
                counts.insert(feed, records as u64);
            }
        }
        let feeds = counts
            .into_iter()
            .map(|(feed, records)| FeedState {
                feed: feed.to_owned(),
                records,
                imported_at: self.feeds.get(feed).copied().unwrap_or(self.now),
            })
            .collect();
        let manifest = Manifest {
            generation: self.generation,
            built_at: self.now,
            feeds,
            quarantined: self.summary.quarantined.clone(),
            ..Manifest::default()
        };
        Ok((build_index_with(self.advisories.into_values(), &self.exploitation, manifest)?, self.summary))
    }
}

/// What of a record would be a burden to everybody who matches; none if nothing is.
fn poison(advisory: &Advisory) -> Option<&'static str> {
    let long = |text: &str| text.len() > MAX_NAME;
    let names = || std::iter::once(&advisory.key.id).chain(&advisory.aliases).chain(&advisory.upstream);
    if names().any(|id| long(id)) || advisory.aliases.len() + advisory.upstream.len() > MAX_IDS {
        return Some("an id is longer than 1024 bytes, or there are more than 10000");
    }
    let of_range = |event: &Event| match event {
        Event::Introduced(version) | Event::Fixed(version) | Event::LastAffected(version) | Event::Limit(version) => long(version),
    };
    let affected = &advisory.affected;
    if affected.iter().any(|entry| long(&entry.name) || entry.versions.iter().any(|version| long(version))) {
        return Some("a package's name or version is longer than 1024 bytes");
    }
    let mut events = affected.iter().flat_map(|entry| &entry.ranges).flat_map(|range| &range.events);
    events.any(of_range).then_some("a version of a range is longer than 1024 bytes")
}
