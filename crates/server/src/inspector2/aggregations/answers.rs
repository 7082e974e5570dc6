//! Groups in the shapes of the wire.

use crate::inspector2::backend::AggregateRow;
use lestrade_model::{ImageDetails, ResourceDetails, Severity};
use lestrade_wire::inspector2::{
    AccountAggregationResponse, AggregationResponse, AwsEcrContainerAggregationResponse, Ec2InstanceAggregationResponse,
    FindingTypeAggregationResponse, ImageLayerAggregationResponse, PackageAggregationResponse, RepositoryAggregationResponse,
    SeverityCounts, TitleAggregationResponse,
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
        vulnerability_id: Some(row.vulnerability.clone()),
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
        affected_images: None,
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
        last_in_use_at: None,
        in_use_count: None,
    })
}

pub(super) fn instance(row: &AggregateRow) -> AggregationResponse {
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
