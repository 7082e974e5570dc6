//! VMware's disk images that are one file (VMware, Virtual Disk Format 5.0): sparse ones, whose directory leads over tables to grains, and
//! stream-optimised ones, whose grains are compressed.

use super::device::{Device, read};
use super::numbers::{le, malformed, unsupported};
use crate::ReadAt;
use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;

/// Units of the format.
const SECTOR: u64 = 512;
const MAGIC: &[u8] = b"KDMV";
/// What a directory says that lies at the end of the file.
const AT_END: u64 = u64::MAX;
/// The largest grain, in sectors; the default is 128.
const MAX_GRAIN: u64 = 1 << 11;
/// The largest disk, in sectors: 1 PiB.
const MAX_CAPACITY: u64 = 1 << 41;
/// How much of a description is read.
const MAX_DESCRIPTION: u64 = 20 << 10;

/// An image.
pub(super) struct Vmdk {
    image: Device,
    /// Sectors of the disk and of a grain.
    capacity: u64,
    grain: u64,
    /// Entries of a table.
    per_table: u64,
    directory: u64,
    compressed: bool,
    /// The compressed grain that was read last: its place and its content.
    last: RefCell<(u64, Vec<u8>)>,
}

/// Whether an image begins like one of these, or like the description of one.
pub(super) fn is_vmdk(head: &[u8]) -> bool {
    head.starts_with(MAGIC) || is_description(head) || head.starts_with(b"COWD")
}

fn is_description(head: &[u8]) -> bool {
    head.starts_with(b"# Disk DescriptorFile")
}

impl Vmdk {
    /// Opens an image. One whose content lies in other files, or that builds on another one, is refused.
    pub(super) fn open(image: &Device) -> io::Result<Self> {
        let head = read(image, 0, SECTOR as usize)?;
        if is_description(&head) {
            return Err(unsupported("it only describes a VMDK image: the content lies in the files that it names (scan NAME-flat.vmdk)"));
        }
        if !head.starts_with(MAGIC) {
            return Err(unsupported("a VMDK image of ESX's sparse kind"));
        }
        let header = if le::u64(&head, 56)? == AT_END {
            // Written as a stream: the header that knows is the last sector but one.
            let place = image.size().checked_sub(2 * SECTOR).ok_or_else(|| malformed("the VMDK image is cut"))?;
            read(image, place, SECTOR as usize)?
        } else {
            head
        };
        let (version, flags) = (le::u32(&header, 4)?, le::u32(&header, 8)?);
        if !header.starts_with(MAGIC) {
            return Err(malformed("the VMDK image is cut: its last part is missing"));
        }
        if !(1..=3).contains(&version) {
            return Err(unsupported(format!("a VMDK image of version {version}")));
        }
        stands_alone(image, le::u64(&header, 28)?, le::u64(&header, 36)?)?;
        let disk = Self {
            image: Rc::clone(image),
            capacity: le::u64(&header, 12)?,
            grain: le::u64(&header, 20)?,
            per_table: u64::from(le::u32(&header, 44)?),
            directory: le::u64(&header, 56)?,
            compressed: flags & 0x1_0000 != 0,
            last: RefCell::default(),
        };
        let sizes = disk.capacity <= MAX_CAPACITY && disk.grain.is_power_of_two() && disk.grain <= MAX_GRAIN;
        if !sizes || disk.per_table == 0 || disk.directory > MAX_CAPACITY {
            return Err(malformed("the VMDK header names sizes that no image has"));
        }
        Ok(disk)
    }

    /// Where a grain lies, in sectors; none where there is nothing.
    fn place(&self, grain: u64) -> io::Result<Option<u64>> {
        let entry = |place: u64| le::u32(&read(&self.image, place, 4)?, 0).map(u64::from);
        let table = entry(self.directory * SECTOR + grain / self.per_table * 4)?;
        if table == 0 {
            return Ok(None);
        }
        let place = entry(table * SECTOR + grain % self.per_table * 4)?;
        // One says that it is zeros.
        Ok((place > 1).then_some(place))
    }

