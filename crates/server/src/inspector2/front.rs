//! The front: limits, signatures, and threads that may block.

use super::backend::Backend;
use super::call::Call;
use super::dispatch::{dispatch, writes};
use super::exports::{ExportPlace, Exports};
use super::identity;
use super::keys::{Key, KeyStore, Principal, Role};
use super::limits::{Rates, Replays};
use super::pages::PageKey;
use super::scan::{self, Scans};
use crate::WatchedScopes;
use crate::reconcile::Signal;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use lestrade_extract::Scanner;
use lestrade_model::Scope;
use lestrade_wire::inspector2::{Api, Error, ThrottlingException};
use lestrade_wire::sigv4::{Claim, Denial, Expected};
use lestrade_wire::{HttpRequest, HttpResponse, Service, rest_json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use uuid::Uuid;

/// The largest body.
const BODY: usize = 10 << 20;
/// The most that all headers together may have.
pub(crate) const HEADERS: usize = 32 << 10;
/// The longest path and query together.
pub(crate) const TARGET: usize = 8 << 10;
/// How many requests are worked on at once.
const AT_ONCE: usize = 64;
/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(30);
/// As much of the body of a request that is refused unread is taken off its connection, and waited for so long.
const REST: usize = 16 << 10;
const REST_ARRIVAL: Duration = Duration::from_secs(1);

/// What answers `inspector2` requests.
pub struct Front<B> {
    backend: Arc<B>,
    keys: Box<dyn KeyStore>,
    pages: PageKey,
    /// Held by operations that change something: each reads, decides and writes as one.
    writes: Mutex<()>,
    exports: Option<Exports>,
    estate: WatchedScopes,
    home: Option<Scope>,
    scans: Option<Scans>,
    rates: Rates,
    replays: Replays,
    places: Arc<Semaphore>,
}

impl<B: Backend> Front<B> {
    /// A front before a backend, for the holders of some keys. `page_key`, 32 random bytes, authenticates page tokens.
    pub fn new(backend: Arc<B>, keys: impl KeyStore, page_key: [u8; 32]) -> Self {
        Self {
            backend,
            keys: Box::new(keys),
            pages: PageKey::new(page_key),
            writes: Mutex::new(()),
            exports: None,
            estate: WatchedScopes::default(),
            home: None,
            scans: None,
            rates: Rates::default(),
            replays: Replays::default(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Reports and bills of materials are written there by [`WriteReports`](super::WriteReports); those that wait are kept under the
    /// scope `home`.
    #[must_use]
    pub fn with_exports(self, place: ExportPlace, home: Scope) -> Self {
        Self { exports: Some(Exports::new(place, home)), ..self }
    }

    /// Wakes this when there is a report to write.
    pub fn wakes(&self, signal: Signal) {
        if let Some(exports) = &self.exports {
            exports.waking(signal);
        }
    }

    /// Leaves reports that are being written to the next server.
    pub fn leave_reports(&self) {
        if let Some(exports) = &self.exports {
            exports.stop();
        }
    }

    pub(super) const fn exports(&self) -> Option<&Exports> {
        self.exports.as_ref()
    }

    pub(super) fn backend(&self) -> &B {
        &self.backend
    }

    /// The turn of somebody who reads, decides and writes as one.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bills of materials are scanned for whoever asks, read by this scanner.
    #[must_use]
    pub fn scanning(self, scanner: Arc<Scanner>) -> Self {
        Self { scans: Some(Scans::new(scanner)), ..self }
    }

    /// The accounts that are watched are members of the account of `home`: their findings are seen with its keys, in the region that
    /// is asked. With the keys of another account are seen those of that account, and of those that the key names.
    #[must_use]
    pub fn with_estate(self, estate: WatchedScopes, home: Scope) -> Self {
        Self { estate, home: Some(home), ..self }
    }

    /// The holder of a key, as who asks in one region.
    pub(super) fn in_region(&self, principal: &Principal, region: &str) -> Principal {
        let is_home = |home: &Scope| home.partition == principal.scope.partition && home.account == principal.scope.account;
        let whole = self.home.as_ref().is_some_and(is_home);
        let watched = self.estate.all().into_iter().filter(|scope| scope.region == region && (whole || principal.sees(scope)));
        let watched: Vec<Scope> = watched.collect();
        let mut principal = principal.clone();
        if !watched.is_empty() {
            region.clone_into(&mut principal.scope.region);
        }
        for member in &mut principal.members {
            if watched.iter().any(|scope| scope.account == member.account) {
                region.clone_into(&mut member.region);
            }
        }
        for scope in watched {
            if scope != principal.scope && !principal.members.contains(&scope) {
                principal.members.push(scope);
            }
        }
        principal
    }

    /// The holder of the key that the headers name. Asked before the body is read: strangers send none.
    pub(super) fn holder(&self, request: &HttpRequest) -> Result<Key, Denial> {
        self.keys.find(Claim::read(request)?.access_key()).ok_or_else(Denial::unknown_key)
    }

    /// Whether the key that the headers name may ask now.
    fn admits(&self, request: &HttpRequest) -> bool {
        Claim::read(request).is_ok_and(|claim| self.rates.admit(claim.access_key(), self.backend.now()))
    }

    /// Whether the holder of a key that was given out, or of a token that is none, may ask now.
    pub(crate) fn admits_holder(&self, key: &str) -> bool {
        self.rates.admit(key, self.backend.now())
    }

    /// The key that a bearer token is, `ID.SECRET`, and its holder; none where it is no key that was given out.
    pub(crate) fn bearer(&self, token: &str) -> Option<(String, Principal)> {
        let (id, secret) = token.split_once('.')?;
        let key = self.keys.find(id).filter(|key| key.secret.is(secret))?;
        Some((id.to_owned(), key.principal))
    }

    /// Who the request comes from, verified.
    fn verify(&self, key: &Key, request: &HttpRequest, service: &str, changes: bool) -> Result<Principal, Denial> {
        let now = self.backend.now();
        let claim = Claim::read(request)?;
        let principal = self.in_region(&key.principal, claim.region());
        let expected = Expected { region: &principal.scope.region, service, unsigned_payload: false };
        claim.verify(&key.secret, &expected, now)?;
        match changes && !self.replays.admit(claim.signature(), now) {
            true => Err(Denial::used()),
            false => Ok(principal),
        }
    }

    /// Does what is asked by somebody who needs no key, as whoever owns a scope: like a request that changes something, one at a
    /// time. Blocks.
    pub(super) fn as_owner<T>(&self, scope: &Scope, work: impl FnOnce(&Call<'_>) -> T) -> T {
        let principal = Principal { name: "owner".to_owned(), scope: scope.clone(), members: vec![], role: Role::Administrator };
        let now = self.backend.now();
        let call = Call { backend: &*self.backend, principal: &principal, pages: &self.pages, now, exports: None };
        let _turn = self.turn();
        work(&call)
    }

    /// Verifies the request and answers it. Blocks.
    pub(super) fn answer(&self, key: &Key, request: &HttpRequest) -> HttpResponse {
        let sts = identity::is_asked(request);
        let scans = scan::is_asked(request);
        let service = match (sts, scans) {
            (true, _) => identity::SIGNING_NAME,
            (_, true) => scan::SIGNING_NAME,
            _ => Api::SIGNING_NAME,
        };
        let writing = rest_json::route::<Api>(&request.method, &request.path).is_some_and(|route| writes(route.operation));
        let principal = match self.verify(key, request, service, writing) {
            Ok(principal) => principal,
            Err(denial) => {
                tracing::warn!(principal = %key.principal.arn(), reason = denial.code, "a request with a known key was not let in");
                return denied(request, &denial);
            }
        };
        let principal = &principal;
        if sts {
            return identity::answer(principal, request);
        }
        if scans {
            return scan::answer(&*self.backend, self.scans.as_ref(), request);
        }
        let call = Call { backend: &*self.backend, principal, pages: &self.pages, now: self.backend.now(), exports: self.exports.as_ref() };
        let _turn = writing.then(|| self.turn());
        dispatch(&call, request)
    }
}

/// The routes: every path that nobody else has. Mount it with `fallback_service`.
pub fn router<B: Backend>(front: Arc<Front<B>>) -> Router {
    Router::new().fallback(handle::<B>).with_state(front)
}

async fn handle<B: Backend>(State(front): State<Arc<Front<B>>>, request: Request) -> Response {
    let id = Uuid::new_v4().to_string();
    let (parts, body) = request.into_parts();
    let answer = receive(front, parts, body).await;
    tracing::debug!(request = %id, status = answer.status, "answered");
    respond(answer, &id)
}

pub(super) async fn receive<B: Backend>(front: Arc<Front<B>>, parts: Parts, body: Body) -> HttpResponse {
    let mut request = match head(&parts) {
        Ok(request) => request,
        Err(refusal) => return unread(body, refusal).await,
    };
    let key = match front.holder(&request) {
        Ok(key) => key,
        Err(denial) => return unread(body, denied(&request, &denial)).await,
    };
    let place = Arc::clone(&front.places).try_acquire_owned();
    let (Ok(_place), true) = (place, front.admits(&request)) else { return unread(body, throttled(&request)).await };
    let too_large = || rest_json::refusal(413, "RequestEntityTooLargeException", "The request is larger than 10 MiB.");
    let announced = request.header("content-length").and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > BODY as u64) {
        return unread(body, too_large()).await;
    }
    request.body = match tokio::time::timeout(ARRIVAL, to_bytes(body, BODY)).await {
        Ok(Ok(bytes)) => bytes.to_vec(),
        Ok(Err(_)) => return closing(too_large()),
        Err(_) => return closing(rest_json::refusal(408, "RequestTimeoutException", "The request took too long to arrive.")),
    };
    let answered = tokio::task::spawn_blocking(move || front.answer(&key, &request)).await;
    answered.unwrap_or_else(|error| {
        tracing::error!(%error, "an operation panicked");
        rest_json::refusal(500, "InternalServerException", "Internal server error.")
    })
}

/// A refusal that comes before the body was read. What is left of it would end the connection without a word, and the client's next
/// request with it: a short one is taken off, and after a long one the end is announced.
async fn unread(body: Body, refusal: HttpResponse) -> HttpResponse {
    match tokio::time::timeout(REST_ARRIVAL, to_bytes(body, REST)).await {
        Ok(Ok(_)) => refusal,
        _ => closing(refusal),
    }
}

/// An answer after which the connection ends.
fn closing(mut answer: HttpResponse) -> HttpResponse {
    answer.headers.push(("connection".to_owned(), "close".to_owned()));
    answer
}

/// The request without its body.
fn head(parts: &Parts) -> Result<HttpRequest, HttpResponse> {
    if parts.uri.path().len() + parts.uri.query().unwrap_or_default().len() > TARGET {
        return Err(rest_json::refusal(414, "RequestURITooLongException", "The path and query are longer than 8 KiB."));
    }
    let size: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > HEADERS {
        return Err(rest_json::refusal(431, "RequestHeaderSectionTooLargeException", "The headers are larger than 32 KiB."));
    }
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), std::str::from_utf8(value.as_bytes()).ok()?.to_owned()))
    };
    let headers = parts.headers.iter().map(header).collect::<Option<Vec<_>>>();
    let headers = headers.ok_or_else(|| rest_json::refusal(400, "ValidationException", "A header is not UTF-8."))?;
    Ok(HttpRequest {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers,
        body: Vec::new(),
    })
}

fn denied(request: &HttpRequest, denial: &Denial) -> HttpResponse {
    if identity::is_asked(request) {
        return identity::denied(denial);
    }
    rest_json::refusal(Denial::STATUS, denial.code, &denial.message)
}

fn throttled(request: &HttpRequest) -> HttpResponse {
    let message = "Rate exceeded";
    if identity::is_asked(request) {
        return identity::error(429, "Throttling", message);
    }
    let error = ThrottlingException { message: message.to_owned(), retry_after_seconds: Some(1) };
    rest_json::failure(&Error::from(error)).unwrap_or_else(|_| rest_json::refusal(429, "ThrottlingException", message))
}

fn respond(answer: HttpResponse, id: &str) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let id = ("x-amzn-requestid".to_owned(), id.to_owned());
    for (name, value) in answer.headers.into_iter().chain([id]) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    // What is answered is the caller's alone.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
