//! What a disk is kept in: nothing (raw), or a format of image that is told by its first bytes.

use super::device::{Cached, Device, read};
use super::numbers::unsupported;
use super::qcow2::{Qcow2, is_qcow2};
use super::vmdk::{Vmdk, is_vmdk};
use std::io;
use std::rc::Rc;

/// Formats that are known and not read: where their mark is, the mark, the name.
const UNREAD: &[(u64, &[u8], &str)] =
    &[(0, b"vhdxfile", "VHDX"), (0, b"conectix", "VHD"), (64, b"\x7f\x10\xda\xbe", "VDI"), (0, b"Parallels", "Parallels")];

/// The disk that is kept in an image.
pub(super) fn contained(image: &Device) -> io::Result<Device> {
    let head = read(image, 0, image.size().min(512) as usize)?;
    if is_qcow2(&head) {
        // Tables and compressed clusters are costly to look through for every few bytes.
        return Ok(Rc::new(Cached::new(Rc::new(Qcow2::open(image)?))));
    }
    if is_vmdk(&head) {
        return Ok(Rc::new(Cached::new(Rc::new(Vmdk::open(image)?))));
    }
    for (place, mark, name) in UNREAD {
        if head.get(*place as usize..).is_some_and(|rest| rest.starts_with(mark)) {
            return Err(unsupported(format!("an image in the format {name} is not read")));
        }
    }
    for compressed in [&b"\x1f\x8b"[..], b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh"] {
        if head.starts_with(compressed) {
            return Err(unsupported("the image is compressed: unpack it first"));
        }
    }
    Ok(Rc::clone(image))
}
