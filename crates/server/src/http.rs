//! The HTTP server: health, the native API, and the `inspector2` API for every other path.

use crate::Core;
use crate::api::{self, Api};
use crate::inspector2::{Front, router};
use axum::Router;
use axum::routing::get;
use axum::serve::Listener;
use std::future::Future;
use std::sync::Arc;

/// Serves until `stop` is done, then finishes what is under way.
///
/// # Errors
/// When the listener fails.
pub async fn serve_http<L>(
    listener: L,
    front: Arc<Front<Core>>,
    api: Option<Api>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()>
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    let app = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .merge(api.map(api::router).unwrap_or_default())
        .fallback_service(router(front));
    axum::serve(listener, app).with_graceful_shutdown(stop).await
}
