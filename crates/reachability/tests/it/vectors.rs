//! The 44 vectors of the specification: small worlds, and all that is open in them.

use lestrade_reachability::*;
use serde_json::Value;
use std::net::IpAddr;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn cidr(value: &Value) -> Cidr {
    value.as_str().unwrap().parse().unwrap()
}

fn entries(value: &Value) -> impl Iterator<Item = (String, &Value)> {
    value.as_object().into_iter().flatten().map(|(id, value)| (id.clone(), value))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn port(value: &Value) -> u16 {
    u16::try_from(value.as_u64().unwrap()).unwrap()
}

fn protocol(value: &Value) -> Option<u8> {
    match value.as_str().unwrap() {
        "all" => None,
        "tcp" => Some(6),
        "udp" => Some(17),
        other => panic!("{other}"),
    }
}

fn optional(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn target(id: &str) -> Target {
    match id.split('-').next().unwrap() {
        "local" => Target::Local,
        "igw" => Target::InternetGateway(id.into()),
        "pcx" => Target::Peering(id.into()),
        "vgw" => Target::VpnGateway(id.into()),
        "tgw" => Target::TransitGateway(id.into()),
        _ => Target::Other(id.into()),
    }
}

fn rules(group: &Value) -> Vec<GroupRule> {
    let of = |key: &str, egress: bool| {
        list(&group[key])
            .map(|rule| GroupRule {
                id: None,
                egress,
                protocol: protocol(&rule["proto"]),
                ports: (port(&rule["from"]), port(&rule["to"])),
                peer: match (optional(&rule["sg"]), optional(&rule["pl"])) {
                    (Some(group), _) => RulePeer::Group(group),
                    (None, Some(list)) => RulePeer::Block(Block::PrefixList(list)),
                    (None, None) => RulePeer::Block(Block::Cidr(cidr(&rule["cidr"]))),
                },
            })
            .collect::<Vec<_>>()
    };
    [of("in", false), of("out", true)].concat()
}

fn acl(acl: &Value) -> NetworkAcl {
    let of = |key: &str, egress: bool| {
        list(&acl[key])
            .map(|entry| AclEntry {
                number: u32::try_from(entry[0].as_u64().unwrap()).unwrap(),
                egress,
                protocol: protocol(&entry[1]),
                ports: (port(&entry[2]), port(&entry[3])),
                cidr: cidr(&entry[4]),
                allow: entry[5] == "allow",
            })
            .collect::<Vec<_>>()
    };
    NetworkAcl { entries: [of("in", false), of("out", true)].concat() }
}

fn interface(eni: &Value) -> Interface {
    let ip = |value: &Value| value.as_str().and_then(|text| text.parse::<IpAddr>().ok());
    let mut addresses: Vec<Address> =
        list(&eni["ips"]).map(|address| Address { private: ip(&address["ip"]).unwrap(), public: ip(&address["pub"]) }).collect();
    let v6: Vec<&Value> = if eni["ip6"].is_array() { list(&eni["ip6"]).collect() } else { vec![&eni["ip6"]] };
    addresses.extend(v6.into_iter().filter_map(ip).map(|private| Address { private, public: None }));
    let groups = list(&eni["sgs"]).map(text).collect();
    Interface {
        subnet: text(&eni["subnet"]),
        addresses,
        groups,
        instance: optional(&eni["inst"]),
        primary: true,
        description: String::new(),
    }
}

pub(crate) fn snapshot(config: &Value) -> Snapshot {
    let mut out = Snapshot { routes_unknown: false, ..Snapshot::default() };
    out.vpcs = entries(&config["vpcs"]).map(|(id, vpc)| (id, Vpc { cidrs: list(&vpc["cidrs"]).map(cidr).collect() })).collect();
    out.subnets = entries(&config["subnets"])
        .map(|(id, subnet)| {
            (
                id,
                Subnet {
                    vpc: text(&subnet["vpc"]),
                    route_table: optional(&subnet["rtb"]),
                    acl: optional(&subnet["acl"]),
                    zone: text(&subnet["az"]),
                },
            )
        })
        .collect();
    out.route_tables = entries(&config["rtbs"])
        .map(|(id, table)| {
            let routes = list(&table["routes"]).map(|route| {
                let destination = text(&route["dst"]);
                Route {
                    destination: destination.parse().map_or_else(|_| Block::PrefixList(destination.clone()), Block::Cidr),
                    target: target(route["t"].as_str().unwrap()),
                    active: route["state"] != "blackhole",
                    propagated: route["prop"] == true,
                }
            });
            (id, RouteTable { vpc: text(&table["vpc"]), main: table["main"] == true, routes: routes.collect() })
        })
        .collect();
    out.internet_gateways = entries(&config["igws"])
        .map(|(id, gateway)| (id, InternetGateway { vpc: optional(&gateway["vpc"]), edge_table: optional(&gateway["rtb"]) }))
        .collect();
    out.acls = entries(&config["acls"]).map(|(id, value)| (id, acl(value))).collect();
    out.groups = entries(&config["sgs"]).map(|(id, group)| (id, SecurityGroup { vpc: text(&group["vpc"]), rules: rules(group) })).collect();
    out.prefix_lists = entries(&config["pls"]).map(|(id, blocks)| (id, list(blocks).map(cidr).collect())).collect();
    out.interfaces = entries(&config["enis"]).map(|(id, eni)| (id, interface(eni))).collect();
    out.peerings = entries(&config["pcx"])
        .map(|(id, peering)| {
            let side = |key: &str| peering[key].as_str().map_or_else(|| text(&peering[key]["vpc"]), str::to_owned);
            (id, Peering { vpcs: (side("a"), side("b")), cidrs: Default::default(), active: peering["status"] == "active" })
        })
        .collect();
    out.vpn_gateways = entries(&config["vgws"]).map(|(id, gateway)| (id, optional(&gateway["vpc"]))).collect();
    out.transit_attachments = entries(&config["tgw_att"])
        .map(|(id, attachment)| {
            (
                id,
                TransitAttachment {
                    gateway: text(&attachment["tgw"]),
                    vpc: optional(&attachment["vpc"]),
                    table: optional(&attachment["rtb"]),
                    group_references: None,
                },
            )
        })
        .collect();
    out.transit_tables = entries(&config["tgw_rtb"])
        .map(|(id, routes)| {
            let routes = list(routes).map(|route| TransitRoute {
                destination: cidr(&route["dst"]),
                attachment: optional(&route["att"]).filter(|id| id != "blackhole"),
            });
            (id, routes.collect())
        })
        .collect();
    out.load_balancers = entries(&config["lbs"])
        .map(|(id, balancer)| {
            let listeners = list(&balancer["listeners"]).map(|listener| Listener {
                id: None,
                protocols: protocol(&listener["proto"]).into_iter().collect(),
                port: port(&listener["port"]),
                target_groups: list(&listener["tgs"]).map(text).collect(),
            });
            let kind = match balancer["type"].as_str().unwrap() {
                "network" | "nlb" => BalancerKind::Network,
                "classic" | "clb" => BalancerKind::Classic,
                "gateway" | "gwlb" => BalancerKind::Gateway,
                _ => BalancerKind::Application,
            };
            let facing = LoadBalancer {
                kind,
                internet_facing: balancer["scheme"] == "internet-facing",
                groups: list(&balancer["sgs"]).map(text).collect(),
                interfaces: list(&balancer["enis"]).map(text).collect(),
                zones: list(&balancer["azs"]).map(text).collect(),
                cross_zone: balancer["cross_zone"].as_bool().unwrap_or(true),
                listeners: listeners.collect(),
            };
            (id, facing)
        })
        .collect();
    out.target_groups = entries(&config["tgs"])
        .map(|(id, group)| {
            let sent_to = |target: &&Value| !matches!(target["state"].as_str(), Some("draining" | "unused"));
            let targets = list(&group["targets"])
                .filter(sent_to)
                .map(|target| BalancerTarget { id: text(&target["id"]), port: port(&target["port"]) });
            (
                id,
                TargetGroup {
                    preserves_client: group["preserve"] == true,
                    cross_zone: group["cross_zone"].as_bool(),
                    targets: targets.collect(),
                },
            )
        })
        .collect();
    out
}

fn class(class: SourceClass) -> &'static str {
    match class {
        SourceClass::Internet => "internet",
        SourceClass::Peer => "peer",
        SourceClass::Vpn => "vgw",
        SourceClass::Transit => "tgw",
        SourceClass::LoadBalancer => "elb",
        SourceClass::Appliance => "appliance",
    }
}

pub(crate) fn vectors() -> Vec<Value> {
    let root =
        std::env::var("LESTRADE_REFERENCE").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reference").into());
    let bytes = std::fs::read(format!("{root}/reachability-vectors.json"));
    bytes.map(|bytes| serde_json::from_slice(&bytes).unwrap()).unwrap_or_default()
}

#[test]
#[allow(clippy::print_stdout, reason = "a suite tells how it went")]
fn every_vector_holds() {
    let vectors = vectors();
    if vectors.is_empty() {
        println!("LOUD: the vectors are not at hand; nothing was compared");
    }
    let mut failed = Vec::new();
    for vector in &vectors {
        let snapshot = snapshot(&vector["config"]);
        let openings = evaluate(&snapshot).openings;
        let line =
            |class: &str, via: &str, eni: &str, protocol: &str, range: (u16, u16)| format!("{class} {via} {eni} {protocol} {range:?}");
        // What an appliance decides is a class of its own, and no vector's.
        let mut ours: Vec<String> = openings
            .iter()
            .filter(|open| open.class != SourceClass::Appliance)
            .map(|open| line(class(open.class), &open.via, &open.interface, if open.protocol == 6 { "tcp" } else { "udp" }, open.ports))
            .collect();
        let mut theirs: Vec<String> = list(&vector["expect"])
            .flat_map(|expected| {
                let of = |key: &str| text(&expected[key]);
                list(&expected["ports"])
                    .map(move |range| line(&of("class"), &of("via"), &of("eni"), &of("proto"), (port(&range[0]), port(&range[1]))))
                    .collect::<Vec<_>>()
            })
            .collect();
        ours.sort();
        theirs.sort();
        // Where a vector names a block, no source may lie outside of it.
        let within = optional(&vector["sourceMustBe"]).map(|text| RangeSet::of([text.parse::<Cidr>().unwrap().bounds()]));
        let strays = within.is_some_and(|within| openings.iter().any(|open| !open.sources.difference(&within).is_empty()));
        if ours != theirs || strays {
            failed.push(format!("{}: ours {ours:?}, theirs {theirs:?}, sources outside: {strays}", vector["name"]));
        }
        // Every opening is shown by a packet that gets through, also over load balancers.
        for open in &openings {
            let packet = Packet {
                source: open.witness.0,
                source_port: 50_000,
                destination: open.address,
                port: open.witness.1,
                protocol: open.protocol,
            };
            let over = |balancer: &String| arrive_over(&snapshot, balancer, &packet, 50_000).converses();
            let journey = arrive(&snapshot, &packet);
            if !journey.converses() && !snapshot.load_balancers.keys().any(over) {
                failed.push(format!("{}: {packet:?} of {open:?} does not get through: {journey:?}", vector["name"]));
            }
        }
    }
    println!("reachability: {} passed, {} failed", vectors.len() - failed.len(), failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}
