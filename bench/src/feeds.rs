//! The index of real feeds: how long it takes to compile, how large it is, how fast it answers from cold.

use crate::estate::COMMAND;
use crate::table::{Table, median, megabytes, time};
use crate::{Options, packages, workspace};
use anyhow::Result;
use lestrade_advisories::{Importer, Library, OpenIndex};
use lestrade_matching::judge_component;
use lestrade_model::{Component, Ecosystem, Family, Timestamp};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The parts of the feeds pack whose formats are read today.
const READABLE: [&str; 9] = [
    "debian",
    "osv-almalinux",
    "osv-bitnami",
    "osv-crates",
    "osv-go",
    "osv-oss-fuzz",
    "osv-packagist-drupal",
    "osv-psf-cpython",
    "osv-pypi",
];
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
    for name in READABLE {
        if let Err(error) = importer.import(&feeds.join(name)) {
            skipped.push(format!("{name}: {error}"));
        }
    }
    let reading = started.elapsed();
    let (bytes, summary) = importer.finish()?;
    let compiling = started.elapsed() - reading;
    let library = Library::new(options.folder.join("feeds-db"));
    let id = library.publish(&bytes)?;
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
    table.row(&["feeds read", &READABLE.join(", "), "all of the pack"]);
    if !skipped.is_empty() {
        table.row(&["feeds not read", &skipped.join("; ")]);
    }
    table.row(&["reading", &time(reading), "–"]);
    table.row(&["compiling", &time(compiling), "–"]);
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
