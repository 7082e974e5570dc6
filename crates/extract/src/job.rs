//! What a worker is asked to do.

use crate::disk::{DiskReport, VolumeReport};
use crate::report::Alias;
use crate::{Collector, Extractors, LayerReport, extractors, sbom};
use lestrade_artifact::{
    Disk, FilePart, Hasher, Holder, Limits, ReadAt, Skip, SkipPatterns, TarEntry, index_tar, walk_directory, walk_file, walk_layer,
    walk_layer_file, walk_zip,
};
use lestrade_sys::{Answer, Asking, Reach, Sandbox, Spill, answer, confine};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

/// A job. The input is the worker's standard input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Job {
    /// Reads the layer at standard input, or the slice of it: answers a [`crate::LayerReport`].
    Layer { slice: Option<(u64, u64)>, hashed_before: bool, aliases: Vec<Alias>, limits: Limits },
    /// Reads the folder that standard input is open on: answers a [`crate::LayerReport`].
    Directory { skip: SkipPatterns, limits: Limits },
    /// Reads the file at standard input as if it lay alone in a root, under this name: answers a [`crate::LayerReport`].
    File { name: String, limits: Limits },
    /// Reads the zip archive at standard input: answers a [`crate::LayerReport`], or why it is none.
    Zip { limits: Limits },
    /// Reads the disk image at standard input, or the disk of so many bytes that is asked for there piece by piece: answers a
    /// [`DiskAnswer`].
    Disk { skip: SkipPatterns, limits: Limits, asked: Option<u64> },
    /// Lists the tar at standard input: answers a [`TarListing`].
    Index { limits: Limits },
    /// Reads the bill of materials at standard input: says what [`sbom::Assembling`] hears.
    Document { limits: Limits },
}

/// The entries of a tar, or why it is not one: whether it was cut, and one clause.
pub(crate) type TarListing = Result<Vec<TarEntry>, (bool, String)>;

/// What is on a disk, or why it cannot be read: one clause.
pub(crate) type DiskAnswer = Result<DiskReport, String>;

