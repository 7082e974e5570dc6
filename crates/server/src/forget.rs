//! A resource that is gone: its findings close, what it was is kept.

use crate::ServerError;
use crate::core::{Core, Draft};
use lestrade_findings::{EpisodeBody, ResourceEntry, Transition};
use lestrade_model::{Coverage, CoverageReason, ResourceKey, ScanKind};
use lestrade_store::Fan;
use lestrade_sys::step;

/// What a person reads beside the reason.
const fn detail(reason: CoverageReason) -> &'static str {
    match reason {
        CoverageReason::ScanEligibilityExpired => "it was not pushed, changed or used for too long: its findings are closed",
        CoverageReason::ExcludedByTag => "a tag of its own excludes it: its findings are closed",
        CoverageReason::ScanFrequencyManual => "no rule has its repository watched: its findings are closed",
        _ => "it is no longer there: its findings are closed",
    }
}

/// Whether nobody will look at a resource again: it is gone.
pub(crate) fn is_gone(entry: &ResourceEntry) -> bool {
    !entry.coverage.is_empty() && entry.coverage.iter().all(|coverage| coverage.reason == CoverageReason::ResourceTerminated)
}

impl Core {
    /// Takes in that a resource is gone or is no longer to be watched: one transaction closes its findings and says why in its
    /// coverage. The resource and its last inventory are kept, so that closed findings still show what was affected, and one that
    /// returns within seven days has the findings that it had. Answers whether anything changed: what is not known, or was
    /// forgotten for the same reason, is no news.
    ///
    /// Only for what is known to be gone: that it could not be seen is an [`Observation`](crate::Observation) without an inventory,
    /// which closes nothing.
    ///
    /// # Errors
    /// When the store fails; then nothing of it is kept.
    pub fn forget(&self, key: &ResourceKey, reason: CoverageReason) -> Result<bool, ServerError> {
        let mut guard = self.world_mut();
        let mut draft = Draft::new(self, &mut guard)?;
        let Some(id) = draft.world.resource_id(key) else { return Ok(false) };
        let Some(before) = draft.world.resource(id).cloned() else { return Ok(false) };

        let mut entry = before.clone();
        if entry.coverage.is_empty() {
            entry.coverage.push(Coverage { kind: ScanKind::Package, reason, detail: String::new(), last_scanned: None });
        }
        for coverage in &mut entry.coverage {
            coverage.reason = reason;
            detail(reason).clone_into(&mut coverage.detail);
        }
        let moved: Vec<Coverage> = entry.coverage.iter().filter(|now| !before.coverage.contains(now)).cloned().collect();
        if before != entry {
            draft.change.resources.push((id, entry.clone().into()));
        }
        draft.world.set_resource(id, entry);

        if draft.world.estate.set_of(id).is_some() {
            let closed = draft.world.estate.assign(id, None).closed;
            let opened = roaring::RoaringBitmap::new();
            draft.episode(EpisodeBody::Inventory { resource: id, set: None, previous: before.inventory, opened, closed: closed.clone() });
            draft.tell(Some(Transition::Closed), Fan::Resource { resource: id, vulnerabilities: closed });
        }
        draft.change_conditions(id, roaring::RoaringBitmap::new());
        moved.into_iter().for_each(|coverage| draft.tell(None, Fan::Coverage { resource: id, coverage }));
        let changed = !draft.change.is_empty();
        step("forget: drafted");
        draft.commit(self)?;
        step("forget: committed");
        Ok(changed)
    }
}
