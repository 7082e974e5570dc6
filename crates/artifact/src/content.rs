//! One file's content at a time, as bytes: small ones in memory that is used again, large ones spilled to disk.

use crate::Limits;
use lestrade_sys::{Spill, Spilled};
use std::io::{self, Read};

/// How much of a program is looked at before the rest is read.
pub(crate) const HEAD: u64 = 64;

/// Where contents are held.
#[derive(Debug, Default)]
pub struct Holder {
    memory: Vec<u8>,
    spill: Option<Spill>,
}

/// Whether a content that begins like this is wanted.
pub(crate) type Ask<'a> = &'a mut dyn FnMut(&[u8]) -> bool;

/// A content that is held.
pub(crate) enum Held<'a> {
    Memory(&'a [u8]),
    Spilled(Spilled<'a>),
    /// It has more bytes than it may.
    TooLarge,
    /// A look at its head was enough.
    Unwanted,
}

impl Holder {
    /// A holder that spills what memory is too small for; without a spill such files are too large.
    #[must_use]
    pub const fn new(spill: Option<Spill>) -> Self {
        Self { memory: Vec::new(), spill }
    }

    /// Holds a content of at most `most` bytes: the size that it claims is not believed. With `ask`, its first bytes decide whether
    /// the rest is read.
    pub(crate) fn hold(&mut self, reader: &mut dyn Read, most: u64, limits: &Limits, ask: Option<Ask<'_>>) -> io::Result<Held<'_>> {
        self.memory.clear();
        if let Some(ask) = ask {
            reader.take(HEAD).read_to_end(&mut self.memory)?;
            if !ask(&self.memory) {
                return Ok(Held::Unwanted);
            }
        }
        let room = (most.min(limits.memory) + 1).saturating_sub(self.memory.len() as u64);
        reader.take(room).read_to_end(&mut self.memory)?;
        let length = self.memory.len() as u64;
        if length <= limits.memory && length <= most {
            return Ok(Held::Memory(&self.memory));
        }
        match self.spill.as_mut().filter(|_| length <= most) {
            Some(spill) => Ok(spill.keep(&self.memory, reader, most)?.map_or(Held::TooLarge, Held::Spilled)),
            None => Ok(Held::TooLarge),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_held_where_there_is_room() {
        let limits = Limits { memory: 10, ..Limits::default() };
        let mut holder = Holder::new(Spill::create().ok());
        let mut hold = |length: usize, most: u64, wanted: bool| {
            let content: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let mut ask = |_: &[u8]| wanted;
            match holder.hold(&mut content.as_slice(), most, &limits, Some(&mut ask)).unwrap() {
                Held::Memory(bytes) => {
                    assert_eq!(bytes, content);
                    "memory"
                }
                Held::Spilled(bytes) => {
                    assert_eq!(bytes.as_ref(), content);
                    "spilled"
                }
                Held::TooLarge => "too large",
                Held::Unwanted => "unwanted",
            }
        };
        assert_eq!(hold(0, 100, true), "memory");
        assert_eq!(hold(10, 100, true), "memory");
        assert_eq!(hold(11, 100, true), "spilled");
        assert_eq!(hold(100, 100, true), "spilled");
        assert_eq!(hold(101, 100, true), "too large");
        assert_eq!(hold(6, 5, true), "too large");
        assert_eq!(hold(5, 5, true), "memory");
        assert_eq!(hold(200, 100, false), "unwanted");
        let mut without = Holder::default();
        assert!(matches!(without.hold(&mut &[0; 11][..], 100, &limits, None).unwrap(), Held::TooLarge));
    }
}
