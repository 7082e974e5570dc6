//! Coverage: what is looked at, and why something is not.

use super::call::Call;
use super::failure::Failure;
use lestrade_findings::{Activity, ResourceEntry, resource_type};
use lestrade_model::{Coverage, ImageDetails, ImageUse, Resource, ResourceDetails, ResourceKind, ScanKind, Timestamp};
use lestrade_report::inspector;
use lestrade_wire::inspector2::{
    Counts, CoverageDateFilter, CoverageFilterCriteria, CoverageMapFilter, CoverageNumberFilter, CoverageResourceType,
    CoverageStringComparison, CoverageStringFilter, CoveredResource, Ec2Metadata, Ec2Platform, EcrContainerImageMetadata, GroupKey,
    LambdaFunctionMetadata, ListCoverageRequest, ListCoverageResponse, ListCoverageStatisticsRequest, ListCoverageStatisticsResponse,
    MachineImageMetadata, MachineImagePlatform, ResourceFilterCriteria, ResourceScanMetadata, Runtime, ScanStatus, ScanStatusCode,
    ScanStatusReason, ScanType,
};
use lestrade_wire::{EpochSeconds, Kind, Shaped};
use serde_json::Value;
use std::collections::BTreeMap;

const PAGE: usize = 200;

pub(super) fn list_coverage(call: &Call<'_>, input: ListCoverageRequest) -> Result<ListCoverageResponse, Failure> {
    let cut = call.cut(&("ListCoverage", &input.filter_criteria), input.next_token.as_ref(), input.max_results, PAGE)?;
    let filter = Filter::new(input.filter_criteria)?;
    let mut window = call.pages.window::<(String, String, String), CoveredResource>(&cut, call.now)?;
    call.backend.resources(&call.principal.scopes(), &mut |entry, activity| {
        for row in rows(entry, activity).filter(|row| filter.admits(row)) {
            let key = &entry.resource.key;
            window.offer((key.scope.account.clone(), key.id.clone(), scan_type(row.coverage.kind).to_owned()), || row.covered());
        }
    })?;
    let (rows, next_token) = call.pages.close(window, &cut, call.now)?;
    Ok(ListCoverageResponse { next_token, covered_resources: Some(rows) })
}

pub(super) fn list_coverage_statistics(
    call: &Call<'_>,
    input: ListCoverageStatisticsRequest,
) -> Result<ListCoverageStatisticsResponse, Failure> {
    let filter = Filter::new(input.filter_criteria)?;
    let mut total = 0;
    let mut groups: BTreeMap<String, i64> = BTreeMap::new();
    call.backend.resources(&call.principal.scopes(), &mut |entry, activity| {
        for row in rows(entry, activity).filter(|row| filter.admits(row)) {
            total += 1;
            if let Some(group) = input.group_by.as_ref().and_then(|by| row.group(by)) {
                *groups.entry(group).or_default() += 1;
            }
        }
    })?;
    // The model calls the group's value a "group key" and lists only the names of keys; the service answers values.
    let counts = groups.into_iter().map(|(group, count)| Counts { count: Some(count), group_key: Some(GroupKey::from(group.as_str())) });
    // By the model they are absent or some, and never an empty list.
    let counts_by_group = Some(counts.collect()).filter(|counts: &Vec<Counts>| !counts.is_empty());
    Ok(ListCoverageStatisticsResponse { counts_by_group, total_counts: total, next_token: None })
}

/// Which resources a filter of resources admits: those of which any look meets it. Its members are those of the filter of
/// coverage, under the same names; where an image runs is none of them.
pub(super) fn resource_filter(criteria: Option<&ResourceFilterCriteria>) -> Result<impl Fn(&ResourceEntry) -> bool + use<>, Failure> {
    let filter = Filter::new(Some(serde_json::from_value(serde_json::to_value(criteria.cloned().unwrap_or_default())?)?))?;
    Ok(move |entry: &ResourceEntry| rows(entry, Activity::default()).any(|row| filter.admits(&row)))
}

/// One kind of look at one resource.
struct Row<'a> {
    resource: &'a Resource,
    coverage: &'a Coverage,
    activity: Activity<'a>,
}

fn rows<'a>(entry: &'a ResourceEntry, activity: Activity<'a>) -> impl Iterator<Item = Row<'a>> {
    entry.coverage.iter().map(move |coverage| Row { resource: &entry.resource, coverage, activity })
}

const fn scan_type(kind: ScanKind) -> &'static str {
    match kind {
        ScanKind::Package => "PACKAGE",
        ScanKind::Network => "NETWORK",
        ScanKind::Code => "CODE",
    }
}

