//! Where a tar reader's bytes come from.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// A reader that can leave bytes out.
pub(crate) trait TarInput: Read {
    /// Leaves out `length` bytes; answers how many there were, fewer at the end of the input.
    ///
    /// # Errors
    /// When reading fails.
    fn skip(&mut self, length: u64) -> io::Result<u64>;
}

/// A file: what is left out is never read.
#[derive(Debug)]
pub(crate) struct Seeking {
    file: BufReader<File>,
    position: u64,
    length: u64,
}

impl Seeking {
    /// Reads `file` from its start.
    ///
    /// # Errors
    /// When its length cannot be told.
    pub(crate) fn new(mut file: File) -> io::Result<Self> {
        let length = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        Ok(Self { file: BufReader::with_capacity(4096, file), position: 0, length })
    }
}

impl Read for Seeking {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buf)?;
        self.position += length as u64;
        Ok(length)
    }
}

impl TarInput for Seeking {
    fn skip(&mut self, length: u64) -> io::Result<u64> {
        let step = length.min(self.length.saturating_sub(self.position));
        self.file.seek_relative(i64::try_from(step).map_err(io::Error::other)?)?;
        self.position += step;
        Ok(step)
    }
}
