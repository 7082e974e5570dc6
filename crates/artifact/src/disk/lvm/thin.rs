//! Thin volumes: a pool's metadata says where each block of each volume lies in the pool's data (Linux, drivers/md/dm-thin-metadata.c,
//! drivers/md/persistent-data/dm-btree-internal.h). What no block is kept of holds zeros.

use super::super::device::{Cached, Device, read};
use super::super::numbers::{le, malformed, part, too_much};
use crate::ReadAt;
use std::io::{self, ErrorKind};
use std::rc::Rc;

const SECTOR: u64 = 512;
/// Bytes of a block of metadata.
const BLOCK: u64 = 4096;
const MAGIC: u64 = 27_022_010;
/// Where a node's keys begin.
const KEYS: usize = 32;
const LEAF: u32 = 2;
/// Bytes of a key, and of the values of the trees that are walked.
const NUMBER: usize = 8;
/// Levels of a tree: more entries than any pool has blocks.
const MAX_LEVELS: usize = 12;
/// A pool's blocks are from 64 KiB to 1 GiB.
const CHUNKS: std::ops::RangeInclusive<u64> = (64 << 10)..=(1 << 30);
/// What of a mapping says when it was made, and not where it leads.
const TIME_BITS: u32 = 24;

/// A pool: its metadata, its data.
#[derive(Clone)]
pub(super) struct Pool {
    metadata: Rc<Cached>,
    data: Device,
    /// Bytes of a block of data.
    chunk: u64,
    /// The block of the tree of volumes, each of which is a tree of blocks.
    volumes: u64,
}

impl Pool {
    /// Reads what a pool's metadata says of it.
    pub(super) fn open(metadata: &Device, data: &Device) -> io::Result<Self> {
        let superblock = read(&**metadata, 0, BLOCK as usize)?;
        if le::u64(&superblock, 32)? != MAGIC {
            return Err(malformed("a pool of LVM without its superblock"));
        }
        let chunk = u64::from(le::u32(&superblock, 336)?) * SECTOR;
        if !CHUNKS.contains(&chunk) {
            return Err(malformed("a pool of LVM whose blocks have a size that none has"));
        }
        let volumes = le::u64(&superblock, 320)?;
        Ok(Self { metadata: Rc::new(Cached::new(Rc::clone(metadata))), data: Rc::clone(data), chunk, volumes })
    }

    /// The volume of a number, of so many bytes.
    pub(super) fn volume(&self, number: u64, size: u64) -> io::Result<Device> {
        let root = self.find(self.volumes, number)?.ok_or_else(|| malformed("a thin volume that its pool does not know"))?;
        Ok(Rc::new(Thin { pool: self.clone(), root, size }))
    }

    /// What a tree keeps under a key.
    fn find(&self, root: u64, key: u64) -> io::Result<Option<u64>> {
        let bad = || malformed("a pool of LVM whose metadata contradicts itself");
        let mut block = root;
        for _ in 0..MAX_LEVELS {
            let place = block.checked_mul(BLOCK).ok_or_else(bad)?;
            let node = read(&*self.metadata, place, BLOCK as usize)?;
            let (flags, entries, room) = (le::u32(&node, 4)?, le::u32(&node, 16)? as usize, le::u32(&node, 20)? as usize);
            // A node knows where it is: what was not written yet, or written over, does not.
            if le::u64(&node, 8)? != block || entries > room || le::u32(&node, 24)? as usize != NUMBER {
                return Err(bad());
            }
            let keys = part(&node, KEYS, entries * NUMBER)?;
            let key_at = |index: usize| le::u64(keys, index * NUMBER);
            // The last key that is not beyond ours.
            let (mut low, mut high) = (0, entries);
            while low < high {
                let middle = low.midpoint(high);
                if key_at(middle)? <= key { low = middle + 1 } else { high = middle }
            }
            let Some(index) = low.checked_sub(1) else { return Ok(None) };
            let value = le::u64(&node, KEYS + (room + index) * NUMBER)?;
            if flags & LEAF != 0 {
                return Ok((key_at(index)? == key).then_some(value));
            }
            block = value;
        }
        Err(too_much("a pool of LVM whose metadata is deeper than any"))
    }
}

/// A thin volume as a device.
struct Thin {
    pool: Pool,
    root: u64,
    size: u64,
}

impl ReadAt for Thin {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.size).ok_or(ErrorKind::UnexpectedEof)?;
        let chunk = self.pool.chunk;
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let within = at % chunk;
            let length = usize::try_from(chunk - within).map_or(rest.len(), |room| room.min(rest.len()));
            let (now, later) = rest.split_at_mut(length);
            match self.pool.find(self.root, at / chunk)? {
                Some(mapping) => {
                    let place = (mapping >> TIME_BITS).checked_mul(chunk).and_then(|place| place.checked_add(within));
                    self.pool.data.read_at(place.ok_or(ErrorKind::UnexpectedEof)?, now)?;
                }
                None => now.fill(0),
            }
            at += length as u64;
            rest = later;
        }
        Ok(())
    }
}
