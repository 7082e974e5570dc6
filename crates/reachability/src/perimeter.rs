//! What surrounds an interface, whoever it is: for each stretch of source addresses the gateway that replies leave by, and the
//! ports that the network ACL lets in.
//!
//! It depends on the subnet's route table and ACL alone, so that thousands of interfaces share one. Stretches are as long as
//! nothing changes: they are cut where a block of a rule, a route or a gateway begins or ends.

use crate::address::{AddressFamily, Cidr, internet, number};
use crate::ranges::RangeSet;
use crate::snapshot::{AclEntry, Block, NetworkAcl, Route, RouteTable, Snapshot, Subnet, Target, TransitAttachment};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The ports that clients send from, over all systems (Linux, Windows, load balancers, NAT).
pub(crate) const EPHEMERAL: (u16, u16) = (1024, 65_535);

/// TCP's and UDP's numbers: what is reported.
pub(crate) const PROTOCOLS: [u8; 2] = [6, 17];

/// From where something comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceClass {
    /// The internet, over an internet gateway.
    Internet,
    /// A peered VPC.
    Peer,
    /// A virtual private gateway: VPN or Direct Connect.
    Vpn,
    /// A transit gateway.
    Transit,
    /// The internet, over a load balancer.
    LoadBalancer,
    /// The internet, over an appliance that a route of the gateway leads to: a firewall, which may let it pass or not.
    Appliance,
}

/// A way in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Gateway {
    pub(crate) class: SourceClass,
    pub(crate) id: String,
}

/// A stretch of source addresses that all fare alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) first: u128,
    pub(crate) last: u128,
    /// Its place among the perimeter's gateways.
    pub(crate) gateway: usize,
    /// What the ACL lets in, by [`PROTOCOLS`].
    pub(crate) ports: [RangeSet<u16>; 2],
    /// The ports that clients use to which replies get out.
    pub(crate) replies: [RangeSet<u16>; 2],
    /// Whether replies to some of those ports are dropped.
    pub(crate) partial: [bool; 2],
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Perimeter {
    pub(crate) gateways: Vec<Gateway>,
    /// Sorted, apart from each other; of one way those of several gateways lie on each other.
    pub(crate) stretches: Vec<Stretch>,
    /// Whether no way back was asked for.
    pub(crate) one_way: bool,
}

/// What a perimeter is made of.
pub(crate) struct Surroundings<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) subnet: &'a Subnet,
    pub(crate) subnet_id: &'a str,
    pub(crate) table: &'a RouteTable,
    pub(crate) acl: Option<&'a NetworkAcl>,
    pub(crate) family: AddressFamily,
    /// The address that packets are for: transit gateways route by it.
    pub(crate) private: IpAddr,
}

/// A route's block, and where it stands among those of one length.
struct Entry<'a> {
    block: Cidr,
    rank: u8,
    route: Option<&'a Route>,
}

impl Perimeter {
    pub(crate) fn of(around: &Surroundings<'_>) -> Self {
        let entries = entries(around);
        let (cuts, end) = cuts(around, &entries);
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut gateways: Vec<Gateway> = Vec::new();
        let sorted = around.acl.map(Rules::of);
        for (at, first) in cuts.iter().enumerate() {
            let last = cuts.get(at + 1).map_or(end, |next| next - 1);
            let Some(gateway) = gateway(around, &entries, *first) else { continue };
            let mut ports: [RangeSet<u16>; 2] = Default::default();
            let mut replies: [RangeSet<u16>; 2] = Default::default();
            for (place, protocol) in PROTOCOLS.into_iter().enumerate() {
                let (inward, outward) = match &sorted {
                    Some(rules) => {
                        (rules.ports(false, protocol, around.family, *first), rules.ports(true, protocol, around.family, *first))
                    }
                    None => (RangeSet::all(), RangeSet::all()),
                };
                replies[place] = outward.intersection(&RangeSet::range(EPHEMERAL.0, EPHEMERAL.1));
                if !replies[place].is_empty() {
                    ports[place] = inward;
                }
            }
            if ports.iter().all(RangeSet::is_empty) {
                continue;
            }
            let gateway = gateways.iter().position(|known| *known == gateway).unwrap_or_else(|| {
                gateways.push(gateway);
                gateways.len() - 1
            });
            match stretches.last_mut() {
                Some(before)
                    if before.last + 1 == *first && before.gateway == gateway && before.ports == ports && before.replies == replies =>
                {
                    before.last = last;
                }
                _ => stretches.push({
                    let partial = [0, 1].map(|place: usize| replies[place].ranges() != [EPHEMERAL]);
                    Stretch { first: *first, last, gateway, ports, replies, partial }
                }),
            }
        }
        Self { gateways, stretches, one_way: false }
    }

