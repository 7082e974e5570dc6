//! Servers that tests start on loopback at free ports, and stop by their own id; images to put into them; disks.
//!
//! A test that needs a server which is not installed fails where `LESTRADE_REQUIRE_SERVERS` is set, as in CI, and says loudly
//! that it did nothing elsewhere.

mod clock;
mod debian;
pub mod disk;
mod file_server;
mod hive;
mod image;
mod jira;
mod moto;
mod postgres;
mod process;
mod registry;
mod responder;
mod sink;
mod smtp;

pub use clock::SystemClock;
pub use debian::debian_root;
pub use file_server::FileServer;
pub use hive::{HiveKey, windows_software};
pub use image::{Layer, TestImage};
pub use jira::JiraSite;
pub use moto::Moto;
pub use postgres::Postgres;
pub use process::{Server, free_port, until};
pub use registry::Registry;
pub use responder::{Asked, Reply, Responder};
pub use sink::HttpSink;
pub use smtp::SmtpSink;

/// What a test does when a server cannot be had: fails in CI, is loud elsewhere.
///
/// # Panics
/// Where servers are required.
#[allow(clippy::print_stdout, reason = "a test that did nothing says so")]
pub fn missing(what: &str) {
    assert!(std::env::var_os("LESTRADE_REQUIRE_SERVERS").is_none(), "{what} is required here and is not installed");
    println!("LOUD: {what} is not installed; this test did nothing");
}
