//! What can be wrong with an artifact as a whole.

use std::io;

/// An error of this room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// There is nothing at that path.
    #[error("'{0}' does not exist")]
    NotFound(String),
    /// We are not let in.
    #[error("'{0}' may not be read")]
    PermissionDenied(String),
    /// There is nothing in it.
    #[error("'{0}' is an empty file")]
    Empty(String),
    /// It is something else.
    #[error("'{path}' is not an image archive; it looks like {looks_like}")]
    NotAnImage {
        /// The path.
        path: String,
        /// What its first bytes look like.
        looks_like: &'static str,
    },
    /// It ends too early.
    #[error("'{path}' is not a complete image archive ({detail})")]
    Truncated {
        /// The path.
        path: String,
        /// Where.
        detail: String,
    },
    /// A manifest or config is not what it should be.
    #[error("{what} is not valid: {reason}")]
    BadManifest {
        /// Which document.
        what: String,
        /// Why not.
        reason: String,
    },
    /// A manifest names a blob that is not there.
    #[error("the manifest names '{0}', which is not there")]
    MissingBlob(String),
    /// A document is not what its digest promises.
    #[error("'{0}' does not have the digest that it is named by")]
    DigestMismatch(String),
    /// No image for the wanted platform.
    #[error("there is no image for {wanted}; there are {found}")]
    NoPlatform {
        /// What was wanted.
        wanted: String,
        /// What there is.
        found: String,
    },
    /// A reference is not one.
    #[error("'{0}' is not an image reference")]
    BadReference(String),
    /// The registry cannot be reached or answers nonsense.
    #[error("registry {registry}: {reason}")]
    Network {
        /// Its host.
        registry: String,
        /// What happened; never a response body.
        reason: String,
    },
    /// The registry does not let us in.
    #[error("registry {0} does not let us in")]
    Unauthorized(String),
    /// Reading failed.
    #[error("'{path}' cannot be read: {source}")]
    Io {
        /// What.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl ArtifactError {
    pub(crate) fn io(path: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound(path),
            io::ErrorKind::PermissionDenied => Self::PermissionDenied(path),
            _ => Self::Io { path, source },
        }
    }
}

impl ArtifactError {
    /// What an I/O error at a path means to the person who named that path.
    #[must_use]
    pub fn at(path: &std::path::Path, source: io::Error) -> Self {
        let path = path.display().to_string();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound(path),
            io::ErrorKind::PermissionDenied => Self::PermissionDenied(path),
            _ => Self::Io { path, source },
        }
    }
}
