//! What a file is, by its first bytes; and reading it as that.

use crate::{ScanError, Scanner};
use lestrade_artifact::{ArtifactError, Platform, SkipPatterns};
use lestrade_model::Inventory;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// How much of a file is looked at.
const HEAD: u64 = 512;
/// Endings of zip archives that are packages themselves.
const PACKAGES: [&str; 7] = ["jar", "war", "ear", "par", "whl", "egg", "nupkg"];

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSort {
    /// A bill of materials.
    Document,
    /// A zip archive from which a function runs.
    Function,
    /// A package of a language, such as a Java archive.
    Package,
    /// A disk, or an image of one.
    Disk,
    /// An archive of an image, or nothing that is known: reading it says so.
    Image,
}

impl FileSort {
    /// What a file is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut head = Vec::new();
        File::open(path)?.take(HEAD).read_to_end(&mut head)?;
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
        Ok(match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{' | b'<') => Self::Document,
            _ if text.starts_with(b"SPDXVersion:") => Self::Document,
            _ if head.starts_with(b"PK") && PACKAGES.contains(&ending.as_str()) => Self::Package,
            _ if head.starts_with(b"PK") => Self::Function,
            _ if is_disk(&head) => Self::Disk,
            _ => Self::Image,
        })
    }

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Document => "sbom",
            Self::Function => "function",
            Self::Package => "package",
            Self::Disk => "disk",
            Self::Image => "image",
        }
    }
}

/// Images of disks have their marks, disks with partitions the signature of a boot sector.
fn is_disk(head: &[u8]) -> bool {
    head.starts_with(b"QFI\xfb") || head.starts_with(b"KDMV") || head.get(510..512) == Some(&[0x55, 0xaa])
}

impl Scanner {
    /// Reads a file as what it is.
    ///
    /// # Errors
    /// When it is not there, may not be read, or is nothing that is read.
    pub fn scan_file(&self, path: &Path, platform: &Platform) -> Result<(FileSort, Inventory), ScanError> {
        let sort = FileSort::of(path).map_err(|error| ArtifactError::at(path, error))?;
        let inventory = match sort {
            FileSort::Document => self.scan_document(path)?.unpack(),
            FileSort::Function => self.scan_zip_file(path)?,
            FileSort::Package => self.scan_package(path)?,
            FileSort::Disk => self.scan_disk(path, &SkipPatterns::default())?.inventory,
            FileSort::Image => self.scan_image_file(path, platform)?.inventory,
        };
        Ok((sort, inventory))
    }

    /// Reads one package as if it were alone on a machine.
    fn scan_package(&self, path: &Path) -> Result<Inventory, ScanError> {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        self.scan_named(&name, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_is_what_its_first_bytes_say() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content, sort) in [
            ("a", &b"\xef\xbb\xbf \n{}"[..], FileSort::Document),
            ("b.xml", b"<bom/>", FileSort::Document),
            ("c", b"SPDXVersion: SPDX-2.3", FileSort::Document),
            ("d.zip", b"PK\x03\x04", FileSort::Function),
            ("e.JAR", b"PK\x03\x04", FileSort::Package),
            ("f.jar", b"not a zip", FileSort::Image),
            ("g.tar", b"app/", FileSort::Image),
            ("h", b"", FileSort::Image),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            assert_eq!(FileSort::of(&path).unwrap(), sort, "{name}");
        }
    }
}
