//! The Ruby advisory database: a YAML file for each, which says which versions of a gem are *not* vulnerable. What is vulnerable
//! is the rest.

use super::{Brought, Format, Parsed, cut, record};
use lestrade_model::{Advisory, Affected, Cvss, Ecosystem, Event, Family, FixState, Range, RangeKind, Reference, Score, ScoreSource};
use lestrade_versions::Scheme;
use serde::Deserialize;
use serde_json::Value;

const FEED: &str = "rubysec";

pub(super) struct RubySec;

#[derive(Deserialize)]
struct Record {
    gem: String,
    #[serde(default)]
    cve: Option<Value>,
    #[serde(default)]
    ghsa: Option<Value>,
    #[serde(default)]
    osvdb: Option<Value>,
    #[serde(default)]
    url: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    cvss_v3: Option<Value>,
    #[serde(default)]
    patched_versions: Vec<String>,
    #[serde(default)]
    unaffected_versions: Vec<String>,
}

impl Format for RubySec {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        matches!(document, Parsed::Object(document) if document.contains_key("gem") && document.contains_key("title"))
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let record: Record = match record(document) {
            Ok(record) => record,
            Err(reason) => return Brought::refused(name, reason),
        };
        match record.advisory(name) {
            Ok(advisory) => Brought { advisories: vec![advisory], ..Brought::default() },
            Err(reason) => Brought::refused(name, reason),
        }
    }
}

/// Ids are numbers to YAML where they have no hyphen.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl Record {
    fn advisory(self, file: &str) -> Result<Advisory, String> {
        let cve = text(self.cve.as_ref()).map(|id| format!("CVE-{id}"));
        let ghsa = text(self.ghsa.as_ref()).map(|id| format!("GHSA-{id}"));
        let osvdb = text(self.osvdb.as_ref()).map(|id| format!("OSVDB-{id}"));
        let stem = file.rsplit(['/', '!']).next().unwrap_or_default().trim_end_matches(".yml");
        let id = format!("{}/{}", self.gem, cve.clone().or_else(|| ghsa.clone()).or(osvdb).unwrap_or_else(|| stem.to_owned()));
        let safe =
            self.patched_versions.iter().chain(&self.unaffected_versions).map(|text| interval(text)).collect::<Result<Vec<_>, _>>()?;
        let vector = text(self.cvss_v3.as_ref()).and_then(|vector| Cvss::parse(&vector).ok());
        let affected = Affected {
            ranges: vec![Range { kind: RangeKind::Ecosystem, events: rest(safe) }],
            ..Affected::always(Ecosystem::of(Family::RubyGems), &self.gem, FixState::Open)
        };
        Ok(Advisory {
            aliases: cve.into_iter().chain(ghsa).collect(),
            summary: cut(&self.title),
            details: cut(&self.description),
            scores: vector.into_iter().map(|cvss| Score { cvss, source: ScoreSource("RUBYSEC".into()) }).collect(),
            references: Some(self.url)
                .filter(|url| url.starts_with("http") && url.len() <= 2048)
                .map(|url| Reference { url })
                .into_iter()
                .collect(),
            affected: vec![affected],
            ..Advisory::new(FEED, &id)
        })
    }
}

/// From a version on, up to another: none is from the beginning, or without end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Interval {
    from: Option<String>,
    /// The version itself lies outside.
    until: Option<String>,
}

/// What a gem requirement admits (`~> 1.2.3, >= 1.2.5`), as far as it is one interval.
fn interval(requirement: &str) -> Result<Interval, String> {
    let mut interval = Interval::default();
    for term in requirement.split(',').map(str::trim) {
        let at = term.find(|c: char| !"<>=~! ".contains(c)).ok_or_else(|| format!("'{requirement}' is no requirement"))?;
        let (op, version) = (term[..at].trim(), term[at..].trim());
        match op {
            ">=" => raise(&mut interval.from, version),
            // The next version of all: nothing lies between.
            ">" => raise(&mut interval.from, &format!("{version}.0.0.0.1")),
            "<" => lower(&mut interval.until, version),
            "<=" => lower(&mut interval.until, &format!("{version}.0.0.0.1")),
            "" | "=" => {
                raise(&mut interval.from, version);
                lower(&mut interval.until, &format!("{version}.0.0.0.1"));
            }
            "~>" => {
                raise(&mut interval.from, version);
                lower(&mut interval.until, &bump(version));
            }
            _ => return Err(format!("'{requirement}' is no interval")),
        }
    }
    Ok(interval)
}

