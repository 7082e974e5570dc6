//! What Lestrade is allowed to do, as IAM names it: read off the operations that are called, so that a call without its permission
//! cannot be written; and trying each.

use crate::Session;
use lestrade_wire::{Service, Transport, cloudwatch, ebs, ec2, ecr, ecs, eks, elb, elbv2, lambda, organizations, ssm};
use serde_json::{Value, json};

/// What a permission is for. Each is a statement of its own in the policy, so that one can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// To see what there is.
    Read,
    /// To ask instances what is installed in them.
    Ask,
    /// To read what a resource data sync wrote of instances.
    Inventory,
    /// To read the disks of instances that nobody manages, from snapshots.
    Snapshot,
    /// To take events off the queue.
    Follow,
    /// To send findings on: what targets on AWS do.
    Respond,
}

impl Duty {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Read, Self::Ask, Self::Inventory, Self::Snapshot, Self::Follow, Self::Respond];

    /// The name of its statement.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "LestradeRead",
            Self::Ask => "LestradeAsk",
            Self::Inventory => "LestradeInventory",
            Self::Snapshot => "LestradeSnapshot",
            Self::Follow => "LestradeFollow",
            Self::Respond => "LestradeRespond",
        }
    }
}

/// A permission.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// What it is for.
    pub duty: Duty,
    /// `ec2:DescribeInstances`.
    pub action: String,
}

/// Everything that Lestrade does on AWS.
#[must_use]
pub fn permissions() -> Vec<Permission> {
    let mut all = Vec::new();
    let mut add = |duty, service: &str, names: Vec<&str>| {
        all.extend(names.into_iter().map(|name| Permission { duty, action: format!("{service}:{name}") }));
    };
    let (changes, reads): (Vec<&str>, _) = names::<ec2::Api>().into_iter().partition(|name| changes(name));
    let (acts, snapshots) = changes.into_iter().partition(|name| name.starts_with("Modify"));
    add(Duty::Read, "ec2", reads);
    add(Duty::Respond, "ec2", acts);
    add(Duty::Snapshot, "ec2", snapshots);
    // A snapshot is made with its tag.
    add(Duty::Snapshot, "ec2", vec!["CreateTags"]);
    add(Duty::Snapshot, "ebs", names::<ebs::Api>());
    add(Duty::Read, "elasticloadbalancing", names::<elb::Api>());
    add(Duty::Read, "elasticloadbalancing", names::<elbv2::Api>());
    add(Duty::Read, "ecr", names::<ecr::Api>());
    // What the registry itself asks for when an image is read.
    add(Duty::Read, "ecr", vec!["BatchGetImage", "GetDownloadUrlForLayer"]);
    // Whether functions are invoked.
    add(Duty::Read, "cloudwatch", names::<cloudwatch::Api>());
    add(Duty::Read, "ecs", names::<ecs::Api>());
    add(Duty::Read, "eks", names::<eks::Api>());
    add(Duty::Read, "organizations", names::<organizations::Api>());
    add(Duty::Read, "lambda", names::<lambda::Api>().into_iter().map(|name| name.trim_end_matches("ByArn")).collect());
    // A function is told with its tags.
    add(Duty::Read, "lambda", vec!["ListTags"]);
    let (asks, reads) = names::<ssm::Api>().into_iter().partition(|name| is_command(name));
    add(Duty::Read, "ssm", reads);
    add(Duty::Ask, "ssm", asks);
    add(Duty::Inventory, "s3", vec!["GetObject"]);
    add(Duty::Follow, "sqs", vec!["DeleteMessage", "GetQueueUrl", "ReceiveMessage"]);
    add(Duty::Respond, "events", vec!["PutEvents"]);
    add(Duty::Respond, "lambda", vec!["InvokeFunction"]);
    add(Duty::Respond, "secretsmanager", vec!["GetSecretValue"]);
    add(Duty::Respond, "securityhub", vec!["BatchImportFindings"]);
    add(Duty::Respond, "sns", vec!["Publish"]);
    add(Duty::Respond, "sqs", vec!["SendMessage"]);
    all.sort();
    all.dedup();
    all
}

