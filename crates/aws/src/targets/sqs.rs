//! SQS: `SendMessageBatch`. A FIFO queue is given the event's id to tell repeats; every queue has it as an attribute.

use super::call::{Caller, Place, entry, pieces, taken};
use lestrade_events::{DeliveryError, Message, Sent, Surroundings, Target, TargetRecord};
use serde::Deserialize;
use serde_json::{Value, json};

const ENTRIES: usize = 10;
const BYTES: usize = 240 << 10;

#[derive(Deserialize)]
struct Options {
    #[serde(flatten)]
    place: Place,
    #[serde(rename = "queue-url")]
    queue_url: String,
}

struct Sqs {
    name: String,
    caller: Caller,
    queue_url: String,
}

pub(super) fn open(record: &TargetRecord, surroundings: &Surroundings) -> Result<Box<dyn Target>, DeliveryError> {
    let options: Options = record.options()?;
    let caller = Caller::open(record, surroundings, "sqs", &options.place)?;
    Ok(Box::new(Sqs { name: record.name.clone(), caller, queue_url: options.queue_url }))
}

impl Target for Sqs {
    fn name(&self) -> &str {
        &self.name
    }

    fn batch(&self) -> usize {
        ENTRIES
    }

    fn deliver(&mut self, messages: &[Message]) -> Vec<Sent> {
        let fifo = self.queue_url.ends_with(".fifo");
        let entry_of = |(index, message): (usize, &Message)| {
            let attribute = json!({"DataType": "String", "StringValue": message.event.id});
            let mut entry =
                json!({"Id": index.to_string(), "MessageBody": message.payload(), "MessageAttributes": {"lestrade-id": attribute}});
            if fifo {
                entry["MessageDeduplicationId"] = json!(message.event.id);
                entry["MessageGroupId"] = json!(message.event.text("/account"));
            }
            (entry.to_string().len(), entry)
        };
        let entries = messages.iter().enumerate().map(entry_of).collect();
        let mut sent = Vec::new();
        for piece in pieces(entries, ENTRIES, BYTES) {
            let ids: Vec<String> = piece.iter().filter_map(|entry| Some(entry["Id"].as_str()?.to_owned())).collect();
            let body = json!({"QueueUrl": self.queue_url, "Entries": piece});
            let answer = self.caller.json("1.0", "AmazonSQS.SendMessageBatch", &body);
            match answer.and_then(|answer| taken(&answer).map(|()| answer.json())) {
                Ok(said) => sent.extend(ids.iter().map(|id| of_entry(&said, id))),
                Err(error) => sent.extend(vec![Err(error); ids.len()]),
            }
        }
        sent
    }
}

fn of_entry(said: &Value, id: &str) -> Sent {
    let named = |list: &str| said[list].as_array().into_iter().flatten().find(|entry| entry["Id"] == id).cloned();
    match (named("Successful"), named("Failed")) {
        (Some(_), _) => Ok(()),
        (None, Some(failed)) => entry(Some(failed["Code"].as_str().unwrap_or("unknown"))),
        (None, None) => Err(DeliveryError::retry("the answer does not name it")),
    }
}
