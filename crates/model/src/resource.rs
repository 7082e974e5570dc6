//! What is watched.

use crate::{Hash, HostDetails, Scope, Timestamp};
use serde::{Deserialize, Serialize};

/// What sort of thing a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ResourceKind {
    /// An EC2 instance.
    Instance,
    /// A container image in a registry, by digest.
    Image,
    /// A Lambda function.
    Function,
    /// A machine outside AWS.
    Host,
    /// A directory, archive or document handed over for one scan.
    Path,
    /// A machine image, from which instances are launched.
    MachineImage,
}

impl ResourceKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Instance, Self::Image, Self::Function, Self::Host, Self::Path, Self::MachineImage];
}

/// Names a resource in its scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ResourceKey {
    /// Whose it is.
    pub scope: Scope,
    /// What it is.
    pub kind: ResourceKind,
    /// Its identifier as `inspector2` prints it: an instance id, an image ARN, a function ARN with `:$LATEST`, a path.
    pub id: String,
}

impl ResourceKey {
    /// A number that resources share as good as never: half of what their findings' ARNs end with.
    #[must_use]
    pub fn print(&self) -> u64 {
        Hash::of_fields([self.scope.to_string().as_bytes(), &[self.kind as u8], self.id.as_bytes()]).short()
    }
}

/// What is known of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageDetails {
    /// The registry's host, and port if any; for ECR the account number.
    pub registry: String,
    /// The repository's name.
    pub repository: String,
    /// The manifest's digest, `sha256:…`.
    pub digest: String,
    /// Tags that point at it now, sorted.
    pub tags: Vec<String>,
    /// `amd64`, `arm64`.
    pub architecture: String,
    /// When it was first seen in the registry.
    pub pushed_at: Timestamp,
}

/// Where an image runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageUse {
    /// The cluster, as it was named.
    pub cluster: String,
    /// How many containers of it run there now.
    pub count: u32,
    /// When it was last said to run there.
    pub last: Timestamp,
}

impl ImageUse {
    /// How many containers of an image run, wherever that is; none where no cluster ever named it.
    #[must_use]
    pub fn count_of(uses: &[Self]) -> Option<u64> {
        (!uses.is_empty()).then(|| uses.iter().map(|usage| u64::from(usage.count)).sum())
    }

    /// When an image was last said to run, wherever that was.
    #[must_use]
    pub fn last_of(uses: &[Self]) -> Option<Timestamp> {
        uses.iter().map(|usage| usage.last).max()
    }
}

/// What is known of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceDetails {
    /// The machine image that it was launched from.
    pub image: String,
    /// `t3.micro`.
    pub instance_type: String,
    /// Its VPC; empty when it is in none.
    pub vpc: String,
    /// Its subnet; empty when it is in none.
    pub subnet: String,
    /// `Linux/UNIX`, `Windows`: what it is billed as, which says nothing about releases.
    pub platform: String,
    /// Whether it runs; one that is stopped keeps its findings.
    pub running: bool,
    /// When it was launched last.
    pub launched_at: Timestamp,
    /// Its addresses of IPv4, public ones first.
    pub addresses_v4: Vec<String>,
    /// Its addresses of IPv6.
    pub addresses_v6: Vec<String>,
    /// The name of its key pair; empty when it has none.
    pub key_name: String,
    /// The ARN of its profile; empty when it has none.
    pub profile: String,
    /// Its EBS volumes, the one that it starts from first.
    pub volumes: Vec<String>,
}

/// What is known of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionDetails {
    /// Its name.
    pub name: String,
    /// `python3.12`; empty for a function that is an image.
    pub runtime: String,
    /// The digest of its code, as Lambda prints it: SHA-256 in base64.
    pub code: String,
    /// `$LATEST`, or a number.
    pub version: String,
    /// The ARNs of its layers' versions, in their order.
    pub layers: Vec<String>,
    /// The ARN of the role that it runs as.
    pub role: String,
    /// Whether it is an image and not a zip.
    pub is_image: bool,
    /// `x86_64`, `arm64`.
    pub architectures: Vec<String>,
    /// When its code or configuration last changed.
    pub modified_at: Timestamp,
    /// Its VPC; empty when it is in none.
    pub vpc: String,
    /// Its subnets there.
    pub subnets: Vec<String>,
    /// Its security groups there.
    pub groups: Vec<String>,
}

/// What is known of a machine image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineImageDetails {
    /// Its name.
    pub name: String,
    /// `Linux/UNIX`, `Windows`: what its instances are billed as.
    pub platform: String,
    /// `x86_64`, `arm64`.
    pub architecture: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// The instance that it was made of; empty where that is not known.
    pub source: String,
    /// The snapshots of its volumes, that of the one that it starts from first.
    pub snapshots: Vec<String>,
}

/// What is known of a resource beyond its name, by kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ResourceDetails {
    /// Nothing more.
    None,
    /// Of an image.
    Image(ImageDetails),
    /// Of an instance.
    Instance(InstanceDetails),
    /// Of a function.
    Function(FunctionDetails),
    /// Of a machine.
    Host(HostDetails),
    /// Of a machine image.
    MachineImage(MachineImageDetails),
}

/// Facts of a resource on which the applicability of a verdict depends (the second gate), apart from its inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceFacts {
    /// The release of the running kernel (`uname -r`), where one runs.
    pub running_kernel: Option<String>,
}

/// Something that is watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Its name.
    pub key: ResourceKey,
    /// More about it.
    pub details: ResourceDetails,
    /// What applicability depends on.
    pub facts: ResourceFacts,
    /// Its tags, sorted by key.
    pub tags: Vec<(String, String)>,
}
