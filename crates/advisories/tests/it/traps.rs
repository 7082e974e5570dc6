//! The traps that feeds hold, one test for each: what a record says, what is installed, and what must come of it.

use crate::now;
use lestrade_advisories::{Importer, read_osv};
use lestrade_matching::{AdvisoryIndex, judge_component};
use lestrade_model::{Advisory, Component, Ecosystem, FixState};
use serde_json::{Value, json};

/// What is found in a component: `CVE-2024-1 fixed 2.0.0`, by vulnerability.
fn found(records: &[Value], component: &Component) -> Vec<String> {
    let mut importer = Importer::new(now());
    importer.extend(records.iter().map(|record| read_osv("osv", record.clone()).unwrap()));
    judged(importer, component)
}

/// The same of a document in a file of a name.
fn found_in(name: &str, document: &str, component: &Component) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, document).unwrap();
    let mut importer = Importer::new(now());
    importer.import(&file).unwrap();
    judged(importer, component)
}

fn judged(importer: Importer, component: &Component) -> Vec<String> {
    let index = AdvisoryIndex::open(importer.finish().unwrap().0).unwrap();
    let verdicts = judge_component(&index, component).unwrap();
    let said = |(id, verdict): (String, lestrade_matching::Verdict)| {
        format!("{id} {} {}", verdict.state.as_str(), verdict.fixed_in.unwrap_or_default()).trim().to_owned()
    };
    verdicts.into_iter().map(said).collect()
}

fn component(ecosystem: &str, name: &str, version: &str) -> Component {
    Component::new(ecosystem.parse::<Ecosystem>().unwrap(), name, version)
}

/// A record of one package with one range, and what else it says.
fn record(id: &str, ecosystem: &str, name: &str, events: Value, more: Value) -> Value {
    let kind = if ["Go", "npm", "crates.io"].contains(&ecosystem) { "SEMVER" } else { "ECOSYSTEM" };
    let mut record = json!({"id": id, "modified": "2024-01-01T00:00:00Z",
        "affected": [{"package": {"ecosystem": ecosystem, "name": name}, "ranges": [{"type": kind, "events": events}]}]});
    for (key, value) in more.as_object().into_iter().flatten() {
        record[key] = value.clone();
    }
    record
}

fn until(fixed: &str) -> Value {
    json!([{"introduced": "0"}, {"fixed": fixed}])
}

/// Which of the versions a record is about.
fn hits(record: &Value, ecosystem: &str, name: &str, versions: &[&str]) -> Vec<String> {
    let is_hit = |version: &&&str| !found(std::slice::from_ref(record), &component(ecosystem, name, version)).is_empty();
    versions.iter().filter(is_hit).map(|version| (*version).to_owned()).collect()
}

fn tracker(release: Value) -> String {
    json!({"openssl": {"CVE-2024-1": {"description": "d", "scope": "local", "releases": {"bookworm": release}}}}).to_string()
}

/// Binary and source package of Debian 12.
fn libssl(version: &str) -> Component {
    component("Debian:12", "libssl3", version).from_source("openssl", version)
}

mod identity_and_merging {
    use super::*;

    #[test]
    fn aliases_join_and_related_and_upstream_do_not() {
        let related = json!({"related": ["CVE-2024-2"], "upstream": ["CVE-2024-3"], "aliases": ["CVE-2024-1"]});
        let a = component("npm", "a", "1.0.0");
        assert_eq!(found(&[record("GHSA-1", "npm", "a", until("2.0.0"), related)], &a), ["CVE-2024-1 fixed 2.0.0"]);
    }

    #[test]
    fn an_advisory_of_a_distributor_is_a_finding_for_each_cve() {
        let alma = record("ALSA-2024:1", "AlmaLinux:9", "openssl", until("3.0.7-27.el9"), json!({"related": ["CVE-2024-1", "CVE-2024-2"]}));
        let old = component("AlmaLinux:9", "openssl", "3.0.7-1.el9");
        assert_eq!(found(&[alma], &old), ["CVE-2024-1 fixed 3.0.7-27.el9", "CVE-2024-2 fixed 3.0.7-27.el9"]);
    }

    #[test]
    fn a_chain_of_aliases_joins_no_two_cves() {
        let chained = json!({"aliases": ["CVE-2021-21290", "CVE-2022-24823", "GHSA-2"]});
        let own = json!({"aliases": ["CVE-2021-21290"]});
        let records = [record("GHSA-1", "npm", "a", until("4.1.77"), chained), record("GHSA-2", "npm", "a", until("4.1.59"), own)];
        let ids = |version: &str| found(&records, &component("npm", "a", version));
        assert_eq!(ids("4.0.0"), ["CVE-2021-21290 fixed 4.1.77", "CVE-2022-24823 fixed 4.1.77"]);
        assert_eq!(ids("4.1.77"), [""; 0]);
    }

    #[test]
    fn withdrawn_rejected_and_placeholders_are_not_found() {
        let withdrawn = json!({"withdrawn": "2024-02-01T00:00:00Z", "aliases": ["CVE-2024-1"]});
        assert_eq!(found(&[record("PYSEC-1", "PyPI", "a", until("2"), withdrawn)], &component("PyPI", "a", "1")), [""; 0]);
        let placeholder = json!({"openssl": {"TEMP-0-1": {"releases": {"bookworm": {"status": "open"}}},
            "CVE-2024-1": {"releases": {"bookworm": {"status": "open"}}}}});
        assert_eq!(found_in("d.json", &placeholder.to_string(), &libssl("3")), ["CVE-2024-1 open"]);
    }

    /// Raw repositories do not fill the graph of aliases: a record answers by what it says itself, and nothing is guessed.
    #[test]
    fn a_record_answers_by_its_own_aliases_alone() {
        let named = record("PYSEC-1", "PyPI", "a", until("2.0"), json!({"aliases": ["CVE-2024-1"]}));
        let silent = record("GHSA-1", "PyPI", "a", until("2.0"), json!({}));
        assert_eq!(found(&[named, silent], &component("PyPI", "a", "1.0")), ["CVE-2024-1 fixed 2.0", "GHSA-1 fixed 2.0"]);
    }

