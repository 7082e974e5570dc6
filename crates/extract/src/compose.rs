//! Layers become one inventory: what is visible at the top, and nothing else.
//!
//! A file of an upper layer hides the same path below, a whiteout hides a path and all below it, an opaque folder hides what the
//! layers below have in it; each layer's own files come after its removals (OCI image specification, "Layer"). A package
//! database is a file, so the top-most one counts, and a language's package counts unless its file was removed.

use crate::{FileReport, Found, LayerReport, Origin};
use lestrade_model::{Component, Ecosystem, Family, Inventory, Occurrence, OsRelease, Problem, ProblemKind};
use std::collections::{BTreeMap, BTreeSet};

/// Links that are followed one after the other before it is called a circle.
const MAX_HOPS: usize = 40;

/// Puts layers together, the lowest first.
#[must_use]
pub fn compose(layers: &[LayerReport]) -> Inventory {
    let mut problems: Vec<Problem> = Vec::new();
    let mut visible: BTreeMap<&str, (&LayerReport, &FileReport)> = BTreeMap::new();
    for layer in layers {
        for folder in &layer.opaque {
            remove_below(&mut visible, folder);
        }
        for path in &layer.whiteouts {
            visible.remove(path.as_str());
            remove_below(&mut visible, path);
        }
        for file in &layer.files {
            visible.insert(&file.path, (layer, file));
        }
        problems.extend(layer.problems.iter().map(|problem| Problem { path: place(layer, &problem.path), ..problem.clone() }));
    }
    let mut files: Vec<(&LayerReport, &str, &FileReport)> = Vec::new();
    for (path, (layer, file)) in &visible {
        match follow(&visible, path, file) {
            Ok(target) => files.push((layer, path, target)),
            Err(detail) => problems.push(Problem { path: (*path).to_owned(), kind: ProblemKind::Unsupported, detail }),
        }
    }
    for (_, path, file) in &files {
        problems.extend(file.problems.iter().map(|(kind, detail)| Problem {
            path: (*path).to_owned(),
            kind: *kind,
            detail: detail.clone(),
        }));
    }
    let os = operating_system(&files);
    let ecosystem = os.as_ref().and_then(OsRelease::ecosystem);
    let owned: BTreeSet<&str> = files.iter().flat_map(|(_, _, file)| file.owns.iter().map(|path| merged(path))).collect();

    let mut found = Vec::new();
    let mut homeless = 0_usize;
    for (layer, path, file) in &files {
        for package in &file.found {
            homeless += usize::from(package.origin == Origin::OperatingSystem && ecosystem.is_none());
            let component = component(package, ecosystem.as_ref(), owned.contains(merged(path)));
            let occurrence = Occurrence {
                component: 0,
                path: (*path).to_owned(),
                layer: (!layer.digests.blob.is_empty()).then(|| layer.digests.blob.clone()),
                arch: package.arch.clone(),
                manager: package.manager,
            };
            found.push((component, occurrence));
        }
    }
    if homeless > 0 {
        let name = os.as_ref().map_or_else(|| "an operating system that does not say which it is".to_owned(), ToString::to_string);
        let detail = format!("{homeless} packages of {name} are listed and judged by nobody");
        problems.push(Problem { path: "etc/os-release".into(), kind: ProblemKind::UnknownSystem, detail });
    }
    Inventory::assemble(os, found, problems)
}

fn place(layer: &LayerReport, path: &str) -> String {
    match (layer.digests.blob.is_empty(), path.is_empty()) {
        (true, _) => path.to_owned(),
        (false, true) => layer.digests.blob.clone(),
        (false, false) => format!("{path} in {}", layer.digests.blob),
    }
}

fn remove_below(visible: &mut BTreeMap<&str, (&LayerReport, &FileReport)>, folder: &str) {
    if folder.is_empty() {
        return visible.clear();
    }
    let prefix = format!("{folder}/");
    visible.retain(|path, _| !path.starts_with(&prefix));
}

/// The file that a link leads to, or the file itself.
fn follow<'a>(
    visible: &BTreeMap<&str, (&LayerReport, &'a FileReport)>,
    path: &str,
    file: &'a FileReport,
) -> Result<&'a FileReport, String> {
    let (mut at, mut file) = (path.to_owned(), file);
    for _ in 0..MAX_HOPS {
        let Some(link) = &file.link else { return Ok(file) };
        at = resolve(&at, link);
        match visible.get(at.as_str()) {
            Some((_, target)) => file = target,
            None => return Err(format!("a link to '{at}', which was not read")),
        }
    }
    Err("links lead round in a circle".to_owned())
}

/// Where a link points, inside the root: `..` at the root stays there.
fn resolve(path: &str, link: &str) -> String {
    let mut parts: Vec<&str> = if link.starts_with('/') { vec![] } else { path.split('/').collect() };
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn operating_system(files: &[(&LayerReport, &str, &FileReport)]) -> Option<OsRelease> {
    ["etc/os-release", "usr/lib/os-release"]
        .iter()
        .find_map(|wanted| files.iter().find(|(_, path, _)| path == wanted).and_then(|(_, _, file)| file.os.clone()))
}

/// A path as it is on systems whose `/lib` is a link to `/usr/lib`: package lists keep the old spelling.
fn merged(path: &str) -> &str {
    path.strip_prefix("usr/").unwrap_or(path)
}

fn component(found: &Found, os: Option<&Ecosystem>, owned: bool) -> Component {
    let component = match &found.origin {
        Origin::OperatingSystem => {
            let ecosystem = os.cloned().unwrap_or_else(|| Ecosystem::of(Family::Other("unknown system".into())));
            Component::new(ecosystem, &found.name, &found.version)
        }
        Origin::Language(family) => Component::new(Ecosystem::of(family.clone()), &found.name, &found.version).owned_by_os(owned),
    };
    match &found.source {
        Some((name, version)) => component.from_source(name, version),
        None => component,
    }
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
