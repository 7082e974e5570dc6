//! The binary `lestrade`: thin. Arguments become a command, a command becomes an exit code; everything else is in the rooms below.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is where the program speaks")]

mod args;
mod clock;
mod commands;
mod config;
mod docker_auth;
mod exit;
mod failure;
mod input;
mod output;
mod progress;
mod remote;
mod state;

use args::{Cli, Command};
use clap::Parser;
use exit::Exit;
use failure::Failure;
use output::Speech;
use std::process::ExitCode;

/// The C library's allocator keeps what inventories leave behind: see ADR 30.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect();
    // A worker is started by us, many times for one scan: it does nothing that a person would need.
    if arguments.get(1).is_some_and(|first| first == "worker") {
        return lestrade_extract::worker_main(&arguments[2..]);
    }
    let cli = match Cli::try_parse_from(args::with_scan(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    let result = std::panic::catch_unwind(|| run(cli)).unwrap_or_else(|_| {
        Err(Failure::new("E0700", Exit::Bug, "lestrade has a fault and stopped")
            .try_("RUST_BACKTRACE=1 lestrade …      # and report what it prints"))
    });
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print();
            failure.exit.into()
        }
    }
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    let settings = config::load(&cli.config_sources())?;
    let speech = Speech { color: cli.color, quiet: cli.quiet, verbose: cli.verbose };
    if settings.flag("offline") && !cli.command.is_of_a_server() && !lestrade_sys::forgo_sockets() {
        // Nothing below opens one; only that nothing could is then not so.
        speech.note("this kernel cannot keep the program from opening sockets");
    }
    match cli.command {
        Command::Scan(scan) => commands::scan::run(&settings, speech, &scan.what),
        Command::Explain(explain) => commands::explain::run(&settings, speech, &explain),
        Command::Status(arguments) => commands::estate::status(&settings, speech, arguments.json),
        Command::Findings(arguments) => commands::estate::findings(&settings, speech, &arguments),
        Command::Resources(arguments) => commands::estate::resources(&settings, speech, &arguments),
        Command::Coverage(arguments) => commands::estate::coverage(&settings, speech, &arguments),
        Command::Suppress(suppress) => commands::suppress::run(&settings, &suppress.what),
        Command::Vex(vex) => commands::vex::run(&settings, &vex.what),
        Command::Sbom(sbom) => commands::sbom::run(&settings, &sbom.what),
        Command::Clusters(clusters) => commands::clusters::run(&settings, &clusters.what),
        Command::Agent(agent) => commands::agent::run(&settings, &agent.what),
        Command::Rules(rules) => commands::rules::run(&settings, &rules.what),
        Command::Events(events) => commands::events::run(&settings, &events.what),
        Command::Targets(targets) => commands::targets::run(&settings, &targets.what),
        Command::Exposure(exposure) => commands::exposure::run(&settings, speech, &exposure),
        Command::Diff(diff) => commands::diff::run(&settings, speech, &diff),
        Command::Completions { shell } => commands::manual::completions(shell),
        Command::Man => commands::manual::page(),
        Command::Db(db) => commands::db::run(&settings, speech, &db.what),
        Command::Aws(aws) => commands::aws::run(&settings, &aws.what),
        Command::Doctor(doctor) => commands::doctor::run(&settings, &doctor),
        Command::Backup(backup) => commands::backup::run(&settings, &backup.what),
        Command::Keys(keys) => commands::keys::run(&settings, &keys.what),
        Command::Serve(serve) => commands::serve::run(&settings, &serve),
        Command::Config(config) => commands::config::run(&settings, &config.what),
    }
}