    #[test]
    fn what_nvd_and_the_cve_list_rejected_is_not_found() {
        let matches = json!([{"vulnerable": true, "criteria": "cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*", "versionEndExcluding": "3.0"}]);
        let page = |status: &str| {
            json!({"resultsPerPage": 1, "startIndex": 0, "totalResults": 1, "format": "NVD_CVE", "version": "2.0", "vulnerabilities": [{"cve":
                {"id": "CVE-2024-1000", "vulnStatus": status, "configurations": [{"nodes": [{"operator": "OR", "cpeMatch": matches}]}]}}]})
            .to_string()
        };
        let openssl = component("Conda", "openssl", "1.1.1");
        assert_eq!(found_in("page.json", &page("Analyzed"), &openssl), ["CVE-2024-1000 fixed 3.0"]);
        assert_eq!(found_in("page.json", &page("Rejected"), &openssl), [""; 0]);
        let rejected =
            json!({"dataType": "CVE_RECORD", "cveMetadata": {"cveId": "CVE-2024-1000", "state": "REJECTED"}, "containers": {"cna": {}}});
        assert_eq!(found_in("CVE-2024-1000.json", &rejected.to_string(), &openssl), [""; 0]);
    }

    #[test]
    fn informational_notices_of_crates_are_no_vulnerabilities() {
        let mut notice = record("RUSTSEC-2021-1", "crates.io", "a", json!([{"introduced": "0.0.0-0"}]), json!({}));
        assert_eq!(found(&[notice.clone()], &component("crates.io", "a", "1.0.0")), ["RUSTSEC-2021-1 open"]);
        notice["affected"][0]["database_specific"] = json!({"categories": [], "informational": null});
        assert_eq!(found(&[notice.clone()], &component("crates.io", "a", "1.0.0")), ["RUSTSEC-2021-1 open"]);
        for word in ["unmaintained", "unsound", "notice"] {
            notice["affected"][0]["database_specific"] = json!({"informational": word});
            assert_eq!(found(&[notice.clone()], &component("crates.io", "a", "1.0.0")), [""; 0], "{word}");
        }
    }

    #[test]
    fn all_vectors_are_kept_also_with_metrics_that_are_not_defined() {
        let severity = json!({"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},
            {"type": "CVSS_V4", "score": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/E:X/CR:X/IR:X"}]});
        let advisory = read_osv("osv", record("BIT-a-2024-1", "Bitnami", "a", until("2"), severity)).unwrap();
        let scores: Vec<f64> = advisory.scores.iter().map(|score| score.cvss.score).collect();
        assert_eq!(scores, [9.8, 9.3]);
    }
}

mod debian {
    use super::*;

    #[test]
    fn the_source_package_and_its_version_are_compared() {
        let fixed = tracker(json!({"status": "resolved", "fixed_version": "3.0.11-1~deb12u2"}));
        assert_eq!(found_in("d.json", &fixed, &libssl("3.0.9-1")), ["CVE-2024-1 fixed 3.0.11-1~deb12u2"]);
        let rebuilt = component("Debian:12", "libssl3", "3.0.11-1~deb12u2+b1").from_source("openssl", "3.0.11-1~deb12u2");
        assert_eq!(found_in("d.json", &fixed, &rebuilt), [""; 0], "rebuilt for one architecture");
        let named_alike = component("Debian:12", "openssl", "1").from_source("openssl-wrapper", "1");
        assert_eq!(found_in("d.json", &fixed, &named_alike), [""; 0], "a binary package of that name, of another source");
    }

    #[test]
    fn statuses_of_the_tracker_are_told_apart() {
        for (release, said) in [
            (json!({"status": "resolved", "fixed_version": "0"}), ""),
            (json!({"status": "open"}), "CVE-2024-1 open"),
            (json!({"status": "open", "nodsa": "Minor", "nodsa_reason": ""}), "CVE-2024-1 deferred"),
            (json!({"status": "open", "nodsa": "Minor", "nodsa_reason": "postponed"}), "CVE-2024-1 deferred"),
            (json!({"status": "open", "nodsa": "Minor", "nodsa_reason": "ignored"}), "CVE-2024-1 will-not-fix"),
            (json!({"status": "open", "urgency": "end-of-life"}), "CVE-2024-1 end-of-life"),
            (json!({"status": "undetermined"}), "CVE-2024-1 under-investigation"),
            // What the tracker calls unimportant is still listed, with its word.
            (json!({"status": "open", "urgency": "unimportant"}), "CVE-2024-1 open"),
        ] {
            assert_eq!(found_in("d.json", &tracker(release.clone()), &libssl("3.0.9-1")).join(" "), said, "{release}");
        }
    }

    #[test]
    fn a_guessed_urgency_loses_its_stars() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("d.json"), tracker(json!({"status": "open", "urgency": "low**"}))).unwrap();
        let mut importer = Importer::new(now());
        importer.import(folder.path()).unwrap();
        let index = AdvisoryIndex::open(importer.finish().unwrap().0).unwrap();
        let verdict = judge_component(&index, &libssl("3")).unwrap().remove("CVE-2024-1").unwrap();
        assert_eq!(verdict.vendor_severity.as_deref(), Some("low"));
    }

    #[test]
    fn updates_of_a_release_sort_around_its_version() {
        let fixed = tracker(json!({"status": "resolved", "fixed_version": "3.0.9-1"}));
        for (version, vulnerable) in [("3.0.9-1~deb12u1", true), ("3.0.9-1", false), ("3.0.9-1+deb12u1", false), ("0:3.0.9-1", false)] {
            assert_eq!(!found_in("d.json", &fixed, &libssl(version)).is_empty(), vulnerable, "{version}");
        }
    }

    #[test]
    fn end_of_life_in_a_list_is_unsupported_and_not_clean() {
        let list = "[18 Apr 2018] DSA-4000-1 openssl - security update\n\t{CVE-2024-1}\n\t[bookworm] - openssl <end-of-life> (see above)\n";
        assert_eq!(found_in("DSA.list", list, &libssl("3")), ["CVE-2024-1 end-of-life"]);
    }

    /// No advisory comes of a package whose support ended: that nothing is known of it is said, and is not clean.
    #[test]
    fn what_is_no_longer_supported_is_said() {
        let list = "openssl  3.0.11-1~deb12u2  2026-02-01  https://lists.debian.org/x\n";
        let found = |component: &Component| found_in("security-support-ended.deb12", list, component);
        assert_eq!(found(&libssl("3.0.15-1~deb12u1")), ["end-of-support/debian 12/openssl end-of-life"]);
        assert_eq!(found(&component("Debian:13", "libssl3", "3").from_source("openssl", "3")), [""; 0]);
    }

    #[test]
    fn another_release_says_nothing() {
        let fixed = tracker(json!({"status": "resolved", "fixed_version": "3.0.9-1"}));
        let bullseye = component("Debian:11", "libssl1.1", "1.1.1n").from_source("openssl", "1.1.1n");
        assert_eq!(found_in("d.json", &fixed, &bullseye), [""; 0]);
    }
}

mod rpm {
    use super::*;

