//! What the system says of a file by which a change of its content can be told.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How long ago a file has to have been touched last. Times of files are those of a clock that ticks, so that two changes within a tick
/// look like one (git calls such a file racy); this is far more, because what was written through a mapping may be told late.
const SETTLED: Duration = Duration::from_secs(60);

/// File systems of this machine that tell each change of a content by the time of change: ext2 to ext4, XFS, Btrfs, F2FS, ZFS, and
/// overlays of those. A server's clock is not ours, and in memory a mapping may be written to without a word.
const LOCAL: [i64; 6] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x2fc1_2fc1, 0x794c_7630];

/// A file as the system tells it from others and from what it was before. The time of change (`ctime`) is the kernel's: no program
/// can set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileState {
    /// Device and number of the file.
    pub identity: (u64, u64),
    /// Bytes.
    pub size: u64,
    /// When the content was changed last, in seconds and nanoseconds.
    pub modified: (i64, i64),
    /// When anything was changed last.
    pub changed: (i64, i64),
}

impl FileState {
    /// The state of an open file.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            identity: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// The state of a file of which every later change of its content will be told by another state; none where that is not sure: it was
    /// touched a moment ago, or lies where times are not to be relied on. What was written and is still on its way is waited for.
    #[must_use]
    pub fn settled(file: &File, now: SystemTime) -> Option<Self> {
        if !file.metadata().ok()?.is_file() || !is_local(file) {
            return None;
        }
        let state = Self::of(file).ok()?;
        let latest = state.modified.0.max(state.changed.0);
        let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let settled = i64::try_from(now.checked_sub(SETTLED)?.as_secs()).ok()?;
        if latest >= settled {
            return None;
        }
        // A page that is dirty may be written to once more without a word; one that was written back may not.
        file.sync_data().ok()?;
        (Self::of(file).ok()? == state).then_some(state)
    }
}

/// Whether a folder is this user's and nobody else may look into it or write to it.
#[must_use]
pub fn is_private_folder(path: &Path) -> bool {
    // SAFETY: asks for a number and cannot fail.
    #[allow(unsafe_code)]
    let user = unsafe { libc::geteuid() };
    std::fs::symlink_metadata(path).is_ok_and(|folder| folder.is_dir() && folder.uid() == user && folder.mode() & 0o077 == 0)
}

fn is_local(file: &File) -> bool {
    let mut about = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the descriptor is open as long as `file` is, and the system fills all of the structure when it answers 0.
    #[allow(unsafe_code)]
    let kind = unsafe {
        if libc::fstatfs(file.as_raw_fd(), about.as_mut_ptr()) != 0 {
            return false;
        }
        about.assume_init().f_type
    };
    #[allow(clippy::unnecessary_cast, reason = "its width is the platform's")]
    LOCAL.contains(&(kind as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_touched_a_moment_ago_may_still_change_unseen() {
        let file = tempfile::tempfile_in(".").unwrap();
        let now = SystemTime::now();
        assert_eq!(FileState::settled(&file, now), None);
        let later = now + SETTLED + Duration::from_secs(2);
        let local = is_local(&file);
        assert_eq!(FileState::settled(&file, later), local.then(|| FileState::of(&file).unwrap()));
        // Whoever sets a file's time back changes it: the time of that is the kernel's.
        let before = FileState::of(&file).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let after = FileState::of(&file).unwrap();
        assert_eq!((after.modified, FileState::settled(&file, now)), ((0, 0), None));
        assert!(after.changed >= before.changed);
        assert_eq!(FileState::settled(&File::open("/dev/null").unwrap(), later), None, "no file with a content of its own");
    }
}
