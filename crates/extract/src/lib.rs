//! A stream of files becomes components and occurrences.
//!
//! The core walks, an extractor reads: an [`Extractor`] declares the paths that it wants, gets their bounded contents one at a
//! time and pushes what it finds into a sink. All patterns of all extractors are one automaton, asked once for each path.
//! Reading happens in a sandboxed worker, layer by layer; [`compose`] puts layers together outside of it, without parsing
//! anything.

mod cache;
mod collect;
mod compose;
mod digests;
mod disk;
mod extractor;
mod extractors;
mod host;
mod job;
mod layers;
mod listening;
mod maven;
mod names;
mod overlay;
mod project;
mod report;
mod sbom;
mod scanner;
mod sort;

pub use cache::{DirectoryCache, LayerCache};
pub use collect::Collector;
pub use compose::compose;
pub use digests::KnownDigests;
pub use disk::{ScannedDisk, together};
pub use extractor::{ExtractError, Extractor, ExtractorId, Extractors, InventorySink, WantedFile};
pub use extractors::all as extractors;
pub use host::HostRoot;
pub use job::worker_main;
pub use layers::PullProgress;
pub use lestrade_sys::Pieces;
pub use listening::{Listening, socket_address};
pub use maven::{Coordinates, MavenDependency, MavenProject};
pub use report::{FileReport, Found, LayerReport, Origin, shadow};
pub use scanner::{ScanError, ScannedImage, Scanner};
pub use sort::FileSort;
