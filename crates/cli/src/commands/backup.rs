//! `lestrade backup`: the whole state in one file, looked through, and put back.

use crate::args::BackupWhat;
use crate::clock::SystemClock;
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input::unreadable;
use crate::output;
use crate::state::StateFolder;
use lestrade_findings::{Episode, LogPosition};
use lestrade_model::{Clock, Component};
use lestrade_report::printable;
use lestrade_store::{Backup, LoadSink, StoreError, StoredResource, back_up, restore, verify};
use std::path::{Path, PathBuf};

pub(crate) fn run(settings: &Settings, what: &BackupWhat) -> Result<Exit, Failure> {
    let location = settings.text("store").unwrap_or_default();
    let said = match what {
        BackupWhat::Create { file } => create(settings, location, file.as_deref())?,
        BackupWhat::Verify { file } => looked_through(file)?,
        BackupWhat::Restore { file } => put_back(settings, location, file)?,
    };
    output::write(None, &said)?;
    Ok(Exit::Ok)
}

fn create(settings: &Settings, location: &str, file: Option<&Path>) -> Result<String, Failure> {
    let state = StateFolder::open(settings)?;
    let now = SystemClock.now();
    let name = format!("{}.backup", now.to_string().replace([':', '.'], "-"));
    let file = file.map_or_else(|| state.join("backup").join(name), PathBuf::from);
    let files = state.small_files().map_err(|error| state.failure(&error))?;
    let unwritable = |error: std::io::Error| {
        Failure::new("E0327", Exit::Input, format!("'{}' cannot be made", file.display())).cause(error).try_("another place")
    };
    file.parent().map(std::fs::create_dir_all).transpose().map_err(unwritable)?;
    // Keys are in it: it is its owner's from its first byte on, and takes no other file's place.
    crate::state::write_secret(&file, b"").map_err(unwritable)?;
    let made = back_up(location, files, (now, env!("CARGO_PKG_VERSION")), &file);
    let backup = made.map_err(|error| {
        let _ = std::fs::remove_file(&file);
        failure(&error)
    })?;
    Ok(format!("{} · {} rows and {} files · keep it as you keep keys\n", file.display(), backup.rows, backup.files.len()))
}

fn looked_through(file: &Path) -> Result<String, Failure> {
    std::fs::metadata(file).map_err(|error| unreadable(file, error))?;
    let mut counted = Counted::default();
    let Backup { head, rows, files } = verify(file, &mut counted).map_err(|error| failure(&error))?;
    Ok(format!(
        "sound · of {} by lestrade {} · {rows} rows and {} files\n  restored to try it: {} resources, {} components, {} episodes\n",
        head.at,
        printable(&head.by),
        files.len(),
        counted.resources,
        counted.components,
        counted.episodes
    ))
}

fn put_back(settings: &Settings, location: &str, file: &Path) -> Result<String, Failure> {
    std::fs::metadata(file).map_err(|error| unreadable(file, error))?;
    let state = StateFolder::open(settings)?;
    let backup = restore(file, location).map_err(|error| failure(&error))?;
    for (name, content) in &backup.files {
        state.put_back(name, content).map_err(|error| state.failure(&error))?;
    }
    Ok(format!("restored the state of {} · {} rows and {} files\n", backup.head.at, backup.rows, backup.files.len()))
}

fn failure(error: &StoreError) -> Failure {
    let failure = Failure::new("E0323", Exit::Input, error.to_string());
    match error {
        StoreError::NotEmpty => failure.try_("--set state-dir=…      # or move what is there out of the way"),
        StoreError::BadBackup { .. } => failure.try_("an earlier backup"),
        StoreError::InUse => failure.try_("stop the server first"),
        StoreError::OtherSchema { .. } => {
            failure.try_("the version of lestrade that wrote it; started on it, this one brings it up to date")
        }
        _ => failure,
    }
}

/// What a store that was restored holds.
#[derive(Default)]
struct Counted {
    components: u64,
    resources: u64,
    episodes: u64,
}

impl LoadSink for Counted {
    fn component(&mut self, _: u32, _: Component) {
        self.components += 1;
    }
    fn set(&mut self, _: u32, _: Vec<u32>) {}
    fn vulnerability(&mut self, _: u32, _: String) {}
    fn resource(&mut self, _: u32, _: StoredResource) {
        self.resources += 1;
    }
    fn episode(&mut self, _: Episode) {
        self.episodes += 1;
    }
    fn last_group(&mut self, _: LogPosition) {}
}