fn raise(bound: &mut Option<String>, version: &str) {
    if bound.as_deref().is_none_or(|bound| Scheme::RubyGems.compare(bound, version).is_lt()) {
        *bound = Some(version.to_owned());
    }
}

fn lower(bound: &mut Option<String>, version: &str) {
    if bound.as_deref().is_none_or(|bound| Scheme::RubyGems.compare(bound, version).is_gt()) {
        *bound = Some(version.to_owned());
    }
}

/// Where `~> 1.2.3` ends: at `1.3`.
fn bump(version: &str) -> String {
    let mut parts: Vec<&str> = version.split('.').take_while(|part| part.bytes().all(|byte| byte.is_ascii_digit())).collect();
    if parts.len() > 1 {
        parts.pop();
    }
    let last = parts.pop().and_then(|last| last.parse::<u64>().ok()).unwrap_or(0).saturating_add(1);
    parts.into_iter().map(str::to_owned).chain([last.to_string()]).collect::<Vec<_>>().join(".")
}

/// The versions between safe intervals, as events.
fn rest(mut safe: Vec<Interval>) -> Vec<Event> {
    let compare = |a: &Option<String>, b: &Option<String>| match (a, b) {
        (None, None) => std::cmp::Ordering::Equal,
        (None, Some(_)) => std::cmp::Ordering::Less,
        (Some(_), None) => std::cmp::Ordering::Greater,
        (Some(a), Some(b)) => Scheme::RubyGems.compare(a, b),
    };
    safe.sort_by(|a, b| compare(&a.from, &b.from));
    let mut events = Vec::new();
    // Where the versions looked at so far end; none once they have no end.
    let mut at = Some("0".to_owned());
    for interval in safe {
        let Some(here) = at.clone() else { break };
        if let Some(from) = &interval.from
            && Scheme::RubyGems.compare(&here, from).is_lt()
        {
            events.extend([Event::Introduced(here.clone()), Event::Fixed(from.clone())]);
        }
        at = match interval.until {
            None => None,
            Some(until) if Scheme::RubyGems.compare(&until, &here).is_gt() => Some(until),
            Some(_) => Some(here),
        };
    }
    events.extend(at.map(Event::Introduced));
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_versions::{Position, position};

    fn vulnerable(safe: &[&str], version: &str) -> bool {
        let events = rest(safe.iter().map(|text| interval(text).unwrap()).collect());
        matches!(position(Scheme::RubyGems, &events, version), Position::Inside { .. })
    }

    #[test]
    fn what_is_not_safe_is_vulnerable() {
        let safe = ["~> 1.2.3", ">= 2.0.1", "< 1.0"];
        for (version, expected) in [
            ("0.9", false),
            ("1.0", true),
            ("1.2.2", true),
            ("1.2.3", false),
            ("1.2.99", false),
            ("1.3.0", true),
            ("2.0.0", true),
            ("2.0.1", false),
        ] {
            assert_eq!(vulnerable(&safe, version), expected, "{version}");
        }
        assert!(vulnerable(&[], "9"), "nothing is said to be safe");
        let odd = ["= 1.5", "> 2.0", "~> 1.1.4, >= 1.1.6"];
        for (version, expected) in [("1.5", false), ("1.5.1", true), ("2.0", true), ("2.0.1", false), ("1.1.5", true), ("1.1.6", false)] {
            assert_eq!(vulnerable(&odd, version), expected, "{version}");
        }
        assert!(interval("!= 1").is_err() && interval("").is_err());
    }

    #[test]
    fn a_record_has_its_aliases() {
        let text = "---\ngem: omniauth-saml\ncve: 2017-11430\nghsa: 94hm-8q65-rmxm\nurl: https://x\ntitle: t\ncvss_v2: 7.5\ncvss_v3: 9.8\npatched_versions:\n  - \">= 1.10.0\"\n";
        let brought = super::super::read("gems/omniauth-saml/CVE-2017-11430.yml", crate::documents::Syntax::Yaml, text);
        let advisory = &brought.advisories[0];
        assert_eq!((advisory.key.id.as_str(), advisory.vulnerabilities()), ("omniauth-saml/CVE-2017-11430", vec!["CVE-2017-11430"]));
        assert_eq!(advisory.affected[0].ranges[0].events, [Event::Introduced("0".into()), Event::Fixed("1.10.0".into())]);
    }
}
