//! Instances: what they are, and what they tell of themselves through SSM.

use super::disks::PENDING;
use super::told::sockets_of;
use super::{Halt, Read, WatchAws};
use crate::look::{package_coverage, verdict};
use crate::{Observation, Outcome};
use lestrade_aws::{Https, ManagedInstance, Session, Told, discover_instances, inventory_of, managed_instances};
use lestrade_model::{
    Coverage, CoverageReason, Inventory, OsRelease, Resource, ResourceDetails, ResourceKey, ResourceKind, ScanKind, Scope,
};
use std::collections::{HashMap, HashSet};

/// Instances with this tag are not looked at, whatever its value; Inspector's own.
const EXCLUSION: &str = "InspectorEc2Exclusion";
/// What is not covered of an instance that nobody manages, and what would help.
const UNMANAGED: &str = "SSM does not manage it: give it the SSM agent and a role with AmazonSSMManagedInstanceCore";

/// What was heard of an instance.
struct Heard<'a> {
    /// What SSM says of it, if it manages it.
    managed: Option<&'a ManagedInstance>,
    /// Why it is not known whether SSM manages it.
    unknown: Option<String>,
    /// What it told when it was asked.
    told: Option<Result<Told, lestrade_aws::Error>>,
    /// Whether its disks are read where it tells nothing.
    agentless: bool,
}

fn is_running(resource: &Resource) -> bool {
    matches!(&resource.details, ResourceDetails::Instance(instance) if instance.running)
}

pub(super) fn is_excluded(resource: &Resource) -> bool {
    resource.tags.iter().any(|(key, _)| key == EXCLUSION)
}

impl WatchAws {
    pub(super) fn look_at_instances(&mut self, scope: &Scope, session: &Session<Https>) -> Result<Outcome, Halt> {
        if self.settings.agentless {
            self.delete_leftovers(session)?;
        }
        let known = self.known(scope, ResourceKind::Instance);
        let listing = self.ask(discover_instances(session, scope, &[]))?;
        let managed = self.ask(managed_instances(session))?;
        let seen: HashSet<ResourceKey> = listing.items.iter().map(|resource| resource.key.clone()).collect();
        let by_id: HashMap<&str, &ManagedInstance> = managed.items.iter().map(|instance| (instance.id.as_str(), instance)).collect();
        let wanted: Vec<String> = listing
            .items
            .iter()
            .filter(|resource| is_running(resource) && !is_excluded(resource))
            .filter(|resource| by_id.get(resource.key.id.as_str()).is_some_and(|instance| instance.online && !instance.is_windows()))
            .map(|resource| resource.key.id.clone())
            .collect();
        let mut told = self.ask_instances(session, &wanted)?;
        let agentless = self.is_agentless(scope);
        let mut outcome = Outcome::Unchanged;
        for resource in listing.items {
            let heard = Heard {
                managed: by_id.get(resource.key.id.as_str()).copied(),
                unknown: managed.missing.as_ref().map(ToString::to_string),
                told: told.remove(&resource.key.id),
                agentless,
            };
            if self.take_instance(session, resource, heard)? == Outcome::Changed {
                outcome = Outcome::Changed;
            }
        }
        if let Some(error) = listing.missing {
            return Err(error.into());
        }
        if self.forget_absent(&known, &seen)? == Outcome::Changed {
            outcome = Outcome::Changed;
        }
        match managed.missing {
            Some(error) => Err(error.into()),
            None => Ok(outcome),
        }
    }

