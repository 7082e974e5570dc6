//! Digests that were computed before, and lists of archives' members, of files that are as they were: what git's index does, so that an
//! image archive that did not change is neither hashed nor listed again. ADR 41 says why that may be relied on, and where it may not.

use lestrade_artifact::TarEntry;
use lestrade_model::Hash;
use lestrade_sys::{FileState, is_private_folder};
use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::SystemTime;

/// The revisions of what is kept.
const DIGEST: &str = "digest@1";
const MEMBERS: &str = "members@1";
/// The longest digest that is kept, and the longest list: that of an image of as many layers as runtimes take has 20 KiB.
const LONGEST: usize = 200;
const LONGEST_LIST: usize = 64 << 10;
/// How many of both are kept at most; when there are more, all are let go.
const MOST: usize = 100_000;

/// Keeps digests, and lists of archives' members, by the state of the files that they are of, in a folder that nobody else may write to.
#[derive(Debug)]
pub struct KnownDigests {
    folder: PathBuf,
}

/// A file that will be hashed or listed, as it was before that began.
pub(crate) struct Pending {
    state: FileState,
    key: String,
}

impl KnownDigests {
    /// The digests in a folder, which need not exist yet.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The digest of a part of a file, if the file is the one and as it was when that was computed.
    pub(crate) fn get(&self, file: &File, slice: Option<(u64, u64)>) -> Option<String> {
        let digest = self.read(&digest_key(&FileState::of(file).ok()?, slice))?;
        String::from_utf8(digest).ok()
    }

    /// The members of an archive, if it is the one and as it was when they were listed; `how` they were is a part of the question.
    pub(crate) fn members(&self, file: &File, how: &str) -> Option<Vec<TarEntry>> {
        let members = self.read(&members_key(&FileState::of(file).ok()?, how))?;
        postcard::from_bytes(&members).ok()
    }

    /// What a digest can be kept by that is about to be computed; none where a later change of the file might not be told.
    pub(crate) fn begin(&self, file: &File, slice: Option<(u64, u64)>) -> Option<Pending> {
        let state = FileState::settled(file, SystemTime::now())?;
        Some(Pending { state, key: digest_key(&state, slice) })
    }

    /// The same of members that are about to be listed.
    pub(crate) fn begin_members(&self, file: &File, how: &str) -> Option<Pending> {
        let state = FileState::settled(file, SystemTime::now())?;
        Some(Pending { state, key: members_key(&state, how) })
    }

    /// Keeps a digest that was computed since, if the file is still as it was. Failing to is no error: it will be computed again.
    pub(crate) fn keep(&self, pending: &Pending, file: &File, digest: &str) {
        self.write(pending, file, digest.as_bytes(), LONGEST);
    }

    /// The same of the members of an archive.
    pub(crate) fn keep_members(&self, pending: &Pending, file: &File, members: &[TarEntry]) {
        if let Ok(members) = postcard::to_stdvec(members) {
            self.write(pending, file, &members, LONGEST_LIST);
        }
    }

    fn read(&self, key: &str) -> Option<Vec<u8>> {
        if !is_private_folder(&self.folder) {
            return None;
        }
        let mut bytes = fs::read(self.file(key)).ok()?;
        let (checksum, kept) = bytes.split_at_checked(32)?;
        // The key is part of what is checked: an entry that was moved under another name is not believed.
        if Hash::of_fields([key.as_bytes(), kept]).as_bytes() != checksum {
            return None;
        }
        bytes.drain(..32);
        Some(bytes)
    }

    fn write(&self, pending: &Pending, file: &File, kept: &[u8], longest: usize) {
        if FileState::of(file).ok() != Some(pending.state) || kept.len() > longest {
            return;
        }
        let _ = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        if !is_private_folder(&self.folder) {
            return;
        }
        if fs::read_dir(&self.folder).is_ok_and(|entries| entries.count() >= MOST) {
            let _ = fs::remove_dir_all(&self.folder).and_then(|()| DirBuilder::new().mode(0o700).create(&self.folder));
        }
        let checksum = Hash::of_fields([pending.key.as_bytes(), kept]);
        let written = tempfile::NamedTempFile::new_in(&self.folder).and_then(|mut file| {
            file.write_all(checksum.as_bytes())?;
            file.write_all(kept)?;
            Ok(file)
        });
        let _ = written.map(|file| file.persist(self.file(&pending.key)));
    }

    fn file(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{}.digest", Hash::of(key.as_bytes())))
    }
}

/// All that must be as it was.
fn digest_key(state: &FileState, slice: Option<(u64, u64)>) -> String {
    format!("{DIGEST};{state:?};{slice:?}")
}

