//! Why the reading of a stream ended before the stream did.

use lestrade_model::ProblemKind;
use std::io;

/// A stop in the middle of a stream: what was read before it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// What kind of thing went wrong.
    pub(crate) kind: ProblemKind,
    /// Where in the (expanded) stream.
    pub(crate) offset: u64,
    /// One clause for a person.
    pub(crate) detail: String,
}

impl Stop {
    /// A stop at `offset`.
    pub(crate) fn new(kind: ProblemKind, offset: u64, detail: impl Into<String>) -> Self {
        Self { kind, offset, detail: detail.into() }
    }

    /// The stop that a reader's error at `offset` means.
    pub(crate) fn of(error: &io::Error, offset: u64) -> Self {
        if let Some(reason) = error.get_ref().and_then(|inner| inner.downcast_ref::<Reason>()) {
            return Self::new(reason.kind, offset, reason.detail.clone());
        }
        let kind = match error.kind() {
            io::ErrorKind::UnexpectedEof => ProblemKind::Truncated,
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => ProblemKind::Malformed,
            _ => ProblemKind::Unreadable,
        };
        Self::new(kind, offset, error.to_string())
    }
}

/// The kind of a stop, carried through [`io::Error`] by readers that know more than an error kind can say.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct Reason {
    kind: ProblemKind,
    detail: String,
}

impl Reason {
    /// An I/O error that [`Stop::of`] understands.
    pub(crate) fn error(kind: ProblemKind, detail: impl Into<String>) -> io::Error {
        io::Error::other(Self { kind, detail: detail.into() })
    }
}
