//! A network that changes: what each change opens and closes, by work in proportion to what it touches.
//!
//! What was evaluated is kept under all that it depends on, with the version of each; a change raises one version, and only the
//! interfaces that depend on it are asked again. The answer always equals that of a full evaluation.

use crate::address::Cidr;
use crate::evaluate::{Analysis, Engine, Index, Memo, Opening, order};
use crate::snapshot::{Block, Interface, NetworkAcl, RouteTable, RulePeer, SecurityGroup, Snapshot};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// An object that is not what it was; none is one that is gone.
#[derive(Clone, Debug)]
pub enum Change {
    /// A security group.
    Group(String, Option<SecurityGroup>),
    /// A network interface.
    Interface(String, Option<Interface>),
    /// A network ACL.
    Acl(String, Option<NetworkAcl>),
    /// A route table.
    RouteTable(String, Option<RouteTable>),
    /// Anything else: gateways, peerings, load balancers, subnets. All is evaluated again.
    Everything(Box<Snapshot>),
}

/// See the module.
pub struct Network {
    snapshot: Snapshot,
    index: Index,
    memo: Memo,
    openings: BTreeMap<String, Vec<Opening>>,
    unknown: BTreeMap<String, BTreeSet<String>>,
    /// Openings by way of load balancers.
    balanced: Vec<Opening>,
    /// Interfaces of instances, by group.
    by_group: HashMap<String, BTreeSet<String>>,
    /// Groups that refer to a group.
    referring: HashMap<String, BTreeSet<String>>,
    /// Groups and interfaces that load balancers depend on.
    balancing: BTreeSet<String>,
}

