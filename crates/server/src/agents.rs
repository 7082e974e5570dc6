//! Hosts that tell of themselves: agents that were let in by a token, each with a key of its own.
//!
//! A token is used once and within the hour. An agent says what it has by a digest and sends the inventory only when that is
//! another than the one that was last taken in. One that is not heard of makes its host stale; what is known of it stands.

use crate::core::lock;
use crate::host::host_key;
use crate::look::{verdict, with_unread};
use crate::reconcile::{Outcome, Reconciler};
use crate::sockets::tidy;
use crate::{Core, Observation, ServerError};
use lestrade_findings::{INSTANCE_TAG, InventorySource};
use lestrade_model::{
    Component, Coverage, CoverageReason, Hash, HostDetails, Inventory, ListeningSocket, Occurrence, Resource, ResourceDetails,
    ResourceFacts, ResourceKey, ScanKind, Scope, Timestamp,
};
use lestrade_store::Document;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use subtle::ConstantTimeEq;

/// The kinds of documents that are kept.
const TOKENS: &str = "agent-token";
const AGENTS: &str = "agent";
/// How long a token is good for.
const TOKEN_LIFE_MS: i64 = 3_600_000;
/// How much later than it was an agent may be noted to have been heard of.
const NOTE_MS: i64 = 300_000;
/// The most agents, and tokens that wait to be used.
const MOST: usize = 20_000;
const MOST_TOKENS: usize = 1000;
/// The most that an agent may send of one host, and the longest text of it.
const COMPONENTS: usize = 250_000;
const OCCURRENCES: usize = 1_000_000;
const SOCKETS: usize = 4096;
const TEXT: usize = 4096;
/// How long ago a machine may say that it was read.
const LONGEST_AGO: u64 = 30 * 86_400;

/// Why an agent is not served.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// It is not, or no longer, one of ours.
    #[error("{0}")]
    Denied(&'static str),
    /// What it says is not what it should be.
    #[error("{0}")]
    Refused(String),
    /// Ours.
    #[error(transparent)]
    Server(#[from] ServerError),
}

impl From<lestrade_store::StoreError> for AgentError {
    fn from(error: lestrade_store::StoreError) -> Self {
        Self::Server(error.into())
    }
}

/// What who is to become an agent says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Enrolment {
    /// The token.
    pub token: String,
    /// The hash of its machine id, or of something else that stays the same.
    pub identity: String,
    /// The machine's name.
    pub name: String,
    /// The agent's version.
    pub version: String,
}

/// What an agent is let in with. The key is said this once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Enrolled {
    /// The agent's id.
    pub agent: String,
    /// Its key.
    pub key: String,
    /// What its host is called among the resources.
    pub resource: String,
}

/// What an agent tells.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AgentReport {
    /// The machine's name.
    pub name: Option<String>,
    /// The release of the running kernel.
    pub running_kernel: Option<String>,
    /// The sockets that wait for others; none when it could not tell.
    pub listening: Option<Vec<ListeningSocket>>,
    /// The EC2 instance that it is; none elsewhere.
    #[serde(default)]
    pub instance: Option<String>,
    /// The digest of the inventory that it has; none before the first.
    pub digest: Option<String>,
    /// For how many seconds it has had it.
    pub scanned_ago: u64,
    /// The inventory, where the server wants it.
    pub inventory: Option<Inventory>,
    /// Why the last look brought nothing.
    pub failure: Option<String>,
}

/// What the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentAnswer {
    /// Whether it wants the inventory of that digest: it has another, or none.
    pub wanted: bool,
}

/// An agent, as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    /// The resource's id.
    host: String,
    name: String,
    /// The hash of its key.
    key: String,
    version: String,
    enrolled: Timestamp,
    seen: Timestamp,
    /// The digest of the inventory that was last taken in.
    digest: Option<String>,
}

