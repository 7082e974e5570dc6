//! The ways to feeds that are more than a file: lists of changes, repositories with an index, archives of documents.

use crate::update::{Lab, dump, record, updated};
use lestrade_advisories::FeedOutcome;
use lestrade_model::Family;
use sha2::{Digest, Sha256};
use std::io::Write;

/// OSV's list of changes, the newest first.
fn changes(rows: &[(&str, &str)]) -> String {
    rows.iter().map(|(time, id)| format!("{time},{id}\n")).collect()
}

#[test]
fn osv_is_followed_by_its_list_of_changes() {
    let lab = Lab::new();
    let before = [("2026-11-20T00:00:00Z", "GHSA-1"), ("2026-11-01T00:00:00Z", "GHSA-2")];
    lab.server.put("/osv/npm/modified_id.csv", "1", changes(&before));
    assert_eq!(lab.update(&["osv"]), [updated(100)]);
    lab.server.take_requests();
    assert_eq!(lab.update(&["osv"]), [FeedOutcome::Unchanged]);
    assert_eq!(lab.server.take_requests(), ["304 /osv/npm/modified_id.csv"]);

    let after = [("2026-11-22T09:00:00Z", "GHSA-200"), ("2026-11-22T08:00:00Z", "GHSA-7"), before[0], before[1]];
    lab.server.put("/osv/npm/modified_id.csv", "2", changes(&after));
    lab.server.put("/osv/npm/GHSA-200.json", "1", record(200));
    let withdrawn = record(7).replacen("\"modified\"", "\"withdrawn\": \"2026-11-22T00:00:00Z\", \"modified\"", 1);
    lab.server.put("/osv/npm/GHSA-7.json", "1", withdrawn);
    assert_eq!(lab.update(&["osv"]), [updated(101)]);
    assert!(lab.affected(Family::Npm, None, "package-200", "1.0.0") && !lab.affected(Family::Npm, None, "package-7", "1.0.0"));
    assert!(lab.affected(Family::Npm, None, "package-99", "1.0.0"), "what did not change stays");
    assert_eq!(
        lab.server.take_requests(),
        ["200 /osv/npm/modified_id.csv", "200 /osv/npm/GHSA-200.json", "200 /osv/npm/GHSA-7.json"],
        "the dump is not fetched again"
    );

    // Lists of changes do not tell what was taken away: after a week the whole is fetched.
    lab.server.put("/osv/npm/all.zip", "2", dump(3..103));
    assert_eq!(lab.update_on("2026-12-01", &["osv"]), [updated(100)]);
    assert!(!lab.affected(Family::Npm, None, "package-2", "1.0.0") && lab.affected(Family::Npm, None, "package-102", "1.0.0"));
}

