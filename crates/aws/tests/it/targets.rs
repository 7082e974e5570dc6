//! Targets; their payloads are checked against botocore's model.

use super::Moto;
use lestrade_aws::targets::{AwsSecrets, kinds};
use lestrade_events::*;
use lestrade_testkit::{Reply, Responder, SystemClock};
use serde_json::{Value, json};
use std::sync::Arc;

/// What the tests' environment does not have.
struct Keys;

impl Secrets for Keys {
    fn resolve(&self, reference: &str) -> Result<Secret, String> {
        match reference {
            "env:AWS_ACCESS_KEY_ID" => Ok(Secret::new("AKIDEXAMPLE")),
            "env:AWS_SECRET_ACCESS_KEY" => Ok(Secret::new("secret")),
            _ => Err("there is none".into()),
        }
    }
}

fn surroundings() -> Surroundings {
    let notes = Arc::new(ForgetfulNotes::default());
    Surroundings { secrets: Arc::new(Keys), egress: EgressPolicy::AllowPrivate, notes, clock: Arc::new(SystemClock) }
}

fn open(kind: &str, endpoint: &Value, more: Value) -> Box<dyn Target> {
    let mut options = more.as_object().unwrap().clone();
    options.insert("region".into(), json!("eu-west-1"));
    options.insert("endpoint".into(), endpoint.clone());
    Kinds::standard().with(kinds()).open(&TargetRecord::simple("t", kind, options), &surroundings()).unwrap()
}

fn finding(number: usize, status: &str) -> Message {
    let time = "Mon Nov 23 12:00:00.123 UTC 2026";
    let arn = format!("arn:aws:inspector2:eu-west-1:123456789012:finding/{number:032x}");
    let detail = json!({"awsAccountId": "123456789012", "findingArn": arn, "severity": "CRITICAL", "status": status, "title": "CVE-2021-44228 - log4j-core",
        "description": "x".repeat(2000), "firstObservedAt": time, "lastObservedAt": time, "updatedAt": time, "inspectorScore": 10.0,
        "epss": {"score": 0.97}, "exploitAvailable": "YES", "fixAvailable": "YES", "remediation": {"recommendation": {"text": "Upgrade"}},
        "type": "PACKAGE_VULNERABILITY",
        "resources": [{"id": "arn:aws:ecr:eu-west-1:123456789012:repository/web/sha256:00", "type": "AWS_ECR_CONTAINER_IMAGE", "region": "eu-west-1", "partition": "aws",
            "details": {"awsEcrContainerImage": {"imageHash": "sha256:00", "imageTags": ["v1"], "registry": "123456789012", "repositoryName": "web", "architecture": "amd64"}}}],
        "packageVulnerabilityDetails": {"vulnerabilityId": "CVE-2021-44228", "source": "NVD", "sourceUrl": "https://nvd.nist.gov", "vendorCreatedAt": time,
            "cvss": [{"baseScore": 10.0, "scoringVector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", "source": "NVD", "version": "3.1"}],
            "referenceUrls": ["https://example.org"], "relatedVulnerabilities": [],
            "vulnerablePackages": [{"name": "log4j-core", "version": "2.14.1", "packageManager": "JAR", "fixedInVersion": "2.17.1", "filePath": "app.jar"}]}});
    let body = json!({"version": "0", "id": format!("id-{number}-{status}"), "detail-type": "Inspector2 Finding", "source": "aws.inspector2",
        "account": "123456789012", "time": "2026-11-23T12:00:00Z", "region": "eu-west-1", "resources": ["image"], "detail": detail});
    Message::plain(Event { id: format!("id-{number}-{status}"), revision: 1, body, open: Some(1), names: Names::default() })
}

