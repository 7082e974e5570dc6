//! The floor: what any reader of an image has to do at least, with the same libraries and nothing around them.

use anyhow::Result;
use flate2::bufread::GzDecoder;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What is done to each layer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Inflate it and do nothing with it.
    Inflate,
    /// Hash its bytes, and those that are inside.
    HashBoth,
    /// Hash its bytes, inflate, hash what comes out: what verifying an image takes.
    All,
}

/// The time for all layers, on two threads that take the next largest layer each.
pub(crate) fn floor(blobs: &[PathBuf], tars: &[PathBuf], work: Work) -> Result<Duration> {
    let mut jobs: Vec<(u64, &Path, &Path)> = Vec::new();
    for (blob, tar) in blobs.iter().zip(tars) {
        jobs.push((blob.metadata()?.len(), blob, tar));
    }
    jobs.sort_unstable_by(|a, b| b.cmp(a));
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        let run = || -> Result<()> {
            while let Some((_, blob, tar)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                one(blob, tar, work)?;
            }
            Ok(())
        };
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(Ok(()))).collect()
    });
    let elapsed = started.elapsed();
    results.into_iter().collect::<Result<()>>()?;
    Ok(elapsed)
}

fn one(blob: &Path, tar: &Path, work: Work) -> Result<()> {
    let compressed = blob != tar;
    match work {
        Work::HashBoth => {
            hash(&mut File::open(blob)?)?;
            if compressed {
                hash(&mut File::open(tar)?)?;
            }
        }
        Work::Inflate if compressed => drain(&mut GzDecoder::new(BufReader::with_capacity(128 << 10, File::open(blob)?)))?,
        Work::Inflate => {}
        Work::All if compressed => {
            let mut hashed = Hashed { inner: File::open(blob)?, hash: Sha256::new() };
            hash(&mut GzDecoder::new(BufReader::with_capacity(128 << 10, &mut hashed)))?;
            std::hint::black_box(hashed.hash.finalize());
        }
        Work::All => hash(&mut File::open(blob)?)?,
    }
    Ok(())
}

struct Hashed<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

fn drain(reader: &mut impl Read) -> std::io::Result<()> {
    let mut buffer = vec![0; 128 << 10];
    while reader.read(&mut buffer)? > 0 {}
    Ok(())
}

fn hash(reader: &mut impl Read) -> std::io::Result<()> {
    let mut hashed = Hashed { inner: reader, hash: Sha256::new() };
    drain(&mut hashed)?;
    std::hint::black_box(hashed.hash.finalize());
    Ok(())
}
