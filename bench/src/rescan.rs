//! Bills of materials, scanned again: what a scanner pays for each of them whenever an advisory is published, and what a server pays
//! that watches all of them. The same advisories for both.

use crate::estate::advisory;
use crate::fleet::{Fleet, NAMES, Package, Random, component, named, versions_of};
use crate::measure::{Cost, Invocation};
use crate::peers::Programs;
use crate::served::{Still, host};
use crate::table::{Table, median, megabytes, time};
use crate::{Options, trivy_db};
use anyhow::{Context, Result};
use lestrade_advisories::Library;
use lestrade_matching::{Manifest, build_index};
use lestrade_model::{Advisory, Family, Manager, Occurrence, Scope};
use lestrade_server::Core;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const COMMAND: &str = "cargo run --release -p lestrade-bench -- rescan";
const SBOMS: u32 = 1_000;
const PACKAGES: usize = 500;
const ADVISORIES: usize = 20_000;
/// How many of the bills of materials the scanners are given; the rest would cost the same.
const SCANNED: u32 = 20;
/// How many advisories are published one after another.
const PUBLISHED: usize = 30;

/// The language packages of a bill of materials, one version of each.
fn packages(fleet: &Fleet, number: u32) -> Vec<Package> {
    let mut versions = BTreeMap::new();
    for resource in (number..).step_by(SBOMS as usize) {
        versions.extend(fleet.packages(resource % fleet.resources).into_iter().filter(|(name, _)| named(*name).0 != Family::Debian));
        if versions.len() >= PACKAGES || resource >= fleet.resources {
            break;
        }
    }
    versions.into_iter().take(PACKAGES).collect()
}

