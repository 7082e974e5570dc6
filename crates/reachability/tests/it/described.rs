//! The worlds of the vectors, as the AWS CLI would print them.

use serde_json::{Value, json};

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn is_v6(block: &Value) -> bool {
    block.as_str().is_some_and(|block| block.contains(':'))
}

/// The ARN of a load balancer or of what belongs to one.
fn arn(kind: &str, name: &str) -> String {
    format!("arn:aws:elasticloadbalancing:eu-west-1:123456789012:{kind}/{name}")
}

fn protocol(said: &Value) -> &str {
    match said.as_str() {
        Some("tcp") => "6",
        Some("udp") => "17",
        _ => "-1",
    }
}

fn rule(rule: &Value) -> Value {
    let mut out = json!({"IpProtocol": rule["proto"]});
    if rule["proto"] == "all" {
        out["IpProtocol"] = json!("-1");
    } else {
        out["FromPort"] = rule["from"].clone();
        out["ToPort"] = rule["to"].clone();
    }
    let (name, peer) = match (&rule["sg"], &rule["pl"]) {
        (Value::String(group), _) => ("UserIdGroupPairs", json!({"GroupId": group})),
        (_, Value::String(list)) => ("PrefixListIds", json!({"PrefixListId": list})),
        _ if is_v6(&rule["cidr"]) => ("Ipv6Ranges", json!({"CidrIpv6": rule["cidr"]})),
        _ => ("IpRanges", json!({"CidrIp": rule["cidr"]})),
    };
    out[name] = json!([peer]);
    out
}

fn route(route: &Value) -> Value {
    let target = route["t"].as_str().unwrap_or_default();
    let kind = match target.split('-').next().unwrap_or_default() {
        "nat" => "NatGatewayId",
        "eigw" => "EgressOnlyInternetGatewayId",
        "pcx" => "VpcPeeringConnectionId",
        "tgw" => "TransitGatewayId",
        "eni" => "NetworkInterfaceId",
        _ => "GatewayId",
    };
    let block = if is_v6(&route["dst"]) { "DestinationIpv6CidrBlock" } else { "DestinationCidrBlock" };
    let state = if route["state"] == "blackhole" { "blackhole" } else { "active" };
    let origin = if route["prop"] == true { "EnableVgwRoutePropagation" } else { "CreateRoute" };
    json!({kind: target, block: route["dst"], "State": state, "Origin": origin})
}

fn table(config: &Value, (id, table): (&String, &Value)) -> Value {
    let of_subnets = entries(&config["subnets"]).filter(|(_, subnet)| subnet["rtb"] == **id).map(|(subnet, _)| json!({"SubnetId": subnet}));
    let of_gateways =
        entries(&config["igws"]).filter(|(_, gateway)| gateway["rtb"] == **id).map(|(gateway, _)| json!({"GatewayId": gateway}));
    let main = (table["main"] == true).then(|| json!({"Main": true}));
    let associations: Vec<Value> = of_subnets.chain(of_gateways).chain(main).collect();
    let routes: Vec<Value> = list(&table["routes"]).map(route).collect();
    json!({"RouteTableId": id, "VpcId": table["vpc"], "Associations": associations, "Routes": routes})
}

fn acl(config: &Value, (id, acl): (&String, &Value)) -> Value {
    let of = |way: &str, egress: bool| {
        let entry = move |entry: &Value| {
            let block = if is_v6(&entry[4]) { "Ipv6CidrBlock" } else { "CidrBlock" };
            json!({"RuleNumber": entry[0], "Protocol": protocol(&entry[1]), "PortRange": {"From": entry[2], "To": entry[3]}, block: entry[4], "RuleAction": entry[5], "Egress": egress})
        };
        list(&acl[way]).map(entry).collect::<Vec<_>>()
    };
    let own = entries(&config["subnets"]).filter(|(_, subnet)| subnet["acl"] == **id);
    let associations: Vec<Value> = own.map(|(subnet, _)| json!({"SubnetId": subnet})).collect();
    let entries = [of("in", false), of("out", true)].concat();
    json!({"NetworkAclId": id, "Entries": entries, "Associations": associations})
}

