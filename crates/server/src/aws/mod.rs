//! Watches an estate on AWS: every instance, image and function of its accounts and regions, and the networks between them.
//!
//! A sweep looks at everything; between sweeps a queue of events says what to look at again. Either way what is there is asked
//! for anew: an event is never believed. What could not be seen whole closes nothing.

mod absence;
mod clusters;
mod disks;
mod functions;
mod images;
mod instances;
mod machine_images;
mod told;

pub use functions::FunctionSettings;
pub use images::{ImageSettings, RepositoryFilter};

use crate::look::verdict;
use crate::reconcile::{Outcome, Reconciler};
use crate::retention::Retention;
use crate::{Core, ServerError};
use absence::Absences;
use functions::Idle;
use images::Registries;
use lestrade_aws::{
    Change, ChangeEvent, ChangeQueue, Error, Estate, EstateSettings, Https, InventoryBucket, NetworkObject, RegistryRules, Session,
    describe_network, describe_object, read_change,
};
use lestrade_extract::Scanner;
use lestrade_findings::ResourceEntry;
use lestrade_model::{Clock, CoverageReason, Inventory, ResourceKey, ResourceKind, Scope, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// How long to wait before credentials are looked for again where there were none.
const NO_CREDENTIALS: Duration = Duration::from_mins(10);
/// How long to wait before everything is looked at again when a part could not be: what is refused stays so for a while.
const AFTER_FAILURE: Duration = Duration::from_mins(5);
/// Batches of events that are taken before others get their turn.
const BATCHES: usize = 20;

/// What is watched.
#[derive(Clone, Debug)]
pub struct AwsSettings {
    /// The scope of what is outside AWS. Its rules hold in every account, as those of a delegated administrator do.
    pub home: Scope,
    /// The accounts and regions.
    pub estate: EstateSettings,
    /// The URL of the queue that events come to; none leaves it to sweeps.
    pub queue: Option<String>,
    /// Whether instances that SSM manages are asked what is installed in them, by a script that only reads.
    pub run_command: bool,
    /// Whether the disks of instances that SSM does not manage are read, from snapshots.
    pub agentless: bool,
    /// Where a resource data sync writes what SSM knows of instances, if it is read from there where SSM itself does not tell it.
    pub inventory_bucket: Option<InventoryBucket>,
    /// Whether the API servers of EKS are asked for their pods.
    pub kubernetes: bool,
    /// Days after they were made or launched last in which machine images are read, whose disks are read by snapshots; those that
    /// instances were launched from always. None reads none.
    pub machine_image_days: Option<u32>,
    /// Folders of instances in which packages of languages are looked for.
    pub deep_paths: Vec<String>,
    /// Which images are watched.
    pub images: ImageSettings,
    /// Which functions are watched.
    pub functions: FunctionSettings,
    /// How long images are watched, where no client of the API has set it.
    pub retention: Retention,
    /// How long from sweep to sweep.
    pub interval: Duration,
    /// How long something is missing from what AWS lists before it counts as gone, where no event says that it ended.
    pub gone_after: Duration,
    /// Whether it is an error that there are no credentials.
    pub required: bool,
}

/// The accounts and regions that are watched, for whoever answers questions about them.
#[derive(Clone, Debug, Default)]
pub struct WatchedScopes(Arc<RwLock<Vec<Scope>>>);

impl WatchedScopes {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Scope> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, scopes: Vec<Scope>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = scopes;
    }
}

/// Stops what waits for AWS, so that a server that is asked to stop does.
#[derive(Debug)]
pub struct StopAws(watch::Sender<bool>);

impl StopAws {
    /// Stops it.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// See the module.
pub struct WatchAws {
    core: Arc<Core>,
    scanner: Arc<Scanner>,
    clock: Arc<dyn Clock>,
    settings: AwsSettings,
    scopes: WatchedScopes,
    stopped: watch::Receiver<bool>,
    runtime: tokio::runtime::Runtime,
    estate: Option<Estate>,
    registries: Registries,
    swept: Option<Timestamp>,
    /// Whether a part could not be looked at, and may be another time.
    failed: bool,
    /// Instances whose disks wait to be read, and machine images.
    disks: VecDeque<ResourceKey>,
    /// Clusters that events named.
    clusters: BTreeSet<(Scope, String)>,
    /// The rules of registries.
    rules: BTreeMap<Scope, Option<RegistryRules>>,
    idle: Idle,
    absences: Absences,
}

/// What came of reading something: its inventory if it gave one, and how well it is covered.
type Read = (Option<Inventory>, CoverageReason, String);

/// A look at one kind of things in one scope.
type Look = fn(&mut WatchAws, &Scope, &Session<Https>) -> Result<Outcome, Halt>;

/// Why a look ended before it was done.
enum Halt {
    /// The server stops.
    Stopped,
    /// AWS did not answer.
    Aws(Error),
    /// What it answered could not be kept.
    Server(ServerError),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Aws(error)
    }
}

