//! Hosts that tell of themselves: let in once, heard of, silent, gone.

use super::{HOUR, Lab, findings, record, scope, summary};
use lestrade_model::{
    Component, CoverageReason, Ecosystem, Family, Inventory, ListeningSocket, Manager, Occurrence, Problem, ProblemKind, ResourceDetails,
    ResourceKey, ResourceKind,
};
use lestrade_server::{AgentError, AgentReport, Agents, Core, Enrolled, Enrolment, Outcome, Reconciler, WatchAgents};
use std::sync::Arc;
use std::time::Duration;

const DAY: i64 = 24 * HOUR;

fn open(core: &Arc<Core>) -> Arc<Agents> {
    Arc::new(Agents::open(core.clone(), scope(), Duration::from_secs(3600)).unwrap())
}

fn lab() -> (Lab, Arc<Core>, Arc<Agents>) {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    let core = lab.open();
    let agents = open(&core);
    (lab, core, agents)
}

fn enrolment(token: &str) -> Enrolment {
    Enrolment { token: token.into(), identity: "ab".repeat(32), name: "web-1".into(), version: "0.1.0".into() }
}

fn enroll(agents: &Agents) -> Enrolled {
    let (token, _) = agents.make_token().unwrap();
    agents.enroll(&enrolment(&token)).unwrap()
}

fn inventory(version: &str, problems: Vec<Problem>) -> Inventory {
    let component = Component::new(Ecosystem::of(Family::Npm), "left-pad", version);
    let place = Occurrence { component: 0, path: "srv/left-pad".into(), layer: None, arch: None, manager: Manager::Npm };
    let found = if version.is_empty() { vec![] } else { vec![(component, place)] };
    Inventory::assemble(None, found, problems)
}

/// A report that is a heartbeat unless it is given an inventory.
fn report(digest: u8, inventory: Option<Inventory>) -> AgentReport {
    AgentReport { name: Some("web-1".into()), digest: Some(format!("{digest:02x}").repeat(32)), inventory, ..AgentReport::default() }
}

fn coverage(core: &Core, id: &str) -> (CoverageReason, String) {
    let key = ResourceKey { scope: scope(), kind: ResourceKind::Host, id: id.to_owned() };
    let coverage = core.resource(&key).unwrap().coverage.remove(0);
    (coverage.reason, coverage.detail)
}

#[test]
fn a_token_lets_one_in_once_and_within_the_hour() {
    let (lab, core, agents) = lab();
    let refused = |agents: &Agents, token: &str| matches!(agents.enroll(&enrolment(token)), Err(AgentError::Denied(_)));
    assert!(refused(&agents, "") && refused(&agents, "lestrade_enrol_0"));
    let (token, _) = agents.make_token().unwrap();
    let enrolled = agents.enroll(&enrolment(&token)).unwrap();
    assert!(refused(&agents, &token), "it was used");
    let (late, _) = agents.make_token().unwrap();
    lab.later(HOUR);
    assert!(refused(&agents, &late), "it has ended");
    let (token, _) = agents.make_token().unwrap();
    assert!(matches!(agents.enroll(&Enrolment { identity: "x".into(), ..enrolment(&token) }), Err(AgentError::Refused(_))));

    // The key is known after a restart, and nothing else is.
    drop(agents);
    let agents = open(&core);
    let credentials = format!("{}.{}", enrolled.agent, enrolled.key);
    assert_eq!(agents.who(&credentials).unwrap(), enrolled.agent);
    for wrong in [
        "",
        ".",
        &enrolled.agent,
        &format!("{}.", enrolled.agent),
        &format!("{}.x", enrolled.agent),
        &format!("agent-0.{}", enrolled.key),
        "agent-0.",
    ] {
        assert!(agents.who(wrong).is_err(), "{wrong}");
    }
    drop((agents, core));
    let state = std::fs::read(lab.folder.path().join("state.db")).unwrap();
    let wal = std::fs::read(lab.folder.path().join("state.db-wal")).unwrap_or_default();
    for secret in [&enrolled.key, &token] {
        assert!(
            ![&state, &wal].iter().any(|bytes| bytes.windows(secret.len()).any(|window| window == secret.as_bytes())),
            "secrets are not kept"
        );
    }
}

#[test]
fn of_many_with_one_token_one_gets_in() {
    let (_lab, _core, agents) = lab();
    let (token, _) = agents.make_token().unwrap();
    let admitted = std::thread::scope(|threads| {
        let all: Vec<_> = (0..8).map(|_| threads.spawn(|| agents.enroll(&enrolment(&token)).is_ok())).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).filter(|admitted| *admitted).count()
    });
    assert_eq!(admitted, 1);
}

