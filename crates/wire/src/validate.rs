//! A value held against a shape, in the words that AWS's front uses.

use crate::{Kind, Limits, Shape};
use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{LazyLock, PoisonError, RwLock};

/// No more are reported of one value: the sender needs a few to understand, not a page per character sent.
const MOST: usize = 50;

/// One way in which a value is not what its shape asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where: `filterCriteria.severity.1.value`; empty for the whole.
    pub path: String,
    /// What the shape asks for.
    pub message: String,
    /// Whether the value is of another type altogether, so that it cannot even be read.
    pub unreadable: bool,
}

/// Everything in which `value` is not what `shape` asks for; empty when all is well.
///
/// Members that the shape does not have are nobody's business: newer clients send them.
#[must_use]
pub fn validate(shape: &'static Shape, value: &Value) -> Vec<Violation> {
    let mut walk = Walk { path: String::new(), found: Vec::new() };
    walk.value(shape, value);
    walk.found
}

struct Walk {
    path: String,
    found: Vec<Violation>,
}

impl Walk {
    fn value(&mut self, shape: &'static Shape, value: &Value) {
        if self.found.len() >= MOST {
            return;
        }
        match (shape.kind, value) {
            (Kind::Structure(members), Value::Object(object)) => {
                for member in members {
                    match object.get(member.name) {
                        Some(value) if !value.is_null() => self.below(member.name, |walk| walk.value(member.shape, value)),
                        _ if member.required => self.below(member.name, |walk| walk.report("Member must not be null")),
                        _ => {}
                    }
                }
            }
            (Kind::Union(members), Value::Object(object)) => {
                let set: Vec<_> = members.iter().filter(|m| object.get(m.name).is_some_and(|v| !v.is_null())).collect();
                match set.as_slice() {
                    [member] => self.below(member.name, |walk| walk.value(member.shape, &object[member.name])),
                    _ => self.report("Exactly one member must be set"),
                }
            }
            (Kind::List { item, .. }, Value::Array(items)) => {
                self.length(&shape.limits, items.len());
                for (i, value) in items.iter().enumerate() {
                    self.below(&(i + 1).to_string(), |walk| walk.value(item, value));
                }
            }
            (Kind::Map { key, value }, Value::Object(entries)) => {
                self.length(&shape.limits, entries.len());
                for (name, entry) in entries {
                    self.below(name, |walk| {
                        walk.text(key, name);
                        walk.value(value, entry);
                    });
                }
            }
            (Kind::String | Kind::Enumeration(_), Value::String(text)) => self.text(shape, text),
            (Kind::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => self.number(shape, number),
            (Kind::Double | Kind::Timestamp, Value::Number(number)) => self.number(shape, number),
            (Kind::Boolean, Value::Bool(_)) | (Kind::Blob, Value::String(_)) => {}
            (kind, _) => {
                self.found.push(Violation { path: self.path.clone(), message: format!("Member must be {}", kind.noun()), unreadable: true })
            }
        }
    }

    fn text(&mut self, shape: &Shape, text: &str) {
        if let Kind::Enumeration(values) = shape.kind
            && !values.contains(&text)
        {
            return self.report(&format!("Member must satisfy enum value set: [{}]", values.join(", ")));
        }
        self.length(&shape.limits, text.chars().count());
        if let Some(pattern) = shape.pattern
            && !matches(pattern, text)
        {
            self.report(&format!("Member must satisfy regular expression pattern: {pattern}"));
        }
    }

    fn number(&mut self, shape: &Shape, number: &serde_json::Number) {
        self.within(&shape.limits, number.as_f64().unwrap_or(f64::NAN), "value");
    }

    fn length(&mut self, limits: &Limits, length: usize) {
        self.within(limits, length as f64, "length");
    }

    fn within(&mut self, limits: &Limits, actual: f64, what: &str) {
        if let Some(min) = limits.min.filter(|min| actual < *min) {
            self.report(&format!("Member must have {what} greater than or equal to {min}"));
        }
        if let Some(max) = limits.max.filter(|max| actual > *max) {
            self.report(&format!("Member must have {what} less than or equal to {max}"));
        }
    }

    fn below(&mut self, name: &str, look: impl FnOnce(&mut Self)) {
        let here = self.path.len();
        let dot = if here == 0 { "" } else { "." };
        // Writing to a string does not fail.
        let _ = write!(self.path, "{dot}{name}");
        look(self);
        self.path.truncate(here);
    }

    fn report(&mut self, message: &str) {
        if self.found.len() < MOST {
            self.found.push(Violation { path: self.path.clone(), message: message.to_owned(), unreadable: false });
        }
    }
}

impl Kind {
    const fn noun(&self) -> &'static str {
        match self {
            Self::Structure(_) | Self::Union(_) | Self::Map { .. } => "an object",
            Self::List { .. } => "a list",
            Self::String | Self::Enumeration(_) => "a string",
            Self::Integer => "an integer",
            Self::Double => "a number",
            Self::Boolean => "a boolean",
            Self::Timestamp => "a timestamp in epoch seconds",
            Self::Blob => "a base64 string",
        }
    }
}

/// Patterns come from the models, so there are only so many: each is compiled once.
static COMPILED: LazyLock<RwLock<HashMap<&'static str, Option<Regex>>>> = LazyLock::new(RwLock::default);

