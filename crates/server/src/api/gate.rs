//! What every request of the native API passes before its handler: limits of its head, who asks, how often and how many at once,
//! which route it is of, whether he may, and what its parameters are.

use super::caller::Caller;
use super::route::{Asking, InPath, Route};
use super::{Api, Refusal};
use crate::inspector2::{HEADERS, TARGET};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How much the native API takes on.
#[derive(Clone, Copy, Debug)]
pub struct ApiLimits {
    /// How many requests are worked on at once.
    pub at_once: usize,
    /// How long an answer to a question may take. What takes a document in has the time that its worker has.
    pub patience: Duration,
    /// How long a body may take to arrive.
    pub arrival: Duration,
    /// How long a stream of events is silent at most: a proxy takes one for dead that is silent for longer.
    pub heartbeat: Duration,
}

impl Default for ApiLimits {
    fn default() -> Self {
        Self { at_once: 64, patience: Duration::from_secs(60), arrival: Duration::from_secs(120), heartbeat: Duration::from_secs(15) }
    }
}

/// The routes, and the room for requests of them.
pub(crate) struct Gate {
    routes: Vec<Route>,
    places: Arc<Semaphore>,
    pub(crate) limits: ApiLimits,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(ApiLimits::default())
    }
}

impl Gate {
    pub(crate) fn new(limits: ApiLimits) -> Self {
        Self { routes: super::routes(), places: Arc::new(Semaphore::new(limits.at_once)), limits }
    }

    /// The route of a path below `/api/v1` and a method, with what the path has where it has parameters.
    fn route<'p>(&self, method: &Method, path: &'p str) -> Result<(&Route, InPath<'p>), NoRoute> {
        let met = || self.routes.iter().filter_map(|route| Some((route, route.meets(path)?)));
        // Of paths with and without a parameter in one place, the plainer is meant.
        let plainest = |route: &Route| (route.path.matches('{').count(), usize::MAX - route.path.len());
        let of_path = met().map(|(route, _)| route).min_by_key(|route| plainest(route)).map(|route| route.path).ok_or(NoRoute::Path)?;
        if let Some(found) = met().find(|(route, _)| route.path == of_path && route.method == method) {
            return Ok(found);
        }
        let mut known: Vec<&str> = self.routes.iter().filter(|route| route.path == of_path).map(|route| route.method.as_str()).collect();
        known.sort_unstable();
        Err(NoRoute::Method(known.join(", ")))
    }
}

/// Why a request is of no route.
enum NoRoute {
    /// There is no such path.
    Path,
    /// The path takes other methods: these.
    Method(String),
}

impl IntoResponse for NoRoute {
    fn into_response(self) -> Response {
        let Self::Method(known) = self else {
            return Refusal(StatusCode::NOT_FOUND, "there is no such path: see /api/v1/openapi.json".into()).into_response();
        };
        let mut answer = Refusal(StatusCode::METHOD_NOT_ALLOWED, format!("this path takes {known}")).into_response();
        if let Ok(known) = HeaderValue::from_str(&known) {
            answer.headers_mut().insert(header::ALLOW, known);
        }
        answer
    }
}

/// Why the head of a request is too large, if it is.
fn too_large(request: &Request) -> Option<Refusal> {
    let uri = request.uri();
    if uri.path().len() + uri.query().unwrap_or_default().len() > TARGET {
        return Some(Refusal(StatusCode::URI_TOO_LONG, format!("the path and query are longer than {} KiB", TARGET >> 10)));
    }
    let size: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    (size > HEADERS)
        .then(|| Refusal(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, format!("the headers are larger than {} KiB", HEADERS >> 10)))
}

/// Answers a request below `/api/v1`.
pub(crate) async fn pass(api: Api, request: Request) -> Response {
    let mut answer = admit(api, request).await;
    // What is answered is the caller's alone.
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

async fn admit(api: Api, request: Request) -> Response {
    if let Some(refusal) = too_large(&request) {
        return refusal.into_response();
    }
    let Some(caller) = Caller::of(&api, request.headers()) else { return super::unauthorised().into_response() };
    if !api.front.admits_holder(&caller.key) {
        return Refusal(StatusCode::TOO_MANY_REQUESTS, "this token asks too often".into()).into_response();
    }
    let gate = Arc::clone(&api.gate);
    let Ok(place) = Arc::clone(&gate.places).try_acquire_owned() else {
        return Refusal(StatusCode::SERVICE_UNAVAILABLE, "as many requests as can be are being worked on".into()).into_response();
    };
    let path = request.uri().path().strip_prefix("/api/v1").unwrap_or_default().to_owned();
    let (route, found) = match gate.route(request.method(), &path) {
        Ok(found) => found,
        Err(none) => return none.into_response(),
    };
    if caller.role < route.role {
        return Refusal(StatusCode::FORBIDDEN, format!("this wants the role {}", route.role.as_str())).into_response();
    }
    if route.whole && !caller.whole {
        return Refusal(StatusCode::FORBIDDEN, "this is about the whole server, and the token of one account".into()).into_response();
    }
    let words = match route.words(&found, &request) {
        Ok(words) => words,
        Err(refusal) => return refusal.into_response(),
    };
    let most = route.content.as_ref().map_or(0, |content| content.most);
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most) {
        let why = if most == 0 { "this takes no body".to_owned() } else { format!("the body is larger than {} MiB", most >> 20) };
        return Refusal(StatusCode::PAYLOAD_TOO_LARGE, why).into_response();
    }
    let answering = route.handle(Asking { api: api.clone(), caller, words, request });
    // Whoever goes away or waits too long leaves the work under way: it keeps its place until it is done.
    let working = tokio::spawn(async move {
        let answer = answering.await;
        drop(place);
        answer
    });
    let done = match route.content {
        Some(_) => working.await,
        None => match tokio::time::timeout(gate.limits.patience, working).await {
            Ok(done) => done,
            Err(_) => return Refusal(StatusCode::SERVICE_UNAVAILABLE, "the answer takes too long".into()).into_response(),
        },
    };
    match done {
        Ok(Ok(answer)) => answer,
        Ok(Err(refusal)) => refusal.into_response(),
        Err(error) => {
            tracing::error!(%error, "a handler panicked");
            Refusal(StatusCode::INTERNAL_SERVER_ERROR, "the work was broken off".into()).into_response()
        }
    }
}
