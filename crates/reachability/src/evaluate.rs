//! From a snapshot to everything that is reachable: for each interface, class of sources, protocol and family the ports that are
//! open, as ranges that cannot be extended, with the addresses that they are open to and a packet that shows it.
//!
//! A packet comes in where the gateway it comes by is also the one that replies leave by, the ACL lets it in and the replies out, and
//! a rule of a security group admits it. All of that asks for the source's address and the destination's port alone, so interfaces
//! with the same surroundings and groups are evaluated once.

use crate::address::{AddressFamily, internet, number};
use crate::parts::Part;
use crate::perimeter::{Gateway, PROTOCOLS, Perimeter, SourceClass, Surroundings, edge_tables, forwards, transits};
use crate::ranges::RangeSet;
use crate::snapshot::{Block, GroupRule, Interface, Route, RouteTable, RulePeer, Snapshot, Subnet, Target};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

/// A range of ports of an interface that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// From where.
    pub class: SourceClass,
    /// The gateway, peering or load balancer.
    pub via: Arc<str>,
    /// The interface.
    pub interface: Arc<str>,
    /// The instance that it is attached to.
    pub instance: Option<Arc<str>>,
    /// The private address that is reached.
    pub address: IpAddr,
    /// The protocol's number: 6 or 17.
    pub protocol: u8,
    /// First and last port; neither can be extended.
    pub ports: (u16, u16),
    /// The addresses that some port of the range is open to.
    pub sources: Arc<RangeSet<u128>>,
    /// Where some of the ports are open to others than the rest: which to whom. Filled in by [`Analysis::in_parts`] alone.
    pub parts: Arc<[Part]>,
    /// Whether only clients that send from some ports get replies.
    pub partial_ephemeral: bool,
    /// Whether it is for datagrams alone: some of those who send get no reply. Only of [`evaluate_one_way`](crate::evaluate_one_way).
    pub one_way: bool,
    /// The way, from the gateway to the interface.
    pub path: Arc<[Step]>,
    /// A packet that gets through: source address and destination port.
    pub witness: (IpAddr, u16),
}

impl Opening {
    /// The family of its sources. A load balancer may take another one from clients than it sends to targets.
    #[must_use]
    pub const fn family(&self) -> AddressFamily {
        AddressFamily::of(self.witness.0)
    }
}

/// A component on a way, and the rule of it that lets packets pass.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// In the terms of CloudFormation: `AWS::EC2::SecurityGroup`.
    pub component_type: &'static str,
    /// Its id.
    #[serde(serialize_with = "as_text")]
    pub component_id: Arc<str>,
    /// The rule, where it has rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

fn as_text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// All that is reachable, and where that could not be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Analysis {
    /// What is open, in the order of interface, class, gateway, address, protocol and port.
    pub openings: Vec<Opening>,
    /// Interfaces about which something is not known, with what: they may be open beyond what is said.
    pub unknown: BTreeMap<String, BTreeSet<String>>,
}

impl Analysis {
    /// The same, with which ports of each opening are open to whom.
    #[must_use]
    pub fn in_parts(mut self, snapshot: &Snapshot) -> Self {
        crate::parts::fill(snapshot, &mut self);
        self
    }
}

/// The most threads that evaluate, and interfaces that are not worth one.
const MAX_THREADS: usize = 8;
const FEW: usize = 1_000;

