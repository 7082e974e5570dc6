//! Counting findings in groups.

use crate::query::{Hidden, Plan};
use crate::view::{Pair, resource_text, title_of};
use crate::world::class_of;
use crate::{Criteria, InventorySource, QueryError, Side, Term, TextField, World};
use lestrade_matching::{CLASSES, ComponentId, ResourceId, SetId, Tally, VulnerabilityId};
use lestrade_model::{FindingStatus, Hash, Inventory, Scope, Severity, Timestamp};
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How many inventories are read to count by layer: some 0.1 ms each.
const MAX_INVENTORIES: usize = 5_000;

/// By what findings are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// The account.
    Account,
    /// The finding type.
    FindingType,
    /// The severity.
    Severity,
    /// The name of an affected package; a finding counts once for each.
    Package,
    /// The title.
    Title,
    /// The image repository.
    Repository,
    /// The resource.
    Resource,
    /// The layer of an affected package; a finding counts once for each.
    Layer,
    /// The machine image that the instance was launched from.
    MachineImage,
}

/// Counts of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub all: u64,
    by_severity: [u64; 6],
    /// With an exploit.
    pub exploit_available: u64,
    /// With a fix.
    pub fix_available: u64,
    /// Open network paths.
    pub network: u64,
}

impl Counts {
    /// Findings of one severity.
    #[must_use]
    pub const fn of(&self, severity: Severity) -> u64 {
        self.by_severity[severity as usize]
    }

    /// Findings of one class, some of them with a fix.
    fn add_class(&mut self, class: usize, all: u64, fixed: u64) {
        let Some(severity) = severity_of(class) else { return };
        self.all += all;
        self.by_severity[severity as usize] += all;
        self.exploit_available += if class % 2 == 1 { all } else { 0 };
        self.fix_available += fixed;
    }

    /// What each of so many resources has.
    fn add_tally(&mut self, tally: &Tally, resources: u64) {
        for (class, (all, fixed)) in tally.all.iter().zip(&tally.fixed).enumerate().filter(|(_, (all, _))| **all > 0) {
            self.add_class(class, u64::from(*all) * resources, u64::from(*fixed) * resources);
        }
    }
}

/// The severity of a class.
fn severity_of(class: usize) -> Option<Severity> {
    Severity::ALL.into_iter().find(|severity| *severity as usize == class / 2)
}

/// A group.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What its members share.
    pub key: String,
    /// A resource of it.
    pub resource: ResourceId,
    /// How many resources it has.
    pub resources: u64,
    /// The vulnerability of its findings, where they are grouped by title; what is no vulnerability has none.
    pub vulnerability: Option<String>,
    /// Its counts.
    pub counts: Counts,
}

/// Counts the active findings that meet the criteria, in groups, ordered by what they share.
///
/// Whole match sets are counted wherever neither the grouping nor a criterion asks about single findings: the work is that of the
/// distinct inventories, however many resources share them, and of an estate without further criteria it is one read of each
/// set's tally. Layers are the inventories': each of those that are asked about is read once.
///
/// # Errors
/// When more inventories would have to be read than anybody waits for.
pub fn aggregate(
    world: &World,
    inventories: &dyn InventorySource,
    scopes: &[Scope],
    criteria: &Criteria,
    by: GroupBy,
    now: Timestamp,
) -> Result<Vec<Group>, QueryError> {
    // Only active findings are counted: what else may be asked of their status is answered by that.
    if !criteria.admit_status(FindingStatus::Active.as_str()) {
        return Ok(Vec::new());
    }
    let of_status = |term: &&Term| matches!(term, Term::Text(TextField::FindingStatus, _));
    let criteria = Criteria { terms: criteria.terms.iter().filter(|term| !of_status(term)).cloned().collect() };
    let mut plan = Plan::compile(world, inventories, scopes, &criteria, world.log.head(), now);
    leave_out_what_is_hidden(&mut plan);
    if criteria.of_side(Side::Pair).next().is_some() {
        return Ok(of_pairs(world, &plan, by));
    }
    Ok(match by {
        GroupBy::Package => of_packages(world, &plan),
        GroupBy::Title => of_titles(world, &plan),
        GroupBy::Layer => of_layers(world, &plan)?,
        GroupBy::Account | GroupBy::FindingType | GroupBy::Severity | GroupBy::Repository | GroupBy::Resource | GroupBy::MachineImage => {
            of_everything(world, &plan, by).unwrap_or_else(|| of_sets(world, &plan, by))
        }
    })
}

