//! Whether an XFS log is clean: whether what was written to it last is the record of an unmount.
//!
//! The log is a ring of sectors. Each begins with the number of the round in which it was written (a record's header has it behind its
//! mark), so the newest record is found by halving.

use super::super::device::read;
use super::super::numbers::{be, byte, malformed, part};
use crate::ReadAt;
use std::io;

/// Units of the log.
const SECTOR: u64 = 512;
const MAGIC: u32 = 0xfeed_babe;
/// The longest record, in sectors: 256 KiB and its headers. There are at most eight that are being written.
const MAX_RECORD: u64 = 520;
/// The flag of an operation that ends a mount.
const UNMOUNT: u8 = 0x20;

/// Whether the log in these bytes of a device is clean.
pub(super) fn is_clean(device: &dyn ReadAt, offset: u64, length: u64) -> io::Result<bool> {
    let log = Log { device, offset, sectors: length / SECTOR };
    if log.sectors < 2 {
        return Err(malformed("a log without room"));
    }
    let head = log.head()?;
    // A log in which nothing was ever written.
    if head == 0 && log.round(0)? == 0 {
        return Ok(true);
    }
    // The last record begins so many sectors before the head, over the ring's end if need be.
    for back in 1..=MAX_RECORD.min(log.sectors) {
        let sector = (head + log.sectors - back) % log.sectors;
        let bytes = log.sector(sector)?;
        if be::u32(&bytes, 0)? == MAGIC {
            let operations = be::u32(&bytes, 40)?;
            if operations != 1 {
                return Ok(false);
            }
            // One header of the record for each 32 KiB of it, from the second version on.
            let is_v2 = be::u32(&bytes, 8)? & 2 != 0;
            let size = if is_v2 { u64::from(be::u32(&bytes, 320)?) } else { 0 };
            let headers = size.div_ceil(32 << 10).clamp(1, 8);
            let first = log.sector((sector + headers) % log.sectors)?;
            // Of an operation: its transaction, length, who wrote it, flags.
            return Ok(byte(part(&first, 0, 12)?, 9)? & UNMOUNT != 0);
        }
    }
    Ok(false)
}

struct Log<'a> {
    device: &'a dyn ReadAt,
    offset: u64,
    sectors: u64,
}

impl Log<'_> {
    fn sector(&self, number: u64) -> io::Result<Vec<u8>> {
        read(self.device, self.offset + number * SECTOR, SECTOR as usize)
    }

    /// In which round a sector was written.
    fn round(&self, number: u64) -> io::Result<u32> {
        let bytes = self.sector(number)?;
        if be::u32(&bytes, 0)? == MAGIC { be::u32(&bytes, 4) } else { be::u32(&bytes, 0) }
    }

    /// The sector that would be written next: the first one that is of an earlier round than the one before it.
    fn head(&self) -> io::Result<u64> {
        let first = self.round(0)?;
        if self.round(self.sectors - 1)? == first {
            // The whole ring is of one round: it goes on at its beginning.
            return Ok(0);
        }
        let (mut low, mut high) = (0, self.sectors - 1);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.round(middle)? == first { low = middle } else { high = middle }
        }
        Ok(high)
    }
}
