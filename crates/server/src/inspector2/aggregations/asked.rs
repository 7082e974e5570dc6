//! What a request for counts asks for.

use super::answers::signed;
use crate::inspector2::criteria::{text_term, text_test};
use lestrade_findings::{Counts, DateField, NumberField, Term, TextField, TextTest};
use lestrade_model::Severity;
use lestrade_wire::inspector2::{AggregationRequest, DateFilter, MapFilter, NumberFilter, ScanSource, SortOrder, StringFilter};

/// What a request asks for, whatever its type.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) terms: Vec<Term>,
    /// Tests of what a group's findings share.
    keys: Vec<TextTest>,
    /// `CRITICAL`, `HIGH`, `ALL`.
    sort_by: Option<String>,
    ascending: bool,
}

impl Asked {
    pub(super) fn of(request: &AggregationRequest) -> Self {
        let mut asked = Self::default();
        match request {
            AggregationRequest::AccountAggregation(a) => {
                asked.word(TextField::FindingType, a.finding_type.as_ref().map(|word| word.as_str()));
                asked.word(TextField::ResourceType, a.resource_type.as_ref().map(|word| word.as_str()));
                asked.order(a.sort_by.as_ref().map(|by| by.as_str()), a.sort_order.as_ref());
            }
            AggregationRequest::FindingTypeAggregation(a) => {
                asked.word(TextField::FindingType, a.finding_type.as_ref().map(|word| word.as_str()));
                asked.word(TextField::ResourceType, a.resource_type.as_ref().map(|word| word.as_str()));
                asked.order(a.sort_by.as_ref().map(|by| by.as_str()), a.sort_order.as_ref());
            }
            AggregationRequest::TitleAggregation(a) => {
                asked.word(TextField::FindingType, a.finding_type.as_ref().map(|word| word.as_str()));
                asked.word(TextField::ResourceType, a.resource_type.as_ref().map(|word| word.as_str()));
                asked.text(TextField::VulnerabilityId, a.vulnerability_ids.as_ref());
                asked.key(a.titles.as_ref());
                asked.order(a.sort_by.as_ref().map(|by| by.as_str()), a.sort_order.as_ref());
            }
            AggregationRequest::PackageAggregation(a) => {
                asked.key(a.package_names.as_ref());
                asked.order(a.sort_by.as_ref().map(|by| by.as_str()), a.sort_order.as_ref());
            }
            AggregationRequest::RepositoryAggregation(a) => {
                asked.text(TextField::EcrImageRepositoryName, a.repositories.as_ref());
                asked.order(a.sort_by.as_ref().map(|by| by.as_str()), a.sort_order.as_ref());
            }
            AggregationRequest::ImageLayerAggregation(a) => {
                asked.text(TextField::EcrImageRepositoryName, a.repositories.as_ref());
                asked.text(TextField::ResourceId, a.resource_ids.as_ref());
                asked.key(a.layer_hashes.as_ref());
                asked.text(TextField::AwsAccountId, a.cloud_account_ids.as_ref());
                // Of clouds nothing else is told.
                for unknown in [&a.cloud_providers, &a.cloud_org_ids, &a.cloud_regions, &a.cloud_partitions] {
                    asked.text(TextField::Absent, unknown.as_ref());
                }
                asked.order(a.sort_by.as_ref().map(|by| by.as_str()), a.sort_order.as_ref());
            }
            AggregationRequest::AwsEcrContainerAggregation(a) => {
                asked.text(TextField::ResourceId, a.resource_ids.as_ref());
                asked.text(TextField::EcrImageHash, a.image_shas.as_ref());
                asked.text(TextField::EcrImageRepositoryName, a.repositories.as_ref());
                asked.text(TextField::EcrImageArchitecture, a.architectures.as_ref());
                asked.text(TextField::EcrImageTags, a.image_tags.as_ref());
                asked.in_use(a.last_in_use_at.as_ref(), a.in_use_count.as_ref());
                asked.order(a.sort_by.as_ref().map(|by| by.as_str()), a.sort_order.as_ref());
            }
            AggregationRequest::Ec2InstanceAggregation(a) => {
                asked.text(TextField::ResourceId, a.instance_ids.as_ref());
                asked.text(TextField::Ec2InstanceImageId, a.amis.as_ref());
                asked.text(TextField::Absent, a.operating_systems.as_ref());
                asked.tags(a.instance_tags.as_ref());
                asked.order(a.sort_by.as_ref().map(|by| by.as_str()), a.sort_order.as_ref());
            }
            AggregationRequest::AmiAggregation(a) => {
                asked.text(TextField::Ec2InstanceImageId, a.amis.as_ref());
                // Images themselves are not scanned, but instances of them.
                if a.scan_sources.as_ref().is_some_and(|sources| !sources.contains(&ScanSource::InstanceScan)) {
                    asked.word(TextField::Absent, Some(ScanSource::MachineImageScan.as_str()));
                }
                asked.order(a.sort_by.as_ref().map(|by| by.as_str()), a.sort_order.as_ref());
            }
            AggregationRequest::LambdaFunctionAggregation(a) => {
                asked.text(TextField::ResourceId, a.resource_ids.as_ref());
                asked.text(TextField::LambdaFunctionName, a.function_names.as_ref());
                asked.text(TextField::LambdaFunctionRuntime, a.runtimes.as_ref());
                asked.tags(a.function_tags.as_ref());
                asked.order(a.sort_by.as_ref().map(|by| by.as_str()), a.sort_order.as_ref());
            }
            AggregationRequest::LambdaLayerAggregation(a) => {
                asked.text(TextField::LambdaFunctionName, a.function_names.as_ref());
                asked.text(TextField::ResourceId, a.resource_ids.as_ref());
                asked.key(a.layer_arns.as_ref());
                asked.order(a.sort_by.as_ref().map(|by| by.as_str()), a.sort_order.as_ref());
            }
            _ => {}
        }
        asked
    }

