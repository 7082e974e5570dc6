//! The estate index under advisories, in memory; then behind the store; then the index of real feeds.

use crate::fleet::{Fleet, Random, named, version_text, versions_of};
use crate::measure::own_memory;
use crate::table::{Table, digits, megabytes, percentile, time};
use crate::{Options, feeds, fleet, served};
use anyhow::{Context, Result};
use lestrade_matching::{AdvisoryIndex, Estate, Manifest, build_index, build_index_with, judge_vulnerability};
use lestrade_model::{Advisory, AdvisoryKey, Affected, Ecosystem, Event, Exploitation, Family, FixState, Range, RangeKind};
use std::time::{Duration, Instant};

pub(crate) const COMMAND: &str = "cargo run --release -p lestrade-bench -- estate";
const TIMED: usize = 2_000;
const DELTA: usize = 5_000;

/// All tables about estates.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.unshared {
        return in_memory(options);
    }
    in_memory(options)?;
    scores_of_a_day(options)?;
    served::run(options)?;
    feeds::run(options)
}

/// An advisory about one package: all versions before the given one.
pub(crate) fn advisory(number: usize, name: u32, fixed: u32) -> Advisory {
    let (family, text) = named(name);
    let ecosystem = if family == Family::Debian { Ecosystem::release(family, "12") } else { Ecosystem::of(family) };
    let kind = if ecosystem.family == Family::Npm { RangeKind::Semver } else { RangeKind::Ecosystem };
    let events = vec![Event::Introduced("0".into()), Event::Fixed(version_text(name, fixed))];
    Advisory {
        key: AdvisoryKey { feed: "bench".into(), id: format!("CVE-2026-{number:06}") },
        aliases: vec![],
        upstream: vec![],
        summary: "simulated".into(),
        details: String::new(),
        published: None,
        modified: None,
        withdrawn: None,
        scores: vec![],
        vendor_severity: None,
        cwes: vec![],
        references: vec![],
        affected: vec![Affected {
            ecosystem,
            name: text,
            module: None,
            ranges: vec![Range { kind, events }],
            versions: vec![],
            unfixed: FixState::Open,
            vendor_severity: None,
        }],
    }
}

/// Which packages advisories are about.
#[derive(Clone, Copy)]
enum About {
    /// Any that is installed somewhere, as in the model that the targets are from.
    Any,
    /// The popular ones more often: harder than life.
    Popular,
}

/// Advisories about installed packages, fixed in some version of each.
fn drawn(fleet: &Fleet, estate: &Estate, random: &mut Random, about: About, first: usize, count: usize) -> Vec<Advisory> {
    let mut advisories = Vec::with_capacity(count);
    while advisories.len() < count {
        let name = match about {
            About::Any => random.below(fleet::NAMES),
            About::Popular => fleet.draw_name(random),
        };
        let (family, text) = named(name);
        if !estate.versions_of(&family, &text).is_empty() {
            advisories.push(advisory(first + advisories.len(), name, 1 + random.below(versions_of(name))));
        }
    }
    advisories
}

fn compiled(advisories: &[Advisory]) -> Result<AdvisoryIndex<Vec<u8>>> {
    Ok(AdvisoryIndex::open(build_index(advisories.iter().cloned(), Manifest::default())?)?)
}

/// Judges a vulnerability, revises the estate and asks for the resources: the time, and how many opened or closed.
fn apply(index: &AdvisoryIndex<Vec<u8>>, estate: &mut Estate, id: &str) -> Result<(Duration, u64)> {
    let started = Instant::now();
    let verdicts = judge_vulnerability(index, estate, id, false)?;
    let number = estate.intern_vulnerability(id).0;
    let delta = estate.revise(number, verdicts);
    let moved = estate.resources_of(&delta.opened).len() + estate.resources_of(&delta.closed).len();
    Ok((started.elapsed(), moved))
}

