//! Systems whose packages are others than those of most: Windows, from Microsoft's documents to the updates that it lacks, and Arch Linux.

use crate::lab::Lab;
use lestrade_testkit::windows_software;
use serde_json::Value;

const SOFTWARE: &str = "Windows/System32/config/SOFTWARE";

/// The vulnerabilities of a folder, each with its fix.
fn found(lab: &Lab, folder: &str) -> Vec<String> {
    let report: Value = serde_json::from_slice(&lab.run(&["scan", "rootfs", folder, "-o", "json"]).stdout).unwrap();
    assert_eq!(report["completeness"], "complete", "{report:#}");
    assert_eq!(report["summary"]["notJudged"], 0, "{report:#}");
    let mut found: Vec<String> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            let package = &finding["packages"][0];
            format!(
                "{} {} {}",
                finding["id"].as_str().unwrap(),
                package["name"].as_str().unwrap(),
                package["fixedIn"].as_str().unwrap_or("-")
            )
        })
        .collect();
    found.sort_unstable();
    found
}

#[test]
fn missing_updates_of_windows_are_named_and_what_supersedes_them_is_enough() {
    let lab = Lab::new();
    lab.write("feeds/2022-Dec.json", include_str!("../../../advisories/fuzz/seeds/msrc"));
    lab.write("feeds/2023-Jan.xml", include_str!("../../../advisories/fuzz/seeds/msrc-xml"));
    assert_eq!(lab.transcript(&["db", "import", "feeds"]), "2 records read · generation 1\nexit 0");
    let system = |folder: &str, revision: u32, packages: &[(&str, u32)]| {
        let hive = windows_software("Windows Server 2022 Datacenter", "Server", (20348, revision), packages);
        lab.write(&format!("{folder}/{SOFTWARE}"), hive);
    };
    let old = ("Package_for_RollupFix~31bf3856ad364e35~amd64~~20348.1249.1.16", 112);
    let of = |kb: &str| format!("Package_for_{kb}~31bf3856ad364e35~amd64~~20348.1487.1.6");
    system("old", 1249, &[old]);
    let both = ["CVE-2022-44678 Windows Server 2022 KB5021249", "CVE-2023-21674 Windows Server 2022 KB5022291"];
    assert_eq!(found(&lab, "old"), both);
    let table = lab.transcript(&["scan", "rootfs", "old"]);
    assert!(table.starts_with("old (Windows Server 2022) · 1 package ·") && table.contains("KB5022291"), "{table}");
    // What is only staged is not installed.
    system("staged", 1249, &[old, (&of("KB5022291"), 64)]);
    assert_eq!(found(&lab, "staged"), both);
    system("december", 1249, &[old, (&of("KB5021249"), 112)]);
    assert_eq!(found(&lab, "december"), both[1..]);
    // January's update supersedes December's, and the build says the same.
    system("january", 1249, &[old, (&of("KB5022291"), 112)]);
    system("built", 1487, &[]);
    assert_eq!((found(&lab, "january"), found(&lab, "built")), (vec![], vec![]));
    // A bill of materials holds what is installed too.
    for format in ["cyclonedx", "spdx"] {
        for (folder, count) in [("old", 2), ("january", 0)] {
            let name = format!("{folder}.{format}.json");
            lab.write(&name, lab.run(&["scan", "rootfs", folder, "-o", format]).stdout);
            let report: Value = serde_json::from_slice(&lab.run(&["scan", "sbom", &name, "-o", "json"]).stdout).unwrap();
            assert_eq!(report["summary"]["findings"], count, "{name}: {report:#}");
        }
    }
}

#[test]
fn a_registry_that_cannot_be_read_is_no_clean_system() {
    let lab = Lab::new();
    lab.write("feeds/2023-Jan.xml", include_str!("../../../advisories/fuzz/seeds/msrc-xml"));
    lab.transcript(&["db", "import", "feeds"]);
    let hive = windows_software("Windows Server 2022 Datacenter", "Server", (20348, 1249), &[]);
    lab.write(&format!("cut/{SOFTWARE}"), &hive[..hive.len() / 2]);
    let said = lab.transcript(&["scan", "rootfs", "cut"]);
    assert!(said.contains("the registry hive ends before it should") && said.ends_with("exit 4"), "{said}");
}

#[test]
fn packages_of_arch_linux_are_read_and_judged() {
    let lab = Lab::new();
    lab.write("arch.json", include_str!("../../../advisories/fuzz/seeds/arch"));
    assert_eq!(lab.transcript(&["db", "import", "arch.json"]), "6 records read · generation 1\nexit 0");
    lab.write("root/etc/os-release", "NAME=\"Arch Linux\"\nID=arch\nBUILD_ID=rolling\n");
    lab.write("root/var/lib/pacman/local/ALPM_DB_VERSION", "9\n");
    for (name, version) in [("xz", "5.6.1-1"), ("glibc", "2.38-7"), ("pam", "1.7.0-2")] {
        lab.write(
            &format!("root/var/lib/pacman/local/{name}-{version}/desc"),
            format!("%NAME%\n{name}\n\n%VERSION%\n{version}\n\n%BASE%\n{name}\n\n%ARCH%\nx86_64\n"),
        );
    }
    assert_eq!(found(&lab, "root"), ["CVE-2024-3094 xz 5.6.1-2", "CVE-2025-6020 pam -"]);
}
