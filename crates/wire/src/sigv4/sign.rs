//! Signing our own requests.

use super::canonical::string_to_sign;
use super::key::{CredentialScope, SecretKey, sha256};
use super::{ALGORITHM, stamp};
use crate::{HttpRequest, uri};
use lestrade_model::Timestamp;

/// Who signs.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The access key's id.
    pub access_key: String,
    /// Its secret.
    pub secret: SecretKey,
    /// The token of temporary credentials.
    pub session_token: Option<String>,
}

/// Signs every header that the request has, which must include `host`; adds the date, the token and `Authorization`.
pub fn sign(request: &mut HttpRequest, credentials: &Credentials, region: &str, service: &str, now: Timestamp) {
    let stamp = stamp(now);
    request.headers.push(("x-amz-date".to_owned(), stamp.clone()));
    if let Some(token) = &credentials.session_token {
        request.headers.push(("x-amz-security-token".to_owned(), token.clone()));
    }
    let mut names: Vec<String> = request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    names.dedup();
    let signed: Vec<&str> = names.iter().map(String::as_str).collect();
    let scope = CredentialScope { date: stamp.get(..8).unwrap_or_default(), region, service };
    // Our own queries are encoded by us; one that cannot be decoded would be refused by the service anyway.
    let text = string_to_sign(request, &signed, &sha256(&request.body), &stamp, &scope).unwrap_or_default();
    let signature = credentials.secret.signature(&scope, &text);
    let value =
        format!("{ALGORITHM} Credential={}/{scope}, SignedHeaders={}, Signature={signature}", credentials.access_key, signed.join(";"));
    request.headers.push(("authorization".to_owned(), value));
}

/// Signs a request without a body so that its query alone lets in whoever sends it, for so many seconds. The headers that it has,
/// which must include `host`, are signed and have to be sent with it.
pub fn presign(request: &mut HttpRequest, credentials: &Credentials, region: &str, service: &str, now: Timestamp, seconds: u32) {
    let stamp = stamp(now);
    let scope = CredentialScope { date: stamp.get(..8).unwrap_or_default(), region, service };
    let mut names: Vec<String> = request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    names.dedup();
    let signed: Vec<&str> = names.iter().map(String::as_str).collect();
    let credential = format!("{}/{scope}", credentials.access_key);
    let mut add = |name: &str, value: &str| {
        let and = if request.query.is_empty() { "" } else { "&" };
        request.query = format!("{}{and}{name}={}", request.query, uri::encode(value));
    };
    add("X-Amz-Algorithm", ALGORITHM);
    add("X-Amz-Credential", &credential);
    add("X-Amz-Date", &stamp);
    add("X-Amz-Expires", &seconds.to_string());
    add("X-Amz-SignedHeaders", &signed.join(";"));
    if let Some(token) = &credentials.session_token {
        add("X-Amz-Security-Token", token);
    }
    // S3 alone does not say of a request that is sent by others what is in it.
    let payload = if service == "s3" { "UNSIGNED-PAYLOAD".to_owned() } else { sha256(b"") };
    // Our own queries are encoded by us; one that cannot be decoded would be refused by the service anyway.
    let text = string_to_sign(request, &signed, &payload, &stamp, &scope).unwrap_or_default();
    let signature = credentials.secret.signature(&scope, &text);
    request.query = format!("{}&X-Amz-Signature={signature}", request.query);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigv4::instant;

    /// Vectors of the test suite that AWS publishes for Signature Version 4.
    #[test]
    fn published_vectors_are_met() {
        for (method, path, query, signature) in [
            ("GET", "/", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("POST", "/", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            ("GET", "/", "Param2=value2&Param1=value1", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
            ("GET", "/example/..", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("GET", "/./", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ] {
            let mut request = HttpRequest {
                method: method.into(),
                path: path.into(),
                query: query.into(),
                headers: vec![("Host".into(), "example.amazonaws.com".into())],
                body: vec![],
            };
            let secret = SecretKey::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into());
            let credentials = Credentials { access_key: "AKIDEXAMPLE".into(), secret, session_token: None };
            sign(&mut request, &credentials, "us-east-1", "service", instant("20150830T123600Z").unwrap());
            let authorization = request.header("authorization").unwrap();
            assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"));
            assert!(authorization.ends_with(signature), "{method} {path} {query}: {authorization}");
        }
    }

    /// The example of S3's documentation, "Authenticating requests: using query parameters"; and that of other services is signed over
    /// nothing.
    #[test]
    fn a_query_that_lets_in_is_signed_as_published() {
        let mut request = HttpRequest {
            method: "GET".into(),
            path: "/test.txt".into(),
            headers: vec![("host".into(), "examplebucket.s3.amazonaws.com".into())],
            ..HttpRequest::default()
        };
        let secret = SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into());
        let mut credentials = Credentials { access_key: "AKIAIOSFODNN7EXAMPLE".into(), secret, session_token: None };
        let now = instant("20130524T000000Z").unwrap();
        presign(&mut request, &credentials, "us-east-1", "s3", now, 86_400);
        assert!(request.query.starts_with("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1"));
        assert!(
            request.query.ends_with("&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"),
            "{}",
            request.query
        );

        credentials.session_token = Some("a/token=".into());
        let mut other = HttpRequest { query: "Action=GetCallerIdentity".into(), path: "/".into(), ..request };
        presign(&mut other, &credentials, "us-east-1", "sts", now, 60);
        assert!(other.query.starts_with("Action=GetCallerIdentity&X-Amz-") && other.query.contains("&X-Amz-Security-Token=a%2Ftoken%3D&"));
    }
}
