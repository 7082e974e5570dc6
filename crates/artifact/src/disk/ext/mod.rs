//! ext2, ext3 and ext4 (Linux, Documentation/filesystems/ext4): blocks in groups, inodes in tables, content in trees of extents or
//! blocks of pointers, and a journal that may hold what is not written to its place yet.

mod directory;
mod inode;
mod journal;

use super::device::{Device, read};
use super::file_system::{FileSystem, Names, Node, Run};
use super::numbers::{le, malformed, unsupported};
use crate::ReadAt;
use journal::Replayed;
use lestrade_model::Problem;
use std::io;
use std::rc::Rc;

/// Where the superblock lies, and how long it is.
const SUPERBLOCK: (u64, usize) = (1024, 1024);
const MAGIC: u16 = 0xef53;
/// The inode of the root.
const ROOT: u64 = 2;

/// Features without which a file system cannot be read rightly, by their bits in `s_feature_incompat`.
mod incompat {
    pub(super) const COMPRESSION: u32 = 0x1;
    pub(super) const RECOVER: u32 = 0x4;
    pub(super) const JOURNAL_DEVICE: u32 = 0x8;
    pub(super) const META_BG: u32 = 0x10;
    pub(super) const WIDE: u32 = 0x80;
    /// Those and the ones that change nothing for who reads: filetype, extents, mmp, flex_bg, ea_inode, dirdata, csum_seed, largedir, inline_data,
    /// encrypt, casefold.
    pub(super) const KNOWN: u32 = 0x3f7df & !COMPRESSION & !JOURNAL_DEVICE;
}

/// A file system of this family.
pub(in crate::disk) struct Ext {
    device: Device,
    geometry: Geometry,
    problems: Vec<Problem>,
}

/// What the superblock says.
#[derive(Clone, Debug)]
struct Geometry {
    /// Bytes of a block.
    block: u64,
    blocks: u64,
    first_block: u64,
    blocks_per_group: u64,
    inodes: u64,
    inodes_per_group: u64,
    inode_size: u64,
    descriptor_size: u64,
    incompat: u32,
    /// From which block of descriptors on each lies in a group of its own.
    first_meta_group: u64,
    backups: Backups,
    journal: u64,
}

/// Which groups begin with a copy of the superblock.
#[derive(Clone, Copy, Debug)]
enum Backups {
    All,
    Powers,
    These([u64; 2]),
}

impl Backups {
    fn has(self, group: u64) -> bool {
        let is_power =
            |base: u64| std::iter::successors(Some(base), |n| n.checked_mul(base)).take_while(|n| *n <= group).any(|n| n == group);
        match self {
            Self::All => true,
            Self::Powers => group <= 1 || [3, 5, 7].into_iter().any(is_power),
            Self::These(groups) => group == 0 || groups.contains(&group),
        }
    }
}

/// Whether a device begins like such a file system.
pub(in crate::disk) fn is_ext(device: &dyn ReadAt) -> bool {
    read(device, SUPERBLOCK.0 + 56, 2).and_then(|bytes| le::u16(&bytes, 0)).is_ok_and(|magic| magic == MAGIC)
}

