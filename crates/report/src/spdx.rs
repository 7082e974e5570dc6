//! An inventory as an SPDX 2.3 document in JSON (ISO/IEC 5962).
//!
//! The format asks for a time. So that the same input gives the same bytes it is the epoch, unless one is asked for
//! (`SOURCE_DATE_EPOCH`).

use crate::cyclonedx::updates;
use crate::{Document, ScanReport};
use lestrade_model::{Completeness, Component, Hash, PackedInventory};
use serde_json::{Value, json};
use std::rc::Rc;
use uuid::Uuid;

/// The namespace of document names (RFC 9562, version 5). Random, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x71c1_0d0f_5b0a_4f0e_9d2b_64c1_58d1_7c2e);
const NONE: &str = "NOASSERTION";

/// The document of what was scanned. What could not be read is said in a comment.
#[must_use]
pub fn spdx(report: &ScanReport) -> Document<'_> {
    let inventory = &report.inventory;
    let hashes: Rc<[Hash]> = inventory.components().map(|component| component.to_component().hash()).collect();
    let identity = Hash::of_fields(hashes.iter().map(|hash| hash.as_bytes().as_slice()));
    let unique = Uuid::new_v5(&NAMESPACE, &[identity.as_bytes().as_slice(), report.target.as_bytes()].concat());
    let purpose = if report.kind == "image" { "CONTAINER" } else { "SOURCE" };
    let mut described_first = vec![described("SPDXRef-DocumentRoot", &report.target, purpose)];
    let mut related_first = vec![related("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-DocumentRoot")];
    if let Some(os) = &inventory.os {
        let mut system = described("SPDXRef-OperatingSystem", &os.id, "OPERATING-SYSTEM");
        if !os.version.is_empty() {
            system["versionInfo"] = json!(os.version);
        }
        described_first.push(system);
        related_first.push(related("SPDXRef-DocumentRoot", "CONTAINS", "SPDXRef-OperatingSystem"));
    }
    let id = |hash: &Hash| format!("SPDXRef-Package-{hash}");
    let relationships = {
        let hashes = Rc::clone(&hashes);
        move || {
            let hashes = Rc::clone(&hashes);
            let related = move |number| Some(related("SPDXRef-DocumentRoot", "CONTAINS", &id(hashes.get(number)?)));
            related_first.clone().into_iter().chain((0..inventory.len()).filter_map(related))
        }
    };
    let packages = move || {
        let hashes = Rc::clone(&hashes);
        let packages = (0_u32..).zip(inventory.components()).filter_map(move |(number, component)| {
            Some(package(inventory, number, &component.to_component(), &id(hashes.get(number as usize)?)))
        });
        described_first.clone().into_iter().chain(packages)
    };
    let created = report.source_date.unwrap_or_default();
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": report.target,
        "documentNamespace": format!("https://lestrade.dev/spdx/{unique}"),
        "creationInfo": {
            // Seconds and no more is what the format takes.
            "created": format!("{}Z", created.to_string().get(..19).unwrap_or("1970-01-01T00:00:00")),
            "creators": [format!("Tool: lestrade-{}", env!("CARGO_PKG_VERSION"))],
        },
        "packages": [],
        "relationships": [],
    });
    if report.completeness() == Completeness::Partial {
        document["comment"] = json!("incomplete: a part of the input could not be read or judged");
    }
    Document::new(document).with(&["packages"], packages).with(&["relationships"], relationships)
}

fn related(from: &str, how: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": how, "relatedSpdxElement": to})
}

fn described(id: &str, name: &str, purpose: &str) -> Value {
    json!({
        "SPDXID": id, "name": name, "downloadLocation": NONE, "filesAnalyzed": false, "copyrightText": NONE,
        "licenseConcluded": NONE, "licenseDeclared": NONE, "primaryPackagePurpose": purpose,
    })
}

fn package(inventory: &PackedInventory, number: u32, component: &Component, id: &str) -> Value {
    let mut notes: Vec<String> = Vec::new();
    for place in inventory.places(number) {
        notes.push(format!("lestrade:path: {}", place.path));
        notes.extend(place.layer.map(|layer| format!("lestrade:layer: {layer}")));
        notes.extend(place.arch.map(|arch| format!("lestrade:arch: {arch}")));
    }
    notes.extend(component.purl().is_none().then(|| format!("lestrade:ecosystem: {}", component.ecosystem)));
    notes.extend(updates(component).map(|updates| format!("lestrade:updates: {updates}")));
    notes.extend(component.os_owned.then(|| "lestrade:os-owned: true".to_owned()));
    notes.sort_unstable();
    notes.dedup();
    let mut out = described(id, &component.name, "LIBRARY");
    if !component.version.is_empty() {
        out["versionInfo"] = json!(component.version);
    }
    if let Some(source) = &component.source {
        out["sourceInfo"] = json!(format!("built package from: {} {}", source.name, source.version));
    }
    if !notes.is_empty() {
        out["attributionTexts"] = json!(notes);
    }
    if let Some(purl) = component.purl() {
        out["externalRefs"] = json!([{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}]);
    }
    out
}