fn document(packages: &[Package]) -> Value {
    let component = |package: &Package| {
        let (name, version) = (named(package.0).1, component(*package).version);
        let kind = if named(package.0).0 == Family::Npm { "npm" } else { "pypi" };
        json!({"type": "library", "name": name, "version": version, "purl": format!("pkg:{kind}/{name}@{version}")})
    };
    json!({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": packages.iter().map(component).collect::<Vec<_>>()})
}

/// The vulnerabilities that a scanner's JSON tells of.
fn told(output: &[u8]) -> Result<BTreeSet<String>> {
    fn collect(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::String(text) if text.starts_with("CVE-2026-") && text.len() == "CVE-2026-000000".len() => {
                let _ = found.insert(text.clone());
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            Value::Object(members) => members.values().for_each(|member| collect(member, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    collect(&serde_json::from_slice(output)?, &mut found);
    Ok(found)
}

/// What one bill of materials costs, over some of them.
fn cost(invocations: &[Invocation], runs: usize) -> Result<(Duration, u64)> {
    let mut costs: Vec<Cost> = Vec::new();
    for _ in 0..runs.min(3) {
        for invocation in invocations {
            costs.push(invocation.cost()?);
        }
    }
    let walls: Vec<Duration> = costs.iter().map(|cost| cost.wall).collect();
    Ok((median(&walls), costs.iter().map(|cost| cost.largest).max().unwrap_or_default()))
}

/// The table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let programs = Programs::prepare(&options.folder)?;
    let folder = options.folder.join("rescan");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("sboms"))?;
    let fleet = Fleet::new(4 * SBOMS);
    let mut random = Random(31);
    let mut fresh = |number: usize| -> Advisory {
        let mut name = 0;
        while named(name).0 == Family::Debian {
            name = if number.is_multiple_of(10) { fleet.draw_name(&mut random) } else { random.below(NAMES) };
        }
        advisory(number, name, 1 + random.below(versions_of(name)))
    };
    let mut advisories: Vec<Advisory> = (0..ADVISORIES).map(&mut fresh).collect();
    let db = folder.join("db");
    let publish = |advisories: &[Advisory]| -> Result<()> {
        Library::new(db.clone()).publish(&build_index(advisories.iter().cloned(), Manifest::default())?)?;
        Ok(())
    };
    publish(&advisories)?;
    let cache = folder.join("trivy");
    trivy_db::write(&cache, &advisories)?;
    let write = |name: &str, packages: &[Package]| -> Result<PathBuf> {
        let path = folder.join("sboms").join(format!("{name}.cdx.json"));
        std::fs::write(&path, document(packages).to_string())?;
        Ok(path)
    };
    let files = (0..SCANNED).map(|number| write(&number.to_string(), &packages(&fleet, number))).collect::<Result<Vec<_>>>()?;
    let one = write("one", &packages(&fleet, 0)[..1])?;

    let title = format!("{SBOMS} bills of materials of {PACKAGES} packages, {ADVISORIES} advisories: each scanned again, or watched");
    let table = Table::new(&title, COMMAND, &["what", "lestrade", "Trivy 0.76.0", "ratio"]);
    let ours = |path: &Path| {
        let mut invocation = programs.ours(&["scan", "sbom"]);
        invocation.arguments.extend([path.into(), "-o".into(), "json".into(), "--offline".into(), "--set".into()]);
        invocation.arguments.push(format!("db-dir={}", db.display()).into());
        invocation
    };
    let theirs = |path: &Path| programs.trivy_sbom(path, &cache);
    let row = |what: &str, ours: (Duration, u64), theirs: Option<(Duration, u64)>| {
        let cell = |(wall, memory): (Duration, u64)| format!("{}, {}", time(wall), megabytes(memory));
        let ratio = theirs.map_or_else(|| "–".to_owned(), |theirs| format!("{:.1}x", theirs.0.as_secs_f64() / ours.0.as_secs_f64()));
        table.row(&[what, &cell(ours), &theirs.map_or_else(|| "not measured".to_owned(), cell), &ratio]);
    };
    let (own, peer) = (ours(&files[0]), theirs(&files[0]));
    let found = told(&own.output()?)?;
    let found_by_peer = peer.as_ref().map(|peer| told(&peer.output()?)).transpose()?;
    let same = found_by_peer.as_ref().map_or_else(|| "–".to_owned(), |peer| format!("{} in both", found.intersection(peer).count()));
    let count = |found: &BTreeSet<String>| format!("{} vulnerabilities", found.len());
    table.row(&["found in the first of them", &count(&found), &found_by_peer.as_ref().map_or_else(|| "–".to_owned(), count), &same]);
    let peers = |paths: &[PathBuf]| paths.iter().filter_map(|path| theirs(path)).collect::<Vec<_>>();
    let measured = |paths: &[PathBuf]| -> Result<_> {
        let ours = cost(&paths.iter().map(|path| ours(path)).collect::<Vec<_>>(), options.runs)?;
        let peers = peers(paths);
        let theirs = if peers.is_empty() { None } else { Some(cost(&peers, options.runs)?) };
        Ok((ours, theirs))
    };
    let (own, peer) = measured(std::slice::from_ref(&one))?;
    row("one package: start, open the advisories, answer", own, peer);
    let (own, peer) = measured(&files)?;
    row(&format!("one bill of materials of {PACKAGES} packages"), own, peer);

    let store = lestrade_store::open(folder.join("state.db").to_str().context("a path in UTF-8")?)?;
    let core = Core::open(store, Library::new(db.clone()), Arc::new(Still), [7; 32])?;
    let scope = Scope::new("bench", "000000000000", "local")?;
    for number in 0..SBOMS {
        let place = |name: u32| Occurrence { component: 0, path: format!("app/{name}"), layer: None, arch: None, manager: Manager::Other };
        let found = packages(&fleet, number).into_iter().map(|package| (component(package), place(package.0))).collect();
        core.observe(host(&scope, number, found))?;
    }
    let mut times = Vec::new();
    for number in 0..PUBLISHED {
        advisories.push(fresh(ADVISORIES + number));
        publish(&advisories)?;
        let started = Instant::now();
        core.refresh_intelligence()?;
        times.push(started.elapsed());
    }
    let watched = median(&times);
    let again = peer.map(|(wall, _)| wall * SBOMS);
    table.row(&[
        &format!("one advisory more: all {SBOMS} are right again (watched; Trivy: {SBOMS} times the row above)"),
        &time(watched),
        &again.map_or_else(|| "not measured".to_owned(), time),
        &again.map_or_else(|| "–".to_owned(), |again| format!("{:.0}x", again.as_secs_f64() / watched.as_secs_f64())),
    ]);
    table.row(&[
        "the same, for each bill of materials",
        &time(watched / SBOMS),
        &peer.map_or_else(|| "not measured".to_owned(), |(wall, _)| time(wall)),
        "",
    ]);
    let _ = std::fs::remove_dir_all(&folder);
    Ok(())
}
