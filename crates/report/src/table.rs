//! A scan as a table: the verdict, what to fix first, the findings, what could not be read. Never wider than the terminal.

use crate::{ScanReport, fixes, printable};
use lestrade_findings::ScanFinding;
use lestrade_model::{Completeness, FixState, Severity};
use std::fmt::Write;

/// How a table is drawn.
#[derive(Clone, Copy, Debug)]
pub struct TableStyle {
    /// Columns of the terminal; at least 40 are used.
    pub width: usize,
    /// Whether to colour.
    pub colour: bool,
}

/// At most this many fixes are named; the rest is counted.
const FIXES: usize = 5;
/// At most this many unread files are named; the rest is counted.
const PROBLEMS: usize = 20;
/// At most this many of several names are named; the rest is counted.
const NAMED: usize = 3;

const RED: &str = "31;1";
const YELLOW: &str = "33";
const BLUE: &str = "34";
const BOLD: &str = "1";
const DIM: &str = "2";

impl TableStyle {
    pub(crate) fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    const fn severity(severity: Severity) -> &'static str {
        match severity {
            Severity::Critical | Severity::High => RED,
            Severity::Medium => YELLOW,
            Severity::Low => BLUE,
            Severity::Informational | Severity::Untriaged => DIM,
        }
    }
}

/// The report as a table.
#[must_use]
pub fn scan_table(report: &ScanReport, style: TableStyle) -> String {
    let mut out = String::new();
    header(report, style, &mut out);
    fix_first(report, style, &mut out);
    findings(report, style, &mut out);
    excepted(report, style, &mut out);
    uncovered(report, style, &mut out);
    out
}

fn header(report: &ScanReport, style: TableStyle, out: &mut String) {
    let os = report.inventory.os.as_ref().map(|os| format!(" ({})", printable(&os.to_string()))).unwrap_or_default();
    let intelligence = match (report.intelligence.starter_only, report.intelligence.newest) {
        (true, _) => "starter set only".to_owned(),
        (false, Some(at)) => format!("intelligence {at}"),
        (false, None) => "intelligence of unknown age".to_owned(),
    };
    let completeness = match report.completeness() {
        Completeness::Complete => "complete".to_owned(),
        Completeness::Partial => style.paint(YELLOW, "INCOMPLETE"),
    };
    let components = report.inventory.len();
    let target = style.paint(BOLD, &printable(&report.target));
    let _ = writeln!(out, "{target}{os} · {components} {} · {intelligence} · {completeness}", plural(components, "package"));
    let counts: Vec<String> = report
        .counts()
        .into_iter()
        .map(|(severity, count)| style.paint(TableStyle::severity(severity), &format!("{count} {}", severity.as_str().to_lowercase())))
        .collect();
    let total = report.result.findings.len();
    if total == 0 && components == 0 {
        let _ = writeln!(out, " nothing to judge: no package was found");
    } else if total == 0 {
        let _ = writeln!(out, " 0 findings");
    } else {
        let _ = writeln!(out, " {total} {}: {}", plural(total, "finding"), counts.join(" · "));
    }
    if report.intelligence.starter_only {
        let records: u64 = report.intelligence.feeds.iter().map(|(_, records)| records).sum();
        let warning =
            format!("! only the starter set of {records} well-known vulnerabilities was asked; this is not a clean bill of health");
        let _ = writeln!(out, "{}", style.paint(YELLOW, &warning));
        let _ = writeln!(out, "  try: lestrade db update      # or, without a network: lestrade db import PATH");
    }
}

fn fix_first(report: &ScanReport, style: TableStyle, out: &mut String) {
    let fixes = fixes(report);
    let whole: f64 = report.result.findings.iter().map(ScanReport::risk_of).sum();
    if fixes.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", style.paint(BOLD, "FIX FIRST"));
    for fix in fixes.iter().take(FIXES) {
        let share = if whole > 0.0 { format!("{:.0} % of the risk", 100.0 * fix.risk / whole) } else { String::new() };
        let how = fix.command.clone().unwrap_or_else(|| format!("upgrade {}", fix.package));
        let _ = writeln!(
            out,
            "  {}  → {}  closes {}  {}",
            style.paint(BOLD, &printable(&how)),
            printable(&fix.to),
            named(&fix.closes, fix.closes.len(), NAMED),
            style.paint(DIM, &share)
        );
    }
    if fixes.len() > FIXES {
        let _ = writeln!(out, "  and {} more upgrades", fixes.len() - FIXES);
    }
}

/// The first names of a list of `count`, and how many more there are.
fn named(list: &[String], count: usize, most: usize) -> String {
    let shown: Vec<_> = list.iter().take(most).map(|name| printable(name)).collect();
    match count.saturating_sub(most) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

const COLUMNS: usize = 9;
/// Columns that shrink when the terminal is narrow: where, fixed, installed, package.
const SHRINKING: [usize; 4] = [8, 4, 3, 2];
const WHERE: usize = 8;

struct Line {
    severity: Severity,
    cells: [String; COLUMNS],
}

fn findings(report: &ScanReport, style: TableStyle, out: &mut String) {
    if report.result.findings.is_empty() {
        return;
    }
    let lines: Vec<Line> = report.by_risk().into_iter().flat_map(lines).collect();
    let titles = ["RISK", "VULNERABILITY", "PACKAGE", "INSTALLED", "FIXED", "CVSS", "EPSS", "KEV", "WHERE"];
    let widths = widths(&titles, &lines, style.width.max(40));
    let row = |cells: &[String; COLUMNS]| {
        let cells: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| pad(cell, width)).collect();
        cells.join("  ").trim_end().to_owned()
    };
    let _ = writeln!(out, "\n{}", style.paint(BOLD, &row(&titles.map(str::to_owned))));
    for line in &lines {
        let text = row(&line.cells);
        // Only the risk and the id are coloured: the rest is read, not skimmed.
        let split = widths[0] + 2 + widths[1];
        let (head, tail) = text.char_indices().nth(split).map_or((text.as_str(), ""), |(at, _)| text.split_at(at));
        let _ = writeln!(out, "{}{tail}", style.paint(TableStyle::severity(line.severity), head));
    }
}

