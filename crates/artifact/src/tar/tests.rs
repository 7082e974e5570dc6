//! What Go's `archive/tar`, and so a runtime, sees is what we see. Each case was unpacked with a runtime's tool (umoci) once.

use super::{Entry, EntryKind, EntrySink, Seeking, walk};
use crate::Limits;
use crate::path::PathError;
use crate::stop::Stop;
use lestrade_model::ProblemKind;
use std::io::{Read, Write};

/// A header with a size that need not be true.
fn header(kind: u8, name: &[u8], link: &[u8], size: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name);
    block[124..124 + size.len()].copy_from_slice(size);
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    checksum(block)
}

fn checksum(mut block: Vec<u8>) -> Vec<u8> {
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|&b| u64::from(b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn entry(kind: u8, name: &str, link: &str, size: usize) -> Vec<u8> {
    header(kind, name.as_bytes(), link.as_bytes(), format!("{size:011o}").as_bytes())
}

fn padded(content: &[u8]) -> Vec<u8> {
    let mut content = content.to_vec();
    content.resize(content.len().next_multiple_of(512), 0);
    content
}

fn extension(kind: u8, content: &[u8]) -> Vec<u8> {
    [entry(kind, "extension", "", content.len()), padded(content)].concat()
}

fn file(name: &str, content: &str) -> Vec<u8> {
    [entry(b'0', name, "", content.len()), padded(content.as_bytes())].concat()
}

fn pax(records: &[&str]) -> Vec<u8> {
    let record = |text: &&str| {
        let length = (1..).find(|n| n.to_string().len() + text.len() + 2 == *n).unwrap();
        format!("{length} {text}\n")
    };
    extension(b'x', records.iter().map(record).collect::<String>().as_bytes())
}

#[derive(Default)]
struct Seen(Vec<String>, Vec<String>);

impl EntrySink for Seen {
    fn entry(&mut self, entry: &Entry<'_>, body: &mut dyn Read) {
        let mut content = String::new();
        // What is cut off is told by the walk.
        let _ = body.read_to_string(&mut content);
        let name = String::from_utf8_lossy(entry.path).into_owned();
        self.0.push(match entry.kind {
            EntryKind::File => format!("{name}={content}"),
            EntryKind::Symlink(to) => format!("{name}->{}", String::from_utf8_lossy(to)),
            EntryKind::HardLink(to) => format!("{name}=>{}", String::from_utf8_lossy(to)),
            EntryKind::Directory => format!("{name}/"),
            EntryKind::Sparse => format!("{name} sparse"),
            EntryKind::Special => format!("{name} special"),
        });
    }

    fn ambiguous(&mut self, path: &[u8], _why: String) {
        self.1.push(String::from_utf8_lossy(path).into_owned());
    }

    fn nameless(&mut self, shown: String, why: PathError) {
        self.0.push(format!("?{}: {why}", shown.chars().take(8).collect::<String>()));
    }
}

fn seen(archive: &[u8]) -> (Vec<String>, Result<bool, Stop>) {
    let mut on_disk = tempfile::tempfile().unwrap();
    on_disk.write_all(archive).unwrap();
    let mut seen = Seen::default();
    let walked = walk(&mut Seeking::new(on_disk).unwrap(), &Limits::default(), &mut seen);
    (seen.0, walked.map(|walked| walked.ended))
}

fn whole(parts: &[Vec<u8>]) -> Vec<String> {
    let (seen, walked) = seen(&[parts.concat(), vec![0; 1024]].concat());
    assert_eq!(walked, Ok(true));
    seen
}

#[test]
fn links_devices_and_directories_have_no_content_whatever_they_say() {
    for (kind, first) in [(b'1', "a=>x"), (b'2', "a->x"), (b'3', "a special"), (b'4', "a special"), (b'5', "a/"), (b'6', "a special")] {
        let smuggled = file("var/lib/dpkg/status", "packages");
        let size = smuggled.len();
        assert_eq!(whole(&[entry(kind, "a", "x", size), smuggled]), [first, "var/lib/dpkg/status=packages"], "{}", kind as char);
    }
}

#[test]
fn what_pax_says_counts() {
    assert_eq!(whole(&[pax(&["path=first", "path=last"]), file("x", "1")]), ["last=1"]);
    assert_eq!(whole(&[pax(&["size=0"]), entry(b'0', "z", "", 512), file("next", "1")]), ["z=", "next=1"]);
    assert_eq!(whole(&[pax(&["size=3"]), entry(b'0', "z", "", 0), padded(b"abc"), file("next", "1")]), ["z=abc", "next=1"]);
    assert_eq!(whole(&[pax(&["path=p"]), extension(b'L', b"l\0"), file("x", "1")]), ["p=1"]);
    assert_eq!(whole(&[pax(&["path=p"]), file("x", "1"), file("y", "2")]), ["p=1", "y=2"]);
    assert_eq!(whole(&[pax(&["linkpath=to"]), entry(b'2', "s", "from", 0)]), ["s->to"]);
    assert_eq!(whole(&[extension(b'g', b"13 path=glob\n"), file("x", "1")]), ["x=1"]);
    assert_eq!(whole(&[pax(&["GNU.sparse.major=1", "GNU.sparse.name=real", "path=made-up"]), file("x", "1")]), ["real sparse"]);
}

#[test]
fn names_are_long_strange_or_nothing_at_all() {
    let long = "d/".repeat(100) + "name";
    assert_eq!(whole(&[extension(b'L', format!("{long}\0").as_bytes()), file("x", "1")]), [format!("{long}=1")]);
    assert_eq!(whole(&[extension(b'K', b"far/away\0"), entry(b'2', "s", "x", 0)]), ["s->far/away"]);
    let huge = pax(&[&format!("path={}", "x".repeat(64 << 10))]);
    assert_eq!(whole(&[huge, file("x", "1"), file("y", "2")]), ["?xxxxxxxx: a name of 65536 bytes is too long", "y=2"]);
    assert_eq!(whole(&[pax(&["path=a\0b"]), file("x", "1")]), ["?a\\u{0}b: a name with a NUL byte"]);
    assert_eq!(whole(&[file("C:\\x", "1"), file("../../etc/x", "2"), file("/abs", "3")]), ["C:\\x=1", "etc/x=2", "abs=3"]);
    assert_eq!(whole(&[entry(0, "old/", "", 0), entry(b'7', "contiguous", "", 0)]), ["old/", "contiguous="]);
    let mut prefixed = entry(b'0', "name", "", 0);
    prefixed[345..351].copy_from_slice(b"prefix");
    assert_eq!(whole(&[checksum(prefixed.clone())]), ["prefix/name="]);
    prefixed[257..265].copy_from_slice(b"ustar  \0");
    assert_eq!(whole(&[checksum(prefixed)]), ["name="], "GNU keeps times there");
}

#[test]
fn sizes_are_octal_or_binary_and_nothing_else() {
    let sized = |size: &[u8]| [header(b'0', b"a", b"", size), padded(b"abc")].concat();
    assert_eq!(whole(&[sized(b"\x80\0\0\0\0\0\0\0\0\0\0\x03")]), ["a=abc"]);
    assert_eq!(whole(&[sized(b"         3 \0")]), ["a=abc"]);
    for wrong in [&b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..], b"-0000000003", b"9", b"\x80\x01\0\0\0\0\0\0\0\0\0\0"] {
        assert_eq!(seen(&sized(wrong)).1.unwrap_err().kind, ProblemKind::Malformed, "{wrong:?}");
    }
    // A file of eight exbibytes ends where the archive does.
    let (_, walked) = seen(&sized(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\0"));
    assert_eq!(walked.unwrap_err().kind, ProblemKind::Truncated);
}

#[test]
fn what_is_no_tar_is_said() {
    let mut wrong_sum = file("a", "1");
    wrong_sum[0] = b'b';
    for (archive, offset) in
        [(vec![7; 2000], 0), (wrong_sum, 0), ([file("a", "1"), vec![1; 512]].concat(), 1024), ([vec![0; 512], file("a", "1")].concat(), 0)]
    {
        let stop = seen(&archive).1.unwrap_err();
        assert_eq!((stop.kind, stop.offset), (ProblemKind::Malformed, offset));
    }
    let bomb = extension(b'L', &vec![b'x'; 2 << 20]);
    assert_eq!(seen(&bomb).1.unwrap_err().kind, ProblemKind::LimitExceeded);
    assert_eq!(seen(&extension(b'x', b"99 path=x\n")).1.unwrap_err().kind, ProblemKind::Malformed);
}

#[test]
fn every_cut_is_told() {
    let archive = [file("a", "1"), pax(&["path=p"]), file("b", &"2".repeat(900)), vec![0; 1024]].concat();
    for cut in (0..archive.len()).step_by(512).flat_map(|cut| [cut.saturating_sub(1), cut, cut + 1]) {
        let (seen, walked) = seen(&archive[..cut]);
        match walked {
            Ok(ended) => assert!(!ended && cut.is_multiple_of(512), "cut at {cut}: {seen:?}"),
            Err(stop) => assert_eq!((stop.kind, stop.offset), (ProblemKind::Truncated, cut as u64)),
        }
    }
    assert_eq!(seen(&archive).1, Ok(true));
}

#[test]
fn nothing_after_the_end_is_seen() {
    assert_eq!(whole(&[file("a", "1"), vec![0; 1024], file("b", "2")]), ["a=1"]);
}

#[test]
fn whatever_is_changed_the_walk_ends() {
    let archive =
        [file("a", "1"), pax(&["path=p", "size=3"]), file("b", "234"), extension(b'L', b"long\0"), entry(b'1', "c", "a", 0), vec![0; 1024]]
            .concat();
    // A small generator of its own: the same changes each time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for _ in 0..5000 {
        let mut changed = archive.clone();
        for _ in 0..=next(3) {
            let at = next(changed.len());
            changed[at] = u8::try_from(next(256)).unwrap();
        }
        // Checksums are made right again, so that what is behind them is met.
        if next(2) == 0 {
            let block = next(changed.len() / 512) * 512;
            let summed = checksum(changed[block..block + 512].to_vec());
            changed[block..block + 512].copy_from_slice(&summed);
        }
        let (entries, _) = seen(&changed);
        assert!(entries.len() <= changed.len() / 512);
    }
}
