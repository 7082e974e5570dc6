//! An estate that re-evaluates itself, as a user meets it: this machine from the first start, and the commands that ask about it.

use crate::lab::{Lab, PATIENCE, Serving, fixture, has_aws};
use crate::scan::zip;
use lestrade_testkit::{Layer, TestImage, missing, until};
use serde_json::json;

/// A Debian machine, as a folder.
pub(crate) fn machine(lab: &Lab) -> Vec<String> {
    let status = "Package: coreutils\nStatus: install ok installed\nVersion: 9.1-1\nArchitecture: amd64\n\n";
    for (path, text) in [
        ("host/etc/os-release", "ID=debian\nVERSION_ID=12\n"),
        ("host/etc/hostname", "web-1\n"),
        ("host/etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
        ("host/var/lib/dpkg/status", status),
    ] {
        lab.write(path, text);
    }
    vec!["watch-host=true".into(), "host-interval=1".into(), format!("host-root={}", lab.path("host").display())]
}

#[test]
fn this_machine_is_watched_from_the_first_start() {
    if !has_aws() {
        return missing("the AWS CLI");
    }
    let lab = Lab::new();
    let settings = machine(&lab);
    assert!(lab.run(&["db", "import", fixture("coreutils.json").to_str().unwrap()]).status.success());
    let serving = until("the server starts", PATIENCE, || Serving::start(&lab, &settings).ok()).unwrap();
    serving.until_findings(&["CVE-2016-2781 ACTIVE coreutils"]).unwrap();
    let finding = serving.aws(&["list-findings"]).unwrap()["findings"][0].clone();
    assert_eq!(finding["resources"][0]["tags"]["Name"], "web-1");
    assert!(finding["resources"][0]["id"].as_str().unwrap().starts_with("host-"));
    assert!(!finding.to_string().contains("0123456789abcdef"), "the machine id is nobody's business");

    // The package goes, and with it the finding: by itself.
    lab.write("host/var/lib/dpkg/status", "Package: sed\nStatus: install ok installed\nVersion: 4.9-1\nArchitecture: amd64\n\n");
    serving.until_findings(&["CVE-2016-2781 CLOSED coreutils"]).unwrap();
}

/// A server that watches a machine with one vulnerable package.
fn watching(lab: &Lab) -> Serving {
    let settings = machine(lab);
    assert!(lab.run(&["db", "import", fixture("coreutils.json").to_str().unwrap()]).status.success());
    let serving = until("the server starts", PATIENCE, || Serving::start(lab, &settings).ok()).unwrap();
    lab.until_said(&["findings"], "CVE-2016-2781");
    serving
}

/// What differs from run to run is taken out.
fn steady(said: &str) -> String {
    let is_changing = |word: &str| {
        let hex = word.len() >= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex || (word.len() >= 20 && word.starts_with("20") && word.contains('T') && word.ends_with('Z'))
    };
    let line = |line: &str| {
        let words: Vec<&str> =
            line.split_whitespace().map(|word| if is_changing(word.trim_matches([':', ','])) { "[…]" } else { word }).collect();
        words.join(" ")
    };
    said.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_estate_as_the_commands_tell_it() {
    let lab = Lab::new();
    let serving = watching(&lab);
    lab.until_said(&["status"], "no difference");
    let commands: [&[&str]; 7] = [
        &["findings"],
        &["findings", "--severity", "high,critical"],
        &["findings", "--resource", "web-1", "--vulnerability", "CVE-2016-2781", "--status", "active,suppressed"],
        &["findings", "--resource", "web-2"],
        &["resources", "--kind", "host"],
        &["coverage"],
        &["coverage", "--inactive"],
    ];
    let said: Vec<String> =
        commands.iter().map(|command| format!("$ lestrade {}\n{}", command.join(" "), steady(&lab.transcript(command)))).collect();
    insta::assert_snapshot!(said.join("\n\n"));

    let status = lab.json(&["status", "--json"]);
    assert_eq!(status["schema"], "lestrade.status/1");
    assert_eq!(status["resources"], serde_json::json!([{"kind": "host", "total": 1, "active": 1, "inactive": {}, "gone": 0}]));
    assert_eq!((&status["findings"]["active"], &status["audit"]["differences"]), (&1.into(), &0.into()));
    let listed = lab.json(&["findings", "--json"]);
    let id = listed["findings"][0]["id"].as_str().unwrap();
    for name in [id, &id[..12], listed["findings"][0]["arn"].as_str().unwrap()] {
        assert_eq!(lab.json(&["findings", name, "--json"])["vulnerability"], "CVE-2016-2781");
    }
    assert!(lab.transcript(&["findings", id]).contains("coreutils  9.1-1"));
    assert!(lab.transcript(&["findings", "0123"]).contains("error[E0351]"));

    // Whoever has no token, and a filter that is not known.
    let token = lab.token();
    let asked = |path: &str, token: Option<&str>| serving.http("GET", path, token, b"").unwrap();
    assert_eq!(asked("/api/v1/findings", None).0, 401);
    assert_eq!(asked("/api/v1/findings", Some("wrong")).0, 401);
    assert_eq!(asked("/api/v1/findings?limit=1", Some(&token)).0, 200);
    for wrong in ["/api/v1/findings?sevrity=high", "/api/v1/findings?severity=grave", "/api/v1/findings?page=x", "/api/v1/resources?page=x"]
    {
        let (status, body) = asked(wrong, Some(&token));
        assert!(status == 400 && body.contains("\"error\""), "{wrong}: {status} {body}");
    }
    serving.kill();
    assert!(lab.transcript(&["status"]).contains("error[E0350]: the server does not answer"));
    let unknowing = Lab::new();
    let serving = Serving::start(&unknowing, &[]).unwrap();
    assert!(unknowing.transcript(&["findings"]).contains("! NO intelligence: nothing is judged"), "that would be no clean bill of health");
    serving.kill();
    assert!(Lab::new().transcript(&["findings"]).contains("error[E0350]: no server is known"));
}

#[test]
fn what_is_accepted_is_hidden_with_a_reason_an_owner_and_an_end() {
    let lab = Lab::new();
    let serving = watching(&lab);
    let created = lab.transcript(&[
        "suppress",
        "create",
        "accepted",
        "--vulnerability",
        "CVE-2016-2781",
        "--reason",
        "no terminal is shared",
        "--owner",
        "ann",
        "--expires",
        "2999-01-31",
    ]);
    assert_eq!(created, "'accepted' is in force until 2999-01-31T23:59:59Z\nexit 0");
    assert!(lab.transcript(&["findings"]).starts_with("0 active findings"));
    assert!(lab.transcript(&["findings", "--status", "suppressed"]).contains("CVE-2016-2781"));
    assert_eq!(steady(&lab.transcript(&["suppress", "list"])).lines().last().map(str::to_owned), Some("exit 0".to_owned()));
    assert!(lab.transcript(&["suppress", "list"]).contains("accepted  in force  2999-01-31T23:59:59Z  ann    no terminal is shared"));
    if has_aws() {
        let filters = serving.aws(&["list-filters", "--action", "SUPPRESS"]).unwrap();
        assert_eq!(filters["filters"][0]["tags"]["lestrade:owner"], "ann", "AWS's clients see the same rule: {filters}");
        let arn = filters["filters"][0]["arn"].as_str().unwrap();
        let script = format!(
            "import boto3; boto3.client('inspector2').tag_resource(resourceArn='{arn}', tags={{'lestrade:expires': '2020-01-01T00:00:00Z'}})"
        );
        serving.boto3(&script).unwrap();
        lab.until_said(&["suppress", "list"], "ended");
        lab.until_said(&["findings"], "1 active finding\n");
    }
    assert!(lab.transcript(&["suppress", "remove", "accepted"]).starts_with("'accepted' is removed"));
    assert!(lab.transcript(&["findings"]).starts_with("1 active finding\n"));
    assert!(lab.transcript(&["suppress", "remove", "accepted"]).contains("there is no suppression rule 'accepted'"));
    let refused =
        |arguments: &[&str]| lab.transcript(&[&["suppress", "create", "x", "--reason", "r", "--owner", "ann"], arguments].concat());
    assert!(refused(&["--expires", "2999-01-01"]).contains("error[E0217]: nothing is named"));
    assert!(refused(&["--expires", "soon", "--vulnerability", "CVE-1"]).contains("error[E0217]: its end is no date"));
    assert!(refused(&["--expires", "2020-01-01", "--vulnerability", "CVE-1"]).contains("its end has passed"));
    assert!(
        refused(&["--expires", "2999-01-01", "--criteria", "{\"severity\": [{\"comparison\": \"LIKE\", \"value\": \"x\"}]}"])
            .contains("error[E0351]")
    );
}

#[test]
fn the_server_is_watched_itself() {
    let lab = Lab::new();
    let serving = Serving::start(&lab, &[]).unwrap();
    let asked = |serving: &Serving, path: &str, token: Option<&str>| serving.http("GET", path, token, b"").unwrap();
    assert_eq!(asked(&serving, "/healthz", None), (200, "ok\n".to_owned()));
    assert_eq!(asked(&serving, "/readyz", None).0, 503, "without intelligence it can judge nothing");
    serving.kill();

    let serving = watching(&lab);
    let (status, ready) = asked(&serving, "/readyz", None);
    assert!(status == 200 && ready.contains("\"intelligence\":1"), "{ready}");
    let (status, page) = asked(&serving, "/metrics", None);
    assert_eq!(status, 200);
    for sample in [
        "lestrade_findings{severity=\"MEDIUM\",status=\"ACTIVE\"} 1\n",
        "lestrade_resources{kind=\"host\",reason=\"SUCCESSFUL\"} 1\n",
        "lestrade_feed_records{feed=\"osv\"} 1\n",
        "lestrade_feed_age_seconds{feed=\"osv\"} ",
        "lestrade_scan_duration_seconds_count{kind=\"host\"} 1\n",
        "lestrade_audit_differences_total 0\n",
        "# TYPE lestrade_outbox_lag_seconds gauge\n",
        "# TYPE lestrade_delivery_failures_total counter\n",
        "# TYPE lestrade_worker_crash_total counter\n",
        "# TYPE lestrade_time_to_finding_seconds summary\n",
    ] {
        assert!(page.contains(sample), "{sample}: {page}");
    }
    serving.kill();

    // Behind a proxy everybody looks like this machine: measurements want the token.
    let serving = Serving::start_with(&lab, &[], &["--behind-proxy"]).unwrap();
    assert_eq!(asked(&serving, "/healthz", None).0, 200);
    assert_eq!(asked(&serving, "/readyz", None).1, "{\"ready\":true}");
    assert_eq!((asked(&serving, "/metrics", None).0, asked(&serving, "/metrics", Some(&lab.token())).0), (401, 200));
}

const LODASH: (&str, &str) = ("node_modules/lodash/package.json", r#"{"name": "lodash", "version": "4.17.20"}"#);

/// A bill of materials with one package.
pub(crate) fn sbom(version: &str) -> String {
    let purl = format!("pkg:npm/lodash@{version}");
    serde_json::json!({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [
        {"type": "library", "name": "lodash", "version": version, "purl": purl},
    ]})
    .to_string()
}

#[test]
fn a_folder_is_watched_whatever_lies_in_it() {
    let lab = Lab::new();
    assert!(lab.run(&["db", "import", fixture("lodash.json").to_str().unwrap()]).status.success());
    lab.write("drop/app.cdx.json", sbom("4.17.20"));
    lab.write("drop/readme.txt", "nothing of interest");
    zip(&lab, "drop/function.zip", &[LODASH]);
    let log4j = "groupId=org.apache.logging.log4j\nartifactId=log4j-core\nversion=2.14.1\n";
    zip(&lab, "drop/app.jar", &[("META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties", log4j)]);
    let record = serde_json::json!({"id": "CVE-2021-44228", "affected": [{
        "package": {"ecosystem": "Maven", "name": "org.apache.logging.log4j:log4j-core"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "2.0"}, {"fixed": "2.15.0"}]}],
    }]});
    lab.write("log4j.json", record.to_string());
    assert!(lab.run(&["db", "import", lab.path("log4j.json").to_str().unwrap()]).status.success());
    let layer = Layer::of_files(&[(&format!("app/{}", LODASH.0), LODASH.1)]).unwrap();
    TestImage::new(vec![layer]).unwrap().write_docker_archive(&lab.path("drop/image.tar")).unwrap();
    let folder = lab.path("drop").display().to_string();
    let _serving = Serving::start_with(&lab, &["folder-interval=1".into()], &["--folder", &folder]).unwrap();

    lab.until_said(&["findings"], "4 active findings");
    let resources = lab.json(&["resources", "--kind", "path", "--json"]);
    let mut sorts: Vec<(&str, &str)> = resources["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["name"].as_str().unwrap(), r["tags"]["lestrade:sort"].as_str().unwrap_or("–")))
        .collect();
    sorts.sort_unstable();
    assert_eq!(
        sorts,
        [("app.cdx.json", "sbom"), ("app.jar", "package"), ("function.zip", "function"), ("image.tar", "image"), ("readme.txt", "–")]
    );
    let missed = lab.transcript(&["coverage", "--inactive"]);
    assert!(missed.contains("UNSUPPORTED_MEDIA_TYPE") && missed.contains("readme.txt"), "{missed}");
    assert!(lab.transcript(&["findings"]).contains("! 1 resource not covered"));

    // One is mended, one goes: both close, each for its own reason.
    lab.write("drop/app.cdx.json", sbom("4.17.21"));
    std::fs::remove_file(lab.path("drop/image.tar")).unwrap();
    lab.until_said(&["findings"], "2 active findings\n");
    lab.until_said(&["findings", "--status", "closed"], "2 closed findings");
    assert!(lab.transcript(&["coverage", "--gone"]).contains("RESOURCE_TERMINATED"));
}

#[test]
fn a_bill_of_materials_is_sent_replaced_and_taken_back() {
    let lab = Lab::new();
    assert!(lab.run(&["db", "import", fixture("lodash.json").to_str().unwrap()]).status.success());
    let serving = Serving::start(&lab, &[]).unwrap();
    lab.write("old.json", sbom("4.17.20"));
    lab.write("new.json", sbom("4.17.21"));
    lab.write("none.json", "{}");
    let push = |file: &str| lab.transcript(&["sbom", "push", file, "--name", "shop/web"]);
    assert_eq!(push("old.json"), "shop/web · 1 package · 1 high\nexit 0");
    assert!(lab.transcript(&["findings", "--resource", "shop/web"]).contains("CVE-2021-23337"));
    let refused = push("none.json");
    assert!(refused.contains("error[E0351]") && refused.contains("it is no bill of materials"), "{refused}");
    assert!(lab.transcript(&["findings"]).starts_with("1 active finding\n"), "what was refused changed nothing");
    assert_eq!(push("new.json"), "shop/web · 1 package · 0 open findings\nexit 0");
    assert!(lab.transcript(&["findings", "--status", "closed"]).starts_with("1 closed finding\n"));
    push("old.json");
    assert!(lab.transcript(&["sbom", "remove", "shop/web"]).starts_with("'shop/web' is gone"));
    assert!(lab.transcript(&["findings"]).starts_with("0 active findings"));
    assert!(lab.transcript(&["sbom", "remove", "shop/api"]).contains("there is no resource 'shop/api'"));
    assert!(lab.transcript(&["sbom", "old.json", "--offline"]).contains("lodash"), "and `sbom FILE` still scans");

    let token = lab.token();
    let post = |path: &str, token: Option<&str>, body: &[u8]| serving.http("POST", path, token, body).unwrap().0;
    assert_eq!(post("/api/v1/sboms?name=x", None, sbom("1.0.0").as_bytes()), 401);
    assert_eq!(post("/api/v1/sboms", Some(&token), sbom("1.0.0").as_bytes()), 400);
    assert_eq!(post("/api/v1/sboms?name=%0a", Some(&token), sbom("1.0.0").as_bytes()), 400);
    assert_eq!(post("/api/v1/sboms?name=x", Some(&token), b""), 400);
    assert_eq!(post("/api/v1/sboms?name=x", Some(&token), sbom("1.0.0").as_bytes()), 200);
}

#[test]
fn a_bill_of_materials_is_scanned_by_the_unmodified_clients_and_not_kept() {
    if !has_aws() {
        return missing("the AWS CLI");
    }
    let lab = Lab::new();
    let serving = Serving::start(&lab, &[]).unwrap();
    let bom = json!({"bomFormat": "CycloneDX", "specVersion": "1.5", "metadata": {"component": {"type": "application", "name": "shop"}},
        "components": [
            {"bom-ref": "1", "type": "library", "name": "lodash", "version": "4.17.20", "purl": "pkg:npm/lodash@4.17.20"},
            {"bom-ref": "2", "type": "library", "name": "thing", "version": "1", "purl": "pkg:unheard-of/thing@1"}]});
    lab.write("bom.json", bom.to_string());
    let file = format!("file://{}", lab.path("bom.json").display());
    let scan = |arguments: &[&str]| serving.aws_scan(&[&["scan-sbom", "--sbom", &file], arguments].concat()).unwrap();
    let (answered, said) = scan(&[]);
    assert!(!answered && said.contains("InternalServerException") && said.contains("no vulnerability intelligence"), "{said}");
    drop(serving);

    assert!(lab.run(&["db", "import", fixture("lodash.json").to_str().unwrap()]).status.success());
    let serving = Serving::start(&lab, &[]).unwrap();
    let scan = |arguments: &[&str]| serving.aws_scan(&[&["scan-sbom", "--sbom", &file], arguments].concat()).unwrap();
    let (answered, said) = scan(&[]);
    assert!(answered, "{said}");
    let answer: serde_json::Value = serde_json::from_str(&said).unwrap();
    let sbom = &answer["sbom"];
    assert_eq!((&sbom["specVersion"], &sbom["metadata"]["component"]["name"]), (&json!("1.5"), &json!("shop")));
    assert_eq!(sbom["compositions"][0]["aggregate"], "incomplete", "one of the two cannot be judged");
    let count = json!({"name": "amazon:inspector:sbom_scanner:high_vulnerabilities", "value": "1"});
    assert!(sbom["metadata"]["properties"].as_array().unwrap().contains(&count), "{sbom:#}");
    let [found] = sbom["vulnerabilities"].as_array().unwrap().as_slice() else { panic!("{sbom:#}") };
    let reference = sbom["components"].as_array().unwrap().iter().find(|component| component["name"] == "lodash").unwrap();
    assert_eq!((&found["id"], &found["affects"][0]["ref"]), (&json!("CVE-2021-23337"), &reference["bom-ref"]));
    let fixed = format!("amazon:inspector:sbom_scanner:fixed_version:{}", reference["bom-ref"].as_str().unwrap());
    assert!(found["properties"].as_array().unwrap().contains(&json!({"name": fixed, "value": "4.17.21"})), "{found:#}");

    let script = r#"
import boto3, json
from botocore.exceptions import ClientError
client = boto3.client("inspector-scan")
bom = json.load(open("its-path"))
listed = client.scan_sbom(sbom=bom, outputFormat="INSPECTOR")["sbom"]
assert listed["vulnerability_count"] == {"critical": 0, "high": 1, "medium": 0, "low": 0, "other": 0}, listed
assert [message["name"] for message in listed["messages"]] == ["thing"], listed
found = listed["vulnerabilities"][0]
assert found["affects"] == [{"installed_version": "pkg:npm/lodash@4.17.20", "fixed_version": "4.17.21"}], found
def refused(code, reason, of=client, **arguments):
    try:
        of.scan_sbom(**arguments)
    except ClientError as error:
        assert (error.response["Error"]["Code"], error.response.get("reason")) == (code, reason), error.response
        return
    raise AssertionError(f"{code} was expected")
refused("ValidationException", "UNSUPPORTED_SBOM_TYPE", sbom={"spdxVersion": "SPDX-2.3"})
refused("ValidationException", "UNSUPPORTED_SBOM_TYPE", sbom={"bomFormat": "CycloneDX", "specVersion": "9.9"})
refused("ValidationException", "FIELD_VALIDATION_FAILED", sbom=bom, outputFormat="WORDS")
refused("ValidationException", "OTHER", sbom=bom, outputFormat="INSPECTOR_ALT")
stranger = boto3.client("inspector-scan", aws_access_key_id="AKIDNOBODY", aws_secret_access_key="x")
refused("UnrecognizedClientException", None, of=stranger, sbom=bom)
print("scanned")
"#;
    let script = script.replace("its-path", &lab.path("bom.json").display().to_string());
    assert_eq!(serving.boto3(&script).unwrap(), "scanned\n");
    assert!(lab.transcript(&["findings"]).starts_with("0 active findings"), "nothing is kept");
    assert_eq!(lab.json(&["resources", "--json"])["resources"], json!([]));
}

/// Another machine: its own folders, its own root, the same server.
fn another(lab: &Lab, name: &str, id: &str, coreutils: &str) {
    lab.write("root/etc/os-release", "ID=debian\nVERSION_ID=12\n");
    lab.write("root/etc/hostname", format!("{name}\n"));
    lab.write("root/etc/machine-id", format!("{}\n", id.repeat(32)));
    lab.write(
        "root/var/lib/dpkg/status",
        format!("Package: coreutils\nStatus: install ok installed\nVersion: {coreutils}\nArchitecture: amd64\n\n"),
    );
    lab.write("lestrade.toml", format!("host-root = \"{}\"\nhost-interval = 1\n", lab.path("root").display()));
}

#[test]
fn other_hosts_tell_of_themselves() {
    let lab = Lab::new();
    assert!(lab.run(&["db", "import", fixture("coreutils.json").to_str().unwrap()]).status.success());
    let serving = Serving::start(&lab, &["agent-stale-after=3".into()]).unwrap();
    let host = Lab::new();
    another(&host, "db-1", "7", "9.1-1");
    assert!(host.transcript(&["agent", "run", "--once"]).contains("error[E0361]"));
    let token = lab.json(&["agent", "token", "--json"])["token"].as_str().unwrap().to_owned();
    let enroll = |host: &Lab, token: &str| host.transcript(&["agent", "enroll", "--server", serving.endpoint(), "--token", token]);
    assert!(enroll(&host, "lestrade_enrol_wrong").contains("error[E0363]"));
    let said = enroll(&host, &token);
    assert!(said.starts_with("this machine is host-") && said.ends_with("exit 0"), "{said}");
    assert!(enroll(&host, &token).contains("the token is none, was used, or has ended"));

    // The first word brings the inventory; the next one only says that it is as it was.
    assert_eq!(host.transcript(&["agent", "run", "--once"]), "the server has this machine's inventory now\nexit 0");
    assert_eq!(host.transcript(&["agent", "run", "--once"]), "the server had this machine's inventory\nexit 0");
    assert!(lab.transcript(&["findings", "--resource", "db-1"]).contains("CVE-2016-2781"));
    let resource = lab.json(&["resources", "--resource", "db-1", "--json"])["resources"][0].clone();
    assert!(resource["runningKernel"].is_string() && resource["listening"].is_array(), "{resource}");
    let agents = lab.json(&["agent", "list", "--json"]);
    assert_eq!((&agents["agents"][0]["name"], &agents["agents"][0]["stale"]), (&"db-1".into(), &false.into()));

    // Silence is said, and closes nothing.
    lab.until_said(&["coverage", "--inactive"], "STALE_INVENTORY");
    assert!(lab.transcript(&["findings"]).contains("CVE-2016-2781"));

    // It runs on, and what changes there is seen here; it outlives the server.
    let mut agent = host.lestrade();
    agent.args(["agent", "run"]).stdout(std::process::Stdio::null()).stderr(std::fs::File::create(host.path("agent.log")).unwrap());
    let agent = lestrade_testkit::Server::start(&mut agent).unwrap();
    lab.until_said(&["coverage"], "SUCCESSFUL");
    another(&host, "db-1", "7", "9.9-1");
    lab.until_said(&["resources", "--resource", "db-1"], "SUCCESSFUL");
    host.write("root/var/lib/dpkg/status", "Package: sed\nStatus: install ok installed\nVersion: 4.9-1\nArchitecture: amd64\n\n");
    lab.until_said(&["findings", "--status", "closed"], "CVE-2016-2781");

    // Taken back: it is out, and its host is gone.
    let id = agents["agents"][0]["id"].as_str().unwrap();
    assert!(lab.transcript(&["agent", "remove", id]).contains("is out"));
    assert!(host.transcript(&["agent", "run", "--once"]).contains("error[E0363]"));
    assert!(lab.transcript(&["coverage", "--gone"]).contains("RESOURCE_TERMINATED"));
    drop(agent);

    // No secret is written down, and strangers are not read.
    let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(host.path(".local/state/lestrade/agent.json")).unwrap()).unwrap();
    let log = std::fs::read_to_string(lab.path("serve.log")).unwrap();
    for secret in [kept["key"].as_str().unwrap(), &token] {
        assert!(!log.contains(secret) && !std::fs::read_to_string(host.path("agent.log")).unwrap().contains(secret));
    }
    let post = |path: &str, token: Option<&str>, body: &[u8]| serving.http("POST", path, token, body).unwrap().0;
    assert_eq!(post("/agent/v1/report", None, b"{}"), 401);
    assert_eq!(post("/agent/v1/report", Some("agent-0.x"), b"{}"), 401);
    assert_eq!(post("/agent/v1/enroll", None, b"{}"), 400);
    assert_eq!(post("/agent/v1/enroll", None, &[b' '; 20_000]), 413);
    assert_eq!(post("/api/v1/agents/tokens", None, b""), 401);
}

