//! Lambda: `Invoke`, without waiting for what the function answers. The event's id is in what it gets.

use super::call::{Caller, Place, taken};
use lestrade_events::{DeliveryError, Message, Sent, Surroundings, Target, TargetRecord};
use serde::Deserialize;

#[derive(Deserialize)]
struct Options {
    #[serde(flatten)]
    place: Place,
    /// Its name; with `:` and an alias or version if one is wanted.
    function: String,
}

struct Lambda {
    name: String,
    caller: Caller,
    path: String,
}

pub(super) fn open(record: &TargetRecord, surroundings: &Surroundings) -> Result<Box<dyn Target>, DeliveryError> {
    let options: Options = record.options()?;
    let function = &options.function;
    if function.is_empty() || function.len() > 140 || !function.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_:$".contains(&b)) {
        let reason = "function: a name is letters, digits, '-', '_', and ':' before an alias";
        return Err(DeliveryError::unusable(&record.name, reason));
    }
    let path = format!("/2015-03-31/functions/{}/invocations", function.replace(':', "%3A").replace('$', "%24"));
    Ok(Box::new(Lambda { name: record.name.clone(), caller: Caller::open(record, surroundings, "lambda", &options.place)?, path }))
}

impl Lambda {
    fn invoke(&self, message: &Message) -> Sent {
        let headers = [("content-type", "application/json".to_owned()), ("x-amz-invocation-type", "Event".to_owned())];
        // A function is given JSON: words that are none are given as a text of JSON.
        let payload = match &message.words {
            Some(words) if serde_json::from_str::<serde_json::Value>(words).is_err() => serde_json::Value::from(words.as_str()).to_string(),
            _ => message.payload(),
        };
        taken(&self.caller.send(&self.path, &headers, payload)?)
    }
}

impl Target for Lambda {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&mut self, messages: &[Message]) -> Vec<Sent> {
        messages.iter().map(|message| self.invoke(message)).collect()
    }
}
