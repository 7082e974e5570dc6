//! An event as patterns see it: its leaves with their paths, and in which elements of which arrays each lies.

use super::tests_of::Scalar;
use serde_json::Value;
use std::collections::HashMap;

/// The most leaves of one event, and how deep they may lie.
const MAX_FIELDS: usize = 100_000;
const MAX_DEPTH: usize = 128;
/// What every event of EventBridge's has.
const ENVELOPE: [&str; 6] = ["id", "source", "detail-type", "account", "region", "time"];

/// What is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEvent {
    /// Not a JSON object.
    #[error("an event is a JSON object")]
    NotAnObject,
    /// More than anybody sends.
    #[error("the event has too many members, or they lie too deep")]
    TooLarge,
    /// Without what every event has.
    #[error("the event has no '{0}'")]
    Incomplete(&'static str),
}

/// A leaf.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) value: Scalar,
    /// Array and element, outermost first.
    pub(super) places: Vec<(u32, u32)>,
}

/// An event's leaves, by path.
#[derive(Debug, Default)]
pub struct EventFields {
    pub(super) fields: HashMap<String, Vec<Field>>,
    count: usize,
    arrays: u32,
}

impl EventFields {
    /// The leaves of an event.
    ///
    /// # Errors
    /// When it is no object or beyond all measure.
    pub fn of(event: &Value) -> Result<Self, NotAnEvent> {
        let Value::Object(_) = event else { return Err(NotAnEvent::NotAnObject) };
        let mut fields = Self::default();
        let mut path = String::new();
        fields.walk(event, &mut path, &mut Vec::new(), 0)?;
        Ok(fields)
    }

    /// The leaves of an event that has all that an event on a bus has.
    ///
    /// # Errors
    /// As [`EventFields::of`], and when a member of the envelope is missing.
    pub fn of_bus(event: &Value) -> Result<Self, NotAnEvent> {
        let fields = Self::of(event)?;
        match ENVELOPE.into_iter().find(|name| event.get(name).is_none()) {
            Some(missing) => Err(NotAnEvent::Incomplete(missing)),
            None => Ok(fields),
        }
    }

    fn walk(&mut self, value: &Value, path: &mut String, places: &mut Vec<(u32, u32)>, depth: usize) -> Result<(), NotAnEvent> {
        if depth > MAX_DEPTH {
            return Err(NotAnEvent::TooLarge);
        }
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let length = path.len();
                    if length > 0 {
                        path.push('.');
                    }
                    path.push_str(name);
                    self.walk(member, path, places, depth + 1)?;
                    path.truncate(length);
                }
            }
            Value::Array(elements) => {
                let array = self.arrays;
                self.arrays += 1;
                for (element, number) in elements.iter().zip(0_u32..) {
                    // Plain values are alternatives; what is told apart are objects.
                    let nested = matches!(element, Value::Object(_) | Value::Array(_));
                    if nested {
                        places.push((array, number));
                    }
                    self.walk(element, path, places, depth + 1)?;
                    if nested {
                        places.pop();
                    }
                }
            }
            scalar => {
                self.count += 1;
                if self.count > MAX_FIELDS {
                    return Err(NotAnEvent::TooLarge);
                }
                if let Some(value) = Scalar::of(scalar) {
                    self.fields.entry(path.clone()).or_default().push(Field { value, places: places.clone() });
                }
            }
        }
        Ok(())
    }
}
