//! VEX: what a supplier says of vulnerabilities in its products. OpenVEX 0.2, CycloneDX's `vulnerabilities` and CSAF 2.0's profile
//! 5 (VEX), in JSON.
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

/// What a statement of a document is about: a thing as a whole, or packages wherever they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VexProduct {
    /// Packages, wherever they are.
    Packages,
    /// An image, as its package URL names it.
    Image(Box<PackageUrl>),
    /// Something by a name of its own.
    Named(String),
}

impl VexProduct {
    /// Whether `target` is it: an image's reference or a path, as it was named.
    fn is(&self, target: &str) -> bool {
        match self {
            Self::Packages => true,
            Self::Image(url) => names_image(url, target),
            Self::Named(name) => name == target,
        }
    }
}

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
    let source = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let said = parse_vex(&bytes, &source).map_err(not_one)?;
    Ok(said.into_iter().filter(|(product, _)| product.is(target)).map(|(_, statement)| statement).collect())
}

/// Reads all statements of a document, each with what it is about.
///
/// # Errors
/// Why it is no such document.
pub fn parse_vex(document: &[u8], source: &str) -> Result<Vec<(VexProduct, Statement)>, String> {
    let document: Value = serde_json::from_slice(document).map_err(|error| error.to_string())?;
    if document["@context"].as_str().is_some_and(|context| context.contains("openvex")) {
        return Ok(openvex(&document, source));
    }
    if document["bomFormat"] == "CycloneDX" {
        return Ok(cyclonedx(&document, source).into_iter().map(|statement| (VexProduct::Packages, statement)).collect());
    }
    if document["document"]["csaf_version"].is_string() {
        return Ok(csaf(&document, source));
    }
    Err("neither OpenVEX, CycloneDX nor CSAF".into())
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str().and_then(|text| Timestamp::parse(text).ok())
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// What a name in a document stands for.
enum Product {
    /// A thing as a whole.
    Whole(VexProduct),
    Package(Box<PackagePattern>),
}

fn openvex(document: &Value, source: &str) -> Vec<(VexProduct, Statement)> {
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
            match (named(product), parts.is_empty()) {
                (Some(Product::Package(pattern)), true) => out.push((VexProduct::Packages, say(vec![*pattern]))),
                (Some(Product::Whole(product)), true) => out.push((product, say(vec![]))),
                (Some(product), false) => {
                    let product = if let Product::Whole(product) = product { product } else { VexProduct::Packages };
                    let patterns = parts.into_iter().filter_map(|part| match named(part) {
                        Some(Product::Package(pattern)) => Some(*pattern),
                        _ => None,
                    });
                    out.extend(patterns.map(|pattern| (product.clone(), say(vec![pattern]))));
                }
                (None, _) => {}
            }
        }
    }
    out
}

/// What a product's identifiers name: the first package URL among them, or else the first name.
fn named(product: &Value) -> Option<Product> {
    let ids = [product["identifiers"]["purl"].as_str(), product["@id"].as_str(), product.as_str()];
    let by_url = ids.into_iter().flatten().find_map(by_url);
    by_url.or_else(|| ids.into_iter().flatten().next().map(|id| Product::Whole(VexProduct::Named(id.to_owned()))))
}

