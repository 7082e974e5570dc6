//! The commands, one file each.

pub(crate) mod config;
pub(crate) mod db;
pub(crate) mod scan;
pub(crate) mod serve;

use crate::exit::Exit;
use crate::failure::Failure;
use lestrade_advisories::AdvisoriesError;
use lestrade_extract::Scanner;
use lestrade_sys::WorkerCommand;

/// A scanner whose workers are this very program.
fn scanner(cache: Option<Box<dyn lestrade_extract::LayerCache>>) -> Result<Scanner, Failure> {
    let worker =
        WorkerCommand::this_program().map_err(|error| Failure::new("E0701", Exit::Bug, "the program does not find itself").cause(error))?;
    Ok(Scanner::new(worker, lestrade_artifact::Limits::default(), cache))
}

/// What is wrong with intelligence, in the words of the user.
fn intelligence_failure(error: &AdvisoriesError) -> Failure {
    match error {
        AdvisoriesError::NoGeneration => Failure::new("E0500", Exit::Intelligence, error.to_string())
            .try_("lestrade db import PATH      # OSV records or the Debian tracker's JSON"),
        AdvisoriesError::Index(_) => Failure::new("E0501", Exit::Intelligence, "the vulnerability intelligence is damaged")
            .cause(error)
            .try_("lestrade db import PATH      # after removing the damaged folder"),
        AdvisoriesError::NotAFeed { .. } | AdvisoriesError::Nothing { .. } => Failure::new("E0311", Exit::Input, error.to_string()),
        AdvisoriesError::Io { source, .. } => Failure::new("E0300", Exit::Input, error.to_string()).cause(source),
        _ => Failure::new("E0502", Exit::Intelligence, error.to_string()),
    }
}