fn interface(config: &Value, (id, eni): (&String, &Value)) -> Value {
    let of_balancer = entries(&config["lbs"]).find(|(_, balancer)| list(&balancer["enis"]).any(|node| node == id.as_str()));
    let description = of_balancer.map(|(name, balancer)| format!("ELB {}", short(name, balancer)));
    let address = |address: &Value| {
        let public = (!address["pub"].is_null()).then(|| json!({"PublicIp": address["pub"]}));
        json!({"PrivateIpAddress": address["ip"], "Association": public})
    };
    let v6: Vec<&Value> = if eni["ip6"].is_array() {
        list(&eni["ip6"]).collect()
    } else {
        Some(&eni["ip6"]).filter(|ip| ip.is_string()).into_iter().collect()
    };
    let mut out = json!({
        "NetworkInterfaceId": id, "SubnetId": eni["subnet"], "PrivateIpAddress": eni["ips"][0]["ip"],
        "PrivateIpAddresses": list(&eni["ips"]).map(address).collect::<Vec<_>>(),
        "Ipv6Addresses": v6.iter().map(|ip| json!({"Ipv6Address": ip})).collect::<Vec<_>>(),
        "Groups": list(&eni["sgs"]).map(|group| json!({"GroupId": group})).collect::<Vec<_>>(),
        "Description": description.unwrap_or_default(),
    });
    if !eni["inst"].is_null() {
        out["Attachment"] = json!({"InstanceId": eni["inst"], "DeviceIndex": 0});
    }
    out
}

/// What a load balancer is called in its ARN and in the description of its interfaces.
fn short(name: &str, balancer: &Value) -> String {
    format!("{}/{name}/1", if balancer["type"] == "network" { "net" } else { "app" })
}

