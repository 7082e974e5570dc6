//! What a change opens and closes.

use crate::evaluate::{Opening, evaluate};
use crate::ranges::RangeSet;
use crate::snapshot::Snapshot;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The difference between two networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Openings that are new, or open to more addresses than before.
    pub opened: Vec<Opening>,
    /// Openings that are gone, or open to fewer.
    pub closed: Vec<Opening>,
}

/// What a hypothetical change to a network would open and close.
#[must_use]
pub fn what_if(snapshot: &Snapshot, change: impl FnOnce(&mut Snapshot)) -> Difference {
    let mut changed = snapshot.clone();
    change(&mut changed);
    compare(&evaluate(snapshot).openings, &evaluate(&changed).openings)
}

/// The difference between what was open and what is.
#[must_use]
pub fn compare(before: &[Opening], after: &[Opening]) -> Difference {
    Difference { opened: beyond(after, before), closed: beyond(before, after) }
}

/// An address of an interface, a way to it and a protocol, and whether replies are out of the question.
type Door<'a> = (&'a str, &'a str, IpAddr, u8, bool);

fn door(opening: &Opening) -> Door<'_> {
    (&opening.interface, &opening.via, opening.address, opening.protocol, opening.one_way)
}

/// Of the openings in `these` what is not in `those`.
fn beyond(these: &[Opening], those: &[Opening]) -> Vec<Opening> {
    let mut known: BTreeMap<Door<'_>, Vec<&Opening>> = BTreeMap::new();
    for opening in those {
        known.entry(door(opening)).or_default().push(opening);
    }
    let mut out = Vec::new();
    for opening in these {
        let same = known.get(&door(opening)).map(Vec::as_slice).unwrap_or_default();
        let ports = RangeSet::of(same.iter().map(|other| other.ports));
        let new_ports = RangeSet::range(opening.ports.0, opening.ports.1).difference(&ports);
        out.extend(new_ports.ranges().iter().map(|ports| Opening {
            ports: *ports,
            witness: (opening.witness.0, ports.0),
            ..opening.clone()
        }));
        // Ports that were open, to others.
        for other in same {
            let ports = (opening.ports.0.max(other.ports.0), opening.ports.1.min(other.ports.1));
            let sources = opening.sources.difference(&other.sources);
            if let (true, Some(first)) = (ports.0 <= ports.1, sources.first()) {
                let witness = (opening.family().address(first), ports.0);
                out.push(Opening { ports, sources: std::sync::Arc::new(sources), witness, ..opening.clone() });
            }
        }
    }
    out
}
