//! What was told, and by which rules.

use super::route::{Asking, Kind, Route};
use super::schema::{count, flag, list as list_of, named, object, or_null, text};
use super::{Answer, aside};
use axum::Json;
use serde_json::json;

/// How many events are on a page when nobody says, and at most.
const PAGE: usize = 100;
const MOST: u64 = 500;
/// The last place that an outbox can have.
pub(super) const LAST_PLACE: u64 = i64::MAX as u64;

pub(super) fn routes() -> Vec<Route> {
    let rule = object(&[("name", text()), ("description", text()), ("enabled", flag()), ("targets", list_of(text()))]);
    vec![
        Route::get("/events", list)
            .says("Events as they were told, and the place in the outbox behind them.")
            .query("after", Kind::Number(0, LAST_PLACE), "A place in the outbox; without one the last events are answered.")
            .query("limit", Kind::Number(1, MOST), "How many are wanted at most.")
            .answers(object(&[("events", list_of(named("Event"))), ("next", count())])),
        Route::get("/rules", rules)
            .says("The rules in force, and why what is in their folder is not.")
            .of_the_server()
            .answers(object(&[("rules", list_of(rule)), ("problem", or_null(text()))])),
    ]
}

async fn list(Asking { api, caller, words, .. }: Asking) -> Answer {
    let sees = move |scope: &lestrade_model::Scope| caller.sees(scope);
    let limit = words.count("limit").unwrap_or(PAGE);
    let (events, next) = aside(move || Ok(api.hub.events_of(words.number("after"), limit, sees)?)).await?;
    Ok(Json(json!({"events": events, "next": next})))
}

async fn rules(Asking { api, .. }: Asking) -> Answer {
    let (rules, problem) = api.hub.rules();
    let rules: Vec<_> = rules
        .all()
        .map(|rule| json!({"name": rule.name, "description": rule.description, "enabled": rule.enabled, "targets": rule.targets}))
        .collect();
    Ok(Json(json!({"rules": rules, "problem": problem})))
}
