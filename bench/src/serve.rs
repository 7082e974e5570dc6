//! A large estate behind `lestrade serve`: how long it takes to start, what it weighs, and how fast it answers `ListFindings` over
//! HTTP with signatures, while intelligence keeps changing.

use crate::estate::advisory;
use crate::fleet::{Fleet, NAMES, Random, versions_of};
use crate::served::installed;
use crate::table::{Table, digits, megabytes, percentile, time};
use crate::{Options, workspace};
use anyhow::{Context, Result, ensure};
use lestrade_advisories::Library;
use lestrade_matching::{Manifest, build_index_with};
use lestrade_model::{
    Advisory, Clock, Coverage, CoverageReason, Cvss, Exploitation, ImageDetails, InstanceDetails, Inventory, Resource, ResourceDetails,
    ResourceFacts, ResourceKey, ResourceKind, ScanKind, Scope, Score, ScoreSource, Timestamp,
};
use lestrade_server::{Core, Observation};
use lestrade_wire::HttpRequest;
use lestrade_wire::sigv4::{Credentials, SecretKey, sign};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const COMMAND: &str = "cargo run --release -p lestrade-bench -- serve --resources 1000000";
const COMMAND_UNSHARED: &str = "cargo run --release -p lestrade-bench -- serve --unshared true --resources 1000000";
/// Advisories drawn evenly over all packages, and by popularity.
const EVEN: usize = 20_000;
const POPULAR: usize = 500;
/// How many observations share a transaction while the estate is made.
const TOGETHER: u32 = 500;
/// Requests a second, and how many are sent.
const RATE: u32 = 100;
const REQUESTS: usize = 3_000;
/// How often a generation with one advisory more is published meanwhile.
const PUBLISHING: Duration = Duration::from_secs(3);

/// A clock that goes by a second with each transaction, so that the estate has a history.
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

const VECTORS: [&str; 5] = [
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
    "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H",
    "CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:L/A:N",
    "CVSS:3.1/AV:L/AC:H/PR:L/UI:R/S:U/C:N/I:L/A:N",
];

fn scored(number: usize, name: u32, fixed: u32) -> Result<Advisory> {
    let cvss = Cvss::parse(VECTORS[number % VECTORS.len()])?;
    Ok(Advisory { scores: vec![Score { cvss, source: ScoreSource("nvd".into()) }], ..advisory(number, name, fixed) })
}

/// The advisories of the estate: many about anything, some about what is popular.
fn advisories(fleet: &Fleet, more: usize) -> Result<Vec<Advisory>> {
    let mut random = Random(23);
    let name = |number: usize, random: &mut Random| if number < EVEN { random.below(NAMES) } else { fleet.draw_name(random) };
    (0..EVEN + POPULAR + more)
        .map(|number| {
            let name = name(number, &mut random);
            scored(number, name, 1 + random.below(versions_of(name)))
        })
        .collect()
}

/// A generation of these advisories, as it is published.
fn generation(number: u64, advisories: Vec<Advisory>) -> Result<Vec<u8>> {
    let mut random = Random(5);
    let exploitation: BTreeMap<String, Exploitation> = advisories
        .iter()
        .map(|advisory| {
            let epss = random.below(10_000) as f32 / 10_000.0;
            (advisory.key.id.clone(), Exploitation { epss: Some(epss), ..Exploitation::default() })
        })
        .collect();
    Ok(build_index_with(advisories, &exploitation, Manifest { generation: number, ..Manifest::default() })?)
}

fn observation(scope: &Scope, fleet: &Fleet, number: u32) -> Observation {
    let (kind, id, details) = if number.is_multiple_of(2) {
        let image = ImageDetails {
            registry: "000000000000".into(),
            repository: format!("team-{}/app-{}", number % 40, number / 12 % 5_000),
            digest: format!("sha256:{number:064x}"),
            architecture: "amd64".into(),
            pushed_at: Timestamp::from_millis(1_790_000_000_000 + i64::from(number) * 1000),
            ..ImageDetails::default()
        };
        (
            ResourceKind::Image,
            format!("arn:aws:ecr:us-east-1:000000000000:repository/app/sha256:{number:064x}"),
            ResourceDetails::Image(image),
        )
    } else {
        let instance = InstanceDetails { image: format!("ami-{:08x}", number / 100), ..InstanceDetails::default() };
        (ResourceKind::Instance, format!("i-{number:017x}"), ResourceDetails::Instance(instance))
    };
    Observation {
        resource: Resource {
            key: ResourceKey { scope: scope.clone(), kind, id },
            details,
            facts: ResourceFacts::default(),
            tags: vec![
                ("team".into(), format!("team-{}", number % 40)),
                ("env".into(), if number.is_multiple_of(5) { "prod" } else { "dev" }.into()),
            ],
        },
        inventory: Some(Inventory::assemble(None, installed(fleet, number), vec![])),
        coverage: vec![Coverage {
            kind: ScanKind::Package,
            reason: CoverageReason::Successful,
            detail: String::new(),
            last_scanned: Some(Timestamp::from_millis(1_795_000_000_000 + i64::from(number % 86_400) * 1000)),
        }],
    }
}

