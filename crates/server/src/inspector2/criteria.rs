//! Filter criteria of the wire, in the words of `findings`.

use super::failure::{Failure, invalid_field};
use lestrade_findings::{Criteria, DateField, NumberField, PackageTest, Sort, SortField, Term, TextField, TextTest};
use lestrade_wire::inspector2::{
    self as wire, DateFilter, FilterCriteria, MapFilter, NumberFilter, PackageFilter, PortRangeFilter, SortCriteria, SortOrder,
    StringComparison, StringFilter,
};
use lestrade_wire::{Kind, Member, Shaped};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The provider-neutral names of attributes that have an older name too.
const NEUTRAL: &[(&str, &str)] = &[
    ("cloudProviderAccountId", "awsAccountId"),
    ("cloudImageRepositoryName", "ecrImageRepositoryName"),
    ("cloudImageRegistry", "ecrImageRegistry"),
    ("cloudImageDigest", "ecrImageHash"),
    ("cloudImageTags", "ecrImageTags"),
    ("cloudImageArchitecture", "ecrImageArchitecture"),
    ("cloudImagePushedAt", "ecrImagePushedAt"),
    ("cloudImageLastInUseAt", "ecrImageLastInUseAt"),
    ("cloudImageInUseCount", "ecrImageInUseCount"),
];

/// The criteria that a filter on the wire stands for. An attribute that no finding of ours has becomes a term that says so.
///
/// # Errors
/// When it asks for what we cannot tell, in the words of a `ValidationException`.
pub fn criteria(filter: &FilterCriteria) -> Result<Criteria, wire::Error> {
    terms(filter).map(|terms| Criteria { terms }).map_err(|failure| match failure {
        Failure::Service(error) => error,
        other => wire::InternalServerException { message: other.to_string(), retry_after_seconds: None }.into(),
    })
}

/// Walks the members by their shapes: each is a list of one of six kinds of tests.
fn terms(filter: &FilterCriteria) -> Result<Vec<Term>, Failure> {
    let Value::Object(mut object) = serde_json::to_value(filter)? else { return Ok(Vec::new()) };
    let members = FilterCriteria::SHAPE.members().iter();
    members.filter_map(|member| Some((member, object.remove(member.name)?))).map(|(member, tests)| term(member, tests)).collect()
}

fn term(member: &Member, tests: Value) -> Result<Term, Failure> {
    let name = NEUTRAL.iter().find(|(neutral, _)| *neutral == member.name).map_or(member.name, |(_, older)| *older);
    let Kind::List { item, .. } = member.shape.kind else {
        return Err(invalid_field(&path(member), "this attribute cannot be filtered by"));
    };
    Ok(match item.name {
        "StringFilter" => text_term(text_field(name), list(tests)?),
        "NumberFilter" => {
            Term::Number(number_field(name), list::<NumberFilter>(tests)?.iter().map(|f| (f.lower_inclusive, f.upper_inclusive)).collect())
        }
        "DateFilter" => {
            let range = |filter: DateFilter| (filter.start_inclusive.map(Into::into), filter.end_inclusive.map(Into::into));
            Term::Date(date_field(name), list(tests)?.into_iter().map(range).collect())
        }
        "MapFilter" => Term::Tag(list::<MapFilter>(tests)?.into_iter().map(|filter| (filter.key, filter.value)).collect()),
        "PortRangeFilter" => {
            let range = |filter: &PortRangeFilter| (filter.begin_inclusive.map(f64::from), filter.end_inclusive.map(f64::from));
            Term::Ports(list(tests)?.iter().map(range).collect())
        }
        "PackageFilter" => {
            Term::Package(list::<PackageFilter>(tests)?.into_iter().map(|f| package_test(f, member)).collect::<Result<_, _>>()?)
        }
        _ => return Err(invalid_field(&path(member), "this attribute cannot be filtered by")),
    })
}

