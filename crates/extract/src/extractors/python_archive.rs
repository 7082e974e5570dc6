//! Python distributions that are installed or shipped packed: eggs and wheels.

use super::archives::{Allowance, Archive};
use super::python::InstalledPython;
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_artifact::Size;

pub(super) struct PackedPython;

impl Extractor for PackedPython {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "python-packed", version: 2 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/*.egg", "**/*.whl"]
    }

    fn largest(&self) -> Size {
        Size::Large
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let mut allowance = Allowance::of(file.content);
        let mut archive = Archive::open(file.content, 0, &mut allowance)?;
        if let Some(doubt) = archive.ambiguity() {
            out.problem(doubt);
        }
        // At the top alone: what lies deeper is of something that was packed along.
        let is_metadata = |(_, name): &&(usize, String)| {
            name == "EGG-INFO/PKG-INFO"
                || name.split_once('/').is_some_and(|(folder, rest)| folder.ends_with(".dist-info") && rest == "METADATA")
        };
        let names = archive.names();
        let Some((number, _)) = names.iter().find(is_metadata) else {
            return Err(ExtractError::Malformed("a packed distribution that does not say what it is".into()));
        };
        let content = archive.manifest(*number, &mut allowance)?;
        InstalledPython.extract(&WantedFile { path: file.path, content: &content }, out)
    }
}

#[cfg(test)]
mod tests {
    use super::super::jar::tests::archive;
    use crate::extractors::read_bytes;

    #[test]
    fn eggs_and_wheels() {
        let metadata = b"Metadata-Version: 2.1\nName: Flask\nVersion: 2.2.2\n\n";
        for (path, inside) in
            [("a/Flask-2.2.2-py3.egg", "EGG-INFO/PKG-INFO"), ("a/Flask-2.2.2-py3-none-any.whl", "Flask-2.2.2.dist-info/METADATA")]
        {
            let report = read_bytes(path, &archive(&[(inside, metadata)]));
            assert_eq!((report.found[0].name.as_str(), report.found[0].version.as_str()), ("Flask", "2.2.2"));
        }
        assert_eq!(read_bytes("a.whl", &archive(&[("x", b"")])).problems.len(), 1);
        let bomb = vec![b'a'; 64 << 20];
        assert_eq!(read_bytes("a.whl", &archive(&[("a.dist-info/METADATA", &bomb)])).problems.len(), 1);
    }
}
