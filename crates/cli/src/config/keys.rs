//! Every key there is. Files, environment variables and the documentation are read off this one table.

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Flag,
    /// A whole number in this range.
    Number(u64, u64),
    List,
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

const fn key(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Key {
    Key { name, kind, default, secret: false, help }
}

const fn secret(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Key {
    Key { name, kind, default, secret: true, help }
}

/// The keys, by name.
pub(crate) const KEYS: &[Key] = &[
    key("account", Kind::Text, "000000000000", "The account number, twelve digits, under which resources outside AWS are kept."),
    key("allow-private-targets", Kind::Flag, "false", "Whether webhooks may be on this machine or a private network."),
    key("alpine-releases", Kind::List, "v3.19,v3.20,v3.21,v3.22,v3.23", "Alpine's releases whose secdb is fetched, separated by commas."),
    key("alpine-secdb-url", Kind::Text, "https://secdb.alpinelinux.org", "Where Alpine's secdb is."),
    key("auto-update", Kind::Flag, "true", "Whether a scan fetches feeds that it needs and that were never brought in."),
    key("cache-dir", Kind::Text, "{cache}", "What may be lost: results of layers that were read before."),
    key("db-dir", Kind::Text, "{state}/db", "Generations of vulnerability intelligence."),
    key(
        "debian-tracker-url",
        Kind::Text,
        "https://security-tracker.debian.org/tracker/data/json",
        "Where the Debian security tracker's JSON is.",
    ),
    key("epss-url", Kind::Text, "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz", "Where EPSS's scores are."),
    key("json-lines", Kind::Text, "", "A file to which `serve` appends every event as a line of JSON."),
    key(
        "kev-url",
        Kind::Text,
        "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json",
        "Where CISA's catalogue of exploited vulnerabilities is.",
    ),
    key("listen", Kind::Text, "127.0.0.1:8780", "Where `serve` listens. Loopback only, as long as it speaks no TLS."),
    key("offline", Kind::Flag, "false", "Whether feeds are never fetched. Registries that a scan names still are."),
    key(
        "osv-ecosystems",
        Kind::List,
        "npm,PyPI,Maven,Go,crates.io,RubyGems,NuGet,Packagist,Pub,Hex,CRAN,Hackage,SwiftURL,ConanCenter,Bitnami,GitHub Actions,Julia,\
         Ubuntu,AlmaLinux,Rocky Linux,Red Hat,SUSE,openSUSE,Wolfi,Chainguard,Azure Linux,Photon OS",
        "The ecosystems of OSV that are fetched, as its folders are named, separated by commas.",
    ),
    key("osv-url", Kind::Text, "https://osv-vulnerabilities.storage.googleapis.com", "Where OSV's dumps are."),
    key("partition", Kind::Text, "aws", "The partition of ARNs."),
    key("region", Kind::Text, "us-east-1", "The region under which resources outside AWS are kept; clients sign for it."),
    key("registries", Kind::List, "", "Registries that `serve` watches: host[:port], separated by commas."),
    key("registry-interval", Kind::Number(1, 86_400), "30", "Seconds between two looks at a registry."),
    key("intelligence-interval", Kind::Number(1, 86_400), "2", "Seconds between two looks for new intelligence."),
    key("state-dir", Kind::Text, "{state}", "What must not be lost."),
    secret("store", Kind::Text, "{state}/state.db", "Where truth is kept: an SQLite file, or postgres://…"),
    secret("webhook", Kind::Text, "", "A URL to which `serve` posts every event."),
];
