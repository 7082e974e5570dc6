//! RetireJS's repositories: JSON, a library with its vulnerable ranges (`atOrAbove`, `below`). How its scanner recognises a library in
//! a file is left aside: here packages have names.

use super::{Brought, Format, Parsed, cut, is_cve};
use lestrade_model::{Advisory, Affected, Ecosystem, Event, Family, FixState, Range, RangeKind, Reference};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

const FEED: &str = "retirejs";
/// The weakness of what is no longer maintained, which is no vulnerability.
const UNMAINTAINED: &str = "CWE-1104";

pub(super) struct RetireJs;

#[derive(Deserialize)]
struct Library {
    #[serde(default)]
    npmname: Option<String>,
    #[serde(default)]
    vulnerabilities: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    at_or_above: Option<String>,
    #[serde(default)]
    below: Option<String>,
    #[serde(default)]
    severity: Option<String>,
    #[serde(default)]
    cwe: Vec<String>,
    #[serde(default)]
    identifiers: Map<String, Value>,
    #[serde(default)]
    info: Vec<String>,
}

impl Format for RetireJs {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        let is_library = |library: &Value| library["vulnerabilities"].as_array().is_some_and(|entries| entries.iter().all(is_entry));
        matches!(document, Parsed::Object(document) if !document.is_empty() && document.values().all(is_library))
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let Parsed::Object(document) = document else { return Brought::default() };
        let mut brought = Brought::default();
        let mut advisories: BTreeMap<String, Advisory> = BTreeMap::new();
        for (key, library) in document.into_iter().filter(|(key, _)| key != "retire-example" && key != "dont check") {
            let library: Library = match serde_json::from_value(library) {
                Ok(library) => library,
                Err(error) => {
                    brought.quarantined.push((format!("{name}: {key}"), error.to_string()));
                    continue;
                }
            };
            let package = library.npmname.as_deref().unwrap_or(&key);
            for entry in library.vulnerabilities.into_iter().filter(|entry| !entry.cwe.iter().any(|cwe| cwe == UNMAINTAINED)) {
                let range = entry.range();
                let advisory = entry.advisory(package);
                // Each branch of a vulnerability is an entry of its own.
                let known = advisories.entry(advisory.key.id.clone()).or_insert(advisory);
                for affected in &mut known.affected {
                    if !affected.ranges.contains(&range) {
                        affected.ranges.push(range.clone());
                    }
                }
            }
        }
        brought.advisories = advisories.into_values().collect();
        brought
    }
}

fn is_entry(entry: &Value) -> bool {
    (entry.get("below").is_some() || entry.get("atOrAbove").is_some()) && entry.get("info").is_some()
}

impl Entry {
    fn range(&self) -> Range {
        let introduced = Event::Introduced(self.at_or_above.clone().unwrap_or_else(|| "0".into()));
        let fixed = self.below.clone().map(Event::Fixed);
        Range { kind: RangeKind::Semver, events: std::iter::once(introduced).chain(fixed).collect() }
    }

    /// The record of the vulnerability, without a range yet.
    fn advisory(self, package: &str) -> Advisory {
        let text = |key: &str| self.identifiers.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let cves = self.identifiers.get("CVE").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let cves = cves.filter(|id| is_cve(id)).map(str::to_owned);
        let aliases: Vec<String> = cves.chain(Some(text("githubID")).filter(|id| id.starts_with("GHSA-"))).collect();
        let others = ["retid", "issue", "bug", "PR", "osvdb"].map(|kind| (kind, text(kind)));
        let other = others.into_iter().find(|(_, id)| !id.is_empty()).map(|(kind, id)| format!("{kind}-{id}"));
        let until = || format!("below-{}", self.below.clone().unwrap_or_default());
        let id = aliases.first().cloned().or(other).unwrap_or_else(until);
        let affected = Affected { ranges: vec![], ..Affected::always(Ecosystem::of(Family::Npm), package, FixState::Open) };
        Advisory {
            aliases,
            summary: cut(&text("summary")),
            vendor_severity: self.severity,
            cwes: self.cwe,
            references: self.info.into_iter().filter(|url| url.starts_with("http")).take(100).map(|url| Reference { url }).collect(),
            affected: vec![affected],
            ..Advisory::new(FEED, &format!("{package}/{id}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::documents::Syntax;
    use crate::formats::read;
    use lestrade_matching::affects;
    use lestrade_model::{Component, Ecosystem, Family};

    #[test]
    fn branches_of_a_vulnerability_are_one_record() {
        let repository = r#"{"retire-example": {"vulnerabilities": [{"below": "0.0.2", "info": []}]},
            "angularjs": {"npmname": "angular", "vulnerabilities": [
                {"atOrAbove": "1.3.0", "below": "1.5.0-rc2", "severity": "medium", "cwe": ["CWE-79"], "info": ["https://a.example"],
                 "identifiers": {"summary": "s", "CVE": ["CVE-2020-7676"], "githubID": "GHSA-mhp6-pxh8-r675"}},
                {"below": "1.2.30", "info": [], "identifiers": {"CVE": ["CVE-2020-7676"], "githubID": "GHSA-mhp6-pxh8-r675"}},
                {"below": "2.999.999", "cwe": ["CWE-1104"], "identifiers": {"retid": "73"}, "info": []}],
                "extractors": {"func": ["angular.version.full"]}}}"#;
        let brought = read("jsrepository.json", Syntax::Json, repository);
        let [advisory] = brought.advisories.as_slice() else { panic!("{:?}", brought.advisories) };
        assert_eq!((advisory.key.id.as_str(), advisory.vulnerabilities()), ("angular/CVE-2020-7676", vec!["CVE-2020-7676"]));
        let fix = |version: &str| {
            let component = Component::new(Ecosystem::of(Family::Npm), "angular", version);
            affects(&advisory.affected[0], &component).and_then(|verdict| verdict.fixed_in)
        };
        let fixes = ["1.2.29", "1.2.30", "1.3.0", "1.5.0"].map(fix);
        assert_eq!(fixes.each_ref().map(Option::as_deref), [Some("1.2.30"), None, Some("1.5.0-rc2"), None]);
    }
}
