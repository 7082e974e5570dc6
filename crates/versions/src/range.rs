//! Where a version stands in a range of events (OSV schema, "Evaluation").

use crate::Scheme;
use lestrade_model::Event;
use std::cmp::Ordering;

/// Where a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position<'a> {
    /// Outside: not affected by this range.
    Outside,
    /// Inside; the first fixed version above it, if the range names one.
    Inside {
        /// The version that fixes this one.
        fixed: Option<&'a str>,
    },
}

/// Evaluates one range. Events may come in any order and in several introduced/fixed pairs: in the order of
/// their versions the last one at or below the version decides. `introduced: "0"` is before every version. At the same version a fix comes before an
/// introduction and a last-affected after it.
#[must_use]
pub fn position<'a, S: AsRef<str>>(scheme: Scheme, events: &'a [Event<S>], version: &str) -> Position<'a> {
    let mut limits = events.iter().filter_map(|event| if let Event::Limit(limit) = event { Some(limit.as_ref()) } else { None });
    if limits.clone().next().is_some() && !limits.any(|limit| limit == "*" || scheme.compare(version, limit).is_lt()) {
        return Position::Outside;
    }
    // Of what is at or below the version the last decides, of the fixes above it the first is told: neither needs them sorted.
    let mut last: Option<Mark<'a>> = None;
    let mut fixed: Option<&'a str> = None;
    for mark in events.iter().filter_map(Mark::of) {
        if mark.reached(scheme, version) {
            if last.as_ref().is_none_or(|last| mark.compare(last, scheme).is_gt()) {
                last = Some(mark);
            }
        } else if mark.kind == Kind::Fixed && fixed.is_none_or(|first| scheme.compare(mark.version, first).is_lt()) {
            fixed = Some(mark.version);
        }
    }
    let inside = last.is_some_and(|mark| mark.kind == Kind::Introduced);
    if inside { Position::Inside { fixed } } else { Position::Outside }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Fixed,
    Introduced,
    LastAffected,
}

struct Mark<'a> {
    kind: Kind,
    version: &'a str,
}

impl<'a> Mark<'a> {
    fn of<S: AsRef<str>>(event: &'a Event<S>) -> Option<Self> {
        let (kind, version) = match event {
            Event::Introduced(version) => (Kind::Introduced, version),
            Event::Fixed(version) => (Kind::Fixed, version),
            Event::LastAffected(version) => (Kind::LastAffected, version),
            Event::Limit(_) => return None,
        };
        Some(Self { kind, version: version.as_ref() })
    }

    fn is_beginning(&self) -> bool {
        self.kind == Kind::Introduced && self.version == "0"
    }

    fn compare(&self, other: &Self, scheme: Scheme) -> Ordering {
        other
            .is_beginning()
            .cmp(&self.is_beginning())
            .then_with(|| scheme.compare(self.version, other.version))
            .then_with(|| self.kind.cmp(&other.kind))
    }

    fn reached(&self, scheme: Scheme, version: &str) -> bool {
        self.is_beginning()
            || match scheme.compare(version, self.version) {
                Ordering::Greater => true,
                Ordering::Equal => self.kind != Kind::LastAffected,
                Ordering::Less => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(list: &[(&str, &str)]) -> Vec<Event> {
        list.iter()
            .map(|(kind, version)| {
                let version = (*version).to_owned();
                match *kind {
                    "introduced" => Event::Introduced(version),
                    "fixed" => Event::Fixed(version),
                    "last" => Event::LastAffected(version),
                    _ => Event::Limit(version),
                }
            })
            .collect()
    }

    #[test]
    fn several_pairs_in_any_order() {
        let events = events(&[("fixed", "2.1.0"), ("introduced", "0"), ("fixed", "1.5.0"), ("introduced", "2.0.0")]);
        for (version, expected) in [
            ("1.0.0", Position::Inside { fixed: Some("1.5.0") }),
            ("1.5.0", Position::Outside),
            ("1.9.0", Position::Outside),
            ("2.0.0", Position::Inside { fixed: Some("2.1.0") }),
            ("2.1.0", Position::Outside),
        ] {
            assert_eq!(position(Scheme::Semver, &events, version), expected, "{version}");
        }
    }

    /// What [`position`] answers, by sorting.
    fn by_sorting<'a>(scheme: Scheme, events: &'a [Event], version: &str) -> Position<'a> {
        let mut marks: Vec<Mark<'a>> = events.iter().filter_map(Mark::of).collect();
        marks.sort_by(|a, b| a.compare(b, scheme));
        let last = marks.iter().rfind(|mark| mark.reached(scheme, version));
        let fixed = marks.iter().find(|mark| mark.kind == Kind::Fixed && !mark.reached(scheme, version)).map(|mark| mark.version);
        if last.is_some_and(|mark| mark.kind == Kind::Introduced) { Position::Inside { fixed } } else { Position::Outside }
    }

    #[test]
    fn what_is_not_sorted_is_judged_as_if_it_were() {
        const VERSIONS: [&str; 7] = ["0", "1", "1.0", "1.0-rc1", "2.0", "2.0.1", "x"];
        let kinds = ["introduced", "fixed", "last"];
        let all: Vec<(&str, &str)> = kinds.iter().flat_map(|kind| VERSIONS.map(|version| (*kind, version))).collect();
        for (a, b) in all.iter().flat_map(|a| all.iter().map(move |b| (*a, *b))) {
            for c in &all {
                let events = events(&[a, b, *c]);
                for scheme in [Scheme::Semver, Scheme::Deb, Scheme::Pep440] {
                    for version in VERSIONS {
                        let (fast, slow) = (position(scheme, &events, version), by_sorting(scheme, &events, version));
                        assert_eq!(fast, slow, "{events:?} {version} {scheme:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_last_affected_version_is_affected() {
        let events = events(&[("introduced", "1.0"), ("last", "1.2")]);
        assert_eq!(position(Scheme::Pep440, &events, "1.2.0"), Position::Inside { fixed: None });
        assert_eq!(position(Scheme::Pep440, &events, "1.2.1"), Position::Outside);
    }

    #[test]
    fn without_a_fix_everything_from_the_introduction_on_is_affected() {
        let events = events(&[("introduced", "0")]);
        assert_eq!(position(Scheme::Deb, &events, "~~"), Position::Inside { fixed: None });
    }

    #[test]
    fn a_limit_ends_what_is_spoken_about() {
        let events = events(&[("introduced", "0"), ("limit", "2.0")]);
        assert_eq!(position(Scheme::Semver, &events, "2.0.0"), Position::Outside);
        assert_eq!(position(Scheme::Semver, &events, "1.0.0"), Position::Inside { fixed: None });
    }
}
