//! Inodes of ext: where they lie, and how they say where their content is.

use super::super::device::read;
use super::super::file_system::{Body, Kind, Node, Run};
use super::super::numbers::{byte, le, malformed, part};
use super::Ext;
use crate::ReadAt;
use std::io;
use std::ops::Range;

/// `i_block`: pointers, the top of a tree of extents, a short link's target, or content.
const BODY: usize = 40;
const BODY_LENGTH: usize = 60;
/// The size that every inode has at least; what it has beyond is optional.
const GOOD_OLD: usize = 128;

/// Bits of `i_flags`.
const COMPRESSED: u32 = 0x4;
const ENCRYPTED: u32 = 0x800;
const EXTENTS: u32 = 0x8_0000;
const INLINE: u32 = 0x1000_0000;

/// The magic number of a node of a tree of extents, the deepest such tree, and the length of a node's header and of each entry.
const EXTENT_MAGIC: u16 = 0xf30a;
const MAX_DEPTH: u16 = 5;
const EXTENT: usize = 12;
/// Longer extents are reserved and not written: they read as zeros.
const MAX_WRITTEN: u16 = 32768;

/// The longest target of a link.
const MAX_TARGET: u64 = 4096;

/// Reads an inode.
pub(super) fn node(system: &Ext, number: u64) -> io::Result<Node> {
    let geometry = &system.geometry;
    if number == 0 || number > geometry.inodes {
        return Err(malformed(format!("an inode that the file system does not have ({number})")));
    }
    let (group, index) = ((number - 1) / geometry.inodes_per_group, (number - 1) % geometry.inodes_per_group);
    let nowhere = || malformed("a group of blocks that no device has");
    let descriptor = read(&system.device, geometry.descriptor(group).ok_or_else(nowhere)?, geometry.descriptor_size as usize)?;
    let high = if descriptor.len() >= 64 { u64::from(le::u32(&descriptor, 40)?) } else { 0 };
    let table = system.place(high << 32 | u64::from(le::u32(&descriptor, 8)?))?;
    let place = table.checked_add(index * geometry.inode_size).ok_or_else(nowhere)?;
    let raw = read(&system.device, place, geometry.inode_size as usize)?;
    let (mode, flags) = (le::u16(&raw, 0)?, le::u32(&raw, 32)?);
    let size = u64::from(le::u32(&raw, 108)?) << 32 | u64::from(le::u32(&raw, 4)?);
    let closed = match flags {
        _ if flags & ENCRYPTED != 0 => Some("encrypted by the file system"),
        _ if flags & COMPRESSED != 0 => Some("compressed by the file system"),
        _ => None,
    };
    Ok(Node { number, kind: Kind::of_mode(mode), size, executable: mode & 0o111 != 0, closed, raw })
}

fn flags(node: &Node) -> io::Result<u32> {
    le::u32(&node.raw, 32)
}

/// The content that is stored in the inode itself: in the place of its pointers, and as the attribute `system.data`.
pub(super) fn inline(node: &Node) -> io::Result<Option<Vec<u8>>> {
    if flags(node)? & INLINE == 0 {
        return Ok(None);
    }
    let mut content = part(&node.raw, BODY, BODY_LENGTH)?.to_vec();
    if node.size > BODY_LENGTH as u64 {
        content.extend_from_slice(data_attribute(&node.raw)?);
    }
    let size = usize::try_from(node.size).ok().filter(|size| *size <= content.len());
    content.truncate(size.ok_or_else(|| malformed("a file in an inode that is longer than the inode"))?);
    Ok(Some(content))
}

/// The attribute in which an inode holds more of its content.
fn data_attribute(raw: &[u8]) -> io::Result<&[u8]> {
    const MAGIC: u32 = 0xea02_0000;
    const SYSTEM: u8 = 7;
    let none = || malformed("a file in an inode without its second part");
    let start = GOOD_OLD + usize::from(le::u16(raw, GOOD_OLD)?);
    if le::u32(raw, start)? != MAGIC {
        return Err(none());
    }
    let first = start + 4;
    let mut at = first;
    while le::u32(raw, at)? != 0 {
        let length = usize::from(byte(raw, at)?);
        if byte(raw, at + 1)? == SYSTEM && part(raw, at + 16, length)? == b"data" {
            return part(raw, first + usize::from(le::u16(raw, at + 2)?), le::u32(raw, at + 8)? as usize);
        }
        at += 16 + length.next_multiple_of(4);
    }
    Err(none())
}

/// Where a link leads. A short target lies in the inode.
pub(super) fn target(system: &Ext, link: &Node) -> io::Result<Vec<u8>> {
    if link.size > MAX_TARGET {
        return Err(malformed("a link's target that is too long"));
    }
    if flags(link)? & (EXTENTS | INLINE) == 0 && link.size < BODY_LENGTH as u64 {
        return part(&link.raw, BODY, link.size as usize).map(<[u8]>::to_vec);
    }
    let mut target = vec![0; link.size as usize];
    Body::of(system, link)?.read_at(0, &mut target)?;
    Ok(target)
}

