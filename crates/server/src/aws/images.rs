//! Images of the accounts' private registries.

use super::{Halt, WatchAws};
use crate::in_use::Used;
use crate::look::{is_read, package_coverage, reason_of, verdict};
use crate::retention::is_let_go;
use crate::{Observation, Outcome};
use lestrade_artifact::{Credentials, ImageReference, Platform, RegistryClient};
use lestrade_aws::{Error, FoundImage, Https, RegistryLogin, Session, discover_images, discover_repositories, registry_login};
use lestrade_extract::{ScanError, ScannedImage};
use lestrade_findings::ResourceEntry;
use lestrade_model::{CoverageReason, ImageDetails, ResourceDetails, ResourceKey, ResourceKind, Scope};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// A login is renewed this long before it ends: a large image takes its time.
const MARGIN_MS: i64 = 30 * 60 * 1000;

/// The registries that were logged in to.
#[derive(Default)]
pub(super) struct Registries(BTreeMap<Scope, (RegistryLogin, Arc<RegistryClient>)>);

impl WatchAws {
    /// The registry of an account, logged in to.
    fn registry(&mut self, scope: &Scope, session: &Session<Https>) -> Result<(String, Arc<RegistryClient>), Halt> {
        let now = self.core.now();
        if let Some((login, client)) = self.registries.0.get(scope)
            && login.expires.as_millis() - MARGIN_MS > now.as_millis()
        {
            return Ok((login.host.clone(), Arc::clone(client)));
        }
        let login = self.ask(registry_login(session))??;
        let credentials = Credentials { user: login.user.clone(), password: login.password.clone() };
        let client = RegistryClient::new(&login.host, Some(credentials));
        let client = Arc::new(client.map_err(|error| Error::Document(error.to_string()))?);
        let host = login.host.clone();
        self.registries.0.insert(scope.clone(), (login, Arc::clone(&client)));
        Ok((host, client))
    }

