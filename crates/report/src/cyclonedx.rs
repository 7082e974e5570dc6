//! An inventory as a CycloneDX software bill of materials in JSON (ECMA-424), with what is known of its vulnerabilities on request
//! (a vulnerability disclosure report).
//!
//! The same inventory gives the same bytes: there is no time and no random number in it, unless a time is asked for
//! (`SOURCE_DATE_EPOCH`). The serial number is a function of the content.

use crate::scan_report::state_of;
use crate::{Document, ScanReport};
use lestrade_findings::{Assessment, ScanFinding};
use lestrade_matching::Status;
use lestrade_model::{Completeness, Component, CvssVersion, Family, FixState, Hash, PackedInventory, Score, Severity};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;
use uuid::Uuid;

/// The namespace of serial numbers (RFC 9562, version 5). Random, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x2f3b_60c7_9a0d_4c1e_8c55_0c0b_7a55_d1a9);

/// A version of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CycloneDxVersion {
    /// 1.4, which Amazon Inspector exports.
    V1_4,
    /// 1.5.
    V1_5,
    /// 1.6.
    V1_6,
}

impl CycloneDxVersion {
    /// The version that a user names; none if it is not one that is written.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        [Self::V1_4, Self::V1_5, Self::V1_6].into_iter().find(|version| version.as_str() == text)
    }

    /// As the document spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_4 => "1.4",
            Self::V1_5 => "1.5",
            Self::V1_6 => "1.6",
        }
    }
}

/// The bill of materials of what was scanned. What could not be read is said: the composition is then incomplete.
#[must_use]
pub fn cyclonedx(report: &ScanReport, version: CycloneDxVersion) -> Document<'_> {
    let inventory = &report.inventory;
    let hashes: Rc<[Hash]> = inventory.components().map(|component| component.to_component().hash()).collect();
    let identity = Hash::of_fields(hashes.iter().map(|hash| hash.as_bytes().as_slice()));
    let serial = Uuid::new_v5(&NAMESPACE, &[identity.as_bytes().as_slice(), report.target.as_bytes()].concat());
    let root = json!({
        "bom-ref": "root",
        "type": if report.kind == "image" { "container" } else { "file" },
        "name": report.target,
    });
    let system = inventory.os.as_ref().map(|os| {
        let mut system = json!({"bom-ref": "os", "type": "operating-system", "name": os.id});
        if !os.version.is_empty() {
            system["version"] = json!(os.version);
        }
        if !os.pretty_name.is_empty() {
            system["description"] = json!(os.pretty_name);
        }
        system
    });
    let references = {
        let (system, hashes) = (system.as_ref().map(|_| json!("os")), Rc::clone(&hashes));
        move || {
            let hashes = Rc::clone(&hashes);
            let numbers = 0..hashes.len();
            system.clone().into_iter().chain(numbers.filter_map(move |number| Some(json!(hashes.get(number)?.to_string()))))
        }
    };
    let components = move || {
        let hashes = Rc::clone(&hashes);
        let packages = (0_u32..)
            .zip(inventory.components())
            .filter_map(move |(number, component)| Some(entry(inventory, number, &component.to_component(), hashes.get(number as usize)?)));
        system.clone().into_iter().chain(packages)
    };
    let tool = env!("CARGO_PKG_VERSION");
    let tools = if version == CycloneDxVersion::V1_4 {
        json!([{"vendor": "lestrade", "name": "lestrade", "version": tool}])
    } else {
        json!({"components": [{"type": "application", "name": "lestrade", "version": tool}]})
    };
    let mut metadata = json!({"tools": tools, "component": root});
    if let Some(at) = report.source_date {
        metadata["timestamp"] = json!(at.to_string());
    }
    let outline = json!({
        "$schema": format!("http://cyclonedx.org/schema/bom-{}.schema.json", version.as_str()),
        "bomFormat": "CycloneDX",
        "specVersion": version.as_str(),
        "serialNumber": format!("urn:uuid:{serial}"),
        "version": 1,
        "metadata": metadata,
        "components": [],
        "dependencies": [{"ref": "root", "dependsOn": []}],
        "compositions": [{
            "aggregate": match report.completeness() {
                Completeness::Complete => "complete",
                Completeness::Partial => "incomplete",
            },
            "assemblies": ["root"],
        }],
    });
    Document::new(outline).with(&["components"], components).with(&["dependencies", "0", "dependsOn"], references)
}