    /// What gets in if nobody asks for replies: of UDP alone, by every gateway that brings it.
    pub(crate) fn one_way(around: &Surroundings<'_>) -> Self {
        let (cuts, end) = cuts(around, &[]);
        let mut perimeter = Self { one_way: true, ..Self::default() };
        let sorted = around.acl.map(Rules::of);
        for (at, first) in cuts.iter().enumerate() {
            let last = cuts.get(at + 1).map_or(end, |next| next - 1);
            let inward = sorted.as_ref().map_or_else(RangeSet::all, |rules| rules.ports(false, PROTOCOLS[1], around.family, *first));
            if inward.is_empty() {
                continue;
            }
            for gateway in bringing(around, *first) {
                let known = perimeter.gateways.iter().position(|known| *known == gateway);
                let gateway = known.unwrap_or_else(|| {
                    perimeter.gateways.push(gateway);
                    perimeter.gateways.len() - 1
                });
                let ports = [RangeSet::default(), inward.clone()];
                perimeter.stretches.push(Stretch { first: *first, last, gateway, ports, replies: Default::default(), partial: [false; 2] });
            }
        }
        perimeter
    }

    /// The stretches that overlap a range of addresses.
    pub(crate) fn overlapping(&self, first: u128, last: u128) -> impl Iterator<Item = &Stretch> {
        let at = self.stretches.partition_point(|stretch| stretch.last < first);
        self.stretches[at..].iter().take_while(move |stretch| stretch.first <= last)
    }
}

/// Where stretches may begin, and the last address of the family.
fn cuts(around: &Surroundings<'_>, entries: &[Entry<'_>]) -> (Vec<u128>, u128) {
    let mut cuts: BTreeSet<u128> = BTreeSet::new();
    let mut cut = |block: Cidr| {
        if block.family == around.family {
            let (first, last) = block.bounds();
            cuts.insert(first);
            cuts.extend(last.checked_add(1));
        }
    };
    entries.iter().for_each(|entry| cut(entry.block));
    around.acl.iter().flat_map(|acl| &acl.entries).for_each(|entry| cut(entry.cidr));
    around.snapshot.vpcs.values().flat_map(|vpc| &vpc.cidrs).for_each(|block| cut(*block));
    around.snapshot.peerings.values().flat_map(|peering| peering.cidrs.0.iter().chain(&peering.cidrs.1)).for_each(|block| cut(*block));
    around.snapshot.transit_tables.values().flatten().for_each(|route| cut(route.destination));
    for (first, last) in internet(around.family).ranges() {
        cuts.insert(*first);
        cuts.extend(last.checked_add(1));
    }
    let end = around.family.all().ranges().last().map_or(0, |(_, last)| *last);
    cuts.insert(0);
    let cuts: Vec<u128> = cuts.into_iter().filter(|cut| *cut <= end).collect();
    (cuts, end)
}

/// The routes of a table and the local ones that every table has.
fn entries<'a>(around: &Surroundings<'a>) -> Vec<Entry<'a>> {
    let mut entries = Vec::new();
    for route in &around.table.routes {
        let (blocks, rank): (Vec<Cidr>, u8) = match &route.destination {
            Block::Cidr(block) => (vec![*block], if route.propagated { PROPAGATED } else { STATIC }),
            Block::PrefixList(id) => (around.snapshot.prefix_lists.get(id).cloned().unwrap_or_default(), OF_LIST),
        };
        let of_family = blocks.into_iter().filter(|block| block.family == around.family);
        entries.extend(of_family.map(|block| Entry { block, rank, route: Some(route) }));
    }
    let own = around.snapshot.vpcs.get(&around.subnet.vpc).map(|vpc| vpc.cidrs.as_slice()).unwrap_or_default();
    for block in own.iter().filter(|block| block.family == around.family) {
        // A route of its own for all of the block takes the place of the local one.
        if !entries.iter().any(|entry| entry.block == *block && entry.rank == STATIC) {
            entries.push(Entry { block: *block, rank: STATIC, route: None });
        }
    }
    entries
}

/// Where routes stand among those of one length.
const STATIC: u8 = 2;
const OF_LIST: u8 = 1;
const PROPAGATED: u8 = 0;

