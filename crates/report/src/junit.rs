//! A scan as JUnit's XML: a failed test for each finding, so that a build server shows them without knowing us.

use crate::ScanReport;
use crate::escape::is_hostile;
use std::fmt::Write;

/// The report.
#[must_use]
pub fn junit(report: &ScanReport) -> String {
    let findings = report.by_risk();
    let problems = &report.inventory.problems;
    let tests = (findings.len() + problems.len()).max(1);
    let name = escaped(&report.target);
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites name=\"lestrade\" tests=\"{tests}\" failures=\"{0}\" errors=\"{1}\">\n\
         <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{0}\" errors=\"{1}\" skipped=\"0\">",
        findings.len(),
        problems.len()
    );
    for finding in &findings {
        let assessment = &finding.assessment;
        let packages: Vec<String> = finding
            .packages
            .iter()
            .map(|package| {
                let fix = package.fixed_in.as_ref().map_or_else(|| package.state.as_str().to_owned(), |fix| format!("fixed in {fix}"));
                let place = package.path.as_deref().unwrap_or_default();
                format!("{} {} ({fix}) at {place}", package.component.name, package.component.version)
            })
            .collect();
        let severity = assessment.severity.as_str().to_lowercase();
        let _ = writeln!(
            out,
            "<testcase classname=\"{name}\" name=\"{}\"><failure type=\"{severity}\" message=\"{}\">{}</failure></testcase>",
            escaped(&assessment.id),
            escaped(&format!("{severity}: {}", if assessment.summary.is_empty() { &assessment.why } else { &assessment.summary })),
            escaped(&packages.join("\n")),
        );
    }
    for problem in problems {
        let _ = writeln!(
            out,
            "<testcase classname=\"{name}\" name=\"not covered: {}\"><error type=\"incomplete\" message=\"{}\"/></testcase>",
            escaped(&problem.path),
            escaped(&problem.detail)
        );
    }
    if findings.is_empty() && problems.is_empty() {
        let _ = writeln!(out, "<testcase classname=\"{name}\" name=\"no findings\"/>");
    }
    out.push_str("</testsuite>\n</testsuites>\n");
    out
}

/// Text fit for an attribute or an element of XML 1.0, which has no way to write most control characters.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if is_hostile(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn nothing_of_a_name_is_markup() {
        assert_eq!(escaped("<a href=\"x\">&\u{1b}\n"), "&lt;a href=&quot;x&quot;&gt;&amp;\\u{1b}&#10;");
        assert_eq!(escaped("\u{202e}\u{ffff}"), "\\u{202e}\u{fffd}");
    }
}
