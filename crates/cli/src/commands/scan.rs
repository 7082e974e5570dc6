//! `lestrade scan`: answers once.

use super::{intelligence_failure, scanner};
use crate::args::{Format, Gate, ImageArgs, ReportArgs, RootfsArgs, ScanWhat};
use crate::clock::SystemClock;
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{docker_auth, output};
use lestrade_advisories::{AdvisoriesError, Library, starter_index};
use lestrade_artifact::{ArtifactError, ImageReference, Platform, RegistryClient};
use lestrade_extract::{DirectoryCache, ScanError};
use lestrade_findings::{ScanFinding, ScanResult, scan};
use lestrade_matching::{AdvisoryIndex, IndexError};
use lestrade_model::{Clock, Completeness, Inventory, ResourceFacts};
use lestrade_report::{Intelligence, ScanReport, TableStyle, cyclonedx, sarif, scan_json, scan_table};
use std::path::Path;

pub(crate) fn run(settings: &Settings, what: ScanWhat) -> Result<Exit, Failure> {
    let (target, kind, inventory, arguments) = match what {
        ScanWhat::Image(image) => {
            let inventory = image_inventory(settings, &image)?;
            (image.image, "image", inventory, image.report)
        }
        ScanWhat::Rootfs(RootfsArgs { path, report }) => {
            let inventory = scanner(None)?.scan_directory(&path).map_err(|error| scan_failure(&error))?;
            (path.display().to_string(), "rootfs", inventory, report)
        }
    };
    let (result, intelligence) = judge(settings, &inventory)?;
    let mut report = ScanReport { target, kind, inventory, result, intelligence };
    // Gates and the exit code look at everything that was found; filters are for the eye.
    let exit = exit_of(&report, &arguments);
    report.result.findings.retain(|finding| is_shown(finding, &arguments));
    for wanted in &arguments.output {
        let text = match wanted.format {
            Format::Json => format!("{:#}\n", scan_json(&report)),
            Format::Cyclonedx => format!("{:#}\n", cyclonedx(&report)),
            Format::Sarif => format!("{:#}\n", sarif(&report)),
            Format::Table => {
                let colour = wanted.file.is_none() && output::colour();
                scan_table(&report, TableStyle { width: output::width(), colour })
            }
        };
        output::write(wanted.file.as_deref(), &text)?;
    }
    Ok(exit)
}

fn image_inventory(settings: &Settings, arguments: &ImageArgs) -> Result<Inventory, Failure> {
    let platform = match arguments.platform.as_deref().map(|text| text.split_once('/')) {
        None => Platform::default(),
        Some(Some((os, architecture))) => Platform { os: os.to_owned(), architecture: architecture.to_owned() },
        Some(None) => return Err(Failure::new("E0201", Exit::Usage, "--platform is OS/ARCH").try_("--platform linux/arm64")),
    };
    let path = Path::new(&arguments.image);
    let failed = |error: ScanError| scan_failure(&error);
    if looks_like_path(&arguments.image) || path.exists() {
        return Ok(scanner(None)?.scan_image_file(path, &platform).map_err(failed)?.inventory);
    }
    let reference: ImageReference = arguments.image.parse().map_err(|error: ArtifactError| scan_failure(&error.into()))?;
    let cache = DirectoryCache::new(settings.path("cache-dir").join("layers"));
    let client =
        RegistryClient::new(&reference.registry, docker_auth::credentials(&reference.registry)).map_err(|e| scan_failure(&e.into()))?;
    Ok(scanner(Some(Box::new(cache)))?.scan_registry_image(&client, &reference, &platform).map_err(failed)?.inventory)
}

/// What looks like a path never goes to the network, also when nothing is there: a typing error must not become a request.
fn looks_like_path(text: &str) -> bool {
    let archive = [".tar", ".tgz", ".gz", ".zst", ".zip", ".json", ".img"].iter().any(|ending| text.ends_with(ending));
    text.starts_with(['/', '.', '~']) || archive
}

