//! The 512 bytes in front of every entry.

/// The size of a header and of the unit in which content is stored.
pub(super) const BLOCK: usize = 512;

/// A header block whose checksum is right.
pub(super) struct Header<'a>(&'a [u8; BLOCK]);

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeaderError {
    #[error("not a tar header (its checksum is wrong)")]
    Checksum,
    #[error("a number in the tar header is not one")]
    Number,
}

impl<'a> Header<'a> {
    /// A header, once its checksum has been compared.
    pub(super) fn parse(block: &'a [u8; BLOCK]) -> Result<Self, HeaderError> {
        let header = Self(block);
        let field = header.field(148, 8);
        let stored = number(field).ok_or(HeaderError::Checksum)?;
        // The checksum's own field counts as blanks.
        let sum = |bytes: &[u8]| bytes.iter().map(|b| u32::from(*b)).sum::<u32>();
        let unsigned = sum(block) - sum(field) + u32::from(b' ') * 8;
        if stored == u64::from(unsigned) {
            return Ok(header);
        }
        // Some old writers summed signed bytes.
        let high = |bytes: &[u8]| bytes.iter().filter(|b| !b.is_ascii()).count() as i64;
        let signed = i64::from(unsigned) - 256 * (high(block) - high(field));
        if i64::try_from(stored) == Ok(signed) { Ok(header) } else { Err(HeaderError::Checksum) }
    }

    /// The entry's type.
    pub(super) const fn kind(&self) -> u8 {
        self.0[156]
    }

    /// The size of the stored content.
    pub(super) fn size(&self) -> Result<u64, HeaderError> {
        number(self.field(124, 12)).ok_or(HeaderError::Number)
    }

    /// Whether somebody may execute it. A mode that is no number says no.
    pub(super) fn is_executable(&self) -> bool {
        number(self.field(100, 8)).is_some_and(|mode| mode & 0o111 != 0)
    }

    /// The name, with its prefix where the format has one.
    pub(super) fn name(&self) -> Vec<u8> {
        let name = text(self.field(0, 100));
        // GNU uses the prefix's place for other things.
        let prefix = if self.field(257, 6) == b"ustar\0" { text(self.field(345, 155)) } else { b"" };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    /// The target of a link.
    pub(super) fn link(&self) -> &'a [u8] {
        text(self.field(157, 100))
    }

    /// Whether a sparse entry's map goes on in another block.
    pub(super) const fn is_extended(&self) -> bool {
        self.0[482] != 0
    }

    fn field(&self, at: usize, length: usize) -> &'a [u8] {
        self.0.get(at..at + length).unwrap_or_default()
    }
}

/// Bytes up to the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&b| b == 0).next().unwrap_or_default()
}

/// Octal digits between blanks and NULs, or a big-endian binary number when the first bit is set. Negative ones are none.
fn number(field: &[u8]) -> Option<u64> {
    match field.split_first()? {
        (first, rest) if first & 0x80 != 0 => {
            if first & 0x40 != 0 {
                return None;
            }
            rest.iter().try_fold(u64::from(first & 0x3f), |n, &b| n.checked_mul(256)?.checked_add(u64::from(b)))
        }
        _ => {
            let digits = field.trim_ascii_start();
            let end = digits.iter().position(|b| matches!(b, 0 | b' ')).unwrap_or(digits.len());
            let (digits, rest) = digits.split_at(end);
            if rest.iter().any(|b| !matches!(b, 0 | b' ')) {
                return None;
            }
            digits.iter().try_fold(0_u64, |n, b| match b {
                b'0'..=b'7' => n.checked_mul(8)?.checked_add(u64::from(b - b'0')),
                _ => None,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, Header, number};

    #[test]
    fn the_checksum_is_of_unsigned_or_of_signed_bytes() {
        let block = |sum: i64| {
            let mut block = [0; BLOCK];
            block[..4].copy_from_slice(b"a\xff\x80b");
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            block
        };
        let unsigned = i64::from(b'a') + 255 + 128 + i64::from(b'b') + 8 * 32;
        for (sum, right) in [(unsigned, true), (unsigned - 512, true), (unsigned - 256, false), (unsigned + 1, false), (0, false)] {
            assert_eq!(Header::parse(&block(sum)).is_ok(), right, "{sum}");
        }
        // Bytes of the field itself do not count, whatever they are.
        let mut binary = block(0);
        binary[148..156].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, (unsigned >> 8) as u8, unsigned as u8]);
        assert!(Header::parse(&binary).is_ok());
    }

    #[test]
    fn numbers_are_octal_or_binary_and_never_negative() {
        for (field, want) in [
            (&b"00000000017\0"[..], Some(15)),
            (b"     17 \0", Some(15)),
            (b"\0\0\0\0", Some(0)),
            (b"18\0", None),
            (b"1\x002\0", None),
            (b"-7\0", None),
            (b"\x80\0\0\0\0\0\0\0\0\0\x01\0", Some(256)),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        ] {
            assert_eq!(number(field), want, "{field:?}");
        }
    }
}
