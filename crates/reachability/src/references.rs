//! What a snapshot refers to and does not hold. An answer that hangs on it is not complete, and must not be taken for closed.

use crate::snapshot::{BalancerKind, Block, RulePeer, Snapshot, Target, TransitAttachment};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What is missing, each once, in plain words.
pub(crate) fn missing_references(snapshot: &Snapshot) -> BTreeSet<String> {
    let mut missing = BTreeSet::new();
    routes(snapshot, &mut missing);
    rules(snapshot, &mut missing);
    balancers(snapshot, &mut missing);
    for (id, interface) in &snapshot.interfaces {
        // What instances lack is told with them.
        if interface.instance.is_some() {
            continue;
        }
        if !snapshot.subnets.contains_key(&interface.subnet) {
            missing.insert(format!("{id}: its subnet '{}' is not described", interface.subnet));
        }
        for group in interface.groups.iter().filter(|group| !snapshot.groups.contains_key(*group)) {
            missing.insert(format!("{id}: its security group '{group}' is not described"));
        }
    }
    for (id, subnet) in snapshot.subnets.iter().filter(|(_, subnet)| !snapshot.vpcs.contains_key(&subnet.vpc)) {
        missing.insert(format!("{id}: its VPC '{}' is not described", subnet.vpc));
    }
    missing
}

fn routes(snapshot: &Snapshot, missing: &mut BTreeSet<String>) {
    for (id, table) in &snapshot.route_tables {
        for route in table.routes.iter().filter(|route| route.active) {
            // AWS calls a route over what is detached a black hole: one that is active leads somewhere.
            let known = match &route.target {
                Target::InternetGateway(gateway) => {
                    snapshot.internet_gateways.get(gateway).is_some_and(|gateway| gateway.vpc.as_ref() == Some(&table.vpc))
                }
                Target::Peering(peering) => {
                    snapshot.peerings.get(peering).is_some_and(|peering| peering.vpcs.0 == table.vpc || peering.vpcs.1 == table.vpc)
                }
                Target::VpnGateway(gateway) => snapshot.vpn_gateways.get(gateway).is_some_and(|vpc| vpc.as_ref() == Some(&table.vpc)),
                Target::TransitGateway(gateway) => {
                    let own = |vpc: &Option<String>| vpc.as_ref() == Some(&table.vpc);
                    snapshot.transit_attachments.values().any(|attachment| attachment.gateway == *gateway && own(&attachment.vpc))
                }
                Target::Local | Target::Other(_) => true,
            };
            if !known {
                missing.insert(format!("{id}: a route leads over '{}', which is not described as its VPC's", route.target.id()));
            }
            if let Block::PrefixList(list) = &route.destination
                && !snapshot.prefix_lists.contains_key(list)
            {
                missing.insert(format!("{id}: a route leads to the prefix list '{list}', which is not described"));
            }
        }
    }
    for (id, attachment) in &snapshot.transit_attachments {
        match &attachment.table {
            Some(table) if snapshot.transit_tables.contains_key(table) => {}
            Some(table) => drop(missing.insert(format!("{id}: its route table '{table}' is not described"))),
            None => drop(missing.insert(format!("{id}: its route table is not described"))),
        }
    }
    for (id, routes) in &snapshot.transit_tables {
        for over in routes.iter().filter_map(|route| route.attachment.as_ref()) {
            if !snapshot.transit_attachments.contains_key(over) {
                missing.insert(format!("{id}: a route leads over '{over}', which is not described"));
            }
        }
    }
}

fn rules(snapshot: &Snapshot, missing: &mut BTreeSet<String>) {
    for (id, group) in &snapshot.groups {
        for rule in &group.rules {
            match &rule.peer {
                RulePeer::Group(named) if !snapshot.groups.contains_key(named) => {
                    missing
                        .insert(format!("{id}: a rule admits the group '{named}', which is not described: its members may not be known"));
                }
                // Whether groups count over a transit gateway is an option of it and of its attachments. Of rules for what leaves they never do.
                RulePeer::Group(named) if !rule.egress && is_over_transit(snapshot, &group.vpc, named) => {
                    missing.insert(format!(
                        "{id}: a rule admits the group '{named}' of another VPC, to which a transit gateway leads: whether groups count over it is not described (transit-gateways, transit-gateway-vpc-attachments)"
                    ));
                }
                RulePeer::Block(Block::PrefixList(list)) if !snapshot.prefix_lists.contains_key(list) => {
                    missing.insert(format!("{id}: a rule admits the prefix list '{list}', which is not described"));
                }
                _ => {}
            }
        }
    }
}

