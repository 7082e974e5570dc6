//! What is open by way of load balancers: a node is an interface of its own, from which a connection, or the client's own packet, goes
//! on to each target that a listener forwards to.
//!
//! Who may come to a node is asked as of any interface. From there on count: the zones, what the node's groups may send, both subnets'
//! ACLs with one port that replies come back to, and the target's groups. Routes behind the node do not: replies go back over it.

use crate::address::{AddressFamily, number};
use crate::evaluate::{Engine, Entrance, Names, Opening, Range, Step, admits, order};
use crate::perimeter::{EPHEMERAL, PROTOCOLS, Rules, SourceClass};
use crate::ranges::RangeSet;
use crate::snapshot::{
    BalancerKind, BalancerTarget, GroupRule, Interface, Listener, LoadBalancer, RulePeer, Snapshot, Subnet, TargetGroup,
};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

/// Interfaces by what targets are named by.
struct Hosts<'a> {
    snapshot: &'a Snapshot,
    /// Of an instance its first interface.
    instances: HashMap<&'a str, &'a str>,
    /// Networks that nothing joins may have the same ones.
    addresses: HashMap<IpAddr, Vec<&'a str>>,
}

impl<'a> Hosts<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let (mut instances, mut addresses): (_, HashMap<IpAddr, Vec<&str>>) = (HashMap::new(), HashMap::new());
        for (id, interface) in &snapshot.interfaces {
            for address in &interface.addresses {
                addresses.entry(address.private).or_default().push(id.as_str());
            }
            if let Some(instance) = &interface.instance {
                let known = instances.entry(instance.as_str()).or_insert(id.as_str());
                if interface.primary {
                    *known = id;
                }
            }
        }
        Self { snapshot, instances, addresses }
    }

    /// The interface that a target is: of those with its address one in the VPC, if there is one.
    fn resolve(&self, target: &BalancerTarget, vpc: &str) -> Option<Resolved<'a>> {
        let interfaces = &self.snapshot.interfaces;
        if let Ok(address) = target.id.parse::<IpAddr>() {
            let all = self.addresses.get(&address)?;
            let is_near = |id: &&&str| {
                let subnet = interfaces.get(**id).and_then(|interface| self.snapshot.subnets.get(&interface.subnet));
                subnet.is_some_and(|subnet| subnet.vpc == vpc)
            };
            let (id, interface) = interfaces.get_key_value(*all.iter().find(is_near).or_else(|| all.first())?)?;
            return Some(Resolved { id, interface, address, port: target.port });
        }
        let id = self.instances.get(target.id.as_str()).copied().unwrap_or(target.id.as_str());
        let (id, interface) = interfaces.get_key_value(id)?;
        let first = interface.addresses.iter().find(|address| address.private.is_ipv4()).or_else(|| interface.addresses.first())?;
        Some(Resolved { id, interface, address: first.private, port: target.port })
    }
}

/// A target of a load balancer: an interface and an address of it.
struct Resolved<'a> {
    id: &'a str,
    interface: &'a Interface,
    address: IpAddr,
    port: u16,
}

/// A stretch of addresses, with the ports that replies get back to.
type Part = (u128, u128, RangeSet<u16>);

/// Clients that a node hears, by one way.
#[derive(Clone)]
struct Clients {
    class: SourceClass,
    via: Arc<str>,
    family: AddressFamily,
    parts: Vec<Part>,
    /// The components that they come by.
    path: Vec<Step>,
}

/// A node of a load balancer, and the listener that clients speak to.
#[derive(Clone, Copy)]
struct Hop<'a> {
    balancer: &'a LoadBalancer,
    node: &'a Interface,
    subnet: &'a Subnet,
    listener: &'a Listener,
    protocol: u8,
}

/// Who gets through to a target.
struct Reached {
    parts: Vec<Part>,
    partial: bool,
    /// Place of the group that admits them among the target's, and of the rule in it.
    group: usize,
    rule: usize,
}

fn named(component_type: &'static str, id: &str) -> Step {
    Step { component_type, component_id: Arc::from(id), rule: None }
}

