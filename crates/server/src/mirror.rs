//! A mirror: the bundles of a library, for other Lestrades. Whole or as what changed since, of everything or of some ecosystems.
//!
//! ```text
//! GET /v1/head    what the newest bundle says of itself, signed
//! GET /v1/bundle  the bundle; ?since=ID what changed since; ?ecosystems=npm,PyPI a part
//! ```
//!
//! Each bundle is made once, beside the library, and sent from there; it is signed anew before half of its time is over.

use crate::ServerError;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, Request, State};
use axum::http::header::{ACCEPT_RANGES, AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use lestrade_advisories::{AdvisoriesError, BundleSigner, BundleWish, GenerationId, Library};
use lestrade_model::{Clock, Ecosystem, Family, Hash};
use lestrade_sys::MappedFile;
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, fs};
use subtle::ConstantTimeEq;

/// The most bundles that are kept: each is of another generation or of other ecosystems.
const MAX_KEPT: usize = 32;
/// The most ecosystems that one request may name.
const MAX_ECOSYSTEMS: usize = 64;

/// What a mirror serves from.
pub struct Mirror {
    library: Library,
    signer: BundleSigner,
    clock: Arc<dyn Clock>,
    valid: Duration,
    token: Vec<u8>,
    /// One bundle is made at a time: whoever asks for the same waits and finds it there.
    making: Mutex<HashMap<(String, BTreeSet<Family>), String>>,
}

impl Mirror {
    /// A mirror of a library, whose bundles hold for a while. With a token, only whoever has it is answered.
    #[must_use]
    pub fn new(library: Library, signer: BundleSigner, clock: Arc<dyn Clock>, valid: Duration, token: &str) -> Self {
        Self { library, signer, clock, valid, token: token.as_bytes().to_vec(), making: Mutex::default() }
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer ")).unwrap_or_default();
        self.token.is_empty() || bool::from(given.ct_eq(&self.token))
    }

    /// The file of a bundle, made where it is not there yet.
    fn bundle(&self, asked: &Asked) -> Result<MappedFile, Refusal> {
        let families = asked.families()?;
        let mut parts = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let (current, index) = self.library.open_current()?;
        if let Some(unknown) = families.iter().find(|family| !index.manifest().ecosystems.iter().any(|(known, _)| known.family == **family))
        {
            return Err(Refusal(StatusCode::NOT_FOUND, format!("nothing is known of '{}' here", unknown.name())));
        }
        drop(index);
        let since = match &asked.since {
            None => None,
            Some(since) => Some(self.kept(since, &families, &mut parts)?),
        };
        let wish = BundleWish { since, families };
        let folder = self.library.folder().join("bundles");
        let path = folder.join(file_name(&current, &wish));
        if !self.is_fresh(&path) {
            self.make(&folder, &path, &current, &wish)?;
        }
        Ok(MappedFile::open(&path)?)
    }

    /// The kept generation that bears a name in bundles.
    fn kept(
        &self,
        since: &str,
        families: &BTreeSet<Family>,
        parts: &mut HashMap<(String, BTreeSet<Family>), String>,
    ) -> Result<GenerationId, Refusal> {
        let kept = self.library.generations()?;
        parts.retain(|(id, _), _| kept.iter().any(|(kept, _)| kept.as_str() == id));
        for (id, _) in kept {
            let key = (id.to_string(), families.clone());
            let name = match parts.get(&key) {
                Some(name) => name.clone(),
                None => {
                    let name = self.library.part_id(&id, families)?;
                    parts.insert(key, name.clone());
                    name
                }
            };
            if name == since {
                return Ok(id);
            }
        }
        Err(Refusal(StatusCode::NOT_FOUND, "that generation is not kept any more".into()))
    }

    /// Whether a bundle is there and less than half of its time is over.
    fn is_fresh(&self, path: &Path) -> bool {
        let made = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        made.and_then(|made| made.elapsed().ok()).is_some_and(|age| age < self.valid / 2)
    }

    fn make(&self, folder: &Path, path: &Path, current: &GenerationId, wish: &BundleWish) -> Result<(), Refusal> {
        fs::create_dir_all(folder)?;
        let prefix = prefix_of(current);
        let mut kept = 0;
        for entry in fs::read_dir(folder)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                kept += 1;
            } else {
                // Whoever is being sent it keeps it until the end.
                fs::remove_file(entry.path())?;
            }
        }
        if kept >= MAX_KEPT && !path.exists() {
            return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, "too many parts of this generation were asked for".into()));
        }
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        let now = self.clock.now();
        self.library.export(wish, &self.signer, now, now.plus(self.valid), &mut file)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

