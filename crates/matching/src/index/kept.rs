//! What an older index holds, as the bytes that a newer one copies.

use super::build::GONE;
use super::entry::{Numbers, Raw, Reader};
use super::format::{MAX_BODY, Section, Table, TableWriter, slice};
use super::{AdvisoryIndex, IndexError};
use crate::frame;
use lestrade_model::Ecosystem;
use std::collections::BTreeMap;

/// The sections of an older index; all of them empty where there is none.
#[derive(Default)]
pub(super) struct Kept<'a> {
    pub(super) advisories: Table<'a>,
    pub(super) bodies: &'a [u8],
    pub(super) hashes: &'a [u8],
    /// Rows, keys and values.
    pub(super) exploitation: [&'a [u8]; 3],
    names: Table<'a>,
    entries: &'a [u8],
    groups: Table<'a>,
    members: &'a [u8],
    ecosystems: &'a [(Ecosystem, u64)],
    words: &'a [String],
}

impl<'a> Kept<'a> {
    pub(super) fn of<B: AsRef<[u8]>>(index: &'a AdvisoryIndex<B>) -> Result<Self, IndexError> {
        Ok(Self {
            advisories: index.table(Section::AdvisoryKeys, Section::Advisories)?,
            bodies: index.section(Section::Bodies)?,
            hashes: index.section(Section::Hashes)?,
            exploitation: [
                index.section(Section::Exploitations)?,
                index.section(Section::ExploitationKeys)?,
                index.section(Section::ExploitationValues)?,
            ],
            names: index.table(Section::NameKeys, Section::Names)?,
            entries: index.section(Section::Entries)?,
            groups: index.table(Section::VulnerabilityKeys, Section::Vulnerabilities)?,
            members: index.section(Section::Members)?,
            ecosystems: &index.manifest.ecosystems,
            words: &index.words,
        })
    }

