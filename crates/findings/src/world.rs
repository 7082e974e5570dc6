//! Everything that a query reads: the estate, the log, what is known of vulnerabilities and resources, the suppressions.

use crate::kept::TermSets;
use crate::query::KeptOrders;
use crate::{Assessment, Criteria, Door, Episode, EpisodeBody, EpisodeLog, LogPosition, Reach};
use lestrade_matching::{Class, ComponentId, Estate, ResourceId, SetId, Verdict, VulnerabilityId};
use lestrade_model::{
    Coverage, CoverageReason, Exploitation, Exposure, FindingArn, Hash, ImageUse, ListeningSocket, Resource, ResourceDetails,
    ResourceFacts, ResourceKey, ResourceKind, Scope, Timestamp,
};
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

/// A resource and what is kept of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceEntry {
    /// What it is.
    pub resource: Resource,
    /// Its inventory, if it ever gave one.
    pub inventory: Option<Hash>,
    /// How well it is looked at.
    pub coverage: Vec<Coverage>,
}

impl ResourceEntry {
    /// When it was last looked at in any way, if it ever was.
    #[must_use]
    pub fn last_scanned(&self) -> Option<Timestamp> {
        self.coverage.iter().filter_map(|coverage| coverage.last_scanned).max()
    }
}

/// A suppression rule: findings of its scope that meet its criteria are shown as suppressed.
#[derive(Clone, Debug, PartialEq)]
pub struct Suppression {
    /// Whose rule it is.
    pub scope: Scope,
    /// What it is called: the rule's name, or the document and what it says.
    pub by: Arc<str>,
    /// Which findings.
    pub criteria: Criteria,
}

impl Suppression {
    /// Whether the rule holds in a scope: in its own; when it is the administrator's in every account of its region; and when it
    /// was made where the administrator is at home, everywhere.
    #[must_use]
    pub fn holds_in(&self, scope: &Scope, administrator: Option<&Scope>) -> bool {
        let of_administrator = administrator
            .is_some_and(|home| self.scope == *home || (self.scope.account == home.account && self.scope.region == scope.region));
        self.scope == *scope || of_administrator
    }
}

/// The tag of a host that is an instance, as the agent on it says.
pub const INSTANCE_TAG: &str = "lestrade:instance";

/// What vulnerabilities are counted by: their severity, and whether there is an exploit.
pub(crate) fn class_of(assessment: &Assessment) -> Class {
    assessment.severity as Class * 2 + Class::from(assessment.exploit_available())
}

/// Of how many inventories the match set is noted, and for how many different facts.
const NOTED_INVENTORIES: usize = 500_000;
const NOTED_FACTS: usize = 16;

/// Resources by their print: one for each, as good as always. Their keys are not kept a second time for it.
#[derive(Default)]
struct Prints {
    first: HashMap<u64, ResourceId>,
    /// All of a print that several have.
    several: HashMap<u64, Vec<ResourceId>>,
}

impl Prints {
    fn add(&mut self, print: u64, id: ResourceId) {
        match self.first.get(&print) {
            None => drop(self.first.insert(print, id)),
            Some(first) => self.several.entry(print).or_insert_with(|| vec![*first]).push(id),
        }
    }

    fn of(&self, print: u64) -> &[ResourceId] {
        match self.several.get(&print) {
            Some(several) => several,
            None => self.first.get(&print).map_or(&[], std::slice::from_ref),
        }
    }
}

