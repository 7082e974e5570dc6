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
        2 => prop::sample::select(vec!["sg-1", "sg-2", "sg-3"]).prop_map(|id| RulePeer::Group(id.into())),
    ];
    (protocol(), ports(), peer, prop::bool::weighted(0.3)).prop_map(|(protocol, ports, peer, egress)| GroupRule {
        id: None,
        egress,
        protocol,
        ports,
        peer,
    })
}

/// What most groups let out.
fn everything_out(block: &str) -> GroupRule {
    let peer = RulePeer::Block(Block::Cidr(block.parse().unwrap()));
    GroupRule { id: None, egress: true, protocol: None, ports: (0, 65_535), peer }
}

fn group() -> impl Strategy<Value = SecurityGroup> {
    // Now and then something is wide open, so that what else closes is seen.
    (prop::collection::vec(rule(), 0..4), prop::bool::weighted(0.8), prop::bool::weighted(0.3)).prop_map(|(mut rules, out, wide)| {
        rules.extend(wide.then(|| GroupRule { egress: false, ..everything_out("0.0.0.0/0") }));
        rules.extend(out.then(|| ["0.0.0.0/0", "::/0"].map(everything_out)).into_iter().flatten());
        SecurityGroup { vpc: "vpc-a".into(), rules }
    })
}

/// What targets are named by: an instance, one of its interfaces, addresses of both families and of a peer, another load balancer.
const TARGETS: [&str; 8] = ["i-subnet-1", "i-subnet-2", "eni-3", "10.0.2.10", "2600:1f00:a::1", "10.1.0.5", "lb-inner", "192.0.2.1"];

fn target_group() -> impl Strategy<Value = TargetGroup> {
    let ids: Vec<&str> = TARGETS.iter().copied().chain(["lb-inner"; 2]).collect();
    let target = (prop::sample::select(ids), prop::sample::select(vec![80_u16, 8080]));
    let targets = prop::collection::vec(target.prop_map(|(id, port)| BalancerTarget { id: id.into(), port }), 0..6);
    (any::<bool>(), prop::option::weighted(0.3, any::<bool>()), targets).prop_map(|(preserves_client, cross_zone, targets)| TargetGroup {
        preserves_client,
        cross_zone,
        targets,
    })
}

fn balancer() -> impl Strategy<Value = LoadBalancer> {
    let kind = prop::sample::select(vec![
        BalancerKind::Application,
        BalancerKind::Classic,
        BalancerKind::Network,
        BalancerKind::Network,
        BalancerKind::Gateway,
    ]);
    let protocols = prop::sample::select(vec![vec![6_u8], vec![17], vec![6, 17]]);
    let groups = prop::sample::subsequence(vec!["tg-1".to_owned(), "tg-2".to_owned()], 1..3);
    let listener = (protocols, prop::sample::select(vec![80_u16, 8080]), groups).prop_map(|(protocols, port, target_groups)| Listener {
        id: None,
        protocols,
        port,
        target_groups,
    });
    let nodes = prop::sample::subsequence(vec!["eni-n1".to_owned(), "eni-n2".to_owned()], 1..3);
    let zones = prop::sample::subsequence(vec!["a".to_owned(), "b".to_owned()], 0..3);
    let listeners = prop::collection::vec(listener, 1..3);
    (kind, prop::bool::weighted(0.8), prop::option::weighted(0.6, Just("sg-1".to_owned())), nodes, zones, any::<bool>(), listeners)
        .prop_map(|(kind, internet_facing, group, interfaces, zones, cross_zone, listeners)| LoadBalancer {
            // Only network load balancers may be without groups.
            groups: group
                .or_else(|| (!matches!(kind, BalancerKind::Network | BalancerKind::Gateway)).then(|| "sg-2".to_owned()))
                .into_iter()
                .collect(),
            kind,
            internet_facing,
            interfaces,
            zones: zones.into_iter().collect(),
            cross_zone: cross_zone || kind == BalancerKind::Application,
            listeners,
        })
}

