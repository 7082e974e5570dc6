//! What is committed, and what is read back.

use lestrade_findings::{Episode, LogPosition, ResourceEntry, Transition};
use lestrade_matching::{ComponentId, ResourceId, SetId, VulnerabilityId};
use lestrade_model::{Component, Coverage, Hash, Inventory, Resource, Scope, Timestamp};
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

/// What a group tells of; findings as a bitmap, never a row for each. Rows hold these by their number: new ones go to the end.
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
    /// That one vulnerability moved in many resources of a scope at once: said ahead of its findings.
    Summary {
        /// Whose.
        scope: Scope,
        /// Which.
        vulnerability: VulnerabilityId,
        /// Where.
        resources: RoaringBitmap,
    },
    /// That a resource was looked at.
    Scan {
        /// Which.
        resource: ResourceId,
        /// Whether for the first time.
        initial: bool,
    },
    /// That a resource is covered otherwise than before.
    Coverage {
        /// Which.
        resource: ResourceId,
        /// How it is covered now.
        coverage: Coverage,
    },
    /// That another generation of intelligence is in force.
    Intelligence {
        /// Its name.
        generation: String,
        /// Vulnerabilities that it changed.
        changed: u64,
        /// Vulnerabilities whose scores alone it changed.
        rescored: u64,
    },
}

/// One thing that a group tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Item {
    /// A finding.
    Finding(ResourceId, VulnerabilityId),
    /// The group as a whole.
    Whole,
}

impl Fan {
    /// What is told of, in a fixed order, without the first `skip`; that many are passed over without being looked at.
    pub fn items_from(&self, skip: u64) -> Box<dyn Iterator<Item = Item> + '_> {
        match self {
            Self::Vulnerability { vulnerability, resources } => {
                Box::new(members_from(resources, skip).map(|resource| Item::Finding(resource, *vulnerability)))
            }
            Self::Resource { resource, vulnerabilities } => {
                Box::new(members_from(vulnerabilities, skip).map(|vulnerability| Item::Finding(*resource, vulnerability)))
            }
            Self::Summary { .. } | Self::Scan { .. } | Self::Coverage { .. } | Self::Intelligence { .. } => {
                Box::new((skip == 0).then_some(Item::Whole).into_iter())
            }
        }
    }

    /// How many things it tells of.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Vulnerability { resources, .. } => resources.len(),
            Self::Resource { vulnerabilities, .. } => vulnerabilities.len(),
            Self::Summary { .. } | Self::Scan { .. } | Self::Coverage { .. } | Self::Intelligence { .. } => 1,
        }
    }

    /// Whether it tells of nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn members_from(bits: &RoaringBitmap, skip: u64) -> impl Iterator<Item = u32> + '_ {
    let first = u32::try_from(skip).ok().and_then(|skip| bits.select(skip));
    first.into_iter().flat_map(|first| bits.range(first..))
}

/// Which of a target's two queues: what is urgent never waits behind what is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// What is exploited or critical, and summaries.
    Urgent,
    /// All else.
    #[default]
    Ordinary,
}

/// What happened together, to be told to every target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutboxGroup {
    /// The queue that it waits in: decided once, when it is committed.
    #[serde(skip)]
    pub lane: Lane,
    /// Its place in the outbox; rises by one.
    pub id: LogPosition,
    /// When it happened.
    pub at: Timestamp,
    /// Whether they opened or closed; none when they are open as before and something about them changed.
    pub transition: Option<Transition>,
    /// Which.
    pub fan: Fan,
}

/// How far a target has been served in one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The last group that was served whole.
    pub done: LogPosition,
    /// How many things of the next group were served.
    pub within: u64,
    /// How often the next one was tried; noted ahead of each attempt, so that a crash cannot hide one.
    pub attempts: u32,
}

/// How far a target has been served.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// What can wait. It comes first, as it was the only one in earlier versions.
    pub ordinary: Cursor,
    /// What cannot.
    pub urgent: Cursor,
    /// What was held back for summaries, as its holder encodes it.
    pub digests: Vec<u8>,
}

impl Delivery {
    /// The cursor of a lane.
    pub const fn cursor(&mut self, lane: Lane) -> &mut Cursor {
        match lane {
            Lane::Urgent => &mut self.urgent,
            Lane::Ordinary => &mut self.ordinary,
        }
    }
}

/// Whether a letter will be tried again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterState {
    /// It waits for its next attempt.
    Waiting,
    /// It was refused or tried for too long: it stays until somebody sends it again.
    Dead,
}

/// A message that a target did not take and that was set aside, so that those behind it go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The event's id.
    pub id: String,
    /// What becomes of it.
    pub state: LetterState,
    /// When it is tried again.
    pub due: Timestamp,
    /// All else.
    pub note: LetterNote,
}

/// What is kept of a letter besides: the event itself is made anew, from its group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterNote {
    /// Its group in the outbox.
    pub group: LogPosition,
    /// What of it.
    pub item: Item,
    /// How often it was tried.
    pub attempts: u32,
    /// Whether an attempt may have reached the receiver.
    pub uncertain: bool,
    /// When it happened.
    pub happened: Timestamp,
    /// When it was tried last.
    pub tried: Timestamp,
    /// Why it was not taken.
    pub reason: String,
    /// The event in a few words.
    pub title: String,
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