/// An agent, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    /// Its id.
    pub id: String,
    /// The machine's name.
    pub name: String,
    /// What the host is called among the resources.
    pub resource: String,
    /// Its version.
    pub version: String,
    /// When it was let in, RFC 3339.
    pub enrolled: String,
    /// When it was last heard of, RFC 3339, give or take five minutes after a restart.
    pub seen: String,
    /// Whether it was not heard of for too long.
    pub stale: bool,
}

#[derive(Serialize, Deserialize)]
struct Token {
    expires: Timestamp,
}

/// The agents of one scope.
pub struct Agents {
    core: Arc<Core>,
    scope: Scope,
    /// After how long without a word a host is stale.
    patience_ms: i64,
    /// While the server was not there, nobody could be heard of.
    started: Timestamp,
    records: Mutex<BTreeMap<String, Record>>,
    /// When each was last noted in the store.
    noted: Mutex<BTreeMap<String, Timestamp>>,
}

/// 32 random bytes as text.
fn secret(prefix: &str) -> Result<String, AgentError> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| AgentError::Server(ServerError::Encoding))?;
    Ok(format!("{prefix}{}", Hash::from_bytes(bytes)))
}

/// What is kept of a secret: it has 256 random bits, so a plain hash tells nothing.
fn hash_of(secret: &str) -> String {
    Hash::of_fields([b"lestrade agent".as_slice(), secret.as_bytes()]).to_string()
}

