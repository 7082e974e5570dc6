//! The day of an outbreak: a library that is everywhere gets six advisories at once, as Log4j did, and every target has its own pace.

use crate::Options;
use crate::fleet::component;
use crate::served::host;
use crate::table::{Table, digits, time};
use anyhow::{Context, Result, ensure};
use lestrade_advisories::{Importer, Library};
use lestrade_events::{
    DigestPolicy, EgressPolicy, ForgetfulNotes, Kinds, LocalSecrets, Message, Rate, Sent, Surroundings, Target, TargetRecord,
};
use lestrade_model::{Clock, Component, Ecosystem, Family, Manager, Occurrence, Scope, Timestamp};
use lestrade_server::{Core, Deliver, Plan, Reconciler};
use serde_json::json;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const COMMAND: &str = "cargo run --release -p lestrade-bench -- outbreak --resources 100000";
const ADVISORIES: usize = 6;

/// A clock that the benchmark moves, so that an hour of a slow target takes no hour.
struct Moved(AtomicI64);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// Notes when the first summary came, and what came of what kind.
#[derive(Clone, Default)]
struct Chat(Arc<Mutex<(Option<Instant>, usize, usize)>>);

impl Target for Chat {
    fn name(&self) -> &str {
        "chat"
    }
    fn deliver(&mut self, messages: &[Message]) -> Vec<Sent> {
        if let Ok(mut taken) = self.0.lock() {
            for message in messages {
                taken.1 += 1;
                if message.event.text("/detail-type") != "Inspector2 Finding" {
                    taken.0.get_or_insert_with(Instant::now);
                    taken.2 += 1;
                }
            }
        }
        vec![Ok(()); messages.len()]
    }
}

fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the kernel says how much is resident")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}

/// The table of an outbreak.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let library = || Library::new(folder.path().join("db"));
    let clock = Arc::new(Moved(AtomicI64::new(1_795_435_200_000)));
    let publish = |numbers: std::ops::Range<usize>, package: &str| -> Result<()> {
        let record = |number| {
            json!({"id": format!("CVE-2021-{}", 44_000 + number), "modified": "2021-12-10T00:00:00Z", "summary": "remote code execution",
                "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"}],
                "affected": [{"package": {"ecosystem": "npm", "name": package}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "99999.0.0"}]}]}]})
        };
        let records: Vec<_> = numbers.map(record).collect();
        let file = folder.path().join("records.json");
        std::fs::write(&file, serde_json::to_vec(&records)?)?;
        let mut importer = match library().open_current() {
            Ok((_, index)) => Importer::on_top_of(&index, clock.now())?,
            Err(_) => Importer::new(clock.now()),
        };
        importer.import(&file)?;
        library().publish(&importer.finish()?.0)?;
        Ok(())
    };
    publish(900..901, "nothing")?;
    let store = lestrade_store::open(folder.path().join("state.db").to_str().context("a path in UTF-8")?)?;
    let core = Arc::new(Core::open(store, library(), clock.clone(), [7; 32])?);
    let scope = Scope::new("aws", "123456789012", "eu-west-1")?;
    let everywhere = Component::new(Ecosystem::of(Family::Npm), "everywhere", "2.14.1");
    for number in 0..options.resources {
        // A thousand images among them all, as fleets are.
        let occurrence = |path: &str| Occurrence { component: 0, path: path.into(), layer: None, arch: None, manager: Manager::Npm };
        let found = vec![(everywhere.clone(), occurrence("app/everywhere")), (component((number % 1_000, 1)), occurrence("app/own"))];
        core.observe(host(&scope, number, found))?;
    }
    let chat = Chat::default();
    let slow = TargetRecord {
        rate: Rate::parse("1/s"),
        digest: Some(DigestPolicy { limit: 20, window: Duration::from_secs(3600) }),
        ..TargetRecord::simple("chat", "chat", serde_json::Map::new())
    };
    let mut told = Deliver::new(core.clone(), Plan::everything(slow), Box::new(chat.clone()), scope.clone())?;
    let lines = folder.path().join("events.jsonl");
    let option = serde_json::Map::from_iter([("path".to_owned(), json!(lines))]);
    let record = TargetRecord::simple("lines", "json-lines", option);
    let notes = Arc::new(ForgetfulNotes::default());
    let surroundings = Surroundings { secrets: Arc::new(LocalSecrets), egress: EgressPolicy::PublicOnly, notes, clock: clock.clone() };
    let target = Kinds::standard().open(&record, &surroundings)?;
    let mut written = Deliver::new(core.clone(), Plan::everything(record), target, scope)?;

    publish(0..ADVISORIES, "everywhere")?;
    let before = resident()?;
    let started = Instant::now();
    ensure!(core.refresh_intelligence()?, "a new generation is applied");
    let applied = started.elapsed();
    told.reconcile()?;
    let summary = chat.0.lock().ok().and_then(|taken| taken.0).context("a summary was told")?.duration_since(started);
    let writing = Instant::now();
    written.reconcile()?;
    let wrote = writing.elapsed();
    let count = std::io::BufRead::lines(std::io::BufReader::new(std::fs::File::open(&lines)?)).count();
    let grown = resident()?.saturating_sub(before);
    // Half an hour of the slow target, second by second.
    let mut most = 0;
    for _ in 0..1_800 {
        let sent = chat.0.lock().map_or(0, |taken| taken.1);
        clock.0.fetch_add(1_000, Ordering::Relaxed);
        told.reconcile()?;
        most = most.max(chat.0.lock().map_or(0, |taken| taken.1) - sent);
    }
    let (findings, summaries) = chat.0.lock().map_or((0, 0), |taken| (taken.1 - taken.2, taken.2));
    let open = ADVISORIES as u64 * u64::from(options.resources);
    let table = Table::new(
        &format!("An outbreak: {open} findings open at once, on {} resources", options.resources),
        COMMAND,
        &["what", "measured", "target"],
    );
    table.row(&["new generation to committed and queryable", &time(applied), "–"]);
    table.row(&["… to the first summary at a target that takes one message a second", &time(summary), "< 1 s"]);
    let rate = format!("{} ({:.0} a second)", digits(count as f64), count as f64 / wrote.as_secs_f64());
    table.row(&["events rendered and written to a file, the cursor kept every 500", &rate, ">= 20,000 a second"]);
    table.row(&["resident memory more than before, with all that delivered", &crate::table::megabytes(grown), "flat"]);
    table.row(&["messages to the slow target in any second, its limit 1", &most.to_string(), "<= 1"]);
    table.row(&[
        "in half an hour: findings sent one by one, its limit 20 for each vulnerability; summaries",
        &format!("{findings}; {summaries}"),
        "<= 120",
    ]);
    Ok(())
}
