//! Disks through real workers: a peer's images (`disk`), and how much is read of a large one.

use crate::lab::{OS, dpkg, names, scanner};
use lestrade_artifact::SkipPatterns;
use lestrade_extract::ScannedDisk;
use lestrade_model::ProblemKind;
use lestrade_testkit::disk::{make_ext, make_xfs};
use lestrade_testkit::missing;
use std::io::copy;
use std::path::Path;

fn scan(path: &Path) -> ScannedDisk {
    scanner().scan_disk(path, &SkipPatterns::default()).unwrap()
}

/// A small system with one package.
pub(crate) fn tree() -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    for (path, content) in [OS, ("var/lib/dpkg/status", dpkg(&[("bash", "5.2-1")]).as_str())] {
        std::fs::create_dir_all(tree.path().join(path).parent().unwrap()).unwrap();
        std::fs::write(tree.path().join(path), content).unwrap();
    }
    tree
}

/// Every image of the suite is read without an error; what is encrypted in it is said, and nothing else is missed.
#[test]
#[allow(clippy::print_stdout, reason = "a suite tells how it went")]
fn images_of_a_peer() {
    let root = std::env::var("LESTRADE_EVALS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/shared/evals").into());
    let Ok(cases) = std::fs::read_dir(Path::new(&root).join("disk")) else {
        println!("LOUD: the suite of disks is not laid out; nothing was read");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (mut passed, mut failed) = (0, Vec::new());
    for case in cases.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ending| ending == "zst")) {
        let image = folder.path().join("image");
        let mut packed = zstd::Decoder::new(std::fs::File::open(&case).unwrap()).unwrap();
        copy(&mut packed, &mut std::fs::File::create(&image).unwrap()).unwrap();
        match scanner().scan_disk(&image, &SkipPatterns::default()) {
            Ok(disk) if disk.inventory.problems.iter().all(|problem| problem.detail.contains("encrypted")) => passed += 1,
            Ok(disk) => failed.push(format!("{}: {:?}", case.display(), disk.inventory.problems)),
            Err(error) => failed.push(format!("{}: {error}", case.display())),
        }
    }
    println!("disk: {passed} passed, {} failed", failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_small_system_on_a_large_disk_costs_little() {
    let folder = tempfile::tempdir().unwrap();
    let (tree, image) = (tree(), folder.path().join("disk.img"));
    let size = 20 << 30;
    for kind in ["ext4", "ext3", "xfs"] {
        let made = match kind {
            "xfs" => make_xfs(&[], tree.path(), &image, size),
            ext => make_ext(ext, &[], tree.path(), &image, size),
        };
        if !made.unwrap() {
            return missing("mkfs");
        }
        let disk = scan(&image);
        assert_eq!(names(&disk.inventory), ["bash 5.2-1"], "{kind}");
        assert_eq!((disk.size, disk.inventory.problems.as_slice()), (size, &[][..]), "{kind}");
        // Under two in a hundred is what is promised of a disk in use; of one that holds next to nothing it is far less.
        assert!(disk.bytes_read < 4 << 20, "{kind}: {} bytes were read", disk.bytes_read);
    }
}

#[test]
fn what_is_no_disk_is_an_error_and_what_is_cut_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("disk.img");
    std::fs::write(&image, vec![0; 1 << 20]).unwrap();
    assert!(scanner().scan_disk(&image, &SkipPatterns::default()).unwrap_err().to_string().contains("blank"));
    if !make_ext("ext4", &[], tree().path(), &image, 8 << 20).unwrap() {
        return missing("mkfs.ext4");
    }
    let whole = std::fs::read(&image).unwrap();
    for kept in [1, 4, 16, 64, 256, 1024, 4096_usize] {
        std::fs::write(&image, &whole[..kept << 10]).unwrap();
        let said = match scanner().scan_disk(&image, &SkipPatterns::default()) {
            Ok(disk) => {
                disk.inventory.problems.iter().any(|problem| problem.kind != ProblemKind::Crashed)
                    || names(&disk.inventory) == ["bash 5.2-1"]
            }
            Err(error) => error.to_string().contains("no disk"),
        };
        assert!(said, "cut at {kept} KiB");
    }
}
