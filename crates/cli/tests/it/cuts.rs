//! The whole process is killed (SIGKILL) between every two steps that a receiver sees of a delivery: before a request takes effect,
//! and after it did and before it is answered. In the end the receiver has what it has without: one ticket, one mail, one message, or
//! one more of the same name.

use crate::lab::{Lab, PATIENCE, Serving};
use lestrade_testkit::{JiraSite, Moto, Responder, SmtpSink, missing, until};
use lestrade_testkit_aws::AwsStandIn;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// The server, and when it is to be killed.
#[derive(Clone, Default)]
struct Axe(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    server: Option<Serving>,
    /// Steps until it falls, and on which side of their effect.
    falls: Option<(usize, bool)>,
}

impl Axe {
    /// A step of a receiver: whether the server is there to hear of it.
    fn goes_on(&self, after: bool) -> bool {
        let mut state = self.0.lock().unwrap();
        if let Some((steps, side)) = &mut state.falls
            && *side == after
        {
            *steps -= 1;
            if *steps == 0 {
                state.falls = None;
                state.server.take().unwrap().kill();
                return false;
            }
        }
        true
    }

    fn is_up(&self) -> bool {
        self.0.lock().unwrap().server.is_some()
    }
}

/// A machine with many packages, of which one after the other becomes vulnerable and is mended.
struct Trial<'a> {
    lab: Lab,
    axe: Axe,
    settings: Vec<String>,
    environment: Vec<(&'static str, String)>,
    /// What the receiver has of a vulnerability.
    view: &'a mut dyn FnMut(&str) -> String,
    count: usize,
}

impl Drop for Trial<'_> {
    /// The receivers live as long as the process and hold the axe: the server ends with its trial.
    fn drop(&mut self) {
        self.axe.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).server = None;
    }
}

