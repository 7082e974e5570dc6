//! The `inspector2` API as its unmodified clients meet it, each at a pinned version in an environment of its own; `../clients` says what
//! they ask.

use crate::aws::World;
use crate::lab::{PATIENCE, Serving};
use crate::watch::{machine, sbom};
use lestrade_testkit::{missing, until};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where what the clients ask lies.
fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// The page that says what is tried.
fn page() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/clients.md")).unwrap()
}

/// The environment of a client, which is made once; none where it cannot be.
fn environment(client: &str) -> Option<PathBuf> {
    let folder = env!("CARGO_TARGET_TMPDIR");
    let made = Command::new(scripts().join("install")).args([client, folder]).status();
    made.is_ok_and(|status| status.success()).then(|| Path::new(folder).join(format!("client-{client}")))
}

/// A server with something of every kind: instances, functions and images of AWS, a machine, files, a bill of materials; findings that are
/// active, suppressed and closed; two members; filters; keys of every role.
struct Seeded {
    world: World,
    serving: Serving,
    facts: Value,
}

impl Seeded {
    /// None where something that it is built of is not installed, which is told.
    fn start() -> Option<Self> {
        let world = World::build()?;
        let lab = &world.lab;
        let import = |file: &str| assert!(lab.run(&["db", "import", file]).status.success(), "{file}");
        import(crate::lab::fixture("coreutils.json").to_str()?);
        lab.write("drop/old.cdx.json", sbom("4.17.19"));
        let mut settings = machine(lab);
        settings.push("region=eu-west-1".to_owned());
        settings.push("aws-agentless=false".to_owned());
        // All is there from the start; while pages are compared, nobody looks again.
        settings.extend(["folder-interval=3600", "host-interval=3600"].map(str::to_owned));
        settings.push(format!("folders={}", lab.path("drop").display()));
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let serving = world.serve(&settings);
        lab.write("bom.json", sbom("4.17.20"));
        let ok = |arguments: &[&str]| {
            let output = lab.run(arguments);
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        for name in ["shop/web", "shop/api", "shop/jobs"] {
            ok(&["sbom", "push", "bom.json", "--name", name]);
        }
        // One is taken back, and its finding is closed.
        ok(&["sbom", "remove", "shop/jobs"]);
        let accept = ["--reason", "tested", "--owner", "ann", "--expires", "2999-01-01"];
        let hide =
            ["suppress", "create", "accepted", "--criteria", r#"{"resourceId": [{"comparison": "EQUALS", "value": "sbom/shop/api"}]}"#];
        ok(&[&hide[..], &accept].concat());
        let saved = |name: &str, severity: &str| {
            let criteria = format!("severity=[{{comparison=EQUALS,value={severity}}}]");
            serving
                .aws(&["--region", "eu-west-1", "create-filter", "--name", name, "--action", "NONE", "--filter-criteria", &criteria])
                .unwrap();
        };
        saved("severe", "CRITICAL");
        saved("high", "HIGH");
        let key = |name: &str, role: &str| -> Value {
            let said = ok(&["keys", "create", name, "--role", role, "--set", "region=eu-west-1"]);
            let part = |name: &str| said.lines().find_map(|line| line.strip_prefix(&format!("export {name}="))).unwrap().to_owned();
            json!([part("AWS_ACCESS_KEY_ID"), part("AWS_SECRET_ACCESS_KEY")])
        };
        let keys: serde_json::Map<String, Value> =
            [("viewer", "viewer"), ("triager", "triager"), ("operator", "operator"), ("admin", "admin"), ("hasty", "viewer")]
                .map(|(name, role)| (name.to_owned(), key(name, role)))
                .into_iter()
                .collect();
        let state = lab.path(".local/state/lestrade");
        let facts = json!({
            "endpoint": serving.endpoint(),
            "region": "eu-west-1",
            "account": "000000000000",
            "watched": "123456789012",
            "member": "222222222222",
            "keys": keys,
            "image": format!("arn:aws:ecr:eu-west-1:123456789012:repository/shop/web/{}", world.image),
            "exports": state.join("exports"),
            "store": state.join("state.db"),
        });
        lab.write("facts.json", facts.to_string());
        // Active are those of the host, the file, the bill, the image, the function, and of the instance a package and a port.
        let mut last = Vec::new();
        let settled = until("the estate is known", PATIENCE, || {
            let listed = serving.aws(&["--region", "eu-west-1", "list-findings"]).ok()?;
            last = listed["findings"].as_array()?.iter().filter_map(|finding| finding["status"].as_str().map(str::to_owned)).collect();
            let of = |status: &str| last.iter().filter(|other| *other == status).count();
            let is_known = of("ACTIVE") == 7 && of("SUPPRESSED") == 1 && of("CLOSED") == 1;
            // The network of an account is looked at after all else in it.
            let covered = serving.aws(&["--region", "eu-west-1", "list-coverage"]).ok()?;
            let covered = covered["coveredResources"].as_array()?.iter().filter(|of| of["scanType"] == "NETWORK");
            let reached: BTreeSet<&str> = covered.filter_map(|of| of["resourceId"].as_str()).collect();
            (is_known && world.instances.iter().all(|id| reached.contains(id.as_str()))).then_some(())
        });
        assert!(settled.is_ok(), "{last:?}; the server said: {}", serving.warnings());
        Some(Self { world, serving, facts })
    }

    /// A program that knows of the server what its facts say, and nothing of this machine's surroundings.
    fn client(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        let admin = |part: usize| self.facts["keys"]["admin"][part].as_str().unwrap();
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.world.lab.path(""))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("LESTRADE_FACTS", self.world.lab.path("facts.json"))
            .env("AWS_ACCESS_KEY_ID", admin(0))
            .env("AWS_SECRET_ACCESS_KEY", admin(1))
            .env("AWS_DEFAULT_REGION", "eu-west-1")
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ENDPOINT_URL", self.serving.endpoint())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_PAGER", "")
            .current_dir(self.world.lab.path(""));
        command
    }
}