/// Whether an operation of EC2 changes something.
fn changes(name: &str) -> bool {
    ["Create", "Delete", "Modify"].iter().any(|verb| name.starts_with(verb))
}

fn is_command(name: &str) -> bool {
    name.contains("Command")
}

fn names<S: Service>() -> Vec<&'static str> {
    S::ALL.iter().map(|operation| operation.name()).collect()
}

/// A policy of some permissions, a statement for each duty.
#[must_use]
pub fn policy(permissions: &[Permission]) -> Value {
    let statement = |duty: Duty| {
        let actions: Vec<&str> = permissions.iter().filter(|p| p.duty == duty).map(|p| p.action.as_str()).collect();
        (!actions.is_empty()).then(|| json!({"Sid": duty.as_str(), "Effect": "Allow", "Action": actions, "Resource": resources(duty)}))
    };
    let statements: Vec<Value> = Duty::ALL.into_iter().filter_map(statement).collect();
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// What a duty is done to. What only lists knows no resources in IAM.
fn resources(duty: Duty) -> Value {
    match duty {
        Duty::Ask => json!([
            "arn:*:ec2:*:*:instance/*",
            "arn:*:ssm:*:*:document/AWS-RunShellScript",
            "arn:*:ssm:*::document/AWS-RunShellScript",
            "arn:*:ssm:*:*:*"
        ]),
        // Of no bucket anything else.
        Duty::Inventory => json!(["arn:*:s3:::*AWS:Application/accountid=*", "arn:*:s3:::*AWS:InstanceInformation/accountid=*"]),
        Duty::Follow => json!("arn:*:sqs:*:*:lestrade*"),
        Duty::Snapshot => json!(["arn:*:ec2:*:*:volume/*", "arn:*:ec2:*::snapshot/*"]),
        Duty::Read | Duty::Respond => json!("*"),
    }
}

/// What came of trying a permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It is granted.
    Granted,
    /// It is not.
    Denied,
    /// That could not be told.
    Unknown(String),
}

/// Tries every operation that only looks, each once and to no effect: those that want a name get one that nothing has. What
/// cannot be tried without doing it is not in the answer, nor whether an organisation tells its accounts: that is tried by entering
/// them, and only where they are wanted.
pub async fn try_permissions<T: Transport + Clone>(session: &Session<T>) -> Vec<(Permission, Tried)> {
    let mut tried = Vec::new();
    for operation in ec2::Api::ALL.iter().filter(|operation| !changes(operation.name())) {
        tried.push((read("ec2", operation.name()), probe(session, *operation).await));
    }
    // Of what both kinds of load balancers have one action decides, and the newer kind is asked for attributes.
    for operation in elb::Api::ALL.iter().filter(|operation| operation.name() == "DescribeLoadBalancers") {
        tried.push((read("elasticloadbalancing", operation.name()), probe(session, *operation).await));
    }
    for operation in elbv2::Api::ALL.iter().filter(|operation| operation.name() != "DescribeLoadBalancers") {
        tried.push((read("elasticloadbalancing", operation.name()), probe(session, *operation).await));
    }
    for operation in ecr::Api::ALL {
        tried.push((read("ecr", operation.name()), probe(session, *operation).await));
    }
    for operation in cloudwatch::Api::ALL {
        tried.push((read("cloudwatch", operation.name()), probe(session, *operation).await));
    }
    for operation in ecs::Api::ALL {
        tried.push((read("ecs", operation.name()), probe(session, *operation).await));
    }
    for operation in eks::Api::ALL {
        tried.push((read("eks", operation.name()), probe(session, *operation).await));
    }
    for operation in lambda::Api::ALL {
        tried.push((read("lambda", operation.name().trim_end_matches("ByArn")), probe(session, *operation).await));
    }
    for operation in ssm::Api::ALL {
        let duty = if is_command(operation.name()) { Duty::Ask } else { Duty::Read };
        tried.push((Permission { duty, ..read("ssm", operation.name()) }, probe(session, *operation).await));
    }
    tried.sort_by(|a, b| a.0.cmp(&b.0));
    tried
}

fn read(service: &str, name: &str) -> Permission {
    Permission { duty: Duty::Read, action: format!("{service}:{name}") }
}

