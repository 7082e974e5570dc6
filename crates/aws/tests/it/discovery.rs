//! Discovery.

use super::Moto;
use lestrade_aws::{Ec2, Https, discover_instances};
use lestrade_model::Scope;
use lestrade_testkit::SystemClock;
use lestrade_wire::sigv4::{Credentials, SecretKey};
use std::sync::Arc;

#[tokio::test]
async fn instances_and_security_groups_are_found() {
    let Some(moto) = Moto::start("moto_estate.py") else { return };
    let credentials = Credentials { access_key: "AKIDEXAMPLE".into(), secret: SecretKey::new("secret".into()), session_token: None };
    let ec2 = Ec2::new(Https::new().unwrap(), moto.world["endpoint"].as_str(), "eu-west-1", credentials, Arc::new(SystemClock))
        .unwrap()
        .paging(5);

    let scope = Scope::new("aws", "123456789012", "eu-west-1").unwrap();
    let found = discover_instances(&ec2, &scope).await.unwrap();
    assert_eq!(serde_json::json!(found.iter().map(|r| &r.key.id).collect::<Vec<_>>()), moto.world["instances"]);
    let name = ("Name".to_owned(), "a & b <c>".to_owned());
    assert!(found.iter().all(|resource| resource.tags.contains(&name)), "{found:?}");

    let groups = ec2.describe_security_groups().await.unwrap();
    let group = groups.iter().find(|group| group.group_id.as_deref() == moto.world["group"].as_str()).unwrap();
    let rules = group.ip_permissions.as_ref().unwrap();
    assert_eq!((rules[0].from_port, rules[0].to_port, rules[0].ip_protocol.as_deref()), (Some(22), Some(22), Some("tcp")));
    assert_eq!(rules[0].ip_ranges.as_ref().unwrap()[0].cidr_ip.as_deref(), Some("0.0.0.0/0"));

    let other = Scope::new("aws", "999999999999", "eu-west-1").unwrap();
    assert!(discover_instances(&ec2, &other).await.is_err());
}
