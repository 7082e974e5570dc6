//! The catalogue of events, in EventBridge's envelope: Inspector's own detail types as Inspector sends them, and ours for what it
//! lacks, under our own source.

use crate::inspector::{Times, finding};
use lestrade_findings::{Assessment, FindingView};
use lestrade_model::{Coverage, Resource, ResourceDetails, ResourceKind, ScanKind, Scope, Severity, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Resources that an event about many names.
const MAX_NAMED: usize = 10;

/// Whose event it is: `aws.inspector2` for shapes that are Inspector's, `lestrade` for ours.
#[derive(Clone, Copy)]
enum Source {
    Inspector,
    Lestrade,
}

/// What every event says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Its identity: the same state change always has the same one.
    pub id: &'a str,
    /// The account that it belongs to.
    pub account: &'a str,
    /// The region.
    pub region: &'a str,
    /// When it happened.
    pub at: Timestamp,
}

impl<'a> Head<'a> {
    const fn of(scope: &'a Scope, id: &'a str, at: Timestamp) -> Self {
        Self { id, account: scope.account.as_str(), region: scope.region.as_str(), at }
    }
}

/// An event under our own source: for whoever has something to tell that this catalogue's other functions have not.
#[must_use]
pub fn own_event(head: Head<'_>, detail_type: &str, resources: &[&str], detail: Value) -> Value {
    envelope(head, Source::Lestrade, detail_type, resources, detail)
}

fn envelope(head: Head<'_>, source: Source, detail_type: &str, resources: &[&str], detail: Value) -> Value {
    let mut out = json!({
        "version": "0",
        "id": head.id,
        "detail-type": detail_type,
        "source": match source { Source::Inspector => "aws.inspector2", Source::Lestrade => "lestrade" },
        "account": head.account,
        "time": head.at.whole_second().to_string(),
        "region": head.region,
        "resources": resources,
    });
    // Moved: `json!` would copy it, and it is most of the event.
    out["detail"] = detail;
    out
}

/// An `Inspector2 Finding` event. `id` is the event's identity: the same state change always has the same one.
#[must_use]
pub fn finding_event(view: &FindingView, id: &str, at: Timestamp) -> Value {
    let key = &view.resource.key;
    envelope(Head::of(&key.scope, id, at), Source::Inspector, "Inspector2 Finding", &[&key.id], finding(view, Times::Java))
}

/// An `Inspector2 Scan` event: a resource was looked at. `counts` are its open findings by severity.
#[must_use]
pub fn scan_event(resource: &Resource, counts: &BTreeMap<Severity, u64>, initial: bool, id: &str, at: Timestamp) -> Value {
    let count = |severity| counts.get(&severity).copied().unwrap_or_default();
    let mut detail = json!({
        "scan-status": if initial { "INITIAL_SCAN_COMPLETE" } else { "SCAN_COMPLETE" },
        "finding-severity-counts": {
            "CRITICAL": count(Severity::Critical),
            "HIGH": count(Severity::High),
            "MEDIUM": count(Severity::Medium),
            "TOTAL": counts.values().sum::<u64>(),
        },
        "version": "1.0",
    });
    let key = &resource.key;
    if key.kind == ResourceKind::Instance {
        detail["instance-id"] = json!(key.id);
    }
    if let ResourceDetails::Image(image) = &resource.details {
        detail["repository-name"] = json!(image.repository);
        detail["image-digest"] = json!(image.digest);
        detail["image-tags"] = json!(image.tags);
    }
    envelope(Head::of(&key.scope, id, at), Source::Inspector, "Inspector2 Scan", &[&key.id], detail)
}

/// An `Inspector2 Coverage` event: a resource is covered otherwise than before.
#[must_use]
pub fn coverage_event(resource: &Resource, coverage: &Coverage, id: &str, at: Timestamp) -> Value {
    let key = &resource.key;
    let timestamp = jiff::Timestamp::from_millisecond(at.as_millis()).map(|at| at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
    let mut detail = json!({
        "scanStatus": {
            "reason": coverage.reason.as_str(),
            "statusCodeValue": if coverage.reason.is_active() { "ACTIVE" } else { "INACTIVE" },
        },
        "scanType": match coverage.kind { ScanKind::Package => "PACKAGE", ScanKind::Network => "NETWORK", ScanKind::Code => "CODE" },
        "provider": "AWS",
        "providerAccountId": key.scope.account,
        "providerRegion": key.scope.region,
        "eventTimestamp": timestamp.unwrap_or_default(),
        "version": "1.0",
    });
    if !coverage.detail.is_empty() {
        detail["remedy"] = json!(coverage.detail);
    }
    envelope(Head::of(&key.scope, id, at), Source::Inspector, "Inspector2 Coverage", &[&key.id], detail)
}

/// What moved in many resources at once.
#[derive(Clone, Debug)]
pub struct Movement<'a> {
    /// `OPENED`, `CLOSED` or `CHANGED`.
    pub change: &'a str,
    /// What is known of the vulnerability.
    pub assessment: &'a Assessment,
    /// Resources by kind, in the words of `inspector2`.
    pub kinds: &'a BTreeMap<&'static str, u64>,
    /// Some of them.
    pub named: &'a [&'a str],
}

/// A `Lestrade Vulnerability Summary` event: one vulnerability moved in many resources of an account at once.
#[must_use]
pub fn summary_event(movement: &Movement<'_>, scope: &Scope, id: &str, at: Timestamp) -> Value {
    let assessment = movement.assessment;
    let kinds: Map<String, Value> = movement.kinds.iter().map(|(kind, count)| ((*kind).to_owned(), json!(count))).collect();
    let detail = json!({
        "vulnerabilityId": assessment.id,
        "change": movement.change,
        "findings": movement.kinds.values().sum::<u64>(),
        "severity": assessment.severity.as_str(),
        "title": assessment.summary,
        "exploitAvailable": if assessment.exploit_available() { "YES" } else { "NO" },
        "inspectorScore": assessment.inspector_score,
        "epss": assessment.epss,
        "resourceTypes": kinds,
    });
    let named = &movement.named[..movement.named.len().min(MAX_NAMED)];
    own_event(Head::of(scope, id, at), "Lestrade Vulnerability Summary", named, detail)
}

/// A `Lestrade Intelligence Refreshed` event: another generation is in force.
#[must_use]
pub fn intelligence_event(generation: &str, changed: u64, rescored: u64, scope: &Scope, id: &str, at: Timestamp) -> Value {
    let detail = json!({"generation": generation, "changed": changed, "rescored": rescored});
    own_event(Head::of(scope, id, at), "Lestrade Intelligence Refreshed", &[], detail)
}
