//! How bad an opening is: by the services that usually listen there, the way in, and how many addresses it is open to. The services
//! are data (`data/severity.toml`).

use crate::address::AddressFamily;
use crate::evaluate::Opening;
use crate::perimeter::SourceClass;
use crate::ranges::RangeSet;
use serde::Deserialize;
use std::sync::OnceLock;

/// In the words of Inspector, from least to most severe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, Deserialize)]
#[serde(rename_all(serialize = "UPPERCASE", deserialize = "lowercase"))]
pub enum OpeningSeverity {
    /// Open, and nothing that is known listens there.
    Informational,
    /// What is meant to be public, mostly.
    Low,
    /// What is rarely meant to be.
    Medium,
    /// What never is.
    High,
}

impl OpeningSeverity {
    /// Upper case, as on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "INFORMATIONAL",
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
        }
    }
}

/// To how much of the world something is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Breadth {
    /// One address.
    Single,
    /// Less than a large network.
    Narrow,
    /// Large networks.
    Wide,
    /// Half of all addresses, or more.
    World,
}

impl Breadth {
    /// Of a set of addresses. Of IPv6 the internet is an eighth, and a network is `/64`.
    #[must_use]
    pub fn of(family: AddressFamily, sources: &RangeSet<u128>) -> Self {
        let count = sources.ranges().iter().fold(0_u128, |count, (first, last)| count.saturating_add((last - first).saturating_add(1)));
        let (world, wide) = match family {
            AddressFamily::V4 => (1 << 31, 1 << 16),
            AddressFamily::V6 => (1 << 124, 1 << 80),
        };
        match count {
            0 | 1 => Self::Single,
            count if count < wide => Self::Narrow,
            count if count < world => Self::Wide,
            _ => Self::World,
        }
    }
}

#[derive(Deserialize)]
struct Table {
    service: Vec<Service>,
}

#[derive(Deserialize)]
struct Service {
    name: String,
    #[serde(default)]
    tcp: Vec<u16>,
    #[serde(default)]
    udp: Vec<u16>,
    internet: OpeningSeverity,
    other: OpeningSeverity,
}

fn services() -> &'static [Service] {
    static SERVICES: OnceLock<Vec<Service>> = OnceLock::new();
    SERVICES.get_or_init(|| toml::from_str::<Table>(include_str!("../data/severity.toml")).map(|table| table.service).unwrap_or_default())
}

/// The services that usually listen on some ports of a protocol.
fn services_of(protocol: u8, (first, last): (u16, u16)) -> impl Iterator<Item = &'static Service> {
    let within = move |ports: &[u16]| ports.iter().any(|port| (first..=last).contains(port));
    services().iter().filter(move |service| within(if protocol == 6 { &service.tcp } else { &service.udp }))
}

impl SourceClass {
    /// How bad it is that ports are open to this class.
    #[must_use]
    pub fn severity(self, protocol: u8, ports: (u16, u16)) -> OpeningSeverity {
        let from_internet = matches!(self, Self::Internet | Self::LoadBalancer | Self::Appliance);
        let of = |service: &Service| if from_internet { service.internet } else { service.other };
        services_of(protocol, ports).map(of).max().unwrap_or(OpeningSeverity::Informational)
    }

    /// In the words of Inspector's titles.
    #[must_use]
    pub fn title(self, protocol: u8, ports: (u16, u16)) -> String {
        let ports = match ports {
            (first, last) if first == last => format!("Port {first} is"),
            (first, last) => format!("Port range {first} - {last} is"),
        };
        let from = match self {
            Self::Internet => "an Internet Gateway",
            Self::Peer => "a VPC Peering Connection",
            Self::Vpn => "a Virtual Private Gateway",
            Self::Transit => "a Transit Gateway",
            Self::LoadBalancer => "a Load Balancer",
            Self::Appliance => "an Internet Gateway over an Appliance",
        };
        format!("{ports} reachable from {from} - {}", if protocol == 6 { "TCP" } else { "UDP" })
    }

    /// The class of what comes over an edge of the network, by its id: a word and hexadecimal digits. Load balancers are called by
    /// their names or ARNs.
    #[must_use]
    pub fn of_edge(id: &str) -> Self {
        let Some((word, digits)) = id.split_once('-') else { return Self::LoadBalancer };
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Self::LoadBalancer;
        }
        match word {
            "igw" => Self::Internet,
            "pcx" => Self::Peer,
            "vgw" => Self::Vpn,
            "tgw" => Self::Transit,
            "eni" | "vpce" => Self::Appliance,
            _ => Self::LoadBalancer,
        }
    }
}

impl Opening {
    fn services(&self) -> impl Iterator<Item = &'static Service> + '_ {
        services_of(self.protocol, self.ports)
    }

    /// The best-known services of its ports.
    #[must_use]
    pub fn service_names(&self) -> Vec<&'static str> {
        self.services().map(|service| service.name.as_str()).collect()
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> OpeningSeverity {
        self.class.severity(self.protocol, self.ports)
    }

    /// To how much of the world it is open.
    #[must_use]
    pub fn breadth(&self) -> Breadth {
        Breadth::of(self.family(), &self.sources)
    }

    /// In the words of Inspector's titles.
    #[must_use]
    pub fn title(&self) -> String {
        self.class.title(self.protocol, self.ports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn opening(class: SourceClass, protocol: u8, ports: (u16, u16)) -> Opening {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Opening {
            class,
            via: "igw-1".into(),
            interface: "eni-1".into(),
            instance: None,
            address,
            protocol,
            ports,
            sources: std::sync::Arc::new(RangeSet::range(1, 1 << 20)),
            parts: std::sync::Arc::default(),
            partial_ephemeral: false,
            one_way: false,
            path: std::sync::Arc::default(),
            witness: (address, ports.0),
        }
    }

    #[test]
    fn a_range_is_as_bad_as_its_worst_service() {
        let severity = |class, protocol, ports| opening(class, protocol, ports).severity();
        assert_eq!(severity(SourceClass::Internet, 6, (22, 22)), OpeningSeverity::Medium);
        assert_eq!(severity(SourceClass::Internet, 6, (20, 25)), OpeningSeverity::High);
        assert_eq!(severity(SourceClass::Peer, 6, (22, 22)), OpeningSeverity::Low);
        assert_eq!(severity(SourceClass::Internet, 17, (3306, 3306)), OpeningSeverity::Informational);
        assert_eq!(severity(SourceClass::Internet, 6, (0, 65_535)), OpeningSeverity::High);
    }

    #[test]
    fn an_edge_is_known_by_its_id() {
        for (id, class) in [
            ("igw-0abc", SourceClass::Internet),
            ("pcx-1", SourceClass::Peer),
            ("tgw-attach-1", SourceClass::LoadBalancer),
            ("igw-frontend", SourceClass::LoadBalancer),
            ("arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/x/y", SourceClass::LoadBalancer),
        ] {
            assert_eq!(SourceClass::of_edge(id), class, "{id}");
        }
    }

    #[test]
    fn titles_are_inspectors() {
        assert_eq!(opening(SourceClass::Internet, 6, (22, 22)).title(), "Port 22 is reachable from an Internet Gateway - TCP");
        assert_eq!(opening(SourceClass::Peer, 17, (1, 9)).title(), "Port range 1 - 9 is reachable from a VPC Peering Connection - UDP");
        assert_eq!(opening(SourceClass::Peer, 17, (1, 9)).breadth(), Breadth::Wide);
    }
}
