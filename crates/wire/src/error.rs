//! Why a call failed.

use crate::TransportError;
use std::fmt;

/// Why a call of a service failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request got no response.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The service refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The response is not what the service's model says, so nothing is known of the answer.
    #[error("an answer that is not as the service's model says: {0}")]
    Malformed(String),
}

/// A service's refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The error's code: `UnauthorizedOperation`.
    pub code: String,
    /// What it says.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (HTTP {}): {}", self.code, self.status, self.message)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// Whether the service asks us to slow down.
    #[must_use]
    pub fn is_throttling(&self) -> bool {
        self.status == 429
            || matches!(
                self.code.as_str(),
                "RequestLimitExceeded" | "Throttling" | "ThrottlingException" | "TooManyRequestsException" | "RequestThrottled"
            )
    }

    /// Whether we are not let in, with these credentials or at all.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self.status, 401 | 403)
            || matches!(self.code.as_str(), "AuthFailure" | "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException")
    }
}

impl Error {
    /// Whether the same request may succeed a moment later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Transport(_) => true,
            Self::Refused(refusal) => refusal.is_throttling() || refusal.status >= 500,
            Self::Malformed(_) => false,
        }
    }
}
