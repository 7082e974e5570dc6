//! OSV records (OSV schema 1.x, ossf/osv-schema): the exchange format of most feeds.

use super::{Brought, Format, Parsed, cut, ubuntu};
use lestrade_model::{
    Advisory, AdvisoryKey, Affected, Cvss, Ecosystem, Event, FixState, Range, RangeKind, Reference, Score, ScoreSource, Timestamp,
};
use serde::Deserialize;
use serde_json::Value;

/// The most that one record may hold; beyond it the record is quarantined.
const MAX_AFFECTED: usize = 20_000;
const MAX_EVENTS: usize = 100_000;
const MAX_VERSIONS: usize = 200_000;

/// Why a record cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{id}: {reason}")]
pub struct Quarantine {
    /// The record's id, as far as it is known.
    pub id: String,
    /// One clause.
    pub reason: String,
}

/// The feed under which its records are kept.
pub(crate) const FEED: &str = "osv";

pub(super) struct Osv;

impl Format for Osv {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        match document {
            Parsed::Object(record) => record.contains_key("id") && !record.contains_key("@context"),
            Parsed::List(records) => records.first().is_some_and(|record| record.get("id").is_some()),
            _ => false,
        }
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let mut brought = Brought::default();
        let mut one = |record: Value| match read_osv(FEED, record) {
            Ok(advisory) => brought.advisories.push(advisory),
            Err(refused) => brought.quarantined.push((format!("{name}: {}", refused.id), refused.reason)),
        };
        match document {
            Parsed::Object(record) => one(Value::Object(record)),
            Parsed::List(records) => records.into_iter().for_each(one),
            _ => {}
        }
        brought
    }
}

#[derive(Deserialize)]
struct Record {
    id: String,
    #[serde(default)]
    modified: Option<String>,
    #[serde(default)]
    published: Option<String>,
    #[serde(default)]
    withdrawn: Option<String>,
    #[serde(default)]
    aliases: Option<Vec<String>>,
    #[serde(default)]
    upstream: Option<Vec<String>>,
    #[serde(default)]
    related: Option<Vec<String>>,
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    details: Option<String>,
    /// Some databases write a word here, where the schema asks for a list: it is read leniently.
    #[serde(default)]
    severity: Option<Value>,
    #[serde(default)]
    affected: Option<Vec<AffectedRecord>>,
    #[serde(default)]
    references: Option<Vec<ReferenceRecord>>,
    #[serde(default)]
    database_specific: Option<Value>,
}

#[derive(Deserialize)]
struct AffectedRecord {
    #[serde(default)]
    package: Option<PackageRecord>,
    #[serde(default)]
    ranges: Option<Vec<RangeRecord>>,
    #[serde(default)]
    versions: Option<Vec<String>>,
    #[serde(default)]
    severity: Option<Value>,
    #[serde(default)]
    ecosystem_specific: Option<Value>,
    #[serde(default)]
    database_specific: Option<Value>,
}

#[derive(Deserialize)]
struct PackageRecord {
    /// Missing where a record speaks of commits alone.
    #[serde(default)]
    ecosystem: String,
    name: String,
}

#[derive(Deserialize)]
struct RangeRecord {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    events: Vec<EventRecord>,
}

#[derive(Deserialize)]
struct EventRecord {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
    limit: Option<String>,
}

#[derive(Deserialize)]
struct ReferenceRecord {
    #[serde(default)]
    url: String,
}

