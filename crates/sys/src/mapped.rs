//! Read-only mapped files.

use std::fs::File;
use std::io;
use std::path::Path;

/// A file's bytes, mapped and never copied.
///
/// Only for files that we wrote ourselves, under names that are never written again (generations are replaced by rename): bytes
/// of a foreign file could change or vanish under the reader.
#[derive(Debug)]
pub struct MappedFile(memmap2::Mmap);

impl MappedFile {
    /// Maps a file.
    ///
    /// # Errors
    /// When it cannot be opened or mapped.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the type's contract says that nobody writes to the file while it is mapped; generations are created under
        // another name, renamed into place once, and only ever unlinked.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Self(map))
    }
}

impl AsRef<[u8]> for MappedFile {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"bytes").unwrap();
        assert_eq!(MappedFile::open(&path).unwrap().as_ref(), b"bytes");
        std::fs::write(&path, b"").unwrap();
        assert_eq!(MappedFile::open(&path).unwrap().as_ref(), b"");
        assert!(MappedFile::open(&folder.path().join("missing")).is_err());
    }
}
