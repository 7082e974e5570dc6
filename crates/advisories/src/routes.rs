//! The ways from a feed's address to its next state: one file, an OSV dump with its list of changes, a package repository with an
//! index, an archive of CSAF documents or of the CVE list with lists of what changed since; pages of services are in [`crate::pages`].
//!
//! What a way needs to go on from where it was is its *cursor*; it is kept only once the state that it led to is in force.

use crate::download::{Downloaded, Downloader, Validators};
use crate::feeds::{Feed, Route};
use crate::formats::{Indexed, index_of_repository};
use crate::{AdvisoriesError, FeedOutcome, Importer, UpdateProgress};
use lestrade_model::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The largest file of a feed, and the largest list or index beside it.
const MAX_FILE: u64 = 4 << 30;
pub(crate) const MAX_LIST: u64 = 256 << 20;
/// The most extras of Amazon Linux 2: four times as many as there are.
const MAX_TOPICS: usize = 256;
/// With more changes than these the whole is the shorter way.
const MAX_CHANGES: usize = 2_000;
/// The same of the CVE list, whose whole is half a gigabyte.
const MAX_CVE_CHANGES: usize = 5_000;
/// How far before the newest entry of a list its archive may have been made.
const ARCHIVE_LAGS_MILLIS: i64 = 2 * 24 * 60 * 60 * 1000;
/// How long the CVE list's changes are followed: nothing is taken out of it, and its log reaches back a month.
const CVE_LIST_EVERY_MILLIS: i64 = 28 * 24 * 60 * 60 * 1000;
/// How long changes are followed until the whole is fetched again: lists of changes do not tell what was taken away.
const WHOLE_EVERY_MILLIS: i64 = 7 * 24 * 60 * 60 * 1000;

/// Where a way left off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// What the server said of the feed's file.
    #[serde(flatten)]
    pub(crate) validators: Validators,
    /// What it said of the list of changes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) list: Validators,
    /// The newest change that is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) newest: Option<String>,
    /// The archive, or the checksum of the index, that the whole is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) whole: Option<String>,
    /// When the whole was fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) whole_at: Option<Timestamp>,
}

fn is_default(validators: &Validators) -> bool {
    *validators == Validators::default()
}

/// A feed's next state, read and not yet in force.
pub(crate) struct Next {
    pub(crate) cursor: Cursor,
    pub(crate) part: Importer,
    pub(crate) dated: Option<String>,
    /// Of a change: the ids of records that are gone. None of a whole state.
    pub(crate) gone: Option<Vec<String>>,
}

/// A feed, on its way.
pub(crate) struct Trip<'a> {
    pub(crate) downloader: &'a Downloader,
    pub(crate) feed: &'a Feed,
    /// Where it left off, if it was ever here.
    pub(crate) cursor: Option<&'a Cursor>,
    pub(crate) downloads: &'a Path,
    pub(crate) now: Timestamp,
    pub(crate) progress: &'a dyn UpdateProgress,
}

