//! Feeds as a user meets them: brought up to date by hand, and by themselves before a first scan.

use crate::lab::{Lab, PATIENCE, Serving, fixture};
use lestrade_testkit::{FileServer, until};
use serde_json::Value;
use std::process::Output;

const SECDB: &str = r#"{"distroversion": "v3.20", "reponame": "main", "packages":
    [{"pkg": {"name": "openssl", "secfixes": {"3.3.2-r0": ["CVE-2024-6119"]}}}]}"#;
const EPSS: &str = "#model_version:v2025.03.14,score_date:2026-11-22T00:00:00+0000\ncve,epss,percentile\nCVE-2021-23337,0.01234,0.9\n";

const ENDS: &str = r#"{"total": 1, "result": [{"name": "alpine-linux", "releases": [
    {"name": "3.20", "label": "3.20", "isEol": false, "eolFrom": "ENDS"}]}]}"#;

struct World {
    lab: Lab,
    server: FileServer,
}

impl World {
    /// A lab whose feeds are all on this machine: OSV's npm, Alpine, EPSS; KEV is not there.
    fn new() -> Self {
        let (lab, server) = (Lab::new(), FileServer::start().unwrap());
        std::fs::create_dir(lab.path("dump")).unwrap();
        std::fs::copy(fixture("lodash.json"), lab.path("dump/lodash.json")).unwrap();
        // A zip without compression, as python writes one.
        let script = "import sys, zipfile; zipfile.ZipFile(sys.argv[2], 'w').write(sys.argv[1], 'lodash.json')";
        let made = std::process::Command::new("python3")
            .args(["-c", script])
            .args([lab.path("dump/lodash.json"), lab.path("all.zip")])
            .status()
            .unwrap();
        assert!(made.success());
        server.put("/osv/npm/all.zip", "1", std::fs::read(lab.path("all.zip")).unwrap());
        server.put("/alpine/v3.20/main.json", "1", SECDB);
        server.put("/epss.csv", "1", EPSS);
        server.put("/eol.json", "1", ENDS.replace("ENDS", "2099-01-01"));
        for (path, content) in [
            ("app/etc/os-release", "ID=alpine\nVERSION_ID=3.20.3\n"),
            ("app/lib/apk/db/installed", "P:libssl3\nV:3.3.1-r3\nA:x86_64\no:openssl\n\n"),
            ("app/srv/node_modules/lodash/package.json", r#"{"name": "lodash", "version": "4.17.20"}"#),
        ] {
            std::fs::create_dir_all(lab.path(path).parent().unwrap()).unwrap();
            std::fs::write(lab.path(path), content).unwrap();
        }
        Self { lab, server }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.lab.lestrade();
        command.env_remove("LESTRADE_AUTO_UPDATE").args(arguments);
        for setting in self.settings() {
            command.args(["--set", &setting]);
        }
        command.output().unwrap()
    }

    /// Where the feeds are.
    fn settings(&self) -> [String; 8] {
        let url = self.server.url();
        [
            format!("osv-url={url}/osv"),
            "osv-ecosystems=npm,PyPI".to_owned(),
            format!("debian-tracker-url={url}/debian.json"),
            format!("alpine-secdb-url={url}/alpine"),
            "alpine-releases=v3.20".to_owned(),
            format!("epss-url={url}/epss.csv"),
            format!("kev-url={url}/kev.json"),
            format!("endoflife-url={url}/eol.json"),
        ]
    }

    fn transcript(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&self.server.url(), "http://feeds");
        format!("{}{}exit {}", text(&output.stdout), text(&output.stderr), output.status.code().unwrap_or(-1))
    }
}

