//! What moved, by the events that AWS sends to a queue.
//!
//! An event names what to look at again and is never believed beyond that: it may be late, doubled, out of order or forged. What
//! an account outside the estate sends, and what is not such an event, is passed over.

use crate::{Error, Session};
use lestrade_wire::Transport;
use lestrade_wire::sqs::{DeleteMessageBatchRequest, DeleteMessageBatchRequestEntry, Message, ReceiveMessageRequest};
use serde_json::Value;

/// The longest event; AWS's own limit.
const LONGEST: usize = 256 << 10;
/// How long one call waits for an event.
const WAIT_SECONDS: i32 = 10;
/// How many a call brings at most.
const MOST: i32 = 10;

/// Something that has to be looked at again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// An instance: its state, its tags.
    Instance(String),
    /// What is installed in an instance.
    Inventory(String),
    /// The images of a repository.
    Repository(String),
    /// The rules by which a registry has its repositories watched.
    Registry,
    /// A function.
    Function(String),
    /// What runs in a cluster of ECS, by its ARN.
    Cluster(String),
    /// One object of the network.
    Object(NetworkObject),
    /// The network: groups, routes, addresses, load balancers.
    Network,
}

/// An object of a network that can be asked for by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NetworkObject {
    /// A security group.
    Group(String),
    /// A network ACL.
    Acl(String),
    /// A route table.
    RouteTable(String),
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeEvent {
    /// The account that it is about.
    pub account: String,
    /// The region.
    pub region: String,
    /// What is to be looked at again.
    pub change: Change,
    /// What it says has ended: an instance by its id, an image by its digest, a function by its name. Where that is missing too, it
    /// is gone.
    pub ended: Option<String>,
}

/// Reads an event; none when it is not about anything that is watched.
#[must_use]
pub fn read_change(body: &str) -> Option<ChangeEvent> {
    if body.len() > LONGEST {
        return None;
    }
    let event: Value = serde_json::from_str(body).ok()?;
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty() && text.len() <= 512).map(str::to_owned);
    let account = text(&event["account"])?;
    let region = text(&event["region"])?;
    let detail = &event["detail"];
    let mut ended = None;
    let change = match (event["source"].as_str()?, event["detail-type"].as_str()?) {
        ("aws.s3", "Object Created") => return synchronised(detail["object"]["key"].as_str()?, account, region),
        ("aws.ecr", "ECR Scan Resource Change") => Change::Registry,
        ("aws.ecs", "ECS Task State Change") => Change::Cluster(text(&detail["clusterArn"])?),
        ("aws.ecr", "ECR Image Action") => {
            ended = text(&detail["image-digest"]).filter(|_| detail["action-type"] == "DELETE");
            Change::Repository(text(&detail["repository-name"])?)
        }
        ("aws.ec2", "EC2 Instance State-change Notification") => {
            ended = text(&detail["instance-id"]).filter(|_| detail["state"] == "terminated");
            Change::Instance(text(&detail["instance-id"])?)
        }
        ("aws.ssm", "EC2 State Manager Instance Association State Change") => Change::Inventory(text(&detail["instance-id"])?),
        (_, "AWS API Call via CloudTrail") => {
            let change = call(detail)?;
            if let Change::Function(name) = &change {
                ended = deletes_function(detail["eventName"].as_str()?).then(|| name.clone());
            }
            change
        }
        _ => return None,
    };
    Some(ChangeEvent { account, region, change, ended })
}

/// Whether a call deletes a function, and not something that belongs to one: `DeleteFunction20150331`.
fn deletes_function(call: &str) -> bool {
    call.strip_prefix("DeleteFunction").is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'v'))
}

/// The instance whose inventory an object of a resource data sync is:
/// `…/AWS:Application/accountid=…/region=…/resourcetype=ManagedInstanceInventory/i-1.json`. A sync brings what many accounts and
/// regions have into one bucket: the object's place says whose instance it is, and the event no more than whose bucket.
fn synchronised(key: &str, account: String, region: String) -> Option<ChangeEvent> {
    let key = key.replace("%3A", ":").replace("%3D", "=");
    let (_, rest) = key.split_once("AWS:Application/")?;
    let id = rest.rsplit('/').next()?.strip_suffix(".json")?;
    let named = |label: &str| rest.split('/').find_map(|part| part.strip_prefix(label)).filter(|value| !value.is_empty());
    let account = named("accountid=").map_or(account, str::to_owned);
    let region = named("region=").map_or(region, str::to_owned);
    let change = Change::Inventory(id.to_owned());
    (id.starts_with("i-") || id.starts_with("mi-")).then_some(ChangeEvent { account, region, change, ended: None })
}

