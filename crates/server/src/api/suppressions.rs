//! Suppression rules: made, looked at, removed. The same ones that AWS's clients see as filters.

use super::route::{Asking, Kind, Route, TEXT};
use super::schema::{any, flag, format, instant, list as list_of, object, or_null, removed, text};
use super::{Answer, Refusal, arrived, aside};
use crate::inspector2::{NewSuppression, Role, SuppressionError};
use axum::Json;
use axum::http::StatusCode;
use serde_json::json;

impl From<SuppressionError> for Refusal {
    fn from(error: SuppressionError) -> Self {
        let status = match error {
            SuppressionError::Refused(_) => StatusCode::BAD_REQUEST,
            SuppressionError::Absent(_) | SuppressionError::NoDocument(_) => StatusCode::NOT_FOUND,
            SuppressionError::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

/// The largest rule.
const LARGEST: u64 = 1 << 20;

pub(super) fn routes() -> Vec<Route> {
    let rule = object(&[
        ("name", text()),
        ("arn", text()),
        ("inForce", flag()),
        ("reason", or_null(text())),
        ("owner", or_null(text())),
        ("expires", or_null(instant())),
        ("created", instant()),
        ("criteria", any()),
    ]);
    let new = object(&[
        ("name", text()),
        ("reason", text()),
        ("owner", text()),
        ("expires", instant()),
        ("criteria", json!({"type": "object", "description": "As Inspector's `filterCriteria`."})),
    ]);
    vec![
        Route::get("/suppressions", list)
            .says("Suppression rules: the filters with the action `SUPPRESS` that AWS's clients see too.")
            .answers(object(&[("schema", format("lestrade.suppressions/1")), ("suppressions", list_of(rule.clone()))])),
        Route::post("/suppressions", Role::Triager, create)
            .says("Makes a rule, with an owner and an end.")
            .takes(LARGEST, "application/json", new)
            .answers(rule),
        Route::delete("/suppressions/{name}", Role::Triager, remove)
            .says("Removes a rule.")
            .path("name", Kind::Text(TEXT), "Its name, or its ARN.")
            .answers(removed()),
    ]
}

async fn list(Asking { api, caller, .. }: Asking) -> Answer {
    let rules = aside(move || Ok(api.front.suppressions(&caller.scope)?)).await?;
    Ok(Json(json!({"schema": "lestrade.suppressions/1", "suppressions": rules})))
}

async fn create(Asking { api, caller, request, .. }: Asking) -> Answer {
    let body = arrived(request, LARGEST as usize, api.gate.limits.arrival, "the rule").await?;
    let refuse = |error: serde_json::Error| Refusal(StatusCode::BAD_REQUEST, format!("the rule is not what it should be: {error}"));
    let rule: NewSuppression = serde_json::from_slice(&body).map_err(refuse)?;
    let made = aside(move || Ok(api.front.suppress(&caller.scope, &rule)?)).await?;
    Ok(Json(json!(made)))
}

async fn remove(Asking { api, caller, words, .. }: Asking) -> Answer {
    let name = words.needed("name").to_owned();
    let removed = name.clone();
    aside(move || Ok(api.front.unsuppress(&caller.scope, &name)?)).await?;
    Ok(Json(json!({"removed": removed})))
}
