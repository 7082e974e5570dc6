//! The feeds that are fetched: where each is, what of an index it brings, and how its next state is judged.

use crate::formats::{ALPINE_FEED, alpine_prefix};
use lestrade_matching::Manifest;
use lestrade_model::{Advisory, Ecosystem, ExploitSource, Family};
use std::fmt;
use std::time::Duration;

/// The feed of OSV's records.
pub(crate) const OSV_FEED: &str = "osv";

/// At the end of what ids begin with: one capital letter.
const A_LETTER: &str = "[A-Z]";

/// Whether an id begins so.
fn begins(id: &str, prefix: &str) -> bool {
    match prefix.strip_suffix(A_LETTER) {
        Some(prefix) => id.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase())),
        None => id.starts_with(prefix),
    }
}

/// What a feed brings: the part of an index that its next state replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedScope {
    /// The records of OSV all of whose packages are of one family.
    Osv(Family),
    /// The Debian security tracker.
    DebianTracker,
    /// One release and repository of Alpine's secdb.
    AlpineSecdb {
        /// `v3.20`.
        release: String,
        /// `main`, `community`.
        repository: String,
    },
    /// The records of a feed of its own.
    Records {
        /// The feed under which they are kept.
        feed: &'static str,
        /// What their ids begin with, where a feed comes in parts; `[A-Z]` at its end is any capital.
        prefix: String,
        /// Whose packages they are about, where that is one distribution's.
        ecosystem: Option<Ecosystem>,
    },
    /// EPSS.
    Epss,
    /// CISA's catalogue of exploited vulnerabilities.
    Kev,
    /// A collection of exploits.
    Exploits(ExploitSource),
    /// Until when operating systems are looked after.
    Lifecycles,
}

/// The way from a feed's address to its next state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The address is that of a file.
    File,
    /// A dump of OSV's, beside which lies the list of its changes.
    OsvDump,
    /// A package repository (`repodata/repomd.xml`), or a list of its mirrors.
    Repository,
    /// The catalogue of Amazon Linux 2's extras, each of which is a repository.
    AmazonExtras,
    /// A folder of CSAF documents with an archive of them and lists of changes.
    CsafArchive,
    /// A folder of CSAF documents with a list of changes; the archive of all lies beside it.
    CsafFolder,
    /// An archive of a source tree, whose documents are below a folder. What else is in it is the tree's and not the feed's.
    SourceTree(&'static str),
    /// An archive of the CVE list, and elsewhere a log of its changes (`deltaLog.json`) beside which its records are.
    CveList,
    /// MSRC's API: a list of monthly documents with the time of their last change.
    MsrcMonths,
    /// NVD's API: pages of what changed in a window of time.
    NvdChanges,
    /// GitHub's API: pages in the order of their last change.
    GithubPages,
}

/// What a service knows its users by. It is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FeedKey(pub String);

impl fmt::Debug for FeedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "…" })
    }
}

impl FeedScope {
    /// Whether something of it is in an index, whoever brought it in.
    #[must_use]
    pub fn is_in(&self, manifest: &Manifest) -> bool {
        let has = |feed: &str| manifest.feeds.iter().any(|state| state.feed == feed);
        match self {
            Self::Osv(family) => manifest.ecosystems.iter().any(|(ecosystem, _)| ecosystem.family == *family),
            Self::DebianTracker => has("debian-tracker") || manifest.ecosystems.iter().any(|(e, _)| e.family == Family::Debian),
            Self::AlpineSecdb { release, .. } => manifest.speaks_of(&Ecosystem::release(Family::Alpine, release)),
            Self::Records { ecosystem: Some(ecosystem), .. } => manifest.speaks_of(ecosystem),
            Self::Records { feed, .. } => has(feed),
            Self::Epss => has("epss"),
            Self::Kev => has("kev"),
            Self::Exploits(source) => has(source.as_str()),
            Self::Lifecycles => has("endoflife"),
        }
    }