/// What a client said, when it ended well and said what it tried; each line is shown where the test's output is.
fn said(output: &Output) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {text}", output.status);
    text
}

#[test]
fn boto3_calls_everything_and_every_answer_is_what_the_model_says() {
    let Some(home) = environment("boto") else { return missing("boto3 in an environment of its own") };
    let Some(mut seeded) = Seeded::start() else { return };
    let output = seeded.client(home.join("bin/python")).arg(scripts().join("boto/main.py")).output().unwrap();
    let text = said(&output);
    for subject in [
        "operations: 84 operations",
        "pages: 19 paginators",
        "findings: ",
        "coverage: ",
        "reports: ",
        "terraform: ",
        "errors: ",
        "anything: ",
    ] {
        assert!(text.contains(subject), "{subject}: {text}");
    }
    let errors = text.split("errors: ").nth(1).and_then(|rest| rest.split_once(" declared"));
    let (provoked, declared) = errors.and_then(|(numbers, _)| numbers.split_once(" of ")).unwrap();
    assert!(page().contains(&format!("Of {declared} errors that operations declare, {provoked} are provoked.")), "{text}");
    assert!(!seeded.serving.has_ended());
}

#[test]
fn the_aws_cli_knows_every_subcommand_and_every_way_to_call_it() {
    let Some(home) = environment("awscli") else { return missing("the AWS CLI in an environment of its own") };
    let Some(mut seeded) = Seeded::start() else { return };
    let text = said(&seeded.client(home.join("bin/python")).arg(scripts().join("awscli/main.py")).output().unwrap());
    assert!(text.contains(" subcommands, "), "{text}");
    // And once as the program that it is.
    let mut command = seeded.client(home.join("bin/aws"));
    let text = said(&command.args(["inspector2", "list-findings", "--query", "length(findings)"]).output().unwrap());
    assert_eq!(text.trim(), "9");
    assert!(!seeded.serving.has_ended());
}

#[test]
fn the_sdk_for_javascript_sends_every_command_and_knows_every_error() {
    let Some(home) = environment("sdk") else { return missing("node and npm, with the SDK for JavaScript") };
    let Some(mut seeded) = Seeded::start() else { return };
    let mut command = seeded.client("node");
    let text = said(&command.env("LESTRADE_CLIENT", home).arg(scripts().join("sdk/main.cjs")).output().unwrap());
    assert!(text.contains(" commands, "), "{text}");
    assert!(!seeded.serving.has_ended());
}

#[test]
fn cloud_custodian_finds_what_there_is() {
    let Some(home) = environment("custodian") else { return missing("Cloud Custodian in an environment of its own") };
    let Some(seeded) = Seeded::start() else { return };
    let mut command = seeded.client(home.join("bin/custodian"));
    command.args(["run", "--region", "eu-west-1", "--cache-period", "0", "--output-dir", "found"]);
    said(&command.arg(scripts().join("custodian/policies.yml")).output().unwrap());
    let listed = seeded.serving.aws(&["--region", "eu-west-1", "list-findings"]).unwrap();
    let listed = listed["findings"].as_array().unwrap();
    let mut compared = 0;
    let mut compare = |policy: &str, admits: &dyn Fn(&Value) -> bool| {
        let found = std::fs::read(seeded.world.lab.path(&format!("found/{policy}/resources.json"))).unwrap();
        let found: Vec<Value> = serde_json::from_slice(&found).unwrap();
        let arns = |findings: &[&Value]| -> BTreeSet<String> { findings.iter().map(|f| f["findingArn"].to_string()).collect() };
        let expected: Vec<&Value> = listed.iter().filter(|finding| admits(finding)).collect();
        assert!(!expected.is_empty(), "{policy}");
        assert_eq!(arns(&found.iter().collect::<Vec<_>>()), arns(&expected), "{policy}");
        compared += expected.len();
    };
    let severe = |finding: &Value| finding["severity"] == "HIGH" || finding["severity"] == "CRITICAL";
    compare("by-default", &|finding| finding["status"] == "ACTIVE");
    compare("by-query", &|finding| finding["type"] == "PACKAGE_VULNERABILITY" && severe(finding));
    compare("by-filter", &|finding| finding["resources"][0]["type"] == "AWS_LAMBDA_FUNCTION");
    assert!(compared > 8, "{compared}");
}