impl From<ServerError> for Halt {
    fn from(error: ServerError) -> Self {
        Self::Server(error)
    }
}

fn scopes_of(estate: &Estate) -> Vec<Scope> {
    estate.sessions.iter().map(|(scope, _)| scope.clone()).collect()
}

impl WatchAws {
    /// Watches an estate. Nothing is asked yet.
    ///
    /// # Errors
    /// When no thread can wait for answers.
    pub fn new(
        core: Arc<Core>,
        scanner: Arc<Scanner>,
        clock: Arc<dyn Clock>,
        settings: AwsSettings,
        scopes: WatchedScopes,
    ) -> std::io::Result<(Self, StopAws)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = watch::channel(false);
        let registries = Registries::default();
        let absences = Absences::new(settings.gone_after);
        let watch = Self {
            core,
            scanner,
            clock,
            settings,
            scopes,
            stopped,
            runtime,
            estate: None,
            registries,
            swept: None,
            failed: false,
            disks: VecDeque::new(),
            clusters: BTreeSet::new(),
            rules: BTreeMap::new(),
            idle: Idle::default(),
            absences,
        };
        Ok((watch, StopAws(stop)))
    }

    /// Waits for an answer, or for the server's end.
    fn ask<T>(&self, question: impl Future<Output = T>) -> Result<T, Halt> {
        let mut stopped = self.stopped.clone();
        self.runtime.block_on(async move {
            tokio::select! {
                answer = question => Ok(answer),
                _ = stopped.wait_for(|stopped| *stopped) => Err(Halt::Stopped),
            }
        })
    }

    /// The sessions, entered at the first time. None where there are no credentials and none are asked for.
    fn enter(&mut self) -> Result<bool, Halt> {
        if self.estate.is_some() {
            return Ok(true);
        }
        let entered = self.ask(Estate::enter(&self.settings.estate, Arc::clone(&self.clock)))?;
        let estate = match entered {
            Err(Error::Credentials(reason)) if !self.settings.required => {
                tracing::info!(reason, "no AWS account is watched");
                return Ok(false);
            }
            entered => entered?,
        };
        self.estate = Some(estate);
        self.announce();
        Ok(true)
    }

    /// Enters the accounts that have come since, and those that could not be entered before.
    fn renew(&mut self) -> Result<(), Halt> {
        let Some(mut estate) = self.estate.take() else { return Ok(()) };
        let has_more = self.settings.estate.organization || !estate.closed.is_empty();
        let before = scopes_of(&estate);
        let renewed = if has_more { self.ask(estate.renew(&self.settings.estate)) } else { Ok(Ok(())) };
        let moved = has_more && (scopes_of(&estate) != before || !estate.closed.is_empty() || estate.unlisted.is_some());
        // Kept whatever came of it: what was entered stays so.
        self.estate = Some(estate);
        if moved {
            self.announce();
        }
        Ok(renewed??)
    }

    /// Tells of the accounts that were entered, and those that were not, and puts the rules of the server in force in them.
    fn announce(&self) {
        let Some(estate) = &self.estate else { return };
        for (account, error) in &estate.closed {
            tracing::warn!(account, %error, "an account cannot be entered: nothing in it is watched");
        }
        if let Some(error) = &estate.unlisted {
            tracing::warn!(%error, "the accounts of the organisation are not all known");
        }
        let scopes = scopes_of(estate);
        tracing::info!(scopes = scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "), "AWS is watched");
        let regions: BTreeSet<&str> = scopes.iter().map(|scope| scope.region.as_str()).collect();
        let home = &self.settings.home;
        let homes = regions.into_iter().map(|region| Scope { region: region.to_owned(), ..home.clone() });
        let ruled: BTreeSet<Scope> = homes.chain(scopes.iter().cloned()).chain([home.clone()]).collect();
        if let Err(error) = self.core.enforce_suppressions(&ruled.into_iter().collect::<Vec<_>>()) {
            tracing::error!(%error, "a stored filter cannot be read");
        }
        self.scopes.set(scopes);
    }

    /// The scopes for which clients of the API may have set how an account is scanned: its own first, then those of whoever
    /// administers it.
    fn settable(&self, scope: &Scope) -> [Scope; 3] {
        let home = &self.settings.home;
        [scope.clone(), Scope { region: scope.region.clone(), ..home.clone() }, home.clone()]
    }

    fn sessions(&self) -> Vec<(Scope, Session<Https>)> {
        self.estate.as_ref().map(|estate| estate.sessions.clone()).unwrap_or_default()
    }

    /// Looks at everything. What fails is told and does not keep the rest from being looked at, nor from being followed.
    fn sweep(&mut self) -> Result<Outcome, Halt> {
        let mut outcome = Outcome::Unchanged;
        self.failed = false;
        let rest: [Look; 5] =
            [Self::look_at_instances, Self::look_at_network, Self::look_at_images, Self::look_at_functions, Self::look_at_machine_images];
        // What runs in one account may lie in the registry of another: clusters come first, all of them.
        let rounds: [&[Look]; 2] = [&[Self::look_at_clusters, Self::look_at_kubernetes], &rest];
        let sessions = self.sessions();
        for (looks, (scope, session)) in rounds.into_iter().flat_map(|looks| sessions.iter().map(move |session| (looks, session))) {
            for look in looks {
                match look(self, scope, session) {
                    Ok(Outcome::Changed) => outcome = Outcome::Changed,
                    Ok(Outcome::Unchanged) => {}
                    Err(Halt::Aws(error)) => {
                        tracing::warn!(%scope, %error, "a part of AWS could not be looked at: what is known of it stands");
                        self.failed = true;
                    }
                    Err(halt) => return Err(halt),
                }
            }
        }
        Ok(outcome)
    }

    fn look_at_network(&mut self, scope: &Scope, session: &Session<Https>) -> Result<Outcome, Halt> {
        let network = self.ask(describe_network(session))??;
        for gap in &network.gaps {
            tracing::debug!(%scope, gap, "a part of the network is not known");
        }
        if network.document["Vpcs"].as_array().is_none_or(Vec::is_empty) {
            return Ok(Outcome::Unchanged);
        }
        Ok(self.core.describe_network(scope, &network.document, &network.gaps)?)
    }

    /// Asks for one object of the network, and for all of it where that is not known yet.
    fn look_at_object(&mut self, scope: &Scope, session: &Session<Https>, object: &NetworkObject) -> Result<Outcome, Halt> {
        let described = self.ask(describe_object(session, object))??;
        let (list, name, id) = object.place();
        match self.core.describe_object(scope, list, name, id, described)? {
            Some(outcome) => Ok(outcome),
            None => self.look_at_network(scope, session),
        }
    }

    /// Takes events off the queue and looks at what they name.
    fn follow(&mut self, url: &str) -> Result<Outcome, Halt> {
        let sessions = self.sessions();
        let Some((_, home)) = sessions.first() else { return Ok(Outcome::Unchanged) };
        let queue = ChangeQueue::new(home.clone(), url);
        let mut outcome = Outcome::Unchanged;
        for _ in 0..BATCHES {
            let received = self.ask(queue.receive())??;
            if received.is_empty() {
                break;
            }
            let mut named: BTreeSet<(usize, Change)> = BTreeSet::new();
            let mut all_ended = BTreeSet::new();
            for event in received.iter().filter_map(|event| read_change(&event.body)) {
                let ChangeEvent { account, region, change, ended } = event;
                let ours = sessions.iter().position(|(scope, _)| scope.account == account && scope.region == region);
                if let Some(at) = ours {
                    all_ended.extend(ended.map(|ended| (sessions[at].0.clone(), ended)));
                    // An instance that comes, goes or moves is somewhere else in the network too.
                    if matches!(change, Change::Instance(_)) {
                        named.insert((at, Change::Network));
                    }
                    named.insert((at, change));
                }
            }
            // Where all of a network is asked for, no part of it is.
            let whole: BTreeSet<usize> = named.iter().filter(|(_, change)| *change == Change::Network).map(|(at, _)| *at).collect();
            named.retain(|(at, change)| !(matches!(change, Change::Object(_)) && whole.contains(at)));
            self.absences.set_ended(all_ended);
            let mut again = false;
            for (at, change) in named {
                let (scope, session) = &sessions[at];
                tracing::debug!(%scope, ?change, "looked at again");
                let changed = match change {
                    Change::Instance(id) | Change::Inventory(id) => self.look_at_instance(scope, session, &id),
                    Change::Repository(name) => self.look_at_repository(scope, session, &name),
                    Change::Registry if self.settings.images.registry_rules => self.look_at_images(scope, session),
                    Change::Registry => Ok(Outcome::Unchanged),
                    Change::Cluster(arn) => {
                        // By another name it would be another cluster, in which the same runs once more.
                        if arn.starts_with(&scope.arn("ecs", "cluster/")) {
                            self.clusters.insert((scope.clone(), arn));
                        }
                        Ok(Outcome::Unchanged)
                    }
                    Change::Function(name) => self.look_at_function(scope, session, &name),
                    Change::Object(object) => self.look_at_object(scope, session, &object),
                    Change::Network => self.look_at_network(scope, session),
                };
                match changed {
                    Ok(Outcome::Changed) => outcome = Outcome::Changed,
                    Ok(Outcome::Unchanged) => {}
                    // What is refused is refused the next time too; the sweep tells of it.
                    Err(Halt::Aws(error)) => {
                        tracing::warn!(%scope, %error, "what an event names could not be looked at");
                        again |= !error.is_denied();
                    }
                    Err(halt) => return Err(halt),
                }
            }
            self.absences.set_ended(BTreeSet::new());
            // Only now, and only all of them: what was not looked at comes again.
            if again {
                break;
            }
            self.ask(queue.done(&received))??;
        }
        if self.look_at_named_clusters()? == Outcome::Changed {
            outcome = Outcome::Changed;
        }
        Ok(outcome)
    }

    /// What is kept of the resources of a kind in a scope, without those that are gone.
    fn known(&self, scope: &Scope, kind: ResourceKind) -> Vec<ResourceEntry> {
        let world = self.core.world();
        let entries = world.resources_in(scope).iter().filter_map(|id| world.resource(id));
        let here = |entry: &&ResourceEntry| {
            entry.resource.key.kind == kind && entry.coverage.iter().all(|coverage| coverage.reason != CoverageReason::ResourceTerminated)
        };
        entries.filter(here).cloned().collect()
    }

    /// What was read of something, with what is known of the parts of it that could not be read: they close nothing. `root` is what
    /// problems of the whole are said of.
    fn judged(&self, key: &ResourceKey, read: Inventory, root: &str) -> Read {
        let inventory = self.core.with_unread(key, read, root);
        let (reason, detail) = verdict(&inventory);
        (Some(inventory), reason, detail)
    }

    /// Takes in which known resources a complete view does not hold.
    fn forget_absent(&mut self, known: &[ResourceEntry], seen: &HashSet<ResourceKey>) -> Result<Outcome, Halt> {
        let mut outcome = Outcome::Unchanged;
        for entry in known {
            if seen.contains(&entry.resource.key) {
                self.absences.is_there(&entry.resource.key);
            } else if self.miss(entry)? == Outcome::Changed {
                outcome = Outcome::Changed;
            }
        }
        Ok(outcome)
    }

    fn sweep_is_due(&self) -> bool {
        self.until_sweep().is_zero()
    }

    fn until_sweep(&self) -> Duration {
        let Some(swept) = self.swept else { return Duration::ZERO };
        let since = self.clock.now().as_millis().saturating_sub(swept.as_millis());
        // A clock that jumps back must not put the next sweep off.
        let since = u64::try_from(since).map_or(Duration::MAX, Duration::from_millis);
        let interval = if self.failed { self.settings.interval.min(AFTER_FAILURE) } else { self.settings.interval };
        interval.saturating_sub(since)
    }

    fn look(&mut self) -> Result<Outcome, Halt> {
        if !self.enter()? {
            return Ok(Outcome::Unchanged);
        }
        let mut outcome = Outcome::Unchanged;
        if self.sweep_is_due() {
            if self.swept.is_some() {
                self.renew()?;
            }
            outcome = self.sweep()?;
            self.swept = Some(self.clock.now());
        }
        if self.look_for_missing()? == Outcome::Changed {
            outcome = Outcome::Changed;
        }
        // One at a time: what moves meanwhile is not put off by it.
        if self.read_next_disk()? == Outcome::Changed {
            outcome = Outcome::Changed;
        }
        if let Some(url) = self.settings.queue.clone()
            && self.follow(&url)? == Outcome::Changed
        {
            outcome = Outcome::Changed;
        }
        Ok(outcome)
    }
}

impl Reconciler for WatchAws {
    fn name(&self) -> &'static str {
        "watch-aws"
    }

    fn reconcile(&mut self) -> Result<Outcome, ServerError> {
        match self.look() {
            Ok(outcome) => Ok(outcome),
            Err(Halt::Stopped) => Ok(Outcome::Unchanged),
            Err(Halt::Server(error)) => Err(error),
            Err(Halt::Aws(error)) => Err(ServerError::Source { source_name: "AWS".to_owned(), reason: error.to_string() }),
        }
    }

    fn due(&self) -> Option<Duration> {
        if *self.stopped.borrow() {
            return None;
        }
        Some(match (&self.estate, &self.settings.queue) {
            (None, _) => NO_CREDENTIALS,
            // Waiting is the queue's business.
            (Some(_), Some(_)) => Duration::ZERO,
            (Some(_), None) if !self.disks.is_empty() => Duration::ZERO,
            (Some(_), None) => {
                let missing = self.absences.due(self.clock.now());
                missing.map_or_else(|| self.until_sweep(), |due| due.min(self.until_sweep()))
            }
        })
    }
}
