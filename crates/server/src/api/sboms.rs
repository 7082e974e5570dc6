//! Bills of materials that somebody sends: each name is a resource, the last document under it its inventory.

use super::route::{Asking, Kind, Route};
use super::schema::{any, by_severity, count, format, named, object, or_null, removed};
use super::{Answer, Refusal, aside};
use crate::inspector2::{BackendError, Role};
use crate::look::verdict;
use crate::{Core, Observation};
use axum::Json;
use axum::body::{Body, HttpBody};
use axum::http::StatusCode;
use lestrade_extract::Scanner;
use lestrade_model::{
    Coverage, CoverageReason, Resource, ResourceDetails, ResourceFacts, ResourceKey, ResourceKind, ScanKind, Scope, Severity,
};
use lestrade_report::{coverage_json, resource_ref_json};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use tempfile::NamedTempFile;
use tokio::sync::Semaphore;

/// The largest document.
const LARGEST: u64 = 128 << 20;
/// How many are taken in at once: each is held on disk and read by a worker.
const AT_ONCE: usize = 4;

/// Takes documents in.
pub(crate) struct Intake {
    scanner: Arc<Scanner>,
    places: Semaphore,
}

impl Intake {
    pub(crate) fn new(scanner: Arc<Scanner>) -> Self {
        Self { scanner, places: Semaphore::new(AT_ONCE) }
    }
}

pub(super) fn routes() -> Vec<Route> {
    let taken = object(&[
        ("schema", format("lestrade.sbom/1")),
        ("resource", named("ResourceRef")),
        ("components", count()),
        ("open", by_severity()),
        ("coverage", named("Coverage")),
        ("intelligence", or_null(count())),
    ]);
    vec![
        Route::post("/sboms", Role::Operator, push)
            .says("Takes a bill of materials in as the inventory of what is called so: CycloneDX or SPDX.")
            .needs("name", Kind::Name, "What the document describes.")
            .takes(LARGEST, "application/json", any())
            .fails(StatusCode::TOO_MANY_REQUESTS)
            .fails(StatusCode::NOT_IMPLEMENTED)
            .fails(StatusCode::INSUFFICIENT_STORAGE)
            .answers(taken),
        Route::delete("/sboms", Role::Operator, remove)
            .says("Says that what a document described is gone.")
            .needs("name", Kind::Name, "What the document described.")
            .fails(StatusCode::NOT_FOUND)
            .answers(removed()),
    ]
}

fn refuse(status: StatusCode, why: impl Into<String>) -> Refusal {
    Refusal(status, why.into())
}

fn key(scope: &Scope, name: &str) -> ResourceKey {
    ResourceKey { scope: scope.clone(), kind: ResourceKind::Path, id: format!("sbom/{name}") }
}

/// Writes a body to a file, as it comes.
async fn receive(mut body: Body) -> Result<NamedTempFile, Refusal> {
    let kept = |error: std::io::Error| refuse(StatusCode::INSUFFICIENT_STORAGE, format!("the document cannot be kept: {error}"));
    let mut file = NamedTempFile::new().map_err(kept)?;
    let mut length = 0_u64;
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|_| refuse(StatusCode::BAD_REQUEST, "the document broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len() as u64;
        if length > LARGEST {
            return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, format!("it is larger than {} MiB", LARGEST >> 20)));
        }
        file.write_all(&data).map_err(kept)?;
    }
    if length == 0 {
        return Err(refuse(StatusCode::BAD_REQUEST, "there is no document"));
    }
    Ok(file)
}

async fn push(Asking { api, caller, words, request }: Asking) -> Answer {
    let name = words.needed("name").to_owned();
    let key = key(&caller.scope, &name);
    let Some(intake) = api.intake.clone() else { return Err(refuse(StatusCode::NOT_IMPLEMENTED, "no documents are taken in here")) };
    let Ok(_place) = intake.places.try_acquire() else {
        return Err(refuse(StatusCode::TOO_MANY_REQUESTS, "as many documents as can be are being taken in; try again"));
    };
    let arriving = tokio::time::timeout(api.gate.limits.arrival, receive(request.into_body())).await;
    let file = arriving.map_err(|_| refuse(StatusCode::REQUEST_TIMEOUT, "the document takes too long to arrive"))??;
    let scanner = Arc::clone(&intake.scanner);
    Ok(Json(aside(move || take_in(api.hub.core(), &scanner, key, &name, file.path())).await?))
}

fn take_in(core: &Core, scanner: &Scanner, key: ResourceKey, name: &str, path: &Path) -> Result<Value, Refusal> {
    let inventory = match core.read_document(scanner, path, name) {
        Ok(inventory) => inventory,
        // What is no document changes nothing about what is known: nobody can have meant it.
        Err(BackendError::Document(why)) => return Err(refuse(StatusCode::BAD_REQUEST, why)),
        Err(error) => {
            tracing::error!(%error, name, "a bill of materials could not be read");
            return Err(refuse(StatusCode::INTERNAL_SERVER_ERROR, "it could not be read"));
        }
    };
    let (reason, detail) = verdict(&inventory);
    let coverage = Coverage { kind: ScanKind::Package, reason, detail, last_scanned: Some(core.now()) };
    let tags = vec![("Name".to_owned(), name.to_owned()), ("lestrade:sort".to_owned(), "sbom".to_owned())];
    let resource = Resource { key: key.clone(), details: ResourceDetails::None, facts: ResourceFacts::default(), tags };
    let answer = resource_ref_json(&resource);
    let components = inventory.components.len();
    let said = coverage_json(&coverage);
    core.observe(Observation { resource, inventory: Some(inventory), coverage: vec![coverage] })?;
    Ok(json!({
        "schema": "lestrade.sbom/1",
        "resource": answer,
        "components": components,
        "open": open(core, &key),
        "coverage": said,
        "intelligence": core.index().map(|index| index.manifest().generation),
    }))
}

/// The open findings of a resource by severity, those that are suppressed too.
fn open(core: &Core, key: &ResourceKey) -> Value {
    let world = core.world();
    let mut counts: Map<String, Value> =
        super::estate::SEVERITIES.iter().map(|severity| (severity.as_str().to_lowercase(), 0.into())).collect();
    let all = world.resource_id(key).map(|id| world.estate.vulnerabilities_of(id)).unwrap_or_default();
    for vulnerability in &all {
        let severity = world.assessment(vulnerability).map_or(Severity::Untriaged, |known| known.severity);
        if let Some(count) = counts.get_mut(&severity.as_str().to_lowercase()) {
            *count = json!(count.as_u64().unwrap_or_default() + 1);
        }
    }
    Value::Object(counts)
}

/// Takes in that what a document described is gone.
async fn remove(Asking { api, caller, words, .. }: Asking) -> Answer {
    let name = words.needed("name").to_owned();
    let key = key(&caller.scope, &name);
    let removed = aside(move || {
        let core = api.hub.core();
        let known = core.resource(&key).is_some();
        core.forget(&key, CoverageReason::ResourceTerminated)?;
        Ok(known)
    })
    .await?;
    if !removed {
        return Err(super::estate::no_resource(&name));
    }
    Ok(Json(json!({"removed": name})))
}
