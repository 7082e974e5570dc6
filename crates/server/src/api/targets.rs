//! Targets: how they stand, and what can be done about those that do not take what they are sent.

use super::route::{Asking, Kind, Route, TEXT};
use super::schema::{count, flag, instant, list as list_of, object, or_null, text};
use super::{Answer, Refusal, aside};
use crate::inspector2::Role;
use axum::Json;
use axum::http::StatusCode;
use lestrade_store::{Letter, LetterState};
use serde_json::{Value, json};

pub(super) fn routes() -> Vec<Route> {
    let named = |route: Route| route.of_the_server().path("name", Kind::Text(TEXT), "The target's name.");
    let of_resource = |route: Route| named(route).needs("resource", Kind::Text(TEXT), "The resource's id.").fails(StatusCode::CONFLICT);
    let letter = object(&[
        ("id", text()),
        ("about", text()),
        ("happened", instant()),
        ("tried", instant()),
        ("attempts", count()),
        ("reason", text()),
    ]);
    let proposal = object(&[("resource", text()), ("what", list_of(text())), ("closes", list_of(text())), ("state", text())]);
    vec![
        Route::get("/targets", list)
            .says("Targets of events, and how far behind each is.")
            .of_the_server()
            .answers(object(&[("targets", list_of(target_schema()))])),
        named(Route::post("/targets/{name}/test", Role::Operator, test))
            .says("Sends a target an event that says that it is a test.")
            .answers(object(&[("taken", flag()), ("reason?", or_null(text()))])),
        named(Route::get("/targets/{name}/letters", letters))
            .says("What a target did not take.")
            .query("state", Kind::Word(&["waiting", "dead"]), "What is tried again, or what stays until somebody sends it again.")
            .answers(object(&[("letters", list_of(letter))])),
        named(Route::post("/targets/{name}/redrive", Role::Operator, redrive))
            .says("Has dead letters tried again.")
            .query("id", Kind::Text(TEXT), "One of them; all when nothing is said.")
            .answers(object(&[("redriven", count())])),
        named(Route::post("/targets/{name}/replay", Role::Operator, replay))
            .says("Has a target served again from a place in the outbox on.")
            .needs("after", Kind::Number(0, i64::MAX as u64), "The place.")
            .answers(object(&[("after", count())])),
        of_resource(Route::post("/targets/{name}/undo", Role::Operator, undo))
            .says("Takes back what a target did to a resource.")
            .answers(object(&[("undone", text())])),
        named(Route::get("/targets/{name}/proposals", proposals))
            .says("What a target proposes to do.")
            .fails(StatusCode::CONFLICT)
            .answers(object(&[("proposals", list_of(proposal))])),
        of_resource(Route::post("/targets/{name}/approve", Role::Operator, approve))
            .says("Has a target do what it proposed for a resource.")
            .answers(object(&[("approved", text())])),
    ]
}

/// How a target stands.
pub(super) fn target_schema() -> Value {
    object(&[
        ("name", text()),
        ("kind", text()),
        ("enabled", flag()),
        ("behind", count()),
        ("lag", count()),
        ("waiting", count()),
        ("dead", count()),
    ])
}

fn unknown(name: &str) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, format!("there is no target '{}'", name.chars().take(64).collect::<String>()))
}

async fn list(Asking { api, .. }: Asking) -> Answer {
    let targets = aside(move || Ok(api.hub.targets()?)).await?;
    Ok(Json(json!({"targets": targets})))
}

async fn test(Asking { api, words, .. }: Asking) -> Answer {
    let name = words.needed("name").to_owned();
    let tested = {
        let name = name.clone();
        aside(move || Ok(api.hub.test(&name))).await?
    };
    match tested.ok_or_else(|| unknown(&name))? {
        Ok(()) => Ok(Json(json!({"taken": true}))),
        Err(error) => Ok(Json(json!({"taken": false, "reason": error.to_string()}))),
    }
}

fn shown(letter: &Letter) -> Value {
    json!({
        "id": letter.id,
        "about": letter.note.title,
        "happened": letter.note.happened.to_string(),
        "tried": letter.note.tried.to_string(),
        "attempts": letter.note.attempts,
        "reason": letter.note.reason,
    })
}

async fn letters(Asking { api, words, .. }: Asking) -> Answer {
    let name = words.needed("name").to_owned();
    let state = if words.text("state") == Some("waiting") { LetterState::Waiting } else { LetterState::Dead };
    let letters = {
        let name = name.clone();
        aside(move || Ok(api.hub.letters(&name, state)?)).await?
    };
    let letters = letters.ok_or_else(|| unknown(&name))?;
    Ok(Json(json!({"letters": letters.iter().map(shown).collect::<Vec<_>>()})))
}

async fn redrive(Asking { api, words, .. }: Asking) -> Answer {
    let name = words.needed("name").to_owned();
    let count = {
        let name = name.clone();
        aside(move || Ok(api.hub.redrive(&name, words.text("id"))?)).await?
    };
    Ok(Json(json!({"redriven": count.ok_or_else(|| unknown(&name))?})))
}

async fn replay(Asking { api, words, .. }: Asking) -> Answer {
    let name = words.needed("name").to_owned();
    let after = words.number("after").unwrap_or_default();
    let known = {
        let name = name.clone();
        aside(move || Ok(api.hub.replay(&name, after)?)).await?
    };
    if known { Ok(Json(json!({"after": after}))) } else { Err(unknown(&name)) }
}

async fn undo(Asking { api, words, .. }: Asking) -> Answer {
    let name = words.needed("name").to_owned();
    let undone = {
        let name = name.clone();
        aside(move || Ok(api.hub.undo(&name, words.needed("resource")))).await?
    };
    match undone.ok_or_else(|| unknown(&name))? {
        Ok(said) => Ok(Json(json!({"undone": said}))),
        Err(error) => Err(Refusal(StatusCode::CONFLICT, error.to_string())),
    }
}

async fn proposals(Asking { api, words, .. }: Asking) -> Answer {
    let name = words.needed("name").to_owned();
    let found = {
        let name = name.clone();
        aside(move || Ok(api.hub.proposals(&name))).await?
    };
    match found.ok_or_else(|| unknown(&name))? {
        Ok(proposals) => Ok(Json(json!({"proposals": proposals}))),
        Err(error) => Err(Refusal(StatusCode::CONFLICT, error.to_string())),
    }
}

async fn approve(Asking { api, words, .. }: Asking) -> Answer {
    let name = words.needed("name").to_owned();
    let done = {
        let name = name.clone();
        aside(move || Ok(api.hub.approve(&name, words.needed("resource")))).await?
    };
    match done.ok_or_else(|| unknown(&name))? {
        Ok(said) => Ok(Json(json!({"approved": said}))),
        Err(error) => Err(Refusal(StatusCode::CONFLICT, error.to_string())),
    }
}
