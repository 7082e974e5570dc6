//! Why a vulnerability matches, why it scores as it does, and how to be rid of it: every step of a verdict, in words.

use crate::fixes::command;
use crate::{ScanReport, TableStyle, exposure_word, fixes, printable, resource_ref_json};
use lestrade_findings::{AffectedPackage, Assessment, FindingView, WEIGHT_TAG};
use lestrade_matching::affects;
use lestrade_model::{Advisory, Affected, Component, Cvss, Event, FixState, Range, Score, Timestamp};
use serde_json::{Value, json};
use std::fmt::Write;

const BOLD: &str = "1";
/// The most packages of one advisory, and advisories of one vulnerability, that are listed.
const MOST: usize = 20;

/// Explains a vulnerability; with a scan also what it is in there.
#[must_use]
pub fn explain(assessment: &Assessment, advisories: &[Advisory], report: Option<&ScanReport>, style: TableStyle) -> String {
    let mut out = String::new();
    let title = |text: &str| style.paint(BOLD, text);
    let _ = writeln!(out, "{} · {}", title(&assessment.id), assessment.severity.as_str().to_lowercase());
    for text in [&assessment.summary, &assessment.related.join(", ")] {
        if !text.is_empty() {
            let _ = writeln!(out, "  {}", printable(text));
        }
    }
    if let Some(url) = &assessment.source_url {
        let _ = writeln!(out, "  {}", printable(url));
    }
    if let Some(at) = assessment.rejected {
        let _ = writeln!(out, "  {}", rejected(at));
    }
    let _ = writeln!(out, "\n{}", title("WHY THIS SEVERITY"));
    severity(assessment, &mut out);
    if let Some(report) = report {
        let _ = writeln!(out, "\n{}", title("WHY IT MATCHES"));
        matches(assessment, advisories, report, &mut out);
    }
    let _ = writeln!(out, "\n{}", title("WHO SAYS SO"));
    for advisory in advisories.iter().take(MOST) {
        let withdrawn = advisory.withdrawn.map(|at| format!(", withdrawn at {at}")).unwrap_or_default();
        let _ = writeln!(out, "  {} of {}{withdrawn}", printable(&advisory.key.id), printable(&advisory.key.feed));
        for affected in advisory.affected.iter().take(MOST) {
            let _ = writeln!(out, "    {}", entry(affected));
        }
        more(advisory.affected.len(), "packages", &mut out);
    }
    more(advisories.len(), "advisories", &mut out);
    out
}

/// That an id is rejected, of a vulnerability of which records stand.
#[must_use]
pub fn rejected(at: Timestamp) -> String {
    format!("its id was rejected at {at}; the records of it that stand are still found")
}

fn more(count: usize, what: &str, out: &mut String) {
    if count > MOST {
        let _ = writeln!(out, "    and {} more {what}", count - MOST);
    }
}

fn severity(assessment: &Assessment, out: &mut String) {
    let _ = writeln!(out, "  {}", printable(&assessment.why));
    for score in &assessment.scores {
        let chosen = if assessment.decided_by.as_ref() == Some(score) { "decides" } else { "" };
        let _ = writeln!(
            out,
            "  {:<8} CVSS {} {:.1} of {}  {}",
            chosen,
            score.cvss.version.as_str(),
            score.cvss.score,
            printable(&score.source.0),
            printable(&score.cvss.vector)
        );
    }
    if let Some(word) = &assessment.vendor_severity {
        let _ = writeln!(
            out,
            "  the publisher's own word is '{}'; it decides where there is no score, or with --vendor-severity",
            printable(word)
        );
    }
    match assessment.epss {
        Some(epss) => {
            let _ = writeln!(out, "  EPSS {epss:.5}: how likely it is exploited within 30 days");
        }
        None => out.push_str("  EPSS: not known\n"),
    }
    match &assessment.known_exploited {
        Some(known) => {
            let ransomware = if known.ransomware { ", by ransomware too" } else { "" };
            let _ = writeln!(
                out,
                "  exploited: in CISA's catalogue since {}{ransomware}; {}",
                printable(&known.added),
                printable(&known.action)
            );
        }
        None => out.push_str("  exploited: not in CISA's catalogue\n"),
    }
    exploits_text(assessment, out);
}

