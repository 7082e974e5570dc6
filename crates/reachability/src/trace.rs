//! One packet, hop by hop, and its reply: where it gets to, or the first rule that stops it.
//!
//! It shares nothing with [`evaluate`](crate::evaluate) but the snapshot: no sets, nothing kept from one packet to the next. So
//! each is the other's test, and every witness can be replayed.

use crate::address::Cidr;
use crate::snapshot::{
    Address, BalancerKind, BalancerTarget, Block, GroupRule, Interface, LoadBalancer, Peering, Route, RulePeer, Snapshot, Subnet, Target,
    TargetGroup,
};
use std::net::IpAddr;

/// A packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Where it comes from: a private address inside, any address outside.
    pub source: IpAddr,
    /// The port that it comes from.
    pub source_port: u16,
    /// Where it goes to: a private address inside, a public one, any address outside.
    pub destination: IpAddr,
    /// The port that it goes to.
    pub port: u16,
    /// Its protocol's number; protocols but 6 and 17 have no ports.
    pub protocol: u8,
}

/// Why a packet gets no further.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Blocked {
    /// What it is called by VPC Reachability Analyzer, or in the same manner: `ENI_SG_RULES_MISMATCH`.
    pub code: &'static str,
    /// The component that stops it.
    pub component: String,
    /// In one clause.
    pub why: String,
}

/// How far a packet and its reply get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journey {
    /// What stops the packet; none if it arrives.
    pub blocked: Option<Blocked>,
    /// What stops the reply; none if it arrives, or was never sent.
    pub reply_blocked: Option<Blocked>,
    /// The components that it passes, in order.
    pub hops: Vec<String>,
    /// An appliance on its way, which may let it pass or not: it is taken to.
    pub appliance: Option<String>,
}

impl Journey {
    /// Whether the packet arrives.
    #[must_use]
    pub const fn arrives(&self) -> bool {
        self.blocked.is_none()
    }

    /// Whether the packet arrives and the reply does.
    #[must_use]
    pub const fn converses(&self) -> bool {
        self.blocked.is_none() && self.reply_blocked.is_none()
    }
}

/// Follows a packet.
#[must_use]
pub fn trace(snapshot: &Snapshot, packet: &Packet) -> Journey {
    let walk = Walk { snapshot, packet };
    let mut journey = Journey::default();
    let result = match (walk.inside(packet.source), walk.destination()) {
        (Some(from), Some(to)) => walk.lateral(&from, &to, &mut journey),
        (None, Some(to)) => walk.inbound(&to, &mut journey),
        (Some(from), None) => walk.outbound(&from, &mut journey),
        (None, None) => Err(blocked("UNKNOWN_ENDPOINTS", "", "neither end is an interface of the snapshot")),
    };
    journey.blocked = result.err();
    journey
}

/// Follows a packet that has come as far as the edge of the destination's VPC: whoever sent it, and however it got there.
#[must_use]
pub fn arrive(snapshot: &Snapshot, packet: &Packet) -> Journey {
    let walk = Walk { snapshot, packet };
    let mut journey = Journey::default();
    let result = match walk.destination() {
        Some(to) => walk.inbound(&to, &mut journey),
        None => Err(blocked("UNKNOWN_ENDPOINTS", "", "the destination is no interface of the snapshot")),
    };
    journey.blocked = result.err();
    journey
}

/// Follows a packet that a gateway of the destination's VPC brings, whether or not replies leave by it. The reply is not followed.
#[must_use]
pub fn arrive_one_way(snapshot: &Snapshot, packet: &Packet, gateway: &Target) -> Journey {
    let walk = Walk { snapshot, packet };
    let mut journey = Journey::default();
    let result = match walk.destination() {
        Some(to) => walk.brought(gateway, &to, &mut journey),
        None => Err(blocked("UNKNOWN_ENDPOINTS", "", "the destination is no interface of the snapshot")),
    };
    journey.blocked = result.err();
    journey
}

/// Follows a packet that a client sends to a load balancer, and what that sends on to the packet's destination and port, from a port of
/// its own unless the client's is kept: by each node, until one way is open. Else the answer is of the way that gets furthest.
#[must_use]
pub fn arrive_over(snapshot: &Snapshot, balancer: &str, packet: &Packet, node_port: u16) -> Journey {
    let walk = Walk { snapshot, packet };
    let Some((id, entered)) = snapshot.load_balancers.get_key_value(balancer) else {
        let blocked = blocked("UNKNOWN_ENDPOINTS", balancer, "it is no load balancer of the snapshot");
        return Journey { blocked: Some(blocked), ..Journey::default() };
    };
    if entered.kind == BalancerKind::Gateway {
        let blocked =
            blocked("GWLB_NOT_A_DESTINATION", id, "packets come to a gateway load balancer by its endpoints alone, on their way elsewhere");
        return Journey { blocked: Some(blocked), ..Journey::default() };
    }
    let mut furthest = Journey {
        blocked: Some(blocked("ELBV2_LISTENER_PORT_RESTRICTION", id, "none of its listeners leads to the destination and port")),
        ..Journey::default()
    };
    walk.over(id, entered, node_port, &mut |journey| {
        let is_better = journey.converses() || journey.hops.len() >= furthest.hops.len();
        if is_better && !furthest.converses() {
            furthest = journey;
        }
        furthest.converses()
    });
    furthest
}

