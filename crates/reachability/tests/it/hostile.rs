//! Descriptions with holes and nonsense in them: what closes on account of it is never called closed.

use lestrade_reachability::{Analysis, Snapshot, evaluate, read_descriptions};
use serde_json::{Value, json};

/// A network with something of everything.
fn network() -> Value {
    let interface = |id: &str, subnet: &str, address: &str, public: Option<&str>, group: &str, instance: Option<&str>| {
        json!({"NetworkInterfaceId": id, "SubnetId": subnet, "PrivateIpAddress": address, "Groups": [{"GroupId": group}],
            "Description": if instance.is_none() { "ELB app/front/1" } else { "" },
            "PrivateIpAddresses": [{"PrivateIpAddress": address, "Association": public.map(|public| json!({"PublicIp": public}))}],
            "Attachment": instance.map(|instance| json!({"InstanceId": instance, "DeviceIndex": 0}))})
    };
    let admit = |port: u16, source: (&str, Value)| json!({"IpProtocol": "tcp", "FromPort": port, "ToPort": port, source.0: [source.1]});
    let route = |to: &str, over: (&str, &str)| json!({"DestinationCidrBlock": to, over.0: over.1, "State": "active"});
    let all =
        |egress: bool| json!({"RuleNumber": 100, "Protocol": "-1", "RuleAction": "allow", "Egress": egress, "CidrBlock": "0.0.0.0/0"});
    let everybody = || ("IpRanges", json!({"CidrIp": "0.0.0.0/0"}));
    json!({
        "Vpcs": [{"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16"}, {"VpcId": "vpc-2", "CidrBlock": "10.1.0.0/16"}],
        "Subnets": [{"SubnetId": "subnet-a", "VpcId": "vpc-1", "AvailabilityZone": "z"}, {"SubnetId": "subnet-b", "VpcId": "vpc-1", "AvailabilityZone": "z"}],
        "InternetGateways": [{"InternetGatewayId": "igw-1", "Attachments": [{"State": "available", "VpcId": "vpc-1"}]}],
        "VpnGateways": [{"VpnGatewayId": "vgw-1", "VpcAttachments": [{"State": "attached", "VpcId": "vpc-1"}]}],
        "VpcPeeringConnections": [{"VpcPeeringConnectionId": "pcx-1", "Status": {"Code": "active"},
            "RequesterVpcInfo": {"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16"}, "AccepterVpcInfo": {"VpcId": "vpc-2", "CidrBlock": "10.1.0.0/16"}}],
        "TransitGatewayAttachments": [
            {"TransitGatewayAttachmentId": "att-1", "TransitGatewayId": "tgw-1", "ResourceType": "vpc", "ResourceId": "vpc-1", "Association": {"TransitGatewayRouteTableId": "tgw-rtb-1"}},
            {"TransitGatewayAttachmentId": "att-2", "TransitGatewayId": "tgw-1", "ResourceType": "vpn", "ResourceId": "vpn-1", "Association": {"TransitGatewayRouteTableId": "tgw-rtb-1"}}],
        "TransitGatewayRouteTables": [{"TransitGatewayRouteTableId": "tgw-rtb-1", "Routes": [
            {"DestinationCidrBlock": "10.9.0.0/16", "TransitGatewayAttachments": [{"TransitGatewayAttachmentId": "att-2"}], "State": "active"},
            {"DestinationCidrBlock": "10.0.0.0/16", "TransitGatewayAttachments": [{"TransitGatewayAttachmentId": "att-1"}], "State": "active"}]}],
        "RouteTables": [
            {"RouteTableId": "rtb-main", "VpcId": "vpc-1", "Associations": [{"Main": true}], "Routes": [
                route("10.1.0.0/16", ("VpcPeeringConnectionId", "pcx-1")), route("192.168.0.0/16", ("GatewayId", "vgw-1")), route("10.9.0.0/16", ("TransitGatewayId", "tgw-1"))]},
            {"RouteTableId": "rtb-public", "VpcId": "vpc-1", "Associations": [{"SubnetId": "subnet-a"}], "Routes": [route("0.0.0.0/0", ("GatewayId", "igw-1"))]}],
        "NetworkAcls": [{"NetworkAclId": "acl-1", "VpcId": "vpc-1", "IsDefault": true, "Entries": [all(false), all(true)], "Associations": []}],
        "PrefixLists": [{"PrefixListId": "pl-1", "Cidrs": ["198.51.100.0/24"]}],
        "SecurityGroups": [
            {"GroupId": "sg-web", "VpcId": "vpc-1", "IpPermissions": [admit(443, everybody()), admit(22, ("PrefixListIds", json!({"PrefixListId": "pl-1"})))], "IpPermissionsEgress": []},
            {"GroupId": "sg-db", "VpcId": "vpc-1", "IpPermissions": [admit(5432, ("IpRanges", json!({"CidrIp": "10.0.0.0/8"}))), admit(22, ("IpRanges", json!({"CidrIp": "192.168.0.0/16"}))),
                admit(8080, ("UserIdGroupPairs", json!({"GroupId": "sg-front"})))], "IpPermissionsEgress": []},
            {"GroupId": "sg-front", "VpcId": "vpc-1", "IpPermissions": [admit(80, everybody())], "IpPermissionsEgress": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]}],
        "NetworkInterfaces": [
            interface("eni-web", "subnet-a", "10.0.1.10", Some("54.0.0.1"), "sg-web", Some("i-web")),
            interface("eni-db", "subnet-b", "10.0.2.10", None, "sg-db", Some("i-db")),
            interface("eni-front", "subnet-a", "10.0.1.20", Some("54.0.0.2"), "sg-front", None)],
        "LoadBalancers": [{"LoadBalancerArn": "arn:lb:loadbalancer/app/front/1", "Type": "application", "Scheme": "internet-facing", "SecurityGroups": ["sg-front"]}],
        "Listeners": [{"LoadBalancerArn": "arn:lb:loadbalancer/app/front/1", "ListenerArn": "arn:l:listener/app/front/1/2", "Protocol": "HTTP", "Port": 80,
            "DefaultActions": [{"Type": "forward", "TargetGroupArn": "arn:tg"}]}],
        "TargetGroups": [{"TargetGroupArn": "arn:tg", "Protocol": "HTTP", "Port": 8080, "TargetType": "instance"}],
        "TargetHealthDescriptions": [{"TargetGroupArn": "arn:tg", "Target": {"Id": "i-db", "Port": 8080}, "TargetHealth": {"State": "healthy"}}],
    })
}