impl Row<'_> {
    fn image(&self) -> Option<&ImageDetails> {
        match &self.resource.details {
            ResourceDetails::Image(image) => Some(image),
            _ => None,
        }
    }

    fn in_use_count(&self) -> Option<i64> {
        ImageUse::count_of(self.activity.uses).map(|count| i64::try_from(count).unwrap_or(i64::MAX))
    }

    fn last_in_use(&self) -> Option<Timestamp> {
        ImageUse::last_of(self.activity.uses)
    }

    const fn status_code(&self) -> &'static str {
        if self.coverage.reason.is_active() { "ACTIVE" } else { "INACTIVE" }
    }

    fn covered(&self) -> CoveredResource {
        let key = &self.resource.key;
        let metadata = match self.image() {
            Some(image) => ResourceScanMetadata {
                ecr_image: Some(EcrContainerImageMetadata {
                    tags: Some(image.tags.clone()),
                    image_pulled_at: self.activity.pulled.map(EpochSeconds::from),
                    last_in_use_at: self.last_in_use().map(EpochSeconds::from),
                    in_use_count: self.in_use_count(),
                }),
                ..ResourceScanMetadata::default()
            },
            None if matches!(key.kind, ResourceKind::Instance | ResourceKind::Host) => {
                ResourceScanMetadata { ec2: Some(self.machine()), ..ResourceScanMetadata::default() }
            }
            None if key.kind == ResourceKind::Function => {
                ResourceScanMetadata { lambda_function: Some(self.function()), ..ResourceScanMetadata::default() }
            }
            None if key.kind == ResourceKind::MachineImage => {
                ResourceScanMetadata { machine_image: Some(self.machine_image()), ..ResourceScanMetadata::default() }
            }
            None => ResourceScanMetadata::default(),
        };
        CoveredResource {
            resource_type: CoverageResourceType::from(resource_type(key.kind)),
            resource_id: key.id.clone(),
            account_id: key.scope.account.clone(),
            scan_type: ScanType::from(scan_type(self.coverage.kind)),
            scan_status: Some(ScanStatus {
                status_code: ScanStatusCode::from(self.status_code()),
                reason: ScanStatusReason::from(self.coverage.reason.as_str()),
            }),
            resource_metadata: Some(metadata),
            last_scanned_at: self.coverage.last_scanned.map(EpochSeconds::from),
            scan_mode: None,
            provider: None,
            provider_account_id: None,
            provider_org_id: None,
            provider_region: None,
            provider_partition: None,
        }
    }

    fn machine(&self) -> Ec2Metadata {
        let tags = Some(self.resource.tags.iter().cloned().collect());
        match &self.resource.details {
            ResourceDetails::Instance(instance) => Ec2Metadata {
                tags,
                ami_id: Some(instance.image.clone()).filter(|image| !image.is_empty()),
                platform: Some(match instance.platform.as_str() {
                    "" => Ec2Platform::Unknown,
                    windows if windows.starts_with("Windows") => Ec2Platform::Windows,
                    _ => Ec2Platform::Linux,
                }),
            },
            _ => Ec2Metadata { tags, ami_id: None, platform: Some(Ec2Platform::Unknown) },
        }
    }

    fn machine_image(&self) -> MachineImageMetadata {
        let platform = match &self.resource.details {
            ResourceDetails::MachineImage(image) if image.platform.starts_with("Windows") => MachineImagePlatform::Windows,
            ResourceDetails::MachineImage(image) if !image.platform.is_empty() => MachineImagePlatform::Linux,
            _ => MachineImagePlatform::Unknown,
        };
        MachineImageMetadata { tags: Some(self.resource.tags.iter().cloned().collect()), platform: Some(platform) }
    }

    fn function(&self) -> LambdaFunctionMetadata {
        let function_tags = Some(self.resource.tags.iter().cloned().collect());
        let ResourceDetails::Function(function) = &self.resource.details else {
            return LambdaFunctionMetadata { function_tags, layers: None, function_name: None, runtime: None };
        };
        LambdaFunctionMetadata {
            function_tags,
            layers: Some(function.layers.iter().take(5).cloned().collect()),
            function_name: Some(function.name.clone()),
            runtime: Some(runtime(&function.runtime)),
        }
    }

    fn group(&self, by: &GroupKey) -> Option<String> {
        let name = match by {
            GroupKey::ScanStatusCode => "scanStatusCode",
            GroupKey::ScanStatusReason => "scanStatusReason",
            GroupKey::AccountId => "accountId",
            GroupKey::ResourceType => "resourceType",
            GroupKey::EcrRepositoryName => "ecrRepositoryName",
            GroupKey::ProviderAccountId => "cloudProviderAccountId",
            GroupKey::ProviderRegion => "cloudProviderRegion",
            _ => return None,
        };
        self.texts(name).first().map(|text| (*text).to_owned())
    }

    /// The values of an attribute by its name in the filter; none where the resource has no such.
    fn texts(&self, name: &str) -> Vec<&str> {
        let key = &self.resource.key;
        match name {
            "scanStatusCode" => vec![self.status_code()],
            "scanStatusReason" => vec![self.coverage.reason.as_str()],
            "accountId" | "cloudProviderAccountId" => vec![&key.scope.account],
            "cloudProviderRegion" => vec![&key.scope.region],
            "resourceId" => vec![&key.id],
            "resourceType" => vec![resource_type(key.kind)],
            "scanType" => vec![scan_type(self.coverage.kind)],
            "ecrRepositoryName" | "cloudContainerRepositoryName" => {
                self.image().map(|image| image.repository.as_str()).into_iter().collect()
            }
            "lambdaFunctionName" | "cloudServerlessFunctionName" => match &self.resource.details {
                ResourceDetails::Function(function) => vec![&function.name],
                _ => Vec::new(),
            },
            "cloudContainerRegistryName" => self.image().map(|image| image.registry.as_str()).into_iter().collect(),
            "ecrImageTags" | "cloudContainerImageTags" => {
                self.image().into_iter().flat_map(|i| i.tags.iter().map(String::as_str)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn date(&self, name: &str) -> Option<Timestamp> {
        match name {
            "ecrImageLastInUseAt" => self.last_in_use(),
            "imagePulledAt" => self.activity.pulled,
            _ => self.coverage.last_scanned,
        }
    }

    fn tags(&self, name: &str) -> &[(String, String)] {
        match (name, self.resource.key.kind) {
            ("ec2InstanceTags" | "cloudVmInstanceTags", ResourceKind::Instance | ResourceKind::Host) => &self.resource.tags,
            ("lambdaFunctionTags" | "cloudServerlessFunctionTags", ResourceKind::Function) => &self.resource.tags,
            _ => &[],
        }
    }
}

/// The tests of one attribute.
enum Tests {
    Texts(Vec<CoverageStringFilter>),
    Dates(Vec<CoverageDateFilter>),
    Numbers(Vec<CoverageNumberFilter>),
    Tags(Vec<CoverageMapFilter>),
    /// Of an attribute that no resource of ours has.
    Nothing,
}

/// Criteria: different attributes must all hold; of one attribute, equals are alternatives and not-equals must all hold.
struct Filter(Vec<(&'static str, Tests)>);

impl Filter {
    fn new(criteria: Option<CoverageFilterCriteria>) -> Result<Self, Failure> {
        let mut object = serde_json::to_value(criteria.unwrap_or_default())?;
        let mut tests = Vec::new();
        for member in CoverageFilterCriteria::SHAPE.members() {
            let (Some(value), Kind::List { item, .. }) = (object.get_mut(member.name).map(Value::take), member.shape.kind) else {
                continue;
            };
            let test = match (item.name, member.name) {
                ("CoverageStringFilter", _) => Tests::Texts(serde_json::from_value(value)?),
                ("CoverageNumberFilter", "ecrImageInUseCount") => Tests::Numbers(serde_json::from_value(value)?),
                ("CoverageDateFilter", "lastScannedAt" | "ecrImageLastInUseAt" | "imagePulledAt") => {
                    Tests::Dates(serde_json::from_value(value)?)
                }
                ("CoverageMapFilter", _) => Tests::Tags(serde_json::from_value(value)?),
                _ => Tests::Nothing,
            };
            tests.push((member.name, test));
        }
        Ok(Self(tests))
    }

    fn admits(&self, row: &Row<'_>) -> bool {
        self.0.iter().all(|(name, tests)| match tests {
            Tests::Texts(tests) if matches!(*name, "lambdaFunctionRuntime" | "cloudServerlessFunctionRuntime") => {
                let ResourceDetails::Function(function) = &row.resource.details else { return texts_hold(tests, &[]) };
                // By the word that is shown, or by that of Lambda.
                texts_hold(tests, &[runtime(&function.runtime).as_str(), &function.runtime])
            }
            Tests::Texts(tests) => texts_hold(tests, &row.texts(name)),
            Tests::Dates(ranges) => row.date(name).is_some_and(|at| {
                let at = EpochSeconds::from(at);
                ranges.iter().any(|r| r.start_inclusive.is_none_or(|start| at >= start) && r.end_inclusive.is_none_or(|end| at <= end))
            }),
            Tests::Numbers(ranges) => row.in_use_count().is_some_and(|count| {
                ranges
                    .iter()
                    .any(|r| r.lower_inclusive.is_none_or(|low| count >= low) && r.upper_inclusive.is_none_or(|high| count <= high))
            }),
            Tests::Tags(tests) => {
                let tags = row.tags(name);
                tests.iter().any(|test| tags.iter().any(|(k, v)| *k == test.key && test.value.as_ref().is_none_or(|value| v == value)))
            }
            Tests::Nothing => false,
        })
    }
}

/// The word for a runtime; there is one even for those that the model does not know.
fn runtime(name: &str) -> Runtime {
    match Runtime::from(inspector::runtime(name).as_str()) {
        Runtime::Unlisted(_) => Runtime::Unsupported,
        listed => listed,
    }
}

fn texts_hold(tests: &[CoverageStringFilter], values: &[&str]) -> bool {
    let (negative, positive): (Vec<_>, Vec<_>) = tests.iter().partition(|test| test.comparison == CoverageStringComparison::NotEquals);
    let has = |test: &&CoverageStringFilter| values.contains(&test.value.as_str());
    (positive.is_empty() || positive.iter().any(has)) && !negative.iter().any(has)
}
