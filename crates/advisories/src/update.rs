//! Bringing feeds up to date: each is fetched if it changed, judged, and only then takes the place of its former state.
//!
//! A state that is not plausible is refused and the last good one stays: one that cannot be read, is older, or has shrunk by more
//! than a share. All that was accepted becomes one generation.

use crate::download::Downloader;
use crate::feeds::Feed;
use crate::library::FEED_MEMORY;
use crate::routes::{Cursor, Next, Trip};
use crate::{AdvisoriesError, Importer, Library};
use lestrade_matching::{IndexDiff, IndexError};
use lestrade_model::Timestamp;
use lestrade_sys::step;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many are fetched at a time.
const PARALLEL: usize = 4;
/// The share of its records that a feed may lose between two states, once it has so many.
const MAX_LOSS: f64 = 0.10;
const LOSS_FROM: u64 = 50;

/// What came of one feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedOutcome {
    /// It is as it was.
    Unchanged,
    /// Its next state is in force.
    Updated {
        /// Records in it.
        records: u64,
        /// Records of it that could not be used.
        quarantined: usize,
    },
    /// Its next state is not plausible; the last good one stays.
    Refused(String),
    /// It could not be fetched; the last good state stays.
    Unreachable(String),
    /// Whoever answers has nothing at its address; the last good state stays.
    Missing(String),
}

/// What an update did.
#[derive(Debug, Default)]
pub struct UpdateReport {
    /// Every feed that was asked for, in that order.
    pub outcomes: Vec<(String, FeedOutcome)>,
    /// The difference to the generation before; none when nothing changed.
    pub diff: Option<IndexDiff>,
    /// The generation in force.
    pub generation: u64,
    /// Records that could not be used, with their reasons.
    pub quarantined: Vec<(String, String)>,
}

/// Is told how far things are.
pub trait UpdateProgress: Sync {
    /// So many bytes of a feed are here, of so many if that is known.
    fn fetched(&self, feed: &str, bytes: u64, total: Option<u64>);
    /// A feed is done with.
    fn done(&self, feed: &str, outcome: &FeedOutcome);
    /// All feeds are here and are compiled now.
    fn compiling(&self);
}

/// What is kept of a feed from one update to the next.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct FeedMemory {
    url: String,
    #[serde(flatten)]
    cursor: Cursor,
    records: u64,
    /// When it was last seen to be current.
    checked: Timestamp,
    /// The date that it bears itself, if it bears one.
    dated: Option<String>,
}

/// What a library remembers of its feeds. What cannot be read is forgotten: everything is then fetched once more.
fn remembered(library: &Library) -> BTreeMap<String, FeedMemory> {
    let memory = std::fs::read(library.folder().join(FEED_MEMORY)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    memory.unwrap_or_default()
}

/// Brings feeds up to date in a library.
pub struct Updater<'a> {
    library: &'a Library,
    now: Timestamp,
    memory: BTreeMap<String, FeedMemory>,
}

impl<'a> Updater<'a> {
    /// An updater of this library, as of now.
    #[must_use]
    pub fn new(library: &'a Library, now: Timestamp) -> Self {
        Self { library, now, memory: remembered(library) }
    }

    /// Whether a feed was ever brought in.
    #[must_use]
    pub fn knows(&self, feed: &Feed) -> bool {
        self.memory.contains_key(&feed.name)
    }

    /// When a feed was last seen to be current.
    #[must_use]
    pub fn checked(&self, feed: &str) -> Option<Timestamp> {
        self.memory.get(feed).map(|memory| memory.checked)
    }

    /// Fetches, judges and puts in force.
    ///
    /// # Errors
    /// When the library cannot be read or written. What is wrong with one feed is its outcome.
    pub fn run(mut self, feeds: &[Feed], progress: &dyn UpdateProgress) -> Result<UpdateReport, AdvisoriesError> {
        let _writing = self.library.writing()?;
        // Somebody else may have been further than we knew.
        self.memory = remembered(self.library);
        let downloads = self.library.folder().join("downloads");
        std::fs::create_dir_all(&downloads).map_err(AdvisoriesError::io("create", &downloads))?;
        let (older, mut importer) = self.library.next(self.now)?;
        if older.is_none() {
            // Without a state there is nothing that could be as it was.
            self.memory.clear();
        }
        let before = self.memory.clone();
        let results = self.fetch_all(feeds, &downloads, progress);
        step("feeds: fetched");

        let mut report = UpdateReport::default();
        let mut changed = false;
        for (feed, result) in feeds.iter().zip(results) {
            let outcome = match result {
                Err(outcome) => outcome,
                Ok(next) => match self.accept(feed, next, &mut importer, &mut report.quarantined) {
                    Ok((records, quarantined)) => {
                        changed = true;
                        FeedOutcome::Updated { records, quarantined }
                    }
                    Err(reason) => FeedOutcome::Refused(reason),
                },
            };
            if outcome == FeedOutcome::Unchanged
                && let Some(memory) = self.memory.get_mut(&feed.name)
            {
                memory.checked = self.now;
            }
            progress.done(&feed.name, &outcome);
            report.outcomes.push((feed.name.clone(), outcome));
        }
        if changed {
            progress.compiling();
            step("feeds: accepted");
            let (bytes, _) = importer.finish()?;
            step("feeds: compiled");
            self.announce(before)?;
            let id = self.library.publish(&bytes)?;
            step("feeds: published");
            drop(bytes);
            let index = self.library.open(&id)?;
            report.diff = older.as_ref().map(|older| index.diff(older)).transpose()?;
            report.generation = index.manifest().generation;
        } else {
            report.generation = older.map_or(0, |index| index.manifest().generation);
        }
        // Only now: what was fetched and is not in force would otherwise never be asked for again.
        self.remember()?;
        step("feeds: remembered");
        Ok(report)
    }