/// The gateway by which packets from an address come in and replies to it leave; none if they do not.
fn gateway(around: &Surroundings<'_>, entries: &[Entry<'_>], source: u128) -> Option<Gateway> {
    let inside = |block: &Cidr| {
        let (first, last) = block.bounds();
        block.family == around.family && (first..=last).contains(&source)
    };
    let snapshot = around.snapshot;
    let own_vpc = &around.subnet.vpc;
    let own = snapshot.vpcs.get(own_vpc).is_some_and(|vpc| vpc.cidrs.iter().any(inside));
    // The local route wins over what is propagated, however specific that is.
    let counts = |entry: &&Entry<'_>| inside(&entry.block) && !(own && entry.rank == PROPAGATED);
    let best = entries.iter().filter(counts).max_by_key(|entry| (entry.block.prefix(), entry.rank))?;
    let route = best.route.filter(|route| route.active)?;
    let is_public = || {
        let blocked = snapshot.blocked_from_internet.iter().any(|blocked| blocked == own_vpc || blocked == around.subnet_id);
        !blocked && !own && internet(around.family).contains(source)
    };
    match &route.target {
        Target::InternetGateway(id) => {
            let attached = snapshot.internet_gateways.get(id)?.vpc.as_ref() == Some(own_vpc);
            (attached && is_public()).then(|| Gateway { class: SourceClass::Internet, id: id.clone() })
        }
        // What a gateway's packets go through first may send the replies back too.
        Target::Other(id) if is_appliance(snapshot, own_vpc, id) => {
            is_public().then(|| Gateway { class: SourceClass::Appliance, id: id.clone() })
        }
        Target::Peering(id) => {
            let peering = snapshot.peerings.get(id).filter(|peering| peering.active)?;
            let (other, said) = if peering.vpcs.0 == *own_vpc {
                (&peering.vpcs.1, &peering.cidrs.1)
            } else if peering.vpcs.1 == *own_vpc {
                (&peering.vpcs.0, &peering.cidrs.0)
            } else {
                return None;
            };
            let theirs = snapshot.vpcs.get(other).map_or(said, |vpc| &vpc.cidrs);
            theirs.iter().any(inside).then(|| Gateway { class: SourceClass::Peer, id: id.clone() })
        }
        Target::VpnGateway(id) => {
            (snapshot.vpn_gateways.get(id)?.as_ref() == Some(own_vpc)).then(|| Gateway { class: SourceClass::Vpn, id: id.clone() })
        }
        Target::TransitGateway(id) => {
            transits(snapshot, id, own_vpc, source, around.private).map(|_| Gateway { class: SourceClass::Transit, id: id.clone() })
        }
        Target::Local | Target::Other(_) => None,
    }
}

/// The gateways that bring packets from an address into the VPC, wherever replies go.
fn bringing(around: &Surroundings<'_>, source: u128) -> Vec<Gateway> {
    let (snapshot, own_vpc) = (around.snapshot, around.subnet.vpc.as_str());
    let inside = |block: &Cidr| block.family == around.family && (block.bounds().0..=block.bounds().1).contains(&source);
    let own = snapshot.vpcs.get(own_vpc).is_some_and(|vpc| vpc.cidrs.iter().any(inside));
    let gateway = |class: SourceClass, id: &String| Gateway { class, id: id.clone() };
    let mut found = Vec::new();
    let blocked = snapshot.blocked_from_internet.iter().any(|blocked| blocked == own_vpc || blocked == around.subnet_id);
    if !blocked && !own && internet(around.family).contains(source) {
        let attached = snapshot.internet_gateways.iter().filter(|(_, gateway)| gateway.vpc.as_deref() == Some(own_vpc));
        found.extend(attached.map(|(id, _)| gateway(SourceClass::Internet, id)));
    }
    for (id, peering) in snapshot.peerings.iter().filter(|(_, peering)| peering.active) {
        let (other, said) = match (&peering.vpcs, &peering.cidrs) {
            ((one, other), (_, said)) if one == own_vpc => (other, said),
            ((other, one), (said, _)) if one == own_vpc => (other, said),
            _ => continue,
        };
        if snapshot.vpcs.get(other).map_or(said, |vpc| &vpc.cidrs).iter().any(inside) {
            found.push(gateway(SourceClass::Peer, id));
        }
    }
    let attached = snapshot.vpn_gateways.iter().filter(|(_, vpc)| vpc.as_deref() == Some(own_vpc));
    found.extend(attached.map(|(id, _)| gateway(SourceClass::Vpn, id)));
    let mut transit: BTreeSet<&String> = BTreeSet::new();
    for from in snapshot.transit_attachments.values() {
        // From any address: a VPC that inspects what others send hands on theirs.
        if forwards(snapshot, from, own_vpc, around.private).is_some() {
            transit.insert(&from.gateway);
        }
    }
    found.extend(transit.into_iter().map(|id| gateway(SourceClass::Transit, id)));
    found
}

