//! VEX documents: what suppliers say, as suppressions that name them.

use super::route::{Asking, Kind, Route};
use super::schema::{any, count, format, instant, list as list_of, object, removed, text};
use super::{Answer, arrived, aside};
use crate::inspector2::{Role, VEX_LARGEST, VexDocument};
use axum::Json;
use axum::http::StatusCode;
use serde_json::json;

pub(super) fn routes() -> Vec<Route> {
    let document = object(&[("name", text()), ("taken", instant()), ("statements", count()), ("inForce", count())]);
    vec![
        Route::get("/vex", list)
            .says("VEX documents, and how much of each is in force.")
            .answers(object(&[("schema", format("lestrade.vex/1")), ("documents", list_of(document.clone()))])),
        Route::post("/vex", Role::Triager, take)
            .says("Takes a VEX document in, in place of the one of that name: OpenVEX, CycloneDX or CSAF.")
            .needs("name", Kind::Name, "What the document is called.")
            .takes(VEX_LARGEST as u64, "application/json", any())
            .answers(document),
        Route::delete("/vex", Role::Triager, remove)
            .says("Removes a VEX document.")
            .needs("name", Kind::Name, "What the document is called.")
            .fails(StatusCode::NOT_FOUND)
            .answers(removed()),
    ]
}

async fn list(Asking { api, caller, .. }: Asking) -> Answer {
    let documents: Vec<VexDocument> = aside(move || Ok(api.front.vex(&caller.scope)?)).await?;
    Ok(Json(json!({"schema": "lestrade.vex/1", "documents": documents})))
}

async fn take(Asking { api, caller, words, request }: Asking) -> Answer {
    let name = words.needed("name").to_owned();
    let body = arrived(request, VEX_LARGEST, api.gate.limits.arrival, "the document").await?;
    let taken = aside(move || Ok(api.front.take_vex(&caller.scope, &name, &body)?)).await?;
    Ok(Json(json!(taken)))
}

async fn remove(Asking { api, caller, words, .. }: Asking) -> Answer {
    let name = words.needed("name").to_owned();
    let removed = name.clone();
    aside(move || Ok(api.front.remove_vex(&caller.scope, &name)?)).await?;
    Ok(Json(json!({"removed": removed})))
}
