//! Disks made and listed by the tools of their formats, against what the reader sees of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod ext;
mod hostile;
mod images;
mod lab;
mod lvm;
mod xfs;
mod xfs_log;
