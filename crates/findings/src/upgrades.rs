//! Which upgrade removes how much risk from an estate.

use crate::query::{Hidden, Plan};
use crate::risk::{impact, likelihood, reach};
use crate::view::{Pair, weight};
use crate::{Criteria, InventorySource, Side, World};
use lestrade_matching::{ComponentId, ResourceId, VulnerabilityId};
use lestrade_model::{Ecosystem, Scope, Timestamp};
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// An upgrade of a package, wherever it is installed.
#[derive(Clone, Debug, PartialEq)]
pub struct Upgrade {
    /// Whose package.
    pub ecosystem: Ecosystem,
    /// The package that advisories name.
    pub package: String,
    /// The installed packages that are upgraded with it, and their versions.
    pub installed: BTreeSet<(String, String)>,
    /// The versions that close what is open: the latest of them closes all.
    pub fixed_in: BTreeSet<String>,
    /// The vulnerabilities that it closes.
    pub closes: Vec<String>,
    /// How many findings those are.
    pub findings: u64,
    /// In how many resources.
    pub resources: u64,
    /// The sum of the findings' risk.
    pub risk: f64,
}

/// An upgrade in the making.
#[derive(Default)]
struct Draft {
    components: BTreeSet<ComponentId>,
    fixed_in: BTreeSet<String>,
    closes: RoaringBitmap,
    /// The match sets all of whose resources have it, and resources of others.
    sets: RoaringBitmap,
    apart: RoaringBitmap,
    findings: u64,
    risk: f64,
}

/// What the resources of a match set add up to.
#[derive(Clone, Copy, Default)]
struct Share {
    resources: u64,
    /// Of how reachable each is, by how much it matters.
    load: f64,
}

/// The upgrades that close active findings, those that remove most risk first: at most so many, and how many there are.
///
/// Criteria are about resources and vulnerabilities; what they say of pairs is passed over. Resources of a match set are counted
/// together, so that the work is that of the distinct inventories. The risk is by how far each resource can be reached; whether
/// the package is what listens there is not asked.
#[must_use]
pub fn upgrades(
    world: &World,
    inventories: &dyn InventorySource,
    scopes: &[Scope],
    criteria: &Criteria,
    most: usize,
    now: Timestamp,
) -> (Vec<Upgrade>, usize) {
    let criteria = Criteria { terms: criteria.terms.iter().filter(|term| term.side() != Side::Pair).cloned().collect() };
    let plan = Plan::compile(world, inventories, scopes, &criteria, world.log.head(), now);
    let estate = &world.estate;
    let shares: Vec<Share> = (0..estate.set_count())
        .map(|set| {
            let resources = estate.members(set).0.among(&plan.resources);
            Share { resources: resources.len(), load: resources.iter().map(|resource| load(world, resource)).sum() }
        })
        .collect();
    let mut drafts: HashMap<(&Ecosystem, &str), Draft> = HashMap::new();
    for vulnerability in &plan.vulnerabilities {
        let (Some(assessment), Some(verdicts)) = (world.assessment(vulnerability), estate.verdicts(vulnerability)) else { continue };
        let mut packages: BTreeMap<(&Ecosystem, &str), Vec<(ComponentId, &str)>> = BTreeMap::new();
        for (id, verdict) in verdicts {
            let component = estate.component(*id);
            if let Some(fixed) = &verdict.fixed_in {
                packages.entry((&component.ecosystem, component.advised_name())).or_default().push((*id, fixed));
            }
        }
        let cvss = assessment.decided_by.as_ref().map(|score| score.cvss.score);
        let each = 100.0 * impact(cvss) * likelihood(assessment.maturity, assessment.epss);
        for (package, fixed) in packages {
            let sets = estate.sets_of(fixed.iter().map(|(id, _)| id));
            let (apart, share) = share(&plan, vulnerability, &sets, &shares);
            if share.resources == 0 {
                continue;
            }
            let draft = drafts.entry(package).or_default();
            draft.findings += share.resources;
            draft.risk += each * share.load;
            draft.closes.insert(vulnerability);
            draft.components.extend(fixed.iter().map(|(id, _)| *id));
            draft.fixed_in.extend(fixed.iter().map(|(_, version)| (*version).to_owned()));
            match apart {
                Some(resources) => draft.apart |= resources,
                None => draft.sets |= sets,
            }
        }
    }
    let all = drafts.len();
    let mut drafts: Vec<_> = drafts.into_iter().collect();
    drafts.sort_by(|(a, one), (b, other)| other.risk.total_cmp(&one.risk).then_with(|| a.cmp(b)));
    drafts.truncate(most);
    let done = |((ecosystem, package), draft): ((&Ecosystem, &str), Draft)| {
        let resources = (estate.resources_of(&draft.sets) & &plan.resources) | draft.apart;
        // A version that was installed once, and is in none of these resources, is not upgraded.
        let is_there = |id: &&ComponentId| !(estate.resources_of(&estate.sets_of(std::iter::once(*id))) & &resources).is_empty();
        let installed = |id: &ComponentId| {
            let component = estate.component(*id);
            (component.name.clone(), component.version.clone())
        };
        Upgrade {
            ecosystem: ecosystem.clone(),
            package: package.to_owned(),
            installed: draft.components.iter().filter(is_there).map(installed).collect(),
            fixed_in: draft.fixed_in,
            closes: draft.closes.iter().filter_map(|id| estate.vulnerability(id)).map(str::to_owned).collect(),
            findings: draft.findings,
            resources: resources.len(),
            risk: draft.risk,
        }
    };
    (drafts.into_iter().map(done).collect(), all)
}

/// How reachable a resource is, by how much it matters.
fn load(world: &World, resource: ResourceId) -> f64 {
    let weight = world.resource(resource).map_or(1.0, |entry| weight(&entry.resource.tags));
    reach(world.exposure(resource)) * weight
}

/// What the resources of some match sets that show a finding of a vulnerability add up to; and those resources, where rules hide
/// some of them.
fn share(plan: &Plan<'_>, vulnerability: VulnerabilityId, sets: &RoaringBitmap, shares: &[Share]) -> (Option<RoaringBitmap>, Share) {
    let world = plan.world;
    let rules: Vec<&Hidden> = plan.hidden.iter().filter(|rule| rule.vulnerabilities.contains(vulnerability)).collect();
    if rules.is_empty() {
        let of_sets = sets.iter().filter_map(|set| shares.get(set as usize));
        let sum = |sum: Share, one: &Share| Share { resources: sum.resources + one.resources, load: sum.load + one.load };
        return (None, of_sets.fold(Share::default(), sum));
    }
    let mut left = world.estate.resources_of(sets) & &plan.resources;
    for rule in rules {
        if rule.residual.is_empty() {
            left -= &rule.resources;
            continue;
        }
        for resource in &(&left & &rule.resources) {
            let pair = Pair::new(world, plan.inventories, resource, vulnerability, world.log.head());
            if pair.is_some_and(|pair| rule.hides(&pair.unsuppressed())) {
                left.remove(resource);
            }
        }
    }
    let share = Share { resources: left.len(), load: left.iter().map(|resource| load(world, resource)).sum() };
    (Some(left), share)
}
