//! A clock that jumps, a store that takes nothing for a while.

use super::{HOUR, Lab, findings, observation, record, summary};
use lestrade_findings::{Episode, EpisodeBody};
use lestrade_server::{Core, ServerError};
use lestrade_store::StoreError;

const TEN_YEARS: i64 = 10 * 365 * 24 * HOUR;

fn at_rest(core: &Core) -> Vec<String> {
    let arns = findings(core).into_iter().map(|finding| format!("{} {}", finding.arn, finding.status.as_str()));
    summary(core).into_iter().chain(arns).collect()
}

/// Ten years ahead, and ten years behind: what is open stays open under its name, what is new opens, and history stays in order.
#[test]
fn a_clock_that_jumps_opens_and_closes_nothing() {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    let mut core = lab.open();
    core.observe(observation("image-a", &[("left-pad", "1.0.0"), ("is-odd", "1.0.0"), ("is-even", "1.0.0")])).unwrap();
    for (jump, id, package) in [(TEN_YEARS, "CVE-2024-2", "is-odd"), (-2 * TEN_YEARS, "CVE-2024-3", "is-even")] {
        let before = at_rest(&core);
        lab.later(jump);
        assert_eq!(at_rest(&core), before);
        core.observe(observation("image-a", &[("left-pad", "1.0.0"), ("is-odd", "1.0.0"), ("is-even", "1.0.0")])).unwrap();
        core.refresh_intelligence().unwrap();
        assert_eq!(at_rest(&core), before, "looking again changes nothing either");
        drop(core);
        core = lab.open();
        assert_eq!(at_rest(&core), before, "nor does a start");
        lab.publish(record(id, package, "2.0.0"));
        core.refresh_intelligence().unwrap();
        let after = at_rest(&core);
        assert!(before.iter().all(|known| after.contains(known)) && after.len() == before.len() + 2, "{after:#?}");
    }
    // Back where it was. What closes now closes after all that happened.
    lab.later(TEN_YEARS);
    let opened = findings(&core).iter().map(|finding| finding.first_observed).max().unwrap();
    core.observe(observation("image-a", &[("left-pad", "2.0.0"), ("is-odd", "1.0.0"), ("is-even", "1.0.0")])).unwrap();
    let closed = findings(&core).into_iter().find(|finding| finding.assessment.id == "CVE-2024-1").unwrap();
    assert!(closed.status.as_str() == "CLOSED" && closed.last_observed >= opened, "history is in order");
}

/// The store takes nothing: what was known is answered still, what is new is refused, and once it takes changes again all goes on.
#[test]
fn what_cannot_be_committed_never_was() {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    let core = lab.open();
    core.observe(observation("image-a", &[("left-pad", "1.0.0")])).unwrap();
    let before = at_rest(&core);
    // A row that is there already: the next episode cannot be written.
    let next = core.world().log.head() + 1;
    let body = EpisodeBody::Condition { resource: 0, opened: Default::default(), closed: Default::default() };
    let episodes = vec![Episode { position: next, at: lab.now(), body }];
    core.store().commit(&lestrade_store::Change { episodes, ..Default::default() }).unwrap();
    let refused = core.observe(observation("image-b", &[("left-pad", "1.0.0")]));
    assert!(matches!(refused, Err(ServerError::Store(StoreError::Engine { .. }))), "{refused:?}");
    assert!(core.stalled().is_some());
    assert_eq!(at_rest(&core), before);
    // The world is what the store holds, the strange row too: now it fits.
    core.observe(observation("image-b", &[("left-pad", "1.0.0")])).unwrap();
    assert!(core.stalled().is_none());
    assert_eq!(summary(&core).len(), 2);
    drop(core);
    assert_eq!(summary(&lab.open()).len(), 2);
}
