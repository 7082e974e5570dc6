//! rpm's SQLite database (`rpmdb.sqlite`): the table `Packages`, whose rows are a number and a header (SQLite's "Database File
//! Format").

use super::bytes::{be16, be32};
use super::{Damaged, Each};
use std::collections::HashSet;

pub(super) const MAGIC: &[u8] = b"SQLite format 3\0";
const LEAF: u8 = 0x0d;
const INTERIOR: u8 = 0x05;

struct Database<'a> {
    content: &'a [u8],
    page: usize,
    /// Bytes of a page that hold anything.
    usable: usize,
}

pub(super) fn headers(content: &[u8], each: Each<'_>) -> Result<(), Damaged> {
    let page = match be16(content, 16).ok_or(Damaged)? {
        1 => 65_536,
        size if size.is_power_of_two() && size >= 512 => usize::from(size),
        _ => return Err(Damaged),
    };
    let reserved = usize::from(*content.get(20).ok_or(Damaged)?);
    let database = Database { content, page, usable: page - reserved.min(page / 2) };
    // The size in pages, where it is kept, tells a file that was cut.
    let pages = be32(content, 28).ok_or(Damaged)? as usize;
    let mut root = None;
    database.rows(1, &mut |payload| {
        let columns = record(payload).ok_or(Damaged)?;
        // Type, name, table, root page, text: a view or a trigger of that name is none.
        if let [Value::Text(b"table"), Value::Text(b"Packages"), _, Value::Number(page), ..] = columns.as_slice() {
            root = u32::try_from(*page).ok();
        }
        Ok(())
    })?;
    database.rows(root.ok_or(Damaged)?, &mut |payload| match record(payload).as_deref() {
        Some([_, Value::Blob(header), ..]) => each(header),
        _ => Err(Damaged),
    })?;
    if pages.saturating_mul(page) > content.len() { Err(Damaged) } else { Ok(()) }
}

impl<'a> Database<'a> {
    fn page(&self, number: u32) -> Result<&'a [u8], Damaged> {
        let start = (number as usize).checked_sub(1).and_then(|number| number.checked_mul(self.page)).ok_or(Damaged)?;
        self.content.get(start..start + self.page).ok_or(Damaged)
    }

    /// Calls `each` with the payload of every row of the table at `root`.
    fn rows(&self, root: u32, each: Each<'_>) -> Result<(), Damaged> {
        // Pages that point at each other in a circle are seen twice.
        let mut seen = HashSet::new();
        let mut open = vec![root];
        while let Some(number) = open.pop() {
            if !seen.insert(number) {
                return Err(Damaged);
            }
            let page = self.page(number)?;
            // The first page begins with the file's header.
            let start = if number == 1 { 100 } else { 0 };
            let kind = *page.get(start).ok_or(Damaged)?;
            let cells = usize::from(be16(page, start + 3).ok_or(Damaged)?);
            let pointers = start + if kind == INTERIOR { 12 } else { 8 };
            let cell = |number: usize| Some(usize::from(be16(page, pointers + 2 * number)?));
            match kind {
                INTERIOR => {
                    open.push(be32(page, start + 8).ok_or(Damaged)?);
                    for number in (0..cells).rev() {
                        open.push(cell(number).and_then(|at| be32(page, at)).ok_or(Damaged)?);
                    }
                }
                LEAF => {
                    for number in 0..cells {
                        each(&self.payload(page, cell(number).ok_or(Damaged)?)?)?;
                    }
                }
                _ => return Err(Damaged),
            }
        }
        Ok(())
    }

    /// A row's payload: its beginning in the leaf, the rest on overflow pages.
    fn payload(&self, page: &'a [u8], at: usize) -> Result<Vec<u8>, Damaged> {
        let (length, after) = varint(page.get(at..).ok_or(Damaged)?).ok_or(Damaged)?;
        let length = usize::try_from(length).map_err(|_| Damaged)?;
        let (_, key) = varint(page.get(at + after..).ok_or(Damaged)?).ok_or(Damaged)?;
        let start = at + after + key;
        let (most, least) = (self.usable - 35, (self.usable - 12) * 32 / 255 - 23);
        if length <= most {
            return page.get(start..start + length).map(<[u8]>::to_vec).ok_or(Damaged);
        }
        // No page can hold more than the file.
        if length > self.content.len() {
            return Err(Damaged);
        }
        let fitting = least + (length - least) % (self.usable - 4);
        let local = if fitting <= most { fitting } else { least };
        let mut payload = page.get(start..start + local).ok_or(Damaged)?.to_vec();
        let mut next = be32(page, start + local).ok_or(Damaged)?;
        while payload.len() < length {
            let page = self.page(next)?;
            next = be32(page, 0).ok_or(Damaged)?;
            let part = (length - payload.len()).min(self.usable - 4);
            payload.extend_from_slice(page.get(4..4 + part).ok_or(Damaged)?);
        }
        Ok(payload)
    }
}

