//! What a worker answers: values, without any opinion about other layers.

use lestrade_artifact::LayerDigests;
use lestrade_model::{Family, Manager, OsRelease, Problem, ProblemKind};
use serde::{Deserialize, Serialize};

/// Whose package it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// The operating system's, whichever that turns out to be.
    OperatingSystem,
    /// A language's.
    Language(Family),
}

/// A package that a file speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Whose it is.
    pub origin: Origin,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its source package's name and version.
    pub source: Option<(String, String)>,
    /// Its architecture.
    pub arch: Option<String>,
    /// Who manages it.
    pub manager: Manager,
}

/// What one file of one layer says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReport {
    /// Its path.
    pub path: String,
    /// Packages.
    pub found: Vec<Found>,
    /// The operating system.
    pub os: Option<OsRelease>,
    /// Paths that an operating system's package owns, of those that extractors want.
    pub owns: Vec<String>,
    /// What it links to, if it is a link: relative to its folder, or to the root after `/`.
    pub link: Option<String>,
    /// What was not understood.
    pub problems: Vec<(ProblemKind, String)>,
}

/// What one layer holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerReport {
    /// Its computed digests; empty for a directory.
    pub digests: LayerDigests,
    /// Its wanted files, in the order in which they came.
    pub files: Vec<FileReport>,
    /// Paths that it removes from the layers below.
    pub whiteouts: Vec<String>,
    /// Folders whose content in the layers below it hides.
    pub opaque: Vec<String>,
    /// What of it could not be read.
    pub problems: Vec<Problem>,
}
