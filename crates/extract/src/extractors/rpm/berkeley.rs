//! rpm's BerkeleyDB (`Packages`): a hash table whose values are headers, nearly all of them on chains of overflow pages
//! (Berkeley DB's `db_page.h`).

use super::{Damaged, Each};
use std::collections::HashSet;

/// The number that says that a file is a hash table, at byte 12 in the machine's own order.
const HASH: u32 = 0x0006_1561;
const PAGE_HEADER: usize = 26;
const HASH_PAGES: [u8; 2] = [2, 13];
const OVERFLOW_PAGE: u8 = 7;
const INLINE: u8 = 1;
const OFF_PAGE: u8 = 3;
/// A page may be no larger.
const MAX_PAGE: usize = 64 << 10;

struct Database<'a> {
    content: &'a [u8],
    page: usize,
    /// Whether numbers have their most significant byte first.
    big: bool,
}

pub(super) fn headers(content: &[u8], each: Each<'_>) -> Result<(), Damaged> {
    let database = Database::open(content).ok_or(Damaged)?;
    let last = database.number(content, 32, 4).ok_or(Damaged)?;
    let mut whole = true;
    for number in 1..=last {
        let page = database.page(number).ok_or(Damaged)?;
        // Other pages are free, or hold what hash pages point at.
        if HASH_PAGES.contains(&page[25]) {
            whole &= database.values(page, each)?;
        }
    }
    if whole { Ok(()) } else { Err(Damaged) }
}

impl<'a> Database<'a> {
    fn open(content: &'a [u8]) -> Option<Self> {
        let magic: [u8; 4] = content.get(12..16)?.try_into().ok()?;
        let big = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
            (HASH, _) => false,
            (_, HASH) => true,
            _ => return None,
        };
        let mut database = Self { content, page: 0, big };
        database.page = usize::try_from(database.number(content, 20, 4)?).ok()?;
        (database.page.is_power_of_two() && (512..=MAX_PAGE).contains(&database.page)).then_some(database)
    }

    fn number(&self, bytes: &[u8], at: usize, length: usize) -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(length)?)?;
        let fold = |value, byte: &u8| value << 8 | u64::from(*byte);
        Some(if self.big { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) })
    }

    fn page(&self, number: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(number).ok()?.checked_mul(self.page)?;
        self.content.get(start..start.checked_add(self.page)?)
    }

    /// Hands over the values of a hash page; answers whether all of them could be read.
    fn values(&self, page: &'a [u8], each: Each<'_>) -> Result<bool, Damaged> {
        let place = |number: usize| self.number(page, number, 2).and_then(|at| usize::try_from(at).ok()).ok_or(Damaged);
        let mut whole = true;
        // Keys and values take turns; a value ends where the entry before it begins.
        for value in (1..place(20)?).step_by(2) {
            let (at, end) = (place(PAGE_HEADER + 2 * value)?, place(PAGE_HEADER + 2 * (value - 1))?);
            match self.value(page, at, end) {
                Some(Some(blob)) => each(&blob)?,
                Some(None) => {}
                None => whole = false,
            }
        }
        Ok(whole)
    }

    /// A value; none of one that is no header, such as the number of the last package.
    #[allow(clippy::option_option, reason = "damaged, no header, a header")]
    fn value(&self, page: &'a [u8], at: usize, end: usize) -> Option<Option<Vec<u8>>> {
        match *page.get(at)? {
            INLINE => {
                let bytes = page.get(at + 1..end)?;
                Some((bytes.len() > 4).then(|| bytes.to_vec()))
            }
            OFF_PAGE => {
                let (first, length) = (self.number(page, at + 4, 4)?, self.number(page, at + 8, 4)?);
                self.chain(first, usize::try_from(length).ok()?).map(Some)
            }
            _ => None,
        }
    }

    /// What lies on a chain of overflow pages.
    fn chain(&self, first: u64, length: usize) -> Option<Vec<u8>> {
        if length > self.content.len() {
            return None;
        }
        let mut blob = Vec::with_capacity(length);
        let mut seen = HashSet::new();
        let mut next = first;
        while next != 0 {
            let page = self.page(next)?;
            if !seen.insert(next) || page[25] != OVERFLOW_PAGE {
                return None;
            }
            let here = usize::try_from(self.number(page, 22, 2)?).ok()?;
            blob.extend_from_slice(page.get(PAGE_HEADER..PAGE_HEADER.checked_add(here)?)?);
            next = self.number(page, 16, 4)?;
            if blob.len() > length {
                return None;
            }
        }
        (blob.len() == length).then_some(blob)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A database of 512-byte pages with one package.
    pub(in super::super) fn database(header: &[u8]) -> Vec<u8> {
        const PAGE: usize = 512;
        let room = PAGE - PAGE_HEADER;
        let chunks: Vec<&[u8]> = header.chunks(room).collect();
        let mut meta = vec![0; PAGE];
        meta[12..16].copy_from_slice(&HASH.to_le_bytes());
        meta[20..24].copy_from_slice(&(PAGE as u32).to_le_bytes());
        meta[25] = 8;
        meta[32..36].copy_from_slice(&(1 + chunks.len() as u32).to_le_bytes());
        let mut hash = vec![0; PAGE];
        hash[20..22].copy_from_slice(&2_u16.to_le_bytes());
        hash[25] = 13;
        let key = PAGE - 5;
        hash[key] = INLINE;
        let value = key - 12;
        hash[value] = OFF_PAGE;
        hash[value + 4..value + 8].copy_from_slice(&2_u32.to_le_bytes());
        hash[value + 8..value + 12].copy_from_slice(&(header.len() as u32).to_le_bytes());
        hash[26..28].copy_from_slice(&(key as u16).to_le_bytes());
        hash[28..30].copy_from_slice(&(value as u16).to_le_bytes());
        let mut file = [meta, hash].concat();
        for (number, chunk) in chunks.iter().enumerate() {
            let mut page = vec![0; PAGE];
            let next = if number + 1 < chunks.len() { number as u32 + 3 } else { 0 };
            page[16..20].copy_from_slice(&next.to_le_bytes());
            page[22..24].copy_from_slice(&(chunk.len() as u16).to_le_bytes());
            page[25] = OVERFLOW_PAGE;
            page[PAGE_HEADER..PAGE_HEADER + chunk.len()].copy_from_slice(chunk);
            file.extend(page);
        }
        file
    }
}
