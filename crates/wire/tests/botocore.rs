//! Requests that botocore signed are verified by us, and none that was changed afterwards.

use base64::{Engine, engine::general_purpose::STANDARD};
use lestrade_model::Timestamp;
use lestrade_wire::HttpRequest;
use lestrade_wire::sigv4::{Claim, Denial, Expected, SecretKey};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How many requests are generated, beside those that were chosen.
const GENERATED: usize = 5000;
const EXPECTED: Expected<'_> = Expected { region: "eu-west-1", service: "inspector2", unsigned_payload: false };

#[derive(Deserialize)]
struct Signed {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// The interpreter of the environment in which botocore is, at the version that the command line's tests pin.
fn python() -> Option<PathBuf> {
    let install = concat!(env!("CARGO_MANIFEST_DIR"), "/../cli/tests/clients/install");
    let folder = env!("CARGO_TARGET_TMPDIR");
    let made = Command::new(install).args(["boto", folder]).status();
    made.is_ok_and(|status| status.success()).then(|| Path::new(folder).join("client-boto/bin/python"))
}

fn verify(request: &HttpRequest, secret: &str, now: Timestamp) -> Result<(), Denial> {
    Claim::read(request)?.verify(&SecretKey::new(secret.into()), &EXPECTED, now)
}

/// The request with one header changed; none where it has no such.
fn with_header(request: &HttpRequest, name: &str, change: impl FnOnce(&str) -> String) -> Option<HttpRequest> {
    let mut request = request.clone();
    let (_, value) = request.headers.iter_mut().find(|(other, _)| other.eq_ignore_ascii_case(name))?;
    *value = change(value);
    Some(request)
}

/// An authorization up to its signature, and that.
fn parts(authorization: &str) -> (&str, &str) {
    authorization.rsplit_once('=').unwrap_or((authorization, ""))
}

/// The authorization with the first hexadecimal digit of its signature changed, or the last.
fn with_another_digit(authorization: &str, last: bool) -> String {
    let (head, signature) = parts(authorization);
    let at = if last { signature.len() - 1 } else { 0 };
    let digit = if &signature[at..=at] == "0" { "1" } else { "0" };
    format!("{head}={}{digit}{}", &signature[..at], &signature[at + 1..])
}

/// The request as somebody on the way might change it, by what was changed.
fn mutations(request: &HttpRequest) -> Vec<(&'static str, HttpRequest)> {
    let changed = |change: &dyn Fn(&mut HttpRequest)| {
        let mut request = request.clone();
        change(&mut request);
        Some(request)
    };
    let body = |request: &mut HttpRequest| match request.body.last_mut() {
        Some(byte) => *byte ^= 1,
        None => request.body.push(b'{'),
    };
    let authorization = |change: &dyn Fn(&str) -> String| with_header(request, "authorization", change);
    let all = [
        ("method", changed(&|r| r.method = if r.method == "POST" { "PUT" } else { "POST" }.to_owned())),
        ("path", changed(&|r| r.path.push('x'))),
        ("a segment of the path", changed(&|r| r.path = format!("/x{}", r.path))),
        ("query", changed(&|r| r.query.push_str(if r.query.is_empty() { "x=" } else { "&x=" }))),
        ("a value of the query", changed(&|r| r.query = format!("{}x", if r.query.is_empty() { "y=" } else { &r.query }))),
        ("body", changed(&body)),
        ("a byte more", changed(&|r| r.body.push(b' '))),
        ("host", with_header(request, "host", |_| "example.com".to_owned())),
        ("time", with_header(request, "x-amz-date", |stamp| format!("{}{}Z", &stamp[..14], if &stamp[14..15] == "0" { "1" } else { "0" }))),
        ("token", with_header(request, "x-amz-security-token", |token| format!("{token}x"))),
        ("a signed header", with_header(request, "content-type", |_| "text/plain".to_owned())),
        ("a header of theirs", with_header(request, "x-amz-0", |value| format!("{value}x"))),
        ("an unsigned header of AWS", changed(&|r| r.headers.push(("x-amz-unsigned".to_owned(), "x".to_owned())))),
        ("a second value", changed(&|r| r.headers.push(("x-amz-date".to_owned(), "x".to_owned())))),
        ("no host", changed(&|r| r.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("host")))),
        ("no authorization", changed(&|r| r.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization")))),
        ("the first digit", authorization(&|value| with_another_digit(value, false))),
        ("the last digit", authorization(&|value| with_another_digit(value, true))),
        ("a shorter signature", authorization(&|value| value[..value.len() - 1].to_owned())),
        ("no signature", authorization(&|value| format!("{}=", parts(value).0))),
        ("region", authorization(&|value| value.replace("/eu-west-1/", "/eu-west-2/"))),
        ("service", authorization(&|value| value.replace("/inspector2/", "/ec2/"))),
        ("algorithm", authorization(&|value| value.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"))),
        ("host unsigned", authorization(&|value| value.replace("host;", ""))),
    ];
    all.into_iter().filter_map(|(what, mutated)| Some((what, mutated?))).collect()
}

#[test]
fn what_botocore_signed_verifies_and_what_was_changed_does_not() {
    let Some(python) = python() else { return lestrade_testkit::missing("python3 with botocore in an environment of its own") };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/botocore_sign.py");
    let output = Command::new(python).arg(script).arg(GENERATED.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout).unwrap();
    let (mut verified, mut refused) = (0, 0);
    for line in stdout.lines() {
        let signed: Signed = serde_json::from_str(line).unwrap();
        let request = HttpRequest {
            method: signed.method,
            path: signed.path,
            query: signed.query,
            headers: signed.headers,
            body: STANDARD.decode(signed.body).unwrap(),
        };
        let now = Timestamp::parse(request.header("x-amz-date").unwrap()).unwrap();
        verify(&request, "secret/+key", now).unwrap_or_else(|denial| panic!("{denial}\n{line}"));
        assert!(verify(&request, "another", now).is_err());
        verified += 1;
        for (what, mutated) in mutations(&request) {
            assert!(verify(&mutated, "secret/+key", now).is_err(), "{what} was changed, and it verifies: {mutated:?}\n{line}");
            refused += 1;
        }
    }
    assert_eq!(verified, 18 + GENERATED);
    assert!(refused > 20 * GENERATED, "{refused}");
}
