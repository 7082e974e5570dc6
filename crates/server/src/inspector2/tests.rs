//! Signed requests against a front before a real core, without a network.

use super::dispatch::writes;
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
    front: Front<Core>,
    core: Arc<Core>,
    clock: Arc<TestClock>,
    _folder: tempfile::TempDir,
}

/// Every success is what the model says, but for what the service itself does otherwise.
fn conforms(request: &HttpRequest, response: &HttpResponse) {
    let operation = rest_json::route::<Api>(&request.method, &request.path).unwrap().operation;
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    let mut violations = validate(operation.output(), &body);
    violations.retain(|violation| {
        // The model's list of group keys names kinds of groups, the service answers groups.
        !(violation.path.starts_with("countsByGroup.") && violation.path.ends_with(".groupKey"))
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
        let keys = HashMap::from([key("admin", Role::Administrator), key("reader", Role::Reader)]);
        Self { front: Front::new(core.clone(), keys, [9; 32]), core, clock, _folder: folder }
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

#[test]
fn criteria_mean_what_they_mean_at_aws() {
    let lab = Lab::new();
    let all = ["api 0001 ACTIVE", "api 0002 ACTIVE", "api 0002 ACTIVE", "web 0001 ACTIVE", "web 0002 ACTIVE"];
    let ones = ["api 0001 ACTIVE", "web 0001 ACTIVE"];
    let twos = ["api 0002 ACTIVE", "api 0002 ACTIVE", "web 0002 ACTIVE"];
    for (criteria, expected) in [
        (json!({}), all.as_slice()),
        (json!({"severity": [equals("CRITICAL")]}), &ones),
        (json!({"severity": [equals("CRITICAL"), equals("MEDIUM")]}), &all),
        (json!({"severity": [equals("critical")]}), &[]),
        (json!({"severity": [not_equals("CRITICAL"), not_equals("LOW")]}), &twos),
        (json!({"severity": [equals("CRITICAL")], "ecrImageRepositoryName": [equals("web")]}), &ones[1..]),
        (json!({"ecrImageRepositoryName": [{"comparison": "PREFIX", "value": "w"}]}), &all[3..]),
        (json!({"fixAvailable": [equals("YES")]}), &ones),
        (json!({"inspectorScore": [{"lowerInclusive": 9.0}]}), &ones),
        (json!({"awsAccountId": [equals("444455556666")]}), &all[1..2]),
        (json!({"resourceTags": [{"comparison": "EQUALS", "key": "env", "value": "prod"}]}), &all),
        (json!({"resourceTags": [{"comparison": "EQUALS", "key": "env", "value": "dev"}]}), &[]),
        (json!({"vulnerablePackages": [{"name": equals("left-pad"), "version": equals("1.0.0")}]}), &ones),
        (json!({"vulnerablePackages": [{"name": equals("left-pad"), "version": equals("1.0.1")}]}), &[]),
        (json!({"firstObservedAt": [{"endInclusive": 1_000_000_000}]}), &[]),
        (json!({"ec2InstanceVpcId": [equals("vpc-12345678")]}), &[]),
        (json!({"ec2InstanceVpcId": [not_equals("vpc-12345678")]}), &all),
    ] {
        assert_eq!(lab.findings(criteria.clone()), expected, "{criteria}");
    }
}

#[test]
fn pages_join_to_the_whole_and_tokens_are_bound() {
    let lab = Lab::new();
    for (target, list, base) in [
        ("/findings/list", "findings", json!({"maxResults": 2, "sortCriteria": {"field": "SEVERITY", "sortOrder": "DESC"}})),
        ("/coverage/list", "coveredResources", json!({"maxResults": 1})),
        ("/findings/aggregation/list", "responses", json!({"maxResults": 1, "aggregationType": "TITLE"})),
    ] {
        let mut request = base.clone();
        let (mut pages, mut all) = (0, Vec::new());
        loop {
            let page = lab.ask(target, request.clone());
            all.extend(page[list].as_array().unwrap().clone());
            pages += 1;
            let Some(token) = page.get("nextToken") else { break };
            request["nextToken"] = token.clone();
        }
        assert!(pages > 1, "{target}");
        let mut whole = base.clone();
        whole["maxResults"] = json!(100);
        assert_eq!(json!(all), lab.ask(target, whole)[list], "{target}");

        let token = lab.ask(target, base.clone())["nextToken"].as_str().unwrap().to_owned();
        let mut other = base.clone();
        match target {
            "/findings/aggregation/list" => other["aggregationType"] = json!("PACKAGE"),
            _ => other["filterCriteria"] = json!({"resourceId": [not_equals("x")]}),
        }
        for (mut request, token) in [(base.clone(), "x".repeat(64)), (base.clone(), format!("A{}", &token[1..])), (other, token)] {
            request["nextToken"] = json!(token);
            let (code, body) = lab.refused(target, request);
            assert_eq!((code.as_str(), &body["fields"][0]["name"]), ("ValidationException", &json!("nextToken")), "{target}");
        }
    }
}

#[test]
fn a_token_expires() {
    let lab = Lab::new();
    let request = json!({"maxResults": 1});
    let token = lab.ask("/coverage/list", request)["nextToken"].clone();
    lab.clock.0.fetch_add(25 * HOUR, Ordering::Relaxed);
    let (code, body) = lab.refused("/coverage/list", json!({"maxResults": 1, "nextToken": token}));
    assert_eq!(code, "ValidationException");
    assert!(body["message"].as_str().unwrap().contains("expired"));
}

#[test]
fn findings_are_counted_in_groups() {
    let lab = Lab::new();
    let groups = |body: Value, group: &str, key: &str| -> Vec<(String, i64, i64)> {
        let answer = lab.ask("/findings/aggregation/list", body);
        let rows = answer["responses"].as_array().unwrap().clone();
        let row = |row: Value| {
            let row = &row[group];
            let counts = &row["severityCounts"];
            (row[key].as_str().unwrap().to_owned(), counts["all"].as_i64().unwrap(), counts["critical"].as_i64().unwrap())
        };
        rows.into_iter().map(row).collect()
    };
    let own = |text: &str| text.to_owned();
    assert_eq!(
        groups(json!({"aggregationType": "ACCOUNT"}), "accountAggregation", "accountId"),
        [(own("111122223333"), 4, 2), (own("444455556666"), 1, 0)]
    );
    assert_eq!(
        groups(json!({"aggregationType": "PACKAGE"}), "packageAggregation", "packageName"),
        [(own("left-pad"), 2, 2), (own("is-odd"), 3, 0)]
    );
    let by_all =
        json!({"aggregationType": "PACKAGE", "aggregationRequest": {"packageAggregation": {"sortBy": "ALL", "sortOrder": "DESC"}}});
    assert_eq!(groups(by_all, "packageAggregation", "packageName")[0].0, "is-odd");
    let named = json!({"aggregationType": "PACKAGE", "aggregationRequest": {"packageAggregation": {"packageNames": [equals("is-odd")]}}});
    assert_eq!(groups(named, "packageAggregation", "packageName"), [(own("is-odd"), 3, 0)]);
    assert_eq!(
        groups(json!({"aggregationType": "REPOSITORY"}), "repositoryAggregation", "repository"),
        [(own("api"), 3, 1), (own("web"), 2, 1)]
    );
    let one = json!({"aggregationType": "AWS_ECR_CONTAINER", "accountIds": [equals("444455556666")]});
    assert_eq!(groups(one, "awsEcrContainerAggregation", "repository"), [(own("api"), 1, 0)]);
    assert_eq!(groups(json!({"aggregationType": "AWS_EC2_INSTANCE"}), "ec2InstanceAggregation", "instanceId"), []);
    assert_eq!(groups(json!({"aggregationType": "LAMBDA_LAYER"}), "lambdaLayerAggregation", "layerArn"), []);
    let wrong = json!({"aggregationType": "TITLE", "aggregationRequest": {"packageAggregation": {}}});
    assert_eq!(lab.refused("/findings/aggregation/list", wrong).0, "ValidationException");
}

#[test]
fn coverage_says_what_is_looked_at() {
    let lab = Lab::new();
    let covered =
        |criteria: Value| lab.ask("/coverage/list", json!({"filterCriteria": criteria}))["coveredResources"].as_array().unwrap().len();
    assert_eq!(covered(json!({})), 3);
    assert_eq!(covered(json!({"ecrRepositoryName": [equals("api")]})), 2);
    assert_eq!(covered(json!({"ecrRepositoryName": [equals("api")], "accountId": [not_equals("444455556666")]})), 1);
    assert_eq!(covered(json!({"scanStatusCode": [equals("INACTIVE")]})), 0);
    assert_eq!(covered(json!({"ec2InstanceTags": [{"comparison": "EQUALS", "key": "env"}]})), 0);
    assert_eq!(covered(json!({"lastScannedAt": [{"startInclusive": 1_763_000_000}]})), 3);
    assert_eq!(covered(json!({"ecrImageInUseCount": [{"lowerInclusive": 0}]})), 0);
    let counts = lab.ask("/coverage/statistics/list", json!({"groupBy": "ACCOUNT_ID"}));
    assert_eq!(
        counts,
        json!({"totalCounts": 3, "countsByGroup": [{"count": 2, "groupKey": "111122223333"}, {"count": 1, "groupKey": "444455556666"}]})
    );
    assert_eq!(lab.ask("/coverage/statistics/list", json!({})), json!({"totalCounts": 3}));
}

#[test]
fn a_suppression_rule_hides_shows_again_and_survives_a_restart() {
    let lab = Lab::new();
    let rule = json!({"name": "odd", "action": "SUPPRESS", "reason": "accepted", "tags": {"team": "web"},
        "filterCriteria": {"vulnerabilityId": [equals("CVE-2026-0002")]}});
    let arn = lab.ask("/filters/create", rule.clone())["arn"].as_str().unwrap().to_owned();
    assert!(arn.starts_with("arn:aws:inspector2:eu-west-1:111122223333:owner/111122223333/filter/"), "{arn}");
    assert_eq!(lab.findings(json!({"findingStatus": [equals("SUPPRESSED")]})), ["api 0002 SUPPRESSED", "web 0002 SUPPRESSED"]);
    assert_eq!(lab.refused("/filters/create", rule).0, "BadRequestException");

    lab.core.set_suppressions(&scope("111122223333"), vec![]);
    lab.core.enforce_suppressions(&[scope("111122223333")]).unwrap();
    assert_eq!(lab.findings(json!({"findingStatus": [equals("SUPPRESSED")]})).len(), 2);

    let listed = lab.ask("/filters/list", json!({"action": "SUPPRESS"}))["filters"].clone();
    assert_eq!((listed[0]["name"].as_str(), listed[0]["tags"]["team"].as_str()), (Some("odd"), Some("web")));
    assert_eq!(lab.ask("/filters/list", json!({"arns": ["arn:other"]})), json!({"filters": []}));

    lab.ask("/filters/update", json!({"filterArn": arn, "action": "NONE", "description": "kept"}));
    assert_eq!(lab.findings(json!({"findingStatus": [equals("SUPPRESSED")]})), [""; 0]);
    lab.ask("/filters/delete", json!({"arn": arn}));
    assert_eq!(lab.refused("/filters/delete", json!({"arn": arn})).0, "ResourceNotFoundException");
}

#[test]
fn filters_are_tagged_by_their_arn_in_the_path() {
    let lab = Lab::new();
    let rule = json!({"name": "n", "action": "NONE", "filterCriteria": {}});
    let arn = lab.ask("/filters/create", rule)["arn"].as_str().unwrap().to_owned();
    let path = format!("/tags/{}", lestrade_wire::uri::encode(&arn));
    let tags = || serde_json::from_slice::<Value>(&lab.send("reader", "GET", &path, "").body).unwrap();
    assert_eq!(tags(), json!({"tags": {}}));
    lab.ask(&path, json!({"tags": {"a": "1", "b": "2", "c": "3"}}));
    assert_eq!(lab.send("admin", "DELETE", &format!("{path}?tagKeys=a&tagKeys=b"), "").status, 200);
    assert_eq!(tags(), json!({"tags": {"c": "3"}}));
    let many: serde_json::Map<String, Value> = (0..51).map(|i| (format!("k{i}"), json!("v"))).collect();
    assert_eq!(lab.refused(&path, json!({"tags": many})).0, "BadRequestException");
    assert_eq!(lab.refused("/tags/arn%3Aaws%3Ax", json!({"tags": {"a": "1"}})).0, "ResourceNotFoundException");
}

/// What is unusual in the core is still what the model says: no score, no tags, no fix, a system's packages, a machine.
#[test]
fn sparse_and_strange_findings_conform_too() {
    let lab = Lab::new();
    let records = lab._folder.path().join("strange.json");
    let long = "ä".repeat(5000);
    let debian = |package: &str| {
        json!({"package": {"ecosystem": "Debian:12", "name": package},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]})
    };
    let strange = json!([
        {"id": "DEBIAN-CVE-2026-7", "aliases": ["CVE-2026-0007"], "modified": "2026-01-01T00:00:00Z", "details": long, "affected": [debian("openssl")]},
        {"id": "CVE-2026-0008", "modified": "2026-01-01T00:00:00Z", "affected": [debian("bash")],
            "severity": [{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}]},
    ]);
    std::fs::write(&records, strange.to_string()).unwrap();
    let (_, index) = lab.core.library.open_current().unwrap();
    let mut importer = Importer::on_top_of(&index, lab.clock.now()).unwrap();
    importer.import(&records).unwrap();
    lab.core.library.publish(&importer.finish().unwrap().0).unwrap();
    lab.core.refresh_intelligence().unwrap();

    let system = |name: &str, version: &str| {
        let place = Occurrence {
            component: 0,
            path: "var/lib/dpkg/status".into(),
            layer: None,
            arch: Some("amd64".into()),
            manager: Manager::Dpkg,
        };
        (Component::new("Debian:12".parse::<Ecosystem>().unwrap(), name, version), place)
    };
    let packages = vec![system("libssl3", "3.0.9-1"), system("bash", "1:5.2")];
    let packages = packages.into_iter().map(|(c, p)| (if c.name == "libssl3" { c.from_source("openssl", "3.0.9-1") } else { c }, p));
    let mut strange = image("111122223333", "strange", 'f', &[]);
    strange.inventory = Some(Inventory::assemble(None, packages.collect(), vec![]));
    if let ResourceDetails::Image(details) = &mut strange.resource.details {
        details.tags.clear();
        details.architecture.clear();
    }
    let mut machine = strange.clone();
    machine.resource.key.kind = ResourceKind::Instance;
    machine.resource.key.id = "i-0123456789abcdef0".into();
    machine.resource.details = ResourceDetails::None;
    machine.resource.tags.clear();
    machine.coverage[0].last_scanned = None;
    machine.coverage[0].reason = CoverageReason::NoInventory;
    lab.core.observe(strange).unwrap();
    lab.core.observe(machine).unwrap();

    let found = lab.ask(
        "/findings/list",
        json!({"filterCriteria": {"vulnerabilityId": [{"comparison": "PREFIX", "value": "CVE-2026-000"}],
        "fixAvailable": [equals("NO")], "awsAccountId": [equals("111122223333")]}}),
    );
    assert_eq!(found["findings"].as_array().unwrap().len(), 2 + 4);
    for id in ["CVE-2026-0007", "CVE-2026-0008"] {
        lab.ask("/vulnerabilities/search", json!({"filterCriteria": {"vulnerabilityIds": [id]}}));
    }
    lab.ask("/coverage/list", json!({}));
    for kind in ["ACCOUNT", "PACKAGE", "TITLE", "AWS_EC2_INSTANCE", "AWS_ECR_CONTAINER", "REPOSITORY", "IMAGE_LAYER", "FINDING_TYPE"] {
        lab.ask("/findings/aggregation/list", json!({"aggregationType": kind}));
    }
}

/// One resource of which nothing is known must not take the page from all others.
#[test]
fn a_resource_without_details_is_listed_all_the_same() {
    let lab = Lab::new();
    let mut bare = image("111122223333", "bare", 'f', &[("left-pad", "1.0.0")]);
    bare.resource.details = ResourceDetails::Image(ImageDetails::default());
    lab.core.observe(bare).unwrap();
    // Such a finding cannot be what the model says, so it is asked for around the check.
    let request = lab.signed("admin", "POST", "/findings/list", "{}");
    let response = lab.front.answer(&lab.front.holder(&request).unwrap(), &request);
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!((response.status, body["findings"].as_array().map(Vec::len)), (200, Some(6)), "{body}");
}

#[test]
fn accounts_are_switched_on_and_off() {
    let lab = Lab::new();
    let status = |accounts: Value| lab.ask("/status/batch/get", json!({"accountIds": accounts}));
    assert_eq!(status(json!([]))["accounts"][0]["resourceState"]["lambda"]["status"], "DISABLED");
    let answer = lab.ask("/enable", json!({"resourceTypes": ["LAMBDA"]}));
    assert_eq!(answer["accounts"][0]["resourceStatus"]["lambda"], "ENABLING");
    assert_eq!(status(json!([]))["accounts"][0]["resourceState"]["lambda"]["status"], "ENABLED");
    lab.ask("/disable", json!({}));
    assert_eq!(status(json!([]))["accounts"][0]["state"]["status"], "DISABLED");
    let both = status(json!(["444455556666", "777788889999"]));
    assert_eq!((both["accounts"].as_array().unwrap().len(), &both["failedAccounts"][0]["errorCode"]), (1, &json!("ACCESS_DENIED")));

    lab.ask("/configuration/update", json!({"ecrConfiguration": {"rescanDuration": "DAYS_30"}}));
    let set = lab.ask("/configuration/get", json!({}));
    assert_eq!(set["ecrConfiguration"]["rescanDurationState"]["rescanDuration"], "DAYS_30");
    assert_eq!(set["ec2Configuration"]["scanModeState"]["scanMode"], "EC2_HYBRID");
}

#[test]
fn vulnerabilities_are_known_whether_found_or_not() {
    let lab = Lab::new();
    let search = |id: &str| lab.ask("/vulnerabilities/search", json!({"filterCriteria": {"vulnerabilityIds": [id]}}));
    assert_eq!(search("CVE-2026-0001")["vulnerabilities"][0]["cvss3"]["baseScore"], 9.8);
    assert_eq!(search("CVE-2026-0003")["vulnerabilities"][0]["id"], "CVE-2026-0003");
    assert_eq!(search("CVE-2026-9999"), json!({"vulnerabilities": []}));
    let arn = lab.ask("/findings/list", json!({"maxResults": 1}))["findings"][0]["findingArn"].clone();
    let other = format!("arn:aws:inspector2:eu-west-1:111122223333:finding/{}", "0".repeat(32));
    let details = lab.ask("/findings/details/batch/get", json!({"findingArns": [arn, other]}));
    assert_eq!(details["findingDetails"][0]["findingArn"], arn);
    assert_eq!(details["errors"][0]["errorCode"], "FINDING_DETAILS_NOT_FOUND");
}

#[test]
fn nobody_sees_a_scope_that_is_not_theirs() {
    let lab = Lab::new();
    let secret = [equals("777788889999")];
    assert!(lab.findings(json!({"awsAccountId": secret})).is_empty());
    let text = [
        lab.ask("/findings/list", json!({})),
        lab.ask("/coverage/list", json!({})),
        lab.ask("/findings/aggregation/list", json!({"aggregationType": "ACCOUNT"})),
        lab.ask("/members/list", json!({})),
    ];
    assert!(text.iter().all(|answer| !answer.to_string().contains("777788889999")));
}

#[test]
fn a_reader_changes_nothing() {
    let lab = Lab::new();
    for &operation in Api::ALL.iter().filter(|operation| writes(**operation)) {
        let binding = operation.binding();
        let response = lab.send("reader", binding.method, &binding.uri.replace("{resourceArn}", "arn"), "{}");
        assert_eq!((response.status, response.header("x-amzn-errortype")), (403, Some("AccessDeniedException")), "{operation:?}");
    }
    assert_eq!(lab.send("reader", "POST", "/findings/list", "{}").status, 200);
}

/// Whatever is sent, the answer is a response of the protocol and never a fault of ours.
#[test]
fn no_body_makes_a_fault() {
    let lab = Lab::new();
    let bodies = ["", "{}", "[]", "null", "1", "{", "\u{0}", r#"{"maxResults":1e400}"#, r#"{"maxResults":-1}"#, r#"{"nextToken":""}"#];
    for &operation in Api::ALL {
        let binding = operation.binding();
        for body in bodies {
            let response = lab.send("admin", binding.method, &binding.uri.replace("{resourceArn}", "arn"), body);
            assert!(response.status < 500, "{operation:?} {body}");
            assert!(serde_json::from_slice::<Value>(&response.body).is_ok_and(|body| body.is_object()), "{operation:?} {body}");
        }
    }
    assert_eq!(lab.send("admin", "POST", "/nothing", "{}").header("x-amzn-errortype"), Some("UnknownOperationException"));
}
