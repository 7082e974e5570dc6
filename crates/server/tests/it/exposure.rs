//! What a network opens becomes findings, and closes again; what is not known closes nothing.

use super::{Lab, findings, observation, scope, summary};
use lestrade_findings::{Criteria, NumberField, Term};
use lestrade_model::*;
use lestrade_server::{Core, Observation};
use lestrade_store::Fan;
use serde_json::{Value, json};
use std::sync::Arc;

const INSTANCE: &str = "i-1";

/// A VPC with an instance that a gateway leads to, and a group that lets some ports in.
pub(crate) fn network(ports: &[(u16, u16)]) -> Value {
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
pub(crate) fn instance() -> Observation {
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

/// AWS is consistent in the end only: what an instance refers to may be missing from one description and be in the next.
#[test]
fn what_is_described_in_part_closes_nothing() {
    const OPEN: &str = "ACTIVE Port 22 is reachable from an Internet Gateway - TCP";
    let lab = Lab::new();
    let core = start(&lab);
    core.observe(instance()).unwrap();
    let coverage = || {
        let entry = core.resource(&instance().resource.key).unwrap();
        entry.coverage.iter().find(|coverage| coverage.kind == ScanKind::Network).unwrap().detail.clone()
    };
    for (list, said) in [
        ("NetworkInterfaces", "its interfaces are not described"),
        ("SecurityGroups", "its security group 'sg-1' is not in the snapshot"),
        ("Subnets", "its subnet 'subnet-1' is not in the snapshot"),
        ("RouteTables", "the route table of its subnet 'subnet-1' is not in the snapshot"),
    ] {
        core.describe_network(&scope(), &network(&[(22, 22)]), &[]).unwrap();
        assert_eq!((open(&core), exposure(&core), coverage()), (vec![OPEN.to_owned()], Exposure::Internet, String::new()));
        let mut part = network(&[(22, 22)]);
        part[list] = json!([]);
        core.describe_network(&scope(), &part, &[]).unwrap();
        assert_eq!((open(&core), exposure(&core)), (vec![OPEN.to_owned()], Exposure::Internet), "{list}");
        assert!(coverage().contains(said), "{list}: {}", coverage());
    }
    core.describe_network(&scope(), &network(&[]), &[]).unwrap();
    assert_eq!((open(&core)[0].starts_with("CLOSED"), exposure(&core)), (true, Exposure::None));
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

/// What Inspector calls the context of a score: the same flaw is less bad where no path leads, and that is said, found and told.
#[test]
fn the_score_of_an_instance_follows_what_can_be_reached_and_says_so() {
    let mut lab = Lab::new();
    lab.publish(super::record("CVE-2021-23337", "lodash", "4.17.21"));
    let core = start(&lab);
    core.observe(instance()).unwrap();
    core.observe(observation("image-a", &[("lodash", "4.17.20")])).unwrap();
    let finding = |core: &Core, kind| {
        let found = findings(core).into_iter().find(|finding| finding.title.starts_with("CVE") && finding.resource.key.kind == kind);
        lestrade_report::inspector::finding(&found.unwrap(), lestrade_report::inspector::Times::EpochSeconds)
    };
    let score = |core: &Core, kind| {
        let details = finding(core, kind)["inspectorScoreDetails"]["adjustedCvss"].clone();
        let metrics = details["adjustments"].as_array().unwrap().iter().map(|adjustment| adjustment["metric"].clone()).collect::<Vec<_>>();
        (details["score"].as_f64().unwrap(), details["scoringVector"].as_str().unwrap().contains("/AV:N/"), metrics)
    };
    let base = (9.8, true, vec![]);
    assert_eq!(score(&core, ResourceKind::Instance), base, "nothing is lowered on account of what is not known");
    core.describe_network(&scope(), &network(&[(443, 443)]), &[]).unwrap();
    assert_eq!(score(&core, ResourceKind::Instance), base);

    let told =
        |core: &Core| core.store().history(0, 100).unwrap().into_iter().filter(|group| group.transition.is_none()).collect::<Vec<_>>();
    let before = told(&core).len();
    core.describe_network(&scope(), &network(&[]), &[]).unwrap();
    let Some(Fan::Resource { vulnerabilities, .. }) = told(&core).get(before).map(|group| group.fan.clone()) else { panic!("told") };
    assert_eq!(vulnerabilities.len(), 1, "the open port that closed is told of as such");
    assert_eq!(score(&core, ResourceKind::Instance), (8.4, false, vec![json!("AV")]));
    assert_eq!(score(&core, ResourceKind::Image), base, "an image has no network of its own");
    assert_eq!(finding(&core, ResourceKind::Instance)["severity"], "CRITICAL", "the severity is the vulnerability's");

    let with_scores = |low| Criteria { terms: vec![Term::Number(NumberField::InspectorScore, vec![(Some(low), None)])] };
    let found = |low| super::listed(&core, &with_scores(low)).into_iter().map(|view| view.resource.key.id).collect::<Vec<_>>();
    assert_eq!(found(9.0), ["image-a"]);
    assert_eq!(found(8.0).len(), 2);

    drop(core);
    let core = start(&lab);
    assert_eq!((score(&core, ResourceKind::Instance).0, told(&core).len()), (8.4, before + 1), "a start tells nothing anew");
}

/// An agent on the instance: a host that says which instance it is, and who listens on it.
fn agent(sockets: Option<Vec<ListeningSocket>>, reason: CoverageReason) -> Observation {
    let mut seen = observation("host-1", &[]);
    seen.resource.key.kind = ResourceKind::Host;
    seen.resource.details = ResourceDetails::Host(HostDetails { listening: sockets });
    seen.resource.tags = vec![(lestrade_findings::INSTANCE_TAG.to_owned(), INSTANCE.to_owned())];
    seen.inventory = None;
    seen.coverage[0].reason = reason;
    seen
}

fn socket(address: &str, port: u16, executable: &str) -> ListeningSocket {
    ListeningSocket {
        protocol: "tcp".into(),
        address: address.parse().unwrap(),
        port,
        process: Some("node".into()),
        executable: Some(executable.into()),
        package: None,
    }
}

/// Package, process, port, opening: whoever is reached that way counts more, and what is not known is said.
#[test]
fn a_vulnerable_package_that_listens_where_the_internet_reaches_counts_most() {
    let mut lab = Lab::new();
    lab.publish(super::record("CVE-2021-23337", "lodash", "4.17.21"));
    let core = start(&lab);
    core.observe(instance()).unwrap();
    core.describe_network(&scope(), &network(&[(443, 443)]), &[]).unwrap();
    let of = |core: &Core, title: &str| findings(core).into_iter().find(|finding| finding.title.starts_with(title)).unwrap();
    let package = |core: &Core| {
        let view = of(core, "CVE");
        (view.exposure, view.listening.as_str(), lestrade_report::finding_detail_json(&view)["sockets"].clone())
    };
    assert_eq!(package(&core), (Exposure::Internet, "unknown", Value::Null));
    assert_eq!(of(&core, "Port 443").listening.as_str(), "unknown");
    let unknown = of(&core, "CVE").risk().value;

    let here = |sockets: &[ListeningSocket]| agent(Some(sockets.to_vec()), CoverageReason::Successful);
    core.observe(here(&[socket("0.0.0.0", 443, "/app/lodash")])).unwrap();
    let (exposure, word, sockets) = package(&core);
    assert_eq!((exposure, word), (Exposure::InternetListening, "reached"));
    assert_eq!((&sockets[0]["port"], &sockets[0]["reachedFrom"]), (&json!(443), &json!("internet")));
    assert_eq!(of(&core, "Port 443").listening.as_str(), "reached");
    assert!(of(&core, "CVE").risk().value > unknown);

    // Another program at the port; a port that is not open; this machine alone.
    core.observe(here(&[socket("0.0.0.0", 443, "/app/other")])).unwrap();
    assert_eq!(package(&core).1, "not-listening");
    assert_eq!(of(&core, "Port 443").listening.as_str(), "reached");
    core.observe(here(&[socket("0.0.0.0", 8443, "/app/lodash"), socket("127.0.0.1", 443, "/app/lodash")])).unwrap();
    assert_eq!((package(&core).0, package(&core).1), (Exposure::Internet, "listening"));
    assert_eq!(of(&core, "Port 443").listening.as_str(), "not-listening");

    // An agent that could not tell, one that is silent, and one that is gone: not known, and never "nobody".
    core.observe(agent(None, CoverageReason::Successful)).unwrap();
    assert_eq!(package(&core).1, "unknown");
    core.observe(agent(Some(Vec::new()), CoverageReason::StaleInventory)).unwrap();
    assert_eq!(package(&core).1, "unknown");
    core.observe(here(&[])).unwrap();
    assert_eq!(package(&core).1, "not-listening");
}

/// An instance: its id, what its group admits, whether it has a public address.
type Machine<'a> = (&'a str, &'a [(u16, u16)], bool);

/// The network with some instances, each behind a group of its own.
fn estate(instances: &[Machine<'_>]) -> Value {
    let mut out = network(&[]);
    let (group, interface) = (out["SecurityGroups"][0].clone(), out["NetworkInterfaces"][0].clone());
    out["SecurityGroups"] = json!([]);
    out["NetworkInterfaces"] = json!([]);
    for (number, (name, ports, public)) in instances.iter().enumerate() {
        let mut group = group.clone();
        group["GroupId"] = json!(format!("sg-{name}"));
        group["IpPermissions"] = network(ports)["SecurityGroups"][0]["IpPermissions"].clone();
        let mut interface = interface.clone();
        interface["NetworkInterfaceId"] = json!(format!("eni-{name}"));
        interface["PrivateIpAddress"] = json!(format!("10.0.0.{}", number + 5));
        interface["PrivateIpAddresses"][0]["PrivateIpAddress"] = interface["PrivateIpAddress"].clone();
        if !public {
            interface["PrivateIpAddresses"][0].as_object_mut().unwrap().remove("Association");
        }
        interface["Groups"][0]["GroupId"] = group["GroupId"].clone();
        interface["Attachment"]["InstanceId"] = json!(name);
        out["SecurityGroups"].as_array_mut().unwrap().push(group);
        out["NetworkInterfaces"].as_array_mut().unwrap().push(interface);
    }
    out
}

/// What a server that saw a network change says is what one says that sees it for the first time.
#[test]
fn a_network_that_changes_is_what_it_would_be_anew() {
    const SSH: &[(u16, u16)] = &[(22, 22)];
    const WEB: &[(u16, u16)] = &[(443, 443), (80, 81)];
    let descriptions = [
        estate(&[("i-1", SSH, true), ("i-2", WEB, true), ("i-3", WEB, false)]),
        estate(&[("i-1", WEB, true), ("i-2", WEB, true), ("i-3", WEB, true)]),
        estate(&[("i-2", WEB, false), ("i-3", SSH, true), ("i-1", &[], false)]),
        estate(&[("i-3", SSH, true), ("i-1", SSH, true), ("i-2", SSH, true)]),
        estate(&[("i-1", &[], true), ("i-2", &[], false), ("i-3", &[], true)]),
        estate(&[("i-2", WEB, true), ("i-1", WEB, false), ("i-3", &[], true)]),
    ];
    let named = |name: &str| {
        let mut seen = instance();
        seen.resource.key.id = name.to_owned();
        seen
    };
    let active = |core: &Core| -> Vec<String> {
        let shown = |finding: &lestrade_findings::FindingView| format!("{} {}", finding.resource.key.id, finding.title);
        findings(core).iter().filter(|finding| finding.status == FindingStatus::Active).map(shown).collect()
    };
    let exposures = |core: &Core| -> Vec<Exposure> {
        let world = core.world();
        let of = |name: &&str| world.exposure(world.resource_id(&named(name).resource.key).unwrap());
        ["i-1", "i-2", "i-3"].iter().map(of).collect()
    };
    let watching = Lab::new();
    let core = start(&watching);
    for name in ["i-1", "i-2", "i-3"] {
        core.observe(named(name)).unwrap();
    }
    for (number, description) in descriptions.iter().enumerate() {
        watching.later(1000);
        let gaps = if number == 2 { vec!["DescribeAddresses: denied".to_owned()] } else { Vec::new() };
        core.describe_network(&scope(), description, &gaps).unwrap();
        let fresh = Lab::new();
        let anew = start(&fresh);
        for name in ["i-1", "i-2", "i-3"] {
            anew.observe(named(name)).unwrap();
        }
        anew.describe_network(&scope(), description, &gaps).unwrap();
        assert_eq!((active(&core), exposures(&core)), (active(&anew), exposures(&anew)), "description {number}");
        assert_eq!(core.audit(), []);
    }

    // One object of it, as it is now; one that is gone; one of a network that nobody has described.
    let group = estate(&[("i-2", SSH, true)])["SecurityGroups"][0].clone();
    core.describe_object(&scope(), "SecurityGroups", "GroupId", "sg-i-2", Some(group)).unwrap().unwrap();
    assert_eq!(active(&core), ["i-2 Port 22 is reachable from an Internet Gateway - TCP"]);
    core.describe_object(&scope(), "SecurityGroups", "GroupId", "sg-i-2", None).unwrap().unwrap();
    let still = vec!["i-2 Port 22 is reachable from an Internet Gateway - TCP".to_owned()];
    assert_eq!((active(&core), exposures(&core)[1]), (still.clone(), Exposure::Internet), "its group is missing: what it lets in stands");
    let elsewhere = Scope { region: "us-east-1".into(), ..scope() };
    assert_eq!(core.describe_object(&elsewhere, "SecurityGroups", "GroupId", "sg-i-2", None).unwrap(), None);

    // After a start the same is known.
    drop(core);
    let core = start(&watching);
    assert_eq!((active(&core), exposures(&core)[1]), (still, Exposure::Unknown));
}

/// What is critical and may be reached goes ahead; where no path leads to it, it waits with the rest.
#[test]
fn what_can_be_reached_is_told_first() {
    use lestrade_store::Lane;
    let urgent = |ports: Option<&[(u16, u16)]>| {
        let mut lab = Lab::new();
        let core = start(&lab);
        core.observe(instance()).unwrap();
        if let Some(ports) = ports {
            core.describe_network(&scope(), &network(ports), &[]).unwrap();
        }
        let pending = |lane: Lane| core.store().pending(lane, 0).unwrap().1;
        let (before, rest) = (pending(Lane::Urgent), pending(Lane::Ordinary));
        lab.publish(super::record("CVE-2024-7", "lodash", "4.17.21"));
        core.refresh_intelligence().unwrap();
        assert_eq!(findings(&core).iter().find(|finding| finding.title.starts_with("CVE")).unwrap().severity, Severity::Critical);
        assert!(pending(Lane::Ordinary) > rest);
        pending(Lane::Urgent) - before
    };
    assert_eq!(urgent(Some(&[(443, 443)])), 1, "reached");
    assert_eq!(urgent(None), 1, "nobody knows");
    assert_eq!(urgent(Some(&[])), 0, "no path leads to it");
}
