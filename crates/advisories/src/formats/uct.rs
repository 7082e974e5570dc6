//! The Ubuntu CVE Tracker's text files: one for each CVE, headers first, then a line for each release and source package,
//! `xenial_openssl: released (1.0.2g-1ubuntu4.1)`.
//!
//! Its statuses: `released` and `pending` name the fixing version (a pending one is not out yet), `needed`, `needs-triage`, `deferred`
//! and `ignored` are vulnerable and say why no fix is there, `not-affected` and `DNE` (does not exist) are not. `trusty/esm` and
//! `esm-infra/xenial` are what subscribers get of a release; see [`super::ubuntu`].

use super::ubuntu::join_subscriptions;
use super::{Brought, Format, Parsed, cut, is_cve};
use lestrade_model::{Advisory, Affected, Cvss, Ecosystem, Family, FixState, Reference, Score, ScoreSource, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

const FEED: &str = "ubuntu-uct";

/// Code names of releases (wiki.ubuntu.com/Releases).
const RELEASES: &[(&str, &str)] = &[
    ("dapper", "6.06"),
    ("edgy", "6.10"),
    ("feisty", "7.04"),
    ("gutsy", "7.10"),
    ("hardy", "8.04"),
    ("intrepid", "8.10"),
    ("jaunty", "9.04"),
    ("karmic", "9.10"),
    ("lucid", "10.04"),
    ("maverick", "10.10"),
    ("natty", "11.04"),
    ("oneiric", "11.10"),
    ("precise", "12.04"),
    ("quantal", "12.10"),
    ("raring", "13.04"),
    ("saucy", "13.10"),
    ("trusty", "14.04"),
    ("utopic", "14.10"),
    ("vivid", "15.04"),
    ("wily", "15.10"),
    ("xenial", "16.04"),
    ("yakkety", "16.10"),
    ("zesty", "17.04"),
    ("artful", "17.10"),
    ("bionic", "18.04"),
    ("cosmic", "18.10"),
    ("disco", "19.04"),
    ("eoan", "19.10"),
    ("focal", "20.04"),
    ("groovy", "20.10"),
    ("hirsute", "21.04"),
    ("impish", "21.10"),
    ("jammy", "22.04"),
    ("kinetic", "22.10"),
    ("lunar", "23.04"),
    ("mantic", "23.10"),
    ("noble", "24.04"),
    ("oracular", "24.10"),
    ("plucky", "25.04"),
    ("questing", "25.10"),
];

/// The number of a release by its code name.
pub(super) fn release_of(name: &str) -> Option<&'static str> {
    RELEASES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

pub(super) struct Uct;

impl Format for Uct {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        matches!(document, Parsed::Text(text) if text.lines().any(|line| line.starts_with("Candidate:")))
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let Parsed::Text(text) = document else { return Brought::default() };
        let headers = headers(text);
        let header = |key: &str| headers.get(key).map_or("", |value| value.trim());
        let id = header("Candidate");
        if !is_cve(id) {
            // `CVE-2012-NNN1` waits for its number: a finding must not hang on it.
            return Brought::refused(name, format!("'{}' is no CVE", id.chars().take(40).collect::<String>()));
        }
        let word = |text: &str| text.split_whitespace().next().unwrap_or_default().to_owned();
        let links = header("References").split_whitespace().filter(|url| url.starts_with("http") && url.len() <= 2048);
        let vectors = header("CVSS").lines().filter_map(|line| line.trim().split_once(':'));
        let scores = vectors.filter_map(|(source, vector)| {
            Some(Score { cvss: Cvss::parse(vector.trim()).ok()?, source: ScoreSource(source.trim().to_uppercase()) })
        });
        let advisory = Advisory {
            details: cut(header("Description")),
            published: published(header("PublicDate")),
            scores: scores.collect(),
            vendor_severity: Some(word(header("Priority"))).filter(|priority| !priority.is_empty()),
            references: links.take(100).map(|url| Reference { url: url.to_owned() }).collect(),
            affected: affected(&headers),
            ..Advisory::new(FEED, id)
        };
        Brought { advisories: vec![advisory], ..Brought::default() }
    }
}

/// Headers and what follows each, on its line and on indented ones.
fn headers(text: &str) -> BTreeMap<&str, String> {
    let mut headers: BTreeMap<&str, String> = BTreeMap::new();
    let mut last = None;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.starts_with([' ', '\t']) {
            if let Some(value) = last.and_then(|key| headers.get_mut(key)) {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((key, value)) = line.split_once(':') {
            headers.insert(key, value.trim().to_owned());
            last = Some(key);
        }
    }
    headers
}

/// `2020-01-30 19:15:00 UTC`, or the day alone.
fn published(text: &str) -> Option<Timestamp> {
    let mut parts = text.split_whitespace();
    let (day, time) = (parts.next()?, parts.next().unwrap_or("00:00:00"));
    Timestamp::parse(&format!("{day}T{time}Z")).ok()
}

/// The entries of all lines `release_package: status (detail)`.
fn affected(headers: &BTreeMap<&str, String>) -> Vec<Affected> {
    let lines: Vec<Line<'_>> = headers.iter().filter_map(|(key, value)| Line::of(key, value)).collect();
    // Where subscribers are looked after once everybody no longer is, theirs is the answer for the package that both have.
    let looked_after: BTreeSet<_> =
        lines.iter().filter(|line| line.subscribed && line.status != "DNE").map(|line| (line.release, line.package)).collect();
    let given_up = |line: &Line<'_>| !line.subscribed && line.status == "ignored" && is_over(line.detail);
    let standing = lines.iter().filter(|line| !(given_up(line) && looked_after.contains(&(line.release, line.package))));
    join_subscriptions(standing.filter_map(|line| line.affected(headers)).collect())
}

/// Whether a reason says that the release is no longer looked after.
fn is_over(reason: &str) -> bool {
    ["end-of-life", "end of life", "end of standard support", "out of standard support", "no longer updated"]
        .iter()
        .any(|over| reason.contains(over))
}

/// What is said of a package in a release.
struct Line<'a> {
    /// Its number.
    release: &'static str,
    /// Whether it is about what subscribers get.
    subscribed: bool,
    package: &'a str,
    status: &'a str,
    /// What stands between the parentheses.
    detail: &'a str,
}

