//! One layer, streamed once: inflated, hashed on both sides of inflation, its tar entries shown to a sink.

use crate::content::{HEAD, Held, Holder};
use crate::hasher::{BLOCKS, Block, Hasher, Side};
use crate::path::PathError;
use crate::sink::{FileSink, Size};
use crate::stop::{Reason, Stop};
use crate::tar::{Entry, EntryKind, EntrySink, TarInput, walk};
use crate::{Limits, ReadAt};
use flate2::bufread::MultiGzDecoder;
use lestrade_model::{Problem, ProblemKind};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::Arc;

/// What is inflated and handed over at a time: large enough to be worth waking a thread, small enough for a core's cache.
const BLOCK: usize = 256 << 10;
/// The same where most is passed over: what is read too much is copied for nothing. Files of about a size lie together, so after one
/// that was passed over little is read, and more as long as none is.
const PASSING_BLOCK: usize = 32 << 10;
const AFTER_PASSING: usize = 2 << 10;
/// How many bytes are worth going to another place in a file rather than reading on.
const WORTH_PASSING: u64 = 4 << 10;

/// The computed digests of a layer, `sha256:…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerDigests {
    /// Of the bytes as they came; empty where who gave them hashes them.
    pub blob: String,
    /// Of the tar inside.
    pub diff: String,
    /// Bytes of the tar inside.
    pub expanded: u64,
}

/// How a layer is compressed, as its first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Not at all, as far as is known.
    Plain,
    Gzip,
    Zstd,
    Xz,
}

impl Packing {
    pub(crate) const fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Self::Xz,
            _ => Self::Plain,
        }
    }
}

/// Bounds on what comes out, beside how much went in.
struct Guard {
    input: Rc<Cell<u64>>,
    limits: Limits,
}

/// A stream in blocks, each hashed elsewhere while it is read here.
struct Hashed<'a, R> {
    inner: R,
    hasher: Option<&'a Hasher>,
    side: Side,
    blocks: Vec<Block>,
    current: usize,
    position: usize,
    /// Bytes that were taken from `inner`.
    bytes: Rc<Cell<u64>>,
    guard: Option<Guard>,
    /// How bytes that nobody asks for are passed over, where they need not be read to be hashed.
    pass: Option<Pass<R>>,
    /// How much is taken from `inner` at a time.
    block: usize,
}

/// Passes over so many bytes of a reader; answers how many there were.
type Pass<R> = fn(&mut R, u64) -> io::Result<u64>;

/// A layer in a file, where it lies there: what is in it can be looked at without being read.
#[derive(Debug)]
struct Lying {
    file: File,
    start: u64,
    length: u64,
}

impl Lying {
    const fn entry(&self, entry: &Entry<'_>) -> LyingEntry<'_> {
        LyingEntry { layer: self, start: entry.start, size: entry.size }
    }
}

/// An entry's content, where it lies in a layer that is not compressed.
struct LyingEntry<'a> {
    layer: &'a Lying,
    start: u64,
    size: u64,
}

impl ReadAt for LyingEntry<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let within = offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.size);
        let end = within.and_then(|end| self.start.checked_add(end)).filter(|end| *end <= self.layer.length);
        end.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.layer.file.read_exact_at(buffer, self.layer.start + self.start + offset)
    }
}

const TOO_MUCH: &str = "the layer inflates to more than the limits allow";

impl<'a, R: Read> Hashed<'a, R> {
    fn new(inner: R, hasher: Option<&'a Hasher>, side: Side) -> Self {
        let blocks = vec![Block::default()];
        Self { inner, hasher, side, blocks, current: 0, position: 0, bytes: Rc::default(), guard: None, pass: None, block: BLOCK }
    }

    /// How many bytes were read here.
    fn offset(&self) -> u64 {
        self.bytes.get() - (self.blocks[self.current].1 - self.position) as u64
    }

    /// Makes another block the current one: one that is hashed already, or a new one.
    fn next_block(&mut self) {
        let free = self.blocks.iter().position(|block| Arc::strong_count(block) == 1);
        self.current = free.unwrap_or_else(|| {
            debug_assert!(self.blocks.len() < BLOCKS);
            self.blocks.push(Block::default());
            self.blocks.len() - 1
        });
        self.position = 0;
    }

