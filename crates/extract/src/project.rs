//! Files of one project, read together: a lock file says what is locked, the manifest beside it what only development needs.
//!
//! Each file is read alone and leaves words ([`Origin::Needs`]) about who needs whom; here they become one graph for each lock. A
//! package is left out when development leads to it and deployment does not. Where a word is missing, more is listed, never less.

use crate::report::{Found, Origin};
use crate::{FileReport, InventorySink};
use lestrade_model::Manager;
use std::collections::{HashMap, HashSet};

/// Who needs what is deployed with the project.
pub(crate) const DEPLOYED: &str = "";
/// Who needs what only its development uses.
pub(crate) const DEVELOPED: &str = " development";
/// What a `go.mod` needs that does not name all modules itself.
pub(crate) const GO_SUM: &str = "go.sum";

/// Says that `from` needs `to`, in the terms of one manager's lock file.
pub(crate) fn needs(manager: Manager, from: &str, to: &str, out: &mut dyn InventorySink) {
    out.found(Found {
        origin: Origin::Needs,
        name: from.to_owned(),
        version: to.to_owned(),
        source: None,
        arch: None,
        module: None,
        manager,
    });
}

/// What a locked package is called in the graph.
pub(crate) fn node(name: &str, version: &str) -> String {
    format!("{name} {version}")
}

/// What is left of each file's packages, in the order of the files.
pub(crate) fn kept<'a>(files: &[(&str, &'a FileReport)]) -> Vec<Vec<&'a Found>> {
    let manifests: Vec<&(&str, &FileReport)> = files.iter().filter(|(_, file)| words(file).any(|word| is_root(&word.name))).collect();
    let packages = |file: &'a FileReport| file.found.iter().filter(|found| found.origin != Origin::Needs);
    let of_file = |(path, file): &(&str, &'a FileReport)| {
        if path.ends_with(GO_SUM) && path.rsplit('/').next() == Some(GO_SUM) {
            return go_sum(path, file, files);
        }
        let Some(manager) = words(file).find(|word| !is_root(&word.name)).map(|word| word.manager) else {
            return packages(file).collect();
        };
        let beside = manifests.iter().filter(|(manifest, _)| manifest.starts_with(folder(path))).flat_map(|(_, file)| words(file));
        let roots: Vec<&Found> = beside.filter(|word| word.manager == manager && is_root(&word.name)).collect();
        let graph = Graph::of(words(file).chain(roots.iter().copied()));
        let (deployed, developed) = (graph.reached(DEPLOYED), graph.reached(DEVELOPED));
        let only_developed = |found: &&Found| {
            let node = node(&found.name, &found.version);
            developed.contains(node.as_str()) && !deployed.contains(node.as_str())
        };
        packages(file).filter(|found| !only_developed(found)).collect()
    };
    files.iter().map(of_file).collect()
}

fn words(file: &FileReport) -> impl Iterator<Item = &Found> {
    file.found.iter().filter(|found| found.origin == Origin::Needs)
}

fn is_root(name: &str) -> bool {
    name == DEPLOYED || name == DEVELOPED
}

/// The folder of a file, with its slash.
fn folder(path: &str) -> &str {
    path.rfind('/').map_or("", |slash| &path[..=slash])
}

/// Since Go 1.17 `go.mod` names all that is built in; before, `go.sum` knows the rest.
fn go_sum<'a>(path: &str, sum: &'a FileReport, files: &[(&str, &FileReport)]) -> Vec<&'a Found> {
    let module = files.iter().find(|(other, _)| other.strip_suffix("go.mod") == Some(folder(path)));
    let Some((_, module)) = module else { return sum.found.iter().collect() };
    if !words(module).any(|word| word.version == GO_SUM) {
        return Vec::new();
    }
    let named: HashSet<&str> = module.found.iter().map(|found| found.name.as_str()).collect();
    sum.found.iter().filter(|found| !named.contains(found.name.as_str())).collect()
}

#[derive(Default)]
struct Graph<'a> {
    needs: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> Graph<'a> {
    fn of(words: impl Iterator<Item = &'a Found>) -> Self {
        let mut graph = Self::default();
        for word in words {
            graph.needs.entry(word.name.as_str()).or_default().push(&word.version);
        }
        graph
    }

    fn reached(&self, root: &'a str) -> HashSet<&'a str> {
        let mut seen = HashSet::from([root]);
        let mut open = vec![root];
        while let Some(name) = open.pop() {
            // A range that the lock does not know, as overrides leave it, may be any version of that name.
            let any = || name.rfind('@').filter(|at| *at > 0).and_then(|at| self.needs.get(&name[..at]));
            let needed = self.needs.get(name).or_else(any);
            open.extend(needed.into_iter().flatten().filter(|needed| seen.insert(needed)));
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extractors::read;

    fn names(files: &[(&str, &str)]) -> Vec<String> {
        let reports: Vec<FileReport> = files.iter().map(|(path, content)| read(path, content)).collect();
        let files: Vec<(&str, &FileReport)> = reports.iter().map(|file| (file.path.as_str(), file)).collect();
        kept(&files).into_iter().flatten().map(|found| node(&found.name, &found.version)).collect()
    }

    #[test]
    fn what_only_development_leads_to_is_left_out() {
        let lock = "a@^1:\n  version \"1.0.0\"\n  dependencies:\n    c \"^1\"\n\nb@^1:\n  version \"1.0.0\"\n  dependencies:\n    c \"^1\"\n    d \"*\"\n\n\
                    c@^1:\n  version \"1.0.0\"\n\nd@*:\n  version \"1.0.0\"\n";
        let manifest = r#"{"dependencies": {"a": "^1"}, "devDependencies": {"b": "^1"}}"#;
        assert_eq!(names(&[("x/yarn.lock", lock), ("x/package.json", manifest)]), ["a 1.0.0", "c 1.0.0"]);
        assert_eq!(names(&[("x/yarn.lock", lock), ("y/package.json", manifest)]).len(), 4, "another project's manifest");
        let workspace = r#"{"dependencies": {"b": "^1"}}"#;
        assert_eq!(names(&[("x/yarn.lock", lock), ("x/package.json", manifest), ("x/w/package.json", workspace)]).len(), 4);
        assert_eq!(names(&[("x/yarn.lock", lock), ("x/package.json", "{")]).len(), 4, "a manifest that is broken");
    }

    #[test]
    fn a_range_that_was_overridden_may_be_any() {
        let lock = "a@2.0.0:\n  version \"2.0.0\"\n";
        let manifest = r#"{"dependencies": {"a": "^1"}, "devDependencies": {"a": "2.0.0"}}"#;
        assert_eq!(names(&[("yarn.lock", lock), ("package.json", manifest)]), ["a 2.0.0"]);
    }

    #[test]
    fn old_modules_need_their_sums() {
        let sum = "m.org/a v1.0.0 h1:x\nm.org/b v1.0.0 h1:x\nm.org/b v1.1.0/go.mod h1:x\n";
        let module = |go: &str| format!("module me\n\ngo {go}\n\nrequire m.org/a v1.2.0\n");
        assert_eq!(names(&[("go.mod", &module("1.16")), ("go.sum", sum)]), ["m.org/a v1.2.0", "m.org/b v1.1.0"]);
        assert_eq!(names(&[("go.mod", &module("1.17")), ("go.sum", sum)]), ["m.org/a v1.2.0"]);
    }
}
