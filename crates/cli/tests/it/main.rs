//! The program as a user runs it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod api_reference;
mod aws;
mod aws_choices;
mod bundles;
mod clients;
mod crash;
mod cuts;
mod decisions;
mod disks;
mod docs;
mod exports;
mod exposure;
mod feeds;
mod formats;
mod full_disk;
mod held_back;
mod hostile;
mod keys;
mod lab;
mod matching;
mod registry;
mod rules;
mod scan;
mod schemathesis;
mod spine;
mod targets;
mod vex;
mod watch;
mod windows;
