//! From a network snapshot to what is reachable, by whom, on which ports, with a witness. Pure.
//!
//! Thin as yet: it answers which ports the *security groups* of an interface open to the internet, as maximal ranges, each with
//! a packet that shows it. Routes, network ACLs and load balancers can only close more of that, so the answer bounds the truth
//! from above: what is closed here is closed.

use lestrade_model::Protocol;
use std::net::Ipv4Addr;

/// An ingress rule of a security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressRule {
    /// The group that it belongs to.
    pub group: String,
    /// The protocol; none is every one.
    pub protocol: Option<Protocol>,
    /// First and last port, included; ignored where the protocol is every one.
    pub ports: (u16, u16),
    /// The addresses that it admits.
    pub source: Source,
}

/// Whom a rule admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// IPv4 addresses: a base and the length of its prefix, 0 to 32.
    Cidr(Ipv4Addr, u8),
    /// Members of a group, a prefix list, IPv6: not told apart yet, and never the whole internet.
    Other,
}

/// Ports that are open to some address of the internet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPorts {
    /// The protocol.
    pub protocol: Protocol,
    /// First and last port of a range that cannot be extended.
    pub ports: (u16, u16),
    /// The group whose rule admits the witness.
    pub group: String,
    /// A source address on the internet from which the first port is reached.
    pub witness: Ipv4Addr,
}

/// The ports that an interface with these rules opens to the internet.
#[must_use]
pub fn open_to_the_internet(rules: &[IngressRule]) -> Vec<OpenPorts> {
    let mut open = Vec::new();
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let mut ranges: Vec<OpenPorts> = rules
            .iter()
            .filter(|rule| rule.protocol.is_none_or(|p| p == protocol))
            .filter_map(|rule| {
                let ports = if rule.protocol.is_none() { (0, u16::MAX) } else { rule.ports };
                let witness = witness(rule.source)?;
                (ports.0 <= ports.1).then(|| OpenPorts { protocol, ports, group: rule.group.clone(), witness })
            })
            .collect();
        ranges.sort_by_key(|range| range.ports);
        for range in ranges {
            match open.last_mut() {
                Some(OpenPorts { protocol: p, ports, .. }) if *p == protocol && range.ports.0 <= ports.1.saturating_add(1) => {
                    ports.1 = ports.1.max(range.ports.1);
                }
                _ => open.push(range),
            }
        }
    }
    open
}

/// An address of the internet that a source admits: the first one of its block that is not reserved for private use.
fn witness(source: Source) -> Option<Ipv4Addr> {
    let Source::Cidr(base, prefix) = source else { return None };
    let mask = u32::MAX.checked_shl(32_u32.checked_sub(u32::from(prefix))?).unwrap_or(0);
    let first = u32::from(base) & mask;
    let last = first | !mask;
    let mut candidate = first;
    loop {
        match reserved(candidate) {
            None => return Some(Ipv4Addr::from(candidate)),
            // Past the reserved block, if the source reaches that far.
            Some(end) => candidate = end.checked_add(1).filter(|next| *next <= last)?,
        }
    }
}

/// The last address of the block that is not part of the internet and holds this one (RFC 6890), if there is such a block.
fn reserved(address: u32) -> Option<u32> {
    const BLOCKS: [([u8; 4], u32); 11] = [
        ([0, 0, 0, 0], 8),
        ([10, 0, 0, 0], 8),
        ([100, 64, 0, 0], 10),
        ([127, 0, 0, 0], 8),
        ([169, 254, 0, 0], 16),
        ([172, 16, 0, 0], 12),
        ([192, 0, 2, 0], 24),
        ([192, 168, 0, 0], 16),
        ([198, 51, 100, 0], 24),
        ([203, 0, 113, 0], 24),
        ([224, 0, 0, 0], 3),
    ];
    BLOCKS.iter().find_map(|(base, prefix)| {
        let mask = u32::MAX << (32 - prefix);
        let base = u32::from_be_bytes(*base);
        (address & mask == base).then_some(base | !mask)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(protocol: Option<Protocol>, ports: (u16, u16), source: &str) -> IngressRule {
        let (base, prefix) = source.split_once('/').unwrap();
        IngressRule { group: "sg-1".into(), protocol, ports, source: Source::Cidr(base.parse().unwrap(), prefix.parse().unwrap()) }
    }

    fn ranges(rules: &[IngressRule]) -> Vec<(Protocol, (u16, u16))> {
        open_to_the_internet(rules).into_iter().map(|open| (open.protocol, open.ports)).collect()
    }

    #[test]
    fn what_is_open() {
        let tcp = Some(Protocol::Tcp);
        assert_eq!(ranges(&[rule(tcp, (22, 22), "0.0.0.0/0")]), [(Protocol::Tcp, (22, 22))]);
        assert_eq!(ranges(&[rule(tcp, (22, 22), "10.0.0.0/8"), rule(tcp, (22, 22), "192.168.1.0/24")]), []);
        assert_eq!(ranges(&[rule(tcp, (22, 22), "8.0.0.0/6")]), [(Protocol::Tcp, (22, 22))], "8/6 reaches beyond 10/8");
        assert_eq!(ranges(&[rule(tcp, (80, 81), "0.0.0.0/0"), rule(tcp, (82, 90), "1.1.1.1/32")]), [(Protocol::Tcp, (80, 90))]);
        assert_eq!(ranges(&[rule(None, (0, 0), "0.0.0.0/0")]), [(Protocol::Tcp, (0, 65535)), (Protocol::Udp, (0, 65535))]);
        assert_eq!(ranges(&[IngressRule { source: Source::Other, ..rule(tcp, (1, 2), "0.0.0.0/0") }]), []);
    }

    proptest! {
        #[test]
        fn a_witness_is_inside_its_source_and_on_the_internet(base: u32, prefix in 0u8..=32) {
            let base = Ipv4Addr::from(base);
            if let Some(found) = witness(Source::Cidr(base, prefix)) {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                prop_assert_eq!(u32::from(found) & mask, u32::from(base) & mask);
                prop_assert!(!found.is_private() && !found.is_loopback() && reserved(u32::from(found)).is_none());
            }
        }
    }
}