/// Evaluates a snapshot.
#[must_use]
pub fn evaluate(snapshot: &Snapshot) -> Analysis {
    let index = Index::of(snapshot);
    let interfaces: Vec<(&String, &Interface)> = snapshot.interfaces.iter().filter(|(_, interface)| interface.instance.is_some()).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    // Of a few nobody waits for a thread to start.
    let share = interfaces.len().div_ceil(threads).max(FEW);
    let mut analysis = Analysis::default();
    std::thread::scope(|scope| {
        let part = |part: &[(&String, &Interface)]| {
            let mut memo = Memo::default();
            let mut engine = Engine { snapshot, index: &index, memo: &mut memo };
            let mut found = Analysis::default();
            for (id, interface) in part {
                let (openings, unknown) = engine.interface(id, interface);
                found.openings.extend(openings);
                if !unknown.is_empty() {
                    found.unknown.insert((*id).clone(), unknown);
                }
            }
            found.openings.sort_by(order);
            found
        };
        let mut parts = interfaces.chunks(share);
        let first = parts.next().unwrap_or_default();
        let others: Vec<_> = parts.map(|chunk| scope.spawn(move || part(chunk))).collect();
        analysis = part(first);
        for (other, chunk) in others.into_iter().zip(interfaces.chunks(share).skip(1)) {
            // What a thread did not get done is done here.
            let found = other.join().unwrap_or_else(|_| part(chunk));
            analysis.openings.extend(found.openings);
            analysis.unknown.extend(found.unknown);
        }
    });
    let mut memo = Memo::default();
    analysis.openings.extend(Engine { snapshot, index: &index, memo: &mut memo }.load_balancers());
    // Parts are in order already.
    analysis.openings.sort_by(order);
    analysis
}

/// The order of openings; those of one place are one.
pub(crate) fn order(a: &Opening, b: &Opening) -> std::cmp::Ordering {
    let key = |opening: &Opening| (opening.class, opening.address, opening.protocol, opening.ports, opening.family());
    a.interface.cmp(&b.interface).then_with(|| key(a).cmp(&key(b))).then_with(|| a.via.cmp(&b.via)).then_with(|| a.one_way.cmp(&b.one_way))
}

/// What surrounds an address: subnets with the same table and ACL share it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PerimeterKey {
    vpc: String,
    table: String,
    acl: Option<String>,
    family: AddressFamily,
    /// Only where transit gateways route by it.
    private: Option<IpAddr>,
    /// Only where public access is blocked for single subnets.
    subnet: Option<String>,
    /// Of the network, the table and the ACL: what was evaluated with earlier ones is not found.
    versions: [u64; 3],
}

/// All that the answer depends on.
#[derive(PartialEq, Eq, Hash)]
struct Signature {
    perimeter: PerimeterKey,
    /// In the interface's order, with their versions.
    groups: Vec<(String, u64)>,
    entrance: Entrance,
}

/// How packets that the internet gateway takes in come to an address.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Entrance {
    /// As they are.
    Direct,
    /// Over an appliance.
    Appliance(String),
    /// Not at all.
    Closed,
}

/// A range of ports that is open to a range of addresses, by one rule.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) ports: (u16, u16),
    pub(crate) first: u128,
    pub(crate) last: u128,
    partial: bool,
    /// Place of the group among the interface's, and of the rule in the group.
    group: usize,
    rule: usize,
}

/// A maximal range, made of grants.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    pub(crate) ports: (u16, u16),
    pub(crate) sources: Arc<RangeSet<u128>>,
    pub(crate) partial: bool,
    pub(crate) source: u128,
    pub(crate) group: usize,
    pub(crate) rule: usize,
}

/// What is open by one gateway and protocol.
struct Granted {
    gateway: Gateway,
    place: usize,
    ranges: Vec<Range>,
}

type Grants = Vec<Granted>;

/// What is looked up in a snapshot again and again.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The private addresses of each group's members, with their VPC.
    members: HashMap<String, Vec<(String, IpAddr)>>,
    /// The main table of each VPC.
    main_tables: HashMap<String, String>,
    /// Taken where no route was looked up.
    assumed: HashMap<String, RouteTable>,
}

