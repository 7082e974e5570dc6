//! Images that are old and run nowhere are let go, and come back when they run.

use super::{HOUR, Lab, observation, record, scope, summary};
use lestrade_model::{CoverageReason, ImageDetails, ImageUse, ResourceDetails, ResourceKey, ResourceKind};
use lestrade_server::{Core, LastUse, Retention};
use std::collections::BTreeMap;

const DAY: i64 = 24 * HOUR;
const RETENTION: Retention = Retention { pushed: Some(14), used: 7, by: LastUse::Run };

fn let_go(core: &Core, lab: &Lab, image: &str, pushed_days_ago: i64) -> bool {
    let key = ResourceKey { scope: scope(), kind: ResourceKind::Image, id: image.to_owned() };
    let pushed_at = lestrade_model::Timestamp::from_millis(lab.now().as_millis() - pushed_days_ago * DAY);
    core.let_go([(ImageDetails { pushed_at, ..ImageDetails::default() }, key)].into_iter(), RETENTION).unwrap()
}

#[test]
fn an_image_is_let_go_and_returns() {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    let core = lab.open();
    core.observe(observation("image-a", &[("left-pad", "1.0.0")])).unwrap();
    let key = ResourceKey { scope: scope(), kind: ResourceKind::Image, id: "image-a".to_owned() };
    let uses = |count| vec![ImageUse { cluster: "prod".into(), count, last: lab.now() }];
    let set = |uses: Vec<ImageUse>| core.set_uses([(uses, key.clone())].into_iter()).unwrap();

    assert!(!let_go(&core, &lab, "image-a", 14), "pushed lately");
    assert!(set(uses(2)) && !set(uses(2)), "the same is no news");
    assert!(!let_go(&core, &lab, "image-a", 90), "it runs");
    assert!(set(uses(0)));
    lab.later(8 * DAY);
    assert!(let_go(&core, &lab, "image-a", 90), "it ran last a week ago");
    assert_eq!(summary(&core), ["CVE-2024-1 image-a CLOSED left-pad@1.0.0"]);
    let entry = core.resource(&key).unwrap();
    assert!(entry.coverage.iter().all(|coverage| coverage.reason == CoverageReason::ScanEligibilityExpired));
    assert!(matches!(entry.resource.details, ResourceDetails::Image(_) | ResourceDetails::None));
    assert!(!let_go(&core, &lab, "image-a", 90), "once");

    core.observe(observation("image-a", &[("left-pad", "1.0.0")])).unwrap();
    assert_eq!(summary(&core), ["CVE-2024-1 image-a ACTIVE left-pad@1.0.0"]);
}

#[test]
fn what_a_cluster_names_no_more_was_in_use_until_then() {
    let lab = Lab::new();
    let core = lab.open();
    let image = |n: u32| format!("r.example/app@sha256:{n:064x}");
    let told = |images: &[u32]| {
        let counts: BTreeMap<String, u32> = images.iter().map(|n| (image(*n), 1)).collect();
        core.note_in_use(&scope(), "prod", &counts).unwrap();
    };
    told(&[1, 2]);
    lab.later(HOUR);
    told(&[2]);
    drop(core);
    let core = lab.open();
    let said = core.clusters(&scope()).unwrap()["prod"];
    assert_eq!((said.containers, said.images, said.told), (1, 1, lab.now()));
    assert!(core.forget_cluster(&scope(), "prod").unwrap() && !core.forget_cluster(&scope(), "prod").unwrap());
}
