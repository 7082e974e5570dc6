//! The HTTP server: health, the native API, and the `inspector2` API for every other path.

use crate::Core;
use crate::api::{self, Api};
use crate::inspector2::{Front, router};
use axum::Router;
use axum::routing::get;
use axum::serve::Listener;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long those who are being served when the server is asked to stop have for taking their answers.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until `stop` is done, then finishes what is under way; who does not take an answer in ten seconds goes without.
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
    let (stopping, stopped) = watch::channel(false);
    let app = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .merge(api.map(|api| api::router(api.stopping(stopped.clone()))).unwrap_or_default())
        .fallback_service(router(front));
    let stop = async move {
        stop.await;
        stopping.send_replace(true);
    };
    let grace = async move {
        let mut stopped = stopped;
        if stopped.wait_for(|stopped| *stopped).await.is_ok() {
            tokio::time::sleep(GRACE).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        served = async { axum::serve(listener, app).with_graceful_shutdown(stop).await } => served,
        () = grace => Ok(()),
    }
}
