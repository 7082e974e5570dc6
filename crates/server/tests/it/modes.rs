//! What is reported is a setting: a server that starts with another one opens and closes exactly what differs.

use crate::{Lab, observation, summary};
use lestrade_matching::ReportMode;
use lestrade_model::{Component, Ecosystem, Family, Inventory, Manager, Occurrence};
use lestrade_server::Core;
use serde_json::json;
use std::sync::Arc;

fn open(lab: &Lab, mode: ReportMode) -> Arc<Core> {
    let state = lab.folder.path().join("state.db");
    let store = lestrade_store::open(state.to_str().unwrap()).unwrap();
    Arc::new(Core::open(store, lab.library().reporting(mode), lab.clock.clone(), [7; 32]).unwrap())
}

#[test]
fn another_mode_opens_and_closes_what_differs() {
    let mut lab = Lab::new();
    for (id, events) in [("CVE-2024-1", json!([{"introduced": "0"}, {"fixed": "2"}])), ("CVE-2024-2", json!([{"introduced": "0"}]))] {
        lab.publish(json!({"id": id, "modified": "2026-01-01T00:00:00Z", "affected": [
            {"package": {"ecosystem": "Alpine:v3.20", "name": "curl"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}]}));
    }
    let mut seen = observation("a", &[]);
    let curl = Component::new(Ecosystem::release(Family::Alpine, "v3.20"), "curl", "1");
    let place = Occurrence { component: 0, path: "lib/apk/db/installed".into(), layer: None, arch: None, manager: Manager::Apk };
    seen.inventory = Some(Inventory::assemble(None, vec![(curl, place)], vec![]));
    let core = open(&lab, ReportMode::Full);
    core.observe(seen).unwrap();
    let both = ["CVE-2024-1 a ACTIVE curl@1", "CVE-2024-2 a ACTIVE curl@1"];
    assert_eq!(summary(&core), both);
    drop(core);
    for _ in 0..2 {
        lab.later(1000);
        let core = open(&lab, ReportMode::Inspector);
        assert_eq!(summary(&core), ["CVE-2024-1 a ACTIVE curl@1", "CVE-2024-2 a CLOSED curl@1"], "and a second start changes nothing");
    }
    // What comes in the mode is judged in it.
    lab.publish(json!({"id": "CVE-2024-3", "modified": "2026-01-01T00:00:00Z", "affected": [
        {"package": {"ecosystem": "Alpine:v3.20", "name": "curl"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}]}));
    let core = open(&lab, ReportMode::Inspector);
    assert_eq!(summary(&core).len(), 2);
    drop(core);
    lab.later(1000);
    let core = open(&lab, ReportMode::Full);
    assert_eq!(summary(&core), [both[0], both[1], "CVE-2024-3 a ACTIVE curl@1"]);
}
