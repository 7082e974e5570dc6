//! Whether the server is ready, and its measurements.

use super::{Api, Refusal, aside, unauthorised};
use crate::meters;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

/// Ready when the store answers and there is intelligence to judge by: without it, "no findings" would mean nothing.
pub(super) async fn ready(State(api): State<Api>) -> (StatusCode, Json<Value>) {
    let public = api.public;
    let looked = aside(move || {
        let core = api.hub.core();
        let behind = api.hub.targets().map(|targets| targets.iter().map(|target| target.behind).sum::<u64>());
        let generation = core.index().map(|index| {
            let manifest = index.manifest();
            let age = core.now().as_millis().saturating_sub(manifest.built_at.as_millis()).max(0) / 1000;
            (manifest.generation, age)
        });
        Ok((behind.ok(), generation, core.stalled().is_none()))
    })
    .await;
    let (behind, generation, writable) = looked.unwrap_or((None, None, false));
    let is_ready = behind.is_some() && generation.is_some();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if public {
        return (status, Json(json!({"ready": is_ready})));
    }
    let body = json!({
        "ready": is_ready,
        "store": behind.is_some(),
        "writable": writable,
        "intelligence": generation.map(|(generation, _)| generation),
        "intelligenceAgeSeconds": generation.map(|(_, age)| age),
        "behind": behind,
    });
    (status, Json(body))
}

/// What is measured, in Prometheus's text format. Where only this machine can ask, it may.
pub(super) async fn metrics(State(api): State<Api>, headers: HeaderMap) -> Result<([(&'static str, &'static str); 1], String), Refusal> {
    if api.public && !api.admits(&headers) {
        return Err(unauthorised());
    }
    let page = aside(move || Ok(meters::page(&api.hub)?)).await?;
    Ok(([("content-type", "text/plain; version=0.0.4; charset=utf-8")], page))
}
