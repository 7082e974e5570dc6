//! Room for content that is too large for memory: an unlinked temporary file, mapped.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;

/// A temporary file without a name. It is opened before walls go up, used for one content after another, and gone with the process
/// however that ends.
#[derive(Debug)]
pub struct Spill(File);

/// Content that was spilled, as bytes.
#[derive(Debug)]
pub struct Spilled<'a> {
    map: memmap2::Mmap,
    /// Nothing else is spilled while this is read.
    spill: PhantomData<&'a mut Spill>,
}

impl Spill {
    /// Opens one in the folder for temporary files.
    ///
    /// # Errors
    /// When none can be had.
    pub fn create() -> io::Result<Self> {
        tempfile::tempfile().map(Self)
    }

    /// Keeps `head` and what follows it in `rest`, in the place of what was kept before. None when that is more than `most` bytes.
    ///
    /// # Errors
    /// When `rest` cannot be read or the file system has no room.
    pub fn keep(&mut self, head: &[u8], rest: &mut dyn Read, most: u64) -> io::Result<Option<Spilled<'_>>> {
        self.0.set_len(0)?;
        self.0.seek(SeekFrom::Start(0))?;
        self.0.write_all(head)?;
        let room = most.saturating_sub(head.len() as u64);
        let length = head.len() as u64 + io::copy(&mut rest.take(room + 1), &mut self.0)?;
        if length > most {
            self.0.set_len(0)?;
            return Ok(None);
        }
        // SAFETY: the file has no name and this is its only descriptor, which `Spilled` borrows: nobody changes or shortens it
        // while it is mapped.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::Mmap::map(&self.0)? };
        Ok(Some(Spilled { map, spill: PhantomData }))
    }
}

impl AsRef<[u8]> for Spilled<'_> {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_content_after_another() {
        let mut spill = Spill::create().unwrap();
        assert_eq!(spill.keep(b"he", &mut &b"ad and rest"[..], 100).unwrap().unwrap().as_ref(), b"head and rest");
        assert_eq!(spill.keep(b"", &mut &b"x"[..], 1).unwrap().unwrap().as_ref(), b"x", "nothing of the one before");
        assert!(spill.keep(b"12", &mut &b"345"[..], 4).unwrap().is_none());
        assert_eq!(spill.keep(b"", &mut io::empty(), 4).unwrap().unwrap().as_ref(), b"");
    }
}
