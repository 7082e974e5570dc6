//! What of a directory a user does not want walked.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

/// Patterns of paths below the root, in which `*` stops at `/` and `**/` is any folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkipPatterns {
    /// Folders that are not entered.
    pub folders: Vec<String>,
    /// Files that are not read.
    pub files: Vec<String>,
}

impl SkipPatterns {
    /// The pattern of one path and no other.
    #[must_use]
    pub fn exactly(path: &str) -> String {
        globset::escape(path)
    }
}

/// A text that is no pattern.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no pattern of paths")]
pub struct BadSkipPattern(String);

/// The same, compiled.
#[derive(Clone, Debug, Default)]
pub struct Skip {
    folders: GlobSet,
    files: GlobSet,
}

impl Skip {
    /// Compiles patterns.
    ///
    /// # Errors
    /// When one is none.
    pub fn new(patterns: &SkipPatterns) -> Result<Self, BadSkipPattern> {
        Ok(Self { folders: compile(&patterns.folders)?, files: compile(&patterns.files)? })
    }

    /// Whether a folder is left out.
    #[must_use]
    pub fn folder(&self, path: &str) -> bool {
        self.folders.is_match(path)
    }

    /// Whether a file is left out.
    #[must_use]
    pub fn file(&self, path: &str) -> bool {
        self.files.is_match(path)
    }
}

fn compile(patterns: &[String]) -> Result<GlobSet, BadSkipPattern> {
    let bad = |pattern: &String| BadSkipPattern(pattern.clone());
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let below = pattern.trim_start_matches("./").trim_matches('/');
        set.add(GlobBuilder::new(below).literal_separator(true).build().map_err(|_| bad(pattern))?);
    }
    set.build().map_err(|_| BadSkipPattern(patterns.join(", ")))
}
