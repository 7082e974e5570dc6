//! VEX: what a supplier says of vulnerabilities in its products. OpenVEX 0.2 and CycloneDX's `vulnerabilities`, in JSON.
//!
//! A statement covers the packages that it names by package URL. One about an image covers all packages of that image, or those
//! that it lists as subcomponents, and nothing of another image.

use crate::AdvisoriesError;
use lestrade_matching::{PackagePattern, Statement, Status};
use lestrade_model::{PackageUrl, Timestamp};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

/// The largest document that is read.
const MAX_DOCUMENT: u64 = 64 << 20;

/// Reads a document's statements, as far as they concern `target`: an image's reference or a path, as it was named.
///
/// # Errors
/// When it cannot be read or is no such document.
pub fn read_vex(path: &Path, target: &str) -> Result<Vec<Statement>, AdvisoriesError> {
    let not_one = |reason: String| AdvisoriesError::NotAFeed { path: path.to_owned(), reason };
    let size = std::fs::metadata(path).map_err(AdvisoriesError::io("read", path))?.len();
    if size > MAX_DOCUMENT {
        return Err(not_one(format!("it is larger than {} MiB", MAX_DOCUMENT >> 20)));
    }
    let bytes = std::fs::read(path).map_err(AdvisoriesError::io("read", path))?;
    let document: Value = serde_json::from_slice(&bytes).map_err(|error| not_one(error.to_string()))?;
    let source = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if document["@context"].as_str().is_some_and(|context| context.contains("openvex")) {
        return Ok(openvex(&document, &source, target));
    }
    if document["bomFormat"] == "CycloneDX" {
        return Ok(cyclonedx(&document, &source));
    }
    Err(not_one("neither OpenVEX nor CycloneDX".into()))
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str().and_then(|text| Timestamp::parse(text).ok())
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// What a statement is about.
enum Product {
    /// The whole of what is scanned.
    Target,
    Package(Box<PackagePattern>),
}

fn openvex(document: &Value, source: &str, target: &str) -> Vec<Statement> {
    let mut out = Vec::new();
    for statement in document["statements"].as_array().into_iter().flatten() {
        let status = match text(statement, "status") {
            "not_affected" => Status::NotAffected,
            "fixed" => Status::Fixed,
            "affected" => Status::Affected,
            // Still being looked into: that changes nothing.
            _ => continue,
        };
        let vulnerability = &statement["vulnerability"];
        let mut ids: Vec<String> = vulnerability.as_str().into_iter().chain(vulnerability["name"].as_str()).map(str::to_owned).collect();
        ids.extend(vulnerability["aliases"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
        let reasons = ["justification", "impact_statement", "status_notes"].map(|key| text(statement, key));
        let reason = reasons.into_iter().filter(|reason| !reason.is_empty()).collect::<Vec<_>>().join(": ");
        let made = ["last_updated", "timestamp"].iter().find_map(|key| time(&statement[*key])).or_else(|| time(&document["timestamp"]));
        let say = |packages: Vec<PackagePattern>| Statement {
            ids: ids.clone(),
            packages,
            path: None,
            status,
            reason: reason.clone(),
            source: source.to_owned(),
            made,
            expires: None,
        };
        for product in statement["products"].as_array().into_iter().flatten() {
            let parts: Vec<&Value> = product["subcomponents"].as_array().into_iter().flatten().collect();
            match (named(product, target), parts.is_empty()) {
                (Some(Product::Package(pattern)), true) => out.push(say(vec![*pattern])),
                (Some(Product::Target), true) => out.push(say(vec![])),
                (Some(_), false) => {
                    let patterns = parts.into_iter().filter_map(|part| match named(part, target) {
                        Some(Product::Package(pattern)) => Some(*pattern),
                        _ => None,
                    });
                    out.extend(patterns.map(|pattern| say(vec![pattern])));
                }
                (None, _) => {}
            }
        }
    }
    out
}

/// What a product's identifiers name; none if that is something else than what is scanned.
fn named(product: &Value, target: &str) -> Option<Product> {
    let ids = [product.as_str(), product["@id"].as_str(), product["identifiers"]["purl"].as_str()];
    ids.into_iter().flatten().find_map(|id| {
        if id == target {
            return Some(Product::Target);
        }
        let url: PackageUrl = id.parse().ok()?;
        match url.kind.as_str() {
            "oci" | "docker" => names_image(&url, target).then_some(Product::Target),
            _ => PackagePattern::of(&url).map(|pattern| Product::Package(Box::new(pattern))),
        }
    })
}

/// Whether an image's package URL is the one of a reference: by the repository's last name, and by the digest where both have one.
fn names_image(url: &PackageUrl, target: &str) -> bool {
    let (name, digest) = target.split_once('@').map_or((target, None), |(name, digest)| (name, Some(digest)));
    let last = name.rsplit('/').next().unwrap_or_default();
    let repository = last.split(':').next().unwrap_or_default();
    let same_digest = match (url.version.as_deref().filter(|version| version.starts_with("sha256:")), digest) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    };
    url.name.eq_ignore_ascii_case(repository) && same_digest
}

fn cyclonedx(document: &Value, source: &str) -> Vec<Statement> {
    let components = document["components"].as_array().into_iter().flatten();
    let purls: HashMap<&str, &str> =
        components.filter_map(|component| Some((component["bom-ref"].as_str()?, component["purl"].as_str()?))).collect();
    let made = time(&document["metadata"]["timestamp"]);
    let mut out = Vec::new();
    for vulnerability in document["vulnerabilities"].as_array().into_iter().flatten() {
        let analysis = &vulnerability["analysis"];
        let status = match text(analysis, "state") {
            "not_affected" | "false_positive" => Status::NotAffected,
            "resolved" | "resolved_with_pedigree" => Status::Fixed,
            "exploitable" => Status::Affected,
            _ => continue,
        };
        let reasons = [text(analysis, "justification"), text(analysis, "detail")];
        let reason = reasons.into_iter().filter(|reason| !reason.is_empty()).collect::<Vec<_>>().join(": ");
        let references = vulnerability["references"].as_array().into_iter().flatten().filter_map(|reference| reference["id"].as_str());
        let ids: Vec<String> = vulnerability["id"].as_str().into_iter().chain(references).map(str::to_owned).collect();
        for affected in vulnerability["affects"].as_array().into_iter().flatten() {
            // A reference into this document, or a link (BOM-Link) into another whose part after `#` is the reference there.
            let reference = text(affected, "ref");
            let inner = reference.rsplit_once('#').filter(|_| reference.starts_with("urn:cdx:")).map_or(reference, |(_, inner)| inner);
            let purl = purls.get(inner).copied().unwrap_or(inner);
            let Some(pattern) = purl.parse().ok().as_ref().and_then(PackagePattern::of) else { continue };
            out.push(Statement {
                ids: ids.clone(),
                packages: vec![pattern],
                path: None,
                status,
                reason: reason.clone(),
                source: source.to_owned(),
                made: time(&analysis["lastUpdated"]).or(made),
                expires: None,
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(document: &str, target: &str) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), document).unwrap();
        let show = |s: Statement| format!("{} {} {}", s.ids.join(","), s.status.as_str(), s.packages.len());
        read_vex(file.path(), target).unwrap().into_iter().map(show).collect()
    }

    #[test]
    fn openvex_speaks_of_packages_and_of_images() {
        let document = r#"{"@context": "https://openvex.dev/ns/v0.2.0", "timestamp": "2024-01-01T00:00:00Z", "statements": [
            {"vulnerability": {"name": "CVE-1", "aliases": ["GHSA-1"]}, "products": [{"@id": "pkg:npm/a@1"}], "status": "not_affected"},
            {"vulnerability": {"name": "CVE-2"}, "products": [{"@id": "pkg:oci/app?tag=v1", "subcomponents": [{"@id": "pkg:npm/b"}]}],
             "status": "fixed"},
            {"vulnerability": {"name": "CVE-3"}, "products": [{"@id": "pkg:oci/app"}], "status": "not_affected"},
            {"vulnerability": {"name": "CVE-4"}, "products": [{"@id": "pkg:npm/a"}], "status": "under_investigation"}]}"#;
        assert_eq!(
            statements(document, "registry.example/team/app:v1"),
            ["CVE-1,GHSA-1 not-affected 1", "CVE-2 fixed 1", "CVE-3 not-affected 0"]
        );
        assert_eq!(statements(document, "registry.example/team/other:v1"), ["CVE-1,GHSA-1 not-affected 1"]);
    }

    #[test]
    fn cyclonedx_refers_to_components_and_into_other_documents() {
        let document = r#"{"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [{"bom-ref": "x", "purl": "pkg:npm/a@1"}],
            "vulnerabilities": [{"id": "CVE-1", "analysis": {"state": "not_affected"}, "affects": [{"ref": "x"}]},
            {"id": "CVE-2", "analysis": {"state": "resolved"}, "affects": [{"ref": "urn:cdx:0-0/1#pkg:npm/b@2"}]},
            {"id": "CVE-3", "analysis": {"state": "in_triage"}, "affects": [{"ref": "x"}]}]}"#;
        assert_eq!(statements(document, "x"), ["CVE-1 not-affected 1", "CVE-2 fixed 1"]);
    }
}