    #[test]
    fn streams_of_a_module_are_packages_apart() {
        let title = json!({"summary": "Important: postgresql:12 security update", "related": ["CVE-2024-1"]});
        let fix = record("ALSA-2024:1", "AlmaLinux:8", "postgresql", until("12.5-1.module_el8.3.0"), title);
        let of = |version: &str, module: &str| component("AlmaLinux:8", "postgresql", version).in_module(Some(module.to_owned()));
        assert_eq!(found(std::slice::from_ref(&fix), &of("9.6.1-1.module_el8.1.0", "postgresql:9.6")), [""; 0]);
        assert_eq!(
            found(std::slice::from_ref(&fix), &of("12.1-1.module_el8.1.0", "postgresql:12")),
            ["CVE-2024-1 fixed 12.5-1.module_el8.3.0"]
        );
        let unlabelled = component("AlmaLinux:8", "postgresql", "12.1-1.module_el8.1.0");
        assert_eq!(found(std::slice::from_ref(&fix), &unlabelled).len(), 1, "the label is lost, the release tells");
        assert_eq!(found(&[fix], &component("AlmaLinux:8", "postgresql", "9.2-1.el8")), [""; 0], "of no module");
    }

    #[test]
    fn flavours_of_oracles_builds_are_apart() {
        let fix = |version: &str| record("ELSA-2021-1", "Oracle Linux:8", "openssl", until(version), json!({"aliases": ["CVE-2021-1"]}));
        let (ksplice, fips, plain) = ("2:1.1.1g-15.ksplice1.el8_3", "10:1.1.1g-15.el8_3_fips", "1:1.1.1g-15.el8_3");
        let old = ["2:1.1.1g-11.ksplice1.el8", "10:1.1.1g-11.el8_fips", "1:1.1.1g-11.el8"];
        for (at, fixed) in [ksplice, fips, plain].into_iter().enumerate() {
            assert_eq!(hits(&fix(fixed), "Oracle Linux:8", "openssl", &old), [old[at]], "{fixed}");
        }
    }

    #[test]
    fn an_epoch_that_is_missing_is_zero() {
        let fix = record("RLSA-2024:1", "Rocky Linux:9", "a", until("0:1.2-3.el9"), json!({"related": ["CVE-2024-1"]}));
        assert_eq!(
            hits(&fix, "Rocky Linux:9", "a", &["1.2-2.el9", "1.2-3.el9", "0:1.2-2.el9", "1:1.0-1.el9"]),
            ["1.2-2.el9", "0:1.2-2.el9"]
        );
    }

    /// Older errata of Rocky do not name the stream: its builds are told by their releases alone.
    #[test]
    fn an_erratum_that_names_no_stream_is_about_builds_in_modules() {
        let fix = record("RLSA-2021:1", "Rocky Linux:8", "postgresql", until("12.5-1.module+el8.3.0"), json!({"related": ["CVE-2024-1"]}));
        let versions = ["12.1-1.module+el8.1.0", "12.5-1.module+el8.3.0", "9.2-1.el8"];
        assert_eq!(hits(&fix, "Rocky Linux:8", "postgresql", &versions), [versions[0]]);
    }

    /// `name:stream/package` is a package of a module, `namespace/image` is none at all.
    #[test]
    fn a_slash_in_a_name_is_not_always_a_module() {
        let document = |component: &str| {
            json!({"document": {"csaf_version": "2.0", "category": "csaf_vex", "publisher": {"name": "Red Hat Product Security"}},
                "product_tree": {"branches": [{"product": {"product_id": "B", "name": "RHEL 8",
                    "product_identification_helper": {"cpe": "cpe:/o:redhat:enterprise_linux:8::appstream"}}}],
                    "relationships": [{"full_product_name": {"product_id": format!("B:{component}")}, "product_reference": component,
                        "relates_to_product_reference": "B"}]},
                "vulnerabilities": [{"cve": "CVE-2024-1000", "product_status": {"known_affected": [format!("B:{component}")]}}]})
            .to_string()
        };
        let nodejs = component("Red Hat:8", "nodejs", "18.1.0-1.module+el8").in_module(Some("nodejs:18".to_owned()));
        assert_eq!(found_in("cve.json", &document("nodejs:18/nodejs"), &nodejs), ["CVE-2024-1000 open"]);
        assert_eq!(found_in("cve.json", &document("nodejs:20/nodejs"), &nodejs), [""; 0]);
        assert_eq!(found_in("cve.json", &document("openshift4/nodejs"), &component("Red Hat:8", "nodejs", "18.1.0-1.el8")), [""; 0]);
    }

