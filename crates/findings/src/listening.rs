//! The join from a vulnerable package to the network: package, process that runs its program, port that the process waits at, opening
//! that leads there. Who listens is known where an agent tells it; elsewhere it is unknown, and said to be.

use crate::view::AffectedPackage;
use lestrade_model::{Exposure, ListeningSocket, Protocol};
use std::net::IpAddr;

/// An opening of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// From how far.
    pub exposure: Exposure,
    /// The edge of the network that it leads over: a gateway, a load balancer.
    pub edge: String,
    /// The interface that it leads to.
    pub interface: String,
    /// The interface's address.
    pub address: IpAddr,
    /// The protocol.
    pub protocol: Protocol,
    /// First and last port.
    pub ports: (u16, u16),
}

/// A socket, and from how far packets get to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReachedSocket {
    /// The socket.
    pub socket: ListeningSocket,
    /// The farthest of the openings that lead to it; none where no opening does.
    pub from: Exposure,
    /// The edge of the network that opening leads over.
    pub over: Option<String>,
}

/// What waits where a finding is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Listening {
    /// Nobody told who listens on the resource.
    #[default]
    Unknown,
    /// Somebody did: these sockets are the finding's, the farthest reached first; none where nothing of it listens.
    Known(Vec<ReachedSocket>),
}

impl Listening {
    /// From how far the finding's processes are reached; none where they are not, or that is not known.
    #[must_use]
    pub fn farthest(&self) -> Option<Exposure> {
        match self {
            Self::Unknown => None,
            Self::Known(sockets) => sockets.iter().map(|reached| reached.from).max(),
        }
    }

    /// A word: `reached`, `listening`, `not-listening` or `unknown`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match (self, self.farthest()) {
            (Self::Unknown, _) => "unknown",
            (Self::Known(_), None) => "not-listening",
            (Self::Known(_), Some(Exposure::None | Exposure::Unknown)) => "listening",
            (Self::Known(_), Some(_)) => "reached",
        }
    }
}

/// Whether a packet that a door lets in comes to a socket.
fn leads_to(door: &Door, socket: &ListeningSocket) -> bool {
    let same = socket.protocol.eq_ignore_ascii_case(door.protocol.as_str()) && (door.ports.0..=door.ports.1).contains(&socket.port);
    // `::` waits for both families, unless somebody asked for less, which no table shows.
    let bound = match socket.address {
        IpAddr::V4(address) if address.is_unspecified() => door.address.is_ipv4(),
        IpAddr::V6(address) if address.is_unspecified() => true,
        address => address == door.address,
    };
    same && bound
}

/// The sockets that a test picks, with the farthest of the doors that lead to each.
fn reached(sockets: &[ListeningSocket], doors: &[Door], is_own: impl Fn(&ListeningSocket) -> bool) -> Vec<ReachedSocket> {
    let own = sockets.iter().filter(|socket| !socket.address.is_loopback() && is_own(socket));
    let farthest = |socket: &ListeningSocket| doors.iter().filter(|door| leads_to(door, socket)).max_by_key(|door| door.exposure);
    let with_door = |socket: &ListeningSocket| {
        let door = farthest(socket);
        let from = door.map_or(Exposure::None, |door| door.exposure);
        ReachedSocket { socket: socket.clone(), from, over: door.map(|door| door.edge.clone()) }
    };
    let mut found: Vec<ReachedSocket> = own.map(with_door).collect();
    found.sort_by(|a, b| b.from.cmp(&a.from).then_with(|| a.socket.cmp(&b.socket)));
    found
}

/// What of some packages listens: processes whose program belongs to one of them, or is one.
pub(crate) fn of_packages(sockets: Option<&[ListeningSocket]>, doors: &[Door], packages: &[AffectedPackage]) -> Listening {
    let Some(sockets) = sockets else { return Listening::Unknown };
    let belongs = |socket: &ListeningSocket| {
        packages.iter().any(|package| {
            let by_name = package.component.ecosystem.family.is_os() && socket.package.as_deref() == Some(package.component.name.as_str());
            // A Go or Rust program is made of its packages.
            let program = socket.executable.as_deref().map(|path| path.trim_start_matches('/'));
            by_name || program.is_some() && program == package.path.as_deref().map(|path| path.trim_start_matches('/'))
        })
    };
    let found = reached(sockets, doors, belongs);
    // A process that we may not look into may be of any package.
    let hidden = sockets.iter().any(|socket| socket.executable.is_none() && !socket.address.is_loopback());
    if found.is_empty() && hidden { Listening::Unknown } else { Listening::Known(found) }
}

