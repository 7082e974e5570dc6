//! Programs built by `cargo auditable`: their dependency list, compressed JSON in a section of its own.

use super::documents::package;
use super::programs;
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use flate2::bufread::ZlibDecoder;
use lestrade_model::{Family, Manager};
use serde::Deserialize;
use std::io::Read;

pub(super) struct RustBinary;

/// The largest list, inflated.
const MAX_LIST: u64 = 16 << 20;

#[derive(Deserialize)]
struct List {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    #[serde(default)]
    source: String,
    /// `build` is what only the build used.
    #[serde(default)]
    kind: String,
    #[serde(default)]
    root: bool,
}

impl Extractor for RustBinary {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "rust-binary", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/*.exe"]
    }

    fn wants_programs(&self) -> bool {
        true
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        programs::each(file.content, &mut |program| {
            let Some(section) = programs::section(program, &[".dep-v0"]) else { return Ok(()) };
            let mut json = Vec::new();
            let inflated = ZlibDecoder::new(section).take(MAX_LIST + 1).read_to_end(&mut json);
            if inflated.is_err() || json.len() as u64 > MAX_LIST {
                return Err(ExtractError::Malformed("a Rust program whose list of crates is damaged or too large".into()));
            }
            let list: List = serde_json::from_slice(&json).map_err(|error| ExtractError::json(&error))?;
            // The program itself is a crate that somebody published only where it came from a registry.
            for listed in list.packages.iter().filter(|listed| listed.kind != "build" && !(listed.root && listed.source == "local")) {
                out.found(package(Family::CratesIo, Manager::RustBinary, &listed.name, &listed.version));
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::go_binary::tests::elf;
    use crate::extractors::read_bytes;
    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use std::io::Write;

    fn program(json: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(json).unwrap();
        elf(".dep-v0", &encoder.finish().unwrap())
    }

    #[test]
    fn crates_that_were_built_in() {
        let report = read_bytes(
            "x.exe",
            &program(
                br#"{"packages": [{"name": "app", "version": "0.1.0", "source": "local", "root": true},
            {"name": "serde", "version": "1.0.1", "source": "crates.io"}, {"name": "cc", "version": "1.0.0", "source": "crates.io", "kind": "build"}]}"#,
            ),
        );
        let names: Vec<_> = report.found.iter().map(|found| found.name.as_str()).collect();
        assert_eq!((names, report.problems.len()), (vec!["serde"], 0));
    }

    #[test]
    fn bombs_and_damage_are_problems() {
        for bad in [program(&vec![b' '; 32 << 20]), program(b"{"), elf(".dep-v0", b"not zlib")] {
            assert_eq!(read_bytes("x.exe", &bad).problems.len(), 1);
        }
    }
}
