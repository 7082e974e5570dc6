//! One exchange with a receiver: bounded in time and size, no redirect followed, no proxy asked.

use crate::egress::CheckedResolver;
use crate::{DeliveryError, EgressPolicy, Sent};
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::{Method, redirect};
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// The most that is read of an answer.
const MAX_ANSWER: u64 = 1 << 20;
const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(10);

/// Talks to receivers.
#[derive(Clone, Debug)]
pub struct Http(Client);

/// What a receiver answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// When it wants to be asked again.
    pub retry_after: Option<Duration>,
    /// Its body, as far as it may be long.
    pub body: Vec<u8>,
}

impl Http {
    /// A client that connects where the policy lets it.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(policy: EgressPolicy) -> Result<Self, String> {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(WHOLE)
            .connect_timeout(CONNECT)
            .no_proxy()
            .dns_resolver(Arc::new(CheckedResolver(policy)))
            .user_agent(concat!("lestrade/", env!("CARGO_PKG_VERSION")))
            .build();
        client.map(Self).map_err(|_| "no HTTP client can be made".into())
    }

    /// A request in the making.
    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.0.request(method, url)
    }

    /// A GET.
    pub fn get(&self, url: Url) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// A POST of JSON.
    pub fn post(&self, url: Url, body: String) -> RequestBuilder {
        self.request(Method::POST, url).header("content-type", "application/json").body(body)
    }
}

/// Sends, and reads the answer.
///
/// # Errors
/// When there is none: that is always worth another attempt. No error names the URL, which may hold a secret.
pub fn exchange(request: RequestBuilder) -> Result<Answer, DeliveryError> {
    let said = |error: &reqwest::Error| {
        if error.is_connect() {
            DeliveryError::retry("no connection")
        } else if error.is_timeout() {
            DeliveryError::unanswered("no answer in time")
        } else {
            DeliveryError::unanswered("the exchange broke off")
        }
    };
    let answer = request.send().map_err(|error| said(&error))?;
    let header = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let retry_after = header.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    if answer.take(MAX_ANSWER).read_to_end(&mut body).is_err() {
        // Whether it was taken is in the status; what else it says matters to few, and those will find it cut.
        body.clear();
    }
    Ok(Answer { status, retry_after, body })
}

impl Answer {
    /// Whether the receiver has the message, by the answer's status.
    ///
    /// # Errors
    /// When it has not.
    pub fn taken(&self) -> Sent {
        let reason = || format!("the receiver answered {}", self.status);
        match self.status {
            200..=299 => Ok(()),
            300..=399 => {
                Err(DeliveryError::Refused(format!("{}: it wants to be asked elsewhere, and redirects are not followed", reason())))
            }
            408 | 425 | 429 | 500..=599 => Err(DeliveryError::Retry { reason: reason(), after: self.retry_after, uncertain: false }),
            _ => Err(DeliveryError::Refused(reason())),
        }
    }

    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
