//! Reading images: ours, the peers and the floor in turns.

use crate::floor::{Work, floor};
use crate::images::{BenchImage, images};
use crate::measure::{Cost, Invocation};
use crate::packages::{COMPARED, PackageSet, cyclonedx, ours};
use crate::peers::Programs;
use crate::table::{Table, digits, median, megabytes, time};
use crate::{Options, packages};
use anyhow::Result;
use lestrade_model::Completeness;
use std::path::Path;
use std::time::Duration;

const COMMAND: &str = "cargo run --release -p lestrade-bench -- image";
const AGAIN: &str = "lestrade, the same again";
/// How many differences are listed.
const LISTED: usize = 10;

/// All tables about images.
pub(crate) fn run(options: &Options) -> Result<()> {
    let programs = Programs::prepare(&options.folder)?;
    start_up(options, &programs)?;
    for image in images(&options.folder)? {
        for (form, path) in [("OCI layout, gzip", &image.layout), ("docker archive, not compressed", &image.archive)] {
            if format!("{}, {form}", image.name).contains(&options.only) {
                one(options, &programs, &image, form, path)?;
            }
        }
        if options.only.is_empty() || options.only.contains(image.name) {
            agreement(&programs, &image)?;
        }
    }
    Ok(())
}

/// One program's costs over the runs.
struct Row {
    name: &'static str,
    invocation: Invocation,
    costs: Vec<Cost>,
}

impl Row {
    fn wall(&self) -> Duration {
        median(&self.costs.iter().map(|cost| cost.wall).collect::<Vec<_>>())
    }
    fn largest(&self) -> u64 {
        self.costs.iter().map(|cost| cost.largest).max().unwrap_or_default()
    }
}

fn start_up(options: &Options, programs: &Programs) -> Result<()> {
    let table = Table::new("Start-up", COMMAND, &["command", "wall, median", "RSS", "target"]);
    let version = Row { name: "`lestrade --version`", invocation: programs.ours(&["--version"]), costs: vec![] };
    let mut usage = Row { name: "`lestrade scna` (usage error)", invocation: programs.ours(&["scna"]), costs: vec![] };
    usage.invocation.exits = &[2];
    let mut rows = vec![version, usage];
    for (name, peer) in [("`trivy --version`", &programs.trivy), ("`syft --version`", &programs.syft)] {
        if let Ok(program) = peer {
            let invocation = Invocation { program: program.clone(), ..programs.ours(&["--version"]) };
            rows.push(Row { name, invocation, costs: vec![] });
        }
    }
    in_turns(options.runs * 3, &mut rows, || Ok(()))?;
    for (i, row) in rows.iter().enumerate() {
        table.row(&[row.name, &time(row.wall()), &megabytes(row.largest()), if i < 2 { "< 10 ms, < 15 MB" } else { "–" }]);
    }
    Ok(())
}

/// Runs each once for warming, then all of them in turns.
fn in_turns(runs: usize, rows: &mut [Row], mut also: impl FnMut() -> Result<()>) -> Result<()> {
    for row in rows.iter() {
        row.invocation.cost()?;
    }
    for _ in 0..runs {
        for row in rows.iter_mut() {
            row.costs.push(row.invocation.cost()?);
        }
        also()?;
    }
    Ok(())
}

