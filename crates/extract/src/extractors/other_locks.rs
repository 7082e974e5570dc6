//! Lock files of R (`renv.lock`) and Haskell (`stack.yaml.lock`, `cabal.project.freeze`).

use super::documents::{file_name, json, member, nameless, package, yaml};
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};
use serde::Deserialize;
use serde_json::Value;

pub(super) struct RenvLock;
pub(super) struct HaskellLock;

impl Extractor for RenvLock {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "renv-lock", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/renv.lock"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let document: Value = json(file)?;
        let packages = document.get("Packages").and_then(Value::as_object);
        for locked in packages.ok_or_else(|| ExtractError::Malformed("it has no packages".into()))?.values() {
            match (member(locked, "Package"), member(locked, "Version")) {
                (Some(name), Some(version)) => out.found(package(Family::Cran, Manager::Renv, name, version)),
                _ => nameless(out),
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct StackLock {
    #[serde(default)]
    packages: Vec<StackPackage>,
}

#[derive(Deserialize)]
struct StackPackage {
    completed: Completed,
}

#[derive(Deserialize)]
struct Completed {
    /// Of Hackage: `name-version@sha256:…,size`.
    hackage: Option<String>,
    name: Option<String>,
    version: Option<String>,
}

impl Extractor for HaskellLock {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "haskell-lock", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/stack.yaml.lock", "**/cabal.project.freeze"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        if file_name(file.path) == "cabal.project.freeze" {
            frozen(&file.text(), out);
            return Ok(());
        }
        for locked in yaml::<StackLock>(file)?.into_iter().flat_map(|lock| lock.packages) {
            let completed = locked.completed;
            let hackage = completed.hackage.as_deref().map(|hackage| hackage.split('@').next().unwrap_or_default());
            match (hackage.and_then(|hackage| hackage.rsplit_once('-')), completed.name.as_deref().zip(completed.version.as_deref())) {
                (Some((name, version)), _) | (None, Some((name, version))) => {
                    out.found(package(Family::Hackage, Manager::Stack, name, version));
                }
                (None, None) => nameless(out),
            }
        }
        Ok(())
    }
}

/// `constraints: any.name ==version,` and so on, one to a line; flags stand between.
fn frozen(text: &str, out: &mut dyn InventorySink) {
    for line in text.lines() {
        let line = line.trim().trim_start_matches("constraints:").trim().trim_end_matches(',');
        if let Some((name, version)) = line.split_once("==") {
            let name = name.trim().trim_start_matches("any.");
            out.found(package(Family::Hackage, Manager::Cabal, name, version.trim()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};

    #[test]
    fn r() {
        let lock = r#"{"R": {"Version": "4.3"}, "Packages": {"R6": {"Package": "R6", "Version": "2.5.1"}, "odd": {}}}"#;
        assert_eq!(packages("renv.lock", lock), ["R6 2.5.1"]);
        assert_eq!(read("renv.lock", lock).problems.len(), 1);
    }

    #[test]
    fn haskell() {
        let stack = "packages:\n- completed:\n    hackage: aeson-pretty-0.8.9@sha256:ab,12\n    pantry-tree:\n      size: 1\n  original:\n    hackage: x\n\
                     - completed:\n    name: mine\n    version: 1.10\n";
        assert_eq!(packages("stack.yaml.lock", stack), ["aeson-pretty 0.8.9", "mine 1.10"]);
        let freeze = "active-repositories: hackage.haskell.org:merge\nconstraints: any.aeson ==2.1.2.1,\n             aeson -cffi,\n             any.base ==4.18\n";
        assert_eq!(packages("cabal.project.freeze", freeze), ["aeson 2.1.2.1", "base 4.18"]);
    }
}
