//! Digests, computed beside the thread that inflates: the two halves of reading a layer that cost anything.

use sha2::{Digest, Sha256};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// How many blocks may wait to be hashed.
const WAITING: usize = 4;
/// How many blocks a side of inflation needs so that one is always free: those that wait, the one being hashed, the one being read.
pub(crate) const BLOCKS: usize = WAITING + 2;

/// Which bytes a block is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// As they came.
    Blob,
    /// As they are inside.
    Diff,
}

/// A part of a stream, shared by who reads it and who hashes it.
pub(crate) type Block = Arc<(Vec<u8>, usize)>;

/// A thread that hashes.
pub struct Hasher {
    sender: SyncSender<(Side, Block)>,
    thread: JoinHandle<[Sha256; 2]>,
}

impl Hasher {
    /// Starts the thread. It calls `first` before it takes any byte, to confine itself: walls stand around a thread, and one that
    /// was there before they were built would be outside of them.
    ///
    /// # Errors
    /// When there can be no further thread.
    pub fn start<T: Send + 'static>(first: impl FnOnce() -> T + Send + 'static) -> io::Result<(Self, T)> {
        let (sender, receiver) = sync_channel(WAITING);
        let (answer, answered) = sync_channel(1);
        let thread = std::thread::Builder::new().name("hasher".to_owned()).spawn(move || {
            let _ = answer.send(first());
            hash(&receiver)
        })?;
        let first = answered.recv().map_err(io::Error::other)?;
        Ok((Self { sender, thread }, first))
    }

    /// Hashes the filled part of a block, after all blocks of its side that were given before.
    pub(crate) fn take(&self, side: Side, block: &Block) {
        // A thread that is gone has no digests either: the layer then is not the one that was asked for.
        let _ = self.sender.send((side, Arc::clone(block)));
    }

    /// The digests of both sides.
    pub(crate) fn finish(self) -> [String; 2] {
        drop(self.sender);
        self.thread.join().map_or_else(|_| Default::default(), |hashes| hashes.map(|hash| written(&hash.finalize())))
    }
}

/// A reader that hashes what passes, for who hands bytes to a worker: what the worker itself says of them could come from them.
pub struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Hashing<R> {
    /// Hashes what is read from `inner`.
    pub fn new(inner: R) -> Self {
        Self { inner, hash: Sha256::new() }
    }

    /// The digest of all that there is, what was not read yet included.
    ///
    /// # Errors
    /// When reading fails.
    pub fn finish(mut self) -> io::Result<String> {
        // In pieces that are worth a system call.
        let mut buffer = vec![0; 128 << 10];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return Ok(written(&self.hash.finalize())),
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }
}

fn hash(blocks: &Receiver<(Side, Block)>) -> [Sha256; 2] {
    let mut hashes = [Sha256::new(), Sha256::new()];
    while let Ok((side, block)) = blocks.recv() {
        hashes[side as usize].update(&block.0[..block.1]);
    }
    hashes
}

/// A digest as images write it.
pub(crate) fn written(digest: &[u8]) -> String {
    digest.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}
