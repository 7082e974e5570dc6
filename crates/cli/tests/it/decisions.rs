//! What a user decides about findings: exceptions, severities, gates; and what the program says to explain itself.

use crate::lab::Lab;
use serde_json::Value;

fn lab() -> Lab {
    let lab = Lab::new();
    for (name, version) in [("lodash", "4.17.20"), ("minimist", "1.2.5")] {
        std::fs::create_dir_all(lab.path("app/node_modules").join(name)).unwrap();
        let manifest = format!(r#"{{"name": "{name}", "version": "{version}"}}"#);
        std::fs::write(lab.path("app/node_modules").join(name).join("package.json"), manifest).unwrap();
    }
    for (path, content) in [
        ("app/etc/os-release", "ID=debian\nVERSION_ID=12\n"),
        (
            "app/var/lib/dpkg/status",
            "Package: libssl3\nStatus: install ok installed\nSource: openssl\nVersion: 3.0.9-1\nArchitecture: amd64\n",
        ),
    ] {
        std::fs::create_dir_all(lab.path(path).parent().unwrap()).unwrap();
        std::fs::write(lab.path(path), content).unwrap();
    }
    lab
}

fn ids(lab: &Lab, arguments: &[&str]) -> Vec<String> {
    let output = lab.run(&[&["fs", "app", "-o", "json"], arguments].concat());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    report["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn exceptions_are_told_and_do_not_count() {
    let lab = lab();
    assert!(ids(&lab, &[]).contains(&"CVE-2021-23337".to_owned()));
    let ignore = "[[ignore]]\nid = \"CVE-2021-23337\"\npurl = \"pkg:npm/lodash\"\npath = \"app/**\"\nreason = \"not here\"\nexpires = 2999-12-31\n\n\
        [[ignore]]\nid = \"GHSA-35jh-r3h4-6jhm\"\npurl = \"pkg:npm/lodash@4.17.20\"\nreason = \"never called\"\nexpires = 2999-12-31\n\n\
        [[ignore]]\nid = \"CVE-2023-5363\"\nreason = \"accepted\"\nexpires = 2001-01-01\n";
    std::fs::write(lab.path(".lestradeignore.toml"), ignore).unwrap();
    insta::assert_snapshot!(lab.transcript(&["fs", "app"]));
    std::fs::remove_file(lab.path(".lestradeignore.toml")).unwrap();
    std::fs::write(lab.path(".trivyignore"), "# a comment\nCVE-2021-23337 exp:2999-01-01\nCVE-2023-5363\n").unwrap();
    let left = ids(&lab, &[]);
    assert!(!left.contains(&"CVE-2021-23337".to_owned()) && !left.contains(&"CVE-2023-5363".to_owned()), "{left:?}");
}

#[test]
fn an_exception_without_a_reason_or_an_end_is_refused() {
    let lab = lab();
    let said: Vec<String> = [
        "[[ignore]]\nid = \"CVE-1\"\nexpires = 2999-01-01\n",
        "[[ignore]]\nid = \"CVE-1\"\nreason = \"x\"\n",
        "[[ignore]]\nid = \"CVE-1\"\nreason = \"x\"\nexpires = \"soon\"\n",
        "[[ignore]]\nreason = \"x\"\nexpires = 2999-01-01\n",
        "[[ignore]]\nid = \"CVE-1\"\npurl = \"lodash\"\nreason = \"x\"\nexpires = 2999-01-01\n",
        "[[ignore]]\nid = \"CVE-1\"\npackage = \"lodash\"\nreason = \"x\"\nexpires = 2999-01-01\n",
        "[[ignore]]\nid = \"CVE-1\"\npath = \"[\"\nreason = \"x\"\nexpires = 2999-01-01\n",
        "ignored = []\n",
        "ignore = \"CVE-1\"\n",
        "[[",
    ]
    .iter()
    .map(|text| {
        std::fs::write(lab.path("i.toml"), text).unwrap();
        lab.transcript(&["fs", "app", "--ignore-file", "i.toml"])
    })
    .collect();
    insta::assert_snapshot!(said.join("\n"));
    assert!(lab.transcript(&["fs", "app", "--ignore-file", "missing.toml"]).contains("E0300"));
}

#[test]
fn suppliers_statements_are_followed() {
    let lab = lab();
    let vex = r#"{"@context": "https://openvex.dev/ns/v0.2.0", "timestamp": "2024-01-01T00:00:00Z", "statements": [
        {"vulnerability": {"name": "CVE-2021-23337"}, "products": [{"@id": "pkg:npm/lodash@4.17.20"}], "status": "not_affected",
         "justification": "vulnerable_code_not_in_execute_path"}]}"#;
    std::fs::write(lab.path("vex.json"), vex).unwrap();
    assert!(!ids(&lab, &["--vex", "vex.json"]).contains(&"CVE-2021-23337".to_owned()));
    let said = lab.transcript(&["fs", "app", "--vex", "vex.json"]);
    assert!(said.contains("~ left out: CVE-2021-23337 in lodash (not-affected: vulnerable_code_not_in_execute_path; vex.json)"), "{said}");
    std::fs::write(lab.path("vex.json"), "{}").unwrap();
    assert!(lab.transcript(&["fs", "app", "--vex", "vex.json"]).contains("E0311"));
}