/// Vulnerabilities that a rule hides wherever anything is counted are not counted, and the rule need not be asked.
fn leave_out_what_is_hidden(plan: &mut Plan<'_>) {
    let is_everywhere = |rule: &Hidden| rule.residual.is_empty() && rule.resources.is_superset(&plan.resources);
    if !plan.hidden.iter().any(is_everywhere) {
        return;
    }
    let (everywhere, rest): (Vec<Hidden>, Vec<Hidden>) = plan.hidden.iter().cloned().partition(is_everywhere);
    everywhere.iter().for_each(|rule| plan.vulnerabilities -= &rule.vulnerabilities);
    plan.hidden = Arc::new(rest);
}

/// Every finding is asked for what it shares.
pub(crate) fn of_pairs(world: &World, plan: &Plan<'_>, by: GroupBy) -> Vec<Group> {
    let mut groups = Groups::default();
    plan.for_each(|pair| {
        if pair.status() != FindingStatus::Active {
            return;
        }
        let fix = pair.packages().iter().any(|package| package.fixed_in.is_some());
        for key in keys(world, &pair, by) {
            let one = RoaringBitmap::from([pair.resource]);
            let counts = groups.at(&key, &one);
            counts.add_class(usize::from(class_of(pair.assessment)), 1, u64::from(fix));
            counts.network += u64::from(pair.assessment.opening().is_some());
            if by == GroupBy::Title && pair.assessment.condition.is_none() {
                groups.part(&key).vulnerability = Some(pair.assessment.id.clone());
            }
        }
    });
    groups.done()
}

/// All that there is, where nothing is left out and nothing tells resources apart: how many share a match set is enough, and which
/// need not be put together. None where it is not so.
fn of_everything(world: &World, plan: &Plan<'_>, by: GroupBy) -> Option<Vec<Group>> {
    let mut accounts = world.scopes().map(|scope| scope.account.as_str());
    let account = accounts.next()?;
    let key = match by {
        GroupBy::Account if accounts.all(|other| other == account) => account,
        GroupBy::Severity | GroupBy::FindingType => "PACKAGE_VULNERABILITY",
        _ => return None,
    };
    let is_all = plan.resources.len() == u64::from(world.resource_count())
        && plan.hidden.is_empty()
        && plan.vulnerabilities.is_superset(world.estate.present_vulnerabilities());
    if !is_all {
        return None;
    }
    let mut groups = Groups::default();
    for set in 0..world.estate.set_count() {
        let (sharing, tally) = (world.estate.members(set).0, world.estate.tally(set));
        let Some(least) = sharing.min().filter(|_| !is_empty(&tally)) else { continue };
        let mut count = |key: &str, tally: &Tally| {
            let part = groups.part(key);
            part.counts.add_tally(tally, sharing.len());
            part.counted += sharing.len();
            part.least = Some(part.least.map_or(least, |known| known.min(least)));
        };
        if by == GroupBy::Severity {
            let of_each = Severity::ALL.map(|severity| (severity.as_str(), only(&tally, severity)));
            of_each.iter().filter(|(_, of_it)| !is_empty(of_it)).for_each(|(severity, of_it)| count(severity, of_it));
        } else {
            count(key, &tally);
        }
    }
    for (resource, conditions) in world.estate.conditions() {
        let of_set = world.estate.set_of(resource).map(|set| world.estate.tally(set));
        for assessment in conditions.iter().filter_map(|condition| world.assessment(condition)) {
            let (key, with_it) = match by {
                GroupBy::Severity => (assessment.severity.as_str(), of_set.map(|tally| only(&tally, assessment.severity))),
                GroupBy::FindingType => {
                    let kind = assessment.key().finding_type().as_str();
                    (kind, of_set.filter(|_| kind == key))
                }
                _ => (key, of_set),
            };
            let part = groups.part(key);
            part.counts.add_class(usize::from(class_of(assessment)), 1, 0);
            part.counts.network += u64::from(assessment.opening().is_some());
            if with_it.is_none_or(|tally| is_empty(&tally)) {
                part.resources.insert(resource);
            }
        }
    }
    Some(groups.done())
}

