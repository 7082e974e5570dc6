//! One finding as a person or a program is shown it, put together when it is asked for.

use crate::criteria::{Attributes, DateField, NumberField, PackageTest, TextField};
use crate::listening::{self, Listening};
use crate::query::Hidden;
use crate::{
    Assessment, CLOSED_RETENTION_MS, LogPosition, PairHistory, Reach, ResourceEntry, RiskFactors, RiskScore, TextTest, Transition, World,
    risk,
};
use lestrade_matching::{ComponentId, PackagePattern, ResourceId, Verdict, VulnerabilityId};
use lestrade_model::{
    Component, Exposure, FindingArn, FindingKey, FindingStatus, FixState, Hash, ImageUse, Inventory, Manager, Occurrence, Resource,
    ResourceDetails, ResourceKind, Severity, Timestamp,
};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

/// Where inventories are read from when a finding is shown.
pub trait InventorySource {
    /// An inventory by its identity; none when it cannot be had.
    fn inventory(&self, id: &Hash) -> Option<Arc<Inventory>>;
}

/// No inventories: findings then show packages without paths.
pub struct NoInventories;

impl InventorySource for NoInventories {
    fn inventory(&self, _: &Hash) -> Option<Arc<Inventory>> {
        None
    }
}

/// Whether the affected packages of a finding have fixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are inspector2's own")]
pub enum FixAvailable {
    Yes,
    No,
    Partial,
}

impl FixAvailable {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "YES",
            Self::No => "NO",
            Self::Partial => "PARTIAL",
        }
    }
}

/// An affected package of a finding, at one place.
#[derive(Clone, Debug, PartialEq)]
pub struct AffectedPackage {
    /// The component.
    pub component: Component,
    /// Where the fix stands.
    pub state: FixState,
    /// The version that fixes it.
    pub fixed_in: Option<String>,
    /// The distributor's word about it in this package.
    pub vendor_severity: Option<String>,
    /// The file that says that it is installed.
    pub path: Option<String>,
    /// The layer that holds it.
    pub layer: Option<String>,
    /// Its architecture.
    pub arch: Option<String>,
    /// Who manages it.
    pub manager: Option<Manager>,
}

impl AffectedPackage {
    /// A component with its verdict, at no place.
    pub(crate) fn of(component: &Component, verdict: &Verdict) -> Self {
        Self {
            component: component.clone(),
            state: verdict.state,
            fixed_in: verdict.fixed_in.clone(),
            vendor_severity: verdict.vendor_severity.clone(),
            path: None,
            layer: None,
            arch: None,
            manager: None,
        }
    }

    /// The same, at one place.
    pub(crate) fn at(&self, occurrence: &Occurrence) -> Self {
        Self {
            path: Some(occurrence.path.clone()),
            layer: occurrence.layer.clone(),
            arch: occurrence.arch.clone(),
            manager: Some(occurrence.manager),
            ..self.clone()
        }
    }
}

/// One finding.
#[derive(Clone, Debug)]
pub struct FindingView {
    /// Its identity.
    pub arn: FindingArn,
    /// What it is about.
    pub key: FindingKey,
    /// Where it is.
    pub resource: Resource,
    /// Where that runs, if it is an image and clusters tell it.
    pub uses: Vec<ImageUse>,
    /// Where it stands.
    pub status: FindingStatus,
    /// Which rule or document suppresses it, if one does.
    pub suppressed_by: Option<Arc<str>>,
    /// How severe.
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// When its present episode began.
    pub first_observed: Timestamp,
    /// When it was last seen to be so.
    pub last_observed: Timestamp,
    /// When anything about it last changed.
    pub updated: Timestamp,
    /// Whether there is a fix.
    pub fix_available: FixAvailable,
    /// What is affected; empty only for a closed finding whose inventory is no longer kept.
    pub packages: Vec<AffectedPackage>,
    /// What is known of the vulnerability.
    pub assessment: Arc<Assessment>,
    /// From how far it can be reached: the resource, or further where a process that it concerns listens there.
    pub exposure: Exposure,
    /// What of it listens, where an agent tells.
    pub listening: Listening,
    /// The last episode that touched it.
    pub revision: LogPosition,
}

impl FindingView {
    /// From how far its resource is attacked.
    #[must_use]
    pub fn reach(&self) -> Reach {
        Reach::of(self.resource.key.kind, self.exposure)
    }

