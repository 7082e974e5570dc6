//! The project's own chores, run as `cargo xtask <chore>`.

mod arrows;
mod models;

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

const USAGE: &str = "usage: cargo xtask arrows            check that every dependency between rooms points down
       cargo xtask models [--check]   generate crates/wire/src/generated from the published AWS models";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["arrows"] => arrows::run(&root()),
        ["models"] => models::run(&root(), false),
        ["models", "--check"] => models::run(&root(), true),
        _ => bail!("{USAGE}"),
    }
}

/// The root of the workspace: the folder above this crate's.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
