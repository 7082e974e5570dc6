//! An estate that re-evaluates itself, as a user meets it: this machine from the first start.

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