    fn check(&self) -> io::Result<()> {
        let Some(Guard { input, limits }) = &self.guard else { return Ok(()) };
        let out = self.bytes.get();
        let too_dense = out > limits.ratio_after && out / limits.ratio > input.get();
        if out > limits.expanded || too_dense { Err(Reason::error(ProblemKind::LimitExceeded, TOO_MUCH)) } else { Ok(()) }
    }
}

impl<R: Read> BufRead for Hashed<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position == self.blocks[self.current].1 {
            self.next_block();
            let block = &mut self.blocks[self.current];
            // Only blocks that nobody else holds are chosen; were one held after all, the hasher keeps the old bytes.
            let (buffer, filled) = Arc::make_mut(block);
            if buffer.len() < self.block {
                buffer.resize(self.block, 0);
            }
            *filled = 0;
            *filled = self.inner.read(&mut buffer[..self.block])?;
            if self.pass.is_some() {
                self.block = (2 * self.block).min(PASSING_BLOCK);
            }
            if *filled > 0 {
                self.bytes.set(self.bytes.get() + *filled as u64);
                if let Some(hasher) = self.hasher {
                    hasher.take(self.side, block);
                }
                self.check()?;
            }
        }
        let (buffer, filled) = &*self.blocks[self.current];
        Ok(&buffer[self.position..*filled])
    }

    fn consume(&mut self, amount: usize) {
        self.position = (self.position + amount).min(self.blocks[self.current].1);
    }
}

impl<R: Read> Read for Hashed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let length = ready.len().min(buffer.len());
        buffer[..length].copy_from_slice(&ready[..length]);
        self.consume(length);
        Ok(length)
    }
}

/// What is passed over is inflated and hashed, and not copied.
impl<R: Read> TarInput for Hashed<'_, R> {
    fn skip(&mut self, length: u64) -> io::Result<u64> {
        let mut left = length;
        while left > 0 {
            let is_empty = self.position == self.blocks[self.current].1;
            if let Some(pass) = self.pass.filter(|_| is_empty && left >= WORTH_PASSING) {
                let passed = pass(&mut self.inner, left)?;
                self.bytes.set(self.bytes.get() + passed);
                self.check()?;
                left -= passed;
                self.block = AFTER_PASSING;
                if passed == 0 {
                    break;
                }
                continue;
            }
            let ready = self.fill_buf()?.len();
            if ready == 0 {
                break;
            }
            let step = usize::try_from(left).map_or(ready, |left| left.min(ready));
            self.consume(step);
            left -= step as u64;
        }
        Ok(length - left)
    }
}

/// Goes to the end.
fn drain(stream: &mut impl TarInput) -> io::Result<()> {
    while stream.skip(u64::MAX)? > 0 {}
    Ok(())
}

/// A part of a file.
#[derive(Debug)]
pub struct FilePart {
    file: File,
    start: u64,
    left: u64,
}

impl FilePart {
    /// The part of a file from `offset` on, of at most `length` bytes.
    ///
    /// # Errors
    /// When it is no file in which one can go to a place, which is then given back.
    pub fn new(mut file: File, offset: u64, length: u64) -> Result<Self, File> {
        let end = file.seek(SeekFrom::End(0)).and_then(|end| file.seek(SeekFrom::Start(offset)).map(|_| end));
        match end {
            Ok(end) => Ok(Self { file, start: offset, left: end.saturating_sub(offset).min(length) }),
            Err(_) => Err(file),
        }
    }

    fn advance(&mut self, step: u64) {
        self.start += step;
        self.left -= step;
    }

    /// Costs nothing: reading names its place.
    fn pass(&mut self, length: u64) -> io::Result<u64> {
        let step = length.min(self.left);
        self.advance(step);
        Ok(step)
    }
}

impl Read for FilePart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let length = FileExt::read_at(&self.file, &mut buffer[..most], self.start)?;
        self.advance(length as u64);
        Ok(length)
    }
}

