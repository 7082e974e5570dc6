//! Functions: their own zips, their layers' zips, or their images.

use super::{Halt, Read, WatchAws};
use crate::look::{is_left_out, is_read, package_coverage, reason_of};
use crate::retention::{DAY_MS, is_within};
use crate::{Observation, Outcome};
use lestrade_aws::{
    FunctionCode, FunctionVersions, Https, LATEST, Listing, Session, discover_function, discover_functions, discover_versions, download,
    layer_location, uninvoked_functions,
};
use lestrade_findings::ResourceEntry;
use lestrade_model::{CoverageReason, FunctionDetails, Inventory, Resource, ResourceDetails, ResourceKey, ResourceKind, Scope, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Functions with this tag and value are not looked at; Inspector's own.
const EXCLUSION: (&str, &str) = ("InspectorExclusion", "LambdaStandardScanning");
/// Where a function finds its layers.
const LAYERS: &str = "opt";
/// Which functions are looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct FunctionSettings {
    /// Which of their versions.
    pub versions: FunctionVersions,
    /// Only those that were invoked or changed in so many days; none for all.
    pub idle_days: Option<u32>,
}

/// What is known of functions that did not change for long: when it was asked whether they are invoked, and whether they are not.
#[derive(Default)]
pub(super) struct Idle(BTreeMap<(Scope, String), (Timestamp, bool)>);

