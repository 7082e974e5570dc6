//! `lestrade db`: vulnerability intelligence.

use super::{bundles, failed, feeds, generations, library as opened_library, lookup};
use crate::args::DbWhat;
use crate::clock::SystemClock;
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input::unreadable;
use crate::output::{self, Speech};
use lestrade_advisories::Library;
use lestrade_model::Clock;
use lestrade_report::printable;
use std::fmt::Write;
use std::path::PathBuf;

/// Quarantined records that are named; the rest is counted.
const NAMED: usize = 5;

pub(crate) fn run(settings: &Settings, speech: Speech, what: &DbWhat) -> Result<Exit, Failure> {
    let library = opened_library(settings);
    match what {
        DbWhat::Update { feeds } => update(settings, speech, &library, feeds),
        DbWhat::Import { paths } => import(settings, &library, paths),
        DbWhat::Export(arguments) => bundles::export(settings, &library, arguments),
        DbWhat::Mirror(arguments) => bundles::mirror(settings, &library, arguments),
        DbWhat::Status => status(&library),
        DbWhat::Rollback { generation } => generations::rollback(&library, *generation),
        DbWhat::Diff { old, new } => generations::diff(&library, *old, *new),
        DbWhat::Show { id, json } => lookup::show(&library, id, *json),
        DbWhat::Search { text } => lookup::search(&library, text),
    }
}

fn import(settings: &Settings, library: &Library, paths: &[PathBuf]) -> Result<Exit, Failure> {
    // All paths are looked at before anything is read: a typing error costs no waiting.
    for path in paths {
        std::fs::metadata(path).map_err(|error| unreadable(path, error))?;
    }
    if let Some(bundle) = bundles::among(paths)? {
        return bundles::import(settings, library, bundle);
    }
    let _writing = library.writing().map_err(failed)?;
    let (older, mut importer) = library.next(SystemClock.now()).map_err(failed)?;
    for path in paths {
        importer.import(path).map_err(failed)?;
    }
    let (bytes, summary) = importer.finish().map_err(failed)?;
    let id = library.publish(&bytes).map_err(failed)?;
    let index = library.open(&id).map_err(failed)?;
    let mut out = format!("{} records read · generation {}", summary.read, index.manifest().generation);
    if let Some(older) = &older {
        let diff = index.diff(older).map_err(failed)?;
        let _ = write!(out, " · {} added, {} changed, {} removed", diff.added, diff.changed, diff.removed);
    }
    out.push('\n');
    if summary.passed_over > 0 {
        let _ = writeln!(out, "  {} files passed over: their names are not of records", summary.passed_over);
    }
    not_loaded(&summary.quarantined, &mut out);
    output::write(None, &out)?;
    Ok(if summary.quarantined.is_empty() { Exit::Ok } else { Exit::Incomplete })
}

fn update(settings: &Settings, speech: Speech, library: &Library, names: &[String]) -> Result<Exit, Failure> {
    if settings.flag("offline") {
        return Err(Failure::new("E0222", Exit::Usage, "feeds are not fetched, because of 'offline'").try_("--set offline=false"));
    }
    let places = feeds::places(settings);
    let mut wanted = Vec::new();
    for name in names {
        let named = places.named(name);
        if named.is_empty() {
            let all: Vec<String> = places.feeds().into_iter().map(|feed| feed.name).collect();
            // Whoever says `npm` means the feed whose last part that is.
            let last = |feed: &&String| feed.rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(name));
            let likeness = |feed: &String| strsim::jaro_winkler(name, feed);
            let best = all.iter().find(last).or_else(|| all.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b))));
            let failure = Failure::new("E0223", Exit::Usage, format!("'{name}' is not a feed"));
            return Err(failure.try_(format!("lestrade db update {}", best.map_or("", String::as_str))));
        }
        wanted.extend(named);
    }
    if names.is_empty() {
        wanted = places.feeds();
    }
    let report = match names.is_empty().then(|| bundles::update_from_mirror(settings, library, speech)).transpose()?.flatten() {
        Some(report) => report,
        // Who names feeds wants those.
        None => feeds::update(library, &wanted, speech)?,
    };
    let mut out = String::new();
    let mut exits = vec![Exit::Ok];
    for (feed, outcome) in &report.outcomes {
        let (said, exit) = feeds::said(outcome);
        exits.push(exit);
        let _ = writeln!(out, "{} {:<28} {}", if exit == Exit::Ok { " " } else { "!" }, printable(feed), printable(&said));
    }
    let _ = write!(out, "generation {}", report.generation);
    if let Some(diff) = &report.diff {
        let _ = write!(out, " · {} added, {} changed, {} removed", diff.added, diff.changed, diff.removed);
    }
    out.push('\n');
    not_loaded(&report.quarantined, &mut out);
    output::write(None, &out)?;
    Ok(Exit::worst(exits))
}

fn not_loaded(quarantined: &[(String, String)], out: &mut String) {
    for (record, reason) in quarantined.iter().take(NAMED) {
        let _ = writeln!(out, "! NOT loaded: {}: {}", printable(record), printable(reason));
    }
    if quarantined.len() > NAMED {
        let _ = writeln!(out, "! and {} more that are not loaded", quarantined.len() - NAMED);
    }
}

fn status(library: &Library) -> Result<Exit, Failure> {
    let (id, index) = library.open_current().map_err(failed)?;
    index.verify().map_err(failed)?;
    let manifest = index.manifest();
    let mut out = format!("generation {} · built {} · {}\n", manifest.generation, manifest.built_at, &id.as_str()[..12]);
    for feed in &manifest.feeds {
        let _ = writeln!(out, "  {:<16} {:>8} records · brought in {}", printable(&feed.feed), feed.records, feed.imported_at);
    }
    if !manifest.quarantined.is_empty() {
        let _ = writeln!(out, "! {} records of the last import are not loaded", manifest.quarantined.len());
    }
    let kept = library.generations().map_err(failed)?;
    let kept = kept.iter().map(|(_, index)| index.manifest().generation.to_string()).collect::<Vec<_>>();
    let _ = writeln!(out, "kept: {}", kept.join(", "));
    output::write(None, &out)?;
    Ok(Exit::Ok)
}
