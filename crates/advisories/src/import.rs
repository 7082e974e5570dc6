//! Bringing records in: what is there, and what is new, becomes the next generation.

use crate::feeds::FeedScope;
use crate::formats::{self, EpssScores, Exploits};
use crate::{AdvisoriesError, Document, Documents, Syntax};
use lestrade_matching::{AdvisoryIndex, FeedState, Manifest, build_index_over};
use lestrade_model::{
    Advisory, AdvisoryKey, Affected, Event, ExploitSource, Exploitation, Family, KnownExploited, Lifecycle, Range, RangeKind, Remedies,
    Supersedence, Timestamp,
};
use lestrade_versions::Scheme;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The feeds of what is known of exploitation.
const EPSS_FEED: &str = "epss";
const KEV_FEED: &str = "kev";
/// The feed of ends of operating systems.
const LIFECYCLES_FEED: &str = "endoflife";
/// How far another machine's clock may be ahead.
const A_DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// The beginning of 2020: whoever says that it is earlier has no clock.
const HAS_A_CLOCK: Timestamp = Timestamp::from_millis(1_577_836_800_000);
const MAX_QUARANTINED: usize = 1000;
/// The longest name, id or version, in bytes, and the most ids of one record.
const MAX_NAME: usize = 1024;
const MAX_IDS: usize = 10_000;
/// The longest name of a module, or list of updates.
const MAX_MODULE: usize = 16 << 10;

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
    lifecycles: Vec<Lifecycle>,
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
            lifecycles: Vec::new(),
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
        importer.generation = index.manifest().generation.saturating_add(1);
        importer.feeds = index.manifest().feeds.iter().map(|feed| (feed.feed.clone(), feed.imported_at)).collect();
        for advisory in index.advisories()? {
            let advisory = advisory?;
            importer.advisories.insert(advisory.key.clone(), advisory);
        }
        importer.exploitation = index.exploitations()?.collect::<Result<_, _>>()?;
        importer.lifecycles.clone_from(&index.manifest().lifecycles);
        Ok(importer)
    }

    /// Raises the number of the generation above one that was given out.
    pub(crate) fn numbered_after(mut self, highest: u64) -> Self {
        self.generation = self.generation.max(highest.saturating_add(1));
        self
    }

    /// Brings in every record under a path.
    ///
    /// # Errors
    /// When the path cannot be read or an archive is broken.
    pub fn import(&mut self, path: &Path) -> Result<(), AdvisoriesError> {
        let before = self.summary.read;
        let leftovers = Documents::each(path, &mut |document| {
            self.document(document);
            Ok(())
        })?;
        self.summary.passed_over += leftovers.passed_over;
        leftovers.broken.into_iter().for_each(|(name, reason)| self.quarantine(name, reason));
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
        let text = match syntax {
            // Trackers' texts are by hand, and of many years: a name in another encoding costs no record.
            Syntax::Text => String::from_utf8_lossy(&bytes),
            _ => match std::str::from_utf8(&bytes) {
                Ok(text) => text.into(),
                Err(_) => return self.quarantine(name, "it is not encoded in UTF-8".to_owned()),
            },
        };
        let brought = formats::read(&name, syntax, &text);
        if brought.dated.is_some() {
            self.dated = brought.dated;
        }
        if let Some(scores) = brought.epss {
            self.epss(scores);
        }
        if let Some(catalogue) = brought.kev {
            self.kev(catalogue);
        }
        if let Some((source, exploits)) = brought.exploits {
            self.exploits(source, exploits);
        }
        if let Some((id, ssvc)) = brought.ssvc {
            self.exploitation.entry(id).or_default().ssvc = ssvc;
        }
        if let Some(lifecycles) = brought.lifecycles {
            self.summary.read += lifecycles.len() as u64;
            self.feeds.insert(LIFECYCLES_FEED.to_owned(), self.now);
            self.lifecycles = lifecycles;
        }
        brought.advisories.into_iter().for_each(|advisory| self.insert(advisory));
        brought.quarantined.into_iter().for_each(|(id, reason)| self.quarantine(id, reason));
    }

    /// Another day of EPSS takes the place of the one before.
    fn epss(&mut self, scores: EpssScores) {
        self.summary.read += scores.len() as u64;
        self.feeds.insert(EPSS_FEED.to_owned(), self.now);
        for known in self.exploitation.values_mut() {
            (known.epss, known.percentile) = (None, None);
        }
        for (id, (epss, percentile)) in scores {
            let known = self.exploitation.entry(id).or_default();
            (known.epss, known.percentile) = (Some(epss), Some(percentile));
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

    /// Another state of a collection of exploits takes the place of the one before.
    fn exploits(&mut self, source: ExploitSource, exploits: Exploits) {
        self.summary.read += exploits.len() as u64;
        self.feeds.insert(source.as_str().to_owned(), self.now);
        self.exploitation.values_mut().for_each(|known| known.exploits.retain(|exploit| exploit.source != source));
        for (id, exploits) in exploits {
            let known = &mut self.exploitation.entry(id).or_default().exploits;
            known.extend(exploits);
            known.sort_unstable();
        }
    }

    fn insert(&mut self, advisory: Advisory) {
        let advisory = self.without_impossible_dates(advisory);
        if let Some(reason) = poison(&advisory) {
            return self.quarantine(advisory.key.id.chars().take(128).collect(), reason.to_owned());
        }
        self.summary.read += 1;
        self.feeds.insert(advisory.key.feed.clone(), self.now);
        self.advisories.insert(advisory.key.clone(), advisory);
    }

    /// A record without dates that are still to come: nobody published, changed or withdrew anything then. It is no reason to lose
    /// the record, and least of all to take it for withdrawn.
    fn without_impossible_dates(&self, mut advisory: Advisory) -> Advisory {
        if self.now > HAS_A_CLOCK {
            let latest = self.now.plus_millis(A_DAY_MILLIS);
            for date in [&mut advisory.published, &mut advisory.modified, &mut advisory.withdrawn] {
                date.take_if(|date| *date > latest);
            }
        }
        advisory
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
            FeedScope::Exploits(source) => {
                self.exploitation.values_mut().for_each(|known| known.exploits.retain(|exploit| exploit.source != *source));
            }
            FeedScope::Lifecycles => self.lifecycles.clone_from(&part.lifecycles),
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
            if new.ssvc.is_some() {
                known.ssvc = new.ssvc;
            }
            known.exploits.extend(new.exploits);
            known.exploits.sort_unstable();
        }
        self.feeds.extend(part.feeds);
        self.advisories.extend(part.advisories);
        self.summary.read += part.summary.read;
        part.summary.quarantined.into_iter().for_each(|(id, reason)| self.quarantine(id, reason));
    }

    /// Puts changed records of a feed in the place of their former states, and takes out those that are gone.
    pub(crate) fn change(&mut self, scope: &FeedScope, part: Self, gone: &[String]) {
        self.advisories.retain(|key, advisory| !(gone.contains(&key.id) && scope.holds(advisory)));
        self.join(part);
    }

    /// Adds what another importer collected; where both have a record, that one's counts.
    pub(crate) fn join(&mut self, part: Self) {
        self.feeds.extend(part.feeds);
        self.advisories.extend(part.advisories);
        self.summary.read += part.summary.read;
        part.summary.quarantined.into_iter().for_each(|(id, reason)| self.quarantine(id, reason));
    }

    /// Whether what was brought in is a feed's: a dump may hold records of other ecosystems beside, it may not be of another one
    /// altogether.
    pub(crate) fn is_of(&self, scope: &FeedScope) -> bool {
        self.records_in(scope) > 0
    }

    /// Whether nothing was brought in but records of a feed.
    pub(crate) fn is_nothing_but(&self, scope: &FeedScope) -> bool {
        self.advisories.values().all(|advisory| scope.holds(advisory)) && self.exploitation.is_empty() && self.lifecycles.is_empty()
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
            FeedScope::Exploits(source) => self.with_exploits(*source),
            FeedScope::Lifecycles => self.lifecycles.len() as u64,
            scope => self.advisories.values().filter(|advisory| scope.holds(advisory)).count() as u64,
        }
    }

    pub(crate) fn scored(&self) -> u64 {
        self.exploitation.values().filter(|known| known.epss.is_some()).count() as u64
    }

    pub(crate) fn exploited(&self) -> u64 {
        self.exploitation.values().filter(|known| known.known_exploited.is_some()).count() as u64
    }

    pub(crate) fn with_exploits(&self, source: ExploitSource) -> u64 {
        self.exploitation.values().filter(|known| known.exploits.iter().any(|exploit| exploit.source == source)).count() as u64
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
    pub fn finish(self) -> Result<(Vec<u8>, ImportSummary), AdvisoriesError> {
        self.finish_over(None::<&AdvisoryIndex<Vec<u8>>>)
    }

    /// The same, sooner where most of it is as in an older generation.
    ///
    /// # Errors
    /// When there are more records than an index can hold, or the older one is corrupt.
    pub fn finish_over<B: AsRef<[u8]>>(mut self, older: Option<&AdvisoryIndex<B>>) -> Result<(Vec<u8>, ImportSummary), AdvisoriesError> {
        self.exploitation.retain(|_, known| !known.is_empty());
        supersede(&mut self.advisories);
        overrule(&mut self.advisories);
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        self.advisories.keys().for_each(|key| *counts.entry(&key.feed).or_default() += 1);
        let exploits = ExploitSource::ALL.map(|source| (source.as_str(), self.with_exploits(source)));
        let others = [(EPSS_FEED, self.scored()), (KEV_FEED, self.exploited()), (LIFECYCLES_FEED, self.lifecycles.len() as u64)];
        counts.extend(others.into_iter().chain(exploits).filter(|(_, records)| *records > 0));
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
            lifecycles: std::mem::take(&mut self.lifecycles),
            ..Manifest::default()
        };
        Ok((build_index_over(older, self.advisories.into_values(), &self.exploitation, manifest)?, self.summary))
    }
}

