//! The standing audit: derived state against the log replayed, some resources at a time, all of them by and by.

use crate::core::lock;
use crate::reconcile::{Outcome, Reconciler};
use crate::{Core, ServerError};
use lestrade_model::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// How many resources are audited under one lock: a replay walks the whole log, and nobody writes meanwhile.
const AT_ONCE: u32 = 256;
/// How soon an estate that is empty is looked at again.
const SOON: Duration = Duration::from_secs(5);

/// What the audits since the start found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditState {
    /// When the last part was audited; none before the first.
    pub at: Option<Timestamp>,
    /// How many resources were audited since the start, each counted as often as it was.
    pub resources: u64,
    /// On how many (resource, vulnerability) pairs the two differed. Never more than none, but for a fault of ours.
    pub differences: u64,
}

/// Audits.
pub struct Audit {
    core: Arc<Core>,
    next: u32,
    /// Whether there was anything to audit.
    found_any: bool,
}

impl Audit {
    /// Begins with the first resource.
    #[must_use]
    pub const fn new(core: Arc<Core>) -> Self {
        Self { core, next: 0, found_any: true }
    }
}

impl Core {
    /// What the standing audit found since the start.
    pub fn audit_state(&self) -> AuditState {
        *lock(&self.audited)
    }
}

impl Reconciler for Audit {
    fn name(&self) -> &'static str {
        "audit"
    }

    fn reconcile(&mut self) -> Result<Outcome, ServerError> {
        let (part, differences) = {
            let world = self.core.world();
            let count = world.resource_count();
            if self.next >= count {
                self.next = 0;
            }
            let part = self.next..self.next.saturating_add(AT_ONCE).min(count);
            let logged = world.log.replay_of(&part.clone().collect());
            (part.clone(), world.derived_of(part).symmetric_difference(&logged).count() as u64)
        };
        self.next = part.end;
        self.found_any = !part.is_empty();
        if differences > 0 {
            tracing::error!(from = part.start, to = part.end, differences, "derived state is not the log replayed: this is a fault");
        }
        let mut state = lock(&self.core.audited);
        state.at = Some(self.core.now());
        state.resources += u64::from(part.end - part.start);
        state.differences += differences;
        Ok(Outcome::Unchanged)
    }

    fn due(&self) -> Option<Duration> {
        (!self.found_any).then_some(SOON)
    }
}
