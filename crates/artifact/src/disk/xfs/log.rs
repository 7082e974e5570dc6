//! The log of XFS: a ring of sectors in which records lie one after the other. What was written last is found, and where what is not in
//! its place yet begins.
//!
//! Each sector begins with the number of the round in which it was written (a record's header has it behind its mark), so the newest one
//! is found by halving. Several records may be on their way at once, so before it there may be holes.

use super::super::device::read;
use super::super::numbers::{be, byte, le, malformed, part, too_much};
use crate::ReadAt;
use std::io;

/// Units of the log.
const SECTOR: u64 = 512;
const MAGIC: u32 = 0xfeed_babe;
/// The longest content of a record, the most of it that one header speaks of, and how many sectors of records may be on their way.
const MAX_RECORD: u32 = 256 << 10;
const PER_HEADER: u32 = 32 << 10;
const ON_THEIR_WAY: u64 = 4096;
/// The most bytes of records that are replayed.
const MAX_ACTIVE: u64 = 256 << 20;
/// The length of what the checksum covers of a record's first header, where the checksum is, and of what it covers of the others.
const CHECKED: usize = 328;
const CHECKSUM: usize = 32;
const CHECKED_MORE: usize = 260;
/// The flag of an operation that ends a mount.
const UNMOUNT: u8 = 0x20;

/// What a log holds that is not in its place yet.
pub(super) struct Active {
    /// The contents of its records, from the oldest on.
    pub(super) records: Vec<Record>,
    /// Whether a record that should be whole is not: what follows it is lost.
    pub(super) is_broken: bool,
}

/// The content of a record.
pub(super) struct Record {
    pub(super) operations: u32,
    pub(super) content: Vec<u8>,
}

/// Reads the log in these bytes of a device. What ends with the record of an unmount holds nothing.
pub(super) fn active(device: &dyn ReadAt, offset: u64, length: u64) -> io::Result<Active> {
    let log = Log { device, offset, sectors: length / SECTOR };
    if log.sectors < 2 {
        return Err(malformed("a log without room"));
    }
    let nothing = Active { records: Vec::new(), is_broken: false };
    let head = log.head()?;
    // A log in which nothing was ever written.
    if head == 0 && log.round(0)? == 0 {
        return Ok(nothing);
    }
    let Some((last, place)) = log.last(head)? else { return Err(malformed("a log without a record")) };
    if last.is_unmount(&log, place)? {
        return Ok(nothing);
    }
    let end = log.wrap(place + last.sectors());
    let tail = last.tail & u64::from(u32::MAX);
    if tail >= log.sectors {
        return Err(malformed("a log whose records contradict each other"));
    }
    let distance = (end + log.sectors - tail) % log.sectors;
    if distance * SECTOR > MAX_ACTIVE {
        return Err(too_much(format!("more than {} MiB of changes", MAX_ACTIVE >> 20)));
    }
    let mut active = nothing;
    let mut passed = 0;
    while passed < distance {
        let at = log.wrap(tail + passed);
        let header = Header::read(&log.sector(at)?)?;
        let record = header.as_ref().map(|header| header.content(&log, at)).transpose()?.flatten();
        let (Some(header), Some(record)) = (header, record) else {
            // The last ones may have been on their way.
            active.is_broken = distance - passed > ON_THEIR_WAY;
            break;
        };
        passed += header.sectors();
        active.records.push(record);
    }
    Ok(active)
}

struct Log<'a> {
    device: &'a dyn ReadAt,
    offset: u64,
    sectors: u64,
}

impl Log<'_> {
    const fn wrap(&self, sector: u64) -> u64 {
        sector % self.sectors
    }

    fn sector(&self, number: u64) -> io::Result<Vec<u8>> {
        read(self.device, self.offset + number * SECTOR, SECTOR as usize)
    }

    /// So many sectors, over the ring's end if need be.
    fn stretch(&self, from: u64, count: u64) -> io::Result<Vec<u8>> {
        let first = count.min(self.sectors - from);
        let mut bytes = read(self.device, self.offset + from * SECTOR, (first * SECTOR) as usize)?;
        bytes.extend(read(self.device, self.offset, ((count - first) * SECTOR) as usize)?);
        Ok(bytes)
    }

    /// In which round a sector was written.
    fn round(&self, number: u64) -> io::Result<u32> {
        round(&self.sector(number)?)
    }

    /// The sector that would be written next.
    fn head(&self) -> io::Result<u64> {
        let first = self.round(0)?;
        // The first one that is of an earlier round than the one before it; none where the whole ring is of one.
        let mut head = self.sectors;
        if self.round(self.sectors - 1)? != first {
            let (mut low, mut high) = (0, self.sectors - 1);
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                if self.round(middle)? == first {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            head = high;
        }
        // Before it there may be sectors that were not written any more: the first of them is it.
        let back = ON_THEIR_WAY.min(self.sectors - 1);
        let from = self.wrap(head + self.sectors - back);
        let bytes = self.stretch(from, back)?;
        for (number, sector) in (0..).zip(bytes.chunks_exact(SECTOR as usize)) {
            let at = from + number;
            let expected = if head < back && at < self.sectors { first.wrapping_sub(1) } else { first };
            // Before the first round there is nothing.
            if round(sector)? < expected {
                return Ok(self.wrap(at));
            }
        }
        Ok(self.wrap(head))
    }

    /// The last record that ends before the head, and where it is.
    fn last(&self, head: u64) -> io::Result<Option<(Header, u64)>> {
        let back = (2 * ON_THEIR_WAY).min(self.sectors);
        for distance in 1..=back {
            let at = self.wrap(head + self.sectors - distance);
            let found = Header::read(&self.sector(at)?)?;
            if let Some(header) = found.filter(|header| header.sectors() <= distance) {
                return Ok(Some((header, at)));
            }
        }
        Ok(None)
    }
}

