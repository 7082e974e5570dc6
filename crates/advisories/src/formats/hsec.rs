//! The Haskell security advisory database: Markdown that begins with a block of TOML, then a heading and the text. Advisories about
//! the compiler and its tools name no package of Hackage and bring no entries.

use super::{Brought, Format, Parsed, cut};
use lestrade_model::{Advisory, Affected, Cvss, Ecosystem, Event, Family, FixState, Range, RangeKind, Reference, Score, ScoreSource};
use serde::Deserialize;

const FEED: &str = "hsec";

pub(super) struct Hsec;

#[derive(Deserialize)]
struct Record {
    advisory: Head,
    #[serde(default)]
    affected: Vec<Package>,
    #[serde(default)]
    references: Vec<Link>,
}

#[derive(Deserialize)]
struct Head {
    id: String,
    #[serde(default)]
    cwe: Vec<u32>,
    #[serde(default)]
    aliases: Vec<String>,
}

#[derive(Deserialize)]
struct Package {
    #[serde(default)]
    package: Option<String>,
    #[serde(default)]
    cvss: Option<String>,
    #[serde(default)]
    versions: Vec<Interval>,
}

#[derive(Deserialize)]
struct Interval {
    introduced: String,
    #[serde(default)]
    fixed: Option<String>,
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    url: String,
}

impl Format for Hsec {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        matches!(document, Parsed::Text(text) if text.trim_start().starts_with("```toml"))
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let Parsed::Text(text) = document else { return Brought::default() };
        let Some((block, rest)) = text.trim_start().trim_start_matches("```toml").split_once("\n```") else {
            return Brought::refused(name, "its block of TOML has no end");
        };
        match toml::from_str::<Record>(block) {
            Ok(record) => Brought { advisories: vec![record.advisory(rest)], ..Brought::default() },
            Err(error) => Brought::refused(name, error.message()),
        }
    }
}

impl Record {
    fn advisory(self, text: &str) -> Advisory {
        let (title, details) = text.trim().split_once('\n').unwrap_or((text.trim(), ""));
        let vectors = self.affected.iter().filter_map(|package| Cvss::parse(package.cvss.as_deref()?).ok());
        Advisory {
            scores: vectors.map(|cvss| Score { cvss, source: ScoreSource("HSEC".into()) }).collect(),
            affected: self.affected.iter().filter_map(Package::entry).collect(),
            aliases: self.advisory.aliases,
            summary: cut(title.trim_start_matches('#').trim()),
            details: cut(details.trim()),
            cwes: self.advisory.cwe.iter().map(|number| format!("CWE-{number}")).collect(),
            references: self
                .references
                .into_iter()
                .filter(|link| link.url.starts_with("http") && link.url.len() <= 2048)
                .map(|link| Reference { url: link.url })
                .collect(),
            ..Advisory::new(FEED, &self.advisory.id)
        }
    }
}

impl Package {
    fn entry(&self) -> Option<Affected> {
        let events = |interval: &Interval| {
            std::iter::once(Event::Introduced(interval.introduced.clone())).chain(interval.fixed.clone().map(Event::Fixed)).collect()
        };
        let ranges = self.versions.iter().map(|interval| Range { kind: RangeKind::Ecosystem, events: events(interval) }).collect();
        Some(Affected { ranges, ..Affected::always(Ecosystem::of(Family::Hackage), self.package.as_deref()?, FixState::Open) })
    }
}

#[cfg(test)]
mod tests {
    use crate::documents::Syntax;
    use crate::formats::read;

    #[test]
    fn the_block_at_the_top_is_the_record() {
        let text = "```toml\n[advisory]\nid = \"HSEC-2023-0009\"\ncwe = [20, 78]\naliases = [\"CVE-2017-12976\"]\n\n[[affected]]\n\
            package = \"git-annex\"\ncvss = \"CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H\"\n[[affected.versions]]\nintroduced = \"0\"\n\
            fixed = \"6.20170818\"\n\n[[affected]]\nghc-component = \"ghc\"\n\n[[references]]\ntype = \"FIX\"\nurl = \"https://a.example\"\n\
            ```\n\n# Command injection\n\nBy a host name.\n";
        let brought = read("HSEC-2023-0009.md", Syntax::Text, text);
        let advisory = &brought.advisories[0];
        assert_eq!((advisory.summary.as_str(), advisory.details.as_str()), ("Command injection", "By a host name."));
        assert_eq!((advisory.affected.len(), advisory.affected[0].ranges.len(), advisory.scores.len()), (1, 1, 1));
        assert_eq!(advisory.vulnerabilities(), ["CVE-2017-12976"]);
        assert_eq!(read("HSEC-1.md", Syntax::Text, "```toml\n[advisory]\n").quarantined.len(), 1);
    }
}