impl Index {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let mut index = Self::of_tables(snapshot);
        snapshot.interfaces.values().for_each(|interface| index.add_members(snapshot, interface));
        index
    }

    /// Looks the tables up again; members stay.
    pub(crate) fn tables_changed(&mut self, snapshot: &Snapshot) {
        let members = std::mem::take(&mut self.members);
        *self = Self { members, ..Self::of_tables(snapshot) };
    }

    /// Without members.
    fn of_tables(snapshot: &Snapshot) -> Self {
        let mut index = Self::default();
        let main = snapshot.route_tables.iter().filter(|(_, table)| table.main);
        index.main_tables = main.map(|(id, table)| (table.vpc.clone(), id.clone())).collect();
        if snapshot.routes_unknown {
            for vpc in snapshot.vpcs.keys() {
                let gateways = snapshot.internet_gateways.iter().filter(|(_, gateway)| gateway.vpc.as_ref() == Some(vpc));
                let all = |text: &str, id: &str| {
                    text.parse().ok().map(|block| Route {
                        destination: Block::Cidr(block),
                        target: Target::InternetGateway(id.to_owned()),
                        active: true,
                        propagated: false,
                    })
                };
                let routes = gateways.flat_map(|(id, _)| ["0.0.0.0/0", "::/0"].into_iter().filter_map(move |text| all(text, id)));
                index.assumed.insert(vpc.clone(), RouteTable { vpc: vpc.clone(), main: true, routes: routes.collect() });
            }
        }
        index
    }

    pub(crate) fn add_members(&mut self, snapshot: &Snapshot, interface: &Interface) {
        let vpc = snapshot.subnets.get(&interface.subnet).map_or("", |subnet| subnet.vpc.as_str());
        for group in &interface.groups {
            let members = self.members.entry(group.clone()).or_default();
            members.extend(interface.addresses.iter().map(|address| (vpc.to_owned(), address.private)));
        }
    }

    pub(crate) fn remove_members(&mut self, snapshot: &Snapshot, interface: &Interface) {
        let vpc = snapshot.subnets.get(&interface.subnet).map_or("", |subnet| subnet.vpc.as_str());
        for group in &interface.groups {
            let Some(members) = self.members.get_mut(group) else { continue };
            for address in &interface.addresses {
                // One of several that are equal stays.
                if let Some(at) = members.iter().position(|(of, private)| of == vpc && *private == address.private) {
                    members.swap_remove(at);
                }
            }
        }
    }
}

/// What was evaluated before, by all that it depends on.
#[derive(Default)]
pub(crate) struct Memo {
    perimeters: HashMap<PerimeterKey, Arc<Perimeter>>,
    signatures: HashMap<Signature, Arc<Grants>>,
    /// How often tables, ACLs and groups changed, by id.
    versions: HashMap<String, u64>,
    network: u64,
}

/// With more answers that nobody asks for any longer, all are forgotten.
const MOST_STALE: usize = 4;

impl Memo {
    /// An object is not what it was.
    pub(crate) fn changed(&mut self, id: &str) {
        *self.versions.entry(id.to_owned()).or_default() += 1;
    }

    /// Something that every perimeter may depend on is not what it was.
    pub(crate) const fn network_changed(&mut self) {
        self.network += 1;
    }

    fn version(&self, id: &str) -> u64 {
        self.versions.get(id).copied().unwrap_or(0)
    }

    /// Drops what is out of date once that is most of it.
    pub(crate) fn sweep(&mut self, interfaces: usize) {
        if self.signatures.len() > MOST_STALE * (interfaces + 64) {
            self.signatures.clear();
            self.perimeters.clear();
            self.network += 1;
        }
    }
}

pub(crate) struct Engine<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) index: &'a Index,
    pub(crate) memo: &'a mut Memo,
}