/// Published exploits, and CISA's answers; nothing where there are none.
pub fn exploits_text(assessment: &Assessment, out: &mut String) {
    const NAMED: usize = 5;
    for exploit in assessment.exploits.iter().rev().take(NAMED) {
        let source = exploit.source.as_str();
        let _ = writeln!(out, "  exploit: {source} {}, {}", printable(&exploit.name), exploit.maturity.as_str());
    }
    if assessment.exploits.len() > NAMED {
        let _ = writeln!(out, "  and {} exploits more", assessment.exploits.len() - NAMED);
    }
    if let Some(ssvc) = &assessment.ssvc {
        let [exploitation, automatable, impact] =
            [&ssvc.exploitation, &ssvc.automatable, &ssvc.technical_impact].map(|text| printable(text));
        let _ = writeln!(out, "  SSVC, by CISA: exploitation {exploitation}, automatable {automatable}, technical impact {impact}");
    }
}

fn matches(assessment: &Assessment, advisories: &[Advisory], report: &ScanReport, out: &mut String) {
    let finding = report.result.findings.iter().find(|finding| finding.assessment.id == assessment.id);
    let mut previous: Option<&Component> = None;
    for package in finding.iter().flat_map(|finding| &finding.packages) {
        let component = &package.component;
        if previous != Some(component) {
            let _ = writeln!(out, "  {}", named(component));
            if component.ecosystem.family.judges_source()
                && let Some(source) = &component.source
            {
                let _ = writeln!(out, "    judged by its source package {} {}", printable(&source.name), printable(&source.version));
            }
            for (advisory, affected) in sayings(advisories, component) {
                let _ = writeln!(out, "    {} of {}: {}", printable(&advisory.key.id), printable(&advisory.key.feed), entry(affected));
            }
        }
        previous = Some(component);
        let layer = package.layer.as_ref().map(|layer| format!(", layer {}", printable(layer))).unwrap_or_default();
        let _ = writeln!(out, "    at {}{layer}", printable(package.path.as_deref().unwrap_or("an unknown place")));
    }
    for excepted in report.result.excepted.iter().filter(|excepted| excepted.assessment.id == assessment.id) {
        let statement = &excepted.statement;
        let _ = writeln!(
            out,
            "  {}: left out, {} says '{}' ({})",
            named(&excepted.package.component),
            printable(&statement.source),
            statement.status.as_str(),
            printable(&statement.reason)
        );
    }
    if finding.is_none() && !report.result.excepted.iter().any(|excepted| excepted.assessment.id == assessment.id) {
        near_misses(advisories, report, out);
    }
    for fix in fixes(report).iter().filter(|fix| fix.closes.contains(&assessment.id)) {
        let how = fix.command.clone().unwrap_or_else(|| format!("upgrade {}", fix.package));
        let _ = writeln!(out, "  fix: {}  → {}", printable(&how), printable(&fix.to));
    }
}

/// What advisories say that affects a component.
fn sayings<'a>(advisories: &'a [Advisory], component: &'a Component) -> impl Iterator<Item = (&'a Advisory, &'a Affected)> {
    let standing = advisories.iter().filter(|advisory| !advisory.is_withdrawn());
    let all = standing.flat_map(|advisory| advisory.affected.iter().map(move |affected| (advisory, affected)));
    all.filter(|(_, affected)| affects(affected, component).is_some())
}

