//! What is reported of what is known: everything, or what Amazon Inspector would.

use crate::Verdict;
use lestrade_model::{Component, Family, FixState};

/// What is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReportMode {
    /// Everything that is known to be so, or not known to be otherwise; each with where it stands.
    #[default]
    Full,
    /// What Inspector reports of operating systems: what is fixed; of Debian also what is open, of Ubuntu also what is open and to
    /// be fixed. Packages of languages are reported in both.
    Inspector,
}

impl ReportMode {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Inspector => "inspector",
        }
    }

    /// The mode of a word; none when there is no such mode.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        [Self::Full, Self::Inspector].into_iter().find(|mode| mode.as_str() == word)
    }

    /// Whether a verdict about a component is reported.
    #[must_use]
    pub fn reports(self, component: &Component, verdict: &Verdict) -> bool {
        let family = &component.ecosystem.family;
        if self == Self::Full || !family.is_os() || verdict.state == FixState::Fixed {
            return true;
        }
        match family {
            // The tracker calls all of these open; that no advisory of their own comes is a remark to it.
            Family::Debian => matches!(verdict.state, FixState::Open | FixState::Deferred | FixState::WillNotFix),
            Family::Ubuntu => verdict.state == FixState::Open,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_model::Ecosystem;

    #[test]
    fn inspector_reports_what_is_fixed_and_little_of_what_is_open() {
        const STATES: [FixState; 6] =
            [FixState::Fixed, FixState::Open, FixState::Deferred, FixState::WillNotFix, FixState::EndOfLife, FixState::UnderInvestigation];
        let reported = |mode: ReportMode, ecosystem: &str| {
            let component = Component::new(ecosystem.parse::<Ecosystem>().unwrap(), "a", "1");
            STATES.map(|state| mode.reports(&component, &Verdict { state, fixed_in: None, vendor_severity: None }))
        };
        for (ecosystem, expected) in [
            ("Debian:12", [true, true, true, true, false, false]),
            ("Ubuntu:22.04", [true, true, false, false, false, false]),
            ("Red Hat:9", [true, false, false, false, false, false]),
            ("Alpine:v3.20", [true, false, false, false, false, false]),
            ("npm", [true; 6]),
        ] {
            assert_eq!(reported(ReportMode::Inspector, ecosystem), expected, "{ecosystem}");
            assert_eq!(reported(ReportMode::Full, ecosystem), [true; 6], "{ecosystem}");
        }
    }
}