    #[test]
    fn builds_of_other_vendors_are_not_compared_with_a_distributors() {
        let fix = record("RHSA-2024:1", "Red Hat:9", "php", until("8.0.30-1.el9"), json!({"upstream": ["CVE-2024-1"]}));
        let versions = ["8.0.13-1.el9", "8.0.13-1.el9.remi", "7.4.33-1.el9.remi"];
        assert_eq!(hits(&fix, "Red Hat:9", "php", &versions), [versions[0]]);
    }

    #[test]
    fn architectures_of_an_update_are_one_fix_and_its_source_is_none() {
        let package = |arch: &str, release: &str| format!("<package name='a' epoch='0' version='2' release='{release}' arch='{arch}'/>");
        let updates = format!(
            "<updates><update type='security'><id>ALAS2023-2023-001</id><references><reference id='CVE-2023-1000' type='cve'/></references>\
             <pkglist><collection>{}{}{}</collection></pkglist></update></updates>",
            package("aarch64", "1.amzn2023"),
            package("x86_64", "1.amzn2023"),
            package("src", "9.amzn2023")
        );
        let old = component("Amazon Linux:2023", "a", "1-1.amzn2023");
        assert_eq!(found_in("updateinfo.xml", &updates, &old), ["CVE-2023-1000 fixed 2-1.amzn2023"]);
    }

    #[test]
    fn lines_of_extended_support_are_releases_of_their_own() {
        let fix = record("RHSA-2024:1", "Red Hat:rhel_eus:9.2::baseos", "a", until("1.2-3.el9_2"), json!({"upstream": ["CVE-2024-1"]}));
        assert_eq!(hits(&fix, "Red Hat:9", "a", &["1.2-1.el9"]), [""; 0]);
        assert_eq!(hits(&fix, "Red Hat:rhel_eus:9.2", "a", &["1.2-1.el9_2"]), ["1.2-1.el9_2"]);
    }
}

mod microsoft {
    use super::*;
    use lestrade_model::Kb;

    const DECEMBER: (&str, &str) = ("2022-Dec.json", include_str!("../../fuzz/seeds/msrc"));
    const JANUARY: (&str, &str) = ("2023-Jan.xml", include_str!("../../fuzz/seeds/msrc-xml"));
    const CSAF: (&str, &str) = ("msrc_cve-2023-21674.json", include_str!("../../fuzz/seeds/msrc-csaf"));

    fn windows(product: &str, build: &str, updates: &str) -> Component {
        component(&format!("Windows:{product}"), product, build).with_updates(&Kb::all_in(updates).collect())
    }

    /// What is found of documents that come one after another, each making a generation on top of the one before.
    fn found_after(documents: &[(&str, &str)], component: &Component) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let mut importer = Importer::new(now());
        for (name, text) in documents {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            importer.import(&file).unwrap();
            let index = AdvisoryIndex::open(importer.finish().unwrap().0).unwrap();
            importer = Importer::on_top_of(&index, now()).unwrap();
        }
        judged(importer, component)
    }

    #[test]
    fn an_update_that_supersedes_the_fix_is_as_good_over_any_number_of_others() {
        let found = |updates: &str| found_after(&[DECEMBER, JANUARY], &windows("Windows Server 2022", "10.0.20348", updates));
        assert_eq!(found(""), ["CVE-2022-44678 fixed KB5021249", "CVE-2023-21674 fixed KB5022291"]);
        assert_eq!(found("KB5019081"), found(""), "what the fix supersedes is not the fix");
        assert_eq!(found("KB5021249"), ["CVE-2023-21674 fixed KB5022291"]);
        assert_eq!(found("KB5022291"), [""; 0]);
        // A month later something supersedes January's, and so December's.
        let february =
            JANUARY.1.replace("CVE-2023-21674", "CVE-2023-21688").replace("5021249", "5022291").replace("KB5022291", "KB5022842");
        let february = february.replace("<vuln:Description>5022291<", "<vuln:Description>5022842<").replace("20348.1487", "20348.1547");
        let documents = [DECEMBER, JANUARY, ("2023-Feb.xml", february.as_str())];
        assert_eq!(found_after(&documents, &windows("Windows Server 2022", "10.0.20348", "KB5022842")), [""; 0]);
    }

    #[test]
    fn the_order_in_which_months_come_does_not_matter() {
        for updates in ["", "KB5021249", "KB5022291", "KB5022352", "KB5021296"] {
            for product in ["Windows Server 2022", "Windows Server 2012 R2"] {
                let host = windows(product, "10.0.20348", updates);
                let one = found_after(&[DECEMBER, JANUARY, CSAF], &host);
                for order in [[JANUARY, DECEMBER, CSAF], [CSAF, JANUARY, DECEMBER], [CSAF, DECEMBER, JANUARY]] {
                    assert_eq!(found_after(&order, &host), one, "{product} {updates}");
                }
            }
        }
    }

    #[test]
    fn the_build_tells_of_cumulative_updates_whose_packages_have_no_number() {
        let found = |build: &str| found_after(&[DECEMBER, JANUARY], &windows("Windows Server 2022", build, ""));
        assert_eq!(found("10.0.20348.1366"), ["CVE-2023-21674 fixed KB5022291"]);
        assert_eq!(found("10.0.20348.1487"), [""; 0]);
    }