fn prefix_of(current: &GenerationId) -> String {
    format!("{}-", &current.as_str()[..16])
}

fn file_name(current: &GenerationId, wish: &BundleWish) -> PathBuf {
    let since = wish.since.as_ref().map_or("whole", GenerationId::as_str);
    let families: Vec<&str> = wish.families.iter().map(Family::name).collect();
    let rest = Hash::of_fields(std::iter::once(since.as_bytes()).chain(families.iter().map(|family| family.as_bytes())));
    format!("{}{}.bundle", prefix_of(current), &rest.to_string()[..32]).into()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    since: Option<String>,
    ecosystems: Option<String>,
}

impl Asked {
    fn families(&self) -> Result<BTreeSet<Family>, Refusal> {
        let names: Vec<&str> = self.ecosystems.as_deref().unwrap_or_default().split(',').filter(|name| !name.is_empty()).collect();
        if names.len() > MAX_ECOSYSTEMS {
            return Err(Refusal(StatusCode::BAD_REQUEST, "too many ecosystems".into()));
        }
        let family = |name: &str| match name.parse::<Ecosystem>() {
            Ok(Ecosystem { family, release: None }) => Ok(family),
            _ => Err(Refusal(StatusCode::BAD_REQUEST, format!("'{name}' is no ecosystem"))),
        };
        names.into_iter().map(family).collect()
    }
}

/// Why nothing is sent.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, format!("{}\n", self.1)).into_response()
    }
}

impl From<AdvisoriesError> for Refusal {
    fn from(error: AdvisoriesError) -> Self {
        tracing::error!(%error, "a bundle cannot be made");
        Self(StatusCode::SERVICE_UNAVAILABLE, "there is no bundle now".into())
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        tracing::error!(%error, "a bundle cannot be kept");
        Self(StatusCode::SERVICE_UNAVAILABLE, "there is no bundle now".into())
    }
}

/// Serves until `stop` is done, then finishes what is under way.
///
/// # Errors
/// When the listener fails.
pub async fn serve_mirror<L>(listener: L, mirror: Arc<Mirror>, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ServerError>
where
    L: Listener<Addr: fmt::Debug>,
{
    let app = Router::new()
        .route("/v1/head", get(head))
        .route("/v1/bundle", get(bundle))
        .layer(from_fn_with_state(Arc::clone(&mirror), authorise))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(mirror);
    let served = axum::serve(listener, app).with_graceful_shutdown(stop).await;
    served.map_err(|error| ServerError::Source { source_name: "the mirror".into(), reason: error.to_string() })
}

async fn authorise(State(mirror): State<Arc<Mirror>>, request: Request, next: Next) -> Response {
    if mirror.admits(request.headers()) {
        next.run(request).await
    } else {
        Refusal(StatusCode::UNAUTHORIZED, "a bearer token is needed".into()).into_response()
    }
}

async fn made(mirror: Arc<Mirror>, asked: Asked) -> Result<Bytes, Refusal> {
    let work = tokio::task::spawn_blocking(move || mirror.bundle(&asked));
    let file = work.await.map_err(|_| Refusal(StatusCode::INTERNAL_SERVER_ERROR, "the work was broken off".into()))??;
    Ok(Bytes::from_owner(file))
}

async fn head(State(mirror): State<Arc<Mirror>>, Query(asked): Query<Asked>) -> Result<Bytes, Refusal> {
    let bytes = made(mirror, Asked { since: None, ..asked }).await?;
    let lines = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let end = lines.take(3).last().unwrap_or(0);
    Ok(bytes.slice(..end))
}

async fn bundle(State(mirror): State<Arc<Mirror>>, Query(asked): Query<Asked>, headers: HeaderMap) -> Result<Response, Refusal> {
    let bytes = made(mirror, asked).await?;
    // The head is signed and names the payload's hash.
    let tag = format!("\"{}\"", Hash::of(&bytes[..bytes.len().min(4096)]));
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let from = text(RANGE).filter(|_| text(IF_RANGE) == Some(tag.as_str()));
    let from = from.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let from = from.filter(|from| (1..bytes.len()).contains(from));
    let total = bytes.len();
    let response = Response::builder().header(ETAG, tag).header(ACCEPT_RANGES, "bytes").header(CONTENT_TYPE, "application/octet-stream");
    let response = match from {
        Some(from) => response
            .status(StatusCode::PARTIAL_CONTENT)
            .header(CONTENT_RANGE, format!("bytes {from}-{}/{total}", total - 1))
            .body(Body::from(bytes.slice(from..))),
        None => response.body(Body::from(bytes)),
    };
    response.map_err(|error| Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}
