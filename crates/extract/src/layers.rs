//! The layers of an image on all cores: each is hashed here and read by a worker, and what takes longest is begun first.
//!
//! Hashing a layer that is not compressed takes longer than looking through it, and cannot be parted: were a layer's two halves done
//! side by side, the last layer would be begun too late. A core hashes two layers in little more time than one (ADR 49), so they are
//! paired where all is done sooner by that.

use crate::report::Alias;
use crate::scanner::{ScanError, ScannedImage, Scanner};
use crate::{LayerCache, LayerReport, compose::compose_with, job::Job};
use lestrade_artifact::{ArtifactError, Hashing, ImageConfig, LayerPlace, LayerSource, RegistryClient};
use lestrade_model::{Problem, ProblemKind};
use lestrade_sys::{Input, Sha256Pair, WorkerFailure};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How often layers are read again to see where links lead, and to how many files at most.
const MAX_PASSES: usize = 3;
const MAX_ALIASES: usize = 64;

/// What reading a compressed byte takes beside hashing one: inflating it, and hashing what comes out.
const TO_INFLATE: u64 = 5;
/// Looking through a layer that is not compressed takes at most this fraction of hashing it.
const TO_LOOK_THROUGH: u64 = 4;
/// Hashing a second layer beside another one takes this fraction of what it takes alone.
const BESIDE: u64 = 4;

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
            Self::Local(source) if !source.is_compressed() => (size, size / TO_LOOK_THROUGH),
            _ => (size, size.saturating_mul(TO_INFLATE)),
        }
    }
}

/// A part of the work; layers are named by their places.
#[derive(Clone, Copy)]
enum Part {
    /// The digest of a layer.
    Hash(usize),
    /// The digests of two.
    HashBoth([usize; 2]),
    /// What is in a layer, by a worker.
    Read(usize),
    /// All of it.
    Whole(usize),
}

/// All parts, the longest first, with those layers hashed in pairs, the smallest ones, by which all is done soonest. Pairs are of about the
/// same size.
fn planned(mut to_hash: Vec<(u64, usize)>, others: &[(u64, Part)], cores: usize, in_pairs: bool) -> Vec<(u64, Part)> {
    to_hash.sort_by_key(|(cost, _)| Reverse(*cost));
    let most = if in_pairs { to_hash.len() / 2 } else { 0 };
    let plans = (0..=most).map(|pairs| {
        let (alone, paired) = to_hash.split_at(to_hash.len() - 2 * pairs);
        let alone = alone.iter().map(|(cost, layer)| (*cost, Part::Hash(*layer)));
        let paired = paired.as_chunks().0.iter();
        let paired =
            paired.map(|[(long, first), (short, second)]| (long.saturating_add(short / BESIDE), Part::HashBoth([*first, *second])));
        let mut plan: Vec<(u64, Part)> = alone.chain(paired).chain(others.iter().copied()).collect();
        // The last one to be begun decides when all are done.
        plan.sort_by_key(|(cost, _)| Reverse(*cost));
        plan
    });
    // Of plans that take as long the first, with the fewest pairs.
    plans.min_by_key(|plan| duration(plan, cores)).unwrap_or_default()
}

/// How long parts take that are begun in this order.
fn duration(plan: &[(u64, Part)], cores: usize) -> u64 {
    let mut busy = vec![0_u64; cores];
    for (cost, _) in plan {
        if let Some(next) = busy.iter_mut().min() {
            *next = next.saturating_add(*cost);
        }
    }
    busy.into_iter().max().unwrap_or_default()
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

/// A file that is being hashed, and how it was before.
type Before = (File, crate::digests::Pending);

/// A layer, and what is there of it.
struct Layer<'a> {
    pending: &'a Pending<'a>,
    halves: Mutex<Halves>,
}

impl Layer<'_> {
    fn source(&self) -> Option<&LayerSource> {
        match self.pending {
            Pending::Local(source) => Some(source),
            Pending::Remote { .. } => None,
        }
    }

    fn halves(&self) -> MutexGuard<'_, Halves> {
        self.halves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was found out of a layer.
