//! Watches a registry: every tag of every repository that is selected, each image once.
//!
//! An image is its digest and never changes, so what was read once is not read again. A tag of several platforms stands for an image
//! of each. A sweep that could not see everything changes nothing about what it did not see; between sweeps the registry may say
//! itself where something moved.

mod hints;
mod selection;

pub use hints::RegistryEar;
pub(crate) use hints::hear;
pub use selection::RegistrySelection;

use crate::forget::is_gone;
use crate::look::{is_read, package_coverage, reason_of, verdict};
use crate::reconcile::{Outcome, Reconciler};
use crate::retention::{Retention, is_let_go};
use crate::{Core, Observation, ServerError};
use hints::{Hint, Hints};
use lestrade_artifact::{ArtifactError, ImageReference, Platform, RegistryClient};
use lestrade_extract::{ScanError, ScannedImage, Scanner};
use lestrade_findings::ResourceEntry;
use lestrade_model::{CoverageReason, ImageDetails, ImageUse, Resource, ResourceDetails, ResourceFacts, ResourceKey, ResourceKind, Scope};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Registries tell of a push before its tag is there: where one tells of something it is looked once more, this much later.
const AGAIN: Duration = Duration::from_secs(2);

/// Which images a tag or a digest of a repository stands for.
type Places = BTreeMap<(String, String), BTreeSet<ResourceKey>>;

/// Watches one registry for one scope.
pub struct WatchRegistry {
    core: Arc<Core>,
    scanner: Arc<Scanner>,
    client: RegistryClient,
    selection: Arc<RegistrySelection>,
    scope: Scope,
    retention: Retention,
    interval: Duration,
    hints: Arc<Hints>,
    /// Where to look once more, and when.
    again: BTreeMap<Hint, Instant>,
    /// When all of it was looked at last; none before the first time.
    swept: Option<Instant>,
    /// The images that digests stand for which are in use somewhere.
    used: Places,
    /// What each tag pointed at when it was last looked at: a tag that has not moved needs no look at its images.
    tags: BTreeMap<(String, String), (String, BTreeSet<ResourceKey>)>,
}

/// What came of a look at a place.
#[derive(Default)]
struct Looked {
    /// The images that each tag stands for.
    seen: Places,
    /// What was looked at, so that what is not seen there is not there.
    covered: Covered,
    changed: bool,
    missed: Option<ArtifactError>,
}

/// What a look covered.
#[derive(Default)]
struct Covered {
    everything: bool,
    repositories: BTreeSet<String>,
    tags: BTreeSet<(String, String)>,
}

impl Covered {
    fn has(&self, repository: &str, tag: &str) -> bool {
        self.everything || self.repositories.contains(repository) || self.tags.contains(&(repository.to_owned(), tag.to_owned()))
    }

    fn has_all_of(&self, repository: &str) -> bool {
        self.everything || self.repositories.contains(repository)
    }
}

impl WatchRegistry {
    /// Watches what is selected of `client`'s registry, all of it every `interval`.
    #[must_use]
    pub fn new(
        core: Arc<Core>,
        scanner: Arc<Scanner>,
        client: RegistryClient,
        selection: RegistrySelection,
        scope: Scope,
        interval: Duration,
    ) -> Self {
        Self {
            core,
            scanner,
            client,
            selection: Arc::new(selection),
            scope,
            retention: Retention::default(),
            interval,
            hints: Arc::default(),
            again: BTreeMap::new(),
            swept: None,
            used: Places::new(),
            tags: BTreeMap::new(),
        }
    }

