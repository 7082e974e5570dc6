//! Event patterns: one event against very many rules.

use crate::Options;
use crate::table::{Table, digits, percentile, time};
use anyhow::Result;
use lestrade_events::{EventFields, Pattern, RuleSet};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};
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

/// moto's matcher in Python, the only other one at hand: the same rules, asked one by one as moto does.
const MOTO: &str = r#"
import json, sys, time
from moto.events.models import EventPattern
work = json.load(sys.stdin)
patterns = [EventPattern.load(json.dumps(pattern)) for pattern in work["patterns"]]
times, matched = [], 0
for event in work["events"]:
    started = time.perf_counter()
    matched += sum(pattern.matches_event(event) for pattern in patterns)
    times.append(time.perf_counter() - started)
times.sort()
print(json.dumps({"p50": times[len(times) // 2], "matched": matched}))
"#;

/// What moto takes for one event against some rules; none where it is not installed.
fn moto(rules: usize, events: usize, shape: fn(usize) -> Value) -> Result<Option<Duration>> {
    let patterns: Vec<Value> = (0..rules).map(shape).collect();
    let events: Vec<Value> = (0..events).map(|number| event(number * 2)).collect();
    let started = Command::new("python3").args(["-c", MOTO]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let Ok(mut process) = started else { return Ok(None) };
    let work = json!({"patterns": patterns, "events": events}).to_string();
    // Where moto is missing Python ends before it has read anything.
    let _ = process.stdin.take().map(|mut input| input.write_all(work.as_bytes()));
    let output = process.wait_with_output()?;
    if !output.status.success() {
        return Ok(None);
    }
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    Ok(answer["p50"].as_f64().map(Duration::from_secs_f64))
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
    const FEW: usize = 1_000;
    let ours = timed(&compiled(FEW, mixed)?.0)?.0;
    let theirs = match moto(FEW, 50, mixed)? {
        Some(theirs) => format!("{} and {}: {}x", time(ours), time(theirs), digits(theirs.as_secs_f64() / ours.as_secs_f64())),
        None => "moto is not installed".to_owned(),
    };
    table.row(&["one event against 1,000 rules of five shapes: ours and moto's matcher in Python, p50", &theirs, "–"]);
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
