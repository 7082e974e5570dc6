//! Many small sets of numbers put together into one.

use roaring::{MultiOps, RoaringBitmap};
use std::cell::Cell;
use std::io::Read;

/// Bitmaps of more numbers than this are united as they are; of the others the numbers are looked at.
const MANY: u64 = 4096;
/// How many numbers a word of marks is for.
const WORD: usize = 64;
/// How many words the marks of one container of a bitmap have.
const CONTAINER: usize = (1 << 16) / WORD;

/// A row of bits, one for each number, and one for each of its words that has any: so that the few words with marks are found without
/// looking through the row. It is used again and again: that of a large estate would be asked of the system each time anew.
#[derive(Default)]
struct Marks {
    /// No bit is set between two uses.
    bits: Vec<u8>,
    /// By word. No bit is set between two uses.
    touched: Vec<u64>,
    /// Room for the bitmap that is made.
    written: Written,
}

thread_local! {
    static MARKS: Cell<Marks> = Cell::default();
}

/// Numbers below a bound, marked as they come: in proportion to how many there are, and not to how many lists they come from. United
/// one by one, each list would be merged into an ever longer one.
pub(super) struct Together<'a> {
    marks: Marks,
    whole: Vec<&'a RoaringBitmap>,
}

impl<'a> Together<'a> {
    /// None yet; all will be below `bound`.
    pub(super) fn below(bound: u32) -> Self {
        let containers = (bound as usize).div_ceil(CONTAINER * WORD);
        let mut marks = MARKS.take();
        if marks.touched.len() < containers * CONTAINER / WORD {
            marks.bits.resize(containers * CONTAINER * size_of::<u64>(), 0);
            marks.touched.resize(containers * CONTAINER / WORD, 0);
        }
        Self { marks, whole: Vec::new() }
    }

    /// Puts numbers to the others.
    ///
    /// # Panics
    /// When one is not below the bound.
    pub(super) fn extend(&mut self, numbers: &[u32]) {
        let Marks { bits, touched, .. } = &mut self.marks;
        for number in numbers {
            bits[*number as usize / 8] |= 1 << (number % 8);
            let word = *number as usize / WORD;
            touched[word / WORD] |= 1 << (word % WORD);
        }
    }

    /// Puts a bitmap's numbers to the others.
    pub(super) fn unite(&mut self, bitmap: &'a RoaringBitmap) {
        if bitmap.len() > MANY {
            return self.whole.push(bitmap);
        }
        let (mut numbers, mut some) = (bitmap.iter(), [0; 256]);
        loop {
            match numbers.next_many(&mut some) {
                [] => return,
                some => self.extend(some),
            }
        }
    }

    /// All of them.
    pub(super) fn done(mut self) -> RoaringBitmap {
        let looked_at = self.marks.take();
        MARKS.set(self.marks);
        match self.whole.as_slice() {
            [] => looked_at,
            [one] => looked_at | *one,
            several => looked_at | several.iter().copied().union(),
        }
    }
}

impl Marks {
    /// What is marked, and no longer marked then.
    fn take(&mut self) -> RoaringBitmap {
        let rows = self.bits.chunks_exact_mut(CONTAINER * size_of::<u64>());
        for (key, (row, touched)) in rows.zip(self.touched.chunks_exact_mut(CONTAINER / WORD)).enumerate() {
            if touched.iter().any(|touched| *touched != 0) {
                self.written.container(key as u16, row, touched);
            }
        }
        self.written.take()
    }
}

/// A bitmap in its portable form (RoaringFormatSpec), from which it takes whole containers: one number after the other it would compare
/// each with what it has.
#[derive(Default)]
struct Written {
    /// Key and how many there are but one, of each container.
    heads: Vec<(u16, u16)>,
    ends: Vec<usize>,
    data: Vec<u8>,
}

impl Written {
    /// A container of more numbers than this is written as its row of bits.
    const LIST: usize = 4096;
    const WITHOUT_RUNS: u32 = 12_346;

