//! The only room that may hold unsafe code: mapped files, spilled content, the sandboxed worker, opening files inside a foreign root, what the
//! system says of a file, two messages hashed at once; and the steps at which tests cut the power.

mod asking;
mod file_state;
mod mapped;
mod open;
mod sandbox;
mod sha256_pair;
mod spill;
mod step;
mod worker;

pub use asking::Asking;
pub use file_state::{FileState, is_private_folder};
pub use mapped::MappedFile;
pub use open::open_in_root;
pub use sandbox::{Reach, Sandbox, confine, forgo_sockets};
pub use sha256_pair::Sha256Pair;
pub use spill::{Spill, Spilled};
pub use step::step;
pub use worker::{Answer, Input, NotTaken, Pieces, Say, WorkerCommand, WorkerFailure, WorkerLimits, answer};