/// A load balancer's target beyond a transit gateway is not followed, and is not called closed.
#[test]
fn targets_over_a_transit_gateway_are_told() {
    let mut far = network();
    far["TransitGatewayAttachments"][1] = json!({"TransitGatewayAttachmentId": "att-2", "TransitGatewayId": "tgw-1", "ResourceType": "vpc",
        "ResourceId": "vpc-2", "Association": {"TransitGatewayRouteTableId": "tgw-rtb-1"}});
    far["Subnets"].as_array_mut().unwrap().push(json!({"SubnetId": "subnet-far", "VpcId": "vpc-2", "AvailabilityZone": "z"}));
    let mut interface = far["NetworkInterfaces"][1].clone();
    (interface["NetworkInterfaceId"], interface["SubnetId"]) = ("eni-far".into(), "subnet-far".into());
    interface["Attachment"]["InstanceId"] = "i-far".into();
    for address in ["/PrivateIpAddress", "/PrivateIpAddresses/0/PrivateIpAddress"] {
        *interface.pointer_mut(address).unwrap() = "10.1.0.5".into();
    }
    far["NetworkInterfaces"].as_array_mut().unwrap().push(interface);
    far["TargetGroups"][0]["TargetType"] = "ip".into();
    far["TargetHealthDescriptions"][0]["Target"]["Id"] = "10.1.0.5".into();
    let told = |network: &Value| {
        let problems = read_descriptions(std::slice::from_ref(network)).unwrap().problems;
        problems.iter().any(|problem| problem.contains("target 10.1.0.5 is in 'vpc-2', over 'tgw-1'"))
    };
    assert!(!told(&far), "a peering leads there, which is followed");
    far["VpcPeeringConnections"][0]["Status"]["Code"] = "deleted".into();
    assert!(told(&far));
    far["TransitGatewayAttachments"][1]["TransitGatewayId"] = "tgw-2".into();
    assert!(!told(&far), "nothing leads there");
}

