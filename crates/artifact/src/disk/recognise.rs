//! What lies on a device, by the marks that file systems and their like leave at certain places.

use super::device::read;
use super::ext::is_ext;
use super::lvm::is_physical_volume;
use super::numbers::{be, le};
use super::xfs::is_xfs;
use crate::ReadAt;

/// What lies on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// ext2, ext3, ext4.
    Ext,
    Xfs,
    /// A physical volume of LVM.
    Lvm,
    /// The file system that machines boot from.
    Fat,
    /// Something else that has a name and may hold files.
    Unread(&'static str),
    /// Something that holds no files of a system.
    NoFiles(&'static str),
    /// Nothing but zeros, as far as it was looked at.
    Blank,
    /// Nothing that we know.
    Unknown,
}

/// How much of a device's beginning is looked at to tell that it is blank.
const BEGINNING: usize = 128 << 10;

/// Marks of what is known and not read: where, which bytes, what it is.
const UNREAD: &[(u64, &[u8], &str)] = &[
    (0, b"LUKS\xba\xbe", "encrypted with LUKS"),
    (65_600, b"_BHRfS_M", "a btrfs file system"),
    (3, b"NTFS    ", "an NTFS file system"),
    (3, b"EXFAT   ", "an exFAT file system"),
    (3, b"-FVE-FS-", "encrypted with BitLocker"),
    (1024, b"\x10\x20\xf5\xf2", "an F2FS file system"),
    (1024, b"\xe2\xe1\xf5\xe0", "an EROFS file system"),
    (0, b"hsqs", "a squashfs file system"),
    (32_769, b"CD001", "an ISO 9660 file system"),
    (4096, b"\xfc\x4e\x2b\xa9", "a part of a RAID (md)"),
    (0, b"\xfc\x4e\x2b\xa9", "a part of a RAID (md)"),
    (24, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", "a bcache device"),
    (65_536, b"ReIsEr", "a ReiserFS file system"),
    (32_768, b"JFS1", "a JFS file system"),
];

/// Looks at a device.
pub(super) fn recognise(device: &dyn ReadAt) -> Mark {
    let at = |offset: u64, length: usize| read(device, offset, length).unwrap_or_default();
    if is_ext(device) {
        return Mark::Ext;
    }
    if is_xfs(device) {
        return Mark::Xfs;
    }
    if is_physical_volume(device) {
        return Mark::Lvm;
    }
    if let Some((.., what)) = UNREAD.iter().find(|(offset, bytes, _)| at(*offset, bytes.len()) == *bytes) {
        return Mark::Unread(what);
    }
    let ends_page = |page: u64| matches!(at(page - 10, 10).as_slice(), b"SWAPSPACE2" | b"SWAP-SPACE");
    if ends_page(4096) || ends_page(65_536) {
        return Mark::NoFiles("swap space");
    }
    if at(54, 5) == b"FAT12" || at(54, 5) == b"FAT16" || at(82, 5) == b"FAT32" {
        return Mark::Fat;
    }
    if is_zfs(device) {
        return Mark::Unread("a part of a ZFS pool");
    }
    let length = usize::try_from(device.size()).map_or(BEGINNING, |size| size.min(BEGINNING));
    match read(device, 0, length) {
        Ok(bytes) if bytes.iter().all(|byte| *byte == 0) => Mark::Blank,
        _ => Mark::Unknown,
    }
}

/// Whether one of the places for a ZFS label's first transactions holds one.
fn is_zfs(device: &dyn ReadAt) -> bool {
    const MAGIC: u64 = 0x00ba_b10c;
    let mut places = (0..8).map(|number| (128 << 10) + number * 1024);
    places.any(|place| {
        read(device, place, 8)
            .is_ok_and(|bytes| [le::u64(&bytes, 0), be::u64(&bytes, 0)].iter().any(|n| n.as_ref().is_ok_and(|n| *n == MAGIC)))
    })
}
