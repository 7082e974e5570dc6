//! An event, and what a target is sent of it.

use serde_json::Value;

/// An event in EventBridge's envelope.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The same at every attempt to deliver the same state change.
    pub id: String,
    /// Rises with every change of the same finding.
    pub revision: u64,
    /// The envelope.
    pub body: Value,
    /// How many findings of the same vulnerability are open in the same account and region now; none when it is about none.
    pub open: Option<u64>,
    /// What the vulnerability was called before.
    pub names: Names,
}

/// What a vulnerability was called before, so that whoever keeps something of it under a name finds that again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Its first name, where it has another one now.
    pub first: Option<String>,
    /// The names that it had, and has no longer.
    pub formerly: Vec<String>,
    /// The names of others that were merged into it, and are no more.
    pub merged: Vec<String>,
}

impl Event {
    /// A text of the envelope, or of what is within it.
    #[must_use]
    pub fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// The vulnerability that it is about.
    #[must_use]
    pub fn vulnerability(&self) -> Option<&str> {
        let of_finding = self.body.pointer("/detail/packageVulnerabilityDetails/vulnerabilityId");
        of_finding.or_else(|| self.body.pointer("/detail/vulnerabilityId")).and_then(Value::as_str)
    }

    /// Under what something is kept about the vulnerability: its first name, which does not change.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.vulnerability().map(|name| self.names.first.as_deref().unwrap_or(name))
    }
}

/// An event on its way to one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The event.
    pub event: Event,
    /// The rule that chose it; none when the target takes everything.
    pub rule: Option<String>,
    /// What the rule makes of it; none passes the event on as it is.
    pub words: Option<String>,
    /// Whether an attempt may have reached the receiver before: said to receivers that take no key.
    pub repeated: bool,
}

impl Message {
    /// The event as it is, for a target that takes everything.
    #[must_use]
    pub const fn plain(event: Event) -> Self {
        Self { event, rule: None, words: None, repeated: false }
    }

    /// What is sent: the rule's words, or the event's own JSON.
    #[must_use]
    pub fn payload(&self) -> String {
        self.words.clone().unwrap_or_else(|| self.event.body.to_string())
    }
}
