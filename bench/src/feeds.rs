//! The index of real feeds: how long it takes to compile, how large it is, how fast it answers from cold.

use crate::table::{Table, median, megabytes, time};
use crate::{Options, packages, workspace};
use anyhow::Result;
use lestrade_advisories::{Importer, Library, OpenIndex};
use lestrade_matching::{affects, judge_component};
use lestrade_model::{Advisory, Component, Ecosystem, Family, Timestamp};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const COMMAND: &str = "cargo run --release -p lestrade-bench -- feeds";
/// What lies in the pack and is no feed: samples of formats, labels, lists of sources.
const NO_FEEDS: [&str; 4] = ["formats", "match-labels", "cve-aliases", "COLLECTED_SOURCES.tsv"];
/// As many records as change in a day.
const DELTA: usize = 5_000;
const COMPONENTS: usize = 500;
const REPEATS: usize = 21;

/// The table of the index; it says so when there is no folder of feeds.
pub(crate) fn run(options: &Options) -> Result<()> {
    let feeds = std::env::var_os("LESTRADE_FEEDS").map_or_else(|| workspace().join("target/shared/feeds"), PathBuf::from);
    let title = "Advisory index of real feeds";
    if !feeds.is_dir() {
        let table = Table::new(title, COMMAND, &["what", "measured", "target"]);
        table.row(&["not measured", "no folder of feeds (LESTRADE_FEEDS)"]);
        return Ok(());
    }
    let started = Instant::now();
    let mut importer = Importer::new(Timestamp::default());
    let mut skipped = Vec::new();
    let mut read: Vec<String> = std::fs::read_dir(&feeds)?.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    read.retain(|name| !NO_FEEDS.contains(&name.as_str()));
    read.sort();
    for name in &read {
        if let Err(error) = importer.import(&feeds.join(name)) {
            skipped.push(format!("{name}: {error}"));
        }
    }
    let reading = started.elapsed();
    let (bytes, summary) = importer.finish()?;
    let compiling = started.elapsed() - reading;
    let library = Library::new(options.folder.join("feeds-db"));
    let id = library.publish(&bytes)?;
    let whole = started.elapsed();
    let peak = peak_memory();
    let size = bytes.len() as u64;
    drop(bytes);

    let file = library.folder().join(format!("{id}.index"));
    let mut cold = Vec::new();
    for _ in 0..REPEATS {
        evict(&file)?;
        let started = Instant::now();
        let index = library.open(&id)?;
        judge_component(&index, &debian("openssl", "3.0.9-1"))?;
        cold.push(started.elapsed());
    }
    let index = library.open(&id)?;
    // Every real name in turn, so that nothing is found in a cache that a real inventory would not find there.
    let mut names = Vec::new();
    let mut affected = 0_u64;
    for advisory in index.advisories()? {
        for entry in advisory?.affected {
            affected += 1;
            names.push((entry.ecosystem, entry.name));
        }
    }
    names.sort_unstable();
    names.dedup();
    let step = (names.len() / COMPONENTS).max(1);
    let components: Vec<Component> = names
        .iter()
        .step_by(step)
        .take(COMPONENTS)
        .map(|(ecosystem, name)| Component { name: name.clone(), ..Component::new(ecosystem.clone(), "", "1.0.0") })
        .collect();
    let (matched, found) = judged(&index, &components)?;

    let title = format!("{title}: {} records, {affected} affected entries, {} packages", summary.read, names.len());
    let table = Table::new(&title, COMMAND, &["what", "measured", "target"]);
    table.row(&["feeds read", &read.join(", "), "all of the pack"]);
    table.row(&["records set aside, by reason", &by_reason(&summary.quarantined), "–"]);
    if !skipped.is_empty() {
        table.row(&["feeds not read", &skipped.join("; ")]);
    }
    table.row(&["reading", &time(reading), "–"]);
    table.row(&["compiling", &time(compiling), "–"]);
    table.row(&["both, checked and on disk", &time(whole), "< 60 s"]);
    table.row(&["most memory until then", &peak.map_or_else(|| "not known here".to_owned(), megabytes), "< 1 GB"]);
    let (delta, changed) = daily_delta(&library, &id)?;
    table.row(&[&format!("a day's delta of {changed} records: read, judged, compiled, on disk, compared"), &time(delta), "< 2 s"]);
    let (look_up, decision, decisions) = small(&index, &components)?;
    table.row(&["look-up of one package, its entries decoded", &nanos(look_up), "< 5 µs"]);
    table.row(&[&format!("one (component, entry) decision, of {decisions}"), &nanos(decision), "< 200 ns"]);
    table.row(&["size, with all texts", &megabytes(size), "–"]);
    let matching = index.matching_bytes()?;
    table.row(&["its matching part (names, entries, groups)", &megabytes(matching), "< 100 MB"]);
    table.row(&["of that, per affected entry", &format!("{:.0} B", matching as f64 / affected.max(1) as f64), "<= 64 B"]);
    table.row(&["first look-up from cold open (file evicted from the page cache)", &time(median(&cold)), "< 10 ms"]);
    let shown = format!("match {COMPONENTS} components, advisories about every one of them ({found} found)");
    table.row(&[&shown, &time(matched), "< 5 ms"]);
    let image = options.folder.join("images/build/oci");
    if image.is_dir() {
        let (_, inventory) = packages::ours(&std::env::current_exe()?.with_file_name("lestrade"), &image)?;
        let (matched, found) = judged(&index, &inventory.components)?;
        let shown = format!("match the {} components of the Debian 12 build image ({found} found)", inventory.components.len());
        table.row(&[&shown, &time(matched), "500: < 5 ms"]);
    }
    Ok(())
}

