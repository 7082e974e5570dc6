//! The HTTP server: health, the native API, and the `inspector2` API for every other path.

use crate::Core;
use crate::api::{self, Api};
use crate::inspector2::{Front, router};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::future::Future;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves until `stop` is done, then finishes what is under way.
///
/// # Errors
/// When the listener fails.
pub async fn serve_http(
    listener: TcpListener,
    core: Arc<Core>,
    front: Arc<Front<Core>>,
    api: Option<Api>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let app = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(core)
        .merge(api.map(api::router).unwrap_or_default())
        .fallback_service(router(front));
    axum::serve(listener, app).with_graceful_shutdown(stop).await
}

/// Ready when there is intelligence to judge by: without it, "no findings" would mean nothing.
async fn ready(State(core): State<Arc<Core>>) -> (StatusCode, Json<Value>) {
    let generation = core.index().map(|index| index.manifest().generation);
    let status = if generation.is_some() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"intelligence": generation})))
}
