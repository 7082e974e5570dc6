//! A new generation of intelligence becomes exactly the right changes: each changed vulnerability is judged backwards, on the
//! distinct installed versions of the packages that it names.

use crate::core::{Core, Draft, KnownOf, assess_as, assess_from, known_of};
use crate::load::{INTELLIGENCE, cursor_of};
use crate::reconcile::{Outcome, Reconciler};
use crate::{Core as Server, ServerError};
use lestrade_advisories::{GenerationId, OpenIndex, expect_many};
use lestrade_findings::{EpisodeBody, Transition, World};
use lestrade_matching::{ComponentId, Estate, IndexError, Verdict, VulnerabilityId, judge_component, judge_vulnerability};
use lestrade_model::Exploitation;
use lestrade_store::Fan;
use lestrade_sys::step;
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// Keeps the verdicts at the generation in force.
pub struct RefreshIntelligence(pub Arc<Server>);

impl Reconciler for RefreshIntelligence {
    fn name(&self) -> &'static str {
        "refresh-intelligence"
    }

    fn reconcile(&mut self) -> Result<Outcome, ServerError> {
        if !self.0.refresh_intelligence()? {
            return Ok(Outcome::Unchanged);
        }
        if let Some(index) = self.0.index() {
            let since = self.0.now().as_millis().saturating_sub(index.manifest().built_at.as_millis());
            self.0.meters.acted("advisory", Duration::from_millis(u64::try_from(since).unwrap_or_default()));
        }
        Ok(Outcome::Changed)
    }
}

impl Core {
    /// Applies the generation in force, if it is not the one already applied; answers whether it was applied.
    ///
    /// # Errors
    /// When the library, the index or the store fails; then the last good generation stays in force.
    pub fn refresh_intelligence(&self) -> Result<bool, ServerError> {
        let Some(current) = self.library.current()? else { return Ok(false) };
        let applied = self.store().cursor(INTELLIGENCE)?;
        if applied.as_deref() == Some(cursor_of(&current, self.library.mode()).as_bytes()) && self.index().is_some() {
            return Ok(false);
        }
        let new = Arc::new(self.library.open(&current)?);
        expect_many(&new);
        step("refresh: opened");
        // Damage is found before anything rests on it: a flipped bit must not close a finding.
        new.verify()?;
        step("refresh: verified");
        self.apply(&current, new, applied.is_some())?;
        Ok(true)
    }

    fn apply(&self, id: &GenerationId, new: Arc<OpenIndex>, judged_before: bool) -> Result<(), ServerError> {
        // Most of the work needs the world for moments only: others go on meanwhile.
        let news = self.comparable(&new).map(|old| News::between(old, &new, || self.world())).transpose()?;
        step("refresh: compared");
        self.bring_into_force(id, new, news, judged_before)
    }

    /// The index in force, if the difference to another one says all: what another mode left out is in no difference of generations.
    fn comparable(&self, new: &OpenIndex) -> Option<Arc<OpenIndex>> {
        self.index().filter(|old| old.mode() == new.mode())
    }

