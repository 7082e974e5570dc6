//! From a verified request to the function of its operation, and back to a response.

use super::call::Call;
use super::failure::Failure;
use super::keys::Role;
use super::{account, aggregations, configuration, coverage, filters, findings, organization, tags, usage, vulnerabilities};
use lestrade_wire::inspector2::{AccessDeniedException, Api, Error, InternalServerException};
use lestrade_wire::rest_json::{self, Route};
use lestrade_wire::{HttpRequest, HttpResponse, Request, Service};

/// Answers a request whose sender is known.
pub(super) fn dispatch(call: &Call<'_>, request: &HttpRequest) -> HttpResponse {
    let Some(route) = rest_json::route::<Api>(&request.method, &request.path) else {
        return rest_json::refusal(404, "UnknownOperationException", "There is no such operation.");
    };
    if writes(route.operation) && call.principal.role != Role::Administrator {
        return failed(&denied(call, route.operation).into());
    }
    let run = Run { call, request, route: &route };
    match route.operation {
        Api::BatchGetAccountStatus => run.with(account::batch_get_account_status),
        Api::BatchGetFindingDetails => run.with(findings::batch_get_finding_details),
        Api::BatchGetFreeTrialInfo => run.with(usage::batch_get_free_trial_info),
        Api::CreateFilter => run.with(filters::create_filter),
        Api::DeleteFilter => run.with(filters::delete_filter),
        Api::DescribeOrganizationConfiguration => run.with(organization::describe_organization_configuration),
        Api::Disable => run.with(account::disable),
        Api::Enable => run.with(account::enable),
        Api::GetConfiguration => run.with(configuration::get_configuration),
        Api::GetDelegatedAdminAccount => run.with(organization::get_delegated_admin_account),
        Api::ListAccountPermissions => run.with(account::list_account_permissions),
        Api::ListCoverage => run.with(coverage::list_coverage),
        Api::ListCoverageStatistics => run.with(coverage::list_coverage_statistics),
        Api::ListDelegatedAdminAccounts => run.with(organization::list_delegated_admin_accounts),
        Api::ListFilters => run.with(filters::list_filters),
        Api::ListFindingAggregations => run.with(aggregations::list_finding_aggregations),
        Api::ListFindings => run.with(findings::list_findings),
        Api::ListMembers => run.with(organization::list_members),
        Api::ListTagsForResource => run.with(tags::list_tags_for_resource),
        Api::ListUsageTotals => run.with(usage::list_usage_totals),
        Api::SearchVulnerabilities => run.with(vulnerabilities::search_vulnerabilities),
        Api::TagResource => run.with(tags::tag_resource),
        Api::UntagResource => run.with(tags::untag_resource),
        Api::UpdateConfiguration => run.with(configuration::update_configuration),
        Api::UpdateFilter => run.with(filters::update_filter),
    }
}

/// Whether an operation changes anything.
pub(super) const fn writes(operation: Api) -> bool {
    matches!(
        operation,
        Api::CreateFilter
            | Api::DeleteFilter
            | Api::Disable
            | Api::Enable
            | Api::TagResource
            | Api::UntagResource
            | Api::UpdateConfiguration
            | Api::UpdateFilter
    )
}

struct Run<'a> {
    call: &'a Call<'a>,
    request: &'a HttpRequest,
    route: &'a Route<Api>,
}

impl Run<'_> {
    fn with<R: Request>(&self, operation: fn(&Call<'_>, R) -> Result<R::Response, Failure>) -> HttpResponse {
        let answer = rest_json::decode::<R>(self.request, &self.route.labels).map_err(Failure::from);
        let answer = answer.and_then(|input| operation(self.call, input));
        match answer.and_then(|output| Ok(rest_json::success::<R>(&output)?)) {
            Ok(response) => response,
            Err(Failure::Service(error)) => failed(&error),
            Err(fault) => {
                tracing::error!(operation = self.route.operation.name(), error = %fault, "an operation failed");
                failed(&InternalServerException { message: "Internal server error.".to_owned(), retry_after_seconds: Some(1) }.into())
            }
        }
    }
}

fn failed(error: &Error) -> HttpResponse {
    rest_json::failure(error).unwrap_or_else(|_| rest_json::refusal(500, "InternalServerException", "Internal server error."))
}

fn denied(call: &Call<'_>, operation: Api) -> AccessDeniedException {
    let (who, what) = (call.principal.arn(), operation.name());
    AccessDeniedException { message: format!("User: {who} is not authorized to perform: inspector2:{what}") }
}
