//! The table of contents of a tar that can be sought in: an image archive, whose entries are layers and manifests.

use crate::Limits;
use crate::path::PathError;
use crate::tar::{Entry, EntryKind, EntrySink, Seeking, TarInput, walk};
use lestrade_model::ProblemKind;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::rc::Rc;

/// The most entries of an image archive.
const MAX_ENTRIES: u64 = 100_000;

/// Where an entry lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TarEntry {
    /// Its name, below the root of the archive.
    pub name: String,
    /// Where its content begins.
    pub offset: u64,
    /// How long its content is.
    pub length: u64,
    /// What it links to, if it is a link.
    pub link: Option<String>,
}

/// Lists the entries of a tar, seeking over contents.
///
/// # Errors
/// When it is not a tar or ends inside an entry; the message says where.
pub fn index_tar(file: File, limits: &Limits) -> io::Result<Vec<TarEntry>> {
    let position = Rc::new(Cell::new(0));
    let mut input = Told { inner: Seeking::new(file)?, position: Rc::clone(&position) };
    let mut members = Members { entries: Vec::new(), position };
    let limits = Limits { entries: limits.entries.min(MAX_ENTRIES), ..*limits };
    match walk(&mut input, &limits, &mut members) {
        Ok(_) => Ok(members.entries),
        Err(stop) if stop.kind == ProblemKind::Truncated => {
            let inside = members.entries.last().map_or_else(String::new, |entry| format!(" inside entry '{}'", entry.name));
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("it ends at byte {}{inside}", stop.offset)))
        }
        Err(stop) => Err(io::Error::other(format!("{} at byte {}", stop.detail, stop.offset))),
    }
}

/// Tells where the walk stands while it shows an entry.
struct Told {
    inner: Seeking,
    position: Rc<Cell<u64>>,
}

impl Read for Told {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read(buffer);
        self.position.set(self.inner.position());
        result
    }
}

impl TarInput for Told {
    fn skip(&mut self, length: u64) -> io::Result<u64> {
        let result = self.inner.skip(length);
        self.position.set(self.inner.position());
        result
    }
}

struct Members {
    entries: Vec<TarEntry>,
    position: Rc<Cell<u64>>,
}

impl EntrySink for Members {
    fn entry(&mut self, entry: &Entry<'_>, _body: &mut dyn Read) {
        let link = match entry.kind {
            EntryKind::Symlink(target) => Some(String::from_utf8_lossy(target).into_owned()),
            EntryKind::HardLink(target) => Some(format!("/{}", String::from_utf8_lossy(target))),
            _ => None,
        };
        let name = String::from_utf8_lossy(entry.path).into_owned();
        self.entries.push(TarEntry { name, offset: self.position.get(), length: entry.size, link });
    }

    fn nameless(&mut self, _shown: String, _why: PathError) {}

    // Layers and manifests are known by their digests, wherever somebody else may find them.
    fn ambiguous(&mut self, _path: &[u8], _why: String) {}
}
