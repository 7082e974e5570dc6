//! Findings, counted in groups.

mod answers;
mod asked;

use super::backend::AggregateRow;
use super::call::Call;
use super::failure::{Failure, invalid_field};
use answers::{account, container, finding_type, function, function_layer, instance, layer, machine_image, package, repository, title};
use asked::Asked;
use lestrade_findings::{Criteria, GroupBy, Term, TextField, TextTest};
use lestrade_wire::inspector2::{
    AggregationRequest, AggregationResponse, AggregationType, ListFindingAggregationsRequest, ListFindingAggregationsResponse,
};

const PAGE: usize = 100;

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
            window.offer((asked.rank(&row.counts, row.resources), row.key.clone()), || answer(&row));
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
        AggregationType::ImageLayer => {
            only("AWS_ECR_CONTAINER_IMAGE");
            (GroupBy::Layer, layer)
        }
        AggregationType::Ami => (GroupBy::MachineImage, machine_image),
        AggregationType::AwsLambdaFunction => {
            only("AWS_LAMBDA_FUNCTION");
            (GroupBy::Resource, function)
        }
        AggregationType::LambdaLayer => {
            only("AWS_LAMBDA_FUNCTION");
            (GroupBy::Layer, function_layer)
        }
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
