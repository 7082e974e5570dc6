//! Findings, through the same query engine as `ListFindings`.

use super::estate::{is_called, no_resource, not_covered};
use super::route::{Asking, Kind, Route, TEXT};
use super::schema::{self, count, format, list as list_of, named, object, or_null, text};
use super::{Answer, Api, Refusal, aside};
use crate::ServerError;
use axum::Json;
use axum::http::StatusCode;
use lestrade_findings::{
    Criteria, Effort, FindingView, Page, PageRequest, Sort, SortField, Term, TextField, TextTest, list as list_findings,
};
use lestrade_matching::IndexError;
use lestrade_model::{Advisory, FixState, Scope};
use lestrade_report::{explain_json, finding_detail_json, finding_json};
use serde_json::json;

/// How many findings are on a page when nobody says, and at most.
const PAGE: usize = 50;
/// The most resources that one name may stand for.
const CALLED: usize = 1000;
const MOST: usize = 100;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/findings", list)
            .says("Findings, the gravest first.")
            .query("severity", Kind::Words(&schema::SEVERITY), "Of these severities.")
            .query("resource", Kind::Text(TEXT), "In what is called so: by its id, its name, or its repository and a tag.")
            .query("vulnerability", Kind::Text(TEXT), "Of this vulnerability.")
            .query("unfixed", Kind::Words(&schema::UNFIXED), "With a package that has no fix, and of which this is why.")
            .query("status", Kind::Words(&schema::STATUSES), "Of these statuses; active ones when nothing is said.")
            .pages(PAGE, MOST)
            .fails(StatusCode::NOT_FOUND)
            .answers(object(&[
                ("schema", format("lestrade.estate/1")),
                ("findings", list_of(named("Finding"))),
                ("next", or_null(text())),
                ("intelligence", or_null(count())),
                ("notCovered", count()),
            ])),
        Route::get("/findings/{id}", one)
            .says("One finding with all that is known of it, and what its risk is made of.")
            .path("id", Kind::Text(TEXT), "Its ARN, the last part of that, or the beginning of it from eight characters on.")
            .answers(named("FindingDetail")),
        Route::get("/findings/{id}/explain", explained)
            .says("Why a finding matches, why it is as severe and as risky as it is, and how to be rid of it.")
            .path("id", Kind::Text(TEXT), "Its ARN, the last part of that, or the beginning of it from eight characters on.")
            .answers(named("Explanation")),
    ]
}

fn refuse(why: String) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, why)
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The criteria of a question, and the scopes in which they are asked.
fn criteria(Asking { api, caller, words, .. }: &Asking) -> Result<(Criteria, Vec<Scope>), Refusal> {
    let mut terms = Vec::new();
    let any_of = |list: Vec<&str>| list.into_iter().map(|word| TextTest::Equals(word.to_uppercase())).collect();
    let severities = words.list("severity");
    if !severities.is_empty() {
        terms.push(Term::Text(TextField::Severity, any_of(severities)));
    }
    let statuses = words.list("status");
    terms.push(Term::Text(TextField::FindingStatus, any_of(if statuses.is_empty() { vec!["active"] } else { statuses })));
    let unfixed: Vec<FixState> = words.list("unfixed").into_iter().filter_map(unfixed_state).collect();
    if !unfixed.is_empty() {
        terms.push(Term::State(unfixed));
    }
    if let Some(id) = words.text("vulnerability") {
        terms.push(Term::Text(TextField::VulnerabilityId, vec![TextTest::Equals(id.to_owned())]));
    }
    let world = api.hub.core().world();
    let scopes = caller.scopes(&world);
    if let Some(name) = words.text("resource") {
        let all = scopes.iter().flat_map(|scope| world.resources_in(scope)).filter_map(|id| world.resource(id));
        let called: Vec<TextTest> =
            all.filter(|entry| is_called(entry, name)).map(|entry| TextTest::Equals(entry.resource.key.id.clone())).collect();
        if called.is_empty() {
            return Err(no_resource(name));
        }
        if called.len() > CALLED {
            return Err(refuse(format!("'{}' is what {} resources are called; name one tag or id", cut(name), called.len())));
        }
        terms.push(Term::Text(TextField::ResourceId, called));
    }
    Ok((Criteria { terms }, scopes))
}