/// What every match set has, counted once for the resources that share it.
fn of_sets(world: &World, plan: &Plan<'_>, by: GroupBy) -> Vec<Group> {
    let mut groups = Groups::default();
    let whole = plan.vulnerabilities.is_superset(world.estate.present_vulnerabilities());
    let narrowed = if whole { HashMap::new() } else { narrowed(world, &plan.vulnerabilities) };
    let keyed = Keys::of(world, by);
    for set in 0..world.estate.set_count() {
        let (sharing, vulnerabilities) = world.estate.members(set);
        let resources = sharing.among(&plan.resources);
        if resources.is_empty() {
            continue;
        }
        let tally = if whole { Some(world.estate.tally(set)) } else { narrowed.get(&set).copied() };
        let Some(tally) = tally.filter(|tally| !is_empty(tally)) else { continue };
        // Resources whose findings a rule may hide are counted by what is left of them.
        let concerned: Vec<&Hidden> = plan
            .hidden
            .iter()
            .filter(|rule| !rule.resources.is_disjoint(&resources) && !vulnerabilities.is_disjoint(&rule.vulnerabilities))
            .collect();
        let mut plain = resources;
        for rule in &concerned {
            for resource in &(&plain & &rule.resources) {
                let left = left(world, plan, resource, &vulnerabilities.among(&plan.vulnerabilities), &concerned);
                keyed.count(&mut groups, &RoaringBitmap::from([resource]), &tally_of(world, set, &left));
            }
            plain -= &rule.resources;
        }
        if !plain.is_empty() {
            keyed.count(&mut groups, &plain, &tally);
        }
    }
    for (resource, conditions) in world.estate.conditions().filter(|(resource, _)| plan.resources.contains(*resource)) {
        let concerned: Vec<&Hidden> = plan.hidden.iter().filter(|rule| rule.resources.contains(resource)).collect();
        for condition in &left(world, plan, resource, &(conditions & &plan.vulnerabilities), &concerned) {
            let Some(assessment) = world.assessment(condition) else { continue };
            let shared = match by {
                GroupBy::Severity => vec![assessment.severity.as_str().to_owned()],
                GroupBy::FindingType => vec![assessment.key().finding_type().as_str().to_owned()],
                _ => resource_keys(world, resource, by),
            };
            for key in shared {
                let counts = groups.at(&key, &RoaringBitmap::from([resource]));
                counts.add_class(usize::from(class_of(assessment)), 1, 0);
                counts.network += u64::from(assessment.opening().is_some());
            }
        }
    }
    groups.done()
}

/// The findings of match sets that are of some vulnerabilities, counted from the side of the vulnerabilities.
fn narrowed(world: &World, vulnerabilities: &RoaringBitmap) -> HashMap<SetId, Tally> {
    let mut sets: HashMap<SetId, Tally> = HashMap::new();
    for vulnerability in vulnerabilities {
        let Some(assessment) = world.assessment(vulnerability) else { continue };
        let class = usize::from(class_of(assessment));
        let (having, fixed) = world.estate.sets_having(vulnerability);
        having.iter().for_each(|set| sets.entry(set).or_default().all[class] += 1);
        fixed.iter().for_each(|set| sets.entry(set).or_default().fixed[class] += 1);
    }
    sets
}

/// What no rule hides of a resource's vulnerabilities.
fn left(world: &World, plan: &Plan<'_>, resource: ResourceId, vulnerabilities: &RoaringBitmap, rules: &[&Hidden]) -> RoaringBitmap {
    let mut left = vulnerabilities.clone();
    for rule in rules.iter().filter(|rule| rule.resources.contains(resource)) {
        if rule.residual.is_empty() {
            left -= &rule.vulnerabilities;
            continue;
        }
        for vulnerability in &(&left & &rule.vulnerabilities) {
            let pair = Pair::new(world, plan.inventories, resource, vulnerability, world.log.head());
            if pair.is_some_and(|pair| rule.hides(&pair.unsuppressed())) {
                left.remove(vulnerability);
            }
        }
    }
    left
}

fn tally_of(world: &World, set: SetId, vulnerabilities: &RoaringBitmap) -> Tally {
    let mut tally = Tally::default();
    for vulnerability in vulnerabilities {
        let Some(assessment) = world.assessment(vulnerability) else { continue };
        let class = usize::from(class_of(assessment));
        tally.all[class] += 1;
        tally.fixed[class] += u32::from(world.estate.has_fix(set, vulnerability));
    }
    tally
}

