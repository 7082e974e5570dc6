//! AWS's own clients, unmodified, against the inspector2 front on loopback.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use lestrade_advisories::{Importer, Library};
use lestrade_model::*;
use lestrade_server::inspector2::{ExportPlace, Front, Key, Principal, Role, WriteReports, router};
use lestrade_server::{Core, Observation, Reconcilers};
use lestrade_testkit::SystemClock;
use lestrade_wire::sigv4::SecretKey;
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

fn scope() -> Scope {
    Scope::new("aws", "111122223333", "eu-west-1").unwrap()
}

fn key(id: &str, role: Role) -> (String, Key) {
    let principal = Principal { name: id.into(), scope: scope(), members: vec![], role };
    (id.into(), Key { secret: SecretKey::new(format!("secret of {id}")), principal })
}

/// An image with more vulnerabilities than are on a page.
fn core(folder: &Path) -> Core {
    let advisory = |i: usize| {
        json!({"id": format!("CVE-2026-{i:04}"), "modified": "2026-01-01T00:00:00Z", "details": "A flaw.",
            "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
            "affected": [{"package": {"ecosystem": "npm", "name": "left-pad"},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}]}]})
    };
    let records = folder.join("records.json");
    std::fs::write(&records, json!((1..=250).map(advisory).collect::<Vec<_>>()).to_string()).unwrap();
    let library = Library::new(folder.join("db"));
    let mut importer = Importer::new(SystemClock.now());
    importer.import(&records).unwrap();
    library.publish(&importer.finish().unwrap().0).unwrap();
    let store = lestrade_store::open(folder.join("state.db").to_str().unwrap()).unwrap();
    let core = Core::open(store, library, Arc::new(SystemClock), [7; 32]).unwrap();
    let digest = format!("sha256:{}", "a".repeat(64));
    let details = ImageDetails {
        registry: "111122223333".into(),
        repository: "web".into(),
        digest: digest.clone(),
        tags: vec!["latest".into()],
        architecture: "amd64".into(),
        pushed_at: Timestamp::from_millis(1_700_000_000_500),
    };
    let place =
        Occurrence { component: 0, path: "app/node_modules/left-pad".into(), layer: None, arch: None, manager: Manager::NodePackage };
    let found = vec![(Component::new(Ecosystem::of(Family::Npm), "left-pad", "1.0.0"), place)];
    let id = scope().arn("ecr", &format!("repository/web/{digest}"));
    core.observe(Observation {
        resource: Resource {
            key: ResourceKey { scope: scope(), kind: ResourceKind::Image, id },
            details: ResourceDetails::Image(details),
            facts: ResourceFacts::default(),
            tags: vec![],
        },
        inventory: Some(Inventory::assemble(None, found, vec![])),
        coverage: vec![Coverage {
            kind: ScanKind::Package,
            reason: CoverageReason::Successful,
            detail: String::new(),
            last_scanned: Some(SystemClock.now()),
        }],
    })
    .unwrap();
    core
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_and_the_aws_cli_work_with_an_endpoint_and_keys_alone() {
    let installed = Command::new("python3").args(["-c", "import boto3, awscli"]).status();
    if !installed.is_ok_and(|status| status.success()) {
        lestrade_testkit::missing("python3 with boto3 and awscli");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let keys = HashMap::from([key("AKIDADMIN", Role::Administrator), key("AKIDREADER", Role::Viewer)]);
    let place = ExportPlace::Folder(folder.path().join("exports"));
    let front = Arc::new(Front::new(Arc::new(core(folder.path())), keys, [9; 32]).with_exports(place, scope()));
    let mut reconcilers = Reconcilers::default();
    let reports = WriteReports { front: Arc::clone(&front) };
    front.wakes(reconcilers.run(reports, Duration::from_secs(60), vec![]).unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, router(front)).await });

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/clients.py");
    let home = folder.path().to_owned();
    let output = tokio::task::spawn_blocking(move || {
        Command::new("python3").arg(script).arg(endpoint).env("HOME", home).env_remove("AWS_PROFILE").output()
    });
    let output = output.await.unwrap().unwrap();
    server.abort();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    assert!(text.contains("ALL CLIENTS WORK"), "{text}");
}
