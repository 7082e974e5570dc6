//! Which repositories the registry's own scanning configuration has watched.
//!
//! Source: ECR's API reference, `GetRegistryScanningConfiguration`, and its user guide, "Filters to choose which repositories are
//! scanned": `*` stands for any characters, also none; a filter without it is met by every name that contains it.

use crate::{Error, Session};
use lestrade_wire::Transport;
use lestrade_wire::ecr::Api;
use serde_json::{Value, json};

/// What the rules of a registry say of its repositories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryRules {
    /// Filters of rules by which images are scanned, once or continuously.
    filters: Vec<String>,
}

impl RegistryRules {
    /// Whether a repository's images are watched. A rule that has them scanned when they are pushed is as good as one that has them
    /// scanned continuously: what was read once is judged by every advisory that comes.
    #[must_use]
    pub fn has(&self, repository: &str) -> bool {
        self.filters.iter().any(|filter| match filter.contains('*') {
            true => wildcard(filter, repository),
            false => repository.contains(filter.as_str()),
        })
    }
}

/// The rules of an account's registry; none where they are not about more than the registry's basic scans, which say nothing of
/// Inspector's.
///
/// # Errors
/// When it cannot be asked.
pub async fn registry_rules<T: Transport + Clone>(session: &Session<T>) -> Result<Option<RegistryRules>, Error> {
    let answer = session.ask(Api::GetRegistryScanningConfiguration, &json!({})).await?;
    let configuration = &answer["scanningConfiguration"];
    if configuration["scanType"] != "ENHANCED" {
        return Ok(None);
    }
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let rules = list(configuration, "rules").into_iter().filter(|rule| rule["scanFrequency"] != "MANUAL");
    let filters = rules.flat_map(|rule| list(&rule, "repositoryFilters"));
    let filters = filters.filter_map(|filter| filter["filter"].as_str().filter(|text| !text.is_empty()).map(str::to_owned));
    Ok(Some(RegistryRules { filters: filters.collect() }))
}

/// Whether a name meets a pattern in which `*` stands for any characters, also none.
#[must_use]
pub fn wildcard(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').map_or((None, rest), |(middle, last)| (Some(middle), last));
    // The first place that fits leaves the most for what comes after.
    for part in middle.into_iter().flat_map(|middle| middle.split('*')) {
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{self, Script};

    #[test]
    fn an_asterisk_stands_for_anything() {
        for (pattern, name, meets) in [
            ("*", "", true),
            ("*", "team/app", true),
            ("team-*", "team-1/app", true),
            ("team-*", "a/team-1", false),
            ("*/prod", "team/app/prod", true),
            ("*/prod", "team/prod/app", false),
            ("*prod*", "x-prod-y", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("a**a", "aa", true),
            ("app", "app", true),
            ("app", "app2", false),
            ("ü*", "üb/er", true),
        ] {
            assert_eq!(wildcard(pattern, name), meets, "{pattern} {name}");
        }
    }

    #[tokio::test]
    async fn the_registrys_rules_say_what_is_watched() {
        let body = r#"{"registryId": "1", "scanningConfiguration": {"scanType": "ENHANCED", "rules": [
            {"scanFrequency": "CONTINUOUS_SCAN", "repositoryFilters": [{"filter": "prod-*", "filterType": "WILDCARD"}]},
            {"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": [{"filter": "shop", "filterType": "WILDCARD"}, {"filter": ""}]},
            {"scanFrequency": "MANUAL", "repositoryFilters": [{"filter": "*"}]}, {}]}}"#;
        let rules = registry_rules(&script::session(&Script::of([script::ok(body)]))).await.unwrap().unwrap();
        for (repository, watched) in [("prod-1/web", true), ("the/shop/web", true), ("scratch", false), ("a/prod-1", false)] {
            assert_eq!(rules.has(repository), watched, "{repository}");
        }
        let basic = r#"{"scanningConfiguration": {"scanType": "BASIC", "rules": []}}"#;
        assert_eq!(registry_rules(&script::session(&Script::of([script::ok(basic)]))).await.unwrap(), None);
        let refused = script::told(400, r#"{"__type": "AccessDeniedException", "message": "no"}"#);
        assert!(registry_rules(&script::session(&Script::of([refused]))).await.is_err_and(|error| error.is_denied()));
    }

    proptest::proptest! {
        #[test]
        fn wildcards_are_what_a_slow_matcher_says(pattern in "[ab*]{0,8}", name in "[ab]{0,8}") {
            fn slow(pattern: &[u8], name: &[u8]) -> bool {
                match pattern.split_first() {
                    None => name.is_empty(),
                    Some((b'*', rest)) => (0..=name.len()).any(|skip| slow(rest, &name[skip..])),
                    Some((byte, rest)) => name.split_first().is_some_and(|(first, name)| first == byte && slow(rest, name)),
                }
            }
            proptest::prop_assert_eq!(wildcard(&pattern, &name), slow(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