/// How the resources of a match set are told apart.
struct Keys<'w> {
    world: &'w World,
    by: GroupBy,
    /// The resources that share a key, where that is known for all at once.
    accounts: Vec<(String, &'w RoaringBitmap)>,
}

impl<'w> Keys<'w> {
    fn of(world: &'w World, by: GroupBy) -> Self {
        let account = |scope: &'w Scope| (scope.account.to_string(), world.resources_in(scope));
        let accounts = if by == GroupBy::Account { world.scopes().map(account).collect() } else { Vec::new() };
        Self { world, by, accounts }
    }

    /// Counts the findings of a match set for some of its resources.
    fn count(&self, groups: &mut Groups, resources: &RoaringBitmap, tally: &Tally) {
        if is_empty(tally) {
            return;
        }
        match self.by {
            GroupBy::Severity => {
                for severity in Severity::ALL {
                    let of_it = only(tally, severity);
                    if !is_empty(&of_it) {
                        groups.at(severity.as_str(), resources).add_tally(&of_it, resources.len());
                    }
                }
            }
            GroupBy::FindingType => groups.at("PACKAGE_VULNERABILITY", resources).add_tally(tally, resources.len()),
            GroupBy::Account => {
                for (account, all) in self.accounts.iter().filter(|(_, all)| !all.is_disjoint(resources)) {
                    let these = *all & resources;
                    groups.at(account, &these).add_tally(tally, these.len());
                }
            }
            by => {
                // Resources that share what they are grouped by are counted together.
                let mut alike: BTreeMap<Vec<String>, RoaringBitmap> = BTreeMap::new();
                for resource in resources {
                    alike.entry(resource_keys(self.world, resource, by)).or_default().insert(resource);
                }
                for (keys, these) in alike {
                    keys.iter().for_each(|key| groups.at(key, &these).add_tally(tally, these.len()));
                }
            }
        }
    }
}

fn is_empty(tally: &Tally) -> bool {
    tally.all.iter().all(|count| *count == 0)
}

/// What a tally has of one severity.
fn only(tally: &Tally, severity: Severity) -> Tally {
    let mut of_it = Tally::default();
    for class in (0..CLASSES).filter(|class| severity_of(*class) == Some(severity)) {
        of_it.all[class] = tally.all[class];
        of_it.fixed[class] = tally.fixed[class];
    }
    of_it
}

/// Every vulnerability is counted for the names of the packages that it is in, on the match sets that have them.
fn of_packages(world: &World, plan: &Plan<'_>) -> Vec<Group> {
    let mut groups = Groups::default();
    let estate = &world.estate;
    let sharing = Sharing::of(world, plan);
    let mut sets_of_name: HashMap<&str, RoaringBitmap> = HashMap::new();
    // Where a rule hides some findings, whose are left is put together.
    let mut left_of_name: HashMap<&str, RoaringBitmap> = HashMap::new();
    for vulnerability in &plan.vulnerabilities {
        let (Some(assessment), Some(verdicts)) = (world.assessment(vulnerability), estate.verdicts(vulnerability)) else { continue };
        let mut by_name: BTreeMap<&str, Vec<ComponentId>> = BTreeMap::new();
        for component in verdicts.keys() {
            by_name.entry(&estate.component(*component).name).or_default().push(*component);
        }
        let fixes = Fixes::of(world, vulnerability);
        let hidden = hidden_in(world, plan, vulnerability);
        for (name, components) in by_name {
            let sets = estate.sets_of(components.iter());
            let class = usize::from(class_of(assessment));
            if let Some(hidden) = &hidden {
                let left = sharing.left(&sets, hidden);
                if !left.is_empty() {
                    let with_fix = fixes.count(&sets, left.len(), |sets| sharing.left(sets, hidden).len());
                    groups.counts(name).add_class(class, left.len(), with_fix);
                    *left_of_name.entry(name).or_default() |= left;
                }
                continue;
            }
            let found = sharing.count(&sets).0;
            if found == 0 {
                continue;
            }
            groups.counts(name).add_class(class, found, fixes.count(&sets, found, |sets| sharing.count(sets).0));
            *sets_of_name.entry(name).or_default() |= sets;
        }
    }
    for (name, left) in left_of_name {
        let sets = sets_of_name.remove(name).unwrap_or_default();
        groups.part(name).resources = left | sharing.left(&sets, &RoaringBitmap::new());
    }
    for (name, sets) in sets_of_name {
        let (counted, least) = sharing.count(&sets);
        let part = groups.part(name);
        (part.counted, part.least) = (counted, Some(least));
    }
    groups.done()
}

