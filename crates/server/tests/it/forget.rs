//! Resources that go away, and those that come back.

use super::{HOUR, Lab, findings, observation, record, scope, summary};
use lestrade_findings::ResourceEntry;
use lestrade_model::{CoverageReason, ResourceKey, ResourceKind};
use lestrade_server::Core;

fn key(id: &str) -> ResourceKey {
    ResourceKey { scope: scope(), kind: ResourceKind::Image, id: id.to_owned() }
}

fn lab() -> (Lab, std::sync::Arc<Core>) {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    let core = lab.open();
    for image in ["image-a", "image-b"] {
        core.observe(observation(image, &[("left-pad", "1.0.0")])).unwrap();
    }
    (lab, core)
}

fn reasons(entry: &ResourceEntry) -> Vec<CoverageReason> {
    entry.coverage.iter().map(|coverage| coverage.reason).collect()
}

#[test]
fn what_is_gone_closes_its_own_findings_and_says_why() {
    let (lab, core) = lab();
    lab.later(HOUR);
    assert!(core.forget(&key("image-a"), CoverageReason::ResourceTerminated).unwrap());
    let expected = ["CVE-2024-1 image-a CLOSED left-pad@1.0.0", "CVE-2024-1 image-b ACTIVE left-pad@1.0.0"];
    assert_eq!(summary(&core), expected);
    let kept = core.resource(&key("image-a")).unwrap();
    assert_eq!(reasons(&kept), [CoverageReason::ResourceTerminated]);
    assert!(kept.inventory.is_some(), "what it was is known still");

    let head = core.world().log.head();
    assert!(!core.forget(&key("image-a"), CoverageReason::ResourceTerminated).unwrap(), "twice is once");
    assert!(!core.forget(&key("image-c"), CoverageReason::ResourceTerminated).unwrap(), "nobody knew it");
    assert_eq!(core.world().log.head(), head);

    drop(core);
    let core = lab.open();
    assert_eq!(summary(&core), expected, "and a restart knows it");
    assert_eq!(reasons(&core.resource(&key("image-a")).unwrap()), [CoverageReason::ResourceTerminated]);
}

#[test]
fn advisories_pass_by_what_is_gone() {
    let (mut lab, core) = lab();
    core.forget(&key("image-a"), CoverageReason::ResourceTerminated).unwrap();
    lab.later(HOUR);
    lab.publish(record("CVE-2024-2", "left-pad", "3.0.0"));
    core.refresh_intelligence().unwrap();
    let expected = [
        "CVE-2024-1 image-a CLOSED left-pad@1.0.0",
        "CVE-2024-1 image-b ACTIVE left-pad@1.0.0",
        "CVE-2024-2 image-b ACTIVE left-pad@1.0.0",
    ];
    assert_eq!(summary(&core), expected);
    core.observe(observation("image-a", &[("left-pad", "1.0.0")])).unwrap();
    assert_eq!(summary(&core).iter().filter(|line| line.contains("image-a ACTIVE")).count(), 2, "it learns what it missed");
}

#[test]
fn who_returns_within_seven_days_has_the_findings_that_it_had() {
    let (lab, core) = lab();
    let arn = || findings(&core)[0].arn.clone();
    let before = arn();
    core.forget(&key("image-a"), CoverageReason::ResourceTerminated).unwrap();
    assert_eq!(arn(), before);
    lab.later(6 * 24 * HOUR);
    core.observe(observation("image-a", &[("left-pad", "1.0.0")])).unwrap();
    assert_eq!(reasons(&core.resource(&key("image-a")).unwrap()), [CoverageReason::Successful]);
    assert_eq!(summary(&core)[0], "CVE-2024-1 image-a ACTIVE left-pad@1.0.0");
    assert_eq!(arn(), before);

    core.forget(&key("image-a"), CoverageReason::ResourceTerminated).unwrap();
    lab.later(8 * 24 * HOUR);
    core.observe(observation("image-a", &[("left-pad", "1.0.0")])).unwrap();
    assert_ne!(arn(), before, "after that it is another");
    assert_eq!(core.audit(), []);
}
