//! Bundles into and out of a library: across an air gap by hand, or from a mirror.
//!
//! What came from each key is remembered, so that nobody can hand over yesterday's bundle as today's. A bundle's generation keeps
//! its bytes; where its number was given out here before, it gets one that was not.

use crate::bundle::{BundleContent, BundleHead, BundleKey, BundleSigner, Generation, lead, part_of, read_head, read_payload, write_bundle};
use crate::{AdvisoriesError, GenerationId, Library};
use lestrade_matching::{AdvisoryIndex, IndexDiff};
use lestrade_model::{Family, Hash, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

/// The file in which a library keeps what came by bundles.
const MEMORY: &str = "bundles.json";

/// What came from one key last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Received {
    /// As it is named where it was made.
    pub(crate) origin: Generation,
    /// As it is named here.
    local: String,
    /// When it was last heard to be the newest.
    pub(crate) checked: Timestamp,
}

/// What a bundle did.
#[derive(Debug)]
pub struct BundleImport {
    /// What it says of itself.
    pub head: BundleHead,
    /// The number of the generation in force.
    pub generation: u64,
    /// The difference to what was in force before; none when nothing was, or when the bundle's generation already is.
    pub diff: Option<IndexDiff>,
    /// Whether its generation was in force already.
    pub unchanged: bool,
}

/// Which bundle is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BundleWish {
    /// The generation that it is to follow on, by id; none for a whole one.
    pub since: Option<GenerationId>,
    /// The families whose packages it is to speak of; empty for all.
    pub families: BTreeSet<Family>,
}

impl Library {
    /// Writes a bundle of the generation in force.
    ///
    /// # Errors
    /// When there is none, the earlier one is not kept, or the bundle cannot be written.
    pub fn export(
        &self,
        wish: &BundleWish,
        signer: &BundleSigner,
        made: Timestamp,
        expires: Timestamp,
        out: &mut dyn Write,
    ) -> Result<BundleHead, AdvisoriesError> {
        let (_, index) = self.open_current()?;
        index.verify()?;
        let older = wish.since.as_ref().map(|id| self.open(id)).transpose()?;
        let ecosystems: BTreeSet<String> = wish.families.iter().map(|family| family.name().to_owned()).collect();
        if wish.families.is_empty() {
            let since = older.as_ref().map(AdvisoryIndex::bytes);
            return write_bundle(&BundleContent { index: index.bytes(), since, ecosystems }, signer, made, expires, out);
        }
        let older = older.map(|older| part_of(&older, &wish.families)).transpose()?;
        let index = part_of(&index, &wish.families)?;
        write_bundle(&BundleContent { index: &index, since: older.as_deref(), ecosystems }, signer, made, expires, out)
    }

    /// The name that a part of a kept generation has in bundles.
    ///
    /// # Errors
    /// When it is not kept or corrupt.
    pub fn part_id(&self, id: &GenerationId, families: &BTreeSet<Family>) -> Result<String, AdvisoriesError> {
        if families.is_empty() {
            return Ok(id.to_string());
        }
        Ok(Hash::of(&part_of(&self.open(id)?, families)?).to_string())
    }

