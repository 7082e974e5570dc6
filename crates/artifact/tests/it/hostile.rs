//! Disks that were tampered with: whatever bytes are changed, reading ends, within bounds, and without a panic.

use crate::lab::{Seen, noise, tree};
use lestrade_artifact::{Disk, Holder, Limits, ReadAt, Skip};
use lestrade_testkit::disk::{blank, make_ext, make_xfs, run, tool};
use lestrade_testkit::missing;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// An image of which some bytes are others. It counts what is read.
struct Tampered {
    image: Rc<File>,
    changed: BTreeMap<u64, u8>,
    reads: Rc<Cell<u64>>,
}

impl ReadAt for Tampered {
    fn size(&self) -> u64 {
        self.image.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.reads.set(self.reads.get() + 1);
        self.image.read_exact_at(buffer, offset)?;
        for (at, value) in self.changed.range(offset..offset + buffer.len() as u64) {
            buffer[(at - offset) as usize] = *value;
        }
        Ok(())
    }
}

/// Small enough that a walk that goes to every limit is over soon.
fn limits() -> Limits {
    Limits { entries: 5000, expanded: 32 << 20, file: 1 << 20, large: 1 << 20, memory: 1 << 20, depth: 40, ..Limits::default() }
}

/// Reads a disk as far as it can be read; answers what was seen and how often the image was asked.
fn read(image: &Rc<File>, changed: BTreeMap<u64, u8>) -> (Result<Seen, String>, u64) {
    let reads = Rc::new(Cell::new(0));
    let seen = Disk::open(Tampered { image: Rc::clone(image), changed, reads: Rc::clone(&reads) }).map(|disk| {
        let mut seen = Seen::default();
        for volume in disk.volumes() {
            volume.walk(&["links/long", "links/round", "behind/a"], &Skip::default(), &limits(), &mut Holder::default(), &mut seen);
        }
        seen
    });
    (seen, reads.get())
}

/// Where an image has bytes that are not zero, but for those of contents.
fn places(image: &File) -> Vec<u64> {
    let content = noise(1, 1 << 16);
    let mut places = Vec::new();
    for start in (0..image.size()).step_by(1 << 20) {
        let mut stretch = vec![0; (image.size() - start).min(1 << 20) as usize];
        image.read_exact_at(&mut stretch, start).unwrap();
        if stretch.iter().all(|byte| *byte == 0) {
            continue;
        }
        for (number, block) in (0..).zip(stretch.chunks(512)).filter(|(_, block)| !content.chunks(512).any(|part| part == *block)) {
            let bytes = (start + number * 512..).zip(block);
            places.extend(bytes.filter(|(_, byte)| **byte != 0).map(|(place, _)| place));
        }
    }
    places
}

/// How many files are seen in a [`small`] tree.
const FILES: usize = 42;

/// A small tree, with what metadata is about: folders, links, a file of several blocks.
fn small(folder: &Path) -> PathBuf {
    let source = folder.join("tree");
    fs::create_dir_all(source.join("links")).unwrap();
    fs::create_dir_all(source.join("a/b/c")).unwrap();
    for number in 0..40 {
        fs::write(source.join(format!("a/file-with-a-name-{number}")), number.to_string()).unwrap();
    }
    fs::write(source.join("content"), noise(1, 1 << 16)).unwrap();
    symlink("../content", source.join("links/long")).unwrap();
    symlink("round", source.join("links/round")).unwrap();
    symlink("a", source.join("behind")).unwrap();
    source
}

/// Changes a few bytes of an image again and again. `None` where the image cannot be made.
fn tamper(image: Option<&Path>, files: usize, cases: u32) {
    let Some(image) = image else { return missing("a tool that makes disks") };
    let image = Rc::new(File::open(image).unwrap());
    let places = places(&image);
    let whole = read(&image, BTreeMap::new());
    assert_eq!(whole.0.unwrap().files.len(), files, "the image itself can be read");
    let change = (any::<prop::sample::Index>(), prop_oneof![Just(0), Just(1), Just(0x7f), Just(0x80), Just(0xff), any::<u8>()]);
    proptest!(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }, |(changes in prop::collection::vec(change, 1..8))| {
        let changed = changes.iter().map(|(place, value)| (*place.get(&places), *value)).collect();
        let (_, reads) = read(&image, changed);
        prop_assert!(reads < 100_000, "{reads} reads");
    });
}

#[test]
fn ext_that_was_tampered_with() {
    let folder = tempfile::tempdir().unwrap();
    let (source, image) = (small(folder.path()), folder.path().join("image"));
    for (kind, options) in
        [("ext4", &["-b", "1024"][..]), ("ext2", &["-b", "1024"]), ("ext4", &["-O", "inline_data,meta_bg,^resize_inode"])]
    {
        let made = make_ext(kind, options, &source, &image, 4 << 20).unwrap();
        tamper(made.then_some(&image), FILES, 500);
    }
}