/// Where a vulnerability has a fix: as a rule in all that have it or in none, and then nothing is put together.
enum Fixes {
    All,
    None,
    In(RoaringBitmap),
}

impl Fixes {
    fn of(world: &World, vulnerability: VulnerabilityId) -> Self {
        let verdicts = || world.estate.verdicts(vulnerability).into_iter().flatten();
        match verdicts().filter(|(_, verdict)| verdict.fixed_in.is_some()).count() {
            0 => Self::None,
            some if some == verdicts().count() => Self::All,
            _ => Self::In(world.estate.sets_having(vulnerability).1),
        }
    }

    /// How many of those that have one of some match sets have a fix.
    fn count(&self, sets: &RoaringBitmap, all: u64, count: impl FnOnce(&RoaringBitmap) -> u64) -> u64 {
        match self {
            Self::All => all,
            Self::None => 0,
            Self::In(fixed) => count(&(sets & fixed)),
        }
    }
}

/// The resources of a plan in which rules hide a vulnerability; none where no rule is about it.
fn hidden_in(world: &World, plan: &Plan<'_>, vulnerability: VulnerabilityId) -> Option<RoaringBitmap> {
    let mut rules = plan.hidden.iter().filter(|rule| rule.vulnerabilities.contains(vulnerability)).peekable();
    rules.peek()?;
    let having = world.estate.resources_with(vulnerability) & &plan.resources;
    let mut hidden = RoaringBitmap::new();
    for rule in rules {
        let mut concerned = &rule.resources & &having;
        concerned -= &hidden;
        if rule.residual.is_empty() {
            hidden |= concerned;
            continue;
        }
        let hides = |resource: &ResourceId| {
            let pair = Pair::new(world, plan.inventories, *resource, vulnerability, world.log.head());
            pair.is_some_and(|pair| rule.hides(&pair.unsuppressed()))
        };
        hidden.extend(concerned.iter().filter(hides));
    }
    Some(hidden)
}

/// How many resources of a plan share each match set, and the smallest of them.
struct Sharing<'p, 'w> {
    plan: &'p Plan<'w>,
    by_set: Vec<(u64, ResourceId)>,
}

impl<'p, 'w> Sharing<'p, 'w> {
    fn of(world: &World, plan: &'p Plan<'w>) -> Self {
        let of = |set| {
            let resources = world.estate.members(set).0.among(&plan.resources);
            (resources.len(), resources.min().unwrap_or(ResourceId::MAX))
        };
        Self { plan, by_set: (0..world.estate.set_count()).map(of).collect() }
    }

    /// The resources that have one of some sets, without some.
    fn left(&self, sets: &RoaringBitmap, hidden: &RoaringBitmap) -> RoaringBitmap {
        (self.plan.world.estate.resources_of(sets) & &self.plan.resources) - hidden
    }

    /// How many have one of some sets, and the smallest: a resource has one set, so that none is counted twice.
    fn count(&self, sets: &RoaringBitmap) -> (u64, ResourceId) {
        let all = sets.iter().map(|set| self.by_set[set as usize]);
        all.fold((0, ResourceId::MAX), |(count, least), (more, other)| (count + more, least.min(other)))
    }
}

