//! Feeds for a person: where they are by configuration, how far they are, what came of them.

use super::{bundles, intelligence_failure, library};
use crate::clock::SystemClock;
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Speech;
use crate::progress::Bars;
use lestrade_advisories::{AdvisoriesError, Feed, FeedKey, FeedOutcome, FeedPlaces, Library, UpdateProgress, UpdateReport, Updater};
use lestrade_model::{Clock, Ecosystem, PackedInventory};

/// Where feeds are, by configuration.
pub(super) fn places(settings: &Settings) -> FeedPlaces {
    let text = |name| settings.text(name).unwrap_or_default().to_owned();
    FeedPlaces {
        osv: text("osv-url"),
        osv_ecosystems: settings.list("osv-ecosystems"),
        debian_tracker: text("debian-tracker-url"),
        alpine_secdb: text("alpine-secdb-url"),
        alpine_releases: settings.list("alpine-releases"),
        alpine_rejections: text("alpine-rejections-url"),
        wolfi_secdb: text("wolfi-secdb-url"),
        chainguard_secdb: text("chainguard-secdb-url"),
        redhat_csaf: text("redhat-csaf-url"),
        suse_csaf: text("suse-csaf-url"),
        ubuntu_osv: text("ubuntu-osv-url"),
        ubuntu_vex: text("ubuntu-vex-url"),
        bottlerocket: text("bottlerocket-url"),
        rubysec: text("rubysec-url"),
        friends_of_php: text("friends-of-php-url"),
        amazon_linux: text("amazon-linux-url"),
        amazon_linux_repositories: settings.list("amazon-linux-repositories"),
        oracle_oval: text("oracle-oval-url"),
        azurelinux_oval: text("azurelinux-oval-url"),
        photon: text("photon-url"),
        photon_releases: settings.list("photon-releases"),
        nvd: text("nvd-url"),
        nvd_years: settings.list("nvd-years"),
        nvd_api: text("nvd-api-url"),
        nvd_api_key: FeedKey(text("nvd-api-token")),
        cve_list: text("cve-list-url"),
        cve_list_changes: text("cve-list-changes-url"),
        msrc: text("msrc-url"),
        arch: text("arch-url"),
        github: text("github-advisories-url"),
        github_token: FeedKey(text("github-token")),
        epss: text("epss-url"),
        kev: text("kev-url"),
        exploit_db: text("exploit-db-url"),
        metasploit: text("metasploit-url"),
        nuclei: text("nuclei-url"),
        endoflife: text("endoflife-url"),
    }
}

/// Brings feeds up to date, with progress where there is a terminal.
pub(super) fn update(library: &Library, feeds: &[Feed], speech: Speech) -> Result<UpdateReport, Failure> {
    watched(speech, |bars| Updater::new(library, SystemClock.now()).run(feeds, bars))
}

/// Does what takes its time with bars that show how far it is.
pub(super) fn watched(
    speech: Speech,
    work: impl FnOnce(&dyn UpdateProgress) -> Result<UpdateReport, AdvisoriesError>,
) -> Result<UpdateReport, Failure> {
    let bars = Bars::new(speech);
    let report = work(&bars).map_err(|error| intelligence_failure(&error));
    bars.clear();
    report
}

/// Fetches what is needed to judge an inventory and was never brought in. What cannot be fetched is said, and is no reason to stop:
/// what it leaves unjudged is told in the report.
pub(super) fn fetch_missing(settings: &Settings, inventory: &PackedInventory, speech: Speech) -> Result<(), Failure> {
    let library = library(settings);
    let mut ecosystems: Vec<Ecosystem> = inventory.ecosystems().to_vec();
    ecosystems.sort_unstable();
    ecosystems.dedup();
    let updater = Updater::new(&library, SystemClock.now());
    // Whoever brings in files keeps that up: only what nobody ever brought in is fetched.
    let present = library.open_current().map(|(_, index)| index.manifest().clone()).ok();
    let brought = |feed: &Feed| present.as_ref().is_some_and(|manifest| feed.scope.is_in(manifest));
    let missing: Vec<Feed> =
        places(settings).needed(&ecosystems).into_iter().filter(|feed| !updater.knows(feed) && !brought(feed)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let report = match bundles::update_from_mirror(settings, &library, speech)? {
        Some(report) => report,
        None => update(&library, &missing, speech)?,
    };
    for (feed, outcome) in &report.outcomes {
        let (said, exit) = said(outcome);
        if exit == Exit::Ok {
            speech.note(&format!("{feed}: {said}"));
        } else {
            eprintln!("warning: {feed}: {said}");
        }
    }
    Ok(())
}

/// An outcome in words, and what it means for the exit code.
pub(super) fn said(outcome: &FeedOutcome) -> (String, Exit) {
    match outcome {
        FeedOutcome::Unchanged => ("is as it was".into(), Exit::Ok),
        FeedOutcome::Updated { records, quarantined: 0 } => (format!("{records} record{}", plural(*records)), Exit::Ok),
        FeedOutcome::Updated { records, quarantined } => {
            (format!("{records} record{}, {quarantined} not loaded", plural(*records)), Exit::Incomplete)
        }
        FeedOutcome::Refused(why) => (format!("REFUSED, the last good state stays: {why}"), Exit::Intelligence),
        FeedOutcome::Unreachable(why) | FeedOutcome::Missing(why) => (format!("NOT fetched: {why}"), Exit::Network),
    }
}

const fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

impl UpdateProgress for Bars {
    fn fetched(&self, feed: &str, bytes: u64, total: Option<u64>) {
        self.moved(feed, bytes, total);
    }

    fn done(&self, feed: &str, outcome: &FeedOutcome) {
        self.finished(feed, said(outcome).0);
    }

    fn compiling(&self) {
        self.busy("compiling");
    }
}
