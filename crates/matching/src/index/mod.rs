//! The advisory index: everything that is known of vulnerabilities, in one byte string that can be mapped and is not parsed.
//!
//! Layout, little-endian: a header of [`format::HEADER`] bytes (magic, version, the offset, length and checksum of each section,
//! a checksum of itself), then the sections. Tables are fixed-width and sorted, so that a look-up is a binary search; only what
//! is found is decoded. Matching reads `names` and `entries`; texts lie apart in `bodies`, each compressed alone.
//!
//! The header's checksum is verified when the index is opened, a section's by [`AdvisoryIndex::verify`]; every offset is checked
//! where it is used, so that a corrupt file is an [`IndexError`] and never a crash.

mod build;
mod changes;
mod diff;
mod entry;
mod format;
mod kept;

pub use build::{build_index, build_index_over, build_index_with, encode_advisory};
pub use changes::IndexChanges;
pub use diff::{IndexDiff, Rescored};
pub(crate) use entry::{BEFORE, YEARS, cve_of};
pub use entry::{Entry, VulnerabilityName};

use crate::{ReportMode, frame};
use format::{Section, Sections, Table};
use lestrade_model::{Advisory, AdvisoryKey, Ecosystem, Exploitation, Lifecycle, Timestamp};
use serde::{Deserialize, Serialize};

/// What is wrong with an index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The bytes are not an index.
    #[error("not an advisory index")]
    NotAnIndex,
    /// An index that another version of this program wrote.
    #[error("an advisory index of another version of this program")]
    OtherVersion,
    /// The bytes contradict themselves.
    #[error("the advisory index is corrupt ({0})")]
    Corrupt(&'static str),
    /// More than the format can hold.
    #[error("too many advisories for one index ({0})")]
    TooLarge(&'static str),
}

/// One feed's state in an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedState {
    /// The feed's name.
    pub feed: String,
    /// How many of its records are in the index.
    pub records: u64,
    /// When it was last brought in.
    pub imported_at: Timestamp,
}

/// What an index says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Rises by one with each generation.
    pub generation: u64,
    /// When it was compiled.
    pub built_at: Timestamp,
    /// Its feeds, by name.
    pub feeds: Vec<FeedState>,
    /// The ecosystems, with their releases, that standing records speak of, and how many entries each has. Filled when an index is
    /// built.
    pub ecosystems: Vec<(Ecosystem, u64)>,
    /// Records that could not be used, with the reason, at most 1000 of them.
    pub quarantined: Vec<(String, String)>,
    /// Until when operating systems are looked after.
    pub lifecycles: Vec<Lifecycle>,
}

impl Manifest {
    /// Whether this is nothing but the set that ships with the program.
    #[must_use]
    pub fn is_starter_only(&self) -> bool {
        !self.feeds.is_empty() && self.feeds.iter().all(|feed| feed.feed == "starter")
    }

    /// Whether anything is known of an ecosystem's packages. Where nothing is, no finding means nothing.
    #[must_use]
    pub fn speaks_of(&self, ecosystem: &Ecosystem) -> bool {
        self.ecosystems.iter().any(|(known, _)| known.covers(ecosystem))
    }

    /// When the newest feed was brought in.
    #[must_use]
    pub fn newest_import(&self) -> Option<Timestamp> {
        self.feeds.iter().map(|feed| feed.imported_at).max()
    }
}

/// A compiled set of advisories over any byte string.
pub struct AdvisoryIndex<B> {
    bytes: B,
    sections: Sections,
    manifest: Manifest,
    /// Distributors' words for how bad something is.
    words: Vec<String>,
    mode: ReportMode,
}

impl<B: AsRef<[u8]>> AdvisoryIndex<B> {
    /// Opens an index: checks its header and reads its manifest.
    ///
    /// # Errors
    /// When the bytes are not an index or their header is corrupt.
    pub fn open(bytes: B) -> Result<Self, IndexError> {
        let sections = Sections::read(bytes.as_ref())?;
        let manifest =
            postcard::from_bytes(sections.get(bytes.as_ref(), Section::Manifest)?).map_err(|_| IndexError::Corrupt("manifest"))?;
        let words = postcard::from_bytes(sections.get(bytes.as_ref(), Section::Words)?).map_err(|_| IndexError::Corrupt("words"))?;
        Ok(Self { bytes, sections, manifest, words, mode: ReportMode::Full })
    }

