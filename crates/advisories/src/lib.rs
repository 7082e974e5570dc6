//! Feeds become advisories: cursor in, delta out.
