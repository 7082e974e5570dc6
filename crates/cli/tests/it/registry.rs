//! A real registry that is watched in part, that tells by itself what is pushed, and whose images run in a cluster.

use crate::lab::{Lab, PATIENCE, Serving};
use lestrade_testkit::{Layer, Registry, TestImage, free_port, missing, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const TOKEN: &str = "hook-token-of-this-test";

/// An image with one npm package.
fn image(name: &str, architecture: &str) -> TestImage {
    let manifest = format!("{{\"name\": \"{name}\", \"version\": \"1.0.0\"}}");
    let layer = Layer::of_files(&[(&format!("app/node_modules/{name}/package.json"), &manifest)]).unwrap();
    TestImage::of_architecture(vec![layer], architecture).unwrap()
}

fn import(lab: &Lab, names: &[&str]) {
    let record = |name: &&str| {
        json!({"id": format!("CVE-2024-{name}"), "affected": [{"package": {"ecosystem": "npm", "name": name},
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}]}]})
    };
    lab.write("records.json", names.iter().map(record).collect::<Value>().to_string());
    let imported = lab.run(&["db", "import", "records.json"]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
}

/// The active findings, as `vulnerability repository`.
fn active(lab: &Lab) -> BTreeSet<String> {
    let answer = lab.json(&["findings", "--json"]);
    let of = |finding: &Value| {
        let name = finding["resource"]["name"].as_str().unwrap_or_default();
        let repository = name.split_once('/').map_or(name, |(_, rest)| rest);
        format!("{} {}", finding["vulnerability"].as_str().unwrap_or_default(), repository.split(['@', ':']).next().unwrap_or_default())
    };
    answer["findings"].as_array().into_iter().flatten().map(of).collect()
}

fn until_active(lab: &Lab, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|text| (*text).to_owned()).collect();
    let mut last = BTreeSet::new();
    let seen = until("the findings are as expected", PATIENCE, || {
        last = active(lab);
        (last == expected).then_some(())
    });
    assert!(seen.is_ok(), "expected {expected:?}, have {last:?}");
}

/// The server looks at the registry once at its start and then once a day: what comes in between, it is told.
#[test]
fn a_registry_tells_what_moved() {
    let port = free_port().unwrap();
    let hook = format!("http://127.0.0.1:{port}/hooks/registry");
    let Some(registry) = Registry::start_telling(&hook, TOKEN).unwrap() else { return missing("docker-registry") };
    let lab = Lab::new();
    import(&lab, &["old", "new", "arm", "intel", "other"]);
    registry.push(&image("old", "amd64"), "shop/web", "v1").unwrap();
    registry.push(&image("other", "amd64"), "private/notes", "v1").unwrap();
    lab.write(".local/state/lestrade/registry-token", TOKEN);
    let settings =
        [format!("registries={}/shop/*", registry.host()), "registry-interval=86400".to_owned(), format!("listen=127.0.0.1:{port}")];
    let server = Serving::start(&lab, &settings).unwrap();
    until_active(&lab, &["CVE-2024-old shop/web"]);

    // A push under another tag, an image for two architectures with an attestation, a chart; nothing of what is not selected.
    registry.push(&image("new", "amd64"), "shop/api", "v1").unwrap();
    registry.push_index(&[image("arm", "arm64"), image("intel", "amd64")], "shop/multi", "v1").unwrap();
    registry.push(&TestImage::artifact().unwrap(), "shop/chart", "1.0.0").unwrap();
    registry.push(&image("new", "amd64"), "private/notes", "v2").unwrap();
    let both = ["CVE-2024-arm shop/multi", "CVE-2024-intel shop/multi", "CVE-2024-new shop/api", "CVE-2024-old shop/web"];
    until_active(&lab, &both);
    let chart = lab.until_said(&["coverage", "--inactive", "--json"], "UNSUPPORTED_MEDIA_TYPE");
    assert!(chart.contains("/shop/chart"), "{chart}");

    // Deleted: gone, and its findings closed.
    registry.delete("shop/web", &image("old", "amd64").digest()).unwrap();
    until_active(&lab, &both[..3]);

    // Strangers are not heard, nor is what is no message; the token of registries opens nothing else.
    for (token, body, status) in [(None, "{}", 401), (Some("guess"), "{}", 401), (Some(TOKEN), "{", 400), (Some(TOKEN), "{}", 400)] {
        assert_eq!(server.http("POST", "/hooks/registry", token, body.as_bytes()).unwrap().0, status, "{token:?} {body}");
    }
    assert_eq!(server.http("GET", "/api/v1/status", Some(TOKEN), b"").unwrap().0, 401);
    let harbor =
        json!({"type": "PUSH_ARTIFACT", "event_data": {"resources": [{"tag": "v1"}], "repository": {"repo_full_name": "shop/api"}}});
    assert_eq!(server.http("POST", "/hooks/registry", Some(TOKEN), harbor.to_string().as_bytes()).unwrap(), (200, "{\"heard\":1}".into()));
}

/// What no tag points at any more runs still: its cluster says so, and it is read.
#[test]
fn what_runs_is_looked_at_without_a_tag() {
    let Some(registry) = Registry::start().unwrap() else { return missing("docker-registry") };
    let lab = Lab::new();
    import(&lab, &["old", "new"]);
    registry.push(&image("old", "amd64"), "shop/web", "v1").unwrap();
    registry.push(&image("new", "amd64"), "shop/web", "v1").unwrap();
    let _server = Serving::start(&lab, &[format!("registries={}/shop/web", registry.host())]).unwrap();
    until_active(&lab, &["CVE-2024-new shop/web"]);

    let running = json!({"imageID": format!("{}/shop/web@{}", registry.host(), image("old", "amd64").digest()), "state": {"running": {}}});
    lab.write("pods.json", json!({"kind": "List", "items": [{"status": {"containerStatuses": [running, running]}}]}).to_string());
    assert_eq!(lab.transcript(&["clusters", "tell", "prod", "pods.json"]), "prod · 2 containers of 1 image\nexit 0");
    until_active(&lab, &["CVE-2024-new shop/web", "CVE-2024-old shop/web"]);
    let listed = lab.json(&["clusters", "list", "--json"]);
    assert_eq!((&listed["clusters"][0]["containers"], &listed["clusters"][0]["name"]), (&json!(2), &json!("prod")));
    lab.write("pods.json", "nothing of the kind");
    assert!(lab.transcript(&["clusters", "tell", "prod", "pods.json"]).contains("line 1"));
    assert!(lab.transcript(&["clusters", "remove", "prod"]).ends_with("exit 0"));
    assert!(lab.transcript(&["clusters", "remove", "prod"]).contains("there is no cluster 'prod'"));
}
