//! From the store to the world: dictionaries, then the log in order, then the verdicts of the intelligence that was last applied.

use crate::ServerError;
use crate::core::{Core, keep_past, know, known_of, lock};
use crate::exposure::recalled;
use lestrade_advisories::{GenerationId, OpenIndex};
use lestrade_findings::{Episode, EpisodeBody, LogPosition, World};
use lestrade_matching::{ComponentId, IndexError, ReportMode, ResourceId, SetId, VulnerabilityId, judge_component};
use lestrade_model::Component;
use lestrade_store::{LoadSink, Store, StoreError, StoredResource};
use lestrade_sys::step;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Instant;

/// The cursor that names the generation whose verdicts the log knows.
pub(crate) const INTELLIGENCE: &str = "intelligence";

/// Builds a world out of rows.
#[derive(Default)]
struct Loading {
    world: World,
    last_group: LogPosition,
    /// The first row that did not get the number that it was stored under: a sign of damage.
    out_of_order: Option<&'static str>,
    /// Match sets that wait for others, the first of them under this number.
    sets: Vec<Vec<ComponentId>>,
    first_set: SetId,
}

impl Loading {
    fn expect(&mut self, table: &'static str, right: bool) {
        if !right && self.out_of_order.is_none() {
            self.out_of_order = Some(table);
        }
    }
}

/// A row of the store.
enum Row {
    Component(ComponentId, Component),
    Set(SetId, Vec<ComponentId>),
    Vulnerability(VulnerabilityId, String),
    Resource(ResourceId, Box<StoredResource>),
    Episode(Episode),
    LastGroup(LogPosition),
}

/// How many match sets are entered together.
const SETS: usize = 8192;
/// How many rows are handed over together, and how often ahead.
const ROWS: usize = 1024;
const AHEAD: usize = 8;

/// Hands rows to whoever builds, so that reading and building go on side by side.
struct Reading {
    rows: Vec<Row>,
    to: SyncSender<Vec<Row>>,
}

impl Reading {
    fn hand(&mut self, row: Row) {
        self.rows.push(row);
        if self.rows.len() == ROWS {
            self.flush();
        }
    }

    /// Hands over what there is. Whoever builds listens until the end, unless it panics, and then nobody asks.
    fn flush(&mut self) {
        let _ = self.to.send(std::mem::replace(&mut self.rows, Vec::with_capacity(ROWS)));
    }
}

impl LoadSink for Reading {
    fn component(&mut self, id: ComponentId, component: Component) {
        self.hand(Row::Component(id, component));
    }
    fn set(&mut self, id: SetId, components: Vec<ComponentId>) {
        self.hand(Row::Set(id, components));
    }
    fn vulnerability(&mut self, id: VulnerabilityId, name: String) {
        self.hand(Row::Vulnerability(id, name));
    }
    fn resource(&mut self, id: ResourceId, resource: StoredResource) {
        self.hand(Row::Resource(id, Box::new(resource)));
    }
    fn episode(&mut self, episode: Episode) {
        self.hand(Row::Episode(episode));
    }
    fn last_group(&mut self, id: LogPosition) {
        self.hand(Row::LastGroup(id));
    }
}

impl Loading {
    fn take(&mut self, row: Row) {
        if !matches!(row, Row::Set(..)) {
            self.enter_sets();
        }
        match row {
            Row::Component(id, component) => {
                let right = self.world.estate.intern_component(&component) == (id, true);
                self.expect("components", right);
            }
            Row::Set(id, components) => {
                let known = self.world.estate.sizes().0;
                if self.sets.is_empty() {
                    self.first_set = id;
                }
                let follows = id as usize == self.first_set as usize + self.sets.len();
                self.expect("match_sets", follows && components.iter().all(|c| (*c as usize) < known));
                if self.out_of_order.is_none() {
                    self.sets.push(components);
                }
                if self.sets.len() == SETS {
                    self.enter_sets();
                }
            }
            Row::Vulnerability(id, name) => {
                let right = self.world.estate.intern_vulnerability(&name) == (id, true);
                if let Some(condition) = recalled(&name) {
                    self.world.set_assessment(id, condition);
                }
                self.expect("vulnerabilities", right);
            }
            Row::Resource(id, resource) => {
                let right = self.world.intern_resource(&resource.resource.key) == (id, true);
                self.expect("resources", right);
                self.world.set_resource(id, (*resource).into());
            }
            Row::Episode(episode) => self.episode(episode),
            Row::LastGroup(id) => self.last_group = id,
        }
    }

    /// Enters the match sets that wait.
    fn enter_sets(&mut self) {
        if self.sets.is_empty() {
            return;
        }
        let entered = self.world.estate.intern_sets(std::mem::take(&mut self.sets));
        let right = entered.into_iter().zip(self.first_set..).all(|((id, is_new), expected)| is_new && id == expected);
        self.expect("match_sets", right);
    }

    fn episode(&mut self, episode: Episode) {
        let right = episode.position == self.world.log.head() + 1;
        self.expect("episodes", right);
        match &episode.body {
            EpisodeBody::Cleared { vulnerability, verdicts } => {
                self.world.keep_cleared(*vulnerability, episode.position, verdicts.iter().cloned());
            }
            EpisodeBody::Inventory { resource, set, .. } => {
                self.world.estate.assign(*resource, *set);
            }
            EpisodeBody::Condition { resource, opened, closed } => {
                let had = self.world.estate.conditions_of(*resource).cloned().unwrap_or_default();
                self.world.estate.set_conditions(*resource, (had | opened) - closed);
            }
            EpisodeBody::Advisory { .. } | EpisodeBody::Renamed { .. } | EpisodeBody::Merged { .. } => {}
        }
        self.world.append(episode);
    }
}

