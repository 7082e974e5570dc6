//! The commands, one file each.

pub(crate) mod agent;
pub(crate) mod aws;
pub(crate) mod backup;
mod bundles;
pub(crate) mod clusters;
mod columns;
pub(crate) mod config;
pub(crate) mod db;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod estate;
pub(crate) mod events;
mod exceptions;
pub(crate) mod explain;
pub(crate) mod exposure;
mod feeds;
mod gates;
mod generations;
mod judgement;
pub(crate) mod keys;
mod lookup;
pub(crate) mod manual;
mod render;
pub(crate) mod rules;
pub(crate) mod sbom;
pub(crate) mod scan;
pub(crate) mod serve;
pub(crate) mod suppress;
mod target;
pub(crate) mod targets;
pub(crate) mod vex;

use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use lestrade_advisories::{AdvisoriesError, Library};
use lestrade_artifact::ArtifactError;
use lestrade_extract::{ScanError, Scanner};
use lestrade_matching::ReportMode;
use lestrade_sys::WorkerCommand;
use std::io::ErrorKind;

/// The library of intelligence, of which what is set is reported.
fn library(settings: &Settings) -> Library {
    let mode = settings.text("report-mode").and_then(ReportMode::named).unwrap_or_default();
    Library::new(settings.path("db-dir")).reporting(mode)
}

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
            .try_("lestrade db update      # or, without a network: lestrade db import PATH"),
        AdvisoriesError::Index(_) => Failure::new("E0501", Exit::Intelligence, "the vulnerability intelligence is damaged")
            .cause(error)
            .try_("lestrade db import PATH      # after removing the damaged folder"),
        AdvisoriesError::Bundle(reason) => {
            Failure::new("E0506", Exit::Intelligence, "the bundle is not taken; what is in force stays").cause(reason)
        }
        AdvisoriesError::NotAFeed { .. } | AdvisoriesError::Nothing { .. } => Failure::new("E0311", Exit::Input, error.to_string()),
        AdvisoriesError::Io { source, .. } => Failure::new("E0300", Exit::Input, error.to_string()).cause(source),
        _ => Failure::new("E0502", Exit::Intelligence, error.to_string()),
    }
}

/// The same, of any error that is one of intelligence.
fn failed(error: impl Into<AdvisoriesError>) -> Failure {
    intelligence_failure(&error.into())
}

/// What is wrong with an artifact, in the words of the user.
fn scan_failure(error: &ScanError) -> Failure {
    let failure = |code, exit| Failure::new(code, exit, error.to_string());
    match error {
        ScanError::Artifact(artifact) => match artifact {
            ArtifactError::NotFound(_) => failure("E0300", Exit::Input),
            ArtifactError::PermissionDenied(_) => failure("E0302", Exit::Input).try_("sudo lestrade …      # or as a user who may read it"),
            ArtifactError::Empty(_) => {
                failure("E0303", Exit::Input).try_("ls -l FILE      # what should have written it may not have; write it again")
            }
            ArtifactError::Truncated { .. } => {
                failure("E0310", Exit::Input).try_("docker save IMAGE -o image.tar      # the file may have been cut while copying")
            }
            ArtifactError::NotAnImage { .. } => failure("E0312", Exit::Input).try_("docker save IMAGE -o image.tar"),
            ArtifactError::NoPlatform { .. } => failure("E0313", Exit::Input).try_("lestrade scan image --platform OS/ARCH …"),
            ArtifactError::BadReference(_) => failure("E0202", Exit::Usage).try_("lestrade scan image registry.example/app:v1"),
            ArtifactError::Network { .. } => failure("E0600", Exit::Network),
            ArtifactError::Unauthorized(_) => failure("E0601", Exit::Network).try_("docker login REGISTRY"),
            ArtifactError::Io { source, .. } => match source.kind() {
                ErrorKind::NotADirectory => {
                    failure("E0302", Exit::Input).try_("lestrade scan image|function|sbom|disk …      # a file is one of those")
                }
                ErrorKind::IsADirectory => {
                    failure("E0302", Exit::Input).try_("lestrade scan rootfs|repo|image …      # a folder is one of those")
                }
                _ => failure("E0302", Exit::Input),
            },
            _ => failure("E0314", Exit::Input),
        },
        ScanError::NotADocument { .. } => {
            failure("E0317", Exit::Input).try_("lestrade scan image|fs|function …      # if it is one of those")
        }
        ScanError::NotAZip { .. } => failure("E0318", Exit::Input).try_("lestrade scan image|fs|sbom …      # if it is one of those"),
        ScanError::NotADisk { .. } => {
            failure("E0319", Exit::Input).try_("qemu-img convert -O raw DISK disk.img      # what is read: raw, qcow2, VMDK")
        }
        ScanError::Skip(_) => failure("E0204", Exit::Usage).try_("--skip-dirs '**/node_modules'"),
        ScanError::LayerMismatch { .. } => failure("E0315", Exit::Input)
            .try_("docker save IMAGE -o image.tar      # or fetch it again: these are not the bytes that were pushed"),
        _ => failure("E0316", Exit::Input),
    }
}
