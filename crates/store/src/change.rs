//! What is committed, and what is read back.

use lestrade_findings::{Episode, LogPosition, ResourceEntry, Transition};
use lestrade_matching::{ComponentId, ResourceId, SetId, VulnerabilityId};
use lestrade_model::{Component, Coverage, Hash, Inventory, Resource, Timestamp};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

/// A resource as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredResource {
    /// What it is.
    pub resource: Resource,
    /// Its inventory.
    pub inventory: Option<Hash>,
    /// How well it is looked at.
    pub coverage: Vec<Coverage>,
}

impl From<ResourceEntry> for StoredResource {
    fn from(entry: ResourceEntry) -> Self {
        Self { resource: entry.resource, inventory: entry.inventory, coverage: entry.coverage }
    }
}

impl From<StoredResource> for ResourceEntry {
    fn from(stored: StoredResource) -> Self {
        Self { resource: stored.resource, inventory: stored.inventory, coverage: stored.coverage }
    }
}

/// Which findings a group tells of: a bitmap, never a row for each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Fan {
    /// One vulnerability in many resources.
    Vulnerability {
        /// Which.
        vulnerability: VulnerabilityId,
        /// Where.
        resources: RoaringBitmap,
    },
    /// Many vulnerabilities of one resource.
    Resource {
        /// Where.
        resource: ResourceId,
        /// Which.
        vulnerabilities: RoaringBitmap,
    },
}

impl Fan {
    /// The findings, in a fixed order.
    pub fn pairs(&self) -> Box<dyn Iterator<Item = (ResourceId, VulnerabilityId)> + '_> {
        match self {
            Self::Vulnerability { vulnerability, resources } => Box::new(resources.iter().map(|resource| (resource, *vulnerability))),
            Self::Resource { resource, vulnerabilities } => {
                Box::new(vulnerabilities.iter().map(|vulnerability| (*resource, vulnerability)))
            }
        }
    }
}

/// Findings that opened, closed or changed together, to be told to every target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutboxGroup {
    /// Its place in the outbox; rises by one.
    pub id: LogPosition,
    /// When it happened.
    pub at: Timestamp,
    /// Whether they opened or closed; none when they are open as before and something about them changed.
    pub transition: Option<Transition>,
    /// Which.
    pub fan: Fan,
}

/// How far a target has been served.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The last group that was served whole.
    pub done: LogPosition,
    /// How many findings of the next group were served.
    pub within: u64,
    /// How often the next one was tried in vain.
    pub attempts: u32,
}

/// Something small that the API keeps: a filter, a setting, tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its key within its kind.
    pub key: String,
    /// Its JSON.
    pub body: String,
}

/// Everything that one decision changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// New components.
    pub components: Vec<(ComponentId, Component)>,
    /// New match sets.
    pub sets: Vec<(SetId, Vec<ComponentId>)>,
    /// New vulnerabilities.
    pub vulnerabilities: Vec<(VulnerabilityId, String)>,
    /// New inventories.
    pub inventories: Vec<(Hash, Inventory)>,
    /// New and changed resources.
    pub resources: Vec<(ResourceId, StoredResource)>,
    /// New episodes.
    pub episodes: Vec<Episode>,
    /// What they tell the targets.
    pub groups: Vec<OutboxGroup>,
    /// Cursors of reconcilers.
    pub cursors: Vec<(String, Vec<u8>)>,
}

impl Change {
    /// Whether there is nothing to commit.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.components.is_empty()
            && self.sets.is_empty()
            && self.vulnerabilities.is_empty()
            && self.inventories.is_empty()
            && self.resources.is_empty()
            && self.episodes.is_empty()
            && self.groups.is_empty()
            && self.cursors.is_empty()
    }
}

/// Takes what a store holds, row by row. Each kind comes in the order of its numbers.
#[allow(missing_docs, reason = "each method takes one row of the kind that it names")]
pub trait LoadSink {
    fn component(&mut self, id: ComponentId, component: Component);
    fn set(&mut self, id: SetId, components: Vec<ComponentId>);
    fn vulnerability(&mut self, id: VulnerabilityId, name: String);
    fn resource(&mut self, id: ResourceId, resource: StoredResource);
    fn episode(&mut self, episode: Episode);
    fn last_group(&mut self, id: LogPosition);
}