impl Trip<'_> {
    /// Fetches and reads the feed's next state.
    ///
    /// # Errors
    /// What came of it instead: it is as it was, cannot be reached, or is not to be believed.
    pub(crate) fn next(&self) -> Result<Next, FeedOutcome> {
        match self.feed.route {
            Route::File => self.file(),
            Route::OsvDump => self.osv_dump(),
            Route::Repository => self.repository(),
            Route::AmazonExtras => self.amazon_extras(),
            Route::CsafArchive => self.csaf_archive(),
            Route::CsafFolder => self.csaf_folder(),
            Route::SourceTree(_) => self.file(),
            Route::CveList => self.cve_list(),
            Route::MsrcMonths => self.msrc_months(),
            Route::NvdChanges => self.nvd_changes(),
            Route::GithubPages => self.github_pages(),
        }
    }

    fn file(&self) -> Result<Next, FeedOutcome> {
        let known = self.cursor.map(|cursor| cursor.validators.clone()).unwrap_or_default();
        let (path, validators) = self.changed(&self.feed.url, &known, MAX_FILE)?;
        let cursor = Cursor { validators, ..Cursor::default() };
        self.whole(&path, cursor)
    }

    /// A whole state in a file, which is then removed.
    fn whole(&self, path: &Path, cursor: Cursor) -> Result<Next, FeedOutcome> {
        let read = self.read(path);
        // Whatever it is, it is not begun with next time.
        let _ = std::fs::remove_file(path);
        let part = read?;
        if !part.is_of(&self.feed.scope) {
            return Err(FeedOutcome::Refused("it is another feed, or empty".into()));
        }
        let dated = part.dated().map(str::to_owned);
        Ok(Next { cursor: Cursor { whole_at: Some(self.now), ..cursor }, part, dated, gone: None })
    }

    /// Fetches a file of the feed; an error where it is as it was.
    fn changed(&self, url: &str, known: &Validators, most: u64) -> Result<(PathBuf, Validators), FeedOutcome> {
        let to = self.downloads.join(format!("{}.{}", file_name(&self.feed.name), file_name(end_of(url))));
        let mut progress = |bytes, total| self.progress.fetched(&self.feed.name, bytes, total);
        match self.downloader.fetch(url, known, &to, most, &mut progress)? {
            Downloaded::Whole(validators) => Ok((to, validators)),
            Downloaded::Unchanged => Err(FeedOutcome::Unchanged),
        }
    }

    /// The text of a small file beside the feed.
    fn list(&self, url: &str, known: &Validators) -> Result<(String, Validators), FeedOutcome> {
        let (path, validators) = self.changed(url, known, MAX_LIST)?;
        let text = std::fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let _ = std::fs::remove_file(&path);
        text.map(|text| (text, validators)).map_err(|error| FeedOutcome::Unreachable(format!("it cannot be kept: {error}")))
    }

    fn read(&self, path: &Path) -> Result<Importer, FeedOutcome> {
        let mut part = Importer::new(self.now);
        match self.feed.route {
            Route::SourceTree(folder) => part = part.among_others(folder),
            // Lists of what is in it, a log of its changes.
            Route::CsafFolder | Route::CveList => part = part.among_others(""),
            _ => {}
        }
        match part.import(path) {
            Ok(()) => Ok(part),
            Err(error) => Err(FeedOutcome::Refused(match error {
                AdvisoriesError::Nothing { .. } => {
                    part.quarantined().first().map_or_else(|| "there is nothing in it".to_owned(), |(_, reason)| reason.clone())
                }
                AdvisoriesError::NotAFeed { reason, .. } => reason,
                other => other.to_string(),
            })),
        }
    }

    /// Whether the whole was fetched so lately that changes will do.
    fn follows_changes(&self) -> Option<&Cursor> {
        self.follows_changes_for(WHOLE_EVERY_MILLIS)
    }

    /// The same, where the whole is fetched again after so long.
    pub(crate) fn follows_changes_for(&self, millis: i64) -> Option<&Cursor> {
        self.cursor.filter(|cursor| cursor.whole_at.is_some_and(|at| at <= self.now && self.now < at.plus_millis(millis)))
    }

    /// OSV's dump of one ecosystem, beside which lies the list of its records with the time of their last change, the newest first
    /// (`modified_id.csv`).
    fn osv_dump(&self) -> Result<Next, FeedOutcome> {
        let folder = self.feed.url.rsplit_once('/').map_or("", |(folder, _)| folder);
        let known = self.follows_changes().map(|cursor| cursor.list.clone()).unwrap_or_default();
        let (list, validators) = match self.list(&format!("{folder}/modified_id.csv"), &known) {
            Ok(list) => list,
            Err(FeedOutcome::Unchanged) => return Err(FeedOutcome::Unchanged),
            // A mirror need not have it.
            Err(_) => return self.file(),
        };
        let rows = || list.lines().filter_map(|line| line.trim().split_once(','));
        let newest = rows().next().map(|(time, _)| time.to_owned());
        let known = self.follows_changes().and_then(|cursor| cursor.newest.clone());
        let changed: Option<Vec<&str>> =
            known.map(|known| rows().take_while(|(time, _)| *time > known.as_str()).map(|(_, id)| id).collect());
        match (changed, self.cursor) {
            (Some(changed), Some(cursor)) if changed.len() <= MAX_CHANGES => {
                let cursor = Cursor { list: validators, newest, ..cursor.clone() };
                self.changes(changed.into_iter().map(|id| format!("{folder}/{id}.json")), vec![], cursor)
            }
            _ => {
                let next = self.file()?;
                Ok(Next { cursor: Cursor { list: validators, newest, ..next.cursor }, ..next })
            }
        }
    }

    /// Single records that changed, and those that are gone.
    fn changes(&self, urls: impl Iterator<Item = String>, gone: Vec<String>, cursor: Cursor) -> Result<Next, FeedOutcome> {
        let mut part = Importer::new(self.now);
        for url in urls {
            let (path, _) = self.changed(&url, &Validators::default(), MAX_LIST)?;
            let read = part.import(&path);
            let _ = std::fs::remove_file(&path);
            // A record that cannot be used is quarantined as in the whole; one that is no document at all is not the feed's.
            if let Err(error) = read
                && !matches!(error, AdvisoriesError::Nothing { .. })
            {
                return Err(FeedOutcome::Refused(error.to_string()));
            }
        }
        if part.records() == 0 && gone.is_empty() && part.quarantined().is_empty() {
            return Err(FeedOutcome::Unchanged);
        }
        Ok(Next { cursor, part, dated: None, gone: Some(gone) })
    }

    /// A package repository: a list of mirrors, an index with checksums, the file of updates that it names.
    fn repository(&self) -> Result<Next, FeedOutcome> {
        let (base, updates) = self.updates_of(&self.feed.url)?;
        let updates = updates.ok_or_else(|| FeedOutcome::Refused("the repository has no updateinfo".into()))?;
        if self.cursor.is_some_and(|cursor| cursor.whole.as_deref() == Some(updates.sha256.as_str())) {
            return Err(FeedOutcome::Unchanged);
        }
        let path = self.checked(&base, &updates)?;
        self.whole(&path, Cursor { whole: Some(updates.sha256), ..Cursor::default() })
    }

    /// Where a repository is, and what its index says of its file of updates, if it has one.
    fn updates_of(&self, url: &str) -> Result<(String, Option<Indexed>), FeedOutcome> {
        let base = if url.ends_with(".list") {
            let (mirrors, _) = self.list(url, &Validators::default())?;
            let mirror = mirrors.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned);
            mirror.ok_or_else(|| FeedOutcome::Refused("its list of mirrors is empty".into()))?
        } else {
            url.to_owned()
        };
        let base = base.trim_end_matches('/').to_owned();
        let (index, _) = self.list(&format!("{base}/repodata/repomd.xml"), &Validators::default())?;
        Ok((base, index_of_repository(&index, "updateinfo").map_err(FeedOutcome::Refused)?))
    }

    /// A repository's file of updates, which is what its index says.
    fn checked(&self, base: &str, updates: &Indexed) -> Result<PathBuf, FeedOutcome> {
        let (path, _) = self.changed(&format!("{base}/{}", updates.path), &Validators::default(), MAX_FILE)?;
        let bytes = std::fs::read(&path).map_err(|error| FeedOutcome::Unreachable(format!("it cannot be kept: {error}")))?;
        if hex(&Sha256::digest(&bytes)) == updates.sha256 {
            return Ok(path);
        }
        let _ = std::fs::remove_file(&path);
        Err(FeedOutcome::Refused("it is not what the repository's index says".into()))
    }

    /// Amazon Linux 2's extras: a catalogue of topics, each a repository. Most of them never had an update for security.
    fn amazon_extras(&self) -> Result<Next, FeedOutcome> {
        #[derive(Deserialize)]
        struct Catalogue {
            topics: Vec<Topic>,
        }
        #[derive(Deserialize)]
        struct Topic {
            n: String,
        }
        let (catalogue, _) = self.list(&self.feed.url, &Validators::default())?;
        let catalogue: Catalogue = serde_json::from_str(&catalogue).map_err(|_| FeedOutcome::Refused("its catalogue is none".into()))?;
        let base = self.feed.url.rsplit_once('/').map_or("", |(base, _)| base);
        let topics: BTreeSet<&str> =
            catalogue.topics.iter().map(|topic| topic.n.as_str()).filter(|name| is_plain_path(name) && !name.contains('/')).collect();
        if topics.is_empty() || topics.len() > MAX_TOPICS {
            return Err(FeedOutcome::Refused(format!("its catalogue has {} topics", topics.len())));
        }
        let mut found = Vec::new();
        for topic in topics {
            match self.updates_of(&format!("{base}/extras/{topic}/latest/x86_64/mirror.list")) {
                Ok((base, updates)) => found.extend(updates.map(|updates| (base, updates))),
                // It is no more. An index that is broken is another thing: what it listed before stands.
                Err(FeedOutcome::Missing(_)) => {}
                Err(outcome) => return Err(outcome),
            }
        }
        let sums = found.iter().fold(Sha256::new(), |sums, (_, updates)| sums.chain_update(&updates.sha256));
        let whole = Some(hex(&sums.finalize()));
        if self.cursor.is_some_and(|cursor| cursor.whole == whole) {
            return Err(FeedOutcome::Unchanged);
        }
        let mut part = Importer::new(self.now);
        for (base, updates) in &found {
            let path = self.checked(base, updates)?;
            let known = part.quarantined().len();
            let read = part.import(&path);
            let _ = std::fs::remove_file(&path);
            match read {
                Ok(()) => {}
                // Updates, none of which is for security.
                Err(AdvisoriesError::Nothing { .. }) if part.quarantined().len() == known => {}
                Err(error) => return Err(FeedOutcome::Refused(error.to_string())),
            }
        }
        if !part.is_of(&self.feed.scope) {
            return Err(FeedOutcome::Refused("it is another feed, or empty".into()));
        }
        Ok(Next { cursor: Cursor { whole, whole_at: Some(self.now), ..Cursor::default() }, part, dated: None, gone: None })
    }

    /// An archive of CSAF documents with `archive_latest.txt`, `changes.csv` and `deletions.csv` beside it.
    fn csaf_archive(&self) -> Result<Next, FeedOutcome> {
        let base = self.feed.url.trim_end_matches('/');
        let none = Validators::default();
        let changes = csaf_rows(&self.list(&format!("{base}/changes.csv"), &none)?.0);
        let newest = changes.iter().map(|(_, time)| time.clone()).max();
        if let Some(cursor) = self.follows_changes().filter(|cursor| cursor.newest.is_some()) {
            let changed: Vec<&str> =
                changes.iter().filter(|(_, time)| Some(time) > cursor.newest.as_ref()).map(|(path, _)| path.as_str()).collect();
            if changed.len() <= MAX_CHANGES {
                let deletions = csaf_rows(&self.list(&format!("{base}/deletions.csv"), &none)?.0);
                let changed_again = |path: &str| changed.contains(&path);
                let gone = deletions.iter().filter(|(_, time)| Some(time) > cursor.newest.as_ref()).map(|(path, _)| path.as_str());
                let gone = gone.filter(|path| !changed_again(path)).map(id_of).collect();
                let newest = newest.into_iter().chain(deletions.iter().map(|(_, time)| time.clone())).chain(cursor.newest.clone()).max();
                let next = Cursor { newest, ..cursor.clone() };
                return self.changes(changed.iter().map(|path| format!("{base}/{path}")), gone, next);
            }
        }
        let (archive, _) = self.list(&format!("{base}/archive_latest.txt"), &none)?;
        let archive = archive.trim();
        if !is_plain_path(archive) {
            return Err(FeedOutcome::Refused("its newest archive has no name".into()));
        }
        let (path, _) = self.changed(&format!("{base}/{archive}"), &none, MAX_FILE)?;
        let mut next = self.whole(&path, Cursor { whole: Some(archive.to_owned()), newest, ..Cursor::default() })?;
        // The archive is of a day; what changed since is in the list.
        next.cursor.newest = day_of(archive).or(next.cursor.newest);
        Ok(next)
    }

    /// A folder of CSAF documents with `changes.csv` in it and the archive of all beside it: `csaf-vex/`, `csaf-vex.tar.bz2`.
    fn csaf_folder(&self) -> Result<Next, FeedOutcome> {
        let base = self.feed.url.trim_end_matches('/');
        let followed = self.follows_changes().filter(|cursor| cursor.newest.is_some());
        let known = followed.map(|cursor| cursor.list.clone()).unwrap_or_default();
        let (list, validators) = self.list(&format!("{base}/changes.csv"), &known)?;
        let changes = csaf_rows(&list);
        let newest = changes.iter().map(|(_, time)| time.clone()).max();
        if let Some(cursor) = followed {
            let changed: Vec<&str> =
                changes.iter().filter(|(_, time)| Some(time) > cursor.newest.as_ref()).map(|(path, _)| path.as_str()).collect();
            if changed.len() <= MAX_CHANGES {
                let newest = newest.into_iter().chain(cursor.newest.clone()).max();
                let next = Cursor { list: validators, newest, ..cursor.clone() };
                return self.changes(changed.iter().map(|path| format!("{base}/{path}")), vec![], next);
            }
        }
        let (path, _) = self.changed(&format!("{base}.tar.bz2"), &Validators::default(), MAX_FILE)?;
        let next = self.whole(&path, Cursor { list: validators, ..Cursor::default() })?;
        // Nothing says when the archive was made.
        let made = newest.and_then(|newest| Timestamp::parse(&newest).ok()).map(|at| at.plus_millis(-ARCHIVE_LAGS_MILLIS).to_string());
        Ok(Next { cursor: Cursor { newest: made, ..next.cursor }, ..next })
    }

    /// The archive of the CVE list, and the log of its changes: what was new and what was updated in each of the last hours, the newest
    /// first. A record is beside the log, by its year and thousand.
    fn cve_list(&self) -> Result<Next, FeedOutcome> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Look {
            fetch_time: String,
            #[serde(default)]
            new: Vec<Entry>,
            #[serde(default)]
            updated: Vec<Entry>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Entry {
            cve_id: String,
        }
        if self.feed.changes.is_empty() {
            return self.file();
        }
        let followed = self.follows_changes_for(CVE_LIST_EVERY_MILLIS).filter(|cursor| cursor.newest.is_some());
        let known = followed.map(|cursor| cursor.list.clone()).unwrap_or_default();
        let (log, validators) = self.list(&self.feed.changes, &known)?;
        let log: Vec<Look> = serde_json::from_str(&log).map_err(|_| FeedOutcome::Refused("the log of its changes is none".into()))?;
        let newest = log.iter().map(|look| look.fetch_time.clone()).max();
        if let Some(cursor) = followed {
            let is_new = |look: &&Look| Some(&look.fetch_time) > cursor.newest.as_ref();
            let reaches_back = log.iter().any(|look| !is_new(&look));
            let folder = self.feed.changes.rsplit_once('/').map_or("", |(folder, _)| folder);
            let entries = log.iter().filter(is_new).flat_map(|look| look.new.iter().chain(&look.updated));
            let changed: BTreeSet<String> = entries.filter_map(|entry| cve_path(&entry.cve_id)).collect();
            if reaches_back && changed.len() <= MAX_CVE_CHANGES {
                let next = Cursor { list: validators, newest, ..cursor.clone() };
                return self.changes(changed.into_iter().map(|path| format!("{folder}/{path}")), vec![], next);
            }
        }
        // The log was read first: what changes while the archive is fetched is asked for the next time.
        let (path, of_archive) = self.changed(&self.feed.url, &Validators::default(), MAX_FILE)?;
        self.whole(&path, Cursor { validators: of_archive, list: validators, newest, ..Cursor::default() })
    }
}

