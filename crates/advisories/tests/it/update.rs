//! Feeds over HTTP: what changed, what did not, what breaks off, and what is not to be believed.

use lestrade_advisories::{Feed, FeedOutcome, FeedPlaces, Library, UpdateProgress, Updater};
use lestrade_matching::judge_component;
use lestrade_model::{Component, Ecosystem, Family, Timestamp};
use lestrade_testkit::FileServer;
use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

struct Silent;

impl UpdateProgress for Silent {
    fn fetched(&self, _: &str, _: u64, _: Option<u64>) {}
    fn done(&self, _: &str, _: &FeedOutcome) {}
    fn compiling(&self) {}
}

pub(crate) fn record(number: usize) -> String {
    format!(
        r#"{{"id": "GHSA-{number}", "modified": "2024-01-01T00:00:00Z", "aliases": ["CVE-2024-{number}"], "affected": [{{"package":
        {{"ecosystem": "npm", "name": "package-{number}"}}, "ranges": [{{"type": "SEMVER", "events": [{{"introduced": "0"}},
        {{"fixed": "2.0.0"}}]}}]}}]}}"#
    )
}

/// OSV's dump of so many records.
pub(crate) fn dump(records: std::ops::Range<usize>) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for number in records {
        zip.start_file(format!("GHSA-{number}.json"), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(record(number).as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

const SECDB: &str = r#"{"distroversion": "v3.20", "reponame": "main", "packages":
    [{"pkg": {"name": "openssl", "secfixes": {"3.1.4-r0": ["CVE-2023-1"]}}}]}"#;

fn kev(date: &str) -> String {
    format!(
        r#"{{"title": "t", "catalogVersion": "2026.11.20", "dateReleased": "{date}", "count": 1, "vulnerabilities": [{{"cveID": "CVE-2024-1", "vendorProject": "v", "product": "p",
        "vulnerabilityName": "n", "dateAdded": "2024-01-02", "shortDescription": "s", "requiredAction": "patch", "dueDate": "2024-02-01",
        "knownRansomwareCampaignUse": "Known", "notes": ""}}]}}"#
    )
}

