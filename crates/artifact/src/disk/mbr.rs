//! The partition table of a master boot record: four entries, and a chain of further tables in one that is extended.

use super::device::read;
use super::numbers::le;
use crate::ReadAt;
use std::collections::HashSet;
use std::io;

/// Units of the table.
const SECTOR: u64 = 512;
/// Where the four entries lie, and how long each is.
const TABLE: usize = 446;
const ENTRY: usize = 16;
/// The most logical partitions that are listed; Linux knows no more than 60 of a disk.
const MAX_LOGICAL: usize = 128;

/// Kinds of entries that matter.
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];
const PROTECTIVE: u8 = 0xee;

/// A partition: its number, and where it lies in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) number: u32,
    pub(super) offset: u64,
    pub(super) length: u64,
    /// What it is said to be for, where that is something without files.
    pub(super) purpose: Option<&'static str>,
}

/// What a boot record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// There is no such table.
    None,
    /// It stands before a GPT, and only says so.
    Protective,
    Partitions(Vec<Partition>),
}

#[derive(Clone, Copy)]
struct Entry {
    kind: u8,
    start: u64,
    sectors: u64,
}

/// Reads the table. A boot sector that is no table has flags or places that none can have.
pub(super) fn table(device: &dyn ReadAt) -> io::Result<Table> {
    let sectors = device.size() / SECTOR;
    let Some(entries) = entries(device, 0)? else { return Ok(Table::None) };
    if entries.iter().any(|entry| entry.kind == PROTECTIVE) {
        return Ok(Table::Protective);
    }
    let used: Vec<(u32, Entry)> = (1..).zip(entries).filter(|(_, entry)| entry.kind != 0).collect();
    if used.iter().any(|(_, entry)| entry.start == 0) || used.iter().all(|(_, entry)| entry.start >= sectors) {
        return Ok(Table::None);
    }
    let mut partitions = Vec::new();
    for (number, entry) in used {
        if EXTENDED.contains(&entry.kind) {
            logical(device, entry.start, &mut partitions)?;
        } else {
            partitions.push(entry.partition(number, 0));
        }
    }
    partitions.sort_by_key(|partition| partition.number);
    Ok(Table::Partitions(partitions))
}

impl Entry {
    const fn partition(self, number: u32, base: u64) -> Partition {
        let purpose = match self.kind {
            0xef => Some("an EFI system partition"),
            0x41 => Some("a PReP boot partition"),
            _ => None,
        };
        Partition { number, offset: (base + self.start) * SECTOR, length: self.sectors * SECTOR, purpose }
    }
}

/// The entries of a table at a sector; none where there is no table.
fn entries(device: &dyn ReadAt, sector: u64) -> io::Result<Option<[Entry; 4]>> {
    if (sector + 1) * SECTOR > device.size() {
        return Ok(None);
    }
    let raw = read(device, sector * SECTOR, SECTOR as usize)?;
    let mut entries = [Entry { kind: 0, start: 0, sectors: 0 }; 4];
    for (number, entry) in entries.iter_mut().enumerate() {
        let at = TABLE + number * ENTRY;
        if raw[at] & 0x7f != 0 {
            return Ok(None);
        }
        *entry = Entry { kind: raw[at + 4], start: u64::from(le::u32(&raw, at + 8)?), sectors: u64::from(le::u32(&raw, at + 12)?) };
    }
    Ok((raw[510..] == [0x55, 0xaa]).then_some(entries))
}

/// The chain of an extended partition: each table names one partition after itself, and the next table counted from the first.
fn logical(device: &dyn ReadAt, first: u64, partitions: &mut Vec<Partition>) -> io::Result<()> {
    let mut seen = HashSet::new();
    let mut sector = first;
    while seen.len() < MAX_LOGICAL && seen.insert(sector) {
        let Some(entries) = entries(device, sector)? else { return Ok(()) };
        let mut next = None;
        for entry in entries.into_iter().filter(|entry| entry.kind != 0 && entry.sectors > 0) {
            if EXTENDED.contains(&entry.kind) {
                next = Some(first + entry.start);
            } else {
                let number = 5 + partitions.iter().filter(|partition| partition.number > 4).count() as u32;
                partitions.push(entry.partition(number, sector));
            }
        }
        let Some(next) = next else { return Ok(()) };
        sector = next;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table at a sector: kind, start, sectors of each entry.
    fn put(disk: &mut [u8], sector: usize, entries: &[(u8, u32, u32)]) {
        for (number, (kind, start, sectors)) in entries.iter().enumerate() {
            let at = sector * 512 + TABLE + number * ENTRY;
            disk[at + 4] = *kind;
            disk[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
            disk[at + 12..at + 16].copy_from_slice(&sectors.to_le_bytes());
        }
        disk[sector * 512 + 510..sector * 512 + 512].copy_from_slice(&[0x55, 0xaa]);
    }

    fn places(disk: Vec<u8>) -> Option<Vec<(u32, u64, u64)>> {
        match table(&disk).unwrap() {
            Table::Partitions(partitions) => Some(partitions.iter().map(|p| (p.number, p.offset / SECTOR, p.length / SECTOR)).collect()),
            Table::None | Table::Protective => None,
        }
    }

    #[test]
    fn chains_are_followed_and_not_in_circles() {
        let mut disk = vec![0; 100 * 512];
        put(&mut disk, 0, &[(0x83, 1, 9), (0x05, 20, 60)]);
        put(&mut disk, 20, &[(0x83, 1, 9), (0x05, 10, 10)]);
        put(&mut disk, 30, &[(0x83, 1, 9), (0x05, 20, 10)]);
        put(&mut disk, 40, &[(0x83, 1, 9)]);
        assert_eq!(places(disk.clone()).unwrap(), [(1, 1, 9), (5, 21, 9), (6, 31, 9), (7, 41, 9)]);
        put(&mut disk, 40, &[(0x83, 1, 9), (0x05, 0, 10)]);
        assert_eq!(places(disk.clone()).unwrap().len(), 4, "the chain goes back to its beginning");
        put(&mut disk, 40, &[(0x83, 1, 9), (0x05, u32::MAX, 10)]);
        assert_eq!(places(disk).unwrap().len(), 4, "the chain goes beyond the end");
    }

    #[test]
    fn a_boot_sector_that_is_no_table_is_none() {
        let mut disk = vec![0; 100 * 512];
        assert_eq!(places(disk.clone()), None);
        put(&mut disk, 0, &[]);
        assert_eq!(places(disk.clone()), None, "an empty one");
        put(&mut disk, 0, &[(0x83, 500, 9)]);
        assert_eq!(places(disk.clone()), None, "beyond the end");
        put(&mut disk, 0, &[(0x83, 1, 9)]);
        disk[TABLE] = 0x12;
        assert_eq!(places(disk.clone()), None, "code, and no flag");
        disk[TABLE] = 0x80;
        assert_eq!(places(disk.clone()).unwrap().len(), 1);
        put(&mut disk, 0, &[(0xee, 1, 99)]);
        assert_eq!(table(&disk).unwrap(), Table::Protective);
        assert_eq!(table(&vec![0; 100]).unwrap(), Table::None);
    }
}
