//! The index's bytes: header, sections, sorted tables.

use super::IndexError;
use lestrade_model::Family;
use std::cmp::Ordering;

const MAGIC: &[u8; 8] = b"LESTRADX";
const VERSION: u32 = 7;
const CHECKSUM: usize = 16;
const SECTION_ROW: usize = 16 + CHECKSUM;

/// Length of the header: magic, version, number of sections, a row for each, checksum.
pub(super) const HEADER: usize = 8 + 4 + 4 + Section::COUNT * SECTION_ROW + CHECKSUM;

/// The largest decoded advisory. Import cuts texts long before.
pub(super) const MAX_BODY: usize = 64 << 20;

/// The parts of an index, in file order.
#[derive(Clone, Copy)]
pub(super) enum Section {
    Manifest,
    Words,
    Names,
    NameKeys,
    Entries,
    Vulnerabilities,
    VulnerabilityKeys,
    Members,
    Advisories,
    AdvisoryKeys,
    Hashes,
    Bodies,
    Exploitations,
    ExploitationKeys,
    ExploitationValues,
}

impl Section {
    pub(super) const COUNT: usize = 15;
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut out = [0; CHECKSUM];
    out.copy_from_slice(&blake3::hash(bytes).as_bytes()[..CHECKSUM]);
    out
}

/// The key of a package: family, a zero byte, name.
pub(super) fn name_key(family: &Family, name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(family.name().len() + 1 + name.len());
    key.extend_from_slice(family.name().as_bytes());
    key.push(0);
    key.extend_from_slice(name.as_bytes());
    key
}

/// `bytes[offset..offset + length]`, checked.
pub(super) fn slice(bytes: &[u8], offset: u64, length: u32) -> Result<&[u8], IndexError> {
    let start = usize::try_from(offset).map_err(|_| IndexError::Corrupt("offset"))?;
    let end = start.checked_add(length as usize).ok_or(IndexError::Corrupt("offset"))?;
    bytes.get(start..end).ok_or(IndexError::Corrupt("offset"))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// Where the sections lie.
pub(super) struct Sections([(u64, u64, [u8; CHECKSUM]); Section::COUNT]);

impl Sections {
    /// Reads and checks the header.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, IndexError> {
        let header = bytes.get(..HEADER).ok_or(IndexError::NotAnIndex)?;
        let (body, sum) = header.split_at(HEADER - CHECKSUM);
        if !body.starts_with(MAGIC) {
            return Err(IndexError::NotAnIndex);
        }
        // Headers of all versions are of one length, so that a damaged one is told from one of another version.
        if checksum(body) != sum {
            return Err(IndexError::Corrupt("header"));
        }
        if u32_at(body, 8) != Some(VERSION) || u32_at(body, 12) != Some(Section::COUNT as u32) {
            return Err(IndexError::OtherVersion);
        }
        let mut sections = [(0, 0, [0; CHECKSUM]); Section::COUNT];
        for (i, section) in sections.iter_mut().enumerate() {
            let row = &body[16 + i * SECTION_ROW..][..SECTION_ROW];
            let (offset, length) = (u64_at(row, 0).unwrap_or(0), u64_at(row, 8).unwrap_or(0));
            if offset.checked_add(length).is_none_or(|end| end > bytes.len() as u64) {
                return Err(IndexError::Corrupt("section"));
            }
            section.0 = offset;
            section.1 = length;
            section.2.copy_from_slice(&row[16..]);
        }
        Ok(Self(sections))
    }

    pub(super) fn get<'a>(&self, bytes: &'a [u8], section: Section) -> Result<&'a [u8], IndexError> {
        let (offset, length, _) = self.0[section as usize];
        bytes.get(offset as usize..(offset + length) as usize).ok_or(IndexError::Corrupt("section"))
    }

    /// Where a section ends.
    pub(super) const fn end(&self, section: Section) -> usize {
        let (offset, length, _) = self.0[section as usize];
        (offset + length) as usize
    }

    pub(super) fn verify(&self, bytes: &[u8]) -> Result<(), IndexError> {
        for (offset, length, sum) in &self.0 {
            let section = bytes.get(*offset as usize..(*offset + *length) as usize).ok_or(IndexError::Corrupt("section"))?;
            if checksum(section) != *sum {
                return Err(IndexError::Corrupt("checksum"));
            }
        }
        Ok(())
    }

    /// The sections' bytes, in file order.
    pub(super) fn parts(&self, bytes: &[u8]) -> Result<[Vec<u8>; Section::COUNT], IndexError> {
        let mut parts: [Vec<u8>; Section::COUNT] = Default::default();
        for (part, (offset, length, _)) in parts.iter_mut().zip(&self.0) {
            let section = bytes.get(*offset as usize..(*offset + *length) as usize).ok_or(IndexError::Corrupt("section"))?;
            part.extend_from_slice(section);
        }
        Ok(parts)
    }

    /// Header and sections as one byte string.
    pub(super) fn write(parts: [Vec<u8>; Section::COUNT]) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + parts.iter().map(Vec::len).sum::<usize>());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(Section::COUNT as u32).to_le_bytes());
        let mut offset = HEADER as u64;
        for part in &parts {
            out.extend_from_slice(&offset.to_le_bytes());
            out.extend_from_slice(&(part.len() as u64).to_le_bytes());
            out.extend_from_slice(&checksum(part));
            offset += part.len() as u64;
        }
        let sum = checksum(&out);
        out.extend_from_slice(&sum);
        parts.into_iter().for_each(|part| out.extend_from_slice(&part));
        out
    }
}

