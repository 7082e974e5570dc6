//! Intelligence across an air gap, from a mirror, and without a socket.

use crate::lab::{Lab, Serving, fixture};
use anyhow::{Context, Result, ensure};
use lestrade_testkit::{FileServer, Server, missing};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const RECORD: &str = r#"{"id": "GHSA-aaaa-bbbb-cccc", "aliases": ["CVE-2099-1000"], "summary": "A hole", "affected": [
    {"package": {"ecosystem": "npm", "name": "left-pad"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]}]}"#;

/// A machine with the intelligence of lodash.
fn with_lodash() -> Lab {
    let lab = Lab::new();
    std::fs::copy(fixture("lodash.json"), lab.path("lodash.json")).unwrap();
    lab.transcript(&["db", "import", "lodash.json"]);
    lab.write("app/package-lock.json", LOCK);
    lab
}

const LOCK: &str = r#"{"name": "app", "lockfileVersion": 3, "packages": {"": {"dependencies": {"lodash": "*"}},
    "node_modules/lodash": {"version": "4.17.20"}, "node_modules/left-pad": {"version": "1.0.0"}}}"#;

/// The key that an export prints.
fn key_of(said: &str) -> String {
    said.split_once("bundle-keys=").map(|(_, key)| key.lines().next().unwrap_or_default().to_owned()).unwrap()
}

#[test]
fn intelligence_crosses_an_air_gap() {
    let (outside, inside) = (with_lodash(), Lab::new());
    inside.write("app/package-lock.json", LOCK);
    let said = outside.transcript(&["db", "export", "-o", "week1.bundle"]);
    let key = key_of(&said);
    let carry = |name: &str| assert!(std::fs::copy(outside.path(name), inside.path(name)).is_ok());
    carry("week1.bundle");
    let stranger = inside.transcript(&["db", "import", "week1.bundle", "--offline"]);
    assert!(stranger.contains("error[E0506]") && stranger.contains("not trusted here"), "{stranger}");
    let trust = format!("bundle-keys={key}");
    let import = |name: &str| inside.transcript(&["db", "import", name, "--offline", "--set", &trust]);
    assert!(import("week1.bundle").starts_with("generation 1 of "));
    assert!(inside.transcript(&["fs", "app", "--offline"]).contains("CVE-2021-23337"));

    outside.write("record.json", RECORD);
    outside.transcript(&["db", "import", "record.json"]);
    assert!(outside.transcript(&["db", "export", "-o", "week2.bundle", "--since", "1"]).contains("follows on generation 1"));
    carry("week2.bundle");
    assert!(import("week2.bundle").contains("1 added, 0 changed, 0 removed"));
    assert!(inside.transcript(&["fs", "app", "--offline"]).contains("CVE-2099-1000"));
    assert!(import("week1.bundle").contains("it is of generation 1, and 2 came before"));
    assert!(import("week2.bundle").contains("is in force already"));
    let both = inside.transcript(&["db", "import", "week2.bundle", "app", "--set", &trust]);
    assert!(both.contains("error[E0229]"), "{both}");
    // The seed that signs is its owner's alone.
    use std::os::unix::fs::PermissionsExt;
    let seed = std::fs::metadata(outside.path(".local/state/lestrade/bundle.key")).unwrap();
    assert_eq!(seed.permissions().mode() & 0o077, 0);
}

/// Starts `db mirror`; answers it, where it listens and the key to trust.
fn mirror(lab: &Lab, token: &str, more: &[&str]) -> Result<(Server, String, String)> {
    let mut command = lab.lestrade();
    command.env("LESTRADE_MIRROR_TOKEN", token).args(["db", "mirror", "--set", "mirror-listen=127.0.0.1:0"]).args(more);
    let mut server = Server::start(command.stdout(Stdio::piped()).stderr(Stdio::null()))?;
    let stdout = server.child().stdout.take().context("standard output is piped")?;
    let mut lines = BufReader::new(stdout).lines();
    let first = lines.next().context("it says where it listens")??;
    let url = first.rsplit(' ').next().unwrap_or_default().to_owned();
    ensure!(url.contains("://127.0.0.1:"), "{first}");
    let second = lines.next().context("and what to trust")??;
    Ok((server, url, key_of(&second)))
}