impl WatchAws {
    pub(super) fn look_at_functions(&mut self, scope: &Scope, session: &Session<Https>) -> Result<Outcome, Halt> {
        let known = self.known(scope, ResourceKind::Function);
        let listing = self.ask(discover_functions(session, scope, self.settings.functions.versions))?;
        self.note_idle(scope, session, &listing.items)?;
        let seen: HashSet<ResourceKey> = listing.items.iter().map(|resource| resource.key.clone()).collect();
        let mut outcome = Outcome::Unchanged;
        let mut failed = listing.missing;
        for listed in listing.items {
            let ResourceDetails::Function(function) = &listed.details else { continue };
            let (name, version) = (function.name.clone(), function.version.clone());
            // Its tags are not listed, and nothing but its code and configuration has to be fetched again when they have moved.
            let is_settled = |entry: &ResourceEntry| is_read(entry) && !is_left_out(entry) && entry.resource.details == listed.details;
            let taken = if self.is_idle(scope, function) {
                self.leave_out(listed, CoverageReason::ScanEligibilityExpired)
            } else if self.core.resource(&listed.key).is_some_and(|entry| is_settled(&entry)) {
                continue;
            } else {
                self.look_at_version(scope, session, &name, &version)
            };
            match taken {
                Ok(Outcome::Changed) => outcome = Outcome::Changed,
                Ok(Outcome::Unchanged) => {}
                Err(Halt::Aws(error)) => failed = Some(error),
                Err(halt) => return Err(halt),
            }
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        if self.forget_versions(&known, &seen)? == Outcome::Changed {
            outcome = Outcome::Changed;
        }
        Ok(outcome)
    }

    /// Asks whether functions are invoked that did not change for long, each once a day. Where that may not be asked they are looked at
    /// like any other.
    fn note_idle(&mut self, scope: &Scope, session: &Session<Https>, listed: &[Resource]) -> Result<(), Halt> {
        let Some(days) = self.settings.functions.idle_days else { return Ok(()) };
        let now = self.core.now();
        self.idle.0.retain(|(of, _), (asked, _)| of != scope || now.as_millis() - asked.as_millis() < DAY_MS);
        let old = listed.iter().filter_map(|resource| match &resource.details {
            ResourceDetails::Function(function) if is_old(function, days, now) => Some(function.name.clone()),
            _ => None,
        });
        let is_unknown = |name: &String| !self.idle.0.contains_key(&(scope.clone(), name.clone()));
        let names: Vec<String> = old.collect::<BTreeSet<_>>().into_iter().filter(is_unknown).collect();
        if names.is_empty() {
            return Ok(());
        }
        let since = now.plus_millis(-i64::from(days) * DAY_MS);
        let Listing { items, missing } = self.ask(uninvoked_functions(session, &names, since))?;
        if let Some(error) = missing {
            tracing::warn!(%scope, %error, "whether functions are invoked is not known: those that did not change for long are looked at too");
        }
        let idle: HashSet<String> = items.into_iter().collect();
        let noted = names.into_iter().map(|name| {
            let is_idle = idle.contains(&name);
            ((scope.clone(), name), (now, is_idle))
        });
        self.idle.0.extend(noted);
        Ok(())
    }

    /// Whether a function was neither changed nor invoked for too long.
    fn is_idle(&self, scope: &Scope, function: &FunctionDetails) -> bool {
        let Some(days) = self.settings.functions.idle_days else { return false };
        is_old(function, days, self.core.now())
            && self.idle.0.get(&(scope.clone(), function.name.clone())).is_some_and(|(_, is_idle)| *is_idle)
    }

    /// Forgets versions that a complete view does not hold. What was published and is no longer asked for is still there.
    fn forget_versions(&mut self, known: &[ResourceEntry], seen: &HashSet<ResourceKey>) -> Result<Outcome, Halt> {
        let is_published = |entry: &ResourceEntry| matches!(&entry.resource.details, ResourceDetails::Function(f) if f.version != LATEST);
        let latest_alone = self.settings.functions.versions == FunctionVersions::Latest;
        let (published, known): (Vec<_>, Vec<_>) = known.iter().cloned().partition(|entry| latest_alone && is_published(entry));
        let mut outcome = self.forget_absent(&known, seen)?;
        for entry in published.iter().filter(|entry| !seen.contains(&entry.resource.key)) {
            if self.core.forget(&entry.resource.key, CoverageReason::ScanEligibilityExpired)? {
                outcome = Outcome::Changed;
            }
        }
        Ok(outcome)
    }

    /// Looks at a function: at each of its versions that is watched.
    pub(super) fn look_at_function(&mut self, scope: &Scope, session: &Session<Https>, name: &str) -> Result<Outcome, Halt> {
        if self.settings.functions.versions == FunctionVersions::Latest {
            return self.look_at_version(scope, session, name, LATEST);
        }
        let listing = self.ask(discover_versions(session, scope, name))?;
        let seen: HashSet<ResourceKey> = listing.items.iter().map(|resource| resource.key.clone()).collect();
        let mut outcome = Outcome::Unchanged;
        for listed in &listing.items {
            let ResourceDetails::Function(function) = &listed.details else { continue };
            if self.look_at_version(scope, session, name, &function.version)? == Outcome::Changed {
                outcome = Outcome::Changed;
            }
        }
        if let Some(error) = listing.missing {
            return Err(error.into());
        }
        let known: Vec<ResourceEntry> = self.versions(scope, name).collect();
        if self.forget_versions(&known, &seen)? == Outcome::Changed {
            outcome = Outcome::Changed;
        }
        Ok(outcome)
    }

    /// The versions of a function that are known.
    fn versions<'n>(&self, scope: &Scope, name: &'n str) -> impl Iterator<Item = ResourceEntry> + use<'n> {
        let is_named = move |entry: &ResourceEntry| matches!(&entry.resource.details, ResourceDetails::Function(f) if f.name == name);
        self.known(scope, ResourceKind::Function).into_iter().filter(is_named)
    }

    fn look_at_version(&mut self, scope: &Scope, session: &Session<Https>, name: &str, version: &str) -> Result<Outcome, Halt> {
        let Some((resource, code)) = self.ask(discover_function(session, scope, name, version))?? else {
            let mut outcome = Outcome::Unchanged;
            // A function of which not even that is left that runs when nobody names a version is gone with all of them.
            let is_it = |entry: &ResourceEntry| {
                version == LATEST || matches!(&entry.resource.details, ResourceDetails::Function(f) if f.version == version)
            };
            for entry in self.versions(scope, name).filter(is_it) {
                if self.miss(&entry)? == Outcome::Changed {
                    outcome = Outcome::Changed;
                }
            }
            return Ok(outcome);
        };
        self.absences.is_there(&resource.key);
        if resource.tags.iter().any(|(key, value)| (key.as_str(), value.as_str()) == EXCLUSION) {
            return self.leave_out(resource, CoverageReason::ExcludedByTag);
        }
        let before = self.core.resource(&resource.key);
        let ResourceDetails::Function(function) = &resource.details else { return Ok(Outcome::Unchanged) };
        if self.is_idle(scope, function) {
            return self.leave_out(resource, CoverageReason::ScanEligibilityExpired);
        }
        // Only its tags moved.
        if let Some(entry) = before.filter(|entry| is_read(entry) && !is_left_out(entry) && same_code(&entry.resource, function)) {
            if entry.resource == resource {
                return Ok(Outcome::Unchanged);
            }
            self.core.observe(Observation { resource, inventory: None, coverage: entry.coverage })?;
            return Ok(Outcome::Changed);
        }
        let (inventory, reason, detail) = match code {
            Some(FunctionCode::Zip(location)) => self.read_zips(session, &resource.key, function, &location)?,
            Some(FunctionCode::Image(image)) => self.read_function_image(scope, session, &resource.key, &image)?,
            None => (None, CoverageReason::AccessDenied, "Lambda does not say where its code is".to_owned()),
        };
        let coverage = vec![package_coverage(reason, detail, self.core.now())];
        self.core.observe(Observation { resource, inventory, coverage })?;
        Ok(Outcome::Changed)
    }

    /// Reads a function's zip and those of its layers. One that cannot be had leaves what was known before.
    fn read_zips(&self, session: &Session<Https>, key: &ResourceKey, function: &FunctionDetails, location: &str) -> Result<Read, Halt> {
        let mut whole = match self.read_zip(&function.name, location)? {
            Ok(inventory) => inventory,
            Err((reason, detail)) => return Ok((None, reason, detail)),
        };
        for arn in &function.layers {
            let located = self.ask(layer_location(session, arn))?;
            let read = match located {
                Ok(location) => self.read_zip(arn, &location)?,
                Err(error) if error.is_denied() => Err((CoverageReason::AccessDenied, error.to_string())),
                Err(error) => Err((CoverageReason::InternalError, error.to_string())),
            };
            match read {
                Ok(layer) => whole = joined(whole, layer, arn),
                Err((reason, detail)) => return Ok((None, reason, format!("its layer {arn}: {detail}"))),
            }
        }
        Ok(self.judged(key, whole, &function.name))
    }

    fn read_zip(&self, name: &str, location: &str) -> Result<Result<Inventory, (CoverageReason, String)>, Halt> {
        let file = match self.ask(download(location))? {
            Ok(file) => file,
            Err(error) => return Ok(Err((CoverageReason::InternalError, error.to_string()))),
        };
        Ok(self.scanner.scan_zip_called(name, file.path()).map_err(|error| (reason_of(&error), error.to_string())))
    }

    fn read_function_image(&mut self, scope: &Scope, session: &Session<Https>, key: &ResourceKey, image: &str) -> Result<Read, Halt> {
        let Some((repository, digest)) = parts(image) else {
            return Ok((None, CoverageReason::UnsupportedMediaType, "its image is not named by a digest".to_owned()));
        };
        Ok(match self.read_image(scope, session, repository, digest)? {
            Ok(scanned) => self.judged(key, scanned.inventory, ""),
            Err(error) => (None, reason_of(&error), error.to_string()),
        })
    }
}

