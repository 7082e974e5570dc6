//! What `cargo xtask models` wrote.

pub mod ec2;
pub mod inspector2;
