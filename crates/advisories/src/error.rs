//! What can go wrong with feeds and generations.

use lestrade_matching::IndexError;
use std::path::PathBuf;

/// An error of this room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdvisoriesError {
    /// A file or folder cannot be read or written.
    #[error("cannot {action} '{}'", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file of a feed is not what its name or beginning promises.
    #[error("'{}' is not a feed that can be read: {reason}", path.display())]
    NotAFeed {
        /// The file.
        path: PathBuf,
        /// One clause.
        reason: String,
    },
    /// A whole import held nothing that can be used.
    #[error("nothing in '{}' is an advisory", path.display())]
    Nothing {
        /// The file or folder.
        path: PathBuf,
    },
    /// The index cannot be built or read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A bundle is not to be taken, or cannot be made.
    #[error("{0}")]
    Bundle(String),
    /// There is no generation yet.
    #[error("there is no vulnerability intelligence yet")]
    NoGeneration,
}

impl AdvisoriesError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