/// Tables are listed without their routes, which other files bring, in whatever order; what none brings is told.
#[test]
fn routes_of_transit_gateways_come_in_files_of_their_own() {
    let whole = network();
    let routes = json!({"TransitGatewayRouteTables": whole["TransitGatewayRouteTables"]});
    let mut listed = whole.clone();
    listed["TransitGatewayRouteTables"][0].as_object_mut().unwrap().remove("Routes");
    let (_, expected) = read(&whole).unwrap();
    for documents in [[routes.clone(), listed.clone()], [listed.clone(), routes.clone()]] {
        let snapshot = read_descriptions(&documents).unwrap();
        assert_eq!((evaluate(&snapshot), snapshot.problems), (expected.clone(), vec![]));
    }
    let told = |network: &Value, what: &str| read(network).unwrap().0.problems.iter().any(|problem| problem.contains(what));
    assert!(told(&listed, "tgw-rtb-1: its 'Routes' is no list"));
    let mut cut = whole;
    cut["TransitGatewayRouteTables"][0]["AdditionalRoutesAvailable"] = json!(true);
    assert!(told(&cut, "more routes than are described"));
}

/// Two VPCs that a transit gateway joins, and a rule in one that names a group of the other.
fn joined(gateway: &Value, attachments: [&Value; 2]) -> Value {
    let mut network = network();
    let options = |said: &Value| if said.is_null() { json!({}) } else { json!({ "SecurityGroupReferencingSupport": said }) };
    let attachment = |id: &str, vpc: &str, said: &Value| json!({"TransitGatewayAttachmentId": id, "TransitGatewayId": "tgw-1", "VpcId": vpc, "State": "available", "Options": options(said)});
    network["Vpcs"][1]["CidrBlock"] = json!("10.9.0.0/16");
    network["Subnets"].as_array_mut().unwrap().push(json!({"SubnetId": "subnet-2", "VpcId": "vpc-2", "AvailabilityZone": "z"}));
    network["VpcPeeringConnections"] = json!([]);
    network["RouteTables"][0]["Routes"].as_array_mut().unwrap().remove(0);
    network["TransitGatewayAttachments"][1]["ResourceType"] = json!("vpc");
    network["TransitGatewayAttachments"][1]["ResourceId"] = json!("vpc-2");
    network["TransitGatewayVpcAttachments"] =
        json!([attachment("att-1", "vpc-1", attachments[0]), attachment("att-2", "vpc-2", attachments[1])]);
    network["TransitGateways"] = json!([{"TransitGatewayId": "tgw-1", "Options": options(gateway)}]);
    network["SecurityGroups"]
        .as_array_mut()
        .unwrap()
        .push(json!({"GroupId": "sg-app", "VpcId": "vpc-2", "IpPermissions": [], "IpPermissionsEgress": []}));
    network["SecurityGroups"][1]["IpPermissions"]
        .as_array_mut()
        .unwrap()
        .push(json!({"IpProtocol": "tcp", "FromPort": 6379, "ToPort": 6379, "UserIdGroupPairs": [{"GroupId": "sg-app"}]}));
    network["NetworkInterfaces"]
        .as_array_mut()
        .unwrap()
        .push(json!({"NetworkInterfaceId": "eni-app", "SubnetId": "subnet-2", "PrivateIpAddress": "10.9.0.7",
        "Groups": [{"GroupId": "sg-app"}], "PrivateIpAddresses": [{"PrivateIpAddress": "10.9.0.7"}]}));
    network
}

