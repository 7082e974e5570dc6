//! Bringing records in: what is there, and what is new, becomes the next generation.

use crate::base::Base;
use crate::feeds::FeedScope;
use crate::formats::{self, EpssScores, Exploits};
use crate::{AdvisoriesError, Document, Documents, Syntax};
use lestrade_matching::{AdvisoryIndex, FeedState, IndexError, Manifest, build_index_over};
use lestrade_model::{
    Advisory, AdvisoryKey, Affected, Event, ExploitSource, Exploitation, Family, KnownExploited, Lifecycle, Range, RangeKind, Remedies,
    Supersedence, Timestamp,
};
use lestrade_versions::Scheme;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// The feeds of what is known of exploitation.
const EPSS_FEED: &str = "epss";
const KEV_FEED: &str = "kev";
/// The feed of ends of operating systems.
const LIFECYCLES_FEED: &str = "endoflife";
/// The feed of Microsoft's updates.
const WINDOWS_FEED: &str = "msrc";
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
    /// What was there before; what is not spoken of below is as in it.
    base: Option<Base>,
    /// Records that are new or another; none for what is gone.
    advisories: BTreeMap<AdvisoryKey, Option<Advisory>>,
    /// What is known of exploitation; none while nobody has asked for another state of it.
    exploitation: Option<BTreeMap<String, Exploitation>>,
    lifecycles: Vec<Lifecycle>,
    summary: ImportSummary,
    now: Timestamp,
    generation: u64,
    feeds: BTreeMap<String, Timestamp>,
    /// The date that EPSS's or KEV's file bears.
    dated: Option<String>,
    /// The folder below which a source tree's documents are, where records lie among other things.
    among_others: Option<&'static str>,
}