/// Whether the whole text matches. A pattern that we cannot compile refuses nothing.
fn matches(pattern: &'static str, text: &str) -> bool {
    // The models' only construct beyond regular languages: "does not begin with".
    let (forbidden, regular) = match pattern.strip_prefix("(?!").and_then(|rest| rest.split_once(')')) {
        Some((prefix, rest)) => (Some(prefix), rest),
        None => (None, pattern),
    };
    if forbidden.is_some_and(|prefix| text.starts_with(prefix)) {
        return false;
    }
    let test = |regex: &Option<Regex>| regex.as_ref().is_none_or(|regex| regex.is_match(text.as_bytes()));
    if let Some(compiled) = COMPILED.read().unwrap_or_else(PoisonError::into_inner).get(regular) {
        return test(compiled);
    }
    // Classes such as `\d` are ASCII's to AWS; only where a pattern names classes of Unicode does it mean them.
    let unicode = regular.contains("\\p{");
    let compiled = RegexBuilder::new(&format!("^(?:{regular})$")).unicode(unicode).build().ok();
    let result = test(&compiled);
    COMPILED.write().unwrap_or_else(PoisonError::into_inner).insert(regular, compiled);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspector2::{
        CreateFilterRequest, ListFindingAggregationsRequest, ListFindingsRequest, TagResourceRequest, UntagResourceRequest,
    };
    use crate::{Service, Shaped, inspector2};
    use serde_json::json;

    fn found(shape: &'static Shape, value: &Value) -> Vec<(String, String)> {
        validate(shape, value).into_iter().map(|v| (v.path, v.message)).collect()
    }

    #[test]
    fn violations_name_the_field_and_the_constraint() {
        let findings = ListFindingsRequest::SHAPE;
        let filter = CreateFilterRequest::SHAPE;
        for (shape, value, path, message) in [
            (findings, json!({"maxResults": 0}), "maxResults", "Member must have value greater than or equal to 1"),
            (findings, json!({"maxResults": 101}), "maxResults", "Member must have value less than or equal to 100"),
            (findings, json!({"maxResults": "9"}), "maxResults", "Member must be an integer"),
            (findings, json!({"sortCriteria": {"field": "SEVERITY"}}), "sortCriteria.sortOrder", "Member must not be null"),
            (
                findings,
                json!({"sortCriteria": {"field": "SEVERITY", "sortOrder": "UP"}}),
                "sortCriteria.sortOrder",
                "Member must satisfy enum value set: [ASC, DESC]",
            ),
            (
                findings,
                json!({"filterCriteria": {"severity": []}}),
                "filterCriteria.severity",
                "Member must have length greater than or equal to 1",
            ),
            (
                findings,
                json!({"filterCriteria": {"severity": [{"comparison": "EQUALS", "value": "HIGH"}, {"comparison": "EQUALS", "value": ""}]}}),
                "filterCriteria.severity.2.value",
                "Member must have length greater than or equal to 1",
            ),
            (filter, json!({"action": "NONE", "filterCriteria": {}}), "name", "Member must not be null"),
            (
                UntagResourceRequest::SHAPE,
                json!({"resourceArn": "arn:aws:inspector2:eu-west-1:111122223333:filter/x", "tagKeys": ["aws:reserved"]}),
                "tagKeys.1",
                "Member must satisfy regular expression pattern: (?!aws:)[a-zA-Z+-=._:/]+",
            ),
            (
                TagResourceRequest::SHAPE,
                json!({"resourceArn": "arn:aws:inspector2:eu-west-1:111122223333:filter/x", "tags": {"": "x"}}),
                "tags.",
                "Member must have length greater than or equal to 1",
            ),
            (
                ListFindingAggregationsRequest::SHAPE,
                json!({"aggregationType": "ACCOUNT", "aggregationRequest": {}}),
                "aggregationRequest",
                "Exactly one member must be set",
            ),
            (findings, json!([]), "", "Member must be an object"),
        ] {
            assert_eq!(found(shape, &value), [(path.to_owned(), message.to_owned())], "{value}");
        }
    }

    #[test]
    fn what_the_model_does_not_know_is_left_alone() {
        assert!(found(ListFindingsRequest::SHAPE, &json!({"tomorrow": {"x": 1}, "nextToken": null})).is_empty());
    }

    #[test]
    fn a_flood_of_violations_is_cut() {
        let values: Vec<_> = (0..10_000).map(|_| json!({"comparison": "?", "value": ""})).collect();
        assert_eq!(found(ListFindingsRequest::SHAPE, &json!({"filterCriteria": {"title": values}})).len(), MOST);
    }

    /// Every pattern of the model compiles: one that does not would refuse nothing.
    #[test]
    fn every_pattern_compiles() {
        fn walk(shape: &'static Shape, seen: &mut HashMap<&'static str, ()>) {
            if seen.insert(shape.name, ()).is_some() {
                return;
            }
            if let Some(pattern) = shape.pattern {
                let _ = matches(pattern, "");
                let regular = pattern.strip_prefix("(?!").and_then(|rest| rest.split_once(')')).map_or(pattern, |(_, rest)| rest);
                assert!(COMPILED.read().unwrap()[regular].is_some(), "{}: {pattern}", shape.name);
            }
            match shape.kind {
                Kind::Structure(members) | Kind::Union(members) => members.iter().for_each(|m| walk(m.shape, seen)),
                Kind::List { item, .. } => walk(item, seen),
                Kind::Map { key, value } => [key, value].into_iter().for_each(|s| walk(s, seen)),
                _ => {}
            }
        }
        let mut seen = HashMap::new();
        for operation in inspector2::Api::ALL {
            walk(operation.input(), &mut seen);
            walk(operation.output(), &mut seen);
        }
        assert!(seen.len() > 500);
    }
}
