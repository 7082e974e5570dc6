//! The journal of ext (jbd2): what was promised and is not in its place yet. It is not written to its place: reads are led to where it
//! lies in the journal.

use super::super::device::{Device, read};
use super::super::file_system::{Body, FileSystem, Kind, Run};
use super::super::numbers::{be, le, malformed, part, too_much, unsupported};
use super::Ext;
use crate::ReadAt;
use crate::stop::Stop;
use lestrade_model::{Problem, ProblemKind};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;

/// The number that the journal's own blocks begin with. A block of content that begins so is stored with zeros instead.
const MAGIC: u32 = 0xc03b_3998;
/// The length of the header of the journal's own blocks.
const HEADER: usize = 12;
/// The most blocks that mke2fs gives to a journal.
const MAX_BLOCKS: u64 = 10_240_000;

/// What a block of the journal is.
mod kind {
    pub(super) const DESCRIPTOR: u32 = 1;
    pub(super) const COMMIT: u32 = 2;
    pub(super) const SUPERBLOCK_V1: u32 = 3;
    pub(super) const SUPERBLOCK_V2: u32 = 4;
    pub(super) const REVOKE: u32 = 5;
}

/// Features, by their bits.
mod feature {
    pub(super) const WIDE: u32 = 0x2;
    pub(super) const CHECKSUM_V2: u32 = 0x8;
    pub(super) const CHECKSUM_V3: u32 = 0x10;
    pub(super) const FAST_COMMIT: u32 = 0x20;
    pub(super) const KNOWN: u32 = 0x3f;
}

/// Flags of a descriptor's tag.
mod tag {
    pub(super) const ESCAPED: u32 = 1;
    pub(super) const SAME_UUID: u32 = 2;
    pub(super) const LAST: u32 = 8;
}

/// Where in the journal the last promised state of a block lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Logged {
    /// On the device.
    place: u64,
    /// Whether its first four bytes are the magic number, and stored as zeros.
    escaped: bool,
}

/// What is to be replayed.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// By the number of the block.
    pub(super) blocks: HashMap<u64, Logged>,
    /// What of it is not replayed.
    pub(super) problem: Option<Problem>,
}

/// That a journal could not be read.
pub(super) fn unread(error: &io::Error) -> Problem {
    let stop = Stop::of(error, 0);
    let detail = format!("the journal could not be replayed, files may be older than they are said to be: {}", stop.detail);
    Problem { path: String::new(), kind: stop.kind, detail }
}

/// The journal's shape.
struct Journal<'a> {
    body: &'a Body<'a>,
    block: u64,
    first: u64,
    /// The block after the last one of the ring.
    end: u64,
    features: u32,
}

impl Journal<'_> {
    fn block(&self, number: u64) -> io::Result<Vec<u8>> {
        read(self.body, number * self.block, self.block as usize)
    }

    /// The block after another in the ring.
    const fn next(&self, number: u64) -> u64 {
        if number + 1 >= self.end { self.first } else { number + 1 }
    }

    const fn has(&self, feature: u32) -> bool {
        self.features & feature != 0
    }

    /// The numbers of the blocks that a descriptor names, and whether they are escaped.
    fn tags(&self, block: &[u8]) -> io::Result<Vec<(u64, bool)>> {
        let v3 = self.has(feature::CHECKSUM_V3);
        let wide = self.has(feature::WIDE);
        let length = match (v3, self.has(feature::CHECKSUM_V2), wide) {
            (true, ..) => 16,
            (false, v2, wide) => 8 + if v2 { 2 } else { 0 } + if wide { 4 } else { 0 },
        };
        let room = block.len() - if v3 || self.has(feature::CHECKSUM_V2) { 4 } else { 0 };
        let mut tags = Vec::new();
        let mut at = HEADER;
        while at + length <= room {
            let flags = if v3 { be::u32(block, at + 4)? } else { u32::from(be::u16(block, at + 6)?) };
            let high = if wide { be::u32(block, at + 8)? } else { 0 };
            tags.push((u64::from(high) << 32 | u64::from(be::u32(block, at)?), flags & tag::ESCAPED != 0));
            at += length + if flags & tag::SAME_UUID == 0 { 16 } else { 0 };
            if flags & tag::LAST != 0 {
                break;
            }
        }
        Ok(tags)
    }

    /// The blocks whose older states no longer count.
    fn revoked(&self, block: &[u8]) -> io::Result<Vec<u64>> {
        let length = if self.has(feature::WIDE) { 8 } else { 4 };
        let used = (be::u32(block, HEADER)? as usize).min(block.len());
        let records = part(block, HEADER + 4, used.saturating_sub(HEADER + 4))?.chunks_exact(length);
        records.map(|record| if length == 8 { be::u64(record, 0) } else { be::u32(record, 0).map(u64::from) }).collect()
    }
}