fn route() -> impl Strategy<Value = Route> {
    let target = prop::sample::select(vec![
        Target::InternetGateway("igw-1".into()),
        Target::Peering("pcx-1".into()),
        Target::VpnGateway("vgw-1".into()),
        Target::TransitGateway("tgw-1".into()),
        Target::Other("nat-1".into()),
        Target::Other("eni-fw".into()),
        Target::Other("vpce-gwlb".into()),
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
    (prop::collection::vec(route(), 0..5), prop::bool::weighted(0.4)).prop_map(move |(mut routes, transits)| {
        // Often the way to the VPC behind the transit gateway.
        let behind = Block::Cidr("192.168.0.0/16".parse().unwrap());
        let target = Target::TransitGateway("tgw-1".into());
        routes.extend(transits.then_some(Route { destination: behind, target, active: true, propagated: false }));
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

/// Often with the way that leads somewhere.
fn transit_table(often: (&'static str, &'static str)) -> impl Strategy<Value = Vec<TransitRoute>> {
    let over = prop::sample::select(vec![Some("att-a".to_owned()), Some("att-x".to_owned()), None]);
    (prop::collection::vec((block(), over), 0..4), prop::bool::weighted(0.6)).prop_map(move |(mut routes, usual)| {
        routes.extend(usual.then(|| (often.0.parse().unwrap(), Some(often.1.to_owned()))));
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
        groups in prop::array::uniform3(group()),
        main in table(true), own in table(false),
        uses_own in any::<bool>(),
        attached in prop::bool::weighted(0.9), peered in prop::bool::weighted(0.8), vpn in prop::bool::weighted(0.8),
        transit in (transit_table(("0.0.0.0/0", "att-x")), transit_table(("10.0.0.0/16", "att-a"))),
        referencing in (prop::option::weighted(0.9, prop::bool::weighted(0.8)), prop::array::uniform2(prop::option::weighted(0.9, prop::bool::weighted(0.8)))),
        public in prop::array::uniform4(prop::bool::weighted(0.7)),
        edge in prop::option::weighted(0.2, prop::sample::select(vec![Target::Local, Target::Other("eni-fw".into()), Target::Other("vpce-gwlb".into())])),
        blocked in prop::option::weighted(0.1, prop::sample::select(vec!["vpc-a".to_owned(), "subnet-1".to_owned()])),
        list in prop::collection::vec(block(), 0..3),
        balancers in (prop::option::weighted(0.8, balancer()), prop::option::weighted(0.5, balancer()), prop::array::uniform2(target_group())),
    ) -> Snapshot {
        let mut world = Snapshot::default();
        let cidrs = |texts: &[&str]| Vpc { cidrs: texts.iter().map(|text| text.parse().unwrap()).collect() };
        world.vpcs = [("vpc-a".into(), cidrs(&["10.0.0.0/16", "2600:1f00:a::/56"])), ("vpc-b".into(), cidrs(&["10.1.0.0/16"])), ("vpc-c".into(), cidrs(&["192.168.0.0/16"]))].into();
        let subnet = |vpc: &str, table: Option<&str>, acl: &str, zone: &str| Subnet { vpc: vpc.into(), route_table: table.map(Into::into), acl: Some(acl.into()), zone: zone.into() };
        world.subnets = [
            ("subnet-1".into(), subnet("vpc-a", uses_own.then_some("rtb-own"), "acl-0", "a")),
            ("subnet-2".into(), subnet("vpc-a", None, "acl-1", "b")),
            ("subnet-b".into(), subnet("vpc-b", None, "acl-1", "a")),
            ("subnet-c".into(), subnet("vpc-c", None, "acl-1", "a")),
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
            ("eni-2".into(), interface("subnet-2", &["10.0.2.10", "fd00::2"], public[1], &["sg-2"])),
            // A second one of the same instance, and one of a service.
            ("eni-3".into(), Interface { instance: Some("i-subnet-2".into()), primary: false, ..interface("subnet-1", &["10.0.1.11"], false, &["sg-1"]) }),
            ("eni-4".into(), Interface { instance: None, ..interface("subnet-2", &["10.0.2.11"], false, &["sg-3"]) }),
            ("eni-b".into(), interface("subnet-b", &["10.1.0.5"], public[2], &["sg-1", "sg-3"])),
            // A member of two groups in a VPC that a transit gateway leads to.
            ("eni-c".into(), Interface { instance: None, ..interface("subnet-c", &["192.168.0.5"], false, &["sg-2", "sg-3"]) }),
            ("eni-n1".into(), Interface { instance: None, ..interface("subnet-1", &["10.0.1.200", "2600:1f00:a::200"], public[3], &["sg-1"]) }),
            ("eni-n2".into(), Interface { instance: None, ..interface("subnet-2", &["10.0.2.200"], public[3], &["sg-1"]) }),
        ].into();
        let (outer, inner, target_groups) = balancers;
        world.load_balancers.extend(outer.map(|balancer| ("lb-outer".to_owned(), balancer)));
        world.load_balancers.extend(inner.map(|balancer| ("lb-inner".to_owned(), balancer)));
        world.target_groups = target_groups.into_iter().enumerate().map(|(at, group)| (format!("tg-{}", at + 1), group)).collect();
        world.peerings = [("pcx-1".into(), Peering { vpcs: ("vpc-b".into(), "vpc-a".into()), cidrs: Default::default(), active: peered })].into();
        world.vpn_gateways = [("vgw-1".into(), vpn.then(|| "vpc-a".into()))].into();
        let (gateway, of) = referencing;
        world.transit_gateways = gateway.map(|refers| ("tgw-1".into(), refers)).into_iter().collect();
        let attachment = |vpc: &str, table: &str, group_references| TransitAttachment { gateway: "tgw-1".into(), vpc: Some(vpc.into()), table: Some(table.into()), group_references };
        world.transit_attachments = [("att-a".into(), attachment("vpc-a", "t1", of[0])), ("att-x".into(), attachment("vpc-c", "t2", of[1]))].into();
        let (one, two) = transit;
        world.transit_tables = [("t1".into(), one), ("t2".into(), two)].into();
        world.blocked_from_internet = blocked.into_iter().collect();
        world
    }
}

/// An address of each stretch in which nothing can change: the ends of all blocks.
fn addresses() -> BTreeSet<IpAddr> {
    let named = BLOCKS.iter().chain(&["10.0.0.0/16", "2600:1f00:a::/56", "10.0.1.10/32", "10.1.0.5/32", "192.168.0.5/32", "2000::/3"]);
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

/// Where a packet gets to, and by which way: class, interface, address, protocol, source and port.
type Way = (SourceClass, String, IpAddr, u8, IpAddr, u16);

fn near() -> BTreeSet<u16> {
    PORTS.iter().flat_map(|port| [port.saturating_sub(1), *port, port.saturating_add(1)]).collect()
}

/// The class of a journey by the gateway that it began at. None of those that end before one.
fn class_of(journey: &Journey, over_balancer: bool) -> SourceClass {
    match journey.hops[0].split('-').next().unwrap() {
        "pcx" => SourceClass::Peer,
        "vgw" => SourceClass::Vpn,
        "tgw" => SourceClass::Transit,
        _ if journey.appliance.is_some() => SourceClass::Appliance,
        _ if over_balancer => SourceClass::LoadBalancer,
        _ => SourceClass::Internet,
    }
}

/// What packets find open, one by one.
fn simulated(world: &Snapshot) -> BTreeSet<Way> {
    let clients: Vec<u16> = near().into_iter().filter(|port| *port >= 1024).collect();
    let mut found = BTreeSet::new();
    let nodes = node_by_node(world);
    for (id, interface) in world.interfaces.iter().filter(|(_, interface)| interface.instance.is_some()) {
        for address in &interface.addresses {
            for source in addresses() {
                for protocol in [6, 17] {
                    for port in near() {
                        let packet = |client: u16| Packet { source, source_port: client, destination: address.private, port, protocol };
                        let way = |class: SourceClass| (class, id.clone(), address.private, protocol, source, port);
                        if source.is_ipv4() == address.private.is_ipv4() && arrive(world, &packet(clients[0])).arrives() {
                            let mut journeys = clients.iter().map(|client| arrive(world, &packet(*client)));
                            found.extend(journeys.find(Journey::converses).map(|journey| way(class_of(&journey, false))));
                        }
                        for (balancer, world) in &nodes {
                            found.extend(over(world, balancer, &clients, &packet).map(|journey| way(class_of(&journey, true))));
                        }
                    }
                }
            }
        }
    }
    found
}

/// The world once for each node of each load balancer, with no other one of it: to each node a client comes by one way.
fn node_by_node(world: &Snapshot) -> Vec<(String, Snapshot)> {
    let mut all = Vec::new();
    for (id, balancer) in &world.load_balancers {
        for node in &balancer.interfaces {
            let mut alone = world.clone();
            let only = alone.load_balancers.get_mut(id).unwrap();
            if only.zones.is_empty() {
                only.zones = balancer.interfaces.iter().map(|node| world.subnets[&world.interfaces[node].subnet].zone.clone()).collect();
            }
            only.interfaces = vec![node.clone()];
            all.push((id.clone(), alone));
        }
    }
    all
}

/// A packet over a load balancer that gets through, from some port of the client's and some port of the node's.
fn over(world: &Snapshot, balancer: &str, ports: &[u16], packet: &impl Fn(u16) -> Packet) -> Option<Journey> {
    let sent = packet(ports[0]);
    // Ports that no target has are not asked.
    let mut targets = world.target_groups.values().flat_map(|group| &group.targets);
    targets.find(|target| target.port == sent.port)?;
    for client in ports {
        for node in ports {
            let journey = arrive_over(world, balancer, &packet(*client), *node);
            if journey.converses() {
                return Some(journey);
            }
            // Where the client does not get to a node, that node's port does not matter.
            if !journey.hops.iter().any(|hop| hop.starts_with("eni-n")) {
                break;
            }
        }
    }
    None
}

/// The same questions, asked of what was evaluated.
fn evaluated(world: &Snapshot) -> BTreeSet<Way> {
    ways_of(&world_openings(world))
}

fn ways_of(openings: &[Opening]) -> BTreeSet<Way> {
    let mut found = BTreeSet::new();
    for open in openings {
        let whole = [Part { ports: open.ports, sources: (*open.sources).clone() }];
        for part in if open.parts.is_empty() { &whole[..] } else { &open.parts } {
            for source in sources(open.family(), &part.sources) {
                for port in near().into_iter().filter(|port| (part.ports.0..=part.ports.1).contains(port)) {
                    found.insert((open.class, open.interface.to_string(), open.address, open.protocol, source, port));
                }
            }
        }
    }
    found
}

/// Those of the addresses that are asked that are in a set.
fn sources(family: AddressFamily, set: &RangeSet<u128>) -> impl Iterator<Item = IpAddr> + '_ {
    addresses().into_iter().filter(move |source| {
        let number = match source {
            IpAddr::V4(source) => u128::from(u32::from(*source)),
            IpAddr::V6(source) => u128::from(*source),
        };
        source.is_ipv4() == (family == AddressFamily::V4) && set.contains(number)
    })
}

fn world_openings(world: &Snapshot) -> Vec<Opening> {
    evaluate(world).in_parts(world).openings
}

/// Ports of any range, without who reaches them.
fn open_ports(set: &BTreeSet<Way>) -> BTreeSet<(SourceClass, String, IpAddr, u8, u16)> {
    set.iter().map(|(class, id, address, protocol, _, port)| (*class, id.clone(), *address, *protocol, *port)).collect()
}

/// Whether a packet like an opening's witness gets through.
fn is_shown(world: &Snapshot, open: &Opening) -> bool {
    let clients: Vec<u16> = near().into_iter().filter(|port| *port >= 1024).collect();
    let packet = |client: u16| Packet {
        source: open.witness.0,
        source_port: client,
        destination: open.address,
        port: open.witness.1,
        protocol: open.protocol,
    };
    let direct = clients.iter().any(|client| arrive(world, &packet(*client)).converses());
    direct || world.load_balancers.keys().any(|balancer| over(world, balancer, &clients, &packet).is_some())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn what_is_evaluated_is_what_packets_find(world in world()) {
        let (engine, packets) = (evaluated(&world), simulated(&world));
        prop_assert_eq!(packets.difference(&engine).next(), None, "a packet gets through where nothing is said to be open");
        prop_assert_eq!(engine.difference(&packets).next(), None, "said to be open, and no packet gets through");
        for open in world_openings(&world) {
            prop_assert!(is_shown(&world, &open), "the witness of {:?}", open);
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

/// What datagrams find open over each gateway, whether or not anybody could answer; load balancers apart.
fn simulated_one_way(world: &Snapshot) -> BTreeSet<Way> {
    let gateways = [
        Target::InternetGateway("igw-1".into()),
        Target::Peering("pcx-1".into()),
        Target::VpnGateway("vgw-1".into()),
        Target::TransitGateway("tgw-1".into()),
    ];
    let mut found = BTreeSet::new();
    for (id, interface) in world.interfaces.iter().filter(|(_, interface)| interface.instance.is_some()) {
        for address in &interface.addresses {
            for source in addresses().into_iter().filter(|source| source.is_ipv4() == address.private.is_ipv4()) {
                for (gateway, port) in gateways.iter().flat_map(|gateway| near().into_iter().map(move |port| (gateway, port))) {
                    let packet = Packet { source, source_port: 50_000, destination: address.private, port, protocol: 17 };
                    let journey = arrive_one_way(world, &packet, gateway);
                    if journey.arrives() {
                        found.insert((class_of(&journey, false), id.clone(), address.private, 17, source, port));
                    }
                }
            }
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// With replies out of the question, what is told of UDP is what single datagrams find; TCP is as ever.
    #[test]
    fn one_way_is_what_datagrams_find(world in world()) {
        let world = Snapshot { load_balancers: BTreeMap::new(), ..world };
        let all = evaluate_one_way(&world).in_parts(&world).openings;
        let (udp, tcp): (Vec<Opening>, Vec<Opening>) = all.into_iter().partition(|open| open.protocol == 17);
        prop_assert_eq!(tcp.iter().filter(|open| open.one_way).count(), 0);
        let datagrams = simulated_one_way(&world);
        let found = ways_of(&udp);
        prop_assert_eq!(datagrams.difference(&found).next(), None, "a datagram gets in where nothing is said to be open");
        prop_assert_eq!(found.difference(&datagrams).next(), None, "said to be open, and no datagram gets in");
        let conversations = world_openings(&world);
        let kept: Vec<&Opening> = tcp.iter().chain(&udp).filter(|open| !open.one_way).collect();
        prop_assert_eq!(kept.len(), conversations.len(), "what was open is told as it was");
    }
}

/// Whether compatible mode knows a way: IPv4, and what Inspector looks at.
fn is_inspectors((class, _, address, ..): &Way) -> bool {
    let known = [SourceClass::Internet, SourceClass::Peer, SourceClass::Vpn, SourceClass::LoadBalancer];
    known.contains(class) && address.is_ipv4()
}

/// What compatible mode says is open, without who reaches it.
fn compatible(world: &Snapshot) -> BTreeSet<(SourceClass, String, u8, u16)> {
    let openings = Mode::Compatible.of(world, evaluate(world)).openings;
    let ports = |open: &Opening| near().into_iter().filter(|port| (open.ports.0..=open.ports.1).contains(port)).collect::<Vec<_>>();
    openings
        .iter()
        .flat_map(|open| ports(open).into_iter().map(|port| (open.class, open.interface.to_string(), open.protocol, port)))
        .collect()
}

/// The same by packets, in a world without what Inspector does not look at.
fn seen_by_inspector(world: &Snapshot) -> BTreeSet<(SourceClass, String, u8, u16)> {
    let mut seen = world.clone();
    seen.load_balancers.retain(|_, balancer| matches!(balancer.kind, BalancerKind::Application | BalancerKind::Classic));
    let found = simulated(&seen).into_iter().filter(|way| is_inspectors(way) && way.4.is_ipv4());
    found.map(|(class, id, _, protocol, _, port)| (class, id, protocol, port)).collect()
}

/// Worlds that compatible mode has nothing to say of agree with an engine that never says anything: enough of them must be others, of
/// every class.
#[test]
fn compatible_mode_is_what_inspector_looks_at() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut told: BTreeMap<SourceClass, usize> = BTreeMap::new();
    let mut differ = 0;
    for number in 0..600 {
        let world = world().new_tree(&mut runner).unwrap().current();
        let mode = compatible(&world);
        let classes: BTreeSet<SourceClass> = mode.iter().map(|(class, ..)| *class).collect();
        // Packets take their time: every tenth world, and those with a load balancer that something comes over.
        if number % 10 == 0 || classes.contains(&SourceClass::LoadBalancer) {
            assert_eq!(mode, seen_by_inspector(&world), "{world:#?}");
        } else {
            continue;
        }
        classes.into_iter().for_each(|class| *told.entry(class).or_default() += 1);
        differ += usize::from(Mode::Compatible.of(&world, evaluate(&world)).openings.len() < world_openings(&world).len());
    }
    let least = told.values().min().copied().unwrap_or(0);
    assert!(
        told.len() == 4 && least >= 3 && differ >= 10,
        "worlds in which something is told, by class: {told:?}; less than in full: {differ}"
    );
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
    let listener = Listener { id: None, protocols: vec![6], port: 80, target_groups: vec!["tg-1".into()] };
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
    world.target_groups.insert("tg-1".into(), TargetGroup { targets, ..TargetGroup::default() });
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
            prop_assert_eq!(changed, differing(&before, &after));
        }
    }
}

/// A world with some of another's parts, by the bits of a number.
fn mixed(mut world: Snapshot, other: Snapshot, bits: u16) -> Snapshot {
    macro_rules! take {
        ($($bit:literal $part:ident),*) => {$( if bits >> $bit & 1 == 1 { world.$part = other.$part; } )*};
    }
    take!(0 vpcs, 1 subnets, 2 route_tables, 3 internet_gateways, 4 acls, 5 groups, 6 prefix_lists, 7 interfaces, 8 peerings, 9 vpn_gateways,
        10 transit_attachments, 11 transit_tables, 12 load_balancers, 13 target_groups, 14 blocked_from_internet);
    if bits & 0b1100 == 0b1100 {
        world.transit_gateways = other.transit_gateways;
    }
    // Only now and then something of the kinds of which there is one.
    if bits >> 15 & 1 == 1 {
        world.vpcs.get_mut("vpc-b").unwrap().cidrs.push("10.2.0.0/16".parse().unwrap());
        world.subnets.remove(["subnet-2", "subnet-b", "subnet-c"][usize::from(bits % 3)]);
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// A network that becomes another description answers what a full evaluation of that does, and names what changed.
    #[test]
    fn an_update_is_full(first in world(), others in prop::collection::vec((world(), any::<u16>(), any::<u16>()), 1..8)) {
        let mut network = Network::new(first);
        for (other, one, two) in others {
            let before = network.analysis();
            let next = mixed(network.snapshot().clone(), other, one & two);
            let changed = network.update(next.clone());
            prop_assert_eq!(network.snapshot(), &next);
            let after = network.analysis();
            prop_assert_eq!(&after, &evaluate(&next));
            prop_assert_eq!(changed, differing(&before, &after));
        }
    }
}

/// The interfaces with another answer.
fn differing(before: &Analysis, after: &Analysis) -> BTreeSet<String> {
    let of = |analysis: &Analysis, id: &String| {
        let open: Vec<Opening> = analysis.openings.iter().filter(|open| *open.interface == **id).cloned().collect();
        (open, analysis.unknown.get(id).cloned())
    };
    let both = [before, after];
    let open = both.iter().flat_map(|analysis| analysis.openings.iter().map(|open| open.interface.to_string()));
    let ids: BTreeSet<String> = open.chain(both.iter().flat_map(|analysis| analysis.unknown.keys().cloned())).collect();
    ids.into_iter().filter(|id| of(before, id) != of(after, id)).collect()
}

/// An engine that forgets a rule is one that sees a world without what the rule asks for. The rule, by its number in the
/// specification, what of it is forgotten, and how.
type Forgetful = (&'static str, &'static str, fn(&mut Snapshot));

const FORGETFUL: &[Forgetful] = &[
    ("R1", "a subnet's own table", |world| world.subnets.values_mut().for_each(|subnet| subnet.route_table = None)),
    ("R1", "the main table", |world| tables(world).for_each(|table| table.main = false)),
    ("R2", "specific routes", |world| {
        let everywhere: Block = Block::Cidr("0.0.0.0/0".parse().unwrap());
        tables(world).for_each(|table| table.routes.retain(|route| route.destination == everywhere));
    }),
    ("R2", "black holes", |world| routes(world).for_each(|route| route.active = true)),
    ("R2", "what is static and what is propagated", |world| routes(world).for_each(|route| route.propagated = !route.propagated)),
    ("R2", "routes to prefix lists", |world| {
        tables(world).for_each(|table| table.routes.retain(|route| matches!(route.destination, Block::Cidr(_))))
    }),
    ("R2", "that families have routes of their own", |world| {
        for table in world.route_tables.values_mut() {
            let v4: Vec<Route> = table.routes.iter().filter(|route| route.destination == v4_everywhere()).cloned().collect();
            table.routes.extend(v4.into_iter().map(|route| Route { destination: Block::Cidr("::/0".parse().unwrap()), ..route }));
        }
    }),
    ("R3", "routes within the VPC", |world| {
        let within = |route: &Route| matches!(&route.destination, Block::Cidr(block) if block.prefix() > 16);
        tables(world).for_each(|table| table.routes.retain(|route| !within(route)));
    }),
    ("R4", "the numbers of ACLs' rules", |world| entries(world).for_each(|entry| entry.number = 200 - entry.number)),
    ("R4", "denials", |world| world.acls.values_mut().for_each(|acl| acl.entries.retain(|entry| entry.allow))),
    ("R4", "that what no rule admits is denied", |world| {
        for (acl, (block, egress)) in world.acls.values_mut().zip([("0.0.0.0/0", false), ("::/0", false)].into_iter().cycle()) {
            acl.entries.retain(|entry| entry.number < 100);
            acl.entries.push(AclEntry { number: 900, egress, allow: true, protocol: None, ports: (0, 0), cidr: block.parse().unwrap() });
        }
    }),
    ("R4", "what ACLs let in", |world| {
        world.acls.values_mut().for_each(|acl| acl.entries.retain(|entry| entry.egress || entry.number >= 100))
    }),
    ("R4", "the protocols of ACLs' rules", |world| entries(world).for_each(|entry| entry.protocol = entry.protocol.map(|_| 6))),
    ("R4", "that families have rules of their own", |world| {
        for acl in world.acls.values_mut() {
            acl.entries.retain(|entry| entry.cidr.family == AddressFamily::V4);
            let v4 = acl.entries.clone();
            acl.entries.extend(v4.into_iter().map(|entry| AclEntry { cidr: "::/0".parse().unwrap(), ..entry }));
        }
    }),
    ("R5", "that groups add up", |world| world.interfaces.values_mut().for_each(|interface| interface.groups.truncate(1))),
    ("R5", "that rules are for one direction", |world| rules(world).for_each(|rule| rule.egress = false)),
    ("R5", "the protocols of rules", |world| rules(world).for_each(|rule| rule.protocol = rule.protocol.map(|_| 6))),
    ("R5", "prefix lists of rules", |world| world.prefix_lists.clear()),
    ("R5", "that groups stand for their members alone", |world| {
        rules(world).filter(|rule| matches!(rule.peer, RulePeer::Group(_))).for_each(|rule| rule.peer = RulePeer::Block(v4_everywhere()));
    }),
    ("R5", "groups of peers", |world| {
        world.interfaces.get_mut("eni-b").unwrap().groups.clear();
    }),
    ("R6", "whether gateways are attached", |world| {
        world.internet_gateways.values_mut().for_each(|gateway| gateway.vpc = Some("vpc-a".into()));
    }),
    ("R6", "public addresses", |world| {
        addresses_of(world).filter(|address| address.private.is_ipv4()).for_each(|address| address.public = Some(ip("54.1.2.3")));
    }),
    ("R6", "that not every IPv6 address is global", |world| {
        addresses_of(world).filter(|address| address.private == ip("fd00::2")).for_each(|address| address.public = Some(ip("2600::2")));
    }),
    ("R6", "edge routes", |world| world.internet_gateways.values_mut().for_each(|gateway| gateway.edge_table = None)),
    ("R6", "blocked public access", |world| world.blocked_from_internet.clear()),
    ("R7", "what ACLs let out", |world| {
        world.acls.values_mut().for_each(|acl| acl.entries.retain(|entry| !entry.egress || entry.number >= 100))
    }),
    ("R7", "the way back", |world| routes(world).for_each(|route| route.target = Target::InternetGateway("igw-1".into()))),
    ("R8", "addresses that nobody on the internet has", |world| {
        let private: Cidr = "10.0.0.0/8".parse().unwrap();
        let public = RulePeer::Block(Block::Cidr("11.0.0.0/8".parse().unwrap()));
        rules(world).filter(|rule| rule.peer == RulePeer::Block(Block::Cidr(private))).for_each(|rule| rule.peer = public.clone());
    }),
    ("R8", "addresses of the VPC itself", |world| {
        world.vpcs.get_mut("vpc-a").unwrap().cidrs.retain(|block| block.family == AddressFamily::V4);
    }),
    ("R9", "whether peerings are active", |world| world.peerings.values_mut().for_each(|peering| peering.active = true)),
    ("R9", "whose addresses a peer has", |world| world.vpcs.get_mut("vpc-b").unwrap().cidrs.push("0.0.0.0/0".parse().unwrap())),
    ("R10", "whether VPN gateways are attached", |world| world.vpn_gateways.values_mut().for_each(|vpc| *vpc = Some("vpc-a".into()))),
    ("R10", "propagated routes", |world| tables(world).for_each(|table| table.routes.retain(|route| !route.propagated))),
    ("R11", "a transit gateway's black holes", |world| {
        let all = world.transit_tables.values_mut().flatten();
        all.filter(|route| route.attachment.is_none()).for_each(|route| route.attachment = Some("att-x".into()));
    }),
    ("R11", "a transit gateway's way back", |world| {
        let all = Cidr::single(ip("10.0.1.10"));
        world.transit_tables.get_mut("t2").unwrap().push(TransitRoute { destination: all, attachment: Some("att-a".into()) });
    }),
    ("R11", "that nothing comes from where it goes", |world| {
        let all = world.transit_tables.values_mut().flatten();
        all.filter(|route| route.attachment.as_deref() == Some("att-a")).for_each(|route| route.attachment = Some("att-x".into()));
    }),
    ("R11", "that a transit gateway may let rules name groups", |world| world.transit_gateways.clear()),
    ("R11", "that a transit gateway may not let rules name groups", |world| {
        world.transit_gateways.insert("tgw-1".into(), true);
    }),
    ("R11", "that an attachment may not let rules name groups", |world| {
        world.transit_attachments.values_mut().for_each(|attachment| attachment.group_references = Some(true));
    }),
    ("R11", "whose group it is that comes over a transit gateway", |world| {
        world.interfaces.get_mut("eni-c").unwrap().groups = ["sg-1", "sg-2", "sg-3"].map(str::to_owned).into();
    }),
    ("R12", "that nothing comes in by NAT", |world| {
        let all = routes(world).filter(|route| route.target == Target::Other("nat-1".into()));
        all.for_each(|route| route.target = Target::InternetGateway("igw-1".into()));
    }),
    ("R13", "whether a load balancer faces the internet", |world| balancers(world).for_each(|balancer| balancer.internet_facing = true)),
    ("R13", "clients of internal load balancers", |world| {
        world.load_balancers.retain(|_, balancer| balancer.internet_facing);
    }),
    ("R13", "the groups of a load balancer", |world| balancers(world).for_each(|balancer| balancer.groups.clear())),
    ("R13", "what a load balancer's groups let out", |world| {
        world.groups.values_mut().for_each(|group| group.rules.extend(["0.0.0.0/0", "::/0"].map(everything_out)));
    }),
    ("R13", "the ports of listeners", |world| {
        balancers(world).flat_map(|balancer| &mut balancer.listeners).for_each(|listener| listener.port = 22);
    }),
    ("R13", "the protocols of listeners", |world| {
        balancers(world).flat_map(|balancer| &mut balancer.listeners).for_each(|listener| listener.protocols = vec![6, 17]);
    }),
    ("R13", "which target groups a listener forwards to", |world| {
        let both = vec!["tg-1".to_owned(), "tg-2".to_owned()];
        balancers(world).flat_map(|balancer| &mut balancer.listeners).for_each(|listener| listener.target_groups = both.clone());
    }),
    ("R13", "that a client's address may be kept", |world| {
        world.target_groups.values_mut().for_each(|group| group.preserves_client = false)
    }),
    ("R13", "that a client's address may not be kept", |world| {
        world.target_groups.values_mut().for_each(|group| group.preserves_client = true)
    }),
    ("R13", "which load balancers keep addresses", |world| balancers(world).for_each(|balancer| balancer.kind = BalancerKind::Network)),
    ("R13", "the zones that are enabled", |world| {
        balancers(world).for_each(|balancer| balancer.zones = ["a".to_owned(), "b".to_owned()].into());
    }),
    ("R13", "that nodes may keep to their zone", |world| balancers(world).for_each(|balancer| balancer.cross_zone = true)),
    ("R13", "what a target group says of zones", |world| world.target_groups.values_mut().for_each(|group| group.cross_zone = None)),
    ("R13", "that an instance is its first interface", |world| {
        world.interfaces.get_mut("eni-2").unwrap().primary = false;
        world.interfaces.get_mut("eni-3").unwrap().primary = true;
    }),
    ("R13", "targets that are addresses", |world| {
        world.target_groups.values_mut().for_each(|group| group.targets.retain(|target| target.id.parse::<IpAddr>().is_err()));
    }),
    ("R13", "the ports of targets", |world| {
        world.target_groups.values_mut().flat_map(|group| &mut group.targets).for_each(|target| target.port = 80);
    }),
    ("R13", "that a classic load balancer's ACL is asked within its subnet", |world| {
        balancers(world)
            .filter(|balancer| balancer.kind == BalancerKind::Classic)
            .for_each(|balancer| balancer.kind = BalancerKind::Application);
    }),
    ("R13", "ACLs between a node and a target", |world| {
        // As if all were in the node's subnet: it is asked for its clients alone.
        for id in ["eni-1", "eni-2", "eni-3"] {
            world.interfaces.get_mut(id).unwrap().subnet = "subnet-1".into();
        }
    }),
    ("R13", "load balancers behind load balancers", |world| {
        world.target_groups.values_mut().for_each(|group| group.targets.retain(|target| target.id != "lb-inner"));
    }),
    ("R14", "that an appliance may let something in", |world| {
        let fw = Target::Other("eni-fw".into());
        routes(world).filter(|route| route.target == fw).for_each(|route| route.active = false);
    }),
    ("R14", "that nobody speaks to a gateway load balancer", |world| {
        let gateways = balancers(world).filter(|balancer| balancer.kind == BalancerKind::Gateway);
        gateways.for_each(|balancer| balancer.kind = BalancerKind::Network);
    }),
    ("R14", "the endpoints of gateway load balancers", |world| {
        let endpoint = Target::Other("vpce-gwlb".into());
        routes(world).filter(|route| route.target == endpoint).for_each(|route| route.active = false);
    }),
    ("R15", "that interfaces of services are members of groups", |world| {
        world.interfaces.values_mut().filter(|interface| interface.instance.is_none()).for_each(|interface| interface.groups.clear());
    }),
];

fn v4_everywhere() -> Block {
    Block::Cidr("0.0.0.0/0".parse().unwrap())
}

fn tables(world: &mut Snapshot) -> impl Iterator<Item = &mut RouteTable> {
    world.route_tables.values_mut()
}

fn routes(world: &mut Snapshot) -> impl Iterator<Item = &mut Route> {
    tables(world).flat_map(|table| &mut table.routes)
}

fn entries(world: &mut Snapshot) -> impl Iterator<Item = &mut AclEntry> {
    world.acls.values_mut().flat_map(|acl| &mut acl.entries)
}

fn rules(world: &mut Snapshot) -> impl Iterator<Item = &mut GroupRule> {
    world.groups.values_mut().flat_map(|group| &mut group.rules)
}

fn balancers(world: &mut Snapshot) -> impl Iterator<Item = &mut LoadBalancer> {
    world.load_balancers.values_mut()
}

fn addresses_of(world: &mut Snapshot) -> impl Iterator<Item = &mut Address> {
    world.interfaces.values_mut().flat_map(|interface| &mut interface.addresses)
}

/// Each rule that an engine could forget is seen by some packet.
#[test]
fn an_engine_that_forgets_a_rule_is_caught() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut worlds: Vec<(Snapshot, BTreeSet<Way>)> = Vec::new();
    let mut not_caught = Vec::new();
    for (number, rule, forget) in FORGETFUL {
        let caught = (0..2000).any(|at| {
            if at == worlds.len() {
                let world = world().new_tree(&mut runner).unwrap().current();
                worlds.push((world.clone(), evaluated(&world)));
            }
            let (world, engine) = &worlds[at];
            let mut seen = world.clone();
            forget(&mut seen);
            let seen = evaluated(&seen);
            // Packets tell the two apart, not the engine that has not forgotten.
            seen != *engine && open_ports(&seen) != open_ports(&simulated(world))
        });
        if !caught {
            not_caught.push(format!("{number}: {rule}"));
        }
    }
    assert_eq!(not_caught, [""; 0]);
    let numbers: BTreeSet<&str> = FORGETFUL.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers.len(), 15, "every rule of the specification is there");
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
