//! A network that changes: what each change opens and closes, by work in proportion to what it touches.
//!
//! What was evaluated is kept under all that it depends on, with the version of each; a change raises one version, and only the
//! interfaces that depend on it are asked again. The answer always equals that of a full evaluation.

use crate::evaluate::{Analysis, Engine, Index, Memo, Opening, order};
use crate::snapshot::{Interface, NetworkAcl, RouteTable, RulePeer, SecurityGroup, Snapshot};
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

    /// All that is open now.
    #[must_use]
    pub fn analysis(&self) -> Analysis {
        let mut openings: Vec<Opening> = self.openings.values().flatten().chain(&self.balanced).cloned().collect();
        openings.sort_by(order);
        Analysis { openings, unknown: self.unknown.clone() }
    }

    /// Applies a change. Answers the interfaces whose answer is another one than before.
    pub fn apply(&mut self, change: Change) -> BTreeSet<String> {
        let before_balanced = self.balanced.clone();
        let (mut changed, balances) = match change {
            Change::Everything(snapshot) => {
                let before = std::mem::replace(self, Self::new(*snapshot));
                let ids: BTreeSet<&String> =
                    before.openings.keys().chain(self.openings.keys()).chain(before.unknown.keys()).chain(self.unknown.keys()).collect();
                let differs = |id: &&&String| {
                    before.openings.get(**id) != self.openings.get(**id) || before.unknown.get(**id) != self.unknown.get(**id)
                };
                (ids.iter().filter(differs).map(|id| (*id).clone()).collect(), false)
            }
            Change::Group(id, group) => {
                let balances = self.touches_balancers(&id);
                let asked = self.change_group(id, group);
                (self.ask_again(asked.iter()), balances)
            }
            Change::Interface(id, interface) => {
                let balances = self.touches_balancers(&id) || self.balances_with_groups_of(&id, interface.as_ref());
                let asked = self.change_interface(id, interface);
                (self.ask_again(asked.iter()), balances)
            }
            Change::Acl(id, acl) => {
                self.memo.changed(&id);
                let asked = self.in_subnets(|subnet| subnet.acl.as_ref() == Some(&id));
                match acl {
                    Some(acl) => drop(self.snapshot.acls.insert(id, acl)),
                    None => drop(self.snapshot.acls.remove(&id)),
                }
                (self.ask_again(asked.iter()), !self.snapshot.load_balancers.is_empty())
            }
            Change::RouteTable(id, table) => {
                let asked = self.change_table(id, table);
                (self.ask_again(asked.iter()), !self.snapshot.load_balancers.is_empty())
            }
        };
        if balances {
            self.balance();
        }
        let moved = |ours: &[Opening], theirs: &[Opening]| -> BTreeSet<String> {
            ours.iter().filter(|open| !theirs.contains(open)).map(|open| open.interface.to_string()).collect()
        };
        if before_balanced != self.balanced {
            changed.extend(moved(&before_balanced, &self.balanced));
            changed.extend(moved(&self.balanced, &before_balanced));
        }
        self.memo.sweep(self.snapshot.interfaces.len());
        changed
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

    fn change_group(&mut self, id: String, group: Option<SecurityGroup>) -> BTreeSet<String> {
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
        let asked = self.by_group.get(&id).cloned().unwrap_or_default();
        match group {
            Some(group) => drop(self.snapshot.groups.insert(id, group)),
            None => drop(self.snapshot.groups.remove(&id)),
        }
        asked
    }

    fn change_interface(&mut self, id: String, interface: Option<Interface>) -> BTreeSet<String> {
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
        let mut asked: BTreeSet<String> = BTreeSet::new();
        for group in referring {
            self.memo.changed(&group);
            asked.extend(self.by_group.get(&group).into_iter().flatten().cloned());
        }
        asked.insert(id.clone());
        if let Some(interface) = interface {
            self.snapshot.interfaces.insert(id, interface);
        }
        asked
    }

    fn change_table(&mut self, id: String, table: Option<RouteTable>) -> BTreeSet<String> {
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
        self.in_subnets(|subnet| {
            subnet.route_table.as_ref() == Some(&id) || vpcs.contains(&subnet.vpc) && (subnet.route_table.is_none() || is_edge)
        })
    }

    fn in_subnets(&self, wanted: impl Fn(&crate::snapshot::Subnet) -> bool) -> BTreeSet<String> {
        let subnets: BTreeSet<&String> = self.snapshot.subnets.iter().filter(|(_, subnet)| wanted(subnet)).map(|(id, _)| id).collect();
        let inside = self.snapshot.interfaces.iter().filter(|(_, interface)| subnets.contains(&interface.subnet));
        inside.map(|(id, _)| id.clone()).collect()
    }
}
