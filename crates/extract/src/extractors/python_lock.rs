//! Python's lock files: what a project pins, whether installed here or not.

use super::documents::{nameless, package, table, text};
use crate::project::{needs, node};
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) struct PythonLock;

impl Extractor for PythonLock {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "python-lock", version: 3 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/requirements.txt", "**/Pipfile.lock", "**/poetry.lock", "**/uv.lock", "**/pylock.toml", "**/pylock.*.toml"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        match name {
            "requirements.txt" => requirements(&file.text(), out),
            "Pipfile.lock" => pipfile(file, out)?,
            "poetry.lock" => poetry(file, out)?,
            "uv.lock" => uv(file, out)?,
            _ => pylock(file, out)?,
        }
        Ok(())
    }
}

fn push(name: &str, version: &str, manager: Manager, out: &mut dyn InventorySink) {
    out.found(package(Family::PyPi, manager, name, version));
}

/// Only exact pins say what would be installed: `name[extras]==version ; markers # comment`.
fn requirements(text: &str, out: &mut dyn InventorySink) {
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let line = line.split(';').next().unwrap_or_default();
        let line = line.split(" --").next().unwrap_or_default().trim().trim_end_matches('\\').trim();
        let Some((name, version)) = line.split_once("==") else { continue };
        let name = name.split('[').next().unwrap_or_default().trim();
        let version = version.trim_start_matches('=').trim();
        let plain = |s: &str, extra: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c));
        if plain(name, "._-") && plain(version, ".+!_-") {
            push(name, version, Manager::Pip, out);
        }
    }
}

fn pipfile(file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
    let document: Value = serde_json::from_str(&file.text()).map_err(|error| ExtractError::json(&error))?;
    let default =
        document.get("default").and_then(Value::as_object).ok_or_else(|| ExtractError::Malformed("it has no 'default' packages".into()))?;
    for (name, package) in default {
        if let Some(version) = package.get("version").and_then(Value::as_str) {
            push(name, version.trim_start_matches("=="), Manager::Pip, out);
        }
    }
    Ok(())
}

/// The `[[package]]` tables, on which both locks agree.
fn packages(document: &toml::Table) -> impl Iterator<Item = &toml::Value> {
    document.get("package").and_then(toml::Value::as_array).into_iter().flatten()
}

fn named(package: &toml::Value, manager: Manager, out: &mut dyn InventorySink) {
    match (text(package, "name"), text(package, "version")) {
        (Some(name), Some(version)) => push(name, version, manager, out),
        _ => out.problem(ExtractError::Malformed("a package has no name or no version".into())),
    }
}

/// Development dependencies are told by `category` in older locks and by `groups` in newer ones; those in between do not tell.
fn poetry(file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
    for package in packages(&table(file)?) {
        let groups = package.get("groups").and_then(toml::Value::as_array);
        let only_for_development = text(package, "category").is_some_and(|category| category == "dev")
            || groups.is_some_and(|groups| !groups.iter().any(|group| group.as_str() == Some("main")));
        if only_for_development {
            continue;
        }
        named(package, Manager::Poetry, out);
        // Locks of the middle years leave it to the manifest.
        if let (None, Some(name), Some(version)) = (groups, text(package, "name"), text(package, "version")) {
            let node = node(name, version);
            needs(Manager::Poetry, &Family::PyPi.normalise(name), &node, out);
            for dependency in package.get("dependencies").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys) {
                needs(Manager::Poetry, &node, &Family::PyPi.normalise(dependency), out);
            }
        }
    }
    Ok(())
}

/// What the project's own packages lead to; what only their development groups lead to is not deployed.
fn uv(file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
    let document = table(file)?;
    let local = |package: &toml::Value| {
        package.get("source").is_some_and(|s| ["virtual", "editable", "directory"].iter().any(|kind| s.get(kind).is_some()))
    };
    let (own, foreign): (Vec<&toml::Value>, Vec<&toml::Value>) = packages(&document).partition(|package| local(package));
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&toml::Value> = own.clone();
    while let Some(package) = open.pop() {
        let optional = package.get("optional-dependencies").and_then(toml::Value::as_table);
        let lists = package.get("dependencies").into_iter().chain(optional.into_iter().flat_map(toml::Table::values));
        for name in lists.filter_map(toml::Value::as_array).flatten().filter_map(|dependency| text(dependency, "name")) {
            if wanted.insert(name) {
                open.extend(foreign.iter().filter(|package| text(package, "name") == Some(name)));
            }
        }
    }
    for package in foreign {
        // A lock without a project of its own tells nothing about development.
        if own.is_empty() || text(package, "name").is_none_or(|name| wanted.contains(name)) {
            named(package, Manager::Uv, out);
        }
    }
    Ok(())
}

/// The format that all installers may write (PEP 751). A folder is the project's own; an archive or a repository may say no version.
fn pylock(file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
    let document = table(file)?;
    let packages = document.get("packages").and_then(toml::Value::as_array);
    for package in packages.ok_or_else(|| ExtractError::Malformed("it has no packages".into()))? {
        match (text(package, "name"), text(package, "version")) {
            (Some(_), None) if package.get("directory").is_some() => {}
            (Some(name), version) => push(name, version.unwrap_or_default(), Manager::Pip, out),
            (None, _) => nameless(out),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};

    #[test]
    fn exact_pins_only() {
        let text = "# c\nDjango==3.2.1 ; python_version > '3'\nrequests[socks]==2.28.1 --hash=sha256:0\nflask>=2\n-r other.txt\nx==1.* \n";
        assert_eq!(packages("app/requirements.txt", text), ["Django 3.2.1", "requests 2.28.1"]);
    }

    #[test]
    fn locks() {
        assert_eq!(
            packages("Pipfile.lock", r#"{"default": {"six": {"version": "==1.16.0"}}, "develop": {"x": {"version": "==1"}}}"#),
            ["six 1.16.0"]
        );
        let poetry =
            "[[package]]\nname = \"six\"\nversion = \"1.16.0\"\n[[package]]\nname = \"pytest\"\nversion = \"7\"\ngroups = [\"dev\"]\n";
        assert_eq!(packages("poetry.lock", poetry), ["six 1.16.0"]);
        let uv = "version = 1\n[[package]]\nname = \"me\"\nversion = \"0.1\"\nsource = { virtual = \".\" }\ndependencies = [{ name = \"six\" }]\n[[package]]\nname = \"pytest\"\nversion = \"7\"\n[[package]]\nname = \"six\"\nversion = \"1.16.0\"\n";
        assert_eq!(packages("uv.lock", uv), ["six 1.16.0"]);
    }

    #[test]
    fn the_format_of_all_installers() {
        let lock = "lock-version = \"1.0\"\n[[packages]]\nname = \"six\"\nversion = \"1.16.0\"\n[[packages]]\nname = \"me\"\ndirectory = { path = \".\" }\n";
        for path in ["pylock.toml", "app/pylock.dev.toml"] {
            assert_eq!(packages(path, lock), ["six 1.16.0"]);
        }
        assert_eq!(read("pylock.toml", "lock-version = \"1.0\"").problems.len(), 1);
    }

    #[test]
    fn a_lock_that_is_cut_is_said() {
        assert_eq!(read("Pipfile.lock", r#"{"default": {"six""#).problems[0].1, "the JSON ends at line 1 column 18");
        assert_eq!(read("poetry.lock", "[[package").problems.len(), 1);
    }
}
