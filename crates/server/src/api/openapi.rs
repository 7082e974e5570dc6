//! The OpenAPI document of the native API, made of the table of routes by which it is served.

use super::route::{Asking, Place, Route};
use super::{Answer, schema};
use axum::Json;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

/// The errors that every route has.
const ALWAYS: [StatusCode; 8] = [
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::URI_TOO_LONG,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::SERVICE_UNAVAILABLE,
];

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/openapi.json", document).says("This document.").answers(json!({"type": "object"}))]
}

async fn document(_: Asking) -> Answer {
    Ok(Json(openapi()))
}

/// What a status means, wherever it is answered.
fn meaning(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "A parameter, the body, or a word in the query is not what it should be.",
        401 => "There is no bearer token, or it is not good.",
        403 => "The token's role may not, or the whole server is asked about with the token of one account.",
        404 => "What is named is not there, or not of an account that the token sees.",
        408 => "The body takes too long to arrive.",
        409 => "It cannot be done as things stand.",
        413 => "The body is larger than is taken here.",
        414 => "The path and query are longer than 8 KiB.",
        429 => "The token asks too often, or has as much under way as it may. `Retry-After` says when to ask again.",
        431 => "The headers are larger than 32 KiB.",
        501 => "This server does not do that.",
        503 => {
            "As much as can be is under way, the answer takes too long, or nothing can be written. `Retry-After` says when to ask again."
        }
        507 => "There is no room for the document.",
        _ => "The server could not do it.",
    }
}

/// The name of a status among the responses that are described once.
fn response_name(status: StatusCode) -> String {
    format!("Error{}", status.as_u16())
}

fn response(status: StatusCode) -> Value {
    let mut out = json!({
        "description": meaning(status),
        "content": {"application/json": {"schema": schema::named("Error")}},
    });
    if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE {
        out["headers"] = json!({"Retry-After": {"description": "Seconds.", "required": true, "schema": {"type": "integer", "minimum": 1}}});
    }
    if status == StatusCode::UNAUTHORIZED {
        out["headers"] = json!({"WWW-Authenticate": {"required": true, "schema": {"type": "string"}}});
    }
    out
}

/// The errors of a route.
fn errors(route: &Route) -> Vec<StatusCode> {
    let mut all = ALWAYS.to_vec();
    all.extend(route.errors.iter().copied());
    if route.whole || route.role > crate::inspector2::Role::Viewer {
        all.push(StatusCode::FORBIDDEN);
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// `getFindingsId` of `GET /findings/{id}`.
fn operation_id(route: &Route) -> String {
    let mut out = route.method.as_str().to_lowercase();
    for part in route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()) {
        let (first, rest) = part.split_at(1);
        out.push_str(&first.to_uppercase());
        out.push_str(rest);
    }
    out
}

fn operation(route: &Route) -> Value {
    let mut responses = Map::new();
    let good = json!({"description": "It is done.", "content": {route.media: {"schema": route.answer}}});
    responses.insert("200".to_owned(), good);
    for status in errors(route) {
        responses.insert(status.as_str().to_owned(), json!({"$ref": format!("#/components/responses/{}", response_name(status))}));
    }
    let mut out = json!({
        "operationId": operation_id(route),
        "summary": route.says,
        "x-role": route.role.as_str(),
        "x-whole-server": route.whole,
        "parameters": route.parameters.iter().map(super::route::Parameter::document).collect::<Vec<_>>(),
        "responses": responses,
    });
    if let Some(content) = &route.content {
        let kinds: Map<String, Value> =
            content.kinds.iter().map(|(media, schema)| ((*media).to_owned(), json!({"schema": schema}))).collect();
        out["requestBody"] = json!({"required": true, "x-max-bytes": content.most, "content": kinds});
    }
    out
}

/// The OpenAPI 3.1 document of the native API.
#[must_use]
pub fn openapi() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    let mut known = Vec::new();
    for route in super::routes() {
        debug_assert!(
            route.parameters.iter().filter(|parameter| parameter.place == Place::Path).count() == route.path.matches('{').count(),
            "{} describes what its path has",
            route.path
        );
        known.extend(errors(&route));
        let path = paths.entry(route.path.to_owned()).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = operation(&route);
    }
    known.sort_unstable();
    known.dedup();
    let responses: Map<String, Value> = known.into_iter().map(|status| (response_name(status), response(status))).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lestrade",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What Inspector's API has not. Fields are only ever added. A query that holds a word that is not known is \
                            refused.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "`ID.SECRET` of a key of `lestrade keys create`, with its role and its account; or the token of the state \
                                folder's `api-token`, which may do all.",
            }},
            "schemas": schema::all(),
            "responses": responses,
        },
    })
}
