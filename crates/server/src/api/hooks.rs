//! What registries say by themselves. They have a token of their own, which lets in nobody else and nowhere else.

use super::{Answer, Api, Refusal, arrived};
use crate::registry::hear;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde_json::json;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// The largest message, and how long it may take to arrive.
const LARGEST: usize = 1 << 20;
const ARRIVAL: Duration = Duration::from_secs(30);

/// Takes a message in. The token comes as `Authorization: Bearer …`, or as it is: some senders can write nothing before it.
pub(super) async fn registry(State(api): State<Api>, request: Request) -> Answer {
    let given = request.headers().get("authorization").map(|value| value.as_bytes()).unwrap_or_default();
    let given = given.strip_prefix(b"Bearer ").unwrap_or(given);
    let is_sender = api.hook.as_ref().is_some_and(|token| bool::from(given.ct_eq(token)));
    if !is_sender {
        let why = "the token of registries is needed: the one in the state folder's registry-token";
        return Err(Refusal(StatusCode::UNAUTHORIZED, why.into()));
    }
    let body = arrived(request, LARGEST, ARRIVAL, "the message").await?;
    let message = serde_json::from_slice(&body).map_err(|_| Refusal(StatusCode::BAD_REQUEST, "the message is no JSON".into()))?;
    let heard = hear(&api.ears, &message).map_err(|why| Refusal(StatusCode::BAD_REQUEST, why.into()))?;
    Ok(Json(json!({"heard": heard})))
}
