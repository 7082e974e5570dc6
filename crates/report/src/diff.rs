//! What changed between two scans, by their reports in JSON: of another day, another image, another place.

use crate::{TableStyle, printable};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A finding in one package: what is compared. Where it lies is not a part of it: a file that moved is no news.
type Key = (String, String, String);

/// A finding of a report and the package of it that is meant.
#[derive(Clone, Debug)]
pub struct DiffEntry {
    /// The whole finding, as the report has it.
    pub finding: Value,
    /// The package.
    pub package: Value,
}

/// What is different in the later report.
#[derive(Clone, Debug, Default)]
pub struct Diff {
    /// Only in the later one.
    pub new: Vec<DiffEntry>,
    /// Only in the earlier one.
    pub gone: Vec<DiffEntry>,
    /// In both, and not the same: the earlier and the later, with what changed.
    pub changed: Vec<(DiffEntry, DiffEntry, Vec<&'static str>)>,
    /// In both, the same.
    pub same: usize,
    /// Whether either report is of an incomplete scan: what is gone may be there unseen.
    pub incomplete: bool,
}

fn entries(report: &Value) -> BTreeMap<Key, DiffEntry> {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let mut all = BTreeMap::new();
    for finding in report["findings"].as_array().into_iter().flatten() {
        for package in finding["packages"].as_array().into_iter().flatten() {
            let key = (text(finding, "id"), text(package, "ecosystem"), text(package, "name"));
            all.entry(key).or_insert_with(|| DiffEntry { finding: finding.clone(), package: package.clone() });
        }
    }
    all
}

/// Compares two reports of the form `lestrade.scan/1`.
#[must_use]
pub fn diff(old: &Value, new: &Value) -> Diff {
    let (mut before, after) = (entries(old), entries(new));
    let mut out = Diff { incomplete: [old, new].iter().any(|report| report["completeness"] != "complete"), ..Diff::default() };
    for (key, entry) in after {
        let Some(earlier) = before.remove(&key) else {
            out.new.push(entry);
            continue;
        };
        let mut changes = Vec::new();
        for (name, same) in [
            ("version", earlier.package["version"] == entry.package["version"]),
            ("fix", earlier.package["fixedIn"] == entry.package["fixedIn"]),
            ("state", earlier.package["state"] == entry.package["state"]),
            ("severity", earlier.finding["severity"] == entry.finding["severity"]),
            ("exploited", earlier.finding["knownExploited"].is_null() == entry.finding["knownExploited"].is_null()),
        ] {
            changes.extend((!same).then_some(name));
        }
        if changes.is_empty() { out.same += 1 } else { out.changed.push((earlier, entry, changes)) }
    }
    out.gone = before.into_values().collect();
    let risk = |entry: &DiffEntry| entry.finding["risk"].as_f64().unwrap_or_default();
    out.new.sort_by(|a, b| risk(b).total_cmp(&risk(a)));
    out.gone.sort_by(|a, b| risk(b).total_cmp(&risk(a)));
    out
}

/// The differences as a table.
#[must_use]
pub fn diff_table(diff: &Diff, style: TableStyle) -> String {
    let mut out = format!("{} new · {} gone · {} changed · {} the same\n", diff.new.len(), diff.gone.len(), diff.changed.len(), diff.same);
    if diff.incomplete {
        let _ = writeln!(out, "{}", style.paint("33", "! one of the scans is INCOMPLETE: what is gone may be there unseen"));
    }
    for (sign, colour, list) in [("+", "31;1", &diff.new), ("-", "32", &diff.gone)] {
        for entry in list {
            let _ = writeln!(out, "{} {}", style.paint(colour, sign), line(entry));
        }
    }
    for (earlier, later, changes) in &diff.changed {
        let _ = writeln!(out, "{} {} ({}; was {})", style.paint("33", "~"), line(later), changes.join(", "), version(earlier));
    }
    out
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn version(entry: &DiffEntry) -> String {
    printable(text(&entry.package, "version")).into_owned()
}

fn line(entry: &DiffEntry) -> String {
    let fix = entry.package["fixedIn"].as_str().map_or_else(|| text(&entry.package, "state").to_owned(), |fix| format!("fixed in {fix}"));
    let line = format!(
        "{:>3.0}  {}  {}  {} {}  {fix}",
        entry.finding["risk"].as_f64().unwrap_or_default(),
        text(&entry.finding, "id"),
        text(&entry.finding, "severity"),
        text(&entry.package, "name"),
        text(&entry.package, "version"),
    );
    printable(&line).into_owned()
}

/// The differences as JSON: `lestrade.diff/1`.
#[must_use]
pub fn diff_json(diff: &Diff) -> Value {
    let one = |entry: &DiffEntry| {
        json!({
            "id": entry.finding["id"], "severity": entry.finding["severity"], "risk": entry.finding["risk"],
            "package": {
                "ecosystem": entry.package["ecosystem"], "name": entry.package["name"], "version": entry.package["version"],
                "state": entry.package["state"], "fixedIn": entry.package["fixedIn"], "purl": entry.package["purl"],
            },
        })
    };
    json!({
        "schema": "lestrade.diff/1",
        "incomplete": diff.incomplete,
        "summary": {"new": diff.new.len(), "gone": diff.gone.len(), "changed": diff.changed.len(), "same": diff.same},
        "new": diff.new.iter().map(one).collect::<Vec<_>>(),
        "gone": diff.gone.iter().map(one).collect::<Vec<_>>(),
        "changed": diff.changed.iter().map(|(earlier, later, changes)| json!({
            "from": one(earlier), "to": one(later), "changes": changes,
        })).collect::<Vec<_>>(),
    })
}
