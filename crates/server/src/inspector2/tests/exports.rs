//! Reports and bills of materials, written to a folder.

use super::*;
use lestrade_wire::Shaped;
use lestrade_wire::inspector2::{CoverageFilterCriteria, ResourceFilterCriteria};

fn destination(prefix: &str) -> Value {
    json!({"bucketName": "reports", "keyPrefix": prefix,
        "kmsKeyArn": "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-4000-8000-000000000000"})
}

fn report(lab: &Lab, format: &str, criteria: Value) -> (Value, std::path::PathBuf) {
    let asked = json!({"reportFormat": format, "filterCriteria": criteria, "s3Destination": destination("a/b")});
    let id = lab.ask("/reporting/create", asked)["reportId"].clone();
    let file = format!("{}.{}", id.as_str().unwrap(), format.to_lowercase());
    assert_eq!(lab.ask("/reporting/status/get", json!({"reportId": id}))["status"], "IN_PROGRESS");
    lab.front.write_reports().unwrap();
    (lab.ask("/reporting/status/get", json!({"reportId": id})), lab.folder.path().join("exports/reports/a/b").join(file))
}

#[test]
fn a_report_holds_what_the_same_criteria_list() {
    let lab = Lab::new();
    let criteria = json!({"severity": [equals("CRITICAL")]});
    let (status, path) = report(&lab, "JSON", criteria.clone());
    assert_eq!(status["status"], "SUCCEEDED");
    let written: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(written["findings"], lab.ask("/findings/list", json!({"filterCriteria": criteria}))["findings"]);
    assert_eq!(lab.ask("/reporting/status/get", json!({})), status, "without an id, the latest");

    let (_, path) = report(&lab, "CSV", json!({}));
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("AWS Account Id,Severity,"));
    assert_eq!(lines.len(), 1 + 5);
    assert!(!text.contains("777788889999"), "nothing of an account that the key does not see");
}

/// Closed and suppressed findings are in a report only when they are asked for.
#[test]
fn a_report_is_of_what_is_open() {
    let lab = Lab::new();
    lab.ask("/filters/create", json!({"name": "x", "action": "SUPPRESS", "filterCriteria": {"severity": [equals("CRITICAL")]}}));
    let lines = |criteria| std::fs::read_to_string(report(&lab, "CSV", criteria).1).unwrap().lines().count() - 1;
    assert_eq!(lines(json!({})), 3);
    assert_eq!(lines(json!({"findingStatus": [equals("SUPPRESSED")]})), 2);
}

#[test]
fn a_bill_of_materials_for_each_resource_that_is_chosen() {
    let lab = Lab::new();
    for (format, member, version) in [("CYCLONEDX_1_4", "specVersion", "1.4"), ("SPDX_2_3", "spdxVersion", "SPDX-2.3")] {
        let criteria = json!({"ecrRepositoryName": [equals("web")]});
        let asked = json!({"reportFormat": format, "resourceFilterCriteria": criteria, "s3Destination": destination("")});
        let id = lab.ask("/sbomexport/create", asked)["reportId"].as_str().unwrap().to_owned();
        lab.front.write_reports().unwrap();
        assert_eq!(lab.ask("/sbomexport/get", json!({"reportId": id}))["status"], "SUCCEEDED");
        let folder = format!("exports/reports/{format}_outputs_{id}/account=111122223333/resource=AWS_ECR_CONTAINER_IMAGE");
        let files: Vec<_> = std::fs::read_dir(lab.folder.path().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1);
        let document: Value = serde_json::from_slice(&std::fs::read(&files[0]).unwrap()).unwrap();
        assert_eq!(document[member], version);
        assert!(document.to_string().contains("left-pad"));
        assert_eq!(lab.refused("/sbomexport/cancel", json!({"reportId": id})).0, "ValidationException");
    }
}

/// A report of nothing would look like a clean one.
#[test]
fn a_report_without_findings_says_so_and_is_no_file() {
    let lab = Lab::new();
    let (status, path) = report(&lab, "CSV", json!({"severity": [equals("LOW")]}));
    assert_eq!((&status["status"], &status["errorCode"]), (&json!("FAILED"), &json!("NO_FINDINGS_FOUND")));
    assert!(!path.exists());
}

