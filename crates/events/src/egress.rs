//! Which addresses a target may be at.
//!
//! A receiver is configured, not discovered, and still is not trusted: unless the operator allows it, no address of this machine or
//! of a private network is connected to, whatever its name resolves to at that moment, and however the address is written:
//! the IPv6 forms that carry an IPv4 address (mapped, compatible, NAT64, 6to4) are judged by what they carry.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use url::{Host, Url};

/// Which addresses may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EgressPolicy {
    /// Public addresses only.
    PublicOnly,
    /// Also loopback and private networks; link-local ones and instance metadata never.
    AllowPrivate,
}

/// How far an address is from everybody.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Public,
    Private,
    /// Link-local, unspecified, multicast, metadata: never a receiver.
    Never,
}

/// Where AWS answers for an instance's metadata, its time and its name service besides link-local IPv4: `fd00:ec2::/32`.
const AWS_LOCAL: [u16; 2] = [0xfd00, 0x0ec2];

impl EgressPolicy {
    /// Whether an address may be connected to.
    #[must_use]
    pub fn admits(self, address: IpAddr) -> bool {
        match reach(address) {
            Reach::Public => true,
            Reach::Private => self == Self::AllowPrivate,
            Reach::Never => false,
        }
    }

    /// The addresses of a host, those that may not be connected to left out.
    ///
    /// # Errors
    /// When the name cannot be resolved, or to nothing that may be connected to.
    pub(crate) fn resolve(self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        let all = (host, port).to_socket_addrs().map_err(|_| "its name does not resolve".to_owned())?;
        let admitted: Vec<SocketAddr> = all.filter(|address| self.admits(address.ip())).collect();
        if admitted.is_empty() { Err("its name resolves to no address that may be connected to".into()) } else { Ok(admitted) }
    }

    /// A URL that may be posted to, as far as can be told without resolving its name.
    ///
    /// # Errors
    /// When it is not `http` or `https`, names no host, holds credentials, or its address is one that may not be connected to.
    pub(crate) fn url(self, text: &str) -> Result<Url, String> {
        let url: Url = text.trim().parse().map_err(|_| "the URL is not valid".to_owned())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("only http and https are".into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("credentials do not belong into a URL".into());
        }
        let literal = match url.host() {
            Some(Host::Ipv4(v4)) => Some(IpAddr::V4(v4)),
            Some(Host::Ipv6(v6)) => Some(IpAddr::V6(v6)),
            Some(Host::Domain(_)) => None,
            None => return Err("it names no host".into()),
        };
        if literal.is_some_and(|address| !self.admits(address)) {
            return Err("its address is private; allow private targets to use it".into());
        }
        Ok(url)
    }
}

fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(v4) => reach_v4(v4),
        IpAddr::V6(v6) => reach_v6(v6),
    }
}

/// After the IANA registry of special-purpose IPv4 addresses (RFC 6890).
fn reach_v4(v4: Ipv4Addr) -> Reach {
    let [a, b, c, _] = v4.octets();
    if a == 0 || a >= 224 || v4.is_link_local() {
        return Reach::Never;
    }
    // 100.64/10 is shared with one's carrier; 192.0.0/24 is of protocols; 198.18/15 of measuring labs.
    let shared = (a == 100 && b & 0xc0 == 64) || (a, b, c) == (192, 0, 0) || (a == 198 && b & 0xfe == 18);
    if v4.is_loopback() || v4.is_private() || shared { Reach::Private } else { Reach::Public }
}

/// After the IANA registry of special-purpose IPv6 addresses (RFC 6890); what carries an IPv4 address is as near as that is.
fn reach_v6(v6: Ipv6Addr) -> Reach {
    let s = v6.segments();
    let carried = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    if v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local() || s[..2] == AWS_LOCAL || s[0] & 0xffc0 == 0xfec0 {
        return Reach::Never;
    }
    if v6.is_loopback() || v6.is_unique_local() {
        return Reach::Private;
    }
    match s {
        // Mapped, compatible, translated (RFC 2765), NAT64 and its local form (RFC 6052, 8215).
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            reach_v4(carried(high, low))
        }
        [0x64, 0xff9b, 1, ..] => Reach::Never,
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => reach_v4(carried(high, low)),
        // Teredo hides the address of its client by inversion (RFC 4380).
        [0x2001, 0, .., high, low] => reach_v4(carried(!high, !low)),
        _ => Reach::Public,
    }
}

/// Resolves names and gives only addresses that the policy admits: the address that was checked is the one that is connected to.
pub(crate) struct CheckedResolver(pub(crate) EgressPolicy);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0;
        Box::pin(async move {
            let admitted = policy.resolve(name.as_str(), 0)?;
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_inside_are_not_connected_to() {
        for (address, public, private) in [
            ("93.184.216.34", true, true),
            ("2606:2800:220:1::1", true, true),
            ("127.0.0.1", false, true),
            ("10.1.2.3", false, true),
            ("100.64.0.1", false, true),
            ("192.0.0.8", false, true),
            ("198.19.1.1", false, true),
            ("::1", false, true),
            ("fd00::1", false, true),
            // The forms of IPv6 that carry an address of IPv4.
            ("::ffff:127.0.0.1", false, true),
            ("::127.0.0.1", false, true),
            ("::ffff:0:10.0.0.1", false, true),
            ("64:ff9b::10.0.0.1", false, true),
            ("64:ff9b::93.184.216.34", true, true),
            ("2002:0a00:0001::1", false, true),
            ("2002:5db8:d822::1", true, true),
            ("2001:0:1:2:3:4:80ff:fffe", false, true),
            // Never: metadata, this network, many at once.
            ("169.254.169.254", false, false),
            ("::ffff:169.254.169.254", false, false),
            ("::169.254.169.254", false, false),
            ("64:ff9b::169.254.169.254", false, false),
            ("64:ff9b:1::169.254.169.254", false, false),
            ("2002:a9fe:a9fe::1", false, false),
            ("fd00:ec2::254", false, false),
            ("fe80::1", false, false),
            ("fec0::1", false, false),
            ("::", false, false),
            ("ff02::1", false, false),
            ("0.0.0.0", false, false),
            ("0.1.2.3", false, false),
            ("224.0.0.1", false, false),
            ("255.255.255.255", false, false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(
                (EgressPolicy::PublicOnly.admits(address), EgressPolicy::AllowPrivate.admits(address)),
                (public, private),
                "{address}"
            );
        }
    }

    #[test]
    fn names_that_resolve_inside_are_refused() {
        assert!(EgressPolicy::PublicOnly.resolve("localhost", 80).is_err());
        assert!(EgressPolicy::AllowPrivate.resolve("localhost", 80).is_ok());
    }

    #[test]
    fn urls_that_cannot_be_posted_to_are_refused() {
        for url in [
            "file:///etc/passwd",
            "http://127.0.0.1/x",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::1]/",
            "no url",
            "https://a:b@c/",
        ] {
            assert!(EgressPolicy::PublicOnly.url(url).is_err(), "{url}");
        }
    }
}
