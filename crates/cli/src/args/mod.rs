//! The command line.

mod agent;
mod estate;
mod scan;

pub(crate) use agent::{Agent, AgentWhat};
pub(crate) use estate::{
    Clusters, ClustersWhat, CoverageArgs, FindingsArgs, Json, NewRule, ResourcesArgs, Sbom, SbomWhat, StatusArg, Suppress, SuppressWhat,
    Vex, VexWhat,
};
pub(crate) use scan::{Format, Gate, ImageArgs, Output, ReportArgs, Scan, ScanWhat, SeverityArg, WalkArgs};

use crate::config::Sources;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// The command line as other scanners have it: `image X` is `scan image X`.
pub(crate) fn with_scan(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    const BARE: [&str; 10] = ["image", "fs", "filesystem", "rootfs", "repo", "repository", "host", "disk", "function", "sbom"];
    let mut arguments: Vec<OsString> = arguments.collect();
    let word = |at: usize| arguments.get(at).and_then(|word: &OsString| word.to_str());
    let is_own = word(1) == Some("sbom") && matches!(word(2), Some("push" | "remove"));
    if !is_own && word(1).is_some_and(|first| BARE.contains(&first)) {
        arguments.insert(1, "scan".into());
    }
    arguments
}

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
    /// When to colour.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", alias = "colour")]
    pub(crate) color: When,
    /// Fetches nothing: neither intelligence nor images. The program then cannot open a socket, and stops if it has to.
    #[arg(long, global = true, alias = "skip-db-update")]
    offline: bool,
    /// Says nothing but the answer and errors.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Says more about how the answer came about.
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

impl Command {
    /// Whether it has to listen, or to ask a server on this machine: nothing else is done by a socket while `offline` is set.
    pub(crate) const fn is_of_a_server(&self) -> bool {
        match self {
            Self::Serve(_)
            | Self::Agent(_)
            | Self::Status(_)
            | Self::Findings(_)
            | Self::Resources(_)
            | Self::Coverage(_)
            | Self::Suppress(_)
            | Self::Vex(_)
            | Self::Sbom(_)
            | Self::Clusters(_)
            | Self::Events(_)
            | Self::Targets(_)
            | Self::Rules(_) => true,
            Self::Db(db) => matches!(db.what, DbWhat::Mirror(_)),
            _ => false,
        }
    }
}

impl Cli {
    /// Where the configuration comes from.
    pub(crate) fn config_sources(&self) -> Sources {
        let offline = self.offline.then(|| "offline=true".to_owned());
        Sources { file: self.config.clone(), flags: self.set.iter().cloned().chain(offline).collect() }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answers once: what is vulnerable in this image, machine, function, directory or bill of materials?
    Scan(Scan),
    /// Why a vulnerability matches, why it scores as it does, and how to be rid of it.
    Explain(Explain),
    /// What is new, gone or changed between two scans.
    Diff(Diff),
    /// What a network lets in: from which sources, on which ports, by which way.
    Exposure(ExposureArgs),
    /// How the server stands: intelligence, resources, findings, targets, audit.
    Status(Json),
    /// What is vulnerable in what the server watches.
    Findings(FindingsArgs),
    /// What the server watches.
    Resources(ResourcesArgs),
    /// How well each resource is looked at, and why one is not.
    Coverage(CoverageArgs),
    /// Rules that hide findings, each with a reason, an owner and an end.
    Suppress(Suppress),
    /// What suppliers say of vulnerabilities in their products (VEX): suppressions that name their documents.
    Vex(Vex),
    /// Bills of materials that the server keeps: sent to it, and taken back.
    Sbom(Sbom),
    /// Clusters: which images run in each.
    Clusters(Clusters),
    /// Other machines: each tells of itself by an agent.
    Agent(Agent),
    /// Rules for events: what is there, and what each would do.
    Rules(RulesArgs),
    /// What the server told, and telling it again.
    Events(EventsArgs),
    /// Those that get the events: how they stand, and what they did not take.
    Targets(TargetsArgs),
    /// Vulnerability intelligence: bring in, look at.
    Db(Db),
    /// Never stops watching.
    Serve(Serve),
    /// AWS: what an account needs so that it is watched.
    Aws(AwsArgs),
    /// Whether all that is needed is there, one by one, and what to do about what is not.
    Doctor(Doctor),
    /// Keys with which AWS's clients ask the server: give out, look at, revoke.
    Keys(Keys),
    /// The state in one file: made while the server runs, looked through, put back.
    Backup(BackupArgs),
    /// The configuration in force.
    Config(ConfigArgs),
    /// Prints a script that completes commands in a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Prints the manual page.
    Man,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The vulnerability: a CVE, a GHSA or the id of any advisory.
    #[arg(value_name = "VULNERABILITY")]
    pub(crate) id: String,
    /// Where it was found: an image, a directory, a bill of materials or a report of ours in JSON.
    pub(crate) target: Option<String>,
    /// Also who gets to it in this resource of the running server: package, process, port, opening.
    #[arg(long, value_name = "RESOURCE")]
    pub(crate) resource: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The earlier one: a report of ours in JSON, or anything that can be scanned.
    pub(crate) old: String,
    /// The later one.
    pub(crate) new: String,
    /// Writes a format to a file, or to standard output: table, json.
    #[arg(
        short = 'o',
        long = "output",
        visible_short_alias = 'f',
        alias = "format",
        value_name = "FORMAT[=FILE]",
        default_value = "table"
    )]
    pub(crate) output: Vec<Output>,
    /// Exits with 1 when a new finding meets this, as with `scan`. May be given several times.
    #[arg(long, value_name = "GATE")]
    pub(crate) fail_on: Vec<Gate>,
}

