//! Advisories in, index out. Equal advisories give equal bytes.

use super::format::{Section, Sections, TableWriter, name_key};
use super::{Entry, IndexError, Manifest};
use lestrade_model::{Advisory, Ecosystem, Exploitation};
use std::collections::BTreeMap;

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
    mut manifest: Manifest,
) -> Result<Vec<u8>, IndexError> {
    let mut ecosystems: BTreeMap<Ecosystem, u64> = BTreeMap::new();
    let advisories: BTreeMap<_, _> = advisories.into_iter().map(|advisory| (advisory.key.clone(), advisory)).collect();
    u32::try_from(advisories.len()).map_err(|_| IndexError::TooLarge("advisories"))?;

    let mut bodies = TableWriter::default();
    let mut hashes = Vec::with_capacity(advisories.len() * 32);
    let mut packages: BTreeMap<Vec<u8>, Vec<Entry>> = BTreeMap::new();
    let mut vulnerabilities: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let mut compressor = zstd::bulk::Compressor::new(3).map_err(|_| IndexError::TooLarge("compressor"))?;

    for (ordinal, (key, advisory)) in (0_u32..).zip(&advisories) {
        let body = encode_advisory(advisory);
        if body.is_empty() {
            return Err(IndexError::TooLarge("advisory"));
        }
        let compressed = compressor.compress(&body).map_err(|_| IndexError::TooLarge("advisory"))?;
        bodies.push(&advisory_key(&key.feed, &key.id), &compressed)?;
        hashes.extend_from_slice(advisory.content_hash(encode_advisory).as_bytes());
        let about: Vec<String> = advisory.vulnerabilities().into_iter().map(str::to_owned).collect();
        for vulnerability in &about {
            vulnerabilities.entry(vulnerability.clone()).or_default().push(ordinal);
        }
        if advisory.is_withdrawn() {
            continue;
        }
        for affected in &advisory.affected {
            match ecosystems.get_mut(&affected.ecosystem) {
                Some(entries) => *entries += 1,
                None => drop(ecosystems.insert(affected.ecosystem.clone(), 1)),
            }
            let entry = Entry { advisory: ordinal, vulnerabilities: about.clone(), affected: affected.clone() };
            packages.entry(name_key(&affected.ecosystem.family, &affected.name)).or_default().push(entry);
        }
    }

    let names = table(packages.iter().map(|(key, entries)| (key.as_slice(), entries)))?;
    let groups = table(vulnerabilities.iter().map(|(key, members)| (key.as_bytes(), members)))?;
    let exploitations = table(exploitation.iter().map(|(id, known)| (id.as_bytes(), known)))?;
    manifest.ecosystems = ecosystems.into_iter().collect();
    let manifest = postcard::to_stdvec(&manifest).map_err(|_| IndexError::TooLarge("manifest"))?;

    let mut parts: [Vec<u8>; Section::COUNT] = Default::default();
    for (section, bytes) in [
        (Section::Manifest, manifest),
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
