//! Code security: connected repositories, their scans and snippets of their findings, of which there are none.

use super::call::Call;
use super::failure::{Failure, not_found};
use lestrade_wire::inspector2::{
    AssociationResultStatusCode, BatchAssociateCodeSecurityScanConfigurationRequest, BatchAssociateCodeSecurityScanConfigurationResponse,
    BatchDisassociateCodeSecurityScanConfigurationRequest, BatchDisassociateCodeSecurityScanConfigurationResponse,
    BatchGetCodeSnippetRequest, BatchGetCodeSnippetResponse, CodeSecurityResource, CodeSnippetError, CodeSnippetErrorCode,
    DeleteCodeSecurityIntegrationRequest, DeleteCodeSecurityIntegrationResponse, DeleteCodeSecurityScanConfigurationRequest,
    DeleteCodeSecurityScanConfigurationResponse, FailedAssociationResult, GetCodeSecurityIntegrationRequest,
    GetCodeSecurityIntegrationResponse, GetCodeSecurityScanConfigurationRequest, GetCodeSecurityScanConfigurationResponse,
    GetCodeSecurityScanRequest, GetCodeSecurityScanResponse, ListCodeSecurityIntegrationsRequest, ListCodeSecurityIntegrationsResponse,
    ListCodeSecurityScanConfigurationAssociationsRequest, ListCodeSecurityScanConfigurationAssociationsResponse,
    ListCodeSecurityScanConfigurationsRequest, ListCodeSecurityScanConfigurationsResponse, UpdateCodeSecurityIntegrationRequest,
    UpdateCodeSecurityIntegrationResponse, UpdateCodeSecurityScanConfigurationRequest, UpdateCodeSecurityScanConfigurationResponse,
};

pub(super) fn batch_get_code_snippet(_: &Call<'_>, input: BatchGetCodeSnippetRequest) -> Result<BatchGetCodeSnippetResponse, Failure> {
    let error = |finding_arn| CodeSnippetError {
        finding_arn,
        error_code: CodeSnippetErrorCode::CodeSnippetNotFound,
        error_message: "There is no code snippet for this finding.".to_owned(),
    };
    Ok(BatchGetCodeSnippetResponse {
        code_snippet_results: Some(Vec::new()),
        errors: Some(input.finding_arns.into_iter().map(error).collect()),
    })
}

pub(super) fn batch_associate(
    _: &Call<'_>,
    input: BatchAssociateCodeSecurityScanConfigurationRequest,
) -> Result<BatchAssociateCodeSecurityScanConfigurationResponse, Failure> {
    let asked = input.associate_configuration_requests.into_iter();
    Ok(BatchAssociateCodeSecurityScanConfigurationResponse {
        failed_associations: Some(asked.map(|one| unknown(one.scan_configuration_arn, one.resource)).collect()),
        successful_associations: Some(Vec::new()),
    })
}

pub(super) fn batch_disassociate(
    _: &Call<'_>,
    input: BatchDisassociateCodeSecurityScanConfigurationRequest,
) -> Result<BatchDisassociateCodeSecurityScanConfigurationResponse, Failure> {
    let asked = input.disassociate_configuration_requests.into_iter();
    Ok(BatchDisassociateCodeSecurityScanConfigurationResponse {
        failed_associations: Some(asked.map(|one| unknown(one.scan_configuration_arn, one.resource)).collect()),
        successful_associations: Some(Vec::new()),
    })
}

fn unknown(arn: String, resource: CodeSecurityResource) -> FailedAssociationResult {
    FailedAssociationResult {
        scan_configuration_arn: Some(arn),
        resource: Some(resource),
        status_code: Some(AssociationResultStatusCode::ScanConfigurationNotFound),
        status_message: Some("There is no such scan configuration.".to_owned()),
    }
}

pub(super) fn list_integrations(
    _: &Call<'_>,
    _: ListCodeSecurityIntegrationsRequest,
) -> Result<ListCodeSecurityIntegrationsResponse, Failure> {
    Ok(ListCodeSecurityIntegrationsResponse { integrations: Some(Vec::new()), next_token: None })
}

pub(super) fn list_scan_configurations(
    _: &Call<'_>,
    _: ListCodeSecurityScanConfigurationsRequest,
) -> Result<ListCodeSecurityScanConfigurationsResponse, Failure> {
    Ok(ListCodeSecurityScanConfigurationsResponse { configurations: Some(Vec::new()), next_token: None })
}

pub(super) fn list_associations(
    _: &Call<'_>,
    input: ListCodeSecurityScanConfigurationAssociationsRequest,
) -> Result<ListCodeSecurityScanConfigurationAssociationsResponse, Failure> {
    Err(no_configuration(&input.scan_configuration_arn))
}

pub(super) fn get_scan_configuration(
    _: &Call<'_>,
    input: GetCodeSecurityScanConfigurationRequest,
) -> Result<GetCodeSecurityScanConfigurationResponse, Failure> {
    Err(no_configuration(&input.scan_configuration_arn))
}

pub(super) fn update_scan_configuration(
    _: &Call<'_>,
    input: UpdateCodeSecurityScanConfigurationRequest,
) -> Result<UpdateCodeSecurityScanConfigurationResponse, Failure> {
    Err(no_configuration(&input.scan_configuration_arn))
}

pub(super) fn delete_scan_configuration(
    _: &Call<'_>,
    input: DeleteCodeSecurityScanConfigurationRequest,
) -> Result<DeleteCodeSecurityScanConfigurationResponse, Failure> {
    Err(no_configuration(&input.scan_configuration_arn))
}

pub(super) fn get_integration(
    _: &Call<'_>,
    input: GetCodeSecurityIntegrationRequest,
) -> Result<GetCodeSecurityIntegrationResponse, Failure> {
    Err(no_integration(&input.integration_arn))
}

pub(super) fn update_integration(
    _: &Call<'_>,
    input: UpdateCodeSecurityIntegrationRequest,
) -> Result<UpdateCodeSecurityIntegrationResponse, Failure> {
    Err(no_integration(&input.integration_arn))
}

pub(super) fn delete_integration(
    _: &Call<'_>,
    input: DeleteCodeSecurityIntegrationRequest,
) -> Result<DeleteCodeSecurityIntegrationResponse, Failure> {
    Err(no_integration(&input.integration_arn))
}

pub(super) fn get_scan(_: &Call<'_>, input: GetCodeSecurityScanRequest) -> Result<GetCodeSecurityScanResponse, Failure> {
    Err(not_found(format!("There is no code security scan {}.", input.scan_id)))
}

fn no_configuration(arn: &str) -> Failure {
    not_found(format!("There is no code security scan configuration {arn}."))
}

fn no_integration(arn: &str) -> Failure {
    not_found(format!("There is no code security integration {arn}."))
}