impl<'a> Engine<'a> {
    /// What is open at an interface, and what is not known about it.
    pub(crate) fn interface(&mut self, id: &str, interface: &'a Interface) -> (Vec<Opening>, BTreeSet<String>) {
        let unknown = self.unknown(interface).into_iter().collect();
        let mut found = Vec::new();
        let Some(subnet) = self.snapshot.subnets.get(&interface.subnet) else { return (found, unknown) };
        let names = Names::of(id, interface, subnet);
        let whole: Arc<[Part]> = Arc::default();
        for address in &interface.addresses {
            let Some(grants) = self.grants(interface, subnet, address.private, address.public.is_some()) else { continue };
            for granted in grants.iter() {
                let via: Arc<str> = Arc::from(granted.gateway.id.as_str());
                let first = self.way_in(granted.gateway.class, &via, subnet);
                // Ranges by one rule have one way.
                let mut ways: HashMap<(usize, usize), Arc<[Step]>> = HashMap::new();
                for range in &granted.ranges {
                    let path = ways.entry((range.group, range.rule)).or_insert_with(|| self.path(&first, &names, interface, range));
                    found.push(Opening {
                        class: granted.gateway.class,
                        via: Arc::clone(&via),
                        interface: Arc::clone(&names.interface),
                        instance: names.instance.clone(),
                        address: address.private,
                        protocol: PROTOCOLS[granted.place],
                        ports: range.ports,
                        sources: Arc::clone(&range.sources),
                        parts: Arc::clone(&whole),
                        partial_ephemeral: range.partial,
                        one_way: false,
                        path: Arc::clone(path),
                        witness: (AddressFamily::of(address.private).address(range.source), range.ports.0),
                    });
                }
            }
        }
        (found, unknown)
    }

    /// What is not known about an interface.
    fn unknown(&self, interface: &Interface) -> Vec<String> {
        let mut unknown = Vec::new();
        match self.snapshot.subnets.get(&interface.subnet) {
            None => unknown.push(format!("its subnet '{}' is not in the snapshot", interface.subnet)),
            Some(subnet) => {
                if self.table(subnet).is_none() {
                    unknown.push(format!("the route table of its subnet '{}' is not in the snapshot", interface.subnet));
                }
                match &subnet.acl {
                    Some(acl) if self.snapshot.acls.contains_key(acl) => {}
                    _ => unknown.push(format!(
                        "the network ACL of its subnet '{}' is not in the snapshot: it is taken to admit everything",
                        interface.subnet
                    )),
                }
            }
        }
        for group in interface.groups.iter().filter(|group| !self.snapshot.groups.contains_key(*group)) {
            unknown.push(format!("its security group '{group}' is not in the snapshot"));
        }
        let rules = interface.groups.iter().filter_map(|group| self.snapshot.groups.get(group)).flat_map(|group| &group.rules);
        for rule in rules.filter(|rule| !rule.egress) {
            if let RulePeer::Block(Block::PrefixList(list)) = &rule.peer
                && !self.snapshot.prefix_lists.contains_key(list)
            {
                unknown.push(format!("the prefix list '{list}' that a rule of its admits is not in the snapshot"));
            }
        }
        unknown
    }

    fn table(&self, subnet: &Subnet) -> Option<(&'a str, &'a RouteTable)> {
        if self.snapshot.routes_unknown {
            return self.index.assumed.get_key_value(&subnet.vpc).map(|(id, table)| (id.as_str(), table));
        }
        let id = subnet.route_table.as_ref().or_else(|| self.index.main_tables.get(&subnet.vpc))?;
        self.snapshot.route_tables.get_key_value(id).map(|(id, table)| (id.as_str(), table))
    }

