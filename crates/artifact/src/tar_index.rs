//! The table of contents of a tar that can be sought in: an image archive, whose entries are layers and manifests.

use crate::Limits;
use crate::path::PathError;
use crate::tar::{Entry, EntryKind, EntrySink, Seeking, walk};
use lestrade_model::ProblemKind;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read};

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
    let mut members = Members(Vec::new());
    let limits = Limits { entries: limits.entries.min(MAX_ENTRIES), ..*limits };
    match walk(&mut Seeking::new(file)?, &limits, &mut members) {
        Ok(_) => Ok(members.0),
        Err(stop) if stop.kind == ProblemKind::Truncated => {
            let inside = members.0.last().map_or_else(String::new, |entry| format!(" inside entry '{}'", entry.name));
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("it ends at byte {}{inside}", stop.offset)))
        }
        Err(stop) => Err(io::Error::other(format!("{} at byte {}", stop.detail, stop.offset))),
    }
}

struct Members(Vec<TarEntry>);

impl EntrySink for Members {
    fn entry(&mut self, entry: &Entry<'_>, _body: &mut dyn Read) {
        let link = match entry.kind {
            EntryKind::Symlink(target) => Some(String::from_utf8_lossy(target).into_owned()),
            EntryKind::HardLink(target) => Some(format!("/{}", String::from_utf8_lossy(target))),
            _ => None,
        };
        let name = String::from_utf8_lossy(entry.path).into_owned();
        self.0.push(TarEntry { name, offset: entry.start, length: entry.size, link });
    }

    fn nameless(&mut self, _shown: String, _why: PathError) {}

    // Layers and manifests are known by their digests, wherever somebody else may find them.
    fn ambiguous(&mut self, _path: &[u8], _why: String) {}
}
