//! NVD's configurations (CVE API 2.0, `configurations`): which versions of which products, by CPE 2.3 (NISTIR 7695). Only products of a
//! list are read, those whose packages no ecosystem has advisories of; all others are named better by somebody else.
//!
//! What is vulnerable only together with something else, in one edition, or written for one program alone is passed over: what is
//! installed does not tell.

use lestrade_model::{Affected, CURATED, Ecosystem, Event, Family, FixState, Range, RangeKind};
use lestrade_versions::Scheme;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The most ranges and versions of one product that one vulnerability has.
const MAX_MATCHES: usize = 10_000;

#[derive(Deserialize)]
pub(super) struct Configuration {
    #[serde(default)]
    operator: String,
    #[serde(default)]
    negate: bool,
    #[serde(default)]
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    #[serde(default)]
    operator: String,
    #[serde(default)]
    negate: bool,
    #[serde(default)]
    cpe_match: Vec<Match>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Match {
    vulnerable: bool,
    criteria: String,
    version_start_including: Option<String>,
    version_start_excluding: Option<String>,
    version_end_including: Option<String>,
    version_end_excluding: Option<String>,
}

/// What configurations say of the products of the list.
pub(super) fn affected(configurations: &[Configuration]) -> Vec<Affected> {
    let mut entries: BTreeMap<&str, Affected> = BTreeMap::new();
    let alone = configurations.iter().filter(|configuration| !configuration.negate);
    // Several nodes that must hold together are a product and what it runs on.
    let alone = alone.filter(|configuration| configuration.nodes.len() == 1 || configuration.operator != "AND");
    let nodes = alone.flat_map(|configuration| &configuration.nodes).filter(|node| !node.negate && node.operator != "AND");
    for (matched, criteria) in
        nodes.flat_map(|node| &node.cpe_match).take(MAX_MATCHES).filter_map(|one| Some((one, Criteria::parse(&one.criteria)?)))
    {
        if !matched.vulnerable {
            continue;
        }
        for row in CURATED.iter().filter(|row| row.vendor == criteria.vendor && row.product == criteria.product) {
            let entry = entries.entry(row.package).or_insert_with(|| Affected {
                ranges: vec![],
                ..Affected::always(Ecosystem::of(Family::Conda), row.package, FixState::Open)
            });
            matched.add_to(entry, &criteria);
        }
    }
    entries.into_values().filter(|entry| !entry.ranges.is_empty() || !entry.versions.is_empty()).collect()
}

impl Match {
    fn add_to(&self, entry: &mut Affected, criteria: &Criteria<'_>) {
        let valid = |version: &&String| Scheme::Upstream.is_valid(version);
        let start = self.version_start_including.as_ref().filter(valid);
        let (before, until) = (self.version_end_excluding.as_ref().filter(valid), self.version_end_including.as_ref().filter(valid));
        match criteria.version.as_str() {
            // A range that begins behind a version cannot be said without naming the next, which nobody knows.
            "*" if self.version_start_excluding.is_some() => {}
            "*" => {
                let mut events = vec![Event::Introduced(start.map_or("0", String::as_str).to_owned())];
                events.extend(before.cloned().map(Event::Fixed).or_else(|| until.cloned().map(Event::LastAffected)));
                // An end that is no version is no reason to call all of them vulnerable.
                let has_end = self.version_end_excluding.is_some() || self.version_end_including.is_some();
                if events.len() == 2 || !has_end {
                    entry.ranges.push(Range { kind: RangeKind::Ecosystem, events });
                }
            }
            version if Scheme::Upstream.is_valid(version) => entry.versions.push(version.to_owned()),
            _ => {}
        }
    }
}

/// The parts of a name that matter.
struct Criteria<'a> {
    vendor: &'a str,
    product: &'a str,
    version: String,
}

impl<'a> Criteria<'a> {
    /// `cpe:2.3:a:openssl:openssl:1.1.1:-:*:*:*:*:*:*`; none of what is no application, or of one edition of it.
    fn parse(text: &'a str) -> Option<Self> {
        let parts = parts(text)?;
        let [vendor, product, version, update, edition, language, sw_edition, target_sw, target_hw, other] = parts;
        let any = |part: &str| matches!(part, "*" | "-");
        let of_all = [edition, language, sw_edition, target_sw, target_hw, other].into_iter().all(any);
        // `1.0.0:beta1` is `1.0.0-beta1`.
        let version =
            if any(update) || version == "*" { version.replace('\\', "") } else { format!("{version}-{update}").replace('\\', "") };
        (of_all && version.len() <= 128 && (any(update) || version != "*")).then_some(Self { vendor, product, version })
    }
}

