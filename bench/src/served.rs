//! The same behind the store: from a generation that was published to findings that are committed and can be asked for.

use crate::Options;
use crate::estate::{COMMAND, advisory};
use crate::fleet::{Fleet, Random, component, versions_of};
use crate::table::{Table, megabytes, percentile, time};
use anyhow::{Context, Result, ensure};
use lestrade_advisories::Library;
use lestrade_matching::{Manifest, build_index};
use lestrade_model::{
    Advisory, Clock, Component, Coverage, CoverageReason, Inventory, Manager, Occurrence, Resource, ResourceDetails, ResourceFacts,
    ResourceKey, ResourceKind, ScanKind, Scope, Timestamp,
};
use lestrade_server::{Core, Observation};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How many advisories are published one after another.
const PUBLISHED: usize = 100;
/// How many stand in the index before.
const STANDING: usize = 5_000;

/// A clock that stands still: a benchmark's history has no need of time.
pub(crate) struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }
}

/// What is installed in a resource of a fleet, each package at a place of its own.
pub(crate) fn installed(fleet: &Fleet, resource: u32) -> Vec<(Component, Occurrence)> {
    let occurrence = |package: &(u32, u32)| Occurrence {
        component: 0,
        path: format!("app/{}", package.0),
        layer: None,
        arch: None,
        manager: Manager::Other,
    };
    fleet.packages(resource).iter().map(|package| (component(*package), occurrence(package))).collect()
}

/// A host that was seen with these components.
pub(crate) fn host(scope: &Scope, number: u32, found: Vec<(Component, Occurrence)>) -> Observation {
    Observation {
        resource: Resource {
            key: ResourceKey { scope: scope.clone(), kind: ResourceKind::Host, id: format!("host-{number}") },
            details: ResourceDetails::None,
            facts: ResourceFacts::default(),
            tags: vec![],
        },
        inventory: Some(Inventory::assemble(None, found, vec![])),
        coverage: vec![Coverage { kind: ScanKind::Package, reason: CoverageReason::Successful, detail: String::new(), last_scanned: None }],
    }
}

/// How many changes come in a second, and for how long.
const CHANGES: u32 = 2_000;
const SECONDS: u32 = 10;
/// How many bring them side by side.
const BRINGING: u32 = 64;

/// Changes of hosts that have nothing to do with each other, each due at its own time: how many a second there were, and how long
/// each took from when it was due until it was committed.
fn independent_changes(core: &Core, scope: &Scope, fleet: &Fleet) -> Result<(f64, Duration, Duration)> {
    let next = AtomicU32::new(0);
    let times: Mutex<Vec<Duration>> = Mutex::default();
    let started = Instant::now();
    std::thread::scope(|threads| -> Result<()> {
        let bringing: Vec<_> = (0..BRINGING)
            .map(|_| {
                threads.spawn(|| -> Result<()> {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= CHANGES * SECONDS {
                            return Ok(());
                        }
                        // A small host whose one package moves to another version.
                        let package = (number % 5_000, number / 5_000);
                        let occurrence =
                            Occurrence { component: 0, path: "app/own".into(), layer: None, arch: None, manager: Manager::Other };
                        let seen = host(scope, fleet.resources + number % 1_000, vec![(component(package), occurrence)]);
                        let due = started + Duration::from_secs_f64(f64::from(number) / f64::from(CHANGES));
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                        core.observe(seen)?;
                        if let Ok(mut times) = times.lock() {
                            times.push(due.elapsed());
                        }
                    }
                })
            })
            .collect();
        for one in bringing {
            one.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
        }
        Ok(())
    })?;
    let rate = f64::from(CHANGES * SECONDS) / started.elapsed().as_secs_f64();
    let times = times.into_inner().unwrap_or_default();
    Ok((rate, percentile(&times, 0.5), percentile(&times, 0.99)))
}

/// The table of the core with SQLite.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let library = Library::new(folder.path().join("db"));
    let fleet = Fleet::new(options.served);
    let mut random = Random(11);
    let mut fresh = |number: usize| {
        let name = fleet.draw_name(&mut random);
        let fixed = 1 + random.below(versions_of(name));
        advisory(number, name, fixed)
    };
    let mut records: Vec<Advisory> = (0..STANDING).map(&mut fresh).collect();
    let publish = |records: &[Advisory]| -> Result<()> {
        library.publish(&build_index(records.iter().cloned(), Manifest::default())?)?;
        Ok(())
    };
    publish(&records)?;
    let state = folder.path().join("state.db");
    let open = || -> Result<Core> {
        let store = lestrade_store::open(state.to_str().context("a path in UTF-8")?)?;
        Ok(Core::open(store, Library::new(folder.path().join("db")), Arc::new(Still), [7; 32])?)
    };
    let core = open()?;
    let scope = Scope::new("bench", "000000000000", "local")?;
    let started = Instant::now();
    for resource in 0..fleet.resources {
        core.observe(host(&scope, resource, installed(&fleet, resource)))?;
    }
    let loading = started.elapsed();

    let title = format!("Behind the store (SQLite, every commit synced): {} resources, {STANDING} advisories standing", fleet.resources);
    let table = Table::new(&title, COMMAND, &["what", "measured", "target"]);
    let rate = format!("{} ({:.0} a second, each its own commit)", time(loading), f64::from(fleet.resources) / loading.as_secs_f64());
    table.row(&["observing all resources", &rate, "–"]);
    let mut times = Vec::new();
    for number in 0..PUBLISHED {
        records.push(fresh(STANDING + number));
        publish(&records)?;
        let started = Instant::now();
        ensure!(core.refresh_intelligence()?, "a new generation is applied");
        times.push(started.elapsed());
    }
    table.row(&["one advisory more in a new generation, to committed and queryable: p50", &time(percentile(&times, 0.5)), "–"]);
    table.row(&["p99", &time(percentile(&times, 0.99)), "< 100 ms (at 1 M resources)"]);
    let (rate, p50, p99) = independent_changes(&core, &scope, &fleet)?;
    table.row(&[&format!("independent changes, {rate:.0} a second in groups, each synced: p50"), &time(p50), "–"]);
    table.row(&["p99", &time(p99), "< 50 ms at 2,000 a second"]);
    drop(core);
    let started = Instant::now();
    drop(open()?);
    table.row(&["start from the store (rebuild)", &time(started.elapsed()), "< 90 s (at 1 M resources)"]);
    let bytes = std::fs::metadata(&state)?.len();
    table.row(&["state on disk", &megabytes(bytes), "–"]);
    Ok(())
}