#[test]
fn severities_and_gates() {
    let lab = lab();
    let all = ids(&lab, &[]);
    let critical = ids(&lab, &["--severity", "CRITICAL"]);
    assert!(!critical.is_empty() && critical.len() < all.len());
    assert_eq!(ids(&lab, &["--severity", "critical,high,medium,low,unknown,informational"]), all);
    for record in ["lodash.json", "coreutils.json"] {
        lab.run(&["db", "import", crate::lab::fixture(record).to_str().unwrap()]);
    }
    let exit = |arguments: &[&str]| lab.run(&[&["fs", "app"], arguments].concat()).status.code().unwrap();
    assert_eq!(exit(&["--fail-on", "kev"]), 0);
    assert_eq!(exit(&["--fail-on", "epss>=0.5"]), 0);
    assert_eq!(exit(&["--fail-on", "kev", "--fail-on", "fixable"]), 1);
    assert_eq!(exit(&["--exit-code", "9"]), 9);
    assert_eq!(exit(&["--exit-code", "9", "--severity", "low"]), 0);
    assert_eq!(exit(&["--exit-code", "300"]), 2);
    assert_eq!(exit(&["--fail-on", "epss>=2"]), 2);
}

#[test]
fn a_verdict_is_explained_step_by_step() {
    let lab = lab();
    let said: Vec<String> = [
        &["explain", "CVE-2023-5363", "app"][..],
        &["explain", "ghsa-35jh-r3h4-6jhm", "app"],
        &["explain", "CVE-2019-10744", "app"],
        &["explain", "CVE-1-1"],
    ]
    .iter()
    .map(|arguments| format!("$ lestrade {}\n{}", arguments.join(" "), lab.transcript(arguments)))
    .collect();
    insta::assert_snapshot!(said.join("\n\n"));
}

#[test]
fn differences_of_two_scans() {
    let lab = lab();
    lab.run(&["fs", "app", "-o", "json=old.json"]);
    std::fs::remove_dir_all(lab.path("app/node_modules/minimist")).unwrap();
    std::fs::write(lab.path("app/node_modules/lodash/package.json"), r#"{"name": "lodash", "version": "4.17.19"}"#).unwrap();
    std::fs::create_dir_all(lab.path("app/node_modules/axios")).unwrap();
    std::fs::write(lab.path("app/requirements.txt"), "PyYAML==5.3.1\n").unwrap();
    insta::assert_snapshot!(lab.transcript(&["diff", "old.json", "app"]));
    // The starter set may say what is there, and holds no gate.
    assert_eq!(lab.run(&["diff", "old.json", "app", "--fail-on", "kev"]).status.code(), Some(5));
    for report in ["lodash.json", "coreutils.json", "requests.json"] {
        lab.run(&["db", "import", crate::lab::fixture(report).to_str().unwrap()]);
    }
    std::fs::remove_dir_all(lab.path("app/node_modules/lodash")).unwrap();
    lab.run(&["fs", "app", "-o", "json=old.json"]);
    std::fs::create_dir_all(lab.path("app/node_modules/lodash")).unwrap();
    std::fs::write(lab.path("app/node_modules/lodash/package.json"), r#"{"name": "lodash", "version": "4.17.19"}"#).unwrap();
    let gate = |gate: &str| lab.run(&["diff", "old.json", "app", "--fail-on", gate]).status.code();
    assert_eq!((gate("high"), gate("kev")), (Some(1), Some(0)));
    let difference: Value = serde_json::from_slice(&lab.run(&["diff", "app", "app", "-o", "json"]).stdout).unwrap();
    assert_eq!((&difference["summary"]["new"], &difference["schema"]), (&Value::from(0), &Value::from("lestrade.diff/1")));
    assert!(lab.transcript(&["diff", "app", "app", "-o", "csv"]).contains("E0205"));
}

#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let lab = lab();
    let coloured = |arguments: &[&str], variables: &[(&str, &str)]| {
        let output = lab.lestrade().args(["fs", "app"]).args(arguments).envs(variables.iter().copied()).output().unwrap();
        output.stdout.contains(&0x1b)
    };
    assert!(!coloured(&[], &[]));
    assert!(coloured(&["--color", "always"], &[]));
    assert!(coloured(&["--color", "always"], &[("NO_COLOR", "1")]));
    assert!(coloured(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]));
}