/// The ten parts behind `cpe:2.3:a:`; a colon behind a stroke belongs to its part.
fn parts(text: &str) -> Option<[&str; 10]> {
    let mut rest = text.strip_prefix("cpe:2.3:a:")?;
    let mut parts = [""; 10];
    for (number, part) in parts.iter_mut().enumerate() {
        let mut escaped = false;
        let end = rest.bytes().position(|byte| {
            let ends = byte == b':' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        (*part, rest) = match end {
            Some(end) => (rest.get(..end)?, rest.get(end + 1..)?),
            None if number == 9 => (rest, ""),
            None => return None,
        };
    }
    rest.is_empty().then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn shown(configurations: Value) -> Vec<String> {
        let configurations: Vec<Configuration> = serde_json::from_value(configurations).unwrap();
        let entry = |entry: Affected| {
            let ranges: Vec<String> = entry
                .ranges
                .iter()
                .map(|range| match &range.events[..] {
                    [Event::Introduced(begin), Event::Fixed(end)] => format!("{begin} <{end}"),
                    [Event::Introduced(begin), Event::LastAffected(end)] => format!("{begin} <={end}"),
                    other => format!("{other:?}"),
                })
                .collect();
            format!("{}: {} {}", entry.name, ranges.join(", "), entry.versions.join(", ")).trim().to_owned()
        };
        affected(&configurations).into_iter().map(entry).collect()
    }

    fn cpe(product: &str, rest: &str) -> String {
        format!("cpe:2.3:a:{product}:{rest}")
    }

    fn any(product: &str) -> String {
        cpe(product, "*:*:*:*:*:*:*:*")
    }

    fn one(matches: Value) -> Value {
        json!([{"nodes": [{"operator": "OR", "negate": false, "cpeMatch": matches}]}])
    }

    #[test]
    fn ranges_and_versions_of_products_on_the_list() {
        let matches = json!([
            {"vulnerable": true, "criteria": any("openssl:openssl"), "versionStartIncluding": "1.1.1", "versionEndExcluding": "1.1.1t"},
            {"vulnerable": true, "criteria": any("openssl:openssl"), "versionStartIncluding": "3.0.0", "versionEndIncluding": "3.0.7"},
            {"vulnerable": true, "criteria": cpe("openssl:openssl", "1.0.2:-:*:*:*:*:*:*")},
            {"vulnerable": true, "criteria": cpe("openssl:openssl", "3.1.0:beta1:*:*:*:*:*:*")},
            {"vulnerable": true, "criteria": any("haxx:libcurl"), "versionEndExcluding": "8.4.0"},
            {"vulnerable": true, "criteria": any("stormshield:stormshield_network_security"), "versionEndExcluding": "4"}
        ]);
        assert_eq!(shown(one(matches)), ["libcurl: 0 <8.4.0", "openssl: 1.1.1 <1.1.1t, 3.0.0 <=3.0.7 1.0.2, 3.1.0-beta1"]);
    }

    #[test]
    fn what_is_vulnerable_together_with_something_else_is_passed_over() {
        let vulnerable = json!([{"vulnerable": true, "criteria": any("python:python"), "versionEndExcluding": "3.9"}]);
        let windows = json!([{"vulnerable": false, "criteria": "cpe:2.3:o:microsoft:windows:-:*:*:*:*:*:*:*"}]);
        let node = |operator: &str, matches: &Value| json!({"operator": operator, "negate": false, "cpeMatch": matches});
        assert_eq!(shown(json!([{"operator": "AND", "nodes": [node("OR", &vulnerable), node("OR", &windows)]}])), [""; 0]);
        assert_eq!(shown(json!([{"nodes": [node("AND", &vulnerable)]}])), [""; 0]);
        assert_eq!(shown(json!([{"nodes": [{"operator": "OR", "negate": true, "cpeMatch": vulnerable}]}])), [""; 0]);
        assert_eq!(shown(json!([{"nodes": [node("OR", &vulnerable)]}])), ["python: 0 <3.9"]);
        let context = json!([{"vulnerable": false, "criteria": any("python:python"), "versionEndExcluding": "3.9"}]);
        assert_eq!(shown(one(context)), [""; 0]);
    }

    #[test]
    fn editions_and_other_programs_versions_are_passed_over() {
        for criteria in [
            cpe("redis:redis", "*:*:*:*:*:python:*:*"),
            cpe("redis:redis", "*:*:*:*:enterprise:*:*:*"),
            cpe("redis:redis", "-:*:*:*:*:*:*:*"),
            cpe("redis:redis", "*:rc1:*:*:*:*:*:*"),
            "cpe:2.3:o:redis:redis:*:*:*:*:*:*:*:*".to_owned(),
            cpe("redis:redis", "*:*:*"),
            cpe("redis\\:redis", "*:*:*:*:*:*:*:*"),
            "cpe:/a:redis:redis".to_owned(),
        ] {
            assert_eq!(shown(one(json!([{"vulnerable": true, "criteria": criteria, "versionEndExcluding": "7"}]))), [""; 0], "{criteria}");
        }
        let broken = json!([{"vulnerable": true, "criteria": any("redis:redis"), "versionEndExcluding": "soon"},
            {"vulnerable": true, "criteria": any("redis:redis"), "versionStartExcluding": "6.0", "versionEndExcluding": "7"}]);
        assert_eq!(shown(one(broken)), [""; 0]);
    }
}
