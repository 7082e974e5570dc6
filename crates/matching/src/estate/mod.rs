//! The estate index: what is installed where, and which verdicts hold. Dictionaries and two joins; never a row per
//! (resource, vulnerability).
//!
//! ```text
//! vulnerability --verdicts--> component --sets--> match set --resources--> resource
//! ```
//!
//! Every change answers with its delta, and equal work stops early: an unchanged verdict, an unchanged set. The index lives in
//! memory, is rebuilt from the store and is never authoritative.

mod handful;
mod sets;
mod together;

pub use sets::{SetVulnerabilities, Sharers};

use crate::Verdict;
use crate::named::Named;
use handful::{HANDFUL, in_handfuls_of, look_at};
use lestrade_model::{Component, Ecosystem, Family, Hash};
use roaring::RoaringBitmap;
use sets::{MatchSets, Members};
use std::collections::{BTreeMap, HashMap, HashSet};
use together::Together;

/// A component's number in the estate.
pub type ComponentId = u32;
/// A match set's number.
pub type SetId = u32;
/// A resource's number.
pub type ResourceId = u32;
/// A vulnerability's number.
pub type VulnerabilityId = u32;

/// How the match sets that have a vulnerability changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VerdictDelta {
    /// Sets that have it now and had it not.
    pub opened: RoaringBitmap,
    /// Sets that had it and have it no longer.
    pub closed: RoaringBitmap,
    /// Sets that have it now as before, by other verdicts (a fix appeared, another package joined).
    pub changed: RoaringBitmap,
}

impl VerdictDelta {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.opened.is_empty() && self.closed.is_empty() && self.changed.is_empty()
    }
}

/// How the vulnerabilities of a resource changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourceDelta {
    /// Vulnerabilities that it has now and had not.
    pub opened: RoaringBitmap,
    /// Vulnerabilities that it had and has no longer.
    pub closed: RoaringBitmap,
}

/// What vulnerabilities are counted by: a small number that whoever knows their severity gives them.
pub type Class = u8;
/// Classes are below this.
pub const CLASSES: usize = 16;

/// How many vulnerabilities of each class a match set has, and how many of them have a fix in it. Kept as verdicts change, so that
/// counting an estate reads one tally for each set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All, by class.
    pub all: [u32; CLASSES],
    /// Those with a fix in some component of the set, by class.
    pub fixed: [u32; CLASSES],
}

/// Its look-ups are much of what the reading of a state costs; what is looked up was hashed before, and the hasher is seeded.
type Numbers = HashMap<Hash, u32, foldhash::fast::RandomState>;

/// See the module.
#[derive(Default)]
pub struct Estate {
    components: Vec<Component>,
    component_ids: Numbers,
    /// The sets that a component is in.
    component_sets: Vec<RoaringBitmap>,
    /// The vulnerabilities that a component has: `verdicts` the other way round.
    component_vulnerabilities: Vec<RoaringBitmap>,
    /// Family and advised name to the distinct versions of it that are installed anywhere.
    names: HashMap<(Family, String), Vec<ComponentId>>,
    ecosystems: HashSet<Ecosystem>,
    /// The components of a name, as they are called themselves.
    called: BTreeMap<Box<str>, Vec<ComponentId>>,
    sets: MatchSets,
    resource_sets: Vec<Option<SetId>>,
    vulnerabilities: Vec<String>,
    vulnerability_ids: Named,
    classes: Vec<Class>,
    /// Vulnerabilities that are in some component, and conditions that some resource has.
    present: RoaringBitmap,
    /// Vulnerabilities that have a fix for some component, and those that have none for some.
    with_fix: RoaringBitmap,
    without_fix: RoaringBitmap,
    verdicts: HashMap<VulnerabilityId, BTreeMap<ComponentId, Verdict>>,
    /// Conditions: what resources have apart from what is installed in them, and the other way round.
    conditions: HashMap<ResourceId, RoaringBitmap>,
    resources_in_condition: HashMap<VulnerabilityId, RoaringBitmap>,
}