#[test]
fn everything_arrives_where_it_is_sent() {
    let Some(mut moto) = Moto::start("moto_targets.py") else { return };
    let target = |moto: &Moto, kind: &str, more: Value| open(kind, &moto.world["endpoint"], more);
    let messages: Vec<Message> = (0..10).map(|number| finding(number, "ACTIVE")).collect();
    let all_taken = |sent: Vec<Sent>| assert!(sent.iter().all(Result::is_ok) && sent.len() == 10, "{sent:?}");
    all_taken(target(&moto, "sqs", json!({"queue-url": moto.world["plain"]})).deliver(&messages));
    let mut fifo = target(&moto, "sqs", json!({"queue-url": moto.world["fifo"]}));
    all_taken(fifo.deliver(&messages));
    all_taken(fifo.deliver(&messages));
    all_taken(target(&moto, "sns", json!({"topic-arn": moto.world["topic"]})).deliver(&messages));
    all_taken(target(&moto, "eventbridge", json!({})).deliver(&messages));
    let mut hub = target(&moto, "security-hub", json!({}));
    all_taken(hub.deliver(&messages));

    let received = moto.ask();
    let count = |name: &str| received[name].as_array().unwrap().len();
    assert_eq!((count("plain"), count("topic"), count("bus"), count("findings")), (10, 10, 10, 10));
    assert_eq!(count("fifo"), 10, "a queue that takes a key has each once");
    assert_eq!(received["mistakes"], json!([]), "what the model says of findings holds");
    assert_eq!(received["plain"][0]["body"], messages[0].event.body);
    assert_eq!(received["plain"][0]["attributes"]["lestrade-id"]["StringValue"], messages[0].event.id.as_str());
    let of_bus = &received["bus"][0]["body"];
    assert_eq!((of_bus["source"].as_str(), of_bus["detail-type"].as_str()), (Some("lestrade.inspector2"), Some("Inspector2 Finding")));
    assert!(of_bus["detail"]["lestrade"]["id"].as_str().unwrap().starts_with("id-"));

    // A finding closes: it is archived under its own id, and a scan is none.
    assert_eq!(hub.deliver(&[finding(0, "ACTIVE"), finding(0, "CLOSED")]), [Ok(()), Ok(())]);
    let mut scan = finding(1, "ACTIVE");
    scan.event.body["detail-type"] = json!("Inspector2 Scan");
    assert!(matches!(hub.deliver(&[scan])[0], Err(DeliveryError::Refused(_))));
    let received = moto.ask();
    let closed = received["findings"].as_array().unwrap().iter().filter(|finding| finding["RecordState"] == "ARCHIVED").count();
    assert_eq!((closed, &received["mistakes"]), (1, &json!([])));
}

/// Part of a batch is throttled: that part alone is to be tried again.
#[test]
fn what_is_throttled_is_told_from_what_is_refused() {
    let entries = json!({"FailedEntryCount": 2, "Entries": [{"EventId": "1"}, {"ErrorCode": "ThrottlingException"}, {"ErrorCode": "InvalidArgument"}]});
    let server = Responder::start(move |_| Reply::json(200, &entries)).unwrap();
    let sent =
        open("eventbridge", &json!(server.url()), json!({})).deliver(&[finding(0, "ACTIVE"), finding(1, "ACTIVE"), finding(2, "ACTIVE")]);
    assert!(matches!(sent.as_slice(), [Ok(()), Err(DeliveryError::Retry { .. }), Err(DeliveryError::Refused(_))]), "{sent:?}");
    let asked = &server.asked()[0];
    assert_eq!(asked.headers["x-amz-target"], "AWSEvents.PutEvents");
    assert!(asked.headers["authorization"].contains("/eu-west-1/events/aws4_request"));
}

#[test]
fn a_function_is_invoked_without_waiting_for_it() {
    let server = Responder::start(|_| Reply::status(202)).unwrap();
    let mut lambda = open("lambda", &json!(server.url()), json!({"function": "respond:live"}));
    let words = Message { words: Some("not json".into()), ..finding(1, "ACTIVE") };
    assert_eq!(lambda.deliver(&[finding(0, "ACTIVE"), words]), [Ok(()), Ok(())]);
    let asked = server.asked();
    assert_eq!(
        (asked[0].path.as_str(), asked[0].headers["x-amz-invocation-type"].as_str()),
        ("/2015-03-31/functions/respond%3Alive/invocations", "Event")
    );
    assert_eq!((asked[0].json(), asked[1].json()), (finding(0, "ACTIVE").event.body, json!("not json")));
}

