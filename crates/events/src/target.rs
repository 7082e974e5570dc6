//! What takes events.

use crate::{Message, Secrets, TargetRecord};
use lestrade_model::Clock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Why an event was not taken. Never holds a response body: what answers may not be who we think it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// Worth another attempt.
    #[error("not delivered: {reason}")]
    Retry {
        /// Why not.
        reason: String,
        /// When the receiver wants to be asked again.
        after: Option<Duration>,
        /// Whether it may have it all the same: the exchange broke off after it was sent.
        uncertain: bool,
    },
    /// The receiver will never take it.
    #[error("refused: {0}")]
    Refused(String),
    /// A secret of the target cannot be had now; it may come.
    #[error("'{target}' is not a usable target: {reason}")]
    NoSecret {
        /// Its name.
        target: String,
        /// Why not.
        reason: String,
    },
    /// The target itself is not usable.
    #[error("'{target}' is not a usable target: {reason}")]
    Unusable {
        /// Its name.
        target: String,
        /// Why not.
        reason: String,
    },
}

impl DeliveryError {
    /// A target of which a secret cannot be had.
    pub fn no_secret(target: &str, reason: impl Into<String>) -> Self {
        Self::NoSecret { target: target.to_owned(), reason: reason.into() }
    }

    /// Worth another attempt, whenever it suits us: the receiver surely has it not.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { reason: reason.into(), after: None, uncertain: false }
    }

    /// A target that cannot be used as it is declared.
    pub fn unusable(target: &str, reason: impl Into<String>) -> Self {
        Self::Unusable { target: target.to_owned(), reason: reason.into() }
    }

    /// Worth another attempt, though the receiver may have it.
    pub fn unanswered(reason: impl Into<String>) -> Self {
        Self::Retry { reason: reason.into(), after: None, uncertain: true }
    }
}

/// Whether one message was taken.
pub type Sent = Result<(), DeliveryError>;

/// Takes events.
pub trait Target: Send {
    /// Its name: the key of its cursor in the outbox.
    fn name(&self) -> &str;

    /// How many messages it takes at a time.
    fn batch(&self) -> usize {
        1
    }

    /// Whether the receiver is given a key by which it knows a repeat, or a repeat changes nothing there. Where not, a message that
    /// may have been taken before is marked as repeated.
    fn takes_key(&self) -> bool {
        true
    }

    /// Takes messages, at most [`Target::batch`]; says of each whether the receiver has it, in their order. A message without an
    /// answer is one to be tried again.
    fn deliver(&mut self, messages: &[Message]) -> Vec<Sent>;

    /// Takes back what it did to a resource, where it can.
    ///
    /// # Errors
    /// When it does nothing that can be taken back, or did nothing to this resource, or the attempt fails.
    fn undo(&mut self, resource: &str) -> Result<String, DeliveryError> {
        let _ = resource;
        Err(DeliveryError::Refused("this kind of target does nothing that could be taken back".into()))
    }

    /// What it would do, did, and what came of it; nothing of most kinds, which do what they do at once.
    ///
    /// # Errors
    /// When that cannot be read.
    fn proposals(&mut self) -> Result<Vec<Proposal>, DeliveryError> {
        Ok(Vec::new())
    }

    /// Does what it proposed for a resource.
    ///
    /// # Errors
    /// When nothing is proposed for it, or the attempt fails.
    fn approve(&mut self, resource: &str) -> Result<String, DeliveryError> {
        let _ = resource;
        Err(DeliveryError::Refused("this kind of target proposes nothing".into()))
    }
}

/// Something that a target would do once somebody approves of it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Proposal {
    /// To which resource.
    pub resource: String,
    /// What, a clause each.
    pub what: Vec<String>,
    /// The vulnerabilities that are open yet on account of which.
    pub closes: Vec<String>,
    /// How it stands: `proposed`, `sent`, and what came of it.
    pub state: String,
}

/// What a target remembers: which ticket is whose, what it changed. Durable when a call returns.
pub trait Notes: Send + Sync {
    /// What was noted under a key.
    ///
    /// # Errors
    /// When it cannot be read.
    fn note(&self, key: &str) -> Result<Option<String>, DeliveryError>;

    /// Notes something in place of what was there.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn set_note(&self, key: &str, value: &str) -> Result<(), DeliveryError>;
}

/// Notes in memory, for a trial.
#[derive(Debug, Default)]
pub struct ForgetfulNotes(std::sync::Mutex<BTreeMap<String, String>>);

impl Notes for ForgetfulNotes {
    fn note(&self, key: &str) -> Result<Option<String>, DeliveryError> {
        Ok(self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(key).cloned())
    }
    fn set_note(&self, key: &str, value: &str) -> Result<(), DeliveryError> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(key.to_owned(), value.to_owned());
        Ok(())
    }
}

/// What a target is opened with.
#[derive(Clone)]
pub struct Surroundings {
    /// Where its secrets are.
    pub secrets: Arc<dyn Secrets>,
    /// Where it may connect to.
    pub egress: crate::EgressPolicy,
    /// What it remembers.
    pub notes: Arc<dyn Notes>,
    /// The time, for signatures.
    pub clock: Arc<dyn Clock>,
}

/// Opens a target of one kind. Connects to nothing.
pub type OpenTarget = fn(&TargetRecord, &Surroundings) -> Result<Box<dyn Target>, DeliveryError>;

/// The kinds of targets that there are, by name.
#[derive(Clone)]
pub struct Kinds(BTreeMap<&'static str, OpenTarget>);

impl Kinds {
    /// Those of this room.
    #[must_use]
    pub fn standard() -> Self {
        use crate::targets;
        let all: [(&'static str, OpenTarget); 7] = [
            ("email", targets::email::open),
            ("jira", targets::jira::open),
            ("json-lines", targets::json_lines::open),
            ("pagerduty", targets::pagerduty::open),
            ("slack", targets::slack::open),
            ("teams", targets::teams::open),
            ("webhook", targets::webhook::open),
        ];
        Self(all.into_iter().collect())
    }

    /// With more.
    #[must_use]
    pub fn with(mut self, more: impl IntoIterator<Item = (&'static str, OpenTarget)>) -> Self {
        self.0.extend(more);
        self
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// Opens what a record says.
    ///
    /// # Errors
    /// When there is no such kind, an option is wrong, or a secret cannot be had.
    pub fn open(&self, record: &TargetRecord, surroundings: &Surroundings) -> Result<Box<dyn Target>, DeliveryError> {
        let Some(open) = self.0.get(record.kind.as_str()) else {
            let known = self.names().collect::<Vec<_>>().join(", ");
            let kind = record.kind.chars().take(40).collect::<String>();
            let reason = format!("there is no kind '{kind}'; there are {known}");
            return Err(DeliveryError::unusable(&record.name, reason));
        };
        open(record, surroundings)
    }
}
