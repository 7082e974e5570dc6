//! One path through the whole house: a real Debian image in a real registry, read by the unmodified AWS CLI, through advisories
//! that come and go and a server that is killed in between; on both back ends.

use crate::lab::{Lab, PATIENCE, Serving, built_once, fixture, has_aws};
use lestrade_testkit::{HttpSink, Layer, Postgres, Registry, TestImage, debian_root, missing, until};
use serde_json::Value;
use std::collections::BTreeSet;

const LODASH: &str = "CVE-2021-23337 ACTIVE lodash";
const COREUTILS: &str = "CVE-2016-2781 ACTIVE coreutils";
const COREUTILS_CLOSED: &str = "CVE-2016-2781 CLOSED coreutils";

/// Stands for the token in a webhook's URL.
const CANARY: &str = "canary-5f1c9d";

/// Debian's essential packages, and above them an application.
fn image() -> Option<TestImage> {
    let root = debian_root(&built_once()).unwrap()?;
    let debian = Layer::of_tar(std::fs::read(root).unwrap()).unwrap();
    let application = Layer::of_files(&[("app/node_modules/lodash/package.json", r#"{"name": "lodash", "version": "4.17.20"}"#)]).unwrap();
    Some(TestImage::new(vec![debian, application]).unwrap())
}

fn import(lab: &Lab, file: &std::path::Path) {
    let output = lab.run(&["db", "import", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn spine(store: &str) {
    let Some(registry) = Registry::start().unwrap() else { return missing("docker-registry") };
    let Some(image) = image() else { return missing("mmdebstrap") };
    if !has_aws() {
        return missing("the AWS CLI");
    }
    let lab = Lab::new();
    let sink = HttpSink::start().unwrap();
    let lines = lab.path("events.jsonl");
    let settings = [
        format!("registries={}", registry.host()),
        format!("json-lines={}", lines.display()),
        format!("webhook={}/{CANARY}", sink.url()),
        "allow-private-targets=true".to_owned(),
        "account=123456789012".to_owned(),
        format!("store={}", if store.is_empty() { lab.path("state.db").display().to_string() } else { store.to_owned() }),
    ];
    let start = || until("the server starts", PATIENCE, || Serving::start(&lab, &settings).ok()).unwrap();

    // Pushed, seen, read, matched, told.
    import(&lab, &fixture("lodash.json"));
    registry.push(&image, "shop/web", "v1").unwrap();
    let server = start();
    server.until_findings(&[LODASH]).unwrap();
    let first = server.aws(&["list-findings"]).unwrap()["findings"][0].clone();
    assert_eq!(first["resources"][0]["details"]["awsEcrContainerImage"]["imageHash"].as_str(), Some(image.digest().as_str()));
    server.kill();

    // An advisory is published while the server is down: it is known at once, and the image is not touched.
    let coreutils = fixture("coreutils.json");
    import(&lab, &coreutils);
    let server = start();
    server.until_findings(&[COREUTILS, LODASH]).unwrap();
    assert_eq!(server.aws(&["list-findings"]).unwrap()["findings"][1]["findingArn"], first["findingArn"], "a finding keeps its name");
    assert_eq!(server.aws(&["list-findings"]).unwrap()["findings"][1]["firstObservedAt"], first["firstObservedAt"]);

    // It is withdrawn while the server runs, which is killed at once: it closes, and stays closed.
    let mut withdrawn: Value = serde_json::from_slice(&std::fs::read(&coreutils).unwrap()).unwrap();
    withdrawn["withdrawn"] = "2026-11-01T00:00:00Z".into();
    let file = lab.path("withdrawn.json");
    std::fs::write(&file, withdrawn.to_string()).unwrap();
    import(&lab, &file);
    server.kill();
    let server = start();
    server.until_findings(&[COREUTILS_CLOSED, LODASH]).unwrap();
    server.kill();
    let server = start();
    server.until_findings(&[COREUTILS_CLOSED, LODASH]).unwrap();

    // A filter that is made and unmade is told too: before that these are all.
    every_change_was_told(&lines, &sink);
    the_api_answers(&server);
    no_secret_is_written_down(&lab, &server);
}

/// Not in logs at their most talkative, not in events, not in the store.
fn no_secret_is_written_down(lab: &Lab, server: &Serving) {
    let secrets = [CANARY.to_owned(), server.secret().unwrap()];
    let mut looked_at = 0;
    for name in ["serve.log", "events.jsonl", "state.db", "state.db-wal"] {
        let Ok(bytes) = std::fs::read(lab.path(name)) else { continue };
        looked_at += bytes.len();
        for secret in &secrets {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "'{secret}' is in {name}");
        }
    }
    assert!(looked_at > 1000);
    let shown = lab.run(&["config", "show", "--origin", "--set", &format!("webhook=https://hooks.example/{CANARY}")]);
    assert!(!String::from_utf8_lossy(&shown.stdout).contains(CANARY));
}

/// Coverage, counts and filters, as their clients ask.
fn the_api_answers(server: &Serving) {
    let coverage = server.aws(&["list-coverage"]).unwrap();
    assert_eq!(coverage["coveredResources"][0]["scanStatus"]["statusCode"], "ACTIVE", "{coverage}");
    assert_eq!(coverage["coveredResources"][0]["scanStatus"]["reason"], "SUCCESSFUL");
    let counts = server.aws(&["list-finding-aggregations", "--aggregation-type", "FINDING_TYPE"]).unwrap();
    assert_eq!(counts["responses"][0]["findingTypeAggregation"]["severityCounts"]["all"], 1, "{counts}");
    let script = "
import boto3
inspector = boto3.client('inspector2')
active = {'findingStatus': [{'comparison': 'EQUALS', 'value': 'ACTIVE'}]}
pages = inspector.get_paginator('list_findings').paginate(PaginationConfig={'PageSize': 1})
print(sum(len(page['findings']) for page in pages), len(inspector.list_findings(filterCriteria=active)['findings']))
rule = inspector.create_filter(name='accepted', action='SUPPRESS', filterCriteria={'vulnerabilityId': [{'comparison': 'EQUALS', 'value': 'CVE-2021-23337'}]})
print(sorted(f['status'] for f in inspector.list_findings()['findings']))
inspector.delete_filter(arn=rule['arn'])
print(sorted(f['status'] for f in inspector.list_findings()['findings']))
";
    assert_eq!(server.boto3(script).unwrap(), "2 1\n['CLOSED', 'SUPPRESSED']\n['ACTIVE', 'CLOSED']\n");
}

/// Both targets have every change, each under one id, however often the server was killed.
fn every_change_was_told(lines: &std::path::Path, sink: &HttpSink) {
    let expected: BTreeSet<String> = ["CVE-2016-2781 ACTIVE", "CVE-2016-2781 CLOSED", "CVE-2021-23337 ACTIVE"].map(str::to_owned).into();
    let told = |bodies: Vec<String>| {
        let mut ids = BTreeSet::new();
        let mut changes = BTreeSet::new();
        for event in bodies.iter().filter_map(|body| serde_json::from_str::<Value>(body).ok()) {
            if event["detail-type"] != "Inspector2 Finding" {
                continue;
            }
            ids.insert(event["id"].to_string());
            let detail = &event["detail"];
            changes.insert(format!(
                "{} {}",
                detail["packageVulnerabilityDetails"]["vulnerabilityId"].as_str()?,
                detail["status"].as_str()?
            ));
        }
        assert!(ids.len() <= expected.len(), "one id for each change: {ids:?}");
        (changes == expected).then_some(())
    };
    let in_file = || told(std::fs::read_to_string(lines).unwrap_or_default().lines().map(str::to_owned).collect());
    until("the file has every change", PATIENCE, in_file).unwrap();
    let posted = || told(sink.taken().into_iter().map(|(_, body)| body).collect());
    until("the webhook has every change", PATIENCE, posted).unwrap();
    assert!(sink.taken().iter().all(|(head, _)| head.contains("idempotency-key:") && head.contains("webhook-id:")));
    let types: BTreeSet<String> =
        sink.taken().iter().filter_map(|(_, body)| Some(serde_json::from_str::<Value>(body).ok()?["detail-type"].to_string())).collect();
    assert!(
        ["\"Inspector2 Coverage\"", "\"Inspector2 Scan\"", "\"Lestrade Intelligence Refreshed\""].iter().all(|kind| types.contains(*kind)),
        "{types:?}"
    );
}

#[test]
fn spine_on_sqlite() {
    spine("");
}

#[test]
fn spine_on_postgres() {
    match Postgres::start().unwrap() {
        None => missing("PostgreSQL"),
        Some(postgres) => spine(&postgres.database().unwrap()),
    }
}

/// Killed again and again at moments that nobody chose, while intelligence arrives: in the end nothing is lost, and every
/// change is told under one id.
#[test]
fn killed_at_any_moment() {
    let Some(registry) = Registry::start().unwrap() else { return missing("docker-registry") };
    if !has_aws() {
        return missing("the AWS CLI");
    }
    const ROUNDS: u64 = 12;
    let lab = Lab::new();
    let manifests: Vec<(String, String)> = (0..ROUNDS)
        .map(|i| (format!("app/node_modules/p{i}/package.json"), format!("{{\"name\": \"p{i}\", \"version\": \"1.0.0\"}}")))
        .collect();
    let files: Vec<(&str, &str)> = manifests.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
    registry.push(&TestImage::new(vec![Layer::of_files(&files).unwrap()]).unwrap(), "shop/web", "v1").unwrap();
    let lines = lab.path("events.jsonl");
    let settings = [format!("registries={}", registry.host()), format!("json-lines={}", lines.display())];
    let start = || until("the server starts", PATIENCE, || Serving::start(&lab, &settings).ok()).unwrap();
    for i in 0..ROUNDS {
        let record = serde_json::json!({"id": format!("CVE-2024-{i:04}"), "affected": [{"package": {"ecosystem": "npm", "name": format!("p{i}")},
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}]}]});
        let file = lab.path("record.json");
        std::fs::write(&file, record.to_string()).unwrap();
        import(&lab, &file);
        let server = start();
        // From "at once" to "after all is done", in no order.
        std::thread::park_timeout(std::time::Duration::from_millis(i * 7919 % 900));
        server.kill();
    }
    let server = start();
    let expected: Vec<String> = (0..ROUNDS).map(|i| format!("CVE-2024-{i:04} ACTIVE p{i}")).collect();
    server.until_findings(&expected.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    let told = || {
        let text = std::fs::read_to_string(&lines).ok()?;
        let events = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        let events: Vec<Value> = events.filter(|event: &Value| event["detail-type"] == "Inspector2 Finding").collect();
        let ids: BTreeSet<String> = events.iter().map(|event| event["id"].to_string()).collect();
        let findings: BTreeSet<String> = events.iter().map(|event| event["detail"]["findingArn"].to_string()).collect();
        (ids.len() as u64 == ROUNDS && findings.len() as u64 == ROUNDS).then_some(())
    };
    until("every change was told under one id", PATIENCE, told).unwrap();
}
