//! The targets that are served now, and the rules that are in force.
//!
//! A folder of rules is read again when it changed, as a whole or not at all: when one of its files is wrong, or one of its targets
//! cannot be opened, what was in force stays in force and the reason is told. Each target is served by a thread of its own: a
//! slow one never delays another.

use crate::ServerError;
use crate::core::{Core, lock};
use crate::deliver::{Deliver, Plan, replay};
use crate::reconcile::{Outcome, Reconciler, Reconcilers, Signal};
use lestrade_events::{
    DeliveryError, EgressPolicy, Event, ForgetfulNotes, Kinds, Message, Notes, Rules, Secrets, Surroundings, Target, TargetRecord,
};
use lestrade_model::{Hash, Scope, Timestamp};
use lestrade_store::{Change, Item, Lane, Letter, LetterState};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long targets that failed wait before they are looked at again without a signal.
const INTERVAL: Duration = Duration::from_secs(5);
/// The most events that are rendered for one answer.
const MAX_EVENTS: usize = 500;
/// The most letters that are shown at a time.
const MAX_LETTERS: u32 = 500;

/// With what targets are opened.
pub struct HubSettings {
    /// The kinds that there are.
    pub kinds: Kinds,
    /// Where secrets are.
    pub secrets: Arc<dyn Secrets>,
    /// Where targets may be.
    pub egress: EgressPolicy,
    /// The scope of what belongs to no resource.
    pub home: Scope,
    /// The folder or file of rules.
    pub rules: Option<PathBuf>,
    /// Targets that take everything.
    pub everything: Vec<TargetRecord>,
}

/// What is known of the targets.
pub struct Hub {
    core: Arc<Core>,
    settings: HubSettings,
    /// What is in force.
    rules: Mutex<Arc<Rules>>,
    /// Why what is in the folder is not in force.
    problem: Mutex<Option<String>>,
}

/// What a target remembers, in the store.
struct StoredNotes {
    core: Arc<Core>,
    target: String,
}

impl StoredNotes {
    fn key(&self, key: &str) -> String {
        format!("note/{}/{key}", self.target)
    }
}

impl Notes for StoredNotes {
    fn note(&self, key: &str) -> Result<Option<String>, DeliveryError> {
        let bytes = lock(&self.core.store).cursor(&self.key(key)).map_err(|error| DeliveryError::retry(error.to_string()))?;
        Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    fn set_note(&self, key: &str, value: &str) -> Result<(), DeliveryError> {
        let cursors = vec![(self.key(key), value.as_bytes().to_vec())];
        let change = Change { cursors, ..Change::default() };
        lock(&self.core.store).commit(&change).map_err(|error| DeliveryError::retry(error.to_string()))
    }
}

/// How a target stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TargetStatus {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Whether it is served.
    pub enabled: bool,
    /// Groups of the outbox that it was not served yet.
    pub behind: u64,
    /// Messages that were set aside and are tried again.
    pub waiting: u64,
    /// Messages that stay until somebody sends them again.
    pub dead: u64,
}

impl Hub {
    /// A hub with nothing in force yet.
    #[must_use]
    pub fn new(core: Arc<Core>, settings: HubSettings) -> Self {
        Self { core, settings, rules: Mutex::default(), problem: Mutex::default() }
    }

    /// The core.
    #[must_use]
    pub const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The rules in force, and why what is in the folder is not.
    #[must_use]
    pub fn rules(&self) -> (Arc<Rules>, Option<String>) {
        (Arc::clone(&lock(&self.rules)), lock(&self.problem).clone())
    }

    fn records(&self, rules: &Rules) -> Vec<TargetRecord> {
        self.settings.everything.iter().chain(rules.targets()).cloned().collect()
    }

    fn plan(&self, rules: &Rules, record: &TargetRecord) -> Plan {
        let takes_everything = self.settings.everything.iter().any(|target| target.name == record.name);
        Plan { record: record.clone(), rules: (!takes_everything).then(|| rules.of_target(&record.name)) }
    }

    fn surroundings(&self, notes: Arc<dyn Notes>) -> Surroundings {
        Surroundings {
            secrets: Arc::clone(&self.settings.secrets),
            egress: self.settings.egress,
            notes,
            clock: Arc::clone(&self.core.clock),
        }
    }

