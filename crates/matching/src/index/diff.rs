//! What changed between two generations, by content and never by date.

use super::format::Section;
use super::{AdvisoryIndex, IndexError};
use std::cmp::Ordering;
use std::collections::BTreeSet;

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
    /// Every vulnerability of whose exploitation something else is known than before; of those that somebody cares for.
    pub rescored: BTreeSet<String>,
    /// How many of them there are, cared for or not.
    pub rescored_in_all: u64,
}

impl<B: AsRef<[u8]>> AdvisoryIndex<B> {
    /// What changed from `older` to `self`: a merge of two sorted tables that decodes changed records only.
    ///
    /// # Errors
    /// When either index is corrupt.
    pub fn diff<C: AsRef<[u8]>>(&self, older: &AdvisoryIndex<C>) -> Result<IndexDiff, IndexError> {
        self.diff_for(older, |_| true)
    }

    /// The same, naming of the rescored only those that somebody cares for: a day of EPSS moves hundreds of thousands of scores of
    /// what is installed nowhere.
    ///
    /// # Errors
    /// When either index is corrupt.
    pub fn diff_for<C: AsRef<[u8]>>(&self, older: &AdvisoryIndex<C>, cares: impl Fn(&str) -> bool) -> Result<IndexDiff, IndexError> {
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
        self.rescored(older, cares, &mut diff)?;
        Ok(diff)
    }

    /// Compares what is known of exploitation, byte by byte: a new day of EPSS moves most rows, and few are decoded.
    fn rescored<C: AsRef<[u8]>>(
        &self,
        older: &AdvisoryIndex<C>,
        cares: impl Fn(&str) -> bool,
        diff: &mut IndexDiff,
    ) -> Result<(), IndexError> {
        let (new, old) = (
            self.table(Section::ExploitationKeys, Section::Exploitations)?,
            older.table(Section::ExploitationKeys, Section::Exploitations)?,
        );
        let mut note = |key: &[u8]| {
            diff.rescored_in_all += 1;
            let name = String::from_utf8_lossy(key);
            if cares(&name) {
                diff.rescored.insert(name.into_owned());
            }
        };
        let (mut i, mut j) = (0, 0);
        while i < new.len() || j < old.len() {
            let order = match (i < new.len(), j < old.len()) {
                (true, true) => new.key(i)?.cmp(old.key(j)?),
                (true, false) => Ordering::Less,
                _ => Ordering::Greater,
            };
            if order.is_lt() || (order.is_eq() && self.exploitation_bytes(&new.row(i)?)? != older.exploitation_bytes(&old.row(j)?)?) {
                note(new.key(i)?);
            } else if order.is_gt() {
                note(old.key(j)?);
            }
            i += u32::from(order.is_le());
            j += u32::from(order.is_ge());
        }
        Ok(())
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
    use std::collections::BTreeMap;

    fn index(all: Vec<Advisory>) -> AdvisoryIndex<Vec<u8>> {
        AdvisoryIndex::open(build_index(all, Manifest::default()).unwrap()).unwrap()
    }

    #[test]
    fn what_is_known_of_exploitation_is_compared() {
        let known = |epss: f32| Exploitation { epss: Some(epss), ..Exploitation::default() };
        let of = |rows: &[(&str, f32)]| {
            let rows: BTreeMap<String, Exploitation> = rows.iter().map(|(id, epss)| ((*id).to_owned(), known(*epss))).collect();
            AdvisoryIndex::open(build_index_with(vec![], &rows, Manifest::default()).unwrap()).unwrap()
        };
        let newer = of(&[("A", 0.1), ("B", 0.3), ("D", 0.4)]);
        let diff = newer.diff(&of(&[("A", 0.1), ("B", 0.2), ("C", 0.9)])).unwrap();
        assert_eq!(diff.rescored.iter().map(String::as_str).collect::<Vec<_>>(), ["B", "C", "D"]);
        let cared = newer.diff_for(&of(&[("A", 0.1), ("B", 0.2), ("C", 0.9)]), |name| name == "C").unwrap();
        assert_eq!((cared.rescored.iter().map(String::as_str).collect::<Vec<_>>(), cared.rescored_in_all), (vec!["C"], 3));
        assert_eq!(newer.exploitation("B").unwrap(), Some(known(0.3)));
        assert_eq!(newer.exploitation("C").unwrap(), None);
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
