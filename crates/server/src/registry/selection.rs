//! What of which registries is watched: `host[:port][/repository]`, where the repository may be a pattern.

use crate::ServerError;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::collections::{BTreeMap, BTreeSet};

/// What of one registry is watched: all, or repositories by name or by pattern.
///
/// In a pattern `*` stands for anything within a part of a name, `**` for any parts, `?`, `[…]` and `{a,b}` as in a shell.
#[derive(Clone, Debug)]
pub struct RegistrySelection {
    /// Its host, and port if any.
    pub host: String,
    patterns: GlobSet,
    /// The repositories, where all are named; then nobody need list them.
    named: Option<BTreeSet<String>>,
}

impl RegistrySelection {
    /// Reads what is watched, one of it for each registry, in the order of their hosts.
    ///
    /// # Errors
    /// When a text has no host or its pattern is none.
    pub fn all_of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Vec<Self>, ServerError> {
        let mut hosts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for text in texts {
            let (host, repository) = text.trim_end_matches('/').split_once('/').unwrap_or((text.trim_end_matches('/'), "**"));
            if host.is_empty() || repository.is_empty() {
                return Err(refused(text, "it is `host[:port]`, or `host[:port]/repository`"));
            }
            hosts.entry(host).or_default().insert(repository);
        }
        hosts.into_iter().map(|(host, patterns)| Self::new(host, &patterns)).collect()
    }

    fn new(host: &str, patterns: &BTreeSet<&str>) -> Result<Self, ServerError> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let glob = GlobBuilder::new(pattern).literal_separator(true).build();
            set.add(glob.map_err(|error| refused(pattern, &error.kind().to_string()))?);
        }
        let is_name = |pattern: &&str| !pattern.contains(['*', '?', '[', ']', '{', '}', '\\']);
        let named = patterns.iter().all(is_name).then(|| patterns.iter().map(|name| (*name).to_owned()).collect());
        let patterns = set.build().map_err(|error| refused(host, &error.kind().to_string()))?;
        Ok(Self { host: host.to_owned(), patterns, named })
    }

    /// Whether a repository is watched.
    #[must_use]
    pub fn has(&self, repository: &str) -> bool {
        self.patterns.is_match(repository)
    }

    /// The repositories, where each is named.
    pub(super) const fn named(&self) -> Option<&BTreeSet<String>> {
        self.named.as_ref()
    }
}

fn refused(text: &str, why: &str) -> ServerError {
    ServerError::Source { source_name: format!("'{}'", text.escape_debug()), reason: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_watched_whole_or_in_part() {
        let all = RegistrySelection::all_of(["b:5000/team-*/**", "a", "b:5000/shop/web", "c/one", "c/two/"]).unwrap();
        let hosts: Vec<_> = all.iter().map(|one| one.host.as_str()).collect();
        assert_eq!(hosts, ["a", "b:5000", "c"]);
        let has = |place: usize, name: &str| all[place].has(name);
        assert!(has(0, "anything/at/all") && all[0].named().is_none());
        assert!(has(1, "team-1/app") && has(1, "team-1/app/web") && has(1, "shop/web"));
        assert!(!has(1, "shop/web2") && !has(1, "x/team-1/app") && all[1].named().is_none());
        assert_eq!(all[2].named().unwrap().iter().collect::<Vec<_>>(), ["one", "two"]);
        for bad in ["", "/app", "host/[", "host/a{"] {
            assert!(RegistrySelection::all_of([bad]).is_err(), "{bad:?}");
        }
    }
}
