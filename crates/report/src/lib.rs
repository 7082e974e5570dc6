//! Findings become tables, JSON and events.
