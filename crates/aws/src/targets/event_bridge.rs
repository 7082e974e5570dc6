//! EventBridge: `PutEvents`, with details as Inspector's and a source of our own, since AWS keeps `aws.*` for itself.
//!
//! EventBridge takes no key: the event's id and revision stand in the detail as `lestrade`, for consumers that want to tell repeats.

use super::call::{Caller, Place, entry, pieces, taken};
use lestrade_events::{DeliveryError, Message, Sent, Surroundings, Target, TargetRecord};
use lestrade_model::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

/// Entries of one call, and bytes of all of them: the service's own bounds, and a margin.
const ENTRIES: usize = 10;
const BYTES: usize = 240 << 10;

#[derive(Deserialize)]
struct Options {
    #[serde(flatten)]
    place: Place,
    #[serde(default = "default_bus")]
    bus: String,
    #[serde(default = "own_source")]
    source: String,
}

fn default_bus() -> String {
    "default".into()
}

fn own_source() -> String {
    "lestrade.inspector2".into()
}

struct EventBridge {
    name: String,
    caller: Caller,
    bus: String,
    source: String,
}

pub(super) fn open(record: &TargetRecord, surroundings: &Surroundings) -> Result<Box<dyn Target>, DeliveryError> {
    let options: Options = record.options()?;
    if options.source.starts_with("aws.") {
        return Err(DeliveryError::unusable(&record.name, "source: 'aws.' is AWS's own"));
    }
    let caller = Caller::open(record, surroundings, "events", &options.place)?;
    Ok(Box::new(EventBridge { name: record.name.clone(), caller, bus: options.bus, source: options.source }))
}

impl EventBridge {
    fn entry(&self, message: &Message) -> Value {
        let event = &message.event;
        let mut detail = match message.words.as_deref().map(serde_json::from_str::<Value>) {
            Some(Ok(Value::Object(words))) => Value::Object(words),
            Some(_) => json!({"message": message.words}),
            None => event.body["detail"].clone(),
        };
        detail["lestrade"] = json!({"id": event.id, "revision": event.revision});
        let time = Timestamp::parse(event.text("/time")).map_or(0, |time| time.as_millis().div_euclid(1000));
        json!({
            "Source": self.source,
            "DetailType": event.text("/detail-type"),
            "Detail": detail.to_string(),
            "Resources": event.body["resources"],
            "Time": time,
            "EventBusName": self.bus,
        })
    }
}

impl Target for EventBridge {
    fn name(&self) -> &str {
        &self.name
    }

    fn batch(&self) -> usize {
        ENTRIES
    }

    fn deliver(&mut self, messages: &[Message]) -> Vec<Sent> {
        let entries = messages.iter().map(|message| self.entry(message)).map(|entry| (entry.to_string().len(), entry)).collect();
        let mut sent = Vec::new();
        for piece in pieces(entries, ENTRIES, BYTES) {
            let count = piece.len();
            let answer = self.caller.json("1.1", "AWSEvents.PutEvents", &json!({"Entries": piece}));
            match answer.and_then(|answer| taken(&answer).map(|()| answer.json())) {
                Ok(said) => sent.extend((0..count).map(|index| entry(said["Entries"][index]["ErrorCode"].as_str()))),
                Err(error) => sent.extend(vec![Err(error); count]),
            }
        }
        sent
    }
}
