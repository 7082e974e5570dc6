//! Ubuntu's releases in OSV's records: what subscribers get (`Ubuntu:Pro:22.04:LTS`) belongs to the release that they subscribe for.
//!
//! A fix that only subscribers get must neither be lost to others, whose package is as vulnerable, nor call a subscriber's fixed
//! package open. So of each package and release one entry is made: the fix for everybody, else the fix for subscribers, else none.
//! Lines with versions of their own (FIPS, real-time) stay apart.

use lestrade_model::{Affected, Ecosystem, Event, Family};
use std::collections::BTreeSet;

/// Puts subscribers' entries in the place of those without a fix.
pub(super) fn join_subscriptions(affected: Vec<Affected>) -> Vec<Affected> {
    let has_fix = |entry: &Affected| entry.ranges.iter().flat_map(|range| &range.events).any(|event| matches!(event, Event::Fixed(_)));
    let is_plain = |entry: &Affected| subscribed(entry).is_none();
    let key = |entry: &Affected, release: &str| (entry.name.clone(), release.trim_end_matches(":LTS").to_owned());
    let own = |entry: &Affected| key(entry, entry.ecosystem.release.as_deref().unwrap_or_default());
    let fixed_for_all: BTreeSet<_> = affected.iter().filter(|entry| is_plain(entry) && has_fix(entry)).map(own).collect();
    let of_subscribers = |entry: &Affected| subscribed(entry).map(|release| key(entry, release));
    let fixed_for_subscribers: BTreeSet<_> = affected.iter().filter(|entry| has_fix(entry)).filter_map(of_subscribers).collect();
    let open_for_all: BTreeSet<_> = affected.iter().filter(|entry| is_plain(entry)).map(own).collect();
    let joined = affected.into_iter().filter_map(|mut entry| match subscribed(&entry).map(str::to_owned) {
        Some(release) => {
            let place = key(&entry, &release);
            // Without a fix it says no more than the entry for everybody, if there is one.
            if fixed_for_all.contains(&place) || (!has_fix(&entry) && open_for_all.contains(&place)) {
                return None;
            }
            entry.ecosystem = Ecosystem::release(Family::Ubuntu, &release);
            Some(entry)
        }
        None if !has_fix(&entry) && fixed_for_subscribers.contains(&own(&entry)) => None,
        None => Some(entry),
    });
    joined.collect()
}

/// The release that an entry for subscribers is about: `22.04:LTS` of `Pro:22.04:LTS`.
fn subscribed(entry: &Affected) -> Option<&str> {
    let release = (entry.ecosystem.family == Family::Ubuntu).then_some(entry.ecosystem.release.as_deref())??.strip_prefix("Pro:")?;
    release.starts_with(|c: char| c.is_ascii_digit()).then_some(release)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_matching::affects;
    use lestrade_model::{Component, FixState};

    #[test]
    fn subscribers_fixes_are_neither_lost_nor_ignored() {
        let eco = |text: &str| text.parse::<Ecosystem>().unwrap();
        let joined = join_subscriptions(vec![
            Affected::before(eco("Ubuntu:22.04:LTS"), "a", "1.1"),
            Affected::before(eco("Ubuntu:Pro:22.04:LTS"), "a", "1.0+esm1"),
            Affected::always(eco("Ubuntu:22.04:LTS"), "b", FixState::Open),
            Affected::before(eco("Ubuntu:Pro:22.04:LTS"), "b", "1.0+esm1"),
            Affected::before(eco("Ubuntu:Pro:16.04:LTS"), "b", "0.5+esm1"),
            Affected::before(eco("Ubuntu:Pro:FIPS:22.04:LTS"), "b", "1.0+fips1"),
        ]);
        let hit = |release: &str, name: &str, version: &str| {
            let component = Component::new(Ecosystem::release(Family::Ubuntu, release), name, version);
            joined
                .iter()
                .filter_map(|entry| affects(entry, &component))
                .filter_map(|verdict| verdict.fixed_in)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(hit("22.04", "a", "1.0"), "1.1", "everybody's fix is the one");
        assert_eq!(hit("22.04", "b", "1.0"), "1.0+esm1", "vulnerable, and fixed for subscribers");
        assert_eq!(hit("22.04", "b", "1.0+esm1"), "", "a subscriber's fixed package");
        assert_eq!(hit("16.04", "b", "0.4"), "0.5+esm1", "a release that only subscribers get fixes for");
    }
}
