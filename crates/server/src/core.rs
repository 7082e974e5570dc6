//! The world in memory and the truth in the store, changed together.

use crate::audit::AuditState;
use crate::feeds::Poll;
use crate::intake::Intake;
use crate::inventories::ReadInventories;
use crate::meters::Meters;
use crate::{Retention, ServerError};
use lestrade_advisories::{Library, OpenIndex};
use lestrade_findings::{Assessment, Episode, EpisodeBody, InventorySource, LogPosition, TokenKey, Transition, World, assess};
use lestrade_matching::{AdvisoryIndex, IndexError, VulnerabilityId, judge_vulnerability};
use lestrade_model::{Clock, ExploitMaturity, Hash, Inventory, Scope, Severity, Timestamp};
use lestrade_store::{Change, Fan, Lane, OutboxGroup, Store};
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// From how many resources of one scope on a vulnerability's movement has a summary.
const SUMMARY_FROM: u64 = 10;

/// How long a writer looks for a moment in which nobody reads, and how often.
const PATIENCE: Duration = Duration::from_millis(100);
const GAP: Duration = Duration::from_micros(200);
/// What the store is tried with after it took no change.
const TRIAL: &str = "trial";
const TRIAL_BYTES: usize = 1 << 16;

/// The watching server's state.
///
/// Writers take the world's write lock, change it, commit the same change to the store, and only then let go: readers never see
/// what is not on disk. When the commit fails, the world is rebuilt from the store.
pub struct Core {
    pub(crate) world: RwLock<World>,
    pub(crate) store: Mutex<Box<dyn Store>>,
    pub(crate) library: Library,
    pub(crate) clock: Arc<dyn Clock>,
    /// The last group that was put into the outbox; those who tell of it are woken by it.
    pub(crate) told: watch::Sender<LogPosition>,
    pub(crate) audited: Mutex<AuditState>,
    pub(crate) meters: Meters,
    pub(crate) intake: Intake,
    /// How the last poll of each feed went.
    pub(crate) polls: Mutex<BTreeMap<String, Poll>>,
    /// Networks as they were described last.
    pub(crate) networks: Mutex<HashMap<Scope, crate::exposure::Known>>,
    /// How long images are watched where no client of the API has set it.
    pub(crate) retention: Mutex<Retention>,
    /// Since when nothing could be written; none while all is well.
    stalled: Mutex<Option<Timestamp>>,
    /// How often the world was rebuilt from the store because a change could not be committed.
    pub(crate) rebuilds: AtomicU64,
    index: RwLock<Option<Arc<OpenIndex>>>,
    inventories: ReadInventories,
    token_key: TokenKey,
}

