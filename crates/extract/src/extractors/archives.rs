//! Archives inside of files: zips that hold packages and other archives, each look into them bounded.

use crate::ExtractError;
use std::borrow::Cow;
use std::io::{Cursor, Read};
use zip::ZipArchive;

/// How deep archives lie in one another, how many a file holds in all, and how much they inflate to.
const MAX_DEPTH: usize = 4;
const MAX_ARCHIVES: usize = 1000;
const MAX_INFLATED: u64 = 1 << 30;
const MAX_ENTRIES: usize = 1_000_000;
/// The largest manifest, and the largest archive inside another.
const MAX_MANIFEST: u64 = 16 << 20;
const MAX_INNER: u64 = 128 << 20;

/// What one file's archives may still cost.
pub(super) struct Allowance {
    archives: usize,
    inflated: u64,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { archives: MAX_ARCHIVES, inflated: MAX_INFLATED }
    }
}

/// An archive, open.
pub(super) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
}

impl<'a> Archive<'a> {
    /// Opens an archive that lies so deep in others.
    pub(super) fn open(content: &'a [u8], depth: usize, allowance: &mut Allowance) -> Result<Self, ExtractError> {
        if depth > MAX_DEPTH {
            return Err(ExtractError::TooMuch(format!("archives lie more than {MAX_DEPTH} deep in one another")));
        }
        if allowance.archives == 0 {
            return Err(ExtractError::TooMuch(format!("more than {MAX_ARCHIVES} archives")));
        }
        allowance.archives -= 1;
        let zip = ZipArchive::new(Cursor::new(content)).map_err(|error| ExtractError::Malformed(format!("not a zip archive ({error})")))?;
        if zip.len() > MAX_ENTRIES {
            return Err(ExtractError::TooMuch(format!("more than {MAX_ENTRIES} entries")));
        }
        Ok(Self { zip })
    }

    /// The names of its files, in their order.
    pub(super) fn names(&self) -> Vec<String> {
        // What is no text is no manifest's name either.
        self.zip.file_names().filter_map(Result::ok).filter(|name| !name.ends_with('/')).map(Cow::into_owned).collect()
    }

    /// The content of a manifest.
    pub(super) fn manifest(&mut self, name: &str, allowance: &mut Allowance) -> Result<Vec<u8>, ExtractError> {
        self.content(name, MAX_MANIFEST, allowance)
    }

    /// The content of an archive inside.
    pub(super) fn inner(&mut self, name: &str, allowance: &mut Allowance) -> Result<Vec<u8>, ExtractError> {
        self.content(name, MAX_INNER, allowance)
    }

    fn content(&mut self, name: &str, most: u64, allowance: &mut Allowance) -> Result<Vec<u8>, ExtractError> {
        let entry = self.zip.by_name(name).map_err(|error| match error {
            zip::result::ZipError::UnsupportedArchive(what) => ExtractError::Unsupported(format!("an entry that cannot be read ({what})")),
            other => ExtractError::Malformed(format!("an entry that cannot be read ({other})")),
        })?;
        let most = most.min(allowance.inflated);
        let mut content = Vec::new();
        // The size that it claims is not believed.
        let read = entry.take(most + 1).read_to_end(&mut content);
        allowance.inflated -= (content.len() as u64).min(allowance.inflated);
        read.map_err(|error| ExtractError::Malformed(format!("an entry that is damaged ({error})")))?;
        if content.len() as u64 > most {
            return Err(ExtractError::TooMuch(format!("an entry inflates to more than {} MiB", most >> 20)));
        }
        Ok(content)
    }
}