    #[test]
    fn a_security_only_update_is_enough_for_its_month_and_brings_nothing_of_before() {
        let found = |build: &str, updates: &str| found_after(&[DECEMBER, JANUARY], &windows("Windows Server 2012 R2", build, updates));
        assert_eq!(found("6.3.9600", ""), ["CVE-2022-44678 fixed KB5021294", "CVE-2023-21674 fixed KB5022352"], "the rollup is named");
        assert_eq!(found("6.3.9600", "KB5021296"), ["CVE-2023-21674 fixed KB5022352"]);
        assert_eq!(found("6.3.9600", "KB5022346"), ["CVE-2022-44678 fixed KB5021294"]);
        assert_eq!(found("6.3.9600", "KB5022352"), [""; 0], "January's rollup has December's");
        assert_eq!(found("6.3.9600.20778", "KB5022346"), ["CVE-2022-44678 fixed KB5021294"], "a build that only one update led to");
    }

    #[test]
    fn supersedence_is_of_one_product() {
        // For another product the same update does not supersede it.
        let other = DECEMBER.1.replace("\"5019966\"", "\"5021249\"");
        let host = windows("Windows Server 2022", "10.0.20348", "KB5021237");
        assert_eq!(found_after(&[("2022-Dec.json", other.as_str())], &host), ["CVE-2022-44678 fixed KB5021249"]);
    }

    #[test]
    fn updates_that_supersede_each_other_in_a_circle_end() {
        let circle = JANUARY.1.replace("KB5022291", "KB5019081").replace(">5022291<", ">5019081<");
        let documents = [DECEMBER, ("2023-Jan.xml", circle.as_str())];
        assert_eq!(found_after(&documents, &windows("Windows Server 2022", "10.0.20348", "KB5019081")), [""; 0]);
        assert_eq!(found_after(&documents, &windows("Windows Server 2022", "10.0.20348", "KB5000001")).len(), 2);
    }

    #[test]
    fn a_server_without_a_desktop_and_other_releases_are_other_products() {
        let found = |product: &str| found_after(&[CSAF], &windows(product, "10.0.1", "")).len();
        assert_eq!(
            (found("Windows Server 2022"), found("Windows Server 2022 (Server Core installation)"), found("Windows Server 2019")),
            (1, 0, 0)
        );
    }

    #[test]
    fn a_hotpatch_leads_to_a_build_that_says_nothing_of_others() {
        let hotpatch = JANUARY.1.replacen(
            "<vuln:Remediations>",
            "<vuln:Remediations><vuln:Remediation Type=\"Vendor Fix\"><vuln:Description>5022553</vuln:Description>\
             <vuln:ProductID>11923</vuln:ProductID><vuln:SubType>Security Hotpatch Update</vuln:SubType>\
             <vuln:FixedBuild>10.0.20348.1484</vuln:FixedBuild></vuln:Remediation>",
            1,
        );
        let found =
            |build: &str, updates: &str| found_after(&[("2023-Jan.xml", &hotpatch)], &windows("Windows Server 2022", build, updates));
        assert_eq!(found("10.0.20348.1484", ""), [""; 0]);
        assert_eq!(found("10.0.20348.1485", ""), ["CVE-2023-21674 fixed KB5022291"], "a preview of the other line");
        assert_eq!(found("10.0.20348.1400", "KB5022553"), [""; 0]);
    }

    /// Documents of a month are about all that Microsoft makes. What is not Windows itself is neither judged nor called missing, whatever
    /// its name begins or ends with.
    #[test]
    fn office_net_framework_and_edge_are_not_called_missing() {
        for other in [
            "Microsoft Office 2019 for 64-bit editions",
            "Microsoft 365 Apps for Enterprise for 64-bit Systems",
            "Microsoft Edge (Chromium-based)",
            "Microsoft .NET Framework 3.5 AND 4.8 on Windows Server 2022",
            "Microsoft Exchange Server 2019 Cumulative Update 12",
            "Windows Defender Antimalware Platform",
            "Windows Server Update Services",
        ] {
            let of_another = DECEMBER.1.replace("\"Value\": \"Windows Server 2022\"", &format!("\"Value\": \"{other}\""));
            assert_ne!(of_another, DECEMBER.1);
            let host = windows("Windows Server 2022", "10.0.20348", "");
            assert_eq!(found_after(&[("2022-Dec.json", &of_another)], &host), [""; 0], "{other}");
        }
    }

    #[test]
    fn guidance_other_products_and_azure_linux_are_not_of_windows() {
        let all = found_after(&[DECEMBER], &windows("Windows Server 2022", "10.0.20348", ""));
        assert_eq!(all, ["CVE-2022-44678 fixed KB5021249"], "neither ADV990001 nor CVE-2022-41848");
        let kernel = component("Azure Linux:1", "kernel", "5.10.1-1");
        assert_eq!(found_after(&[DECEMBER], &kernel), [""; 0]);
    }
}

mod nvd {
    use super::*;

    fn page(product: &str, end: &str) -> String {
        let criteria = format!("cpe:2.3:a:{product}:*:*:*:*:*:*:*:*");
        let matches = json!([{"vulnerable": true, "criteria": criteria, "versionStartIncluding": "1.1.1", "versionEndExcluding": end}]);
        json!({"resultsPerPage": 1, "startIndex": 0, "totalResults": 1, "format": "NVD_CVE", "version": "2.0", "vulnerabilities": [{"cve":
            {"id": "CVE-2023-0286", "vulnStatus": "Analyzed", "configurations": [{"nodes": [{"operator": "OR", "cpeMatch": matches}]}]}}]})
        .to_string()
    }