/// Where a record of the CVE list is: `2024/21xxx/CVE-2024-21626.json`.
fn cve_path(id: &str) -> Option<String> {
    let (year, number) = id.strip_prefix("CVE-")?.split_once('-')?;
    let is_number = |text: &str| (4..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(year) && is_number(number)).then(|| format!("{year}/{}xxx/{id}.json", &number[..number.len() - 3]))
}

/// The rows of a list of CSAF documents: where each is, and when it changed.
fn csaf_rows(text: &str) -> Vec<(String, String)> {
    let row =
        |line: &str| line.split_once(',').map(|(path, time)| (path.trim_matches('"').to_owned(), time.trim().trim_matches('"').to_owned()));
    text.lines().filter_map(row).filter(|(path, _)| is_plain_path(path)).collect()
}

/// `2024-08-04T00:00:00+00:00` of `csaf_vex_2024-08-04.tar.zst`.
fn day_of(archive: &str) -> Option<String> {
    let day = archive.split(['_', '.']).find(|part| part.len() == 10 && part.bytes().filter(|byte| *byte == b'-').count() == 2)?;
    Some(format!("{day}T00:00:00+00:00"))
}

/// The id that a document of a path is about: `CVE-2023-6237` of `2023/cve-2023-6237.json`.
fn id_of(path: &str) -> String {
    end_of(path).trim_end_matches(".json").to_ascii_uppercase()
}