    /// The score in `inspector2`'s sense, on this resource.
    #[must_use]
    pub fn inspector_score(&self) -> Option<f64> {
        self.assessment.score_at(self.reach())
    }

    /// Its risk, with what it is made of.
    #[must_use]
    pub fn risk(&self) -> RiskScore {
        risk(&RiskFactors {
            cvss: self.assessment.decided_by.as_ref().map(|score| score.cvss.score),
            maturity: self.assessment.maturity,
            epss: self.assessment.epss,
            exposure: self.exposure,
            weight: weight(&self.resource.tags),
        })
    }
}

/// The tag of a resource that says how much it matters, from 0.5 to 1.
pub const WEIGHT_TAG: &str = "lestrade:weight";

/// How much a resource matters, by its tags: all of them alike, where nobody says or what is said is no number.
pub(crate) fn weight(tags: &[(String, String)]) -> f64 {
    let said = tags.iter().find(|(key, _)| key == WEIGHT_TAG).and_then(|(_, value)| value.trim().parse::<f64>().ok());
    said.filter(|weight| weight.is_finite()).map_or(1.0, |weight| weight.clamp(0.5, 1.0))
}

/// A (resource, vulnerability), with what is asked of it worked out when it is asked.
pub(crate) struct Pair<'w> {
    world: &'w World,
    inventories: &'w dyn InventorySource,
    pub(crate) resource: ResourceId,
    pub(crate) vulnerability: VulnerabilityId,
    entry: &'w ResourceEntry,
    pub(crate) assessment: &'w Arc<Assessment>,
    position: LogPosition,
    history: OnceCell<PairHistory>,
    open: OnceCell<bool>,
    packages: OnceCell<Vec<AffectedPackage>>,
    /// Suppression rules are themselves criteria; while one is being asked, the finding counts as active.
    unsuppressed: bool,
    /// The rules that may suppress it, compiled; without them, those of the world are asked one by one.
    hidden: Option<Arc<Vec<Hidden>>>,
}

impl<'w> Pair<'w> {
    pub(crate) fn new(
        world: &'w World,
        inventories: &'w dyn InventorySource,
        resource: ResourceId,
        vulnerability: VulnerabilityId,
        position: LogPosition,
    ) -> Option<Self> {
        Some(Self {
            world,
            inventories,
            resource,
            vulnerability,
            entry: world.resource(resource)?,
            assessment: world.assessment(vulnerability)?,
            position,
            history: OnceCell::new(),
            open: OnceCell::new(),
            packages: OnceCell::new(),
            unsuppressed: false,
            hidden: None,
        })
    }

    /// The same, with the rules that may suppress it.
    pub(crate) fn hidden_by(self, hidden: &Arc<Vec<Hidden>>) -> Self {
        Self { hidden: Some(Arc::clone(hidden)), ..self }
    }

    fn history(&self) -> &PairHistory {
        self.history.get_or_init(|| self.world.log.history(self.resource, self.vulnerability).until(self.position))
    }

    /// Whether it was open at the position; none if it was not there at all or closed too long ago to be shown.
    pub(crate) fn is_open(&self, now: Timestamp) -> Option<bool> {
        if self.is_open_now() {
            return Some(true);
        }
        let last = self.history().last()?;
        match last.transition {
            Transition::Opened => Some(true),
            Transition::Closed => (now.as_millis() - last.at.as_millis() <= CLOSED_RETENTION_MS).then_some(false),
        }
    }

    /// Whether nothing is asked of the past and it is there now: then its history need not be read.
    fn is_open_now(&self) -> bool {
        self.position >= self.world.log.head() && self.world.estate.has(self.resource, self.vulnerability)
    }

    fn open(&self) -> bool {
        let by_history = || self.history().last().is_none_or(|event| event.transition == Transition::Opened);
        *self.open.get_or_init(|| self.is_open_now() || by_history())
    }

    pub(crate) fn status(&self) -> FindingStatus {
        if !self.open() {
            FindingStatus::Closed
        } else if !self.unsuppressed && self.is_suppressed() {
            FindingStatus::Suppressed
        } else {
            FindingStatus::Active
        }
    }

    pub(crate) fn is_suppressed(&self) -> bool {
        self.suppressor().is_some()
    }

