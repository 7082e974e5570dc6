//! The Node.js Security Working Group's database: a JSON file for each advisory about an npm package, with npm ranges of what is
//! vulnerable and what is patched. Its other half, about Node.js itself, names no package and is not read.

use super::{Brought, Format, Parsed, cut, is_cve, record};
use lestrade_model::{
    Advisory, Affected, Cvss, Ecosystem, Event, Family, FixState, Range, RangeKind, Reference, Score, ScoreSource, Timestamp,
};
use lestrade_versions::{Constraint, Language, Scheme};
use serde::Deserialize;
use serde_json::Value;

const FEED: &str = "nodejs-security-wg";

pub(super) struct NodeJs;

#[derive(Deserialize)]
struct Record {
    id: u64,
    #[serde(default)]
    title: String,
    module_name: String,
    #[serde(default)]
    publish_date: Option<String>,
    #[serde(default)]
    cves: Vec<String>,
    vulnerable_versions: Option<String>,
    #[serde(default)]
    patched_versions: Option<String>,
    #[serde(default)]
    overview: String,
    #[serde(default)]
    references: Value,
    #[serde(default)]
    cvss_vector: Option<String>,
}

impl Format for NodeJs {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        matches!(document, Parsed::Object(document) if document.contains_key("module_name") && document.contains_key("vulnerable_versions"))
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        match record(document).and_then(Record::advisory) {
            Ok(advisory) => Brought { advisories: vec![advisory], ..Brought::default() },
            Err(reason) => Brought::refused(name, reason),
        }
    }
}

impl Record {
    fn advisory(self) -> Result<Advisory, String> {
        let vulnerable = self.vulnerable_versions.ok_or("it names no vulnerable versions")?;
        let patched = self.patched_versions.map(|text| npm_ranges(&text)).transpose().unwrap_or_default().unwrap_or_default();
        let mut ranges = npm_ranges(&vulnerable)?;
        ranges.iter_mut().for_each(|range| name_fix(range, &patched));
        let links = self.references.as_array().into_iter().flatten().filter_map(Value::as_str);
        let day = self.publish_date.as_deref().and_then(|date| date.get(..10));
        Ok(Advisory {
            aliases: self.cves.into_iter().filter(|id| is_cve(id)).collect(),
            summary: cut(&self.title),
            details: cut(&self.overview),
            published: day.and_then(|day| Timestamp::parse(&format!("{day}T00:00:00Z")).ok()),
            scores: self.cvss_vector.and_then(|vector| Cvss::parse(&vector).ok()).into_iter().map(score).collect(),
            references: links
                .filter(|url| url.starts_with("http") && url.len() <= 2048)
                .map(|url| Reference { url: url.to_owned() })
                .collect(),
            affected: vec![Affected { ranges, ..Affected::always(Ecosystem::of(Family::Npm), &self.module_name, FixState::Open) }],
            ..Advisory::new(FEED, &format!("NSWG-ECO-{}", self.id))
        })
    }
}

fn score(cvss: Cvss) -> Score {
    Score { cvss, source: ScoreSource("NODEJS".into()) }
}

/// An npm range as ranges of events, one for each alternative.
fn npm_ranges(text: &str) -> Result<Vec<Range>, String> {
    let constraint =
        Constraint::parse(Language::Npm { include_prerelease: false, loose: true }, text).map_err(|error| error.to_string())?;
    Ok(constraint.normalised().unwrap_or_default().split("||").map(range).collect())
}

/// Plain comparators, all of which hold: `>=1.0.0 <1.2.0-0`.
fn range(comparators: &str) -> Range {
    let mut introduced = "0".to_owned();
    let mut end = None;
    for word in comparators.split_whitespace() {
        let version = word.trim_start_matches(['<', '>', '=']);
        match &word[..word.len() - version.len()] {
            ">=" => introduced = version.to_owned(),
            ">" => introduced = after(version),
            // What is written short ends at the lowest pre-release of the next version.
            "<" => end = Some(Event::Fixed(version.strip_suffix("-0").unwrap_or(version).to_owned())),
            "<=" => end = Some(Event::LastAffected(version.to_owned())),
            _ => (introduced, end) = (version.to_owned(), Some(Event::LastAffected(version.to_owned()))),
        }
    }
    Range { kind: RangeKind::Semver, events: std::iter::once(Event::Introduced(introduced)).chain(end).collect() }
}

/// The next version of all.
pub(super) fn after(version: &str) -> String {
    let next_patch = || {
        let (rest, patch) = version.rsplit_once('.')?;
        Some(format!("{rest}.{}-0", patch.parse::<u64>().ok()?.saturating_add(1)))
    };
    if version.contains('-') { format!("{version}.0") } else { next_patch().unwrap_or_else(|| version.to_owned()) }
}

/// Where a range ends with its last vulnerable version, the first patched one after it is the fix: none was published between.
fn name_fix(range: &mut Range, patched: &[Range]) {
    let Some(Event::LastAffected(last)) = range.events.last() else { return };
    let starts = patched.iter().filter_map(|range| match range.events.first() {
        Some(Event::Introduced(version)) if Scheme::Npm.compare(version, last).is_gt() => Some(version),
        _ => None,
    });
    if let Some(fix) = starts.min_by(|a, b| Scheme::Npm.compare(a, b)).cloned() {
        range.events.pop();
        range.events.push(Event::Fixed(fix));
    }
}

#[cfg(test)]
mod tests {
    use crate::documents::Syntax;
    use crate::formats::read;
    use lestrade_matching::affects;
    use lestrade_model::{Component, Ecosystem, Family};

    #[test]
    fn npm_ranges_are_read_and_patches_are_named() {
        for (vulnerable, patched, version, said) in [
            ("<=1.5.1", ">=1.5.2", "1.5.1", Some("1.5.2")),
            ("<=1.5.1", ">=1.5.2", "1.5.2", None),
            ("<=1.2.3 || >=2 <2.1", "", "2.0.5", Some("2.1.0")),
            ("<=1.2.3 || >=2 <2.1", "", "1.9.0", None),
            ("2.0.x || 2.1.x", ">=2.2.0", "2.1.7", Some("2.2.0")),
            ("=3.0.0-rc.1", "", "3.0.0-rc.1", Some("")),
            (">2.51.0 <=2.67.0", "", "2.51.0", None),
            (">2.51.0 <=2.67.0", "", "2.51.1", Some("")),
            ("*", "<0.0.0", "7.0.0", Some("")),
        ] {
            let record = format!(
                r#"{{"id": 1, "title": "t", "module_name": "a", "cves": ["CVE-2014-7205"], "vulnerable_versions": "{vulnerable}",
                "patched_versions": "{patched}", "cvss_vector": "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:L/A:N"}}"#
            );
            let advisory = read("npm/1.json", Syntax::Json, &record).advisories.remove(0);
            let component = Component::new(Ecosystem::of(Family::Npm), "a", version);
            let verdict = affects(&advisory.affected[0], &component).map(|verdict| verdict.fixed_in.unwrap_or_default());
            assert_eq!(verdict.as_deref(), said, "{version} in {vulnerable}");
            assert_eq!((advisory.vulnerabilities(), advisory.scores.len()), (vec!["CVE-2014-7205"], 1));
        }
    }

    #[test]
    fn a_range_that_is_none_is_told() {
        let record = r#"{"id": 1, "module_name": "a", "vulnerable_versions": "99999999999999999999"}"#;
        assert_eq!(read("npm/1.json", Syntax::Json, record).quarantined.len(), 1);
    }
}
