//! `lestrade exposure` on a small network: a web server that everybody reaches, a database that nobody does.

#[path = "../../../reachability/tests/it/described.rs"]
mod described;

use crate::lab::Lab;
use serde_json::{Value, json};

/// The answers of the `describe-*` calls, as they would be saved into one folder.
fn network() -> Value {
    let interface = |id: &str, subnet: &str, address: &str, public: Option<&str>, group: &str, instance: &str| {
        json!({"NetworkInterfaceId": id, "SubnetId": subnet, "VpcId": "vpc-1", "PrivateIpAddress": address, "Groups": [{"GroupId": group}],
            "PrivateIpAddresses": [{"PrivateIpAddress": address, "Primary": true, "Association": public.map(|public| json!({"PublicIp": public}))}],
            "Attachment": {"InstanceId": instance, "DeviceIndex": 0}})
    };
    let rule = |port: u16, source: Value| {
        let mut rule = json!({"IpProtocol": "tcp", "FromPort": port, "ToPort": port});
        rule.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
        rule
    };
    let everybody = json!({"IpRanges": [{"CidrIp": "0.0.0.0/0"}]});
    let open =
        |egress: bool| json!({"RuleNumber": 100, "Protocol": "-1", "RuleAction": "allow", "Egress": egress, "CidrBlock": "0.0.0.0/0"});
    json!({
        "Vpcs": [{"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16"}],
        "Subnets": [{"SubnetId": "subnet-a", "VpcId": "vpc-1", "CidrBlock": "10.0.1.0/24"}, {"SubnetId": "subnet-b", "VpcId": "vpc-1", "CidrBlock": "10.0.2.0/24"}],
        "InternetGateways": [{"InternetGatewayId": "igw-1", "Attachments": [{"State": "available", "VpcId": "vpc-1"}]}],
        "RouteTables": [
            {"RouteTableId": "rtb-main", "VpcId": "vpc-1", "Associations": [{"Main": true}], "Routes": [{"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"}]},
            {"RouteTableId": "rtb-public", "VpcId": "vpc-1", "Associations": [{"SubnetId": "subnet-a"}], "Routes": [
                {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"},
                {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "active"}]}],
        "NetworkAcls": [{"NetworkAclId": "acl-1", "VpcId": "vpc-1", "IsDefault": true, "Entries": [open(false), open(true)], "Associations": []}],
        "SecurityGroups": [
            {"GroupId": "sg-web", "VpcId": "vpc-1", "IpPermissions": [rule(443, everybody.clone()), rule(22, json!({"IpRanges": [{"CidrIp": "198.51.100.7/32"}]}))],
                "IpPermissionsEgress": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]},
            {"GroupId": "sg-db", "VpcId": "vpc-1", "IpPermissions": [rule(5432, json!({"UserIdGroupPairs": [{"GroupId": "sg-web"}]}))], "IpPermissionsEgress": []}],
        "NetworkInterfaces": [
            interface("eni-web", "subnet-a", "10.0.1.10", Some("54.0.0.1"), "sg-web", "i-web"),
            interface("eni-db", "subnet-b", "10.0.2.10", None, "sg-db", "i-db")],
    })
}

#[test]
fn what_a_network_lets_in() {
    let lab = Lab::new();
    std::fs::write(lab.path("network.json"), network().to_string()).unwrap();
    let svg = lab.transcript(&["exposure", "network.json", "-o", "svg"]);
    assert!(svg.starts_with("<svg") && svg.contains("eni-web") && !svg.contains("eni-db"));
    insta::assert_snapshot!(
        [
            lab.transcript(&["exposure", "network.json"]),
            lab.transcript(&["exposure", "network.json", "--from", "i-web", "--to", "i-db", "--port", "5432"]),
            lab.transcript(&["exposure", "network.json", "--from", "8.8.8.8", "--to", "i-db", "--port", "5432"]),
            lab.transcript(&["exposure", "network.json", "--from", "8.8.8.8", "--to", "54.0.0.1", "--port", "22"]),
            lab.transcript(&["exposure", "network.json", "--from", "i-nobody", "--to", "i-db"]),
        ]
        .join("\n")
    );
}