impl<'a> Engine<'a> {
    /// What is open by way of load balancers.
    pub(crate) fn load_balancers(&mut self) -> Vec<Opening> {
        let mut found = Vec::new();
        let snapshot = self.snapshot;
        if snapshot.load_balancers.is_empty() {
            return found;
        }
        let hosts = Hosts::of(snapshot);
        // Nobody speaks to a gateway load balancer: what it hands on is for somebody else, and comes by the endpoint that a route names.
        let spoken_to = snapshot.load_balancers.iter().filter(|(_, balancer)| balancer.kind != BalancerKind::Gateway);
        for (id, balancer) in spoken_to {
            self.load_balancer(id, balancer, &hosts, &mut found);
        }
        // Of ways that are told as one the first is shown: one that Inspector knows, where there is one.
        let beyond = |open: &Opening| !passes_only(snapshot, open, &[BalancerKind::Application, BalancerKind::Classic]);
        found.sort_by(|a, b| order(a, b).then_with(|| beyond(a).cmp(&beyond(b))));
        // Several listeners and nodes may lead to one port of a target.
        found.dedup_by(|next, kept| {
            let same = order(next, kept).is_eq();
            if same {
                if next.sources != kept.sources {
                    kept.sources = Arc::new(kept.sources.union(&next.sources));
                }
                kept.partial_ephemeral &= next.partial_ephemeral;
            }
            same
        });
        found
    }

    fn load_balancer(&mut self, id: &str, balancer: &'a LoadBalancer, hosts: &Hosts<'a>, found: &mut Vec<Opening>) {
        let snapshot = self.snapshot;
        for listener in &balancer.listeners {
            for (place, protocol) in PROTOCOLS.into_iter().enumerate().filter(|(_, protocol)| listener.protocols.contains(protocol)) {
                for node in balancer.interfaces.iter().filter_map(|node| snapshot.interfaces.get(node)) {
                    let Some(subnet) = snapshot.subnets.get(&node.subnet) else { continue };
                    let hop = Hop { balancer, node, subnet, listener, protocol };
                    for family in [AddressFamily::V4, AddressFamily::V6] {
                        for clients in self.clients(id, &hop, family, place) {
                            self.forward(id, &hop, &clients, hosts, found);
                        }
                    }
                }
            }
        }
    }

    /// Who gets through to a node's listener.
    fn clients(&mut self, id: &str, hop: &Hop<'a>, family: AddressFamily, place: usize) -> Vec<Clients> {
        let mut all: Vec<Clients> = Vec::new();
        for address in hop.node.addresses.iter().filter(|address| AddressFamily::of(address.private) == family) {
            let Some((_, perimeter)) = self.perimeter(&hop.node.subnet, hop.subnet, address.private) else { continue };
            let entrance = match hop.balancer.internet_facing {
                true => self.entrance(hop.subnet, address.private, address.public.is_some()),
                false => Entrance::Closed,
            };
            let mut heard: Vec<(usize, u128, u128)> = Vec::new();
            if hop.balancer.groups.is_empty() {
                // Without groups the network's rules alone decide.
                let through = perimeter.stretches.iter().filter(|stretch| {
                    let gateway = perimeter.gateways.get(stretch.gateway);
                    stretch.ports[place].contains(hop.listener.port) && gateway.is_some_and(|gateway| entrance.admits(gateway))
                });
                heard.extend(through.map(|stretch| (stretch.gateway, stretch.first, stretch.last)));
            } else {
                let doors = self.by_door(&hop.balancer.groups, hop.subnet, address.private, &perimeter, &entrance);
                for (door, grants) in doors.iter().enumerate().filter(|(door, _)| door % PROTOCOLS.len() == place) {
                    let speaking = grants.iter().filter(|grant| (grant.ports.0..=grant.ports.1).contains(&hop.listener.port));
                    heard.extend(speaking.map(|grant| (door / PROTOCOLS.len(), grant.first, grant.last)));
                }
            }
            for (gateway, first, last) in heard {
                let Some(over) = perimeter.gateways.get(gateway).map(|gateway| entrance.over(gateway)) else { continue };
                let over_id = Arc::from(over.id.as_str());
                let mut path = self.way_in(over.class, &over_id, hop.subnet);
                let kind = match hop.balancer.kind {
                    BalancerKind::Classic => "AWS::ElasticLoadBalancing::LoadBalancer",
                    _ => "AWS::ElasticLoadBalancingV2::LoadBalancer",
                };
                path.push(named(kind, id));
                path.extend(hop.listener.id.as_ref().map(|id| named("AWS::ElasticLoadBalancingV2::Listener", id)));
                let (class, via) = match over.class {
                    SourceClass::Internet => (SourceClass::LoadBalancer, Arc::from(id)),
                    class => (class, over_id),
                };
                let overlapping = perimeter.overlapping(first, last).filter(|stretch| stretch.gateway == gateway);
                let parts = overlapping.map(|stretch| (stretch.first.max(first), stretch.last.min(last), stretch.replies[place].clone()));
                match all.iter_mut().find(|known| (known.class, &known.via) == (class, &via)) {
                    Some(known) => known.parts.extend(parts),
                    None => all.push(Clients { class, via, family, parts: parts.collect(), path }),
                }
            }
        }
        all
    }

