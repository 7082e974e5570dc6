//! Findings, counted in groups.

use super::backend::AggregateRow;
use super::call::Call;
use super::criteria::text_test;
use super::failure::{Failure, invalid_field};
use lestrade_findings::{Counts, Criteria, DateField, GroupBy, NumberField, Term, TextField, TextTest};
use lestrade_model::{ImageDetails, ResourceDetails, Severity};
use lestrade_wire::inspector2::{
    AccountAggregationResponse, AggregationRequest, AggregationResponse, AggregationType, AwsEcrContainerAggregationResponse, DateFilter,
    Ec2InstanceAggregationResponse, FindingTypeAggregationResponse, ImageLayerAggregationResponse, ListFindingAggregationsRequest,
    ListFindingAggregationsResponse, MapFilter, NumberFilter, PackageAggregationResponse, RepositoryAggregationResponse, SeverityCounts,
    SortOrder, StringFilter, TitleAggregationResponse,
};

const PAGE: usize = 100;

/// What a request asks for, whatever its type.
#[derive(Default)]
struct Asked {
    terms: Vec<Term>,
    /// Tests of what a group's findings share.
    keys: Vec<TextTest>,
    /// `CRITICAL`, `HIGH`, `ALL`.
    sort_by: Option<String>,
    ascending: bool,
}

pub(super) fn list_finding_aggregations(
    call: &Call<'_>,
    input: ListFindingAggregationsRequest,
) -> Result<ListFindingAggregationsResponse, Failure> {
    let query = ("ListFindingAggregations", &input.aggregation_type, &input.account_ids, &input.aggregation_request);
    let cut = call.cut(&query, input.next_token.as_ref(), input.max_results, PAGE)?;
    let mut asked = match &input.aggregation_request {
        Some(request) if type_of(request) != input.aggregation_type => {
            return Err(invalid_field("aggregationRequest", "the member that is set must be that of the aggregation type"));
        }
        Some(request) => Asked::of(request),
        None => Asked::default(),
    };
    asked.text(TextField::AwsAccountId, input.account_ids.as_ref());
    let Some((by, answer)) = grouping(&input.aggregation_type, &mut asked) else {
        // Of resources that we do not have there are no findings.
        return Ok(ListFindingAggregationsResponse {
            aggregation_type: input.aggregation_type,
            responses: Some(Vec::new()),
            next_token: None,
        });
    };
    let criteria = Criteria { terms: std::mem::take(&mut asked.terms) };
    let mut window = call.pages.window::<(i64, String), AggregationResponse>(&cut, call.now)?;
    for row in call.backend.aggregate(&call.principal.scopes(), &criteria, by)? {
        if asked.admits(&row.key) {
            window.offer((asked.rank(&row.counts), row.key.clone()), || answer(&row));
        }
    }
    let (responses, next_token) = call.pages.close(window, &cut, call.now)?;
    Ok(ListFindingAggregationsResponse { aggregation_type: input.aggregation_type, responses: Some(responses), next_token })
}

type Answer = fn(&AggregateRow) -> AggregationResponse;

/// By what a type groups, and how it shows a group; narrows what is asked to the resources of the type.
fn grouping(kind: &AggregationType, asked: &mut Asked) -> Option<(GroupBy, Answer)> {
    let mut only = |resource_type: &str| {
        asked.terms.push(Term::Text(TextField::ResourceType, vec![TextTest::Equals(resource_type.to_owned())]));
    };
    Some(match kind {
        AggregationType::Account => (GroupBy::Account, account),
        // One type is asked for, or all; the rows are accounts.
        AggregationType::FindingType => (GroupBy::Account, finding_type),
        AggregationType::Package => (GroupBy::Package, package),
        AggregationType::Title => (GroupBy::Title, title),
        AggregationType::Repository => (GroupBy::Repository, repository),
        AggregationType::ImageLayer => (GroupBy::Layer, layer),
        AggregationType::AwsEcrContainer => {
            only("AWS_ECR_CONTAINER_IMAGE");
            (GroupBy::Resource, container)
        }
        AggregationType::AwsEc2Instance => {
            only("AWS_EC2_INSTANCE");
            (GroupBy::Resource, instance)
        }
        _ => return None,
    })
}