impl<'a> Line<'a> {
    /// None of a header, and of releases that are none to run: `upstream`, `devel`, `vivid/ubuntu-core`.
    fn of(key: &'a str, value: &'a str) -> Option<Self> {
        let (place, package) = key.split_once('_')?;
        let (name, subscribed) = match place.split_once('/') {
            None => (place, false),
            Some((name, "esm")) => (name, true),
            Some(("esm-infra" | "esm-apps", name)) => (name, true),
            Some(_) => return None,
        };
        let release = release_of(name)?;
        let (status, rest) = value.split_once([' ', '(']).unwrap_or((value, ""));
        let detail = rest.trim().trim_start_matches('(').trim_end_matches(')').trim();
        Some(Self { release, subscribed, package, status, detail })
    }

    fn affected(&self, headers: &BTreeMap<&str, String>) -> Option<Affected> {
        let release = if self.subscribed { format!("Pro:{}", self.release) } else { self.release.to_owned() };
        let ecosystem = Ecosystem::release(Family::Ubuntu, &release);
        let open = |state| Some(Affected::always(ecosystem.clone(), self.package, state));
        let affected = match self.status {
            "released" if is_version(self.detail) => Some(Affected::before(ecosystem, self.package, self.detail)),
            // Somebody fixed it in a version that the line does not name.
            "released" | "not-affected" | "DNE" => None,
            "needs-triage" => open(FixState::UnderInvestigation),
            "deferred" => open(FixState::Deferred),
            "ignored" if is_over(self.detail) => open(FixState::EndOfLife),
            "ignored" => open(FixState::WillNotFix),
            "needed" | "pending" | "active" => open(FixState::Open),
            _ => None,
        }?;
        let priority = headers.get(format!("Priority_{}", self.package).as_str()).and_then(|text| text.split_whitespace().next());
        Some(Affected { vendor_severity: priority.map(str::to_owned), ..affected })
    }
}

fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".+~:-".contains(&b))
}

#[cfg(test)]
mod tests {
    use crate::documents::Syntax;
    use crate::formats::read;

    const FILE: &str = "Candidate: CVE-2019-9511\nPublicDate: 2019-08-13 21:15:00 UTC\nReferences:\n https://a.example/1\n\
        Description:\n Some HTTP/2 implementations\n are slow.\nPriority: medium (remote)\nCVSS:\n \
        nvd: CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H\n\nPatches_nghttp2:\nupstream_nghttp2: released (1.39.2)\nPriority_nghttp2: high\n\
        trusty_nghttp2: ignored (out of standard support)\ntrusty/esm_nghttp2: released (1.0-1ubuntu1+esm1)\n\
        xenial_nghttp2: released (1.7.1-1ubuntu0.1)\nbionic_nghttp2: needs-triage\ndisco_nghttp2: ignored (reached end-of-life)\n\
        eoan_nghttp2: not-affected (1.39.2-1)\ndevel_nghttp2: DNE\nvivid/ubuntu-core_nghttp2: needed\n\
        precise/esm_nginx: DNE\nprecise_nginx: ignored (reached end-of-life)\ntrusty_nginx: ignored (out of standard support)\n\
        trusty/esm_nginx: not-affected\nxenial_nginx: pending (1.10.3-0ubuntu0.16.04.5)\nbionic_nginx: deferred (2019-09-06)\n";

    #[test]
    fn each_status_of_the_ubuntu_tracker_has_its_meaning() {
        let brought = read("active/CVE-2019-9511", Syntax::Text, FILE);
        let advisory = &brought.advisories[0];
        let mut shown: Vec<String> = advisory
            .affected
            .iter()
            .map(|a| format!("{} {} {} {}", a.ecosystem, a.name, a.unfixed.as_str(), a.ranges[0].events.len()))
            .collect();
        shown.sort_unstable();
        assert_eq!(
            shown,
            [
                "Ubuntu:12.04 nginx end-of-life 1",
                "Ubuntu:14.04 nghttp2 open 2",
                "Ubuntu:16.04 nghttp2 open 2",
                "Ubuntu:16.04 nginx open 1",
                "Ubuntu:18.04 nghttp2 under-investigation 1",
                "Ubuntu:18.04 nginx deferred 1",
                "Ubuntu:19.04 nghttp2 end-of-life 1",
            ]
        );
        assert_eq!((advisory.scores.len(), advisory.vendor_severity.as_deref()), (1, Some("medium")));
        assert_eq!(advisory.affected.iter().find(|a| a.name == "nghttp2").unwrap().vendor_severity.as_deref(), Some("high"));
        assert_eq!(advisory.details, "Some HTTP/2 implementations\nare slow.");
        assert_eq!(advisory.published.unwrap().to_string(), "2019-08-13T21:15:00Z");
    }

    #[test]
    fn a_placeholder_for_a_cve_is_told() {
        let brought = read("active/CVE-2012-NNN1", Syntax::Text, "Candidate: CVE-2012-NNN1\nxenial_a: needed\n");
        assert_eq!((brought.advisories.len(), brought.quarantined.len()), (0, 1));
    }
}
