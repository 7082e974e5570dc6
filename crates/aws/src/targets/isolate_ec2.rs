//! Isolates an instance: all of its interfaces get one quarantine security group in place of those that they have. What they had is
//! noted first, and `undo` gives it back.
//!
//! This changes what runs. So it only says what it would do until `mode = "isolate"` is written; it acts as a role of its own; it
//! touches no instance whose tags do not allow it; and it never has more than a few isolated at a time.

use super::call::{Caller, Place};
use lestrade_events::{DeliveryError, Message, Notes, Sent, Surroundings, Target, TargetRecord};
use lestrade_wire::ec2::{Api, DescribeInstancesRequest, DescribeSecurityGroupsRequest, Filter, Instance};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The key of the note that holds who is isolated, and what they had.
const NOTE: &str = "isolated";
/// How many are isolated at a time when nobody says.
const AT_MOST: usize = 5;

/// What an interface had, by the interface.
type Groups = BTreeMap<String, Vec<String>>;

/// An instance that is isolated, or was about to be when the power went.
#[derive(Clone, Serialize, Deserialize)]
struct Isolated {
    groups: Groups,
    done: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    #[default]
    DryRun,
    Isolate,
}

#[derive(Deserialize)]
struct Options {
    #[serde(flatten)]
    place: Place,
    /// The quarantine group: one that lets nothing in and nothing out.
    group: String,
    /// `key=value`: one of these tags must be on the instance.
    #[serde(rename = "allow-tags")]
    allow_tags: Vec<String>,
    /// The role that is taken on for it.
    role: String,
    #[serde(default)]
    mode: Mode,
    #[serde(default, rename = "at-most")]
    at_most: Option<usize>,
}

struct Isolate {
    name: String,
    options: Options,
    notes: Arc<dyn Notes>,
    allowed: Vec<(String, String)>,
    ec2: Caller,
}

pub(super) fn open(record: &TargetRecord, surroundings: &Surroundings) -> Result<Box<dyn Target>, DeliveryError> {
    let options: Options = record.options()?;
    let unusable = |reason: &str| DeliveryError::unusable(&record.name, reason);
    if !options.group.starts_with("sg-") {
        return Err(unusable("group: a security group's id is like sg-0123456789abcdef0"));
    }
    let allowed: Option<Vec<_>> =
        options.allow_tags.iter().map(|tag| tag.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))).collect();
    let allowed = allowed.filter(|allowed| !allowed.is_empty()).ok_or_else(|| unusable("allow-tags: at least one, like isolate=yes"))?;
    let ec2 = Caller::open(record, surroundings, "ec2", &options.place.with_role(&options.role))?;
    Ok(Box::new(Isolate { name: record.name.clone(), options, notes: Arc::clone(&surroundings.notes), allowed, ec2 }))
}

fn refused(reason: impl Into<String>) -> DeliveryError {
    DeliveryError::Refused(reason.into())
}

impl Isolate {
    fn notes(&self) -> &Arc<dyn Notes> {
        &self.notes
    }

