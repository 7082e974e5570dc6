//! Opening a file of a foreign root without ever leaving it.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Opens `path` below `root` for reading as if `root` were `/`: links, also absolute ones and `..`, are resolved inside it by
/// the kernel (`openat2` with `RESOLVE_IN_ROOT`, at most 40 of them). Only regular files are opened; a FIFO does not block.
///
/// # Errors
/// When there is no such regular file inside the root, or the kernel has no `openat2` (before 5.6).
pub fn open_in_root(root: &File, path: &str) -> io::Result<File> {
    let path = CString::new(path).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut how = [0_u64; 3];
    how[0] = (libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY) as u64;
    // RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS, linux/openat2.h.
    how[2] = 0x10 | 0x02;
    // SAFETY: the path is a NUL-terminated string and `how` is a `struct open_how` (three u64) that outlive the call.
    #[allow(unsafe_code)]
    let fd = unsafe { libc::syscall(libc::SYS_openat2, root.as_raw_fd(), path.as_ptr(), how.as_ptr(), size_of_val(&how)) };
    let fd = i32::try_from(fd).unwrap_or(-1);
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
    #[allow(unsafe_code)]
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_stay_inside_the_root() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        std::fs::write(folder.path().join("etc/hostname"), "inside").unwrap();
        symlink("/etc/hostname", folder.path().join("absolute")).unwrap();
        symlink("../../../../etc/hostname", folder.path().join("climbing")).unwrap();
        symlink("loop", folder.path().join("loop")).unwrap();
        let root = File::open(folder.path()).unwrap();
        for name in ["absolute", "climbing"] {
            let mut text = String::new();
            open_in_root(&root, name).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "inside", "{name}");
        }
        assert!(open_in_root(&root, "loop").is_err());
        assert!(open_in_root(&root, "etc").is_err(), "a folder is not a file");
    }
}