/// The runs of a content, in blocks, as they are found.
struct Found<'a> {
    system: &'a Ext,
    /// What was asked for.
    wanted: Range<u64>,
    runs: Vec<Run>,
}

impl Found<'_> {
    fn push(&mut self, block: u64, length: u64, place: u64) -> io::Result<()> {
        // Only what was asked for: an extent may be much longer than a window.
        let (start, end) = (block.max(self.wanted.start), (block + length).min(self.wanted.end));
        if start >= end {
            return Ok(());
        }
        let (place, length) = (place + (start - block), end - start);
        self.system.place(place + length - 1)?;
        let size = self.system.geometry.block;
        let run = Run { at: start * size, length: length * size, device: self.system.place(place)? };
        match self.runs.last_mut() {
            Some(last) if last.at + last.length == run.at && last.device + last.length == run.device => last.length += run.length,
            _ => self.runs.push(run),
        }
        Ok(())
    }
}

/// Where the bytes `from..to` of a content lie.
pub(super) fn runs(system: &Ext, node: &Node, from: u64, to: u64) -> io::Result<Vec<Run>> {
    let size = system.geometry.block;
    let mut found = Found { system, wanted: from / size..to.div_ceil(size), runs: Vec::new() };
    let body = part(&node.raw, BODY, BODY_LENGTH)?;
    if flags(node)? & EXTENTS != 0 {
        extents(&mut found, body, None, 0..1 << 32)?;
    } else {
        pointers(&mut found, body)?;
    }
    Ok(found.runs)
}

/// One node of a tree of extents, which speaks of the blocks of `bounds` alone. Keys rise, so that no node can be reached twice.
fn extents(found: &mut Found<'_>, node: &[u8], depth: Option<u16>, bounds: Range<u64>) -> io::Result<()> {
    let bad = || malformed("a tree of extents that is not one");
    let (count, here) = (le::u16(node, 2)?, le::u16(node, 6)?);
    if le::u16(node, 0)? != EXTENT_MAGIC || here > MAX_DEPTH || depth.is_some_and(|depth| depth != here) {
        return Err(bad());
    }
    let count = usize::from(count);
    let mut before = bounds.start;
    for number in 0..count {
        let at = EXTENT * (number + 1);
        let block = u64::from(le::u32(node, at)?);
        if block < before || block >= bounds.end {
            return Err(bad());
        }
        if here == 0 {
            let stored = le::u16(node, at + 4)?;
            let length = u64::from(if stored > MAX_WRITTEN { stored - MAX_WRITTEN } else { stored });
            if stored <= MAX_WRITTEN {
                let place = u64::from(le::u16(node, at + 6)?) << 32 | u64::from(le::u32(node, at + 8)?);
                found.push(block, length, place)?;
            }
            before = block + length.max(1);
        } else {
            let next = if number + 1 < count { u64::from(le::u32(node, at + EXTENT)?) } else { bounds.end };
            if next <= block {
                return Err(bad());
            }
            if block < found.wanted.end && next > found.wanted.start {
                let child = u64::from(le::u16(node, at + 8)?) << 32 | u64::from(le::u32(node, at + 4)?);
                let child = found.system.block(child)?;
                extents(found, &child, Some(here - 1), block..next)?;
            }
            before = next;
        }
    }
    Ok(())
}

/// Twelve pointers to blocks, and one each to blocks of pointers, of blocks of them, and of blocks of those.
fn pointers(found: &mut Found<'_>, body: &[u8]) -> io::Result<()> {
    const DIRECT: u64 = 12;
    for number in found.wanted.start..found.wanted.end.min(DIRECT) {
        let place = u64::from(le::u32(body, number as usize * 4)?);
        if place != 0 {
            found.push(number, 1, place)?;
        }
    }
    let per_block = found.system.geometry.block / 4;
    let mut first = DIRECT;
    for level in 1..=3 {
        indirect(found, u64::from(le::u32(body, (DIRECT as usize + level - 1) * 4)?), level as u32, first)?;
        first += per_block.pow(level as u32);
    }
    Ok(())
}

/// A block of pointers, the first of which leads to the content's block `first`.
fn indirect(found: &mut Found<'_>, block: u64, level: u32, first: u64) -> io::Result<()> {
    let per_block = found.system.geometry.block / 4;
    // How much one pointer stands for.
    let each = per_block.pow(level - 1);
    let wanted = found.wanted.clone();
    if block == 0 || first >= wanted.end || first + each * per_block <= wanted.start {
        return Ok(());
    }
    let pointers = found.system.block(block)?;
    let from = wanted.start.saturating_sub(first) / each;
    let to = (wanted.end - first).div_ceil(each).min(per_block);
    for number in from..to {
        let place = u64::from(le::u32(&pointers, number as usize * 4)?);
        let start = first + number * each;
        match (place, level) {
            (0, _) => {}
            (_, 1) => found.push(start, 1, place)?,
            _ => indirect(found, place, level - 1, start)?,
        }
    }
    Ok(())
}
