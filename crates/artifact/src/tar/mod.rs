//! tar as container images use it, read once and never unpacked.
//!
//! The reader follows what Go's `archive/tar` accepts, because that is what runtimes unpack with: what they do not see, we do not
//! report, and the other way round. A PAX size wins over the header's; links and devices have no content whatever their size
//! field says; two zero blocks end the archive and nothing after them is looked at.

mod entry;
mod header;
mod input;
mod pax;
#[cfg(test)]
mod tests;
mod walk;

pub(crate) use entry::{Entry, EntryKind, EntrySink};
pub(crate) use input::{Seeking, TarInput};
pub(crate) use walk::walk;
