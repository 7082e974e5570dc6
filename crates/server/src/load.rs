//! From the store to the world: dictionaries, then the log in order, then the verdicts of the intelligence that was last applied.

use crate::ServerError;
use crate::core::{Core, assess_from, lock};
use crate::exposure::recalled;
use lestrade_advisories::{GenerationId, OpenIndex};
use lestrade_findings::{Episode, EpisodeBody, LogPosition, World};
use lestrade_matching::{ComponentId, ReportMode, ResourceId, SetId, VulnerabilityId, judge_component};
use lestrade_model::Component;
use lestrade_store::{LoadSink, StoredResource};
use lestrade_sys::step;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The cursor that names the generation whose verdicts the log knows.
pub(crate) const INTELLIGENCE: &str = "intelligence";

/// Builds a world out of rows.
#[derive(Default)]
struct Loading {
    world: World,
    last_group: LogPosition,
    /// The first row that did not get the number that it was stored under: a sign of damage.
    out_of_order: Option<&'static str>,
}

impl Loading {
    fn expect(&mut self, table: &'static str, right: bool) {
        if !right && self.out_of_order.is_none() {
            self.out_of_order = Some(table);
        }
    }
}

impl LoadSink for Loading {
    fn component(&mut self, id: ComponentId, component: Component) {
        let right = self.world.estate.intern_component(&component) == (id, true);
        self.expect("components", right);
    }
    fn set(&mut self, id: SetId, components: Vec<ComponentId>) {
        let known = self.world.estate.sizes().0;
        let right = components.iter().all(|c| (*c as usize) < known) && self.world.estate.intern_set(&components) == (id, true);
        self.expect("match_sets", right);
    }
    fn vulnerability(&mut self, id: VulnerabilityId, name: String) {
        let right = self.world.estate.intern_vulnerability(&name) == (id, true);
        if let Some(condition) = recalled(&name) {
            self.world.set_assessment(id, condition);
        }
        self.expect("vulnerabilities", right);
    }
    fn resource(&mut self, id: ResourceId, resource: StoredResource) {
        let right = self.world.intern_resource(&resource.resource.key) == (id, true);
        self.expect("resources", right);
        self.world.set_resource(id, resource.into());
    }
    fn episode(&mut self, episode: Episode) {
        let right = episode.position == self.world.log.head() + 1;
        self.expect("episodes", right);
        match &episode.body {
            EpisodeBody::Inventory { resource, set, .. } => {
                self.world.estate.assign(*resource, *set);
            }
            EpisodeBody::Condition { resource, opened, closed } => {
                let had = self.world.estate.conditions_of(*resource).cloned().unwrap_or_default();
                self.world.estate.set_conditions(*resource, (had | opened) - closed);
            }
            EpisodeBody::Advisory { .. } => {}
        }
        let estate = &self.world.estate;
        self.world.log.append(episode, |sets| estate.resources_of(sets));
    }
    fn last_group(&mut self, id: LogPosition) {
        self.last_group = id;
    }
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
        let mut loading = Loading::default();
        let mut store = lock(&self.store);
        store.load(&mut loading)?;
        if let Some(table) = loading.out_of_order {
            return Err(lestrade_store::StoreError::Damaged { table }.into());
        }
        *lock(&self.last_group) = loading.last_group;
        let applied = store.cursor(INTELLIGENCE)?.and_then(|bytes| String::from_utf8(bytes).ok());
        drop(store);
        let mut world = loading.world;
        step("load: read");
        if let Some(index) = applied.and_then(|applied| self.applied(&applied)) {
            derive_verdicts(&mut world, &index)?;
            self.set_index(index);
        }
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
    let components = u32::try_from(world.estate.sizes().0).unwrap_or(u32::MAX);
    let mut verdicts: BTreeMap<String, BTreeMap<ComponentId, _>> = BTreeMap::new();
    for id in 0..components {
        for (vulnerability, verdict) in judge_component(index, world.estate.component(id))? {
            verdicts.entry(vulnerability).or_default().insert(id, verdict);
        }
    }
    for (name, verdicts) in verdicts {
        // A vulnerability without a number was never logged; the refresh that follows will find and log it.
        if let Some(id) = world.estate.vulnerability_id(&name) {
            world.estate.revise(id, verdicts);
        }
    }
    for id in 0..u32::try_from(world.estate.sizes().2).unwrap_or(u32::MAX) {
        if let Some(name) = world.estate.vulnerability(id).map(str::to_owned) {
            assess_from(world, index, id, &name)?;
        }
    }
    Ok(())
}
