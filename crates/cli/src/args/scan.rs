//! What `lestrade scan` takes.

use clap::{Args, Subcommand, ValueEnum};
use lestrade_artifact::SkipPatterns;
use lestrade_model::Severity;
use lestrade_report::CycloneDxVersion;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Scan {
    #[command(subcommand)]
    pub(crate) what: ScanWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ScanWhat {
    /// An image: an archive of `docker save`, an OCI layout (folder or tar), or a reference in a registry.
    Image(ImageArgs),
    /// A directory: whatever packages, lock files and programs are in it.
    #[command(visible_alias = "filesystem")]
    Fs(FolderArgs),
    /// A directory as the root of a system: a mounted disk, an unpacked image.
    Rootfs(FolderArgs),
    /// A working copy of a repository.
    #[command(visible_alias = "repository")]
    Repo(FolderArgs),
    /// This machine.
    Host(HostArgs),
    /// A disk: an image in a file (raw, qcow2, VMDK) or a device that is not in use.
    Disk(DiskArgs),
    /// A function's package or layer: a zip archive.
    Function(FileArgs),
    /// A bill of materials: CycloneDX or SPDX; `-` for standard input.
    Sbom(FileArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ImageArgs {
    /// A path, or a reference such as `registry.example/app:v1`. What looks like a path never goes to the network.
    #[arg(value_name = "IMAGE", required_unless_present = "input", allow_hyphen_values = false)]
    pub(crate) image: Option<String>,
    /// The same: an archive's path.
    #[arg(long, value_name = "FILE", conflicts_with = "image", hide = true)]
    pub(crate) input: Option<String>,
    /// Which of a multi-platform image's images, such as `linux/arm64`.
    #[arg(long, value_name = "OS/ARCH")]
    pub(crate) platform: Option<String>,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FolderArgs {
    /// The directory.
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) walk: WalkArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, Args)]
pub(crate) struct HostArgs {
    #[command(flatten)]
    pub(crate) walk: WalkArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DiskArgs {
    /// The disk's image.
    #[arg(value_name = "FILE")]
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) walk: WalkArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// The file.
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// What of a directory is walked.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct WalkArgs {
    /// Leaves out folders: a path below the root, or a pattern such as `**/node_modules`. May be given several times.
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    pub(crate) skip_dirs: Vec<String>,
    /// Leaves out files, likewise.
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    pub(crate) skip_files: Vec<String>,
}

impl From<&WalkArgs> for SkipPatterns {
    fn from(walk: &WalkArgs) -> Self {
        Self { folders: walk.skip_dirs.clone(), files: walk.skip_files.clone() }
    }
}

impl ScanWhat {
    /// How it answers.
    pub(crate) fn report(&self) -> &ReportArgs {
        match self {
            Self::Image(image) => &image.report,
            Self::Fs(folder) | Self::Rootfs(folder) | Self::Repo(folder) => &folder.report,
            Self::Host(host) => &host.report,
            Self::Disk(disk) => &disk.report,
            Self::Function(file) | Self::Sbom(file) => &file.report,
        }
    }

    /// The target as it was named.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Image(image) => image.name().to_owned(),
            Self::Fs(folder) | Self::Rootfs(folder) | Self::Repo(folder) => folder.path.display().to_string(),
            Self::Host(_) => "host".to_owned(),
            Self::Disk(disk) => disk.path.display().to_string(),
            Self::Function(file) | Self::Sbom(file) => file.path.display().to_string(),
        }
    }
}

impl ImageArgs {
    /// An image of which nothing but the name is said.
    pub(crate) fn of(name: &str) -> Self {
        Self { image: Some(name.to_owned()), input: None, platform: None, report: ReportArgs::default() }
    }

    /// The image as it was named.
    pub(crate) fn name(&self) -> &str {
        self.image.as_deref().or(self.input.as_deref()).unwrap_or_default()
    }
}