#[test]
fn a_change_that_cannot_be_fetched_is_asked_for_again() {
    let lab = Lab::new();
    lab.server.put("/osv/npm/modified_id.csv", "1", changes(&[("2026-11-20T00:00:00Z", "GHSA-1")]));
    lab.update(&["osv"]);
    lab.server.put("/osv/npm/modified_id.csv", "2", changes(&[("2026-11-22T00:00:00Z", "GHSA-300"), ("2026-11-20T00:00:00Z", "GHSA-1")]));
    assert_eq!(lab.update(&["osv"]), [FeedOutcome::Missing("the server answers 404".into())]);
    lab.server.put("/osv/npm/GHSA-300.json", "1", record(300));
    assert_eq!(lab.update(&["osv"]), [updated(101)]);
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn repository(lab: &Lab, version: &str) {
    let updates = gzip(&format!(
        "<updates><update type='security'><id>ALAS2023-2023-001</id><references><reference id='CVE-2023-1000' type='cve'/></references>\
         <pkglist><collection><package name='openssl' epoch='1' version='{version}' release='1.amzn2023' arch='x86_64'/></collection></pkglist>\
         </update></updates>"
    ));
    let sum: String = Sha256::digest(&updates).iter().map(|byte| format!("{byte:02x}")).collect();
    let index = format!(
        "<repomd><data type='primary'/><data type='updateinfo'><checksum type='sha256'>{sum}</checksum>\
         <location href='repodata/updateinfo.xml.gz'/></data></repomd>"
    );
    lab.server.put("/al2023/core/mirrors/latest/x86_64/mirror.list", "1", format!("{}/mirror\n", lab.server.url()));
    lab.server.put("/mirror/repodata/repomd.xml", version, index);
    lab.server.put("/mirror/repodata/updateinfo.xml.gz", version, updates);
}

#[test]
fn a_repository_is_found_by_its_mirrors_and_told_by_its_index() {
    let lab = Lab::new();
    repository(&lab, "3.0.8");
    assert_eq!(lab.update(&["amazon-linux"]), [updated(1)]);
    assert!(lab.affected(Family::Amazon, Some("2023"), "openssl", "1:3.0.7-1.amzn2023"));
    assert!(!lab.affected(Family::Amazon, Some("2023"), "openssl", "1:3.0.8-1.amzn2023"));
    assert!(!lab.affected(Family::Amazon, Some("2"), "openssl", "1:1.0.2-1.amzn2"));
    assert_eq!(lab.update(&["amazon-linux"]), [FeedOutcome::Unchanged]);
    repository(&lab, "3.0.9");
    lab.server.put("/mirror/repodata/updateinfo.xml.gz", "x", gzip("<updates/>"));
    assert_eq!(lab.update(&["amazon-linux"]), [FeedOutcome::Refused("it is not what the repository's index says".into())]);
    assert!(!lab.affected(Family::Amazon, Some("2023"), "openssl", "1:3.0.8-1.amzn2023"), "the last good state stays");
    repository(&lab, "3.0.9");
    assert_eq!(lab.update(&["amazon-linux"]), [updated(1)]);
    assert!(lab.affected(Family::Amazon, Some("2023"), "openssl", "1:3.0.8-1.amzn2023"));
}

/// The extras of Amazon Linux 2 are those of its catalogue; they take nothing away from its core and from other releases.
#[test]
fn extras_are_found_by_their_catalogue() {
    let mut lab = Lab::new();
    lab.places.amazon_linux_repositories = vec!["al2023/core".into(), "2/extras".into()];
    repository(&lab, "3.0.8");
    assert_eq!(lab.update(&["amazon-linux/al2023"]), [updated(1)]);
    let base = lab.server.url();
    lab.server.put("/2/extras-catalog.json", "1", r#"{"topics": [{"n": "kernel-5.15"}, {"n": "vim"}, {"n": "gone"}, {"n": "../x"}]}"#);
    let extra = |topic: &str, index: &str| {
        lab.server.put(&format!("/2/extras/{topic}/latest/x86_64/mirror.list"), "1", format!("{base}/{topic}\n"));
        lab.server.put(&format!("/{topic}/repodata/repomd.xml"), index, index.to_owned());
    };
    extra("vim", "<repomd><data type='primary'/></repomd>");
    let kernel = |version: &str| {
        let updates = gzip(&format!(
            "<updates><update type='security'><id>ALAS2KERNEL-5.15-2022-001</id><references><reference id='CVE-2022-1000' type='cve'/>\
             </references><pkglist><collection><package name='kernel' epoch='0' version='{version}' release='1.amzn2' arch='x86_64'/>\
             </collection></pkglist></update></updates>"
        ));
        let sum: String = Sha256::digest(&updates).iter().map(|byte| format!("{byte:02x}")).collect();
        extra(
            "kernel-5.15",
            &format!(
                "<repomd><data type='updateinfo'><checksum type='sha256'>{sum}</checksum><location href='repodata/u.xml.gz'/></data></repomd>"
            ),
        );
        lab.server.put("/kernel-5.15/repodata/u.xml.gz", version, updates);
    };
    kernel("5.15.5");
    assert_eq!(lab.update(&["amazon-linux/2/extras"]), [updated(1)]);
    let affected = |version: &str| lab.affected(Family::Amazon, Some("2"), "kernel", version);
    assert!(affected("5.15.4-1.amzn2") && !affected("5.15.5-1.amzn2") && !affected("4.14.1-1.amzn2"));
    assert_eq!(lab.update(&["amazon-linux/2/extras"]), [FeedOutcome::Unchanged]);
    kernel("5.15.6");
    assert_eq!(lab.update(&["amazon-linux/2/extras"]), [updated(1)]);
    assert!(affected("5.15.5-1.amzn2"));
    assert!(lab.affected(Family::Amazon, Some("2023"), "openssl", "1:3.0.7-1.amzn2023"), "of another release");
    extra("kernel-5.15", "<html>busy</html>");
    assert!(matches!(lab.update(&["amazon-linux/2/extras"])[..], [FeedOutcome::Refused(_)]));
    assert!(affected("5.15.5-1.amzn2"), "what a broken index no longer names stands");
    lab.server.put("/2/extras-catalog.json", "2", "<html>");
    assert!(matches!(lab.update(&["amazon-linux/2/extras"])[..], [FeedOutcome::Refused(_)]));
}

fn vex(id: &str, package: &str, fixed: &str) -> String {
    let full = format!("{package}-0:{fixed}.x86_64");
    format!(
        r#"{{"document": {{"csaf_version": "2.0", "category": "csaf_vex", "publisher": {{"name": "Red Hat Product Security"}}}},
        "product_tree": {{"branches": [{{"branches": [{{"product": {{"product_id": "BaseOS-9", "name": "RHEL 9",
            "product_identification_helper": {{"cpe": "cpe:/o:redhat:enterprise_linux:9::baseos"}}}}}}]}}],
            "relationships": [{{"full_product_name": {{"product_id": "BaseOS-9:{full}"}}, "product_reference": "{full}",
            "relates_to_product_reference": "BaseOS-9"}}]}},
        "vulnerabilities": [{{"cve": "{id}", "product_status": {{"fixed": ["BaseOS-9:{full}"]}}}}]}}"#
    )
}

