//! The room from outside: published vectors, cases of other analysers, and random worlds.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so")]

mod evals;
mod hostile;
mod laws;
mod vectors;
