//! Reconcilers that never stop, and the only HTTP server.
//!
//! [`Core`] holds the derived world in memory and the truth in the store, and changes both together. Reconcilers take no input:
//! each reads what it needs, does what is missing and can be run again at any time. HTTP only reads the world and writes
//! documents.

mod agents;
mod api;
mod audit;
mod aws;
mod core;
mod deliver;
mod dispatch;
mod error;
mod exposure;
mod feeds;
mod folder;
mod forget;
mod host;
mod http;
mod hub;
mod in_use;
pub mod inspector2;
mod intake;
mod intelligence;
mod inventories;
mod inventory;
mod lifecycle;
mod load;
mod look;
mod meters;
mod mirror;
mod notes;
mod prune;
mod reconcile;
mod registry;
mod retention;
mod sockets;
mod tls;
mod warm;

pub use agents::{AgentAnswer, AgentError, AgentReport, AgentStatus, Agents, Enrolled, Enrolment, WatchAgents};
pub use api::{Api, ApiLimits, openapi};
pub use audit::{Audit, AuditState};
pub use aws::{AwsSettings, FunctionSettings, ImageSettings, RepositoryFilter, StopAws, WatchAws, WatchedScopes};
pub use core::Core;
pub use deliver::{Deliver, Plan};
pub use dispatch::Dispatch;
pub use error::ServerError;
pub use feeds::{FollowMirror, Poll, UpdateFeeds};
pub use folder::{ReadFile, WatchFolder};
pub use host::{ReadHost, WatchHost};
pub use http::{plain, serve_http};
pub use hub::{Hub, HubSettings, TargetStatus};
pub use in_use::ClusterStatus;
pub use intelligence::RefreshIntelligence;
pub use inventory::Observation;
pub use lifecycle::WatchLifecycles;
pub use mirror::{Mirror, serve_mirror};
pub use prune::Prune;
pub use reconcile::{Outcome, Reconciler, Reconcilers, Signal};
pub use registry::{RegistryEar, RegistrySelection, WatchRegistry};
pub use retention::{LastUse, Retention};
pub use tls::{TlsListener, tls_config};
pub use tokio_rustls::rustls::ServerConfig as TlsConfig;
