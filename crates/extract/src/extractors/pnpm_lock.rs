//! pnpm's `pnpm-lock.yaml`: lock file versions 5, 6 and 9, several documents in one.
//!
//! Until version 6 each package says whether only development needs it. Since version 9 that follows from the graph: what the
//! importers' dependencies lead to is deployed.

use super::documents::{package, yaml};
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct PnpmLock;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lock {
    lockfile_version: String,
    #[serde(default)]
    importers: BTreeMap<String, Importer>,
    packages: Option<BTreeMap<String, Package>>,
    snapshots: Option<BTreeMap<String, Option<Snapshot>>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Importer {
    dependencies: BTreeMap<String, Resolved>,
    optional_dependencies: BTreeMap<String, Resolved>,
}

/// `1.0.0` in older files, with its specifier in newer ones.
#[derive(Deserialize)]
#[serde(untagged)]
enum Resolved {
    Full { version: String },
    Short(String),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Package {
    name: Option<String>,
    version: Option<String>,
    dev: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Snapshot {
    dependencies: BTreeMap<String, String>,
    optional_dependencies: BTreeMap<String, String>,
}

impl Extractor for PnpmLock {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "pnpm-lock", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/pnpm-lock.yaml"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        if file.path.split('/').any(|part| part == "node_modules") {
            return Ok(());
        }
        let locks: Vec<Lock> = yaml(file)?;
        if locks.is_empty() {
            return Err(ExtractError::Malformed("it is empty".into()));
        }
        for lock in locks {
            match lock.lockfile_version.split('.').next().and_then(|major| major.parse::<u32>().ok()) {
                Some(5) => lock.marked(folders, out),
                Some(6 | 7) => lock.marked(|key| at_sign(key.trim_start_matches('/')), out),
                Some(9) => lock.reached(out),
                _ => {
                    let version: String = lock.lockfile_version.chars().take(20).collect();
                    return Err(ExtractError::Unsupported(format!("lock files of version '{version}' are not read")));
                }
            }
        }
        Ok(())
    }
}

impl Lock {
    fn marked(&self, parse: impl Fn(&str) -> Option<(&str, &str)>, out: &mut dyn InventorySink) {
        for (key, locked) in self.packages.iter().flatten().filter(|(_, locked)| !locked.dev) {
            locked.push(parse(key), out);
        }
    }

    fn reached(&self, out: &mut dyn InventorySink) {
        let packages = self.packages.iter().flatten();
        let Some(snapshots) = &self.snapshots else {
            packages.for_each(|(key, locked)| locked.push(at_sign(key), out));
            return;
        };
        // Dependencies name a snapshot by name and version, or by its whole key where it goes by another name.
        let find = |name: &str, version: &str| {
            let key = format!("{name}@{version}");
            snapshots.get_key_value(&key).or_else(|| snapshots.get_key_value(version)).map(|(key, _)| key.as_str())
        };
        let importers = self.importers.values().flat_map(|importer| importer.dependencies.iter().chain(&importer.optional_dependencies));
        let version = |resolved: &'_ Resolved| match resolved {
            Resolved::Full { version } | Resolved::Short(version) => version.clone(),
        };
        let mut open: Vec<&str> = importers.filter_map(|(name, resolved)| find(name, &version(resolved))).collect();
        let mut seen: BTreeSet<&str> = open.iter().copied().collect();
        while let Some(key) = open.pop() {
            let Some(Some(snapshot)) = snapshots.get(key) else { continue };
            let needed = snapshot.dependencies.iter().chain(&snapshot.optional_dependencies);
            open.extend(needed.filter_map(|(name, version)| find(name, version)).filter(|key| seen.insert(key)));
        }
        // Snapshots of one package differ by the peers that they see.
        let deployed: BTreeSet<&str> = seen.into_iter().map(without_peers).collect();
        packages.filter(|(key, _)| deployed.contains(key.as_str())).for_each(|(key, locked)| locked.push(at_sign(key), out));
    }
}

impl Package {
    fn push(&self, key: Option<(&str, &str)>, out: &mut dyn InventorySink) {
        let name = self.name.as_deref().or(key.map(|(name, _)| name));
        let Some(name) = name else {
            out.problem(ExtractError::Malformed("a package has no name".into()));
            return;
        };
        // A folder or an archive says no version in its key; then the version may be any.
        let version = self.version.as_deref().or(key.map(|(_, version)| version).filter(|v| v.starts_with(|c: char| c.is_ascii_digit())));
        out.found(package(Family::Npm, Manager::Pnpm, name, version.unwrap_or_default()));
    }
}

