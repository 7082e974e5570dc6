//! Input transformers: an event becomes what a target wants to read, as EventBridge does it.
//!
//! Paths (`$.detail.severity`, `$.resources[0]`, `$['detail-type']`) give names to parts of the event; the template holds `<name>`
//! where they go. An event is ingested when it happens: its `time` stands for the time of its ingestion. A template that is JSON takes values as JSON where they stand alone (`{"severity": <severity>}`) and as text within
//! a string (`"severity is <severity>"`). A name that no path gives stands for nothing.

use serde_json::Value;
use std::collections::BTreeMap;

/// EventBridge's own bounds.
const MAX_PATHS: usize = 100;
const MAX_TEMPLATE: usize = 8_192;

/// A transformer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transformer {
    paths: BTreeMap<String, Vec<Step>>,
    template: Vec<Part>,
}

/// A path to a part of an event, as `InputPath` has it: `$.detail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPath {
    text: String,
    steps: Vec<Step>,
}

impl EventPath {
    /// Parses a path.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, TransformError> {
        Ok(Self { text: text.to_owned(), steps: steps(text)? })
    }

    /// The part of an event that it leads to, if there is one.
    #[must_use]
    pub fn of<'e>(&self, event: &'e Value) -> Option<&'e Value> {
        walk(event, &self.steps)
    }
}

impl std::fmt::Display for EventPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why there is no such transformer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TransformError(String);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A name, and whether it stands within a string of JSON.
    Name(String, bool),
}

/// Names that mean parts of the event without a path.
const WHOLE_EVENT: &str = "aws.events.event";
const EVENT_JSON: &str = "aws.events.event.json";
const RULE_NAME: &str = "aws.events.rule-name";
const RULE_ARN: &str = "aws.events.rule-arn";
const INGESTION_TIME: &str = "aws.events.event.ingestion-time";
const RESERVED: [&str; 5] = [WHOLE_EVENT, EVENT_JSON, RULE_NAME, RULE_ARN, INGESTION_TIME];

impl Transformer {
    /// A transformer of these paths and this template.
    ///
    /// # Errors
    /// When a path is none, a name is not given by any path, or either is beyond EventBridge's bounds.
    pub fn new<'a>(paths: impl IntoIterator<Item = (&'a str, &'a str)>, template: &str) -> Result<Self, TransformError> {
        let refuse = |reason: String| Err(TransformError(reason));
        let mut known = BTreeMap::new();
        for (name, path) in paths {
            if name.is_empty()
                || name.to_ascii_lowercase().starts_with("aws")
                || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
            {
                return refuse(format!("'{name}' is no name: letters, digits, '_' and '-', and not beginning with AWS"));
            }
            known.insert(name.to_owned(), steps(path)?);
        }
        if known.len() > MAX_PATHS {
            return refuse(format!("more than {MAX_PATHS} paths"));
        }
        if template.is_empty() || template.len() > MAX_TEMPLATE {
            return refuse(format!("a template has 1 to {MAX_TEMPLATE} characters"));
        }
        let template = parts(template);
        for part in &template {
            if let Part::Name(name, _) = part
                && !known.contains_key(name)
                && !RESERVED.contains(&name.as_str())
            {
                return refuse(format!("the template names '{name}', which no path gives"));
            }
        }
        Ok(Self { paths: known, template })
    }

    /// What a target gets for an event that a rule is about.
    #[must_use]
    pub fn apply(&self, event: &Value, rule: &str) -> String {
        // A rule here has no ARN of AWS's; it has one of the same shape, in the event's own account.
        let part = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
        let arn = Value::String(format!("arn:aws:events:{}:{}:rule/{rule}", part("region"), part("account")));
        let rule = Value::String(rule.to_owned());
        let mut out = String::new();
        for part in &self.template {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Name(name, in_string) => {
                    let value = match name.as_str() {
                        WHOLE_EVENT | EVENT_JSON => Some(event),
                        RULE_ARN => Some(&arn),
                        RULE_NAME => Some(&rule),
                        INGESTION_TIME => event.get("time"),
                        name => self.paths.get(name).and_then(|steps| walk(event, steps)),
                    };
                    match value {
                        None => {}
                        Some(value) if !in_string => out.push_str(&value.to_string()),
                        Some(value) => {
                            // What is no text lies in a string as its JSON does, with its quotes escaped.
                            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                            let quoted = Value::String(text).to_string();
                            out.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
                        }
                    }
                }
            }
        }
        out
    }
}

