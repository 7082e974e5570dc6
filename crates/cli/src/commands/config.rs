//! `lestrade config`.

use crate::args::ConfigWhat;
use crate::config::{KEYS, Settings};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use std::fmt::Write;

pub(crate) fn run(settings: &Settings, what: &ConfigWhat) -> Result<Exit, Failure> {
    let ConfigWhat::Show { origin } = what;
    let mut out = String::new();
    for key in KEYS {
        let Some((value, from)) = settings.entry(key.name) else { continue };
        // Only that it is set is shown.
        let shown = if key.holds_secret(value) { "(set, not shown)".to_owned() } else { value.clone() };
        let _ = writeln!(out, "# {}", key.help);
        let _ = if *origin { writeln!(out, "{} = {shown:?}  # {from}\n", key.name) } else { writeln!(out, "{} = {shown:?}\n", key.name) };
    }
    output::write(None, &out)?;
    Ok(Exit::Ok)
}