pub(crate) struct Lab {
    pub(crate) server: FileServer,
    pub(crate) places: FeedPlaces,
    folder: tempfile::TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let server = FileServer::start().unwrap();
        let base = server.url();
        let places = FeedPlaces {
            osv: format!("{base}/osv"),
            osv_ecosystems: vec!["npm".into()],
            debian_tracker: format!("{base}/debian.json"),
            alpine_secdb: format!("{base}/alpine"),
            alpine_releases: vec!["v3.20".into()],
            epss: format!("{base}/epss.csv.gz"),
            kev: format!("{base}/kev.json"),
            redhat_csaf: format!("{base}/vex"),
            amazon_linux: base.clone(),
            amazon_linux_repositories: vec!["al2023/core".into()],
            ..FeedPlaces::default()
        };
        server.put("/osv/npm/all.zip", "1", dump(0..100));
        server.put("/alpine/v3.20/main.json", "1", SECDB);
        server.put("/kev.json", "1", kev("2026-11-20T00:00:00Z"));
        Self { server, places, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn library(&self) -> Library {
        Library::new(self.folder.path())
    }

    pub(crate) fn update(&self, names: &[&str]) -> Vec<FeedOutcome> {
        self.update_on("2026-11-23", names)
    }

    pub(crate) fn update_on(&self, day: &str, names: &[&str]) -> Vec<FeedOutcome> {
        let feeds: Vec<Feed> = names.iter().flat_map(|name| self.places.named(name)).collect();
        let now = Timestamp::parse(&format!("{day}T00:00:00Z")).unwrap();
        let report = Updater::new(&self.library(), now).run(&feeds, &Silent).unwrap();
        report.outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    pub(crate) fn affected(&self, family: Family, release: Option<&str>, name: &str, version: &str) -> bool {
        let ecosystem = Ecosystem { family, release: release.map(str::to_owned) };
        let (_, index) = self.library().open_current().unwrap();
        !judge_component(&index, &Component::new(ecosystem, name, version)).unwrap().is_empty()
    }
}

pub(crate) fn updated(records: u64) -> FeedOutcome {
    FeedOutcome::Updated { records, quarantined: 0 }
}

#[test]
fn feeds_are_brought_in_and_asked_for_only_when_they_change() {
    let lab = Lab::new();
    let names = ["osv/npm", "alpine-secdb/v3.20/main", "kev"];
    assert_eq!(lab.update(&names), [updated(100), updated(1), updated(1)]);
    assert!(lab.affected(Family::Npm, None, "package-99", "1.0.0"));
    assert!(lab.affected(Family::Alpine, Some("v3.20"), "openssl", "3.1.0-r0"));
    lab.server.take_requests();
    assert_eq!(lab.update(&names), [FeedOutcome::Unchanged, FeedOutcome::Unchanged, FeedOutcome::Unchanged]);
    let mut requests = lab.server.take_requests();
    requests.sort();
    assert_eq!(requests, ["304 /alpine/v3.20/main.json", "304 /kev.json", "304 /osv/npm/all.zip"]);
    // What a newer dump lacks is gone; other feeds stay.
    lab.server.put("/osv/npm/all.zip", "2", dump(5..105));
    assert_eq!(lab.update(&["osv"]), [updated(100)]);
    assert!(!lab.affected(Family::Npm, None, "package-4", "1.0.0") && lab.affected(Family::Npm, None, "package-104", "1.0.0"));
    assert!(lab.affected(Family::Alpine, Some("v3.20"), "openssl", "3.1.0-r0"));
}

#[test]
fn a_transfer_that_breaks_off_is_taken_up_where_it_was() {
    let lab = Lab::new();
    let whole = dump(0..100);
    lab.server.put("/osv/npm/all.zip", "1", whole.as_slice());
    lab.server.break_off("/osv/npm/all.zip", whole.len() / 3);
    assert_eq!(lab.update(&["osv"]), [updated(100)]);
    assert_eq!(
        lab.server.take_requests(),
        ["200 /osv/npm/all.zip", "206 /osv/npm/all.zip", "206 /osv/npm/all.zip", "206 /osv/npm/all.zip"]
    );
}

#[test]
fn what_is_not_plausible_is_refused_and_the_last_good_state_stays() {
    let lab = Lab::new();
    assert_eq!(lab.update(&["osv", "kev"]), [updated(100), updated(1)]);
    let mut good = lab.library().current().unwrap();
    let whole = dump(0..100);
    let html = b"<!doctype html><title>Log in</title>".to_vec();
    let mut bad: Vec<Vec<u8>> = vec![vec![], html, dump(0..0), dump(0..89), b"PK\x03\x04".to_vec(), SECDB.into()];
    bad.extend((1..40).map(|cut| whole[..whole.len() * cut / 40].to_vec()));
    bad.extend((0..20).map(|flip| {
        let mut bytes = whole.clone();
        let at = bytes.len() * flip / 20;
        bytes[at] ^= 0x55;
        bytes
    }));
    for (number, body) in bad.into_iter().enumerate() {
        let length = body.len();
        lab.server.put("/osv/npm/all.zip", ["even", "odd"][number % 2], body);
        match lab.update(&["osv"]).as_slice() {
            [FeedOutcome::Refused(_)] => assert_eq!(lab.library().current().unwrap(), good, "bad state {number}"),
            // A flipped bit may cost a record, which is told, and not the feed.
            [FeedOutcome::Updated { records, quarantined }] => {
                assert!(length == whole.len() && *records >= 99 && (*records == 100 || *quarantined == 1), "bad state {number}");
                lab.server.put("/osv/npm/all.zip", "good", whole.clone());
                lab.update(&["osv"]);
                good = lab.library().current().unwrap();
            }
            other => panic!("bad state {number}: {other:?}"),
        }
        assert!(lab.affected(Family::Npm, None, "package-50", "1.0.0"));
    }
    lab.server.put("/kev.json", "2", kev("2026-11-19T00:00:00Z"));
    assert!(matches!(lab.update(&["kev"]).as_slice(), [FeedOutcome::Refused(why)] if why.contains("2026-11-20")));
}

/// Waits, in each feed that begins, until so many have begun.
struct Meeting {
    begun: Mutex<BTreeSet<String>>,
    changed: Condvar,
    wanted: usize,
}

impl UpdateProgress for Meeting {
    fn fetched(&self, feed: &str, _: u64, _: Option<u64>) {
        let mut begun = self.begun.lock().unwrap();
        begun.insert(feed.to_owned());
        self.changed.notify_all();
        let all = self.changed.wait_timeout_while(begun, Duration::from_secs(60), |begun| begun.len() < self.wanted);
        assert!(!all.unwrap().1.timed_out(), "they are fetched one after the other");
    }
    fn done(&self, _: &str, _: &FeedOutcome) {}
    fn compiling(&self) {}
}

#[test]
fn feeds_are_fetched_side_by_side() {
    let lab = Lab::new();
    let feeds: Vec<Feed> = ["osv/npm", "alpine-secdb/v3.20/main", "kev"].iter().flat_map(|name| lab.places.named(name)).collect();
    let meeting = Meeting { begun: Mutex::default(), changed: Condvar::new(), wanted: feeds.len() };
    let report = Updater::new(&lab.library(), Timestamp::default()).run(&feeds, &meeting).unwrap();
    assert!(report.outcomes.iter().all(|(_, outcome)| matches!(outcome, FeedOutcome::Updated { .. })), "{:?}", report.outcomes);
}

#[test]
fn a_feed_that_cannot_be_reached_costs_no_other() {
    let lab = Lab::new();
    let outcomes = lab.update(&["debian-tracker", "osv"]);
    assert_eq!(outcomes, [FeedOutcome::Missing("the server answers 404".into()), updated(100)]);
    let mut plain = lab.places.clone();
    plain.kev = "http://feeds.example/kev.json".into();
    let now = Timestamp::default();
    let report = Updater::new(&lab.library(), now).run(&plain.named("kev"), &Silent).unwrap();
    assert_eq!(report.outcomes[0].1, FeedOutcome::Unreachable("its address is not https".into()));
}

#[test]
fn an_empty_address_turns_a_feed_off() {
    let places = FeedPlaces {
        osv_ecosystems: vec!["npm".into()],
        alpine_releases: vec!["v3.20".into()],
        amazon_linux_repositories: vec!["al2023/core".into(), "2/extras".into()],
        photon_releases: vec!["5.0".into()],
        nvd_years: vec!["2024".into()],
        ..FeedPlaces::default()
    };
    assert_eq!(places.feeds(), []);
    assert_eq!(places.needed(&[Ecosystem::release(Family::Alpine, "v3.99"), Ecosystem::of(Family::Conda)]), []);
}

/// Of scores and second sources no finding hangs; of Conda's packages NVD alone speaks.
#[test]
fn a_scan_needs_nvd_for_condas_packages_alone() {
    let at = |path: &str| format!("https://feeds.example/{path}");
    let places = FeedPlaces {
        nvd: at("nvd"),
        nvd_years: vec!["2023".into(), "2024".into()],
        nvd_api: at("api"),
        suse_csaf: at("suse"),
        ubuntu_vex: at("vex.tar.xz"),
        rubysec: at("rubysec.zip"),
        bottlerocket: at("core-kit.zip"),
        cve_list: at("main.zip"),
        ..FeedPlaces::default()
    };
    let needed = |family| places.needed(&[Ecosystem::of(family)]).into_iter().map(|feed| feed.name).collect::<Vec<_>>();
    assert_eq!(needed(Family::Conda), ["nvd/2023", "nvd/2024"]);
    assert_eq!(needed(Family::Bottlerocket), ["bottlerocket"]);
    for family in [Family::RubyGems, Family::Ubuntu, Family::Suse, Family::Npm] {
        assert_eq!(needed(family), [""; 0]);
    }
}
