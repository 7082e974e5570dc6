//! Requests that botocore signed are verified by us.

use base64::{Engine, engine::general_purpose::STANDARD};
use lestrade_model::Timestamp;
use lestrade_wire::HttpRequest;
use lestrade_wire::sigv4::{Claim, Expected, SecretKey};
use serde::Deserialize;
use std::process::Command;

#[derive(Deserialize)]
struct Signed {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: String,
}

#[test]
fn what_botocore_signed_verifies() {
    let installed = Command::new("python3").args(["-c", "import botocore"]).status();
    if !installed.is_ok_and(|status| status.success()) {
        lestrade_testkit::missing("python3 with botocore");
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/botocore_sign.py");
    let output = Command::new("python3").arg(script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout).unwrap();
    let mut verified = 0;
    for line in stdout.lines() {
        let signed: Signed = serde_json::from_str(line).unwrap();
        let request = HttpRequest {
            method: signed.method,
            path: signed.path,
            query: signed.query,
            headers: signed.headers,
            body: STANDARD.decode(signed.body).unwrap(),
        };
        let claim = Claim::read(&request).unwrap_or_else(|denial| panic!("{denial}\n{line}"));
        assert_eq!(claim.access_key(), "AKIDEXAMPLE");
        let expected = Expected { region: "eu-west-1", service: "inspector2", unsigned_payload: false };
        let now = Timestamp::parse(request.header("x-amz-date").unwrap()).unwrap();
        claim.verify(&SecretKey::new("secret/+key".into()), &expected, now).unwrap_or_else(|denial| panic!("{denial}\n{line}"));
        assert!(claim.verify(&SecretKey::new("another".into()), &expected, now).is_err());
        verified += 1;
    }
    assert_eq!(verified, 18);
}
