//! Alpine's secdb, also as Wolfi and Chainguard write it: for each release and repository the versions in which packages fixed
//! vulnerabilities.
//!
//! It names origin (source) packages and fixes alone: what is not fixed yet is not in it, so silence is not safety. The version
//! `0` says that a package was never affected. One text may hold several ids of one vulnerability.

use super::{Brought, Format, Parsed};
use lestrade_model::{Advisory, Affected, Ecosystem, Family};
use lestrade_versions::Scheme;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The feeds under which its records are kept.
pub(crate) const FEED: &str = "alpine-secdb";
const WOLFI_FEED: &str = "wolfi-secdb";
const CHAINGUARD_FEED: &str = "chainguard-secdb";
/// The longest id of a vulnerability.
const MAX_ID: usize = 64;

pub(super) struct Secdb;

impl Format for Secdb {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        matches!(document, Parsed::Object(document) if is_secdb(document))
    }

    fn read(&self, _: &str, document: Parsed<'_>) -> Brought {
        let Parsed::Object(document) = document else { return Brought::default() };
        let (advisories, quarantined) = read_secdb(&document);
        Brought { advisories, quarantined, ..Brought::default() }
    }
}

fn is_secdb(document: &Map<String, Value>) -> bool {
    let of_a_release = document.contains_key("distroversion") || document.contains_key("urlprefix");
    of_a_release && document.contains_key("reponame") && document.get("packages").is_some_and(Value::is_array)
}

/// What the ids of a document's records begin with.
pub(crate) fn prefix(release: &str, repository: &str) -> String {
    format!("{release}/{repository}/")
}

/// Reads a document into one record for each vulnerability. Answers also what could not be used.
fn read_secdb(document: &Map<String, Value>) -> (Vec<Advisory>, Vec<(String, String)>) {
    let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default();
    let (release, repository) = (text("distroversion"), text("reponame"));
    let plain = |text: &str| !text.is_empty() && text.len() < 32 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
    // The two that roll have no release.
    let (feed, ecosystem) = match text("urlprefix") {
        rolling if rolling.contains("wolfi") => (WOLFI_FEED, Ecosystem::of(Family::Wolfi)),
        rolling if rolling.contains("chainguard") || rolling.contains("cgr.dev") => (CHAINGUARD_FEED, Ecosystem::of(Family::Chainguard)),
        _ if plain(release) && plain(repository) => (FEED, Ecosystem::release(Family::Alpine, release)),
        _ => return (vec![], vec![(FEED.into(), "its release or repository is no name".into())]),
    };
    let prefix = if ecosystem.release.is_some() { prefix(release, repository) } else { String::new() };
    let mut quarantined = Vec::new();
    // By vulnerability, then by package: the latest of several fixes is needed, as earlier ones did not last.
    let mut fixes: BTreeMap<String, (Vec<String>, BTreeMap<String, String>)> = BTreeMap::new();
    for package in document.get("packages").and_then(Value::as_array).into_iter().flatten() {
        let name = package["pkg"]["name"].as_str().unwrap_or_default();
        for (version, ids) in package["pkg"]["secfixes"].as_object().into_iter().flatten() {
            for text in ids.as_array().into_iter().flatten().filter_map(Value::as_str) {
                let mut ids: Vec<&str> = text.split_whitespace().filter(|id| is_id(id)).collect();
                ids.sort_by_key(|id| !id.starts_with("CVE-"));
                let Some((first, others)) = ids.split_first().filter(|_| !name.is_empty()) else {
                    quarantined.push((format!("{prefix}{name}"), format!("'{text}' is no id of a vulnerability")));
                    continue;
                };
                let (aliases, packages) = fixes.entry((*first).to_owned()).or_default();
                aliases.extend(others.iter().map(|id| (*id).to_owned()));
                let fixed = packages.entry(name.to_owned()).or_insert_with(|| version.clone());
                if Scheme::Apk.compare(fixed, version).is_lt() {
                    fixed.clone_from(version);
                }
            }
        }
    }
    let advisories = fixes
        .into_iter()
        .map(|(id, (mut aliases, packages))| {
            aliases.push(id.clone());
            aliases.sort_unstable();
            aliases.dedup();
            let fixed = packages.into_iter().filter(|(_, fixed)| fixed != "0");
            let affected = fixed.map(|(name, fixed)| Affected::before(ecosystem.clone(), &name, &fixed));
            Advisory { aliases, affected: affected.collect(), ..Advisory::new(feed, &format!("{prefix}{id}")) }
        })
        .collect();
    (advisories, quarantined)
}

fn is_id(text: &str) -> bool {
    text.len() <= MAX_ID && text.contains('-') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_:.".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_model::Event;
    use serde_json::json;

    #[test]
    fn distributions_that_roll_have_no_release() {
        let document = json!({"apkurl": "{{urlprefix}}", "reponame": "os", "urlprefix": "https://packages.wolfi.dev",
            "packages": [{"pkg": {"name": "binutils", "secfixes": {"2.39-r1": ["CVE-2022-38126"], "0": ["GHSA-x"]}}}]});
        let (advisories, quarantined) = read_secdb(document.as_object().unwrap());
        assert_eq!((advisories.len(), quarantined.len()), (2, 0));
        assert_eq!(advisories[0].affected, [Affected::before(Ecosystem::of(Family::Wolfi), "binutils", "2.39-r1")]);
    }

    #[test]
    fn fixes_become_ranges() {
        let document = json!({"distroversion": "v3.18", "reponame": "main", "packages": [
            {"pkg": {"name": "openssl", "secfixes": {"3.1.1-r0": ["CVE-2023-1"], "3.1.4-r0": ["CVE-2023-1", "CVE-2023-2 XSA-300"],
                "0": ["CVE-2023-3"], "1": ["??"]}}},
            {"pkg": {"name": "curl", "secfixes": {"8.0.0-r0": ["CVE-2023-1"]}}}]});
        let document = document.as_object().unwrap();
        assert!(is_secdb(document));
        let (advisories, quarantined) = read_secdb(document);
        let shown: Vec<String> = advisories
            .iter()
            .map(|advisory| {
                let fixes = advisory.affected.iter().map(|affected| match &affected.ranges[0].events[1] {
                    Event::Fixed(version) => format!("{} {version}", affected.name),
                    other => format!("{other:?}"),
                });
                format!("{} {:?}: {}", advisory.key.id, advisory.vulnerabilities(), fixes.collect::<Vec<_>>().join(", "))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "v3.18/main/CVE-2023-1 [\"CVE-2023-1\"]: curl 8.0.0-r0, openssl 3.1.4-r0",
                "v3.18/main/CVE-2023-2 [\"CVE-2023-2\"]: openssl 3.1.4-r0",
                "v3.18/main/CVE-2023-3 [\"CVE-2023-3\"]: ",
            ]
        );
        assert_eq!(quarantined.len(), 1);
    }
}
