//! What is asked of a running server about its estate.

use super::SeverityArg;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Json {
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusArg {
    Active,
    Suppressed,
    Closed,
}

#[derive(Debug, Args)]
pub(crate) struct FindingsArgs {
    /// One finding, with all that is known of it: its id or ARN.
    pub(crate) id: Option<String>,
    /// Only of these severities, separated by commas.
    #[arg(long, value_name = "SEVERITY,…", value_delimiter = ',')]
    pub(crate) severity: Vec<SeverityArg>,
    /// Only in this resource: its id, its name, or an image's repository with or without a tag.
    #[arg(long, value_name = "RESOURCE")]
    pub(crate) resource: Option<String>,
    /// Only this vulnerability.
    #[arg(long, value_name = "ID")]
    pub(crate) vulnerability: Option<String>,
    /// Only those that stand so, separated by commas.
    #[arg(long, value_name = "STATUS,…", value_delimiter = ',', default_value = "active")]
    pub(crate) status: Vec<StatusArg>,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    Instance,
    Image,
    Function,
    Host,
    Path,
}

#[derive(Debug, Args)]
pub(crate) struct ResourcesArgs {
    /// Only of this kind.
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<KindArg>,
    /// Only what is called so: an id, a name, an image's repository with or without a tag.
    #[arg(long, value_name = "RESOURCE")]
    pub(crate) resource: Option<String>,
    /// Also what is gone.
    #[arg(long)]
    pub(crate) gone: bool,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CoverageArgs {
    #[command(flatten)]
    pub(crate) of: ResourcesArgs,
    /// Only what is not looked at as it should be.
    #[arg(long)]
    pub(crate) inactive: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Suppress {
    #[command(subcommand)]
    pub(crate) what: SuppressWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SuppressWhat {
    /// Makes a rule: findings that meet all that is named are shown as suppressed.
    Create(Box<NewRule>),
    /// The rules, those whose end has come too.
    List(Json),
    /// Removes a rule: what it suppressed is active at once.
    Remove {
        /// Its name or ARN.
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewRule {
    /// Its name.
    pub(crate) name: String,
    /// Why.
    #[arg(long)]
    pub(crate) reason: String,
    /// Who answers for it; without it, who runs this.
    #[arg(long)]
    pub(crate) owner: Option<String>,
    /// Until when it holds: a date, that day included, or an RFC 3339 time.
    #[arg(long, value_name = "DATE")]
    pub(crate) expires: String,
    /// Only this vulnerability. May be given several times; any of them will do.
    #[arg(long, value_name = "ID")]
    pub(crate) vulnerability: Vec<String>,
    /// Only this resource, by its id. May be given several times.
    #[arg(long, value_name = "ID")]
    pub(crate) resource: Vec<String>,
    /// Only images of this repository. May be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) repository: Vec<String>,
    /// Only in this package. May be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) package: Vec<String>,
    /// Only of these severities, separated by commas.
    #[arg(long, value_name = "SEVERITY,…", value_delimiter = ',')]
    pub(crate) severity: Vec<SeverityArg>,
    /// Criteria as `inspector2`'s `filterCriteria`, in JSON; what else is named is added to them.
    #[arg(long, value_name = "JSON")]
    pub(crate) criteria: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Sbom {
    #[command(subcommand)]
    pub(crate) what: SbomWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SbomWhat {
    /// Sends a bill of materials (CycloneDX or SPDX): what it describes is watched from now on.
    Push {
        /// The file.
        file: PathBuf,
        /// What it describes is called so; the next one of this name replaces it. Without it, the file's name.
        #[arg(long)]
        name: Option<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Takes in that what one described is gone: its findings close.
    Remove {
        /// The name.
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Clusters {
    #[command(subcommand)]
    pub(crate) what: ClustersWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClustersWhat {
    /// Tells which images run in a cluster now, all of them: what `kubectl get pods --all-namespaces --output json` prints, or a line
    /// for each container with `host/repository@sha256:…`.
    Tell {
        /// The cluster's name.
        name: String,
        /// The file, `-` for standard input.
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// The clusters, and what each told last.
    List(Json),
    /// Forgets a cluster: nothing is in use by it any more.
    Remove {
        /// The name.
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Vex {
    #[command(subcommand)]
    pub(crate) what: VexWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VexWhat {
    /// Sends a document (OpenVEX, CSAF, CycloneDX): what it says is in force at once, and the findings that it suppresses name it.
    Push {
        /// The file.
        file: PathBuf,
        /// It is called so; the next one of this name replaces it. Without it, the file's name.
        #[arg(long)]
        name: Option<String>,
    },
    /// The documents, and how many of their statements are in force.
    List(Json),
    /// Removes a document: what it suppressed is active at once.
    Remove {
        /// The name.
        name: String,
    },
}
