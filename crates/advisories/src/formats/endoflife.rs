//! Until when operating systems are looked after (endoflife.date, `/api/v1/products/full`). Other products are passed over.

use super::{Brought, Format, Parsed};
use lestrade_model::{Lifecycle, Timestamp};
use serde_json::Value;

/// The products that are systems we know, and how os-release names them.
const SYSTEMS: &[(&str, &[&str])] = &[
    ("almalinux", &["almalinux"]),
    ("alpine", &["alpine"]),
    ("alpine-linux", &["alpine"]),
    ("amazon-linux", &["amzn"]),
    ("azure-linux", &["azurelinux"]),
    ("bottlerocket", &["bottlerocket"]),
    ("centos", &["centos"]),
    ("cbl-mariner", &["mariner"]),
    ("debian", &["debian"]),
    ("fedora", &["fedora"]),
    ("opensuse", &["opensuse-leap"]),
    ("oracle-linux", &["ol"]),
    ("photon", &["photon"]),
    ("rhel", &["rhel"]),
    ("rocky-linux", &["rocky"]),
    ("sles", &["sles", "sles_sap", "sled"]),
    ("ubuntu", &["ubuntu"]),
];

pub(super) struct EndOfLife;

impl Format for EndOfLife {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        let is_product = |value: &Value| value.get("releases").is_some_and(Value::is_array) && value.get("name").is_some();
        matches!(document, Parsed::Object(document)
            if document.get("result").and_then(Value::as_array).and_then(|list| list.first()).is_some_and(is_product))
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let Parsed::Object(document) = document else { return Brought::default() };
        let products = document.get("result").and_then(Value::as_array).cloned().unwrap_or_default();
        let promised = document.get("total").and_then(Value::as_u64).unwrap_or(products.len() as u64);
        if promised != products.len() as u64 {
            return Brought::refused(name, format!("it promises {promised} products and has {}", products.len()));
        }
        let mut lifecycles = Vec::new();
        let mut quarantined = Vec::new();
        for product in &products {
            let product_name = product["name"].as_str().unwrap_or_default();
            let Some((_, systems)) = SYSTEMS.iter().find(|(name, _)| *name == product_name) else { continue };
            for release in product["releases"].as_array().into_iter().flatten() {
                match read_release(release) {
                    Ok((version, label, ends, over)) => lifecycles.extend(systems.iter().map(|os| Lifecycle {
                        os: (*os).to_owned(),
                        release: version.clone(),
                        label: label.clone(),
                        ends,
                        over,
                    })),
                    Err(reason) => quarantined.push((format!("{name}: {product_name}"), reason)),
                }
            }
        }
        if lifecycles.is_empty() {
            return Brought { quarantined, ..Brought::refused(name, "it knows no operating system") };
        }
        let dated = document.get("generated_at").and_then(Value::as_str).map(str::to_owned);
        Brought { lifecycles: Some(lifecycles), quarantined, dated, ..Brought::default() }
    }
}

fn read_release(release: &Value) -> Result<(String, String, Option<Timestamp>, bool), String> {
    let version = release["name"].as_str().filter(|name| !name.is_empty() && name.len() <= 64).ok_or("a release without a name")?;
    let label = release["label"].as_str().unwrap_or(version).chars().take(128).collect();
    let ends = match release["eolFrom"].as_str() {
        None => None,
        Some(date) => Some(Timestamp::parse(&format!("{date}T00:00:00Z")).map_err(|_| format!("'{version}' ends at no date"))?),
    };
    Ok((version.to_owned(), label, ends, release["isEol"].as_bool().unwrap_or(false)))
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use crate::documents::Syntax;

    #[test]
    fn systems_and_their_ends() {
        let text = r#"{"generated_at": "2026-11-01T00:00:00Z", "total": 2, "result": [
            {"name": "python", "releases": [{"name": "2.7", "isEol": true, "eolFrom": "2020-01-01"}]},
            {"name": "debian", "releases": [
                {"name": "10", "label": "10 (Buster)", "isEol": true, "eolFrom": "2022-09-10"},
                {"name": "13", "label": "13 (Trixie)", "isEol": false, "eolFrom": null},
                {"name": "x", "eolFrom": "soon"}]}]}"#;
        let brought = read("full.json", Syntax::Json, text);
        let lifecycles = brought.lifecycles.unwrap();
        assert_eq!(
            lifecycles.iter().map(|l| (l.os.as_str(), l.release.as_str())).collect::<Vec<_>>(),
            [("debian", "10"), ("debian", "13")]
        );
        assert_eq!(lifecycles[0].ends, Timestamp::parse("2022-09-10T00:00:00Z").ok());
        assert_eq!((brought.quarantined.len(), brought.dated.as_deref()), (1, Some("2026-11-01T00:00:00Z")));
        let cut = text.replace("\"total\": 2", "\"total\": 3");
        assert!(read("full.json", Syntax::Json, &cut).lifecycles.is_none());
    }
}
