//! What a look at a resource says: how well it is covered, and what stands of what was known before.

use crate::Core;
use crate::inspector2::BackendError;
use lestrade_artifact::ArtifactError;
use lestrade_extract::{ScanError, Scanner};
use lestrade_findings::{InventorySource, ResourceEntry};
use lestrade_model::{Component, Coverage, CoverageReason, Inventory, Occurrence, Problem, ProblemKind, ResourceKey, ScanKind, Timestamp};
use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::time::Instant;

/// Whether something was read: whatever came of it, reading it again would bring the same, unless reading itself failed.
pub(crate) fn is_read(entry: &ResourceEntry) -> bool {
    let failed = |coverage: &Coverage| matches!(coverage.reason, CoverageReason::InternalError | CoverageReason::ResourceTerminated);
    entry.inventory.is_some() && !entry.coverage.iter().filter(|coverage| coverage.kind == ScanKind::Package).any(failed)
}

/// Whether something is there and was left alone: it is too old or not used, or somebody said so. When that is over it is read again.
pub(crate) fn is_left_out(entry: &ResourceEntry) -> bool {
    let reasons = [CoverageReason::ScanEligibilityExpired, CoverageReason::ExcludedByTag, CoverageReason::ScanFrequencyManual];
    !entry.coverage.is_empty() && entry.coverage.iter().all(|coverage| reasons.contains(&coverage.reason))
}

/// How an inventory covers its resource, and in one clause what it does not cover.
pub(crate) fn verdict(inventory: &Inventory) -> (CoverageReason, String) {
    let of = |kind| inventory.problems.iter().find(|problem| problem.kind == kind);
    if let Some(problem) = of(ProblemKind::Crashed) {
        return (CoverageReason::InternalError, problem.detail.clone());
    }
    if let Some(problem) = of(ProblemKind::UnknownSystem) {
        return (CoverageReason::UnsupportedOs, problem.detail.clone());
    }
    let detail = match inventory.problems.as_slice() {
        [] => String::new(),
        [one] => format!("not covered: {}: {}", one.path, one.detail),
        [one, rest @ ..] => format!("not covered: {}: {} (and {} more)", one.path, one.detail, rest.len()),
    };
    (CoverageReason::Successful, detail)
}

/// Why a look brought nothing.
pub(crate) fn reason_of(error: &ScanError) -> CoverageReason {
    match error {
        ScanError::Artifact(ArtifactError::Unauthorized(_) | ArtifactError::PermissionDenied(_)) => CoverageReason::AccessDenied,
        ScanError::Artifact(ArtifactError::BadManifest { .. } | ArtifactError::NoPlatform { .. } | ArtifactError::NotAnImage { .. })
        | ScanError::NotADocument { .. }
        | ScanError::NotAZip { .. } => CoverageReason::UnsupportedMediaType,
        _ => CoverageReason::InternalError,
    }
}

/// The coverage of packages.
pub(crate) const fn package_coverage(reason: CoverageReason, detail: String, at: Timestamp) -> Coverage {
    Coverage { kind: ScanKind::Package, reason, detail, last_scanned: Some(at) }
}

impl Core {
    /// Reads a bill of materials that somebody sent, and calls it by a name: where it lies for a moment is nobody's business.
    pub(crate) fn read_document(&self, scanner: &Scanner, path: &Path, name: &str) -> Result<Inventory, BackendError> {
        let begun = Instant::now();
        let read = scanner.scan_document(path).map(|inventory| inventory.unpack());
        self.meters.looked("path", begun.elapsed(), read.as_ref());
        let mut inventory = read.map_err(|error| match error {
            ScanError::NotADocument { detail, .. } => BackendError::Document(format!("it is no bill of materials: {detail}")),
            error if reason_of(&error) == CoverageReason::UnsupportedMediaType => {
                BackendError::Document("it is no bill of materials".to_owned())
            }
            error => BackendError::Scan(error),
        })?;
        let here = path.display().to_string();
        inventory.problems.iter_mut().filter(|problem| problem.path == here).for_each(|problem| name.clone_into(&mut problem.path));
        Ok(inventory)
    }

    /// An inventory of a resource with what is known of the places that could not be read this time: see [`with_unread`].
    pub(crate) fn with_unread(&self, key: &ResourceKey, now: Inventory, root: &str) -> Inventory {
        let known = self.resource(key).and_then(|entry| entry.inventory).and_then(|id| self.inventory(&id));
        match known {
            Some(known) => with_unread(&known, now, root),
            None => now,
        }
    }
}

