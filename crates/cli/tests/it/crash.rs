//! The server is ended at every named step, as a power cut would end it, while feeds come in, files change and events go out; then
//! it is started again. In the end nothing is lost, nothing invented, and each event came under one id, at most once more for the
//! crash: compared with a run that was left alone.

use crate::lab::{Lab, PATIENCE, Serving};
use lestrade_testkit::{FileServer, HttpSink, until};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many servers are ended at a time.
const AT_ONCE: usize = 8;
/// Steps that are reached only when a receiver fails or honours no key, where `server/tests/it/power_cuts.rs` cuts, and when a report is
/// asked for: `exports.rs`.
const ELSEWHERE: [&str; 3] = ["deliver: attempt noted", "letter: sent", "report: begun"];

/// The names of all steps, as the sources have them.
fn steps() -> BTreeSet<String> {
    fn of(folder: &Path, steps: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                of(&path, steps);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                steps.extend(text.split("step(\"").skip(1).filter_map(|rest| Some(rest.split_once("\");")?.0.to_owned())));
            }
        }
    }
    let mut steps = BTreeSet::new();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for room in std::fs::read_dir(crates).unwrap().map(Result::unwrap) {
        of(&room.path().join("src"), &mut steps);
    }
    steps
}

/// A bill of materials with Alpine packages.
fn bom(packages: &[(&str, &str)]) -> String {
    let component = |(name, version): &(&str, &str)| {
        json!({"type": "library", "name": name, "version": version,
            "purl": format!("pkg:apk/alpine/{name}@{version}?arch=x86_64&distro=alpine-3.20.3")})
    };
    let components: Vec<Value> = packages.iter().map(component).collect();
    json!({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": components}).to_string()
}

/// Alpine's feed with fixes of packages.
fn feed(fixes: &[(&str, &str, &str)]) -> String {
    let package = |(name, version, cve): &(&str, &str, &str)| json!({"pkg": {"name": name, "secfixes": {*version: [cve]}}});
    let packages: Vec<Value> = fixes.iter().map(package).collect();
    json!({"distroversion": "v3.20", "reponame": "main", "packages": packages}).to_string()
}

/// A machine whose feeds, files and receivers are all its own.
struct World {
    lab: Lab,
    feeds: FileServer,
    sink: HttpSink,
}

/// What is known in the end, and how often each event came: to the file, to the webhook.
#[derive(Debug, PartialEq)]
struct Known {
    findings: BTreeSet<String>,
    told: [BTreeMap<String, usize>; 2],
}

impl World {
    fn new() -> Self {
        let world = Self { lab: Lab::new(), feeds: FileServer::start().unwrap(), sink: HttpSink::start().unwrap() };
        std::fs::create_dir(world.lab.path("watched")).unwrap();
        // It wants every revision, as the file has it: what was overtaken while the power was away is told too.
        let target = format!("[[target]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"{}\"\nevery-revision = true\n", world.sink.url());
        let rule = "[[rule]]\nname = \"all\"\ntargets = [\"hook\"]\npattern = { detail-type = [\"Inspector2 Finding\"] }\n";
        world.lab.write("rules/a.toml", format!("{target}{rule}"));
        world
    }

    fn settings(&self) -> Vec<String> {
        let url = self.feeds.url();
        vec![
            format!("folders={}", self.lab.path("watched").display()),
            "folder-interval=1".into(),
            "feed-interval=1".into(),
            format!("alpine-secdb-url={url}/alpine"),
            "alpine-releases=v3.20".into(),
            format!("epss-url={url}/none"),
            format!("kev-url={url}/none"),
            format!("endoflife-url={url}/none"),
            format!("json-lines={}", self.lab.path("events.jsonl").display()),
            format!("rules={}", self.lab.path("rules").display()),
            "allow-private-targets=true".into(),
        ]
    }

    /// Starts a server, one that ends at a step if one is given; none when it ended before it listened.
    fn start(&self, cut: Option<&str>) -> Option<Serving> {
        let mut environment = vec![("LESTRADE_AUTO_UPDATE", "true".to_owned())];
        environment.extend(cut.map(|step| ("LESTRADE_CUT", step.to_owned())));
        match cut {
            Some(_) => Serving::start_in(&self.lab, &self.settings(), &[], &environment).ok(),
            None => until("the server starts", PATIENCE, || Serving::start_in(&self.lab, &self.settings(), &[], &environment).ok()).ok(),
        }
    }

    /// Puts a file into the watched folder, whole.
    fn file(&self, name: &str, packages: &[(&str, &str)]) {
        self.lab.write(".new", bom(packages));
        std::fs::rename(self.lab.path(".new"), self.lab.path("watched").join(name)).unwrap();
    }

    /// The findings, as `vulnerability file status`.
    fn findings(&self, server: &Serving) -> Option<BTreeSet<String>> {
        let (status, body) = server.http("GET", "/api/v1/findings?status=active,closed", Some(&self.lab.token()), b"").ok()?;
        let answer: Value = (status == 200).then(|| serde_json::from_str(&body).ok())??;
        let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        let of = |finding: &Value| {
            format!(
                "{} {} {}",
                text(&finding["vulnerability"]),
                text(&finding["resource"]["name"]),
                text(&finding["status"]).to_lowercase()
            )
        };
        Some(answer["findings"].as_array()?.iter().map(of).collect())
    }

    /// What was told of findings: how often each `vulnerability resource status` came, each under one id.
    fn told(&self) -> [BTreeMap<String, usize>; 2] {
        let lines = std::fs::read_to_string(self.lab.path("events.jsonl")).unwrap_or_default();
        let posted: Vec<String> = self.sink.taken().into_iter().map(|(_, body)| body).collect();
        let count = |bodies: &mut dyn Iterator<Item = &str>| {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            let mut ids: BTreeMap<String, String> = BTreeMap::new();
            for event in bodies.filter_map(|body| serde_json::from_str::<Value>(body).ok()) {
                if event["detail-type"] != "Inspector2 Finding" {
                    continue;
                }
                let detail = &event["detail"];
                let resource = detail["resources"][0]["id"].as_str().unwrap_or("?").rsplit('/').next().unwrap_or("?").to_owned();
                let what = format!(
                    "{} {resource} {}",
                    detail["packageVulnerabilityDetails"]["vulnerabilityId"].as_str().unwrap_or("?"),
                    detail["status"].as_str().unwrap_or("?").to_lowercase()
                );
                let id = event["id"].as_str().unwrap_or("?").to_owned();
                assert_eq!(ids.entry(what.clone()).or_insert_with(|| id.clone()), &id, "{what} is one event");
                *counts.entry(what).or_default() += 1;
            }
            counts
        };
        [count(&mut lines.lines()), count(&mut posted.iter().map(String::as_str))]
    }

    /// Lives through the history. Answers what is known in the end, and whether the server ended at the step.
    fn live(&self, cut: Option<&str>) -> (Known, bool) {
        const ONE: (&str, &str, &str) = ("openssl", "3.3.2-r0", "CVE-2026-0001");
        const TWO: (&str, &str, &str) = ("zlib", "1.3.1-r2", "CVE-2026-0002");
        let old = [("openssl", "3.3.1-r3"), ("zlib", "1.3.1-r1")];
        let mut server = self.start(cut);
        let mut crashed = false;
        let mut version = 0;
        let mut publish = |fixes: &[(&str, &str, &str)]| {
            version += 1;
            self.feeds.put("/alpine/v3.20/main.json", &version.to_string(), feed(fixes));
        };
        let mut reach = |expected: &[&str]| {
            let expected: BTreeSet<String> = expected.iter().map(|text| (*text).to_owned()).collect();
            let mut last = None;
            let seen = until("what is expected is known", PATIENCE, || {
                if server.as_mut().is_none_or(Serving::has_ended) {
                    assert!(cut.is_some() && !crashed, "the server ends once, where it is to");
                    crashed = true;
                    server = self.start(None);
                }
                last = self.findings(server.as_ref()?);
                (last.as_ref() == Some(&expected)).then_some(())
            });
            assert!(seen.is_ok(), "{cut:?}: expected {expected:?}, have {last:?}");
        };
        publish(&[ONE]);
        self.file("web.json", &old);
        reach(&["CVE-2026-0001 web.json active"]);
        publish(&[ONE, TWO]);
        reach(&["CVE-2026-0001 web.json active", "CVE-2026-0002 web.json active"]);
        self.file("web.json", &[("openssl", "3.3.2-r0"), old[1]]);
        self.file("api.json", &old[1..]);
        let both = ["CVE-2026-0001 web.json closed", "CVE-2026-0002 api.json active", "CVE-2026-0002 web.json active"];
        reach(&both);
        std::fs::remove_file(self.lab.path("watched/api.json")).unwrap();
        reach(&[both[0], "CVE-2026-0002 api.json closed", both[2]]);
        publish(&[ONE]);
        reach(&[both[0], "CVE-2026-0002 api.json closed", "CVE-2026-0002 web.json closed"]);
        let mut told = self.told();
        let all = until("every change was told", PATIENCE, || {
            if server.as_mut().is_none_or(Serving::has_ended) {
                crashed = true;
                server = self.start(None);
            }
            told = self.told();
            told.iter().all(|counts| counts.len() == 6).then_some(())
        });
        assert!(all.is_ok(), "{cut:?}: {told:?}");
        let findings = server.as_ref().and_then(|server| self.findings(server)).unwrap();
        (Known { findings, told }, crashed)
    }
}

#[test]
fn the_power_is_cut_at_every_step() {
    let steps: Vec<String> = steps().into_iter().filter(|step| !ELSEWHERE.contains(&step.as_str())).collect();
    assert!(steps.len() >= 40, "{} steps: {steps:?}", steps.len());
    let (reference, _) = World::new().live(None);
    assert!(reference.told.iter().flat_map(BTreeMap::values).all(|times| *times == 1), "{reference:?}");
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(step) = steps.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (known, crashed) = World::new().live(Some(step));
                    assert!(crashed, "'{step}' is never reached");
                    assert_eq!(known.findings, reference.findings, "{step}");
                    for (known, reference) in known.told.iter().zip(&reference.told) {
                        assert!(known.keys().eq(reference.keys()), "{step}: {known:?}");
                        assert!(known.values().all(|times| *times <= 2), "{step}: at most once more: {known:?}");
                    }
                }
            });
        }
    });
}

/// At moments that nobody chose: the N-th step, whichever it is. `LESTRADE_CRASHES=1000` cuts a thousand times; in CI it is a few.
#[test]
fn the_power_is_cut_at_any_step() {
    let crashes: u64 = std::env::var("LESTRADE_CRASHES").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let (reference, _) = World::new().live(None);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(number) = Some(next.fetch_add(1, Ordering::Relaxed) as u64).filter(|number| *number < crashes) {
                    let cut = format!("*{}", 1 + (number + 1) * 7919 % 331);
                    let (known, _) = World::new().live(Some(&cut));
                    assert_eq!(known.findings, reference.findings, "{cut}");
                    for (known, reference) in known.told.iter().zip(&reference.told) {
                        assert!(known.keys().eq(reference.keys()) && known.values().all(|times| *times <= 2), "{cut}: {known:?}");
                    }
                }
            });
        }
    });
}
