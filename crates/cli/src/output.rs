//! Where output goes: a terminal, a pipe, a file.

use crate::args::When;
use crate::exit::Exit;
use crate::failure::Failure;
use std::io::{BufWriter, IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// How much is written at a time.
const PIECE: usize = 64 << 10;

/// How much is said besides the answer, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speech {
    pub(crate) color: When,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
}

impl Speech {
    /// Says something on the way, to a person.
    pub(crate) fn note(self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// Says something to a person who wants to know more.
    pub(crate) fn detail(self, text: impl FnOnce() -> String) {
        if self.verbose {
            eprintln!("{}", text());
        }
    }
}

/// Whether to colour what goes to standard output (no-color.org).
pub(crate) fn colour(when: When) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            set("CLICOLOR_FORCE") || (std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
        }
    }
}

/// Columns of the terminal; wide where there is none.
pub(crate) fn width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(if std::io::stdout().is_terminal() {
        120
    } else {
        160
    })
}

/// Writes to a file that is replaced whole, or to standard output.
pub(crate) fn write(to: Option<&Path>, text: &str) -> Result<(), Failure> {
    write_with(to, |out| out.write_all(text.as_bytes()))
}

/// The same of what is written piece by piece.
pub(crate) fn write_with(to: Option<&Path>, say: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<(), Failure> {
    match to {
        None => {
            let mut out = BufWriter::with_capacity(PIECE, std::io::stdout().lock());
            let written = say(&mut out).and_then(|()| out.flush());
            // What could not be written is not tried once more when this is dropped.
            drop(out.into_parts());
            match written {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    Err(Failure::new("E0301", Exit::Input, "the output cannot be written").cause(error))
                }
                _ => Ok(()),
            }
        }
        Some(path) => replace(path, say).map_err(|error| cannot_write(path, &error)),
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new("E0301", Exit::Input, format!("'{}' cannot be written", path.display())).cause(error)
}

/// Replaces a file whole: whoever reads it sees the old one or the new one. What is no file (a pipe, a device) is written to.
fn replace(path: &Path, say: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> std::io::Result<()> {
    let buffered = |file: &mut dyn Write| {
        let mut out = BufWriter::with_capacity(PIECE, file);
        say(&mut out)?;
        out.flush()
    };
    if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return buffered(&mut std::fs::File::create(path)?);
    }
    let mut file = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o644)).tempfile_in(folder_of(path))?;
    buffered(&mut file)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether a file could be written, as far as that can be told before.
pub(crate) fn check(to: Option<&Path>) -> Result<(), Failure> {
    let Some(path) = to else { return Ok(()) };
    if path.is_dir() {
        return Err(cannot_write(path, &std::io::ErrorKind::IsADirectory.into()));
    }
    std::fs::metadata(folder_of(path)).map(drop).map_err(|error| cannot_write(path, &error))
}