/// Walks a layer in a file that somebody else hashes, as [`walk_layer`] does. What nobody asks for in a layer that is not compressed
/// is then not read here at all.
pub fn walk_layer_file(part: FilePart, limits: &Limits, hasher: Hasher, holder: &mut Holder, sink: &mut dyn FileSink) -> LayerDigests {
    let lying = part.file.try_clone().ok().map(|file| Lying { file, start: part.start, length: part.left });
    walk_hashed(part, limits, hasher, Passing { pass: Some(FilePart::pass), lying }, true, holder, sink)
}

/// Walks a layer. Always answers: a layer that is cut off or lies about itself gives what was read and a problem. Where somebody
/// else hashes the bytes as they come (`hashed_before`), only those inside of a compression are hashed here.
pub fn walk_layer(
    input: impl Read,
    limits: &Limits,
    hasher: Hasher,
    hashed_before: bool,
    holder: &mut Holder,
    sink: &mut dyn FileSink,
) -> LayerDigests {
    walk_hashed(input, limits, hasher, Passing { pass: None, lying: None }, hashed_before, holder, sink)
}

/// What need not be read of a layer that is not compressed and that somebody else hashes.
struct Passing<R> {
    pass: Option<Pass<R>>,
    lying: Option<Lying>,
}

fn walk_hashed<R: Read>(
    input: R,
    limits: &Limits,
    hasher: Hasher,
    passing: Passing<R>,
    hashed_before: bool,
    holder: &mut Holder,
    sink: &mut dyn FileSink,
) -> LayerDigests {
    let mut raw = Hashed::new(input, (!hashed_before).then_some(&hasher), Side::Blob);
    let packing = raw.fill_buf().map_or(Packing::Plain, Packing::of);
    let guard = Guard { input: Rc::clone(&raw.bytes), limits: *limits };
    let mut expanded = 0;
    let mut inside = |decoder: &mut dyn Read, guard: Guard, holder: &mut Holder, sink: &mut dyn FileSink| {
        let mut stream = Hashed { guard: Some(guard), ..Hashed::new(decoder, Some(&hasher), Side::Diff) };
        walk_stream(&mut stream, None, limits, holder, sink);
        expanded = stream.bytes.get();
    };
    let mut plain = false;
    match packing {
        Packing::Gzip => inside(&mut MultiGzDecoder::new(&mut raw), guard, holder, sink),
        Packing::Zstd => match zstd::stream::read::Decoder::with_buffer(&mut raw) {
            Ok(mut decoder) => inside(&mut decoder, guard, holder, sink),
            Err(_) => inside(&mut io::empty(), guard, holder, sink),
        },
        Packing::Xz => {
            sink.problem(Problem { path: String::new(), kind: ProblemKind::Unsupported, detail: "the layer is compressed with xz".into() });
            inside(&mut io::empty(), guard, holder, sink);
        }
        Packing::Plain => {
            // Both sides are one: hashed once.
            plain = true;
            raw.guard = Some(guard);
            if passing.pass.is_some() {
                (raw.pass, raw.block) = (passing.pass, PASSING_BLOCK);
            }
            walk_stream(&mut raw, passing.lying.as_ref(), limits, holder, sink);
            raw.guard = None;
        }
    }
    // What a decoder leaves unread still belongs to the blob.
    let _ = drain(&mut raw);
    if plain {
        expanded = raw.bytes.get();
    }
    drop(raw);
    let [blob, diff] = hasher.finish();
    let blob = if hashed_before { String::new() } else { blob };
    LayerDigests { diff: if plain { blob.clone() } else { diff }, blob, expanded }
}

/// Walks a tar, compressed or not, that is no layer: nobody asks for its digests.
pub(crate) fn walk_tar(input: &mut dyn Read, limits: &Limits, holder: &mut Holder, sink: &mut dyn FileSink) {
    let mut raw = Hashed::new(input, None, Side::Blob);
    let packing = raw.fill_buf().map_or(Packing::Plain, Packing::of);
    let guard = Guard { input: Rc::clone(&raw.bytes), limits: *limits };
    let mut inside = |decoder: &mut dyn Read, guard: Guard| {
        walk_stream(&mut Hashed { guard: Some(guard), ..Hashed::new(decoder, None, Side::Diff) }, None, limits, holder, sink);
    };
    match packing {
        Packing::Gzip => inside(&mut MultiGzDecoder::new(&mut raw), guard),
        Packing::Zstd => match zstd::stream::read::Decoder::with_buffer(&mut raw) {
            Ok(mut decoder) => inside(&mut decoder, guard),
            Err(_) => inside(&mut io::empty(), guard),
        },
        Packing::Plain | Packing::Xz => {
            raw.guard = Some(guard);
            walk_stream(&mut raw, None, limits, holder, sink);
        }
    }
}