    pub(super) fn look_at_images(&mut self, scope: &Scope, session: &Session<Https>) -> Result<Outcome, Halt> {
        let repositories = self.ask(discover_repositories(session, scope))?;
        let mut outcome = self.keep_images(scope)?;
        let mut failed = repositories.missing;
        for repository in &repositories.items {
            match self.look_at_repository(scope, session, repository) {
                Ok(Outcome::Changed) => outcome = Outcome::Changed,
                Ok(Outcome::Unchanged) => {}
                Err(Halt::Aws(error)) => failed = Some(error),
                Err(halt) => return Err(halt),
            }
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        // A repository that is gone takes its images with it.
        let known = self.known_images(scope);
        // What was not known before runs too.
        if self.note_uses(scope, &known)? {
            outcome = Outcome::Changed;
        }
        let gone: Vec<_> = known.into_iter().filter(|(image, _)| !repositories.items.contains(&image.repository)).collect();
        for (_, key) in gone {
            self.core.forget(&key, CoverageReason::ResourceTerminated)?;
            outcome = Outcome::Changed;
        }
        Ok(outcome)
    }

    /// The images of this account's own registry that are known: others are watched elsewhere.
    fn known_images(&self, scope: &Scope) -> Vec<(ImageDetails, ResourceKey)> {
        let entries = self.known(scope, ResourceKind::Image).into_iter();
        let images = entries.filter_map(|entry| match entry.resource.details {
            ResourceDetails::Image(image) => Some((image, entry.resource.key)),
            _ => None,
        });
        images.filter(|(image, _)| image.registry == scope.account).collect()
    }

    pub(super) fn look_at_repository(&mut self, scope: &Scope, session: &Session<Https>, repository: &str) -> Result<Outcome, Halt> {
        let listing = self.ask(discover_images(session, scope, repository))?;
        let seen: HashSet<ResourceKey> = listing.items.iter().map(|image| image.resource.key.clone()).collect();
        let mut outcome = Outcome::Unchanged;
        for image in listing.items {
            if self.take_image(scope, session, image)? == Outcome::Changed {
                outcome = Outcome::Changed;
            }
        }
        match listing.missing {
            // A repository that is gone has no images: then the list is empty, and whole.
            Some(error) if !error.is_refusal("RepositoryNotFoundException") => return Err(error.into()),
            _ => {}
        }
        for (_, key) in self.known_images(scope).into_iter().filter(|(image, key)| image.repository == repository && !seen.contains(key)) {
            self.core.forget(&key, CoverageReason::ResourceTerminated)?;
            outcome = Outcome::Changed;
        }
        Ok(outcome)
    }

    /// Reads an image, unless it was read before: then only its tags may have moved.
    fn take_image(&mut self, scope: &Scope, session: &Session<Https>, found: FoundImage) -> Result<Outcome, Halt> {
        let mut resource = found.resource;
        let before = self.core.resource(&resource.key);
        let ResourceDetails::Image(mut image) = resource.details.clone() else { return Ok(Outcome::Unchanged) };
        let returns = |entry: &ResourceEntry| !found.archived && is_let_go(entry) && self.is_kept(&image, &resource.key);
        if let Some(entry) = before.filter(|entry| is_read(entry) && !returns(entry)) {
            if let ResourceDetails::Image(known) = &entry.resource.details {
                image.architecture.clone_from(&known.architecture);
            }
            resource.details = ResourceDetails::Image(image);
            if resource == entry.resource {
                return Ok(Outcome::Unchanged);
            }
            self.core.observe(Observation { resource, inventory: None, coverage: entry.coverage })?;
            return Ok(Outcome::Changed);
        }
        if found.archived {
            let detail = "it is archived and cannot be pulled".to_owned();
            let coverage = vec![package_coverage(CoverageReason::ScanEligibilityExpired, detail, self.core.now())];
            self.core.observe(Observation { resource, inventory: None, coverage })?;
            return Ok(Outcome::Changed);
        }
        let scanned = self.read_image(scope, session, &image.repository, &image.digest)?;
        let (inventory, reason, detail) = match scanned {
            Ok(scanned) => {
                image.architecture = scanned.config.architecture;
                let (reason, detail) = verdict(&scanned.inventory);
                (Some(scanned.inventory), reason, detail)
            }
            Err(error) => {
                tracing::warn!(%error, image = resource.key.id, "an image could not be read");
                (None, reason_of(&error), error.to_string())
            }
        };
        resource.details = ResourceDetails::Image(image);
        let coverage = vec![package_coverage(reason, detail, self.core.now())];
        self.core.observe(Observation { resource, inventory, coverage })?;
        Ok(Outcome::Changed)
    }

    fn is_kept(&self, image: &ImageDetails, key: &ResourceKey) -> bool {
        let world = self.core.world();
        let uses = world.resource_id(key).map_or(&[][..], |id| world.uses(id));
        self.settings.retention.keeps(image, uses, self.core.now())
    }

    /// Notes where the images of an account run, and lets go of those that are old and do not.
    fn keep_images(&self, scope: &Scope) -> Result<Outcome, Halt> {
        let known = self.known_images(scope);
        let moved = self.note_uses(scope, &known)?;
        let gone = self.core.let_go(known.into_iter(), self.settings.retention)?;
        Ok(if moved || gone { Outcome::Changed } else { Outcome::Unchanged })
    }

    /// Notes where images run; answers whether that is news.
    fn note_uses(&self, scope: &Scope, known: &[(ImageDetails, ResourceKey)]) -> Result<bool, Halt> {
        let host = format!("{}.dkr.ecr.{}.amazonaws.com", scope.account, scope.region);
        let used = self.core.in_use(&self.settings.home)?;
        let uses = |image: &ImageDetails| {
            let is_it = |used: &&Used| used.of_registry(&host) == Some((image.repository.as_str(), image.digest.as_str()));
            used.iter().filter(is_it).map(|used| used.usage.clone()).collect()
        };
        Ok(self.core.set_uses(known.iter().map(|(image, key)| (uses(image), key.clone()))))
    }

    /// Reads an image of the account's registry.
    pub(super) fn read_image(
        &mut self,
        scope: &Scope,
        session: &Session<Https>,
        repository: &str,
        digest: &str,
    ) -> Result<Result<ScannedImage, ScanError>, Halt> {
        let (registry, client) = self.registry(scope, session)?;
        let reference = ImageReference { registry, repository: repository.to_owned(), version: digest.to_owned() };
        Ok(self.scanner.scan_registry_image(&client, &reference, &Platform::default()))
    }
}