fn without_peers(key: &str) -> &str {
    key.split('(').next().unwrap_or(key)
}

/// Version 5: `/name/version`, `/@scope/name/version_peers`, `registry/name/version`.
fn folders(key: &str) -> Option<(&str, &str)> {
    let path = match key.strip_prefix('/') {
        Some(path) => path,
        None => key.split_once('/')?.1,
    };
    let (name, version) = path.rsplit_once('/').filter(|(name, _)| !name.starts_with('@') || name.contains('/')).or_else(|| {
        // Peers of a scope have a slash of their own: `a/1.0.0_@s/b@1.0.0`.
        path.split_once('/')
    })?;
    let (name, version) = match name.split_once("/") {
        Some((first, rest)) if !first.starts_with('@') => (first, rest),
        Some((scope, rest)) => rest.split_once('/').map_or((name, version), |(inner, rest)| (&name[..=scope.len() + inner.len()], rest)),
        None => (name, version),
    };
    Some((name, version.split('_').next().unwrap_or(version)))
}

/// Since version 6: `name@version`, `@scope/name@version(peers)`.
fn at_sign(key: &str) -> Option<(&str, &str)> {
    let key = without_peers(key);
    let at = key.get(1..)?.find('@')? + 1;
    Some((&key[..at], &key[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};
    use super::folders;
    use lestrade_model::ProblemKind;

    #[test]
    fn version_5_and_6_mark_development() {
        let v5 = "lockfileVersion: 5.4\npackages:\n  /@s/a/1.10.0_b@1.0.0:\n    dev: false\n  /c/2.0.0:\n    resolution: {integrity: x}\n  /d/3.0.0:\n    dev: true\n";
        assert_eq!(packages("pnpm-lock.yaml", v5), ["@s/a 1.10.0", "c 2.0.0"]);
        let v6 = "lockfileVersion: '6.0'\npackages:\n  /@s/a@1.0.0(b@1.0.0):\n    dev: false\n  '@codeload.github.com/x/tar.gz/2f':\n    name: x\n    version: 2.0.1\n  /d@3.0.0:\n    dev: true\n";
        assert_eq!(packages("pnpm-lock.yaml", v6), ["@s/a 1.0.0", "x 2.0.1"]);
    }

    #[test]
    fn keys_of_version_5() {
        for (key, name, version) in [
            ("/a/1.0.0", "a", "1.0.0"),
            ("/@s/a/1.0.0", "@s/a", "1.0.0"),
            ("registry.npmjs.org/a/1.0.0", "a", "1.0.0"),
            ("/a/1.0.0_@s/b@2.0.0", "a", "1.0.0"),
            ("/@s/a/1.0.0_@s/b@2.0.0", "@s/a", "1.0.0"),
        ] {
            assert_eq!(folders(key), Some((name, version)), "{key}");
        }
        assert_eq!(folders("/"), None);
    }

    #[test]
    fn version_9_is_a_graph() {
        let lock = "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      a:\n        specifier: ^1\n        version: 1.0.0(p@1.0.0)\n    \
                    devDependencies:\n      d:\n        specifier: ^1\n        version: 1.0.0\npackages:\n  a@1.0.0: {}\n  b@2.0.0: {}\n  d@1.0.0: {}\n  \
                    f@file:f: {}\nsnapshots:\n  a@1.0.0(p@1.0.0):\n    dependencies:\n      b: 2.0.0\n      alias: f@file:f\n  b@2.0.0:\n    dependencies:\n      a: 1.0.0(p@1.0.0)\n  \
                    d@1.0.0: {}\n  f@file:f: {}\n";
        let project_and_tools = format!(
            "lockfileVersion: '9.0'\nimporters:\n  .: {{}}\npackages:\n  pnpm@1.0.0: {{}}\nsnapshots:\n  pnpm@1.0.0: {{}}\n---\n{lock}"
        );
        for lock in [lock, &project_and_tools] {
            assert_eq!(packages("pnpm-lock.yaml", lock), ["a 1.0.0", "b 2.0.0", "f "]);
        }
    }

    #[test]
    fn what_is_not_understood_is_said() {
        assert_eq!(read("pnpm-lock.yaml", "lockfileVersion: 3.0\n").problems[0].0, ProblemKind::Unsupported);
        assert_eq!(read("pnpm-lock.yaml", "packages: [").problems[0].0, ProblemKind::Malformed);
        let bomb =
            format!("lockfileVersion: '9.0'\na: &a [x, x]\n{}", (0..40).map(|i| format!("b{i}: &b{i} [*a, *a]\n")).collect::<String>());
        assert!(read("pnpm-lock.yaml", &bomb).found.is_empty());
    }
}
