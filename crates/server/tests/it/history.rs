//! Incremental equals full: whatever happens, in whatever order, what the server holds is what a server would that began anew with
//! what is there now. `LESTRADE_STEPS` sets how many steps are lived through; in CI it is ten thousand.

use super::{Lab, findings, observation, record, scope};
use lestrade_advisories::Importer;
use lestrade_findings::{Criteria, FindingView, Suppression, Term, TextField, TextTest};
use lestrade_model::{CoverageReason, ResourceKey, ResourceKind};
use lestrade_server::Core;
use lestrade_server::inspector2::Backend;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const IDS: u64 = 12;
/// From which on they are not CVEs, and how many CVEs are given to them and taken away again.
const GHSAS: u64 = 8;
const GIVEN: u64 = 4;
const PACKAGES: u64 = 6;
const IMAGES: u64 = 6;
/// After how many steps a server begins anew beside it.
const COMPARED: u64 = 16;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// What is there now.
#[derive(Default)]
struct Present {
    records: BTreeMap<u64, Value>,
    epss: BTreeMap<u64, u64>,
    exploited: BTreeSet<u64>,
    images: BTreeMap<u64, Vec<(String, String)>>,
    rules: Vec<Suppression>,
}

fn id(n: u64) -> String {
    if n < GHSAS { format!("CVE-2026-{n:04}") } else { format!("GHSA-{n:04}") }
}

impl Present {
    /// Something happens; answers whether it is the intelligence's.
    fn change(&mut self, random: &mut Random, core: &Core, lab: &Lab) -> bool {
        let n = random.below(IDS);
        match random.below(12) {
            0..=2 => {
                let mut new = record(&id(n), &format!("p{}", random.below(PACKAGES)), &format!("{}.0.0", 1 + random.below(4)));
                new["severity"][0]["score"] =
                    ["CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "CVSS:3.1/AV:L/AC:H/PR:L/UI:R/S:U/C:N/I:L/A:N"]
                        [random.below(2) as usize]
                        .into();
                if random.below(4) == 0 {
                    new["withdrawn"] = json!("2026-11-01T00:00:00Z");
                }
                if n >= GHSAS {
                    let known = self.records.get(&n).filter(|_| random.below(2) == 0);
                    new = known.cloned().unwrap_or(new);
                    new["aliases"] = (0..random.below(3)).map(|_| id(random.below(GIVEN))).collect();
                }
                self.records.insert(n, new);
            }
            3 => drop(self.records.remove(&n)),
            4 => drop(self.epss.insert(n % GHSAS, random.below(100))),
            5 => {
                if !self.exploited.remove(&(n % GHSAS)) {
                    self.exploited.insert(n % GHSAS);
                }
            }
            6..=8 => {
                let image = n % IMAGES;
                let package = |n| (random.below(2) == 0).then(|| (format!("p{n}"), format!("{}.0.0", random.below(5))));
                let packages: Vec<(String, String)> = (0..PACKAGES).filter_map(package).collect();
                let borrowed: Vec<(&str, &str)> = packages.iter().map(|(name, version)| (name.as_str(), version.as_str())).collect();
                core.observe(observation(&format!("image-{image}"), &borrowed)).unwrap();
                self.images.insert(image, packages);
                return false;
            }
            9 => {
                let image = n % IMAGES;
                let key = ResourceKey { scope: scope(), kind: ResourceKind::Image, id: format!("image-{image}") };
                core.forget(&key, CoverageReason::ResourceTerminated).unwrap();
                self.images.remove(&image);
                return false;
            }
            10 => {
                let term = match random.below(3) {
                    // A rule goes on where its id was that of a finding; a server that begins anew never saw that.
                    0 => Term::Text(TextField::VulnerabilityId, vec![TextTest::Equals(id(GIVEN + n % (GHSAS - GIVEN)))]),
                    1 => Term::Text(TextField::ResourceId, vec![TextTest::Equals(format!("image-{}", n % IMAGES))]),
                    _ => Term::Text(TextField::ExploitAvailable, vec![TextTest::Equals("NO".into())]),
                };
                let rule = Suppression { scope: scope(), by: format!("rule {n}").into(), criteria: Criteria { terms: vec![term] } };
                self.rules = if random.below(2) == 0 { vec![] } else { vec![rule] };
                core.set_suppressions(&scope(), self.rules.clone());
                return false;
            }
            _ => {
                lab.later(1 + i64::try_from(random.below(9 * 86_400_000)).unwrap());
                return false;
            }
        }
        true
    }

    /// Publishes the intelligence that there is now.
    fn publish(&self, lab: &Lab) {
        let folder = lab.folder.path().join("feeds");
        std::fs::create_dir_all(&folder).unwrap();
        let mut importer = Importer::new(lab.now());
        let epss: String = self.epss.iter().map(|(n, percent)| format!("{},0.{percent:02},0.5\n", id(*n))).collect();
        let entry = |n: &u64| json!({"cveID": id(*n), "dateAdded": "2026-01-01", "dueDate": "2026-02-01"});
        let exploited: Vec<Value> = self.exploited.iter().map(entry).collect();
        for (name, content) in [
            ("records.json", Value::Array(self.records.values().cloned().collect()).to_string()),
            ("epss.csv", format!("#model_version:v2025.03.14,score_date:2026-11-22T00:00:00+0000\ncve,epss,percentile\n{epss}")),
            ("kev.json", json!({"catalogVersion": "1", "count": exploited.len(), "vulnerabilities": exploited}).to_string()),
        ] {
            let empty = match name {
                "records.json" => self.records.is_empty(),
                "epss.csv" => self.epss.is_empty(),
                _ => self.exploited.is_empty(),
            };
            if !empty {
                let file = folder.join(name);
                std::fs::write(&file, content).unwrap();
                importer.import(&file).unwrap();
            }
        }
        lab.library().publish(&importer.finish().unwrap().0).unwrap();
    }

    /// A server that begins anew with all this.
    fn anew(&self, lab: &Lab) -> Arc<Core> {
        let folder = lab.folder.path().join("anew");
        let _ = std::fs::remove_dir_all(&folder);
        let store = lestrade_store::open(folder.join("state.db").to_str().unwrap()).unwrap();
        let core = Arc::new(Core::open(store, lab.library(), lab.clock.clone(), [7; 32]).unwrap());
        for (image, packages) in &self.images {
            let borrowed: Vec<(&str, &str)> = packages.iter().map(|(name, version)| (name.as_str(), version.as_str())).collect();
            core.observe(observation(&format!("image-{image}"), &borrowed)).unwrap();
        }
        core.set_suppressions(&scope(), self.rules.clone());
        core
    }
}

/// All that is said of what is open now; when it was first seen is history's.
fn open(core: &Core) -> Vec<String> {
    let of = |finding: &FindingView| {
        let packages: Vec<String> =
            finding.packages.iter().map(|p| format!("{}@{} {:?}", p.component.name, p.component.version, p.fixed_in)).collect();
        format!(
            "{} {} {} {:?} {:?} {:?} {:.3} {:?} {packages:?}",
            finding.assessment.id,
            finding.resource.key.id,
            finding.status.as_str(),
            finding.severity,
            finding.assessment.inspector_score,
            finding.assessment.epss,
            finding.risk().value,
            finding.suppressed_by,
        )
    };
    // Resources are numbered as they come: what is alike otherwise stands in that order.
    let mut all: Vec<String> = findings(core).iter().filter(|finding| finding.status.as_str() != "CLOSED").map(of).collect();
    all.sort();
    all
}

/// What is remembered of each finding, closed ones included.
fn told(core: &Core) -> Vec<String> {
    let of = |f: &FindingView| format!("{} {} {} {:?} {:?}", f.arn, f.assessment.id, f.status.as_str(), f.first_observed, f.updated);
    findings(core).iter().map(of).collect()
}

fn only<'a>(some: &'a [String], others: &[String]) -> Vec<&'a String> {
    some.iter().filter(|line| !others.contains(line)).collect()
}

