//! `lestrade db`: vulnerability intelligence.

use super::intelligence_failure;
use crate::args::DbWhat;
use crate::clock::SystemClock;
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use lestrade_advisories::{AdvisoriesError, Importer, Library};
use lestrade_model::Clock;
use lestrade_report::printable;
use std::fmt::Write;
use std::path::PathBuf;

/// Quarantined records that are named; the rest is counted.
const NAMED: usize = 5;

pub(crate) fn run(settings: &Settings, what: &DbWhat) -> Result<Exit, Failure> {
    let library = Library::new(settings.path("db-dir"));
    match what {
        DbWhat::Import { paths } => import(&library, paths),
        DbWhat::Status => status(&library),
    }
}

fn import(library: &Library, paths: &[PathBuf]) -> Result<Exit, Failure> {
    // All paths are looked at before anything is read: a typing error costs no waiting.
    for path in paths {
        std::fs::metadata(path)
            .map_err(|error| Failure::new("E0300", Exit::Input, format!("'{}' cannot be read", path.display())).cause(error))?;
    }
    let now = SystemClock.now();
    let failed = |error: AdvisoriesError| intelligence_failure(&error);
    let older = match library.open_current() {
        Ok((_, index)) => Some(index),
        Err(AdvisoriesError::NoGeneration) => None,
        Err(error) => return Err(failed(error)),
    };
    let mut importer = match &older {
        Some(index) => {
            index.verify().map_err(|error| failed(error.into()))?;
            Importer::on_top_of(index, now).map_err(failed)?
        }
        None => Importer::new(now),
    };
    for path in paths {
        importer.import(path).map_err(failed)?;
    }
    let (bytes, summary) = importer.finish().map_err(failed)?;
    let id = library.publish(&bytes).map_err(failed)?;
    let index = library.open(&id).map_err(failed)?;
    let mut out = format!("{} records read · generation {}", summary.read, index.manifest().generation);
    if let Some(older) = &older {
        let diff = index.diff(older).map_err(|error| failed(error.into()))?;
        let _ = write!(out, " · {} added, {} changed, {} removed", diff.added, diff.changed, diff.removed);
    }
    out.push('\n');
    if summary.passed_over > 0 {
        let _ = writeln!(out, "  {} files passed over: their names are not of records", summary.passed_over);
    }
    for (record, reason) in summary.quarantined.iter().take(NAMED) {
        let _ = writeln!(out, "! NOT loaded: {}: {}", printable(record), printable(reason));
    }
    if summary.quarantined.len() > NAMED {
        let _ = writeln!(out, "! and {} more that are not loaded", summary.quarantined.len() - NAMED);
    }
    output::write(None, &out)?;
    Ok(if summary.quarantined.is_empty() { Exit::Ok } else { Exit::Incomplete })
}

fn status(library: &Library) -> Result<Exit, Failure> {
    let (id, index) = library.open_current().map_err(|error| intelligence_failure(&error))?;
    index.verify().map_err(|error| intelligence_failure(&error.into()))?;
    let manifest = index.manifest();
    let mut out = format!("generation {} · built {} · {}\n", manifest.generation, manifest.built_at, &id.as_str()[..12]);
    for feed in &manifest.feeds {
        let _ = writeln!(out, "  {:<16} {:>8} records · brought in {}", printable(&feed.feed), feed.records, feed.imported_at);
    }
    if !manifest.quarantined.is_empty() {
        let _ = writeln!(out, "! {} records of the last import are not loaded", manifest.quarantined.len());
    }
    output::write(None, &out)?;
    Ok(Exit::Ok)
}
