//! What a whole view does not hold. AWS is consistent in the end only: what was there a moment ago may be missing from a list for a
//! minute and be there again. So a resource that is missing counts as gone when it is still missing some time later, or at once where an
//! event says that it ended too.

use super::{Halt, WatchAws};
use crate::Outcome;
use lestrade_findings::ResourceEntry;
use lestrade_model::{CoverageReason, Resource, ResourceDetails, ResourceKey, ResourceKind, Scope, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The resources that were missing when they were looked for last, and what events say has ended.
pub(super) struct Absences {
    /// How long something is missing before it counts as gone.
    gone_after: Duration,
    missing: BTreeMap<ResourceKey, Missing>,
    /// By the name that events have for it. It holds for the look that the event leads to.
    ended: BTreeSet<(Scope, String)>,
}

#[derive(Clone, Copy)]
struct Missing {
    since: Timestamp,
    /// When it was looked for last.
    asked: Timestamp,
}

impl Absences {
    pub(super) fn new(gone_after: Duration) -> Self {
        Self { gone_after, missing: BTreeMap::new(), ended: BTreeSet::new() }
    }

    /// What events say has ended, for the looks that follow.
    pub(super) fn set_ended(&mut self, ended: BTreeSet<(Scope, String)>) {
        self.ended = ended;
    }

    /// Takes in that a resource is there.
    pub(super) fn is_there(&mut self, key: &ResourceKey) {
        self.missing.remove(key);
    }

    /// Takes in that a resource is missing. Answers whether it is gone.
    fn is_gone(&mut self, resource: &Resource, now: Timestamp) -> bool {
        let name = match &resource.details {
            ResourceDetails::Function(function) => &function.name,
            ResourceDetails::Image(image) => &image.digest,
            _ => &resource.key.id,
        };
        let key = &resource.key;
        let missing = self.missing.entry(key.clone()).or_insert(Missing { since: now, asked: now });
        // A clock that jumps back begins anew.
        missing.since = missing.since.min(now);
        missing.asked = now;
        let gone = elapsed(missing.since, now) >= self.gone_after || self.ended.contains(&(key.scope.clone(), name.clone()));
        if gone {
            self.missing.remove(key);
        }
        gone
    }

    /// Until the first of them is to be looked for again; none where nothing is missing.
    pub(super) fn due(&self, now: Timestamp) -> Option<Duration> {
        self.missing.values().map(|missing| self.gone_after.saturating_sub(elapsed(missing.asked, now))).min()
    }

    /// Those that are to be looked for again now. They are not asked for again until as much time has passed once more.
    fn take_due(&mut self, now: Timestamp) -> Vec<ResourceKey> {
        let due = self.missing.iter_mut().filter(|(_, missing)| elapsed(missing.asked, now) >= self.gone_after);
        due.map(|(key, missing)| {
            missing.asked = now;
            key.clone()
        })
        .collect()
    }
}

/// How long ago something was; nothing where a clock jumped back.
fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    let passed = now.as_millis().saturating_sub(since.as_millis());
    Duration::from_millis(u64::try_from(passed).unwrap_or(0))
}

impl WatchAws {
    /// Takes in that a complete view does not hold a known resource: forgets it once it counts as gone.
    pub(super) fn miss(&mut self, entry: &ResourceEntry) -> Result<Outcome, Halt> {
        if !self.absences.is_gone(&entry.resource, self.core.now()) {
            tracing::debug!(resource = %entry.resource.key.id, "missing: it is looked for again before it counts as gone");
            return Ok(Outcome::Unchanged);
        }
        let gone = self.core.forget(&entry.resource.key, CoverageReason::ResourceTerminated)?;
        if entry.resource.key.kind == ResourceKind::Instance {
            self.core.note_sockets(&entry.resource.key, None)?;
        }
        Ok(if gone { Outcome::Changed } else { Outcome::Unchanged })
    }