    pub(super) fn text(&mut self, field: TextField, filters: Option<&Vec<StringFilter>>) {
        self.terms.extend(filters.map(|filters| text_term(field, filters.clone())));
    }

    fn word(&mut self, field: TextField, word: Option<&str>) {
        self.terms.extend(word.map(|word| Term::Text(field, vec![TextTest::Equals(word.to_owned())])));
    }

    fn tags(&mut self, filters: Option<&Vec<MapFilter>>) {
        self.terms.extend(filters.map(|filters| Term::Tag(filters.iter().map(|f| (f.key.clone(), f.value.clone())).collect())));
    }

    fn in_use(&mut self, last: Option<&Vec<DateFilter>>, count: Option<&Vec<NumberFilter>>) {
        let times = |filter: &DateFilter| (filter.start_inclusive.map(Into::into), filter.end_inclusive.map(Into::into));
        let numbers = |filter: &NumberFilter| (filter.lower_inclusive, filter.upper_inclusive);
        self.terms.extend(last.map(|filters| Term::Date(DateField::EcrImageLastInUseAt, filters.iter().map(times).collect())));
        self.terms.extend(count.map(|filters| Term::Number(NumberField::EcrImageInUseCount, filters.iter().map(numbers).collect())));
    }

    fn key(&mut self, filters: Option<&Vec<StringFilter>>) {
        self.keys.extend(filters.into_iter().flatten().cloned().map(text_test));
    }

    fn order(&mut self, by: Option<&str>, order: Option<&SortOrder>) {
        self.sort_by = by.map(str::to_owned);
        self.ascending = order == Some(&SortOrder::Asc);
    }

    pub(super) fn admits(&self, key: &str) -> bool {
        let (negative, positive): (Vec<_>, Vec<_>) = self.keys.iter().partition(|test| matches!(test, TextTest::NotEquals(_)));
        (positive.is_empty() || positive.iter().any(|test| test.holds(key))) && negative.iter().all(|test| test.holds(key))
    }

    /// Most first, unless the least are asked for first.
    pub(super) fn rank(&self, counts: &Counts, resources: u64) -> i64 {
        let count = match self.sort_by.as_deref() {
            Some("ALL") => counts.all,
            Some("HIGH") => counts.of(Severity::High),
            Some("NETWORK_FINDINGS") => counts.network,
            Some("AFFECTED_IMAGES" | "AFFECTED_INSTANCES") => resources,
            _ => counts.of(Severity::Critical),
        };
        let count = signed(count);
        if self.ascending { count } else { -count }
    }
}