    /// The feed under which its records are kept; none for what is no record.
    pub(crate) const fn feed(&self) -> Option<&'static str> {
        match self {
            Self::Osv(_) => Some(OSV_FEED),
            Self::DebianTracker => Some("debian-tracker"),
            Self::AlpineSecdb { .. } => Some(ALPINE_FEED),
            Self::Records { feed, .. } => Some(feed),
            Self::Epss | Self::Kev | Self::Exploits(_) | Self::Lifecycles => None,
        }
    }

    /// Whether a record is one of this feed's, by all that its key tells. Of OSV's records their packages tell more.
    pub(crate) fn may_hold(&self, feed: &str, id: &str) -> bool {
        self.feed() == Some(feed)
            && match self {
                Self::AlpineSecdb { release, repository } => id.starts_with(&alpine_prefix(release, repository)),
                Self::Records { prefix, .. } => begins(id, prefix),
                _ => true,
            }
    }

    /// Whether a record is one of this feed's.
    pub(crate) fn holds(&self, advisory: &Advisory) -> bool {
        self.may_hold(&advisory.key.feed, &advisory.key.id)
            && match self {
                Self::Osv(family) => {
                    !advisory.affected.is_empty() && advisory.affected.iter().all(|affected| affected.ecosystem.family == *family)
                }
                _ => true,
            }
    }
}

impl Feed {
    /// How often it is asked for what is new: about as often as its publisher has something, and seldom where each answer is the
    /// whole of a large file.
    #[must_use]
    pub const fn cadence(&self) -> Duration {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        let seconds = match (&self.scope, self.route) {
            // The list of changes is small, and new all the time.
            (FeedScope::Osv(_), _) | (_, Route::CsafArchive) => 15 * MINUTE,
            // NVD asks for no more than one look in two hours.
            (_, Route::NvdChanges | Route::GithubPages | Route::CsafFolder | Route::CveList) => 2 * HOUR,
            (FeedScope::Kev, _) => 30 * MINUTE,
            (FeedScope::DebianTracker | FeedScope::AlpineSecdb { .. }, _) | (_, Route::Repository | Route::AmazonExtras) => HOUR,
            // One a day, at a time that is not promised.
            (FeedScope::Epss, _) => 3 * HOUR,
            (FeedScope::Records { ecosystem: None, .. } | FeedScope::Exploits(_) | FeedScope::Lifecycles, _) => 12 * HOUR,
            (FeedScope::Records { .. }, _) => 2 * HOUR,
        };
        Duration::from_secs(seconds)
    }
}

/// A feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// Its name: `osv/npm`, `debian-tracker`, `alpine-secdb/v3.20/main`, `epss`, `kev`.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// How to get it from there.
    pub route: Route,
    /// What it brings.
    pub scope: FeedScope,
    /// What is shown where it is.
    pub key: FeedKey,
    /// Where its changes are listed, if that is another place; empty if it is not.
    pub changes: String,
}

/// Where feeds are. An empty address turns a feed off.
#[derive(Clone, Debug, Default)]
pub struct FeedPlaces {
    /// The folder of OSV's dumps.
    pub osv: String,
    /// OSV's ecosystems, as its folders are named.
    pub osv_ecosystems: Vec<String>,
    /// The Debian tracker's JSON.
    pub debian_tracker: String,
    /// The folder of Alpine's secdb.
    pub alpine_secdb: String,
    /// Alpine's releases: `v3.20`.
    pub alpine_releases: Vec<String>,
    /// The folder of what Alpine's security team rejected.
    pub alpine_rejections: String,
    /// The folder of Wolfi's `security.json`.
    pub wolfi_secdb: String,
    /// The folder of Chainguard's `security.json`.
    pub chainguard_secdb: String,
    /// The folder of Red Hat's VEX documents.
    pub redhat_csaf: String,
    /// The folder of SUSE's VEX documents.
    pub suse_csaf: String,
    /// The archive of Ubuntu's own OSV records.
    pub ubuntu_osv: String,
    /// The archive of Ubuntu's VEX documents.
    pub ubuntu_vex: String,
    /// The archive of the source tree in which Bottlerocket's advisories are.
    pub bottlerocket: String,
    /// The archive of the Ruby advisory database.
    pub rubysec: String,
    /// The archive of FriendsOfPHP's advisories.
    pub friends_of_php: String,
    /// The host of Amazon Linux's repositories.
    pub amazon_linux: String,
    /// Amazon Linux's repositories: `al2023/core`, `2/extras/kernel-5.15`; `2/extras` are all extras of the second.
    pub amazon_linux_repositories: Vec<String>,
    /// Oracle's OVAL definitions.
    pub oracle_oval: String,
    /// The folder of Azure Linux's OVAL definitions.
    pub azurelinux_oval: String,
    /// The folder of Photon's data.
    pub photon: String,
    /// Photon's releases: `5.0`.
    pub photon_releases: Vec<String>,
    /// The folder of NVD's yearly files.
    pub nvd: String,
    /// The years of NVD's files.
    pub nvd_years: Vec<String>,
    /// NVD's CVE API, which tells what changed since its files were written.
    pub nvd_api: String,
    /// The key to it, with which it may be asked more often.
    pub nvd_api_key: FeedKey,
    /// The archive of the CVE list.
    pub cve_list: String,
    /// The log of its changes.
    pub cve_list_changes: String,
    /// MSRC's CVRF API.
    pub msrc: String,
    /// The JSON of Arch Linux's security tracker.
    pub arch: String,
    /// GitHub's API of global advisories.
    pub github: String,
    /// A token for it.
    pub github_token: FeedKey,
    /// EPSS's CSV.
    pub epss: String,
    /// KEV's JSON.
    pub kev: String,
    /// Exploit-DB's CSV.
    pub exploit_db: String,
    /// The JSON of Metasploit's modules.
    pub metasploit: String,
    /// The CVEs of nuclei's templates.
    pub nuclei: String,
    /// The JSON of endoflife.date's products.
    pub endoflife: String,
}

