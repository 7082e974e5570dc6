//! What the fuzz targets do, on every build: the seed of each parser, mutated in a fixed number of ways, harms nothing.

use lestrade_advisories::{fuzz_parser, parsers};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const MUTATIONS: u32 = 400;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// A generator of numbers that is the same each time (xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

const WORDS: &[&str] = &[
    "0",
    "-1",
    "99999999999999999999",
    "1e999",
    "null",
    "{}",
    "[]",
    "\"\"",
    "\u{0}",
    "\u{feff}",
    "<",
    "]]>",
    "&x;",
    "9999-99-99",
    "%s",
    "\u{10ffff}",
];

fn mutate(seed: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len());
        let end = (at + numbers.below(40)).min(bytes.len());
        match numbers.below(6) {
            0 if !bytes.is_empty() => bytes[at] = numbers.next() as u8,
            1 => drop(bytes.drain(at..end)),
            2 => {
                let copy = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, copy));
            }
            3 => {
                let word = WORDS[numbers.below(WORDS.len())];
                drop(bytes.splice(at..end, word.bytes()));
            }
            4 => bytes.truncate(at),
            _ => {
                // Deep nesting, of whatever stands there.
                let byte = bytes.get(at).copied().unwrap_or(b'[');
                drop(bytes.splice(at..at, std::iter::repeat_n(byte, 2_000)));
            }
        }
    }
    bytes
}

#[test]
fn every_parser_has_a_target_and_a_seed_that_it_reads() {
    let targets = std::fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    let targets: BTreeSet<&str> = targets.split("[[bin]]\nname = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(targets, parsers().collect());
    for parser in parsers() {
        let seed = std::fs::read(folder().join("seeds").join(parser)).unwrap();
        assert_eq!(fuzz_parser(parser, &seed), Some(true), "{parser}");
    }
    assert_eq!(fuzz_parser("nobody's", b""), None);
}

#[test]
fn mutated_documents_harm_nothing() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for parser in parsers() {
        let seed = std::fs::read(folder().join("seeds").join(parser)).unwrap();
        for _ in 0..MUTATIONS {
            let bytes = mutate(&seed, &mut numbers);
            let started = Instant::now();
            let _ = fuzz_parser(parser, &bytes);
            let took = started.elapsed();
            assert!(took < Duration::from_secs(10), "{parser}: {took:?} for {}", String::from_utf8_lossy(&bytes));
        }
    }
}
