//! Documents out of files, folders and archives, one at a time and never unpacked to disk.

use crate::AdvisoriesError;
use crate::formats::DEBIAN_SUPPORT;
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
    /// TOML.
    Toml,
    /// Lines of values between commas.
    Csv,
    /// XML.
    Xml,
    /// Text of a form of its own.
    Text,
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

/// What of a path gave no document.
#[derive(Debug, Default)]
pub struct Leftovers {
    /// How many files were passed over because their names are not of documents.
    pub passed_over: usize,
    /// Files of a folder that cannot be read, with the reason.
    pub broken: Vec<(String, String)>,
}

impl Documents {
    /// Calls `each` with every JSON, YAML, TOML, CSV and XML document, and the text files of trackers, under `path`: a file, a
    /// folder, a zip or a tar of those, any of them also compressed by gzip, bzip2, xz or Zstandard.
    ///
    /// # Errors
    /// When the path cannot be read, or is an archive that is broken. Of a folder the files that can be read are.
    pub fn each(path: &Path, each: &mut dyn FnMut(Document) -> Result<(), AdvisoriesError>) -> Result<Leftovers, AdvisoriesError> {
        let metadata = std::fs::metadata(path).map_err(AdvisoriesError::io("read", path))?;
        let mut leftovers = Leftovers::default();
        if metadata.is_dir() {
            let mut files = Vec::new();
            collect(path, 0, &mut files)?;
            for file in files {
                match one(&file, each) {
                    Ok(read) => leftovers.passed_over += usize::from(!read),
                    Err(error) => leftovers.broken.push((file.to_string_lossy().into_owned(), reason(&error))),
                }
            }
        } else if !one(path, each)? {
            return Err(AdvisoriesError::NotAFeed {
                path: path.to_owned(),
                reason: "only .json, .yaml, .toml, .csv, .xml, .zip and .tar are read, each also as .gz, .bz2, .xz and .zst".into(),
            });
        }
        Ok(leftovers)
    }
}

fn reason(error: &AdvisoriesError) -> String {
    match error {
        AdvisoriesError::Io { source, .. } => source.to_string(),
        AdvisoriesError::NotAFeed { reason, .. } => reason.clone(),
        other => other.to_string(),
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
    if is_trackers(name) {
        return Some(Syntax::Text);
    }
    Some(match name.to_ascii_lowercase().rsplit_once('.')?.1 {
        "json" => Syntax::Json,
        "yaml" | "yml" => Syntax::Yaml,
        "toml" => Syntax::Toml,
        "csv" => Syntax::Csv,
        "xml" => Syntax::Xml,
        _ => return None,
    })
}

/// Whether a file is a tracker's text by its name: Debian's lists, Ubuntu's files named by a CVE, Haskell's advisories.
fn is_trackers(name: &str) -> bool {
    let base = name.rsplit(['/', '!']).next().unwrap_or_default();
    let is_list = base == "list" || base.ends_with(".list") || base.starts_with(DEBIAN_SUPPORT);
    is_list || (base.starts_with("CVE-") && !base.contains('.')) || (base.starts_with("HSEC-") && base.ends_with(".md"))
}

/// Reads one file; answers whether its name is one that we read.
fn one(path: &Path, each: &mut dyn FnMut(Document) -> Result<(), AdvisoriesError>) -> Result<bool, AdvisoriesError> {
    let name = path.to_string_lossy().to_string();
    let file = BufReader::new(File::open(path).map_err(AdvisoriesError::io("open", path))?);
    let (plain, reader): (&str, Box<dyn Read>) = match name.rsplit_once('.').unwrap_or((&name, "")) {
        (plain, "gz") => (plain, Box::new(flate2::read::MultiGzDecoder::new(file))),
        (plain, "bz2") => (plain, Box::new(bzip2::read::MultiBzDecoder::new(file))),
        (plain, "xz") => (plain, Box::new(lzma_rust2::XzReader::new(file, true))),
        (plain, "zst") => (plain, Box::new(zstd::stream::read::Decoder::new(file).map_err(AdvisoriesError::io("read", path))?)),
        _ if name.to_ascii_lowercase().ends_with(".zip") => {
            zip_entries(file, path, each)?;
            return Ok(true);
        }
        _ => (&name, Box::new(file)),
    };
    if let Some(syntax) = syntax_of(plain) {
        let bytes = bounded(reader, path, &name)?;
        each(Document { name, syntax, bytes })?;
    } else if plain.to_ascii_lowercase().ends_with(".tar") {
        tar_entries(reader, path, each)?;
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

fn zip_entries(
    file: BufReader<File>,
    path: &Path,
    each: &mut dyn FnMut(Document) -> Result<(), AdvisoriesError>,
) -> Result<(), AdvisoriesError> {
    let broken = |error: zip::result::ZipError| AdvisoriesError::NotAFeed { path: path.to_owned(), reason: error.to_string() };
    let mut archive = zip::ZipArchive::new(file).map_err(broken)?;
    for i in 0..archive.len().min(MAX_ENTRIES) {
        let entry = archive.by_index(i).map_err(broken)?;
        // Names only tell what a document is; nothing is ever written under them.
        let inner = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let name = format!("{}!{inner}", path.display());
        if let (true, Some(syntax)) = (entry.is_file(), syntax_of(&inner)) {
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
        if let (true, Some(syntax)) = (entry.header().entry_type().is_file(), syntax_of(&inner)) {
            let bytes = bounded(entry, path, &name)?;
            each(Document { name, syntax, bytes })?;
        }
    }
    // What is behind the last entry is nothing but the compression's own end, by which it is known to be whole.
    std::io::copy(&mut archive.into_inner().take(MAX_DOCUMENT), &mut std::io::sink()).map_err(AdvisoriesError::io("read", path))?;
    Ok(())
}