#[test]
fn feeds_are_brought_up_to_date_by_name() {
    let world = World::new();
    let said = [
        world.transcript(&["db", "update", "osv/npm", "alpine-secdb/v3.20/main"]),
        world.transcript(&["db", "update", "osv/npm"]),
        world.transcript(&["db", "update", "kev", "epss"]),
        world.transcript(&["db", "update", "osv/nmp"]),
        world.lab.transcript(&["db", "update", "--offline"]),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_terminal_shows_a_bar_for_each_feed_and_a_pipe_shows_none() {
    let world = World::new();
    let update = ["db", "update", "osv/npm", "alpine-secdb/v3.20/main", "epss"];
    let piped = world.run(&update);
    assert!(!String::from_utf8_lossy(&piped.stderr).contains('\u{1b}'));

    world.server.put("/epss.csv", "2", EPSS.replace("22T", "23T"));
    world.server.put("/osv/npm/all.zip", "2", std::fs::read(world.lab.path("all.zip")).unwrap());
    world.server.put("/alpine/v3.20/main.json", "2", SECDB);
    let lestrade = world.lab.lestrade();
    let mut watched = std::process::Command::new("python3");
    watched.args(["-c", "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"]).arg(lestrade.get_program()).args(update);
    for setting in world.settings() {
        watched.args(["--set", &setting]);
    }
    for (name, value) in lestrade.get_envs() {
        match value {
            Some(value) => watched.env(name, value),
            None => watched.env_remove(name),
        };
    }
    let output = watched.current_dir(world.lab.path(".")).env_remove("CI").env("TERM", "xterm").output().unwrap();
    let seen = String::from_utf8_lossy(&output.stdout);
    for feed in ["osv/npm", "alpine-secdb/v3.20/main", "epss"] {
        let of_bar = |line: &&str| line.contains(feed) && line.contains('░') | line.contains('█') && line.contains(" / ");
        assert!(seen.split(['\r', '\n']).any(|line| of_bar(&line)), "{feed}: {seen:?}");
    }
}

#[test]
fn a_first_scan_fetches_what_it_needs_and_nothing_else() {
    let world = World::new();
    let output = world.run(&["fs", "app", "-o", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ids: Vec<&str> = report["findings"].as_array().unwrap().iter().map(|f| f["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["CVE-2021-23337", "CVE-2024-6119"], "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((&report["completeness"], &report["intelligence"]["starterOnly"]), (&"complete".into(), &false.into()));
    let mut asked = world.server.take_requests();
    asked.sort();
    assert_eq!(asked, ["200 /alpine/v3.20/main.json", "200 /eol.json", "200 /epss.csv", "200 /osv/npm/all.zip"]);
    // What was not there is said, and asked for again the next time; the rest is not.
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("warning: kev: NOT fetched: the server answers 404"), "{said}");
    world.run(&["fs", "app"]);
    assert_eq!(world.server.take_requests(), [""; 0]);
}

/// Nobody but NVD speaks of what Conda installs: a first scan that finds such packages fetches its files, and no other scan does.
#[test]
fn a_first_scan_of_condas_packages_fetches_nvd() {
    let world = World::new();
    let url = world.server.url();
    let page = r#"{"resultsPerPage": 1, "startIndex": 0, "totalResults": 1, "format": "NVD_CVE", "version": "2.0", "vulnerabilities": [{"cve":
        {"id": "CVE-2023-0286", "vulnStatus": "Analyzed", "configurations": [{"nodes": [{"operator": "OR", "cpeMatch": [{"vulnerable": true,
        "criteria": "cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*", "versionStartIncluding": "1.1.1", "versionEndExcluding": "1.1.1t"}]}]}]}}]}"#;
    let mut gz =
        std::process::Command::new("gzip").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut gz.stdin.take().unwrap(), page.as_bytes()).unwrap();
    world.server.put("/nvd/nvdcve-2.0-2023.json.gz", "1", gz.wait_with_output().unwrap().stdout);
    world.lab.write("env/opt/conda/conda-meta/openssl-1.1.1s-0.json", r#"{"name": "openssl", "version": "1.1.1s"}"#);
    let nvd = [format!("nvd-url={url}/nvd"), "nvd-years=2023".to_owned(), format!("nvd-api-url={url}/api")];
    let scan = |folder: &str| {
        let mut arguments = vec!["fs", folder, "-o", "json"];
        nvd.iter().for_each(|setting| arguments.extend(["--set", setting]));
        let output = world.run(&arguments);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        report["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    scan("app");
    assert!(!world.server.take_requests().iter().any(|asked| asked.contains("nvd")), "nothing of Conda's is in it");
    assert_eq!(scan("env"), ["CVE-2023-0286"]);
    let asked = world.server.take_requests();
    assert!(
        asked.contains(&"200 /nvd/nvdcve-2.0-2023.json.gz".to_owned()) && !asked.iter().any(|asked| asked.contains("/api")),
        "{asked:?}"
    );
    scan("env");
    assert!(!world.server.take_requests().iter().any(|asked| asked.contains("nvd")), "what is there is not fetched again");
}

#[test]
fn without_a_network_a_first_scan_still_answers() {
    let world = World::new();
    for arguments in
        [&["fs", "app", "--offline"][..], &["fs", "app", "--set", "offline=true"], &["fs", "app", "--set", "auto-update=false"]]
    {
        let said = world.transcript(arguments);
        assert!(said.contains("only the starter set") && said.contains("CVE-2021-23337"), "{said}");
    }
    assert_eq!(world.server.take_requests(), [""; 0]);
}

#[test]
fn generations_are_looked_at_compared_and_put_back() {
    let world = World::new();
    world.transcript(&["db", "update", "osv/npm"]);
    let record = r#"{"id": "GHSA-aaaa-bbbb-cccc", "aliases": ["CVE-2099-1000"], "modified": "2026-01-01T00:00:00Z", "summary": "A hole", "affected": [
        {"package": {"ecosystem": "npm", "name": "left-pad"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "FIX"}]}]}]}"#;
    let lab = &world.lab;
    for fix in ["1.0.0", "1.0.1"] {
        std::fs::write(lab.path("record.json"), record.replace("FIX", fix)).unwrap();
        lab.transcript(&["db", "import", "record.json"]);
    }
    let without_dates = |text: String| text.split(" · built").next().unwrap().to_owned();
    let said = [
        lab.transcript(&["db", "diff"]),
        lab.transcript(&["db", "diff", "1", "3"]),
        lab.transcript(&["db", "show", "CVE-2099-1000"]),
        lab.transcript(&["db", "search", "LEFT-"]),
        without_dates(lab.transcript(&["db", "rollback"])),
        lab.transcript(&["db", "show", "ghsa-aaaa-bbbb-cccc"]),
        lab.transcript(&["db", "rollback", "9"]),
        lab.transcript(&["db", "show", "CVE-1999-0001"]),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_server_keeps_the_feeds_fresh_that_its_estate_needs() {
    let world = World::new();
    let settings: Vec<String> = [
        "watch-host=true".to_owned(),
        "host-interval=1".to_owned(),
        format!("host-root={}", world.lab.path("app").display()),
        "feed-interval=1".to_owned(),
        "intelligence-interval=1".to_owned(),
    ]
    .into_iter()
    .chain(world.settings())
    .collect();
    let online = [("LESTRADE_AUTO_UPDATE", "true".to_owned())];
    let _serving = until("the server starts", PATIENCE, || Serving::start_in(&world.lab, &settings, &[], &online).ok()).unwrap();
    // Nothing was imported and nothing is asked for: the packages of this machine say which feeds it takes.
    let said = world.lab.until_said(&["findings"], "CVE-2024-6119");
    assert!(said.contains("lodash") || world.lab.until_said(&["findings"], "lodash").contains("CVE-"), "{said}");
    assert!(!world.server.take_requests().iter().any(|path| path.contains("PyPI")), "what the estate does not need is not fetched");

    // The next state of a feed is in force by itself; one that is no feed is refused, and is said.
    world.server.put("/alpine/v3.20/main.json", "2", SECDB.replace("3.3.2-r0", "3.3.0-r0"));
    world.lab.until_said(&["findings", "--status", "closed"], "CVE-2024-6119");
    world.server.put("/alpine/v3.20/main.json", "3", "<html>an error page</html>");
    let status = world.lab.until_said(&["status"], "! feed alpine-secdb/v3.20/main brought nothing");
    assert!(status.contains("! feed kev brought nothing"), "{status}");
    world.lab.until_said(&["findings", "--status", "closed"], "CVE-2024-6119");
}

/// What is known of exploits and of the end of a system, brought in by hand, in every place where it is said.
#[test]
fn exploits_and_the_end_of_a_system_are_told() {
    let world = World::new();
    let lab = &world.lab;
    lab.write("eol.json", ENDS.replace("ENDS", "2026-04-01"));
    lab.write("files_exploits.csv", "id,file,description,date_published,codes\n1,x,\"a, b\",2021-01-01,CVE-2021-23337\n");
    lab.write(
        "modules_metadata_base.json",
        r#"{"exploit/x": {"fullname": "exploit/x", "rank": 600, "type": "exploit", "references": ["CVE-2021-23337"], "disclosure_date": null}}"#,
    );
    lab.write(
        "CVE-2021-23337.json",
        r#"{"cveMetadata": {"cveId": "CVE-2021-23337", "state": "PUBLISHED"}, "containers": {"cna": {}, "adp": [
            {"providerMetadata": {"shortName": "CISA-ADP"}, "metrics": [{"other": {"type": "ssvc", "content": {"timestamp": "2024-06-18",
            "options": [{"Exploitation": "poc"}, {"Automatable": "yes"}, {"Technical Impact": "total"}]}}}]}]}}"#,
    );
    let files = ["dump", "eol.json", "files_exploits.csv", "modules_metadata_base.json", "CVE-2021-23337.json"];
    let said = lab.transcript(&[&["db", "import"], &files[..]].concat());
    assert!(!said.contains("NOT loaded"), "{said}");
    let report = lab.run(&["fs", "app", "-o", "json", "-o", "cyclonedx=bom.json", "-o", "sarif=out.sarif"]);
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    let finding = |id: &str| report["findings"].as_array().unwrap().iter().find(|finding| finding["id"] == id).cloned().unwrap();
    let lodash = finding("CVE-2021-23337");
    assert_eq!(lodash["exploitMaturity"], "functional");
    assert_eq!(lodash["exploits"].as_array().unwrap().len(), 2);
    assert_eq!(lodash["ssvc"]["automatable"], "yes");
    let ended = finding("end-of-life/alpine 3.20");
    assert_eq!((&ended["severity"], &ended["state"]), (&"critical".into(), &"end-of-life".into()));
    for format in ["table", "csv", "markdown", "gitlab", "junit", "spdx-json", "cyclonedx-vdr", "sarif"] {
        assert_eq!(lab.run(&["fs", "app", "-o", format]).status.code(), Some(4), "{format}: what is not judged is said, and no more");
    }
    assert!(lab.transcript(&["fs", "app"]).contains("end-of-life/alpine 3.20"));
    let shown = [lab.transcript(&["db", "show", "CVE-2021-23337"]), lab.transcript(&["explain", "CVE-2021-23337", "app"])];
    for said in shown {
        assert!(said.contains("exploit: metasploit exploit/x, functional") && said.contains("automatable yes"), "{said}");
    }
    // A collection that no longer has it takes it away, and nothing else.
    lab.write("files_exploits.csv", "id,file,description,date_published,codes\n1,x,y,2021-01-01,CVE-2000-0001\n");
    lab.transcript(&["db", "import", "files_exploits.csv"]);
    let said = lab.transcript(&["db", "show", "CVE-2021-23337"]);
    assert!(said.contains("metasploit") && !said.contains("exploit-db"), "{said}");
}
