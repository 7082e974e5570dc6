//! Listing findings: criteria, a sort, a page.
//!
//! Criteria compile to a bitmap of resources, a bitmap of vulnerabilities and a residual that is asked of each pair. Few
//! resources are enumerated into a heap; many are walked in sort order, from the side that the sort belongs to, and left at the
//! end of the page. [`crate::oracle`] says what the answer must be.

use crate::criteria::{Attributes, PackageTest};
use crate::token::PageToken;
use crate::view::{Pair, resource_date, resource_text, vulnerability_number, vulnerability_text};
use crate::{
    Assessment, Criteria, DateField, FindingView, InventorySource, LogPosition, NumberField, ResourceEntry, Side, TextField, TokenError,
    TokenKey, World,
};
use lestrade_matching::{ResourceId, VulnerabilityId};
use lestrade_model::{FindingStatus, Hash, Scope, Timestamp};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Up to this many resources are enumerated rather than walked.
pub const FEW_RESOURCES: u64 = 64;

/// How long a page token is good for: one day.
const TOKEN_LIFE_MS: i64 = 86_400_000;

/// What a listing can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are inspector2's own")]
pub enum SortField {
    AwsAccountId,
    FindingType,
    Severity,
    FirstObservedAt,
    LastObservedAt,
    FindingStatus,
    ResourceType,
    EcrImagePushedAt,
    EcrImageRepositoryName,
    EcrImageRegistry,
    VulnerabilityId,
    VulnerabilitySource,
    InspectorScore,
    VendorSeverity,
    EpssScore,
    NetworkProtocol,
    ComponentType,
    /// An attribute that no finding of ours has yet: all are equal in it.
    Absent,
}

impl SortField {
    const fn side(self) -> Side {
        match self {
            Self::AwsAccountId | Self::ResourceType | Self::EcrImagePushedAt | Self::EcrImageRepositoryName | Self::EcrImageRegistry => {
                Side::Resource
            }
            Self::Severity
            | Self::VulnerabilityId
            | Self::VulnerabilitySource
            | Self::InspectorScore
            | Self::VendorSeverity
            | Self::EpssScore
            | Self::NetworkProtocol
            | Self::ComponentType
            | Self::FindingType
            | Self::Absent => Side::Vulnerability,
            Self::FirstObservedAt | Self::LastObservedAt | Self::FindingStatus => Side::Pair,
        }
    }
}

/// A sort; ties are always broken upwards, by vulnerability and resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sort {
    /// By what.
    pub field: SortField,
    /// Whether the greatest comes first.
    pub descending: bool,
}

impl Default for Sort {
    fn default() -> Self {
        Self { field: SortField::Absent, descending: false }
    }
}

/// A place in an order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum SortValue {
    Missing,
    Number(i64),
    Text(String),
}

impl SortValue {
    fn score(value: Option<f64>) -> Self {
        value.map_or(Self::Missing, |value| Self::Number((value * 1e9) as i64))
    }