fn in_memory(options: &Options) -> Result<()> {
    let started = Instant::now();
    let fleet = Fleet::new(options.resources);
    let fleet = if options.unshared { fleet.unshared() } else { fleet };
    let (before, _) = own_memory();
    eprintln!("a fleet of {} resources took {}", fleet.resources, time(started.elapsed()));
    let started = Instant::now();
    let mut estate = Estate::default();
    let components = fleet.fill(&mut estate);
    let build = started.elapsed();
    let (after, _) = own_memory();
    let (distinct, sets, _) = estate.sizes();
    let sort = if options.unshared { ", no two alike" } else { "" };
    let title = format!(
        "Estate index, in memory{sort}: {} resources x {} components ({distinct} distinct, {sets} match sets)",
        fleet.resources,
        components / u64::from(fleet.resources.max(1)),
    );
    let table = Table::new(&title, COMMAND, &["what", "measured", "target (at 1 M resources)"]);
    table.row(&["build from inventories", &time(build), "< 90 s"]);
    let room = if options.unshared { "<= 8 GiB for all of `serve`" } else { "<= 3 GiB for all of `serve`" };
    table.row(&["memory of the index (resident set, grown)", &megabytes(after.saturating_sub(before)), room]);

    let mut random = Random(7);
    let candidates = drawn(&fleet, &estate, &mut random, About::Any, 0, TIMED * 2);
    let index = compiled(&candidates)?;
    let (mut times, mut hit) = (Vec::new(), Vec::new());
    for advisory in &candidates {
        let (elapsed, moved) = apply(&index, &mut estate, &advisory.key.id)?;
        if moved > 0 && times.len() < TIMED {
            times.push(elapsed);
            hit.push(moved);
        }
    }
    hit.sort_unstable();
    let shown =
        format!("{} advisories that hit >= 1 resource (median {}, most {} resources)", times.len(), hit[hit.len() / 2], hit[hit.len() - 1]);
    table.row(&[&format!("{shown}: p50"), &time(percentile(&times, 0.5)), "< 50 µs"]);
    table.row(&["p99", &time(percentile(&times, 0.99)), "< 10 ms"]);
    table.row(&["most", &time(percentile(&times, 1.0))]);

    let (wide, share) = widest(&fleet, &estate).context("a fleet shares packages")?;
    let wide = advisory(900_000, wide, u32::MAX >> 1);
    let index = compiled(std::slice::from_ref(&wide))?;
    let (elapsed, moved) = apply(&index, &mut estate, &wide.key.id)?;
    let shown = format!("one advisory that hits {:.0} % ({moved} resources)", 100.0 * share);
    table.row(&[&shown, &time(elapsed), "60 %: < 50 ms"]);

    for (about, first, what, target) in [(About::Any, 100_000, "", "< 1 s"), (About::Popular, 200_000, ", drawn by popularity", "–")] {
        let delta = drawn(&fleet, &estate, &mut random, about, first, DELTA);
        let index = compiled(&delta)?;
        let started = Instant::now();
        let mut moved = 0;
        for advisory in &delta {
            moved += apply(&index, &mut estate, &advisory.key.id)?.1;
        }
        let pairs = digits(moved as f64 / 1e6);
        let shown = format!("a delta of {DELTA} advisories{what}, expanded to {pairs} M (resource, vulnerability) pairs");
        table.row(&[&shown, &time(started.elapsed()), target]);
        table.row(&["the most memory until then", &megabytes(own_memory().1)]);
    }
    Ok(())
}

/// How many scores a day of EPSS moves.
const SCORES: u32 = 300_000;
/// How many of the vulnerabilities are in the estate.
const INSTALLED: u32 = 40_000;

/// Ids that came with the day.
const NEW_IDS: u32 = 150;

/// A day of EPSS: every score moved, and most are of nothing that is installed; some ids are new.
fn scores_of_a_day(options: &Options) -> Result<()> {
    let name = |n: u32| format!("CVE-{}-{:04}", 2005 + n % 20, 1 + n / 20);
    let is_new = |n: u32| n.is_multiple_of(SCORES / NEW_IDS);
    let day = |shift: u32, ids: &dyn Fn(u32) -> bool| -> Result<AdvisoryIndex<Vec<u8>>> {
        let scores = (0..SCORES).filter(|n| ids(*n)).map(|n| {
            let epss = Some((n.wrapping_mul(31) + shift) as f32 % 10_000.0 / 10_000.0);
            (name(n), Exploitation { epss, ..Exploitation::default() })
        });
        Ok(AdvisoryIndex::open(build_index_with(std::iter::empty::<Advisory>(), &scores.collect(), Manifest::default())?)?)
    };
    let (old, new) = (day(0, &|n| !is_new(n))?, day(1, &|_| true)?);
    let mut estate = Estate::default();
    for n in (0..SCORES).step_by((SCORES / INSTALLED) as usize) {
        estate.intern_vulnerability(&name(n));
    }
    let (mut times, mut found) = (Vec::new(), (0, 0));
    for _ in 0..options.runs {
        let started = Instant::now();
        let rescored = new.rescored(&old, |name| estate.vulnerability_id(name).map(|_| name.to_owned()))?;
        times.push(started.elapsed());
        found = (rescored.all, rescored.known.len());
    }
    let title = format!("A day of EPSS: {} scores moved, {NEW_IDS} of new ids", found.0);
    let table = Table::new(&title, COMMAND, &["what", "measured", "target"]);
    let what = format!("compared, and decided which are of what is installed ({})", found.1);
    let measured = format!(
        "{} (the first {}, the slowest of {} {})",
        time(percentile(&times, 0.5)),
        time(times.first().copied().unwrap_or_default()),
        times.len(),
        time(percentile(&times, 1.0))
    );
    table.row(&[&what, &measured, "< 10 ms"]);
    Ok(())
}

/// The package that is on nearest to 60 % of the resources, and on how many.
fn widest(fleet: &Fleet, estate: &Estate) -> Option<(u32, f64)> {
    let mut counts = std::collections::HashMap::<u32, u32>::new();
    let sample = (0..fleet.resources).step_by((fleet.resources / 2_000).max(1) as usize);
    let mut looked_at = 0_u32;
    for resource in sample {
        looked_at += 1;
        for (name, _) in fleet.packages(resource) {
            *counts.entry(name).or_default() += 1;
        }
    }
    let share = |count: u32| f64::from(count) / f64::from(looked_at);
    let nearest = counts.into_iter().min_by(|a, b| (share(a.1) - 0.6).abs().total_cmp(&(share(b.1) - 0.6).abs()).then(a.0.cmp(&b.0)))?;
    let (family, text) = named(nearest.0);
    debug_assert!(!estate.versions_of(&family, &text).is_empty());
    Some((nearest.0, share(nearest.1)))
}
