//! The program as a user runs it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod aws;
mod bundles;
mod cuts;
mod decisions;
mod disks;
mod docs;
mod exposure;
mod feeds;
mod formats;
mod hostile;
mod keys;
mod lab;
mod matching;
mod rules;
mod scan;
mod spine;
mod targets;
mod watch;
