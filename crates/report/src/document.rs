//! Documents that are written while they are made: of a bill of materials of a million packages there is never more than one entry.

use serde::{Serialize, Serializer};
use serde_json::Value;

/// Makes the elements of a list, each time anew.
type Elements<'a> = Box<dyn Fn() -> Box<dyn Iterator<Item = Value> + 'a> + 'a>;

/// A JSON document.
pub struct Document<'a>(Part<'a>);

/// A part of one.
enum Part<'a> {
    Whole(Value),
    List(Elements<'a>),
    Object(Vec<(String, Part<'a>)>),
    Array(Vec<Part<'a>>),
}

impl<'a> Document<'a> {
    /// A document with nothing to be made in it yet.
    pub(crate) const fn new(value: Value) -> Self {
        Self(Part::Whole(value))
    }

    /// The same with a list in it, made when it is written, in the place of what is there now: at the end of `path`, in which `0` is the
    /// first element of an array.
    pub(crate) fn with<I: Iterator<Item = Value> + 'a>(mut self, path: &[&str], elements: impl Fn() -> I + 'a) -> Self {
        if let Some(place) = path.iter().try_fold(&mut self.0, |part, step| part.opened(step)) {
            *place = Part::List(Box::new(move || Box::new(elements())));
        }
        self
    }

    /// The whole of it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // All of its parts are JSON already.
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl<'a> Part<'a> {
    /// The part at a step, which can be replaced from now on.
    fn opened(&mut self, step: &str) -> Option<&mut Self> {
        match self {
            Self::Whole(Value::Object(fields)) => {
                let fields = std::mem::take(fields);
                *self = Self::Object(fields.into_iter().map(|(key, value)| (key, Self::Whole(value))).collect());
            }
            Self::Whole(Value::Array(elements)) => {
                let elements = std::mem::take(elements);
                *self = Self::Array(elements.into_iter().map(Self::Whole).collect());
            }
            _ => {}
        }
        match self {
            Self::Object(fields) => fields.iter_mut().find(|(key, _)| key == step).map(|(_, part)| part),
            Self::Array(elements) => elements.get_mut(step.parse::<usize>().ok()?),
            _ => None,
        }
    }
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Whole(value) => value.serialize(serializer),
            Self::List(elements) => serializer.collect_seq(elements()),
            Self::Object(fields) => serializer.collect_map(fields.iter().map(|(key, part)| (key, part))),
            Self::Array(elements) => serializer.collect_seq(elements),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_are_made_where_they_belong() {
        let list = || (0..3).map(|number| json!({"n": number}));
        let document =
            Document::new(json!({"a": [], "b": [{"c": null, "d": 1}], "e": true})).with(&["a"], list).with(&["b", "0", "c"], list);
        let whole = json!({"a": [{"n": 0}, {"n": 1}, {"n": 2}], "b": [{"c": [{"n": 0}, {"n": 1}, {"n": 2}], "d": 1}], "e": true});
        assert_eq!(document.to_value(), whole);
        assert_eq!(serde_json::to_string_pretty(&document).unwrap(), format!("{whole:#}"));
    }
}