#[test]
fn only_differences_travel() {
    let (lab, core, agents) = lab();
    let Enrolled { agent, resource, .. } = enroll(&agents);
    agents.report(&agent, AgentReport { name: Some("web-1".into()), ..AgentReport::default() }).unwrap();
    assert_eq!(coverage(&core, &resource).0, CoverageReason::PendingInitialScan);
    assert!(agents.report(&agent, report(1, None)).unwrap().wanted, "nothing of it is known");
    assert!(!agents.report(&agent, report(1, Some(inventory("1.0.0", vec![])))).unwrap().wanted);
    let open_one = [format!("CVE-2024-1 {resource} ACTIVE left-pad@1.0.0")];
    assert_eq!(summary(&core), open_one);

    // A heartbeat moves nothing, and writes nothing of the resource.
    let group = core.store().history(0, 100).unwrap().len();
    for _ in 0..3 {
        lab.later(60_000);
        assert!(!agents.report(&agent, report(1, None)).unwrap().wanted);
    }
    assert_eq!(core.store().history(0, 100).unwrap().len(), group);
    assert!(agents.report(&agent, report(2, None)).unwrap().wanted, "it has another");
    assert_eq!(summary(&core), open_one, "what is known stands until the other is here");
    agents.report(&agent, report(2, Some(inventory("2.0.0", vec![])))).unwrap();
    assert_eq!(summary(&core), [format!("CVE-2024-1 {resource} CLOSED left-pad@1.0.0")]);

    // The server was restored from before: it asks again.
    drop(agents);
    let agents = open(&core);
    assert!(!agents.report(&agent, report(2, None)).unwrap().wanted, "and a restart alone forgets nothing");
}

#[test]
fn silence_makes_a_host_stale_and_closes_nothing() {
    let (lab, core, agents) = lab();
    let Enrolled { agent, resource, .. } = enroll(&agents);
    agents.report(&agent, report(1, Some(inventory("1.0.0", vec![])))).unwrap();
    let mut watch = WatchAgents(agents.clone());
    lab.later(HOUR);
    assert_eq!(watch.reconcile().unwrap(), Outcome::Unchanged);
    lab.later(1000);
    assert_eq!(watch.reconcile().unwrap(), Outcome::Changed);
    assert_eq!(watch.reconcile().unwrap(), Outcome::Unchanged);
    let (reason, detail) = coverage(&core, &resource);
    assert_eq!((reason, detail.as_str()), (CoverageReason::StaleInventory, "its agent was last heard of at 2026-11-23T00:00:00Z"));
    assert!(agents.list()[0].stale && summary(&core)[0].contains("ACTIVE"));

    agents.report(&agent, report(1, None)).unwrap();
    assert_eq!(coverage(&core, &resource), (CoverageReason::Successful, String::new()));

    // While the server was down nobody could be heard of: everybody has the whole time again.
    lab.later(DAY);
    let agents = open(&core);
    assert_eq!(WatchAgents(agents.clone()).reconcile().unwrap(), Outcome::Unchanged);
    assert!(!agents.list()[0].stale);
    assert_eq!(core.audit(), []);
}

#[test]
fn a_look_that_failed_or_missed_a_part_closes_nothing() {
    let (_lab, core, agents) = lab();
    let Enrolled { agent, resource, .. } = enroll(&agents);
    agents.report(&agent, report(1, Some(inventory("1.0.0", vec![])))).unwrap();
    agents.report(&agent, AgentReport { failure: Some("no worker\ncan be had".into()), ..report(1, None) }).unwrap();
    assert_eq!(coverage(&core, &resource), (CoverageReason::InternalError, "no workercan be had".to_owned()));
    let unread = Problem { path: "srv".into(), kind: ProblemKind::Unreadable, detail: "closed".into() };
    agents.report(&agent, report(2, Some(inventory("", vec![unread])))).unwrap();
    assert_eq!(coverage(&core, &resource), (CoverageReason::Successful, "not covered: srv: closed".to_owned()));
    assert_eq!(findings(&core)[0].status.as_str(), "ACTIVE");
}

