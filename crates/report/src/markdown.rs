//! A scan as Markdown, for a comment on a change or a summary of a build.

use crate::scan_report::state_of;
use crate::{ScanReport, fixes, printable};
use lestrade_model::Completeness;
use std::fmt::Write;

/// The most findings that are listed: comments have a largest size.
const MOST: usize = 200;

/// The report.
#[must_use]
pub fn markdown(report: &ScanReport) -> String {
    let mut out = format!("## {}\n\n", text(&report.target));
    let counts: Vec<String> =
        report.counts().into_iter().map(|(severity, count)| format!("{count} {}", severity.as_str().to_lowercase())).collect();
    let total = report.result.findings.len();
    let said = if total == 0 { "No findings".to_owned() } else { format!("**{total} findings**: {}", counts.join(", ")) };
    let packages = report.inventory.len();
    let complete = match report.completeness() {
        Completeness::Complete => "",
        Completeness::Partial => " — **incomplete**",
    };
    let _ = writeln!(out, "{said} in {packages} packages{complete}.\n");
    if report.intelligence.starter_only {
        let _ = writeln!(out, "> Only the starter set was asked; this is not a clean bill of health.\n");
    }
    let fixes = fixes(report);
    if !fixes.is_empty() {
        let _ = writeln!(out, "### Fix first\n\n| Upgrade | To | Closes |\n|---|---|---|");
        for fix in fixes.iter().take(10) {
            let _ = writeln!(out, "| {} | {} | {} |", text(&fix.package), text(&fix.to), fix.closes.len());
        }
        out.push('\n');
    }
    if total > 0 {
        let _ = writeln!(
            out,
            "### Findings\n\n| Risk | Vulnerability | Severity | Package | Installed | Fixed in | Where |\n|--:|---|---|---|---|---|---|"
        );
    }
    for finding in report.by_risk().into_iter().take(MOST) {
        let assessment = &finding.assessment;
        let id = match &assessment.source_url {
            Some(url) if url.bytes().all(|b| b.is_ascii_graphic() && !b"()|<>".contains(&b)) => {
                format!("[{}]({url})", text(&assessment.id))
            }
            _ => text(&assessment.id),
        };
        let Some(package) = finding.packages.first() else { continue };
        let more = match finding.packages.len() {
            1 => String::new(),
            many => format!(" (+{})", many - 1),
        };
        let _ = writeln!(
            out,
            "| {:.0} | {id} | {} | {} | {} | {} | {}{more} |",
            ScanReport::risk_of(finding),
            assessment.severity.as_str().to_lowercase(),
            text(&package.component.name),
            text(&package.component.version),
            text(package.fixed_in.as_deref().unwrap_or_else(|| state_of(finding).as_str())),
            text(package.path.as_deref().unwrap_or_default()),
        );
    }
    if total > MOST {
        let _ = writeln!(out, "\n… and {} more.", total - MOST);
    }
    let problems = &report.inventory.problems;
    if !problems.is_empty() {
        let _ = writeln!(out, "\n### Not covered\n");
        for problem in problems.iter().take(20) {
            let _ = writeln!(out, "- {}: {}", text(&problem.path), text(&problem.detail));
        }
        if problems.len() > 20 {
            let _ = writeln!(out, "- and {} more", problems.len() - 20);
        }
    }
    if !report.result.not_judged.is_empty() {
        let _ = writeln!(out, "\n{} packages of ecosystems without advisories are not judged.", report.result.not_judged.len());
    }
    out
}

/// A text in which nothing is markup.
fn text(raw: &str) -> String {
    printable(raw).chars().fold(String::with_capacity(raw.len()), |mut out, c| {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '!' | '~' => out.extend(['\\', c]),
            // A mention would call somebody.
            '@' => out.push_str("&#64;"),
            c => out.push(c),
        }
        out
    })
}
