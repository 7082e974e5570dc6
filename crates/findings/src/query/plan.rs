//! Criteria, compiled: which resources, which vulnerabilities, and what is left to be asked of each pair.

use crate::criteria::{Attributes, PackageTest};
use crate::view::{Pair, resource_date, resource_number, resource_text, vulnerability_number, vulnerability_text};
use crate::{
    Assessment, Criteria, DateField, InventorySource, LogPosition, NumberField, Reach, ResourceEntry, Side, Term, TextField, TextTest,
    World,
};
use lestrade_matching::{ComponentId, ResourceId, Verdict, VulnerabilityId};
use lestrade_model::{FindingStatus, FixState, ImageUse, ResourceKind, Scope, Timestamp};
use roaring::{MultiOps, RoaringBitmap};
use std::borrow::Cow;
use std::sync::Arc;

/// From how many episodes since a page's position on nothing is narrowed by what holds now: too much may have changed.
const MUCH_HAPPENED: u64 = 10_000;
/// Up to how many match sets are looked through to narrow the resources down.
const FEW_SETS: u64 = 20_000;
/// Up to how many resources are asked one by one, rather than put together or their vulnerabilities all tried.
pub(super) const FEW_RESOURCES: u64 = 1_000;

/// A suppression rule, compiled, or a part of one.
#[derive(Clone)]
pub(crate) struct Hidden {
    /// Which it is.
    pub(crate) by: Arc<str>,
    /// The resources whose findings it may hide.
    pub(crate) resources: RoaringBitmap,
    /// The vulnerabilities that it may hide.
    pub(crate) vulnerabilities: RoaringBitmap,
    /// What is left to be asked of a pair.
    pub(crate) residual: Vec<Term>,
}

impl Hidden {
    /// Whether the rule hides a finding, which is asked as if nothing hid it.
    pub(crate) fn hides(&self, plain: &Pair<'_>) -> bool {
        self.resources.contains(plain.resource)
            && self.vulnerabilities.contains(plain.vulnerability)
            && self.residual.iter().all(|term| term.holds(plain))
    }
}

/// Compiled criteria.
pub(crate) struct Plan<'a> {
    pub(crate) world: &'a World,
    pub(crate) inventories: &'a dyn InventorySource,
    pub(crate) criteria: &'a Criteria,
    /// No other resource has a finding that meets the criteria.
    pub(crate) resources: RoaringBitmap,
    /// No other vulnerability has one.
    pub(crate) vulnerabilities: RoaringBitmap,
    pub(super) open: bool,
    pub(super) closed: bool,
    pub(super) position: LogPosition,
    moved: Moved,
    pub(super) now: Timestamp,
    /// Up to how many resources are few.
    pub(super) few: u64,
    /// The suppression rules that may concern them.
    pub(crate) hidden: Arc<Vec<Hidden>>,
}

/// The vulnerabilities that moved somewhere since the position of a plan.
enum Moved {
    None,
    These(RoaringBitmap),
    /// Too many to find out.
    Much,
}

impl Moved {
    fn since(position: LogPosition, world: &World) -> Self {
        match world.log.head().saturating_sub(position) {
            0 => Self::None,
            1..=MUCH_HAPPENED => Self::These(world.log.vulnerabilities_since(position)),
            _ => Self::Much,
        }
    }
}

impl<'a> Plan<'a> {
    pub(crate) fn compile(
        world: &'a World,
        inventories: &'a dyn InventorySource,
        scopes: &[Scope],
        criteria: &'a Criteria,
        position: LogPosition,
        now: Timestamp,
    ) -> Self {
        let (resources, vulnerabilities) = sides(world, scopes, criteria);
        let rewound = position < world.log.head();
        let mut plan = Self {
            world,
            inventories,
            criteria,
            resources,
            vulnerabilities,
            // Looking back, what is closed now may have been open, and the other way round.
            open: rewound || criteria.admit_status("ACTIVE") || criteria.admit_status("SUPPRESSED"),
            closed: rewound || criteria.admit_status(FindingStatus::Closed.as_str()),
            position,
            moved: Moved::since(position, world),
            now,
            few: FEW_RESOURCES,
            hidden: Arc::default(),
        };
        plan.narrow();
        plan.hidden = Arc::new(hidden(world, scopes));
        plan
    }

