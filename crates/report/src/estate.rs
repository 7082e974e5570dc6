//! A watched estate as JSON, one object for each resource and finding: `lestrade.estate/1`. Fields are only ever added.

use crate::json::{exploits_json, ssvc_json};
use lestrade_findings::{AffectedPackage, Assessment, Door, FindingView, Listening, ResourceEntry, World};
use lestrade_matching::ResourceId;
use lestrade_model::{Coverage, Exposure, ListeningSocket, Resource, ResourceDetails, ResourceKind, ScanKind};
use serde_json::{Value, json};
use std::sync::Arc;

/// The most packages of a finding in a list; all of them are in the finding by itself.
const PACKAGES: usize = 20;

/// The word for a kind of resource.
#[must_use]
pub const fn kind_name(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Instance => "instance",
        ResourceKind::Image => "image",
        ResourceKind::Function => "function",
        ResourceKind::Host => "host",
        ResourceKind::Path => "path",
        ResourceKind::MachineImage => "machine-image",
        _ => "other",
    }
}

/// What a person calls a resource: an image by its repository and tag, a machine by its name, all else by its id.
#[must_use]
pub fn resource_name(resource: &Resource) -> String {
    let tag = |name: &str| resource.tags.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    match &resource.details {
        ResourceDetails::Image(image) => match image.tags.first() {
            Some(tag) => format!("{}/{}:{tag}", image.registry, image.repository),
            None => format!("{}/{}@{}", image.registry, image.repository, image.digest.chars().take(19).collect::<String>()),
        },
        ResourceDetails::MachineImage(image) if !image.name.is_empty() => image.name.clone(),
        _ => tag("Name").filter(|name| !name.is_empty()).unwrap_or_else(|| resource.key.id.clone()),
    }
}

fn scan_name(kind: ScanKind) -> &'static str {
    match kind {
        ScanKind::Package => "package",
        ScanKind::Network => "network",
        ScanKind::Code => "code",
    }
}

/// One kind of look at one resource.
#[must_use]
pub fn coverage_json(coverage: &Coverage) -> Value {
    json!({
        "scan": scan_name(coverage.kind),
        "status": if coverage.reason.is_active() { "active" } else { "inactive" },
        "reason": coverage.reason.as_str(),
        "detail": coverage.detail,
        "lastScanned": coverage.last_scanned.map(|at| at.to_string()),
    })
}

/// What names a resource, wherever one is spoken of.
#[must_use]
pub fn resource_ref_json(resource: &Resource) -> Value {
    json!({
        "id": resource.key.id,
        "name": resource_name(resource),
        "kind": kind_name(resource.key.kind),
        "account": resource.key.scope.account,
        "region": resource.key.scope.region,
    })
}

/// A resource.
#[must_use]
pub fn resource_json(entry: &ResourceEntry) -> Value {
    let mut out = resource_ref_json(&entry.resource);
    let tags: serde_json::Map<String, Value> = entry.resource.tags.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    out["tags"] = Value::Object(tags);
    out["runningKernel"] = json!(entry.resource.facts.running_kernel);
    if let ResourceDetails::Image(image) = &entry.resource.details {
        out["image"] = json!({
            "registry": image.registry, "repository": image.repository, "digest": image.digest, "tags": image.tags,
            "architecture": image.architecture,
        });
    }
    if let ResourceDetails::Host(host) = &entry.resource.details {
        out["listening"] = json!(host.listening.as_ref().map(|sockets| sockets.iter().map(socket).collect::<Vec<_>>()));
    }
    out["coverage"] = entry.coverage.iter().map(coverage_json).collect();
    out
}

fn socket(socket: &ListeningSocket) -> Value {
    json!({
        "protocol": socket.protocol, "address": socket.address, "port": socket.port, "process": socket.process,
        "executable": socket.executable, "package": socket.package,
    })
}

/// How far a resource can be reached, as a word.
#[must_use]
pub const fn exposure_word(exposure: Exposure) -> &'static str {
    match exposure {
        Exposure::None => "none",
        Exposure::Unknown => "unknown",
        Exposure::Private => "private",
        Exposure::LoadBalancer => "load-balancer",
        Exposure::Internet => "internet",
        Exposure::InternetListening => "internet-listening",
    }
}

