//! The watching core without a network: observations and generations in, episodes and events out, through crashes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use lestrade_advisories::{Importer, Library};
use lestrade_findings::{Criteria, Effort, FindingView, PageRequest, Sort, list};
use lestrade_model::*;
use lestrade_server::{Core, Observation};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

mod adversity;
mod agents;
mod api;
mod delivery;
mod dispatch;
mod exposure;
mod folder;
mod forget;
mod history;
mod host;
mod lifecycle;
mod modes;
mod names;
mod power_cuts;
mod retention;
mod suppressions;

const HOUR: i64 = 3_600_000;

/// A clock that tests set.
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// A server's folder, and the intelligence that is published to it.
struct Lab {
    folder: tempfile::TempDir,
    clock: Arc<TestClock>,
    records: Vec<Value>,
}

fn scope() -> Scope {
    Scope::new("aws", "123456789012", "eu-west-1").unwrap()
}

impl Lab {
    fn new() -> Self {
        let start = Timestamp::parse("2026-11-23T00:00:00Z").unwrap().as_millis();
        Self { folder: tempfile::tempdir().unwrap(), clock: Arc::new(TestClock(AtomicI64::new(start))), records: vec![] }
    }

    fn later(&self, millis: i64) {
        self.clock.0.fetch_add(millis, Ordering::Relaxed);
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn library(&self) -> Library {
        Library::new(self.folder.path().join("db"))
    }

    /// Opens the server's core, as a start does.
    fn open(&self) -> Arc<Core> {
        let state = self.folder.path().join("state.db");
        let store = lestrade_store::open(state.to_str().unwrap()).unwrap();
        Arc::new(Core::open(store, self.library(), self.clock.clone(), [7; 32]).unwrap())
    }

    /// Publishes a record, in place of the one with the same id.
    fn publish(&mut self, record: Value) {
        self.records.retain(|r| r["id"] != record["id"]);
        self.records.push(record);
        let file = self.folder.path().join("records.json");
        std::fs::write(&file, Value::Array(self.records.clone()).to_string()).unwrap();
        let mut importer = match self.library().open_current() {
            Ok((_, index)) => Importer::on_top_of(&index, self.clock.now()).unwrap(),
            Err(_) => Importer::new(self.clock.now()),
        };
        importer.import(&file).unwrap();
        self.library().publish(&importer.finish().unwrap().0).unwrap();
    }
}

fn record(id: &str, package: &str, fixed: &str) -> Value {
    json!({"id": id, "modified": "2026-01-01T00:00:00Z", "summary": format!("{package} is vulnerable"),
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [{"package": {"ecosystem": "npm", "name": package},
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": fixed}]}]}]})
}

fn observation(name: &str, packages: &[(&str, &str)]) -> Observation {
    let key = ResourceKey { scope: scope(), kind: ResourceKind::Image, id: name.into() };
    let found = packages
        .iter()
        .map(|(package, version)| {
            let component = Component::new(Ecosystem::of(Family::Npm), package, version);
            (component, Occurrence { component: 0, path: format!("app/{package}"), layer: None, arch: None, manager: Manager::Npm })
        })
        .collect();
    let coverage = Coverage { kind: ScanKind::Package, reason: CoverageReason::Successful, detail: String::new(), last_scanned: None };
    Observation {
        resource: Resource { key, details: ResourceDetails::Image(ImageDetails::default()), facts: ResourceFacts::default(), tags: vec![] },
        inventory: Some(Inventory::assemble(None, found, vec![])),
        coverage: vec![coverage],
    }
}

fn findings(core: &Core) -> Vec<FindingView> {
    listed(core, &Criteria::default())
}

fn listed(core: &Core, criteria: &Criteria) -> Vec<FindingView> {
    let scopes = [scope()];
    let request = PageRequest {
        scopes: &scopes,
        criteria,
        sort: Sort::default(),
        limit: 100,
        token: None,
        now: core.now(),
        effort: Effort::default(),
    };
    list(&core.world(), core, core.token_key(), &request).unwrap().findings
}

fn summary(core: &Core) -> Vec<String> {
    assert_eq!(core.audit(), [], "derived state equals the log replayed");
    let packages =
        |f: &FindingView| f.packages.iter().map(|p| format!("{}@{}", p.component.name, p.component.version)).collect::<Vec<_>>().join("+");
    findings(core).iter().map(|f| format!("{} {} {} {}", f.assessment.id, f.resource.key.id, f.status.as_str(), packages(f))).collect()
}

#[test]
fn an_advisory_opens_and_its_withdrawal_closes_without_touching_the_image() {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    let core = lab.open();
    core.observe(observation("image-a", &[("left-pad", "1.0.0"), ("is-odd", "1.0.0")])).unwrap();
    assert_eq!(summary(&core), ["CVE-2024-1 image-a ACTIVE left-pad@1.0.0"]);

    lab.later(HOUR);
    lab.publish(record("CVE-2024-2", "is-odd", "1.5.0"));
    assert!(core.refresh_intelligence().unwrap());
    assert!(!core.refresh_intelligence().unwrap(), "applying twice does nothing");
    assert_eq!(summary(&core), ["CVE-2024-1 image-a ACTIVE left-pad@1.0.0", "CVE-2024-2 image-a ACTIVE is-odd@1.0.0"]);

    lab.later(HOUR);
    let mut withdrawn = record("CVE-2024-2", "is-odd", "1.5.0");
    withdrawn["withdrawn"] = json!("2026-11-23T00:00:00Z");
    lab.publish(withdrawn);
    core.refresh_intelligence().unwrap();
    let expected = ["CVE-2024-1 image-a ACTIVE left-pad@1.0.0", "CVE-2024-2 image-a CLOSED is-odd@1.0.0"];
    assert_eq!(summary(&core), expected);

    drop(core);
    assert_eq!(summary(&lab.open()), expected, "and a restart knows it");
}

/// A correction leaves no withdrawn record behind that would say it: what was affected is kept with the closing.
#[test]
fn an_advisory_that_is_corrected_closes_and_still_shows_what_was_affected() {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    let core = lab.open();
    core.observe(observation("image-a", &[("left-pad", "1.0.0"), ("is-odd", "1.0.0")])).unwrap();
    core.observe(observation("image-b", &[("left-pad", "1.5.0")])).unwrap();
    core.observe(observation("image-b", &[("left-pad", "2.0.0")])).unwrap();

    lab.later(HOUR);
    lab.publish(record("CVE-2024-1", "is-odd", "2.0.0"));
    core.refresh_intelligence().unwrap();
    let moved = ["CVE-2024-1 image-a ACTIVE is-odd@1.0.0", "CVE-2024-1 image-b CLOSED left-pad@1.5.0"];
    assert_eq!(summary(&core), moved, "what an upgrade had closed before is known still");

    lab.later(HOUR);
    lab.publish(record("CVE-2024-1", "is-odd", "1.0.0"));
    core.refresh_intelligence().unwrap();
    let expected = ["CVE-2024-1 image-a CLOSED is-odd@1.0.0", "CVE-2024-1 image-b CLOSED left-pad@1.5.0"];
    assert_eq!(summary(&core), expected, "of left-pad it was cleared before");

    drop(core);
    assert_eq!(summary(&lab.open()), expected, "and a restart knows it");
}

#[test]
fn an_upgrade_closes_and_still_shows_what_was_affected() {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    let core = lab.open();
    core.observe(observation("host", &[("left-pad", "1.0.0")])).unwrap();
    let first = findings(&core)[0].first_observed;
    lab.later(HOUR);
    core.observe(observation("host", &[("left-pad", "1.0.1"), ("x", "1")])).unwrap();
    assert_eq!(findings(&core)[0].first_observed, first, "an update that does not fix does not reset it");
    let arn = findings(&core)[0].arn.clone();
    core.observe(observation("host", &[("left-pad", "2.0.0")])).unwrap();
    assert_eq!(summary(&core), ["CVE-2024-1 host CLOSED left-pad@1.0.1"]);
    lab.later(HOUR);
    core.observe(observation("host", &[("left-pad", "1.0.0")])).unwrap();
    assert_eq!(findings(&core)[0].arn, arn, "within seven days it is the same finding");
}

#[test]
fn a_lost_generation_is_no_lost_history() {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    let core = lab.open();
    core.observe(observation("image-a", &[("left-pad", "1.0.0"), ("is-odd", "1.0.0")])).unwrap();
    let first = findings(&core)[0].first_observed;
    drop(core);
    lab.later(HOUR);
    // Several imports while the server is down prune the generation that it knows.
    for i in 0..5 {
        lab.publish(record("CVE-2024-2", "is-odd", &format!("1.{i}.1")));
        lab.later(1000);
    }
    let core = lab.open();
    assert_eq!(summary(&core), ["CVE-2024-1 image-a ACTIVE left-pad@1.0.0", "CVE-2024-2 image-a ACTIVE is-odd@1.0.0"]);
    assert_eq!(findings(&core)[0].first_observed, first);
}

#[test]
fn a_look_that_brought_nothing_closes_nothing() {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    let core = lab.open();
    core.observe(observation("image-a", &[("left-pad", "1.0.0")])).unwrap();
    core.observe(Observation { inventory: None, ..observation("image-a", &[]) }).unwrap();
    assert_eq!(summary(&core), ["CVE-2024-1 image-a ACTIVE left-pad@1.0.0"]);
}

#[test]
fn a_damaged_generation_leaves_the_good_one_in_force() {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    let core = lab.open();
    core.observe(observation("image-a", &[("left-pad", "1.0.0")])).unwrap();
    lab.publish(record("CVE-2024-2", "left-pad", "2.0.0"));
    let current = lab.library().current().unwrap().unwrap();
    let file = lab.folder.path().join("db").join(format!("{current}.index"));
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    replace(&file, &bytes);
    assert!(core.refresh_intelligence().is_err());
    assert_eq!(summary(&core), ["CVE-2024-1 image-a ACTIVE left-pad@1.0.0"]);
}

fn replace(file: &Path, bytes: &[u8]) {
    std::fs::remove_file(file).unwrap();
    std::fs::write(file, bytes).unwrap();
}

/// Images are seen while generations are published: in the end every verdict is that of the last generation.
#[test]
fn observations_and_generations_at_once() {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-0", "p0", "2.0.0"));
    let core = lab.open();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let seen = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Ordering::Relaxed) {
                let packages: Vec<(String, String)> = (0..8).map(|p| (format!("p{p}"), format!("1.{seen}.{p}"))).collect();
                let packages: Vec<(&str, &str)> = packages.iter().map(|(name, version)| (name.as_str(), version.as_str())).collect();
                core.observe(observation(&format!("image-{seen}"), &packages)).unwrap();
                seen += 1;
            }
            seen
        });
        for i in 1..40 {
            lab.publish(record(&format!("CVE-2024-{}", i % 12), &format!("p{}", i % 8), &format!("1.{i}.0")));
            core.refresh_intelligence().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(seen.join().unwrap() > 0);
    });
    assert_eq!(core.audit(), []);
    let (_, index) = lab.library().open_current().unwrap();
    let world = core.world();
    for resource in world.resources_in(&scope()) {
        let mut expected = std::collections::BTreeSet::new();
        for component in world.estate.set(world.estate.set_of(resource).unwrap()) {
            expected.extend(lestrade_matching::judge_component(&index, world.estate.component(*component)).unwrap().into_keys());
        }
        let derived = world.estate.vulnerabilities_of(resource).iter().map(|v| world.estate.vulnerability(v).unwrap().to_owned()).collect();
        assert_eq!(expected, derived);
    }
}

#[test]
fn exploitation_moves_what_is_known_and_opens_nothing() {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    let core = lab.open();
    core.observe(observation("image-a", &[("left-pad", "1.0.0")])).unwrap();
    let before = core.world().log.head();
    let kev = lab.folder.path().join("kev.json");
    let entry = json!({"cveID": "CVE-2024-1", "dateAdded": "2024-02-01", "dueDate": "2024-02-22"});
    std::fs::write(&kev, json!({"catalogVersion": "1", "count": 1, "vulnerabilities": [entry]}).to_string()).unwrap();
    let mut importer = Importer::on_top_of(&lab.library().open_current().unwrap().1, core.now()).unwrap();
    importer.import(&kev).unwrap();
    lab.library().publish(&importer.finish().unwrap().0).unwrap();
    assert!(core.refresh_intelligence().unwrap());
    assert!(findings(&core)[0].assessment.known_exploited.is_some());
    assert_eq!(core.world().log.head(), before);
    drop(core);
    assert!(findings(&lab.open())[0].assessment.known_exploited.is_some(), "and a restart knows it");
}

#[test]
fn what_comes_together_is_committed_together_and_every_one_is_answered() {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "a", "2.0.0"));
    let core = lab.open();
    std::thread::scope(|scope| {
        for number in 0..64 {
            let core = &core;
            scope.spawn(move || core.observe(observation(&format!("image-{number}"), &[("a", "1.0.0")])).unwrap());
        }
    });
    let found = summary(&core);
    assert_eq!(found.len(), 64, "{found:?}");
    drop(core);
    assert_eq!(summary(&lab.open()), found, "and all of it is on disk");
}
