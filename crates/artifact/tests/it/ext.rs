//! ext2, ext3 and ext4 as `mkfs` packs them and `debugfs` unpacks them.

use crate::lab::{Files, LINKS, assert_same, files_of, noise, only, tree, with_links};
use lestrade_testkit::disk::{make_ext, run, tool};
use lestrade_testkit::missing;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

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

/// Runs a script of debugfs's commands on an image that may be changed.
pub(crate) fn script(image: &Path, commands: &[String]) {
    let mut debugfs = tool("debugfs").unwrap();
    let mut child = debugfs.arg("-w").arg(image).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(commands.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // It prints its version there, and goes on after whatever fails.
    assert!(output.status.success() && said.trim().lines().count() <= 1, "{said}");
}

/// A file system before and after a change is made; the change is then promised in the journal of the first one, between
/// transactions that do not count. What is seen is the second one, and what the first one is once its own tools have replayed it.
#[test]
fn what_the_journal_promises_is_seen() {
    const BLOCK: usize = 1024;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("tree")).unwrap();
    for name in ["kept", "changed", "removed"] {
        fs::write(at("tree").join(name), noise(name.len() as u64, 5000)).unwrap();
    }
    // A block that begins like the journal's own.
    let magic = [&[0xc0, 0x3b, 0x39, 0x98][..], &noise(3, 4000)].concat();
    fs::write(at("magic"), &magic).unwrap();
    fs::write(at("other"), noise(9, 70_000)).unwrap();
    for (options, journal) in [
        (&["-O", "^64bit,^metadata_csum"][..], "jo"),
        (&["-O", "64bit,^metadata_csum"], "jo"),
        (&["-O", "64bit,metadata_csum"], "jo -c"),
        (&["-O", "64bit,metadata_csum"], "jo -c -v 2"),
        (&["-O", "^64bit,metadata_csum"], "jo -c -v 3"),
    ] {
        let what = format!("{options:?} {journal}");
        let (before, after) = (at("before"), at("after"));
        let options = [options, &["-b", "1024"]].concat();
        if !make_ext("ext4", &options, &at("tree"), &before, 16 << 20).unwrap() {
            return missing("mkfs.ext4");
        }
        fs::copy(&before, &after).unwrap();
        let write = |from: &str, to: &str| format!("write {} {to}", at(from).display());
        script(&after, &["rm removed".into(), "rm changed".into(), write("other", "changed"), write("magic", "magic"), "mkdir new".into()]);
        let (old, new) = (fs::read(&before).unwrap(), fs::read(&after).unwrap());
        // The superblock says whether there is something to replay: it is not replayed itself.
        let changed: Vec<usize> = (2..old.len() / BLOCK).filter(|n| old[n * BLOCK..][..BLOCK] != new[n * BLOCK..][..BLOCK]).collect();
        let kept = old.windows(BLOCK).step_by(BLOCK).position(|block| block == &noise(4, 5000)[..BLOCK]).unwrap();
        let list = |blocks: &[usize]| blocks.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        fs::write(at("promised"), changed.iter().flat_map(|n| new[n * BLOCK..][..BLOCK].to_vec()).collect::<Vec<u8>>()).unwrap();
        fs::write(at("garbage"), noise(77, (changed.len() + 1) * BLOCK)).unwrap();
        let (garbage, promised) = (at("garbage").display().to_string(), at("promised").display().to_string());
        script(
            &before,
            &[
                journal.into(),
                format!("jw -b {},{kept} {garbage}", list(&changed)),
                // A transaction that revokes and writes gets no commit from debugfs.
                format!("jw -r {kept}"),
                format!("jw -b {} {promised}", list(&changed)),
                format!("jw -c -b {} {garbage}", list(&changed)),
                "jc".into(),
            ],
        );
        let seen = only(&before, &[]);
        assert_eq!(seen.problems, Vec::<String>::new(), "{what}");
        assert!(seen.files["magic"] == magic && !seen.files.contains_key("removed"), "{what}");
        assert_same(&seen.files, &only(&after, &[]).files, &what);
        script(&before, &["jr".into()]);
        assert_same(&seen.files, &only(&before, &[]).files, &what);
        assert_same(&seen.files, &debugfs(&before), &what);
    }
}
