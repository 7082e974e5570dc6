//! Which images run where, as clusters tell it. What a cluster said last is kept; an image that it no longer names was in use until
//! then.

use crate::core::Draft;
use crate::{Core, ServerError};
use lestrade_artifact::ImageReference;
use lestrade_findings::{Term, World, suppressed_of};
use lestrade_matching::ResourceId;
use lestrade_model::{ImageUse, ResourceKey, Scope, Timestamp};
use lestrade_store::{Document, Fan};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The documents: one for each cluster.
const KIND: &str = "in-use";
/// How long it is remembered that an image was in use once: longer than anything asks for.
const REMEMBERED_MS: i64 = 400 * 86_400_000;

/// An image that a cluster named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    /// `host/repository@sha256:…`.
    reference: String,
    /// Where, how often, and when.
    pub(crate) usage: ImageUse,
}

impl Used {
    /// The repository and the digest of an image of a registry; none when it is of another.
    pub(crate) fn of_registry(&self, host: &str) -> Option<(&str, &str)> {
        self.reference.strip_prefix(host)?.strip_prefix('/')?.split_once('@')
    }
}

/// What a cluster said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterStatus {
    /// How many containers run in it.
    pub containers: u64,
    /// Of how many images.
    pub images: u64,
    /// When it said so.
    pub told: Timestamp,
}

/// What is kept of one cluster.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cluster {
    images: BTreeMap<String, (u32, Timestamp)>,
}

/// A list of pods, as `kubectl get pods --all-namespaces --output json` prints it: of what is in it, what runs.
#[derive(Deserialize)]
struct Pods {
    kind: String,
    #[serde(default)]
    metadata: PodsMetadata,
    items: Vec<Pod>,
}

#[derive(Default, Deserialize)]
struct PodsMetadata {
    /// Where the next page begins; none or empty after the last one.
    #[serde(default, rename = "continue")]
    next: String,
}

#[derive(Deserialize)]
struct Pod {
    #[serde(default)]
    status: PodStatus,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    container_statuses: Vec<ContainerStatus>,
    init_container_statuses: Vec<ContainerStatus>,
    ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize)]
struct ContainerStatus {
    #[serde(default, rename = "imageID")]
    image_id: String,
    #[serde(default)]
    state: ContainerState,
}

#[derive(Default, Deserialize)]
struct ContainerState {
    running: Option<serde::de::IgnoredAny>,
}

/// How many containers run of each image that a document names: a list of pods, or a line for each container with
/// `host/repository@sha256:…`. An image that has no digest, one that was built on its node, is in no registry.
///
/// # Errors
/// Why the document is neither.
pub(crate) fn images_in(document: &[u8]) -> Result<BTreeMap<String, u32>, String> {
    if document.trim_ascii_start().starts_with(b"{") {
        let mut counts = BTreeMap::new();
        count_pods(document, &mut counts)?;
        return Ok(counts);
    }
    let mut counts = BTreeMap::new();
    let text = std::str::from_utf8(document).map_err(|_| "it is no text".to_owned())?;
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        if reference_of(line.trim()).is_none() {
            return Err(format!("line {}: it is no `host/repository@sha256:…`", number + 1));
        }
        count(&mut counts, line.trim());
    }
    Ok(counts)
}

fn count(counts: &mut BTreeMap<String, u32>, name: &str) {
    if let Some(image) = reference_of(name) {
        *counts.entry(image).or_default() += 1;
    }
}

/// Counts the containers that run in a list of pods, or in a page of one; answers where the next page begins.
///
/// # Errors
/// Why the document is no list of pods.
pub(crate) fn count_pods(document: &[u8], counts: &mut BTreeMap<String, u32>) -> Result<Option<String>, String> {
    let pods: Pods = serde_json::from_slice(document).map_err(|error| format!("it is no list of pods: {error}"))?;
    if !matches!(pods.kind.as_str(), "List" | "PodList") {
        return Err(format!("it is a '{}' and no list of pods", pods.kind.escape_debug()));
    }
    for status in pods.items.into_iter().map(|pod| pod.status) {
        let all = status.container_statuses.iter().chain(&status.init_container_statuses).chain(&status.ephemeral_container_statuses);
        all.filter(|container| container.state.running.is_some()).for_each(|container| count(counts, &container.image_id));
    }
    Ok(Some(pods.metadata.next).filter(|next| !next.is_empty()))
}

