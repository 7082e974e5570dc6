//! Rust's `Cargo.lock`.

use super::python_lock::{packages, table, text};
use crate::{ExtractError, Extractor, ExtractorId, Found, InventorySink, Origin, WantedFile};
use lestrade_model::{Family, Manager};

pub(super) struct CargoLock;

impl Extractor for CargoLock {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "cargo-lock", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/Cargo.lock"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        for package in packages(&table(file)?) {
            match (text(package, "name"), text(package, "version"), package.get("source")) {
                // What has no source is the project's own.
                (Some(_), Some(_), None) => {}
                (Some(name), Some(version), Some(_)) => out.found(Found {
                    origin: Origin::Language(Family::CratesIo),
                    name: name.to_owned(),
                    version: version.to_owned(),
                    source: None,
                    arch: None,
                    manager: Manager::Cargo,
                }),
                _ => out.problem(ExtractError::Malformed("a package has no name or no version".into())),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::packages;

    #[test]
    fn the_projects_own_crates_are_left_out() {
        let lock = "version = 3\n[[package]]\nname = \"me\"\nversion = \"0.1.0\"\n[[package]]\nname = \"libc\"\nversion = \"0.2.1\"\n\
                    source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
        assert_eq!(packages("a/Cargo.lock", lock), ["libc 0.2.1"]);
    }
}