    fn text(values: &[Cow<'_, str>]) -> Self {
        values.first().map_or(Self::Missing, |value| Self::Text(value.to_string()))
    }

    fn date(value: Option<Timestamp>) -> Self {
        value.map_or(Self::Missing, |value| Self::Number(value.as_millis()))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Directed {
    Up(SortValue),
    Down(Reverse<SortValue>),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tie {
    ByVulnerability(String, ResourceId),
    ByResource(ResourceId, String),
}

/// The total order of a listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OrderKey(Directed, Tie);

/// What a page token keeps of the last item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct LastItem {
    value: SortValue,
    vulnerability: String,
    resource: ResourceId,
}

impl Sort {
    fn directed(self, value: SortValue) -> Directed {
        if self.descending { Directed::Down(Reverse(value)) } else { Directed::Up(value) }
    }

    fn order_key(self, value: SortValue, vulnerability: &str, resource: ResourceId) -> OrderKey {
        let tie = match self.field.side() {
            Side::Resource => Tie::ByResource(resource, vulnerability.to_owned()),
            Side::Vulnerability | Side::Pair => Tie::ByVulnerability(vulnerability.to_owned(), resource),
        };
        OrderKey(self.directed(value), tie)
    }

    fn of_resource(self, entry: &ResourceEntry) -> SortValue {
        match self.field {
            SortField::AwsAccountId => SortValue::text(&resource_text(entry, TextField::AwsAccountId)),
            SortField::ResourceType => SortValue::text(&resource_text(entry, TextField::ResourceType)),
            SortField::EcrImageRepositoryName => SortValue::text(&resource_text(entry, TextField::EcrImageRepositoryName)),
            SortField::EcrImageRegistry => SortValue::text(&resource_text(entry, TextField::EcrImageRegistry)),
            SortField::EcrImagePushedAt => SortValue::date(resource_date(entry, DateField::EcrImagePushedAt)),
            _ => SortValue::Missing,
        }
    }

    fn of_vulnerability(self, assessment: &Assessment) -> SortValue {
        match self.field {
            SortField::Severity => SortValue::Number(assessment.severity as i64),
            SortField::FindingType => SortValue::Text(assessment.key().finding_type().as_str().to_owned()),
            SortField::VulnerabilityId => SortValue::text(&vulnerability_text(assessment, TextField::VulnerabilityId)),
            SortField::VulnerabilitySource => SortValue::text(&vulnerability_text(assessment, TextField::VulnerabilitySource)),
            SortField::NetworkProtocol => SortValue::text(&vulnerability_text(assessment, TextField::NetworkProtocol)),
            SortField::ComponentType => SortValue::text(&vulnerability_text(assessment, TextField::ComponentType)),
            SortField::InspectorScore => SortValue::score(assessment.inspector_score),
            SortField::EpssScore => SortValue::score(assessment.epss),
            SortField::VendorSeverity => SortValue::text(&vulnerability_text(assessment, TextField::VendorSeverity)),
            _ => SortValue::Missing,
        }
    }

    pub(crate) fn value(self, pair: &Pair<'_>, world: &World) -> SortValue {
        match self.field.side() {
            Side::Resource => world.resource(pair.resource).map_or(SortValue::Missing, |entry| self.of_resource(entry)),
            Side::Vulnerability => self.of_vulnerability(pair.assessment),
            Side::Pair => match self.field {
                SortField::FirstObservedAt => SortValue::date(Some(pair.first_observed())),
                SortField::LastObservedAt => SortValue::date(Some(pair.last_observed())),
                _ => SortValue::Text(pair.status().as_str().to_owned()),
            },
        }
    }

    pub(crate) fn key_of(self, pair: &Pair<'_>, world: &World) -> OrderKey {
        self.order_key(self.value(pair, world), &pair.assessment.id, pair.resource)
    }
}

/// Which page.
#[derive(Clone, Debug)]
pub struct PageRequest<'a> {
    /// Whose findings: each of these scopes.
    pub scopes: &'a [Scope],
    /// Which findings.
    pub criteria: &'a Criteria,
    /// In which order.
    pub sort: Sort,
    /// How many at most; at least 1.
    pub limit: usize,
    /// Where to go on, from the page before.
    pub token: Option<&'a str>,
    /// The present instant.
    pub now: Timestamp,
    /// Up to how many resources are enumerated rather than walked: [`FEW_RESOURCES`]; the answer does not depend on it.
    pub few: u64,
}

/// A page.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its findings.
    pub findings: Vec<FindingView>,
    /// Where to go on, if there is more.
    pub next: Option<String>,
}

/// Why a listing fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The page token is no good.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Lists findings.
///
/// # Errors
/// When the page token is not one of ours, has expired, or belongs to another query.
pub fn list(world: &World, inventories: &dyn InventorySource, key: &TokenKey, request: &PageRequest<'_>) -> Result<Page, QueryError> {
    let query = query_hash(request);
    let (position, after) = match request.token {
        None => (world.log.head(), None),
        Some(text) => {
            let token: PageToken<LastItem> = key.open(text, &query, request.now)?;
            let last = token.last;
            (token.position, Some(request.sort.order_key(last.value, &last.vulnerability, last.resource)))
        }
    };
    let plan = Plan::compile(world, inventories, request.scopes, request.criteria, position, request.now);
    let mut items = plan.page(request, after.as_ref(), request.limit + 1);
    let more = items.len() > request.limit;
    items.truncate(request.limit);
    let next = match (more, items.last()) {
        (true, Some(last)) => {
            let last =
                LastItem { value: request.sort.value(last, world), vulnerability: last.assessment.id.clone(), resource: last.resource };
            Some(key.seal(&PageToken { position, last, query, expires: request.now.plus_millis(TOKEN_LIFE_MS) })?)
        }
        _ => None,
    };
    Ok(Page { findings: items.iter().map(Pair::view).collect(), next })
}

/// What a token is bound to: everything of the query but the page.
fn query_hash(request: &PageRequest<'_>) -> Hash {
    let parts = postcard::to_stdvec(&(request.scopes, request.criteria, request.sort)).unwrap_or_default();
    Hash::of(&parts)
}

/// Compiled criteria.
pub(crate) struct Plan<'a> {
    world: &'a World,
    inventories: &'a dyn InventorySource,
    criteria: &'a Criteria,
    pub(crate) resources: RoaringBitmap,
    vulnerabilities: Vec<VulnerabilityId>,
    pub(crate) vulnerability_set: RoaringBitmap,
    open: bool,
    closed: bool,
    position: LogPosition,
    now: Timestamp,
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
        let mut resources = RoaringBitmap::new();
        for scope in scopes {
            resources |= world.resources_in(scope);
        }
        if criteria.of_side(Side::Resource).next().is_some() {
            resources = resources
                .iter()
                .filter(|id| {
                    world.resource(*id).is_some_and(|entry| criteria.of_side(Side::Resource).all(|term| term.holds(&OfResource(entry))))
                })
                .collect();
        }
        let mut all: Vec<VulnerabilityId> =
            world.estate.present_vulnerabilities().chain(world.log.vulnerabilities_closed_somewhere()).collect();
        all.sort_unstable();
        all.dedup();
        all.retain(|id| {
            world
                .assessment(*id)
                .is_some_and(|assessment| criteria.of_side(Side::Vulnerability).all(|term| term.holds(&OfVulnerability(assessment))))
        });
        let rewound = position < world.log.head();
        Self {
            world,
            inventories,
            criteria,
            resources,
            vulnerability_set: all.iter().copied().collect(),
            vulnerabilities: all,
            // Looking back, what is closed now may have been open, and the other way round.
            open: rewound || criteria.admit_status("ACTIVE") || criteria.admit_status("SUPPRESSED"),
            closed: rewound || criteria.admit_status(FindingStatus::Closed.as_str()),
            position,
            now,
        }
    }

    /// The pair as it was at the position, if it meets the residual.
    fn admit(&self, resource: ResourceId, vulnerability: VulnerabilityId) -> Option<Pair<'a>> {
        let pair = Pair::new(self.world, self.inventories, resource, vulnerability, self.position)?;
        pair.is_open(self.now)?;
        self.criteria.of_side(Side::Pair).all(|term| term.holds(&pair)).then_some(pair)
    }

    fn candidates_of_vulnerability(&self, vulnerability: VulnerabilityId) -> RoaringBitmap {
        let mut found = RoaringBitmap::new();
        if self.open {
            found |= self.world.estate.resources_with(vulnerability);
        }
        if let (true, Some(closed)) = (self.closed, self.world.log.closed_resources(vulnerability)) {
            found |= closed;
        }
        found & &self.resources
    }

    fn candidates_of_resource(&self, resource: ResourceId) -> RoaringBitmap {
        let mut found = RoaringBitmap::new();
        if self.open {
            found |= self.world.estate.vulnerabilities_of(resource).as_ref();
        }
        if let (true, Some(closed)) = (self.closed, self.world.log.closed_vulnerabilities(resource)) {
            found |= closed;
        }
        found & &self.vulnerability_set
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

    fn page(&self, request: &PageRequest<'_>, after: Option<&OrderKey>, limit: usize) -> Vec<Pair<'a>> {
        let sort = request.sort;
        match sort.field.side() {
            Side::Pair => self.enumerate(sort, after, limit),
            _ if self.resources.len() <= request.few => self.enumerate(sort, after, limit),
            Side::Vulnerability => self.walk_vulnerabilities(sort, after, limit),
            Side::Resource => self.walk_resources(sort, after, limit),
        }
    }

    /// Keeps the `limit` first of all pairs in a heap.
    fn enumerate(&self, sort: Sort, after: Option<&OrderKey>, limit: usize) -> Vec<Pair<'a>> {
        let mut heap: BinaryHeap<Ranked<'a>> = BinaryHeap::new();
        self.for_each(|pair| {
            let key = sort.key_of(&pair, self.world);
            if after.is_some_and(|after| key <= *after) || (heap.len() == limit && heap.peek().is_some_and(|worst| key >= worst.key)) {
                return;
            }
            heap.push(Ranked { key, pair });
            if heap.len() > limit {
                heap.pop();
            }
        });
        heap.into_sorted_vec().into_iter().map(|ranked| ranked.pair).collect()
    }

    fn walk_vulnerabilities(&self, sort: Sort, after: Option<&OrderKey>, limit: usize) -> Vec<Pair<'a>> {
        let mut order: Vec<(Directed, &str, VulnerabilityId)> = self
            .vulnerabilities
            .iter()
            .filter_map(|id| self.world.assessment(*id).map(|a| (sort.directed(sort.of_vulnerability(a)), a.id.as_str(), *id)))
            .collect();
        order.sort_unstable();
        let mut page = Vec::new();
        for (directed, id, vulnerability) in order {
            if after.is_some_and(|OrderKey(last, tie)| (&directed, Some(id)) < (last, tie.vulnerability())) {
                continue;
            }
            for resource in &self.candidates_of_vulnerability(vulnerability) {
                self.take(sort, after, resource, vulnerability, &mut page);
                if page.len() == limit {
                    return page;
                }
            }
        }
        page
    }

    fn walk_resources(&self, sort: Sort, after: Option<&OrderKey>, limit: usize) -> Vec<Pair<'a>> {
        let mut order: Vec<(Directed, ResourceId)> = self
            .resources
            .iter()
            .filter_map(|id| self.world.resource(id).map(|entry| (sort.directed(sort.of_resource(entry)), id)))
            .collect();
        order.sort_unstable();
        let mut page = Vec::new();
        for (directed, resource) in order {
            if after.is_some_and(|OrderKey(last, tie)| (&directed, resource) < (last, tie.resource())) {
                continue;
            }
            let mut vulnerabilities: Vec<(&str, VulnerabilityId)> = self
                .candidates_of_resource(resource)
                .iter()
                .filter_map(|id| self.world.assessment(id).map(|a| (a.id.as_str(), id)))
                .collect();
            vulnerabilities.sort_unstable();
            for (_, vulnerability) in vulnerabilities {
                self.take(sort, after, resource, vulnerability, &mut page);
                if page.len() == limit {
                    return page;
                }
            }
        }
        page
    }

    fn take(&self, sort: Sort, after: Option<&OrderKey>, resource: ResourceId, vulnerability: VulnerabilityId, page: &mut Vec<Pair<'a>>) {
        if let Some(pair) = self.admit(resource, vulnerability)
            && after.is_none_or(|after| sort.key_of(&pair, self.world) > *after)
        {
            page.push(pair);
        }
    }
}

