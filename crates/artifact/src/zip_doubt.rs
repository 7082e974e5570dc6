//! Whether a zip archive says one thing only. Its directory counts for us, as it does for who unpacks it; who reads it as a stream
//! goes by the headers in front of the entries, and who looks for its end may find another one (APPNOTE.TXT, 4.3).

use crate::path::shown;
use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom};
use zip::ZipArchive;

const ENTRY: &[u8] = b"PK\x03\x04";
const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
/// Bytes of a header in front of an entry, before its name.
const HEADER: usize = 30;
/// How far from an archive's end what ends it may begin: a comment of 64 KiB, and the records in front of it.
const TAIL: u64 = (64 << 10) + 256;
/// How much is read at a time.
const CHUNK: usize = 64 << 10;
/// How many places are looked at that may be entries which the directory does not list.
const MAX_PLACES: usize = 1000;

/// An entry, as the directory lists it.
struct Listed {
    name: Vec<u8>,
    start: u64,
    packed: u64,
}

/// Why another reader may see something else in an archive than its directory says, in a clause; none where all say the same.
///
/// # Errors
/// When it cannot be read.
pub fn zip_ambiguity<R: Read + Seek>(archive: ZipArchive<R>) -> io::Result<Option<String>> {
    let mut listed = Vec::with_capacity(archive.len());
    for number in 0..archive.len() {
        let Ok(entry) = archive.by_index_data(number) else { continue };
        listed.push(Listed { name: entry.name_raw().to_vec(), start: entry.header_start(), packed: entry.compressed_size() });
    }
    listed.sort_unstable_by_key(|entry| entry.start);
    let directory = archive.central_directory_start();
    let mut input = archive.into_inner();
    if let Some(why) = ends(&mut input, directory)? {
        return Ok(Some(why));
    }
    let mut before = 0;
    let mut gaps = Vec::new();
    for entry in &listed {
        let end = match own_header(&mut input, entry)? {
            Ok(end) => end,
            Err(why) => return Ok(Some(why)),
        };
        if entry.start < before && entry.packed > 0 {
            return Ok(Some("entries lie over each other".to_owned()));
        }
        gaps.push((before, entry.start));
        before = before.max(end);
    }
    gaps.push((before, directory));
    // Between entries there is room for sums and for what makes them begin at round numbers.
    gaps.retain(|(from, to)| to.saturating_sub(*from) > HEADER as u64);
    let names: HashSet<&[u8]> = gaps.iter().take(1).flat_map(|_| listed.iter().map(|entry| entry.name.as_slice())).collect();
    let mut places = MAX_PLACES;
    for (from, to) in gaps {
        if let Some(name) = unlisted(&mut input, from, to, &names, &mut places)? {
            return Ok(Some(format!("it holds '{}', which its directory does not list", told(&name))));
        }
    }
    Ok(None)
}

/// Where an entry ends, or how the header in front of it contradicts the directory.
fn own_header(input: &mut (impl Read + Seek), entry: &Listed) -> io::Result<Result<u64, String>> {
    let Some((name, extra)) = header(input, entry.start)? else {
        return Ok(Err(format!("where '{}' should be there is no entry", told(&entry.name))));
    };
    // A name may be said again in another spelling (APPNOTE.TXT, 4.6.9), and that is then the one that is listed.
    if name != entry.name && !extra.windows(2).any(|id| id == b"\x75\x70") {
        return Ok(Err(format!("'{}' is called '{}' in its own header", told(&entry.name), told(&name))));
    }
    let end = entry.start.saturating_add((HEADER + name.len() + extra.len()) as u64).saturating_add(entry.packed);
    Ok(Ok(end))
}

/// The name and the extra fields of the header at a place, if there is one.
fn header(input: &mut (impl Read + Seek), at: u64) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    input.seek(SeekFrom::Start(at))?;
    let mut fixed = Vec::with_capacity(HEADER);
    input.by_ref().take(HEADER as u64).read_to_end(&mut fixed)?;
    if fixed.len() < HEADER || !fixed.starts_with(ENTRY) {
        return Ok(None);
    }
    let length = |at: usize| usize::from(u16::from_le_bytes([fixed[at], fixed[at + 1]]));
    let (name, extra) = (length(26), length(28));
    let mut rest = Vec::with_capacity(name + extra);
    input.by_ref().take((name + extra) as u64).read_to_end(&mut rest)?;
    if rest.len() < name + extra {
        return Ok(None);
    }
    let extra = rest.split_off(name);
    Ok(Some((rest, extra)))
}

/// The name of an entry between two places that is not among those that are listed. One of the same name is listed: of two the
/// later counts, which is what the directory names.
fn unlisted(
    input: &mut (impl Read + Seek),
    from: u64,
    to: u64,
    listed: &HashSet<&[u8]>,
    places: &mut usize,
) -> io::Result<Option<Vec<u8>>> {
    let mut at = from;
    let mut chunk = Vec::with_capacity(CHUNK);
    while at + (HEADER as u64) < to {
        input.seek(SeekFrom::Start(at))?;
        chunk.clear();
        input.by_ref().take((to - at).min(CHUNK as u64)).read_to_end(&mut chunk)?;
        let found: Vec<usize> = chunk.windows(ENTRY.len()).enumerate().filter(|(_, bytes)| *bytes == ENTRY).map(|(at, _)| at).collect();
        for place in found.into_iter().map(|offset| at + offset as u64) {
            let Some(left) = places.checked_sub(1) else { return Ok(Some(b"...".to_vec())) };
            *places = left;
            let Some((name, _)) = header(input, place)? else { continue };
            let is_name = !name.is_empty() && !name.ends_with(b"/") && !name.iter().any(u8::is_ascii_control);
            if is_name && place + ((HEADER + name.len()) as u64) <= to && !listed.contains(name.as_slice()) {
                return Ok(Some(name));
            }
        }
        // What begins at the end of a chunk goes on in the next.
        let step = chunk.len().saturating_sub(ENTRY.len() - 1);
        if step == 0 {
            break;
        }
        at += step as u64;
    }
    Ok(None)
}

