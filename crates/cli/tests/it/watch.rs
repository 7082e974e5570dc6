//! An estate that re-evaluates itself, as a user meets it: this machine from the first start, and the commands that ask about it.

use crate::lab::{Lab, PATIENCE, Serving, fixture, has_aws};
use lestrade_testkit::{missing, until};

/// A Debian machine, as a folder.
fn machine(lab: &Lab) -> Vec<String> {
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
    for name in [id, listed["findings"][0]["arn"].as_str().unwrap()] {
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