const fn type_of(request: &AggregationRequest) -> AggregationType {
    match request {
        AggregationRequest::AccountAggregation(_) => AggregationType::Account,
        AggregationRequest::AmiAggregation(_) => AggregationType::Ami,
        AggregationRequest::AwsEcrContainerAggregation(_) => AggregationType::AwsEcrContainer,
        AggregationRequest::Ec2InstanceAggregation(_) => AggregationType::AwsEc2Instance,
        AggregationRequest::FindingTypeAggregation(_) => AggregationType::FindingType,
        AggregationRequest::ImageLayerAggregation(_) => AggregationType::ImageLayer,
        AggregationRequest::PackageAggregation(_) => AggregationType::Package,
        AggregationRequest::RepositoryAggregation(_) => AggregationType::Repository,
        AggregationRequest::TitleAggregation(_) => AggregationType::Title,
        AggregationRequest::LambdaLayerAggregation(_) => AggregationType::LambdaLayer,
        AggregationRequest::LambdaFunctionAggregation(_) => AggregationType::AwsLambdaFunction,
        AggregationRequest::CodeRepositoryAggregation(_) => AggregationType::CodeRepository,
        AggregationRequest::VmInstanceAggregation(_) => AggregationType::VmInstance,
        AggregationRequest::ContainerImageAggregation(_) => AggregationType::ContainerImage,
        AggregationRequest::ServerlessFunctionAggregation(_) => AggregationType::ServerlessFunction,
    }
}

