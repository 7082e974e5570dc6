//! The layers of an image on all cores: each is hashed here and read by a worker, and what takes longest is begun first.
//!
//! Hashing a layer that is not compressed takes longer than looking through it, and cannot be parted: were a layer's two halves done
//! side by side, the last layer would be begun too late.

use crate::report::Alias;
use crate::scanner::{ScanError, ScannedImage, Scanner};
use crate::{LayerCache, LayerReport, compose::compose_with, job::Job};
use lestrade_artifact::{ArtifactError, Hashing, ImageConfig, LayerPlace, LayerSource, RegistryClient};
use lestrade_model::{Problem, ProblemKind};
use lestrade_sys::{Input, WorkerFailure};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How often layers are read again to see where links lead, and to how many files at most.
const MAX_PASSES: usize = 3;
const MAX_ALIASES: usize = 64;

/// What reading a compressed byte takes beside hashing one: inflating it, and hashing what comes out.
const TO_INFLATE: u64 = 5;
/// As many bytes are hashed in the time in which an entry is passed over.
const AN_ENTRY: u64 = 3_500;

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
pub(crate) enum Pending<'a> {
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

    /// About how long its two halves take, hashing and reading it, in bytes hashed.
    fn costs(&self) -> (u64, u64) {
        let size = self.size();
        match self {
            Self::Local(source) if !source.is_compressed() => (size, source.estimated_entries().saturating_mul(AN_ENTRY)),
            _ => (size, size.saturating_mul(TO_INFLATE)),
        }
    }
}

/// A part of the work on a layer.
#[derive(Clone, Copy)]
enum Part {
    /// Its digest.
    Hash,
    /// What is in it, by a worker.
    Read,
    /// All of it.
    Whole,
}

/// What is to be done for a layer.
enum Outlook {
    /// Nothing: what was found in it is at hand.
    Known(Result<LayerReport, ScanError>),
    /// It is read where it comes in or by a worker that hashes it, or only hashed to see that it is the one that is known.
    Whole,
    /// Its two halves are nobody's business but their own.
    Halves,
}

/// What is there of a layer.
#[derive(Default)]
struct Halves {
    blob: Option<Result<String, ArtifactError>>,
    report: Option<Result<LayerReport, ScanError>>,
    whole: Option<Result<LayerReport, ScanError>>,
}

