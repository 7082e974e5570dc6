//! The native API, `/api/v1`: what Inspector's has not. JSON; a bearer token.

mod agents;
mod clusters;
mod estate;
mod events;
mod findings;
mod health;
mod hooks;
mod sboms;
mod suppressions;
mod targets;
mod vex;

use self::agents::Room;
use crate::agents::Agents;
use crate::hub::Hub;
use crate::inspector2::Front;
use crate::{Core, RegistryEar, ServerError};
use axum::body::{Bytes, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use lestrade_extract::Scanner;
use sboms::Intake;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// What the native API answers from.
#[derive(Clone)]
pub struct Api {
    hub: Arc<Hub>,
    front: Arc<Front<Core>>,
    intake: Option<Arc<Intake>>,
    agents: Option<Arc<Agents>>,
    room: Arc<Room>,
    token: Arc<[u8]>,
    /// Who hears what registries say, and the token by which they are known.
    ears: Arc<[RegistryEar]>,
    hook: Option<Arc<[u8]>>,
    /// Whether others than this machine may ask: then measurements want the token too.
    public: bool,
}

impl Api {
    /// An API for whoever has the token.
    #[must_use]
    pub fn new(hub: Arc<Hub>, front: Arc<Front<Core>>, token: &str) -> Self {
        let (token, ears) = (token.as_bytes().into(), Arc::default());
        Self { hub, front, intake: None, agents: None, room: Arc::default(), token, ears, hook: None, public: false }
    }

    /// The same, where others than this machine may ask, if only through a proxy.
    #[must_use]
    pub fn public(self, public: bool) -> Self {
        Self { public, ..self }
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

    fn admits(&self, headers: &HeaderMap) -> bool {
        let given = headers.get("authorization").map(|value| value.as_bytes());
        let token = given.and_then(|value| value.strip_prefix(b"Bearer ")).unwrap_or_default();
        bool::from(token.ct_eq(&self.token))
    }
}

/// The routes below `/api/v1`, those of agents, and those by which the server itself is watched.
pub(crate) fn router(api: Api) -> Router {
    Router::new()
        .route("/api/v1/status", get(estate::status))
        .route("/api/v1/resources", get(estate::list))
        .route("/api/v1/coverage", get(estate::coverage))
        .route("/api/v1/findings", get(findings::list))
        .route("/api/v1/findings/{*id}", get(findings::one))
        .route("/api/v1/suppressions", get(suppressions::list).post(suppressions::create))
        .route("/api/v1/suppressions/{*name}", delete(suppressions::remove))
        .route("/api/v1/vex", get(vex::list).post(vex::take).delete(vex::remove))
        .route("/api/v1/sboms", post(sboms::push).delete(sboms::remove))
        .route("/api/v1/clusters", get(clusters::list))
        .route("/api/v1/clusters/{name}", post(clusters::told).delete(clusters::remove))
        .route("/api/v1/agents", get(agents::list))
        .route("/api/v1/agents/tokens", post(agents::token))
        .route("/api/v1/agents/{id}", delete(agents::remove))
        .route("/api/v1/events", get(events::list))
        .route("/api/v1/rules", get(events::rules))
        .route("/api/v1/targets", get(targets::list))
        .route("/api/v1/targets/{name}/test", post(targets::test))
        .route("/api/v1/targets/{name}/letters", get(targets::letters))
        .route("/api/v1/targets/{name}/redrive", post(targets::redrive))
        .route("/api/v1/targets/{name}/replay", post(targets::replay))
        .route("/api/v1/targets/{name}/undo", post(targets::undo))
        .route("/api/v1/targets/{name}/proposals", get(targets::proposals))
        .route("/api/v1/targets/{name}/approve", post(targets::approve))
        .layer(from_fn_with_state(api.clone(), authorise))
        .route("/agent/v1/enroll", post(agents::enroll))
        .route("/agent/v1/report", post(agents::report))
        .route("/hooks/registry", post(hooks::registry))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .with_state(api)
}

async fn authorise(State(api): State<Api>, request: Request, next: Next) -> Response {
    if api.admits(request.headers()) { next.run(request).await } else { unauthorised().into_response() }
}

fn unauthorised() -> Refusal {
    Refusal(StatusCode::UNAUTHORIZED, "a bearer token is needed: the one in the state folder's api-token".into())
}

/// Why nothing is answered.
pub(crate) struct Refusal(pub(crate) StatusCode, pub(crate) String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

impl From<ServerError> for Refusal {
    fn from(error: ServerError) -> Self {
        if let ServerError::Store(lestrade_store::StoreError::Full) = error {
            return Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
        }
        tracing::error!(%error, "a request could not be answered");
        Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

/// What the query of a URL asks for. A word in it that is not known is refused: a filter that is not heeded answers too much.
pub(crate) type Asked<T> = Result<Query<T>, QueryRejection>;

pub(crate) fn asked<T>(query: Asked<T>) -> Result<T, Refusal> {
    query.map(|Query(asked)| asked).map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.body_text()))
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
