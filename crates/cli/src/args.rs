//! The command line.

use crate::config::Sources;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Finds what is vulnerable in what you run, what of it can be reached, and what to do first.
#[derive(Debug, Parser)]
#[command(name = "lestrade", version, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 ok · 1 gate tripped · 2 usage · 3 input unreadable · 4 incomplete · 5 intelligence missing or old · \
                        6 network · 70 fault of ours"
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Reads this configuration file before the usual ones.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets one configuration key, as in a file.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Cli {
    /// Where the configuration comes from.
    pub(crate) fn config_sources(&self) -> Sources {
        Sources { file: self.config.clone(), flags: self.set.clone() }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answers once: what is vulnerable in this image or directory?
    Scan(Scan),
    /// The same as `scan image`.
    #[command(hide = true)]
    Image(ImageArgs),
    /// The same as `scan rootfs`.
    #[command(hide = true, alias = "fs")]
    Rootfs(RootfsArgs),
    /// Vulnerability intelligence: bring in, look at.
    Db(Db),
    /// Never stops watching.
    Serve(Serve),
    /// The configuration in force.
    Config(ConfigArgs),
}

#[derive(Debug, Args)]
pub(crate) struct Scan {
    #[command(subcommand)]
    pub(crate) what: ScanWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ScanWhat {
    /// An image: an archive of `docker save`, an OCI layout (folder or tar), or a reference in a registry.
    Image(ImageArgs),
    /// A directory as the root of a system.
    #[command(alias = "fs")]
    Rootfs(RootfsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ImageArgs {
    /// A path, or a reference such as `registry.example/app:v1`. What looks like a path never goes to the network.
    #[arg(value_name = "IMAGE", allow_hyphen_values = false)]
    pub(crate) image: String,
    /// Which of a multi-platform image's images, such as `linux/arm64`.
    #[arg(long, value_name = "OS/ARCH")]
    pub(crate) platform: Option<String>,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RootfsArgs {
    /// The directory.
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// How a scan answers.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Writes a format to a file, or to standard output: FORMAT or FORMAT=FILE. May be given several times.
    #[arg(
        short = 'o',
        long = "output",
        visible_short_alias = 'f',
        alias = "format",
        value_name = "FORMAT[=FILE]",
        default_value = "table"
    )]
    pub(crate) output: Vec<Output>,
    /// Shows findings of this severity and above: low, medium, high, critical.
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) min_severity: Option<SeverityArg>,
    /// Shows only findings with a fix.
    #[arg(long, alias = "only-fixed")]
    pub(crate) ignore_unfixed: bool,
    /// Exits with 1 when a finding meets this: 'severity>=high', 'risk>=80', 'fixable'. May be given several times.
    #[arg(long, value_name = "GATE")]
    pub(crate) fail_on: Vec<Gate>,
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
    Cyclonedx,
    Sarif,
}

#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) file: Option<PathBuf>,
}

impl std::str::FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, file) = text.split_once('=').map_or((text, None), |(format, file)| (format, Some(PathBuf::from(file))));
        let format = Format::from_str(format, true).map_err(|_| "formats are: table, json, cyclonedx, sarif".to_owned())?;
        Ok(Self { format, file })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeverityArg(pub(crate) lestrade_model::Severity);

impl std::str::FromStr for SeverityArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| "severities are: untriaged, informational, low, medium, high, critical".to_owned())
    }
}

/// A condition under which a scan fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Gate {
    Severity(lestrade_model::Severity),
    Risk(f64),
    Fixable,
}

impl std::str::FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let gates = "gates are: 'severity>=WORD' (or just WORD), 'risk>=NUMBER', 'fixable'";
        match text.trim().split_once(">=").map(|(key, value)| (key.trim(), value.trim())) {
            Some(("severity", word)) => word.parse().map(Self::Severity).map_err(|_| gates.to_owned()),
            Some(("risk", number)) => {
                number.parse().ok().filter(|n| (0.0..=100.0).contains(n)).map(Self::Risk).ok_or_else(|| gates.to_owned())
            }
            None if text.trim() == "fixable" => Ok(Self::Fixable),
            None => text.parse().map(Self::Severity).map_err(|_| gates.to_owned()),
            Some(_) => Err(gates.to_owned()),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Db {
    #[command(subcommand)]
    pub(crate) what: DbWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DbWhat {
    /// Brings in OSV records (JSON, YAML, folders, zip, tar, tar.zst), the Debian tracker's JSON, EPSS's CSV and CISA's KEV.
    Import {
        /// Files and folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// What there is, how old it is.
    Status,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Watches this registry: `host[:port]`. May be given several times.
    #[arg(long, value_name = "HOST")]
    pub(crate) registry: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) what: ConfigWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigWhat {
    /// Every key, its value, and with `--origin` where that comes from.
    Show {
        /// Says where each value comes from.
        #[arg(long)]
        origin: bool,
    },
}
