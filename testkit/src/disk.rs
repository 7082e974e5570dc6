//! Tools that make and list disks, where the machine has them.

use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;

/// A tool, also one that only administrators have in their path. None where it is not installed.
#[must_use]
pub fn tool(name: &str) -> Option<Command> {
    ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
        .map(|folder| Path::new(folder).join(name))
        .into_iter()
        .find(|path| path.exists())
        .map(Command::new)
}

/// Runs a tool to its end; answers what it printed.
///
/// # Errors
/// When it fails; with what it said.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// An empty file of so many bytes, all of it a hole.
///
/// # Errors
/// When it cannot be written.
pub fn blank(path: &Path, bytes: u64) -> Result<()> {
    Ok(std::fs::File::create(path)?.set_len(bytes)?)
}

/// Packs a tree into an ext2, ext3 or ext4 file system in an image of so many bytes. Answers false where the tools are missing.
///
/// # Errors
/// When they fail.
pub fn make_ext(kind: &str, options: &[&str], tree: &Path, image: &Path, bytes: u64) -> Result<bool> {
    let Some(mut mkfs) = tool(&format!("mkfs.{kind}")) else { return Ok(false) };
    blank(image, bytes)?;
    run(mkfs.arg("-q").arg("-F").args(options).arg("-d").arg(tree).arg(image))?;
    Ok(true)
}
