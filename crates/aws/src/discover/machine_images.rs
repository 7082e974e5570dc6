//! Machine images.

use super::sorted;
use crate::{Error, Listing, Session};
use lestrade_model::{MachineImageDetails, Resource, ResourceDetails, ResourceFacts, ResourceKey, ResourceKind, Scope, Timestamp};
use lestrade_wire::Transport;
use lestrade_wire::ec2::Api;
use serde_json::{Value, json};

/// The most that EC2 puts on a page.
const PAGE: i32 = 1000;

/// A machine image, and what decides whether it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundMachineImage {
    /// The machine image.
    pub resource: Resource,
    /// When it was launched last, if that is known: EC2 tells it a day late.
    pub launched_at: Option<Timestamp>,
}

/// The machine images that an account owns, without those that are not there yet, or no longer usable. What others own and share is
/// read by them.
pub async fn discover_machine_images<T: Transport + Clone>(session: &Session<T>, scope: &Scope) -> Listing<FoundMachineImage> {
    let input = json!({ "Owners": ["self"], "MaxResults": PAGE });
    let Listing { mut items, mut missing } = session.list(Api::DescribeImages, input, "Images").await;
    items.retain(|image| image["State"].as_str().is_none_or(|state| state == "available"));
    items.retain(|image| match image["OwnerId"].as_str().filter(|owner| *owner != scope.account) {
        Some(owner) => {
            missing.get_or_insert(Error::WrongAccount { found: owner.to_owned(), expected: scope.account.clone() });
            false
        }
        None => true,
    });
    let mut images = Listing { items, missing }.map("machine images", |image| found(&image, scope));
    images.items.sort_by(|a, b| a.resource.key.cmp(&b.resource.key));
    images
}

fn found(image: &Value, scope: &Scope) -> Option<FoundMachineImage> {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let id = Some(text(image, "ImageId")).filter(|id| !id.is_empty())?;
    let root = text(image, "RootDeviceName");
    let mappings = image["BlockDeviceMappings"].as_array().into_iter().flatten();
    let mut snapshots: Vec<(bool, String, String)> = mappings
        .filter_map(|mapping| {
            let device = text(mapping, "DeviceName");
            let snapshot = mapping["Ebs"]["SnapshotId"].as_str().filter(|id| !id.is_empty())?;
            Some((device != root, device, snapshot.to_owned()))
        })
        .collect();
    snapshots.sort();
    let tag = |tag: &Value| Some((tag["Key"].as_str()?.to_owned(), text(tag, "Value")));
    let instant = |key: &str| image[key].as_str().and_then(|at| Timestamp::parse(at).ok());
    let details = MachineImageDetails {
        name: text(image, "Name"),
        platform: text(image, "PlatformDetails"),
        architecture: text(image, "Architecture"),
        created_at: instant("CreationDate").unwrap_or_default(),
        source: text(image, "SourceInstanceId"),
        snapshots: snapshots.into_iter().map(|(_, _, snapshot)| snapshot).collect(),
    };
    Some(FoundMachineImage {
        resource: Resource {
            key: ResourceKey { scope: scope.clone(), kind: ResourceKind::MachineImage, id },
            details: ResourceDetails::MachineImage(details),
            facts: ResourceFacts::default(),
            tags: sorted(image["Tags"].as_array().into_iter().flatten().filter_map(tag).collect()),
        },
        launched_at: instant("LastLaunchedTime"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{self, Script};

    #[tokio::test]
    async fn machine_images_become_resources_with_their_snapshots() {
        let scope = Scope::new("aws", "111122223333", "eu-west-1").unwrap();
        let body = "<R><imagesSet>\
            <item><imageId>ami-2</imageId><imageState>available</imageState><imageOwnerId>111122223333</imageOwnerId><name>web</name>\
            <creationDate>2026-01-01T00:00:00.000Z</creationDate><lastLaunchedTime>2026-02-01T00:00:00Z</lastLaunchedTime>\
            <rootDeviceName>/dev/xvda</rootDeviceName><blockDeviceMapping>\
            <item><deviceName>/dev/sdb</deviceName><ebs><snapshotId>snap-b</snapshotId></ebs></item>\
            <item><deviceName>/dev/xvda</deviceName><ebs><snapshotId>snap-a</snapshotId></ebs></item>\
            <item><deviceName>/dev/sdc</deviceName><virtualName>ephemeral0</virtualName></item></blockDeviceMapping>\
            <tagSet><item><key>b</key></item><item><key>a</key><value>1</value></item></tagSet></item>\
            <item><imageId>ami-3</imageId><imageState>pending</imageState></item>\
            <item><imageId>ami-1</imageId></item><item/></imagesSet></R>";
        let listing = discover_machine_images(&script::session(&Script::of([script::ok(body)])), &scope).await;
        assert!(matches!(listing.missing, Some(Error::Nameless { count: 1, .. })), "{listing:?}");
        let [bare, full] = listing.items.as_slice() else { panic!("{listing:?}") };
        assert_eq!((bare.resource.key.id.as_str(), bare.launched_at), ("ami-1", None));
        let ResourceDetails::MachineImage(details) = &full.resource.details else { panic!("{full:?}") };
        assert_eq!(details.snapshots, ["snap-a", "snap-b"]);
        assert_eq!((details.created_at.to_string().as_str(), full.resource.tags.len()), ("2026-01-01T00:00:00Z", 2));
        assert_eq!(full.launched_at, Timestamp::parse("2026-02-01T00:00:00Z").ok());

        let foreign = "<R><imagesSet><item><imageId>ami-1</imageId><imageOwnerId>999999999999</imageOwnerId></item></imagesSet></R>";
        let listing = discover_machine_images(&script::session(&Script::of([script::ok(foreign)])), &scope).await;
        assert!(listing.items.is_empty() && matches!(listing.missing, Some(Error::WrongAccount { .. })));
    }
}
