//! One signed call, and what its answer means for a delivery.

use super::keys::Keys;
use lestrade_events::http::{Answer, Http, exchange};
use lestrade_events::{DeliveryError, Sent, Surroundings, TargetRecord};
use lestrade_model::Clock;
use lestrade_wire::sigv4::sign;
use lestrade_wire::{Client, Endpoint, HttpRequest, HttpResponse, Request, Service, Transport, TransportError};
use reqwest::Method;
use serde::Deserialize;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// What every target on AWS is told.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Place {
    region: String,
    /// Another address than AWS's own.
    #[serde(default)]
    endpoint: Option<String>,
    /// Where the credentials are; without them those of the environment, or what the SDK's chain finds.
    #[serde(default, rename = "access-key")]
    access_key: Option<String>,
    #[serde(default, rename = "secret-key")]
    secret_key: Option<String>,
    /// A role that is taken on with them.
    #[serde(default)]
    role: Option<String>,
}

impl Place {
    /// The same place, as a role.
    pub(super) fn with_role(&self, arn: &str) -> Self {
        Self { role: Some(arn.to_owned()), ..self.clone() }
    }
}

/// Calls one service.
pub(super) struct Caller {
    http: Http,
    service: &'static str,
    endpoint: Endpoint,
    pub(super) region: String,
    keys: Keys,
    clock: Arc<dyn Clock>,
}

/// The connection that every target has, under its egress policy.
struct Connection<'a>(&'a Http);

impl Transport for Connection<'_> {
    async fn send(&self, origin: &str, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let failed = |error: String| TransportError(error);
        let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
        let url = format!("{origin}{}{query}", request.path).parse().map_err(|_| failed("its address is no URL".into()))?;
        let method = request.method.parse().map_err(|_| failed("its method is none".into()))?;
        let mut builder = self.0.request(method, url).body(request.body);
        for (name, value) in request.headers.iter().filter(|(name, _)| name != "host") {
            builder = builder.header(name, value);
        }
        let answer = exchange(builder).map_err(|error| failed(error.to_string()))?;
        Ok(HttpResponse { status: answer.status, headers: Vec::new(), body: answer.body })
    }
}

/// Error codes that pass by themselves, or when credentials are renewed.
const PASSING: [&str; 17] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "LimitExceededException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "InternalFailure",
    "InternalError",
    "InternalException",
    "InternalServiceError",
    "RequestExpired",
    "ExpiredToken",
    "ExpiredTokenException",
    "KMSThrottlingException",
];

impl Caller {
    /// A caller of a service for a target.
    pub(super) fn open(
        record: &TargetRecord,
        surroundings: &Surroundings,
        service: &'static str,
        place: &Place,
    ) -> Result<Self, DeliveryError> {
        let fault = |reason: String| DeliveryError::unusable(&record.name, reason);
        let found = || Keys::find(place.access_key.as_deref(), place.secret_key.as_deref(), surroundings.secrets.as_ref());
        let mut keys = found().map_err(fault)?;
        if let Some(role) = &place.role {
            let sts = Self::new("sts", place, keys, surroundings).map_err(fault)?;
            keys = Keys::role(role, sts).map_err(fault)?;
        }
        Self::new(service, place, keys, surroundings).map_err(fault)
    }

    fn new(service: &'static str, place: &Place, keys: Keys, surroundings: &Surroundings) -> Result<Self, String> {
        let named = place.endpoint.clone().or_else(|| std::env::var("AWS_ENDPOINT_URL").ok().filter(|url| !url.is_empty()));
        let endpoint = match named {
            Some(url) => Endpoint::parse(&url).ok_or_else(|| "endpoint: it is like https://host:port".to_owned())?,
            None => Endpoint::of_aws(service, &place.region),
        };
        let http = Http::new(surroundings.egress)?;
        Ok(Self { http, service, endpoint, region: place.region.clone(), keys, clock: Arc::clone(&surroundings.clock) })
    }

    /// Secrets Manager, with the environment's credentials.
    pub(super) fn of_environment(
        service: &'static str,
        region: &str,
        endpoint: Option<String>,
        surroundings: &Surroundings,
    ) -> Result<Self, String> {
        let place = Place { region: region.to_owned(), endpoint, access_key: None, secret_key: None, role: None };
        Self::new(service, &place, Keys::find(None, None, surroundings.secrets.as_ref())?, surroundings)
    }

    /// Calls an operation of a service that has a model. The connection waits by itself, so the answer is there at once.
    pub(super) fn call<R: Request>(&self, input: &R) -> Result<R::Response, DeliveryError> {
        let value = serde_json::to_value(input).map_err(|error| DeliveryError::Refused(error.to_string()))?;
        let answer = self.ask(R::OPERATION, &value)?;
        serde_json::from_value(answer).map_err(|error| DeliveryError::Refused(format!("{}: {error}", R::OPERATION.name())))
    }

