//! Advisories in, index out. Equal advisories give equal bytes.

use super::entry::{self, Draft, Numbers};
use super::format::{Section, Sections, Table, TableWriter, name_key, slice};
use super::{AdvisoryIndex, IndexError, Manifest};
use crate::frame;
use lestrade_model::{Advisory, Exploitation};
use std::collections::{BTreeMap, HashMap};

/// The canonical bytes of an advisory.
///
/// Never fails for values that were built from checked input; an advisory that cannot be encoded encodes as nothing and is then
/// refused by [`build_index`].
#[must_use]
pub fn encode_advisory(advisory: &Advisory) -> Vec<u8> {
    postcard::to_stdvec(advisory).unwrap_or_default()
}

/// Compiles advisories alone into an index: [`build_index_with`] nothing known of exploitation.
///
/// # Errors
/// When there are more than the format can hold.
pub fn build_index(advisories: impl IntoIterator<Item = Advisory>, manifest: Manifest) -> Result<Vec<u8>, IndexError> {
    build_index_with(advisories, &BTreeMap::new(), manifest)
}

/// Compiles advisories, and what is known of exploitation by vulnerability, into an index. Of two records with the same key the
/// later one counts.
///
/// # Errors
/// When there are more than the format can hold.
pub fn build_index_with(
    advisories: impl IntoIterator<Item = Advisory>,
    exploitation: &BTreeMap<String, Exploitation>,
    manifest: Manifest,
) -> Result<Vec<u8>, IndexError> {
    build_index_over(None::<&AdvisoryIndex<Vec<u8>>>, advisories, exploitation, manifest)
}

/// [`build_index_with`], where an older index may hold some of the records as they are: their bodies are taken from there and not
/// compressed again. The same bytes come out.
///
/// # Errors
/// When there are more than the format can hold, or the older index is corrupt.
pub fn build_index_over<B: AsRef<[u8]>>(
    older: Option<&AdvisoryIndex<B>>,
    advisories: impl IntoIterator<Item = Advisory>,
    exploitation: &BTreeMap<String, Exploitation>,
    mut manifest: Manifest,
) -> Result<Vec<u8>, IndexError> {
    let advisories: BTreeMap<_, _> = advisories.into_iter().map(|advisory| (advisory.key.clone(), advisory)).collect();
    u32::try_from(advisories.len()).map_err(|_| IndexError::TooLarge("advisories"))?;

    let mut bodies = TableWriter::default();
    let mut hashes = Vec::with_capacity(advisories.len() * 32);
    let mut numbers = Numbers::default();
    let mut groups: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let mut kept = older.map(Kept::of).transpose()?;
    for (ordinal, (key, advisory)) in (0_u32..).zip(&advisories) {
        let body = encode_advisory(advisory);
        if body.is_empty() {
            return Err(IndexError::TooLarge("advisory"));
        }
        let name = advisory_key(&key.feed, &key.id);
        match kept.as_mut().map(|kept| kept.find(&name, &body)).transpose()?.flatten() {
            Some((compressed, hash)) => {
                bodies.push(&name, compressed)?;
                hashes.extend_from_slice(hash);
            }
            None => {
                let compressed = frame::pack(&body).map_err(|_| IndexError::TooLarge("advisory"))?;
                bodies.push(&name, &compressed)?;
                hashes.extend_from_slice(advisory.content_hash(encode_advisory).as_bytes());
            }
        }
        for vulnerability in advisory.vulnerabilities() {
            groups.entry(vulnerability).or_default().push(ordinal);
        }
        for affected in advisory.affected.iter().filter(|_| !advisory.is_withdrawn()) {
            match numbers.ecosystems.get_mut(&affected.ecosystem) {
                Some(entries) => *entries += 1,
                None => drop(numbers.ecosystems.insert(affected.ecosystem.clone(), 1)),
            }
            for word in affected.vendor_severity.iter().chain(&affected.module) {
                if !numbers.words.contains_key(word) {
                    numbers.words.insert(word.clone(), 0);
                }
            }
        }
    }
    manifest.ecosystems = numbers.ecosystems.iter().map(|(ecosystem, entries)| (ecosystem.clone(), *entries)).collect();
    // From here on the numbers are places: entries are counted, words and vulnerabilities are in their order.
    (0..).zip(numbers.ecosystems.values_mut()).for_each(|(place, number)| *number = place);
    (0..).zip(numbers.words.values_mut()).for_each(|(place, number)| *number = place);
    let places: HashMap<&str, u32> = groups.keys().copied().zip(0..).collect();

    let mut packages: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for (ordinal, advisory) in (0_u32..).zip(advisories.values()).filter(|(_, advisory)| !advisory.is_withdrawn()) {
        let about: Vec<u32> = advisory.vulnerabilities().into_iter().filter_map(|id| places.get(id).copied()).collect();
        for affected in &advisory.affected {
            let draft = Draft { advisory: ordinal, vulnerabilities: about.clone(), affected };
            entry::encode(&draft, &numbers, packages.entry(name_key(&affected.ecosystem.family, &affected.name)).or_default())?;
        }
    }

    let mut names = TableWriter::default();
    packages.iter().try_for_each(|(key, entries)| names.push(key, entries))?;
    let groups = table(groups.iter().map(|(key, members)| (key.as_bytes(), members)))?;
    let exploitations = table(exploitation.iter().map(|(id, known)| (id.as_bytes(), known)))?;
    let words: Vec<&String> = numbers.words.keys().collect();
    let words = postcard::to_stdvec(&words).map_err(|_| IndexError::TooLarge("words"))?;
    let manifest = postcard::to_stdvec(&manifest).map_err(|_| IndexError::TooLarge("manifest"))?;

    let mut parts: [Vec<u8>; Section::COUNT] = Default::default();
    for (section, bytes) in [
        (Section::Manifest, manifest),
        (Section::Words, words),
        (Section::Names, names.rows),
        (Section::NameKeys, names.keys),
        (Section::Entries, names.values),
        (Section::Vulnerabilities, groups.rows),
        (Section::VulnerabilityKeys, groups.keys),
        (Section::Members, groups.values),
        (Section::Advisories, bodies.rows),
        (Section::AdvisoryKeys, bodies.keys),
        (Section::Hashes, hashes),
        (Section::Bodies, bodies.values),
        (Section::Exploitations, exploitations.rows),
        (Section::ExploitationKeys, exploitations.keys),
        (Section::ExploitationValues, exploitations.values),
    ] {
        parts[section as usize] = bytes;
    }
    Ok(Sections::write(parts))
}

