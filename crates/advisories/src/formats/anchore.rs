//! What Anchore adds to the CVE list and to NVD, each a document for each vulnerability: its enrichment (the `adp` container of a CVE
//! record, with packages of ecosystems where it knows them) and its overrides of NVD's configurations, which take the place of NVD's
//! own.

use super::cpe::{self, Configuration};
use super::{Brought, Format, Parsed, cut, is_cve};
use lestrade_model::{Advisory, Affected, Ecosystem, Event, Family, FixState, Range, RangeKind, Reference};
use lestrade_versions::Scheme;
use serde_json::Value;

const ENRICHMENT: &str = "anchore-enrichment";
pub(crate) const OVERRIDES: &str = "nvd-overrides";
/// The most packages of a record, and versions of one of them.
const MAX_PACKAGES: usize = 1_000;
const MAX_VERSIONS: usize = 1_000;

/// Where packages are kept that ecosystems are about. Other places have packages of the same names and are others.
const COLLECTIONS: [(&str, Family); 8] = [
    ("https://crates.io", Family::CratesIo),
    ("https://nuget.org/packages", Family::NuGet),
    ("https://packagist.org", Family::Packagist),
    ("https://pkg.go.dev", Family::Go),
    ("https://pypi.org", Family::PyPi),
    ("https://registry.npmjs.org", Family::Npm),
    ("https://repo.maven.apache.org/maven2", Family::Maven),
    ("https://rubygems.org", Family::RubyGems),
];

pub(super) struct Enrichment;

impl Format for Enrichment {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        matches!(document, Parsed::Object(document)
            if document.get("adp").is_some_and(|adp| adp.get("affected").is_some()) && document.contains_key("additionalMetadata"))
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let Parsed::Object(document) = document else { return Brought::default() };
        let metadata = document.get("additionalMetadata").unwrap_or(&Value::Null);
        let packages = document.get("adp").and_then(|adp| adp.get("affected")?.as_array()).map(Vec::as_slice).unwrap_or_default();
        let id = metadata["cveId"].as_str().unwrap_or_default();
        if !is_cve(id) {
            return Brought::refused(name, "a record without an id of the CVE list");
        }
        if packages.len() > MAX_PACKAGES {
            return Brought::refused(name, format!("{} packages", packages.len()));
        }
        let affected = packages.iter().filter_map(package).collect();
        Brought { advisories: vec![advisory(ENRICHMENT, id, metadata, affected)], ..Brought::default() }
    }
}

