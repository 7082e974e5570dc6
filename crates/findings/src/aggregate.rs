//! Counting findings in groups.

use crate::query::Plan;
use crate::view::{Pair, resource_text};
use crate::{Criteria, InventorySource, TextField, World};
use lestrade_matching::ResourceId;
use lestrade_model::{FindingStatus, Scope, Severity, Timestamp};
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
}

impl Counts {
    /// Findings of one severity.
    #[must_use]
    pub const fn of(&self, severity: Severity) -> u64 {
        self.by_severity[severity as usize]
    }

    fn add(&mut self, severity: Severity, exploit: bool, fix: bool) {
        self.all += 1;
        self.by_severity[severity as usize] += 1;
        self.exploit_available += u64::from(exploit);
        self.fix_available += u64::from(fix);
    }
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What its members share.
    pub key: String,
    /// A resource of it.
    pub resource: ResourceId,
    /// The vulnerability of one of its findings.
    pub vulnerability: String,
    /// Its counts.
    pub counts: Counts,
}

/// Counts the active findings that meet the criteria, in groups, ordered by what they share.
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
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    plan.for_each(|pair| {
        if pair.status() != FindingStatus::Active {
            return;
        }
        let fix = pair.packages().iter().any(|package| package.fixed_in.is_some());
        for key in keys(world, &pair, by) {
            let group = groups.entry(key.clone()).or_insert_with(|| Group {
                key,
                resource: pair.resource,
                vulnerability: pair.assessment.id.clone(),
                counts: Counts::default(),
            });
            group.counts.add(pair.assessment.severity, pair.assessment.known_exploited, fix);
        }
    });
    groups.into_values().collect()
}

fn keys(world: &World, pair: &Pair<'_>, by: GroupBy) -> Vec<String> {
    let resource = |field| {
        let texts = world.resource(pair.resource).map(|entry| resource_text(entry, field)).unwrap_or_default();
        texts.into_iter().map(std::borrow::Cow::into_owned).collect()
    };
    let mut keys: Vec<String> = match by {
        GroupBy::Account => resource(TextField::AwsAccountId),
        GroupBy::Repository => resource(TextField::EcrImageRepositoryName),
        GroupBy::Resource => resource(TextField::ResourceId),
        GroupBy::FindingType => vec!["PACKAGE_VULNERABILITY".to_owned()],
        GroupBy::Severity => vec![pair.assessment.severity.as_str().to_owned()],
        GroupBy::Title => vec![pair.title()],
        GroupBy::Package => pair.packages().iter().map(|package| package.component.name.clone()).collect(),
        GroupBy::Layer => pair.packages().iter().filter_map(|package| package.layer.clone()).collect(),
    };
    keys.sort_unstable();
    keys.dedup();
    keys
}
