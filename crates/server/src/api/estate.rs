//! The estate: how the server stands, its resources, and how well each is looked at.

use super::{Answer, Api, Asked, Refusal, aside, asked};
use crate::forget::is_gone;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use lestrade_findings::{Criteria, GroupBy, ResourceEntry, World, aggregate};
use lestrade_matching::ResourceId;
use lestrade_model::{Scope, Severity};
use lestrade_report::{coverage_json, exposure_word, kind_name, resource_json, resource_name, resource_ref_json};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How many rows are on a page when nobody says, and at most.
const PAGE: usize = 100;
const MOST: usize = 200;
/// Severities, the gravest first.
pub(super) const SEVERITIES: [Severity; 6] =
    [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Informational, Severity::Untriaged];

/// Every scope that has resources: whoever holds the token sees the whole server.
pub(super) fn scopes(world: &World) -> Vec<Scope> {
    world.scopes().cloned().collect()
}

/// The resources of all scopes in the order of their numbers, which never change, so that pages do not shift.
fn resources(world: &World, after: Option<ResourceId>) -> impl Iterator<Item = (ResourceId, &ResourceEntry)> {
    let all = world.scopes().fold(roaring::RoaringBitmap::new(), |all, scope| all | world.resources_in(scope));
    let from = after.map_or(0, |after| after.saturating_add(1));
    let ids: Vec<ResourceId> = all.range(from..).collect();
    ids.into_iter().filter_map(|id| Some((id, world.resource(id)?)))
}

/// How many resources are not looked at as they should be, so that findings may be missing.
pub(super) fn not_covered(world: &World) -> usize {
    let is_missed = |entry: &ResourceEntry| !is_gone(entry) && entry.coverage.iter().any(|coverage| !coverage.reason.is_active());
    resources(world, None).filter(|(_, entry)| is_missed(entry)).count()
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

#[derive(Default)]
struct OfKind {
    total: u64,
    active: u64,
    gone: u64,
    inactive: BTreeMap<&'static str, u64>,
}

pub(super) async fn status(State(api): State<Api>) -> Answer {
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
        for (_, entry) in resources(&world, None) {
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
        let groups = aggregate(&world, core.as_ref(), &scopes(&world), &Criteria::default(), GroupBy::Severity, now);
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
            "targets": api.hub.targets()?,
            "audit": {"at": audit.at.map(|at| at.to_string()), "resources": audit.resources, "differences": audit.differences},
        }))
    });
    Ok(Json(body.await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rows {
    kind: Option<String>,
    resource: Option<String>,
    /// Of coverage: `active` or `inactive`.
    status: Option<String>,
    /// Also those that are gone.
    #[serde(default)]
    gone: bool,
    limit: Option<usize>,
    page: Option<String>,
}

impl Rows {
    /// A page of rows of the resources that are asked for.
    fn page(
        &self,
        api: &Api,
        row: impl Fn(&World, ResourceId, &ResourceEntry) -> Vec<Value>,
    ) -> Result<(Vec<Value>, Option<String>), Refusal> {
        let refuse = |why: String| Refusal(StatusCode::BAD_REQUEST, why);
        let after = self
            .page
            .as_deref()
            .map(|page| page.parse::<ResourceId>().map_err(|_| refuse("the page is none of ours".into())))
            .transpose()?;
        if let Some(kind) = self.kind.as_deref().filter(|kind| !["instance", "image", "function", "host", "path"].contains(kind)) {
            return Err(refuse(format!(
                "'{}' is no kind: instance, image, function, host, path",
                kind.chars().take(64).collect::<String>()
            )));
        }
        let limit = self.limit.unwrap_or(PAGE).clamp(1, MOST);
        let world = api.hub.core().world();
        let wanted = |entry: &ResourceEntry| {
            self.kind.as_deref().is_none_or(|kind| kind == kind_name(entry.resource.key.kind))
                && self.resource.as_deref().is_none_or(|name| is_called(entry, name))
                && (self.gone || self.resource.is_some() || !is_gone(entry))
        };
        let (mut rows, mut last, mut more) = (Vec::new(), None, false);
        for (id, entry) in resources(&world, after).filter(|(_, entry)| wanted(entry)) {
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
            && let Some(name) = &self.resource
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

pub(super) async fn list(State(api): State<Api>, rows: Asked<Rows>) -> Answer {
    let rows = asked(rows)?;
    let (resources, next) = aside(move || {
        rows.page(&api, |world, id, entry| {
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

pub(super) async fn coverage(State(api): State<Api>, rows: Asked<Rows>) -> Answer {
    let rows = asked(rows)?;
    if let Some(status) = rows.status.as_deref().filter(|status| !["active", "inactive"].contains(status)) {
        return Err(Refusal(
            StatusCode::BAD_REQUEST,
            format!("'{}' is neither active nor inactive", status.chars().take(64).collect::<String>()),
        ));
    }
    let status = rows.status.clone();
    let (coverage, next) = aside(move || {
        rows.page(&api, |_, _, entry| {
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