    /// Reads a part of a compressed grain: a marker with its length, and as many bytes.
    fn inflate(&self, place: u64, inside: usize, buffer: &mut [u8]) -> io::Result<()> {
        let mut last = self.last.borrow_mut();
        if last.0 != place {
            let damaged = || malformed("a compressed grain of the VMDK image that is damaged");
            let size = (self.grain * SECTOR) as usize;
            let length = le::u32(&read(&self.image, place * SECTOR + 8, 4)?, 0)? as usize;
            if length > size * 2 + 1024 {
                return Err(damaged());
            }
            let packed = read(&self.image, place * SECTOR + 12, length)?;
            let mut content = Vec::with_capacity(size);
            let read = flate2::read::ZlibDecoder::new(packed.as_slice()).take(size as u64).read_to_end(&mut content);
            if read.is_err() {
                return Err(damaged());
            }
            // The last grain may be shorter.
            content.resize(size, 0);
            *last = (place, content);
        }
        last.1.read_at(inside as u64, buffer)
    }
}

/// Reads the description inside an image: it must not name another one.
fn stands_alone(image: &Device, place: u64, sectors: u64) -> io::Result<()> {
    if place == 0 || sectors == 0 {
        return Ok(());
    }
    let (place, length) = (place.saturating_mul(SECTOR), sectors.saturating_mul(SECTOR).min(MAX_DESCRIPTION));
    let text = read(image, place, length.min(image.size().saturating_sub(place)) as usize)?;
    let text = String::from_utf8_lossy(&text);
    let parent = text.lines().find_map(|line| line.trim().strip_prefix("parentCID=")).map(|value| value.trim_matches(['\0', ' ']));
    if parent.is_some_and(|parent| !parent.eq_ignore_ascii_case("ffffffff")) {
        return Err(unsupported("a VMDK image that builds on another one (a snapshot): convert it to one that stands alone"));
    }
    Ok(())
}

impl ReadAt for Vmdk {
    fn size(&self) -> u64 {
        self.capacity * SECTOR
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.size()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let size = self.grain * SECTOR;
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let inside = at % size;
            let length = usize::try_from(size - inside).map_or(rest.len(), |room| room.min(rest.len()));
            let (now, later) = rest.split_at_mut(length);
            match self.place(at / size)? {
                None => now.fill(0),
                Some(place) if self.compressed => self.inflate(place, inside as usize, now)?,
                Some(place) => self.image.read_at(place * SECTOR + inside, now)?,
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

    fn why(bytes: Vec<u8>) -> String {
        let image: Device = Rc::new(bytes);
        Vmdk::open(&image).err().map(|error| error.to_string()).unwrap_or_default()
    }

    fn header() -> Vec<u8> {
        let mut header = vec![0; 2048];
        header[..4].copy_from_slice(MAGIC);
        header[4] = 1;
        header[12] = 100;
        header[20] = 8;
        header[28] = 1;
        header[36] = 1;
        header[44..48].copy_from_slice(&512_u32.to_le_bytes());
        header[56] = 2;
        header
    }

    #[test]
    fn what_is_refused_is_named() {
        assert_eq!(why(header()), "");
        let mut described = b"# Disk DescriptorFile\nversion=1\n".to_vec();
        described.resize(600, 0);
        assert!(why(described).contains("flat"));
        let mut snapshot = header();
        snapshot[512..512 + 34].copy_from_slice(b"# Disk DescriptorFile\nparentCID=01");
        assert!(why(snapshot).contains("builds on another"));
        for (at, value) in [(20, 7), (20, 0), (44 + 1, 0), (19, 0xff), (4, 9)] {
            let mut header = header();
            header[at] = value;
            assert!(!why(header).is_empty(), "{at}");
        }
        let mut streamed = header();
        streamed[56..64].fill(0xff);
        assert!(why(streamed).contains("cut"));
    }

    #[test]
    fn a_directory_that_leads_nowhere_is_an_error() {
        let mut bytes = header();
        bytes[1024..1028].copy_from_slice(&u32::MAX.to_le_bytes());
        let image: Device = Rc::new(bytes);
        assert!(read(&Vmdk::open(&image).unwrap(), 0, 1).is_err());
        let image: Device = Rc::new(header());
        assert_eq!(read(&Vmdk::open(&image).unwrap(), 0, 9).unwrap(), [0; 9]);
    }
}