    /// Which rule or document suppresses it: the first one that does.
    fn suppressor(&self) -> Option<Arc<str>> {
        if let Some(hidden) = self.hidden.as_ref().filter(|hidden| !hidden.is_empty()) {
            let plain = self.unsuppressed();
            return hidden.iter().find(|rule| rule.hides(&plain)).map(|rule| Arc::clone(&rule.by));
        }
        if self.hidden.is_some() {
            return None;
        }
        let scope = &self.entry.resource.key.scope;
        let mut rules = self.world.suppressions.iter().filter(|rule| rule.holds_in(scope, self.world.administrator.as_ref())).peekable();
        rules.peek()?;
        let plain = self.unsuppressed();
        rules.find(|rule| rule.criteria.hold(&plain)).map(|rule| Arc::clone(&rule.by))
    }

    /// The same, as if no rule suppressed it: what rules are asked about.
    pub(crate) fn unsuppressed(&self) -> Self {
        Self {
            history: OnceCell::new(),
            open: self.open.clone(),
            packages: OnceCell::new(),
            unsuppressed: true,
            hidden: self.hidden.clone(),
            ..*self
        }
    }

    /// From how far it is attacked.
    pub(crate) fn reach(&self) -> Reach {
        self.world.reach(self.resource)
    }

    fn key(&self) -> FindingKey {
        self.assessment.key()
    }

    pub(crate) fn arn(&self) -> FindingArn {
        let history = self.history();
        let first = self.world.first_name(history.origin().unwrap_or(self.vulnerability));
        let key = match (self.key(), first) {
            // Under whatever id it is known by now.
            (FindingKey::Package { .. }, Some(first)) => FindingKey::Package { vulnerability: first.to_owned() },
            (key, _) => key,
        };
        FindingArn::new(&self.entry.resource.key, &key, history.generation())
    }

    pub(crate) fn first_observed(&self) -> Timestamp {
        self.history().first_observed().unwrap_or_default()
    }

    pub(crate) fn last_observed(&self) -> Timestamp {
        if self.open() { self.entry.last_scanned().unwrap_or_default().max(self.updated()) } else { self.updated() }
    }

    pub(crate) fn updated(&self) -> Timestamp {
        self.history().last().map(|event| event.at).unwrap_or_default()
    }

    /// What is affected, wherever the inventory has it; of a closed finding, the inventory that it was last found in.
    pub(crate) fn packages(&self) -> &[AffectedPackage] {
        self.packages.get_or_init(|| {
            let before = if self.open() { None } else { self.history().last().and_then(|event| event.previous) };
            let inventory = before.or(self.entry.inventory).and_then(|id| self.inventories.inventory(&id));
            let affected = self.judged().into_iter();
            let mut packages: Vec<_> = affected.flat_map(|affected| placed(affected, inventory.as_deref())).collect();
            packages.sort_by(|a, b| (&a.component, &a.path).cmp(&(&b.component, &b.path)));
            packages
        })
    }

    /// The verdicts that it rests on; of a closed finding, those on the match set that it closed in.
    fn verdicts(&self) -> Vec<(ComponentId, &'w Verdict)> {
        if self.open() {
            return self.world.estate.verdicts_in(self.resource, self.vulnerability);
        }
        let closing = self.history().last().map_or(0, |event| event.position);
        let set = self.world.log.set_before(self.resource, closing);
        set.into_iter().flat_map(|set| self.world.past_verdicts_in(self.vulnerability, set, closing)).collect()
    }

    /// What the verdicts say is affected, wherever it lies.
    fn judged(&self) -> Vec<AffectedPackage> {
        let of = |(component, verdict): (ComponentId, &Verdict)| AffectedPackage::of(self.world.estate.component(component), verdict);
        self.verdicts().into_iter().map(of).collect()
    }