/// Explains a finding of a watched estate: why it matches, why it is as severe and as risky as it is, and how to be rid of it.
#[must_use]
pub fn explain_json(view: &FindingView, advisories: &[Advisory]) -> Value {
    let assessment = &view.assessment;
    let mut matches: Vec<Value> = Vec::new();
    let mut fixes: Vec<Value> = Vec::new();
    let mut previous: Option<&Component> = None;
    for package in &view.packages {
        let component = &package.component;
        if previous == Some(component) {
            // At another place.
            if let Some(places) = matches.last_mut().and_then(|last| last["places"].as_array_mut()).filter(|places| places.len() < MOST) {
                places.push(place(package));
            }
            continue;
        }
        previous = Some(component);
        let judged_by = component.source.as_ref().filter(|_| component.ecosystem.family.judges_source());
        let said = |(advisory, affected): (&Advisory, &Affected)| json!({"advisory": advisory.key.id, "feed": advisory.key.feed, "says": entry(affected)});
        matches.push(json!({
            "ecosystem": component.ecosystem.to_string(),
            "name": component.name,
            "version": component.version,
            "judgedBy": judged_by.map(|source| json!({"name": source.name, "version": source.version})),
            "because": sayings(advisories, component).take(MOST).map(said).collect::<Vec<_>>(),
            "places": [place(package)],
        }));
        fixes.push(json!({
            "package": component.name,
            "installed": component.version,
            "state": package.state.as_str(),
            "to": package.fixed_in,
            "command": package.fixed_in.as_ref().and_then(|to| command(&component.ecosystem.family, std::slice::from_ref(&component.name), to)),
        }));
    }
    let score = |score: &Score| {
        json!({"source": score.source.0, "version": score.cvss.version.as_str(), "vector": score.cvss.vector, "score": score.cvss.score,
            "decides": assessment.decided_by.as_ref() == Some(score)})
    };
    json!({
        "schema": "lestrade.explanation/1",
        "finding": view.arn.as_str(),
        "vulnerability": assessment.condition.is_none().then_some(&assessment.id),
        "resource": resource_ref_json(&view.resource),
        "status": view.status.as_str().to_lowercase(),
        "rejected": assessment.rejected.map(|at| at.to_string()),
        "suppressedBy": view.suppressed_by.as_deref(),
        "severity": {
            "is": view.severity.as_str().to_lowercase(),
            "why": assessment.why,
            "scores": assessment.scores.iter().map(score).collect::<Vec<_>>(),
            "vendor": assessment.vendor_severity,
        },
        "inspectorScore": in_context(view),
        "risk": {"value": view.risk().value, "waterfall": waterfall(view)},
        "matches": matches,
        "fixes": fixes,
        "remediation": assessment.condition.as_ref().map(|condition| &condition.remediation),
    })
}

fn place(package: &AffectedPackage) -> Value {
    json!({"path": package.path, "layer": package.layer})
}

/// How the score of Inspector's clients comes about: the base score, and what the resource's network makes of it.
fn in_context(view: &FindingView) -> Option<Value> {
    let (score, decided) = (view.inspector_score()?, view.assessment.decided_by.as_ref()?);
    let base = json!({"metric": "base", "leaves": decided.cvss.score, "vector": decided.cvss.vector,
        "because": format!("CVSS {} of {}", decided.cvss.version.as_str(), decided.source.0)});
    let adjusted = view.reach().adjust(decided).zip(view.reach().adjustment());
    let step =
        |(cvss, (_, reason)): (Cvss, (char, &str))| json!({"metric": "AV", "leaves": cvss.score, "vector": cvss.vector, "because": reason});
    Some(json!({"value": score, "waterfall": std::iter::once(base).chain(adjusted.map(step)).collect::<Vec<_>>()}))
}

/// How a risk comes about: from 100 down, each factor with what it is and what it leaves.
fn waterfall(view: &FindingView) -> Vec<Value> {
    let (assessment, risk) = (&view.assessment, view.risk());
    let impact = assessment.decided_by.as_ref().map_or_else(
        || "nobody has scored it".to_owned(),
        |score| format!("CVSS {} {:.1} of {}", score.cvss.version.as_str(), score.cvss.score, score.source.0),
    );
    let epss = assessment.epss.map_or_else(|| "EPSS not known".to_owned(), |epss| format!("EPSS {epss:.5}"));
    let likelihood = format!("exploits: {}, {epss}", assessment.maturity.as_str());
    let exposure = format!("reached from: {}", exposure_word(view.exposure));
    let weight = format!("the resource's tag {WEIGHT_TAG}, or 1");
    let mut left = 100.0;
    let steps = [
        ("impact", risk.impact, impact),
        ("likelihood", risk.likelihood, likelihood),
        ("exposure", risk.exposure, exposure),
        ("weight", risk.weight, weight),
    ];
    let step = |(factor, times, because): (&str, f64, String)| {
        left *= times;
        json!({"factor": factor, "times": (times * 1e4).round() / 1e4, "leaves": (left * 10.0).round() / 10.0, "because": because})
    };
    steps.into_iter().map(step).collect()
}

