//! Systems that are no longer looked after become conditions of the resources that run them. When a system's end comes is stored
//! with the intelligence and falls due like anything else: the estate is looked at when it moved, when the intelligence did, and at
//! the next end.

use crate::ServerError;
use crate::core::{Core, Draft};
use crate::reconcile::{Outcome, Reconciler};
use lestrade_findings::{Assessment, Condition, InventorySource, LogPosition};
use lestrade_matching::ResourceId;
use lestrade_model::{Hash, OsRelease, Timestamp};
use roaring::RoaringBitmap;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The most resources that are judged under one lock.
const AT_ONCE: usize = 4096;

/// What the last look rested on: the estate's last change, and the generation in force.
type Seen = (LogPosition, u64);

/// Keeps the conditions of systems that are past their end.
pub struct WatchLifecycles {
    core: Arc<Core>,
    /// The systems of inventories: an inventory is named by its content, and is read once.
    systems: HashMap<Hash, Option<OsRelease>>,
    seen: Option<Seen>,
    next: Option<Timestamp>,
}

impl WatchLifecycles {
    /// Watches the systems of an estate.
    #[must_use]
    pub fn new(core: Arc<Core>) -> Self {
        Self { core, systems: HashMap::new(), seen: None, next: None }
    }

    /// The resources that are there, with their inventories; whose system is not known yet, it is read, if the end of any is known.
    fn systems(&mut self, anything_ends: bool) -> Vec<(ResourceId, Option<Hash>)> {
        let world = self.core.world();
        let there = |id: &ResourceId| world.estate.set_of(*id).is_some() || world.estate.conditions_of(*id).is_some();
        let resources: Vec<_> = world
            .scopes()
            .flat_map(|scope| world.resources_in(scope).iter().collect::<Vec<_>>())
            .filter(there)
            .map(|id| (id, world.resource(id).and_then(|entry| entry.inventory).filter(|_| world.estate.set_of(id).is_some())))
            .collect();
        drop(world);
        let mut known = std::mem::take(&mut self.systems);
        if !anything_ends {
            return resources;
        }
        for (_, inventory) in &resources {
            let Some(inventory) = inventory else { continue };
            if self.systems.contains_key(inventory) {
                continue;
            }
            let system = match known.remove(inventory) {
                Some(system) => system,
                // What cannot be read now is read next time; what stands meanwhile stays.
                None => match self.core.inventory(inventory) {
                    Some(inventory) => inventory.os.clone(),
                    None => continue,
                },
            };
            self.systems.insert(*inventory, system);
        }
        resources
    }
}

impl Reconciler for WatchLifecycles {
    fn name(&self) -> &'static str {
        "watch-lifecycles"
    }

    fn reconcile(&mut self) -> Result<Outcome, ServerError> {
        let now = self.core.now();
        let Some(index) = self.core.index() else { return Ok(Outcome::Unchanged) };
        let seen = (self.core.world().log.head(), index.manifest().generation);
        if self.seen == Some(seen) && self.next.is_none_or(|next| now < next) {
            return Ok(Outcome::Unchanged);
        }
        let lifecycles = &index.manifest().lifecycles;
        let mut outcome = Outcome::Unchanged;
        for part in self.systems(!lifecycles.is_empty()).chunks(AT_ONCE) {
            let mut guard = self.core.world_mut();
            let mut draft = Draft::new(&self.core, &mut guard)?;
            for (id, inventory) in part {
                // One that moved in between is judged next time.
                if draft.world.resource(*id).is_none_or(|entry| inventory.is_some() && entry.inventory != *inventory) {
                    continue;
                }
                let system = match inventory {
                    None => None,
                    Some(inventory) => match self.systems.get(inventory) {
                        Some(system) => system.as_ref(),
                        None if lifecycles.is_empty() => None,
                        None => continue,
                    },
                };
                if draft.end_system(*id, system.and_then(|os| Condition::end_of_life(lifecycles, os, now))) {
                    outcome = Outcome::Changed;
                }
            }
            draft.commit(&self.core)?;
        }
        self.next = lifecycles.iter().filter_map(|lifecycle| lifecycle.ends).filter(|ends| *ends > now).min();
        // What this look wrote itself is no reason for another.
        let moved = self.core.world().log.head();
        self.seen = Some(if outcome == Outcome::Changed { (moved, seen.1) } else { seen });
        Ok(outcome)
    }

    fn due(&self) -> Option<Duration> {
        let millis = self.next?.as_millis().saturating_sub(self.core.now().as_millis());
        Some(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
    }
}

impl Draft<'_> {
    /// Gives a resource the condition that its system is past its end, or takes it away. Answers whether that is another state.
    fn end_system(&mut self, id: ResourceId, ended: Option<Condition>) -> bool {
        let mut now = self.conditions_that(id, |condition| condition.is_of_network());
        if let Some(condition) = ended {
            let number = self.vulnerability(&condition.name());
            let known = self.world.assessment(number).and_then(|known| known.condition.as_ref()) == Some(&condition);
            if !known {
                self.world.set_assessment(number, Assessment::of_condition(condition));
            }
            now.insert(number);
        }
        self.change_conditions(id, now)
    }

    /// The conditions of a resource that are of some kind.
    pub(crate) fn conditions_that(&self, id: ResourceId, is: impl Fn(&Condition) -> bool) -> RoaringBitmap {
        let conditions = self.world.estate.conditions_of(id).into_iter().flatten();
        conditions.filter(|number| self.world.assessment(*number).and_then(|known| known.condition.as_ref()).is_some_and(&is)).collect()
    }
}
