//! What runs where: a cluster names the images of its containers, all of them each time.

use super::{Answer, Api, Refusal, arrived, aside};
use crate::in_use::images_in;
use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use serde_json::json;
use std::time::Duration;

/// The largest list of pods, how long it may take to arrive, and the longest name of a cluster.
const LARGEST: usize = 128 << 20;
const ARRIVAL: Duration = Duration::from_secs(120);
const LONGEST: usize = 200;

pub(super) async fn list(State(api): State<Api>) -> Answer {
    let clusters = aside(move || Ok(api.hub.core().clusters(api.hub.home())?)).await?;
    let rows: Vec<_> = clusters
        .iter()
        .map(|(name, said)| json!({"name": name, "containers": said.containers, "images": said.images, "told": said.told.to_string()}))
        .collect();
    Ok(Json(json!({"schema": "lestrade.clusters/1", "clusters": rows})))
}

pub(super) async fn told(State(api): State<Api>, Path(name): Path<String>, request: Request) -> Answer {
    if name.trim().is_empty() || name.len() > LONGEST || name.chars().any(char::is_control) {
        let why = format!("a name has 1 to {LONGEST} characters, none of them a control character");
        return Err(Refusal(StatusCode::BAD_REQUEST, why));
    }
    let body = arrived(request, LARGEST, ARRIVAL, "the list").await?;
    let answer = aside(move || {
        let counts = images_in(&body).map_err(|why| Refusal(StatusCode::BAD_REQUEST, why))?;
        api.hub.core().note_in_use(api.hub.home(), &name, &counts)?;
        api.ears.iter().for_each(crate::RegistryEar::wake);
        Ok(json!({"cluster": name, "images": counts.len(), "containers": counts.values().map(|count| u64::from(*count)).sum::<u64>()}))
    });
    Ok(Json(answer.await?))
}

pub(super) async fn remove(State(api): State<Api>, Path(name): Path<String>) -> Answer {
    let removed = name.clone();
    let known = aside(move || Ok(api.hub.core().forget_cluster(api.hub.home(), &name)?)).await?;
    if !known {
        let shown: String = removed.chars().take(64).collect();
        return Err(Refusal(StatusCode::NOT_FOUND, format!("there is no cluster '{shown}'")));
    }
    Ok(Json(json!({"removed": removed})))
}
