//! The only room that may hold unsafe code: mapped files, the sandboxed worker, and opening files inside a foreign root.

mod mapped;
mod open;
mod sandbox;
mod worker;

pub use mapped::MappedFile;
pub use open::open_in_root;
pub use sandbox::{Reach, Sandbox, confine};
pub use worker::{Input, WorkerCommand, WorkerFailure, WorkerLimits, answer};
