//! FriendsOfPHP's security advisories: a YAML file for each, with the affected versions of each branch. Within a branch all
//! comparisons hold; any branch will do.

use super::{Brought, Format, Parsed, cut, is_cve, record};
use lestrade_model::{Advisory, Affected, Ecosystem, Event, Family, FixState, Range, RangeKind, Reference};
use serde::Deserialize;
use std::collections::BTreeMap;

const FEED: &str = "friends-of-php";

pub(super) struct FriendsOfPhp;

#[derive(Deserialize)]
struct Record {
    reference: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    link: String,
    #[serde(default)]
    cve: Option<String>,
    branches: BTreeMap<String, Branch>,
}

#[derive(Deserialize)]
struct Branch {
    versions: Vec<String>,
}

impl Format for FriendsOfPhp {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        matches!(document, Parsed::Object(document) if document.contains_key("branches") && document.contains_key("reference"))
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let record: Record = match record(document) {
            Ok(record) => record,
            Err(reason) => return Brought::refused(name, reason),
        };
        let Some(package) = record.reference.strip_prefix("composer://") else {
            return Brought::refused(name, "it is about no Composer package");
        };
        let ranges = record.branches.values().map(|branch| range(&branch.versions)).collect::<Result<Vec<_>, _>>();
        let ranges = match ranges {
            Ok(ranges) => ranges,
            Err(reason) => return Brought::refused(name, reason),
        };
        let cve = record.cve.filter(|id| is_cve(id));
        let stem = name.rsplit(['/', '!']).next().unwrap_or_default().trim_end_matches(".yaml");
        let advisory = Advisory {
            aliases: cve.into_iter().collect(),
            summary: cut(&record.title),
            references: Some(record.link)
                .filter(|link| link.starts_with("http") && link.len() <= 2048)
                .map(|url| Reference { url })
                .into_iter()
                .collect(),
            affected: vec![Affected { ranges, ..Affected::always(Ecosystem::of(Family::Packagist), package, FixState::Open) }],
            ..Advisory::new(FEED, &format!("{package}/{stem}"))
        };
        Brought { advisories: vec![advisory], ..Brought::default() }
    }
}

/// Comparisons, all of which hold, as a range.
pub(super) fn range(comparisons: &[String]) -> Result<Range, String> {
    let mut events = Vec::new();
    let mut introduced = "0".to_owned();
    for comparison in comparisons.iter().map(|text| text.trim()) {
        let at = comparison.find(|c: char| !"<>= ".contains(c)).ok_or_else(|| format!("'{comparison}' is no comparison"))?;
        let version = comparison[at..].trim().to_owned();
        match comparison[..at].trim() {
            ">=" => introduced = version,
            // Nothing lies between a version and its first patch.
            ">" => introduced = format!("{version}.0.0.1"),
            "<" => events.push(Event::Fixed(version)),
            "<=" => events.push(Event::LastAffected(version)),
            "=" | "==" | "" => {
                introduced.clone_from(&version);
                events.push(Event::LastAffected(version));
            }
            _ => return Err(format!("'{comparison}' is no comparison")),
        }
    }
    events.insert(0, Event::Introduced(introduced));
    Ok(Range { kind: RangeKind::Ecosystem, events })
}

#[cfg(test)]
mod tests {
    use lestrade_matching::affects;
    use lestrade_model::{Component, Ecosystem, Family};

    #[test]
    fn branches_are_alternatives() {
        let text = "title: x\nlink: https://x\ncve: CVE-2021-43808\nbranches:\n  \"6.x\":\n    time: ~\n    versions: ['<6.20.42']\n  \"7.x\":\n    versions: ['>=7.0.0', '<7.30.6']\nreference: composer://illuminate/view\n";
        let brought = super::super::read("illuminate/view/CVE-2021-43808.yaml", crate::documents::Syntax::Yaml, text);
        let advisory = &brought.advisories[0];
        assert_eq!(advisory.vulnerabilities(), ["CVE-2021-43808"]);
        let hit = |version: &str| {
            affects(&advisory.affected[0], &Component::new(Ecosystem::of(Family::Packagist), "Illuminate/View", version)).is_some()
        };
        assert_eq!(["6.20.41", "6.20.42", "7.0.0", "7.30.6", "v7.30.5"].map(hit), [true, false, true, false, true]);
    }
}
