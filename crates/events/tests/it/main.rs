//! The room from outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod patterns;
mod targets;
