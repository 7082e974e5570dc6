//! Targets against receivers on loopback that behave as the real ones are documented to, and worse.

use lestrade_events::*;
use lestrade_model::{Clock, Timestamp};
use lestrade_testkit::{JiraSite, Reply, Responder, SmtpSink};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::parse("2026-11-23T12:00:00Z").unwrap()
    }
}

/// Secrets by name, none of which may be seen anywhere but where it belongs.
struct Vault;

impl Secrets for Vault {
    fn resolve(&self, reference: &str) -> Result<Secret, String> {
        match reference.split_once(':') {
            Some(("env", name)) => Ok(Secret::new(std::env::var(name).unwrap_or_else(|_| format!("canary-of-{name}-0123456789")))),
            Some(("url", rest)) => Ok(Secret::new(rest)),
            _ => LocalSecrets.resolve(reference),
        }
    }
}

fn surroundings() -> Surroundings {
    Surroundings {
        secrets: Arc::new(Vault),
        egress: EgressPolicy::AllowPrivate,
        notes: Arc::new(ForgetfulNotes::default()),
        clock: Arc::new(Noon),
    }
}

fn open(kind: &str, options: Value) -> Box<dyn Target> {
    open_in(kind, options, &surroundings()).unwrap()
}

fn open_in(kind: &str, options: Value, surroundings: &Surroundings) -> Result<Box<dyn Target>, DeliveryError> {
    let Value::Object(options) = options else { panic!("options are an object") };
    Kinds::standard().open(&TargetRecord::simple("t", kind, options), surroundings)
}

fn finding(resource: &str, vulnerability: &str, status: &str, open: u64) -> Message {
    fixed_in(resource, vulnerability, status, open, "2.17.1")
}

fn fixed_in(resource: &str, vulnerability: &str, status: &str, open: u64, fixed: &str) -> Message {
    let body = json!({"version": "0", "id": format!("{resource}/{vulnerability}/{status}"), "detail-type": "Inspector2 Finding",
        "source": "aws.inspector2", "account": "123456789012", "time": "2026-11-23T12:00:00Z", "region": "eu-west-1", "resources": [resource],
        "detail": {"severity": "CRITICAL", "status": status, "title": format!("{vulnerability} - log4j-core"), "findingArn": format!("arn:{resource}"),
            "inspectorScore": 10.0, "exploitAvailable": "YES", "packageVulnerabilityDetails": {"vulnerabilityId": vulnerability,
            "vulnerablePackages": [{"name": "log4j-core", "version": "2.14.1", "packageManager": "JAR", "fixedInVersion": fixed}]}}});
    Message::plain(Event { id: body["id"].as_str().unwrap().into(), revision: 7, body, open: Some(open), names: Names::default() })
}

/// The same, of a vulnerability that was called otherwise before, or into which others were merged.
fn named(message: Message, names: Names) -> Message {
    Message { event: Event { names, ..message.event }, ..message }
}

fn one(target: &mut dyn Target, message: Message) -> Sent {
    target.deliver(&[message]).pop().unwrap()
}

#[test]
fn a_webhooks_answers_are_understood() {
    let answers = Mutex::new(vec![
        Reply::status(204),
        Reply::Answer(429, vec![("Retry-After".into(), "17".into())], String::new()),
        Reply::status(503),
        Reply::status(404),
        Reply::Answer(302, vec![("location".into(), "http://169.254.169.254/latest/meta-data/".into())], String::new()),
        Reply::HangUp,
        Reply::Answer(200, vec![], "x".repeat(3 << 20)),
    ]);
    let server = Responder::start(move |_| answers.lock().unwrap().remove(0)).unwrap();
    let mut hook = open("webhook", json!({"url": format!("{}/hook?token=t0k", server.url()), "signing-key": "env:KEY"}));
    let mut next = || one(hook.as_mut(), finding("i-1", "CVE-2021-44228", "ACTIVE", 1));
    assert_eq!(next(), Ok(()));
    assert_eq!(
        next(),
        Err(DeliveryError::Retry { reason: "the receiver answered 429".into(), after: Some(Duration::from_secs(17)), uncertain: false })
    );
    assert_eq!(next(), Err(DeliveryError::retry("the receiver answered 503")));
    assert_eq!(next(), Err(DeliveryError::Refused("the receiver answered 404".into())));
    assert!(matches!(next(), Err(DeliveryError::Refused(reason)) if reason.contains("redirects are not followed")));
    assert!(matches!(next(), Err(DeliveryError::Retry { uncertain: true, .. })));
    assert_eq!(next(), Ok(()), "what is taken is taken, however long the answer");
    let first = &server.asked()[0];
    assert_eq!((first.path.as_str(), first.headers["webhook-timestamp"].as_str()), ("/hook?token=t0k", "1795435200"));
    assert!(first.headers["webhook-signature"].starts_with("v1,"));
    assert_eq!(first.headers["webhook-id"], "i-1/CVE-2021-44228/ACTIVE");
    assert_eq!(server.asked().len(), 7, "nobody was asked at the address of the redirect");
}

