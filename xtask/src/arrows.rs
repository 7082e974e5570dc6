//! Checks the plan of the house: a room depends only on rooms below it, and the pure rooms on nothing that does I/O.
//!
//! The order of the rooms, top to bottom, is the order in which the workspace's `Cargo.toml` lists them; `cli` stands on top.

use anyhow::{Context, Result, bail};
use std::fmt;
use std::path::Path;
use toml::Table;

/// The binary: nobody depends on it, so the workspace does not list it.
const TOP: &str = "cli";
/// The first of the pure rooms; all below it are pure too.
const FIRST_PURE: &str = "findings";
/// What a pure room may not even know of.
const IMPURE: &[&str] = &["axum", "hyper", "mio", "postgres", "reqwest", "rusqlite", "sqlx", "tokio", "tokio-postgres", "ureq"];

const PREFIX: &str = "lestrade-";

/// A room and the names of all packages that it depends on, of every kind.
struct Room {
    name: String,
    dependencies: Vec<String>,
}

/// What is wrong with one dependency.
#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    /// The room is not in the plan.
    Unplanned { room: String },
    /// It points to itself or to a room that is not below.
    NotDown { from: String, to: String },
    /// A pure room reaches for I/O.
    Impure { room: String, package: String },
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unplanned { room } => write!(f, "{room}: not listed among the rooms in the workspace's Cargo.toml"),
            Self::NotDown { from, to } => write!(f, "{from} -> {to}: the arrow does not point down"),
            Self::Impure { room, package } => write!(f, "{room} -> {package}: a pure room does no I/O"),
        }
    }
}

/// Checks the workspace at `root`.
pub fn run(root: &Path) -> Result<()> {
    let plan = plan(&read(&root.join("Cargo.toml"))?)?;
    let rooms = rooms(root)?;
    let wrongs = check(&plan, &rooms);
    if wrongs.is_empty() {
        println!("{} rooms: every arrow points down", rooms.len());
        return Ok(());
    }
    let lines: Vec<String> = wrongs.iter().map(Wrong::to_string).collect();
    bail!("arrows:\n  {}", lines.join("\n  "))
}

/// The rooms from top to bottom, as the workspace lists them.
fn plan(workspace: &Table) -> Result<Vec<String>> {
    let listed = workspace.get("workspace").and_then(|w| w.get("dependencies")).and_then(|d| d.as_table());
    let listed = listed.context("Cargo.toml has no [workspace.dependencies]")?;
    let rooms = listed.keys().filter_map(|name| name.strip_prefix(PREFIX)).map(str::to_owned);
    Ok(std::iter::once(TOP.to_owned()).chain(rooms).collect())
}

fn rooms(root: &Path) -> Result<Vec<Room>> {
    let mut rooms = Vec::new();
    for entry in std::fs::read_dir(root.join("crates"))? {
        let manifest = entry?.path().join("Cargo.toml");
        if manifest.is_file() {
            rooms.push(room(&read(&manifest)?).with_context(|| manifest.display().to_string())?);
        }
    }
    rooms.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(rooms)
}

fn read(path: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.parse().with_context(|| path.display().to_string())
}

fn room(manifest: &Table) -> Result<Room> {
    let name = manifest.get("package").and_then(|p| p.get("name")).and_then(|n| n.as_str()).context("no package.name")?;
    let mut dependencies = Vec::new();
    collect(manifest, &mut dependencies);
    for (_, target) in manifest.get("target").and_then(|t| t.as_table()).into_iter().flatten() {
        collect(target.as_table().context("a target that is no table")?, &mut dependencies);
    }
    Ok(Room { name: name.strip_prefix(PREFIX).unwrap_or(name).to_owned(), dependencies })
}

/// Adds the packages named in every dependency table; a renamed one by its real name.
fn collect(table: &Table, into: &mut Vec<String>) {
    for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
        for (name, value) in table.get(kind).and_then(|t| t.as_table()).into_iter().flatten() {
            into.push(value.get("package").and_then(|p| p.as_str()).unwrap_or(name).to_owned());
        }
    }
}

fn check(plan: &[String], rooms: &[Room]) -> Vec<Wrong> {
    let floor = |name: &str| plan.iter().position(|room| room == name);
    let pure_from = floor(FIRST_PURE).unwrap_or(plan.len());
    let mut wrongs = Vec::new();
    for room in rooms {
        let Some(here) = floor(&room.name) else {
            wrongs.push(Wrong::Unplanned { room: room.name.clone() });
            continue;
        };
        for package in &room.dependencies {
            match package.strip_prefix(PREFIX) {
                Some(to) if floor(to).is_none_or(|there| there <= here) => {
                    wrongs.push(Wrong::NotDown { from: room.name.clone(), to: to.to_owned() });
                }
                None if here >= pure_from && IMPURE.contains(&package.as_str()) => {
                    wrongs.push(Wrong::Impure { room: room.name.clone(), package: package.clone() });
                }
                _ => {}
            }
        }
    }
    wrongs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house() -> Vec<String> {
        ["cli", "server", "store", "findings", "model"].map(str::to_owned).to_vec()
    }

    fn one(name: &str, dependencies: &[&str]) -> Room {
        Room { name: name.into(), dependencies: dependencies.iter().map(|d| (*d).to_owned()).collect() }
    }

    #[test]
    fn only_arrows_that_point_down_pass() {
        let not_down = |from: &str, to: &str| vec![Wrong::NotDown { from: from.into(), to: to.into() }];
        for (room, wrongs) in [
            (one("server", &["lestrade-store", "lestrade-model", "axum", "tokio"]), vec![]),
            (one("findings", &["lestrade-model", "serde"]), vec![]),
            (one("store", &["lestrade-server"]), not_down("store", "server")),
            (one("store", &["lestrade-store"]), not_down("store", "store")),
            (one("model", &["lestrade-findings"]), not_down("model", "findings")),
            (one("server", &["lestrade-cellar"]), not_down("server", "cellar")),
            (one("findings", &["tokio"]), vec![Wrong::Impure { room: "findings".into(), package: "tokio".into() }]),
            (one("cellar", &[]), vec![Wrong::Unplanned { room: "cellar".into() }]),
        ] {
            assert_eq!(check(&house(), &[room]), wrongs);
        }
    }

    #[test]
    fn every_kind_of_dependency_counts_and_by_its_real_name() {
        let manifest = r#"
            package.name = "lestrade-store"
            dependencies.serde = "1"
            dev-dependencies.web = { package = "axum" }
            build-dependencies.cc = "1"
            target.'cfg(unix)'.dependencies.libc = "0.2"
        "#;
        let room = room(&manifest.parse().unwrap()).unwrap();
        assert_eq!((room.name.as_str(), room.dependencies), ("store", ["serde", "axum", "cc", "libc"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn the_plan_is_the_workspaces_own_order() {
        let workspace = "[workspace.dependencies]\nlestrade-store = { path = '' }\nlestrade-aws = { path = '' }\naxum = '1'";
        assert_eq!(plan(&workspace.parse().unwrap()).unwrap(), ["cli", "store", "aws"]);
    }
}
