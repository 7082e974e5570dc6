//! What changed between two generations, by content and never by date.

use super::format::{Row, Section, Table, slice};
use super::{AdvisoryIndex, IndexError};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// The difference of two indexes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexDiff {
    /// Records only in the newer one.
    pub added: u64,
    /// Records whose content differs.
    pub changed: u64,
    /// Records only in the older one.
    pub removed: u64,
    /// Every vulnerability that a record of either kind is about, before or after.
    pub vulnerabilities: BTreeSet<String>,
}

/// The vulnerabilities of whose exploitation one index knows something else than another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rescored<T> {
    /// How many there are.
    pub all: u64,
    /// Those that somebody cares for, as whom they are known, in the order of their ids.
    pub known: Vec<T>,
}

/// Rows of which it is worth while to compare a part in a thread of its own.
const ROWS_OF_A_PART: u32 = 16_384;

/// Rows whose keys are compared at once: from one day to the next nearly all ids are the same.
const ROWS_AT_ONCE: u32 = 64;

/// What is known of exploitation.
struct Exploited<'a> {
    table: Table<'a>,
    values: &'a [u8],
}

impl Exploited<'_> {
    fn value(&self, row: Row) -> Result<&[u8], IndexError> {
        slice(self.values, row.offset, row.length)
    }

    /// The rows that differ between two places of this and of an older one.
    fn differ<T>(
        &self,
        older: &Self,
        (mut i, mut j): (u32, u32),
        (end, older_end): (u32, u32),
        known_as: impl Fn(&str) -> Option<T>,
    ) -> Result<Rescored<T>, IndexError> {
        let mut rescored = Rescored { all: 0, known: Vec::new() };
        // What is no text is no id that anybody knows.
        let mut note = |key: Option<&str>| {
            rescored.all += 1;
            rescored.known.extend(key.and_then(&known_as));
        };
        let text = |key| std::str::from_utf8(key).ok();
        let mut one_by_one = i;
        while i < end || j < older_end {
            if i >= one_by_one && end - i >= ROWS_AT_ONCE && older_end - j >= ROWS_AT_ONCE {
                if let Some(alike) = self.table.alike(i, &older.table, j, ROWS_AT_ONCE) {
                    for (new, old, key) in alike.rows() {
                        if self.value(new)? != older.value(old)? {
                            note(key);
                        }
                    }
                    (i, j) = (i + ROWS_AT_ONCE, j + ROWS_AT_ONCE);
                    continue;
                }
                one_by_one = i + ROWS_AT_ONCE;
            }
            let (new, old) =
                (if i < end { Some(self.table.key(i)?) } else { None }, if j < older_end { Some(older.table.key(j)?) } else { None });
            match (new, old) {
                (Some(new), Some(old)) if new == old => {
                    if self.value(self.table.row(i)?)? != older.value(older.table.row(j)?)? {
                        note(text(new));
                    }
                    (i, j) = (i + 1, j + 1);
                }
                (Some(new), old) if old.is_none_or(|old| new < old) => {
                    note(text(new));
                    i += 1;
                }
                (_, Some(old)) => {
                    note(text(old));
                    j += 1;
                }
                (_, None) => break,
            }
        }
        Ok(rescored)
    }
}

