//! From the outbox to targets that fail, hang, refuse, are slow, and come back after a crash.

use super::{HOUR, Lab, observation, record, scope};
use lestrade_events::{DeliveryError, DigestPolicy, EgressPolicy, Kinds, LocalSecrets, Message, Rate, Rules, Sent, Target, TargetRecord};
use lestrade_server::{Core, Deliver, Hub, HubSettings, Observation, Outcome, Plan, Prune, Reconciler};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a receiver answers next, and what it has taken.
#[derive(Default)]
struct Receiver {
    /// Taken first to last; when there is none, everything is taken.
    answers: Vec<Sent>,
    /// Messages about this are never taken.
    poison: Option<(String, DeliveryError)>,
    taken: Vec<Message>,
    asked: usize,
}

#[derive(Clone, Default)]
pub(super) struct Sink {
    receiver: Arc<Mutex<Receiver>>,
    batch: usize,
    keyless: bool,
}

impl Target for Sink {
    fn name(&self) -> &str {
        "sink"
    }
    fn batch(&self) -> usize {
        self.batch.max(1)
    }
    fn takes_key(&self) -> bool {
        !self.keyless
    }
    fn deliver(&mut self, messages: &[Message]) -> Vec<Sent> {
        let mut receiver = self.receiver.lock().unwrap();
        let mut take = |message: &Message| {
            receiver.asked += 1;
            let poisoned = receiver.poison.clone().filter(|(text, _)| message.event.body.to_string().contains(text));
            let answer = match poisoned {
                Some((_, error)) => Err(error),
                None if receiver.answers.is_empty() => Ok(()),
                None => receiver.answers.remove(0),
            };
            if answer.is_ok() {
                receiver.taken.push(message.clone());
            }
            answer
        };
        messages.iter().map(&mut take).collect()
    }
}

impl Sink {
    fn answers(&self, answers: Vec<Sent>) {
        self.receiver.lock().unwrap().answers = answers;
    }
    fn poison(&self, text: &str, error: Option<DeliveryError>) {
        self.receiver.lock().unwrap().poison = error.map(|error| (text.to_owned(), error));
    }
    fn asked(&self) -> usize {
        self.receiver.lock().unwrap().asked
    }
    /// Findings that were taken: vulnerability, resource, status.
    pub(super) fn findings(&self) -> Vec<String> {
        let receiver = self.receiver.lock().unwrap();
        let of = receiver.taken.iter().filter(|message| message.event.text("/detail-type") == "Inspector2 Finding");
        of.map(|message| {
            let event = &message.event;
            format!("{} {} {}", event.vulnerability().unwrap(), event.text("/resources/0"), event.text("/detail/status"))
        })
        .collect()
    }
    fn types(&self) -> Vec<String> {
        self.receiver.lock().unwrap().taken.iter().map(|message| message.event.text("/detail-type").to_owned()).collect()
    }
    fn ids(&self) -> Vec<String> {
        self.receiver.lock().unwrap().taken.iter().map(|message| message.event.id.clone()).collect()
    }
}

pub(super) fn plain() -> TargetRecord {
    TargetRecord { every_revision: true, ..TargetRecord::simple("sink", "sink", serde_json::Map::new()) }
}

pub(super) fn deliver(core: &Arc<Core>, sink: &Sink, record: TargetRecord) -> Deliver {
    Deliver::new(core.clone(), Plan::everything(record), Box::new(sink.clone()), scope()).unwrap()
}

/// A server that knows one critical advisory of `left-pad`, and a target that it serves.
fn serving(sink: &Sink, record: TargetRecord) -> (Lab, Arc<Core>, Deliver) {
    let mut lab = Lab::new();
    lab.publish(super::record("CVE-2024-1", "left-pad", "2.0.0"));
    let core = lab.open();
    let served = deliver(&core, sink, record);
    (lab, core, served)
}

fn see(core: &Core, image: &str, version: &str) {
    core.observe(observation(image, &[("left-pad", version)])).unwrap();
}

