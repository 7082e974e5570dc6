//! What is watched.

use crate::{HostDetails, Scope, Timestamp};
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

/// What is known of a resource beyond its name, by kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ResourceDetails {
    /// Nothing more.
    None,
    /// Of an image.
    Image(ImageDetails),
    /// Of a machine.
    Host(HostDetails),
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
