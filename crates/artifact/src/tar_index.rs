//! The table of contents of a tar that can be sought in: an image archive, whose entries are layers and manifests.

use crate::Limits;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Seek};

/// The most entries of an image archive.
const MAX_ENTRIES: usize = 100_000;

/// Where an entry lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TarEntry {
    /// Its name, without leading `./`.
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
pub fn index_tar(mut file: impl Read + Seek, limits: &Limits) -> io::Result<Vec<TarEntry>> {
    let length = file.seek(io::SeekFrom::End(0))?;
    file.rewind()?;
    let mut archive = tar::Archive::new(file);
    let mut entries = Vec::new();
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
        let (offset, size) = (entry.raw_file_position(), entry.size());
        if name.len() > limits.name || entries.len() >= MAX_ENTRIES {
            return Err(io::Error::other("more entries, or longer names, than an image has"));
        }
        if offset.checked_add(size).is_none_or(|end| end > length) {
            let what = format!("it ends at byte {length} inside entry '{name}'");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
        let link = entry.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned());
        entries.push(TarEntry { name, offset, length: size, link });
    }
    Ok(entries)
}