    /// The same, of which only a part is reported.
    #[must_use]
    pub fn reporting(self, mode: ReportMode) -> Self {
        Self { mode, ..self }
    }

    /// What of it is reported.
    pub const fn mode(&self) -> ReportMode {
        self.mode
    }

    /// Verifies the checksum of every section.
    ///
    /// # Errors
    /// When one does not hold.
    pub fn verify(&self) -> Result<(), IndexError> {
        self.sections.verify(self.bytes.as_ref())
    }

    /// All of its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// The same index under another number: what it says of itself is written anew, nothing else.
    ///
    /// # Errors
    /// When the index is corrupt.
    pub fn renumbered(&self, generation: u64) -> Result<Vec<u8>, IndexError> {
        let mut parts = self.sections.parts(self.bytes.as_ref())?;
        let manifest = Manifest { generation, ..self.manifest.clone() };
        parts[Section::Manifest as usize] = postcard::to_stdvec(&manifest).map_err(|_| IndexError::TooLarge("manifest"))?;
        Ok(Sections::write(parts))
    }

    /// What the index says of itself.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn section(&self, section: Section) -> Result<&[u8], IndexError> {
        self.sections.get(self.bytes.as_ref(), section)
    }

    fn table(&self, keys: Section, rows: Section) -> Result<Table<'_>, IndexError> {
        Table::new(self.section(rows)?, self.section(keys)?)
    }

    /// What the index lies in.
    pub const fn source(&self) -> &B {
        &self.bytes
    }

    /// Where in its bytes the part ends in which packages are looked up: their names, and what is said of them.
    #[must_use]
    pub const fn look_up_end(&self) -> usize {
        self.sections.end(Section::Entries)
    }

    /// Bytes of the part that matching reads: packages and what is said of them, vulnerabilities and their advisories.
    ///
    /// # Errors
    /// When the index is corrupt.
    pub fn matching_bytes(&self) -> Result<u64, IndexError> {
        use Section::{Entries, Members, NameKeys, Names, Vulnerabilities, VulnerabilityKeys};
        let parts = [Names, NameKeys, Entries, Vulnerabilities, VulnerabilityKeys, Members];
        parts.into_iter().map(|part| Ok(self.section(part)?.len() as u64)).sum()
    }

    /// How many advisories there are.
    ///
    /// # Errors
    /// When the index is corrupt.
    pub fn len(&self) -> Result<u32, IndexError> {
        Ok(self.table(Section::AdvisoryKeys, Section::Advisories)?.len())
    }

    /// Whether there are none.
    ///
    /// # Errors
    /// When the index is corrupt.
    pub fn is_empty(&self) -> Result<bool, IndexError> {
        Ok(self.len()? == 0)
    }

    /// What standing advisories say of one package, by its normalised name, in the release of `ecosystem` or in all.
    ///
    /// # Errors
    /// When the index is corrupt.
    pub fn entries<'a>(&'a self, ecosystem: &Ecosystem, name: &'a str) -> Result<Vec<Entry<'a>>, IndexError> {
        let table = self.table(Section::NameKeys, Section::Names)?;
        let mut found = Vec::new();
        if let Some(row) = table.find(&format::name_key(&ecosystem.family, name))? {
            let mut reader = entry::Reader::new(format::slice(self.section(Section::Entries)?, row.offset, row.length)?);
            let mut wanted = entry::Wanted::by(ecosystem);
            while let Some(entry) = reader.next(name, &self.manifest.ecosystems, &self.words, &mut wanted)? {
                found.push(entry);
            }
        }
        Ok(found)
    }

    /// Whether any standing advisory names a package, by its normalised name.
    ///
    /// # Errors
    /// When the index is corrupt.
    pub fn names_package(&self, family: &lestrade_model::Family, name: &str) -> Result<bool, IndexError> {
        Ok(self.table(Section::NameKeys, Section::Names)?.find(&format::name_key(family, name))?.is_some())
    }

    /// Tells of every entry which record it is of, and of which ecosystem; in no order that matters.
    ///
    /// # Errors
    /// When the index is corrupt.
    pub fn each_entry(&self, tell: &mut dyn FnMut(u32, &Ecosystem)) -> Result<(), IndexError> {
        let mut entries = entry::Reader::new(self.section(Section::Entries)?);
        while let Some(entry) = entries.raw()? {
            let (ecosystem, _) = self.manifest.ecosystems.get(entry.ecosystem).ok_or(IndexError::Corrupt("entries"))?;
            tell(entry.advisory, ecosystem);
        }
        Ok(())
    }

    /// The ordinal of a record; none if it is not here.
    ///
    /// # Errors
    /// When the index is corrupt.
    pub fn ordinal(&self, key: &AdvisoryKey) -> Result<Option<u32>, IndexError> {
        self.table(Section::AdvisoryKeys, Section::Advisories)?.ordinal(&build::advisory_key(&key.feed, &key.id))
    }

    /// Feed and id of every record, in the order of their keys.
    ///
    /// # Errors
    /// When the index is corrupt.
    pub fn keys(&self) -> Result<impl Iterator<Item = Result<(&str, &str), IndexError>> + '_, IndexError> {
        let table = self.table(Section::AdvisoryKeys, Section::Advisories)?;
        Ok((0..table.len()).map(move |ordinal| parts_of(table.key(ordinal)?)))
    }

    /// Ordinal and id of every record of a feed, in the order of their ids.
    ///
    /// # Errors
    /// When the index is corrupt.
    pub fn keys_of(&self, feed: &str) -> Result<impl Iterator<Item = Result<(u32, &str), IndexError>> + '_, IndexError> {
        let table = self.table(Section::AdvisoryKeys, Section::Advisories)?;
        let mut key = build::advisory_key(feed, "");
        let first = table.place(&key, 0)?;
        // What follows the zero byte behind the feed's name.
        key.pop();
        key.push(1);
        let end = table.place(&key, first)?;
        Ok((first..end).map(move |ordinal| Ok((ordinal, parts_of(table.key(ordinal)?)?.1))))
    }

    /// The ordinals of the advisories about one vulnerability, withdrawn ones included.
    ///
    /// # Errors
    /// When the index is corrupt.
    pub fn advisories_of(&self, vulnerability: &str) -> Result<Vec<u32>, IndexError> {
        let table = self.table(Section::VulnerabilityKeys, Section::Vulnerabilities)?;
        match table.find(vulnerability.as_bytes())? {
            None => Ok(Vec::new()),
            Some(row) => {
                let bytes = format::slice(self.section(Section::Members)?, row.offset, row.length)?;
                postcard::from_bytes(bytes).map_err(|_| IndexError::Corrupt("vulnerabilities"))
            }
        }
    }

    /// One advisory, whole.
    ///
    /// # Errors
    /// When there is none of that ordinal or the index is corrupt.
    pub fn advisory(&self, ordinal: u32) -> Result<Advisory, IndexError> {
        let row = self.table(Section::AdvisoryKeys, Section::Advisories)?.row(ordinal)?;
        let compressed = format::slice(self.section(Section::Bodies)?, row.offset, row.length)?;
        let body = frame::unpack(compressed, format::MAX_BODY).ok_or(IndexError::Corrupt("body"))?;
        postcard::from_bytes(&body).map_err(|_| IndexError::Corrupt("body"))
    }

    /// What is known of a vulnerability's exploitation.
    ///
    /// # Errors
    /// When the index is corrupt.
    pub fn exploitation(&self, vulnerability: &str) -> Result<Option<Exploitation>, IndexError> {
        let table = self.table(Section::ExploitationKeys, Section::Exploitations)?;
        let row = table.find(vulnerability.as_bytes())?;
        row.map(|row| postcard::from_bytes(self.exploitation_bytes(&row)?).map_err(|_| IndexError::Corrupt("exploitation"))).transpose()
    }

    fn exploitation_bytes(&self, row: &format::Row) -> Result<&[u8], IndexError> {
        format::slice(self.section(Section::ExploitationValues)?, row.offset, row.length)
    }

    /// Everything that is known of exploitation, by vulnerability.
    ///
    /// # Errors
    /// When the index is corrupt.
    pub fn exploitations(&self) -> Result<impl Iterator<Item = Result<(String, Exploitation), IndexError>> + '_, IndexError> {
        let table = self.table(Section::ExploitationKeys, Section::Exploitations)?;
        Ok((0..table.len()).map(move |ordinal| {
            let id = std::str::from_utf8(table.key(ordinal)?).map_err(|_| IndexError::Corrupt("exploitation"))?.to_owned();
            let known =
                postcard::from_bytes(self.exploitation_bytes(&table.row(ordinal)?)?).map_err(|_| IndexError::Corrupt("exploitation"))?;
            Ok((id, known))
        }))
    }

    /// All advisories, in the order of their keys.
    ///
    /// # Errors
    /// When the index is corrupt.
    pub fn advisories(&self) -> Result<impl Iterator<Item = Result<Advisory, IndexError>> + '_, IndexError> {
        Ok((0..self.len()?).map(|ordinal| self.advisory(ordinal)))
    }

    /// Every package name of every family, for consistency checks.
    ///
    /// # Errors
    /// When the index is corrupt.
    pub fn names(&self) -> Result<u32, IndexError> {
        Ok(self.table(Section::NameKeys, Section::Names)?.len())
    }
}