/// See the module.
#[derive(Default)]
pub struct World {
    /// What is installed where, and the verdicts.
    pub estate: Estate,
    /// The past.
    pub log: EpisodeLog,
    /// The suppression rules in force.
    pub suppressions: Vec<Suppression>,
    /// Where the account is at home whose rules hold in every account, if one's do.
    pub administrator: Option<Scope>,
    resources: Vec<Option<ResourceEntry>>,
    /// By the part of an ARN that says which resource it is of.
    resource_prints: Prints,
    /// Resources that have a number and of which nothing is kept yet.
    bare: HashMap<ResourceId, ResourceKey>,
    pub(crate) resource_orders: KeptOrders,
    pub(crate) vulnerability_orders: KeptOrders,
    pub(crate) resource_terms: TermSets,
    pub(crate) vulnerability_terms: TermSets,
    scopes: BTreeMap<Scope, RoaringBitmap>,
    assessments: HashMap<VulnerabilityId, Arc<Assessment>>,
    exposures: HashMap<ResourceId, Exposure>,
    unreachable: RoaringBitmap,
    /// The instances that are attacked from nearer than from the network.
    adjacent: RoaringBitmap,
    local: RoaringBitmap,
    doors: HashMap<ResourceId, Arc<[Door]>>,
    uses: HashMap<ResourceId, Vec<ImageUse>>,
    /// The match sets of inventories in resources of which these facts hold: what many have is looked through once.
    inventory_sets: HashMap<Hash, Vec<(ResourceFacts, SetId)>>,
    /// Hosts whose agents say that they run on an instance, by the instance's id.
    agents: HashMap<String, ResourceId>,
    told_sockets: HashMap<ResourceId, Box<[ListeningSocket]>>,
    /// When images were pulled last.
    pulled: HashMap<ResourceId, Timestamp>,
    /// Verdicts that held once and hold no longer, kept while a closed finding may be shown.
    past_verdicts: HashMap<VulnerabilityId, BTreeMap<ComponentId, Cleared>>,
    /// What vulnerabilities were called, of those that were called otherwise or merged into others: the first name, and all of them.
    first_names: HashMap<VulnerabilityId, String>,
    former_names: HashMap<String, Vec<VulnerabilityId>>,
}

/// A verdict that held until a position.
struct Cleared {
    position: LogPosition,
    verdict: Verdict,
}

/// What is known of an image's use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity<'a> {
    /// Where it runs, or ran, as far as clusters tell it.
    pub uses: &'a [ImageUse],
    /// When it was pulled last, as far as its registry tells.
    pub pulled: Option<Timestamp>,
}

/// Whether what is known of a resource was heard not too long ago.
fn is_current(entry: &ResourceEntry) -> bool {
    let old = [CoverageReason::StaleInventory, CoverageReason::ResourceTerminated];
    !entry.coverage.iter().any(|coverage| old.contains(&coverage.reason))
}

fn sockets_of_machine(entry: &ResourceEntry) -> Option<&[ListeningSocket]> {
    let ResourceDetails::Host(host) = &entry.resource.details else { return None };
    host.listening.as_deref().filter(|_| is_current(entry))
}

impl World {
    /// The number of a resource, and whether it is new.
    pub fn intern_resource(&mut self, key: &ResourceKey) -> (ResourceId, bool) {
        let print = key.print();
        if let Some(id) = self.of_print(print, key) {
            return (id, false);
        }
        let id = u32::try_from(self.resources.len()).unwrap_or(u32::MAX);
        self.resource_prints.add(print, id);
        self.bare.insert(id, key.clone());
        self.scopes.entry(key.scope.clone()).or_default().insert(id);
        self.resources.push(None);
        (id, true)
    }

    /// Sets what is kept of a resource.
    pub fn set_resource(&mut self, id: ResourceId, entry: ResourceEntry) {
        if entry.resource.key.kind == ResourceKind::Host
            && let Some((_, instance)) = entry.resource.tags.iter().find(|(key, _)| key == INSTANCE_TAG)
        {
            self.agents.insert(instance.clone(), id);
        }
        if let Some(slot) = self.resources.get_mut(id as usize) {
            self.bare.remove(&id);
            *slot = Some(entry);
            self.resource_orders.touch(id);
            self.resource_terms.touch(id);
        }
    }

    /// Notes which match set an inventory has in a resource of which these facts hold.
    pub fn note_set(&mut self, inventory: Hash, facts: &ResourceFacts, set: SetId) {
        if self.inventory_sets.len() < NOTED_INVENTORIES || self.inventory_sets.contains_key(&inventory) {
            let sets = self.inventory_sets.entry(inventory).or_default();
            if sets.len() < NOTED_FACTS && sets.iter().all(|(known, _)| known != facts) {
                // Most have one, and a list's first reserve is for four.
                sets.reserve_exact(1);
                sets.push((facts.clone(), set));
            }
        }
    }