#[test]
fn csaf_is_an_archive_and_what_changed_since() {
    let lab = Lab::new();
    let mut tar = tar::Builder::new(zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap());
    for (id, package) in [("2023/cve-2023-1000", "bash"), ("2023/cve-2023-1001", "zsh")] {
        let text = vex(&id[5..].to_uppercase(), package, "2-1.el9");
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, format!("{id}.json"), text.as_bytes()).unwrap();
    }
    lab.server.put("/vex/csaf_vex_2026-11-20.tar.zst", "1", tar.into_inner().unwrap().finish().unwrap());
    lab.server.put("/vex/archive_latest.txt", "1", "csaf_vex_2026-11-20.tar.zst");
    lab.server.put("/vex/changes.csv", "1", "\"2023/cve-2023-1000.json\",\"2026-11-19T10:00:00+00:00\"\n");
    lab.server.put("/vex/deletions.csv", "1", "");
    assert_eq!(lab.update(&["redhat-csaf"]), [updated(2)]);
    assert!(lab.affected(Family::RedHat, Some("9"), "bash", "1-1.el9") && lab.affected(Family::RedHat, Some("9"), "zsh", "1-1.el9"));
    assert_eq!(lab.update(&["redhat-csaf"]), [FeedOutcome::Unchanged]);

    let changed = "\"2023/cve-2023-1000.json\",\"2026-11-22T10:00:00+00:00\"\n\"../../elsewhere.json\",\"2026-11-22T10:00:00+00:00\"\n";
    lab.server.put("/vex/changes.csv", "2", changed);
    lab.server.put("/vex/deletions.csv", "2", "\"2023/cve-2023-1001.json\",\"2026-11-22T11:00:00+00:00\"\n");
    lab.server.put("/vex/2023/cve-2023-1000.json", "1", vex("CVE-2023-1000", "bash", "3-1.el9"));
    assert_eq!(lab.update(&["redhat-csaf"]), [updated(1)]);
    assert_eq!(lab.update(&["redhat-csaf"]), [FeedOutcome::Unchanged]);
    assert!(lab.affected(Family::RedHat, Some("9"), "bash", "2-1.el9") && !lab.affected(Family::RedHat, Some("9"), "zsh", "1-1.el9"));
}

/// SUSE's folder: the archive beside it, then the documents that its list of changes names.
#[test]
fn a_folder_of_csaf_is_followed_by_its_list_of_changes() {
    let mut lab = Lab::new();
    lab.places.suse_csaf = format!("{}/suse/csaf-vex/", lab.server.url());
    let suse = |id: &str, fixed: &str| {
        let text = vex(id, "bash", fixed).replace("Red Hat Product Security", "SUSE Product Security Team");
        text.replace("RHEL 9", "SUSE Linux Enterprise Server 15 SP5").replace(".x86_64", "")
    };
    let mut tar = tar::Builder::new(bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast()));
    for (name, text) in [("csaf-vex/cve-2023-1000.json", suse("CVE-2023-1000", "2-1")), ("csaf-vex/changes.csv", "\"x\",\"y\"\n".into())] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    lab.server.put("/suse/csaf-vex.tar.bz2", "1", tar.into_inner().unwrap().finish().unwrap());
    let row = |id: &str, at: &str| format!("\"cve-{id}.json\",\"{at}\"\n");
    lab.server.put("/suse/csaf-vex/changes.csv", "1", row("2023-1000", "2026-11-10T10:00:00Z"));
    assert_eq!(lab.update(&["suse-csaf"]), [updated(1)], "the list in the archive is no document");
    let affected = |version: &str| lab.affected(Family::Suse, Some("Linux Enterprise Server 15 SP5"), "bash", version);
    assert!(affected("1-1") && !affected("2-1"));
    assert_eq!(lab.update(&["suse-csaf"]), [FeedOutcome::Unchanged]);
    // The archive may be older than the list: what changed shortly before is asked for once more.
    let rows = row("2023-1000", "2026-11-10T10:00:00Z") + &row("2023-1001", "2026-11-22T10:00:00Z");
    lab.server.put("/suse/csaf-vex/changes.csv", "2", rows);
    lab.server.put("/suse/csaf-vex/cve-2023-1000.json", "1", suse("CVE-2023-1000", "3-1"));
    lab.server.put("/suse/csaf-vex/cve-2023-1001.json", "1", suse("CVE-2023-1001", "4-1"));
    assert_eq!(lab.update(&["suse-csaf"]), [updated(2)]);
    assert!(affected("2-1") && affected("3-1") && !affected("4-1"));
    lab.server.take_requests();
    assert_eq!(lab.update(&["suse-csaf"]), [FeedOutcome::Unchanged]);
    assert_eq!(lab.server.take_requests(), ["304 /suse/csaf-vex/changes.csv"]);
}