/// Feed and id of a record's key.
fn parts_of(key: &[u8]) -> Result<(&str, &str), IndexError> {
    let key = std::str::from_utf8(key).map_err(|_| IndexError::Corrupt("keys"))?;
    key.split_once('\0').ok_or(IndexError::Corrupt("keys"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_model::{Affected, Component, Event, Family, FixState, Range, RangeKind};

    pub(crate) fn advisory(id: &str, name: &str, fixed: &str) -> Advisory {
        Advisory {
            summary: format!("about {name}"),
            affected: vec![Affected {
                ecosystem: Ecosystem::of(Family::Npm),
                name: name.into(),
                module: None,
                ranges: vec![Range { kind: RangeKind::Semver, events: vec![Event::Introduced("0".into()), Event::Fixed(fixed.into())] }],
                versions: vec![],
                unfixed: FixState::Open,
                vendor_severity: None,
            }],
            ..Advisory::new("osv", id)
        }
    }

    #[test]
    fn what_is_built_is_found() {
        let all =
            vec![advisory("GHSA-2", "left-pad", "2.0.0"), advisory("GHSA-1", "left-pad", "1.0.0"), advisory("GHSA-3", "is-odd", "1.0.0")];
        let index = AdvisoryIndex::open(build_index(all, Manifest::default()).unwrap()).unwrap();
        index.verify().unwrap();
        assert_eq!(index.entries(&Ecosystem::of(Family::Npm), "left-pad").unwrap().len(), 2);
        assert_eq!(index.entries(&Ecosystem::of(Family::PyPi), "left-pad").unwrap(), []);
        let component = Component::new(Ecosystem::of(Family::Npm), "left-pad", "1.5.0");
        let found = crate::judge_component(&index, &component).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["GHSA-2"]);
        let ordinal = index.advisories_of("GHSA-3").unwrap()[0];
        assert_eq!(index.advisory(ordinal).unwrap().summary, "about is-odd");
    }

    #[test]
    fn a_withdrawn_advisory_is_kept_and_not_matched() {
        let mut withdrawn = advisory("GHSA-1", "left-pad", "2.0.0");
        withdrawn.withdrawn = Some(Timestamp::from_millis(1));
        let index = AdvisoryIndex::open(build_index(vec![withdrawn], Manifest::default()).unwrap()).unwrap();
        assert_eq!(index.entries(&Ecosystem::of(Family::Npm), "left-pad").unwrap(), []);
        assert_eq!(index.advisories_of("GHSA-1").unwrap().len(), 1);
    }

    #[test]
    fn a_damaged_index_is_an_error_and_never_a_crash() {
        let all: Vec<_> = (0..6).map(|i| advisory(&format!("GHSA-{i:02}"), &format!("p{}", i % 4), "1.0.0")).collect();
        let good = build_index(all, Manifest::default()).unwrap();
        for cut in 0..good.len() {
            let index = AdvisoryIndex::open(&good[..cut]);
            assert!(index.is_err() || index.unwrap().verify().is_err(), "cut at {cut}");
        }
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 0x55;
            let Ok(index) = AdvisoryIndex::open(bad) else { continue };
            assert!(index.verify().is_err(), "flip at {position} is noticed");
            let _ = index.entries(&Ecosystem::of(Family::Npm), "p3");
            let _ = (0..index.len().unwrap_or(0).min(100)).filter(|i| index.advisory(*i).is_ok()).count();
        }
    }
}
