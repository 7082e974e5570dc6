//! Watches this machine.
//!
//! A look costs little as long as the package databases stay as they are; what lies elsewhere (applications and their packages) is
//! read every few hours. A look that failed changes nothing about what is known, and is said.

use crate::look::{reason_of, verdict};
use crate::reconcile::{Outcome, Reconciler};
use crate::{Core, Observation, ServerError};
use lestrade_extract::{HostRoot, Listening, ScanError, Scanner};
use lestrade_findings::INSTANCE_TAG;
use lestrade_model::{
    Coverage, CoverageReason, Hash, HostDetails, Inventory, Resource, ResourceDetails, ResourceFacts, ResourceKey, ResourceKind, ScanKind,
    Scope, Timestamp,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// How long what lies outside of package databases is believed to be as it was: as long as Inspector's deep inspection does.
const WHOLE_MS: i64 = 6 * 3_600_000;

/// How a machine's inventory is read.
pub type ReadHost = Box<dyn FnMut(&HostRoot) -> Result<Inventory, ScanError> + Send>;

/// Watches one machine for one scope.
pub struct WatchHost {
    core: Arc<Core>,
    host: HostRoot,
    read: ReadHost,
    key: ResourceKey,
    listening: Listening,
    /// What the package databases looked like when the machine was last read, and when that was.
    last: Option<(Hash, Timestamp)>,
}

/// The name of a machine as a resource: its identity, cut to what tells machines apart.
pub(crate) fn host_key(scope: &Scope, identity: &str) -> ResourceKey {
    let id = format!("host-{}", identity.chars().take(32).collect::<String>());
    ResourceKey { scope: scope.clone(), kind: ResourceKind::Host, id }
}

impl WatchHost {
    /// Watches a machine. One that has no machine id goes by `own`, which must stay the same from start to start.
    #[must_use]
    pub fn new(core: Arc<Core>, scanner: Scanner, host: HostRoot, scope: &Scope, own: [u8; 32]) -> Self {
        let read: ReadHost = Box::new(move |host| scanner.scan_host(host, &lestrade_artifact::SkipPatterns::default()));
        Self::reading_by(core, read, host, scope, own)
    }

    /// The same, with another way to read it.
    #[must_use]
    pub fn reading_by(core: Arc<Core>, read: ReadHost, host: HostRoot, scope: &Scope, own: [u8; 32]) -> Self {
        let identity = host.identity().unwrap_or_else(|| Hash::of_fields([b"lestrade own host".as_slice(), own.as_slice()]));
        let key = host_key(scope, &identity.to_string());
        Self { core, host, read, key, listening: Listening::default(), last: None }
    }

    /// What the machine is called among the resources.
    #[must_use]
    pub const fn key(&self) -> &ResourceKey {
        &self.key
    }

    fn resource(&mut self) -> Resource {
        let name = self.host.name().map(|name| ("Name".to_owned(), name));
        let instance = self.host.instance().map(|instance| (INSTANCE_TAG.to_owned(), instance));
        let tags = name.into_iter().chain(instance).collect();
        let facts = ResourceFacts { running_kernel: self.host.running_kernel() };
        let listening = self.listening.look(Path::new("/proc"), &self.host);
        Resource { key: self.key.clone(), details: ResourceDetails::Host(HostDetails { listening }), facts, tags }
    }

    /// Whether somebody said that it is gone, as when an agent on it was taken back.
    fn is_forgotten(&self) -> bool {
        let gone = |coverage: &Coverage| coverage.reason == CoverageReason::ResourceTerminated;
        self.core.resource(&self.key).is_none_or(|entry| entry.coverage.iter().any(gone))
    }

    /// Takes in what else is known of the machine, its inventory left as it is.
    fn besides(&mut self) -> Result<(), ServerError> {
        let Some(before) = self.core.resource(&self.key) else { return Ok(()) };
        let resource = Resource { facts: before.resource.facts, ..self.resource() };
        self.core.observe(Observation { resource, inventory: None, coverage: before.coverage })
    }

    fn coverage(&self, reason: CoverageReason, detail: String, last_scanned: Option<Timestamp>) -> Vec<Coverage> {
        vec![Coverage { kind: ScanKind::Package, reason, detail, last_scanned }]
    }
}

impl Reconciler for WatchHost {
    fn name(&self) -> &'static str {
        "watch-host"
    }

    fn reconcile(&mut self) -> Result<Outcome, ServerError> {
        let now = self.core.now();
        // Before it is read: what changes meanwhile is read again.
        let fingerprint = self.host.fingerprint();
        let is_recent = |at: Timestamp| (0..WHOLE_MS).contains(&(now.as_millis() - at.as_millis()));
        if self.last.is_some_and(|(known, at)| known == fingerprint && is_recent(at)) && !self.is_forgotten() {
            self.besides()?;
            return Ok(Outcome::Unchanged);
        }
        let before = self.core.resource(&self.key);
        let resource = self.resource();
        if before.is_none() {
            // Reading it takes a while: that it is there and was not looked at yet is said at once.
            let coverage = self.coverage(CoverageReason::PendingInitialScan, String::new(), None);
            self.core.observe(Observation { resource: resource.clone(), inventory: None, coverage })?;
        }
        let begun = Instant::now();
        let read = (self.read)(&self.host);
        self.core.meters.looked("host", begun.elapsed(), read.as_ref());
        match read {
            Ok(inventory) => {
                let (reason, detail) = verdict(&inventory);
                let inventory = self.core.with_unread(&self.key, inventory, &self.host.path().display().to_string());
                let coverage = self.coverage(reason, detail, Some(now));
                self.core.observe(Observation { resource, inventory: Some(inventory), coverage })?;
                self.last = Some((fingerprint, now));
                Ok(Outcome::Changed)
            }
            Err(error) => {
                let last_scanned = before.and_then(|entry| entry.coverage.first().and_then(|coverage| coverage.last_scanned));
                let coverage = self.coverage(reason_of(&error), error.to_string(), last_scanned);
                self.core.observe(Observation { resource, inventory: None, coverage })?;
                Err(ServerError::Source { source_name: "this machine".to_owned(), reason: error.to_string() })
            }
        }
    }
}