fn cve(id: &str, exploitation: Option<&str>) -> String {
    let adp = exploitation.map(|answer| {
        format!(
            r#"{{"providerMetadata": {{"shortName": "CISA-ADP"}}, "metrics": [{{"other": {{"type": "ssvc", "content": {{"timestamp": "2026",
            "options": [{{"Exploitation": "{answer}"}}, {{"Automatable": "no"}}, {{"Technical Impact": "partial"}}]}}}}}}]}}"#
        )
    });
    format!(
        r#"{{"dataType": "CVE_RECORD", "cveMetadata": {{"cveId": "{id}", "state": "PUBLISHED"}}, "containers": {{"cna": {{}}, "adp": [{}]}}}}"#,
        adp.unwrap_or_default()
    )
}

/// The CVE list: the archive, then what its log says has changed, with CISA's answers as they are now.
#[test]
fn the_cve_list_is_an_archive_and_a_log_of_changes() {
    let mut lab = Lab::new();
    let base = lab.server.url();
    (lab.places.cve_list, lab.places.cve_list_changes) = (format!("{base}/main.zip"), format!("{base}/raw/cves/deltaLog.json"));
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in [
        ("2024/1xxx/CVE-2024-1000.json", cve("CVE-2024-1000", Some("poc"))),
        ("2024/1xxx/CVE-2024-1001.json", cve("CVE-2024-1001", Some("poc"))),
        ("deltaLog.json", r#"[{"fetchTime": "x"}]"#.to_owned()),
    ] {
        zip.start_file(format!("cvelistV5-main/cves/{name}"), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    lab.server.put("/main.zip", "1", zip.finish().unwrap().into_inner());
    let look = |at: &str, new: &str, updated: &str| {
        let entry = |id: &str| if id.is_empty() { String::new() } else { format!(r#"{{"cveId": "{id}"}}"#) };
        format!(r#"{{"fetchTime": "{at}", "numberOfChanges": 1, "new": [{}], "updated": [{}], "error": []}}"#, entry(new), entry(updated))
    };
    let first = look("2026-11-22T10:00:00.000Z", "", "CVE-2024-1000");
    lab.server.put("/raw/cves/deltaLog.json", "1", format!("[{first}]"));
    assert_eq!(lab.update(&["cve-list"]), [updated(2)]);
    let answer = |id: &str| {
        let (_, index) = lab.library().open_current().unwrap();
        index.exploitation(id).unwrap().and_then(|known| known.ssvc).map(|ssvc| ssvc.exploitation)
    };
    assert_eq!((answer("CVE-2024-1000").as_deref(), answer("CVE-2024-1001").as_deref()), (Some("poc"), Some("poc")));
    assert_eq!(lab.update(&["cve-list"]), [FeedOutcome::Unchanged]);
    lab.server.take_requests();

    let second = look("2026-11-22T11:00:00.000Z", "CVE-2026-21626", "CVE-2024-1000");
    let third = look("2026-11-22T12:00:00.000Z", "", "CVE-2024-1001");
    lab.server.put("/raw/cves/deltaLog.json", "2", format!("[{third}, {second}, {first}]"));
    lab.server.put("/raw/cves/2024/1xxx/CVE-2024-1000.json", "1", cve("CVE-2024-1000", Some("active")));
    lab.server.put("/raw/cves/2024/1xxx/CVE-2024-1001.json", "1", cve("CVE-2024-1001", None));
    lab.server.put("/raw/cves/2026/21xxx/CVE-2026-21626.json", "1", cve("CVE-2026-21626", None));
    assert_eq!(lab.update(&["cve-list"]), [updated(3)]);
    assert_eq!((answer("CVE-2024-1000").as_deref(), answer("CVE-2024-1001")), (Some("active"), None), "an answer may be taken back");
    assert!(!lab.server.take_requests().iter().any(|asked| asked.contains("main.zip")), "the archive is not fetched again");

    // A log that does not reach back to where we are leaves a gap: the whole is fetched.
    lab.server.put("/raw/cves/deltaLog.json", "3", format!("[{}]", look("2026-11-22T20:00:00.000Z", "", "CVE-2024-1000")));
    assert_eq!(lab.update(&["cve-list"]), [updated(2)]);
    assert_eq!(answer("CVE-2024-1000").as_deref(), Some("poc"));
}
