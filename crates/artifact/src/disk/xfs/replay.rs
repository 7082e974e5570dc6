//! What an XFS log promises, put where it belongs: not on the device, but before the eyes of who reads it.
//!
//! Records hold operations, operations make up transactions, transactions hold items. An item is a format and regions: the changed
//! stretches of a buffer, or an inode's core and forks. Numbers of items are of the machine's own order, which is little-endian on all
//! that run such disks today.

use super::super::device::Overlay;
use super::super::numbers::{be, byte, le, malformed, part, unsupported};
use super::log::Record;
use std::collections::{HashMap, HashSet};
use std::io;
use std::mem::take;

/// The length of an operation's header, and its flags.
const OPERATION: usize = 12;
const START: u8 = 1;
const COMMIT: u8 = 2;
const CONTINUED: u8 = 8;
/// Who writes what belongs to transactions.
const TRANSACTION: u8 = 0x69;
/// What the first region of a transaction is.
const TRANSACTION_HEADER: usize = 16;

/// Kinds of items.
mod kind {
    pub(super) const INODE: u16 = 0x123b;
    pub(super) const BUFFER: u16 = 0x123c;
    /// Intents to change a file's map, and that it is done: by remapping, by exchanging.
    pub(super) const INTENTS: [u16; 2] = [0x1244, 0x1248];
    pub(super) const DONE: [u16; 2] = [0x1245, 0x1249];
    /// All that there are: the others are about free space, owners of blocks, attributes, quotas and new inodes, which say again in items
    /// of their own what is in them.
    pub(super) const ALL: std::ops::RangeInclusive<u16> = 0x1236..=0x1250;
}

/// Flags of a buffer: it is of inodes, of which then only links between unlinked ones are meant; what was logged of it before no longer counts.
const INODES: u16 = 1;
const CANCELLED: u16 = 2;
/// The unit of what is logged of a buffer, and of where it lies.
const CHUNK: usize = 128;
const SECTOR: u64 = 512;

/// Bits of what is logged of an inode.
const DATA: u32 = 0x2;
const EXTENTS: u32 = 0x4;
const ROOT: u32 = 0x8;

/// Numbers of an inode's core, each with its length: in the log they are of the machine's order, on the disk they are not.
const CORE: &[(usize, usize)] = &[
    (0, 2),
    (2, 2),
    (8, 4),
    (12, 4),
    (16, 4),
    (20, 2),
    (22, 2),
    (24, 8),
    (32, 8),
    (40, 8),
    (48, 8),
    (56, 8),
    (64, 8),
    (72, 4),
    (76, 4),
    (80, 2),
    (84, 4),
    (88, 2),
    (90, 2),
    (92, 4),
    (104, 8),
    (112, 8),
    (120, 8),
    (128, 4),
    (144, 8),
    (152, 8),
];
/// Where a core of the old versions ends in the log and on the disk, and one of the new version.
const OLD_CORE: (usize, usize) = (96, 100);
const NEW_CORE: usize = 176;

/// An item: its format and its regions.
type Item = Vec<Vec<u8>>;

/// A transaction that is read.
#[derive(Default)]
struct Transaction {
    /// How much of the header is there.
    header: usize,
    items: Vec<Item>,
}

/// What is known of the file system.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) is_v5: bool,
    pub(super) inode_size: u64,
}