#[derive(Debug, Args)]
pub(crate) struct ExposureArgs {
    /// What describes the network: JSON of AWS's `describe-*` calls, in files or in a folder of them.
    #[arg(required_unless_present = "live", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Asks AWS for the network, in the account and region of the credentials.
    #[arg(long, conflicts_with = "paths")]
    pub(crate) live: bool,
    /// Keeps what AWS told in this file, to be asked again without it.
    #[arg(long, value_name = "FILE", requires = "live")]
    pub(crate) save: Option<PathBuf>,
    /// Writes table, json or svg to standard output.
    #[arg(short = 'o', long = "output", visible_short_alias = 'f', alias = "format", value_name = "FORMAT", default_value = "table")]
    pub(crate) output: Picture,
    /// How much is told: `compatible` is exactly what Inspector finds.
    #[arg(long, value_name = "MODE", default_value = "full")]
    pub(crate) mode: Told,
    /// Tells also where single UDP datagrams get in though replies do not get out.
    #[arg(long, conflicts_with = "from")]
    pub(crate) one_way_udp: bool,
    /// Says what is opened and closed by going over to this description.
    #[arg(long, value_name = "PATH", conflicts_with = "from")]
    pub(crate) what_if: Vec<PathBuf>,
    /// Follows one packet: from this address, instance or interface.
    #[arg(long, value_name = "SOURCE", requires = "to")]
    pub(crate) from: Option<String>,
    /// To this address, instance or interface.
    #[arg(long, value_name = "DESTINATION", requires = "from")]
    pub(crate) to: Option<String>,
    /// To this port.
    #[arg(long, value_name = "PORT", default_value_t = 443)]
    pub(crate) port: u16,
    /// By this protocol: tcp, udp or a number.
    #[arg(long, value_name = "PROTOCOL", default_value = "tcp")]
    pub(crate) protocol: String,
}

