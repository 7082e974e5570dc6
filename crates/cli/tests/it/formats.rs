//! Every format that a scan is written in, judged by those who defined it; and bills of materials, read back.

use crate::lab::Lab;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const FILES: [(&str, &str); 6] = [
    // No package URL can be written for it: a UUID would be missing.
    (
        "app/Manifest.toml",
        "manifest_format = \"2.0\"\n\n[[deps.HTTP]]\nuuid = \"cd3eb016-35fb-5094-929b-558a96fad6f3\"\nversion = \"1.0.0\"\n",
    ),
    ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
    (
        "var/lib/dpkg/status",
        "Package: libssl3\nStatus: install ok installed\nSource: openssl\nVersion: 3.0.9-1\nArchitecture: amd64\n\n\
         Package: libc6\nStatus: install ok installed\nSource: glibc (2.36-9)\nVersion: 2.36-9+b1\nArchitecture: amd64\n\n\
         Package: python3-yaml\nStatus: install ok installed\nSource: pyyaml\nVersion: 5.3.1-1\nArchitecture: amd64\n",
    ),
    ("var/lib/dpkg/info/python3-yaml.list", "/usr/lib/python3/dist-packages/PyYAML-5.3.1.egg-info\n"),
    ("usr/lib/python3/dist-packages/PyYAML-5.3.1.egg-info", "Metadata-Version: 1.1\nName: PyYAML\nVersion: 5.3.1\n\n"),
    ("app/node_modules/lodash/package.json", r#"{"name": "lodash", "version": "4.17.20"}"#),
];

/// A lab with a small system in `root`.
fn lab() -> Lab {
    let lab = Lab::new();
    for (path, content) in FILES {
        let path = lab.path("root").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    lab
}

fn json(lab: &Lab, arguments: &[&str]) -> Value {
    let output = lab.run(arguments);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

#[allow(clippy::print_stdout, reason = "what was not compared is said loudly")]
fn schemas(name: &str) -> Option<PathBuf> {
    let root = std::env::var("LESTRADE_EVALS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/shared/evals").into());
    let path = Path::new(&root).join("schemas").join(name);
    if !path.exists() {
        println!("LOUD: {name} is not laid out; nothing was validated");
        return None;
    }
    Some(path)
}

fn python(script: &str, arguments: &[&Path]) {
    let output = Command::new("python3").args(["-W", "ignore", "-c", script]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// By the official schemas, with the reference validator.
#[test]
fn cyclonedx_of_every_version_is_valid_and_the_same_each_time() {
    let lab = lab();
    let Some(folder) = schemas("cyclonedx") else { return };
    let script = "
import json, pathlib, sys
import jsonschema
folder, bom = pathlib.Path(sys.argv[1]), json.load(open(sys.argv[2]))
documents = {p.name: json.load(open(p)) for p in folder.glob('*.json')}
schema = documents['bom-' + bom['specVersion'] + '.schema.json']
store = {}
for name, document in documents.items():
    store['http://cyclonedx.org/schema/' + name] = document
    store[document.get('$id', name)] = document
resolver = jsonschema.RefResolver('http://cyclonedx.org/schema/bom-' + bom['specVersion'] + '.schema.json', schema, store=store)
errors = list(jsonschema.Draft7Validator(schema, resolver=resolver).iter_errors(bom))
sys.exit(str(errors[0])[:400] if errors else 0)
";
    std::fs::write(lab.path("ignore.toml"), "[[ignore]]\nid = \"CVE-2021-23337\"\nreason = \"no\"\nexpires = 2999-01-01\n").unwrap();
    for version in ["1.4", "1.5", "1.6"] {
        for format in ["cyclonedx", "cyclonedx-vdr"] {
            let wanted = format!("{format}@{version}");
            let arguments = ["scan", "rootfs", "root", "-o", &wanted, "--ignore-file", "ignore.toml"];
            let first = lab.run(&arguments).stdout;
            assert_eq!(first, lab.run(&arguments).stdout);
            std::fs::write(lab.path("bom.json"), &first).unwrap();
            python(script, &[&folder, &lab.path("bom.json")]);
            let bom: Value = serde_json::from_slice(&first).unwrap();
            // The system, its three packages, and three languages' packages.
            assert_eq!((bom["specVersion"].as_str(), bom["components"].as_array().unwrap().len()), (Some(version), 7));
            let states: Vec<&Value> = bom["vulnerabilities"].as_array().into_iter().flatten().map(|v| &v["analysis"]["state"]).collect();
            assert_eq!(states.contains(&&Value::from("not_affected")), format == "cyclonedx-vdr");
        }
    }
}

/// By the tools of the specification's own authors.
#[test]
fn spdx_is_valid_and_the_same_each_time() {
    let lab = lab();
    let arguments = ["scan", "rootfs", "root", "-o", "spdx-json"];
    let first = lab.run(&arguments).stdout;
    assert_eq!(first, lab.run(&arguments).stdout);
    std::fs::write(lab.path("document.spdx.json"), &first).unwrap();
    let script = "
import sys
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
errors = validate_full_spdx_document(parse_file(sys.argv[1]))
sys.exit(str(errors[0].validation_message)[:400] if errors else 0)
";
    python(script, &[&lab.path("document.spdx.json")]);
    let dated = lab.lestrade().args(arguments).env("SOURCE_DATE_EPOCH", "1700000000").output().unwrap();
    let dated: Value = serde_json::from_slice(&dated.stdout).unwrap();
    assert_eq!(dated["creationInfo"]["created"], "2023-11-14T22:13:20Z");
}

/// What was written is read back: the same components, the same findings.
#[test]
fn a_bill_of_materials_has_the_findings_of_what_it_is_of() {
    let lab = lab();
    let findings = |report: &Value| {
        let packages = |finding: &Value| -> Vec<String> {
            let packages = finding["packages"].as_array().unwrap().iter();
            packages.map(|p| format!("{} {} {} {}", p["name"], p["version"], p["fixedIn"], p["path"])).collect()
        };
        let findings = report["findings"].as_array().unwrap().iter();
        findings.map(|finding| (finding["id"].clone(), packages(finding))).collect::<Vec<_>>()
    };
    let direct = json(&lab, &["scan", "rootfs", "root", "-o", "json"]);
    assert!(findings(&direct).len() >= 4);
    for format in ["cyclonedx@1.4", "cyclonedx@1.6", "cyclonedx-vdr", "spdx-json"] {
        lab.run(&["scan", "rootfs", "root", "-o", &format!("{format}=bom.json")]);
        let read = json(&lab, &["scan", "sbom", "bom.json", "-o", "json"]);
        assert_eq!(findings(&read), findings(&direct), "{format}");
        assert_eq!(read["summary"]["components"], direct["summary"]["components"]);
        // And so do peers' spellings, a pipe, and a guess.
        let piped = Command::new("sh")
            .args(["-c", "cat bom.json | \"$0\" sbom - -o json", env!("CARGO_BIN_EXE_lestrade")])
            .current_dir(lab.path(""))
            .env("HOME", lab.path(""))
            .output()
            .unwrap();
        assert_eq!(findings(&serde_json::from_slice(&piped.stdout).unwrap()), findings(&direct));
        let same = lab.transcript(&["diff", "root", "bom.json"]);
        assert!(same.starts_with("0 new · 0 gone · 0 changed"), "{same}");
    }
}

#[test]
fn formats_for_people_and_build_servers() {
    let lab = lab();
    let said: Vec<String> = ["csv", "markdown", "junit"]
        .iter()
        .map(|format| format!("$ lestrade scan fs root -o {format}\n{}", lab.transcript(&["scan", "fs", "root", "-o", format])))
        .collect();
    insta::assert_snapshot!(said.join("\n\n"));
    let mut report = json(&lab, &["scan", "fs", "root", "-o", "gitlab"]);
    report["scan"]["start_time"] = Value::from("(now)");
    report["scan"]["end_time"] = Value::from("(now)");
    insta::assert_json_snapshot!(report);
}

#[test]
fn several_outputs_of_one_scan() {
    let lab = lab();
    let output = lab.run(&["scan", "fs", "root", "-o", "table", "-o", "json=report.json", "-f", "sarif=report.sarif"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("FIX FIRST"));
    for file in ["report.json", "report.sarif"] {
        assert!(serde_json::from_slice::<Value>(&std::fs::read(lab.path(file)).unwrap()).is_ok());
    }
    for (format, code) in [("tabel", "E0200"), ("cyclonedx@9", "E0200"), ("json=nowhere/at/all.json", "E0301")] {
        // Before anything is read: the target does not even exist.
        assert!(lab.transcript(&["scan", "fs", "missing", "-o", format]).contains(code));
    }
}
