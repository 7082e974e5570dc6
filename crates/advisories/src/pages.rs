//! The ways to services that answer in pages: MSRC's months, NVD's windows of time, GitHub's advisories in the order of their last
//! change. None of them tells what was taken away; withdrawn records stay in all three, and say so.

use crate::download::{Downloaded, Shown, Validators, is_here};
use crate::routes::{Cursor, MAX_LIST, Next, Trip, file_name, is_plain_path};
use crate::{AdvisoriesError, FeedOutcome, Importer};
use lestrade_model::Timestamp;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the changes of MSRC's months are followed until all are fetched again: they are ten years of large documents.
const MONTHS_EVERY_MILLIS: i64 = 28 * DAY;
/// The most months that are believed.
const MAX_MONTHS: usize = 2_000;

const DAY: i64 = 24 * 60 * 60 * 1000;
/// The longest window that NVD answers.
const WINDOW: i64 = 120 * DAY;
/// How far NVD's changes are looked back at: when its files, which are written daily, were the last to speak, and beyond where the last
/// look ended, for those files may have spoken since.
const FIRST_LOOK_BACK: i64 = 8 * DAY;
const LOOK_BACK: i64 = 2 * DAY;
const NVD_PAGE: u64 = 2_000;
/// The most records of one window: three times as many as there are.
const MAX_NVD_RECORDS: u64 = 1_000_000;
/// Between two requests, without a key to NVD's API and with one (five and fifty in half a minute).
const NVD_PACE: Duration = Duration::from_secs(6);
const NVD_PACE_WITH_KEY: Duration = Duration::from_millis(600);

/// The most pages of GitHub's that are fetched at a time, without a token and with one. Where there are more the next look goes on.
const GITHUB_PAGES: usize = 50;
const GITHUB_PAGES_WITH_TOKEN: usize = 500;
/// Where GitHub's advisories begin.
const GITHUB_FIRST: &str = "2017-01-01T00:00:00Z";