impl Asked {
    fn of(request: &AggregationRequest) -> Self {
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
                asked.order(a.sort_by.as_ref().map(|by| by.as_str()), a.sort_order.as_ref());
            }
            AggregationRequest::AwsEcrContainerAggregation(a) => {
                asked.text(TextField::ResourceId, a.resource_ids.as_ref());
                asked.text(TextField::EcrImageHash, a.image_shas.as_ref());
                asked.text(TextField::EcrImageRepositoryName, a.repositories.as_ref());
                asked.text(TextField::EcrImageArchitecture, a.architectures.as_ref());
                asked.text(TextField::EcrImageTags, a.image_tags.as_ref());
                asked.unknown(a.last_in_use_at.as_ref(), a.in_use_count.as_ref());
                asked.order(a.sort_by.as_ref().map(|by| by.as_str()), a.sort_order.as_ref());
            }
            AggregationRequest::Ec2InstanceAggregation(a) => {
                asked.text(TextField::ResourceId, a.instance_ids.as_ref());
                asked.text(TextField::Absent, a.amis.as_ref());
                asked.text(TextField::Absent, a.operating_systems.as_ref());
                asked.tags(a.instance_tags.as_ref());
                asked.order(a.sort_by.as_ref().map(|by| by.as_str()), a.sort_order.as_ref());
            }
            _ => {}
        }
        asked
    }

    fn text(&mut self, field: TextField, filters: Option<&Vec<StringFilter>>) {
        self.terms.extend(filters.map(|filters| Term::Text(field, filters.iter().cloned().map(text_test).collect())));
    }

    fn word(&mut self, field: TextField, word: Option<&str>) {
        self.terms.extend(word.map(|word| Term::Text(field, vec![TextTest::Equals(word.to_owned())])));
    }

    fn tags(&mut self, filters: Option<&Vec<MapFilter>>) {
        self.terms.extend(filters.map(|filters| Term::Tag(filters.iter().map(|f| (f.key.clone(), f.value.clone())).collect())));
    }

    /// Whether an image is in use is not known here: nothing meets such a test.
    fn unknown(&mut self, dates: Option<&Vec<DateFilter>>, numbers: Option<&Vec<NumberFilter>>) {
        self.terms.extend(dates.map(|_| Term::Date(DateField::Absent, vec![(None, None)])));
        self.terms.extend(numbers.map(|_| Term::Number(NumberField::Absent, vec![(None, None)])));
    }

    fn key(&mut self, filters: Option<&Vec<StringFilter>>) {
        self.keys.extend(filters.into_iter().flatten().cloned().map(text_test));
    }

    fn order(&mut self, by: Option<&str>, order: Option<&SortOrder>) {
        self.sort_by = by.map(str::to_owned);
        self.ascending = order == Some(&SortOrder::Asc);
    }

    fn admits(&self, key: &str) -> bool {
        let (negative, positive): (Vec<_>, Vec<_>) = self.keys.iter().partition(|test| matches!(test, TextTest::NotEquals(_)));
        (positive.is_empty() || positive.iter().any(|test| test.holds(key))) && negative.iter().all(|test| test.holds(key))
    }

    /// Most first, unless the least are asked for first.
    fn rank(&self, counts: &Counts) -> i64 {
        let count = match self.sort_by.as_deref() {
            Some("ALL") => counts.all,
            Some("HIGH") => counts.of(Severity::High),
            Some("NETWORK_FINDINGS" | "AFFECTED_IMAGES" | "AFFECTED_INSTANCES") => 0,
            _ => counts.of(Severity::Critical),
        };
        let count = signed(count);
        if self.ascending { count } else { -count }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn severities(row: &AggregateRow) -> Option<SeverityCounts> {
    let of = |severity| Some(signed(row.counts.of(severity)));
    Some(SeverityCounts {
        all: Some(signed(row.counts.all)),
        critical: of(Severity::Critical),
        high: of(Severity::High),
        medium: of(Severity::Medium),
        low: of(Severity::Low),
        informational: of(Severity::Informational),
        untriaged: of(Severity::Untriaged),
    })
}

fn account_of(row: &AggregateRow) -> String {
    row.resource.resource.key.scope.account.clone()
}

fn image_of(row: &AggregateRow) -> Option<&ImageDetails> {
    match &row.resource.resource.details {
        ResourceDetails::Image(image) => Some(image),
        _ => None,
    }
}

fn account(row: &AggregateRow) -> AggregationResponse {
    AggregationResponse::AccountAggregation(AccountAggregationResponse {
        account_id: Some(row.key.clone()),
        severity_counts: severities(row),
        exploit_available_count: Some(signed(row.counts.exploit_available)),
        fix_available_count: Some(signed(row.counts.fix_available)),
    })
}

fn finding_type(row: &AggregateRow) -> AggregationResponse {
    AggregationResponse::FindingTypeAggregation(FindingTypeAggregationResponse {
        account_id: Some(row.key.clone()),
        severity_counts: severities(row),
        exploit_available_count: Some(signed(row.counts.exploit_available)),
        fix_available_count: Some(signed(row.counts.fix_available)),
        ..FindingTypeAggregationResponse::default()
    })
}

fn package(row: &AggregateRow) -> AggregationResponse {
    AggregationResponse::PackageAggregation(PackageAggregationResponse {
        package_name: row.key.clone(),
        account_id: Some(account_of(row)),
        severity_counts: severities(row),
    })
}

fn title(row: &AggregateRow) -> AggregationResponse {
    AggregationResponse::TitleAggregation(TitleAggregationResponse {
        title: row.key.clone(),
        vulnerability_id: Some(row.vulnerability.clone()),
        account_id: Some(account_of(row)),
        severity_counts: severities(row),
    })
}

fn repository(row: &AggregateRow) -> AggregationResponse {
    AggregationResponse::RepositoryAggregation(RepositoryAggregationResponse {
        repository: row.key.clone(),
        account_id: Some(account_of(row)),
        cloud_provider: None,
        cloud_partition: None,
        cloud_region: None,
        cloud_org_id: None,
        cloud_account_id: None,
        severity_counts: severities(row),
        affected_images: None,
    })
}

fn layer(row: &AggregateRow) -> AggregationResponse {
    AggregationResponse::ImageLayerAggregation(ImageLayerAggregationResponse {
        repository: image_of(row).map(|image| image.repository.clone()).unwrap_or_default(),
        resource_id: row.resource.resource.key.id.clone(),
        layer_hash: row.key.clone(),
        account_id: account_of(row),
        cloud_provider: None,
        cloud_account_id: None,
        cloud_org_id: None,
        cloud_region: None,
        cloud_partition: None,
        severity_counts: severities(row),
    })
}

fn container(row: &AggregateRow) -> AggregationResponse {
    let image = image_of(row);
    AggregationResponse::AwsEcrContainerAggregation(AwsEcrContainerAggregationResponse {
        resource_id: row.key.clone(),
        image_sha: image.map(|image| image.digest.clone()),
        repository: image.map(|image| image.repository.clone()),
        architecture: image.map(|image| image.architecture.clone()),
        image_tags: image.map(|image| image.tags.clone()),
        account_id: Some(account_of(row)),
        severity_counts: severities(row),
        last_in_use_at: None,
        in_use_count: None,
    })
}

fn instance(row: &AggregateRow) -> AggregationResponse {
    AggregationResponse::Ec2InstanceAggregation(Ec2InstanceAggregationResponse {
        instance_id: row.key.clone(),
        ami: None,
        operating_system: None,
        instance_tags: Some(row.resource.resource.tags.iter().cloned().collect()),
        account_id: Some(account_of(row)),
        severity_counts: severities(row),
        network_findings: None,
    })
}