fn advisory(feed: &str, id: &str, about: &Value, affected: Vec<Affected>) -> Advisory {
    let links = about["references"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let links = links.filter(|url| url.starts_with("http") && url.len() <= 2048).take(100);
    Advisory {
        details: cut(about["description"].as_str().unwrap_or_default()),
        references: links.map(|url| Reference { url: url.to_owned() }).collect(),
        affected,
        ..Advisory::new(feed, id)
    }
}

/// A package of an ecosystem; none of what is a product with a name for people.
fn package(record: &Value) -> Option<Affected> {
    let place = record["collectionURL"].as_str()?.trim_end_matches('/');
    let (_, family) = COLLECTIONS.iter().find(|(known, _)| *known == place)?;
    let name = record["packageName"].as_str().filter(|name| !name.is_empty())?;
    // Maven's names are a group and an artifact.
    if *family == Family::Maven && name.split(':').count() != 2 {
        return None;
    }
    let order = Scheme::of(family)?;
    let mut entry = Affected { ranges: vec![], ..Affected::always(Ecosystem::of(family.clone()), name, FixState::Open) };
    for version in record["versions"].as_array().into_iter().flatten().take(MAX_VERSIONS) {
        // What is not affected is what lies outside of the ranges that are; commits are in no order.
        if version["status"] != "affected" || version["versionType"] == "git" {
            continue;
        }
        let text = |key: &str| version[key].as_str().map(str::trim).filter(|text| !text.is_empty() && text.len() <= 256);
        let begin = text("version").filter(|begin| *begin != "*").unwrap_or("0");
        let valid = |end: &&str| order.is_valid(end.trim_start_matches('v'));
        let ends = [("lessThan", Event::Fixed as fn(String) -> Event), ("lessThanOrEqual", Event::LastAffected)];
        let given = ends.iter().find_map(|(key, event)| text(key).map(|end| (end, event)));
        match given {
            // All of its versions, and those to come.
            Some(("*", _)) => entry.ranges.push(range(begin, None)),
            Some((end, event)) if valid(&end) && (begin == "0" || valid(&begin)) => {
                entry.ranges.push(range(begin, Some(event(end.to_owned()))))
            }
            // An end that is no version is no reason to call all of them vulnerable.
            Some(_) => {}
            None if begin == "0" => {}
            None => entry.versions.push(begin.to_owned()),
        }
    }
    (!entry.ranges.is_empty() || !entry.versions.is_empty()).then_some(entry)
}

fn range(begin: &str, end: Option<Event>) -> Range {
    let events = std::iter::once(Event::Introduced(begin.to_owned())).chain(end).collect();
    Range { kind: RangeKind::Ecosystem, events }
}

pub(super) struct Overrides;

impl Format for Overrides {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        matches!(document, Parsed::Object(document)
            if document.get("_annotation").is_some_and(|about| about.get("cve_id").is_some()) && document.contains_key("cve"))
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let Parsed::Object(document) = document else { return Brought::default() };
        let about = document.get("_annotation").unwrap_or(&Value::Null);
        let id = about["cve_id"].as_str().unwrap_or_default();
        if !is_cve(id) {
            return Brought::refused(name, "a record without an id of the CVE list");
        }
        let configurations = document.get("cve").and_then(|cve| cve.get("configurations")).cloned();
        // One without configurations overrides something else, and NVD's stand.
        let Some(configurations) = configurations else { return Brought::default() };
        match serde_json::from_value::<Vec<Configuration>>(configurations) {
            Ok(configurations) => {
                let affected = cpe::affected(&configurations);
                Brought { advisories: vec![advisory(OVERRIDES, id, about, affected)], ..Brought::default() }
            }
            Err(error) => Brought::refused(name, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::documents::Syntax;
    use crate::formats::read;
    use lestrade_model::Event;

    const ENRICHED: &str = include_str!("../../fuzz/seeds/anchore");
    const OVERRIDDEN: &str = include_str!("../../fuzz/seeds/nvd-overrides");

    #[test]
    fn packages_of_ecosystems_are_taken_and_names_for_people_are_not() {
        let brought = read("CVE-2024-1.json", Syntax::Json, ENRICHED);
        let [advisory] = brought.advisories.as_slice() else { panic!("{:?}", brought.quarantined) };
        let shown: Vec<String> = advisory
            .affected
            .iter()
            .map(|entry| {
                format!(
                    "{} {} {:?} {:?}",
                    entry.ecosystem,
                    entry.name,
                    entry.ranges.iter().map(|range| &range.events).collect::<Vec<_>>(),
                    entry.versions
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                r#"PyPI apache-superset [[Introduced("0"), Fixed("3.1.3")], [Introduced("4.0.0"), LastAffected("4.0.1")]] ["4.1.0rc1"]"#,
                r#"Maven org.apache.example:core [[Introduced("1.0"), Fixed("1.5.2")]] []"#,
            ]
        );
        assert_eq!((advisory.key.feed.as_str(), advisory.references.len()), ("anchore-enrichment", 1));
    }

    #[test]
    fn overrides_are_configurations() {
        let brought = read("CVE-2019-7317.json", Syntax::Json, OVERRIDDEN);
        let [advisory] = brought.advisories.as_slice() else { panic!("{:?}", brought.quarantined) };
        assert_eq!((advisory.key.feed.as_str(), advisory.key.id.as_str()), ("nvd-overrides", "CVE-2019-7317"));
        let [libpng] = advisory.affected.as_slice() else { panic!("{:?}", advisory.affected) };
        assert_eq!(libpng.ranges[0].events, [Event::Introduced("1.6.0".into()), Event::Fixed("1.6.37".into())]);
    }

    #[test]
    fn records_that_are_none_are_refused() {
        for text in [
            ENRICHED.replace("CVE-2024-29999", "GHSA-x"),
            OVERRIDDEN.replace("\"CVE-2019-7317\"", "\"x\""),
            OVERRIDDEN.replace("\"configurations\": [", "\"configurations\": [7, "),
        ] {
            let brought = read("x.json", Syntax::Json, &text);
            assert_eq!((brought.advisories.len(), brought.quarantined.len()), (0, 1), "{text}");
        }
    }
}
