//! From the outbox to somebody who acts.
//!
//! A [`Target`] takes one event at a time and says whether it has it. Delivery is at least once, with an id that is the same at
//! every attempt, so that a receiver that keeps ids sees every state change exactly once. What is sent, and when it is tried
//! again, is decided by the server's deliver reconciler; a target only knows how to send.

mod event;
mod json_lines;
mod pattern;
mod rule;
mod transform;
mod webhook;

pub use event::Event;
pub use json_lines::JsonLines;
pub use pattern::{EventFields, NotAnEvent, Pattern, PatternError, RuleSet};
pub use rule::{Rule, RuleError, Rules};
pub use transform::{TransformError, Transformer};
pub use webhook::{EgressPolicy, Webhook};

/// Why an event was not taken. Never holds a response body: what answers may not be who we think it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// Worth another attempt.
    #[error("not delivered: {0}")]
    Retry(String),
    /// The receiver will never take it.
    #[error("refused: {0}")]
    Refused(String),
    /// The target itself is not usable.
    #[error("'{target}' is not a usable target: {reason}")]
    Unusable {
        /// Its name.
        target: String,
        /// Why not.
        reason: String,
    },
}

/// Takes events.
pub trait Target: Send {
    /// Its name: the key of its cursor in the outbox.
    fn name(&self) -> &str;

    /// Takes an event; when this returns `Ok`, the receiver has it.
    ///
    /// # Errors
    /// When it was not taken.
    fn deliver(&mut self, event: &Event) -> Result<(), DeliveryError>;
}
