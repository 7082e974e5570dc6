//! MSRC's CSAF documents (OASIS CSAF 2.0, profile "security advisory"). A product is two: the range of builds that is affected and the
//! build that is not, both below the product's name; a fix is `build:kind:address` (`10.0.20348.2227:Security Update:https://…`).
//! What supersedes what they do not say.

use super::{Bulletin, CSAF_FEED, Kind, Remediation, Vulnerability};
use crate::formats::Brought;
use serde_json::{Map, Value};

/// How deep branches of products lie in one another.
const MAX_DEPTH: usize = 8;

/// Reads a document that is known to be MSRC's.
pub(in crate::formats) fn read(name: &str, document: &Map<String, Value>) -> Brought {
    let bulletin = || -> Result<Bulletin, String> {
        let mut bulletin = Bulletin::default();
        let tree = document.get("product_tree").unwrap_or(&Value::Null);
        products(tree, "", MAX_DEPTH, &mut bulletin)?;
        let meta = document.get("document").unwrap_or(&Value::Null);
        let vulnerabilities = document.get("vulnerabilities").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        bulletin.vulnerabilities = vulnerabilities.iter().map(|record| vulnerability(record, meta)).collect();
        Ok(bulletin)
    };
    match bulletin() {
        Ok(bulletin) => bulletin.brought(name, CSAF_FEED),
        Err(reason) => Brought::refused(name, reason),
    }
}

/// Notes the products of a branch and of those in it, under the name of the product whose versions they are.
fn products(branch: &Value, product: &str, depth: usize, bulletin: &mut Bulletin) -> Result<(), String> {
    if depth == 0 {
        return Err("its products are too deep".into());
    }
    if let Some(id) = branch["product"]["product_id"].as_str() {
        let own = text(&branch["product"], "name");
        bulletin.product(id, if product.is_empty() { own } else { product })?;
    }
    for inner in list(branch, "branches") {
        let product = if inner["category"] == "product_name" { text(inner, "name") } else { product };
        products(inner, product, depth - 1, bulletin)?;
    }
    Ok(())
}

fn vulnerability(record: &Value, meta: &Value) -> Vulnerability {
    let description = list(record, "notes").iter().find(|note| note["category"] == "description");
    let tracking = &meta["tracking"];
    Vulnerability {
        id: text(record, "cve").to_owned(),
        title: text(record, "title").to_owned(),
        description: description.map(|note| text(note, "text").to_owned()).unwrap_or_default(),
        cwes: Some(text(&record["cwe"], "id"))
            .filter(|id| id.starts_with("CWE-") && id.len() < 16)
            .map(str::to_owned)
            .into_iter()
            .collect(),
        affected: ids(&record["product_status"], "known_affected").collect(),
        severities: Vec::new(),
        severity: text(&meta["aggregate_severity"], "text").to_owned(),
        vectors: list(record, "scores")
            .iter()
            .flat_map(|score| ["cvss_v4", "cvss_v3", "cvss_v2"].map(|version| text(&score[version], "vectorString").to_owned()))
            .filter(|vector| !vector.is_empty())
            .collect(),
        remediations: list(record, "remediations").iter().map(remediation).collect(),
        revised: ["initial_release_date", "current_release_date"].map(|date| text(tracking, date).to_owned()).into(),
    }
}

fn remediation(record: &Value) -> Remediation {
    let details = text(record, "details");
    let kind = match text(record, "category") {
        "vendor_fix" => Kind::Fix,
        "no_fix_planned" => Kind::WillNotFix,
        _ => Kind::Other,
    };
    let mut parts = details.splitn(3, ':');
    let (build, sub_type) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    Remediation {
        kind,
        description: String::new(),
        url: Some(text(record, "url")).filter(|url| !url.is_empty()).or_else(|| parts.next()).unwrap_or_default().trim().to_owned(),
        sub_type: sub_type.trim().to_owned(),
        supersedes: String::new(),
        build: build.trim().to_owned(),
        products: ids(record, "product_ids").collect(),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn ids<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = String> + 'a {
    list(value, key).iter().filter_map(Value::as_str).map(str::to_owned)
}