/// How what ends the archive contradicts itself.
fn ends(input: &mut (impl Read + Seek), directory: u64) -> io::Result<Option<String>> {
    let length = input.seek(SeekFrom::End(0))?;
    input.seek(SeekFrom::Start(length.saturating_sub(TAIL).max(directory)))?;
    let mut tail = Vec::new();
    input.by_ref().take(TAIL).read_to_end(&mut tail)?;
    let places = |mark: &'static [u8]| tail.windows(mark.len()).enumerate().filter(move |(_, bytes)| *bytes == mark).map(|(at, _)| at);
    if places(END).count() > 1 {
        return Ok(Some("it ends more than once".to_owned()));
    }
    let bytes = |at: Option<usize>, offset: usize| tail.get(at? + offset..)?.first_chunk::<8>().copied();
    let entries = bytes(places(END).next(), 10).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    let entries_64 = bytes(places(END_64).next(), 32).map(u64::from_le_bytes);
    Ok(match (entries, entries_64) {
        (Some(entries), Some(more)) if entries != u16::MAX && u64::from(entries) != more => {
            Some(format!("it has {entries} entries by one record of its end and {more} by another"))
        }
        _ => None,
    })
}

fn told(name: &[u8]) -> String {
    shown(name.get(..128).unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write};
    use zip::write::{SimpleFileOptions, ZipWriter};

    fn archive(names: &[&str]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for name in names {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(b"content").unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn doubt(bytes: &[u8]) -> Option<String> {
        zip_ambiguity(ZipArchive::new(Cursor::new(bytes)).unwrap()).unwrap()
    }

    fn place(bytes: &[u8], mark: &[u8]) -> usize {
        bytes.windows(mark.len()).rposition(|window| window == mark).unwrap()
    }

    #[test]
    fn archives_that_say_one_thing_are_in_no_doubt() {
        let sound = archive(&["a", "b/", "c/\u{e9}"]);
        let script = [b"#!/bin/sh\nexec java -jar PK\x03\x04\n", sound.as_slice()].concat();
        let mut streamed = ZipWriter::new_stream(Vec::new());
        streamed.start_file("a", SimpleFileOptions::default()).unwrap();
        streamed.write_all(b"content").unwrap();
        let streamed = streamed.finish().unwrap().into_inner();
        let mut aligned = ZipWriter::new(Cursor::new(Vec::new()));
        for name in ["a", "b"] {
            aligned.start_file(name, SimpleFileOptions::default().with_alignment(4096)).unwrap();
        }
        let aligned = aligned.finish().unwrap().into_inner();
        for bytes in [sound, script, streamed, aligned, archive(&[])] {
            assert_eq!(doubt(&bytes), None);
        }
    }

    #[test]
    fn a_later_entry_of_the_same_name_is_no_second_word() {
        let (first, second) = (archive(&["a"]), archive(&["a"]));
        let entry = &first[..place(&first, b"PK\x01\x02")];
        assert_eq!(doubt(&[entry, second.as_slice()].concat()), None);
    }

    #[test]
    fn what_another_reader_would_see_is_told() {
        let sound = archive(&["innocent"]);
        let mut renamed = sound.clone();
        renamed[30..38].copy_from_slice(b"pom.prop");
        let hidden = [archive(&["hidden"]), sound.clone()].concat();
        let end = place(&sound, END);
        // An end in the comment of another, which lists nothing.
        let nothing: Vec<u8> = [END, &[0; 12], &u32::try_from(end).unwrap().to_le_bytes(), &[0; 2]].concat();
        let two = [&sound[..sound.len() - 2], &22_u16.to_le_bytes(), &nothing].concat();
        let other_way = [&sound[..end], &nothing[..20], &22_u16.to_le_bytes(), &sound[end..]].concat();
        // The directory's entry once more, under another name.
        let directory = &sound[place(&sound, b"PK\x01\x02")..end];
        let mut other = directory.to_vec();
        other[46..54].copy_from_slice(b"another1");
        let mut tail = sound[end..].to_vec();
        tail[8..12].copy_from_slice(&[2, 0, 2, 0]);
        tail[12..16].copy_from_slice(&u32::try_from(2 * directory.len()).unwrap().to_le_bytes());
        let doubled = [&sound[..end], other.as_slice(), tail.as_slice()].concat();
        // An end for large archives that counts otherwise.
        let at = end as u64;
        let large = [END_64, &44_u64.to_le_bytes(), &[45, 0, 45, 0], &[0; 8], &[0; 32]].concat();
        let locator = [&b"PK\x06\x07"[..], &[0; 4], &at.to_le_bytes(), &1_u32.to_le_bytes()].concat();
        let counted = [&sound[..end], &large, &locator, &sound[end..]].concat();
        for (bytes, said) in [
            (renamed, "'innocent' is called 'pom.prop' in its own header"),
            (hidden, "it holds 'hidden', which its directory does not list"),
            (two, "it holds 'innocent', which its directory does not list"),
            (other_way, "it ends more than once"),
            (doubled, "'another1' is called 'innocent' in its own header"),
            (counted, "it has 1 entries by one record of its end and 0 by another"),
        ] {
            assert_eq!(doubt(&bytes).as_deref(), Some(said));
        }
    }
}