#[test]
fn the_unit_of_the_agent() {
    let lab = Lab::new();
    let unit = lab.transcript(&["agent", "unit"]);
    let program = lab.lestrade().get_program().to_string_lossy().into_owned();
    insta::assert_snapshot!(unit.replace(&program, "/usr/bin/lestrade"));
    assert!(lab.transcript(&["agent", "enroll", "--server", "http://lestrade.example", "--token", "x"]).contains("error[E0360]"));
}

#[test]
fn a_state_is_backed_up_while_it_is_served_and_served_again_elsewhere() {
    let lab = Lab::new();
    let serving = watching(&lab);
    let made = lab.transcript(&["backup", "create", "monday.backup"]);
    assert!(made.contains("rows and") && made.ends_with("exit 0"), "{made}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(lab.path("monday.backup")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "keys are in it");
    let again = lab.transcript(&["backup", "create", "monday.backup"]);
    assert!(again.contains("E0327") && again.ends_with("exit 3"), "no other file's place is taken: {again}");
    let sound = lab.transcript(&["backup", "verify", "monday.backup"]);
    assert!(sound.contains("1 resources, 1 components"), "{sound}");
    assert!(lab.transcript(&["backup", "restore", "monday.backup"]).contains("another server is using this state"));
    drop(serving);

    let elsewhere = ["--set", "state-dir=elsewhere"];
    let restored = lab.transcript(&[&["backup", "restore", "monday.backup"][..], &elsewhere].concat());
    assert!(restored.starts_with("restored the state of"), "{restored}");
    let once_more = lab.transcript(&[&["backup", "restore", "monday.backup"][..], &elsewhere].concat());
    assert!(once_more.contains("there is a state already"), "{once_more}");
    // The machine is gone, its finding is not: it is in the state, with the intelligence that was judged by.
    let settings = [
        "watch-host=false".to_owned(),
        "state-dir=elsewhere".to_owned(),
        format!("db-dir={}", lab.path(".local/state/lestrade/db").display()),
    ];
    let _serving = until("the server starts", PATIENCE, || Serving::start(&lab, &settings).ok()).unwrap();
    lab.until_said(&[&["findings"][..], &elsewhere].concat(), "CVE-2016-2781");

    let mut bytes = std::fs::read(lab.path("monday.backup")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    lab.write("tuesday.backup", bytes);
    let unsound = lab.transcript(&["backup", "verify", "tuesday.backup"]);
    assert!(unsound.contains("the backup is not sound") && unsound.ends_with("exit 3"), "{unsound}");
}