#[test]
fn every_change_is_told_once_through_failures_and_restarts() {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    let sink = Sink::default();
    {
        let core = lab.open();
        let mut served = deliver(&core, &sink, plain());
        see(&core, "image-a", "1.0.0");
        sink.answers(vec![Err(DeliveryError::retry("told to")), Err(DeliveryError::retry("told to"))]);
        for _ in 0..3 {
            served.reconcile().unwrap();
            lab.later(HOUR);
        }
        lab.publish(record("CVE-2024-2", "left-pad", "9.0.0"));
        core.refresh_intelligence().unwrap();
    }
    let core = lab.open();
    let mut served = deliver(&core, &sink, plain());
    served.reconcile().unwrap();
    let mut withdrawn = record("CVE-2024-1", "left-pad", "2.0.0");
    withdrawn["withdrawn"] = json!("2026-11-23T00:00:00Z");
    lab.publish(withdrawn);
    core.refresh_intelligence().unwrap();
    served.reconcile().unwrap();
    served.reconcile().unwrap();
    assert_eq!(sink.findings(), ["CVE-2024-1 image-a ACTIVE", "CVE-2024-2 image-a ACTIVE", "CVE-2024-1 image-a CLOSED"]);
    let mut ids = sink.ids();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), sink.ids().len());
}

#[test]
fn a_target_that_is_new_starts_with_what_happens_from_now_on_and_can_be_told_the_rest() {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    let core = lab.open();
    see(&core, "image-a", "1.0.0");
    let sink = Sink::default();
    let mut served = deliver(&core, &sink, plain());
    served.reconcile().unwrap();
    assert_eq!(sink.types(), Vec::<String>::new());
    see(&core, "image-b", "1.0.0");
    served.reconcile().unwrap();
    assert_eq!(sink.findings(), ["CVE-2024-1 image-b ACTIVE"]);
}

/// Every kind of event, as a receiver sees it.
#[test]
fn scans_coverage_and_intelligence_are_told_too() {
    let sink = Sink::default();
    let (mut lab, core, mut served) = serving(&sink, plain());
    see(&core, "image-a", "1.0.0");
    see(&core, "image-a", "1.0.0");
    let unread = observation("image-b", &[]);
    let coverage = lestrade_model::Coverage {
        kind: lestrade_model::ScanKind::Package,
        reason: lestrade_model::CoverageReason::UnsupportedOs,
        detail: "no advisories of it".into(),
        last_scanned: None,
    };
    core.observe(Observation { inventory: None, coverage: vec![coverage], ..unread }).unwrap();
    lab.publish(record("CVE-2024-9", "nothing", "2.0.0"));
    core.refresh_intelligence().unwrap();
    served.reconcile().unwrap();
    assert_eq!(
        sink.types(),
        ["Inspector2 Finding", "Inspector2 Coverage", "Inspector2 Scan", "Inspector2 Coverage", "Lestrade Intelligence Refreshed"],
        "what says nothing new is not told"
    );
    let receiver = sink.receiver.lock().unwrap();
    let scan = &receiver.taken[2].event.body;
    assert_eq!(scan["detail"]["finding-severity-counts"], json!({"CRITICAL": 1, "HIGH": 0, "MEDIUM": 0, "TOTAL": 1}));
    let coverage = &receiver.taken[3].event.body["detail"];
    assert_eq!(
        (coverage["scanStatus"]["reason"].as_str(), coverage["scanStatus"]["statusCodeValue"].as_str()),
        (Some("UNSUPPORTED_OS"), Some("INACTIVE"))
    );
}

#[test]
fn the_findings_of_what_is_gone_are_told_as_closed() {
    let sink = Sink::default();
    let (_lab, core, mut served) = serving(&sink, plain());
    ["image-a", "image-b"].iter().for_each(|image| see(&core, image, "1.0.0"));
    served.reconcile().unwrap();
    core.forget(&observation("image-a", &[]).resource.key, lestrade_model::CoverageReason::ResourceTerminated).unwrap();
    served.reconcile().unwrap();
    assert_eq!(sink.findings(), ["CVE-2024-1 image-a ACTIVE", "CVE-2024-1 image-b ACTIVE", "CVE-2024-1 image-a CLOSED"]);
    assert_eq!(sink.types().iter().filter(|kind| *kind == "Inspector2 Coverage").count(), 3, "and why it is not looked at");
}