impl<B: AsRef<[u8]>> AdvisoryIndex<B> {
    /// What changed from `older` to `self`: a merge of two sorted tables that decodes changed records only.
    ///
    /// # Errors
    /// When either index is corrupt.
    pub fn diff<C: AsRef<[u8]>>(&self, older: &AdvisoryIndex<C>) -> Result<IndexDiff, IndexError> {
        let mut diff = IndexDiff::default();
        let (new, old) =
            (self.table(Section::AdvisoryKeys, Section::Advisories)?, older.table(Section::AdvisoryKeys, Section::Advisories)?);
        let (mut i, mut j) = (0, 0);
        while i < new.len() || j < old.len() {
            let order = match (i < new.len(), j < old.len()) {
                (true, true) => new.key(i)?.cmp(old.key(j)?),
                (true, false) => Ordering::Less,
                _ => Ordering::Greater,
            };
            match order {
                Ordering::Less => {
                    diff.added += 1;
                    self.note(i, &mut diff)?;
                    i += 1;
                }
                Ordering::Greater => {
                    diff.removed += 1;
                    older.note(j, &mut diff)?;
                    j += 1;
                }
                Ordering::Equal => {
                    if self.content_hash(i)? != older.content_hash(j)? {
                        diff.changed += 1;
                        self.note(i, &mut diff)?;
                        older.note(j, &mut diff)?;
                    }
                    i += 1;
                    j += 1;
                }
            }
        }
        Ok(diff)
    }

    /// The vulnerabilities of a difference to an older index that no record is about any more because their records are about others
    /// now, and about which: where a GHSA was given a CVE, or two records turned out to be about one thing. Of several the one that
    /// most of the records are about, and of those the first.
    ///
    /// # Errors
    /// When either index is corrupt.
    pub fn renamed<C: AsRef<[u8]>>(&self, older: &AdvisoryIndex<C>, diff: &IndexDiff) -> Result<BTreeMap<String, String>, IndexError> {
        let mut renamed = BTreeMap::new();
        for name in &diff.vulnerabilities {
            if !self.advisories_of(name)?.is_empty() {
                continue;
            }
            let mut others: BTreeMap<String, usize> = BTreeMap::new();
            for ordinal in older.advisories_of(name)? {
                if let Some(standing) = self.ordinal(&older.advisory(ordinal)?.key)? {
                    self.advisory(standing)?
                        .vulnerabilities()
                        .into_iter()
                        .for_each(|other| *others.entry(other.to_owned()).or_default() += 1);
                }
            }
            // The first of those that come up most often.
            if let Some((other, _)) = others.into_iter().rev().max_by_key(|(_, records)| *records) {
                renamed.insert(name.clone(), other);
            }
        }
        Ok(renamed)
    }

    /// Of which vulnerabilities something else is known about exploitation than in `older`. `known_as` says as whom somebody knows a
    /// vulnerability, and of those that nobody knows nothing is told but how many: a day of EPSS moves hundreds of thousands of scores
    /// of what is installed nowhere.
    ///
    /// Values are compared byte by byte and keys many at once, in as many parts as there are cores: a new day of EPSS moves most rows,
    /// and none is decoded.
    ///
    /// # Errors
    /// When either index is corrupt.
    pub fn rescored<C: AsRef<[u8]>, T: Send>(
        &self,
        older: &AdvisoryIndex<C>,
        known_as: impl Fn(&str) -> Option<T> + Sync,
    ) -> Result<Rescored<T>, IndexError> {
        let (new, old) = (self.exploited()?, older.exploited()?);
        let rows = new.table.len();
        let parts = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32).clamp(1, (rows / ROWS_OF_A_PART).max(1));
        // A part begins at a row of the newer one, and in the older one where its key belongs.
        let begins = |part: u32| {
            let row = (u64::from(rows) * u64::from(part) / u64::from(parts)) as u32;
            Ok(match part {
                0 => (0, 0),
                part if part == parts => (rows, old.table.len()),
                _ => (row, old.table.place(new.table.key(row)?, 0)?),
            })
        };
        let bounds = (0..=parts).map(begins).collect::<Result<Vec<(u32, u32)>, IndexError>>()?;
        let (new, old, known_as) = (&new, &old, &known_as);
        let compared: Vec<_> = std::thread::scope(|scope| {
            let begun: Vec<_> = bounds
                .windows(2)
                .map(|part| (part[0], part[1]))
                .map(|(from, to)| scope.spawn(move || new.differ(old, from, to, known_as)))
                .collect();
            begun.into_iter().map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        let mut rescored = Rescored { all: 0, known: Vec::new() };
        for part in compared {
            let part = part?;
            rescored.all += part.all;
            rescored.known.extend(part.known);
        }
        Ok(rescored)
    }

    fn exploited(&self) -> Result<Exploited<'_>, IndexError> {
        let table = self.table(Section::ExploitationKeys, Section::Exploitations)?;
        Ok(Exploited { table, values: self.section(Section::ExploitationValues)? })
    }

