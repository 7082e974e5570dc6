//! Configuration: flags over environment over files over defaults, and for each value where it comes from.

mod keys;
mod sources;

pub(crate) use keys::KEYS;
pub(crate) use sources::{Settings, Sources, load};
