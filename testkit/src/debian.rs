//! A real Debian root, built from the distribution's own packages once for all tests of a checkout.

use anyhow::{Result, ensure};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A tar of Debian 12's essential packages below `folder`; none when `mmdebstrap` is not installed.
///
/// # Errors
/// When it is installed and fails.
pub fn debian_root(folder: &Path) -> Result<Option<PathBuf>> {
    let path = folder.join("debian-12.tar");
    std::fs::create_dir_all(folder)?;
    // Two tests that want it at once build it once.
    let lock = File::create(folder.join("debian-12.lock"))?;
    lock.lock()?;
    if path.exists() {
        return Ok(Some(path));
    }
    let partial = folder.join("debian-12.partial.tar");
    let started = Command::new("mmdebstrap")
        .args(["--variant=essential", "--include=libssl3", "--quiet", "bookworm"])
        .arg(&partial)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match started {
        Err(_) => Ok(None),
        Ok(status) => {
            ensure!(status.success(), "mmdebstrap failed");
            std::fs::rename(&partial, &path)?;
            Ok(Some(path))
        }
    }
}
