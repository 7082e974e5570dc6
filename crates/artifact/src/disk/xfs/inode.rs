//! Inodes of XFS and their data forks: content in the inode, a list of extents, or a tree of them.

use super::super::device::read;
use super::super::file_system::{Body, Kind, Node, Run};
use super::super::numbers::{be, byte, malformed, part};
use super::Xfs;
use crate::ReadAt;
use std::io;
use std::ops::Range;

/// The length of an inode's core, in versions before 3 and from it on.
const CORE: [usize; 2] = [100, 176];
/// What a fork is.
const LOCAL: u8 = 1;
const EXTENTS: u8 = 2;
const TREE: u8 = 3;
/// Flags: content on the realtime device; counts of extents of 64 bits.
const REALTIME: u16 = 0x1;
const LARGE_COUNTS: u64 = 0x10;

/// The length of an extent, and of a node's header in the versions of the file system.
const EXTENT: usize = 16;
const HEADER: [usize; 2] = [24, 72];
/// The deepest tree of extents.
const MAX_DEPTH: u16 = 9;
/// The longest target of a link, and the header before each part of one that lies in blocks.
const MAX_TARGET: u64 = 1024;
const TARGET_HEADER: usize = 56;

/// Reads an inode.
pub(super) fn node(system: &Xfs, number: u64) -> io::Result<Node> {
    let geometry = &system.geometry;
    let (block, index) = (number >> geometry.inodes_log, number & ((1 << geometry.inodes_log) - 1));
    let place = geometry.place(block)? + index * geometry.inode_size;
    let raw = read(&system.device, place, geometry.inode_size as usize)?;
    if !raw.starts_with(b"IN") || byte(&raw, 4)? > 3 {
        return Err(malformed(format!("an inode that is none ({number})")));
    }
    let (mode, flags) = (be::u16(&raw, 2)?, be::u16(&raw, 90)?);
    let kind = Kind::of_mode(mode);
    let closed = (flags & REALTIME != 0 && kind == Kind::File).then_some("on a realtime device");
    Ok(Node { number, kind, size: be::u64(&raw, 56)?, executable: mode & 0o111 != 0, closed, raw })
}

/// The data fork: what it is and its bytes.
pub(super) fn fork(node: &Node) -> io::Result<(u8, &[u8])> {
    let start = CORE[usize::from(byte(&node.raw, 4)? >= 3)];
    // The fork of attributes, if there is one, follows.
    let length = match usize::from(byte(&node.raw, 82)?) * 8 {
        0 => node.raw.len() - start,
        offset => offset,
    };
    Ok((byte(&node.raw, 5)?, part(&node.raw, start, length)?))
}

/// The content of a fork that lies in the inode.
pub(super) fn local(node: &Node) -> io::Result<Option<&[u8]>> {
    let (format, fork) = fork(node)?;
    if format != LOCAL {
        return Ok(None);
    }
    let size = usize::try_from(node.size).ok().and_then(|size| fork.get(..size));
    size.map(Some).ok_or_else(|| malformed("a content in an inode that is longer than the inode"))
}

/// Where a link leads.
pub(super) fn target(system: &Xfs, link: &Node) -> io::Result<Vec<u8>> {
    if let Some(target) = local(link)? {
        return Ok(target.to_vec());
    }
    if link.size > MAX_TARGET {
        return Err(malformed("a link's target that is too long"));
    }
    let size = link.size as usize;
    if !system.geometry.is_v5 {
        let mut target = vec![0; size];
        Body::of(system, link)?.read_at(0, &mut target)?;
        return Ok(target);
    }
    // Each block begins with a header of its own. They are mapped like content, though the size does not count them.
    let mut target = Vec::with_capacity(size);
    let block = system.geometry.block as usize;
    for run in runs(system, link, 0, MAX_TARGET * 4)? {
        for at in (0..run.length).step_by(block) {
            let bytes = read(&system.device, run.device + at, block)?;
            if !bytes.starts_with(b"XSLM") {
                return Err(malformed("a link's target without its header"));
            }
            target.extend_from_slice(part(&bytes, TARGET_HEADER, (size - target.len()).min(block - TARGET_HEADER))?);
        }
    }
    if target.len() == size { Ok(target) } else { Err(malformed("a link's target that is cut")) }
}