fn blocked(code: &'static str, component: &str, why: impl Into<String>) -> Blocked {
    Blocked { code, component: component.to_owned(), why: why.into() }
}

/// Whether an address may be one on the internet (RFC 6890; of IPv6 global unicast).
fn is_on_internet(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !matches!(
            address.octets(),
            [0 | 10 | 127 | 224..=255, ..]
                | [100, 64..=127, ..]
                | [169, 254, ..]
                | [172, 16..=31, ..]
                | [192, 0, 0, _]
                | [192, 168, ..]
                | [198, 18 | 19, ..]
        ),
        IpAddr::V6(address) => address.segments()[0] >> 13 == 1,
    }
}

/// An interface and one of its addresses, where it lies.
#[derive(Clone)]
struct End<'a> {
    /// Whether it is one that clients on the internet are for.
    faces_internet: bool,
    id: &'a str,
    /// The groups that are asked; none asks nobody.
    groups: Option<&'a [String]>,
    address: Address,
    subnet_id: &'a str,
    subnet: &'a Subnet,
}

/// Over what a packet comes to the VPC that its rules are asked in: by it, a rule that names a group of another one counts or not.
#[derive(Clone, Copy)]
enum Brought<'a> {
    /// From the VPC itself, or a load balancer's node in one that is peered.
    Near,
    /// Over a gateway.
    Over(&'a Target),
}

/// Where a route leads.
enum Way<'a> {
    /// Within the VPC.
    Local,
    Over(&'a Target),
}

struct Walk<'a> {
    snapshot: &'a Snapshot,
    packet: &'a Packet,
}

