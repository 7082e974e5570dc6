//! What a running server knows: how it stands, its findings, its resources, and how well each is looked at.

use super::columns::{columns, counted, span};
use crate::args::{CoverageArgs, FindingsArgs, ResourcesArgs, StatusArg};
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Speech};
use crate::remote::{Remote, Rows, part};
use clap::ValueEnum;
use lestrade_report::{json_text, printable};
use serde_json::{Value, json};
use std::fmt::Write;

/// How many findings of one vulnerability are explained.
const EXPLAINED: usize = 20;
/// How much of a finding's id is shown in a list: as much as names it in any estate that is likely.
const SHORT: usize = 12;
/// The state of what is affected and not mended yet.
const OPEN: &str = lestrade_model::FixState::Open.as_str();

const SEVERITIES: [&str; 6] = ["critical", "high", "medium", "low", "informational", "untriaged"];

fn text(value: &Value, path: &str) -> String {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or_default()
}

fn rows(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn show(answer: &Value) -> Result<Exit, Failure> {
    output::write(None, &json_text(answer))?;
    Ok(Exit::Ok)
}

/// The severities of which there are any: `1 critical · 2 low`.
pub(super) fn severities(counts: &Value) -> String {
    let of = |severity: &&str| Some((counts[*severity].as_u64().filter(|count| *count > 0)?, (*severity).to_owned()));
    let all: Vec<String> = SEVERITIES.iter().filter_map(of).map(|(count, severity)| format!("{count} {severity}")).collect();
    all.join(" · ")
}

pub(crate) fn status(settings: &Settings, _: Speech, as_json: bool) -> Result<Exit, Failure> {
    let answer = Remote::of(settings)?.get("status", &[])?;
    if as_json {
        return show(&answer);
    }
    let intelligence = match answer["intelligence"].as_object() {
        Some(known) => format!(
            "intelligence generation {}, {} old",
            known.get("generation").and_then(Value::as_u64).unwrap_or_default(),
            span(known.get("ageSeconds").and_then(Value::as_u64).unwrap_or_default())
        ),
        None => "NO intelligence: nothing is judged".to_owned(),
    };
    let kinds = rows(&answer["resources"]);
    let total: u64 = kinds.iter().map(|kind| number(kind, "/total")).sum();
    let active: u64 = kinds.iter().map(|kind| number(kind, "/active")).sum();
    let (audited, differences) = (number(&answer, "/audit/resources"), number(&answer, "/audit/differences"));
    let mut out = format!("lestrade {} · {intelligence} · {}, {active} covered\n", text(&answer, "/version"), counted(total, "resource"));
    let found = number(&answer, "/findings/active");
    let _ = match found {
        0 => writeln!(out, " 0 active findings"),
        _ => writeln!(out, " {}: {}", counted(found, "active finding"), severities(&answer["findings"])),
    };
    let _ = match (text(&answer, "/audit/at").as_str(), differences) {
        ("", _) => writeln!(out, " not audited yet"),
        (at, 0) => writeln!(out, " audited {at}: {} looked at, no difference", counted(audited, "resource")),
        (at, _) => writeln!(out, "! audited {at}: {}: this is a fault of ours", counted(differences, "difference")),
    };
    if let Some(since) = answer["stalled"].as_str() {
        let _ = writeln!(out, "! NOTHING can be written since {}: what is new is not taken in", printable(since));
    }
    for poll in rows(&answer["polls"]).iter().filter(|poll| number(poll, "/failures") > 0) {
        let (feed, times) = (text(poll, "/feed"), counted(number(poll, "/failures"), "time"));
        let _ = writeln!(out, "! feed {feed} brought nothing, {times} in a row: {}", text(poll, "/failure"));
    }
    if answer["intelligence"].is_null() {
        out.push_str("  try: lestrade db update      # or, without a network: lestrade db import PATH\n");
    }
    let cell = |value: &Value, path: &str| number(value, path).to_string();
    let of_kind = |kind: &Value| {
        let why = kind["inactive"].as_object().into_iter().flatten().map(|(reason, count)| format!("{count} {reason}"));
        vec![text(kind, "/kind"), cell(kind, "/total"), cell(kind, "/active"), cell(kind, "/gone"), why.collect::<Vec<_>>().join(", ")]
    };
    if !kinds.is_empty() {
        let table: Vec<Vec<String>> = kinds.iter().map(of_kind).collect();
        let _ = write!(out, "\n{}", columns(&["KIND", "TOTAL", "COVERED", "GONE", "NOT COVERED"], &table, &[4], output::width()));
    }
    let targets = rows(&answer["targets"]);
    if !targets.is_empty() {
        let of = |target: &Value| {
            let state = if target["enabled"] == true { "served" } else { "off" };
            vec![
                text(target, "/name"),
                state.to_owned(),
                cell(target, "/behind"),
                span(number(target, "/lag")),
                cell(target, "/waiting"),
                cell(target, "/dead"),
            ]
        };
        let table: Vec<Vec<String>> = targets.iter().map(of).collect();
        let _ = write!(out, "\n{}", columns(&["TARGET", "STATE", "BEHIND", "LAG", "WAITING", "DEAD"], &table, &[0], output::width()));
    }
    output::write(None, &out)?;
    Ok(Exit::Ok)
}

/// The version that mends a package, or that there is none.
fn fixed(package: &Value) -> String {
    match (package["fixedIn"].as_str(), package["state"].as_str()) {
        (Some(version), _) => version.to_owned(),
        (None, Some(state)) if state != OPEN => state.to_owned(),
        (None, _) => "no fix yet".to_owned(),
    }
}

fn names<T: ValueEnum>(values: &[T]) -> String {
    let names: Vec<String> = values.iter().filter_map(|value| Some(value.to_possible_value()?.get_name().to_owned())).collect();
    names.join(",")
}

pub(crate) fn findings(settings: &Settings, _: Speech, arguments: &FindingsArgs) -> Result<Exit, Failure> {
    let remote = Remote::of(settings)?;
    if let Some(id) = &arguments.id {
        let finding = remote.get(&format!("findings/{}", part(id)), &[])?;
        return if arguments.json { show(&finding) } else { one(&finding) };
    }
    let severity = arguments.severity.iter().map(|severity| severity.0.as_str()).collect::<Vec<_>>().join(",");
    let status = names::<StatusArg>(&arguments.status);
    let mut query = vec![("status", status.as_str())];
    query.extend((!severity.is_empty()).then_some(("severity", severity.as_str())));
    query.extend(arguments.resource.as_deref().map(|resource| ("resource", resource)));
    query.extend(arguments.vulnerability.as_deref().map(|id| ("vulnerability", id)));
    let Rows { rows: found, more, answer } = remote.rows("findings", "findings", &query, arguments.limit.max(1))?;
    let (intelligence, missed) = (&answer["intelligence"], number(&answer, "/notCovered"));
    if arguments.json {
        let shown = json!({
            "schema": "lestrade.estate/1", "findings": found, "more": more, "intelligence": intelligence, "notCovered": missed,
        });
        return show(&shown);
    }
    let mut out = heading(&found, more, "finding", &status.replace(',', " or "));
    if intelligence.is_null() {
        out.push_str(
            "! NO intelligence: nothing is judged\n  try: lestrade db update      # or, without a network: lestrade db import PATH\n",
        );
    }
    if missed > 0 {
        let _ = writeln!(out, "! {} not covered, so more may be there\n  try: lestrade coverage --inactive", counted(missed, "resource"));
    }
    let by_status = arguments.status.len() > 1;
    // Of images nobody knows, and a column of that says nothing.
    let by_exposure = found.iter().any(|finding| finding["exposure"] != "unknown");
    let of = |finding: &Value| {
        let packages = rows(&finding["packages"]);
        let first = packages.first().cloned().unwrap_or_default();
        let others = number(finding, "/packageCount").saturating_sub(1);
        let package = if others > 0 { format!("{} (+{others})", text(&first, "/name")) } else { text(&first, "/name") };
        let mut row = vec![
            format!("{:>3.0}", finding["risk"].as_f64().unwrap_or_default()),
            text(finding, "/severity"),
            // What is no vulnerability is named by what it is.
            text(finding, if finding["vulnerability"].is_null() { "/title" } else { "/vulnerability" }),
            package,
            text(&first, "/version"),
            fixed(&first),
            text(finding, "/resource/name"),
            text(finding, "/id").chars().take(SHORT).collect(),
        ];
        if by_exposure {
            row.push(reach(finding));
        }
        if by_status {
            row.push(text(finding, "/status"));
        }
        row
    };
    if !found.is_empty() {
        let mut titles = vec!["RISK", "SEVERITY", "VULNERABILITY", "PACKAGE", "INSTALLED", "FIXED", "RESOURCE", "ID"];
        titles.extend(by_exposure.then_some("EXPOSURE"));
        titles.extend(by_status.then_some("STATUS"));
        let table: Vec<Vec<String>> = found.iter().map(of).collect();
        let _ = write!(out, "\n{}", columns(&titles, &table, &[6, 3, 4, 5, 1], output::width()));
    }
    output::write(None, &out)?;
    Ok(Exit::Ok)
}

/// From how far a finding's resource is reached, and whether anything of the finding listens there.
fn reach(finding: &Value) -> String {
    let exposure = text(finding, "/exposure");
    match text(finding, "/listening").as_str() {
        "listening" | "not-listening" => format!("{exposure}, {}", text(finding, "/listening")),
        _ => exposure,
    }
}

/// How many there are, and how to see the rest.
fn heading(found: &[Value], more: bool, noun: &str, which: &str) -> String {
    let which = if which.is_empty() { String::new() } else { format!("{which} ") };
    let mut out = match (found.len(), more) {
        (count, true) => format!("the first {count} {which}{noun}s\n"),
        (count, false) => format!("{count} {which}{noun}{}\n", if count == 1 { "" } else { "s" }),
    };
    if more {
        let _ = writeln!(out, "  try: --limit {}", found.len().saturating_mul(10));
    }
    out
}

/// What of a finding listens, and from how far it is reached: a line for each socket.
pub(super) fn listening(finding: &Value) -> Vec<String> {
    let shown = |socket: &Value| {
        let process = Some(text(socket, "/process")).filter(|name| !name.is_empty()).unwrap_or_else(|| "a process".to_owned());
        let program = Some(text(socket, "/executable")).filter(|path| !path.is_empty()).map(|path| format!(" ({path})"));
        let process = format!("{process}{}", program.unwrap_or_default());
        let place = format!("{process} at {} port {}/{}", text(socket, "/address"), number(socket, "/port"), text(socket, "/protocol"));
        let over = Some(text(socket, "/reachedOver")).filter(|edge| !edge.is_empty()).map(|edge| format!(" over {edge}"));
        let reached = match text(socket, "/reachedFrom").as_str() {
            "none" => "reached by nobody".to_owned(),
            from => format!("reached from: {from}{}", over.unwrap_or_default()),
        };
        printable(&format!("{place}, {reached}")).into_owned()
    };
    let sockets: Vec<String> = rows(&finding["sockets"]).iter().map(shown).collect();
    match text(finding, "/listening").as_str() {
        "unknown" => vec!["not known: no agent tells who listens here".to_owned()],
        _ if sockets.is_empty() => vec!["nothing of it".to_owned()],
        _ => sockets,
    }
}

/// Where findings of a vulnerability are, and who gets to the processes that run what is affected.
pub(super) fn reached(settings: &Settings, vulnerability: &str, resource: &str) -> Result<String, Failure> {
    let remote = Remote::of(settings)?;
    let query = [("vulnerability", vulnerability), ("resource", resource), ("status", "active,suppressed")];
    let Rows { rows: found, more, .. } = remote.rows("findings", "findings", &query, EXPLAINED)?;
    let mut out = String::new();
    for listed in &found {
        let finding = remote.get(&format!("findings/{}", part(&text(listed, "/id"))), &[])?;
        let shown = |path: &str| printable(&text(&finding, path)).into_owned();
        let _ = writeln!(
            out,
            "  {} · exposure {} · risk {:.0}",
            shown("/resource/name"),
            shown("/exposure"),
            finding["risk"].as_f64().unwrap_or_default()
        );
        let packages: Vec<String> = rows(&finding["packages"])
            .iter()
            .map(|package| printable(&format!("{} {}", text(package, "/name"), text(package, "/version"))).into_owned())
            .collect();
        for socket in listening(&finding) {
            let _ = writeln!(out, "    {} → {socket}", packages.join(", "));
        }
    }
    let _ = match (found.as_slice(), more) {
        ([], _) => writeln!(out, "  no active finding of it in '{}'", printable(resource)),
        (_, true) => writeln!(out, "  and more: lestrade findings --vulnerability {}", printable(vulnerability)),
        _ => Ok(()),
    };
    Ok(out)
}

/// A finding by itself.
fn one(finding: &Value) -> Result<Exit, Failure> {
    let shown = |path: &str| printable(&text(finding, path)).into_owned();
    let mut out = format!(
        "{} · {} · {} · risk {:.0}\n",
        shown(if finding["vulnerability"].is_null() { "/title" } else { "/vulnerability" }),
        shown("/severity"),
        shown("/status"),
        finding["risk"].as_f64().unwrap_or_default()
    );
    let _ = writeln!(out, " {}", shown("/summary"));
    if finding["suppressedBy"].is_string() {
        let _ = writeln!(out, " suppressed by {}", shown("/suppressedBy"));
    }
    let _ = writeln!(out, " in {} ({})", shown("/resource/name"), shown("/resource/id"));
    let _ = writeln!(out, " since {}, last seen {}", shown("/firstObserved"), shown("/lastObserved"));
    let _ = writeln!(out, " {}", shown("/why"));
    let factor = |name: &str| finding["riskFactors"][name].as_f64().unwrap_or_default();
    let _ = writeln!(
        out,
        " risk: impact {:.2} x likelihood {:.2} x exposure {:.2} ({}) x weight {:.2}",
        factor("impact"),
        factor("likelihood"),
        factor("exposure"),
        shown("/exposure"),
        factor("weight")
    );
    let _ = writeln!(out, " listening: {}", listening(finding).join("; "));
    let path: Vec<String> = rows(&finding["path"]).iter().map(|step| printable(&text(step, "/id")).into_owned()).collect();
    if !path.is_empty() {
        let _ = writeln!(out, " path: {}\n try: {}", path.join(" > "), shown("/remediation"));
    }
    let of = |package: &Value| vec![text(package, "/name"), text(package, "/version"), fixed(package), text(package, "/path")];
    let table: Vec<Vec<String>> = rows(&finding["packages"]).iter().map(of).collect();
    if !table.is_empty() {
        let _ = write!(out, "\n{}", columns(&["PACKAGE", "INSTALLED", "FIXED", "WHERE"], &table, &[3, 0, 1, 2], output::width()));
    }
    let _ = writeln!(out, "\n{}", shown("/arn"));
    output::write(None, &out)?;
    Ok(Exit::Ok)
}

fn asked<'a>(arguments: &'a ResourcesArgs, kind: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut query = Vec::new();
    query.extend((!kind.is_empty()).then_some(("kind", kind)));
    query.extend(arguments.resource.as_deref().map(|resource| ("resource", resource)));
    query.extend(arguments.gone.then_some(("gone", "true")));
    query
}