/// Notes beside every remedy of Windows the updates that supersede it. What is known of that is spread over all records: a document
/// that is new says what those of earlier months are superseded by, so that it is worked out anew for each generation.
fn supersede(advisories: &mut BTreeMap<AdvisoryKey, Advisory>) {
    let is_of_windows = |affected: &&mut Affected| affected.ecosystem.family == Family::Windows;
    let mut known: BTreeMap<String, Supersedence> = BTreeMap::new();
    for affected in advisories.values_mut().flat_map(|advisory| &mut advisory.affected).filter(is_of_windows) {
        if let Some(text) = &affected.module {
            known.entry(affected.name.clone()).or_default().learn(&Remedies::parse(text));
        }
    }
    // Vulnerabilities of one month are mended by the same updates.
    let mut done: HashMap<(String, String), String> = HashMap::new();
    for affected in advisories.values_mut().flat_map(|advisory| &mut advisory.affected).filter(is_of_windows) {
        let (Some(text), Some(supersedence)) = (&mut affected.module, known.get(&affected.name)) else { continue };
        let whole = done.entry((affected.name.clone(), text.clone())).or_insert_with(|| {
            let mut remedies = Remedies::parse(text);
            remedies.later = supersedence.later_than(&remedies);
            remedies.to_string()
        });
        text.clone_from(whole);
    }
}