/// Reads what a journal holds that was promised: whole transactions, each ended by its commit, in their order.
pub(super) fn read_log(system: &Ext, inode: u64) -> io::Result<Log> {
    if inode == 0 {
        return Err(unsupported("it lies on another device"));
    }
    let node = system.node(inode)?;
    if node.kind != Kind::File {
        return Err(malformed("it is no file"));
    }
    let body = Body::of(system, &node)?;
    let block = system.geometry.block;
    let superblock = read(&body, 0, 1024)?;
    let is_superblock = matches!(be::u32(&superblock, 4)?, kind::SUPERBLOCK_V1 | kind::SUPERBLOCK_V2);
    let features = if be::u32(&superblock, 4)? == kind::SUPERBLOCK_V2 { be::u32(&superblock, 40)? } else { 0 };
    if be::u32(&superblock, 0)? != MAGIC || !is_superblock || u64::from(be::u32(&superblock, 12)?) != block {
        return Err(malformed("it has no superblock"));
    }
    if features & !feature::KNOWN != 0 {
        return Err(unsupported("it has features that are not read"));
    }
    let length = u64::from(be::u32(&superblock, 16)?).min(node.size / block);
    if length > MAX_BLOCKS {
        return Err(too_much("it is larger than journals are"));
    }
    let fast = match be::u32(&superblock, 84)? {
        _ if features & feature::FAST_COMMIT == 0 => 0,
        0 => 256,
        blocks => u64::from(blocks),
    };
    let journal = Journal { body: &body, block, first: u64::from(be::u32(&superblock, 20)?), end: length.saturating_sub(fast), features };
    let (start, sequence) = (u64::from(be::u32(&superblock, 28)?), be::u32(&superblock, 24)?);
    if start == 0 && fast == 0 {
        return Ok(Log::default());
    }
    if journal.first == 0 || journal.first >= journal.end || (start != 0 && !(journal.first..journal.end).contains(&start)) {
        return Err(malformed("its superblock contradicts itself"));
    }
    let (logged, next) = if start == 0 { (HashMap::new(), sequence) } else { transactions(&journal, start, sequence)? };
    let places = places(&system.runs(&node, 0, length * block)?, &logged, block)?;
    let problem = (fast > 0 && has_fast_commits(&journal, next)?).then(|| Problem {
        path: String::new(),
        kind: ProblemKind::Unsupported,
        detail: "the journal's fast commits are not replayed: files may be older than they are said to be".into(),
    });
    Ok(Log { blocks: places, problem })
}

/// A block's number, with the block of the journal that holds its state, and whether that is escaped.
type States = HashMap<u64, (u64, bool)>;

/// Walks the ring; answers what counts, and the sequence number that would come next.
fn transactions(journal: &Journal<'_>, start: u64, sequence: u32) -> io::Result<(States, u32)> {
    /// With the sequence number of the transaction that wrote it.
    type Dated = HashMap<u64, (u32, u64, bool)>;
    let mut states: Dated = HashMap::new();
    let mut revoked: HashMap<u64, u32> = HashMap::new();
    let mut pending: Vec<(u64, u64, bool)> = Vec::new();
    let mut pending_revoked: Vec<u64> = Vec::new();
    let (mut at, mut sequence) = (start, sequence);
    // Each block of the ring is passed once: who goes round has lost their way.
    let mut left = journal.end - journal.first;
    while left > 0 {
        let block = journal.block(at)?;
        if be::u32(&block, 0)? != MAGIC || be::u32(&block, 8)? != sequence {
            break;
        }
        left -= 1;
        at = journal.next(at);
        match be::u32(&block, 4)? {
            kind::DESCRIPTOR => {
                for (number, escaped) in journal.tags(&block)? {
                    pending.push((number, at, escaped));
                    at = journal.next(at);
                    left = left.saturating_sub(1);
                }
            }
            kind::REVOKE => pending_revoked.extend(journal.revoked(&block)?),
            kind::COMMIT => {
                states.extend(pending.drain(..).map(|(number, place, escaped)| (number, (sequence, place, escaped))));
                revoked.extend(pending_revoked.drain(..).map(|number| (number, sequence)));
                sequence = sequence.wrapping_add(1);
            }
            _ => break,
        }
    }
    // A revoke holds for what was written up to its own transaction. Numbers go round.
    let is_later = |a: u32, b: u32| a.wrapping_sub(b).cast_signed() > 0;
    let counts = |number: &u64, written: u32| revoked.get(number).is_none_or(|revoked| is_later(written, *revoked));
    let states = states.into_iter().filter(|(number, (written, ..))| counts(number, *written));
    Ok((states.map(|(number, (_, place, escaped))| (number, (place, escaped))).collect(), sequence))
}

