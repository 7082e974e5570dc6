//! Until when an operating system is looked after.

use crate::{OsRelease, Timestamp};
use serde::{Deserialize, Serialize};

/// A release of an operating system and its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    /// As os-release names the system (`ID`): `debian`.
    pub os: String,
    /// The release, as `VERSION_ID` begins: `10`, `22.04`.
    pub release: String,
    /// Its name, for people: `10 (Buster)`.
    pub label: String,
    /// From when on it is no longer looked after; none as long as nobody has said.
    pub ends: Option<Timestamp>,
    /// Whether it is over without a date.
    pub over: bool,
}

impl Lifecycle {
    /// Whether it is over at a time.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.ends.map_or(self.over, |ends| ends <= now)
    }

    /// Whether it speaks of a system: of its very release, or of the line that it is of (`8` of `8.10`).
    #[must_use]
    pub fn is_of(&self, os: &OsRelease) -> bool {
        let rest = os.version.strip_prefix(self.release.as_str());
        self.os == os.id && !self.release.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// Of several that speak of a system, the closest.
    #[must_use]
    pub fn find<'a>(all: &'a [Self], os: &OsRelease) -> Option<&'a Self> {
        all.iter().filter(|lifecycle| lifecycle.is_of(os)).max_by_key(|lifecycle| lifecycle.release.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_release_speaks() {
        let of = |os: &str, release: &str, ends: Option<&str>, over| Lifecycle {
            os: os.into(),
            release: release.into(),
            label: String::new(),
            ends: ends.map(|date| Timestamp::parse(&format!("{date}T00:00:00Z")).unwrap()),
            over,
        };
        let all = [of("rhel", "8", Some("2029-05-31"), false), of("rhel", "8.4", Some("2023-05-31"), false), of("rhel", "5", None, true)];
        let now = Timestamp::parse("2026-11-28T00:00:00Z").unwrap();
        let is_over = |id: &str, version: &str| {
            let os = OsRelease { id: id.into(), version: version.into(), pretty_name: String::new() };
            Lifecycle::find(&all, &os).map(|lifecycle| lifecycle.is_over(now))
        };
        assert_eq!(
            ["8.10", "8.4", "8.44", "5.11", "80", ""].map(|version| is_over("rhel", version)),
            [Some(false), Some(true), Some(false), Some(true), None, None]
        );
        assert_eq!(is_over("debian", "8"), None);
    }
}
