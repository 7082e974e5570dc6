//! Images of the private registry.

use super::instant;
use crate::{Error, Listing, Session};
use lestrade_model::{ImageDetails, Resource, ResourceDetails, ResourceFacts, ResourceKey, ResourceKind, Scope, Timestamp};
use lestrade_wire::Transport;
use lestrade_wire::ecr::{Api, ImageDetail, ImageStatus, Repository};
use serde_json::json;

/// The most that ECR puts on a page.
const PAGE: i32 = 1000;

/// An image, and what decides whether it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundImage {
    /// The image. Its architecture is not known before it is read.
    pub resource: Resource,
    /// The media type of its manifest; empty where it is not told.
    pub media_type: String,
    /// When it was pulled last, if that is known.
    pub pulled_at: Option<Timestamp>,
    /// Whether it is kept where it cannot be pulled from.
    pub archived: bool,
}

/// The names of the repositories of a scope.
pub async fn discover_repositories<T: Transport + Clone>(session: &Session<T>, scope: &Scope) -> Listing<String> {
    let input = json!({ "maxResults": PAGE });
    let listing = session.list_typed::<_, Repository>(Api::DescribeRepositories, input, "repositories").await;
    let mut foreign = None;
    let mut named = listing.map("repositories", |repository| {
        if let Some(owner) = repository.registry_id.filter(|owner| *owner != scope.account) {
            foreign = Some(owner);
        }
        repository.repository_name.filter(|name| !name.is_empty())
    });
    if let Some(found) = foreign {
        return Listing { items: Vec::new(), missing: Some(Error::WrongAccount { found, expected: scope.account.clone() }) };
    }
    named.items.sort_unstable();
    named
}

/// The images of a repository. Lists of images ("indexes") are none: each image that they name is listed by itself.
pub async fn discover_images<T: Transport + Clone>(session: &Session<T>, scope: &Scope, repository: &str) -> Listing<FoundImage> {
    let input = json!({ "repositoryName": repository, "maxResults": PAGE });
    let mut listing = session.list_typed::<_, ImageDetail>(Api::DescribeImages, input, "imageDetails").await;
    listing.items.retain(|image| !is_index(image.image_manifest_media_type.as_deref().unwrap_or_default()));
    let mut images = listing.map("images", |image| found(image, scope, repository));
    images.items.sort_by(|a, b| a.resource.key.cmp(&b.resource.key));
    images
}

fn is_index(media_type: &str) -> bool {
    matches!(media_type, "application/vnd.docker.distribution.manifest.list.v2+json" | "application/vnd.oci.image.index.v1+json")
}

fn found(image: ImageDetail, scope: &Scope, repository: &str) -> Option<FoundImage> {
    let digest = image.image_digest.filter(|digest| !digest.is_empty())?;
    let mut tags = image.image_tags.unwrap_or_default();
    tags.sort_unstable();
    let id = scope.arn("ecr", &format!("repository/{repository}/{digest}"));
    let details = ImageDetails {
        registry: scope.account.clone(),
        repository: repository.to_owned(),
        digest,
        tags,
        architecture: String::new(),
        pushed_at: instant(image.image_pushed_at),
    };
    Some(FoundImage {
        resource: Resource {
            key: ResourceKey { scope: scope.clone(), kind: ResourceKind::Image, id },
            details: ResourceDetails::Image(details),
            facts: ResourceFacts::default(),
            tags: vec![],
        },
        media_type: image.image_manifest_media_type.unwrap_or_default(),
        pulled_at: image.last_recorded_pull_time.map(Timestamp::from),
        archived: image.image_status == Some(ImageStatus::Archived),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{self, Script};

    #[tokio::test]
    async fn images_are_listed_and_lists_of_images_are_not() {
        let scope = Scope::new("aws", "111122223333", "eu-west-1").unwrap();
        let body = r#"{"imageDetails": [
            {"imageDigest": "sha256:b", "imageTags": ["two", "one"], "imagePushedAt": 1.7e9, "lastRecordedPullTime": 1.7e9},
            {"imageDigest": "sha256:a", "imageManifestMediaType": "application/vnd.oci.image.index.v1+json"},
            {"repositoryName": "app"}]}"#;
        let listing = discover_images(&script::session(&Script::of([script::ok(body)])), &scope, "app").await;
        assert!(matches!(listing.missing, Some(Error::Nameless { count: 1, .. })));
        let [image] = listing.items.as_slice() else { panic!("{listing:?}") };
        assert_eq!(image.resource.key.id, "arn:aws:ecr:eu-west-1:111122223333:repository/app/sha256:b");
        let ResourceDetails::Image(details) = &image.resource.details else { panic!("{image:?}") };
        assert_eq!((details.tags.len(), details.tags[0].as_str()), (2, "one"));
    }
}