impl<'a> Walk<'a> {
    fn inside(&self, address: IpAddr) -> Option<End<'a>> {
        self.find(|own| own.private == address)
    }

    fn find(&self, is_it: impl Fn(&Address) -> bool) -> Option<End<'a>> {
        self.snapshot.interfaces.iter().find_map(|(id, interface)| {
            let address = *interface.addresses.iter().find(|address| is_it(address))?;
            let (subnet_id, subnet) = self.snapshot.subnets.get_key_value(&interface.subnet)?;
            Some(End { faces_internet: true, id, groups: Some(&interface.groups), address, subnet_id, subnet })
        })
    }

    fn destination(&self) -> Option<End<'a>> {
        let to = self.packet.destination;
        self.inside(to).or_else(|| self.find(|own| own.public == Some(to)))
    }

    /// The route of a subnet for an address.
    fn route(&self, end: &End<'a>, to: IpAddr) -> Result<Way<'a>, Blocked> {
        let own = |block: &Cidr| block.contains(to);
        let local = || {
            self.snapshot
                .vpcs
                .get(&end.subnet.vpc)
                .and_then(|vpc| vpc.cidrs.iter().filter(|block| own(block)).map(|block| block.prefix()).max())
        };
        if self.snapshot.routes_unknown {
            if local().is_some() {
                return Ok(Way::Local);
            }
            // What the gateway suggests.
            return Err(blocked("ROUTES_UNKNOWN", end.subnet_id, "no route table is in the snapshot"));
        }
        let (id, table) = self
            .snapshot
            .route_table(end.subnet)
            .ok_or_else(|| blocked("NO_ROUTE_TABLE", end.subnet_id, "its route table is not in the snapshot"))?;
        let mut best: Option<(u8, u8, &Route)> = None;
        for route in &table.routes {
            let matches: Option<(u8, u8)> = match &route.destination {
                // What is propagated never takes packets out of the VPC that are for it.
                Block::Cidr(_) if route.propagated && local().is_some() => None,
                Block::Cidr(block) => own(block).then(|| (block.prefix(), if route.propagated { 0 } else { 2 })),
                Block::PrefixList(list) => {
                    let blocks = self.snapshot.prefix_lists.get(list).into_iter().flatten();
                    blocks.filter(|block| own(block)).map(|block| block.prefix()).max().map(|prefix| (prefix, 1))
                }
            };
            if let Some((prefix, rank)) = matches
                && best.is_none_or(|(length, order, _)| (prefix, rank) >= (length, order))
            {
                best = Some((prefix, rank, route));
            }
        }
        match (best, local()) {
            // Only a route of its own takes the place of the local one.
            (Some((prefix, rank, _)), Some(own)) if (own, 2) > (prefix, rank) => Ok(Way::Local),
            (None, Some(_)) => Ok(Way::Local),
            (Some((_, _, route)), _) if !route.active => {
                Err(blocked("BAD_STATE_ROUTE", id, format!("its route over {} is a black hole", route.target.id())))
            }
            (Some((_, _, route)), _) if route.target == Target::Local => Ok(Way::Local),
            (Some((_, _, route)), _) => Ok(Way::Over(&route.target)),
            (None, None) => Err(blocked("CANNOT_ROUTE", id, format!("it has no route to {to}"))),
        }
    }

    /// Asks a subnet's ACL.
    fn acl(&self, end: &End<'a>, egress: bool, other: IpAddr, port: u16) -> Result<(), Blocked> {
        let Some((id, acl)) = end.subnet.acl.as_ref().and_then(|id| self.snapshot.acls.get_key_value(id)) else { return Ok(()) };
        let matching = acl.entries.iter().filter(|entry| {
            let same_protocol = entry.protocol.is_none_or(|number| number == self.packet.protocol);
            let has_ports = entry.protocol.is_some() && matches!(self.packet.protocol, 6 | 17);
            entry.egress == egress
                && entry.cidr.contains(other)
                && same_protocol
                && (!has_ports || (entry.ports.0..=entry.ports.1).contains(&port))
        });
        let direction = if egress { "out" } else { "in" };
        match matching.min_by_key(|entry| entry.number) {
            Some(entry) if entry.allow => Ok(()),
            Some(entry) => Err(blocked("SUBNET_ACL_RESTRICTION", id, format!("its rule {} denies port {port} {direction}", entry.number))),
            None => Err(blocked("SUBNET_ACL_RESTRICTION", id, format!("no rule of its admits port {port} {direction}"))),
        }
    }

    /// Asks an interface's groups.
    fn groups(&self, end: &End<'a>, egress: bool, other: IpAddr, by: Brought<'_>) -> Result<(), Blocked> {
        let Some(groups) = end.groups else { return Ok(()) };
        let rules = groups.iter().filter_map(|group| self.snapshot.groups.get(group)).flat_map(|group| &group.rules);
        let admits = |rule: &GroupRule| rule.egress == egress && self.is_for_packet(rule) && self.is_peer(rule, end, other, by);
        let mut rules = rules;
        if rules.any(admits) {
            return Ok(());
        }
        let direction = if egress { "out to" } else { "in from" };
        let port = if matches!(self.packet.protocol, 6 | 17) {
            format!("port {}", self.packet.port)
        } else {
            format!("protocol {}", self.packet.protocol)
        };
        Err(blocked("ENI_SG_RULES_MISMATCH", &groups.join(", "), format!("no rule of its groups lets {port} {direction} {other}")))
    }

    fn is_for_packet(&self, rule: &GroupRule) -> bool {
        match rule.protocol {
            None => true,
            Some(number) if number != self.packet.protocol => false,
            Some(6 | 17) => (rule.ports.0..=rule.ports.1).contains(&self.packet.port),
            Some(_) => true,
        }
    }

    fn is_peer(&self, rule: &GroupRule, own: &End<'a>, other: IpAddr, by: Brought<'_>) -> bool {
        match &rule.peer {
            RulePeer::Block(Block::Cidr(block)) => block.contains(other),
            RulePeer::Block(Block::PrefixList(list)) => {
                self.snapshot.prefix_lists.get(list).into_iter().flatten().any(|block| block.contains(other))
            }
            RulePeer::Group(group) => {
                let vpc = &own.subnet.vpc;
                let member = |interface: &Interface| {
                    let Some(subnet) = self.snapshot.subnets.get(&interface.subnet) else { return false };
                    let counts = match by {
                        Brought::Near => subnet.vpc == *vpc || self.peering(&subnet.vpc, vpc),
                        Brought::Over(Target::Peering(id)) => self.joins(id, &subnet.vpc, vpc),
                        // Rules for what leaves name no groups over a transit gateway.
                        Brought::Over(Target::TransitGateway(id)) => {
                            !rule.egress && self.carries_groups(id, (&subnet.vpc, other), (vpc, own.address.private))
                        }
                        Brought::Over(_) => false,
                    };
                    counts && interface.groups.contains(group) && interface.addresses.iter().any(|address| address.private == other)
                };
                self.snapshot.interfaces.values().any(member)
            }
        }
    }

    fn peering(&self, a: &str, b: &str) -> bool {
        let joins = |vpcs: &(String, String)| (vpcs.0 == a && vpcs.1 == b) || (vpcs.0 == b && vpcs.1 == a);
        self.snapshot.peerings.values().any(|peering| peering.active && joins(&peering.vpcs))
    }

    /// Whether an active peering is of two VPCs.
    fn joins(&self, id: &str, a: &str, b: &str) -> bool {
        let Some(Peering { vpcs, active: true, .. }) = self.snapshot.peerings.get(id) else { return false };
        (vpcs.0 == a && vpcs.1 == b) || (vpcs.0 == b && vpcs.1 == a)
    }

    /// Whether a transit gateway lets rules in one VPC name groups of another: the gateway and both attachments are to say so, and the
    /// packet is to come by that other VPC's attachment.
    fn carries_groups(&self, gateway: &str, (from_vpc, from): (&str, IpAddr), (to_vpc, to): (&str, IpAddr)) -> bool {
        if self.snapshot.transit_gateways.get(gateway) != Some(&true) {
            return false;
        }
        let mut ways = self.transit_ways(gateway, to_vpc, from, to);
        ways.any(|(own, origin)| {
            let says = |id: &str| self.snapshot.transit_attachments.get(id).and_then(|attachment| attachment.group_references);
            let of = self.snapshot.transit_attachments.get(origin).and_then(|attachment| attachment.vpc.as_deref());
            of == Some(from_vpc) && says(own) == Some(true) && says(origin) == Some(true)
        })
    }

    /// From one interface to another.
    fn lateral(&self, from: &End<'a>, to: &End<'a>, journey: &mut Journey) -> Result<(), Blocked> {
        // To a public address it goes out and comes in again; the private one is the shorter way and what groups speak of.
        let (source, destination) = (from.address.private, to.address.private);
        journey.hops.push(from.id.to_owned());
        let over = if from.subnet.vpc == to.subnet.vpc { None } else { Some(self.way_out(from, destination)?) };
        self.groups(from, true, destination, over.as_ref().map_or(Brought::Near, Brought::Over))?;
        if from.subnet_id != to.subnet_id {
            self.leads(from, to)?;
            self.acl(from, true, destination, self.packet.port)?;
            self.acl(to, false, source, self.packet.port)?;
        }
        self.groups(to, false, source, over.as_ref().map_or(Brought::Near, Brought::Over))?;
        journey.hops.push(to.id.to_owned());
        if from.subnet_id != to.subnet_id {
            let reply = self
                .leads(to, from)
                .and_then(|()| self.acl(to, true, source, self.packet.source_port))
                .and_then(|()| self.acl(from, false, destination, self.packet.source_port));
            journey.reply_blocked = reply.err();
        }
        Ok(())
    }

    /// Whether a subnet's routes lead to another's.
    fn leads(&self, from: &End<'a>, to: &End<'a>) -> Result<(), Blocked> {
        let destination = to.address.private;
        let no_way = |component: &str| blocked("CANNOT_ROUTE", component, format!("it does not lead to {destination}"));
        match self.route(from, destination)? {
            Way::Local if from.subnet.vpc == to.subnet.vpc => Ok(()),
            Way::Local => Err(no_way(from.subnet_id)),
            Way::Over(Target::Peering(id)) => {
                let peering = self.snapshot.peerings.get(id).ok_or_else(|| no_way(id))?;
                let joins = |vpcs: &(String, String)| {
                    (vpcs.0 == from.subnet.vpc && vpcs.1 == to.subnet.vpc) || (vpcs.1 == from.subnet.vpc && vpcs.0 == to.subnet.vpc)
                };
                if peering.active && joins(&peering.vpcs) { Ok(()) } else { Err(no_way(id)) }
            }
            Way::Over(Target::TransitGateway(id)) => {
                if self.transits(id, &to.subnet.vpc, from.address.private, destination) {
                    Ok(())
                } else {
                    Err(no_way(id))
                }
            }
            Way::Over(target) => Err(no_way(target.id())),
        }
    }

    /// What an interface's packets to an address outside of its VPC leave by.
    fn way_out(&self, from: &End<'a>, to: IpAddr) -> Result<Target, Blocked> {
        if self.snapshot.routes_unknown {
            let mut gateways = self.snapshot.internet_gateways.iter();
            let attached = gateways.find(|(_, gateway)| gateway.vpc.as_ref() == Some(&from.subnet.vpc));
            return attached
                .map(|(id, _)| Target::InternetGateway(id.clone()))
                .ok_or_else(|| blocked("NO_INTERNET_GATEWAY", &from.subnet.vpc, "it has no internet gateway"));
        }
        match self.route(from, to)? {
            Way::Over(target) => Ok(target.clone()),
            Way::Local => Err(blocked("CANNOT_ROUTE", from.subnet_id, format!("{to} is an address of the VPC that nothing has"))),
        }
    }

    /// From outside to an interface.
    fn inbound(&self, to: &End<'a>, journey: &mut Journey) -> Result<(), Blocked> {
        let source = self.packet.source;
        let private = to.address.private;
        // It comes in where its reply leaves: any other way is asymmetric.
        let gateway = self.way_out(to, source)?;
        match &gateway {
            Target::InternetGateway(id) => journey.appliance = self.over_internet(id, to)?,
            // What packets of a gateway go through first may take the replies too.
            Target::Other(id) if self.diverted(to).is_some_and(|target| target.id() == id) => {
                let mut gateways = self.snapshot.internet_gateways.iter();
                let attached = gateways.find(|(_, gateway)| gateway.vpc.as_ref() == Some(&to.subnet.vpc));
                let (gateway, _) = attached.ok_or_else(|| blocked("IGW_NOT_ATTACHED", id, "the VPC has no internet gateway"))?;
                journey.appliance = self.over_internet(gateway, to)?;
            }
            Target::Peering(id) => {
                let peering = self.snapshot.peerings.get(id).ok_or_else(|| blocked("UNKNOWN_PEERING", id, "it is not in the snapshot"))?;
                if !peering.active {
                    return Err(blocked("PEERING_NOT_ACTIVE", id, "it is not active"));
                }
                let (other, said) =
                    if peering.vpcs.0 == to.subnet.vpc { (&peering.vpcs.1, &peering.cidrs.1) } else { (&peering.vpcs.0, &peering.cidrs.0) };
                let joins = peering.vpcs.0 == to.subnet.vpc || peering.vpcs.1 == to.subnet.vpc;
                let blocks = self.snapshot.vpcs.get(other).map_or(said, |vpc| &vpc.cidrs);
                if !joins || !blocks.iter().any(|block| block.contains(source)) {
                    return Err(blocked("CANNOT_ROUTE", id, format!("{source} is no address of the other side")));
                }
            }
            Target::VpnGateway(id) => {
                if self.snapshot.vpn_gateways.get(id).and_then(Option::as_ref) != Some(&to.subnet.vpc) {
                    return Err(blocked("VGW_NOT_ATTACHED", id, "it is not attached to the VPC"));
                }
            }
            Target::TransitGateway(id) => {
                if !self.transits(id, &to.subnet.vpc, source, private) {
                    return Err(blocked("TGW_ROUTE", id, format!("its tables do not lead from {source} to {private} and back")));
                }
            }
            Target::Local | Target::Other(_) => {
                return Err(blocked(
                    "CANNOT_ROUTE",
                    gateway.id(),
                    format!("replies to {source} leave over it, and nothing comes in by it"),
                ));
            }
        }
        journey.hops.push(gateway.id().to_owned());
        self.acl(to, false, source, self.packet.port)?;
        journey.hops.extend(to.subnet.acl.clone());
        self.groups_from_outside(to, source, Some(Brought::Over(&gateway)))?;
        journey.hops.extend(to.groups.and_then(<[String]>::first).cloned());
        journey.hops.push(to.id.to_owned());
        journey.reply_blocked = self.acl(to, true, source, self.packet.source_port).err();
        Ok(())
    }

    /// By a gateway to an interface, with no thought of a reply.
    fn brought(&self, gateway: &Target, to: &End<'a>, journey: &mut Journey) -> Result<(), Blocked> {
        let (source, own) = (self.packet.source, &to.subnet.vpc);
        let no_way = || blocked("CANNOT_ROUTE", gateway.id(), format!("it brings nothing from {source}"));
        let has = |vpc: &str| self.snapshot.vpcs.get(vpc).map(|vpc| vpc.cidrs.iter().any(|block| block.contains(source)));
        match gateway {
            Target::InternetGateway(id) => journey.appliance = self.over_internet(id, to)?,
            Target::Peering(id) => {
                let peering = self.snapshot.peerings.get(id).filter(|peering| peering.active).ok_or_else(no_way)?;
                let (other, said) =
                    if peering.vpcs.0 == *own { (&peering.vpcs.1, &peering.cidrs.1) } else { (&peering.vpcs.0, &peering.cidrs.0) };
                let theirs = has(other).unwrap_or_else(|| said.iter().any(|block| block.contains(source)));
                if !self.joins(id, own, other) || !theirs {
                    return Err(no_way());
                }
            }
            Target::VpnGateway(id) => {
                self.snapshot.vpn_gateways.get(id).filter(|vpc| vpc.as_ref() == Some(own)).ok_or_else(no_way)?;
            }
            Target::TransitGateway(id) => {
                self.transit_in(id, own, to.address.private).next().ok_or_else(no_way)?;
            }
            Target::Local | Target::Other(_) => return Err(no_way()),
        }
        journey.hops.push(gateway.id().to_owned());
        self.acl(to, false, source, self.packet.port)?;
        let groups = to.groups.unwrap_or_default();
        let mut rules = groups.iter().filter_map(|group| self.snapshot.groups.get(group)).flat_map(|group| &group.rules);
        let admits = |rule: &GroupRule| {
            !rule.egress
                && self.is_for_packet(rule)
                && match (&rule.peer, gateway) {
                    (RulePeer::Group(named), Target::TransitGateway(id)) => self.is_member_one_way(named, id, to),
                    _ => self.is_peer(rule, to, source, Brought::Over(gateway)),
                }
        };
        if !rules.any(admits) {
            return Err(blocked("ENI_SG_RULES_MISMATCH", &groups.join(", "), format!("no rule of its groups lets it in from {source}")));
        }
        journey.hops.push(to.id.to_owned());
        Ok(())
    }

    /// The attachments that a transit gateway takes packets for an address from, with their VPCs.
    fn transit_in<'w>(&'w self, gateway: &'w str, own: &'w str, to: IpAddr) -> impl Iterator<Item = (&'w str, Option<&'w str>)> {
        let all = self.snapshot.transit_attachments.iter().filter(move |(_, attachment)| attachment.gateway == gateway);
        let leads = move |id: &str, table: &str| {
            let mut best: Option<(u8, Option<&str>)> = None;
            for route in self.snapshot.transit_tables.get(table).into_iter().flatten().filter(|route| route.destination.contains(to)) {
                if best.is_none_or(|(prefix, _)| route.destination.prefix() >= prefix) {
                    best = Some((route.destination.prefix(), route.attachment.as_deref()));
                }
            }
            let end = best.and_then(|(_, over)| over).filter(|over| *over != id);
            end.and_then(|over| self.snapshot.transit_attachments.get(over))
                .is_some_and(|end| end.gateway == gateway && end.vpc.as_deref() == Some(own))
        };
        all.filter(move |(id, attachment)| attachment.table.as_deref().is_some_and(|table| leads(id, table)))
            .map(|(id, attachment)| (id.as_str(), attachment.vpc.as_deref()))
    }

    /// Whether who sends over a transit gateway is a member of a group whose VPC is attached to it, where rules may name such.
    fn is_member_one_way(&self, named: &str, gateway: &str, to: &End<'a>) -> bool {
        let says = |id: &str| self.snapshot.transit_attachments.get(id).and_then(|attachment| attachment.group_references) == Some(true);
        let own = self.snapshot.transit_attachments.iter().find(|(_, of)| of.gateway == gateway && of.vpc.as_ref() == Some(&to.subnet.vpc));
        let allowed = self.snapshot.transit_gateways.get(gateway) == Some(&true) && own.is_some_and(|(id, _)| says(id));
        let member = |interface: &Interface, vpc: &str| {
            let lies_in = self.snapshot.subnets.get(&interface.subnet).is_some_and(|subnet| subnet.vpc == vpc);
            lies_in
                && interface.groups.iter().any(|group| group == named)
                && interface.addresses.iter().any(|address| address.private == self.packet.source)
        };
        allowed
            && self.transit_in(gateway, &to.subnet.vpc, to.address.private).any(|(id, vpc)| {
                says(id) && vpc.is_some_and(|vpc| self.snapshot.interfaces.values().any(|interface| member(interface, vpc)))
            })
    }

    /// Groups name members of this VPC or of one that it is joined with: nobody who comes by another way is one.
    fn groups_from_outside(&self, to: &End<'a>, source: IpAddr, by: Option<Brought<'_>>) -> Result<(), Blocked> {
        let Some(groups) = to.groups else { return Ok(()) };
        let rules = groups.iter().filter_map(|group| self.snapshot.groups.get(group)).flat_map(|group| &group.rules);
        let mut speaking = rules.filter(|rule| !rule.egress && (by.is_some() || !matches!(rule.peer, RulePeer::Group(_))));
        if speaking.any(|rule| self.is_for_packet(rule) && self.is_peer(rule, to, source, by.unwrap_or(Brought::Near))) {
            return Ok(());
        }
        Err(blocked(
            "ENI_SG_RULES_MISMATCH",
            &groups.join(", "),
            format!("no rule of its groups lets port {} in from {source}", self.packet.port),
        ))
    }

    /// Whether an internet gateway joins an interface with an address outside; answers the appliance before the interface, if any.
    fn over_internet(&self, id: &str, end: &End<'a>) -> Result<Option<String>, Blocked> {
        let outside = if self.packet.source == end.address.private { self.packet.destination } else { self.packet.source };
        let attached =
            self.snapshot.internet_gateways.get(id).ok_or_else(|| blocked("UNKNOWN_GATEWAY", id, "it is not in the snapshot"))?;
        if attached.vpc.as_ref() != Some(&end.subnet.vpc) {
            return Err(blocked("IGW_NOT_ATTACHED", id, "it is not attached to the VPC"));
        }
        let blocked_here = |what: &String| *what == end.subnet.vpc || what == end.subnet_id;
        if self.snapshot.blocked_from_internet.iter().any(blocked_here) {
            return Err(blocked("VPC_BLOCK_PUBLIC_ACCESS_ENABLED", &end.subnet.vpc, "public access is blocked"));
        }
        if !end.faces_internet {
            return Err(blocked("ELB_INTERNAL", end.id, "its load balancer is internal"));
        }
        if end.address.private.is_ipv4() && end.address.public.is_none() {
            return Err(blocked("IGW_PUBLIC_IP_ASSOCIATION_FOR_INGRESS", end.id, "its address has no public one"));
        }
        if !is_on_internet(outside) || (end.address.private.is_ipv6() && !is_on_internet(end.address.private)) {
            return Err(blocked("NOT_ON_THE_INTERNET", id, format!("{outside} is no address of the internet")));
        }
        if self.snapshot.vpcs.get(&end.subnet.vpc).is_some_and(|vpc| vpc.cidrs.iter().any(|block| block.contains(outside))) {
            return Err(blocked("NOT_ON_THE_INTERNET", id, format!("{outside} is an address of the VPC")));
        }
        match self.diverted(end) {
            None | Some(Target::Local) => Ok(None),
            Some(target) => Ok(Some(target.id().to_owned())),
        }
    }

    /// Where an edge route takes what a gateway has for an interface: to an appliance, or nowhere.
    fn diverted(&self, end: &End<'a>) -> Option<&'a Target> {
        let gateways = self.snapshot.internet_gateways.values().filter(|gateway| gateway.vpc.as_ref() == Some(&end.subnet.vpc));
        for table in gateways.filter_map(|gateway| self.snapshot.route_tables.get(gateway.edge_table.as_ref()?)) {
            let mut best: Option<(u8, &Route)> = None;
            for route in &table.routes {
                if let Block::Cidr(block) = &route.destination
                    && block.contains(end.address.private)
                    && best.is_none_or(|(prefix, _)| block.prefix() >= prefix)
                {
                    best = Some((block.prefix(), route));
                }
            }
            if let Some((_, route)) = best.filter(|(_, route)| route.target != Target::Local) {
                return Some(&route.target);
            }
        }
        None
    }

    /// Whether a transit gateway leads from one address to another in a VPC, and back.
    fn transits(&self, gateway: &str, vpc: &str, from: IpAddr, to: IpAddr) -> bool {
        self.transit_ways(gateway, vpc, from, to).next().is_some()
    }

    /// The attachments that a packet takes through a transit gateway: the one that it leaves by, and the one that it comes by.
    fn transit_ways<'w>(&'w self, gateway: &'w str, vpc: &'w str, from: IpAddr, to: IpAddr) -> impl Iterator<Item = (&'w str, &'w str)> {
        let next = move |attachment: &str, address: IpAddr| -> Option<&'w str> {
            let table = self.snapshot.transit_attachments.get(attachment)?.table.as_ref()?;
            let mut best: Option<(u8, Option<&str>)> = None;
            for route in self.snapshot.transit_tables.get(table)? {
                if route.destination.contains(address) && best.is_none_or(|(prefix, _)| route.destination.prefix() >= prefix) {
                    best = Some((route.destination.prefix(), route.attachment.as_deref()));
                }
            }
            best?.1
        };
        let own = self
            .snapshot
            .transit_attachments
            .iter()
            .filter(move |(_, attachment)| attachment.gateway == gateway && attachment.vpc.as_deref() == Some(vpc));
        own.filter_map(move |(id, _)| {
            let own = id.as_str();
            next(own, from).filter(|origin| *origin != own && next(origin, to) == Some(own)).map(|origin| (own, origin))
        })
    }

    /// From an interface to the outside.
    fn outbound(&self, from: &End<'a>, journey: &mut Journey) -> Result<(), Blocked> {
        let to = self.packet.destination;
        journey.hops.push(from.id.to_owned());
        self.groups(from, true, to, Brought::Near)?;
        self.acl(from, true, to, self.packet.port)?;
        let gateway = self.way_out(from, to)?;
        if let Target::InternetGateway(id) = &gateway {
            journey.appliance = self.over_internet(id, from)?;
        }
        journey.hops.push(gateway.id().to_owned());
        journey.reply_blocked = self.acl(from, false, to, self.packet.source_port).err();
        Ok(())
    }
}