/// The state of an estate, made once for each size.
fn prepared(options: &Options) -> Result<PathBuf> {
    let sort = if options.unshared { "-unshared" } else { "" };
    let state = options.folder.join(format!("serve-{}{sort}", options.resources));
    if state.join("made").exists() {
        return Ok(state);
    }
    let _ = std::fs::remove_dir_all(&state);
    std::fs::create_dir_all(&state)?;
    let fleet = Fleet::new(options.resources);
    let fleet = if options.unshared { fleet.unshared() } else { fleet };
    Library::new(state.join("db")).publish(&generation(0, advisories(&fleet, 0)?)?)?;
    let clock = Arc::new(Ticking(AtomicI64::new(1_795_000_000_000)));
    let store = lestrade_store::open(state.join("state.db").to_str().context("a path in UTF-8")?)?;
    let core = Core::open(store, Library::new(state.join("db")), Arc::clone(&clock) as Arc<dyn Clock>, [7; 32])?;
    let scope = Scope::new("aws", "000000000000", "us-east-1")?;
    let started = Instant::now();
    for first in (0..options.resources).step_by(TOGETHER as usize) {
        let these = first..(first + TOGETHER).min(options.resources);
        core.observe_all(these.map(|number| observation(&scope, &fleet, number)).collect())?;
        clock.0.fetch_add(1000, Ordering::Relaxed);
        if first % 50_000 == 0 {
            eprintln!("{first} resources observed, {}", time(started.elapsed()));
        }
    }
    drop(core);
    std::fs::write(state.join("made"), time(started.elapsed()))?;
    Ok(state)
}

/// A server that runs on a state.
struct Served {
    child: Child,
    address: String,
    credentials: Credentials,
    started: Duration,
}

impl Served {
    fn start(state: &Path) -> Result<Self> {
        let program = workspace().join("target/release/lestrade");
        ensure!(program.exists(), "build it first: cargo build --release -p lestrade-cli");
        let started = Instant::now();
        let mut command = Command::new(program);
        command.env_clear().env("HOME", state).env("AWS_EC2_METADATA_DISABLED", "true").env("LESTRADE_LOG", "warn").arg("serve");
        let state_dir = format!("state-dir={}", state.display());
        let settings = [state_dir.as_str(), "listen=127.0.0.1:0", "auto-update=false", "aws=off", "watch-host=false"];
        settings.iter().for_each(|setting| {
            command.args(["--set", setting]);
        });
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("its standard output")?).lines();
        let first = lines.next().context("it says where it listens")??;
        let started = started.elapsed();
        // Whatever else it says is not kept from it.
        std::thread::spawn(move || lines.for_each(drop));
        let address = first.rsplit_once("http://").context("an address")?.1.trim().to_owned();
        let text = std::fs::read_to_string(state.join("aws-credentials"))?;
        let value =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix('=')).map(|v| v.trim().to_owned());
        let credentials = Credentials {
            access_key: value("aws_access_key_id").context("an access key")?,
            secret: SecretKey::new(value("aws_secret_access_key").context("its secret")?),
            session_token: None,
        };
        Ok(Self { child, address, credentials, started })
    }

    /// What says which generation is in force.
    fn in_force(&self) -> Result<Value> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: lestrade\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").context("an answer")?.1;
        Ok(serde_json::from_str::<Value>(body)?["intelligence"].clone())
    }

    fn memory(&self) -> (u64, u64) {
        crate::measure::memory_of(&self.child.id().to_string())
    }

    /// Asks, over a connection that is kept: the time, and the answer.
    fn ask(&self, connection: &mut Option<BufReader<TcpStream>>, path: &str, sent: &Value) -> Result<(Duration, Value)> {
        let mut request = HttpRequest {
            method: "POST".into(),
            path: path.into(),
            query: String::new(),
            headers: vec![("host".into(), self.address.clone()), ("content-type".into(), "application/json".into())],
            body: serde_json::to_vec(sent)?,
        };
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        sign(&mut request, &self.credentials, "us-east-1", "inspector2", Timestamp::from_millis(i64::try_from(now.as_millis())?));
        let mut head = format!("POST {path} HTTP/1.1\r\ncontent-length: {}\r\n", request.body.len());
        request.headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        head.push_str("\r\n");
        let mut stream = match connection.take() {
            Some(stream) => stream,
            None => BufReader::new(TcpStream::connect(&self.address)?),
        };
        let started = Instant::now();
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&request.body);
        stream.get_mut().write_all(&bytes)?;
        let mut length = 0;
        let mut status = String::new();
        stream.read_line(&mut status)?;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let elapsed = started.elapsed();
        *connection = Some(stream);
        if status.contains(" 429 ") {
            // The server's own limit, while pages are turned as fast as they come.
            std::thread::sleep(Duration::from_millis(200));
            return self.ask(connection, path, sent);
        }
        ensure!(status.contains(" 200 "), "{path}: {status}{}", String::from_utf8_lossy(&body));
        Ok((elapsed, serde_json::from_slice(&body)?))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn equals(value: &str) -> Value {
    json!([{"comparison": "EQUALS", "value": value}])
}

