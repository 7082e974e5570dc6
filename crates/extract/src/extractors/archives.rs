//! Archives inside of files: zips that hold packages and other archives, each look into them bounded.

use crate::ExtractError;
use lestrade_artifact::zip_ambiguity;
use std::borrow::Cow;
use std::io::{Cursor, Read};
use zip::{CompressionMethod, ZipArchive};

/// How deep archives lie in one another, how many a file holds in all, and how much they inflate to: in all, and for each byte of
/// the file once that much is reached.
const MAX_DEPTH: usize = 4;
const MAX_ARCHIVES: usize = 1000;
const MAX_INFLATED: u64 = 1 << 30;
const MAX_RATIO: u64 = 200;
const RATIO_AFTER: u64 = 64 << 20;
const MAX_ENTRIES: usize = 1_000_000;
/// The largest manifest, and what archives that lie in one another may take in memory together.
const MAX_MANIFEST: u64 = 16 << 20;
const MAX_HELD: u64 = 64 << 20;

/// What one file's archives may still cost.
pub(super) struct Allowance {
    archives: usize,
    inflated: u64,
    held: u64,
}

impl Allowance {
    /// What a file of so many bytes may cost.
    pub(super) fn of(file: &[u8]) -> Self {
        let inflated = (file.len() as u64).saturating_mul(MAX_RATIO).clamp(RATIO_AFTER, MAX_INFLATED);
        Self { archives: MAX_ARCHIVES, inflated, held: MAX_HELD }
    }

    /// Gives back what an archive took that is read.
    pub(super) fn release(&mut self, content: Cow<'_, [u8]>) {
        if let Cow::Owned(content) = content {
            self.held += content.len() as u64;
        }
    }
}

/// An archive, open.
pub(super) struct Archive<'a> {
    content: &'a [u8],
    zip: ZipArchive<Cursor<&'a [u8]>>,
    doubt: Option<String>,
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
        // The directory is shared by both, and what is looked at again are the headers.
        let doubt = zip_ambiguity(zip.clone()).map_err(|error| ExtractError::Malformed(format!("not a zip archive ({error})")))?;
        Ok(Self { content, zip, doubt })
    }

    /// Why another reader may see something else in it.
    pub(super) fn ambiguity(&self) -> Option<ExtractError> {
        let why = self.doubt.as_ref()?;
        Some(ExtractError::Malformed(format!("the archive is ambiguous: {why}; its directory was followed")))
    }

    /// The names of its files, each with its number. A name that is no text is one with marks in it.
    pub(super) fn names(&self) -> Vec<(usize, String)> {
        let names = self.zip.file_names_raw().map(|name| String::from_utf8_lossy(name).into_owned());
        names.enumerate().filter(|(_, name)| !name.ends_with('/')).collect()
    }

    /// The content of a manifest.
    pub(super) fn manifest(&mut self, number: usize, allowance: &mut Allowance) -> Result<Vec<u8>, ExtractError> {
        self.content(number, MAX_MANIFEST, allowance)
    }

    /// The content of an archive inside: where it lies if it is stored as it is, as most builders do; else inflated, until it is
    /// [released](Allowance::release).
    pub(super) fn inner(&mut self, number: usize, allowance: &mut Allowance) -> Result<Cow<'a, [u8]>, ExtractError> {
        if let Some(stored) = self.stored(number)? {
            return Ok(Cow::Borrowed(stored));
        }
        let content = self.content(number, allowance.held, allowance)?;
        allowance.held -= content.len() as u64;
        Ok(Cow::Owned(content))
    }

    fn stored(&mut self, number: usize) -> Result<Option<&'a [u8]>, ExtractError> {
        let entry = self.zip.by_index_raw(number).map_err(|error| unreadable(&error))?;
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Ok(None);
        }
        let start = entry.data_start().and_then(|start| usize::try_from(start).ok());
        let length = usize::try_from(entry.compressed_size()).ok();
        Ok(start.zip(length).and_then(|(start, length)| self.content.get(start..)?.get(..length)))
    }

    fn content(&mut self, number: usize, most: u64, allowance: &mut Allowance) -> Result<Vec<u8>, ExtractError> {
        let entry = self.zip.by_index(number).map_err(|error| unreadable(&error))?;
        let most = most.min(allowance.inflated);
        // The size that it claims is not believed; but room for what may be, and no more, saves growing to twice as much.
        let room = entry.size().min(most + 1);
        let mut content = Vec::with_capacity(usize::try_from(room).unwrap_or_default());
        let read = entry.take(most + 1).read_to_end(&mut content);
        allowance.inflated -= (content.len() as u64).min(allowance.inflated);
        read.map_err(|error| ExtractError::Malformed(format!("an entry that is damaged ({error})")))?;
        if content.len() as u64 > most {
            return Err(ExtractError::TooMuch(format!("an entry inflates to more than the {} MiB that are left for it", most >> 20)));
        }
        Ok(content)
    }
}

fn unreadable(error: &zip::result::ZipError) -> ExtractError {
    match error {
        zip::result::ZipError::UnsupportedArchive(what) => ExtractError::Unsupported(format!("an entry that cannot be read ({what})")),
        other => ExtractError::Malformed(format!("an entry that cannot be read ({other})")),
    }
}