/// A path below the feed's address, which leads nowhere else.
pub(crate) fn is_plain_path(path: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty() && part != "." && part != ".." && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    path.len() < 512 && path.split('/').all(plain)
}

/// The end of an address, which tells how it is written: `all.zip`, `data.json`.
fn end_of(url: &str) -> &str {
    let end = url.split(['?', '#']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    // The Debian tracker's address ends in a folder.
    if end.contains('.') { end } else { "data.json" }
}

/// A name as a file's.
pub(crate) fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' }).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        for bad in ["", "..", "../x.json", "a//b", "https://elsewhere/x.json", "a/../../b", "x\u{202e}.json"] {
            assert!(!is_plain_path(bad), "{bad}");
        }
        assert!(is_plain_path("2023/cve-2023-6237.json"));
        assert_eq!(cve_path("CVE-2024-21626").as_deref(), Some("2024/21xxx/CVE-2024-21626.json"));
        assert_eq!(cve_path("CVE-1999-0001").as_deref(), Some("1999/0xxx/CVE-1999-0001.json"));
        for bad in ["CVE-2024-1", "CVE-2024-../x", "GHSA-1", "CVE-2024-12\u{e9}4"] {
            assert_eq!(cve_path(bad), None, "{bad}");
        }
        assert_eq!(
            (id_of("2023/cve-2023-6237.json").as_str(), day_of("csaf_vex_2024-08-04.tar.zst").as_deref()),
            ("CVE-2023-6237", Some("2024-08-04T00:00:00+00:00"))
        );
    }
}
