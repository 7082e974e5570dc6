//! Counting findings in groups.

use crate::query::Plan;
use crate::view::{Pair, resource_text};
use crate::{Criteria, InventorySource, Side, TextField, World};
use lestrade_matching::ResourceId;
use lestrade_model::{FindingStatus, Scope, Severity, Timestamp};
use roaring::RoaringBitmap;
use std::collections::BTreeMap;

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

    fn add(&mut self, severity: Severity, exploit: bool, fix: bool, times: u64) {
        self.all += times;
        self.by_severity[severity as usize] += times;
        self.exploit_available += u64::from(exploit) * times;
        self.fix_available += u64::from(fix) * times;
    }
}

/// A group.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What its members share.
    pub key: String,
    /// A resource of it.
    pub resource: ResourceId,
    /// Its resources.
    pub resources: RoaringBitmap,
    /// The vulnerability of one of its findings.
    pub vulnerability: String,
    /// Its counts.
    pub counts: Counts,
}

/// Counts the active findings that meet the criteria, in groups, ordered by what they share.
///
/// Where neither the grouping nor a criterion nor a suppression rule asks about single findings, whole match sets are counted:
/// the work is that of the distinct inventories, however many resources share them.
#[must_use]
pub fn aggregate(
    world: &World,
    inventories: &dyn InventorySource,
    scopes: &[Scope],
    criteria: &Criteria,
    by: GroupBy,
    now: Timestamp,
) -> Vec<Group> {
    let plan = Plan::compile(world, inventories, scopes, criteria, world.log.head(), now);
    let by_sets = matches!(
        by,
        GroupBy::Account | GroupBy::FindingType | GroupBy::Severity | GroupBy::Repository | GroupBy::Resource | GroupBy::MachineImage
    ) && criteria.of_side(Side::Pair).next().is_none()
        && !world.suppressions.iter().any(|rule| scopes.iter().any(|scope| rule.holds_in(scope, world.administrator.as_ref())));
    if by_sets { of_sets(world, &plan, by) } else { of_pairs(world, &plan, by) }
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
            let counts = groups.at(key, &one, &pair.assessment.id);
            counts.add(pair.assessment.severity, pair.assessment.exploit_available(), fix, 1);
            counts.network += u64::from(pair.assessment.opening().is_some());
        }
    });
    groups.0.into_values().collect()
}

/// Every match set is counted once, times the resources that share it.
fn of_sets(world: &World, plan: &Plan<'_>, by: GroupBy) -> Vec<Group> {
    let mut groups = Groups::default();
    for set in 0..world.estate.set_count() {
        let (resources, vulnerabilities) = world.estate.members(set);
        // Resources of a set that share what they are grouped by are counted together.
        let mut alike: BTreeMap<Vec<String>, RoaringBitmap> = BTreeMap::new();
        for resource in &(resources & &plan.resources) {
            alike.entry(resource_keys(world, resource, by)).or_default().insert(resource);
        }
        if alike.is_empty() {
            continue;
        }
        for vulnerability in &(vulnerabilities & &plan.vulnerability_set) {
            let Some(assessment) = world.assessment(vulnerability) else { continue };
            let fix = world.estate.has_fix(set, vulnerability);
            for (shared, resources) in &alike {
                let severity = [assessment.severity.as_str().to_owned()];
                for key in if by == GroupBy::Severity { severity.as_slice() } else { shared } {
                    let exploited = assessment.exploit_available();
                    groups.at(key.clone(), resources, &assessment.id).add(assessment.severity, exploited, fix, resources.len());
                }
            }
        }
    }
    for (resource, conditions) in world.estate.conditions().filter(|(resource, _)| plan.resources.contains(*resource)) {
        for condition in &(conditions & &plan.vulnerability_set) {
            let Some(assessment) = world.assessment(condition) else { continue };
            let shared = match by {
                GroupBy::Severity => vec![assessment.severity.as_str().to_owned()],
                GroupBy::FindingType => vec![assessment.key().finding_type().as_str().to_owned()],
                _ => resource_keys(world, resource, by),
            };
            for key in shared {
                let counts = groups.at(key, &RoaringBitmap::from([resource]), &assessment.id);
                counts.add(assessment.severity, false, false, 1);
                counts.network += u64::from(assessment.opening().is_some());
            }
        }
    }
    groups.0.into_values().collect()
}

#[derive(Default)]
struct Groups(BTreeMap<String, Group>);

impl Groups {
    /// The counts of a group. Its example is its smallest resource and vulnerability, whatever the order of counting.
    fn at(&mut self, key: String, resources: &RoaringBitmap, vulnerability: &str) -> &mut Counts {
        let resource = resources.min().unwrap_or_default();
        let group = self.0.entry(key.clone()).or_insert_with(|| Group {
            key,
            resource,
            resources: RoaringBitmap::new(),
            vulnerability: vulnerability.to_owned(),
            counts: Counts::default(),
        });
        group.resource = group.resource.min(resource);
        group.resources |= resources;
        if *vulnerability < *group.vulnerability {
            vulnerability.clone_into(&mut group.vulnerability);
        }
        &mut group.counts
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
