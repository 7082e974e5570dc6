//! Manifests beside lock files: what a project itself asks for, and what of that only its development uses. They name no packages;
//! one that is broken says nothing, and then everything that is locked counts.

use super::documents::{file_name, table};
use super::yarn_lock::plain;
use crate::project::{DEPLOYED, DEVELOPED, needs};
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};
use serde_json::Value as Json;
use toml::Value;

pub(super) struct Manifests;

impl Extractor for Manifests {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "manifests", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/package.json", "**/Cargo.toml", "**/pyproject.toml", "**/Project.toml", "**/JuliaProject.toml"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        match file_name(file.path) {
            _ if file.path.split('/').any(|part| part == "node_modules") => {}
            "package.json" => {
                if let Ok(document) = serde_json::from_str(&file.text()) {
                    node_project(&document, out);
                }
            }
            name => {
                if let Ok(document) = table(file) {
                    match name {
                        "Cargo.toml" => cargo(&document, out),
                        "pyproject.toml" => poetry(&document, out),
                        _ => julia(&document, out),
                    }
                }
            }
        }
        Ok(())
    }
}

fn node_project(document: &Json, out: &mut dyn InventorySink) {
    let lists =
        [("dependencies", DEPLOYED), ("optionalDependencies", DEPLOYED), ("peerDependencies", DEPLOYED), ("devDependencies", DEVELOPED)];
    for (list, root) in lists {
        for (name, range) in document.get(list).and_then(Json::as_object).into_iter().flatten() {
            if let Some(range) = range.as_str() {
                needs(Manager::Yarn, root, &plain(&format!("{name}@{range}")), out);
            }
        }
    }
}

fn inner<'a>(table: &'a toml::Table, way: &[&str]) -> Option<&'a toml::Table> {
    way.iter().try_fold(table, |table, key| table.get(*key)?.as_table())
}

fn cargo(document: &toml::Table, out: &mut dyn InventorySink) {
    let mut tables = vec![document];
    tables.extend(inner(document, &["workspace"]));
    tables.extend(inner(document, &["target"]).into_iter().flat_map(toml::Table::values).filter_map(Value::as_table));
    let lists = [("dependencies", DEPLOYED), ("build-dependencies", DEPLOYED), ("dev-dependencies", DEVELOPED)];
    for (table, (list, root)) in tables.into_iter().flat_map(|table| lists.map(|list| (table, list))) {
        for (name, about) in inner(table, &[list]).into_iter().flatten() {
            let real = about.get("package").and_then(Value::as_str).unwrap_or(name);
            needs(Manager::Cargo, root, real, out);
        }
    }
}

fn poetry(document: &toml::Table, out: &mut dyn InventorySink) {
    let mut ask = |root: &str, name: &str| needs(Manager::Poetry, root, &Family::PyPi.normalise(name), out);
    let list = |value: Option<&Value>| -> Vec<String> {
        let specs = value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        specs.map(|spec| spec.chars().take_while(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect()).collect()
    };
    list(inner(document, &["project"]).and_then(|project| project.get("dependencies"))).iter().for_each(|name| ask(DEPLOYED, name));
    for extra in inner(document, &["project", "optional-dependencies"]).into_iter().flat_map(toml::Table::values) {
        list(Some(extra)).iter().for_each(|name| ask(DEPLOYED, name));
    }
    for group in inner(document, &["dependency-groups"]).into_iter().flat_map(toml::Table::values) {
        list(Some(group)).iter().for_each(|name| ask(DEVELOPED, name));
    }
    let Some(poetry) = inner(document, &["tool", "poetry"]) else { return };
    for (way, root) in [(&["dependencies"][..], DEPLOYED), (&["dev-dependencies"], DEVELOPED)] {
        inner(poetry, way).into_iter().flat_map(toml::Table::keys).for_each(|name| ask(root, name));
    }
    for group in inner(poetry, &["group"]).into_iter().flat_map(toml::Table::values).filter_map(Value::as_table) {
        inner(group, &["dependencies"]).into_iter().flat_map(toml::Table::keys).for_each(|name| ask(DEVELOPED, name));
    }
}

fn julia(document: &toml::Table, out: &mut dyn InventorySink) {
    for (list, root) in [("deps", DEPLOYED), ("extras", DEVELOPED)] {
        inner(document, &[list]).into_iter().flat_map(toml::Table::keys).for_each(|name| needs(Manager::Julia, root, name, out));
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;

    fn words(path: &str, content: &str) -> Vec<String> {
        read(path, content).found.iter().map(|word| format!("{}>{}", word.name.trim(), word.version)).collect()
    }

    #[test]
    fn who_asks_for_what() {
        assert_eq!(
            words("package.json", r#"{"dependencies": {"a": "^1"}, "devDependencies": {"b": "npm:c@^2"}}"#),
            [">a@^1", "development>b@c@^2"]
        );
        let cargo = "[dependencies]\na = { package = \"real\", version = \"1\" }\n[target.'cfg(unix)'.dependencies]\nb = \"1\"\n[dev-dependencies]\nc = \"1\"\n";
        assert_eq!(words("Cargo.toml", cargo), [">real", "development>c", ">b"]);
        let poetry = "[project]\ndependencies = [\"A_b>=1\"]\n[tool.poetry.group.test.dependencies]\npytest = \"*\"\n";
        assert_eq!(words("pyproject.toml", poetry), [">a-b", "development>pytest"]);
        assert_eq!(words("Project.toml", "[deps]\nA = \"1\"\n[extras]\nB = \"2\"\n"), [">A", "development>B"]);
    }

    #[test]
    fn a_broken_manifest_says_nothing() {
        for path in ["package.json", "Cargo.toml", "node_modules/x/Cargo.toml"] {
            let report = read(path, "{");
            assert_eq!((report.found.len(), report.problems.len()), (0, 0));
        }
    }
}