/// The database behind a network load balancer that leads to an application load balancer, and port 8443 of the web server over a
/// firewall.
fn balanced() -> Value {
    let mut network = network();
    let arn = |kind: &str, name: &str| format!("arn:aws:elasticloadbalancing:eu-west-1:1:{kind}/{name}");
    let (front, inner) = (arn("loadbalancer", "net/front/1"), arn("loadbalancer", "app/inner/2"));
    let balancer = |arn: &str, kind: &str, scheme: &str, groups: &[&str]| json!({"LoadBalancerArn": arn, "Type": kind, "Scheme": scheme, "SecurityGroups": groups, "AvailabilityZones": []});
    let node = |id: &str, subnet: &str, address: &str, public: Option<&str>, description: &str, groups: &[&str]| {
        json!({"NetworkInterfaceId": id, "SubnetId": subnet, "VpcId": "vpc-1", "PrivateIpAddress": address, "Description": description,
            "Groups": groups.iter().map(|group| json!({"GroupId": group})).collect::<Vec<_>>(),
            "PrivateIpAddresses": [{"PrivateIpAddress": address, "Primary": true, "Association": public.map(|public| json!({"PublicIp": public}))}]})
    };
    let listener = |arn: &str, port: u16, group: &str, of: &str| {
        json!({"LoadBalancerArn": of, "ListenerArn": arn, "Protocol": if port == 80 { "TCP" } else { "HTTP" }, "Port": port,
            "DefaultActions": [{"Type": "forward", "TargetGroupArn": group}]})
    };
    let (to_inner, to_db) = (arn("targetgroup", "to-inner/3"), arn("targetgroup", "db/4"));
    network["LoadBalancers"] =
        json!([balancer(&front, "network", "internet-facing", &[]), balancer(&inner, "application", "internal", &["sg-inner"])]);
    network["Listeners"] = json!([
        listener(&arn("listener", "net/front/1/5"), 80, &to_inner, &front),
        listener(&arn("listener", "app/inner/2/6"), 8080, &to_db, &inner),
    ]);
    network["TargetGroups"] = json!([
        {"TargetGroupArn": to_inner, "TargetType": "alb", "Protocol": "TCP", "Port": 8080,
            "TargetHealthDescriptions": [{"Target": {"Id": inner, "Port": 8080}, "TargetHealth": {"State": "healthy"}}]},
        {"TargetGroupArn": to_db, "TargetType": "instance", "Protocol": "HTTP", "Port": 5432,
            "TargetHealthDescriptions": [{"Target": {"Id": "i-db", "Port": 5432}, "TargetHealth": {"State": "unhealthy"}}]},
        {"TargetGroupArn": arn("targetgroup", "empty/7"), "TargetType": "instance", "Protocol": "HTTP", "Port": 80, "TargetHealthDescriptions": []},
    ]);
    let interfaces = network["NetworkInterfaces"].as_array_mut().unwrap();
    interfaces.push(node("eni-front", "subnet-a", "10.0.1.200", Some("54.0.0.9"), "ELB net/front/1", &[]));
    interfaces.push(node("eni-inner", "subnet-b", "10.0.2.200", None, "ELB app/inner/2", &["sg-inner"]));
    let groups = network["SecurityGroups"].as_array_mut().unwrap();
    groups[1]["IpPermissions"]
        .as_array_mut()
        .unwrap()
        .push(json!({"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [{"GroupId": "sg-inner"}]}));
    groups.push(json!({"GroupId": "sg-inner", "VpcId": "vpc-1", "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
        "IpPermissionsEgress": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]}));
    network["RouteTables"]
        .as_array_mut()
        .unwrap()
        .push(json!({"RouteTableId": "rtb-edge", "VpcId": "vpc-1", "Associations": [{"GatewayId": "igw-1"}],
        "Routes": [{"DestinationCidrBlock": "10.0.1.10/32", "NetworkInterfaceId": "eni-fw", "State": "active"}]}));
    network
}

#[test]
fn what_load_balancers_and_appliances_let_in() {
    let lab = Lab::new();
    std::fs::write(lab.path("network.json"), balanced().to_string()).unwrap();
    let svg = lab.transcript(&["exposure", "network.json", "-o", "svg"]);
    assert!(svg.contains("TargetGroup") && svg.contains("eni-db"), "{svg}");
    insta::assert_snapshot!(
        [
            lab.transcript(&["exposure", "network.json"]),
            lab.transcript(&["exposure", "network.json", "--mode", "compatible"]),
            lab.transcript(&["exposure", "network.json", "--from", "8.8.8.8", "--to", "i-db", "--port", "5432"]),
            lab.transcript(&["exposure", "network.json", "--from", "8.8.8.8", "--to", "54.0.0.1", "--port", "443"]),
        ]
        .join("\n")
    );
}

/// A subnet that nothing leaves: conversations are closed, and a datagram gets in all the same.
#[test]
fn a_datagram_gets_in_where_no_reply_gets_out() {
    let lab = Lab::new();
    let mut silent = network();
    silent["NetworkAcls"][0]["Entries"][1]["RuleAction"] = json!("deny");
    let everybody = json!([{"CidrIp": "0.0.0.0/0"}]);
    silent["SecurityGroups"][0]["IpPermissions"]
        .as_array_mut()
        .unwrap()
        .push(json!({"IpProtocol": "udp", "FromPort": 161, "ToPort": 161, "IpRanges": everybody}));
    std::fs::write(lab.path("network.json"), silent.to_string()).unwrap();
    assert!(lab.transcript(&["exposure", "network.json"]).contains(": 0 openings"));
    let told = lab.transcript(&["exposure", "network.json", "--one-way-udp"]);
    assert!(told.contains("i-web 161/udp") && told.contains("one way: some who send get no reply") && !told.contains("tcp"), "{told}");
    let told = lab.json(&["exposure", "network.json", "--one-way-udp", "-o", "json"]);
    assert_eq!((told["openings"].as_array().unwrap().len(), &told["openings"][0]["oneWay"]), (1, &json!(true)));
    assert!(lab.transcript(&["exposure", "network.json", "--one-way-udp", "--mode", "compatible"]).contains(": 0 openings"));
    let difference = lab.transcript(&["exposure", "network.json", "--one-way-udp", "--what-if", "network.json"]);
    assert!(difference.starts_with("0 opened\n0 closed\n"), "{difference}");
}

#[test]
fn what_a_change_would_open() {
    let lab = Lab::new();
    std::fs::write(lab.path("network.json"), network().to_string()).unwrap();
    let mut changed = network();
    changed["SecurityGroups"][0]["IpPermissions"][1]["IpRanges"][0]["CidrIp"] = json!("0.0.0.0/0");
    changed["SecurityGroups"][0]["IpPermissions"].as_array_mut().unwrap().remove(0);
    std::fs::write(lab.path("changed.json"), changed.to_string()).unwrap();
    insta::assert_snapshot!(lab.transcript(&["exposure", "network.json", "--what-if", "changed.json"]));
}

#[test]
fn what_is_not_known_is_said() {
    let lab = Lab::new();
    let mut partial = network();
    partial["SecurityGroups"].as_array_mut().unwrap().remove(0);
    partial["NetworkAcls"][0]["Entries"]
        .as_array_mut()
        .unwrap()
        .push(json!({"RuleNumber": 1, "Protocol": "nonsense", "RuleAction": "deny", "Egress": false, "CidrBlock": "0.0.0.0/0"}));
    std::fs::write(lab.path("partial.json"), partial.to_string()).unwrap();
    std::fs::write(lab.path("nothing.json"), "{}").unwrap();
    std::fs::write(lab.path("broken.json"), "{\"Subnets\": [").unwrap();
    insta::assert_snapshot!(
        [
            lab.transcript(&["exposure", "partial.json"]),
            lab.transcript(&["exposure", "nothing.json"]),
            lab.transcript(&["exposure", "broken.json"]),
        ]
        .join("\n")
    );
}

/// The 44 vectors of the specification, as the AWS CLI prints such worlds: the command answers what each expects, and no more; which
/// of them have a picture.
#[test]
#[allow(clippy::print_stdout, reason = "a suite tells how it went")]
fn the_worlds_of_the_vectors() {
    let root =
        std::env::var("LESTRADE_REFERENCE").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reference").into());
    let bytes = std::fs::read(format!("{root}/reachability-vectors.json"));
    let vectors: Vec<Value> = bytes.map(|bytes| serde_json::from_slice(&bytes).unwrap()).unwrap_or_default();
    if vectors.is_empty() {
        println!("LOUD: the vectors are not at hand; nothing was compared");
    }
    let lab = Lab::new();
    let mut failed = Vec::new();
    for vector in &vectors {
        std::fs::write(lab.path("world.json"), described::described(&vector["config"]).to_string()).unwrap();
        let output = lab.run(&["exposure", "world.json", "-o", "json"]);
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let class = |class: &str| {
            match class {
                "vpn" => "vgw",
                "transit" => "tgw",
                "load-balancer" => "elb",
                other => other,
            }
            .to_owned()
        };
        let line = |class: &str, eni: &Value, protocol: &Value, begin: &Value, end: &Value| {
            format!("{class} {} {} {begin}-{end}", eni.as_str().unwrap(), protocol.as_str().unwrap().to_lowercase())
        };
        let openings = said["openings"].as_array().cloned().unwrap_or_default();
        let mut ours: Vec<String> = openings
            .iter()
            .filter(|open| open["class"] != "appliance")
            .map(|open| {
                let range = &open["openPortRange"];
                line(&class(open["class"].as_str().unwrap()), &open["interface"], &open["protocol"], &range["begin"], &range["end"])
            })
            .collect();
        let mut theirs: Vec<String> = Vec::new();
        for expected in vector["expect"].as_array().into_iter().flatten() {
            for range in expected["ports"].as_array().into_iter().flatten() {
                theirs.push(line(expected["class"].as_str().unwrap(), &expected["eni"], &expected["proto"], &range[0], &range[1]));
            }
        }
        ours.sort();
        theirs.sort();
        let svg = String::from_utf8(lab.run(&["exposure", "world.json", "-o", "svg"]).stdout).unwrap();
        let pictured = openings.iter().all(|open| svg.contains(open["interface"].as_str().unwrap())) && svg.ends_with("</svg>\n");
        if ours != theirs || !pictured {
            failed.push(format!("{}: ours {ours:?}, theirs {theirs:?}, problems {}", vector["name"], said["problems"]));
        }
    }
    println!("vectors by the command: {} passed, {} failed", vectors.len() - failed.len(), failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}

/// A network that somebody else's stand-in for AWS describes, over the whole of the command.
#[test]
fn a_network_as_moto_describes_it() {
    let lab = Lab::new();
    let network = lab.path("network");
    std::fs::create_dir(&network).unwrap();
    let installed = std::process::Command::new("python3").args(["-c", "import boto3, moto"]).status();
    if !installed.is_ok_and(|status| status.success()) {
        lestrade_testkit::missing("python3 with moto and boto3");
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/moto_network.py");
    let made = std::process::Command::new("python3").arg(script).arg(&network).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let output = lab.run(&["exposure", "network", "-o", "json"]);
    let exposure: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &exposure["problems"]), (Some(0), &json!([])));
    let opening = |open: &Value| format!("{} {}", open["title"].as_str().unwrap(), open["breadth"].as_str().unwrap());
    let mut openings: Vec<String> = exposure["openings"].as_array().unwrap().iter().map(opening).collect();
    openings.sort();
    assert_eq!(
        openings,
        [
            "Port 22 is reachable from an Internet Gateway - TCP narrow",
            "Port 443 is reachable from an Internet Gateway - TCP world",
            "Port range 7990 - 7999 is reachable from an Internet Gateway - TCP world",
        ],
        "ports that the ACL denies are closed, and so is the database"
    );
    assert!(
        exposure["openings"][0]["networkPath"]["steps"][2]["rule"].as_str().unwrap().starts_with("sgr-"),
        "rules are named by their ids"
    );
}
