//! Whose it is.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The owner of everything: resources, rules, keys, cursors and queries each carry one.
///
/// An on-prem estate uses partition `aws` and an account number of its choice, so that its ARNs are well-formed for AWS clients.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    /// `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// Twelve digits.
    pub account: String,
    /// Such as `eu-west-1`.
    pub region: String,
}

/// A part of a scope that no AWS client would accept.
#[derive(Debug, thiserror::Error)]
#[error("'{value}' is not {what}")]
pub struct ScopeError {
    what: &'static str,
    value: String,
}

impl Scope {
    /// A scope of checked parts.
    ///
    /// # Errors
    /// When the account is not twelve digits, or partition or region hold other than lower-case letters, digits and `-`.
    pub fn new(partition: &str, account: &str, region: &str) -> Result<Self, ScopeError> {
        let word = |s: &str| !s.is_empty() && s.len() <= 32 && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let refuse = |what, value: &str| Err(ScopeError { what, value: value.chars().take(64).collect() });
        if !word(partition) {
            return refuse("a partition", partition);
        }
        if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
            return refuse("an account number of twelve digits", account);
        }
        if !word(region) {
            return refuse("a region", region);
        }
        Ok(Self { partition: partition.into(), account: account.into(), region: region.into() })
    }

    /// `arn:partition:service:region:account:resource`
    #[must_use]
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{resource}", self.partition, self.region, self.account)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.partition, self.account, self.region)
    }
}
