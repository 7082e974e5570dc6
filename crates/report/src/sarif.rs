//! Findings as SARIF 2.1.0 (OASIS), for code-scanning services.
//!
//! One rule for each vulnerability, one result for each affected package at each place. Services take so many results and no
//! more: the gravest come first, and a cut is told in the run itself.

use crate::{ScanReport, printable};
use lestrade_findings::{AffectedPackage, Assessment, Excepted};
use lestrade_model::{Completeness, Hash, Severity};
use serde_json::{Value, json};
use std::collections::HashMap;

/// The most results that code-scanning services take of one run.
const MAX_RESULTS: usize = 25_000;

/// The report as a SARIF log with one run.
#[must_use]
pub fn sarif(report: &ScanReport) -> Value {
    let mut rules: Vec<Value> = Vec::new();
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut results: Vec<Value> = Vec::new();
    let mut place = |assessment: &'_ Assessment| {
        rules.push(rule(assessment));
        rules.len() - 1
    };
    for finding in report.by_risk() {
        let number = place(&finding.assessment);
        numbers.insert(&finding.assessment.id, number);
        let room = MAX_RESULTS.saturating_sub(results.len());
        results.extend(finding.packages.iter().take(room).map(|package| result(number, &finding.assessment, package)));
    }
    // What a statement speaks against is a result that is suppressed, so that a service closes it and knows why.
    for Excepted { assessment, package, statement } in report.result.excepted.iter().take(MAX_RESULTS.saturating_sub(results.len())) {
        let number = *numbers.entry(&assessment.id).or_insert_with(|| place(assessment));
        let mut result = result(number, assessment, package);
        let why = format!("{}: {}", statement.status.as_str(), printable(&statement.reason));
        result["suppressions"] = json!([{"kind": "external", "status": "accepted", "justification": why}]);
        results.push(result);
    }
    let total = report.result.findings.iter().map(|finding| finding.packages.len()).sum::<usize>() + report.result.excepted.len();
    let mut notices: Vec<Value> = Vec::new();
    let mut notice = |text: String| notices.push(json!({"level": "warning", "message": {"text": text}}));
    for problem in &report.inventory.problems {
        notice(format!("not covered: {}: {}", printable(&problem.path), printable(&problem.detail)));
    }
    if !report.result.not_judged.is_empty() {
        notice(format!("{} packages of ecosystems without advisories are not judged", report.result.not_judged.len()));
    }
    if report.intelligence.starter_only {
        notice("only the starter set was asked; this is not a clean bill of health".to_owned());
    }
    if total > results.len() {
        notice(format!("{} of {total} results are left out", total - results.len()));
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "lestrade", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "invocations": [{
                "executionSuccessful": report.completeness() == Completeness::Complete,
                "toolExecutionNotifications": notices,
            }],
            "columnKind": "utf16CodeUnits",
            "results": results,
        }],
    })
}

fn rule(assessment: &Assessment) -> Value {
    let summary = if assessment.summary.is_empty() { assessment.id.clone() } else { printable(&assessment.summary).into_owned() };
    let mut rule = json!({
        "id": assessment.id,
        "shortDescription": {"text": summary},
        "help": {"text": format!("{}: {}", assessment.id, assessment.why)},
        "properties": {
            "security-severity": format!("{:.1}", assessment.decided_by.as_ref().map_or(0.0, |score| score.cvss.score)),
            "tags": ["security", "vulnerability"],
        },
    });
    if let Some(url) = &assessment.source_url {
        rule["helpUri"] = json!(url);
    }
    rule
}

fn result(rule: usize, assessment: &Assessment, package: &AffectedPackage) -> Value {
    let component = &package.component;
    let remedy = package.fixed_in.as_ref().map_or_else(|| "no fix yet".to_owned(), |fixed| format!("fixed in {fixed}"));
    let text = format!("{} {} has {}; {remedy}", component.name, component.version, assessment.id);
    let path = package.path.as_deref().unwrap_or("unknown");
    let fingerprint = Hash::of_fields([assessment.id.as_bytes(), component.name.as_bytes(), path.as_bytes()]);
    json!({
        "ruleId": assessment.id,
        "ruleIndex": rule,
        "level": match assessment.severity {
            Severity::Critical | Severity::High => "error",
            Severity::Medium => "warning",
            _ => "note",
        },
        "message": {"text": printable(&text)},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri(path)}, "region": {"startLine": 1}}}],
        "partialFingerprints": {"lestrade/v1": fingerprint.to_string()},
    })
}

/// A path as a relative URI (RFC 3986).
fn uri(path: &str) -> String {
    path.bytes().fold(String::with_capacity(path.len()), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' | b'@' | b'+' => out.push(byte as char),
            other => out.push_str(&format!("%{other:02X}")),
        }
        out
    })
}
