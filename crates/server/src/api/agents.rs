//! Agents: tokens and a list for whoever has the API's token; enrolment and reports for the agents themselves.

use super::route::{Asking, Kind, Route, TEXT};
use super::schema::{flag, format, instant, list as list_of, object, removed, text};
use super::{Answer, Api, Refusal, arrived, aside};
use crate::agents::{AgentAnswer, AgentError, AgentReport, Agents, Enrolled, Enrolment};
use crate::core::lock;
use crate::inspector2::Role;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use lestrade_events::{Rate, TokenBucket};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// The largest report, and the largest request of somebody who is not known yet.
const REPORT: usize = 32 << 20;
const ENROLMENT: usize = 16 << 10;
/// A report without an inventory is no larger.
const SMALL: u64 = 1 << 20;
/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(60);
/// How many inventories are held at once.
const AT_ONCE: usize = 4;

/// Attempts to be let in, of all strangers together.
const ATTEMPTS: Rate = Rate { per_second: 10.0, burst: 100.0 };

/// Room for inventories, and for strangers.
pub(crate) struct Room {
    inventories: Semaphore,
    strangers: Mutex<TokenBucket>,
}

impl Default for Room {
    fn default() -> Self {
        Self { inventories: Semaphore::new(AT_ONCE), strangers: Mutex::new(TokenBucket::new(ATTEMPTS)) }
    }
}

impl From<AgentError> for Refusal {
    fn from(error: AgentError) -> Self {
        match error {
            AgentError::Denied(why) => Self(StatusCode::UNAUTHORIZED, why.to_owned()),
            AgentError::Refused(why) => Self(StatusCode::BAD_REQUEST, why),
            AgentError::Server(error) => error.into(),
        }
    }
}

fn agents(api: &Api) -> Result<Arc<Agents>, Refusal> {
    api.agents.clone().ok_or_else(|| Refusal(StatusCode::NOT_IMPLEMENTED, "no agents are served here".into()))
}

pub(super) fn routes() -> Vec<Route> {
    let agent = object(&[
        ("id", text()),
        ("name", text()),
        ("resource", text()),
        ("version", text()),
        ("enrolled", instant()),
        ("seen", instant()),
        ("stale", flag()),
    ]);
    vec![
        Route::get("/agents", list)
            .says("Agents, and when each was last heard of.")
            .of_the_server()
            .fails(StatusCode::NOT_IMPLEMENTED)
            .answers(object(&[("schema", format("lestrade.agents/1")), ("agents", list_of(agent))])),
        Route::post("/agents/tokens", Role::Operator, token)
            .says("Makes a token for one enrolment, which is said this once.")
            .of_the_server()
            .fails(StatusCode::NOT_IMPLEMENTED)
            .answers(object(&[("token", text()), ("expires", instant())])),
        Route::delete("/agents/{id}", Role::Operator, remove)
            .says("Puts an agent out.")
            .of_the_server()
            .path("id", Kind::Text(TEXT), "Its id.")
            .fails(StatusCode::NOT_IMPLEMENTED)
            .answers(removed()),
    ]
}

/// Makes a token for one enrolment.
async fn token(Asking { api, .. }: Asking) -> Answer {
    let agents = agents(&api)?;
    let (token, expires) = aside(move || Ok(agents.make_token()?)).await?;
    Ok(Json(json!({"token": token, "expires": expires.to_string()})))
}

async fn list(Asking { api, .. }: Asking) -> Answer {
    Ok(Json(json!({"schema": "lestrade.agents/1", "agents": agents(&api)?.list()})))
}

async fn remove(Asking { api, words, .. }: Asking) -> Answer {
    let id = words.needed("id").to_owned();
    let agents = agents(&api)?;
    let named = id.clone();
    if aside(move || Ok(agents.remove(&named)?)).await? {
        return Ok(Json(json!({"removed": id})));
    }
    Err(Refusal(StatusCode::NOT_FOUND, format!("there is no agent '{}'", id.chars().take(64).collect::<String>())))
}

/// The document that a request brings.
async fn document<T: DeserializeOwned>(request: Request, most: usize) -> Result<T, Refusal> {
    let body = arrived(request, most, ARRIVAL, "the request").await?;
    serde_json::from_slice(&body).map_err(|error| Refusal(StatusCode::BAD_REQUEST, format!("it is not what an agent says: {error}")))
}

pub(super) async fn enroll(State(api): State<Api>, request: Request) -> Result<Json<Enrolled>, Refusal> {
    let agents = agents(&api)?;
    if lock(&api.room.strangers).take(1, api.hub.core().now()).is_err() {
        return Err(Refusal(StatusCode::TOO_MANY_REQUESTS, "too many want to be let in; try again".into()));
    }
    let enrolment: Enrolment = document(request, ENROLMENT).await?;
    Ok(Json(aside(move || Ok(agents.enroll(&enrolment)?)).await?))
}

pub(super) async fn report(State(api): State<Api>, request: Request) -> Result<Json<AgentAnswer>, Refusal> {
    let agents = agents(&api)?;
    // Who it is comes first: strangers' reports are not even read.
    let given = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let id = agents.who(given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default())?;
    let length = request.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let is_small = length.is_some_and(|length| length <= SMALL);
    let busy = || Refusal(StatusCode::TOO_MANY_REQUESTS, "as many inventories as can be are being taken in; try again".into());
    let _place = if is_small { None } else { Some(api.room.inventories.try_acquire().map_err(|_| busy())?) };
    let report: AgentReport = document(request, if is_small { SMALL as usize } else { REPORT }).await?;
    Ok(Json(aside(move || Ok(agents.report(&id, report)?)).await?))
}
