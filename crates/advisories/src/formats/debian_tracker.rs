//! The Debian security tracker's JSON: source package -> CVE -> release -> status.
//!
//! Semantics: fixed in version "0" is *not affected*; `open` is affected without a fix, and `nodsa_reason` says why none comes;
//! `undetermined` is under investigation; urgency `unimportant` is the distributor's own word and is kept, not obeyed.

use super::{Brought, Format, Parsed};
use lestrade_model::{Advisory, Affected, Ecosystem, Event, Family, FixState, Range, RangeKind};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The feed's name.
const FEED: &str = "debian-tracker";

const RELEASES: &[(&str, &str)] = &[
    ("sarge", "3.1"),
    ("etch", "4"),
    ("lenny", "5"),
    ("squeeze", "6"),
    ("wheezy", "7"),
    ("jessie", "8"),
    ("stretch", "9"),
    ("buster", "10"),
    ("bullseye", "11"),
    ("bookworm", "12"),
    ("trixie", "13"),
    ("forky", "14"),
];

#[derive(Deserialize)]
struct Issue {
    #[serde(default)]
    description: String,
    #[serde(default)]
    releases: BTreeMap<String, Release>,
}

#[derive(Deserialize)]
struct Release {
    status: String,
    #[serde(default)]
    fixed_version: Option<String>,
    #[serde(default)]
    urgency: Option<String>,
    #[serde(default)]
    nodsa: Option<String>,
    #[serde(default)]
    nodsa_reason: Option<String>,
}

/// The number of a release by its code name.
pub(super) fn release_number(name: &str) -> Option<&'static str> {
    RELEASES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

pub(super) struct DebianTracker;

impl Format for DebianTracker {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        matches!(document, Parsed::Object(document) if is_tracker(document) || is_derived_tracker(document))
    }

    fn read(&self, _: &str, document: Parsed<'_>) -> Brought {
        let Parsed::Object(document) = document else { return Brought::default() };
        let (advisories, quarantined) = if is_tracker(&document) { read_tracker(document) } else { read_derived_tracker(document) };
        Brought { advisories, quarantined, ..Brought::default() }
    }
}

/// Whether a document has the tracker's shape.
fn is_tracker(document: &Map<String, Value>) -> bool {
    first_issue(document).is_some_and(|issue| issue.get("releases").is_some())
}

fn first_issue(document: &Map<String, Value>) -> Option<&Value> {
    let (id, issue) = document.values().next()?.as_object()?.iter().next()?;
    (id.starts_with("CVE-") || id.starts_with("TEMP-")).then_some(issue)
}

/// Whether a document has the shape of fixed versions collected from changelogs: source -> `cves` -> CVE -> version.
fn is_derived_tracker(document: &Map<String, Value>) -> bool {
    document.values().next().is_some_and(|source| source.get("cves").is_some_and(Value::is_object))
}

/// Reads the tracker's document into one advisory a CVE. What has another shape is answered as (id, reason).
fn read_tracker(document: Map<String, Value>) -> (Vec<Advisory>, Vec<(String, String)>) {
    let mut advisories = BTreeMap::new();
    let mut quarantined = Vec::new();
    for (source, issues) in document {
        let Value::Object(issues) = issues else {
            quarantined.push((source, "not a map of issues".to_owned()));
            continue;
        };
        for (id, issue) in issues {
            // TEMP- ids are renumbered when the issue gets its CVE; a finding must not hang on them.
            if id.starts_with("TEMP-") {
                continue;
            }
            match serde_json::from_value::<Issue>(issue) {
                Err(error) => quarantined.push((format!("{source} {id}"), error.to_string())),
                Ok(issue) => {
                    let advisory = advisories.entry(id.clone()).or_insert_with(|| empty(&id, &issue.description));
                    advisory.affected.extend(issue.releases.iter().filter_map(|(name, release)| affected(&source, name, release)));
                }
            }
        }
    }
    (advisories.into_values().collect(), quarantined)
}

