//! `lestrade scan`: answers once.

use super::gates::Facts;
use super::judgement::Known;
use super::render::render;
use super::target::Target;
use super::{exceptions, scan_failure, scanner};
use crate::args::{ReportArgs, ScanWhat};
use crate::clock::SystemClock;
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Speech};
use lestrade_findings::ScanFinding;
use lestrade_model::{Clock, Completeness, Severity};
use lestrade_report::{ScanReport, printable};
use std::time::Instant;

pub(crate) fn run(settings: &Settings, speech: Speech, what: &ScanWhat) -> Result<Exit, Failure> {
    let arguments = what.report();
    // What costs nothing to look at is looked at first: a typing error costs no waiting.
    for wanted in &arguments.output {
        output::check(wanted.file.as_deref())?;
    }
    let (statements, expired) = exceptions::load(arguments, &what.name(), speech)?;
    speech.detail(|| walls().unwrap_or_else(|failure| failure.render()));
    let begun = Instant::now();
    let target = Target::read(settings, what, speech)?;
    target.notes.iter().for_each(|note| speech.note(&printable(note)));
    target.details.iter().for_each(|detail| speech.detail(|| detail.clone()));
    speech.detail(|| format!("read in {:.1?}: {} packages", begun.elapsed(), target.inventory.len()));
    let known = Known::open_for(settings, &target.inventory, speech)?;
    let begun = Instant::now();
    let mut report = known.judge(target, &statements, expired)?;
    speech.detail(|| format!("judged in {:.1?}: {} findings", begun.elapsed(), report.result.findings.len()));
    if arguments.vendor_severity {
        report.result.findings.iter_mut().for_each(believe_vendor);
    }
    // Gates and the exit code look at everything that was found; filters are for the eye.
    let exit = exit_of(&report, arguments);
    report.result.findings.retain(|finding| is_shown(finding, arguments));
    for wanted in &arguments.output {
        render(&report, wanted, speech)?;
    }
    let shown = !report.result.findings.is_empty();
    Ok(match arguments.exit_code {
        Some(number) if shown && matches!(exit, Exit::Ok | Exit::Gate | Exit::Incomplete) => Exit::Chosen(number),
        _ => exit,
    })
}

/// Which walls stand around what reads bytes from outside.
fn walls() -> Result<String, Failure> {
    let sandbox = scanner(None)?.sandbox().map_err(|error| scan_failure(&error))?;
    let state = |stands: bool| if stands { "on" } else { "MISSING on this kernel" };
    Ok(format!(
        "workers: limits {}, file system walls (landlock) {}, system call walls (seccomp) {}",
        state(sandbox.limits),
        state(sandbox.landlock),
        state(sandbox.seccomp)
    ))
}

fn is_shown(finding: &ScanFinding, arguments: &ReportArgs) -> bool {
    let severity = finding.assessment.severity;
    let severe = arguments.min_severity.is_none_or(|least| severity >= least.0)
        && (arguments.severity.is_empty() || arguments.severity.iter().any(|wanted| wanted.0 == severity));
    let fixable = finding.packages.iter().any(|package| package.fixed_in.is_some());
    severe && (fixable || !arguments.ignore_unfixed)
}

/// Lets the gravest word of the distributor about the packages that are there decide.
fn believe_vendor(finding: &mut ScanFinding) {
    let words = finding.packages.iter().filter_map(|package| package.vendor_severity.as_deref());
    let gravest = words.filter_map(|word| Some((Severity::of_word(word)?, word))).max_by_key(|(severity, _)| *severity);
    if let Some((severity, word)) = gravest {
        let why = format!("the distributor says '{word}', which you let decide; otherwise: {}", finding.assessment.why);
        (finding.assessment.severity, finding.assessment.why) = (severity, why);
    }
}

fn exit_of(report: &ScanReport, arguments: &ReportArgs) -> Exit {
    let findings = &report.result.findings;
    let mut exits = vec![Exit::Ok];
    if findings.iter().any(|finding| Facts::from(finding).trip(&arguments.fail_on)) {
        exits.push(Exit::Gate);
    }
    if report.completeness() == Completeness::Partial && !arguments.allow_incomplete {
        exits.push(Exit::Incomplete);
    }
    // The starter set cannot say that something is clean, nor hold a gate shut.
    let asked = !arguments.fail_on.is_empty() || arguments.exit_code.is_some();
    if report.intelligence.starter_only && (findings.is_empty() || asked) {
        exits.push(Exit::Intelligence);
    }
    let oldest = arguments.max_db_age.map(|hours| SystemClock.now().plus_millis(-i64::from(hours) * 3_600_000));
    if oldest.is_some_and(|oldest| report.intelligence.newest.is_none_or(|newest| newest < oldest)) {
        exits.push(Exit::Intelligence);
    }
    Exit::worst(exits)
}
