//! A new generation of intelligence becomes exactly the right changes: each changed vulnerability is judged backwards, on the
//! distinct installed versions of the packages that it names.

use crate::core::{Core, Draft, assess_from};
use crate::load::{INTELLIGENCE, cursor_of};
use crate::reconcile::{Outcome, Reconciler};
use crate::{Core as Server, ServerError};
use lestrade_advisories::{GenerationId, OpenIndex};
use lestrade_findings::{EpisodeBody, Transition};
use lestrade_matching::{judge_component, judge_vulnerability};
use lestrade_store::Fan;
use lestrade_sys::step;
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Keeps the verdicts at the generation in force.
pub struct RefreshIntelligence(pub Arc<Server>);

impl Reconciler for RefreshIntelligence {
    fn name(&self) -> &'static str {
        "refresh-intelligence"
    }

    fn reconcile(&mut self) -> Result<Outcome, ServerError> {
        if !self.0.refresh_intelligence()? {
            return Ok(Outcome::Unchanged);
        }
        if let Some(index) = self.0.index() {
            let since = self.0.now().as_millis().saturating_sub(index.manifest().built_at.as_millis());
            self.0.meters.acted("advisory", Duration::from_millis(u64::try_from(since).unwrap_or_default()));
        }
        Ok(Outcome::Changed)
    }
}

impl Core {
    /// Applies the generation in force, if it is not the one already applied; answers whether it was applied.
    ///
    /// # Errors
    /// When the library, the index or the store fails; then the last good generation stays in force.
    pub fn refresh_intelligence(&self) -> Result<bool, ServerError> {
        let Some(current) = self.library.current()? else { return Ok(false) };
        let applied = self.store().cursor(INTELLIGENCE)?;
        if applied.as_deref() == Some(cursor_of(&current, self.library.mode()).as_bytes()) && self.index().is_some() {
            return Ok(false);
        }
        let new = Arc::new(self.library.open(&current)?);
        step("refresh: opened");
        // Damage is found before anything rests on it: a flipped bit must not close a finding.
        new.verify()?;
        step("refresh: verified");
        self.apply(&current, new, applied.is_some())?;
        Ok(true)
    }

    fn apply(&self, id: &GenerationId, new: Arc<OpenIndex>, judged_before: bool) -> Result<(), ServerError> {
        let mut guard = self.world_mut();
        // What another mode left out is in no difference of generations.
        let old = self.index().filter(|old| old.mode() == new.mode());
        let mut draft = Draft::new(self, &mut guard)?;
        let mut told = (0, 0);
        match &old {
            Some(old) => {
                // What is not installed anywhere has no number here, and nobody asks for its score.
                let estate = &draft.world.estate;
                let diff = new.diff_for(old.as_ref(), |name| estate.vulnerability_id(name).is_some())?;
                told = (diff.vulnerabilities.len() as u64, diff.rescored_in_all);
                tracing::info!(generation = %id, changed = told.0, rescored = told.1, "applying intelligence");
                diff.vulnerabilities.iter().try_for_each(|name| revise(&mut draft, &new, name))?;
                for name in diff.rescored {
                    if let Some(vulnerability) = draft.world.estate.vulnerability_id(&name) {
                        assess_from(draft.world, &new, vulnerability, &name)?;
                    }
                }
            }
            None if !judged_before => {
                let names = everything(&draft, &new)?;
                told.0 = names.len() as u64;
                names.iter().try_for_each(|name| revise(&mut draft, &new, name))?;
            }
            None => {
                tracing::warn!(generation = %id, "what was applied is gone, or was reported otherwise; everything is judged anew");
                for name in everything(&draft, &new)? {
                    let vulnerability = draft.vulnerability(&name);
                    let verdicts = judge_vulnerability(&new, &draft.world.estate, &name, false)?;
                    draft.world.estate.revise(vulnerability, verdicts);
                    assess_from(draft.world, &new, vulnerability, &name)?;
                }
                repair(&mut draft);
            }
        }
        draft.tell(None, Fan::Intelligence { generation: id.to_string(), changed: told.0, rescored: told.1 });
        draft.change.cursors.push((INTELLIGENCE.to_owned(), cursor_of(id, self.library.mode()).into_bytes()));
        step("refresh: judged");
        draft.commit(self)?;
        step("refresh: committed");
        // Still under the lock: nobody may judge by the one what the other has judged.
        self.set_index(new);
        step("refresh: in force");
        Ok(())
    }
}

/// Writes into the log, resource by resource, what the derived state has and the log has not, and the other way round.
fn repair(draft: &mut Draft<'_>) {
    let (derived, logged) = (draft.world.derived(), draft.world.log.replay());
    let mut by_resource: BTreeMap<u32, (RoaringBitmap, RoaringBitmap)> = BTreeMap::new();
    for (resource, vulnerability) in derived.symmetric_difference(&logged) {
        let (opened, closed) = by_resource.entry(*resource).or_default();
        if derived.contains(&(*resource, *vulnerability)) { opened } else { closed }.insert(*vulnerability);
    }
    for (resource, (opened, closed)) in by_resource {
        let set = draft.world.estate.set_of(resource);
        let previous = draft.world.resource(resource).and_then(|entry| entry.inventory);
        draft.episode(EpisodeBody::Inventory { resource, set, previous, opened: opened.clone(), closed: closed.clone() });
        draft.tell(Some(Transition::Opened), Fan::Resource { resource, vulnerabilities: opened });
        draft.tell(Some(Transition::Closed), Fan::Resource { resource, vulnerabilities: closed });
    }
}

/// Without the older generation to compare with: all that is known to be installed somewhere, and all that would be now.
fn everything(draft: &Draft<'_>, index: &OpenIndex) -> Result<BTreeSet<String>, ServerError> {
    let estate = &draft.world.estate;
    let (components, _, vulnerabilities) = estate.sizes();
    let mut names: BTreeSet<String> =
        (0..vulnerabilities).filter_map(|id| estate.vulnerability(u32::try_from(id).ok()?)).map(str::to_owned).collect();
    for id in (0..components).filter_map(|id| u32::try_from(id).ok()) {
        names.extend(judge_component(index, estate.component(id))?.into_keys());
    }
    Ok(names)
}

/// Judges one vulnerability anew and logs what opened, closed and changed.
fn revise(draft: &mut Draft<'_>, index: &OpenIndex, name: &str) -> Result<(), ServerError> {
    let verdicts = judge_vulnerability(index, &draft.world.estate, name, false)?;
    if verdicts.is_empty() && draft.world.estate.vulnerability_id(name).is_none() {
        return Ok(());
    }
    let id = draft.vulnerability(name);
    let delta = draft.world.estate.revise(id, verdicts);
    assess_from(draft.world, index, id, name)?;
    if delta.is_empty() {
        return Ok(());
    }
    let resources = |sets| draft.world.estate.resources_of(sets);
    let (opened, closed, changed) = (resources(&delta.opened), resources(&delta.closed), resources(&delta.changed));
    if !delta.opened.is_empty() || !delta.closed.is_empty() {
        draft.episode(EpisodeBody::Advisory { vulnerability: id, opened: delta.opened, closed: delta.closed });
    }
    for (transition, resources) in [(Some(Transition::Opened), opened), (Some(Transition::Closed), closed), (None, changed)] {
        draft.tell(transition, Fan::Vulnerability { vulnerability: id, resources });
    }
    Ok(())
}