    /// Leaves out what terms about pairs cannot hold of.
    fn narrow(&mut self) {
        for term in self.criteria.of_side(Side::Pair) {
            match term {
                Term::Text(TextField::FindingArn, tests) => {
                    if let Some(arns) = all_equal(tests) {
                        self.resources &= arns.flat_map(|arn| self.world.resources_of_arn(arn)).collect::<RoaringBitmap>();
                    }
                }
                Term::Text(TextField::Title, tests) if !tests.iter().any(|test| matches!(test, TextTest::NotEquals(_))) => {
                    self.vulnerabilities &= &*titled(self.world, term, tests);
                }
                _ => {}
            }
        }
        let log = &self.world.log;
        for term in self.criteria.of_side(Side::Pair) {
            // What was first observed, or changed, since then opened or closed since then.
            if let Term::Date(DateField::FirstObservedAt | DateField::UpdatedAt, ranges) = term
                && let Some(from) = ranges.iter().map(|(from, _)| *from).min().flatten()
                && log.head().saturating_sub(log.position_at(from)) <= MUCH_HAPPENED
            {
                self.vulnerabilities &= log.vulnerabilities_since(log.position_at(from));
            }
        }
        // What follows is said by verdicts: of what has moved since the position they say nothing.
        if matches!(self.moved, Moved::Much) {
            return;
        }
        let mut now = None;
        let closed = if self.closed { log.vulnerabilities_closed_somewhere() & &self.vulnerabilities } else { RoaringBitmap::new() };
        let mut closed: Vec<VulnerabilityId> = closed.iter().collect();
        for term in self.criteria.of_side(Side::Pair) {
            // Of what is closed the last verdicts speak, on whatever it closed in.
            let mut was = |in_it: &dyn Fn(ComponentId, &Verdict) -> bool| {
                closed.retain(|id| self.world.verdicts_ever(*id).any(|(component, verdict)| in_it(component, verdict)));
            };
            let holds = match term {
                Term::Text(TextField::FixAvailable, tests) => {
                    if all_equal(tests).is_some_and(|mut values| values.all(|value| value != "NO")) {
                        was(&|_, verdict| verdict.fixed_in.is_some());
                    }
                    fixed(self.world, tests)
                }
                Term::State(states) => {
                    was(&|_, verdict| states.contains(&verdict.state));
                    Some(standing(self.world, states))
                }
                Term::Package(tests) => called(self.world, tests).map(|components| {
                    let called: RoaringBitmap = components.iter().copied().collect();
                    was(&|component, _| called.contains(component));
                    self.world.estate.vulnerabilities_in(components.iter())
                }),
                _ => None,
            };
            if let Some(holds) = holds {
                now = Some(now.map_or(holds.clone(), |now: RoaringBitmap| now & &holds));
            }
        }
        if let Some(mut now) = now {
            if let Moved::These(moved) = &self.moved {
                now |= moved;
            }
            now.extend(closed);
            self.vulnerabilities &= now;
        }
    }

    /// Leaves out vulnerabilities that none of the resources has, where that is quickly found out.
    pub(super) fn narrow_vulnerabilities(&mut self) {
        if self.resources.len() <= self.few {
            self.vulnerabilities = self.resources.iter().map(|resource| self.candidates_of_resource(resource)).union();
        }
    }

    /// Leaves out resources that have none of the vulnerabilities, where that is quickly found out.
    pub(super) fn narrow_resources(&mut self) {
        if self.vulnerabilities.len() > 256 {
            return;
        }
        let estate = &self.world.estate;
        let (mut sets, mut all) = (RoaringBitmap::new(), RoaringBitmap::new());
        for vulnerability in &self.vulnerabilities {
            match estate.condition_of(vulnerability) {
                Some(resources) => all |= resources,
                None => sets |= estate.sets_having(vulnerability).0,
            }
            if sets.len() > FEW_SETS {
                return;
            }
            // What was there at whatever position, and is not now, is closed.
            if let (true, Some(closed)) = (self.closed, self.world.log.closed_resources(vulnerability)) {
                all |= closed;
            }
        }
        all |= estate.resources_of(&sets);
        self.resources &= all;
    }