/// A vulnerability has a title for each list of packages that it is in together: it is counted on the match sets that have them.
fn of_titles(world: &World, plan: &Plan<'_>) -> Vec<Group> {
    let mut groups = Groups::default();
    let sharing = Sharing::of(world, plan);
    for vulnerability in &plan.vulnerabilities {
        let Some(assessment) = world.assessment(vulnerability) else { continue };
        let hidden = hidden_in(world, plan, vulnerability);
        if let Some(condition) = &assessment.condition {
            let resources = (world.estate.resources_with(vulnerability) & &plan.resources) - hidden.unwrap_or_default();
            if !resources.is_empty() {
                let counts = groups.at(&condition.title, &resources);
                counts.add_class(usize::from(class_of(assessment)), resources.len(), 0);
                counts.network += if assessment.opening().is_some() { resources.len() } else { 0 };
            }
            continue;
        }
        let fixes = Fixes::of(world, vulnerability);
        for (names, sets) in names_together(world, vulnerability) {
            let count = |sets: &RoaringBitmap| match &hidden {
                None => sharing.count(sets),
                Some(hidden) => {
                    let left = sharing.left(sets, hidden);
                    (left.len(), left.min().unwrap_or(ResourceId::MAX))
                }
            };
            let (found, least) = count(&sets);
            if found == 0 {
                continue;
            }
            let title = title_of(&assessment.id, &names);
            let part = groups.part(&title);
            part.counts.add_class(usize::from(class_of(assessment)), found, fixes.count(&sets, found, |sets| count(sets).0));
            part.vulnerability = Some(assessment.id.clone());
            part.counted += found;
            part.least = Some(part.least.map_or(least, |known| known.min(least)));
        }
    }
    groups.done()
}

/// The names of the packages that a vulnerability is in, as they are found together, each list with the match sets that have it. Names
/// stand in the order of their components.
fn names_together(world: &World, vulnerability: VulnerabilityId) -> Vec<(Vec<&str>, RoaringBitmap)> {
    let estate = &world.estate;
    let mut components: Vec<ComponentId> = estate.verdicts(vulnerability).into_iter().flatten().map(|(component, _)| *component).collect();
    components.sort_by(|a, b| estate.component(*a).cmp(estate.component(*b)));
    let name = |component: &ComponentId| estate.component(*component).name.as_str();
    if components.windows(2).all(|two| name(&two[0]) == name(&two[1])) {
        // As a rule it is one package, and nothing need be told apart.
        return components.first().map(|first| (vec![name(first)], estate.sets_of(components.iter()))).into_iter().collect();
    }
    let mut of_set: BTreeMap<SetId, Vec<&str>> = BTreeMap::new();
    for component in &components {
        for set in &estate.sets_of(std::iter::once(component)) {
            let names = of_set.entry(set).or_default();
            if names.last() != Some(&name(component)) {
                names.push(name(component));
            }
        }
    }
    let mut together: BTreeMap<Vec<&str>, RoaringBitmap> = BTreeMap::new();
    for (set, names) in of_set {
        together.entry(names).or_default().insert(set);
    }
    together.into_iter().collect()
}

/// What each layer brought, inventory by inventory: the resources that share one are counted together.
fn of_layers(world: &World, plan: &Plan<'_>) -> Result<Vec<Group>, QueryError> {
    let mut alike: BTreeMap<(Hash, SetId), RoaringBitmap> = BTreeMap::new();
    for resource in &plan.resources {
        let inventory = world.resource(resource).and_then(|entry| entry.inventory);
        if let Some(key) = inventory.zip(world.estate.set_of(resource)) {
            alike.entry(key).or_default().insert(resource);
        }
    }
    // What has none of the vulnerabilities need not be read.
    alike.retain(|(_, set), _| !world.estate.members(*set).1.is_disjoint(&plan.vulnerabilities));
    if alike.len() > MAX_INVENTORIES {
        return Err(QueryError::Inventories(alike.len()));
    }
    let mut groups = Groups::default();
    for ((inventory, set), resources) in alike {
        let Some(inventory) = plan.inventories.inventory(&inventory) else { continue };
        let vulnerabilities = world.estate.members(set).1.among(&plan.vulnerabilities);
        let layers = layers_of(world, &inventory, &vulnerabilities);
        let concerned: Vec<&Hidden> = plan.hidden.iter().filter(|rule| !rule.resources.is_disjoint(&resources)).collect();
        let mut plain = resources;
        for rule in &concerned {
            for resource in &(&plain & &rule.resources) {
                let left = left(world, plan, resource, &vulnerabilities, &concerned);
                count_layers(&mut groups, world, set, &layers, &left, &RoaringBitmap::from([resource]));
            }
            plain -= &rule.resources;
        }
        if !plain.is_empty() {
            count_layers(&mut groups, world, set, &layers, &vulnerabilities, &plain);
        }
    }
    Ok(groups.done())
}

