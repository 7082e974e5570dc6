//! Systems that are past their end, as days pass.

use crate::{Lab, findings, observation, summary};
use lestrade_advisories::Importer;
use lestrade_findings::FindingView;
use lestrade_model::{FindingStatus, FindingType, OsRelease};
use lestrade_server::{Core, Observation, Outcome, Reconciler, WatchLifecycles};
use std::sync::Arc;

const DAY: i64 = 24 * 60 * 60 * 1000;

/// Publishes that Debian 12 ends on a day.
fn ends(lab: &Lab, date: &str) {
    let file = lab.folder.path().join("eol.json");
    let text = format!(
        r#"{{"total": 1, "result": [{{"name": "debian", "releases": [{{"name": "12", "label": "12 (Bookworm)", "isEol": false, "eolFrom": "{date}"}}]}}]}}"#
    );
    std::fs::write(&file, text).unwrap();
    let (_, mut importer): (_, Importer) = lab.library().next(lab.now()).unwrap();
    importer.import(&file).unwrap();
    lab.library().publish(&importer.finish().unwrap().0).unwrap();
}

fn running(name: &str, version: &str) -> Observation {
    let mut observation = observation(name, &[("left-pad", "1.0.0")]);
    let os = OsRelease { id: "debian".into(), version: version.into(), pretty_name: String::new() };
    observation.inventory.as_mut().unwrap().os = Some(os);
    observation
}

fn ended(core: &Core) -> Vec<(String, FindingStatus)> {
    let about = |finding: &FindingView| finding.assessment.id.starts_with("end-of-life/");
    let found = findings(core);
    found.iter().filter(|finding| about(finding)).map(|finding| (finding.resource.key.id.clone(), finding.status)).collect()
}

#[test]
fn the_end_of_a_system_falls_due_by_itself() {
    let lab = Lab::new();
    ends(&lab, "2026-11-26");
    let core = lab.open();
    core.observe(running("a", "12")).unwrap();
    core.observe(running("b", "13")).unwrap();
    let mut watch = WatchLifecycles::new(Arc::clone(&core));
    assert_eq!(watch.reconcile().unwrap(), Outcome::Unchanged);
    assert_eq!(ended(&core), []);
    let due = watch.due().unwrap();
    lab.later(i64::try_from(due.as_millis()).unwrap() - 1);
    assert_eq!(watch.reconcile().unwrap(), Outcome::Unchanged, "not a millisecond before");
    lab.later(1);
    assert_eq!(watch.reconcile().unwrap(), Outcome::Changed);
    assert_eq!(ended(&core), [("a".to_owned(), FindingStatus::Active)]);
    assert_eq!(watch.reconcile().unwrap(), Outcome::Unchanged, "and then it is so");
    let finding = findings(&core).into_iter().find(|finding| finding.assessment.condition.is_some()).unwrap();
    assert_eq!(finding.severity.as_str(), "CRITICAL");
    assert_eq!(finding.key.finding_type(), FindingType::PackageVulnerability);
    assert!(finding.assessment.details.contains("debian 12 (Bookworm) is no longer looked after since 2026-11-26"));
    summary(&core);
}

#[test]
fn it_ends_with_an_upgrade_a_correction_or_the_resource() {
    let lab = Lab::new();
    ends(&lab, "2026-01-01");
    let core = lab.open();
    let mut watch = WatchLifecycles::new(Arc::clone(&core));
    for name in ["a", "b", "c"] {
        core.observe(running(name, "12")).unwrap();
    }
    watch.reconcile().unwrap();
    assert_eq!(ended(&core).len(), 3);
    // After a start it is known from the log, before anybody looked.
    drop(watch);
    drop(core);
    let core = lab.open();
    assert_eq!(ended(&core).len(), 3);
    let mut watch = WatchLifecycles::new(Arc::clone(&core));
    assert_eq!(watch.reconcile().unwrap(), Outcome::Unchanged);
    lab.later(DAY);
    core.observe(running("a", "13")).unwrap();
    core.forget(&observation("b", &[]).resource.key, lestrade_model::CoverageReason::ResourceTerminated).unwrap();
    watch.reconcile().unwrap();
    let stands = |core: &Core| {
        let mut all = ended(core);
        all.sort();
        all.into_iter().map(|(name, status)| format!("{name} {}", status.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(stands(&core), ["a CLOSED", "b CLOSED", "c ACTIVE"]);
    ends(&lab, "2028-01-01");
    core.refresh_intelligence().unwrap();
    watch.reconcile().unwrap();
    assert_eq!(stands(&core), ["a CLOSED", "b CLOSED", "c CLOSED"]);
    summary(&core);
}
