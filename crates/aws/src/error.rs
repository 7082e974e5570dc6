//! Why AWS did not tell us what we asked.

use lestrade_model::Resource;

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
    /// Instances came without an id.
    #[error("{0} instances without an id")]
    Nameless(usize),
    /// A client could not be made.
    #[error("no HTTPS client: {0}")]
    Https(String),
    /// An endpoint that is not a plain `http(s)://host:port`.
    #[error("'{0}' is not an endpoint")]
    Endpoint(String),
}

/// A view that is not complete. What it holds exists; what it does not hold may exist too.
#[derive(Debug, thiserror::Error)]
#[error("an incomplete view ({} resources seen): {why}", seen.len())]
pub struct Partial {
    /// What was seen.
    pub seen: Vec<Resource>,
    /// Why there may be more.
    pub why: Error,
}
