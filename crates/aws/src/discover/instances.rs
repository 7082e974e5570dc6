//! Instances.

use super::{instant, sorted};
use crate::{Error, Listing, Session};
use lestrade_model::{InstanceDetails, Resource, ResourceDetails, ResourceFacts, ResourceKey, ResourceKind, Scope};
use lestrade_wire::Transport;
use lestrade_wire::ec2::{Api, Instance, InstanceStateName, Reservation};
use serde_json::json;

/// The most that EC2 puts on a page.
const PAGE: i32 = 1000;

/// The instances of a scope that are not terminated: all of them, or those that are named.
///
/// The view is not complete when a page is missing, an instance has no id, or the credentials are another account's; of what
/// another account owns nothing is taken.
pub async fn discover_instances<T: Transport + Clone>(session: &Session<T>, scope: &Scope, named: &[String]) -> Listing<Resource> {
    // Ids as a filter: one that is gone is then no error of the whole call, as it is for the parameter.
    let input = match named {
        [] => json!({ "MaxResults": PAGE }),
        ids => json!({ "MaxResults": PAGE, "Filters": [{"Name": "instance-id", "Values": ids}] }),
    };
    let Listing { items, mut missing } = session.list_typed::<_, Reservation>(Api::DescribeInstances, input, "Reservations").await;
    let mut instances = Vec::new();
    for reservation in items {
        match reservation.owner_id.filter(|owner| *owner != scope.account) {
            Some(found) => {
                missing.get_or_insert(Error::WrongAccount { found, expected: scope.account.clone() });
            }
            None => instances.extend(reservation.instances.unwrap_or_default()),
        }
    }
    instances.retain(|instance| !is_terminated(instance));
    let mut listing = Listing { items: instances, missing }.map("instances", |instance| resource(instance, scope));
    listing.items.sort_by(|a, b| a.key.cmp(&b.key));
    listing
}

/// An instance that is shutting down still runs; one that is terminated stays listed for an hour.
fn is_terminated(instance: &Instance) -> bool {
    instance.state.as_ref().and_then(|state| state.name.as_ref()) == Some(&InstanceStateName::Terminated)
}

fn resource(instance: Instance, scope: &Scope) -> Option<Resource> {
    let id = instance.instance_id.filter(|id| !id.is_empty())?;
    let tags = instance.tags.unwrap_or_default().into_iter();
    let tags = tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect();
    let interfaces = instance.network_interfaces.unwrap_or_default();
    let v6 = interfaces.iter().flat_map(|interface| interface.ipv6_addresses.iter().flatten());
    let root = instance.root_device_name.unwrap_or_default();
    let mappings = instance.block_device_mappings.unwrap_or_default().into_iter();
    let mut volumes: Vec<(bool, String, String)> = mappings
        .filter_map(|mapping| {
            let device = mapping.device_name.unwrap_or_default();
            Some((device != root, device, mapping.ebs?.volume_id.filter(|id| !id.is_empty())?))
        })
        .collect();
    volumes.sort();
    let state = instance.state.and_then(|state| state.name);
    let details = InstanceDetails {
        image: instance.image_id.unwrap_or_default(),
        instance_type: instance.instance_type.unwrap_or_default(),
        vpc: instance.vpc_id.unwrap_or_default(),
        subnet: instance.subnet_id.unwrap_or_default(),
        platform: instance.platform_details.unwrap_or_default(),
        // A state that we do not know is no reason to stop looking.
        running: !matches!(state, Some(InstanceStateName::Stopped | InstanceStateName::Stopping)),
        launched_at: instant(instance.launch_time),
        addresses_v4: [instance.public_ip_address, instance.private_ip_address].into_iter().flatten().filter(|a| !a.is_empty()).collect(),
        addresses_v6: v6.filter_map(|address| address.ipv6_address.clone()).collect(),
        key_name: instance.key_name.unwrap_or_default(),
        volumes: volumes.into_iter().map(|(_, _, volume)| volume).collect(),
        profile: instance.iam_instance_profile.and_then(|profile| profile.arn).unwrap_or_default(),
    };
    Some(Resource {
        key: ResourceKey { scope: scope.clone(), kind: ResourceKind::Instance, id },
        details: ResourceDetails::Instance(details),
        facts: ResourceFacts::default(),
        tags: sorted(tags),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{self, Script};

    fn scope() -> Scope {
        Scope::new("aws", "111122223333", "eu-west-1").unwrap()
    }

    async fn discover(script: &Script) -> Listing<Resource> {
        discover_instances(&script::session(script), &scope(), &[]).await
    }

    #[tokio::test]
    async fn instances_become_resources_whatever_else_is_missing() {
        let bare = "<item><instanceId>i-2</instanceId></item>";
        let full = "<item><instanceId>i-1</instanceId><instanceState><name>stopped</name></instanceState><imageId>ami-1</imageId>\
                    <privateIpAddress>10.0.0.1</privateIpAddress><ipAddress>198.51.100.1</ipAddress>\
                    <tagSet><item><key>b</key></item><item><key>a</key><value>1</value></item><item><value>x</value></item></tagSet></item>";
        let gone = "<item><instanceId>i-0</instanceId><instanceState><name>terminated</name></instanceState></item>";
        let strange = "<item><instanceId>i-3</instanceId><instanceState><name>levitating</name></instanceState></item>";
        let script = Script::of([script::ok(&script::reservation("111122223333", &[bare, full, gone, strange].concat(), ""))]);
        let listing = discover(&script).await;
        assert!(listing.missing.is_none());
        let found = listing.items;
        assert_eq!(found.iter().map(|r| r.key.id.as_str()).collect::<Vec<_>>(), ["i-1", "i-2", "i-3"]);
        assert_eq!(found[0].tags, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())]);
        assert_eq!((found[0].key.kind, &found[0].key.scope), (ResourceKind::Instance, &scope()));
        let ResourceDetails::Instance(details) = &found[0].details else { panic!("{found:?}") };
        assert_eq!(details.addresses_v4, ["198.51.100.1", "10.0.0.1"]);
        assert!(!details.running && details.image == "ami-1");
    }

    #[tokio::test]
    async fn what_is_missing_is_told_and_what_was_seen_is_kept() {
        let first = script::ok(&script::reservation("111122223333", "<item><instanceId>i-1</instanceId></item>", "more"));
        let lost = discover(&Script::of([first, script::refused(403, "UnauthorizedOperation")])).await;
        assert_eq!(lost.items.len(), 1);
        assert!(lost.missing.unwrap().is_denied());

        let foreign = script::ok(&script::reservation("999999999999", "<item><instanceId>i-1</instanceId></item>", ""));
        let foreign = discover(&Script::of([foreign])).await;
        assert!(foreign.items.is_empty() && matches!(foreign.missing, Some(Error::WrongAccount { .. })));

        let nameless = script::ok(&script::reservation("111122223333", "<item/><item><instanceId>i-1</instanceId></item>", ""));
        let nameless = discover(&Script::of([nameless])).await;
        assert!(nameless.items.len() == 1 && matches!(nameless.missing, Some(Error::Nameless { count: 1, .. })));
    }

    #[tokio::test]
    async fn nothing_there_is_an_empty_view_and_no_error() {
        let listing = discover(&Script::of([script::ok("<R><reservationSet/></R>")])).await;
        assert!(listing.items.is_empty() && listing.missing.is_none());
    }
}
