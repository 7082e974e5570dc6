//! What a worker answers: values, without any opinion about other layers.

use crate::maven::MavenProject;
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
    /// No package but a word: that what is called `name` needs what is called `version`. It is for the files of a project that are
    /// read together.
    Needs,
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
    /// The module stream that it was built in (`nodejs:18`), for rpm's.
    pub module: Option<String>,
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
    /// Where in the file packages lie, of those that lie in archives inside it: number in `found`, place.
    pub places: Vec<(u32, String)>,
    /// The operating system.
    pub os: Option<OsRelease>,
    /// Paths that an operating system's package owns, of those that extractors want.
    pub owns: Vec<String>,
    /// What it links to, if it is a link: relative to its folder, or to the root after `/`.
    pub link: Option<String>,
    /// The Maven project that it describes.
    pub maven: Option<Box<MavenProject>>,
    /// What was not understood.
    pub problems: Vec<(ProblemKind, String)>,
}

impl FileReport {
    /// Where one of its packages lies: the file's path, and the place inside of it if it is in an archive.
    #[must_use]
    pub fn place_of(&self, found: &Found) -> String {
        self.within(&self.path, found)
    }

    /// The same, of the file under another path.
    pub(crate) fn within(&self, path: &str, found: &Found) -> String {
        // Only archives have places inside; of other files the packages are not counted.
        let number = || self.found.iter().position(|other| std::ptr::eq(other, found)).and_then(|number| u32::try_from(number).ok());
        let at = (!self.places.is_empty()).then(number).flatten();
        let at = at.and_then(|number| self.places.binary_search_by_key(&number, |(number, _)| *number).ok());
        at.map_or_else(|| path.to_owned(), |at| format!("{path}/{}", self.places[at].1))
    }
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
    /// What stands on the way to files that are wanted by their full name: a link and where it leads, or a folder.
    pub ways: Vec<(String, Option<String>)>,
    /// Hashes ([`shadow`]) of the paths of all entries that are no folders, in their order: each hides what the layers below have at and
    /// below it.
    pub shadows: Vec<u64>,
    /// What of it could not be read.
    pub problems: Vec<Problem>,
}

/// A file that is wanted because a link leads to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Alias {
    /// Where it lies.
    pub(crate) path: String,
    /// Under which name it is wanted.
    pub(crate) wanted_as: String,
}

/// The hash of a path in [`LayerReport::shadows`]: FNV-1a, its bits mixed. It is kept in caches, so it must not change; who makes
/// two paths collide hides packages of their own image only.
#[must_use]
pub fn shadow(path: &str) -> u64 {
    let hash = path.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