#[test]
fn shells_and_readers_are_helped() {
    let lab = lab();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(lab.run(&["completions", shell]).stdout.len() > 1000, "{shell}");
    }
    let page = String::from_utf8(lab.run(&["man"]).stdout).unwrap();
    assert!(page.contains(".TH lestrade 1") && page.contains("LESTRADE SCAN IMAGE") && page.contains("fail\\-on"), "{page}");
    // Nothing but the answer and errors on standard error, and nothing that was not asked for.
    assert!(lab.run(&["fs", "app"]).stderr.is_empty());
    let verbose = lab.run(&["fs", "app", "--verbose"]).stderr;
    assert!(String::from_utf8_lossy(&verbose).contains("workers: limits on"));
}

#[test]
fn what_is_left_out_of_a_walk_is_not_read() {
    let lab = lab();
    assert!(!ids(&lab, &["--skip-dirs", "**/node_modules"]).contains(&"CVE-2021-23337".to_owned()));
    assert!(!ids(&lab, &["--skip-files", "node_modules/lodash/package.json"]).contains(&"CVE-2021-23337".to_owned()));
    assert!(lab.transcript(&["fs", "app", "--skip-dirs", "["]).contains("E0204"));
    assert!(lab.transcript(&["repo", "https://example.com/x.git"]).contains("E0203"));
}

/// Where a vulnerability stands is told apart from the tracker to the report, in full and as Inspector would.
#[test]
fn every_status_is_told_apart() {
    let lab = Lab::new();
    let issue = |release: &str| format!(r#"{{"releases": {{"bookworm": {{{release}}}}}}}"#);
    let tracker: Vec<String> = [
        ("CVE-2024-0001", r#""status": "resolved", "fixed_version": "3.0.11-1""#),
        ("CVE-2024-0002", r#""status": "open""#),
        ("CVE-2024-0003", r#""status": "open", "nodsa": "Minor", "nodsa_reason": "postponed""#),
        ("CVE-2024-0004", r#""status": "open", "nodsa": "Minor", "nodsa_reason": "ignored""#),
        ("CVE-2024-0005", r#""status": "open", "urgency": "end-of-life""#),
        ("CVE-2024-0006", r#""status": "undetermined""#),
        ("CVE-2024-0007", r#""status": "resolved", "fixed_version": "0""#),
        ("CVE-2024-0008", r#""status": "open""#),
    ]
    .map(|(id, release)| format!(r#""{id}": {}"#, issue(release)))
    .to_vec();
    lab.write("tracker.json", format!(r#"{{"openssl": {{{}}}}}"#, tracker.join(",")));
    lab.write("root/etc/os-release", "ID=debian\nVERSION_ID=12\n");
    lab.write(
        "root/var/lib/dpkg/status",
        "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl\nVersion: 3.0.9-1\n\n",
    );
    lab.write(
        "vex.json",
        r#"{"@context": "https://openvex.dev/ns/v0.2.0", "statements": [{"vulnerability": {"name": "CVE-2024-0008"}, "status": "not_affected",
        "justification": "vulnerable_code_not_in_execute_path", "products": [{"@id": "pkg:deb/debian/libssl3@3.0.9-1?distro=debian-12"}]}]}"#,
    );
    lab.transcript(&["db", "import", "tracker.json"]);
    let states = |mode: &str| {
        let output = lab.run(&["rootfs", "root", "-o", "json", "--vex", "vex.json", "--set", &format!("report-mode={mode}")]);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let of = |finding: &serde_json::Value| format!("{} {}", &finding["id"].as_str().unwrap()[9..], finding["state"].as_str().unwrap());
        let mut states: Vec<String> = report["findings"].as_array().unwrap().iter().map(of).collect();
        states.sort();
        (states, report["excepted"].to_string())
    };
    let (full, excepted) = states("full");
    assert_eq!(
        full,
        ["0001 fixed", "0002 open", "0003 deferred", "0004 will-not-fix", "0005 end-of-life", "0006 under-investigation"],
        "and one that was never affected is not there"
    );
    assert!(excepted.contains("CVE-2024-0008") && excepted.contains("vulnerable_code_not_in_execute_path"), "{excepted}");
    assert_eq!(states("inspector").0, ["0001 fixed", "0002 open", "0003 deferred", "0004 will-not-fix"]);
    let shown = lab.transcript(&["config", "show", "--origin", "--set", "report-mode=inspector"]);
    assert!(shown.contains("report-mode = \"inspector\"  # command line"), "{shown}");
    let wrong = lab.transcript(&["config", "show", "--set", "report-mode=some"]);
    assert!(wrong.contains("error[E0210]") && wrong.contains("one of full, inspector"), "{wrong}");
}
