//! Julia's `Manifest.toml`, formats 1 and 2. What has no version is part of Julia itself and has Julia's.

use super::documents::{package, table, text};
use crate::project::{needs, node};
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};
use toml::Value;

pub(super) struct JuliaManifest;

impl Extractor for JuliaManifest {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "julia-manifest", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/Manifest.toml", "**/JuliaManifest.toml", "**/Manifest-v*.toml"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let document = table(file)?;
        let julia = document.get("julia_version").and_then(Value::as_str).unwrap_or_default();
        // Format 1 has the packages at its top; others' manifests have no packages with an id.
        let packages = match document.get("deps") {
            Some(Value::Table(deps)) => deps,
            _ => &document,
        };
        for (name, entries) in packages {
            for entry in entries.as_array().into_iter().flatten().filter(|entry| text(entry, "uuid").is_some()) {
                let version = text(entry, "version").unwrap_or(julia);
                out.found(package(Family::Julia, Manager::Julia, name, version));
                let node = node(name, version);
                needs(Manager::Julia, name, &node, out);
                dependencies(entry).into_iter().for_each(|dependency| needs(Manager::Julia, &node, dependency, out));
            }
        }
        Ok(())
    }
}

/// A list of names, or a table where names do not tell.
fn dependencies(entry: &Value) -> Vec<&str> {
    match entry.get("deps") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(Value::Table(names)) => names.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};

    #[test]
    fn both_formats() {
        let v2 = "julia_version = \"1.9.0\"\nmanifest_format = \"2.0\"\n[[deps.JSON]]\nuuid = \"6\"\nversion = \"0.21.4\"\n[[deps.Mmap]]\nuuid = \"a\"\n";
        assert_eq!(packages("Manifest.toml", v2), ["JSON 0.21.4", "Mmap 1.9.0"]);
        assert_eq!(packages("Manifest.toml", "[[JSON]]\nuuid = \"6\"\nversion = \"0.20.0\"\n"), ["JSON 0.20.0"]);
    }

    #[test]
    fn other_manifests_are_left_alone() {
        assert_eq!(read("Manifest.toml", "[[bin]]\nname = \"x\"\n").found, []);
        assert_eq!(read("Manifest.toml", "[[deps").problems.len(), 1);
    }
}