    fn bring_into_force(&self, id: &GenerationId, new: Arc<OpenIndex>, news: Option<News>, judged_before: bool) -> Result<(), ServerError> {
        let mut guard = self.world_mut();
        let old = self.comparable(&new);
        let news = match (old, news) {
            // Somebody else brought another generation into force meanwhile.
            (Some(old), news) if news.as_ref().is_none_or(|news| !Arc::ptr_eq(&news.old, &old)) => {
                Some(News::between(old, &new, || &*guard)?)
            }
            (_, news) => news,
        };
        let mut draft = Draft::new(self, &mut guard)?;
        let mut told = (0, 0);
        match news {
            Some(news) => {
                told = (news.revisions.len() as u64, news.rescored_in_all);
                tracing::info!(generation = %id, changed = told.0, rescored = told.1, "applying intelligence");
                let (components, _, vulnerabilities) = draft.world.estate.sizes();
                let is_same = components == news.components;
                let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
                news.renamed.iter().for_each(|(was, now)| names.entry(now).or_default().push(was));
                let mut renamed = BTreeSet::new();
                for (now, were) in names {
                    renamed.extend(go_on(&mut draft, &new, &were, now)?);
                }
                for mut revision in news.revisions {
                    // What was installed meanwhile was not judged.
                    if !is_same {
                        revision.verdicts = judge_vulnerability(&new, &draft.world.estate, &revision.name, false)?;
                    }
                    revise(&mut draft, &new, revision, &renamed)?;
                }
                for (name, exploitation) in news.rescored {
                    if let Some(vulnerability) = draft.world.estate.vulnerability_id(&name) {
                        draft.world.set_exploitation(vulnerability, exploitation.as_ref());
                    }
                }
                // What became known meanwhile was assessed by the generation before.
                for vulnerability in number(news.vulnerabilities)..number(vulnerabilities) {
                    let name = draft.world.estate.vulnerability(vulnerability).unwrap_or_default().to_owned();
                    assess_from(draft.world, &new, vulnerability, &name)?;
                }
            }
            None if !judged_before => {
                let names = everything(&draft, &new)?;
                told.0 = names.len() as u64;
                for name in names {
                    let revision = Revision::by(&new, &draft.world.estate, name)?;
                    revise(&mut draft, &new, revision, &BTreeSet::new())?;
                }
            }
            None => {
                tracing::warn!(generation = %id, "what was applied is gone, or was reported otherwise; everything is judged anew");
                for name in everything(&draft, &new)? {
                    let vulnerability = draft.vulnerability(&name);
                    let verdicts = judge_vulnerability(&new, &draft.world.estate, &name, false)?;
                    draft.world.estate.revise(vulnerability, verdicts);
                    assess_from(draft.world, &new, vulnerability, &name)?;
                }
                repair(&mut draft);
            }
        }
        draft.tell(None, Fan::Intelligence { generation: id.to_string(), changed: told.0, rescored: told.1 });
        draft.change.cursors.push((INTELLIGENCE.to_owned(), cursor_of(id, self.library.mode()).into_bytes()));
        step("refresh: judged");
        draft.commit(self)?;
        step("refresh: committed");
        // Still under the lock: nobody may judge by the one what the other has judged.
        self.set_index(new);
        step("refresh: in force");
        Ok(())
    }
}

/// Writes into the log, resource by resource, what the derived state has and the log has not, and the other way round.
fn repair(draft: &mut Draft<'_>) {
    let (derived, logged) = (draft.world.derived(), draft.world.log.replay());
    let mut by_resource: BTreeMap<u32, (RoaringBitmap, RoaringBitmap)> = BTreeMap::new();
    for (resource, vulnerability) in derived.symmetric_difference(&logged) {
        let (opened, closed) = by_resource.entry(*resource).or_default();
        if derived.contains(&(*resource, *vulnerability)) { opened } else { closed }.insert(*vulnerability);
    }
    for (resource, (opened, closed)) in by_resource {
        let set = draft.world.estate.set_of(resource);
        let previous = draft.world.resource(resource).and_then(|entry| entry.inventory);
        draft.episode(EpisodeBody::Inventory { resource, set, previous, opened: opened.clone(), closed: closed.clone() });
        draft.tell(Some(Transition::Opened), Fan::Resource { resource, vulnerabilities: opened });
        draft.tell(Some(Transition::Closed), Fan::Resource { resource, vulnerabilities: closed });
    }
}

/// Without the older generation to compare with: all that is known to be installed somewhere, and all that would be now.
fn everything(draft: &Draft<'_>, index: &OpenIndex) -> Result<BTreeSet<String>, ServerError> {
    let estate = &draft.world.estate;
    let (components, _, vulnerabilities) = estate.sizes();
    let named = |id| estate.vulnerability(id).filter(|_| !draft.world.log.is_merged(id));
    let mut names: BTreeSet<String> = (0..number(vulnerabilities)).filter_map(named).map(str::to_owned).collect();
    for id in (0..components).filter_map(|id| u32::try_from(id).ok()) {
        names.extend(judge_component(index, estate.component(id))?.into_keys());
    }
    Ok(names)
}

