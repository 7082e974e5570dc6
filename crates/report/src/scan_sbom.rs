//! What `inspector-scan` answers about a bill of materials: CycloneDX with vulnerabilities and the properties that its clients read, or
//! Inspector's own list.

use crate::{CycloneDxVersion, ScanReport, cyclonedx_vdr};
use lestrade_findings::{AffectedPackage, Assessment, ScanFinding};
use lestrade_model::{CvssVersion, Severity};
use serde_json::{Map, Value, json};

/// Before the names of the scanner's properties.
const PREFIX: &str = "amazon:inspector:sbom_scanner";

/// The bill of materials with its vulnerabilities, as `CYCLONE_DX_1_5` has it.
#[must_use]
pub fn scanned_cyclonedx(report: &ScanReport) -> Value {
    let mut document = cyclonedx_vdr(report, CycloneDxVersion::V1_5);
    let counts = counts(report).into_iter();
    document["metadata"]["properties"] =
        counts.map(|(word, count)| property(&format!("{word}_vulnerabilities"), &count.to_string())).collect();
    let listed = document["vulnerabilities"].as_array_mut().into_iter().flatten();
    for (value, finding) in listed.zip(report.by_risk()) {
        value["properties"] = properties(finding);
    }
    document
}

/// The vulnerabilities alone, as `INSPECTOR` has them. Components that were not judged have a message: they are not clean.
#[must_use]
pub fn scanned_inspector(report: &ScanReport) -> Value {
    let message =
        |component: &lestrade_model::Component, info: &str| json!({"name": component.name, "purl": component.purl(), "info": info});
    let not_judged = report.not_judged().map(|component| message(&component.to_component(), "Component skipped: no rules found."));
    let excluded = report.result.not_applicable.iter().map(|(component, reason)| message(component, reason));
    let problems = report.inventory.problems.iter().map(|problem| json!({"name": problem.path, "info": problem.detail}));
    let messages: Vec<Value> = not_judged.chain(excluded).chain(problems).collect();
    let counts: Map<String, Value> = counts(report).into_iter().map(|(word, count)| (word.to_owned(), count.into())).collect();
    json!({
        "messages": messages,
        "vulnerability_count": counts,
        "vulnerabilities": report.by_risk().into_iter().map(vulnerability).collect::<Vec<_>>(),
    })
}

/// How many vulnerabilities there are of each severity, by the words that clients know.
fn counts(report: &ScanReport) -> [(&'static str, usize); 5] {
    let mut counts = [("critical", 0), ("high", 0), ("medium", 0), ("low", 0), ("other", 0)];
    for finding in &report.result.findings {
        let word = severity(finding.assessment.severity);
        let place = counts.iter().position(|(known, _)| *known == word).unwrap_or(counts.len() - 1);
        counts[place].1 += 1;
    }
    counts
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Medium => "medium",
        Severity::Low => "low",
        Severity::Informational | Severity::Untriaged => "other",
    }
}

fn property(name: &str, value: &str) -> Value {
    json!({"name": format!("{PREFIX}:{name}"), "value": value})
}

/// A day of CISA's catalogue as an instant.
fn instant(day: &str) -> String {
    format!("{day}T00:00:00Z")
}

fn properties(finding: &ScanFinding) -> Value {
    let assessment = &finding.assessment;
    let mut all = vec![property("exploit_available", if assessment.exploit_available() { "true" } else { "false" })];
    if let Some(known) = &assessment.known_exploited {
        all.push(property("cisa_kev_date_added", &instant(&known.added)));
        all.push(property("cisa_kev_date_due", &instant(&known.due)));
    }
    for package in &finding.packages {
        let fixed = package.fixed_in.as_deref();
        let fixed = fixed.map(|version| property(&format!("fixed_version:{}", package.component.hash()), version));
        // A component that lies in several places is fixed by one version.
        all.extend(fixed.filter(|fixed| !all.contains(fixed)));
    }
    Value::Array(all)
}

fn vulnerability(finding: &ScanFinding) -> Value {
    let assessment = &finding.assessment;
    let text = [&assessment.details, &assessment.summary].into_iter().find(|text| !text.is_empty());
    let all = [
        ("source", assessment.source_url.clone().map_or_else(|| json!(assessment.source), Value::from)),
        ("related", json!(assessment.related)),
        ("description", json!(text)),
        ("references", json!(assessment.references)),
        ("created", json!(assessment.published.map(|at| at.to_string()))),
        ("updated", json!(assessment.modified.map(|at| at.to_string()))),
        ("properties", details(assessment)),
        ("affects", finding.packages.iter().map(affected).collect()),
    ];
    let mut out = json!({"id": assessment.id, "severity": severity(assessment.severity)});
    for (name, value) in all.into_iter().filter(|(_, value)| !value.is_null()) {
        out[name] = value;
    }
    out
}

fn details(assessment: &Assessment) -> Value {
    let cwes: Vec<u64> = assessment.cwes.iter().filter_map(|cwe| cwe.strip_prefix("CWE-")?.parse().ok()).collect();
    let scores = assessment.scores.iter().map(|score| {
        let kind = match score.cvss.version {
            CvssVersion::V2 => "cvss2",
            CvssVersion::V30 | CvssVersion::V31 => "cvss3",
            CvssVersion::V4 => "cvss4",
        };
        let mut value = json!({"source": score.source.0, "severity": severity(Severity::of_score(score.cvss.score))});
        value[format!("{kind}_base_score")] = json!(score.cvss.score);
        value[format!("{kind}_base_vector")] = json!(score.cvss.vector);
        value
    });
    let mut out = json!({"cwes": cwes, "cvss": scores.collect::<Vec<_>>(), "exploit_available": assessment.exploit_available()});
    if let Some(epss) = assessment.epss {
        out["epss"] = json!(epss);
    }
    if let Some(known) = &assessment.known_exploited {
        out["cisa_kev_date_added"] = json!(instant(&known.added));
        out["cisa_kev_date_due"] = json!(instant(&known.due));
    }
    out
}

fn affected(package: &AffectedPackage) -> Value {
    let component = &package.component;
    let installed = component.purl().unwrap_or_else(|| format!("{}@{}", component.name, component.version));
    let mut out = json!({"installed_version": installed});
    for (name, value) in [("fixed_version", &package.fixed_in), ("path", &package.path)] {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            out[name] = json!(value);
        }
    }
    out
}
