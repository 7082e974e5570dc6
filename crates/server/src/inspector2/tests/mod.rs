//! Signed requests against a front before a real core, without a network.

mod estate;
mod exports;
mod front;
mod reference;
mod state;
mod whole;

use super::*;
use crate::{Core, Observation};
use lestrade_advisories::{Importer, Library};
use lestrade_model::*;
use lestrade_wire::inspector2::Api;
use lestrade_wire::sigv4::{Credentials, SecretKey, sign};
use lestrade_wire::{HttpRequest, HttpResponse, Service, rest_json, validate};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const SECRET: &str = "a secret";
const HOUR: i64 = 3_600_000;

struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// A front, its state and what time it is there.
struct Lab {
    front: Arc<Front<Core>>,
    core: Arc<Core>,
    clock: Arc<TestClock>,
    folder: tempfile::TempDir,
}

/// Every success is what the model says, but for what the service itself does otherwise.
fn conforms(request: &HttpRequest, response: &HttpResponse) {
    let operation = rest_json::route::<Api>(&request.method, &request.path).unwrap().operation;
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    let mut violations = validate(operation.output(), &body);
    violations.retain(|violation| {
        // The model's list of group keys names kinds of groups, the service answers groups.
        let group = violation.path.starts_with("countsByGroup.") && violation.path.ends_with(".groupKey");
        // The model has no answer for an image that runs nowhere.
        let nowhere = violation.path == "cluster" && body["cluster"] == json!([]);
        !group && !nowhere
    });
    assert_eq!(violations, [], "{operation:?}: {body}");
}

fn scope(account: &str) -> Scope {
    Scope::new("aws", account, "eu-west-1").unwrap()
}

fn key(name: &str, role: Role) -> (String, Key) {
    let principal = Principal { name: name.into(), scope: scope("111122223333"), members: vec![scope("444455556666")], role };
    (name.into(), Key { secret: SecretKey::new(SECRET.into()), principal })
}

fn advisory(id: &str, package: &str, vector: &str, fixed: Option<&str>) -> Value {
    let mut events = vec![json!({"introduced": "0"})];
    events.extend(fixed.map(|fixed| json!({"fixed": fixed})));
    json!({"id": id, "modified": "2026-01-01T00:00:00Z", "summary": format!("{package} is vulnerable"),
        "severity": [{"type": "CVSS_V3", "score": vector}],
        "affected": [{"package": {"ecosystem": "npm", "name": package}, "ranges": [{"type": "SEMVER", "events": events}]}]})
}

fn image(account: &str, repository: &str, digest: char, packages: &[(&str, &str)]) -> Observation {
    let scope = scope(account);
    let digest = format!("sha256:{}", digest.to_string().repeat(64));
    let id = scope.arn("ecr", &format!("repository/{repository}/{digest}"));
    let found = packages.iter().map(|(package, version)| {
        let place = Occurrence {
            component: 0,
            path: format!("app/{package}/package.json"),
            layer: Some(format!("sha256:{}", "e".repeat(64))),
            arch: None,
            manager: Manager::NodePackage,
        };
        (Component::new(Ecosystem::of(Family::Npm), package, version), place)
    });
    let details = ImageDetails {
        registry: account.into(),
        repository: repository.into(),
        digest,
        tags: vec!["latest".into()],
        architecture: "amd64".into(),
        pushed_at: Timestamp::from_millis(1_700_000_000_000),
    };
    let last_scanned = Some(Timestamp::from_millis(1_763_000_000_000));
    Observation {
        resource: Resource {
            key: ResourceKey { scope, kind: ResourceKind::Image, id },
            details: ResourceDetails::Image(details),
            facts: ResourceFacts::default(),
            tags: vec![("env".into(), "prod".into())],
        },
        inventory: Some(Inventory::assemble(None, found.collect(), vec![])),
        coverage: vec![Coverage { kind: ScanKind::Package, reason: CoverageReason::Successful, detail: String::new(), last_scanned }],
    }
}

