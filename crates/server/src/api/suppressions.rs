//! Suppression rules: made, looked at, removed. The same ones that AWS's clients see as filters.

use super::{Answer, Api, Refusal, aside};
use crate::inspector2::{NewSuppression, SuppressionError};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
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

pub(super) async fn list(State(api): State<Api>) -> Answer {
    let rules = aside(move || Ok(api.front.suppressions(api.hub.home())?)).await?;
    Ok(Json(json!({"schema": "lestrade.suppressions/1", "suppressions": rules})))
}

pub(super) async fn create(State(api): State<Api>, rule: Result<Json<NewSuppression>, JsonRejection>) -> Answer {
    let Json(rule) = rule.map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.body_text()))?;
    let made = aside(move || Ok(api.front.suppress(api.hub.home(), &rule)?)).await?;
    Ok(Json(json!(made)))
}

pub(super) async fn remove(State(api): State<Api>, Path(name): Path<String>) -> Answer {
    let removed = name.clone();
    aside(move || Ok(api.front.unsuppress(api.hub.home(), &name)?)).await?;
    Ok(Json(json!({"removed": removed})))
}