impl FeedPlaces {
    /// Every feed.
    #[must_use]
    pub fn feeds(&self) -> Vec<Feed> {
        let mut all: Vec<Feed> = self.osv_ecosystems.iter().map(|ecosystem| self.osv(ecosystem)).collect();
        all.push(file("debian-tracker", &self.debian_tracker, FeedScope::DebianTracker));
        all.extend(self.alpine_releases.iter().flat_map(|release| self.alpine(release)));
        all.extend(self.alpine_rejections());
        all.extend(self.distributors());
        all.extend(self.second_sources());
        all.extend(self.nvd_years.iter().map(|year| {
            let url = below(&self.nvd, &format!("nvdcve-2.0-{year}.json.gz"));
            file(&format!("nvd/{year}"), &url, records("nvd", &format!("CVE-{year}-")))
        }));
        // Behind the years, so that it has the last word.
        all.push(Feed {
            route: Route::NvdChanges,
            key: self.nvd_api_key.clone(),
            ..file("nvd/changes", &self.nvd_api, records("nvd", "CVE-"))
        });
        all.push(Feed {
            route: Route::CveList,
            changes: self.cve_list_changes.clone(),
            ..file("cve-list", &self.cve_list, records("cve", "CVE-"))
        });
        all.push(Feed {
            route: Route::GithubPages,
            key: self.github_token.clone(),
            ..file("github", &self.github, records("github", "GHSA-"))
        });
        all.push(file("epss", &self.epss, FeedScope::Epss));
        all.push(file("kev", &self.kev, FeedScope::Kev));
        for (source, url) in [
            (ExploitSource::ExploitDb, &self.exploit_db),
            (ExploitSource::Metasploit, &self.metasploit),
            (ExploitSource::Nuclei, &self.nuclei),
        ] {
            all.push(file(source.as_str(), url, FeedScope::Exploits(source)));
        }
        all.push(file("endoflife", &self.endoflife, FeedScope::Lifecycles));
        all.retain(|feed| !feed.url.is_empty());
        all
    }

    /// What is told of packages of which another feed speaks too, so that no scan needs it: more statuses, scores and texts.
    fn second_sources(&self) -> Vec<Feed> {
        vec![
            Feed { route: Route::CsafFolder, ..file("suse-csaf", &self.suse_csaf, records("suse-csaf", "CVE-")) },
            file("ubuntu-osv", &self.ubuntu_osv, FeedScope::Osv(Family::Ubuntu)),
            file("ubuntu-vex", &self.ubuntu_vex, records("ubuntu-vex", "CVE-")),
            Feed { route: Route::SourceTree("gems/"), ..file("rubysec", &self.rubysec, records("rubysec", "")) },
            Feed { route: Route::SourceTree(""), ..file("friends-of-php", &self.friends_of_php, records("friends-of-php", "")) },
        ]
    }