fn walk<'a>(event: &'a Value, steps: &[Step]) -> Option<&'a Value> {
    steps.iter().try_fold(event, |value, step| match step {
        Step::Member(name) => value.get(name),
        Step::Element(number) => value.get(number),
    })
}

/// A path of EventBridge's: members by dots or brackets, elements by their number.
fn steps(path: &str) -> Result<Vec<Step>, TransformError> {
    let refuse =
        || TransformError(format!("'{}' is no path: it is like $.detail.resources[0].id", path.chars().take(100).collect::<String>()));
    let mut rest = path.strip_prefix('$').ok_or_else(refuse)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, others) = after.split_at(end);
            if name.is_empty() || name.contains(['*', '?', '(', ']']) {
                return Err(refuse());
            }
            steps.push(Step::Member(name.to_owned()));
            rest = others;
        } else if let Some(after) = rest.strip_prefix('[') {
            let (inside, others) = after.split_once(']').ok_or_else(refuse)?;
            let quoted = ['\'', '"'].into_iter().find_map(|quote| inside.strip_prefix(quote)?.strip_suffix(quote));
            steps.push(match quoted {
                Some(name) => Step::Member(name.to_owned()),
                None => Step::Element(inside.parse().map_err(|_| refuse())?),
            });
            rest = others;
        } else {
            return Err(refuse());
        }
    }
    Ok(steps)
}

/// Text and names, with whether each name stands within a string.
fn parts(template: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let (mut in_string, mut escaped) = (false, false);
    let mut rest = template;
    while let Some(c) = rest.chars().next() {
        let name = rest.strip_prefix('<').and_then(|after| after.split_once('>'));
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        if let Some((name, after)) = name.filter(|(name, _)| is_name(name) && !escaped) {
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(Part::Name(name.to_owned(), in_string));
            rest = after;
            continue;
        }
        match c {
            '"' if !escaped => in_string = !in_string,
            // `\<` is the character itself.
            '<' | '>' if escaped => drop(text.pop()),
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        text.push(c);
        rest = &rest[c.len_utf8()..];
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> Value {
        json!({"detail-type": "Inspector2 Finding", "time": "2026-11-23T12:00:00Z", "detail": {"severity": "HIGH", "score": 7.5, "title": "a \"quoted\" title",
            "resources": [{"id": "i-1"}, {"id": "i-2"}]}})
    }

    fn apply(paths: &[(&str, &str)], template: &str) -> String {
        Transformer::new(paths.iter().copied(), template).unwrap().apply(&event(), "my-rule")
    }

    #[test]
    fn values_go_where_their_names_stand() {
        assert_eq!(
            apply(&[("severity", "$.detail.severity"), ("id", "$.detail.resources[1].id")], "\"<severity> on <id>\""),
            "\"HIGH on i-2\""
        );
        assert_eq!(
            apply(&[("s", "$.detail.severity"), ("n", "$.detail.score")], "{\"s\": <s>, \"n\": <n>}"),
            "{\"s\": \"HIGH\", \"n\": 7.5}"
        );
        assert_eq!(apply(&[("t", "$.detail.title")], "{\"t\": \"<t>\"}"), "{\"t\": \"a \\\"quoted\\\" title\"}");
        assert_eq!(
            apply(&[("d", "$['detail-type']"), ("r", "$.detail.resources")], "\"<d>: <r>\""),
            "\"Inspector2 Finding: [{\\\"id\\\":\\\"i-1\\\"},{\\\"id\\\":\\\"i-2\\\"}]\""
        );
        assert_eq!(apply(&[("gone", "$.nothing.here")], "\"[<gone>]\""), "\"[]\"", "what is not there is nothing");
        assert_eq!(apply(&[], "<aws.events.rule-name> at <aws.events.event.ingestion-time>"), "\"my-rule\" at \"2026-11-23T12:00:00Z\"");
        assert_eq!(apply(&[], "<aws.events.rule-arn>"), "\"arn:aws:events:::rule/my-rule\"");
        assert_eq!(apply(&[], "a \\<b\\> c"), "a <b> c");
    }

    #[test]
    fn what_is_no_transformer_is_refused() {
        for (paths, template) in [
            (&[("a", "detail")][..], "<a>"),
            (&[("a", "$.x[")], "<a>"),
            (&[("a", "$.x[*]")], "<a>"),
            (&[("aws.x", "$.x")], "<aws.x>"),
            (&[], "<unknown>"),
            (&[], ""),
        ] {
            assert!(Transformer::new(paths.iter().copied(), template).is_err(), "{paths:?} {template}");
        }
    }
}
