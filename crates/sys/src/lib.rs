//! The only room that may hold unsafe code: mapped files and the sandboxed worker.

mod mapped;

pub use mapped::MappedFile;