/// Replays records over a device; answers whether a change of a file's map was begun and not ended.
pub(super) fn replay(records: &[Record], shape: Shape, overlay: &mut Overlay) -> io::Result<bool> {
    let committed = committed(records)?;
    let mut cancelled: HashMap<(i64, u16), usize> = HashMap::new();
    for buffer in committed.iter().flatten().filter_map(Buffer::of) {
        *cancelled.entry(buffer.place()?).or_default() += usize::from(buffer.is_cancelled()?);
    }
    cancelled.retain(|_, times| *times > 0);
    let mut intents = HashSet::new();
    for items in &committed {
        // Within a transaction buffers come first, then inodes, and what is cancelled last.
        for buffer in items.iter().filter_map(Buffer::of) {
            if !buffer.is_cancelled()? && !cancelled.contains_key(&buffer.place()?) {
                buffer.replay(overlay)?;
            }
        }
        for item in items {
            let format = item.first().map_or(&[][..], Vec::as_slice);
            match le::u16(format, 0)? {
                kind::INODE => inode(item, shape, &cancelled, overlay)?,
                intent if kind::INTENTS.contains(&intent) => drop(intents.insert(le::u64(format, 8)?)),
                done if kind::DONE.contains(&done) => drop(intents.remove(&le::u64(format, 8)?)),
                other if kind::ALL.contains(&other) => {}
                other => return Err(unsupported(format!("an item of a kind that is not known ({other:#x})"))),
            }
        }
        for buffer in items.iter().filter_map(Buffer::of).filter(|buffer| buffer.is_cancelled().unwrap_or(false)) {
            if let Some(times) = cancelled.get_mut(&buffer.place()?) {
                *times -= 1;
                if *times == 0 {
                    cancelled.remove(&buffer.place()?);
                }
            }
        }
    }
    Ok(!intents.is_empty())
}

/// The items of the transactions that were committed, in that order.
fn committed(records: &[Record]) -> io::Result<Vec<Vec<Item>>> {
    let mut committed = Vec::new();
    let mut open: HashMap<u32, Transaction> = HashMap::new();
    for record in records {
        let mut at = 0;
        for _ in 0..record.operations {
            let header = part(&record.content, at, OPERATION)?;
            let (id, length) = (be::u32(header, 0)?, be::u32(header, 4)? as usize);
            let (writer, flags) = (byte(header, 8)?, byte(header, 9)?);
            let content = part(&record.content, at + OPERATION, length)?;
            at += OPERATION + length;
            if writer != TRANSACTION {
                continue;
            }
            if flags & START != 0 {
                open.insert(id, Transaction::default());
            }
            // What began before the log's tail is in its place.
            let Some(transaction) = open.get_mut(&id) else { continue };
            if flags & COMMIT != 0 {
                committed.push(take(&mut transaction.items));
                open.remove(&id);
            } else if !content.is_empty() {
                transaction.add(content, flags & CONTINUED != 0)?;
            }
        }
    }
    Ok(committed)
}

impl Transaction {
    /// Adds a region, or the rest of one.
    fn add(&mut self, content: &[u8], is_rest: bool) -> io::Result<()> {
        let missing = TRANSACTION_HEADER - self.header;
        if missing > 0 {
            // Nothing of the header is needed.
            self.header += content.len().min(missing);
            return if content.len() > missing { Err(malformed("a transaction without a header")) } else { Ok(()) };
        }
        if is_rest {
            let last = self.items.last_mut().and_then(|item| item.last_mut());
            last.ok_or_else(|| malformed("the rest of nothing in the log"))?.extend_from_slice(content);
            return Ok(());
        }
        // The format says of how many regions, itself counted, its item is.
        let is_whole =
            |item: &Item| item.first().and_then(|format| le::u16(format, 2).ok()).is_none_or(|count| item.len() >= usize::from(count));
        match self.items.last_mut().filter(|item| !is_whole(item)) {
            Some(item) => item.push(content.to_vec()),
            None => self.items.push(vec![content.to_vec()]),
        }
        Ok(())
    }
}

/// An item that is a buffer.
struct Buffer<'a> {
    format: &'a [u8],
    regions: &'a [Vec<u8>],
}

impl<'a> Buffer<'a> {
    fn of(item: &'a Item) -> Option<Self> {
        let (format, regions) = item.split_first()?;
        (le::u16(format, 0).ok()? == kind::BUFFER).then_some(Self { format, regions })
    }

    fn is_cancelled(&self) -> io::Result<bool> {
        Ok(le::u16(self.format, 4)? & CANCELLED != 0)
    }

    /// Which sectors it is of: the first, and how many.
    fn place(&self) -> io::Result<(i64, u16)> {
        Ok((le::u64(self.format, 8)?.cast_signed(), le::u16(self.format, 6)?))
    }