/// What Prowler finds of Inspector as `status check`, with how often; of everything else it asks another endpoint.
fn prowler(seeded: &Seeded, home: &Path, others: &str) -> BTreeMap<String, usize> {
    let mut command = seeded.client(home.join("bin/prowler"));
    command
        .env("AWS_ENDPOINT_URL", others)
        .env("AWS_ENDPOINT_URL_INSPECTOR2", seeded.serving.endpoint())
        .args(["aws", "--service", "inspector2", "--region", "eu-west-1", "--ignore-exit-code-3", "--no-banner", "--no-color"])
        .args(["--output-formats", "json-ocsf", "--output-directory", "found", "--output-filename", "prowler"]);
    let text = said(&command.output().unwrap());
    assert!(!text.contains("inspector2_service"), "Inspector's answers were no answers to it: {text}");
    let found = std::fs::read(seeded.world.lab.path("found/prowler.ocsf.json")).unwrap();
    std::fs::remove_file(seeded.world.lab.path("found/prowler.ocsf.json")).unwrap();
    let mut checks = BTreeMap::new();
    for finding in serde_json::from_slice::<Value>(&found).unwrap().as_array().unwrap() {
        let text = |pointer: &str| finding.pointer(pointer).and_then(Value::as_str).unwrap_or("?").to_owned();
        *checks.entry(format!("{} {}", text("/status_code"), text("/metadata/event_code"))).or_default() += 1;
    }
    checks
}

#[test]
#[ignore = "its environment has two gigabytes of packages: CONTRIBUTING.md says how to try it"]
fn prowler_checks_what_there_is() {
    let Some(home) = environment("prowler") else { return missing("Prowler in an environment of its own") };
    let Some(seeded) = Seeded::start() else { return };
    let expected = |differing: &[(&str, usize)]| -> BTreeMap<String, usize> {
        let alike = [
            ("FAIL inspector2_active_findings_exist", 1),
            ("PASS inspector2_active_findings_within_max_age", 1),
            ("PASS inspector2_active_findings_kev_within_due_date", 1),
            ("PASS inspector2_active_findings_no_known_exploited_vulnerabilities", 1),
        ];
        alike.iter().chain(differing).map(|(check, times)| ((*check).to_owned(), *times)).collect()
    };
    // As a user runs it who has no AWS: the account of the key, with the machine, the file and two bills of materials.
    let own = [
        ("PASS inspector2_is_enabled", 1),
        ("PASS inspector2_coverage_scan_status_active", 4),
        ("PASS inspector2_coverage_recently_scanned", 4),
    ];
    assert_eq!(prowler(&seeded, &home, seeded.serving.endpoint()), expected(&own));
    // The account that is watched, of which moto tells all but what Inspector does. Code of functions is not looked at, and one instance
    // is not managed.
    let watched = [
        ("FAIL inspector2_is_enabled", 1),
        ("FAIL inspector2_coverage_scan_status_active", 1),
        ("PASS inspector2_coverage_scan_status_active", 5),
        ("PASS inspector2_coverage_recently_scanned", 5),
    ];
    assert_eq!(prowler(&seeded, &home, seeded.world.moto.endpoint()), expected(&watched));
}

/// The page on clients names what is pinned.
#[test]
fn the_reference_of_clients_has_their_versions() {
    let page = page();
    for (client, package) in [("boto", "botocore"), ("boto", "boto3"), ("awscli", "awscli"), ("custodian", "c7n"), ("prowler", "prowler")] {
        let pins = std::fs::read_to_string(scripts().join(client).join("requirements.txt")).unwrap();
        let version = pins.lines().find_map(|line| line.strip_prefix(&format!("{package}=="))).unwrap();
        assert!(page.contains(&format!("`{package}` {version}")), "{package} {version}");
    }
    let pins: Value = serde_json::from_str(&std::fs::read_to_string(scripts().join("sdk/package.json")).unwrap()).unwrap();
    for (package, version) in pins["dependencies"].as_object().unwrap() {
        assert!(page.contains(&format!("`{package}` {}", version.as_str().unwrap())), "{package} {version}");
    }
}