fn walk_stream(stream: &mut Hashed<'_, impl Read>, lying: Option<&Lying>, limits: &Limits, holder: &mut Holder, sink: &mut dyn FileSink) {
    let walked = walk(stream, limits, &mut Shown { sink, holder, limits, lying });
    // What follows the tar's end belongs to the digests; padding and trailing bytes are no part of the image.
    let drained = drain(stream).map_err(|error| Stop::of(&error, stream.offset()));
    let stop = match (walked, drained) {
        (Err(stop), _) => stop,
        (Ok(walked), _) if walked.offset == 0 => Stop::new(ProblemKind::Malformed, 0, "the layer holds no tar"),
        // Trailing bytes that are no further member.
        (Ok(_), Err(stop)) if stop.kind == ProblemKind::Malformed => return,
        (Ok(_), Err(stop)) => stop,
        (Ok(_), Ok(())) => return,
    };
    sink.problem(Problem { path: String::new(), kind: stop.kind, detail: format!("{} (at byte {})", stop.detail, stop.offset) });
}

/// Shows the entries of a layer to a sink.
struct Shown<'a> {
    sink: &'a mut dyn FileSink,
    holder: &'a mut Holder,
    limits: &'a Limits,
    lying: Option<&'a Lying>,
}

impl Shown<'_> {
    /// An entry of the layer's own files.
    fn shown(&mut self, entry: &Entry<'_>, path: &str, body: &mut dyn Read) {
        let is_folder = entry.kind == EntryKind::Directory;
        let wanted = self.sink.wants(path);
        // A folder hides nothing below it, and a wanted file in whose place it stands.
        if wanted.is_some() || !is_folder {
            self.sink.hides(path);
        }
        match entry.kind {
            // Where it cannot be read on the walk ends and says why.
            EntryKind::File if is_too_large(path, wanted, entry.size, self.limits, self.sink) => {}
            EntryKind::File => {
                let lying = self.lying.map(|layer| layer.entry(entry));
                let program = match &lying {
                    _ if !entry.executable => Program::No,
                    Some(lying) => Program::Lying(lying),
                    None => Program::Perhaps,
                };
                drop(show_file(path, wanted, program, body, self.limits, self.holder, self.sink));
            }
            EntryKind::Sparse if wanted.is_some() => self.sink.problem(Problem {
                path: path.to_owned(),
                kind: ProblemKind::Unsupported,
                detail: "the file is stored with holes".into(),
            }),
            EntryKind::HardLink(target) if wanted.is_some() => self.sink.link(path, &format!("/{}", String::from_utf8_lossy(target))),
            EntryKind::Symlink(target) if wanted.is_some() => self.sink.link(path, &String::from_utf8_lossy(target)),
            EntryKind::Symlink(target) if self.sink.leads(path) => self.sink.way(path, Some(&String::from_utf8_lossy(target))),
            EntryKind::Directory if self.sink.leads(path) => self.sink.way(path, None),
            _ => {}
        }
    }
}

impl EntrySink for Shown<'_> {
    fn entry(&mut self, entry: &Entry<'_>, body: &mut dyn Read) {
        // Nearly all paths are UTF-8, and are told to be so faster than they are mended.
        let path = std::str::from_utf8(entry.path).map_or_else(|_| String::from_utf8_lossy(entry.path), Cow::Borrowed);
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if name == ".wh..wh..opq" {
            self.sink.opaque(folder);
        } else if let Some(removed) = name.strip_prefix(".wh.") {
            // Names that begin so twice are a union file system's own bookkeeping.
            if !removed.starts_with(".wh.") {
                let removed = if folder.is_empty() { removed.to_owned() } else { format!("{folder}/{removed}") };
                self.sink.whiteout(&removed);
            }
        } else if !path.is_empty() {
            self.shown(entry, &path, body);
        }
    }

    fn ambiguous(&mut self, path: &[u8], why: String) {
        let path = String::from_utf8_lossy(path).into_owned();
        self.sink.problem(Problem { path, kind: ProblemKind::Malformed, detail: format!("the archive is ambiguous: {why}") });
    }

    fn nameless(&mut self, shown: String, why: PathError) {
        // No runtime would create it either.
        self.sink.problem(Problem { path: shown, kind: ProblemKind::Malformed, detail: why.to_string() });
    }
}

