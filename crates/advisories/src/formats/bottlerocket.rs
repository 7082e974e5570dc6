//! Bottlerocket's advisories: a TOML file for each, with the packages that a release patched.

use super::{Brought, Format, Parsed, cut, record};
use lestrade_model::{Advisory, Affected, Ecosystem, Family};
use serde::Deserialize;

const FEED: &str = "bottlerocket";

pub(super) struct Bottlerocket;

#[derive(Deserialize)]
struct Document {
    advisory: Record,
}

#[derive(Deserialize)]
struct Record {
    id: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    cve: Option<String>,
    #[serde(default)]
    ghsa: Option<String>,
    #[serde(default)]
    severity: Option<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    products: Vec<Product>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Product {
    package_name: String,
    patched_version: String,
    #[serde(default)]
    patched_release: Option<String>,
    #[serde(default)]
    patched_epoch: Option<String>,
}

impl Format for Bottlerocket {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        matches!(document, Parsed::Object(document) if document.get("advisory").and_then(|advisory| advisory.get("products")).is_some())
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let record = match record::<Document>(document) {
            Ok(document) => document.advisory,
            Err(reason) => return Brought::refused(name, reason),
        };
        let affected = record.products.iter().map(|product| {
            let epoch = product.patched_epoch.as_deref().filter(|epoch| *epoch != "0").map(|epoch| format!("{epoch}:"));
            // Kernels are written with the name and version of the package that they were built from.
            let version = product.patched_version.strip_prefix(&format!("{}-", product.package_name)).unwrap_or(&product.patched_version);
            let version = version.strip_prefix("kernel-").unwrap_or(version);
            let release = product.patched_release.as_deref().filter(|release| *release != "0").map(|release| format!("-{release}"));
            let full = format!("{}{version}{}", epoch.unwrap_or_default(), release.unwrap_or_default());
            Affected::before(Ecosystem::of(Family::Bottlerocket), &product.package_name, &full)
        });
        let advisory = Advisory {
            affected: affected.collect(),
            aliases: record.cve.into_iter().chain(record.ghsa).collect(),
            summary: cut(&record.title),
            details: cut(&record.description),
            vendor_severity: record.severity,
            ..Advisory::new(FEED, &record.id)
        };
        Brought { advisories: vec![advisory], ..Brought::default() }
    }
}

#[cfg(test)]
mod tests {
    use crate::documents::Syntax;

    #[test]
    fn a_patched_release_is_a_fix() {
        let text = "[advisory]\nid = \"BRSA-x\"\ntitle = \"kernel\"\ncve = \"CVE-2024-1000\"\nseverity = \"moderate\"\n\n[[advisory.products]]\n\
            package-name = \"kernel-6.1\"\npatched-version = \"6.1.112\"\npatched-release = \"1\"\npatched-epoch = \"0\"\n\n\
            [updateinfo]\nissue-date = 2024-10-17T00:33:43Z\n";
        let brought = super::super::read("2.9.1/BRSA-x.toml", Syntax::Toml, text);
        assert_eq!(brought.advisories[0].vulnerabilities(), ["CVE-2024-1000"]);
        assert!(format!("{:?}", brought.advisories[0].affected[0].ranges).contains("6.1.112-1"));
    }
}