/// A rule names a group over a transit gateway where it and both attachments let it. Where one does not say, that is told, and where one
/// forbids it nothing is left to tell.
#[test]
fn a_group_counts_over_a_transit_gateway_where_all_three_let_it() {
    let (enable, disable, nothing) = (json!("enable"), json!("disable"), Value::Null);
    for (gateway, attachments, open, told) in [
        (&enable, [&enable, &enable], true, false),
        (&disable, [&enable, &enable], false, false),
        (&enable, [&disable, &enable], false, false),
        (&enable, [&enable, &disable], false, false),
        (&disable, [&nothing, &nothing], false, false),
        (&enable, [&nothing, &enable], false, true),
        (&nothing, [&enable, &enable], false, true),
        (&json!("perhaps"), [&enable, &enable], false, true),
    ] {
        let (snapshot, analysis) = read(&joined(gateway, attachments)).unwrap();
        let found: Vec<_> =
            analysis.openings.iter().filter(|open| open.ports == (6379, 6379)).map(|open| open.witness.0.to_string()).collect();
        let expected: &[&str] = if open { &["10.9.0.7"] } else { &[] };
        assert_eq!(found, expected, "{gateway} {attachments:?}");
        assert_eq!(
            snapshot.problems.iter().any(|problem| problem.contains("of another VPC")),
            told,
            "{gateway} {attachments:?}: {:?}",
            snapshot.problems
        );
        // One packet, on both sides, says the same.
        let packet = lestrade_reachability::Packet {
            source: "10.9.0.7".parse().unwrap(),
            source_port: 50_000,
            destination: "10.0.2.10".parse().unwrap(),
            port: 6379,
            protocol: 6,
        };
        assert_eq!(lestrade_reachability::arrive(&snapshot, &packet).converses(), open, "{gateway} {attachments:?}");
    }
}

fn read(network: &Value) -> Option<(Snapshot, Analysis)> {
    let snapshot = read_descriptions(std::slice::from_ref(network)).ok()?;
    let analysis = evaluate(&snapshot);
    Some((snapshot, analysis))
}

/// Doors that are open, whatever the ids of what they belong to.
fn doors(analysis: &Analysis) -> Vec<String> {
    let mut doors: Vec<String> =
        analysis.openings.iter().map(|open| format!("{:?} {} {} {:?}", open.class, open.address, open.protocol, open.ports)).collect();
    doors.sort();
    doors.dedup();
    doors
}

/// Every place in a document.
fn places(value: &Value, at: String, all: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| places(member, format!("{at}/{name}"), all)),
        Value::Array(elements) => elements.iter().enumerate().for_each(|(number, element)| places(element, format!("{at}/{number}"), all)),
        _ => {}
    }
    if !at.is_empty() {
        all.push(at);
    }
}

/// Places of which another value is another network, that nobody can tell from a mistake.
fn may_be_anything(place: &str) -> bool {
    let last = place.rsplit('/').next().unwrap_or_default();
    let names = [
        "Description",
        "FromPort",
        "ToPort",
        "Port",
        "AvailabilityZone",
        "CidrBlock",
        "CidrIp",
        "Cidrs",
        "RuleNumber",
        "Type",
        "DeviceIndex",
    ];
    names.contains(&last) || place.contains("/Cidrs/")
}

#[test]
fn the_network_is_open_in_every_way() {
    let (snapshot, analysis) = read(&network()).unwrap();
    assert_eq!(snapshot.problems, [""; 0]);
    every_class_is_there(&doors(&analysis));
}

/// All five classes of sources are there.
fn every_class_is_there(doors: &[String]) {
    for class in ["Internet", "Peer", "Vpn", "Transit", "LoadBalancer"] {
        assert!(doors.iter().any(|door| door.starts_with(class)), "{class}: {doors:?}");
    }
}