    /// What is affected, wherever it lies: the verdicts say that, and no inventory is read for it.
    fn affected(&self) -> Cow<'_, [AffectedPackage]> {
        if let Some(packages) = self.packages.get() {
            return Cow::Borrowed(packages);
        }
        let mut affected = self.judged();
        affected.sort_by(|a, b| a.component.cmp(&b.component));
        Cow::Owned(affected)
    }

    fn fix_available(&self) -> FixAvailable {
        let verdicts = self.verdicts();
        match verdicts.iter().filter(|(_, verdict)| verdict.fixed_in.is_some()).count() {
            0 => FixAvailable::No,
            all if all == verdicts.len() => FixAvailable::Yes,
            _ => FixAvailable::Partial,
        }
    }

    /// `CVE-… - a, b and 2 more`, as Inspector words it.
    pub(crate) fn title(&self) -> String {
        if let Some(condition) = &self.assessment.condition {
            return condition.title.clone();
        }
        let affected = self.affected();
        let mut names: Vec<&str> = affected.iter().map(|package| package.component.name.as_str()).collect();
        names.dedup();
        title_of(&self.assessment.id, &names)
    }

    /// What listens where it is.
    fn listening(&self) -> Listening {
        let (sockets, doors) = (self.world.sockets(self.resource), self.world.doors(self.resource));
        match self.key() {
            FindingKey::Network { edge, interface, protocol, ports } => {
                listening::behind(sockets, doors, (&edge, &interface), protocol, ports)
            }
            _ => listening::of_packages(sockets, doors, self.packages()),
        }
    }

    pub(crate) fn view(&self) -> FindingView {
        let listening = self.listening();
        let exposure = match (self.world.exposure(self.resource), listening.farthest()) {
            (Exposure::Internet, Some(Exposure::Internet)) => Exposure::InternetListening,
            (exposure, _) => exposure,
        };
        let status = self.status();
        FindingView {
            arn: self.arn(),
            key: self.key(),
            resource: self.entry.resource.clone(),
            uses: self.world.uses(self.resource).to_vec(),
            status,
            suppressed_by: if status == FindingStatus::Suppressed { self.suppressor() } else { None },
            severity: self.assessment.severity,
            title: self.title(),
            first_observed: self.first_observed(),
            last_observed: self.last_observed(),
            updated: self.updated(),
            fix_available: self.fix_available(),
            packages: self.packages().to_vec(),
            assessment: Arc::clone(self.assessment),
            exposure,
            listening,
            revision: self.history().last().map_or(0, |event| event.position),
        }
    }
}

/// One finding as it stands now; none when it was never there or its vulnerability is not known.
#[must_use]
pub fn view_of(
    world: &World,
    inventories: &dyn InventorySource,
    resource: ResourceId,
    vulnerability: VulnerabilityId,
) -> Option<FindingView> {
    Pair::new(world, inventories, resource, vulnerability, world.log.head()).map(|pair| pair.view())
}

/// The title of a finding about packages of these names.
pub(crate) fn title_of(id: &str, names: &[&str]) -> String {
    match names {
        [] => id.to_owned(),
        [one] => format!("{id} - {one}"),
        [one, two] => format!("{id} - {one}, {two}"),
        [one, two, rest @ ..] => format!("{id} - {one}, {two} and {} more", rest.len()),
    }
}

/// A package wherever an inventory has it; once and nowhere, where none says.
fn placed(affected: AffectedPackage, inventory: Option<&Inventory>) -> Vec<AffectedPackage> {
    let places = inventory.into_iter().flat_map(|inventory| occurrences(inventory, &affected.component));
    let placed: Vec<_> = places.map(|occurrence| affected.at(occurrence)).collect();
    if placed.is_empty() { vec![affected] } else { placed }
}

fn occurrences<'a>(inventory: &'a Inventory, component: &Component) -> impl Iterator<Item = &'a Occurrence> {
    let index = inventory.components.binary_search(component).ok().and_then(|i| u32::try_from(i).ok());
    index.into_iter().flat_map(|index| inventory.occurrences_of(index))
}

/// The word of `inspector2` for a kind of resource.
#[must_use]
pub const fn resource_type(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Image => "AWS_ECR_CONTAINER_IMAGE",
        ResourceKind::Function => "AWS_LAMBDA_FUNCTION",
        ResourceKind::MachineImage => "MACHINE_IMAGE",
        _ => "AWS_EC2_INSTANCE",
    }
}