#[test]
fn a_journal_that_was_tampered_with() {
    let folder = tempfile::tempdir().unwrap();
    let (source, image) = (small(folder.path()), folder.path().join("image"));
    if make_ext("ext4", &["-b", "1024"], &source, &image, 8 << 20).unwrap() {
        fs::write(folder.path().join("blocks"), noise(1, 8 << 10)).unwrap();
        let write = format!("jw -b 7001,7002,7003,7004 {}", folder.path().join("blocks").display());
        for command in ["jo -c", &write, "jw -r 7001,7002", &write, "jc"].map(str::to_owned).chunks(5) {
            crate::ext::script(&image, command);
        }
        tamper(Some(&image), FILES, 500);
    }
}

#[test]
fn xfs_that_was_tampered_with() {
    let folder = tempfile::tempdir().unwrap();
    let (source, image) = (small(folder.path()), folder.path().join("image"));
    for options in [&[][..], &["-m", "crc=0", "-b", "size=1024"]] {
        let made = make_xfs(options, &source, &image, 300 << 20).unwrap();
        tamper(made.then_some(&image), FILES, 500);
    }
}

#[test]
fn a_log_that_was_tampered_with() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    tamper(crate::xfs_log::dirty(folder.path(), &image).map(|()| image.as_path()), 303, 200);
}

#[test]
fn images_that_were_tampered_with() {
    let folder = tempfile::tempdir().unwrap();
    let (source, raw, image) = (small(folder.path()), folder.path().join("raw"), folder.path().join("image"));
    let made = make_ext("ext4", &["-b", "1024"], &source, &raw, 4 << 20).unwrap();
    for options in [&["qcow2"][..], &["qcow2", "-c"], &["vmdk"], &["vmdk", "-o", "subformat=streamOptimized"]] {
        let (true, Some(mut convert)) = (made, tool("qemu-img")) else { return missing("qemu-img") };
        run(convert.args(["convert", "-f", "raw", "-O"]).args(options).arg(&raw).arg(&image)).unwrap();
        tamper(Some(&image), FILES, 300);
    }
}

#[test]
fn partitions_and_groups_that_were_tampered_with() {
    let folder = tempfile::tempdir().unwrap();
    let (source, raw, image) = (small(folder.path()), folder.path().join("raw"), folder.path().join("image"));
    if !make_ext("ext4", &["-b", "1024"], &source, &raw, 4 << 20).unwrap() {
        return missing("mkfs.ext4");
    }
    let content = fs::read(&raw).unwrap();
    fs::write(&image, crate::lvm::simple(&content)).unwrap();
    tamper(Some(&image), FILES, 500);
}

/// What a person would think of: each ends, and says something.
#[test]
fn disks_that_are_made_to_lead_astray() {
    let folder = tempfile::tempdir().unwrap();
    let (source, image) = (folder.path().join("tree"), folder.path().join("image"));
    fs::create_dir(&source).unwrap();
    tree(&source, true);
    if !make_ext("ext4", &["-b", "1024"], &source, &image, 96 << 20).unwrap() {
        return missing("mkfs.ext4");
    }
    let said = |commands: &[&str]| -> Vec<String> {
        let other = folder.path().join("other");
        blank(&other, 0).unwrap();
        fs::copy(&image, &other).unwrap();
        crate::ext::script(&other, &commands.iter().map(ToString::to_string).collect::<Vec<_>>());
        let (seen, reads) = read(&Rc::new(File::open(&other).unwrap()), BTreeMap::new());
        assert!(reads < 300_000, "{reads} reads");
        seen.unwrap().problems
    };
    let about = |problems: Vec<String>, what: &str| assert!(problems.iter().any(|problem| problem.contains(what)), "{what}: {problems:?}");
    about(said(&["ln / d0/again"]), "two places");
    about(said(&["ln d0 d0/d1/again"]), "two places");
    about(said(&["sif empty size 0x10000000000"]), "MiB of names");
    about(said(&["sif many block[0] 0x0001f30b"]), "tree of extents");
    about(said(&["sif sizes/1024 block[5] 0x7fffffff"]), "sizes/1024");
    about(said(&["sif sizes/300000 size 0x10000000000"]), "sizes/300000: LimitExceeded");
    about(said(&["sif links/long size 0x10000000000"]), "too long");
    about(said(&["ssv inodes_count 0xffffffff", "ssv inodes_per_group 1"]), "");
    about(said(&["ssv blocks_count 1"]), "does not have");
}
