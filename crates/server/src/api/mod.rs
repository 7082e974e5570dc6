//! The native API, `/api/v1`: what Inspector's has not. JSON; a bearer token.

mod agents;
mod caller;
mod clusters;
mod estate;
mod events;
mod findings;
mod fixes;
mod gate;
mod health;
mod hooks;
mod openapi;
mod route;
mod sboms;
mod schema;
mod stream;
mod suppressions;
mod targets;
mod vex;

use self::agents::Room;
use self::caller::Caller;
pub use self::gate::ApiLimits;
use self::gate::Gate;
pub use self::openapi::openapi;
use self::route::Route;
use self::stream::Streams;
use crate::agents::Agents;
use crate::hub::Hub;
use crate::inspector2::Front;
use crate::{Core, RegistryEar, ServerError};
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use lestrade_extract::Scanner;
use sboms::Intake;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// In how many seconds who was not served may ask again.
const AGAIN: &str = "1";

/// What the native API answers from.
#[derive(Clone)]
pub struct Api {
    hub: Arc<Hub>,
    front: Arc<Front<Core>>,
    intake: Option<Arc<Intake>>,
    agents: Option<Arc<Agents>>,
    room: Arc<Room>,
    gate: Arc<Gate>,
    streams: Arc<Streams>,
    token: Arc<[u8]>,
    /// Who hears what registries say, and the token by which they are known.
    ears: Arc<[RegistryEar]>,
    hook: Option<Arc<[u8]>>,
    /// Whether others than this machine may ask: then measurements want the token too.
    public: bool,
    /// Whether the server is asked to stop.
    stopping: watch::Receiver<bool>,
}

impl Api {
    /// An API for whoever has the token.
    #[must_use]
    pub fn new(hub: Arc<Hub>, front: Arc<Front<Core>>, token: &str) -> Self {
        let (token, ears) = (token.as_bytes().into(), Arc::default());
        let (room, gate, streams) = (Arc::default(), Arc::default(), Arc::default());
        Self {
            hub,
            front,
            intake: None,
            agents: None,
            room,
            gate,
            streams,
            token,
            ears,
            hook: None,
            public: false,
            stopping: watch::channel(false).1,
        }
    }

    /// The same, where others than this machine may ask, if only through a proxy.
    #[must_use]
    pub fn public(self, public: bool) -> Self {
        Self { public, ..self }
    }

    /// The same, taking on so much.
    #[must_use]
    pub fn limited(self, limits: ApiLimits) -> Self {
        Self { gate: Arc::new(Gate::new(limits)), ..self }
    }

    /// The same, of a server that says when it is asked to stop.
    pub(crate) fn stopping(self, stopping: watch::Receiver<bool>) -> Self {
        Self { stopping, ..self }
    }

    /// The same, taking in bills of materials that this scanner reads.
    #[must_use]
    pub fn taking_in(self, scanner: Arc<Scanner>) -> Self {
        Self { intake: Some(Arc::new(Intake::new(scanner))), ..self }
    }

    /// The same, with agents.
    #[must_use]
    pub fn with_agents(self, agents: Arc<Agents>) -> Self {
        Self { agents: Some(agents), ..self }
    }

    /// The same, hearing registries that show a token.
    #[must_use]
    pub fn hearing(self, ears: Vec<RegistryEar>, token: &str) -> Self {
        Self { ears: ears.into(), hook: Some(token.as_bytes().into()), ..self }
    }

    /// Whether whoever shows these headers has a token that is good.
    fn admits(&self, headers: &HeaderMap) -> bool {
        Caller::of(self, headers).is_some()
    }
}

/// What the native API has: the one table that is served, checked and documented.
fn routes() -> Vec<Route> {
    let parts: [fn() -> Vec<Route>; 12] = [
        openapi::routes,
        estate::routes,
        findings::routes,
        fixes::routes,
        suppressions::routes,
        vex::routes,
        sboms::routes,
        clusters::routes,
        agents::routes,
        events::routes,
        stream::routes,
        targets::routes,
    ];
    parts.into_iter().flat_map(|routes| routes()).collect()
}

/// The routes below `/api/v1`, those of agents, and those by which the server itself is watched.
pub(crate) fn router(api: Api) -> Router {
    let native = |State(api): State<Api>, request: Request| gate::pass(api, request);
    Router::new()
        .route("/api/v1", any(native))
        .route("/api/v1/{*path}", any(native))
        .route("/agent/v1/enroll", post(agents::enroll))
        .route("/agent/v1/report", post(agents::report))
        .route("/hooks/registry", post(hooks::registry))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .with_state(api)
}

fn unauthorised() -> Refusal {
    Refusal(StatusCode::UNAUTHORIZED, "a bearer token is needed: of `lestrade keys create`, or the state folder's api-token".into())
}

/// Why nothing is answered.
pub(crate) struct Refusal(pub(crate) StatusCode, pub(crate) String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut answer = (self.0, Json(json!({"error": self.1}))).into_response();
        if self.0 == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.0 == StatusCode::TOO_MANY_REQUESTS || self.0 == StatusCode::SERVICE_UNAVAILABLE {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(AGAIN));
        }
        answer
    }
}

impl From<ServerError> for Refusal {
    fn from(error: ServerError) -> Self {
        if error.is_full() {
            return Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
        }
        tracing::error!(%error, "a request could not be answered");
        Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

pub(crate) type Answer = Result<Json<Value>, Refusal>;

/// The body of a request: of at most so many bytes, within a time. `what` it is, is said where it is not taken.
pub(crate) async fn arrived(request: Request, most: usize, within: Duration, what: &str) -> Result<Bytes, Refusal> {
    let arriving = tokio::time::timeout(within, to_bytes(request.into_body(), most)).await;
    let body = arriving.map_err(|_| Refusal(StatusCode::REQUEST_TIMEOUT, format!("{what} takes too long to arrive")))?;
    body.map_err(|_| Refusal(StatusCode::PAYLOAD_TOO_LARGE, format!("{what} is too large or broke off")))
}

/// Does what may wait for a disk or a network away from the threads that serve requests.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T, Refusal> + Send + 'static) -> Result<T, Refusal> {
    let gone = |_| Refusal(StatusCode::INTERNAL_SERVER_ERROR, "the work was broken off".into());
    tokio::task::spawn_blocking(work).await.map_err(gone)?
}
