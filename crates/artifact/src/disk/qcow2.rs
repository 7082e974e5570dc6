//! QEMU's disk images, versions 2 and 3 (QEMU, docs/interop/qcow2.rst): two levels of tables lead to clusters, some of them compressed.

use super::device::{Device, read};
use super::numbers::{be, byte, malformed, unsupported};
use crate::ReadAt;
use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;

const MAGIC: &[u8] = b"QFI\xfb";
/// Sizes of a cluster, as powers of two.
const CLUSTER_BITS: std::ops::RangeInclusive<u32> = 9..=21;
/// The largest disk: of what QEMU makes none comes near it.
const MAX_SIZE: u64 = 1 << 50;
/// Where an entry's place in the image is, and its flags.
const PLACE: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
const ZEROS: u64 = 1;

/// Bits of `incompatible_features`.
mod incompatible {
    pub(super) const CORRUPT: u64 = 0x2;
    pub(super) const EXTERNAL: u64 = 0x4;
    pub(super) const EXTENDED: u64 = 0x10;
    /// Those and the ones that change nothing for who reads: dirty, another kind of compression.
    pub(super) const KNOWN: u64 = 0x1f;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    Deflate,
    Zstd,
}

/// An image.
pub(super) struct Qcow2 {
    image: Device,
    size: u64,
    bits: u32,
    tables: u64,
    entries: u64,
    compression: Compression,
    /// The compressed cluster that was read last: its entry and its content.
    last: RefCell<(u64, Vec<u8>)>,
}

/// Where a cluster is.
enum Cluster {
    Hole,
    At(u64),
    Compressed(u64),
}