/// An inventory with what was known before of the places that could not be read this time: a file that is closed to us today was
/// not uninstalled. Its problems stay, so that the coverage says so.
pub(crate) fn with_unread(before: &Inventory, now: Inventory, root: &str) -> Inventory {
    if now.problems.is_empty() {
        return now;
    }
    let mut places = HashSet::new();
    let mut names = BTreeSet::new();
    for occurrence in &now.occurrences {
        places.insert(occurrence.path.as_str());
        if let Some(component) = now.components.get(occurrence.component as usize) {
            names.insert((occurrence.path.as_str(), &component.ecosystem.family, component.name.as_str()));
        }
    }
    let is_unread = |(component, occurrence): &(Component, Occurrence)| {
        let path = occurrence.path.as_str();
        let Some(problem) = now.problems.iter().find(|problem| covers(problem, path, root)) else { return false };
        // What is there and is not what its format asks for was read as far as it goes, if anything came of it.
        let whole = matches!(problem.kind, ProblemKind::Malformed | ProblemKind::Unsupported) && places.contains(path);
        !whole && !names.contains(&(path, &component.ecosystem.family, component.name.as_str()))
    };
    let kept: Vec<(Component, Occurrence)> = before.found().filter(is_unread).collect();
    if kept.is_empty() {
        return now;
    }
    let found = now.found().chain(kept).collect();
    Inventory::assemble(now.os.clone().or_else(|| before.os.clone()), found, now.problems)
}

/// Whether a problem is about a place: the file itself, a folder above it, or all of the resource.
fn covers(problem: &Problem, path: &str, root: &str) -> bool {
    if problem.kind == ProblemKind::UnknownSystem {
        return false;
    }
    let all = problem.path.is_empty() || problem.path == root;
    all || path.strip_prefix(problem.path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_model::{Ecosystem, Family, Manager};

    fn inventory(found: &[(&str, &str, &str)], problems: &[(&str, ProblemKind)]) -> Inventory {
        let found = found.iter().map(|(path, name, version)| {
            let component = Component::new(Ecosystem::of(Family::Npm), name, version);
            (component, Occurrence { component: 0, path: (*path).into(), layer: None, arch: None, manager: Manager::Npm })
        });
        let problem = |(path, kind): &(&str, ProblemKind)| Problem { path: (*path).into(), kind: *kind, detail: "so".into() };
        Inventory::assemble(None, found.collect(), problems.iter().map(problem).collect())
    }

    fn shown(inventory: &Inventory) -> Vec<String> {
        let of = |o: &Occurrence| {
            let component = &inventory.components[o.component as usize];
            format!("{} {}@{}", o.path, component.name, component.version)
        };
        inventory.occurrences.iter().map(of).collect()
    }

    #[test]
    fn what_could_not_be_read_stands_and_what_was_read_counts() {
        let before = inventory(&[("a/x", "a", "1"), ("b/y", "b", "1"), ("bc", "c", "1")], &[]);
        let closed = inventory(&[("bc", "c", "2")], &[("b", ProblemKind::Unreadable)]);
        assert_eq!(shown(&with_unread(&before, closed, "/")), ["b/y b@1", "bc c@2"], "a is gone, b is behind a closed door");
        let crashed = inventory(&[], &[("/", ProblemKind::Crashed)]);
        assert_eq!(shown(&with_unread(&before, crashed, "/")), shown(&before));
        let nothing = inventory(&[], &[]);
        assert!(with_unread(&before, nothing, "/").components.is_empty(), "all was read, and nothing is there");
    }

    #[test]
    fn a_file_that_was_read_in_part_keeps_what_is_behind_the_cut() {
        let before = inventory(&[("db", "a", "1"), ("db", "b", "1")], &[]);
        let cut = inventory(&[("db", "a", "2")], &[("db", ProblemKind::Truncated)]);
        assert_eq!(shown(&with_unread(&before, cut, "/")), ["db a@2", "db b@1"]);
        let odd = inventory(&[("db", "a", "2")], &[("db", ProblemKind::Malformed)]);
        assert_eq!(shown(&with_unread(&before, odd, "/")), ["db a@2"], "its other lines are as they are");
        let broken = inventory(&[], &[("db", ProblemKind::Malformed)]);
        assert_eq!(shown(&with_unread(&before, broken, "/")), shown(&before));
    }
}
