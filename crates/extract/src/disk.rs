//! What a disk holds: an inventory for each of its volumes, put together to one.

use crate::{LayerReport, compose};
use lestrade_model::{Component, Inventory, Occurrence, Problem};
use serde::{Deserialize, Serialize};

/// What a worker answers of a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DiskReport {
    pub(crate) size: u64,
    pub(crate) bytes_read: u64,
    pub(crate) volumes: Vec<VolumeReport>,
}

/// One volume of a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VolumeReport {
    pub(crate) name: String,
    /// What it is, where it holds nothing that could be read.
    pub(crate) no_files: Option<String>,
    pub(crate) files: LayerReport,
}

/// A disk that was read.
#[derive(Clone, Debug)]
pub struct ScannedDisk {
    /// What is in it.
    pub inventory: Inventory,
    /// Bytes of the disk.
    pub size: u64,
    /// How many bytes of the image were read.
    pub bytes_read: u64,
    /// Volumes that hold nothing that could be read, and what they are: swap, say.
    pub no_files: Vec<(String, String)>,
}

impl ScannedDisk {
    /// A disk of which nothing came back but that.
    pub(crate) const fn lost(inventory: Inventory) -> Self {
        Self { inventory, size: 0, bytes_read: 0, no_files: Vec::new() }
    }

    /// Puts the volumes of the disk at `path` together. Where more than one of them has something to say, places begin with the volume's name.
    pub(crate) fn of(report: &DiskReport, path: &str) -> Self {
        let read = report.volumes.iter().filter(|volume| volume.no_files.is_none());
        let inventories: Vec<(&str, Inventory)> =
            read.map(|volume| (volume.name.as_str(), compose(std::slice::from_ref(&volume.files)))).collect();
        let no_files = report.volumes.iter().filter_map(|volume| Some((volume.name.clone(), volume.no_files.clone()?))).collect();
        Self { inventory: together(&inventories, path), size: report.size, bytes_read: report.bytes_read, no_files }
    }
}

/// Puts inventories of volumes together. Where more than one of them has something to say, places begin with the volume's name; what
/// has no place is at `disk`.
#[must_use]
pub fn together(volumes: &[(&str, Inventory)], disk: &str) -> Inventory {
    let speaks = |inventory: &Inventory| inventory.os.is_some() || !inventory.occurrences.is_empty() || !inventory.problems.is_empty();
    let many = volumes.iter().filter(|(_, inventory)| speaks(inventory)).count() > 1;
    let place = |volume: &str, path: &str| match (path.is_empty(), many && !volume.is_empty()) {
        (true, _) if volume.is_empty() => disk.to_owned(),
        (true, _) => volume.to_owned(),
        (false, true) => format!("{volume}/{path}"),
        (false, false) => path.to_owned(),
    };
    // Each component carries its own system; the disk is called after the one that has most on it.
    let mut systems: Vec<&Inventory> = volumes.iter().map(|(_, inventory)| inventory).filter(|inventory| inventory.os.is_some()).collect();
    systems.sort_by_key(|inventory| std::cmp::Reverse(inventory.occurrences.len()));
    let os = systems.first().and_then(|inventory| inventory.os.clone());
    let mut found: Vec<(Component, Occurrence)> = Vec::new();
    let mut problems = Vec::new();
    for (volume, inventory) in volumes {
        found.extend(inventory.found().map(|(component, occurrence)| {
            let path = place(volume, &occurrence.path);
            (component, Occurrence { path, ..occurrence })
        }));
        problems.extend(inventory.problems.iter().map(|problem| Problem { path: place(volume, &problem.path), ..problem.clone() }));
    }
    Inventory::assemble(os, found, problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileReport, Found, Origin};
    use lestrade_model::{Family, Manager, ProblemKind};

    fn volume(name: &str, package: Option<&str>, problem: Option<&str>) -> VolumeReport {
        let found = package.map(|name| Found {
            origin: Origin::Language(Family::Npm),
            name: name.into(),
            version: "1".into(),
            source: None,
            arch: None,
            module: None,
            manager: Manager::NodePackage,
        });
        let file = FileReport { path: "app/package.json".into(), found: found.into_iter().collect(), ..FileReport::default() };
        let problem = problem.map(|path| Problem { path: path.into(), kind: ProblemKind::Malformed, detail: "x".into() });
        let files = LayerReport { files: vec![file], problems: problem.into_iter().collect(), ..LayerReport::default() };
        VolumeReport { name: name.into(), no_files: None, files }
    }

    fn places(volumes: Vec<VolumeReport>) -> Vec<String> {
        let inventory = ScannedDisk::of(&DiskReport { size: 0, bytes_read: 0, volumes }, "disk.img").inventory;
        let problems = inventory.problems.iter().map(|problem| format!("?{}", problem.path));
        inventory.occurrences.iter().map(|occurrence| occurrence.path.clone()).chain(problems).collect()
    }

    #[test]
    fn the_volume_is_named_where_there_is_more_than_one() {
        assert_eq!(places(vec![volume("", Some("a"), Some(""))]), ["app/package.json", "?disk.img"]);
        assert_eq!(places(vec![volume("p1", Some("a"), None), volume("p2", None, None)]), ["app/package.json"]);
        assert_eq!(places(vec![volume("p1", Some("a"), None), volume("p2", None, Some(""))]), ["p1/app/package.json", "?p2"]);
        assert_eq!(
            places(vec![volume("p1", Some("a"), Some("x")), volume("g/v", Some("b"), None)]),
            ["p1/app/package.json", "g/v/app/package.json", "?p1/x"]
        );
    }
}
