//! Benchmarks against peers and floors. Prints the tables of `docs/benchmarks.md`:
//!
//! ```text
//! cargo run --release -p lestrade-bench -- <image|estate|feeds|serve|reachability|rules|outbreak|rescan|documents|all> [--resources N] [--runs N] [--only TEXT]
//! ```
//!
//! Whatever is compared is measured in the same run, in turns, so that a slow moment of the machine falls on everybody.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tables on standard output, progress on standard error")]

mod documents;
mod estate;
mod feeds;
mod fleet;
mod floor;
mod image;
mod images;
mod measure;
mod outbreak;
mod packages;
mod peers;
mod reachability;
mod rescan;
mod rules;
mod serve;
mod served;
mod table;
mod trivy_db;

use anyhow::{Context, Result, bail};
use std::path::PathBuf;

/// As the program itself allocates.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What was asked for.
pub(crate) struct Options {
    /// How large the simulated estate is.
    pub(crate) resources: u32,
    /// How often each program is run.
    pub(crate) runs: usize,
    /// How large the estate behind the store is.
    pub(crate) served: u32,
    /// Whether no two resources of the estate are alike.
    pub(crate) unshared: bool,
    /// Only images whose title has this in it.
    pub(crate) only: String,
    /// Where images, peers and results are kept between runs.
    pub(crate) folder: PathBuf,
}

/// The workspace's folder: the one that this crate was compiled in.
pub(crate) fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    if what == measure::COMMAND {
        return measure::main(arguments.collect());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    let mut options =
        Options { resources: 100_000, runs: 7, served: 5_000, unshared: false, only: String::new(), folder: target.join("bench") };
    while let Some(flag) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--resources" => options.resources = value.parse()?,
            "--only" => options.only = value,
            "--unshared" => options.unshared = value.parse()?,
            "--served" => options.served = value.parse()?,
            "--runs" => options.runs = value.parse::<usize>()?.max(1),
            _ => bail!("there is no {flag}"),
        }
    }
    std::fs::create_dir_all(&options.folder)?;
    match what.as_str() {
        "image" => image::run(&options),
        "estate" => estate::run(&options),
        "feeds" => feeds::run(&options),
        "serve" => serve::run(&options),
        "reachability" => reachability::run(&options),
        "rules" => rules::run(&options),
        "outbreak" => outbreak::run(&options),
        "rescan" => rescan::run(&options),
        "documents" => documents::run(&options),
        "all" => [image::run, estate::run, serve::run, reachability::run, rules::run, outbreak::run, rescan::run, documents::run]
            .into_iter()
            .try_for_each(|part| part(&options)),
        _ => bail!(
            "usage: lestrade-bench <image|estate|feeds|serve|reachability|rules|outbreak|rescan|documents|all> [--resources N] [--served N] [--unshared true] [--runs N] [--only TEXT]"
        ),
    }
}
