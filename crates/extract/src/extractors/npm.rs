//! Node packages: npm's lock files, versions 1 to 3, and what is installed under `node_modules`.

use super::documents::package;
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) struct PackageLock;
pub(super) struct InstalledNode;

fn push(name: &str, version: &str, manager: Manager, out: &mut dyn InventorySink) {
    out.found(package(Family::Npm, manager, name, version));
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default, rename = "lockfileVersion")]
    version: Option<Value>,
    /// Versions 2 and 3: by the folder that each is installed in.
    #[serde(default)]
    packages: Option<BTreeMap<String, Locked>>,
    /// Version 1: by name, nested.
    #[serde(default)]
    dependencies: Option<BTreeMap<String, Dependency>>,
}

#[derive(Deserialize)]
struct Locked {
    name: Option<String>,
    version: Option<String>,
    #[serde(default)]
    dev: bool,
    #[serde(default)]
    link: bool,
    resolved: Option<String>,
}

#[derive(Deserialize)]
struct Dependency {
    version: Option<String>,
    #[serde(default)]
    dev: bool,
    #[serde(default)]
    dependencies: Option<BTreeMap<String, Dependency>>,
}

impl Extractor for PackageLock {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "npm-lock", version: 2 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/package-lock.json", "**/npm-shrinkwrap.json"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        // The lock of an installed package describes its author's machine.
        if file.path.split('/').any(|part| part == "node_modules") {
            return Ok(());
        }
        let lock: Lock = serde_json::from_str(&file.text()).map_err(|error| ExtractError::json(&error))?;
        match (lock.packages, lock.dependencies) {
            (Some(packages), _) => {
                // A workspace lies in a folder of its own; the link to it says its name.
                let linked = packages.iter().filter(|(_, package)| package.link);
                let names: BTreeMap<&str, &str> =
                    linked.filter_map(|(folder, package)| Some((package.resolved.as_deref()?, installed_as(folder)?))).collect();
                packages.iter().for_each(|(folder, package)| locked(folder, package, &names, out));
            }
            (None, Some(dependencies)) => nested(&dependencies, out),
            (None, None) if lock.version.is_none() => return Err(ExtractError::Malformed("it is no lock file".into())),
            (None, None) => {}
        }
        Ok(())
    }
}

/// What follows the last `node_modules/`.
fn installed_as(folder: &str) -> Option<&str> {
    folder.rsplit_once("node_modules/").map(|(_, name)| name)
}

/// An entry of `packages`: the real name is `name` where an alias was installed, else that of its folder or of the link to it.
fn locked(folder: &str, package: &Locked, links: &BTreeMap<&str, &str>, out: &mut dyn InventorySink) {
    if package.dev || package.link {
        return;
    }
    let name = package.name.as_deref().filter(|_| !folder.is_empty());
    let Some(name) = name.or_else(|| installed_as(folder)).or_else(|| links.get(folder).copied()) else { return };
    if let Some(version) = &package.version {
        push(name, version, Manager::Npm, out);
    }
}

fn nested(dependencies: &BTreeMap<String, Dependency>, out: &mut dyn InventorySink) {
    for (name, dependency) in dependencies {
        if dependency.dev {
            continue;
        }
        // An alias: `npm:real-name@1.2.3`.
        match dependency.version.as_deref() {
            Some(version) => match version.strip_prefix("npm:").and_then(|real| real.rsplit_once('@')) {
                Some((real, version)) => push(real, version, Manager::Npm, out),
                None => push(name, version, Manager::Npm, out),
            },
            None => out.problem(ExtractError::Malformed("a dependency has no version".into())),
        }
        if let Some(inner) = &dependency.dependencies {
            nested(inner, out);
        }
    }
}

impl Extractor for InstalledNode {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "node-installed", version: 2 }
    }

    fn wants(&self) -> &'static [&'static str] {
        // Packages bring others along in folders of their own; Debian installs its packages elsewhere.
        &["**/node_modules/**/package.json", "usr/share/nodejs/**/package.json"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let document: Value = match serde_json::from_str(&file.text()) {
            Ok(document) => document,
            // What lies inside a package and is no JSON is what its tests are about: nobody loads it.
            Err(_) if !is_of_a_package(file.path) => return Ok(()),
            Err(error) => return Err(ExtractError::json(&error)),
        };
        let text = |key: &str| document.get(key).and_then(Value::as_str).filter(|value| !value.is_empty());
        // Folders without a name or version are parts of packages, not packages.
        if let (Some(name), Some(version)) = (text("name"), text("version")) {
            push(name, version, Manager::NodePackage, out);
        }
        Ok(())
    }
}

/// Whether a `package.json` lies where a package is installed, and not deeper.
fn is_of_a_package(path: &str) -> bool {
    let below = path.rsplit_once("node_modules/").or_else(|| path.rsplit_once("usr/share/nodejs/")).map_or(path, |(_, below)| below);
    let folders = below.matches('/').count();
    folders == 1 || (folders == 2 && below.starts_with('@'))
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};

    #[test]
    fn lock_files_of_all_versions() {
        let v1 = r#"{"dependencies": {"a": {"version": "1.0.0", "dependencies": {"b": {"version": "2.0.0"}}},
                     "c": {"version": "npm:real@3.0.0"}, "d": {"version": "4.0.0", "dev": true}}}"#;
        assert_eq!(packages("package-lock.json", v1), ["a 1.0.0", "b 2.0.0", "real 3.0.0"]);
        let v3 = r#"{"packages": {"": {"name": "me", "version": "0"}, "node_modules/@s/a": {"version": "1.0.0"},
                     "node_modules/x/node_modules/b": {"version": "2.0.0"}, "node_modules/alias": {"name": "real", "version": "3.0.0"},
                     "node_modules/d": {"version": "4.0.0", "dev": true}, "node_modules/w": {"link": true, "resolved": "packages/w"},
                     "packages/w": {"version": "0"}}}"#;
        assert_eq!(packages("app/package-lock.json", v3), ["@s/a 1.0.0", "real 3.0.0", "b 2.0.0", "w 0"]);
        assert_eq!(packages("node_modules/x/package-lock.json", v3), [""; 0]);
    }

    #[test]
    fn installed_packages() {
        let manifest = r#"{"name": "@s/a", "version": "1.0.0"}"#;
        assert_eq!(packages("app/node_modules/@s/a/package.json", manifest), ["@s/a 1.0.0"]);
        assert_eq!(packages("usr/share/nodejs/@s/a/package.json", manifest), ["@s/a 1.0.0"]);
        assert_eq!(packages("app/package.json", manifest), [""; 0]);
    }

    #[test]
    fn what_packages_bring_along_is_found_and_their_broken_tests_are_no_problem() {
        let brought = "app/node_modules/a/vendor/b/package.json";
        assert_eq!(packages(brought, r#"{"name": "b", "version": "2.0.0"}"#), ["b 2.0.0"]);
        assert_eq!(packages("app/node_modules/a/dist/package.json", r#"{"type": "module"}"#), [""; 0]);
        assert_eq!(read(brought, "{").problems, []);
        for path in ["app/node_modules/a/package.json", "app/node_modules/@s/a/package.json", "node_modules/a/node_modules/b/package.json"]
        {
            assert_eq!(read(path, "{").problems.len(), 1, "{path}");
        }
    }

    #[test]
    fn hostile_documents_are_problems() {
        let deep = format!("{}1{}", "{\"a\":".repeat(200_000), "}".repeat(200_000));
        for content in ["{\"packages\": {", &deep, "[]", ""] {
            assert_eq!(read("package-lock.json", content).problems.len(), 1);
        }
    }
}
