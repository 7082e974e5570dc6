//! `lestrade diff`: what is new, gone or changed between two scans.

use super::gates::Facts;
use super::judgement::Known;
use super::render::style;
use super::target::Target;
use crate::args::{Diff, Format};
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Speech};
use lestrade_matching::Statements;
use lestrade_report::{diff, diff_json, diff_table, json_text, scan_json};
use serde_json::Value;
use std::io::Read;
use std::path::Path;

/// The largest report that is read.
const MAX_REPORT: u64 = 512 << 20;

pub(crate) fn run(settings: &Settings, speech: Speech, arguments: &Diff) -> Result<Exit, Failure> {
    if let Some(other) = arguments.output.iter().find(|wanted| !matches!(wanted.format, Format::Table | Format::Json)) {
        let what = format!("differences are written as table or json, not as {:?}", other.format).to_lowercase();
        return Err(Failure::new("E0205", Exit::Usage, what).try_("lestrade diff OLD NEW -o json"));
    }
    for wanted in &arguments.output {
        output::check(wanted.file.as_deref())?;
    }
    let (old, new) = (report(settings, &arguments.old, speech)?, report(settings, &arguments.new, speech)?);
    let diff = diff(&old, &new);
    for wanted in &arguments.output {
        let text = match wanted.format {
            Format::Json => json_text(&diff_json(&diff)),
            _ => diff_table(&diff, style(wanted, speech)),
        };
        output::write(wanted.file.as_deref(), &text)?;
    }
    let tripped = diff.new.iter().any(|entry| Facts::of_json(&entry.finding).trip(&arguments.fail_on));
    // The starter set cannot hold a gate shut.
    let starter = !arguments.fail_on.is_empty() && [old, new].iter().any(|report| report["intelligence"]["starterOnly"] == true);
    let exits = [(tripped, Exit::Gate), (diff.incomplete, Exit::Incomplete), (starter, Exit::Intelligence)];
    Ok(Exit::worst(exits.into_iter().filter_map(|(holds, exit)| holds.then_some(exit))))
}

/// A report that was written before, or one of what is scanned now.
fn report(settings: &Settings, name: &str, speech: Speech) -> Result<Value, Failure> {
    if let Some(report) = written_before(Path::new(name)) {
        return Ok(report);
    }
    let known = Known::open(settings)?;
    let report = known.judge(Target::guess(settings, name, speech)?, &Statements::default(), vec![])?;
    Ok(scan_json(&report).to_value())
}

fn written_before(path: &Path) -> Option<Value> {
    let file = std::fs::File::open(path).ok().filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()))?;
    let mut head = Vec::new();
    file.take(256).read_to_end(&mut head).ok()?;
    if !String::from_utf8_lossy(&head).contains("\"lestrade.scan/1\"") || std::fs::metadata(path).ok()?.len() > MAX_REPORT {
        return None;
    }
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
