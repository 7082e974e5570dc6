//! Findings as CSV (RFC 4180), a line for each affected package at each place.

use crate::{ScanReport, printable};

const COLUMNS: [&str; 16] = [
    "vulnerability",
    "severity",
    "risk",
    "cvss",
    "epss",
    "known_exploited",
    "ecosystem",
    "package",
    "installed",
    "fixed_in",
    "state",
    "path",
    "layer",
    "purl",
    "summary",
    "url",
];

/// The table, with a heading.
#[must_use]
pub fn csv(report: &ScanReport) -> String {
    let mut out = line(COLUMNS.map(str::to_owned));
    for finding in report.by_risk() {
        let assessment = &finding.assessment;
        for package in &finding.packages {
            out.push_str(&line([
                assessment.id.clone(),
                assessment.severity.as_str().to_lowercase(),
                format!("{:.1}", ScanReport::risk_of(finding)),
                assessment.decided_by.as_ref().map_or_else(String::new, |score| format!("{:.1}", score.cvss.score)),
                assessment.epss.map_or_else(String::new, |epss| epss.to_string()),
                assessment.known_exploited.is_some().to_string(),
                package.component.ecosystem.to_string(),
                package.component.name.clone(),
                package.component.version.clone(),
                package.fixed_in.clone().unwrap_or_default(),
                package.state.as_str().to_owned(),
                package.path.clone().unwrap_or_default(),
                package.layer.clone().unwrap_or_default(),
                package.component.purl().unwrap_or_default(),
                assessment.summary.clone(),
                assessment.source_url.clone().unwrap_or_default(),
            ]));
        }
    }
    out
}

/// A line of a table.
pub(crate) fn line<const N: usize>(cells: [String; N]) -> String {
    cells.map(|cell| field(&cell)).join(",") + "\r\n"
}

/// A field that a spreadsheet reads as text: one that it would take for a formula begins with an apostrophe.
pub(crate) fn field(text: &str) -> String {
    let mut text = printable(text).into_owned();
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        text.insert(0, '\'');
    }
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn fields_are_quoted_and_are_no_formulas() {
        assert_eq!(field("a"), "a");
        assert_eq!(field("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(field("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(field("@angular/core"), "'@angular/core");
    }
}