    /// The same, by its data.
    pub(super) fn ask<S: Service>(&self, operation: S, input: &serde_json::Value) -> Result<serde_json::Value, DeliveryError> {
        let client = Client {
            transport: Connection(&self.http),
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            credentials: self.keys.now(self.clock.as_ref())?,
            clock: Arc::clone(&self.clock),
        };
        let asked = pin!(client.ask(operation, input));
        let answer = match asked.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => answer,
            Poll::Pending => return Err(DeliveryError::retry("the connection did not wait")),
        };
        answer.map_err(|error| match &error {
            // What a service says of our input may repeat it; its code does not.
            lestrade_wire::Error::Refused(refusal) => {
                let said = format!("{}: the service answered {} {}", operation.name(), refusal.status, word(&refusal.code));
                let passes = error.is_retryable() || PASSING.contains(&refusal.code.as_str());
                if passes { DeliveryError::retry(said) } else { DeliveryError::Refused(said) }
            }
            lestrade_wire::Error::Transport(_) => DeliveryError::unanswered(format!("{}: no answer", operation.name())),
            lestrade_wire::Error::Malformed(_) => DeliveryError::Refused(format!("{}: not an answer", operation.name())),
        })
    }

    /// A call of a service that speaks JSON and is told the operation by a header.
    pub(super) fn json(&self, version: &str, operation: &str, body: &serde_json::Value) -> Result<Answer, DeliveryError> {
        let headers = [("content-type", format!("application/x-amz-json-{version}")), ("x-amz-target", operation.to_owned())];
        self.send("/", &headers, body.to_string())
    }

    /// A POST.
    pub(super) fn send(&self, path: &str, headers: &[(&str, String)], body: String) -> Result<Answer, DeliveryError> {
        let mut request = HttpRequest {
            method: "POST".into(),
            path: path.into(),
            query: String::new(),
            headers: vec![("host".into(), self.endpoint.authority.clone())],
            body: body.into_bytes(),
        };
        request.headers.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let credentials = self.keys.now(self.clock.as_ref())?;
        sign(&mut request, &credentials, &self.region, self.service, self.clock.now());
        let url = format!("{}://{}{path}", self.endpoint.scheme, self.endpoint.authority);
        let url = url.parse().map_err(|_| DeliveryError::Refused("its address is no URL".into()))?;
        let mut builder = self.http.request(Method::POST, url).body(request.body);
        // The client itself says which host it asks: the one that is signed.
        for (name, value) in request.headers.iter().filter(|(name, _)| name != "host") {
            builder = builder.header(name, value);
        }
        exchange(builder)
    }
}

/// Whether a call was taken. Of what AWS says only the code is repeated.
pub(super) fn taken(answer: &Answer) -> Sent {
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    let code = code(answer);
    let said = format!("the service answered {} {code}", answer.status);
    if answer.status >= 500 || matches!(answer.status, 403 | 408 | 429) || PASSING.contains(&code.as_str()) {
        return Err(DeliveryError::Retry { reason: said, after: answer.retry_after, uncertain: false });
    }
    Err(DeliveryError::Refused(said))
}

/// What one entry of a batch came to, by its error code.
pub(super) fn entry(code: Option<&str>) -> Sent {
    match code {
        None => Ok(()),
        Some(code) => {
            let code = word(code);
            let said = format!("the service answered {code}");
            Err(if PASSING.contains(&code.as_str()) { DeliveryError::retry(said) } else { DeliveryError::Refused(said) })
        }
    }
}

/// The error's code: of JSON, or of the XML that the query protocol answers.
fn code(answer: &Answer) -> String {
    let json = answer.json();
    let named = ["__type", "code", "Code"].iter().find_map(|name| json[*name].as_str().map(str::to_owned));
    let named = named.or_else(|| {
        let text = String::from_utf8_lossy(&answer.body);
        Some(text.split_once("<Code>")?.1.split_once("</Code>")?.0.to_owned())
    });
    // `com.amazonaws.sqs#QueueDoesNotExist`
    word(named.as_deref().and_then(|text| text.rsplit('#').next()).unwrap_or_default())
}

fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_')).take(80).collect()
}

/// Cuts what is to be sent into pieces of at most `count` entries and `bytes` bytes; an entry that is larger stands alone.
pub(super) fn pieces<T>(entries: Vec<(usize, T)>, count: usize, bytes: usize) -> Vec<Vec<T>> {
    let mut pieces: Vec<Vec<T>> = Vec::new();
    let mut size = 0;
    for (length, entry) in entries {
        match pieces.last_mut().filter(|piece| piece.len() < count && size + length <= bytes) {
            Some(piece) => piece.push(entry),
            None => {
                pieces.push(vec![entry]);
                size = 0;
            }
        }
        size += length;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> Sent {
        taken(&Answer { status, retry_after: None, body: body.as_bytes().to_vec() })
    }

    #[test]
    fn errors_that_pass_are_told_from_those_that_do_not() {
        for (status, body, passes) in [
            (400, r#"{"__type": "com.amazonaws.events#ThrottlingException"}"#, true),
            (400, r#"{"__type": "ValidationException", "message": "secret"}"#, false),
            (400, "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>", true),
            (404, "<ErrorResponse><Error><Code>NotFound</Code></Error></ErrorResponse>", false),
            (403, r#"{"__type": "AccessDeniedException"}"#, true),
            (500, "", true),
            (413, "", false),
        ] {
            let error = answered(status, body).unwrap_err();
            assert_eq!(matches!(error, DeliveryError::Retry { .. }), passes, "{error}");
            assert!(!error.to_string().contains("secret"));
        }
        assert_eq!(answered(202, ""), Ok(()));
    }

    #[test]
    fn batches_are_cut_by_count_and_by_size() {
        let sizes = |entries: &[usize]| pieces(entries.iter().map(|size| (*size, *size)).collect(), 3, 100);
        assert_eq!(sizes(&[10, 10, 10, 10]), [vec![10, 10, 10], vec![10]]);
        assert_eq!(sizes(&[60, 50, 50, 500, 10]), [vec![60], vec![50, 50], vec![500], vec![10]]);
    }
}
