//! From a verified request to the function of its operation, and back to a response.
//!
//! [`visit`] is the one list of operations: what runs requests, what tells who may send them and what writes the reference
//! page are visitors of it, so they cannot disagree.

use super::call::Call;
use super::failure::{Failure, unsupported};
use super::keys::Role;
use super::{
    account, aggregations, cis, cloud, clusters, code, configuration, coverage, deep_inspection, exports, filters, findings, members,
    organization, tags, usage, vulnerabilities,
};
use lestrade_wire::inspector2::{self as wire, AccessDeniedException, Api, Error, InternalServerException};
use lestrade_wire::rest_json::{self, Route};
use lestrade_wire::{HttpRequest, HttpResponse, Request, Service};

type Operation<R> = fn(&Call<'_>, R) -> Result<<R as Request>::Response, Failure>;

/// Who wants something of an operation, by how far it goes here.
pub(super) trait Visitor {
    /// What he takes away.
    type Out;

    /// It does what it does at AWS.
    fn real<R: Request<Service = Api>>(self, operation: Operation<R>) -> Self::Out;

    /// What is set is kept and told again; nothing here acts on it, and this is why.
    fn kept<R: Request<Service = Api>>(self, operation: Operation<R>, why: &'static str) -> Self::Out;

    /// It answers truly that there is nothing of the kind, and this is why.
    fn empty<R: Request<Service = Api>>(self, operation: Operation<R>, why: &'static str) -> Self::Out;

    /// A request that is valid is refused, and this is why.
    fn refused<R: Request<Service = Api>>(self, why: &'static str) -> Self::Out;
}

const NO_CIS: &str = "CIS benchmarks are not run here.";
const NO_CODE: &str = "Code repositories are not connected here; `lestrade scan repo` scans a working copy.";
const NO_SNIPPETS: &str = "There are no code findings here, so no snippets.";
const NO_CONNECTORS: &str = "Connectors to other clouds are not supported here.";
const NO_ON_DEMAND: &str = "Machine images are not scanned on demand here; `lestrade scan rootfs` scans a mounted disk.";
const NO_KMS: &str = "Findings are not encrypted with customer keys here; the state folder is encrypted by whoever owns its disk.";
const BY_KEYS: &str = "Accounts belong together as the keys say that were issued for them.";
const SETTING: &str = "What is scanned is configured where Lestrade runs; this setting is kept for clients that manage it.";

/// Brings a visitor to an operation.
pub(super) fn visit<V: Visitor>(operation: Api, visitor: V) -> V::Out {
    match operation {
        Api::AssociateMember => visitor.real(members::associate_member),
        Api::BatchAssociateCodeSecurityScanConfiguration => visitor.empty(code::batch_associate, NO_CODE),
        Api::BatchDisassociateCodeSecurityScanConfiguration => visitor.empty(code::batch_disassociate, NO_CODE),
        Api::BatchGetAccountStatus => visitor.real(account::batch_get_account_status),
        Api::BatchGetCodeSnippet => visitor.empty(code::batch_get_code_snippet, NO_SNIPPETS),
        Api::BatchGetFindingDetails => visitor.real(findings::batch_get_finding_details),
        Api::BatchGetFreeTrialInfo => visitor.real(usage::batch_get_free_trial_info),
        Api::BatchGetMemberEc2DeepInspectionStatus => visitor.kept(deep_inspection::batch_get_member_status, SETTING),
        Api::BatchUpdateMemberEc2DeepInspectionStatus => visitor.kept(deep_inspection::batch_update_member_status, SETTING),
        Api::CancelFindingsReport => visitor.real(exports::cancel_findings_report),
        Api::CancelSbomExport => visitor.real(exports::cancel_sbom_export),
        Api::CreateCisScanConfiguration => visitor.refused::<wire::CreateCisScanConfigurationRequest>(NO_CIS),
        Api::CreateCodeSecurityIntegration => visitor.refused::<wire::CreateCodeSecurityIntegrationRequest>(NO_CODE),
        Api::CreateCodeSecurityScanConfiguration => visitor.refused::<wire::CreateCodeSecurityScanConfigurationRequest>(NO_CODE),
        Api::CreateConnector => visitor.refused::<wire::CreateConnectorRequest>(NO_CONNECTORS),
        Api::CreateFilter => visitor.real(filters::create_filter),
        Api::CreateFindingsReport => visitor.real(exports::create_findings_report),
        Api::CreateSbomExport => visitor.real(exports::create_sbom_export),
        Api::DeleteCisScanConfiguration => visitor.empty(cis::delete_scan_configuration, NO_CIS),
        Api::DeleteCodeSecurityIntegration => visitor.empty(code::delete_integration, NO_CODE),
        Api::DeleteCodeSecurityScanConfiguration => visitor.empty(code::delete_scan_configuration, NO_CODE),
        Api::DeleteConnector => visitor.empty(cloud::delete_connector, NO_CONNECTORS),
        Api::DeleteFilter => visitor.real(filters::delete_filter),
        Api::DescribeOrganizationConfiguration => visitor.real(organization::describe_organization_configuration),
        Api::Disable => visitor.kept(account::disable, SETTING),
        Api::DisableDelegatedAdminAccount => visitor.kept(organization::disable_delegated_admin_account, BY_KEYS),
        Api::DisassociateMember => visitor.refused::<wire::DisassociateMemberRequest>(BY_KEYS),
        Api::Enable => visitor.kept(account::enable, SETTING),
        Api::EnableDelegatedAdminAccount => visitor.kept(organization::enable_delegated_admin_account, BY_KEYS),
        Api::GetCisScanReport => visitor.empty(cis::get_scan_report, NO_CIS),
        Api::GetCisScanResultDetails => visitor.empty(cis::get_scan_result_details, NO_CIS),
        Api::GetClustersForImage => visitor.real(clusters::get_clusters_for_image),
        Api::GetCodeSecurityIntegration => visitor.empty(code::get_integration, NO_CODE),
        Api::GetCodeSecurityScan => visitor.empty(code::get_scan, NO_CODE),
        Api::GetCodeSecurityScanConfiguration => visitor.empty(code::get_scan_configuration, NO_CODE),
        Api::GetConfiguration => visitor.real(configuration::get_configuration),
        Api::GetDelegatedAdminAccount => visitor.real(organization::get_delegated_admin_account),
        Api::GetEc2DeepInspectionConfiguration => visitor.real(deep_inspection::get_configuration),
        Api::GetEncryptionKey => visitor.empty(cloud::get_encryption_key, NO_KMS),
        Api::GetFindingsReportStatus => visitor.real(exports::get_findings_report_status),
        Api::GetMember => visitor.real(members::get_member),
        Api::GetOnDemandScanStatus => visitor.refused::<wire::GetOnDemandScanStatusRequest>(NO_ON_DEMAND),
        Api::GetSbomExport => visitor.real(exports::get_sbom_export),
        Api::ListAccountPermissions => visitor.real(account::list_account_permissions),
        Api::ListCisScanConfigurations => visitor.empty(cis::list_scan_configurations, NO_CIS),
        Api::ListCisScanResultsAggregatedByChecks => visitor.empty(cis::list_results_by_checks, NO_CIS),
        Api::ListCisScanResultsAggregatedByTargetResource => visitor.empty(cis::list_results_by_target_resource, NO_CIS),
        Api::ListCisScans => visitor.empty(cis::list_scans, NO_CIS),
        Api::ListCodeSecurityIntegrations => visitor.empty(code::list_integrations, NO_CODE),
        Api::ListCodeSecurityScanConfigurationAssociations => visitor.empty(code::list_associations, NO_CODE),
        Api::ListCodeSecurityScanConfigurations => visitor.empty(code::list_scan_configurations, NO_CODE),
        Api::ListConnectorScanConfigurations => visitor.empty(cloud::list_connector_scan_configurations, NO_CONNECTORS),
        Api::ListConnectors => visitor.empty(cloud::list_connectors, NO_CONNECTORS),
        Api::ListCoverage => visitor.real(coverage::list_coverage),
        Api::ListCoverageStatistics => visitor.real(coverage::list_coverage_statistics),
        Api::ListDelegatedAdminAccounts => visitor.real(organization::list_delegated_admin_accounts),
        Api::ListFilters => visitor.real(filters::list_filters),
        Api::ListFindingAggregations => visitor.real(aggregations::list_finding_aggregations),
        Api::ListFindings => visitor.real(findings::list_findings),
        Api::ListMembers => visitor.real(members::list_members),
        Api::ListOnDemandScans => visitor.empty(cloud::list_on_demand_scans, NO_ON_DEMAND),
        Api::ListTagsForResource => visitor.real(tags::list_tags_for_resource),
        Api::ListUsageTotals => visitor.real(usage::list_usage_totals),
        Api::ResetEncryptionKey => visitor.empty(cloud::reset_encryption_key, NO_KMS),
        Api::SearchVulnerabilities => visitor.real(vulnerabilities::search_vulnerabilities),
        Api::SendCisSessionHealth => visitor.refused::<wire::SendCisSessionHealthRequest>(NO_CIS),
        Api::SendCisSessionTelemetry => visitor.refused::<wire::SendCisSessionTelemetryRequest>(NO_CIS),
        Api::StartCisSession => visitor.refused::<wire::StartCisSessionRequest>(NO_CIS),
        Api::StartCodeSecurityScan => visitor.refused::<wire::StartCodeSecurityScanRequest>(NO_CODE),
        Api::StartOnDemandScan => visitor.refused::<wire::StartOnDemandScanRequest>(NO_ON_DEMAND),
        Api::StopCisSession => visitor.refused::<wire::StopCisSessionRequest>(NO_CIS),
        Api::TagResource => visitor.real(tags::tag_resource),
        Api::UntagResource => visitor.real(tags::untag_resource),
        Api::UpdateCisScanConfiguration => visitor.empty(cis::update_scan_configuration, NO_CIS),
        Api::UpdateCodeSecurityIntegration => visitor.empty(code::update_integration, NO_CODE),
        Api::UpdateCodeSecurityScanConfiguration => visitor.empty(code::update_scan_configuration, NO_CODE),
        Api::UpdateConfiguration => visitor.real(configuration::update_configuration),
        Api::UpdateConnector => visitor.empty(cloud::update_connector, NO_CONNECTORS),
        Api::UpdateConnectorScanConfiguration => visitor.empty(cloud::update_connector_scan_configuration, NO_CONNECTORS),
        Api::UpdateEc2DeepInspectionConfiguration => visitor.kept(deep_inspection::update_configuration, SETTING),
        Api::UpdateEncryptionKey => visitor.refused::<wire::UpdateEncryptionKeyRequest>(NO_KMS),
        Api::UpdateFilter => visitor.real(filters::update_filter),
        Api::UpdateOrgEc2DeepInspectionConfiguration => visitor.kept(deep_inspection::update_organization, SETTING),
        Api::UpdateOrganizationConfiguration => visitor.real(organization::update_organization_configuration),
    }
}

/// Answers a request whose sender is known.
pub(super) fn dispatch(call: &Call<'_>, request: &HttpRequest) -> HttpResponse {
    let Some(route) = rest_json::route::<Api>(&request.method, &request.path) else {
        return rest_json::refusal(404, "UnknownOperationException", "There is no such operation.");
    };
    if call.principal.role < needs(route.operation) {
        return failed(&denied(call, route.operation).into());
    }
    visit(route.operation, Run { call, request, route: &route })
}

/// Whether an operation asks to change anything, granted or not: AWS names those that only read by these verbs.
pub(super) fn writes(operation: Api) -> bool {
    let reads = ["Get", "List", "Describe", "Search", "BatchGet"];
    !reads.iter().any(|verb| operation.name().starts_with(verb))
}

/// The least role that may ask for an operation.
pub(super) fn needs(operation: Api) -> Role {
    match operation {
        reading if !writes(reading) => Role::Viewer,
        Api::CancelFindingsReport
        | Api::CancelSbomExport
        | Api::CreateFilter
        | Api::CreateFindingsReport
        | Api::CreateSbomExport
        | Api::DeleteFilter
        | Api::TagResource
        | Api::UntagResource
        | Api::UpdateFilter => Role::Triager,
        Api::AssociateMember
        | Api::BatchUpdateMemberEc2DeepInspectionStatus
        | Api::DisableDelegatedAdminAccount
        | Api::DisassociateMember
        | Api::EnableDelegatedAdminAccount
        | Api::UpdateOrgEc2DeepInspectionConfiguration
        | Api::UpdateOrganizationConfiguration => Role::Administrator,
        _ => Role::Operator,
    }
}

/// Runs a request.
struct Run<'a> {
    call: &'a Call<'a>,
    request: &'a HttpRequest,
    route: &'a Route<Api>,
}

impl Visitor for Run<'_> {
    type Out = HttpResponse;

    fn real<R: Request<Service = Api>>(self, operation: Operation<R>) -> HttpResponse {
        self.run(operation)
    }

    fn kept<R: Request<Service = Api>>(self, operation: Operation<R>, _: &'static str) -> HttpResponse {
        self.real(operation)
    }

    fn empty<R: Request<Service = Api>>(self, operation: Operation<R>, _: &'static str) -> HttpResponse {
        self.real(operation)
    }

    fn refused<R: Request<Service = Api>>(self, why: &'static str) -> HttpResponse {
        self.run::<R>(|_, _| Err(unsupported(why)))
    }
}

impl Run<'_> {
    fn run<R: Request>(&self, operation: impl FnOnce(&Call<'_>, R) -> Result<R::Response, Failure>) -> HttpResponse {
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
