//! Groups of the outbox become events at a target, in order, each at least once.
//!
//! The cursor moves after the target has the event: a crash between the two repeats that one event, under the same id.

use crate::ServerError;
use crate::core::{Core, lock};
use crate::reconcile::{Outcome, Reconciler};
use lestrade_events::{DeliveryError, Event, Target};
use lestrade_findings::{FindingView, Transition, view_of};
use lestrade_model::Hash;
use lestrade_report::inspector;
use lestrade_store::{Delivery, OutboxGroup};
use std::sync::Arc;
use uuid::Uuid;

/// Groups read at a time.
const GROUPS: u32 = 32;
/// Attempts at one event before it is given up and logged.
const MAX_ATTEMPTS: u32 = 185;

/// Serves one target from the outbox.
pub struct Deliver {
    core: Arc<Core>,
    target: Box<dyn Target>,
}

impl Deliver {
    /// Serves `target`. One that is new starts with what happens from now on.
    ///
    /// # Errors
    /// When the store fails.
    pub fn new(core: Arc<Core>, target: Box<dyn Target>) -> Result<Self, ServerError> {
        Ok(Self { core, target })
    }

    fn save(&self, delivery: &Delivery) -> Result<(), ServerError> {
        Ok(lock(&self.core.store).set_delivery(self.target.name(), delivery)?)
    }

    fn group(&mut self, group: &OutboxGroup, delivery: &mut Delivery) -> Result<(), ServerError> {
        let pairs: Vec<_> = group.fan.pairs().skip(usize::try_from(delivery.within).unwrap_or(usize::MAX)).collect();
        for (resource, vulnerability) in pairs {
            let view = view_of(&self.core.world(), self.core.as_ref(), resource, vulnerability);
            if let Some(view) = view {
                let event = event(group, &view);
                match self.target.deliver(&event) {
                    Ok(()) => {}
                    Err(DeliveryError::Retry(reason)) if delivery.attempts + 1 < MAX_ATTEMPTS => {
                        delivery.attempts += 1;
                        self.save(delivery)?;
                        return Err(DeliveryError::Retry(reason).into());
                    }
                    Err(error) => tracing::error!(target_name = self.target.name(), event = event.id, %error, "an event was given up"),
                }
            }
            delivery.within += 1;
            delivery.attempts = 0;
            self.save(delivery)?;
        }
        *delivery = Delivery { done: group.id, within: 0, attempts: 0 };
        self.save(delivery)
    }
}

impl Reconciler for Deliver {
    fn name(&self) -> &'static str {
        "deliver"
    }

    fn reconcile(&mut self) -> Result<Outcome, ServerError> {
        let mut outcome = Outcome::Unchanged;
        loop {
            let (mut delivery, groups) = {
                let mut store = lock(&self.core.store);
                let delivery = store.delivery(self.target.name())?;
                let groups = store.groups_after(delivery.done, GROUPS)?;
                (delivery, groups)
            };
            if groups.is_empty() {
                return Ok(outcome);
            }
            for group in &groups {
                self.group(group, &mut delivery)?;
            }
            outcome = Outcome::Changed;
        }
    }
}

/// The event of a finding in a group. Its id is a function of the group and the finding: the same at every attempt.
fn event(group: &OutboxGroup, view: &FindingView) -> Event {
    let name = Hash::of_fields([view.arn.as_str().as_bytes(), &group.id.to_le_bytes()]);
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).to_string();
    let mut body = inspector::finding_event(view, &id, group.at);
    // The state has moved on when a group is sent late; what the group told of stays what it was.
    if let Some(status) = match group.transition {
        Some(Transition::Closed) => Some("CLOSED"),
        Some(Transition::Opened) if view.status.as_str() == "CLOSED" => Some("ACTIVE"),
        _ => None,
    } {
        body["detail"]["status"] = status.into();
    }
    Event { id, revision: group.id, body }
}