/// Whether a group is of another VPC that no peering, and a transit gateway of which it is not known whether groups count, leads to.
fn is_over_transit(snapshot: &Snapshot, vpc: &str, named: &str) -> bool {
    let Some(other) = snapshot.groups.get(named).map(|group| group.vpc.as_str()).filter(|other| *other != vpc) else { return false };
    let joins = |vpcs: &(String, String)| (vpcs.0 == vpc && vpcs.1 == other) || (vpcs.1 == vpc && vpcs.0 == other);
    let peers = snapshot.peerings.values().any(|peering| peering.active && joins(&peering.vpcs));
    let of = |vpc: &str| -> Vec<&TransitAttachment> {
        snapshot.transit_attachments.values().filter(|attachment| attachment.vpc.as_deref() == Some(vpc)).collect()
    };
    let theirs = of(other);
    let undecided = |own: &TransitAttachment, their: &TransitAttachment| {
        own.gateway == their.gateway && snapshot.group_references(&own.gateway, [own, their]).is_none()
    };
    !peers && of(vpc).iter().any(|own| theirs.iter().any(|their| undecided(own, their)))
}

fn balancers(snapshot: &Snapshot, missing: &mut BTreeSet<String>) {
    let mut known: BTreeSet<String> = snapshot.interfaces.keys().cloned().collect();
    for interface in snapshot.interfaces.values() {
        known.extend(interface.instance.clone());
        known.extend(interface.addresses.iter().map(|address| address.private.to_string()));
    }
    for (id, balancer) in snapshot.load_balancers.iter().filter(|(_, balancer)| balancer.kind != BalancerKind::Gateway) {
        for group in balancer.groups.iter().filter(|group| !snapshot.groups.contains_key(*group)) {
            missing.insert(format!("{id}: its security group '{group}' is not described"));
        }
        for node in &balancer.interfaces {
            let subnet = snapshot.interfaces.get(node).and_then(|node| snapshot.subnets.get(&node.subnet));
            let Some(subnet) = subnet else {
                missing.insert(format!("{id}: its interface '{node}' or the subnet of that is not described"));
                continue;
            };
            if !snapshot.routes_unknown && snapshot.route_table(subnet).is_none() {
                missing.insert(format!("{id}: the route table of its interface '{node}' is not described"));
            }
            if subnet.acl.as_ref().is_none_or(|acl| !snapshot.acls.contains_key(acl)) {
                missing.insert(format!("{id}: the network ACL of its interface '{node}' is not described"));
            }
        }
        for group in balancer.listeners.iter().flat_map(|listener| &listener.target_groups) {
            let Some(targets) = snapshot.target_groups.get(group) else {
                missing.insert(format!("{id}: its target group '{group}' is not described"));
                continue;
            };
            for target in &targets.targets {
                // Functions are targets too, and no hosts.
                let is_host = !target.id.starts_with("arn:");
                let is_balancer = target.id.contains(":loadbalancer/");
                let is_known = if is_balancer { snapshot.load_balancers.contains_key(&target.id) } else { known.contains(&target.id) };
                if (is_host || is_balancer) && !is_known {
                    missing.insert(format!("{group}: its target '{}' is not described", target.id));
                }
            }
        }
    }
}

/// Targets of load balancers in VPCs that only a transit gateway joins: they are not followed, and so are not called closed either.
pub(crate) fn targets_over_transit(snapshot: &Snapshot) -> Vec<String> {
    let mut joined: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for attachment in snapshot.transit_attachments.values() {
        if let Some(vpc) = &attachment.vpc {
            joined.entry(vpc).or_default().insert(&attachment.gateway);
        }
    }
    if joined.len() < 2 {
        return Vec::new();
    }
    let vpc_of = |subnet: &String| snapshot.subnets.get(subnet).map(|subnet| subnet.vpc.as_str());
    let mut places: BTreeMap<IpAddr, BTreeSet<&str>> = BTreeMap::new();
    for interface in snapshot.interfaces.values() {
        let Some(vpc) = vpc_of(&interface.subnet) else { continue };
        interface.addresses.iter().for_each(|address| places.entry(address.private).or_default().extend([vpc]));
    }
    let are_peers = |a: &str, b: &str| {
        let mut peerings = snapshot.peerings.values().filter(|peering| peering.active);
        peerings.any(|peering| [(a, b), (b, a)].contains(&(peering.vpcs.0.as_str(), peering.vpcs.1.as_str())))
    };
    let mut told = BTreeSet::new();
    for (id, balancer) in &snapshot.load_balancers {
        let nodes = balancer.interfaces.iter().filter_map(|node| snapshot.interfaces.get(node));
        let own: BTreeSet<&str> = nodes.filter_map(|node| vpc_of(&node.subnet)).collect();
        let groups = balancer.listeners.iter().flat_map(|listener| &listener.target_groups);
        for target in groups.filter_map(|group| snapshot.target_groups.get(group)).flat_map(|group| &group.targets) {
            let vpcs = target.id.parse().ok().and_then(|address: IpAddr| places.get(&address));
            let Some(vpcs) = vpcs.filter(|vpcs| vpcs.is_disjoint(&own)) else { continue };
            for (from, to) in own.iter().flat_map(|from| vpcs.iter().map(move |to| (*from, *to))) {
                let gateway = joined.get(from).zip(joined.get(to)).and_then(|(from, to)| from.intersection(to).next());
                if let Some(gateway) = gateway.filter(|_| !are_peers(from, to)) {
                    let target = &target.id;
                    told.insert(format!("{id}: its target {target} is in '{to}', over '{gateway}': whether it is reached is not told"));
                }
            }
        }
    }
    told.into_iter().collect()
}