impl Lab {
    /// Two images of the account and one of a member, with a critical and a medium vulnerability in each of the first two.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(Timestamp::parse("2026-11-23T00:00:00Z").unwrap().as_millis())));
        let records = folder.path().join("records.json");
        let (critical, medium) = ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "CVSS:3.1/AV:L/AC:L/PR:L/UI:R/S:U/C:L/I:L/A:L");
        let advisories = json!([
            advisory("CVE-2026-0001", "left-pad", critical, Some("2.0.0")),
            advisory("CVE-2026-0002", "is-odd", medium, None),
            advisory("CVE-2026-0003", "nowhere", medium, None),
        ]);
        std::fs::write(&records, advisories.to_string()).unwrap();
        let library = Library::new(folder.path().join("db"));
        let mut importer = Importer::new(clock.now());
        importer.import(&records).unwrap();
        library.publish(&importer.finish().unwrap().0).unwrap();
        let store = lestrade_store::open(folder.path().join("state.db").to_str().unwrap()).unwrap();
        let core = Arc::new(Core::open(store, library, clock.clone(), [7; 32]).unwrap());
        let both = [("left-pad", "1.0.0"), ("is-odd", "1.0.0")];
        core.observe(image("111122223333", "web", 'a', &both)).unwrap();
        core.observe(image("111122223333", "api", 'b', &both)).unwrap();
        core.observe(image("444455556666", "api", 'c', &[("is-odd", "1.0.0")])).unwrap();
        core.observe(image("777788889999", "secret", 'd', &both)).unwrap();
        let keys = HashMap::from(Role::ALL.map(|role| key(role.as_str(), role)));
        let (place, home) = (ExportPlace::Folder(folder.path().join("exports")), Scope::new("aws", "111122223333", "eu-west-1").unwrap());
        let front = Arc::new(Front::new(core.clone(), keys, [9; 32]).with_exports(place, home));
        Self { front, core, clock, folder }
    }

    fn signed(&self, key: &str, method: &str, target: &str, body: &str) -> HttpRequest {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut request = HttpRequest {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            headers: vec![("host".into(), "localhost".into())],
            body: body.into(),
        };
        let credentials = Credentials { access_key: key.into(), secret: SecretKey::new(SECRET.into()), session_token: None };
        sign(&mut request, &credentials, "eu-west-1", "inspector2", self.clock.now());
        request
    }

    fn send(&self, key: &str, method: &str, target: &str, body: &str) -> HttpResponse {
        let request = self.signed(key, method, target, body);
        let key = self.front.holder(&request).unwrap();
        let response = self.front.answer(&key, &request);
        if response.status == 200 {
            conforms(&request, &response);
        }
        response
    }

    /// Asks as the administrator and expects success.
    fn ask(&self, target: &str, body: Value) -> Value {
        let response = self.send("admin", "POST", target, &body.to_string());
        let answer = String::from_utf8(response.body).unwrap();
        assert_eq!(response.status, 200, "{target} {body}: {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// Asks as the administrator and expects an error: its code and its body.
    fn refused(&self, target: &str, body: Value) -> (String, Value) {
        let response = self.send("admin", "POST", target, &body.to_string());
        assert!(response.status >= 400, "{target} {body}");
        let code = response.header("x-amzn-errortype").unwrap().to_owned();
        (code, serde_json::from_slice(&response.body).unwrap())
    }

    fn findings(&self, criteria: Value) -> Vec<String> {
        let answer = self.ask("/findings/list", json!({"filterCriteria": criteria}));
        let name = |finding: &Value| {
            let repository = &finding["resources"][0]["details"]["awsEcrContainerImage"]["repositoryName"];
            let id = &finding["packageVulnerabilityDetails"]["vulnerabilityId"];
            format!("{} {} {}", repository.as_str().unwrap(), &id.as_str().unwrap()[9..], finding["status"].as_str().unwrap())
        };
        let mut names: Vec<String> = answer["findings"].as_array().unwrap().iter().map(name).collect();
        names.sort();
        names
    }
}

fn equals(value: &str) -> Value {
    json!({"comparison": "EQUALS", "value": value})
}

fn not_equals(value: &str) -> Value {
    json!({"comparison": "NOT_EQUALS", "value": value})
}