/// What a generation knows otherwise than the one before, judged by an estate that may have moved since.
struct News {
    old: Arc<OpenIndex>,
    revisions: Vec<Revision>,
    /// Vulnerabilities that the newer one knows by another name, or takes for another one.
    renamed: BTreeMap<String, String>,
    /// What is known now of how these are exploited.
    rescored: Vec<(String, Option<Exploitation>)>,
    rescored_in_all: u64,
    /// How many components and vulnerabilities the estate had before.
    components: usize,
    vulnerabilities: usize,
}

/// A vulnerability about which a record changed.
struct Revision {
    name: String,
    verdicts: BTreeMap<ComponentId, Verdict>,
    known: KnownOf,
}

impl Revision {
    /// How a generation judges it, on what is installed.
    fn by(index: &OpenIndex, estate: &Estate, name: String) -> Result<Self, ServerError> {
        let verdicts = judge_vulnerability(index, estate, &name, false)?;
        Ok(Self { verdicts, known: known_of(index, &name)?, name })
    }
}

impl News {
    fn between<W: Deref<Target = World> + Sync>(old: Arc<OpenIndex>, new: &OpenIndex, world: impl Fn() -> W) -> Result<Self, ServerError> {
        let mut diff = new.diff(old.as_ref())?;
        let renamed = new.renamed(old.as_ref(), &diff)?;
        diff.vulnerabilities.extend(renamed.values().cloned());
        let (rescored, (components, _, vulnerabilities)) = {
            let world = world();
            let estate = &world.estate;
            // What is not installed anywhere has no number here, and nobody asks for its score.
            (new.rescored(old.as_ref(), |name| estate.vulnerability_id(name).map(|_| name.to_owned()))?, estate.sizes())
        };
        let revision = |name: String| Revision::by(new, &world().estate, name);
        let exploited = |name: String| new.exploitation(&name).map(|known| (name, known));
        Ok(Self {
            old,
            renamed,
            revisions: diff.vulnerabilities.into_iter().map(revision).collect::<Result<_, ServerError>>()?,
            rescored_in_all: rescored.all,
            rescored: rescored.known.into_iter().map(exploited).collect::<Result<_, IndexError>>()?,
            components,
            vulnerabilities,
        })
    }
}

fn number(index: usize) -> VulnerabilityId {
    VulnerabilityId::try_from(index).unwrap_or(VulnerabilityId::MAX)
}

/// Lets the findings of some vulnerabilities go on under the name by which their records know them now, and answers which of them is
/// called so from now on; none where one was already. All others are that one.
fn go_on(draft: &mut Draft<'_>, index: &OpenIndex, names: &[&str], now: &str) -> Result<Option<VulnerabilityId>, ServerError> {
    let mut known: Vec<VulnerabilityId> = names.iter().filter_map(|name| draft.world.estate.vulnerability_id(name)).collect();
    known.sort_unstable();
    let mut known = known.into_iter();
    let (into, renamed) = match draft.world.estate.vulnerability_id(now) {
        Some(into) => (into, None),
        None => {
            let Some(first) = known.next() else { return Ok(None) };
            draft.episode(EpisodeBody::Renamed { vulnerability: first, name: now.to_owned() });
            (first, Some(first))
        }
    };
    tracing::info!(were = ?names, now, "vulnerabilities have another name");
    if known.len() > 0 {
        merge(draft, index, known.collect(), into, now)?;
    }
    Ok(renamed)
}

