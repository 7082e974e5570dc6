//! GitHub's global advisories as its REST API answers them (`GET /advisories`): a page of them, or one. What is kept in the git
//! repository are OSV records.

use super::friends_of_php::range;
use super::nodejs::after;
use super::{Brought, Format, Parsed, cut, is_cve};
use lestrade_model::{Advisory, Affected, Cvss, Ecosystem, Event, Family, FixState, Reference, Score, ScoreSource, Timestamp};
use serde_json::Value;

const FEED: &str = "github";

pub(super) struct Ghsa;

fn is_record(value: &Value) -> bool {
    value.get("ghsa_id").is_some() && value.get("vulnerabilities").is_some_and(Value::is_array)
}

impl Format for Ghsa {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        match document {
            Parsed::List(page) => page.first().is_some_and(is_record),
            Parsed::Object(record) => record.contains_key("ghsa_id") && record.contains_key("vulnerabilities"),
            _ => false,
        }
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let page = match document {
            Parsed::List(page) => page,
            Parsed::Object(record) => vec![Value::Object(record)],
            _ => return Brought::default(),
        };
        let mut brought = Brought::default();
        for record in &page {
            match advisory(record) {
                Ok(advisory) => brought.advisories.push(advisory),
                Err(reason) => {
                    let id = record["ghsa_id"].as_str().unwrap_or("?");
                    brought.quarantined.push((format!("{name}: {}", id.chars().take(64).collect::<String>()), reason));
                }
            }
        }
        brought
    }
}

fn advisory(record: &Value) -> Result<Advisory, String> {
    let text = |key: &str| record[key].as_str().unwrap_or_default();
    let id = text("ghsa_id");
    if !id.starts_with("GHSA-") || id.len() > 32 {
        return Err("it has no id".into());
    }
    let time = |key: &str| Timestamp::parse(text(key)).ok();
    let vectors = ["/cvss_severities/cvss_v4/vector_string", "/cvss_severities/cvss_v3/vector_string", "/cvss/vector_string"];
    let vectors = vectors.iter().filter_map(|at| record.pointer(at)?.as_str());
    let mut scores: Vec<Score> = Vec::new();
    for cvss in vectors.filter_map(|vector| Cvss::parse(vector).ok()) {
        if scores.iter().all(|known| known.cvss != cvss) {
            scores.push(Score { cvss, source: ScoreSource("GITHUB".into()) });
        }
    }
    let list = |key: &str| record[key].as_array().into_iter().flatten();
    let cwes = list("cwes").filter_map(|cwe| cwe["cwe_id"].as_str()).filter(|cwe| cwe.starts_with("CWE-")).map(str::to_owned);
    let links = list("references").filter_map(Value::as_str).filter(|url| url.starts_with("http") && url.len() <= 2048);
    Ok(Advisory {
        aliases: Some(text("cve_id")).filter(|cve| is_cve(cve)).map(str::to_owned).into_iter().collect(),
        summary: cut(text("summary")),
        details: cut(text("description")),
        published: time("published_at"),
        modified: time("updated_at"),
        withdrawn: time("withdrawn_at"),
        scores,
        vendor_severity: Some(text("severity")).filter(|word| !word.is_empty() && word.len() <= 32).map(str::to_owned),
        cwes: cwes.collect(),
        references: links.map(|url| Reference { url: url.to_owned() }).collect(),
        affected: list("vulnerabilities").map(affected).collect::<Result<Vec<_>, _>>()?,
        ..Advisory::new(FEED, id)
    })
}

