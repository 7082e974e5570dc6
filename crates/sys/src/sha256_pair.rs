//! The compression of SHA-256 (FIPS 180-4, 6.2.2) for two messages at once.
//!
//! The instruction that does two rounds answers after four cycles and can begin anew after two. One message has nothing else to do
//! meanwhile, since each round needs the one before; a second one fills the gap. ADR 49 says why this is here and not a library's.

/// That this processor has the instructions.
#[derive(Clone, Copy, Debug)]
pub struct Sha256Pair(());

impl Sha256Pair {
    /// None where the processor lacks the instructions, or where nobody wrote this for it.
    #[must_use]
    pub fn of_this_processor() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("sha") && std::arch::is_x86_feature_detected!("avx") {
            return Some(Self(()));
        }
        None
    }

    /// Takes into each of the states its blocks, as many as the shorter of the two lists has; answers how many.
    #[must_use]
    pub fn compress(self, states: [&mut [u32; 8]; 2], blocks: [&[[u8; 64]]; 2]) -> usize {
        #[cfg(target_arch = "x86_64")]
        {
            // SAFETY: a `Sha256Pair` is made only where both features were detected. The function has no other condition: it is safe code
            // that is compiled with instructions which not every processor has.
            #[expect(unsafe_code, reason = "calling what needs features of the processor")]
            unsafe {
                x86_64::compress(states, blocks)
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            let _ = (states, blocks);
            0
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x, _mm_setzero_si128, _mm_sha256msg1_epu32,
        _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32,
    };

    /// The constants of the rounds, four in a row (FIPS 180-4, 4.2.2).
    const K: [[u32; 4]; 16] = [
        [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
        [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
        [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
        [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
        [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
        [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
        [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
        [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
        [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
        [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
        [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
        [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
        [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
        [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
        [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
        [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
    ];

    /// A register of each of the two messages.
    type Pair = [__m128i; 2];

    /// Four words, the first of them lowest.
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn words([a, b, c, d]: [u32; 4]) -> __m128i {
        _mm_set_epi32(d.cast_signed(), c.cast_signed(), b.cast_signed(), a.cast_signed())
    }

    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn unwords(register: __m128i) -> [u32; 4] {
        [
            _mm_extract_epi32::<0>(register),
            _mm_extract_epi32::<1>(register),
            _mm_extract_epi32::<2>(register),
            _mm_extract_epi32::<3>(register),
        ]
        .map(i32::cast_unsigned)
    }

    /// The four words that are the `quarter`-th sixteen bytes of a block; there they lie with the highest byte first.
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn message(block: &[u8; 64], quarter: usize) -> __m128i {
        let (eights, _) = block.as_chunks::<8>();
        let [low, high] = [eights[2 * quarter], eights[2 * quarter + 1]].map(i64::from_le_bytes);
        _mm_shuffle_epi8(_mm_set_epi64x(high, low), _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203))
    }

    /// Four rounds. The state lies as the instruction wants it: `a b e f` and `c d g h`.
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn rounds(abef: &mut Pair, cdgh: &mut Pair, message: Pair, constants: [u32; 4]) {
        let mut sums = message;
        for lane in 0..2 {
            sums[lane] = _mm_add_epi32(message[lane], words(constants));
        }
        for lane in 0..2 {
            cdgh[lane] = _mm_sha256rnds2_epu32(cdgh[lane], abef[lane], sums[lane]);
        }
        for lane in 0..2 {
            abef[lane] = _mm_sha256rnds2_epu32(abef[lane], cdgh[lane], _mm_shuffle_epi32::<0x0e>(sums[lane]));
        }
    }

    #[target_feature(enable = "sha,avx")]
    pub(super) fn compress(states: [&mut [u32; 8]; 2], blocks: [&[[u8; 64]]; 2]) -> usize {
        let mut abef = [_mm_setzero_si128(); 2];
        let mut cdgh = abef;
        for lane in 0..2 {
            let [a, b, c, d, e, f, g, h] = *states[lane];
            (abef[lane], cdgh[lane]) = (words([f, e, b, a]), words([h, g, d, c]));
        }
        let count = blocks[0].len().min(blocks[1].len());
        for (first, second) in blocks[0].iter().zip(blocks[1]) {
            let before = (abef, cdgh);
            // The last sixteen words of the message's schedule, of which the next ones are made.
            let mut schedule = [[_mm_setzero_si128(); 2]; 4];
            for step in 0..4 {
                schedule[step] = [message(first, step), message(second, step)];
                rounds(&mut abef, &mut cdgh, schedule[step], K[step]);
            }
            for turn in 1..4 {
                for step in 0..4 {
                    let [oldest, older, newer, newest] = [0, 1, 2, 3].map(|after| schedule[(step + after) % 4]);
                    for lane in 0..2 {
                        let sum = _mm_sha256msg1_epu32(oldest[lane], older[lane]);
                        let sum = _mm_add_epi32(sum, _mm_alignr_epi8::<4>(newest[lane], newer[lane]));
                        schedule[step][lane] = _mm_sha256msg2_epu32(sum, newest[lane]);
                    }
                    rounds(&mut abef, &mut cdgh, schedule[step], K[4 * turn + step]);
                }
            }
            for lane in 0..2 {
                abef[lane] = _mm_add_epi32(abef[lane], before.0[lane]);
                cdgh[lane] = _mm_add_epi32(cdgh[lane], before.1[lane]);
            }
        }
        for (lane, state) in states.into_iter().enumerate() {
            let ([f, e, b, a], [h, g, d, c]) = (unwords(abef[lane]), unwords(cdgh[lane]));
            *state = [a, b, c, d, e, f, g, h];
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::block_api::compress256;

    fn blocks(count: usize, salt: u8) -> Vec<[u8; 64]> {
        (0..count).map(|block| std::array::from_fn(|byte| (block * 64 + byte) as u8 ^ salt.wrapping_mul(block as u8 | 1))).collect()
    }

    #[test]
    fn two_messages_are_compressed_as_the_library_does_each() {
        let Some(pair) = Sha256Pair::of_this_processor() else { return };
        for (first, second) in [(0, 0), (0, 3), (1, 1), (1, 2), (7, 5), (64, 64), (1000, 999)] {
            let messages = [blocks(first, 17), blocks(second, 91)];
            // Any state may be the one before: these are of no message.
            let mut states = [std::array::from_fn(|word| 0x9e37_79b9_u32.wrapping_mul(word as u32 + 1)), [u32::MAX; 8]];
            let mut expected = states;
            let count = first.min(second);
            for (state, message) in expected.iter_mut().zip(&messages) {
                compress256(state, &message[..count]);
            }
            let [one, other] = &mut states;
            assert_eq!(pair.compress([one, other], [&messages[0], &messages[1]]), count);
            assert_eq!(states, expected, "{first} and {second}");
        }
    }
}
