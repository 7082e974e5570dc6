//! Which findings another set of suppression rules shows otherwise: they are told of, as any other change.

use crate::query::Plan;
use crate::view::{InventorySource, Pair};
use crate::{Suppression, World};
use lestrade_matching::{ResourceId, VulnerabilityId};
use lestrade_model::{Scope, Timestamp};
use roaring::RoaringBitmap;
use std::collections::BTreeMap;

/// The open findings of which the rules now in force say something else than those before: by vulnerability, where. Asked are those
/// alone that a rule which came or went is about.
#[must_use]
pub fn shown_otherwise(
    world: &World,
    inventories: &dyn InventorySource,
    before: &[Suppression],
    now: Timestamp,
) -> BTreeMap<VulnerabilityId, RoaringBitmap> {
    let after = &world.suppressions;
    let gone = before.iter().filter(|rule| !after.contains(rule));
    let new = after.iter().filter(|rule| !before.contains(rule));
    let mut moved: BTreeMap<VulnerabilityId, RoaringBitmap> = BTreeMap::new();
    for rule in gone.chain(new) {
        let holds = |rule: &Suppression, scope: &Scope| rule.holds_in(scope, world.administrator.as_ref());
        let scopes: Vec<Scope> = world.scopes().filter(|scope| holds(rule, scope)).cloned().collect();
        Plan::compile(world, inventories, &scopes, &rule.criteria, world.log.head(), now).for_each(|pair: Pair<'_>| {
            let Some(scope) = world.resource(pair.resource).map(|entry| &entry.resource.key.scope) else { return };
            let plain = pair.unsuppressed();
            let suppressed = |rules: &[Suppression]| rules.iter().any(|rule| holds(rule, scope) && rule.criteria.hold(&plain));
            if pair.is_open(now) == Some(true) && suppressed(before) != suppressed(after) {
                moved.entry(pair.vulnerability).or_default().insert(pair.resource);
            }
        });
    }
    moved
}

/// The open findings of a resource that a rule suppresses.
#[must_use]
pub fn suppressed_of(world: &World, inventories: &dyn InventorySource, resource: ResourceId, now: Timestamp) -> RoaringBitmap {
    let is_suppressed = |vulnerability: &VulnerabilityId| {
        let pair = Pair::new(world, inventories, resource, *vulnerability, world.log.head());
        pair.is_some_and(|pair| pair.is_open(now) == Some(true) && pair.is_suppressed())
    };
    world.estate.vulnerabilities_of(resource).iter().filter(is_suppressed).collect()
}
