//! Every key there is. Files, environment variables and the documentation are read off this one table.

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Flag,
    /// A whole number in this range.
    Number(u64, u64),
    List,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// A key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The default; `{state}` and the like are folders of the user or the system.
    pub(crate) default: &'static str,
    /// Whether its value may hold a secret: it is then never shown, and refused from a file that others can read.
    pub(crate) secret: bool,
    pub(crate) help: &'static str,
}

impl Key {
    /// Whether a value is a secret: a URL with a password, or with a path that may be a token; or a token itself. Any address may say
    /// who asks.
    pub(crate) fn holds_secret(&self, value: &str) -> bool {
        let says_who_asks = |rest: &str| rest.split(['/', '?', '#', ',']).next().is_some_and(|authority| authority.contains('@'));
        (self.secret && !value.is_empty() && (value.contains("://") || self.name.ends_with("-token")))
            || value.split("://").skip(1).any(says_who_asks)
    }
}

const fn key(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Key {
    Key { name, kind, default, secret: false, help }
}

const fn secret(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Key {
    Key { name, kind, default, secret: true, help }
}

/// The keys, by name.
pub(crate) const KEYS: &[Key] = &[
    key("account", Kind::Text, "000000000000", "The account number, twelve digits, under which resources outside AWS are kept."),
    key(
        "agent-stale-after",
        Kind::Number(1, 2_592_000),
        "3600",
        "Seconds without a word from an agent after which what is known of its host is stale.",
    ),
    key("allow-private-targets", Kind::Flag, "false", "Whether webhooks may be on this machine or a private network."),
    key(
        "alpine-rejections-url",
        Kind::Text,
        "https://gitlab.alpinelinux.org/alpine/security/security-rejections/-/raw/master",
        "The folder of what Alpine's security team rejected.",
    ),
    key("alpine-releases", Kind::List, "v3.19,v3.20,v3.21,v3.22,v3.23", "Alpine's releases whose secdb is fetched, separated by commas."),
    key("alpine-secdb-url", Kind::Text, "https://secdb.alpinelinux.org", "Where Alpine's secdb is."),
    key(
        "amazon-linux-repositories",
        Kind::List,
        "al2023/core,al2023/kernel-livepatch,al2023/nvidia,2/core,2/extras",
        "The repositories of Amazon Linux whose updates are fetched, separated by commas; `2/extras` are all extras of its second release.",
    ),
    key("amazon-linux-url", Kind::Text, "https://cdn.amazonlinux.com", "Where Amazon Linux's repositories are."),
    key("arch-url", Kind::Text, "https://security.archlinux.org/all.json", "Where the JSON of Arch Linux's security tracker is."),
    key(
        "auto-update",
        Kind::Flag,
        "true",
        "Whether a scan fetches feeds that it needs and that were never brought in, and `serve` keeps those that it needs fresh.",
    ),
    key("aws", Kind::Text, "auto", "Whether `serve` watches AWS: `auto` where there are credentials, `on`, `off`."),
    key("aws-accounts", Kind::List, "", "Accounts besides the credentials' own that are watched, separated by commas."),
    key(
        "aws-agentless",
        Kind::Flag,
        "true",
        "Whether the disks of instances that SSM does not manage are read, from snapshots that are deleted again.",
    ),
    key(
        "aws-deep-paths",
        Kind::List,
        "/usr/lib,/usr/lib64,/usr/local/lib,/usr/local/lib64",
        "Folders of EC2 instances in which packages of languages are looked for, separated by commas.",
    ),
    key("aws-eks", Kind::Flag, "true", "Whether the API servers of clusters of EKS are asked which images their pods run."),
    secret("aws-external-id", Kind::Text, "", "The external id that the role in other accounts asks for."),
    key(
        "aws-function-idle-days",
        Kind::Number(0, 455),
        "90",
        "Days without an invocation or a change after which a function is no longer watched; 0 watches all.",
    ),
    key(
        "aws-function-versions",
        Kind::Choice(&["latest", "all"]),
        "latest",
        "Which versions of functions are watched: `latest`, what runs when nobody names one, or `all`.",
    ),
    key(
        "aws-gone-after",
        Kind::Number(0, 3_600),
        "90",
        "Seconds that something is missing from what AWS lists before it counts as gone, where no event says that it ended.",
    ),
    key("aws-interval", Kind::Number(1, 86_400), "3600", "Seconds between two looks at the whole of AWS."),
    key(
        "aws-inventory-bucket",
        Kind::Text,
        "",
        "s3://bucket/prefix: where a resource data sync writes the inventories that SSM itself does not tell us.",
    ),
    key(
        "aws-machine-image-days",
        Kind::Number(0, 3650),
        "30",
        "Days after a machine image was made or launched last in which it is watched, used by an instance or not; 0 watches none at all.",
    ),
    key("aws-organization", Kind::Flag, "false", "Whether every account of the organisation is watched, as Organizations lists them."),
    key("aws-queue", Kind::Text, "", "The URL of the SQS queue that AWS's events come to."),
    key("aws-regions", Kind::List, "", "The regions that are watched, separated by commas; by default that of the credentials."),
    key(
        "aws-registry-rules",
        Kind::Flag,
        "false",
        "Whether of ECR only repositories are watched that the registry's own scanning configuration has scanned.",
    ),
    key(
        "aws-repositories",
        Kind::List,
        "",
        "Patterns of the repositories of ECR that are watched, or with `!` that are not, separated by commas; by default all.",
    ),
    key(
        "aws-role",
        Kind::Text,
        "LestradeRead",
        "The role that is taken on in other accounts, by name or ARN; `{account}` stands for the account's number.",
    ),
    key(
        "aws-run-command",
        Kind::Flag,
        "true",
        "Whether instances that SSM manages are asked what is installed in them, by a script that only reads.",
    ),
    key(
        "azurelinux-oval-url",
        Kind::Text,
        "https://raw.githubusercontent.com/microsoft/AzureLinuxVulnerabilityData/main",
        "The folder of Azure Linux's OVAL definitions.",
    ),
    key(
        "bottlerocket-url",
        Kind::Text,
        "https://github.com/bottlerocket-os/bottlerocket-core-kit/archive/refs/heads/develop.zip",
        "The archive of the source tree in which Bottlerocket's advisories are.",
    ),
    key(
        "bundle-days",
        Kind::Number(1, 3650),
        "30",
        "Days after which a bundle of intelligence that is made here is not to be taken any more.",
    ),
    key("bundle-keys", Kind::List, "", "The keys by which bundles of intelligence are trusted, separated by commas."),
    key("cache-dir", Kind::Text, "{cache}", "What may be lost: results of layers that were read before."),
    key("chainguard-secdb-url", Kind::Text, "https://packages.cgr.dev/chainguard", "The folder of Chainguard's security.json."),
    key(
        "cve-list-changes-url",
        Kind::Text,
        "https://raw.githubusercontent.com/CVEProject/cvelistV5/main/cves/deltaLog.json",
        "The log of the CVE list's changes, beside which its records are.",
    ),
    key(
        "cve-list-url",
        Kind::Text,
        "",
        "The archive of the CVE list (https://github.com/CVEProject/cvelistV5/archive/refs/heads/main.zip), with CISA's scores and answers: \
         off by default, because it is half a gigabyte.",
    ),
    key("db-dir", Kind::Text, "{state}/db", "Generations of vulnerability intelligence."),
    key(
        "debian-tracker-url",
        Kind::Text,
        "https://security-tracker.debian.org/tracker/data/json",
        "Where the Debian security tracker's JSON is.",
    ),
    key(
        "endoflife-url",
        Kind::Text,
        "https://endoflife.date/api/v1/products/full",
        "Where it is said until when operating systems are looked after.",
    ),
    key("epss-url", Kind::Text, "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz", "Where EPSS's scores are."),
    key(
        "exploit-db-url",
        Kind::Text,
        "https://gitlab.com/exploit-database/exploitdb/-/raw/main/files_exploits.csv",
        "Where Exploit-DB's list is. `db update` fetches it; a scan by itself does not.",
    ),
    key(
        "exports",
        Kind::Choice(&["folder", "s3"]),
        "folder",
        "Where reports of AWS's clients are written: the folder `exports` of the state folder, or buckets of `s3`.",
    ),
    key("exports-buckets", Kind::List, "", "The buckets that reports may be written to, separated by commas; by default all that let us."),
    key("exports-endpoint", Kind::Text, "", "The address of what speaks like S3; by default that of the profile, or AWS's own."),
    key("exports-kms", Kind::Flag, "true", "Whether reports in buckets are encrypted with the KMS key that the client names."),
    key("exports-profile", Kind::Text, "", "The profile whose credentials write to buckets; by default what AWS's SDK finds."),
    key(
        "feed-interval",
        Kind::Number(0, 604_800),
        "0",
        "Seconds between two polls of a feed by `serve`; 0 leaves each at its own cadence.",
    ),
    key("folder-interval", Kind::Number(1, 86_400), "5", "Seconds between two looks at a watched folder."),
    key("folders", Kind::List, "", "Folders that `serve` watches, separated by commas: each file directly in one is a resource."),
    key(
        "friends-of-php-url",
        Kind::Text,
        "https://github.com/FriendsOfPHP/security-advisories/archive/refs/heads/master.zip",
        "The archive of FriendsOfPHP's advisories. `db update` fetches it; a scan by itself does not.",
    ),
    key(
        "github-advisories-url",
        Kind::Text,
        "",
        "GitHub's API of global advisories (https://api.github.com/advisories): off by default, because OSV has them too.",
    ),
    secret("github-token", Kind::Text, "", "A token for GitHub's API, with which it may be asked more often."),
    key("host-interval", Kind::Number(1, 86_400), "60", "Seconds between two looks at this machine's package databases."),
    key("host-root", Kind::Text, "/", "The root of the machine that `serve` runs on: in a container, where that is mounted."),
    key(
        "image-push-days",
        Kind::Number(0, 36_500),
        "0",
        "Days after its last push in which an image of a registry is watched, in use or not; 0 for ever.",
    ),
    key(
        "image-use-by",
        Kind::Choice(&["run", "pull"]),
        "run",
        "What a use of an image is: that it runs in a cluster, or that it was pulled from ECR.",
    ),
    key("image-use-days", Kind::Number(0, 36_500), "14", "Days after its last use in which an image is watched whose push is longer ago."),
    key("json-lines", Kind::Text, "", "A file to which `serve` appends every event as a line of JSON."),
    key(
        "kev-url",
        Kind::Text,
        "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json",
        "Where CISA's catalogue of exploited vulnerabilities is.",
    ),
    key("listen", Kind::Text, "127.0.0.1:8780", "Where `serve` listens: loopback only, unless it speaks TLS."),
    key(
        "metasploit-url",
        Kind::Text,
        "https://raw.githubusercontent.com/rapid7/metasploit-framework/master/db/modules_metadata_base.json",
        "Where the list of Metasploit's modules is. `db update` fetches it; a scan by itself does not.",
    ),
    key("mirror-ecosystems", Kind::List, "", "The ecosystems that are wanted of a mirror, separated by commas; all when empty."),
    key("mirror-listen", Kind::Text, "127.0.0.1:8781", "Where `db mirror` listens."),
    secret("mirror-token", Kind::Text, "", "What a mirror asks for, and what is shown to the mirror at `mirror-url`."),
    key(
        "mirror-url",
        Kind::Text,
        "",
        "Another Lestrade's mirror: all intelligence is then taken from it, and feeds are fetched by name only.",
    ),
    key("msrc-url", Kind::Text, "https://api.msrc.microsoft.com/cvrf/v3.0", "Where MSRC's API of Microsoft's security updates is."),
    key(
        "nuclei-url",
        Kind::Text,
        "https://raw.githubusercontent.com/projectdiscovery/nuclei-templates/main/cves.json",
        "Where the CVEs of nuclei's templates are. `db update` fetches them; a scan by itself does not.",
    ),
    secret("nvd-api-token", Kind::Text, "", "The key to NVD's API, with which it may be asked more often."),
    key(
        "nvd-api-url",
        Kind::Text,
        "https://services.nvd.nist.gov/rest/json/cves/2.0",
        "NVD's API, which tells what changed since its files were written. `db update` asks it; a scan by itself does not.",
    ),
    key(
        "nvd-url",
        Kind::Text,
        "https://nvd.nist.gov/feeds/json/cve/2.0",
        "The folder of NVD's yearly files. `db update` fetches them; a scan by itself only where it finds Conda's packages.",
    ),
    key(
        "nvd-years",
        Kind::List,
        "2003,2004,2005,2006,2007,2008,2009,2010,2011,2012,2013,2014,2015,2016,2017,2018,2019,2020,2021,2022,2023,2024,2025,2026",
        "The years of NVD's files that are fetched, separated by commas.",
    ),
    key(
        "offline",
        Kind::Flag,
        "false",
        "Whether nothing is fetched, neither feeds nor images: commands that answer once cannot open a socket then.",
    ),
    key(
        "oracle-oval-url",
        Kind::Text,
        "https://linux.oracle.com/security/oval/com.oracle.elsa-all.xml.bz2",
        "Where Oracle Linux's OVAL definitions are.",
    ),
    key(
        "osv-ecosystems",
        Kind::List,
        "npm,PyPI,Maven,Go,crates.io,RubyGems,NuGet,Packagist,Pub,Hex,CRAN,Hackage,SwiftURL,ConanCenter,Bitnami,GitHub Actions,Julia,\
         Ubuntu,AlmaLinux,Rocky Linux,Red Hat,SUSE,openSUSE,Wolfi,Chainguard,Azure Linux,Photon OS",
        "The ecosystems of OSV that are fetched, as its folders are named, separated by commas.",
    ),
    key("osv-url", Kind::Text, "https://osv-vulnerabilities.storage.googleapis.com", "Where OSV's dumps are."),
    key("partition", Kind::Text, "aws", "The partition of ARNs."),
    key("photon-releases", Kind::List, "3.0,4.0,5.0", "The releases of Photon OS whose data is fetched, separated by commas."),
    key("photon-url", Kind::Text, "https://packages.broadcom.com/photon/photon_cve_metadata", "The folder of Photon OS's data."),
    key(
        "redhat-csaf-url",
        Kind::Text,
        "https://security.access.redhat.com/data/csaf/v2/vex",
        "The folder of Red Hat's VEX documents with their archive.",
    ),
    key("region", Kind::Text, "us-east-1", "The region under which resources outside AWS are kept; clients sign for it."),
    key(
        "registries",
        Kind::List,
        "",
        "What of which registries `serve` watches, separated by commas: host[:port], or host[:port]/repository, where the repository may be a pattern.",
    ),
    key(
        "registry-interval",
        Kind::Number(1, 86_400),
        "30",
        "Seconds between two looks at the whole of a registry; it may say itself when something moves.",
    ),
    key("intelligence-interval", Kind::Number(1, 86_400), "2", "Seconds between two looks for new intelligence."),
    key(
        "remember-digests",
        Kind::Flag,
        "true",
        "Whether the digests of a local image are remembered while its files are as they were, so that it is not hashed again (ADR 41).",
    ),
    key(
        "report-mode",
        Kind::Choice(&["full", "inspector"]),
        "full",
        "What is reported: `full`, or `inspector`: of operating systems only what Amazon Inspector would.",
    ),
    key(
        "rubysec-url",
        Kind::Text,
        "https://github.com/rubysec/ruby-advisory-db/archive/refs/heads/master.zip",
        "The archive of the Ruby advisory database. `db update` fetches it; a scan by itself does not.",
    ),
    key("rules", Kind::Text, "", "A folder (or file) of rules and targets for events; read again whenever it changes."),
    key("state-dir", Kind::Text, "{state}", "What must not be lost."),
    secret("store", Kind::Text, "{state}/state.db", "Where truth is kept: an SQLite file, or postgres://…"),
    key(
        "suse-csaf-url",
        Kind::Text,
        "https://ftp.suse.com/pub/projects/security/csaf-vex",
        "The folder of SUSE's VEX documents, beside which their archive is. `db update` fetches it; a scan by itself does not.",
    ),
    key(
        "tls-certificate",
        Kind::Text,
        "",
        "The certificate that `serve` and `db mirror` speak TLS with, and those above it: a PEM file. With `tls-key` they may listen beyond this machine.",
    ),
    key("tls-key", Kind::Text, "", "The private key of that certificate: a PEM file that not everybody may read."),
    key(
        "ubuntu-osv-url",
        Kind::Text,
        "",
        "The archive of Ubuntu's own OSV records (https://security-metadata.canonical.com/osv/osv-all.tar.xz): off by default, because \
         OSV has them too.",
    ),
    key(
        "ubuntu-vex-url",
        Kind::Text,
        "",
        "The archive of Ubuntu's VEX (https://security-metadata.canonical.com/vex/vex-all.tar.xz), which says why something has no fix: \
         off by default, because it is large.",
    ),
    key("watch-host", Kind::Flag, "true", "Whether `serve` watches the machine that it runs on."),
    key("wolfi-secdb-url", Kind::Text, "https://packages.wolfi.dev/os", "The folder of Wolfi's security.json."),
    secret("webhook", Kind::Text, "", "A URL to which `serve` posts every event."),
];
