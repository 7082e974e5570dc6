//! Two ways to speak of the same analysis: in the words and within the limits of Inspector, and in full.

use crate::address::AddressFamily;
use crate::balance::passes_only;
use crate::evaluate::{Analysis, Opening};
use crate::perimeter::SourceClass;
use crate::ranges::RangeSet;
use crate::severity::OpeningSeverity;
use crate::snapshot::{BalancerKind, Snapshot};
use std::collections::BTreeSet;

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Exactly Inspector's findings: IPv4, from the internet (also over application and classic load balancers), from peers and
    /// VPN, one for each range of an interface, severities without regard to how many may come.
    Compatible,
    /// Also network load balancers, transit gateways, appliances, IPv6, each address; less severe where few may come, or no reply
    /// gets out.
    #[default]
    Full,
}

/// Up to so many addresses of IPv4, and of IPv6 one subnet, are few.
const FEW: (u128, u128) = (1 << 8, 1 << 64);

impl Mode {
    /// The analysis as far as the mode tells of it.
    #[must_use]
    pub fn of(self, snapshot: &Snapshot, mut analysis: Analysis) -> Analysis {
        if self == Self::Full {
            return analysis.in_parts(snapshot);
        }
        let mut told = BTreeSet::new();
        let mut is_first = |open: &Opening| {
            told.insert((open.interface.clone(), open.instance.clone(), open.class, open.via.clone(), open.protocol, open.ports))
        };
        analysis.openings.retain(|open| is_inspectors(snapshot, open) && is_first(open));
        analysis
    }

    /// How bad an opening is.
    #[must_use]
    pub fn severity(self, opening: &Opening) -> OpeningSeverity {
        if self == Self::Compatible {
            return opening.severity();
        }
        let of = |ports: (u16, u16), sources: &RangeSet<u128>| {
            let severity = opening.class.severity(opening.protocol, ports);
            if opening.one_way || are_few(opening.family(), sources) { less(severity) } else { severity }
        };
        let parts = opening.parts.iter().map(|part| of(part.ports, &part.sources));
        parts.max().unwrap_or_else(|| of(opening.ports, &opening.sources))
    }
}

const fn less(severity: OpeningSeverity) -> OpeningSeverity {
    match severity {
        OpeningSeverity::High => OpeningSeverity::Medium,
        OpeningSeverity::Medium => OpeningSeverity::Low,
        OpeningSeverity::Low | OpeningSeverity::Informational => OpeningSeverity::Informational,
    }
}

fn are_few(family: AddressFamily, sources: &RangeSet<u128>) -> bool {
    let count = sources.ranges().iter().fold(0_u128, |count, (first, last)| count.saturating_add((last - first).saturating_add(1)));
    count <= if family == AddressFamily::V4 { FEW.0 } else { FEW.1 }
}

/// Whether Inspector looks at what an opening comes by.
fn is_inspectors(snapshot: &Snapshot, opening: &Opening) -> bool {
    let class = matches!(opening.class, SourceClass::Internet | SourceClass::Peer | SourceClass::Vpn | SourceClass::LoadBalancer);
    let known = passes_only(snapshot, opening, &[BalancerKind::Application, BalancerKind::Classic]);
    class && known && !opening.one_way && opening.address.is_ipv4() && opening.family() == AddressFamily::V4
}