/// Reads fixed versions that were collected from changelogs of one release (bookworm). It knows only what *is* fixed.
fn read_derived_tracker(document: Map<String, Value>) -> (Vec<Advisory>, Vec<(String, String)>) {
    let mut advisories = BTreeMap::new();
    let mut quarantined = Vec::new();
    for (source, entry) in document {
        let Some(Value::Object(cves)) = entry.get("cves") else {
            quarantined.push((source, "no map of CVEs".to_owned()));
            continue;
        };
        for (id, fix) in cves {
            let Some(version) = fix.get("version").and_then(Value::as_str) else {
                quarantined.push((format!("{source} {id}"), "no version".to_owned()));
                continue;
            };
            let release = Release {
                status: "resolved".into(),
                fixed_version: Some(version.to_owned()),
                urgency: None,
                nodsa: None,
                nodsa_reason: None,
            };
            let advisory = advisories.entry(id.clone()).or_insert_with(|| empty(id, ""));
            advisory.affected.extend(affected(&source, "bookworm", &release));
        }
    }
    (advisories.into_values().collect(), quarantined)
}

fn empty(id: &str, description: &str) -> Advisory {
    Advisory { summary: description.chars().take(1000).collect(), ..Advisory::new(FEED, id) }
}

fn affected(source: &str, release_name: &str, release: &Release) -> Option<Affected> {
    let number = release_number(release_name)?;
    let mut events = vec![Event::Introduced("0".into())];
    let unfixed = match (release.status.as_str(), release.fixed_version.as_deref()) {
        ("resolved", Some("0")) => return None,
        ("resolved", Some(version)) => {
            events.push(Event::Fixed(version.to_owned()));
            FixState::Fixed
        }
        ("open", _) => match (release.nodsa.is_some(), release.nodsa_reason.as_deref()) {
            (_, Some("ignored")) => FixState::WillNotFix,
            (_, Some("postponed")) | (true, _) => FixState::Deferred,
            _ if release.urgency.as_deref() == Some("end-of-life") => FixState::EndOfLife,
            _ => FixState::Open,
        },
        ("undetermined", _) => FixState::UnderInvestigation,
        _ => return None,
    };
    Some(Affected {
        ecosystem: Ecosystem::release(Family::Debian, number),
        name: source.to_owned(),
        module: None,
        ranges: vec![Range { kind: RangeKind::Ecosystem, events }],
        versions: vec![],
        unfixed,
        // `**` marks an urgency that the tracker guessed.
        vendor_severity: release.urgency.as_ref().map(|u| u.trim_end_matches('*').to_owned()).filter(|u| !u.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_status_has_its_meaning() {
        let issue = |release: Value| json!({"openssl": {"CVE-2024-1": {"description": "d", "releases": {"bookworm": release}}}});
        for (release, expected) in [
            (json!({"status": "resolved", "fixed_version": "0"}), None),
            (json!({"status": "resolved", "fixed_version": "3.0.9-1"}), Some(FixState::Fixed)),
            (json!({"status": "open", "urgency": "unimportant"}), Some(FixState::Open)),
            (json!({"status": "open", "nodsa": "Minor issue", "nodsa_reason": ""}), Some(FixState::Deferred)),
            (json!({"status": "open", "nodsa": "x", "nodsa_reason": "ignored"}), Some(FixState::WillNotFix)),
            (json!({"status": "open", "urgency": "end-of-life"}), Some(FixState::EndOfLife)),
            (json!({"status": "undetermined"}), Some(FixState::UnderInvestigation)),
        ] {
            let Value::Object(document) = issue(release.clone()) else { unreachable!() };
            assert!(is_tracker(&document));
            let (advisories, quarantined) = read_tracker(document);
            assert_eq!(quarantined, []);
            assert_eq!(advisories[0].affected.first().map(|a| a.unfixed), expected, "{release}");
        }
    }

    #[test]
    fn one_cve_in_two_sources_is_one_advisory() {
        let Value::Object(document) = json!({
            "a": {"CVE-2024-1": {"releases": {"bookworm": {"status": "open"}}}},
            "b": {"CVE-2024-1": {"releases": {"bookworm": {"status": "open"}, "sid": {"status": "open"}}}, "TEMP-1": {}},
        }) else {
            unreachable!()
        };
        let (advisories, _) = read_tracker(document);
        assert_eq!(advisories.len(), 1);
        assert_eq!(advisories[0].affected.len(), 2);
    }
}
