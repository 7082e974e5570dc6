//! Python's lock files: what a project pins, whether installed here or not.

use crate::{ExtractError, Extractor, ExtractorId, Found, InventorySink, Origin, WantedFile};
use lestrade_model::{Family, Manager};
use serde_json::Value;

pub(super) struct PythonLock;

impl Extractor for PythonLock {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "python-lock", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/requirements.txt", "**/Pipfile.lock", "**/poetry.lock", "**/uv.lock"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        match name {
            "requirements.txt" => requirements(&file.text(), out),
            "Pipfile.lock" => pipfile(file, out)?,
            "poetry.lock" => packages(file, Manager::Poetry, out)?,
            _ => packages(file, Manager::Uv, out)?,
        }
        Ok(())
    }
}

fn push(name: &str, version: &str, manager: Manager, out: &mut dyn InventorySink) {
    out.found(Found {
        origin: Origin::Language(Family::PyPi),
        name: name.to_owned(),
        version: version.to_owned(),
        source: None,
        arch: None,
        manager,
    });
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

/// `poetry.lock` and `uv.lock` agree on `[[package]] name, version`. A project's own entry comes from no index.
fn packages(file: &WantedFile<'_>, manager: Manager, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
    let document: toml::Table = file.text().parse().map_err(|error: toml::de::Error| {
        ExtractError::Malformed(format!("not valid TOML ({})", error.message().lines().next().unwrap_or_default()))
    })?;
    let packages = document.get("package").and_then(toml::Value::as_array);
    for package in packages.into_iter().flatten() {
        let text = |key: &str| package.get(key).and_then(toml::Value::as_str);
        let is_local = package.get("source").is_some_and(|s| ["virtual", "editable", "directory"].iter().any(|kind| s.get(kind).is_some()));
        match (text("name"), text("version")) {
            (Some(name), Some(version)) if !is_local => push(name, version, manager, out),
            (Some(_), _) if is_local => {}
            _ => out.problem(ExtractError::Malformed("a package has no name or no version".into())),
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
        assert_eq!(packages("poetry.lock", "[[package]]\nname = \"six\"\nversion = \"1.16.0\"\n"), ["six 1.16.0"]);
        let uv = "version = 1\n[[package]]\nname = \"me\"\nversion = \"0.1\"\nsource = { virtual = \".\" }\n[[package]]\nname = \"six\"\nversion = \"1.16.0\"\n";
        assert_eq!(packages("uv.lock", uv), ["six 1.16.0"]);
    }

    #[test]
    fn a_lock_that_is_cut_is_said() {
        assert_eq!(read("Pipfile.lock", r#"{"default": {"six""#).problems[0].1, "the JSON ends at line 1 column 18");
        assert_eq!(read("poetry.lock", "[[package").problems.len(), 1);
    }
}
