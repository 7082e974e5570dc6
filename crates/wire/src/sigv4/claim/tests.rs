use super::*;
use crate::sigv4::{Credentials, sign};

type Change = fn(&mut HttpRequest);

const NOW: &str = "20261123T120000Z";
const EXPECTED: Expected<'_> = Expected { region: "eu-west-1", service: "inspector2", unsigned_payload: false };

fn secret() -> SecretKey {
    SecretKey::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into())
}

fn signed() -> HttpRequest {
    signed_with(&[])
}

fn signed_with(extra: &[(&str, &str)]) -> HttpRequest {
    let headers = [("Host", "127.0.0.1:8080"), ("Content-Type", "application/json")];
    let mut request = HttpRequest {
        method: "POST".into(),
        path: "/tags/arn%3Aaws%3Ainspector2%3Aeu-west-1%3A111122223333%3Afilter%2Fx".into(),
        query: "tagKeys=b&tagKeys=a%20c".into(),
        headers: headers.iter().chain(extra).map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        body: b"{}".to_vec(),
    };
    let credentials = Credentials { access_key: "AKIDEXAMPLE".into(), secret: secret(), session_token: None };
    sign(&mut request, &credentials, "eu-west-1", "inspector2", instant(NOW).unwrap());
    request
}

fn set(request: &mut HttpRequest, name: &str, value: &str) {
    let header = request.headers.iter_mut().find(|(header, _)| header.eq_ignore_ascii_case(name)).unwrap();
    header.1 = value.to_owned();
}

fn replace(request: &mut HttpRequest, from: &str, to: &str) {
    let value = request.header("authorization").unwrap().replace(from, to);
    set(request, "authorization", &value);
}

fn judge_at(request: &HttpRequest, now: Timestamp) -> Result<(), Denial> {
    let claim = Claim::read(request)?;
    assert_eq!(claim.access_key(), "AKIDEXAMPLE");
    claim.verify(&secret(), &EXPECTED, now)
}

fn judge(request: &HttpRequest) -> Result<(), Denial> {
    judge_at(request, instant(NOW).unwrap())
}

#[test]
fn a_signed_request_verifies() {
    assert_eq!(judge(&signed()), Ok(()));
    let body_hash = sha256(b"{}");
    assert_eq!(judge(&signed_with(&[("X-Amz-Content-Sha256", &body_hash)])), Ok(()));
    assert_eq!(judge(&signed_with(&[("x-amz-meta", "a"), ("x-amz-meta", "b")])), Ok(()));
}

#[test]
fn whatever_was_signed_cannot_be_changed() {
    let changes: [(&str, Change); 8] = [
        ("method", |r| r.method = "DELETE".into()),
        ("path", |r| r.path.push('2')),
        ("query", |r| r.query = "tagKeys=b".into()),
        ("broken query", |r| r.query = "tagKeys=%".into()),
        ("body", |r| r.body = b"{ }".to_vec()),
        ("header", |r| set(r, "host", "evil.example")),
        ("repeated header", |r| r.headers.push(("host".into(), "evil.example".into()))),
        ("signature", |r| replace(r, "Signature=", "Signature=0")),
    ];
    for (what, change) in changes {
        let mut request = signed();
        change(&mut request);
        let denial = judge(&request).unwrap_err();
        assert!(denial.message.contains("does not match the signature you provided"), "{what}: {denial}");
    }
    let wrong = SecretKey::new("other".into());
    let request = signed();
    assert!(Claim::read(&request).unwrap().verify(&wrong, &EXPECTED, instant(NOW).unwrap()).is_err());
}

#[test]
fn the_order_of_the_query_does_not_matter() {
    let mut request = signed();
    request.query = "tagKeys=a%20c&tagKeys=b".into();
    assert_eq!(judge(&request), Ok(()));
}

#[test]
fn denials_are_named_as_aws_names_them() {
    let cases: [(&str, &str, Change); 15] = [
        ("MissingAuthenticationTokenException", "Missing", |r| r.headers.retain(|(name, _)| name != "authorization")),
        ("IncompleteSignatureException", "algorithm", |r| replace(r, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")),
        ("IncompleteSignatureException", "algorithm", |r| replace(r, "AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256X")),
        ("IncompleteSignatureException", "'Signature'", |r| replace(r, "Signature=", "Sig=")),
        ("IncompleteSignatureException", "'SignedHeaders'", |r| replace(r, "SignedHeaders=", "SignedHeaders=a, SignedHeaders=")),
        ("IncompleteSignatureException", "5 slash", |r| replace(r, "/aws4_request", "/aws5_request")),
        ("IncompleteSignatureException", "5 slash", |r| replace(r, "/aws4_request", "")),
        ("IncompleteSignatureException", "X-Amz-Date", |r| r.headers.retain(|(name, _)| name != "x-amz-date")),
        ("IncompleteSignatureException", "basic format", |r| set(r, "x-amz-date", "yesterday")),
        ("IncompleteSignatureException", "More than one", |r| r.headers.push(("Authorization".into(), "x".into()))),
        ("InvalidSignatureException", "does not match YYYYMMDD", |r| replace(r, "/20261123/", "/20261122/")),
        ("InvalidSignatureException", "valid region", |r| replace(r, "/eu-west-1/", "/us-east-1/")),
        ("InvalidSignatureException", "correct service", |r| replace(r, "/inspector2/", "/ec2/")),
        ("InvalidSignatureException", "'host' must be", |r| replace(r, ";host", "")),
        ("InvalidSignatureException", "'x-amz-extra' must be", |r| r.headers.push(("X-Amz-Extra".into(), "1".into()))),
    ];
    for (code, message, change) in cases {
        let mut request = signed();
        change(&mut request);
        let denial = judge(&request).unwrap_err();
        assert_eq!(denial.code, code, "{message}");
        assert!(denial.message.contains(message), "{denial}");
    }
}

#[test]
fn payload_hashes_are_computed_not_believed() {
    let other = sha256(b"other");
    let denial = judge(&signed_with(&[("x-amz-content-sha256", &other)])).unwrap_err();
    assert!(denial.message.contains("x-amz-content-sha256"));
    assert!(judge(&signed_with(&[("x-amz-content-sha256", "UNSIGNED-PAYLOAD")])).is_err());
}

#[test]
fn the_window_is_fifteen_minutes_either_way() {
    let request = signed();
    let now = instant(NOW).unwrap();
    for (offset, fine) in [(-WINDOW_MILLIS, true), (WINDOW_MILLIS, true), (-WINDOW_MILLIS - 1, false), (WINDOW_MILLIS + 1, false)] {
        let verdict = judge_at(&request, now.plus_millis(offset));
        assert_eq!(verdict.is_ok(), fine, "{offset}: {verdict:?}");
    }
    let late = judge_at(&request, now.plus_millis(2 * WINDOW_MILLIS)).unwrap_err();
    assert_eq!(late.message, "Signature expired: 20261123T120000Z is now earlier than 20261123T121500Z (20261123T123000Z - 15 min.)");
}
