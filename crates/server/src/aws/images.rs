//! Images of the accounts' private registries.

use super::{Halt, WatchAws};
use crate::in_use::Used;
use crate::look::{is_left_out, is_read, package_coverage, reason_of, verdict};
use crate::retention::is_let_go;
use crate::{Observation, Outcome, Retention};
use lestrade_artifact::{Credentials, ImageReference, Platform, RegistryClient};
use lestrade_aws::{
    Error, FoundImage, Https, RegistryLogin, RegistryRules, Session, discover_images, discover_repositories, registry_login,
    registry_rules, wildcard,
};
use lestrade_extract::{ScanError, ScannedImage};
use lestrade_findings::ResourceEntry;
use lestrade_model::{CoverageReason, ImageDetails, ResourceDetails, ResourceKey, ResourceKind, Scope};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// A login is renewed this long before it ends: a large image takes its time.
const MARGIN_MS: i64 = 30 * 60 * 1000;

/// Which images are watched.
#[derive(Clone, Debug, Default)]
pub struct ImageSettings {
    /// Those of which repositories.
    pub repositories: RepositoryFilter,
    /// Whether also the rules of the registry's own scanning configuration say so.
    pub registry_rules: bool,
}

/// Which repositories are watched: those that a pattern names, all where none does, and none that a pattern with `!` names. `*`
/// stands for any characters, also none.
#[derive(Clone, Debug, Default)]
pub struct RepositoryFilter {
    wanted: Vec<String>,
    unwanted: Vec<String>,
}

impl RepositoryFilter {
    /// Of patterns.
    #[must_use]
    pub fn new(patterns: &[String]) -> Self {
        let (unwanted, wanted): (Vec<&String>, Vec<&String>) = patterns.iter().partition(|pattern| pattern.starts_with('!'));
        Self {
            wanted: wanted.into_iter().cloned().collect(),
            unwanted: unwanted.into_iter().map(|pattern| pattern[1..].to_owned()).collect(),
        }
    }

