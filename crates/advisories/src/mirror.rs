//! Another Lestrade as the one source of intelligence: its signed bundles, over HTTP, whole or as what changed since.

use crate::bundle::{BundleKey, MAX_HEAD, read_head};
use crate::download::{Downloaded, Downloader, Validators};
use crate::{AdvisoriesError, FeedOutcome, Library, UpdateProgress, UpdateReport};
use lestrade_model::{Family, Timestamp};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The largest bundle.
const MAX_BUNDLE: u64 = 4 << 30;
/// The name under which a mirror's outcome is told.
const NAME: &str = "mirror";

/// A mirror, and what is wanted of it.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// Its address.
    pub url: String,
    /// What lets us in; empty where anybody is let in.
    pub token: String,
    /// The keys that its bundles are trusted by.
    pub keys: Vec<BundleKey>,
    /// The families whose packages are wanted; empty for all.
    pub families: BTreeSet<Family>,
}

impl Mirror {
    /// Brings a library to the mirror's generation: by what changed since, where that is there, otherwise whole.
    ///
    /// # Errors
    /// When the library cannot be read or written. What is wrong with the mirror is the outcome.
    pub fn update(&self, library: &Library, now: Timestamp, progress: &dyn UpdateProgress) -> Result<UpdateReport, AdvisoriesError> {
        let downloads = library.folder().join("downloads");
        std::fs::create_dir_all(&downloads).map_err(AdvisoriesError::io("create", &downloads))?;
        let mut report = UpdateReport::default();
        let outcome = match self.fetch(library, &downloads, now, progress) {
            Ok(outcome) => self.told(outcome, &mut report),
            Err(outcome) => outcome,
        };
        progress.done(NAME, &outcome);
        report.outcomes.push((NAME.to_owned(), outcome));
        if report.generation == 0 {
            report.generation = library.open_current().map_or(0, |(_, index)| index.manifest().generation);
        }
        Ok(report)
    }

    fn told(&self, import: crate::BundleImport, report: &mut UpdateReport) -> FeedOutcome {
        report.generation = import.generation;
        report.diff = import.diff;
        if import.unchanged {
            return FeedOutcome::Unchanged;
        }
        let changed = report.diff.as_ref().map_or(0, |diff| diff.added + diff.changed + diff.removed);
        FeedOutcome::Updated { records: changed, quarantined: 0 }
    }

    fn fetch(
        &self,
        library: &Library,
        downloads: &Path,
        now: Timestamp,
        progress: &dyn UpdateProgress,
    ) -> Result<crate::BundleImport, FeedOutcome> {
        let downloader = Downloader::with_token(&self.token).map_err(FeedOutcome::Unreachable)?;
        let base = self.url.trim_end_matches('/');
        let wanted = self.families.iter().map(|family| family.name().replace(' ', "%20")).collect::<Vec<_>>().join(",");
        let wanted = if wanted.is_empty() { String::new() } else { format!("ecosystems={wanted}") };
        let get = |path: &str, query: &str, most: u64| -> Result<PathBuf, FeedOutcome> {
            let to = downloads.join(format!("mirror-{path}"));
            let query = [wanted.as_str(), query].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("&");
            let url = format!("{base}/v1/{path}{}{query}", if query.is_empty() { "" } else { "?" });
            match downloader.fetch(&url, &Validators::default(), &to, most, &mut |bytes, total| progress.fetched(NAME, bytes, total))? {
                Downloaded::Whole(_) => Ok(to),
                Downloaded::Unchanged => {
                    Err(FeedOutcome::Unreachable("it answers that nothing changed to a question without a condition".into()))
                }
            }
        };
        // The head alone is signed anew again and again: that what is here is still the newest is known, and not just not denied.
        let path = get("head", "", MAX_HEAD as u64)?;
        let bytes = std::fs::read(&path);
        let _ = std::fs::remove_file(&path);
        let bytes = bytes.map_err(|error| FeedOutcome::Unreachable(format!("it cannot be kept: {error}")))?;
        let refused = |error: AdvisoriesError| FeedOutcome::Refused(error.to_string());
        let head = read_head(&mut bytes.as_slice(), &self.keys, now).map_err(refused)?;
        let names: BTreeSet<String> = self.families.iter().map(|family| family.name().to_owned()).collect();
        if head.ecosystems != names {
            return Err(FeedOutcome::Refused("it is of other ecosystems than were asked for".into()));
        }
        let received = library.in_force_from(&head.key, &head.ecosystems).map_err(refused)?;
        if received.as_ref().is_some_and(|received| received.origin == head.generation) {
            return library.import_bundle(&mut bytes.as_slice(), &self.keys, now).map_err(refused);
        }
        let take = |path: PathBuf| -> Result<crate::BundleImport, FeedOutcome> {
            let file = std::fs::File::open(&path).map_err(|error| FeedOutcome::Unreachable(format!("it cannot be kept: {error}")))?;
            let taken = library.import_bundle(&mut std::io::BufReader::new(file), &self.keys, now);
            let _ = std::fs::remove_file(&path);
            taken.map_err(refused)
        };
        // A way from here that is not there, or does not lead where it should, is no reason to stop: the whole is.
        if let Some(received) = received
            && let Ok(path) = get("bundle", &format!("since={}", received.origin.id), MAX_BUNDLE)
            && let Ok(import) = take(path)
        {
            return Ok(import);
        }
        take(get("bundle", "", MAX_BUNDLE)?)
    }
}
