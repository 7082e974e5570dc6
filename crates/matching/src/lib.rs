//! The advisory index, the estate index, and the two gates that decide.
