//! The binary: scan, serve, db, explain.
