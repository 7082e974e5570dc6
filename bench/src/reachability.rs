//! What a network lets in: a whole network, then change after change.

use crate::Options;
use crate::fleet::Random;
use crate::measure::own_memory;
use crate::table::{Table, megabytes, percentile, time};
use anyhow::{Context, Result};
use lestrade_reachability::{
    AclEntry, Address, Block, Change, Cidr, GroupRule, Interface, InternetGateway, Network, NetworkAcl, Opening, Peering, Route,
    RouteTable, RulePeer, SecurityGroup, Snapshot, SourceClass, Subnet, Target, Vpc, evaluate,
};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

const COMMAND: &str = "cargo run --release -p lestrade-bench -- reachability";
const EDITS: usize = 1_000;

/// All tables about reachability.
pub(crate) fn run(_: &Options) -> Result<()> {
    measure(10_000, true)?;
    measure(100_000, false)
}

fn block(text: &str) -> Result<Cidr> {
    text.parse().with_context(|| text.to_owned())
}

/// Blocks that rules admit: everybody, a few well-known networks, one of many small ones.
fn source(random: &mut Random) -> Result<Cidr> {
    match random.below(10) {
        0 => block("0.0.0.0/0"),
        1..=3 => block("10.0.0.0/8"),
        4 => block("192.168.0.0/16"),
        _ => block(&format!("{}.{}.{}.0/{}", 11 + random.below(180), random.below(256), random.below(256), 20 + random.below(13))),
    }
}

fn rule(random: &mut Random) -> Result<GroupRule> {
    const PORTS: [u16; 12] = [22, 25, 53, 80, 443, 3306, 3389, 5432, 6379, 8080, 8443, 9200];
    let first = PORTS[random.below(12) as usize];
    let last = if random.below(6) == 0 { first.saturating_add(u16::try_from(random.below(200))?) } else { first };
    let protocol = if random.below(8) == 0 { Some(17) } else { Some(6) };
    Ok(GroupRule { id: None, egress: false, protocol, ports: (first, last), peer: RulePeer::Block(Block::Cidr(source(random)?)) })
}

fn acl(random: &mut Random) -> Result<NetworkAcl> {
    let mut entries = Vec::new();
    for number in 1..=8 {
        let ports = (u16::try_from(random.below(2000))?, 0);
        let cidr = source(random)?;
        entries.push(AclEntry {
            number,
            egress: random.below(2) == 0,
            allow: false,
            protocol: Some(6),
            ports: (ports.0, ports.0 + 3),
            cidr,
        });
    }
    for egress in [false, true] {
        entries.push(AclEntry { number: 100, egress, allow: true, protocol: None, ports: (0, 0), cidr: block("0.0.0.0/0")? });
    }
    Ok(NetworkAcl { entries })
}

/// A network of so many instances in 26 VPCs with two subnets each; groups are drawn so that few are used by many.
fn world(instances: u32, random: &mut Random) -> Result<Snapshot> {
    let groups = instances / 6;
    let mut world = Snapshot::default();
    for vpc in 0..26_u32 {
        let id = format!("vpc-{vpc}");
        world.vpcs.insert(id.clone(), Vpc { cidrs: vec![block(&format!("10.{vpc}.0.0/16"))?] });
        world.internet_gateways.insert(format!("igw-{vpc}"), InternetGateway { vpc: Some(id.clone()), edge_table: None });
        world.vpn_gateways.insert(format!("vgw-{vpc}"), Some(id.clone()));
        let other = format!("vpc-{}", (vpc + 1) % 26);
        world.peerings.insert(format!("pcx-{vpc}"), Peering { vpcs: (id.clone(), other), active: true, ..Peering::default() });
        for half in 0..2 {
            let (acl_id, table) = (format!("acl-{vpc}-{half}"), format!("rtb-{vpc}-{half}"));
            world.acls.insert(acl_id.clone(), acl(random)?);
            let to = |text: &str, target: Target| -> Result<Route> {
                Ok(Route { destination: Block::Cidr(block(text)?), target, active: true, propagated: false })
            };
            let default = if half == 0 { Target::InternetGateway(format!("igw-{vpc}")) } else { Target::Other(format!("nat-{vpc}")) };
            let routes = vec![
                to("0.0.0.0/0", default)?,
                to(&format!("10.{}.0.0/16", (vpc + 1) % 26), Target::Peering(format!("pcx-{vpc}")))?,
                to("192.168.0.0/16", Target::VpnGateway(format!("vgw-{vpc}")))?,
            ];
            world.route_tables.insert(table.clone(), RouteTable { vpc: id.clone(), main: false, routes });
            let subnet = Subnet { vpc: id.clone(), route_table: Some(table), acl: Some(acl_id), zone: "a".into() };
            world.subnets.insert(format!("subnet-{vpc}-{half}"), subnet);
        }
    }
    for number in 0..groups {
        let rules = (0..20).map(|_| rule(random)).collect::<Result<_>>()?;
        world.groups.insert(format!("sg-{number}"), SecurityGroup { vpc: String::new(), rules });
    }
    for number in 0..instances {
        let (vpc, half) = (number % 26, u32::from(random.below(4) == 0));
        let host = number / 26;
        let private = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + (vpc << 16) + (half << 15) + host + 4));
        // Some addresses are public and have no way in.
        let public = (half == 0 || random.below(4) == 0).then(|| IpAddr::V4(Ipv4Addr::from(0x3400_0000 + number)));
        // The product of two draws falls on small numbers more often.
        let drawn = |random: &mut Random| format!("sg-{}", random.below(groups).min(random.below(groups)).min(random.below(groups)));
        let mut names: Vec<String> = (0..=random.below(3)).map(|_| drawn(random)).collect();
        names.dedup();
        let interface = Interface {
            subnet: format!("subnet-{vpc}-{half}"),
            addresses: vec![Address { private, public }],
            groups: names,
            instance: Some(format!("i-{number}")),
            primary: true,
            description: String::new(),
        };
        world.interfaces.insert(format!("eni-{number}"), interface);
    }
    Ok(world)
}

