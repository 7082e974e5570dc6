//! Servers that tests start on loopback at free ports, and stop by their own id.
//!
//! A test that needs a server which is not installed fails where `LESTRADE_REQUIRE_SERVERS` is set, as in CI, and says loudly
//! that it did nothing elsewhere.

mod postgres;
mod process;

pub use postgres::Postgres;
pub use process::{Server, free_port, until};

/// What a test does when a server cannot be had: fails in CI, is loud elsewhere.
///
/// # Panics
/// Where servers are required.
pub fn missing(what: &str) {
    assert!(std::env::var_os("LESTRADE_REQUIRE_SERVERS").is_none(), "{what} is required here and is not installed");
    println!("LOUD: {what} is not installed; this test did nothing");
}