    /// The match set that an inventory has in a resource of which these facts hold, where that is noted.
    #[must_use]
    pub fn noted_set(&self, inventory: &Hash, facts: &ResourceFacts) -> Option<SetId> {
        let sets = self.inventory_sets.get(inventory)?;
        sets.iter().find(|(known, _)| known == facts).map(|(_, set)| *set)
    }

    /// Notes it of every resource that has an inventory: after the world was loaded.
    pub fn note_sets(&mut self) {
        for id in 0..self.resource_count() {
            let Some(set) = self.estate.set_of(id) else { continue };
            let Some((inventory, facts)) = self.resource(id).and_then(|entry| Some((entry.inventory?, entry.resource.facts.clone())))
            else {
                continue;
            };
            self.note_set(inventory, &facts, set);
        }
    }

    /// What is kept of a resource.
    #[must_use]
    pub fn resource(&self, id: ResourceId) -> Option<&ResourceEntry> {
        self.resources.get(id as usize)?.as_ref()
    }

    /// A resource's number.
    #[must_use]
    pub fn resource_id(&self, key: &ResourceKey) -> Option<ResourceId> {
        self.of_print(key.print(), key)
    }

    /// The resource of a print that has this key.
    fn of_print(&self, print: u64, key: &ResourceKey) -> Option<ResourceId> {
        let is_it = |id: &ResourceId| match self.resource(*id) {
            Some(entry) => entry.resource.key == *key,
            None => self.bare.get(id) == Some(key),
        };
        self.resource_prints.of(print).iter().copied().find(is_it)
    }