    /// What surrounds an address of a subnet, and by what it is known.
    pub(crate) fn perimeter(&mut self, subnet_id: &str, subnet: &'a Subnet, private: IpAddr) -> Option<(PerimeterKey, Arc<Perimeter>)> {
        let (table_id, table) = self.table(subnet)?;
        let family = AddressFamily::of(private);
        let transits = table.routes.iter().any(|route| matches!(route.target, Target::TransitGateway(_)));
        let blocks_subnets = self.snapshot.blocked_from_internet.iter().any(|blocked| self.snapshot.subnets.contains_key(blocked));
        let key = PerimeterKey {
            vpc: subnet.vpc.clone(),
            table: table_id.to_owned(),
            acl: subnet.acl.clone(),
            family,
            private: transits.then_some(private),
            subnet: blocks_subnets.then(|| subnet_id.to_owned()),
            versions: [self.memo.network, self.memo.version(table_id), subnet.acl.as_ref().map_or(0, |acl| self.memo.version(acl))],
        };
        if let Some(known) = self.memo.perimeters.get(&key) {
            return Some((key, Arc::clone(known)));
        }
        let acl = subnet.acl.as_ref().and_then(|acl| self.snapshot.acls.get(acl));
        let around = Surroundings { snapshot: self.snapshot, subnet, subnet_id, table, acl, family, private };
        let built = Arc::new(Perimeter::of(&around));
        self.memo.perimeters.insert(key.clone(), Arc::clone(&built));
        Some((key, built))
    }

    /// What is granted to whom at an address of an interface.
    fn grants(&mut self, interface: &Interface, subnet: &'a Subnet, private: IpAddr, public: bool) -> Option<Arc<Grants>> {
        let (key, perimeter) = self.perimeter(&interface.subnet, subnet, private)?;
        let entrance = self.entrance(subnet, private, public);
        let groups = interface.groups.iter().map(|group| (group.clone(), self.memo.version(group))).collect();
        let signature = Signature { perimeter: key, groups, entrance };
        if let Some(known) = self.memo.signatures.get(&signature) {
            return Some(Arc::clone(known));
        }
        let by_door = self.by_door(&interface.groups, subnet, private, &perimeter, &signature.entrance);
        let mut doors: Vec<(Gateway, usize, Vec<Grant>)> = Vec::new();
        for (door, grants) in by_door.into_iter().enumerate().filter(|(_, grants)| !grants.is_empty()) {
            let Some(gateway) = perimeter.gateways.get(door / PROTOCOLS.len()) else { continue };
            let (gateway, place) = (signature.entrance.over(gateway), door % PROTOCOLS.len());
            match doors.iter_mut().find(|door| door.0 == gateway && door.1 == place) {
                Some((_, _, known)) => known.extend(grants),
                None => doors.push((gateway, place, grants)),
            }
        }
        let grants: Grants =
            doors.into_iter().map(|(gateway, place, grants)| Granted { gateway, place, ranges: openings(&grants) }).collect();
        let grants = Arc::new(grants);
        self.memo.signatures.insert(signature, Arc::clone(&grants));
        Some(grants)
    }

    /// What groups grant, by gateway and protocol.
    pub(crate) fn by_door(
        &self,
        groups: &[String],
        subnet: &Subnet,
        private: IpAddr,
        perimeter: &Perimeter,
        entrance: &Entrance,
    ) -> Vec<Vec<Grant>> {
        let mut by_door: Vec<Vec<Grant>> = vec![Vec::new(); perimeter.gateways.len() * PROTOCOLS.len()];
        for (place, group) in groups.iter().enumerate() {
            let rules = self.snapshot.groups.get(group).map(|group| group.rules.as_slice()).unwrap_or_default();
            for (at, rule) in rules.iter().enumerate().filter(|(_, rule)| !rule.egress) {
                self.grant(rule, (place, at), subnet, private, perimeter, entrance, &mut by_door);
            }
        }
        by_door
    }

