//! A tree of files that has one of everything, and what a reader sees of one.

use lestrade_artifact::{Disk, FileSink, Holder, Limits, ReadAt, Size, Skip};
use lestrade_model::Problem;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// The contents of regular files by their paths.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// What a reader sees: files, and problems in a line each.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) files: Files,
    pub(crate) problems: Vec<String>,
}

impl FileSink for Seen {
    fn wants(&mut self, _path: &str) -> Option<Size> {
        Some(Size::Large)
    }
    fn wants_program(&mut self, _head: &[u8]) -> bool {
        true
    }
    fn leads(&mut self, _path: &str) -> bool {
        false
    }
    fn file(&mut self, path: &str, content: &[u8]) {
        self.files.insert(path.to_owned(), content.to_vec());
    }
    fn link(&mut self, _path: &str, _target: &str) {}
    fn way(&mut self, _path: &str, _link: Option<&str>) {}
    fn hides(&mut self, _path: &str) {}
    fn whiteout(&mut self, _path: &str) {}
    fn opaque(&mut self, _folder: &str) {}
    fn problem(&mut self, problem: Problem) {
        self.problems.push(format!("{}: {:?}: {}", problem.path, problem.kind, problem.detail));
    }
}

/// Limits under which contents are held in memory alone.
pub(crate) fn limits() -> Limits {
    Limits { memory: 64 << 20, large: 64 << 20, ..Limits::default() }
}

/// What is seen of each volume, by its name.
pub(crate) fn volumes(image: impl ReadAt + 'static, links: &[&str]) -> Result<BTreeMap<String, Seen>, String> {
    let disk = Disk::open(image)?;
    let see = |volume: &lestrade_artifact::Volume| {
        let mut seen = Seen::default();
        volume.walk(links, &Skip::default(), &limits(), &mut Holder::default(), &mut seen);
        seen.problems.extend(volume.no_files().map(|what| format!("no files: {what}")));
        (volume.name().to_owned(), seen)
    };
    Ok(disk.volumes().iter().map(see).collect())
}

/// What is seen of the only volume of an image.
pub(crate) fn only(image: &Path, links: &[&str]) -> Seen {
    let seen = volumes(fs::File::open(image).unwrap(), links).unwrap();
    assert_eq!(seen.len(), 1);
    seen.into_values().next().unwrap()
}

/// The regular files below a folder.
pub(crate) fn files_of(folder: &Path) -> Files {
    let mut files = Files::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let path = entry.path().strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                files.insert(path, fs::read(entry.path()).unwrap());
            }
        }
    }
    files
}

/// Compares without printing megabytes.
pub(crate) fn assert_same(ours: &Files, theirs: &Files, what: &str) {
    let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(ours), names(theirs), "{what}");
    for (path, content) in theirs {
        assert!(ours[path] == *content, "{what}: the content of {path} ({} and {} bytes)", ours[path].len(), content.len());
    }
}

/// Bytes that look like nothing else and are always the same.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

/// Links in [`tree`] that lead to files, with what they lead to.
pub(crate) const LINKS: [(&str, &str); 4] =
    [("links/short", "sizes/60"), ("links/absolute", "sizes/1024"), ("links/long", "sizes/4097"), ("behind/60", "sizes/60")];

/// Writes a tree that has one of everything. `plain` leaves out names that not all tools take.
pub(crate) fn tree(folder: &Path, plain: bool) {
    let at = |path: &str| folder.join(path);
    for path in ["sizes", "links", "many", "empty"] {
        fs::create_dir_all(at(path)).unwrap();
    }
    for size in [0, 1, 59, 60, 61, 100, 150, 1023, 1024, 1025, 4095, 4096, 4097, 65_536, 300_000, 3_000_001] {
        fs::write(at(&format!("sizes/{size}")), noise(size, size as usize)).unwrap();
    }
    let holes = fs::File::create(at("sizes/holes")).unwrap();
    for (place, seed) in [(0, 1), (40_000, 2), (1 << 20, 3), (5 << 20, 4)] {
        holes.write_all_at(&noise(seed, 5000), place).unwrap();
    }
    for number in 0..700 {
        fs::write(at(&format!("many/a-file-with-a-longer-name-{number:05}")), number.to_string()).unwrap();
    }
    fs::write(at("program"), noise(7, 9000)).unwrap();
    fs::set_permissions(at("program"), fs::Permissions::from_mode(0o755)).unwrap();
    let deep: String = (0..40).map(|n| format!("d{n}/")).collect();
    fs::create_dir_all(at(&deep)).unwrap();
    fs::write(at(&format!("{deep}bottom")), "bottom").unwrap();
    fs::write(at(&"n".repeat(255)), "long").unwrap();
    if !plain {
        for name in ["a b", "caf\u{e9}", "back\\slash", "new\nline"] {
            fs::write(at(name), name).unwrap();
        }
    }
    symlink("../sizes/60", at("links/short")).unwrap();
    symlink("/sizes/1024", at("links/absolute")).unwrap();
    // Too long for any inode, but for XFS's, whose tools write such links wrongly.
    let there_and_back = "../links/".repeat(if plain { 20 } else { 60 });
    symlink(format!("{there_and_back}../sizes/4097"), at("links/long")).unwrap();
    symlink("sizes", at("behind")).unwrap();
    symlink("nowhere", at("links/dangling")).unwrap();
    symlink("round", at("links/round")).unwrap();
    assert!(fs::metadata(at("links/long")).unwrap().size() == 4097);
}

/// Adds to a tree's files what its links lead to.
pub(crate) fn with_links(mut files: Files) -> Files {
    for (link, target) in LINKS {
        let content = files[target].clone();
        files.insert(link.to_owned(), content);
    }
    files
}
