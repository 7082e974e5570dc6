//! What a hostile world does to the program as a whole. Inputs of archives and package databases are tried where they are read.

use crate::lab::{Lab, PATIENCE};
use lestrade_testkit::until;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

fn sbom(components: &str) -> String {
    format!(r#"{{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{components}]}}"#)
}

#[test]
fn documents_that_are_odd_are_read_or_refused() {
    let lab = Lab::new();
    let nested = (0..9000).fold(String::new(), |inner, _| format!(r#"{{"type": "library", "name": "x", "components": [{inner}]}}"#));
    let ring: Vec<String> = (0..50_000).map(|n| format!(r#"{{"ref": "r{n}", "dependsOn": ["r{}", "r{n}"]}}"#, (n + 1) % 50_000)).collect();
    let one = r#"{"type": "library", "name": "lodash", "version": "4.17.20", "purl": "pkg:npm/lodash@4.17.20"}"#;
    let ring = sbom(one).replacen("\"components\"", &format!("\"dependencies\": [{}], \"components\"", ring.join(",")), 1);
    let long = format!(r#"{{"type": "library", "name": "long", "version": "{0}", "purl": "pkg:npm/long@{0}"}}"#, "9".repeat(1 << 20));
    let odd = r#"{"type": "library", "name": "odd", "purl": "pkg:%00/%00"}, {"type": 7, "name": []}, {"type": "library", "purl": "pkg:npm/a%00b@1"}"#;
    for (document, exit, said) in [
        (nested.as_str(), 3, "no bill of materials"),
        (&sbom(&nested), 3, "error[E0317]"),
        (&ring, 0, "CVE-2021-23337"),
        (&sbom(&format!("{one}, {long}")), 4, "CVE-2021-23337"),
        (&sbom(&format!("{one}, {odd}")), 4, "CVE-2021-23337"),
        ("", 3, "is an empty file"),
        ("{}", 3, "error[E0317]"),
        ("{\"bomFormat\": \"CycloneDX\", \"specVersion\": \"1.6\"", 3, "error[E0317]"),
        (&sbom(""), 5, "bom.json: the document names no package"),
    ] {
        std::fs::write(lab.path("bom.json"), document).unwrap();
        let transcript = lab.transcript(&["sbom", "bom.json"]);
        assert!(transcript.contains(said) && transcript.ends_with(&format!("exit {exit}")), "{said}: {transcript:.600}");
        assert!(!transcript.contains('\0'));
    }
    std::fs::write(lab.path("bom.json"), [0xff; 5000]).unwrap();
    assert!(lab.transcript(&["sbom", "bom.json"]).contains("neither CycloneDX nor SPDX"));
    assert!(lab.transcript(&["sbom", "."]).contains("error[E03"));
}

/// As many packages as a document may have are read, and the one too many is said.
#[test]
fn a_million_packages_are_read_and_no_more() {
    let lab = Lab::new();
    let lodash = r#"{"type": "library", "name": "lodash", "version": "4.17.20", "purl": "pkg:npm/lodash@4.17.20"}"#;
    let mut document = std::io::BufWriter::new(std::fs::File::create(lab.path("bom.json")).unwrap());
    // What the document is comes last.
    write!(document, r#"{{"components": [{lodash}"#).unwrap();
    for number in 1..=1_000_000 {
        write!(document, ",\n{{\"type\":\"library\",\"purl\":\"pkg:npm/p{number}@1\"}}").unwrap();
    }
    write!(document, r#"], "specVersion": "1.6", "bomFormat": "CycloneDX"}}"#).unwrap();
    drop(document);
    let transcript = lab.transcript(&["sbom", "bom.json"]);
    for said in ["1000000 packages", "CVE-2021-23337", "more than 1000000 packages", "exit 4"] {
        assert!(transcript.contains(said), "{said}: {transcript:.600}");
    }
}

/// A package may be called anything; what it is called never becomes markup, a formula or a command.
#[test]
fn names_from_outside_are_data_in_every_format() {
    let lab = Lab::new();
    let name = r"=cmd|' /C calc'!A0<script>alert(1)</script>\u001b]0;x\u0007\u202e";
    // Known to be vulnerable under that very name.
    let record = format!(
        r#"{{"id": "GHSA-x", "modified": "2024-01-01T00:00:00Z", "summary": "<img src=x onerror=alert(1)>|[x](javascript:alert(1))\u001b[2J",
        "references": [{{"type": "WEB", "url": "javascript:alert(1)"}}],
        "affected": [{{"package": {{"ecosystem": "npm", "name": "{name}"}}, "ranges": [{{"type": "SEMVER", "events": [{{"introduced": "0"}}]}}]}}]}}"#
    );
    std::fs::write(lab.path("record.json"), record).unwrap();
    assert!(lab.transcript(&["db", "import", "record.json"]).ends_with("exit 0"));
    std::fs::create_dir_all(lab.path("app/node_modules/x")).unwrap();
    std::fs::write(lab.path("app/node_modules/x/package.json"), format!(r#"{{"name": "{name}", "version": "1.0.0"}}"#)).unwrap();
    for format in ["table", "json", "sarif", "cyclonedx", "cyclonedx-vdr", "spdx-json", "csv", "markdown", "gitlab", "junit"] {
        let output = lab.run(&["fs", "app", "-o", format]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("GHSA-x") || matches!(format, "cyclonedx" | "spdx-json"), "{format}: {text}");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{format}: {text}");
        match format {
            "junit" => assert!(!text.contains("<script") && !text.contains("<img"), "{text}"),
            "markdown" => assert!(!text.contains("<script") && !text.contains("<img") && !text.contains("](javascript"), "{text}"),
            "csv" => assert!(text.lines().all(|line| !line.starts_with('=') && !line.contains(",=") && !line.contains(",\"=")), "{text}"),
            "table" => assert!(!text.contains('\u{202e}'), "{text}"),
            _ => assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok() && !text.contains("\"javascript:"), "{format}: {text}"),
        }
    }
    let explained = lab.transcript(&["explain", "GHSA-x", "app"]);
    assert!(!explained.contains('\u{1b}') && !explained.contains('\u{202e}'), "{explained}");
}

#[test]
fn a_scan_that_is_stopped_ends_at_once_and_leaves_nothing() {
    for (signal, name) in [(15, "TERM"), (2, "INT"), (1, "HUP")] {
        let lab = Lab::new();
        std::fs::create_dir(lab.path("tmp")).unwrap();
        // A document that never ends: the worker waits for the rest of it.
        let mut child = lab
            .lestrade_that_can_be_stopped()
            .args(["sbom", "-"])
            .env("TMPDIR", lab.path("tmp"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(b"{\"bomFormat\": \"CycloneDX\",").unwrap();
        let workers = || {
            let listed = Command::new("ps").args(["--no-headers", "-o", "pid,args", "--ppid", &child.id().to_string()]).output().unwrap();
            let text = String::from_utf8(listed.stdout).unwrap();
            text.lines()
                .filter(|line| line.contains(" worker "))
                .filter_map(|line| line.split_whitespace().next()?.parse().ok())
                .collect::<Vec<u32>>()
        };
        let found = until("a worker", PATIENCE, || Some(workers()).filter(|found| !found.is_empty())).unwrap();
        assert!(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success());
        let status = child.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(signal), "a shell calls it {}", 128 + signal);
        // Its number may be another's by now.
        let works = |pid: &u32| {
            std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.split(|b| *b == 0).any(|word| word == b"worker"))
        };
        let gone = || !found.iter().any(works);
        until("the worker's end", PATIENCE, || gone().then_some(())).unwrap();
        assert_eq!(std::fs::read_dir(lab.path("tmp")).unwrap().count(), 0);
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let lab = Lab::new();
    std::fs::create_dir_all(lab.path("app")).unwrap();
    let pins: String = (0..20_000).map(|n| format!("package-{n}==1.0\n")).collect();
    std::fs::write(lab.path("app/requirements.txt"), pins).unwrap();
    let mut child = lab.lestrade().args(["fs", "app", "-o", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 10]).unwrap();
    drop(out);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(5), ""));
}

/// Rows of configuration: what is wrong in it is said, and never followed half.
#[test]
fn configuration_that_is_wrong_is_refused() {
    let lab = Lab::new();
    for (content, code) in
        [("offlin = true\n", "E0210"), ("offline = \"perhaps\"\n", "E0210"), ("registry-interval = \"5m\"\n", "E0210"), ("[", "E0210")]
    {
        std::fs::write(lab.path("lestrade.toml"), content).unwrap();
        let said = lab.transcript(&["config", "show"]);
        assert!(said.contains(code) && said.ends_with("exit 2"), "{content}: {said}");
    }
    std::fs::remove_file(lab.path("lestrade.toml")).unwrap();
    let output = lab.lestrade().args(["config", "show"]).env("LESTRADE_OFLINE", "true").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean 'offline'?"));
}
