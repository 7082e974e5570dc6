//! From an artifact to its inventory: finds the layers, has workers read them, puts the results together.

use crate::compose::compose_with;
use crate::digests::KnownDigests;
use crate::disk::ScannedDisk;
use crate::job::{DiskAnswer, Job, TarListing};
use crate::report::Alias;
use crate::sbom::Assembling;
use crate::{Extractors, LayerCache, LayerReport, compose, extractors};
use lestrade_artifact::{
    ArtifactError, BadSkipPattern, Hashing, ImageConfig, ImageReference, LayerPlace, LayerSource, Limits, Platform, RegistryClient, Skip,
    SkipPatterns, TarEntry, TarIndexer, looks_like, open_image,
};
use lestrade_model::{Inventory, PackedInventory, Problem, ProblemKind};
use lestrade_sys::{Input, Pieces, Sandbox, WorkerCommand, WorkerFailure, WorkerLimits};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The revision of how layers are walked: a part of the key under which results are kept, as extractors' versions are.
const WALK: &str = "walk@7";
/// How often layers are read again to see where links lead, and to how many files at most.
const MAX_PASSES: usize = 3;
const MAX_ALIASES: usize = 64;

/// Why an artifact as a whole was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The artifact is not one.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A layer is not the one that the manifest names.
    #[error("digest mismatch: layer {wanted} has the digest {found}; it is refused")]
    LayerMismatch {
        /// What the manifest names.
        wanted: String,
        /// What was computed.
        found: String,
    },
    /// A file is no bill of materials, or one that is not read.
    #[error("'{path}' is no bill of materials that can be read: {detail}")]
    NotADocument {
        /// The file.
        path: String,
        /// What it is.
        detail: String,
    },
    /// A file is no zip archive, or a damaged one.
    #[error("'{path}' is no zip archive that can be read: {detail}")]
    NotAZip {
        /// The file.
        path: String,
        /// Why not.
        detail: String,
    },
    /// A file is no disk image, or one that is not read.
    #[error("'{path}' is no disk that can be read: {detail}")]
    NotADisk {
        /// The file.
        path: String,
        /// Why not.
        detail: String,
    },
    /// A pattern of what is to be left out is none.
    #[error(transparent)]
    Skip(#[from] BadSkipPattern),
    /// No worker can be had.
    #[error(transparent)]
    Worker(#[from] WorkerFailure),
}

/// An image that was read.
#[derive(Clone, Debug)]
pub struct ScannedImage {
    /// The computed digest of its manifest; of its config where it has none.
    pub digest: String,
    /// Its config.
    pub config: ImageConfig,
    /// What is in it.
    pub inventory: Inventory,
    /// The computed digests of its layers' blobs, lowest first.
    pub layers: Vec<String>,
}

/// Reads artifacts.
pub struct Scanner {
    worker: WorkerCommand,
    limits: Limits,
    cache: Option<Box<dyn LayerCache>>,
    digests: Option<KnownDigests>,
    fingerprint: String,
    progress: Option<Arc<dyn PullProgress>>,
}

/// Is told how layers come in from a registry.
pub trait PullProgress: Send + Sync {
    /// So many bytes of a layer have come, of so many.
    fn fetched(&self, digest: &str, bytes: u64, total: Option<u64>);
    /// A layer is read, or will not be.
    fn done(&self, digest: &str);
}

/// A stream that tells how far it is, and when it is let go.
struct Told<'a, R> {
    inner: R,
    digest: &'a str,
    bytes: u64,
    total: Option<u64>,
    to: Option<&'a dyn PullProgress>,
}

impl<R: Read> Read for Told<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes += read as u64;
        if let Some(to) = self.to {
            to.fetched(self.digest, self.bytes, self.total);
        }
        Ok(read)
    }
}

impl<R> Drop for Told<'_, R> {
    fn drop(&mut self) {
        if let Some(to) = self.to {
            to.done(self.digest);
        }
    }
}

/// A layer that is to be read.
enum Pending<'a> {
    Local(&'a LayerSource),
    Remote { client: &'a RegistryClient, repository: &'a str, digest: &'a str, size: Option<u64> },
}

impl Pending<'_> {
    /// How many bytes it has, where that can be told beforehand.
    fn size(&self) -> u64 {
        match self {
            Self::Local(LayerSource { place: LayerPlace::Slice { length, .. }, .. }) => *length,
            Self::Local(LayerSource { place: LayerPlace::File(path), .. }) => std::fs::metadata(path).map_or(0, |metadata| metadata.len()),
            Self::Remote { size, .. } => size.unwrap_or_default(),
        }
    }
}