    fn open(&self, record: &TargetRecord) -> Result<Box<dyn Target>, DeliveryError> {
        let notes = Arc::new(StoredNotes { core: Arc::clone(&self.core), target: record.name.clone() });
        self.settings.kinds.open(record, &self.surroundings(notes))
    }

    fn record(&self, name: &str) -> Option<TargetRecord> {
        self.records(&lock(&self.rules)).into_iter().find(|record| record.name == name)
    }

    /// How the targets stand.
    ///
    /// # Errors
    /// When the store fails.
    pub fn targets(&self) -> Result<Vec<TargetStatus>, ServerError> {
        let records = self.records(&lock(&self.rules));
        let mut store = lock(&self.core.store);
        let status = |record: TargetRecord| {
            let delivery = store.delivery(&record.name)?.unwrap_or_default();
            Ok(TargetStatus {
                behind: store.pending(Lane::Urgent, delivery.urgent.done)?.1 + store.pending(Lane::Ordinary, delivery.ordinary.done)?.1,
                waiting: store.count_letters(&record.name, LetterState::Waiting)?,
                dead: store.count_letters(&record.name, LetterState::Dead)?,
                name: record.name,
                kind: record.kind,
                enabled: record.enabled,
            })
        };
        records.into_iter().map(status).collect()
    }

    /// Sends a target an event that says that it is a test; remembers nothing of it. None when there is no such target.
    pub fn test(&self, name: &str) -> Option<Result<(), DeliveryError>> {
        let record = self.record(name)?;
        let opened = self.settings.kinds.open(&record, &self.surroundings(Arc::new(ForgetfulNotes::default())));
        Some(opened.and_then(|mut target| {
            let message = Message::plain(test_event(&self.settings.home, self.core.now()));
            target.deliver(&[message]).pop().unwrap_or_else(|| Err(DeliveryError::retry("no answer")))
        }))
    }

    /// Takes back what a target did to a resource. None when there is no such target.
    pub fn undo(&self, name: &str, resource: &str) -> Option<Result<String, DeliveryError>> {
        Some(self.open(&self.record(name)?).and_then(|mut target| target.undo(resource)))
    }

    /// Letters of a target in a state. None when there is no such target.
    ///
    /// # Errors
    /// When the store fails.
    pub fn letters(&self, name: &str, state: LetterState) -> Result<Option<Vec<Letter>>, ServerError> {
        if self.record(name).is_none() {
            return Ok(None);
        }
        let all = Timestamp::from_millis(i64::MAX);
        Ok(Some(lock(&self.core.store).letters(name, state, all, MAX_LETTERS)?))
    }

    /// Has dead letters tried again, one or all; answers how many. None when there is no such target.
    ///
    /// # Errors
    /// When the store fails.
    pub fn redrive(&self, name: &str, id: Option<&str>) -> Result<Option<u64>, ServerError> {
        if self.record(name).is_none() {
            return Ok(None);
        }
        Ok(Some(lock(&self.core.store).redrive(name, id, self.core.now())?))
    }

    /// Has a target served again from a place in the outbox on. Answers whether there is such a target.
    ///
    /// # Errors
    /// When the store fails.
    pub fn replay(&self, name: &str, after: u64) -> Result<bool, ServerError> {
        if self.record(name).is_none() {
            return Ok(false);
        }
        replay(&self.core, name, after)?;
        Ok(true)
    }

    /// Events after a place in the outbox, and the place behind them. Without one, those that came last.
    ///
    /// # Errors
    /// When the store fails.
    pub fn events(&self, after: Option<u64>, limit: usize) -> Result<(Vec<Value>, u64), ServerError> {
        let limit = limit.clamp(1, MAX_EVENTS);
        let last = *lock(&self.core.last_group);
        let start = after.unwrap_or_else(|| last.saturating_sub(limit as u64));
        let groups = lock(&self.core.store).history(start, u32::try_from(limit).unwrap_or(u32::MAX))?;
        let mut renderer = crate::deliver::Renderer::new(self.settings.home.clone());
        let (mut events, mut place) = (Vec::new(), start.min(last));
        for group in &groups {
            // A group that does not fit in whole is left for the next page, unless it would never fit.
            if !events.is_empty() && events.len() as u64 + group.fan.len() > limit as u64 {
                break;
            }
            let items: Vec<Item> = group.fan.items_from(0).take(MAX_EVENTS).collect();
            events.extend(items.into_iter().filter_map(|item| Some(renderer.event(&self.core, group, item)?.event.body)));
            place = group.id;
        }
        Ok((events, place))
    }
}