#[test]
fn what_one_receiver_refuses_becomes_a_dead_letter_and_holds_up_nobody() {
    let sink = Sink::default();
    let (lab, core, mut served) = serving(&sink, plain());
    sink.poison("image-b", Some(DeliveryError::Refused("the receiver answered 400".into())));
    ["image-a", "image-b", "image-c"].iter().for_each(|image| see(&core, image, "1.0.0"));
    served.reconcile().unwrap();
    assert_eq!(sink.findings(), ["CVE-2024-1 image-a ACTIVE", "CVE-2024-1 image-c ACTIVE"]);
    let dead = core.store().letters("sink", lestrade_store::LetterState::Dead, lab.now(), 9).unwrap();
    assert!(dead.iter().all(|letter| letter.note.reason == "refused: the receiver answered 400" && letter.note.title.contains("image-b")));
    assert_eq!(dead.len(), 3, "the finding, the scan and the coverage of it");

    sink.poison("", None);
    served.reconcile().unwrap();
    assert_eq!(sink.findings().len(), 2, "dead is dead until somebody asks");
    assert_eq!(core.store().redrive("sink", None, lab.now()).unwrap(), 3);
    served.reconcile().unwrap();
    assert_eq!(sink.findings().last().unwrap(), "CVE-2024-1 image-b ACTIVE");
    let finding = dead.iter().find(|letter| letter.note.title.contains("CVE")).unwrap();
    assert!(sink.ids().contains(&finding.id), "under the same id");
}

#[test]
fn what_fails_while_others_pass_is_set_aside_and_tried_again_by_itself() {
    let sink = Sink::default();
    let (lab, core, mut served) = serving(&sink, plain());
    sink.poison("image-a", Some(DeliveryError::retry("the receiver answered 500")));
    ["image-a", "image-b"].iter().for_each(|image| see(&core, image, "1.0.0"));
    for _ in 0..12 {
        served.reconcile().unwrap();
        lab.later(400_000);
    }
    assert_eq!(sink.findings(), ["CVE-2024-1 image-b ACTIVE"]);
    sink.poison("", None);
    served.reconcile().unwrap();
    assert_eq!(sink.findings(), ["CVE-2024-1 image-b ACTIVE", "CVE-2024-1 image-a ACTIVE"]);
    assert_eq!(core.store().count_letters("sink", lestrade_store::LetterState::Waiting).unwrap(), 0);
}

#[test]
fn what_was_tried_for_too_long_becomes_a_dead_letter() {
    let sink = Sink::default();
    let (lab, core, mut served) = serving(&sink, plain());
    sink.poison("image-a", Some(DeliveryError::retry("the receiver answered 500")));
    see(&core, "image-a", "1.0.0");
    for _ in 0..8 {
        served.reconcile().unwrap();
        lab.later(4 * HOUR);
    }
    let store = &mut core.store();
    let dead = store.letters("sink", lestrade_store::LetterState::Dead, lab.now(), 9).unwrap();
    assert_eq!((dead.len(), store.count_letters("sink", lestrade_store::LetterState::Waiting).unwrap()), (3, 0));
}

#[test]
fn a_receiver_that_is_down_is_waited_for_and_nothing_is_set_aside_beyond_a_few() {
    let sink = Sink::default();
    let (lab, core, mut served) = serving(&sink, plain());
    sink.poison("", Some(DeliveryError::Retry { reason: "429".into(), after: Some(Duration::from_secs(60)), uncertain: false }));
    (0..60).for_each(|image| see(&core, &format!("image-{image:02}"), "1.0.0"));
    served.reconcile().unwrap();
    served.reconcile().unwrap();
    assert_eq!(sink.asked(), 1, "Retry-After is kept to");
    assert!(served.due().is_some_and(|due| due <= Duration::from_secs(60)));
    for _ in 0..100 {
        lab.later(61_000);
        served.reconcile().unwrap();
    }
    assert_eq!(core.store().count_letters("sink", lestrade_store::LetterState::Waiting).unwrap(), 16);
    sink.poison("", None);
    for _ in 0..3 {
        lab.later(61_000);
        served.reconcile().unwrap();
    }
    assert_eq!(sink.findings().len(), 60);
    assert_eq!(core.store().count_letters("sink", lestrade_store::LetterState::Waiting).unwrap(), 0);
}