impl Scanner {
    /// A scanner that has its workers started by `worker`.
    #[must_use]
    pub fn new(worker: WorkerCommand, limits: Limits, cache: Option<Box<dyn LayerCache>>) -> Self {
        let fingerprint = format!("{WALK};{};{limits:?}", Extractors::fingerprint(extractors()));
        Self { worker, limits, cache, digests: None, fingerprint, progress: None }
    }

    /// The same, telling how layers come in.
    #[must_use]
    pub fn telling(self, progress: Arc<dyn PullProgress>) -> Self {
        Self { progress: Some(progress), ..self }
    }

    /// The same, knowing the digests of local files that are as they were.
    #[must_use]
    pub fn knowing(self, digests: KnownDigests) -> Self {
        Self { digests: Some(digests), ..self }
    }

    /// Which walls stand around a worker on this machine: has one look at nothing.
    ///
    /// # Errors
    /// When it cannot be started or does not answer.
    pub fn sandbox(&self) -> Result<Sandbox, ScanError> {
        let job = postcard::to_stdvec(&Job::Index { limits: self.limits }).map_err(|_| WorkerFailure::JobTooLarge)?;
        let nothing = File::open("/dev/null").map_err(WorkerFailure::Start)?;
        Ok(self.worker.run(&job, Input::File(nothing), WorkerLimits::default())?.0)
    }

    /// Reads a directory as the root of a system, but for what is to be left out.
    ///
    /// # Errors
    /// When it is not there, may not be read, or is no directory, or a pattern is none.
    pub fn scan_directory(&self, root: &Path, skip: &SkipPatterns) -> Result<Inventory, ScanError> {
        let shown = root.display().to_string();
        let io = |source: std::io::Error| ArtifactError::at(root, source);
        Skip::new(skip)?;
        let folder = File::open(root).map_err(io)?;
        if !folder.metadata().map_err(io)?.is_dir() {
            return Err(io(std::io::ErrorKind::NotADirectory.into()).into());
        }
        std::fs::read_dir(root).map_err(io)?;
        let report = self.report(&Job::Directory { skip: skip.clone(), limits: self.limits }, Input::File(folder), &shown)?;
        Ok(compose(&[report]))
    }

    /// Reads a file as if it lay alone in the root of a system, under this name.
    pub(crate) fn scan_named(&self, name: &str, path: &Path) -> Result<Inventory, ScanError> {
        let job = Job::File { name: name.to_owned(), limits: self.limits };
        let report = self.report(&job, Input::File(open_file(path)?), &path.display().to_string())?;
        Ok(compose(&[report]))
    }

    /// Reads a bill of materials: CycloneDX or SPDX.
    ///
    /// # Errors
    /// When it is not there, may not be read, or is no such document.
    pub fn scan_document(&self, path: &Path) -> Result<PackedInventory, ScanError> {
        let shown = path.display().to_string();
        let file = open_file(path)?;
        let job = postcard::to_stdvec(&Job::Document { limits: self.limits }).map_err(|_| WorkerFailure::JobTooLarge)?;
        let mut assembling = Assembling::default();
        self.worker.run_streamed(&job, Input::File(file), WorkerLimits::default(), &mut |bytes| assembling.take(bytes))?;
        let read = assembling.finish().ok_or(WorkerFailure::BadAnswer)?;
        let mut inventory =
            read.map_err(|detail| ScanError::NotADocument { path: shown.clone(), detail: guessed(path, detail, "a JSON document") })?;
        inventory.problems.iter_mut().filter(|problem| problem.path.is_empty()).for_each(|problem| problem.path.clone_from(&shown));
        Ok(inventory)
    }

    /// Reads a zip archive as the root of what runs from it: a function's package, or a layer of one.
    ///
    /// # Errors
    /// When it is not there, may not be read, or is no zip archive.
    pub fn scan_zip_file(&self, path: &Path) -> Result<Inventory, ScanError> {
        self.scan_zip_called(&path.display().to_string(), path)
    }