/// Takes some vulnerabilities for another one. Where that never was, their findings go on as its own; elsewhere they close.
fn merge(
    draft: &mut Draft<'_>,
    index: &OpenIndex,
    ended: Vec<VulnerabilityId>,
    into: VulnerabilityId,
    name: &str,
) -> Result<(), ServerError> {
    let mut others = draft.world.ever_in(into);
    let mut ends = Vec::new();
    for vulnerability in ended {
        let heirs = draft.world.ever_in(vulnerability) - &others;
        others |= &heirs;
        let open = draft.world.estate.resources_with(vulnerability);
        judged(draft, vulnerability, BTreeMap::new(), true);
        ends.push((vulnerability, heirs, open));
    }
    let verdicts = judge_vulnerability(index, &draft.world.estate, name, false)?;
    let mut moved = judged(draft, into, verdicts, true);
    let has = draft.world.estate.resources_with(into);
    for (vulnerability, heirs, open) in ends {
        let unbroken = &open & &heirs & &has;
        moved.opened -= &unbroken;
        moved.changed |= &unbroken;
        moved.closed |= &open & (&heirs - &unbroken);
        let elsewhere = open - &heirs;
        draft.episode(EpisodeBody::Merged { vulnerability, into, heirs, unbroken });
        draft.tell(Some(Transition::Closed), Fan::Vulnerability { vulnerability, resources: elsewhere });
    }
    assess_from(draft.world, index, into, name)?;
    moved.tell(draft, into);
    Ok(())
}

/// The resources in which a vulnerability opened, closed and became another.
struct Moved {
    opened: RoaringBitmap,
    closed: RoaringBitmap,
    changed: RoaringBitmap,
}

impl Moved {
    fn tell(self, draft: &mut Draft<'_>, vulnerability: VulnerabilityId) {
        let Self { opened, closed, changed } = self;
        for (transition, resources) in [(Some(Transition::Opened), opened), (Some(Transition::Closed), closed), (None, changed)] {
            draft.tell(transition, Fan::Vulnerability { vulnerability, resources });
        }
    }
}

/// Takes in how one vulnerability is judged now, and logs what opened and closed.
/// Verdicts that hold no longer are kept where they explain what is closed, or else all of them.
fn judged(draft: &mut Draft<'_>, id: VulnerabilityId, verdicts: BTreeMap<ComponentId, Verdict>, keep: bool) -> Moved {
    let before = draft.world.estate.verdicts(id).into_iter().flatten();
    let cleared: Vec<_> =
        before.filter(|(component, _)| !verdicts.contains_key(component)).map(|(id, verdict)| (*id, verdict.clone())).collect();
    let delta = draft.world.estate.revise(id, verdicts);
    let resources = |sets| draft.world.estate.resources_of(sets);
    let moved = Moved { opened: resources(&delta.opened), closed: resources(&delta.closed), changed: resources(&delta.changed) };
    if !delta.opened.is_empty() || !delta.closed.is_empty() {
        draft.episode(EpisodeBody::Advisory { vulnerability: id, opened: delta.opened, closed: delta.closed });
    }
    // What closed earlier, by what happened to its resource, was about them too.
    let is_told = keep || draft.world.log.closed_resources(id).is_some_and(|closed| !closed.is_empty());
    if is_told && !cleared.is_empty() {
        draft.world.keep_cleared(id, draft.world.log.head() + 1, cleared.iter().cloned());
        draft.episode(EpisodeBody::Cleared { vulnerability: id, verdicts: cleared });
    }
    moved
}

