//! Verifying requests that come to us.
//!
//! In two steps, so that the key can be looked up in between: [`Claim::read`] says who the request claims to come from,
//! [`Claim::verify`] whether that is so.

use super::canonical::string_to_sign;
use super::key::{CredentialScope, SecretKey, sha256};
use super::{ALGORITHM, WINDOW_MILLIS, instant, stamp};
use crate::HttpRequest;
use lestrade_model::Timestamp;
use subtle::ConstantTimeEq;

/// Why a request is not let in, as AWS's front answers it: always 403.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Denial {
    /// The value of `X-Amzn-Errortype`.
    pub code: &'static str,
    /// The message.
    pub message: String,
}

impl Denial {
    /// The HTTP status of every denial.
    pub const STATUS: u16 = 403;

    fn missing() -> Self {
        Self { code: "MissingAuthenticationTokenException", message: "Missing Authentication Token".into() }
    }

    fn incomplete(message: impl Into<String>) -> Self {
        Self { code: "IncompleteSignatureException", message: message.into() }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self { code: "InvalidSignatureException", message: message.into() }
    }

    /// For a signature that was used before, where that is not allowed.
    #[must_use]
    pub fn used() -> Self {
        Self::invalid("Signature was used before; a request that changes something must be signed anew.")
    }

    /// For an access key that nobody was given.
    #[must_use]
    pub fn unknown_key() -> Self {
        Self { code: "UnrecognizedClientException", message: "The security token included in the request is invalid.".into() }
    }
}

/// What a request must be signed for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The region of the endpoint.
    pub region: &'a str,
    /// The service's signing name.
    pub service: &'a str,
    /// Whether a body may go unsigned (`UNSIGNED-PAYLOAD`).
    pub unsigned_payload: bool,
}

/// Who a request claims to come from.
#[derive(Debug)]
pub struct Claim<'a> {
    request: &'a HttpRequest,
    access_key: &'a str,
    scope: CredentialScope<'a>,
    signed: Vec<&'a str>,
    signature: &'a str,
    stamp: &'a str,
}