fn live(seed: u64, steps: u64) {
    let mut random = Random(seed);
    let lab = Lab::new();
    let mut present = Present::default();
    let mut core = lab.open();
    for step in 1..=steps {
        lab.later(1000);
        if present.change(&mut random, &core, &lab) {
            present.publish(&lab);
            // Now and then several arrive before anybody looks.
            if random.below(4) > 0 {
                core.refresh_intelligence().unwrap();
            }
        }
        assert_eq!(core.audit(), [], "seed {seed}, step {step}");
        if random.below(40) == 0 {
            core.refresh_intelligence().unwrap();
            let before = told(&core);
            drop(core);
            core = lab.open();
            core.set_suppressions(&scope(), present.rules.clone());
            let after = told(&core);
            assert!(
                after == before,
                "seed {seed}, step {step}: after a restart {:?} for {:?}",
                only(&after, &before),
                only(&before, &after)
            );
        }
        if step % COMPARED == 0 {
            core.refresh_intelligence().unwrap();
            let anew = present.anew(&lab);
            assert_eq!(open(&core), open(&anew), "seed {seed}, step {step}");
        }
    }
}

#[test]
fn incremental_is_full() {
    let steps: u64 = std::env::var("LESTRADE_STEPS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    const LIVES: u64 = 8;
    std::thread::scope(|scope| {
        for life in 0..LIVES {
            scope.spawn(move || live(life, steps.div_ceil(LIVES)));
        }
    });
}
