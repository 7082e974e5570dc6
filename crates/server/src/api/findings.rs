//! Findings, through the same query engine as `ListFindings`.

use super::estate::{is_called, no_resource, not_covered, scopes};
use super::{Answer, Api, Asked, Refusal, aside, asked};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use lestrade_findings::{Criteria, Effort, Page, PageRequest, Sort, SortField, Term, TextField, TextTest, list as list_findings};
use lestrade_model::{Scope, Severity};
use lestrade_report::{finding_detail_json, finding_json};
use serde::Deserialize;
use serde_json::json;

/// How many findings are on a page when nobody says, and at most.
const PAGE: usize = 50;
/// The most resources that one name may stand for.
const CALLED: usize = 1000;
const MOST: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Severities, separated by commas.
    severity: Option<String>,
    /// A resource, by its id or name.
    resource: Option<String>,
    vulnerability: Option<String>,
    /// `active`, `suppressed`, `closed`, separated by commas; without it, active.
    status: Option<String>,
    limit: Option<usize>,
    page: Option<String>,
}

fn refuse(why: String) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, why)
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The words of a list, each as a test.
fn words(list: &str, word: impl Fn(&str) -> Option<&'static str>, kinds: &str) -> Result<Vec<TextTest>, Refusal> {
    let of = |text: &str| {
        word(text).map(|word| TextTest::Equals(word.to_owned())).ok_or_else(|| refuse(format!("'{}' is none of: {kinds}", cut(text))))
    };
    list.split(',').map(str::trim).filter(|text| !text.is_empty()).map(of).collect()
}

fn status(text: &str) -> Option<&'static str> {
    ["ACTIVE", "SUPPRESSED", "CLOSED"].into_iter().find(|known| known.eq_ignore_ascii_case(text))
}

impl Wanted {
    /// The criteria, and the scopes in which they are asked.
    fn criteria(&self, api: &Api) -> Result<(Criteria, Vec<Scope>), Refusal> {
        let mut terms = Vec::new();
        if let Some(list) = &self.severity {
            let word = |text: &str| text.parse::<Severity>().ok().map(Severity::as_str);
            terms.push(Term::Text(TextField::Severity, words(list, word, "critical, high, medium, low, informational, untriaged")?));
        }
        let statuses = words(self.status.as_deref().unwrap_or("active"), status, "active, suppressed, closed")?;
        terms.push(Term::Text(TextField::FindingStatus, statuses));
        if let Some(id) = &self.vulnerability {
            terms.push(Term::Text(TextField::VulnerabilityId, vec![TextTest::Equals(id.clone())]));
        }
        let world = api.hub.core().world();
        let scopes = scopes(&world);
        if let Some(name) = &self.resource {
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
}

fn page(api: &Api, criteria: &Criteria, scopes: &[Scope], limit: usize, token: Option<&str>) -> Result<Page, Refusal> {
    let core = api.hub.core();
    let sort = Sort { field: SortField::Severity, descending: true };
    let request = PageRequest { scopes, criteria, sort, limit, token, now: core.now(), effort: Effort::default() };
    list_findings(&core.world(), core.as_ref(), core.token_key(), &request).map_err(|error| refuse(error.to_string()))
}

pub(super) async fn list(State(api): State<Api>, wanted: Asked<Wanted>) -> Answer {
    let wanted = asked(wanted)?;
    let (page, intelligence, uncovered) = aside(move || {
        let (criteria, scopes) = wanted.criteria(&api)?;
        let token = wanted.page.as_deref().filter(|token| !token.is_empty());
        let page = page(&api, &criteria, &scopes, wanted.limit.unwrap_or(PAGE).clamp(1, MOST), token)?;
        let core = api.hub.core();
        Ok((page, core.index().map(|index| index.manifest().generation), not_covered(&core.world())))
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
pub(super) async fn one(State(api): State<Api>, Path(id): Path<String>) -> Answer {
    let shown = id.chars().take(128).collect::<String>();
    let view = aside(move || {
        let scopes = scopes(&api.hub.core().world());
        let is_part = id.len() >= SHORTEST && id.len() < 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let test = |scope: &Scope| {
            let arn = scope.arn("inspector2", &format!("finding/{}", id.to_ascii_lowercase()));
            if is_part { TextTest::Prefix(arn) } else { TextTest::Equals(arn) }
        };
        let tests = if id.starts_with("arn:") { vec![TextTest::Equals(id.clone())] } else { scopes.iter().map(test).collect() };
        let criteria = Criteria { terms: vec![Term::Text(TextField::FindingArn, tests)] };
        let page = page(&api, &criteria, &scopes, 2, None)?;
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
    })
    .await?;
    Ok(Json(finding_detail_json(&view)))
}
