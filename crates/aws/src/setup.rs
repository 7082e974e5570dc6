//! What an account needs so that it is watched from one second to the next: a queue, the rules that fill it, a list of packages from
//! every managed instance, and the permissions. As CloudFormation and as Terraform, from one description.

use crate::permissions::{Duty, permissions, policy};
use serde_json::{Value, json};
use std::fmt::Write;

/// The name of the queue, and the beginning of all other names.
const NAME: &str = "lestrade";
/// How long an event waits: four days, longer than a weekend.
const RETENTION_SECONDS: u32 = 345_600;

/// A rule: its name, what it is for, and its pattern.
struct EventRule {
    name: &'static str,
    description: &'static str,
    pattern: Value,
}

fn rules() -> Vec<EventRule> {
    let calls = |source: &str, names: &[&str]| {
        let names: Vec<Value> = names.iter().map(|prefix| json!({ "prefix": prefix })).collect();
        json!({
            "source": [source],
            "detail-type": ["AWS API Call via CloudTrail"],
            "detail": {"eventName": names},
        })
    };
    const CHANGES: [&str; 22] = [
        "Accept",
        "Allocate",
        "Associate",
        "Attach",
        "Assign",
        "Authorize",
        "Create",
        "Delete",
        "Detach",
        "Disable",
        "Disassociate",
        "Enable",
        "Modify",
        "Release",
        "Replace",
        "Reset",
        "Revoke",
        "Run",
        "Start",
        "Stop",
        "Terminate",
        "Unassign",
    ];
    vec![
        EventRule {
            name: "lestrade-images",
            description: "Images that are pushed and deleted, and which are to be scanned",
            pattern: json!({"source": ["aws.ecr"], "detail-type": ["ECR Image Action", "ECR Scan Resource Change"]}),
        },
        EventRule {
            name: "lestrade-tasks",
            description: "Tasks that start and end",
            // What waits and what ends runs nothing that was not told of when it began or will not be told of when it is over.
            pattern: json!({"source": ["aws.ecs"], "detail-type": ["ECS Task State Change"], "detail": {"lastStatus": ["RUNNING", "STOPPED"]}}),
        },
        EventRule {
            name: "lestrade-instances",
            description: "Instances that come and go",
            pattern: json!({"source": ["aws.ec2"], "detail-type": ["EC2 Instance State-change Notification"]}),
        },
        EventRule {
            name: "lestrade-inventories",
            description: "Instances that have told what is installed in them",
            pattern: json!({"source": ["aws.ssm"], "detail-type": ["EC2 State Manager Instance Association State Change"]}),
        },
        EventRule {
            name: "lestrade-synchronised",
            description: "Inventories that a resource data sync writes to buckets that tell EventBridge",
            pattern: json!({
                "source": ["aws.s3"], "detail-type": ["Object Created"],
                "detail": {"object": {"key": [{"wildcard": "*AWS:Application/*"}]}},
            }),
        },
        EventRule {
            name: "lestrade-functions",
            description: "Functions that change",
            pattern: calls("aws.lambda", &["Create", "Delete", "Publish", "Tag", "Untag", "Update"]),
        },
        EventRule { name: "lestrade-network", description: "Networks that change", pattern: calls("aws.ec2", &CHANGES) },
        EventRule {
            name: "lestrade-balancers",
            description: "Load balancers that change",
            pattern: calls("aws.elasticloadbalancing", &["Create", "Delete", "Deregister", "Modify", "Register", "Set"]),
        },
    ]
}

/// The whole policy, or without the permission to ask instances and to send findings on.
#[must_use]
pub fn setup_policy(duties: &[Duty]) -> Value {
    let wanted: Vec<_> = permissions().into_iter().filter(|permission| duties.contains(&permission.duty)).collect();
    policy(&wanted)
}

