//! XFS, versions 4 and 5 (XFS Algorithms & Data Structures): allocation groups, inodes whose number says where they lie, forks of
//! extents or trees of them, and a log that may hold what is not in its place yet.

mod directory;
mod inode;
mod log;
mod replay;

use super::device::{Device, Overlay, read};
use super::file_system::{FileSystem, Names, Node, Run};
use super::numbers::{be, byte, malformed, unsupported};
use crate::ReadAt;
use crate::stop::Stop;
use lestrade_model::{Problem, ProblemKind};
use replay::Shape;
use std::io;
use std::rc::Rc;

const MAGIC: &[u8] = b"XFSB";
const SUPERBLOCK: usize = 512;

/// Features without which a file system of version 5 cannot be read rightly.
mod incompat {
    pub(super) const FILE_TYPES: u32 = 0x1;
    pub(super) const NEEDS_REPAIR: u32 = 0x10;
    pub(super) const LARGE_COUNTS: u32 = 0x20;
    /// Those and the ones that change nothing for who reads: sparse inodes, another UUID, times of 64 bits, exchanged ranges, parents.
    pub(super) const KNOWN: u32 = 0xff;
}

/// A file system.
pub(in crate::disk) struct Xfs {
    device: Device,
    geometry: Geometry,
    problems: Vec<Problem>,
}

/// What the superblock says.
#[derive(Clone, Debug)]
struct Geometry {
    is_v5: bool,
    block: u64,
    /// Blocks of all, and of a group.
    blocks: u64,
    group_blocks: u64,
    groups: u64,
    root: u64,
    inode_size: u64,
    /// Powers of two: inodes in a block, blocks in a group.
    inodes_log: u32,
    group_log: u32,
    /// Bytes of a block of a folder.
    folder_block: u64,
    file_types: bool,
    large_counts: bool,
    /// Where the log begins, as a block of the file system, and how many it has; none where it lies on another device.
    log: Option<(u64, u64)>,
}

/// Whether a device begins like such a file system.
pub(in crate::disk) fn is_xfs(device: &dyn ReadAt) -> bool {
    read(device, 0, MAGIC.len()).is_ok_and(|bytes| bytes == MAGIC)
}

impl Geometry {
    fn read(device: &dyn ReadAt) -> io::Result<Self> {
        let raw = read(device, 0, SUPERBLOCK)?;
        let version = be::u16(&raw, 100)?;
        let is_v5 = match version & 0xf {
            4 => false,
            5 => true,
            other => return Err(unsupported(format!("an XFS file system of version {other}"))),
        };
        let incompat = if is_v5 { be::u32(&raw, 216)? } else { 0 };
        if incompat & !incompat::KNOWN != 0 {
            return Err(unsupported(format!("an XFS file system with features that are not read ({:#x})", incompat & !incompat::KNOWN)));
        }
        let logs = |at: usize| byte(&raw, at).map(u32::from);
        let (block_log, inode_log, inodes_log, group_log, folder_log) = (logs(120)?, logs(122)?, logs(123)?, logs(124)?, logs(192)?);
        let sane = (9..=16).contains(&block_log) && (8..=11).contains(&inode_log) && inode_log <= block_log;
        if !sane || inodes_log != block_log - inode_log || !(2..=31).contains(&group_log) || block_log + folder_log > 16 {
            return Err(malformed("the XFS superblock contradicts itself"));
        }
        let features2 = if version & 0x8000 != 0 { be::u32(&raw, 200)? } else { 0 };
        let log = be::u64(&raw, 48)?;
        let geometry = Self {
            is_v5,
            block: 1 << block_log,
            blocks: be::u64(&raw, 8)?,
            group_blocks: u64::from(be::u32(&raw, 84)?),
            groups: u64::from(be::u32(&raw, 88)?),
            root: be::u64(&raw, 56)?,
            inode_size: 1 << inode_log,
            inodes_log,
            group_log,
            folder_block: 1 << (block_log + folder_log),
            file_types: if is_v5 { incompat & incompat::FILE_TYPES != 0 } else { features2 & 0x200 != 0 },
            large_counts: incompat & incompat::LARGE_COUNTS != 0,
            log: (log != 0).then_some((log, u64::from(be::u32(&raw, 96)?))),
        };
        let agrees = be::u32(&raw, 4)? == 1 << block_log && u64::from(be::u16(&raw, 104)?) == geometry.inode_size;
        let fits = geometry.group_blocks <= 1 << group_log && geometry.groups * geometry.group_blocks >= geometry.blocks;
        let ends = geometry.blocks.checked_mul(geometry.block).is_some_and(|bytes| bytes <= i64::MAX as u64);
        if !(agrees && fits && ends) {
            return Err(malformed("the XFS superblock contradicts itself"));
        }
        Ok(geometry)
    }

