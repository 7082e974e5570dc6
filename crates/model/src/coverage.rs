//! Whether a resource was really looked at.

use crate::Timestamp;
use serde::{Deserialize, Serialize};

/// Which kind of look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ScanKind {
    /// Of installed packages.
    Package,
    /// Of network paths.
    Network,
    /// Of code.
    Code,
}

/// Why a resource is covered or not; the words of `inspector2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CoverageReason {
    /// Looked at, and kept up to date.
    Successful,
    /// Found, and not yet looked at.
    PendingInitialScan,
    /// Its operating system is not one whose advisories we have.
    UnsupportedOs,
    /// Its media type is not one that we read.
    UnsupportedMediaType,
    /// It gave no inventory.
    NoInventory,
    /// Its inventory is older than it should be.
    StaleInventory,
    /// It is too large for the limits in force.
    ImageSizeExceeded,
    /// We were not let in.
    AccessDenied,
    /// It is gone.
    ResourceTerminated,
    /// Reading it failed.
    InternalError,
    /// It does not run; what was found in it stands.
    Ec2InstanceStopped,
    /// Nothing in it tells us what is installed.
    UnmanagedEc2Instance,
    /// Its tags say that it is not to be looked at.
    ExcludedByTag,
    /// What it runs on is not one that we read.
    UnsupportedRuntime,
    /// It was not pushed, pulled or used for too long.
    ScanEligibilityExpired,
    /// The rules of its registry, or ours, have it scanned by nobody.
    ScanFrequencyManual,
}

impl CoverageReason {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Successful => "SUCCESSFUL",
            Self::PendingInitialScan => "PENDING_INITIAL_SCAN",
            Self::UnsupportedOs => "UNSUPPORTED_OS",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::NoInventory => "NO_INVENTORY",
            Self::StaleInventory => "STALE_INVENTORY",
            Self::ImageSizeExceeded => "IMAGE_SIZE_EXCEEDED",
            Self::AccessDenied => "ACCESS_DENIED",
            Self::ResourceTerminated => "RESOURCE_TERMINATED",
            Self::InternalError => "INTERNAL_ERROR",
            Self::Ec2InstanceStopped => "EC2_INSTANCE_STOPPED",
            Self::UnmanagedEc2Instance => "UNMANAGED_EC2_INSTANCE",
            Self::ExcludedByTag => "EXCLUDED_BY_TAG",
            Self::UnsupportedRuntime => "UNSUPPORTED_RUNTIME",
            Self::ScanEligibilityExpired => "SCAN_ELIGIBILITY_EXPIRED",
            Self::ScanFrequencyManual => "SCAN_FREQUENCY_MANUAL",
        }
    }

    /// Whether findings of the resource are being kept up to date (`ACTIVE` in `inspector2`).
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Successful | Self::PendingInitialScan)
    }
}

/// The state of one kind of look at one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Which look.
    pub kind: ScanKind,
    /// How it stands.
    pub reason: CoverageReason,
    /// One clause for a person: what is not covered and what would help; empty when all is well.
    pub detail: String,
    /// When the resource was last looked at, if ever.
    pub last_scanned: Option<Timestamp>,
}