impl Importer {
    /// Starts from nothing.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            base: None,
            advisories: BTreeMap::new(),
            exploitation: Some(BTreeMap::new()),
            lifecycles: Vec::new(),
            summary: ImportSummary::default(),
            now,
            generation: 1,
            feeds: BTreeMap::new(),
            dated: None,
            among_others: None,
        }
    }

    /// Passes over what is not below a folder, and documents of no format that is read.
    pub(crate) const fn among_others(mut self, folder: &'static str) -> Self {
        self.among_others = Some(folder);
        self
    }

    /// Starts from what is there.
    ///
    /// # Errors
    /// When the index is corrupt.
    pub fn on_top_of<B: AsRef<[u8]>>(index: &AdvisoryIndex<B>, now: Timestamp) -> Result<Self, AdvisoriesError> {
        Self::over(index.bytes().to_vec(), now)
    }

    /// Starts from what is in an index.
    pub(crate) fn over(bytes: impl AsRef<[u8]> + Send + Sync + 'static, now: Timestamp) -> Result<Self, AdvisoriesError> {
        let base = Base::of(bytes)?;
        let manifest = base.index().manifest();
        let mut importer = Self::new(now);
        importer.generation = manifest.generation.saturating_add(1);
        importer.feeds = manifest.feeds.iter().map(|feed| (feed.feed.clone(), feed.imported_at)).collect();
        importer.lifecycles.clone_from(&manifest.lifecycles);
        importer.exploitation = None;
        importer.base = Some(base);
        Ok(importer)
    }

    /// What is known of exploitation, to be changed.
    fn known(&mut self) -> Result<&mut BTreeMap<String, Exploitation>, IndexError> {
        let known = match (self.exploitation.take(), &self.base) {
            (Some(known), _) => known,
            (None, Some(base)) => base.index().exploitations()?.collect::<Result<_, _>>()?,
            (None, None) => BTreeMap::new(),
        };
        Ok(self.exploitation.insert(known))
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
        let leftovers = Documents::each(path, &mut |document| Ok(self.document(document)?))?;
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

    fn document(&mut self, document: Document) -> Result<(), IndexError> {
        let Document { name, syntax, bytes } = document;
        if self.among_others.is_some_and(|folder| !folder.is_empty() && !name.contains(&format!("/{folder}"))) {
            self.summary.passed_over += 1;
            return Ok(());
        }
        let text = match syntax {
            // Trackers' texts are by hand, and of many years: a name in another encoding costs no record.
            Syntax::Text => String::from_utf8_lossy(&bytes),
            _ => match std::str::from_utf8(&bytes) {
                Ok(text) => text.into(),
                Err(_) => {
                    self.quarantine(name, "it is not encoded in UTF-8".to_owned());
                    return Ok(());
                }
            },
        };
        let brought = formats::read(&name, syntax, &text);
        if brought.is_unknown && self.among_others.is_some() {
            self.summary.passed_over += 1;
            return Ok(());
        }
        if brought.dated.is_some() {
            self.dated = brought.dated;
        }
        if let Some(scores) = brought.epss {
            self.epss(scores)?;
        }
        if let Some(catalogue) = brought.kev {
            self.kev(catalogue)?;
        }
        if let Some((source, exploits)) = brought.exploits {
            self.exploits(source, exploits)?;
        }
        if let Some((id, ssvc)) = brought.ssvc {
            self.known()?.entry(id).or_default().ssvc = ssvc;
        }
        if let Some(lifecycles) = brought.lifecycles {
            self.summary.read += lifecycles.len() as u64;
            self.feeds.insert(LIFECYCLES_FEED.to_owned(), self.now);
            self.lifecycles = lifecycles;
        }
        brought.advisories.into_iter().for_each(|advisory| self.insert(advisory));
        brought.quarantined.into_iter().for_each(|(id, reason)| self.quarantine(id, reason));
        Ok(())
    }

    /// Another day of EPSS takes the place of the one before.
    fn epss(&mut self, scores: EpssScores) -> Result<(), IndexError> {
        self.summary.read += scores.len() as u64;
        self.feeds.insert(EPSS_FEED.to_owned(), self.now);
        let all = self.known()?;
        for known in all.values_mut() {
            (known.epss, known.percentile) = (None, None);
        }
        for (id, (epss, percentile)) in scores {
            let known = all.entry(id).or_default();
            (known.epss, known.percentile) = (Some(epss), Some(percentile));
        }
        Ok(())
    }

    /// Another catalogue takes the place of the one before: entries can be removed.
    fn kev(&mut self, catalogue: BTreeMap<String, KnownExploited>) -> Result<(), IndexError> {
        self.summary.read += catalogue.len() as u64;
        self.feeds.insert(KEV_FEED.to_owned(), self.now);
        let all = self.known()?;
        all.values_mut().for_each(|known| known.known_exploited = None);
        for (id, entry) in catalogue {
            all.entry(id).or_default().known_exploited = Some(entry);
        }
        Ok(())
    }

    /// Another state of a collection of exploits takes the place of the one before.
    fn exploits(&mut self, source: ExploitSource, exploits: Exploits) -> Result<(), IndexError> {
        self.summary.read += exploits.len() as u64;
        self.feeds.insert(source.as_str().to_owned(), self.now);
        let all = self.known()?;
        all.values_mut().for_each(|known| known.exploits.retain(|exploit| exploit.source != source));
        for (id, exploits) in exploits {
            let known = &mut all.entry(id).or_default().exploits;
            known.extend(exploits);
            known.sort_unstable();
        }
        Ok(())
    }

    fn insert(&mut self, advisory: Advisory) {
        let advisory = self.without_impossible_dates(advisory);
        if let Some(reason) = poison(&advisory) {
            return self.quarantine(advisory.key.id.chars().take(128).collect(), reason.to_owned());
        }
        self.summary.read += 1;
        self.feeds.insert(advisory.key.feed.clone(), self.now);
        self.advisories.insert(advisory.key.clone(), Some(advisory));
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
    pub(crate) fn replace(&mut self, scope: &FeedScope, part: Self) -> Result<(), IndexError> {
        match scope {
            FeedScope::Epss => {
                for known in self.known()?.values_mut() {
                    (known.epss, known.percentile) = (None, None);
                }
            }
            FeedScope::Kev => self.known()?.values_mut().for_each(|known| known.known_exploited = None),
            FeedScope::Exploits(source) => {
                self.known()?.values_mut().for_each(|known| known.exploits.retain(|exploit| exploit.source != *source));
            }
            FeedScope::Lifecycles => self.lifecycles.clone_from(&part.lifecycles),
            scope => self.take_out(scope)?,
        }
        if let Some(brought) = part.exploitation.as_ref().filter(|brought| !brought.is_empty()) {
            let all = self.known()?;
            for (id, new) in brought {
                let known = all.entry(id.clone()).or_default();
                if new.epss.is_some() {
                    (known.epss, known.percentile) = (new.epss, new.percentile);
                }
                if new.known_exploited.is_some() {
                    known.known_exploited.clone_from(&new.known_exploited);
                }
                known.exploits.extend(new.exploits.iter().cloned());
                known.exploits.sort_unstable();
            }
        }
        self.take_answers(&part)?;
        self.join(part);
        Ok(())
    }

    /// Takes over CISA's answers of records that are new: also that there are none any more.
    fn take_answers(&mut self, part: &Self) -> Result<(), IndexError> {
        let of_list = |id: &String| AdvisoryKey { feed: formats::CVE_FEED.to_owned(), id: id.clone() };
        let Some(brought) = part.exploitation.as_ref() else { return Ok(()) };
        let answers: Vec<_> = brought.iter().filter(|(id, _)| part.advisories.contains_key(&of_list(id))).collect();
        if answers.is_empty() {
            return Ok(());
        }
        let all = self.known()?;
        for (id, new) in answers {
            all.entry(id.clone()).or_default().ssvc.clone_from(&new.ssvc);
        }
        Ok(())
    }

    /// Takes out all that is here of a feed.
    fn take_out(&mut self, scope: &FeedScope) -> Result<(), IndexError> {
        for change in self.advisories.values_mut() {
            change.take_if(|advisory| scope.holds(advisory));
        }
        let Some(base) = &self.base else { return Ok(()) };
        base.each_of(scope, &mut |feed, id| {
            // Of what was changed since, its new state was asked above.
            self.advisories.entry(AdvisoryKey { feed: feed.to_owned(), id: id.to_owned() }).or_insert(None);
        })
    }

    /// Puts changed records of a feed in the place of their former states, and takes out those that are gone.
    pub(crate) fn change(&mut self, scope: &FeedScope, part: Self, gone: &[String]) -> Result<(), IndexError> {
        self.take_answers(&part)?;
        if let Some(feed) = scope.feed() {
            for id in gone {
                let key = AdvisoryKey { feed: feed.to_owned(), id: id.clone() };
                let is_here = match (self.advisories.get(&key), &self.base) {
                    (Some(change), _) => change.as_ref().is_some_and(|advisory| scope.holds(advisory)),
                    (None, Some(base)) => base.is_in(scope, &key)?,
                    (None, None) => false,
                };
                if is_here {
                    self.advisories.insert(key, None);
                }
            }
        }
        self.join(part);
        Ok(())
    }

    /// Adds the records that another importer collected; where both have one, that one's counts.
    pub(crate) fn join(&mut self, part: Self) {
        self.feeds.extend(part.feeds);
        self.advisories.extend(part.advisories.into_iter().filter(|(_, change)| change.is_some()));
        self.summary.read += part.summary.read;
        part.summary.quarantined.into_iter().for_each(|(id, reason)| self.quarantine(id, reason));
    }

    /// Whether what was brought in is a feed's: a dump may hold records of other ecosystems beside, it may not be of another one
    /// altogether.
    pub(crate) fn is_of(&self, scope: &FeedScope) -> bool {
        self.records_in(scope).is_ok_and(|records| records > 0)
    }

    /// Whether nothing was brought in but records of a feed.
    pub(crate) fn is_nothing_but(&self, scope: &FeedScope) -> bool {
        let known = self.exploitation.as_ref().is_some_and(|known| !known.is_empty());
        self.advisories.values().flatten().all(|advisory| scope.holds(advisory)) && !known && self.lifecycles.is_empty()
    }

    /// How many records were brought in.
    pub(crate) const fn records(&self) -> u64 {
        self.summary.read
    }

    /// How many of the records here are a feed's.
    pub(crate) fn records_in(&self, scope: &FeedScope) -> Result<u64, IndexError> {
        Ok(match scope {
            FeedScope::Epss => self.exploited()?.scored,
            FeedScope::Kev => self.exploited()?.catalogued,
            FeedScope::Exploits(source) => self.exploited()?.with_exploits(*source),
            FeedScope::Lifecycles => self.lifecycles.len() as u64,
            scope => {
                let mut records = self.advisories.values().flatten().filter(|advisory| scope.holds(advisory)).count() as u64;
                if let Some(base) = &self.base {
                    let mut here = 0;
                    base.each_of(scope, &mut |_, _| here += 1)?;
                    for key in self.advisories.keys() {
                        here -= u64::from(base.is_in(scope, key)?);
                    }
                    records += here;
                }
                records
            }
        })
    }

    /// Of how many vulnerabilities what is known of their exploitation.
    fn exploited(&self) -> Result<Exploited, IndexError> {
        let mut counts = Exploited::default();
        match (&self.exploitation, &self.base) {
            (Some(known), _) => known.values().for_each(|known| counts.add(known)),
            (None, Some(base)) => base.index().exploitations()?.try_for_each(|row| row.map(|(_, known)| counts.add(&known)))?,
            (None, None) => {}
        }
        Ok(counts)
    }

    /// The date that a file of EPSS or KEV bears.
    pub(crate) fn dated(&self) -> Option<&str> {
        self.dated.as_deref()
    }

    pub(crate) fn quarantined(&self) -> &[(String, String)] {
        &self.summary.quarantined
    }

    /// Compiles the next generation. What is as it was before is copied from there.
    ///
    /// # Errors
    /// When there are more records than an index can hold, or the one before is corrupt.
    pub fn finish(mut self) -> Result<(Vec<u8>, ImportSummary), AdvisoriesError> {
        if let Some(known) = &mut self.exploitation {
            known.retain(|_, known| !known.is_empty());
        }
        self.supersede()?;
        self.overrule()?;
        let mut counts = self.records_by_feed()?;
        let exploited = self.exploited()?;
        let exploits = ExploitSource::ALL.map(|source| (source.as_str(), exploited.with_exploits(source)));
        let others = [(EPSS_FEED, exploited.scored), (KEV_FEED, exploited.catalogued), (LIFECYCLES_FEED, self.lifecycles.len() as u64)];
        counts.extend(others.into_iter().chain(exploits).filter(|(_, records)| *records > 0).map(|(feed, n)| (feed.to_owned(), n)));
        let feeds = counts
            .into_iter()
            .map(|(feed, records)| {
                let imported_at = self.feeds.get(&feed).copied().unwrap_or(self.now);
                FeedState { feed, records, imported_at }
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
        let older = self.base.as_ref().map(Base::index);
        Ok((build_index_over(older, &self.advisories, self.exploitation.as_ref(), manifest)?, self.summary))
    }

    /// How many records there are of each feed that has any.
    fn records_by_feed(&self) -> Result<BTreeMap<String, u64>, IndexError> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        if let Some(base) = &self.base {
            for key in base.index().keys()? {
                let (feed, _) = key?;
                match counts.get_mut(feed) {
                    Some(records) => *records += 1,
                    None => drop(counts.insert(feed.to_owned(), 1)),
                }
            }
        }
        for (key, change) in &self.advisories {
            let was = self.base.as_ref().map(|base| base.has(key)).transpose()?.unwrap_or_default();
            if was != change.is_some() {
                let records = counts.entry(key.feed.clone()).or_default();
                *records = if was { records.saturating_sub(1) } else { *records + 1 };
            }
        }
        counts.retain(|_, records| *records > 0);
        Ok(counts)
    }

    /// Notes beside every remedy of Windows the updates that supersede it. What is known of that is spread over all records: a
    /// document that is new says what those of earlier months are superseded by, so that it is worked out anew whenever one comes.
    fn supersede(&mut self) -> Result<(), IndexError> {
        let is_of_windows = |affected: &&mut Affected| affected.ecosystem.family == Family::Windows;
        let of_windows = |advisory: &Advisory| advisory.affected.iter().any(|affected| affected.ecosystem.family == Family::Windows);
        if !self.advisories.values().flatten().any(of_windows) {
            return Ok(());
        }
        if let Some(base) = &self.base {
            // Those that stand by their entries, and with them those that were withdrawn.
            let mut ordinals: BTreeSet<u32> = BTreeSet::new();
            base.index().each_entry(&mut |ordinal, ecosystem| {
                if ecosystem.family == Family::Windows {
                    ordinals.insert(ordinal);
                }
            })?;
            for record in base.index().keys_of(WINDOWS_FEED)? {
                ordinals.insert(record?.0);
            }
            for ordinal in ordinals {
                let advisory = base.index().advisory(ordinal)?;
                self.advisories.entry(advisory.key.clone()).or_insert(Some(advisory));
            }
        }
        let mut known: BTreeMap<String, Supersedence> = BTreeMap::new();
        for affected in self.advisories.values_mut().flatten().flat_map(|advisory| &mut advisory.affected).filter(is_of_windows) {
            if let Some(text) = &affected.module {
                known.entry(affected.name.clone()).or_default().learn(&Remedies::parse(text));
            }
        }
        // Vulnerabilities of one month are mended by the same updates.
        let mut done: HashMap<(String, String), String> = HashMap::new();
        for affected in self.advisories.values_mut().flatten().flat_map(|advisory| &mut advisory.affected).filter(is_of_windows) {
            let (Some(text), Some(supersedence)) = (&mut affected.module, known.get(&affected.name)) else { continue };
            let whole = done.entry((affected.name.clone(), text.clone())).or_insert_with(|| {
                let mut remedies = Remedies::parse(text);
                remedies.later = supersedence.later_than(&remedies);
                remedies.to_string()
            });
            text.clone_from(whole);
        }
        Ok(())
    }

    /// Takes what NVD says of products out of those of its records that somebody corrects: a correction is mostly that it said too
    /// much.
    fn overrule(&mut self) -> Result<(), IndexError> {
        let of = |feed: &str, id: &str| AdvisoryKey { feed: feed.to_owned(), id: id.to_owned() };
        let is_changed = |key: &AdvisoryKey, change: &Option<Advisory>, feed: &str| key.feed == feed && change.is_some();
        let of_feed = |feed: &'static str| self.advisories.iter().filter(move |(key, change)| is_changed(key, change, feed));
        let mut overruled: Vec<(AdvisoryKey, Option<Advisory>)> = Vec::new();
        for (key, _) in of_feed(formats::NVD_OVERRIDES) {
            let corrected = of(formats::NVD_FEED, &key.id);
            if let (None, Some(base)) = (self.advisories.get(&corrected), &self.base) {
                let record = base.advisory(&corrected)?.filter(|record| !record.affected.is_empty());
                overruled.extend(record.map(|record| (corrected, Some(record))));
            }
        }
        for (key, change) in of_feed(formats::NVD_FEED) {
            let correction = of(formats::NVD_OVERRIDES, &key.id);
            let is_corrected = match (self.advisories.get(&correction), &self.base) {
                (Some(change), _) => change.is_some(),
                (None, Some(base)) => base.has(&correction)?,
                (None, None) => false,
            };
            if is_corrected && change.as_ref().is_some_and(|record| !record.affected.is_empty()) {
                overruled.push((key.clone(), change.clone()));
            }
        }
        for (key, mut record) in overruled {
            record.iter_mut().for_each(|record| record.affected.clear());
            self.advisories.insert(key, record);
        }
        Ok(())
    }
}

/// Of how many vulnerabilities something is known.
#[derive(Default)]
struct Exploited {
    scored: u64,
    catalogued: u64,
    exploits: HashMap<ExploitSource, u64>,
}

impl Exploited {
    fn add(&mut self, known: &Exploitation) {
        self.scored += u64::from(known.epss.is_some());
        self.catalogued += u64::from(known.known_exploited.is_some());
        for source in ExploitSource::ALL {
            if known.exploits.iter().any(|exploit| exploit.source == source) {
                *self.exploits.entry(source).or_default() += 1;
            }
        }
    }

    fn with_exploits(&self, source: ExploitSource) -> u64 {
        self.exploits.get(&source).copied().unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_model::{Ecosystem, Exploit, ExploitMaturity};
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    /// Records of all kinds that are not each by itself: of OSV by their packages, of Windows, of NVD and who corrects it.
    fn any_record() -> impl Strategy<Value = Advisory> {
        let package = prop_oneof![Just(Family::Npm), Just(Family::PyPi)];
        let package = (package, 1..4_u8).prop_map(|(family, fix)| Affected::before(Ecosystem::of(family), "p", &fix.to_string()));
        let packages = prop::collection::vec(package, 0..3);
        let update = (0..2_u8, 1..6_u8, 1..6_u8).prop_map(|(product, update, older)| {
            let name = format!("Windows {product}");
            let mut affected = Affected::always(Ecosystem::release(Family::Windows, &name), &name, lestrade_model::FixState::Open);
            affected.module = Some(format!("KB{update}<KB{older}"));
            affected
        });
        let record = |feed: &str, id: u8, affected: Vec<Affected>, withdrawn: bool| Advisory {
            affected,
            withdrawn: withdrawn.then_some(NOW),
            ..Advisory::new(feed, &format!("CVE-2024-{id:04}"))
        };
        let feeds = prop_oneof![Just("osv"), Just("debian-tracker"), Just(formats::NVD_FEED), Just(formats::NVD_OVERRIDES)];
        prop_oneof![
            4 => (feeds, 0..20_u8, packages, any::<bool>()).prop_map(move |(feed, id, packages, gone)| record(feed, id, packages, gone)),
            1 => (0..20_u8, prop::collection::vec(update, 1..3), any::<bool>())
                .prop_map(move |(id, updates, gone)| record(WINDOWS_FEED, id, updates, gone)),
        ]
    }

    /// What happens to an importer.
    #[derive(Clone, Debug)]
    enum Step {
        Bring(Vec<Advisory>),
        Replace(FeedScope, Vec<Advisory>),
        Change(FeedScope, Vec<Advisory>, Vec<String>),
        Score(FeedScope, u8),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let of = |feed| FeedScope::Records { feed, prefix: "CVE-".to_owned(), ecosystem: None };
        let scope = prop_oneof![
            Just(FeedScope::Osv(Family::Npm)),
            Just(FeedScope::Osv(Family::PyPi)),
            Just(FeedScope::DebianTracker),
            Just(of(WINDOWS_FEED)),
            Just(of(formats::NVD_FEED)),
            Just(of(formats::NVD_OVERRIDES)),
        ];
        let records = || prop::collection::vec(any_record(), 0..12);
        let ids = prop::collection::vec((0..20_u8).prop_map(|id| format!("CVE-2024-{id:04}")), 0..6);
        prop_oneof![
            records().prop_map(Step::Bring),
            (scope.clone(), records()).prop_map(|(scope, records)| Step::Replace(scope, records)),
            (scope, records(), ids).prop_map(|(scope, records, ids)| Step::Change(scope, records, ids)),
            (prop_oneof![Just(FeedScope::Epss), Just(FeedScope::Exploits(ExploitSource::ALL[0]))], 0..9_u8)
                .prop_map(|(scope, to)| Step::Score(scope, to)),
        ]
    }

    fn take(importer: &mut Importer, step: Step) {
        let part_of = |records: Vec<Advisory>, scope: Option<&FeedScope>| {
            let mut part = Importer::new(NOW);
            part.extend(records.into_iter().filter(|record| scope.is_none_or(|scope| scope.holds(record))));
            part
        };
        match step {
            Step::Bring(records) => importer.extend(records),
            Step::Replace(scope, records) => importer.replace(&scope, part_of(records, Some(&scope))).unwrap(),
            Step::Change(scope, records, ids) => importer.change(&scope, part_of(records, None), &ids).unwrap(),
            Step::Score(scope, to) => {
                let mut part = Importer::new(NOW);
                for id in 0..to {
                    let known = part.known().unwrap().entry(format!("CVE-2024-{id:04}")).or_default();
                    match &scope {
                        FeedScope::Epss => known.epss = Some(0.5),
                        _ => known.exploits.push(Exploit {
                            source: ExploitSource::ALL[0],
                            name: "EDB-1".to_owned(),
                            maturity: ExploitMaturity::ProofOfConcept,
                            published: String::new(),
                        }),
                    }
                }
                importer.replace(&scope, part).unwrap();
            }
        }
    }

    /// An importer that has read all of an index.
    fn decoded(index: &AdvisoryIndex<&[u8]>) -> Importer {
        let mut importer = Importer::on_top_of(index, NOW).unwrap();
        importer.base = None;
        let records = index.advisories().unwrap().map(|advisory| advisory.unwrap());
        importer.advisories = records.map(|advisory| (advisory.key.clone(), Some(advisory))).collect();
        importer.exploitation = Some(index.exploitations().unwrap().map(|row| row.unwrap()).collect());
        importer
    }

    proptest! {
        /// Whatever comes, an importer that asks the older generation makes the bytes of one that has read it.
        #[test]
        fn what_is_not_read_is_as_if_it_were(
            before in prop::collection::vec(any_record(), 0..80),
            scored in 0..9_u8,
            steps in prop::collection::vec(any_step(), 0..5),
        ) {
            let mut first = Importer::new(NOW);
            first.extend(before);
            take(&mut first, Step::Score(FeedScope::Epss, scored));
            let (bytes, _) = first.finish().unwrap();
            let older = AdvisoryIndex::open(bytes.as_slice()).unwrap();
            let (mut asking, mut knowing) = (Importer::on_top_of(&older, NOW).unwrap(), decoded(&older));
            for step in steps {
                take(&mut asking, step.clone());
                take(&mut knowing, step);
                for scope in [FeedScope::Osv(Family::Npm), FeedScope::DebianTracker, FeedScope::Epss] {
                    prop_assert_eq!(asking.records_in(&scope).unwrap(), knowing.records_in(&scope).unwrap());
                }
            }
            prop_assert!(asking.finish().unwrap().0 == knowing.finish().unwrap().0);
        }
    }
}
