//! The targets that there are, the rules that are in force, and what can be asked of both.

use crate::ServerError;
use crate::core::{Core, lock};
use crate::deliver::{Plan, Renderer, replay};
use crate::notes::StoredNotes;
use lestrade_events::{
    DeliveryError, EgressPolicy, Event, ForgetfulNotes, Kinds, Message, Names, Notes, Proposal, Rules, Secrets, Surroundings, Target,
    TargetRecord,
};
use lestrade_findings::LogPosition;
use lestrade_model::{Scope, Timestamp};
use lestrade_report::events::{Head, own_event};
use lestrade_store::{Item, Lane, Letter, LetterState};
use serde_json::{Value, json};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// The most events that are rendered for one answer.
const MAX_EVENTS: usize = 500;
/// The most events, groups, and things that are told of, that are read from the outbox at a time.
const READ: usize = 64;
const GROUPS: u32 = 64;
const LOOKED_AT: u64 = 10_000;
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
    pub(crate) settings: HubSettings,
    /// What is in force.
    pub(crate) rules: Mutex<Arc<Rules>>,
    /// Why what is in the folder is not in force.
    pub(crate) problem: Mutex<Option<String>>,
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
    /// For how many seconds the first of those has been waiting.
    pub lag: u64,
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

    /// The scope of what belongs to no resource.
    #[must_use]
    pub const fn home(&self) -> &Scope {
        &self.settings.home
    }

    /// The rules in force, and why what is in the folder is not.
    #[must_use]
    pub fn rules(&self) -> (Arc<Rules>, Option<String>) {
        (Arc::clone(&lock(&self.rules)), lock(&self.problem).clone())
    }

    /// The targets of some rules, and those that take everything.
    pub(crate) fn records(&self, rules: &Rules) -> Vec<TargetRecord> {
        self.settings.everything.iter().chain(rules.targets()).cloned().collect()
    }

    /// What a target is sent by some rules.
    pub(crate) fn plan(&self, rules: &Rules, record: &TargetRecord) -> Plan {
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

    /// Opens a target.
    pub(crate) fn open(&self, record: &TargetRecord) -> Result<Box<dyn Target>, DeliveryError> {
        let notes = Arc::new(StoredNotes::of(&self.core, &record.name));
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
        let now = self.core.now();
        let status = |record: TargetRecord| {
            let delivery = store.delivery(&record.name)?.unwrap_or_default();
            let (urgent, ordinary) =
                (store.pending(Lane::Urgent, delivery.urgent.done)?, store.pending(Lane::Ordinary, delivery.ordinary.done)?);
            let first = urgent.0.into_iter().chain(ordinary.0).min().map(|id| store.group(id)).transpose()?.flatten();
            let waited = first.map_or(0, |group| now.as_millis().saturating_sub(group.at.as_millis()));
            Ok(TargetStatus {
                behind: urgent.1 + ordinary.1,
                lag: u64::try_from(waited / 1000).unwrap_or_default(),
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

    /// What a target proposes. None when there is no such target.
    pub fn proposals(&self, name: &str) -> Option<Result<Vec<Proposal>, DeliveryError>> {
        Some(self.open(&self.record(name)?).and_then(|mut target| target.proposals()))
    }

    /// Has a target do what it proposed for a resource. None when there is no such target.
    pub fn approve(&self, name: &str, resource: &str) -> Option<Result<String, DeliveryError>> {
        Some(self.open(&self.record(name)?).and_then(|mut target| target.approve(resource)))
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
        self.events_of(after, limit, |_| true)
    }

    /// The same, of the scopes that are seen.
    pub(crate) fn events_of(
        &self,
        after: Option<u64>,
        limit: usize,
        sees: impl Fn(&Scope) -> bool,
    ) -> Result<(Vec<Value>, u64), ServerError> {
        let limit = limit.clamp(1, MAX_EVENTS);
        let last = self.core.last_group();
        let start = after.unwrap_or_else(|| last.saturating_sub(limit as u64));
        let groups = lock(&self.core.store).history(start, u32::try_from(limit).unwrap_or(u32::MAX))?;
        let mut renderer = Renderer::new(self.settings.home.clone());
        let (mut events, mut place) = (Vec::new(), start.min(last));
        for group in &groups {
            // A group that does not fit in whole is left for the next page, unless it would never fit.
            if !events.is_empty() && events.len() as u64 + group.fan.len() > limit as u64 {
                break;
            }
            let items: Vec<Item> = group.fan.items_from(0).take(MAX_EVENTS).collect();
            let seen = items.into_iter().filter(|item| renderer.scope_of(&self.core, group, *item).is_some_and(|scope| sees(&scope)));
            let seen: Vec<Item> = seen.collect();
            events.extend(seen.into_iter().filter_map(|item| Some(renderer.event(&self.core, group, item)?.event.body)));
            place = group.id;
        }
        Ok((events, place))
    }

    /// Reads on from a place in the outbox: a handful of events of the scopes that are seen, each with the place behind it. Ends early
    /// where much is not seen, so that a reader can be asked whether it still listens.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn read_on(&self, renderer: &mut Renderer, from: Place, sees: &dyn Fn(&Scope) -> bool) -> Result<Reading, ServerError> {
        let last = self.core.last_group();
        if from.done > last {
            // The store is an older one than the reader's, put back from a backup.
            let place = Place::behind(last);
            return Ok(Reading { gap: Some((from, place)), events: Vec::new(), place });
        }
        let groups = lock(&self.core.store).history(from.done, GROUPS)?;
        let mut reading = Reading { gap: None, events: Vec::new(), place: from };
        let first = groups.first().map_or(last + 1, |group| group.id);
        if first > from.done + 1 {
            reading.place = Place::behind(first - 1);
            reading.gap = Some((from, reading.place));
        }
        let mut looked_at = 0;
        for group in &groups {
            for item in group.fan.items_from(reading.place.further) {
                reading.place.further += 1;
                looked_at += 1;
                if renderer.scope_of(&self.core, group, item).is_some_and(|scope| sees(&scope))
                    && let Some(rendered) = renderer.event(&self.core, group, item)
                {
                    let place = if reading.place.further >= group.fan.len() { Place::behind(group.id) } else { reading.place };
                    reading.events.push((place, rendered.event.body));
                }
                if reading.events.len() >= READ || looked_at >= LOOKED_AT {
                    if reading.place.further >= group.fan.len() {
                        reading.place = Place::behind(group.id);
                    }
                    return Ok(reading);
                }
            }
            reading.place = Place::behind(group.id);
        }
        Ok(reading)
    }
}

/// A place in the outbox: behind a group, and so many things further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    done: LogPosition,
    further: u64,
}

impl Place {
    pub(crate) const fn behind(done: LogPosition) -> Self {
        Self { done, further: 0 }
    }

    /// The place that is written so, if any.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (done, further) = text.split_once('.').unwrap_or((text, "0"));
        Some(Self { done: done.parse().ok()?, further: further.parse().ok()? })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.further {
            0 => write!(f, "{}", self.done),
            further => write!(f, "{}.{further}", self.done),
        }
    }
}

/// What was read from a place on.
pub(crate) struct Reading {
    /// What is not there any more: from where to where.
    pub(crate) gap: Option<(Place, Place)>,
    /// Events, each with the place behind it.
    pub(crate) events: Vec<(Place, Value)>,
    /// The place behind all that was looked at.
    pub(crate) place: Place,
}

fn test_event(home: &Scope, now: Timestamp) -> Event {
    let id = uuid::Uuid::new_v4().to_string();
    let detail = json!({"message": "a test of this target; nothing is vulnerable", "vulnerabilityId": "LESTRADE-TEST"});
    let head = Head { id: &id, account: &home.account, region: &home.region, at: now };
    let body = own_event(head, "Lestrade Test", &[], detail);
    Event { id, revision: 0, body, open: Some(1), names: Names::default() }
}
