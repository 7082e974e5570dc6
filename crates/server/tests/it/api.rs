//! The native API over a socket: who may ask what, how much it takes on, and events as they happen.

use super::{HOUR, Lab, observation, record, scope};
use lestrade_model::Scope;
use lestrade_server::inspector2::{Front, Key, KeyStore, Principal, Role};
use lestrade_server::{Api, ApiLimits, Core, Hub, HubSettings, Prune, Reconciler, openapi, serve_http};
use lestrade_wire::sigv4::SecretKey;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

const OWNER: &str = "the token of the state folder";
/// Long enough for the slowest machine; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

/// An account that the server watches beside its own.
fn member() -> Scope {
    Scope::new("aws", "999999999999", "eu-west-1").unwrap()
}

fn key(id: &str, role: Role, scope: Scope) -> (String, Key) {
    (id.into(), Key { secret: SecretKey::new("secret".into()), principal: Principal { name: id.into(), scope, members: vec![], role } })
}

/// Keys that can be taken back.
#[derive(Clone)]
struct Ring(Arc<Mutex<HashMap<String, Key>>>);

impl KeyStore for Ring {
    fn find(&self, id: &str) -> Option<Key> {
        self.0.lock().unwrap().get(id).cloned()
    }
}

/// A server that runs until it is dropped.
struct Served {
    ring: Ring,
    address: SocketAddr,
    core: Arc<Core>,
    hub: Arc<Hub>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    fn start(core: &Arc<Core>, limits: ApiLimits) -> Self {
        let settings = HubSettings {
            kinds: lestrade_events::Kinds::standard(),
            secrets: Arc::new(lestrade_events::LocalSecrets),
            egress: lestrade_events::EgressPolicy::PublicOnly,
            home: scope(),
            rules: None,
            everything: vec![],
        };
        let hub = Arc::new(Hub::new(core.clone(), settings));
        let keys = [
            key("VIEWER", Role::Viewer, scope()),
            key("TRIAGER", Role::Triager, scope()),
            key("OPERATOR", Role::Operator, scope()),
            key("MEMBER", Role::Administrator, member()),
        ];
        let ring = Ring(Arc::new(Mutex::new(HashMap::from(keys))));
        let front = Arc::new(Front::new(core.clone(), ring.clone(), [9; 32]));
        let api = Api::new(hub.clone(), front.clone(), OWNER).limited(limits);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let stopped = async { drop(stopped.await) };
            runtime.block_on(serve_http(listener, front, Some(api), stopped)).unwrap();
        });
        Self { ring, address, core: core.clone(), hub, stop: Some(stop), thread: Some(thread) }
    }

    fn new(core: &Arc<Core>) -> Self {
        Self::start(core, ApiLimits::default())
    }

    /// Asks it to stop, and waits until it has.
    fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    fn send(&self, head: &str, body: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // A server that refuses early may close before it has read all.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        stream
    }

    fn ask(&self, method: &str, path: &str, token: &str, headers: &str, body: &[u8]) -> Answer {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: lestrade\r\nconnection: close\r\nauthorization: Bearer {token}\r\n{headers}content-length: {length}\r\n\r\n"
        );
        Answer::read(self.send(&head, body))
    }

    fn get(&self, path: &str, token: &str) -> Answer {
        self.ask("GET", &format!("/api/v1{path}"), token, "", b"")
    }

    fn stream(&self, token: &str, query: &str, headers: &str) -> Events {
        let head = format!("GET /api/v1/events/stream{query} HTTP/1.1\r\nhost: lestrade\r\nauthorization: Bearer {token}\r\n{headers}\r\n");
        let mut lines = BufReader::new(self.send(&head, b""));
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        assert!(first.contains(" 200 "), "{first}");
        Events { lines, id: String::new() }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn read(mut stream: TcpStream) -> Self {
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A reader of a stream.
struct Events {
    lines: BufReader<TcpStream>,
    /// The id that was seen last.
    id: String,
}

/// What a stream said.
#[derive(Debug, PartialEq)]
enum Said {
    /// What an event is about.
    Event(String),
    Gap(Value),
    Heartbeat,
    End,
}

impl Events {
    fn note(&mut self, line: &str) {
        if let Some(id) = line.strip_prefix("id: ") {
            self.id = id.to_owned();
        }
    }

    fn next(&mut self) -> Said {
        let (mut gap, mut line) = (false, String::new());
        loop {
            line.clear();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return Said::End;
            }
            match line.trim_end() {
                // A comment, and the place where it moved on.
                ":" => {
                    line.clear();
                    self.lines.read_line(&mut line).unwrap();
                    self.note(line.trim_end());
                    return Said::Heartbeat;
                }
                "0" => return Said::End,
                "event: gap" => gap = true,
                text if text.starts_with("id: ") => self.note(text),
                text if text.starts_with("data: ") => {
                    let event: Value = serde_json::from_str(&text["data: ".len()..]).unwrap();
                    if gap {
                        return Said::Gap(event);
                    }
                    let id = event["detail"]["packageVulnerabilityDetails"]["vulnerabilityId"].as_str().unwrap_or("-");
                    return Said::Event(format!(
                        "{} {id} {}",
                        event["detail-type"].as_str().unwrap(),
                        event["resources"][0].as_str().unwrap_or("-")
                    ));
                }
                _ => {}
            }
        }
    }

    /// The next findings, other events passed over.
    fn findings(&mut self, count: usize) -> Vec<String> {
        let mut found = Vec::new();
        while found.len() < count {
            match self.next() {
                Said::Event(text) => found.extend(text.strip_prefix("Inspector2 Finding ").map(str::to_owned)),
                Said::Heartbeat => {}
                other => panic!("{other:?} after {found:?}"),
            }
        }
        found
    }
}

fn lab() -> (Lab, Arc<Core>) {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    let core = lab.open();
    (lab, core)
}

fn see(core: &Core, scope: &Scope, image: &str) {
    let mut seen = observation(image, &[("left-pad", "1.0.0")]);
    seen.resource.key.scope = scope.clone();
    core.observe(seen).unwrap();
}

#[test]
fn a_stream_tells_what_happens_and_goes_on_where_it_was_left() {
    let (_lab, core) = lab();
    see(&core, &scope(), "image-before");
    let served = Served::new(&core);
    let mut events = served.stream("VIEWER.secret", "", "");
    // Its first id tells that it listens: what happens from here on is told, what was before is not.
    while events.id.is_empty() {
        let mut line = String::new();
        events.lines.read_line(&mut line).unwrap();
        events.id = line.strip_prefix("id: ").map(|id| id.trim_end().to_owned()).unwrap_or_default();
    }
    see(&core, &scope(), "image-a");
    assert_eq!(events.findings(1), ["CVE-2024-1 image-a"]);
    let last = events.id.clone();
    drop(events);
    // What happens while nobody listens is not lost.
    (0..200).for_each(|n| see(&core, &scope(), &format!("image-{n}")));
    let all: Vec<String> = (0..200).map(|n| format!("CVE-2024-1 image-{n}")).collect();
    let mut events = served.stream("VIEWER.secret", "?after=0", &format!("last-event-id: {last}\r\n"));
    assert_eq!(events.findings(120), all[..120], "the id goes before the address that it began with");
    let mut events = served.stream("VIEWER.secret", "", &format!("last-event-id: {}\r\n", events.id));
    assert_eq!(events.findings(80), all[120..]);
    let mut events = served.stream("VIEWER.secret", "?after=0", "");
    assert_eq!(events.findings(2), ["CVE-2024-1 image-before", "CVE-2024-1 image-a"]);
}

#[test]
fn a_stream_goes_on_in_the_middle_of_what_was_told_together() {
    let mut lab = Lab::new();
    let core = lab.open();
    (0..150).for_each(|n| see(&core, &scope(), &format!("image-{n:03}")));
    let place = served_place(&core);
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    core.refresh_intelligence().unwrap();
    let served = Served::new(&core);
    let mut events = served.stream(OWNER, &format!("?after={place}"), "");
    let mut told = events.findings(100);
    assert!(events.id.contains('.'), "{}: all of them came with one change", events.id);
    let mut events = served.stream(OWNER, "", &format!("last-event-id: {}\r\n", events.id));
    told.extend(events.findings(50));
    assert_eq!(told, (0..150).map(|n| format!("CVE-2024-1 image-{n:03}")).collect::<Vec<_>>());
}

/// The place behind all that was told.
fn served_place(core: &Core) -> u64 {
    core.store().history(0, 10_000).unwrap().last().map_or(0, |group| group.id)
}

#[test]
fn a_stream_tells_of_the_accounts_that_its_token_sees() {
    let (_lab, core) = lab();
    let served = Served::start(&core, ApiLimits { heartbeat: Duration::from_millis(50), ..ApiLimits::default() });
    see(&core, &scope(), "image-home");
    see(&core, &member(), "image-member");
    let mut of_member = served.stream("MEMBER.secret", "?after=0", "");
    let mut of_home = served.stream("VIEWER.secret", "?after=0", "");
    assert_eq!(of_member.findings(1), ["CVE-2024-1 image-member"]);
    assert_eq!(of_home.findings(2), ["CVE-2024-1 image-home", "CVE-2024-1 image-member"]);
    // What is passed over moves its place on, so that it is not read again.
    see(&core, &scope(), "image-other");
    let end = served_place(&core).to_string();
    let mut heard = Vec::new();
    while of_member.id != end {
        heard.push(of_member.next());
    }
    assert!(heard.iter().all(|said| !matches!(said, Said::Event(about) if !about.ends_with("image-member"))), "{heard:?}");
    let events = served.get("/events?after=0", "MEMBER.secret").json();
    let accounts: Vec<&str> = events["events"].as_array().unwrap().iter().map(|event| event["account"].as_str().unwrap()).collect();
    assert!(!accounts.is_empty() && accounts.iter().all(|account| *account == "999999999999"), "{accounts:?}");
}

#[test]
fn a_stream_ends_with_the_server_and_holds_it_up_no_longer() {
    let (_lab, core) = lab();
    let mut served = Served::new(&core);
    // One that never reads, and has more to be told than fits into the buffers between.
    (0..2000).for_each(|n| see(&core, &scope(), &format!("image-{n}")));
    let mut slow = served.stream(OWNER, "?after=0", "");
    let mut idle = served.stream(OWNER, &format!("?after={}", served_place(&core)), "");
    see(&core, &scope(), "image-last");
    idle.findings(1);
    served.stop();
    while idle.next() != Said::End {}
    let mut rest = Vec::new();
    let _ = slow.lines.read_to_end(&mut rest);
    assert!(TcpStream::connect(served.address).is_err());
}

#[test]
fn whose_token_is_taken_back_hears_no_more() {
    let (_lab, core) = lab();
    let served = Served::new(&core);
    let (mut taken, mut kept) = (served.stream("TRIAGER.secret", "", ""), served.stream("VIEWER.secret", "", ""));
    see(&core, &scope(), "image-a");
    assert_eq!((taken.findings(1), kept.findings(1)), (vec!["CVE-2024-1 image-a".to_owned()], vec!["CVE-2024-1 image-a".to_owned()]));
    served.ring.0.lock().unwrap().remove("TRIAGER");
    see(&core, &scope(), "image-b");
    let rest = std::iter::from_fn(|| Some(taken.next()).filter(|said| *said != Said::End)).collect::<Vec<_>>();
    assert!(rest.iter().all(|said| !matches!(said, Said::Event(text) if text.contains("image-b"))), "{rest:?}");
    assert_eq!(kept.findings(1), ["CVE-2024-1 image-b"]);
    assert_eq!(served.get("/events", "TRIAGER.secret").status, 401);
}

#[test]
fn what_was_forgotten_between_two_places_is_said() {
    let (lab, core) = lab();
    let served = Served::new(&core);
    see(&core, &scope(), "image-a");
    lab.later(8 * 24 * HOUR);
    see(&core, &scope(), "image-b");
    Prune(served.hub.clone()).reconcile().unwrap();
    let first = core.store().history(0, 1).unwrap()[0].id;
    assert!(first > 1);
    let mut events = served.stream(OWNER, "?after=0", "");
    assert_eq!(events.next(), Said::Gap(json!({"after": "0", "next": (first - 1).to_string()})));
    assert_eq!(events.findings(1), ["CVE-2024-1 image-b"]);
    // A reader of a newer store than the one that was put back.
    let mut events = served.stream(OWNER, "", "last-event-id: 1000000\r\n");
    assert_eq!(events.next(), Said::Gap(json!({"after": "1000000", "next": served_place(&core).to_string()})));
    assert_eq!(served.ask("GET", "/api/v1/events/stream", OWNER, "last-event-id: x\r\n", b"").status, 400);
}

#[test]
fn there_are_only_so_many_streams_of_a_token() {
    let (_lab, core) = lab();
    let served = Served::new(&core);
    let streams: Vec<Events> = (0..8).map(|_| served.stream("VIEWER.secret", "", "")).collect();
    let refused = served.get("/events/stream", "VIEWER.secret");
    assert!(refused.status == 429 && refused.head.contains("retry-after: 1"), "{}", refused.head);
    served.stream("TRIAGER.secret", "", "");
    drop(streams);
    // Who goes away is noticed when something is told.
    let again = lestrade_testkit::until("a place is free", PATIENCE, || {
        see(&served.core, &scope(), "image-a");
        let head = "GET /api/v1/events/stream HTTP/1.1\r\nhost: lestrade\r\nauthorization: Bearer VIEWER.secret\r\n\r\n";
        let mut first = String::new();
        BufReader::new(served.send(head, b"")).read_line(&mut first).unwrap();
        first.contains(" 200 ").then_some(())
    });
    again.unwrap();
}

#[test]
fn a_token_may_what_its_role_and_account_may() {
    let (_lab, core) = lab();
    let served = Served::new(&core);
    see(&core, &scope(), "image-home");
    see(&core, &member(), "image-member");
    let resources = |token: &str| -> Vec<String> {
        let listed = served.get("/resources", token).json();
        listed["resources"].as_array().unwrap().iter().map(|resource| resource["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(resources("VIEWER.secret"), ["image-home", "image-member"]);
    assert_eq!(resources(OWNER), ["image-home", "image-member"]);
    assert_eq!(resources("MEMBER.secret"), ["image-member"]);
    let findings = served.get("/findings", "MEMBER.secret").json();
    assert_eq!(findings["findings"].as_array().unwrap().len(), 1);
    let home = served.get("/findings?resource=image-home", OWNER).json()["findings"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(served.get(&format!("/findings/{home}"), OWNER).status, 200);
    assert_eq!(served.get(&format!("/findings/{home}"), "MEMBER.secret").status, 404, "another account's is not there");
    assert_eq!(served.get("/findings?resource=image-home", "MEMBER.secret").status, 404);
    assert_eq!(served.get("/status", "MEMBER.secret").json()["findings"]["active"], 1);

    let rule = json!({"name": "r", "reason": "because", "owner": "ann", "expires": "2999-01-01T00:00:00Z",
        "criteria": {"vulnerabilityId": [{"comparison": "EQUALS", "value": "CVE-2024-1"}]}})
    .to_string();
    let make = |token: &str| served.ask("POST", "/api/v1/suppressions", token, "", rule.as_bytes()).status;
    let told = |token: &str| served.ask("POST", "/api/v1/clusters/c", token, "", b"{\"kind\": \"List\", \"items\": []}").status;
    assert_eq!((make("VIEWER.secret"), told("TRIAGER.secret")), (403, 403));
    assert_eq!((make("MEMBER.secret"), told("OPERATOR.secret")), (200, 200));
    let hidden = |token: &str| served.get("/findings?status=suppressed", token).json()["findings"].as_array().unwrap().len();
    assert_eq!((hidden(OWNER), hidden("MEMBER.secret")), (1, 1), "a rule holds in the account of who made it");
    assert_eq!(make("TRIAGER.secret"), 200);
    assert_eq!(hidden(OWNER), 2, "and those of the server's own account in all");
    assert_eq!(served.get("/targets", "MEMBER.secret").status, 403, "the whole server");
    for wrong in ["VIEWER", "VIEWER.", "VIEWER.secre", "NOBODY.secret", ".secret", ""] {
        let refused = served.get("/status", wrong);
        assert!(refused.status == 401 && refused.head.contains("www-authenticate: bearer"), "{wrong}: {}", refused.head);
    }
}

#[test]
fn a_request_that_is_too_large_or_comes_too_often_is_refused() {
    let (_lab, core) = lab();
    let limits = ApiLimits { at_once: 4, arrival: Duration::from_millis(200), ..ApiLimits::default() };
    let served = Served::start(&core, limits);
    let long = "x".repeat(9 << 10);
    assert_eq!(served.get(&format!("/findings?vulnerability={long}"), OWNER).status, 414);
    let headers = format!("x-one: {long}\r\nx-two: {long}\r\nx-three: {long}\r\nx-four: {long}\r\n");
    assert_eq!(served.ask("GET", "/api/v1/status", OWNER, &headers, b"").status, 431);
    let announced = |path: &str, length: usize| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: l\r\nconnection: close\r\nauthorization: Bearer {OWNER}\r\ncontent-length: {length}\r\n\r\n{{"
        );
        Answer::read(served.send(&head, b""))
    };
    assert_eq!(announced("/api/v1/vex?name=x", (16 << 20) + 1).status, 413, "before it comes");
    assert_eq!(announced("/api/v1/vex?name=x", 100).status, 408);
    let chunked = format!(
        "POST /api/v1/suppressions HTTP/1.1\r\nhost: l\r\nconnection: close\r\nauthorization: Bearer {OWNER}\r\ntransfer-encoding: chunked\r\n\r\n200000\r\n"
    );
    assert_eq!(Answer::read(served.send(&chunked, &vec![b' '; 2 << 20])).status, 413, "who does not say how long it is");
    assert_eq!(served.get("/nothing", OWNER).status, 404);
    let refused = served.ask("DELETE", "/api/v1/findings", OWNER, "", b"");
    assert!(refused.status == 405 && refused.head.contains("allow: get"), "{}", refused.head);
    assert_eq!(served.ask("POST", "/api/v1/agents/tokens", OWNER, "", b"x").status, 413, "it takes no body");

    // One token asks too often; another does not wait for it. The clock of this server stands still.
    let all: Vec<u16> = (0..401).map(|_| served.get("/rules", "VIEWER.secret").status).collect();
    assert!(all[..400].iter().all(|status| *status == 200), "{all:?}");
    let refused = served.get("/rules", "VIEWER.secret");
    assert!(refused.status == 429 && refused.head.contains("retry-after: 1"), "{}", refused.head);
    assert_eq!(served.get("/rules", "TRIAGER.secret").status, 200);
}

/// What browsers, proxies and those who pose as them send: nothing of it is believed.
#[test]
fn headers_and_paths_that_pose_as_something_else_get_nothing() {
    let (_lab, core) = lab();
    let served = Served::new(&core);
    // Tokens that say of themselves that they need no signature, or whose signature to take.
    let part = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    for head in [r#"{"alg":"none"}"#, r#"{"alg":"HS256","kid":"../../api-token"}"#] {
        let token = format!("{}.{}.", part(head), part(r#"{"sub":"admin","exp":9999999999}"#));
        assert_eq!(served.get("/status", &token).status, 401, "{head}");
    }
    // Another page in somebody's browser: there is no session that it could ride on, and no page is let in.
    let strange = "origin: https://elsewhere.example\r\nsec-fetch-site: cross-site\r\ncookie: session=admin\r\n";
    for method in ["POST", "OPTIONS"] {
        let answer = served.ask(method, "/api/v1/suppressions", "", strange, b"{}");
        assert!(matches!(answer.status, 401 | 405), "{method}: {}", answer.head);
        assert!(!answer.head.contains("access-control-") && !answer.head.contains("set-cookie"), "{}", answer.head);
    }
    for path in [
        "/static/../../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/api/v1/%2e%2e/%2e%2e/etc/passwd",
        "/api/v1/findings/%00",
        "/api/v1/findings/..%2f..%2fstate.db",
    ] {
        let answer = served.ask("GET", path, OWNER, "", b"");
        assert!((400..500).contains(&answer.status) && !answer.body.contains("root:"), "{path}: {} {}", answer.status, answer.body);
    }
    // Who somebody says that they come from, or go to, is nowhere in an answer, and opens nothing.
    let posing = "x-forwarded-for: 127.0.0.1\r\nx-forwarded-host: elsewhere.example\r\nforwarded: for=127.0.0.1;host=elsewhere.example\r\n";
    let document = served.ask("GET", "/api/v1/openapi.json", OWNER, posing, b"");
    assert!(document.status == 200 && !document.body.contains("elsewhere.example"), "{}", document.status);
    assert_eq!(served.ask("GET", "/api/v1/status", "", posing, b"").status, 401);
}

/// A request that says two things about its length is two requests to somebody: it is refused. What is packed is not unpacked.
#[test]
fn a_body_that_is_not_what_it_says_is_refused() {
    let (_lab, core) = lab();
    let served = Served::start(&core, ApiLimits { arrival: Duration::from_millis(200), ..ApiLimits::default() });
    let post = |headers: &str, body: &[u8]| {
        let head =
            format!("POST /api/v1/suppressions HTTP/1.1\r\nhost: l\r\nconnection: close\r\nauthorization: Bearer {OWNER}\r\n{headers}\r\n");
        Answer::read(served.send(&head, body)).status
    };
    assert_eq!(post("content-length: 2\r\ncontent-length: 3\r\n", b"{}}"), 400);
    for headers in ["transfer-encoding: chunked\r\n", "content-length: 9\r\ntransfer-encoding: chunked\r\n"] {
        let status = post(headers, b"zz\r\n{}\r\n0\r\n\r\n");
        assert!((400..500).contains(&status), "a chunk of no length: {status}");
    }
    assert_eq!(post("content-length: 100\r\n", b"{}"), 408, "more is announced than comes");
    let bomb = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03";
    let packed = post(&format!("content-encoding: gzip\r\ncontent-length: {}\r\n", bomb.len()), bomb);
    assert!((400..500).contains(&packed), "{packed}");
}

#[test]
fn only_so_much_is_worked_on_at_once_and_for_so_long() {
    let (_lab, core) = lab();
    let served = Served::start(&core, ApiLimits { at_once: 2, ..ApiLimits::default() });
    let head = format!("POST /api/v1/vex?name=x HTTP/1.1\r\nhost: l\r\nauthorization: Bearer {OWNER}\r\ncontent-length: 9\r\n\r\n{{");
    let waiting: Vec<TcpStream> = (0..2).map(|_| served.send(&head, b"")).collect();
    let refused = lestrade_testkit::until("both are under way", PATIENCE, || {
        let refused = served.get("/rules", OWNER);
        (refused.status == 503).then_some(refused)
    });
    assert!(refused.unwrap().head.contains("retry-after: 1"));
    drop(waiting);
    lestrade_testkit::until("there is room again", PATIENCE, || (served.get("/rules", OWNER).status == 200).then_some(())).unwrap();

    let impatient = Served::start(&core, ApiLimits { patience: Duration::from_millis(100), ..ApiLimits::default() });
    let busy = core.store();
    let refused = impatient.get("/events", OWNER);
    drop(busy);
    assert!(refused.status == 503 && refused.body.contains("too long"), "{} {}", refused.status, refused.body);
}

/// The document and what is served come from one table; what the document promises of a route is so.
#[test]
fn the_document_tells_of_the_routes_that_are_served() {
    let (_lab, core) = lab();
    let served = Served::new(&core);
    let document = served.get("/openapi.json", "VIEWER.secret").json();
    assert_eq!(document, openapi());
    let mut ids = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let filled = path.replace("{name}", "x").replace("{id}", "x");
        for (method, operation) in item.as_object().unwrap() {
            ids.push(operation["operationId"].as_str().unwrap());
            assert!(operation["summary"].as_str().unwrap().ends_with('.'), "{method} {path} says what it is for");
            if path == "/events/stream" {
                continue;
            }
            let method = method.to_uppercase();
            let asked = |token: &str, query: &str| served.ask(&method, &format!("/api/v1{filled}{query}"), token, "", b"").status;
            assert_eq!(asked("nobody", ""), 401, "{method} {path}");
            assert_eq!(asked(OWNER, "?wrong=x"), 400, "{method} {path}");
            let status = asked(OWNER, "");
            assert!(operation["responses"][status.to_string()].is_object(), "{method} {path} answers {status}");
            let role = Role::named(operation["x-role"].as_str().unwrap()).unwrap();
            for (token, has) in [("VIEWER.secret", Role::Viewer), ("TRIAGER.secret", Role::Triager)] {
                assert_eq!(asked(token, "") == 403, has < role, "{method} {path} as {token}");
            }
            assert_eq!(asked("MEMBER.secret", "") == 403, operation["x-whole-server"] == true, "{method} {path}");
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert!(ids.len() == count && count > 25, "{ids:?}");
}

/// An estate with two vulnerable packages, one of which has a fix, in three images.
fn estate() -> (Lab, Arc<Core>) {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    lab.publish(record("CVE-2024-2", "left-pad", "2.10.0"));
    let mut unfixed = record("CVE-2024-3", "is-odd", "0");
    unfixed["affected"][0]["ranges"][0]["events"] = json!([{"introduced": "0"}]);
    lab.publish(unfixed);
    let core = lab.open();
    for (image, version) in [("image-a", "1.0.0"), ("image-b", "1.0.0"), ("image-c", "2.9.0")] {
        core.observe(observation(image, &[("left-pad", version), ("is-odd", "1.0.0")])).unwrap();
    }
    (lab, core)
}

#[test]
fn fixes_are_told_by_the_risk_that_they_remove() {
    let (_lab, core) = estate();
    let served = Served::new(&core);
    let fixes = |query: &str, token: &str| served.get(&format!("/fixes{query}"), token).json();
    let risk = |status: &str| -> f64 {
        let all = served.get(&format!("/findings?status={status}&limit=100"), OWNER).json();
        let of = all["findings"].as_array().unwrap().iter().filter(|finding| finding["vulnerability"] != "CVE-2024-3");
        of.map(|finding| finding["risk"].as_f64().unwrap()).sum()
    };
    let all = fixes("", OWNER);
    assert_eq!(all["total"], 1, "what has no fix is no upgrade");
    let fix = &all["fixes"][0];
    let versions = json!([{"name": "left-pad", "version": "1.0.0"}, {"name": "left-pad", "version": "2.9.0"}]);
    assert_eq!(
        (&fix["package"], &fix["installed"], &fix["to"]),
        (&json!("left-pad"), &versions, &json!("2.10.0")),
        "the later, not the longer"
    );
    assert_eq!((&fix["resources"], &fix["findings"], &fix["closes"]), (&json!(3), &json!(5), &json!(["CVE-2024-1", "CVE-2024-2"])));
    assert_eq!(fix["command"], "npm install left-pad@2.10.0");
    assert!((fix["risk"].as_f64().unwrap() - risk("active")).abs() < 0.5, "{} and {}", fix["risk"], risk("active"));
    assert_eq!(fixes("?vulnerability=CVE-2024-1", OWNER)["fixes"][0]["findings"], 2);
    assert_eq!(fixes("?severity=low", OWNER)["total"], 0);
    assert_eq!(fixes("", "MEMBER.secret")["total"], 0, "of no other account");

    // What is suppressed is not counted.
    let rule = json!({"name": "r", "reason": "because", "owner": "ann", "expires": "2999-01-01T00:00:00Z",
        "criteria": {"vulnerabilityId": [{"comparison": "EQUALS", "value": "CVE-2024-2"}],
            "resourceId": [{"comparison": "EQUALS", "value": "image-c"}]}});
    assert_eq!(served.ask("POST", "/api/v1/suppressions", OWNER, "", rule.to_string().as_bytes()).status, 200);
    let fix = &fixes("", OWNER)["fixes"][0];
    assert_eq!((&fix["resources"], &fix["findings"]), (&json!(2), &json!(4)));
    assert_eq!(fix["installed"], json!([{"name": "left-pad", "version": "1.0.0"}]));
    assert!((fix["risk"].as_f64().unwrap() - risk("active")).abs() < 0.5);
}

#[test]
fn a_finding_is_explained() {
    let (_lab, core) = estate();
    let served = Served::new(&core);
    let finding = served.get("/findings?resource=image-c&vulnerability=CVE-2024-2", OWNER).json()["findings"][0].clone();
    for id in [finding["id"].as_str().unwrap(), finding["arn"].as_str().unwrap()] {
        let explained = served.get(&format!("/findings/{id}/explain"), OWNER).json();
        assert_eq!(explained["severity"]["is"], "critical");
        assert_eq!(explained["severity"]["scores"][0]["decides"], true);
        let said = &explained["matches"][0]["because"][0];
        assert!(said["advisory"] == "CVE-2024-2" && said["says"].as_str().unwrap().contains("before 2.10.0"), "{said}");
        assert_eq!(explained["matches"][0]["places"][0]["path"], "app/left-pad");
        assert_eq!(explained["fixes"][0]["command"], "npm install left-pad@2.10.0");
        let steps = explained["risk"]["waterfall"].as_array().unwrap();
        let factors: Vec<&str> = steps.iter().map(|step| step["factor"].as_str().unwrap()).collect();
        assert_eq!(factors, ["impact", "likelihood", "exposure", "weight"]);
        assert_eq!(steps[3]["leaves"], explained["risk"]["value"], "what is left is the risk");
        assert_eq!(explained["risk"]["value"], finding["risk"]);
    }
    assert_eq!(served.get("/findings/arn:aws:inspector2:eu-west-1:1:finding/0/explain", OWNER).status, 404);
}

#[test]
fn findings_are_asked_for_by_why_they_have_no_fix() {
    let (_lab, core) = estate();
    let served = Served::new(&core);
    let count = |query: &str| served.get(&format!("/findings?{query}"), OWNER).json()["findings"].as_array().unwrap().len();
    assert_eq!(count("unfixed=open"), 3);
    assert_eq!(count("unfixed=open,will-not-fix&resource=image-a"), 1);
    assert_eq!(count("unfixed=deferred,will-not-fix,end-of-life,under-investigation"), 0);
    assert_eq!(served.get("/findings?unfixed=fixed", OWNER).status, 400);
}

#[test]
fn a_resource_tells_how_it_is_reached() {
    let lab = Lab::new();
    let core = lab.open();
    core.observe(super::exposure::instance()).unwrap();
    core.describe_network(&scope(), &super::exposure::network(&[(22, 22)]), &[]).unwrap();
    core.observe(observation("image-a", &[])).unwrap();
    let served = Served::new(&core);
    let reached = served.get("/resources/i-1/exposure", "VIEWER.secret").json();
    assert_eq!(reached["exposure"], "internet");
    let door = &reached["doors"][0];
    assert_eq!((&door["from"], &door["over"], &door["firstPort"]), (&json!("internet"), &json!("igw-1"), &json!(22)));
    let path = &reached["paths"][0];
    assert!(path["title"].as_str().unwrap().contains("22") && path["path"].as_array().unwrap().len() > 2, "{path}");
    assert_eq!(reached["listening"], Value::Null, "nobody tells");
    assert_eq!(reached["coverage"][0]["scan"], "network");
    assert_eq!(served.get("/resources/image-a/exposure", OWNER).json()["exposure"], "unknown");
    assert_eq!(served.get("/resources/nothing/exposure", OWNER).status, 404);
    assert_eq!(served.get("/resources/i-1/exposure", "MEMBER.secret").status, 404);
}
