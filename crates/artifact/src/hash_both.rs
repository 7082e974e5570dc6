//! The digests of two streams, computed in turns: a processor with instructions for SHA-256 takes two blocks of different streams in
//! little more time than one (ADR 49). What is left of the longer stream is hashed alone.

use crate::hasher::written;
use lestrade_sys::Sha256Pair;
use sha2::block_api::compress256;
use std::io::{self, Read};

/// The bytes of a block (FIPS 180-4, 1).
const BLOCK: usize = 64;
/// How many blocks are read at a time: worth a system call, and small enough that those of both streams stay in a core's cache.
const PIECE: usize = (128 << 10) / BLOCK;
/// The state before the first block (FIPS 180-4, 5.3.3).
const INITIAL: [u32; 8] = [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The digests of two streams, `sha256:…`. One that cannot be read leaves the other its digest.
pub(crate) fn hash_both(inputs: [impl Read; 2]) -> [io::Result<String>; 2] {
    both(inputs, Sha256Pair::of_this_processor())
}

fn both(inputs: [impl Read; 2], pair: Option<Sha256Pair>) -> [io::Result<String>; 2] {
    let [mut first, mut second] = inputs.map(Lane::new);
    let Some(pair) = pair else { return [first.finish(), second.finish()] };
    loop {
        match (first.fill(), second.fill()) {
            (Ok(true), Ok(true)) => {
                let taken = pair.compress([&mut first.state, &mut second.state], [&first.piece, &second.piece]);
                debug_assert_eq!(taken, PIECE);
                (first.filled, second.filled) = (0, 0);
            }
            (one, other) => return [one.and_then(|_| first.finish()), other.and_then(|_| second.finish())],
        }
    }
}

/// A stream that is being hashed.
struct Lane<R> {
    input: R,
    state: [u32; 8],
    piece: Vec<[u8; BLOCK]>,
    /// How many bytes of the piece were read and not hashed yet.
    filled: usize,
    /// How many bytes were read in all.
    length: u64,
}

impl<R: Read> Lane<R> {
    fn new(input: R) -> Self {
        Self { input, state: INITIAL, piece: vec![[0; BLOCK]; PIECE], filled: 0, length: 0 }
    }

    /// Reads until the piece is full; answers whether it is, or the stream has ended.
    fn fill(&mut self) -> io::Result<bool> {
        let piece = self.piece.as_flattened_mut();
        while self.filled < piece.len() {
            match self.input.read(&mut piece[self.filled..]) {
                Ok(0) => return Ok(false),
                Ok(length) => {
                    self.filled += length;
                    self.length += length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// The digest of all that there is, what was not read yet included.
    fn finish(mut self) -> io::Result<String> {
        while self.fill()? {
            compress256(&mut self.state, &self.piece);
            self.filled = 0;
        }
        let (whole, rest) = self.piece.as_flattened()[..self.filled].as_chunks();
        compress256(&mut self.state, whole);
        // A bit that is set, zeros, and how many bits there were (FIPS 180-4, 5.1.1).
        let mut padded = [[0; BLOCK]; 2];
        let blocks = if rest.len() < BLOCK - 8 { 1 } else { 2 };
        let padding = padded.as_flattened_mut();
        padding[..rest.len()].copy_from_slice(rest);
        padding[rest.len()] = 0x80;
        padding[blocks * BLOCK - 8..blocks * BLOCK].copy_from_slice(&self.length.wrapping_mul(8).to_be_bytes());
        compress256(&mut self.state, &padded[..blocks]);
        Ok(written(self.state.map(u32::to_be_bytes).as_flattened()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    /// Gives its bytes in steps of its own size, and at the end an error or nothing.
    struct Uneven {
        bytes: Vec<u8>,
        given: usize,
        step: usize,
        fails: bool,
    }

    impl Read for Uneven {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let left = &self.bytes[self.given..];
            if left.is_empty() && self.fails {
                return Err(io::Error::other("broke off"));
            }
            let length = self.step.min(buffer.len()).min(left.len());
            buffer[..length].copy_from_slice(&left[..length]);
            self.given += length;
            Ok(length)
        }
    }

    /// Bytes that say where they are from: those of another place or another salt are others.
    fn uneven(length: usize, salt: u64, step: usize, fails: bool) -> Uneven {
        let bytes = (0_u64..).flat_map(|eighth| (eighth.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt).to_le_bytes()).take(length).collect();
        Uneven { bytes, given: 0, step, fails }
    }

    fn by_the_library(stream: &Uneven) -> String {
        written(&Sha256::digest(&stream.bytes))
    }

    #[test]
    fn of_two_streams_each_has_the_digest_that_it_has_alone() {
        let piece = PIECE * BLOCK;
        let lengths = [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, piece - 1, piece, 2 * piece + 57];
        for pair in [None, Sha256Pair::of_this_processor()] {
            for (first, second) in lengths.iter().flat_map(|first| lengths.iter().map(move |second| (*first, *second))) {
                let streams = [uneven(first, 3, piece, false), uneven(second, 7, 5_000, false)];
                let expected = streams.each_ref().map(by_the_library);
                let [one, other] = both(streams, pair);
                assert_eq!([one.unwrap(), other.unwrap()], expected, "{first} and {second}");
            }
        }
    }

    #[test]
    fn a_stream_that_breaks_off_leaves_the_other_its_digest() {
        for length in [0, 100, PIECE * BLOCK, PIECE * BLOCK + 1] {
            let whole = || uneven(300_000, 5, 9_000, false);
            let expected = by_the_library(&whole());
            let [one, other] = hash_both([whole(), uneven(length, 1, 4_096, true)]);
            assert_eq!((one.unwrap(), other.is_err()), (expected.clone(), true), "{length}");
            let [one, other] = hash_both([uneven(length, 1, 4_096, true), whole()]);
            assert_eq!((one.is_err(), other.unwrap()), (true, expected), "{length}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn whatever_they_hold(lengths in [0_usize..600_000, 0_usize..600_000], salts: [u64; 2], step in 1_usize..200_000) {
            let streams = [0, 1].map(|lane| uneven(lengths[lane], salts[lane], step, false));
            let expected = streams.each_ref().map(by_the_library);
            let [one, other] = hash_both(streams);
            prop_assert_eq!([one.unwrap(), other.unwrap()], expected);
        }
    }
}