/// Reads one record.
///
/// # Errors
/// When it is not an OSV record or exceeds a limit.
pub fn read_osv(feed: &str, value: Value) -> Result<Advisory, Quarantine> {
    let id = value.get("id").and_then(Value::as_str).unwrap_or("?").chars().take(128).collect::<String>();
    let refuse = |reason: String| Quarantine { id: id.clone(), reason };
    let record: Record = serde_json::from_value(value).map_err(|error| refuse(format!("not an OSV record ({error})")))?;
    if record.id.is_empty() || record.id.len() > 128 {
        return Err(refuse("its id is empty or longer than 128 characters".into()));
    }
    let affected = record.affected.unwrap_or_default();
    let events: usize = affected.iter().flat_map(|a| a.ranges.iter().flatten()).map(|r| r.events.len()).sum();
    let versions: usize = affected.iter().map(|a| a.versions.as_ref().map_or(0, Vec::len)).sum();
    if affected.len() > MAX_AFFECTED || events > MAX_EVENTS || versions > MAX_VERSIONS {
        return Err(refuse(format!("too large: {} packages, {events} events, {versions} versions", affected.len())));
    }
    let time = |text: Option<String>, what: &str| -> Result<Option<Timestamp>, Quarantine> {
        text.map(|text| Timestamp::parse(&text).map_err(|error| refuse(format!("{what}: {error}")))).transpose()
    };
    let source = ScoreSource(publisher(&record.id).to_owned());
    let mut scores = scores(record.severity.as_ref(), &source);
    for entry in &affected {
        for score in self::scores(entry.severity.as_ref(), &source) {
            if !scores.contains(&score) {
                scores.push(score);
            }
        }
    }
    let specific = record.database_specific.unwrap_or(Value::Null);
    let upstream = match record.upstream {
        // AlmaLinux and older exports keep what an advisory fixes in `related`; a distributor's advisory has no other place for it.
        None if is_distributor_advisory(&record.id) => record.related.unwrap_or_default(),
        upstream => upstream.unwrap_or_default(),
    };
    let module = record.summary.as_deref().and_then(module_of);
    // A notice names the distributor's own records of what it fixes: `UBUNTU-CVE-2021-3782`.
    let upstream = upstream.into_iter().map(|id| match id.find("-CVE-") {
        Some(at) => id[at + 1..].to_owned(),
        None => id,
    });
    Ok(Advisory {
        key: AdvisoryKey { feed: feed.to_owned(), id: record.id },
        aliases: record.aliases.unwrap_or_default(),
        upstream: upstream.collect(),
        summary: cut(&record.summary.unwrap_or_default()),
        details: cut(&record.details.unwrap_or_default()),
        published: time(record.published, "published")?,
        // A date that cannot be read is no reason to lose the record: it is shown, never trusted.
        modified: record.modified.and_then(|text| Timestamp::parse(&text).ok()),
        withdrawn: time(record.withdrawn, "withdrawn")?,
        scores,
        vendor_severity: text_at(&specific, "severity").or_else(|| word(record.severity.as_ref())),
        cwes: specific
            .get("cwe_ids")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        references: record
            .references
            .unwrap_or_default()
            .into_iter()
            .filter(|r| (r.url.starts_with("https://") || r.url.starts_with("http://")) && r.url.len() <= 2048)
            .map(|r| Reference { url: r.url })
            .collect(),
        affected: ubuntu::join_subscriptions(affected.into_iter().filter_map(|record| entry(record, module.as_deref())).collect()),
    })
}

/// The module stream that an advisory's title names (`Important: nodejs:18 security update`): its records have it nowhere else.
/// None of a title that names several, because it does not say which package is of which.
fn module_of(summary: &str) -> Option<String> {
    let is_stream = |word: &&str| {
        let part = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b));
        word.split_once(':').is_some_and(|(name, stream)| part(name) && part(stream))
    };
    let mut streams = summary.split([' ', ',']).filter(is_stream);
    let only = streams.next()?;
    streams.next().is_none().then(|| only.to_owned())
}

/// Whether a range's fix was built in a module (the release of such builds says so).
fn is_modular(ranges: &[Range]) -> bool {
    ranges.iter().flat_map(|range| &range.events).any(|event| matches!(event, Event::Fixed(version) if version.contains(".module")))
}

