//! An event, as it leaves.

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
}
