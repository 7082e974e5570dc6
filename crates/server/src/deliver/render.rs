//! From the outbox to events: what a group tells of, as it is now.

use crate::Core;
use lestrade_events::{Event, Names};
use lestrade_findings::{FindingView, Transition, World, resource_type, view_of};
use lestrade_matching::{ResourceId, VulnerabilityId};
use lestrade_model::{FindingStatus, Hash, Resource, Scope, Severity};
use lestrade_report::events;
use lestrade_store::{Fan, Item, OutboxGroup};
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// Resources that a summary names.
const NAMED: usize = 10;

/// Makes events. Counts of open findings are remembered as long as nothing moves.
pub(crate) struct Renderer {
    home: Scope,
    open: HashMap<(VulnerabilityId, Scope), u64>,
    open_at: u64,
}

/// An event, and whether it says what is.
pub(crate) struct Rendered {
    pub(crate) event: Event,
    /// Whether the finding has moved on since, so that a later group tells of it.
    pub(crate) overtaken: bool,
}

/// An identity that is a function of what is told: the same at every attempt.
fn identity(fields: &[&[u8]]) -> String {
    let name = Hash::of_fields(fields.iter().copied());
    Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).to_string()
}

impl Renderer {
    /// `home` is the scope of what belongs to no resource.
    pub(crate) fn new(home: Scope) -> Self {
        Self { home, open: HashMap::new(), open_at: 0 }
    }

    /// Whose affair one thing is that a group tells of; none when what it is about is not known any more.
    pub(crate) fn scope_of(&self, core: &Core, group: &OutboxGroup, item: Item) -> Option<Scope> {
        let of = |resource: ResourceId| Some(core.world().resource(resource)?.resource.key.scope.clone());
        match (item, &group.fan) {
            (Item::Finding(resource, _), _) => of(resource),
            (Item::Whole, Fan::Scan { resource, .. } | Fan::Coverage { resource, .. }) => of(*resource),
            (Item::Whole, Fan::Summary { scope, .. }) => Some(scope.clone()),
            (Item::Whole, _) => Some(self.home.clone()),
        }
    }

    /// The event of one thing that a group tells of; none when nothing is left to tell.
    pub(crate) fn event(&mut self, core: &Core, group: &OutboxGroup, item: Item) -> Option<Rendered> {
        match (item, &group.fan) {
            (Item::Finding(resource, vulnerability), _) => self.finding(core, group, resource, vulnerability),
            (Item::Whole, fan) => self.whole(core, group, fan).map(|event| Rendered { event, overtaken: false }),
        }
    }

    fn finding(&mut self, core: &Core, group: &OutboxGroup, resource: ResourceId, vulnerability: VulnerabilityId) -> Option<Rendered> {
        let (vulnerability, view, names) = {
            let world = core.world();
            // What was told of one that is another now goes on as the other.
            let vulnerability = world.log.goes_on_as(resource, vulnerability);
            (vulnerability, view_of(&world, core, resource, vulnerability)?, names(&world, vulnerability))
        };
        let id = identity(&[view.arn.as_str().as_bytes(), &group.id.to_le_bytes()]);
        let mut body = events::finding_event(&view, &id, group.at);
        let is_closed = view.status == FindingStatus::Closed;
        let overtaken = is_closed != (group.transition == Some(Transition::Closed));
        // The state has moved on when a group is sent late; what the group told of stays what it was.
        if let Some(status) = told(group, &view) {
            body["detail"]["status"] = status.into();
        }
        let open = Some(self.open(core, vulnerability, &view.resource.key.scope));
        Some(Rendered { event: Event { id, revision: group.id, body, open, names }, overtaken })
    }

    fn open(&mut self, core: &Core, vulnerability: VulnerabilityId, scope: &Scope) -> u64 {
        let world = core.world();
        if self.open_at != world.log.head() {
            self.open_at = world.log.head();
            self.open.clear();
        }
        let count = || world.resources_in(scope).intersection_len(&world.estate.resources_with(vulnerability));
        *self.open.entry((vulnerability, scope.clone())).or_insert_with(count)
    }