/// A number of up to nine bytes, and how many it has.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(9) {
        if at == 8 {
            return Some((value << 8 | u64::from(*byte), 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

#[derive(Debug)]
enum Value<'a> {
    Text(&'a [u8]),
    Blob(&'a [u8]),
    Number(i64),
    Other,
}

/// The columns of a row.
fn record(payload: &[u8]) -> Option<Vec<Value<'_>>> {
    let (header, mut at) = varint(payload)?;
    let header = usize::try_from(header).ok()?;
    let mut body = payload.get(header..)?;
    let mut columns = Vec::new();
    while at < header {
        let (kind, length) = varint(payload.get(at..header)?)?;
        at += length;
        let size = match kind {
            0 | 8 | 9 => 0,
            kind @ 1..=4 => usize::try_from(kind).ok()?,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            kind => usize::try_from((kind - 12) / 2).ok()?,
        };
        let (value, rest) = body.split_at_checked(size)?;
        body = rest;
        columns.push(match kind {
            1..=6 => Value::Number(value.iter().fold(0, |number, byte| number << 8 | i64::from(*byte))),
            8 => Value::Number(0),
            9 => Value::Number(1),
            kind if kind >= 12 && kind.is_multiple_of(2) => Value::Blob(value),
            kind if kind >= 13 => Value::Text(value),
            _ => Value::Other,
        });
    }
    Some(columns)
}

#[cfg(test)]
pub(super) mod tests {
    /// A database of 512-byte pages with one package.
    pub(in super::super) fn database(header: &[u8]) -> Vec<u8> {
        const PAGE: usize = 512;
        let varint = |value: usize| if value < 128 { vec![value as u8] } else { vec![(value >> 7) as u8 | 0x80, (value & 0x7f) as u8] };
        let row = |values: &[(usize, &[u8])]| {
            let kinds: Vec<u8> = values.iter().flat_map(|(kind, _)| varint(*kind)).collect();
            let mut out = varint(kinds.len() + 1);
            out.extend(kinds);
            values.iter().for_each(|(_, bytes)| out.extend_from_slice(bytes));
            out
        };
        let leaf = |start: usize, payload: &[u8]| {
            let mut page = vec![0; PAGE];
            let cell = [varint(payload.len()), vec![1]].concat();
            let most = PAGE - 35;
            let least = (PAGE - 12) * 32 / 255 - 23;
            let mut overflow = Vec::new();
            let mut stored = cell;
            if payload.len() <= most {
                stored.extend_from_slice(payload);
            } else {
                let fitting = least + (payload.len() - least) % (PAGE - 4);
                let local = if fitting <= most { fitting } else { least };
                stored.extend_from_slice(&payload[..local]);
                stored.extend_from_slice(&3_u32.to_be_bytes());
                overflow.push([&[0; 4][..], &payload[local..]].concat());
                overflow[0].resize(PAGE, 0);
            }
            let at = PAGE - stored.len();
            page[at..].copy_from_slice(&stored);
            page[start..start + 8].copy_from_slice(&[super::LEAF, 0, 0, 0, 1, (at >> 8) as u8, at as u8, 0]);
            page[start + 8..start + 10].copy_from_slice(&(at as u16).to_be_bytes());
            (page, overflow)
        };
        let schema = row(&[(23, b"table"), (29, b"Packages"), (29, b"Packages"), (1, &[2]), (13, b"")]);
        let (mut first, _) = leaf(100, &schema);
        let (second, overflow) = leaf(0, &row(&[(0, b""), (12 + 2 * header.len(), header)]));
        first[..16].copy_from_slice(super::MAGIC);
        first[16..18].copy_from_slice(&(PAGE as u16).to_be_bytes());
        let pages = 2 + overflow.len() as u32;
        first[28..32].copy_from_slice(&pages.to_be_bytes());
        [vec![first, second], overflow].concat().concat()
    }
}
