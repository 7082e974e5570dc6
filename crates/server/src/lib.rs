//! Reconcilers that never stop, and the only HTTP server.
