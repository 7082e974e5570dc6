//! A watched folder: files that come, change, are written slowly, and go; and a folder that cannot be read.

use super::{Lab, record, scope, summary};
use lestrade_artifact::ArtifactError;
use lestrade_extract::{FileSort, ScanError};
use lestrade_model::{Component, CoverageReason, Ecosystem, Family, Inventory, Manager, Occurrence, ResourceKey, ResourceKind};
use lestrade_server::{Core, Outcome, Reconciler, WatchFolder};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Reads a file whose content is the version of left-pad in it.
fn read(path: &Path) -> Result<(FileSort, Inventory), ScanError> {
    let text = std::fs::read_to_string(path).unwrap();
    let not_one = || ArtifactError::NotAnImage { path: path.display().to_string(), looks_like: "a text" };
    let version = text.strip_prefix("left-pad ").ok_or_else(not_one)?;
    let component = Component::new(Ecosystem::of(Family::Npm), "left-pad", version);
    let place = Occurrence { component: 0, path: "left-pad".into(), layer: None, arch: None, manager: Manager::Npm };
    Ok((FileSort::Document, Inventory::assemble(None, vec![(component, place)], vec![])))
}

struct Watched {
    lab: Lab,
    core: Arc<Core>,
    folder: tempfile::TempDir,
    reads: Arc<AtomicUsize>,
    watch: WatchFolder,
}

fn watch(core: &Arc<Core>, folder: &Path, reads: &Arc<AtomicUsize>) -> WatchFolder {
    let reads = reads.clone();
    let counting = move |path: &Path| {
        reads.fetch_add(1, Ordering::Relaxed);
        read(path)
    };
    WatchFolder::reading_by(core.clone(), Box::new(counting), folder, scope()).unwrap()
}

