//! A vulnerability is given another id, turns out to be another one, or falls apart: its findings stay what they are.

use super::delivery::{Sink, deliver, plain};
use super::{HOUR, Lab, findings, listed, observation, record, scope, summary};
use lestrade_findings::{Criteria, Suppression, Term, TextField, TextTest};
use lestrade_server::inspector2::Backend;
use lestrade_server::{Core, Reconciler};
use serde_json::{Value, json};

fn with_aliases(id: &str, package: &str, aliases: &[&str]) -> Value {
    let mut record = record(id, package, "2.0.0");
    record["aliases"] = json!(aliases);
    record
}

/// Each finding by what must not change: its ARN, and since when it is known.
fn identities(core: &Core) -> Vec<String> {
    findings(core).iter().map(|f| format!("{} {} {:?}", f.resource.key.id, f.arn, f.first_observed)).collect()
}

fn called(id: &str) -> Criteria {
    Criteria { terms: vec![Term::Text(TextField::VulnerabilityId, vec![TextTest::Equals(id.into())])] }
}

#[test]
fn a_ghsa_that_is_given_a_cve_is_the_same_finding() {
    let mut lab = Lab::new();
    lab.publish(with_aliases("GHSA-aaaa", "left-pad", &[]));
    let core = lab.open();
    let sink = Sink::default();
    let mut served = deliver(&core, &sink, plain());
    core.observe(observation("image-a", &[("left-pad", "1.0.0")])).unwrap();
    core.observe(observation("image-b", &[("left-pad", "1.0.0")])).unwrap();
    core.observe(observation("image-b", &[("left-pad", "2.0.0")])).unwrap();
    served.reconcile().unwrap();
    let before = identities(&core);

    lab.later(HOUR);
    lab.publish(with_aliases("GHSA-aaaa", "left-pad", &["CVE-2026-7777"]));
    core.refresh_intelligence().unwrap();
    assert_eq!(summary(&core), ["CVE-2026-7777 image-a ACTIVE left-pad@1.0.0", "CVE-2026-7777 image-b CLOSED left-pad@1.0.0"]);
    assert_eq!(identities(&core), before);
    assert_eq!(listed(&core, &called("GHSA-aaaa")).len(), 2, "it is found by either");
    assert_eq!(listed(&core, &called("CVE-2026-7777")).len(), 2);
    served.reconcile().unwrap();
    let told = ["GHSA-aaaa image-a ACTIVE", "GHSA-aaaa image-b ACTIVE", "GHSA-aaaa image-b CLOSED", "CVE-2026-7777 image-a ACTIVE"];
    assert_eq!(sink.findings(), told, "nothing closed and nothing opened");
    let rule = Suppression { scope: scope(), by: "accepted".into(), criteria: called("GHSA-aaaa") };
    core.set_suppressions(&scope(), vec![rule]);
    assert_eq!(findings(&core)[0].status.as_str(), "SUPPRESSED", "a rule that names the GHSA holds on");
    drop((served, core));

    let core = lab.open();
    assert_eq!(identities(&core), before, "and a restart knows it");
    // And the CVE is taken back.
    lab.later(HOUR);
    lab.publish(with_aliases("GHSA-aaaa", "left-pad", &[]));
    core.refresh_intelligence().unwrap();
    assert_eq!(summary(&core), ["GHSA-aaaa image-a ACTIVE left-pad@1.0.0", "GHSA-aaaa image-b CLOSED left-pad@1.0.0"]);
    assert_eq!(identities(&core), before);
}

#[test]
fn a_ghsa_that_is_a_cve_known_already_goes_on_where_that_was_not() {
    let mut lab = Lab::new();
    lab.publish(with_aliases("GHSA-aaaa", "left-pad", &[]));
    lab.publish(record("CVE-2026-7777", "is-odd", "2.0.0"));
    let core = lab.open();
    core.observe(observation("both", &[("left-pad", "1.0.0"), ("is-odd", "1.0.0")])).unwrap();
    core.observe(observation("one", &[("left-pad", "1.0.0")])).unwrap();
    core.observe(observation("other", &[("is-odd", "1.0.0")])).unwrap();
    core.observe(observation("was", &[("left-pad", "1.0.0")])).unwrap();
    core.observe(observation("was", &[])).unwrap();
    let sink = Sink::default();
    let mut served = deliver(&core, &sink, plain());
    served.reconcile().unwrap();
    let before = identities(&core);

    lab.later(HOUR);
    lab.publish(with_aliases("GHSA-aaaa", "left-pad", &["CVE-2026-7777"]));
    core.refresh_intelligence().unwrap();
    let expected = [
        "CVE-2026-7777 both ACTIVE is-odd@1.0.0+left-pad@1.0.0",
        "CVE-2026-7777 one ACTIVE left-pad@1.0.0",
        "CVE-2026-7777 other ACTIVE is-odd@1.0.0",
        "CVE-2026-7777 was CLOSED left-pad@1.0.0",
        "GHSA-aaaa both CLOSED left-pad@1.0.0",
    ];
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    assert_eq!(sorted(summary(&core)), expected);
    assert_eq!(sorted(identities(&core)), sorted(before.clone()), "where both were, one of them ends; nothing else does");
    served.reconcile().unwrap();
    let told = ["GHSA-aaaa both CLOSED", "CVE-2026-7777 one ACTIVE", "CVE-2026-7777 both ACTIVE"];
    assert_eq!(sorted(sink.findings()), sorted(told.map(str::to_owned).into()));
    drop((served, core));

    let core = lab.open();
    assert_eq!(sorted(summary(&core)), expected, "and a restart knows it");
    assert_eq!(sorted(identities(&core)), sorted(before.clone()));
    // It falls apart again: what is split off begins anew, under a name that was another's.
    lab.later(HOUR);
    lab.publish(with_aliases("GHSA-aaaa", "left-pad", &[]));
    core.refresh_intelligence().unwrap();
    let apart = [
        "CVE-2026-7777 both ACTIVE is-odd@1.0.0",
        "CVE-2026-7777 one CLOSED left-pad@1.0.0",
        "CVE-2026-7777 other ACTIVE is-odd@1.0.0",
        "CVE-2026-7777 was CLOSED left-pad@1.0.0",
        "GHSA-aaaa both ACTIVE left-pad@1.0.0",
        "GHSA-aaaa both CLOSED left-pad@1.0.0",
        "GHSA-aaaa one ACTIVE left-pad@1.0.0",
    ];
    assert_eq!(sorted(summary(&core)), apart);
    let after = identities(&core);
    assert!(before.iter().all(|finding| after.contains(finding)), "no ARN is given to another");
    drop(core);
    assert_eq!(sorted(summary(&lab.open())), apart, "and a restart knows it");
}
