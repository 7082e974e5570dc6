//! The `inspector2` API, as AWS's clients know it; and beside it `inspector-scan`, and of `sts` who one is.
//!
//! A request passes the [`Front`] (limits, signature, routing), is decoded and checked against the model by `wire`, and meets
//! a plain function from input to output in the module of its family. Those functions know no HTTP; all that they see of the
//! rest of the server is the [`Backend`].

mod account;
mod aggregations;
mod backend;
mod call;
mod cis;
mod cloud;
mod clusters;
mod code;
mod configuration;
mod core_backend;
mod coverage;
mod criteria;
mod deep_inspection;
mod dispatch;
mod exports;
mod failure;
mod filters;
mod finding;
mod findings;
mod front;
mod identity;
mod key_file;
mod keys;
mod limits;
mod members;
mod organization;
mod pages;
mod scan;
mod suppressions;
mod tags;
mod usage;
mod vex;
mod vulnerabilities;

pub use backend::{AggregateRow, Backend, BackendError};
pub use criteria::criteria;
pub use exports::{BucketPlace, ExportPlace, WriteReports};
pub use filters::suppressions;
pub use front::{Front, router};
pub(crate) use front::{HEADERS, TARGET};
pub use key_file::{IssuedKey, KeyFile, KeyFileError};
pub use keys::{Key, KeyStore, Principal, Role};
pub use suppressions::{EndSuppressions, NewSuppression, SuppressionError, SuppressionRule};
pub(crate) use vex::LARGEST as VEX_LARGEST;
pub use vex::VexDocument;

#[cfg(test)]
mod tests;
