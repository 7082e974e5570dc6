//! Conditions: what is wrong with a resource apart from its packages, such as an open network path. They are few, found by
//! looking, and not derived; each has a name in the dictionary of vulnerabilities, so that the log, the lists and the counts
//! know them like any other finding.

use lestrade_model::{FindingKey, Protocol, Severity};

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
    /// Its name in the dictionary.
    #[must_use]
    pub fn name(&self) -> String {
        name(&self.key).unwrap_or_default()
    }
}

const NETWORK: &str = "network";

/// The name of a key: `network/igw-1/eni-1/TCP/22-22`; none of one that is not a condition.
fn name(key: &FindingKey) -> Option<String> {
    match key {
        FindingKey::Network { edge, interface, protocol, ports: (first, last) } => {
            Some(format!("{NETWORK}/{edge}/{interface}/{}/{first}-{last}", protocol.as_str()))
        }
        _ => None,
    }
}

/// The key that a name of the dictionary is of; none for the id of a vulnerability.
#[must_use]
pub fn condition_key(name: &str) -> Option<FindingKey> {
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
        for vulnerability in ["CVE-2021-44228", "network", "network/igw-1", "network/igw-1/eni-1/ICMP/1-2", "network//eni/TCP/1-2"] {
            assert_eq!(condition_key(vulnerability), None, "{vulnerability}");
        }
    }
}
