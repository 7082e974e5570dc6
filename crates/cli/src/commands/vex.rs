//! `lestrade vex`: what suppliers say of vulnerabilities in their products.

use super::columns::{columns, counted};
use crate::args::VexWhat;
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input::unreadable;
use crate::output;
use crate::remote::Remote;
use lestrade_report::{json_text, printable};
use serde_json::Value;
use std::fs::File;

pub(crate) fn run(settings: &Settings, what: &VexWhat) -> Result<Exit, Failure> {
    match what {
        VexWhat::Push { file, name } => {
            let document = File::open(file).map_err(|error| unreadable(file, error))?;
            let own = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let taken = Remote::of(settings)?.upload("vex", &[("name", name.as_deref().unwrap_or(&own))], document)?;
            let count = |member: &str| taken[member].as_u64().unwrap_or_default();
            let name = printable(taken["name"].as_str().unwrap_or_default()).into_owned();
            output::write(None, &format!("{name} · {}, {} in force\n", counted(count("statements"), "statement"), count("inForce")))?;
        }
        VexWhat::List(arguments) => {
            let answer = Remote::of(settings)?.get("vex", &[])?;
            let text = if arguments.json { json_text(&answer) } else { table(&answer) };
            output::write(None, &text)?;
        }
        VexWhat::Remove { name } => {
            Remote::of(settings)?.remove("vex", &[("name", name)])?;
            output::write(None, &format!("'{}' is removed: what it suppressed is active\n", printable(name)))?;
        }
    }
    Ok(Exit::Ok)
}

fn table(answer: &Value) -> String {
    let of = |row: &Value| {
        let number = |member: &str| row[member].as_u64().unwrap_or_default().to_string();
        let text = |member: &str| row[member].as_str().unwrap_or_default().to_owned();
        vec![text("name"), number("statements"), number("inForce"), text("taken")]
    };
    let rows: Vec<Vec<String>> = answer["documents"].as_array().into_iter().flatten().map(of).collect();
    if rows.is_empty() {
        return "no VEX documents\n".to_owned();
    }
    columns(&["DOCUMENT", "STATEMENTS", "IN FORCE", "TAKEN"], &rows, &[0], output::width())
}