impl Geometry {
    fn read(device: &dyn ReadAt) -> io::Result<Self> {
        let raw = read(device, SUPERBLOCK.0, SUPERBLOCK.1)?;
        if le::u16(&raw, 56)? != MAGIC {
            return Err(malformed("there is no ext superblock"));
        }
        let (compat, incompat, ro_compat) = (le::u32(&raw, 92)?, le::u32(&raw, 96)?, le::u32(&raw, 100)?);
        let is_first_revision = le::u32(&raw, 76)? == 0;
        if incompat & incompat::JOURNAL_DEVICE != 0 {
            return Err(unsupported("the journal of an ext file system on another device"));
        }
        if incompat & !incompat::KNOWN != 0 {
            return Err(unsupported(format!("an ext file system with features that are not read ({:#x})", incompat & !incompat::KNOWN)));
        }
        let log = le::u32(&raw, 24)?;
        if log > 6 {
            return Err(malformed("the ext superblock names no size of blocks"));
        }
        let block = 1024 << log;
        let wide = incompat & incompat::WIDE != 0;
        let high = if wide { u64::from(le::u32(&raw, 336)?) } else { 0 };
        let geometry = Self {
            block,
            blocks: high << 32 | u64::from(le::u32(&raw, 4)?),
            first_block: u64::from(le::u32(&raw, 20)?),
            blocks_per_group: u64::from(le::u32(&raw, 32)?),
            inodes: u64::from(le::u32(&raw, 0)?),
            inodes_per_group: u64::from(le::u32(&raw, 40)?),
            inode_size: if is_first_revision { 128 } else { u64::from(le::u16(&raw, 88)?) },
            descriptor_size: if wide { u64::from(le::u16(&raw, 254)?).max(64) } else { 32 },
            incompat,
            first_meta_group: if incompat & incompat::META_BG == 0 { u64::MAX } else { u64::from(le::u32(&raw, 260)?) },
            backups: match (compat & 0x200 != 0, ro_compat & 1 != 0) {
                (true, _) => Backups::These([u64::from(le::u32(&raw, 588)?), u64::from(le::u32(&raw, 592)?)]),
                (false, true) => Backups::Powers,
                (false, false) => Backups::All,
            },
            journal: if compat & 4 == 0 { 0 } else { u64::from(le::u32(&raw, 224)?) },
        };
        let fits = geometry.blocks.checked_mul(block).is_some_and(|bytes| bytes <= i64::MAX as u64);
        let inode_fits = geometry.inode_size.is_power_of_two() && (128..=block).contains(&geometry.inode_size);
        let descriptor_fits = geometry.descriptor_size.is_power_of_two() && geometry.descriptor_size <= block;
        if geometry.inodes_per_group == 0 || geometry.blocks_per_group == 0 || !(fits && inode_fits && descriptor_fits) {
            return Err(malformed("the ext superblock contradicts itself"));
        }
        Ok(geometry)
    }

    /// Where the descriptor of a group lies.
    fn descriptor(&self, group: u64) -> Option<u64> {
        let per_block = self.block / self.descriptor_size;
        let place = group / per_block;
        // The superblock's own: with small blocks it is not the first, whatever the superblock says that the first is.
        let after_superblock = SUPERBLOCK.0 / self.block + 1;
        let block = if place < self.first_meta_group {
            after_superblock.checked_add(place)?
        } else if place == 0 {
            after_superblock
        } else {
            let first = place * per_block;
            (first.checked_mul(self.blocks_per_group)?).checked_add(self.first_block + u64::from(self.backups.has(first)))?
        };
        block.checked_mul(self.block)?.checked_add(group % per_block * self.descriptor_size)
    }
}

impl Ext {
    /// Opens a file system. What its journal holds is seen as if it were in its place.
    pub(in crate::disk) fn open(device: &Device) -> io::Result<Self> {
        let mut system = Self { device: Rc::clone(device), geometry: Geometry::read(device)?, problems: Vec::new() };
        if system.geometry.incompat & incompat::RECOVER != 0 {
            let log = journal::read_log(&system, system.geometry.journal);
            match log {
                Ok(log) => {
                    system.problems.extend(log.problem);
                    if !log.blocks.is_empty() {
                        system.device = Rc::new(Replayed::over(device, system.geometry.block, log.blocks));
                        system.geometry = Geometry::read(&system.device)?;
                    }
                }
                // What is in its place can be read all the same; that it may be old is said.
                Err(error) => system.problems.push(journal::unread(&error)),
            }
        }
        Ok(system)
    }

    /// Where a block lies.
    fn place(&self, block: u64) -> io::Result<u64> {
        if block >= self.geometry.blocks {
            return Err(malformed(format!("a block that the file system does not have ({block})")));
        }
        block.checked_mul(self.geometry.block).ok_or_else(|| malformed("a block that no device has"))
    }

    fn block(&self, block: u64) -> io::Result<Vec<u8>> {
        read(&self.device, self.place(block)?, self.geometry.block as usize)
    }
}

impl FileSystem for Ext {
    fn device(&self) -> &dyn ReadAt {
        &self.device
    }

    fn root(&self) -> u64 {
        ROOT
    }

    fn node(&self, number: u64) -> io::Result<Node> {
        inode::node(self, number)
    }

    fn inline(&self, node: &Node) -> io::Result<Option<Vec<u8>>> {
        inode::inline(node)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_the_superblock_lie_in_groups_that_are_powers() {
        let with: Vec<u64> = (0..130).filter(|group| Backups::Powers.has(*group)).collect();
        assert_eq!(with, [0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125]);
        assert!(Backups::These([1, 9]).has(9) && !Backups::These([1, 9]).has(3));
    }
}
