//! Instances that tell nothing of themselves: their disks are read, from snapshots that are deleted again.

use super::{Halt, WatchAws};
use crate::Outcome;
use lestrade_artifact::SkipPatterns;
use lestrade_aws::{Error, Https, Session, SnapshotBlocks, delete_snapshot, our_snapshots, snapshot_block, snapshot_blocks, take_snapshot};
use lestrade_extract::{Pieces, together};
use lestrade_findings::ResourceEntry;
use lestrade_model::{Coverage, CoverageReason, Inventory, ResourceDetails, ResourceKind, ScanKind};
use std::collections::HashMap;
use std::io;
use std::time::Duration;

/// How often disks are read again; Inspector's.
const AGAIN: Duration = Duration::from_hours(24);
/// Volumes of one instance that are read; Inspector reads fewer than eight.
const MOST_VOLUMES: usize = 16;
/// Blocks that are kept for a while: 64 MiB of AWS's.
const KEPT: usize = 128;
/// What coverage says of an instance whose disks wait to be read.
pub(super) const PENDING: &str = "SSM does not manage it: its disks are going to be read";

/// A volume whose blocks are fetched when they are asked for.
struct Volume<'a> {
    watch: &'a WatchAws,
    session: &'a Session<Https>,
    blocks: &'a SnapshotBlocks,
    kept: HashMap<u64, Vec<u8>>,
}

impl Volume<'_> {
    fn block(&mut self, index: u64) -> io::Result<&[u8]> {
        if !self.kept.contains_key(&index) {
            let fetched = self.watch.ask(snapshot_block(self.session, self.blocks, index));
            let block = fetched.map_err(|_| io::Error::from(io::ErrorKind::Interrupted))?.map_err(io::Error::other)?;
            if self.kept.len() >= KEPT {
                self.kept.clear();
            }
            self.kept.insert(index, block);
        }
        self.kept.get(&index).map(Vec::as_slice).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Pieces for Volume<'_> {
    fn piece(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let size = self.blocks.block;
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let (index, within) = (at / size, usize::try_from(at % size).map_err(io::Error::other)?);
            let length = rest.len().min(usize::try_from(size).map_err(io::Error::other)? - within);
            let (now, later) = rest.split_at_mut(length);
            if self.blocks.holds(index) {
                now.copy_from_slice(&self.block(index)?[within..within + length]);
            } else {
                now.fill(0);
            }
            at += length as u64;
            rest = later;
        }
        Ok(())
    }
}

impl WatchAws {
    /// Whether the disks of an instance were read a short while ago.
    pub(super) fn disks_are_fresh(&self, entry: &ResourceEntry) -> bool {
        let packages = entry.coverage.iter().find(|coverage| coverage.kind == ScanKind::Package);
        // A system that is not known will not be known an hour later either.
        let was_read = |coverage: &&Coverage| matches!(coverage.reason, CoverageReason::Successful | CoverageReason::UnsupportedOs);
        let scanned = packages.filter(was_read).and_then(|coverage| coverage.last_scanned);
        entry.inventory.is_some()
            && scanned.is_some_and(|at| {
                let age = u64::try_from(self.core.now().as_millis().saturating_sub(at.as_millis())).unwrap_or(u64::MAX);
                Duration::from_millis(age) < AGAIN
            })
    }

    /// Deletes the snapshots that somebody before us, or we before a crash, have left behind.
    /// What cannot be deleted now is found again, and is no reason not to look at anything else.
    pub(super) fn delete_leftovers(&self, session: &Session<Https>) -> Result<(), Halt> {
        let listing = self.ask(our_snapshots(session))?;
        for id in listing.items {
            match self.ask(delete_snapshot(session, &id))? {
                Ok(()) => tracing::info!(snapshot = id, "a snapshot that was left behind is deleted"),
                Err(error) => tracing::warn!(snapshot = id, %error, "a snapshot that was left behind cannot be deleted"),
            }
        }
        // Who may not look has made none.
        if let Some(error) = listing.missing.filter(|error| !error.is_denied()) {
            tracing::warn!(%error, "whether snapshots were left behind is not known");
        }
        Ok(())
    }

    /// Reads the disks of one of the instances, or one of the machine images, that wait for it.
    pub(super) fn read_next_disk(&mut self) -> Result<Outcome, Halt> {
        let Some(key) = self.disks.pop_front() else { return Ok(Outcome::Unchanged) };
        let Some((_, session)) = self.sessions().into_iter().find(|(known, _)| *known == key.scope) else { return Ok(Outcome::Unchanged) };
        let Some(entry) = self.core.resource(&key) else { return Ok(Outcome::Unchanged) };
        if key.kind == ResourceKind::MachineImage {
            return self.read_machine_image(entry, &session);
        }
        let ResourceDetails::Instance(instance) = &entry.resource.details else { return Ok(Outcome::Unchanged) };
        let volumes: Vec<String> = instance.volumes.iter().take(MOST_VOLUMES).cloned().collect();
        let (inventory, reason, detail) = match self.read_volumes(&session, &key.id, &volumes) {
            Ok(inventory) => {
                // What is said of the only volume is said of all.
                let root = if let [only] = volumes.as_slice() { only } else { "" };
                self.judged(&key, inventory, root)
            }
            Err(Halt::Aws(error)) => {
                let detail = format!("SSM does not manage it, and its disks cannot be read: {error}");
                (None, CoverageReason::UnmanagedEc2Instance, detail)
            }
            Err(halt) => return Err(halt),
        };
        self.keep(entry.resource, inventory, reason, detail)
    }

    fn read_volumes(&self, session: &Session<Https>, instance: &str, volumes: &[String]) -> Result<Inventory, Halt> {
        if volumes.is_empty() {
            return Err(Error::Document("it has no EBS volumes".to_owned()).into());
        }
        let mut all = Vec::new();
        for volume in volumes {
            let snapshot = self.ask(take_snapshot(session, volume, instance))??;
            let read = self.read_snapshot(session, &snapshot, volume);
            // Deleted whatever came of it; what cannot be deleted now is found by its tag.
            if let Err(error) = self.ask(delete_snapshot(session, &snapshot))? {
                tracing::warn!(snapshot, %error, "a snapshot cannot be deleted: the next sweep tries again");
            }
            all.push((volume.as_str(), read?));
        }
        Ok(together(&all, instance))
    }

    pub(super) fn read_snapshot(&self, session: &Session<Https>, snapshot: &str, volume: &str) -> Result<Inventory, Halt> {
        let blocks = self.ask(snapshot_blocks(session, snapshot))??;
        let mut pieces = Volume { watch: self, session, blocks: &blocks, kept: HashMap::new() };
        let scanned = self.scanner.scan_pieces(volume, blocks.size, &mut pieces, &SkipPatterns::default());
        let scanned = scanned.map_err(|error| Error::Document(error.to_string()))?;
        tracing::info!(volume, bytes = scanned.bytes_read, size = scanned.size, "a volume was read");
        // What is said of the volume as a whole has no place in it.
        let mut inventory = scanned.inventory;
        inventory.problems.iter_mut().filter(|problem| problem.path == volume).for_each(|problem| problem.path.clear());
        Ok(inventory)
    }
}