#[test]
fn parts_of_a_batch_that_failed_are_tried_again_and_the_rest_is_not() {
    let sink = Sink { batch: 10, ..Sink::default() };
    let (lab, core, mut served) = serving(&sink, plain());
    (0..5).for_each(|image| see(&core, &format!("image-{image}"), "1.0.0"));
    sink.poison("image-2", Some(DeliveryError::retry("throttled")));
    served.reconcile().unwrap();
    sink.poison("", None);
    lab.later(60_000);
    served.reconcile().unwrap();
    let mut findings = sink.findings();
    findings.sort();
    assert_eq!(findings, (0..5).map(|image| format!("CVE-2024-1 image-{image} ACTIVE")).collect::<Vec<_>>());
}

#[test]
fn a_target_gets_no_more_than_its_rate() {
    let sink = Sink::default();
    let (lab, core, mut served) = serving(&sink, TargetRecord { rate: Rate::parse("5/s"), ..plain() });
    (0..20).for_each(|image| see(&core, &format!("image-{image:02}"), "1.0.0"));
    let mut seconds = 0;
    while sink.findings().len() < 20 {
        served.reconcile().unwrap();
        assert!(sink.asked() <= 5 * (seconds + 1), "{seconds}: {}", sink.asked());
        lab.later(1_000);
        seconds += 1;
    }
    assert_eq!(sink.findings().len(), 20);
}

#[test]
fn what_is_exploited_or_critical_goes_ahead_and_many_have_a_summary() {
    let mut lab = Lab::new();
    let mut low = record("CVE-2024-1", "left-pad", "2.0.0");
    low["severity"] = json!([{"type": "CVSS_V3", "score": "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"}]);
    lab.publish(record("CVE-2024-0", "nothing", "2.0.0"));
    let core = lab.open();
    (0..30).for_each(|image| see(&core, &format!("image-{image:02}"), "1.0.0"));
    let sink = Sink::default();
    let mut served = deliver(&core, &sink, plain());
    lab.publish(low);
    core.refresh_intelligence().unwrap();
    lab.publish(record("CVE-2024-2", "left-pad", "2.0.0"));
    core.refresh_intelligence().unwrap();
    served.reconcile().unwrap();
    let types = sink.types();
    assert_eq!((types[0].as_str(), types[1].as_str()), ("Lestrade Vulnerability Summary", "Lestrade Vulnerability Summary"));
    let findings = sink.findings();
    assert!(findings[..30].iter().all(|finding| finding.starts_with("CVE-2024-2 ")), "the critical one first");
    assert!(findings[30..].iter().all(|finding| finding.starts_with("CVE-2024-1 ")) && findings.len() == 60);
    let receiver = sink.receiver.lock().unwrap();
    let detail = &receiver.taken[1].event.body["detail"];
    assert_eq!(
        (detail["vulnerabilityId"].as_str(), detail["findings"].as_u64(), detail["change"].as_str()),
        (Some("CVE-2024-2"), Some(30), Some("OPENED"))
    );
    assert_eq!(receiver.taken[1].event.open, Some(30));
}

#[test]
fn people_get_a_few_and_then_one_summary_of_the_rest() {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-0", "nothing", "2.0.0"));
    let core = lab.open();
    (0..30).for_each(|image| see(&core, &format!("image-{image:02}"), "1.0.0"));
    let sink = Sink::default();
    let digest = Some(DigestPolicy { limit: 3, window: Duration::from_secs(3600) });
    let mut served = deliver(&core, &sink, TargetRecord { digest, ..plain() });
    lab.publish(record("CVE-2024-2", "left-pad", "2.0.0"));
    core.refresh_intelligence().unwrap();
    served.reconcile().unwrap();
    assert_eq!(sink.findings().len(), 3);
    drop(served);
    let mut served = deliver(&core, &sink, TargetRecord { digest, ..plain() });
    lab.later(HOUR / 2);
    served.reconcile().unwrap();
    assert!(!sink.types().contains(&"Lestrade Digest".to_owned()));
    lab.later(HOUR);
    served.reconcile().unwrap();
    served.reconcile().unwrap();
    let receiver = sink.receiver.lock().unwrap();
    let digests: Vec<_> = receiver.taken.iter().filter(|message| message.event.text("/detail-type") == "Lestrade Digest").collect();
    assert_eq!(digests.len(), 1, "what was held back outlives a restart");
    assert_eq!(digests[0].event.body["detail"]["held"], 27);
}