    /// Puts the regions where the map of chunks says.
    fn replay(&self, overlay: &mut Overlay) -> io::Result<()> {
        if le::u16(self.format, 4)? & INODES != 0 {
            return Ok(());
        }
        let (sector, sectors) = self.place()?;
        let start = place_of(sector.cast_unsigned()).ok_or_else(nowhere)?;
        let map = part(self.format, 20, le::u32(self.format, 16)? as usize * 4)?;
        let is_set = |chunk: usize| map.get(chunk / 8).is_some_and(|byte| byte >> (chunk % 8) & 1 == 1);
        let mut regions = self.regions.iter();
        let mut chunk = 0;
        while chunk < map.len() * 8 {
            let count = (chunk..map.len() * 8).take_while(|chunk| is_set(*chunk)).count();
            if count > 0 {
                // One region for all that lie side by side. Large buffers are logged in several formats of their own.
                let region = regions.next().ok_or_else(|| malformed("a logged buffer without its content"))?;
                let length = region.len().min(count * CHUNK);
                if chunk * CHUNK + length > usize::from(sectors) * SECTOR as usize {
                    return Err(nowhere());
                }
                overlay.put(start + (chunk * CHUNK) as u64, &region[..length])?;
            }
            chunk += count.max(1);
        }
        Ok(())
    }
}

/// Where a sector lies in bytes, if any device has it.
fn place_of(sector: u64) -> Option<u64> {
    sector.checked_mul(SECTOR).filter(|place| *place <= i64::MAX as u64)
}

fn nowhere() -> io::Error {
    malformed("a change in the log of what does not exist")
}

/// Puts an inode's core and the fork of its content in their place.
fn inode(item: &Item, shape: Shape, cancelled: &HashMap<(i64, u16), usize>, overlay: &mut Overlay) -> io::Result<()> {
    let [format, core, forks @ ..] = item.as_slice() else { return Err(malformed("a logged inode without its core")) };
    let fields = le::u32(format, 4)?;
    // The format of machines of 32 bits has no gap.
    let tail = if format.len() >= 56 { 40 } else { 36 };
    let (sector, sectors, inside) = (le::u64(format, tail)?, le::u32(format, tail + 8)?, le::u32(format, tail + 12)?);
    if cancelled.contains_key(&(sector.cast_signed(), sectors as u16)) {
        return Ok(());
    }
    let place = place_of(sector).ok_or_else(nowhere)? + u64::from(inside);
    if u64::from(inside) + shape.inode_size > u64::from(sectors) * SECTOR {
        return Err(nowhere());
    }
    let is_new = byte(core, 4)? >= 3;
    let (length, start) = if is_new { (NEW_CORE, NEW_CORE) } else { OLD_CORE };
    let mut stored = part(core, 0, length)?.to_vec();
    for (at, length) in CORE {
        if let Some(number) = stored.get_mut(*at..at + length) {
            number.reverse();
        }
    }
    if !stored.starts_with(b"IN") {
        return Err(malformed("a logged inode that is none"));
    }
    overlay.put(place, &stored)?;
    let room = match usize::from(byte(&stored, 82)?) * 8 {
        0 => shape.inode_size as usize - start,
        offset => offset.min(shape.inode_size as usize - start),
    };
    let fork = match (fields & (DATA | EXTENTS | ROOT), forks.first()) {
        (0, _) => return Ok(()),
        (ROOT, Some(root)) => small_root(root, room, shape.is_v5)?,
        (_, Some(fork)) => fork.get(..fork.len().min(room)).unwrap_or_default().to_vec(),
        (_, None) => return Err(malformed("a logged inode without its fork")),
    };
    overlay.put(place + start as u64, &fork)
}

/// The top of a tree as it lies in an inode: in memory, and in the log, it has the header of a block.
fn small_root(root: &[u8], room: usize, is_v5: bool) -> io::Result<Vec<u8>> {
    const ENTRY: usize = 16;
    let header = if is_v5 { 72 } else { 24 };
    let count = usize::from(be::u16(root, 6)?);
    let (from, to) = (root.len().saturating_sub(header) / ENTRY, room.saturating_sub(4) / ENTRY);
    if count > from || count > to {
        return Err(malformed("a logged tree that fits nowhere"));
    }
    let mut fork = part(root, 4, 4)?.to_vec();
    fork.extend_from_slice(part(root, header, count * 8)?);
    fork.resize(4 + to * 8, 0);
    fork.extend_from_slice(part(root, header + from * 8, count * 8)?);
    Ok(fork)
}
