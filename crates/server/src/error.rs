//! What can go wrong while serving.

use lestrade_advisories::AdvisoriesError;
use lestrade_events::DeliveryError;
use lestrade_matching::IndexError;
use lestrade_store::StoreError;
use std::sync::Arc;

/// An error of this room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Of the intelligence.
    #[error(transparent)]
    Advisories(#[from] AdvisoriesError),
    /// Of the index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Of a target.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// Of the rules.
    #[error(transparent)]
    Rules(#[from] lestrade_events::RuleError),
    /// Of the reports that clients of AWS ask for.
    #[error("reports cannot be written: {0}")]
    Reports(String),
    /// A thread cannot be started.
    #[error("no thread can be started: {0}")]
    Thread(std::io::Error),
    /// What was to be committed together with others was not, for one reason for all.
    #[error(transparent)]
    Together(Arc<ServerError>),
    /// A value cannot be encoded.
    #[error("a value cannot be encoded")]
    Encoding,
    /// A watched source cannot be reached: what is known of it is stale, and nothing of it is closed.
    #[error("cannot watch {source_name}: {reason}")]
    Source {
        /// The source.
        source_name: String,
        /// Why not.
        reason: String,
    },
}

impl ServerError {
    /// Whether there was no room left for what was to be kept: it may be asked for again once there is.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Store(StoreError::Full) => true,
            Self::Together(error) => error.is_full(),
            _ => false,
        }
    }
}