fn round(sector: &[u8]) -> io::Result<u32> {
    if be::u32(sector, 0)? == MAGIC { be::u32(sector, 4) } else { be::u32(sector, 0) }
}

/// A record's first header.
struct Header {
    length: u32,
    /// Where what was not in its place began when it was written.
    tail: u64,
    operations: u32,
    /// Sectors of headers.
    headers: u64,
}

impl Header {
    /// The header in a sector; none where there is none.
    fn read(raw: &[u8]) -> io::Result<Option<Self>> {
        let (length, is_v2, size) = (be::u32(raw, 12)?, be::u32(raw, 8)? & 2 != 0, be::u32(raw, 320)?);
        if be::u32(raw, 0)? != MAGIC || length > MAX_RECORD || (is_v2 && size > MAX_RECORD) {
            return Ok(None);
        }
        let headers = if is_v2 { u64::from(size.div_ceil(PER_HEADER).max(1)) } else { 1 };
        Ok(Some(Self { length, tail: be::u64(raw, 24)?, operations: be::u32(raw, 40)?, headers }))
    }

    /// Sectors of the whole record.
    fn sectors(&self) -> u64 {
        self.headers + u64::from(self.length).div_ceil(SECTOR)
    }

    fn is_unmount(&self, log: &Log<'_>, at: u64) -> io::Result<bool> {
        // Of an operation: its transaction, length, who wrote it, flags.
        let first = log.sector(log.wrap(at + self.headers))?;
        Ok(self.operations == 1 && byte(part(&first, 0, 12)?, 9)? & UNMOUNT != 0)
    }

    /// Reads the record; none where it is not whole. What stood in the places of the rounds' numbers is kept in the headers.
    fn content(&self, log: &Log<'_>, at: u64) -> io::Result<Option<Record>> {
        let raw = log.stretch(at, self.sectors().min(log.sectors))?;
        let start = (self.headers * SECTOR) as usize;
        let stored = part(&raw, start, self.length as usize)?;
        let wanted = le::u32(&raw, CHECKSUM)?;
        if wanted != 0 && wanted != checksum(&raw, self.headers as usize, stored) {
            return Ok(None);
        }
        let mut content = stored.to_vec();
        for (number, sector) in content.chunks_mut(SECTOR as usize).enumerate() {
            let (header, row) = (number / 64, number % 64);
            let place = if header == 0 { 44 } else { header * SECTOR as usize + 4 };
            if let Some(first) = sector.get_mut(..4) {
                first.copy_from_slice(part(&raw, place + row * 4, 4)?);
            }
        }
        Ok(Some(Record { operations: self.operations, content }))
    }
}

/// CRC-32C of a record, its own place counted as zeros.
fn checksum(raw: &[u8], headers: usize, content: &[u8]) -> u32 {
    let mut first = raw.get(..CHECKED).unwrap_or_default().to_vec();
    if let Some(place) = first.get_mut(CHECKSUM..CHECKSUM + 4) {
        place.fill(0);
    }
    let more = (1..headers).filter_map(|number| raw.get(number * SECTOR as usize..)?.get(..CHECKED_MORE));
    let parts = std::iter::once(first.as_slice()).chain(more).chain([content]);
    !parts.flatten().fold(!0, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0x82f6_3b78 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(checksum(&[], 1, &[0; 32]), 0x8a91_36aa);
    }

    /// A ring whose sectors were written in these rounds.
    fn head(rounds: &[u32]) -> u64 {
        let device: Vec<u8> = rounds.iter().flat_map(|round| [round.to_be_bytes().to_vec(), vec![0; 508]].concat()).collect();
        Log { device: &device, offset: 0, sectors: rounds.len() as u64 }.head().unwrap()
    }

    #[test]
    fn the_newest_sector_is_found() {
        assert_eq!(head(&[0, 0, 0, 0]), 0);
        assert_eq!(head(&[1, 0, 0, 0]), 1);
        assert_eq!(head(&[1, 1, 1, 0]), 3);
        assert_eq!(head(&[1, 1, 1, 1]), 0);
        assert_eq!(head(&[5, 5, 4, 4, 4]), 2);
        assert_eq!(head(&[5, 4, 5, 4, 4]), 1, "a hole before it");
        assert_eq!(head(&[5, 5, 4, 4, 3]), 4, "a hole over the ring's end");
    }
}