#[derive(Debug, Args)]
pub(crate) struct RulesArgs {
    #[command(subcommand)]
    pub(crate) what: RulesWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesWhat {
    /// The rules of a file or folder; without one, those in force at the running server.
    List {
        /// A TOML or JSON file, or a folder of them.
        rules: Option<PathBuf>,
    },
    /// Puts a file of rules into the folder of rules, if all of them are right with it there.
    Add {
        /// A TOML or JSON file.
        file: PathBuf,
    },
    /// Whether a pattern matches events; if not, the first field that does not. Exits with 1 when one does not match.
    Test {
        /// A file with an event pattern.
        pattern: PathBuf,
        /// A file with an event, a list of events, or one on each line.
        event: PathBuf,
    },
    /// Which rules would send which events where, and in which words. Nothing is sent.
    DryRun {
        /// A TOML or JSON file, or a folder of them.
        rules: PathBuf,
        /// A file with an event, a list of events, or one on each line; without one, the last events of the running server.
        events: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    #[command(subcommand)]
    pub(crate) what: EventsWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EventsWhat {
    /// Events as lines of JSON: the last ones, or those after a place in the outbox.
    Tail {
        /// A place in the outbox.
        #[arg(long, value_name = "PLACE")]
        after: Option<u64>,
        /// How many at a time.
        #[arg(short = 'n', long, default_value_t = 100)]
        lines: u16,
        /// Goes on with what comes.
        #[arg(short, long)]
        follow: bool,
    },
    /// Sends a target again what was told after a place in the outbox, under the same ids.
    Replay {
        /// The target's name.
        target: String,
        /// The place; 0 is the first that is kept.
        #[arg(long, value_name = "PLACE")]
        after: u64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TargetsArgs {
    #[command(subcommand)]
    pub(crate) what: TargetsWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TargetsWhat {
    /// The targets, how far behind they are, and what they did not take.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Sends a target an event that says that it is a test.
    Test {
        /// The target's name.
        target: String,
    },
    /// What a target refused or did not take in time.
    DeadLetters {
        /// The target's name.
        target: String,
        /// Those that are still tried, instead.
        #[arg(long)]
        waiting: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Sends dead letters again: all of a target, or one.
    Redrive {
        /// The target's name.
        target: String,
        /// The letter's id.
        id: Option<String>,
    },
    /// What a target would do once somebody approves of it, and what came of what was approved.
    Proposals {
        /// The target's name.
        target: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Has a target do what it proposed for a resource.
    Approve {
        /// The target's name.
        target: String,
        /// The resource.
        resource: String,
    },
    /// Takes back what a target did to a resource, such as isolating an instance.
    Undo {
        /// The target's name.
        target: String,
        /// The resource.
        resource: String,
    },
}

/// How an exposure is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Picture {
    Table,
    Json,
    Svg,
}

/// How much of an exposure is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Told {
    Compatible,
    Full,
}

impl From<Told> for lestrade_reachability::Mode {
    fn from(told: Told) -> Self {
        match told {
            Told::Compatible => Self::Compatible,
            Told::Full => Self::Full,
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
    /// Brings in files of any feed: OSV records, distributors' own formats, NVD, EPSS, KEV; also in folders and archives. Or one
    /// signed bundle, in place of what there is.
    Import {
        /// Files and folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Fetches feeds that changed, over the network.
    Update {
        /// Which: `osv`, `osv/npm`, `debian-tracker`, `redhat-csaf`, `alpine-secdb/v3.20`, `epss`; without any, all of them.
        feeds: Vec<String>,
    },
    /// Writes what there is into one signed file, for machines without a network.
    Export(Export),
    /// Serves what there is to other Lestrades, as signed bundles.
    Mirror(MirrorArgs),
    /// What there is, how old it is, and which generations are kept.
    Status,
    /// Puts an earlier generation back in force; without a number the one before.
    Rollback {
        /// Its number, as `db status` lists it.
        generation: Option<u64>,
    },
    /// What changed between two generations; without numbers, by the last change.
    Diff {
        /// The earlier one's number.
        old: Option<u64>,
        /// The later one's number.
        new: Option<u64>,
    },
    /// Everything that is known of a vulnerability or an advisory.
    Show {
        /// A CVE, a GHSA or the id of any advisory.
        id: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Vulnerabilities whose id, packages or title hold a text.
    Search {
        /// The text, in any case.
        text: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    #[command(subcommand)]
    pub(crate) what: BackupWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupWhat {
    /// Makes a backup. The server may go on meanwhile. Intelligence is not in it: it is fetched anew.
    Create {
        /// The file, which is not there yet; without it one in `backup` of the state folder.
        file: Option<PathBuf>,
    },
    /// Looks a backup through, and restores it to try it.
    Verify {
        /// The file.
        file: PathBuf,
    },
    /// Puts a backup into an empty state, SQLite's or PostgreSQL's, whichever it was made of.
    Restore {
        /// The file.
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The file; `-` is standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Only what changed since this generation, for who has it.
    #[arg(long, value_name = "GENERATION")]
    pub(crate) since: Option<u64>,
    /// Only what concerns packages of these ecosystems, separated by commas: `npm,Debian`.
    #[arg(long, value_name = "ECOSYSTEM,…", value_delimiter = ',')]
    pub(crate) ecosystems: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct MirrorArgs {
    /// Listens where others can reach it, because a proxy that speaks TLS is in front of it. Needs `mirror-token`.
    #[arg(long)]
    pub(crate) behind_proxy: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) what: KeysWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysWhat {
    /// Gives out a key, and prints it for the shell. The secret is shown this once.
    Create {
        /// Its holder's name.
        name: String,
        /// What the holder may do: viewer, triager, operator, admin.
        #[arg(long, value_name = "ROLE", default_value = "viewer")]
        role: String,
        /// The account that the key is for; without it the configured one.
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
        /// Another account that the holder sees. May be given several times. With keys of the server's own account all are seen.
        #[arg(long = "member", value_name = "ACCOUNT")]
        members: Vec<String>,
    },
    /// The keys that were given out, without their secrets.
    List,
    /// Revokes a key, at once.
    Revoke {
        /// Its id.
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Watches this registry: `host[:port]`. May be given several times.
    #[arg(long, value_name = "HOST")]
    pub(crate) registry: Vec<String>,
    /// Watches this folder: each file directly in it (an image archive, a bill of materials, a function's zip, a package) is a
    /// resource. May be given several times.
    #[arg(long, value_name = "PATH")]
    pub(crate) folder: Vec<PathBuf>,
    /// Listens where others can reach it, because a proxy that speaks TLS is in front of it.
    #[arg(long)]
    pub(crate) behind_proxy: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AwsArgs {
    #[command(subcommand)]
    pub(crate) what: AwsWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AwsWhat {
    /// Prints the queue of events, the rules that fill it, the inventories and the permissions that an account needs.
    Setup {
        /// As what.
        #[arg(long, value_enum, default_value = "cloudformation")]
        format: SetupFormat,
        /// Leaves out the permission to ask instances what is installed in them.
        #[arg(long)]
        no_run_command: bool,
        /// Leaves out the permission to read the disks of instances that nobody manages.
        #[arg(long)]
        no_agentless: bool,
        /// Also the permission to send findings on to services of AWS.
        #[arg(long)]
        respond: bool,
        /// Does it, in the account of the credentials: the stack `lestrade` is made, or brought up to date.
        #[arg(long)]
        apply: bool,
    },
}

/// How what an account needs is written.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum SetupFormat {
    /// A template of CloudFormation, in JSON.
    Cloudformation,
    /// A file of Terraform.
    Terraform,
    /// The policy of IAM alone.
    Policy,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// That there are no credentials for AWS is a failure.
    #[arg(long)]
    pub(crate) aws: bool,
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
