//! Laws on random worlds: what is evaluated is what packets find, one by one, and what only opens never closes.

use lestrade_reachability::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Blocks that cut each other up, inside, outside and of peers.
const BLOCKS: [&str; 15] = [
    "0.0.0.0/0",
    "0.0.0.0/1",
    "128.0.0.0/1",
    "10.0.0.0/8",
    "10.0.0.0/16",
    "10.0.1.0/24",
    "10.1.0.0/16",
    "10.1.0.4/30",
    "192.168.0.0/16",
    "198.51.100.0/24",
    "198.51.100.128/25",
    "203.0.113.7/32",
    "::/0",
    "2600:1f00:a::/64",
    "2600:1f00:b::/48",
];
const PORTS: [u16; 9] = [0, 22, 80, 443, 1023, 1024, 8080, 32_768, 65_535];

fn block() -> impl Strategy<Value = Cidr> {
    prop::sample::select(&BLOCKS[..]).prop_map(|text| text.parse().unwrap())
}

fn ports() -> impl Strategy<Value = (u16, u16)> {
    (prop::sample::select(&PORTS[..]), prop::sample::select(&PORTS[..])).prop_map(|(a, b)| (a.min(b), a.max(b)))
}

fn protocol() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![2 => Just(None), 4 => Just(Some(6)), 2 => Just(Some(17)), 1 => Just(Some(50))]
}

fn entry() -> impl Strategy<Value = AclEntry> {
    (1..6_u32, any::<bool>(), prop::bool::weighted(0.7), protocol(), ports(), block())
        .prop_map(|(number, egress, allow, protocol, ports, cidr)| AclEntry { number, egress, allow, protocol, ports, cidr })
}

/// Numbers are unique in each direction, as they are in AWS.
fn acl() -> impl Strategy<Value = NetworkAcl> {
    prop::collection::vec(entry(), 0..7).prop_map(|entries| {
        let by_number: BTreeMap<(bool, u32), AclEntry> = entries.into_iter().map(|entry| ((entry.egress, entry.number), entry)).collect();
        let mut entries: Vec<AclEntry> = by_number.into_values().collect();
        // Mostly open, so that something gets through.
        for (cidr, egress) in [("0.0.0.0/0", false), ("0.0.0.0/0", true), ("::/0", false), ("::/0", true)] {
            entries.push(AclEntry {
                number: 100 + u32::from(cidr == "::/0"),
                egress,
                allow: true,
                protocol: None,
                ports: (0, 0),
                cidr: cidr.parse().unwrap(),
            });
        }
        entries.reverse();
        NetworkAcl { entries }
    })
}

fn rule() -> impl Strategy<Value = GroupRule> {
    let peer = prop_oneof![
        5 => block().prop_map(|block| RulePeer::Block(Block::Cidr(block))),
        1 => Just(RulePeer::Block(Block::PrefixList("pl-1".into()))),
        2 => prop::sample::select(vec!["sg-1", "sg-2"]).prop_map(|id| RulePeer::Group(id.into())),
    ];
    (protocol(), ports(), peer).prop_map(|(protocol, ports, peer)| GroupRule { id: None, egress: false, protocol, ports, peer })
}

fn group() -> impl Strategy<Value = SecurityGroup> {
    prop::collection::vec(rule(), 0..4).prop_map(|rules| SecurityGroup { vpc: "vpc-a".into(), rules })
}

fn route() -> impl Strategy<Value = Route> {
    let target = prop::sample::select(vec![
        Target::InternetGateway("igw-1".into()),
        Target::Peering("pcx-1".into()),
        Target::VpnGateway("vgw-1".into()),
        Target::TransitGateway("tgw-1".into()),
        Target::Other("nat-1".into()),
        Target::Local,
    ]);
    let destination = prop_oneof![6 => block().prop_map(Block::Cidr), 1 => Just(Block::PrefixList("pl-1".into()))];
    (destination, target, prop::bool::weighted(0.9), prop::bool::weighted(0.2))
        // What is propagated are blocks.
        .prop_map(|(destination, target, active, propagated)| Route {
            propagated: propagated && matches!(destination, Block::Cidr(_)),
            destination,
            target,
            active,
        })
}