/// How many extents a fork of them holds.
fn count(system: &Xfs, node: &Node) -> io::Result<u64> {
    let is_large = system.geometry.large_counts && byte(&node.raw, 4)? >= 3 && be::u64(&node.raw, 120)? & LARGE_COUNTS != 0;
    if is_large { be::u64(&node.raw, 24) } else { be::u32(&node.raw, 76).map(u64::from) }
}

/// Where the bytes `from..to` of a content lie.
pub(super) fn runs(system: &Xfs, node: &Node, from: u64, to: u64) -> io::Result<Vec<Run>> {
    let size = system.geometry.block;
    let mut found = Found { system, wanted: from / size..to.div_ceil(size), runs: Vec::new(), next: 0 };
    let (format, bytes) = fork(node)?;
    match format {
        EXTENTS => {
            let length = usize::try_from(count(system, node)?).ok().and_then(|count| count.checked_mul(EXTENT));
            found.extents(part(bytes, 0, length.ok_or_else(|| malformed("a list of extents that fits nowhere"))?)?)?;
        }
        TREE => {
            // The top lies in the inode: keys, and as many places for pointers as there is room.
            let (level, count) = (be::u16(bytes, 0)?, usize::from(be::u16(bytes, 2)?));
            let room = bytes.len().saturating_sub(4) / EXTENT;
            found.children(bytes, 4, room, count, level, 0..u64::MAX)?;
        }
        LOCAL if node.size == 0 => {}
        _ => return Err(malformed("a file without a map")),
    }
    Ok(found.runs)
}

/// The runs of a content, in blocks, as they are found.
struct Found<'a> {
    system: &'a Xfs,
    wanted: Range<u64>,
    runs: Vec<Run>,
    /// Where the next extent may begin at the earliest.
    next: u64,
}

impl Found<'_> {
    /// Extents, packed: a flag, 54 bits of place in the content, 52 bits of place in the file system, 21 bits of length.
    fn extents(&mut self, bytes: &[u8]) -> io::Result<()> {
        let geometry = &self.system.geometry;
        for extent in bytes.chunks_exact(EXTENT) {
            let (high, low) = (be::u64(extent, 0)?, be::u64(extent, 8)?);
            let (at, place, length) = ((high & !(1 << 63)) >> 9, (high & 0x1ff) << 43 | low >> 21, low & 0x1f_ffff);
            if at < self.next || length == 0 {
                return Err(malformed("a list of extents that is not one"));
            }
            self.next = at + length;
            let (start, end) = (at.max(self.wanted.start), (at + length).min(self.wanted.end));
            // What is reserved and not written reads as zeros.
            if high >> 63 == 0 && start < end {
                let place = place + (start - at);
                geometry.place(place + (end - start) - 1)?;
                let size = geometry.block;
                self.runs.push(Run { at: start * size, length: (end - start) * size, device: geometry.place(place)? });
            }
        }
        Ok(())
    }

    /// The children of a node, of which each speaks of the blocks from its key to the next one. Keys rise, so that no node can be
    /// reached twice.
    fn children(&mut self, node: &[u8], keys: usize, room: usize, count: usize, level: u16, bounds: Range<u64>) -> io::Result<()> {
        let bad = || malformed("a tree of extents that is not one");
        if level == 0 || level > MAX_DEPTH || count > room {
            return Err(bad());
        }
        let key = |number: usize| be::u64(node, keys + number * 8);
        for number in 0..count {
            let from = key(number)?;
            let to = if number + 1 < count { key(number + 1)? } else { bounds.end };
            if from < bounds.start || to <= from || to > bounds.end {
                return Err(bad());
            }
            if from < self.wanted.end && to > self.wanted.start {
                let child = self.system.block(be::u64(node, keys + (room + number) * 8)?)?;
                self.node(&child, level - 1, from..to)?;
            }
        }
        Ok(())
    }

    fn node(&mut self, node: &[u8], level: u16, bounds: Range<u64>) -> io::Result<()> {
        let is_v5 = self.system.geometry.is_v5;
        let header = HEADER[usize::from(is_v5)];
        let count = usize::from(be::u16(node, 6)?);
        if !node.starts_with(if is_v5 { b"BMA3" } else { b"BMAP" }) || be::u16(node, 4)? != level {
            return Err(malformed("a tree of extents that is not one"));
        }
        if level == 0 {
            self.next = self.next.max(bounds.start);
            return self.extents(part(node, header, count * EXTENT)?);
        }
        self.children(node, header, (node.len() - header) / EXTENT, count, level, bounds)
    }
}
