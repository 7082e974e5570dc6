//! Two ways to speak of the same analysis: in the words and within the limits of Inspector, and in full.

use crate::address::AddressFamily;
use crate::evaluate::{Analysis, Opening};
use crate::perimeter::SourceClass;
use crate::severity::OpeningSeverity;
use crate::snapshot::{BalancerKind, Snapshot};
use std::collections::BTreeSet;

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Exactly Inspector's findings: IPv4, from the internet (also over application and classic load balancers), from peers and
    /// VPN, one for each range of an interface, severities without regard to how many may come.
    Compatible,
    /// Also network load balancers, transit gateways, appliances, IPv6, each address; less severe where few may come.
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
            return analysis;
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
        let severity = opening.severity();
        if self == Self::Compatible || !is_to_few(opening) {
            return severity;
        }
        match severity {
            OpeningSeverity::High => OpeningSeverity::Medium,
            OpeningSeverity::Medium => OpeningSeverity::Low,
            OpeningSeverity::Low | OpeningSeverity::Informational => OpeningSeverity::Informational,
        }
    }
}

fn is_to_few(opening: &Opening) -> bool {
    let ranges = opening.sources.ranges().iter();
    let count = ranges.fold(0_u128, |count, (first, last)| count.saturating_add((last - first).saturating_add(1)));
    count <= if opening.family() == AddressFamily::V4 { FEW.0 } else { FEW.1 }
}

/// Whether Inspector looks at what an opening comes by.
fn is_inspectors(snapshot: &Snapshot, opening: &Opening) -> bool {
    let class = matches!(opening.class, SourceClass::Internet | SourceClass::Peer | SourceClass::Vpn | SourceClass::LoadBalancer);
    let balancers = opening.path.iter().filter_map(|step| snapshot.load_balancers.get(&*step.component_id));
    let mut others = balancers.filter(|balancer| matches!(balancer.kind, BalancerKind::Network | BalancerKind::Gateway));
    class && opening.address.is_ipv4() && opening.family() == AddressFamily::V4 && others.next().is_none()
}