    /// To each target that a listener forwards to.
    fn forward(&self, id: &str, hop: &Hop<'a>, clients: &Clients, hosts: &Hosts<'a>, found: &mut Vec<Opening>) {
        let snapshot = self.snapshot;
        for (group_id, group) in hop.listener.target_groups.iter().filter_map(|id| snapshot.target_groups.get_key_value(id)) {
            for target in &group.targets {
                if let Some(inner) = snapshot.load_balancers.get(&target.id).filter(|_| target.id != id) {
                    self.chain(hop, (group_id, group, target), inner, clients, hosts, found);
                } else if let Some(target) = hosts.resolve(target, &hop.subnet.vpc) {
                    found.extend(self.edge(hop, (group_id, group), &target, clients));
                }
            }
        }
    }

    /// Over a load balancer that is itself a target. Such a one has no load balancers behind it.
    fn chain(
        &self,
        hop: &Hop<'a>,
        (group_id, group, target): (&str, &TargetGroup, &'a BalancerTarget),
        inner: &'a LoadBalancer,
        clients: &Clients,
        hosts: &Hosts<'a>,
        found: &mut Vec<Opening>,
    ) {
        let listeners = inner.listeners.iter().filter(|_| inner.kind != BalancerKind::Gateway);
        for listener in listeners.filter(|listener| listener.port == target.port && listener.protocols.contains(&hop.protocol)) {
            for (node_id, node) in inner.interfaces.iter().filter_map(|node| self.snapshot.interfaces.get_key_value(node)) {
                let Some(subnet) = self.snapshot.subnets.get(&node.subnet) else { continue };
                for address in &node.addresses {
                    let resolved = Resolved { id: node_id, interface: node, address: address.private, port: target.port };
                    let Some(reached) = self.onward(hop, group, &resolved, Some(inner), clients) else { continue };
                    let mut path = clients.path.clone();
                    path.extend(target_group(group_id));
                    path.push(named("AWS::ElasticLoadBalancingV2::LoadBalancer", &target.id));
                    path.extend(listener.id.as_ref().map(|id| named("AWS::ElasticLoadBalancingV2::Listener", id)));
                    let heard = Clients { parts: reached.parts, path, ..clients.clone() };
                    let next = Hop { balancer: inner, node, subnet, listener, protocol: hop.protocol };
                    for (group_id, group) in listener.target_groups.iter().filter_map(|id| self.snapshot.target_groups.get_key_value(id)) {
                        for target in group.targets.iter().filter_map(|target| hosts.resolve(target, &subnet.vpc)) {
                            found.extend(self.edge(&next, (group_id, group), &target, &heard));
                        }
                    }
                }
            }
        }
    }

    /// The way from a node of a load balancer to a target; none if it is closed.
    fn edge(&self, hop: &Hop<'a>, (group_id, group): (&str, &TargetGroup), target: &Resolved<'_>, clients: &Clients) -> Option<Opening> {
        let subnet = self.snapshot.subnets.get(&target.interface.subnet)?;
        let reached = self.onward(hop, group, target, None, clients)?;
        let sources = Arc::new(RangeSet::of(reached.parts.iter().map(|(first, last, _)| (*first, *last))));
        let source = sources.first()?;
        let range = Range {
            ports: (target.port, target.port),
            sources: Arc::clone(&sources),
            partial: reached.partial,
            source,
            group: reached.group,
            rule: reached.rule,
        };
        let names = Names::of(target.id, target.interface, subnet);
        let mut path = clients.path.clone();
        path.extend(target_group(group_id));
        Some(Opening {
            class: clients.class,
            path: self.path(&path, &names, target.interface, &range),
            via: Arc::clone(&clients.via),
            interface: names.interface,
            instance: names.instance,
            address: target.address,
            protocol: hop.protocol,
            ports: range.ports,
            witness: (clients.family.address(source), target.port),
            sources,
            parts: Arc::default(),
            partial_ephemeral: reached.partial,
            one_way: false,
        })
    }

    /// Who of those that a node hears gets through to a target: an interface, or a node of another load balancer.
    fn onward(
        &self,
        hop: &Hop<'a>,
        group: &TargetGroup,
        target: &Resolved<'_>,
        inner: Option<&LoadBalancer>,
        clients: &Clients,
    ) -> Option<Reached> {
        let subnet = self.snapshot.subnets.get(&target.interface.subnet)?;
        if !self.zones_allow(hop, group, subnet) {
            return None;
        }
        if subnet.vpc != hop.subnet.vpc && !self.are_peers(&subnet.vpc, &hop.subnet.vpc) {
            return None;
        }
        let family = AddressFamily::of(target.address);
        let from = hop.node.addresses.iter().map(|address| address.private).find(|address| AddressFamily::of(*address) == family)?;
        let sends = |group: &String| {
            let rules = self.snapshot.groups.get(group).map(|group| group.rules.as_slice()).unwrap_or_default();
            let mut speaking = rules.iter().filter(|rule| rule.egress && admits(rule, hop.protocol, target.port));
            speaking.any(|rule| self.sources(&rule.peer, &hop.subnet.vpc, family).contains(number(target.address)))
        };
        if !hop.balancer.groups.is_empty() && !hop.balancer.groups.iter().any(sends) {
            return None;
        }
        // An address is kept only by network load balancers, and where both sides speak one family.
        let preserves = group.preserves_client && hop.balancer.kind == BalancerKind::Network && family == clients.family;
        let ephemeral = RangeSet::range(EPHEMERAL.0, EPHEMERAL.1);
        let seen = match preserves {
            true => clients.parts.clone(),
            false => vec![(number(from), number(from), ephemeral)],
        };
        let crossed = self.crosses(hop, target, subnet, seen);
        let groups = inner.map_or(&target.interface.groups, |inner| &inner.groups);
        let (through, group, rule) = match inner {
            Some(inner) if inner.groups.is_empty() => (crossed, 0, 0),
            // The node is a member of its own groups; a client on the internet is one of none.
            _ => {
                let by_group = !preserves || clients.class == SourceClass::Peer;
                self.admitted((groups, by_group), &subnet.vpc, hop.protocol, target, crossed)?
            }
        };
        if through.is_empty() {
            return None;
        }
        let cut = |replies: &RangeSet<u16>| replies.ranges() != [EPHEMERAL];
        let partial = through.iter().all(|(_, _, replies)| cut(replies)) || clients.parts.iter().all(|(_, _, replies)| cut(replies));
        Some(Reached { parts: if preserves { through } else { clients.parts.clone() }, partial, group, rule })
    }

    /// Whether a node sends to the zone of a target at all.
    fn zones_allow(&self, hop: &Hop<'_>, group: &TargetGroup, subnet: &Subnet) -> bool {
        let balancer = hop.balancer;
        if subnet.zone.is_empty() {
            return true;
        }
        let crosses = group.cross_zone.unwrap_or(balancer.cross_zone);
        if !crosses {
            return subnet.zone == hop.subnet.zone;
        }
        if !balancer.zones.is_empty() {
            return balancer.zones.contains(&subnet.zone);
        }
        let nodes = balancer.interfaces.iter().filter_map(|node| self.snapshot.interfaces.get(node));
        let mut zones = nodes.filter_map(|node| self.snapshot.subnets.get(&node.subnet)).map(|subnet| subnet.zone.as_str());
        zones.any(|zone| zone.is_empty() || zone == subnet.zone)
    }

    /// Of what a target sees, what the ACLs between a node and it let through and back, on ports that are the same on both ways.
    fn crosses(&self, hop: &Hop<'_>, target: &Resolved<'_>, subnet: &Subnet, seen: Vec<Part>) -> Vec<Part> {
        let apart = target.interface.subnet != hop.node.subnet;
        if !apart && hop.balancer.kind != BalancerKind::Classic {
            return seen;
        }
        let family = AddressFamily::of(target.address);
        let acl = |subnet: &Subnet| subnet.acl.as_ref().and_then(|acl| self.snapshot.acls.get(acl));
        let near = acl(hop.subnet).map(Rules::of);
        let ports = |rules: &Option<Rules<'_>>, egress: bool, address: u128| {
            rules.as_ref().map_or_else(RangeSet::all, |rules| rules.ports(egress, hop.protocol, family, address))
        };
        let to = number(target.address);
        if !ports(&near, true, to).contains(target.port) {
            return Vec::new();
        }
        let back = ports(&near, false, to);
        let seen = seen.into_iter().map(|(first, last, replies)| (first, last, replies.intersection(&back)));
        // Within one subnet a classic load balancer asks that subnet's ACL, and nothing asks it again.
        if !apart {
            return seen.filter(|(_, _, replies)| !replies.is_empty()).collect();
        }
        let far = acl(subnet).map(Rules::of);
        let mut cuts: BTreeSet<u128> = BTreeSet::new();
        for entry in acl(subnet).iter().flat_map(|acl| &acl.entries).filter(|entry| entry.cidr.family == family) {
            let (first, last) = entry.cidr.bounds();
            cuts.insert(first);
            cuts.extend(last.checked_add(1));
        }
        let mut open = Vec::new();
        for (first, last, replies) in seen {
            let within: Vec<u128> = std::iter::once(first).chain(cuts.range(first..=last).copied().filter(|cut| *cut > first)).collect();
            for (at, begin) in within.iter().enumerate() {
                let end = within.get(at + 1).map_or(last, |next| next - 1);
                let replies = replies.intersection(&ports(&far, true, *begin));
                if !replies.is_empty() && ports(&far, false, *begin).contains(target.port) {
                    open.push((*begin, end, replies));
                }
            }
        }
        open
    }