    /// Looks for what was missing, where enough time has passed.
    pub(super) fn look_for_missing(&mut self) -> Result<Outcome, Halt> {
        let mut repositories = BTreeSet::new();
        let mut outcome = Outcome::Unchanged;
        for key in self.absences.take_due(self.core.now()) {
            let session = self.sessions().into_iter().find(|(scope, _)| *scope == key.scope);
            let (Some((scope, session)), Some(entry)) = (session, self.core.resource(&key)) else {
                self.absences.is_there(&key);
                continue;
            };
            let looked = match (&entry.resource.details, key.kind) {
                (ResourceDetails::Image(image), _) => {
                    if !repositories.insert((scope.clone(), image.repository.clone())) {
                        continue;
                    }
                    self.look_at_repository(&scope, &session, &image.repository)
                }
                (ResourceDetails::Function(function), _) => self.look_at_function(&scope, &session, &function.name),
                (_, ResourceKind::Instance) => self.look_at_instance(&scope, &session, &key.id),
                (_, ResourceKind::MachineImage) => self.look_at_machine_images(&scope, &session),
                _ => Ok(Outcome::Unchanged),
            };
            match looked {
                Ok(Outcome::Changed) => outcome = Outcome::Changed,
                Ok(Outcome::Unchanged) => {}
                Err(Halt::Aws(error)) => tracing::warn!(%scope, %error, resource = key.id, "what was missing could not be looked for"),
                Err(halt) => return Err(halt),
            }
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_model::{FunctionDetails, InstanceDetails, ResourceFacts};

    fn resource(kind: ResourceKind, id: &str, details: ResourceDetails) -> Resource {
        let scope = Scope::new("aws", "111122223333", "eu-west-1").unwrap();
        Resource { key: ResourceKey { scope, kind, id: id.to_owned() }, details, facts: ResourceFacts::default(), tags: Vec::new() }
    }

    fn instance() -> Resource {
        resource(ResourceKind::Instance, "i-1", ResourceDetails::Instance(InstanceDetails::default()))
    }

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn what_is_missing_for_a_minute_is_not_gone() {
        let mut absences = Absences::new(Duration::from_secs(90));
        assert_eq!(absences.due(at(0)), None);
        assert!(!absences.is_gone(&instance(), at(0)));
        assert_eq!(absences.due(at(60)), Some(Duration::from_secs(30)));
        assert!(!absences.is_gone(&instance(), at(60)) && absences.take_due(at(60)).is_empty());
        // It is there again: what it was missing before does not count.
        absences.is_there(&instance().key);
        assert!(!absences.is_gone(&instance(), at(100)));
        assert_eq!(absences.take_due(at(190)), [instance().key]);
        assert_eq!(absences.due(at(190)), Some(Duration::from_secs(90)), "a look that fails is not repeated at once");
        assert!(absences.is_gone(&instance(), at(190)));
        assert_eq!(absences.due(at(190)), None);
    }

    #[test]
    fn what_is_missing_and_said_to_have_ended_is_gone() {
        let mut absences = Absences::new(Duration::from_secs(90));
        let function = FunctionDetails { name: "f".into(), ..FunctionDetails::default() };
        let function = resource(ResourceKind::Function, "arn:f:$LATEST", ResourceDetails::Function(function));
        absences.set_ended(BTreeSet::from([(function.key.scope.clone(), "f".to_owned())]));
        assert!(absences.is_gone(&function, at(0)) && !absences.is_gone(&instance(), at(0)));
    }

    #[test]
    fn a_clock_that_jumps_back_begins_anew() {
        let mut absences = Absences::new(Duration::from_secs(90));
        assert!(!absences.is_gone(&instance(), at(1_000_000)));
        assert!(!absences.is_gone(&instance(), at(0)) && !absences.is_gone(&instance(), at(89)));
        assert!(absences.is_gone(&instance(), at(90)));
    }
}