    /// The resources of some kinds that have an id, whatever their scope.
    pub(crate) fn resources_named<'w>(&'w self, id: &'w str, kinds: &'w [ResourceKind]) -> impl Iterator<Item = ResourceId> + 'w {
        let key = |scope: &Scope, kind| ResourceKey { scope: scope.clone(), kind, id: id.to_owned() };
        self.scopes.keys().flat_map(move |scope| kinds.iter().filter_map(move |kind| self.resource_id(&key(scope, *kind))))
    }

    /// The resources that a finding's ARN may be of: one, as good as always.
    pub(crate) fn resources_of_arn(&self, arn: &str) -> &[ResourceId] {
        FindingArn::print_of_resource(arn).map_or(&[], |print| self.resource_prints.of(print))
    }

    /// The resources of one scope. There is no method that answers those of all: a caller whose role spans scopes asks for each.
    #[must_use]
    pub fn resources_in(&self, scope: &Scope) -> &RoaringBitmap {
        static NONE: LazyLock<RoaringBitmap> = LazyLock::new(RoaringBitmap::new);
        self.scopes.get(scope).unwrap_or(&NONE)
    }

    /// The scopes that have resources.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.scopes.keys()
    }

    /// Sets what is known of a vulnerability, and of those that were merged into it.
    pub fn set_assessment(&mut self, id: VulnerabilityId, assessment: Assessment) {
        for before in self.log.all_merged_into(id) {
            let name = self.estate.vulnerability(before).unwrap_or_default().to_owned();
            self.assess_one(before, Assessment { id: name, ..assessment.clone() });
        }
        self.assess_one(id, assessment);
    }

    fn assess_one(&mut self, id: VulnerabilityId, assessment: Assessment) {
        self.estate.classify(id, class_of(&assessment));
        let formerly = self.names_before(id);
        // Only its first name is nobody else's for certain.
        let is_first = self.first_names.get(&id).is_none_or(|first| *first == assessment.id);
        let ordered_as = (!is_first).then(|| format!("{}\u{1}{id}", assessment.id));
        self.assessments.insert(id, Arc::new(Assessment { formerly, ordered_as, ..assessment }));
        self.vulnerability_orders.touch(id);
        self.vulnerability_terms.touch(id);
    }

    /// The names that a vulnerability had before.
    fn names_before(&self, id: VulnerabilityId) -> Vec<String> {
        if !self.first_names.contains_key(&id) {
            return Vec::new();
        }
        let name = self.estate.vulnerability(id);
        let had = self.former_names.iter().filter(|(former, ids)| ids.contains(&id) && Some(former.as_str()) != name);
        let mut names: Vec<String> = had.map(|(former, _)| former.clone()).collect();
        names.sort_unstable();
        names
    }

    /// Appends an episode to the log, and takes in what it says about names.
    pub fn append(&mut self, episode: Episode) {
        match &episode.body {
            EpisodeBody::Renamed { vulnerability, name } => {
                self.note_name(*vulnerability);
                self.estate.rename_vulnerability(*vulnerability, name);
            }
            EpisodeBody::Merged { vulnerability, .. } => {
                self.note_name(*vulnerability);
                self.estate.release_name(*vulnerability);
            }
            _ => {}
        }
        let estate = &self.estate;
        self.log.append(episode, |sets| estate.resources_of(sets));
    }

    fn note_name(&mut self, id: VulnerabilityId) {
        let Some(name) = self.estate.vulnerability(id).map(str::to_owned) else { return };
        self.first_names.entry(id).or_insert_with(|| name.clone());
        let ids = self.former_names.entry(name).or_default();
        if !ids.contains(&id) {
            ids.push(id);
        }
    }

    /// What a new vulnerability is entered as in the dictionary, where each name is there once: by its name, unless another one had
    /// that first.
    #[must_use]
    pub fn entry_of(&self, name: &str) -> String {
        match self.former_names.contains_key(name) {
            true => format!("{name}#{}", self.estate.sizes().2),
            false => name.to_owned(),
        }
    }

    /// What a vulnerability was called first, where it was ever called otherwise: its findings keep their ARNs.
    #[must_use]
    pub fn first_name(&self, id: VulnerabilityId) -> Option<&str> {
        self.first_names.get(&id).map(String::as_str)
    }

    /// The vulnerabilities that are, or were, called so.
    pub fn called(&self, name: &str) -> impl Iterator<Item = VulnerabilityId> + '_ {
        let now = self.estate.vulnerability_id(name);
        let before = self.former_names.get(name).into_iter().flatten().copied();
        now.into_iter().chain(before.filter(move |id| Some(*id) != now))
    }

    /// The resources that have a vulnerability, or ever had it.
    #[must_use]
    pub fn ever_in(&self, id: VulnerabilityId) -> RoaringBitmap {
        self.estate.resources_with(id) | self.log.closed_resources(id).cloned().unwrap_or_default() | self.log.inherited(id)
    }

    /// Sets what is known of how a vulnerability is exploited, where it is known at all.
    pub fn set_exploitation(&mut self, id: VulnerabilityId, exploitation: Option<&Exploitation>) {
        let Some(assessment) = self.assessments.get_mut(&id).map(Arc::make_mut) else { return };
        assessment.exploited(exploitation);
        self.estate.classify(id, class_of(assessment));
        self.vulnerability_orders.touch(id);
        self.vulnerability_terms.touch(id);
    }

    /// What is known of a vulnerability.
    #[must_use]
    pub fn assessment(&self, id: VulnerabilityId) -> Option<&Arc<Assessment>> {
        self.assessments.get(&id)
    }

    /// Sets from how far a resource can be reached. It is looked up when a score is asked for, so nothing else changes with it.
    pub fn set_exposure(&mut self, id: ResourceId, exposure: Exposure) {
        self.exposures.insert(id, exposure);
        match exposure {
            Exposure::None => self.unreachable.insert(id),
            _ => self.unreachable.remove(id),
        };
        let reach = self.reach(id);
        for (nearer, resources) in [(Reach::Adjacent, &mut self.adjacent), (Reach::Local, &mut self.local)] {
            if nearer == reach {
                resources.insert(id)
            } else {
                resources.remove(id)
            };
        }
    }

    /// From how far a resource is attacked.
    #[must_use]
    pub fn reach(&self, id: ResourceId) -> Reach {
        self.resource(id).map_or(Reach::Network, |entry| Reach::of(entry.resource.key.kind, self.exposure(id)))
    }

    /// Some resources, by from how far they are attacked: those parts in which there are any.
    pub(crate) fn by_reach(&self, resources: &RoaringBitmap) -> Vec<(Reach, RoaringBitmap)> {
        let mut left = resources.clone();
        let mut parts = Vec::new();
        for (reach, nearer) in [(Reach::Adjacent, &self.adjacent), (Reach::Local, &self.local)] {
            let part = &left & nearer;
            left -= &part;
            parts.push((reach, part));
        }
        parts.push((Reach::Network, left));
        parts.retain(|(_, part)| !part.is_empty());
        parts
    }

    /// Sets the openings that lead to a resource.
    pub fn set_doors(&mut self, id: ResourceId, doors: Vec<Door>) {
        if doors.is_empty() {
            self.doors.remove(&id);
        } else {
            self.doors.insert(id, doors.into());
        }
    }

    /// The openings that lead to a resource.
    #[must_use]
    pub fn doors(&self, id: ResourceId) -> &[Door] {
        self.doors.get(&id).map(AsRef::as_ref).unwrap_or_default()
    }

    /// Sets where an image runs.
    pub fn set_uses(&mut self, id: ResourceId, uses: Vec<ImageUse>) {
        if uses.is_empty() {
            self.uses.remove(&id);
        } else {
            self.uses.insert(id, uses);
        }
        self.resource_terms.touch(id);
    }

    /// Where an image runs, or ran, as far as clusters tell it.
    #[must_use]
    pub fn uses(&self, id: ResourceId) -> &[ImageUse] {
        self.uses.get(&id).map(Vec::as_slice).unwrap_or_default()
    }

    /// Sets the sockets that an instance told of when it was asked; none where it could not tell.
    pub fn set_told_sockets(&mut self, id: ResourceId, sockets: Option<Vec<ListeningSocket>>) {
        match sockets {
            Some(sockets) => drop(self.told_sockets.insert(id, sockets.into())),
            None => drop(self.told_sockets.remove(&id)),
        }
    }

    /// Sets when an image was pulled last, as its registry tells.
    pub fn set_pulled(&mut self, id: ResourceId, pulled: Option<Timestamp>) {
        match pulled {
            Some(pulled) => drop(self.pulled.insert(id, pulled)),
            None => drop(self.pulled.remove(&id)),
        }
    }

    /// What is known of an image's use.
    #[must_use]
    pub fn activity(&self, id: ResourceId) -> Activity<'_> {
        Activity { uses: self.uses(id), pulled: self.pulled.get(&id).copied() }
    }

    /// The sockets that an instance told of when it was asked.
    #[must_use]
    pub fn told_sockets(&self, id: ResourceId) -> Option<&[ListeningSocket]> {
        self.told_sockets.get(&id).map(AsRef::as_ref)
    }

    /// The sockets that wait on a resource: of a machine its own, of an instance those of the agent on it, or those that it told of
    /// itself. None where nobody tells, or has not for too long.
    #[must_use]
    pub fn sockets(&self, id: ResourceId) -> Option<&[ListeningSocket]> {
        let entry = self.resource(id)?;
        if entry.resource.key.kind != ResourceKind::Instance {
            return sockets_of_machine(entry);
        }
        let instance = &entry.resource.key.id;
        let agent = self.agents.get(instance).and_then(|agent| self.resource(*agent));
        // What it said once and takes back is no longer so.
        let still = |agent: &&ResourceEntry| agent.resource.tags.iter().any(|(key, value)| key == INSTANCE_TAG && value == instance);
        agent.filter(still).and_then(sockets_of_machine).or_else(|| self.told_sockets(id).filter(|_| is_current(entry)))
    }

    /// The resources of which it is known that no network path leads to them.
    #[must_use]
    pub const fn unreachable(&self) -> &RoaringBitmap {
        &self.unreachable
    }

    /// From how far a resource can be reached.
    #[must_use]
    pub fn exposure(&self, id: ResourceId) -> Exposure {
        self.exposures.get(&id).copied().unwrap_or_default()
    }

    /// Keeps verdicts that hold no longer from a position on, so that the findings which closed with them or before still show what was
    /// affected: of each component the last.
    pub fn keep_cleared(&mut self, id: VulnerabilityId, position: LogPosition, verdicts: impl IntoIterator<Item = (ComponentId, Verdict)>) {
        let cleared = verdicts.into_iter().map(|(component, verdict)| (component, Cleared { position, verdict }));
        self.past_verdicts.entry(id).or_default().extend(cleared);
    }

    /// Keeps what records that were withdrawn say of components of which nothing is kept.
    pub fn keep_withdrawn(&mut self, id: VulnerabilityId, verdicts: BTreeMap<ComponentId, Verdict>) {
        if verdicts.is_empty() {
            return;
        }
        let past = self.past_verdicts.entry(id).or_default();
        verdicts.into_iter().for_each(|(component, verdict)| {
            past.entry(component).or_insert(Cleared { position: LogPosition::MAX, verdict });
        });
    }

    /// What a vulnerability was in at a position, of the components of a match set: by the verdicts that hold, and where none does by
    /// the last that held, unless it was cleared before.
    pub fn past_verdicts_in(
        &self,
        id: VulnerabilityId,
        set: SetId,
        position: LogPosition,
    ) -> impl Iterator<Item = (ComponentId, &Verdict)> + '_ {
        let components = self.estate.set(set);
        let held = self.verdicts_since(id, position);
        held.filter(|(component, _)| components.binary_search(component).is_ok())
    }

    /// What a vulnerability is in, or was by the last verdicts that held.
    pub fn verdicts_ever(&self, id: VulnerabilityId) -> impl Iterator<Item = (ComponentId, &Verdict)> + '_ {
        self.verdicts_since(id, 0)
    }

    fn verdicts_since(&self, id: VulnerabilityId, position: LogPosition) -> impl Iterator<Item = (ComponentId, &Verdict)> + '_ {
        let present = self.estate.verdicts(id);
        // What others were in, before they were merged into this one, counts where nothing else is known.
        let ids: Vec<VulnerabilityId> = std::iter::once(id).chain(self.log.all_merged_into(id)).collect();
        let of = |id: &VulnerabilityId| self.past_verdicts.get(id);
        let past = (0..ids.len()).flat_map(move |place| {
            let earlier: Vec<_> = ids[..place].iter().filter_map(of).collect();
            let mine = of(&ids[place]).into_iter().flatten();
            mine.filter(move |(component, _)| !earlier.iter().any(|past| past.contains_key(component)))
        });
        let past = past.filter(move |(component, cleared)| {
            cleared.position > position && present.is_none_or(|present| !present.contains_key(component))
        });
        let past = past.map(|(component, cleared)| (*component, &cleared.verdict));
        present.into_iter().flatten().map(|(component, verdict)| (*component, verdict)).chain(past)
    }

    /// How many resources have numbers; their numbers are below.
    #[must_use]
    pub fn resource_count(&self) -> ResourceId {
        u32::try_from(self.resources.len()).unwrap_or(u32::MAX)
    }

    /// The open (resource, vulnerability) pairs as derived now: to be compared with [`EpisodeLog::replay`].
    #[must_use]
    pub fn derived(&self) -> std::collections::BTreeSet<(ResourceId, VulnerabilityId)> {
        self.derived_of(0..self.resource_count())
    }

    /// The same, of some resources: to be compared with [`EpisodeLog::replay_of`].
    pub fn derived_of(&self, resources: impl IntoIterator<Item = ResourceId>) -> std::collections::BTreeSet<(ResourceId, VulnerabilityId)> {
        let of = |resource| self.estate.vulnerabilities_of(resource).iter().map(|v| (resource, v)).collect::<Vec<_>>();
        resources.into_iter().flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_of_one_print_are_told_apart() {
        let mut prints = Prints::default();
        assert!(prints.of(7).is_empty());
        prints.add(7, 1);
        assert_eq!(prints.of(7), [1]);
        prints.add(7, 4);
        prints.add(8, 5);
        assert_eq!((prints.of(7), prints.of(8)), ([1, 4].as_slice(), [5].as_slice()));
    }
}