/// A lock whose holder panicked still guards sound data here: every change is replaced whole or rebuilt.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Core {
    /// Loads the state and brings it up to the intelligence in force.
    ///
    /// # Errors
    /// When the store or the intelligence cannot be read.
    pub fn open(store: Box<dyn Store>, library: Library, clock: Arc<dyn Clock>, token_key: [u8; 32]) -> Result<Self, ServerError> {
        let core = Self {
            world: RwLock::default(),
            store: Mutex::new(store),
            library,
            clock,
            told: watch::Sender::new(0),
            audited: Mutex::default(),
            meters: Meters::default(),
            intake: Intake::default(),
            polls: Mutex::default(),
            networks: Mutex::default(),
            retention: Mutex::new(Retention { used: 14, ..Retention::default() }),
            stalled: Mutex::default(),
            rebuilds: AtomicU64::default(),
            index: RwLock::new(None),
            inventories: ReadInventories::default(),
            token_key: TokenKey::new(token_key),
        };
        core.reload()?;
        core.refresh_intelligence()?;
        Ok(core)
    }

    /// The world, for reading.
    pub fn world(&self) -> RwLockReadGuard<'_, World> {
        self.world.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The world, for changing.
    ///
    /// Whoever waits in line for it holds up all who come to read after: while a long question is answered, that would be everybody. So
    /// a writer looks for a gap first, for a while.
    pub(crate) fn world_mut(&self) -> RwLockWriteGuard<'_, World> {
        let patient = Instant::now() + PATIENCE;
        while Instant::now() < patient {
            match self.world.try_write() {
                Ok(world) => return world,
                Err(TryLockError::Poisoned(held)) => return held.into_inner(),
                Err(TryLockError::WouldBlock) => std::thread::sleep(GAP),
            }
        }
        self.world.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Says how long images are watched where no client of the API has set it.
    pub fn set_retention(&self, retention: Retention) {
        *lock(&self.retention) = retention;
    }

    /// The last group that was put into the outbox.
    pub(crate) fn last_group(&self) -> LogPosition {
        *self.told.borrow()
    }

    /// The store, for documents. Never taken before the world's lock by a holder that then waits for that lock.
    pub fn store(&self) -> MutexGuard<'_, Box<dyn Store>> {
        lock(&self.store)
    }

    /// The index in force; none before the first import.
    pub fn index(&self) -> Option<Arc<OpenIndex>> {
        self.index.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub(crate) fn set_index(&self, index: Arc<OpenIndex>) {
        *self.index.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(index);
    }

    /// The key of page tokens.
    pub const fn token_key(&self) -> &TokenKey {
        &self.token_key
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Commits a change that the world already has; when that fails, the world becomes what the store holds.
    pub(crate) fn commit(&self, world: &mut World, change: &Change) -> Result<(), ServerError> {
        if change.is_empty() {
            return Ok(());
        }
        let committed = lock(&self.store).commit(change);
        if let Err(error) = committed {
            tracing::error!(%error, "a change could not be committed; the world is rebuilt from the store");
            lock(&self.stalled).get_or_insert(self.now());
            self.recover(world)?;
            return Err(error.into());
        }
        Ok(())
    }

    /// Refuses while nothing can be written. After a change that could not be committed the store is tried with one that means
    /// nothing, before the world is changed again: a world that moves and is rebuilt, over and over, answers nobody meanwhile.
    fn writable(&self) -> Result<(), ServerError> {
        let mut stalled = lock(&self.stalled);
        if stalled.is_some() {
            let trial = |bytes| Change { cursors: vec![(TRIAL.to_owned(), bytes)], ..Change::default() };
            let mut store = lock(&self.store);
            store.commit(&trial(vec![0; TRIAL_BYTES]))?;
            store.commit(&trial(Vec::new()))?;
            *stalled = None;
            tracing::info!("the store takes changes again");
        }
        Ok(())
    }

    /// Since when nothing can be written; none while all is well.
    pub fn stalled(&self) -> Option<Timestamp> {
        *lock(&self.stalled)
    }

    /// Makes the world what the store holds.
    pub(crate) fn recover(&self, world: &mut World) -> Result<(), ServerError> {
        let mut rebuilt = self.rebuilt()?;
        self.rebuilds.fetch_add(1, Ordering::Relaxed);
        rebuilt.suppressions = std::mem::take(&mut world.suppressions);
        rebuilt.administrator = world.administrator.take();
        *world = rebuilt;
        Ok(())
    }

    /// The derived state compared with the log replayed: resources and vulnerabilities on which they differ.
    ///
    /// They must never differ; a difference is a fault to be shown, not to be hidden.
    pub fn audit(&self) -> Vec<(u32, u32)> {
        let world = self.world();
        world.derived().symmetric_difference(&world.log.replay()).copied().collect()
    }
}

impl InventorySource for Core {
    fn inventory(&self, id: &Hash) -> Option<Arc<Inventory>> {
        self.inventories.find(&self.store, id).unwrap_or_else(|error| {
            tracing::error!(%error, "an inventory cannot be read");
            None
        })
    }
}

/// A change in the making: it moves the world's log and remembers what has to be committed.
pub(crate) struct Draft<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) change: Change,
    last_group: LogPosition,
    at: Timestamp,
}

impl<'a> Draft<'a> {
    /// # Errors
    /// While the store takes no changes; then nothing is changed.
    pub(crate) fn new(core: &Core, world: &'a mut World) -> Result<Self, ServerError> {
        core.writable()?;
        // A clock that jumps back must not write history out of order.
        let at = core.now().max(world.log.last_at());
        Ok(Self { world, change: Change::default(), last_group: core.last_group(), at })
    }

    /// When what is drafted happens.
    pub(crate) const fn at(&self) -> Timestamp {
        self.at
    }

    /// The number of a vulnerability; a new one is to be committed.
    pub(crate) fn vulnerability(&mut self, name: &str) -> VulnerabilityId {
        if let Some(known) = self.world.estate.vulnerability_id(name) {
            return known;
        }
        let entry = self.world.entry_of(name);
        let (id, _) = self.world.estate.intern_vulnerability(&entry);
        self.change.vulnerabilities.push((id, entry.clone()));
        if entry != name {
            self.episode(EpisodeBody::Renamed { vulnerability: id, name: name.to_owned() });
        }
        id
    }

    /// Appends to the log.
    pub(crate) fn episode(&mut self, body: EpisodeBody) {
        let episode = Episode { position: self.world.log.head() + 1, at: self.at, body };
        self.change.episodes.push(episode.clone());
        self.world.append(episode);
    }