/// Over load balancers: what a client sends to a node, and what the node sends on.
impl<'a> Walk<'a> {
    /// Tries each way, until who is told of them has heard enough.
    fn over(&self, id: &str, balancer: &'a LoadBalancer, node_port: u16, told: &mut dyn FnMut(Journey) -> bool) {
        for listener in balancer.listeners.iter().filter(|listener| listener.protocols.contains(&self.packet.protocol)) {
            for node in self.nodes(balancer) {
                if !self.is_for_destination(id, &listener.target_groups, &node.subnet.vpc) {
                    break;
                }
                if node.address.private.is_ipv4() != self.packet.source.is_ipv4() {
                    continue;
                }
                let first = Packet { destination: node.address.private, port: listener.port, ..*self.packet };
                let client = Walk { snapshot: self.snapshot, packet: &first };
                let mut journey = Journey::default();
                let come = client.inbound(&node, &mut journey).and_then(|()| journey.reply_blocked.take().map_or(Ok(()), Err));
                if let Err(blocked) = come {
                    if told(Journey { blocked: Some(blocked), ..journey }) {
                        return;
                    }
                    continue;
                }
                let peer = matches!(client.way_out(&node, self.packet.source), Ok(Target::Peering(_)));
                let sender = Sender { id, balancer, node: &node, peer, node_port };
                if self.onward(&sender, &listener.target_groups, &journey, told) {
                    return;
                }
            }
        }
    }