fn entry(record: AffectedRecord, module: Option<&str>) -> Option<Affected> {
    let package = record.package?;
    // RustSec also tells of crates that are unmaintained, unsound or notable: none of these is a vulnerability.
    if record.database_specific.as_ref().is_some_and(|specific| text_at(specific, "informational").is_some()) {
        return None;
    }
    let ecosystem: Ecosystem = package.ecosystem.parse().ok()?;
    let name = ecosystem.family.normalise(package.name.trim()).into_owned();
    let mut ranges: Vec<Range> = record.ranges.into_iter().flatten().filter_map(range).collect();
    if let Some(last) = record.database_specific.as_ref().and_then(|s| text_at(s, "last_known_affected_version_range")) {
        close_with(&mut ranges, &last);
    }
    let specific = record.ecosystem_specific.unwrap_or(Value::Null);
    if let Some(custom) = specific.get("custom_ranges") {
        use_custom(&mut ranges, custom);
    }
    Some(Affected {
        ecosystem,
        name,
        module: module.filter(|_| is_modular(&ranges)).map(str::to_owned),
        ranges,
        versions: record.versions.unwrap_or_default(),
        unfixed: FixState::Open,
        vendor_severity: text_at(&specific, "urgency").or_else(|| text_at(&specific, "severity")),
    })
}

/// GitHub writes the last version known to be affected beside a range that it leaves open: `<= 1.2.3`.
fn close_with(ranges: &mut [Range], last: &str) {
    for range in ranges {
        let open = !range.events.iter().any(|e| matches!(e, Event::Fixed(_) | Event::LastAffected(_)));
        if let (true, Some(version)) = (open, last.trim().strip_prefix("<=")) {
            range.events.push(Event::LastAffected(version.trim().to_owned()));
        } else if let (true, Some(version)) = (open, last.trim().strip_prefix('<')) {
            range.events.push(Event::Fixed(version.trim().to_owned()));
        }
    }
}

/// Go's machine-made records keep versions that are none of the module's, as Go counts them, beside a range that they leave open
/// altogether. They are those that were released; only a module without any (`v0.0.0-…`) may be of each.
fn use_custom(ranges: &mut Vec<Range>, custom: &Value) {
    let Ok(custom) = Vec::<RangeRecord>::deserialize(custom) else { return };
    let begins = Event::Introduced("0".into());
    let open = |range: &Range| range.events == [begins.clone()];
    if ranges.iter().any(open) {
        ranges.retain(|range| !open(range));
        ranges.push(Range { kind: RangeKind::Semver, events: vec![begins, Event::Limit("0.0.0".into())] });
    }
    ranges.extend(custom.into_iter().filter_map(range));
}

/// Ranges of commits say nothing about versions.
fn range(record: RangeRecord) -> Option<Range> {
    let kind = match record.kind.as_str() {
        "SEMVER" => RangeKind::Semver,
        "ECOSYSTEM" => RangeKind::Ecosystem,
        _ => return None,
    };
    let mut events = Vec::with_capacity(record.events.len());
    for event in record.events {
        events.extend(event.introduced.map(Event::Introduced));
        events.extend(event.fixed.map(Event::Fixed));
        events.extend(event.last_affected.map(Event::LastAffected));
        events.extend(event.limit.map(Event::Limit));
    }
    Some(Range { kind, events })
}

/// The vectors of a list of `{type, score}`.
fn scores(list: Option<&Value>, source: &ScoreSource) -> Vec<Score> {
    let vectors = list.and_then(Value::as_array).into_iter().flatten().filter_map(|entry| entry.get("score")?.as_str());
    vectors.filter_map(|vector| Cvss::parse(vector).ok()).map(|cvss| Score { cvss, source: source.clone() }).collect()
}

/// A distributor's own word among the scores: Ubuntu's priority.
fn word(list: Option<&Value>) -> Option<String> {
    let entries = list.and_then(Value::as_array).into_iter().flatten();
    entries.filter(|entry| entry["type"] == "Ubuntu").find_map(|entry| text_at(entry, "score"))
}

fn text_at(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(|text| text.chars().take(256).collect())
}

/// Who writes records of this id.
fn publisher(id: &str) -> &'static str {
    match id.split('-').next().unwrap_or_default() {
        "GHSA" => "GITHUB",
        "PYSEC" => "PYPA",
        "RUSTSEC" => "RUSTSEC",
        "GO" => "GO",
        "DEBIAN" | "DSA" | "DLA" => "DEBIAN",
        "UBUNTU" | "USN" => "UBUNTU",
        _ => "OSV",
    }
}

