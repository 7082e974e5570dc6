//! A scan as JSON: `lestrade.scan/1`. Fields are only ever added.

use crate::scan_report::state_of;
use crate::{Document, ScanReport, fixes};
use lestrade_findings::{AffectedPackage, Assessment, ScanFinding};
use lestrade_model::{Completeness, Exploit, Problem};
use serde_json::{Value, json};

/// The report as one JSON document; the same report gives the same bytes.
#[must_use]
pub fn scan_json(report: &ScanReport) -> Document<'_> {
    let not_judged = || {
        report
            .not_judged()
            .map(|component| json!({"ecosystem": component.ecosystem.to_string(), "name": component.name, "version": component.version}))
    };
    Document::new(outline(report)).with(&["notJudged"], not_judged)
}

/// The report without its longest list.
fn outline(report: &ScanReport) -> Value {
    let counts: serde_json::Map<String, Value> =
        report.counts().into_iter().map(|(severity, count)| (severity.as_str().to_lowercase(), json!(count))).collect();
    json!({
        "schema": "lestrade.scan/1",
        "target": {
            "name": report.target,
            "kind": report.kind,
            "os": report.inventory.os.as_ref().map(|os| json!({"id": os.id, "version": os.version, "prettyName": os.pretty_name})),
        },
        "completeness": match report.completeness() {
            Completeness::Complete => "complete",
            Completeness::Partial => "partial",
        },
        "intelligence": {
            "generation": report.intelligence.generation,
            "newest": report.intelligence.newest.map(|at| at.to_string()),
            "starterOnly": report.intelligence.starter_only,
            "feeds": report.intelligence.feeds.iter().map(|(feed, records)| json!({"feed": feed, "records": records})).collect::<Vec<_>>(),
        },
        "summary": {
            "components": report.inventory.len(),
            "findings": report.result.findings.len(),
            "bySeverity": counts,
            "notJudged": report.result.not_judged.len(),
        },
        "fixes": fixes(report).iter().map(|fix| json!({
            "ecosystem": fix.ecosystem.to_string(),
            "package": fix.package,
            "installed": fix.installed,
            "to": fix.to,
            "closes": fix.closes,
            "risk": (fix.risk * 10.0).round() / 10.0,
            "command": fix.command,
        })).collect::<Vec<_>>(),
        "findings": report.by_risk().into_iter().map(finding).collect::<Vec<_>>(),
        "notJudged": [],
        "notApplicable": report.result.not_applicable.iter().map(|(component, reason)| json!({
            "name": component.name, "version": component.version, "reason": reason,
        })).collect::<Vec<_>>(),
        "excepted": report.result.excepted.iter().map(|excepted| json!({
            "id": excepted.assessment.id,
            "severity": excepted.assessment.severity.as_str().to_lowercase(),
            "package": package(&excepted.package),
            "status": excepted.statement.status.as_str(),
            "reason": excepted.statement.reason,
            "source": excepted.statement.source,
            "expires": excepted.statement.expires.map(|at| at.to_string()),
        })).collect::<Vec<_>>(),
        "expired": report.expired.iter().map(|statement| json!({
            "ids": statement.ids, "source": statement.source, "expires": statement.expires.map(|at| at.to_string()),
        })).collect::<Vec<_>>(),
        "problems": report.inventory.problems.iter().map(problem).collect::<Vec<_>>(),
    })
}

fn finding(finding: &ScanFinding) -> Value {
    let assessment = &finding.assessment;
    json!({
        "id": assessment.id,
        "severity": assessment.severity.as_str().to_lowercase(),
        "why": assessment.why,
        "risk": ScanReport::risk_of(finding),
        "score": assessment.decided_by.as_ref().map(|score| score.cvss.score),
        "scores": assessment.scores.iter().map(|score| json!({
            "source": score.source.0, "version": score.cvss.version.as_str(), "vector": score.cvss.vector, "score": score.cvss.score,
        })).collect::<Vec<_>>(),
        "epss": assessment.epss,
        "knownExploited": assessment.known_exploited.as_ref().map(|known| json!({
            "added": known.added, "due": known.due, "action": known.action, "ransomware": known.ransomware,
        })),
        "exploitMaturity": assessment.maturity.as_str(),
        "exploits": exploits_json(assessment),
        "ssvc": ssvc_json(assessment),
        "vendorSeverity": assessment.vendor_severity,
        "rejected": assessment.rejected.map(|at| at.to_string()),
        "source": assessment.source,
        "url": assessment.source_url,
        "summary": assessment.summary,
        "related": assessment.related,
        "state": state_of(finding).as_str(),
        "packages": finding.packages.iter().map(package).collect::<Vec<_>>(),
    })
}

/// Published exploits.
pub(crate) fn exploits_json(assessment: &Assessment) -> Value {
    let exploit = |exploit: &Exploit| {
        json!({
            "source": exploit.source.as_str(), "name": exploit.name, "maturity": exploit.maturity.as_str(), "published": exploit.published,
        })
    };
    assessment.exploits.iter().map(exploit).collect()
}

/// CISA's answers to SSVC's questions, or null.
pub(crate) fn ssvc_json(assessment: &Assessment) -> Value {
    let answers = assessment.ssvc.as_ref();
    json!(answers.map(|ssvc| json!({
        "exploitation": ssvc.exploitation, "automatable": ssvc.automatable, "technicalImpact": ssvc.technical_impact, "at": ssvc.at,
    })))
}

fn package(package: &AffectedPackage) -> Value {
    json!({
        "ecosystem": package.component.ecosystem.to_string(),
        "name": package.component.name,
        "version": package.component.version,
        "source": package.component.source.as_ref().map(|source| json!({"name": source.name, "version": source.version})),
        "purl": package.component.purl(),
        "state": package.state.as_str(),
        "fixedIn": package.fixed_in,
        "vendorSeverity": package.vendor_severity,
        "path": package.path,
        "layer": package.layer,
        "arch": package.arch,
    })
}

fn problem(problem: &Problem) -> Value {
    json!({"path": problem.path, "kind": format!("{:?}", problem.kind), "detail": problem.detail})
}
