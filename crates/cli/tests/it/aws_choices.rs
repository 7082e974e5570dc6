//! What of an estate is watched: which accounts, which repositories, for how long, which versions of functions. moto is AWS.

use crate::aws::{ACCOUNT, LODASH, OPENSSL, REGION, World, coverage, findings, zip};
use crate::lab::{PATIENCE, Serving};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lestrade_testkit::{missing, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::BufRead;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// Until a finding of LODASH in something is in a state, and its coverage has a reason.
fn until_it_is(server: &Serving, id: &str, status: &str, reason: &str) {
    let short = id.rsplit('/').next().unwrap();
    let finding = format!("{status} {short} {LODASH}");
    let covered = format!("{id} PACKAGE {reason}");
    let seen = until(&format!("{finding}, {reason}"), PATIENCE, || {
        (findings(server).contains(&finding) && coverage(server).contains(&covered)).then_some(())
    });
    assert!(seen.is_ok(), "expected {finding} and {covered}, have {:#?} {:#?}; {}", findings(server), coverage(server), server.warnings());
}

/// Published versions are watched where they are asked for, and functions that nobody changed or invoked for long are not, until
/// somebody does; where it may not be asked whether somebody does, all are.
#[test]
fn functions_are_watched_by_version_and_use() {
    let Some(mut world) = World::build() else { return };
    let published = world.moto.call("lambda", "publish_version", json!({"FunctionName": "greet"})).unwrap();
    assert_eq!(published["Version"], "1");
    let code = zip(&world.lab.path(""), "lodash", "4.17.19");
    world.aws.filled().code.insert("greet:1".into(), code);
    let function = |version: &str| format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:greet:{version}");

    let server = world.serve(&["aws-interval=1", "aws-function-versions=all", "aws-agentless=false"]);
    until_it_is(&server, &function("$LATEST"), "ACTIVE", "SUCCESSFUL");
    until_it_is(&server, &function("1"), "ACTIVE", "SUCCESSFUL");

    world.aws.filled().modified.insert("greet".into(), "2020-01-01T00:00:00.000+0000".into());
    until_it_is(&server, &function("$LATEST"), "CLOSED", "SCAN_ELIGIBILITY_EXPIRED");
    until_it_is(&server, &function("1"), "CLOSED", "SCAN_ELIGIBILITY_EXPIRED");
    let asked = world.aws.operations().iter().filter(|operation| *operation == "GetMetricData").count();
    assert!(asked <= 2, "once a day in each account, and not with each of many sweeps: {asked}");
    drop(server);

    // What may not be asked leaves nothing out.
    world.aws.filled().denied = vec!["GetMetricData".into()];
    let server = world.serve(&["aws-interval=1", "aws-function-versions=all", "aws-agentless=false"]);
    until_it_is(&server, &function("1"), "ACTIVE", "SUCCESSFUL");
    assert!(server.warnings().contains("whether functions are invoked is not known"), "{}", server.warnings());
    drop(server);
    world.aws.filled().denied.clear();

    // Somebody invokes it. Its published version is no longer asked for.
    let metric = json!({"Namespace": "AWS/Lambda", "MetricData": [{"MetricName": "Invocations", "Value": 3,
        "Dimensions": [{"Name": "FunctionName", "Value": "greet"}]}]});
    world.moto.call("cloudwatch", "put_metric_data", metric).unwrap();
    let server = world.serve(&["aws-interval=1", "aws-agentless=false"]);
    until_it_is(&server, &function("$LATEST"), "ACTIVE", "SUCCESSFUL");
    until_it_is(&server, &function("1"), "CLOSED", "SCAN_ELIGIBILITY_EXPIRED");
}

/// How long images are watched is set by clients of the API; whether at all, by the rules of the registry and by our own.
#[test]
fn images_are_watched_by_rule_and_age() {
    let Some(mut world) = World::build() else { return };
    let image = format!("arn:aws:ecr:{REGION}:{ACCOUNT}:repository/shop/web/{}", world.image);
    let settings = ["aws-interval=1", "aws-agentless=false", "aws-registry-rules=true", "aws-repositories=shop/*,!*/scratch"];
    let server = world.serve(&settings);
    until_it_is(&server, &image, "ACTIVE", "SUCCESSFUL");
    let configure = |ecr: Value| {
        // It answers nothing, which is no JSON.
        let _ = server.aws(&["--region", REGION, "update-configuration", "--ecr-configuration", &ecr.to_string()]);
        server.aws(&["--region", REGION, "get-configuration"]).unwrap()["ecrConfiguration"]["rescanDurationState"].clone()
    };

    // Pushed two months ago, and it runs nowhere.
    world.aws.filled().pushed = Some((now() - 60 * DAY, Some(now() - DAY)));
    let set = configure(json!({"rescanDuration": "DAYS_30"}));
    assert_eq!((&set["rescanDuration"], &set["status"]), (&json!("DAYS_30"), &json!("SUCCESS")));
    until_it_is(&server, &image, "CLOSED", "SCAN_ELIGIBILITY_EXPIRED");
    // It was pulled yesterday.
    configure(json!({"rescanDuration": "DAYS_30", "pullDateRescanDuration": "DAYS_14", "pullDateRescanMode": "LAST_PULL_DATE"}));
    until_it_is(&server, &image, "ACTIVE", "SUCCESSFUL");
    let pulled = json!({"imagePulledAt": [{"startInclusive": now() - 2 * DAY}]}).to_string();
    let covered = server.aws(&["--region", REGION, "list-coverage", "--filter-criteria", &pulled]).unwrap();
    assert_eq!(covered["coveredResources"][0]["resourceId"], image.as_str(), "{covered}");
    world.aws.filled().pushed = Some((now() - 60 * DAY, Some(now() - 20 * DAY)));
    until_it_is(&server, &image, "CLOSED", "SCAN_ELIGIBILITY_EXPIRED");
    configure(json!({"rescanDuration": "LIFETIME"}));
    until_it_is(&server, &image, "ACTIVE", "SUCCESSFUL");

    let mut rule = |frequency: &str, filter: &str| {
        let rules = json!([{"scanFrequency": frequency, "repositoryFilters": [{"filter": filter, "filterType": "WILDCARD"}]}]);
        let configuration = json!({"scanType": "ENHANCED", "rules": rules});
        world.moto.call("ecr", "put_registry_scanning_configuration", configuration).unwrap();
    };
    rule("CONTINUOUS_SCAN", "other-*");
    until_it_is(&server, &image, "CLOSED", "SCAN_FREQUENCY_MANUAL");
    rule("SCAN_ON_PUSH", "shop*");
    until_it_is(&server, &image, "ACTIVE", "SUCCESSFUL");
    // Whether it is still wanted is not known: nothing is closed.
    world.aws.filled().denied = vec!["GetRegistryScanningConfiguration".into()];
    let seen = || server.warnings().contains("GetRegistryScanningConfiguration");
    until("that it is refused is told", PATIENCE, || seen().then_some(())).unwrap();
    until_it_is(&server, &image, "ACTIVE", "SUCCESSFUL");
    drop(server);

    let server = world.serve(&["aws-interval=1", "aws-agentless=false", "aws-repositories=!shop/w*"]);
    until_it_is(&server, &image, "CLOSED", "SCAN_FREQUENCY_MANUAL");
}

/// What its tag excludes is left alone, its network too, until the tag is gone; what was found in an instance that is stopped stands.
#[test]
fn what_is_tagged_is_left_alone_and_what_is_stopped_stands() {
    let Some(mut world) = World::build() else { return };
    let managed = world.instances[0].clone();
    let function = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:greet:$LATEST");
    let queue = format!("aws-queue={}", world.queue.replace(world.moto.endpoint(), &world.aws.url()));
    let server = world.serve(&[&queue, "aws-interval=1", "aws-agentless=false"]);
    let until_instance = |status: &str, reason: &str| {
        let expected = [OPENSSL, "22-22"].map(|what| format!("{status} {managed} {what}"));
        let covered = format!("{managed} PACKAGE {reason}");
        let seen = until(&format!("{expected:?}, {reason}"), PATIENCE, || {
            let found = findings(&server);
            (expected.iter().all(|row| found.contains(row)) && coverage(&server).contains(&covered)).then_some(())
        });
        assert!(seen.is_ok(), "expected {expected:?} and {covered}, have {:#?} {:#?}", findings(&server), coverage(&server));
    };
    until_instance("ACTIVE", "SUCCESSFUL");
    world.moto.call("ec2", "stop_instances", json!({"InstanceIds": [managed]})).unwrap();
    until_instance("ACTIVE", "EC2_INSTANCE_STOPPED");
    world.moto.call("ec2", "start_instances", json!({"InstanceIds": [managed]})).unwrap();
    until_instance("ACTIVE", "SUCCESSFUL");

    let tags = json!({"Resources": [managed], "Tags": [{"Key": "InspectorEc2Exclusion", "Value": ""}]});
    world.moto.call("ec2", "create_tags", tags.clone()).unwrap();
    until_instance("CLOSED", "EXCLUDED_BY_TAG");
    // Also when its network is described again.
    let swept = |world: &World| world.aws.operations().iter().filter(|operation| *operation == "DescribeSecurityGroups").count();
    let before = swept(&world);
    until("its network was described again", PATIENCE, || (swept(&world) >= before + 4).then_some(())).unwrap();
    until_instance("CLOSED", "EXCLUDED_BY_TAG");
    world.moto.call("ec2", "delete_tags", tags).unwrap();
    until_instance("ACTIVE", "SUCCESSFUL");

    let arn = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:greet");
    let called = |name: &str| json!({"eventSource": "lambda.amazonaws.com", "eventName": name, "requestParameters": {"resource": arn}});
    let tagged = json!({"Resource": arn, "Tags": {"InspectorExclusion": "LambdaStandardScanning"}});
    world.moto.call("lambda", "tag_resource", tagged).unwrap();
    world.tell("aws.lambda", "AWS API Call via CloudTrail", called("TagResource20170331v2"));
    until_it_is(&server, &function, "CLOSED", "EXCLUDED_BY_TAG");
    world.moto.call("lambda", "untag_resource", json!({"Resource": arn, "TagKeys": ["InspectorExclusion"]})).unwrap();
    world.tell("aws.lambda", "AWS API Call via CloudTrail", called("UntagResource20170331v2"));
    until_it_is(&server, &function, "ACTIVE", "SUCCESSFUL");
}

/// Every region that is named is watched, in every account; what is in it is told where it is asked for.
#[test]
fn every_region_that_is_named_is_watched() {
    let Some(mut world) = World::build() else { return };
    let elsewhere = "us-east-1";
    let image = world.moto.call_at(elsewhere, "ec2", "describe_images", json!({})).unwrap()["Images"][0]["ImageId"].clone();
    let run = json!({"ImageId": image, "MinCount": 1, "MaxCount": 1});
    let run = world.moto.call_at(elsewhere, "ec2", "run_instances", run).unwrap();
    let there = run["Instances"][0]["InstanceId"].as_str().unwrap().to_owned();
    let server = world.serve(&[&format!("aws-regions={REGION},{elsewhere}"), "aws-agentless=false"]);
    let covered = |region: &str| {
        let listed = server.aws(&["--region", region, "list-coverage"]).unwrap();
        let rows = listed["coveredResources"].as_array().unwrap().iter();
        rows.map(|row| row["resourceId"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    until("both regions are watched", PATIENCE, || {
        let here = covered(REGION);
        let both = world.instances.iter().all(|id| here.contains(id)) && !here.contains(&there);
        (both && covered(elsewhere) == BTreeSet::from([there.clone()])).then_some(())
    })
    .unwrap_or_else(|_| panic!("{:?} {:?}; {}", covered(REGION), covered(elsewhere), server.warnings()));
}

/// Every account of the organisation is entered, also one that comes later; one that is suspended is not.
#[test]
fn the_accounts_of_an_organisation_are_found() {
    let Some(mut world) = World::build() else { return };
    world.moto.call("organizations", "create_organization", json!({})).unwrap();
    let account = |world: &mut World, name: &str| {
        let account = json!({"AccountName": name, "Email": format!("{name}@example.com")});
        let created = world.moto.call("organizations", "create_account", account).unwrap();
        created["CreateAccountStatus"]["AccountId"].as_str().unwrap().to_owned()
    };
    let shop = account(&mut world, "shop");
    let gone = account(&mut world, "gone");
    world.moto.call("organizations", "close_account", json!({"AccountId": gone})).unwrap();
    let instance = world.launch(Some(&shop), false);
    world.launch(Some(&gone), false);

    let settings = ["aws-organization=true", "aws-accounts=", "aws-role=Lestrade-{account}", "aws-interval=1", "aws-agentless=false"];
    let server = world.serve(&settings);
    let until_covered = |id: &str| {
        let row = format!("{id} PACKAGE UNMANAGED_EC2_INSTANCE");
        let seen = until(&row, PATIENCE, || coverage(&server).contains(&row).then_some(()));
        assert!(seen.is_ok(), "{row} in {:#?}; {}", coverage(&server), server.warnings());
    };
    until_covered(&instance);
    let later = account(&mut world, "later");
    let its = world.launch(Some(&later), false);
    until_covered(&its);
    let accounts = |server: &Serving| {
        let listed = server.aws(&["--region", REGION, "list-coverage"]).unwrap();
        listed["coveredResources"].as_array().unwrap().iter().map(|row| row["accountId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(!accounts(&server).contains(&gone), "a suspended account is not entered");

    // That the list does not come leaves what is known, and those who were entered are still watched.
    world.aws.filled().denied = vec!["ListAccounts".into()];
    until("that it is refused is told", PATIENCE, || server.warnings().contains("are not all known").then_some(())).unwrap();
    let another = world.launch(Some(&shop), false);
    until_covered(&another);
    assert!(accounts(&server).contains(&later));
    drop(server);

    let doctor = |world: &World| {
        let arguments = ["doctor", "--aws", "--set", "aws-organization=true", "--set", "aws-role=Lestrade-{account}"];
        let output = world.lab.lestrade().envs(world.environment()).args(arguments).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    };
    let (said, code) = doctor(&world);
    assert!(code == Some(4) && said.contains("! FAILED  accounts of the organisation") && said.contains("ListAccounts"), "{code:?} {said}");
    world.aws.filled().denied.clear();
    let (said, code) = doctor(&world);
    assert!(code == Some(0) && said.contains(&format!("account {later} in {REGION}")) && !said.contains(&gone), "{code:?} {said}");
}

/// A task that starts is told by an event: its image is in use within the moment, and watched again where it was let go.
#[test]
fn tasks_that_start_and_end_are_followed() {
    let Some(mut world) = World::build() else { return };
    let name = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/web:one");
    let image = format!("arn:aws:ecr:{REGION}:{ACCOUNT}:repository/shop/web/{}", world.image);
    world.aws.filled().running.insert(name.clone(), world.image.clone());
    world.aws.filled().pushed = Some((now() - 60 * DAY, None));
    let cluster = world.moto.call("ecs", "create_cluster", json!({"clusterName": "shop"})).unwrap()["cluster"]["clusterArn"].clone();
    let containers = json!([{"name": "web", "image": name, "memory": 64}]);
    world.moto.call("ecs", "register_task_definition", json!({"family": "web", "containerDefinitions": containers})).unwrap();

    let queue = format!("aws-queue={}", world.queue.replace(world.moto.endpoint(), &world.aws.url()));
    let server = world.serve(&[&queue, "aws-agentless=false", "image-push-days=30"]);
    let reason = format!("{image} PACKAGE SCAN_ELIGIBILITY_EXPIRED");
    until("it is too old", PATIENCE, || coverage(&server).contains(&reason).then_some(())).unwrap();
    assert!(!findings(&server).iter().any(|finding| finding.contains(&world.image)), "what is not watched is not read");

    let run = json!({"cluster": "shop", "taskDefinition": "web", "launchType": "FARGATE", "count": 2});
    let tasks = world.moto.call("ecs", "run_task", run).unwrap()["tasks"].clone();
    let event = |status: &str| json!({"clusterArn": cluster, "lastStatus": status, "containers": [{"imageDigest": "sha256:lie"}]});
    // As often as there are tasks and states; from another account, and of a cluster that is none.
    for _ in 0..5 {
        world.tell("aws.ecs", "ECS Task State Change", event("RUNNING"));
    }
    world.tell("aws.ecs", "ECS Task State Change", json!({"clusterArn": "arn:aws:ecs:nowhere"}));
    until_it_is(&server, &image, "ACTIVE", "SUCCESSFUL");
    let uses = || {
        let listed = server.aws(&["--region", REGION, "list-coverage"]).unwrap();
        let row = listed["coveredResources"].as_array().unwrap().iter().find(|row| row["resourceId"] == image.as_str()).cloned();
        row.map(|row| row["resourceMetadata"]["ecrImage"]["inUseCount"].clone()).unwrap_or_default()
    };
    until("both run", PATIENCE, || (uses() == 2).then_some(())).unwrap();
    for task in tasks.as_array().unwrap() {
        world.moto.call("ecs", "stop_task", json!({"cluster": "shop", "task": task["taskArn"]})).unwrap();
    }
    world.tell("aws.ecs", "ECS Task State Change", event("STOPPED"));
    until("none runs", PATIENCE, || (uses() == 0).then_some(())).unwrap();
    // It ran a moment ago.
    until_it_is(&server, &image, "ACTIVE", "SUCCESSFUL");
}

/// What pods of EKS run is in use: their API server is asked, whose certificate is that of its own authority, with a token that it can
/// verify. Where it does not let us in, what it said last stands.
#[test]
fn what_pods_run_is_in_use() {
    let Some(mut world) = World::build() else { return };
    let lab = &world.lab;
    let openssl = |arguments: &[&str], key: &str, certificate: &str| {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(arguments)
            .args(["-keyout".into(), lab.path(key), "-out".into(), lab.path(certificate)])
            .current_dir(lab.path(""))
            .output();
        made.is_ok_and(|made| made.status.success())
    };
    // As clusters have it: an authority of its own, and what it vouches for.
    let its = ["-subj", "/CN=api", "-CA", "authority.pem", "-CAkey", "authority-key.pem", "-addext", "basicConstraints=critical,CA:FALSE"];
    let its = [its.as_slice(), &["-addext", "subjectAltName=IP:127.0.0.1"]].concat();
    if !openssl(&["-subj", "/CN=authority"], "authority-key.pem", "authority.pem") || !openssl(&its, "api-key.pem", "api-cert.pem") {
        return missing("openssl");
    }
    let name = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/web@{}", world.image);
    let pod =
        |image: &str, state: &str| json!({"kind": "Pod", "status": {"containerStatuses": [{"imageID": image, "state": {state: {}}}]}});
    let pods = |count: usize| {
        let running = (0..count).map(|_| pod(&name, "running"));
        let others = [pod(&name, "waiting"), pod("registry.k8s.io/pause@sha256:0", "running"), json!({"kind": "Pod"})];
        world.lab.write("pods.json", Value::from_iter(running.chain(others)).to_string());
    };
    pods(4);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testkit/python/kubernetes_api.py");
    let files = ["api-cert.pem", "api-key.pem", "pods.json"].map(|name| lab.path(name));
    let mut api = Command::new("python3").arg(script).args(files).arg("secret-of-the-account").stdout(Stdio::piped()).spawn().unwrap();
    let mut port = String::new();
    std::io::BufReader::new(api.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let ends = Ends(api);

    let authority = STANDARD.encode(std::fs::read(lab.path("authority.pem")).unwrap());
    world.aws.filled().kubernetes = Some((format!("https://127.0.0.1:{}", port.trim()), authority));
    let cluster = json!({"name": "shop", "roleArn": "arn:aws:iam::123456789012:role/eks", "resourcesVpcConfig": {}});
    let arn = world.moto.call("eks", "create_cluster", cluster).unwrap()["cluster"]["arn"].clone();
    let image = format!("arn:aws:ecr:{REGION}:{ACCOUNT}:repository/shop/web/{}", world.image);
    let until_in_use = |server: &Serving, count: u32| {
        let uses = || {
            let listed = server.aws(&["--region", REGION, "list-coverage"]).unwrap();
            let row = listed["coveredResources"].as_array().unwrap().iter().find(|row| row["resourceId"] == image.as_str()).cloned();
            row.map(|row| row["resourceMetadata"]["ecrImage"]["inUseCount"].clone()).unwrap_or_default()
        };
        let seen = until("it is in use", PATIENCE, || (uses() == count).then_some(()));
        assert!(seen.is_ok(), "{count}: {}; the server said: {}", uses(), server.warnings());
    };
    let server = world.serve(&["aws-interval=1", "aws-agentless=false"]);
    until_in_use(&server, 4);
    let filter = json!({"resourceId": image}).to_string();
    let clusters = server.aws(&["--region", REGION, "get-clusters-for-image", "--filter", &filter]).unwrap();
    let cluster = &clusters["cluster"][0];
    assert_eq!((&cluster["clusterArn"], &cluster["clusterDetails"][0]["runningUnitCount"]), (&arn, &json!(4)), "{clusters}");
    pods(1);
    until_in_use(&server, 1);
    drop(ends);
    until("it is told that it cannot be asked", PATIENCE, || server.warnings().contains("what it said last stands").then_some(())).unwrap();
    until_in_use(&server, 1);
    world.moto.call("eks", "delete_cluster", json!({"name": "shop"})).unwrap();
    until_in_use(&server, 0);
}

/// A process that ends with this.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A machine image is watched while instances use it or somebody launches it, and not when it is old; one that is gone is gone.
#[test]
fn machine_images_that_are_used_or_new_are_watched() {
    let Some(mut world) = World::build() else { return };
    let unmanaged = world.instances[1].clone();
    let made = |world: &mut World, name: &str| {
        let image = json!({"InstanceId": unmanaged, "Name": name});
        world.moto.call("ec2", "create_image", image).unwrap()["ImageId"].as_str().unwrap().to_owned()
    };
    let (new, gone) = (made(&mut world, "new"), made(&mut world, "gone"));
    let settings = ["aws-interval=1", "aws-gone-after=0", "aws-run-command=false"];
    let row = |id: &str, reason: &str| format!("{id} PACKAGE {reason}");
    let until_covered = |server: &Serving, row: String| {
        let seen = until(&row, PATIENCE, || coverage(server).contains(&row).then_some(()));
        assert!(seen.is_ok(), "{row} in {:#?}; {}", coverage(server), server.warnings());
    };
    // Snapshots whose blocks may not be read.
    world.aws.filled().denied = vec!["ListSnapshotBlocks".into()];
    let server = world.serve(&settings);
    until_covered(&server, row(&new, "ACCESS_DENIED"));
    until_covered(&server, row(&gone, "ACCESS_DENIED"));
    world.moto.call("ec2", "deregister_image", json!({"ImageId": gone})).unwrap();
    until_covered(&server, row(&gone, "RESOURCE_TERMINATED"));

    // Nobody used it for long, until somebody does.
    world.aws.filled().machine_images_made = Some("2020-01-01T00:00:00.000Z".into());
    until_covered(&server, row(&new, "SCAN_ELIGIBILITY_EXPIRED"));
    world.moto.call("ec2", "run_instances", json!({"ImageId": new, "MinCount": 1, "MaxCount": 1})).unwrap();
    until_covered(&server, row(&new, "ACCESS_DENIED"));
}

/// Where SSM may not be asked, what a resource data sync wrote to its bucket is read: of the instance that the object's place names. A
/// new object is told by an event.
#[test]
fn what_a_data_sync_wrote_is_read() {
    let Some(mut world) = World::build() else { return };
    let managed = world.instances[0].clone();
    let place =
        |kind: &str| format!("sync/AWS:{kind}/accountid={ACCOUNT}/region={REGION}/resourcetype=ManagedInstanceInventory/{managed}.json");
    let location = json!({"LocationConstraint": REGION});
    world.moto.call("s3", "create_bucket", json!({"Bucket": "inventories", "CreateBucketConfiguration": location})).unwrap();
    let put = |world: &mut World, kind: &str, line: Value| {
        let object = json!({"Bucket": "inventories", "Key": place(kind), "Body": format!("{line}\n")});
        world.moto.call("s3", "put_object", object).unwrap();
    };
    let package =
        |version: &str| json!({"Name": "openssl-libs", "Version": "3.0.7", "Epoch": "1", "Release": version, "resourceId": managed});
    put(&mut world, "Application", package("27.el9"));
    put(&mut world, "InstanceInformation", json!({"PlatformName": "AlmaLinux", "PlatformVersion": "9.4", "resourceId": managed}));
    world.aws.filled().denied = ["DescribeInstanceInformation", "ListInventoryEntries", "SendCommand"].map(str::to_owned).to_vec();
    let queue = format!("aws-queue={}", world.queue.replace(world.moto.endpoint(), &world.aws.url()));
    let server = world.serve(&[&queue, "aws-agentless=false", "aws-inventory-bucket=s3://inventories/sync"]);
    let until_openssl = |status: &str| {
        let finding = format!("{status} {managed} {OPENSSL}");
        let seen = until(&finding, PATIENCE, || findings(&server).contains(&finding).then_some(()));
        assert!(seen.is_ok(), "{finding} in {:#?}; {}", findings(&server), server.warnings());
    };
    until_openssl("ACTIVE");
    assert!(coverage(&server).contains(&format!("{managed} PACKAGE SUCCESSFUL")));
    put(&mut world, "Application", package("28.el9_4"));
    world.tell("aws.s3", "Object Created", json!({"bucket": {"name": "inventories"}, "object": {"key": place("Application")}}));
    until_openssl("CLOSED");
    drop(server);
    let wrong = world.lab.transcript(&["serve", "--set", "aws-inventory-bucket=inventories"]);
    assert!(wrong.contains("E0241"), "{wrong}");
}
