//! A zip archive as a stream of files: a function's package, a layer of it. Its central directory says what is in it, as it does
//! for who unpacks it; what it says twice or over itself is told.

use crate::Limits;
use crate::content::Holder;
use crate::layer::{Program, show_file};
use crate::nested::{self, Nested};
use crate::path::{normalise, shown};
use crate::sink::FileSink;
use crate::zip_doubt::zip_ambiguity;
use lestrade_model::{Problem, ProblemKind};
use std::collections::HashMap;
use std::io::{self, Read, Seek};
use zip::ZipArchive;
use zip::result::ZipError;

/// How many bytes all entries together may inflate to, for each byte of the archive, beyond [`Limits::ratio_after`].
struct Budget {
    packed: u64,
    inflated: u64,
}

/// Shows the entries of an archive to a sink. Answers why it is none, in a clause.
///
/// # Errors
/// When nothing of it can be read.
pub fn walk_zip(input: impl Read + Seek, limits: &Limits, holder: &mut Holder, sink: &mut dyn FileSink) -> Result<(), String> {
    walk_within(input, 0, limits, holder, sink)
}

/// An archive that lies so deep in others.
pub(crate) fn walk_within(
    input: impl Read + Seek,
    depth: usize,
    limits: &Limits,
    holder: &mut Holder,
    sink: &mut dyn FileSink,
) -> Result<(), String> {
    let mut input = input;
    let packed = input.seek(io::SeekFrom::End(0)).map_err(|error| error.to_string())?;
    let mut archive = ZipArchive::new(input).map_err(|error| plain(&error))?;
    let problem = |path: &str, kind, detail: String| Problem { path: path.to_owned(), kind, detail };
    if archive.len() as u64 > limits.entries {
        return Err(format!("it has more than {} entries", limits.entries));
    }
    if archive.has_overlapping_files().unwrap_or(true) {
        // The same bytes would be inflated again and again (David Fifield, "A better zip bomb").
        return Err("entries lie over each other".to_owned());
    }
    let mut budget = Budget { packed, inflated: 0 };
    let mut seen: HashMap<Vec<u8>, usize> = HashMap::new();
    for number in 0..archive.len() {
        let entry = archive.by_index_raw(number).map_err(|error| plain(&error))?;
        match normalise(entry.name_raw(), limits.name, limits.depth) {
            // Of one name the last entry counts, as it does for who unpacks one after the other.
            Ok(path) if entry.is_file() || entry.is_symlink() => drop(seen.insert(path, number)),
            Ok(_) => {}
            Err(why) => {
                sink.problem(problem(&shown(&entry.name_raw()[..entry.name_raw().len().min(128)]), ProblemKind::Malformed, why.to_string()))
            }
        }
    }
    let mut order: Vec<(Vec<u8>, usize)> = seen.into_iter().collect();
    order.sort_unstable_by_key(|(_, number)| *number);
    for (path, number) in order {
        let path = String::from_utf8_lossy(&path).into_owned();
        let raw = archive.by_index_raw(number).map_err(|error| plain(&error))?;
        let (encrypted, executable, is_link) = (raw.encrypted(), raw.unix_mode().is_some_and(|mode| mode & 0o111 != 0), raw.is_symlink());
        drop(raw);
        let wanted = sink.wants(&path);
        let nested = Nested::of(&path).filter(|_| wanted.is_none());
        if path.is_empty() || (wanted.is_none() && !executable && nested.is_none()) {
            continue;
        }
        if encrypted {
            sink.problem(problem(&path, ProblemKind::Unsupported, "the entry is encrypted".into()));
            continue;
        }
        let entry = match archive.by_index(number) {
            Ok(entry) => entry,
            Err(error) => {
                sink.problem(problem(&path, ProblemKind::Unsupported, plain(&error)));
                continue;
            }
        };
        let program = if executable { Program::Perhaps } else { Program::No };
        let mut body = Inflating { entry, budget: &mut budget, limits };
        if is_link {
            let mut target = Vec::new();
            let read = (&mut body).take(limits.name as u64).read_to_end(&mut target);
            match (read, wanted) {
                (Ok(_), Some(_)) => sink.link(&path, &String::from_utf8_lossy(&target)),
                (Err(error), Some(_)) => sink.problem(problem(&path, ProblemKind::Malformed, error.to_string())),
                _ => {}
            }
        } else if let Some(kind) = nested {
            nested::show(kind, &path, &mut body, depth, limits, sink);
        } else if let Err(error) = show_file(&path, wanted, program, &mut body, limits, holder, sink) {
            let kind = if budget.is_spent(limits) { ProblemKind::LimitExceeded } else { ProblemKind::Malformed };
            sink.problem(problem(&path, kind, error.to_string().lines().next().unwrap_or_default().to_owned()));
        }
        if budget.is_spent(limits) {
            sink.problem(problem("", ProblemKind::LimitExceeded, "the archive inflates to more than the limits allow".into()));
            break;
        }
    }
    if let Some(why) = zip_ambiguity(archive).map_err(|error| error.to_string())? {
        sink.problem(problem("", ProblemKind::Malformed, format!("the archive is ambiguous: {why}; its directory was followed")));
    }
    Ok(())
}

impl Budget {
    const fn is_spent(&self, limits: &Limits) -> bool {
        let dense = self.inflated > limits.ratio_after && self.inflated / limits.ratio > self.packed;
        self.inflated > limits.expanded || dense
    }
}

