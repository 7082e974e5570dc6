//! SPDX 2.2 and 2.3 in JSON (ISO/IEC 5962).

use super::package::{Package, Packages};
use crate::ExtractError;
use serde_json::Value;

pub(super) fn read(document: &Value, out: &mut Packages) -> Result<(), ExtractError> {
    let version = document["spdxVersion"].as_str().unwrap_or_default();
    check_version(version)?;
    let packages = || document["packages"].as_array().into_iter().flatten();
    if let Some(system) = packages().find(|package| is_system(text(package, "SPDXID"), text(package, "primaryPackagePurpose"))) {
        out.set_os(text(system, "name"), text(system, "versionInfo"));
    }
    for package in packages() {
        let references = package["externalRefs"].as_array().into_iter().flatten();
        let purl =
            references.clone().find(|reference| reference["referenceType"] == "purl").map(|reference| text(reference, "referenceLocator"));
        let purpose = text(package, "primaryPackagePurpose");
        let notes = package["attributionTexts"].as_array().into_iter().flatten().filter_map(Value::as_str);
        add(
            text(package, "SPDXID"),
            purpose,
            text(package, "name"),
            text(package, "versionInfo"),
            purl,
            text(package, "sourceInfo"),
            notes,
            out,
        );
    }
    Ok(())
}

pub(super) fn check_version(version: &str) -> Result<(), ExtractError> {
    if matches!(version, "SPDX-2.1" | "SPDX-2.2" | "SPDX-2.3") {
        return Ok(());
    }
    Err(ExtractError::Unsupported(format!("'{}', which is not one of SPDX 2.1 to 2.3", version.chars().take(20).collect::<String>())))
}

pub(super) fn is_system(id: &str, purpose: &str) -> bool {
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
    let mut package = Package {
        name: name.to_owned(),
        version: version.to_owned(),
        purl: purl.map(str::to_owned),
        source: source.map(|(name, version)| (name.to_owned(), version.to_owned())),
        ..Package::default()
    };
    for note in notes {
        match note.split_once(": ") {
            Some(("LayerDigest" | "lestrade:layer", value)) => package.layer = Some(value.to_owned()),
            Some(("PkgPath" | "lestrade:path", value)) => package.path = Some(value.to_owned()),
            Some(("lestrade:arch", value)) => package.arch = Some(value.to_owned()),
            Some(("lestrade:ecosystem", value)) => package.ecosystem = Some(value.to_owned()),
            Some(("lestrade:updates", value)) => package.updates = Some(value.to_owned()),
            Some(("lestrade:os-owned", value)) => package.os_owned = value == "true",
            _ => {}
        }
    }
    out.add(package);
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
