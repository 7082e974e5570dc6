//! Watches a registry: every tag of every repository, each image once.
//!
//! An image is its digest and never changes, so what was read once is not read again. A sweep that could not see everything
//! changes nothing about what it did not see.

use crate::look::{reason_of, verdict};
use crate::reconcile::{Outcome, Reconciler};
use crate::{Core, Observation, ServerError};
use lestrade_artifact::{ArtifactError, ImageReference, Platform, RegistryClient};
use lestrade_extract::{ScanError, ScannedImage, Scanner};
use lestrade_findings::ResourceEntry;
use lestrade_model::{
    Coverage, CoverageReason, ImageDetails, Resource, ResourceDetails, ResourceFacts, ResourceKey, ResourceKind, ScanKind, Scope,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

/// Watches one registry for one scope.
pub struct WatchRegistry {
    core: Arc<Core>,
    scanner: Arc<Scanner>,
    client: RegistryClient,
    scope: Scope,
    platform: Platform,
    /// What each tag pointed at when it was last looked at: a tag that has not moved needs no look at its image.
    tags: BTreeMap<(String, String), (String, ResourceKey)>,
}

impl WatchRegistry {
    /// Watches `client`'s registry.
    #[must_use]
    pub fn new(core: Arc<Core>, scanner: Arc<Scanner>, client: RegistryClient, scope: Scope) -> Self {
        Self { core, scanner, client, scope, platform: Platform::default(), tags: BTreeMap::new() }
    }

    fn key(&self, repository: &str, digest: &str) -> ResourceKey {
        let id = self.scope.arn("ecr", &format!("repository/{}/{repository}/{digest}", self.client.host()));
        ResourceKey { scope: self.scope.clone(), kind: ResourceKind::Image, id }
    }

    /// Looks at one tag; answers the image that it points at, if there is one, and whether something changed.
    fn tag(&mut self, repository: &str, tag: &str) -> Result<Option<(ResourceKey, Outcome)>, ArtifactError> {
        let reference = ImageReference { registry: self.client.host(), repository: repository.to_owned(), version: tag.to_owned() };
        let Some(top) = self.client.resolve(&reference)? else { return Ok(None) };
        let place = (repository.to_owned(), tag.to_owned());
        if let Some((known, key)) = self.tags.get(&place)
            && *known == top
            && self.core.resource(key).is_some_and(|entry| is_read(&entry))
        {
            return Ok(Some((key.clone(), Outcome::Unchanged)));
        }
        let by_digest = ImageReference { version: top.clone(), ..reference };
        let (key, outcome) = self.image(&by_digest)?;
        self.tags.insert(place, (top, key.clone()));
        Ok(Some((key, outcome)))
    }

    /// Reads an image, unless it was read before.
    fn image(&self, reference: &ImageReference) -> Result<(ResourceKey, Outcome), ArtifactError> {
        let remote = self.client.image(reference, &self.platform)?;
        let key = self.key(&reference.repository, &remote.digest);
        let before = self.core.resource(&key);
        if before.as_ref().is_some_and(is_read) {
            return Ok((key, Outcome::Unchanged));
        }
        let details = ImageDetails {
            registry: self.client.host(),
            repository: reference.repository.clone(),
            digest: remote.digest,
            tags: vec![],
            architecture: remote.config.architecture,
            pushed_at: self.core.now(),
        };
        let details = before.map_or(ResourceDetails::Image(details), |entry| entry.resource.details);
        let resource = Resource { key: key.clone(), details, facts: ResourceFacts::default(), tags: vec![] };
        let begun = Instant::now();
        let scanned = self.scanner.scan_registry_image(&self.client, reference, &self.platform);
        self.core.meters.looked("image", begun.elapsed(), scanned.as_ref().map(|image| &image.inventory));
        let observation = self.observation(resource, scanned);
        if let Err(error) = self.core.observe(observation) {
            tracing::error!(%error, image = key.id, "an image could not be taken in");
        }
        Ok((key, Outcome::Changed))
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
        let coverage = Coverage { kind: ScanKind::Package, reason, detail, last_scanned: Some(self.core.now()) };
        Observation { resource, inventory, coverage: vec![coverage] }
    }

    /// Gives every image of this registry the tags that point at it now. Only a sweep that saw everything takes tags away.
    fn retag(&self, seen: &BTreeMap<ResourceKey, BTreeSet<String>>, complete: bool) -> Result<bool, ServerError> {
        let host = self.client.host();
        let mut moved = Vec::new();
        {
            let world = self.core.world();
            for entry in world.resources_in(&self.scope).iter().filter_map(|id| world.resource(id)) {
                let ResourceDetails::Image(image) = &entry.resource.details else { continue };
                let kept = image.tags.iter().filter(|_| !complete);
                let tags: BTreeSet<String> = seen.get(&entry.resource.key).into_iter().flatten().chain(kept).cloned().collect();
                let tags: Vec<String> = tags.into_iter().collect();
                if image.registry == host && image.tags != tags {
                    let mut resource = entry.resource.clone();
                    resource.details = ResourceDetails::Image(ImageDetails { tags, ..image.clone() });
                    moved.push(Observation { resource, inventory: None, coverage: entry.coverage.clone() });
                }
            }
        }
        let any = !moved.is_empty();
        moved.into_iter().try_for_each(|observation| self.core.observe(observation))?;
        Ok(any)
    }
}

/// Whether an image was read: whatever came of it, reading it again would bring the same, unless reading itself failed, or it was
/// gone and is back.
fn is_read(entry: &ResourceEntry) -> bool {
    let again = |coverage: &Coverage| matches!(coverage.reason, CoverageReason::InternalError | CoverageReason::ResourceTerminated);
    entry.inventory.is_some() && !entry.coverage.iter().any(again)
}

impl Reconciler for WatchRegistry {
    fn name(&self) -> &'static str {
        "watch-registry"
    }

    fn reconcile(&mut self) -> Result<Outcome, ServerError> {
        let unreachable = |error: ArtifactError| ServerError::Source { source_name: self.client.host(), reason: error.to_string() };
        let mut outcome = Outcome::Unchanged;
        let mut seen: BTreeMap<ResourceKey, BTreeSet<String>> = BTreeMap::new();
        let mut missed = None;
        for repository in self.client.repositories().map_err(unreachable)? {
            let tags = match self.client.tags(&repository) {
                Ok(tags) => tags,
                Err(error) => {
                    missed = Some(error);
                    continue;
                }
            };
            for tag in tags {
                match self.tag(&repository, &tag) {
                    Ok(Some((key, changed))) => {
                        seen.entry(key).or_default().insert(tag);
                        if changed == Outcome::Changed {
                            outcome = Outcome::Changed;
                        }
                    }
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(%error, repository, tag, "a tag could not be looked at");
                        missed = Some(error);
                    }
                }
            }
        }
        if self.retag(&seen, missed.is_none())? {
            outcome = Outcome::Changed;
        }
        match missed {
            None => Ok(outcome),
            Some(error) => Err(ServerError::Source { source_name: self.client.host(), reason: error.to_string() }),
        }
    }
}
