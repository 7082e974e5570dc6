//! CIS scans, of which there are none.

use super::call::Call;
use super::failure::{Failure, not_found};
use lestrade_wire::inspector2::{
    DeleteCisScanConfigurationRequest, DeleteCisScanConfigurationResponse, GetCisScanReportRequest, GetCisScanReportResponse,
    GetCisScanResultDetailsRequest, GetCisScanResultDetailsResponse, ListCisScanConfigurationsRequest, ListCisScanConfigurationsResponse,
    ListCisScanResultsAggregatedByChecksRequest, ListCisScanResultsAggregatedByChecksResponse,
    ListCisScanResultsAggregatedByTargetResourceRequest, ListCisScanResultsAggregatedByTargetResourceResponse, ListCisScansRequest,
    ListCisScansResponse, UpdateCisScanConfigurationRequest, UpdateCisScanConfigurationResponse,
};

pub(super) fn list_scan_configurations(
    _: &Call<'_>,
    _: ListCisScanConfigurationsRequest,
) -> Result<ListCisScanConfigurationsResponse, Failure> {
    Ok(ListCisScanConfigurationsResponse { scan_configurations: Some(Vec::new()), next_token: None })
}

pub(super) fn list_scans(_: &Call<'_>, _: ListCisScansRequest) -> Result<ListCisScansResponse, Failure> {
    Ok(ListCisScansResponse { scans: Some(Vec::new()), next_token: None })
}

// A list of results may be absent but, by the model, not empty.

pub(super) fn get_scan_result_details(_: &Call<'_>, _: GetCisScanResultDetailsRequest) -> Result<GetCisScanResultDetailsResponse, Failure> {
    Ok(GetCisScanResultDetailsResponse::default())
}

pub(super) fn list_results_by_checks(
    _: &Call<'_>,
    _: ListCisScanResultsAggregatedByChecksRequest,
) -> Result<ListCisScanResultsAggregatedByChecksResponse, Failure> {
    Ok(ListCisScanResultsAggregatedByChecksResponse::default())
}

pub(super) fn list_results_by_target_resource(
    _: &Call<'_>,
    _: ListCisScanResultsAggregatedByTargetResourceRequest,
) -> Result<ListCisScanResultsAggregatedByTargetResourceResponse, Failure> {
    Ok(ListCisScanResultsAggregatedByTargetResourceResponse::default())
}

pub(super) fn get_scan_report(_: &Call<'_>, input: GetCisScanReportRequest) -> Result<GetCisScanReportResponse, Failure> {
    Err(not_found(format!("There is no CIS scan {}.", input.scan_arn)))
}

pub(super) fn delete_scan_configuration(
    _: &Call<'_>,
    input: DeleteCisScanConfigurationRequest,
) -> Result<DeleteCisScanConfigurationResponse, Failure> {
    Err(no_configuration(&input.scan_configuration_arn))
}

pub(super) fn update_scan_configuration(
    _: &Call<'_>,
    input: UpdateCisScanConfigurationRequest,
) -> Result<UpdateCisScanConfigurationResponse, Failure> {
    Err(no_configuration(&input.scan_configuration_arn))
}

fn no_configuration(arn: &str) -> Failure {
    not_found(format!("There is no CIS scan configuration {arn}."))
}