fn path(member: &Member) -> String {
    format!("filterCriteria.{}", member.name)
}

fn list<T: DeserializeOwned>(tests: Value) -> Result<Vec<T>, Failure> {
    Ok(serde_json::from_value(tests)?)
}

/// Findings show a runtime in Inspector's word, `NODEJS_22_X`, and are asked for by it; it is known by that of Lambda, `nodejs22.x`,
/// which may be asked for too. The beginning of the one is the beginning of the other.
fn runtime(asked: &str) -> String {
    // A function of an image has none, which is shown so.
    if asked == "UNSUPPORTED" {
        return String::new();
    }
    if asked.contains(|c: char| c.is_ascii_lowercase() || c == '.') {
        return asked.to_owned();
    }
    asked.to_ascii_lowercase().replacen('_', "", 1).replace('_', ".")
}

/// Tests of an attribute that is a text.
pub(super) fn text_term(field: TextField, mut filters: Vec<StringFilter>) -> Term {
    if field == TextField::LambdaFunctionRuntime {
        for filter in &mut filters {
            if filter.value == "UNSUPPORTED" && filter.comparison == StringComparison::Prefix {
                filter.comparison = StringComparison::Equals;
            }
            filter.value = runtime(&filter.value);
        }
    }
    Term::Text(field, filters.into_iter().map(text_test).collect())
}

/// A test of a text.
pub(super) fn text_test(filter: StringFilter) -> TextTest {
    match filter.comparison {
        StringComparison::Prefix => TextTest::Prefix(filter.value),
        StringComparison::NotEquals => TextTest::NotEquals(filter.value),
        _ => TextTest::Equals(filter.value),
    }
}

/// An epoch out of a number as JSON has it; what is no epoch is the nearest one.
fn whole(number: f64) -> u32 {
    number as u32
}

fn package_test(filter: PackageFilter, member: &Member) -> Result<PackageTest, Failure> {
    if filter.source_lambda_layer_arn.is_some() {
        return Err(invalid_field(&format!("{}.sourceLambdaLayerArn", path(member)), "no finding has a Lambda layer yet"));
    }
    Ok(PackageTest {
        name: filter.name.map(text_test),
        version: filter.version.map(text_test),
        release: filter.release.map(text_test),
        epoch: filter.epoch.map(|range| (range.lower_inclusive.map(whole), range.upper_inclusive.map(whole))),
        architecture: filter.architecture.map(text_test),
        file_path: filter.file_path.map(text_test),
        source_layer_hash: filter.source_layer_hash.map(text_test),
    })
}

fn text_field(name: &str) -> TextField {
    match name {
        "awsAccountId" => TextField::AwsAccountId,
        "componentId" => TextField::ComponentId,
        "componentType" => TextField::ComponentType,
        "ec2InstanceImageId" => TextField::Ec2InstanceImageId,
        "ec2InstanceSubnetId" => TextField::Ec2InstanceSubnetId,
        "ec2InstanceVpcId" => TextField::Ec2InstanceVpcId,
        "ecrImageArchitecture" => TextField::EcrImageArchitecture,
        "ecrImageHash" => TextField::EcrImageHash,
        "ecrImageRegistry" => TextField::EcrImageRegistry,
        "ecrImageRepositoryName" => TextField::EcrImageRepositoryName,
        "ecrImageTags" => TextField::EcrImageTags,
        "exploitAvailable" => TextField::ExploitAvailable,
        "findingArn" => TextField::FindingArn,
        "findingStatus" => TextField::FindingStatus,
        "findingType" => TextField::FindingType,
        "fixAvailable" => TextField::FixAvailable,
        "lambdaFunctionExecutionRoleArn" => TextField::LambdaFunctionExecutionRoleArn,
        "lambdaFunctionLayers" => TextField::LambdaFunctionLayers,
        "lambdaFunctionName" => TextField::LambdaFunctionName,
        "lambdaFunctionRuntime" => TextField::LambdaFunctionRuntime,
        "networkProtocol" => TextField::NetworkProtocol,
        "relatedVulnerabilities" => TextField::RelatedVulnerabilities,
        "resourceId" => TextField::ResourceId,
        "resourceType" => TextField::ResourceType,
        "severity" => TextField::Severity,
        "title" => TextField::Title,
        "vendorSeverity" => TextField::VendorSeverity,
        "vulnerabilityId" => TextField::VulnerabilityId,
        "vulnerabilitySource" => TextField::VulnerabilitySource,
        _ => TextField::Absent,
    }
}

