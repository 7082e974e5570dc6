//! Filter criteria: terms that must all hold.
//!
//! Within a term on text, the positive tests (equals, prefix) are alternatives and the negative ones must all hold; a
//! many-valued attribute (tags, layers) meets a positive test when any of its values does, and a negative one when none equals.
//! Comparison is case-sensitive. An attribute that a finding has not meets no positive test.

use crate::view::Pair;
use lestrade_matching::PackagePattern;
use lestrade_model::{FixState, Timestamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// An attribute that is text. Named as in `inspector2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are inspector2's own")]
pub enum TextField {
    AwsAccountId,
    ComponentId,
    ComponentType,
    Ec2InstanceImageId,
    Ec2InstanceSubnetId,
    Ec2InstanceVpcId,
    EcrImageArchitecture,
    EcrImageHash,
    EcrImageRegistry,
    EcrImageRepositoryName,
    EcrImageTags,
    ExploitAvailable,
    FindingArn,
    FindingStatus,
    FindingType,
    FixAvailable,
    LambdaFunctionExecutionRoleArn,
    LambdaFunctionLayers,
    LambdaFunctionName,
    LambdaFunctionRuntime,
    NetworkProtocol,
    RelatedVulnerabilities,
    ResourceId,
    ResourceType,
    Severity,
    Title,
    VendorSeverity,
    VulnerabilityId,
    VulnerabilitySource,
    /// An attribute that no finding of ours has yet: positive tests on it fail, negative ones hold.
    Absent,
}

/// An attribute that is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are inspector2's own")]
pub enum NumberField {
    InspectorScore,
    EpssScore,
    EcrImageInUseCount,
    Absent,
}

/// An attribute that is an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are inspector2's own")]
pub enum DateField {
    FirstObservedAt,
    LastObservedAt,
    UpdatedAt,
    EcrImagePushedAt,
    EcrImageLastInUseAt,
    LambdaFunctionLastModifiedAt,
    Absent,
}

/// What an attribute depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The resource alone.
    Resource,
    /// The vulnerability alone.
    Vulnerability,
    /// Both.
    Pair,
}

/// A test of one text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are inspector2's own")]
pub enum TextTest {
    Equals(String),
    Prefix(String),
    NotEquals(String),
}

impl TextTest {
    fn is_positive(&self) -> bool {
        !matches!(self, Self::NotEquals(_))
    }

    /// The value of a test for equality.
    pub(crate) fn equal(&self) -> Option<&str> {
        if let Self::Equals(value) = self { Some(value) } else { None }
    }

    /// Whether one value meets the test.
    #[must_use]
    pub fn holds(&self, value: &str) -> bool {
        match self {
            Self::Equals(wanted) => value == wanted,
            Self::Prefix(wanted) => value.starts_with(wanted.as_str()),
            Self::NotEquals(unwanted) => value != unwanted,
        }
    }
}

/// A test of one affected package: all that is given must hold of the same package.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are inspector2's own")]
pub struct PackageTest {
    pub name: Option<TextTest>,
    pub version: Option<TextTest>,
    pub release: Option<TextTest>,
    /// Lowest and highest, included.
    pub epoch: Option<(Option<u32>, Option<u32>)>,
    pub architecture: Option<TextTest>,
    pub file_path: Option<TextTest>,
    pub source_layer_hash: Option<TextTest>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Term {
    /// On a text.
    Text(TextField, Vec<TextTest>),
    /// On a number: in any of these ranges, ends included.
    Number(NumberField, Vec<(Option<f64>, Option<f64>)>),
    /// On an instant: in any of these ranges, ends included.
    Date(DateField, Vec<(Option<Timestamp>, Option<Timestamp>)>),
    /// On the resource's tags: any of these keys, with this value if one is given.
    Tag(Vec<(String, Option<String>)>),
    /// On affected packages: any of these.
    Package(Vec<PackageTest>),
    /// On affected packages: these are all that there are. What is said of one package says nothing of another.
    Covered(Vec<PackagePattern>),
    /// On an open network path: its ports lie within any of these ranges, ends included. A path that is open beyond a range is
    /// not in it: a rule that hides one port must not hide all of them.
    Ports(Vec<(Option<f64>, Option<f64>)>),
    /// On affected packages: where the fix of one of them stands is any of these.
    State(Vec<FixState>),
}

/// Terms that must all hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Criteria {
    /// The terms.
    pub terms: Vec<Term>,
}

impl TextField {
    /// What the attribute depends on.
    #[must_use]
    pub const fn side(self) -> Side {
        match self {
            Self::AwsAccountId
            | Self::EcrImageArchitecture
            | Self::EcrImageHash
            | Self::EcrImageRegistry
            | Self::EcrImageRepositoryName
            | Self::EcrImageTags
            | Self::Ec2InstanceImageId
            | Self::Ec2InstanceSubnetId
            | Self::Ec2InstanceVpcId
            | Self::LambdaFunctionExecutionRoleArn
            | Self::LambdaFunctionLayers
            | Self::LambdaFunctionName
            | Self::LambdaFunctionRuntime
            | Self::ResourceId
            | Self::ResourceType => Side::Resource,
            Self::ComponentId
            | Self::ComponentType
            | Self::ExploitAvailable
            | Self::FindingType
            | Self::NetworkProtocol
            | Self::RelatedVulnerabilities
            | Self::Severity
            | Self::VendorSeverity
            | Self::VulnerabilityId
            | Self::VulnerabilitySource => Side::Vulnerability,
            Self::FindingArn | Self::FindingStatus | Self::FixAvailable | Self::Title | Self::Absent => Side::Pair,
        }
    }
}

