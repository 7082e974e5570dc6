//! Layers become one inventory: what is visible at the top, and nothing else.
//!
//! A file of an upper layer hides the same path below, a whiteout hides a path and all below it, an opaque folder hides what the
//! layers below have in it; each layer's own files come after its removals (OCI image specification, "Layer"). A package
//! database is a file, so the top-most one counts, and a language's package counts unless its file was removed.

use crate::extractors::os_release::OLD;
use crate::overlay::Overlay;
use crate::project::kept;
use crate::report::Alias;
use crate::{Extractors, FileReport, Found, LayerReport, Origin, extractors, maven};
use lestrade_model::{Component, Ecosystem, Family, Inventory, Occurrence, OsRelease, Problem, ProblemKind};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Puts layers together, the lowest first.
#[must_use]
pub fn compose(layers: &[LayerReport]) -> Inventory {
    compose_with(layers, &BTreeSet::new()).0
}

/// The same, with files that were read because links lead to them; answers also to which files links lead that were not.
pub(crate) fn compose_with(layers: &[LayerReport], aliases: &BTreeSet<Alias>) -> (Inventory, BTreeSet<Alias>) {
    let mut problems: Vec<Problem> = Vec::new();
    for layer in layers {
        problems.extend(layer.problems.iter().map(|problem| Problem { path: place(layer, &problem.path), ..problem.clone() }));
    }
    let overlay = Overlay::of(layers);
    let is_alias = |path: &str| aliases.iter().any(|alias| alias.path == path);
    let mut unread = BTreeSet::new();
    let mut files: Vec<(usize, &str, &FileReport)> = Vec::new();
    let well_known: BTreeSet<&str> = Extractors::well_known(extractors()).collect();
    let mut paths: BTreeMap<&str, Option<(usize, &FileReport)>> =
        overlay.files.iter().filter(|(path, _)| !is_alias(path)).map(|(path, file)| (*path, Some(*file))).collect();
    for path in &well_known {
        paths.entry(path).or_insert_with(|| overlay.files.get(path).copied());
    }
    for (path, own) in paths {
        if let Some((layer, file)) = own.filter(|(_, file)| file.link.is_none() && overlay.is_off_all_ways(path)) {
            files.push((layer, path, file));
            continue;
        }
        let Ok(real) = overlay.locate(path) else {
            problems.push(unsupported(path, "links lead round in a circle, or over more than 40 others".to_owned()));
            continue;
        };
        match overlay.files.get(real.as_str()) {
            Some((layer, file)) => files.push((*layer, path, file)),
            None if real == path => {}
            // An upper layer wrote through a link of a lower one, by the link's name.
            None if own.is_some_and(|(_, file)| file.link.is_none()) => files.extend(own.map(|(layer, file)| (layer, path, file))),
            None if is_alias(&real) || well_known.contains(real.as_str()) => {
                // It was looked for and is not there. A link in a file's place should lead somewhere, one on the way need not.
                if own.is_some() {
                    problems.push(unsupported(path, format!("a link to '{real}', which is not there")));
                }
            }
            None => drop(unread.insert(Alias { path: real, wanted_as: path.to_owned() })),
        }
    }
    problems.extend(unread.iter().map(|alias| unsupported(&alias.wanted_as, format!("a link to '{}', which was not read", alias.path))));
    for (_, path, file) in &files {
        problems.extend(file.problems.iter().map(|(kind, detail)| Problem {
            path: (*path).to_owned(),
            kind: *kind,
            detail: detail.clone(),
        }));
    }
    let os = operating_system(&files);
    let ecosystem = os.as_ref().and_then(OsRelease::ecosystem);
    // Of the paths that packages own, those where something was found: a system owns tens of thousands.
    let looked_at: HashSet<&str, foldhash::fast::RandomState> = files.iter().map(|(_, path, _)| merged(path)).collect();
    let owns = files.iter().flat_map(|(_, _, file)| file.owns.iter().map(|path| merged(path)));
    let owned: HashSet<&str, foldhash::fast::RandomState> = owns.filter(|path| looked_at.contains(path)).collect();

    let mut found = Vec::new();
    let mut homeless = 0_usize;
    let visible: Vec<(&str, &FileReport)> = files.iter().map(|(_, path, file)| (*path, *file)).collect();
    let projects = maven::resolve(&visible);
    let said = projects.iter().filter_map(|(number, of)| Some((visible[*number].0, of.problem.clone()?)));
    problems.extend(said.map(|(path, (kind, detail))| Problem { path: path.to_owned(), kind, detail }));
    for (number, ((layer, path, file), packages)) in files.iter().zip(kept(&visible)).enumerate() {
        let mut history = History::default();
        let of_project = projects.get(&number).into_iter().flat_map(|of| &of.packages);
        for package in packages.into_iter().chain(of_project) {
            homeless += usize::from(package.origin == Origin::OperatingSystem && ecosystem.is_none());
            let Some(component) = component(package, ecosystem.as_ref(), owned.contains(merged(path))) else { continue };
            let brought = match package.origin {
                Origin::OperatingSystem => history.brought(layers, *layer, &file.path, package),
                Origin::Language(_) | Origin::Needs => *layer,
            };
            let occurrence = Occurrence {
                component: 0,
                path: file.within(path, package),
                layer: layers.get(brought).map(|layer| layer.digests.blob.clone()).filter(|digest| !digest.is_empty()),
                arch: package.arch.clone(),
                manager: package.manager,
            };
            found.push((component, occurrence));
        }
    }
    let has_database = files.iter().any(|(_, _, file)| file.found.iter().any(|package| package.origin == Origin::OperatingSystem));
    if let (Some(os), Some(_), false) = (&os, &ecosystem, has_database) {
        // Images are made smaller by taking the database out; what it listed is still there.
        let detail = format!("{os} without a package of its own: its package database is missing or empty, and nobody knows what is in it");
        problems.push(Problem { path: "etc/os-release".into(), kind: ProblemKind::Unreadable, detail });
    }
    if homeless > 0 {
        let name = os.as_ref().map_or_else(|| "an operating system that does not say which it is".to_owned(), ToString::to_string);
        let detail = format!("{homeless} packages of {name} are listed and judged by nobody");
        problems.push(Problem { path: "etc/os-release".into(), kind: ProblemKind::UnknownSystem, detail });
    }
    (Inventory::assemble(os, found, problems), unread)
}

