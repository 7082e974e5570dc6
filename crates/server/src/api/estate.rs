//! The estate: how the server stands, its resources, and how well each is looked at.

use super::caller::Caller;
use super::route::{Asking, Kind, Route, TEXT};
use super::schema::{self, count, format, instant, list as list_of, map, named, object, or_null, text};
use super::{Answer, Refusal, aside};
use crate::forget::is_gone;
use axum::Json;
use axum::http::StatusCode;
use lestrade_findings::{Criteria, GroupBy, ResourceEntry, World, aggregate};
use lestrade_matching::ResourceId;
use lestrade_model::Severity;
use lestrade_report::{coverage_json, exposure_word, kind_name, resource_exposure_json, resource_json, resource_name, resource_ref_json};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How many rows are on a page when nobody says, and at most.
const PAGE: usize = 100;
const MOST: usize = 200;
/// Severities, the gravest first.
pub(super) const SEVERITIES: [Severity; 6] =
    [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Informational, Severity::Untriaged];

/// The resources that somebody sees in the order of their numbers, which never change, so that pages do not shift.
fn resources<'w>(world: &'w World, caller: &Caller, after: Option<ResourceId>) -> impl Iterator<Item = (ResourceId, &'w ResourceEntry)> {
    let all =
        world.scopes().filter(|scope| caller.sees(scope)).fold(roaring::RoaringBitmap::new(), |all, scope| all | world.resources_in(scope));
    let from = after.map_or(0, |after| after.saturating_add(1));
    let ids: Vec<ResourceId> = all.range(from..).collect();
    ids.into_iter().filter_map(|id| Some((id, world.resource(id)?)))
}

/// How many resources are not looked at as they should be, so that findings may be missing.
pub(super) fn not_covered(world: &World, caller: &Caller) -> usize {
    let is_missed = |entry: &ResourceEntry| !is_gone(entry) && entry.coverage.iter().any(|coverage| !coverage.reason.is_active());
    resources(world, caller, None).filter(|(_, entry)| is_missed(entry)).count()
}

/// Whether a resource is what somebody calls so: by its id, its name, or its repository and a tag.
pub(super) fn is_called(entry: &ResourceEntry, text: &str) -> bool {
    let resource = &entry.resource;
    if resource.key.id == text || resource_name(resource) == text {
        return true;
    }
    let lestrade_model::ResourceDetails::Image(image) = &resource.details else { return false };
    let (repository, tag) = text.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or((text, None), |(r, t)| (r, Some(t)));
    let is_repository = image.repository == repository
        || repository.strip_prefix(&image.registry).and_then(|r| r.strip_prefix('/')) == Some(&image.repository);
    is_repository && tag.is_none_or(|tag| image.tags.iter().any(|known| known == tag))
}

pub(super) fn routes() -> Vec<Route> {
    let of_resources = |route: Route| {
        route
            .query("kind", Kind::Word(&schema::KINDS), "Resources of one kind.")
            .query("resource", Kind::Text(TEXT), "What is called so: by its id, its name, or its repository and a tag.")
            .query("gone", Kind::Flag, "Also those that are gone.")
            .pages(PAGE, MOST)
            .fails(StatusCode::NOT_FOUND)
    };
    vec![
        Route::get("/status", status).says("How the server and the estate stand.").answers(status_schema()),
        of_resources(Route::get("/resources", list)).says("Resources, with how many findings each has open.").answers(object(&[
            ("schema", format("lestrade.estate/1")),
            ("resources", list_of(named("Resource"))),
            ("next", or_null(text())),
        ])),
        Route::get("/resources/{id}/exposure", exposure)
            .says("From how far a resource is reached, over what, and what listens there.")
            .path("id", Kind::Text(TEXT), "What it is called: its id, its name, or its repository and a tag.")
            .fails(StatusCode::CONFLICT)
            .answers(exposure_schema()),
        of_resources(Route::get("/coverage", coverage))
            .query("status", Kind::Word(&["active", "inactive"]), "Looks that are as they should be, or those that are not.")
            .says("How well each resource is looked at. Reasons are Inspector's.")
            .answers(object(&[
                ("schema", format("lestrade.estate/1")),
                ("coverage", list_of(schema::also(schema::coverage(), &[("resource", named("ResourceRef"))]))),
                ("next", or_null(text())),
            ])),
    ]
}