    /// The same, letting go of images that are old and not in use.
    #[must_use]
    pub fn keeping(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// Hears what the registry says by itself.
    #[must_use]
    pub fn ear(&self) -> RegistryEar {
        RegistryEar { selection: Arc::clone(&self.selection), hints: Arc::clone(&self.hints), signal: None }
    }

    fn reference(&self, repository: &str, version: &str) -> ImageReference {
        ImageReference { registry: self.client.host(), repository: repository.to_owned(), version: version.to_owned() }
    }

    fn key(&self, repository: &str, digest: &str) -> ResourceKey {
        let id = self.scope.arn("ecr", &format!("repository/{}/{repository}/{digest}", self.client.host()));
        ResourceKey { scope: self.scope.clone(), kind: ResourceKind::Image, id }
    }

    /// Whether an image needs no look: it was read, or cannot be, and is not let go.
    fn is_settled(&self, key: &ResourceKey) -> bool {
        let cannot = |entry: &ResourceEntry| entry.coverage.iter().any(|c| c.reason == CoverageReason::UnsupportedMediaType);
        self.core.resource(key).is_some_and(|entry| (is_read(&entry) || cannot(&entry)) && !is_let_go(&entry))
    }

    /// Looks at one tag; answers the images that it stands for, none where there is no such tag.
    fn tag(&mut self, repository: &str, tag: &str, looked: &mut Looked) -> Result<BTreeSet<ResourceKey>, ArtifactError> {
        let Some(top) = self.client.resolve(&self.reference(repository, tag))? else { return Ok(BTreeSet::new()) };
        let place = (repository.to_owned(), tag.to_owned());
        if let Some((known, keys)) = self.tags.get(&place)
            && *known == top
            && keys.iter().all(|key| self.is_settled(key) || self.is_over(key))
        {
            return Ok(keys.clone());
        }
        let keys = self.images_of(repository, &top, looked)?;
        self.read_all(repository, &keys, looked)?;
        self.tags.insert(place, (top, keys.clone()));
        Ok(keys)
    }

    /// How long images are watched: as clients of the API have set it, or as the configuration says. A registry does not tell when
    /// images were pulled.
    fn retention(&self) -> Retention {
        self.core.retention_in(&[&self.scope], self.retention).by_runs()
    }

    /// Whether an image was let go and stays so.
    fn is_over(&self, key: &ResourceKey) -> bool {
        let world = self.core.world();
        let Some((id, entry)) = world.resource_id(key).and_then(|id| Some((id, world.resource(id)?))) else { return false };
        let ResourceDetails::Image(image) = &entry.resource.details else { return false };
        is_let_go(entry) && !self.retention().keeps(image, world.uses(id), None, self.core.now())
    }

    /// The images that a digest stands for. Something else that is kept in a registry, a chart or a signature, stands for itself: it
    /// is told of, and asked for no more.
    fn images_of(&self, repository: &str, digest: &str, looked: &mut Looked) -> Result<BTreeSet<ResourceKey>, ArtifactError> {
        match self.client.images(&self.reference(repository, digest)) {
            Err(error @ ArtifactError::BadManifest { .. }) => {
                looked.changed |= self.unread(repository, digest, &error);
                Ok(BTreeSet::from([self.key(repository, digest)]))
            }
            digests => Ok(digests?.iter().map(|digest| self.key(repository, digest)).collect()),
        }
    }

    /// Reads those of some images that were not read and are to be.
    fn read_all(&self, repository: &str, keys: &BTreeSet<ResourceKey>, looked: &mut Looked) -> Result<(), ArtifactError> {
        for key in keys.iter().filter(|key| !self.is_settled(key) && !self.is_over(key)) {
            let digest = key.id.rsplit_once('/').map_or("", |(_, digest)| digest);
            self.read(repository, digest)?;
            looked.changed = true;
        }
        Ok(())
    }

    fn resource(&self, repository: &str, digest: &str, architecture: String) -> Resource {
        let key = self.key(repository, digest);
        let details = ImageDetails {
            registry: self.client.host(),
            repository: repository.to_owned(),
            digest: digest.to_owned(),
            tags: vec![],
            architecture,
            pushed_at: self.core.now(),
        };
        let known = self.core.resource(&key).map(|entry| entry.resource.details);
        Resource { key, details: known.unwrap_or(ResourceDetails::Image(details)), facts: ResourceFacts::default(), tags: vec![] }
    }

    /// Reads an image.
    fn read(&self, repository: &str, digest: &str) -> Result<(), ArtifactError> {
        let reference = self.reference(repository, digest);
        let remote = match self.client.image(&reference, &Platform::default()) {
            Err(error @ ArtifactError::BadManifest { .. }) => {
                self.unread(repository, digest, &error);
                return Ok(());
            }
            remote => remote?,
        };
        let resource = self.resource(repository, digest, remote.config.architecture);
        let begun = Instant::now();
        let scanned = self.scanner.scan_registry_image(&self.client, &reference, &Platform::default());
        self.core.meters.looked("image", begun.elapsed(), scanned.as_ref().map(|image| &image.inventory));
        self.take_in(self.observation(resource, scanned));
        Ok(())
    }

    /// Takes in that something is no image that can be read; answers whether that is news.
    fn unread(&self, repository: &str, digest: &str, error: &ArtifactError) -> bool {
        let resource = self.resource(repository, digest, String::new());
        let is_known = self.is_settled(&resource.key);
        if !is_known {
            let coverage = package_coverage(CoverageReason::UnsupportedMediaType, error.to_string(), self.core.now());
            self.take_in(Observation { resource, inventory: None, coverage: vec![coverage] });
        }
        !is_known
    }

    fn take_in(&self, observation: Observation) {
        let image = observation.resource.key.id.clone();
        if let Err(error) = self.core.observe(observation) {
            tracing::error!(%error, image, "an image could not be taken in");
        }
    }

    fn observation(&self, resource: Resource, scanned: Result<ScannedImage, ScanError>) -> Observation {
        let (reason, detail, inventory) = match scanned {
            Ok(image) => {
                let (reason, detail) = verdict(&image.inventory);
                (reason, detail, Some(image.inventory))
            }
            Err(error) => {
                tracing::warn!(%error, image = resource.key.id, "an image could not be read");
                (reason_of(&error), error.to_string(), None)
            }
        };
        let coverage = package_coverage(reason, detail, self.core.now());
        Observation { resource, inventory, coverage: vec![coverage] }
    }

    /// The images of this registry that are known and are there still, as far as is known.
    fn known(&self) -> Vec<(ImageDetails, ResourceEntry)> {
        let host = self.client.host();
        let world = self.core.world();
        let entries = world.resources_in(&self.scope).iter().filter_map(|id| world.resource(id));
        let images = entries.filter_map(|entry| match &entry.resource.details {
            ResourceDetails::Image(image) if image.registry == host && self.selection.has(&image.repository) => {
                Some((image.clone(), entry.clone()))
            }
            _ => None,
        });
        images.filter(|(_, entry)| !is_gone(entry)).collect()
    }

    /// Gives every image of this registry the tags that point at it now. Only where a look saw everything are tags taken away; an
    /// image that has none left and is no longer there is forgotten.
    fn settle(&mut self, looked: &mut Looked) -> Result<(), ServerError> {
        let mut tags_of: BTreeMap<&ResourceKey, BTreeSet<&str>> = BTreeMap::new();
        for ((_, tag), keys) in &looked.seen {
            keys.iter().for_each(|key| tags_of.entry(key).or_default().extend([tag.as_str()]));
        }
        for (image, entry) in self.known() {
            let kept = image.tags.iter().map(String::as_str).filter(|tag| !looked.covered.has(&image.repository, tag));
            let now: BTreeSet<&str> = tags_of.get(&entry.resource.key).into_iter().flatten().copied().chain(kept).collect();
            let tags: Vec<String> = now.into_iter().map(str::to_owned).collect();
            if tags.is_empty() && looked.covered.has_all_of(&image.repository) && looked.missed.is_none() {
                match self.client.resolve(&self.reference(&image.repository, &image.digest)) {
                    Ok(Some(_)) => {}
                    Ok(None) => {
                        looked.changed |= self.core.forget(&entry.resource.key, CoverageReason::ResourceTerminated)?;
                        continue;
                    }
                    Err(error) => looked.missed = Some(error),
                }
            }
            if image.tags != tags {
                // A tag that comes to an image is a push of it, whether it was there before or not.
                let is_pushed = !image.tags.is_empty() && tags.iter().any(|tag| !image.tags.contains(tag));
                let pushed_at = if is_pushed { self.core.now() } else { image.pushed_at };
                let mut resource = entry.resource.clone();
                resource.details = ResourceDetails::Image(ImageDetails { tags, pushed_at, ..image });
                self.core.observe(Observation { resource, inventory: None, coverage: entry.coverage })?;
                looked.changed = true;
            }
        }
        Ok(())
    }

    /// Looks at all tags of a repository.
    fn repository(&mut self, repository: &str, looked: &mut Looked) {
        let tags = match self.client.tags(repository) {
            Ok(tags) => tags,
            Err(error) => {
                tracing::warn!(%error, repository, "a repository could not be looked at");
                looked.missed = Some(error);
                return;
            }
        };
        let mut is_whole = true;
        for tag in tags {
            is_whole &= self.place(repository, &tag, looked);
        }
        if is_whole {
            looked.covered.repositories.insert(repository.to_owned());
        }
    }

    /// Looks at a tag; answers whether it could.
    fn place(&mut self, repository: &str, tag: &str, looked: &mut Looked) -> bool {
        match self.tag(repository, tag, looked) {
            Ok(keys) => {
                let place = (repository.to_owned(), tag.to_owned());
                looked.covered.tags.insert(place.clone());
                looked.seen.insert(place, keys);
                true
            }
            Err(error) => {
                self.missed(looked, &(repository.to_owned(), tag.to_owned()), error);
                false
            }
        }
    }

    /// Finds the images that clusters say they run, also those that no tag points at, and notes where each runs.
    fn look_at_uses(&mut self, looked: &mut Looked) -> Result<(), ServerError> {
        let host = self.client.host();
        let (mut found, mut uses) = (Places::new(), BTreeMap::<ResourceKey, Vec<ImageUse>>::new());
        for used in self.core.in_use(&self.scope)? {
            let Some((repository, digest)) = used.of_registry(&host).filter(|(repository, _)| self.selection.has(repository)) else {
                continue;
            };
            let place = (repository.to_owned(), digest.to_owned());
            let keys = match self.used.remove(&place).or_else(|| found.get(&place).cloned()) {
                Some(keys) => keys,
                None => match self.images_of(repository, digest, looked) {
                    Ok(keys) => keys,
                    // It runs still, and is no longer kept here.
                    Err(ArtifactError::NotFound(_)) => continue,
                    Err(error) => {
                        self.missed(looked, &place, error);
                        continue;
                    }
                },
            };
            keys.iter().for_each(|key| uses.entry(key.clone()).or_default().push(used.usage.clone()));
            found.insert(place, keys);
        }
        self.used = found;
        // Where it runs first: an image that was let go is read again because it does.
        looked.changed |= self.set_uses(&uses)?;
        for (place, keys) in &self.used {
            if let Err(error) = self.read_all(&place.0, keys, looked) {
                self.missed(looked, place, error);
            }
        }
        looked.changed |= self.set_uses(&uses)?;
        Ok(())
    }

    fn set_uses(&self, uses: &BTreeMap<ResourceKey, Vec<ImageUse>>) -> Result<bool, ServerError> {
        let known = self.known().into_iter().map(|(_, entry)| entry.resource.key);
        self.core.set_uses(known.map(|key| (uses.get(&key).cloned().unwrap_or_default(), key)))
    }

    fn missed(&self, looked: &mut Looked, (repository, version): &(String, String), error: ArtifactError) {
        tracing::warn!(%error, repository, version, "what is kept there could not be looked at");
        looked.missed = Some(error);
    }

    /// The places to look at now: what was told, and what was told a moment ago.
    fn hinted(&mut self) -> BTreeSet<Hint> {
        let now = Instant::now();
        let mut hints: BTreeSet<Hint> = self.again.iter().filter(|(_, at)| **at <= now).map(|(hint, _)| hint.clone()).collect();
        self.again.retain(|_, at| *at > now);
        for hint in self.hints.take() {
            self.again.insert(hint.clone(), now + AGAIN);
            hints.insert(hint);
        }
        hints
    }

    /// Lets go of images that are old and not in use.
    fn let_go(&self, looked: &mut Looked) -> Result<(), ServerError> {
        let known = self.known().into_iter().map(|(image, entry)| (image, entry.resource.key));
        looked.changed |= self.core.let_go(known, self.retention())?;
        Ok(())
    }

    fn sweep(&mut self, looked: &mut Looked) -> Result<(), ServerError> {
        let unreachable = |error: ArtifactError| ServerError::Source { source_name: self.client.host(), reason: error.to_string() };
        let repositories: Vec<String> = match self.selection.named() {
            Some(named) => named.iter().cloned().collect(),
            None => self.client.repositories().map_err(unreachable)?.into_iter().filter(|name| self.selection.has(name)).collect(),
        };
        for repository in repositories {
            self.repository(&repository, looked);
        }
        looked.covered.everything = looked.missed.is_none();
        if looked.covered.everything {
            self.tags.retain(|place, _| looked.seen.contains_key(place));
        }
        Ok(())
    }
}

impl Reconciler for WatchRegistry {
    fn name(&self) -> &'static str {
        "watch-registry"
    }

    fn due(&self) -> Option<Duration> {
        let sweep = self.swept.map(|at| at + self.interval);
        self.again.values().copied().chain(sweep).min().map(|at| at.saturating_duration_since(Instant::now()))
    }

    fn reconcile(&mut self) -> Result<Outcome, ServerError> {
        let hints = self.hinted();
        let mut looked = Looked::default();
        // Woken without a hint, or in time.
        let sweeps = (hints.is_empty() && self.again.is_empty()) || self.swept.is_none_or(|at| at.elapsed() >= self.interval);
        if sweeps {
            self.sweep(&mut looked)?;
        } else {
            for Hint { repository, tag } in hints {
                match tag {
                    Some(tag) => drop(self.place(&repository, &tag, &mut looked)),
                    None => self.repository(&repository, &mut looked),
                }
            }
        }
        self.settle(&mut looked)?;
        self.look_at_uses(&mut looked)?;
        self.let_go(&mut looked)?;
        match looked.missed {
            None => {
                if sweeps {
                    self.swept = Some(Instant::now());
                }
                Ok(if looked.changed { Outcome::Changed } else { Outcome::Unchanged })
            }
            Some(error) => Err(ServerError::Source { source_name: self.client.host(), reason: error.to_string() }),
        }
    }
}
