//! VEX documents: what suppliers say, as suppressions that name them.

use super::{Answer, Api, Asked, Refusal, aside, asked};
use crate::inspector2::{VEX_LARGEST, VexDocument};
use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// How long a document may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    name: String,
}

pub(super) async fn list(State(api): State<Api>) -> Answer {
    let documents: Vec<VexDocument> = aside(move || Ok(api.front.vex(api.hub.home())?)).await?;
    Ok(Json(json!({"schema": "lestrade.vex/1", "documents": documents})))
}

pub(super) async fn take(State(api): State<Api>, named: Asked<Named>, request: Request) -> Answer {
    let Named { name } = asked(named)?;
    let arriving = tokio::time::timeout(ARRIVAL, to_bytes(request.into_body(), VEX_LARGEST)).await;
    let body = arriving.map_err(|_| Refusal(StatusCode::REQUEST_TIMEOUT, "the document takes too long to arrive".into()))?;
    let body = body.map_err(|_| Refusal(StatusCode::PAYLOAD_TOO_LARGE, "it is larger than 16 MiB, or broke off".into()))?;
    let taken = aside(move || Ok(api.front.take_vex(api.hub.home(), &name, &body)?)).await?;
    Ok(Json(json!(taken)))
}

pub(super) async fn remove(State(api): State<Api>, named: Asked<Named>) -> Answer {
    let Named { name } = asked(named)?;
    let removed = name.clone();
    aside(move || Ok(api.front.remove_vex(api.hub.home(), &name)?)).await?;
    Ok(Json(json!({"removed": removed})))
}
