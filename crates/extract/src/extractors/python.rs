//! Installed Python distributions: `*.dist-info/METADATA` and its older forms (core metadata specification).

use super::documents::package;
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};

pub(super) struct InstalledPython;

/// The headers are at the beginning; a description of any length follows.
const MAX_HEADER: usize = 1 << 20;

impl Extractor for InstalledPython {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "python-installed", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/*.dist-info/METADATA", "**/*.egg-info/PKG-INFO", "**/*.egg-info", "**/EGG-INFO/PKG-INFO"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let header = &file.content[..file.content.len().min(MAX_HEADER)];
        let header = String::from_utf8_lossy(header);
        let (mut name, mut version) = (None, None);
        for line in header.lines() {
            if line.trim().is_empty() {
                break;
            }
            match line.split_once(':') {
                Some(("Name", value)) if name.is_none() => name = Some(value.trim().to_owned()),
                Some(("Version", value)) if version.is_none() => version = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        match (name.filter(|n| !n.is_empty()), version.filter(|v| !v.is_empty())) {
            (Some(name), Some(version)) => {
                out.found(package(Family::PyPi, Manager::PythonPackage, &name, &version));
                Ok(())
            }
            _ => Err(ExtractError::Malformed("it names no distribution and version".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};

    #[test]
    fn headers_end_at_the_first_blank_line() {
        let metadata = "Metadata-Version: 2.1\nName: Flask\nVersion: 2.2.2\n\nName: not-me\nVersion: 0\n";
        for path in ["usr/lib/python3/dist-packages/Flask-2.2.2.dist-info/METADATA", "a.egg-info", "x/b.egg-info/PKG-INFO"] {
            assert_eq!(packages(path, metadata), ["Flask 2.2.2"], "{path}");
        }
        assert_eq!(read("a.dist-info/METADATA", "Name: x\n").problems.len(), 1);
    }
}