/// A vector's world.
pub(crate) fn described(config: &Value) -> Value {
    let all = |of: &str, describe: &dyn Fn((&String, &Value)) -> Value| entries(&config[of]).map(describe).collect::<Vec<_>>();
    let vpc = |(id, vpc): (&String, &Value)| {
        let (v6, v4): (Vec<&Value>, Vec<&Value>) = list(&vpc["cidrs"]).partition(|block| is_v6(block));
        let associated = |name: &str, blocks: &[&Value]| blocks.iter().map(|block| json!({name: block})).collect::<Vec<_>>();
        json!({"VpcId": id, "CidrBlock": v4[0], "CidrBlockAssociationSet": associated("CidrBlock", &v4), "Ipv6CidrBlockAssociationSet": associated("Ipv6CidrBlock", &v6)})
    };
    let balancer = |(id, balancer): (&String, &Value)| json!({"LoadBalancerArn": arn("loadbalancer", &short(id, balancer)), "Type": balancer["type"], "Scheme": balancer["scheme"], "SecurityGroups": balancer["sgs"], "AvailabilityZones": []});
    let listeners = entries(&config["lbs"]).flat_map(|(id, balancer)| {
        list(&balancer["listeners"]).map(move |listener| {
            let name = short(id, balancer);
            let said = if balancer["type"] == "network" { "TCP" } else { "HTTP" };
            let forward: Vec<Value> = list(&listener["tgs"]).map(|group| json!({"Type": "forward", "TargetGroupArn": arn("targetgroup", group.as_str().unwrap_or_default())})).collect();
            json!({"LoadBalancerArn": arn("loadbalancer", &name), "ListenerArn": arn("listener", &format!("{name}/2")), "Protocol": said, "Port": listener["port"], "DefaultActions": forward})
        })
    });
    let group = |(id, group): (&String, &Value)| {
        let targets: Vec<Value> = list(&group["targets"])
            .map(|target| json!({"Target": {"Id": target["id"], "Port": target["port"]}, "TargetHealth": {"State": "healthy"}}))
            .collect();
        json!({"TargetGroupArn": arn("targetgroup", id), "TargetType": "instance", "Protocol": "TCP", "Port": 80, "TargetHealthDescriptions": targets})
    };
    // An application load balancer always sends to other zones, unless a target group says otherwise.
    let keeps_to_zone = entries(&config["lbs"]).any(|(_, balancer)| balancer["cross_zone"] == false);
    let attributes = |(id, group): (&String, &Value)| {
        let mut said = vec![json!({"Key": "preserve_client_ip.enabled", "Value": (group["preserve"] == true).to_string()})];
        said.extend(keeps_to_zone.then(|| json!({"Key": "load_balancing.cross_zone.enabled", "Value": "false"})));
        json!({"TargetGroupArn": arn("targetgroup", id), "Attributes": said})
    };
    let peering = |(id, peering): (&String, &Value)| json!({"VpcPeeringConnectionId": id, "Status": {"Code": peering["status"]}, "RequesterVpcInfo": {"VpcId": peering["a"]}, "AccepterVpcInfo": {"VpcId": peering["b"]}});
    let attachment = |(id, of): (&String, &Value)| {
        let kind = if of["vpc"].is_null() { "vpn" } else { "vpc" };
        json!({"TransitGatewayAttachmentId": id, "TransitGatewayId": of["tgw"], "ResourceType": kind, "ResourceId": of["vpc"], "State": "available",
            "Association": {"TransitGatewayRouteTableId": of["rtb"]}})
    };
    let transit = |(id, routes): (&String, &Value)| {
        let route = |route: &Value| match route["att"].as_str() {
            None | Some("blackhole") => json!({"DestinationCidrBlock": route["dst"], "State": "blackhole"}),
            Some(over) => {
                json!({"DestinationCidrBlock": route["dst"], "State": "active", "TransitGatewayAttachments": [{"TransitGatewayAttachmentId": over}]})
            }
        };
        json!({"TransitGatewayRouteTableId": id, "Routes": list(routes).map(route).collect::<Vec<_>>()})
    };
    json!({
        "Vpcs": all("vpcs", &vpc),
        "Subnets": all("subnets", &|(id, subnet)| json!({"SubnetId": id, "VpcId": subnet["vpc"], "AvailabilityZone": subnet["az"]})),
        "RouteTables": all("rtbs", &|entry| table(config, entry)),
        "InternetGateways": all("igws", &|(id, gateway)| {
            let attached: Vec<Value> = Some(&gateway["vpc"]).filter(|vpc| vpc.is_string()).map(|vpc| json!({"VpcId": vpc, "State": "available"})).into_iter().collect();
            json!({"InternetGatewayId": id, "Attachments": attached})
        }),
        "NetworkAcls": all("acls", &|entry| acl(config, entry)),
        "SecurityGroups": all("sgs", &|(id, group)| json!({"GroupId": id, "VpcId": group["vpc"],
            "IpPermissions": list(&group["in"]).map(rule).collect::<Vec<_>>(), "IpPermissionsEgress": list(&group["out"]).map(rule).collect::<Vec<_>>()})),
        "PrefixLists": all("pls", &|(id, blocks)| json!({"PrefixListId": id, "Cidrs": blocks})),
        "NetworkInterfaces": all("enis", &|entry| interface(config, entry)),
        "VpcPeeringConnections": all("pcx", &peering),
        "VpnGateways": all("vgws", &|(id, gateway)| json!({"VpnGatewayId": id, "VpcAttachments": [{"VpcId": gateway["vpc"], "State": "attached"}]})),
        "TransitGatewayAttachments": all("tgw_att", &attachment),
        "TransitGatewayRouteTables": all("tgw_rtb", &transit),
        "LoadBalancers": all("lbs", &balancer),
        "Listeners": listeners.collect::<Vec<_>>(),
        "TargetGroups": all("tgs", &group),
        "TargetGroupAttributes": all("tgs", &attributes),
    })
}