    /// Writes what is marked in a container, and wipes the marks.
    fn container(&mut self, key: u16, row: &mut [u8], touched: &mut [u64]) {
        let with_marks: u32 = touched.iter().map(|touched| touched.count_ones()).sum();
        let mut count = 0;
        if with_marks as usize > CONTAINER / 2 {
            count = row.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word).count_ones() as usize).sum();
        }
        if count <= Self::LIST {
            count = self.list(row, touched);
        }
        if count > Self::LIST {
            self.data.extend_from_slice(row);
            row.fill(0);
            touched.fill(0);
        }
        self.heads.push((key, (count - 1) as u16));
        self.ends.push(self.data.len());
    }

    /// Writes the list of what is marked, and wipes the marks; unless it is too long for a list. Answers how many there are.
    fn list(&mut self, row: &mut [u8], touched: &mut [u64]) -> usize {
        let before = self.data.len();
        for (place, touched) in touched.iter().enumerate() {
            for word in ones(*touched).map(|bit| place * WORD + bit) {
                let bits = u64::from_le_bytes(row.as_chunks().0[word]);
                ones(bits).for_each(|bit| self.data.extend_from_slice(&((word * WORD + bit) as u16).to_le_bytes()));
            }
        }
        let count = (self.data.len() - before) / size_of::<u16>();
        if count > Self::LIST {
            self.data.truncate(before);
            return count;
        }
        for (place, touched) in touched.iter_mut().enumerate() {
            ones(std::mem::take(touched)).for_each(|bit| row.as_chunks_mut::<8>().0[place * WORD + bit] = [0; 8]);
        }
        count
    }

    /// The bitmap, and room for the next.
    fn take(&mut self) -> RoaringBitmap {
        let mut head = Vec::with_capacity(8 * (1 + self.heads.len()));
        head.extend_from_slice(&Self::WITHOUT_RUNS.to_le_bytes());
        head.extend_from_slice(&(self.heads.len() as u32).to_le_bytes());
        for (key, count) in &self.heads {
            head.extend_from_slice(&key.to_le_bytes());
            head.extend_from_slice(&count.to_le_bytes());
        }
        let data_at = head.len() + size_of::<u32>() * self.heads.len();
        let begins = std::iter::once(0).chain(self.ends.iter().copied()).take(self.heads.len());
        begins.for_each(|begin| head.extend_from_slice(&((data_at + begin) as u32).to_le_bytes()));
        let read = RoaringBitmap::deserialize_unchecked_from(head.as_slice().chain(self.data.as_slice()));
        self.heads.clear();
        self.ends.clear();
        self.data.clear();
        read.unwrap_or_else(|error| unreachable!("a bitmap was not as it was written: {error}"))
    }
}

/// The places of the bits of a word that are set.
fn ones(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = (word != 0).then_some(word.trailing_zeros() as usize);
        word &= word.wrapping_sub(1);
        place
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Lists, long ones, bitmaps, and rows of a container that is nearly full.
        #[test]
        fn what_is_put_together_is_the_union(
            lists in prop::collection::vec(prop::collection::vec(0..150_000_u32, 0..60), 0..8),
            ranges in prop::collection::vec((0..140_000_u32, 0..5_000_u32, 1..4_usize), 0..5),
        ) {
            let mut bitmaps: Vec<RoaringBitmap> = lists.iter().map(|list| list.iter().copied().collect()).collect();
            bitmaps.extend(ranges.into_iter().map(|(from, long, step)| (from..from + long).step_by(step).collect::<RoaringBitmap>()));
            // A second time, in what the first one left.
            for bound in [150_000, 1 << 20] {
                let mut together = Together::below(bound);
                bitmaps.iter().for_each(|bitmap| together.unite(bitmap));
                let done = together.done();
                let expected = bitmaps.iter().union();
                prop_assert_eq!(&done, &expected);
                prop_assert_eq!(done.len(), expected.iter().count() as u64);
            }
        }
    }
}