impl Watched {
    fn new() -> Self {
        let mut lab = Lab::new();
        lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
        let core = lab.open();
        let (folder, reads) = (tempfile::tempdir().unwrap(), Arc::default());
        let watch = watch(&core, folder.path(), &reads);
        Self { lab, core, folder, reads, watch }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Two looks: after that what lies there has settled.
    fn look(&mut self) {
        self.watch.reconcile().unwrap();
        self.watch.reconcile().unwrap();
    }

    /// The findings, without the folder's own path.
    fn summary(&self) -> Vec<String> {
        summary(&self.core).iter().map(|line| line.replace(&format!("{}/", self.folder.path().display()), "")).collect()
    }

    fn coverage(&self, name: &str) -> (CoverageReason, String) {
        let id = self.folder.path().join(name).display().to_string();
        let entry = self.core.resource(&ResourceKey { scope: scope(), kind: ResourceKind::Path, id }).unwrap();
        (entry.coverage[0].reason, entry.coverage[0].detail.clone())
    }
}

#[test]
fn files_come_change_and_go() {
    let mut watched = Watched::new();
    watched.write("a.json", "left-pad 1.0.0");
    watched.write(".hidden", "left-pad 1.0.0");
    std::fs::create_dir(watched.folder.path().join("folder")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", watched.folder.path().join("link")).unwrap();
    assert_eq!(watched.watch.reconcile().unwrap(), Outcome::Unchanged);
    assert!(watched.summary().is_empty() && watched.watch.due().is_some(), "it may still be written");
    assert_eq!(watched.watch.reconcile().unwrap(), Outcome::Changed);
    assert_eq!(watched.summary(), ["CVE-2024-1 a.json ACTIVE left-pad@1.0.0"]);
    assert_eq!((watched.watch.reconcile().unwrap(), watched.reads.load(Ordering::Relaxed)), (Outcome::Unchanged, 1));
    assert_eq!(watched.watch.due(), None);

    watched.write("b.json", "left-pad 1.5.0");
    watched.write("a.json", "left-pad 2.0.0 ");
    watched.look();
    let (a, b) = ("CVE-2024-1 a.json CLOSED left-pad@1.0.0", "CVE-2024-1 b.json ACTIVE left-pad@1.5.0");
    assert_eq!(watched.summary(), [a, b]);

    // One goes while the server runs, one while it does not.
    std::fs::remove_file(watched.folder.path().join("b.json")).unwrap();
    watched.look();
    assert_eq!(watched.summary(), [a, "CVE-2024-1 b.json CLOSED left-pad@1.5.0"]);
    assert_eq!(watched.coverage("b.json").0, CoverageReason::ResourceTerminated);
    watched.write("c.json", "left-pad 1.0.0");
    watched.look();
    std::fs::remove_file(watched.folder.path().join("c.json")).unwrap();
    watched.watch = watch(&watched.core, watched.folder.path(), &watched.reads);
    watched.look();
    assert_eq!(watched.coverage("c.json").0, CoverageReason::ResourceTerminated);

    // And one comes back.
    watched.write("b.json", "left-pad 1.5.0");
    watched.look();
    assert_eq!(watched.summary()[1], b);
}

/// Names on Linux are bytes.
#[test]
fn a_name_that_is_no_text_is_a_name() {
    use std::os::unix::ffi::OsStrExt;
    let mut watched = Watched::new();
    let name = std::ffi::OsStr::from_bytes(b"odd-\xff.json");
    std::fs::write(watched.folder.path().join(name), "left-pad 1.0.0").unwrap();
    for _ in 0..3 {
        watched.look();
        assert_eq!(watched.summary(), ["CVE-2024-1 odd-\u{fffd}.json ACTIVE left-pad@1.0.0"]);
    }
    // The same folder, written otherwise, after a restart.
    let other = watched.folder.path().join("./");
    watched.watch = watch(&watched.core, &other, &watched.reads);
    std::fs::remove_file(watched.folder.path().join(name)).unwrap();
    watched.look();
    assert!(watched.summary()[0].contains("CLOSED"));
}

#[test]
fn a_file_that_grows_is_waited_for() {
    let mut watched = Watched::new();
    for text in ["left-", "left-pad", "left-pad 1"] {
        watched.write("a.json", text);
        watched.watch.reconcile().unwrap();
    }
    assert_eq!(watched.reads.load(Ordering::Relaxed), 0);
    watched.watch.reconcile().unwrap();
    assert_eq!(watched.summary(), ["CVE-2024-1 a.json ACTIVE left-pad@1"]);
}

#[test]
fn a_folder_that_cannot_be_read_closes_nothing() {
    let mut watched = Watched::new();
    watched.write("a.json", "left-pad 1.0.0");
    watched.look();
    let (here, away) = (watched.folder.path().to_owned(), watched.folder.path().with_extension("away"));
    std::fs::rename(&here, &away).unwrap();
    assert!(watched.watch.reconcile().is_err());
    assert_eq!(watched.summary(), ["CVE-2024-1 a.json ACTIVE left-pad@1.0.0"]);
    let (reason, detail) = watched.coverage("a.json");
    assert!(reason == CoverageReason::InternalError && detail.starts_with("its folder cannot be read"), "{detail}");
    std::fs::rename(&away, &here).unwrap();
    watched.look();
    assert_eq!(watched.coverage("a.json"), (CoverageReason::Successful, String::new()));

    // An empty folder on another device: what was mounted there is not.
    std::fs::remove_file(here.join("a.json")).unwrap();
    let note = lestrade_store::Document { key: here.display().to_string(), body: "1".into() };
    watched.core.store().put_document(&scope(), "watched-folder", &note).unwrap();
    assert!(watched.watch.reconcile().is_err());
    assert_eq!(watched.summary(), ["CVE-2024-1 a.json ACTIVE left-pad@1.0.0"]);
    assert!(watched.coverage("a.json").1.contains("another device"));
}

#[test]
fn what_cannot_be_read_is_said_and_keeps_what_was_known() {
    let mut watched = Watched::new();
    watched.write("a.json", "left-pad 1.0.0");
    watched.write("notes.txt", "hello");
    watched.look();
    assert_eq!(watched.coverage("notes.txt").0, CoverageReason::UnsupportedMediaType);
    watched.write("a.json", "something else");
    watched.look();
    assert_eq!(watched.coverage("a.json").0, CoverageReason::UnsupportedMediaType);
    assert_eq!(watched.summary(), ["CVE-2024-1 a.json ACTIVE left-pad@1.0.0"]);
    let reads = watched.reads.load(Ordering::Relaxed);
    watched.look();
    watched.lab.later(3_600_000);
    watched.look();
    assert_eq!(watched.reads.load(Ordering::Relaxed), reads, "what it is does not change by waiting");
}
