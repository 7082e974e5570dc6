//! Discovery and collection from AWS, and the targets of `events` that are its services.
//!
//! [`Ec2`] asks, page by page, over [`Https`]; [`discover_instances`] says what there is in the model's words. What could
//! not be seen in full is an error that carries what was seen, never a shorter list: from absence follows that a resource is
//! gone, and only a complete view may say that.

mod discover;
mod ec2;
mod error;
mod https;
mod retry;
pub mod targets;

pub use discover::discover_instances;
pub use ec2::Ec2;
pub use error::{Error, Partial};
pub use https::Https;
pub use retry::Retry;

#[cfg(test)]
mod script;
