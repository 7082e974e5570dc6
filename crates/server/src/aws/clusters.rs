//! Which images run in the accounts' clusters of ECS.

use super::{Halt, WatchAws};
use crate::Outcome;
use crate::in_use::reference_of;
use lestrade_aws::{Https, Session, discover_clusters, discover_running};
use lestrade_model::Scope;
use std::collections::BTreeMap;

impl WatchAws {
    /// Notes what runs, under the ARNs of the clusters. Of a cluster that could not be seen whole what it said last stands.
    pub(super) fn look_at_clusters(&mut self, scope: &Scope, session: &Session<Https>) -> Result<Outcome, Halt> {
        let home = self.settings.home.clone();
        let known = self.core.clusters(&home)?;
        let clusters = self.ask(discover_clusters(session))?;
        let mut failed = clusters.missing;
        let is_whole = failed.is_none();
        for cluster in &clusters.items {
            let running = self.ask(discover_running(session, cluster))?;
            if let Some(error) = running.missing {
                failed = Some(error);
                continue;
            }
            let mut counts: BTreeMap<String, u32> = BTreeMap::new();
            for image in running.items {
                // Images of no registry, and of names that none has.
                if let Some(reference) = reference_of(&by_digest(&image.name, &image.digest)) {
                    *counts.entry(reference).or_default() += 1;
                }
            }
            if !counts.is_empty() || known.contains_key(cluster) {
                self.core.note_in_use(&home, cluster, &counts)?;
            }
        }
        // In a cluster that is gone nothing runs.
        let ours = scope.arn("ecs", "cluster/");
        let gone = known
            .iter()
            .filter(|(name, status)| is_whole && status.containers > 0 && name.starts_with(&ours) && !clusters.items.contains(name));
        for (name, _) in gone {
            self.core.note_in_use(&home, name, &BTreeMap::new())?;
        }
        // What of it is news of an image, whoever watches that image finds out.
        failed.map_or(Ok(Outcome::Unchanged), |error| Err(error.into()))
    }
}

/// A name without its tag, and what it stands for.
fn by_digest(name: &str, digest: &str) -> String {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let repository = name.rfind('/').map_or(0, |slash| slash + 1);
    let name = name[repository..].find(':').map_or(name, |colon| &name[..repository + colon]);
    format!("{name}@{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_gives_way_to_the_digest() {
        for (name, expected) in [
            ("nginx", "nginx@sha256:a"),
            ("nginx:1.27", "nginx@sha256:a"),
            ("r.example:5000/shop/web:1", "r.example:5000/shop/web@sha256:a"),
            ("r.example:5000/shop/web", "r.example:5000/shop/web@sha256:a"),
            ("r.example/web:1@sha256:b", "r.example/web@sha256:a"),
        ] {
            assert_eq!(by_digest(name, "sha256:a"), expected);
        }
    }
}
