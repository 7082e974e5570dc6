//! Signing our own requests.

use super::canonical::string_to_sign;
use super::key::{CredentialScope, SecretKey, sha256};
use super::{ALGORITHM, stamp};
use crate::HttpRequest;
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