/// A CloudFormation template. Its outputs are what `serve` is told: the queue's URL, and the policy's ARN.
#[must_use]
pub fn cloudformation(duties: &[Duty]) -> Value {
    let mut resources = serde_json::Map::new();
    let queue = json!({"Fn::GetAtt": ["Queue", "Arn"]});
    resources.insert(
        "Queue".into(),
        json!({"Type": "AWS::SQS::Queue", "Properties": {
            "QueueName": NAME, "MessageRetentionPeriod": RETENTION_SECONDS, "SqsManagedSseEnabled": true,
        }}),
    );
    let mut sources = Vec::new();
    for rule in rules() {
        let id = identifier(rule.name);
        sources.push(json!({"Fn::GetAtt": [id, "Arn"]}));
        let properties = json!({
            "Name": rule.name, "Description": rule.description, "EventPattern": rule.pattern,
            "Targets": [{"Id": NAME, "Arn": queue}],
        });
        resources.insert(id, json!({"Type": "AWS::Events::Rule", "Properties": properties}));
    }
    let document = queue_policy(&queue, &json!(sources));
    resources.insert(
        "QueuePolicy".into(),
        json!({"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [{"Ref": "Queue"}], "PolicyDocument": document}}),
    );
    resources.insert(
        "Policy".into(),
        json!({"Type": "AWS::IAM::ManagedPolicy", "Properties": {
            // Policies are the account's, stacks the region's.
            "ManagedPolicyName": {"Fn::Sub": format!("{NAME}-${{AWS::Region}}")}, "Description": "What Lestrade may do", "PolicyDocument": setup_policy(duties),
        }}),
    );
    resources.insert(
        "Inventory".into(),
        json!({"Type": "AWS::SSM::Association", "Properties": {
            "Name": "AWS-GatherSoftwareInventory", "AssociationName": NAME, "ScheduleExpression": "rate(30 minutes)",
            "Targets": [{"Key": "InstanceIds", "Values": ["*"]}],
        }}),
    );
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "What Lestrade needs in an account: a queue of events, the rules that fill it, inventories, and permissions",
        "Resources": resources,
        "Outputs": {
            "Queue": {"Description": "lestrade serve --set aws-queue=…", "Value": {"Ref": "Queue"}},
            "Policy": {"Description": "Attach it to whoever runs lestrade", "Value": {"Ref": "Policy"}},
        },
    })
}

/// Who may fill the queue: the rules, and nobody else.
fn queue_policy(queue: &Value, rules: &Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": rules}},
    }]})
}

/// `lestrade-images` as a name of CloudFormation: `LestradeImages`.
fn identifier(name: &str) -> String {
    let capital = |word: &str| word.chars().take(1).map(|c| c.to_ascii_uppercase()).chain(word.chars().skip(1)).collect::<String>();
    name.split('-').map(capital).collect()
}

