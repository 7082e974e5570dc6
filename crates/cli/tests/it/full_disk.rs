//! The disk under the state is full for a while.

use crate::lab::{Lab, PATIENCE, Serving};
use lestrade_testkit::until;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

/// Whether a file system of our own can be mounted here.
fn can_mount() -> bool {
    Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]).status().is_ok_and(|status| status.success())
}

fn bom(n: u32) -> String {
    let component = |i: u32| json!({"type": "library", "name": format!("p{i}"), "version": "1.0.0", "purl": format!("pkg:npm/p{i}@1.0.0")});
    let components: Vec<Value> = (n * 2000..(n + 1) * 2000).map(component).collect();
    json!({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": components}).to_string()
}

#[test]
fn a_full_disk_is_waited_out() {
    if !can_mount() {
        return lestrade_testkit::missing("user namespaces");
    }
    let lab = Lab::new();
    lab.write(
        "record.json",
        json!({"id": "CVE-2024-1", "affected": [{"package": {"ecosystem": "npm", "name": "p1"},
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}]}]})
        .to_string(),
    );
    assert!(lab.run(&["db", "import", "record.json"]).status.success());
    std::fs::create_dir(lab.path("small")).unwrap();
    // The state alone lies on a small disk, which this process reaches through the server's view of it.
    let settings = vec![format!("store={}", lab.path("small/state.db").display())];
    let server = Serving::start_on_a_small_disk(&lab, &settings, &lab.path("small")).unwrap();
    let inside: PathBuf = format!("/proc/{}/root{}", server.id(), lab.path("small").display()).into();
    assert!(inside.join("state.db").exists());
    let token = lab.token();
    let push = &|n: u32| server.http("POST", &format!("/api/v1/sboms?name=app-{n}"), Some(&token), bom(n).as_bytes()).unwrap();
    let findings = || server.http("GET", "/api/v1/findings", Some(&token), b"").unwrap();
    assert_eq!(push(0).0, 200);
    let before = findings();
    assert!(before.0 == 200 && before.1.contains("CVE-2024-1"), "{before:?}");

    // Full: what is known is answered, what is new is refused and is said to be.
    let filler = inside.join("filler");
    let zeros = vec![0; 1 << 20];
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &zeros).is_ok() {}
    drop(file);
    let (status, body) = push(1);
    assert!(status == 503 && body.contains("no room"), "{status} {body}");
    assert_eq!(push(1).0, 503, "again, and at once");
    // Those that share a transaction are told the same.
    let many: Vec<(u16, String)> = std::thread::scope(|scope| {
        let pushed: Vec<_> = (2..18).map(|n| scope.spawn(move || push(n))).collect();
        pushed.into_iter().map(|push| push.join().unwrap()).collect()
    });
    // As many wait as may; the others are told to come again.
    let refused = |(status, body): &(u16, String)| (*status == 503 && body.contains("no room")) || *status == 429;
    assert!(many.iter().all(refused) && many.iter().filter(|(status, _)| *status == 503).count() > 1, "{many:?}");
    assert!(findings().1.contains("CVE-2024-1"));
    assert!(lab.transcript(&["status"]).contains("! NOTHING can be written since"));
    assert!(server.http("GET", "/readyz", None, b"").unwrap().1.contains("\"writable\":false"));

    // Room again: it goes on by itself.
    std::fs::remove_file(&filler).unwrap();
    until("it takes changes again", PATIENCE, || (push(1).0 == 200).then_some(())).unwrap();
    assert!(!lab.transcript(&["status"]).contains("NOTHING can be written"));
    assert!(lab.transcript(&["resources"]).contains("app-1"));
    assert!(server.http("GET", "/readyz", None, b"").unwrap().1.contains("\"writable\":true"));
}
