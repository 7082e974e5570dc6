//! This machine, watched: read at once, again when its packages changed, and never closed by a look that failed.

use super::{HOUR, Lab, findings, record, scope, summary};
use lestrade_artifact::ArtifactError;
use lestrade_extract::{HostRoot, ScanError};
use lestrade_model::{
    Component, CoverageReason, Ecosystem, Family, Inventory, Manager, Occurrence, Problem, ProblemKind, ResourceDetails, ResourceKind,
};
use lestrade_server::{Core, Outcome, Reconciler, WatchHost};
use std::sync::{Arc, Mutex};

/// A machine as a folder, what reading it brings, and how often it was read.
struct Machine {
    folder: tempfile::TempDir,
    brings: Arc<Mutex<(Result<Inventory, ()>, usize)>>,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in
            [("etc/machine-id", "0123456789abcdef0123456789abcdef\n"), ("etc/hostname", "web-1\n"), ("var/lib/dpkg/status", "a")]
        {
            let file = folder.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        Self { folder, brings: Arc::new(Mutex::new((Ok(installed("1.0.0", &[])), 0))) }
    }

    fn watched(&self, core: &Arc<Core>) -> WatchHost {
        let brings = Arc::clone(&self.brings);
        let read = Box::new(move |_: &HostRoot| {
            let mut brings = brings.lock().unwrap();
            brings.1 += 1;
            brings.0.clone().map_err(|()| ScanError::from(ArtifactError::PermissionDenied("/".into())))
        });
        WatchHost::reading_by(core.clone(), read, HostRoot::new(self.folder.path()), &scope(), [7; 32])
    }

    fn brings(&self, what: Result<Inventory, ()>) {
        self.brings.lock().unwrap().0 = what;
    }

    fn reads(&self) -> usize {
        self.brings.lock().unwrap().1
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::write(self.folder.path().join(path), text).unwrap();
    }
}

fn installed(version: &str, problems: &[(&str, ProblemKind)]) -> Inventory {
    let component = Component::new(Ecosystem::of(Family::Npm), "left-pad", version);
    let place = Occurrence { component: 0, path: "srv/app/left-pad".into(), layer: None, arch: None, manager: Manager::Npm };
    let found = if version.is_empty() { vec![] } else { vec![(component, place)] };
    let problem = |(path, kind): &(&str, ProblemKind)| Problem { path: (*path).into(), kind: *kind, detail: "closed".into() };
    Inventory::assemble(None, found, problems.iter().map(problem).collect())
}

fn lab() -> (Lab, Arc<Core>, Machine) {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    let core = lab.open();
    (lab, core, Machine::new())
}

fn reason(core: &Core, host: &WatchHost) -> (CoverageReason, String) {
    let coverage = core.resource(host.key()).unwrap().coverage.remove(0);
    (coverage.reason, coverage.detail)
}

#[test]
fn a_machine_is_read_at_once_and_again_when_its_packages_changed() {
    let (lab, core, machine) = lab();
    let mut host = machine.watched(&core);
    assert_eq!(host.reconcile().unwrap(), Outcome::Changed);
    let id = host.key().id.clone();
    assert_eq!(summary(&core), [format!("CVE-2024-1 {id} ACTIVE left-pad@1.0.0")]);
    assert!(host.key().kind == ResourceKind::Host && !id.contains("01234567"), "the machine id is not shown: {id}");
    let resource = core.resource(host.key()).unwrap().resource;
    assert_eq!(resource.tags, [("Name".to_owned(), "web-1".to_owned())]);
    assert!(resource.facts.running_kernel.is_some());
    assert!(matches!(&resource.details, ResourceDetails::Host(host) if host.listening.is_some()), "and what listens there");

    lab.later(HOUR);
    assert_eq!((host.reconcile().unwrap(), machine.reads()), (Outcome::Unchanged, 1), "nothing moved: nothing is read");
    machine.write("var/lib/dpkg/status", "a and b");
    machine.brings(Ok(installed("2.0.0", &[])));
    assert_eq!((host.reconcile().unwrap(), machine.reads()), (Outcome::Changed, 2));
    assert_eq!(summary(&core), [format!("CVE-2024-1 {id} CLOSED left-pad@1.0.0")]);
    lab.later(6 * HOUR);
    assert_eq!((host.reconcile().unwrap(), machine.reads()), (Outcome::Changed, 3), "what is no package of the system is read by and by");

    core.forget(host.key(), CoverageReason::ResourceTerminated).unwrap();
    assert_eq!((host.reconcile().unwrap(), machine.reads()), (Outcome::Changed, 4), "it is here: nobody can have meant it");
    assert_eq!(reason(&core, &host).0, CoverageReason::Successful);

    let mut again = machine.watched(&core);
    again.reconcile().unwrap();
    assert_eq!(again.key(), host.key(), "a restart knows it");
    assert_eq!(core.world().resources_in(&scope()).len(), 1);
}

#[test]
fn a_machine_that_cannot_be_read_is_there_and_not_clean() {
    let (_lab, core, machine) = lab();
    machine.brings(Err(()));
    let mut host = machine.watched(&core);
    assert!(host.reconcile().is_err());
    assert_eq!(reason(&core, &host).0, CoverageReason::AccessDenied);
    assert_eq!(core.resource(host.key()).unwrap().inventory, None);
}

#[test]
fn a_look_that_failed_keeps_what_is_known_and_says_so() {
    let (lab, core, machine) = lab();
    let mut host = machine.watched(&core);
    host.reconcile().unwrap();
    let seen = core.resource(host.key()).unwrap().coverage[0].last_scanned;
    lab.later(7 * HOUR);
    machine.brings(Err(()));
    assert!(host.reconcile().is_err(), "it is tried again soon");
    assert_eq!(reason(&core, &host).0, CoverageReason::AccessDenied);
    assert_eq!(core.resource(host.key()).unwrap().coverage[0].last_scanned, seen, "that was no look");
    assert_eq!(findings(&core)[0].status.as_str(), "ACTIVE");

    // A part that cannot be read is as it was; the rest is as it is.
    machine.brings(Ok(installed("", &[("srv/app", ProblemKind::Unreadable)])));
    host.reconcile().unwrap();
    assert_eq!(reason(&core, &host), (CoverageReason::Successful, "not covered: srv/app: closed".to_owned()));
    assert_eq!(findings(&core)[0].status.as_str(), "ACTIVE");
    machine.write("var/lib/dpkg/status", "other");
    machine.brings(Ok(installed("", &[])));
    host.reconcile().unwrap();
    assert_eq!((reason(&core, &host).0, findings(&core)[0].status.as_str()), (CoverageReason::Successful, "CLOSED"));
    assert_eq!(core.audit(), []);
}

#[test]
fn a_machine_without_an_id_goes_by_one_of_ours() {
    let (_lab, core, machine) = lab();
    machine.write("etc/machine-id", "");
    let (one, two) = (machine.watched(&core), machine.watched(&core));
    assert_eq!(one.key(), two.key());
    machine.write("etc/machine-id", "fedcba9876543210fedcba9876543210");
    assert_ne!(one.key(), machine.watched(&core).key());
}