    /// The pair as it was at the position, if it meets the residual.
    pub(super) fn admit(&self, resource: ResourceId, vulnerability: VulnerabilityId) -> Option<Pair<'a>> {
        // What has not moved since stands as it does now, and that is known without its history.
        let position = match &self.moved {
            Moved::These(moved) if !moved.contains(vulnerability) => self.world.log.head(),
            _ => self.position,
        };
        let pair = Pair::new(self.world, self.inventories, resource, vulnerability, position)?.hidden_by(&self.hidden);
        pair.is_open(self.now)?;
        self.criteria.of_side(Side::Pair).all(|term| term.holds(&pair)).then_some(pair)
    }

    pub(super) fn candidates_of_resource(&self, resource: ResourceId) -> RoaringBitmap {
        let mut found = RoaringBitmap::new();
        if self.open {
            found |= self.world.estate.vulnerabilities_of(resource);
        }
        found &= &self.vulnerabilities;
        if self.closed {
            found |= self.world.log.closed_vulnerabilities(resource, &self.vulnerabilities);
        }
        found
    }

    /// Calls `each` with every finding that meets the criteria, in no order.
    pub(crate) fn for_each(&self, mut each: impl FnMut(Pair<'a>)) {
        for resource in &self.resources {
            for vulnerability in &self.candidates_of_resource(resource) {
                if let Some(pair) = self.admit(resource, vulnerability) {
                    each(pair);
                }
            }
        }
    }
}

/// The resources of some scopes, and the vulnerabilities, of which the terms about each side alone hold.
fn sides<'s>(world: &World, scopes: impl IntoIterator<Item = &'s Scope>, criteria: &Criteria) -> (RoaringBitmap, RoaringBitmap) {
    let mut resources = RoaringBitmap::new();
    for scope in scopes {
        resources |= world.resources_in(scope);
    }
    for term in criteria.of_side(Side::Resource) {
        resources &= &*resources_of(world, term);
    }
    let mut vulnerabilities = world.estate.present_vulnerabilities() | world.log.vulnerabilities_closed_somewhere();
    // A score is the pair's, and those that it has on no resource are out all the same.
    let scores = criteria.of_side(Side::Pair).filter(|term| is_score(term));
    for term in criteria.of_side(Side::Vulnerability).chain(scores) {
        vulnerabilities &= &*vulnerabilities_of(world, term);
    }
    (resources, vulnerabilities)
}

/// The components that one of some tests of packages may be about; none when any may be.
fn called(world: &World, tests: &[PackageTest]) -> Option<Vec<ComponentId>> {
    let mut found = Vec::new();
    for test in tests {
        let (from, prefix) = match test.name.as_ref()? {
            TextTest::Equals(name) => (name, false),
            TextTest::Prefix(name) => (name, true),
            TextTest::NotEquals(_) => return None,
        };
        let called = world.estate.called_from(from);
        let called = called.take_while(|(name, _)| if prefix { name.starts_with(from.as_str()) } else { *name == from.as_str() });
        called.for_each(|(_, components)| found.extend_from_slice(components));
    }
    Some(found)
}

/// The values of tests that all are for equality.
fn all_equal(tests: &[TextTest]) -> Option<impl Iterator<Item = &str>> {
    let all = !tests.is_empty() && tests.iter().all(|test| test.equal().is_some());
    all.then(|| tests.iter().filter_map(TextTest::equal))
}

