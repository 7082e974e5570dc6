//! Whatever a stranger sends is refused or read: it never panics, and what was signed never verifies when it was changed.

use lestrade_model::Timestamp;
use lestrade_wire::inspector2::{Api, CreateFilterRequest, ListFindingsRequest};
use lestrade_wire::sigv4::{Claim, Credentials, Expected, SecretKey, sign};
use lestrade_wire::{HttpRequest, rest_json, uri};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_millis(1_763_900_000_000);
const EXPECTED: Expected<'_> = Expected { region: "eu-west-1", service: "inspector2", unsigned_payload: false };

fn credentials() -> Credentials {
    Credentials { access_key: "AKID".into(), secret: SecretKey::new("secret".into()), session_token: None }
}

fn judge(request: &HttpRequest) -> bool {
    Claim::read(request).is_ok_and(|claim| claim.verify(&credentials().secret, &EXPECTED, NOW).is_ok())
}

/// Texts that look like the real thing in places.
fn nearly() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,64}",
        "[0-9]{8}[T\u{e4}][0-9]{5,6}Z?",
        "AWS4-HMAC-SHA256 Credential=[a-z/0-9,;=]{0,40},? ?(SignedHeaders=[a-z;-]{0,20})?,? ?(Signature=[0-9a-f]{0,64})?",
        "A/[0-9]{8}/eu-west-1/inspector2/aws4_request",
    ]
}

proptest! {
    #[test]
    fn no_header_panics(authorization in nearly(), date in nearly(), extra in nearly(), path in ".{0,40}", query in ".{0,40}") {
        let headers = [("authorization", authorization), ("x-amz-date", date), ("host", extra)];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let request = HttpRequest { method: "POST".into(), path, query, headers, body: vec![] };
        prop_assert!(!judge(&request));
    }

    #[test]
    fn what_was_signed_verifies_and_what_was_changed_does_not(
        path in "(/[a-zA-Z0-9%._~ +-]{0,8}){1,4}",
        pairs in prop::collection::vec(("[a-z]{1,4}", ".{0,8}"), 0..4),
        body in prop::collection::vec(any::<u8>(), 0..64),
        change in 0..4_u8,
    ) {
        let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{}={}", uri::encode(name), uri::encode(value))).collect();
        let headers = vec![("host".to_owned(), "localhost".to_owned())];
        let mut request = HttpRequest { method: "POST".into(), path, query: query.join("&"), headers, body };
        sign(&mut request, &credentials(), "eu-west-1", "inspector2", NOW);
        prop_assert!(judge(&request));
        match change {
            0 => request.method = "GET".into(),
            1 => request.path.push('x'),
            2 => request.query.push_str("&changed=1"),
            _ => request.body.push(0),
        }
        prop_assert!(!judge(&request));
    }

    #[test]
    fn no_path_or_body_panics(method in "[A-Z]{0,6}", path in ".{0,60}", query in ".{0,40}", body in ".{0,200}") {
        let _ = rest_json::route::<Api>(&method, &path);
        let request = HttpRequest { method, path, query, headers: vec![], body: body.into_bytes() };
        let _ = rest_json::decode::<ListFindingsRequest>(&request, &[]);
        let _ = rest_json::decode::<CreateFilterRequest>(&request, &[]);
    }

    #[test]
    fn encoding_is_undone_by_decoding(text in ".{0,64}") {
        prop_assert_eq!(uri::decode(&uri::encode(&text)), Some(text));
    }
}
