//! Event patterns: one event against very many rules.

use crate::Options;
use crate::table::{Table, digits, percentile, time};
use anyhow::Result;
use lestrade_events::{EventFields, Pattern, RuleSet};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const COMMAND: &str = "cargo run --release -p lestrade-bench -- rules";
const EVENTS: usize = 5_000;

/// Rules of several shapes: severities, resources, prefixes of titles, accounts, exploited or not.
fn mixed(number: usize) -> Value {
    match number % 5 {
        0 => {
            json!({"detail-type": ["Inspector2 Finding"], "detail": {"severity": ["CRITICAL"], "resources": {"id": [format!("i-{number:08}")]}}})
        }
        1 => json!({"detail": {"title": [{"prefix": format!("CVE-2024-{number}")}]}}),
        2 => json!({"account": [format!("{number:012}")], "detail": {"severity": [{"anything-but": ["LOW", "INFORMATIONAL"]}]}}),
        3 => {
            json!({"detail": {"inspectorScore": [{"numeric": [">=", (number % 100) as f64 / 10.0]}], "resources": {"type": [format!("TYPE_{number}")]}}})
        }
        _ => {
            json!({"$or": [{"detail": {"vulnerabilityId": [format!("CVE-2023-{number}")]}}, {"detail": {"epss": {"score": [{"numeric": [">", 0.99]}]}, "type": [format!("X{number}")]}}]})
        }
    }
}

/// Rules of one shape.
fn alike(number: usize) -> Value {
    json!({"source": ["lestrade"], "detail-type": ["Inspector2 Finding"], "detail": {"resources": {"id": [format!("i-{number:08}")]}, "severity": ["HIGH", "CRITICAL"]}})
}

fn event(number: usize) -> Value {
    let severity = ["LOW", "HIGH", "CRITICAL"][number % 3];
    json!({
        "version": "0", "id": format!("{number:032x}"), "source": "lestrade", "detail-type": "Inspector2 Finding", "account": format!("{:012}", number % 20_000),
        "region": "eu-central-1", "time": "2026-11-23T12:00:00Z", "resources": [format!("i-{number:08}")],
        "detail": {
            "findingArn": format!("arn:aws:inspector2:eu-central-1:000000000000:finding/{number:032x}"), "severity": severity,
            "status": "ACTIVE", "title": format!("CVE-2024-{number} - openssl"), "vulnerabilityId": format!("CVE-2023-{number}"), "inspectorScore": 7.5,
            "epss": {"score": 0.01}, "type": "PACKAGE_VULNERABILITY", "resources": [{"id": format!("i-{number:08}"), "type": "AWS_EC2_INSTANCE", "region": "eu-central-1"}],
            "packageVulnerabilityDetails": {"vulnerablePackages": [{"name": "openssl", "version": "3.0.7"}, {"name": "libssl3", "version": "3.0.7"}]},
        }
    })
}

fn compiled(rules: usize, shape: fn(usize) -> Value) -> Result<(RuleSet, Duration)> {
    let patterns = (0..rules).map(|number| Ok((format!("rule-{number}"), Pattern::of(&shape(number))?))).collect::<Result<Vec<_>>>()?;
    let started = Instant::now();
    let set = RuleSet::new(patterns);
    Ok((set, started.elapsed()))
}

/// The time of one event, its parsed form given; how many rules it was for.
fn timed(set: &RuleSet) -> Result<(Duration, Duration, usize)> {
    let events = (0..EVENTS).map(|number| Ok(EventFields::of(&event(number * 2))?)).collect::<Result<Vec<_>>>()?;
    let mut times = Vec::with_capacity(EVENTS);
    let mut matched = 0;
    for event in &events {
        let started = Instant::now();
        matched += set.matching(event).len();
        times.push(started.elapsed());
    }
    Ok((percentile(&times, 0.5), percentile(&times, 0.99), matched))
}

/// All tables about rules.
pub(crate) fn run(_: &Options) -> Result<()> {
    let table = Table::new("Event patterns", COMMAND, &["what", "measured", "target"]);
    let (set, compile) = compiled(10_000, mixed)?;
    table.row(&["10,000 rules of five shapes compiled", &time(compile), "–"]);
    let (p50, p99, matched) = timed(&set)?;
    table.row(&[&format!("one event against them: p50 ({matched} matches in {EVENTS} events)"), &time(p50), "< 100 µs"]);
    table.row(&["p99", &time(p99), "–"]);
    let (few, _, _) = timed(&compiled(10, alike)?.0)?;
    let (many, _, _) = timed(&compiled(1_000, alike)?.0)?;
    let ratio = format!("{} and {}: {}x", time(few), time(many), digits(many.as_secs_f64() / few.as_secs_f64()));
    table.row(&["one event against 10 and against 1,000 rules of one shape", &ratio, "within 2x"]);
    let texts: Vec<String> = (0..EVENTS).map(|number| event(number).to_string()).collect();
    let started = Instant::now();
    let mut fields = 0_usize;
    for text in &texts {
        let _ = EventFields::of(&serde_json::from_str(text)?)?;
        fields += 1;
    }
    table.row(&["reading an event of 900 bytes into fields", &time(started.elapsed() / u32::try_from(fields)?), "–"]);
    Ok(())
}