/// The published mix of criteria.
fn criteria() -> Vec<(&'static str, Value)> {
    vec![
        ("none", json!({})),
        ("active", json!({"findingStatus": equals("ACTIVE")})),
        (
            "critical or high",
            json!({"severity": [{"comparison": "EQUALS", "value": "CRITICAL"}, {"comparison": "EQUALS", "value": "HIGH"}]}),
        ),
        ("one resource", json!({"resourceId": equals("i-00000000000000fff")})),
        ("one vulnerability", json!({"vulnerabilityId": equals("CVE-2026-000123")})),
        ("a team's", json!({"resourceTags": [{"comparison": "EQUALS", "key": "team", "value": "team-7"}]})),
        ("images of a repository", json!({"ecrImageRepositoryName": equals("team-8/app-404")})),
        ("a package", json!({"vulnerablePackages": [{"name": {"comparison": "EQUALS", "value": "libsystem12"}}]})),
        (
            "score 9 and fixable",
            json!({"inspectorScore": [{"lowerInclusive": 9.0, "upperInclusive": 10.0}], "fixAvailable": equals("YES")}),
        ),
        ("first seen lately", json!({"firstObservedAt": [{"startInclusive": 1_796_900_000}]})),
    ]
}

const SORTS: [&str; 17] = [
    "AWS_ACCOUNT_ID",
    "FINDING_TYPE",
    "SEVERITY",
    "FIRST_OBSERVED_AT",
    "LAST_OBSERVED_AT",
    "FINDING_STATUS",
    "RESOURCE_TYPE",
    "ECR_IMAGE_PUSHED_AT",
    "ECR_IMAGE_REPOSITORY_NAME",
    "ECR_IMAGE_REGISTRY",
    "NETWORK_PROTOCOL",
    "COMPONENT_TYPE",
    "VULNERABILITY_ID",
    "VULNERABILITY_SOURCE",
    "INSPECTOR_SCORE",
    "VENDOR_SEVERITY",
    "EPSS_SCORE",
];

/// The table of a served estate.
pub(crate) fn run(options: &Options) -> Result<()> {
    let state = prepared(options)?;
    let made = std::fs::read_to_string(state.join("made"))?;
    let served = Served::start(&state)?;
    let (resident, _) = served.memory();
    let mut connection = None;
    let (_, counts) = served.ask(&mut connection, "/findings/aggregation/list", &json!({"aggregationType": "ACCOUNT"}))?;
    let all = counts["responses"][0]["accountAggregation"]["severityCounts"]["all"].as_f64().unwrap_or_default();
    let (sort, room) = if options.unshared { (", no two alike,", "<= 8 GiB") } else { ("", "<= 3 GiB") };
    let title = format!("`lestrade serve` with {} resources{sort} and {} M findings", options.resources, digits(all / 1e6));
    let command = if options.unshared { COMMAND_UNSHARED } else { COMMAND };
    let table = Table::new(&title, command, &["what", "measured", "target (at 1 M resources)"]);
    table.row(&[&format!("the estate made, {TOGETHER} observations a transaction"), &made, "–"]);
    table.row(&["start, until it listens (rebuilt from the store)", &time(served.started), "< 90 s; < 20 s from a snapshot"]);
    table.row(&["resident after the start", &megabytes(resident), "–"]);

    let mut slowest = (Duration::ZERO, String::new());
    let mut first = Vec::new();
    for (name, criteria) in criteria() {
        for sort in SORTS {
            let body = json!({"filterCriteria": criteria, "sortCriteria": {"field": sort, "sortOrder": "DESC"}, "maxResults": 100});
            let (elapsed, _) = served.ask(&mut connection, "/findings/list", &body)?;
            if elapsed > slowest.0 {
                slowest = (elapsed, format!("{name}, by {sort}"));
            }
            first.push(elapsed);
        }
    }
    table.row(&[&format!("every criterion and sort once, nothing kept yet: slowest ({})", slowest.1), &time(slowest.0), "< 1 s"]);
    counted(&served, &mut connection, &table)?;
    loaded(options, &served, &state, &table)?;
    let (resident, peak) = served.memory();
    table.row(&["resident after that; peak", &format!("{}; {}", megabytes(resident), megabytes(peak)), room]);
    drop(served);
    one_more(&state, &table)
}

