//! What is known of a machine besides what is installed on it.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What is known of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostDetails {
    /// The sockets that wait for others to connect, sorted; none when nobody could tell.
    pub listening: Option<Vec<ListeningSocket>>,
}

/// A socket that waits for others. What could not be found out about its owner is none: it is not nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ListeningSocket {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The address that it is bound to; unspecified where it is bound to all.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// The name of the process that holds it.
    pub process: Option<String>,
    /// The path of what that process runs.
    pub executable: Option<String>,
    /// The package of the system that the executable belongs to.
    pub package: Option<String>,
}
