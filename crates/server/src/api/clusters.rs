//! What runs where: a cluster names the images of its containers, all of them each time.

use super::route::{Asking, Kind, Route};
use super::schema::{any, count, format, instant, list as list_of, object, removed, text, word};
use super::{Answer, Refusal, arrived, aside};
use crate::in_use::images_in;
use crate::inspector2::Role;
use axum::Json;
use axum::http::StatusCode;
use serde_json::json;

/// The largest list of pods.
const LARGEST: u64 = 128 << 20;

pub(super) fn routes() -> Vec<Route> {
    let cluster = object(&[("name", text()), ("containers", count()), ("images", count()), ("told", instant())]);
    vec![
        Route::get("/clusters", list)
            .says("Clusters, and what runs in each as it was told last.")
            .answers(object(&[("schema", format("lestrade.clusters/1")), ("clusters", list_of(cluster))])),
        Route::post("/clusters/{name}", Role::Operator, told)
            .says("Takes in what runs in a cluster, all of it each time: its list of pods, or lines of `host/repository@sha256:…`.")
            .path("name", Kind::Name, "What the cluster is called.")
            .takes(LARGEST, "application/json", object(&[("kind", word(&["List", "PodList"])), ("items", list_of(any()))]))
            .or_takes("text/plain", text())
            .answers(object(&[("cluster", text()), ("images", count()), ("containers", count())])),
        Route::delete("/clusters/{name}", Role::Operator, remove)
            .says("Forgets a cluster.")
            .path("name", Kind::Name, "What the cluster is called.")
            .answers(removed()),
    ]
}

async fn list(Asking { api, caller, .. }: Asking) -> Answer {
    let clusters = aside(move || Ok(api.hub.core().clusters(&caller.scope)?)).await?;
    let rows: Vec<_> = clusters
        .iter()
        .map(|(name, said)| json!({"name": name, "containers": said.containers, "images": said.images, "told": said.told.to_string()}))
        .collect();
    Ok(Json(json!({"schema": "lestrade.clusters/1", "clusters": rows})))
}

async fn told(Asking { api, caller, words, request }: Asking) -> Answer {
    let name = words.needed("name").to_owned();
    let body = arrived(request, LARGEST as usize, api.gate.limits.arrival, "the list").await?;
    if body.is_empty() {
        // Nobody says by saying nothing that nothing runs.
        return Err(Refusal(StatusCode::BAD_REQUEST, "there is no list".into()));
    }
    let answer = aside(move || {
        let counts = images_in(&body).map_err(|why| Refusal(StatusCode::BAD_REQUEST, why))?;
        api.hub.core().note_in_use(&caller.scope, &name, &counts)?;
        api.ears.iter().for_each(crate::RegistryEar::wake);
        Ok(json!({"cluster": name, "images": counts.len(), "containers": counts.values().map(|count| u64::from(*count)).sum::<u64>()}))
    });
    Ok(Json(answer.await?))
}

async fn remove(Asking { api, caller, words, .. }: Asking) -> Answer {
    let name = words.needed("name").to_owned();
    let removed = name.clone();
    let known = aside(move || Ok(api.hub.core().forget_cluster(&caller.scope, &name)?)).await?;
    if !known {
        let shown: String = removed.chars().take(64).collect();
        return Err(Refusal(StatusCode::NOT_FOUND, format!("there is no cluster '{shown}'")));
    }
    Ok(Json(json!({"removed": removed})))
}
