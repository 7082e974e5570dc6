//! Bytes that a worker asks for piece by piece, because there are too many to be given: the blocks of a disk that lies elsewhere.
//!
//! A question is an offset and a length, a reply a word and that many bytes. The worker can ask for nothing else, so it gains no way out.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};

/// The longest piece.
const LONGEST: usize = 1 << 20;
/// What a reply begins with.
const HAD: u8 = 1;

/// The worker's side: its standard input.
pub struct Asking {
    socket: File,
    size: u64,
}

impl Asking {
    /// Asks over `socket` for bytes of something that has `size` of them.
    #[must_use]
    pub const fn new(socket: File, size: u64) -> Self {
        Self { socket, size }
    }

    /// How many bytes there are.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Fills `buffer` with what lies at `offset`.
    ///
    /// # Errors
    /// When it cannot be had, or there are not so many bytes.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.size);
        end.ok_or(ErrorKind::UnexpectedEof)?;
        let mut at = offset;
        for piece in buffer.chunks_mut(LONGEST) {
            let length = u32::try_from(piece.len()).map_err(io::Error::other)?;
            let mut question = at.to_le_bytes().to_vec();
            question.extend_from_slice(&length.to_le_bytes());
            (&self.socket).write_all(&question)?;
            let mut word = [0];
            (&self.socket).read_exact(&mut word)?;
            if word[0] != HAD {
                return Err(io::Error::other("a piece of it cannot be had"));
            }
            (&self.socket).read_exact(piece)?;
            at += u64::from(length);
        }
        Ok(())
    }
}

/// The next question: offset and length; none when there is no more, or it is none.
pub(crate) fn question(socket: &mut impl Read) -> Option<(u64, usize)> {
    let (mut offset, mut length) = ([0; 8], [0; 4]);
    socket.read_exact(&mut offset).ok()?;
    socket.read_exact(&mut length).ok()?;
    let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
    (length <= LONGEST).then(|| (u64::from_le_bytes(offset), length))
}

/// Replies to a question; none is a piece that cannot be had.
pub(crate) fn reply(socket: &mut impl Write, piece: Option<&Vec<u8>>) -> io::Result<()> {
    match piece {
        None => socket.write_all(&[0]),
        Some(piece) => {
            socket.write_all(&[HAD])?;
            socket.write_all(piece)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn pieces_are_asked_for_and_what_cannot_be_had_is_an_error() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let content: Vec<u8> = (0..3 << 20).map(|i: u32| (i % 251) as u8).collect();
        let whole = content.clone();
        let serving = std::thread::spawn(move || {
            let mut ours = &ours;
            while let Some((offset, length)) = question(&mut ours) {
                let start = offset as usize;
                let piece = (start != 7).then(|| whole[start..start + length].to_vec());
                reply(&mut ours, piece.as_ref()).unwrap();
            }
        });
        let asking = Asking::new(File::from(OwnedFd::from(theirs)), content.len() as u64);
        let mut buffer = vec![0; (2 << 20) + 5];
        asking.read_at(100, &mut buffer).unwrap();
        assert_eq!(buffer, content[100..100 + buffer.len()]);
        assert!(asking.read_at(7, &mut [0; 4]).is_err());
        assert_eq!(asking.read_at(content.len() as u64 - 1, &mut [0; 2]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        drop(asking);
        serving.join().unwrap();
    }
}