/// From how far a resource is reached, and over what: the doors that its network leaves open, what listens, and what of the network
/// is not known.
#[must_use]
pub fn resource_exposure_json(world: &World, id: ResourceId, entry: &ResourceEntry) -> Value {
    let door = |door: &Door| {
        json!({
            "from": exposure_word(door.exposure), "over": door.edge, "interface": door.interface, "address": door.address,
            "protocol": door.protocol.as_str().to_lowercase(), "firstPort": door.ports.0, "lastPort": door.ports.1,
        })
    };
    let path = |assessment: &Arc<Assessment>| {
        let condition = assessment.condition.as_ref().filter(|condition| condition.is_of_network())?;
        let steps: Vec<Value> = condition.steps.iter().map(|step| json!({"id": step.id, "type": step.kind})).collect();
        Some(json!({
            "title": condition.title, "severity": condition.severity.as_str().to_lowercase(), "description": condition.description,
            "path": steps, "remediation": condition.remediation,
        }))
    };
    let conditions = world.estate.conditions_of(id);
    let paths = conditions.into_iter().flatten().filter_map(|condition| world.assessment(condition)).filter_map(path);
    let looks = entry.coverage.iter().filter(|coverage| coverage.kind == ScanKind::Network);
    json!({
        "schema": "lestrade.resource-exposure/1",
        "resource": resource_ref_json(&entry.resource),
        "exposure": exposure_word(world.exposure(id)),
        "doors": world.doors(id).iter().map(door).collect::<Vec<_>>(),
        "paths": paths.collect::<Vec<_>>(),
        "listening": world.sockets(id).map(|sockets| sockets.iter().map(socket).collect::<Vec<_>>()),
        "coverage": looks.map(coverage_json).collect::<Vec<_>>(),
    })
}

/// A finding in a list.
#[must_use]
pub fn finding_json(view: &FindingView) -> Value {
    let assessment = &view.assessment;
    json!({
        "id": view.arn.as_str().rsplit('/').next(),
        "arn": view.arn.as_str(),
        "type": view.key.finding_type().as_str(),
        "vulnerability": assessment.condition.is_none().then_some(&assessment.id),
        "severity": view.severity.as_str().to_lowercase(),
        "status": view.status.as_str().to_lowercase(),
        "suppressedBy": view.suppressed_by.as_deref(),
        "risk": view.risk().value,
        "exposure": exposure_word(view.exposure),
        "listening": view.listening.as_str(),
        "score": assessment.decided_by.as_ref().map(|score| score.cvss.score),
        "epss": assessment.epss,
        "knownExploited": assessment.known_exploited.is_some(),
        "exploitMaturity": assessment.maturity.as_str(),
        "fixAvailable": view.fix_available.as_str().to_lowercase(),
        "title": view.title,
        "resource": resource_ref_json(&view.resource),
        "packageCount": view.packages.len(),
        "packages": view.packages.iter().take(PACKAGES).map(package).collect::<Vec<_>>(),
        "firstObserved": view.first_observed.to_string(),
        "lastObserved": view.last_observed.to_string(),
        "updated": view.updated.to_string(),
    })
}

/// A finding by itself, with all that is known of it.
#[must_use]
pub fn finding_detail_json(view: &FindingView) -> Value {
    let assessment = &view.assessment;
    let mut out = finding_json(view);
    out["packages"] = view.packages.iter().map(package).collect();
    let risk = view.risk();
    out["riskFactors"] = json!({
        "impact": risk.impact, "likelihood": risk.likelihood, "exposure": risk.exposure, "weight": risk.weight,
    });
    if let Some(condition) = &assessment.condition {
        out["remediation"] = json!(condition.remediation);
        out["path"] = condition.steps.iter().map(|step| json!({"id": step.id, "type": step.kind})).collect();
    }
    if let Listening::Known(sockets) = &view.listening {
        let reached = |reached: &lestrade_findings::ReachedSocket| {
            let mut out = socket(&reached.socket);
            out["reachedFrom"] = exposure_word(reached.from).into();
            out["reachedOver"] = json!(reached.over);
            out
        };
        out["sockets"] = sockets.iter().map(reached).collect();
    }
    out["exploits"] = exploits_json(assessment);
    out["ssvc"] = ssvc_json(assessment);
    out["why"] = json!(assessment.why);
    out["summary"] = json!(assessment.summary);
    out["details"] = json!(assessment.details);
    out["source"] = json!(assessment.source);
    out["url"] = json!(assessment.source_url);
    out["vendorSeverity"] = json!(assessment.vendor_severity);
    out["rejected"] = json!(assessment.rejected.map(|at| at.to_string()));
    out["related"] = json!(assessment.related);
    out["references"] = json!(assessment.references);
    let score = |score: &lestrade_model::Score| json!({"source": score.source.0, "version": score.cvss.version.as_str(), "vector": score.cvss.vector, "score": score.cvss.score});
    out["scores"] = assessment.scores.iter().map(score).collect();
    out
}

fn package(package: &AffectedPackage) -> Value {
    json!({
        "ecosystem": package.component.ecosystem.to_string(),
        "name": package.component.name,
        "version": package.component.version,
        "state": package.state.as_str(),
        "fixedIn": package.fixed_in,
        "path": package.path,
        "layer": package.layer,
    })
}