/// One advisory more at a time, on the same state: from a published generation to committed and queryable.
fn one_more(state: &Path, table: &Table) -> Result<()> {
    let fleet = Fleet::new(1);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let clock = Arc::new(Ticking(AtomicI64::new(i64::try_from(now)? * 1000)));
    let library = Library::new(state.join("db"));
    let store = lestrade_store::open(state.join("state.db").to_str().context("a path in UTF-8")?)?;
    let core = Core::open(store, Library::new(state.join("db")), clock, [7; 32])?;
    let mut records = advisories(&fleet, 0)?;
    library.publish(&generation(now, records.clone())?)?;
    core.refresh_intelligence()?;
    let mut random = Random(now);
    for (drawn, count, target) in [("evenly", 100, "< 100 ms"), ("by popularity", 50, "–")] {
        let mut times = Vec::new();
        for made in 0..count {
            let name = if drawn == "evenly" { random.below(NAMES) } else { fleet.draw_name(&mut random) };
            // Numbers that hardly any day before gave to anything else.
            let number = 100_000 * (1 + usize::from(drawn == "evenly")) + usize::try_from(now % 1000)? * 100 + made;
            records.push(scored(number, name, 1 + random.below(versions_of(name)))?);
            library.publish(&generation(now + records.len() as u64, records.clone())?)?;
            let started = Instant::now();
            ensure!(core.refresh_intelligence()?, "a new generation is applied");
            times.push(started.elapsed());
        }
        let what = format!("one advisory more in a generation of {EVEN}, {count} times, drawn {drawn}, to committed and queryable");
        table.row(&[&format!("{what}: p50"), &time(percentile(&times, 0.5)), "–"]);
        table.row(&["p99", &time(percentile(&times, 0.99)), target]);
    }
    Ok(())
}

/// Counts, unfiltered and filtered.
fn counted(served: &Served, connection: &mut Option<BufReader<TcpStream>>, table: &Table) -> Result<()> {
    let mut timed = |body: Value| -> Result<Duration> {
        let mut times = Vec::new();
        for _ in 0..5 {
            times.push(served.ask(connection, "/findings/aggregation/list", &body)?.0);
        }
        Ok(percentile(&times, 0.5))
    };
    table.row(&["counts by severity, unfiltered", &time(timed(json!({"aggregationType": "ACCOUNT"}))?), "< 50 ms"]);
    for (what, kind, request) in [
        ("repositories, unfiltered", "REPOSITORY", json!({"repositoryAggregation": {}})),
        (
            "instances, of one team",
            "AWS_EC2_INSTANCE",
            json!({"ec2InstanceAggregation": {"instanceTags": [{"comparison": "EQUALS", "key": "team", "value": "team-7"}]}}),
        ),
        ("packages", "PACKAGE", json!({"packageAggregation": {}})),
        ("titles", "TITLE", json!({"titleAggregation": {}})),
    ] {
        table.row(&[
            &format!("aggregate: {what}"),
            &time(timed(json!({"aggregationType": kind, "aggregationRequest": request}))?),
            "< 1 s",
        ]);
    }
    Ok(())
}