/// The resources that a term about resources holds of.
fn resources_of(world: &World, term: &Term) -> Arc<RoaringBitmap> {
    if let Term::Text(field, tests) = term
        && let Some(values) = all_equal(tests)
    {
        // What resources are known by is looked up.
        match field {
            TextField::AwsAccountId => {
                let values: Vec<&str> = values.collect();
                let scopes = world.scopes().filter(|scope| values.contains(&scope.account.as_str()));
                return Arc::new(scopes.fold(RoaringBitmap::new(), |all, scope| all | world.resources_in(scope)));
            }
            TextField::ResourceId => {
                return Arc::new(values.flat_map(|id| world.resources_named(id, &ResourceKind::ALL)).collect());
            }
            _ => {}
        }
    }
    let holds = |id| world.resource(id).is_some_and(|entry| term.holds(&OfResource(entry, world.uses(id))));
    world.resource_terms.get(term, || (0..world.resource_count()).filter(|id| holds(*id)).collect(), holds)
}

/// The vulnerabilities that a term about vulnerabilities holds of.
fn vulnerabilities_of(world: &World, term: &Term) -> Arc<RoaringBitmap> {
    if let Term::Text(TextField::VulnerabilityId, tests) = term
        && let Some(values) = all_equal(tests)
    {
        // Conditions have numbers too, and are no vulnerabilities.
        let is_one = |id: &VulnerabilityId| world.assessment(*id).is_some_and(|a| a.condition.is_none());
        return Arc::new(values.flat_map(|id| world.called(id)).filter(is_one).collect());
    }
    let reaches = if is_score(term) { &Reach::ALL[..] } else { &[Reach::Network] };
    let holds = |id| {
        let known = world.assessment(id);
        known.is_some_and(|assessment| reaches.iter().any(|reach| term.holds(&OfVulnerability(assessment, *reach))))
    };
    world.vulnerability_terms.get(term, || every_vulnerability(world).filter(|id| holds(*id)).collect(), holds)
}

/// Whether a term is about the score, which is another where a resource is attacked from nearer.
const fn is_score(term: &Term) -> bool {
    matches!(term, Term::Number(NumberField::InspectorScore, _))
}

fn every_vulnerability(world: &World) -> impl Iterator<Item = VulnerabilityId> {
    0..u32::try_from(world.estate.sizes().2).unwrap_or(u32::MAX)
}

/// The vulnerabilities whose findings may have a title that meets the tests: it begins with their id.
fn titled(world: &World, term: &Term, tests: &[TextTest]) -> Arc<RoaringBitmap> {
    let holds = |id| {
        let Some(assessment) = world.assessment(id) else { return false };
        tests.iter().any(|test| match (test, &assessment.condition) {
            (test, Some(condition)) => test.holds(&condition.title),
            (TextTest::Equals(title) | TextTest::Prefix(title), None) => {
                title.starts_with(&assessment.id) || assessment.id.starts_with(title)
            }
            (TextTest::NotEquals(_), None) => true,
        })
    };
    world.vulnerability_terms.get(term, || every_vulnerability(world).filter(|id| holds(*id)).collect(), holds)
}

/// The vulnerabilities of which some finding may have such a fix; none when any may.
fn fixed(world: &World, tests: &[TextTest]) -> Option<RoaringBitmap> {
    let (with, without) = world.estate.fixes();
    let of = |value: &str| match value {
        "YES" => with.clone(),
        "NO" => without.clone(),
        "PARTIAL" => with & without,
        _ => RoaringBitmap::new(),
    };
    // A finding whose packages are not known any more counts as one without a fix.
    Some(all_equal(tests)?.fold(RoaringBitmap::new(), |all, value| all | of(value)))
}

/// The vulnerabilities of which some component is in one of some states.
fn standing(world: &World, states: &[FixState]) -> RoaringBitmap {
    let stands = |id: &VulnerabilityId| {
        let verdicts = world.estate.verdicts(*id);
        verdicts.is_some_and(|verdicts| verdicts.values().any(|verdict| states.contains(&verdict.state)))
    };
    every_vulnerability(world).filter(stands).collect()
}

