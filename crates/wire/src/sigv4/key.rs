//! Secrets and what is derived from them.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// A secret access key. It never prints itself.
#[derive(Clone)]
pub struct SecretKey(String);

impl SecretKey {
    /// A secret key.
    #[must_use]
    pub const fn new(secret: String) -> Self {
        Self(secret)
    }

    /// Whether it is this. How long that takes says nothing of it but its length.
    #[must_use]
    pub fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// The signature of `text` under the key derived for a day, region and service.
    pub(crate) fn signature(&self, scope: &CredentialScope<'_>, text: &str) -> String {
        let root = format!("AWS4{}", self.0);
        let steps = [scope.date, scope.region, scope.service, "aws4_request", text];
        hex(&steps.iter().fold(root.into_bytes(), |key, step| hmac(&key, step.as_bytes())))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// What a derived key is good for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CredentialScope<'a> {
    pub(crate) date: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

impl fmt::Display for CredentialScope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

/// The SHA-256 of some bytes, in hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|nibble| char::from(DIGITS[usize::from(nibble)])).collect()
}
