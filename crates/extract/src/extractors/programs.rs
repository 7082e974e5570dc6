//! Compiled programs (ELF, PE, Mach-O, also several in one): the sections in which toolchains leave what they were built from.

use crate::ExtractError;
use lestrade_artifact::ReadAt;
use object::read::macho::{FatArch, MachOFatFile32, MachOFatFile64};
use object::{File, FileKind, Object, ObjectSection, SectionKind};

/// The most programs that one file is said to hold.
const MAX_SLICES: usize = 16;
/// The most bytes of section names, and sections, that a look into a program reads.
const MAX_NAMES: u64 = 1 << 20;
const MAX_SECTIONS: u64 = 4096;

/// Whether a file that begins like this is a program.
pub(crate) fn is_program(head: &[u8]) -> bool {
    matches!(
        head,
        [0x7f, b'E', b'L', b'F', ..]
            | [b'M', b'Z', ..]
            | [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..]
            | [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..]
            | [0xca, 0xfe, 0xba, 0xbe | 0xbf, ..]
    )
}

/// Calls `read` with each program that a file holds.
pub(super) fn each(content: &[u8], read: &mut dyn FnMut(&File<'_>) -> Result<(), ExtractError>) -> Result<(), ExtractError> {
    let slices = match FileKind::parse(content) {
        Ok(FileKind::MachOFat32) => MachOFatFile32::parse(content).map(|fat| slices(content, fat.arches())),
        Ok(FileKind::MachOFat64) => MachOFatFile64::parse(content).map(|fat| slices(content, fat.arches())),
        Ok(_) => Ok(vec![content]),
        // Something else begins like a program: a Java class like a fat one, a script like an old one.
        Err(_) => return Ok(()),
    };
    for slice in slices.unwrap_or_default() {
        // A header that is broken is no program that could run.
        if let Ok(file) = File::parse(slice) {
            read(&file)?;
        }
    }
    Ok(())
}

fn slices<'a, A: FatArch>(content: &'a [u8], arches: &[A]) -> Vec<&'a [u8]> {
    arches.iter().take(MAX_SLICES).filter_map(|arch| arch.data(content).ok()).collect()
}

/// A section by one of its names.
pub(super) fn section<'a>(file: &File<'a>, names: &[&str]) -> Option<&'a [u8]> {
    names.iter().find_map(|name| file.section_by_name(name)?.data().ok())
}

/// Bytes of a program's memory from an address on, as far as its section goes.
pub(super) fn memory<'a>(file: &File<'a>, address: u64) -> Option<&'a [u8]> {
    file.sections().find_map(|section| {
        // What is not loaded has no place in memory.
        let start = Some(section.address()).filter(|start| *start != 0)?;
        let offset = usize::try_from(address.checked_sub(start)?).ok()?;
        section.data().ok()?.get(offset..).filter(|rest| !rest.is_empty())
    })
}

/// The sections that hold data which the program may change.
pub(super) fn data<'a>(file: &File<'a>) -> impl Iterator<Item = (u64, &'a [u8])> {
    let sections: Vec<_> = file
        .sections()
        .filter(|section| matches!(section.kind(), SectionKind::Data | SectionKind::ReadOnlyData))
        .filter_map(|section| Some((section.address(), section.data().ok()?)))
        .collect();
    sections.into_iter()
}

/// Whether a program may hold something, by the names of its sections alone: a few reads instead of all of it. Whatever is not plainly an
/// ELF file with named sections may.
pub(crate) fn may_hold_packages(file: &dyn ReadAt) -> bool {
    elf_section_names(file).is_none_or(|names| [&b".go.buildinfo\0"[..], b".dep-v0\0"].iter().any(|name| contains(&names, name)))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn elf_section_names(file: &dyn ReadAt) -> Option<Vec<u8>> {
    let mut header = [0; 64];
    file.read_at(0, &mut header).ok()?;
    if !header.starts_with(b"\x7fELF") {
        return None;
    }
    // 64 bits, little-endian: what nearly every machine runs. Others are read whole.
    if header[4..6] != [2, 1] {
        return None;
    }
    let number = |at: usize, length: usize| header[at..at + length].iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let (table, size, count, names) = (number(40, 8), number(58, 2), number(60, 2), number(62, 2));
    if size != 64 || names >= count || count > MAX_SECTIONS {
        return None;
    }
    let mut row = [0; 64];
    file.read_at(table.checked_add(names * size)?, &mut row).ok()?;
    let number = |at: usize| row[at..at + 8].iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let (offset, length) = (number(24), number(32));
    let mut text = vec![0; usize::try_from(length).ok().filter(|_| length <= MAX_NAMES)?];
    file.read_at(offset, &mut text).ok()?;
    Some(text)
}
