//! Folders of ext: records of names. The trees of hashes that lie in some of their blocks look like empty records, so that reading all
//! blocks one after the other finds all names.

use super::super::file_system::{FileSystem, Names, Node, folder_blocks};
use super::super::numbers::{byte, le, malformed, part};
use super::{Ext, inode};
use std::io;

/// The length of a record without its name.
const RECORD: usize = 8;
/// A folder in an inode begins with the number of its parent.
const PARENT: usize = 4;
/// Where the second part of a folder in an inode begins: records do not cross it.
const SECOND: usize = 60;

/// Lists a folder.
pub(super) fn names(system: &Ext, folder: &Node, each: Names<'_>) -> io::Result<()> {
    if let Some(content) = inode::inline(folder)? {
        let (first, second) = content.split_at(content.len().min(SECOND));
        records(first.get(PARENT..).unwrap_or_default(), each)?;
        return records(second, each);
    }
    let block = system.geometry.block as usize;
    folder_blocks(system as &dyn FileSystem, folder, block, &mut |bytes| records(bytes, each))
}

/// The records of a block.
fn records(bytes: &[u8], each: Names<'_>) -> io::Result<()> {
    let mut at = 0;
    while at + RECORD <= bytes.len() {
        let number = le::u32(bytes, at)?;
        let length = match usize::from(le::u16(bytes, at + 4)?) {
            // A block of 64 KiB has no other way to say how long it is.
            0 | 0xffff if bytes.len() > 0xffff => bytes.len(),
            length => length & 0xfffc | (length & 3) << 16,
        };
        let name_length = usize::from(byte(bytes, at + 6)?);
        if length < RECORD || at + length > bytes.len() || RECORD + name_length > length {
            return Err(malformed("a folder with a record that is not one"));
        }
        if number != 0 && name_length > 0 {
            each(part(bytes, at + RECORD, name_length)?, u64::from(number))?;
        }
        at += length;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u32, length: u16, name: &[u8]) -> Vec<u8> {
        let mut out = number.to_le_bytes().to_vec();
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&[name.len() as u8, 1]);
        out.extend_from_slice(name);
        out.resize(usize::from(length).max(out.len()), 0);
        out
    }

    fn list(bytes: &[u8]) -> (Vec<String>, bool) {
        let mut seen = Vec::new();
        let read = records(bytes, &mut |name, number| {
            seen.push(format!("{} {number}", String::from_utf8_lossy(name)));
            Ok(())
        });
        (seen, read.is_ok())
    }

    #[test]
    fn records_are_read_as_far_as_they_are_records() {
        let good = [record(2, 12, b"."), record(2, 12, b".."), record(0, 16, b"gone"), record(7, 24, b"file")].concat();
        assert_eq!(list(&good), (vec![". 2".into(), ".. 2".into(), "file 7".into()], true));
        for bad in [record(3, 4, b""), record(3, 60, b"x")[..40].to_vec(), record(3, 8, b"long"), record(0, 0, b"")] {
            let bytes = [record(9, 12, b"a"), bad].concat();
            assert_eq!(list(&bytes), (vec!["a 9".into()], false));
        }
    }
}