#[test]
fn a_mirror_brings_others_up_to_date() {
    let (origin, other) = (with_lodash(), Lab::new());
    other.write("app/package-lock.json", LOCK);
    let (_server, url, key) = mirror(&origin, "open-sesame", &[]).unwrap();
    let settings = [format!("mirror-url={url}"), format!("bundle-keys={key}")];
    let ask = |token: &str, arguments: &[&str]| {
        let mut command = other.lestrade();
        command.env("LESTRADE_MIRROR_TOKEN", token).args(arguments);
        for setting in &settings {
            command.args(["--set", setting]);
        }
        let output = command.output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    assert!(ask("guess", &["db", "update"]).contains("NOT fetched: the server answers 401"));
    // A first scan takes what it needs from the mirror.
    let said = ask("open-sesame", &["fs", "app", "--set", "auto-update=true"]);
    assert!(said.contains("CVE-2021-23337"), "{said}");
    assert!(ask("open-sesame", &["db", "update"]).contains("is as it was"));
    // What changes there is fetched as a step, which its file tells: the mirror keeps the whole, and the step.
    origin.write("record.json", RECORD);
    origin.transcript(&["db", "import", "record.json"]);
    let said = ask("open-sesame", &["db", "update"]);
    assert!(said.contains("1 record") && said.contains("generation 2 · 1 added, 0 changed, 0 removed"), "{said}");
    let kept = std::fs::read_dir(origin.path(".local/state/lestrade/db/bundles")).unwrap().flatten();
    let mut sizes: Vec<u64> = kept.map(|entry| entry.metadata().unwrap().len()).collect();
    sizes.sort_unstable();
    assert!(matches!(sizes[..], [step, whole] if step < whole), "{sizes:?}");
    assert!(ask("open-sesame", &["fs", "app"]).contains("CVE-2099-1000"));
    // A part, for who has only packages of one kind; one that is not there is refused and said.
    let part = ask("open-sesame", &["db", "update", "--set", "mirror-ecosystems=npm"]);
    assert!(part.contains("mirror") && !part.contains("NOT") && !part.contains("REFUSED"), "{part}");
    assert!(ask("open-sesame", &["db", "update", "--set", "mirror-ecosystems=Hex"]).contains("the server answers 404"));
}

/// With the certificate of `serve`, and never in plain text.
#[test]
fn a_mirror_speaks_tls() {
    let (origin, other) = (with_lodash(), Lab::new());
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=lestrade"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .args([origin.path("key.pem"), "-out".into(), origin.path("cert.pem")])
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        return missing("openssl");
    }
    let half = origin.transcript(&["db", "mirror", "--set", "tls-key=key.pem"]);
    assert!(half.contains("E0219"), "{half}");
    let open = origin.transcript(&[
        "db",
        "mirror",
        "--set",
        "mirror-listen=0.0.0.0:0",
        "--set",
        "tls-certificate=cert.pem",
        "--set",
        "tls-key=key.pem",
    ]);
    assert!(open.contains("E0212") && open.contains("it asks for no token"), "{open}");
    let certificate = ["--set", "tls-certificate=cert.pem", "--set", "tls-key=key.pem"];
    let (_server, url, key) = mirror(&origin, "open-sesame", &certificate).unwrap();
    assert!(url.starts_with("https://"), "{url}");
    let ask = |url: &str, roots: Option<std::path::PathBuf>| {
        let mut command = other.lestrade();
        command.env("LESTRADE_MIRROR_TOKEN", "open-sesame").envs(roots.map(|roots| ("SSL_CERT_FILE", roots)));
        command.args(["db", "update", "--set", &format!("mirror-url={url}"), "--set", &format!("bundle-keys={key}")]);
        let output = command.output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    assert!(ask(&url, None).contains("NOT fetched"), "nobody vouches for it");
    let plain = url.replace("https://", "http://");
    assert!(ask(&plain, Some(origin.path("cert.pem"))).contains("NOT fetched"));
    let said = ask(&url, Some(origin.path("cert.pem")));
    assert!(said.contains("generation 1"), "{said}");
}

#[test]
fn a_server_follows_a_mirror() {
    let (origin, other) = (with_lodash(), Lab::new());
    let (_server, url, key) = mirror(&origin, "", &[]).unwrap();
    let settings = ["auto-update=true".to_owned(), "feed-interval=1".to_owned(), format!("mirror-url={url}"), format!("bundle-keys={key}")];
    let _serving = Serving::start(&other, &settings).unwrap();
    other.until_said(&["db", "show", "CVE-2021-23337"], "lodash");
    origin.write("record.json", RECORD);
    origin.transcript(&["db", "import", "record.json"]);
    other.until_said(&["db", "show", "CVE-2099-1000"], "left-pad");
}

#[test]
fn a_mirror_that_others_can_reach_wants_a_token_and_a_proxy() {
    let lab = with_lodash();
    for (arguments, why) in [
        (&["--set", "mirror-listen=0.0.0.0:0"][..], "can be reached from elsewhere"),
        (&["--set", "mirror-listen=0.0.0.0:0", "--behind-proxy"], "it asks for no token"),
        (&["--behind-proxy"], "it asks for no token"),
    ] {
        let said = lab.transcript(&[&["db", "mirror"], arguments].concat());
        assert!(said.contains("error[E0212]") && said.contains(why), "{arguments:?}: {said}");
    }
}

/// The system calls of networks that a command makes, its children's included.
fn network_calls(lab: &Lab, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-e", "trace=socket,connect,io_uring_setup", "-o"])
        .arg(lab.path("calls"))
        .arg(env!("CARGO_BIN_EXE_lestrade"));
    command.env_clear().env("HOME", lab.path("")).env("PATH", "/usr/bin:/bin").current_dir(lab.path("")).args(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().ok()?;
    let calls = std::fs::read_to_string(lab.path("calls")).ok()?;
    Some(calls.lines().filter(|line| line.contains("socket(") || line.contains("connect(") || line.contains("io_uring")).collect())
}

#[test]
fn offline_opens_no_socket() {
    let (lab, server) = (with_lodash(), FileServer::start().unwrap());
    let url = format!("kev-url={}/kev.json", server.url());
    let fetch = ["db", "update", "kev", "--set", &url];
    // That they are seen at all: what fetches opens one.
    let Some(calls) = network_calls(&lab, &fetch) else { return missing("strace") };
    assert!(calls.contains("socket("), "{calls}");
    for arguments in [
        &["fs", "app"][..],
        &["fs", "app", "-o", "json"],
        &["fs", "app", "--set", "auto-update=true"],
        &["image", "registry.example/app:v1"],
        &["explain", "CVE-2021-23337", "app"],
        &["diff", "app", "app"],
        &["db", "import", "lodash.json"],
        &["db", "export", "-o", "x.bundle"],
        &["db", "show", "CVE-2021-23337"],
        &["db", "search", "lodash"],
        &["db", "status"],
        &fetch,
        &["doctor", "--aws"],
    ] {
        let calls = network_calls(&lab, &[arguments, &["--offline"]].concat()).unwrap();
        // What is refused by the kernel was not opened; of ours, none is even tried but by AWS's own client.
        let opened = calls.contains("socket(") && !calls.contains("EPERM");
        assert!(!opened && (calls.is_empty() || arguments[0] == "doctor"), "{arguments:?}: {calls}");
    }
    assert_eq!(server.take_requests(), [""; 0]);
    let said = lab.transcript(&["image", "registry.example/app:v1", "--offline"]);
    assert!(said.contains("error[E0226]"), "{said}");
}
