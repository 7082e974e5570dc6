//! Bottlerocket's list of what it was built from: `usr/share/bottlerocket/application-inventory.json`.

use super::documents::{json, member, nameless};
use crate::{ExtractError, Extractor, ExtractorId, Found, InventorySink, Origin, WantedFile};
use lestrade_model::Manager;
use serde_json::Value;

pub(super) struct Bottlerocket;

impl Extractor for Bottlerocket {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "bottlerocket", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["usr/share/bottlerocket/application-inventory.json", "**/bottlerocket/application-inventory.json"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let document: Value = json(file)?;
        let content = document.get("Content").and_then(Value::as_array);
        for package in content.ok_or_else(|| ExtractError::Malformed("it has no content".into()))? {
            let (Some(name), Some(version)) = (member(package, "Name"), member(package, "Version")) else {
                nameless(out);
                continue;
            };
            let epoch = member(package, "Epoch").map(|epoch| format!("{epoch}:")).unwrap_or_default();
            let release = member(package, "Release").map(|release| format!("-{release}")).unwrap_or_default();
            out.found(Found {
                origin: Origin::OperatingSystem,
                name: name.to_owned(),
                version: format!("{epoch}{version}{release}"),
                source: None,
                arch: member(package, "Architecture").map(str::to_owned),
                module: None,
                manager: Manager::Bottlerocket,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};

    #[test]
    fn versions_are_those_of_rpm() {
        let list = r#"{"Content": [{"Name": "glibc", "Version": "2.43", "Release": "1.br1", "Epoch": "1"}, {"Name": "acpid", "Version": "1.19.2", "Release": "2"}]}"#;
        assert_eq!(packages("usr/share/bottlerocket/application-inventory.json", list), ["glibc 1:2.43-1.br1", "acpid 1.19.2-2"]);
        assert_eq!(read("usr/share/bottlerocket/application-inventory.json", "{}").problems.len(), 1);
    }
}
