//! Bills of materials of a million packages: what reading and judging one costs, all processes together.

use crate::Options;
use crate::measure::{Cost, Invocation};
use crate::peers::Programs;
use crate::table::{Table, median, megabytes, time};
use anyhow::Result;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

const COMMAND: &str = "cargo run --release -p lestrade-bench -- documents";
const PACKAGES: u32 = 1_000_000;

/// The table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let programs = Programs::prepare(&options.folder)?;
    let folder = options.folder.join("documents");
    fs::create_dir_all(&folder)?;
    let table = Table::new(
        &format!("Bills of materials of {PACKAGES} packages, judged by the starter set"),
        COMMAND,
        &["document", "size", "wall, median", "RSS, largest process", "RSS, all processes", "target"],
    );
    for (name, write) in [("CycloneDX 1.6", cyclonedx as fn(&mut dyn Write) -> Result<()>), ("SPDX 2.3", spdx)] {
        let path = folder.join(format!("{}.json", &name[..4]));
        if !path.exists() {
            let partial = path.with_extension("partial");
            let mut file = BufWriter::new(File::create(&partial)?);
            write(&mut file)?;
            file.flush()?;
            fs::rename(&partial, &path)?;
        }
        let invocation = scan(&programs, &path);
        invocation.cost()?;
        let costs: Vec<Cost> = (0..options.runs).map(|_| invocation.cost()).collect::<Result<_>>()?;
        let wall = median(&costs.iter().map(|cost| cost.wall).collect::<Vec<_>>());
        let largest = costs.iter().map(|cost| cost.largest).max().unwrap_or_default();
        let size = megabytes(path.metadata()?.len());
        table.row(&[name, &size, &time(wall), &megabytes(largest), &megabytes(invocation.together()?), "<= 1 s, <= 200 MB"]);
        let (begun, text) = (Instant::now(), fs::read(&path)?);
        let reading = begun.elapsed();
        let begun = Instant::now();
        serde_json::from_slice::<serde::de::IgnoredAny>(&text)?;
        let floor = format!("{} and {}", time(reading), time(begun.elapsed()));
        table.row(&["floor: reading the file, and passing over its JSON by `serde_json`, on one core", "", &floor]);
    }
    Ok(())
}

fn scan(programs: &Programs, path: &Path) -> Invocation {
    let mut invocation = programs.ours(&["scan", "sbom"]);
    invocation.arguments.push(OsString::from(path));
    invocation.environment.push(("LESTRADE_AUTO_UPDATE".to_owned(), "false".into()));
    // 5: the starter set found nothing, and does not call that clean.
    invocation.exits = &[0, 5];
    invocation
}

fn cyclonedx(out: &mut dyn Write) -> Result<()> {
    writeln!(out, r#"{{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": ["#)?;
    for number in 0..PACKAGES {
        let (comma, version) = (if number == 0 { "" } else { "," }, format!("1.{}.{}", number % 50, number % 7));
        let purl = format!("pkg:npm/package-{number}@{version}");
        writeln!(
            out,
            r#"{comma}{{"bom-ref": "{purl}", "type": "library", "name": "package-{number}", "version": "{version}", "purl": "{purl}"}}"#
        )?;
    }
    Ok(writeln!(out, "]}}")?)
}

fn spdx(out: &mut dyn Write) -> Result<()> {
    writeln!(out, r#"{{"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": "x", "packages": ["#)?;
    for number in 0..PACKAGES {
        let (comma, version) = (if number == 0 { "" } else { "," }, format!("1.{}.{}", number % 50, number % 7));
        writeln!(
            out,
            r#"{comma}{{"SPDXID": "SPDXRef-{number}", "name": "package-{number}", "versionInfo": "{version}", "downloadLocation": "NOASSERTION", "externalRefs": [{{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:npm/package-{number}@{version}"}}]}}"#
        )?;
    }
    Ok(writeln!(out, "]}}")?)
}
