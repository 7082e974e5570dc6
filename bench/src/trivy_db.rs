//! Advisories as Trivy keeps them: a bbolt file with a bucket for each ecosystem and source, in it one for each package, and in that a
//! document for each vulnerability (schema 2 of `trivy-db`).

use anyhow::{Context, Result, bail};
use bbolt_rs::{Bolt, BucketRwApi, DbRwAPI, TxRwRefApi};
use lestrade_model::{Advisory, Event, Family};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// How many packages are written in one transaction.
const TOGETHER: usize = 2_000;

/// Writes the advisories into a folder that Trivy takes as `--cache-dir`.
pub(crate) fn write(cache: &Path, advisories: &[Advisory]) -> Result<()> {
    let folder = cache.join("db");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    let times = "2026-11-29T00:00:00Z";
    let metadata = json!({"Version": 2, "NextUpdate": "2099-01-01T00:00:00Z", "UpdatedAt": times, "DownloadedAt": times});
    std::fs::write(folder.join("metadata.json"), metadata.to_string())?;

    let mut packages: BTreeMap<(&str, &str), Vec<(&str, Value)>> = BTreeMap::new();
    for advisory in advisories {
        for affected in &advisory.affected {
            let bucket = match affected.ecosystem.family {
                Family::Npm => "npm::bench",
                Family::PyPi => "pip::bench",
                _ => bail!("{} is in no bucket", affected.ecosystem),
            };
            let fixed = affected.ranges.iter().flat_map(|range| &range.events).find_map(|event| match event {
                Event::Fixed(version) => Some(version),
                _ => None,
            });
            let fixed = fixed.context("all of them are fixed")?;
            let said = json!({"PatchedVersions": [fixed], "VulnerableVersions": [format!("<{fixed}")]});
            packages.entry((bucket, &affected.name)).or_default().push((&advisory.key.id, said));
        }
    }
    let mut file = Bolt::open(folder.join("trivy.db")).map_err(|error| anyhow::anyhow!("{error}"))?;
    let packages: Vec<_> = packages.into_iter().collect();
    let failed = |error: bbolt_rs::Error| anyhow::anyhow!("{error}");
    for part in packages.chunks(TOGETHER) {
        file.update(|mut tx| {
            for ((bucket, package), said) in part {
                let mut ecosystem = tx.create_bucket_if_not_exists(bucket)?;
                let mut of_package = ecosystem.create_bucket_if_not_exists(package)?;
                for (id, document) in said {
                    of_package.put(id, document.to_string())?;
                }
            }
            Ok(())
        })
        .map_err(failed)?;
    }
    file.update(|mut tx| {
        let mut sources = tx.create_bucket_if_not_exists("data-source")?;
        for bucket in ["npm::bench", "pip::bench"] {
            sources.put(bucket, json!({"ID": "bench", "Name": "bench", "URL": ""}).to_string())?;
        }
        let mut details = tx.create_bucket_if_not_exists("vulnerability")?;
        for advisory in advisories {
            details.put(&advisory.key.id, json!({"Title": advisory.summary, "Severity": "HIGH"}).to_string())?;
        }
        Ok(())
    })
    .map_err(failed)
}
