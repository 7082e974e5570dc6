//! SPDX 2.2 and 2.3 in JSON (ISO/IEC 5962).

use super::json::{First, List, Members, Object, Sought, Text};
use super::package::{Package, Packages};
use crate::ExtractError;
use serde::de::MapAccess;

/// A package.
#[derive(Default)]
pub(super) struct Entry<'a> {
    id: Text<'a>,
    purpose: Text<'a>,
    name: Text<'a>,
    version: Text<'a>,
    source: Text<'a>,
    purl: First<Object<Reference<'a>>>,
    notes: List<Text<'a>>,
}

impl<'de> Members<'de> for Entry<'de> {
    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "SPDXID" => self.id = map.next_value()?,
            "primaryPackagePurpose" => self.purpose = map.next_value()?,
            "name" => self.name = map.next_value()?,
            "versionInfo" => self.version = map.next_value()?,
            "sourceInfo" => self.source = map.next_value()?,
            "externalRefs" => self.purl = map.next_value()?,
            "attributionTexts" => self.notes = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// What a package is called elsewhere.
#[derive(Default)]
pub(super) struct Reference<'a> {
    kind: Text<'a>,
    locator: Text<'a>,
}

impl<'de> Members<'de> for Reference<'de> {
    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "referenceType" => self.kind = map.next_value()?,
            "referenceLocator" => self.locator = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Sought for Object<Reference<'_>> {
    fn is_sought(&self) -> bool {
        self.0.kind.as_str() == "purl"
    }
}

pub(super) fn package(package: &Entry<'_>, out: &mut Packages) {
    add(
        package.id.as_str(),
        package.purpose.as_str(),
        package.name.as_str(),
        package.version.as_str(),
        package.purl.0.as_ref().map(|reference| reference.0.locator.as_str()),
        package.source.as_str(),
        package.notes.0.iter().map(Text::as_str),
        out,
    );
}

pub(super) fn check_version(version: &str) -> Result<(), ExtractError> {
    if matches!(version, "SPDX-2.1" | "SPDX-2.2" | "SPDX-2.3") {
        return Ok(());
    }
    Err(ExtractError::Unsupported(format!("'{}', which is not one of SPDX 2.1 to 2.3", version.chars().take(20).collect::<String>())))
}

fn is_system(id: &str, purpose: &str) -> bool {
    purpose.eq_ignore_ascii_case("OPERATING-SYSTEM") || id.starts_with("SPDXRef-OperatingSystem")
}

/// Adds an entry of either spelling of SPDX.
#[allow(clippy::too_many_arguments, reason = "the fields of a package that both spellings have")]
pub(super) fn add<'a>(
    id: &str,
    purpose: &str,
    name: &str,
    version: &str,
    purl: Option<&str>,
    source_info: &str,
    notes: impl Iterator<Item = &'a str>,
    out: &mut Packages,
) {
    // Packages of a distribution may name no release: that is the system's, which may come after them.
    if is_system(id, purpose) {
        out.set_os(name, version);
    }
    // What is described as a whole is no package: the image, the application, the folder that was looked at.
    let whole = ["CONTAINER", "OPERATING-SYSTEM", "APPLICATION", "FILE", "SOURCE", "DEVICE", "FIRMWARE"];
    let describes = is_system(id, purpose) || whole.iter().any(|word| purpose.eq_ignore_ascii_case(word));
    let described = ["SPDXRef-ContainerImage", "SPDXRef-Application", "SPDXRef-Filesystem", "SPDXRef-DocumentRoot", "SPDXRef-Repository"];
    if purl.is_none() && (describes || described.iter().any(|prefix| id.starts_with(prefix))) {
        return;
    }
    // Images have a package URL too.
    if purl.is_some_and(|purl| purl.starts_with("pkg:oci/") || purl.starts_with("pkg:docker/")) {
        return;
    }
    let source = source_info.strip_prefix("built package from: ").and_then(|text| text.rsplit_once(' '));
    let source = source.map(|(name, version)| (name, version.into()));
    let mut package = Package { name, version, purl, source, ..Package::default() };
    for note in notes {
        match note.split_once(": ") {
            Some(("LayerDigest" | "lestrade:layer", value)) => package.layer = Some(value),
            Some(("PkgPath" | "lestrade:path", value)) => package.path = Some(value),
            Some(("lestrade:arch", value)) => package.arch = Some(value),
            Some(("lestrade:ecosystem", value)) => package.ecosystem = Some(value),
            Some(("lestrade:updates", value)) => package.updates = Some(value),
            Some(("lestrade:os-owned", value)) => package.os_owned = value == "true",
            _ => {}
        }
    }
    out.add(&package);
}