/// The attributes that depend on the resource alone.
pub(crate) fn resource_text(entry: &ResourceEntry, field: TextField) -> Vec<Cow<'_, str>> {
    let key = &entry.resource.key;
    let one = |value| vec![Cow::Borrowed(value)];
    let details = &entry.resource.details;
    let image = if let ResourceDetails::Image(image) = details { Some(image) } else { None };
    let instance = if let ResourceDetails::Instance(instance) = details { Some(instance) } else { None };
    let function = if let ResourceDetails::Function(function) = details { Some(function) } else { None };
    match field {
        TextField::AwsAccountId => one(key.scope.account.as_str()),
        TextField::ResourceId => one(key.id.as_str()),
        TextField::ResourceType => one(resource_type(key.kind)),
        TextField::EcrImageArchitecture => image.map_or(vec![], |i| one(i.architecture.as_str())),
        TextField::EcrImageHash => image.map_or(vec![], |i| one(i.digest.as_str())),
        TextField::EcrImageRegistry => image.map_or(vec![], |i| one(i.registry.as_str())),
        TextField::EcrImageRepositoryName => image.map_or(vec![], |i| one(i.repository.as_str())),
        TextField::EcrImageTags => image.map_or(vec![], |i| i.tags.iter().map(|tag| Cow::Borrowed(tag.as_str())).collect()),
        TextField::Ec2InstanceImageId => instance.map_or(vec![], |i| one(i.image.as_str())),
        TextField::Ec2InstanceSubnetId => instance.map_or(vec![], |i| one(i.subnet.as_str())),
        TextField::Ec2InstanceVpcId => instance.map_or(vec![], |i| one(i.vpc.as_str())),
        TextField::LambdaFunctionExecutionRoleArn => function.map_or(vec![], |f| one(f.role.as_str())),
        TextField::LambdaFunctionLayers => function.map_or(vec![], |f| f.layers.iter().map(|arn| Cow::Borrowed(arn.as_str())).collect()),
        TextField::LambdaFunctionName => function.map_or(vec![], |f| one(f.name.as_str())),
        TextField::LambdaFunctionRuntime => function.map_or(vec![], |f| one(f.runtime.as_str())),
        _ => vec![],
    }
}

/// The attributes that depend on the vulnerability alone.
pub(crate) fn vulnerability_text(assessment: &Assessment, field: TextField) -> Vec<Cow<'_, str>> {
    let one = |value| vec![Cow::Borrowed(value)];
    if let Some(condition) = &assessment.condition {
        // A condition has what it is made of, and nothing of a vulnerability.
        return match field {
            TextField::FindingType => one(assessment.key().finding_type().as_str()),
            TextField::Severity => one(assessment.severity.as_str()),
            TextField::VulnerabilityId if !condition.is_of_network() => one(assessment.id.as_str()),
            TextField::NetworkProtocol => assessment.opening().map_or(vec![], |(protocol, _)| one(protocol.as_str())),
            TextField::ComponentId => condition.steps.iter().map(|step| Cow::Borrowed(step.id.as_str())).collect(),
            TextField::ComponentType => condition.steps.iter().map(|step| Cow::Borrowed(step.kind.as_str())).collect(),
            _ => vec![],
        };
    }
    match field {
        TextField::FindingType => one(assessment.key().finding_type().as_str()),
        TextField::VulnerabilityId => {
            std::iter::once(&assessment.id).chain(&assessment.formerly).map(|id| Cow::Borrowed(id.as_str())).collect()
        }
        TextField::VulnerabilitySource => one(assessment.source.as_str()),
        TextField::VendorSeverity => assessment.vendor_severity.as_deref().map_or(vec![], one),
        TextField::Severity => one(assessment.severity.as_str()),
        TextField::ExploitAvailable => one(if assessment.exploit_available() { "YES" } else { "NO" }),
        TextField::RelatedVulnerabilities => assessment.related.iter().map(|id| Cow::Borrowed(id.as_str())).collect(),
        _ => vec![],
    }
}

pub(crate) fn vulnerability_number(assessment: &Assessment, reach: Reach, field: NumberField) -> Option<f64> {
    match field {
        NumberField::InspectorScore => assessment.score_at(reach),
        NumberField::EpssScore => assessment.epss,
        NumberField::EcrImageInUseCount | NumberField::Absent => None,
    }
}

/// How many containers of an image run, as numbers are compared.
#[allow(clippy::cast_precision_loss, reason = "no estate runs 2^53 containers")]
pub(crate) fn resource_number(uses: &[ImageUse], field: NumberField) -> Option<f64> {
    match field {
        NumberField::EcrImageInUseCount => ImageUse::count_of(uses).map(|count| count as f64),
        NumberField::InspectorScore | NumberField::EpssScore | NumberField::Absent => None,
    }
}

pub(crate) fn resource_date(entry: &ResourceEntry, uses: &[ImageUse], field: DateField) -> Option<Timestamp> {
    match (&entry.resource.details, field) {
        (ResourceDetails::Image(image), DateField::EcrImagePushedAt) => Some(image.pushed_at),
        (ResourceDetails::Image(_), DateField::EcrImageLastInUseAt) => ImageUse::last_of(uses),
        (ResourceDetails::Function(function), DateField::LambdaFunctionLastModifiedAt) => Some(function.modified_at),
        _ => None,
    }
}

