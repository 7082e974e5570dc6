//! Ordering and ranges of every ecosystem's versions.
