//! What only a cloud provider has: connectors, machine images on demand, customer keys. There is none of it here.

use super::call::Call;
use super::failure::{Failure, not_found};
use lestrade_wire::inspector2::{
    DeleteConnectorRequest, DeleteConnectorResponse, GetEncryptionKeyRequest, GetEncryptionKeyResponse,
    ListConnectorScanConfigurationsRequest, ListConnectorScanConfigurationsResponse, ListConnectorsRequest, ListConnectorsResponse,
    ListOnDemandScansRequest, ListOnDemandScansResponse, ResetEncryptionKeyRequest, ResetEncryptionKeyResponse, UpdateConnectorRequest,
    UpdateConnectorResponse, UpdateConnectorScanConfigurationRequest, UpdateConnectorScanConfigurationResponse,
};

pub(super) fn list_connectors(_: &Call<'_>, _: ListConnectorsRequest) -> Result<ListConnectorsResponse, Failure> {
    Ok(ListConnectorsResponse { items: Vec::new(), next_token: None })
}

pub(super) fn list_connector_scan_configurations(
    _: &Call<'_>,
    _: ListConnectorScanConfigurationsRequest,
) -> Result<ListConnectorScanConfigurationsResponse, Failure> {
    Ok(ListConnectorScanConfigurationsResponse { scan_configurations: Vec::new(), next_token: None })
}

pub(super) fn update_connector(_: &Call<'_>, input: UpdateConnectorRequest) -> Result<UpdateConnectorResponse, Failure> {
    Err(no_connector(&input.connector_arn))
}

pub(super) fn delete_connector(_: &Call<'_>, input: DeleteConnectorRequest) -> Result<DeleteConnectorResponse, Failure> {
    Err(no_connector(&input.connector_arn))
}

pub(super) fn update_connector_scan_configuration(
    _: &Call<'_>,
    input: UpdateConnectorScanConfigurationRequest,
) -> Result<UpdateConnectorScanConfigurationResponse, Failure> {
    Err(no_connector(&input.aws_config_connector_arn))
}

fn no_connector(arn: &str) -> Failure {
    not_found(format!("There is no connector {arn}."))
}

pub(super) fn list_on_demand_scans(_: &Call<'_>, _: ListOnDemandScansRequest) -> Result<ListOnDemandScansResponse, Failure> {
    Ok(ListOnDemandScansResponse { items: Vec::new(), next_token: None })
}

/// The answer for data that no customer key encrypts.
pub(super) fn get_encryption_key(_: &Call<'_>, _: GetEncryptionKeyRequest) -> Result<GetEncryptionKeyResponse, Failure> {
    Err(not_found("There is no customer managed key for this scan type and resource type."))
}

/// No customer key is set, so none has to be taken back.
pub(super) fn reset_encryption_key(_: &Call<'_>, _: ResetEncryptionKeyRequest) -> Result<ResetEncryptionKeyResponse, Failure> {
    Ok(ResetEncryptionKeyResponse {})
}
