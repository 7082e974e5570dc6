//! The way from one generation to another: what has to be put in and taken out so that the same bytes come out.

use super::format::{Section, Table, slice};
use super::{AdvisoryIndex, IndexError, Manifest, build_index_over};
use lestrade_model::{Advisory, AdvisoryKey, Exploitation};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What leads from an older index to a newer one. Unlike [`IndexDiff`](super::IndexDiff) it counts every byte, also those that
/// nobody is told about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IndexChanges {
    /// What the newer one says of itself.
    pub manifest: Manifest,
    /// Records that are new or differ.
    pub advisories: Vec<Advisory>,
    /// Records that are gone.
    pub gone: Vec<AdvisoryKey>,
    /// What is known of exploitation now, where it differs; nothing where nothing is known any more.
    pub exploitation: Vec<(String, Option<Exploitation>)>,
}

impl<B: AsRef<[u8]>> AdvisoryIndex<B> {
    /// What leads from `older` to `self`.
    ///
    /// # Errors
    /// When either index is corrupt.
    pub fn changes_since<C: AsRef<[u8]>>(&self, older: &AdvisoryIndex<C>) -> Result<IndexChanges, IndexError> {
        let mut changes = IndexChanges { manifest: self.manifest().clone(), ..IndexChanges::default() };
        let sections = (Section::AdvisoryKeys, Section::Advisories, Section::Bodies);
        merge(self, older, sections, &mut |new, old| {
            if let Some(new) = new {
                changes.advisories.push(self.advisory(new)?);
            } else if let Some(old) = old {
                changes.gone.push(older.advisory(old)?.key);
            }
            Ok(())
        })?;
        let sections = (Section::ExploitationKeys, Section::Exploitations, Section::ExploitationValues);
        merge(self, older, sections, &mut |new, old| {
            let key = match (new, old) {
                (Some(new), _) => self.table(Section::ExploitationKeys, Section::Exploitations)?.key(new)?,
                (None, Some(old)) => older.table(Section::ExploitationKeys, Section::Exploitations)?.key(old)?,
                (None, None) => return Ok(()),
            };
            let id = std::str::from_utf8(key).map_err(|_| IndexError::Corrupt("exploitation"))?;
            changes.exploitation.push((id.to_owned(), if new.is_some() { self.exploitation(id)? } else { None }));
            Ok(())
        })?;
        Ok(changes)
    }
}

impl IndexChanges {
    /// The index that the changes lead to from an older one.
    ///
    /// # Errors
    /// When the older index is corrupt, or there is more than the format can hold.
    pub fn lead_from<B: AsRef<[u8]>>(self, older: &AdvisoryIndex<B>) -> Result<Vec<u8>, IndexError> {
        let mut changes: BTreeMap<AdvisoryKey, Option<Advisory>> = self.gone.into_iter().map(|key| (key, None)).collect();
        changes.extend(self.advisories.into_iter().map(|advisory| (advisory.key.clone(), Some(advisory))));
        if self.exploitation.is_empty() {
            return build_index_over(Some(older), &changes, None, self.manifest);
        }
        let mut exploitation = older.exploitations()?.collect::<Result<BTreeMap<_, _>, _>>()?;
        for (id, known) in self.exploitation {
            match known {
                Some(known) => drop(exploitation.insert(id, known)),
                None => drop(exploitation.remove(&id)),
            }
        }
        build_index_over(Some(older), &changes, Some(&exploitation), self.manifest)
    }
}

/// Walks two sorted tables and tells each row that differs: the newer one's ordinal, the older one's, or both.
fn merge<B: AsRef<[u8]>, C: AsRef<[u8]>>(
    new: &AdvisoryIndex<B>,
    old: &AdvisoryIndex<C>,
    (keys, rows, values): (Section, Section, Section),
    each: &mut dyn FnMut(Option<u32>, Option<u32>) -> Result<(), IndexError>,
) -> Result<(), IndexError> {
    let (new_rows, old_rows): (Table<'_>, Table<'_>) = (new.table(keys, rows)?, old.table(keys, rows)?);
    let (new_values, old_values) = (new.section(values)?, old.section(values)?);
    let (mut i, mut j) = (0, 0);
    while i < new_rows.len() || j < old_rows.len() {
        let order = match (i < new_rows.len(), j < old_rows.len()) {
            (true, true) => new_rows.key(i)?.cmp(old_rows.key(j)?),
            (true, false) => Ordering::Less,
            _ => Ordering::Greater,
        };
        match order {
            Ordering::Less => each(Some(i), None)?,
            Ordering::Greater => each(None, Some(j))?,
            Ordering::Equal => {
                let (a, b) = (new_rows.row(i)?, old_rows.row(j)?);
                if slice(new_values, a.offset, a.length)? != slice(old_values, b.offset, b.length)? {
                    each(Some(i), Some(j))?;
                }
            }
        }
        i += u32::from(order.is_le());
        j += u32::from(order.is_ge());
    }
    Ok(())
}
