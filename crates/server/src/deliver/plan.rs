//! What one target is sent: which events, in which words, how fast.

use lestrade_events::{Event, EventFields, Message, Rules, TargetRecord};

/// A target's share of the rules.
#[derive(Debug)]
pub struct Plan {
    /// How it is served.
    pub record: TargetRecord,
    /// The rules that send to it; none when it takes everything.
    pub rules: Option<Rules>,
}

/// What becomes of an event at a target.
pub(crate) enum Chosen {
    /// No rule sends it there.
    Not,
    /// It is sent.
    Message(Message),
    /// A rule sends it there, and its words cannot be made.
    Unspeakable { event: Event, rule: String, reason: String },
}

impl Plan {
    /// A target that takes everything as it is.
    #[must_use]
    pub const fn everything(record: TargetRecord) -> Self {
        Self { record, rules: None }
    }

    /// What becomes of an event. Where several rules send it, the first by name does: a receiver gets an event once.
    pub(crate) fn choose(&self, event: Event) -> Chosen {
        let Some(rules) = &self.rules else { return Chosen::Message(Message::plain(event)) };
        let Ok(fields) = EventFields::of(&event.body) else { return Chosen::Not };
        let Some(rule) = rules.matching(&fields).into_iter().min_by(|a, b| a.name.cmp(&b.name)) else { return Chosen::Not };
        let name = rule.name.clone();
        match rule.words.as_ref().map(|words| words.apply(&event.body, &name)).transpose() {
            Ok(words) => Chosen::Message(Message { words, rule: Some(name), ..Message::plain(event) }),
            Err(reason) => Chosen::Unspeakable { event, rule: name, reason },
        }
    }
}
