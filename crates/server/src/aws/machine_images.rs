//! Machine images: those that instances are made of, or may soon be. What is in one never changes, so each is read once, from its own
//! snapshots.

use super::instances::is_excluded;
use super::{Halt, WatchAws};
use crate::look::{is_left_out, is_read, package_coverage};
use crate::retention::is_within;
use crate::{Observation, Outcome};
use lestrade_aws::{Error, FoundMachineImage, Https, Session, discover_machine_images};
use lestrade_extract::together;
use lestrade_findings::ResourceEntry;
use lestrade_model::{CoverageReason, Inventory, ResourceDetails, ResourceKey, ResourceKind, Scope};
use std::collections::HashSet;

/// Snapshots of one image that are read.
const MOST_SNAPSHOTS: usize = 16;
/// What coverage says of an image that waits to be read.
const PENDING: &str = "its snapshots are going to be read";

impl WatchAws {
    pub(super) fn look_at_machine_images(&mut self, scope: &Scope, session: &Session<Https>) -> Result<Outcome, Halt> {
        let Some(days) = self.settings.machine_image_days.filter(|_| self.settings.agentless) else { return Ok(Outcome::Unchanged) };
        let known = self.known(scope, ResourceKind::MachineImage);
        let listing = self.ask(discover_machine_images(session, scope))?;
        let used = self.launched_images();
        let seen: HashSet<ResourceKey> = listing.items.iter().map(|image| image.resource.key.clone()).collect();
        let mut outcome = Outcome::Unchanged;
        for image in listing.items {
            let wanted = used.contains(&image.resource.key.id) || self.is_recent(&image, days);
            if self.take_machine_image(image, wanted)? == Outcome::Changed {
                outcome = Outcome::Changed;
            }
        }
        match listing.missing {
            // Whoever has not given us this yet is no reason to look at everything else again soon.
            Some(error) if error.is_denied() => {
                tracing::warn!(%scope, %error, "which machine images there are is not known");
                return Ok(outcome);
            }
            Some(error) => return Err(error.into()),
            None => {}
        }
        if self.forget_absent(&known, &seen)? == Outcome::Changed {
            outcome = Outcome::Changed;
        }
        Ok(outcome)
    }

    /// The images that known instances were launched from, in whatever account: images are shared.
    fn launched_images(&self) -> HashSet<String> {
        let image = |entry: ResourceEntry| match entry.resource.details {
            ResourceDetails::Instance(instance) => Some(instance.image),
            _ => None,
        };
        let scopes = self.sessions().into_iter().map(|(scope, _)| scope);
        scopes.flat_map(|scope| self.known(&scope, ResourceKind::Instance)).filter_map(image).collect()
    }

    /// Whether an image was made or launched in the last days.
    fn is_recent(&self, image: &FoundMachineImage, days: u32) -> bool {
        let ResourceDetails::MachineImage(details) = &image.resource.details else { return false };
        let last = image.launched_at.map_or(details.created_at, |launched| launched.max(details.created_at));
        is_within(last, days, self.core.now())
    }

    fn take_machine_image(&mut self, image: FoundMachineImage, wanted: bool) -> Result<Outcome, Halt> {
        let resource = image.resource;
        if is_excluded(&resource) {
            return self.leave_out(resource, CoverageReason::ExcludedByTag);
        }
        let before = self.core.resource(&resource.key);
        if !wanted {
            // What was never watched is not news.
            return if before.is_some() {
                self.leave_out(resource, CoverageReason::ScanEligibilityExpired)
            } else {
                Ok(Outcome::Unchanged)
            };
        }
        let settled = |entry: &ResourceEntry| is_read(entry) && !is_left_out(entry);
        if let Some(entry) = before.as_ref().filter(|entry| settled(entry)) {
            if entry.resource == resource {
                return Ok(Outcome::Unchanged);
            }
            self.core.observe(Observation { resource, inventory: None, coverage: entry.coverage.clone() })?;
            return Ok(Outcome::Changed);
        }
        let key = resource.key.clone();
        if before.as_ref().is_none_or(is_left_out) {
            let coverage = vec![package_coverage(CoverageReason::PendingInitialScan, PENDING.to_owned(), self.core.now())];
            self.core.observe(Observation { resource, inventory: None, coverage })?;
        }
        if !self.disks.contains(&key) {
            self.disks.push_back(key);
        }
        Ok(Outcome::Changed)
    }

    /// Reads an image that waited for it.
    pub(super) fn read_machine_image(&mut self, entry: ResourceEntry, session: &Session<Https>) -> Result<Outcome, Halt> {
        let ResourceDetails::MachineImage(image) = &entry.resource.details else { return Ok(Outcome::Unchanged) };
        let snapshots: Vec<String> = image.snapshots.iter().take(MOST_SNAPSHOTS).cloned().collect();
        let key = entry.resource.key.clone();
        let (inventory, reason, detail) = match self.read_snapshots(session, &key.id, &snapshots) {
            Ok(inventory) => {
                let root = if let [only] = snapshots.as_slice() { only } else { "" };
                self.judged(&key, inventory, root)
            }
            Err(Halt::Aws(error)) if error.is_denied() => (None, CoverageReason::AccessDenied, error.to_string()),
            Err(Halt::Aws(error)) => (None, CoverageReason::InternalError, error.to_string()),
            Err(halt) => return Err(halt),
        };
        let coverage = vec![package_coverage(reason, detail, self.core.now())];
        self.core.observe(Observation { resource: entry.resource, inventory, coverage })?;
        Ok(Outcome::Changed)
    }

    fn read_snapshots(&self, session: &Session<Https>, image: &str, snapshots: &[String]) -> Result<Inventory, Halt> {
        if snapshots.is_empty() {
            return Err(Error::Document("it has no snapshots of EBS".to_owned()).into());
        }
        let mut all = Vec::new();
        for snapshot in snapshots {
            all.push((snapshot.as_str(), self.read_snapshot(session, snapshot, snapshot)?));
        }
        Ok(together(&all, image))
    }
}
