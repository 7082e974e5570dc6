//! What a network opens becomes findings, and closes again; what is not known closes nothing.

use super::{Lab, findings, observation, scope, summary};
use lestrade_model::*;
use lestrade_server::{Core, Observation};
use serde_json::{Value, json};
use std::sync::Arc;

const INSTANCE: &str = "i-1";

/// A VPC with an instance that a gateway leads to, and a group that lets some ports in.
fn network(ports: &[(u16, u16)]) -> Value {
    let permission = |(from, to): &(u16, u16)| {
        json!({"IpProtocol": "tcp", "FromPort": from, "ToPort": to, "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": [],
            "PrefixListIds": [], "UserIdGroupPairs": []})
    };
    let entry =
        |egress: bool| json!({"RuleNumber": 100, "Egress": egress, "Protocol": "-1", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0"});
    json!({
        "Vpcs": [{"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16"}],
        "Subnets": [{"SubnetId": "subnet-1", "VpcId": "vpc-1", "AvailabilityZone": "eu-west-1a"}],
        "RouteTables": [{"RouteTableId": "rtb-1", "VpcId": "vpc-1", "Associations": [{"Main": true}], "Routes": [
            {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"},
            {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "active"}]}],
        "NetworkAcls": [{"NetworkAclId": "acl-1", "VpcId": "vpc-1", "Associations": [{"SubnetId": "subnet-1", "NetworkAclId": "acl-1"}],
            "Entries": [entry(false), entry(true)]}],
        "InternetGateways": [{"InternetGatewayId": "igw-1", "Attachments": [{"VpcId": "vpc-1", "State": "available"}]}],
        "SecurityGroups": [{"GroupId": "sg-1", "VpcId": "vpc-1", "IpPermissions": ports.iter().map(permission).collect::<Vec<_>>(),
            "IpPermissionsEgress": []}],
        "NetworkInterfaces": [{"NetworkInterfaceId": "eni-1", "SubnetId": "subnet-1", "VpcId": "vpc-1", "PrivateIpAddress": "10.0.0.5",
            "PrivateIpAddresses": [{"PrivateIpAddress": "10.0.0.5", "Primary": true, "Association": {"PublicIp": "198.51.100.7"}}],
            "Ipv6Addresses": [], "Groups": [{"GroupId": "sg-1"}], "Attachment": {"InstanceId": INSTANCE, "DeviceIndex": 0, "Status": "attached"}}],
    })
}

/// An instance with a package that nothing is known of yet.
fn instance() -> Observation {
    let mut seen = observation(INSTANCE, &[("lodash", "4.17.20")]);
    seen.resource.key.kind = ResourceKind::Instance;
    seen.resource.details = ResourceDetails::Instance(InstanceDetails { vpc: "vpc-1".into(), running: true, ..InstanceDetails::default() });
    seen
}

fn open(core: &Core) -> Vec<String> {
    assert_eq!(core.audit(), [], "derived state equals the log replayed");
    findings(core).iter().map(|finding| format!("{} {}", finding.status.as_str(), finding.title)).collect()
}

fn exposure(core: &Core) -> Exposure {
    let key = instance().resource.key;
    let world = core.world();
    world.exposure(world.resource_id(&key).unwrap())
}

fn start(lab: &Lab) -> Arc<Core> {
    let core = lab.open();
    core.recall_networks().unwrap();
    core
}

#[test]
fn what_a_network_opens_is_found_and_what_it_closes_is_closed() {
    let lab = Lab::new();
    let core = start(&lab);
    core.observe(instance()).unwrap();
    assert_eq!(exposure(&core), Exposure::Unknown);
    core.describe_network(&scope(), &network(&[(22, 22), (3389, 3389)]), &[]).unwrap();
    let ssh = "ACTIVE Port 22 is reachable from an Internet Gateway - TCP";
    assert_eq!(open(&core), [ssh, "ACTIVE Port 3389 is reachable from an Internet Gateway - TCP"]);
    assert_eq!(exposure(&core), Exposure::Internet);
    let first = findings(&core).remove(0);
    assert_eq!(first.severity, Severity::Medium);
    let steps: Vec<String> = first.assessment.condition.as_ref().unwrap().steps.iter().map(|step| step.id.clone()).collect();
    assert_eq!(steps, ["igw-1", "acl-1", "sg-1", "eni-1", "i-1"]);

    // The same again is no news; a server that starts again knows it before it has asked anybody.
    core.describe_network(&scope(), &network(&[(22, 22), (3389, 3389)]), &[]).unwrap();
    drop(core);
    let core = start(&lab);
    assert_eq!(exposure(&core), Exposure::Internet);
    let again = findings(&core).remove(0);
    assert_eq!(
        (again.arn, again.first_observed, &again.assessment.condition),
        (first.arn.clone(), first.first_observed, &first.assessment.condition)
    );

    lab.later(1000);
    core.describe_network(&scope(), &network(&[(22, 22)]), &[]).unwrap();
    assert_eq!(open(&core), [ssh, "CLOSED Port 3389 is reachable from an Internet Gateway - TCP"]);
    lab.later(1000);
    core.describe_network(&scope(), &network(&[]), &[]).unwrap();
    assert_eq!(exposure(&core), Exposure::None);
    assert!(open(&core).iter().all(|finding| finding.starts_with("CLOSED")));
    // It opens again within seven days: the same finding.
    core.describe_network(&scope(), &network(&[(22, 22)]), &[]).unwrap();
    assert_eq!(findings(&core).remove(0).arn, first.arn);
}

#[test]
fn what_is_not_known_of_a_network_is_told_and_is_not_closed() {
    let lab = Lab::new();
    let core = start(&lab);
    core.observe(instance()).unwrap();
    core.describe_network(&scope(), &network(&[(22, 22)]), &[]).unwrap();
    // A document that describes nothing is refused, and what was known stands.
    assert!(core.describe_network(&scope(), &json!({"Vpcs": []}), &[]).is_err());
    assert_eq!(open(&core).len(), 1);
    core.describe_network(&scope(), &network(&[]), &["DescribeAddresses: denied".to_owned()]).unwrap();
    assert_eq!(exposure(&core), Exposure::Unknown, "nothing was seen to be open, and not all was seen");
    let entry = core.resource(&instance().resource.key).unwrap();
    let network = entry.coverage.iter().find(|coverage| coverage.kind == ScanKind::Network).unwrap();
    assert!(network.detail.contains("DescribeAddresses"), "{network:?}");
}

#[test]
fn an_instance_that_is_gone_has_no_open_ports() {
    let lab = Lab::new();
    let core = start(&lab);
    core.observe(instance()).unwrap();
    core.describe_network(&scope(), &network(&[(22, 22)]), &[]).unwrap();
    core.forget(&instance().resource.key, CoverageReason::ResourceTerminated).unwrap();
    assert!(open(&core)[0].starts_with("CLOSED"));
    // The network is described a moment later, as it was when the instance was there.
    core.describe_network(&scope(), &network(&[(22, 22)]), &[]).unwrap();
    assert!(open(&core)[0].starts_with("CLOSED"));
    assert_eq!(summary(&core).len(), 1);
}

#[test]
fn risk_follows_what_can_be_reached() {
    let mut lab = Lab::new();
    lab.publish(super::record("CVE-2021-23337", "lodash", "4.17.21"));
    let core = start(&lab);
    core.observe(instance()).unwrap();
    let risk = |core: &Core| findings(core).iter().find(|finding| finding.title.starts_with("CVE")).unwrap().risk().value;
    let unknown = risk(&core);
    core.describe_network(&scope(), &network(&[]), &[]).unwrap();
    let closed = risk(&core);
    core.describe_network(&scope(), &network(&[(443, 443)]), &[]).unwrap();
    let reachable = risk(&core);
    assert!(closed < unknown && unknown < reachable, "{closed} {unknown} {reachable}");
}