/// One line for each affected package; places of the same package are counted.
fn lines(finding: &ScanFinding) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut previous = None;
    let mut more = 0;
    let assessment = &finding.assessment;
    // Not a zero: nobody has said.
    let unknown = || "–".to_owned();
    for package in &finding.packages {
        if previous == Some(&package.component) {
            more += 1;
            if let Some(line) = lines.last_mut() {
                let place = line.cells[WHERE].split(" (+").next().unwrap_or_default().to_owned();
                line.cells[WHERE] = format!("{place} (+{more})");
            }
            continue;
        }
        previous = Some(&package.component);
        more = 0;
        let fixed = match (&package.fixed_in, package.state) {
            (Some(version), _) => version.clone(),
            (None, FixState::Open) => "no fix yet".to_owned(),
            (None, state) => state.as_str().to_owned(),
        };
        lines.push(Line {
            severity: finding.assessment.severity,
            cells: [
                format!("{:>3.0}", ScanReport::risk_of(finding)),
                finding.assessment.id.clone(),
                package.component.name.clone(),
                package.component.version.clone(),
                fixed,
                assessment.decided_by.as_ref().map_or_else(unknown, |score| format!("{:.1}", score.cvss.score)),
                assessment.epss.map_or_else(unknown, |epss| format!("{epss:.3}")),
                if assessment.known_exploited.is_some() { "yes".to_owned() } else { unknown() },
                package.path.clone().unwrap_or_default(),
            ]
            .map(|cell| printable(&cell).into_owned()),
        });
    }
    lines
}

/// Natural widths, shrunk from the widest column on until the row fits.
fn widths(titles: &[&str; COLUMNS], lines: &[Line], limit: usize) -> [usize; COLUMNS] {
    let mut widths: [usize; COLUMNS] =
        std::array::from_fn(|i| lines.iter().map(|line| line.cells[i].chars().count()).chain([titles[i].len()]).max().unwrap_or(0));
    let gaps = 2 * (widths.len() - 1);
    // The vulnerability's id is never cut: it is what a person copies.
    while widths.iter().sum::<usize>() + gaps > limit {
        let Some(widest) = SHRINKING.into_iter().filter(|i| widths[*i] > 8).max_by_key(|i| widths[*i]) else { break };
        widths[widest] -= 1;
    }
    widths
}

fn pad(cell: &str, width: usize) -> String {
    let length = cell.chars().count();
    if length <= width {
        return format!("{cell}{}", " ".repeat(width - length));
    }
    let kept: String = cell.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// What was left out on somebody's word is said, each with the word.
fn excepted(report: &ScanReport, style: TableStyle, out: &mut String) {
    let excepted = &report.result.excepted;
    if !excepted.is_empty() || !report.expired.is_empty() {
        out.push('\n');
    }
    let mut said: Vec<String> = Vec::new();
    for exception in excepted {
        let statement = &exception.statement;
        let why = if statement.reason.is_empty() { "no reason given" } else { &statement.reason };
        let line = format!(
            "~ left out: {} in {} ({}: {why}; {})",
            exception.assessment.id,
            exception.package.component.name,
            statement.status.as_str(),
            statement.source
        );
        if said.last() != Some(&line) {
            said.push(line);
        }
    }
    for line in said.iter().take(PROBLEMS) {
        let _ = writeln!(out, "{}", style.paint(DIM, &printable(line)));
    }
    if said.len() > PROBLEMS {
        let _ = writeln!(out, "~ and {} more that are left out", said.len() - PROBLEMS);
    }
    for statement in &report.expired {
        let until = statement.expires.map(|at| at.to_string()).unwrap_or_default();
        let line = format!("! the exception for {} in {} expired at {until}", statement.ids.join(", "), statement.source);
        let _ = writeln!(out, "{}", style.paint(YELLOW, &printable(&line)));
    }
}

fn uncovered(report: &ScanReport, style: TableStyle, out: &mut String) {
    let problems = &report.inventory.problems;
    let not_judged = &report.result.not_judged;
    if !problems.is_empty() || !not_judged.is_empty() {
        out.push('\n');
    }
    for problem in problems.iter().take(PROBLEMS) {
        let line = format!("! NOT covered: {}: {}", printable(&problem.path), printable(&problem.detail));
        let _ = writeln!(out, "{}", style.paint(YELLOW, &line));
    }
    if problems.len() > PROBLEMS {
        let _ = writeln!(out, "! and {} more that are not covered", problems.len() - PROBLEMS);
    }
    if !not_judged.is_empty() {
        let count = not_judged.len();
        let names: Vec<String> = report.not_judged().take(NAMED).map(|component| component.name.to_owned()).collect();
        let line =
            format!("! NOT judged: {count} {} of ecosystems without advisories: {}", plural(count, "package"), named(&names, count, NAMED));
        let _ = writeln!(out, "{}", style.paint(YELLOW, &line));
    }
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}
