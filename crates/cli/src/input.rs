//! Files that a command is told to read: whole, and within a bound.

use crate::exit::Exit;
use crate::failure::Failure;
use std::io::{Error, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// That a path cannot be read, and why.
pub(crate) fn unreadable(path: &Path, error: Error) -> Failure {
    Failure::new("E0300", Exit::Input, format!("'{}' cannot be read", path.display())).cause(error)
}

/// Reads a file of at most `most` bytes. What its size is said to be is not believed: a pipe says nothing, and a file may grow.
pub(crate) fn bytes(path: &Path, most: u64, too_large: impl FnOnce() -> Failure) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| unreadable(path, error))?;
    file.take(most + 1).read_to_end(&mut content).map_err(|error| unreadable(path, error))?;
    if content.len() as u64 > most { Err(too_large()) } else { Ok(content) }
}

/// Reads a file of text, as [`bytes`] does.
pub(crate) fn text(path: &Path, most: u64, too_large: impl FnOnce() -> Failure) -> Result<String, Failure> {
    String::from_utf8(bytes(path, most, too_large)?)
        .map_err(|_| unreadable(path, Error::new(ErrorKind::InvalidData, "stream did not contain valid UTF-8")))
}

/// What lies in a folder and has this ending. One entry that cannot be listed, and none is: it might be what matters.
pub(crate) fn files_of(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, Failure> {
    let listed = std::fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>());
    let mut files = listed.map_err(|error| unreadable(folder, error))?;
    files.retain(|path| path.extension().is_some_and(|end| end == ending));
    Ok(files)
}