    pub(super) fn look_at_instance(&mut self, scope: &Scope, session: &Session<Https>, id: &str) -> Result<Outcome, Halt> {
        let key = ResourceKey { scope: scope.clone(), kind: ResourceKind::Instance, id: id.to_owned() };
        let listing = self.ask(discover_instances(session, scope, std::slice::from_ref(&key.id)))?;
        if let Some(error) = listing.missing {
            return Err(error.into());
        }
        let Some(resource) = listing.items.into_iter().find(|resource| resource.key == key) else {
            return self.core.resource(&key).map_or(Ok(Outcome::Unchanged), |entry| self.miss(&entry));
        };
        self.absences.is_there(&key);
        let managed = self.ask(managed_instances(session))?;
        let instance = managed.items.iter().find(|instance| instance.id == key.id);
        let asked =
            instance.is_some_and(|instance| instance.online && !instance.is_windows()) && is_running(&resource) && !is_excluded(&resource);
        let mut told = self.ask_instances(session, if asked { std::slice::from_ref(&key.id) } else { &[] })?;
        let unknown = managed.missing.as_ref().map(ToString::to_string);
        let agentless = self.is_agentless(scope);
        self.take_instance(session, resource, Heard { managed: instance, unknown, told: told.remove(&key.id), agentless })
    }

    /// Whether disks are read in a scope: where it is configured, unless a client of the API has set that agents alone are asked.
    fn is_agentless(&self, scope: &Scope) -> bool {
        let [own, regional, home] = self.settable(scope);
        self.settings.agentless && !self.core.is_agent_based(&[&own, &regional, &home])
    }

    fn take_instance(&mut self, session: &Session<Https>, mut resource: Resource, heard: Heard<'_>) -> Result<Outcome, Halt> {
        if is_excluded(&resource) {
            return self.leave_out(resource, CoverageReason::ExcludedByTag);
        }
        resource.facts.running_kernel = match &heard.told {
            Some(Ok(told)) => told.kernel.clone(),
            // What it ran when it was heard of last.
            _ => self.core.resource(&resource.key).and_then(|entry| entry.resource.facts.running_kernel),
        };
        let agentless = heard.agentless;
        // Of one that does not tell them now they are not known.
        let sockets = heard.told.as_ref().and_then(|told| told.as_ref().ok()).and_then(sockets_of);
        let (inventory, reason, detail) = self.inventory(session, &resource, heard)?;
        let silent = matches!(reason, CoverageReason::UnmanagedEc2Instance | CoverageReason::NoInventory);
        if !silent || !agentless {
            let key = resource.key.clone();
            let kept = self.keep(resource, inventory, reason, detail)?;
            self.core.note_sockets(&key, sockets)?;
            return Ok(kept);
        }
        let before = self.core.resource(&resource.key);
        if let Some(entry) = before.as_ref().filter(|entry| self.disks_are_fresh(entry)) {
            // What it is may have moved; what was read of it stands.
            let changed = entry.resource != resource;
            self.core.observe(Observation { resource, inventory: None, coverage: entry.coverage.clone() })?;
            return Ok(if changed { Outcome::Changed } else { Outcome::Unchanged });
        }
        let waits = resource.key.clone();
        if !self.disks.contains(&waits) {
            self.disks.push_back(waits);
        }
        // What was read a day ago stands until it is read again.
        match before {
            Some(entry) if entry.inventory.is_some() => {
                self.core.observe(Observation { resource, inventory: None, coverage: entry.coverage })?;
                Ok(Outcome::Unchanged)
            }
            _ => self.keep(resource, None, CoverageReason::PendingInitialScan, PENDING.to_owned()),
        }
    }