fn one(options: &Options, programs: &Programs, image: &BenchImage, form: &str, path: &Path) -> Result<()> {
    let compressed = *path != image.archive;
    let blobs = if compressed { &image.blobs } else { &image.tars };
    let bytes = |files: &[std::path::PathBuf]| files.iter().map(|file| file.metadata().map_or(0, |m| m.len())).sum::<u64>();
    let title = format!(
        "{}, {form}: {} layers, {} stored, {} of tar",
        image.name,
        blobs.len(),
        megabytes(bytes(blobs)),
        megabytes(bytes(&image.tars))
    );
    let mut rows = vec![Row { name: "lestrade", invocation: programs.scan(path), costs: vec![] }];
    rows.extend(programs.trivy(path).map(|invocation| Row { name: "Trivy 0.76.0", invocation, costs: vec![] }));
    rows.extend(programs.syft(image, path).map(|invocation| Row { name: "Syft 1.18.1", invocation, costs: vec![] }));
    let again = programs.again(&rows[0].invocation, "home-of-lestrade");
    rows.push(Row { name: AGAIN, invocation: again, costs: vec![] });
    rows.extend(programs.trivy_again(path).map(|invocation| Row { name: "Trivy 0.76.0, the same again", invocation, costs: vec![] }));
    let (mut all, mut hashing, mut inflating) = (vec![], vec![], vec![]);
    eprintln!("{title}");
    in_turns(options.runs, &mut rows, || {
        all.push(floor(blobs, &image.tars, Work::All)?);
        hashing.push(floor(blobs, &image.tars, Work::HashBoth)?);
        inflating.push(floor(blobs, &image.tars, Work::Inflate)?);
        Ok(())
    })?;

    let columns = ["", "wall, median", "against lestrade", "RSS, largest process", "RSS, all processes", "target"];
    let table = Table::new(&title, COMMAND, &columns);
    let ours = rows[0].wall();
    for row in &rows {
        let ratio = row.wall().as_secs_f64() / ours.as_secs_f64();
        let target = match row.name {
            "lestrade" => "< 150 MB",
            "Syft 1.18.1" => ">= 10x",
            AGAIN => "<= 0.05x of the first",
            "Trivy 0.76.0, the same again" => "–",
            _ => ">= 3x",
        };
        let together = megabytes(row.invocation.together()?);
        table.row(&[row.name, &time(row.wall()), &format!("{}x", digits(ratio)), &megabytes(row.largest()), &together, target]);
    }
    for (name, peer) in [("Trivy", &programs.trivy), ("Syft", &programs.syft)] {
        if let Err(reason) = peer {
            table.row(&[name, &format!("not measured: {}", reason.lines().next().unwrap_or_default())]);
        }
    }
    let share = |floor: Duration| format!("lestrade reaches {:.0} %", 100.0 * floor.as_secs_f64() / ours.as_secs_f64());
    let (all, limit) = (median(&all), median(&hashing).max(median(&inflating)));
    table.row(&["floor: hash, inflate, hash, a layer a thread", &time(all), &share(all), "", "", ">= 80 %"]);
    table.row(&["limit: the longer of hashing alone and inflating alone", &time(limit), &share(limit)]);
    Ok(())
}

fn agreement(programs: &Programs, image: &BenchImage) -> Result<()> {
    let (mine, inventory) = ours(&programs.lestrade, &image.archive)?;
    let (gzipped, _) = ours(&programs.lestrade, &image.layout)?;
    anyhow::ensure!(mine == gzipped, "both forms of an image have the same packages");
    let complete = inventory.completeness() == Completeness::Complete;
    let mut peers = Vec::new();
    for (name, invocation) in [("Trivy 0.76.0", programs.trivy(&image.archive)), ("Syft 1.18.1", programs.syft(image, &image.archive))] {
        if let Some(invocation) = invocation {
            peers.push((name, cyclonedx(&invocation.output()?)?));
        }
    }
    let title =
        format!("{}: the same packages? (lestrade calls its inventory {})", image.name, if complete { "complete" } else { "partial" });
    let table =
        Table::new(&title, COMMAND, &["peer", "ecosystem", "lestrade", "peer", "both", "of the peer's", "only lestrade", "only the peer"]);
    for (name, theirs) in &peers {
        for kind in COMPARED.into_iter().chain(["all"]) {
            let (mine, theirs) = (of_kind(&mine, kind), of_kind(theirs, kind));
            let both = mine.intersection(&theirs).count();
            let share = format!("{:.1} %", 100.0 * both as f64 / theirs.len().max(1) as f64);
            let (only_mine, only_theirs) = (mine.difference(&theirs), theirs.difference(&mine));
            let numbers = [mine.len(), theirs.len(), both].map(|n| n.to_string());
            let [a, b, c] = &numbers;
            let (only_mine, only_theirs) = (listed(only_mine.cloned()), listed(only_theirs.cloned()));
            // The last row sums the others up; what differs stands there.
            let lists: [&str; 2] = if kind == "all" { ["as above", "as above"] } else { [&only_mine, &only_theirs] };
            table.row(&[name, kind, a, b, c, &share, lists[0], lists[1]]);
        }
    }
    Ok(())
}

fn of_kind(set: &PackageSet, kind: &str) -> packages::PackageSet {
    set.iter().filter(|(of, _, _)| kind == "all" || of == kind).cloned().collect()
}

fn listed(difference: impl Iterator<Item = (String, String, String)>) -> String {
    let all: Vec<String> = difference.map(|(_, name, version)| format!("{name} {version}")).collect();
    let more = all.len().saturating_sub(LISTED);
    let mut text = all.into_iter().take(LISTED).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