    /// The same of an archive that goes by another name than that of its file: what is said of it is said of that.
    ///
    /// # Errors
    /// When it is not there, may not be read, or is no zip archive.
    pub fn scan_zip_called(&self, name: &str, path: &Path) -> Result<Inventory, ScanError> {
        let shown = name.to_owned();
        let file = open_file(path)?;
        let body = match self.run(&Job::Zip { limits: self.limits }, Input::File(file)) {
            Ok(body) => body,
            Err(failure @ (WorkerFailure::Start(_) | WorkerFailure::JobTooLarge)) => return Err(failure.into()),
            Err(failure) => return Ok(compose(&[died(&shown, &failure)])),
        };
        let read = postcard::from_bytes::<Result<LayerReport, String>>(&body).map_err(|_| WorkerFailure::BadAnswer)?;
        let mut report = read.map_err(|detail| ScanError::NotAZip { path: shown.clone(), detail: guessed(path, detail, "a zip file") })?;
        report.problems.iter_mut().filter(|problem| problem.path.is_empty()).for_each(|problem| problem.path.clone_from(&shown));
        Ok(compose(&[report]))
    }

    /// Reads a disk image, or a disk: each of its file systems as the root of a system, but for what is to be left out.
    ///
    /// # Errors
    /// When it is not there, may not be read, or there is nothing on it that is known, or a pattern is none.
    pub fn scan_disk(&self, path: &Path, skip: &SkipPatterns) -> Result<ScannedDisk, ScanError> {
        Skip::new(skip)?;
        let read = self.read_disk(path.display().to_string(), skip, None, Input::File(open_file(path)?));
        read.map_err(|error| match error {
            ScanError::NotADisk { path: shown, detail } => ScanError::NotADisk { path: shown, detail: guessed(path, detail, DISK) },
            other => other,
        })
    }

    /// The same of a disk of `size` bytes that lies elsewhere: only what is asked for is fetched.
    ///
    /// # Errors
    /// When there is nothing on it that is known, or a pattern is none.
    pub fn scan_pieces(
        &self,
        name: &str,
        size: u64,
        pieces: &mut (dyn Pieces + Send),
        skip: &SkipPatterns,
    ) -> Result<ScannedDisk, ScanError> {
        Skip::new(skip)?;
        self.read_disk(name.to_owned(), skip, Some(size), Input::Pieces(pieces))
    }

    fn read_disk(&self, shown: String, skip: &SkipPatterns, asked: Option<u64>, input: Input<'_>) -> Result<ScannedDisk, ScanError> {
        let body = match self.run(&Job::Disk { skip: skip.clone(), limits: self.limits, asked }, input) {
            Ok(body) => body,
            Err(failure @ (WorkerFailure::Start(_) | WorkerFailure::JobTooLarge)) => return Err(failure.into()),
            Err(failure) => return Ok(ScannedDisk::lost(compose(&[died(&shown, &failure)]))),
        };
        let answer = postcard::from_bytes::<DiskAnswer>(&body).map_err(|_| WorkerFailure::BadAnswer)?;
        let report = answer.map_err(|detail| ScanError::NotADisk { path: shown.clone(), detail })?;
        Ok(ScannedDisk::of(&report, &shown))
    }

    /// Reads an image in a file or folder.
    ///
    /// # Errors
    /// When it is not an image, is not whole, or lies about its layers.
    pub fn scan_image_file(&self, path: &Path, platform: &Platform) -> Result<ScannedImage, ScanError> {
        let image = open_image(path, platform, self, &self.limits)?;
        let pending: Vec<Pending<'_>> = image.layers.iter().map(Pending::Local).collect();
        self.read_layers(image.digest, image.config, &pending)
    }

    /// Reads an image in a registry. Layers that were read before are not fetched.
    ///
    /// # Errors
    /// When the registry cannot be asked, there is no such image, or it lies about its layers.
    pub fn scan_registry_image(
        &self,
        client: &RegistryClient,
        reference: &ImageReference,
        platform: &Platform,
    ) -> Result<ScannedImage, ScanError> {
        let image = client.image(reference, platform)?;
        let repository = &reference.repository;
        let pending = image.layers.iter().map(|(digest, size)| Pending::Remote { client, repository, digest, size: *size });
        let pending: Vec<Pending<'_>> = pending.collect();
        self.read_layers(image.digest, image.config, &pending)
    }

