//! `serve` with credentials and nothing else: an estate on AWS is found, read, matched and followed. moto is AWS; what moto lacks
//! is filled over the same wire; Debian's registry holds the layers.

use crate::lab::{Lab, PATIENCE, Serving, fixture, has_aws};
use lestrade_testkit::{Layer, Moto, Registry, TestImage, missing, until};
use lestrade_testkit_aws::AwsStandIn;
use serde_json::{Value, json};
use std::path::Path;

pub(crate) const ACCOUNT: &str = "123456789012";
const MEMBER: &str = "222222222222";
pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const LODASH: &str = "CVE-2021-23337";
pub(crate) const OPENSSL: &str = "CVE-2024-7777";

/// An advisory of AlmaLinux, and lodash's.
fn intelligence(lab: &Lab) {
    let record = json!({"id": "ALSA-2024:7777", "modified": "2026-01-01T00:00:00Z", "related": [], "upstream": [OPENSSL], "aliases": [OPENSSL],
        "summary": "openssl is vulnerable",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [{"package": {"ecosystem": "AlmaLinux:9", "name": "openssl-libs"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1:3.0.7-28.el9_4"}]}]}]});
    let file = lab.path("openssl.json");
    std::fs::write(&file, record.to_string()).unwrap();
    for file in [file, fixture("lodash.json")] {
        let output = lab.run(&["db", "import", file.to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A zip of one package of Node.js.
pub(crate) fn zip(folder: &Path, name: &str, version: &str) -> Vec<u8> {
    let file = folder.join(format!("{name}.zip"));
    let script = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as z:\n z.writestr(sys.argv[2], sys.argv[3])";
    let path = format!("node_modules/{name}/package.json");
    let text = json!({"name": name, "version": version}).to_string();
    let made = std::process::Command::new("python3").args(["-c", script]).arg(&file).args([&path, &text]).status().unwrap();
    assert!(made.success());
    std::fs::read(file).unwrap()
}

/// What there is of AWS.
pub(crate) struct World {
    pub(crate) lab: Lab,
    pub(crate) moto: Moto,
    pub(crate) aws: AwsStandIn,
    registry: Registry,
    group: String,
    /// One that SSM manages and one that it does not, and one of another account.
    pub(crate) instances: [String; 3],
    pub(crate) queue: String,
    /// The digest of the image that is there from the beginning.
    pub(crate) image: String,
}

impl World {
    /// None where something that it is built of is not installed, which is told.
    pub(crate) fn build() -> Option<Self> {
        let Some(registry) = Registry::start().unwrap() else {
            missing("docker-registry");
            return None;
        };
        let Some(mut moto) = Moto::start().unwrap() else {
            missing("python3 with moto[server] and boto3");
            return None;
        };
        if !has_aws() {
            missing("the AWS CLI");
            return None;
        }
        let aws = AwsStandIn::start(moto.endpoint()).unwrap();
        let lab = Lab::new();
        intelligence(&lab);
        aws.filled().registry = registry.host();

        let vpc = moto.call("ec2", "describe_vpcs", json!({})).unwrap()["Vpcs"][0]["VpcId"].clone();
        let gateway = moto.call("ec2", "create_internet_gateway", json!({})).unwrap()["InternetGateway"]["InternetGatewayId"].clone();
        moto.call("ec2", "attach_internet_gateway", json!({"InternetGatewayId": gateway, "VpcId": vpc})).unwrap();
        let tables = moto.call("ec2", "describe_route_tables", json!({"Filters": [{"Name": "vpc-id", "Values": [vpc]}]})).unwrap();
        let route =
            json!({"RouteTableId": tables["RouteTables"][0]["RouteTableId"], "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway});
        moto.call("ec2", "create_route", route).unwrap();
        let group = moto.call("ec2", "create_security_group", json!({"GroupName": "web", "Description": "web", "VpcId": vpc})).unwrap();
        let group = group["GroupId"].as_str().unwrap().to_owned();
        let mut world = Self { lab, moto, aws, registry, group, instances: Default::default(), queue: String::new(), image: String::new() };
        world.open(22);
        world.instances = [world.launch(None, true), world.launch(None, false), world.launch(Some(MEMBER), false)];
        let address = world.moto.call("ec2", "allocate_address", json!({"Domain": "vpc"})).unwrap();
        let associate = json!({"AllocationId": address["AllocationId"], "InstanceId": world.instances[0]});
        world.moto.call("ec2", "associate_address", associate).unwrap();
        world.manage("1:3.0.7", "27.el9");
        world.image = world.push("one", "4.17.20");
        world.create_function();
        world.queue =
            world.moto.call("sqs", "create_queue", json!({"QueueName": "lestrade"})).unwrap()["QueueUrl"].as_str().unwrap().into();
        Some(world)
    }

    /// Launches an instance, in the group that is open or in the one that is not.
    pub(crate) fn launch(&mut self, account: Option<&str>, open: bool) -> String {
        let images = self.moto.call_in(account, "ec2", "describe_images", json!({})).unwrap();
        let mut arguments = json!({"ImageId": images["Images"][0]["ImageId"], "MinCount": 1, "MaxCount": 1,
            "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "team", "Value": "blue"}]}]});
        if open {
            arguments["SecurityGroupIds"] = json!([self.group]);
        }
        let run = self.moto.call_in(account, "ec2", "run_instances", arguments).unwrap();
        run["Instances"][0]["InstanceId"].as_str().unwrap().to_owned()
    }

    fn open(&mut self, port: u16) {
        let rule = json!({"GroupId": self.group, "IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIp": "0.0.0.0/0"});
        self.moto.call("ec2", "authorize_security_group_ingress", rule).unwrap();
    }

    /// The first instance tells SSM which openssl it has.
    fn manage(&self, version: &str, release: &str) {
        let id = &self.instances[0];
        let information = json!({"InstanceId": id, "PingStatus": "Online", "PlatformName": "AlmaLinux", "PlatformVersion": "9.4"});
        let mut entries = vec![json!({"Name": "openssl-libs", "Version": version, "Release": release, "Architecture": "x86_64",
            "PackageId": "openssl-3.0.7-27.el9.src.rpm"})];
        // More than a page.
        entries.extend((0..60).map(|i| json!({"Name": format!("filler{i}"), "Version": "1", "Release": "1.el9"})));
        self.aws.filled().managed.insert(id.clone(), (information, entries));
    }

    /// Pushes an image with a version of lodash, to the registry and to ECR.
    pub(crate) fn push(&mut self, tag: &str, lodash: &str) -> String {
        let text = json!({"name": "lodash", "version": lodash}).to_string();
        let layer = Layer::of_files(&[("app/node_modules/lodash/package.json", &text)]).unwrap();
        let image = TestImage::new(vec![layer]).unwrap();
        self.registry.push(&image, "shop/web", tag).unwrap();
        let _ = self.moto.call("ecr", "create_repository", json!({"repositoryName": "shop/web"}));
        let put = json!({"repositoryName": "shop/web", "imageManifest": image.manifest(), "imageTag": tag,
            "imageDigest": image.digest()});
        let put = self.moto.call("ecr", "put_image", put).unwrap();
        assert_eq!(put["image"]["imageId"]["imageDigest"], image.digest().as_str(), "both name it alike");
        image.digest()
    }

    fn create_function(&mut self) {
        let policy = json!({"RoleName": "run", "AssumeRolePolicyDocument": "{}"});
        let role = self.moto.call("iam", "create_role", policy).unwrap()["Role"]["Arn"].clone();
        self.code("4.17.20");
        let function = json!({"FunctionName": "greet", "Runtime": "nodejs22.x", "Role": role, "Handler": "main.handler",
            "Code": {"ZipFile": {"base64": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="}}, "Environment": {"Variables": {"TOKEN": "a-secret-of-theirs"}}});
        self.moto.call("lambda", "create_function", function).unwrap();
    }

    pub(crate) fn code(&self, lodash: &str) {
        let code = zip(&self.lab.path(""), "lodash", lodash);
        self.aws.filled().code.insert("greet".into(), code);
    }

    /// An event as AWS sends it.
    pub(crate) fn tell(&mut self, source: &str, kind: &str, detail: Value) {
        let event = json!({"version": "0", "account": ACCOUNT, "region": REGION, "source": source, "detail-type": kind, "detail": detail});
        let message = json!({"QueueUrl": self.queue, "MessageBody": event.to_string()});
        self.moto.call("sqs", "send_message", message).unwrap();
    }

    pub(crate) fn serve(&self, settings: &[&str]) -> Serving {
        let mut all = vec!["aws=on".to_owned(), format!("aws-accounts={MEMBER}")];
        all.extend(settings.iter().map(|setting| (*setting).to_owned()));
        Serving::start_in(&self.lab, &all, &[], &self.environment()).unwrap()
    }

    /// Credentials, and nothing else.
    pub(crate) fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", self.aws.url()),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret-of-the-account".to_owned()),
            ("AWS_REGION", REGION.to_owned()),
        ]
    }
}

/// Findings as `status resource what`, in order.
pub(crate) fn findings(server: &Serving) -> Vec<String> {
    let listed = server.aws(&["--region", REGION, "list-findings"]).unwrap();
    let describe = |finding: &Value| {
        let network = &finding["networkReachabilityDetails"]["openPortRange"];
        let what = match finding["packageVulnerabilityDetails"]["vulnerabilityId"].as_str() {
            Some(id) => id.to_owned(),
            None => format!("{}-{}", network["begin"], network["end"]),
        };
        let id = finding["resources"][0]["id"].as_str().unwrap_or("?");
        format!("{} {} {what}", finding["status"].as_str().unwrap_or("?"), id.rsplit('/').next().unwrap_or("?"))
    };
    let mut all: Vec<String> = listed["findings"].as_array().into_iter().flatten().map(describe).collect();
    all.sort();
    all
}

fn sorted(mut all: Vec<String>) -> Vec<String> {
    all.sort();
    all
}

fn until_findings(server: &Serving, expected: Vec<String>) {
    let expected = sorted(expected);
    let mut last = Vec::new();
    let seen = until("the findings are as expected", PATIENCE, || {
        last = findings(server);
        (last == expected).then_some(())
    });
    assert!(seen.is_ok(), "expected {expected:#?}, have {last:#?}; the server said: {}", server.warnings());
}

/// Coverage as `resource kind reason`, in order.
pub(crate) fn coverage(server: &Serving) -> Vec<String> {
    let listed = server.aws(&["--region", REGION, "list-coverage"]).unwrap();
    let describe = |row: &Value| {
        let text = |pointer: &str| row.pointer(pointer).and_then(Value::as_str).unwrap_or("?").to_owned();
        format!("{} {} {}", text("/resourceId"), text("/scanType"), text("/scanStatus/reason"))
    };
    let mut all: Vec<String> = listed["coveredResources"].as_array().into_iter().flatten().map(describe).collect();
    all.sort();
    all
}

/// Counts and filters by what instances and functions are.
fn the_estate_is_counted_and_filtered(server: &Serving, managed: &str) {
    let counted = |kind: &str| {
        let answer = server.aws(&["--region", REGION, "list-finding-aggregations", "--aggregation-type", kind]).unwrap();
        answer["responses"].clone()
    };
    let instance = &counted("AWS_EC2_INSTANCE")[0]["ec2InstanceAggregation"];
    assert_eq!((instance["instanceId"].as_str(), instance["networkFindings"].as_i64()), (Some(managed), Some(1)), "{instance}");
    assert_eq!(instance["severityCounts"]["all"], 2);
    let image = &counted("AMI")[0]["amiAggregation"];
    assert_eq!((image["ami"].as_str(), image["affectedInstances"].as_i64()), (instance["ami"].as_str(), Some(1)));
    assert_eq!(counted("AWS_LAMBDA_FUNCTION")[0]["lambdaFunctionAggregation"]["functionName"], "greet");
    let kinds = |filter: Value| {
        let listed = server.aws(&["--region", REGION, "list-findings", "--filter-criteria", &filter.to_string()]).unwrap();
        listed["findings"].as_array().unwrap().iter().map(|finding| finding["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let equals = |value: &str| json!([{"comparison": "EQUALS", "value": value}]);
    for (filter, expected) in [
        (json!({"findingType": equals("NETWORK_REACHABILITY")}), vec!["NETWORK_REACHABILITY"]),
        (json!({"networkProtocol": equals("TCP")}), vec!["NETWORK_REACHABILITY"]),
        (json!({"portRange": [{"beginInclusive": 20, "endInclusive": 25}]}), vec!["NETWORK_REACHABILITY"]),
        (json!({"portRange": [{"beginInclusive": 80, "endInclusive": 90}]}), vec![]),
        (json!({"componentType": equals("AWS::EC2::InternetGateway")}), vec!["NETWORK_REACHABILITY"]),
        (json!({"lambdaFunctionRuntime": equals("nodejs22.x")}), vec!["PACKAGE_VULNERABILITY"]),
        (json!({"ec2InstanceImageId": equals("ami-none")}), vec![]),
    ] {
        assert_eq!(kinds(filter.clone()), expected, "{filter}");
    }
}

/// A path as a person reads it: from the edge of the network to the instance, and what the risk is made of.
fn the_commands_show_the_path(lab: &Lab, managed: &str) {
    let listed: Value = serde_json::from_slice(&lab.run(&["findings", "--resource", managed, "--json"]).stdout).unwrap();
    let all = listed["findings"].as_array().unwrap();
    assert!(all.iter().all(|finding| finding["exposure"] == "internet"), "{listed:#}");
    let path = all.iter().find(|finding| finding["type"] == "NETWORK_REACHABILITY").unwrap();
    let said = String::from_utf8(lab.run(&["findings", path["id"].as_str().unwrap()]).stdout).unwrap();
    for part in ["Port 22 is reachable from an Internet Gateway", "igw-", " > sg-", managed, "exposure 0.90 (internet)", "Security Groups"]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
}

/// What is accepted at the server's own command line is accepted wherever it is found.
fn rules_of_the_server_hide_in_every_account(lab: &Lab, server: &Serving) {
    let accept =
        ["suppress", "create", "accepted", "--vulnerability", OPENSSL, "--reason", "tested", "--owner", "me", "--expires", "2099-01-01"];
    let output = lab.run(&accept);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let hidden = |server: &Serving| findings(server).iter().any(|finding| finding.starts_with("SUPPRESSED") && finding.ends_with(OPENSSL));
    assert!(hidden(server), "{:?}", findings(server));
    assert!(lab.run(&["suppress", "remove", "accepted"]).status.success());
    assert!(!hidden(server));
}

#[test]
fn an_estate_is_found_and_followed() {
    let Some(mut world) = World::build() else { return };
    let queue = format!("aws-queue={}", world.queue.replace(world.moto.endpoint(), &world.aws.url()));
    let server = world.serve(&[&queue, "aws-agentless=false"]);
    let [managed, unmanaged, member] = world.instances.clone();
    let function = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:greet:$LATEST");
    let first = world.image.clone();
    until_findings(
        &server,
        vec![
            format!("ACTIVE {managed} {OPENSSL}"),
            format!("ACTIVE {managed} 22-22"),
            format!("ACTIVE {function} {LODASH}"),
            format!("ACTIVE {first} {LODASH}"),
        ],
    );
    let covered = coverage(&server);
    for row in [
        format!("{managed} NETWORK SUCCESSFUL"),
        format!("{managed} PACKAGE SUCCESSFUL"),
        format!("{unmanaged} PACKAGE UNMANAGED_EC2_INSTANCE"),
        format!("{member} PACKAGE UNMANAGED_EC2_INSTANCE"),
        format!("{function} PACKAGE SUCCESSFUL"),
    ] {
        assert!(covered.contains(&row), "{row} in {covered:#?}");
    }

    the_estate_is_counted_and_filtered(&server, &managed);
    rules_of_the_server_hide_in_every_account(&world.lab, &server);
    the_commands_show_the_path(&world.lab, &managed);

    // Everything moves; the queue says where to look.
    let second = world.push("two", "4.17.19");
    world.tell("aws.ecr", "ECR Image Action", json!({"result": "SUCCESS", "repository-name": "shop/web", "action-type": "PUSH"}));
    world.open(3389);
    let call =
        |source: &str, name: &str, parameters: Value| json!({"eventSource": source, "eventName": name, "requestParameters": parameters});
    let opened = call("ec2.amazonaws.com", "AuthorizeSecurityGroupIngress", json!({}));
    world.tell("aws.ec2", "AWS API Call via CloudTrail", opened);
    world.manage("1:3.0.7", "28.el9_4");
    let object = json!({"object": {"key": format!("AWS:Application/accountid={ACCOUNT}/region={REGION}/resourcetype=ManagedInstanceInventory/{managed}.json")}});
    world.tell("aws.s3", "Object Created", object.clone());
    // Twice, late, about others and about nothing: none of it does any harm.
    world.tell("aws.s3", "Object Created", object);
    world.tell("aws.ec2", "EC2 Instance State-change Notification", json!({"instance-id": "i-00000000000000000", "state": "running"}));
    let junk = json!({"QueueUrl": world.queue, "MessageBody": "junk"});
    world.moto.call("sqs", "send_message", junk).unwrap();
    until_findings(
        &server,
        vec![
            format!("CLOSED {managed} {OPENSSL}"),
            format!("ACTIVE {managed} 22-22"),
            format!("ACTIVE {managed} 3389-3389"),
            format!("ACTIVE {function} {LODASH}"),
            format!("ACTIVE {first} {LODASH}"),
            format!("ACTIVE {second} {LODASH}"),
        ],
    );

    // What is gone closes.
    world.moto.call("ecr", "batch_delete_image", json!({"repositoryName": "shop/web", "imageIds": [{"imageDigest": first}]})).unwrap();
    world.tell(
        "aws.ecr",
        "ECR Image Action",
        json!({"result": "SUCCESS", "repository-name": "shop/web", "image-digest": first, "action-type": "DELETE"}),
    );
    world.moto.call("ec2", "terminate_instances", json!({"InstanceIds": [managed]})).unwrap();
    world.tell("aws.ec2", "EC2 Instance State-change Notification", json!({"instance-id": managed, "state": "terminated"}));
    world.moto.call("lambda", "delete_function", json!({"FunctionName": "greet"})).unwrap();
    let deleted = call("lambda.amazonaws.com", "DeleteFunction20150331", json!({"functionName": "greet"}));
    world.tell("aws.lambda", "AWS API Call via CloudTrail", deleted);
    until_findings(
        &server,
        vec![
            format!("CLOSED {managed} {OPENSSL}"),
            format!("CLOSED {managed} 22-22"),
            format!("CLOSED {managed} 3389-3389"),
            format!("CLOSED {function} {LODASH}"),
            format!("CLOSED {first} {LODASH}"),
            format!("ACTIVE {second} {LODASH}"),
        ],
    );
    let log = std::fs::read_to_string(world.lab.path("serve.log")).unwrap();
    for secret in ["a-secret-of-theirs", "secret-of-the-account", "QVdTOnBhc3N3b3Jk"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

/// What runs in ECS is told of its image. Where it cannot be looked at, what was known of it stands.
#[test]
fn what_runs_in_a_cluster_is_in_use() {
    let Some(mut world) = World::build() else { return };
    let name = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/web:one");
    let image = format!("arn:aws:ecr:{REGION}:{ACCOUNT}:repository/shop/web/{}", world.image);
    let cluster = world.moto.call("ecs", "create_cluster", json!({"clusterName": "shop"})).unwrap()["cluster"]["clusterArn"].clone();
    let containers = json!([{"name": "web", "image": name, "memory": 64}]);
    world.moto.call("ecs", "register_task_definition", json!({"family": "web", "containerDefinitions": containers})).unwrap();
    let run = json!({"cluster": "shop", "taskDefinition": "web", "launchType": "FARGATE", "count": 2});
    let tasks = world.moto.call("ecs", "run_task", run).unwrap()["tasks"].clone();
    world.aws.filled().running.insert(name, world.image.clone());

    let uses = |server: &Serving| {
        let listed = server.aws(&["--region", REGION, "list-coverage"]).unwrap();
        let rows = listed["coveredResources"].as_array().unwrap().clone();
        rows.into_iter().find(|row| row["resourceId"] == image.as_str()).map(|row| row["resourceMetadata"]["ecrImage"].clone())
    };
    let until_in_use = |server: &Serving, count: u32| {
        let seen = until("it is in use", PATIENCE, || uses(server).filter(|uses| uses["inUseCount"] == count).map(drop));
        assert!(seen.is_ok(), "{count}: {:?}; the server said: {}", uses(server), server.warnings());
    };
    let server = world.serve(&[]);
    until_in_use(&server, 2);
    let filter = json!({"resourceId": image}).to_string();
    let clusters = server.aws(&["--region", REGION, "get-clusters-for-image", "--filter", &filter]).unwrap();
    assert_eq!(clusters["cluster"], json!([{"clusterArn": cluster}]));
    let criteria = json!({"ecrImageInUseCount": [{"lowerInclusive": 1, "upperInclusive": 2}]}).to_string();
    let running = server.aws(&["--region", REGION, "list-findings", "--filter-criteria", &criteria]).unwrap();
    assert_eq!(running["findings"].as_array().map(Vec::len), Some(1), "{running}");
    drop(server);

    for task in tasks.as_array().unwrap() {
        world.moto.call("ecs", "stop_task", json!({"cluster": "shop", "task": task["taskArn"]})).unwrap();
    }
    world.aws.filled().denied = vec!["ListTasks".into()];
    let server = world.serve(&[]);
    until_in_use(&server, 2);
    assert!(server.warnings().contains("a part of AWS could not be looked at"), "{}", server.warnings());
    drop(server);

    world.aws.filled().denied.clear();
    until_in_use(&world.serve(&[]), 0);
}

/// A machine of Debian tells SSM's inventory no source packages: it is asked itself, and read like any other file system.
#[test]
fn an_instance_is_asked_what_is_installed_in_it() {
    let Some(mut world) = World::build() else { return };
    let debian = world.launch(None, false);
    let root = world.lab.path("debian-instance");
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
    write(
        "var/lib/dpkg/status",
        "Package: coreutils\nStatus: install ok installed\nMaintainer: somebody\nArchitecture: amd64\nVersion: 9.1-1\nDescription: tools\n long\n\n\
         Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n",
    );
    write("usr/lib/node_modules/lodash/package.json", r#"{"name": "lodash", "version": "4.17.20"}"#);
    // A server of a package waits for everybody at port 22, and something at 4000 that nobody knows.
    let row =
        |local: &str, inode: u32| format!("   0: {local} 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 {inode} 1 0 100\n");
    write("proc/net/tcp", &format!("  sl  local_address\n{}{}", row("00000000:0016", 13), row("00000000:0FA0", 14)));
    write("proc/77/comm", "cat\n");
    write("proc/77/fd/0", "");
    std::os::unix::fs::symlink("socket:[13]", root.join("proc/77/fd/3")).unwrap();
    std::os::unix::fs::symlink("/usr/bin/cat", root.join("proc/77/exe")).unwrap();
    write("var/lib/dpkg/info/coreutils.list", "/.\n/bin\n/bin/cat\n");
    // More than a piece.
    for i in 0..3000 {
        let name = format!("filler-{i:x}-{:x}", i * 7919);
        write(&format!("usr/lib/node_modules/{name}/package.json"), &json!({"name": name, "version": "1.0.0"}).to_string());
    }
    let information = json!({"InstanceId": debian, "PingStatus": "Online", "PlatformName": "Debian GNU/Linux", "PlatformVersion": "12"});
    {
        let mut filled = world.aws.filled();
        filled.managed.insert(debian.clone(), (information, vec![json!({"Name": "coreutils", "Version": "9.1-1"})]));
        filled.roots.insert(debian.clone(), root.clone());
        // The other one is not let run it: what SSM knows of it is read.
        let other = world.instances[0].clone();
        filled.managed.get_mut(&other).unwrap().0["PingStatus"] = "ConnectionLost".into();
    }
    let output = world.lab.run(&["db", "import", fixture("coreutils.json").to_str().unwrap()]);
    assert!(output.status.success());
    let server = world.serve(&[]);
    let function = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:greet:$LATEST");
    until_findings(
        &server,
        vec![
            format!("ACTIVE {debian} CVE-2016-2781"),
            format!("ACTIVE {debian} {LODASH}"),
            format!("ACTIVE {} {OPENSSL}", world.instances[0]),
            format!("ACTIVE {} 22-22", world.instances[0]),
            format!("ACTIVE {function} {LODASH}"),
            format!("ACTIVE {} {LODASH}", world.image),
        ],
    );
    // Whose the sockets are is known as if an agent told it, also by a server that has asked nobody yet.
    let told =
        |lab: &Lab| lab.json(&["findings", "--resource", &debian, "--vulnerability", "CVE-2016-2781", "--json"])["findings"][0].clone();
    assert_eq!(told(&world.lab)["listening"], "listening", "{}", told(&world.lab));
    let covered = coverage(&server);
    for row in [format!("{debian} PACKAGE SUCCESSFUL"), format!("{} PACKAGE STALE_INVENTORY", world.instances[0])] {
        assert!(covered.contains(&row), "{row} in {covered:#?}");
    }
    let pieces = world.aws.operations().iter().filter(|operation| *operation == "SendCommand").count();
    assert!(pieces > 1, "it was told in {pieces} pieces");
    drop(server);
    world.aws.filled().denied = vec!["DescribeInstances".into()];
    let _server = world.serve(&[]);
    assert_eq!(told(&world.lab)["listening"], "listening", "{}", told(&world.lab));
}

/// What may not be asked is named, with the policy that grants it; what may be is not.
#[test]
fn the_doctor_names_each_permission_that_is_missing() {
    let Some(world) = World::build() else { return };
    let run = |arguments: &[&str]| {
        let output = world.lab.lestrade().envs(world.environment()).args(arguments).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    };
    let (said, code) = run(&["doctor", "--aws", "--set", &format!("aws-accounts={MEMBER}")]);
    assert_eq!(code, Some(0), "{said}");
    for line in [format!("account {ACCOUNT} in {REGION}"), format!("account {MEMBER} in {REGION}"), "ec2:DescribeInstances".into()] {
        assert!(said.contains(&line), "{line} in {said}");
    }
    world.aws.filled().denied = vec!["DescribeRouteTables".into(), "ListInventoryEntries".into(), "SendCommand".into()];
    let (said, code) = run(&["doctor", "--aws"]);
    assert_eq!(code, Some(4), "{said}");
    let policy: Value = serde_json::from_str(&said[said.find('{').unwrap()..]).unwrap();
    assert_eq!(
        policy["Statement"].as_array().unwrap().iter().map(|statement| statement["Action"].clone()).collect::<Vec<_>>(),
        [json!(["ec2:DescribeRouteTables", "ssm:ListInventoryEntries"]), json!(["ssm:SendCommand"])]
    );
    let nobody = world.lab.lestrade().args(["doctor", "--aws"]).output().unwrap();
    assert_eq!(nobody.status.code(), Some(6));
}

/// What may not be asked for keeps nothing else from being looked at and followed, and is not asked for again and again.
#[test]
fn one_refusal_does_not_hold_up_the_rest() {
    let Some(mut world) = World::build() else { return };
    world.aws.filled().denied = vec!["DescribeRepositories".into(), "DescribeImages".into(), "DescribeSnapshots".into()];
    let queue = format!("aws-queue={}", world.queue.replace(world.moto.endpoint(), &world.aws.url()));
    let server = world.serve(&[&queue]);
    let [managed, ..] = world.instances.clone();
    let function = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:greet:$LATEST");
    let known = [format!("ACTIVE {managed} {OPENSSL}"), format!("ACTIVE {managed} 22-22"), format!("ACTIVE {function} {LODASH}")];
    until_findings(&server, known.to_vec());
    world.tell("aws.ecr", "ECR Image Action", json!({"result": "SUCCESS", "repository-name": "shop/web", "action-type": "PUSH"}));
    world.open(3389);
    let opened = json!({"eventSource": "ec2.amazonaws.com", "eventName": "AuthorizeSecurityGroupIngress", "requestParameters": {}});
    world.tell("aws.ec2", "AWS API Call via CloudTrail", opened);
    until_findings(&server, [known.as_slice(), &[format!("ACTIVE {managed} 3389-3389")]].concat());
    let asked = world.aws.operations().iter().filter(|operation| *operation == "DescribeRepositories").count();
    assert_eq!(asked, 2, "once in each account");
}

/// The same of a live account as of files; and of what was kept of it.
#[test]
fn what_a_live_network_lets_in() {
    let Some(world) = World::build() else { return };
    let run = |arguments: &[&str]| {
        let output = world.lab.lestrade().envs(world.environment()).args(arguments).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    };
    let (live, code) = run(&["exposure", "--live", "--save", "network.json"]);
    assert!(code == Some(0) && live.contains(&world.instances[0]) && live.contains("22"), "{code:?} {live}");
    assert_eq!(run(&["exposure", "network.json"]), (live, Some(0)));
    let (denied, code) = {
        world.aws.filled().denied = vec!["DescribeAddresses".into()];
        run(&["exposure", "--live"])
    };
    assert!(code == Some(4) && denied.contains("DescribeAddresses"), "{code:?} {denied}");
    world.aws.filled().denied = vec!["DescribeRouteTables".into()];
    assert_eq!(run(&["exposure", "--live"]).1, Some(6), "what must be seen whole was not");
}

/// What setup prints is what CloudFormation takes, and the queue is filled by what happens.
#[test]
fn what_setup_prints_sets_an_account_up() {
    let Some(mut moto) = Moto::start().unwrap() else { return missing("python3 with moto[server] and boto3") };
    let lab = Lab::new();
    let template = String::from_utf8(lab.run(&["aws", "setup"]).stdout).unwrap();
    let stack = json!({"StackName": "lestrade", "TemplateBody": template, "Capabilities": ["CAPABILITY_NAMED_IAM"]});
    moto.call("cloudformation", "create_stack", stack).unwrap();
    let stacks = moto.call("cloudformation", "describe_stacks", json!({"StackName": "lestrade"})).unwrap();
    assert_eq!(stacks["Stacks"][0]["StackStatus"], "CREATE_COMPLETE");
    let outputs = stacks["Stacks"][0]["Outputs"].as_array().unwrap();
    let queue = outputs.iter().find(|output| output["OutputKey"] == "Queue").unwrap()["OutputValue"].clone();
    // moto tells of nothing itself: an event is put in its words.
    let detail = json!({"repository-name": "app", "action-type": "PUSH", "result": "SUCCESS"}).to_string();
    let entry = json!({"Source": "aws.ecr", "DetailType": "ECR Image Action", "Detail": detail});
    moto.call("events", "put_events", json!({"Entries": [entry]})).unwrap();
    let received = moto.call("sqs", "receive_message", json!({"QueueUrl": queue})).unwrap();
    let event: Value = serde_json::from_str(received["Messages"][0]["Body"].as_str().unwrap()).unwrap();
    assert_eq!(event["detail"]["repository-name"], "app");
    // The same at once, and once more.
    let environment = [
        ("AWS_ENDPOINT_URL", moto.endpoint().to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ("AWS_REGION", "us-east-2".to_owned()),
    ];
    for _ in 0..2 {
        let output = lab.lestrade().envs(environment.clone()).args(["aws", "setup", "--apply"]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(
            said.contains("aws-queue=http") && said.contains("policy/lestrade-us-east-2"),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let terraform = String::from_utf8(lab.run(&["aws", "setup", "--format", "terraform", "--no-run-command"]).stdout).unwrap();
    assert!(terraform.contains("resource \"aws_sqs_queue\"") && !terraform.contains("ssm:SendCommand"));
}

/// A machine that nobody manages is read from its disk, block by block, and nothing of the snapshot is left, nor of one that a crash
/// had left behind.
#[test]
fn the_disk_of_an_instance_that_nobody_manages_is_read() {
    let Some(mut world) = World::build() else { return };
    let tree = world.lab.path("tree");
    let write = |path: &str, text: &str| {
        let path = tree.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
    write("var/lib/dpkg/status", "Package: coreutils\nStatus: install ok installed\nArchitecture: amd64\nVersion: 9.1-1\n");
    let disk = world.lab.path("disk.img");
    if !lestrade_testkit::disk::make_ext("ext4", &[], &tree, &disk, 1 << 30).unwrap() {
        return missing("mkfs.ext4");
    }
    world.aws.filled().disk = Some((disk, 1));
    let output = world.lab.run(&["db", "import", fixture("coreutils.json").to_str().unwrap()]);
    assert!(output.status.success());
    let tags = json!([{"ResourceType": "snapshot", "Tags": [{"Key": "lestrade-scan", "Value": "i-0"}]}]);
    let zone = json!({"AvailabilityZone": "eu-west-1a", "Size": 1});
    let volume = world.moto.call("ec2", "create_volume", zone).unwrap()["VolumeId"].clone();
    world.moto.call("ec2", "create_snapshot", json!({"VolumeId": volume, "TagSpecifications": tags})).unwrap();
    // A machine image of the instance, whose snapshots are read and stay.
    let made = json!({"InstanceId": world.instances[1], "Name": "golden"});
    let machine = world.moto.call("ec2", "create_image", made).unwrap()["ImageId"].as_str().unwrap().to_owned();
    // One of somebody else's, which is not ours to touch.
    let theirs = world.moto.call("ec2", "create_snapshot", json!({"VolumeId": volume})).unwrap()["SnapshotId"].clone();

    let server = world.serve(&[]);
    let [managed, unmanaged, member] = world.instances.clone();
    let function = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:greet:$LATEST");
    until_findings(
        &server,
        vec![
            format!("ACTIVE {unmanaged} CVE-2016-2781"),
            format!("ACTIVE {member} CVE-2016-2781"),
            format!("ACTIVE {machine} CVE-2016-2781"),
            format!("ACTIVE {managed} {OPENSSL}"),
            format!("ACTIVE {managed} 22-22"),
            format!("ACTIVE {function} {LODASH}"),
            format!("ACTIVE {} {LODASH}", world.image),
        ],
    );
    assert!(coverage(&server).contains(&format!("{unmanaged} PACKAGE SUCCESSFUL")));
    let criteria = json!({"resourceType": [{"comparison": "EQUALS", "value": "MACHINE_IMAGE"}]}).to_string();
    let of_image = server.aws(&["--region", REGION, "list-findings", "--filter-criteria", &criteria]).unwrap();
    let found = &of_image["findings"][0]["resources"][0];
    assert_eq!((&found["type"], &found["id"]), (&json!("MACHINE_IMAGE"), &json!(machine)), "{of_image}");
    let of = |world: &mut World| world.moto.call("ec2", "describe_images", json!({"ImageIds": [machine]})).unwrap()["Images"][0].clone();
    let its = of(&mut world)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"].clone();
    assert!(world.moto.call("ec2", "describe_snapshots", json!({"SnapshotIds": [its]})).is_ok(), "what an image is made of stays");
    let mut ours = |account: Option<&str>| {
        let filter = json!({"OwnerIds": ["self"], "Filters": [{"Name": "tag-key", "Values": ["lestrade-scan"]}]});
        world.moto.call_in(account, "ec2", "describe_snapshots", filter).unwrap()["Snapshots"].as_array().unwrap().len()
    };
    assert_eq!((ours(None), ours(Some(MEMBER))), (0, 0), "no snapshot is left");
    assert!(world.moto.call("ec2", "describe_snapshots", json!({"SnapshotIds": [theirs]})).is_ok());
    let fetched = world.aws.operations().iter().filter(|operation| *operation == "GetSnapshotBlock").count();
    assert!(fetched < 100, "{fetched} of 2,048 blocks of each of two disks were fetched");
}

/// A service that is busy and fails at times is asked again; what may not be asked is told; nothing is closed by either.
#[test]
fn faults_of_aws_close_nothing() {
    let Some(world) = World::build() else { return };
    let first = world.image.clone();
    let [managed, ..] = world.instances.clone();
    let function = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:greet:$LATEST");
    let all = vec![
        format!("ACTIVE {managed} {OPENSSL}"),
        format!("ACTIVE {managed} 22-22"),
        format!("ACTIVE {function} {LODASH}"),
        format!("ACTIVE {first} {LODASH}"),
    ];
    world.aws.filled().faults = (30, 5);
    let server = world.serve(&["aws-interval=1"]);
    until_findings(&server, all.clone());

    // Of 100 calls 35 fail, so no less than 1 / 0.65 = 1.54 calls are made for each answer; and no more, as nothing is asked twice.
    let (calls, failed) = (world.aws.operations().len(), world.aws.filled().failed);
    assert!(failed * 100 > calls * 30 && calls * 100 < (calls - failed) * 160, "{failed} of {calls} calls failed");

    let denied = ["DescribeInstances", "DescribeImages", "ListFunctions", "DescribeSecurityGroups", "ListInventoryEntries"];
    world.aws.filled().denied = denied.map(str::to_owned).to_vec();
    let asked = |world: &World| world.aws.operations().iter().filter(|operation| *operation == "DescribeRepositories").count();
    let before = asked(&world);
    until("it was swept twice more", PATIENCE, || (asked(&world) >= before + 4).then_some(())).unwrap();
    until_findings(&server, all);
}

/// AWS lists what is there in the end only: what is missing from its lists for a while, whatever late, doubled and disordered events
/// say of it, closes nothing; what stays missing does.
#[test]
fn what_is_missing_for_a_while_is_not_gone() {
    let Some(mut world) = World::build() else { return };
    let image = world.image.clone();
    let [managed, ..] = world.instances.clone();
    let function = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:greet:$LATEST");
    let all = |status: &str| {
        vec![
            format!("{status} {managed} {OPENSSL}"),
            format!("{status} {managed} 22-22"),
            format!("{status} {function} {LODASH}"),
            format!("{status} {image} {LODASH}"),
        ]
    };
    let queue = format!("aws-queue={}", world.queue.replace(world.moto.endpoint(), &world.aws.url()));
    let server = world.serve(&[&queue, "aws-interval=1", "aws-agentless=false"]);
    until_findings(&server, all("ACTIVE"));
    let swept = |world: &World| world.aws.operations().iter().filter(|operation| *operation == "DescribeRepositories").count();
    let until_swept = |world: &World, times: usize| {
        let before = swept(world);
        until("it was swept again", PATIENCE, || (swept(world) >= before + times).then_some(())).unwrap();
    };
    let received = |world: &World| world.aws.operations().iter().filter(|operation| *operation == "DeleteMessageBatch").count();
    let until_followed = |world: &World, before: usize| {
        until("events were looked at", PATIENCE, || (received(world) > before).then_some(())).unwrap();
    };

    // All that ends and begins is told late, twice and in the wrong order, of what is there all the while.
    let before = received(&world);
    let instance = |state: &str| json!({"instance-id": managed, "state": state});
    let of_image = |action: &str| json!({"result": "SUCCESS", "repository-name": "shop/web", "image-digest": image, "action-type": action});
    let of_function =
        |name: &str| json!({"eventSource": "lambda.amazonaws.com", "eventName": name, "requestParameters": {"functionName": "greet"}});
    for _ in 0..2 {
        for state in ["terminated", "running", "pending"] {
            world.tell("aws.ec2", "EC2 Instance State-change Notification", instance(state));
        }
        for action in ["DELETE", "PUSH"] {
            world.tell("aws.ecr", "ECR Image Action", of_image(action));
        }
        for name in ["DeleteFunction20150331", "CreateFunction20150331"] {
            world.tell("aws.lambda", "AWS API Call via CloudTrail", of_function(name));
        }
    }
    until_followed(&world, before);
    until_swept(&world, 4);
    assert_eq!(findings(&server), sorted(all("ACTIVE")));

    // Nothing is listed for a while, and events say that it changed.
    world.aws.filled().hidden = vec![managed.clone(), image.clone(), "greet".to_owned()];
    let before = received(&world);
    world.tell("aws.ec2", "EC2 Instance State-change Notification", instance("running"));
    world.tell("aws.ecr", "ECR Image Action", of_image("PUSH"));
    world.tell("aws.lambda", "AWS API Call via CloudTrail", of_function("UpdateFunctionCode20150331v2"));
    until_followed(&world, before);
    until_swept(&world, 6);
    assert_eq!(findings(&server), sorted(all("ACTIVE")), "{}", server.warnings());
    world.aws.filled().hidden.clear();
    until_swept(&world, 4);
    assert_eq!(findings(&server), sorted(all("ACTIVE")));
    drop(server);

    // It does not come back.
    world.aws.filled().hidden = vec![managed.clone(), image.clone(), "greet".to_owned()];
    let server = world.serve(&["aws-gone-after=1", "aws-agentless=false"]);
    until_findings(&server, all("CLOSED"));
    let covered = coverage(&server);
    for id in [&managed, &function] {
        assert!(covered.contains(&format!("{id} PACKAGE RESOURCE_TERMINATED")), "{covered:#?}");
    }
}

/// Package, process, port, opening: an agent on an instance tells who listens, AWS what is open, and the commands put it together.
#[test]
fn who_gets_to_a_vulnerable_program_is_shown() {
    let Some(mut world) = World::build() else { return };
    let managed = world.instances[0].clone();
    // The program of the package is this test, which waits for everybody.
    let waiting = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = waiting.local_addr().unwrap().port();
    world.open(port);
    let server = world.serve(&["aws-agentless=false", "allow-private-targets=true"]);
    let lab = &world.lab;
    lab.until_said(&["findings", "--resource", &managed], &format!("{port} is reachable"));

    let host = Lab::new();
    host.write("root/etc/os-release", "ID=debian\nVERSION_ID=12\n");
    host.write("root/etc/machine-id", format!("{}\n", "7".repeat(32)));
    host.write("root/var/lib/cloud/data/instance-id", &managed);
    // What is installed SSM told of already; the agent is asked whose the program is.
    host.write("root/var/lib/dpkg/status", "Package: openssl-libs\nStatus: install ok installed\nVersion: 3\nArchitecture: amd64\n\n");
    let program = std::env::current_exe().unwrap();
    host.write("root/var/lib/dpkg/info/openssl-libs.list", format!("{}\n", program.display()));
    host.write("lestrade.toml", format!("host-root = \"{}\"\nhost-interval = 1\n", host.path("root").display()));
    let token = lab.json(&["agent", "token", "--json"])["token"].as_str().unwrap().to_owned();
    let enrolled = host.transcript(&["agent", "enroll", "--server", server.endpoint(), "--token", &token]);
    assert!(enrolled.ends_with("exit 0"), "{enrolled}");
    assert!(host.transcript(&["agent", "run", "--once"]).ends_with("exit 0"));

    let listed = lab.until_said(&["findings", "--resource", &managed, "--vulnerability", OPENSSL], "internet-listening");
    assert!(listed.contains("EXPOSURE"), "{listed}");
    let said = lab.transcript(&["explain", OPENSSL, "--resource", &managed]);
    for part in [
        "WHERE IT IS REACHED",
        "exposure internet-listening",
        "openssl-libs 1:3.0.7-27.el9 → ",
        &format!("at 0.0.0.0 port {port}/tcp, reached from: internet over igw-"),
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let json = lab.json(&["findings", "--resource", &managed, "--vulnerability", OPENSSL, "--json"]);
    assert_eq!((&json["findings"][0]["listening"], &json["findings"][0]["exposure"]), (&json!("reached"), &json!("internet-listening")));
    let id = json["findings"][0]["id"].as_str().unwrap();
    let sockets = lab.json(&["findings", id, "--json"])["sockets"].clone();
    assert!(sockets[0]["reachedOver"].as_str().is_some_and(|edge| edge.starts_with("igw-")), "{sockets}");

    // Nobody waits any longer: still open, still vulnerable, and no longer the worst.
    drop(waiting);
    assert!(host.transcript(&["agent", "run", "--once"]).ends_with("exit 0"));
    lab.until_said(&["findings", "--resource", &managed, "--vulnerability", OPENSSL, "--json"], "\"exposure\": \"internet\"");
    let said = lab.transcript(&["explain", OPENSSL, "--resource", &managed]);
    assert!(said.contains("exposure internet · ") && !said.contains("reached from"), "{said}");
    assert!(lab.transcript(&["explain", OPENSSL, "--resource", "nobody"]).contains("'nobody'"));
}

/// Found, proposed, approved, sent, looked at again, closed, verified; where the upgrade mended nothing, it is not verified.
#[test]
fn an_upgrade_is_verified_by_the_look_after_it() {
    let Some(mut world) = World::build() else { return };
    let managed = world.instances[0].clone();
    let tag = json!({"Resources": [managed], "Tags": [{"Key": "patch", "Value": "yes"}]});
    world.moto.call("ec2", "create_tags", tag).unwrap();
    let rules = format!(
        "[[target]]\nname = \"patch\"\nkind = \"patch-ssm\"\nregion = \"{REGION}\"\nendpoint = \"{}\"\nallow-tags = [\"patch=yes\"]\n\
         role = \"arn:aws:iam::{ACCOUNT}:role/LestradePatch\"\n\n\
         [[rule]]\nname = \"instances\"\ntargets = [\"patch\"]\n\
         pattern = {{ detail-type = [\"Inspector2 Finding\"], detail = {{ type = [\"PACKAGE_VULNERABILITY\"], resources = {{ type = [\"AWS_EC2_INSTANCE\"] }} }} }}\n",
        world.aws.url()
    );
    world.lab.write("rules/a.toml", rules);
    // Nobody else runs there: a look is what SSM's inventory says.
    world.aws.filled().managed.get_mut(&managed).unwrap().0["PingStatus"] = "ConnectionLost".into();
    let queue = format!("aws-queue={}", world.queue.replace(world.moto.endpoint(), &world.aws.url()));
    let folder = format!("rules={}", world.lab.path("rules").display());
    let _server = world.serve(&[&queue, &folder, "aws-agentless=false", "allow-private-targets=true"]);
    let look = |world: &mut World| {
        let object = json!({"object": {"key": format!("AWS:Application/accountid={ACCOUNT}/region={REGION}/resourcetype=ManagedInstanceInventory/{managed}.json")}});
        world.tell("aws.s3", "Object Created", object);
    };
    let proposals = ["targets", "proposals", "patch"];
    let proposed = world.lab.until_said(&proposals, OPENSSL);
    assert!(proposed.contains("proposed") && proposed.contains("openssl-libs to 1:3.0.7-28.el9_4"), "{proposed}");
    assert!(world.aws.filled().upgrades.is_empty(), "nothing is done before somebody approves");

    // The first upgrade finds nothing to upgrade: the command succeeds, a look still sees the package, and it is not verified.
    let approve = ["targets", "approve", "patch", managed.as_str()];
    let approved = world.lab.transcript(&approve);
    assert!(approved.contains("upgrades 1 package"), "{approved}");
    world.lab.until_said(&proposals, "done, and not yet verified by a look");
    let scanned = |world: &World| world.lab.json(&["coverage", "--resource", &managed, "--json"])["coverage"].clone();
    let before = scanned(&world);
    look(&mut world);
    lestrade_testkit::until("another look", PATIENCE, || (scanned(&world) != before).then_some(())).unwrap();
    assert!(world.lab.transcript(&proposals).contains("done, and not yet verified by a look"));
    assert!(world.lab.transcript(&["findings", "--resource", &managed]).contains(OPENSSL));

    // The second one does: a look closes the finding, and that verifies it.
    let mended = vec![
        json!({"Name": "openssl-libs", "Version": "1:3.0.7", "Release": "28.el9_4", "Architecture": "x86_64", "PackageId": "openssl-3.0.7-28.el9_4.src.rpm"}),
    ];
    world.aws.filled().upgraded.insert(managed.clone(), mended);
    let approved = world.lab.transcript(&approve);
    assert!(approved.contains("upgrades 1 package"), "{approved}");
    assert!(world.lab.transcript(&proposals).contains("not yet verified"), "that a command succeeded is not believed");
    look(&mut world);
    world.lab.until_said(&["findings", "--resource", &managed, "--status", "closed"], OPENSSL);
    let verified = world.lab.until_said(&proposals, "verified: a look has closed what it was for");
    assert!(verified.contains(OPENSSL), "{verified}");
    let upgrades = world.aws.filled().upgrades.clone();
    assert!(upgrades.len() == 2 && upgrades[0].contains("dnf upgrade -q -y openssl-libs\n".trim_end()), "{upgrades:?}");
}
