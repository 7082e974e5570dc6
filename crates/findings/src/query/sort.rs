//! The orders of a listing.

use crate::kept::Orders;
use crate::view::{Pair, resource_type, vulnerability_number, vulnerability_text};
use crate::{Assessment, NumberField, Reach, ResourceEntry, Side, TextField, World};
use lestrade_matching::ResourceId;
use lestrade_model::{ResourceDetails, Timestamp};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::Arc;

/// What a listing can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// All that findings of ours have.
    pub const ALL: [Self; 17] = [
        Self::AwsAccountId,
        Self::FindingType,
        Self::Severity,
        Self::FirstObservedAt,
        Self::LastObservedAt,
        Self::FindingStatus,
        Self::ResourceType,
        Self::EcrImagePushedAt,
        Self::EcrImageRepositoryName,
        Self::EcrImageRegistry,
        Self::VulnerabilityId,
        Self::VulnerabilitySource,
        Self::InspectorScore,
        Self::VendorSeverity,
        Self::EpssScore,
        Self::NetworkProtocol,
        Self::ComponentType,
    ];

    /// What the attribute depends on.
    pub(crate) const fn side(self) -> Side {
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

/// The same, borrowed: what is compared a million times is not copied.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Compared<'a> {
    Missing,
    Number(i64),
    Text(&'a str),
}

impl Compared<'_> {
    pub(super) fn owned(self) -> SortValue {
        match self {
            Self::Missing => SortValue::Missing,
            Self::Number(number) => SortValue::Number(number),
            Self::Text(text) => SortValue::Text(text.to_owned()),
        }
    }
}

