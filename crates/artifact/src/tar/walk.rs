//! The walk from header to header.

use super::entry::{Entry, EntryKind, EntrySink};
use super::header::{BLOCK, Header};
use super::input::TarInput;
use super::pax::Pax;
use crate::Limits;
use crate::path::{normalise, shown};
use crate::stop::Stop;
use lestrade_model::ProblemKind;
use std::io::{self, Read};

/// The largest extended header or long name; Go's limit.
const MAX_EXTENSION: u64 = 1 << 20;

/// The first size that an entry's own header has no room for in octal digits.
const MAX_OCTAL: u64 = 1 << 33;

/// A walk that came to the archive's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Walked {
    /// How many entries there were.
    pub(crate) entries: u64,
    /// Whether the two zero blocks were there. Without them, and without a digest, an archive may have been cut between two
    /// entries.
    pub(crate) ended: bool,
    /// How far it was read.
    pub(crate) offset: u64,
}

/// Walks an archive to its end and shows each entry to `sink`.
///
/// # Errors
/// When it cannot be read on. The entries before the stop have been shown.
pub(crate) fn walk(input: &mut dyn TarInput, limits: &Limits, sink: &mut dyn EntrySink) -> Result<Walked, Stop> {
    Walk { input, limits, offset: 0, entries: 0 }.run(sink)
}

struct Walk<'a> {
    input: &'a mut dyn TarInput,
    limits: &'a Limits,
    offset: u64,
    entries: u64,
}

/// What extension entries said of the entry after them.
#[derive(Default)]
struct Extension {
    pax: Pax,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl Walk<'_> {
    fn run(mut self, sink: &mut dyn EntrySink) -> Result<Walked, Stop> {
        let mut extension = Extension::default();
        loop {
            let at = self.offset;
            let Some(block) = self.block()? else { return Ok(self.end(false)) };
            if block.iter().all(|&b| b == 0) {
                let second = self.block()?;
                return match second {
                    None => Ok(self.end(false)),
                    Some(second) if second.iter().all(|&b| b == 0) => Ok(self.end(true)),
                    Some(_) => Err(Stop::new(ProblemKind::Malformed, at, "a lone zero block in the tar archive")),
                };
            }
            let header = Header::parse(&block).map_err(|e| Stop::new(ProblemKind::Malformed, at, e.to_string()))?;
            let size = header.size().map_err(|e| Stop::new(ProblemKind::Malformed, at, e.to_string()))?;
            match header.kind() {
                b'x' => {
                    let records = self.extension(size)?;
                    extension.pax = Pax::parse(&records).ok_or_else(|| Stop::new(ProblemKind::Malformed, at, "a broken PAX header"))?;
                }
                b'g' => drop(self.extension(size)?),
                b'L' => extension.long_name = Some(until_nul(self.extension(size)?)),
                b'K' => extension.long_link = Some(until_nul(self.extension(size)?)),
                _ => {
                    self.entries += 1;
                    if self.entries > self.limits.entries {
                        let detail = format!("more than {} entries", self.limits.entries);
                        return Err(Stop::new(ProblemKind::LimitExceeded, at, detail));
                    }
                    self.entry(&header, size, std::mem::take(&mut extension), sink)?;
                }
            }
        }
    }

    const fn end(&self, ended: bool) -> Walked {
        Walked { entries: self.entries, ended, offset: self.offset }
    }

