//! Events as they happen: `text/event-stream`, read from the outbox by its places.
//!
//! Nothing is kept for a reader. A stream is a place in the outbox, and what follows is read from there when the reader has room for
//! more; it is woken when something is put in. So a slow reader holds up nobody, and one that comes back with the id that it saw last
//! goes on from there. An id is a place: `42`, behind what was put in as 42; `42.7`, and seven things further.

use super::caller::Caller;
use super::events::LAST_PLACE;
use super::route::{Asking, Kind, Route};
use super::{Api, Refusal};
use crate::ServerError;
use crate::core::lock;
use crate::deliver::Renderer;
use crate::hub::Place;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// How many streams there are at a time, and how many of one token.
const AT_ONCE: usize = 64;
const OF_ONE: usize = 8;
/// The longest id that a reader comes back with.
const ID: usize = 64;

/// The streams that there are, by whose they are.
#[derive(Default)]
pub(crate) struct Streams(Mutex<HashMap<Arc<str>, usize>>);

impl Streams {
    /// A place among the streams, until it is dropped.
    fn enter(self: &Arc<Self>, key: &Arc<str>) -> Result<Open, Refusal> {
        let mut open = lock(&self.0);
        if open.values().sum::<usize>() >= AT_ONCE {
            return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, "there are as many streams as can be".into()));
        }
        let own = open.entry(Arc::clone(key)).or_default();
        if *own >= OF_ONE {
            return Err(Refusal(StatusCode::TOO_MANY_REQUESTS, format!("a token has at most {OF_ONE} streams at a time")));
        }
        *own += 1;
        Ok(Open { streams: Arc::clone(self), key: Arc::clone(key) })
    }
}

/// A stream that counts.
struct Open {
    streams: Arc<Streams>,
    key: Arc<str>,
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut open = lock(&self.streams.0);
        if let Some(own) = open.get_mut(&self.key) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.key);
            }
        }
    }
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/events/stream", stream)
            .says(
                "Events as they happen, of the accounts that the token sees. The id of each is its place in the outbox: whoever comes \
                 back with the last one has missed nothing. An event `gap` says that what is between two places was forgotten.",
            )
            .header("Last-Event-ID", Kind::Text(ID), "The id that was seen last, as EventSource sends it.")
            .query("after", Kind::Number(0, LAST_PLACE), "A place in the outbox; without one, from now on.")
            .answers_with("text/event-stream")
            .answers(super::schema::text()),
    ]
}

/// A stream under way.
struct Under {
    api: Api,
    headers: HeaderMap,
    caller: Caller,
    place: Place,
    /// The place that the reader knows.
    said: Option<Place>,
    renderer: Renderer,
    told: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    _open: Open,
}

async fn stream(Asking { api, caller, words, request }: Asking) -> Result<Response, Refusal> {
    let refuse = || Refusal(StatusCode::BAD_REQUEST, "the id is none of ours".into());
    let last = words.text("Last-Event-ID").map(|id| Place::read(id).ok_or_else(refuse)).transpose()?;
    let told = api.hub.core().told.subscribe();
    // A reader that comes back knows better where it was than the address that it began with.
    let place = last.or_else(|| words.number("after").map(Place::behind)).unwrap_or_else(|| Place::behind(*told.borrow()));
    let open = api.streams.enter(&caller.key)?;
    let under = Under {
        renderer: Renderer::new(api.hub.home().clone()),
        stopping: api.stopping.clone(),
        headers: request.headers().clone(),
        api,
        caller,
        place,
        said: None,
        told,
        _open: open,
    };
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::HeaderName::from_static("x-accel-buffering"), "no")];
    let body =
        Body::from_stream(unfold(under, |under| async { under.next().await.map(|(text, under)| (Ok::<_, Infallible>(text), under)) }));
    Ok((headers, body).into_response())
}

impl Under {
    /// What is said next; none when the stream ends.
    async fn next(mut self) -> Option<(String, Self)> {
        if self.said.is_none() {
            // Who is told nothing for long comes back to here.
            self.said = Some(self.place);
            return Some((format!("retry: 2000\nid: {}\n\n", self.place), self));
        }
        loop {
            if *self.stopping.borrow() {
                return None;
            }
            self.told.mark_unchanged();
            let before = self.place;
            let (read, under) = self.read().await?;
            self = under;
            // Asked after the reading: what came to be read meanwhile may be later than the end of the token.
            if !self.is_let_in() {
                return None;
            }
            match read {
                Ok(text) if !text.is_empty() => return Some((text, self)),
                Ok(_) if self.place != before => continue,
                Ok(_) => {}
                // It goes on when the store does.
                Err(error) => tracing::warn!(%error, "a stream of events cannot read the outbox"),
            }
            tokio::select! {
                told = self.told.changed() => told.ok()?,
                stopping = self.stopping.changed() => stopping.ok()?,
                () = tokio::time::sleep(self.api.gate.limits.heartbeat) => return Some((self.heartbeat(), self)),
            }
        }
    }

    /// Whether the token still stands for whom it stood. Whose was taken back, or means something else now, hears no more.
    fn is_let_in(&self) -> bool {
        let is_same = |now: Caller| (now.role, now.whole, &now.scope) == (self.caller.role, self.caller.whole, &self.caller.scope);
        Caller::of(&self.api, &self.headers).is_some_and(is_same)
    }

    /// A comment; and the place, where what was passed over was not the reader's.
    fn heartbeat(&mut self) -> String {
        if self.said == Some(self.place) {
            return ":\n\n".to_owned();
        }
        self.said = Some(self.place);
        format!(":\nid: {}\n\n", self.place)
    }

    /// Reads on from the place, away from the threads that serve requests. None when the runtime ends.
    async fn read(mut self) -> Option<(Result<String, ServerError>, Self)> {
        let reading = tokio::task::spawn_blocking(move || {
            let read = self.read_on();
            (read, self)
        });
        reading.await.ok()
    }

    fn read_on(&mut self) -> Result<String, ServerError> {
        let caller = self.caller.clone();
        let read = self.api.hub.read_on(&mut self.renderer, self.place, &|scope| caller.sees(scope))?;
        let mut text = String::new();
        // Writing to a string does not fail.
        if let Some((from, to)) = read.gap {
            let _ = write!(text, "event: gap\nid: {to}\ndata: {{\"after\":\"{from}\",\"next\":\"{to}\"}}\n\n");
        }
        for (place, event) in &read.events {
            let _ = write!(text, "id: {place}\ndata: {event}\n\n");
            self.said = Some(*place);
        }
        self.place = read.place;
        Ok(text)
    }
}