fn affected(vulnerability: &Value) -> Result<Affected, String> {
    let package = &vulnerability["package"];
    let family = match package["ecosystem"].as_str().unwrap_or_default() {
        "actions" => Family::Other("GitHub Actions".into()),
        "composer" => Family::Packagist,
        "erlang" => Family::Hex,
        "go" => Family::Go,
        "maven" => Family::Maven,
        "npm" => Family::Npm,
        "nuget" => Family::NuGet,
        "pip" => Family::PyPi,
        "pub" => Family::Pub,
        "rubygems" => Family::RubyGems,
        "rust" => Family::CratesIo,
        "swift" => Family::SwiftUrl,
        other => return Err(format!("'{}' is an ecosystem that is not known", other.chars().take(32).collect::<String>())),
    };
    let name = package["name"].as_str().filter(|name| !name.is_empty()).ok_or("a package without a name")?;
    let is_semver = matches!(family, Family::CratesIo | Family::Go | Family::Hex | Family::Npm | Family::Pub | Family::SwiftUrl);
    let comparison = |part: &str| match part.trim().strip_prefix('>').filter(|rest| is_semver && !rest.starts_with('=')) {
        Some(version) => format!(">= {}", after(version.trim())),
        None => part.trim().to_owned(),
    };
    let range_text = vulnerability["vulnerable_version_range"].as_str().unwrap_or_default();
    let comparisons: Vec<String> = range_text.split(',').map(comparison).collect();
    let mut range = match comparisons.as_slice() {
        // Nothing is said: every version.
        [one] if one.is_empty() => return Ok(Affected::always(Ecosystem::of(family), name, FixState::Open)),
        comparisons if comparisons.iter().any(|text| !text.starts_with(['<', '>', '='])) => {
            return Err(format!("'{}' is no range", comparisons.join(", ").chars().take(64).collect::<String>()));
        }
        comparisons => range(comparisons)?,
    };
    let patched = &vulnerability["first_patched_version"];
    let patched = patched.as_str().or_else(|| patched["identifier"].as_str()).filter(|version| !version.is_empty());
    if let (Some(patched), Some(Event::LastAffected(_))) = (patched, range.events.last()) {
        // None was published between the last that is vulnerable and the first that is not.
        range.events.pop();
        range.events.push(Event::Fixed(patched.to_owned()));
    }
    Ok(Affected { ranges: vec![range], ..Affected::always(Ecosystem::of(family), name, FixState::Open) })
}

#[cfg(test)]
mod tests {
    use crate::documents::Syntax;
    use crate::formats::read;
    use lestrade_matching::affects;
    use lestrade_model::{Component, Ecosystem};

    fn record(range: &str, patched: &str) -> String {
        format!(
            r#"{{"ghsa_id": "GHSA-jfh8-c2jp-5v3q", "cve_id": "CVE-2021-44228", "summary": "s", "description": "d", "severity": "critical",
            "published_at": "2021-12-10T00:40:56Z", "updated_at": "2025-05-09T12:28:41Z", "withdrawn_at": null, "references": ["https://a.example"],
            "cvss": {{"vector_string": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", "score": 10.0}}, "cwes": [{{"cwe_id": "CWE-20"}}],
            "vulnerabilities": [{{"package": {{"ecosystem": "maven", "name": "org.apache.logging.log4j:log4j-core"}},
            "vulnerable_version_range": "{range}", "first_patched_version": {patched}}}]}}"#
        )
    }

    #[test]
    fn a_page_of_advisories() {
        for (range, patched, version, fix) in [
            (">= 2.13.0, < 2.15.0", "\"2.15.0\"", "2.14.1", Some("2.15.0")),
            (">= 2.13.0, < 2.15.0", "\"2.15.0\"", "2.12.1", None),
            ("<= 2.14.1", "{\"identifier\": \"2.15.0\"}", "2.14.1", Some("2.15.0")),
            ("<= 2.14.1", "null", "2.14.1", Some("")),
            ("= 2.0", "null", "2.0", Some("")),
            ("= 2.0", "null", "2.1", None),
            ("", "null", "9", Some("")),
        ] {
            let page = format!("[{}]", record(range, patched));
            for document in [page.as_str(), &page[1..page.len() - 1]] {
                let brought = read("advisories.json", Syntax::Json, document);
                let [advisory] = brought.advisories.as_slice() else { panic!("{range}: {:?}", brought.quarantined) };
                assert_eq!((advisory.vulnerabilities(), advisory.scores.len()), (vec!["CVE-2021-44228"], 1));
                let core = Component::new("Maven".parse::<Ecosystem>().unwrap(), "org.apache.logging.log4j:log4j-core", version);
                let found = affects(&advisory.affected[0], &core).map(|verdict| verdict.fixed_in.unwrap_or_default());
                assert_eq!(found.as_deref(), fix, "{version} in {range}");
            }
        }
        let odd = record("about 2", "null");
        assert_eq!(read("advisories.json", Syntax::Json, &format!("[{odd},{}]", record("< 2", "null"))).quarantined.len(), 1);
    }
}