/// Whether a function did not change for so many days. When it changed is always told; where it is not, it is not old.
fn is_old(function: &FunctionDetails, days: u32, now: Timestamp) -> bool {
    function.modified_at != Timestamp::default() && !is_within(function.modified_at, days, now)
}

/// Whether a function runs the code that is known: the digest of its own, and the versions of its layers.
fn same_code(known: &Resource, function: &FunctionDetails) -> bool {
    matches!(&known.details, ResourceDetails::Function(before)
        if !before.code.is_empty() && before.code == function.code && before.layers == function.layers)
}

/// The repository and the digest of `….amazonaws.com/team/app@sha256:…`.
fn parts(image: &str) -> Option<(&str, &str)> {
    let (name, digest) = image.split_once('@')?;
    let (_, repository) = name.split_once('/')?;
    Some((repository, digest))
}

/// An inventory with that of a layer, each place of which says so.
fn joined(whole: Inventory, layer: Inventory, arn: &str) -> Inventory {
    let mut found: Vec<_> = whole.found().collect();
    found.extend(layer.found().map(|(component, mut occurrence)| {
        occurrence.path = format!("{LAYERS}/{}", occurrence.path);
        occurrence.layer = Some(arn.to_owned());
        (component, occurrence)
    }));
    // What is said of the layer as a whole is said of all that lies where layers do.
    let of_layer = layer.problems.into_iter().map(|mut problem| {
        problem.path = if problem.path == arn { LAYERS.to_owned() } else { format!("{LAYERS}/{}", problem.path) };
        problem
    });
    let problems = whole.problems.into_iter().chain(of_layer).collect();
    Inventory::assemble(whole.os.or(layer.os), found, problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_model::{Problem, ProblemKind};

    #[test]
    fn what_could_not_be_read_of_a_layer_is_said_of_where_layers_lie() {
        let problem = |path: &str| Problem { path: path.into(), kind: ProblemKind::Crashed, detail: String::new() };
        let layer = Inventory::assemble(None, vec![], vec![problem("arn:l"), problem("a/b")]);
        let paths: Vec<String> =
            joined(Inventory::assemble(None, vec![], vec![problem("f")]), layer, "arn:l").problems.into_iter().map(|p| p.path).collect();
        assert_eq!(paths, ["f", "opt", "opt/a/b"]);
    }

    #[test]
    fn images_of_functions_are_named_by_digest() {
        assert_eq!(parts("1.dkr.ecr.eu-west-1.amazonaws.com/team/app@sha256:0"), Some(("team/app", "sha256:0")));
        assert_eq!(parts("1.dkr.ecr.eu-west-1.amazonaws.com/app:latest"), None);
    }
}