#[test]
fn a_summary_that_is_not_taken_holds_up_nobody() {
    let sink = Sink::default();
    let digest = Some(DigestPolicy { limit: 3, window: Duration::from_secs(3600) });
    let (lab, core, mut served) = serving(&sink, TargetRecord { digest, ..plain() });
    (0..9).for_each(|image| see(&core, &format!("image-{image}"), "1.0.0"));
    served.reconcile().unwrap();
    sink.poison("Lestrade Digest", Some(DeliveryError::retry("the receiver answered 500")));
    lab.later(2 * HOUR);
    served.reconcile().unwrap();
    see(&core, "image-late", "1.0.0");
    served.reconcile().unwrap();
    assert!(sink.findings().contains(&"CVE-2024-1 image-late ACTIVE".to_owned()), "what happens meanwhile is sent");
    sink.poison("", None);
    lab.later(HOUR);
    served.reconcile().unwrap();
    assert!(sink.types().contains(&"Lestrade Digest".to_owned()));
}

#[test]
fn what_every_target_has_had_is_forgotten_after_a_week() {
    let lab = Lab::new();
    let core = lab.open();
    let settings = HubSettings {
        kinds: Kinds::standard(),
        secrets: Arc::new(LocalSecrets),
        egress: EgressPolicy::PublicOnly,
        home: scope(),
        rules: None,
        everything: vec![plain()],
    };
    let mut prune = Prune(Arc::new(Hub::new(core.clone(), settings)));
    let sink = Sink::default();
    let mut served = deliver(&core, &sink, plain());
    (0..200).for_each(|image| see(&core, &format!("image-{image}"), "1.0.0"));
    let kept = || core.store().history(0, 1_000).unwrap().len();
    let all = kept();
    lab.later(8 * 24 * HOUR);
    assert_eq!((prune.reconcile().unwrap(), kept()), (Outcome::Unchanged, all), "a target has not had it");
    served.reconcile().unwrap();
    see(&core, "image-young", "1.0.0");
    assert_eq!(prune.reconcile().unwrap(), Outcome::Changed);
    assert_eq!(kept(), 2, "what is young stays");
    assert_eq!(prune.reconcile().unwrap(), Outcome::Unchanged);
}

#[test]
fn what_has_moved_on_before_it_could_be_sent_is_passed_over() {
    let sink = Sink::default();
    let (_lab, core, mut served) = serving(&sink, TargetRecord { every_revision: false, ..plain() });
    see(&core, "image-a", "1.0.0");
    see(&core, "image-a", "2.0.0");
    see(&core, "image-b", "1.0.0");
    see(&core, "image-b", "2.0.0");
    see(&core, "image-b", "1.0.0");
    served.reconcile().unwrap();
    let last: BTreeMap<String, String> = sink
        .findings()
        .iter()
        .filter_map(|text| text.rsplit_once(' ').map(|(what, status)| (what.to_owned(), status.to_owned())))
        .collect();
    assert_eq!(
        last,
        [("CVE-2024-1 image-a".to_owned(), "CLOSED".to_owned()), ("CVE-2024-1 image-b".to_owned(), "ACTIVE".to_owned())].into()
    );
    assert!(
        !sink.findings().contains(&"CVE-2024-1 image-a ACTIVE".to_owned())
            && !sink.findings().contains(&"CVE-2024-1 image-b CLOSED".to_owned())
    );
}

#[test]
fn who_takes_no_key_is_told_what_may_be_a_repeat() {
    let sink = Sink { keyless: true, ..Sink::default() };
    let (lab, core, mut served) = serving(&sink, plain());
    see(&core, "image-a", "1.0.0");
    sink.answers(vec![Err(DeliveryError::unanswered("no answer in time")), Ok(()), Err(DeliveryError::retry("no connection"))]);
    for _ in 0..4 {
        served.reconcile().unwrap();
        lab.later(HOUR);
    }
    let repeated: Vec<bool> = sink.receiver.lock().unwrap().taken.iter().map(|message| message.repeated).collect();
    assert_eq!(repeated, [true, false, false], "only the one that may have arrived");
}

