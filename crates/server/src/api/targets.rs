//! Targets: how they stand, and what can be done about those that do not take what they are sent.

use super::{Answer, Api, Refusal, aside};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use lestrade_store::{Letter, LetterState};
use serde::Deserialize;
use serde_json::{Value, json};

fn unknown(name: &str) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, format!("there is no target '{}'", name.chars().take(64).collect::<String>()))
}

pub(super) async fn list(State(api): State<Api>) -> Answer {
    let targets = aside(move || Ok(api.hub.targets()?)).await?;
    Ok(Json(json!({"targets": targets})))
}

pub(super) async fn test(State(api): State<Api>, Path(name): Path<String>) -> Answer {
    let tested = {
        let name = name.clone();
        aside(move || Ok(api.hub.test(&name))).await?
    };
    match tested.ok_or_else(|| unknown(&name))? {
        Ok(()) => Ok(Json(json!({"taken": true}))),
        Err(error) => Ok(Json(json!({"taken": false, "reason": error.to_string()}))),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StateName {
    Waiting,
    Dead,
}

#[derive(Deserialize)]
pub(super) struct Which {
    state: Option<StateName>,
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

pub(super) async fn letters(State(api): State<Api>, Path(name): Path<String>, Query(which): Query<Which>) -> Answer {
    let state = match which.state {
        Some(StateName::Waiting) => LetterState::Waiting,
        _ => LetterState::Dead,
    };
    let letters = {
        let name = name.clone();
        aside(move || Ok(api.hub.letters(&name, state)?)).await?
    };
    let letters = letters.ok_or_else(|| unknown(&name))?;
    Ok(Json(json!({"letters": letters.iter().map(shown).collect::<Vec<_>>()})))
}

#[derive(Deserialize)]
pub(super) struct One {
    id: Option<String>,
}

pub(super) async fn redrive(State(api): State<Api>, Path(name): Path<String>, Query(one): Query<One>) -> Answer {
    let count = {
        let name = name.clone();
        aside(move || Ok(api.hub.redrive(&name, one.id.as_deref())?)).await?
    };
    Ok(Json(json!({"redriven": count.ok_or_else(|| unknown(&name))?})))
}

#[derive(Deserialize)]
pub(super) struct Place {
    after: u64,
}

pub(super) async fn replay(State(api): State<Api>, Path(name): Path<String>, Query(place): Query<Place>) -> Answer {
    let known = {
        let name = name.clone();
        aside(move || Ok(api.hub.replay(&name, place.after)?)).await?
    };
    if known { Ok(Json(json!({"after": place.after}))) } else { Err(unknown(&name)) }
}

#[derive(Deserialize)]
pub(super) struct Taken {
    resource: String,
}

pub(super) async fn undo(State(api): State<Api>, Path(name): Path<String>, Query(taken): Query<Taken>) -> Answer {
    let undone = {
        let name = name.clone();
        aside(move || Ok(api.hub.undo(&name, &taken.resource))).await?
    };
    match undone.ok_or_else(|| unknown(&name))? {
        Ok(said) => Ok(Json(json!({"undone": said}))),
        Err(error) => Err(Refusal(StatusCode::CONFLICT, error.to_string())),
    }
}

pub(super) async fn proposals(State(api): State<Api>, Path(name): Path<String>) -> Answer {
    let found = {
        let name = name.clone();
        aside(move || Ok(api.hub.proposals(&name))).await?
    };
    match found.ok_or_else(|| unknown(&name))? {
        Ok(proposals) => Ok(Json(json!({"proposals": proposals}))),
        Err(error) => Err(Refusal(StatusCode::CONFLICT, error.to_string())),
    }
}

pub(super) async fn approve(State(api): State<Api>, Path(name): Path<String>, Query(taken): Query<Taken>) -> Answer {
    let done = {
        let name = name.clone();
        aside(move || Ok(api.hub.approve(&name, &taken.resource))).await?
    };
    match done.ok_or_else(|| unknown(&name))? {
        Ok(said) => Ok(Json(json!({"approved": said}))),
        Err(error) => Err(Refusal(StatusCode::CONFLICT, error.to_string())),
    }
}
