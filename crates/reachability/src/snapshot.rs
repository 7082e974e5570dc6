//! What is configured: a network at one moment, as plain data. Where it comes from is not its business.
//!
//! What refers to something that is not in the snapshot is kept: whoever asks about it is told that it is missing, and never that
//! it is closed.

use crate::address::Cidr;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A network's configuration. Maps are by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Virtual private clouds.
    pub vpcs: BTreeMap<String, Vpc>,
    /// Subnets.
    pub subnets: BTreeMap<String, Subnet>,
    /// Route tables.
    pub route_tables: BTreeMap<String, RouteTable>,
    /// Internet gateways.
    pub internet_gateways: BTreeMap<String, InternetGateway>,
    /// Network ACLs.
    pub acls: BTreeMap<String, NetworkAcl>,
    /// Security groups.
    pub groups: BTreeMap<String, SecurityGroup>,
    /// Managed prefix lists.
    pub prefix_lists: BTreeMap<String, Vec<Cidr>>,
    /// Network interfaces.
    pub interfaces: BTreeMap<String, Interface>,
    /// Peering connections.
    pub peerings: BTreeMap<String, Peering>,
    /// Virtual private gateways, with the VPC that each is attached to.
    pub vpn_gateways: BTreeMap<String, Option<String>>,
    /// Transit gateways that are described: whether each lets rules name groups of the VPCs that it joins.
    pub transit_gateways: BTreeMap<String, bool>,
    /// Attachments to transit gateways.
    pub transit_attachments: BTreeMap<String, TransitAttachment>,
    /// Route tables of transit gateways.
    pub transit_tables: BTreeMap<String, Vec<TransitRoute>>,
    /// Load balancers.
    pub load_balancers: BTreeMap<String, LoadBalancer>,
    /// Target groups.
    pub target_groups: BTreeMap<String, TargetGroup>,
    /// VPCs, or subnets, that block public access applies to: those that packets from the internet do not enter.
    pub blocked_from_internet: Vec<String>,
    /// Whether routes were looked up at all. Without them what the addresses suggest is taken for granted, and that is said.
    pub routes_unknown: bool,
    /// What of the input could not be understood, in plain words. What is said about the network may then be incomplete.
    pub problems: Vec<String>,
}

/// A virtual private cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vpc {
    /// Its blocks.
    pub cidrs: Vec<Cidr>,
}

/// A subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subnet {
    /// Its VPC.
    pub vpc: String,
    /// The route table that it is associated with; without one the VPC's main table counts.
    pub route_table: Option<String>,
    /// Its network ACL.
    pub acl: Option<String>,
    /// Its availability zone.
    pub zone: String,
}

/// A route table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteTable {
    /// Its VPC.
    pub vpc: String,
    /// Whether it is the VPC's main one.
    pub main: bool,
    /// Its routes, in any order.
    pub routes: Vec<Route>,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads to.
    pub destination: Block,
    /// Over what.
    pub target: Target,
    /// Whether it works; one that does not drops packets.
    pub active: bool,
    /// Whether a gateway propagated it.
    pub propagated: bool,
}

/// Addresses that a rule or a route names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Block {
    /// A block.
    Cidr(Cidr),
    /// A prefix list, by its id.
    PrefixList(String),
}

/// Over what a route leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// Within the VPC.
    Local,
    /// An internet gateway.
    InternetGateway(String),
    /// A peering connection.
    Peering(String),
    /// A virtual private gateway.
    VpnGateway(String),
    /// A transit gateway.
    TransitGateway(String),
    /// What nothing comes in by: NAT, egress-only gateways, endpoints, carriers, interfaces.
    Other(String),
}

impl Target {
    /// The id that names it.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Local => "local",
            Self::InternetGateway(id) | Self::Peering(id) | Self::VpnGateway(id) | Self::TransitGateway(id) | Self::Other(id) => id,
        }
    }
}

/// An internet gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InternetGateway {
    /// The VPC that it is attached to.
    pub vpc: Option<String>,
    /// The route table that takes packets from it, where one does.
    pub edge_table: Option<String>,
}

/// A network ACL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkAcl {
    /// Its entries, in any order: their numbers decide.
    pub entries: Vec<AclEntry>,
}

/// An entry of a network ACL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclEntry {
    /// Its number; the lowest that matches decides.
    pub number: u32,
    /// Whether it is for packets that leave.
    pub egress: bool,
    /// Whether it admits them.
    pub allow: bool,
    /// The protocol's number; none is every one.
    pub protocol: Option<u8>,
    /// First and last destination port; ignored where the protocol is every one.
    pub ports: (u16, u16),
    /// The other side's addresses.
    pub cidr: Cidr,
}

/// A security group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityGroup {
    /// Its VPC.
    pub vpc: String,
    /// Its rules, in any order.
    pub rules: Vec<GroupRule>,
}

