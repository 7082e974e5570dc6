//! `lestrade doctor`: whether all that a watching server needs is there, one by one, and what to do about what is not.

use super::library;
use super::serve::estate_settings;
use crate::args::Doctor;
use crate::clock::SystemClock;
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use lestrade_aws::{Duty, Error, Estate, Permission, Tried, policy, try_permissions};
use lestrade_model::Clock;
use lestrade_report::printable;
use std::fmt::Write;
use std::sync::Arc;

/// Intelligence older than this is said to be old: two days.
const OLD_MS: i64 = 2 * 86_400_000;

/// What was found, and how it ends.
#[derive(Default)]
struct Findings {
    out: String,
    exits: Vec<Exit>,
}

impl Findings {
    // Writing to a string does not fail.
    fn good(&mut self, what: &str, said: &str) {
        let _ = writeln!(self.out, "  ok      {what:<42} {}", printable(said));
    }

    fn bad(&mut self, exit: Exit, what: &str, said: &str, remedy: &str) {
        let _ = writeln!(self.out, "! FAILED  {what:<42} {}", printable(said));
        if !remedy.is_empty() {
            let _ = writeln!(self.out, "  try: {remedy}");
        }
        self.exits.push(exit);
    }
}

pub(crate) fn run(settings: &Settings, arguments: &Doctor) -> Result<Exit, Failure> {
    let mut findings = Findings::default();
    intelligence(settings, &mut findings);
    state(settings, &mut findings);
    if settings.text("aws") != Some("off") || arguments.aws {
        aws(settings, arguments, &mut findings)?;
    }
    output::write(None, &findings.out)?;
    Ok(Exit::worst(findings.exits))
}

fn intelligence(settings: &Settings, findings: &mut Findings) {
    const WHAT: &str = "vulnerability intelligence";
    match library(settings).open_current() {
        Ok((_, index)) => {
            let manifest = index.manifest();
            let age = SystemClock.now().as_millis().saturating_sub(manifest.built_at.as_millis());
            let said = format!("generation {}, built {}", manifest.generation, manifest.built_at);
            match age > OLD_MS {
                true => findings.bad(Exit::Intelligence, WHAT, &format!("{said}: old"), "lestrade db update"),
                false => findings.good(WHAT, &said),
            }
        }
        Err(error) => findings.bad(Exit::Intelligence, WHAT, &error.to_string(), "lestrade db update      # or lestrade db import PATH"),
    }
}

fn state(settings: &Settings, findings: &mut Findings) {
    let folder = settings.path("state-dir");
    // What cannot be written to cannot keep what is found; a folder that is not there yet is made by the first start.
    let probe = folder.join(".doctor");
    let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&probe, b"")).and_then(|()| std::fs::remove_file(&probe));
    match written {
        Ok(()) => findings.good("state folder", &folder.display().to_string()),
        Err(error) => findings.bad(Exit::Input, "state folder", &format!("{}: {error}", folder.display()), "--set state-dir=…"),
    }
}

fn aws(settings: &Settings, arguments: &Doctor, findings: &mut Findings) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("E0702", Exit::Bug, "no thread can be started").cause(error))?;
    let estate = match runtime.block_on(Estate::enter(&estate_settings(settings), Arc::new(SystemClock))) {
        Ok(estate) => estate,
        Err(Error::Credentials(_)) if !arguments.aws && settings.text("aws") != Some("on") => {
            findings.good("AWS", "no credentials: it is not watched");
            return Ok(());
        }
        Err(error) => {
            let remedy = "aws sts get-caller-identity      # with the same environment";
            findings.bad(Exit::Network, "AWS", &error.to_string(), remedy);
            return Ok(());
        }
    };
    if let Some(error) = &estate.unlisted {
        let remedy = "ask as the organisation's management account or a delegated administrator, with organizations:ListAccounts";
        findings.bad(Exit::Incomplete, "accounts of the organisation", &error.to_string(), remedy);
    } else if settings.flag("aws-organization") {
        findings.good("accounts of the organisation", "all are known");
    }
    for (account, error) in &estate.closed {
        let role = settings.text("aws-role").unwrap_or_default();
        let remedy = format!("let the role {role} of {account} be assumed by who runs lestrade");
        findings.bad(Exit::Incomplete, &format!("account {account}"), &error.to_string(), &remedy);
    }
    let mut missing: Vec<Permission> = Vec::new();
    for (scope, session) in &estate.sessions {
        findings.good("AWS", &format!("account {} in {}", scope.account, scope.region));
        for (permission, tried) in runtime.block_on(try_permissions(session)) {
            match tried {
                Tried::Granted => findings.good(&permission.action, ""),
                // Who switched it off does not miss it.
                Tried::Denied if permission.duty == Duty::Ask && !settings.flag("aws-run-command") => {}
                Tried::Denied => {
                    findings.bad(Exit::Incomplete, &permission.action, "DENIED", "");
                    missing.push(permission);
                }
                Tried::Unknown(reason) => findings.bad(Exit::Network, &permission.action, &reason, ""),
            }
        }
    }
    missing.sort();
    missing.dedup();
    if !missing.is_empty() {
        let text = serde_json::to_string_pretty(&policy(&missing)).unwrap_or_default();
        let _ = writeln!(findings.out, "\nThis policy grants what is missing:\n\n{text}");
    }
    Ok(())
}
