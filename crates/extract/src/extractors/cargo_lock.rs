//! Rust's `Cargo.lock`. The project's own crates are listed too: who scans a published crate's sources means that crate.

use super::documents::{nameless, package, table, text};
use crate::project::{needs, node};
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};
use toml::Value;

pub(super) struct CargoLock;

impl Extractor for CargoLock {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "cargo-lock", version: 2 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/Cargo.lock"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let document = table(file)?;
        for locked in document.get("package").and_then(Value::as_array).into_iter().flatten() {
            let (Some(name), Some(version)) = (text(locked, "name"), text(locked, "version")) else {
                nameless(out);
                continue;
            };
            out.found(package(Family::CratesIo, Manager::Cargo, name, version));
            let node = node(name, version);
            needs(Manager::Cargo, name, &node, out);
            for dependency in locked.get("dependencies").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
                // `name`, and the version where there are several, and the source where that does not tell either.
                let end = dependency.match_indices(' ').nth(1).map_or(dependency.len(), |(at, _)| at);
                needs(Manager::Cargo, &node, &dependency[..end], out);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};

    #[test]
    fn all_crates_are_listed() {
        let lock = "version = 3\n[[package]]\nname = \"me\"\nversion = \"0.1.0\"\n[[package]]\nname = \"libc\"\nversion = \"0.2.1\"\n\
                    source = \"registry+https://github.com/rust-lang/crates.io-index\"\n[[package]]\nname = \"odd\"\n";
        assert_eq!(packages("a/Cargo.lock", lock), ["me 0.1.0", "libc 0.2.1"]);
        assert_eq!(read("a/Cargo.lock", lock).problems.len(), 1);
    }
}