/// What a package URL names; none of a type that neither is an image nor has advisories.
fn by_url(text: &str) -> Option<Product> {
    let url: PackageUrl = text.parse().ok()?;
    match url.kind.as_str() {
        "oci" | "docker" => Some(Product::Whole(VexProduct::Image(Box::new(url)))),
        _ => PackagePattern::of(&url).map(|pattern| Product::Package(Box::new(pattern))),
    }
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

/// CSAF 2.0: products are defined in a tree, and related to each other (a package as a part of an image or of a system). What is
/// said of a product that has no package URL is about nothing that we could name.
fn csaf(document: &Value, source: &str) -> Vec<(VexProduct, Statement)> {
    let tree = &document["product_tree"];
    let mut urls: HashMap<&str, &str> = HashMap::new();
    // How deep it nests is bounded by the reader of JSON.
    let mut pending: Vec<&Value> = vec![tree];
    while let Some(branch) = pending.pop() {
        let products = branch["full_product_names"].as_array().into_iter().flatten().chain([&branch["product"]]);
        urls.extend(
            products
                .filter_map(|product| Some((product["product_id"].as_str()?, product["product_identification_helper"]["purl"].as_str()?))),
        );
        pending.extend(branch["branches"].as_array().into_iter().flatten());
    }
    let mut parts: HashMap<&str, (&str, &str)> = HashMap::new();
    for relation in tree["relationships"].as_array().into_iter().flatten() {
        let id = |key: &str| relation[key].as_str();
        if let (Some(part), Some(of), Some(whole)) =
            (id("product_reference"), id("relates_to_product_reference"), relation["full_product_name"]["product_id"].as_str())
        {
            parts.insert(whole, (part, of));
        }
    }
    let about = |id: &str| -> Option<(VexProduct, Vec<PackagePattern>)> {
        let (part, of) = parts.get(id).copied().map_or((id, None), |(part, of)| (part, Some(of)));
        let whole = of.and_then(|of| urls.get(of)).and_then(|url| by_url(url));
        match (by_url(urls.get(part)?)?, whole) {
            (Product::Package(pattern), Some(Product::Whole(whole))) => Some((whole, vec![*pattern])),
            (Product::Package(pattern), _) => Some((VexProduct::Packages, vec![*pattern])),
            (Product::Whole(whole), _) => Some((whole, vec![])),
        }
    };
    let made = time(&document["document"]["tracking"]["current_release_date"]);
    let mut out = Vec::new();
    for vulnerability in document["vulnerabilities"].as_array().into_iter().flatten() {
        let ids = vulnerability["ids"].as_array().into_iter().flatten().filter_map(|id| id["text"].as_str());
        let ids: Vec<String> = vulnerability["cve"].as_str().into_iter().chain(ids).map(str::to_owned).collect();
        let reason = |id: &str| {
            let concerns = |entry: &&Value| entry["product_ids"].as_array().is_some_and(|ids| ids.iter().any(|other| other == id));
            let of = |member: &str, key: &str| {
                let entries = vulnerability[member].as_array().into_iter().flatten();
                entries.filter(concerns).find_map(|entry| entry[key].as_str()).map(str::to_owned)
            };
            [of("flags", "label"), of("threats", "details")].into_iter().flatten().collect::<Vec<_>>().join(": ")
        };
        let statuses = [("known_not_affected", Status::NotAffected), ("fixed", Status::Fixed), ("known_affected", Status::Affected)];
        for (member, status) in statuses {
            for id in vulnerability["product_status"][member].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let Some((product, packages)) = about(id) else { continue };
                let statement = Statement {
                    ids: ids.clone(),
                    packages,
                    path: None,
                    status,
                    reason: reason(id),
                    source: source.to_owned(),
                    made,
                    expires: None,
                };
                out.push((product, statement));
            }
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
    fn csaf_speaks_of_parts_of_products() {
        let document = r#"{"document": {"csaf_version": "2.0", "category": "csaf_vex", "tracking": {"current_release_date": "2026-01-01T00:00:00Z"}},
            "product_tree": {"branches": [{"category": "vendor", "name": "x", "branches": [
                {"category": "product_version", "name": "a", "product": {"product_id": "A", "name": "a",
                    "product_identification_helper": {"purl": "pkg:npm/a@1"}}},
                {"category": "product_version", "name": "app", "product": {"product_id": "APP", "name": "app",
                    "product_identification_helper": {"purl": "pkg:oci/app?tag=v1"}}},
                {"category": "product_version", "name": "nameless", "product": {"product_id": "N", "name": "n"}}]}],
              "relationships": [{"category": "default_component_of", "product_reference": "A", "relates_to_product_reference": "APP",
                "full_product_name": {"product_id": "APP:A", "name": "a in app"}}]},
            "vulnerabilities": [
              {"cve": "CVE-1", "ids": [{"system_name": "x", "text": "GHSA-1"}], "product_status": {"known_not_affected": ["A", "N"]},
               "flags": [{"label": "vulnerable_code_not_present", "product_ids": ["A"]}]},
              {"cve": "CVE-2", "product_status": {"known_not_affected": ["APP:A"], "under_investigation": ["A"]}},
              {"cve": "CVE-3", "product_status": {"fixed": ["APP"], "known_affected": ["A"]}}]}"#;
        let in_app = ["CVE-1,GHSA-1 not-affected 1", "CVE-2 not-affected 1", "CVE-3 fixed 0", "CVE-3 affected 1"];
        assert_eq!(statements(document, "registry.example/team/app:v1"), in_app);
        assert_eq!(statements(document, "registry.example/other:v1"), [in_app[0], in_app[3]]);
        let said = parse_vex(document.as_bytes(), "x.json").unwrap();
        assert_eq!(said[0].1.reason, "vulnerable_code_not_present");
        let nested = "{\"branches\": [".repeat(80) + "{}" + &"]}".repeat(80);
        let document = format!("{{\"document\": {{\"csaf_version\": \"2.0\"}}, \"product_tree\": {nested}}}");
        assert!(parse_vex(document.as_bytes(), "x").unwrap_err().contains("recursion"));
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
