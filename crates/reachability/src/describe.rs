//! A snapshot from the JSON of AWS's `describe-*` calls, as its command line prints them, in one document or several.
//!
//! Members that are not known are passed over. What is there and cannot be understood is a problem of the snapshot and is told: it
//! never counts as closed.

use crate::address::Cidr;
use crate::references::{missing_references, targets_over_transit};
use crate::snapshot::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The most objects of one kind.
const MAX_OBJECTS: usize = 2_000_000;
const MAX_PROBLEMS: usize = 1_000;
/// Lists without which the answer is another one.
const KNOWN: [&str; 21] = [
    "vpcs",
    "subnets",
    "networkacls",
    "prefixlists",
    "routetables",
    "internetgateways",
    "vpngateways",
    "vpcpeeringconnections",
    "securitygroups",
    "securitygrouprules",
    "networkinterfaces",
    "reservations",
    "instances",
    "addresses",
    "transitgatewayattachments",
    "transitgatewayroutetables",
    "loadbalancers",
    "listeners",
    "targetgroups",
    "targethealthdescriptions",
    "loadbalancerdescriptions",
];

/// A document that holds no description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescribeError {
    /// Not an object at its top.
    #[error("a document is not a JSON object of descriptions")]
    NotAnObject,
    /// None of the lists that make up a network.
    #[error("nothing in it describes a network: no subnets and no interfaces")]
    Nothing,
}

/// Reads documents into a snapshot.
///
/// # Errors
/// When one of them is no description, or they describe no network.
pub fn read_descriptions(documents: &[Value]) -> Result<Snapshot, DescribeError> {
    let mut reader = Reader::default();
    for document in documents {
        let object = document.as_object().ok_or(DescribeError::NotAnObject)?;
        for (key, value) in object {
            // `SecurityGroups`, `security_groups`, `securityGroups`: collectors differ.
            let key: String = key.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect();
            match value {
                Value::Array(list) => {
                    if list.len() > MAX_OBJECTS {
                        reader.problem(format!("'{key}' has more than {MAX_OBJECTS} entries: the rest is not looked at"));
                    }
                    reader.lists.entry(key).or_default().extend(list.iter().take(MAX_OBJECTS));
                }
                Value::Object(_) => reader.lists.entry(key).or_default().push(value),
                // Markers of pages, names of collectors.
                Value::String(_) if !KNOWN.contains(&key.as_str()) => {}
                Value::Null => {}
                _ if KNOWN.contains(&key.as_str()) => reader.problem(format!("'{key}' is no list")),
                _ => {}
            }
        }
    }
    if reader.list("subnets").is_empty() && reader.list("networkinterfaces").is_empty() && reader.instances().is_empty() {
        return Err(DescribeError::Nothing);
    }
    Ok(reader.snapshot())
}

