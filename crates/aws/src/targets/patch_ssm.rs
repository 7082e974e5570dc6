//! Has SSM upgrade the packages that findings of an instance name. What is to be upgraded is proposed first and done after somebody
//! approved of it; that it helped is said by the findings that the next look closes, and by nothing else.
//!
//! It upgrades packages of the operating system, by its own package manager, to what its repositories have. Names are checked before
//! they stand in a command. A command that was sent when the power went is sent again by another approval: upgrading twice does no harm.

use super::call::{Caller, Place};
use lestrade_events::{DeliveryError, Message, Notes, Proposal, Sent, Surroundings, Target, TargetRecord};
use lestrade_wire::ec2::{DescribeInstancesRequest, Filter};
use lestrade_wire::ssm::{CommandInvocationStatus, GetCommandInvocationRequest, SendCommandRequest};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The key of the note that holds the plans.
const NOTE: &str = "plans";
/// The most instances that there are plans for, and packages of one.
const PLANS: usize = 1_000;
const PACKAGES: usize = 500;
/// The longest name of a package, and how long an upgrade may take.
const LONGEST: usize = 128;
const PATIENCE_SECONDS: i32 = 3_600;
/// What the package managers are called in findings.
const MANAGERS: [&str; 2] = ["OS", "RPM"];

/// Plans are read, changed and kept by one at a time: whoever delivers and whoever approves hold the same notes.
static PLANNING: Mutex<()> = Mutex::new(());

/// What is to be done for an instance.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Plan {
    /// Packages, with the version that mends each.
    packages: BTreeMap<String, String>,
    /// The vulnerabilities that are open yet.
    open: BTreeSet<String>,
    /// Those that a look has closed since.
    #[serde(default)]
    closed: BTreeSet<String>,
    state: State,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    #[default]
    Proposed,
    /// Approved of; the command's id once SSM has said it.
    Sent(Option<String>),
    /// The command succeeded; the next look says whether that helped.
    Done,
    Failed(String),
    /// A look closed all that it was for.
    Verified,
}

#[derive(Deserialize)]
struct Options {
    #[serde(flatten)]
    place: Place,
    /// `key=value`: one of these tags must be on the instance.
    #[serde(rename = "allow-tags")]
    allow_tags: Vec<String>,
}

struct Patch {
    name: String,
    allowed: Vec<(String, String)>,
    notes: Arc<dyn Notes>,
    ec2: Caller,
    ssm: Caller,
}

pub(super) fn open(record: &TargetRecord, surroundings: &Surroundings) -> Result<Box<dyn Target>, DeliveryError> {
    let options: Options = record.options()?;
    let unusable = |reason: &str| DeliveryError::unusable(&record.name, reason);
    let allowed: Option<Vec<_>> =
        options.allow_tags.iter().map(|tag| tag.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))).collect();
    let allowed = allowed.filter(|allowed| !allowed.is_empty()).ok_or_else(|| unusable("allow-tags: at least one, like patch=yes"))?;
    Ok(Box::new(Patch {
        name: record.name.clone(),
        allowed,
        notes: Arc::clone(&surroundings.notes),
        ec2: Caller::open(record, surroundings, "ec2", &options.place)?,
        ssm: Caller::open(record, surroundings, "ssm", &options.place)?,
    }))
}

fn refused(reason: impl Into<String>) -> DeliveryError {
    DeliveryError::Refused(reason.into())
}

/// What a package may be called in dpkg, apk and rpm; nothing of it means anything to a shell.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+._-".contains(&byte);
    name.len() <= LONGEST && name.bytes().all(plain) && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
}

/// The script that upgrades packages with whatever manages them.
fn script(packages: &BTreeMap<String, String>) -> String {
    let names: Vec<&str> = packages.keys().map(String::as_str).collect();
    let names = names.join(" ");
    format!(
        "set -eu\n\
         if command -v apt-get >/dev/null 2>&1; then\n\
         export DEBIAN_FRONTEND=noninteractive\n\
         apt-get update -q\n\
         apt-get install -q -y --only-upgrade -o Dpkg::Options::=--force-confold {names}\n\
         elif command -v dnf >/dev/null 2>&1; then dnf upgrade -q -y {names}\n\
         elif command -v yum >/dev/null 2>&1; then yum update -q -y {names}\n\
         elif command -v zypper >/dev/null 2>&1; then zypper --non-interactive update {names}\n\
         elif command -v apk >/dev/null 2>&1; then apk update && apk add --upgrade {names}\n\
         else echo 'no package manager that is known' >&2; exit 1; fi\n"
    )
}

