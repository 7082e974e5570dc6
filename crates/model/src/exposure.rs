//! How far into the network a resource can be reached from.

use serde::{Deserialize, Serialize};

/// Exposure classes, from least to most exposed. `Unknown` is its own state and ranks between "not at all" and "private":
/// nothing is lowered on account of what we do not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Exposure {
    /// No network path.
    None,
    /// Not known.
    #[default]
    Unknown,
    /// From peered or private networks only.
    Private,
    /// From the internet through a load balancer.
    LoadBalancer,
    /// From the internet.
    Internet,
    /// From the internet, and a process listens there.
    InternetListening,
}
