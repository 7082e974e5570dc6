//! What came of a look at something, in the words of coverage.

use lestrade_artifact::ArtifactError;
use lestrade_extract::ScanError;
use lestrade_findings::ResourceEntry;
use lestrade_model::{Coverage, CoverageReason, Inventory, ProblemKind, ScanKind, Timestamp};

/// Whether something was read: whatever came of it, reading it again would bring the same, unless reading itself failed.
pub(crate) fn is_read(entry: &ResourceEntry) -> bool {
    let failed = |coverage: &Coverage| matches!(coverage.reason, CoverageReason::InternalError | CoverageReason::ResourceTerminated);
    entry.inventory.is_some() && !entry.coverage.iter().filter(|coverage| coverage.kind == ScanKind::Package).any(failed)
}

/// How well something is covered of which this was read.
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

/// Why something is not covered that could not be read.
pub(crate) const fn reason_of(error: &ScanError) -> CoverageReason {
    match error {
        ScanError::Artifact(ArtifactError::Unauthorized(_)) => CoverageReason::AccessDenied,
        ScanError::Artifact(ArtifactError::BadManifest { .. } | ArtifactError::NoPlatform { .. }) => CoverageReason::UnsupportedMediaType,
        _ => CoverageReason::InternalError,
    }
}

/// The coverage of packages.
pub(crate) const fn package_coverage(reason: CoverageReason, detail: String, at: Timestamp) -> Coverage {
    Coverage { kind: ScanKind::Package, reason, detail, last_scanned: Some(at) }
}