/// An image as its node names it (`docker-pullable://…`, `docker.io/library/…`), as registries are named here.
pub(crate) fn reference_of(name: &str) -> Option<String> {
    let name = name.split_once("://").map_or(name, |(_, name)| name);
    let (name, digest) = name.split_once('@')?;
    let name = name.strip_prefix("docker.io/").map_or_else(|| name.to_owned(), |rest| format!("registry-1.docker.io/{rest}"));
    let reference: ImageReference = format!("{name}@{digest}").parse().ok()?;
    let is_digest = digest.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
    is_digest.then(|| reference.to_string())
}

impl Core {
    /// Takes in which images a cluster runs now: how many containers of each `host/repository@sha256:…`. All of them: what is not
    /// named is no longer in use there.
    ///
    /// # Errors
    /// When the store fails; then what was known stands.
    pub fn note_in_use(&self, scope: &Scope, cluster: &str, counts: &BTreeMap<String, u32>) -> Result<(), ServerError> {
        let now = self.now();
        let mut store = self.store();
        let kept = store.documents(scope, KIND)?.into_iter().find(|document| document.key == cluster);
        let mut known: Cluster = kept.and_then(|document| serde_json::from_str(&document.body).ok()).unwrap_or_default();
        known.images.retain(|_, (count, last)| {
            *count = 0;
            now.as_millis() - last.as_millis() <= REMEMBERED_MS
        });
        known.images.extend(counts.iter().map(|(image, count)| (image.clone(), (*count, now))));
        let body = serde_json::to_string(&known).map_err(|_| ServerError::Encoding)?;
        Ok(store.put_document(scope, KIND, &Document { key: cluster.to_owned(), body })?)
    }

    /// The clusters of a scope by name.
    ///
    /// # Errors
    /// When the store fails or what a cluster said cannot be read.
    pub fn clusters(&self, scope: &Scope) -> Result<BTreeMap<String, ClusterStatus>, ServerError> {
        let mut clusters: BTreeMap<String, ClusterStatus> = BTreeMap::new();
        for ImageUse { cluster, count, last } in self.in_use(scope)?.into_iter().map(|used| used.usage) {
            let status = clusters.entry(cluster).or_insert(ClusterStatus { containers: 0, images: 0, told: last });
            status.containers += u64::from(count);
            status.images += u64::from(count > 0);
            status.told = last.max(status.told);
        }
        Ok(clusters)
    }

    /// Forgets a cluster: what ran there is no longer in use by it. Answers whether it was known.
    ///
    /// # Errors
    /// When the store fails.
    pub fn forget_cluster(&self, scope: &Scope, cluster: &str) -> Result<bool, ServerError> {
        Ok(self.store().delete_document(scope, KIND, cluster)?)
    }

    /// Every image that some cluster of a scope named.
    pub(crate) fn in_use(&self, scope: &Scope) -> Result<Vec<Used>, ServerError> {
        let mut all = Vec::new();
        for Document { key: cluster, body } in self.store().documents(scope, KIND)? {
            let known: Cluster = serde_json::from_str(&body).map_err(|_| lestrade_store::StoreError::Damaged { table: "documents" })?;
            all.extend(
                known
                    .images
                    .into_iter()
                    .map(|(reference, (count, last))| Used { reference, usage: ImageUse { cluster: cluster.clone(), count, last } }),
            );
        }
        Ok(all)
    }