    fn content_hash(&self, ordinal: u32) -> Result<&[u8], IndexError> {
        let start = ordinal as usize * 32;
        self.section(Section::Hashes)?.get(start..start + 32).ok_or(IndexError::Corrupt("hashes"))
    }

    fn note(&self, ordinal: u32, diff: &mut IndexDiff) -> Result<(), IndexError> {
        let advisory = self.advisory(ordinal)?;
        diff.vulnerabilities.extend(advisory.vulnerabilities().into_iter().map(str::to_owned));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::advisory;
    use super::super::{AdvisoryIndex, Manifest, build_index, build_index_with};
    use lestrade_model::{Advisory, Exploitation, Timestamp};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn index(all: Vec<Advisory>) -> AdvisoryIndex<Vec<u8>> {
        AdvisoryIndex::open(build_index(all, Manifest::default()).unwrap()).unwrap()
    }

    /// Large enough for parts: what comes, goes and moves is found on both sides of where they meet.
    #[test]
    fn parts_find_what_one_finds() {
        let rows = super::ROWS_OF_A_PART * 4;
        let day = |shift: u32| {
            let rows = (0..rows).filter(|n| n % 7 != shift).map(|n| {
                let epss = Some(if n % 3 == 0 { shift as f32 } else { 0.5 });
                (format!("CVE-{n:07}"), Exploitation { epss, ..Exploitation::default() })
            });
            let rows: BTreeMap<String, Exploitation> = rows.collect();
            AdvisoryIndex::open(build_index_with(vec![], &rows, Manifest::default()).unwrap()).unwrap()
        };
        let (old, new) = (day(0), day(1));
        let all = new.rescored(&old, |name| Some(name.to_owned())).unwrap();
        let expected: Vec<String> = (0..rows).filter(|n| n % 7 < 2 || n % 3 == 0).map(|n| format!("CVE-{n:07}")).collect();
        assert_eq!((all.all, &all.known), (expected.len() as u64, &expected));
        let some = new.rescored(&old, |name| name.ends_with('7').then_some(())).unwrap();
        assert_eq!((some.all, some.known.len()), (all.all, expected.iter().filter(|n| n.ends_with('7')).count()));
    }

    proptest! {
        /// Ids of CVE and others, of which some come, some go and some move, in runs long enough to be compared at once: what is found
        /// is what comparing each finds.
        #[test]
        fn many_rows_at_once_are_what_each_is(
            rows in 0..700_u32,
            gone in prop::collection::btree_set(0..700_u32, 0..6),
            come in prop::collection::btree_set(0..700_u32, 0..6),
            moved in prop_oneof![Just(0), Just(1), 2..40_u32],
            longer in prop::collection::btree_set(0..700_u32, 0..3),
        ) {
            let id = |n: u32| match n % 9 {
                7 => format!("GHSA-{n:04}"),
                8 => format!("CVE-2021-{n}"),
                _ => format!("CVE-{}-{:04}", 1999 + n % 20, 9_900 + n),
            };
            let day = |without: &BTreeSet<u32>, shift: f32| {
                let value = |n: u32| {
                    let moves = moved > 0 && n.is_multiple_of(moved);
                    // One of those that differ may be longer too.
                    let percentile = (shift > 0.0 && longer.contains(&n)).then_some(0.5);
                    Exploitation { epss: Some(if moves { shift } else { 0.5 }), percentile, ..Exploitation::default() }
                };
                (0..rows).filter(|n| !without.contains(n)).map(|n| (id(n), value(n))).collect::<BTreeMap<_, _>>()
            };
            let (older, newer) = (day(&come, 0.0), day(&gone, 1.0));
            let of = |rows| AdvisoryIndex::open(build_index_with(vec![], rows, Manifest::default()).unwrap()).unwrap();
            let all: BTreeSet<&String> = older.keys().chain(newer.keys()).collect();
            let differs: Vec<String> = all.into_iter().filter(|id| older.get(*id) != newer.get(*id)).cloned().collect();
            let found = of(&newer).rescored(&of(&older), |name| Some(name.to_owned())).unwrap();
            prop_assert_eq!(found, super::Rescored { all: differs.len() as u64, known: differs });
        }
    }

    #[test]
    fn what_is_known_of_exploitation_is_compared() {
        let known = |epss: f32| Exploitation { epss: Some(epss), ..Exploitation::default() };
        let of = |rows: &[(&str, f32)]| {
            let rows: BTreeMap<String, Exploitation> = rows.iter().map(|(id, epss)| ((*id).to_owned(), known(*epss))).collect();
            AdvisoryIndex::open(build_index_with(vec![], &rows, Manifest::default()).unwrap()).unwrap()
        };
        let newer = of(&[("A", 0.1), ("B", 0.3), ("D", 0.4)]);
        let older = of(&[("A", 0.1), ("B", 0.2), ("C", 0.9)]);
        assert_eq!(newer.rescored(&older, |name| Some(name.to_owned())).unwrap().known, ["B", "C", "D"]);
        let one = newer.rescored(&older, |name| (name == "C").then_some(7)).unwrap();
        assert_eq!(one, super::Rescored { all: 3, known: vec![7] });
        assert_eq!(newer.exploitation("B").unwrap(), Some(known(0.3)));
        assert_eq!(newer.exploitation("C").unwrap(), None);
    }

    #[test]
    fn what_records_are_about_by_another_name_is_found() {
        let about = |id: &str, aliases: &[&str]| {
            let aliases = aliases.iter().map(|id| (*id).to_owned()).collect();
            Advisory { aliases, ..advisory(id, "x", "1") }
        };
        let older =
            index(vec![about("GHSA-a", &[]), about("GHSA-b", &[]), about("GHSA-c", &[]), about("R-1", &["GHSA-d"]), about("R-2", &[])]);
        let newer =
            index(vec![about("GHSA-a", &["CVE-1"]), about("GHSA-b", &["CVE-3", "CVE-2"]), about("R-1", &["GHSA-e"]), about("R-2", &[])]);
        let renamed = newer.renamed(&older, &newer.diff(&older).unwrap()).unwrap();
        let expected = [("GHSA-a", "CVE-1"), ("GHSA-b", "CVE-2"), ("GHSA-d", "GHSA-e")];
        assert_eq!(renamed, expected.map(|(was, is)| (was.to_owned(), is.to_owned())).into());
        // And back again: a CVE was taken away.
        let renamed = older.renamed(&newer, &older.diff(&newer).unwrap()).unwrap();
        let expected = [("CVE-1", "GHSA-a"), ("CVE-2", "GHSA-b"), ("CVE-3", "GHSA-b"), ("GHSA-e", "GHSA-d")];
        assert_eq!(renamed, expected.map(|(was, is)| (was.to_owned(), is.to_owned())).into());
    }

    #[test]
    fn content_counts_and_dates_do_not() {
        let older = index(vec![advisory("A", "x", "1"), advisory("B", "x", "1"), advisory("C", "x", "1")]);
        let mut redated = advisory("A", "x", "1");
        redated.modified = Some(Timestamp::from_millis(7));
        let newer = index(vec![redated, advisory("B", "x", "2"), advisory("D", "y", "1")]);
        let diff = newer.diff(&older).unwrap();
        assert_eq!((diff.added, diff.changed, diff.removed), (1, 1, 1));
        assert_eq!(diff.vulnerabilities.iter().map(String::as_str).collect::<Vec<_>>(), ["B", "C", "D"]);
    }
}