/// The same, with what is known of it, and tells what opened, closed and changed: all of it, where its name did.
fn revise(draft: &mut Draft<'_>, index: &OpenIndex, revision: Revision, renamed: &BTreeSet<VulnerabilityId>) -> Result<(), ServerError> {
    let Revision { name, verdicts, known } = revision;
    if verdicts.is_empty() && draft.world.estate.vulnerability_id(&name).is_none() {
        return Ok(());
    }
    let id = draft.vulnerability(&name);
    let mut moved = judged(draft, id, verdicts, false);
    assess_as(draft.world, index, id, &name, known)?;
    if renamed.contains(&id) {
        moved.changed = draft.world.estate.resources_with(id) - &moved.opened;
    }
    moved.tell(draft, id);
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Observation;
    use lestrade_advisories::{Importer, Library};
    use lestrade_model::{
        Clock, Component, Ecosystem, Family, ImageDetails, Inventory, Manager, Occurrence, Resource, ResourceDetails, ResourceFacts,
        ResourceKey, ResourceKind, Scope, Severity, Timestamp,
    };
    use serde_json::json;
    use std::path::Path;

    pub(crate) struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_790_000_000_000)
        }
    }

    /// A generation in which lodash before some version is vulnerable so gravely.
    fn publish(library: &Library, folder: &Path, fixed: &str, impact: &str) -> GenerationId {
        let record = json!({"id": "CVE-2026-0001", "modified": "2026-01-01T00:00:00Z", "summary": "A flaw.",
            "severity": [{"type": "CVSS_V3", "score": format!("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:{impact}/I:{impact}/A:{impact}")}],
            "affected": [{"package": {"ecosystem": "npm", "name": "lodash"},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": fixed}]}]}]});
        std::fs::write(folder.join("record.json"), record.to_string()).unwrap();
        let mut importer = Importer::new(Still.now());
        importer.import(&folder.join("record.json")).unwrap();
        library.publish(&importer.finish().unwrap().0).unwrap();
        library.current().unwrap().unwrap()
    }

    pub(crate) fn with_lodash(version: &str) -> Observation {
        let scope = Scope::new("aws", "111122223333", "eu-west-1").unwrap();
        let digest = format!("sha256:{}", version.replace('.', "0").repeat(16));
        let details = ImageDetails {
            registry: "111122223333".into(),
            repository: "web".into(),
            digest: digest.clone(),
            tags: vec![],
            architecture: "amd64".into(),
            pushed_at: Still.now(),
        };
        let place = Occurrence { component: 0, path: "node_modules/lodash".into(), layer: None, arch: None, manager: Manager::NodePackage };
        let found = vec![(Component::new(Ecosystem::of(Family::Npm), "lodash", version), place)];
        Observation {
            resource: Resource {
                key: ResourceKey { id: scope.arn("ecr", &format!("repository/web/{digest}")), scope, kind: ResourceKind::Image },
                details: ResourceDetails::Image(details),
                facts: ResourceFacts::default(),
                tags: vec![],
            },
            inventory: Some(Inventory::assemble(None, found, vec![])),
            coverage: vec![],
        }
    }

    /// What is installed, or becomes known, between the comparing and the change is judged as if it had been there before.
    #[test]
    fn what_comes_while_generations_are_compared_is_judged_by_the_newer() {
        let folder = tempfile::tempdir().unwrap();
        let library = || Library::new(folder.path().join("db"));
        publish(&library(), folder.path(), "4.17.20", "L");
        let store = lestrade_store::open(folder.path().join("state.db").to_str().unwrap()).unwrap();
        let core = Core::open(store, library(), Arc::new(Still), [7; 32]).unwrap();

        let id = publish(&library(), folder.path(), "4.17.21", "H");
        let new = Arc::new(library().open(&id).unwrap());
        let news = News::between(core.index().unwrap(), &new, || core.world()).unwrap();
        // Vulnerable by both, and by the newer alone.
        core.observe(with_lodash("4.17.19")).unwrap();
        core.observe(with_lodash("4.17.20")).unwrap();
        assert_eq!(core.world().derived().len(), 1);
        core.bring_into_force(&id, new, Some(news), true).unwrap();

        let world = core.world();
        assert_eq!(world.derived().len(), 2);
        let vulnerability = world.estate.vulnerability_id("CVE-2026-0001").unwrap();
        assert_eq!(world.assessment(vulnerability).unwrap().severity, Severity::Critical);
        drop(world);
        assert!(core.audit().is_empty());
    }
}
