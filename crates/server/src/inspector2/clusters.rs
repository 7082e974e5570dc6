//! Clusters that an image runs in.

use super::call::Call;
use super::failure::Failure;
use lestrade_model::{ImageUse, ResourceKind, Scope};
use lestrade_wire::EpochSeconds;
use lestrade_wire::inspector2::{
    AwsEksMetadataDetails, ClusterDetails, ClusterInformation, ClusterMetadata, GetClustersForImageRequest, GetClustersForImageResponse,
};
use std::collections::BTreeMap;

const PAGE: usize = 100;

/// Where an image runs, or any image of a repository. The model says that there is at least one cluster, and has no error for an
/// image that runs in none, nor for one that nobody knows.
pub(super) fn get_clusters_for_image(call: &Call<'_>, input: GetClustersForImageRequest) -> Result<GetClustersForImageResponse, Failure> {
    let cut = call.cut(&("GetClustersForImage", &input.filter), input.next_token.as_ref(), input.max_results, PAGE)?;
    let asked = &input.filter.resource_id;
    let is_asked = |id: &str| id == asked || id.strip_prefix(asked.as_str()).is_some_and(|rest| rest.starts_with("/sha256:"));
    // One that runs in the same cluster under several of its images is told once.
    let mut found: BTreeMap<(Scope, String), ImageUse> = BTreeMap::new();
    call.backend.resources(&call.principal.scopes(), &mut |entry, activity| {
        let key = &entry.resource.key;
        if key.kind != ResourceKind::Image || !is_asked(&key.id) {
            return;
        }
        for usage in activity.uses {
            let place = (key.scope.clone(), usage.cluster.clone());
            let known = found.entry(place).or_insert_with(|| ImageUse { count: 0, ..usage.clone() });
            known.count = known.count.saturating_add(usage.count);
            known.last = known.last.max(usage.last);
        }
    })?;
    let mut window = call.pages.window::<(String, String), ClusterInformation>(&cut, call.now)?;
    for ((scope, name), usage) in &found {
        window.offer((scope.to_string(), name.clone()), || information(scope, usage));
    }
    let (cluster, next_token) = call.pages.close(window, &cut, call.now)?;
    Ok(GetClustersForImageResponse { cluster, next_token })
}

fn information(scope: &Scope, usage: &ImageUse) -> ClusterInformation {
    let (cluster_arn, is_ecs) = match service_of(&usage.cluster) {
        Some(service) => (usage.cluster.clone(), service == "ecs"),
        None => (arn_of(scope, &usage.cluster), false),
    };
    let details = ClusterDetails {
        last_in_use: EpochSeconds::from(usage.last),
        running_unit_count: Some(usage.count.into()),
        stopped_unit_count: None,
        cluster_metadata: ClusterMetadata::AwsEksMetadataDetails(AwsEksMetadataDetails::default()),
    };
    // Details of ECS name the task's definition, which is not kept.
    ClusterInformation { cluster_arn, cluster_details: (!is_ecs).then(|| vec![details]) }
}

/// Whose cluster a name is the ARN of: `ecs` or `eks`; none when it is no such ARN.
fn service_of(name: &str) -> Option<&str> {
    let parts: Vec<&str> = name.splitn(6, ':').collect();
    let &["arn", partition, service @ ("ecs" | "eks"), region, account, cluster] = parts.as_slice() else { return None };
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let is_cluster = cluster.strip_prefix("cluster/").is_some_and(|name| !name.is_empty() && name.chars().all(is_of_name));
    (partition.starts_with("aws") && plain(partition) && plain(region) && is_account && is_cluster).then_some(service)
}

/// A cluster that was told by a name has the ARN that it would have at EKS, where names have no other characters.
fn arn_of(scope: &Scope, name: &str) -> String {
    let name: String = name.chars().map(|c| if is_of_name(c) { c } else { '-' }).collect();
    scope.arn("eks", &format!("cluster/{name}"))
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_has_its_arn_or_that_of_eks() {
        let scope = Scope::new("aws", "111122223333", "eu-west-1").unwrap();
        for (name, service, arn) in [
            ("arn:aws:ecs:eu-west-1:111122223333:cluster/shop", Some("ecs"), ""),
            ("arn:aws-cn:eks:cn-north-1:111122223333:cluster/shop_1", Some("eks"), ""),
            ("prod", None, "arn:aws:eks:eu-west-1:111122223333:cluster/prod"),
            ("prod.eu/1", None, "arn:aws:eks:eu-west-1:111122223333:cluster/prod-eu-1"),
            ("arn:aws:ecs:x:1:cluster/a", None, "arn:aws:eks:eu-west-1:111122223333:cluster/arn-aws-ecs-x-1-cluster-a"),
            (
                "arn:aws:ec2:eu-west-1:111122223333:cluster/a",
                None,
                "arn:aws:eks:eu-west-1:111122223333:cluster/arn-aws-ec2-eu-west-1-111122223333-cluster-a",
            ),
        ] {
            assert_eq!(service_of(name), service, "{name}");
            if service.is_none() {
                assert_eq!(arn_of(&scope, name), arn);
            }
        }
    }
}