pub(crate) fn resources(settings: &Settings, _: Speech, arguments: &ResourcesArgs) -> Result<Exit, Failure> {
    let kind = names(arguments.kind.as_slice());
    let Rows { rows: found, more, .. } =
        Remote::of(settings)?.rows("resources", "resources", &asked(arguments, &kind), arguments.limit.max(1))?;
    if arguments.json {
        return show(&json!({"schema": "lestrade.estate/1", "resources": found, "more": more}));
    }
    let mut out = heading(&found, more, "resource", &kind);
    let of = |resource: &Value| {
        let looks = rows(&resource["coverage"]);
        let worst = looks.iter().find(|look| look["status"] != "active").or(looks.first()).cloned().unwrap_or_default();
        let open = |severity: &str| resource["open"][severity].as_u64().unwrap_or_default();
        let rest: u64 = SEVERITIES[2..].iter().map(|severity| open(severity)).sum();
        vec![
            text(resource, "/kind"),
            text(resource, "/name"),
            open("critical").to_string(),
            open("high").to_string(),
            rest.to_string(),
            text(&worst, "/reason"),
            text(&worst, "/lastScanned"),
            text(resource, "/id"),
        ]
    };
    if !found.is_empty() {
        let titles = ["KIND", "NAME", "CRITICAL", "HIGH", "OTHER", "COVERAGE", "LAST LOOKED AT", "ID"];
        let table: Vec<Vec<String>> = found.iter().map(of).collect();
        let _ = write!(out, "\n{}", columns(&titles, &table, &[7, 1, 5, 6], output::width()));
    }
    output::write(None, &out)?;
    Ok(Exit::Ok)
}