    /// Where a block of the file system lies in bytes. Its number holds that of its group and its place in there.
    fn place(&self, block: u64) -> io::Result<u64> {
        let (group, inside) = (block >> self.group_log, block & ((1 << self.group_log) - 1));
        let linear = group.checked_mul(self.group_blocks).and_then(|start| start.checked_add(inside));
        let linear = linear.filter(|linear| inside < self.group_blocks && *linear < self.blocks);
        Ok(linear.ok_or_else(|| malformed(format!("a block that the file system does not have ({block})")))? * self.block)
    }
}

impl Xfs {
    /// Opens a file system.
    pub(in crate::disk) fn open(device: &Device) -> io::Result<Self> {
        let geometry = Geometry::read(device)?;
        let mut problems = Vec::new();
        let mut problem = |kind, detail: &str| problems.push(Problem { path: String::new(), kind, detail: detail.to_owned() });
        if geometry.is_v5 && be::u32(&read(device, 0, SUPERBLOCK)?, 216)? & incompat::NEEDS_REPAIR != 0 {
            problem(ProblemKind::Malformed, "the file system is marked as in need of repair");
        }
        let mut seen = Rc::clone(device);
        let replayed = match geometry.log {
            Some((block, blocks)) => replayed(device, &geometry, geometry.place(block)?, blocks * geometry.block),
            None => Err(unsupported("it lies on another device")),
        };
        match replayed {
            Ok(None) => {}
            Ok(Some(log)) => {
                if let Some(detail) = log.lost {
                    problem(ProblemKind::Malformed, detail);
                }
                seen = Rc::new(log.overlay);
            }
            // What is in its place can be read all the same; that it may be old is said.
            Err(error) => {
                let stop = Stop::of(&error, 0);
                problem(stop.kind, &format!("its log could not be replayed, so the newest changes may be missing: {}", stop.detail));
            }
        }
        let geometry = Geometry::read(&seen)?;
        Ok(Self { device: seen, geometry, problems })
    }

    fn block(&self, block: u64) -> io::Result<Vec<u8>> {
        read(&self.device, self.geometry.place(block)?, self.geometry.block as usize)
    }
}

/// A device as it will be once the log is replayed.
struct Replayed {
    overlay: Overlay,
    /// What of the log is lost, if something is.
    lost: Option<&'static str>,
}

/// Replays the log in these bytes of the device, if it holds something.
fn replayed(device: &Device, geometry: &Geometry, offset: u64, length: u64) -> io::Result<Option<Replayed>> {
    let active = log::active(device, offset, length)?;
    if active.records.is_empty() && !active.is_broken {
        return Ok(None);
    }
    let mut overlay = Overlay::over(device);
    let shape = Shape { is_v5: geometry.is_v5, inode_size: geometry.inode_size };
    let is_begun = replay::replay(&active.records, shape, &mut overlay)?;
    let lost = match (active.is_broken, is_begun) {
        (true, _) => Some("its log has a record that is not whole, so the newest changes may be missing"),
        (false, true) => Some("its log holds a change of a file's map that was begun and not ended"),
        (false, false) => None,
    };
    Ok(Some(Replayed { overlay, lost }))
}

impl FileSystem for Xfs {
    fn device(&self) -> &dyn ReadAt {
        &self.device
    }

    fn root(&self) -> u64 {
        self.geometry.root
    }

    fn node(&self, number: u64) -> io::Result<Node> {
        inode::node(self, number)
    }

    /// Regular files never lie in their inodes.
    fn inline(&self, _node: &Node) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn runs(&self, node: &Node, from: u64, to: u64) -> io::Result<Vec<Run>> {
        inode::runs(self, node, from, to)
    }

    fn names(&self, folder: &Node, each: Names<'_>) -> io::Result<()> {
        directory::names(self, folder, each)
    }

    fn target(&self, link: &Node) -> io::Result<Vec<u8>> {
        inode::target(self, link)
    }

    fn problems(&self) -> &[Problem] {
        &self.problems
    }
}