    /// The feeds of distributors that are one file or folder each.
    fn distributors(&self) -> Vec<Feed> {
        let of = |feed: &'static str, prefix: &str, ecosystem: Ecosystem| FeedScope::Records {
            feed,
            prefix: prefix.to_owned(),
            ecosystem: Some(ecosystem),
        };
        let mut all = vec![
            file("wolfi-secdb", &below(&self.wolfi_secdb, "security.json"), of("wolfi-secdb", "", Ecosystem::of(Family::Wolfi))),
            file(
                "chainguard-secdb",
                &below(&self.chainguard_secdb, "security.json"),
                of("chainguard-secdb", "", Ecosystem::of(Family::Chainguard)),
            ),
            file("oracle-oval", &self.oracle_oval, of("oracle-oval", "", Ecosystem::of(Family::Oracle))),
            file(
                "azurelinux-oval/3",
                &below(&self.azurelinux_oval, "azurelinux-3.0-oval.xml"),
                of("azurelinux-oval", "oval:com.microsoft.azurelinux", Ecosystem::release(Family::AzureLinux, "3")),
            ),
            file(
                "azurelinux-oval/2",
                &below(&self.azurelinux_oval, "cbl-mariner-2.0-oval.xml"),
                of("azurelinux-oval", "oval:com.microsoft.cbl-mariner", Ecosystem::release(Family::AzureLinux, "2")),
            ),
            file("arch", &self.arch, of("arch", "AVG-", Ecosystem::of(Family::Arch))),
            Feed { route: Route::MsrcMonths, ..file("msrc", &self.msrc, of("msrc", "CVE-", Ecosystem::of(Family::Windows))) },
            Feed {
                route: Route::SourceTree("advisories/"),
                ..file("bottlerocket", &self.bottlerocket, of("bottlerocket", "", Ecosystem::of(Family::Bottlerocket)))
            },
            Feed {
                route: Route::CsafArchive,
                ..file("redhat-csaf", &self.redhat_csaf, of("redhat-csaf", "", Ecosystem::of(Family::RedHat)))
            },
        ];
        all.extend(self.photon_releases.iter().map(|release| {
            let url = below(&self.photon, &format!("cve_data_photon{release}.json"));
            file(&format!("photon/{release}"), &url, of("photon", &format!("{release}/"), Ecosystem::release(Family::Photon, release)))
        }));
        all.extend(
            self.amazon_linux_repositories.iter().filter(|_| !self.amazon_linux.is_empty()).map(|repository| self.amazon(repository)),
        );
        all
    }

    /// A repository of Amazon Linux, with the ids that its updates have.
    fn amazon(&self, repository: &str) -> Feed {
        let base = self.amazon_linux.trim_end_matches('/');
        let (generation, path) = repository.split_once('/').unwrap_or((repository, "core"));
        if repository == "2/extras" {
            let scope = FeedScope::Records {
                feed: "updateinfo",
                prefix: format!("ALAS2{A_LETTER}"),
                ecosystem: Some(Ecosystem::release(Family::Amazon, "2")),
            };
            let url = format!("{base}/2/extras-catalog.json");
            return Feed { route: Route::AmazonExtras, ..file(&format!("amazon-linux/{repository}"), &url, scope) };
        }
        let (release, url) = match generation.strip_prefix("al") {
            Some(year) => (year, format!("{base}/{generation}/{path}/mirrors/latest/x86_64/mirror.list")),
            None => (generation, format!("{base}/{generation}/{path}/latest/x86_64/mirror.list")),
        };
        let topic = path.rsplit('/').next().unwrap_or(path);
        let topic = match topic {
            "core" => String::new(),
            "kernel-livepatch" => "LIVEPATCH".to_owned(),
            topic => topic.to_ascii_uppercase(),
        };
        let scope = FeedScope::Records {
            feed: "updateinfo",
            prefix: format!("ALAS{release}{topic}-"),
            ecosystem: Some(Ecosystem::release(Family::Amazon, release)),
        };
        Feed { route: Route::Repository, ..file(&format!("amazon-linux/{repository}"), &url, scope) }
    }

    fn osv(&self, ecosystem: &str) -> Feed {
        let family = ecosystem.parse::<Ecosystem>().map_or_else(|_| Family::Other(ecosystem.to_owned()), |parsed| parsed.family);
        let folder = ecosystem.replace(' ', "%20");
        Feed {
            name: format!("osv/{ecosystem}"),
            url: below(&self.osv, &format!("{folder}/all.zip")),
            route: Route::OsvDump,
            scope: FeedScope::Osv(family),
            key: FeedKey::default(),
            changes: String::new(),
        }
    }

    /// What Alpine's security team rejected, by repository and for all releases.
    fn alpine_rejections(&self) -> Vec<Feed> {
        let one = |repository: &str| {
            let url = below(&self.alpine_rejections, &format!("{repository}.yaml"));
            file(&format!("alpine-rejections/{repository}"), &url, records("alpine-rejections", &format!("{repository}/")))
        };
        vec![one("main"), one("community")]
    }

    fn alpine(&self, release: &str) -> Vec<Feed> {
        let one = |repository: &str| {
            let scope = FeedScope::AlpineSecdb { release: release.to_owned(), repository: repository.to_owned() };
            let url = below(&self.alpine_secdb, &format!("{release}/{repository}.json"));
            file(&format!("alpine-secdb/{release}/{repository}"), &url, scope)
        };
        vec![one("main"), one("community")]
    }

    /// The feeds of a name: one, or all below it (`osv`, `alpine-secdb/v3.20`).
    #[must_use]
    pub fn named(&self, name: &str) -> Vec<Feed> {
        let below = |feed: &Feed| feed.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.feeds().into_iter().filter(below).collect()
    }

    /// The feeds that are needed to judge packages of these ecosystems, with what is known of exploitation.
    #[must_use]
    pub fn needed(&self, ecosystems: &[Ecosystem]) -> Vec<Feed> {
        let distributors: Vec<Family> = self
            .distributors()
            .into_iter()
            .filter(|feed| !feed.url.is_empty())
            .filter_map(|feed| match feed.scope {
                FeedScope::Records { ecosystem, .. } => ecosystem.map(|ecosystem| ecosystem.family),
                _ => None,
            })
            .collect();
        let speaks = |feed: &Feed| match &feed.scope {
            FeedScope::Osv(family) => {
                // Where a distribution's own feed is fetched, OSV's copy of it is not needed.
                let own = matches!(family, Family::Debian | Family::Alpine) || distributors.contains(family);
                !own && ecosystems.iter().any(|ecosystem| ecosystem.family == *family)
            }
            FeedScope::DebianTracker => ecosystems.iter().any(|ecosystem| ecosystem.family == Family::Debian),
            FeedScope::AlpineSecdb { release, .. } => {
                ecosystems.iter().any(|e| e.family == Family::Alpine && e.release.as_deref() == Some(release.as_str()))
            }
            FeedScope::Records { ecosystem: Some(own), .. } => ecosystems.iter().any(|ecosystem| own.covers(ecosystem)),
            // Of most, scores and texts alone hang on it; of Conda's packages nobody else has advisories.
            FeedScope::Records { feed: "nvd", .. } => {
                feed.route == Route::File && ecosystems.iter().any(|ecosystem| ecosystem.family == Family::Conda)
            }
            // Large, and no finding hangs on them.
            FeedScope::Records { .. } => false,
            FeedScope::Epss | FeedScope::Kev => true,
            FeedScope::Lifecycles => ecosystems.iter().any(|ecosystem| ecosystem.family.is_os()),
            FeedScope::Exploits(_) => false,
        };
        let mut needed: Vec<Feed> = self.feeds().into_iter().filter(speaks).collect();
        // A release that nobody listed is still there.
        for ecosystem in ecosystems.iter().filter(|ecosystem| ecosystem.family == Family::Alpine) {
            let listed = ecosystem.release.as_ref().filter(|release| !self.alpine_releases.contains(release));
            needed.extend(listed.into_iter().flat_map(|release| self.alpine(release)).filter(|feed| !feed.url.is_empty()));
        }
        needed
    }
}

/// The address of a file in a folder; empty where there is no folder, which turns its feed off.
fn below(folder: &str, file: &str) -> String {
    if folder.is_empty() { String::new() } else { format!("{}/{file}", folder.trim_end_matches('/')) }
}

/// A feed that is one file.
fn file(name: &str, url: &str, scope: FeedScope) -> Feed {
    Feed { name: name.to_owned(), url: url.to_owned(), route: Route::File, scope, key: FeedKey::default(), changes: String::new() }
}

/// Records under a feed of their own, that are not about the packages of one distribution.
fn records(feed: &'static str, prefix: &str) -> FeedScope {
    FeedScope::Records { feed, prefix: prefix.to_owned(), ecosystem: None }
}
