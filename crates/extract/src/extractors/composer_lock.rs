//! PHP's `composer.lock` and what it has installed.

use super::documents::{nameless, package};
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};
use serde_json::Value;

pub(super) struct ComposerLock;

impl Extractor for ComposerLock {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "composer-lock", version: 2 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/composer.lock", "**/installed.json"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let document: Value = serde_json::from_str(&file.text()).map_err(|error| ExtractError::json(&error))?;
        // Older versions of composer wrote what is installed as a bare list.
        let list = document.get("packages").unwrap_or(&document).as_array();
        let is_composers = list.is_some_and(|list| list.iter().any(|package| package.get("version").is_some()));
        if file.path.ends_with("installed.json") && !file.path.contains("composer/") && !is_composers {
            // Others call files so too.
            return Ok(());
        }
        let list = list.ok_or_else(|| ExtractError::Malformed("it has no list of packages".into()))?;
        let dev: Vec<&str> =
            document.get("dev-package-names").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        for listed in list {
            let text = |key: &str| listed.get(key).and_then(Value::as_str);
            match (text("name"), text("version")) {
                (Some(name), Some(_)) if dev.contains(&name) => {}
                (Some(name), Some(version)) => out.found(package(Family::Packagist, Manager::Composer, name, version)),
                _ => nameless(out),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::packages;

    #[test]
    fn packages_for_development_are_left_out() {
        let lock = r#"{"packages": [{"name": "a/b", "version": "v1.2.3"}], "packages-dev": [{"name": "c/d", "version": "1"}]}"#;
        assert_eq!(packages("composer.lock", lock), ["a/b v1.2.3"]);
        let installed = r#"{"packages": [{"name": "a/b", "version": "1"}, {"name": "c/d", "version": "1"}], "dev-package-names": ["c/d"]}"#;
        assert_eq!(packages("x/vendor/composer/installed.json", installed), ["a/b 1"]);
    }
}
