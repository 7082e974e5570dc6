//! The event patterns of Amazon EventBridge: which events a rule is about.
//!
//! A pattern is JSON of the shape of the events that it wants. Each leaf is a list of tests of which one must hold; all leaves must.
//! What lies in an array of objects is matched within one element: `{"a": {"b": [1], "c": [2]}}` does not match
//! `{"a": [{"b": 1}, {"c": 2}]}`. Semantics are those of EventBridge and of the open event-ruler where the two agree; where they
//! differ, EventBridge's.

mod event;
mod matcher;
mod parse;
mod tests_of;
mod wildcard;

pub use event::{EventFields, NotAnEvent};
pub use matcher::RuleSet;
pub use parse::{Pattern, PatternError};
