//! The two directions of matching over the index: a new component forwards, a changed vulnerability backwards. Both ask
//! [`affects`] and nothing else.

use crate::{AdvisoryIndex, ComponentId, Estate, IndexError, Verdict, affects};
use lestrade_model::Component;
use lestrade_versions::Scheme;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// All vulnerabilities of one component.
///
/// # Errors
/// When the index is corrupt.
pub fn judge_component<B: AsRef<[u8]>>(index: &AdvisoryIndex<B>, component: &Component) -> Result<BTreeMap<String, Verdict>, IndexError> {
    let mut found = BTreeMap::new();
    if component.os_owned {
        return Ok(found);
    }
    for name in std::iter::once(component.advised_name()).chain(component.advised_source()) {
        for entry in index.entries(&component.ecosystem, name)? {
            if let Some(verdict) = affects(&entry.affected, component)
                && let [others @ .., last] = entry.vulnerabilities.as_slice()
            {
                others.iter().for_each(|vulnerability| merge_into(&mut found, vulnerability.text(), verdict.clone(), component));
                merge_into(&mut found, last.text(), verdict, component);
            }
        }
    }
    // After they are merged: one that says open does not count where another one says fixed.
    found.retain(|_, verdict| index.mode().reports(component, verdict));
    Ok(found)
}

/// All components of the estate that one vulnerability is in: each distinct version of each package that its advisories name,
/// once. With `withdrawn`, records that were withdrawn speak too: what a closed finding was about.
///
/// # Errors
/// When the index is corrupt.
pub fn judge_vulnerability<B: AsRef<[u8]>>(
    index: &AdvisoryIndex<B>,
    estate: &Estate,
    vulnerability: &str,
    withdrawn: bool,
) -> Result<BTreeMap<ComponentId, Verdict>, IndexError> {
    let mut found = BTreeMap::new();
    for advisory in index.advisories_of(vulnerability)? {
        let advisory = index.advisory(advisory)?;
        if advisory.is_withdrawn() && !withdrawn {
            continue;
        }
        for affected in &advisory.affected {
            for (id, component) in estate.components_at(estate.versions_of(&affected.ecosystem.family, &affected.name)) {
                if let Some(verdict) = affects(affected, component) {
                    merge_into(&mut found, id, verdict, component);
                }
            }
        }
    }
    // What a closed finding was about is told in any mode.
    found.retain(|id, verdict| withdrawn || index.mode().reports(estate.component(*id), verdict));
    Ok(found)
}

fn merge_into<K: Ord>(found: &mut BTreeMap<K, Verdict>, key: K, verdict: Verdict, component: &Component) {
    match found.entry(key) {
        Entry::Vacant(entry) => {
            entry.insert(verdict);
        }
        Entry::Occupied(mut entry) => {
            let merged = entry.get().clone().merge(verdict, Scheme::of(&component.ecosystem.family));
            entry.insert(merged);
        }
    }
}