/// The bill of materials with its vulnerabilities, also those that a statement speaks against, with what it says.
#[must_use]
pub fn cyclonedx_vdr(report: &ScanReport, version: CycloneDxVersion) -> Value {
    let mut document = cyclonedx(report, version).to_value();
    let mut vulnerabilities: Vec<Value> = report.by_risk().into_iter().map(|finding| vulnerability(finding, version)).collect();
    let mut excepted: BTreeMap<(&str, Status, &str), (&Assessment, Vec<Value>)> = BTreeMap::new();
    for exception in &report.result.excepted {
        let statement = &exception.statement;
        let key = (exception.assessment.id.as_str(), statement.status, statement.reason.as_str());
        let reference = json!({"ref": exception.package.component.hash().to_string()});
        let (_, affects) = excepted.entry(key).or_insert_with(|| (&exception.assessment, vec![]));
        if !affects.contains(&reference) {
            affects.push(reference);
        }
    }
    for ((_, status, reason), (assessment, affects)) in excepted {
        let mut value = described(assessment, version);
        let state = if status == Status::Fixed { "resolved" } else { "not_affected" };
        value["analysis"] = json!({"state": state, "detail": reason});
        value["affects"] = json!(affects);
        vulnerabilities.push(value);
    }
    document["vulnerabilities"] = json!(vulnerabilities);
    document
}

fn vulnerability(finding: &ScanFinding, version: CycloneDxVersion) -> Value {
    let mut value = described(&finding.assessment, version);
    let fixed = finding.packages.iter().find_map(|package| package.fixed_in.as_deref().map(|fix| (&package.component.name, fix)));
    match (state_of(finding), fixed) {
        (FixState::Fixed, Some((name, fix))) => value["recommendation"] = json!(format!("upgrade {name} to {fix}")),
        (FixState::WillNotFix, _) => value["analysis"] = json!({"state": "exploitable", "response": ["will_not_fix"]}),
        _ => {}
    }
    let mut references: Vec<Value> = Vec::new();
    for package in &finding.packages {
        let reference = json!({"ref": package.component.hash().to_string()});
        if !references.contains(&reference) {
            references.push(reference);
        }
    }
    value["affects"] = json!(references);
    value
}

/// What is known of a vulnerability wherever it is.
fn described(assessment: &Assessment, version: CycloneDxVersion) -> Value {
    let rating = |score: &Score| {
        let method = match score.cvss.version {
            CvssVersion::V2 => "CVSSv2",
            CvssVersion::V30 => "CVSSv3",
            CvssVersion::V31 => "CVSSv31",
            CvssVersion::V4 if version == CycloneDxVersion::V1_6 => "CVSSv4",
            // CVSS v4 came into the format with 1.6.
            CvssVersion::V4 => "other",
        };
        json!({
            "source": {"name": score.source.0}, "score": score.cvss.score, "severity": severity(Severity::of_score(score.cvss.score)),
            "method": method, "vector": score.cvss.vector,
        })
    };
    let ratings: Vec<Value> = assessment.scores.iter().map(rating).collect();
    let mut value =
        json!({"bom-ref": format!("vulnerability/{}", assessment.id), "id": assessment.id, "source": {"name": assessment.source}});
    if let Some(url) = &assessment.source_url {
        value["source"]["url"] = json!(url);
    }
    value["ratings"] = if ratings.is_empty() { json!([{"severity": severity(assessment.severity)}]) } else { json!(ratings) };
    let cwes: Vec<u64> = assessment.cwes.iter().filter_map(|cwe| cwe.strip_prefix("CWE-")?.parse().ok()).collect();
    if !cwes.is_empty() {
        value["cwes"] = json!(cwes);
    }
    if !assessment.summary.is_empty() {
        value["description"] = json!(assessment.summary);
    }
    if !assessment.references.is_empty() {
        value["advisories"] = json!(assessment.references.iter().map(|url| json!({"url": url})).collect::<Vec<_>>());
    }
    for (key, at) in [("published", assessment.published), ("updated", assessment.modified)] {
        if let Some(at) = at {
            value[key] = json!(at.to_string());
        }
    }
    value
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Medium => "medium",
        Severity::Low => "low",
        Severity::Informational => "info",
        Severity::Untriaged => "unknown",
    }
}

/// The updates that are installed in a system, where it is Windows.
pub(crate) fn updates(component: &Component) -> Option<String> {
    component.module.clone().filter(|_| component.ecosystem.family == Family::Windows)
}

fn entry(inventory: &PackedInventory, number: u32, component: &Component, hash: &Hash) -> Value {
    let mut properties: Vec<(&str, String)> = Vec::new();
    let mut arch = None;
    for place in inventory.places(number) {
        arch = arch.or(place.arch);
        properties.push(("lestrade:path", place.path.to_owned()));
        properties.extend(place.layer.map(|layer| ("lestrade:layer", layer.to_owned())));
    }
    properties.extend(component.source.iter().map(|source| ("lestrade:source", format!("{} {}", source.name, source.version))));
    properties.extend(arch.map(|arch| ("lestrade:arch", arch.to_owned())));
    properties.extend(component.purl().is_none().then(|| ("lestrade:ecosystem", component.ecosystem.to_string())));
    properties.extend(updates(component).map(|updates| ("lestrade:updates", updates)));
    properties.extend(component.os_owned.then(|| ("lestrade:os-owned", "true".to_owned())));
    properties.sort_unstable();
    properties.dedup();
    let properties: Vec<Value> = properties.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let mut out = json!({
        // Two components of one purl (owned by the system, and not) are two.
        "bom-ref": hash.to_string(),
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
