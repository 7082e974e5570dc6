//! Read-only mapped files.

use std::fs::File;
use std::io;
use std::ops::Range;
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

    /// Says that a part is jumped about in: a page of it is read when it is asked for, and nothing around it. Otherwise the kernel reads
    /// as much around it as its device says, which may be megabytes.
    pub fn is_jumped_about_in(&self, part: Range<usize>) {
        self.advise(memmap2::Advice::Random, part);
    }

    /// Says that a part is read from front to back, as all of a file is unless something else was said of it.
    pub fn is_read_through(&self, part: Range<usize>) {
        self.advise(memmap2::Advice::Normal, part);
    }

    /// Advice, and no more: what is read is the same without.
    fn advise(&self, advice: memmap2::Advice, part: Range<usize>) {
        let end = part.end.min(self.0.len());
        if let Some(length) = end.checked_sub(part.start).filter(|length| *length > 0) {
            let _ = self.0.advise_range(advice, part.start, length);
        }
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
        let advised = MappedFile::open(&path).unwrap();
        for part in [0..5, 1..3, 4..900, 900..901, 3..3] {
            advised.is_jumped_about_in(part.clone());
            advised.is_read_through(part);
            assert_eq!(advised.as_ref(), b"bytes");
        }
        std::fs::write(&path, b"").unwrap();
        assert_eq!(MappedFile::open(&path).unwrap().as_ref(), b"");
        assert!(MappedFile::open(&folder.path().join("missing")).is_err());
    }
}