impl<'a> Claim<'a> {
    /// Reads the claim that a request makes.
    ///
    /// # Errors
    /// When it makes none, or one that cannot be read or that leaves out what must be signed.
    pub fn read(request: &'a HttpRequest) -> Result<Self, Denial> {
        let mut values = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let value = values.next().map(|(_, value)| value.as_str()).ok_or_else(Denial::missing)?;
        if values.next().is_some() {
            return Err(Denial::incomplete("More than one Authorization header."));
        }
        let parts = value.strip_prefix(ALGORITHM).filter(|rest| rest.starts_with(' '));
        let parts = parts.ok_or_else(|| Denial::incomplete(format!("Authorization header requires the algorithm {ALGORITHM}.")))?;
        let part = |name: &str| {
            let mut found = parts.split(',').filter_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
            let value = found.next().filter(|_| found.next().is_none());
            value.ok_or_else(|| Denial::incomplete(format!("Authorization header requires one '{name}' parameter.")))
        };
        let (credential, signed, signature) = (part("Credential")?, part("SignedHeaders")?, part("Signature")?);
        let stamp = request.header("x-amz-date").ok_or_else(|| Denial::incomplete("Request requires an 'X-Amz-Date' header."))?;

        let fields: Vec<&str> = credential.split('/').collect();
        let [access_key, date, region, service, "aws4_request"] = fields[..] else {
            return Err(Denial::incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.",
            ));
        };
        let claim = Self {
            request,
            access_key,
            scope: CredentialScope { date, region, service },
            signed: signed.split(';').collect(),
            signature,
            stamp,
        };
        claim.check_signed_headers()?;
        Ok(claim)
    }

    /// The access key whose secret the verification needs.
    #[must_use]
    pub const fn access_key(&self) -> &'a str {
        self.access_key
    }

    /// The region that the request says that it is for.
    #[must_use]
    pub const fn region(&self) -> &'a str {
        self.scope.region
    }

    /// The signature, as it was sent.
    #[must_use]
    pub const fn signature(&self) -> &'a str {
        self.signature
    }

    /// Whether the request comes from the holder of `secret`, was made for us, now, and arrived as it was sent.
    ///
    /// # Errors
    /// When any of that is not so.
    pub fn verify(&self, secret: &SecretKey, expected: &Expected<'_>, now: Timestamp) -> Result<(), Denial> {
        if self.scope.region != expected.region {
            return Err(Denial::invalid(format!("Credential should be scoped to a valid region, not '{}'.", clip(self.scope.region))));
        }
        if self.scope.service != expected.service {
            return Err(Denial::invalid(format!("Credential should be scoped to correct service: '{}'.", expected.service)));
        }
        self.check_time(now)?;
        let payload = self.payload(expected)?;
        let mismatch = || {
            Denial::invalid(
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key \
                 and signing method. Consult the service documentation for details.",
            )
        };
        let text = string_to_sign(self.request, &self.signed, &payload, self.stamp, &self.scope).ok_or_else(mismatch)?;
        let ours = secret.signature(&self.scope, &text);
        if bool::from(ours.as_bytes().ct_eq(self.signature.as_bytes())) { Ok(()) } else { Err(mismatch()) }
    }

    /// An unsigned header could be put there by anybody on the way.
    fn check_signed_headers(&self) -> Result<(), Denial> {
        let unsigned = |name: &str| !self.signed.contains(&name);
        if self.signed.iter().any(|name| name.bytes().any(|b| b.is_ascii_uppercase())) {
            return Err(Denial::incomplete("'SignedHeaders' must be in lower case."));
        }
        let amazon = self.request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).filter(|name| name.starts_with("x-amz-"));
        let mut needed = std::iter::once("host".to_owned()).chain(amazon);
        match needed.find(|name| unsigned(name)) {
            Some(name) => Err(Denial::invalid(format!("'{}' must be a 'SignedHeader' in the AWS Authorization.", clip(&name)))),
            None => Ok(()),
        }
    }

    fn check_time(&self, now: Timestamp) -> Result<(), Denial> {
        let time = instant(self.stamp)
            .ok_or_else(|| Denial::incomplete(format!("Date must be in ISO-8601 'basic format'. Got '{}'.", clip(self.stamp))))?;
        if !self.stamp.starts_with(self.scope.date) || self.scope.date.len() != 8 {
            let (scope, stamp) = (clip(self.scope.date), clip(self.stamp));
            return Err(Denial::invalid(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{scope}' != '{stamp}'."
            )));
        }
        let (earliest, latest) = (now.plus_millis(-WINDOW_MILLIS), now.plus_millis(WINDOW_MILLIS));
        let told =
            |what: &str, limit: Timestamp, sign: char| Denial::invalid(format!("{what} {} ({} {sign} 15 min.)", stamp(limit), stamp(now)));
        if time < earliest {
            return Err(told(&format!("Signature expired: {} is now earlier than", self.stamp), earliest, '-'));
        }
        if time > latest {
            return Err(told(&format!("Signature not yet current: {} is still later than", self.stamp), latest, '+'));
        }
        Ok(())
    }

    /// The payload's hash as it stands in the canonical request: ours, so a body that was changed on the way does not verify.
    fn payload(&self, expected: &Expected<'_>) -> Result<String, Denial> {
        let computed = || sha256(&self.request.body);
        match self.request.header("x-amz-content-sha256") {
            None => Ok(computed()),
            Some("UNSIGNED-PAYLOAD") if expected.unsigned_payload => Ok("UNSIGNED-PAYLOAD".to_owned()),
            Some(promised) => {
                let computed = computed();
                if bool::from(computed.as_bytes().ct_eq(promised.as_bytes())) {
                    return Ok(computed);
                }
                Err(Denial::invalid("The provided 'x-amz-content-sha256' header does not match what was computed."))
            }
        }
    }
}

/// What a stranger sent, short enough to be repeated to him.
fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