    /// Sets when images were pulled last, as their registry tells.
    pub fn set_pulled(&self, pulled: &[(ResourceKey, Option<Timestamp>)]) {
        let moved: Vec<_> = {
            let world = self.world();
            let known = pulled.iter().filter_map(|(key, pulled)| Some((world.resource_id(key)?, *pulled)));
            known.filter(|(id, pulled)| world.activity(*id).pulled != *pulled).collect()
        };
        if !moved.is_empty() {
            let mut world = self.world_mut();
            moved.into_iter().for_each(|(id, pulled)| world.set_pulled(id, pulled));
        }
    }

    /// Sets where images run, and tells of the findings that rules show otherwise by it; answers whether that is news.
    ///
    /// # Errors
    /// When the store fails; then it is not told.
    pub fn set_uses(&self, uses: impl Iterator<Item = (Vec<ImageUse>, ResourceKey)>) -> Result<bool, ServerError> {
        let moved: Vec<_> = {
            let world = self.world();
            uses.filter_map(|(uses, key)| world.resource_id(&key).map(|id| (id, uses)))
                .filter(|(id, uses)| world.uses(*id) != uses)
                .collect()
        };
        if moved.is_empty() {
            return Ok(false);
        }
        let mut guard = self.world_mut();
        let now = self.now();
        let asks = guard.suppressions.iter().any(|rule| rule.criteria.terms.iter().any(Term::is_of_use));
        let suppressed = |world: &World, id: ResourceId| if asks { suppressed_of(world, self, id, now) } else { RoaringBitmap::new() };
        let mut otherwise = Vec::new();
        for (id, uses) in moved {
            let before = suppressed(&guard, id);
            guard.set_uses(id, uses);
            otherwise.push((id, before ^ suppressed(&guard, id)));
        }
        let mut draft = Draft::new(self, &mut guard)?;
        for (resource, vulnerabilities) in otherwise {
            draft.tell(None, Fan::Resource { resource, vulnerabilities });
        }
        draft.commit(self)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn what_runs_is_read_from_pods_and_from_lines() {
        let container = |image: &str, state: &str| json!({"imageID": image, "state": {state: {}}, "name": "x"});
        let pods = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"kind": "Pod", "status": {"phase": "Running", "containerStatuses": [
                container(&format!("docker.io/library/nginx@{DIGEST}"), "running"),
                container(&format!("docker-pullable://docker.io/library/nginx@{DIGEST}"), "running"),
                container(&format!("r.example:5000/shop/web@{DIGEST}"), "waiting"),
                container("sha256:built-here", "running")]}},
            {"kind": "Pod"},
            {"kind": "Pod", "status": {"initContainerStatuses": [container(&format!("r.example:5000/shop/web@{DIGEST}"), "running")]}},
        ]});
        let expected = [(format!("r.example:5000/shop/web@{DIGEST}"), 1), (format!("registry-1.docker.io/library/nginx@{DIGEST}"), 2)];
        assert_eq!(images_in(pods.to_string().as_bytes()).unwrap(), BTreeMap::from(expected.clone()));
        let mut counts = BTreeMap::new();
        let mut page = pods.clone();
        page["kind"] = json!("PodList");
        page["metadata"] = json!({"continue": "after-these", "resourceVersion": "7"});
        assert_eq!(count_pods(page.to_string().as_bytes(), &mut counts).unwrap().as_deref(), Some("after-these"));
        page["metadata"]["continue"] = json!("");
        assert_eq!(count_pods(page.to_string().as_bytes(), &mut counts).unwrap(), None);
        assert_eq!(counts.values().sum::<u32>(), 6, "pages are added up");
        let lines = format!("r.example:5000/shop/web@{DIGEST}\n\nnginx@{DIGEST}\ndocker.io/library/nginx@{DIGEST}\n");
        assert_eq!(images_in(lines.as_bytes()).unwrap(), BTreeMap::from(expected));
        assert_eq!(images_in(b"").unwrap(), BTreeMap::new());
        for (bad, why) in [
            ("{\"kind\": \"NodeList\", \"items\": []}", "NodeList"),
            ("{", "no list of pods"),
            ("nginx:latest", "line 1"),
            ("[]", "line 1"),
        ] {
            assert!(images_in(bad.as_bytes()).unwrap_err().contains(why), "{bad}");
        }
    }
}