    /// Of those that come to a target, those that its groups admit, with the first group and rule that does.
    fn admitted(
        &self,
        (groups, by_group): (&[String], bool),
        vpc: &str,
        protocol: u8,
        target: &Resolved<'_>,
        seen: Vec<Part>,
    ) -> Option<(Vec<Part>, usize, usize)> {
        let family = AddressFamily::of(target.address);
        let mut first: Option<(usize, usize)> = None;
        let mut all: RangeSet<u128> = RangeSet::default();
        let coming = RangeSet::of(seen.iter().map(|(first, last, _)| (*first, *last)));
        for (place, group) in groups.iter().enumerate() {
            let rules = self.snapshot.groups.get(group).map(|group| group.rules.as_slice()).unwrap_or_default();
            let speaking = |rule: &GroupRule| !rule.egress && (by_group || !matches!(rule.peer, RulePeer::Group(_)));
            for (at, rule) in rules.iter().enumerate().filter(|(_, rule)| speaking(rule) && admits(rule, protocol, target.port)) {
                let through = self.sources(&rule.peer, vpc, family).intersection(&coming);
                if !through.is_empty() {
                    first.get_or_insert((place, at));
                    all = all.union(&through);
                }
            }
        }
        let (group, rule) = first?;
        let mut open = Vec::new();
        for (first, last, replies) in seen {
            let through = RangeSet::range(first, last).intersection(&all);
            open.extend(through.ranges().iter().map(|(first, last)| (*first, *last, replies.clone())));
        }
        Some((open, group, rule))
    }
}

/// Whether all load balancers on a way are of some kinds.
pub(crate) fn passes_only(snapshot: &Snapshot, opening: &Opening, kinds: &[BalancerKind]) -> bool {
    let mut passed = opening.path.iter().filter_map(|step| snapshot.load_balancers.get(&*step.component_id));
    passed.all(|balancer| kinds.contains(&balancer.kind))
}

/// The step of a target group; classic load balancers have none.
fn target_group(id: &str) -> Option<Step> {
    id.starts_with("arn:").then(|| named("AWS::ElasticLoadBalancingV2::TargetGroup", id))
}
