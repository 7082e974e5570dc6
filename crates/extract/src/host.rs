//! This machine: what of it is read, what it is called, and what tells that its packages may have changed.

use crate::{ScanError, Scanner};
use lestrade_artifact::SkipPatterns;
use lestrade_model::{Hash, Inventory};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The most that is read of a small file of the system.
const SMALL: u64 = 64 << 10;
/// Where package managers write down what is installed, and what decides how that is judged.
const DATABASES: &[&str] = &[
    "etc/os-release",
    "usr/lib/os-release",
    "var/lib/dpkg/status",
    "var/lib/dpkg/status.d",
    "lib/apk/db/installed",
    "usr/lib/apk/db/installed",
    "var/lib/rpm/rpmdb.sqlite",
    "var/lib/rpm/rpmdb.sqlite-wal",
    "var/lib/rpm/Packages",
    "var/lib/rpm/Packages.db",
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
    "usr/lib/sysimage/rpm/rpmdb.sqlite-wal",
    "usr/lib/sysimage/rpm/Packages.db",
    "var/lib/pacman/local",
    "Windows/System32/config/SOFTWARE",
];

/// A machine whose root is a folder here: `/`, or where a container has it mounted.
#[derive(Clone, Debug)]
pub struct HostRoot(PathBuf);

impl HostRoot {
    /// The machine with this root.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self(root.into())
    }

    /// Its root.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn text(&self, path: &str) -> Option<String> {
        small_text(&self.0.join(path))
    }

    /// Its name, as it calls itself.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.text("etc/hostname")
    }

    /// What tells it from every other machine: a hash of its machine id, which is not to be shown (machine-id(5)). None where it
    /// has none yet, as in many containers.
    #[must_use]
    pub fn identity(&self) -> Option<Hash> {
        let id = self.text("etc/machine-id").or_else(|| self.text("var/lib/dbus/machine-id"))?;
        let is_one = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) && id.bytes().any(|byte| byte != b'0');
        is_one.then(|| Hash::of_fields([b"lestrade host".as_slice(), id.to_ascii_lowercase().as_bytes()]))
    }

    /// The id of the EC2 instance that it is, as its firmware (Nitro) or cloud-init says; none elsewhere.
    #[must_use]
    pub fn instance(&self) -> Option<String> {
        let firmware = || small_text(Path::new("/sys/devices/virtual/dmi/id/board_asset_tag"));
        let is_id = |id: &String| {
            let digits = id.strip_prefix("i-").unwrap_or_default();
            matches!(digits.len(), 8 | 17) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        self.text("var/lib/cloud/data/instance-id").filter(is_id).or_else(|| firmware().filter(is_id))
    }

    /// The release of the running kernel, which a container shares with its machine.
    #[must_use]
    pub fn running_kernel(&self) -> Option<String> {
        small_text(Path::new("/proc/sys/kernel/osrelease"))
    }

    /// The sizes and times of its package databases and the running kernel, as one value. As long as it stays the same, no package
    /// of the system came, went or changed.
    #[must_use]
    pub fn fingerprint(&self) -> Hash {
        let mut fields: Vec<Vec<u8>> = vec![self.running_kernel().unwrap_or_default().into_bytes()];
        for path in DATABASES {
            let stamp = fs::metadata(self.0.join(path)).map(|it| format!("{} {}.{} {}", it.len(), it.mtime(), it.mtime_nsec(), it.ino()));
            fields.push(stamp.unwrap_or_default().into_bytes());
        }
        Hash::of_fields(fields.iter().map(Vec::as_slice))
    }

    /// Folders below which there is something else than this machine's own disks: what is only mounted on it, or belongs to
    /// containers. Those are other targets.
    #[must_use]
    pub fn foreign_folders(&self) -> Vec<String> {
        const OWN: [&str; 8] = ["ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "overlay"];
        const CONTAINERS: [&str; 4] = ["var/lib/docker", "var/lib/containerd", "var/lib/containers", "var/lib/kubelet"];
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let foreign = mounts.lines().filter_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let place = before.split(' ').nth(4)?.replace("\\040", " ");
            let place = Path::new(&place).strip_prefix(&self.0).ok()?.to_str().filter(|place| !place.is_empty())?;
            let kind = after.split(' ').next()?;
            // An overlay is this machine's root where it is a container itself, and a container's everywhere else.
            (!OWN.contains(&kind) || kind == "overlay").then(|| SkipPatterns::exactly(place))
        });
        foreign.chain(CONTAINERS.map(str::to_owned)).collect()
    }
}

/// What a file says, without the space around it; none when that is nothing.
fn small_text(path: &Path) -> Option<String> {
    use std::io::Read;
    let mut text = String::new();
    fs::File::open(path).ok()?.take(SMALL).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

impl Scanner {
    /// Reads a machine, without what is not its own.
    ///
    /// # Errors
    /// When its root cannot be read, or a pattern of what is to be left out is none.
    pub fn scan_host(&self, host: &HostRoot, skip: &SkipPatterns) -> Result<Inventory, ScanError> {
        let mut skip = skip.clone();
        skip.folders.extend(host.foreign_folders());
        self.scan_directory(host.path(), &skip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(path: &str, content: &str) -> (tempfile::TempDir, HostRoot) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
        let host = HostRoot::new(folder.path());
        (folder, host)
    }

    #[test]
    fn a_machine_is_told_by_a_hash_of_its_id() {
        let id = "0123456789abcdef0123456789abcdef";
        let (_folder, host) = with("etc/machine-id", &format!("{id}\n"));
        let identity = host.identity().unwrap();
        assert_eq!(Some(identity), host.identity());
        assert!(!identity.to_string().contains(&id[..8]));
        for none in ["", "uninitialized\n", "00000000000000000000000000000000", "short"] {
            assert_eq!(with("etc/machine-id", none).1.identity(), None, "{none:?}");
        }
    }

    #[test]
    fn the_fingerprint_moves_with_the_package_database() {
        let (folder, host) = with("var/lib/dpkg/status", "Package: a\n");
        let before = host.fingerprint();
        assert_eq!(before, host.fingerprint());
        fs::write(folder.path().join("srv"), "x").unwrap();
        assert_eq!(before, host.fingerprint(), "what is no database does not count");
        fs::write(folder.path().join("var/lib/dpkg/status"), "Package: a\nPackage: b\n").unwrap();
        assert_ne!(before, host.fingerprint());
    }
}
