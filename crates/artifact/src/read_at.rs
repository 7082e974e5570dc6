//! Bytes that can be read at any place: a file, a disk image, a partition, a file inside a file system.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

/// Bytes that can be read at any place, and of which only what is asked for is read.
pub trait ReadAt {
    /// How many bytes there are.
    fn size(&self) -> u64;

    /// Fills `buffer` with what lies at `offset`.
    ///
    /// # Errors
    /// When it cannot be read, or there are not so many bytes ([`io::ErrorKind::UnexpectedEof`]).
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl ReadAt for File {
    fn size(&self) -> u64 {
        use std::io::{Seek, SeekFrom};
        // A block device has no length but an end. Nobody reads this file on from where it stands.
        self.metadata().map_or(0, |metadata| metadata.len()).max((&*self).seek(SeekFrom::End(0)).unwrap_or(0))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Rc<T> {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, buffer)
    }
}

/// In memory.
impl ReadAt for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).ok();
        let part = start.and_then(|start| self.get(start..start.checked_add(buffer.len())?));
        buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
