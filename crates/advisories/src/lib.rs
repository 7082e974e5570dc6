//! Feeds become advisories: records of many formats in, [`lestrade_model::Advisory`] out, and generations of the compiled index
//! on disk.
//!
//! A record that cannot be used is *quarantined* with its reason; the rest of its feed is loaded. A generation replaces another
//! only when it is complete: it is written beside, synced, then named.

mod base;
mod bundle;
mod documents;
mod download;
mod error;
mod feeds;
mod formats;
mod gap;
mod import;
mod library;
mod mirror;
mod pages;
mod routes;
mod starter;
mod update;
mod vex;

pub use bundle::{BundleHead, BundleKey, BundleSigner, Generation, is_bundle};
pub use documents::{Document, Documents, Leftovers, Syntax};
pub use error::AdvisoriesError;
pub use feeds::{Feed, FeedKey, FeedPlaces, FeedScope, Route};
pub use formats::{Quarantine, fuzz_parser, parsers, read_osv};
pub use gap::{BundleImport, BundleWish};
pub use import::{ImportSummary, Importer};
pub use library::{GenerationId, Library, OpenIndex, expect_many};
pub use mirror::Mirror;
pub use starter::starter_index;
pub use update::{FeedOutcome, UpdateProgress, UpdateReport, Updater};
pub use vex::{VexProduct, parse_vex, read_vex};