/// The state that a word is.
fn unfixed_state(word: &str) -> Option<FixState> {
    use FixState::{Deferred, EndOfLife, Open, UnderInvestigation, WillNotFix};
    [Open, Deferred, WillNotFix, EndOfLife, UnderInvestigation].into_iter().find(|state| state.as_str() == word)
}

fn page(api: &Api, criteria: &Criteria, scopes: &[Scope], limit: usize, token: Option<&str>) -> Result<Page, Refusal> {
    let core = api.hub.core();
    let sort = Sort { field: SortField::Severity, descending: true };
    let request = PageRequest { scopes, criteria, sort, limit, token, now: core.now(), effort: Effort::default() };
    list_findings(&core.world(), core.as_ref(), core.token_key(), &request).map_err(|error| refuse(error.to_string()))
}

async fn list(asking: Asking) -> Answer {
    let (page, intelligence, uncovered) = aside(move || {
        let (criteria, scopes) = criteria(&asking)?;
        let Asking { api, caller, words, .. } = &asking;
        let page = page(api, &criteria, &scopes, words.count("limit").unwrap_or(PAGE), words.text("page"))?;
        let core = api.hub.core();
        Ok((page, core.index().map(|index| index.manifest().generation), not_covered(&core.world(), caller)))
    })
    .await?;
    let findings: Vec<_> = page.findings.iter().map(finding_json).collect();
    Ok(Json(json!({
        "schema": "lestrade.estate/1",
        "findings": findings,
        "next": page.next,
        "intelligence": intelligence,
        "notCovered": uncovered,
    })))
}

/// How much of an id is enough to ask by.
const SHORTEST: usize = 8;

/// One finding, by its ARN, the last part of it, or the beginning of that as far as it names one.
async fn one(asking: Asking) -> Answer {
    let view = aside(move || found(&asking)).await?;
    Ok(Json(finding_detail_json(&view)))
}

async fn explained(asking: Asking) -> Answer {
    let explained = aside(move || {
        let view = found(&asking)?;
        let index = asking.api.hub.core().index();
        // What is no vulnerability has no advisories.
        let about = |index: &lestrade_advisories::OpenIndex| -> Result<Vec<Advisory>, IndexError> {
            index.advisories_of(&view.assessment.id)?.into_iter().map(|ordinal| index.advisory(ordinal)).collect()
        };
        let advisories = index.filter(|_| view.assessment.condition.is_none()).map(|index| about(&index)).transpose();
        Ok(explain_json(&view, &advisories.map_err(ServerError::from)?.unwrap_or_default()))
    });
    Ok(Json(explained.await?))
}

/// The finding that a path names.
fn found(Asking { api, caller, words, .. }: &Asking) -> Result<FindingView, Refusal> {
    let id = words.needed("id").to_owned();
    let shown = id.chars().take(128).collect::<String>();
    let scopes = caller.scopes(&api.hub.core().world());
    let is_part = id.len() >= SHORTEST && id.len() < 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let test = |scope: &Scope| {
        let arn = scope.arn("inspector2", &format!("finding/{}", id.to_ascii_lowercase()));
        if is_part { TextTest::Prefix(arn) } else { TextTest::Equals(arn) }
    };
    let tests = if id.starts_with("arn:") { vec![TextTest::Equals(id.clone())] } else { scopes.iter().map(test).collect() };
    let criteria = Criteria { terms: vec![Term::Text(TextField::FindingArn, tests)] };
    let page = page(api, &criteria, &scopes, 2, None)?;
    let mut found = page.findings;
    if found.len() < 2 && page.next.is_some() {
        // A whole id names its resource; a part of one would have to be looked for in all of a large estate.
        return Err(refuse(format!(
            "there are too many findings to look for one that begins with '{shown}': its whole id finds it at once"
        )));
    }
    match (found.pop(), found.is_empty()) {
        (Some(view), true) => Ok(view),
        (Some(_), false) => Err(refuse(format!("several findings begin with '{shown}'"))),
        (None, _) => Err(Refusal(StatusCode::NOT_FOUND, format!("there is no finding '{shown}'"))),
    }
}
