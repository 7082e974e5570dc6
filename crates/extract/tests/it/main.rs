//! Whole scans through real workers, and inventories against a peer's cases.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod disks;
mod hostile;
mod images;
mod lab;
mod peers;
mod registry;
mod rpm;
