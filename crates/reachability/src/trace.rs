//! One packet, hop by hop, and its reply: where it gets to, or the first rule that stops it.
//!
//! It shares nothing with [`evaluate`](crate::evaluate) but the snapshot: no sets, nothing kept from one packet to the next. So
//! each is the other's test, and every witness can be replayed.

use crate::address::{AddressFamily, Cidr, internet, number};
use crate::snapshot::{Address, Block, GroupRule, Interface, Route, RouteTable, RulePeer, Snapshot, Subnet, Target};
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

fn blocked(code: &'static str, component: &str, why: impl Into<String>) -> Blocked {
    Blocked { code, component: component.to_owned(), why: why.into() }
}

/// An interface and one of its addresses, where it lies.
struct End<'a> {
    id: &'a str,
    interface: &'a Interface,
    address: Address,
    subnet_id: &'a str,
    subnet: &'a Subnet,
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
            Some(End { id, interface, address, subnet_id, subnet })
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
            (Some((prefix, _, route)), Some(own)) if own > prefix => {
                let _ = route;
                Ok(Way::Local)
            }
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
    fn groups(&self, end: &End<'a>, egress: bool, other: IpAddr) -> Result<(), Blocked> {
        let rules = end.interface.groups.iter().filter_map(|group| self.snapshot.groups.get(group)).flat_map(|group| &group.rules);
        let admits = |rule: &GroupRule| rule.egress == egress && self.is_for_packet(rule) && self.is_peer(&rule.peer, end.subnet, other);
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
        Err(blocked(
            "ENI_SG_RULES_MISMATCH",
            &end.interface.groups.join(", "),
            format!("no rule of its groups lets {port} {direction} {other}"),
        ))
    }

    fn is_for_packet(&self, rule: &GroupRule) -> bool {
        match rule.protocol {
            None => true,
            Some(number) if number != self.packet.protocol => false,
            Some(6 | 17) => (rule.ports.0..=rule.ports.1).contains(&self.packet.port),
            Some(_) => true,
        }
    }

    fn is_peer(&self, peer: &RulePeer, own: &Subnet, other: IpAddr) -> bool {
        match peer {
            RulePeer::Block(Block::Cidr(block)) => block.contains(other),
            RulePeer::Block(Block::PrefixList(list)) => {
                self.snapshot.prefix_lists.get(list).into_iter().flatten().any(|block| block.contains(other))
            }
            RulePeer::Group(group) => {
                let member = |interface: &Interface| {
                    let Some(subnet) = self.snapshot.subnets.get(&interface.subnet) else { return false };
                    let near = subnet.vpc == own.vpc || self.peering(&subnet.vpc, &own.vpc);
                    near && interface.groups.contains(group) && interface.addresses.iter().any(|address| address.private == other)
                };
                self.snapshot.interfaces.values().any(member)
            }
        }
    }

    fn peering(&self, a: &str, b: &str) -> bool {
        let joins = |vpcs: &(String, String)| (vpcs.0 == a && vpcs.1 == b) || (vpcs.0 == b && vpcs.1 == a);
        self.snapshot.peerings.values().any(|peering| peering.active && joins(&peering.vpcs))
    }

    /// From one interface to another.
    fn lateral(&self, from: &End<'a>, to: &End<'a>, journey: &mut Journey) -> Result<(), Blocked> {
        // To a public address it goes out and comes in again; the private one is the shorter way and what groups speak of.
        let (source, destination) = (from.address.private, to.address.private);
        journey.hops.push(from.id.to_owned());
        self.groups(from, true, destination)?;
        if from.subnet_id != to.subnet_id {
            self.leads(from, to)?;
            self.acl(from, true, destination, self.packet.port)?;
            self.acl(to, false, source, self.packet.port)?;
        }
        self.groups(to, false, source)?;
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
            Target::InternetGateway(id) => self.over_internet(id, to)?,
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
        let outside_by_group = matches!(gateway, Target::Peering(_));
        self.groups_from_outside(to, source, outside_by_group)?;
        journey.hops.extend(to.interface.groups.first().cloned());
        journey.hops.push(to.id.to_owned());
        journey.reply_blocked = self.acl(to, true, source, self.packet.source_port).err();
        Ok(())
    }

    /// Groups name members of this VPC or a peer's: nobody who comes by another way is one.
    fn groups_from_outside(&self, to: &End<'a>, source: IpAddr, by_group: bool) -> Result<(), Blocked> {
        let rules = to.interface.groups.iter().filter_map(|group| self.snapshot.groups.get(group)).flat_map(|group| &group.rules);
        let mut speaking = rules.filter(|rule| !rule.egress && (by_group || !matches!(rule.peer, RulePeer::Group(_))));
        if speaking.any(|rule| self.is_for_packet(rule) && self.is_peer(&rule.peer, to.subnet, source)) {
            return Ok(());
        }
        Err(blocked(
            "ENI_SG_RULES_MISMATCH",
            &to.interface.groups.join(", "),
            format!("no rule of its groups lets port {} in from {source}", self.packet.port),
        ))
    }

    fn over_internet(&self, id: &str, end: &End<'a>) -> Result<(), Blocked> {
        let outside = if self.packet.source == end.address.private { self.packet.destination } else { self.packet.source };
        let family = AddressFamily::of(end.address.private);
        let attached =
            self.snapshot.internet_gateways.get(id).ok_or_else(|| blocked("UNKNOWN_GATEWAY", id, "it is not in the snapshot"))?;
        if attached.vpc.as_ref() != Some(&end.subnet.vpc) {
            return Err(blocked("IGW_NOT_ATTACHED", id, "it is not attached to the VPC"));
        }
        let blocked_here = |what: &String| *what == end.subnet.vpc || what == end.subnet_id;
        if self.snapshot.blocked_from_internet.iter().any(blocked_here) {
            return Err(blocked("VPC_BLOCK_PUBLIC_ACCESS_ENABLED", &end.subnet.vpc, "public access is blocked"));
        }
        if family == AddressFamily::V4 && end.address.public.is_none() {
            return Err(blocked("IGW_PUBLIC_IP_ASSOCIATION_FOR_INGRESS", end.id, "its address has no public one"));
        }
        if !internet(family).contains(number(outside))
            || (family == AddressFamily::V6 && !internet(family).contains(number(end.address.private)))
        {
            return Err(blocked("NOT_ON_THE_INTERNET", id, format!("{outside} is no address of the internet")));
        }
        if self.snapshot.vpcs.get(&end.subnet.vpc).is_some_and(|vpc| vpc.cidrs.iter().any(|block| block.contains(outside))) {
            return Err(blocked("NOT_ON_THE_INTERNET", id, format!("{outside} is an address of the VPC")));
        }
        for table in self.edge_tables(end) {
            let covers = |route: &&Route| matches!(&route.destination, Block::Cidr(block) if block.contains(end.address.private));
            let prefix = |route: &&Route| if let Block::Cidr(block) = &route.destination { block.prefix() } else { 0 };
            if let Some(route) = table.routes.iter().filter(covers).max_by_key(prefix)
                && route.target != Target::Local
            {
                return Err(blocked("VIA_APPLIANCE", route.target.id(), "an edge route takes it to an appliance first"));
            }
        }
        Ok(())
    }

    fn edge_tables(&self, end: &End<'a>) -> impl Iterator<Item = &'a RouteTable> {
        let snapshot = self.snapshot;
        let vpc = end.subnet.vpc.clone();
        let of_vpc = snapshot.internet_gateways.values().filter(move |gateway| gateway.vpc.as_ref() == Some(&vpc));
        of_vpc.filter_map(|gateway| snapshot.route_tables.get(gateway.edge_table.as_ref()?))
    }

    /// Whether a transit gateway leads from one address to another in a VPC, and back.
    fn transits(&self, gateway: &str, vpc: &str, from: IpAddr, to: IpAddr) -> bool {
        let next = |attachment: &str, address: IpAddr| -> Option<&str> {
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
            .filter(|(_, attachment)| attachment.gateway == gateway && attachment.vpc.as_deref() == Some(vpc));
        own.map(|(id, _)| id.as_str()).any(|own| next(own, from).is_some_and(|origin| origin != own && next(origin, to) == Some(own)))
    }

    /// From an interface to the outside.
    fn outbound(&self, from: &End<'a>, journey: &mut Journey) -> Result<(), Blocked> {
        let to = self.packet.destination;
        journey.hops.push(from.id.to_owned());
        self.groups(from, true, to)?;
        self.acl(from, true, to, self.packet.port)?;
        let gateway = self.way_out(from, to)?;
        if let Target::InternetGateway(id) = &gateway {
            self.over_internet(id, from)?;
        }
        journey.hops.push(gateway.id().to_owned());
        journey.reply_blocked = self.acl(from, false, to, self.packet.source_port).err();
        Ok(())
    }
}
