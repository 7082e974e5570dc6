//! What a listing and a count must answer, worked out the slow and obvious way: every resource times every vulnerability, each asked
//! everything. Tests compare [`crate::list`] and
//! [`crate::aggregate`] with it; nothing else calls it.

use crate::aggregate::of_pairs;
use crate::query::{Plan, Sort};
use crate::view::Pair;
use crate::{Criteria, FindingView, Group, GroupBy, InventorySource, World};
use lestrade_model::{Scope, Timestamp};

/// All findings that meet the criteria now, in order.
#[must_use]
pub fn list_all(
    world: &World,
    inventories: &dyn InventorySource,
    scopes: &[Scope],
    criteria: &Criteria,
    sort: Sort,
    now: Timestamp,
) -> Vec<FindingView> {
    let (_, _, vulnerabilities) = world.estate.sizes();
    let mut pairs = Vec::new();
    for resource in scopes.iter().flat_map(|scope| world.resources_in(scope)) {
        for vulnerability in (0..vulnerabilities).filter_map(|id| u32::try_from(id).ok()) {
            if let Some(pair) = Pair::new(world, inventories, resource, vulnerability, world.log.head())
                && pair.is_open(now).is_some()
                && criteria.hold(&pair)
            {
                pairs.push((sort.key_of(&pair, world), pair));
            }
        }
    }
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    pairs.iter().map(|(_, pair)| pair.view()).collect()
}

/// Counts of groups, finding by finding.
#[must_use]
pub fn aggregate_all(
    world: &World,
    inventories: &dyn InventorySource,
    scopes: &[Scope],
    criteria: &Criteria,
    by: GroupBy,
    now: Timestamp,
) -> Vec<Group> {
    of_pairs(world, &Plan::compile(world, inventories, scopes, criteria, world.log.head(), now), by)
}
