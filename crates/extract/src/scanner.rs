//! From an artifact to its inventory: finds the layers, has workers read them, puts the results together.

use crate::digests::KnownDigests;
use crate::disk::ScannedDisk;
use crate::job::{DiskAnswer, Job, TarListing};
use crate::layers::Pending;
use crate::sbom::Assembling;
use crate::{Extractors, LayerCache, LayerReport, PullProgress, compose, extractors};
use lestrade_artifact::{
    ArtifactError, BadSkipPattern, ImageConfig, ImageReference, Limits, Platform, RegistryClient, Skip, SkipPatterns, TarEntry, TarIndexer,
    looks_like, open_image,
};
use lestrade_model::{Inventory, PackedInventory, Problem, ProblemKind};
use lestrade_sys::{Input, Pieces, Sandbox, WorkerCommand, WorkerFailure, WorkerLimits};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// The revision of how layers are walked: a part of the key under which results are kept, as extractors' versions are.
const WALK: &str = "walk@8";

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
    pub(crate) limits: Limits,
    pub(crate) cache: Option<Box<dyn LayerCache>>,
    pub(crate) digests: Option<KnownDigests>,
    /// All that decides what is found in a layer.
    pub(crate) fingerprint: String,
    pub(crate) progress: Option<Arc<dyn PullProgress>>,
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

    /// Runs a job. A worker that dies costs its input, which is then told, and not the scan.
    pub(crate) fn report(&self, job: &Job, input: Input<'_>, name: &str) -> Result<LayerReport, ScanError> {
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