/// Why it is not in there: packages that bear the name and are not affected.
fn near_misses(advisories: &[Advisory], report: &ScanReport, out: &mut String) {
    let _ = writeln!(out, "  it is not in {}", printable(&report.target));
    for packed in report.inventory.components() {
        // Names are compared before anything is put together: there may be a million.
        let named_so = |affected: &Affected| affected.name == packed.name || packed.source.is_some_and(|(name, _)| affected.name == name);
        if !advisories.iter().flat_map(|advisory| &advisory.affected).any(named_so) {
            continue;
        }
        let component = &packed.to_component();
        let speaks =
            |affected: &&Affected| affected.name == component.advised_name() && affected.ecosystem.family == component.ecosystem.family;
        let Some(affected) = advisories.iter().flat_map(|advisory| &advisory.affected).find(speaks) else { continue };
        let why = if component.os_owned {
            "belongs to a package of the operating system, whose distributor answers for it".to_owned()
        } else if affected.ecosystem.covers(&component.ecosystem) {
            format!("is outside of: {}", entry(affected))
        } else {
            format!("is of another release than {}", affected.ecosystem)
        };
        let _ = writeln!(out, "    {} {}", named(component), why);
    }
}

fn named(component: &Component) -> String {
    format!("{} {} ({})", printable(&component.name), printable(&component.version), printable(&component.ecosystem.to_string()))
}

/// An affected entry in one line.
/// What one advisory says, entry by entry.
#[must_use]
pub fn advisory_text(advisory: &Advisory) -> String {
    const MOST: usize = 200;
    let withdrawn = if advisory.is_withdrawn() { ", withdrawn" } else { "" };
    let mut out = format!("  {} ({}{withdrawn})\n", printable(&advisory.key.id), printable(&advisory.key.feed));
    for affected in advisory.affected.iter().take(MOST) {
        let _ = writeln!(out, "    {}", entry(affected));
    }
    if advisory.affected.len() > MOST {
        let _ = writeln!(out, "    and {} more packages", advisory.affected.len() - MOST);
    }
    out
}

fn entry(affected: &Affected) -> String {
    let mut parts: Vec<String> = affected.ranges.iter().map(range).collect();
    match affected.versions.len() {
        0 => {}
        few @ 1..=5 => parts.push(format!("{few} versions: {}", affected.versions.join(", "))),
        many => parts.push(format!("{many} listed versions")),
    }
    let state = if affected.ranges.iter().any(|range| range.events.iter().any(|event| matches!(event, Event::Fixed(_)))) {
        FixState::Fixed
    } else {
        affected.unfixed
    };
    let word = affected.vendor_severity.as_ref().map(|word| format!(", '{word}'")).unwrap_or_default();
    let module = affected.module.as_ref().map(|module| format!(" of module {module}")).unwrap_or_default();
    printable(&format!("{}{module} in {}: {} ({}{word})", affected.name, affected.ecosystem, parts.join(" or "), state.as_str()))
        .into_owned()
}

/// A range as a person writes it.
fn range(range: &Range) -> String {
    let parts: Vec<String> = range
        .events
        .iter()
        .map(|event| match event {
            Event::Introduced(version) if version == "0" => "every version".to_owned(),
            Event::Introduced(version) => format!("from {version}"),
            Event::Fixed(version) => format!("before {version}"),
            Event::LastAffected(version) => format!("up to {version}"),
            Event::Limit(version) => format!("below {version}"),
        })
        .collect();
    parts.join(" ")
}
