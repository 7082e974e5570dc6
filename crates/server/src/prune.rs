//! Forgets what was told long ago.

use crate::ServerError;
use crate::core::lock;
use crate::hub::Hub;
use crate::reconcile::{Outcome, Reconciler};
use lestrade_findings::LogPosition;
use lestrade_store::Lane;
use std::sync::Arc;
use std::time::Duration;

/// Forgets what was told long ago and is needed by no target.
pub struct Prune(pub Arc<Hub>);

/// How long the outbox is kept for `events tail` and `events replay`.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// Groups looked at a time.
const PAGE: u32 = 64;

impl Reconciler for Prune {
    fn name(&self) -> &'static str {
        "prune"
    }

    fn reconcile(&mut self) -> Result<Outcome, ServerError> {
        let core = self.0.core();
        let needed_after = self.needed_after()?;
        let young_after = core.now().plus_millis(-i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX));
        // In order of time as of number: the first that is young or needed ends it. A few at a time, for a group may be large.
        let mut gone = 0;
        loop {
            let groups = lock(&core.store).history(gone, PAGE)?;
            let old = groups.iter().take_while(|group| group.id <= needed_after && group.at < young_after).last();
            let Some(last) = old.map(|group| group.id) else { break };
            gone = last;
        }
        let pruned = if gone > 0 { lock(&core.store).prune_outbox(gone)? } else { 0 };
        Ok(if pruned > 0 { Outcome::Changed } else { Outcome::Unchanged })
    }
}

impl Prune {
    /// The last group that every target that is served has had.
    fn needed_after(&self) -> Result<LogPosition, ServerError> {
        let hub = &self.0;
        let records = hub.records(&lock(&hub.rules));
        let mut had = hub.core().last_group();
        let mut store = lock(&hub.core().store);
        for record in records.iter().filter(|record| record.enabled) {
            let mut delivery = store.delivery(&record.name)?.unwrap_or_default();
            for lane in [Lane::Urgent, Lane::Ordinary] {
                let (next, _) = store.pending(lane, delivery.cursor(lane).done)?;
                had = had.min(next.map_or(had, |next| next - 1));
            }
        }
        Ok(had)
    }
}
