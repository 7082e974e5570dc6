//! What a stream of files is made of.

use std::io::Read;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind<'a> {
    /// A regular file.
    File,
    /// A regular file stored with holes, whose bytes cannot be had by reading on.
    Sparse,
    /// A directory.
    Directory,
    /// A symbolic link and its target, as stored.
    Symlink(&'a [u8]),
    /// Another name of an earlier entry: its path, normalised.
    HardLink(&'a [u8]),
    /// A device, FIFO or socket.
    Special,
}

/// One entry of a stream of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// Its path, normalised (see [`crate::path::normalise`]).
    pub(crate) path: &'a [u8],
    /// What it is.
    pub(crate) kind: EntryKind<'a>,
    /// Where its content begins, from the archive's first byte.
    pub(crate) start: u64,
    /// The bytes of its content.
    pub(crate) size: u64,
    /// Whether somebody may execute it.
    pub(crate) executable: bool,
}

/// Takes a stream of files, entry by entry.
pub(crate) trait EntrySink {
    /// One entry. `body` is its content; what is left of it unread is skipped.
    fn entry(&mut self, entry: &Entry<'_>, body: &mut dyn Read);

    /// An entry whose name no file can have: it is not part of the file system.
    fn nameless(&mut self, shown: String, why: crate::path::PathError);

    /// That other readers may see other entries than these from here on, and why.
    fn ambiguous(&mut self, path: &[u8], why: String);
}