fn status_schema() -> Value {
    let feed = object(&[("feed", text()), ("records", count()), ("imported", instant()), ("ageSeconds", count())]);
    let intelligence = object(&[("generation", count()), ("built", instant()), ("ageSeconds", count()), ("feeds", list_of(feed))]);
    let poll = object(&[("feed", text()), ("at", instant()), ("failures", count()), ("failure", or_null(text()))]);
    let kind = object(&[("kind", text()), ("total", count()), ("active", count()), ("inactive", map(count())), ("gone", count())]);
    object(&[
        ("schema", format("lestrade.status/1")),
        ("version", text()),
        ("at", instant()),
        ("intelligence", or_null(intelligence)),
        ("stalled", or_null(instant())),
        ("polls", list_of(poll)),
        ("resources", list_of(kind)),
        ("findings", schema::also(schema::by_severity(), &[("active", count())])),
        ("targets", list_of(super::targets::target_schema())),
        ("audit", object(&[("at", or_null(instant())), ("resources", count()), ("differences", count())])),
    ])
}

fn exposure_schema() -> Value {
    let step = object(&[("id", text()), ("type", text())]);
    let door = object(&[
        ("from", schema::word(&schema::EXPOSURES)),
        ("over", text()),
        ("interface", text()),
        ("address", text()),
        ("protocol", text()),
        ("firstPort", count()),
        ("lastPort", count()),
    ]);
    let path = object(&[
        ("title", text()),
        ("severity", schema::word(&schema::SEVERITY)),
        ("description", text()),
        ("path", list_of(step)),
        ("remediation", text()),
    ]);
    object(&[
        ("schema", format("lestrade.resource-exposure/1")),
        ("resource", named("ResourceRef")),
        ("exposure", schema::word(&schema::EXPOSURES)),
        ("doors", list_of(door)),
        ("paths", list_of(path)),
        ("listening", or_null(list_of(named("Socket")))),
        ("coverage", list_of(named("Coverage"))),
    ])
}

async fn exposure(Asking { api, caller, words, .. }: Asking) -> Answer {
    let answer = aside(move || {
        let name = words.needed("id");
        let world = api.hub.core().world();
        let mut called = resources(&world, &caller, None).filter(|(_, entry)| is_called(entry, name));
        let (id, entry) = called.next().ok_or_else(|| no_resource(name))?;
        if called.next().is_some() {
            return Err(Refusal(StatusCode::CONFLICT, "several resources are called so: name one by its id".into()));
        }
        Ok(resource_exposure_json(&world, id, entry))
    });
    Ok(Json(answer.await?))
}

#[derive(Default)]
struct OfKind {
    total: u64,
    active: u64,
    gone: u64,
    inactive: BTreeMap<&'static str, u64>,
}

async fn status(Asking { api, caller, .. }: Asking) -> Answer {
    let body = aside(move || {
        let core = api.hub.core();
        let now = core.now();
        let seconds = |at: lestrade_model::Timestamp| (now.as_millis().saturating_sub(at.as_millis()) / 1000).max(0);
        let intelligence = core.index().map(|index| {
            let manifest = index.manifest();
            let feeds = manifest.feeds.iter().map(|feed| {
                json!({"feed": feed.feed, "records": feed.records, "imported": feed.imported_at.to_string(), "ageSeconds": seconds(feed.imported_at)})
            });
            json!({
                "generation": manifest.generation,
                "built": manifest.built_at.to_string(),
                "ageSeconds": seconds(manifest.built_at),
                "feeds": feeds.collect::<Vec<_>>(),
            })
        });
        let polls = core
            .polls()
            .into_iter()
            .map(|(feed, poll)| json!({"feed": feed, "at": poll.at.to_string(), "failures": poll.failures, "failure": poll.failure()}));
        let mut kinds: BTreeMap<&'static str, OfKind> = BTreeMap::new();
        let world = core.world();
        for (_, entry) in resources(&world, &caller, None) {
            let kind = kinds.entry(kind_name(entry.resource.key.kind)).or_default();
            if is_gone(entry) {
                kind.gone += 1;
                continue;
            }
            kind.total += 1;
            let inactive = entry.coverage.iter().find(|coverage| !coverage.reason.is_active());
            match inactive {
                None => kind.active += 1,
                Some(coverage) => *kind.inactive.entry(coverage.reason.as_str()).or_default() += 1,
            }
        }
        // Severities are of match sets: no inventory is read for them.
        let groups = aggregate(&world, core.as_ref(), &caller.scopes(&world), &Criteria::default(), GroupBy::Severity, now);
        let groups = groups.unwrap_or_default();
        drop(world);
        let mut findings = Map::new();
        findings.insert("active".into(), groups.iter().map(|group| group.counts.all).sum::<u64>().into());
        for severity in SEVERITIES {
            let count: u64 = groups.iter().map(|group| group.counts.of(severity)).sum();
            findings.insert(severity.as_str().to_lowercase(), count.into());
        }
        let kinds = kinds
            .into_iter()
            .map(|(kind, of)| json!({"kind": kind, "total": of.total, "active": of.active, "inactive": of.inactive, "gone": of.gone}));
        let audit = core.audit_state();
        Ok(json!({
            "schema": "lestrade.status/1",
            "version": env!("CARGO_PKG_VERSION"),
            "at": now.to_string(),
            "intelligence": intelligence,
            "stalled": core.stalled().map(|at| at.to_string()),
            "polls": polls.collect::<Vec<_>>(),
            "resources": kinds.collect::<Vec<_>>(),
            "findings": findings,
            // Targets are sent what is of every account.
            "targets": if caller.whole { api.hub.targets()? } else { Vec::new() },
            "audit": {"at": audit.at.map(|at| at.to_string()), "resources": audit.resources, "differences": audit.differences},
        }))
    });
    Ok(Json(body.await?))
}