fn judge(settings: &Settings, inventory: &Inventory) -> Result<(ScanResult, Intelligence), Failure> {
    let facts = ResourceFacts::default();
    let library = Library::new(settings.path("db-dir"));
    let failed = |error: IndexError| intelligence_failure(&error.into());
    match library.open_current() {
        Ok((_, index)) => Ok((scan(&index, inventory, &facts).map_err(failed)?, Intelligence::from(index.manifest()))),
        Err(AdvisoriesError::NoGeneration) => {
            let bytes = starter_index().map_err(|error| intelligence_failure(&error))?;
            let index = AdvisoryIndex::open(bytes).map_err(failed)?;
            Ok((scan(&index, inventory, &facts).map_err(failed)?, Intelligence::from(index.manifest())))
        }
        Err(error) => Err(intelligence_failure(&error)),
    }
}

fn is_shown(finding: &ScanFinding, arguments: &ReportArgs) -> bool {
    let severe = arguments.min_severity.is_none_or(|least| finding.assessment.severity >= least.0);
    let fixable = finding.packages.iter().any(|package| package.fixed_in.is_some());
    severe && (fixable || !arguments.ignore_unfixed)
}

fn exit_of(report: &ScanReport, arguments: &ReportArgs) -> Exit {
    let trips = |finding: &ScanFinding, gate: &Gate| match gate {
        Gate::Severity(least) => finding.assessment.severity >= *least,
        Gate::Risk(least) => ScanReport::risk_of(finding) >= *least,
        Gate::Fixable => finding.packages.iter().any(|package| package.fixed_in.is_some()),
    };
    let findings = &report.result.findings;
    let mut exits = vec![Exit::Ok];
    if arguments.fail_on.iter().any(|gate| findings.iter().any(|finding| trips(finding, gate))) {
        exits.push(Exit::Gate);
    }
    if report.completeness() == Completeness::Partial && !arguments.allow_incomplete {
        exits.push(Exit::Incomplete);
    }
    // The starter set cannot say that something is clean, nor hold a gate shut.
    if report.intelligence.starter_only && (findings.is_empty() || !arguments.fail_on.is_empty()) {
        exits.push(Exit::Intelligence);
    }
    let oldest = arguments.max_db_age.map(|hours| SystemClock.now().plus_millis(-i64::from(hours) * 3_600_000));
    if oldest.is_some_and(|oldest| report.intelligence.newest.is_none_or(|newest| newest < oldest)) {
        exits.push(Exit::Intelligence);
    }
    Exit::worst(exits)
}

/// What is wrong with an artifact, in the words of the user.
fn scan_failure(error: &ScanError) -> Failure {
    let failure = |code, exit| Failure::new(code, exit, error.to_string());
    match error {
        ScanError::Artifact(artifact) => match artifact {
            ArtifactError::NotFound(_) => failure("E0300", Exit::Input),
            ArtifactError::PermissionDenied(_) => failure("E0302", Exit::Input).try_("sudo lestrade …      # or as a user who may read it"),
            ArtifactError::Empty(_) => failure("E0303", Exit::Input).try_("docker save IMAGE -o image.tar"),
            ArtifactError::Truncated { .. } => {
                failure("E0310", Exit::Input).try_("docker save IMAGE -o image.tar      # the file may have been cut while copying")
            }
            ArtifactError::NotAnImage { .. } => failure("E0312", Exit::Input).try_("docker save IMAGE -o image.tar"),
            ArtifactError::NoPlatform { .. } => failure("E0313", Exit::Input).try_("lestrade scan image --platform OS/ARCH …"),
            ArtifactError::BadReference(_) => failure("E0202", Exit::Usage).try_("lestrade scan image registry.example/app:v1"),
            ArtifactError::Network { .. } => failure("E0600", Exit::Network),
            ArtifactError::Unauthorized(_) => failure("E0601", Exit::Network).try_("docker login REGISTRY"),
            _ => failure("E0314", Exit::Input),
        },
        ScanError::LayerMismatch { .. } => failure("E0315", Exit::Input),
        _ => failure("E0316", Exit::Input),
    }
}
