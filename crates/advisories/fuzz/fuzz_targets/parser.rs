//! No bytes make a parser of feeds crash, hang or take all memory. One file is every target: each bears the name of its parser.
//!
//! `cargo +nightly fuzz run osv corpus/osv seeds` in `crates/advisories`; the same seeds, mutated, are a test on every build
//! (`tests/it/fuzz.rs`).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    assert!(lestrade_advisories::fuzz_parser(env!("CARGO_BIN_NAME"), bytes).is_some(), "there is a parser of this name");
});