/// What listens behind an opening of a network.
pub(crate) fn behind(
    sockets: Option<&[ListeningSocket]>,
    doors: &[Door],
    (edge, interface): (&str, &str),
    protocol: Protocol,
    ports: (u16, u16),
) -> Listening {
    let Some(sockets) = sockets else { return Listening::Unknown };
    let own: Vec<Door> = doors
        .iter()
        .filter(|door| (door.edge.as_str(), door.interface.as_str(), door.protocol, door.ports) == (edge, interface, protocol, ports))
        .cloned()
        .collect();
    let found = reached(sockets, &own, |_| true);
    Listening::Known(found.into_iter().filter(|socket| socket.from != Exposure::None).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_model::{Component, Ecosystem, Family, FixState, Manager};

    fn socket(address: &str, port: u16, package: Option<&str>) -> ListeningSocket {
        ListeningSocket {
            protocol: "tcp".into(),
            address: address.parse().unwrap(),
            port,
            process: None,
            executable: Some(format!("/usr/sbin/{}", package.unwrap_or("other"))),
            package: package.map(str::to_owned),
        }
    }

    fn door(address: &str, ports: (u16, u16), exposure: Exposure) -> Door {
        Door {
            exposure,
            edge: "igw-1".into(),
            interface: "eni-1".into(),
            address: address.parse().unwrap(),
            protocol: Protocol::Tcp,
            ports,
        }
    }

    fn package(name: &str) -> AffectedPackage {
        let ecosystem = Ecosystem { family: Family::Debian, release: Some("12".into()) };
        AffectedPackage {
            component: Component::new(ecosystem, name, "1"),
            state: FixState::Open,
            fixed_in: None,
            vendor_severity: None,
            path: None,
            layer: None,
            arch: None,
            manager: Some(Manager::Dpkg),
        }
    }

    #[test]
    fn a_package_is_reached_where_its_process_waits_behind_an_opening() {
        let doors = [door("10.0.0.5", (20, 80), Exposure::Internet), door("10.0.0.5", (5432, 5432), Exposure::Private)];
        let cases: [(&[ListeningSocket], &str, Option<Exposure>); 8] = [
            (&[socket("0.0.0.0", 80, Some("nginx"))], "reached", Some(Exposure::Internet)),
            (&[socket("::", 80, Some("nginx"))], "reached", Some(Exposure::Internet)),
            (&[socket("10.0.0.5", 5432, Some("nginx"))], "reached", Some(Exposure::Private)),
            (&[socket("10.0.0.6", 80, Some("nginx"))], "listening", Some(Exposure::None)),
            (&[socket("0.0.0.0", 81, Some("nginx"))], "listening", Some(Exposure::None)),
            (&[socket("127.0.0.1", 80, Some("nginx"))], "not-listening", None),
            (&[socket("0.0.0.0", 80, Some("other"))], "not-listening", None),
            (&[], "not-listening", None),
        ];
        for (sockets, word, farthest) in cases {
            let listening = of_packages(Some(sockets), &doors, &[package("nginx")]);
            assert_eq!((listening.as_str(), listening.farthest()), (word, farthest), "{sockets:?}");
            let Listening::Known(found) = listening else { panic!("{sockets:?}") };
            let over = found.first().and_then(|reached| reached.over.as_deref());
            assert_eq!(over, (word == "reached").then_some("igw-1"), "{sockets:?}");
        }
        assert_eq!(of_packages(None, &doors, &[package("nginx")]).as_str(), "unknown");
        let hidden = ListeningSocket { executable: None, ..socket("0.0.0.0", 80, None) };
        assert_eq!(of_packages(Some(&[hidden]), &doors, &[package("nginx")]).as_str(), "unknown", "whose it is, nobody could see");
    }

    #[test]
    fn an_opening_has_a_listener_or_has_none() {
        let doors = [door("10.0.0.5", (20, 80), Exposure::Internet)];
        let ask = |sockets: Option<&[ListeningSocket]>| behind(sockets, &doors, ("igw-1", "eni-1"), Protocol::Tcp, (20, 80)).as_str();
        assert_eq!(ask(Some(&[socket("0.0.0.0", 22, None)])), "reached");
        assert_eq!(ask(Some(&[socket("0.0.0.0", 443, None)])), "not-listening");
        assert_eq!(ask(None), "unknown");
    }
}
