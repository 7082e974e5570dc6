//! UDP that nobody answers. A conversation needs a way back; one datagram that does harm does not. This is the specification's option
//! `udpOneWay` (R7): routes of replies and what ACLs let out are not asked.
//!
//! Load balancers keep what they know of a client, and are asked for conversations alone.

use crate::evaluate::{Analysis, Engine, Index, Memo, Names, Opening, evaluate, openings, order};
use crate::parts::parts;
use crate::perimeter::{PROTOCOLS, Perimeter, Surroundings};
use crate::snapshot::{Interface, RouteTable, Snapshot};
use crate::{AddressFamily, Part};
use std::collections::HashMap;
use std::sync::Arc;

const UDP: u8 = 17;

/// Evaluates a snapshot, and adds where datagrams get in to which no reply gets out, or not to all who send them: openings that are
/// [`one_way`](Opening::one_way). What is open for conversations is told as by [`evaluate`].
#[must_use]
pub fn evaluate_one_way(snapshot: &Snapshot) -> Analysis {
    let mut analysis = evaluate(snapshot);
    let index = Index::of(snapshot);
    let mut memo = Memo::default();
    let engine = Engine { snapshot, index: &index, memo: &mut memo };
    let mut found = Vec::new();
    for (id, interface) in snapshot.interfaces.iter().filter(|(_, interface)| interface.instance.is_some()) {
        engine.one_way(id, interface, &mut found);
    }
    let key = |open: &Opening| (Arc::clone(&open.interface), Arc::clone(&open.via), open.class, open.address, open.protocol, open.ports);
    // Parts and all: a range may be wider for some of those who send.
    let conversations = analysis.clone().in_parts(snapshot).openings;
    let known: HashMap<_, &Opening> = conversations.iter().map(|open| (key(open), open)).collect();
    found.retain(|open| known.get(&key(open)).is_none_or(|known| known.sources != open.sources || known.parts != open.parts));
    analysis.openings.extend(found);
    analysis.openings.sort_by(order);
    analysis
}

impl Engine<'_> {
    fn one_way(&self, id: &str, interface: &Interface, found: &mut Vec<Opening>) {
        let Some(subnet) = self.snapshot.subnets.get(&interface.subnet) else { return };
        let acl = subnet.acl.as_ref().and_then(|acl| self.snapshot.acls.get(acl));
        let names = Names::of(id, interface, subnet);
        // No route is asked.
        let table = RouteTable::default();
        for address in &interface.addresses {
            let (private, family) = (address.private, AddressFamily::of(address.private));
            let around =
                Surroundings { snapshot: self.snapshot, subnet, subnet_id: &interface.subnet, table: &table, acl, family, private };
            let perimeter = Perimeter::one_way(&around);
            let entrance = self.entrance(subnet, private, address.public.is_some());
            let by_door = self.by_door(&interface.groups, subnet, private, &perimeter, &entrance);
            for (door, grants) in by_door.iter().enumerate().filter(|(_, grants)| !grants.is_empty()) {
                let Some(gateway) = perimeter.gateways.get(door / PROTOCOLS.len()).map(|gateway| entrance.over(gateway)) else { continue };
                let via: Arc<str> = Arc::from(gateway.id.as_str());
                let first = self.way_in(gateway.class, &via, subnet);
                for range in openings(grants) {
                    let of: Vec<_> = grants.iter().collect();
                    let parts: Vec<Part> = parts(range.ports, &of);
                    found.push(Opening {
                        class: gateway.class,
                        via: Arc::clone(&via),
                        interface: Arc::clone(&names.interface),
                        instance: names.instance.clone(),
                        address: private,
                        protocol: UDP,
                        ports: range.ports,
                        sources: Arc::clone(&range.sources),
                        parts: if parts.len() > 1 { parts.into() } else { Arc::default() },
                        partial_ephemeral: false,
                        one_way: true,
                        path: self.path(&first, &names, interface, &range),
                        witness: (family.address(range.source), range.ports.0),
                    });
                }
            }
        }
    }
}
