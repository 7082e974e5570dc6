//! Programs built by Go: the modules that the linker writes into them (`debug/buildinfo`), in both of its formats.

use super::documents::package;
use super::programs;
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};
use object::{BinaryFormat, File, Object};

pub(super) struct GoBinary;

const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Alignment and length of the header.
const ALIGNED: usize = 16;
const HEADER: usize = 32;
/// The longest module list.
const MAX_TEXT: u64 = 16 << 20;
/// What stands around the module list.
const SENTINEL: usize = 16;

impl Extractor for GoBinary {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "go-binary", version: 3 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/*.exe"]
    }

    fn wants_programs(&self) -> bool {
        true
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        if is_test_data(file.path) {
            return Ok(());
        }
        programs::each(file.content, &mut |program| match build_info(program) {
            None => Ok(()),
            Some(Ok((version, modules))) => {
                report(&version, &modules, out);
                Ok(())
            }
            Some(Err(reason)) => Err(ExtractError::Malformed(format!("a Go program whose build information is damaged: {reason}"))),
        })
    }
}

/// Whether a program is what tests of Go's own sources or of a module read: a toolchain brings old ones along that nobody runs
/// (`usr/local/go/src/debug/buildinfo/testdata`), and `testdata` is a name that Go itself never builds from.
fn is_test_data(path: &str) -> bool {
    let sources = ["go/src/", "go/pkg/mod/"].iter().find_map(|folder| {
        let at = path.find(folder)?;
        (at == 0 || path[..at].ends_with('/')).then(|| &path[at + folder.len() - 1..])
    });
    sources.is_some_and(|below| below.contains("/testdata/"))
}

/// The toolchain's version and the list of modules; none of a program that is not Go's.
fn build_info(program: &File<'_>) -> Option<Result<(String, String), &'static str>> {
    let named = programs::section(program, &[".go.buildinfo", "__go_buildinfo"]);
    let header = match named {
        Some(section) => at_magic(section),
        // An ELF file with sections has it in one of that name; a look at the names then tells, wherever the file lies.
        None if program.format() == BinaryFormat::Elf => None,
        // On Windows it has no section of its own.
        None => programs::data(program).find_map(|(_, section)| at_magic(section)),
    }?;
    Some(read(program, header).ok_or("it points to nowhere"))
}

fn at_magic(section: &[u8]) -> Option<&[u8]> {
    (0..section.len()).step_by(ALIGNED).map(|at| &section[at..]).find(|rest| rest.starts_with(MAGIC) && rest.len() >= HEADER)
}

fn read(program: &File<'_>, header: &[u8]) -> Option<(String, String)> {
    let (pointer, flags) = (usize::from(*header.get(14)?), *header.get(15)?);
    if flags & 2 != 0 {
        let (version, rest) = inline(header.get(HEADER..)?)?;
        let (modules, _) = inline(rest)?;
        return Some((text(version), text(without_sentinels(modules))));
    }
    let number = |bytes: &[u8]| -> Option<u64> {
        let bytes = bytes.get(..pointer).filter(|bytes| matches!(bytes.len(), 4 | 8))?;
        let fold = |value, byte: &u8| value << 8 | u64::from(*byte);
        Some(if program.is_little_endian() { bytes.iter().rev().fold(0, fold) } else { bytes.iter().fold(0, fold) })
    };
    let string = |at: usize| -> Option<&[u8]> {
        let place = programs::memory(program, number(header.get(at..)?)?)?;
        let (address, length) = (number(place)?, number(place.get(pointer..)?)?);
        if length == 0 {
            return Some(&[]);
        }
        programs::memory(program, address)?.get(..usize::try_from(length).ok().filter(|_| length <= MAX_TEXT)?)
    };
    Some((text(string(ALIGNED)?), text(without_sentinels(string(ALIGNED + pointer)?))))
}

/// A string with its length before it, as a varint.
fn inline(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_usize;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return bytes[at + 1..].split_at_checked(length);
        }
    }
    None
}

fn without_sentinels(modules: &[u8]) -> &[u8] {
    modules.get(SENTINEL..modules.len().saturating_sub(SENTINEL)).unwrap_or_default()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn report(toolchain: &str, modules: &str, out: &mut dyn InventorySink) {
    let mut found = |name: &str, version: &str| out.found(package(Family::Go, Manager::GoBinary, name, version));
    // `go1.22.1 X:nocoverageredesign`: what follows names experiments.
    if let Some(version) = toolchain.strip_prefix("go").and_then(|rest| rest.split([' ', '-']).next()) {
        found("stdlib", &format!("v{version}"));
    }
    let mut main: Option<(&str, &str)> = None;
    let mut pending: Option<(&str, &str)> = None;
    let mut linked = None;
    for line in modules.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        match columns.as_slice() {
            ["mod", path, version, ..] => main = Some((path, version)),
            ["dep", path, version, ..] => {
                if let Some((name, version)) = pending.replace((path, version)) {
                    found(name, version);
                }
            }
            // What stands in the place of the one before.
            ["=>", path, version, ..] => pending = Some((path, version)),
            ["build", setting] => linked = linked.or_else(|| setting.strip_prefix("-ldflags=").and_then(version_of_flags)),
            _ => {}
        }
    }
    if let Some((name, version)) = pending {
        found(name, version);
    }
    if let Some((name, version)) = main {
        // Built from a working copy it has no version but the one that its makers link in.
        let version = if version == "(devel)" || version.is_empty() { linked.unwrap_or_default() } else { version.to_owned() };
        if !version.is_empty() {
            found(name, &version);
        }
    }
}

/// The version in `-X main.version=1.2.3`, by the names that variables of that meaning have.
fn version_of_flags(flags: &str) -> Option<String> {
    let unquoted = flags.trim_matches('"').replace(['\'', '"'], "");
    let value = unquoted.split_whitespace().find_map(|word| {
        let (variable, value) = word.strip_prefix("-X=").unwrap_or(word).split_once('=')?;
        let name = variable.rsplit('.').next()?.to_ascii_lowercase();
        matches!(name.as_str(), "version" | "ver").then(|| value.to_owned())
    })?;
    let number = value.strip_prefix('v').unwrap_or(&value);
    number.starts_with(|c: char| c.is_ascii_digit()).then(|| format!("v{number}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::extractors::read_bytes;

    /// An ELF file of 64 bits with one section.
    pub(in crate::extractors) fn elf(name: &str, section: &[u8]) -> Vec<u8> {
        let names = format!("\0{name}\0.shstrtab\0");
        let (data, names_at) = (64_u64, 64 + section.len() as u64);
        let table = (names_at + names.len() as u64).next_multiple_of(8);
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        for (value, length) in
            [(2_u64, 2), (62, 2), (1, 4), (0, 8), (0, 8), (table, 8), (0, 4), (64, 2), (56, 2), (0, 2), (64, 2), (3, 2), (2, 2)]
        {
            file.extend_from_slice(&value.to_le_bytes()[..length]);
        }
        file.extend_from_slice(section);
        file.extend_from_slice(names.as_bytes());
        file.resize(table as usize, 0);
        let mut row = |name: u64, kind: u64, at: u64, length: u64| {
            for (value, size) in [(name, 4), (kind, 4), (3, 8), (0x1000 + at, 8), (at, 8), (length, 8), (0, 4), (0, 4), (1, 8), (0, 8)] {
                file.extend_from_slice(&value.to_le_bytes()[..size]);
            }
        };
        row(0, 0, 0, 0);
        row(1, 1, data, section.len() as u64);
        row(name.len() as u64 + 2, 3, names_at, names.len() as u64);
        file
    }

    fn varint(mut length: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while length >= 0x80 {
            out.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out
    }

    fn go(version: &str, modules: &str) -> Vec<u8> {
        let modules = format!("{}{modules}{}", "s".repeat(SENTINEL), "e".repeat(SENTINEL));
        let mut section = [MAGIC, &[8, 2]].concat();
        section.resize(HEADER, 0);
        for text in [version, &modules] {
            section.extend(varint(text.len()));
            section.extend_from_slice(text.as_bytes());
        }
        elf(".go.buildinfo", &section)
    }

    /// What a look at the names of sections says and what reading all of a program says is the same.
    #[test]
    fn an_elf_file_has_its_list_in_the_section_of_that_name() {
        let named = go("go1.22.1", "mod\ta\tv1.0.0\n");
        let mut unnamed = named.clone();
        let at = named.windows(14).rposition(|window| window == b".go.buildinfo\0").unwrap();
        unnamed[at..at + 13].copy_from_slice(b".go.otherinfo");
        assert_eq!((packages(&named).len(), packages(&unnamed).len()), (2, 0));
        assert_eq!([&named, &unnamed].map(|file| programs::may_hold_packages(file)), [true, false]);
    }

    fn packages(content: &[u8]) -> Vec<String> {
        read_bytes("usr/bin/x.exe", content).found.into_iter().map(|found| format!("{} {}", found.name, found.version)).collect()
    }

    #[test]
    fn trap_19_programs_that_tests_of_go_read_are_nobodys() {
        for (path, is_data) in [
            ("usr/local/go/src/debug/buildinfo/testdata/go117/go117", true),
            ("root/go/pkg/mod/example.org/a@v1.0.0/testdata/old", true),
            ("go/src/cmd/testdata/x", true),
            ("usr/local/go/bin/go", false),
            ("srv/testdata/server", false),
            ("srv/cargo/src/testdata/server", false),
        ] {
            assert_eq!(super::is_test_data(path), is_data, "{path}");
        }
    }

    #[test]
    fn modules_after_replacements_and_the_standard_library() {
        let modules = "path\texample.com/a\nmod\texample.com/a\t(devel)\t\ndep\tb\tv1.0.0\th1:x\ndep\tc\tv1.0.0\n=>\td\tv2.0.0\th1:y\ndep\te\tv0.1.0\n\
            build\t-ldflags=\"-s -w -X main.version=1.2.3\"\n";
        assert_eq!(
            packages(&go("go1.22.1 X:exp", modules)),
            ["stdlib v1.22.1", "b v1.0.0", "d v2.0.0", "e v0.1.0", "example.com/a v1.2.3"]
        );
        assert_eq!(packages(&go("go1.20", "mod\ta\t(devel)\n")), ["stdlib v1.20"]);
    }

    #[test]
    fn damaged_programs_are_told_or_passed_over_and_harm_nobody() {
        let whole = go("go1.22.1", "mod\ta\tv1.0.0\ndep\tb\tv1.0.0\n");
        let extractors = crate::Extractors::new(crate::extractors());
        for cut in 0..whole.len() {
            let _ = extractors.read("x.exe", &whole[..cut]);
        }
        for flip in 0..whole.len() {
            let mut bad = whole.clone();
            bad[flip] ^= 0xff;
            let _ = extractors.read("x.exe", &bad);
        }
        let mut wild = [MAGIC, &[8, 0]].concat();
        wild.resize(64, 0xff);
        assert_eq!(read_bytes("x.exe", &elf(".go.buildinfo", &wild)).problems.len(), 1);
        assert_eq!(read_bytes("x.exe", b"#!/bin/sh\n").problems.len(), 0);
    }
}