    /// The compressed body of a record.
    pub(super) fn body(&self, ordinal: u32) -> Result<&'a [u8], IndexError> {
        let row = self.advisories.row(ordinal)?;
        slice(self.bodies, row.offset, row.length)
    }

    /// The hash of a record's content.
    pub(super) fn hash(&self, ordinal: u32) -> Result<&'a [u8], IndexError> {
        slice(self.hashes, u64::from(ordinal) * 32, 32)
    }

    /// Whether a record is the same byte by byte.
    pub(super) fn has(&self, ordinal: u32, body: &[u8]) -> Result<bool, IndexError> {
        Ok(frame::unpack(self.body(ordinal)?, MAX_BODY).is_some_and(|plain| plain == body))
    }

    /// Counts the ecosystems and words of the entries that stay.
    pub(super) fn count(&self, places: &[u32], numbers: &mut Numbers) -> Result<(), IndexError> {
        let mut ecosystems = vec![0_u64; self.ecosystems.len()];
        let mut words = vec![false; self.words.len()];
        let mut entries = Reader::new(self.entries);
        while let Some(entry) = entries.raw()? {
            if place(places, &entry)? != GONE {
                *ecosystems.get_mut(entry.ecosystem).ok_or(IndexError::Corrupt("entries"))? += 1;
                for word in entry.word.iter().chain(&entry.module) {
                    *words.get_mut(*word).ok_or(IndexError::Corrupt("entries"))? = true;
                }
            }
        }
        let standing = self.ecosystems.iter().zip(ecosystems).filter(|(_, entries)| *entries > 0);
        numbers.ecosystems.extend(standing.map(|((ecosystem, _), entries)| (ecosystem.clone(), entries)));
        numbers.words.extend(self.words.iter().zip(words).filter(|(_, used)| *used).map(|(word, _)| (word.clone(), 0)));
        Ok(())
    }

    /// The vulnerabilities of what stays and of what is fresh, each with its records.
    pub(super) fn groups(&self, places: &[u32], fresh: BTreeMap<&str, Vec<u32>>) -> Result<TableWriter, IndexError> {
        let mut groups = TableWriter::default();
        let mut push = |key: &[u8], members: &[u32]| {
            let members = postcard::to_stdvec(members).map_err(|_| IndexError::TooLarge("value"))?;
            groups.push(key, &members)
        };
        let mut fresh = fresh.into_iter().peekable();
        for ordinal in 0..self.groups.len() {
            let (key, row) = (self.groups.key(ordinal)?, self.groups.row(ordinal)?);
            while let Some((id, members)) = fresh.next_if(|(id, _)| id.as_bytes() < key) {
                push(id.as_bytes(), &members)?;
            }
            let broken = || IndexError::Corrupt("vulnerabilities");
            let mut members: Vec<u32> = postcard::from_bytes(slice(self.members, row.offset, row.length)?).map_err(|_| broken())?;
            for member in &mut members {
                *member = *places.get(*member as usize).ok_or_else(broken)?;
            }
            members.retain(|member| *member != GONE);
            if let Some((_, more)) = fresh.next_if(|(id, _)| id.as_bytes() == key) {
                members.extend(more);
                members.sort_unstable();
            }
            if !members.is_empty() {
                push(key, &members)?;
            }
        }
        fresh.try_for_each(|(id, members)| push(id.as_bytes(), &members))?;
        Ok(groups)
    }

    /// The packages of what stays and of what is fresh, each with its entries.
    pub(super) fn names(&self, places: &[u32], numbers: &Numbers, fresh: BTreeMap<Vec<u8>, Vec<u8>>) -> Result<TableWriter, IndexError> {
        let now = Renumbering {
            // What has no place now is named by nothing that stays.
            ecosystems: self.ecosystems.iter().map(|(known, _)| numbers.ecosystems.get(known).copied().unwrap_or_default()).collect(),
            words: self.words.iter().map(|word| numbers.words.get(word).copied().unwrap_or_default()).collect(),
            places,
        };
        let mut names = TableWriter::default();
        names.values.reserve(self.entries.len());
        let mut fresh = fresh.into_iter().peekable();
        let mut entries = Vec::new();
        for ordinal in 0..self.names.len() {
            let (key, row) = (self.names.key(ordinal)?, self.names.row(ordinal)?);
            while let Some((name, entries)) = fresh.next_if(|(name, _)| name.as_slice() < key) {
                names.push(&name, &entries)?;
            }
            let more = fresh.next_if(|(name, _)| name == key).map(|(_, entries)| entries).unwrap_or_default();
            entries.clear();
            now.interleave(slice(self.entries, row.offset, row.length)?, &more, &mut entries)?;
            if !entries.is_empty() {
                names.push(key, &entries)?;
            }
        }
        fresh.try_for_each(|(name, entries)| names.push(&name, &entries))?;
        Ok(names)
    }
}

/// The numbers of now, by those of the older index.
struct Renumbering<'a> {
    ecosystems: Vec<u64>,
    words: Vec<u64>,
    places: &'a [u32],
}

impl Renumbering<'_> {
    /// The older entries of a package that stay and the fresh ones, in the order of their records.
    fn interleave(&self, older: &[u8], fresh: &[u8], out: &mut Vec<u8>) -> Result<(), IndexError> {
        let (mut older, mut fresh) = (Reader::new(older), Reader::new(fresh));
        let mut waiting = fresh.raw()?;
        while let Some(entry) = older.raw()? {
            let place = place(self.places, &entry)?;
            if place == GONE {
                continue;
            }
            while let Some(before) = waiting.take_if(|waiting| waiting.advisory < place) {
                out.extend_from_slice(before.whole);
                waiting = fresh.raw()?;
            }
            entry.renumber(place, &self.ecosystems, &self.words, out)?;
        }
        while let Some(entry) = waiting {
            out.extend_from_slice(entry.whole);
            waiting = fresh.raw()?;
        }
        Ok(())
    }
}

fn place(places: &[u32], entry: &Raw<'_>) -> Result<u32, IndexError> {
    places.get(entry.advisory as usize).copied().ok_or(IndexError::Corrupt("entries"))
}