/// The resources whose rows are asked for.
struct Rows(Asking);

impl Rows {
    /// A page of rows of the resources that are asked for.
    fn page(&self, row: impl Fn(&World, ResourceId, &ResourceEntry) -> Vec<Value>) -> Result<(Vec<Value>, Option<String>), Refusal> {
        let Asking { api, caller, words, .. } = &self.0;
        let none_of_ours = || Refusal(StatusCode::BAD_REQUEST, "the page is none of ours".into());
        let after = words.text("page").map(|page| page.parse::<ResourceId>().map_err(|_| none_of_ours())).transpose()?;
        let (kind, resource, gone) = (words.text("kind"), words.text("resource"), words.flag("gone"));
        let limit = words.count("limit").unwrap_or(PAGE);
        let world = api.hub.core().world();
        let wanted = |entry: &ResourceEntry| {
            kind.is_none_or(|kind| kind == kind_name(entry.resource.key.kind))
                && resource.is_none_or(|name| is_called(entry, name))
                && (gone || resource.is_some() || !is_gone(entry))
        };
        let (mut rows, mut last, mut more) = (Vec::new(), None, false);
        for (id, entry) in resources(&world, caller, after).filter(|(_, entry)| wanted(entry)) {
            let of = row(&world, id, entry);
            if of.is_empty() {
                continue;
            }
            if rows.len() >= limit {
                more = true;
                break;
            }
            rows.extend(of);
            last = Some(id.to_string());
        }
        if rows.is_empty()
            && after.is_none()
            && let Some(name) = resource
        {
            return Err(no_resource(name));
        }
        Ok((rows, last.filter(|_| more)))
    }
}

/// That nothing is called so: an answer without rows would look clean.
pub(super) fn no_resource(name: &str) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, format!("there is no resource '{}'", name.chars().take(128).collect::<String>()))
}

async fn list(asking: Asking) -> Answer {
    let rows = Rows(asking);
    let (resources, next) = aside(move || {
        rows.page(|world, id, entry| {
            let mut row = resource_json(entry);
            row["exposure"] = exposure_word(world.exposure(id)).into();
            let mut open = Map::new();
            for severity in SEVERITIES {
                open.insert(severity.as_str().to_lowercase(), 0.into());
            }
            let mut counts = [0_u64; SEVERITIES.len()];
            for vulnerability in world.estate.vulnerabilities_of(id).iter() {
                let severity = world.assessment(vulnerability).map_or(Severity::Untriaged, |known| known.severity);
                if let Some(at) = SEVERITIES.iter().position(|known| *known == severity) {
                    counts[at] += 1;
                }
            }
            for (severity, count) in SEVERITIES.into_iter().zip(counts) {
                open.insert(severity.as_str().to_lowercase(), count.into());
            }
            row["open"] = Value::Object(open);
            vec![row]
        })
    })
    .await?;
    Ok(Json(json!({"schema": "lestrade.estate/1", "resources": resources, "next": next})))
}

async fn coverage(asking: Asking) -> Answer {
    let status = asking.words.text("status").map(str::to_owned);
    let rows = Rows(asking);
    let (coverage, next) = aside(move || {
        rows.page(|_, _, entry| {
            let of = entry.coverage.iter().map(|coverage| {
                let mut row = coverage_json(coverage);
                row["resource"] = resource_ref_json(&entry.resource);
                row
            });
            of.filter(|row| status.as_deref().is_none_or(|wanted| row["status"] == wanted)).collect()
        })
    })
    .await?;
    Ok(Json(json!({"schema": "lestrade.estate/1", "coverage": coverage, "next": next})))
}
