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

/// Evaluates one range. Events may come in any order and in several introduced/fixed pairs: they are sorted, and the last one at
/// or below the version decides. `introduced: "0"` is before every version. At the same version a fix comes before an
/// introduction and a last-affected after it.
#[must_use]
pub fn position<'a>(scheme: Scheme, events: &'a [Event], version: &str) -> Position<'a> {
    let mut marks: Vec<Mark<'a>> = events.iter().filter_map(Mark::of).collect();
    marks.sort_by(|a, b| a.compare(b, scheme));
    let limits = || events.iter().filter_map(|event| if let Event::Limit(limit) = event { Some(limit.as_str()) } else { None });
    if limits().next().is_some() && !limits().any(|limit| limit == "*" || scheme.compare(version, limit).is_lt()) {
        return Position::Outside;
    }
    let mut inside = false;
    let mut fixed = None;
    for mark in &marks {
        let reached = mark.reached(scheme, version);
        match mark.kind {
            Kind::Introduced if reached => inside = true,
            Kind::Fixed | Kind::LastAffected if reached => inside = false,
            Kind::Fixed if fixed.is_none() => fixed = Some(mark.version),
            _ => {}
        }
    }
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
    fn of(event: &'a Event) -> Option<Self> {
        let (kind, version) = match event {
            Event::Introduced(version) => (Kind::Introduced, version),
            Event::Fixed(version) => (Kind::Fixed, version),
            Event::LastAffected(version) => (Kind::LastAffected, version),
            Event::Limit(_) => return None,
        };
        Some(Self { kind, version })
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