impl Network {
    /// Evaluates a network as it is now.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        let mut network = Self {
            index: Index::of(&snapshot),
            snapshot,
            memo: Memo::default(),
            openings: BTreeMap::new(),
            unknown: BTreeMap::new(),
            balanced: Vec::new(),
            by_group: HashMap::new(),
            referring: HashMap::new(),
            balancing: BTreeSet::new(),
        };
        let of_instances = network.snapshot.interfaces.iter().filter(|(_, interface)| interface.instance.is_some());
        for (id, interface) in of_instances {
            for group in &interface.groups {
                network.by_group.entry(group.clone()).or_default().insert(id.clone());
            }
        }
        for (id, group) in &network.snapshot.groups {
            for rule in &group.rules {
                if let RulePeer::Group(named) = &rule.peer {
                    network.referring.entry(named.clone()).or_default().insert(id.clone());
                }
            }
        }
        let all: Vec<String> = network.snapshot.interfaces.keys().cloned().collect();
        network.ask_again(all.iter());
        network.balance();
        network
    }

    /// What is configured now.
    #[must_use]
    pub const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What is open at an interface, load balancers apart.
    #[must_use]
    pub fn openings(&self, interface: &str) -> &[Opening] {
        self.openings.get(interface).map(Vec::as_slice).unwrap_or_default()
    }

    /// What is open at an interface, over load balancers too.
    pub fn all_openings<'n>(&'n self, interface: &'n str) -> impl Iterator<Item = &'n Opening> {
        // They are in order.
        let begin = self.balanced.partition_point(|open| *open.interface < *interface);
        let over = self.balanced[begin..].iter().take_while(move |open| *open.interface == *interface);
        self.openings(interface).iter().chain(over)
    }

    /// What is not known about an interface.
    pub fn unknown(&self, interface: &str) -> impl Iterator<Item = &String> {
        self.unknown.get(interface).into_iter().flatten()
    }

    /// All that is open now.
    #[must_use]
    pub fn analysis(&self) -> Analysis {
        let mut openings: Vec<Opening> = self.openings.values().flatten().chain(&self.balanced).cloned().collect();
        openings.sort_by(order);
        Analysis { openings, unknown: self.unknown.clone() }
    }

    /// Applies a change. Answers the interfaces whose answer is another one than before.
    pub fn apply(&mut self, change: Change) -> BTreeSet<String> {
        let before = self.balanced.clone();
        let mut moved = Moved::default();
        match change {
            Change::Everything(snapshot) => return self.start_again(*snapshot),
            Change::Group(id, group) => self.change_group(id, group, &mut moved),
            Change::Interface(id, interface) => self.change_interface(id, interface, &mut moved),
            Change::Acl(id, acl) => self.change_acl(id, acl, &mut moved),
            Change::RouteTable(id, table) => self.change_table(id, table, &mut moved),
        }
        self.settle(&moved, &before)
    }

    /// Becomes another description of the same network: what is equal in both costs a comparison, and no more. Answers the
    /// interfaces whose answer is another one than before.
    pub fn update(&mut self, next: Snapshot) -> BTreeSet<String> {
        if next.routes_unknown || self.snapshot.routes_unknown {
            return self.start_again(next);
        }
        let before = self.balanced.clone();
        let mut moved = Moved::default();
        self.change_surroundings(&next, &mut moved);
        let lists = differing(&self.snapshot.prefix_lists, &next.prefix_lists);
        for id in lists {
            self.change_list(&id, next.prefix_lists.get(&id).cloned(), &mut moved);
        }
        for id in differing(&self.snapshot.groups, &next.groups) {
            let group = next.groups.get(&id).cloned();
            self.change_group(id, group, &mut moved);
        }
        for id in differing(&self.snapshot.interfaces, &next.interfaces) {
            let interface = next.interfaces.get(&id).cloned();
            self.change_interface(id, interface, &mut moved);
        }
        for id in differing(&self.snapshot.acls, &next.acls) {
            let acl = next.acls.get(&id).cloned();
            self.change_acl(id, acl, &mut moved);
        }
        for id in differing(&self.snapshot.route_tables, &next.route_tables) {
            let table = next.route_tables.get(&id).cloned();
            self.change_table(id, table, &mut moved);
        }
        let same = self.snapshot.load_balancers == next.load_balancers && self.snapshot.target_groups == next.target_groups;
        moved.balances |= !same;
        self.snapshot.load_balancers = next.load_balancers;
        self.snapshot.target_groups = next.target_groups;
        self.snapshot.problems = next.problems;
        self.settle(&moved, &before)
    }

    fn start_again(&mut self, snapshot: Snapshot) -> BTreeSet<String> {
        let before = std::mem::replace(self, Self::new(snapshot));
        let ids = before.openings.keys().chain(self.openings.keys()).chain(before.unknown.keys()).chain(self.unknown.keys());
        let differs = |id: &&String| before.openings.get(*id) != self.openings.get(*id) || before.unknown.get(*id) != self.unknown.get(*id);
        let mut changed: BTreeSet<String> = ids.filter(differs).cloned().collect();
        changed.extend(rebalanced(&before.balanced, &self.balanced));
        changed
    }

    /// Asks again whatever may have another answer.
    fn settle(&mut self, moved: &Moved, before: &[Opening]) -> BTreeSet<String> {
        let mut changed = self.ask_again(moved.asked.iter());
        // What load balancers depend on is known of those that there were; new ones are asked anyway.
        if moved.balances {
            self.balance();
            changed.extend(rebalanced(before, &self.balanced));
        }
        self.memo.sweep(self.snapshot.interfaces.len());
        changed
    }

    /// What is around interfaces and no single table, list or group: everything in the VPCs concerned is asked again.
    fn change_surroundings(&mut self, next: &Snapshot, moved: &mut Moved) {
        let vpcs = touched(&self.snapshot, next);
        if vpcs.is_empty() {
            // What is of no VPC, as a gateway that is detached, changes no answer.
            self.take_surroundings(next);
            return;
        }
        let is_in = |snapshot: &Snapshot, interface: &Interface| {
            snapshot.subnets.get(&interface.subnet).is_none_or(|subnet| vpcs.contains(&subnet.vpc))
        };
        for snapshot in [&self.snapshot, next] {
            let inside = self.snapshot.interfaces.iter().filter(|(_, interface)| is_in(snapshot, interface));
            moved.asked.extend(inside.map(|(id, _)| id.clone()));
        }
        self.take_surroundings(next);
        self.index = Index::of(&self.snapshot);
        self.memo.network_changed();
        moved.balances |= !self.snapshot.load_balancers.is_empty();
    }

    fn take_surroundings(&mut self, next: &Snapshot) {
        macro_rules! take {
            ($($part:ident),*) => {$( if self.snapshot.$part != next.$part { self.snapshot.$part.clone_from(&next.$part); } )*};
        }
        take!(vpcs, subnets, internet_gateways, peerings, vpn_gateways, transit_gateways, transit_attachments, transit_tables);
        take!(blocked_from_internet);
    }

    fn change_list(&mut self, id: &str, list: Option<Vec<Cidr>>, moved: &mut Moved) {
        let names = |block: &Block| matches!(block, Block::PrefixList(named) if named == id);
        let of_groups = self
            .snapshot
            .groups
            .iter()
            .filter(|(_, group)| group.rules.iter().any(|rule| matches!(&rule.peer, RulePeer::Block(block) if names(block))));
        for (group, _) in of_groups {
            self.memo.changed(group);
            moved.asked.extend(self.by_group.get(group).into_iter().flatten().cloned());
        }
        let of_tables = self.snapshot.route_tables.iter().filter(|(_, table)| table.routes.iter().any(|route| names(&route.destination)));
        let tables: BTreeSet<(&String, &String)> = of_tables.map(|(id, table)| (id, &table.vpc)).collect();
        for (table, vpc) in tables {
            self.memo.changed(table);
            let asked =
                self.in_subnets(|subnet| subnet.route_table.as_ref() == Some(table) || subnet.route_table.is_none() && subnet.vpc == *vpc);
            moved.asked.extend(asked);
        }
        match list {
            Some(list) => drop(self.snapshot.prefix_lists.insert(id.to_owned(), list)),
            None => drop(self.snapshot.prefix_lists.remove(id)),
        }
        moved.balances |= !self.snapshot.load_balancers.is_empty();
    }

    fn change_acl(&mut self, id: String, acl: Option<NetworkAcl>, moved: &mut Moved) {
        self.memo.changed(&id);
        moved.asked.extend(self.in_subnets(|subnet| subnet.acl.as_ref() == Some(&id)));
        match acl {
            Some(acl) => drop(self.snapshot.acls.insert(id, acl)),
            None => drop(self.snapshot.acls.remove(&id)),
        }
        moved.balances |= !self.snapshot.load_balancers.is_empty();
    }

    /// Evaluates interfaces again; answers those with another answer.
    fn ask_again<'i>(&mut self, ids: impl Iterator<Item = &'i String>) -> BTreeSet<String> {
        let mut engine = Engine { snapshot: &self.snapshot, index: &self.index, memo: &mut self.memo };
        let mut changed = BTreeSet::new();
        for id in ids {
            let now = self.snapshot.interfaces.get(id).filter(|interface| interface.instance.is_some());
            let (mut openings, unknown) = now.map(|interface| engine.interface(id, interface)).unwrap_or_default();
            openings.sort_by(order);
            let was = if openings.is_empty() { self.openings.remove(id) } else { self.openings.insert(id.clone(), openings) };
            let doubted = if unknown.is_empty() { self.unknown.remove(id) } else { self.unknown.insert(id.clone(), unknown) };
            let same = was.as_ref() == self.openings.get(id) && doubted.as_ref() == self.unknown.get(id);
            if !same {
                changed.insert(id.clone());
            }
        }
        changed
    }

    fn balance(&mut self) {
        let mut engine = Engine { snapshot: &self.snapshot, index: &self.index, memo: &mut self.memo };
        self.balanced = engine.load_balancers();
        let mut depends: BTreeSet<String> = BTreeSet::new();
        let snapshot = &self.snapshot;
        for balancer in snapshot.load_balancers.values() {
            depends.extend(balancer.groups.iter().cloned());
            depends.extend(balancer.interfaces.iter().cloned());
        }
        let named: BTreeSet<&str> =
            snapshot.target_groups.values().flat_map(|group| &group.targets).map(|target| target.id.as_str()).collect();
        let mut targets: Vec<(&String, &Interface)> = Vec::new();
        if !named.is_empty() {
            let is_target = |id: &String, interface: &Interface| {
                named.contains(id.as_str())
                    || interface.instance.as_ref().is_some_and(|instance| named.contains(instance.as_str()))
                    || interface.addresses.iter().any(|address| named.contains(address.private.to_string().as_str()))
            };
            targets.extend(snapshot.interfaces.iter().filter(|(id, interface)| is_target(id, interface)));
        }
        for (id, interface) in targets {
            depends.insert(id.clone());
            depends.extend(interface.groups.iter().cloned());
        }
        // Groups that their rules name count by their members.
        let of_rules: Vec<String> = depends
            .iter()
            .filter_map(|id| snapshot.groups.get(id))
            .flat_map(|group| &group.rules)
            .filter_map(|rule| if let RulePeer::Group(named) = &rule.peer { Some(named.clone()) } else { None })
            .collect();
        depends.extend(of_rules);
        self.balancing = depends;
    }

    fn touches_balancers(&self, id: &str) -> bool {
        !self.snapshot.load_balancers.is_empty() && self.balancing.contains(id)
    }

    /// A new target's interface, or a new member of a group that load balancers depend on.
    fn balances_with_groups_of(&self, id: &str, interface: Option<&Interface>) -> bool {
        if self.snapshot.load_balancers.is_empty() {
            return false;
        }
        let groups = |interface: &Interface| interface.groups.iter().any(|group| self.balancing.contains(group));
        let is_named = |interface: &Interface| {
            let mut targets = self.snapshot.target_groups.values().flat_map(|group| &group.targets);
            targets.any(|target| {
                target.id == id
                    || interface.instance.as_ref() == Some(&target.id)
                    || interface.addresses.iter().any(|address| address.private.to_string() == target.id)
            })
        };
        let touched = |interface: &Interface| groups(interface) || is_named(interface);
        interface.is_some_and(touched) || self.snapshot.interfaces.get(id).is_some_and(touched)
    }

    fn change_group(&mut self, id: String, group: Option<SecurityGroup>, moved: &mut Moved) {
        moved.balances |= self.touches_balancers(&id);
        let named = |group: Option<&SecurityGroup>| -> BTreeSet<String> {
            let rules = group.into_iter().flat_map(|group| &group.rules);
            rules.filter_map(|rule| if let RulePeer::Group(named) = &rule.peer { Some(named.clone()) } else { None }).collect()
        };
        for gone in named(self.snapshot.groups.get(&id)) {
            if let Some(referring) = self.referring.get_mut(&gone) {
                referring.remove(&id);
            }
        }
        for new in named(group.as_ref()) {
            self.referring.entry(new).or_default().insert(id.clone());
        }
        self.memo.changed(&id);
        moved.asked.extend(self.by_group.get(&id).into_iter().flatten().cloned());
        match group {
            Some(group) => drop(self.snapshot.groups.insert(id, group)),
            None => drop(self.snapshot.groups.remove(&id)),
        }
    }

    fn change_interface(&mut self, id: String, interface: Option<Interface>, moved: &mut Moved) {
        moved.balances |= self.touches_balancers(&id) || self.balances_with_groups_of(&id, interface.as_ref());
        let before = self.snapshot.interfaces.remove(&id);
        if let Some(before) = &before {
            self.index.remove_members(&self.snapshot, before);
            for group in &before.groups {
                if let Some(members) = self.by_group.get_mut(group) {
                    members.remove(&id);
                }
            }
        }
        if let Some(interface) = &interface {
            self.index.add_members(&self.snapshot, interface);
            for group in interface.groups.iter().filter(|_| interface.instance.is_some()) {
                self.by_group.entry(group.clone()).or_default().insert(id.clone());
            }
        }
        // Groups that admit members of its groups admit others now.
        let groups: BTreeSet<&String> = before.iter().chain(&interface).flat_map(|interface| &interface.groups).collect();
        let referring: BTreeSet<String> = groups.into_iter().filter_map(|group| self.referring.get(group)).flatten().cloned().collect();
        for group in referring {
            self.memo.changed(&group);
            moved.asked.extend(self.by_group.get(&group).into_iter().flatten().cloned());
        }
        moved.asked.insert(id.clone());
        if let Some(interface) = interface {
            self.snapshot.interfaces.insert(id, interface);
        }
    }

    fn change_table(&mut self, id: String, table: Option<RouteTable>, moved: &mut Moved) {
        moved.balances |= !self.snapshot.load_balancers.is_empty();
        self.memo.changed(&id);
        let vpcs: BTreeSet<String> = self.snapshot.route_tables.get(&id).into_iter().chain(&table).map(|table| table.vpc.clone()).collect();
        let is_edge = self.snapshot.internet_gateways.values().any(|gateway| gateway.edge_table.as_ref() == Some(&id));
        match table {
            Some(table) => drop(self.snapshot.route_tables.insert(id.clone(), table)),
            None => drop(self.snapshot.route_tables.remove(&id)),
        }
        self.index.tables_changed(&self.snapshot);
        if is_edge {
            // What its routes lead to counts in every perimeter of the VPC.
            self.memo.network_changed();
        }
        // An edge table is asked at every address; a main one by subnets without their own.
        moved.asked.extend(self.in_subnets(|subnet| {
            subnet.route_table.as_ref() == Some(&id) || vpcs.contains(&subnet.vpc) && (subnet.route_table.is_none() || is_edge)
        }));
    }

    fn in_subnets(&self, wanted: impl Fn(&crate::snapshot::Subnet) -> bool) -> BTreeSet<String> {
        let subnets: BTreeSet<&String> = self.snapshot.subnets.iter().filter(|(_, subnet)| wanted(subnet)).map(|(id, _)| id).collect();
        let inside = self.snapshot.interfaces.iter().filter(|(_, interface)| subnets.contains(&interface.subnet));
        inside.map(|(id, _)| id.clone()).collect()
    }
}