impl Term {
    /// What the term depends on.
    #[must_use]
    pub const fn side(&self) -> Side {
        match self {
            Self::Text(field, _) => field.side(),
            Self::Number(NumberField::EpssScore, _) => Side::Vulnerability,
            Self::Ports(_) => Side::Vulnerability,
            Self::Number(NumberField::EcrImageInUseCount, _)
            | Self::Date(DateField::EcrImagePushedAt | DateField::EcrImageLastInUseAt | DateField::LambdaFunctionLastModifiedAt, _)
            | Self::Tag(_) => Side::Resource,
            Self::Number(..) | Self::Date(..) | Self::Package(_) | Self::Covered(_) | Self::State(_) => Side::Pair,
        }
    }

    /// Whether the term depends on where images run.
    #[must_use]
    pub const fn is_of_use(&self) -> bool {
        matches!(self, Self::Number(NumberField::EcrImageInUseCount, _) | Self::Date(DateField::EcrImageLastInUseAt, _))
    }

    /// Whether the term holds of attributes.
    pub(crate) fn holds(&self, facts: &impl Attributes) -> bool {
        match self {
            Self::Text(field, tests) => text_holds(tests, &facts.text(*field)),
            Self::Number(field, ranges) => facts.number(*field).is_some_and(|value| {
                ranges.iter().any(|(low, high)| low.is_none_or(|low| value >= low) && high.is_none_or(|high| value <= high))
            }),
            Self::Date(field, ranges) => facts.date(*field).is_some_and(|value| {
                ranges.iter().any(|(start, end)| start.is_none_or(|start| value >= start) && end.is_none_or(|end| value <= end))
            }),
            Self::Tag(wanted) => {
                let tags = facts.tags();
                wanted.iter().any(|(key, value)| tags.iter().any(|(k, v)| k == key && value.as_ref().is_none_or(|value| v == value)))
            }
            Self::Package(tests) => facts.any_package(tests),
            Self::Covered(patterns) => facts.all_packages(patterns),
            Self::State(states) => facts.any_state(states),
            Self::Ports(ranges) => facts.ports().is_some_and(|(first, last)| {
                let within = |(low, high): &(Option<f64>, Option<f64>)| {
                    low.is_none_or(|low| f64::from(first) >= low) && high.is_none_or(|high| f64::from(last) <= high)
                };
                ranges.iter().any(within)
            }),
        }
    }
}

fn text_holds(tests: &[TextTest], values: &[Cow<'_, str>]) -> bool {
    let mut positives = tests.iter().filter(|test| test.is_positive()).peekable();
    let some_positive = positives.peek().is_none() || positives.any(|test| values.iter().any(|value| test.holds(value)));
    some_positive && tests.iter().filter(|test| !test.is_positive()).all(|test| values.iter().all(|value| test.holds(value)))
}

/// Attributes of a finding, or of the half of it that is known.
pub(crate) trait Attributes {
    fn text(&self, field: TextField) -> Vec<Cow<'_, str>>;
    fn number(&self, field: NumberField) -> Option<f64>;
    fn date(&self, field: DateField) -> Option<Timestamp>;
    fn tags(&self) -> &[(String, String)];
    fn any_package(&self, tests: &[PackageTest]) -> bool;
    fn all_packages(&self, _: &[PackagePattern]) -> bool {
        false
    }
    fn any_state(&self, _: &[FixState]) -> bool {
        false
    }
    fn ports(&self) -> Option<(u16, u16)> {
        None
    }
}

impl Criteria {
    /// Whether a finding meets all terms.
    pub(crate) fn hold(&self, pair: &Pair<'_>) -> bool {
        self.terms.iter().all(|term| term.holds(pair))
    }

    /// Terms of one side.
    pub(crate) fn of_side(&self, side: Side) -> impl Iterator<Item = &Term> {
        self.terms.iter().filter(move |term| term.side() == side)
    }

    /// Whether findings of this status could meet the terms at all.
    pub(crate) fn admit_status(&self, status: &'static str) -> bool {
        self.terms.iter().all(|term| match term {
            Term::Text(TextField::FindingStatus, tests) => text_holds(tests, &[Cow::Borrowed(status)]),
            _ => true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positives_are_alternatives_and_negatives_all_hold() {
        let values = |list: &[&'static str]| list.iter().map(|v| Cow::Borrowed(*v)).collect::<Vec<_>>();
        let equals = |v: &str| TextTest::Equals(v.into());
        let not = |v: &str| TextTest::NotEquals(v.into());
        let prefix = |v: &str| TextTest::Prefix(v.into());
        for (tests, of, expected) in [
            (vec![equals("a"), equals("b")], values(&["b"]), true),
            (vec![equals("a"), prefix("be")], values(&["beta"]), true),
            (vec![not("a"), not("b")], values(&["b"]), false),
            (vec![not("a")], values(&[]), true),
            (vec![equals("a")], values(&[]), false),
            (vec![equals("x"), not("y")], values(&["x", "y"]), false),
            (vec![equals("X")], values(&["x"]), false),
        ] {
            assert_eq!(text_holds(&tests, &of), expected, "{tests:?} {of:?}");
        }
    }
}
