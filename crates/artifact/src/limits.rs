//! How much of an input is read before it is called too much.

use serde::{Deserialize, Serialize};

/// Bounds on one artifact. What exceeds one is partial, and says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of a layer after inflation.
    pub expanded: u64,
    /// Inflation ratio that is too good to be true, once [`Limits::ratio_after`] bytes came out.
    pub ratio: u64,
    /// Bytes before the ratio counts.
    pub ratio_after: u64,
    /// Entries of a tar or of a directory tree.
    pub entries: u64,
    /// Bytes of a name.
    pub name: usize,
    /// Components of a path.
    pub depth: usize,
    /// Bytes of a file of text that is read whole.
    pub file: u64,
    /// Bytes of a file that is looked into here and there: a program, an archive, a database.
    pub large: u64,
    /// Bytes of a file that is held in memory; more is spilled to disk.
    pub memory: u64,
    /// Bytes of a bill of materials, which is read as a stream and never held.
    pub document: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            expanded: 64 << 30,
            ratio: 200,
            ratio_after: 64 << 20,
            entries: 5_000_000,
            name: 4096,
            depth: 256,
            file: 64 << 20,
            large: 1 << 30,
            memory: 16 << 20,
            document: 512 << 20,
        }
    }
}
