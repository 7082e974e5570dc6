//! Serves the targets that the rules declare.
//!
//! A folder of rules is read again when it changed, as a whole or not at all: when one of its files is wrong, or one of its targets
//! cannot be opened, what was in force stays in force and the reason is told. Each target is served by a thread of its own: a
//! slow one never delays another.

use crate::ServerError;
use crate::core::lock;
use crate::deliver::Deliver;
use crate::hub::Hub;
use crate::reconcile::{Outcome, Reconciler, Reconcilers, Signal};
use lestrade_events::{DeliveryError, Rules};
use lestrade_model::Hash;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long targets that failed wait before they are looked at again without a signal.
const INTERVAL: Duration = Duration::from_secs(5);

/// Keeps the targets that are served at what the rules say, and wakes them.
pub struct Dispatch {
    hub: Arc<Hub>,
    /// Of the folder's content, when it was last read.
    read: Option<Hash>,
    running: BTreeMap<String, Running>,
}

struct Running {
    /// What it was started with.
    plan: String,
    signal: Signal,
    _thread: Reconcilers,
}

impl Dispatch {
    /// Serves the targets of a hub; those of a first reading at once.
    ///
    /// # Errors
    /// When the rules cannot be read, or a target cannot be opened: at the start that is for the operator to mend. A secret that
    /// cannot be had is told, and asked for again until it can.
    pub fn new(hub: Arc<Hub>) -> Result<Self, ServerError> {
        let mut dispatch = Self { hub, read: None, running: BTreeMap::new() };
        match dispatch.reload() {
            Ok(_) => {}
            Err(error @ ServerError::Delivery(DeliveryError::NoSecret { .. })) => dispatch.tell(&error),
            Err(error) => return Err(error),
        }
        Ok(dispatch)
    }

    /// Notes why the rules are not taken, and tells of it once.
    fn tell(&self, error: &ServerError) {
        let known = lock(&self.hub.problem).replace(error.to_string());
        if known != Some(error.to_string()) {
            tracing::error!(%error, "the rules are not taken; what was in force stays in force");
        }
    }

    /// Reads the rules if they changed; answers whether they did.
    fn reload(&mut self) -> Result<bool, ServerError> {
        let rules = match &self.hub.settings.rules {
            None if self.read.is_some() => return Ok(false),
            None => {
                self.read = Some(Hash::of(b""));
                Rules::default()
            }
            Some(path) => {
                let print = Rules::fingerprint(path)?;
                if self.read == Some(print) {
                    return Ok(false);
                }
                // Whatever comes of it: the same content is not tried again and again.
                self.read = Some(print);
                Rules::read(path)?
            }
        };
        self.enforce(rules)?;
        Ok(true)
    }

    /// Puts rules into force: opens every target that is new or changed first, and only then lets go of what was.
    fn enforce(&mut self, rules: Rules) -> Result<(), ServerError> {
        let records = self.hub.records(&rules);
        let of_settings = |name: &str| self.hub.settings.everything.iter().any(|record| record.name == name);
        if let Some(record) = rules.targets().find(|record| of_settings(&record.name)) {
            return Err(DeliveryError::unusable(&record.name, "a setting has a target of this name").into());
        }
        for rule in rules.all() {
            if let Some(name) = rule.targets.iter().find(|name| !records.iter().any(|record| record.name == **name)) {
                let reason = format!("rule '{}' sends to it, and it is not set up", rule.name);
                return Err(DeliveryError::unusable(name, reason).into());
            }
        }
        let mut start = Vec::new();
        let mut keep = BTreeSet::new();
        for record in records.iter().filter(|record| record.enabled) {
            let plan = self.hub.plan(&rules, record);
            let print = format!("{plan:?}");
            if self.running.get(&record.name).is_some_and(|running| running.plan == print) {
                keep.insert(record.name.clone());
            } else {
                let opened = self.hub.open(record);
                if matches!(opened, Err(DeliveryError::NoSecret { .. })) {
                    // It may come: the same rules are tried again.
                    self.read = None;
                }
                start.push((plan, print, opened?));
            }
        }
        let stopped: Vec<String> = self.running.keys().filter(|name| !keep.contains(*name)).cloned().collect();
        // Stopped before they are started anew: two threads must not serve one target.
        self.running.retain(|name, _| keep.contains(name));
        let mut started = Vec::new();
        for (plan, print, target) in start {
            let name = plan.record.name.clone();
            let deliver = Deliver::new(Arc::clone(self.hub.core()), plan, target, self.hub.settings.home.clone())?;
            let mut thread = Reconcilers::default();
            let signal = thread.run(deliver, INTERVAL, vec![]).map_err(ServerError::Thread)?;
            started.push(name.clone());
            self.running.insert(name, Running { plan: print, signal, _thread: thread });
        }
        let before = std::mem::replace(&mut *lock(&self.hub.rules), Arc::new(rules));
        let now = Arc::clone(&lock(&self.hub.rules));
        let (gone, new) = (names(&before, &now), names(&now, &before));
        tracing::info!(
            rules_added = new,
            rules_removed = gone,
            targets_started = started.join(", "),
            targets_stopped = stopped.join(", "),
            "rules are in force"
        );
        Ok(())
    }
}

/// The rules of the one that the other has not, or not so.
fn names(of: &Rules, other: &Rules) -> String {
    let print = |rules: &Rules, name: &str| rules.all().find(|rule| rule.name == name).map(|rule| format!("{rule:?}"));
    let changed = of.all().filter(|rule| print(other, &rule.name) != print(of, &rule.name));
    changed.map(|rule| rule.name.as_str()).collect::<Vec<_>>().join(", ")
}

impl Reconciler for Dispatch {
    fn name(&self) -> &'static str {
        "dispatch"
    }

    fn reconcile(&mut self) -> Result<Outcome, ServerError> {
        match self.reload() {
            Ok(true) => *lock(&self.hub.problem) = None,
            Ok(false) => {}
            Err(error) => self.tell(&error),
        }
        self.running.values().for_each(|running| running.signal.wake());
        Ok(Outcome::Unchanged)
    }
}
