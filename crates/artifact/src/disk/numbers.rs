//! Numbers and texts at places of a structure on disk.

use crate::stop::Reason;
use lestrade_model::ProblemKind;
use std::io;

/// A structure that is not what it should be.
pub(super) fn malformed(detail: impl Into<String>) -> io::Error {
    Reason::error(ProblemKind::Malformed, detail)
}

/// A structure that is known and not read.
pub(super) fn unsupported(detail: impl Into<String>) -> io::Error {
    Reason::error(ProblemKind::Unsupported, detail)
}

/// A structure that is larger than is read.
pub(super) fn too_much(detail: impl Into<String>) -> io::Error {
    Reason::error(ProblemKind::LimitExceeded, detail)
}

/// The bytes of a structure from `at` on.
///
/// # Errors
/// When it has not so many.
pub(super) fn part(bytes: &[u8], at: usize, length: usize) -> io::Result<&[u8]> {
    at.checked_add(length).and_then(|end| bytes.get(at..end)).ok_or_else(|| malformed("a structure on the disk is cut"))
}

macro_rules! numbers {
    ($order:ident, $from:ident, $what:literal) => {
        #[doc = $what]
        pub(super) mod $order {
            use std::io;

            numbers!($from, u16, u32, u64);
        }
    };
    ($from:ident, $($number:ident),*) => {$(
        /// The number at a place of a structure.
        pub(in crate::disk) fn $number(bytes: &[u8], at: usize) -> io::Result<$number> {
            let mut number = [0; size_of::<$number>()];
            number.copy_from_slice(super::part(bytes, at, size_of::<$number>())?);
            Ok($number::$from(number))
        }
    )*};
}

numbers!(le, from_le_bytes, "Numbers whose last byte counts most.");
numbers!(be, from_be_bytes, "Numbers whose first byte counts most.");

/// The byte at a place of a structure.
pub(super) fn byte(bytes: &[u8], at: usize) -> io::Result<u8> {
    part(bytes, at, 1).map(|byte| byte[0])
}