    /// Puts a group of findings into the outbox: what is urgent apart from the rest, and ahead of many of one vulnerability their
    /// summary. The lane is decided here and stored: were it decided when it is sent, what became urgent in between would be
    /// told by neither lane.
    pub(crate) fn tell(&mut self, transition: Option<Transition>, fan: Fan) {
        match fan {
            Fan::Vulnerability { vulnerability, resources } => {
                for (scope, resources) in self.many(&resources) {
                    self.push(Lane::Urgent, transition, Fan::Summary { scope, vulnerability, resources });
                }
                // What may be reached is not put off, what is not known to be unreachable included.
                let none = RoaringBitmap::new();
                let urgent = if self.is_grave(vulnerability) { &resources - self.world.unreachable() } else { none };
                let rest = resources - &urgent;
                self.push(Lane::Urgent, transition, Fan::Vulnerability { vulnerability, resources: urgent });
                self.push(Lane::Ordinary, transition, Fan::Vulnerability { vulnerability, resources: rest });
            }
            Fan::Resource { resource, vulnerabilities } => {
                let can_be_reached = !self.world.unreachable().contains(resource);
                let urgent: RoaringBitmap = vulnerabilities.iter().filter(|id| can_be_reached && self.is_grave(*id)).collect();
                let ordinary = vulnerabilities - &urgent;
                self.push(Lane::Urgent, transition, Fan::Resource { resource, vulnerabilities: urgent });
                self.push(Lane::Ordinary, transition, Fan::Resource { resource, vulnerabilities: ordinary });
            }
            other => self.push(Lane::Ordinary, transition, other),
        }
    }

    /// The parts of some resources, by scope, that are so many that they have a summary.
    fn many(&self, resources: &RoaringBitmap) -> Vec<(Scope, RoaringBitmap)> {
        if resources.len() < SUMMARY_FROM {
            return Vec::new();
        }
        let parts = self.world.scopes().map(|scope| (scope, self.world.resources_in(scope) & resources));
        parts.filter(|(_, part)| part.len() >= SUMMARY_FROM).map(|(scope, part)| (scope.clone(), part)).collect()
    }

    /// Exploited, or critical.
    fn is_grave(&self, vulnerability: VulnerabilityId) -> bool {
        let assessment = self.world.assessment(vulnerability);
        assessment.is_some_and(|known| known.maturity == ExploitMaturity::Attacked || known.severity == Severity::Critical)
    }

    fn push(&mut self, lane: Lane, transition: Option<Transition>, fan: Fan) {
        if fan.is_empty() {
            return;
        }
        self.last_group += 1;
        self.change.groups.push(OutboxGroup { lane, id: self.last_group, at: self.at, transition, fan });
    }

    /// Commits.
    pub(crate) fn commit(self, core: &Core) -> Result<(), ServerError> {
        core.commit(self.world, &self.change)?;
        core.told.send_replace(self.last_group);
        Ok(())
    }
}

/// Looks up what is known of a vulnerability, anew.
pub(crate) fn assess_from<B: AsRef<[u8]>>(
    world: &mut World,
    index: &AdvisoryIndex<B>,
    id: VulnerabilityId,
    name: &str,
) -> Result<(), ServerError> {
    let known = known_of(index, name)?;
    assess_as(world, index, id, name, known)
}

/// What an index knows of a vulnerability.
pub(crate) struct KnownOf {
    assessment: Assessment,
    /// Whether there are records of it.
    recorded: bool,
}

/// Looks up what an index knows of a vulnerability.
pub(crate) fn known_of<B: AsRef<[u8]>>(index: &AdvisoryIndex<B>, name: &str) -> Result<KnownOf, IndexError> {
    let advisories = index.advisories_of(name)?.into_iter().map(|ordinal| index.advisory(ordinal)).collect::<Result<Vec<_>, _>>()?;
    let assessment = assess(name, &advisories, index.exploitation(name)?.as_ref());
    Ok(KnownOf { assessment, recorded: !advisories.is_empty() })
}

/// Takes in what an index knows of a vulnerability.
pub(crate) fn assess_as<B: AsRef<[u8]>>(
    world: &mut World,
    index: &AdvisoryIndex<B>,
    id: VulnerabilityId,
    name: &str,
    known: KnownOf,
) -> Result<(), ServerError> {
    if know(world, id, known) { keep_past(world, index, id, name) } else { Ok(()) }
}

/// Takes in what is known of a vulnerability, and answers whether anything is: once its records are gone, what was last known still
/// explains the closed findings.
pub(crate) fn know(world: &mut World, id: VulnerabilityId, known: KnownOf) -> bool {
    let is_known = known.recorded || world.assessment(id).is_none();
    if is_known {
        world.set_assessment(id, known.assessment);
    }
    is_known
}

/// Keeps what is said of a vulnerability that is in nothing any more.
pub(crate) fn keep_past<B: AsRef<[u8]>>(
    world: &mut World,
    index: &AdvisoryIndex<B>,
    id: VulnerabilityId,
    name: &str,
) -> Result<(), ServerError> {
    if world.estate.verdicts(id).is_none() {
        let past = judge_vulnerability(index, &world.estate, name, true)?;
        world.keep_withdrawn(id, past.into_iter().collect());
    }
    Ok(())
}