#[derive(Default)]
struct Halves {
    blob: Option<Result<String, ArtifactError>>,
    report: Option<Result<LayerReport, ScanError>>,
    whole: Option<Result<LayerReport, ScanError>>,
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
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
    std::thread::scope(|scope| {
        for _ in 1..cores().min(items.len()) {
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
        let (mut work, mut to_be_hashed) = (Vec::new(), Vec::new());
        let mut layers = Vec::with_capacity(pending.len());
        let outlooks = on_all_cores(pending, |layer| reading.outlook(layer));
        for (number, (layer, outlook)) in pending.iter().zip(outlooks).enumerate() {
            let mut known = Halves::default();
            // What is at hand costs nothing, so its file is not looked into to estimate that.
            match outlook {
                Outlook::Known(report) => known.whole = Some(report),
                Outlook::Whole => {
                    let (to_hash, to_read) = layer.costs();
                    work.push((to_hash.saturating_add(to_read), Part::Whole(number)));
                }
                Outlook::Halves => {
                    let (to_hash, to_read) = layer.costs();
                    to_be_hashed.push((to_hash, number));
                    work.push((to_read, Part::Read(number)));
                }
            }
            layers.push(Layer { pending: layer, halves: Mutex::new(known) });
        }
        let work = planned(to_be_hashed, &work, cores(), Sha256Pair::of_this_processor().is_some());
        on_all_cores(&work, |(_, part)| reading.work(*part, &layers));
        let whole = |halves: Mutex<Halves>| halves.into_inner().unwrap_or_else(PoisonError::into_inner).whole;
        layers.into_iter().map(|layer| whole(layer.halves).unwrap_or_else(|| Err(WorkerFailure::BadAnswer.into()))).collect()
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

    fn work(&self, part: Part, layers: &[Layer<'_>]) {
        let local = |number: usize| layers.get(number).and_then(|layer| Some((layer, layer.source()?)));
        match part {
            Part::Hash(number) => {
                if let Some((layer, source)) = local(number) {
                    let blob = self.hash(source);
                    self.note(layer, source, |halves| halves.blob = Some(blob));
                }
            }
            Part::HashBoth([first, second]) => {
                if let Some(((first, one), (second, other))) = local(first).zip(local(second)) {
                    let [blob_of_one, blob_of_other] = self.hash_both([one, other]);
                    self.note(first, one, |halves| halves.blob = Some(blob_of_one));
                    self.note(second, other, |halves| halves.blob = Some(blob_of_other));
                }
            }
            Part::Read(number) => {
                if let Some((layer, source)) = local(number) {
                    let report = self.local(source, true);
                    self.note(layer, source, |halves| halves.report = Some(report));
                }
            }
            Part::Whole(number) => {
                if let Some(layer) = layers.get(number) {
                    let whole = match layer.pending {
                        Pending::Local(source) => self.local_whole(source),
                        Pending::Remote { client, repository, digest, size } => self.remote(client, repository, digest, *size),
                    };
                    layer.halves().whole = Some(whole);
                }
            }
        }
    }

    /// Notes a half of a layer. The second one to be noted makes it whole.
    fn note(&self, layer: &Layer<'_>, source: &LayerSource, half: impl FnOnce(&mut Halves)) {
        let both = {
            let mut halves = layer.halves();
            half(&mut halves);
            if halves.blob.is_some() && halves.report.is_some() { halves.blob.take().zip(halves.report.take()) } else { None }
        };
        if let Some((blob, report)) = both {
            let whole = blob.map_err(ScanError::from).and_then(|blob| self.kept(blob, || report));
            layer.halves().whole = Some(whole.and_then(|report| check(source.digest.as_deref(), source.is_cut(), report)));
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
        let (file, pending) = self.begin(source)?;
        self.keep(source, pending, source.hash(file))
    }

    /// The same of two at once.
    fn hash_both(&self, sources: [&LayerSource; 2]) -> [Result<String, ArtifactError>; 2] {
        let ([one, other], [first, second]) = (sources, sources.map(|source| self.begin(source)));
        match (first, second) {
            (Ok((first, pending)), Ok((second, other_pending))) => {
                let [digest, other_digest] = LayerSource::hash_both([(one, first), (other, second)]);
                [self.keep(one, pending, digest), self.keep(other, other_pending, other_digest)]
            }
            (first, second) => [(one, first), (other, second)].map(|(source, begun)| {
                let (file, pending) = begun?;
                self.keep(source, pending, source.hash(file))
            }),
        }
    }

    /// Opens what is to be hashed, and notes how it is before that.
    fn begin(&self, source: &LayerSource) -> Result<(File, Option<Before>), ArtifactError> {
        let file = opened(source)?;
        let before = match self.scanner.digests.as_ref().and_then(|digests| digests.begin(&file, source.slice())) {
            Some(pending) => Some((file.try_clone().map_err(|error| ArtifactError::at(source.path(), error))?, pending)),
            None => None,
        };
        Ok((file, before))
    }

    fn keep(&self, source: &LayerSource, before: Option<Before>, digest: std::io::Result<String>) -> Result<String, ArtifactError> {
        let digest = digest.map_err(|error| ArtifactError::at(source.path(), error))?;
        if let Some((digests, (file, pending))) = self.scanner.digests.as_ref().zip(before) {
            digests.keep(&pending, &file, &digest);
        }
        Ok(digest)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(sizes: &[u64], others: &[(u64, Part)], cores: usize, in_pairs: bool) -> Vec<Vec<usize>> {
        let to_hash = sizes.iter().enumerate().map(|(layer, size)| (*size, layer)).collect();
        let parts = planned(to_hash, others, cores, in_pairs).into_iter();
        parts
            .map(|(_, part)| match part {
                Part::Hash(layer) | Part::Read(layer) | Part::Whole(layer) => vec![layer],
                Part::HashBoth(both) => both.to_vec(),
            })
            .collect()
    }

    #[test]
    fn layers_are_hashed_in_pairs_where_all_is_done_sooner_by_that() {
        assert_eq!(layers(&[], &[], 2, true), Vec::<Vec<usize>>::new());
        assert_eq!(layers(&[5], &[], 2, true), [vec![0]]);
        assert_eq!(layers(&[5, 9], &[], 2, true), [vec![1], vec![0]], "a core each");
        assert_eq!(layers(&[5, 9], &[(9, Part::Whole(2))], 2, true), [vec![1, 0], vec![2]], "one is busy");
        assert_eq!(layers(&[5, 9, 6], &[], 2, true), [vec![1], vec![2, 0]]);
        assert_eq!(layers(&[5, 90, 6, 7], &[], 2, true), [vec![1], vec![3], vec![2], vec![0]], "the long one takes as long anyway");
        assert_eq!(layers(&[5, 9, 6, 1], &[], 2, true), [vec![1, 2], vec![0, 3]]);
        assert_eq!(layers(&[5, 9, 6, 1, 7], &[], 2, true), [vec![1], vec![4, 2], vec![0, 3]]);
        assert_eq!(layers(&[5, 9, 6], &[], 1, true), [vec![1], vec![2, 0]]);
        assert_eq!(layers(&[5, 9, 6, 1], &[], 2, false), [vec![1], vec![2], vec![0], vec![3]]);
    }
}