fn number_field(name: &str) -> NumberField {
    match name {
        "inspectorScore" => NumberField::InspectorScore,
        "epssScore" => NumberField::EpssScore,
        "ecrImageInUseCount" => NumberField::EcrImageInUseCount,
        _ => NumberField::Absent,
    }
}

fn date_field(name: &str) -> DateField {
    match name {
        "firstObservedAt" => DateField::FirstObservedAt,
        "lastObservedAt" => DateField::LastObservedAt,
        "updatedAt" => DateField::UpdatedAt,
        "ecrImagePushedAt" => DateField::EcrImagePushedAt,
        "ecrImageLastInUseAt" => DateField::EcrImageLastInUseAt,
        "lambdaFunctionLastModifiedAt" => DateField::LambdaFunctionLastModifiedAt,
        _ => DateField::Absent,
    }
}

/// The sort that is asked for.
pub(super) fn sort(asked: Option<&SortCriteria>) -> Sort {
    let Some(SortCriteria { field, sort_order }) = asked else { return Sort::default() };
    let field = match field {
        wire::SortField::AwsAccountId => SortField::AwsAccountId,
        wire::SortField::FindingType => SortField::FindingType,
        wire::SortField::Severity => SortField::Severity,
        wire::SortField::FirstObservedAt => SortField::FirstObservedAt,
        wire::SortField::LastObservedAt => SortField::LastObservedAt,
        wire::SortField::FindingStatus => SortField::FindingStatus,
        wire::SortField::ResourceType => SortField::ResourceType,
        wire::SortField::EcrImagePushedAt => SortField::EcrImagePushedAt,
        wire::SortField::EcrImageRepositoryName => SortField::EcrImageRepositoryName,
        wire::SortField::EcrImageRegistry => SortField::EcrImageRegistry,
        wire::SortField::VulnerabilityId => SortField::VulnerabilityId,
        wire::SortField::VulnerabilitySource => SortField::VulnerabilitySource,
        wire::SortField::InspectorScore => SortField::InspectorScore,
        wire::SortField::VendorSeverity => SortField::VendorSeverity,
        wire::SortField::EpssScore => SortField::EpssScore,
        wire::SortField::NetworkProtocol => SortField::NetworkProtocol,
        wire::SortField::ComponentType => SortField::ComponentType,
        wire::SortField::Unlisted(_) => SortField::Absent,
    };
    Sort { field, descending: *sort_order == SortOrder::Desc }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_model::Timestamp;
    use serde_json::json;

    fn terms_of(value: Value) -> Vec<Term> {
        criteria(&serde_json::from_value(value).unwrap()).unwrap().terms
    }

    #[test]
    fn every_kind_of_test_has_its_term() {
        let high = || TextTest::Equals("HIGH".into());
        for (filter, term) in [
            (
                json!({"severity": [{"comparison": "EQUALS", "value": "HIGH"}, {"comparison": "NOT_EQUALS", "value": "LOW"}]}),
                Term::Text(TextField::Severity, vec![high(), TextTest::NotEquals("LOW".into())]),
            ),
            (
                json!({"cloudImageDigest": [{"comparison": "PREFIX", "value": "sha256:a"}]}),
                Term::Text(TextField::EcrImageHash, vec![TextTest::Prefix("sha256:a".into())]),
            ),
            (
                json!({"ec2InstanceVpcId": [{"comparison": "EQUALS", "value": "HIGH"}]}),
                Term::Text(TextField::Ec2InstanceVpcId, vec![high()]),
            ),
            (
                json!({"lambdaFunctionRuntime": [{"comparison": "PREFIX", "value": "UNSUPPORTED"}]}),
                Term::Text(TextField::LambdaFunctionRuntime, vec![TextTest::Equals(String::new())]),
            ),
            (json!({"inspectorScore": [{"lowerInclusive": 7.0}]}), Term::Number(NumberField::InspectorScore, vec![(Some(7.0), None)])),
            (
                json!({"firstObservedAt": [{"startInclusive": 1.5, "endInclusive": 2}]}),
                Term::Date(DateField::FirstObservedAt, vec![(Some(Timestamp::from_millis(1500)), Some(Timestamp::from_millis(2000)))]),
            ),
            (
                json!({"ecrImageInUseCount": [{"lowerInclusive": 1}]}),
                Term::Number(NumberField::EcrImageInUseCount, vec![(Some(1.0), None)]),
            ),
            (
                json!({"cloudImageLastInUseAt": [{"startInclusive": 1}]}),
                Term::Date(DateField::EcrImageLastInUseAt, vec![(Some(Timestamp::from_millis(1000)), None)]),
            ),
            (json!({"resourceTags": [{"comparison": "EQUALS", "key": "env"}]}), Term::Tag(vec![("env".into(), None)])),
            (json!({"portRange": [{"beginInclusive": 22, "endInclusive": 22}]}), Term::Ports(vec![(Some(22.0), Some(22.0))])),
            (
                json!({"vulnerablePackages": [{"name": {"comparison": "EQUALS", "value": "HIGH"}}]}),
                Term::Package(vec![PackageTest { name: Some(high()), ..PackageTest::default() }]),
            ),
        ] {
            assert_eq!(terms_of(filter.clone()), [term], "{filter}");
        }
    }

    #[test]
    fn a_runtime_is_asked_for_by_either_word() {
        for (inspectors, lambdas) in [
            ("NODEJS_22_X", "nodejs22.x"),
            ("JAVA_8_AL2", "java8.al2"),
            ("DOTNETCORE_3_1", "dotnetcore3.1"),
            ("GO_1_X", "go1.x"),
            ("PYTHON_3_", "python3."),
            ("PYTHON_", "python"),
        ] {
            assert_eq!((runtime(inspectors).as_str(), runtime(lambdas).as_str()), (lambdas, lambdas));
        }
    }

    #[test]
    fn different_keys_are_different_terms() {
        let both = json!({"severity": [{"comparison": "EQUALS", "value": "HIGH"}], "title": [{"comparison": "PREFIX", "value": "CVE"}]});
        assert_eq!(terms_of(both).len(), 2);
        assert!(terms_of(json!({})).is_empty());
    }

    #[test]
    fn what_cannot_be_told_is_refused_and_not_ignored() {
        let test = json!({"sourceLambdaLayerArn": {"comparison": "EQUALS", "value": "arn"}});
        let filter = serde_json::from_value(json!({"vulnerablePackages": [test]})).unwrap();
        assert!(criteria(&filter).unwrap_err().to_string().contains("filterCriteria.vulnerablePackages.sourceLambdaLayerArn"));
    }

    /// A new kind of filter in a newer model must not pass unnoticed.
    #[test]
    fn every_member_of_the_model_is_of_a_known_kind() {
        for member in FilterCriteria::SHAPE.members() {
            let Kind::List { item, .. } = member.shape.kind else { panic!("{}", member.name) };
            let known = ["StringFilter", "NumberFilter", "DateFilter", "MapFilter", "PortRangeFilter", "PackageFilter"];
            assert!(known.contains(&item.name), "{}: {}", member.name, item.name);
        }
    }
}