async fn probe<T: Transport + Clone, S: Service>(session: &Session<T>, operation: S) -> Tried {
    match session.ask(operation, &harmless(S::ENDPOINT, operation.name())).await {
        Ok(_) => Tried::Granted,
        Err(error) if error.is_denied() => Tried::Denied,
        // Whoever is told that there is no such thing was let in to look for it.
        Err(error) if error.refusal().is_some_and(|refusal| refusal.status < 500) => Tried::Granted,
        Err(error) => Tried::Unknown(error.to_string()),
    }
}

/// Members without which an operation is not understood, naming what nothing is called.
fn harmless(service: &str, operation: &str) -> Value {
    const NOWHERE: &str = "lestrade-doctor-asks";
    const ARN: &str = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/lestrade-doctor-asks/0000000000000000";
    match operation {
        "GetManagedPrefixListEntries" => json!({"PrefixListId": "pl-00000000000000000"}),
        "SearchTransitGatewayRoutes" => json!({
            "TransitGatewayRouteTableId": "tgw-rtb-00000000000000000",
            "Filters": [{"Name": "state", "Values": ["active"]}],
        }),
        "DescribeTasks" => json!({"tasks": ["00000000000000000000000000000000"]}),
        // Without an owner those of everybody are meant.
        "DescribeImages" if service == ec2::Api::ENDPOINT => json!({"Owners": ["self"], "MaxResults": 5}),
        "DescribeImages" => json!({ "repositoryName": NOWHERE }),
        "DescribeCluster" => json!({ "name": NOWHERE }),
        "GetFunction" | "ListVersionsByFunction" => json!({ "FunctionName": NOWHERE }),
        "GetMetricData" => json!({ "StartTime": 0, "EndTime": 60, "MetricDataQueries": [{
            "Id": "f0",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/Lambda", "MetricName": "Invocations",
                    "Dimensions": [{"Name": "FunctionName", "Value": NOWHERE}],
                },
                "Period": 60, "Stat": "Sum",
            },
        }]}),
        "GetLayerVersionByArn" => json!({"Arn": "arn:aws:lambda:us-east-1:000000000000:layer:lestrade-doctor-asks:1"}),
        "DescribeListeners" | "DescribeLoadBalancerAttributes" => json!({ "LoadBalancerArn": ARN }),
        "DescribeRules" => json!({ "ListenerArn": ARN }),
        "DescribeTargetHealth" | "DescribeTargetGroupAttributes" => json!({ "TargetGroupArn": ARN }),
        "ListInventoryEntries" => json!({"InstanceId": "i-00000000000000000", "TypeName": "AWS:Application"}),
        "GetCommandInvocation" => json!({"CommandId": "00000000-0000-0000-0000-000000000000", "InstanceId": "i-00000000000000000"}),
        "SendCommand" => json!({
            "DocumentName": "AWS-RunShellScript",
            "InstanceIds": ["i-00000000000000000"],
            "Parameters": {"commands": ["true"]},
        }),
        _ => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_that_is_called_is_permitted_and_nothing_changes_anything() {
        let all = permissions();
        let has = |action: &str| all.iter().any(|permission| permission.action == action);
        for action in [
            "ec2:DescribeInstances",
            "ecr:BatchGetImage",
            "cloudwatch:GetMetricData",
            "ecs:DescribeTasks",
            "eks:DescribeCluster",
            "lambda:ListVersionsByFunction",
            "organizations:ListAccounts",
            "lambda:GetLayerVersion",
            "ssm:ListInventoryEntries",
            "ssm:SendCommand",
        ] {
            assert!(has(action), "{action}");
        }
        let looks = ["Describe", "Get", "List", "Search", "BatchGet"];
        for permission in all.iter().filter(|permission| permission.duty == Duty::Read) {
            let (_, name) = permission.action.split_once(':').unwrap();
            assert!(looks.iter().any(|verb| name.starts_with(verb)), "{} is in the policy that only reads", permission.action);
        }
        let text = policy(&all).to_string();
        assert!(text.len() < 6_144, "a managed policy holds no more than 6,144 characters: {}", text.len());
    }
}