#[test]
fn what_an_agent_says_is_bounded_and_put_together_anew() {
    let (_lab, core, agents) = lab();
    let Enrolled { agent, resource, .. } = enroll(&agents);
    let mut dangling = inventory("1.0.0", vec![]);
    dangling.occurrences[0].component = 7;
    let nowhere = Inventory { occurrences: vec![], ..inventory("1.0.0", vec![]) };
    let mut long = inventory("1.0.0", vec![]);
    long.occurrences[0].path = "x".repeat(5000);
    let without_digest = AgentReport { digest: None, ..report(1, Some(inventory("1.0.0", vec![]))) };
    let odd_digest = AgentReport { digest: Some("1".into()), ..report(1, None) };
    for wrong in [report(1, Some(dangling)), report(1, Some(nowhere)), report(1, Some(long)), without_digest, odd_digest] {
        assert!(matches!(agents.report(&agent, wrong), Err(AgentError::Refused(_))));
    }
    let socket = ListeningSocket {
        protocol: "tcp".into(),
        address: "0.0.0.0".parse().unwrap(),
        port: 22,
        process: Some("sshd\u{1b}[2J".into()),
        executable: Some("/usr/sbin/sshd".into()),
        package: None,
    };
    let told = AgentReport { listening: Some(vec![socket.clone(), socket]), ..report(1, Some(inventory("1.0.0", vec![]))) };
    agents.report(&agent, told).unwrap();
    let key = ResourceKey { scope: scope(), kind: ResourceKind::Host, id: resource };
    let ResourceDetails::Host(host) = core.resource(&key).unwrap().resource.details else { panic!("a host has its own details") };
    let sockets = host.listening.unwrap();
    assert!(sockets.len() == 1 && sockets[0].process.as_deref() == Some("sshd[2J") && sockets[0].package.is_none());
}

#[test]
fn a_machine_has_one_agent_and_one_that_is_taken_back_is_out() {
    let (_lab, core, agents) = lab();
    let first = enroll(&agents);
    agents.report(&first.agent, report(1, Some(inventory("1.0.0", vec![])))).unwrap();
    let second = enroll(&agents);
    assert_eq!(first.resource, second.resource);
    assert!(agents.who(&format!("{}.{}", first.agent, first.key)).is_err() && agents.list().len() == 1);
    assert!(agents.report(&second.agent, report(1, None)).unwrap().wanted, "its word is taken anew");
    agents.report(&second.agent, report(1, Some(inventory("1.0.0", vec![])))).unwrap();
    assert_eq!(core.world().resources_in(&scope()).len(), 1);

    assert!(agents.remove(&second.agent).unwrap() && !agents.remove(&second.agent).unwrap());
    assert!(matches!(agents.report(&second.agent, report(1, None)), Err(AgentError::Denied(_))));
    assert_eq!(coverage(&core, &second.resource).0, CoverageReason::ResourceTerminated);
    assert_eq!(findings(&core)[0].status.as_str(), "CLOSED");
    assert!(open(&core).list().is_empty());
}

/// Of two kernels only the running one counts: after a restart into the other one the same inventory means something else.
#[test]
fn another_kernel_is_judged_anew_without_the_inventory() {
    let (mut lab, core, agents) = lab();
    let kernel = |release: &str| {
        let name = format!("linux-image-{release}");
        let component = Component::new("Debian:12".parse::<Ecosystem>().unwrap(), &name, "6.1.0-1");
        (component, Occurrence { component: 0, path: "var/lib/dpkg/status".into(), layer: None, arch: None, manager: Manager::Dpkg })
    };
    lab.publish(serde_json::json!({"id": "CVE-2024-9", "modified": "2026-01-01T00:00:00Z", "affected": [{
        "package": {"ecosystem": "Debian:12", "name": "linux-image-6.1.0-1-amd64"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "6.1.9"}]}]}]}));
    core.refresh_intelligence().unwrap();
    let inventory = Inventory::assemble(None, vec![kernel("6.1.0-1-amd64"), kernel("6.1.0-2-amd64")], vec![]);
    let Enrolled { agent, resource, .. } = enroll(&agents);
    let running = |release: &str, inventory| AgentReport { running_kernel: Some(release.into()), ..report(1, inventory) };
    agents.report(&agent, running("6.1.0-1-amd64", Some(inventory))).unwrap();
    assert_eq!(summary(&core), [format!("CVE-2024-9 {resource} ACTIVE linux-image-6.1.0-1-amd64@6.1.0-1")]);
    assert!(!agents.report(&agent, running("6.1.0-2-amd64", None)).unwrap().wanted);
    assert!(summary(&core)[0].contains("CLOSED"));
    agents.report(&agent, running("6.1.0-1-amd64", None)).unwrap();
    assert!(summary(&core)[0].contains("ACTIVE"));
}