/// Whether a file is larger than what is read of its kind, where its size is certain: then it is said, and nothing of it read. A file
/// that is all hole costs nobody its size.
pub(crate) fn is_too_large(path: &str, wanted: Option<Size>, size: u64, limits: &Limits, sink: &mut dyn FileSink) -> bool {
    let most = wanted.map(|wanted| wanted.most(limits)).filter(|most| size > *most);
    most.map(|most| sink.problem(too_large(path, most))).is_some()
}

/// The same of a file that can be looked into: where nobody wants it by its path, what it begins with decides.
pub(crate) fn is_too_large_inside(
    path: &str,
    wanted: Option<Size>,
    (file, size): (&dyn ReadAt, u64),
    limits: &Limits,
    sink: &mut dyn FileSink,
) -> bool {
    if wanted.is_none() && size > limits.large {
        let mut head = [0; HEAD as usize];
        return file.read_at(0, &mut head).is_ok()
            && sink.wants_program(&head)
            && is_too_large(path, Some(Size::Large), size, limits, sink);
    }
    is_too_large(path, wanted, size, limits, sink)
}

fn too_large(path: &str, most: u64) -> Problem {
    let detail = format!("the file is larger than {} MiB, or there is no room for it", most >> 20);
    Problem { path: path.to_owned(), kind: ProblemKind::LimitExceeded, detail }
}

/// Whether a file that nobody wants by its path may be wanted as a program.
#[derive(Clone, Copy)]
pub(crate) enum Program<'a> {
    /// It may not be executed.
    No,
    /// What it begins with tells.
    Perhaps,
    /// The same; and before all of it is read it can be looked into.
    Lying(&'a dyn ReadAt),
}

