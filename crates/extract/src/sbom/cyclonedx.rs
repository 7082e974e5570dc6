//! CycloneDX in JSON, 1.2 to 1.7 (ECMA-424), with the properties by which tools say what the format has no field for.

use super::package::{Package, Packages};
use crate::ExtractError;
use lestrade_model::ProblemKind;
use serde_json::Value;

/// The specification's versions that are read.
const VERSIONS: std::ops::RangeInclusive<u32> = 2..=7;

pub(super) fn read(document: &Value, out: &mut Packages) -> Result<(), ExtractError> {
    let version = document["specVersion"].as_str().unwrap_or_default();
    let minor = version.strip_prefix("1.").and_then(|minor| minor.parse().ok());
    if !minor.is_some_and(|minor| VERSIONS.contains(&minor)) {
        return Err(ExtractError::Unsupported(format!("CycloneDX '{}', which is not one of 1.2 to 1.7", short(version))));
    }
    let mut components: Vec<&Value> = Vec::new();
    let mut open: Vec<&Value> = vec![&document["components"], &document["metadata"]["component"]["components"]];
    while let Some(list) = open.pop() {
        for component in list.as_array().into_iter().flatten() {
            components.push(component);
            open.push(&component["components"]);
        }
    }
    // What a document is of may be a package itself, unless it is a container or a machine.
    let subject = &document["metadata"]["component"];
    if matches!(subject["type"].as_str(), Some("library" | "framework" | "application")) && subject["purl"].is_string() {
        components.push(subject);
    }
    // Packages of a distribution may name no release: that is the system's, which may come after them.
    if let Some(system) = components.iter().find(|component| component["type"] == "operating-system") {
        out.set_os(text(system, "name"), text(system, "version"));
    }
    for component in components {
        entry(component, out);
    }
    if document["compositions"].as_array().into_iter().flatten().any(|composition| composition["aggregate"] == "incomplete") {
        out.problem("", ProblemKind::Unreadable, "the document itself says that it is incomplete".into());
    }
    Ok(())
}

fn entry(component: &Value, out: &mut Packages) {
    let purl = component["purl"].as_str();
    match component["type"].as_str() {
        Some("library" | "framework") => {}
        // Applications are what packages are in, unless they say which package they are.
        _ if purl.is_some() => {}
        _ => return,
    }
    if component["type"] == "operating-system" {
        return;
    }
    let group = text(component, "group");
    let name = if group.is_empty() { text(component, "name").to_owned() } else { format!("{group}/{}", text(component, "name")) };
    let mut package = Package { name, version: text(component, "version").to_owned(), purl: purl.map(str::to_owned), ..Package::default() };
    let properties = component["properties"].as_array().into_iter().flatten();
    let pairs = properties.filter_map(|property| Some((property["name"].as_str()?, property["value"].as_str()?)));
    let (mut epoch, mut release, mut source, mut source_version) = ("", "", "", "");
    for (name, value) in pairs {
        match name {
            "aquasecurity:trivy:SrcName" => source = value,
            "aquasecurity:trivy:SrcVersion" => source_version = value,
            "aquasecurity:trivy:SrcRelease" => release = value,
            "aquasecurity:trivy:SrcEpoch" => epoch = value,
            "syft:metadata:source" => source = value,
            "syft:metadata:sourceVersion" => source_version = value,
            "lestrade:source" => (source, source_version) = value.split_once(' ').unwrap_or((value, "")),
            "lestrade:path" | "aquasecurity:trivy:FilePath" | "syft:location:0:path" => package.path = Some(value.to_owned()),
            "lestrade:layer" | "aquasecurity:trivy:LayerDigest" => package.layer = Some(value.to_owned()),
            "lestrade:arch" | "syft:metadata:architecture" => package.arch = Some(value.to_owned()),
            "lestrade:ecosystem" => package.ecosystem = Some(value.to_owned()),
            "lestrade:updates" => package.updates = Some(value.to_owned()),
            "lestrade:os-owned" => package.os_owned = value == "true",
            _ => {}
        }
    }
    let mut version = source_version.to_owned();
    if !release.is_empty() {
        version = format!("{version}-{release}");
    }
    if !epoch.is_empty() && epoch != "0" {
        version = format!("{epoch}:{version}");
    }
    package.source = (!source.is_empty()).then(|| (source.to_owned(), version));
    out.add(package);
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// Enough of a text from outside to be recognised in a message.
fn short(text: &str) -> String {
    text.chars().take(20).collect()
}