    #[allow(clippy::too_many_arguments, reason = "one rule, with all that it stands in")]
    fn grant(
        &self,
        rule: &GroupRule,
        (group, at): (usize, usize),
        subnet: &Subnet,
        private: IpAddr,
        perimeter: &Perimeter,
        entrance: &Entrance,
        by_door: &mut [Vec<Grant>],
    ) {
        let family = AddressFamily::of(private);
        if let RulePeer::Group(named) = &rule.peer {
            let members = self.index.members.get(named).map(Vec::as_slice).unwrap_or_default();
            for (vpc, address) in members.iter().filter(|(_, address)| AddressFamily::of(*address) == family) {
                let bounds = (number(*address), number(*address));
                let comes = |gateway: &Gateway| self.brings_member(perimeter, gateway, &subnet.vpc, private, (vpc, *address));
                grant_between(rule, (group, at), bounds, perimeter, &comes, by_door);
            }
            return;
        }
        let many;
        let single;
        // Nearly all rules name one block.
        let ranges: &[(u128, u128)] = if let RulePeer::Block(Block::Cidr(block)) = &rule.peer {
            if block.family != family {
                return;
            }
            single = [block.bounds()];
            &single
        } else {
            many = self.sources(&rule.peer, &subnet.vpc, family);
            many.ranges()
        };
        for bounds in ranges {
            grant_between(rule, (group, at), *bounds, perimeter, &|gateway| entrance.admits(gateway), by_door);
        }
    }

    /// Whether packets that a gateway brings to an address of a VPC from another one are a group's member of another VPC: its own
    /// peering, or a transit gateway that lets rules name groups.
    fn brings_member(&self, perimeter: &Perimeter, gateway: &Gateway, own: &str, private: IpAddr, (vpc, address): (&str, IpAddr)) -> bool {
        match gateway.class {
            SourceClass::Peer => self.snapshot.peerings.get(&gateway.id).is_some_and(|peering| {
                let (one, other) = (peering.vpcs.0.as_str(), peering.vpcs.1.as_str());
                (one, other) == (own, vpc) || (other, one) == (own, vpc)
            }),
            SourceClass::Transit if perimeter.one_way => self.snapshot.transit_attachments.values().any(|from| {
                // Whichever attachment of that VPC's leads here.
                let of = from.gateway == gateway.id && from.vpc.as_deref() == Some(vpc);
                let to = if of { forwards(self.snapshot, from, own, private) } else { None };
                to.is_some_and(|to| self.snapshot.group_references(&gateway.id, [to, from]) == Some(true))
            }),
            SourceClass::Transit => transits(self.snapshot, &gateway.id, own, number(address), private).is_some_and(|attachments| {
                attachments[1].vpc.as_deref() == Some(vpc) && self.snapshot.group_references(&gateway.id, attachments) == Some(true)
            }),
            _ => false,
        }
    }

    /// The addresses that a rule speaks of.
    pub(crate) fn sources(&self, peer: &RulePeer, vpc: &str, family: AddressFamily) -> RangeSet<u128> {
        match peer {
            RulePeer::Block(Block::Cidr(block)) if block.family == family => RangeSet::of([block.bounds()]),
            RulePeer::Block(Block::Cidr(_)) => RangeSet::default(),
            RulePeer::Block(Block::PrefixList(list)) => {
                let blocks = self.snapshot.prefix_lists.get(list).map(Vec::as_slice).unwrap_or_default();
                RangeSet::of(blocks.iter().filter(|block| block.family == family).map(|block| block.bounds()))
            }
            RulePeer::Group(group) => {
                let members = self.index.members.get(group).map(Vec::as_slice).unwrap_or_default();
                let near =
                    members.iter().filter(|(of, address)| AddressFamily::of(*address) == family && (of == vpc || self.are_peers(of, vpc)));
                RangeSet::of(near.map(|(_, address)| (number(*address), number(*address))))
            }
        }
    }

    pub(crate) fn are_peers(&self, a: &str, b: &str) -> bool {
        self.snapshot.peerings.values().any(|peering| {
            let (one, other) = (peering.vpcs.0.as_str(), peering.vpcs.1.as_str());
            peering.active && ((one, other) == (a, b) || (other, one) == (a, b))
        })
    }