/// A body as it lies in an index, compressed, and the hash of its content.
type KeptBody<'a> = (&'a [u8], &'a [u8]);

/// The bodies of an older index, asked for in the order of their keys.
struct Kept<'a> {
    table: Table<'a>,
    bodies: &'a [u8],
    hashes: &'a [u8],
    next: u32,
    decompressor: zstd::bulk::Decompressor<'static>,
    plain: Vec<u8>,
}

impl<'a> Kept<'a> {
    fn of<B: AsRef<[u8]>>(index: &'a AdvisoryIndex<B>) -> Result<Self, IndexError> {
        Ok(Self {
            table: index.table(Section::AdvisoryKeys, Section::Advisories)?,
            bodies: index.section(Section::Bodies)?,
            hashes: index.section(Section::Hashes)?,
            next: 0,
            decompressor: zstd::bulk::Decompressor::new().map_err(|_| IndexError::TooLarge("decompressor"))?,
            plain: Vec::new(),
        })
    }

    /// The compressed body and the hash of a record, if it is the same byte by byte.
    fn find(&mut self, name: &[u8], body: &[u8]) -> Result<Option<KeptBody<'a>>, IndexError> {
        while self.next < self.table.len() && self.table.key(self.next)? < name {
            self.next += 1;
        }
        if self.next == self.table.len() || self.table.key(self.next)? != name {
            return Ok(None);
        }
        let row = self.table.row(self.next)?;
        let compressed = slice(self.bodies, row.offset, row.length)?;
        self.plain.clear();
        self.plain.reserve(body.len());
        // One that is longer does not fit, and is another.
        let same = self.decompressor.decompress_to_buffer(compressed, &mut self.plain).is_ok() && self.plain == body;
        let hash = self.hashes.get(self.next as usize * 32..).and_then(|rest| rest.get(..32));
        Ok(hash.filter(|_| same).map(|hash| (compressed, hash)))
    }
}

/// Feed and id, so that the order of keys is the order of [`lestrade_model::AdvisoryKey`].
fn advisory_key(feed: &str, id: &str) -> Vec<u8> {
    [feed.as_bytes(), &[0], id.as_bytes()].concat()
}

fn table<'a, T: serde::Serialize + 'a>(rows: impl Iterator<Item = (&'a [u8], &'a T)>) -> Result<TableWriter, IndexError> {
    let mut writer = TableWriter::default();
    for (key, value) in rows {
        let value = postcard::to_stdvec(value).map_err(|_| IndexError::TooLarge("value"))?;
        writer.push(key, &value)?;
    }
    Ok(writer)
}
