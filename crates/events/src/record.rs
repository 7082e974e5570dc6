//! A target as the rules' files declare it.

use crate::digest::DigestPolicy;
use crate::schedule::{Rate, RetryPolicy, parse_duration};
use crate::{DeliveryError, Secret, Surroundings};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A declared target.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetRecord {
    /// Its name: what rules call it, and the key of its cursor.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Whether it is served.
    pub enabled: bool,
    /// How much it may be sent.
    pub rate: Option<Rate>,
    /// How long it is tried.
    pub retry: RetryPolicy,
    /// How many messages of one vulnerability it may be sent in a while.
    pub digest: Option<DigestPolicy>,
    /// Whether it is told of every change, also of those that were overtaken before they could be sent.
    pub every_revision: bool,
    /// What only its kind knows.
    pub options: Map<String, Value>,
}

#[derive(Deserialize)]
pub(crate) struct Declared {
    name: String,
    kind: String,
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(default)]
    rate: Option<String>,
    #[serde(default, rename = "max-age")]
    max_age: Option<String>,
    #[serde(default)]
    digest: Option<Digest>,
    #[serde(default, rename = "every-revision")]
    every_revision: Option<bool>,
    #[serde(flatten)]
    options: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Digest {
    limit: u32,
    window: String,
}

const fn yes() -> bool {
    true
}

/// What a name may be: it stands in URLs, in logs and on command lines.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

impl Declared {
    /// Checks what every kind has in common.
    pub(crate) fn checked(self) -> Result<TargetRecord, String> {
        if !is_name(&self.name) {
            return Err("a name is 1 to 64 letters, digits, '.', '_' and '-'".into());
        }
        let rate = match &self.rate {
            Some(text) => Some(Rate::parse(text).ok_or_else(|| "a rate is like 10/s, 30/min or 500/h".to_owned())?),
            None => standard_rate(&self.kind),
        };
        let duration = |text: &str| parse_duration(text).ok_or_else(|| "a time is like 90s, 15m, 24h or 7d".to_owned());
        let max_age = self.max_age.as_deref().map(duration).transpose()?;
        let retry = max_age.map_or_else(RetryPolicy::default, |max_age| RetryPolicy { max_age, ..RetryPolicy::default() });
        let digest = match &self.digest {
            Some(digest) => Some(DigestPolicy { limit: digest.limit, window: duration(&digest.window)? }),
            None => standard_digest(&self.kind),
        };
        let every_revision = self.every_revision.unwrap_or(self.kind == "json-lines");
        let Self { name, kind, enabled, options, .. } = self;
        Ok(TargetRecord { name, kind, enabled, rate, retry, digest, every_revision, options })
    }
}

/// What people read is sent slowly unless they ask for more; Slack itself takes one message a second.
fn standard_rate(kind: &str) -> Option<Rate> {
    match kind {
        "slack" | "teams" | "email" => Rate::parse("1/s"),
        "isolate-ec2" => Rate::parse("6/h"),
        _ => None,
    }
}

/// What people read is cut short unless they ask for more.
fn standard_digest(kind: &str) -> Option<DigestPolicy> {
    matches!(kind, "slack" | "teams" | "email").then(|| DigestPolicy { limit: 20, window: std::time::Duration::from_hours(1) })
}

impl TargetRecord {
    /// A target with nothing but a name and a kind: what a setting names without a file.
    #[must_use]
    pub fn simple(name: &str, kind: &str, options: Map<String, Value>) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            enabled: true,
            rate: None,
            retry: RetryPolicy::default(),
            digest: None,
            every_revision: kind == "json-lines",
            options,
        }
    }

    /// What only its kind knows, as the kind reads it.
    ///
    /// # Errors
    /// When an option is missing, unknown or of the wrong type.
    pub fn options<T: DeserializeOwned>(&self) -> Result<T, DeliveryError> {
        serde_json::from_value(Value::Object(self.options.clone())).map_err(|error| DeliveryError::unusable(&self.name, error.to_string()))
    }

    /// A secret that an option names.
    ///
    /// # Errors
    /// When there is none behind the reference.
    pub fn secret(&self, option: &str, reference: &str, surroundings: &Surroundings) -> Result<Secret, DeliveryError> {
        let failed = |reason: String| {
            let reason = format!("{option}: {reason}");
            // What is no reference will be none later either.
            let may_come = ["env:", "file:", "aws:"].iter().any(|place| reference.starts_with(place));
            if may_come { DeliveryError::no_secret(&self.name, reason) } else { DeliveryError::unusable(&self.name, reason) }
        };
        surroundings.secrets.resolve(reference).map_err(failed)
    }
}