    /// How packets that an internet gateway takes in come to an address.
    pub(crate) fn entrance(&self, subnet: &Subnet, private: IpAddr, public: bool) -> Entrance {
        let family = AddressFamily::of(private);
        // IPv6 addresses are public by themselves; the block says which.
        let is_global = family == AddressFamily::V6 && internet(family).contains(number(private));
        if !public && !is_global {
            return Entrance::Closed;
        }
        for table in edge_tables(self.snapshot, &subnet.vpc) {
            let covers = |route: &&Route| matches!(&route.destination, Block::Cidr(block) if block.contains(private));
            let best = table.routes.iter().filter(covers).max_by_key(|route| match &route.destination {
                Block::Cidr(block) => block.prefix(),
                Block::PrefixList(_) => 0,
            });
            match best {
                None => {}
                Some(route) if route.target == Target::Local => {}
                Some(route) if route.active => return Entrance::Appliance(route.target.id().to_owned()),
                Some(_) => return Entrance::Closed,
            }
        }
        Entrance::Direct
    }

    /// The components before a subnet's ACL.
    pub(crate) fn way_in(&self, class: SourceClass, via: &Arc<str>, subnet: &Subnet) -> Vec<Step> {
        let kind = match class {
            SourceClass::Internet => "AWS::EC2::InternetGateway",
            SourceClass::Peer => "AWS::EC2::VPCPeeringConnection",
            SourceClass::Vpn => "AWS::EC2::VPNGateway",
            SourceClass::Transit => "AWS::EC2::TransitGateway",
            SourceClass::LoadBalancer => "AWS::ElasticLoadBalancingV2::LoadBalancer",
            SourceClass::Appliance if via.starts_with("vpce-") => "AWS::EC2::VPCEndpoint",
            SourceClass::Appliance => "AWS::EC2::NetworkInterface",
        };
        let own = Step { component_type: kind, component_id: Arc::clone(via), rule: None };
        if class != SourceClass::Appliance {
            return vec![own];
        }
        let mut gateways = self.snapshot.internet_gateways.iter();
        let before = gateways.find(|(_, of)| of.vpc.as_ref() == Some(&subnet.vpc));
        let before =
            before.map(|(id, _)| Step { component_type: "AWS::EC2::InternetGateway", component_id: Arc::from(id.as_str()), rule: None });
        before.into_iter().chain([own]).collect()
    }

    /// A way: what comes first, then the subnet's ACL, the group, the interface and its instance.
    pub(crate) fn path(&self, first: &[Step], names: &Names, interface: &Interface, range: &Range) -> Arc<[Step]> {
        let mut path = Vec::with_capacity(first.len() + 4);
        path.extend_from_slice(first);
        let step = |component_type, id: &Arc<str>, rule| Step { component_type, component_id: Arc::clone(id), rule };
        path.extend(names.acl.as_ref().map(|acl| step("AWS::EC2::NetworkAcl", acl, None)));
        if let (Some(name), Some(group)) = (names.groups.get(range.group), interface.groups.get(range.group)) {
            let rule = self.snapshot.groups.get(group).and_then(|group| group.rules.get(range.rule)).and_then(|rule| rule.id.clone());
            path.push(step("AWS::EC2::SecurityGroup", name, rule));
        }
        path.push(step("AWS::EC2::NetworkInterface", &names.interface, None));
        path.extend(names.instance.as_ref().map(|instance| step("AWS::EC2::Instance", instance, None)));
        path.into()
    }
}

/// Grants what a rule admits of some addresses, over the gateways that bring them.
fn grant_between(
    rule: &GroupRule,
    (group, at): (usize, usize),
    (first, last): (u128, u128),
    perimeter: &Perimeter,
    comes: &impl Fn(&Gateway) -> bool,
    by_door: &mut [Vec<Grant>],
) {
    for stretch in perimeter.overlapping(first, last) {
        if !perimeter.gateways.get(stretch.gateway).is_some_and(comes) {
            continue;
        }
        for (place, protocol) in PROTOCOLS.into_iter().enumerate() {
            let Some(wanted) = rule_range(rule, protocol) else { continue };
            let (first, last) = (stretch.first.max(first), stretch.last.min(last));
            let Some(grants) = by_door.get_mut(stretch.gateway * PROTOCOLS.len() + place) else { continue };
            for open in stretch.ports[place].ranges() {
                let ports = (open.0.max(wanted.0), open.1.min(wanted.1));
                if ports.0 > ports.1 {
                    continue;
                }
                // The next stretch often fares alike.
                let goes_on = |grant: &&mut Grant| {
                    (grant.ports, grant.partial, grant.group, grant.rule) == (ports, stretch.partial[place], group, at)
                        && grant.last.checked_add(1) == Some(first)
                };
                match grants.last_mut().filter(goes_on) {
                    Some(grant) => grant.last = last,
                    None => grants.push(Grant { ports, first, last, partial: stretch.partial[place], group, rule: at }),
                }
            }
        }
    }
}

