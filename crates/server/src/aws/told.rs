//! What instances tell when they are asked, read like any other artifact: packed as an archive, in the confined worker.

use super::{Halt, WatchAws};
use lestrade_aws::{Https, Session, Told, ToldSocket, ask_instances};
use lestrade_extract::{ScanError, socket_address};
use lestrade_model::{Inventory, ListeningSocket, OsRelease, Problem, ProblemKind};
use std::collections::BTreeMap;
use std::io::{Error as IoError, Write};
use tempfile::NamedTempFile;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Where what an instance could not read is said to be.
pub(super) const PLACE: &str = "SSM Run Command";

/// What instances told, or why they did not, by their ids.
pub(super) type Answers = BTreeMap<String, Result<Told, lestrade_aws::Error>>;

impl WatchAws {
    /// Asks instances what is installed in them, where that is wanted.
    pub(super) fn ask_instances(&self, session: &Session<Https>, ids: &[String]) -> Result<Answers, Halt> {
        if !self.settings.run_command || ids.is_empty() {
            return Ok(Answers::new());
        }
        self.ask(ask_instances(session, ids, &self.settings.deep_paths))
    }

    /// The inventory that an instance told; `os` is what SSM says that it runs, where the instance itself does not say.
    pub(super) fn read_told(&self, told: &Told, os: Option<&OsRelease>) -> Result<Inventory, ScanError> {
        let archive = packed(told).map_err(|error| lestrade_artifact::ArtifactError::Io { path: PLACE.to_owned(), source: error })?;
        let read = self.scanner.scan_zip_called(PLACE, archive.path())?;
        let os = read.os.clone().or_else(|| os.cloned());
        let mut found: Vec<_> = read.found().collect();
        found.extend(os.as_ref().map(|os| told.rpms(os)).unwrap_or_default());
        let unread =
            told.unread.iter().map(|detail| Problem { path: PLACE.to_owned(), kind: ProblemKind::Unreadable, detail: detail.clone() });
        Ok(Inventory::assemble(os, found, read.problems.into_iter().chain(unread).collect()))
    }
}

/// The sockets that an instance told of; none where it did not, or one of them cannot be read.
pub(super) fn sockets_of(told: &Told) -> Option<Vec<ListeningSocket>> {
    let read = |socket: &ToldSocket| {
        let (address, port) = socket_address(&socket.local)?;
        let ToldSocket { protocol, process, executable, package, .. } = socket.clone();
        Some(ListeningSocket { protocol, address, port, process, executable, package })
    };
    told.sockets.as_ref()?.iter().map(read).collect()
}

fn packed(told: &Told) -> Result<NamedTempFile, IoError> {
    let file = NamedTempFile::new()?;
    let mut zip = ZipWriter::new(file.reopen()?);
    for (path, content) in &told.files {
        // The same path twice is what no file system has; the first one counts.
        if zip.start_file(path.as_str(), SimpleFileOptions::default()).is_ok() {
            zip.write_all(content)?;
        }
    }
    zip.finish().map_err(IoError::other)?;
    Ok(file)
}
