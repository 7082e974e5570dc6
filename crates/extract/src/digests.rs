//! Digests that were computed before, of files that are as they were: what git's index does, so that an image archive that did not change
//! is not hashed again. ADR 41 says why that may be relied on, and where it may not.

use lestrade_model::Hash;
use lestrade_sys::{FileState, is_private_folder};
use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::SystemTime;

/// The revision of what is kept.
const REVISION: &str = "digest@1";
/// The longest digest that is kept.
const LONGEST: usize = 200;
/// How many digests are kept at most; when there are more, all are let go.
const MOST: usize = 100_000;

/// Keeps digests by the state of the files that they are of, in a folder that nobody else may write to.
#[derive(Debug)]
pub struct KnownDigests {
    folder: PathBuf,
}

/// A part of a file that will be hashed, as it was before that began.
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
        if !is_private_folder(&self.folder) {
            return None;
        }
        let key = key(&FileState::of(file).ok()?, slice);
        let bytes = fs::read(self.file(&key)).ok()?;
        let (checksum, digest) = bytes.split_at_checked(32)?;
        // The key is part of what is checked: an entry that was moved under another name is not believed.
        if Hash::of_fields([key.as_bytes(), digest]).as_bytes() != checksum {
            return None;
        }
        String::from_utf8(digest.to_vec()).ok()
    }

    /// What a digest can be kept by that is about to be computed; none where a later change of the file might not be told.
    pub(crate) fn begin(&self, file: &File, slice: Option<(u64, u64)>) -> Option<Pending> {
        let state = FileState::settled(file, SystemTime::now())?;
        Some(Pending { state, key: key(&state, slice) })
    }

    /// Keeps a digest that was computed since, if the file is still as it was. Failing to is no error: it will be computed again.
    pub(crate) fn keep(&self, pending: &Pending, file: &File, digest: &str) {
        if FileState::of(file).ok() != Some(pending.state) || digest.len() > LONGEST {
            return;
        }
        let _ = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        if !is_private_folder(&self.folder) {
            return;
        }
        if fs::read_dir(&self.folder).is_ok_and(|entries| entries.count() >= MOST) {
            let _ = fs::remove_dir_all(&self.folder).and_then(|()| DirBuilder::new().mode(0o700).create(&self.folder));
        }
        let checksum = Hash::of_fields([pending.key.as_bytes(), digest.as_bytes()]);
        let written = tempfile::NamedTempFile::new_in(&self.folder).and_then(|mut file| {
            file.write_all(checksum.as_bytes())?;
            file.write_all(digest.as_bytes())?;
            Ok(file)
        });
        let _ = written.map(|file| file.persist(self.file(&pending.key)));
    }

    fn file(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{}.digest", Hash::of(key.as_bytes())))
    }
}

/// All that must be as it was.
fn key(state: &FileState, slice: Option<(u64, u64)>) -> String {
    format!("{REVISION};{state:?};{slice:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// Keeps a digest of a file as if it had settled.
    fn keep(known: &KnownDigests, file: &File, slice: Option<(u64, u64)>, digest: &str) {
        let state = FileState::of(file).unwrap();
        known.keep(&Pending { state, key: key(&state, slice) }, file, digest);
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
        known.keep(&Pending { state, key: key(&state, None) }, &open(), "sha256:1");
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
}
