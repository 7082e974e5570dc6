//! Folders of XFS: a short list in the inode, or blocks of records. The blocks that index those lie behind them and are not needed.

use super::super::file_system::{Names, Node, folder_blocks};
use super::super::numbers::{be, byte, malformed, part};
use super::{Xfs, inode};
use std::io;

/// The marks of blocks of records: a folder's only one, which ends with its index, and one of several; in both versions.
const ONLY: [&[u8]; 2] = [b"XD2B", b"XDB3"];
const ONE_OF_MANY: [&[u8]; 2] = [b"XD2D", b"XDD3"];
/// The length of a block's header in the versions.
const HEADER: [usize; 2] = [16, 64];
/// What begins a stretch without a record.
const FREE: u16 = 0xffff;

/// Lists a folder.
pub(super) fn names(system: &Xfs, folder: &Node, each: Names<'_>) -> io::Result<()> {
    if let Some(list) = inode::local(folder)? {
        return short(list, system.geometry.file_types, each);
    }
    let geometry = &system.geometry;
    let version = usize::from(geometry.is_v5);
    folder_blocks(system, folder, geometry.folder_block as usize, &mut |block| {
        let end = if block.starts_with(ONLY[version]) {
            // Behind the records: the index, and how many entries it has.
            let count = be::u32(block, block.len() - 8)? as usize;
            (block.len() - 8).checked_sub(count.saturating_mul(8))
        } else {
            block.starts_with(ONE_OF_MANY[version]).then_some(block.len())
        };
        records(block, HEADER[version], end.ok_or_else(bad)?, geometry.file_types, each)
    })
}

fn bad() -> io::Error {
    malformed("a folder with a record that is not one")
}

/// A list in an inode.
fn short(list: &[u8], typed: bool, each: Names<'_>) -> io::Result<()> {
    let wide = byte(list, 1)? > 0;
    let number_length = if wide { 8 } else { 4 };
    let mut at = 2 + number_length;
    for _ in 0..byte(list, 0)?.max(byte(list, 1)?) {
        let length = usize::from(byte(list, at)?);
        let name = part(list, at + 3, length)?;
        at += 3 + length + usize::from(typed);
        each(name, if wide { be::u64(list, at)? } else { u64::from(be::u32(list, at)?) })?;
        at += number_length;
    }
    Ok(())
}

/// The records of a block.
fn records(block: &[u8], start: usize, end: usize, typed: bool, each: Names<'_>) -> io::Result<()> {
    let mut at = start;
    while at < end {
        if be::u16(block, at)? == FREE {
            let length = usize::from(be::u16(block, at + 2)?);
            if length == 0 || length % 8 != 0 {
                return Err(bad());
            }
            at += length;
            continue;
        }
        let length = usize::from(byte(block, at + 8)?);
        let next = at + (8 + 1 + length + usize::from(typed) + 2).next_multiple_of(8);
        if length == 0 || next > end {
            return Err(bad());
        }
        each(part(block, at + 9, length)?, be::u64(block, at)?)?;
        at = next;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(read: impl FnOnce(Names<'_>) -> io::Result<()>) -> (Vec<String>, bool) {
        let mut seen = Vec::new();
        let read = read(&mut |name, number| {
            seen.push(format!("{} {number}", String::from_utf8_lossy(name)));
            Ok(())
        });
        (seen, read.is_ok())
    }

    #[test]
    fn short_lists_have_numbers_of_either_length() {
        let narrow = [&[2, 0, 0, 0, 0, 128][..], &[1, 0, 96], b"a", &[1, 0, 0, 0, 7], &[2, 0, 112], b"bc", &[2, 0, 0, 1, 0]].concat();
        assert_eq!(list(|each| short(&narrow, true, each)), (vec!["a 7".into(), "bc 256".into()], true));
        let wide = [&[1, 1][..], &[0; 8], &[1, 0, 96], b"a", &[0, 0, 0, 1, 0, 0, 0, 7]].concat();
        assert_eq!(list(|each| short(&wide, false, each)), (vec!["a 4294967303".into()], true));
        assert_eq!(list(|each| short(&narrow[..16], true, each)), (vec!["a 7".into()], false), "cut");
    }

    #[test]
    fn records_are_read_as_far_as_they_are_records() {
        let record = |name: &[u8], number: u64| {
            let mut out = number.to_be_bytes().to_vec();
            out.push(name.len() as u8);
            out.extend_from_slice(name);
            out.resize((out.len() + 3).next_multiple_of(8), 1);
            out
        };
        let free = |length: u16| [&[0xff, 0xff][..], &length.to_be_bytes(), &[0; 12]].concat();
        let good = [record(b".", 2), free(16), record(b"file", 9)].concat();
        assert_eq!(list(|each| records(&good, 0, good.len(), true, each)), (vec![". 2".into(), "file 9".into()], true));
        for bad in [free(0), free(9), record(b"", 1), record(b"file", 9)[..8].to_vec()] {
            let bytes = [record(b".", 2), bad].concat();
            assert_eq!(list(|each| records(&bytes, 0, bytes.len(), true, each)), (vec![". 2".into()], false));
        }
    }
}
