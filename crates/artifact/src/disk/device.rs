//! Devices over devices: a part of one, one whose blocks are kept for a while and counted.

use super::numbers::too_much;
use crate::ReadAt;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, ErrorKind};
use std::rc::Rc;

/// A device that others lie on.
pub(super) type Device = Rc<dyn ReadAt>;

/// A part of a device: a partition.
pub(super) struct Slice {
    device: Device,
    offset: u64,
    length: u64,
}

impl Slice {
    /// The part at `offset`; what of it lies beyond the device's end cannot be read.
    pub(super) fn of(device: &Device, offset: u64, length: u64) -> Self {
        Self { device: Rc::clone(device), offset, length }
    }
}

impl ReadAt for Slice {
    fn size(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.length);
        let start = end.and_then(|_| self.offset.checked_add(offset)).ok_or(ErrorKind::UnexpectedEof)?;
        self.device.read_at(start, buffer)
    }
}

/// What is read and kept at a time.
const BLOCK: usize = 4096;
/// How many blocks are kept: 16 MiB.
const KEPT: usize = 4096;
/// Reads from so many bytes on are content, which nobody reads twice.
const LARGE: usize = 64 << 10;

/// A device whose blocks are kept for a while. It counts what it reads below.
pub(super) struct Cached {
    device: Device,
    size: u64,
    /// Blocks by their number, in two generations: what is used moves to the younger; when that is full, the older one is let go.
    blocks: RefCell<[HashMap<u64, Rc<[u8]>>; 2]>,
    read: Cell<u64>,
}

impl Cached {
    pub(super) fn new(device: Device) -> Self {
        Self { size: device.size(), device, blocks: RefCell::default(), read: Cell::new(0) }
    }

    /// How many bytes were read from below.
    pub(super) fn bytes_read(&self) -> u64 {
        self.read.get()
    }

    fn fetch(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read.set(self.read.get() + buffer.len() as u64);
        self.device.read_at(offset, buffer)
    }

    fn block(&self, number: u64) -> io::Result<Rc<[u8]>> {
        let kept = self.blocks.borrow().iter().find_map(|generation| generation.get(&number).cloned());
        let block = match kept {
            Some(block) => block,
            None => {
                let start = number * BLOCK as u64;
                let length = self.size.saturating_sub(start).min(BLOCK as u64) as usize;
                let mut block = vec![0; length];
                self.fetch(start, &mut block)?;
                block.into()
            }
        };
        let mut generations = self.blocks.borrow_mut();
        let [young, old] = &mut *generations;
        if young.len() >= KEPT / 2 {
            *old = std::mem::take(young);
        }
        young.insert(number, Rc::clone(&block));
        Ok(block)
    }
}

impl ReadAt for Cached {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.size) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if buffer.len() >= LARGE {
            return self.fetch(offset, buffer);
        }
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let block = self.block(at / BLOCK as u64)?;
            let inside = (at % BLOCK as u64) as usize;
            let ready = block.get(inside..).unwrap_or_default();
            let length = ready.len().min(rest.len());
            if length == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let (now, later) = rest.split_at_mut(length);
            now.copy_from_slice(&ready[..length]);
            at += length as u64;
            rest = later;
        }
        Ok(())
    }
}

/// The unit in which an overlay is kept.
const SECTOR: usize = 512;
/// The most sectors of an overlay: 256 MiB.
const MAX_OVERLAY: usize = 512 << 10;

/// A device of which some sectors are seen as they will be.
pub(super) struct Overlay {
    device: Device,
    sectors: HashMap<u64, [u8; SECTOR]>,
}

impl Overlay {
    pub(super) fn over(device: &Device) -> Self {
        Self { device: Rc::clone(device), sectors: HashMap::new() }
    }

    /// Changes what is seen at a place.
    pub(super) fn put(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut at = offset;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (number, inside) = (at / SECTOR as u64, (at % SECTOR as u64) as usize);
            let (now, later) = rest.split_at(rest.len().min(SECTOR - inside));
            if self.sectors.len() >= MAX_OVERLAY && !self.sectors.contains_key(&number) {
                return Err(too_much("more changes than are replayed"));
            }
            let sector = match self.sectors.entry(number) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let mut sector = [0; SECTOR];
                    self.device.read_at(number * SECTOR as u64, &mut sector)?;
                    new.insert(sector)
                }
            };
            sector[inside..inside + now.len()].copy_from_slice(now);
            at += now.len() as u64;
            rest = later;
        }
        Ok(())
    }
}

impl ReadAt for Overlay {
    fn size(&self) -> u64 {
        self.device.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.device.read_at(offset, buffer)?;
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let (number, inside) = (at / SECTOR as u64, (at % SECTOR as u64) as usize);
            let length = rest.len().min(SECTOR - inside);
            let (now, later) = rest.split_at_mut(length);
            if let Some(sector) = self.sectors.get(&number) {
                now.copy_from_slice(&sector[inside..inside + length]);
            }
            at += length as u64;
            rest = later;
        }
        Ok(())
    }
}

/// Reads so many bytes of a device.
pub(super) fn read(device: &dyn ReadAt, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    device.read_at(offset, &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_device_ends_where_it_ends() {
        let device: Device = Rc::new((0..100).collect::<Vec<u8>>());
        let part = Slice::of(&device, 90, 20);
        assert_eq!(read(&part, 8, 2).unwrap(), [98, 99]);
        assert_eq!(read(&part, 9, 2).unwrap_err().kind(), ErrorKind::UnexpectedEof, "beyond the device");
        assert_eq!(read(&Slice::of(&device, 10, 5), 4, 2).unwrap_err().kind(), ErrorKind::UnexpectedEof, "beyond the part");
        assert!(read(&Slice::of(&device, u64::MAX, 5), 4, 1).is_err());
    }

    #[test]
    fn what_is_put_over_a_device_is_seen_in_its_place() {
        let bytes: Vec<u8> = (0..4096).map(|n| (n % 251) as u8).collect();
        let mut overlay = Overlay::over(&(Rc::new(bytes.clone()) as Device));
        let mut expected = bytes;
        for (at, length, value) in [(500, 20, 1), (1024, 512, 2), (10, 1, 3), (505, 3, 4), (3000, 1096, 5)] {
            overlay.put(at as u64, &vec![value; length]).unwrap();
            expected[at..at + length].fill(value);
        }
        for (from, to) in [(0, 4096), (0, 1), (499, 521), (1000, 1600), (4095, 4096)] {
            assert_eq!(read(&overlay, from as u64, to - from).unwrap(), expected[from..to]);
        }
        assert!(overlay.put(4096, &[1]).is_err());
    }

    #[test]
    fn what_is_kept_is_not_read_again() {
        let bytes: Vec<u8> = (0..3 * BLOCK + 10).map(|n| (n % 251) as u8).collect();
        let cached = Cached::new(Rc::new(bytes.clone()));
        for (offset, length) in [(0, 1), (BLOCK - 1, 2), (100, 2000), (3 * BLOCK, 10), (5, 2 * BLOCK)] {
            assert_eq!(read(&cached, offset as u64, length).unwrap(), bytes[offset..offset + length]);
        }
        assert_eq!(cached.bytes_read(), bytes.len() as u64);
        assert!(read(&cached, 3 * BLOCK as u64, 11).is_err());
    }
}