/// One route of a destination and origin, as in AWS.
fn table(main: bool) -> impl Strategy<Value = RouteTable> {
    prop::collection::vec(route(), 0..5).prop_map(move |routes| {
        let mut seen = BTreeSet::new();
        let mut routes: Vec<Route> =
            routes.into_iter().filter(|route| seen.insert((route.destination.clone(), route.propagated))).collect();
        let everywhere = Block::Cidr("0.0.0.0/0".parse().unwrap());
        if seen.insert((everywhere.clone(), false)) {
            routes.push(Route {
                destination: everywhere,
                target: Target::InternetGateway("igw-1".into()),
                active: true,
                propagated: false,
            });
        }
        RouteTable { vpc: "vpc-a".into(), main, routes }
    })
}

fn transit_table() -> impl Strategy<Value = Vec<TransitRoute>> {
    let over = prop::sample::select(vec![Some("att-a".to_owned()), Some("att-x".to_owned()), None]);
    prop::collection::vec((block(), over), 0..4).prop_map(|routes| {
        let mut seen = BTreeSet::new();
        routes
            .into_iter()
            .filter(|(block, _)| seen.insert(*block))
            .map(|(destination, attachment)| TransitRoute { destination, attachment })
            .collect()
    })
}

prop_compose! {
    fn world()(
        acls in prop::array::uniform2(acl()),
        groups in prop::array::uniform2(group()),
        main in table(true), own in table(false),
        uses_own in any::<bool>(),
        attached in prop::bool::weighted(0.9), peered in prop::bool::weighted(0.8), vpn in prop::bool::weighted(0.8),
        transit in prop::array::uniform2(transit_table()),
        public in prop::array::uniform3(prop::bool::weighted(0.7)),
        edge in prop::option::weighted(0.2, prop::sample::select(vec![Target::Local, Target::Other("eni-fw".into())])),
        blocked in prop::option::weighted(0.1, prop::sample::select(vec!["vpc-a".to_owned(), "subnet-1".to_owned()])),
        list in prop::collection::vec(block(), 0..3),
    ) -> Snapshot {
        let mut world = Snapshot::default();
        let cidrs = |texts: &[&str]| Vpc { cidrs: texts.iter().map(|text| text.parse().unwrap()).collect() };
        world.vpcs = [("vpc-a".into(), cidrs(&["10.0.0.0/16", "2600:1f00:a::/56"])), ("vpc-b".into(), cidrs(&["10.1.0.0/16"]))].into();
        let subnet = |vpc: &str, table: Option<&str>, acl: &str| Subnet { vpc: vpc.into(), route_table: table.map(Into::into), acl: Some(acl.into()), zone: "a".into() };
        world.subnets = [
            ("subnet-1".into(), subnet("vpc-a", uses_own.then_some("rtb-own"), "acl-0")),
            ("subnet-2".into(), subnet("vpc-a", None, "acl-1")),
            ("subnet-b".into(), subnet("vpc-b", None, "acl-1")),
        ].into();
        let mut tables: BTreeMap<String, RouteTable> = [("rtb-main".into(), main), ("rtb-own".into(), own)].into();
        let mut gateway = InternetGateway { vpc: attached.then(|| "vpc-a".into()), edge_table: None };
        if let Some(target) = edge {
            let route = Route { destination: Block::Cidr("10.0.1.0/24".parse().unwrap()), target, active: true, propagated: false };
            tables.insert("rtb-edge".into(), RouteTable { vpc: "vpc-a".into(), main: false, routes: vec![route] });
            gateway.edge_table = Some("rtb-edge".into());
        }
        world.route_tables = tables;
        world.internet_gateways = [("igw-1".into(), gateway)].into();
        world.acls = acls.into_iter().enumerate().map(|(at, acl)| (format!("acl-{at}"), acl)).collect();
        world.groups = groups.into_iter().enumerate().map(|(at, group)| (format!("sg-{}", at + 1), group)).collect();
        world.prefix_lists = [("pl-1".into(), list)].into();
        let interface = |subnet: &str, private: &[&str], public: bool, groups: &[&str]| Interface {
            subnet: subnet.into(),
            addresses: private.iter().map(|text| Address { private: ip(text), public: (public && !text.contains(':')).then(|| ip("54.1.2.3")) }).collect(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            instance: Some(format!("i-{subnet}")),
            primary: true,
            description: String::new(),
        };
        world.interfaces = [
            ("eni-1".into(), interface("subnet-1", &["10.0.1.10", "2600:1f00:a::1"], public[0], &["sg-1", "sg-2"])),
            ("eni-2".into(), interface("subnet-2", &["10.0.2.10"], public[1], &["sg-2"])),
            ("eni-b".into(), interface("subnet-b", &["10.1.0.5"], public[2], &["sg-1"])),
        ].into();
        world.peerings = [("pcx-1".into(), Peering { vpcs: ("vpc-b".into(), "vpc-a".into()), cidrs: Default::default(), active: peered })].into();
        world.vpn_gateways = [("vgw-1".into(), vpn.then(|| "vpc-a".into()))].into();
        let attachment = |vpc: Option<&str>, table: &str| TransitAttachment { gateway: "tgw-1".into(), vpc: vpc.map(Into::into), table: Some(table.into()) };
        world.transit_attachments = [("att-a".into(), attachment(Some("vpc-a"), "t1")), ("att-x".into(), attachment(None, "t2"))].into();
        let [one, two] = transit;
        world.transit_tables = [("t1".into(), one), ("t2".into(), two)].into();
        world.blocked_from_internet = blocked.into_iter().collect();
        world
    }
}

/// An address of each stretch in which nothing can change: the ends of all blocks.
fn addresses() -> BTreeSet<IpAddr> {
    let named = BLOCKS.iter().chain(&["10.0.0.0/16", "2600:1f00:a::/56", "10.0.1.10/32", "10.1.0.5/32", "2000::/3"]);
    let bounds = named.flat_map(|text| {
        let block: Cidr = text.parse().unwrap();
        let (first, last) = block.bounds();
        [first.saturating_sub(1), first, last, last.saturating_add(1)].map(|number| (block.family, number))
    });
    let mut all: BTreeSet<IpAddr> =
        bounds.filter(|(family, number)| family.all().contains(*number)).map(|(family, number)| family.address(number)).collect();
    for reserved in internet(AddressFamily::V4).complement().ranges() {
        all.extend(
            [reserved.0, reserved.1]
                .into_iter()
                .filter(|number| *number <= u128::from(u32::MAX))
                .map(|number| AddressFamily::V4.address(number)),
        );
    }
    all
}

/// What packets find open, one by one: interface, address, protocol, source and port.
fn simulated(world: &Snapshot) -> BTreeSet<(String, IpAddr, u8, IpAddr, u16)> {
    let near: BTreeSet<u16> = PORTS.iter().flat_map(|port| [port.saturating_sub(1), *port, port.saturating_add(1)]).collect();
    let clients: Vec<u16> = near.iter().copied().filter(|port| *port >= 1024).collect();
    let mut found = BTreeSet::new();
    for (id, interface) in &world.interfaces {
        for address in &interface.addresses {
            for source in addresses().into_iter().filter(|source| source.is_ipv4() == address.private.is_ipv4()) {
                for protocol in [6, 17] {
                    for port in &near {
                        let packet =
                            |client: u16| Packet { source, source_port: client, destination: address.private, port: *port, protocol };
                        if !arrive(world, &packet(clients[0])).arrives() {
                            continue;
                        }
                        if clients.iter().any(|client| arrive(world, &packet(*client)).converses()) {
                            found.insert((id.clone(), address.private, protocol, source, *port));
                        }
                    }
                }
            }
        }
    }
    found
}

/// The same questions, asked of what was evaluated.
fn evaluated(world: &Snapshot) -> BTreeSet<(String, IpAddr, u8, IpAddr, u16)> {
    let near: BTreeSet<u16> = PORTS.iter().flat_map(|port| [port.saturating_sub(1), *port, port.saturating_add(1)]).collect();
    let mut found = BTreeSet::new();
    for open in world_openings(world) {
        for source in addresses() {
            let number = match source {
                IpAddr::V4(source) => u128::from(u32::from(source)),
                IpAddr::V6(source) => u128::from(source),
            };
            if source.is_ipv4() != open.address.is_ipv4() || !open.sources.contains(number) {
                continue;
            }
            for port in near.iter().filter(|port| (open.ports.0..=open.ports.1).contains(port)) {
                found.insert((open.interface.to_string(), open.address, open.protocol, source, *port));
            }
        }
    }
    found
}

fn world_openings(world: &Snapshot) -> Vec<Opening> {
    evaluate(world).openings
}

/// Ports of any range, without who reaches them.
fn open_ports(set: &BTreeSet<(String, IpAddr, u8, IpAddr, u16)>) -> BTreeSet<(String, IpAddr, u8, u16)> {
    set.iter().map(|(id, address, protocol, _, port)| (id.clone(), *address, *protocol, *port)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn what_is_evaluated_is_what_packets_find(world in world()) {
        let (engine, packets) = (evaluated(&world), simulated(&world));
        // A range's sources are those of any of its ports: what a packet finds is in it, and each port of it is found by some packet.
        prop_assert!(packets.is_subset(&engine), "a packet gets through where nothing is said to be open: {:?}", packets.difference(&engine).next());
        prop_assert_eq!(open_ports(&engine), open_ports(&packets));
        for open in world_openings(&world) {
            let clients = [1024, 1025, 8080, 8081, 32_768, 32_769, 50_000, 65_535];
            let packet = |client: u16| Packet { source: open.witness.0, source_port: client, destination: open.address, port: open.witness.1, protocol: open.protocol };
            prop_assert!(clients.iter().any(|client| arrive(&world, &packet(*client)).converses()), "the witness of {:?}", open);
        }
    }

    #[test]
    fn a_rule_of_a_group_never_closes(world in world(), rule in rule()) {
        let before = evaluated(&world);
        let mut wider = world;
        wider.groups.get_mut("sg-1").unwrap().rules.push(rule);
        prop_assert!(before.is_subset(&evaluated(&wider)));
    }

    #[test]
    fn a_denial_never_opens(world in world(), block in block(), egress: bool, ports in ports()) {
        let before = open_ports(&evaluated(&world));
        let mut narrower = world;
        let denial = AclEntry { number: 0, egress, allow: false, protocol: Some(6), ports, cidr: block };
        narrower.acls.values_mut().for_each(|acl| acl.entries.push(denial.clone()));
        prop_assert!(open_ports(&evaluated(&narrower)).is_subset(&before));
    }

    #[test]
    fn the_order_of_lists_does_not_matter(world in world()) {
        let mut turned = world.clone();
        turned.acls.values_mut().for_each(|acl| acl.entries.reverse());
        turned.groups.values_mut().for_each(|group| group.rules.reverse());
        turned.route_tables.values_mut().for_each(|table| table.routes.reverse());
        prop_assert_eq!(evaluated(&world), evaluated(&turned));
    }
}

/// A change out of another world.
fn change(from: &Snapshot, number: usize) -> Change {
    let pick = |ids: Vec<&String>| ids[number / 7 % ids.len()].clone();
    match number % 7 {
        0 | 1 => {
            let id = pick(from.groups.keys().collect());
            Change::Group(id.clone(), from.groups.get(&id).cloned().filter(|_| !number.is_multiple_of(5)))
        }
        2 | 3 => {
            let id = pick(from.interfaces.keys().collect());
            Change::Interface(id.clone(), from.interfaces.get(&id).cloned().filter(|_| !number.is_multiple_of(5)))
        }
        4 => {
            let id = pick(from.acls.keys().collect());
            Change::Acl(id.clone(), from.acls.get(&id).cloned().filter(|_| !number.is_multiple_of(5)))
        }
        5 => {
            let id = pick(from.route_tables.keys().collect());
            Change::RouteTable(id.clone(), from.route_tables.get(&id).cloned().filter(|_| !number.is_multiple_of(5)))
        }
        _ => Change::Everything(Box::new(from.clone())),
    }
}

/// A balancer before the second instance, so that edges change too.
fn balanced(mut world: Snapshot) -> Snapshot {
    let listener = Listener { protocols: vec![6], port: 80, target_groups: vec!["tg-1".into()] };
    let balancer = LoadBalancer {
        internet_facing: true,
        groups: vec!["sg-1".into()],
        interfaces: vec!["eni-1".into()],
        cross_zone: true,
        listeners: vec![listener],
        ..LoadBalancer::default()
    };
    world.load_balancers.insert("lb-1".into(), balancer);
    let targets = vec![BalancerTarget { id: "i-subnet-2".into(), port: 8080 }];
    world.target_groups.insert("tg-1".into(), TargetGroup { preserves_client: false, targets });
    for group in world.groups.values_mut() {
        let all = RulePeer::Block(Block::Cidr("0.0.0.0/0".parse().unwrap()));
        group.rules.push(GroupRule { id: None, egress: true, protocol: None, ports: (0, 65_535), peer: all });
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// What is kept up by changes is what a full evaluation answers, and a change names what it changed.
    #[test]
    fn incremental_is_full(first in world(), others in prop::collection::vec((world(), 0..1000_usize), 1..12)) {
        let mut network = Network::new(balanced(first));
        for (other, number) in others {
            let before = network.analysis();
            let changed = network.apply(change(&balanced(other), number));
            let after = network.analysis();
            prop_assert_eq!(&after, &evaluate(network.snapshot()));
            let of = |analysis: &Analysis, id: &String| (analysis.openings.iter().filter(|open| *open.interface == **id).cloned().collect::<Vec<_>>(), analysis.unknown.get(id).cloned());
            let ids: BTreeSet<String> = before.openings.iter().chain(&after.openings).map(|open| open.interface.to_string()).chain(before.unknown.keys().cloned()).chain(after.unknown.keys().cloned()).collect();
            let differing: BTreeSet<String> = ids.into_iter().filter(|id| of(&before, id) != of(&after, id)).collect();
            prop_assert_eq!(changed, differing);
        }
    }
}

/// An engine that forgets a rule is one that sees a world without what the rule asks for.
type Forgetful = (&'static str, fn(&mut Snapshot));

const FORGETFUL: [Forgetful; 13] = [
    ("what ACLs let out", |world| world.acls.values_mut().for_each(|acl| acl.entries.retain(|entry| !entry.egress || entry.number >= 100))),
    ("what ACLs let in", |world| world.acls.values_mut().for_each(|acl| acl.entries.retain(|entry| entry.egress || entry.number >= 100))),
    ("the numbers of ACLs' rules", |world| {
        world.acls.values_mut().flat_map(|acl| &mut acl.entries).for_each(|entry| entry.number = 200 - entry.number);
    }),
    ("denials", |world| world.acls.values_mut().for_each(|acl| acl.entries.retain(|entry| entry.allow))),
    ("black holes", |world| world.route_tables.values_mut().flat_map(|table| &mut table.routes).for_each(|route| route.active = true)),
    ("specific routes", |world| {
        let everywhere: Block = Block::Cidr("0.0.0.0/0".parse().unwrap());
        world.route_tables.values_mut().for_each(|table| table.routes.retain(|route| route.destination == everywhere));
    }),
    ("a subnet's own table", |world| world.subnets.values_mut().for_each(|subnet| subnet.route_table = None)),
    ("whether gateways are attached", |world| {
        world.internet_gateways.values_mut().for_each(|gateway| gateway.vpc = Some("vpc-a".into()));
    }),
    ("edge routes", |world| world.internet_gateways.values_mut().for_each(|gateway| gateway.edge_table = None)),
    ("public addresses", |world| {
        let addresses = world.interfaces.values_mut().flat_map(|interface| &mut interface.addresses);
        addresses.filter(|address| address.private.is_ipv4()).for_each(|address| address.public = Some(ip("54.1.2.3")));
    }),
    ("blocked public access", |world| world.blocked_from_internet.clear()),
    ("whether peerings are active", |world| world.peerings.values_mut().for_each(|peering| peering.active = true)),
    ("whether VPN gateways are attached", |world| world.vpn_gateways.values_mut().for_each(|vpc| *vpc = Some("vpc-a".into()))),
];

/// Each rule that an engine could forget is seen by some packet.
#[test]
fn an_engine_that_forgets_a_rule_is_caught() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let worlds: Vec<Snapshot> = (0..300).map(|_| world().new_tree(&mut runner).unwrap().current()).collect();
    for (rule, forget) in FORGETFUL {
        let caught = worlds.iter().any(|world| {
            let mut seen = world.clone();
            forget(&mut seen);
            open_ports(&evaluated(&seen)) != open_ports(&evaluated(world))
        });
        assert!(caught, "an engine that forgets {rule} is not caught");
    }
}

#[test]
fn a_change_says_what_it_opens_and_closes() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    for _ in 0..40 {
        let (before, after) = (world().new_tree(&mut runner).unwrap().current(), world().new_tree(&mut runner).unwrap().current());
        let groups = after.groups.clone();
        let difference = what_if(&before, |world| world.groups = groups);
        let mut changed = before.clone();
        changed.groups = after.groups;
        let back = what_if(&changed, |world| *world = before.clone());
        assert_eq!((difference.opened.len(), difference.closed.len()), (back.closed.len(), back.opened.len()));
        for open in &difference.opened {
            let packet = |client: u16| Packet {
                source: open.witness.0,
                source_port: client,
                destination: open.address,
                port: open.witness.1,
                protocol: open.protocol,
            };
            assert!(
                !arrive(&before, &packet(50_000)).arrives() || open.partial_ephemeral || open.sources.ranges().len() > 1,
                "{open:?} was open before"
            );
        }
        assert_eq!(what_if(&before, |_| {}), Difference::default());
    }
}