#[test]
fn what_is_aws_own_and_what_is_no_name_is_refused() {
    for (kind, options) in
        [("eventbridge", json!({"region": "r", "source": "aws.inspector2"})), ("lambda", json!({"region": "r", "function": "../x"}))]
    {
        let record = TargetRecord::simple("t", kind, options.as_object().unwrap().clone());
        assert!(Kinds::standard().with(kinds()).open(&record, &surroundings()).is_err(), "{kind}");
    }
    let secrets = AwsSecrets {
        egress: EgressPolicy::PublicOnly,
        region: "eu-west-1".into(),
        clock: Arc::new(SystemClock),
        endpoint: None,
        local: Arc::new(LocalSecrets),
    };
    assert!(secrets.resolve("hunter2").is_err_and(|reason| !reason.contains("hunter2")));
}

/// Whether an instance's interface has a group. moto shows those that the instance was launched with beside the interface's own.
fn has_group(moto: &mut lestrade_testkit::Moto, instance: &str, group: &Value) -> bool {
    let described = moto.call("ec2", "describe_instances", json!({"InstanceIds": [instance]})).unwrap();
    let groups = described["Reservations"][0]["Instances"][0]["NetworkInterfaces"][0]["Groups"].clone();
    groups.as_array().unwrap().iter().any(|known| known["GroupId"] == *group)
}

#[test]
fn an_instance_is_isolated_where_that_is_allowed_and_freed_again() {
    let Some(mut moto) = lestrade_testkit::Moto::start().unwrap() else { return lestrade_testkit::missing("moto") };
    let vpc = moto.call("ec2", "describe_vpcs", json!({})).unwrap()["Vpcs"][0]["VpcId"].clone();
    let group = |moto: &mut lestrade_testkit::Moto, name: &str, vpc: &Value| {
        let made = moto.call("ec2", "create_security_group", json!({"GroupName": name, "Description": name, "VpcId": vpc})).unwrap();
        made["GroupId"].clone()
    };
    let (web, quarantine) = (group(&mut moto, "web", &vpc), group(&mut moto, "quarantine", &vpc));
    let rule = json!({"GroupId": web, "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"});
    moto.call("ec2", "authorize_security_group_ingress", rule).unwrap();
    let image = moto.call("ec2", "describe_images", json!({})).unwrap()["Images"][0]["ImageId"].clone();
    let mut launch = |tags: Value| {
        let arguments = json!({"ImageId": image, "MinCount": 1, "MaxCount": 1, "SecurityGroupIds": [web],
            "TagSpecifications": [{"ResourceType": "instance", "Tags": tags}]});
        moto.call("ec2", "run_instances", arguments).unwrap()["Instances"][0]["InstanceId"].as_str().unwrap().to_owned()
    };
    let allowed = json!([{"Key": "isolate", "Value": "yes"}]);
    let (first, second, precious) = (launch(allowed.clone()), launch(allowed), launch(json!([{"Key": "isolate", "Value": "never"}])));
    let of = |instance: &str, status: &str| {
        let mut message = finding(1, status);
        message.event.body["detail"]["resources"] = json!([{"id": instance, "type": "AWS_EC2_INSTANCE"}]);
        message
    };
    let endpoint = json!(moto.endpoint());
    let notes = surroundings();
    let target = |mode: &str, group: &Value| {
        let options = json!({"region": "eu-west-1", "endpoint": endpoint, "group": group, "allow-tags": ["isolate=yes"],
            "role": "arn:aws:iam::123456789012:role/LestradeRespond", "mode": mode, "at-most": 1});
        let record = TargetRecord::simple("t", "isolate-ec2", options.as_object().unwrap().clone());
        Kinds::standard().with(kinds()).open(&record, &notes).unwrap()
    };

    // It says what it would do, until it is told to do it.
    assert_eq!(target("dry-run", &quarantine).deliver(&[of(&first, "ACTIVE")]), [Ok(())]);
    assert!(!has_group(&mut moto, &first, &quarantine));
    assert!(notes.notes.note(&format!("would isolate {first}")).unwrap().is_some());

    let mut isolate = target("isolate", &quarantine);
    let why = |sent: Vec<Sent>| sent[0].clone().unwrap_err().to_string();
    assert!(why(isolate.deliver(&[of(&precious, "ACTIVE")])).contains("tags"));
    assert!(why(target("isolate", &web).deliver(&[of(&first, "ACTIVE")])).contains("lets something in"));
    assert!(why(isolate.deliver(&[finding(1, "ACTIVE")])).contains("not a finding of an instance"));
    assert_eq!(isolate.deliver(&[of(&first, "CLOSED")]), [Ok(())]);
    assert!(!has_group(&mut moto, &first, &quarantine));
    assert_eq!(isolate.deliver(&[of(&first, "ACTIVE"), of(&first, "ACTIVE")]), [Ok(()), Ok(())]);
    assert!(has_group(&mut moto, &first, &quarantine));
    assert!(why(isolate.deliver(&[of(&second, "ACTIVE")])).contains("no more may be at a time"));

    // Whoever opens the target later can still take it back.
    let mut later = target("isolate", &quarantine);
    assert!(later.undo(&second).is_err());
    assert!(later.undo(&first).unwrap().contains(web.as_str().unwrap()));
    assert!(!has_group(&mut moto, &first, &quarantine));
    assert!(later.undo(&first).is_err());
}