impl Trip<'_> {
    /// One page, as a file whose name says how it is written; with the address of the next.
    fn page(&self, url: &str, shown: Shown<'_>) -> Result<(PathBuf, Option<String>), FeedOutcome> {
        let begun = self.downloads.join(format!("{}.page", file_name(&self.feed.name)));
        // A page is of its moment: what was begun of another one is no part of it.
        let _ = std::fs::remove_file(&begun);
        let mut progress = |bytes, total| self.progress.fetched(&self.feed.name, bytes, total);
        let fetched = self.downloader.fetch_page(url, &Validators::default(), shown, &begun, MAX_LIST, &mut progress);
        let next = match fetched? {
            (Downloaded::Whole(_), next) => next,
            (Downloaded::Unchanged, _) => {
                return Err(FeedOutcome::Unreachable("it says that nothing changed where nothing was known".into()));
            }
        };
        let kept = |error: std::io::Error| FeedOutcome::Unreachable(format!("it cannot be kept: {error}"));
        let mut head = [0; 64];
        let read = std::fs::File::open(&begun).and_then(|mut file| std::io::Read::read(&mut file, &mut head)).map_err(kept)?;
        let is_xml = String::from_utf8_lossy(&head[..read]).trim_start_matches('\u{feff}').trim_start().starts_with('<');
        let path = begun.with_extension(if is_xml { "page.xml" } else { "page.json" });
        std::fs::rename(&begun, &path).map_err(kept)?;
        Ok((path, next))
    }

    /// The text of a page.
    fn page_text(&self, url: &str, shown: Shown<'_>) -> Result<String, FeedOutcome> {
        let (path, _) = self.page(url, shown)?;
        let text = std::fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let _ = std::fs::remove_file(&path);
        text.map_err(|error| FeedOutcome::Unreachable(format!("it cannot be kept: {error}")))
    }

    /// Reads a page on top of others. One that has nothing of this feed is a page like others, unless something in it is wrong.
    fn take(&self, part: &mut Importer, path: &Path) -> Result<(), FeedOutcome> {
        let known = part.quarantined().len();
        let read = part.import(path);
        let _ = std::fs::remove_file(path);
        let nothing_wrong = part.quarantined().len() == known;
        match read {
            Ok(()) if part.is_nothing_but(&self.feed.scope) => Ok(()),
            Ok(()) => Err(FeedOutcome::Refused("it is another feed".into())),
            Err(AdvisoriesError::Nothing { .. }) if nothing_wrong => Ok(()),
            Err(AdvisoriesError::Nothing { .. }) => {
                Err(FeedOutcome::Refused(part.quarantined().last().map_or_else(String::new, |(_, reason)| reason.clone())))
            }
            Err(error) => Err(FeedOutcome::Refused(error.to_string())),
        }
    }

    /// MSRC's months: `/updates` lists them with the time of their last change, `/cvrf/2024-Jan` is one.
    pub(crate) fn msrc_months(&self) -> Result<Next, FeedOutcome> {
        #[derive(Deserialize)]
        struct Updates {
            value: Vec<Month>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Month {
            #[serde(rename = "ID")]
            id: String,
            current_release_date: String,
        }
        let base = self.feed.url.trim_end_matches('/');
        let shown = Shown { accept: Some("application/json"), ..Shown::default() };
        let updates: Updates = serde_json::from_str(&self.page_text(&format!("{base}/updates"), shown)?)
            .map_err(|_| FeedOutcome::Refused("its list of months is none".into()))?;
        let months: Vec<Month> = updates.value.into_iter().filter(|month| is_plain_path(&month.id) && !month.id.contains('/')).collect();
        if months.is_empty() || months.len() > MAX_MONTHS {
            return Err(FeedOutcome::Refused(format!("it has {} months", months.len())));
        }
        let newest = months.iter().map(|month| month.current_release_date.clone()).max();
        let followed = self.follows_changes_for(MONTHS_EVERY_MILLIS).filter(|cursor| cursor.newest.is_some());
        let is_new = |month: &&Month| followed.is_none_or(|cursor| Some(&month.current_release_date) > cursor.newest.as_ref());
        let mut part = Importer::new(self.now);
        let mut any = false;
        for month in months.iter().filter(is_new) {
            any = true;
            let (path, _) = self.page(&format!("{base}/cvrf/{}", month.id), shown)?;
            self.take(&mut part, &path)?;
        }
        match followed {
            Some(_) if !any => Err(FeedOutcome::Unchanged),
            Some(cursor) => Ok(Next { cursor: Cursor { newest, ..cursor.clone() }, part, dated: None, gone: Some(vec![]) }),
            None if !part.is_of(&self.feed.scope) => Err(FeedOutcome::Refused("it is another feed, or empty".into())),
            None => {
                let cursor = Cursor { newest, whole_at: Some(self.now), ..Cursor::default() };
                Ok(Next { cursor, part, dated: None, gone: None })
            }
        }
    }

    /// What changed at NVD since the last look: windows of 120 days at most, each page by page. Where the way breaks off, the windows
    /// that are whole are taken, and the next look goes on from there.
    pub(crate) fn nvd_changes(&self) -> Result<Next, FeedOutcome> {
        let from = self.cursor.and_then(|cursor| Timestamp::parse(cursor.newest.as_deref()?).ok());
        let mut begin = match from.filter(|from| *from <= self.now) {
            Some(from) => from.plus_millis(-LOOK_BACK),
            None => self.now.plus_millis(-FIRST_LOOK_BACK),
        };
        let mut whole = Importer::new(self.now);
        let mut reached = None;
        let mut paced = false;
        while begin < self.now {
            let end = begin.plus_millis(WINDOW).min(self.now);
            match self.nvd_window(begin, end, &mut paced) {
                Ok(window) => {
                    whole.join(window);
                    reached = Some(end);
                    begin = end;
                }
                // What is whole is not lost with what is not.
                Err(_) if reached.is_some() => break,
                Err(outcome) => return Err(outcome),
            }
        }
        let Some(reached) = reached else { return Err(FeedOutcome::Unchanged) };
        let cursor = Cursor { newest: Some(reached.to_string()), ..Cursor::default() };
        Ok(Next { cursor, part: whole, dated: None, gone: Some(vec![]) })
    }

    fn nvd_window(&self, begin: Timestamp, end: Timestamp, paced: &mut bool) -> Result<Importer, FeedOutcome> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Head {
            results_per_page: u64,
            start_index: u64,
            total_results: u64,
        }
        let pace = match (is_here(&self.feed.url), self.feed.key.0.is_empty()) {
            // A copy on this machine asks for no patience.
            (true, _) => Duration::ZERO,
            (false, true) => NVD_PACE,
            (false, false) => NVD_PACE_WITH_KEY,
        };
        let shown = Shown { key: Some(("apikey", &self.feed.key.0)), ..Shown::default() };
        // It asks for milliseconds, and for an offset in numbers.
        let time = |at: Timestamp| {
            let text = at.to_string();
            let text = text.trim_end_matches('Z');
            format!("{text}{}%2B00:00", if text.contains('.') { "" } else { ".000" })
        };
        let mut part = Importer::new(self.now);
        let mut have = 0;
        loop {
            if std::mem::replace(paced, true) {
                std::thread::sleep(pace);
            }
            let base = self.feed.url.trim_end_matches('/');
            let (begin, end) = (time(begin), time(end));
            let url = format!("{base}?resultsPerPage={NVD_PAGE}&startIndex={have}&lastModStartDate={begin}&lastModEndDate={end}");
            let (path, _) = self.page(&url, shown)?;
            let bytes = std::fs::read(&path).map_err(|error| FeedOutcome::Unreachable(format!("it cannot be kept: {error}")))?;
            let head: Head = serde_json::from_slice(&bytes).map_err(|_| FeedOutcome::Refused("a page that is none".into()))?;
            drop(bytes);
            if head.start_index != have || head.total_results > MAX_NVD_RECORDS {
                return Err(FeedOutcome::Refused("a page that was not asked for".into()));
            }
            self.take(&mut part, &path)?;
            have += head.results_per_page;
            if have >= head.total_results {
                return Ok(part);
            }
            if head.results_per_page == 0 {
                return Err(FeedOutcome::Refused(format!("it promises {} records and ends after {have}", head.total_results)));
            }
        }
    }

    /// GitHub's reviewed advisories, the one first that did not change for longest: a look that ends early goes on where it ended.
    pub(crate) fn github_pages(&self) -> Result<Next, FeedOutcome> {
        #[derive(Deserialize)]
        struct Changed {
            #[serde(default)]
            updated_at: String,
        }
        let known = self.cursor.and_then(|cursor| cursor.newest.clone());
        let since = known.clone().filter(|since| Timestamp::parse(since).is_ok()).unwrap_or_else(|| GITHUB_FIRST.to_owned());
        let base = self.feed.url.trim_end_matches('/');
        let mut next = Some(format!("{base}?type=reviewed&sort=updated&direction=asc&per_page=100&updated=%3E%3D{since}"));
        let bearer = if self.feed.key.0.is_empty() { String::new() } else { format!("Bearer {}", self.feed.key.0) };
        let shown = Shown { key: Some(("authorization", &bearer)), accept: Some("application/vnd.github+json") };
        let most = if bearer.is_empty() { GITHUB_PAGES } else { GITHUB_PAGES_WITH_TOKEN };
        let mut part = Importer::new(self.now);
        let mut newest = known.clone();
        let mut pages = 0;
        while let Some(url) = next.take().filter(|_| pages < most) {
            let (path, following) = match self.page(&url, shown) {
                Ok(page) => page,
                // What is here is in order, and nothing is missing before it.
                Err(_) if pages > 0 => break,
                Err(outcome) => return Err(outcome),
            };
            let bytes = std::fs::read(&path).map_err(|error| FeedOutcome::Unreachable(format!("it cannot be kept: {error}")))?;
            let records: Vec<Changed> = serde_json::from_slice(&bytes).map_err(|_| FeedOutcome::Refused("a page that is none".into()))?;
            drop(bytes);
            if !records.is_empty() {
                self.take(&mut part, &path)?;
            }
            newest = records.into_iter().map(|record| record.updated_at).filter(|at| Timestamp::parse(at).is_ok()).chain(newest).max();
            next = following;
            pages += 1;
        }
        if part.records() == 0 || (newest == known && part.records() <= 1) {
            // The last record that is known is asked for again, for others may be of the same second.
            return Err(FeedOutcome::Unchanged);
        }
        let cursor = Cursor { newest, ..Cursor::default() };
        Ok(Next { cursor, part, dated: None, gone: Some(vec![]) })
    }
}
