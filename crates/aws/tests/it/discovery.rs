//! Discovery against moto, a stand-in for AWS that others wrote.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use lestrade_aws::{Ec2, Https, discover_instances};
use lestrade_model::{Clock, Scope, Timestamp};
use lestrade_wire::sigv4::{Credentials, SecretKey};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

/// A running moto that holds two instances and a security group; it ends with this value.
struct Moto {
    process: Child,
    endpoint: String,
    instances: Vec<String>,
    group: String,
}

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
    }
}

impl Moto {
    /// None where moto is not installed. Where it is, it must start.
    fn start() -> Option<Self> {
        let installed = Command::new("python3").args(["-c", "import boto3, moto.server"]).status();
        if !installed.is_ok_and(|status| status.success()) {
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/moto_estate.py");
        let mut process = Command::new("python3").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let estate: serde_json::Value = serde_json::from_str(&line).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        Some(Self {
            process,
            endpoint: text(&estate["endpoint"]),
            instances: estate["instances"].as_array().unwrap().iter().map(text).collect(),
            group: text(&estate["group"]),
        })
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn instances_and_security_groups_are_found() {
    let Some(moto) = Moto::start() else {
        lestrade_testkit::missing("python3 with moto[server] and boto3");
        return;
    };
    let credentials = Credentials { access_key: "AKIDEXAMPLE".into(), secret: SecretKey::new("secret".into()), session_token: None };
    let ec2 = Ec2::new(Https::new().unwrap(), Some(&moto.endpoint), "eu-west-1", credentials, Arc::new(SystemClock)).unwrap().paging(5);

    let scope = Scope::new("aws", "123456789012", "eu-west-1").unwrap();
    let found = discover_instances(&ec2, &scope).await.unwrap();
    assert_eq!(found.iter().map(|r| &r.key.id).collect::<Vec<_>>(), moto.instances.iter().collect::<Vec<_>>());
    let name = ("Name".to_owned(), "a & b <c>".to_owned());
    assert!(found.iter().all(|resource| resource.tags.contains(&name)), "{found:?}");

    let groups = ec2.describe_security_groups().await.unwrap();
    let group = groups.iter().find(|group| group.group_id.as_ref() == Some(&moto.group)).unwrap();
    let rules = group.ip_permissions.as_ref().unwrap();
    assert_eq!((rules[0].from_port, rules[0].to_port, rules[0].ip_protocol.as_deref()), (Some(22), Some(22), Some("tcp")));
    assert_eq!(rules[0].ip_ranges.as_ref().unwrap()[0].cidr_ip.as_deref(), Some("0.0.0.0/0"));

    let other = Scope::new("aws", "999999999999", "eu-west-1").unwrap();
    assert!(discover_instances(&ec2, &other).await.is_err());
}
