//! .NET: what a program was published with (`*.deps.json`), and NuGet's lock files, references and central versions.

use super::documents::{Element, file_name, json, member, nameless, package, xml};
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(super) struct DotNetDeps;
pub(super) struct NuGet;

#[derive(Deserialize)]
struct Deps {
    #[serde(default, rename = "runtimeTarget")]
    runtime_target: Target,
    #[serde(default)]
    targets: BTreeMap<String, Map<String, Value>>,
    libraries: Map<String, Value>,
}

#[derive(Default, Deserialize)]
struct Target {
    #[serde(default)]
    name: String,
}

impl Extractor for DotNetDeps {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "dotnet-deps", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/*.deps.json"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let deps: Deps = json(file)?;
        let target = deps.targets.get(&deps.runtime_target.name);
        for (library, about) in &deps.libraries {
            let kind = member(about, "type").unwrap_or_default();
            let Some((name, version)) = library.split_once('/').filter(|(name, version)| !name.is_empty() && !version.is_empty()) else {
                nameless(out);
                continue;
            };
            // A library of which the target takes no file stands for others only.
            let empty = target.and_then(|target| target.get(library)).is_some_and(|assets| !has_files(assets));
            if kind != "project" && empty {
                continue;
            }
            let name = if kind == "runtimepack" { name.strip_prefix("runtimepack.").unwrap_or(name) } else { name };
            out.found(package(Family::NuGet, Manager::DotNetDeps, name, version));
        }
        Ok(())
    }
}

fn has_files(assets: &Value) -> bool {
    let some = |key: &&str| assets.get(key).and_then(Value::as_object).is_some_and(|files| !files.is_empty());
    ["runtime", "runtimeTargets", "native", "resources"].iter().any(some)
}

#[derive(Deserialize)]
struct Lock {
    dependencies: BTreeMap<String, BTreeMap<String, Locked>>,
}

#[derive(Deserialize)]
struct Locked {
    #[serde(default, rename = "type")]
    kind: String,
    resolved: Option<String>,
}

impl Extractor for NuGet {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "nuget", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/packages.lock.json", "**/packages.config", "**/*Packages.props", "**/packages.props"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        match file_name(file.path) {
            "packages.lock.json" => locked(&json(file)?, out),
            "packages.config" => {
                let root = xml(file)?;
                if root.name != "packages" {
                    return Err(ExtractError::Malformed("it holds no list of packages".into()));
                }
                referenced(&root, out);
            }
            _ => central(&xml(file)?, out),
        }
        Ok(())
    }
}

/// One list for each framework; a project is the solution's own.
fn locked(lock: &Lock, out: &mut dyn InventorySink) {
    for (name, locked) in lock.dependencies.values().flatten() {
        match &locked.resolved {
            _ if locked.kind == "Project" => {}
            Some(version) => out.found(package(Family::NuGet, Manager::NuGet, name, version)),
            None => nameless(out),
        }
    }
}

fn referenced(root: &Element, out: &mut dyn InventorySink) {
    for reference in root.all("package") {
        match (reference.attribute("id"), reference.attribute("version")) {
            _ if reference.attribute("developmentDependency") == Some("true") => {}
            (Some(name), Some(version)) => out.found(package(Family::NuGet, Manager::NuGet, name, version)),
            _ => nameless(out),
        }
    }
}

/// Versions for all projects of a folder (central package management), with the properties of the same file.
fn central(root: &Element, out: &mut dyn InventorySink) {
    let properties: BTreeMap<String, &str> = root
        .all("PropertyGroup")
        .flat_map(|group| &group.children)
        .map(|property| (property.name.to_ascii_lowercase(), property.text.as_str()))
        .collect();
    let references = root.all("ItemGroup").flat_map(|group| &group.children);
    for reference in
        references.filter(|item| matches!(item.name.as_str(), "PackageVersion" | "PackageReference" | "GlobalPackageReference"))
    {
        let name = reference.attribute("Include").or_else(|| reference.attribute("Update"));
        let version = reference.attribute("Version").or_else(|| reference.value("Version"));
        let (Some(name), Some(version)) = (name, version) else { continue };
        let variable = version.strip_prefix("$(").and_then(|rest| rest.strip_suffix(')'));
        let version = variable.and_then(|variable| properties.get(&variable.to_ascii_lowercase()).copied()).unwrap_or(version);
        if name.contains("$(") || version.contains("$(") || version.is_empty() {
            let detail = "a package's name or version is a property that is set elsewhere: it is not listed".into();
            out.problem(ExtractError::Unsupported(detail));
            continue;
        }
        out.found(package(Family::NuGet, Manager::NuGet, name, version));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};
    use lestrade_model::ProblemKind;

    #[test]
    fn what_a_program_was_published_with() {
        let deps = r#"{"runtimeTarget": {"name": "net8"}, "targets": {"net8": {"A/1.0.0": {"runtime": {"a.dll": {}}}, "Meta/2.0.0": {}}},
            "libraries": {"A/1.0.0": {"type": "package"}, "Meta/2.0.0": {"type": "package"}, "odd": {},
                          "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.0": {"type": "runtimepack"}}}"#;
        assert_eq!(packages("app/x.deps.json", deps), ["A 1.0.0", "Microsoft.NETCore.App.Runtime.linux-x64 8.0.0"]);
        assert_eq!(read("x.deps.json", deps).problems.len(), 1);
        assert_eq!(read("x.deps.json", "{}").problems[0].0, ProblemKind::Malformed);
    }

    #[test]
    fn locks_and_references() {
        let lock =
            r#"{"version": 1, "dependencies": {"net8.0": {"A": {"type": "Direct", "resolved": "1.0.0"}, "me": {"type": "Project"}}}}"#;
        assert_eq!(packages("packages.lock.json", lock), ["A 1.0.0"]);
        let config = "<packages><package id='A' version='1.0.0'/><package id='B' version='2' developmentDependency='true'/></packages>";
        assert_eq!(packages("packages.config", config), ["A 1.0.0"]);
        assert_eq!(read("packages.config", "<packages><package").problems.len(), 1);
    }

    #[test]
    fn central_versions_with_their_properties() {
        let props = "<Project><PropertyGroup><V>1.2.3</V></PropertyGroup><ItemGroup><PackageVersion Include='A' Version='$(V)'/>\
                     <PackageVersion Include='B' Version='$(Elsewhere)'/></ItemGroup></Project>";
        assert_eq!(packages("src/Directory.Packages.props", props), ["A 1.2.3"]);
        assert_eq!(read("Directory.Packages.props", props).problems[0].0, ProblemKind::Unsupported);
    }
}