/// What a call that somebody made touches. Calls that only read, and those that failed, touch nothing.
fn call(detail: &Value) -> Option<Change> {
    let name = detail["eventName"].as_str()?;
    let reads = ["Describe", "List", "Get", "Search"].iter().any(|verb| name.starts_with(verb));
    if reads || detail["errorCode"].is_string() {
        return None;
    }
    let asked = &detail["requestParameters"];
    match detail["eventSource"].as_str()? {
        "lambda.amazonaws.com" => {
            let named = ["functionName", "resource"].iter().find_map(|key| asked[*key].as_str())?;
            Some(Change::Function(function_name(named)?))
        }
        "ec2.amazonaws.com" => match name {
            "CreateTags" | "DeleteTags" => {
                let items = asked["resourcesSet"]["items"].as_array()?;
                items
                    .iter()
                    .filter_map(|item| item["resourceId"].as_str())
                    .find(|id| id.starts_with("i-"))
                    .map(|id| Change::Instance(id.into()))
            }
            name if touches_network(name) => Some(object(name, asked).map_or(Change::Network, Change::Object)),
            _ => None,
        },
        "elasticloadbalancing.amazonaws.com" => Some(Change::Network),
        _ => None,
    }
}

/// The one object that a call touches; none where it touches more, as what is associated with what does.
fn object(call: &str, asked: &Value) -> Option<NetworkObject> {
    let id = |value: &Value, prefix: &str| {
        let id = value.as_str().filter(|id| id.len() <= 64 && id.starts_with(prefix))?;
        id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-').then(|| id.to_owned())
    };
    match call {
        "AuthorizeSecurityGroupIngress"
        | "AuthorizeSecurityGroupEgress"
        | "RevokeSecurityGroupIngress"
        | "RevokeSecurityGroupEgress"
        | "ModifySecurityGroupRules" => {
            let group = [&asked["groupId"], &asked["ModifySecurityGroupRulesRequest"]["GroupId"]];
            group.into_iter().find_map(|value| id(value, "sg-")).map(NetworkObject::Group)
        }
        "CreateNetworkAclEntry" | "ReplaceNetworkAclEntry" | "DeleteNetworkAclEntry" => {
            id(&asked["networkAclId"], "acl-").map(NetworkObject::Acl)
        }
        "CreateRoute" | "ReplaceRoute" | "DeleteRoute" => id(&asked["routeTableId"], "rtb-").map(NetworkObject::RouteTable),
        _ => None,
    }
}

fn touches_network(name: &str) -> bool {
    const WORDS: [&str; 16] = [
        "SecurityGroup",
        "Route",
        "NetworkAcl",
        "Gateway",
        "Address",
        "NetworkInterface",
        "Subnet",
        "Vpc",
        "Vpn",
        "PrefixList",
        "TransitGateway",
        "RunInstances",
        "StartInstances",
        "StopInstances",
        "TerminateInstances",
        "BlockPublicAccess",
    ];
    WORDS.iter().any(|word| name.contains(word))
}

/// A function's name: of a name, of an ARN, with a version or without.
fn function_name(text: &str) -> Option<String> {
    let name = match text.split_once(":function:") {
        Some((_, rest)) => rest.split(':').next()?,
        None => text.split(':').next()?,
    };
    (!name.is_empty()).then(|| name.to_owned())
}

/// A queue of events.
pub struct ChangeQueue<T> {
    session: Session<T>,
    url: String,
}

/// An event of a queue.
pub struct Received {
    /// Its text.
    pub body: String,
    receipt: String,
}

impl<T: Transport + Clone> ChangeQueue<T> {
    /// The queue at this URL.
    pub fn new(session: Session<T>, url: &str) -> Self {
        Self { session, url: url.to_owned() }
    }