impl Tie {
    fn vulnerability(&self) -> Option<&str> {
        match self {
            Self::ByVulnerability(vulnerability, _) | Self::ByResource(_, vulnerability) => Some(vulnerability),
        }
    }

    const fn resource(&self) -> ResourceId {
        match self {
            Self::ByVulnerability(_, resource) | Self::ByResource(resource, _) => *resource,
        }
    }
}

struct Ranked<'a> {
    key: OrderKey,
    pair: Pair<'a>,
}

impl PartialEq for Ranked<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}
impl Eq for Ranked<'_> {}
impl PartialOrd for Ranked<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Ranked<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

/// The half of a finding that is its resource.
struct OfResource<'a>(&'a ResourceEntry);

impl Attributes for OfResource<'_> {
    fn text(&self, field: TextField) -> Vec<Cow<'_, str>> {
        resource_text(self.0, field)
    }
    fn number(&self, _: NumberField) -> Option<f64> {
        None
    }
    fn date(&self, field: DateField) -> Option<Timestamp> {
        resource_date(self.0, field)
    }
    fn tags(&self) -> &[(String, String)] {
        &self.0.resource.tags
    }
    fn any_package(&self, _: &[PackageTest]) -> bool {
        false
    }
}

/// The half of a finding that is its vulnerability.
struct OfVulnerability<'a>(&'a Assessment);

impl Attributes for OfVulnerability<'_> {
    fn text(&self, field: TextField) -> Vec<Cow<'_, str>> {
        vulnerability_text(self.0, field)
    }
    fn number(&self, field: NumberField) -> Option<f64> {
        vulnerability_number(self.0, field)
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
