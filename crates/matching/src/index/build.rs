//! Advisories in, index out. Equal advisories give equal bytes, whether an older index holds most of them or none.

use super::entry::{self, Draft, Numbers, VulnerabilityName};
use super::format::{Section, Sections, TableWriter, name_key};
use super::kept::Kept;
use super::{AdvisoryIndex, IndexError, Manifest};
use crate::frame;
use lestrade_model::{Advisory, AdvisoryKey, Exploitation};
use std::collections::BTreeMap;
use std::ops::Range;

/// The place of a record that is not in the new index.
pub(super) const GONE: u32 = u32::MAX;

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
    let records = advisories.into_iter().map(|advisory| (advisory.key.clone(), Some(advisory))).collect();
    compile(&Kept::default(), &records, Some(exploitation), manifest)
}

/// Compiles what an older index holds and what changed since: records that are new or another, and none for those that are gone.
/// Without `exploitation`, what is known of it is as it was. What did not change is copied and neither decoded nor compressed again;
/// the bytes are those of [`build_index_with`] for all records together.
///
/// # Errors
/// When there are more than the format can hold, or the older index is corrupt.
pub fn build_index_over<B: AsRef<[u8]>>(
    older: Option<&AdvisoryIndex<B>>,
    changes: &BTreeMap<AdvisoryKey, Option<Advisory>>,
    exploitation: Option<&BTreeMap<String, Exploitation>>,
    manifest: Manifest,
) -> Result<Vec<u8>, IndexError> {
    let kept = older.map(Kept::of).transpose()?.unwrap_or_default();
    compile(&kept, changes, exploitation, manifest)
}

fn compile(
    kept: &Kept<'_>,
    changes: &BTreeMap<AdvisoryKey, Option<Advisory>>,
    exploitation: Option<&BTreeMap<String, Exploitation>>,
    mut manifest: Manifest,
) -> Result<Vec<u8>, IndexError> {
    let records = Records::of(kept, changes)?;
    let standing = || records.fresh.iter().filter(|(_, advisory)| !advisory.is_withdrawn());
    let mut numbers = Numbers::default();
    kept.count(&records.places, &mut numbers)?;
    for affected in standing().flat_map(|(_, advisory)| &advisory.affected) {
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
    manifest.ecosystems = numbers.ecosystems.iter().map(|(ecosystem, entries)| (ecosystem.clone(), *entries)).collect();
    // From here on the numbers are places: entries are counted, words are in their order.
    (0..).zip(numbers.ecosystems.values_mut()).for_each(|(place, number)| *number = place);
    (0..).zip(numbers.words.values_mut()).for_each(|(place, number)| *number = place);

    let mut groups: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for (ordinal, advisory) in &records.fresh {
        advisory.vulnerabilities().into_iter().for_each(|id| groups.entry(id).or_default().push(*ordinal));
    }
    let groups = kept.groups(&records.places, groups)?;
    let mut packages: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for (ordinal, advisory) in standing() {
        let about: Vec<VulnerabilityName> = advisory.vulnerabilities().into_iter().map(VulnerabilityName::of).collect();
        for affected in &advisory.affected {
            let draft = Draft { advisory: *ordinal, vulnerabilities: &about, affected };
            entry::encode(&draft, &numbers, packages.entry(name_key(&affected.ecosystem.family, &affected.name)).or_default())?;
        }
    }
    let names = kept.names(&records.places, &numbers, packages)?;

    let [exploitations, exploitation_keys, exploitation_values] = match exploitation {
        None => kept.exploitation.map(<[u8]>::to_vec),
        Some(exploitation) => {
            let mut writer = TableWriter::default();
            for (id, known) in exploitation {
                writer.push(id.as_bytes(), &postcard::to_stdvec(known).map_err(|_| IndexError::TooLarge("value"))?)?;
            }
            [writer.rows, writer.keys, writer.values]
        }
    };
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
        (Section::Advisories, records.bodies.rows),
        (Section::AdvisoryKeys, records.bodies.keys),
        (Section::Hashes, records.hashes),
        (Section::Bodies, records.bodies.values),
        (Section::Exploitations, exploitations),
        (Section::ExploitationKeys, exploitation_keys),
        (Section::ExploitationValues, exploitation_values),
    ] {
        parts[section as usize] = bytes;
    }
    Ok(Sections::write(parts))
}

/// All records of an index in the order of their keys.
struct Records<'a> {
    bodies: TableWriter,
    hashes: Vec<u8>,
    /// Where each record of the older index is now.
    places: Vec<u32>,
    /// Those that the older one has not, or others, by their places.
    fresh: Vec<(u32, &'a Advisory)>,
}

impl<'a> Records<'a> {
    fn of(kept: &Kept<'_>, changes: &'a BTreeMap<AdvisoryKey, Option<Advisory>>) -> Result<Self, IndexError> {
        let all = kept.advisories.len();
        let mut records = Self {
            bodies: TableWriter::default(),
            hashes: Vec::with_capacity(kept.hashes.len() + changes.len() * 32),
            places: vec![GONE; all as usize],
            fresh: Vec::new(),
        };
        records.bodies.values.reserve(kept.bodies.len());
        let mut next = 0;
        for (key, change) in changes {
            let name = advisory_key(&key.feed, &key.id);
            let place = kept.advisories.place(&name, next)?;
            records.keep(kept, next..place)?;
            let is_there = place < all && kept.advisories.key(place)? == name;
            next = place + u32::from(is_there);
            let Some(advisory) = change else { continue };
            let body = encode_advisory(advisory);
            if body.is_empty() {
                return Err(IndexError::TooLarge("advisory"));
            }
            if is_there && kept.has(place, &body)? {
                records.keep(kept, place..next)?;
                continue;
            }
            let packed = frame::pack(&body).map_err(|_| IndexError::TooLarge("advisory"))?;
            records.fresh.push((records.place()?, advisory));
            records.bodies.push(&name, &packed)?;
            records.hashes.extend_from_slice(advisory.content_hash(encode_advisory).as_bytes());
        }
        records.keep(kept, next..all)?;
        Ok(records)
    }

