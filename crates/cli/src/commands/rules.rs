//! `lestrade rules`: which events a rule is about, tried before it acts.

use super::events::last;
use crate::args::RulesWhat;
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input;
use crate::output;
use crate::remote::Remote;
use lestrade_events::{EventFields, NotAnEvent, Pattern, Rule, Rules};
use lestrade_report::printable;
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;

/// The largest file of events.
const MAX_EVENTS: u64 = 256 << 20;

pub(crate) fn run(settings: &Settings, what: &RulesWhat) -> Result<Exit, Failure> {
    match what {
        RulesWhat::List { rules: Some(rules) } => list(rules),
        RulesWhat::List { rules: None } => in_force(&Remote::of(settings)?),
        RulesWhat::Add { file } => add(settings, file),
        RulesWhat::Test { pattern, event } => test(pattern, event),
        RulesWhat::DryRun { rules, events: Some(events) } => dry_run(rules, self::events(events)?, events),
        RulesWhat::DryRun { rules, events: None } => dry_run(rules, last(settings)?, Path::new("the server's events")),
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    input::text(path, MAX_EVENTS, || Failure::new("E0340", Exit::Input, format!("'{}' is larger than 256 MiB", path.display())))
}

fn rules(path: &Path) -> Result<Rules, Failure> {
    if !path.exists() {
        return Err(Failure::new("E0300", Exit::Input, format!("'{}' does not exist", path.display())));
    }
    Rules::read(path).map_err(|error| Failure::new("E0341", Exit::Input, "the rules are not taken, none of them").cause(error))
}

fn not_an_event(path: &Path, error: &NotAnEvent) -> Failure {
    Failure::new("E0342", Exit::Input, format!("'{}' is no event", path.display())).cause(error)
}

/// Events of a file: one JSON document, a list of them, or one on each line.
fn events(path: &Path) -> Result<Vec<Value>, Failure> {
    let text = read(path)?;
    let not_json =
        |error: serde_json::Error| Failure::new("E0342", Exit::Input, format!("'{}' holds no events", path.display())).cause(error);
    match serde_json::from_str(&text) {
        Ok(Value::Array(events)) => Ok(events),
        Ok(event) => Ok(vec![event]),
        Err(_) => text.lines().filter(|line| !line.trim().is_empty()).map(|line| serde_json::from_str(line).map_err(not_json)).collect(),
    }
}

fn list(path: &Path) -> Result<Exit, Failure> {
    let rules = rules(path)?;
    let mut out = String::new();
    for rule in rules.all() {
        let state = if rule.enabled { "in force" } else { "off" };
        let words = if rule.words.is_some() { ", in its own words" } else { "" };
        let _ = writeln!(out, "{:<24} {state:<8} to {}{words}", printable(&rule.name), printable(&rule.targets.join(", ")));
        if !rule.description.is_empty() {
            let _ = writeln!(out, "  {}", printable(&rule.description));
        }
    }
    output::write(None, &out)?;
    Ok(Exit::Ok)
}

fn test(pattern: &Path, event: &Path) -> Result<Exit, Failure> {
    let parsed = Pattern::parse(&read(pattern)?)
        .map_err(|error| Failure::new("E0343", Exit::Input, format!("'{}' is no event pattern", pattern.display())).cause(error))?;
    let mut out = String::new();
    let mut all = true;
    for value in events(event)? {
        let fields = EventFields::of(&value).map_err(|error| not_an_event(event, &error))?;
        let said = match (parsed.matches(&fields), parsed.first_miss(&fields)) {
            (true, _) => "matches".to_owned(),
            (false, Some(path)) => format!("does not match: '{}'", printable(&path)),
            (false, None) => "does not match: what holds lies in different elements of an array".to_owned(),
        };
        all &= said == "matches";
        let _ = writeln!(out, "{}{said}", name(&value));
    }
    output::write(None, &out)?;
    Ok(if all { Exit::Ok } else { Exit::Gate })
}

/// What tells an event from others, to a person.
fn name(event: &Value) -> String {
    event["id"].as_str().map(|id| format!("{}: ", printable(&id.chars().take(64).collect::<String>()))).unwrap_or_default()
}

/// The rules in force at a server, and why what is in its folder is not.
fn in_force(remote: &Remote) -> Result<Exit, Failure> {
    let answer = remote.get("rules", &[])?;
    let mut out = String::new();
    for rule in answer["rules"].as_array().into_iter().flatten() {
        let text = |name: &str| rule[name].as_str().unwrap_or_default();
        let targets = rule["targets"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
        let state = if rule["enabled"] == true { "in force" } else { "off" };
        let _ = writeln!(out, "{:<24} {state:<8} to {}", printable(text("name")), printable(&targets));
        if !text("description").is_empty() {
            let _ = writeln!(out, "  {}", printable(text("description")));
        }
    }
    if let Some(problem) = answer["problem"].as_str() {
        let _ = writeln!(out, "! the folder is not taken as it is now: {}", printable(problem));
    }
    output::write(None, &out)?;
    Ok(Exit::Ok)
}

/// Copies a file into the folder of rules beside a trial of the whole: what would be refused never gets there.
fn add(settings: &Settings, file: &Path) -> Result<Exit, Failure> {
    let Some(folder) = settings.text("rules").map(Path::new) else {
        return Err(Failure::new("E0344", Exit::Usage, "there is no folder of rules").try_("lestrade rules add FILE --set rules=FOLDER"));
    };
    let io = |error: std::io::Error| {
        Failure::new("E0344", Exit::Input, format!("'{}' cannot be put into the folder", file.display())).cause(error)
    };
    let Some(name) = file.file_name().filter(|_| file.extension().is_some_and(|end| end == "toml" || end == "json")) else {
        return Err(Failure::new("E0344", Exit::Usage, format!("'{}' is neither TOML nor JSON", file.display())));
    };
    std::fs::create_dir_all(folder).map_err(io)?;
    let text = read(file)?;
    let trial = tempfile::tempdir_in(folder).map_err(io)?;
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            std::fs::copy(&path, trial.path().join(name)).map_err(io)?;
        }
    }
    let tried = trial.path().join(name);
    std::fs::write(&tried, text).map_err(io)?;
    let rules = rules(trial.path())?;
    std::fs::rename(&tried, folder.join(name)).map_err(io)?;
    let (rules, targets) = (rules.all().count(), rules.targets().count());
    output::write(None, &format!("'{}' is in the folder: {rules} rules and {targets} targets there now\n", file.display()))?;
    Ok(Exit::Ok)
}

fn dry_run(path: &Path, events: Vec<Value>, from: &Path) -> Result<Exit, Failure> {
    let rules = rules(path)?;
    let mut out = String::new();
    let (mut count, mut unmatched) = (0_usize, 0_usize);
    for event in events {
        count += 1;
        let fields = EventFields::of(&event).map_err(|error| not_an_event(from, &error))?;
        let matching = rules.matching(&fields);
        unmatched += usize::from(matching.is_empty());
        for rule in matching {
            let _ = writeln!(out, "{}{} → {}", name(&event), printable(&rule.name), printable(&rule.targets.join(", ")));
            if let Some(words) = words(rule, &event) {
                let _ = writeln!(out, "  {}", printable(&words));
            }
        }
    }
    let _ = writeln!(out, "{count} events, {unmatched} for nobody; nothing was sent");
    output::write(None, &out)?;
    Ok(Exit::Ok)
}

fn words(rule: &Rule, event: &Value) -> Option<String> {
    let applied = rule.words.as_ref()?.apply(event, &rule.name);
    Some(applied.unwrap_or_else(|reason| format!("! its message cannot be made of this event: {reason}")))
}