#[test]
fn whatever_closes_by_nonsense_or_a_hole_is_told() {
    let whole = network();
    let before = doors(&read(&whole).unwrap().1);
    let mut all = Vec::new();
    places(&whole, String::new(), &mut all);
    let mut silent = Vec::new();
    for place in all.iter().filter(|place| !may_be_anything(place)) {
        let may_lack = ["Association", "Attachment", "InstanceId", "LoadBalancers"].iter().any(|name| place.ends_with(&format!("/{name}")));
        for nonsense in [Some(json!("nonsense")), Some(json!(["nonsense"])), Some(json!(-7)), Some(json!({})), None] {
            // What is attached to nothing that is named belongs to a service.
            if place.ends_with("/Attachment") && nonsense == Some(json!({})) {
                continue;
            }
            let mut broken = whole.clone();
            match &nonsense {
                Some(nonsense) => *broken.pointer_mut(place).unwrap() = nonsense.clone(),
                // Nothing there is a network without it.
                None if may_lack => continue,
                None => {
                    let (parent, name) = place.rsplit_once('/').unwrap();
                    match broken.pointer_mut(parent).unwrap() {
                        Value::Object(members) => drop(members.shift_remove(name)),
                        // An element that is not there is a network without it.
                        _ => continue,
                    }
                }
            }
            let Some((snapshot, analysis)) = read(&broken) else { continue };
            let after = doors(&analysis);
            let closed = before.iter().any(|door| !after.contains(door));
            if closed && snapshot.problems.is_empty() && analysis.unknown.is_empty() {
                silent.push(format!("{place} = {}", nonsense.map_or_else(|| "nothing".to_owned(), |value| value.to_string())));
            }
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

/// A group stands for its members and not for whom those admit: a thousand groups that name each other in rings are answered as none are.
#[test]
fn a_thousand_rings_of_groups_are_answered() {
    const GROUPS: usize = 1_000;
    let whole = network();
    let mut rings = whole.clone();
    for number in 0..GROUPS {
        let name = |number: usize| format!("sg-ring-{}", number % GROUPS);
        // Itself, its neighbours, and one far away: rings of every length.
        let named = [number, number + 1, number + GROUPS - 1, number * 7 + 3].map(|other| json!({"GroupId": name(other)}));
        let rule = json!({"IpProtocol": "-1", "UserIdGroupPairs": named});
        let group = json!({"GroupId": name(number), "VpcId": "vpc-1", "IpPermissions": [rule], "IpPermissionsEgress": [rule]});
        rings["SecurityGroups"].as_array_mut().unwrap().push(group);
        let address = format!("10.0.{}.{}", 100 + number / 250, 1 + number % 250);
        let member = json!({"NetworkInterfaceId": format!("eni-ring-{number}"), "SubnetId": "subnet-b", "PrivateIpAddress": address,
            "Groups": [{"GroupId": name(number)}], "PrivateIpAddresses": [{"PrivateIpAddress": address}],
            "Attachment": {"InstanceId": format!("i-ring-{number}"), "DeviceIndex": 0}});
        rings["NetworkInterfaces"].as_array_mut().unwrap().push(member);
    }
    let (snapshot, analysis) = read(&rings).unwrap();
    assert_eq!((&snapshot.problems, analysis), (&vec![], read(&whole).unwrap().1), "nobody outside is a member of any");
    // Within the VPC each admits its neighbour, and nobody beyond.
    let packet = |from: &str, to: &str| lestrade_reachability::Packet {
        source: from.parse().unwrap(),
        source_port: 50_000,
        destination: to.parse().unwrap(),
        port: 80,
        protocol: 6,
    };
    let arrives = |from: &str, to: &str| lestrade_reachability::trace(&snapshot, &packet(from, to)).arrives();
    assert!(arrives("10.0.100.12", "10.0.100.11") && !arrives("10.0.100.51", "10.0.100.11"));
}

#[test]
fn rules_with_one_number_are_told() {
    let mut twice = network();
    let denial = json!({"RuleNumber": 100, "Protocol": "-1", "RuleAction": "deny", "Egress": false, "CidrBlock": "0.0.0.0/0"});
    twice["NetworkAcls"][0]["Entries"].as_array_mut().unwrap().insert(0, denial);
    let (snapshot, _) = read(&twice).unwrap();
    assert_eq!(snapshot.problems, ["acl-1: two of its rules have one number, and which counts is not known"]);
}