/// What each layer of an inventory has of some vulnerabilities.
fn layers_of<'i>(world: &World, inventory: &'i Inventory, vulnerabilities: &RoaringBitmap) -> BTreeMap<&'i str, RoaringBitmap> {
    let mut layers: BTreeMap<&str, RoaringBitmap> = BTreeMap::new();
    for (number, component) in (0..).zip(&inventory.components) {
        let Some(component) = world.estate.component_id(component) else { continue };
        let had = world.estate.vulnerabilities_in(std::iter::once(&component)) & vulnerabilities;
        if !had.is_empty() {
            for layer in inventory.occurrences_of(number).filter_map(|occurrence| occurrence.layer.as_deref()) {
                *layers.entry(layer).or_default() |= &had;
            }
        }
    }
    layers
}

/// Counts what layers have of what is left of a match set's vulnerabilities, for resources that share them.
fn count_layers(
    groups: &mut Groups,
    world: &World,
    set: SetId,
    layers: &BTreeMap<&str, RoaringBitmap>,
    left: &RoaringBitmap,
    resources: &RoaringBitmap,
) {
    for (layer, had) in layers {
        let tally = tally_of(world, set, &(had & left));
        if !is_empty(&tally) {
            groups.at(layer, resources).add_tally(&tally, resources.len());
        }
    }
}

#[derive(Default)]
struct Groups {
    numbers: HashMap<String, usize>,
    parts: Vec<Part>,
}

/// A group in the making.
#[derive(Default)]
struct Part {
    resources: RoaringBitmap,
    vulnerability: Option<String>,
    counts: Counts,
    /// Resources that were counted and not put together, and the smallest of them.
    counted: u64,
    least: Option<ResourceId>,
}

impl Groups {
    fn part(&mut self, key: &str) -> &mut Part {
        // Most groups are there already: their key is not copied to find them.
        let number = self.numbers.get(key).copied().unwrap_or_else(|| {
            self.numbers.insert(key.to_owned(), self.parts.len());
            self.parts.push(Part::default());
            self.parts.len() - 1
        });
        &mut self.parts[number]
    }

    /// The counts of a group.
    fn counts(&mut self, key: &str) -> &mut Counts {
        &mut self.part(key).counts
    }

    /// The counts of a group that has these resources.
    fn at(&mut self, key: &str, resources: &RoaringBitmap) -> &mut Counts {
        let part = self.part(key);
        part.resources |= resources;
        &mut part.counts
    }

    /// The groups, in the order of their keys; each with its smallest resource as an example.
    fn done(self) -> Vec<Group> {
        let mut parts = self.parts;
        let group = |(key, number): (String, usize)| {
            let part = std::mem::take(&mut parts[number]);
            let resource = part.resources.min().into_iter().chain(part.least).min().unwrap_or_default();
            let resources = part.resources.len() + part.counted;
            Group { key, resource, resources, vulnerability: part.vulnerability, counts: part.counts }
        };
        let mut groups: Vec<Group> = self.numbers.into_iter().map(group).collect();
        groups.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        groups
    }
}

/// What a resource's findings share because they are its findings.
fn resource_keys(world: &World, resource: ResourceId, by: GroupBy) -> Vec<String> {
    let field = match by {
        GroupBy::Account => TextField::AwsAccountId,
        GroupBy::Repository => TextField::EcrImageRepositoryName,
        GroupBy::Resource => TextField::ResourceId,
        GroupBy::MachineImage => TextField::Ec2InstanceImageId,
        _ => return vec!["PACKAGE_VULNERABILITY".to_owned()],
    };
    let texts = world.resource(resource).map(|entry| resource_text(entry, field)).unwrap_or_default();
    texts.into_iter().map(std::borrow::Cow::into_owned).collect()
}

fn keys(world: &World, pair: &Pair<'_>, by: GroupBy) -> Vec<String> {
    let mut keys: Vec<String> = match by {
        GroupBy::Account | GroupBy::Repository | GroupBy::Resource | GroupBy::MachineImage => resource_keys(world, pair.resource, by),
        GroupBy::FindingType => vec![pair.assessment.key().finding_type().as_str().to_owned()],
        GroupBy::Severity => vec![pair.assessment.severity.as_str().to_owned()],
        GroupBy::Title => vec![pair.title()],
        GroupBy::Package => pair.packages().iter().map(|package| package.component.name.clone()).collect(),
        GroupBy::Layer => pair.packages().iter().filter_map(|package| package.layer.clone()).collect(),
    };
    keys.sort_unstable();
    keys.dedup();
    keys
}