/// A text without control characters, cut.
pub(crate) fn clean(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Agents {
    /// The agents that were let in before.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn open(core: Arc<Core>, scope: Scope, patience: std::time::Duration) -> Result<Self, ServerError> {
        let mut records = BTreeMap::new();
        for document in core.store().documents(&scope, AGENTS)? {
            let record: Record = serde_json::from_str(&document.body).map_err(|_| ServerError::Encoding)?;
            records.insert(document.key, record);
        }
        let noted = records.iter().map(|(id, record)| (id.clone(), record.seen)).collect();
        let patience_ms = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
        let started = core.now();
        Ok(Self { core, scope, patience_ms, started, records: Mutex::new(records), noted: Mutex::new(noted) })
    }

    /// Makes a token with which one agent is let in; answers it and when it ends. Only its hash is kept.
    ///
    /// # Errors
    /// When too many wait to be used, or it cannot be kept.
    pub fn make_token(&self) -> Result<(String, Timestamp), AgentError> {
        let now = self.core.now();
        let mut store = self.core.store();
        let mut waiting = 0;
        for document in store.documents(&self.scope, TOKENS)? {
            if serde_json::from_str::<Token>(&document.body).is_ok_and(|token| token.expires > now) {
                waiting += 1;
            } else {
                store.delete_document(&self.scope, TOKENS, &document.key)?;
            }
        }
        if waiting >= MOST_TOKENS {
            return Err(AgentError::Refused(format!("{MOST_TOKENS} tokens wait to be used")));
        }
        let token = secret("lestrade_enrol_")?;
        let expires = now.plus_millis(TOKEN_LIFE_MS);
        let body = serde_json::to_string(&Token { expires }).map_err(|_| ServerError::Encoding)?;
        store.put_document(&self.scope, TOKENS, &Document { key: hash_of(&token), body })?;
        Ok((token, expires))
    }

    /// Lets an agent in. Whoever had the same machine before is out: a machine has one agent.
    ///
    /// # Errors
    /// When the token is none, was used or has ended, or what is said is not what it should be.
    pub fn enroll(&self, enrolment: &Enrolment) -> Result<Enrolled, AgentError> {
        if !is_hash(&enrolment.identity) {
            return Err(AgentError::Refused("the identity is no hash".into()));
        }
        let now = self.core.now();
        let kept = hash_of(&enrolment.token);
        {
            let mut store = self.core.store();
            let token = store.documents(&self.scope, TOKENS)?.into_iter().find(|document| document.key == kept);
            // Whoever removes it has it: two at once are not both let in.
            let is_first = token.is_some() && store.delete_document(&self.scope, TOKENS, &kept)?;
            let is_good = token.and_then(|token| serde_json::from_str::<Token>(&token.body).ok()).is_some_and(|token| token.expires > now);
            if !is_first || !is_good {
                return Err(AgentError::Denied("the token is none, was used, or has ended"));
            }
        }
        // The same machine watched by the server itself is the same resource.
        let host = host_key(&self.scope, &enrolment.identity.to_ascii_lowercase()).id;
        let mut records = lock(&self.records);
        let before: Vec<String> = records.iter().filter(|(_, record)| record.host == host).map(|(id, _)| id.clone()).collect();
        if before.is_empty() && records.len() >= MOST {
            return Err(AgentError::Refused(format!("there are {MOST} agents")));
        }
        let key = secret("lestrade_agent_")?;
        let agent = format!("agent-{}", &uuid::Uuid::new_v4().simple().to_string()[..16]);
        let record = Record {
            host: host.clone(),
            name: clean(&enrolment.name, 255),
            key: hash_of(&key),
            version: clean(&enrolment.version, 64),
            enrolled: now,
            seen: now,
            digest: None,
        };
        self.keep(&agent, &record)?;
        for id in before {
            tracing::warn!(agent = id, by = agent, host, "an agent is replaced by another on the same machine");
            self.core.store().delete_document(&self.scope, AGENTS, &id)?;
            records.remove(&id);
        }
        records.insert(agent.clone(), record);
        Ok(Enrolled { agent, key, resource: host })
    }

    fn keep(&self, id: &str, record: &Record) -> Result<(), AgentError> {
        let body = serde_json::to_string(record).map_err(|_| ServerError::Encoding)?;
        self.core.store().put_document(&self.scope, AGENTS, &Document { key: id.to_owned(), body })?;
        lock(&self.noted).insert(id.to_owned(), record.seen);
        Ok(())
    }

    /// The id of the agent whose credentials, `id.key`, these are.
    ///
    /// # Errors
    /// When they are nobody's.
    pub fn who(&self, credentials: &str) -> Result<String, AgentError> {
        let denied = AgentError::Denied("the key is none, or was taken back");
        let Some((id, key)) = credentials.split_once('.') else { return Err(denied) };
        let records = lock(&self.records);
        // A hash is compared also where there is no such agent.
        let kept = records.get(id).map_or_else(|| hash_of(""), |record| record.key.clone());
        let is_right = bool::from(kept.as_bytes().ct_eq(hash_of(key).as_bytes()));
        if is_right && records.contains_key(id) { Ok(id.to_owned()) } else { Err(denied) }
    }

    /// Takes in what an agent tells; answers whether its inventory is wanted.
    ///
    /// # Errors
    /// When it is not one of ours, what it tells is not what it should be, or it cannot be kept.
    pub fn report(&self, id: &str, report: AgentReport) -> Result<AgentAnswer, AgentError> {
        let Some(mut record) = lock(&self.records).get(id).cloned() else {
            return Err(AgentError::Denied("the key is none, or was taken back"));
        };
        check(&report)?;
        let now = self.core.now();
        let key = ResourceKey { scope: self.scope.clone(), kind: lestrade_model::ResourceKind::Host, id: record.host.clone() };
        let before = self.core.resource(&key);
        let has_set = {
            let world = self.core.world();
            world.resource_id(&key).is_some_and(|id| world.estate.set_of(id).is_some())
        };
        let is_known = has_set && report.digest.is_some() && report.digest == record.digest;
        let wanted = report.digest.is_some() && !is_known && report.inventory.is_none();
        if let Some(name) = &report.name {
            record.name = clean(name, 255);
        }
        if !wanted {
            let scanned = now.plus_millis(-(i64::try_from(report.scanned_ago.min(LONGEST_AGO)).unwrap_or_default() * 1000));
            let known = before.as_ref().and_then(|entry| entry.inventory).and_then(|id| self.core.inventory(&id));
            let inventory = report.inventory.map(whole).transpose()?.map(|inventory| match &known {
                Some(known) => with_unread(known, inventory, "/"),
                None => inventory,
            });
            let (reason, detail) = match (&report.failure, inventory.as_ref().or(known.as_deref())) {
                (Some(why), _) => (CoverageReason::InternalError, clean(why, 500)),
                (None, Some(inventory)) => verdict(inventory),
                (None, None) => (CoverageReason::PendingInitialScan, String::new()),
            };
            let was = before.and_then(|entry| entry.coverage.first().and_then(|coverage| coverage.last_scanned));
            let last_scanned = if report.failure.is_some() || report.digest.is_none() { was } else { Some(scanned) };
            // Of equal inventories only the time moves, which nobody is told and which need not be written each minute.
            let last_scanned = match was {
                Some(was) if inventory.is_none() && (was.as_millis() - scanned.as_millis()).abs() < NOTE_MS => Some(was),
                _ => last_scanned,
            };
            let resource = Resource {
                key,
                details: ResourceDetails::Host(HostDetails { listening: report.listening.map(tidy) }),
                facts: ResourceFacts { running_kernel: report.running_kernel.map(|kernel| clean(&kernel, 255)) },
                tags: [("Name".to_owned(), record.name.clone()), ("lestrade:agent".to_owned(), id.to_owned())]
                    .into_iter()
                    .chain(report.instance.map(|instance| (INSTANCE_TAG.to_owned(), clean(&instance, 64))))
                    .collect(),
            };
            // What applies depends on the kernel that runs: with another one the inventory is judged anew.
            let moved = known
                .filter(|_| inventory.is_none() && has_set)
                .filter(|_| self.core.resource(&resource.key).is_some_and(|entry| entry.resource.facts != resource.facts));
            let inventory = inventory.or_else(|| moved.map(|known| known.as_ref().clone()));
            if inventory.is_some() || report.digest.is_none() {
                record.digest.clone_from(&report.digest);
            }
            let coverage = vec![Coverage { kind: ScanKind::Package, reason, detail, last_scanned }];
            self.core.observe(Observation { resource, inventory, coverage })?;
        }
        record.seen = now;
        self.heard(id, record)?;
        Ok(AgentAnswer { wanted })
    }

    /// Notes that an agent was heard of. The store is told of it now and then, and when anything else changed.
    fn heard(&self, id: &str, record: Record) -> Result<(), AgentError> {
        let mut records = lock(&self.records);
        // It may have been taken back meanwhile.
        let Some(before) = records.get_mut(id) else { return Ok(()) };
        let same = (&before.digest, &before.name) == (&record.digest, &record.name);
        let noted = lock(&self.noted).get(id).copied().unwrap_or_default();
        *before = record.clone();
        drop(records);
        if !same || record.seen.as_millis().saturating_sub(noted.as_millis()) >= NOTE_MS {
            self.keep(id, &record)?;
        }
        Ok(())
    }

    fn is_stale(&self, record: &Record, now: Timestamp) -> bool {
        let heard = record.seen.max(self.started);
        now.as_millis().saturating_sub(heard.as_millis()) > self.patience_ms
    }

    /// The agents.
    pub fn list(&self) -> Vec<AgentStatus> {
        let now = self.core.now();
        let shown = |(id, record): (&String, &Record)| AgentStatus {
            id: id.clone(),
            name: record.name.clone(),
            resource: record.host.clone(),
            version: record.version.clone(),
            enrolled: record.enrolled.to_string(),
            seen: record.seen.to_string(),
            stale: self.is_stale(record, now),
        };
        lock(&self.records).iter().map(shown).collect()
    }

    /// Takes an agent's key back and forgets its host. Answers whether there was one.
    ///
    /// # Errors
    /// When that cannot be kept.
    pub fn remove(&self, id: &str) -> Result<bool, AgentError> {
        let Some(record) = lock(&self.records).remove(id) else { return Ok(false) };
        self.core.store().delete_document(&self.scope, AGENTS, id)?;
        let key = ResourceKey { scope: self.scope.clone(), kind: lestrade_model::ResourceKind::Host, id: record.host };
        self.core.forget(&key, CoverageReason::ResourceTerminated)?;
        Ok(true)
    }

    /// Says of hosts that were not heard of for too long that what is known of them is old; answers of how many.
    ///
    /// # Errors
    /// When that cannot be kept.
    fn mark_stale(&self) -> Result<usize, ServerError> {
        let now = self.core.now();
        let stale: Vec<Record> = lock(&self.records).values().filter(|record| self.is_stale(record, now)).cloned().collect();
        let mut marked = 0;
        for record in stale {
            let key = ResourceKey { scope: self.scope.clone(), kind: lestrade_model::ResourceKind::Host, id: record.host };
            let Some(entry) = self.core.resource(&key) else { continue };
            let is_told =
                entry.coverage.iter().all(|c| matches!(c.reason, CoverageReason::StaleInventory | CoverageReason::ResourceTerminated));
            if is_told {
                continue;
            }
            let detail = format!("its agent was last heard of at {}", record.seen.whole_second());
            let coverage = entry.coverage.into_iter().map(|coverage| Coverage {
                reason: CoverageReason::StaleInventory,
                detail: detail.clone(),
                ..coverage
            });
            self.core.observe(Observation { resource: entry.resource, inventory: None, coverage: coverage.collect() })?;
            marked += 1;
        }
        Ok(marked)
    }
}

