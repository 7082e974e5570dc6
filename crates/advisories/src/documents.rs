//! Documents out of files, folders and archives, one at a time and never unpacked to disk.

use crate::AdvisoriesError;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// The largest document that is read. The Debian tracker is the largest real one, at some 70 MB.
const MAX_DOCUMENT: u64 = 512 << 20;
/// The most entries of one archive, and files of one folder tree.
const MAX_ENTRIES: usize = 2_000_000;
const MAX_DEPTH: usize = 32;

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// Lines of values between commas.
    Csv,
}

/// A document and where it came from.
#[derive(Debug)]
pub struct Document {
    /// For messages: the file, and the entry inside it.
    pub name: String,
    /// How it is written, by its name.
    pub syntax: Syntax,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Reads documents from a path.
pub struct Documents;

impl Documents {
    /// Calls `each` with every JSON, YAML and CSV document under `path`: a file, a folder, a zip, a tar, gz or zst of those.
    /// Answers how many files were passed over because their names are not of documents.
    ///
    /// # Errors
    /// When a file or folder cannot be read, or an archive is broken.
    pub fn each(path: &Path, each: &mut dyn FnMut(Document) -> Result<(), AdvisoriesError>) -> Result<usize, AdvisoriesError> {
        let metadata = std::fs::metadata(path).map_err(AdvisoriesError::io("read", path))?;
        let mut passed_over = 0;
        if metadata.is_dir() {
            let mut files = Vec::new();
            collect(path, 0, &mut files)?;
            for file in files {
                passed_over += usize::from(!one(&file, each)?);
            }
        } else if !one(path, each)? {
            return Err(AdvisoriesError::NotAFeed {
                path: path.to_owned(),
                reason: "only .json, .yaml, .csv (also .gz), .zip, .tar and .tar.zst are read".into(),
            });
        }
        Ok(passed_over)
    }
}

/// Files of a tree in a stable order. Links are not followed: a folder cannot lead out of itself or round in a circle.
fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), AdvisoriesError> {
    if depth > MAX_DEPTH || files.len() > MAX_ENTRIES {
        return Err(AdvisoriesError::NotAFeed { path: folder.to_owned(), reason: "the folder is too deep or holds too many files".into() });
    }
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .and_then(|entries| entries.collect::<Result<Vec<_>, _>>())
        .map_err(AdvisoriesError::io("read", folder))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().map_err(AdvisoriesError::io("read", entry.path()))?;
        if kind.is_dir() && entry.file_name() != ".git" {
            collect(&entry.path(), depth + 1, files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn syntax_of(name: &str) -> Option<Syntax> {
    let lower = name.to_ascii_lowercase();
    match lower.strip_suffix(".gz").unwrap_or(&lower).rsplit('.').next()? {
        "json" => Some(Syntax::Json),
        "yaml" | "yml" => Some(Syntax::Yaml),
        "csv" => Some(Syntax::Csv),
        _ => None,
    }
}

/// Inside an archive nothing is compressed once more.
fn plain_syntax_of(name: &str) -> Option<Syntax> {
    syntax_of(name).filter(|_| !name.ends_with(".gz"))
}

/// Reads one file; answers whether its name is one that we read.
fn one(path: &Path, each: &mut dyn FnMut(Document) -> Result<(), AdvisoriesError>) -> Result<bool, AdvisoriesError> {
    let name = path.to_string_lossy().to_string();
    let lower = name.to_ascii_lowercase();
    let open = || File::open(path).map_err(AdvisoriesError::io("open", path));
    if let Some(syntax) = syntax_of(&name) {
        let bytes = if lower.ends_with(".gz") {
            bounded(flate2::read::MultiGzDecoder::new(open()?), path, &name)?
        } else {
            bounded(open()?, path, &name)?
        };
        each(Document { name, syntax, bytes })?;
    } else if lower.ends_with(".zip") {
        zip_entries(open()?, path, each)?;
    } else if lower.ends_with(".tar.zst") {
        let decoder = zstd::stream::read::Decoder::new(open()?).map_err(AdvisoriesError::io("read", path))?;
        tar_entries(decoder, path, each)?;
    } else if lower.ends_with(".tar") {
        tar_entries(BufReader::new(open()?), path, each)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn bounded(reader: impl Read, path: &Path, name: &str) -> Result<Vec<u8>, AdvisoriesError> {
    let mut bytes = Vec::new();
    reader.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes).map_err(AdvisoriesError::io("read", path))?;
    if bytes.len() as u64 > MAX_DOCUMENT {
        return Err(AdvisoriesError::NotAFeed { path: path.to_owned(), reason: format!("'{name}' is larger than 512 MiB") });
    }
    Ok(bytes)
}

fn zip_entries(file: File, path: &Path, each: &mut dyn FnMut(Document) -> Result<(), AdvisoriesError>) -> Result<(), AdvisoriesError> {
    let broken = |error: zip::result::ZipError| AdvisoriesError::NotAFeed { path: path.to_owned(), reason: error.to_string() };
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(broken)?;
    for i in 0..archive.len().min(MAX_ENTRIES) {
        let entry = archive.by_index(i).map_err(broken)?;
        // Names only tell what a document is; nothing is ever written under them.
        let inner = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let name = format!("{}!{inner}", path.display());
        if let (true, Some(syntax)) = (entry.is_file(), plain_syntax_of(&inner)) {
            let bytes = bounded(entry, path, &name)?;
            each(Document { name, syntax, bytes })?;
        }
    }
    Ok(())
}

fn tar_entries(
    reader: impl Read,
    path: &Path,
    each: &mut dyn FnMut(Document) -> Result<(), AdvisoriesError>,
) -> Result<(), AdvisoriesError> {
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries().map_err(AdvisoriesError::io("read", path))?.take(MAX_ENTRIES) {
        let entry = entry.map_err(AdvisoriesError::io("read", path))?;
        let inner = entry.path_bytes();
        let inner = String::from_utf8_lossy(&inner).into_owned();
        let name = format!("{}!{inner}", path.display());
        if let (true, Some(syntax)) = (entry.header().entry_type().is_file(), plain_syntax_of(&inner)) {
            let bytes = bounded(entry, path, &name)?;
            each(Document { name, syntax, bytes })?;
        }
    }
    Ok(())
}
