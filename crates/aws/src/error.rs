//! Why AWS did not tell us what we asked.

use lestrade_wire::Refusal;

/// Why a look at AWS failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call failed.
    #[error("{operation}: {source}")]
    Call {
        /// Which.
        operation: &'static str,
        /// Why.
        source: lestrade_wire::Error,
    },
    /// The service gives the same page again and again.
    #[error("{operation}: its pages do not end")]
    EndlessPages {
        /// Which.
        operation: &'static str,
    },
    /// An answer is about an account that was not asked about: the credentials are not those of the scope.
    #[error("the credentials see account {found}, not {expected}")]
    WrongAccount {
        /// Whose resources came.
        found: String,
        /// Whose were asked for.
        expected: String,
    },
    /// Things came without what names them.
    #[error("{count} {what} without an id")]
    Nameless {
        /// How many.
        count: usize,
        /// What.
        what: &'static str,
    },
    /// Nobody is there to ask as.
    #[error("no credentials: {0}")]
    Credentials(String),
    /// We are not let in, said again.
    #[error("{0}")]
    Denied(String),
    /// A document that a service hands on is not one.
    #[error("{0}")]
    Document(String),
    /// A client could not be made.
    #[error("no HTTPS client: {0}")]
    Https(String),
    /// An endpoint that is not a plain `http(s)://host:port`.
    #[error("'{0}' is not an endpoint")]
    Endpoint(String),
}

impl Error {
    /// What a service said when it refused.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Call { source: lestrade_wire::Error::Refused(refusal), .. } => Some(refusal),
            _ => None,
        }
    }

    /// Whether a service refused with this code.
    #[must_use]
    pub fn is_refusal(&self, code: &str) -> bool {
        self.refusal().is_some_and(|refusal| refusal.code == code)
    }

    /// Whether we are not let in.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        match self {
            Self::Call { .. } => self.refusal().is_some_and(Refusal::is_denied),
            Self::Credentials(_) | Self::Denied(_) | Self::WrongAccount { .. } => true,
            _ => false,
        }
    }
}