/// Takes what NVD says of products out of those of its records that somebody corrects: a correction is mostly that it said too much.
fn overrule(advisories: &mut BTreeMap<AdvisoryKey, Advisory>) {
    let corrected: Vec<String> = advisories.keys().filter(|key| key.feed == formats::NVD_OVERRIDES).map(|key| key.id.clone()).collect();
    for id in corrected {
        if let Some(record) = advisories.get_mut(&AdvisoryKey { feed: formats::NVD_FEED.to_owned(), id }) {
            record.affected.clear();
        }
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
    if affected.iter().any(|entry| entry.module.as_ref().is_some_and(|module| module.len() > MAX_MODULE)) {
        return Some("a module's name is longer than 16 KiB");
    }
    if affected.iter().any(|entry| long(&entry.name) || entry.versions.iter().any(|version| long(version))) {
        return Some("a package's name or version is longer than 1024 bytes");
    }
    let mut events = affected.iter().flat_map(|entry| &entry.ranges).flat_map(|range| &range.events);
    if events.any(of_range) {
        return Some("a version of a range is longer than 1024 bytes");
    }
    let texts = [&advisory.summary, &advisory.details];
    if texts.into_iter().any(|text| text.len() > formats::MAX_TEXT) {
        return Some("a text is longer than 1 MiB");
    }
    let of_entry = |entry: &Affected| entry.ranges.iter().any(|range| ends_before_it_begins(&entry.ecosystem.family, range));
    affected.iter().any(of_entry).then_some("a range ends before it begins")
}

/// Whether a range has one beginning and one end, and they are the wrong way round: nothing says which versions are meant.
fn ends_before_it_begins(family: &Family, range: &Range) -> bool {
    let order = match range.kind {
        RangeKind::Semver => Some(Scheme::Semver),
        RangeKind::Ecosystem => Scheme::of(family),
    };
    match (order, range.events.as_slice()) {
        (Some(order), [Event::Introduced(begin), Event::Fixed(end) | Event::LastAffected(end)]) => {
            begin != "0" && order.is_valid(begin) && order.is_valid(end) && order.compare(begin, end).is_gt()
        }
        _ => false,
    }
}
