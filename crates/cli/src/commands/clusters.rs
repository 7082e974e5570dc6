//! `lestrade clusters`: which images run where.

use super::columns::{columns, counted};
use crate::args::ClustersWhat;
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input::unreadable;
use crate::output;
use crate::remote::{Remote, part};
use lestrade_report::{json_text, printable};
use serde_json::Value;
use std::fs::File;
use std::path::Path;

pub(crate) fn run(settings: &Settings, what: &ClustersWhat) -> Result<Exit, Failure> {
    let remote = Remote::of(settings)?;
    match what {
        ClustersWhat::Tell { name, file } => {
            let path = if file.as_os_str() == "-" { Path::new("/dev/stdin") } else { file };
            let file = File::open(path).map_err(|error| unreadable(path, error))?;
            let answer = remote.upload(&format!("clusters/{}", part(name)), &[], file)?;
            let count = |member: &str| answer[member].as_u64().unwrap_or_default();
            let told =
                format!("{} · {} of {}\n", printable(name), counted(count("containers"), "container"), counted(count("images"), "image"));
            output::write(None, &told)?;
        }
        ClustersWhat::List(arguments) => list(&remote, arguments.json)?,
        ClustersWhat::Remove { name } => {
            remote.remove(&format!("clusters/{}", part(name)), &[])?;
            output::write(None, &format!("'{}' is forgotten: nothing is in use by it\n", printable(name)))?;
        }
    }
    Ok(Exit::Ok)
}

fn list(remote: &Remote, as_json: bool) -> Result<(), Failure> {
    let answer = remote.get("clusters", &[])?;
    if as_json {
        return output::write(None, &json_text(&answer));
    }
    let of = |row: &Value| {
        let number = |member: &str| row[member].as_u64().unwrap_or_default().to_string();
        let text = |member: &str| row[member].as_str().unwrap_or_default().to_owned();
        vec![text("name"), number("containers"), number("images"), text("told")]
    };
    let rows: Vec<Vec<String>> = answer["clusters"].as_array().into_iter().flatten().map(of).collect();
    if rows.is_empty() {
        return output::write(None, "no cluster has told what runs in it\n");
    }
    output::write(None, &columns(&["CLUSTER", "CONTAINERS", "IMAGES", "TOLD"], &rows, &[0], output::width()))
}
