//! The vocabulary of Lestrade. Every other room speaks in these words and adds none of its own for the same thing.
//!
//! This room is pure: no I/O, no clock, no async, no SQL. Time is a value ([`Timestamp`]); who may read a clock implements
//! [`Clock`] at the edge.

mod advisory;
mod component;
mod coverage;
mod curated;
mod cvss;
mod ecosystem;
mod exploitation;
mod exposure;
mod finding;
mod hash;
mod host;
mod inventory;
mod lifecycle;
mod package_url;
mod packed;
mod purl;
mod resource;
mod scope;
mod severity;
mod time;
mod updates;
mod windows;

pub use advisory::{Advisory, AdvisoryKey, Affected, Event, FixState, Range, RangeKind, Reference};
pub use component::{Component, Source};
pub use coverage::{Coverage, CoverageReason, ScanKind};
pub use curated::{CURATED, CuratedProduct, is_curated};
pub use cvss::{Cvss, CvssVersion, UnusableVector};
pub use ecosystem::{Ecosystem, EcosystemError, Family};
pub use exploitation::{Exploit, ExploitMaturity, ExploitSource, Exploitation, KnownExploited, Ssvc};
pub use exposure::Exposure;
pub use finding::{FindingArn, FindingKey, FindingStatus, FindingType, Protocol};
pub use hash::Hash;
pub use host::{HostDetails, ListeningSocket};
pub use inventory::{Completeness, Inventory, Manager, Occurrence, OsRelease, Problem, ProblemKind};
pub use lifecycle::Lifecycle;
pub use package_url::{PackageUrl, PackageUrlError};
pub use packed::{NotPacked, PackedComponent, PackedInventory, PackedPart, PackedPlace, Packer};
pub use purl::plain_purl;
pub use resource::{
    FunctionDetails, ImageDetails, ImageUse, InstanceDetails, MachineImageDetails, Resource, ResourceDetails, ResourceFacts, ResourceKey,
    ResourceKind,
};
pub use scope::{Scope, ScopeError};
pub use severity::{Score, ScoreSource, Severity};
pub use time::{Clock, Timestamp, TimestampError};
pub use updates::{Kb, Remedies, Remedy, Supersedence};
pub use windows::{WindowsArchitecture, WindowsInstallation, windows_product, windows_product_of};