/// What a change touches.
#[derive(Default)]
struct Moved {
    /// Interfaces that may have another answer.
    asked: BTreeSet<String>,
    /// Whether what comes over load balancers may be another.
    balances: bool,
}

/// The keys under which two maps hold different things.
fn differing<T: PartialEq>(one: &BTreeMap<String, T>, other: &BTreeMap<String, T>) -> Vec<String> {
    let gone = one.keys().filter(|key| !other.contains_key(*key));
    let new = other.iter().filter(|(key, value)| one.get(*key) != Some(value)).map(|(key, _)| key);
    gone.chain(new).cloned().collect()
}

/// Interfaces that load balancers lead to otherwise than before.
fn rebalanced(before: &[Opening], after: &[Opening]) -> BTreeSet<String> {
    let by_interface = |openings: &'_ [Opening]| -> BTreeMap<String, Vec<Opening>> {
        let mut all: BTreeMap<String, Vec<Opening>> = BTreeMap::new();
        for open in openings {
            all.entry(open.interface.to_string()).or_default().push(open.clone());
        }
        all
    };
    if before == after {
        return BTreeSet::new();
    }
    differing(&by_interface(before), &by_interface(after)).into_iter().collect()
}

/// The VPCs that a peering or a transit gateway joins with some.
fn joined(snapshot: &Snapshot, vpcs: &BTreeSet<String>) -> BTreeSet<String> {
    let of_peerings = snapshot.peerings.values().map(|peering| vec![peering.vpcs.0.clone(), peering.vpcs.1.clone()]);
    let mut by_gateway: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for attachment in snapshot.transit_attachments.values() {
        by_gateway.entry(&attachment.gateway).or_default().extend(attachment.vpc.clone());
    }
    of_peerings.chain(by_gateway.into_values()).filter(|of| of.iter().any(|vpc| vpcs.contains(vpc))).flatten().collect()
}

