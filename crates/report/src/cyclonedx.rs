//! An inventory as a CycloneDX 1.6 software bill of materials, in JSON (ECMA-424).
//!
//! The same inventory gives the same bytes: there is no time and no random number in it. The serial number is a function of the
//! content.

use crate::ScanReport;
use lestrade_model::{Completeness, Component, Hash, Inventory};
use serde_json::{Value, json};
use uuid::Uuid;

/// The namespace of serial numbers (RFC 9562, version 5). Random, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x2f3b_60c7_9a0d_4c1e_8c55_0c0b_7a55_d1a9);

/// The bill of materials of what was scanned. What could not be read is said: the composition is then incomplete.
#[must_use]
pub fn cyclonedx(report: &ScanReport) -> Value {
    let inventory = &report.inventory;
    let identity =
        Hash::of_fields(inventory.components.iter().map(|c| *c.hash().as_bytes()).collect::<Vec<_>>().iter().map(<[u8; 32]>::as_slice));
    let serial = Uuid::new_v5(&NAMESPACE, &[identity.as_bytes().as_slice(), report.target.as_bytes()].concat());
    let root = json!({
        "bom-ref": "root",
        "type": if report.kind == "image" { "container" } else { "file" },
        "name": report.target,
    });
    let components: Vec<Value> =
        (0_u32..).zip(&inventory.components).map(|(number, component)| entry(inventory, number, component)).collect();
    let references: Vec<Value> = components.iter().map(|component| component["bom-ref"].clone()).collect();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{serial}"),
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "lestrade", "version": env!("CARGO_PKG_VERSION")}]},
            "component": root,
        },
        "components": components,
        "dependencies": [{"ref": "root", "dependsOn": references}],
        "compositions": [{
            "aggregate": match report.completeness() {
                Completeness::Complete => "complete",
                Completeness::Partial => "incomplete",
            },
            "assemblies": ["root"],
        }],
    })
}

fn entry(inventory: &Inventory, number: u32, component: &Component) -> Value {
    let mut properties: Vec<(&str, String)> = Vec::new();
    let mut arch = None;
    for occurrence in inventory.occurrences_of(number) {
        arch = arch.or(occurrence.arch.as_deref());
        properties.push(("lestrade:path", occurrence.path.clone()));
        properties.extend(occurrence.layer.clone().map(|layer| ("lestrade:layer", layer)));
    }
    properties.extend(component.source.iter().map(|source| ("lestrade:source", format!("{} {}", source.name, source.version))));
    properties.extend(arch.map(|arch| ("lestrade:arch", arch.to_owned())));
    properties.sort_unstable();
    properties.dedup();
    let properties: Vec<Value> = properties.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let mut out = json!({
        // Two components of one purl (owned by the system, and not) are two.
        "bom-ref": component.hash().to_string(),
        "type": "library",
        "name": component.name,
        "version": component.version,
        "properties": properties,
    });
    if let Some(purl) = component.purl() {
        out["purl"] = json!(purl);
    }
    out
}
