//! Schemas of what the native API answers, JSON Schema as OpenAPI 3.1 has it: small makers, and the shapes that several routes share.

use super::estate::SEVERITIES;
use serde_json::{Map, Value, json};

pub(crate) fn text() -> Value {
    json!({"type": "string"})
}

/// An instant, RFC 3339.
pub(crate) fn instant() -> Value {
    json!({"type": "string", "format": "date-time"})
}

pub(crate) fn word(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

/// A number of things.
pub(crate) fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

pub(crate) fn number(least: f64, most: f64) -> Value {
    json!({"type": "number", "minimum": least, "maximum": most})
}

pub(crate) fn number_from(least: f64) -> Value {
    json!({"type": "number", "minimum": least})
}

pub(crate) fn flag() -> Value {
    json!({"type": "boolean"})
}

pub(crate) fn any() -> Value {
    json!({})
}

pub(crate) fn list(of: Value) -> Value {
    json!({"type": "array", "items": of})
}

/// Names, each with one of these.
pub(crate) fn map(of: Value) -> Value {
    json!({"type": "object", "additionalProperties": of})
}

pub(crate) fn or_null(of: Value) -> Value {
    json!({"anyOf": [of, {"type": "null"}]})
}

/// A shape that has a name.
pub(crate) fn named(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The name of a document's format.
pub(crate) fn format(name: &str) -> Value {
    json!({"const": name})
}

/// An object. A member whose name ends in `?` may be missing.
pub(crate) fn object(members: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> =
        members.iter().map(|(name, schema)| (name.trim_end_matches('?').to_owned(), schema.clone())).collect();
    let required: Vec<&str> = members.iter().map(|(name, _)| *name).filter(|name| !name.ends_with('?')).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

/// What one shape has, and more.
pub(crate) fn also(mut of: Value, more: &[(&str, Value)]) -> Value {
    let more = object(more);
    if let (Some(properties), Some(others)) = (of["properties"].as_object_mut(), more["properties"].as_object()) {
        properties.extend(others.clone());
    }
    if let (Some(required), Some(others)) = (of["required"].as_array_mut(), more["required"].as_array()) {
        required.extend(others.clone());
    }
    of
}

/// That what was named is removed.
pub(crate) fn removed() -> Value {
    object(&[("removed", text())])
}

/// A number for each severity.
pub(crate) fn by_severity() -> Value {
    let members: Vec<(String, Value)> = SEVERITIES.iter().map(|severity| (severity.as_str().to_lowercase(), count())).collect();
    object(&members.iter().map(|(name, schema)| (name.as_str(), schema.clone())).collect::<Vec<_>>())
}

/// The words for severities, for kinds of resources, for how far something can be reached, and for what is unfixed.
pub(crate) const SEVERITY: [&str; 6] = ["critical", "high", "medium", "low", "informational", "untriaged"];
pub(crate) const KINDS: [&str; 6] = ["instance", "image", "function", "host", "path", "machine-image"];
pub(crate) const STATUSES: [&str; 3] = ["active", "suppressed", "closed"];
pub(crate) const EXPOSURES: [&str; 6] = ["none", "unknown", "private", "load-balancer", "internet", "internet-listening"];
pub(crate) const UNFIXED: [&str; 5] = ["open", "deferred", "will-not-fix", "end-of-life", "under-investigation"];
const LISTENING: [&str; 4] = ["reached", "listening", "not-listening", "unknown"];

fn resource_ref() -> Value {
    object(&[
        ("id", text()),
        ("name", text()),
        ("kind", word(&[KINDS.as_slice(), &["other"]].concat())),
        ("account", text()),
        ("region", text()),
    ])
}

fn socket() -> Value {
    object(&[
        ("protocol", text()),
        ("address", text()),
        ("port", json!({"type": "integer", "minimum": 0, "maximum": 65535})),
        ("process", or_null(text())),
        ("executable", or_null(text())),
        ("package", or_null(text())),
    ])
}

pub(crate) fn coverage() -> Value {
    object(&[
        ("scan", word(&["package", "network", "code"])),
        ("status", word(&["active", "inactive"])),
        ("reason", text()),
        ("detail", text()),
        ("lastScanned", or_null(instant())),
    ])
}

fn package() -> Value {
    object(&[
        ("ecosystem", text()),
        ("name", text()),
        ("version", text()),
        ("state", word(&[UNFIXED.as_slice(), &["fixed"]].concat())),
        ("fixedIn", or_null(text())),
        ("path", or_null(text())),
        ("layer", or_null(text())),
    ])
}

fn finding() -> Value {
    object(&[
        ("id", text()),
        ("arn", text()),
        ("type", text()),
        ("vulnerability", or_null(text())),
        ("severity", word(&SEVERITY)),
        ("status", word(&STATUSES)),
        ("suppressedBy", or_null(text())),
        ("risk", number(0.0, 100.0)),
        ("exposure", word(&EXPOSURES)),
        ("listening", word(&LISTENING)),
        ("score", or_null(number(0.0, 10.0))),
        ("epss", or_null(number(0.0, 1.0))),
        ("knownExploited", flag()),
        ("exploitMaturity", word(&["unreported", "proof-of-concept", "functional", "attacked"])),
        ("fixAvailable", word(&["yes", "no", "partial"])),
        ("title", text()),
        ("resource", named("ResourceRef")),
        ("packageCount", count()),
        ("packages", list(named("Package"))),
        ("firstObserved", instant()),
        ("lastObserved", instant()),
        ("updated", instant()),
    ])
}

fn risk_factors() -> Value {
    let factor = || number(0.0, 1.0);
    object(&[("impact", factor()), ("likelihood", factor()), ("exposure", factor()), ("weight", factor())])
}

fn finding_detail() -> Value {
    let exploit = object(&[("source", text()), ("name", text()), ("maturity", text()), ("published", any())]);
    let ssvc = object(&[("exploitation", text()), ("automatable", text()), ("technicalImpact", text()), ("at", any())]);
    let score = object(&[("source", text()), ("version", text()), ("vector", text()), ("score", number(0.0, 10.0))]);
    let reached = also(socket(), &[("reachedFrom", word(&EXPOSURES)), ("reachedOver", or_null(text()))]);
    also(
        finding(),
        &[
            ("riskFactors", named("RiskFactors")),
            ("remediation?", or_null(text())),
            ("path?", list(object(&[("id", text()), ("type", text())]))),
            ("sockets?", list(reached)),
            ("exploits", list(exploit)),
            ("ssvc", or_null(ssvc)),
            ("why", text()),
            ("summary", text()),
            ("details", text()),
            ("source", or_null(text())),
            ("url", or_null(text())),
            ("vendorSeverity", or_null(text())),
            ("rejected", or_null(instant())),
            ("related", list(text())),
            ("references", list(text())),
            ("scores", list(score)),
        ],
    )
}

fn explanation() -> Value {
    let score = object(&[("source", text()), ("version", text()), ("vector", text()), ("score", number(0.0, 10.0)), ("decides", flag())]);
    let step = object(&[
        ("factor", word(&["impact", "likelihood", "exposure", "weight"])),
        ("times", number(0.0, 1.0)),
        ("leaves", number(0.0, 100.0)),
        ("because", text()),
    ]);
    let metric = object(&[("metric", word(&["base", "AV"])), ("leaves", number(0.0, 10.0)), ("vector", text()), ("because", text())]);
    let matching = object(&[
        ("ecosystem", text()),
        ("name", text()),
        ("version", text()),
        ("judgedBy", or_null(object(&[("name", text()), ("version", text())]))),
        ("because", list(object(&[("advisory", text()), ("feed", text()), ("says", text())]))),
        ("places", list(object(&[("path", or_null(text())), ("layer", or_null(text()))]))),
    ]);
    let fix = object(&[
        ("package", text()),
        ("installed", text()),
        ("state", word(&[UNFIXED.as_slice(), &["fixed"]].concat())),
        ("to", or_null(text())),
        ("command", or_null(text())),
    ]);
    object(&[
        ("schema", format("lestrade.explanation/1")),
        ("finding", text()),
        ("vulnerability", or_null(text())),
        ("resource", named("ResourceRef")),
        ("status", word(&STATUSES)),
        ("suppressedBy", or_null(text())),
        ("rejected", or_null(instant())),
        ("severity", object(&[("is", word(&SEVERITY)), ("why", text()), ("scores", list(score)), ("vendor", or_null(text()))])),
        ("inspectorScore", or_null(object(&[("value", number(0.0, 10.0)), ("waterfall", list(metric))]))),
        ("risk", object(&[("value", number(0.0, 100.0)), ("waterfall", list(step))])),
        ("matches", list(matching)),
        ("fixes", list(fix)),
        ("remediation", or_null(text())),
    ])
}

fn resource() -> Value {
    let image =
        object(&[("registry", text()), ("repository", text()), ("digest", text()), ("tags", list(text())), ("architecture", text())]);
    also(
        resource_ref(),
        &[
            ("tags", map(text())),
            ("runningKernel", or_null(text())),
            ("image?", image),
            ("listening?", or_null(list(named("Socket")))),
            ("coverage", list(named("Coverage"))),
            ("exposure", word(&EXPOSURES)),
            ("open", by_severity()),
        ],
    )
}

/// An event, in EventBridge's envelope.
fn event() -> Value {
    object(&[
        ("version", text()),
        ("id", text()),
        ("detail-type", text()),
        ("source", word(&["aws.inspector2", "lestrade"])),
        ("account", text()),
        ("time", instant()),
        ("region", text()),
        ("resources", list(text())),
        ("detail", json!({"type": "object"})),
    ])
}

/// The shapes that have a name.
pub(crate) fn all() -> Map<String, Value> {
    [
        ("Error", object(&[("error", text())])),
        ("ResourceRef", resource_ref()),
        ("Resource", resource()),
        ("Socket", socket()),
        ("Coverage", coverage()),
        ("Package", package()),
        ("Finding", finding()),
        ("FindingDetail", finding_detail()),
        ("RiskFactors", risk_factors()),
        ("Explanation", explanation()),
        ("Event", event()),
    ]
    .into_iter()
    .map(|(name, schema)| (name.to_owned(), schema))
    .collect()
}
