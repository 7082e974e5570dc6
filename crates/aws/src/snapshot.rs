//! Disks of instances that nobody manages, by snapshots: taken, read block by block where a file system points, and deleted again.
//!
//! A snapshot carries a tag from the moment that it is there. Whatever happens to us, whoever comes next finds it by that and
//! deletes it.

use crate::{Error, Listing, Session};
use lestrade_wire::{Blob, Transport, ebs, ec2};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// The tag of our snapshots; its value is the instance.
const TAG: &str = "lestrade-scan";
/// How long a snapshot may take. The first one of a volume copies all of it.
const PATIENCE: u32 = 360;
const POLL: Duration = Duration::from_secs(10);
/// The most blocks of a volume: 16 TiB of half a MiB.
const MOST_BLOCKS: usize = 1 << 25;
/// The largest block that we take in; AWS's are half a MiB.
const LARGEST_BLOCK: u64 = 1 << 20;

/// A snapshot's blocks: those that are not listed hold zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotBlocks {
    /// The snapshot.
    pub id: String,
    /// Bytes of the volume.
    pub size: u64,
    /// Bytes of a block.
    pub block: u64,
    tokens: HashMap<u64, String>,
}

impl SnapshotBlocks {
    /// Whether a block holds anything but zeros.
    #[must_use]
    pub fn holds(&self, index: u64) -> bool {
        self.tokens.contains_key(&index)
    }
}

/// Takes a snapshot of a volume and waits until it can be read. Answers its id.
///
/// # Errors
/// When it cannot be taken, or does not come to be. One that was begun is deleted again.
pub async fn take_snapshot<T: Transport + Clone>(session: &Session<T>, volume: &str, instance: &str) -> Result<String, Error> {
    let tags = json!([{"ResourceType": "snapshot", "Tags": [{"Key": TAG, "Value": instance}]}]);
    let input = json!({"VolumeId": volume, "Description": "Lestrade reads this and deletes it", "TagSpecifications": tags});
    let answer = session.ask(ec2::Api::CreateSnapshot, &input).await?;
    let id = answer["SnapshotId"].as_str().filter(|id| !id.is_empty()).ok_or_else(|| bad("CreateSnapshot names no snapshot"))?.to_owned();
    let came = wait(session, &id).await;
    if came.is_err() {
        delete_snapshot(session, &id).await?;
    }
    came.map(|()| id)
}

async fn wait<T: Transport + Clone>(session: &Session<T>, id: &str) -> Result<(), Error> {
    let input = json!({ "SnapshotIds": [id] });
    for _ in 0..PATIENCE {
        let answer = session.ask(ec2::Api::DescribeSnapshots, &input).await?;
        match answer["Snapshots"][0]["State"].as_str() {
            Some("completed") => return Ok(()),
            Some("error") => return Err(bad("the snapshot failed")),
            _ => tokio::time::sleep(POLL).await,
        }
    }
    Err(bad("the snapshot did not come to be"))
}

/// Deletes a snapshot; one that is gone is deleted.
///
/// # Errors
/// When it cannot be deleted: it is found again by its tag.
pub async fn delete_snapshot<T: Transport + Clone>(session: &Session<T>, id: &str) -> Result<(), Error> {
    match session.ask(ec2::Api::DeleteSnapshot, &json!({ "SnapshotId": id })).await {
        Err(error) if error.is_refusal("InvalidSnapshot.NotFound") => Ok(()),
        answer => answer.map(drop),
    }
}

/// Our snapshots that are there.
pub async fn our_snapshots<T: Transport + Clone>(session: &Session<T>) -> Listing<String> {
    let input = json!({"OwnerIds": ["self"], "Filters": [{"Name": "tag-key", "Values": [TAG]}]});
    let listing = session.list(ec2::Api::DescribeSnapshots, input, "Snapshots").await;
    // What does not carry the tag is not ours to touch, whatever a filter let through.
    let ours = |snapshot: &Value| snapshot["Tags"].as_array().into_iter().flatten().any(|tag| tag["Key"] == TAG);
    let Listing { items, missing } = listing;
    let items = items.iter().filter(|snapshot| ours(snapshot)).filter_map(|snapshot| snapshot["SnapshotId"].as_str());
    Listing { items: items.map(str::to_owned).collect(), missing }
}

/// Lists the blocks of a snapshot.
///
/// # Errors
/// When a page is missing, or the list is none.
pub async fn snapshot_blocks<T: Transport + Clone>(session: &Session<T>, id: &str) -> Result<SnapshotBlocks, Error> {
    let mut blocks = SnapshotBlocks { id: id.to_owned(), ..SnapshotBlocks::default() };
    let mut input = json!({"SnapshotId": id, "MaxResults": 10_000});
    loop {
        let answer = session.ask(ebs::Api::ListSnapshotBlocks, &input).await?;
        blocks.block =
            answer["BlockSize"].as_u64().filter(|size| *size > 0 && *size <= LARGEST_BLOCK).ok_or_else(|| bad("no block size"))?;
        // In GiB.
        blocks.size = answer["VolumeSize"].as_u64().and_then(|size| size.checked_mul(1 << 30)).ok_or_else(|| bad("no volume size"))?;
        for block in answer["Blocks"].as_array().into_iter().flatten() {
            if let (Some(index), Some(token)) = (block["BlockIndex"].as_u64(), block["BlockToken"].as_str()) {
                blocks.tokens.insert(index, token.to_owned());
            }
        }
        if blocks.tokens.len() > MOST_BLOCKS {
            return Err(bad("more blocks than a volume has"));
        }
        match answer["NextToken"].as_str().filter(|token| !token.is_empty()) {
            None => return Ok(blocks),
            Some(token) if input["NextToken"] == token => return Err(Error::EndlessPages { operation: "ListSnapshotBlocks" }),
            Some(token) => input["NextToken"] = token.into(),
        }
    }
}

/// Fetches a block, of which the last one may be short.
///
/// # Errors
/// When it cannot be had, or is not a block.
pub async fn snapshot_block<T: Transport + Clone>(session: &Session<T>, blocks: &SnapshotBlocks, index: u64) -> Result<Vec<u8>, Error> {
    let Some(token) = blocks.tokens.get(&index) else {
        return Ok(vec![0; usize::try_from(blocks.block).unwrap_or_default()]);
    };
    let input = json!({"SnapshotId": blocks.id, "BlockIndex": index, "BlockToken": token});
    let mut answer = session.ask(ebs::Api::GetSnapshotBlock, &input).await?;
    let Blob(data) = serde_json::from_value(answer["BlockData"].take()).map_err(|_| bad("a block without data"))?;
    if data.len() as u64 != blocks.block {
        return Err(bad("a block of another size"));
    }
    Ok(data)
}

fn bad(reason: &str) -> Error {
    Error::Document(format!("a snapshot cannot be read: {reason}"))
}
