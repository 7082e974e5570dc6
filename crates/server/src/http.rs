//! The HTTP server: health, the native API, and the `inspector2` API for every other path.

use crate::Core;
use crate::api::{self, Api};
use crate::inspector2::{Front, router};
use axum::Router;
use axum::routing::get;
use axum::serve::{Listener, ListenerExt};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};

/// How long the head of a request may take to arrive, after the connection is made or the answer before was sent.
const HEAD: Duration = Duration::from_secs(30);
/// How many connections there are at a time; who comes then waits until one of them ends.
const CONNECTIONS: usize = 4096;
/// How long those who are being served when the server is asked to stop have for taking their answers.
const GRACE: Duration = Duration::from_secs(10);

/// Accepts connections without TLS, on which the end of an answer does not wait until its beginning is acknowledged.
#[must_use]
pub fn plain(listener: TcpListener) -> impl Listener<Io = TcpStream, Addr = SocketAddr> {
    listener.tap_io(|connection| no_delay(connection))
}

/// Small pieces are sent as they come: a client acknowledges nothing while it waits for the rest.
pub(crate) fn no_delay(connection: &TcpStream) {
    if let Err(error) = connection.set_nodelay(true) {
        tracing::debug!(%error, "a connection stays slow");
    }
}

/// Serves until `stop` is done, then finishes what is under way; who does not take an answer in ten seconds goes without.
///
/// # Errors
/// None: a connection that fails is its client's affair.
pub async fn serve_http<L>(
    listener: L,
    front: Arc<Front<Core>>,
    api: Option<Api>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()>
where
    L: Listener,
{
    let (stopping, stopped) = watch::channel(false);
    let app = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .merge(api.map(|api| api::router(api.stopping(stopped.clone()))).unwrap_or_default())
        .fallback_service(router(front));
    let until_stopped = async move {
        stop.await;
        stopping.send_replace(true);
        stopping
    };
    // The sender lives until all is served: who waits for it would take its end for the server's.
    let ((), _stopping) = tokio::join!(serve(listener, app, stopped, HEAD, CONNECTIONS), until_stopped);
    Ok(())
}

/// Waits until the server is asked to stop.
async fn until(stopping: &mut watch::Receiver<bool>) {
    drop(stopping.wait_for(|stopped| *stopped).await);
}

/// Serves connections until it is said to stop, and what is under way then, for a while.
async fn serve<L: Listener>(mut listener: L, app: Router, stopped: watch::Receiver<bool>, head: Duration, connections: usize) {
    let places = Arc::new(Semaphore::new(connections));
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    let mut stopping = stopped.clone();
    loop {
        let accepted = tokio::select! {
            accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, listener.accept().await.0)
            } => accepted,
            () = until(&mut stopping) => break,
        };
        let (place, io) = accepted;
        let service = TowerToHyperService::new(app.clone());
        let connection =
            http1::Builder::new().timer(TokioTimer::new()).header_read_timeout(head).serve_connection(TokioIo::new(io), service);
        let (alive, mut stopping) = (alive.clone(), stopped.clone());
        tokio::spawn(async move {
            let _held = (place, alive);
            let mut connection = pin!(connection);
            let done = tokio::select! {
                done = connection.as_mut() => done,
                () = until(&mut stopping) => {
                    connection.as_mut().graceful_shutdown();
                    match tokio::time::timeout(GRACE, connection).await {
                        Ok(done) => done,
                        Err(_) => return,
                    }
                }
            };
            if let Err(error) = done {
                tracing::debug!(%error, "a connection broke off");
            }
        });
    }
    drop((listener, alive));
    all_gone.recv().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn who_does_not_say_what_he_wants_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let app = Router::new().route("/", get(|| async { "ok" }));
        let serving = tokio::spawn(serve(listener, app, stopped, Duration::from_millis(100), CONNECTIONS));
        let answer = |sent: &'static str| async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(sent.as_bytes()).await.unwrap();
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer).await;
            answer
        };
        assert!(!answer("GET / HTTP/1.1\r\nhost: x\r\n").await.contains("200"), "half a head");
        assert_eq!(answer("").await, "", "nothing at all");
        assert!(answer("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.contains("200"), "a whole one, and its connection ends too");
        stop.send_replace(true);
        serving.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn who_finds_no_place_waits_for_one_and_is_not_turned_away() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_stop, stopped) = watch::channel(false);
        let app = Router::new().route("/", get(|| async { "ok" }));
        tokio::spawn(serve(listener, app, stopped, HEAD, 2));
        let ask = |mut stream: TcpStream| async move {
            stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            let mut answer = vec![0; 12];
            stream.read_exact(&mut answer).await.map(|_| (String::from_utf8(answer).unwrap(), stream))
        };
        let (_, first) = ask(TcpStream::connect(address).await.unwrap()).await.unwrap();
        let (_, _second) = ask(TcpStream::connect(address).await.unwrap()).await.unwrap();
        let mut third = tokio::spawn(ask(TcpStream::connect(address).await.unwrap()));
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut third).await.is_err(), "there are two places");
        drop(first);
        assert_eq!(third.await.unwrap().unwrap().0, "HTTP/1.1 200");
    }
}