/// A finding of an instance, with some packages: name, manager, version that mends it.
fn of_instance(instance: &str, vulnerability: &str, status: &str, packages: &[(&str, &str, &str)]) -> Message {
    let mut message = finding(1, status);
    let detail = &mut message.event.body["detail"];
    detail["resources"] = json!([{"id": instance, "type": "AWS_EC2_INSTANCE"}]);
    detail["packageVulnerabilityDetails"]["vulnerabilityId"] = vulnerability.into();
    let package = |(name, manager, fixed): &(&str, &str, &str)| json!({"name": name, "version": "1", "packageManager": manager, "fixedInVersion": fixed});
    detail["packageVulnerabilityDetails"]["vulnerablePackages"] = packages.iter().map(package).collect();
    message
}

#[test]
fn packages_are_upgraded_once_somebody_approved_and_verified_by_what_closes() {
    let Some(mut moto) = lestrade_testkit::Moto::start().unwrap() else { return lestrade_testkit::missing("moto") };
    let image = moto.call("ec2", "describe_images", json!({})).unwrap()["Images"][0]["ImageId"].clone();
    let mut launch = |tags: Value| {
        let arguments =
            json!({"ImageId": image, "MinCount": 1, "MaxCount": 1, "TagSpecifications": [{"ResourceType": "instance", "Tags": tags}]});
        moto.call("ec2", "run_instances", arguments).unwrap()["Instances"][0]["InstanceId"].as_str().unwrap().to_owned()
    };
    let (web, precious) = (launch(json!([{"Key": "patch", "Value": "yes"}])), launch(json!([{"Key": "patch", "Value": "no"}])));
    let endpoint = json!(moto.endpoint());
    let around = surroundings();
    let open = || {
        let options = json!({"region": "eu-west-1", "endpoint": endpoint, "allow-tags": ["patch=yes"], "role": "arn:aws:iam::123456789012:role/LestradePatch"});
        let record = TargetRecord::simple("t", "patch-ssm", options.as_object().unwrap().clone());
        Kinds::standard().with(kinds()).open(&record, &around).unwrap()
    };
    let sent =
        |moto: &mut lestrade_testkit::Moto| moto.call("ssm", "list_commands", json!({})).unwrap()["Commands"].as_array().unwrap().clone();
    let mut target = open();
    let openssl =
        of_instance(&web, "CVE-2023-1", "ACTIVE", &[("openssl", "OS", "3.0.11"), ("$(reboot)", "OS", "1"), ("requests", "PYTHON", "2.31")]);
    let curl = of_instance(&web, "CVE-2023-2", "ACTIVE", &[("curl", "OS", "8.4"), ("zlib", "OS", "NotAvailable")]);
    assert_eq!(target.deliver(&[openssl.clone(), curl, openssl]), [Ok(()), Ok(()), Ok(())]);
    assert_eq!(target.deliver(&[of_instance(&precious, "CVE-2023-1", "ACTIVE", &[("openssl", "OS", "3.0.11")])]), [Ok(())]);
    let why = |sent: Vec<Sent>| sent[0].clone().unwrap_err().to_string();
    assert!(why(target.deliver(&[of_instance(&web, "CVE-2023-3", "ACTIVE", &[("requests", "PYTHON", "2.31")])])).contains("system's"));
    assert!(why(target.deliver(&[finding(1, "ACTIVE")])).contains("not a finding of an instance"));

    // Proposed, and nothing done.
    let of = |target: &mut Box<dyn Target>, id: &str| target.proposals().unwrap().into_iter().find(|proposal| proposal.resource == id);
    let proposal = of(&mut target, &web).unwrap();
    assert_eq!((proposal.state.as_str(), proposal.what), ("proposed", vec!["curl to 8.4".to_owned(), "openssl to 3.0.11".to_owned()]));
    assert_eq!(sent(&mut moto).len(), 0);

    // Approved where the tags allow it; whoever opens the target later knows.
    assert!(target.approve(&precious).unwrap_err().to_string().contains("tags"));
    assert!(target.approve("i-none").unwrap_err().to_string().contains("nothing is proposed"));
    let mut later = open();
    assert!(later.approve(&web).unwrap().contains("upgrades 2 packages"));
    let commands = sent(&mut moto);
    let script = commands[0]["Parameters"]["commands"][0].as_str().unwrap();
    assert!(commands.len() == 1 && script.contains("force-confold curl openssl\n") && !script.contains("reboot"), "{script}");
    // moto names every instance there.
    assert!(commands[0]["InstanceIds"].as_array().unwrap().contains(&json!(web)));
    let state = of(&mut later, &web).unwrap().state;
    assert_eq!(state, "done, and not yet verified by a look");

    // The next look closes one of the two, then the other: only then is it done with.
    assert_eq!(later.deliver(&[of_instance(&web, "CVE-2023-1", "CLOSED", &[])]), [Ok(())]);
    assert_eq!(of(&mut later, &web).unwrap().closes, ["CVE-2023-2"]);
    assert_eq!(later.deliver(&[of_instance(&web, "CVE-2023-2", "CLOSED", &[])]), [Ok(())]);
    let verified = of(&mut later, &web).unwrap();
    assert_eq!((verified.state.as_str(), verified.closes.len()), ("verified: a look has closed what it was for", 2));
    assert!(later.approve(&web).unwrap_err().to_string().contains("nothing is proposed"));
    // What is mended by others is not what was approved of here; what comes anew is another plan.
    assert_eq!(later.deliver(&[of_instance(&precious, "CVE-2023-1", "CLOSED", &[])]), [Ok(())]);
    assert!(of(&mut later, &precious).is_none());
    assert_eq!(later.deliver(&[of_instance(&web, "CVE-2023-4", "ACTIVE", &[("zlib", "OS", "1.3")])]), [Ok(())]);
    let again = of(&mut later, &web).unwrap();
    assert_eq!((again.state.as_str(), again.what), ("proposed", vec!["zlib to 1.3".to_owned()]));
}

#[test]
fn secrets_are_had_from_secrets_manager() {
    let Some(moto) = Moto::start("moto_targets.py") else { return };
    let secrets = AwsSecrets {
        egress: EgressPolicy::AllowPrivate,
        region: "eu-west-1".into(),
        clock: Arc::new(SystemClock),
        endpoint: moto.world["endpoint"].as_str().map(str::to_owned),
        local: Arc::new(Keys),
    };
    assert_eq!(secrets.resolve("aws:slack-url").unwrap().expose(), "https://hooks.example/T0");
    let missing = secrets.resolve("aws:nothing").unwrap_err();
    assert!(missing.contains("'nothing' cannot be had") && missing.contains("ResourceNotFoundException"), "{missing}");
    assert!(secrets.resolve("env:OTHER").is_err());
}
