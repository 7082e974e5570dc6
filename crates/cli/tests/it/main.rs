//! The program as a user runs it.

mod lab;
mod scan;
mod spine;
