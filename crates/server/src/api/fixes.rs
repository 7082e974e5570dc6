//! What to do first: upgrades, by how much risk each removes from the estate.

use super::route::{Asking, Kind, Route, TEXT};
use super::schema::{self, count, format, list as list_of, number_from, object, or_null, text};
use super::{Answer, aside};
use axum::Json;
use lestrade_findings::{Criteria, Term, TextField, TextTest, upgrades};
use lestrade_report::upgrade_json;
use serde_json::json;

/// How many upgrades are told when nobody says, and at most.
const FIRST: usize = 20;
const MOST: u64 = 100;

pub(super) fn routes() -> Vec<Route> {
    let installed = object(&[("name", text()), ("version", text())]);
    let fix = object(&[
        ("ecosystem", text()),
        ("package", text()),
        ("installed", list_of(installed)),
        ("installedCount", count()),
        ("to", or_null(text())),
        ("resources", count()),
        ("findings", count()),
        ("closes", list_of(text())),
        ("closesCount", count()),
        ("risk", number_from(0.0)),
        ("command", or_null(text())),
    ]);
    vec![
        Route::get("/fixes", list)
            .says("Upgrades that close active findings, those that remove most risk first.")
            .query("severity", Kind::Words(&schema::SEVERITY), "What closes findings of these severities, and only those counted.")
            .query("vulnerability", Kind::Text(TEXT), "What closes this vulnerability.")
            .query("limit", Kind::Number(1, MOST), "How many are wanted at most.")
            .answers(object(&[("schema", format("lestrade.fixes/1")), ("fixes", list_of(fix)), ("total", count())])),
    ]
}

async fn list(Asking { api, caller, words, .. }: Asking) -> Answer {
    let answer = aside(move || {
        let mut terms = Vec::new();
        let severities: Vec<TextTest> = words.list("severity").into_iter().map(|word| TextTest::Equals(word.to_uppercase())).collect();
        if !severities.is_empty() {
            terms.push(Term::Text(TextField::Severity, severities));
        }
        if let Some(id) = words.text("vulnerability") {
            terms.push(Term::Text(TextField::VulnerabilityId, vec![TextTest::Equals(id.to_owned())]));
        }
        let core = api.hub.core();
        let world = core.world();
        let most = words.count("limit").unwrap_or(FIRST);
        let scopes = caller.scopes(&world);
        let (upgrades, total) = upgrades(&world, core.as_ref(), &scopes, &Criteria { terms }, most, core.now());
        drop(world);
        let fixes: Vec<_> = upgrades.iter().map(upgrade_json).collect();
        Ok(json!({"schema": "lestrade.fixes/1", "fixes": fixes, "total": total}))
    });
    Ok(Json(answer.await?))
}