impl<'a> Trial<'a> {
    /// A server that tells a target of findings with these statuses.
    fn new(target: &str, statuses: &str, axe: Axe, view: &'a mut dyn FnMut(&str) -> String) -> Self {
        let lab = Lab::new();
        let rule = format!(
            "[[rule]]\nname = \"all\"\ntargets = [\"t\"]\npattern = {{ detail-type = [\"Inspector2 Finding\"], detail = {{ status = {statuses} }} }}\n"
        );
        lab.write("rules/a.toml", format!("[[target]]\nname = \"t\"\n{target}\n{rule}"));
        let packages = (0..64).map(|number| {
            let (name, version) = (format!("p{number}"), "1.0.0");
            json!({"type": "library", "name": name, "version": version, "purl": format!("pkg:npm/{name}@{version}")})
        });
        let sbom = json!({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": packages.collect::<Vec<_>>()});
        lab.write("sbom.json", sbom.to_string());
        let settings = vec![format!("rules={}", lab.path("rules").display()), "allow-private-targets=true".to_owned()];
        let environment = vec![
            ("JIRA", "token".to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ];
        let trial = Self { lab, axe, settings, environment, view, count: 0 };
        trial.start();
        let pushed = trial.lab.transcript(&["sbom", "push", "sbom.json", "--name", "app"]);
        assert!(pushed.ends_with("exit 0"), "{pushed}");
        trial
    }

    fn start(&self) {
        let start = || Serving::start_in(&self.lab, &self.settings, &[], &self.environment).ok();
        let server = until("the server starts", PATIENCE, start).unwrap();
        self.axe.0.lock().unwrap().server = Some(server);
    }

    fn publish(&self, withdrawn: bool) {
        let mut record = json!({"id": self.name(), "modified": "2026-01-01T00:00:00Z", "affected": [
            {"package": {"ecosystem": "npm", "name": format!("p{}", self.count)}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}]}]});
        if withdrawn {
            record["withdrawn"] = "2026-02-01T00:00:00Z".into();
            record["modified"] = "2026-02-01T00:00:00Z".into();
        }
        self.lab.write("record.json", record.to_string());
        let output = self.lab.run(&["db", "import", self.lab.path("record.json").to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn name(&self) -> String {
        format!("CVE-2024-{:04}", self.count)
    }

    fn until_view(&mut self, expected: &[&str]) {
        let (name, mut last) = (self.name(), String::new());
        let seen = until("the receiver's view", PATIENCE, || {
            last = (self.view)(&name);
            expected.contains(&last.as_str()).then_some(())
        });
        assert!(
            seen.is_ok(),
            "{name}: the receiver has {last}, not {expected:?}: {}",
            std::fs::read_to_string(self.lab.path("serve.log"))
                .unwrap_or_default()
                .lines()
                .filter(|line| line.contains("WARN"))
                .collect::<Vec<_>>()
                .join("\n")
        );
    }

    /// Opens a finding, and closes it where `closes`; kills the server at each step of the last of these. Answers how often it was.
    fn cut_everywhere(&mut self, closes: bool, opened: &[&str], closed: &[&str]) -> usize {
        let mut cuts = 0;
        for after in [false, true] {
            for step in 1.. {
                self.count += 1;
                if closes {
                    self.publish(false);
                    self.until_view(opened);
                }
                self.axe.0.lock().unwrap().falls = Some((step, after));
                self.publish(closes);
                let expected = if closes { closed } else { opened };
                // Killed, or all is told and there was no such step.
                let (name, view) = (self.name(), &mut self.view);
                until("it is killed, or done", PATIENCE, || (!self.axe.is_up() || expected.contains(&view(&name).as_str())).then_some(()))
                    .unwrap();
                if self.axe.is_up() {
                    let waiting = || self.lab.json(&["status", "--json"])["targets"][0]["behind"] == 0;
                    until("all is settled", PATIENCE, || (!self.axe.is_up() || waiting()).then_some(())).unwrap();
                }
                let was_cut = !self.axe.is_up();
                self.axe.0.lock().unwrap().falls = None;
                if !was_cut {
                    break;
                }
                cuts += 1;
                self.start();
                self.until_view(expected);
            }
        }
        cuts
    }
}

#[test]
fn a_ticket_is_one_wherever_the_process_is_killed() {
    let axe = Axe::default();
    let site = Arc::new(Mutex::new(JiraSite { authorization: "Basic bWVAZXhhbXBsZS5vcmc6dG9rZW4=", ..JiraSite::default() }));
    let server = {
        let (site, axe) = (site.clone(), axe.clone());
        Responder::start(move |asked| {
            if !axe.goes_on(false) {
                return lestrade_testkit::Reply::HangUp;
            }
            let reply = site.lock().unwrap().reply(asked);
            if axe.goes_on(true) { reply } else { lestrade_testkit::Reply::HangUp }
        })
        .unwrap()
    };
    let target =
        format!("kind = \"jira\"\nurl = \"{}\"\nproject = \"SEC\"\nuser = \"me@example.org\"\ntoken = \"env:JIRA\"\n", server.url());
    let tickets = site.clone();
    let mut view = move |name: &str| {
        let site = tickets.lock().unwrap();
        let own = site.tickets.iter().filter(|(_, fields)| fields["summary"].as_str().is_some_and(|summary| summary.contains(name)));
        own.map(|(key, _)| site.status[key]).collect::<Vec<_>>().join(" ")
    };
    let mut trial = Trial::new(&target, "[\"ACTIVE\", \"CLOSED\"]", axe, &mut view);
    let opening = trial.cut_everywhere(false, &["new"], &["done"]);
    let closing = trial.cut_everywhere(true, &["new"], &["done"]);
    assert!(opening >= 4 && closing >= 4, "cuts: {opening} and {closing}");
    // Nothing that was told before was told otherwise later.
    let site = site.lock().unwrap();
    assert_eq!((site.tickets.len(), &site.mistakes), (trial.count, &vec![]));
}

#[test]
fn a_mail_is_repeated_once_and_says_so_wherever_the_process_is_killed() {
    let axe = Axe::default();
    let sink = {
        let axe = axe.clone();
        SmtpSink::start(move |_, after| axe.goes_on(after)).unwrap()
    };
    let target = format!(
        "kind = \"email\"\nserver = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"a@example.org\"\nto = [\"b@example.org\"]\nrate = \"100/s\"\n",
        sink.port()
    );
    let mails = sink.mails();
    // The first one plain, a repeat of the same name and marked.
    let mut view = move |name: &str| {
        let mails = mails.lock().unwrap();
        let own: Vec<&String> = mails.iter().filter(|mail| mail.contains(&format!("{name} "))).collect();
        let header = |mail: &str, name: &str| mail.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        let mut ids: Vec<String> = own.iter().map(|mail| header(mail, "Message-ID:")).collect();
        ids.dedup();
        let marked = own.iter().filter(|mail| mail.contains("(repeated)")).count();
        format!("{} mails, {} names, {marked} marked", own.len(), ids.len())
    };
    let mut trial = Trial::new(&target, "[\"ACTIVE\"]", axe, &mut view);
    // A mail that may have arrived is marked also where it had not.
    let cuts =
        trial.cut_everywhere(false, &["1 mails, 1 names, 0 marked", "1 mails, 1 names, 1 marked", "2 mails, 1 names, 1 marked"], &[]);
    assert!(cuts >= 10, "cuts: {cuts}");
}

#[test]
fn queues_and_buses_have_a_message_or_the_same_once_more_wherever_the_process_is_killed() {
    let Some(mut moto) = Moto::start().unwrap() else { return missing("python3 with moto[server] and boto3") };
    let mut queue = |name: &str, attributes: Value| {
        moto.call("sqs", "create_queue", json!({"QueueName": name, "Attributes": attributes})).unwrap()["QueueUrl"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let plain = queue("plain", json!({}));
    let fifo = queue("only-once.fifo", json!({"FifoQueue": "true"}));
    let bus = queue("bus", json!({}));
    let arn = moto.call("sqs", "get_queue_attributes", json!({"QueueUrl": bus, "AttributeNames": ["QueueArn"]})).unwrap()["Attributes"]["QueueArn"].clone();
    moto.call("events", "put_rule", json!({"Name": "r", "EventPattern": json!({"source": ["lestrade"]}).to_string(), "State": "ENABLED"}))
        .unwrap();
    moto.call("events", "put_targets", json!({"Rule": "r", "Targets": [{"Id": "1", "Arn": arn}]})).unwrap();

    let moto = Arc::new(Mutex::new(moto));
    for (kind, queue, at_most) in [("sqs", plain, 2), ("sqs", fifo, 1), ("eventbridge", bus, 2)] {
        let axe = Axe::default();
        let endpoint = moto.lock().unwrap().endpoint().to_owned();
        let aws = {
            let axe = axe.clone();
            AwsStandIn::start_with(&endpoint, move |_, after| axe.goes_on(after)).unwrap()
        };
        let options = match kind {
            "sqs" => format!("queue-url = \"{}\"", queue.replace(&endpoint, &aws.url())),
            _ => "bus = \"default\"\nsource = \"lestrade\"".to_owned(),
        };
        let target = format!("kind = \"{kind}\"\nregion = \"eu-west-1\"\nendpoint = \"{}\"\n{options}\n", aws.url());
        let (moto, from) = (moto.clone(), queue.clone());
        let mut view = move |name: &str| {
            // Nothing is hidden or taken out: a FIFO queue knows a repeat by what is in it.
            let asked = json!({"QueueUrl": from, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0});
            let answer = moto.lock().unwrap().call("sqs", "receive_message", asked).unwrap();
            let mut ids = Vec::new();
            for message in answer["Messages"].as_array().into_iter().flatten() {
                let event: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
                let detail = &event["detail"];
                if detail["packageVulnerabilityDetails"]["vulnerabilityId"] == name {
                    ids.push(detail["lestrade"]["id"].as_str().or(event["id"].as_str()).unwrap().to_owned());
                }
            }
            let count = ids.len();
            ids.dedup();
            format!("{count} of {} ids", ids.len())
        };
        let all = ["1 of 1 ids", "2 of 1 ids"];
        let mut trial = Trial::new(&target, "[\"ACTIVE\"]", axe, &mut view);
        let cuts = trial.cut_everywhere(false, &all[..at_most], &[]);
        assert!(cuts >= 2, "{kind}: cuts: {cuts}");
    }
}
