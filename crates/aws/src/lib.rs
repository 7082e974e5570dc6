//! Discovery and collection from AWS, and the targets of `events` that are its services.
//!
//! A [`Session`] asks, as one [`Principal`] in one region, over all pages; the `discover_*` functions say what there is in the
//! model's words, [`describe_network`] how it is connected, [`inventory_of`] what an instance told of itself, [`ChangeQueue`]
//! what moved. What could not be seen in full is a [`Listing`] that says so, never a shorter list: from absence follows that a
//! resource is gone, and only a complete view may say that.

mod apply;
mod bucket;
mod changes;
mod code;
mod discover;
mod endpoints;
mod error;
mod estate;
mod https;
mod inventory;
mod invocations;
mod kubernetes;
mod listing;
mod network;
mod organization;
mod permissions;
mod principal;
mod registry;
mod retry;
mod session;
mod setup;
mod snapshot;
pub mod targets;
mod told;

pub use apply::apply;
pub use bucket::{BucketSettings, Buckets, ObjectWriter};
pub use changes::{Change, ChangeEvent, ChangeQueue, NetworkObject, read_change};
pub use code::{download, layer_location};
pub use discover::{
    FoundImage, FoundMachineImage, FunctionCode, FunctionVersions, LATEST, RegistryRules, RunningImage, discover_clusters,
    discover_function, discover_functions, discover_images, discover_instances, discover_machine_images, discover_repositories,
    discover_running, discover_versions, registry_rules, wildcard,
};
pub use endpoints::Endpoints;
pub use error::Error;
pub use estate::{Estate, EstateSettings};
pub use https::Https;
pub use inventory::{InventoryBucket, ManagedInstance, inventory_of, managed_instances};
pub use invocations::uninvoked_functions;
pub use kubernetes::{KubernetesCluster, describe_kubernetes, discover_kubernetes};
pub use listing::Listing;
pub use network::{DescribedNetwork, describe_network, describe_object};
pub use permissions::{Duty, Permission, Tried, permissions, policy, try_permissions};
pub use principal::Principal;
pub use registry::{RegistryLogin, registry_login};
pub use retry::Retry;
pub use session::Session;
pub use setup::{cloudformation, setup_policy, terraform};
pub use snapshot::{SnapshotBlocks, delete_snapshot, our_snapshots, snapshot_block, snapshot_blocks, take_snapshot};
pub use told::{Told, ToldSocket, ask_instances};

#[cfg(test)]
mod script;