/// Whether an image begins like one of these.
pub(super) fn is_qcow2(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

impl Qcow2 {
    /// Opens an image. One that builds on another is refused: what it does not say itself would be missing.
    pub(super) fn open(image: &Device) -> io::Result<Self> {
        let header = read(image, 0, 72)?;
        let version = be::u32(&header, 4)?;
        if !(2..=3).contains(&version) {
            return Err(unsupported(format!("a qcow image of version {version}")));
        }
        if be::u64(&header, 8)? != 0 {
            return Err(unsupported("a qcow2 image that builds on another one (a backing file): convert it to one that stands alone"));
        }
        if be::u32(&header, 32)? != 0 {
            return Err(unsupported("an encrypted qcow2 image"));
        }
        let mut compression = Compression::Deflate;
        if version == 3 {
            let more = read(image, 72, 32)?;
            let features = be::u64(&more, 0)?;
            let refusal = match features {
                _ if features & !incompatible::KNOWN != 0 => Some("with features that are not read"),
                _ if features & incompatible::CORRUPT != 0 => Some("that QEMU has marked as corrupt"),
                _ if features & incompatible::EXTERNAL != 0 => Some("whose content lies in another file"),
                _ if features & incompatible::EXTENDED != 0 => Some("with subclusters"),
                _ => None,
            };
            if let Some(refusal) = refusal {
                return Err(unsupported(format!("a qcow2 image {refusal}")));
            }
            if be::u32(&more, 28)? > 104 {
                compression = match byte(&read(image, 104, 1)?, 0)? {
                    0 => Compression::Deflate,
                    1 => Compression::Zstd,
                    _ => return Err(unsupported("a qcow2 image with a compression that is not known")),
                };
            }
        }
        let (bits, size) = (be::u32(&header, 20)?, be::u64(&header, 24)?);
        if !CLUSTER_BITS.contains(&bits) || size > MAX_SIZE {
            return Err(malformed("the qcow2 header names sizes that no image has"));
        }
        Ok(Self {
            image: Rc::clone(image),
            size,
            bits,
            tables: be::u64(&header, 40)?,
            entries: u64::from(be::u32(&header, 36)?),
            compression,
            last: RefCell::default(),
        })
    }

    fn entry(&self, table: u64, number: u64) -> io::Result<u64> {
        let place = table.checked_add(number * 8).ok_or_else(|| malformed("a qcow2 table that lies nowhere"))?;
        be::u64(&read(&self.image, place, 8)?, 0)
    }

    fn cluster(&self, number: u64) -> io::Result<Cluster> {
        let per_table = self.bits - 3;
        let first = number >> per_table;
        if first >= self.entries {
            return Ok(Cluster::Hole);
        }
        let table = self.entry(self.tables, first)? & PLACE;
        if table == 0 {
            return Ok(Cluster::Hole);
        }
        let entry = self.entry(table, number & ((1 << per_table) - 1))?;
        Ok(match entry {
            _ if entry & COMPRESSED != 0 => Cluster::Compressed(entry),
            _ if entry & ZEROS != 0 || entry & PLACE == 0 => Cluster::Hole,
            _ => Cluster::At(entry & PLACE),
        })
    }

    /// Reads a part of a compressed cluster.
    fn inflate(&self, entry: u64, inside: usize, buffer: &mut [u8]) -> io::Result<()> {
        let mut last = self.last.borrow_mut();
        if last.0 != entry {
            // An entry's lower bits say where the bytes begin, its upper ones how many sectors they are in.
            let split = 62 - (self.bits - 8);
            let place = entry & ((1 << split) - 1);
            let sectors = ((entry & (COMPRESSED - 1)) >> split) + 1;
            let length = (sectors * 512 - (place & 511)).min(self.image.size().saturating_sub(place));
            let packed = read(&self.image, place, length as usize)?;
            let size = 1_usize << self.bits;
            let mut content = Vec::with_capacity(size);
            let read = match self.compression {
                Compression::Deflate => flate2::read::DeflateDecoder::new(packed.as_slice()).take(size as u64).read_to_end(&mut content),
                Compression::Zstd => {
                    // What follows the frame in its last sector belongs to another cluster.
                    zstd::stream::read::Decoder::new(packed.as_slice())?.single_frame().take(size as u64).read_to_end(&mut content)
                }
            };
            if read.is_err() || content.len() != size {
                *last = (0, Vec::new());
                return Err(malformed("a compressed cluster of the qcow2 image that is damaged"));
            }
            *last = (entry, content);
        }
        last.1.read_at(inside as u64, buffer)
    }
}

impl ReadAt for Qcow2 {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let size = 1_u64 << self.bits;
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let inside = at % size;
            let length = usize::try_from(size - inside).map_or(rest.len(), |room| room.min(rest.len()));
            let (now, later) = rest.split_at_mut(length);
            match self.cluster(at / size)? {
                Cluster::Hole => now.fill(0),
                Cluster::At(place) => self.image.read_at(place + inside, now)?,
                Cluster::Compressed(entry) => self.inflate(entry, inside as usize, now)?,
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

    fn header(version: u32) -> Vec<u8> {
        let mut header = vec![0; 1024];
        header[..4].copy_from_slice(MAGIC);
        header[4..8].copy_from_slice(&version.to_be_bytes());
        header[20..24].copy_from_slice(&9_u32.to_be_bytes());
        header[24..32].copy_from_slice(&2048_u64.to_be_bytes());
        header[36..40].copy_from_slice(&u32::MAX.to_be_bytes());
        header[40..48].copy_from_slice(&512_u64.to_be_bytes());
        header[100..104].copy_from_slice(&104_u32.to_be_bytes());
        header
    }

    fn why(header: Vec<u8>) -> String {
        let image: Device = Rc::new(header);
        Qcow2::open(&image).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_is_refused_is_named() {
        assert_eq!(why(header(3)), "");
        for (at, value, said) in [
            (7, 9, "version 9"),
            (15, 1, "backing file"),
            (35, 2, "encrypted"),
            (79, 2, "corrupt"),
            (79, 4, "another file"),
            (79, 16, "subclusters"),
            (79, 32, "features"),
            (23, 63, "sizes"),
            (24, 0xff, "sizes"),
        ] {
            let mut header = header(3);
            header[at] = value;
            assert!(why(header.clone()).contains(said), "{said}: {}", why(header));
        }
    }

    #[test]
    fn tables_of_absurd_sizes_cost_nothing() {
        let image: Device = Rc::new(header(2));
        let disk = Qcow2::open(&image).unwrap();
        assert_eq!(read(&disk, 0, 2048).unwrap(), vec![0; 2048]);
        assert!(read(&disk, 0, 2049).is_err());
        let mut bytes = header(2);
        // A table of the second level beyond the end, then one that is the first one itself.
        bytes[512..520].copy_from_slice(&(1_u64 << 40).to_be_bytes());
        let image: Device = Rc::new(bytes.clone());
        assert!(read(&Qcow2::open(&image).unwrap(), 0, 1).is_err());
        bytes[512..520].copy_from_slice(&512_u64.to_be_bytes());
        let image: Device = Rc::new(bytes);
        assert_eq!(read(&Qcow2::open(&image).unwrap(), 0, 8).unwrap(), 512_u64.to_be_bytes());
    }
}
