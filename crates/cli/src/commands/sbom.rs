//! `lestrade sbom`: bills of materials that the server keeps.

use super::columns::counted;
use super::estate::severities;
use crate::args::SbomWhat;
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input::unreadable;
use crate::output;
use crate::remote::Remote;
use lestrade_report::{json_text, printable};
use std::fmt::Write;
use std::fs::File;
use std::path::Path;

pub(crate) fn run(settings: &Settings, what: &SbomWhat) -> Result<Exit, Failure> {
    match what {
        SbomWhat::Push { file, name, json } => push(settings, file, name.as_deref(), *json),
        SbomWhat::Remove { name } => {
            Remote::of(settings)?.remove("sboms", &[("name", name)])?;
            output::write(None, &format!("'{}' is gone: its findings are closed\n", printable(name)))?;
            Ok(Exit::Ok)
        }
    }
}

fn push(settings: &Settings, path: &Path, name: Option<&str>, json: bool) -> Result<Exit, Failure> {
    let file = File::open(path).map_err(|error| unreadable(path, error))?;
    let own = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let answer = Remote::of(settings)?.upload("sboms", &[("name", name.unwrap_or(&own))], file)?;
    if json {
        output::write(None, &json_text(&answer))?;
        return Ok(Exit::Ok);
    }
    let text = |path: &str| printable(answer.pointer(path).and_then(serde_json::Value::as_str).unwrap_or_default()).into_owned();
    let open = severities(&answer["open"]);
    let open = if open.is_empty() { "0 open findings".to_owned() } else { open };
    let packages = counted(answer["components"].as_u64().unwrap_or_default(), "package");
    let mut out = format!("{} · {packages} · {open}\n", text("/resource/name"));
    if answer["intelligence"].is_null() {
        out.push_str("! NO intelligence: nothing is judged\n");
    }
    // Writing to a string does not fail.
    let _ = match (text("/coverage/reason").as_str(), text("/coverage/detail").as_str()) {
        ("SUCCESSFUL", "") => Ok(()),
        (reason, detail) => writeln!(out, "! {reason}: {detail}"),
    };
    output::write(None, &out)?;
    Ok(Exit::Ok)
}