/// An entry's content, as far as the budget of the archive goes.
struct Inflating<'a, R> {
    entry: R,
    budget: &'a mut Budget,
    limits: &'a Limits,
}

impl<R: Read> Read for Inflating<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.budget.is_spent(self.limits) {
            return Err(io::Error::other("the archive inflates to more than the limits allow"));
        }
        let read = self.entry.read(buffer)?;
        self.budget.inflated += read as u64;
        Ok(read)
    }
}

/// What is wrong with an archive, in a clause.
fn plain(error: &ZipError) -> String {
    match error {
        ZipError::UnsupportedArchive(what) => format!("a kind of compression or archive that is not read ({what})"),
        other => other.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::tests::Recorder;
    use ::zip::write::{SimpleFileOptions, ZipWriter};
    use std::io::{Cursor, Write};

    fn archive(files: &[(&str, &[u8], u32)]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content, mode) in files {
            zip.start_file(*name, SimpleFileOptions::default().unix_permissions(*mode)).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn walk(bytes: &[u8], limits: &Limits) -> (Vec<String>, Result<(), String>) {
        let mut recorder = Recorder::default();
        let walked = walk_zip(Cursor::new(bytes), limits, &mut Holder::default(), &mut recorder);
        (recorder.0, walked)
    }

    #[test]
    fn entries_are_files_below_a_root() {
        let bytes = archive(&[
            ("a", b"1", 0o644),
            ("../../b", b"2", 0o644),
            ("/c\\d", b"3", 0o644),
            ("run.bin", b"\x7fELF rest", 0o755),
            ("script.bin", b"#!/bin/sh", 0o755),
            ("big.bin", b"x", 0o644),
        ]);
        assert_eq!(walk(&bytes, &Limits::default()).0, ["a=1", "b=2", "c\\d=3", "run.bin=\x7fELF rest"]);
        let mut prepended = b"#!/usr/bin/env python\n".to_vec();
        prepended.extend_from_slice(&bytes);
        assert_eq!(walk(&prepended, &Limits::default()).0.len(), 4, "a program may stand before it");
    }

    #[test]
    fn archives_inside_are_folders() {
        let tar = crate::layer::tests::tar_of(&[("x/b", "2"), (".wh.c", "")]);
        let inner = archive(&[("a", b"1", 0o644), ("deps.tar", &tar, 0o644)]);
        let outer = archive(&[("lib/inner.zip.bin", b"no", 0o644), ("lib/inner.ZIP", &inner, 0o644)]);
        let seen = |bytes: &[u8]| walk(bytes, &Limits::default()).0;
        assert_eq!(seen(&outer), ["lib/inner.ZIP/a=1", "lib/inner.ZIP/deps.tar/x/b=2"]);
        let mut deep = inner;
        for _ in 0..4 {
            deep = archive(&[("d.zip", &deep, 0o644)]);
        }
        assert_eq!(seen(&deep), ["?LimitExceeded d.zip/d.zip/d.zip/d.zip"]);
        assert_eq!(seen(&archive(&[("x.zip", b"PK", 0o644)])), ["?Malformed x.zip"]);
    }

    #[test]
    fn encrypted_and_doubled_entries() {
        let mut bytes = archive(&[("secret", b"1", 0o644), ("plain", b"2", 0o644)]);
        // The flag of the first entry, in its own header and in the directory.
        bytes[6] |= 1;
        let at = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        bytes[at + 8] |= 1;
        assert_eq!(walk(&bytes, &Limits::default()).0, ["?Unsupported secret", "plain=2"]);
        // Two entries that unpack to one path: the later one is what is there.
        let twice = archive(&[("a/b", b"1", 0o644), ("a//b", b"2", 0o644)]);
        assert_eq!(walk(&twice, &Limits::default()).0, ["a/b=2"]);
    }

    #[test]
    fn what_is_cut_or_no_archive_is_an_error() {
        let bytes = archive(&[("a", &[7; 2000], 0o644), ("b", b"2", 0o644)]);
        for cut in 0..bytes.len() {
            assert!(walk(&bytes[..cut], &Limits::default()).1.is_err(), "cut at {cut}");
        }
        for flip in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[flip] ^= 0x41;
            let (seen, walked) = walk(&bad, &Limits::default());
            let whole = seen.len() == 2 && seen.iter().all(|line| !line.starts_with('?'));
            // Names, dates and modes may be anything; what is shown has its right checksum.
            assert!(
                walked.is_err() || whole || seen.iter().any(|line| line.starts_with('?')) || seen.len() < 2,
                "flip at {flip}: {seen:?}"
            );
        }
    }

    #[test]
    fn bombs_stop_at_the_limits() {
        let limits = Limits { ratio_after: 1 << 20, ratio: 100, file: 1 << 30, large: 1 << 30, memory: 1 << 30, ..Limits::default() };
        let bytes = archive(&[("a", b"1", 0o644), ("zeros", &vec![0; 32 << 20], 0o644), ("b", b"2", 0o644)]);
        let (seen, _) = walk(&bytes, &limits);
        assert_eq!(seen[0], "a=1");
        assert!(seen.iter().any(|line| line.starts_with("?LimitExceeded")) && !seen.contains(&"b=2".to_owned()));
        assert!(walk(&archive(&[("a", b"1", 0o644), ("b", b"2", 0o644)]), &Limits { entries: 1, ..limits }).1.is_err());
    }
}