#[test]
fn a_receiver_that_hangs_is_given_up_in_time() {
    let server = Responder::start(|_| Reply::Hang).unwrap();
    let mut hook = open("webhook", json!({"url": server.url()}));
    assert!(matches!(one(hook.as_mut(), finding("i-1", "CVE-1", "ACTIVE", 1)), Err(DeliveryError::Retry { uncertain: true, .. })));
}

#[test]
fn options_that_are_wrong_are_refused_and_no_secret_is_told() {
    let inside = Surroundings { egress: EgressPolicy::PublicOnly, ..surroundings() };
    for (kind, options, said) in [
        ("webhook", json!({"url": "http://127.0.0.1/hook"}), "its address is private"),
        (
            "webhook",
            json!({"url": "https://hooks.example/x", "signing-key": "hunter2-hunter2-hunter2-hunter2"}),
            "a secret is named, not written",
        ),
        ("webhook", json!({"url": "https://hooks.example/x", "secret": "env:X"}), "unknown field `secret`"),
        ("slack", json!({"url": "https://hooks.slack.example/T0/hunter2"}), "a secret is named, not written"),
        ("pagerduty", json!({}), "missing field `routing-key`"),
        ("jira", json!({"url": "https://jira.example", "project": "A B", "token": "env:X"}), "a key is letters"),
        ("email", json!({"server": "mail.example", "from": "a@b.example", "to": []}), "1 to 50 addresses"),
        (
            "email",
            json!({"server": "mail.example", "from": "a@b.example", "to": ["x@y.example"], "tls": "none", "user": "u", "password": "env:P"}),
            "not sent over a connection without TLS",
        ),
        ("fax", json!({}), "there is no kind 'fax'; there are email, jira"),
    ] {
        let Err(error) = open_in(kind, options, &inside) else { panic!("{kind}: {said}") };
        let error = error.to_string();
        assert!(error.contains(said) && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn pagerduty_has_one_incident_for_a_vulnerability() {
    let server = Responder::start(|_| Reply::json(202, &json!({"status": "success"}))).unwrap();
    let mut target = open("pagerduty", json!({"routing-key": "env:ROUTING", "url": format!("{}/v2/enqueue", server.url())}));
    for message in [
        finding("i-1", "CVE-1", "ACTIVE", 1),
        finding("i-2", "CVE-1", "ACTIVE", 2),
        finding("i-9", "CVE-2", "CLOSED", 0),
        finding("i-1", "CVE-1", "CLOSED", 1),
        finding("i-2", "CVE-1", "CLOSED", 0),
        finding("i-2", "CVE-1", "ACTIVE", 1),
    ] {
        one(target.as_mut(), message).unwrap();
    }
    let told: Vec<(String, String)> = server
        .asked()
        .iter()
        .map(|asked| (asked.json()["event_action"].as_str().unwrap().into(), asked.json()["dedup_key"].as_str().unwrap().into()))
        .collect();
    assert_eq!(told.iter().map(|(action, _)| action.as_str()).collect::<Vec<_>>(), ["trigger", "resolve", "trigger"]);
    assert!(told.iter().all(|(_, key)| *key == told[0].1));
    let first = server.asked()[0].json();
    assert_eq!(first["payload"]["severity"], "critical");
    assert_eq!(first["routing_key"], "canary-of-ROUTING-0123456789");
}

#[test]
fn an_incident_goes_on_under_another_name() {
    let server = Responder::start(|_| Reply::json(202, &json!({"status": "success"}))).unwrap();
    let mut target = open("pagerduty", json!({"routing-key": "env:ROUTING", "url": format!("{}/v2/enqueue", server.url())}));
    let renamed = Names { first: Some("GHSA-1".into()), formerly: vec!["GHSA-1".into()], merged: vec!["GHSA-2".into()] };
    for message in [
        finding("i-1", "GHSA-1", "ACTIVE", 1),
        finding("i-2", "GHSA-2", "ACTIVE", 1),
        named(finding("i-1", "CVE-1", "ACTIVE", 2), renamed.clone()),
        named(finding("i-1", "CVE-1", "CLOSED", 0), renamed),
    ] {
        one(target.as_mut(), message).unwrap();
    }
    let asked: Vec<Value> = server.asked().iter().map(|asked| asked.json()).collect();
    let told: Vec<&str> = asked.iter().map(|asked| asked["event_action"].as_str().unwrap()).collect();
    assert_eq!(told, ["trigger", "trigger", "resolve", "resolve"]);
    let key = |n: usize| asked[n]["dedup_key"].as_str();
    assert_eq!((key(2), key(3)), (key(1), key(0)), "what was merged ends at once, what was renamed with its last finding");
}

/// A Jira that knows who asks.
fn site() -> JiraSite {
    JiraSite { authorization: "Basic bWVAZXhhbXBsZS5vcmc6Y2FuYXJ5LW9mLUpJUkEtMDEyMzQ1Njc4OQ==", ..JiraSite::default() }
}

fn jira(site: &Arc<Mutex<JiraSite>>, more: Value) -> (Responder, Box<dyn Target>) {
    let answering = Arc::clone(site);
    let server = Responder::start(move |asked| answering.lock().unwrap().reply(asked)).unwrap();
    let mut options = json!({"url": server.url(), "project": "SEC", "user": "me@example.org", "token": "env:JIRA"});
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let target = open("jira", options);
    (server, target)
}

#[test]
fn jira_has_one_ticket_for_a_vulnerability_and_resolves_it_with_its_last_finding() {
    let site = Arc::new(Mutex::new(site()));
    let (server, mut target) = jira(&site, json!({}));
    for open in 1..=100 {
        one(target.as_mut(), finding(&format!("i-{open}"), "CVE-1", "ACTIVE", open)).unwrap();
    }
    let written = server.asked().iter().filter(|asked| asked.method == "PUT").count();
    assert_eq!((site.lock().unwrap().tickets.len(), written), (1, 6), "it is written again as their number doubles");
    assert!(site.lock().unwrap().tickets["SEC-1"]["description"].as_str().unwrap().contains("64 open findings"));
    one(target.as_mut(), finding("i-1", "CVE-1", "CLOSED", 0)).unwrap();
    assert_eq!(site.lock().unwrap().status["SEC-1"], "done");
    one(target.as_mut(), finding("i-1", "CVE-1", "ACTIVE", 1)).unwrap();
    assert_eq!(site.lock().unwrap().status["SEC-1"], "new");
    one(target.as_mut(), finding("i-9", "CVE-2", "CLOSED", 0)).unwrap();
    let site = site.lock().unwrap();
    assert_eq!((site.tickets.len(), &site.mistakes), (1, &vec![]), "no ticket is made to be resolved");
}

#[test]
fn jira_has_one_ticket_for_a_fix_and_moves_with_it() {
    let site = Arc::new(Mutex::new(site()));
    let (_server, mut target) = jira(&site, json!({"per": "fix"}));
    one(target.as_mut(), finding("i-1", "CVE-1", "ACTIVE", 1)).unwrap();
    one(target.as_mut(), finding("i-1", "CVE-2", "ACTIVE", 1)).unwrap();
    {
        let site = site.lock().unwrap();
        assert_eq!((site.tickets.len(), site.tickets["SEC-1"]["summary"].as_str()), (1, Some("Update log4j-core to 2.17.1")));
        assert!(site.tickets["SEC-1"]["description"].as_str().unwrap().contains("CVE-1, CVE-2"));
    }
    one(target.as_mut(), finding("i-1", "CVE-1", "CLOSED", 0)).unwrap();
    assert_eq!(site.lock().unwrap().status["SEC-1"], "new", "the other one is still open");
    // The advisory names another fix: its ticket is another, and the first one has nothing left.
    one(target.as_mut(), fixed_in("i-1", "CVE-2", "ACTIVE", 1, "2.18.0")).unwrap();
    let site = site.lock().unwrap();
    assert_eq!((site.status["SEC-1"], site.status["SEC-2"]), ("done", "new"));
}

#[test]
fn a_ticket_goes_on_under_another_name() {
    for per in ["vulnerability", "fix"] {
        let site = Arc::new(Mutex::new(site()));
        let (_server, mut target) = jira(&site, json!({"per": per}));
        one(target.as_mut(), finding("i-1", "GHSA-1", "ACTIVE", 1)).unwrap();
        one(target.as_mut(), finding("i-1", "GHSA-2", "ACTIVE", 1)).unwrap();
        let names = Names { first: Some("GHSA-1".into()), formerly: vec!["GHSA-1".into()], merged: vec!["GHSA-2".into()] };
        one(target.as_mut(), named(finding("i-1", "CVE-1", "ACTIVE", 1), names.clone())).unwrap();
        {
            let site = site.lock().unwrap();
            let text = site.tickets["SEC-1"]["description"].as_str().unwrap();
            assert!(text.contains("Vulnerabilities: CVE-1\n"), "{per}: {text}");
            let resolved = site.status.values().filter(|status| **status == "done").count();
            assert_eq!((site.tickets.len(), resolved), if per == "fix" { (1, 0) } else { (2, 1) });
        }
        one(target.as_mut(), named(finding("i-1", "CVE-1", "CLOSED", 0), names)).unwrap();
        assert!(site.lock().unwrap().status.values().all(|status| *status == "done"), "{per}");
    }
}

#[test]
fn a_ticket_whose_key_was_lost_with_the_answer_is_found_again() {
    let site = Arc::new(Mutex::new(JiraSite { drop_answers: 1, ..site() }));
    let (_server, mut target) = jira(&site, json!({}));
    assert!(matches!(one(target.as_mut(), finding("i-1", "CVE-1", "ACTIVE", 1)), Err(DeliveryError::Retry { .. })));
    one(target.as_mut(), finding("i-1", "CVE-1", "ACTIVE", 1)).unwrap();
    one(target.as_mut(), finding("i-1", "CVE-1", "CLOSED", 0)).unwrap();
    let site = site.lock().unwrap();
    assert_eq!((site.tickets.len(), site.status["SEC-1"]), (1, "done"));
}

#[test]
fn chat_gets_what_it_documents() {
    let server = Responder::start(|_| Reply::status(200)).unwrap();
    for kind in ["slack", "teams"] {
        let mut target = open(kind, json!({"url": format!("url:{}/{kind}", server.url())}));
        assert!(!target.takes_key());
        one(target.as_mut(), finding("i-1", "CVE-1", "ACTIVE", 3)).unwrap();
    }
    let asked = server.asked();
    assert_eq!(asked[0].json()["text"], "CRITICAL CVE-1 active on i-1");
    assert_eq!(asked[1].json()["attachments"][0]["contentType"], "application/vnd.microsoft.card.adaptive");
}

/// An SMTP server, and the mails that it took.
fn smtp_sink() -> (u16, Arc<Mutex<Vec<String>>>) {
    let sink = SmtpSink::start(|_, _| true).unwrap();
    (sink.port(), sink.mails())
}

#[test]
fn mail_is_sent_and_its_refusals_are_understood() {
    let (port, mails) = smtp_sink();
    let mail = |to: &str| {
        let options = json!({"server": "127.0.0.1", "port": port, "tls": "none", "from": "Lestrade <lestrade@example.org>", "to": [to]});
        let mut message = finding("i-1", "CVE-1", "ACTIVE", 3);
        message.event.body["detail"]["title"] = json!("a title\r\nBcc: everybody@example.org");
        one(open("email", options).as_mut(), message)
    };
    assert_eq!(mail("team@example.org"), Ok(()));
    assert!(matches!(mail("nobody@example.org"), Err(DeliveryError::Refused(reason)) if reason.contains("550")));
    assert!(matches!(mail("busy@example.org"), Err(DeliveryError::Retry { .. })));
    let mails = mails.lock().unwrap();
    assert_eq!(mails.len(), 1);
    assert!(
        mails[0].contains("Subject: [lestrade] CRITICAL CVE-1 active on i-1")
            && mails[0].contains("Message-ID: <i-1/CVE-1/ACTIVE@lestrade>"),
        "{}",
        mails[0]
    );
    let head = mails[0].split("\r\n\r\n").next().unwrap();
    assert!(!head.contains("Bcc"), "nothing from outside becomes a header");
}

#[test]
fn mail_without_tls_is_not_sent_where_tls_is_wanted() {
    let (port, mails) = smtp_sink();
    let options = json!({"server": "localhost", "port": port, "from": "a@example.org", "to": ["b@example.org"]});
    assert!(matches!(one(open("email", options).as_mut(), finding("i-1", "CVE-1", "ACTIVE", 3)), Err(DeliveryError::Retry { .. })));
    assert!(mails.lock().unwrap().is_empty());
}