impl SortValue {
    pub(super) fn compared(&self) -> Compared<'_> {
        match self {
            Self::Missing => Compared::Missing,
            Self::Number(number) => Compared::Number(*number),
            Self::Text(text) => Compared::Text(text),
        }
    }

    fn score(value: Option<f64>) -> Self {
        value.map_or(Self::Missing, |value| Self::Number((value * 1e9) as i64))
    }

    fn text(values: &[Cow<'_, str>]) -> Self {
        values.first().map_or(Self::Missing, |value| Self::Text(value.to_string()))
    }

    pub(super) fn date(value: Option<Timestamp>) -> Self {
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

/// A place in a listing: that of a finding, or between two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(super) value: SortValue,
    pub(super) vulnerability: String,
    pub(super) resource: ResourceId,
}

impl Place {
    /// Whether it is behind all vulnerabilities of its resource or value: nothing is left there.
    pub(super) fn is_behind(&self) -> bool {
        self.vulnerability.starts_with(char::MAX)
    }

    /// Behind all findings of a resource.
    pub(super) fn behind_resource(value: SortValue, resource: ResourceId) -> Self {
        Self { value, vulnerability: char::MAX.to_string(), resource }
    }

    /// Behind all findings that share a value.
    pub(super) fn behind(value: SortValue) -> Self {
        Self { value, vulnerability: char::MAX.to_string(), resource: ResourceId::MAX }
    }
}

impl Sort {
    fn order_key(self, value: SortValue, vulnerability: &str, resource: ResourceId) -> OrderKey {
        let directed = if self.descending { Directed::Down(Reverse(value)) } else { Directed::Up(value) };
        let tie = match self.field.side() {
            Side::Resource => Tie::ByResource(resource, vulnerability.to_owned()),
            Side::Vulnerability | Side::Pair => Tie::ByVulnerability(vulnerability.to_owned(), resource),
        };
        OrderKey(directed, tie)
    }

    pub(super) fn key_at(self, place: &Place) -> OrderKey {
        self.order_key(place.value.clone(), &place.vulnerability, place.resource)
    }

    /// What of a resource is compared, without a copy of it.
    pub(super) fn of_resource(self, entry: &ResourceEntry) -> Compared<'_> {
        let image = if let ResourceDetails::Image(image) = &entry.resource.details { Some(image) } else { None };
        match self.field {
            SortField::AwsAccountId => Compared::Text(entry.resource.key.scope.account.as_str()),
            SortField::ResourceType => Compared::Text(resource_type(entry.resource.key.kind)),
            SortField::EcrImageRepositoryName => image.map_or(Compared::Missing, |image| Compared::Text(&image.repository)),
            SortField::EcrImageRegistry => image.map_or(Compared::Missing, |image| Compared::Text(&image.registry)),
            SortField::EcrImagePushedAt => image.map_or(Compared::Missing, |image| Compared::Number(image.pushed_at.as_millis())),
            SortField::LastObservedAt => entry.last_scanned().map_or(Compared::Missing, |at| Compared::Number(at.as_millis())),
            _ => Compared::Missing,
        }
    }

    pub(super) fn of_vulnerability(self, assessment: &Assessment, reach: Reach) -> SortValue {
        match self.field {
            SortField::Severity => SortValue::Number(assessment.severity as i64),
            SortField::FindingType => SortValue::Text(assessment.key().finding_type().as_str().to_owned()),
            SortField::VulnerabilityId => SortValue::text(&vulnerability_text(assessment, TextField::VulnerabilityId)),
            SortField::VulnerabilitySource => SortValue::text(&vulnerability_text(assessment, TextField::VulnerabilitySource)),
            SortField::NetworkProtocol => SortValue::text(&vulnerability_text(assessment, TextField::NetworkProtocol)),
            SortField::ComponentType => SortValue::text(&vulnerability_text(assessment, TextField::ComponentType)),
            SortField::InspectorScore => SortValue::score(vulnerability_number(assessment, reach, NumberField::InspectorScore)),
            SortField::EpssScore => SortValue::score(assessment.epss),
            SortField::VendorSeverity => SortValue::text(&vulnerability_text(assessment, TextField::VendorSeverity)),
            _ => SortValue::Missing,
        }
    }

    pub(crate) fn value(self, pair: &Pair<'_>, world: &World) -> SortValue {
        match self.field.side() {
            Side::Resource => world.resource(pair.resource).map_or(SortValue::Missing, |entry| self.of_resource(entry).owned()),
            Side::Vulnerability => self.of_vulnerability(pair.assessment, pair.reach()),
            Side::Pair => match self.field {
                SortField::FirstObservedAt => SortValue::date(Some(pair.first_observed())),
                SortField::LastObservedAt => SortValue::date(Some(pair.last_observed())),
                _ => SortValue::Text(pair.status().as_str().to_owned()),
            },
        }
    }

    pub(crate) fn key_of(self, pair: &Pair<'_>, world: &World) -> OrderKey {
        self.order_key(self.value(pair, world), pair.assessment.order(), pair.resource)
    }

    fn vulnerability_key(self, world: &World, id: u32, reach: Reach) -> Option<(SortValue, &str)> {
        let assessment = world.assessment(id)?;
        Some((self.of_vulnerability(assessment, reach), assessment.order()))
    }

    /// The vulnerabilities of a world in this order on resources that are attacked from so far, the least first.
    pub(super) fn vulnerabilities(self, world: &World, reach: Reach) -> Arc<Vec<u32>> {
        let all = 0..u32::try_from(world.estate.sizes().2).unwrap_or(u32::MAX);
        world.vulnerability_orders.get((self.field, reach), all, |id| self.vulnerability_key(world, id, reach))
    }

    /// Some vulnerabilities in this order.
    pub(super) fn vulnerabilities_among(self, some: &RoaringBitmap, world: &World, reach: Reach) -> Arc<Vec<u32>> {
        let mut order: Vec<u32> = some.iter().filter(|id| world.assessment(*id).is_some()).collect();
        order.sort_by_cached_key(|id| self.vulnerability_key(world, *id, reach));
        Arc::new(order)
    }

    /// The resources of a world in this order, the least first.
    pub(super) fn resources(self, world: &World) -> Arc<Vec<u32>> {
        let key = |id| Some((self.of_resource(world.resource(id)?), id));
        world.resource_orders.get((self.field, Reach::Network), 0..world.resource_count(), key)
    }

    /// Some resources in this order.
    pub(super) fn resources_among(self, some: &RoaringBitmap, world: &World) -> Arc<Vec<u32>> {
        let mut order: Vec<u32> = some.iter().filter(|id| world.resource(*id).is_some()).collect();
        order.sort_by_cached_key(|id| world.resource(*id).map(|entry| self.of_resource(entry)));
        Arc::new(order)
    }
}

