//! CycloneDX in JSON, 1.2 to 1.7 (ECMA-424), with the properties by which tools say what the format has no field for.

use super::json::{List, Members, Object, Text};
use super::package::{Package, Packages};
use crate::ExtractError;
use lestrade_model::ProblemKind;
use serde::de::MapAccess;
use std::borrow::Cow;

/// The specification's versions that are read.
const VERSIONS: std::ops::RangeInclusive<u32> = 2..=7;

pub(super) fn check_version(version: &str) -> Result<(), ExtractError> {
    let minor = version.strip_prefix("1.").and_then(|minor| minor.parse().ok());
    if minor.is_some_and(|minor| VERSIONS.contains(&minor)) {
        return Ok(());
    }
    Err(ExtractError::Unsupported(format!("CycloneDX '{}', which is not one of 1.2 to 1.7", short(version))))
}

/// A component, and those in it.
#[derive(Default)]
pub(super) struct Entry<'a> {
    kind: Text<'a>,
    group: Text<'a>,
    name: Text<'a>,
    version: Text<'a>,
    purl: Text<'a>,
    properties: List<Object<Property<'a>>>,
    components: List<Object<Entry<'a>>>,
}

impl<'de> Members<'de> for Entry<'de> {
    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "type" => self.kind = map.next_value()?,
            "group" => self.group = map.next_value()?,
            "name" => self.name = map.next_value()?,
            "version" => self.version = map.next_value()?,
            "purl" => self.purl = map.next_value()?,
            "properties" => self.properties = map.next_value()?,
            "components" => self.components = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// What a tool adds.
#[derive(Default)]
pub(super) struct Property<'a> {
    name: Text<'a>,
    value: Text<'a>,
}

impl<'de> Members<'de> for Property<'de> {
    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "name" => self.name = map.next_value()?,
            "value" => self.value = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// What the document is about.
#[derive(Default)]
pub(super) struct Metadata<'a> {
    component: Object<Entry<'a>>,
}

impl<'de> Members<'de> for Metadata<'de> {
    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        if key == "component" {
            self.component = map.next_value()?;
        }
        Ok(key == "component")
    }
}

/// What is said of how much of it is there.
#[derive(Default)]
pub(super) struct Composition<'a> {
    aggregate: Text<'a>,
}

impl<'de> Members<'de> for Composition<'de> {
    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        if key == "aggregate" {
            self.aggregate = map.next_value()?;
        }
        Ok(key == "aggregate")
    }
}

pub(super) fn metadata(metadata: &Metadata<'_>, out: &mut Packages) {
    let subject = &metadata.component.0;
    subject.components.0.iter().for_each(|inner| component(&inner.0, out));
    // What a document is of may be a package itself, unless it is a container or a machine.
    if matches!(subject.kind.as_str(), "library" | "framework" | "application") && subject.purl.0.is_some() {
        entry(subject, out);
    }
}

pub(super) fn composition(composition: &Composition<'_>, out: &mut Packages) {
    if composition.aggregate.as_str() == "incomplete" {
        out.problem("", ProblemKind::Unreadable, "the document itself says that it is incomplete".into());
    }
}

/// Adds a component and those in it.
pub(super) fn component(component: &Entry<'_>, out: &mut Packages) {
    entry(component, out);
    // Most have none in them, and for those nothing is allocated.
    let mut open: Vec<&Entry<'_>> = inner(component).collect();
    while let Some(component) = open.pop() {
        entry(component, out);
        open.extend(inner(component));
    }
}

/// The components right in one, the last first.
fn inner<'e, 'a>(component: &'e Entry<'a>) -> impl Iterator<Item = &'e Entry<'a>> {
    component.components.0.iter().rev().map(|inner| &inner.0)
}

fn entry(component: &Entry<'_>, out: &mut Packages) {
    match component.kind.as_str() {
        // Packages of a distribution may name no release: that is the system's, which may come after them.
        "operating-system" => return out.set_os(component.name.as_str(), component.version.as_str()),
        "library" | "framework" => {}
        // Applications are what packages are in, unless they say which package they are.
        _ if component.purl.0.is_some() => {}
        _ => return,
    }
    let mut package = Package {
        group: component.group.as_str(),
        name: component.name.as_str(),
        version: component.version.as_str(),
        purl: component.purl.0.as_deref(),
        ..Package::default()
    };
    let (mut epoch, mut release, mut source, mut source_version) = ("", "", "", "");
    for property in &component.properties.0 {
        let (Some(name), Some(value)) = (&property.0.name.0, property.0.value.0.as_deref()) else { continue };
        match name.as_ref() {
            "aquasecurity:trivy:SrcName" | "syft:metadata:source" => source = value,
            "aquasecurity:trivy:SrcVersion" | "syft:metadata:sourceVersion" => source_version = value,
            "aquasecurity:trivy:SrcRelease" => release = value,
            "aquasecurity:trivy:SrcEpoch" => epoch = value,
            "lestrade:source" => (source, source_version) = value.split_once(' ').unwrap_or((value, "")),
            "lestrade:path" | "aquasecurity:trivy:FilePath" | "syft:location:0:path" => package.path = Some(value),
            "lestrade:layer" | "aquasecurity:trivy:LayerDigest" => package.layer = Some(value),
            "lestrade:arch" | "syft:metadata:architecture" => package.arch = Some(value),
            "lestrade:ecosystem" => package.ecosystem = Some(value),
            "lestrade:updates" => package.updates = Some(value),
            "lestrade:os-owned" => package.os_owned = value == "true",
            _ => {}
        }
    }
    let mut version = Cow::Borrowed(source_version);
    if !release.is_empty() {
        version = format!("{version}-{release}").into();
    }
    if !epoch.is_empty() && epoch != "0" {
        version = format!("{epoch}:{version}").into();
    }
    package.source = (!source.is_empty()).then_some((source, version));
    out.add(&package);
}

/// Enough of a text from outside to be recognised in a message.
fn short(text: &str) -> String {
    text.chars().take(20).collect()
}