/// Shows a file to a sink, if that wants it for its path or for what it begins with.
pub(crate) fn show_file(
    path: &str,
    wanted: Option<Size>,
    program: Program<'_>,
    body: &mut dyn Read,
    limits: &Limits,
    holder: &mut Holder,
    sink: &mut dyn FileSink,
) -> io::Result<()> {
    let most = wanted.unwrap_or(Size::Large).most(limits);
    let held = match (wanted, program) {
        (Some(_), _) => holder.hold(body, most, limits, None)?,
        (None, Program::No) => Held::Unwanted,
        (None, Program::Perhaps) => holder.hold(body, most, limits, Some(&mut |head| sink.wants_program(head)))?,
        (None, Program::Lying(file)) => {
            let mut asked = |head: &[u8]| sink.wants_program(head) && sink.wants_to_look_into(file);
            holder.hold(body, most, limits, Some(&mut asked))?
        }
    };
    match held {
        Held::Memory(content) => sink.file(path, content),
        Held::Spilled(content) => sink.file(path, content.as_ref()),
        Held::TooLarge => sink.problem(too_large(path, most)),
        Held::Unwanted => {}
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use sha2::{Digest, Sha256};
    use std::io::Write;

    /// Writes down what it is shown.
    #[derive(Default, Debug)]
    pub(crate) struct Recorder(pub(crate) Vec<String>);

    impl FileSink for Recorder {
        fn wants(&mut self, path: &str) -> Option<Size> {
            (!path.ends_with(".bin") && crate::nested::Nested::of(path).is_none()).then_some(Size::Text)
        }
        fn wants_program(&mut self, head: &[u8]) -> bool {
            head.starts_with(b"\x7fELF")
        }
        fn wants_to_look_into(&mut self, program: &dyn ReadAt) -> bool {
            let mut end = [0; 5];
            program.read_at(program.size().saturating_sub(5), &mut end).is_err() || end != *b"empty"
        }
        fn leads(&mut self, path: &str) -> bool {
            path == "way"
        }
        fn way(&mut self, path: &str, link: Option<&str>) {
            self.0.push(format!("{path}:{}", link.unwrap_or("/")));
        }
        fn hides(&mut self, _path: &str) {}
        fn file(&mut self, path: &str, content: &[u8]) {
            self.0.push(format!("{path}={}", String::from_utf8_lossy(content)));
        }
        fn link(&mut self, path: &str, target: &str) {
            self.0.push(format!("{path}->{target}"));
        }
        fn whiteout(&mut self, path: &str) {
            self.0.push(format!("-{path}"));
        }
        fn opaque(&mut self, folder: &str) {
            self.0.push(format!("!{folder}"));
        }
        fn problem(&mut self, problem: Problem) {
            self.0.push(format!("?{:?} {}", problem.kind, problem.path));
        }
    }

    pub(crate) fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn hasher() -> Hasher {
        Hasher::start(|| ()).unwrap().0
    }

    fn walk(bytes: &[u8]) -> (Vec<String>, LayerDigests) {
        let mut recorder = Recorder::default();
        let digests = walk_layer(bytes, &Limits::default(), hasher(), false, &mut Holder::default(), &mut recorder);
        (recorder.0, digests)
    }

    fn sha256(bytes: &[u8]) -> String {
        Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
    }

    #[test]
    fn every_compression_gives_the_same_files_and_its_own_digest() {
        let plain = tar_of(&[("./etc/os-release", "ID=debian"), ("a/.wh.b", ""), ("c/.wh..wh..opq", ""), ("big.bin", "x")]);
        for bytes in [plain.clone(), gzip(&plain), zstd::encode_all(plain.as_slice(), 1).unwrap()] {
            let (seen, digests) = walk(&bytes);
            assert_eq!(seen, ["etc/os-release=ID=debian", "-a/b", "!c"]);
            assert_eq!((digests.blob, digests.diff), (sha256(&bytes), sha256(&plain)));
        }
    }

    #[test]
    fn what_was_hashed_before_is_not_hashed_again() {
        let plain = tar_of(&[("a", "1")]);
        let digests =
            |bytes: &[u8]| walk_layer(bytes, &Limits::default(), hasher(), true, &mut Holder::default(), &mut Recorder::default());
        assert_eq!((digests(&plain).blob, digests(&plain).diff), (String::new(), String::new()));
        assert_eq!((digests(&gzip(&plain)).blob, digests(&gzip(&plain)).diff), (String::new(), sha256(&plain)));
        let mut hashing = crate::Hashing::new(plain.as_slice());
        hashing.read_exact(&mut [0; 10]).unwrap();
        assert_eq!(hashing.finish().unwrap(), sha256(&plain));
    }

    #[test]
    fn members_of_a_gzip_are_one_stream_and_what_follows_is_hashed() {
        let plain = tar_of(&[("a", "1"), ("b", "2")]);
        let mut bytes = [gzip(&plain[..700]), gzip(&plain[700..])].concat();
        assert_eq!(walk(&bytes).0, ["a=1", "b=2"]);
        bytes.extend_from_slice(b"trailing bytes");
        let (seen, digests) = walk(&bytes);
        assert_eq!((seen.len(), digests.blob), (2, sha256(&bytes)));
    }

    #[test]
    fn a_layer_that_is_cut_anywhere_says_so_or_lost_nothing() {
        let plain = tar_of(&[("a", "1"), ("b", &"2".repeat(900)), ("c", "3")]);
        let end = plain.len() - 1024;
        for cut in (0..end).step_by(512).flat_map(|cut| [cut.saturating_sub(1), cut, cut + 1]) {
            let (seen, _) = walk(&plain[..cut]);
            let whole = seen.iter().any(|line| line.starts_with("c="));
            let boundary = cut % 512 == 0;
            assert!(whole || boundary || seen.iter().any(|line| line.starts_with('?')), "cut at {cut}: {seen:?}");
        }
        let packed = gzip(&plain);
        for cut in 1..packed.len() - 8 {
            let (seen, _) = walk(&packed[..cut]);
            assert!(seen.iter().any(|line| line.starts_with('?')), "gzip cut at {cut}: {seen:?}");
        }
    }

    /// In a file that somebody else hashes, what nobody asks for is not read: what is seen is the same, wherever the file ends.
    #[test]
    fn a_layer_that_is_passed_over_is_seen_the_same() {
        let walk_file = |bytes: &[u8], offset: u64, length: u64| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            let mut recorder = Recorder::default();
            let part = FilePart::new(file, offset, length).unwrap();
            let digests = walk_layer_file(part, &Limits::default(), hasher(), &mut Holder::default(), &mut recorder);
            (recorder.0, digests)
        };
        let large = "l".repeat(3 * BLOCK);
        let middle = "m".repeat(PASSING_BLOCK + 700);
        let tar = tar_of(&[("a", "1"), ("b.bin", &large), ("c", &middle), ("d.bin", &middle), ("e.bin", "x"), ("f", "2")]);
        let cuts =
            [tar.len(), tar.len() - 1024, tar.len() - 1025, tar.len() - 2048, tar.len() - 2049, 512, 1025, 1536, BLOCK, 3 * BLOCK + 1];
        for cut in cuts {
            let (seen, digests) = walk(&tar[..cut]);
            let (passed, others) = walk_file(&tar[..cut], 0, u64::MAX);
            assert_eq!((&passed, others.expanded), (&seen, digests.expanded), "cut at {cut}");
            // As a part of an archive.
            let archive = [b"before".as_slice(), &tar[..cut], b"after"].concat();
            assert_eq!(walk_file(&archive, 6, cut as u64).0, seen, "cut at {cut}");
        }
        assert_eq!(walk_file(&gzip(&tar), 0, u64::MAX).0, walk(&tar).0, "what is compressed is read whole");
    }

    /// A program is looked into where it lies; what of it is beyond the layer's end is not there, whatever follows in the archive.
    #[test]
    fn a_program_in_a_file_is_looked_into_before_it_is_read() {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, mode, content) in [
            ("a.bin", 0o755, "\x7fELF full"),
            ("b.bin", 0o755, "\x7fELF empty"),
            ("c.bin", 0o644, "\x7fELF"),
            ("d.bin", 0o755, "text empty"),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(mode);
            builder.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        let tar = builder.into_inner().unwrap();
        let walk_part = |length: usize| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&[b"before", tar.as_slice()].concat()).unwrap();
            let mut recorder = Recorder::default();
            let part = FilePart::new(file, 6, length as u64).unwrap();
            walk_layer_file(part, &Limits::default(), hasher(), &mut Holder::default(), &mut recorder);
            recorder.0
        };
        assert_eq!(walk_part(tar.len()), ["a.bin=\x7fELF full"]);
        assert_eq!(walk(&tar).0, ["a.bin=\x7fELF full", "b.bin=\x7fELF empty"], "a stream has to be read");
        let in_b = 3 * 512 + 8;
        assert_eq!(walk_part(in_b), ["a.bin=\x7fELF full", "?Truncated "]);
    }

    #[test]
    fn names_stay_below_the_root_as_they_do_for_runtimes() {
        let (seen, _) = walk(&tar_of(&[("../../etc/passwd", "x"), ("/absolute", "y"), ("a/../../b", "z"), ("usr/../c", "w")]));
        assert_eq!(seen, ["etc/passwd=x", "absolute=y", "b=z", "c=w"]);
    }

    #[test]
    fn a_bomb_is_left_alone() {
        let limits = Limits { ratio_after: 1 << 20, ..Limits::default() };
        let bomb = gzip(&vec![0; 64 << 20]);
        let mut recorder = Recorder::default();
        let mut whole = tar_of(&[("a", "1")]);
        whole.truncate(1024);
        let stream = [gzip(&whole), gzip(&tar_of(&[("b", &"x".repeat(32 << 20))])), bomb].concat();
        let digests = walk_layer(stream.as_slice(), &limits, hasher(), false, &mut Holder::default(), &mut recorder);
        assert!(recorder.0.iter().any(|line| line.starts_with("?LimitExceeded")), "{:?}", recorder.0.last().map(String::len));
        assert!(digests.expanded < 40 << 20);
    }

    #[test]
    fn bytes_that_are_no_tar_are_no_empty_layer() {
        for bytes in [b"".as_slice(), b"\x1f\x8b", &[7; 2000], b"\xfd7zXZ\0"] {
            let (seen, _) = walk(bytes);
            assert!(seen.iter().any(|line| line.starts_with('?')), "{bytes:?}");
        }
    }
}