/// What Prowler's rule calls open: a public address, a group that admits everybody, a subnet whose table has a way to an internet
/// gateway. How many that are open it misses, and how many that are closed it calls open.
fn by_thumb(world: &Snapshot) -> (usize, usize) {
    let everybody = |rule: &GroupRule| !rule.egress && matches!(&rule.peer, RulePeer::Block(Block::Cidr(block)) if block.prefix() == 0);
    let open = evaluate(world).openings;
    let reached: std::collections::BTreeSet<&str> =
        open.iter().filter(|open| open.class == SourceClass::Internet).map(|open| &*open.interface).collect();
    let (mut missed, mut false_alarms) = (0, 0);
    for (id, interface) in &world.interfaces {
        let rules = interface.groups.iter().filter_map(|group| world.groups.get(group)).flat_map(|group| &group.rules);
        let table = world.subnets.get(&interface.subnet).and_then(|subnet| world.route_tables.get(subnet.route_table.as_ref()?));
        let is_public = table.is_some_and(|table| table.routes.iter().any(|route| matches!(route.target, Target::InternetGateway(_))));
        let thumb = is_public && interface.addresses.iter().any(|address| address.public.is_some()) && rules.clone().any(everybody);
        match (thumb, reached.contains(id.as_str())) {
            (true, false) => false_alarms += 1,
            (false, true) => missed += 1,
            _ => {}
        }
    }
    (missed, false_alarms)
}

fn measure(instances: u32, whole: bool) -> Result<()> {
    let mut random = Random(7);
    let world = world(instances, &mut random)?;
    let rules: usize = world.groups.values().map(|group| group.rules.len()).sum();
    let (before, _) = own_memory();
    let started = Instant::now();
    let openings: Vec<Opening> = evaluate(&world).openings;
    let full = started.elapsed();
    let title = format!("Reachability: {instances} instances, {} groups, {rules} rules, 52 perimeters", world.groups.len());
    let table = Table::new(&title, COMMAND, &["what", "measured", "target"]);
    table.row(&[
        &format!("full, witnesses included, all cores ({} openings)", openings.len()),
        &time(full),
        if whole { "< 300 ms" } else { "< 4 s" },
    ]);
    drop(openings);
    let mut network = Network::new(world.clone());
    let (after, _) = own_memory();
    let (mut groups, mut tables): (Vec<Duration>, Vec<Duration>) = (Vec::new(), Vec::new());
    for _ in 0..EDITS {
        let id = format!("sg-{}", random.below(u32::try_from(world.groups.len())?));
        let mut group = network.snapshot().groups.get(&id).context("a group")?.clone();
        let place = random.below(u32::try_from(group.rules.len())?) as usize;
        group.rules[place] = rule(&mut random)?;
        let started = Instant::now();
        network.apply(Change::Group(id, Some(group)));
        groups.push(started.elapsed());
    }
    for number in 0..52 {
        let id = format!("rtb-{}-{}", number / 2, number % 2);
        let mut changed = network.snapshot().route_tables.get(&id).context("a table")?.clone();
        changed.routes.push(Route {
            destination: Block::Cidr(source(&mut random)?),
            target: Target::Other("nat-x".into()),
            active: true,
            propagated: false,
        });
        let started = Instant::now();
        network.apply(Change::RouteTable(id, Some(changed)));
        tables.push(started.elapsed());
    }
    table.row(&["one security group changed: p50", &time(percentile(&groups, 0.5)), "< 0.5 ms"]);
    table.row(&["p99", &time(percentile(&groups, 0.99)), "< 10 ms"]);
    table.row(&["slowest", &time(percentile(&groups, 1.0)), "–"]);
    table.row(&["one route table changed: p50", &time(percentile(&tables, 0.5)), if whole { "< 20 ms" } else { "–" }]);
    let mut updates: Vec<Duration> = Vec::new();
    for _ in 0..20 {
        let mut next = network.snapshot().clone();
        let id = format!("sg-{}", random.below(u32::try_from(world.groups.len())?));
        let group = next.groups.get_mut(&id).context("a group")?;
        group.rules[0] = rule(&mut random)?;
        let started = Instant::now();
        network.update(next);
        updates.push(started.elapsed());
    }
    table.row(&["the whole described anew, one group another: p50", &time(percentile(&updates, 0.5)), "–"]);
    table.row(&["memory for what is kept between changes", &megabytes(after.saturating_sub(before)), "stated"]);
    if whole {
        let same = network.analysis() == evaluate(network.snapshot());
        table.row(&[&format!("after {} changes, equal to a full evaluation", EDITS + 52 + 20), if same { "yes" } else { "NO" }, "yes"]);
        let (missed, false_alarms) = by_thumb(&world);
        let thumb = format!("of {instances} instances {missed} open ones missed, {false_alarms} closed ones called open");
        table.row(&["Prowler's rule (public address, group that admits 0.0.0.0/0, public subnet)", &thumb, "–"]);
    }
    Ok(())
}