fn place(layer: &LayerReport, path: &str) -> String {
    match (layer.digests.blob.is_empty(), path.is_empty()) {
        (true, _) => path.to_owned(),
        (false, true) => layer.digests.blob.clone(),
        (false, false) => format!("{path} in {}", layer.digests.blob),
    }
}

fn unsupported(path: &str, detail: String) -> Problem {
    Problem { path: path.to_owned(), kind: ProblemKind::Unsupported, detail }
}

/// In which layer a package of the operating system came to be. Each layer that touches the package database brings a whole new
/// one, so the topmost is what counts; a package is of the lowest layer from which on it was there without a break.
#[derive(Default)]
struct History<'a> {
    /// Earlier states of the database, the latest first, each with the number of its layer.
    earlier: Option<Vec<(usize, HashSet<Installed<'a>>)>>,
}

/// Name, version and architecture.
type Installed<'a> = (&'a str, &'a str, Option<&'a str>);

fn installed(package: &Found) -> Installed<'_> {
    (&package.name, &package.version, package.arch.as_deref())
}

impl<'a> History<'a> {
    fn brought(&mut self, layers: &'a [LayerReport], top: usize, database: &str, package: &Found) -> usize {
        let earlier = self.earlier.get_or_insert_with(|| {
            let below = layers.get(..top).unwrap_or_default().iter().enumerate().rev();
            let state = |(number, layer): (usize, &'a LayerReport)| {
                let file = layer.files.iter().rfind(|file| file.path == database)?;
                Some((number, file.found.iter().map(installed).collect()))
            };
            below.filter_map(state).collect()
        });
        let with_it = earlier.iter().take_while(|(_, packages)| packages.contains(&installed(package)));
        with_it.last().map_or(top, |(number, _)| *number)
    }
}