/// Whether a report keeps its bounds.
fn check(report: &AgentReport) -> Result<(), AgentError> {
    let refused = |why: &str| Err(AgentError::Refused(why.to_owned()));
    if report.digest.as_deref().is_some_and(|digest| !is_hash(digest)) {
        return refused("the digest is none");
    }
    if report.inventory.is_some() && report.digest.is_none() {
        return refused("an inventory comes with its digest");
    }
    if report.listening.as_ref().is_some_and(|sockets| sockets.len() > SOCKETS) {
        return refused("too many sockets");
    }
    let Some(inventory) = &report.inventory else { return Ok(()) };
    if inventory.components.len() > COMPONENTS || inventory.occurrences.len() > OCCURRENCES || inventory.problems.len() > OCCURRENCES {
        return refused("too many packages");
    }
    let long = |text: &str| text.len() > TEXT;
    let is_long =
        inventory.components.iter().any(|c| long(&c.name) || long(&c.version)) || inventory.occurrences.iter().any(|o| long(&o.path));
    if is_long { refused("a name is too long") } else { Ok(()) }
}

/// An inventory put together anew: what came from elsewhere need not be sorted, nor point at what is there.
fn whole(inventory: Inventory) -> Result<Inventory, AgentError> {
    let Inventory { os, components, occurrences, problems } = inventory;
    let of = |occurrence: Occurrence| -> Option<(Component, Occurrence)> {
        Some((components.get(occurrence.component as usize)?.clone(), occurrence))
    };
    let pairs: Option<Vec<_>> = occurrences.into_iter().map(of).collect();
    let pairs = pairs.ok_or_else(|| AgentError::Refused("an occurrence is of no package".into()))?;
    let assembled = Inventory::assemble(os, pairs, problems);
    if assembled.components.len() < components.iter().collect::<std::collections::BTreeSet<_>>().len() {
        return Err(AgentError::Refused("a package is nowhere".into()));
    }
    Ok(assembled)
}

/// Notices agents that are not heard of.
pub struct WatchAgents(pub Arc<Agents>);

impl Reconciler for WatchAgents {
    fn name(&self) -> &'static str {
        "watch-agents"
    }

    fn reconcile(&mut self) -> Result<Outcome, ServerError> {
        Ok(if self.0.mark_stale()? > 0 { Outcome::Changed } else { Outcome::Unchanged })
    }
}