#[test]
fn rules_choose_and_say_in_which_words() {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    let core = lab.open();
    let file = lab.folder.path().join("rules.toml");
    let text = r#"
[[target]]
name = "sink"
kind = "webhook"

[[rule]]
name = "a-critical"
targets = ["sink"]
message = "{{ detail.severity }} {{ detail.packageVulnerabilityDetails.vulnerabilityId }} by {{ rule }}"
[rule.pattern]
detail-type = ["Inspector2 Finding"]
resources = [{ suffix = "a" }]

[[rule]]
name = "b-everything-there"
targets = ["sink"]
pattern = '{"resources": [{"suffix": "a"}]}'

[[rule]]
name = "c-broken"
targets = ["sink"]
message = "{{ detail.nothing.there }}"
pattern = '{"resources": [{"suffix": "b"}], "detail-type": ["Inspector2 Finding"]}'
"#;
    std::fs::write(&file, text).unwrap();
    let rules = Rules::read(&file).unwrap();
    let record = TargetRecord { every_revision: true, ..rules.targets().next().unwrap().clone() };
    let sink = Sink::default();
    let plan = Plan { record, rules: Some(rules.of_target("sink")) };
    let mut served = Deliver::new(core.clone(), plan, Box::new(sink.clone()), scope()).unwrap();
    see(&core, "image-a", "1.0.0");
    see(&core, "image-b", "1.0.0");
    served.reconcile().unwrap();
    let receiver = sink.receiver.lock().unwrap();
    let said: Vec<_> = receiver.taken.iter().map(|message| (message.rule.as_deref().unwrap(), message.words.as_deref())).collect();
    assert_eq!(said[0], ("a-critical", Some("CRITICAL CVE-2024-1 by a-critical")), "one message for an event, by the first rule");
    assert!(said[1..].iter().all(|(rule, words)| *rule == "b-everything-there" && words.is_none()));
    let dead = core.store().letters("sink", lestrade_store::LetterState::Dead, lab.now(), 9).unwrap();
    assert_eq!(dead.len(), 1);
    assert!(dead[0].note.reason.starts_with("the message of rule 'c-broken'"), "{}", dead[0].note.reason);
}

/// The catalogue's examples are events as they are sent. `LESTRADE_BLESS=1` writes them anew.
#[test]
fn the_catalogue_shows_what_is_sent() {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-0", "nothing", "2.0.0"));
    let core = lab.open();
    let sink = Sink::default();
    let digest = Some(DigestPolicy { limit: 1, window: Duration::from_secs(3600) });
    let mut served = deliver(&core, &sink, TargetRecord { digest, ..plain() });
    (0..12).for_each(|image| see(&core, &format!("image-{image:02}"), "1.0.0"));
    lab.publish(record("CVE-2024-2", "left-pad", "2.0.0"));
    core.refresh_intelligence().unwrap();
    served.reconcile().unwrap();
    lab.later(2 * HOUR);
    served.reconcile().unwrap();

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/events.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut written = text.clone();
    let receiver = sink.receiver.lock().unwrap();
    for kind in [
        "Inspector2 Finding",
        "Inspector2 Scan",
        "Inspector2 Coverage",
        "Lestrade Vulnerability Summary",
        "Lestrade Digest",
        "Lestrade Intelligence Refreshed",
    ] {
        let mut body = receiver.taken.iter().find(|message| message.event.text("/detail-type") == kind).unwrap().event.body.clone();
        if kind == "Lestrade Intelligence Refreshed" {
            // A generation is named after the moment of its import.
            body["detail"]["generation"] = json!("000002-1795435200000");
        }
        let example = format!("```json\n{}\n```\n", serde_json::to_string_pretty(&body).unwrap());
        let heading = format!("## {kind}\n");
        let (before, after) = written.split_once(&heading).unwrap_or_else(|| panic!("docs/reference/events.md has no '{kind}'"));
        let start = before.len() + heading.len() + after.find("```json\n").unwrap();
        let end = start + written[start..].find("\n```\n").unwrap() + "\n```\n".len();
        written.replace_range(start..end, &example);
    }
    if std::env::var_os("LESTRADE_BLESS").is_some() {
        std::fs::write(path, &written).unwrap();
    } else {
        assert!(text == written, "docs/reference/events.md shows other events; LESTRADE_BLESS=1 writes it anew");
    }
}