    /// Reads layers on as many workers as there are cores.
    fn read_layers(&self, digest: String, config: ImageConfig, pending: &[Pending<'_>]) -> Result<ScannedImage, ScanError> {
        let mut aliases = BTreeSet::new();
        let mut layers = self.read_each(pending, &aliases)?;
        check_diff_ids(&config, &mut layers);
        let (mut inventory, mut unread) = compose_with(&layers, &aliases);
        // Links may lead to files that no pattern names: then layers are read again, for those too.
        for _ in 0..MAX_PASSES {
            if unread.is_empty() || aliases.len() + unread.len() > MAX_ALIASES {
                break;
            }
            aliases.append(&mut unread);
            layers = self.read_each(pending, &aliases)?;
            check_diff_ids(&config, &mut layers);
            (inventory, unread) = compose_with(&layers, &aliases);
        }
        let blobs = layers.iter().map(|layer| layer.digests.blob.clone()).collect();
        Ok(ScannedImage { digest, config, inventory, layers: blobs })
    }

    fn read_each(&self, pending: &[Pending<'_>], aliases: &BTreeSet<Alias>) -> Result<Vec<LayerReport>, ScanError> {
        let aliases: Vec<Alias> = aliases.iter().cloned().collect();
        let results: Vec<Mutex<Option<Result<LayerReport, ScanError>>>> = pending.iter().map(|_| Mutex::new(None)).collect();
        // The largest first: the last one to be started decides when all are done.
        let mut order: Vec<usize> = (0..pending.len()).collect();
        order.sort_by_key(|i| std::cmp::Reverse(pending[*i].size()));
        let next = AtomicUsize::new(0);
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(pending.len().max(1));
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while let Some((layer, result)) = {
                        let i = order.get(next.fetch_add(1, Ordering::Relaxed)).copied();
                        i.and_then(|i| pending.get(i).zip(results.get(i)))
                    } {
                        let report = self.layer(layer, &aliases);
                        *result.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(report);
                    }
                });
            }
        });
        let mut layers = Vec::with_capacity(pending.len());
        for result in results {
            let result = result.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
            layers.extend(result.transpose()?);
        }
        Ok(layers)
    }

    fn layer(&self, pending: &Pending<'_>, aliases: &[Alias]) -> Result<LayerReport, ScanError> {
        // What was read for one image's links is no other image's result.
        let cache = self.cache.as_deref().filter(|_| aliases.is_empty());
        let job = |slice, hashed_before| Job::Layer { slice, hashed_before, aliases: aliases.to_vec(), limits: self.limits };
        match pending {
            Pending::Local(source) => {
                let path = source.path();
                let shown = path.display().to_string();
                let open = || File::open(path).map_err(|source| ArtifactError::Io { path: shown.clone(), source });
                let name = source.digest.clone().unwrap_or_else(|| shown.clone());
                let Some(cache) = cache else {
                    let report = self.report(&job(source.slice(), false), Input::File(open()?), &name)?;
                    return check(source.digest.as_deref(), source.is_cut(), report);
                };
                // A file that is what it was when it was hashed before has the digest that it had; what was found in it is then at hand,
                // or it is read and hashed like any other.
                let known = self.digests.as_ref().and_then(|digests| digests.get(&open().ok()?, source.slice()));
                if let Some(report) = known.and_then(|digest| cache.get(&self.key(&digest))) {
                    return check(source.digest.as_deref(), source.is_cut(), report);
                }
                let hash = || self.hash(source, open()?).map_err(|source| ArtifactError::Io { path: shown.clone(), source });
                let read = || self.report(&job(source.slice(), true), Input::File(open()?), &name);
                // A file may have changed since, so what it promises is not enough: what it is now is what it is looked up by.
                let promised = source.digest.as_deref().and_then(|digest| cache.get(&self.key(digest)));
                let report = if promised.is_some() {
                    self.kept(cache, hash()?, read)?
                } else {
                    // It has to be read anyway: both at once.
                    let (blob, report) = std::thread::scope(|scope| {
                        let hashing = scope.spawn(hash);
                        let report = read();
                        (hashing.join(), report)
                    });
                    let blob = blob.unwrap_or_else(|_| {
                        Err(ArtifactError::Io { path: shown.clone(), source: std::io::Error::other("hashing it failed") })
                    });
                    let blob = blob?;
                    self.kept(cache, blob, || report)?
                };
                check(source.digest.as_deref(), source.is_cut(), report)
            }
            Pending::Remote { client, repository, digest, size } => {
                if let Some(report) = cache.and_then(|cache| cache.get(&self.key(digest))) {
                    return Ok(report);
                }
                let inner = client.blob(repository, digest)?;
                let mut stream = Hashing::new(Told { inner, digest, bytes: 0, total: *size, to: self.progress.as_deref() });
                // A registry that stops in the middle is no fault of the image or the worker.
                let broke_off = || {
                    let (registry, layer) = (client.host(), digest.chars().take(19).collect::<String>());
                    ScanError::from(ArtifactError::Network { registry, reason: format!("layer {layer}… broke off") })
                };
                let report = match self.report(&job(None, true), Input::Stream(&mut stream), digest) {
                    Err(ScanError::Worker(WorkerFailure::Input(_))) => return Err(broke_off()),
                    report => report?,
                };
                let blob = stream.finish().map_err(|_| broke_off())?;
                let report = check(Some(digest), false, hashed(report, blob))?;
                if let (Some(cache), false) = (cache, crashed(&report)) {
                    cache.put(&self.key(digest), &report);
                }
                Ok(report)
            }
        }
    }

    /// The digest of a local layer, which is kept where it will be known whether it still holds.
    fn hash(&self, source: &LayerSource, file: File) -> std::io::Result<String> {
        let Some(digests) = &self.digests else { return source.hash(file) };
        let again = file.try_clone()?;
        let pending = digests.begin(&file, source.slice());
        let digest = source.hash(file)?;
        if let Some(pending) = pending {
            digests.keep(&pending, &again, &digest);
        }
        Ok(digest)
    }

    /// The key of a layer's result: the digest that *we* computed, never a worker's word, which a hostile layer may have put into
    /// its mouth; and all that decides what is found in it.
    fn key(&self, blob: &str) -> String {
        format!("{blob};{}", self.fingerprint)
    }

    /// The kept result for a digest, or one that is read and kept.
    fn kept(
        &self,
        cache: &dyn LayerCache,
        blob: String,
        read: impl FnOnce() -> Result<LayerReport, ScanError>,
    ) -> Result<LayerReport, ScanError> {
        let key = self.key(&blob);
        if let Some(report) = cache.get(&key) {
            return Ok(report);
        }
        let report = hashed(read()?, blob);
        if !crashed(&report) {
            cache.put(&key, &report);
        }
        Ok(report)
    }

    /// Runs a job. A worker that dies costs its input, which is then told, and not the scan.
    fn report(&self, job: &Job, input: Input<'_>, name: &str) -> Result<LayerReport, ScanError> {
        let failure = match self.run(job, input) {
            Ok(body) => match postcard::from_bytes(&body) {
                Ok(report) => return Ok(report),
                Err(_) => WorkerFailure::BadAnswer,
            },
            Err(failure @ (WorkerFailure::Start(_) | WorkerFailure::Input(_) | WorkerFailure::JobTooLarge)) => return Err(failure.into()),
            Err(failure) => failure,
        };
        Ok(died(name, &failure))
    }

    fn run(&self, job: &Job, input: Input<'_>) -> Result<Vec<u8>, WorkerFailure> {
        let job = postcard::to_stdvec(job).map_err(|_| WorkerFailure::JobTooLarge)?;
        self.worker.run(&job, input, WorkerLimits::default()).map(|(_, body)| body)
    }
}