/// The suppression rules that concern findings of these scopes, compiled.
fn hidden(world: &World, scopes: &[Scope]) -> Vec<Hidden> {
    let concerns = |rule: &&crate::Suppression| scopes.iter().any(|scope| rule.holds_in(scope, world.administrator.as_ref()));
    let compile = |rule: &crate::Suppression| {
        let holding = scopes.iter().filter(|scope| rule.holds_in(scope, world.administrator.as_ref()));
        let (resources, mut vulnerabilities) = sides(world, holding, &rule.criteria);
        let residual: Vec<Term> = rule.criteria.of_side(Side::Pair).cloned().collect();
        for term in &residual {
            // What is in none of the packages is not hidden for them; of what closed it is not known here what it was in.
            if let Term::Package(tests) = term
                && let Some(components) = called(world, tests)
            {
                vulnerabilities &= world.estate.vulnerabilities_in(components.iter()) | world.log.vulnerabilities_closed_somewhere();
            }
        }
        decided_by_fix(world, Hidden { by: Arc::clone(&rule.by), resources, vulnerabilities, residual })
    };
    world.suppressions.iter().filter(concerns).flat_map(compile).collect()
}

/// Takes a rule apart that asks for fixes: where a vulnerability is fixed in all packages or in none, no finding need be asked.
fn decided_by_fix(world: &World, rule: Hidden) -> Vec<Hidden> {
    let asks = |term: &Term| matches!(term, Term::Text(TextField::FixAvailable, tests) if all_equal(tests).is_some());
    let Some(asked) = rule.residual.iter().position(asks) else { return vec![rule] };
    let Term::Text(_, tests) = &rule.residual[asked] else { return vec![rule] };
    let wants = |value: &str| all_equal(tests).is_some_and(|mut values| values.any(|wanted| wanted == value));
    let (with, without) = world.estate.fixes();
    // Of what closed somewhere it is the past that counts, where a page looks back.
    let (always, never) = (with - without, without - with);
    let (always, never) = (always - world.log.vulnerabilities_closed_somewhere(), never - world.log.vulnerabilities_closed_somewhere());
    let none = RoaringBitmap::new();
    let meets = if wants("YES") { &always } else { &none } | if wants("NO") { &never } else { &none };
    let mut residual = rule.residual.clone();
    residual.remove(asked);
    let decided =
        Hidden { by: Arc::clone(&rule.by), resources: rule.resources.clone(), vulnerabilities: meets & &rule.vulnerabilities, residual };
    let open = Hidden { vulnerabilities: &rule.vulnerabilities - (always | never), ..rule };
    [decided, open].into_iter().filter(|part| !part.vulnerabilities.is_empty()).collect()
}

/// The half of a finding that is its resource, with where it runs.
struct OfResource<'a>(&'a ResourceEntry, &'a [ImageUse]);

impl Attributes for OfResource<'_> {
    fn text(&self, field: TextField) -> Vec<Cow<'_, str>> {
        resource_text(self.0, field)
    }
    fn number(&self, field: NumberField) -> Option<f64> {
        resource_number(self.1, field)
    }
    fn date(&self, field: DateField) -> Option<Timestamp> {
        resource_date(self.0, self.1, field)
    }
    fn tags(&self) -> &[(String, String)] {
        &self.0.resource.tags
    }
    fn any_package(&self, _: &[PackageTest]) -> bool {
        false
    }
}

/// The half of a finding that is its vulnerability, on a resource that is attacked from so far.
struct OfVulnerability<'a>(&'a Assessment, Reach);

impl Attributes for OfVulnerability<'_> {
    fn text(&self, field: TextField) -> Vec<Cow<'_, str>> {
        vulnerability_text(self.0, field)
    }
    fn number(&self, field: NumberField) -> Option<f64> {
        vulnerability_number(self.0, self.1, field)
    }
    fn date(&self, _: DateField) -> Option<Timestamp> {
        None
    }
    fn tags(&self) -> &[(String, String)] {
        &[]
    }
    fn any_package(&self, _: &[PackageTest]) -> bool {
        false
    }
    fn ports(&self) -> Option<(u16, u16)> {
        self.0.opening().map(|(_, ports)| ports)
    }
}