impl Patch {
    fn plans(&self) -> Result<BTreeMap<String, Plan>, DeliveryError> {
        let note = self.notes.note(NOTE)?;
        Ok(note.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    fn keep(&self, plans: &BTreeMap<String, Plan>) -> Result<(), DeliveryError> {
        let text = serde_json::to_string(plans).map_err(|error| refused(error.to_string()))?;
        self.notes.set_note(NOTE, &text)
    }

    fn take(&self, body: &Value) -> Sent {
        let detail = &body["detail"];
        let resource = &detail["resources"][0];
        if body["detail-type"] != "Inspector2 Finding" || resource["type"] != "AWS_EC2_INSTANCE" {
            return Err(refused("it is not a finding of an instance"));
        }
        let id = resource["id"].as_str().filter(|id| id.starts_with("i-")).ok_or_else(|| refused("its resource is not named"))?;
        let vulnerability = &detail["packageVulnerabilityDetails"];
        let name = vulnerability["vulnerabilityId"].as_str().ok_or_else(|| refused("it is not a finding of packages"))?;
        let _planning = PLANNING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut plans = self.plans()?;
        if detail["status"] != "ACTIVE" {
            // What was open and is not any more is what the last look says.
            let Some(plan) = plans.get_mut(id) else { return Ok(()) };
            if plan.open.remove(name) {
                plan.closed.insert(name.to_owned());
            }
            if plan.open.is_empty() && plan.state != State::Verified {
                // What was mended before anybody approved was not mended by this.
                if plan.state == State::Proposed {
                    plans.remove(id);
                } else if let Some(plan) = plans.get_mut(id) {
                    plan.state = State::Verified;
                }
            }
            return self.keep(&plans);
        }
        let packages = vulnerability["vulnerablePackages"].as_array().into_iter().flatten().filter_map(|package| {
            let manager = package["packageManager"].as_str().unwrap_or("OS");
            let fixed = package["fixedInVersion"].as_str().filter(|version| *version != "NotAvailable" && !version.is_empty())?;
            let name = package["name"].as_str().filter(|name| is_name(name) && MANAGERS.contains(&manager))?;
            Some((name.to_owned(), fixed.chars().take(LONGEST).collect::<String>()))
        });
        let packages: BTreeMap<String, String> = packages.collect();
        if packages.is_empty() {
            return Err(refused("none of its packages is one of the system's that a version mends"));
        }
        // What is done with makes room, and what comes anew is a plan of its own.
        if plans.get(id).is_some_and(|plan| plan.state == State::Verified) {
            plans.remove(id);
        }
        if plans.len() >= PLANS {
            plans.retain(|_, plan| plan.state != State::Verified);
        }
        if plans.len() >= PLANS && !plans.contains_key(id) {
            return Err(refused(format!("{PLANS} instances wait for an approval")));
        }
        let plan = plans.entry(id.to_owned()).or_default();
        let known = plan.packages.len();
        plan.packages.extend(packages);
        if plan.packages.len() > PACKAGES {
            return Err(refused(format!("more than {PACKAGES} packages of one instance")));
        }
        plan.open.insert(name.to_owned());
        // What was approved of was less than this.
        if plan.packages.len() > known && !matches!(plan.state, State::Sent(_)) {
            plan.state = State::Proposed;
        }
        self.keep(&plans)
    }

    fn check_tags(&self, id: &str) -> Sent {
        let filter = Filter { name: Some("instance-id".into()), values: Some(vec![id.to_owned()]) };
        let request = DescribeInstancesRequest { filters: Some(vec![filter]), ..DescribeInstancesRequest::default() };
        let answer = self.ec2.call(&request)?;
        let instances = answer.reservations.into_iter().flatten().flat_map(|reservation| reservation.instances.unwrap_or_default());
        let found = instances.into_iter().find(|instance| instance.instance_id.as_deref() == Some(id));
        let found = found.ok_or_else(|| refused(format!("there is no instance {id}")))?;
        let mut tags = found.tags.iter().flatten().filter_map(|tag| Some((tag.key.as_deref()?, tag.value.as_deref().unwrap_or_default())));
        let allows = tags.any(|(key, value)| self.allowed.iter().any(|(k, v)| k == key && v == value));
        if allows { Ok(()) } else { Err(refused(format!("the tags of {id} do not allow it"))) }
    }

    fn send(&self, id: &str, plan: &Plan) -> Result<String, DeliveryError> {
        let request = SendCommandRequest {
            instance_ids: Some(vec![id.to_owned()]),
            document_name: "AWS-RunShellScript".to_owned(),
            timeout_seconds: Some(600),
            comment: Some("Lestrade: upgrades packages that are vulnerable".to_owned()),
            parameters: Some(BTreeMap::from([
                ("commands".to_owned(), vec![script(&plan.packages)]),
                ("executionTimeout".to_owned(), vec![PATIENCE_SECONDS.to_string()]),
            ])),
            targets: None,
            document_version: None,
            document_hash: None,
            document_hash_type: None,
            output_s3_region: None,
            output_s3_bucket_name: None,
            output_s3_key_prefix: None,
            max_concurrency: None,
            max_errors: None,
            service_role_arn: None,
            notification_config: None,
            cloud_watch_output_config: None,
            alarm_configuration: None,
        };
        let command = self.ssm.call(&request)?.command.and_then(|command| command.command_id);
        command.ok_or_else(|| DeliveryError::unanswered("SendCommand: SSM names no command"))
    }

    /// What came of a command, as far as SSM knows.
    fn outcome(&self, id: &str, command: &str) -> Option<State> {
        use CommandInvocationStatus::{Cancelling, Delayed, InProgress, Pending, Success};
        let request = GetCommandInvocationRequest { command_id: command.to_owned(), instance_id: id.to_owned(), plugin_name: None };
        match self.ssm.call(&request).ok()?.status? {
            Pending | InProgress | Delayed | Cancelling => None,
            Success => Some(State::Done),
            other => Some(State::Failed(format!("the command ended as {}", other.as_str()))),
        }
    }
}

impl Target for Patch {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&mut self, messages: &[Message]) -> Vec<Sent> {
        messages.iter().map(|message| self.take(&message.event.body)).collect()
    }

    fn proposals(&mut self) -> Result<Vec<Proposal>, DeliveryError> {
        let _planning = PLANNING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut plans = self.plans()?;
        for (id, plan) in &mut plans {
            if let State::Sent(Some(command)) = &plan.state
                && let Some(outcome) = self.outcome(id, command)
            {
                plan.state = outcome;
            }
        }
        self.keep(&plans)?;
        let shown = |(resource, plan): (String, Plan)| Proposal {
            resource,
            what: plan.packages.iter().map(|(name, version)| format!("{name} to {version}")).collect(),
            closes: if plan.state == State::Verified { plan.closed } else { plan.open }.into_iter().collect(),
            state: match plan.state {
                State::Proposed => "proposed".to_owned(),
                State::Sent(_) => "sent".to_owned(),
                State::Done => "done, and not yet verified by a look".to_owned(),
                State::Failed(why) => format!("failed: {why}"),
                State::Verified => "verified: a look has closed what it was for".to_owned(),
            },
        };
        Ok(plans.into_iter().map(shown).collect())
    }

    fn approve(&mut self, resource: &str) -> Result<String, DeliveryError> {
        let _planning = PLANNING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut plans = self.plans()?;
        let plan = plans.get(resource).filter(|plan| plan.state != State::Verified).cloned();
        let plan = plan.ok_or_else(|| refused(format!("nothing is proposed for {resource}")))?;
        if let State::Sent(Some(command)) = &plan.state
            && self.outcome(resource, command).is_none()
        {
            return Err(refused(format!("command {command} runs on {resource}")));
        }
        self.check_tags(resource)?;
        // Noted first: that it may have been sent is known whatever happens then.
        plans.insert(resource.to_owned(), Plan { state: State::Sent(None), ..plan.clone() });
        self.keep(&plans)?;
        let sent = self.send(resource, &plan);
        let state = match &sent {
            Ok(command) => State::Sent(Some(command.clone())),
            Err(error) => State::Failed(error.to_string()),
        };
        plans.insert(resource.to_owned(), Plan { state, ..plan.clone() });
        self.keep(&plans)?;
        let count = plan.packages.len();
        sent.map(|command| format!("command {command} upgrades {count} package{} of {resource}", if count == 1 { "" } else { "s" }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_to_a_shell_is_no_name() {
        for name in ["openssl", "libstdc++6", "g++-12", "python3.11", "glibc-common"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-y", "a b", "a;b", "$(a)", "a`b`", "a\nb", "../a", "a'b", &"a".repeat(200)] {
            assert!(!is_name(name), "{name}");
        }
        let script = script(&BTreeMap::from([("openssl".to_owned(), "3.0.11".to_owned())]));
        assert!(script.contains("--only-upgrade -o Dpkg::Options::=--force-confold openssl\n"), "{script}");
    }
}