    /// Whether a repository is watched.
    #[must_use]
    pub fn has(&self, repository: &str) -> bool {
        let is_named = |patterns: &[String]| patterns.iter().any(|pattern| wildcard(pattern, repository));
        (self.wanted.is_empty() || is_named(&self.wanted)) && !is_named(&self.unwanted)
    }
}

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
        if self.settings.images.registry_rules {
            // Asked for with every sweep: rules change without an event where no queue is.
            self.rules.remove(scope);
            self.registry_rules(scope, session)?;
        }
        let mut outcome = if self.note_uses(scope)? { Outcome::Changed } else { Outcome::Unchanged };
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
        // What was not known before runs too.
        if self.look_at_revived(scope, session)? == Outcome::Changed {
            outcome = Outcome::Changed;
        }
        // A repository that is gone takes its images with it.
        let orphans: Vec<ResourceEntry> = self.images_of(scope, |repository| !repositories.items.iter().any(|name| name == repository));
        if self.forget_absent(&orphans, &HashSet::new())? == Outcome::Changed {
            outcome = Outcome::Changed;
        }
        Ok(outcome)
    }

    /// The rules of a registry as they were asked for last; none where they say nothing of what is watched here.
    fn registry_rules(&mut self, scope: &Scope, session: &Session<Https>) -> Result<Option<RegistryRules>, Halt> {
        if !self.settings.images.registry_rules {
            return Ok(None);
        }
        if let Some(rules) = self.rules.get(scope) {
            return Ok(rules.clone());
        }
        let rules = self.ask(registry_rules(session))??;
        self.rules.insert(scope.clone(), rules.clone());
        Ok(rules)
    }

    /// Whether a repository is watched, by our own settings and by the rules of its registry.
    fn is_watched(&mut self, scope: &Scope, session: &Session<Https>, repository: &str) -> Result<bool, Halt> {
        let rules = self.registry_rules(scope, session)?;
        Ok(self.settings.images.repositories.has(repository) && rules.is_none_or(|rules| rules.has(repository)))
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

    /// Those of the repositories whose names are so.
    fn images_of(&self, scope: &Scope, is_named: impl Fn(&str) -> bool) -> Vec<ResourceEntry> {
        let is_it = |entry: &ResourceEntry| matches!(&entry.resource.details, ResourceDetails::Image(image) if image.registry == scope.account && is_named(&image.repository));
        self.known(scope, ResourceKind::Image).into_iter().filter(is_it).collect()
    }

    pub(super) fn look_at_repository(&mut self, scope: &Scope, session: &Session<Https>, repository: &str) -> Result<Outcome, Halt> {
        if !self.is_watched(scope, session, repository)? {
            return self.leave_out_repository(scope, repository);
        }
        let listing = self.ask(discover_images(session, scope, repository))?;
        let seen: HashSet<ResourceKey> = listing.items.iter().map(|image| image.resource.key.clone()).collect();
        let mut outcome = Outcome::Unchanged;
        let retention = self.retention(scope);
        let mut pulled = Vec::new();
        for image in listing.items {
            pulled.push((image.resource.key.clone(), image.pulled_at));
            if self.take_image(scope, session, image, retention)? == Outcome::Changed {
                outcome = Outcome::Changed;
            }
        }
        self.core.set_pulled(&pulled);
        match listing.missing {
            // A repository that is gone has no images: then the list is empty, and whole.
            Some(error) if !error.is_refusal("RepositoryNotFoundException") => return Err(error.into()),
            _ => {}
        }
        let known = self.images_of(scope, |name| name == repository);
        if self.forget_absent(&known, &seen)? == Outcome::Changed {
            outcome = Outcome::Changed;
        }
        Ok(outcome)
    }

    /// Leaves the images of a repository alone that is not watched.
    fn leave_out_repository(&self, scope: &Scope, repository: &str) -> Result<Outcome, Halt> {
        let mut outcome = Outcome::Unchanged;
        for entry in self.images_of(scope, |name| name == repository) {
            if self.core.forget(&entry.resource.key, CoverageReason::ScanFrequencyManual)? {
                outcome = Outcome::Changed;
            }
        }
        Ok(outcome)
    }

    /// How long the images of an account are watched.
    fn retention(&self, scope: &Scope) -> Retention {
        let [own, regional, home] = self.settable(scope);
        self.core.retention_in(&[&own, &regional, &home], self.settings.retention)
    }

    /// Reads an image, unless it was read before: then only its tags may have moved. One that is not watched any longer, or cannot be
    /// pulled, is left alone.
    fn take_image(&mut self, scope: &Scope, session: &Session<Https>, found: FoundImage, retention: Retention) -> Result<Outcome, Halt> {
        let mut resource = found.resource;
        let before = self.core.resource(&resource.key);
        let ResourceDetails::Image(mut image) = resource.details.clone() else { return Ok(Outcome::Unchanged) };
        let is_kept = {
            let world = self.core.world();
            let uses = world.resource_id(&resource.key).map_or(&[][..], |id| world.uses(id));
            retention.keeps(&image, uses, found.pulled_at, self.core.now())
        };
        if found.archived || !is_kept {
            return self.leave_out(resource, CoverageReason::ScanEligibilityExpired);
        }
        if let Some(entry) = before.filter(|entry| is_read(entry) && !is_left_out(entry)) {
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

    /// Notes where the images of an account run; answers whether that is news.
    fn note_uses(&self, scope: &Scope) -> Result<bool, Halt> {
        let known = self.known_images(scope);
        let host = format!("{}.dkr.ecr.{}.amazonaws.com", scope.account, scope.region);
        let used = self.core.in_use(&self.settings.home)?;
        let uses = |image: &ImageDetails| {
            let is_it = |used: &&Used| used.of_registry(&host) == Some((image.repository.as_str(), image.digest.as_str()));
            used.iter().filter(is_it).map(|used| used.usage.clone()).collect()
        };
        Ok(self.core.set_uses(known.iter().map(|(image, key)| (uses(image), key.clone())))?)
    }

    /// Notes where images run, and looks at those that were let go and run.
    pub(super) fn look_at_revived(&mut self, scope: &Scope, session: &Session<Https>) -> Result<Outcome, Halt> {
        if !self.note_uses(scope)? {
            return Ok(Outcome::Unchanged);
        }
        for repository in self.revived(scope) {
            self.look_at_repository(scope, session, &repository)?;
        }
        Ok(Outcome::Changed)
    }

    /// The repositories of images that were let go and run again.
    fn revived(&self, scope: &Scope) -> BTreeSet<String> {
        let world = self.core.world();
        let entries = world.resources_in(scope).iter().filter_map(|id| Some((id, world.resource(id)?)));
        let runs = entries.filter(|(id, entry)| is_let_go(entry) && world.uses(*id).iter().any(|usage| usage.count > 0));
        let repository = |(_, entry): (_, &ResourceEntry)| match &entry.resource.details {
            ResourceDetails::Image(image) if image.registry == scope.account => Some(image.repository.clone()),
            _ => None,
        };
        runs.filter_map(repository).collect()
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

#[cfg(test)]
mod tests {
    use super::RepositoryFilter;

    #[test]
    fn repositories_are_named_and_left_out_by_patterns() {
        let watch = |patterns: &[&str], name: &str| {
            RepositoryFilter::new(&patterns.iter().map(|pattern| (*pattern).to_owned()).collect::<Vec<_>>()).has(name)
        };
        assert!(watch(&[], "any/thing"));
        assert!(watch(&["team-*"], "team-1/app") && !watch(&["team-*"], "other"));
        assert!(!watch(&["!*/scratch"], "a/scratch") && watch(&["!*/scratch"], "a/app"));
        assert!(!watch(&["team-*", "!team-2*"], "team-2/app") && watch(&["team-*", "!team-2*"], "team-1"));
        assert!(watch(&["app"], "app") && !watch(&["app"], "apps"));
    }
}