/// What the program does when it was started as a worker, with the arguments after that word.
#[must_use]
pub fn worker_main(arguments: &[String]) -> ExitCode {
    // A worker says nothing but its answer: what it would print could come from what it reads.
    std::panic::set_hook(Box::new(|_| {}));
    match answer(arguments, work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn work(job: &[u8], memory: u64) -> (Sandbox, Answer) {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().map(File::from);
    let (Ok(job), Ok(input)) = (postcard::from_bytes::<Job>(job), stdin) else {
        return (Sandbox::default(), Answer::Whole(Vec::new()));
    };
    // Compiled before the walls: it needs memory and nothing else, but it is ours and trusted. A list of entries needs none.
    let extractors = || Extractors::new(extractors());
    match job {
        Job::Directory { skip, limits } => {
            let extractors = extractors();
            let mut holder = holder();
            // Checked where the patterns were given; one that is none after all leaves nothing out.
            let skip = Skip::new(&skip).unwrap_or_default();
            // Paths are walked from the folder itself; its own path may not even be readable by name.
            let entered = std::env::set_current_dir("/proc/self/fd/0").is_ok();
            let sandbox = confine(memory, &Reach::Below(&input));
            let mut collector = Collector::new(&extractors);
            if entered {
                let well_known: Vec<&str> = Extractors::well_known(crate::extractors()).collect();
                walk_directory(&input, Path::new("."), &well_known, &skip, &limits, &mut holder, &mut collector);
                (sandbox, encode(&collector.finish()))
            } else {
                (sandbox, Answer::Whole(Vec::new()))
            }
        }
        Job::Layer { slice, hashed_before, aliases, limits } => {
            let extractors = extractors();
            let mut holder = holder();
            // Walls stand around threads: the second one confines itself, and both have to be inside.
            let Ok((hasher, around_hasher)) = Hasher::start(move || confine(memory, &Reach::Nothing)) else {
                return (Sandbox::default(), Answer::Whole(Vec::new()));
            };
            let sandbox = confine(memory, &Reach::Nothing).and(around_hasher);
            let mut collector = Collector::new(&extractors).with_aliases(&aliases);
            let (offset, length) = slice.unwrap_or((0, u64::MAX));
            let digests = match FilePart::new(input, offset, length) {
                Ok(part) if hashed_before => walk_layer_file(part, &limits, hasher, &mut holder, &mut collector),
                Ok(part) => walk_layer(part, &limits, hasher, false, &mut holder, &mut collector),
                // A stream is read from where it is.
                Err(input) if slice.is_none() => walk_layer(input, &limits, hasher, hashed_before, &mut holder, &mut collector),
                Err(_) => return (sandbox, Answer::Whole(Vec::new())),
            };
            let mut report = collector.finish();
            report.digests = digests;
            (sandbox, encode(&report))
        }
        Job::File { name, limits } => {
            let extractors = extractors();
            let mut holder = holder();
            let sandbox = confine(memory, &Reach::Nothing);
            let mut collector = Collector::new(&extractors);
            walk_file(input, &name, &limits, &mut holder, &mut collector);
            (sandbox, encode(&collector.finish()))
        }
        Job::Zip { limits } => {
            let extractors = extractors();
            let mut holder = holder();
            let sandbox = confine(memory, &Reach::Nothing);
            let mut collector = Collector::new(&extractors);
            let walked = walk_zip(input, &limits, &mut holder, &mut collector);
            let answer: Result<LayerReport, String> = walked.map(|()| collector.finish());
            (sandbox, encode(&answer))
        }
        Job::Disk { skip, limits, asked } => {
            let extractors = extractors();
            let mut holder = holder();
            let skip = Skip::new(&skip).unwrap_or_default();
            let sandbox = confine(memory, &Reach::Nothing);
            let answer = match asked {
                None => disk(input, &extractors, &skip, &limits, &mut holder),
                Some(size) => disk(Blocks(Asking::new(input, size)), &extractors, &skip, &limits, &mut holder),
            };
            (sandbox, encode(&answer))
        }
        Job::Index { limits } => {
            let sandbox = confine(memory, &Reach::Nothing);
            let listing: TarListing = index_tar(input, &limits).map_err(|error| {
                let cut = error.kind() == std::io::ErrorKind::UnexpectedEof;
                (cut, error.to_string().lines().next().unwrap_or_default().chars().take(200).collect())
            });
            (sandbox, encode(&listing))
        }
        Job::Document { limits } => {
            let sandbox = confine(memory, &Reach::Nothing);
            (sandbox, Answer::Streamed(Box::new(move |out| sbom::answer(input, limits.document, out))))
        }
    }
}

/// A disk whose bytes are asked for.
struct Blocks(Asking);

impl ReadAt for Blocks {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.0.read_at(offset, buffer)
    }
}

fn disk(input: impl ReadAt + 'static, extractors: &Extractors, skip: &Skip, limits: &Limits, holder: &mut Holder) -> DiskAnswer {
    let disk = Disk::open(input)?;
    let well_known: Vec<&str> = Extractors::well_known(crate::extractors()).collect();
    let mut volumes = Vec::new();
    for volume in disk.volumes() {
        let mut collector = Collector::new(extractors);
        volume.walk(&well_known, skip, limits, holder, &mut collector);
        let no_files = volume.no_files().map(str::to_owned);
        volumes.push(VolumeReport { name: volume.name().to_owned(), no_files, files: collector.finish() });
    }
    Ok(DiskReport { size: disk.size(), bytes_read: disk.bytes_read(), volumes })
}

/// Where contents are held; what is too large for memory is spilled where there is room for temporary files.
fn holder() -> Holder {
    Holder::new(Spill::create().ok())
}

fn encode<T: Serialize>(value: &T) -> Answer {
    Answer::Whole(postcard::to_stdvec(value).unwrap_or_default())
}