    #[test]
    fn trap_17_configurations_are_asked_only_where_nobody_else_speaks() {
        let found = |document: &str, ecosystem: &str, name: &str, version: &str| {
            found_in("page.json", document, &component(ecosystem, name, version))
        };
        let openssl = page("openssl:openssl", "1.1.1t");
        assert_eq!(found(&openssl, "Conda", "openssl", "1.1.1s"), ["CVE-2023-0286 fixed 1.1.1t"]);
        assert_eq!(found(&openssl, "Conda", "openssl", "1.1.1w"), [""; 0], "letters behind a number are patches");
        for (ecosystem, name) in [("Debian:12", "openssl"), ("npm", "openssl"), ("crates.io", "openssl"), ("Conda", "openssl-legacy")] {
            assert_eq!(found(&openssl, ecosystem, name, "1.1.1"), [""; 0], "{ecosystem} {name}");
        }
        // What somebody corrects NVD in takes its place, whichever comes first.
        let correction = json!({"_annotation": {"cve_id": "CVE-2023-0286"}, "cve": {"configurations": []}}).to_string();
        for order in [[&openssl, &correction], [&correction, &openssl]] {
            let folder = tempfile::tempdir().unwrap();
            let mut importer = Importer::new(now());
            for (number, document) in order.iter().enumerate() {
                let file = folder.path().join(format!("{number}.json"));
                std::fs::write(&file, document).unwrap();
                importer.import(&file).unwrap();
            }
            assert_eq!(judged(importer, &component("Conda", "openssl", "1.1.1s")), [""; 0]);
        }
        // A product of a name that is not on the list is no package, whatever is called so.
        assert_eq!(found(&page("cli:cli", "2.0"), "Conda", "cli", "1.5"), [""; 0]);
    }
}

mod arch {
    use super::*;

    const TRACKER: &str = include_str!("../../fuzz/seeds/arch");

    #[test]
    fn packages_are_named_as_installed_and_judged_by_their_release_too() {
        let found = |name: &str, version: &str| found_in("all.json", TRACKER, &component("Arch Linux", name, version));
        assert_eq!(found("lib32-glibc", "2.38-6"), ["CVE-2023-4911 fixed 2.38-7"]);
        assert_eq!(found("glibc", "2.38-7"), [""; 0]);
        assert_eq!(found("xz", "5.6.1-1"), ["CVE-2024-3094 fixed 5.6.1-2"]);
        assert_eq!(found("xz", "1:5.4.0-1"), [""; 0], "an epoch is above all");
    }

    #[test]
    fn statuses_of_the_tracker_are_told_apart() {
        let found = |name: &str| found_in("all.json", TRACKER, &component("Arch Linux", name, "1-1")).join(" ");
        assert_eq!(
            [found("pam"), found("bash"), found("curl"), found("test-pkg"), found("zsh")],
            ["CVE-2025-6020 open", "CVE-2025-6022 under-investigation", "", "", "CVE-2025-6024 open"]
        );
    }
}

mod languages {
    use super::*;

    #[test]
    fn trap_1_several_pairs_are_sorted_and_ranges_and_versions_are_alternatives() {
        let pairs = json!([{"fixed": "2.1.0"}, {"introduced": "0"}, {"fixed": "1.5.0"}, {"introduced": "2.0.0"}]);
        let mut several = record("GHSA-1", "npm", "a", pairs, json!({}));
        several["affected"][0]["versions"] = json!(["1.7.0"]);
        assert_eq!(hits(&several, "npm", "a", &["1.0.0", "1.5.0", "1.7.0", "2.0.5", "2.1.0"]), ["1.0.0", "1.7.0", "2.0.5"]);
    }

    #[test]
    fn trap_2_the_last_affected_version_is_affected() {
        let last = record("PYSEC-1", "PyPI", "a", json!([{"introduced": "1.0"}, {"last_affected": "1.2"}]), json!({}));
        assert_eq!(hits(&last, "PyPI", "a", &["0.9", "1.0", "1.2.0", "1.2.1"]), ["1.0", "1.2.0"]);
    }

    #[test]
    fn trap_3_lists_of_versions_match_in_the_spellings_of_their_ecosystem() {
        let listed =
            |ecosystem: &str| json!({"id": "X-1", "affected": [{"package": {"ecosystem": ecosystem, "name": "a:a"}, "versions": ["1.0"]}]});
        assert_eq!(hits(&listed("PyPI"), "PyPI", "a:a", &["1.0", "1.0.0", "1.1"]), ["1.0", "1.0.0"]);
        assert_eq!(hits(&listed("Maven"), "Maven", "a:a", &["1.0", "1.0.0", "1.1"]), ["1.0"]);
    }

    #[test]
    fn trap_4_without_an_end_everything_from_the_introduction_on_is_affected() {
        let open = record("GO-1", "Go", "example.org/a", json!([{"introduced": "1.2.0"}]), json!({}));
        assert_eq!(hits(&open, "Go", "example.org/a", &["v1.1.9", "v1.2.0", "v9.0.0"]), ["v1.2.0", "v9.0.0"]);
    }

    #[test]
    fn trap_5_versions_of_go_modules() {
        let all = record("GO-1", "Go", "example.org/a", until("1.2.3"), json!({}));
        let versions = [
            "v1.2.2",
            "1.2.2",
            "v1.2.3",
            "v1.2.3+incompatible",
            "v1.2.3-0.20210101000000-abcdefabcdef",
            "v0.0.0-20200101000000-abcdefabcdef",
        ];
        assert_eq!(hits(&all, "Go", "example.org/a", &versions), [versions[0], versions[1], versions[4], versions[5]]);
        assert_eq!(found(&[all], &component("Go", "example.org/a", "(devel)")), ["GO-1 open"], "nobody knows which it is");
        let lowest = record("R-1", "crates.io", "a", json!([{"introduced": "0.0.0-0"}, {"fixed": "0.0.1"}]), json!({}));
        assert_eq!(hits(&lowest, "crates.io", "a", &["0.0.0-alpha", "0.0.0", "0.0.1"]), ["0.0.0-alpha", "0.0.0"]);
    }

