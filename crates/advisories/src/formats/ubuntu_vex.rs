//! Ubuntu's VEX (OpenVEX 0.2): a document for each CVE, with what becomes of it in each source package of each release, and why.
//!
//! The versions in it are those that are in the archive now: which was the first that had a fix it does not say, so fixes come from
//! Ubuntu's OSV records alone. What it adds is why there is none: not decided yet, put off, not wanted, or the release is over.

use super::{Brought, Format, Parsed, cut, is_cve, record, uct};
use lestrade_model::{Advisory, Affected, Ecosystem, Family, FixState, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

const FEED: &str = "ubuntu-vex";

pub(super) struct UbuntuVex;

#[derive(Deserialize)]
struct Document {
    #[serde(flatten)]
    head: Head,
    /// Where older documents have their head.
    #[serde(default)]
    metadata: Option<Head>,
    #[serde(default)]
    statements: Vec<Statement>,
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    timestamp: String,
}

#[derive(Deserialize)]
struct Statement {
    vulnerability: Vulnerability,
    #[serde(default)]
    products: Vec<Product>,
    status: String,
    #[serde(default)]
    action_statement: String,
}

#[derive(Deserialize)]
struct Vulnerability {
    name: String,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
struct Product {
    #[serde(rename = "@id")]
    id: String,
}

impl Format for UbuntuVex {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        let Parsed::Object(document) = document else { return false };
        let head = document.get("metadata").and_then(Value::as_object).unwrap_or(document);
        let is_canonicals = |author: &Value| author.as_str().is_some_and(|author| author.starts_with("Canonical"));
        head.contains_key("@context") && head.get("author").is_some_and(is_canonicals) && document.contains_key("statements")
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let document: Document = match record(document) {
            Ok(document) => document,
            Err(reason) => return Brought::refused(name, reason),
        };
        let mut by_cve: BTreeMap<&str, (&str, Packages<'_>)> = BTreeMap::new();
        // A notice (USN) says again what the documents of its CVEs say.
        for statement in document.statements.iter().filter(|statement| is_cve(&statement.vulnerability.name)) {
            let (text, packages) = by_cve.entry(statement.vulnerability.name.as_str()).or_default();
            *text = &statement.vulnerability.description;
            packages.take(statement);
        }
        // They do not all say that they are in UTC.
        let written = &document.metadata.as_ref().unwrap_or(&document.head).timestamp;
        let modified = Timestamp::parse(written).or_else(|_| Timestamp::parse(&format!("{written}Z"))).ok();
        let advisories = by_cve.into_iter().map(|(id, (text, packages))| Advisory {
            details: cut(text),
            modified,
            affected: packages.affected(),
            ..Advisory::new(FEED, id)
        });
        Brought { advisories: advisories.collect(), ..Brought::default() }
    }
}

/// What is said of each source package of each release, whoever gets it; none where one of its lines is not affected or mended.
#[derive(Default)]
struct Packages<'a>(BTreeMap<(&'static str, &'a str), Option<FixState>>);

impl<'a> Packages<'a> {
    fn take(&mut self, statement: &'a Statement) {
        let state = match statement.status.as_str() {
            "affected" => Some(state(&statement.action_statement)),
            "under_investigation" => Some(FixState::UnderInvestigation),
            _ => None,
        };
        for (release, package) in statement.products.iter().filter_map(|product| source_package(&product.id)) {
            let known = self.0.entry((release, package)).or_insert(state);
            // What subscribers have mended is open to nobody: others have it from the record that names the fix.
            *known = known.zip(state).map(|(a, b)| a.min(b));
        }
    }

    fn affected(self) -> Vec<Affected> {
        let open = self.0.into_iter().filter_map(|((release, package), state)| {
            state.map(|state| Affected::always(Ecosystem::release(Family::Ubuntu, release), package, state))
        });
        open.collect()
    }
}

/// What becomes of it, by the sentences that Canonical writes.
fn state(action: &str) -> FixState {
    let says = |words: &str| action.contains(words);
    if says("no longer supported") || says("end of life") || says("end-of-life") {
        FixState::EndOfLife
    } else if says("decided to not fix") || says("decided not to fix") {
        FixState::WillNotFix
    } else if says("deferred") {
        FixState::Deferred
    } else {
        FixState::Open
    }
}

/// The release and source package of `pkg:deb/ubuntu/curl@7.47.0-1ubuntu2.19?arch=source&distro=esm-infra/xenial`; none of a binary
/// package, and of a line with versions of its own (FIPS, real-time).
fn source_package(id: &str) -> Option<(&'static str, &str)> {
    let (name, qualifiers) = id.strip_prefix("pkg:deb/ubuntu/")?.split_once('?')?;
    let qualifier = |key: &str| qualifiers.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
    if qualifier("arch")? != "source" {
        return None;
    }
    let line = qualifier("distro")?;
    let release = match line.split_once('/') {
        None => line,
        Some((line, release)) if line.starts_with("esm-") => release,
        Some(_) => return None,
    };
    let package = name.split('@').next().filter(|package| !package.is_empty())?;
    Some((uct::release_of(release)?, package))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::Syntax;
    use crate::formats::read;

    const CURL: &str = include_str!("../../fuzz/seeds/ubuntu-vex");

    #[test]
    fn what_is_open_and_why_by_release_and_source() {
        let brought = read("CVE-2023-38545.json", Syntax::Json, CURL);
        assert_eq!(brought.quarantined, []);
        let [curl] = brought.advisories.as_slice() else { panic!("{:?}", brought.advisories) };
        assert_eq!((curl.key.feed.as_str(), curl.key.id.as_str()), (FEED, "CVE-2023-38545"));
        let shown: Vec<String> =
            curl.affected.iter().map(|entry| format!("{} {} {}", entry.ecosystem, entry.name, entry.unfixed.as_str())).collect();
        // Mended for subscribers of 16.04, not affected in 14.04, a real-time line of its own: nothing is open there.
        assert_eq!(shown, ["Ubuntu:18.04 curl end-of-life", "Ubuntu:20.04 curl deferred", "Ubuntu:24.04 nghttp2 under-investigation"]);
    }

    #[test]
    fn a_head_of_its_own_a_notice_and_nothing_to_say() {
        let of = |statements: &str| {
            let head =
                r#"{"@context": "https://openvex.dev/ns/v0.2.0", "author": "Canonical Ltd.", "timestamp": "2025-01-10T16:31:43.856389"}"#;
            read("x.json", Syntax::Json, &format!(r#"{{"metadata": {head}, "statements": [{statements}]}}"#))
        };
        let about = |name: &str| {
            let product = r#"{"@id": "pkg:deb/ubuntu/varnish@5.2.1-1?arch=source&distro=bionic"}"#;
            format!(r#"{{"vulnerability": {{"name": "{name}"}}, "products": [{product}], "status": "under_investigation"}}"#)
        };
        let brought = of(&about("CVE-2022-45060"));
        assert_eq!(brought.advisories[0].modified.unwrap().to_string(), "2025-01-10T16:31:43.856Z");
        assert_eq!(brought.advisories[0].affected.len(), 1);
        for statements in [String::new(), about("USN-7372-1")] {
            let brought = of(&statements);
            assert_eq!((brought.advisories.len(), brought.quarantined.len(), brought.is_unknown), (0, 0, false), "{statements}");
        }
    }

    #[test]
    fn sentences_tell_what_becomes_of_it() {
        for (sentence, state_of) in [
            ("This package (for the given release) is no longer supported. Please upgrade your system.", FixState::EndOfLife),
            ("The problem is understood, but the Ubuntu Security Team decided to not fix it.", FixState::WillNotFix),
            ("This package is vulnerable, but fixing it has been deferred.", FixState::Deferred),
            ("This package is vulnerable and needs fixing.", FixState::Open),
        ] {
            assert_eq!(state(sentence), state_of, "{sentence}");
        }
    }
}
