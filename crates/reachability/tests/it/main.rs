//! The room from outside: published vectors, cases of other analysers, and random worlds.

mod evals;
mod laws;
mod vectors;
