//! Fedora's updates as Bodhi tells them: JSON, one update or a page of them, with the builds that it brings and the bugs that it
//! mends, in whose titles the vulnerabilities are.

use super::{Brought, Format, Parsed, cut, is_cve};
use lestrade_model::{Advisory, Affected, Ecosystem, Family, Reference, Timestamp};
use serde::Deserialize;
use serde_json::Value;

const FEED: &str = "bodhi";

pub(super) struct Bodhi;

#[derive(Deserialize)]
struct Update {
    alias: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    notes: String,
    #[serde(default)]
    severity: String,
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    date_stable: Option<String>,
    #[serde(default)]
    url: String,
    release: Release,
    #[serde(default)]
    builds: Vec<Build>,
    #[serde(default)]
    bugs: Vec<Bug>,
}

#[derive(Deserialize)]
struct Release {
    version: String,
    id_prefix: String,
}

#[derive(Deserialize)]
struct Build {
    nvr: String,
    #[serde(default)]
    epoch: Option<u32>,
}

#[derive(Deserialize)]
struct Bug {
    #[serde(default)]
    title: String,
}

fn is_update(update: &Value) -> bool {
    update.get("alias").is_some() && update.get("builds").is_some() && update.get("release").is_some()
}

impl Format for Bodhi {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        match document {
            Parsed::Object(document) => {
                let is_page = || document.get("updates").and_then(Value::as_array).is_some_and(|updates| updates.iter().all(is_update));
                (document.contains_key("alias") && document.contains_key("builds")) || is_page()
            }
            Parsed::List(updates) => updates.first().is_some_and(is_update),
            _ => false,
        }
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let updates = match document {
            Parsed::Object(mut document) => match document.remove("updates") {
                Some(Value::Array(updates)) => updates,
                _ => vec![Value::Object(document)],
            },
            Parsed::List(updates) => updates,
            _ => vec![],
        };
        let mut brought = Brought::default();
        for update in updates {
            match serde_json::from_value::<Update>(update) {
                Ok(update) => brought.advisories.extend(update.advisory()),
                Err(error) => brought.quarantined.push((name.to_owned(), error.to_string())),
            }
        }
        brought
    }
}

impl Update {
    /// None of what is no security update of Fedora's (its other lines are EPEL and Flatpaks), or not out.
    fn advisory(self) -> Option<Advisory> {
        if self.kind != "security" || self.status != "stable" || self.release.id_prefix != "FEDORA" {
            return None;
        }
        let texts = [&self.title, &self.display_name, &self.notes].into_iter().chain(self.bugs.iter().map(|bug| &bug.title));
        let mut cves: Vec<String> = texts
            .flat_map(|text| text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')))
            .filter(|word| is_cve(word))
            .map(str::to_owned)
            .collect();
        cves.sort_unstable();
        cves.dedup();
        let ecosystem = Ecosystem::release(Family::Fedora, &self.release.version);
        let entry = |build: &Build| {
            let (rest, release) = build.nvr.rsplit_once('-')?;
            let (package, version) = rest.rsplit_once('-')?;
            let epoch = build.epoch.filter(|epoch| *epoch > 0).map(|epoch| format!("{epoch}:")).unwrap_or_default();
            Some(Affected::before(ecosystem.clone(), package, &format!("{epoch}{version}-{release}")))
        };
        let stable = self.date_stable.as_deref().map(|date| format!("{}Z", date.replace(' ', "T")));
        Some(Advisory {
            upstream: cves,
            summary: cut(&self.title),
            details: cut(&self.notes),
            published: stable.and_then(|date| Timestamp::parse(&date).ok()),
            vendor_severity: Some(self.severity).filter(|word| !word.is_empty() && word != "unspecified"),
            references: Some(self.url).filter(|url| url.starts_with("http")).map(|url| Reference { url }).into_iter().collect(),
            affected: self.builds.iter().filter_map(entry).collect(),
            ..Advisory::new(FEED, &self.alias)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::documents::Syntax;
    use crate::formats::read;

    #[test]
    fn an_update_fixes_what_its_bugs_name() {
        let update = |kind: &str, status: &str| {
            format!(
                r#"{{"alias": "FEDORA-2025-bbb2222222", "title": "expat-2.7.0-1.fc40", "display_name": "Fix CVE-2024-8176", "notes": "n",
                "severity": "medium", "type": "{kind}", "status": "{status}", "date_stable": "2025-03-05 12:00:00",
                "url": "https://bodhi.example", "release": {{"name": "F40", "version": "40", "id_prefix": "FEDORA"}},
                "bugs": [{{"title": "CVE-2024-56171 expat: use after free"}}], "builds": [{{"nvr": "lib-expat-2.7.0-1.fc40", "epoch": 1}}]}}"#
            )
        };
        let page = format!(
            r#"{{"updates": [{}, {}, {}], "page": 1}}"#,
            update("security", "stable"),
            update("bugfix", "stable"),
            update("security", "testing")
        );
        for (document, name) in [(update("security", "stable"), "one"), (page, "page")] {
            let brought = read(name, Syntax::Json, &document);
            let [advisory] = brought.advisories.as_slice() else { panic!("{name}: {:?}", brought.quarantined) };
            assert_eq!(advisory.vulnerabilities(), ["CVE-2024-56171", "CVE-2024-8176"]);
            let entry = &advisory.affected[0];
            assert_eq!((entry.ecosystem.to_string().as_str(), entry.name.as_str()), ("Fedora:40", "lib-expat"));
            assert_eq!(entry.ranges[0].events[1], lestrade_model::Event::Fixed("1:2.7.0-1.fc40".into()));
        }
    }
}
