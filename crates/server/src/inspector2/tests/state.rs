//! What the API itself keeps.

use super::*;

#[test]
fn a_suppression_rule_hides_shows_again_and_survives_a_restart() {
    let lab = Lab::new();
    let rule = json!({"name": "odd", "action": "SUPPRESS", "reason": "accepted", "tags": {"team": "web"},
        "filterCriteria": {"vulnerabilityId": [equals("CVE-2026-0002")]}});
    let arn = lab.ask("/filters/create", rule.clone())["arn"].as_str().unwrap().to_owned();
    assert!(arn.starts_with("arn:aws:inspector2:eu-west-1:111122223333:owner/111122223333/filter/"), "{arn}");
    assert_eq!(lab.findings(json!({"findingStatus": [equals("SUPPRESSED")]})), ["api 0002 SUPPRESSED", "web 0002 SUPPRESSED"]);
    assert_eq!(lab.refused("/filters/create", rule).0, "BadRequestException");

    lab.core.set_suppressions(&scope("111122223333"), vec![]);
    lab.core.enforce_suppressions(&[scope("111122223333")]).unwrap();
    assert_eq!(lab.findings(json!({"findingStatus": [equals("SUPPRESSED")]})).len(), 2);

    let listed = lab.ask("/filters/list", json!({"action": "SUPPRESS"}))["filters"].clone();
    assert_eq!((listed[0]["name"].as_str(), listed[0]["tags"]["team"].as_str()), (Some("odd"), Some("web")));
    assert_eq!(lab.ask("/filters/list", json!({"arns": ["arn:other"]})), json!({"filters": []}));

    let other = lab.ask("/filters/create", json!({"name": "other", "action": "NONE", "filterCriteria": {}}));
    let taken = lab.refused("/filters/update", json!({"filterArn": other["arn"], "name": "odd"}));
    assert_eq!((taken.0.as_str(), &taken.1["fields"][0]["name"]), ("ValidationException", &json!("name")));
    lab.ask("/filters/update", json!({"filterArn": arn, "name": "odd", "action": "NONE", "description": "kept"}));
    assert_eq!(lab.findings(json!({"findingStatus": [equals("SUPPRESSED")]})), [""; 0]);
    lab.ask("/filters/delete", json!({"arn": arn}));
    assert_eq!(lab.refused("/filters/delete", json!({"arn": arn})).0, "ResourceNotFoundException");
}

#[test]
fn filters_are_tagged_by_their_arn_in_the_path() {
    let lab = Lab::new();
    let rule = json!({"name": "n", "action": "NONE", "filterCriteria": {}});
    let arn = lab.ask("/filters/create", rule)["arn"].as_str().unwrap().to_owned();
    let path = format!("/tags/{}", lestrade_wire::uri::encode(&arn));
    let tags = || serde_json::from_slice::<Value>(&lab.send("viewer", "GET", &path, "").body).unwrap();
    assert_eq!(tags(), json!({"tags": {}}));
    lab.ask(&path, json!({"tags": {"a": "1", "b": "2", "c": "3"}}));
    assert_eq!(lab.send("admin", "DELETE", &format!("{path}?tagKeys=a&tagKeys=b"), "").status, 200);
    assert_eq!(tags(), json!({"tags": {"c": "3"}}));
    let many: serde_json::Map<String, Value> = (0..51).map(|i| (format!("k{i}"), json!("v"))).collect();
    assert_eq!(lab.refused(&path, json!({"tags": many})).0, "BadRequestException");
    assert_eq!(lab.refused("/tags/arn%3Aaws%3Ax", json!({"tags": {"a": "1"}})).0, "ResourceNotFoundException");
}

/// The permissions of every page size are those of one page.
#[test]
fn permissions_come_in_pages() {
    let lab = Lab::new();
    let page = |token: &Value| lab.ask("/accountpermissions/list", json!({"maxResults": 4, "nextToken": token}));
    let first = page(&json!(""));
    let second = page(&first["nextToken"]);
    let rows = |answer: &Value| answer["permissions"].as_array().unwrap().clone();
    assert_eq!((rows(&first).len(), rows(&second).len(), second.get("nextToken")), (4, 2, None));
    assert_eq!([rows(&first), rows(&second)].concat(), rows(&lab.ask("/accountpermissions/list", json!({}))));
}

#[test]
fn accounts_are_switched_on_and_off() {
    let lab = Lab::new();
    let status = |accounts: Value| lab.ask("/status/batch/get", json!({"accountIds": accounts}));
    let state = |kind: &str| status(json!([]))["accounts"][0]["resourceState"][kind]["status"].clone();
    // What is looked at without being asked for is on, and code of functions is not looked at.
    assert_eq!(["ec2", "ecr", "lambda", "lambdaCode"].map(state), ["ENABLED", "ENABLED", "ENABLED", "DISABLED"]);
    let answer = lab.ask("/enable", json!({"resourceTypes": ["LAMBDA_CODE"]}));
    assert_eq!(answer["accounts"][0]["resourceStatus"]["lambdaCode"], "ENABLING");
    assert_eq!(state("lambdaCode"), "ENABLED");
    lab.ask("/disable", json!({}));
    assert_eq!(status(json!([]))["accounts"][0]["state"]["status"], "DISABLED");
    let both = status(json!(["444455556666", "777788889999"]));
    assert_eq!((both["accounts"].as_array().unwrap().len(), &both["failedAccounts"][0]["errorCode"]), (1, &json!("ACCESS_DENIED")));

    lab.ask("/configuration/update", json!({"ecrConfiguration": {"rescanDuration": "DAYS_30"}}));
    let set = lab.ask("/configuration/get", json!({}));
    assert_eq!(set["ecrConfiguration"]["rescanDurationState"]["rescanDuration"], "DAYS_30");
    assert_eq!(set["ec2Configuration"]["scanModeState"]["scanMode"], "EC2_HYBRID");
}