/// The mix at a fixed rate, pages 1, 10 and 1000, while intelligence changes.
fn loaded(options: &Options, served: &Served, state: &Path, table: &Table) -> Result<()> {
    // Deep pages are reached once; their tokens are used again and again.
    let mut queries = Vec::new();
    let mut connection = None;
    for (number, (name, criteria)) in criteria().into_iter().enumerate() {
        for (place, sort) in SORTS.iter().enumerate() {
            let mut body = json!({"filterCriteria": criteria, "sortCriteria": {"field": sort, "sortOrder": "DESC"}, "maxResults": 10});
            queries.push((format!("{name} by {sort}"), body.clone()));
            // Page 1000 of every criterion once, page 10 of every query.
            let deepest = if place == number { 1000 } else { 10 };
            for page in 2..=deepest {
                let (_, answer) = served.ask(&mut connection, "/findings/list", &body)?;
                let Some(token) = answer["nextToken"].as_str() else { break };
                body["nextToken"] = token.into();
                if page == 10 || page == 1000 {
                    queries.push((format!("{name} by {sort}, page {page}"), body.clone()));
                }
            }
        }
    }
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let times: Mutex<Vec<(Duration, usize, Instant)>> = Mutex::default();
    let fleet = Fleet::new(options.resources.min(10_000));
    // Made before: that somebody else makes them meanwhile would be the client's work, on the server's processors.
    let many = (REQUESTS as u64 / u64::from(RATE) / PUBLISHING.as_secs() + 5) as usize;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let generations = (1..=many).map(|more| generation(now + more as u64, advisories(&fleet, more)?)).collect::<Result<Vec<_>>>()?;
    let library = Library::new(state.join("db"));
    // The first is no day's news: all that is popular is about something else. It is measured by itself.
    let [first, daily @ ..] = &generations[..] else { return Ok(()) };
    let begun = Instant::now();
    let before = served.in_force()?;
    library.publish(first)?;
    while served.in_force()? == before {
        std::thread::sleep(Duration::from_millis(20));
    }
    let what = format!("a generation in which {POPULAR} popular advisories are about other packages, to in force and queryable");
    table.row(&[&what, &time(begun.elapsed()), "–"]);
    let started = Instant::now();
    std::thread::scope(|scope| -> Result<()> {
        let publishing = scope.spawn(|| -> Result<usize> {
            let mut published = 0;
            for generation in daily {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                published += 1;
                eprintln!("published after {:.2} s", started.elapsed().as_secs_f64());
                library.publish(generation)?;
                let until = Instant::now() + PUBLISHING;
                while Instant::now() < until && !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
            Ok(published)
        });
        let askers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let mut connection = None;
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= REQUESTS {
                            return Ok(());
                        }
                        // A request is due at its own time, whether the one before it was answered or not: waiting counts.
                        let due = started + Duration::from_secs_f64(number as f64 / f64::from(RATE));
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                        let query = number * 7919 % queries.len();
                        served.ask(&mut connection, "/findings/list", &queries[query].1)?;
                        if let Ok(mut times) = times.lock() {
                            times.push((due.elapsed(), query, due));
                        }
                    }
                })
            })
            .collect();
        for asker in askers {
            asker.join().map_err(|_| anyhow::anyhow!("an asker panicked"))??;
        }
        stop.store(true, Ordering::Relaxed);
        let published = publishing.join().map_err(|_| anyhow::anyhow!("the publisher panicked"))??;
        table.row(&[&format!("generations published meanwhile, of {EVEN} advisories each"), &published.to_string(), "–"]);
        Ok(())
    })?;
    let times = times.into_inner().unwrap_or_default();
    let only: Vec<Duration> = times.iter().map(|(elapsed, ..)| *elapsed).collect();
    let what = format!(
        "ListFindings over HTTP with SigV4, {RATE} a second, {} queries (10 criteria x 17 sorts, pages 1, 10 and 1000)",
        queries.len()
    );
    table.row(&[&format!("{what}: p50"), &time(percentile(&only, 0.5)), "–"]);
    table.row(&["p99", &time(percentile(&only, 0.99)), "< 50 ms"]);
    let slowest = times.iter().max_by_key(|(elapsed, ..)| *elapsed).context("there were requests")?;
    table.row(&[&format!("slowest ({})", queries[slowest.1].0), &time(slowest.0), "< 1 s"]);
    let mut worst = times;
    worst.sort_by_key(|(elapsed, ..)| std::cmp::Reverse(*elapsed));
    for (elapsed, query, due) in worst.iter().take(40) {
        eprintln!("{} after {:.2} s: {}", time(*elapsed), due.duration_since(started).as_secs_f64(), queries[*query].0);
    }
    Ok(())
}