/// The VPC's own attachment that a transit gateway takes packets for a private address to that come by another attachment.
pub(crate) fn forwards<'a>(snapshot: &'a Snapshot, from: &TransitAttachment, vpc: &str, private: IpAddr) -> Option<&'a TransitAttachment> {
    let routes = snapshot.transit_tables.get(from.table.as_deref()?)?;
    let best = routes.iter().filter(|route| route.destination.contains(private)).max_by_key(|route| route.destination.prefix())?;
    let to = snapshot.transit_attachments.get(best.attachment.as_deref()?)?;
    (to != from && to.gateway == from.gateway && to.vpc.as_deref() == Some(vpc)).then_some(to)
}

/// The edge tables of a VPC: those that packets from its internet gateway are routed by.
pub(crate) fn edge_tables<'a>(snapshot: &'a Snapshot, vpc: &str) -> impl Iterator<Item = &'a RouteTable> {
    let gateways = snapshot.internet_gateways.values().filter(move |gateway| gateway.vpc.as_deref() == Some(vpc));
    gateways.filter_map(|gateway| snapshot.route_tables.get(gateway.edge_table.as_ref()?))
}

fn is_appliance(snapshot: &Snapshot, vpc: &str, id: &str) -> bool {
    edge_tables(snapshot, vpc).flat_map(|table| &table.routes).any(|route| route.active && route.target.id() == id)
}

/// The attachment that a transit gateway takes packets from an address to a private one in a VPC from, and the replies back to; the VPC's
/// own comes first.
pub(crate) fn transits<'a>(
    snapshot: &'a Snapshot,
    gateway: &str,
    vpc: &str,
    source: u128,
    private: IpAddr,
) -> Option<[&'a TransitAttachment; 2]> {
    let family = AddressFamily::of(private);
    let attachments = || snapshot.transit_attachments.iter().filter(|(_, attachment)| attachment.gateway == gateway);
    let lookup = |table: &str, family: AddressFamily, address: u128| {
        let routes = snapshot.transit_tables.get(table)?.iter();
        let matching = routes.filter(|route| {
            let (first, last) = route.destination.bounds();
            route.destination.family == family && (first..=last).contains(&address)
        });
        matching.max_by_key(|route| route.destination.prefix())?.attachment.as_deref()
    };
    attachments().filter(|(_, attachment)| attachment.vpc.as_deref() == Some(vpc)).find_map(|(own, attachment)| {
        let origin = lookup(attachment.table.as_deref()?, family, source).filter(|origin| origin != own)?;
        let from = snapshot.transit_attachments.get(origin)?;
        (lookup(from.table.as_deref()?, family, number(private)) == Some(own)).then_some([attachment, from])
    })
}

/// An ACL's entries in the order in which they are asked.
pub(crate) struct Rules<'a>(Vec<&'a AclEntry>);

impl<'a> Rules<'a> {
    pub(crate) fn of(acl: &'a NetworkAcl) -> Self {
        let mut entries: Vec<&AclEntry> = acl.entries.iter().collect();
        entries.sort_by_key(|entry| entry.number);
        Self(entries)
    }

    /// The destination ports that are admitted from (or to) an address.
    pub(crate) fn ports(&self, egress: bool, protocol: u8, family: AddressFamily, address: u128) -> RangeSet<u16> {
        let mut undecided = RangeSet::all();
        let mut admitted = RangeSet::default();
        for entry in &self.0 {
            let (first, last) = entry.cidr.bounds();
            let speaks = entry.egress == egress
                && entry.cidr.family == family
                && (first..=last).contains(&address)
                && entry.protocol.is_none_or(|number| number == protocol);
            if !speaks {
                continue;
            }
            let ports = if entry.protocol.is_none() { RangeSet::all() } else { RangeSet::range(entry.ports.0, entry.ports.1) };
            if entry.allow {
                admitted = admitted.union(&undecided.intersection(&ports));
            }
            undecided = undecided.difference(&ports);
            if undecided.is_empty() {
                break;
            }
        }
        admitted
    }
}