fn next_id(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Estate {
    /// The number of a component, and whether it is new here.
    pub fn intern_component(&mut self, component: &Component) -> (ComponentId, bool) {
        let hash = component.hash();
        if let Some(&id) = self.component_ids.get(&hash) {
            return (id, false);
        }
        let id = next_id(self.components.len());
        self.component_ids.insert(hash, id);
        for name in std::iter::once(component.advised_name()).chain(component.advised_source()) {
            self.names.entry((component.ecosystem.family.clone(), name.to_owned())).or_default().push(id);
        }
        if !self.ecosystems.contains(&component.ecosystem) {
            self.ecosystems.insert(component.ecosystem.clone());
        }
        match self.called.get_mut(component.name.as_str()) {
            Some(called) => called.push(id),
            None => {
                self.called.insert(component.name.as_str().into(), vec![id]);
            }
        }
        self.components.push(component.clone());
        self.component_sets.push(RoaringBitmap::new());
        self.component_vulnerabilities.push(RoaringBitmap::new());
        (id, true)
    }

    /// The number of the match set of these components (in any order), and whether it is new here. A new set's vulnerabilities
    /// are derived from the verdicts that hold now.
    pub fn intern_set(&mut self, components: &[ComponentId]) -> (SetId, bool) {
        let (id, is_new) = self.enter_set(Members::of(components.to_vec()));
        if is_new {
            for &component in self.sets.components(id) {
                // A new set has the highest number of all.
                let _ = self.component_sets[component as usize].try_push(id);
            }
        }
        (id, is_new)
    }

    /// The same of many sets, one after the other. The sets of each component are written in the order of the components, many at
    /// once: one set after the other would look for each of its components in memory by itself.
    pub fn intern_sets(&mut self, sets: Vec<Vec<ComponentId>>) -> Vec<(SetId, bool)> {
        let entered: Vec<(SetId, bool)> = Members::of_all(sets).into_iter().map(|members| self.enter_set(members)).collect();
        let new = || entered.iter().filter(|(_, is_new)| *is_new).map(|(id, _)| *id);
        // Sorted by counting: where the sets of each component begin, and then the sets.
        let mut ends = vec![0_usize; self.components.len() + 1];
        for component in new().flat_map(|id| self.sets.components(id)) {
            ends[*component as usize + 1] += 1;
        }
        for component in 0..self.components.len() {
            ends[component + 1] += ends[component];
        }
        let mut sorted = vec![0; ends.last().copied().unwrap_or_default()];
        for id in new() {
            for component in self.sets.components(id) {
                let place = &mut ends[*component as usize];
                sorted[*place] = id;
                *place += 1;
            }
        }
        let mut begin = 0;
        for (sets, end) in self.component_sets.iter_mut().zip(ends) {
            // New sets have the highest numbers of all, and rise.
            let _ = sets.append(sorted[begin..end].iter().copied());
            begin = end;
        }
        entered
    }

    /// Enters a set, but for what its components say of the sets that they are in.
    fn enter_set(&mut self, members: Members) -> (SetId, bool) {
        if let Some(known) = self.sets.number(&members) {
            return (known, false);
        }
        // While a state is read there are no verdicts yet.
        let vulnerabilities = match self.present.is_empty() {
            true => RoaringBitmap::new(),
            false => self.vulnerabilities_in(members.components.iter()),
        };
        let mut tally = Tally::default();
        for vulnerability in &vulnerabilities {
            let class = self.class(vulnerability);
            tally.all[class] += 1;
            tally.fixed[class] += u32::from(self.is_fixed_in(&members.components, vulnerability));
        }
        (self.sets.enter(members, vulnerabilities, &tally), true)
    }

    /// The number of a vulnerability, and whether it is new here.
    pub fn intern_vulnerability(&mut self, id: &str) -> (VulnerabilityId, bool) {
        if let Some(number) = self.vulnerability_ids.get(id) {
            return (number, false);
        }
        let number = next_id(self.vulnerabilities.len());
        self.vulnerabilities.push(id.to_owned());
        self.classes.push(0);
        self.vulnerability_ids.insert(id, number);
        (number, true)
    }

    /// Calls a vulnerability by another name from now on; the old one is free.
    pub fn rename_vulnerability(&mut self, number: VulnerabilityId, name: &str) {
        self.release_name(number);
        if let Some(slot) = self.vulnerabilities.get_mut(number as usize) {
            name.clone_into(slot);
            self.vulnerability_ids.insert(name, number);
        }
    }

    /// Frees the name of a vulnerability of which nothing will be heard any more: who is called so next is another.
    pub fn release_name(&mut self, number: VulnerabilityId) {
        if let Some(name) = self.vulnerabilities.get(number as usize)
            && self.vulnerability_ids.get(name) == Some(number)
        {
            self.vulnerability_ids.remove(name);
        }
    }

    /// Gives a resource another match set, or none, and answers how its vulnerabilities changed.
    pub fn assign(&mut self, resource: ResourceId, set: Option<SetId>) -> ResourceDelta {
        let slot = resource as usize;
        if self.resource_sets.len() <= slot {
            self.resource_sets.resize(slot + 1, None);
        }
        let before = std::mem::replace(&mut self.resource_sets[slot], set);
        if before == set {
            return ResourceDelta::default();
        }
        if let Some(old) = before {
            self.sets.remove_resource(old, resource);
        }
        if let Some(new) = set {
            self.sets.insert_resource(new, resource);
        }
        let of = |set: Option<SetId>| set.map(|id| self.sets.vulnerabilities(id).bitmap()).unwrap_or_default();
        let (had, has) = (of(before), of(set));
        ResourceDelta { opened: &has - &had, closed: had - has }
    }

    /// Replaces all verdicts of a vulnerability and answers how the match sets that have it changed.
    pub fn revise(&mut self, vulnerability: VulnerabilityId, verdicts: BTreeMap<ComponentId, Verdict>) -> VerdictDelta {
        let before = self.verdicts.remove(&vulnerability).unwrap_or_default();
        if before == verdicts {
            if !before.is_empty() {
                self.verdicts.insert(vulnerability, before);
            }
            return VerdictDelta::default();
        }
        let had = self.sets_with(before.keys());
        let has = self.sets_with(verdicts.keys());
        let (had_fix, has_fix) = (self.fixed_in_sets(&before, &had), self.fixed_in_sets(&verdicts, &has));
        let delta = if had.is_empty() || has.is_empty() {
            // News, or the end of it: nothing can have changed in between.
            VerdictDelta { opened: has, closed: had, changed: RoaringBitmap::new() }
        } else {
            let gone = before.iter().filter(|(id, verdict)| verdicts.get(id) != Some(verdict));
            let come = verdicts.iter().filter(|(id, verdict)| before.get(id) != Some(verdict));
            let moved = self.sets_with(gone.chain(come).map(|(id, _)| id));
            VerdictDelta { opened: &has - &had, closed: &had - &has, changed: moved & &had & &has }
        };
        for component in before.keys() {
            self.component_vulnerabilities[*component as usize].remove(vulnerability);
        }
        in_handfuls_of(verdicts.keys().copied(), |handful| {
            look_at(handful, |component| self.component_vulnerabilities[component].max().unwrap_or_default());
            for component in handful {
                self.component_vulnerabilities[*component as usize].insert(vulnerability);
            }
        });
        let class = self.class(vulnerability);
        let (fixes_come, fixes_go) = if had_fix.is_empty() { (has_fix, had_fix) } else { (&has_fix - &had_fix, &had_fix - &has_fix) };
        self.sets.open(&delta.opened, vulnerability);
        self.sets.close(&delta.closed, vulnerability);
        // A set's count is written once where it can be.
        let (come_fixed, go_fixed) = (fixes_come == delta.opened, fixes_go == delta.closed);
        self.sets.count(&delta.opened, class, |count| {
            count.all += 1;
            count.fixed += u32::from(come_fixed);
        });
        self.sets.count(&delta.closed, class, |count| {
            count.all -= 1;
            count.fixed -= u32::from(go_fixed);
        });
        if !come_fixed {
            self.sets.count(&fixes_come, class, |count| count.fixed += 1);
        }
        if !go_fixed {
            self.sets.count(&fixes_go, class, |count| count.fixed -= 1);
        }
        self.note_present(vulnerability, &verdicts);
        if !verdicts.is_empty() {
            self.verdicts.insert(vulnerability, verdicts);
        }
        delta
    }

    /// The sets in which a vulnerability has a fix, of those that have it by these verdicts.
    fn fixed_in_sets(&self, verdicts: &BTreeMap<ComponentId, Verdict>, having: &RoaringBitmap) -> RoaringBitmap {
        if verdicts.values().all(|verdict| verdict.fixed_in.is_some()) {
            return having.clone();
        }
        let fixed: Vec<ComponentId> = verdicts.iter().filter(|(_, verdict)| verdict.fixed_in.is_some()).map(|(id, _)| *id).collect();
        self.sets_with(fixed.iter())
    }

    /// Takes in all verdicts of an estate that has none yet, as [`Self::revise`] would one vulnerability after the other: but each match
    /// set is written once, and as many at a time as there are cores. One vulnerability after the other would look for each of its
    /// sets in memory by itself. What is classified before need not be counted again.
    ///
    /// # Panics
    /// When there are verdicts already.
    pub fn revise_all(&mut self, verdicts: BTreeMap<VulnerabilityId, BTreeMap<ComponentId, Verdict>>) {
        assert!(self.verdicts.is_empty(), "only an estate without verdicts takes all of them in");
        // What each component has, rising, and whether it is fixed there.
        let mut found: Vec<Vec<(VulnerabilityId, bool)>> = vec![Vec::new(); self.components.len()];
        for (vulnerability, verdicts) in verdicts {
            for (component, verdict) in &verdicts {
                found[*component as usize].push((vulnerability, verdict.fixed_in.is_some()));
            }
            self.note_present(vulnerability, &verdicts);
            if !verdicts.is_empty() {
                self.verdicts.insert(vulnerability, verdicts);
            }
        }
        for (vulnerabilities, found) in self.component_vulnerabilities.iter_mut().zip(&found) {
            let _ = vulnerabilities.append(found.iter().map(|(vulnerability, _)| *vulnerability));
        }
        self.sets.have_all(&found, &self.classes);
    }

    fn note_present(&mut self, vulnerability: VulnerabilityId, verdicts: &BTreeMap<ComponentId, Verdict>) {
        let set = |bitmap: &mut RoaringBitmap, holds: bool| {
            if holds { bitmap.insert(vulnerability) } else { bitmap.remove(vulnerability) }
        };
        set(&mut self.present, !verdicts.is_empty());
        set(&mut self.with_fix, verdicts.values().any(|verdict| verdict.fixed_in.is_some()));
        set(&mut self.without_fix, verdicts.values().any(|verdict| verdict.fixed_in.is_none()));
    }

    /// Puts a vulnerability into a class; until then it is in class 0.
    ///
    /// # Panics
    /// When the class is not below [`CLASSES`], or the number was not given out by this estate.
    pub fn classify(&mut self, vulnerability: VulnerabilityId, class: Class) {
        assert!(usize::from(class) < CLASSES, "a class is below {CLASSES}");
        let before = std::mem::replace(&mut self.classes[vulnerability as usize], class);
        let Some(verdicts) = self.verdicts.get(&vulnerability).filter(|_| before != class) else { return };
        let (before, class) = (usize::from(before), usize::from(class));
        let fixed: Vec<ComponentId> = verdicts.iter().filter(|(_, verdict)| verdict.fixed_in.is_some()).map(|(id, _)| *id).collect();
        let (having, fixed) = (self.sets_with(verdicts.keys()), self.sets_with(fixed.iter()));
        self.sets.count(&having, before, |count| count.all -= 1);
        self.sets.count(&fixed, before, |count| count.fixed -= 1);
        self.sets.count(&having, class, |count| count.all += 1);
        self.sets.count(&fixed, class, |count| count.fixed += 1);
    }

    fn class(&self, vulnerability: VulnerabilityId) -> usize {
        self.classes.get(vulnerability as usize).copied().unwrap_or_default().into()
    }

    /// Adds verdicts about a component that is new here, before it is in any set.
    pub fn learn(&mut self, component: ComponentId, verdicts: impl IntoIterator<Item = (VulnerabilityId, Verdict)>) {
        debug_assert!(self.component_sets[component as usize].is_empty());
        for (vulnerability, verdict) in verdicts {
            self.component_vulnerabilities[component as usize].insert(vulnerability);
            self.present.insert(vulnerability);
            if verdict.fixed_in.is_some() {
                self.with_fix.insert(vulnerability)
            } else {
                self.without_fix.insert(vulnerability)
            };
            self.verdicts.entry(vulnerability).or_default().insert(component, verdict);
        }
    }

    /// Gives a resource these conditions in place of those that it had, and answers how they changed.
    pub fn set_conditions(&mut self, resource: ResourceId, now: RoaringBitmap) -> ResourceDelta {
        let before = self.conditions.remove(&resource).unwrap_or_default();
        let delta = ResourceDelta { opened: &now - &before, closed: &before - &now };
        for condition in &delta.opened {
            self.resources_in_condition.entry(condition).or_default().insert(resource);
            self.present.insert(condition);
        }
        for condition in &delta.closed {
            if let Some(resources) = self.resources_in_condition.get_mut(&condition) {
                resources.remove(resource);
                if resources.is_empty() {
                    self.present.remove(condition);
                }
            }
        }
        if !now.is_empty() {
            self.conditions.insert(resource, now);
        }
        delta
    }

    /// The conditions of a resource.
    #[must_use]
    pub fn conditions_of(&self, resource: ResourceId) -> Option<&RoaringBitmap> {
        self.conditions.get(&resource)
    }

    /// The resources that have conditions, each with them.
    pub fn conditions(&self) -> impl Iterator<Item = (ResourceId, &RoaringBitmap)> + '_ {
        self.conditions.iter().map(|(resource, conditions)| (*resource, conditions))
    }

    fn sets_with<'a>(&self, components: impl Iterator<Item = &'a ComponentId>) -> RoaringBitmap {
        let mut together = Together::below(self.set_count());
        in_handfuls_of(components.copied(), |handful| {
            look_at(handful, |component| self.component_sets[component].min().unwrap_or_default());
            handful.iter().for_each(|component| together.unite(&self.component_sets[*component as usize]));
        });
        together.done()
    }

    /// The resources of all these sets.
    #[must_use]
    pub fn resources_of(&self, sets: &RoaringBitmap) -> RoaringBitmap {
        self.sets.resources_of(sets, next_id(self.resource_sets.len()))
    }

    /// The resources that have a vulnerability now.
    #[must_use]
    pub fn resources_with(&self, vulnerability: VulnerabilityId) -> RoaringBitmap {
        if let Some(resources) = self.resources_in_condition.get(&vulnerability) {
            return resources.clone();
        }
        match self.verdicts.get(&vulnerability) {
            None => RoaringBitmap::new(),
            Some(verdicts) => self.resources_of(&self.sets_with(verdicts.keys())),
        }
    }

    /// The resources in a condition; none when this is no condition that a resource was ever in.
    #[must_use]
    pub fn condition_of(&self, condition: VulnerabilityId) -> Option<&RoaringBitmap> {
        self.resources_in_condition.get(&condition)
    }

    /// The vulnerabilities and conditions that a resource has now.
    #[must_use]
    pub fn vulnerabilities_of(&self, resource: ResourceId) -> RoaringBitmap {
        let installed = self.installed_in(resource).bitmap();
        match self.conditions.get(&resource) {
            None => installed,
            Some(conditions) => installed | conditions,
        }
    }

    fn installed_in(&self, resource: ResourceId) -> SetVulnerabilities<'_> {
        self.set_of(resource).map_or(SetVulnerabilities(&[]), |set| self.sets.vulnerabilities(set))
    }

    /// Whether a resource has a vulnerability now.
    #[must_use]
    pub fn has(&self, resource: ResourceId, vulnerability: VulnerabilityId) -> bool {
        self.installed_in(resource).contains(vulnerability)
            || self.conditions.get(&resource).is_some_and(|conditions| conditions.contains(vulnerability))
    }

    /// The match set of a resource.
    #[must_use]
    pub fn set_of(&self, resource: ResourceId) -> Option<SetId> {
        self.resource_sets.get(resource as usize).copied().flatten()
    }

    /// How many match sets there are; their numbers are below.
    #[must_use]
    pub fn set_count(&self) -> SetId {
        next_id(self.sets.len())
    }

    /// The resources and the vulnerabilities of a match set.
    ///
    /// # Panics
    /// When the number was not given out by this estate.
    #[must_use]
    pub fn members(&self, set: SetId) -> (Sharers<'_>, SetVulnerabilities<'_>) {
        (self.sets.sharers(set), self.sets.vulnerabilities(set))
    }

    /// Whether a vulnerability of a match set has a fix in some of its components.
    #[must_use]
    pub fn has_fix(&self, set: SetId, vulnerability: VulnerabilityId) -> bool {
        self.is_fixed_in(self.set(set), vulnerability)
    }

    fn is_fixed_in(&self, components: &[ComponentId], vulnerability: VulnerabilityId) -> bool {
        let fixed =
            |(component, verdict): (&ComponentId, &Verdict)| verdict.fixed_in.is_some() && components.binary_search(component).is_ok();
        self.verdicts.get(&vulnerability).is_some_and(|verdicts| verdicts.iter().any(fixed))
    }

    /// The vulnerabilities of a match set, counted by class.
    ///
    /// # Panics
    /// When the number was not given out by this estate.
    #[must_use]
    pub fn tally(&self, set: SetId) -> Tally {
        self.sets.tally(set)
    }

    /// The match sets that have a vulnerability, and those of them in which it has a fix.
    #[must_use]
    pub fn sets_having(&self, vulnerability: VulnerabilityId) -> (RoaringBitmap, RoaringBitmap) {
        let Some(verdicts) = self.verdicts.get(&vulnerability) else { return Default::default() };
        let fixed: Vec<ComponentId> = verdicts.iter().filter(|(_, verdict)| verdict.fixed_in.is_some()).map(|(id, _)| *id).collect();
        (self.sets_with(verdicts.keys()), self.sets_with(fixed.iter()))
    }

    /// The match sets that one of these components is in.
    #[must_use]
    pub fn sets_of<'a>(&self, components: impl Iterator<Item = &'a ComponentId>) -> RoaringBitmap {
        self.sets_with(components)
    }

    /// The vulnerabilities that one of these components has.
    #[must_use]
    pub fn vulnerabilities_in<'a>(&self, components: impl Iterator<Item = &'a ComponentId>) -> RoaringBitmap {
        let mut together = Together::below(next_id(self.vulnerabilities.len()));
        components.for_each(|component| together.unite(&self.component_vulnerabilities[*component as usize]));
        together.done()
    }

    /// The components that are or were installed anywhere under names from this one on, in the order of their names.
    pub fn called_from<'a>(&'a self, name: &str) -> impl Iterator<Item = (&'a str, &'a [ComponentId])> + use<'a> {
        let from = (std::ops::Bound::Included(name), std::ops::Bound::Unbounded);
        self.called.range::<str, _>(from).map(|(name, components)| (&**name, components.as_slice()))
    }

    /// The components of a set, ascending.
    #[must_use]
    pub fn set(&self, set: SetId) -> &[ComponentId] {
        self.sets.components(set)
    }

    /// The components of a resource that a vulnerability is in, each with its verdict.
    #[must_use]
    pub fn verdicts_in(&self, resource: ResourceId, vulnerability: VulnerabilityId) -> Vec<(ComponentId, &Verdict)> {
        let Some(verdicts) = self.verdicts.get(&vulnerability) else { return Vec::new() };
        let components = self.set_of(resource).map_or(&[][..], |set| self.set(set));
        components.iter().filter_map(|id| verdicts.get(id).map(|verdict| (*id, verdict))).collect()
    }

    /// The verdicts of a vulnerability.
    #[must_use]
    pub fn verdicts(&self, vulnerability: VulnerabilityId) -> Option<&BTreeMap<ComponentId, Verdict>> {
        self.verdicts.get(&vulnerability)
    }

    /// Vulnerabilities that are in some component and conditions that some resource has.
    #[must_use]
    pub const fn present_vulnerabilities(&self) -> &RoaringBitmap {
        &self.present
    }

    /// Vulnerabilities that have a fix for some component, and those that have none for some.
    #[must_use]
    pub const fn fixes(&self) -> (&RoaringBitmap, &RoaringBitmap) {
        (&self.with_fix, &self.without_fix)
    }

    /// The distinct installed versions of a package, by the name that advisories use.
    #[must_use]
    pub fn versions_of(&self, family: &Family, name: &str) -> &[ComponentId] {
        self.names.get(&(family.clone(), name.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// Components by number, for who is going to look at each of them.
    pub(crate) fn components_at<'a>(&'a self, ids: &'a [ComponentId]) -> impl Iterator<Item = (ComponentId, &'a Component)> {
        ids.chunks(HANDFUL).flat_map(|handful| {
            let first = |text: &str| u32::from(text.as_bytes().first().copied().unwrap_or_default());
            look_at(handful, |id| (self.components[id].name.len() ^ self.components[id].version.len()) as u32);
            look_at(handful, |id| {
                let Component { ecosystem, name, version, .. } = &self.components[id];
                first(name) ^ first(version) ^ first(ecosystem.release.as_deref().unwrap_or_default())
            });
            handful.iter().map(|id| (*id, &self.components[*id as usize]))
        })
    }

    /// The ecosystems of all that is or was installed anywhere, in no order.
    pub fn ecosystems(&self) -> impl Iterator<Item = &Ecosystem> + '_ {
        self.ecosystems.iter()
    }

    /// A component by number.
    ///
    /// # Panics
    /// When the number was not given out by this estate.
    #[must_use]
    pub fn component(&self, id: ComponentId) -> &Component {
        &self.components[id as usize]
    }

    /// A component's number, if it is installed anywhere.
    #[must_use]
    pub fn component_id(&self, component: &Component) -> Option<ComponentId> {
        self.component_ids.get(&component.hash()).copied()
    }

    /// A vulnerability's id by number.
    #[must_use]
    pub fn vulnerability(&self, number: VulnerabilityId) -> Option<&str> {
        self.vulnerabilities.get(number as usize).map(String::as_str)
    }

    /// A vulnerability's number.
    #[must_use]
    pub fn vulnerability_id(&self, id: &str) -> Option<VulnerabilityId> {
        self.vulnerability_ids.get(id)
    }

    /// How many components, match sets and vulnerabilities have numbers.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.components.len(), self.sets.len(), self.vulnerabilities.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_model::{Ecosystem, FixState};

    fn verdict(fix: &str) -> Verdict {
        Verdict { state: FixState::Fixed, fixed_in: Some(fix.into()), vendor_severity: None }
    }

    fn with_forty_packages() -> Estate {
        let mut estate = Estate::default();
        for n in 0..40 {
            estate.intern_component(&Component::new(Ecosystem::of(Family::Npm), &format!("p{n}"), "1"));
        }
        estate
    }

    #[test]
    fn conditions_stand_beside_what_is_installed() {
        let mut estate = Estate::default();
        let (open, _) = estate.intern_vulnerability("network/igw-1/eni-1/TCP/22-22");
        let opened = estate.set_conditions(3, RoaringBitmap::from([open]));
        assert_eq!((opened.opened.len(), opened.closed.len()), (1, 0));
        assert!(estate.has(3, open) && estate.resources_with(open).contains(3) && estate.vulnerabilities_of(3).contains(open));
        assert_eq!(estate.set_conditions(3, RoaringBitmap::from([open])), ResourceDelta::default());
        assert_eq!(estate.set_conditions(3, RoaringBitmap::new()).closed.len(), 1);
        assert!(!estate.has(3, open) && estate.present_vulnerabilities().is_empty());
    }

    #[test]
    fn many_sets_at_once_are_what_they_are_one_by_one() {
        let filled = || {
            let mut estate = with_forty_packages();
            estate.intern_set(&[3, 5]);
            estate
        };
        let sets: Vec<Vec<ComponentId>> = (0..1200_u32).map(|n| (0..n % 9).map(|i| (n * 7 + i * i * 11) % 40).rev().collect()).collect();
        let (mut one_by_one, mut at_once) = (filled(), filled());
        let expected: Vec<_> = sets.iter().map(|set| one_by_one.intern_set(set)).collect();
        assert!(expected.iter().any(|(_, is_new)| *is_new) && expected.iter().any(|(_, is_new)| !is_new));
        assert_eq!(at_once.intern_sets(sets[..700].to_vec()), expected[..700]);
        assert_eq!(at_once.intern_sets(sets[700..].to_vec()), expected[700..]);
        assert_eq!(at_once.component_sets, one_by_one.component_sets);
        assert_eq!(at_once.sizes(), one_by_one.sizes());
    }

    /// Every component has what the numbers say, some of it fixed, in sets that share components and in one that has none.
    #[test]
    fn all_verdicts_at_once_are_what_they_are_one_by_one() {
        let filled = || {
            let mut estate = with_forty_packages();
            for n in 0..60_u32 {
                estate.intern_vulnerability(&format!("CVE-2026-{n:04}"));
            }
            for n in 0..90_u32 {
                estate.intern_set(&(0..n % 9).map(|i| (n * 7 + i * i * 11) % 40).collect::<Vec<_>>());
            }
            estate
        };
        let of = |vulnerability: VulnerabilityId| {
            let in_it = (0..40_u32).filter(|component| (component * 13 + vulnerability * 5) % 11 < vulnerability % 3);
            let verdict =
                |component: u32| if component.is_multiple_of(2) { verdict("2") } else { Verdict { fixed_in: None, ..verdict("") } };
            in_it.map(|component| (component, verdict(component))).collect::<BTreeMap<_, _>>()
        };
        let (mut one_by_one, mut at_once) = (filled(), filled());
        for vulnerability in 0..60 {
            one_by_one.revise(vulnerability, of(vulnerability));
            one_by_one.classify(vulnerability, (vulnerability % 5) as Class);
            at_once.classify(vulnerability, (vulnerability % 5) as Class);
        }
        at_once.revise_all((0..60).map(|vulnerability| (vulnerability, of(vulnerability))).collect());
        let sets =
            |estate: &Estate| (0..estate.set_count()).map(|set| (estate.members(set).1.bitmap(), estate.tally(set))).collect::<Vec<_>>();
        assert_eq!(sets(&at_once), sets(&one_by_one));
        assert!(sets(&at_once).iter().any(|(_, tally)| tally.fixed != tally.all && tally.fixed != Tally::default().fixed));
        assert_eq!(at_once.component_vulnerabilities, one_by_one.component_vulnerabilities);
        assert_eq!(at_once.verdicts, one_by_one.verdicts);
        let kept = |estate: &Estate| [&estate.present, &estate.with_fix, &estate.without_fix].map(Clone::clone);
        assert_eq!(kept(&at_once), kept(&one_by_one));
    }

    #[test]
    fn deltas_of_verdicts_and_of_resources() {
        let mut estate = Estate::default();
        let npm = |name: &str| Component::new(Ecosystem::of(Family::Npm), name, "1");
        let (a, _) = estate.intern_component(&npm("a"));
        let (b, _) = estate.intern_component(&npm("b"));
        let (ab, _) = estate.intern_set(&[b, a]);
        let (only_b, _) = estate.intern_set(&[b]);
        assert_eq!(estate.intern_set(&[a, b, a]), (ab, false));
        estate.assign(7, Some(ab));
        estate.assign(9, Some(only_b));
        let (v, _) = estate.intern_vulnerability("CVE-1");

        let opened = estate.revise(v, BTreeMap::from([(a, verdict("2"))]));
        assert_eq!(opened.opened.iter().collect::<Vec<_>>(), [ab]);
        assert!(estate.has(7, v) && !estate.has(9, v));
        assert!(estate.revise(v, BTreeMap::from([(a, verdict("2"))])).is_empty(), "an equal verdict stops here");

        let changed = estate.revise(v, BTreeMap::from([(a, verdict("3"))]));
        assert_eq!((changed.opened.len(), changed.closed.len(), changed.changed.len()), (0, 0, 1));

        let upgraded = estate.assign(7, Some(only_b));
        assert_eq!(upgraded.closed.iter().collect::<Vec<_>>(), [v]);
        assert_eq!(estate.resources_with(v).len(), 0);
    }
}