    fn fetch_all(&self, feeds: &[Feed], downloads: &Path, progress: &dyn UpdateProgress) -> Vec<Result<Next, FeedOutcome>> {
        let slots: Vec<Mutex<Option<Result<Next, FeedOutcome>>>> = feeds.iter().map(|_| Mutex::new(None)).collect();
        let next = AtomicUsize::new(0);
        let downloader = Downloader::new();
        std::thread::scope(|scope| {
            for _ in 0..PARALLEL.min(feeds.len()) {
                scope.spawn(|| {
                    while let Some((feed, slot)) = {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        feeds.get(number).zip(slots.get(number))
                    } {
                        let result = match &downloader {
                            Ok(downloader) => self.fetch(downloader, feed, downloads, progress),
                            Err(reason) => Err(FeedOutcome::Unreachable(reason.clone())),
                        };
                        *slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(result);
                    }
                });
            }
        });
        let missing = || Err(FeedOutcome::Unreachable("it was not looked at".into()));
        slots.into_iter().map(|slot| slot.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).unwrap_or_else(missing)).collect()
    }

    fn fetch(&self, downloader: &Downloader, feed: &Feed, downloads: &Path, progress: &dyn UpdateProgress) -> Result<Next, FeedOutcome> {
        let memory = self.memory.get(&feed.name).filter(|memory| memory.url == feed.url);
        let cursor = memory.map(|memory| &memory.cursor);
        Trip { downloader, feed, cursor, downloads, now: self.now, progress }.next()
    }

    /// Puts a feed's next state in the place of its former one, if it is plausible.
    fn accept(
        &mut self,
        feed: &Feed,
        next: Next,
        importer: &mut Importer,
        quarantined: &mut Vec<(String, String)>,
    ) -> Result<(u64, usize), String> {
        let damaged = |error: IndexError| error.to_string();
        let before = self.memory.get(&feed.name);
        let refused = next.part.quarantined().to_vec();
        if let Some(gone) = next.gone {
            importer.change(&feed.scope, next.part, &gone).map_err(damaged)?;
            let records = importer.records_in(&feed.scope).map_err(damaged)?;
            let memory = FeedMemory { url: feed.url.clone(), cursor: next.cursor, records, checked: self.now, dated: None };
            self.memory.insert(feed.name.clone(), memory);
            return Ok(Self::told(feed, records, refused, quarantined));
        }
        // What is there twice counts once: it must not hide that half of it is gone.
        let records = next.part.records_in(&feed.scope).map_err(damaged)?;
        let had = before.map_or_else(|| importer.records_in(&feed.scope), |memory| Ok(memory.records)).map_err(damaged)?;
        if had >= LOSS_FROM && (records as f64) < had as f64 * (1.0 - MAX_LOSS) {
            return Err(format!("it shrank from {had} to {records} records"));
        }
        if let (Some(dated), Some(was)) = (&next.dated, before.and_then(|memory| memory.dated.as_ref()))
            && dated < was
        {
            return Err(format!("it is of {dated}, and what is here is of {was}"));
        }
        importer.replace(&feed.scope, next.part).map_err(damaged)?;
        let memory = FeedMemory { url: feed.url.clone(), cursor: next.cursor, records, checked: self.now, dated: next.dated };
        self.memory.insert(feed.name.clone(), memory);
        Ok(Self::told(feed, records, refused, quarantined))
    }

    fn told(feed: &Feed, records: u64, refused: Vec<(String, String)>, quarantined: &mut Vec<(String, String)>) -> (u64, usize) {
        let count = refused.len();
        quarantined.extend(refused.into_iter().map(|(id, reason)| (format!("{}: {id}", feed.name), reason)));
        (records, count)
    }

    /// Notes the feeds that are about to be in force for the first time, with nothing of how far they are. Without it a crash behind
    /// the publishing would leave records that nobody is known to have fetched, and nobody would ask for more.
    fn announce(&self, mut before: BTreeMap<String, FeedMemory>) -> Result<(), AdvisoriesError> {
        for (name, memory) in &self.memory {
            let never = Timestamp::from_millis(0);
            let begun =
                FeedMemory { url: memory.url.clone(), cursor: Cursor::default(), records: memory.records, checked: never, dated: None };
            before.entry(name.clone()).or_insert(begun);
        }
        self.keep(&before)
    }

    fn remember(&self) -> Result<(), AdvisoriesError> {
        self.keep(&self.memory)
    }

    fn keep(&self, memory: &BTreeMap<String, FeedMemory>) -> Result<(), AdvisoriesError> {
        let bytes = serde_json::to_vec_pretty(memory).unwrap_or_default();
        self.library.keep(FEED_MEMORY, &bytes)
    }
}
