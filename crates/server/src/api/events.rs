//! What was told, and by which rules.

use super::{Answer, Api, aside};
use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
pub(super) struct Page {
    /// A place in the outbox; without one the last events are answered.
    after: Option<u64>,
    #[serde(default = "hundred")]
    limit: usize,
}

const fn hundred() -> usize {
    100
}

pub(super) async fn list(State(api): State<Api>, Query(page): Query<Page>) -> Answer {
    let (events, next) = aside(move || Ok(api.hub.events(page.after, page.limit)?)).await?;
    Ok(Json(json!({"events": events, "next": next})))
}

pub(super) async fn rules(State(api): State<Api>) -> Answer {
    let (rules, problem) = api.hub.rules();
    let rules: Vec<_> = rules
        .all()
        .map(|rule| json!({"name": rule.name, "description": rule.description, "enabled": rule.enabled, "targets": rule.targets}))
        .collect();
    Ok(Json(json!({"rules": rules, "problem": problem})))
}