    fn isolated(&self) -> Result<BTreeMap<String, Isolated>, DeliveryError> {
        let note = self.notes().note(NOTE)?;
        Ok(note.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    fn keep(&self, isolated: &BTreeMap<String, Isolated>) -> Result<(), DeliveryError> {
        let text = serde_json::to_string(isolated).map_err(|error| refused(error.to_string()))?;
        self.notes().set_note(NOTE, &text)
    }

    fn isolate(&self, message: &Message) -> Sent {
        let body = &message.event.body;
        let resource = &body["detail"]["resources"][0];
        if body["detail-type"] != "Inspector2 Finding" || resource["type"] != "AWS_EC2_INSTANCE" {
            return Err(refused("it is not a finding of an instance"));
        }
        if body["detail"]["status"] != "ACTIVE" {
            return Ok(());
        }
        let id = resource["id"].as_str().filter(|id| id.starts_with("i-")).ok_or_else(|| refused("its resource is not named"))?.to_owned();
        let mut isolated = self.isolated()?;
        if let Some(known) = isolated.get(&id).cloned() {
            return if known.done { Ok(()) } else { self.finish(isolated, &id, known.groups) };
        }
        let most = self.options.at_most.unwrap_or(AT_MOST);
        if isolated.len() >= most {
            return Err(refused(format!("{most} instances are isolated already, and no more may be at a time")));
        }
        let instance = self.instance(&id)?;
        let tags = instance.tags.iter().flatten();
        let mut tags = tags.filter_map(|tag| Some((tag.key.as_deref()?, tag.value.as_deref().unwrap_or_default())));
        if !tags.any(|(key, value)| self.allowed.iter().any(|(k, v)| k == key && v == value)) {
            return Err(refused(format!("the tags of {id} do not allow it")));
        }
        let groups: Groups = instance
            .network_interfaces
            .iter()
            .flatten()
            .filter_map(|interface| {
                let groups = interface.groups.iter().flatten().filter_map(|group| group.group_id.clone()).collect();
                Some((interface.network_interface_id.clone()?, groups))
            })
            .collect();
        if groups.is_empty() {
            return Err(refused(format!("{id} has no interfaces")));
        }
        self.check_group(instance.vpc_id.as_deref().unwrap_or_default())?;
        if self.options.mode == Mode::DryRun {
            return self.notes().set_note(&format!("would isolate {id}"), &json!(groups).to_string());
        }
        // Noted first: whatever happens then can be taken back.
        isolated.insert(id.clone(), Isolated { groups: groups.clone(), done: false });
        self.keep(&isolated)?;
        self.finish(isolated, &id, groups)
    }

    fn finish(&self, mut isolated: BTreeMap<String, Isolated>, id: &str, groups: Groups) -> Sent {
        let quarantine = vec![self.options.group.clone()];
        groups.keys().try_for_each(|interface| self.set_groups(interface, &quarantine))?;
        isolated.insert(id.to_owned(), Isolated { groups, done: true });
        self.keep(&isolated)
    }

    fn instance(&self, id: &str) -> Result<Instance, DeliveryError> {
        let filter = Filter { name: Some("instance-id".into()), values: Some(vec![id.to_owned()]) };
        let request = DescribeInstancesRequest { filters: Some(vec![filter]), ..DescribeInstancesRequest::default() };
        let answer = self.ec2.call(&request)?;
        let instances = answer.reservations.into_iter().flatten().flat_map(|reservation| reservation.instances.unwrap_or_default());
        let mut named = instances.into_iter().filter(|instance| instance.instance_id.as_deref() == Some(id));
        named.next().ok_or_else(|| refused(format!("there is no instance {id}")))
    }

    /// A group of another VPC cannot be given, and one that lets anything in would isolate nothing.
    fn check_group(&self, vpc: &str) -> Sent {
        let group = self.options.group.clone();
        let request = DescribeSecurityGroupsRequest { group_ids: Some(vec![group.clone()]), ..DescribeSecurityGroupsRequest::default() };
        let answer = self.ec2.call(&request)?;
        let found = answer.security_groups.into_iter().flatten().next().ok_or_else(|| refused(format!("there is no group {group}")))?;
        if found.vpc_id.as_deref() != Some(vpc) {
            return Err(refused(format!("{group} is of another VPC than the instance")));
        }
        if found.ip_permissions.is_some_and(|permissions| !permissions.is_empty()) {
            return Err(refused(format!("{group} lets something in: it is no quarantine")));
        }
        Ok(())
    }

    fn set_groups(&self, interface: &str, groups: &[String]) -> Sent {
        let input = json!({ "NetworkInterfaceId": interface, "Groups": groups });
        self.ec2.ask(Api::ModifyNetworkInterfaceAttribute, &input).map(drop)
    }
}

impl Target for Isolate {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&mut self, messages: &[Message]) -> Vec<Sent> {
        messages.iter().map(|message| self.isolate(message)).collect()
    }

    fn undo(&mut self, resource: &str) -> Result<String, DeliveryError> {
        let mut isolated = self.isolated()?;
        let Isolated { groups, .. } =
            isolated.get(resource).cloned().ok_or_else(|| refused(format!("{resource} is not isolated by this target")))?;
        for (interface, had) in &groups {
            self.set_groups(interface, had)?;
        }
        isolated.remove(resource);
        self.keep(&isolated)?;
        let all: Vec<&str> = groups.values().flatten().map(String::as_str).collect();
        Ok(format!("{resource} has its groups again: {}", all.join(", ")))
    }
}