fn operating_system(files: &[(usize, &str, &FileReport)]) -> Option<OsRelease> {
    ["etc/os-release", "usr/lib/os-release"]
        .into_iter()
        .chain(OLD.iter().map(|(path, _)| *path))
        .find_map(|wanted| files.iter().find(|(_, path, _)| *path == wanted).and_then(|(_, _, file)| file.os.clone()))
        // Windows says it in its registry, whose path is not written in one way.
        .or_else(|| files.iter().find_map(|(_, _, file)| file.os.clone().filter(|os| os.id == "windows")))
}

/// A path as it is on systems whose `/lib` is a link to `/usr/lib`: package lists keep the old spelling.
fn merged(path: &str) -> &str {
    path.strip_prefix("usr/").unwrap_or(path)
}

/// None for what is no package.
fn component(found: &Found, os: Option<&Ecosystem>, owned: bool) -> Option<Component> {
    let component = match &found.origin {
        Origin::OperatingSystem => {
            let ecosystem = os.cloned().unwrap_or_else(|| Ecosystem::of(Family::Other("unknown system".into())));
            Component::new(ecosystem, &found.name, &found.version).in_module(found.module.clone())
        }
        Origin::Language(family) => Component::new(Ecosystem::of(family.clone()), &found.name, &found.version).owned_by_os(owned),
        Origin::Needs => return None,
    };
    Some(match &found.source {
        Some((name, version)) => component.from_source(name, version),
        None => component,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_model::Manager;

    fn npm(path: &str, name: &str) -> FileReport {
        let found = Found {
            origin: Origin::Language(Family::Npm),
            name: name.into(),
            version: "1".into(),
            source: None,
            arch: None,
            module: None,
            manager: Manager::NodePackage,
        };
        FileReport { path: path.into(), found: vec![found], ..FileReport::default() }
    }

    fn layer(files: Vec<FileReport>, whiteouts: &[&str], opaque: &[&str]) -> LayerReport {
        let strings = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        LayerReport { files, whiteouts: strings(whiteouts), opaque: strings(opaque), ..LayerReport::default() }
    }

    fn names(layers: &[LayerReport]) -> Vec<String> {
        compose(layers).components.into_iter().map(|c| c.name).collect()
    }

    #[test]
    fn what_is_visible_at_the_top() {
        let base = || layer(vec![npm("app/a/package.json", "a"), npm("app/b/package.json", "b"), npm("c/package.json", "c")], &[], &[]);
        assert_eq!(names(&[base(), layer(vec![], &["app/a/package.json"], &[])]), ["b", "c"], "a whiteout of a file");
        assert_eq!(names(&[base(), layer(vec![], &["app"], &[])]), ["c"], "a whiteout of a folder");
        assert_eq!(
            names(&[base(), layer(vec![npm("app/n/package.json", "n")], &[], &["app"])]),
            ["c", "n"],
            "an opaque folder keeps its own"
        );
        assert_eq!(names(&[base(), layer(vec![], &[], &[""])]), [""; 0], "an opaque root");
        assert_eq!(names(&[base(), layer(vec![npm("app/a/package.json", "z")], &[], &[])]), ["b", "c", "z"], "the upper file counts");
        assert_eq!(names(&[layer(vec![], &["c"], &[]), base()]), ["a", "b", "c"], "a whiteout below removes nothing above");
        assert_eq!(names(&[base(), layer(vec![], &["ap"], &[])]), ["a", "b", "c"], "a folder of a similar name is another");
    }

    #[test]
    fn links_are_followed_inside_and_not_in_circles() {
        let link = |path: &str, target: &str| FileReport { path: path.into(), link: Some(target.into()), ..FileReport::default() };
        let inventory = compose(&[layer(vec![npm("x/package.json", "x"), link("y/package.json", "../../../x/package.json")], &[], &[])]);
        assert_eq!(inventory.occurrences.len(), 2);
        let inventory = compose(&[layer(vec![link("a", "b"), link("b", "/a"), link("c", "/nowhere")], &[], &[])]);
        assert_eq!(inventory.problems.len(), 3);
    }

    #[test]
    fn a_link_to_a_file_that_nobody_read_asks_for_it() {
        let way = LayerReport { ways: vec![("var/lib/dpkg".into(), Some("/srv/dpkg".into()))], ..LayerReport::default() };
        let (inventory, unread) = compose_with(std::slice::from_ref(&way), &BTreeSet::new());
        let wanted = |name: &str| Alias { path: format!("srv/dpkg/{name}"), wanted_as: format!("var/lib/dpkg/{name}") };
        assert_eq!((inventory.problems.len(), unread), (1, BTreeSet::from([wanted("status")])));
        let mut status = npm("srv/dpkg/status", "bash");
        status.found[0].origin = Origin::OperatingSystem;
        let (inventory, unread) = compose_with(&[way, layer(vec![status], &[], &[])], &BTreeSet::from([wanted("status")]));
        assert_eq!((inventory.occurrences[0].path.as_str(), inventory.occurrences.len(), unread.len()), ("var/lib/dpkg/status", 1, 0));
    }

    #[test]
    fn what_was_written_through_a_link_is_there() {
        let base = LayerReport { ways: vec![("lib".into(), Some("usr/lib".into()))], ..LayerReport::default() };
        let (inventory, unread) = compose_with(&[base, layer(vec![npm("lib/a/package.json", "a")], &[], &[])], &BTreeSet::new());
        assert_eq!((inventory.components.len(), inventory.problems.len(), unread.len()), (1, 0, 0));
    }

    #[test]
    fn packages_are_of_the_layer_that_brought_them() {
        let database = |digest: &str, packages: &[(&str, &str)]| {
            let mut file = FileReport { path: "var/lib/dpkg/status".into(), ..FileReport::default() };
            file.found = packages.iter().flat_map(|_| npm("", "").found).collect();
            for (found, (name, version)) in file.found.iter_mut().zip(packages) {
                (found.origin, found.name, found.version) = (Origin::OperatingSystem, (*name).to_owned(), (*version).to_owned());
            }
            let mut layer = layer(vec![file], &[], &[]);
            layer.digests.blob = digest.to_owned();
            layer
        };
        let inventory = compose(&[
            database("L0", &[("a", "1"), ("b", "1"), ("c", "1")]),
            database("L1", &[("a", "1"), ("b", "2"), ("d", "1")]),
            database("L2", &[("a", "1"), ("b", "2"), ("c", "1")]),
        ]);
        let brought: Vec<_> = inventory.occurrences.iter().map(|o| o.layer.as_deref().unwrap_or_default()).collect();
        assert_eq!((inventory.components.len(), brought), (3, vec!["L0", "L1", "L2"]));
    }

    #[test]
    fn packages_without_a_known_system_are_listed_and_said() {
        let mut file = npm("var/lib/dpkg/status", "bash");
        file.found[0].origin = Origin::OperatingSystem;
        let inventory = compose(&[layer(vec![file], &[], &[])]);
        assert_eq!((inventory.components.len(), inventory.problems[0].kind), (1, ProblemKind::UnknownSystem));
    }

    #[test]
    fn files_that_dpkg_owns_are_the_distributors() {
        let list = FileReport {
            path: "var/lib/dpkg/info/x.list".into(),
            owns: vec!["lib/node_modules/a/package.json".into()],
            ..FileReport::default()
        };
        let inventory = compose(&[layer(
            vec![npm("usr/lib/node_modules/a/package.json", "a"), npm("app/node_modules/b/package.json", "b"), list],
            &[],
            &[],
        )]);
        assert_eq!(inventory.components.iter().map(|c| c.os_owned).collect::<Vec<_>>(), [true, false]);
    }
}