impl Entrance {
    /// Whether what comes by a gateway comes in.
    pub(crate) fn admits(&self, gateway: &Gateway) -> bool {
        match gateway.class {
            SourceClass::Internet => *self != Self::Closed,
            SourceClass::Appliance => matches!(self, Self::Appliance(id) if *id == gateway.id),
            _ => true,
        }
    }

    /// What packets come by whose replies leave by a gateway.
    pub(crate) fn over(&self, gateway: &Gateway) -> Gateway {
        match self {
            Self::Appliance(id) if gateway.class == SourceClass::Internet => Gateway { class: SourceClass::Appliance, id: id.clone() },
            _ => gateway.clone(),
        }
    }
}

/// What is named in every opening of an interface, once.
pub(crate) struct Names {
    pub(crate) interface: Arc<str>,
    pub(crate) instance: Option<Arc<str>>,
    acl: Option<Arc<str>>,
    groups: Vec<Arc<str>>,
}

impl Names {
    pub(crate) fn of(id: &str, interface: &Interface, subnet: &Subnet) -> Self {
        Self {
            interface: Arc::from(id),
            instance: interface.instance.as_deref().map(Arc::from),
            acl: subnet.acl.as_deref().map(Arc::from),
            groups: interface.groups.iter().map(|group| Arc::from(group.as_str())).collect(),
        }
    }
}

/// The ports that a rule admits of a protocol.
const fn rule_range(rule: &GroupRule, protocol: u8) -> Option<(u16, u16)> {
    match rule.protocol {
        None => Some((0, u16::MAX)),
        Some(number) if number == protocol && rule.ports.0 <= rule.ports.1 => Some(rule.ports),
        Some(_) => None,
    }
}

pub(crate) fn admits(rule: &GroupRule, protocol: u8, port: u16) -> bool {
    rule_range(rule, protocol).is_some_and(|(first, last)| (first..=last).contains(&port))
}

pub(crate) fn openings(grants: &[Grant]) -> Vec<Range> {
    let mut sorted: Vec<&Grant> = grants.iter().collect();
    sorted.sort_unstable_by_key(|grant| grant.ports);
    let mut ranges = Vec::new();
    let mut rest = sorted.as_slice();
    while let Some(first) = rest.first() {
        // As far as each range overlaps or touches those before it.
        let mut last = first.ports.1;
        let mut length = 1;
        while let Some(next) = rest.get(length).filter(|next| next.ports.0 <= last.saturating_add(1)) {
            last = last.max(next.ports.1);
            length += 1;
        }
        let (parts, others) = rest.split_at(length);
        rest = others;
        // The first group that admits the range's first port is named, and its packet shown.
        let begins = parts.iter().filter(|grant| grant.ports.0 == first.ports.0);
        let Some(shown) = begins.min_by_key(|grant| (grant.group, grant.first, grant.rule)) else { continue };
        ranges.push(Range {
            ports: (first.ports.0, last),
            sources: Arc::new(RangeSet::of(parts.iter().map(|grant| (grant.first, grant.last)))),
            partial: parts.iter().all(|grant| grant.partial),
            source: shown.first,
            group: shown.group,
            rule: shown.rule,
        });
    }
    ranges
}
