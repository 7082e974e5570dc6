//! What was seen of a resource becomes what is known of it.

use crate::ServerError;
use crate::core::{Core, Draft, assess_from};
use lestrade_findings::{EpisodeBody, ResourceEntry, Transition};
use lestrade_matching::{Applicability, ComponentId, applies_to, judge_component};
use lestrade_model::{Coverage, Hash, Inventory, Resource, ResourceKey};
use lestrade_store::Fan;

/// What a look at a resource brought.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The resource, as it is now.
    pub resource: Resource,
    /// Its inventory; none when the look brought none, and then what was known before stands.
    pub inventory: Option<Inventory>,
    /// How well it was looked at.
    pub coverage: Vec<Coverage>,
}

impl Core {
    /// What is kept of a resource.
    pub fn resource(&self, key: &ResourceKey) -> Option<ResourceEntry> {
        let world = self.world();
        world.resource_id(key).and_then(|id| world.resource(id)).cloned()
    }
}

/// An observation with the identity of its inventory, worked out before the world is held.
pub(crate) struct Seen {
    observation: Observation,
    inventory: Option<Hash>,
}

impl Seen {
    pub(crate) fn of(observation: Observation) -> Result<Self, ServerError> {
        let encoded = |inventory| postcard::to_stdvec(inventory).map_err(|_| ServerError::Encoding);
        let inventory = observation.inventory.as_ref().map(encoded).transpose()?.map(|bytes| Hash::of(&bytes));
        Ok(Self { observation, inventory })
    }
}

impl Draft<'_> {
    /// Takes an observation in.
    pub(crate) fn take(&mut self, index: Option<&lestrade_advisories::OpenIndex>, seen: Seen) -> Result<(), ServerError> {
        let Observation { resource, inventory, coverage } = seen.observation;
        let (id, new) = self.world.intern_resource(&resource.key);
        let before = self.world.resource(id).cloned();

        let mut identity = before.as_ref().and_then(|entry| entry.inventory);
        let mut set = self.world.estate.set_of(id);
        if let (Some(inventory), Some(hash)) = (inventory, seen.inventory) {
            let facts_changed = before.as_ref().is_none_or(|entry| entry.resource.facts != resource.facts);
            if identity != Some(hash) || facts_changed || set.is_none() {
                identity = Some(hash);
                set = self.world.noted_set(&hash, &resource.facts);
                if set.is_none() {
                    let made = self.match_set(index, &inventory, &resource)?;
                    self.world.note_set(hash, &resource.facts, made);
                    self.change.inventories.push((hash, inventory));
                    set = Some(made);
                }
            }
        }

        let scanned = identity.is_some() && identity != before.as_ref().and_then(|entry| entry.inventory);
        let initial = before.as_ref().is_none_or(|entry| entry.inventory.is_none());
        let entry = ResourceEntry { resource, inventory: identity, coverage };
        let moved: Vec<Coverage> = entry.coverage.iter().filter(|now| !is_told(before.as_ref(), now)).cloned().collect();
        if before.as_ref() != Some(&entry) {
            self.change.resources.push((id, entry.clone().into()));
        }
        self.world.set_resource(id, entry);

        if set != self.world.estate.set_of(id) || (new && set.is_some()) {
            let delta = self.world.estate.assign(id, set);
            let previous = before.and_then(|entry| entry.inventory);
            let (opened, closed) = (delta.opened, delta.closed);
            self.episode(EpisodeBody::Inventory { resource: id, set, previous, opened: opened.clone(), closed: closed.clone() });
            self.tell(Some(Transition::Opened), Fan::Resource { resource: id, vulnerabilities: opened });
            self.tell(Some(Transition::Closed), Fan::Resource { resource: id, vulnerabilities: closed });
        }
        moved.into_iter().for_each(|coverage| self.tell(None, Fan::Coverage { resource: id, coverage }));
        if scanned {
            self.tell(None, Fan::Scan { resource: id, initial });
        }
        Ok(())
    }
}

/// Whether a coverage says nothing but what was known: when it was looked at last is no news.
fn is_told(before: Option<&ResourceEntry>, now: &Coverage) -> bool {
    let known = before.and_then(|entry| entry.coverage.iter().find(|known| known.kind == now.kind));
    known.is_some_and(|known| known.reason == now.reason && known.detail == now.detail)
}

impl Draft<'_> {
    /// The match set of the components that count in a resource. Components that are new to the estate are judged once, here.
    fn match_set(
        &mut self,
        index: Option<&lestrade_advisories::OpenIndex>,
        inventory: &Inventory,
        resource: &Resource,
    ) -> Result<u32, ServerError> {
        let mut ids: Vec<ComponentId> = Vec::with_capacity(inventory.components.len());
        for component in &inventory.components {
            if applies_to(&resource.facts, component) != Applicability::Applies {
                continue;
            }
            let (id, new) = self.world.estate.intern_component(component);
            ids.push(id);
            if !new {
                continue;
            }
            self.change.components.push((id, component.clone()));
            let Some(index) = index else { continue };
            for (name, verdict) in judge_component(index, component)? {
                let vulnerability = self.vulnerability(&name);
                self.world.estate.learn(id, [(vulnerability, verdict)]);
                if self.world.assessment(vulnerability).is_none() {
                    assess_from(self.world, index, vulnerability, &name)?;
                }
            }
        }
        let (set, new) = self.world.estate.intern_set(&ids);
        if new {
            self.change.sets.push((set, self.world.estate.set(set).to_vec()));
        }
        Ok(set)
    }
}
