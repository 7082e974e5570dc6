//! Which ports of an opening are open to whom. A range is maximal whoever comes: port 22 for one address and port 23 for everybody are
//! one opening, and here again two.

use crate::evaluate::{Analysis, Engine, Grant, Index, Memo, Opening};
use crate::perimeter::{PROTOCOLS, SourceClass};
use crate::ranges::RangeSet;
use crate::snapshot::Snapshot;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// Ports of an opening that are all open to the same addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// First and last.
    pub ports: (u16, u16),
    /// Those addresses.
    pub sources: RangeSet<u128>,
}

/// What is granted at one address, by way.
type Ways = Vec<((SourceClass, String), usize, Vec<Grant>)>;

/// Fills in the parts of openings, where one has more than one.
pub(crate) fn fill(snapshot: &Snapshot, analysis: &mut Analysis) {
    let index = Index::of(snapshot);
    let mut memo = Memo::default();
    let mut engine = Engine { snapshot, index: &index, memo: &mut memo };
    let mut known: Option<((Arc<str>, IpAddr), Ways)> = None;
    // A load balancer leads to single ports.
    for open in analysis.openings.iter_mut().filter(|open| open.ports.0 < open.ports.1 && !open.one_way) {
        let place = (Arc::clone(&open.interface), open.address);
        if known.as_ref().is_none_or(|(known, _)| *known != place) {
            known = Some((place, ways(&mut engine, open)));
        }
        let ways = known.iter().flat_map(|(_, ways)| ways);
        let own = ways
            .filter(|((class, via), protocol, _)| (*class, via.as_str(), PROTOCOLS[*protocol]) == (open.class, &*open.via, open.protocol));
        let grants: Vec<&Grant> = own.flat_map(|(_, _, grants)| grants).collect();
        let parts = parts(open.ports, &grants);
        if parts.len() > 1 {
            open.parts = parts.into();
        }
    }
}

fn ways(engine: &mut Engine<'_>, open: &Opening) -> Ways {
    let snapshot = engine.snapshot;
    let Some(interface) = snapshot.interfaces.get(&*open.interface) else { return Ways::new() };
    let Some(subnet) = snapshot.subnets.get(&interface.subnet) else { return Ways::new() };
    let Some((_, perimeter)) = engine.perimeter(&interface.subnet, subnet, open.address) else { return Ways::new() };
    let public = interface.addresses.iter().any(|address| address.private == open.address && address.public.is_some());
    let entrance = engine.entrance(subnet, open.address, public);
    let doors = engine.by_door(&interface.groups, subnet, open.address, &perimeter, &entrance);
    let way = |(door, grants): (usize, Vec<Grant>)| {
        let gateway = entrance.over(perimeter.gateways.get(door / PROTOCOLS.len())?);
        Some(((gateway.class, gateway.id), door % PROTOCOLS.len(), grants))
    };
    doors.into_iter().enumerate().filter_map(way).collect()
}

pub(crate) fn parts((first, last): (u16, u16), grants: &[&Grant]) -> Vec<Part> {
    let within: Vec<&&Grant> = grants.iter().filter(|grant| grant.ports.0 <= last && grant.ports.1 >= first).collect();
    let mut cuts: BTreeSet<u16> = BTreeSet::from([first]);
    for grant in &within {
        cuts.insert(grant.ports.0.max(first));
        cuts.extend(grant.ports.1.checked_add(1).filter(|next| *next <= last));
    }
    let cuts: Vec<u16> = cuts.into_iter().collect();
    let mut parts: Vec<Part> = Vec::new();
    for (at, begin) in cuts.iter().enumerate() {
        let end = cuts.get(at + 1).map_or(last, |next| next - 1);
        let here = within.iter().filter(|grant| (grant.ports.0..=grant.ports.1).contains(begin));
        let sources = RangeSet::of(here.map(|grant| (grant.first, grant.last)));
        match parts.last_mut() {
            Some(before) if before.sources == sources => before.ports.1 = end,
            _ => parts.push(Part { ports: (*begin, end), sources }),
        }
    }
    parts
}