#[derive(Default)]
struct Reader<'a> {
    lists: BTreeMap<String, Vec<&'a Value>>,
    problems: Vec<String>,
    /// Problems beyond those that are kept.
    more: usize,
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn owned(value: &Value, key: &str) -> Option<String> {
    Some(text(value, key)).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    items(value, key).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn port(value: &Value) -> Option<u16> {
    value.as_i64().and_then(|port| u16::try_from(port).ok())
}

impl<'a> Reader<'a> {
    fn list(&self, key: &str) -> Vec<&'a Value> {
        self.lists.get(key).cloned().unwrap_or_default()
    }

    fn problem(&mut self, problem: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        } else {
            self.more += 1;
        }
    }

    /// The entries of a member that is a list; anything else that is there is told.
    fn entries<'v>(&mut self, of: &str, value: &'v Value, key: &str) -> &'v [Value] {
        if !matches!(value[key], Value::Array(_) | Value::Null) {
            self.problem(format!("{of}: its '{key}' is no list"));
        }
        items(value, key)
    }

    /// The entries of a member that always is a list.
    fn list_of<'v>(&mut self, of: &str, value: &'v Value, key: &str) -> &'v [Value] {
        if !value[key].is_array() {
            self.problem(format!("{of}: its '{key}' is no list"));
        }
        items(value, key)
    }

    /// A member that always is there.
    fn required(&mut self, of: &str, value: &Value, key: &str) -> Option<String> {
        let found = owned(value, key);
        if found.is_none() {
            self.problem(format!("{of} without a '{key}'"));
        }
        found
    }

    /// Whether a member that always is there is true.
    fn flag(&mut self, of: &str, value: &Value, key: &str) -> bool {
        if !value[key].is_boolean() {
            self.problem(format!("{of}: its '{key}' is neither true nor false"));
        }
        value[key] == true
    }

    /// Whether a state means that something works. What is not known to be closed is open, and is told.
    fn is_open(&mut self, of: &str, what: &str, state: &str, open: &[&str], closed: &[&str]) -> bool {
        if open.contains(&state) {
            return true;
        }
        if closed.contains(&state) {
            return false;
        }
        if state.is_empty() {
            self.problem(format!("{of}: the state of its {what} is not described: it is taken to work"));
            return true;
        }
        let state = state.chars().take(32).collect::<String>();
        self.problem(format!("{of}: the state '{state}' of its {what} is not known: it is taken to work"));
        true
    }

    fn cidr(&mut self, of: &str, text: &str) -> Option<Cidr> {
        match text.parse() {
            Ok(block) => Some(block),
            Err(error) => {
                self.problem(format!("{of}: {error}"));
                None
            }
        }
    }

    fn instances(&self) -> Vec<&'a Value> {
        let nested = self.list("reservations").into_iter().flat_map(|reservation| items(reservation, "Instances"));
        self.list("instances").into_iter().chain(nested).collect()
    }

    fn snapshot(mut self) -> Snapshot {
        let mut snapshot = Snapshot { routes_unknown: !self.lists.contains_key("routetables"), ..Snapshot::default() };
        if snapshot.routes_unknown {
            self.problem("no route tables are described: what addresses and gateways suggest is taken for granted".into());
        }
        self.vpcs(&mut snapshot);
        self.subnets(&mut snapshot);
        self.acls(&mut snapshot);
        self.prefix_lists(&mut snapshot);
        self.route_tables(&mut snapshot);
        self.gateways(&mut snapshot);
        self.groups(&mut snapshot);
        self.interfaces(&mut snapshot);
        self.elastic_addresses(&mut snapshot);
        self.transit(&mut snapshot);
        self.load_balancers(&mut snapshot);
        self.public_access(&mut snapshot);
        for missing in missing_references(&snapshot) {
            self.problem(missing);
        }
        for target in targets_over_transit(&snapshot) {
            self.problem(target);
        }
        if self.more > 0 {
            self.problems.push(format!("and {} more", self.more));
        }
        snapshot.problems = self.problems;
        snapshot
    }

    fn vpcs(&mut self, snapshot: &mut Snapshot) {
        for vpc in self.list("vpcs") {
            let Some(id) = self.required("a VPC", vpc, "VpcId") else { continue };
            let more = items(vpc, "CidrBlockAssociationSet").iter().filter(|set| text(&set["CidrBlockState"], "State") != "disassociated");
            let v6 = items(vpc, "Ipv6CidrBlockAssociationSet").iter().map(|set| text(set, "Ipv6CidrBlock"));
            let named: BTreeSet<&str> = std::iter::once(text(vpc, "CidrBlock"))
                .chain(more.map(|set| text(set, "CidrBlock")))
                .chain(v6)
                .filter(|text| !text.is_empty())
                .collect();
            let cidrs = named.into_iter().filter_map(|text| self.cidr(&id, text)).collect();
            snapshot.vpcs.insert(id, Vpc { cidrs });
        }
    }

    fn subnets(&mut self, snapshot: &mut Snapshot) {
        for subnet in self.list("subnets") {
            let Some(id) = self.required("a subnet", subnet, "SubnetId") else { continue };
            let zone = [text(subnet, "AvailabilityZone"), text(subnet, "AvailabilityZoneId")].into_iter().find(|zone| !zone.is_empty());
            let described =
                Subnet { vpc: text(subnet, "VpcId").to_owned(), zone: zone.unwrap_or_default().to_owned(), ..Subnet::default() };
            snapshot.subnets.insert(id, described);
        }
    }

    fn acls(&mut self, snapshot: &mut Snapshot) {
        let mut defaults: BTreeMap<String, String> = BTreeMap::new();
        for acl in self.list("networkacls") {
            let Some(id) = self.required("a network ACL", acl, "NetworkAclId") else { continue };
            if acl["IsDefault"] == true {
                defaults.insert(text(acl, "VpcId").to_owned(), id.clone());
            }
            for association in self.list_of(&id, acl, "Associations") {
                if !snapshot.subnets.contains_key(text(association, "SubnetId")) {
                    self.problem(format!("{id}: it is associated with a subnet that is not described"));
                }
                if let Some(subnet) = snapshot.subnets.get_mut(text(association, "SubnetId")) {
                    subnet.acl = Some(id.clone());
                }
            }
            let listed = self.list_of(&id, acl, "Entries");
            let entries: Vec<AclEntry> = listed.iter().filter_map(|entry| self.acl_entry(&id, entry)).collect();
            let mut numbers = BTreeSet::new();
            // Each family has its numbers.
            if !entries.iter().all(|entry| numbers.insert((entry.egress, entry.cidr.family, entry.number))) {
                self.problem(format!("{id}: two of its rules have one number, and which counts is not known"));
            }
            snapshot.acls.insert(id, NetworkAcl { entries });
        }
        for subnet in snapshot.subnets.values_mut().filter(|subnet| subnet.acl.is_none()) {
            subnet.acl = defaults.get(&subnet.vpc).cloned();
        }
    }

    fn acl_entry(&mut self, acl: &str, entry: &Value) -> Option<AclEntry> {
        let Some(block) = ["CidrBlock", "Ipv6CidrBlock"].into_iter().map(|key| text(entry, key)).find(|text| !text.is_empty()) else {
            self.problem(format!("{acl}: a rule without a block of addresses"));
            return None;
        };
        let cidr = self.cidr(acl, block)?;
        let protocol = self.protocol(acl, text(entry, "Protocol"))?;
        let allow = match text(entry, "RuleAction") {
            "allow" => true,
            "deny" => false,
            other => {
                self.problem(format!("{acl}: '{other}' is no action of a rule"));
                return None;
            }
        };
        let range = &entry["PortRange"];
        let ports = (port(&range["From"]).unwrap_or(0), port(&range["To"]).unwrap_or(u16::MAX));
        // Of a protocol without ports there is no range, or one that is none.
        let has_ports = matches!(protocol, Some(6 | 17)) && !range.is_null();
        if has_ports && (port(&range["From"]).is_none() || port(&range["To"]).is_none() || ports.0 > ports.1) {
            self.problem(format!("{acl}: a rule whose ports are none"));
        }
        let number = entry["RuleNumber"].as_u64().and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            self.problem(format!("{acl}: a rule without a number"));
        }
        let number = number.unwrap_or(u32::MAX);
        Some(AclEntry { number, egress: self.flag(acl, entry, "Egress"), allow, protocol, ports, cidr })
    }

    /// A protocol by its number or name; the inner none is every one.
    #[allow(clippy::option_option, reason = "unknown, every one, one")]
    fn protocol(&mut self, of: &str, text: &str) -> Option<Option<u8>> {
        match text {
            "-1" | "all" => Some(None),
            "tcp" => Some(Some(6)),
            "udp" => Some(Some(17)),
            "icmp" => Some(Some(1)),
            "icmpv6" => Some(Some(58)),
            number => match number.parse() {
                Ok(number) => Some(Some(number)),
                Err(_) => {
                    self.problem(format!("{of}: '{}' is no protocol", number.chars().take(32).collect::<String>()));
                    None
                }
            },
        }
    }

    fn prefix_lists(&mut self, snapshot: &mut Snapshot) {
        for list in self.list("prefixlists") {
            let Some(id) = self.required("a prefix list", list, "PrefixListId") else { continue };
            let named = texts(list, "Cidrs").into_iter().chain(items(list, "Entries").iter().filter_map(|entry| owned(entry, "Cidr")));
            let blocks: Vec<Cidr> = named.collect::<Vec<_>>().iter().filter_map(|text| self.cidr(&id, text)).collect();
            // One that is empty is known; one whose entries are not there is not.
            if list["Cidrs"].is_array() || list["Entries"].is_array() {
                snapshot.prefix_lists.insert(id, blocks);
            }
        }
        // `get-managed-prefix-list-entries` does not say whose they are; where the list is alone it is plain.
        let entries = self.list("entries");
        if let [id] = self.list("prefixlists").iter().filter_map(|list| owned(list, "PrefixListId")).collect::<Vec<_>>().as_slice()
            && !entries.is_empty()
        {
            let blocks = entries.iter().filter_map(|entry| self.cidr(id, text(entry, "Cidr"))).collect();
            snapshot.prefix_lists.insert(id.clone(), blocks);
        }
    }

    fn route_tables(&mut self, snapshot: &mut Snapshot) {
        for table in self.list("routetables") {
            let Some(id) = self.required("a route table", table, "RouteTableId") else { continue };
            let mut main = false;
            for association in self.list_of(&id, table, "Associations") {
                let subnet = text(association, "SubnetId");
                let is_known =
                    association["Main"] == true || snapshot.subnets.contains_key(subnet) || !text(association, "GatewayId").is_empty();
                if !is_known {
                    self.problem(format!("{id}: it is associated with something that is not described"));
                }
                main |= association["Main"] == true;
                if let Some(subnet) = snapshot.subnets.get_mut(text(association, "SubnetId")) {
                    subnet.route_table = Some(id.clone());
                }
                if let Some(gateway) = owned(association, "GatewayId").filter(|gateway| gateway.starts_with("igw-")) {
                    snapshot.internet_gateways.entry(gateway).or_default().edge_table = Some(id.clone());
                }
            }
            let listed = self.list_of(&id, table, "Routes");
            let routes = listed.iter().filter_map(|route| self.route(&id, route)).collect();
            snapshot.route_tables.insert(id, RouteTable { vpc: text(table, "VpcId").to_owned(), main, routes });
        }
    }

    fn route(&mut self, table: &str, route: &Value) -> Option<Route> {
        let block =
            ["DestinationCidrBlock", "DestinationIpv6CidrBlock"].into_iter().map(|key| text(route, key)).find(|text| !text.is_empty());
        let destination = match (block, owned(route, "DestinationPrefixListId")) {
            (Some(block), _) => Block::Cidr(self.cidr(table, block)?),
            (None, Some(list)) => Block::PrefixList(list),
            (None, None) => {
                self.problem(format!("{table}: a route without a destination"));
                return None;
            }
        };
        let gateway = text(route, "GatewayId");
        let named = |key: &str| owned(route, key);
        let target = if gateway == "local" {
            Target::Local
        } else if gateway.starts_with("igw-") {
            Target::InternetGateway(gateway.to_owned())
        } else if gateway.starts_with("vgw-") {
            Target::VpnGateway(gateway.to_owned())
        } else if let Some(id) = named("VpcPeeringConnectionId") {
            Target::Peering(id)
        } else if let Some(id) = named("TransitGatewayId") {
            Target::TransitGateway(id)
        } else {
            const OTHERS: [&str; 8] = [
                "NatGatewayId",
                "EgressOnlyInternetGatewayId",
                "NetworkInterfaceId",
                "InstanceId",
                "LocalGatewayId",
                "CarrierGatewayId",
                "CoreNetworkArn",
                "GatewayId",
            ];
            let other = OTHERS.into_iter().find_map(named);
            let is_known =
                |id: &String| ["nat-", "eigw-", "eni-", "i-", "lgw-", "cagw-", "arn:", "vpce-"].iter().any(|kind| id.starts_with(kind));
            if !other.as_ref().is_some_and(is_known) {
                self.problem(format!("{table}: a route over something that is not known; what comes by it is not told"));
            }
            Target::Other(other.unwrap_or_else(|| "?".to_owned()))
        };
        let active = self.is_open(table, "route", text(route, "State"), &["", "active"], &["blackhole"]);
        Some(Route { destination, target, active, propagated: text(route, "Origin") == "EnableVgwRoutePropagation" })
    }

    fn gateways(&mut self, snapshot: &mut Snapshot) {
        let mut described: BTreeSet<String> = BTreeSet::new();
        for gateway in self.list("internetgateways") {
            let Some(id) = self.required("a gateway", gateway, "InternetGatewayId") else { continue };
            let closed = ["attaching", "detaching", "detached"];
            let mut attachments = self.list_of(&id, gateway, "Attachments").iter();
            let attached = attachments
                .find(|attachment| self.is_open(&id, "attachment", text(attachment, "State"), &["", "available", "attached"], &closed));
            described.insert(id.clone());
            snapshot.internet_gateways.entry(id).or_default().vpc =
                attached.and_then(|attachment| self.required("an attachment", attachment, "VpcId"));
        }
        for id in snapshot.internet_gateways.keys().filter(|id| !described.contains(*id)) {
            self.problem(format!("{id}: a route table is for it, and it is not described"));
        }
        for gateway in self.list("vpngateways") {
            let Some(id) = self.required("a gateway", gateway, "VpnGatewayId") else { continue };
            let closed = ["attaching", "detaching", "detached"];
            let mut attachments = self.list_of(&id, gateway, "VpcAttachments").iter();
            let attached =
                attachments.find(|attachment| self.is_open(&id, "attachment", text(attachment, "State"), &["attached"], &closed));
            let vpc = attached.and_then(|attachment| self.required("an attachment", attachment, "VpcId"));
            snapshot.vpn_gateways.insert(id, vpc);
        }
        for peering in self.list("vpcpeeringconnections") {
            let Some(id) = self.required("a peering connection", peering, "VpcPeeringConnectionId") else { continue };
            let mut side = |key: &str| {
                let info = &peering[key];
                let named: BTreeSet<&str> = std::iter::once(text(info, "CidrBlock"))
                    .chain(items(info, "CidrBlockSet").iter().map(|set| text(set, "CidrBlock")))
                    .chain(items(info, "Ipv6CidrBlockSet").iter().map(|set| text(set, "Ipv6CidrBlock")))
                    .filter(|text| !text.is_empty())
                    .collect();
                (text(info, "VpcId").to_owned(), named.into_iter().filter_map(|text| self.cidr(&id, text)).collect::<Vec<_>>())
            };
            let (requester, accepter) = (side("RequesterVpcInfo"), side("AccepterVpcInfo"));
            if requester.0.is_empty() || accepter.0.is_empty() {
                self.problem(format!("{id}: one of its sides has no VPC"));
            }
            let closed =
                ["initiating-request", "pending-acceptance", "expired", "failed", "provisioning", "deleted", "deleting", "rejected"];
            let active = self.is_open(&id, "peering", text(&peering["Status"], "Code"), &["active"], &closed);
            snapshot.peerings.insert(id, Peering { vpcs: (requester.0, accepter.0), cidrs: (requester.1, accepter.1), active });
        }
    }

    fn groups(&mut self, snapshot: &mut Snapshot) {
        let mut single: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for rule in self.list("securitygrouprules") {
            single.entry(text(rule, "GroupId")).or_default().push(rule);
        }
        for group in self.list("securitygroups") {
            let Some(id) = self.required("a group", group, "GroupId") else { continue };
            let mut rules = Vec::new();
            // Rules that are listed one by one have ids; both lists say the same.
            if let Some(listed) = single.get(id.as_str()) {
                for rule in listed {
                    let egress = self.flag(&id, rule, "IsEgress");
                    let Some((protocol, ports)) = self.ports(&id, rule) else { continue };
                    let peer = if let Some(block) = owned(rule, "CidrIpv4").or_else(|| owned(rule, "CidrIpv6")) {
                        self.cidr(&id, &block).map(|block| RulePeer::Block(Block::Cidr(block)))
                    } else if let Some(list) = owned(rule, "PrefixListId") {
                        Some(RulePeer::Block(Block::PrefixList(list)))
                    } else {
                        owned(&rule["ReferencedGroupInfo"], "GroupId").map(RulePeer::Group)
                    };
                    match peer {
                        Some(peer) => rules.push(GroupRule { id: owned(rule, "SecurityGroupRuleId"), egress, protocol, ports, peer }),
                        None => self.problem(format!("{id}: a rule without a source that is known")),
                    }
                }
            }
            // A list of rules may have been cut: what the group itself says counts too.
            let mut own = Vec::new();
            for (key, egress) in [("IpPermissions", false), ("IpPermissionsEgress", true)] {
                for permission in self.list_of(&id, group, key) {
                    self.permission(&id, permission, egress, &mut own);
                }
            }
            let says = |rule: &GroupRule, other: &GroupRule| {
                (rule.egress, rule.protocol, rule.ports, &rule.peer) == (other.egress, other.protocol, other.ports, &other.peer)
            };
            own.retain(|rule| !rules.iter().any(|listed| says(listed, rule)));
            rules.extend(own);
            snapshot.groups.insert(id, SecurityGroup { vpc: text(group, "VpcId").to_owned(), rules });
        }
    }

    /// The protocol and ports of a rule.
    #[allow(clippy::type_complexity, reason = "a protocol and a range of ports")]
    fn ports(&mut self, group: &str, rule: &Value) -> Option<(Option<u8>, (u16, u16))> {
        let protocol = self.protocol(group, text(rule, "IpProtocol"))?;
        let (from, to) = (rule["FromPort"].as_i64(), rule["ToPort"].as_i64());
        // -1, or nothing, is every port.
        let ports = match (from, to) {
            (Some(from), Some(to)) if from >= 0 => (u16::try_from(from).ok(), u16::try_from(to.max(from)).ok()),
            _ => (Some(0), Some(u16::MAX)),
        };
        match ports {
            (Some(from), Some(to)) => Some((protocol, (from, to))),
            _ => {
                self.problem(format!("{group}: a rule whose ports are none"));
                None
            }
        }
    }

    fn permission(&mut self, group: &str, permission: &Value, egress: bool, rules: &mut Vec<GroupRule>) {
        let Some((protocol, ports)) = self.ports(group, permission) else { return };
        let mut peers = Vec::new();
        for (list, key) in [("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")] {
            for range in self.entries(group, permission, list) {
                peers.extend(self.cidr(group, text(range, key)).map(|block| RulePeer::Block(Block::Cidr(block))));
            }
        }
        for list in self.entries(group, permission, "PrefixListIds") {
            let list = self.required(group, list, "PrefixListId");
            peers.extend(list.map(|list| RulePeer::Block(Block::PrefixList(list))));
        }
        for pair in self.entries(group, permission, "UserIdGroupPairs") {
            peers.extend(self.required(group, pair, "GroupId").map(RulePeer::Group));
        }
        if peers.is_empty() {
            self.problem(format!("{group}: a rule that admits nobody who is named"));
        }
        rules.extend(peers.into_iter().map(|peer| GroupRule { id: None, egress, protocol, ports, peer }));
    }

    fn interfaces(&mut self, snapshot: &mut Snapshot) {
        for interface in self.list("networkinterfaces") {
            let attachment = &interface["Attachment"];
            let instance = owned(attachment, "InstanceId");
            let is_odd = !(attachment.is_object() || attachment.is_null()) || !(attachment["InstanceId"].is_null() || instance.is_some());
            if is_odd {
                self.problem(format!("{}: what it is attached to is not understood", text(interface, "NetworkInterfaceId")));
            }
            let primary = attachment["DeviceIndex"].as_u64().is_none_or(|index| index == 0);
            self.interface(interface, instance, primary, snapshot);
        }
        for instance in self.instances() {
            let Some(id) = owned(instance, "InstanceId") else { continue };
            if matches!(text(&instance["State"], "Name"), "terminated" | "shutting-down") {
                continue;
            }
            for interface in items(instance, "NetworkInterfaces") {
                let known = snapshot.interfaces.get_mut(text(interface, "NetworkInterfaceId"));
                let primary = interface["Attachment"]["DeviceIndex"].as_u64().is_none_or(|index| index == 0);
                match known {
                    Some(known) => known.instance = Some(id.clone()),
                    None => self.interface(interface, Some(id.clone()), primary, snapshot),
                }
            }
        }
    }

    /// Elastic addresses that the interfaces themselves do not name.
    fn elastic_addresses(&mut self, snapshot: &mut Snapshot) {
        for elastic in self.list("addresses") {
            let parsed = |key: &str| text(elastic, key).parse::<IpAddr>().ok();
            let (Some(public), Some(private)) = (parsed("PublicIp"), parsed("PrivateIpAddress")) else { continue };
            let Some(interface) = snapshot.interfaces.get_mut(text(elastic, "NetworkInterfaceId")) else { continue };
            if let Some(address) = interface.addresses.iter_mut().find(|address| address.private == private) {
                address.public.get_or_insert(public);
            }
        }
    }

    /// The public address that is said of an interface or of an address of it.
    fn public(&mut self, id: &str, of: &Value) -> Option<IpAddr> {
        let association = &of["Association"];
        if association.is_null() {
            return None;
        }
        let public = text(association, "PublicIp").parse().ok();
        if public.is_none() {
            self.problem(format!("{id}: a public address that is none"));
        }
        public
    }

    fn interface(&mut self, described: &Value, instance: Option<String>, primary: bool, snapshot: &mut Snapshot) {
        let Some(id) = self.required("an interface", described, "NetworkInterfaceId") else { return };
        let address = |text: &str| text.parse::<IpAddr>().ok();
        let first = address(text(described, "PrivateIpAddress"));
        let own = self.public(&id, described);
        let mut addresses = Vec::new();
        for entry in self.list_of(&id, described, "PrivateIpAddresses") {
            let Some(private) = address(text(entry, "PrivateIpAddress")) else {
                self.problem(format!("{id}: an address that is none"));
                continue;
            };
            // Where only the interface says so, it speaks of its first address.
            let public = self.public(&id, entry).or_else(|| own.filter(|_| Some(private) == first));
            addresses.push(Address { private, public });
        }
        if let Some(private) = first.filter(|first| !addresses.iter().any(|address| address.private == *first)) {
            addresses.insert(0, Address { private, public: own });
        }
        let v6 = items(described, "Ipv6Addresses").iter().filter_map(|entry| address(text(entry, "Ipv6Address")));
        addresses.extend(v6.map(|private| Address { private, public: None }));
        if self.entries(&id, described, "Ipv6Addresses").iter().any(|entry| address(text(entry, "Ipv6Address")).is_none())
            || addresses.is_empty()
        {
            self.problem(format!("{id}: an interface without an address, or with one that is none"));
        }
        let listed = self.list_of(&id, described, "Groups");
        let groups: Vec<String> = listed.iter().filter_map(|group| owned(group, "GroupId")).collect();
        if groups.len() != listed.len() {
            self.problem(format!("{id}: a security group without an id"));
        }
        let description = text(described, "Description").to_owned();
        let subnet = text(described, "SubnetId").to_owned();
        snapshot.interfaces.insert(id, Interface { subnet, addresses, groups, instance, primary, description });
    }

    fn transit(&mut self, snapshot: &mut Snapshot) {
        for attachment in self.list("transitgatewayattachments").into_iter().chain(self.list("transitgatewayvpcattachments")) {
            let Some(id) = self.required("an attachment", attachment, "TransitGatewayAttachmentId") else { continue };
            let vpc = owned(attachment, "VpcId")
                .or_else(|| owned(attachment, "ResourceId").filter(|_| text(attachment, "ResourceType") == "vpc"));
            let closed = ["deleted", "deleting", "failed", "failing", "initiating", "initiatingRequest", "pending"];
            let closed = [&closed[..], &["pendingAcceptance", "rejected", "rejecting", "rollingBack"]].concat();
            if !self.is_open(&id, "attachment", text(attachment, "State"), &["", "available", "modifying"], &closed) {
                continue;
            }
            let known = snapshot.transit_attachments.entry(id).or_default();
            known.gateway = text(attachment, "TransitGatewayId").to_owned();
            known.vpc = vpc.or_else(|| known.vpc.take());
            known.table = owned(&attachment["Association"], "TransitGatewayRouteTableId").or_else(|| known.table.take());
            // The list of all attachments has no options; that of VPCs' attachments has, and no associations.
            known.group_references = self.references_groups(attachment).or(known.group_references);
        }
        for gateway in self.list("transitgateways") {
            let Some(id) = self.required("a transit gateway", gateway, "TransitGatewayId") else { continue };
            if let Some(refers) = self.references_groups(gateway) {
                snapshot.transit_gateways.insert(id, refers);
            }
        }
        let mut tables: BTreeMap<String, Option<Vec<TransitRoute>>> = BTreeMap::new();
        for table in self.list("transitgatewayroutetables") {
            let Some(id) = self.required("a route table", table, "TransitGatewayRouteTableId") else { continue };
            let known = tables.entry(id.clone()).or_default();
            // Tables are listed without their routes, which are searched for one by one.
            if table["Routes"].is_null() {
                continue;
            }
            let known = known.get_or_insert_default();
            for route in self.list_of(&id, table, "Routes") {
                let Some(destination) = self.cidr(&id, text(route, "DestinationCidrBlock")) else { continue };
                let over = items(route, "TransitGatewayAttachments")
                    .first()
                    .and_then(|attachment| owned(attachment, "TransitGatewayAttachmentId"));
                let active =
                    self.is_open(&id, "route", text(route, "State"), &["active"], &["blackhole", "deleted", "deleting", "pending"]);
                if over.is_none() && active {
                    self.problem(format!("{id}: a route over nothing that is known"));
                }
                known.push(TransitRoute { destination, attachment: over.filter(|_| active) });
            }
            if table["AdditionalRoutesAvailable"] == true {
                self.problem(format!("{id}: it has more routes than are described"));
            }
        }
        for (id, routes) in tables {
            if routes.is_none() {
                self.problem(format!("{id}: its 'Routes' is no list"));
            }
            snapshot.transit_tables.insert(id, routes.unwrap_or_default());
        }
    }

    /// Whether a transit gateway or an attachment of one lets rules name groups; none where it does not say.
    fn references_groups(&mut self, described: &Value) -> Option<bool> {
        match text(&described["Options"], "SecurityGroupReferencingSupport") {
            "enable" => Some(true),
            "disable" => Some(false),
            "" => None,
            other => {
                let other = other.chars().take(32).collect::<String>();
                self.problem(format!("'{other}' is no SecurityGroupReferencingSupport: whether groups count over it is not known"));
                None
            }
        }
    }

    fn load_balancers(&mut self, snapshot: &mut Snapshot) {
        let named: BTreeSet<&str> = self.list("loadbalancers").iter().map(|balancer| text(balancer, "LoadBalancerArn")).collect();
        for listener in self.list("listeners") {
            if !named.contains(text(listener, "LoadBalancerArn")) || text(listener, "LoadBalancerArn").is_empty() {
                self.problem("a listener of a load balancer that is not described".into());
            }
        }
        let cross_zone: BTreeMap<&str, bool> = self
            .list("loadbalancerattributes")
            .into_iter()
            .map(|of| {
                (
                    text(of, "LoadBalancerArn"),
                    items(of, "Attributes")
                        .iter()
                        .any(|a| text(a, "Key") == "load_balancing.cross_zone.enabled" && text(a, "Value") == "true"),
                )
            })
            .collect();
        for balancer in self.list("loadbalancers") {
            let Some(arn) = self.required("a load balancer", balancer, "LoadBalancerArn") else { continue };
            let name = arn.split_once("loadbalancer/").map_or(arn.as_str(), |(_, name)| name);
            let kind = match text(balancer, "Type") {
                "network" => BalancerKind::Network,
                "gateway" => BalancerKind::Gateway,
                "application" => BalancerKind::Application,
                other => {
                    let other = other.chars().take(32).collect::<String>();
                    self.problem(format!("{name}: '{other}' is no type of a load balancer: it is taken for an application load balancer"));
                    BalancerKind::Application
                }
            };
            let described = format!("ELB {name}");
            let interfaces: Vec<String> =
                snapshot.interfaces.iter().filter(|(_, interface)| interface.description == described).map(|(id, _)| id.clone()).collect();
            // What a gateway load balancer hands on came by an endpoint: routes say over which, and that is told there.
            if interfaces.is_empty() && kind != BalancerKind::Gateway {
                self.problem(format!("{name}: none of its interfaces is described, so what it leads to is not known"));
            }
            let listeners = self.listeners(&arn, kind);
            if listeners.is_empty() && kind != BalancerKind::Gateway {
                self.problem(format!("{name}: none of its listeners is described"));
            }
            let facing = LoadBalancer {
                kind,
                internet_facing: kind != BalancerKind::Gateway && self.faces_internet(name, balancer),
                groups: texts(balancer, "SecurityGroups"),
                interfaces,
                zones: items(balancer, "AvailabilityZones").iter().filter_map(|zone| owned(zone, "ZoneName")).collect(),
                // Application load balancers always do.
                cross_zone: kind == BalancerKind::Application || cross_zone.get(arn.as_str()).copied().unwrap_or(false),
                listeners,
            };
            snapshot.load_balancers.insert(arn, facing);
        }
        self.target_groups(snapshot);
        self.classic(snapshot);
    }

    /// Whether clients reach a load balancer from the internet. Where nobody says so, they may.
    fn faces_internet(&mut self, of: &str, balancer: &Value) -> bool {
        match text(balancer, "Scheme") {
            "internet-facing" => true,
            "internal" => false,
            "" => {
                self.problem(format!("{of}: whether it faces the internet is not described: it is taken to"));
                true
            }
            other => {
                let other = other.chars().take(32).collect::<String>();
                self.problem(format!("{of}: '{other}' is no scheme of a load balancer: it is taken to face the internet"));
                true
            }
        }
    }

    fn listeners(&mut self, balancer: &str, kind: BalancerKind) -> Vec<Listener> {
        let mut listeners = Vec::new();
        for listener in self.list("listeners").into_iter().filter(|listener| text(listener, "LoadBalancerArn") == balancer) {
            let arn = text(listener, "ListenerArn");
            let path = arn.split_once(":listener/").map_or("", |(_, path)| path);
            let rules = self
                .list("rules")
                .into_iter()
                .filter(|rule| !path.is_empty() && text(rule, "RuleArn").contains(&format!(":listener-rule/{path}/")));
            let own = self.list_of(arn, listener, "DefaultActions");
            let mut groups: BTreeSet<String> = BTreeSet::new();
            for action in rules.flat_map(|rule| items(rule, "Actions")).chain(own) {
                let before = groups.len();
                groups.extend(owned(action, "TargetGroupArn"));
                groups.extend(items(&action["ForwardConfig"], "TargetGroups").iter().filter_map(|group| owned(group, "TargetGroupArn")));
                let forwards = !matches!(
                    text(action, "Type"),
                    "redirect" | "fixed-response" | "authenticate-cognito" | "authenticate-oidc" | "jwt-validation"
                );
                if forwards && groups.len() == before && owned(action, "TargetGroupArn").is_none_or(|group| !groups.contains(&group)) {
                    self.problem(format!("{arn}: an action that leads to nothing that is known"));
                }
            }
            let protocols = match text(listener, "Protocol") {
                "UDP" | "QUIC" => vec![17],
                "TCP_UDP" | "TCP_QUIC" => vec![6, 17],
                "HTTP" | "HTTPS" | "TCP" | "TLS" => vec![6],
                _ if kind == BalancerKind::Gateway => continue,
                other => {
                    self.problem(format!("{arn}: '{other}' is no protocol of a listener"));
                    continue;
                }
            };
            let Some(port) = port(&listener["Port"]) else {
                self.problem(format!("{arn}: a listener without a port"));
                continue;
            };
            listeners.push(Listener { id: owned(listener, "ListenerArn"), protocols, port, target_groups: groups.into_iter().collect() });
        }
        listeners
    }

    fn target_groups(&mut self, snapshot: &mut Snapshot) {
        let listed = self.list("targetgroups");
        let attribute = |attributes: &[Value], key: &str| match attributes.iter().find(|a| text(a, "Key") == key).map(|a| text(a, "Value"))
        {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        let health = self.list("targethealthdescriptions");
        let mut groups: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
        for group in listed {
            let Some(arn) = self.required("a group", group, "TargetGroupArn") else { continue };
            groups.entry(arn).or_default().push(group);
        }
        if health.iter().any(|of| !text(of, "TargetGroupArn").is_empty() && !groups.contains_key(text(of, "TargetGroupArn"))) {
            self.problem("the health of targets of a group that is not described".into());
        }
        // The health of a group's targets is asked for one by one: an answer says whose it is by a name beside it, by being in
        // the group, or by being the only one.
        let alone = groups.len() == 1 && self.lists.contains_key("targethealthdescriptions");
        for (arn, parts) in &groups {
            let listed = self.list("targetgroupattributes");
            let attributes =
                listed.iter().find(|of| text(of, "TargetGroupArn") == arn).map(|of| items(of, "Attributes")).unwrap_or_default();
            let said = |key: &str| parts.iter().map(|part| text(part, key)).find(|text| !text.is_empty()).unwrap_or_default();
            // By default instances see the client's address, and so do addresses over UDP; load balancers always do.
            let kind = said("TargetType");
            let by_default = kind == "instance" || matches!(said("Protocol"), "UDP" | "TCP_UDP" | "QUIC" | "TCP_QUIC");
            let preserves = kind == "alb" || attribute(attributes, "preserve_client_ip.enabled").unwrap_or(by_default);
            let within = parts.iter().filter_map(|part| part["TargetHealthDescriptions"].as_array());
            let named =
                health.iter().copied().filter(|of| text(of, "TargetGroupArn") == arn || alone && text(of, "TargetGroupArn").is_empty());
            let own: Vec<&Value> = within.clone().flatten().chain(named).collect();
            if own.is_empty() && within.count() == 0 && !alone {
                self.problem(format!("{arn}: the health of its targets is not described, so they are not known"));
            }
            let mut targets = Vec::new();
            for of in own {
                // Those that are being added, or are not well, may be sent to the next moment.
                if matches!(text(&of["TargetHealth"], "State"), "draining" | "unused") {
                    continue;
                }
                let at = port(&of["Target"]["Port"]).or_else(|| parts.iter().find_map(|part| port(&part["Port"])));
                match (self.required(arn, &of["Target"], "Id"), at) {
                    (Some(id), Some(port)) => targets.push(BalancerTarget { id, port }),
                    // A function has no port, and is no host.
                    (Some(_), None) if kind == "lambda" => {}
                    _ => self.problem(format!("{arn}: a target without an id or a port")),
                }
            }
            let cross_zone = attribute(attributes, "load_balancing.cross_zone.enabled");
            snapshot.target_groups.insert(arn.clone(), TargetGroup { preserves_client: preserves, cross_zone, targets });
        }
    }

    /// Classic load balancers, whose listeners lead to instances directly.
    fn classic(&mut self, snapshot: &mut Snapshot) {
        let attributes = self.list("loadbalancerattributes");
        for balancer in self.list("loadbalancerdescriptions") {
            let Some(name) = self.required("a load balancer", balancer, "LoadBalancerName") else { continue };
            let described = format!("ELB {name}");
            let interfaces: Vec<String> =
                snapshot.interfaces.iter().filter(|(_, interface)| interface.description == described).map(|(id, _)| id.clone()).collect();
            if interfaces.is_empty() {
                self.problem(format!("{name}: none of its interfaces is described, so what it leads to is not known"));
            }
            let mut listeners = Vec::new();
            for listener in items(balancer, "ListenerDescriptions").iter().map(|of| &of["Listener"]) {
                let (Some(from), Some(to)) = (port(&listener["LoadBalancerPort"]), port(&listener["InstancePort"])) else {
                    self.problem(format!("{name}: a listener without its ports"));
                    continue;
                };
                let group = format!("{name}:{from}");
                let targets = items(balancer, "Instances")
                    .iter()
                    .filter_map(|instance| owned(instance, "InstanceId"))
                    .map(|id| BalancerTarget { id, port: to });
                snapshot.target_groups.insert(group.clone(), TargetGroup { targets: targets.collect(), ..TargetGroup::default() });
                listeners.push(Listener { id: None, protocols: vec![6], port: from, target_groups: vec![group] });
            }
            let classic = LoadBalancer {
                kind: BalancerKind::Classic,
                internet_facing: self.faces_internet(&name, balancer),
                groups: texts(balancer, "SecurityGroups"),
                interfaces,
                zones: texts(balancer, "AvailabilityZones").into_iter().collect(),
                // Off only where its attributes say so: they are asked for one by one.
                cross_zone: attributes.iter().find(|of| text(of, "LoadBalancerName") == name).is_none_or(|of| {
                    let of = if of["LoadBalancerAttributes"].is_object() { &of["LoadBalancerAttributes"] } else { of };
                    of["CrossZoneLoadBalancing"]["Enabled"] != false
                }),
                listeners,
            };
            snapshot.load_balancers.insert(name, classic);
        }
    }

    fn public_access(&mut self, snapshot: &mut Snapshot) {
        let blocks = self
            .list("vpcblockpublicaccessoptions")
            .iter()
            .any(|options| matches!(text(options, "InternetGatewayBlockMode"), "block-bidirectional" | "block-ingress"));
        if !blocks {
            return;
        }
        let excluded: BTreeSet<String> = self
            .list("vpcblockpublicaccessexclusions")
            .into_iter()
            .filter(|exclusion| {
                let gone = ["create-failed", "delete-complete", "disable-complete"];
                text(exclusion, "InternetGatewayExclusionMode") == "allow-bidirectional" && !gone.contains(&text(exclusion, "State"))
            })
            .filter_map(|exclusion| text(exclusion, "ResourceArn").rsplit('/').next().map(str::to_owned))
            .collect();
        let open = |id: &str, subnet: &Subnet| excluded.contains(id) || excluded.contains(&subnet.vpc);
        snapshot.blocked_from_internet =
            snapshot.subnets.iter().filter(|(id, subnet)| !open(id, subnet)).map(|(id, _)| id.clone()).collect();
    }
}
