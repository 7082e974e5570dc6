//! Events by HTTP POST.
//!
//! The receiver is configured, not discovered, and still is not trusted: redirects are not followed, answers are not read, and
//! unless the operator allows it no address of this machine or a private network is connected to, whatever its name resolves to
//! at that moment.

use crate::{DeliveryError, Event, Target};
use reqwest::blocking::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};

/// Which addresses may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EgressPolicy {
    /// Public addresses only.
    PublicOnly,
    /// Also loopback and private networks; link-local ones (instance metadata) never.
    AllowPrivate,
}

impl EgressPolicy {
    /// Whether an address may be connected to.
    #[must_use]
    pub fn admits(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let link_local = match address {
            IpAddr::V4(v4) => v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast() || v4.is_multicast(),
            IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast(),
        };
        let private = match address {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || (v4.octets()[0] == 100 && (v4.octets()[1] & 0xc0) == 64),
            IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
        };
        !link_local && (self == Self::AllowPrivate || !private)
    }
}

/// Resolves names and gives only addresses that the policy admits: the address that was checked is the one that is connected to.
struct CheckedResolver(EgressPolicy);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0;
        Box::pin(async move {
            let all = (name.as_str(), 0).to_socket_addrs()?;
            let admitted: Vec<SocketAddr> = all.filter(|address| policy.admits(address.ip())).collect();
            if admitted.is_empty() {
                return Err("the name resolves to no address that may be connected to".into());
            }
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

/// Posts each event to a URL.
pub struct Webhook {
    name: String,
    url: Url,
    client: Client,
}

impl Webhook {
    /// A webhook.
    ///
    /// # Errors
    /// When the URL is not http or https, or its address may not be connected to.
    pub fn new(url: &str, policy: EgressPolicy) -> Result<Self, DeliveryError> {
        let url: Url =
            url.parse().map_err(|_| DeliveryError::Unusable { target: "webhook".into(), reason: "the URL is not valid".into() })?;
        // The path may hold a token: the name says scheme and host, and tells two paths apart by nothing but a number.
        let shown = format!("webhook:{}://{}", url.scheme(), url.host_str().unwrap_or_default());
        let unusable = |reason: &str| DeliveryError::Unusable { target: shown.clone(), reason: reason.to_owned() };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(unusable("only http and https are"));
        }
        let literal = match url.host() {
            Some(Host::Ipv4(v4)) => Some(IpAddr::V4(v4)),
            Some(Host::Ipv6(v6)) => Some(IpAddr::V6(v6)),
            Some(Host::Domain(_)) => None,
            None => return Err(unusable("it names no host")),
        };
        if literal.is_some_and(|address| !policy.admits(address)) {
            return Err(unusable("its address is private; allow private targets to use it"));
        }
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .connect_timeout(Duration::from_secs(5))
            .no_proxy()
            .dns_resolver(Arc::new(CheckedResolver(policy)))
            .user_agent(concat!("lestrade/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| unusable("no HTTP client can be made"))?;
        Ok(Self { name: format!("{shown}#{:016x}", stable_hash(url.as_str())), url, client })
    }
}

/// FNV-1a: a name that is the same at every start and gives nothing away.
fn stable_hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

impl Target for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&mut self, event: &Event) -> Result<(), DeliveryError> {
        let sent = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("idempotency-key", &event.id)
            .header("x-lestrade-revision", event.revision.to_string())
            .body(event.body.to_string())
            .send();
        match sent {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) if matches!(answer.status().as_u16(), 408 | 425 | 429) || answer.status().is_server_error() => {
                Err(DeliveryError::Retry(format!("the receiver answered {}", answer.status().as_u16())))
            }
            Ok(answer) => Err(DeliveryError::Refused(format!("the receiver answered {}", answer.status().as_u16()))),
            Err(error) if error.is_timeout() => Err(DeliveryError::Retry("no answer in time".into())),
            Err(error) if error.is_connect() => Err(DeliveryError::Retry("no connection".into())),
            Err(_) => Err(DeliveryError::Retry("the exchange broke off".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_inside_are_not_connected_to() {
        for (address, public, private) in [
            ("93.184.216.34", true, true),
            ("127.0.0.1", false, true),
            ("10.1.2.3", false, true),
            ("100.64.0.1", false, true),
            ("::1", false, true),
            ("::ffff:127.0.0.1", false, true),
            ("fd00::1", false, true),
            ("169.254.169.254", false, false),
            ("::ffff:169.254.169.254", false, false),
            ("fe80::1", false, false),
            ("0.0.0.0", false, false),
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
    fn unusable_urls_are_refused_and_secrets_not_told() {
        for url in ["file:///etc/passwd", "http://127.0.0.1/x", "http://2130706433/", "http://[::1]/", "no url"] {
            assert!(Webhook::new(url, EgressPolicy::PublicOnly).is_err(), "{url}");
        }
        let hook = Webhook::new("https://hooks.example/T0/s3cret", EgressPolicy::PublicOnly).unwrap();
        assert!(!hook.name().contains("s3cret"));
    }
}
