//! Events by HTTP POST, signed as the Standard Webhooks specification (1.0) says, so that its libraries verify them.
//!
//! `webhook-id` is the event's id and the same at every attempt, so a receiver that keeps ids sees each change once;
//! `webhook-signature` is `v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body`.

use crate::http::{Http, exchange};
use crate::{DeliveryError, Message, Secret, Sent, Surroundings, Target, TargetRecord};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use lestrade_model::Clock;
use serde::Deserialize;
use sha2::Sha256;
use std::sync::Arc;
use url::Url;

/// The shortest key that is taken: the specification's 24 bytes.
const MIN_KEY: usize = 24;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    /// A URL, or where it is kept when it holds a token.
    url: String,
    /// Where the key is kept: `whsec_` and base64, or bytes as they are.
    #[serde(default, rename = "signing-key")]
    signing_key: Option<String>,
}

/// Posts each event to a URL.
struct Webhook {
    name: String,
    url: Url,
    http: Http,
    key: Option<SigningKey>,
    clock: Arc<dyn Clock>,
}

pub(crate) fn open(record: &TargetRecord, surroundings: &Surroundings) -> Result<Box<dyn Target>, DeliveryError> {
    let fault = |reason: String| DeliveryError::unusable(&record.name, reason);
    let options: Options = record.options()?;
    let url = match options.url.split_once(':') {
        Some(("http" | "https", _)) => Secret::new(options.url),
        _ => record.secret("url", &options.url, surroundings)?,
    };
    let key = match &options.signing_key {
        Some(reference) => Some(SigningKey::new(&record.secret("signing-key", reference, surroundings)?).map_err(fault)?),
        None => None,
    };
    Ok(Box::new(Webhook {
        name: record.name.clone(),
        url: surroundings.egress.url(url.expose()).map_err(fault)?,
        http: Http::new(surroundings.egress).map_err(fault)?,
        key,
        clock: Arc::clone(&surroundings.clock),
    }))
}

struct SigningKey(Vec<u8>);

impl SigningKey {
    fn new(secret: &Secret) -> Result<Self, String> {
        let bytes = match secret.expose().strip_prefix("whsec_") {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| "signing-key: what follows whsec_ is no base64".to_owned())?,
            None => secret.expose().as_bytes().to_vec(),
        };
        if bytes.len() < MIN_KEY { Err(format!("signing-key: shorter than {MIN_KEY} bytes")) } else { Ok(Self(bytes)) }
    }

    fn sign(&self, id: &str, seconds: i64, body: &str) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(format!("{id}.{seconds}.{body}").as_bytes());
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

impl Webhook {
    fn post(&self, message: &Message) -> Sent {
        let body = message.payload();
        let seconds = self.clock.now().as_millis().div_euclid(1000);
        let id = &message.event.id;
        let mut request = self
            .http
            .post(self.url.clone(), String::new())
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds.to_string())
            .header("idempotency-key", id)
            .header("x-lestrade-revision", message.event.revision.to_string());
        if let Some(signature) = self.key.as_ref().and_then(|key| key.sign(id, seconds, &body)) {
            request = request.header("webhook-signature", signature);
        }
        exchange(request.body(body))?.taken()
    }
}

impl Target for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&mut self, messages: &[Message]) -> Vec<Sent> {
        messages.iter().map(|message| self.post(message)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification.
    #[test]
    fn signatures_are_those_of_the_specification() {
        let key = SigningKey::new(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signature.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
        for wrong in ["whsec_short", "whsec_!!!", "too short"] {
            assert!(SigningKey::new(&Secret::new(wrong)).is_err(), "{wrong}");
        }
    }
}