fn test_event(home: &Scope, now: Timestamp) -> Event {
    let id = uuid::Uuid::new_v4().to_string();
    let seconds = Timestamp::from_millis(now.as_millis() - now.as_millis().rem_euclid(1000));
    let body = json!({
        "version": "0", "id": id, "detail-type": "Lestrade Test", "source": "lestrade", "account": home.account,
        "time": seconds.to_string(), "region": home.region, "resources": [],
        "detail": {"message": "a test of this target; nothing is vulnerable", "vulnerabilityId": "LESTRADE-TEST"},
    });
    Event { id, revision: 0, body, open: Some(1) }
}

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
    /// When the rules cannot be read, or a target cannot be opened: at the start that is for the operator to mend.
    pub fn new(hub: Arc<Hub>) -> Result<Self, ServerError> {
        let mut dispatch = Self { hub, read: None, running: BTreeMap::new() };
        dispatch.reload()?;
        Ok(dispatch)
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
        for rule in rules.all() {
            if let Some(name) = rule.targets.iter().find(|name| !records.iter().any(|record| record.name == **name)) {
                let reason = format!("rule '{}' sends to it, and it is not set up", rule.name);
                return Err(DeliveryError::Unusable { target: name.clone(), reason }.into());
            }
        }
        let mut start = Vec::new();
        let mut keep = BTreeMap::new();
        for record in records.iter().filter(|record| record.enabled) {
            let plan = self.hub.plan(&rules, record);
            let print = format!("{plan:?}");
            if self.running.get(&record.name).is_some_and(|running| running.plan == print) {
                keep.insert(record.name.clone(), ());
            } else {
                start.push((plan, print, self.hub.open(record)?));
            }
        }
        let stopped: Vec<String> = self.running.keys().filter(|name| !keep.contains_key(*name)).cloned().collect();
        // Stopped before they are started anew: two threads must not serve one target.
        self.running.retain(|name, _| keep.contains_key(name));
        let mut started = Vec::new();
        for (plan, print, target) in start {
            let name = plan.record.name.clone();
            let deliver = Deliver::new(Arc::clone(&self.hub.core), plan, target, self.hub.settings.home.clone())?;
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
            Err(error) => {
                tracing::error!(%error, "the rules are not taken; what was in force stays in force");
                *lock(&self.hub.problem) = Some(error.to_string());
            }
        }
        self.running.values().for_each(|running| running.signal.wake());
        Ok(Outcome::Unchanged)
    }
}

/// Forgets what was told long ago and is needed by no target.
pub struct Prune(pub Arc<Hub>);

/// How long the outbox is kept for `events tail` and `events replay`.
const KEPT: Duration = Duration::from_hours(7 * 24);

impl Reconciler for Prune {
    fn name(&self) -> &'static str {
        "prune"
    }

    fn reconcile(&mut self) -> Result<Outcome, ServerError> {
        let hub = &self.0;
        let records = hub.records(&lock(&hub.rules));
        let now = hub.core.now();
        let old = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
        let mut store = lock(&hub.core.store);
        let mut upto = *lock(&hub.core.last_group);
        for record in records.iter().filter(|record| record.enabled) {
            let mut delivery = store.delivery(&record.name)?.unwrap_or_default();
            for lane in [Lane::Urgent, Lane::Ordinary] {
                let (next, _) = store.pending(lane, delivery.cursor(lane).done)?;
                upto = upto.min(next.map_or(upto, |next| next - 1));
            }
        }
        // In order of time as of number: the first that is young ends it. What is left goes the next time.
        let groups = store.history(0, 4_096)?;
        let gone = groups.iter().take_while(|group| group.id <= upto && now.as_millis() - group.at.as_millis() > old).last();
        let pruned = gone.map_or(Ok(0), |last| store.prune_outbox(last.id))?;
        Ok(if pruned > 0 { Outcome::Changed } else { Outcome::Unchanged })
    }
}