    fn whole(&mut self, core: &Core, group: &OutboxGroup, fan: &Fan) -> Option<Event> {
        let id = identity(&[b"group", &group.id.to_le_bytes()]);
        let resource = |id: ResourceId| -> Option<Resource> { Some(core.world().resource(id)?.resource.clone()) };
        let (mut open, mut names) = (None, Names::default());
        let body = match fan {
            Fan::Scan { resource: number, initial } => {
                events::scan_event(&resource(*number)?, &counts(core, *number), *initial, &id, group.at)
            }
            Fan::Coverage { resource: number, coverage } => events::coverage_event(&resource(*number)?, coverage, &id, group.at),
            Fan::Intelligence { generation, changed, rescored } => {
                events::intelligence_event(generation, *changed, *rescored, &self.home, &id, group.at)
            }
            Fan::Summary { scope, vulnerability, resources } => {
                open = Some(self.open(core, *vulnerability, scope));
                names = self::names(&core.world(), *vulnerability);
                summary(core, group, scope, *vulnerability, resources, &id)?
            }
            Fan::Vulnerability { .. } | Fan::Resource { .. } => return None,
        };
        Some(Event { id, revision: group.id, body, open, names })
    }
}

/// What a vulnerability was called before.
fn names(world: &World, vulnerability: VulnerabilityId) -> Names {
    let Some(assessment) = world.assessment(vulnerability) else { return Names::default() };
    let merged = world.log.all_merged_into(vulnerability);
    Names {
        first: world.first_name(vulnerability).filter(|first| *first != assessment.id).map(str::to_owned),
        formerly: assessment.formerly.clone(),
        merged: merged.into_iter().filter_map(|id| world.estate.vulnerability(id)).map(str::to_owned).collect(),
    }
}

/// What the vulnerability of that name was called before.
pub(crate) fn names_of(world: &World, vulnerability: &str) -> Names {
    world.called(vulnerability).next().map(|id| names(world, id)).unwrap_or_default()
}

/// The status that a group told of, where it is another than the present one.
fn told(group: &OutboxGroup, view: &FindingView) -> Option<&'static str> {
    match group.transition {
        Some(Transition::Closed) => Some("CLOSED"),
        Some(Transition::Opened) if view.status == FindingStatus::Closed => Some("ACTIVE"),
        _ => None,
    }
}

/// Open findings of a resource by severity.
fn counts(core: &Core, resource: ResourceId) -> BTreeMap<Severity, u64> {
    let world = core.world();
    let mut counts = BTreeMap::new();
    for vulnerability in world.estate.vulnerabilities_of(resource).iter() {
        if let Some(assessment) = world.assessment(vulnerability) {
            *counts.entry(assessment.severity).or_default() += 1;
        }
    }
    counts
}

fn summary(
    core: &Core,
    group: &OutboxGroup,
    scope: &Scope,
    vulnerability: VulnerabilityId,
    resources: &RoaringBitmap,
    id: &str,
) -> Option<serde_json::Value> {
    let world = core.world();
    let assessment = world.assessment(vulnerability)?;
    let mut kinds: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut named = Vec::new();
    for entry in resources.iter().filter_map(|id| world.resource(id)) {
        *kinds.entry(resource_type(entry.resource.key.kind)).or_default() += 1;
        if named.len() < NAMED {
            named.push(entry.resource.key.id.as_str());
        }
    }
    let change = match group.transition {
        Some(Transition::Opened) => "OPENED",
        Some(Transition::Closed) => "CLOSED",
        None => "CHANGED",
    };
    let movement = events::Movement { change, assessment, kinds: &kinds, named: &named };
    Some(events::summary_event(&movement, scope, id, group.at))
}
