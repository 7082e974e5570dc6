//! A handful of places in memory are looked at before they are worked on. At the size of an estate each is far away, and the work on
//! one decides by what it reads there, so that the ways to the next would be waited for one after the other.

use roaring::RoaringBitmap;

/// So many are looked at together: more than a processor waits for at once, and few enough to be still near when they are worked on.
pub(super) const HANDFUL: usize = 32;

/// Goes over a bitmap, a handful at a time.
pub(super) fn in_handfuls(numbers: &RoaringBitmap, mut each: impl FnMut(&[u32])) {
    let (mut numbers, mut handful) = (numbers.iter(), [0; HANDFUL]);
    loop {
        match numbers.next_many(&mut handful) {
            [] => return,
            handful => each(handful),
        }
    }
}

/// The same over any numbers.
pub(super) fn in_handfuls_of(mut numbers: impl Iterator<Item = u32>, mut each: impl FnMut(&[u32])) {
    let mut handful = [0; HANDFUL];
    loop {
        let mut count = 0;
        for (place, number) in handful.iter_mut().zip(&mut numbers) {
            *place = number;
            count += 1;
        }
        each(&handful[..count]);
        if count < HANDFUL {
            return;
        }
    }
}

/// Reads something of each, by its place. What is read decides nothing here.
pub(super) fn look_at(handful: &[u32], look: impl Fn(usize) -> u32) {
    if handful.len() > 1 {
        std::hint::black_box(handful.iter().map(|number| look(*number as usize)).fold(0, |all, one| all ^ one));
    }
}