/// The orders of each side that are kept.
pub(crate) type KeptOrders = Orders<(SortField, Reach)>;

/// The runs of an order from a place on: of items that are alike upwards, while the runs themselves go up or down.
///
/// `value` is what an item is sorted by, `behind` says of an item whose value is that of the place whether it comes after it.
pub(super) fn runs<'o, V: Ord + 'o>(
    order: &'o [u32],
    descending: bool,
    value: impl Fn(u32) -> V + 'o,
    from: Option<&V>,
    behind: impl Fn(u32) -> bool,
) -> Box<dyn Iterator<Item = &'o [u32]> + 'o> {
    let (first, rest) = match from {
        None => (&order[..0], order),
        Some(from) => {
            let start = order.partition_point(|item| value(*item) < *from);
            let end = start + order[start..].partition_point(|item| value(*item) <= *from);
            let alike = &order[start..end];
            let first = &alike[alike.partition_point(|item| !behind(*item))..];
            (first, if descending { &order[..start] } else { &order[end..] })
        }
    };
    if descending {
        return Box::new(std::iter::once(first).chain(groups(rest, true, value)));
    }
    Box::new([first, rest].into_iter())
}

/// The runs of items of an order that are alike, going up or down.
pub(super) fn groups<'o, V: Ord + 'o>(
    order: &'o [u32],
    descending: bool,
    value: impl Fn(u32) -> V + 'o,
) -> impl Iterator<Item = &'o [u32]> + 'o {
    let mut left = order;
    std::iter::from_fn(move || {
        let next = *if descending { left.last()? } else { left.first()? };
        let next = value(next);
        // Runs are short as a rule: look nearby first.
        let mut step = 1;
        let nearby = |step: usize| if descending { left[left.len() - 1 - step] } else { left[step] };
        while step < left.len() && value(nearby(step)) == next {
            step *= 2;
        }
        let reach = (step + 1).min(left.len());
        let run;
        if descending {
            let low = left.len() - reach;
            let start = low + left[low..].partition_point(|item| value(*item) < next);
            (left, run) = left.split_at(start);
        } else {
            let end = left[..reach].partition_point(|item| value(*item) <= next);
            (run, left) = left.split_at(end);
        }
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_go_on_where_they_were_left(values in proptest::collection::vec(0i64..6, 1..40), descending in any::<bool>(), cut in 0usize..40) {
            let value = |item: u32| SortValue::Number(values[item as usize]);
            let mut order: Vec<u32> = (0..values.len() as u32).collect();
            order.sort_by_key(|item| (values[*item as usize], *item));
            let mut expected = order.clone();
            expected.sort_by_key(|item| { let v = values[*item as usize]; (if descending { -v } else { v }, *item) });
            let whole: Vec<u32> = runs(&order, descending, value, None, |_| true).flatten().copied().collect();
            prop_assert_eq!(&whole, &expected);
            let cut = cut % values.len();
            let last = expected[cut];
            let rest: Vec<u32> = runs(&order, descending, value, Some(&value(last)), |item| item > last).flatten().copied().collect();
            prop_assert_eq!(&rest[..], &expected[cut + 1..]);
        }
    }
}
