//! Conditions: what is wrong with a resource apart from its packages, such as an open network path. They are few, found by
//! looking, and not derived; each has a name in the dictionary of vulnerabilities, so that the log, the lists and the counts
//! know them like any other finding.

use lestrade_model::{FindingKey, Lifecycle, OsRelease, Protocol, Severity, Timestamp};

/// A component on a network path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathStep {
    /// Its id: `sg-…`.
    pub id: String,
    /// In the terms of CloudFormation: `AWS::EC2::SecurityGroup`.
    pub kind: String,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What makes it this one.
    pub key: FindingKey,
    /// How severe.
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// Text.
    pub description: String,
    /// What to do about it.
    pub remediation: String,
    /// The way that it is open, from the edge of the network; empty where it is not known any more.
    pub steps: Vec<PathStep>,
}

impl Condition {
    /// That a system is no longer looked after, if that is so at a time: Inspector's gravest. None while it is, or nobody says.
    #[must_use]
    pub fn end_of_life(lifecycles: &[Lifecycle], os: &OsRelease, now: Timestamp) -> Option<Self> {
        let lifecycle = Lifecycle::find(lifecycles, os).filter(|lifecycle| lifecycle.is_over(now))?;
        let since = lifecycle.ends.map_or_else(String::new, |ends| format!(" since {}", ends.to_string().get(..10).unwrap_or_default()));
        let system = format!("{} {}", lifecycle.os, lifecycle.label);
        Some(Self {
            description: format!("{system} is no longer looked after{since}: what is found in its packages is not mended any more."),
            ..Self::ended(&format!("{} {}", lifecycle.os, lifecycle.release))
        })
    }

    /// The same, of which no more is known than the name.
    #[must_use]
    pub fn ended(os: &str) -> Self {
        Self {
            key: FindingKey::EndOfLife { os: os.to_owned() },
            severity: Severity::Critical,
            title: format!("Operating system end of life - {os}"),
            description: format!("{os} is no longer looked after: what is found in its packages is not mended any more."),
            remediation: "Move to a release that is looked after.".to_owned(),
            steps: Vec::new(),
        }
    }

    /// Whether it is about a network.
    #[must_use]
    pub const fn is_of_network(&self) -> bool {
        matches!(self.key, FindingKey::Network { .. })
    }

    /// Its name in the dictionary.
    #[must_use]
    pub fn name(&self) -> String {
        name(&self.key).unwrap_or_default()
    }
}

const NETWORK: &str = "network";
const END_OF_LIFE: &str = "end-of-life";

/// The name of a key: `network/igw-1/eni-1/TCP/22-22`; none of one that is not a condition.
fn name(key: &FindingKey) -> Option<String> {
    match key {
        FindingKey::Network { edge, interface, protocol, ports: (first, last) } => {
            Some(format!("{NETWORK}/{edge}/{interface}/{}/{first}-{last}", protocol.as_str()))
        }
        FindingKey::EndOfLife { os } => Some(format!("{END_OF_LIFE}/{os}")),
        _ => None,
    }
}

/// The key that a name of the dictionary is of; none for the id of a vulnerability.
#[must_use]
pub fn condition_key(name: &str) -> Option<FindingKey> {
    if let Some(os) = name.strip_prefix(END_OF_LIFE).and_then(|rest| rest.strip_prefix('/')) {
        return (!os.is_empty()).then(|| FindingKey::EndOfLife { os: os.to_owned() });
    }
    let mut parts = name.strip_prefix(NETWORK)?.strip_prefix('/')?.split('/').collect::<Vec<_>>();
    let ports = parts.pop()?.split_once('-')?;
    let protocol = Protocol::named(parts.pop()?)?;
    let interface = parts.pop()?.to_owned();
    // A load balancer's ARN has slashes.
    let edge = parts.join("/");
    let ports = (ports.0.parse().ok()?, ports.1.parse().ok()?);
    (!edge.is_empty()).then_some(FindingKey::Network { edge, interface, protocol, ports })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_which_condition_it_is() {
        for edge in ["igw-1", "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/x/y"] {
            let key = FindingKey::Network { edge: edge.into(), interface: "eni-1".into(), protocol: Protocol::Udp, ports: (53, 54) };
            assert_eq!(condition_key(&name(&key).unwrap()), Some(key));
        }
        let ended = Condition::ended("debian 10");
        assert_eq!(condition_key(&ended.name()), Some(ended.key));
        for vulnerability in
            ["end-of-life/", "CVE-2021-44228", "network", "network/igw-1", "network/igw-1/eni-1/ICMP/1-2", "network//eni/TCP/1-2"]
        {
            assert_eq!(condition_key(vulnerability), None, "{vulnerability}");
        }
    }
}