/// A file that is there and not empty.
fn open_file(path: &Path) -> Result<File, ScanError> {
    let io = |source: std::io::Error| ArtifactError::at(path, source);
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if metadata.is_dir() {
        return Err(io(std::io::ErrorKind::IsADirectory.into()).into());
    }
    if metadata.is_file() && metadata.len() == 0 {
        return Err(ArtifactError::Empty(path.display().to_string()).into());
    }
    Ok(file)
}

/// Why a file is not what it was taken for, and what it looks like unless that is what it should be. Only a file can be looked at twice.
fn guessed(path: &Path, detail: String, wanted: &str) -> String {
    let head = || {
        let file = File::open(path).ok().filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()))?;
        let mut head = Vec::new();
        file.take(512).read_to_end(&mut head).ok()?;
        Some(head)
    };
    let Some(head) = head() else { return detail };
    match looks_like(&head) {
        Some(looks_like) if looks_like == wanted => detail,
        Some(looks_like) => format!("{detail}; it looks like {looks_like}"),
        // Of a disk was said all that there is to say.
        None if wanted == DISK => detail,
        None => format!("{detail}; it looks like nothing that is known"),
    }
}

/// What a disk looks like that has a mark.
const DISK: &str = "a qcow2 disk";

/// What is left of an input whose worker died: that it did.
fn died(name: &str, failure: &WorkerFailure) -> LayerReport {
    let problem = Problem { path: name.to_owned(), kind: ProblemKind::Crashed, detail: failure.to_string() };
    LayerReport { problems: vec![problem], ..LayerReport::default() }
}

