//! `lestrade db rollback` and `db diff`: generations of intelligence, one against another.

use super::failed;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use lestrade_advisories::{AdvisoriesError, GenerationId, Library, OpenIndex};
use lestrade_report::printable;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Vulnerabilities that are named; the rest is counted.
const NAMED: usize = 100;

pub(super) type Generation = (GenerationId, OpenIndex);

/// The one in force, and all that are kept.
fn kept(library: &Library) -> Result<(GenerationId, Vec<Generation>), Failure> {
    let current = library.current().map_err(failed)?.ok_or_else(|| failed(AdvisoriesError::NoGeneration))?;
    Ok((current, library.generations().map_err(failed)?))
}

pub(super) fn numbered(kept: &[Generation], number: u64) -> Result<&Generation, Failure> {
    kept.iter().find(|(_, index)| index.manifest().generation == number).ok_or_else(|| {
        let kept: Vec<String> = kept.iter().map(|(_, index)| index.manifest().generation.to_string()).collect();
        Failure::new("E0504", Exit::Usage, format!("generation {number} is not kept")).try_(format!("one of {}", kept.join(", ")))
    })
}

/// The generation before the one in force.
fn before<'a>(kept: &'a [Generation], current: &GenerationId) -> Option<&'a Generation> {
    let at = kept.iter().position(|(id, _)| id == current)?;
    kept.get(at + 1)
}

pub(super) fn rollback(library: &Library, generation: Option<u64>) -> Result<Exit, Failure> {
    let (current, kept) = kept(library)?;
    let (id, index) = match generation {
        Some(number) => numbered(&kept, number)?,
        None => {
            before(&kept, &current).ok_or_else(|| Failure::new("E0504", Exit::Usage, "there is no earlier generation to go back to"))?
        }
    };
    library.put_in_force(id).map_err(failed)?;
    let out = format!("generation {} is in force · built {}\n", index.manifest().generation, index.manifest().built_at);
    output::write(None, &out)?;
    Ok(Exit::Ok)
}

pub(super) fn diff(library: &Library, old: Option<u64>, new: Option<u64>) -> Result<Exit, Failure> {
    let (current, kept) = kept(library)?;
    let newer = match new {
        Some(number) => numbered(&kept, number)?,
        None => kept.iter().find(|(id, _)| *id == current).ok_or_else(|| failed(AdvisoriesError::NoGeneration))?,
    };
    let older = match old {
        Some(number) => numbered(&kept, number)?,
        None => {
            before(&kept, &newer.0).ok_or_else(|| Failure::new("E0504", Exit::Usage, "there is no earlier generation to compare with"))?
        }
    };
    let difference = newer.1.diff(&older.1).map_err(failed)?;
    let rescored = newer.1.rescored(&older.1, |_| None::<()>).map_err(failed)?.all;
    let mut out = format!(
        "generation {} to {}: {} records added, {} changed, {} removed; {rescored} vulnerabilities rescored\n",
        older.1.manifest().generation,
        newer.1.manifest().generation,
        difference.added,
        difference.changed,
        difference.removed,
    );
    for id in difference.vulnerabilities.iter().take(NAMED) {
        let (was, is) = (state(&older.1, id)?, state(&newer.1, id)?);
        let said = match (was.is_empty(), is.is_empty()) {
            (true, true) => "no package is named, before or after".to_owned(),
            (true, false) => format!("new: {}", names(&is)),
            (false, true) => format!("withdrawn or gone: {}", names(&was)),
            (false, false) => changes(&was, &is),
        };
        let _ = writeln!(out, "  {:<20} {}", printable(id), printable(&said));
    }
    if difference.vulnerabilities.len() > NAMED {
        let _ = writeln!(out, "  and {} more", difference.vulnerabilities.len() - NAMED);
    }
    output::write(None, &out)?;
    Ok(Exit::Ok)
}

/// What standing records say of each package: a word for each entry.
fn state(index: &OpenIndex, id: &str) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let mut packages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for ordinal in index.advisories_of(id).map_err(failed)? {
        let advisory = index.advisory(ordinal).map_err(failed)?;
        for affected in advisory.affected.iter().filter(|_| !advisory.is_withdrawn()) {
            let package = format!("{} in {}", affected.name, affected.ecosystem);
            packages.entry(package).or_default().push(format!("{:?} {:?} {:?}", affected.ranges, affected.versions, affected.unfixed));
        }
    }
    packages.values_mut().for_each(|entries| entries.sort_unstable());
    Ok(packages)
}

fn names(packages: &BTreeMap<String, Vec<String>>) -> String {
    const FEW: usize = 4;
    let first = packages.keys().take(FEW).cloned().collect::<Vec<_>>().join(", ");
    if packages.len() > FEW { format!("{first} and {} more", packages.len() - FEW) } else { first }
}

fn changes(was: &BTreeMap<String, Vec<String>>, is: &BTreeMap<String, Vec<String>>) -> String {
    let of = |what: &str, packages: BTreeMap<String, Vec<String>>| (!packages.is_empty()).then(|| format!("{what} {}", names(&packages)));
    let pick = |from: &BTreeMap<String, Vec<String>>, keep: &dyn Fn(&String, &Vec<String>) -> bool| -> BTreeMap<String, Vec<String>> {
        from.iter()
            .filter(|(package, entries)| keep(package, entries))
            .map(|(package, entries)| (package.clone(), entries.clone()))
            .collect()
    };
    let added = pick(is, &|package, _| !was.contains_key(package));
    let gone = pick(was, &|package, _| !is.contains_key(package));
    let moved = pick(is, &|package, entries| was.get(package).is_some_and(|before| before != entries));
    let said: Vec<String> =
        [of("now also in", added), of("no longer in", gone), of("other versions of", moved)].into_iter().flatten().collect();
    if said.is_empty() { "text or scores changed".to_owned() } else { said.join("; ") }
}