#[test]
fn reports_are_written_in_turn_and_one_that_is_cancelled_is_not() {
    let lab = Lab::new();
    let ask = |format: &str| {
        lab.clock.0.fetch_add(1000, Ordering::Relaxed);
        let id = lab.ask("/reporting/create", json!({"reportFormat": format, "s3Destination": destination("")}))["reportId"].clone();
        (
            id.as_str().unwrap().to_owned(),
            lab.folder.path().join(format!("exports/reports/{}.{}", id.as_str().unwrap(), format.to_lowercase())),
        )
    };
    let (first, second, third) = (ask("CSV"), ask("JSON"), ask("CSV"));
    assert_eq!(lab.ask("/reporting/cancel", json!({"reportId": second.0})), json!({"reportId": second.0}));
    assert_eq!(lab.refused("/reporting/cancel", json!({"reportId": second.0})).0, "ValidationException", "it is cancelled");
    assert_eq!(lab.refused("/sbomexport/cancel", json!({"reportId": third.0})).0, "ResourceNotFoundException", "it is another kind's");
    // Another server on the same store writes what waits.
    let place = ExportPlace::Folder(lab.folder.path().join("exports"));
    let home = Scope::new("aws", "111122223333", "eu-west-1").unwrap();
    let next = Front::new(lab.core.clone(), HashMap::new(), [9; 32]).with_exports(place, home);
    next.leave_reports();
    next.write_reports().unwrap();
    assert!(!first.1.exists(), "a server that stops leaves it to the next");
    lab.front.write_reports().unwrap();
    let status = |id: &str| lab.ask("/reporting/status/get", json!({"reportId": id}))["status"].clone();
    assert_eq!([status(&first.0), status(&second.0), status(&third.0)], ["SUCCEEDED", "CANCELLED", "SUCCEEDED"]);
    assert_eq!([&first, &second, &third].map(|(_, path)| path.exists()), [true, false, true]);
    assert_eq!(lab.ask("/reporting/status/get", json!({}))["reportId"], third.0.as_str(), "the latest");
}

/// One that ends every server that begins it holds up none that follow. A server that stops in order is not counted, however often.
#[test]
fn a_report_that_ends_servers_is_given_up() {
    let lab = Lab::new();
    let ask = || {
        lab.clock.0.fetch_add(1000, Ordering::Relaxed);
        lab.ask("/reporting/create", json!({"reportFormat": "CSV", "s3Destination": destination("")}))["reportId"].clone()
    };
    let (fatal, other) = (ask(), ask());
    let next = || {
        let (place, home) = (ExportPlace::Folder(lab.folder.path().join("exports")), scope("111122223333"));
        Front::new(lab.core.clone(), HashMap::new(), [9; 32]).with_exports(place, home)
    };
    for _ in 0..5 {
        let stops = next();
        stops.leave_reports();
        stops.write_reports().unwrap();
    }
    // The servers that began it and are gone.
    let home = scope("111122223333");
    for begun in 0..3 {
        let mut waiting = lab.core.store().documents(&home, "inspector2-report-waiting").unwrap().remove(0);
        let mut body: Value = serde_json::from_str(&waiting.body).unwrap();
        assert_eq!((&body["id"], &body["begun"]), (&fatal, &json!(begun)));
        body["begun"] = json!(begun + 1);
        waiting.body = body.to_string();
        lab.core.store().put_document(&home, "inspector2-report-waiting", &waiting).unwrap();
    }
    next().write_reports().unwrap();
    let status = |id: &Value| lab.ask("/reporting/status/get", json!({"reportId": id}));
    let told = status(&fatal);
    assert_eq!((&told["status"], &told["errorCode"]), (&json!("FAILED"), &json!("INTERNAL_ERROR")));
    assert!(told["errorMessage"].as_str().unwrap().contains("ended 3 times"), "{told}");
    assert_eq!(status(&other)["status"], "SUCCEEDED");
}

#[test]
fn no_more_reports_wait_than_somebody_would_wait_for() {
    let lab = Lab::new();
    let asked = json!({"reportFormat": "CSV", "s3Destination": destination("")});
    for _ in 0..50 {
        lab.ask("/reporting/create", asked.clone());
    }
    assert_eq!(lab.refused("/reporting/create", asked.clone()).0, "ThrottlingException");
    lab.front.write_reports().unwrap();
    lab.ask("/reporting/create", asked);
}

/// A member that the filter of coverage has not would be passed over.
#[test]
fn every_member_of_the_filter_of_resources_is_known() {
    for member in ResourceFilterCriteria::SHAPE.members() {
        assert!(CoverageFilterCriteria::SHAPE.members().iter().any(|known| known.name == member.name), "{}", member.name);
    }
}

#[test]
fn nothing_is_written_outside_of_the_folder() {
    let lab = Lab::new();
    for (bucket, prefix) in [("..", ""), ("../up", ""), ("Up", ""), ("reports", ".."), ("reports", "a/../../b"), ("reports", "a\\b")] {
        let mut destination = destination(prefix);
        destination["bucketName"] = json!(bucket);
        let (code, body) = lab.refused("/reporting/create", json!({"reportFormat": "CSV", "s3Destination": destination}));
        assert_eq!(code, "ValidationException", "{bucket} {prefix}: {body}");
    }
    assert!(!lab.folder.path().join("exports").exists());
    assert_eq!(lab.refused("/reporting/status/get", json!({})).0, "ResourceNotFoundException");
}