fn members_key(state: &FileState, how: &str) -> String {
    format!("{MEMBERS};{state:?};{how}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scanner;
    use crate::scanner::how_listed;
    use lestrade_artifact::{Limits, TarIndexer};
    use lestrade_sys::WorkerCommand;
    use std::os::unix::fs::PermissionsExt;

    /// Keeps a digest of a file as if it had settled.
    fn keep(known: &KnownDigests, file: &File, slice: Option<(u64, u64)>, digest: &str) {
        let state = FileState::of(file).unwrap();
        known.keep(&Pending { state, key: digest_key(&state, slice) }, file, digest);
    }

    #[test]
    fn a_digest_is_known_while_its_file_is_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownDigests::new(folder.path().join("a/digests"));
        let path = folder.path().join("image.tar");
        fs::write(&path, "one").unwrap();
        let open = || File::open(&path).unwrap();
        assert!(known.begin(&open(), None).is_none(), "it was touched a moment ago");
        keep(&known, &open(), None, "sha256:1");
        keep(&known, &open(), Some((1, 2)), "sha256:2");
        assert_eq!(known.get(&open(), None).as_deref(), Some("sha256:1"));
        assert_eq!(known.get(&open(), Some((1, 2))).as_deref(), Some("sha256:2"));
        assert_eq!(known.get(&open(), Some((0, 2))), None);
        // Another content of the same length whose time is set back to what it was.
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "two").unwrap();
        File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), modified);
        assert_eq!(known.get(&open(), None), None, "the time of change tells");
        // Another file in its place.
        keep(&known, &open(), None, "sha256:3");
        let other = folder.path().join("other.tar");
        fs::write(&other, "six").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(known.get(&open(), None), None);
    }

    #[test]
    fn what_changes_meanwhile_is_not_kept_and_what_others_wrote_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownDigests::new(folder.path().join("digests"));
        let path = folder.path().join("image.tar");
        fs::write(&path, "one").unwrap();
        let open = || File::open(&path).unwrap();
        let state = FileState::of(&open()).unwrap();
        fs::write(&path, "two and more").unwrap();
        known.keep(&Pending { state, key: digest_key(&state, None) }, &open(), "sha256:1");
        assert_eq!(known.get(&open(), None), None);
        keep(&known, &open(), None, "sha256:2");
        let entry = fs::read_dir(folder.path().join("digests")).unwrap().next().unwrap().unwrap().path();
        let bytes = fs::read(&entry).unwrap();
        for broken in [&bytes[..39], &bytes[..10], b"", &[&bytes[..], b"x"].concat()] {
            fs::write(&entry, broken).unwrap();
            assert_eq!(known.get(&open(), None), None, "a damaged entry");
        }
        fs::write(&entry, &bytes).unwrap();
        assert!(known.get(&open(), None).is_some());
        fs::set_permissions(folder.path().join("digests"), fs::Permissions::from_mode(0o770)).unwrap();
        assert_eq!(known.get(&open(), None), None, "others may write there");
    }

    #[test]
    fn members_are_known_while_their_archive_is_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownDigests::new(folder.path().join("digests"));
        let path = folder.path().join("image.tar");
        fs::write(&path, "one").unwrap();
        let open = || File::open(&path).unwrap();
        let member = |name: &str| TarEntry { name: name.to_owned(), offset: 512, length: 3, link: None };
        let keep = |members: &[TarEntry]| {
            let state = FileState::of(&open()).unwrap();
            known.keep_members(&Pending { state, key: members_key(&state, "tar@1") }, &open(), members);
        };
        assert!(known.begin_members(&open(), "tar@1").is_none(), "it was touched a moment ago");
        keep(&[member("a"), member("b")]);
        assert_eq!(known.members(&open(), "tar@1"), Some(vec![member("a"), member("b")]));
        assert_eq!(known.members(&open(), "tar@2"), None, "a list of another reader");
        assert_eq!(known.get(&open(), None), None, "a list is no digest");
        // A list that was damaged, or holds what is none though it bears its sum.
        let entry = fs::read_dir(folder.path().join("digests")).unwrap().next().unwrap().unwrap().path();
        let bytes = fs::read(&entry).unwrap();
        let state = FileState::of(&open()).unwrap();
        let sum = Hash::of_fields([members_key(&state, "tar@1").as_bytes(), b"\xff"]);
        for broken in [&bytes[..bytes.len() - 1], &bytes[..31], b"", &[sum.as_bytes().as_slice(), b"\xff"].concat()] {
            fs::write(&entry, broken).unwrap();
            assert_eq!(known.members(&open(), "tar@1"), None);
        }
        keep(&vec![member("a"); LONGEST_LIST / 4]);
        assert_eq!(known.members(&open(), "tar@1"), None, "too long to be kept");
        keep(&[member("a")]);
        fs::write(&path, "two").unwrap();
        assert_eq!(known.members(&open(), "tar@1"), None, "another content");
    }

    /// An archive that was listed before is opened without a worker; one that changed since is not.
    #[test]
    fn what_is_known_needs_no_worker() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownDigests::new(folder.path().join("digests"));
        let path = folder.path().join("image.tar");
        fs::write(&path, "one").unwrap();
        let open = || File::open(&path).unwrap();
        let limits = Limits::default();
        let members = [TarEntry { name: "manifest.json".to_owned(), offset: 512, length: 3, link: None }];
        let state = FileState::of(&open()).unwrap();
        known.keep_members(&Pending { state, key: members_key(&state, &how_listed(&limits)) }, &open(), &members);
        let worker = WorkerCommand { program: folder.path().join("none"), arguments: Vec::new() };
        let scanner = Scanner::new(worker, limits, None).knowing(known);
        assert_eq!(scanner.index(open(), &path, &limits).unwrap(), members);
        assert!(scanner.index(open(), &path, &Limits { entries: 7, ..limits }).is_err(), "other limits, another list");
        fs::write(&path, "two").unwrap();
        assert!(scanner.index(open(), &path, &limits).is_err(), "it has to be listed");
    }
}