    /// What an instance told of itself; none where it told nothing, with the reason.
    fn inventory(&self, session: &Session<Https>, resource: &Resource, heard: Heard<'_>) -> Result<Read, Halt> {
        if !is_running(resource) {
            return Ok((None, CoverageReason::Ec2InstanceStopped, "it does not run: what was found before stands".to_owned()));
        }
        let Some(managed) = heard.managed else {
            if heard.unknown.is_some()
                && let Some(read) = self.synchronised(resource, None)?
            {
                return Ok(read);
            }
            return Ok(match heard.unknown {
                Some(reason) => (None, CoverageReason::AccessDenied, format!("whether SSM manages it is not known: {reason}")),
                None => (None, CoverageReason::UnmanagedEc2Instance, UNMANAGED.to_owned()),
            });
        };
        let silent = match heard.told {
            Some(Ok(told)) => match self.read_told(&told, managed.os.as_ref()) {
                Ok(inventory) => return Ok(self.judged(&resource.key, inventory, super::told::PLACE)),
                Err(error) => Some(error.to_string()),
            },
            Some(Err(error)) => Some(error.to_string()),
            None => None,
        };
        if let Some(reason) = silent {
            tracing::warn!(instance = managed.id, reason, "an instance did not tell what is installed in it: SSM's inventory is read");
        }
        Ok(match self.ask(inventory_of(session, managed))? {
            Ok(Some(inventory)) => {
                let (reason, detail) = verdict(&inventory);
                let stale = reason == CoverageReason::Successful && !managed.online;
                match stale {
                    true => (Some(inventory), CoverageReason::StaleInventory, "its SSM agent does not answer any more".to_owned()),
                    false => (Some(inventory), reason, detail),
                }
            }
            Ok(None) => {
                if let Some(read) = self.synchronised(resource, managed.os.clone())? {
                    return Ok(read);
                }
                let remedy = "SSM has no list of its packages: associate AWS-GatherSoftwareInventory with it";
                (None, CoverageReason::NoInventory, remedy.to_owned())
            }
            Err(error) if error.is_denied() => match self.synchronised(resource, managed.os.clone())? {
                Some(read) => read,
                None => (None, CoverageReason::AccessDenied, error.to_string()),
            },
            Err(error) => (None, CoverageReason::InternalError, error.to_string()),
        })
    }

    /// What a resource data sync wrote of an instance; none where it wrote nothing, or that cannot be read.
    fn synchronised(&self, resource: &Resource, os: Option<OsRelease>) -> Result<Option<Read>, Halt> {
        let Some(place) = &self.settings.inventory_bucket else { return Ok(None) };
        // One bucket for all accounts: it is read as ourselves.
        let sessions = self.sessions();
        let Some((_, home)) = sessions.first() else { return Ok(None) };
        let ResourceKey { scope, id, .. } = &resource.key;
        match self.ask(place.inventory_of(home, scope, id, os))? {
            Ok(inventory) => Ok(inventory.map(|inventory| {
                let (reason, detail) = verdict(&inventory);
                (Some(inventory), reason, detail)
            })),
            Err(error) => {
                tracing::warn!(instance = id, %error, "what a resource data sync wrote of an instance cannot be read");
                Ok(None)
            }
        }
    }

    /// Keeps what was seen, beside what is known of its network.
    pub(super) fn keep(
        &self,
        resource: Resource,
        inventory: Option<Inventory>,
        reason: CoverageReason,
        detail: String,
    ) -> Result<Outcome, Halt> {
        let before = self.core.resource(&resource.key);
        let packages = package_coverage(reason, detail, self.core.now());
        let network: Vec<Coverage> = before
            .iter()
            .flat_map(|entry| &entry.coverage)
            .filter(|coverage| coverage.kind == ScanKind::Network && coverage.reason == CoverageReason::Successful)
            .cloned()
            .collect();
        let key = resource.key.clone();
        let coverage = std::iter::once(packages).chain(network).collect();
        self.core.observe(Observation { resource, inventory, coverage })?;
        let changed = before.is_none_or(|before| {
            self.core.resource(&key).is_none_or(|now| (now.inventory, now.resource) != (before.inventory, before.resource))
        });
        Ok(if changed { Outcome::Changed } else { Outcome::Unchanged })
    }

    /// Keeps that something is there and not to be looked at.
    pub(super) fn leave_out(&self, resource: Resource, reason: CoverageReason) -> Result<Outcome, Halt> {
        let key = resource.key.clone();
        if self.core.resource(&key).is_none() {
            let coverage = vec![package_coverage(reason, String::new(), self.core.now())];
            self.core.observe(Observation { resource, inventory: None, coverage })?;
        }
        let changed = self.core.forget(&key, reason)?;
        Ok(if changed { Outcome::Changed } else { Outcome::Unchanged })
    }
}