/// How a scan answers.
#[derive(Debug, Default, Args)]
pub(crate) struct ReportArgs {
    /// Where the report goes, and how.
    #[arg(
        help = "Writes a format to a file, or to standard output: FORMAT[@VERSION][=FILE]. May be given several times",
        short = 'o',
        long = "output",
        visible_short_alias = 'f',
        alias = "format",
        value_name = "FORMAT[@VERSION][=FILE]",
        default_value = "table",
        long_help = "Writes a format to a file, or to standard output: FORMAT[@VERSION][=FILE]. May be given several times.\n\n\
            table, json, sarif, cyclonedx (@1.4, @1.5, @1.6), cyclonedx-vdr, spdx-json, csv, markdown, gitlab, junit"
    )]
    pub(crate) output: Vec<Output>,
    /// Shows only findings of these severities, separated by commas.
    #[arg(long, value_name = "SEVERITY,…", value_delimiter = ',')]
    pub(crate) severity: Vec<SeverityArg>,
    /// Shows findings of this severity and above: low, medium, high, critical.
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) min_severity: Option<SeverityArg>,
    /// Lets the distributor's own word decide how severe a finding is, where there is one.
    #[arg(long)]
    pub(crate) vendor_severity: bool,
    /// Shows only findings with a fix.
    #[arg(long, alias = "only-fixed")]
    pub(crate) ignore_unfixed: bool,
    /// Leaves out what this file says, each with a reason and an end. Without it: `.lestradeignore.toml` and `.trivyignore` here.
    #[arg(long, value_name = "FILE", alias = "ignorefile")]
    pub(crate) ignore_file: Vec<PathBuf>,
    /// Leaves out what a supplier says is not affected: OpenVEX or CycloneDX VEX, in JSON. May be given several times.
    #[arg(long, value_name = "FILE")]
    pub(crate) vex: Vec<PathBuf>,
    /// Exits with 1 when a finding meets this: 'severity>=high', 'risk>=80', 'epss>=0.1', 'kev', 'fixable'. May be given several
    /// times.
    #[arg(long, value_name = "GATE")]
    pub(crate) fail_on: Vec<Gate>,
    /// Exits with this number, 1 to 255, when anything is shown.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) exit_code: Option<u8>,
    /// Exits with 0 although something could not be read.
    #[arg(long)]
    pub(crate) allow_incomplete: bool,
    /// Exits with 5 when intelligence is older than this many hours.
    #[arg(long, value_name = "HOURS")]
    pub(crate) max_db_age: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
    Sarif,
    Cyclonedx,
    CyclonedxVdr,
    SpdxJson,
    Csv,
    Markdown,
    Gitlab,
    Junit,
}

#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) format: Format,
    /// The version of CycloneDX.
    pub(crate) version: CycloneDxVersion,
    pub(crate) file: Option<PathBuf>,
}

impl std::str::FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, file) = text.split_once('=').map_or((text, None), |(format, file)| (format, Some(PathBuf::from(file))));
        let (name, version) = format.split_once('@').map_or((format, None), |(name, version)| (name, Some(version)));
        // Other scanners' spellings of the same.
        let name = match name {
            "cyclonedx-json" => "cyclonedx",
            "spdx" => "spdx-json",
            "md" => "markdown",
            other => other,
        };
        let formats = || Format::value_variants().iter().filter_map(|format| Some(format.to_possible_value()?.get_name().to_owned()));
        let format = Format::from_str(name, true).map_err(|_| format!("formats are: {}", formats().collect::<Vec<_>>().join(", ")))?;
        let version = match (format, version) {
            (_, None) => Some(CycloneDxVersion::V1_6),
            (Format::Cyclonedx | Format::CyclonedxVdr, Some(version)) => CycloneDxVersion::named(version),
            (Format::SpdxJson, Some("2.3")) => Some(CycloneDxVersion::V1_6),
            _ => None,
        };
        let version = version.ok_or("versions are: cyclonedx and cyclonedx-vdr @1.4, @1.5, @1.6; spdx-json @2.3")?;
        Ok(Self { format, version, file })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeverityArg(pub(crate) Severity);

impl std::str::FromStr for SeverityArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // What others call unknown is not looked at yet.
        let text = if text.eq_ignore_ascii_case("unknown") { "untriaged" } else { text };
        text.parse().map(Self).map_err(|_| "severities are: untriaged, informational, low, medium, high, critical".to_owned())
    }
}

/// A condition under which a scan fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Gate {
    Severity(Severity),
    Risk(f64),
    Epss(f64),
    KnownExploited,
    Fixable,
}

impl std::str::FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let gates = || "gates are: 'severity>=WORD' (or just WORD), 'risk>=NUMBER', 'epss>=NUMBER', 'kev', 'fixable'".to_owned();
        let number = |text: &str, most: f64| text.parse().ok().filter(|number| (0.0..=most).contains(number)).ok_or_else(gates);
        match text.trim().split_once(">=").map(|(key, value)| (key.trim(), value.trim())) {
            Some(("severity", word)) => word.parse().map(Self::Severity).map_err(|_| gates()),
            Some(("risk", value)) => number(value, 100.0).map(Self::Risk),
            Some(("epss", value)) => number(value, 1.0).map(Self::Epss),
            None if text.trim() == "fixable" => Ok(Self::Fixable),
            None if text.trim() == "kev" => Ok(Self::KnownExploited),
            None => text.parse().map(Self::Severity).map_err(|_| gates()),
            Some(_) => Err(gates()),
        }
    }
}