/// Does something with each of the items on as many threads as there are cores. They are begun in their order.
fn on_all_cores<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let results: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    let work_on = || {
        while let Some((item, result)) = {
            let i = next.fetch_add(1, Ordering::Relaxed);
            items.get(i).zip(results.get(i))
        } {
            let done = work(item);
            *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len());
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work_on);
        }
        work_on();
    });
    results.into_iter().filter_map(|result| result.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

impl Scanner {
    /// Reads the layers of an image and puts them together.
    pub(crate) fn read_layers(&self, digest: String, config: ImageConfig, pending: &[Pending<'_>]) -> Result<ScannedImage, ScanError> {
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
        // What was read for one image's links is no other image's result.
        let reading = Reading { scanner: self, cache: self.cache.as_deref().filter(|_| aliases.is_empty()), aliases };
        let mut work = Vec::new();
        let mut layers = Vec::with_capacity(pending.len());
        let outlooks = on_all_cores(pending, |layer| reading.outlook(layer));
        for (number, (layer, outlook)) in pending.iter().zip(outlooks).enumerate() {
            let mut known = Halves::default();
            // What is at hand costs nothing, so its file is not looked into to estimate that.
            match outlook {
                Outlook::Known(report) => known.whole = Some(report),
                Outlook::Whole => {
                    let (to_hash, to_read) = layer.costs();
                    work.push((to_hash.saturating_add(to_read), number, Part::Whole));
                }
                Outlook::Halves => {
                    let (to_hash, to_read) = layer.costs();
                    work.extend([(to_hash, number, Part::Hash), (to_read, number, Part::Read)]);
                }
            }
            layers.push((layer, Mutex::new(known)));
        }
        // The longest first: the last one to be begun decides when all are done.
        work.sort_by_key(|(cost, ..)| std::cmp::Reverse(*cost));
        on_all_cores(&work, |(_, layer, part)| layers.get(*layer).map(|(layer, halves)| reading.work(layer, *part, halves)));
        let whole = |halves: Mutex<Halves>| halves.into_inner().unwrap_or_else(PoisonError::into_inner).whole;
        layers.into_iter().map(|(_, halves)| whole(halves).unwrap_or_else(|| Err(WorkerFailure::BadAnswer.into()))).collect()
    }
}

/// How the layers of one image are read.
struct Reading<'a> {
    scanner: &'a Scanner,
    cache: Option<&'a dyn LayerCache>,
    aliases: Vec<Alias>,
}

impl Reading<'_> {
    fn outlook(&self, layer: &Pending<'_>) -> Outlook {
        let kept = |cache: &dyn LayerCache, digest: &str| cache.get(&self.key(digest));
        match (layer, self.cache) {
            (_, None) => Outlook::Whole,
            (Pending::Remote { digest, .. }, Some(cache)) => {
                kept(cache, digest).map_or(Outlook::Whole, |report| Outlook::Known(Ok(report)))
            }
            (Pending::Local(source), Some(cache)) => {
                // A file that is what it was when it was hashed before has the digest that it had; what was found in it is then at hand,
                // or it is read and hashed like any other.
                let digests = self.scanner.digests.as_ref();
                let known = digests.and_then(|digests| digests.get(&File::open(source.path()).ok()?, source.slice()));
                if let Some(report) = known.and_then(|digest| kept(cache, &digest)) {
                    return Outlook::Known(check(source.digest.as_deref(), source.is_cut(), report));
                }
                // A file may have changed since, so what it promises is not enough: what it is now is what it is looked up by.
                let promised = source.digest.as_deref().is_some_and(|digest| kept(cache, digest).is_some());
                if promised { Outlook::Whole } else { Outlook::Halves }
            }
        }
    }

    fn work(&self, layer: &Pending<'_>, part: Part, halves: &Mutex<Halves>) {
        let halves = || halves.lock().unwrap_or_else(PoisonError::into_inner);
        match (layer, part) {
            (Pending::Local(source), Part::Hash) => {
                let blob = self.hash(source);
                halves().blob = Some(blob);
            }
            (Pending::Local(source), Part::Read) => {
                let report = self.local(source, true);
                halves().report = Some(report);
            }
            (Pending::Local(source), Part::Whole) => {
                let whole = self.local_whole(source);
                halves().whole = Some(whole);
            }
            (Pending::Remote { client, repository, digest, size }, _) => {
                let whole = self.remote(client, repository, digest, *size);
                halves().whole = Some(whole);
            }
        }
        let both = {
            let mut halves = halves();
            if halves.blob.is_some() && halves.report.is_some() { halves.blob.take().zip(halves.report.take()) } else { None }
        };
        if let (Some((blob, report)), Pending::Local(source)) = (both, layer) {
            let whole = blob.map_err(ScanError::from).and_then(|blob| self.kept(blob, || report));
            halves().whole = Some(whole.and_then(|report| check(source.digest.as_deref(), source.is_cut(), report)));
        }
    }

    /// Has a worker read a local layer, and hash it unless somebody else does.
    fn local(&self, source: &LayerSource, hashed_before: bool) -> Result<LayerReport, ScanError> {
        let name = source.digest.clone().unwrap_or_else(|| source.path().display().to_string());
        self.scanner.report(&self.job(source.slice(), hashed_before), Input::File(opened(source)?), &name)
    }

    fn local_whole(&self, source: &LayerSource) -> Result<LayerReport, ScanError> {
        let report = match self.cache {
            Some(_) => self.kept(self.hash(source)?, || self.local(source, true))?,
            None => self.local(source, false)?,
        };
        check(source.digest.as_deref(), source.is_cut(), report)
    }

    fn remote(&self, client: &RegistryClient, repository: &str, digest: &str, size: Option<u64>) -> Result<LayerReport, ScanError> {
        let inner = client.blob(repository, digest)?;
        let mut stream = Hashing::new(Told { inner, digest, bytes: 0, total: size, to: self.scanner.progress.as_deref() });
        // A registry that stops in the middle is no fault of the image or the worker.
        let broke_off = || {
            let (registry, layer) = (client.host(), digest.chars().take(19).collect::<String>());
            ScanError::from(ArtifactError::Network { registry, reason: format!("layer {layer}… broke off") })
        };
        let report = match self.scanner.report(&self.job(None, true), Input::Stream(&mut stream), digest) {
            Err(ScanError::Worker(WorkerFailure::Input(_))) => return Err(broke_off()),
            report => report?,
        };
        let blob = stream.finish().map_err(|_| broke_off())?;
        let report = check(Some(digest), false, hashed(report, blob))?;
        if let (Some(cache), false) = (self.cache, crashed(&report)) {
            cache.put(&self.key(digest), &report);
        }
        Ok(report)
    }

    fn job(&self, slice: Option<(u64, u64)>, hashed_before: bool) -> Job {
        Job::Layer { slice, hashed_before, aliases: self.aliases.clone(), limits: self.scanner.limits }
    }

    /// The digest of a local layer, which is kept where it will be known whether it still holds.
    fn hash(&self, source: &LayerSource) -> Result<String, ArtifactError> {
        let file = opened(source)?;
        let hash = || {
            let Some(digests) = &self.scanner.digests else { return source.hash(file) };
            let again = file.try_clone()?;
            let pending = digests.begin(&file, source.slice());
            let digest = source.hash(file)?;
            if let Some(pending) = pending {
                digests.keep(&pending, &again, &digest);
            }
            Ok(digest)
        };
        hash().map_err(|error| ArtifactError::at(source.path(), error))
    }

    /// The key of a layer's result: the digest that *we* computed, never a worker's word, which a hostile layer may have put into
    /// its mouth; and all that decides what is found in it.
    fn key(&self, blob: &str) -> String {
        format!("{blob};{}", self.scanner.fingerprint)
    }

    /// The kept result for a digest, or one that is read and kept.
    fn kept(&self, blob: String, read: impl FnOnce() -> Result<LayerReport, ScanError>) -> Result<LayerReport, ScanError> {
        let Some(cache) = self.cache else { return Ok(hashed(read()?, blob)) };
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
}

fn opened(source: &LayerSource) -> Result<File, ArtifactError> {
    File::open(source.path()).map_err(|error| ArtifactError::at(source.path(), error))
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
