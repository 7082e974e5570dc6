//! The GUID partition table (UEFI specification, 5.3): a header with its checksum and a list of partitions at the beginning of a disk, and
//! both again at its end.

use super::device::read;
use super::mbr::Partition;
use super::numbers::{le, part};
use crate::ReadAt;
use flate2::Crc;
use std::io;

/// Sizes of a sector that disks have.
const SECTORS: [u64; 2] = [512, 4096];
/// The length of a header.
const HEADER: usize = 92;
/// The most bytes of a list, and of an entry in it; tools make 128 entries of 128 bytes.
const MAX_LIST: u64 = 1 << 20;
const ENTRY: u64 = 128;
const MAX_ENTRY: u64 = 4096;

/// What partitions of these types are for, by the type's GUID as it is stored.
const WITHOUT_FILES: &[([u8; 16], &str)] = &[
    (*b"\x28\x73\x2a\xc1\x1f\xf8\xd2\x11\xba\x4b\x00\xa0\xc9\x3e\xc9\x3b", "an EFI system partition"),
    (*b"Hah!IdontNeedEFI", "a BIOS boot partition"),
    (*b"\x16\xe3\xc9\xe3\x5c\x0b\xb8\x4d\x81\x7d\xf9\x2d\xf0\x02\x15\xae", "a Microsoft reserved partition"),
    (*b"\xb0\x1e\x11\x9e\x6d\xd7\x42\x4a\xbb\x14\x39\x0b\xd0\x7b\xf8\x40", "a PReP boot partition"),
];

/// The partitions of a disk; none where there is no such table that is whole.
pub(super) fn partitions(device: &dyn ReadAt) -> io::Result<Option<Vec<Partition>>> {
    for sector in SECTORS {
        let last = (device.size() / sector).saturating_sub(1);
        // The one at the end is for when the first is damaged.
        for place in [1, last] {
            if place > 0
                && let Some(partitions) = table(device, sector, place)?
            {
                return Ok(Some(partitions));
            }
        }
    }
    Ok(None)
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// The table whose header lies in a sector, if its checksums are right.
fn table(device: &dyn ReadAt, sector: u64, place: u64) -> io::Result<Option<Vec<Partition>>> {
    if (place + 1) * sector > device.size() {
        return Ok(None);
    }
    let raw = read(device, place * sector, sector as usize)?;
    let length = le::u32(&raw, 12)? as usize;
    if !raw.starts_with(b"EFI PART") || !(HEADER..=raw.len()).contains(&length) {
        return Ok(None);
    }
    let mut header = part(&raw, 0, length)?.to_vec();
    header[16..20].fill(0);
    let (count, size) = (u64::from(le::u32(&raw, 80)?), u64::from(le::u32(&raw, 84)?));
    let is_list = (ENTRY..=MAX_ENTRY).contains(&size) && count.checked_mul(size).is_some_and(|bytes| bytes <= MAX_LIST);
    if checksum(&header) != le::u32(&raw, 16)? || le::u64(&raw, 24)? != place || !is_list {
        return Ok(None);
    }
    let Some(start) = le::u64(&raw, 72)?.checked_mul(sector) else { return Ok(None) };
    let list = match read(device, start, (count * size) as usize) {
        Ok(list) if checksum(&list) == le::u32(&raw, 88)? => list,
        _ => return Ok(None),
    };
    let mut partitions = Vec::new();
    for (number, entry) in (1..).zip(list.chunks_exact(size as usize)) {
        let kind = part(entry, 0, 16)?;
        let (first, last) = (le::u64(entry, 32)?, le::u64(entry, 40)?);
        let length = last.checked_sub(first).and_then(|more| more.checked_add(1)).and_then(|sectors| sectors.checked_mul(sector));
        if let (false, Some(offset), Some(length)) = (kind == [0; 16], first.checked_mul(sector), length) {
            let purpose = WITHOUT_FILES.iter().find(|(guid, _)| guid == kind).map(|(_, what)| *what);
            partitions.push(Partition { number, offset, length, purpose });
        }
    }
    Ok(Some(partitions))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: [u8; 16] = *b"some other kind.";

    /// A table whose header lies in sector `place` and whose list in sector `list`.
    fn put(disk: &mut [u8], place: u64, list: u64, size: u32, entries: &[(u64, u64)]) {
        let mut bytes = Vec::new();
        for (first, last) in entries {
            bytes.extend_from_slice(&[KIND, [7; 16]].concat());
            bytes.extend_from_slice(&[first.to_le_bytes(), last.to_le_bytes()].concat());
            bytes.resize(bytes.len().next_multiple_of(128), 0);
        }
        bytes.resize(4 * 128, 0);
        let mut header = b"EFI PART\0\0\x01\0\x5c\0\0\0".to_vec();
        header.resize(24, 0);
        header.extend_from_slice(&place.to_le_bytes());
        header.resize(72, 0);
        header.extend_from_slice(&list.to_le_bytes());
        header.extend_from_slice(&[4_u32.to_le_bytes(), size.to_le_bytes(), checksum(&bytes).to_le_bytes()].concat());
        let own = checksum(&header);
        header[16..20].copy_from_slice(&own.to_le_bytes());
        disk[list as usize * 512..][..bytes.len()].copy_from_slice(&bytes);
        disk[place as usize * 512..][..header.len()].copy_from_slice(&header);
    }

    fn places(disk: &Vec<u8>) -> Option<Vec<(u32, u64, u64)>> {
        Some(partitions(disk).unwrap()?.iter().map(|p| (p.number, p.offset / 512, p.length / 512)).collect())
    }

    #[test]
    fn the_second_table_stands_in_for_the_first() {
        let mut disk = vec![0; 100 * 512];
        assert_eq!(places(&disk), None);
        put(&mut disk, 99, 95, 128, &[(10, 19)]);
        assert_eq!(places(&disk).unwrap(), [(1, 10, 10)]);
        put(&mut disk, 1, 2, 128, &[(10, 19), (20, 20)]);
        assert_eq!(places(&disk).unwrap(), [(1, 10, 10), (2, 20, 1)]);
        for damaged in [512 + 30, 2 * 512 + 40] {
            let mut other = disk.clone();
            other[damaged] ^= 1;
            assert_eq!(places(&other).unwrap(), [(1, 10, 10)]);
        }
    }

    #[test]
    fn sizes_that_no_entry_has_are_refused() {
        let mut disk = vec![0; 100 * 512];
        for size in [0, 1, 1 << 20, u32::MAX] {
            put(&mut disk, 1, 2, size, &[(10, 19)]);
            assert_eq!(places(&disk), None, "{size}");
        }
        put(&mut disk, 1, 2, 128, &[(u64::MAX, u64::MAX), (19, 10), (0, u64::MAX)]);
        assert_eq!(places(&disk).unwrap(), [], "partitions that no disk has");
    }
}