impl Attributes for Pair<'_> {
    fn text(&self, field: TextField) -> Vec<Cow<'_, str>> {
        match field {
            TextField::FindingArn => vec![Cow::Owned(self.arn().to_string())],
            TextField::FindingStatus => vec![Cow::Borrowed(self.status().as_str())],
            TextField::FixAvailable if self.assessment.condition.is_some() => vec![],
            TextField::FixAvailable => vec![Cow::Borrowed(self.fix_available().as_str())],
            TextField::Title => vec![Cow::Owned(self.title())],
            other => {
                let mut values = resource_text(self.entry, other);
                values.extend(vulnerability_text(self.assessment, other));
                values
            }
        }
    }

    fn number(&self, field: NumberField) -> Option<f64> {
        vulnerability_number(self.assessment, self.reach(), field).or_else(|| resource_number(self.world.uses(self.resource), field))
    }

    fn date(&self, field: DateField) -> Option<Timestamp> {
        match field {
            DateField::FirstObservedAt => Some(self.first_observed()),
            DateField::LastObservedAt => Some(self.last_observed()),
            DateField::UpdatedAt => Some(self.updated()),
            other => resource_date(self.entry, self.world.uses(self.resource), other),
        }
    }

    fn tags(&self) -> &[(String, String)] {
        &self.entry.resource.tags
    }

    fn all_packages(&self, patterns: &[PackagePattern]) -> bool {
        let packages = self.packages();
        !packages.is_empty() && packages.iter().all(|package| patterns.iter().any(|pattern| pattern.covers(&package.component)))
    }

    fn any_state(&self, states: &[FixState]) -> bool {
        self.verdicts().iter().any(|(_, verdict)| states.contains(&verdict.state))
    }

    fn ports(&self) -> Option<(u16, u16)> {
        self.assessment.opening().map(|(_, ports)| ports)
    }

    fn any_package(&self, tests: &[PackageTest]) -> bool {
        let of_place = |test: &PackageTest| test.architecture.is_some() || test.file_path.is_some() || test.source_layer_hash.is_some();
        if tests.iter().any(of_place) {
            return self.packages().iter().any(|package| tests.iter().any(|test| is_about(test, &package.component, Some(package))));
        }
        let is_called = |(component, _): &(ComponentId, &Verdict)| {
            let component = self.world.estate.component(*component);
            tests.iter().any(|test| is_about(test, component, None))
        };
        self.verdicts().iter().any(is_called)
    }
}

/// Whether a test is about a component, at a place where it asks for one. Tests are about what a finding shows: versions taken apart,
/// architectures in capitals.
fn is_about(test: &PackageTest, component: &Component, placed: Option<&AffectedPackage>) -> bool {
    let holds = |test: &Option<TextTest>, value: Option<&str>| match test {
        None => true,
        Some(test) => value.map_or(matches!(test, TextTest::NotEquals(_)), |value| test.holds(value)),
    };
    let (epoch, version, release) = component.version_parts();
    let arch = || placed.and_then(|package| package.arch.as_ref()).map(|arch| arch.to_uppercase());
    holds(&test.name, Some(&component.name))
        && holds(&test.version, Some(version))
        && holds(&test.release, release)
        && test.epoch.is_none_or(|(low, high)| low.is_none_or(|low| epoch >= low) && high.is_none_or(|high| epoch <= high))
        && (test.architecture.is_none() || holds(&test.architecture, arch().as_deref()))
        && holds(&test.file_path, placed.and_then(|package| package.path.as_deref()))
        && holds(&test.source_layer_hash, placed.and_then(|package| package.layer.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_says_how_much_a_resource_matters_and_nonsense_says_nothing() {
        let of = |value: &str| weight(&[("env".into(), "0.5".into()), (WEIGHT_TAG.into(), value.into())]);
        for (value, expected) in [("0.7", 0.7), (" 1 ", 1.0), ("0", 0.5), ("-3", 0.5), ("9", 1.0), ("low", 1.0), ("NaN", 1.0), ("inf", 1.0)]
        {
            assert!((of(value) - expected).abs() < f64::EPSILON, "{value}");
        }
        assert!((weight(&[]) - 1.0).abs() < f64::EPSILON);
    }
}
