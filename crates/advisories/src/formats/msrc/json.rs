//! CVRF as the JSON of MSRC's API (`/cvrf/v3.0/cvrf/2024-Jan`): the elements of the XML, whose texts are in `Value` and whose types are
//! numbers, in the order in which the schema lists them.

use super::{Bulletin, Kind, Remediation, Vulnerability};
use serde_json::{Map, Value};

/// How deep branches of products lie in one another.
const MAX_DEPTH: usize = 8;
/// `Known Affected`, as the API numbers it.
const KNOWN_AFFECTED: u64 = 3;
const SEVERITY: u64 = 3;
const DESCRIPTION: u64 = 2;

pub(super) fn read(document: &Map<String, Value>) -> Result<Bulletin, String> {
    let publisher = document.get("DocumentPublisher").map(|publisher| publisher.to_string()).unwrap_or_default();
    // Other vendors publish CVRF too; MSRC's API has left the publisher out at times.
    if !publisher.is_empty() && publisher != "null" && !publisher.contains("icrosoft") {
        return Err("a CVRF document of somebody whose products are not known".into());
    }
    let mut bulletin = Bulletin::default();
    let tree = document.get("ProductTree").unwrap_or(&Value::Null);
    for product in list(tree, "FullProductName") {
        bulletin.product(text(&product["ProductID"]), text(&product["Value"]))?;
    }
    for branch in list(tree, "Branch") {
        products(branch, MAX_DEPTH, &mut bulletin)?;
    }
    let vulnerabilities = document.get("Vulnerability").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    bulletin.vulnerabilities = vulnerabilities.iter().map(vulnerability).collect();
    Ok(bulletin)
}

fn products(branch: &Value, depth: usize, bulletin: &mut Bulletin) -> Result<(), String> {
    if depth == 0 {
        return Err("its products are too deep".into());
    }
    for item in list(branch, "Items") {
        if item.get("ProductID").is_some() {
            bulletin.product(text(&item["ProductID"]), text(&item["Value"]))?;
        } else {
            products(item, depth - 1, bulletin)?;
        }
    }
    Ok(())
}

fn vulnerability(record: &Value) -> Vulnerability {
    let mut vulnerability = Vulnerability {
        id: text(&record["CVE"]).to_owned(),
        title: text(&record["Title"]).to_owned(),
        cwes: cwes(&record["CWE"]),
        ..Vulnerability::default()
    };
    let is_description = |note: &&Value| note["Type"].as_u64() == Some(DESCRIPTION) || text(&note["Title"]) == "Description";
    vulnerability.description =
        list(record, "Notes").iter().find(is_description).map(|note| text(&note["Value"])).unwrap_or_default().to_owned();
    for status in list(record, "ProductStatuses") {
        if status["Type"].as_u64().is_none_or(|kind| kind == KNOWN_AFFECTED) {
            vulnerability.affected.extend(ids(status));
        }
    }
    for threat in list(record, "Threats").iter().filter(|threat| threat["Type"].as_u64() == Some(SEVERITY)) {
        let word = text(&threat["Description"]);
        vulnerability.severities.extend(ids(threat).map(|id| (id, word.to_owned())));
    }
    vulnerability.vectors = list(record, "CVSSScoreSets").iter().map(|set| text(&set["Vector"]).to_owned()).collect();
    vulnerability.remediations = list(record, "Remediations").iter().map(remediation).collect();
    vulnerability.revised = list(record, "RevisionHistory").iter().map(|revision| text(&revision["Date"]).to_owned()).collect();
    vulnerability
}

fn remediation(record: &Value) -> Remediation {
    let kind = match record["Type"].as_u64() {
        Some(2) => Kind::Fix,
        Some(4) => Kind::WillNotFix,
        _ => Kind::Other,
    };
    Remediation {
        kind,
        description: text(&record["Description"]).trim().to_owned(),
        url: text(&record["URL"]).trim().to_owned(),
        sub_type: text(&record["SubType"]).to_owned(),
        supersedes: text(&record["Supercedence"]).to_owned(),
        build: text(&record["FixedBuild"]).to_owned(),
        products: ids(record).collect(),
    }
}

/// One weakness, or a list of them.
fn cwes(value: &Value) -> Vec<String> {
    let one = |value: &Value| Some(text(&value["ID"])).filter(|id| id.starts_with("CWE-") && id.len() < 16).map(str::to_owned);
    match value {
        Value::Array(all) => all.iter().take(32).filter_map(one).collect(),
        value => one(value).into_iter().collect(),
    }
}

/// A text, which may be in an object by itself.
fn text(value: &Value) -> &str {
    value.as_str().or_else(|| value.get("Value")?.as_str()).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn ids(value: &Value) -> impl Iterator<Item = String> + '_ {
    list(value, "ProductID").iter().filter_map(Value::as_str).map(str::to_owned)
}