fn is_distributor_advisory(id: &str) -> bool {
    ["ALSA-", "ALBA-", "ALEA-", "RLSA-", "RXSA-", "DSA-", "DLA-", "SUSE-", "openSUSE-", "USN-", "RHSA-"]
        .iter()
        .any(|prefix| id.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::super::MAX_TEXT;
    use super::*;
    use serde_json::json;

    fn minimal(extra: Value) -> Value {
        let mut record = json!({"id": "GHSA-x", "modified": "2024-01-01T00:00:00Z", "affected": [{
            "package": {"ecosystem": "PyPI", "name": "Django"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}, {"type": "GIT", "events": [{"introduced": "abc"}]}]}]});
        for (key, value) in extra.as_object().unwrap() {
            record[key] = value.clone();
        }
        record
    }

    #[test]
    fn names_are_normalised_and_commit_ranges_left_out() {
        let advisory = read_osv("osv", minimal(json!({}))).unwrap();
        assert_eq!(advisory.affected[0].name, "django");
        assert_eq!(advisory.affected[0].ranges.len(), 1);
    }

    #[test]
    fn the_last_known_affected_version_closes_an_open_range() {
        let mut record = minimal(json!({}));
        record["affected"][0]["database_specific"] = json!({"last_known_affected_version_range": "<= 1.2.3"});
        let advisory = read_osv("osv", record).unwrap();
        assert_eq!(advisory.affected[0].ranges[0].events[1], Event::LastAffected("1.2.3".into()));
    }

    #[test]
    fn a_title_names_the_stream_of_builds_in_a_module() {
        let module = |summary: &str, fix: &str| {
            let mut record = minimal(json!({"summary": summary}));
            record["affected"][0]["package"]["ecosystem"] = json!("AlmaLinux:8");
            record["affected"][0]["ranges"][0]["events"][0] = json!({"fixed": fix});
            read_osv("osv", record).unwrap().affected[0].module.clone()
        };
        assert_eq!(module("Important: nodejs:18 security, bug fix", "1:18-1.module_el8.7.0").as_deref(), Some("nodejs:18"));
        assert_eq!(module("Moderate: virt:rhel and virt-devel:rhel security update", "1-1.module_el8"), None);
        assert_eq!(module("Important: nodejs:18 security update", "1:18-1.el8"), None);
    }

    #[test]
    fn bad_records_are_quarantined_with_their_reason() {
        for (record, reason) in [
            (json!({"modified": "x"}), "not an OSV record"),
            (minimal(json!({"withdrawn": "soon"})), "withdrawn: 'soon' is not"),
            (minimal(json!({"id": "x".repeat(200)})), "its id is empty or longer"),
            (
                minimal(
                    json!({"affected": [{"ranges": [{"type": "SEMVER", "events": vec![json!({"introduced": "0"}); MAX_EVENTS + 1]}]}]}),
                ),
                "too large",
            ),
        ] {
            let error = read_osv("osv", record).unwrap_err();
            assert!(error.reason.starts_with(reason), "{error}");
        }
    }

    #[test]
    fn undefined_dates_and_links_do_not_lose_a_record() {
        let advisory = read_osv(
            "osv",
            minimal(json!({"modified": "never", "references": [{"url": "javascript:alert(1)"}, {"url": "https://a.example"}]})),
        )
        .unwrap();
        assert_eq!(advisory.modified, None);
        assert_eq!(advisory.references.len(), 1);
    }

    #[test]
    fn small_departures_from_the_schema_do_not_lose_a_record() {
        let mut record = minimal(json!({"severity": "Low"}));
        let commits = json!({"package": {"name": "curl"}, "ranges": [{"type": "GIT", "events": [{"introduced": "abc"}]}]});
        record["affected"].as_array_mut().unwrap().push(commits);
        let advisory = read_osv("osv", record).unwrap();
        assert_eq!((advisory.scores.len(), advisory.affected.len()), (0, 1));
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let advisory = read_osv("osv", minimal(json!({"details": "é".repeat(MAX_TEXT)}))).unwrap();
        assert!(advisory.details.len() <= MAX_TEXT);
    }
}