    /// Where the next one will be.
    fn place(&self) -> Result<u32, IndexError> {
        u32::try_from(self.bodies.len()).ok().filter(|place| *place != GONE).ok_or(IndexError::TooLarge("advisories"))
    }

    fn keep(&mut self, kept: &Kept<'_>, ordinals: Range<u32>) -> Result<(), IndexError> {
        for ordinal in ordinals {
            let (body, hash) = (kept.body(ordinal)?, kept.hash(ordinal)?);
            self.places[ordinal as usize] = self.place()?;
            self.bodies.push(kept.advisories.key(ordinal)?, body)?;
            self.hashes.extend_from_slice(hash);
        }
        Ok(())
    }
}

/// Feed and id, so that the order of keys is the order of [`AdvisoryKey`].
pub(super) fn advisory_key(feed: &str, id: &str) -> Vec<u8> {
    [feed.as_bytes(), &[0], id.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_model::{Affected, Ecosystem, Event, Family, FixState, Range, RangeKind, Timestamp};
    use proptest::prelude::*;

    /// A record that shares packages, ecosystems, words and vulnerabilities with others.
    fn any_record() -> impl Strategy<Value = Advisory> {
        let ecosystem = prop_oneof![
            Just(Ecosystem::of(Family::Npm)),
            (10..14_u8).prop_map(|release| Ecosystem::release(Family::Debian, &release.to_string())),
        ];
        let word = || prop::option::of(prop_oneof![Just("low".to_owned()), Just("high".to_owned()), "[a-c]"]);
        let affected =
            (ecosystem, 0..3_u8, 1..4_u8, word(), word()).prop_map(|(ecosystem, package, fixed, vendor_severity, module)| Affected {
                ecosystem,
                name: format!("p{package}"),
                module,
                ranges: vec![Range {
                    kind: RangeKind::Ecosystem,
                    events: vec![Event::Introduced("0".into()), Event::Fixed(fixed.to_string())],
                }],
                versions: vec![],
                unfixed: FixState::Open,
                vendor_severity,
            });
        let aliases = prop::collection::vec(prop_oneof![(0..300_u16).prop_map(|n| format!("CVE-2024-{n:04}")), "GHSA-[a-c]"], 0..3);
        let about = (prop::collection::vec(affected, 0..4), aliases, any::<bool>());
        (prop_oneof![Just("osv"), Just("debian-tracker")], 0..200_u16, about).prop_map(|(feed, id, (affected, aliases, withdrawn))| {
            Advisory {
                affected,
                aliases,
                withdrawn: withdrawn.then(|| Timestamp::from_millis(1)),
                ..Advisory::new(feed, &format!("R-{id}"))
            }
        })
    }

    fn keyed(all: &[Advisory]) -> BTreeMap<AdvisoryKey, Advisory> {
        all.iter().map(|advisory| (advisory.key.clone(), advisory.clone())).collect()
    }

    proptest! {
        /// Records that come, change, go and stay: what is copied and what is compiled anew is what all of it compiled is.
        #[test]
        fn over_an_older_index_the_same_bytes_come_out(
            before in prop::collection::vec(any_record(), 0..150),
            coming in prop::collection::vec(any_record(), 0..40),
            going in prop::collection::vec((prop_oneof![Just("osv"), Just("debian-tracker")], 0..200_u16), 0..40),
            scored in prop::option::of(0..3_u8),
        ) {
            let exploitation = |n: u8| -> BTreeMap<String, Exploitation> {
                let known = |n| Exploitation { epss: Some(f32::from(n)), ..Exploitation::default() };
                (0..n).map(|n| (format!("CVE-2024-{n:04}"), known(n))).collect()
            };
            let manifest = || Manifest { generation: 7, ..Manifest::default() };
            let older = build_index_with(before.clone(), &exploitation(2), Manifest::default()).unwrap();
            let older = AdvisoryIndex::open(older).unwrap();
            let mut all = keyed(&before);
            let mut changes: BTreeMap<AdvisoryKey, Option<Advisory>> = BTreeMap::new();
            for (feed, id) in going {
                let key = AdvisoryKey { feed: feed.to_owned(), id: format!("R-{id}") };
                all.remove(&key);
                changes.insert(key, None);
            }
            for (key, advisory) in keyed(&coming) {
                all.insert(key.clone(), advisory.clone());
                changes.insert(key, Some(advisory));
            }
            let known = scored.map(exploitation);
            let over = build_index_over(Some(&older), &changes, known.as_ref(), manifest()).unwrap();
            let whole = build_index_with(all.into_values(), &known.unwrap_or_else(|| exploitation(2)), manifest()).unwrap();
            prop_assert!(over == whole);
            // And the way that a bundle carries leads there too.
            let newer = AdvisoryIndex::open(whole.as_slice()).unwrap();
            prop_assert!(newer.changes_since(&older).unwrap().lead_from(&older).unwrap() == whole);
        }
    }
}