    /// Whether any target of some groups, or of a load balancer among them, is the packet's destination.
    fn is_for_destination(&self, id: &str, groups: &[String], vpc: &str) -> bool {
        let targets = |groups: &[String]| -> Vec<&'a BalancerTarget> {
            groups.iter().filter_map(|group| self.snapshot.target_groups.get(group)).flat_map(|group| &group.targets).collect()
        };
        let is_it = |target: &&BalancerTarget| {
            let named = target.id.parse::<IpAddr>().is_ok_and(|address| address == self.packet.destination);
            let ends_there = || self.target(target, vpc).is_some_and(|end| end.address.private == self.packet.destination);
            target.port == self.packet.port && (named || ends_there())
        };
        targets(groups).iter().any(|target| match self.snapshot.load_balancers.get(&target.id).filter(|_| target.id != id) {
            Some(inner) => inner.listeners.iter().any(|listener| targets(&listener.target_groups).iter().any(is_it)),
            None => is_it(target),
        })
    }

    /// The addresses of a load balancer's nodes.
    fn nodes(&self, balancer: &'a LoadBalancer) -> Vec<End<'a>> {
        let snapshot = self.snapshot;
        let interfaces = balancer.interfaces.iter().filter_map(|node| snapshot.interfaces.get_key_value(node));
        let ends =
            interfaces.flat_map(|(id, interface)| interface.addresses.iter().filter_map(move |address| self.end(id, interface, *address)));
        let groups = Some(balancer.groups.as_slice()).filter(|groups| !groups.is_empty());
        ends.map(|end| End { faces_internet: balancer.internet_facing, groups, ..end }).collect()
    }

    fn end(&self, id: &'a str, interface: &'a Interface, address: Address) -> Option<End<'a>> {
        let (subnet_id, subnet) = self.snapshot.subnets.get_key_value(&interface.subnet)?;
        Some(End { faces_internet: true, id, groups: Some(&interface.groups), address, subnet_id, subnet })
    }

    /// From a node to the targets that are the packet's destination, or lead there. Answers whether who is told has heard enough.
    fn onward(&self, sender: &Sender<'_, 'a>, groups: &'a [String], journey: &Journey, told: &mut dyn FnMut(Journey) -> bool) -> bool {
        for group in groups.iter().filter_map(|group| self.snapshot.target_groups.get(group)) {
            for target in &group.targets {
                if let Some((inner_id, inner)) = self.snapshot.load_balancers.get_key_value(&target.id).filter(|(id, _)| *id != sender.id) {
                    // A load balancer behind a load balancer; behind that are hosts alone.
                    let is_spoken_to = inner.kind != BalancerKind::Gateway;
                    for node in self.nodes(inner).into_iter().filter(|_| is_spoken_to) {
                        let mut journey = journey.clone();
                        if let Err(blocked) = self.send(sender, group, &node, target.port) {
                            if told(Journey { blocked: Some(blocked), ..journey }) {
                                return true;
                            }
                            continue;
                        }
                        journey.hops.push(node.id.to_owned());
                        let speaking = |port: u16, protocols: &[u8]| port == target.port && protocols.contains(&self.packet.protocol);
                        for listener in inner.listeners.iter().filter(|listener| speaking(listener.port, &listener.protocols)) {
                            let next = Sender { id: inner_id, balancer: inner, node: &node, ..*sender };
                            for group in listener.target_groups.iter().filter_map(|group| self.snapshot.target_groups.get(group)) {
                                for target in &group.targets {
                                    if self.deliver(&next, group, target, &journey, told) {
                                        return true;
                                    }
                                }
                            }
                        }
                    }
                } else if self.deliver(sender, group, target, journey, told) {
                    return true;
                }
            }
        }
        false
    }

    /// To one target, where it is the packet's destination.
    fn deliver(
        &self,
        sender: &Sender<'_, 'a>,
        group: &TargetGroup,
        target: &BalancerTarget,
        journey: &Journey,
        told: &mut dyn FnMut(Journey) -> bool,
    ) -> bool {
        let Some(end) = self.target(target, &sender.node.subnet.vpc) else { return false };
        if end.address.private != self.packet.destination || target.port != self.packet.port {
            return false;
        }
        let mut journey = journey.clone();
        journey.blocked = self.send(sender, group, &end, target.port).err();
        if journey.blocked.is_none() {
            journey.hops.push(end.id.to_owned());
        }
        told(journey)
    }

    /// The interface and address that a target is: of addresses that occur twice the one in the load balancer's VPC.
    fn target(&self, target: &BalancerTarget, vpc: &str) -> Option<End<'a>> {
        if let Ok(address) = target.id.parse::<IpAddr>() {
            let all = self.snapshot.interfaces.iter().flat_map(|(id, interface)| {
                interface.addresses.iter().filter(move |own| own.private == address).filter_map(move |own| self.end(id, interface, *own))
            });
            let all: Vec<End<'a>> = all.collect();
            return all.iter().find(|end| end.subnet.vpc == vpc).or_else(|| all.first()).cloned();
        }
        let own = self.snapshot.interfaces.get_key_value(&target.id);
        let of_instance = || {
            let mut all = self.snapshot.interfaces.iter().filter(|(_, interface)| interface.instance.as_ref() == Some(&target.id));
            let first = all.clone().next();
            all.find(|(_, interface)| interface.primary).or(first)
        };
        let (id, interface) = of_instance().or(own)?;
        let address = *interface.addresses.iter().find(|own| own.private.is_ipv4()).or_else(|| interface.addresses.first())?;
        self.end(id, interface, address)
    }

    /// What a node sends to a target, and the reply.
    fn send(&self, sender: &Sender<'_, 'a>, group: &TargetGroup, to: &End<'a>, port: u16) -> Result<(), Blocked> {
        let (balancer, node) = (sender.balancer, sender.node);
        let private = to.address.private;
        self.zones(sender, group, to)?;
        if to.subnet.vpc != node.subnet.vpc && !self.peering(&to.subnet.vpc, &node.subnet.vpc) {
            return Err(blocked("CANNOT_ROUTE", sender.id, format!("it does not lead to {private}")));
        }
        let own = self.snapshot.interfaces.get(node.id).into_iter().flat_map(|interface| &interface.addresses);
        let Some(own) = own.map(|own| own.private).find(|own| own.is_ipv4() == private.is_ipv4()) else {
            return Err(blocked("CANNOT_ROUTE", node.id, format!("it has no address to reach {private} from")));
        };
        let client = self.packet;
        let kept = group.preserves_client && balancer.kind == BalancerKind::Network && client.source.is_ipv4() == private.is_ipv4();
        let (source, source_port) = if kept { (client.source, client.source_port) } else { (own, sender.node_port) };
        let packet = Packet { source, source_port, destination: private, port, protocol: client.protocol };
        let walk = Walk { snapshot: self.snapshot, packet: &packet };
        walk.groups(node, true, private, Brought::Near)?;
        let apart = node.subnet_id != to.subnet_id;
        if apart || balancer.kind == BalancerKind::Classic {
            walk.acl(node, true, private, port)?;
            walk.acl(node, false, private, source_port)?;
        }
        if apart {
            walk.acl(to, false, source, port)?;
            walk.acl(to, true, source, source_port)?;
        }
        // The node is a member of its own groups; a client on the internet is one of none.
        walk.groups_from_outside(to, source, (!kept || sender.peer).then_some(Brought::Near))
    }

    fn zones(&self, sender: &Sender<'_, 'a>, group: &TargetGroup, to: &End<'a>) -> Result<(), Blocked> {
        let (balancer, zone) = (sender.balancer, &to.subnet.zone);
        if zone.is_empty() {
            return Ok(());
        }
        if !group.cross_zone.unwrap_or(balancer.cross_zone) {
            let same = *zone == sender.node.subnet.zone;
            let why =
                || blocked("ELB_NOT_CROSSZONE", sender.id, format!("its node in {} sends to that zone alone", sender.node.subnet.zone));
            return if same { Ok(()) } else { Err(why()) };
        }
        let enabled = if balancer.zones.is_empty() {
            self.nodes(balancer).iter().any(|node| node.subnet.zone.is_empty() || node.subnet.zone == *zone)
        } else {
            balancer.zones.contains(zone)
        };
        if enabled { Ok(()) } else { Err(blocked("ELB_INSTALLED_AZ_RESTRICTION", sender.id, format!("it is not enabled in {zone}"))) }
    }
}

/// A node that sends on what it heard.
#[derive(Clone, Copy)]
struct Sender<'s, 'a> {
    id: &'s str,
    balancer: &'a LoadBalancer,
    node: &'s End<'a>,
    /// Whether the client came over a peering.
    peer: bool,
    /// The port that the node sends from, where it does not keep the client's.
    node_port: u16,
}