pub(crate) fn coverage(settings: &Settings, _: Speech, arguments: &CoverageArgs) -> Result<Exit, Failure> {
    let kind = names(arguments.of.kind.as_slice());
    let mut query = asked(&arguments.of, &kind);
    query.extend(arguments.inactive.then_some(("status", "inactive")));
    let Rows { rows: found, more, .. } = Remote::of(settings)?.rows("coverage", "coverage", &query, arguments.of.limit.max(1))?;
    if arguments.of.json {
        return show(&json!({"schema": "lestrade.estate/1", "coverage": found, "more": more}));
    }
    let mut out = heading(&found, more, "look", if arguments.inactive { "inactive" } else { "" });
    let of = |look: &Value| {
        vec![
            text(look, "/status"),
            text(look, "/reason"),
            text(look, "/scan"),
            text(look, "/resource/kind"),
            text(look, "/resource/name"),
            text(look, "/lastScanned"),
            text(look, "/detail"),
        ]
    };
    if !found.is_empty() {
        let titles = ["STATUS", "REASON", "LOOK", "KIND", "NAME", "LAST LOOKED AT", "NOT COVERED"];
        let table: Vec<Vec<String>> = found.iter().map(of).collect();
        let _ = write!(out, "\n{}", columns(&titles, &table, &[6, 4, 1, 5], output::width()));
    }
    output::write(None, &out)?;
    Ok(Exit::Ok)
}
