//! The vocabulary against other implementations of the same standards.

mod cvss;
mod package_url;
