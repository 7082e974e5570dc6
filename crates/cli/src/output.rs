//! Where output goes: a terminal, a pipe, a file.

use crate::exit::Exit;
use crate::failure::Failure;
use std::io::{IsTerminal, Write};
use std::path::Path;

/// Whether to colour what goes to standard output.
pub(crate) fn colour() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    set("CLICOLOR_FORCE") || (std::io::stdout().is_terminal() && !set("NO_COLOR"))
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
    match to {
        None => {
            let mut out = std::io::stdout().lock();
            match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    Err(Failure::new("E0301", Exit::Input, "the output cannot be written").cause(error))
                }
                _ => Ok(()),
            }
        }
        Some(path) => std::fs::write(path, text)
            .map_err(|error| Failure::new("E0301", Exit::Input, format!("'{}' cannot be written", path.display())).cause(error)),
    }
}
