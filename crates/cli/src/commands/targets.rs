//! `lestrade targets`: how those stand that get the events, and what can be done about what they did not take.

use crate::args::TargetsWhat;
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::remote::Remote;
use lestrade_report::printable;
use serde_json::Value;
use std::fmt::Write;

pub(crate) fn run(settings: &Settings, what: &TargetsWhat) -> Result<Exit, Failure> {
    let remote = Remote::of(settings)?;
    match what {
        TargetsWhat::List { json } => list(&remote, *json),
        TargetsWhat::Test { target } => test(&remote, target),
        TargetsWhat::DeadLetters { target, waiting, json } => letters(&remote, target, *waiting, *json),
        TargetsWhat::Redrive { target, id } => redrive(&remote, target, id.as_deref()),
        TargetsWhat::Proposals { target, json } => proposals(&remote, target, *json),
        TargetsWhat::Approve { target, resource } => approve(&remote, target, resource),
        TargetsWhat::Undo { target, resource } => undo(&remote, target, resource),
    }
}

fn text<'a>(value: &'a Value, name: &str) -> std::borrow::Cow<'a, str> {
    printable(value[name].as_str().unwrap_or_default())
}

fn list(remote: &Remote, json: bool) -> Result<Exit, Failure> {
    let answer = remote.get("targets", &[])?;
    if json {
        output::write(None, &format!("{answer}\n"))?;
        return Ok(Exit::Ok);
    }
    let mut out = format!("{:<24} {:<12} {:<8} {:>8} {:>8} {:>6}\n", "TARGET", "KIND", "STATE", "BEHIND", "WAITING", "DEAD");
    for target in answer["targets"].as_array().into_iter().flatten() {
        let state = if target["enabled"] == true { "served" } else { "off" };
        let (name, kind) = (text(target, "name"), text(target, "kind"));
        let _ = writeln!(out, "{name:<24} {kind:<12} {state:<8} {:>8} {:>8} {:>6}", target["behind"], target["waiting"], target["dead"]);
    }
    if let Some(problem) = remote.get("rules", &[])?["problem"].as_str() {
        let _ = writeln!(out, "! the rules' folder is not taken as it is now: {}", printable(problem));
    }
    output::write(None, &out)?;
    Ok(Exit::Ok)
}

fn test(remote: &Remote, target: &str) -> Result<Exit, Failure> {
    let answer = remote.post(&format!("targets/{target}/test"), &[])?;
    if answer["taken"] == true {
        output::write(None, &format!("'{target}' took a test event\n"))?;
        return Ok(Exit::Ok);
    }
    Err(Failure::new("E0352", Exit::Network, format!("'{target}' did not take a test event")).cause(text(&answer, "reason")))
}

fn letters(remote: &Remote, target: &str, waiting: bool, json: bool) -> Result<Exit, Failure> {
    let state = if waiting { "waiting" } else { "dead" };
    let answer = remote.get(&format!("targets/{target}/letters"), &[("state", state)])?;
    if json {
        output::write(None, &format!("{answer}\n"))?;
        return Ok(Exit::Ok);
    }
    let letters = answer["letters"].as_array().map_or(&[][..], Vec::as_slice);
    let mut out = String::new();
    for letter in letters {
        let _ = writeln!(out, "{}  {}", text(letter, "id"), text(letter, "about"));
        let _ = writeln!(out, "  tried {} times, last {}: {}", letter["attempts"], text(letter, "tried"), text(letter, "reason"));
    }
    let _ = writeln!(out, "{} {state} letters", letters.len());
    if !waiting && !letters.is_empty() {
        let _ = writeln!(out, "  try: lestrade targets redrive {target}");
    }
    output::write(None, &out)?;
    Ok(Exit::Ok)
}

fn redrive(remote: &Remote, target: &str, id: Option<&str>) -> Result<Exit, Failure> {
    let query: Vec<(&str, &str)> = id.map(|id| ("id", id)).into_iter().collect();
    let answer = remote.post(&format!("targets/{target}/redrive"), &query)?;
    output::write(None, &format!("{} letters are sent again\n", answer["redriven"]))?;
    Ok(Exit::Ok)
}

fn undo(remote: &Remote, target: &str, resource: &str) -> Result<Exit, Failure> {
    let answer = remote.post(&format!("targets/{target}/undo"), &[("resource", resource)])?;
    output::write(None, &format!("{}\n", text(&answer, "undone")))?;
    Ok(Exit::Ok)
}

fn proposals(remote: &Remote, target: &str, json: bool) -> Result<Exit, Failure> {
    let answer = remote.get(&format!("targets/{target}/proposals"), &[])?;
    if json {
        output::write(None, &format!("{answer}\n"))?;
        return Ok(Exit::Ok);
    }
    let proposals = answer["proposals"].as_array().map_or(&[][..], Vec::as_slice);
    let listed = |proposal: &Value, name: &str| {
        let texts = proposal[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        printable(&texts.collect::<Vec<_>>().join(", ")).into_owned()
    };
    let mut out = String::new();
    for proposal in proposals {
        let _ = writeln!(out, "{}: {}", text(proposal, "resource"), text(proposal, "state"));
        let _ = writeln!(out, "  {}\n  open yet: {}", listed(proposal, "what"), listed(proposal, "closes"));
        if proposal["state"] == "proposed" {
            let _ = writeln!(out, "  try: lestrade targets approve {target} {}", text(proposal, "resource"));
        }
    }
    let _ = writeln!(out, "{} proposals", proposals.len());
    output::write(None, &out)?;
    Ok(Exit::Ok)
}

fn approve(remote: &Remote, target: &str, resource: &str) -> Result<Exit, Failure> {
    let answer = remote.post(&format!("targets/{target}/approve"), &[("resource", resource)])?;
    output::write(None, &format!("{}\n", text(&answer, "approved")))?;
    Ok(Exit::Ok)
}
