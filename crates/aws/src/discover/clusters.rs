//! What runs in clusters of ECS.

use crate::{Error, Listing, Session};
use lestrade_wire::Transport;
use lestrade_wire::ecs::Api;
use serde::Deserialize;
use serde_json::{Value, json};

/// The most clusters or tasks that ECS puts on a page, and the most tasks that it describes at once.
const PAGE: usize = 100;

/// The image of a container that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningImage {
    /// As the task's definition names it: `host/repository:tag`.
    pub name: String,
    /// `sha256:…`: what the name stood for when the container was started.
    pub digest: String,
}

/// Of a task, what runs in it. The whole of its type is not read: a member that is not what the model says would take the task
/// with it.
#[derive(Deserialize)]
struct Task {
    #[serde(default)]
    containers: Vec<Container>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    image: Option<String>,
    image_digest: Option<String>,
    last_status: Option<String>,
}

/// The ARNs of the clusters of a scope.
pub async fn discover_clusters<T: Transport + Clone>(session: &Session<T>) -> Listing<String> {
    let listing = session.list(Api::ListClusters, json!({ "maxResults": PAGE }), "clusterArns").await;
    named(listing, "clusters")
}

/// The images of the containers that run in a cluster, once for each container. One of which no digest is known, as the tags of
/// images move, is not among them.
pub async fn discover_running<T: Transport + Clone>(session: &Session<T>, cluster: &str) -> Listing<RunningImage> {
    let listing =
        session.list(Api::ListTasks, json!({ "cluster": cluster, "desiredStatus": "RUNNING", "maxResults": PAGE }), "taskArns").await;
    let Listing { items: tasks, mut missing } = named(listing, "tasks");
    let mut running = Vec::new();
    for some in tasks.chunks(PAGE) {
        let input = json!({ "cluster": cluster, "tasks": some });
        let answer = match session.ask(Api::DescribeTasks, &input).await {
            Ok(answer) => answer,
            Err(error) => return Listing { items: running, missing: Some(error) },
        };
        // A task that ended since it was listed runs nothing, and is no gap.
        let failures = answer["failures"].as_array().into_iter().flatten();
        let lost = failures.filter(|failure| failure["reason"] != "MISSING").count();
        if lost > 0 {
            missing.get_or_insert(Error::Nameless { count: lost, what: "tasks" });
        }
        for task in answer["tasks"].as_array().into_iter().flatten() {
            match Task::deserialize(task) {
                Ok(task) => running.extend(task.containers.into_iter().filter_map(image)),
                Err(error) => {
                    let source = lestrade_wire::Error::Malformed(error.to_string());
                    missing.get_or_insert(Error::Call { operation: "DescribeTasks", source });
                }
            }
        }
    }
    Listing { items: running, missing }
}

fn named(listing: Listing<Value>, what: &'static str) -> Listing<String> {
    let mut listing = listing.map(what, |item| item.as_str().filter(|arn| !arn.is_empty()).map(str::to_owned));
    listing.items.sort_unstable();
    listing
}

fn image(container: Container) -> Option<RunningImage> {
    let name = container.image.filter(|_| container.last_status.as_deref() == Some("RUNNING"))?;
    // Old agents tell no digest; a definition may name one itself.
    let digest = container.image_digest.filter(|digest| !digest.is_empty());
    let digest = digest.or_else(|| name.split_once('@').map(|(_, digest)| digest.to_owned()))?;
    Some(RunningImage { name, digest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{self, Script};

    #[tokio::test]
    async fn what_runs_is_told_by_its_digest() {
        let tasks = r#"{"taskArns": ["arn:t/1", "arn:t/2"]}"#;
        let described = r#"{"tasks": [
            {"containers": [
                {"image": "r.example/web:1", "imageDigest": "sha256:a", "lastStatus": "RUNNING"},
                {"image": "r.example/web:1", "imageDigest": "sha256:b", "lastStatus": "STOPPED"},
                {"image": "r.example/job", "lastStatus": "RUNNING"},
                {"image": "r.example/api@sha256:c", "lastStatus": "RUNNING"}]},
            {"taskArn": "arn:t/2"}],
            "failures": [{"arn": "arn:t/2", "reason": "MISSING"}]}"#;
        let script = Script::of([script::ok(tasks), script::ok(described)]);
        let listing = discover_running(&script::session(&script), "arn:c").await;
        assert!(listing.missing.is_none(), "{listing:?}");
        let running: Vec<(&str, &str)> = listing.items.iter().map(|image| (image.name.as_str(), image.digest.as_str())).collect();
        assert_eq!(running, [("r.example/web:1", "sha256:a"), ("r.example/api@sha256:c", "sha256:c")]);
    }

    #[tokio::test]
    async fn what_cannot_be_described_is_missing() {
        let tasks = || script::ok(r#"{"taskArns": ["arn:t/1"]}"#);
        for answer in [
            script::ok(r#"{"tasks": [], "failures": [{"reason": "SOMETHING ELSE"}]}"#),
            script::ok(r#"{"tasks": [{"containers": 7}]}"#),
            script::told(400, r#"{"__type": "AccessDeniedException", "message": "no"}"#),
        ] {
            let listing = discover_running(&script::session(&Script::of([tasks(), answer])), "arn:c").await;
            assert!(listing.items.is_empty() && listing.missing.is_some(), "{listing:?}");
        }
        let clusters = discover_clusters(&script::session(&Script::of([script::ok(r#"{"clusterArns": ["arn:b", "", "arn:a"]}"#)]))).await;
        assert_eq!(clusters.items, ["arn:a", "arn:b"]);
        assert!(matches!(clusters.missing, Some(Error::Nameless { count: 1, .. })));
    }
}
