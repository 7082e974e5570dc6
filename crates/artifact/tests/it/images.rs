//! Formats of images as `qemu-img` writes them, and partition tables as `sfdisk` and `sgdisk` do.

use crate::lab::{assert_same, files_of, noise, only, tree, volumes};
use lestrade_testkit::disk::{blank, make_ext, run, tool};
use lestrade_testkit::missing;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Stdio;

/// A small tree and an ext4 image of it.
fn small(folder: &Path) -> bool {
    let source = folder.join("tree");
    fs::create_dir_all(source.join("etc")).unwrap();
    fs::write(source.join("etc/name"), "disk").unwrap();
    fs::write(source.join("noise"), noise(1, 900_000)).unwrap();
    fs::write(source.join("zeros"), vec![0; 900_000]).unwrap();
    make_ext("ext4", &["-b", "1024"], &source, &folder.join("raw"), 8 << 20).unwrap()
}

#[test]
fn every_format_holds_the_same_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (source, raw) = (folder.path().join("tree"), folder.path().join("raw"));
    fs::create_dir(&source).unwrap();
    tree(&source, false);
    if !make_ext("ext4", &[], &source, &raw, 96 << 20).unwrap() {
        return missing("mkfs.ext4");
    }
    for (format, options) in [
        ("qcow2", &[][..]),
        ("qcow2", &["-o", "compat=0.10,cluster_size=512"]),
        ("qcow2", &["-o", "cluster_size=2M"]),
        ("qcow2", &["-c"]),
        ("qcow2", &["-c", "-o", "compression_type=zstd"]),
        ("qcow2", &["-c", "-o", "compression_type=zstd,cluster_size=4k"]),
        ("vmdk", &[]),
        ("vmdk", &["-o", "subformat=streamOptimized"]),
    ] {
        let Some(mut convert) = tool("qemu-img") else { return missing("qemu-img") };
        let image = folder.path().join("image");
        run(convert.args(["convert", "-f", "raw", "-O", format]).args(options).arg(&raw).arg(&image)).unwrap();
        let seen = only(&image, &[]);
        let what = format!("{format} {options:?}");
        assert_eq!(seen.problems, Vec::<String>::new(), "{what}");
        assert_same(&seen.files, &files_of(&source), &what);
    }
}

#[test]
fn formats_that_are_not_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    assert!(small(folder.path()), "{:?}", missing("mkfs.ext4"));
    let (raw, image) = (folder.path().join("raw"), folder.path().join("image"));
    for (format, options, said) in [
        ("vhdx", &[][..], "VHDX"),
        ("vpc", &[], "VHD"),
        ("vdi", &[], "VDI"),
        ("qcow2", &["-o", "extended_l2=on"], "subclusters"),
        ("vmdk", &["-o", "subformat=monolithicFlat"], "flat"),
        ("vmdk", &["-o", "subformat=twoGbMaxExtentSparse"], "files that it names"),
    ] {
        let Some(mut convert) = tool("qemu-img") else { return missing("qemu-img") };
        run(convert.args(["convert", "-f", "raw", "-O", format]).args(options).arg(&raw).arg(&image)).unwrap();
        let error = volumes(File::open(&image).unwrap(), &[]).unwrap_err();
        assert!(error.contains(said), "{format}: {error}");
    }
    // The flat part of such an image is a disk.
    let seen = only(&raw, &[]);
    assert_eq!(seen.files["etc/name"], b"disk");
    let over = folder.path().join("over");
    run(tool("qemu-img").unwrap().args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).arg(&raw).arg(&over)).unwrap();
    assert!(volumes(File::open(&over).unwrap(), &[]).unwrap_err().contains("backing file"));
}

/// Writes partitions with `sfdisk` and puts the small file system into those at these offsets, in sectors.
fn partitioned(folder: &Path, script: &str, places: &[u64]) -> bool {
    let (raw, disk) = (folder.join("raw"), folder.join("disk"));
    let Some(mut sfdisk) = tool("sfdisk") else { return false };
    blank(&disk, 64 << 20).unwrap();
    let mut child = sfdisk.arg("-q").arg(&disk).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let file = File::options().write(true).open(&disk).unwrap();
    let content = fs::read(raw).unwrap();
    places.iter().for_each(|place| file.write_all_at(&content, place * 512).unwrap());
    true
}

#[test]
fn partitions_of_either_table_are_volumes() {
    let folder = tempfile::tempdir().unwrap();
    assert!(small(folder.path()), "{:?}", missing("mkfs.ext4"));
    let told = |folder: &Path| -> Vec<String> {
        let seen = volumes(File::open(folder.join("disk")).unwrap(), &[]).unwrap();
        let tell = |(name, seen): (String, crate::lab::Seen)| match (seen.files.get("etc/name"), seen.problems.as_slice()) {
            (Some(_), []) => name,
            (_, problems) => format!("{name} {problems:?}"),
        };
        seen.into_iter().map(tell).collect()
    };
    let dos = "label: dos\nstart=2048, size=16384, type=83\nstart=20480, size=4096, type=82\nstart=26624, type=5\n\
               start=28672, size=16384, type=83\nstart=49152, size=20000, type=83\n";
    if !partitioned(folder.path(), dos, &[2048, 28672, 49152]) {
        return missing("sfdisk");
    }
    assert_eq!(told(folder.path()), ["p1", "p2 [\"no files: blank\"]", "p5", "p6"]);
    let gpt = "label: gpt\nstart=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649\n\
               start=4096, size=4096, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\nstart=8192, size=16384, name=\"any name\"\n";
    partitioned(folder.path(), gpt, &[8192]);
    let whole = ["p1 [\"no files: a BIOS boot partition\"]", "p2 [\"no files: an EFI system partition\"]", "p3"];
    assert_eq!(told(folder.path()), whole);
    // The first table is damaged: the one at the end says the same.
    let disk = File::options().write(true).open(folder.path().join("disk")).unwrap();
    disk.write_all_at(&[0; 2048], 512).unwrap();
    assert_eq!(told(folder.path()), whole);
    disk.write_all_at(&[0; 512], (64 << 20) - 512).unwrap();
    let error = volumes(File::open(folder.path().join("disk")).unwrap(), &[]).unwrap_err();
    assert!(error.contains("damaged"), "{error}");
}
