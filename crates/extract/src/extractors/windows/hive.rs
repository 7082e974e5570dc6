//! Registry hives (`regf`), as far as values of keys are looked up by their names. The layout is that of Maxim Suhanov's
//! "Windows registry file format specification": a base block of 4096 bytes, then cells that name each other by their offsets.
//!
//! Nothing is believed of an offset or a length: whatever does not lie in the file is not there.

const BASE: usize = 4096;
/// `KEY_COMP_NAME`, `VALUE_COMP_NAME`: the name is in Latin-1.
const KEY_IS_NARROW: u16 = 0x20;
const VALUE_IS_NARROW: u16 = 1;
/// The data of a value of up to four bytes lies in its own cell.
const INLINE: u32 = 1 << 31;
/// The most keys below one, values of one, and bytes of a value that are looked at.
const MAX_KEYS: usize = 500_000;
const MAX_VALUES: usize = 10_000;
const MAX_DATA: usize = 16 << 10;

/// A hive.
pub(super) struct Hive<'a> {
    cells: &'a [u8],
    root: u32,
    /// Whether there are changes in its log that are not in it.
    pub(super) is_behind: bool,
}

/// Why a hive cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Broken {
    NotAHive,
    Cut,
}

impl<'a> Hive<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Broken> {
        let number = |at| le32(bytes, at).ok_or(Broken::Cut);
        if bytes.get(..4).ok_or(Broken::Cut)? != b"regf" {
            return Err(Broken::NotAHive);
        }
        let length = number(40)? as usize;
        let cells = bytes.get(BASE..).and_then(|cells| cells.get(..length)).ok_or(Broken::Cut)?;
        Ok(Self { cells, root: number(36)?, is_behind: number(4)? != number(8)? })
    }

    /// The key of a path, whose parts are between `\`. Names are told apart without regard to case.
    pub(super) fn key(&self, path: &str) -> Option<Key<'a>> {
        let mut key = self.key_at(self.root)?;
        for part in path.split('\\') {
            key = self.keys_of(key).find(|(name, _)| name.eq_ignore_ascii_case(part))?.1;
        }
        Some(key)
    }

    /// The keys below one, with their names.
    pub(super) fn keys_of(&self, key: Key<'a>) -> impl Iterator<Item = (String, Key<'a>)> + '_ {
        let mut offsets = Vec::new();
        let list = le32(key.cell, 28).unwrap_or(u32::MAX);
        if le32(key.cell, 20).unwrap_or(0) > 0 {
            self.list(list, true, &mut offsets);
        }
        offsets.into_iter().filter_map(move |offset| {
            let key = self.key_at(offset)?;
            Some((name(key.cell, 76, le16(key.cell, 72)?, le16(key.cell, 2)? & KEY_IS_NARROW != 0)?, key))
        })
    }

    /// The offsets of a list of keys, which may be a list of such lists.
    fn list(&self, offset: u32, may_hold_lists: bool, out: &mut Vec<u32>) {
        let Some(cell) = self.cell(offset) else { return };
        let count = usize::from(le16(cell, 2).unwrap_or(0));
        let width = match cell.get(..2) {
            Some(b"lf" | b"lh") => 8,
            Some(b"li" | b"ri") => 4,
            _ => return,
        };
        for number in 0..count {
            let Some(offset) = le32(cell, 4 + number * width) else { return };
            if out.len() >= MAX_KEYS {
                return;
            }
            match cell.starts_with(b"ri") {
                true if may_hold_lists => self.list(offset, false, out),
                true => return,
                false => out.push(offset),
            }
        }
    }

    /// The text of a value.
    pub(super) fn text(&self, key: Key<'a>, value: &str) -> Option<String> {
        let (kind, data) = self.value(key, value)?;
        if !matches!(kind, 1 | 2) {
            return None;
        }
        let units = data.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).take_while(|unit| *unit != 0);
        let text: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        Some(text.trim().chars().filter(|c| !c.is_control()).take(256).collect())
    }

    /// The number of a value.
    pub(super) fn number(&self, key: Key<'a>, value: &str) -> Option<u32> {
        match self.value(key, value)? {
            (4, data) => le32(data, 0),
            _ => None,
        }
    }

    fn value(&self, key: Key<'a>, wanted: &str) -> Option<(u32, &'a [u8])> {
        let count = (le32(key.cell, 36)? as usize).min(MAX_VALUES);
        let list = self.cell(le32(key.cell, 40)?)?;
        let cell = (0..count).filter_map(|number| self.cell(le32(list, number * 4)?)).find(|cell| {
            let read = || name(cell, 20, le16(cell, 2)?, le16(cell, 16)? & VALUE_IS_NARROW != 0);
            cell.starts_with(b"vk") && read().is_some_and(|name| name.eq_ignore_ascii_case(wanted))
        })?;
        let (length, kind) = (le32(cell, 4)?, le32(cell, 12)?);
        let size = (length & !INLINE) as usize;
        let data =
            if length & INLINE != 0 { cell.get(8..12)?.get(..size)? } else { self.cell(le32(cell, 8)?)?.get(..size.min(MAX_DATA))? };
        Some((kind, data))
    }

    fn key_at(&self, offset: u32) -> Option<Key<'a>> {
        self.cell(offset).filter(|cell| cell.starts_with(b"nk")).map(|cell| Key { cell })
    }

    /// The content of a cell that is in use.
    fn cell(&self, offset: u32) -> Option<&'a [u8]> {
        let at = offset as usize;
        let size = i32::from_le_bytes(self.cells.get(at..at.checked_add(4)?)?.try_into().ok()?);
        let length = usize::try_from(size.checked_neg()?).ok()?;
        self.cells.get(at + 4..at.checked_add(length)?)
    }
}

/// A key.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    cell: &'a [u8],
}

fn name(cell: &[u8], at: usize, length: u16, is_narrow: bool) -> Option<String> {
    let bytes = cell.get(at..at.checked_add(usize::from(length))?)?;
    if is_narrow {
        return Some(bytes.iter().map(|byte| char::from(*byte)).collect());
    }
    let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    Some(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
}

fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