/// The VPCs of which something changed that is around all that is in them.
fn touched(before: &Snapshot, after: &Snapshot) -> BTreeSet<String> {
    let mut vpcs: BTreeSet<String> = BTreeSet::new();
    let both = [before, after];
    for id in differing(&before.vpcs, &after.vpcs) {
        // Whoever is its peer knows its addresses.
        let peerings = both.iter().flat_map(|snapshot| snapshot.peerings.values());
        let peers = peerings.filter(|peering| peering.vpcs.0 == id || peering.vpcs.1 == id);
        vpcs.extend(peers.flat_map(|peering| [peering.vpcs.0.clone(), peering.vpcs.1.clone()]));
        vpcs.insert(id);
    }
    let subnets = differing(&before.subnets, &after.subnets);
    vpcs.extend(
        subnets.iter().flat_map(|id| both.iter().filter_map(move |snapshot| snapshot.subnets.get(id))).map(|subnet| subnet.vpc.clone()),
    );
    if !subnets.is_empty() {
        // Members of groups lie in subnets: who is joined with their VPCs may admit them.
        let joined: Vec<String> = both.iter().flat_map(|snapshot| joined(snapshot, &vpcs)).collect();
        vpcs.extend(joined);
    }
    for id in differing(&before.internet_gateways, &after.internet_gateways) {
        vpcs.extend(both.iter().filter_map(|snapshot| snapshot.internet_gateways.get(&id)?.vpc.clone()));
    }
    for id in differing(&before.vpn_gateways, &after.vpn_gateways) {
        vpcs.extend(both.iter().filter_map(|snapshot| snapshot.vpn_gateways.get(&id)?.clone()));
    }
    for id in differing(&before.peerings, &after.peerings) {
        let peerings = both.iter().filter_map(|snapshot| snapshot.peerings.get(&id));
        vpcs.extend(peerings.flat_map(|peering| [peering.vpcs.0.clone(), peering.vpcs.1.clone()]));
    }
    let transit =
        |snapshot: &Snapshot| (snapshot.transit_gateways.clone(), snapshot.transit_attachments.clone(), snapshot.transit_tables.clone());
    if transit(before) != transit(after) {
        let attachments = both.iter().flat_map(|snapshot| snapshot.transit_attachments.values());
        vpcs.extend(attachments.filter_map(|attachment| attachment.vpc.clone()));
    }
    let blocked = |snapshot: &Snapshot| -> BTreeSet<String> { snapshot.blocked_from_internet.iter().cloned().collect() };
    for id in blocked(before).symmetric_difference(&blocked(after)) {
        let subnets = both.iter().filter_map(|snapshot| snapshot.subnets.get(id)).map(|subnet| subnet.vpc.clone());
        vpcs.extend(subnets.chain([id.clone()]));
    }
    vpcs
}
