//! Rules that end by themselves, and the standing audit.

use super::{HOUR, Lab, observation, record, scope, summary};
use lestrade_model::ImageUse;
use lestrade_server::inspector2::{EndSuppressions, Front, Key, NewSuppression, SuppressionError};
use lestrade_server::{Audit, Core, Outcome, Reconciler};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

fn rule(name: &str, expires: &str) -> NewSuppression {
    let criteria = json!({"vulnerabilityId": [{"comparison": "EQUALS", "value": "CVE-2024-1"}]});
    NewSuppression { name: name.into(), reason: "known".into(), owner: "ann".into(), expires: expires.into(), criteria }
}

fn front(core: &Arc<Core>) -> Arc<Front<Core>> {
    Arc::new(Front::new(core.clone(), HashMap::<String, Key>::new(), [7; 32]))
}

#[test]
fn a_rule_ends_by_itself_and_stays_ended_after_a_restart() {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    let core = lab.open();
    core.observe(observation("image-a", &[("left-pad", "1.0.0")])).unwrap();
    let front = front(&core);
    let mut end = EndSuppressions { front: front.clone(), scope: scope() };
    front.suppress(&scope(), &rule("known", "2026-11-23T02:00:00Z")).unwrap();
    assert_eq!(summary(&core), ["CVE-2024-1 image-a SUPPRESSED left-pad@1.0.0"]);
    lab.later(HOUR);
    assert_eq!(end.reconcile().unwrap(), Outcome::Unchanged);
    assert!(front.suppressions(&scope()).unwrap()[0].in_force);
    lab.later(HOUR);
    assert_eq!(end.reconcile().unwrap(), Outcome::Changed);
    assert_eq!(end.reconcile().unwrap(), Outcome::Unchanged);
    assert_eq!(summary(&core), ["CVE-2024-1 image-a ACTIVE left-pad@1.0.0"]);
    let kept = front.suppressions(&scope()).unwrap();
    assert!(!kept[0].in_force && kept[0].owner.as_deref() == Some("ann"), "who accepted it and why is known still: {kept:?}");

    // One whose end came while the server was down is not in force for a moment.
    front.suppress(&scope(), &rule("again", "2026-11-23T03:00:00Z")).unwrap();
    drop((end, front, core));
    lab.later(2 * HOUR);
    let core = lab.open();
    core.enforce_suppressions(&[scope()]).unwrap();
    assert_eq!(summary(&core), ["CVE-2024-1 image-a ACTIVE left-pad@1.0.0"]);
}

#[test]
fn a_rule_without_an_end_an_owner_or_a_subject_is_refused() {
    let core = Lab::new().open();
    let front = front(&core);
    let everything = NewSuppression { criteria: json!({}), ..rule("a", "2027-01-01T00:00:00Z") };
    let empty = NewSuppression { criteria: json!({"severity": []}), ..everything.clone() };
    let nobody = NewSuppression { owner: " ".into(), ..rule("a", "2027-01-01T00:00:00Z") };
    let odd = NewSuppression { criteria: json!({"severity": "HIGH"}), ..everything.clone() };
    for wrong in [everything, empty, nobody, odd, rule("", "2027-01-01T00:00:00Z"), rule("a", "2020-01-01T00:00:00Z"), rule("a", "soon")] {
        let refused = front.suppress(&scope(), &wrong);
        assert!(matches!(refused, Err(SuppressionError::Refused(_))), "{wrong:?}: {refused:?}");
    }
    front.suppress(&scope(), &rule("a", "2027-01-01T00:00:00Z")).unwrap();
    assert!(front.suppress(&scope(), &rule("a", "2027-01-01T00:00:00Z")).is_err(), "a name is given once");
}

#[test]
fn the_audit_looks_at_all_by_and_by() {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    let core = lab.open();
    for image in 0..300 {
        core.observe(observation(&format!("image-{image}"), &[("left-pad", "1.0.0")])).unwrap();
    }
    let mut audit = Audit::new(core.clone());
    for expected in [256, 300, 556] {
        audit.reconcile().unwrap();
        assert_eq!((core.audit_state().resources, core.audit_state().differences), (expected, 0));
    }
}

/// What a rule hides, and what it shows again, is told like any other change; what it is not about is not.
#[test]
fn what_a_rule_hides_and_shows_again_is_told() {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    lab.publish(record("CVE-2024-2", "right-pad", "2.0.0"));
    let core = lab.open();
    core.observe(observation("image-a", &[("left-pad", "1.0.0"), ("right-pad", "1.0.0")])).unwrap();
    core.observe(observation("image-b", &[("left-pad", "1.0.0")])).unwrap();
    let front = front(&core);
    let settings = lestrade_server::HubSettings {
        kinds: lestrade_events::Kinds::standard(),
        secrets: Arc::new(lestrade_events::LocalSecrets),
        egress: lestrade_events::EgressPolicy::PublicOnly,
        home: scope(),
        rules: None,
        everything: vec![],
    };
    let hub = lestrade_server::Hub::new(core.clone(), settings);
    let mut place = hub.events(Some(0), 500).unwrap().1;
    let mut told = || {
        let (events, next) = hub.events(Some(place), 500).unwrap();
        place = next;
        let shown = |event: &serde_json::Value| {
            let detail = &event["detail"];
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let id = text(&detail["packageVulnerabilityDetails"]["vulnerabilityId"]);
            format!("{} {id} {}", text(&event["detail-type"]), text(&detail["status"]))
        };
        events.iter().map(shown).collect::<Vec<_>>()
    };
    let hidden = "Inspector2 Finding CVE-2024-1 SUPPRESSED";
    front.suppress(&scope(), &rule("known", "2026-11-23T02:00:00Z")).unwrap();
    assert_eq!(told(), [hidden, hidden]);
    // Another rule about the same changes nothing that is seen.
    front.suppress(&scope(), &rule("again", "2026-11-23T03:00:00Z")).unwrap();
    assert_eq!(told(), [""; 0]);
    let mut end = EndSuppressions { front: front.clone(), scope: scope() };
    lab.later(2 * HOUR);
    end.reconcile().unwrap();
    assert_eq!(told(), [""; 0]);
    lab.later(HOUR);
    end.reconcile().unwrap();
    let shown = "Inspector2 Finding CVE-2024-1 ACTIVE";
    assert_eq!(told(), [shown, shown]);
    // A server that starts again tells nothing anew.
    front.suppress(&scope(), &rule("later", "2026-11-24T03:00:00Z")).unwrap();
    assert_eq!(told().len(), 2);
    core.enforce_suppressions(&[scope()]).unwrap();
    assert_eq!(told(), [""; 0]);

    // What a rule says of images that run nowhere moves when clusters tell where they run.
    let key = observation("image-a", &[]).resource.key;
    let runs = |count| {
        let usage = ImageUse { cluster: "prod".into(), count, last: lab.now() };
        core.set_uses([(vec![usage], key.clone())].into_iter()).unwrap()
    };
    assert!(runs(1));
    let idle = NewSuppression { criteria: json!({"ecrImageInUseCount": [{"upperInclusive": 0}]}), ..rule("idle", "2027-01-01T00:00:00Z") };
    front.suppress(&scope(), &idle).unwrap();
    assert_eq!(told(), [""; 0]);
    assert!(runs(0));
    assert_eq!(told(), ["Inspector2 Finding CVE-2024-2 SUPPRESSED"], "the other is hidden by another rule");
    assert!(runs(1));
    assert_eq!(told(), ["Inspector2 Finding CVE-2024-2 ACTIVE"]);
    assert_eq!(core.audit(), []);
}