/// A rule of a security group: what it matches is admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRule {
    /// Its id (`sgr-…`), where it is known.
    pub id: Option<String>,
    /// Whether it is for packets that leave.
    pub egress: bool,
    /// The protocol's number; none is every one.
    pub protocol: Option<u8>,
    /// First and last destination port; ignored where the protocol is every one.
    pub ports: (u16, u16),
    /// The other side.
    pub peer: RulePeer,
}

/// The other side of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RulePeer {
    /// Addresses.
    Block(Block),
    /// The private addresses of a group's members.
    Group(String),
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its subnet.
    pub subnet: String,
    /// Its private addresses, each with the public one that is translated to it; IPv6 ones have none.
    pub addresses: Vec<Address>,
    /// Its security groups.
    pub groups: Vec<String>,
    /// The instance that it is attached to.
    pub instance: Option<String>,
    /// Whether it is its instance's first.
    pub primary: bool,
    /// Whose it is, where AWS keeps it for a service.
    pub description: String,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Inside.
    pub private: IpAddr,
    /// Outside: an elastic or an assigned address.
    pub public: Option<IpAddr>,
}

/// A peering connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peering {
    /// The two VPCs.
    pub vpcs: (String, String),
    /// Blocks of the two, where they are not in the snapshot themselves.
    pub cidrs: (Vec<Cidr>, Vec<Cidr>),
    /// Whether it is active.
    pub active: bool,
}

/// An attachment to a transit gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransitAttachment {
    /// The transit gateway.
    pub gateway: String,
    /// The VPC that is attached; none of another network.
    pub vpc: Option<String>,
    /// The table that its packets are routed by.
    pub table: Option<String>,
    /// Whether rules may name groups over it (`SecurityGroupReferencingSupport`); none where that is not described.
    pub group_references: Option<bool>,
}

/// A route of a transit gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransitRoute {
    /// Where it leads to.
    pub destination: Cidr,
    /// The attachment that it leads over; none drops packets.
    pub attachment: Option<String>,
}

/// What kind of load balancer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BalancerKind {
    /// Application: it answers clients itself.
    #[default]
    Application,
    /// Classic: so does it, and its subnet's ACL is asked even within the subnet.
    Classic,
    /// Network: it may keep the client's address.
    Network,
    /// Gateway: it has no groups and serves appliances.
    Gateway,
}

/// A load balancer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadBalancer {
    /// Its kind.
    pub kind: BalancerKind,
    /// Whether clients reach it from the internet.
    pub internet_facing: bool,
    /// Its security groups; a network load balancer may have none.
    pub groups: Vec<String>,
    /// Its interfaces, by id.
    pub interfaces: Vec<String>,
    /// The zones that it is enabled in: targets in others get nothing. Where none is named, those of its interfaces.
    pub zones: BTreeSet<String>,
    /// Whether each node sends to targets in other zones, where a target group does not say otherwise.
    pub cross_zone: bool,
    /// Its listeners.
    pub listeners: Vec<Listener>,
}

/// A listener of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its ARN, where it has one.
    pub id: Option<String>,
    /// The protocol's number: 6 or 17.
    pub protocols: Vec<u8>,
    /// Its port.
    pub port: u16,
    /// The target groups that any of its rules forwards to.
    pub target_groups: Vec<String>,
}

/// A target group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetGroup {
    /// Whether targets see the client's address.
    pub preserves_client: bool,
    /// Whether nodes send to targets in other zones; none where that is the load balancer's to say.
    pub cross_zone: Option<bool>,
    /// Its targets.
    pub targets: Vec<BalancerTarget>,
}

/// A target of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalancerTarget {
    /// An instance's id, an interface's, an address, or a load balancer's.
    pub id: String,
    /// The port.
    pub port: u16,
}

impl Snapshot {
    /// Whether a rule may name a group over a transit gateway: it and both attachments must let it. None where one of them does not
    /// say, and none forbids it.
    #[must_use]
    pub(crate) fn group_references(&self, gateway: &str, attachments: [&TransitAttachment; 2]) -> Option<bool> {
        let said = [self.transit_gateways.get(gateway).copied(), attachments[0].group_references, attachments[1].group_references];
        if said.contains(&Some(false)) { Some(false) } else { said.iter().all(Option::is_some).then_some(true) }
    }

    /// The route table of a subnet: its own, else its VPC's main one.
    #[must_use]
    pub fn route_table(&self, subnet: &Subnet) -> Option<(&str, &RouteTable)> {
        let own = subnet.route_table.as_ref().and_then(|id| self.route_tables.get_key_value(id));
        let main = || self.route_tables.iter().find(|(_, table)| table.main && table.vpc == subnet.vpc);
        // An association with a table that is not here is no reason to take another one.
        let found = if subnet.route_table.is_some() { own } else { main() };
        found.map(|(id, table)| (id.as_str(), table))
    }
}
