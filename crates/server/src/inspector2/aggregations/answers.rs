//! Groups in the shapes of the wire.

use crate::inspector2::backend::AggregateRow;
use lestrade_model::{FunctionDetails, ImageDetails, ImageUse, InstanceDetails, ResourceDetails, Severity};
use lestrade_report::inspector;
use lestrade_wire::EpochSeconds;
use lestrade_wire::inspector2::{
    AccountAggregationResponse, AggregationResponse, AmiAggregationResponse, AwsEcrContainerAggregationResponse,
    Ec2InstanceAggregationResponse, FindingTypeAggregationResponse, ImageLayerAggregationResponse, LambdaFunctionAggregationResponse,
    LambdaLayerAggregationResponse, PackageAggregationResponse, RepositoryAggregationResponse, SeverityCounts, TitleAggregationResponse,
};

/// Counts are signed on the wire.
pub(super) fn signed(count: u64) -> i64 {
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

fn instance_of(row: &AggregateRow) -> Option<&InstanceDetails> {
    match &row.resource.resource.details {
        ResourceDetails::Instance(instance) => Some(instance),
        _ => None,
    }
}

fn function_of(row: &AggregateRow) -> Option<&FunctionDetails> {
    match &row.resource.resource.details {
        ResourceDetails::Function(function) => Some(function),
        _ => None,
    }
}

pub(super) fn account(row: &AggregateRow) -> AggregationResponse {
    AggregationResponse::AccountAggregation(AccountAggregationResponse {
        account_id: Some(row.key.clone()),
        severity_counts: severities(row),
        exploit_available_count: Some(signed(row.counts.exploit_available)),
        fix_available_count: Some(signed(row.counts.fix_available)),
    })
}

pub(super) fn finding_type(row: &AggregateRow) -> AggregationResponse {
    AggregationResponse::FindingTypeAggregation(FindingTypeAggregationResponse {
        account_id: Some(row.key.clone()),
        severity_counts: severities(row),
        exploit_available_count: Some(signed(row.counts.exploit_available)),
        fix_available_count: Some(signed(row.counts.fix_available)),
        ..FindingTypeAggregationResponse::default()
    })
}

pub(super) fn package(row: &AggregateRow) -> AggregationResponse {
    AggregationResponse::PackageAggregation(PackageAggregationResponse {
        package_name: row.key.clone(),
        account_id: Some(account_of(row)),
        severity_counts: severities(row),
    })
}

pub(super) fn title(row: &AggregateRow) -> AggregationResponse {
    AggregationResponse::TitleAggregation(TitleAggregationResponse {
        title: row.key.clone(),
        vulnerability_id: row.vulnerability.clone(),
        account_id: Some(account_of(row)),
        severity_counts: severities(row),
    })
}

pub(super) fn repository(row: &AggregateRow) -> AggregationResponse {
    AggregationResponse::RepositoryAggregation(RepositoryAggregationResponse {
        repository: row.key.clone(),
        account_id: Some(account_of(row)),
        cloud_provider: None,
        cloud_partition: None,
        cloud_region: None,
        cloud_org_id: None,
        cloud_account_id: None,
        severity_counts: severities(row),
        affected_images: Some(signed(row.resources)),
    })
}

pub(super) fn layer(row: &AggregateRow) -> AggregationResponse {
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

pub(super) fn container(row: &AggregateRow) -> AggregationResponse {
    let image = image_of(row);
    AggregationResponse::AwsEcrContainerAggregation(AwsEcrContainerAggregationResponse {
        resource_id: row.key.clone(),
        image_sha: image.map(|image| image.digest.clone()),
        repository: image.map(|image| image.repository.clone()),
        architecture: image.map(|image| image.architecture.clone()),
        image_tags: image.map(|image| image.tags.clone()),
        account_id: Some(account_of(row)),
        severity_counts: severities(row),
        last_in_use_at: ImageUse::last_of(&row.uses).map(EpochSeconds::from),
        in_use_count: ImageUse::count_of(&row.uses).map(signed),
    })
}

pub(super) fn instance(row: &AggregateRow) -> AggregationResponse {
    AggregationResponse::Ec2InstanceAggregation(Ec2InstanceAggregationResponse {
        instance_id: row.key.clone(),
        ami: instance_of(row).map(|instance| instance.image.clone()).filter(|image| !image.is_empty()),
        operating_system: None,
        instance_tags: Some(row.resource.resource.tags.iter().cloned().collect()),
        account_id: Some(account_of(row)),
        severity_counts: severities(row),
        network_findings: Some(signed(row.counts.network)),
    })
}

pub(super) fn machine_image(row: &AggregateRow) -> AggregationResponse {
    AggregationResponse::AmiAggregation(AmiAggregationResponse {
        ami: row.key.clone(),
        account_id: Some(account_of(row)),
        cloud_provider: None,
        cloud_partition: None,
        cloud_region: None,
        cloud_org_id: None,
        cloud_account_id: None,
        severity_counts: severities(row),
        affected_instances: Some(signed(row.resources)),
        scan_source: None,
    })
}

pub(super) fn function(row: &AggregateRow) -> AggregationResponse {
    let function = function_of(row);
    AggregationResponse::LambdaFunctionAggregation(LambdaFunctionAggregationResponse {
        resource_id: row.key.clone(),
        function_name: function.map(|function| function.name.clone()),
        runtime: function.map(|function| inspector::runtime(&function.runtime)).filter(|runtime| !runtime.is_empty()),
        lambda_tags: Some(row.resource.resource.tags.iter().cloned().collect()),
        account_id: Some(account_of(row)),
        severity_counts: severities(row),
        last_modified_at: function.map(|function| EpochSeconds::from(function.modified_at)),
    })
}

pub(super) fn function_layer(row: &AggregateRow) -> AggregationResponse {
    AggregationResponse::LambdaLayerAggregation(LambdaLayerAggregationResponse {
        function_name: function_of(row).map(|function| function.name.clone()).unwrap_or_default(),
        resource_id: row.resource.resource.key.id.clone(),
        layer_arn: row.key.clone(),
        account_id: account_of(row),
        severity_counts: severities(row),
    })
}
