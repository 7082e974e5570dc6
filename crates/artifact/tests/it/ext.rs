//! ext2, ext3 and ext4 as `mkfs` packs them and `debugfs` unpacks them.

use crate::lab::{Files, LINKS, assert_same, files_of, only, tree, with_links};
use lestrade_testkit::disk::{make_ext, run, tool};
use lestrade_testkit::missing;
use std::fs;
use std::path::Path;

/// What debugfs sees of an image.
fn debugfs(image: &Path) -> Files {
    let out = tempfile::tempdir().unwrap();
    let dump = format!("rdump / {}", out.path().display());
    run(tool("debugfs").unwrap().args(["-R", &dump]).arg(image)).unwrap();
    let mut files = files_of(out.path());
    files.retain(|path, _| !path.starts_with("lost+found"));
    files
}

#[test]
fn what_is_packed_is_what_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (source, image) = (folder.path().join("tree"), folder.path().join("image"));
    fs::create_dir(&source).unwrap();
    tree(&source, false);
    let links = LINKS.map(|(link, _)| link);
    let packed = with_links(files_of(&source));
    for (kind, options) in [
        ("ext2", &[][..]),
        ("ext2", &["-b", "1024", "-I", "128"]),
        ("ext2", &["-r", "0", "-b", "4096"]),
        ("ext3", &[]),
        ("ext3", &["-b", "2048"]),
        ("ext4", &[]),
        ("ext4", &["-b", "1024", "-O", "metadata_csum,64bit"]),
        ("ext4", &["-O", "^extent,^64bit,^flex_bg"]),
        ("ext4", &["-O", "inline_data"]),
        ("ext4", &["-O", "inline_data", "-I", "1024"]),
        ("ext4", &["-O", "meta_bg,^resize_inode", "-b", "1024"]),
        ("ext4", &["-O", "bigalloc", "-C", "16384"]),
        ("ext4", &["-O", "sparse_super2", "-b", "1024"]),
        ("ext4", &["-O", "^dir_index,^filetype"]),
        ("ext4", &["-O", "casefold,large_dir,ea_inode"]),
        ("ext4", &["-b", "65536"]),
    ] {
        if !make_ext(kind, options, &source, &image, 96 << 20).unwrap() {
            return missing("mkfs.ext4");
        }
        let what = format!("{kind} {options:?}");
        let seen = only(&image, &links);
        assert_eq!(seen.problems, Vec::<String>::new(), "{what}");
        assert_same(&seen.files, &packed, &what);
        // Of a file in its inode debugfs dumps the whole inode's room.
        if !what.contains("inline_data") {
            assert_same(&seen.files, &with_links(debugfs(&image)), &what);
        }
    }
}

#[test]
fn links_that_lead_nowhere_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let (source, image) = (folder.path().join("tree"), folder.path().join("image"));
    fs::create_dir(&source).unwrap();
    tree(&source, false);
    if !make_ext("ext4", &[], &source, &image, 96 << 20).unwrap() {
        return missing("mkfs.ext4");
    }
    let seen = only(&image, &["links/dangling", "links/round", "links/nothing", "behind/nothing", "behind"]);
    let said: Vec<&str> = seen.problems.iter().map(|problem| problem.split(':').next().unwrap()).collect();
    assert_eq!(said, ["links/dangling", "links/round", "behind"], "{:?}", seen.problems);
}