/// One row of a table: where its key and its value lie.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) offset: u64,
    pub(super) length: u32,
    key_offset: u32,
    key_length: u16,
}

/// Offset and length of the key (4 and 2 bytes), length and offset of the value (4 and 6 bytes).
const ROW: usize = 4 + 2 + 4 + 6;

impl Row {
    #[inline]
    fn of(bytes: &[u8; ROW]) -> Self {
        let all = u128::from_le_bytes(*bytes);
        Self { key_offset: all as u32, key_length: (all >> 32) as u16, length: (all >> 48) as u32, offset: (all >> 80) as u64 }
    }
}

/// Fixed-width rows, sorted by the keys that they point at.
#[derive(Clone, Copy, Default)]
pub(super) struct Table<'a> {
    rows: &'a [[u8; ROW]],
    keys: &'a [u8],
}

impl<'a> Table<'a> {
    pub(super) const fn new(rows: &'a [u8], keys: &'a [u8]) -> Result<Self, IndexError> {
        let (rows, rest) = rows.as_chunks();
        if !rest.is_empty() || rows.len() > u32::MAX as usize {
            return Err(IndexError::Corrupt("table"));
        }
        Ok(Self { rows, keys })
    }

    pub(super) const fn len(&self) -> u32 {
        self.rows.len() as u32
    }

    pub(super) fn row(&self, ordinal: u32) -> Result<Row, IndexError> {
        self.rows.get(ordinal as usize).map(Row::of).ok_or(IndexError::Corrupt("row"))
    }

