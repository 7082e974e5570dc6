//! `lestrade scan` and `lestrade db`, as a user sees them.

use crate::lab::{Lab, built_once, fixture};
use lestrade_testkit::{Layer, TestImage, debian_root, missing};
use serde_json::Value;

const OS: (&str, &str) = ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n");
const STATUS: (&str, &str) = (
    "var/lib/dpkg/status",
    "Package: libssl3\nStatus: install ok installed\nSource: openssl\nVersion: 3.0.9-1\nArchitecture: amd64\n\n\
     Package: libc6\nStatus: install ok installed\nSource: glibc\nVersion: 2.36-9\nArchitecture: amd64\n",
);
const LODASH: (&str, &str) = ("app/node_modules/lodash/package.json", r#"{"name": "lodash", "version": "4.17.20"}"#);

fn image(layers: &[&[(&str, &str)]]) -> TestImage {
    TestImage::new(layers.iter().map(|files| Layer::of_files(files).unwrap()).collect()).unwrap()
}

fn demo() -> TestImage {
    image(&[&[OS, STATUS], &[LODASH, ("app/requirements.txt", "PyYAML==5.3.1\n")]])
}

fn json(lab: &Lab, arguments: &[&str]) -> Value {
    serde_json::from_slice(&lab.run(arguments).stdout).unwrap()
}

#[test]
fn the_table_of_a_docker_archive() {
    let lab = Lab::new();
    demo().write_docker_archive(&lab.path("demo.tar")).unwrap();
    insta::assert_snapshot!(lab.transcript(&["scan", "image", "./demo.tar"]));
}

#[test]
fn every_form_of_an_image_has_the_same_findings() {
    let lab = Lab::new();
    demo().write_docker_archive(&lab.path("demo.tar")).unwrap();
    demo().write_oci_layout(&lab.path("layout")).unwrap();
    let status =
        std::process::Command::new("tar").arg("-C").arg(lab.path("layout")).arg("-cf").arg(lab.path("layout.tar")).arg(".").status();
    assert!(status.unwrap().success());
    let ids = |path: &str| -> Vec<String> {
        let report = json(&lab, &["scan", "image", path, "-o", "json"]);
        assert_eq!(report["completeness"], "complete", "{report:#}");
        report["findings"].as_array().unwrap().iter().map(|f| f["id"].as_str().unwrap().to_owned()).collect()
    };
    let docker = ids("./demo.tar");
    assert!(docker.len() >= 6, "{docker:?}");
    assert_eq!(docker, ids("./layout"));
    assert_eq!(docker, ids("./layout.tar"));
}

#[test]
fn a_directory_without_intelligence_and_with_it() {
    let lab = Lab::new();
    let root = lab.path("root");
    for (path, content) in [OS, STATUS, LODASH] {
        std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        std::fs::write(root.join(path), content).unwrap();
    }
    assert!(lab.transcript(&["scan", "rootfs", "root"]).contains("only the starter set"));
    assert!(lab.transcript(&["db", "status"]).ends_with("exit 5"));
    let imported = lab.transcript(&["db", "import", fixture("coreutils.json").to_str().unwrap(), fixture("lodash.json").to_str().unwrap()]);
    assert_eq!(imported, "2 records read · generation 1\nexit 0");
    let again = lab.transcript(&["db", "import", fixture("lodash.json").to_str().unwrap()]);
    assert_eq!(again, "1 records read · generation 2 · 0 added, 0 changed, 0 removed\nexit 0");
    let report = json(&lab, &["scan", "rootfs", "root", "-o", "json"]);
    assert_eq!(report["summary"]["findings"], 1);
    assert_eq!(report["findings"][0]["packages"][0]["purl"], "pkg:npm/lodash@4.17.20");
    assert_eq!(report["findings"][0]["why"], "CVSS 3.1 base score 7.2 of GITHUB");
}

#[test]
fn gates_and_exit_codes() {
    let lab = Lab::new();
    demo().write_docker_archive(&lab.path("demo.tar")).unwrap();
    image(&[&[LODASH, ("app/package-lock.json", "{\"packages\": {")]]).write_docker_archive(&lab.path("broken.tar")).unwrap();
    image(&[&[("app/node_modules/x/package.json", r#"{"name": "x", "version": "1.0.0"}"#)]])
        .write_docker_archive(&lab.path("clean.tar"))
        .unwrap();
    let exit = |arguments: &[&str]| lab.run(arguments).status.code().unwrap();
    // Only the starter set: it finds, and does not call anything clean or hold a gate.
    assert_eq!(exit(&["scan", "image", "demo.tar"]), 0);
    assert_eq!(exit(&["scan", "image", "clean.tar"]), 5);
    assert_eq!(exit(&["scan", "image", "demo.tar", "--fail-on", "low"]), 5);
    assert_eq!(exit(&["scan", "image", "broken.tar"]), 4);
    lab.run(&["db", "import", fixture("lodash.json").to_str().unwrap()]);
    assert_eq!(exit(&["scan", "image", "clean.tar"]), 0);
    assert_eq!(exit(&["scan", "image", "demo.tar"]), 4, "of Debian and PyPI nothing is known: that is not clean");
    for record in ["coreutils.json", "requests.json"] {
        lab.run(&["db", "import", fixture(record).to_str().unwrap()]);
    }
    assert_eq!(exit(&["scan", "image", "demo.tar", "--fail-on", "severity>=high"]), 1);
    assert_eq!(exit(&["scan", "image", "demo.tar", "--fail-on", "critical"]), 0);
    assert_eq!(
        exit(&["scan", "image", "demo.tar", "--fail-on", "fixable", "--min-severity", "critical"]),
        1,
        "a filter hides from the eye only"
    );
    assert_eq!(exit(&["scan", "image", "broken.tar", "--fail-on", "high"]), 1);
    assert_eq!(exit(&["scan", "image", "broken.tar", "--allow-incomplete"]), 0);
    assert_eq!(exit(&["scan", "image", "demo.tar", "--max-db-age", "1"]), 0);
    assert_eq!(exit(&["scan", "image", "demo.tar", "--fail-on", "whatever"]), 2);
}

#[test]
fn what_could_not_be_read_is_said() {
    let lab = Lab::new();
    image(&[&[LODASH, ("app/package-lock.json", "{\"packages\": {")]]).write_docker_archive(&lab.path("broken.tar")).unwrap();
    let said = lab.transcript(&["scan", "image", "broken.tar"]);
    assert!(said.contains("! NOT covered: app/package-lock.json: the JSON ends at line 1 column 14") && said.ends_with("exit 4"), "{said}");
}

#[test]
fn errors_are_three_lines_at_most() {
    let lab = Lab::new();
    std::fs::write(lab.path("empty.tar"), "").unwrap();
    std::fs::write(lab.path("random.tar"), [7; 4000]).unwrap();
    std::fs::write(lab.path("archive.tar"), [&[0x1f, 0x8b][..], &[0; 600]].concat()).unwrap();
    std::fs::write(lab.path("lestrade.toml"), "regoin = \"eu-west-1\"\n").unwrap();
    let typo = lab.transcript(&["db", "status"]);
    std::fs::write(lab.path("lestrade.toml"), "store = \"postgres://me:hunter2@localhost/x\"\n").unwrap();
    let secret = lab.transcript(&["db", "status"]);
    std::fs::remove_file(lab.path("lestrade.toml")).unwrap();
    demo().write_docker_archive(&lab.path("whole.tar")).unwrap();
    let whole = std::fs::read(lab.path("whole.tar")).unwrap();
    std::fs::write(lab.path("cut.tar"), &whole[..3000]).unwrap();
    let all: Vec<String> = [
        &["scan", "image", "/nowhere/x.tar"][..],
        &["scan", "image", "empty.tar"],
        &["scan", "image", "random.tar"],
        &["scan", "image", "archive.tar"],
        &["scan", "image", "cut.tar"],
        &["scan", "rootfs", "empty.tar"],
        &["scan", "image", "127.0.0.1:1/app:v1"],
        &["scan", "image", "not a reference"],
        &["scna"],
        &["scan", "rootfs", "--colour"],
        &["serve", "--set", "listen=0.0.0.0:80"],
    ]
    .iter()
    .map(|arguments| format!("$ lestrade {}\n{}", arguments.join(" "), lab.transcript(arguments)))
    .chain([format!("regoin\n{typo}"), format!("a secret that others can read\n{secret}")])
    .collect();
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn names_from_outside_do_not_reach_the_terminal() {
    let lab = Lab::new();
    let hostile = r#"{"name": "\u001b[2Jgone\u202e", "version": "1.0.0"}"#;
    image(&[&[("node_modules/x/package.json", hostile), ("node_modules/y/package.json", "{\u{1b}[31m")]])
        .write_docker_archive(&lab.path("x.tar"))
        .unwrap();
    let said = lab.transcript(&["scan", "image", "x.tar"]);
    assert!(!said.contains('\u{1b}') && !said.contains('\u{202e}'), "{said}");
}

#[test]
fn layers_that_lie_are_refused() {
    let lab = Lab::new();
    demo().write_oci_layout(&lab.path("layout")).unwrap();
    let largest = std::fs::read_dir(lab.path("layout/blobs/sha256"))
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .find(|p| std::fs::read(p).unwrap().starts_with(&[0x1f, 0x8b]));
    let path = largest.unwrap();
    let other = Layer::of_files(&[("innocent", "x")]).unwrap();
    let other = TestImage::new(vec![other]).unwrap();
    other.write_oci_layout(&lab.path("other")).unwrap();
    let blob = std::fs::read_dir(lab.path("other/blobs/sha256"))
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .find(|p| std::fs::read(p).unwrap().starts_with(&[0x1f, 0x8b]));
    std::fs::copy(blob.unwrap(), path).unwrap();
    let said = lab.transcript(&["scan", "image", "layout"]);
    assert!(said.contains("it is refused") && said.ends_with("exit 3"), "{said}");
}

/// A real Debian, from the distribution's own packages, against fixed versions of real advisories.
#[test]
fn a_real_debian_is_read_whole() {
    let Some(root) = debian_root(&built_once()).unwrap() else { return missing("mmdebstrap") };
    let lab = Lab::new();
    let image = TestImage::new(vec![Layer::of_tar(std::fs::read(root).unwrap()).unwrap()]).unwrap();
    image.write_oci_layout(&lab.path("debian")).unwrap();
    let report = json(&lab, &["scan", "image", "./debian", "-o", "json"]);
    assert_eq!(report["target"]["os"]["id"], "debian");
    assert_eq!(report["completeness"], "complete");
    assert!(report["summary"]["components"].as_u64().unwrap() > 50, "{}", report["summary"]);
}

#[test]
fn the_sarif_log_is_valid_and_says_what_is_not_covered() {
    let lab = Lab::new();
    image(&[&[OS, STATUS, LODASH, ("app/package-lock.json", "{")]]).write_oci_layout(&lab.path("layout")).unwrap();
    let log = lab.run(&["scan", "image", "./layout", "-o", "sarif"]).stdout;
    let run = &serde_json::from_slice::<Value>(&log).unwrap()["runs"][0];
    assert_eq!(run["invocations"][0]["executionSuccessful"], false);
    assert!(run["results"].as_array().unwrap().len() >= 5);
    assert_eq!(run["results"][0]["ruleId"], run["tool"]["driver"]["rules"][0]["id"]);
    let schemas =
        std::env::var("LESTRADE_EVALS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/shared/evals").into());
    let schema = std::path::Path::new(&schemas).join("schemas/sarif-schema-2.1.0.json");
    if !schema.exists() {
        println!("LOUD: the schema of SARIF is not laid out; the log was not validated");
        return;
    }
    std::fs::write(lab.path("log.sarif"), &log).unwrap();
    let script = "
import json, sys, jsonschema
schema, log = (json.load(open(path)) for path in sys.argv[1:])
errors = list(jsonschema.Draft7Validator(schema).iter_errors(log))
sys.exit(str(errors[0])[:400] if errors else 0)
";
    let output =
        std::process::Command::new("python3").args(["-W", "ignore", "-c", script]).arg(schema).arg(lab.path("log.sarif")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A zip, as python's own library writes one.
pub(crate) fn zip(lab: &Lab, name: &str, files: &[(&str, &str)]) {
    let listed: Vec<Value> = files.iter().map(|(name, content)| serde_json::json!([name, content])).collect();
    let script = "
import json, sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as archive:
    for name, content in json.loads(sys.argv[2]):
        archive.writestr(name, content)
";
    let made = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(lab.path(name))
        .arg(Value::from(listed).to_string())
        .status()
        .unwrap();
    assert!(made.success());
}

#[test]
fn a_functions_package_is_read_as_it_lies_there() {
    let lab = Lab::new();
    let lodash = ("node_modules/lodash/package.json", LODASH.1);
    let metadata = ("python/PyYAML-5.3.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: PyYAML\nVersion: 5.3.1\n\n");
    zip(&lab, "function.zip", &[("index.js", "exports.handler = () => {}"), lodash, metadata]);
    zip(
        &lab,
        "inner.jar",
        &[(
            "META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties",
            "groupId=org.apache.logging.log4j\nartifactId=log4j-core\nversion=2.14.1\n",
        )],
    );
    let report = json(&lab, &["scan", "function", "function.zip", "-o", "json"]);
    assert_eq!((&report["completeness"], &report["target"]["kind"]), (&"complete".into(), &"function".into()));
    let ids: Vec<&str> = report["findings"].as_array().unwrap().iter().map(|f| f["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"CVE-2021-23337") && ids.contains(&"CVE-2020-14343"), "{ids:?}");
    // Java's packages are archives themselves.
    std::fs::create_dir(lab.path("app")).unwrap();
    std::fs::rename(lab.path("inner.jar"), lab.path("app/renamed.jar")).unwrap();
    let report = json(&lab, &["fs", "app", "-o", "json"]);
    assert!(report["findings"].as_array().unwrap().iter().any(|finding| finding["id"] == "CVE-2021-44228"), "{report:#}");
    for (name, content, code) in
        [("empty.zip", &b""[..], "E0303"), ("random.zip", &[7; 4000], "E0318"), ("cut.zip", b"PK\x03\x04", "E0318")]
    {
        std::fs::write(lab.path(name), content).unwrap();
        let said = lab.transcript(&["function", name]);
        assert!(said.contains(code) && said.ends_with("exit 3"), "{said}");
    }
}

#[test]
fn large_files_are_read_without_holding_them() {
    let lab = Lab::new();
    // An archive larger than what is held in memory, with what counts at its end.
    let script = "
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_STORED) as archive:
    archive.writestr('big', os.urandom(40 << 20))
    archive.writestr('META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties',
        'groupId=org.apache.logging.log4j\\nartifactId=log4j-core\\nversion=2.14.1\\n')
";
    std::fs::create_dir(lab.path("app")).unwrap();
    assert!(std::process::Command::new("python3").args(["-c", script]).arg(lab.path("app/big.jar")).status().unwrap().success());
    let report = json(&lab, &["fs", "app", "-o", "json"]);
    assert!(report["findings"].as_array().unwrap().iter().any(|finding| finding["id"] == "CVE-2021-44228"), "{report:#}");
}
