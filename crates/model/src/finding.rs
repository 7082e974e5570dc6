//! What is wrong with a resource: names and states.

use crate::{Hash, ResourceKey};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A transport protocol of a network finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are their own documentation")]
pub enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }

    /// The protocol that is written so, if any.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        [Self::Tcp, Self::Udp].into_iter().find(|protocol| protocol.as_str() == text)
    }

    /// The protocol of an IP header's number; none for those that have no ports.
    #[must_use]
    pub const fn numbered(number: u8) -> Option<Self> {
        match number {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            _ => None,
        }
    }
}

/// What makes a finding of a resource this one and no other. Open to all kinds from the first day; a finding's identity never
/// depends on when or by which scan it was found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FindingKey {
    /// A vulnerable package: all affected packages of the resource are one finding.
    Package {
        /// The vulnerability's id.
        vulnerability: String,
    },
    /// An open network path.
    Network {
        /// The edge of the network: an internet gateway, a peering.
        edge: String,
        /// The network interface that is reached.
        interface: String,
        /// The protocol.
        protocol: Protocol,
        /// First and last port.
        ports: (u16, u16),
    },
    /// An operating system that is no longer looked after.
    EndOfLife {
        /// The system, such as `debian 10`.
        os: String,
    },
    /// A flaw in code.
    Code {
        /// The rule that found it.
        detector: String,
        /// The file.
        file: String,
        /// The first line.
        line: u32,
    },
    /// A missing update of a system that is updated by KBs.
    MissingUpdate {
        /// The update.
        kb: String,
    },
}

/// The three finding types of `inspector2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are their own documentation")]
pub enum FindingType {
    NetworkReachability,
    PackageVulnerability,
    CodeVulnerability,
}

impl FindingType {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NetworkReachability => "NETWORK_REACHABILITY",
            Self::PackageVulnerability => "PACKAGE_VULNERABILITY",
            Self::CodeVulnerability => "CODE_VULNERABILITY",
        }
    }
}

impl FindingKey {
    /// Its type in the words of `inspector2`.
    #[must_use]
    pub const fn finding_type(&self) -> FindingType {
        match self {
            Self::Network { .. } => FindingType::NetworkReachability,
            Self::Code { .. } => FindingType::CodeVulnerability,
            Self::Package { .. } | Self::EndOfLife { .. } | Self::MissingUpdate { .. } => FindingType::PackageVulnerability,
        }
    }

    fn identity(&self) -> Hash {
        match self {
            Self::Package { vulnerability } => Hash::of_fields([b"package".as_slice(), vulnerability.as_bytes()]),
            Self::Network { edge, interface, protocol, ports } => Hash::of_fields([
                b"network".as_slice(),
                edge.as_bytes(),
                interface.as_bytes(),
                &[*protocol as u8],
                &ports.0.to_le_bytes(),
                &ports.1.to_le_bytes(),
            ]),
            Self::EndOfLife { os } => Hash::of_fields([b"end-of-life".as_slice(), os.as_bytes()]),
            Self::Code { detector, file, line } => {
                Hash::of_fields([b"code".as_slice(), detector.as_bytes(), file.as_bytes(), &line.to_le_bytes()])
            }
            Self::MissingUpdate { kb } => Hash::of_fields([b"missing-update".as_slice(), kb.as_bytes()]),
        }
    }
}

/// The identity of a finding: `arn:…:inspector2:<region>:<account>:finding/<32 hex>`.
///
/// The first half of the number names the finding among those of its resource, the second half the resource: a finding is found
/// by its ARN without an index of findings.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FindingArn(String);

impl FindingArn {
    /// The ARN of a finding: a function of whose, what and which, and of the generation, which rises when the finding reopens
    /// more than seven days after it closed.
    #[must_use]
    pub fn new(resource: &ResourceKey, key: &FindingKey, generation: u32) -> Self {
        let print = resource.print();
        let own = Hash::of_fields([print.to_le_bytes().as_slice(), key.identity().as_bytes(), &generation.to_le_bytes()]);
        Self(resource.scope.arn("inspector2", &format!("finding/{:016x}{print:016x}", own.short())))
    }

    /// The [print](ResourceKey::print) of the resource that an ARN is of; none when it is no finding's.
    #[must_use]
    pub fn print_of_resource(arn: &str) -> Option<u64> {
        let (_, id) = arn.rsplit_once(":finding/")?;
        let print = id.get(16..).filter(|print| id.len() == 32 && print.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        u64::from_str_radix(print, 16).ok()
    }

    /// The ARN's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FindingArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a finding stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are their own documentation")]
pub enum FindingStatus {
    Active,
    Suppressed,
    Closed,
}

impl FindingStatus {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Suppressed => "SUPPRESSED",
            Self::Closed => "CLOSED",
        }
    }
}
