//! Watches a folder: each file that lies directly in it is a resource, read as what it is.
//!
//! A file counts once it has been the same in two looks. One that is gone closes its findings, but only when the folder itself
//! could be read and is the one that it was: a disk that is not mounted is no empty folder.

use crate::look::{reason_of, verdict};
use crate::reconcile::{Outcome, Reconciler};
use crate::{Core, Observation, ServerError};
use lestrade_artifact::Platform;
use lestrade_extract::{FileSort, ScanError, Scanner};
use lestrade_findings::ResourceEntry;
use lestrade_model::{
    Coverage, CoverageReason, Inventory, ProblemKind, Resource, ResourceDetails, ResourceFacts, ResourceKey, ResourceKind, ScanKind, Scope,
    Timestamp,
};
use lestrade_store::Document;
use lestrade_sys::step;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most files of one folder.
const FILES: usize = 10_000;
/// How soon a file is looked at again that may still be written.
const SOON: Duration = Duration::from_secs(1);
/// When a file that could not be read is tried again although it is as it was.
const AGAIN_MS: i64 = 600_000;
/// The tag that says which folder a resource belongs to.
const FOLDER: &str = "lestrade:folder";
/// The tag that says what it was read as.
const SORT: &str = "lestrade:sort";
/// The kind of the documents that note on which device a folder was.
const DEVICES: &str = "watched-folder";

/// How a file is read.
pub type ReadFile = Box<dyn FnMut(&Path) -> Result<(FileSort, Inventory), ScanError> + Send>;

/// Size, time of the last change and number: as long as they stay the same, so does the file.
type Stamp = (u64, i64, i64, u64);

/// Watches one folder for one scope.
pub struct WatchFolder {
    core: Arc<Core>,
    folder: PathBuf,
    read: ReadFile,
    scope: Scope,
    /// What the files looked like at the last look.
    seen: BTreeMap<PathBuf, Stamp>,
    /// What they looked like when they were read, and when one that could not be is tried again.
    done: BTreeMap<PathBuf, (Stamp, Option<Timestamp>)>,
    /// Whether some may still be written.
    unsettled: bool,
}

impl WatchFolder {
    /// Watches a folder.
    ///
    /// # Errors
    /// When the present folder, against which a relative path is held, is not there.
    pub fn new(core: Arc<Core>, scanner: Arc<Scanner>, folder: &Path, scope: Scope) -> std::io::Result<Self> {
        Self::reading_by(core, Box::new(move |path| scanner.scan_file(path, &Platform::default())), folder, scope)
    }

    /// The same, with another way to read files.
    ///
    /// # Errors
    /// When the present folder, against which a relative path is held, is not there.
    pub fn reading_by(core: Arc<Core>, read: ReadFile, folder: &Path, scope: Scope) -> std::io::Result<Self> {
        // However it is written, it is one folder.
        let folder = std::path::absolute(folder)?.components().collect();
        Ok(Self { core, folder, read, scope, seen: BTreeMap::new(), done: BTreeMap::new(), unsettled: false })
    }

    fn name(&self) -> String {
        self.folder.to_string_lossy().into_owned()
    }

    fn key(&self, path: &Path) -> ResourceKey {
        ResourceKey { scope: self.scope.clone(), kind: ResourceKind::Path, id: id_of(path) }
    }

    /// The files that lie in the folder, and the device that it is on.
    fn list(&self) -> std::io::Result<(BTreeMap<PathBuf, Stamp>, u64)> {
        let device = fs::metadata(&self.folder)?.dev();
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let metadata = match entry.metadata() {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            // Links are not followed, folders not entered.
            if !metadata.is_file() {
                continue;
            }
            if files.len() == FILES {
                return Err(std::io::Error::other(format!("more than {FILES} files lie in it")));
            }
            files.insert(entry.path(), stamp(&metadata));
        }
        Ok((files, device))
    }

    /// The resources that came from this folder and are not known to be gone.
    fn known(&self) -> Vec<ResourceEntry> {
        let name = self.name();
        let is_ours = |entry: &&ResourceEntry| {
            entry.resource.key.kind == ResourceKind::Path && entry.resource.tags.iter().any(|(key, value)| key == FOLDER && *value == name)
        };
        let is_there = |entry: &&ResourceEntry| entry.coverage.iter().all(|coverage| coverage.reason != CoverageReason::ResourceTerminated);
        let world = self.core.world();
        let all = world.resources_in(&self.scope).iter().filter_map(|id| world.resource(id));
        all.filter(is_ours).filter(is_there).cloned().collect()
    }

    /// Whether everything is gone because something else lies where the folder was.
    fn is_another(&self, known: &[ResourceEntry], there: &BTreeSet<String>, device: u64) -> Result<bool, ServerError> {
        let kept = self.core.store().documents(&self.scope, DEVICES)?;
        let before = kept.into_iter().find(|document| document.key == self.name()).and_then(|document| document.body.parse::<u64>().ok());
        let all_gone = !known.is_empty() && known.iter().all(|entry| !there.contains(&entry.resource.key.id));
        if all_gone && before.is_some_and(|before| before != device) {
            return Ok(true);
        }
        if before != Some(device) {
            let document = Document { key: self.name(), body: device.to_string() };
            self.core.store().put_document(&self.scope, DEVICES, &document)?;
        }
        Ok(false)
    }