/// Reads a store, and builds the world out of it meanwhile.
fn read(store: &mut dyn Store) -> Result<Loading, StoreError> {
    std::thread::scope(|scope| {
        let (to, from) = sync_channel(AHEAD);
        let reading = scope.spawn(move || {
            let mut sink = Reading { rows: Vec::with_capacity(ROWS), to };
            let read = store.load(&mut sink);
            sink.flush();
            read
        });
        let mut loading = Loading::default();
        from.into_iter().flatten().for_each(|row| loading.take(row));
        loading.enter_sets();
        let broken = StoreError::Engine { action: "reading the state", reason: "the reader panicked".into() };
        reading.join().unwrap_or(Err(broken)).map(|()| loading)
    })
}

impl Core {
    /// Replaces the world by what the store holds.
    pub(crate) fn reload(&self) -> Result<(), ServerError> {
        let world = self.rebuilt()?;
        *self.world_mut() = world;
        Ok(())
    }

    /// The world that the store holds.
    pub(crate) fn rebuilt(&self) -> Result<World, ServerError> {
        let begun = Instant::now();
        let mut store = lock(&self.store);
        let loading = read(&mut **store)?;
        if let Some(table) = loading.out_of_order {
            return Err(StoreError::Damaged { table }.into());
        }
        self.told.send_replace(loading.last_group);
        let applied = store.cursor(INTELLIGENCE)?.and_then(|bytes| String::from_utf8(bytes).ok());
        drop(store);
        let mut world = loading.world;
        world.note_sets();
        tracing::debug!(elapsed = ?begun.elapsed(), "the state is read");
        step("load: read");
        if let Some(index) = applied.and_then(|applied| self.applied(&applied)) {
            derive_verdicts(&mut world, &index)?;
            self.set_index(index);
        }
        tracing::debug!(elapsed = ?begun.elapsed(), "what it holds is judged");
        step("load: judged");
        Ok(world)
    }

    /// The generation that a cursor names, in the mode in which it was applied; none when it is no longer kept.
    fn applied(&self, cursor: &str) -> Option<Arc<OpenIndex>> {
        let (id, mode) = cursor.split_once(' ').unwrap_or((cursor, ReportMode::Full.as_str()));
        let library = self.library.clone().reporting(ReportMode::named(mode)?);
        library.open(&library.named(id)?).ok().map(Arc::new)
    }
}

/// What a cursor says of a generation that is applied in a mode.
pub(crate) fn cursor_of(id: &GenerationId, mode: ReportMode) -> String {
    match mode {
        ReportMode::Full => id.to_string(),
        mode => format!("{id} {}", mode.as_str()),
    }
}

/// Judges every component anew, forwards.
pub(crate) fn derive_verdicts(world: &mut World, index: &OpenIndex) -> Result<(), ServerError> {
    let estate = &world.estate;
    let judged = in_parts(estate.sizes().0, |id| judge_component(index, estate.component(id)).map(|verdicts| (id, verdicts)))?;
    let mut verdicts: BTreeMap<VulnerabilityId, BTreeMap<ComponentId, _>> = BTreeMap::new();
    for (id, judged) in judged {
        for (name, verdict) in judged {
            // A vulnerability without a number was never logged; the refresh that follows will find and log it.
            if let Some(vulnerability) = estate.vulnerability_id(&name) {
                verdicts.entry(vulnerability).or_default().insert(id, verdict);
            }
        }
    }
    let known = in_parts(estate.sizes().2, |id| known_of(index, estate.vulnerability(id).unwrap_or_default()).map(|known| (id, known)))?;
    // How grave they are first: by that they are counted.
    // Of what is another now, the other says what is known.
    let known = known.into_iter().filter(|(id, _)| !world.log.is_merged(*id)).collect::<Vec<_>>();
    let known: Vec<VulnerabilityId> = known.into_iter().filter_map(|(id, known)| know(world, id, known).then_some(id)).collect();
    world.estate.revise_all(verdicts);
    for id in known {
        if let Some(name) = world.estate.vulnerability(id).map(str::to_owned) {
            keep_past(world, index, id, &name)?;
        }
    }
    Ok(())
}

/// Works something out for each number below `count`, in as many parts as there are cores.
fn in_parts<T: Send>(count: usize, work: impl Fn(u32) -> Result<T, IndexError> + Sync) -> Result<Vec<T>, IndexError> {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let parts = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, 16);
    let size = count.div_ceil(u32::try_from(parts).unwrap_or(1)).max(1);
    std::thread::scope(|scope| {
        let part = |from: u32| (from..from.saturating_add(size).min(count)).map(&work).collect::<Result<Vec<T>, _>>();
        let running: Vec<_> = (0..count).step_by(size as usize).map(|from| scope.spawn(move || part(from))).collect();
        let mut all = Vec::with_capacity(count as usize);
        for part in running {
            match part.join() {
                Ok(part) => all.extend(part?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(all)
    })
}
