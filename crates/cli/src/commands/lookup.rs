//! `lestrade db show` and `db search`: what the index knows, for who asks without scanning.

use super::failed;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use lestrade_advisories::{Library, OpenIndex};
use lestrade_findings::assess;
use lestrade_model::Advisory;
use lestrade_report::{advisory_text, exploits_text, json_text, printable, rejected};
use serde_json::json;
use std::fmt::Write;

/// The most vulnerabilities that a search names.
const MAX_FOUND: usize = 50;

/// The vulnerability that an id is of: its own, or that of the advisory with this id.
fn resolve(index: &OpenIndex, id: &str) -> Result<Vec<(String, Vec<Advisory>)>, Failure> {
    let records = |vulnerability: &str| -> Result<Vec<Advisory>, Failure> {
        let ordinals = index.advisories_of(vulnerability).map_err(failed)?;
        ordinals.into_iter().map(|ordinal| index.advisory(ordinal).map_err(failed)).collect()
    };
    let own = records(id)?;
    if !own.is_empty() {
        return Ok(vec![(id.to_owned(), own)]);
    }
    let mut found = Vec::new();
    for advisory in index.advisories().map_err(failed)? {
        let advisory = advisory.map_err(failed)?;
        if advisory.key.id.eq_ignore_ascii_case(id) || advisory.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(id)) {
            for vulnerability in advisory.vulnerabilities() {
                found.push((vulnerability.to_owned(), records(vulnerability)?));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found.dedup_by(|a, b| a.0 == b.0);
    Ok(found)
}

pub(super) fn show(library: &Library, id: &str, as_json: bool) -> Result<Exit, Failure> {
    let (_, index) = library.open_current().map_err(failed)?;
    let found = resolve(&index, id.trim())?;
    if found.is_empty() {
        return Err(
            Failure::new("E0503", Exit::Intelligence, format!("no advisory is about '{id}'")).try_(format!("lestrade db search {id}"))
        );
    }
    let mut out = String::new();
    let mut documents = Vec::new();
    for (vulnerability, advisories) in found {
        let exploitation = index.exploitation(&vulnerability).map_err(failed)?;
        let assessment = assess(&vulnerability, &advisories, exploitation.as_ref());
        if as_json {
            documents.push(json!({
                "id": vulnerability,
                "severity": assessment.severity,
                "why": assessment.why,
                "epss": assessment.epss,
                "knownExploited": assessment.known_exploited,
                "exploitMaturity": assessment.maturity.as_str(),
                "exploits": assessment.exploits,
                "ssvc": assessment.ssvc,
                "withdrawn": assessment.withdrawn,
                "rejected": assessment.rejected,
                "advisories": advisories,
            }));
            continue;
        }
        let _ = writeln!(out, "{} · {} · {}", printable(&vulnerability), assessment.severity, printable(&assessment.why));
        if let Some(epss) = assessment.epss {
            let _ = writeln!(out, "  EPSS {epss:.5}");
        }
        if let Some(known) = &assessment.known_exploited {
            let _ = writeln!(out, "  known to be exploited since {}", printable(&known.added));
        }
        if let Some(at) = assessment.rejected {
            let _ = writeln!(out, "  {}", rejected(at));
        }
        exploits_text(&assessment, &mut out);
        if !assessment.summary.is_empty() {
            let _ = writeln!(out, "  {}", printable(assessment.summary.lines().next().unwrap_or_default()));
        }
        for advisory in &advisories {
            out.push_str(&advisory_text(advisory));
        }
    }
    if as_json {
        out = json_text(&json!(documents));
    }
    output::write(None, &out)?;
    Ok(Exit::Ok)
}

pub(super) fn search(library: &Library, text: &str) -> Result<Exit, Failure> {
    let (_, index) = library.open_current().map_err(failed)?;
    let wanted = text.trim().to_lowercase();
    if wanted.is_empty() {
        return Err(Failure::new("E0505", Exit::Usage, "there is nothing to search for").try_("lestrade db search openssl"));
    }
    let holds = |text: &str| text.to_lowercase().contains(&wanted);
    let mut out = String::new();
    let (mut found, mut seen) = (0_usize, std::collections::BTreeSet::new());
    for advisory in index.advisories().map_err(failed)? {
        let advisory = advisory.map_err(failed)?;
        let named = || {
            std::iter::once(&advisory.key.id).chain(&advisory.aliases).any(|id| holds(id))
                || advisory.affected.iter().any(|affected| holds(&affected.name))
        };
        if !(named() || holds(&advisory.summary)) {
            continue;
        }
        for vulnerability in advisory.vulnerabilities() {
            if !seen.insert(vulnerability.to_owned()) {
                continue;
            }
            found += 1;
            if found <= MAX_FOUND {
                let title = advisory.summary.lines().next().unwrap_or_default().chars().take(100).collect::<String>();
                let title = if title.is_empty() {
                    advisory.affected.first().map_or_else(String::new, |affected| format!("{} in {}", affected.name, affected.ecosystem))
                } else {
                    title
                };
                let _ = writeln!(out, "{:<20} {}", printable(vulnerability), printable(&title));
            }
        }
    }
    match found {
        0 => out.push_str("nothing is found\n"),
        found if found > MAX_FOUND => drop(writeln!(out, "and {} more", found - MAX_FOUND)),
        _ => {}
    }
    output::write(None, &out)?;
    Ok(Exit::Ok)
}
