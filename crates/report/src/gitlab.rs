//! Findings as GitLab takes them: a container or dependency scanning report, schema 15.2.4.

use crate::scan_report::state_of;
use crate::{ScanReport, printable};
use lestrade_findings::{AffectedPackage, ScanFinding};
use lestrade_model::{Hash, Severity, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const SCHEMA: &str = "15.2.4";
/// The longest texts that the schema takes.
const NAME: usize = 255;
const DESCRIPTION: usize = 1_048_576;

/// The report: of an image one of container scanning, of anything else one of dependency scanning.
#[must_use]
pub fn gitlab(report: &ScanReport) -> Value {
    let image = report.kind == "image";
    let tool = json!({"id": "lestrade", "name": "lestrade", "version": env!("CARGO_PKG_VERSION"), "vendor": {"name": "lestrade"}});
    let findings = report.by_risk();
    let vulnerabilities: Vec<Value> =
        findings.iter().flat_map(|finding| finding.packages.iter().map(|package| entry(report, finding, package))).collect();
    let mut document = json!({
        "version": SCHEMA,
        "scan": {
            "analyzer": tool, "scanner": tool,
            "type": if image { "container_scanning" } else { "dependency_scanning" },
            "start_time": time(report.at), "end_time": time(report.at),
            "status": "success",
            "messages": report.inventory.problems.iter().map(|problem| json!({
                "level": "warn", "value": cut(&format!("not covered: {}: {}", problem.path, problem.detail), DESCRIPTION),
            })).collect::<Vec<_>>(),
        },
        "vulnerabilities": vulnerabilities,
    });
    if !image {
        document["dependency_files"] = dependency_files(report);
    }
    document
}

/// Seconds without a zone is what the schema asks for.
fn time(at: Timestamp) -> String {
    at.to_string().get(..19).unwrap_or("1970-01-01T00:00:00").to_owned()
}

fn cut(text: &str, most: usize) -> String {
    printable(text).chars().take(most).collect()
}

fn entry(report: &ScanReport, finding: &ScanFinding, package: &AffectedPackage) -> Value {
    let assessment = &finding.assessment;
    let component = &package.component;
    let path = package.path.as_deref().unwrap_or_default();
    let id = Hash::of_fields([assessment.id.as_bytes(), component.hash().as_bytes().as_slice(), path.as_bytes()]).to_string();
    let kind = match assessment.id.split('-').next() {
        Some("CVE") => "cve",
        Some("GHSA") => "ghsa",
        _ => "other",
    };
    let mut identifier = json!({"type": kind, "name": assessment.id, "value": assessment.id});
    let mut links: Vec<&String> = assessment.references.iter().filter(|url| url.starts_with("https://")).collect();
    if let Some(url) = &assessment.source_url {
        identifier["url"] = json!(url);
        links.insert(0, url);
    }
    links.dedup();
    let dependency = json!({"package": {"name": component.name}, "version": component.version});
    let system = report.inventory.os.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let location = if report.kind == "image" {
        json!({"dependency": dependency, "operating_system": system, "image": report.target})
    } else {
        json!({"dependency": dependency, "file": path})
    };
    let solution = package
        .fixed_in
        .as_ref()
        .map_or_else(|| state_of(finding).as_str().to_owned(), |fix| format!("Upgrade {} to {fix}", component.name));
    json!({
        "id": id,
        "name": cut(&assessment.id, NAME),
        "description": cut(if assessment.details.is_empty() { &assessment.summary } else { &assessment.details }, DESCRIPTION),
        "severity": match assessment.severity {
            Severity::Critical => "Critical",
            Severity::High => "High",
            Severity::Medium => "Medium",
            Severity::Low => "Low",
            Severity::Informational => "Info",
            Severity::Untriaged => "Unknown",
        },
        "solution": cut(&solution, 7000),
        "identifiers": [identifier],
        "links": links.into_iter().take(100).map(|url| json!({"url": url})).collect::<Vec<_>>(),
        "location": location,
    })
}

/// The files that were read, with what each names.
fn dependency_files(report: &ScanReport) -> Value {
    let mut files: BTreeMap<(&str, String), Vec<Value>> = BTreeMap::new();
    for (number, component) in (0_u32..).zip(report.inventory.components()) {
        for place in report.inventory.places(number) {
            let manager = format!("{:?}", place.manager).to_lowercase();
            let entry = json!({"package": {"name": component.name}, "version": component.version});
            files.entry((place.path, manager)).or_default().push(entry);
        }
    }
    files
        .into_iter()
        .map(|((path, manager), dependencies)| json!({"path": path, "package_manager": manager, "dependencies": dependencies}))
        .collect()
}
