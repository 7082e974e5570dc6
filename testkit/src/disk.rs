//! Tools that make and list disks, where the machine has them.

use anyhow::{Context, Result, ensure};
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
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

/// Packs a tree into an XFS file system in an image of so many bytes, of which the tools want 300 MiB at least. Names have no blanks.
/// Answers false where the tools are missing.
///
/// # Errors
/// When they fail.
pub fn make_xfs(options: &[&str], tree: &Path, image: &Path, bytes: u64) -> Result<bool> {
    let Some(mut mkfs) = tool("mkfs.xfs") else { return Ok(false) };
    blank(image, bytes)?;
    // The first two lines are of older systems.
    let mut prototype = "/none\n0 0\nd--755 0 0\n".to_owned();
    describe(tree, &mut prototype)?;
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(prototype.as_bytes())?;
    run(mkfs.arg("-q").arg("-f").args(options).arg("-p").arg(file.path()).arg(image))?;
    Ok(true)
}

/// Writes down a folder as `mkfs.xfs` wants it, to its end.
fn describe(folder: &Path, out: &mut String) -> Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        let name = entry.file_name();
        let name = name.to_str().filter(|name| !name.contains(char::is_whitespace)).context("a name that the tool does not take")?;
        if kind.is_dir() {
            writeln!(out, "{name} d--755 0 0")?;
            describe(&path, out)?;
        } else if kind.is_symlink() {
            writeln!(out, "{name} l--777 0 0 {}", std::fs::read_link(&path)?.display())?;
        } else {
            let mode = entry.metadata()?.permissions().mode() & 0o777;
            writeln!(out, "{name} ---{mode:03o} 0 0 {}", path.display())?;
        }
    }
    out.push_str("$\n");
    Ok(())
}