    /// Takes in a bundle.
    ///
    /// # Errors
    /// When it is not to be trusted, is of another time, older than what came before, follows on another generation, or does not
    /// lead to where it says; what is in force then stays.
    pub fn import_bundle(&self, from: &mut dyn Read, trusted: &[BundleKey], now: Timestamp) -> Result<BundleImport, AdvisoriesError> {
        let head = read_head(from, trusted, now)?;
        let _writing = self.writing()?;
        let mut memory = self.received()?;
        let name = remembered_as(&head);
        let before = memory.get(&name).cloned();
        let current = self.current()?;
        if let Some(before) = &before
            && !follows(&head, before)?
            && current.as_ref().is_some_and(|id| id.as_str() == before.local)
        {
            let generation = self.open_current()?.1.manifest().generation;
            memory.insert(name, Received { checked: now, ..before.clone() });
            self.remember_received(&memory)?;
            return Ok(BundleImport { head, generation, diff: None, unchanged: true });
        }
        // A way is only followed from where it begins: from what came by a bundle and is in force as it came.
        let in_force = before.as_ref().filter(|before| current.as_ref().is_some_and(|id| id.as_str() == before.local));
        let from_here = match (&head.since, in_force) {
            (Some(since), Some(before)) if *since == before.origin => {
                let (_, index) = self.open_current()?;
                Some(index.renumbered(since.number)?)
            }
            _ => None,
        };
        let payload = read_payload(&head, from)?;
        let bytes = lead(&head, payload, from_here.as_deref())?;
        drop(from_here);
        let older = match self.open_current() {
            Ok((_, index)) => Some(index),
            Err(AdvisoriesError::NoGeneration) => None,
            Err(error) => return Err(error),
        };
        let highest = self.highest_number()?;
        let known = self.named(&head.generation.id).is_some_and(|id| self.open(&id).is_ok());
        let bytes = if head.generation.number <= highest && !known {
            AdvisoryIndex::open(bytes.as_slice())?.renumbered(highest.saturating_add(1))?
        } else {
            bytes
        };
        // Before it is in force: were it the other way round, a crash in between would let an older bundle follow.
        let local = Hash::of(&bytes).to_string();
        memory.insert(name, Received { origin: head.generation.clone(), local, checked: now });
        self.remember_received(&memory)?;
        let id = self.publish(&bytes)?;
        drop(bytes);
        self.forget_feeds()?;
        let index = self.open(&id)?;
        let diff = older.as_ref().map(|older| index.diff(older)).transpose()?;
        Ok(BundleImport { head, generation: index.manifest().generation, diff, unchanged: false })
    }

    /// What came by bundles of a key that is in force now, by the generation's name where it was made.
    pub(crate) fn in_force_from(&self, key: &BundleKey, ecosystems: &BTreeSet<String>) -> Result<Option<Received>, AdvisoriesError> {
        let current = self.current()?;
        let received = self.received()?.remove(&name_of(key, ecosystems));
        Ok(received.filter(|received| current.as_ref().is_some_and(|id| id.as_str() == received.local)))
    }

    fn received(&self) -> Result<BTreeMap<String, Received>, AdvisoriesError> {
        let path = self.folder().join(MEMORY);
        match std::fs::read(&path) {
            // Were it taken for nothing when it cannot be read, an older bundle would be taken for the newest.
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| AdvisoriesError::NotAFeed { path, reason: format!("what came by bundles cannot be read: {error}") }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(source) => Err(AdvisoriesError::Io { action: "read", path, source }),
        }
    }

    fn remember_received(&self, memory: &BTreeMap<String, Received>) -> Result<(), AdvisoriesError> {
        std::fs::create_dir_all(self.folder()).map_err(AdvisoriesError::io("create", self.folder()))?;
        self.keep(MEMORY, &serde_json::to_vec_pretty(memory).unwrap_or_default())
    }
}

/// Whether a bundle leads further than what came before; not if it leads to the same.
fn follows(head: &BundleHead, before: &Received) -> Result<bool, AdvisoriesError> {
    let older =
        || AdvisoriesError::Bundle(format!("it is of generation {}, and {} came before", head.generation.number, before.origin.number));
    match head.generation.number.cmp(&before.origin.number) {
        std::cmp::Ordering::Less => Err(older()),
        std::cmp::Ordering::Equal if head.generation.id != before.origin.id => {
            Err(AdvisoriesError::Bundle(format!("it is another generation {} than the one that came before", head.generation.number)))
        }
        order => Ok(order.is_gt()),
    }
}

fn remembered_as(head: &BundleHead) -> String {
    name_of(&head.key, &head.ecosystems)
}

/// Parts of one index are apart: one may be newer than another.
fn name_of(key: &BundleKey, ecosystems: &BTreeSet<String>) -> String {
    let parts = ecosystems.iter().map(String::as_str).collect::<Vec<_>>().join(",");
    if parts.is_empty() { key.to_string() } else { format!("{key} {parts}") }
}
