//! VEX documents: what suppliers say, as suppressions that name them.

use super::{Answer, Api, Asked, arrived, aside, asked};
use crate::inspector2::{VEX_LARGEST, VexDocument};
use axum::Json;
use axum::extract::{Request, State};
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
    let body = arrived(request, VEX_LARGEST, ARRIVAL, "the document").await?;
    let taken = aside(move || Ok(api.front.take_vex(api.hub.home(), &name, &body)?)).await?;
    Ok(Json(json!(taken)))
}

pub(super) async fn remove(State(api): State<Api>, named: Asked<Named>) -> Answer {
    let Named { name } = asked(named)?;
    let removed = name.clone();
    aside(move || Ok(api.front.remove_vex(api.hub.home(), &name)?)).await?;
    Ok(Json(json!({"removed": removed})))
}