/// The same for Terraform.
#[must_use]
pub fn terraform(duties: &[Duty]) -> String {
    let mut out =
        String::from("# What Lestrade needs in an account: a queue of events, the rules that fill it, inventories, and permissions.\n\n");
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "resource \"aws_sqs_queue\" \"lestrade\" {{\n  name                      = \"{NAME}\"\n  message_retention_seconds = {RETENTION_SECONDS}\n  sqs_managed_sse_enabled   = true\n}}\n\n"
    );
    let mut arns = Vec::new();
    for rule in rules() {
        let id = rule.name.replace('-', "_");
        arns.push(format!("aws_cloudwatch_event_rule.{id}.arn"));
        let _ = write!(
            out,
            "resource \"aws_cloudwatch_event_rule\" \"{id}\" {{\n  name          = \"{}\"\n  description   = \"{}\"\n  event_pattern = <<-EOT\n{}\n  EOT\n}}\n\n\
             resource \"aws_cloudwatch_event_target\" \"{id}\" {{\n  rule = aws_cloudwatch_event_rule.{id}.name\n  arn  = aws_sqs_queue.lestrade.arn\n}}\n\n",
            rule.name,
            rule.description,
            pretty(&rule.pattern)
        );
    }
    let _ = write!(
        out,
        "resource \"aws_sqs_queue_policy\" \"lestrade\" {{\n  queue_url = aws_sqs_queue.lestrade.id\n  policy = jsonencode({{\n    Version = \"2012-10-17\"\n    Statement = [{{\n      Effect    = \"Allow\"\n      Principal = {{ Service = \"events.amazonaws.com\" }}\n      Action    = \"sqs:SendMessage\"\n      Resource  = aws_sqs_queue.lestrade.arn\n      Condition = {{ ArnEquals = {{ \"aws:SourceArn\" = [{}] }} }}\n    }}]\n  }})\n}}\n\n",
        arns.join(", ")
    );
    let _ = write!(
        out,
        "data \"aws_region\" \"current\" {{}}\n\nresource \"aws_iam_policy\" \"lestrade\" {{\n  name        = \"{NAME}-${{data.aws_region.current.name}}\"\n  description = \"What Lestrade may do\"\n  policy      = <<-EOT\n{}\n  EOT\n}}\n\n",
        pretty(&setup_policy(duties))
    );
    let _ = write!(
        out,
        "resource \"aws_ssm_association\" \"lestrade\" {{\n  name                = \"AWS-GatherSoftwareInventory\"\n  association_name    = \"{NAME}\"\n  schedule_expression = \"rate(30 minutes)\"\n  targets {{\n    key    = \"InstanceIds\"\n    values = [\"*\"]\n  }}\n}}\n\n\
         output \"queue\" {{\n  value = aws_sqs_queue.lestrade.id\n}}\n"
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read_change;
    use lestrade_events::{EventFields, Pattern};

    /// What the rules let through is what is understood when it comes, and what is understood comes through.
    #[test]
    fn the_rules_let_through_what_is_understood() {
        let event = |source: &str, kind: &str, detail: Value| json!({"version": "0", "account": "111122223333", "region": "eu-west-1", "source": source, "detail-type": kind, "detail": detail});
        let call = |source: &str, name: &str| {
            let detail =
                json!({"eventSource": format!("{source}.amazonaws.com"), "eventName": name, "requestParameters": {"functionName": "f"}});
            event(&format!("aws.{source}"), "AWS API Call via CloudTrail", detail)
        };
        let patterns: Vec<Pattern> = rules().iter().map(|rule| Pattern::parse(&rule.pattern.to_string()).unwrap()).collect();
        let comes = |event: &Value| patterns.iter().any(|pattern| pattern.matches(&EventFields::of(event).unwrap()));
        for wanted in [
            event("aws.ecr", "ECR Image Action", json!({"repository-name": "app"})),
            event("aws.ecr", "ECR Scan Resource Change", json!({"action-type": "SCAN_FREQUENCY_CHANGE"})),
            event("aws.ecs", "ECS Task State Change", json!({"clusterArn": "arn:c", "lastStatus": "RUNNING"})),
            event("aws.ec2", "EC2 Instance State-change Notification", json!({"instance-id": "i-1"})),
            event("aws.ssm", "EC2 State Manager Instance Association State Change", json!({"instance-id": "i-1"})),
            event("aws.s3", "Object Created", json!({"object": {"key": "sync/AWS:Application/accountid=1/region=x/i-1.json"}})),
            call("lambda", "UpdateFunctionCode20150331v2"),
            call("ec2", "AuthorizeSecurityGroupIngress"),
            call("ec2", "ReplaceRoute"),
            call("ec2", "DeleteNetworkAclEntry"),
            call("elasticloadbalancing", "RegisterTargets"),
        ] {
            assert!(comes(&wanted) && read_change(&wanted.to_string()).is_some(), "{wanted}");
        }
        let waits = event("aws.ecs", "ECS Task State Change", json!({"clusterArn": "arn:c", "lastStatus": "PENDING"}));
        for unwanted in [waits, call("ec2", "DescribeInstances"), call("lambda", "GetFunction20150331v2"), call("iam", "CreateRole")] {
            assert!(!comes(&unwanted), "{unwanted}");
        }
    }

    #[test]
    fn both_spellings_name_the_same() {
        let duties = [Duty::Read, Duty::Ask, Duty::Follow];
        let (template, text) = (cloudformation(&duties).to_string(), terraform(&duties));
        for rule in rules() {
            assert!(template.contains(rule.name) && text.contains(rule.name));
        }
        for permission in permissions().iter().filter(|permission| duties.contains(&permission.duty)) {
            assert!(template.contains(&permission.action) && text.contains(&permission.action), "{permission:?}");
        }
        assert!(!template.contains("securityhub:") && !text.contains("securityhub:"), "what was not asked for is not given");
    }
}