    #[test]
    fn trap_6_the_standard_library_and_machine_made_ranges() {
        let stdlib = record("GO-1", "Go", "stdlib", until("1.21.4"), json!({}));
        assert_eq!(hits(&stdlib, "Go", "stdlib", &["v1.21.3", "go1.21.3", "1.21.3", "go1.21.4"]), ["v1.21.3", "go1.21.3", "1.21.3"]);
        let mut unreviewed = record("GO-2", "Go", "example.org/a", json!([{"introduced": "0"}]), json!({}));
        unreviewed["affected"][0]["ecosystem_specific"] =
            json!({"custom_ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "2.9.0"}, {"fixed": "2.9.12"}]}]});
        let versions = ["v2.8.0+incompatible", "v2.9.5+incompatible", "v2.9.12+incompatible", "v0.0.0-20240101000000-abcdefabcdef"];
        assert_eq!(hits(&unreviewed, "Go", "example.org/a", &versions), [versions[1], versions[3]]);
    }

    #[test]
    fn trap_7_a_date_that_lies_changes_nothing() {
        let of = |modified: &str| {
            let mut importer = Importer::new(now());
            let record = record("PYSEC-2025-19", "PyPI", "a", until("2"), json!({"modified": modified}));
            importer.extend([read_osv("osv", record).unwrap()]);
            AdvisoryIndex::open(importer.finish().unwrap().0).unwrap()
        };
        let (year_one, future) = (of("0001-01-01T00:00:00Z"), of("2027-05-05T00:00:00Z"));
        let diff = future.diff(&year_one).unwrap();
        assert_eq!((diff.added, diff.changed, diff.removed), (0, 0, 0));
    }

    #[test]
    fn trap_8_names_are_one_only_as_far_as_their_ecosystem_says() {
        for (ecosystem, written, installed, same) in [
            ("PyPI", "Foo_Bar", "foo.bar", true),
            ("NuGet", "Newtonsoft.Json", "newtonsoft.json", true),
            ("Packagist", "Vendor/Name", "vendor/name", true),
            ("npm", "@A/b", "@a/b", false),
            ("Maven", "org.a:b", "org.a:B", false),
            ("Go", "example.org/A", "example.org/a", false),
            ("Go", "example.org/a/v2", "example.org/a", false),
        ] {
            let record = record("X-1", ecosystem, written, until("2.0.0"), json!({}));
            assert_eq!(!found(&[record], &component(ecosystem, installed, "1.0.0")).is_empty(), same, "{ecosystem} {written}");
        }
    }

    #[test]
    fn trap_9_suffixes_of_ecosystems() {
        for (written, installed, covers) in [
            ("Debian", "Debian:12", true),
            ("Debian:11", "Debian:12", false),
            ("Alpine:v3.20", "Alpine:v3.20", true),
            ("Alpine:v3.20", "Alpine:v3.2", false),
            ("Ubuntu:22.04:LTS", "Ubuntu:22.04", true),
            ("Packagist:https://packages.drupal.org/8", "Packagist", true),
            ("SUSE:Linux Enterprise Module for Basesystem 15 SP4", "SUSE:Linux Enterprise Server 15 SP4", true),
        ] {
            let record = record("X-1", written, "a", until("2"), json!({"upstream": ["CVE-2024-1"]}));
            assert_eq!(!found(&[record], &component(installed, "a", "1")).is_empty(), covers, "{written} and {installed}");
        }
    }

    #[test]
    fn trap_10_what_the_system_owns_its_distributor_answers_for() {
        let upstream = record("PYSEC-1", "PyPI", "setuptools", until("65.5.1"), json!({"aliases": ["CVE-2022-40897"]}));
        let module = component("PyPI", "setuptools", "53.0.0");
        assert_eq!(found(std::slice::from_ref(&upstream), &module), ["CVE-2022-40897 fixed 65.5.1"]);
        assert_eq!(found(&[upstream], &module.owned_by_os(true)), [""; 0]);
    }

    #[test]
    fn trap_11_qualifiers_of_maven_versions() {
        let fix = record("GHSA-1", "Maven", "a:b", until("4.1.68.Final"), json!({}));
        let versions = ["4.1.67.Final", "4.1.68.Final", "4.1.68.Final-redhat-00001", "4.1.68.redhat-00001", "4.1.67.Final-redhat-00001"];
        assert_eq!(hits(&fix, "Maven", "a:b", &versions), [versions[0], versions[4]]);
    }

    #[test]
    fn trap_13_epochs_and_updates_of_debian_count() {
        let fix = record("DSA-1", "Debian:12", "vim", until("2:9.0.1378-2+deb12u1"), json!({"upstream": ["CVE-2024-1"]}));
        let versions = ["2:9.0.1378-2", "2:9.0.1378-2+deb12u1", "2:9.0.1378-2+deb12u2", "9.1", "8.3"];
        assert_eq!(hits(&fix, "Debian:12", "vim", &versions), [versions[0], versions[3], versions[4]]);
    }

    #[test]
    fn trap_14_alpines_zero_several_ids_and_origins() {
        let secdb = r#"{"distroversion": "v3.18", "reponame": "main", "packages": [{"pkg": {"name": "xen", "secfixes":
            {"4.13.0-r3": ["CVE-2019-1 XSA-300"], "0": ["CVE-2019-2"]}}}]}"#;
        let hypervisor = component("Alpine:v3.18", "xen-libs", "4.12.0-r1").from_source("xen", "4.12.0-r1");
        assert_eq!(found_in("main.json", secdb, &hypervisor), ["CVE-2019-1 fixed 4.13.0-r3"]);
    }

    #[test]
    fn trap_15_subscribers_fixes_close_no_other_host_and_are_not_lost() {
        let mut esm = record("UBUNTU-CVE-2024-1", "Ubuntu:Pro:18.04:LTS", "a", until("1.0+esm1"), json!({"upstream": ["CVE-2024-1"]}));
        let plain = json!({"package": {"ecosystem": "Ubuntu:18.04:LTS", "name": "a"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]});
        esm["affected"].as_array_mut().unwrap().push(plain);
        assert_eq!(found(std::slice::from_ref(&esm), &component("Ubuntu:18.04", "a", "1.0")), ["CVE-2024-1 fixed 1.0+esm1"]);
        assert_eq!(found(&[esm], &component("Ubuntu:18.04", "a", "1.0+esm1")), [""; 0]);
        let several = "Candidate: CVE-2024-2000\nbionic_a: ignored (end of standard support)\nesm-infra/bionic_a: released (1.0+esm2)\n\
            fips/bionic_a: needed\n";
        assert_eq!(found_in("CVE-2024-2000", several, &component("Ubuntu:18.04", "a", "1.0")), ["CVE-2024-2000 fixed 1.0+esm2"]);
    }

    #[test]
    fn trap_16_records_without_a_package_are_nobodys() {
        let no_package = json!({"id": "GHSA-1", "affected": [{"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}]});
        let no_ecosystem = json!({"id": "GHSA-2", "affected": [{"package": {"name": "a"}, "ranges": []}]});
        let malicious = record("MAL-2024-1", "npm", "a", json!([{"introduced": "0"}]), json!({}));
        assert_eq!(found(&[no_package, no_ecosystem, malicious], &component("npm", "a", "1.0.0")), ["MAL-2024-1 open"]);
    }

    #[test]
    fn trap_17_nothing_is_matched_by_a_products_name() {
        let cve = json!({"dataType": "CVE_RECORD", "cveMetadata": {"cveId": "CVE-2024-1000", "state": "PUBLISHED"},
            "containers": {"cna": {"affected": [{"vendor": "cli", "product": "cli", "versions": [{"version": "0", "lessThan": "2", "status": "affected"}]}]}}});
        assert_eq!(found_in("CVE-2024-1000.json", &cve.to_string(), &component("npm", "cli", "1.0.0")), [""; 0]);
    }

    #[test]
    fn trap_18_an_advisory_without_a_cve_is_kept_under_its_own_id() {
        let list = "[01 Jul 2024] DSA-5724-1 openssh - security update\n\t[bookworm] - openssh 1:9.2p1-2+deb12u3\n";
        let server = component("Debian:12", "openssh-server", "1:9.2p1-2+deb12u2").from_source("openssh", "1:9.2p1-2+deb12u2");
        assert_eq!(found_in("DSA.list", list, &server), ["DSA-5724-1 fixed 1:9.2p1-2+deb12u3"]);
    }
}

mod ranges_of_other_databases {
    use super::*;

    #[test]
    fn trap_12_rubysec_says_what_is_safe() {
        let yaml =
            "gem: a\ntitle: t\ncve: 2024-1\npatched_versions:\n  - \"~> 1.2.3\"\n  - \">= 2.0\"\nunaffected_versions:\n  - \"< 1.0\"\n";
        let hit = |version: &str| !found_in("a.yml", yaml, &component("RubyGems", "a", version)).is_empty();
        let versions = ["0.9", "1.0", "1.2.2", "1.2.3", "1.2.9", "1.3.0", "2.0"];
        assert_eq!(versions.map(hit), [false, true, true, false, false, true, false]);
    }

    #[test]
    fn trap_12_friends_of_php_join_by_and_inside_a_branch() {
        let yaml = "title: t\ncve: CVE-2024-1\nreference: composer://a/b\nbranches:\n  1.x:\n    versions: ['>=1.0', '<1.2']\n  2.x:\n    versions: ['>=2.0', '<2.1']\n";
        let hit = |version: &str| !found_in("CVE-2024-1.yaml", yaml, &component("Packagist", "a/b", version)).is_empty();
        assert_eq!(["0.9", "1.1", "1.2", "2.0", "2.1"].map(hit), [false, true, false, true, false]);
    }
}

/// Definitions of one vulnerability bear the same id in SUSE's files of several products: none takes the place of another.
#[test]
fn files_of_several_products_are_kept_apart() {
    let oval = |platform: &str, fixed: &str| {
        format!(
            "<oval_definitions xmlns:l='x'><definitions><definition id='oval:org.opensuse.security:def:20241000' class='vulnerability'>\
             <metadata><title>CVE-2024-1000</title><affected family='unix'><platform>{platform}</platform></affected>\
             <reference source='CVE' ref_id='CVE-2024-1000'/></metadata><criteria operator='AND'>\
             <criterion comment='{platform} is installed'/><criterion test_ref='t' comment='a is earlier'/></criteria></definition></definitions>\
             <tests><l:rpminfo_test id='t'><l:object object_ref='o'/><l:state state_ref='s'/></l:rpminfo_test></tests>\
             <objects><l:rpminfo_object id='o'><l:name>a</l:name></l:rpminfo_object></objects>\
             <states><l:rpminfo_state id='s'><l:evr operation='less than'>0:{fixed}</l:evr></l:rpminfo_state></states></oval_definitions>"
        )
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("12.xml"), oval("SUSE Linux Enterprise Server 12", "2-1")).unwrap();
    std::fs::write(folder.path().join("15.xml"), oval("SUSE Linux Enterprise Server 15", "3-1")).unwrap();
    for (release, fixed) in [("12", "2-1"), ("15", "3-1")] {
        let mut importer = Importer::new(now());
        importer.import(folder.path()).unwrap();
        let installed = component(&format!("SUSE:Linux Enterprise Server {release}"), "a", "1-1");
        assert_eq!(judged(importer, &installed), [format!("CVE-2024-1000 fixed {fixed}")]);
    }
}

/// What a record says of where a fix stands reaches the verdict as its own state.
#[test]
fn states_are_told_apart_to_the_end() {
    let mut advisory = Advisory::new("test", "CVE-2024-1");
    for state in [FixState::Open, FixState::Deferred, FixState::WillNotFix, FixState::EndOfLife, FixState::UnderInvestigation] {
        advisory.affected = vec![lestrade_model::Affected::always("Debian:12".parse().unwrap(), "a", state)];
        let mut importer = Importer::new(now());
        importer.extend([advisory.clone()]);
        assert_eq!(judged(importer, &component("Debian:12", "a", "1")), [format!("CVE-2024-1 {}", state.as_str())]);
    }
}
