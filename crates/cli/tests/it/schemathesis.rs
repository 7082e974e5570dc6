//! The native API against its own document: schemathesis asks what the document allows and what it does not, and holds every answer
//! to what it promises.

use crate::lab::{Lab, PATIENCE, Serving, fixture};
use crate::watch::sbom;
use lestrade_testkit::{missing, until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which release: another finds other things.
const RELEASE: &str = "4.32.5";
/// What must hold of every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
    response_schema_conformance,negative_data_rejection,unsupported_method,allow_header_conformance,ignored_auth";

/// The program, in a Python environment of its own that is made once.
fn schemathesis() -> Option<PathBuf> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("schemathesis-{RELEASE}"));
    let program = home.join("bin/schemathesis");
    if !program.exists() {
        let made = Command::new("python3").args(["-m", "venv"]).arg(&home).status().is_ok_and(|status| status.success());
        let install = || {
            let package = format!("schemathesis=={RELEASE}");
            Command::new(home.join("bin/python")).args(["-m", "pip", "install", "--quiet", &package]).status()
        };
        if !made || !install().is_ok_and(|status| status.success()) {
            return None;
        }
    }
    Some(program)
}

/// Nothing may be answered that is not described: clients may look at more than is promised, we may not.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("properties").is_some_and(Value::is_object) {
                members.entry("additionalProperties").or_insert(json!(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(all) => all.iter_mut().for_each(close),
        _ => {}
    }
}

/// Names of what there is, so that not every answer is that there is none.
fn with_examples(mut document: Value, finding: &str, resource: &str) -> Value {
    for (path, item) in document["paths"].as_object_mut().unwrap() {
        for operation in item.as_object_mut().unwrap().values_mut() {
            for parameter in operation["parameters"].as_array_mut().unwrap() {
                let example = match (path.split('/').nth(1).unwrap(), parameter["name"].as_str().unwrap()) {
                    ("findings", "id") => finding,
                    ("resources", "id") | (_, "resource") => resource,
                    (_, "vulnerability") => "CVE-2021-23337",
                    _ => continue,
                };
                parameter["example"] = json!(example);
            }
        }
    }
    document
}

#[test]
fn every_answer_is_what_the_document_promises() {
    let Some(program) = schemathesis() else { return missing("schemathesis") };
    let lab = Lab::new();
    assert!(lab.run(&["db", "import", fixture("lodash.json").to_str().unwrap()]).status.success());
    let mut serving = until("the server starts", PATIENCE, || Serving::start(&lab, &[]).ok()).unwrap();
    let token = lab.token();
    let push = |name: &str| serving.http("POST", &format!("/api/v1/sboms?name={name}"), Some(&token), sbom("4.17.20").as_bytes()).unwrap();
    (0..3).for_each(|n| assert_eq!(push(&format!("app-{n}")).0, 200));
    let rule = json!({"name": "known", "reason": "it is known", "owner": "ann", "expires": "2999-01-01T00:00:00Z",
        "criteria": {"resourceId": [{"comparison": "EQUALS", "value": "sbom/app-1"}]}});
    assert_eq!(serving.http("POST", "/api/v1/suppressions", Some(&token), rule.to_string().as_bytes()).unwrap().0, 200);
    let found: Value = serde_json::from_str(&serving.http("GET", "/api/v1/findings", Some(&token), b"").unwrap().1).unwrap();
    let finding = found["findings"][0]["id"].as_str().unwrap();

    let mut document = with_examples(lestrade_server::openapi(), finding, "sbom/app-0");
    for response in ["schemas", "responses"] {
        close(&mut document["components"][response]);
    }
    for item in document["paths"].as_object_mut().unwrap().values_mut() {
        item.as_object_mut().unwrap().values_mut().for_each(|operation| close(&mut operation["responses"]));
    }
    lab.write("openapi.json", document.to_string());
    // What is far too long is refused as that.
    let refusals = "[checks.negative_data_rejection]\nexpected-statuses = [400, 401, 403, 404, 405, 408, 413, 414, 431]\n";
    lab.write("schemathesis.toml", refusals);
    let output = Command::new(program)
        .args(["run", "openapi.json", "--url"])
        .arg(format!("{}/api/v1", serving.endpoint()))
        .args(["--header", &format!("Authorization: Bearer {token}"), "--checks", CHECKS])
        // A stream has no end, and is tried by itself.
        .args(["--exclude-path", "/events/stream", "--phases", "examples,coverage,fuzzing", "--max-examples", "50"])
        .args(["--seed", "20261123", "--rate-limit", "180/s", "--continue-on-failure", "--suppress-health-check", "all"])
        .args(["--warnings", "off", "--no-color", "--no-shrink"])
        .current_dir(lab.path(""))
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(said.contains("No issues found") || said.contains("passed"), "{said}");
    assert!(!serving.has_ended());
}