    pub(super) fn key(&self, ordinal: u32) -> Result<&'a [u8], IndexError> {
        let row = self.row(ordinal)?;
        slice(self.keys, u64::from(row.key_offset), u32::from(row.key_length))
    }

    /// So many rows from one on and of another table from another on, if their keys are the same. It looks at how the keys lie and
    /// then at all of their bytes at once: where they lie otherwise, or nowhere, it says no, and each has to be looked at.
    pub(super) fn alike<'b>(&self, from: u32, other: &Table<'b>, other_from: u32, count: u32) -> Option<Alike<'a, 'b>> {
        let (rows, others) = (self.rows_from(from, count)?, other.rows_from(other_from, count)?);
        let begin = |rows: &[[u8; ROW]]| rows.first().map_or(0, |row| Row::of(row).key_offset);
        let (begins, other_begins) = (begin(rows), begin(others));
        let (mut lie_alike, mut end) = (true, 0);
        for (row, other) in rows.iter().zip(others) {
            let (row, other) = (Row::of(row), Row::of(other));
            // From the first key on; one that lies before it is beyond all bytes so.
            let place = row.key_offset.wrapping_sub(begins);
            lie_alike &= place == other.key_offset.wrapping_sub(other_begins) && row.key_length == other.key_length;
            end = end.max(u64::from(place) + u64::from(row.key_length));
        }
        let keys = self.key_bytes(begins, end).filter(|_| lie_alike)?;
        (other.key_bytes(other_begins, end) == Some(keys)).then(|| Alike { rows, others, keys: std::str::from_utf8(keys).ok(), begins })
    }

    fn rows_from(&self, from: u32, count: u32) -> Option<&'a [[u8; ROW]]> {
        self.rows.get(from as usize..)?.get(..count as usize)
    }

    fn key_bytes(&self, from: u32, length: u64) -> Option<&'a [u8]> {
        self.keys.get(from as usize..)?.get(..usize::try_from(length).ok()?)
    }

    /// The first of the rows from one on whose key is not below this one; their number where there is none.
    pub(super) fn place(&self, key: &[u8], from: u32) -> Result<u32, IndexError> {
        let (mut low, mut high) = (from, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(middle)?.cmp(key) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(middle),
            }
        }
        Ok(low)
    }

    /// The number of the row of a key.
    pub(super) fn ordinal(&self, key: &[u8]) -> Result<Option<u32>, IndexError> {
        let place = self.place(key, 0)?;
        Ok((place < self.len() && self.key(place)? == key).then_some(place))
    }

    pub(super) fn find(&self, key: &[u8]) -> Result<Option<Row>, IndexError> {
        self.ordinal(key)?.map(|ordinal| self.row(ordinal)).transpose()
    }
}

/// Rows of two tables that have the same keys.
pub(super) struct Alike<'a, 'b> {
    rows: &'a [[u8; ROW]],
    others: &'b [[u8; ROW]],
    keys: Option<&'a str>,
    begins: u32,
}

impl<'a> Alike<'a, '_> {
    /// The rows of the one and of the other, and their key where it is text.
    pub(super) fn rows(&self) -> impl Iterator<Item = (Row, Row, Option<&'a str>)> {
        self.rows.iter().zip(self.others).map(|(row, other)| {
            let row = Row::of(row);
            let place = row.key_offset.wrapping_sub(self.begins) as usize;
            let key = self.keys.and_then(|keys| keys.get(place..place + usize::from(row.key_length)));
            (row, Row::of(other), key)
        })
    }
}

/// Writes a table: rows, keys and values, from (key, value) pairs in key order.
#[derive(Default)]
pub(super) struct TableWriter {
    pub(super) rows: Vec<u8>,
    pub(super) keys: Vec<u8>,
    pub(super) values: Vec<u8>,
}

impl TableWriter {
    /// How many rows there are.
    pub(super) const fn len(&self) -> usize {
        self.rows.len() / ROW
    }

    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), IndexError> {
        let key_offset = u32::try_from(self.keys.len()).map_err(|_| IndexError::TooLarge("keys"))?;
        let key_length = u16::try_from(key.len()).map_err(|_| IndexError::TooLarge("key"))?;
        let value_length = u32::try_from(value.len()).map_err(|_| IndexError::TooLarge("value"))?;
        let value_offset = (self.values.len() as u64).to_le_bytes();
        if value_offset[6..] != [0, 0] {
            return Err(IndexError::TooLarge("values"));
        }
        self.rows.extend_from_slice(&key_offset.to_le_bytes());
        self.rows.extend_from_slice(&key_length.to_le_bytes());
        self.rows.extend_from_slice(&value_length.to_le_bytes());
        self.rows.extend_from_slice(&value_offset[..6]);
        self.keys.extend_from_slice(key);
        self.values.extend_from_slice(value);
        Ok(())
    }
}