    /// Waits some seconds for events.
    ///
    /// # Errors
    /// When the queue cannot be asked.
    pub async fn receive(&self) -> Result<Vec<Received>, Error> {
        let request = ReceiveMessageRequest {
            queue_url: self.url.clone(),
            max_number_of_messages: Some(MOST),
            wait_time_seconds: Some(WAIT_SECONDS),
            attribute_names: None,
            message_attribute_names: None,
            message_system_attribute_names: None,
            receive_request_attempt_id: None,
            visibility_timeout: None,
        };
        let messages = self.session.call(&request).await?.messages.unwrap_or_default();
        let received = |message: Message| Some(Received { body: message.body.unwrap_or_default(), receipt: message.receipt_handle? });
        Ok(messages.into_iter().filter_map(received).collect())
    }

    /// Takes events off the queue, once what they name has been looked at. One that cannot be taken off comes again, which
    /// does no harm.
    ///
    /// # Errors
    /// When the queue cannot be asked.
    pub async fn done(&self, received: &[Received]) -> Result<(), Error> {
        if received.is_empty() {
            return Ok(());
        }
        let entry = |(i, received): (usize, &Received)| DeleteMessageBatchRequestEntry {
            id: i.to_string(),
            receipt_handle: received.receipt.clone(),
        };
        let entries = received.iter().enumerate().map(entry).collect();
        self.session.call(&DeleteMessageBatchRequest { queue_url: self.url.clone(), entries }).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(source: &str, kind: &str, detail: Value) -> Option<ChangeEvent> {
        let event = json!({"account": "111122223333", "region": "eu-west-1", "source": source, "detail-type": kind, "detail": detail});
        read_change(&event.to_string())
    }

    fn change(source: &str, kind: &str, detail: Value) -> Option<Change> {
        event(source, kind, detail).map(|event| event.change)
    }

    fn called(source: &str, name: &str, parameters: Value) -> Option<Change> {
        let detail = json!({"eventSource": format!("{source}.amazonaws.com"), "eventName": name, "requestParameters": parameters});
        change(&format!("aws.{source}"), "AWS API Call via CloudTrail", detail)
    }

    #[test]
    fn events_name_what_to_look_at_again() {
        let pushed = json!({"result": "SUCCESS", "repository-name": "app", "image-digest": "sha256:0", "action-type": "PUSH"});
        assert_eq!(change("aws.ecr", "ECR Image Action", pushed), Some(Change::Repository("app".into())));
        let state = json!({"instance-id": "i-1", "state": "terminated"});
        assert_eq!(change("aws.ec2", "EC2 Instance State-change Notification", state), Some(Change::Instance("i-1".into())));
        let key = "sync/AWS:Application/accountid=1/region=eu-west-1/resourcetype=ManagedInstanceInventory/i-1.json";
        assert_eq!(change("aws.s3", "Object Created", json!({"object": {"key": key}})), Some(Change::Inventory("i-1".into())));
        let task = json!({"clusterArn": "arn:aws:ecs:eu-west-1:1:cluster/shop", "lastStatus": "RUNNING"});
        assert_eq!(change("aws.ecs", "ECS Task State Change", task), Some(Change::Cluster("arn:aws:ecs:eu-west-1:1:cluster/shop".into())));
        assert_eq!(change("aws.ecr", "ECR Scan Resource Change", json!({"scan-type": "ENHANCED"})), Some(Change::Registry));
        let arn = "arn:aws:lambda:eu-west-1:1:function:f:7";
        for (source, name, parameters, expected) in [
            ("lambda", "UpdateFunctionCode20150331v2", json!({"functionName": arn}), Some(Change::Function("f".into()))),
            ("lambda", "TagResource20170331v2", json!({"resource": arn}), Some(Change::Function("f".into()))),
            ("lambda", "GetFunction20150331v2", json!({"functionName": "f"}), None),
            ("ec2", "AuthorizeSecurityGroupIngress", json!({}), Some(Change::Network)),
            ("ec2", "AuthorizeSecurityGroupIngress", json!({"groupId": "sg-1"}), Some(Change::Object(NetworkObject::Group("sg-1".into())))),
            ("ec2", "AuthorizeSecurityGroupIngress", json!({"groupId": "sg-1&x=y"}), Some(Change::Network)),
            (
                "ec2",
                "ModifySecurityGroupRules",
                json!({"ModifySecurityGroupRulesRequest": {"GroupId": "sg-1"}}),
                Some(Change::Object(NetworkObject::Group("sg-1".into()))),
            ),
            ("ec2", "DeleteRoute", json!({"routeTableId": "rtb-1"}), Some(Change::Object(NetworkObject::RouteTable("rtb-1".into())))),
            ("ec2", "AssociateRouteTable", json!({"routeTableId": "rtb-1", "subnetId": "subnet-1"}), Some(Change::Network)),
            ("ec2", "ReplaceNetworkAclEntry", json!({"networkAclId": "acl-1"}), Some(Change::Object(NetworkObject::Acl("acl-1".into())))),
            ("ec2", "DescribeSecurityGroups", json!({}), None),
            (
                "ec2",
                "CreateTags",
                json!({"resourcesSet": {"items": [{"resourceId": "vol-1"}, {"resourceId": "i-1"}]}}),
                Some(Change::Instance("i-1".into())),
            ),
            ("elasticloadbalancing", "RegisterTargets", json!({}), Some(Change::Network)),
            ("iam", "CreateRole", json!({}), None),
        ] {
            assert_eq!(called(source, name, parameters), expected, "{name}");
        }
    }

    #[test]
    fn events_say_what_has_ended() {
        let ended = |source: &str, kind: &str, detail: Value| event(source, kind, detail).and_then(|event| event.ended);
        let image = |action: &str| json!({"repository-name": "app", "image-digest": "sha256:0", "action-type": action});
        assert_eq!(ended("aws.ecr", "ECR Image Action", image("DELETE")).as_deref(), Some("sha256:0"));
        assert_eq!(ended("aws.ecr", "ECR Image Action", image("PUSH")), None);
        let instance = |state: &str| json!({"instance-id": "i-1", "state": state});
        assert_eq!(ended("aws.ec2", "EC2 Instance State-change Notification", instance("terminated")).as_deref(), Some("i-1"));
        assert_eq!(ended("aws.ec2", "EC2 Instance State-change Notification", instance("shutting-down")), None);
        let call = |name: &str| {
            let detail = json!({"eventSource": "lambda.amazonaws.com", "eventName": name, "requestParameters": {"functionName": "f"}});
            ended("aws.lambda", "AWS API Call via CloudTrail", detail)
        };
        assert_eq!(call("DeleteFunction20150331").as_deref(), Some("f"));
        assert_eq!(call("DeleteFunctionUrlConfig"), None);
        assert_eq!(call("UpdateFunctionCode20150331v2"), None);
    }

    /// One bucket holds what many accounts and regions have.
    #[test]
    fn an_object_of_a_data_sync_says_whose_instance_it_is() {
        let of = |key: &str| {
            let event = json!({"account": "111122223333", "region": "eu-west-1", "source": "aws.s3", "detail-type": "Object Created",
                "detail": {"object": {"key": key}}});
            read_change(&event.to_string()).map(|event| (event.account, event.region, event.change))
        };
        let place = "AWS:Application/accountid=444455556666/region=us-east-1/resourcetype=ManagedInstanceInventory/i-1.json";
        let theirs = Some(("444455556666".to_owned(), "us-east-1".to_owned(), Change::Inventory("i-1".into())));
        assert_eq!(of(&format!("sync/{place}")), theirs);
        assert_eq!(of(&place.replace(':', "%3A").replace('=', "%3D")), theirs);
        let bare = Some(("111122223333".to_owned(), "eu-west-1".to_owned(), Change::Inventory("mi-1".into())));
        assert_eq!(of("AWS:Application/mi-1.json"), bare);
        assert_eq!(of("AWS:Network/accountid=1/region=x/i-1.json"), None);
    }

    #[test]
    fn junk_is_passed_over() {
        for body in ["", "null", "[]", "{}", "\u{0}", r#"{"account": 1}"#, &"x".repeat(300_000)] {
            assert_eq!(read_change(body), None);
        }
        assert_eq!(change("aws.ecr", "ECR Image Action", json!({"repository-name": ""})), None);
        assert_eq!(change("aws.s3", "Object Created", json!({"object": {"key": "AWS:Application/../../etc/passwd"}})), None);
    }

    proptest::proptest! {
        #[test]
        fn no_event_panics(source in ".{0,20}", kind in ".{0,20}", key in ".{0,40}") {
            let _ = change(&source, &kind, json!({"object": {"key": key}, "eventName": key, "eventSource": source}));
            let _ = read_change(&key);
        }
    }
}