    fn entry(&mut self, header: &Header<'_>, size: u64, extension: Extension, sink: &mut dyn EntrySink) -> Result<(), Stop> {
        let Extension { pax, long_name, long_link } = extension;
        let name = pax.path.or(long_name).unwrap_or_else(|| header.name());
        let link = pax.link.or(long_link).unwrap_or_else(|| header.link().to_vec());
        let (own, size) = (size, pax.size.unwrap_or(size));
        if header.kind() == b'S' && header.is_extended() {
            self.sparse_map()?;
        }
        let normal = |name: &[u8]| normalise(name, self.limits.name, self.limits.depth);
        let hard_link = if header.kind() == b'1' { normal(&link) } else { Ok(Vec::new()) };
        let (kind, stored) = match header.kind() {
            b'1' => (hard_link.as_ref().map_or(EntryKind::Special, |path| EntryKind::HardLink(path)), 0),
            b'2' => (EntryKind::Symlink(&link), 0),
            b'3' | b'4' | b'6' => (EntryKind::Special, 0),
            b'5' => (EntryKind::Directory, 0),
            b'S' => (EntryKind::Sparse, size),
            b'0' | 0 | b'7' if pax.sparse => (EntryKind::Sparse, size),
            // Before there were types, a directory was a name with a slash behind it.
            b'0' | 0 if name.ends_with(b"/") => (EntryKind::Directory, size),
            b'0' | 0 | b'7' => (EntryKind::File, size),
            _ => (EntryKind::Special, size),
        };
        let start = self.offset;
        let mut body = Body { input: self.input, left: stored, read: 0, cut: None };
        // Writers put a size into a PAX header because the entry's own has no room for it. Where there was room, the two are to differ
        // for one of two readers (CVE-2025-62518): what the one skips as content the other takes for entries.
        if stored != own && stored == size && size < MAX_OCTAL {
            let why = format!("its PAX header says {size} bytes and its own header {own}: PAX counts, as it does for a runtime");
            sink.ambiguous(normal(&name).as_deref().unwrap_or_default(), why);
        }
        match normal(&name) {
            Ok(path) => {
                let entry = Entry { path: &path, kind, start, size: stored, executable: header.is_executable() };
                sink.entry(&entry, &mut body);
            }
            Err(why) => sink.nameless(shown(name.get(..name.len().min(128)).unwrap_or_default()), why),
        }
        let Body { read, cut, .. } = body;
        self.offset += read;
        if let Some(error) = cut {
            return Err(Stop::of(&error, self.offset));
        }
        self.skip(stored.next_multiple_of_block().ok_or_else(|| Stop::new(ProblemKind::Malformed, start, "an impossible size"))? - read)
    }

    /// The blocks in which an old GNU sparse map goes on.
    fn sparse_map(&mut self) -> Result<(), Stop> {
        while self.block()?.ok_or_else(|| self.cut())?[504] != 0 {}
        Ok(())
    }

    /// The content of an extension entry.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>, Stop> {
        if size > MAX_EXTENSION {
            return Err(Stop::new(ProblemKind::LimitExceeded, self.offset, format!("a tar extension of {size} bytes")));
        }
        let mut content = Vec::new();
        let read = self.input.take(size).read_to_end(&mut content).map_err(|e| Stop::of(&e, self.offset))? as u64;
        self.offset += read;
        if read < size {
            return Err(self.cut());
        }
        self.skip(size.next_multiple_of_block().unwrap_or(size) - size)?;
        Ok(content)
    }

    /// The next block; none at the end of the input.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Stop> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.input.read(block.get_mut(filled..).unwrap_or_default()) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(self.cut()),
                Ok(length) => {
                    filled += length;
                    self.offset += length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Stop::of(&error, self.offset)),
            }
        }
        Ok(Some(block))
    }

    fn skip(&mut self, length: u64) -> Result<(), Stop> {
        let skipped = self.input.skip(length).map_err(|e| Stop::of(&e, self.offset))?;
        self.offset += skipped;
        if skipped < length { Err(self.cut()) } else { Ok(()) }
    }

    fn cut(&self) -> Stop {
        Stop::new(ProblemKind::Truncated, self.offset, "the tar archive ends too early")
    }
}

/// An entry's content.
struct Body<'a> {
    input: &'a mut dyn TarInput,
    left: u64,
    read: u64,
    /// The error at which reading ended, if it did: the walk must not mistake it for the archive's end.
    cut: Option<io::Error>,
}

impl Read for Body<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left).map_or(buf.len(), |left| left.min(buf.len()));
        if room == 0 || self.cut.is_some() {
            return Ok(0);
        }
        match self.input.read(buf.get_mut(..room).unwrap_or_default()) {
            Ok(0) => {
                let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the tar archive ends too early");
                self.cut = Some(cut());
                Err(cut())
            }
            Ok(length) => {
                self.left -= length as u64;
                self.read += length as u64;
                Ok(length)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let shown = io::Error::new(error.kind(), error.to_string());
                self.cut = Some(error);
                Err(shown)
            }
        }
    }
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|&b| b == 0) {
        bytes.truncate(end);
    }
    bytes
}

/// Content is padded to whole blocks.
trait Blocks {
    fn next_multiple_of_block(self) -> Option<u64>;
}

impl Blocks for u64 {
    fn next_multiple_of_block(self) -> Option<u64> {
        self.checked_next_multiple_of(BLOCK as u64)
    }
}