/// A report of bytes whose digest was computed outside of the worker.
fn hashed(mut report: LayerReport, blob: String) -> LayerReport {
    if report.digests.diff.is_empty() {
        // They were not compressed: both digests are of the same bytes.
        report.digests.diff.clone_from(&blob);
    }
    report.digests.blob = blob;
    report
}

fn crashed(report: &LayerReport) -> bool {
    report.problems.iter().any(|problem| problem.kind == ProblemKind::Crashed)
}

/// A layer must be what the manifest names it as. One whose worker died has no digest to compare; its problem says so. One that was
/// cut gives what is left of it, and says so too.
fn check(wanted: Option<&str>, is_cut: bool, mut report: LayerReport) -> Result<LayerReport, ScanError> {
    let Some(wanted) = wanted.filter(|wanted| !crashed(&report) && report.digests.blob != *wanted) else { return Ok(report) };
    // Shorter than it should be, and in the middle of something: cut. Shorter and whole: another one in its place.
    if is_cut && report.problems.iter().any(|problem| problem.kind == ProblemKind::Truncated) {
        let detail = format!("it is not whole: it has the digest {} and should have {wanted}", report.digests.blob);
        report.problems.push(Problem { path: String::new(), kind: ProblemKind::DigestMismatch, detail });
        return Ok(report);
    }
    Err(ScanError::LayerMismatch { wanted: wanted.to_owned(), found: report.digests.blob })
}

/// The config's word about its layers is compared with what they are; results are kept by what they are.
fn check_diff_ids(config: &ImageConfig, layers: &mut [LayerReport]) {
    let (promised, present) = (config.diff_ids.len(), layers.len());
    for (i, layer) in layers.iter_mut().enumerate() {
        let wanted = config.diff_ids.get(i);
        let lies = wanted.is_none_or(|wanted| *wanted != layer.digests.diff) && !crashed(layer);
        if lies || (i == 0 && promised != present) {
            let detail =
                format!("the config promises {} and the layer is {}", wanted.map_or("nothing", String::as_str), layer.digests.diff);
            layer.problems.push(Problem { path: String::new(), kind: ProblemKind::DigestMismatch, detail });
        }
    }
}

/// How an archive's members are listed: a part of what a list is kept under.
pub(crate) fn how_listed(limits: &Limits) -> String {
    format!("{WALK};{limits:?}")
}

impl TarIndexer for Scanner {
    fn index(&self, file: File, path: &Path, limits: &Limits) -> Result<Vec<TarEntry>, ArtifactError> {
        let how = how_listed(limits);
        if let Some(entries) = self.digests.as_ref().and_then(|digests| digests.members(&file, &how)) {
            return Ok(entries);
        }
        let pending =
            self.digests.as_ref().and_then(|digests| Some((digests, digests.begin_members(&file, &how)?, file.try_clone().ok()?)));
        let shown = path.display().to_string();
        let broken = |detail: String| ArtifactError::Truncated { path: shown.clone(), detail };
        let body = self.run(&Job::Index { limits: *limits }, Input::File(file)).map_err(|failure| broken(failure.to_string()))?;
        match postcard::from_bytes::<TarListing>(&body).map_err(|_| broken("the worker's answer is not one".into()))? {
            Ok(entries) => {
                if let Some((digests, pending, file)) = pending {
                    digests.keep_members(&pending, &file, &entries);
                }
                Ok(entries)
            }
            Err((true, detail)) => Err(ArtifactError::Truncated { path: shown, detail }),
            Err((false, _)) => Err(ArtifactError::NotAnImage { path: shown, looks_like: "no archive, or a damaged one" }),
        }
    }
}