/// How many were set aside for each reason, numbers and quoted parts left out of it; the most frequent first.
fn by_reason(quarantined: &[(String, String)]) -> String {
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for (id, reason) in quarantined {
        let feed = id.split("feeds/").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or("?");
        let plain: String = reason.chars().filter(|c| !c.is_ascii_digit()).take(70).collect();
        *reasons.entry(format!("{feed}: {plain}")).or_default() += 1;
    }
    let mut reasons: Vec<(String, usize)> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let shown = reasons.iter().take(12).map(|(reason, count)| format!("{count} × {reason}"));
    format!("{}: {}", quarantined.len(), shown.collect::<Vec<_>>().join("; "))
}

/// The most memory that this process ever had.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// A day on which some records of all feeds changed, as `db update` applies it: on top of what is there, into a generation of its
/// own, compared with the one before.
fn daily_delta(library: &Library, id: &lestrade_advisories::GenerationId) -> Result<(Duration, usize)> {
    let index = library.open(id)?;
    let step = (index.len()? as usize / DELTA).max(1);
    let mut changed: Vec<Advisory> = Vec::new();
    for (number, advisory) in index.advisories()?.enumerate() {
        if number.is_multiple_of(step) && changed.len() < DELTA {
            let mut advisory = advisory?;
            advisory.summary.push_str(" (revised)");
            changed.push(advisory);
        }
    }
    drop(index);
    let count = changed.len();
    let started = Instant::now();
    let (_, mut importer) = library.next(Timestamp::default())?;
    importer.extend(changed);
    let (bytes, _) = importer.finish()?;
    let newer = library.publish(&bytes)?;
    let newer = library.open(&newer)?;
    let older = library.open(id)?;
    let diff = newer.diff(&older)?;
    let took = started.elapsed();
    anyhow::ensure!(diff.changed == count as u64, "{} of {count} are told as changed", diff.changed);
    library.put_in_force(id)?;
    Ok((took, count))
}

/// The time to look one package up, and to decide on one component and one entry; over how many decisions.
fn small(index: &OpenIndex, components: &[Component]) -> Result<(Duration, Duration, usize)> {
    let mut entries = Vec::new();
    let (mut looking, mut deciding) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        let started = Instant::now();
        entries.clear();
        for component in components {
            entries.push(index.entries(&component.ecosystem, &component.name)?);
        }
        looking.push(started.elapsed() / u32::try_from(components.len())?);
    }
    let decisions: usize = entries.iter().map(Vec::len).sum();
    for _ in 0..REPEATS {
        let started = Instant::now();
        let pairs = components.iter().zip(&entries);
        let hits: usize = pairs.map(|(c, entries)| entries.iter().filter(|entry| affects(&entry.affected, c).is_some()).count()).sum();
        std::hint::black_box(hits);
        deciding.push(started.elapsed() / u32::try_from(decisions.max(1))?);
    }
    Ok((median(&looking), median(&deciding), decisions))
}

fn nanos(duration: Duration) -> String {
    format!("{} ns", duration.as_nanos())
}

/// The time to judge all of them, and how many vulnerabilities they have.
fn judged(index: &OpenIndex, components: &[Component]) -> Result<(Duration, usize)> {
    let (mut times, mut found) = (Vec::new(), 0);
    for _ in 0..REPEATS {
        let started = Instant::now();
        found = 0;
        for component in components {
            found += judge_component(index, component)?.len();
        }
        times.push(started.elapsed());
    }
    Ok((median(&times), found))
}

fn debian(name: &str, version: &str) -> Component {
    Component::new(Ecosystem::release(Family::Debian, "12"), name, version)
}

/// Drops a file's pages from the cache, where `dd` can be had.
fn evict(file: &std::path::Path) -> Result<()> {
    let mut of = std::ffi::OsString::from("if=");
    of.push(file);
    std::process::Command::new("dd").arg(of).args(["of=/dev/null", "iflag=nocache", "count=0", "status=none"]).status()?;
    Ok(())
}
