//! A room where people talk, reached by a URL that is itself the secret: all that Slack and Teams have in common. Neither takes a
//! key: a message whose attempt a crash cut off is sent once more, marked as repeated.

use crate::http::{Http, exchange};
use crate::{DeliveryError, Message, Sent, Surroundings, Target, TargetRecord};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Where the URL is kept.
    url: String,
}

struct Chat {
    name: String,
    url: Url,
    http: Http,
    /// What is posted of a message.
    body: fn(&Message) -> Value,
}

/// A room whose messages `body` makes.
pub(super) fn open(
    record: &TargetRecord,
    surroundings: &Surroundings,
    body: fn(&Message) -> Value,
) -> Result<Box<dyn Target>, DeliveryError> {
    let fault = |reason: String| DeliveryError::unusable(&record.name, reason);
    let options: Options = record.options()?;
    let url = record.secret("url", &options.url, surroundings)?;
    let url = surroundings.egress.url(url.expose()).map_err(fault)?;
    Ok(Box::new(Chat { name: record.name.clone(), url, http: Http::new(surroundings.egress).map_err(fault)?, body }))
}

impl Target for Chat {
    fn name(&self) -> &str {
        &self.name
    }

    fn takes_key(&self) -> bool {
        false
    }

    fn deliver(&mut self, messages: &[Message]) -> Vec<Sent> {
        let post = |message: &Message| exchange(self.http.post(self.url.clone(), (self.body)(message).to_string()))?.taken();
        messages.iter().map(post).collect()
    }
}
