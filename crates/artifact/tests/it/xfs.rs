//! XFS as `mkfs.xfs` packs it and `xfs_db` lists it.

use crate::lab::{LINKS, assert_same, files_of, noise, only, tree, with_links};
use lestrade_testkit::disk::{make_xfs, run, tool};
use lestrade_testkit::missing;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What the smallest file system that the tools make has.
const SMALLEST: u64 = 300 << 20;

/// The names that xfs_db lists in a folder.
fn listed(image: &Path, folder: &str) -> BTreeSet<String> {
    let listing = run(tool("xfs_db").unwrap().args(["-r", "-c", &format!("path /{folder}"), "-c", "ls"]).arg(image)).unwrap();
    // The name, and what is thought of it, are the last two columns.
    let names = listing.lines().filter_map(|line| line.strip_suffix("(good)")?.split_whitespace().next_back());
    names.filter(|name| !matches!(*name, "." | "..")).map(str::to_owned).collect()
}

#[test]
fn what_is_packed_is_what_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (source, image) = (folder.path().join("tree"), folder.path().join("image"));
    fs::create_dir(&source).unwrap();
    tree(&source, true);
    let links = LINKS.map(|(link, _)| link);
    let packed = with_links(files_of(&source));
    for options in [
        &[][..],
        &["-m", "crc=0"],
        &["-m", "crc=0", "-n", "ftype=0", "-i", "size=256"],
        &["-b", "size=1024", "-n", "size=8192"],
        &["-m", "crc=0", "-b", "size=512", "-n", "size=4096"],
        &["-i", "size=2048"],
        &["-i", "nrext64=1"],
        &["-m", "bigtime=0,inobtcount=0,reflink=0,rmapbt=1", "-i", "sparse=0"],
    ] {
        if !make_xfs(options, &source, &image, SMALLEST).unwrap() {
            return missing("mkfs.xfs");
        }
        let what = format!("{options:?}");
        let seen = only(&image, &links);
        assert_eq!(seen.problems, Vec::<String>::new(), "{what}");
        assert_same(&seen.files, &packed, &what);
        let ours = |folder: &str| -> BTreeSet<String> {
            seen.files.keys().filter_map(|path| path.strip_prefix(&format!("{folder}/"))).map(str::to_owned).collect()
        };
        for folder in ["sizes", "many"] {
            assert_eq!(ours(folder), listed(&image, folder), "{what}");
        }
    }
}

/// An image that is changed by hand.
struct Patched(fs::File);

impl Patched {
    fn bytes(&self, at: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, at).unwrap();
        bytes
    }

    fn number(&self, at: u64, length: usize) -> u64 {
        self.bytes(at, length).iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn put(&self, at: u64, bytes: &[u8]) {
        self.0.write_all_at(bytes, at).unwrap();
    }

    /// Where a block lies, whose number holds that of its group.
    fn place(&self, block: u64) -> u64 {
        let (group_blocks, group_log) = (self.number(84, 4), self.number(124, 1));
        ((block >> group_log) * group_blocks + (block & ((1 << group_log) - 1))) * BLOCK
    }

    /// Where the inode of a path lies.
    fn inode(image: &Path, path: &str) -> u64 {
        let said = run(tool("xfs_db").unwrap().args(["-r", "-c", &format!("path /{path}"), "-c", "addr"]).arg(image)).unwrap();
        said.split("byte offset ").nth(1).unwrap().split(',').next().unwrap().parse().unwrap()
    }

    /// The first block of a file, by its only extent.
    fn first_block(&self, inode: u64) -> u64 {
        (self.number(inode + CORE, 8) & 0x1ff) << 43 | self.number(inode + CORE + 8, 8) >> 21
    }
}

const CORE: u64 = 176;
const BLOCK: u64 = 4096;

fn extent(at: u64, place: u64, is_written: bool) -> Vec<u8> {
    let high = u64::from(!is_written) << 63 | at << 9 | place >> 43;
    [high.to_be_bytes(), (place << 21 | 1).to_be_bytes()].concat()
}

/// What `mkfs.xfs` does not make: a tree of extents of three levels in which one is reserved and not written, and the target of a link
/// in a block of its own.
#[test]
fn what_only_a_running_system_makes_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (source, image) = (folder.path().join("tree"), folder.path().join("image"));
    fs::create_dir(&source).unwrap();
    let mut content = noise(1, 200 * BLOCK as usize);
    fs::write(source.join("scattered"), &content).unwrap();
    fs::write(source.join("spare"), noise(2, 3 * BLOCK as usize)).unwrap();
    let target = format!("{}scattered", "./".repeat(250));
    std::os::unix::fs::symlink(&target, source.join("link")).unwrap();
    if !make_xfs(&[], &source, &image, SMALLEST).unwrap() {
        return missing("mkfs.xfs");
    }
    let disk = Patched(fs::File::options().read(true).write(true).open(&image).unwrap());
    let (scattered, link) = (Patched::inode(&image, "scattered"), Patched::inode(&image, "link"));
    let (first, spare) = (disk.first_block(scattered), disk.first_block(Patched::inode(&image, "spare")));
    let header = |level: u16, count: u16| {
        let mut bytes = [&b"BMA3"[..], &level.to_be_bytes(), &count.to_be_bytes()].concat();
        bytes.resize(72, 0);
        bytes
    };
    for (leaf, from) in [(0, 0), (1, 100)] {
        let records = (from..from + 100).flat_map(|at| extent(at, first + at, at != 150));
        disk.put(disk.place(spare + leaf), &[header(0, 100), records.collect()].concat());
    }
    let pointers = |room: usize, keys: &[u64], children: &[u64]| {
        let mut bytes = vec![0; room * 16];
        for (number, (key, child)) in keys.iter().zip(children).enumerate() {
            bytes[number * 8..][..8].copy_from_slice(&key.to_be_bytes());
            bytes[(room + number) * 8..][..8].copy_from_slice(&child.to_be_bytes());
        }
        bytes
    };
    disk.put(disk.place(spare + 2), &[header(1, 2), pointers((BLOCK as usize - 72) / 16, &[0, 100], &[spare, spare + 1])].concat());
    let room = (512 - CORE as usize - 4) / 16;
    disk.put(scattered + CORE, &[vec![0, 2, 0, 1], pointers(room, &[0], &[spare + 2])].concat());
    disk.put(scattered + 5, &[3]);
    content[150 * BLOCK as usize..151 * BLOCK as usize].fill(0);
    let mut block = b"XSLM".to_vec();
    block.resize(56, 0);
    block.extend_from_slice(target.as_bytes());
    disk.put(disk.place(disk.first_block(link)), &block);
    let seen = only(&image, &["link"]);
    assert_eq!(seen.problems, Vec::<String>::new());
    assert!(seen.files["scattered"] == content && seen.files["link"] == content);
}
