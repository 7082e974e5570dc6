//! Which images run in the accounts' clusters of ECS and EKS.

use super::{Halt, WatchAws};
use crate::Outcome;
use crate::in_use::{count_pods, reference_of};
use lestrade_aws::{Error, Https, Session, describe_kubernetes, discover_clusters, discover_kubernetes, discover_running};
use lestrade_model::Scope;
use std::collections::{BTreeMap, BTreeSet};

/// How many containers run of each image, by `host/repository@sha256:…`.
type Counts = BTreeMap<String, u32>;

/// Pages of pods of one cluster: a million of them.
const MOST_PAGES: usize = 2_000;
/// What ECS says of a cluster that is not there.
const GONE: &str = "ClusterNotFoundException";

impl WatchAws {
    /// Notes what runs, under the ARNs of the clusters. Of a cluster that could not be seen whole what it said last stands.
    pub(super) fn look_at_clusters(&mut self, scope: &Scope, session: &Session<Https>) -> Result<Outcome, Halt> {
        let home = self.settings.home.clone();
        let known = self.core.clusters(&home)?;
        let clusters = self.ask(discover_clusters(session))?;
        let mut failed = clusters.missing;
        let is_whole = failed.is_none();
        for cluster in &clusters.items {
            match self.look_at_cluster(session, cluster, known.contains_key(cluster)) {
                Ok(()) => {}
                Err(Halt::Aws(error)) => failed = Some(error),
                Err(halt) => return Err(halt),
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

    /// Notes what runs in a cluster.
    fn look_at_cluster(&self, session: &Session<Https>, cluster: &str, is_known: bool) -> Result<(), Halt> {
        let running = self.ask(discover_running(session, cluster))?;
        if let Some(error) = running.missing.filter(|error| !error.is_refusal(GONE)) {
            return Err(error.into());
        }
        let mut counts = Counts::new();
        for image in running.items {
            // Images of no registry, and of names that none has.
            if let Some(reference) = reference_of(&by_digest(&image.name, &image.digest)) {
                *counts.entry(reference).or_default() += 1;
            }
        }
        if !counts.is_empty() || is_known {
            self.core.note_in_use(&self.settings.home, cluster, &counts)?;
        }
        Ok(())
    }

    /// Notes what runs in the clusters of EKS, under their ARNs. Of one whose API server does not tell it what it said last stands.
    pub(super) fn look_at_kubernetes(&mut self, scope: &Scope, session: &Session<Https>) -> Result<Outcome, Halt> {
        if !self.settings.kubernetes {
            return Ok(Outcome::Unchanged);
        }
        let home = self.settings.home.clone();
        let known = self.core.clusters(&home)?;
        let names = self.ask(discover_kubernetes(session))?;
        let mut there = BTreeSet::new();
        for name in &names.items {
            there.insert(scope.arn("eks", &format!("cluster/{name}")));
            match self.pods_of(session, name) {
                Ok(None) => {}
                Ok(Some((arn, counts))) if !counts.is_empty() || known.contains_key(&arn) => {
                    self.core.note_in_use(&home, &arn, &counts)?;
                }
                Ok(Some(_)) => {}
                // Nothing that another look soon would change: it is closed to us, or to this network.
                Err(Halt::Aws(error)) => {
                    tracing::warn!(%scope, cluster = name, %error, "what runs in a cluster is not known: what it said last stands")
                }
                Err(halt) => return Err(halt),
            }
        }
        match names.missing {
            // Whoever has not given us this yet is no reason to look at everything else again soon.
            Some(error) if error.is_denied() => {
                tracing::warn!(%scope, %error, "which clusters of EKS there are is not known");
                return Ok(Outcome::Unchanged);
            }
            Some(error) => return Err(error.into()),
            None => {}
        }
        let ours = scope.arn("eks", "cluster/");
        let gone = known.iter().filter(|(arn, status)| status.containers > 0 && arn.starts_with(&ours) && !there.contains(*arn));
        for (arn, _) in gone {
            self.core.note_in_use(&home, arn, &BTreeMap::new())?;
        }
        Ok(Outcome::Unchanged)
    }

    /// How many containers run of each image in a cluster of EKS, with its ARN; none where there is no such cluster.
    fn pods_of(&self, session: &Session<Https>, name: &str) -> Result<Option<(String, Counts)>, Halt> {
        let Some(cluster) = self.ask(describe_kubernetes(session, name))?? else { return Ok(None) };
        let mut counts = Counts::new();
        let mut after: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let page = self.ask(cluster.pods(session, after.as_deref()))??;
            let next = count_pods(&page, &mut counts).map_err(|why| Error::Document(format!("the pods of '{name}': {why}")))?;
            match next {
                Some(next) => after = Some(next),
                None => return Ok(Some((cluster.arn, counts))),
            }
        }
        Err(Error::Document(format!("the pods of '{name}' do not end")).into())
    }

    /// Looks at the clusters that events named since the last time, each once: a service that is rolled out tells of every task of its.
    pub(super) fn look_at_named_clusters(&mut self) -> Result<Outcome, Halt> {
        let named = std::mem::take(&mut self.clusters);
        if named.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let known = self.core.clusters(&self.settings.home)?;
        let sessions = self.sessions();
        for (scope, cluster) in named {
            let Some((_, session)) = sessions.iter().find(|(of, _)| *of == scope) else { continue };
            match self.look_at_cluster(session, &cluster, known.contains_key(&cluster)) {
                Ok(()) => {}
                Err(Halt::Aws(error)) => {
                    tracing::warn!(%scope, cluster, %error, "what runs in a cluster is not known: what it said last stands")
                }
                Err(halt) => return Err(halt),
            }
        }
        // What runs in one account may lie in the registry of another.
        let mut outcome = Outcome::Unchanged;
        for (scope, session) in &sessions {
            match self.look_at_revived(scope, session) {
                Ok(Outcome::Changed) => outcome = Outcome::Changed,
                Ok(Outcome::Unchanged) => {}
                Err(Halt::Aws(error)) => tracing::warn!(%scope, %error, "an image that runs again could not be looked at"),
                Err(halt) => return Err(halt),
            }
        }
        Ok(outcome)
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
