//! Dart's and Flutter's `pubspec.lock`.

use super::documents::{package, yaml};
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};
use serde::Deserialize;
use std::collections::BTreeMap;

pub(super) struct PubspecLock;

#[derive(Deserialize)]
struct Lock {
    packages: Option<BTreeMap<String, Locked>>,
}

#[derive(Deserialize)]
struct Locked {
    version: String,
}

impl Extractor for PubspecLock {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "pubspec-lock", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/pubspec.lock"]
    }

    /// The lock tells what the project itself uses for development only, and not what that leads to: all of it is listed.
    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let locks: Vec<Lock> = yaml(file)?;
        if locks.is_empty() {
            return Err(ExtractError::Malformed("it is empty".into()));
        }
        for (name, locked) in locks.into_iter().filter_map(|lock| lock.packages).flatten() {
            out.found(package(Family::Pub, Manager::Pub, &name, &locked.version));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};

    #[test]
    fn versions_as_they_are_written() {
        let lock = "packages:\n  a:\n    dependency: \"direct main\"\n    source: hosted\n    version: \"3.0.2\"\n  b:\n    version: 1.10\nsdks:\n  dart: \">=2\"\n";
        assert_eq!(packages("pubspec.lock", lock), ["a 3.0.2", "b 1.10"]);
        for bad in ["", "packages: [", "packages:\n  a: {}\n"] {
            assert_eq!(read("pubspec.lock", bad).problems.len(), 1, "{bad}");
        }
    }
}
