//! PagerDuty's Events API v2: one incident for a vulnerability in an account, resolved when its last finding closes.
//!
//! The incident's `dedup_key` is a function of account and vulnerability, so nothing that is repeated opens a second one.

use crate::headline::{Headline, line};
use crate::http::{Http, exchange};
use crate::{DeliveryError, Message, Notes, Secret, Sent, Surroundings, Target, TargetRecord};
use lestrade_model::Hash;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use url::Url;

/// Where events go unless told otherwise.
const EVENTS_API: &str = "https://events.pagerduty.com/v2/enqueue";
/// The longest summary that the API takes.
const MAX_SUMMARY: usize = 1_024;
const OPEN: &str = "open";
const RESOLVED: &str = "resolved";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Where the integration's routing key is kept.
    #[serde(rename = "routing-key")]
    routing_key: String,
    #[serde(default)]
    url: Option<String>,
}

struct PagerDuty {
    name: String,
    url: Url,
    routing_key: Secret,
    http: Http,
    notes: Arc<dyn Notes>,
}

pub(crate) fn open(record: &TargetRecord, surroundings: &Surroundings) -> Result<Box<dyn Target>, DeliveryError> {
    let fault = |reason: String| DeliveryError::unusable(&record.name, reason);
    let options: Options = record.options()?;
    Ok(Box::new(PagerDuty {
        name: record.name.clone(),
        url: surroundings.egress.url(options.url.as_deref().unwrap_or(EVENTS_API)).map_err(fault)?,
        routing_key: record.secret("routing-key", &options.routing_key, surroundings)?,
        http: Http::new(surroundings.egress).map_err(fault)?,
        notes: Arc::clone(&surroundings.notes),
    }))
}

/// The same for everything that is about one vulnerability in one account and region.
fn dedup_key(message: &Message, about: &str) -> String {
    let event = &message.event;
    let hash = Hash::of_fields([event.text("/account").as_bytes(), event.text("/region").as_bytes(), about.as_bytes()]);
    format!("lestrade-{}", hash.to_string().chars().take(32).collect::<String>())
}

impl PagerDuty {
    fn send(&self, message: &Message) -> Sent {
        let event = &message.event;
        // What was merged into this one will not be heard of again.
        for merged in &event.names.merged {
            self.keep(message, &dedup_key(message, merged), true)?;
        }
        self.keep(message, &dedup_key(message, event.subject().unwrap_or(&event.id)), event.open == Some(0))
    }

    /// Opens an incident, or resolves it when it is over.
    fn keep(&self, message: &Message, key: &str, over: bool) -> Sent {
        let known = self.notes.note(key)?;
        let wanted = if over { RESOLVED } else { OPEN };
        // An incident that is open is not opened again by every further finding, and none is opened to be resolved.
        if known.as_deref() == Some(wanted) || (known.is_none() && over) {
            return Ok(());
        }
        exchange(self.http.post(self.url.clone(), self.body(message, key, over).to_string()))?.taken()?;
        self.notes.set_note(key, wanted)
    }

    fn body(&self, message: &Message, key: &str, over: bool) -> Value {
        let mut body = json!({
            "routing_key": self.routing_key.expose(),
            "event_action": if over { "resolve" } else { "trigger" },
            "dedup_key": key,
        });
        if !over {
            let headline = Headline::of(message);
            let severity = match headline.severity.as_str() {
                "CRITICAL" => "critical",
                "HIGH" => "error",
                "MEDIUM" => "warning",
                _ => "info",
            };
            let details: serde_json::Map<String, Value> =
                headline.facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            body["payload"] = json!({
                "summary": line(&headline.title, MAX_SUMMARY),
                "source": message.event.text("/resources/0"),
                "severity": severity,
                "timestamp": message.event.text("/time"),
                "class": message.event.text("/detail-type"),
                "custom_details": details,
            });
        }
        body
    }
}

impl Target for PagerDuty {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&mut self, messages: &[Message]) -> Vec<Sent> {
        messages.iter().map(|message| self.send(message)).collect()
    }
}
