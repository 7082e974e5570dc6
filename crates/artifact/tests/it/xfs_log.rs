//! The log of XFS. A file system before and after a change is made; the change is then written to the log of the first one by hand, as
//! the kernel writes it, between what does not count. What is seen is the second one.

use crate::lab::{assert_same, noise, only};
use lestrade_testkit::disk::make_xfs;
use lestrade_testkit::missing;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

const SECTOR: usize = 512;
const BLOCK: usize = 4096;
const INODE: usize = 512;
const CHUNK: usize = 128;

/// Regions of an item; the first one is its format.
type Item = Vec<Vec<u8>>;

/// Numbers of an inode's core by where they lie and how long they are, but for those that are single bytes or never numbers.
const NUMBERS: [(usize, usize); 26] = [
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

/// The changed stretches of a block.
fn buffer(at: usize, flags: u16, map: u32, regions: Vec<Vec<u8>>) -> Item {
    let mut format = [0x123c_u16, regions.len() as u16 + 1, flags, (BLOCK / SECTOR) as u16].map(u16::to_le_bytes).concat();
    format.extend_from_slice(&((at / SECTOR) as u64).to_le_bytes());
    format.extend_from_slice(&[1_u32.to_le_bytes(), map.to_le_bytes()].concat());
    [vec![format], regions].concat()
}

fn changed(at: usize, old: &[u8], new: &[u8]) -> Item {
    let differs = |chunk: usize| old[chunk * CHUNK..][..CHUNK] != new[chunk * CHUNK..][..CHUNK];
    let (mut map, mut regions) = (0_u32, Vec::<Vec<u8>>::new());
    for chunk in (0..BLOCK / CHUNK).filter(|chunk| differs(*chunk)) {
        let goes_on = chunk > 0 && map >> (chunk - 1) & 1 == 1;
        map |= 1 << chunk;
        let content = &new[chunk * CHUNK..][..CHUNK];
        match regions.last_mut().filter(|_| goes_on) {
            Some(region) => region.extend_from_slice(content),
            None => regions.push(content.to_vec()),
        }
    }
    buffer(at, 0, map, regions)
}

/// An inode, in a buffer of the sectors of its block.
fn inode(at: usize, new: &[u8]) -> Item {
    let (start, inside) = (at / BLOCK * BLOCK, at % BLOCK);
    let (mut core, fork) = (new[..176].to_vec(), new[176..].to_vec());
    NUMBERS.iter().for_each(|(at, length)| core[*at..at + length].reverse());
    // The core and a fork of data, of extents, or neither.
    let fields = match new[5] {
        1 => 0x3_u32,
        2 => 0x5,
        _ => 0x1,
    };
    let forks = if fields == 1 { vec![] } else { vec![fork] };
    let mut format = [0x123b_u16, 2 + forks.len() as u16].map(u16::to_le_bytes).concat();
    format.extend_from_slice(&fields.to_le_bytes());
    format.resize(40, 0);
    format.extend_from_slice(&((start / SECTOR) as u64).to_le_bytes());
    format.extend_from_slice(
        &[BLOCK as u32, inside as u32].map(|bytes| if bytes == BLOCK as u32 { 8 } else { bytes }).map(u32::to_le_bytes).concat(),
    );
    [vec![format, core], forks].concat()
}

/// The log as it is written.
struct Ring {
    bytes: Vec<u8>,
    at: usize,
    round: u32,
    tail: u64,
    operations: Vec<Vec<u8>>,
}

impl Ring {
    /// A ring that is all of the first round, and goes on so many sectors before its end.
    fn before_the_end(length: usize, sectors: usize) -> Self {
        let mut bytes = vec![0; length];
        bytes.chunks_exact_mut(SECTOR).for_each(|sector| sector[3] = 1);
        let at = length / SECTOR - sectors;
        Self { bytes, at, round: 1, tail: 1 << 32 | at as u64, operations: Vec::new() }
    }

    fn operation(&mut self, id: u32, flags: u8, content: &[u8]) {
        let header = [&id.to_be_bytes()[..], &(content.len() as u32).to_be_bytes(), &[0x69, flags, 0, 0]].concat();
        self.operations.push([&header, content].concat());
        if self.operations.iter().map(Vec::len).sum::<usize>() > 20_000 {
            self.record();
        }
    }

    /// A transaction; long regions go on in a further operation.
    fn transaction(&mut self, id: u32, items: &[Item], is_committed: bool) {
        self.operation(id, 1, &[]);
        self.operation(id, 0, &[&b"NART"[..], &[0; 12]].concat());
        for region in items.iter().flatten() {
            let (first, rest) = region.split_at(region.len().min(3000));
            if rest.is_empty() {
                self.operation(id, 0, first);
            } else {
                self.operation(id, 4, first);
                self.operation(id, 8, rest);
            }
        }
        if is_committed {
            self.operation(id, 2, &[]);
        }
    }

    fn sector(&mut self) -> (&mut [u8], u32) {
        if self.at * SECTOR == self.bytes.len() {
            (self.at, self.round) = (0, self.round + 1);
        }
        self.at += 1;
        (&mut self.bytes[(self.at - 1) * SECTOR..self.at * SECTOR], self.round)
    }

    /// Writes what operations there are as a record.
    fn record(&mut self) {
        let count = self.operations.len() as u32;
        let mut content: Vec<u8> = self.operations.drain(..).flatten().collect();
        content.resize(content.len().next_multiple_of(SECTOR), 0);
        let mut header = vec![0; SECTOR];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        // The sectors of the content may be of another round than the header.
        let rounds = (1..=content.len() / SECTOR).map(|n| self.round + u32::from(self.at + n >= self.bytes.len() / SECTOR));
        let rounds: Vec<u32> = rounds.collect();
        put(0, &0xfeed_babe_u32.to_be_bytes());
        put(4, &(self.round + u32::from(self.at * SECTOR == self.bytes.len())).to_be_bytes());
        put(8, &2_u32.to_be_bytes());
        put(12, &(content.len() as u32).to_be_bytes());
        put(24, &self.tail.to_be_bytes());
        put(40, &count.to_be_bytes());
        put(320, &(32_u32 << 10).to_be_bytes());
        for (number, (sector, round)) in content.chunks_exact_mut(SECTOR).zip(rounds).enumerate() {
            put(44 + number * 4, &sector[..4]);
            sector[..4].copy_from_slice(&round.to_be_bytes());
        }
        let sum = checksum(&[&header[..328], &content].concat());
        header[32..36].copy_from_slice(&sum.to_le_bytes());
        for bytes in header.chunks_exact(SECTOR).chain(content.chunks_exact(SECTOR)) {
            self.sector().0.copy_from_slice(bytes);
        }
    }
}

/// CRC-32C, bit by bit.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0x82f6_3b78 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

/// The log's place and length in an image.
fn log_of(image: &[u8]) -> (usize, usize) {
    let number = |at: usize, length: usize| image[at..at + length].iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
    let (start, group_blocks, group_log) = (number(48, 8), number(84, 4), number(124, 1));
    (((start >> group_log) * group_blocks + (start & ((1 << group_log) - 1))) * BLOCK, number(96, 4) * BLOCK)
}

fn make(folder: &Path, name: &str) -> Option<Vec<u8>> {
    let image = folder.join("image");
    let uuid = ["-m", "uuid=11111111-2222-3333-4444-555555555555"];
    make_xfs(&uuid, &folder.join(name), &image, 300 << 20).unwrap().then(|| fs::read(&image).unwrap())
}

/// Images before and after a change, and how it is written to a log.
struct Change {
    before: Vec<u8>,
    after: Vec<u8>,
    /// Where a block lies that is the same in both.
    kept: usize,
    buffers: Vec<Item>,
    inodes: Vec<Item>,
}

/// A whole block of what does not belong there.
fn garbage(at: usize) -> Item {
    buffer(at, 0, u32::MAX, vec![noise(99, BLOCK)])
}

/// None where the tools are missing.
fn change(folder: &Path) -> Option<Change> {
    let at = |name: &str| folder.join(name);
    for (tree, files) in
        [("before", [("kept", 5000), ("changed", 20_000), ("removed", 300)]), ("after", [("kept", 5000), ("changed", 90_000), ("new", 7)])]
    {
        fs::create_dir_all(at(tree).join("folder")).unwrap();
        for (name, length) in files {
            fs::write(at(tree).join(name), noise(length as u64 + 1, length)).unwrap();
        }
        for number in 0..if tree == "after" { 300 } else { 2 } {
            fs::write(at(tree).join(format!("folder/file-{number}")), format!("{tree} {number}")).unwrap();
        }
    }
    let (Some(before), Some(after)) = (make(folder, "before"), make(folder, "after")) else {
        return None;
    };
    let (log, length) = log_of(&before);
    let kept = after.windows(BLOCK).step_by(BLOCK).position(|block| block == &noise(5001, 5000)[..BLOCK]).unwrap() * BLOCK;
    let (mut buffers, mut inodes) = (Vec::new(), Vec::new());
    for block in (0..before.len()).step_by(BLOCK).filter(|block| !(log..log + length).contains(block)) {
        let (old, mut new) = (&before[block..block + BLOCK], after[block..block + BLOCK].to_vec());
        if old == new {
            continue;
        }
        for place in (0..BLOCK).step_by(INODE) {
            if new[place..].starts_with(b"IN") && old[place..][..INODE] != new[place..][..INODE] {
                inodes.push(inode(block + place, &new[place..][..INODE]));
                // As a buffer it is logged wrongly: inodes come after buffers.
                new[place..place + INODE].copy_from_slice(&noise(block as u64, INODE));
            }
        }
        buffers.push(changed(block, old, &new));
    }
    assert!(buffers.len() > 20 && inodes.len() > 300);
    Some(Change { before, after, kept, buffers, inodes })
}

impl Change {
    /// Writes the change, between what does not count.
    fn write(&self, ring: &mut Ring) {
        let kept = self.kept;
        ring.transaction(1, &[garbage(kept)], true);
        ring.transaction(2, &[buffer(kept, 2, 0, vec![])], true);
        let spoiled =
            |item: &Item| item.iter().enumerate().map(|(n, part)| if n == 0 { part.clone() } else { noise(98, part.len()) }).collect();
        ring.transaction(3, &self.buffers.iter().map(spoiled).collect::<Vec<Item>>(), true);
        ring.transaction(4, &[self.buffers.clone(), self.inodes.clone()].concat(), true);
        ring.transaction(5, &[garbage(kept), garbage(0)], false);
        ring.record();
    }
}

/// An image whose log holds all that is in it. None where the tools are missing.
pub(crate) fn dirty(folder: &Path, image: &Path) -> Option<()> {
    let change = change(folder)?;
    let (log, length) = log_of(&change.before);
    let mut ring = Ring { bytes: vec![0; length], at: 0, round: 1, tail: 1 << 32, operations: Vec::new() };
    change.write(&mut ring);
    fs::write(image, &change.before).unwrap();
    File::options().write(true).open(image).unwrap().write_all_at(&ring.bytes, log as u64).unwrap();
    Some(())
}

#[test]
fn what_the_log_promises_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let Some(change) = change(folder.path()) else { return missing("mkfs.xfs") };
    let (log, length) = log_of(&change.before);
    let mut ring = Ring::before_the_end(length, 50);
    change.write(&mut ring);
    assert_eq!(ring.round, 2, "it goes over the ring's end");
    fs::write(&image, &change.after).unwrap();
    let expected = only(&image, &[]);
    assert_eq!(expected.problems, Vec::<String>::new());
    fs::write(&image, &change.before).unwrap();
    let disk = File::options().write(true).open(&image).unwrap();
    disk.write_all_at(&ring.bytes, log as u64).unwrap();
    let seen = only(&image, &[]);
    assert_eq!(seen.problems, Vec::<String>::new());
    assert_same(&seen.files, &expected.files, "replayed");

    // A record that is not whole: what follows it is lost, and that is said where it cannot have been on its way.
    let mut ring = Ring::before_the_end(length, 9000);
    ring.transaction(1, &vec![garbage(change.kept); 1200], false);
    ring.record();
    let middle = length - 8000 * SECTOR;
    ring.bytes[middle..middle + 40].fill(7);
    disk.write_all_at(&ring.bytes, log as u64).unwrap();
    let seen = only(&image, &[]);
    assert!(seen.problems.iter().any(|problem| problem.contains("not whole")), "{:?}", seen.problems);
}
