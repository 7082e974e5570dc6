//! Small things packed alone, each as one zstd frame that says its size.
//!
//! A thread keeps its contexts: making one asks the processor what it can (`cpuid`), and on a virtual machine that is a call of the
//! hypervisor; where events are rendered it was a fifth of the time.

use std::cell::RefCell;
use std::io;
use zstd::bulk::{Compressor, Decompressor};

const LEVEL: i32 = 3;

/// This thread's context, made when it is first wanted.
type Kept<T> = RefCell<Option<T>>;

thread_local! {
    static PACKING: Kept<Compressor<'static>> = const { RefCell::new(None) };
    static UNPACKING: Kept<Decompressor<'static>> = const { RefCell::new(None) };
}

fn with<T, R>(kept: &Kept<T>, make: impl FnOnce() -> io::Result<T>, act: impl FnOnce(&mut T) -> io::Result<R>) -> io::Result<R> {
    let mut kept = kept.borrow_mut();
    let context = match kept.take() {
        Some(context) => context,
        None => make()?,
    };
    act(kept.insert(context))
}

/// Packs bytes as one frame.
///
/// # Errors
/// When there is no memory for it.
pub fn pack(plain: &[u8]) -> io::Result<Vec<u8>> {
    PACKING.with(|kept| with(kept, || Compressor::new(LEVEL), |compressor| compressor.compress(plain)))
}

/// What a frame holds. It says how large that is: so much is allocated and no more; none when it says nothing, more than `most` bytes,
/// or is damaged.
#[must_use]
pub fn unpack(frame: &[u8], most: usize) -> Option<Vec<u8>> {
    let size = zstd::zstd_safe::get_frame_content_size(frame).ok().flatten().and_then(|size| usize::try_from(size).ok());
    let size = size.filter(|size| *size <= most)?;
    UNPACKING.with(|kept| with(kept, Decompressor::new, |decompressor| decompressor.decompress(frame, size))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_what_was_packed_and_no_larger_than_allowed() {
        for plain in [&b""[..], b"a", &[7; 100_000]] {
            let frame = pack(plain).unwrap();
            assert_eq!(unpack(&frame, plain.len()).as_deref(), Some(plain));
            assert_eq!(plain.len().checked_sub(1).and_then(|most| unpack(&frame, most)), None);
            for cut in 0..frame.len() {
                assert_eq!(unpack(&frame[..cut], plain.len()), None, "cut at {cut}");
            }
            // What failed leaves the context fit for the next.
            assert_eq!(unpack(&frame, plain.len()).as_deref(), Some(plain));
        }
    }
}