    /// Says of every file that its folder cannot be read.
    fn lost(&mut self, known: Vec<ResourceEntry>, reason: CoverageReason, detail: &str) -> Result<(), ServerError> {
        // When the folder is back, all is read again, so that the coverage says so.
        self.done.clear();
        for entry in known {
            let coverage = entry.coverage.into_iter().map(|coverage| Coverage { reason, detail: detail.to_owned(), ..coverage }).collect();
            self.core.observe(Observation { resource: entry.resource, inventory: None, coverage })?;
        }
        Ok(())
    }

    /// Reads a file that has settled.
    fn file(&mut self, path: &Path, stamp: Stamp) -> Result<(), ServerError> {
        let begun = Instant::now();
        let read = (self.read)(path);
        step("folder: file read");
        self.core.meters.looked("path", begun.elapsed(), read.as_ref().map(|(_, inventory)| inventory));
        if fs::symlink_metadata(path).map(|metadata| self::stamp(&metadata)).ok() != Some(stamp) {
            // It was written while it was read: what was read is neither the one nor the other.
            self.unsettled = true;
            return Ok(());
        }
        let now = self.core.now();
        let key = self.key(path);
        let before = self.core.resource(&key);
        let mut tags = vec![(FOLDER.to_owned(), self.name())];
        tags.extend(path.file_name().map(|name| ("Name".to_owned(), name.to_string_lossy().into_owned())));
        let (inventory, reason, detail, again) = match read {
            Ok((sort, inventory)) => {
                tags.push((SORT.to_owned(), sort.as_str().to_owned()));
                let (reason, detail) = verdict(&inventory);
                let crashed = inventory.problems.iter().any(|problem| problem.kind == ProblemKind::Crashed);
                // What a worker that died left behind is not what is in the file.
                ((!crashed).then_some(inventory), reason, detail, crashed)
            }
            Err(error) => {
                tags.extend(before.iter().flat_map(|entry| entry.resource.tags.iter().filter(|(key, _)| key == SORT).cloned()));
                let reason = reason_of(&error);
                (None, reason, error.to_string(), reason != CoverageReason::UnsupportedMediaType)
            }
        };
        tags.sort();
        let last = before.and_then(|entry| entry.coverage.first().and_then(|coverage| coverage.last_scanned));
        let last_scanned = if inventory.is_some() { Some(now) } else { last };
        let resource = Resource { key, details: ResourceDetails::None, facts: ResourceFacts::default(), tags };
        let coverage = vec![Coverage { kind: ScanKind::Package, reason, detail, last_scanned }];
        self.core.observe(Observation { resource, inventory, coverage })?;
        step("folder: file taken in");
        self.done.insert(path.to_owned(), (stamp, again.then(|| now.plus_millis(AGAIN_MS))));
        Ok(())
    }
}

/// What a file is called as a resource. Bytes that are no text are replaced: whoever compares compares these.
fn id_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn stamp(metadata: &fs::Metadata) -> Stamp {
    (metadata.len(), metadata.mtime(), metadata.mtime_nsec(), metadata.ino())
}

impl Reconciler for WatchFolder {
    fn name(&self) -> &'static str {
        "watch-folder"
    }

    fn reconcile(&mut self) -> Result<Outcome, ServerError> {
        self.unsettled = false;
        let known = self.known();
        let source = |reason: String| ServerError::Source { source_name: self.name(), reason };
        let (files, device) = match self.list() {
            Ok(listed) => listed,
            Err(error) => {
                let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
                let reason = if denied { CoverageReason::AccessDenied } else { CoverageReason::InternalError };
                let failure = source(error.to_string());
                self.lost(known, reason, &format!("its folder cannot be read: {error}"))?;
                return Err(failure);
            }
        };
        step("folder: listed");
        let there: BTreeSet<String> = files.keys().map(|path| id_of(path)).collect();
        if self.is_another(&known, &there, device)? {
            let failure = source("all files are gone and it is on another device: is something not mounted?".into());
            self.lost(known, CoverageReason::InternalError, "its folder is on another device and empty: is something not mounted?")?;
            return Err(failure);
        }
        let mut outcome = Outcome::Unchanged;
        let now = self.core.now();
        for (path, stamp) in &files {
            let is_done = |(done, again): &(Stamp, Option<Timestamp>)| done == stamp && again.is_none_or(|again| now < again);
            if self.done.get(path).is_some_and(is_done) {
                continue;
            }
            if self.seen.get(path) == Some(stamp) {
                self.file(path, *stamp)?;
                outcome = Outcome::Changed;
            } else {
                self.unsettled = true;
            }
        }
        for entry in known.iter().filter(|entry| !there.contains(&entry.resource.key.id)) {
            if self.core.forget(&entry.resource.key, CoverageReason::ResourceTerminated)? {
                outcome = Outcome::Changed;
            }
        }
        self.done.retain(|path, _| files.contains_key(path));
        self.seen = files;
        Ok(outcome)
    }

    fn due(&self) -> Option<Duration> {
        self.unsettled.then_some(SOON)
    }
}
