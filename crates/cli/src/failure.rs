//! What a user is told when something does not work: one line what, one line why, one line what to try.

use crate::exit::Exit;
use lestrade_report::printable;
use std::fmt::Write;
use std::process::ExitCode;

/// An error, in the words of the user.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Stable: documented in `docs/reference/errors.md`.
    code: &'static str,
    pub(crate) exit: Exit,
    what: String,
    cause: Option<String>,
    try_: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: &'static str, exit: Exit, what: impl Into<String>) -> Self {
        Self { code, exit, what: what.into(), cause: None, try_: None }
    }

    /// Whether it is the error of this code.
    pub(crate) fn is(&self, code: &str) -> bool {
        self.code == code
    }

    pub(crate) fn cause(mut self, cause: impl ToString) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    pub(crate) fn try_(mut self, command: impl Into<String>) -> Self {
        self.try_ = Some(command.into());
        self
    }

    /// The three lines.
    pub(crate) fn render(&self) -> String {
        let line = |text: &str| printable(&without_secrets(text.lines().next().unwrap_or_default())).into_owned();
        let mut out = format!("error[{}]: {}\n", self.code, line(&self.what));
        if let Some(cause) = &self.cause {
            let _ = writeln!(out, "  cause: {}", line(cause));
        }
        if let Some(command) = &self.try_ {
            let _ = writeln!(out, "  try: {}", line(command));
        }
        out
    }

    pub(crate) fn print(&self) {
        eprint!("{}", self.render());
    }
}

/// A text whose addresses do not say who asks: what stands before the `@` of a URL may be a password, and errors are kept and passed on.
fn without_secrets(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        let authority = after.find(|c: char| matches!(c, '/' | '?' | '#' | '\'' | '"') || c.is_whitespace()).unwrap_or(after.len());
        out.push_str(before);
        rest = match after[..authority].rfind('@') {
            Some(end) => {
                out.push('…');
                &after[end..]
            }
            None => after,
        };
    }
    out + rest
}

/// A command line that is wrong: what is wrong with it, and never a page of usage. Help and version are no errors.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = error.print();
        return Exit::Ok.into();
    }
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut what = lines.next().unwrap_or("the command line is not understood").trim_start_matches("error: ").to_owned();
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        "a command is missing".clone_into(&mut what);
    }
    // A list that clap begins on the first line goes on in the next ones.
    let rest: Vec<&str> = lines.take_while(|line| !line.starts_with("Usage:")).collect();
    let tip = rest.iter().find_map(|line| line.strip_prefix("tip: ")).map(str::to_owned);
    let listed: Vec<&str> =
        rest.iter().copied().filter(|line| !line.starts_with("tip:") && !line.starts_with("For more information")).collect();
    if !listed.is_empty() {
        let _ = write!(what, " {}", listed.join(", "));
    }
    let failure = Failure::new("E0200", Exit::Usage, what).try_(tip.unwrap_or_else(|| "lestrade --help".to_owned()));
    failure.print();
    Exit::Usage.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_says_of_who_asks_is_not_repeated() {
        for (text, shown) in [
            ("'https://me:hunter2@example.com/x' is none", "'https://…@example.com/x' is none"),
            ("postgres://me:p@ss@db/x and http://a@b", "postgres://…@db/x and http://…@b"),
            ("https://example.com/a@b 'x@y'", "https://example.com/a@b 'x@y'"),
            ("registry.example/app@sha256:00", "registry.example/app@sha256:00"),
            ("://", "://"),
        ] {
            assert_eq!(without_secrets(text), shown);
            let failure = Failure::new("E0200", Exit::Usage, text).cause(text).try_(text);
            assert!(!failure.render().contains("hunter2"));
        }
    }
}