/// From blocks of the journal to places on the device.
fn places(runs: &[Run], states: &States, block: u64) -> io::Result<HashMap<u64, Logged>> {
    let place = |number: u64| {
        let at = number * block;
        let run = runs.get(runs.partition_point(|run| run.at <= at).checked_sub(1)?)?;
        (at < run.at + run.length).then(|| run.device + (at - run.at))
    };
    let logged = states.iter().map(|(number, (at, escaped))| {
        let place = place(*at).ok_or_else(|| malformed("it has a hole"))?;
        Ok((*number, Logged { place, escaped: *escaped }))
    });
    logged.collect()
}

/// Whether the part behind the ring holds commits of another kind that follow the last whole one.
fn has_fast_commits(journal: &Journal<'_>, sequence: u32) -> io::Result<bool> {
    const HEAD: u16 = 9;
    // One block is left between the two.
    let block = journal.block(journal.end + 1)?;
    Ok(le::u16(&block, 0)? == HEAD && le::u32(&block, 8)? == sequence)
}

/// A device as it will be once the journal is replayed.
pub(super) struct Replayed {
    device: Device,
    block: u64,
    logged: HashMap<u64, Logged>,
}

impl Replayed {
    pub(super) fn over(device: &Device, block: u64, logged: HashMap<u64, Logged>) -> Self {
        Self { device: Rc::clone(device), block, logged }
    }

    /// A part of one block.
    fn part(&self, logged: Logged, inside: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.device.read_at(logged.place + inside, buffer)?;
        if logged.escaped {
            for (byte, at) in buffer.iter_mut().zip(inside..) {
                if let Some(stored) = usize::try_from(at).ok().and_then(|at| MAGIC.to_be_bytes().get(at).copied()) {
                    *byte = stored;
                }
            }
        }
        Ok(())
    }
}

impl ReadAt for Replayed {
    fn size(&self) -> u64 {
        self.device.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            // As far as one block goes, or as many as are in their place.
            let to_end = |number: u64| (number + 1) * self.block - at;
            let mut number = at / self.block;
            let logged = self.logged.get(&number).copied();
            if logged.is_none() {
                while to_end(number) < rest.len() as u64 && !self.logged.contains_key(&(number + 1)) {
                    number += 1;
                }
            }
            let length = to_end(number).min(rest.len() as u64) as usize;
            let (now, later) = rest.split_at_mut(length);
            match logged {
                Some(logged) => self.part(logged, at % self.block, now)?,
                None => self.device.read_at(at, now)?,
            }
            at += length as u64;
            rest = later;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_is_seen_in_its_place() {
        let mut bytes: Vec<u8> = (0..40).collect();
        bytes[32..36].fill(0);
        let device: Device = Rc::new(bytes);
        let logged = HashMap::from([(1, Logged { place: 24, escaped: false }), (2, Logged { place: 32, escaped: true })]);
        let replayed = Replayed::over(&device, 8, logged);
        let whole = read(&replayed, 0, 32).unwrap();
        assert_eq!(whole[..8], [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(whole[8..16], [24, 25, 26, 27, 28, 29, 30, 31]);
        assert_eq!(whole[16..24], [0xc0, 0x3b, 0x39, 0x98, 36, 37, 38, 39]);
        assert_eq!(whole[24..], [24, 25, 26, 27, 28, 29, 30, 31]);
        for from in 0..32 {
            for to in from..32 {
                assert_eq!(read(&replayed, from as u64, to - from).unwrap(), whole[from..to]);
            }
        }
    }
}
