//! Arch Linux's security tracker (`security.archlinux.org/all.json`): groups (`AVG-1234`) of vulnerabilities of packages that are
//! built together, from the first version known to be affected to the one that is not.
//!
//! Packages are named as they are installed. There is one release, which rolls.

use super::{Brought, Format, Parsed, cut, is_cve};
use lestrade_model::{Advisory, Affected, Ecosystem, Event, Family, FixState, Reference};
use serde::Deserialize;
use serde_json::Value;

const FEED: &str = "arch";
/// The most packages of a group. Real ones have some thirty.
const MAX_PACKAGES: usize = 1_000;

pub(super) struct Arch;

#[derive(Deserialize)]
struct Group {
    name: String,
    packages: Vec<String>,
    status: String,
    #[serde(default)]
    severity: String,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    affected: Option<String>,
    #[serde(default)]
    fixed: Option<String>,
    #[serde(default)]
    issues: Vec<String>,
    #[serde(default)]
    advisories: Vec<String>,
}

fn is_group(group: &Value) -> bool {
    group["name"].as_str().is_some_and(|name| name.starts_with("AVG-")) && group.get("packages").is_some() && group.get("issues").is_some()
}

impl Format for Arch {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        matches!(document, Parsed::List(groups) if groups.first().is_some_and(is_group))
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let Parsed::List(groups) = document else { return Brought::default() };
        let mut brought = Brought::default();
        for group in groups {
            match serde_json::from_value::<Group>(group).map_err(|error| error.to_string()).and_then(Group::advisory) {
                Ok(advisory) => brought.advisories.extend(advisory),
                Err(reason) => brought.quarantined.push((name.to_owned(), reason)),
            }
        }
        brought
    }
}

impl Group {
    /// None of what is about no vulnerability.
    fn advisory(self) -> Result<Option<Advisory>, String> {
        if !self.name.starts_with("AVG-") || self.name.len() > 64 {
            return Err("a group without a name".into());
        }
        if self.packages.len() > MAX_PACKAGES {
            return Err(format!("{}: {} packages", self.name, self.packages.len()));
        }
        let mut upstream: Vec<String> = self.issues.iter().filter(|id| is_cve(id)).cloned().collect();
        upstream.sort_unstable();
        upstream.dedup();
        if upstream.is_empty() {
            return Ok(None);
        }
        let ecosystem = Ecosystem::of(Family::Arch);
        let fixed = self.fixed.as_deref().filter(|version| !version.is_empty());
        let first = self.affected.as_deref().filter(|version| !version.is_empty());
        let entry = |package: &String| {
            let entry = match (self.status.as_str(), fixed) {
                ("Not affected", _) => return None,
                // What is only in testing is not yet where it is installed from, but it is what to upgrade to.
                ("Fixed" | "Testing", Some(fixed)) => Affected::before(ecosystem.clone(), package, fixed),
                ("Unknown", _) => Affected::always(ecosystem.clone(), package, FixState::UnderInvestigation),
                _ => Affected::always(ecosystem.clone(), package, FixState::Open),
            };
            Some(Affected { vendor_severity: self.word(), ..entry })
        };
        let mut affected: Vec<Affected> = self.packages.iter().filter_map(entry).collect();
        // The tracker names the version in which it was noticed; earlier ones are as vulnerable unless a group says the contrary, and
        // nobody looks at them. A fix that is not later than it is a slip: the version is then all that is known.
        if let (Some(first), Some(fixed)) = (first, fixed)
            && lestrade_versions::Scheme::Pacman.compare(first, fixed).is_gt()
        {
            affected.iter_mut().flat_map(|entry| &mut entry.ranges).for_each(|range| {
                range.events.retain(|event| !matches!(event, Event::Fixed(_)));
                range.events.push(Event::LastAffected(first.to_owned()));
            });
        }
        let links = std::iter::once(&self.name).chain(self.advisories.iter().filter(|id| id.starts_with("ASA-") && id.len() < 64));
        Ok(Some(Advisory {
            summary: cut(&format!("{}: {}", self.packages.join(", "), self.kind)),
            vendor_severity: self.word(),
            references: links.take(100).map(|id| Reference { url: format!("https://security.archlinux.org/{id}") }).collect(),
            upstream,
            affected,
            ..Advisory::new(FEED, &self.name)
        }))
    }

    /// Its word for how bad it is; `Unknown` is none.
    fn word(&self) -> Option<String> {
        Some(&self.severity).filter(|word| !word.is_empty() && *word != "Unknown").map(|word| word.chars().take(64).collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::documents::Syntax;
    use lestrade_model::{Event, FixState};

    const TRACKER: &str = include_str!("../../fuzz/seeds/arch");

    #[test]
    fn groups_are_fixed_open_or_not_affected() {
        let brought = super::super::read("all.json", Syntax::Json, TRACKER);
        assert_eq!(brought.quarantined, []);
        let shown: Vec<String> = brought
            .advisories
            .iter()
            .map(|advisory| {
                let states: Vec<String> = advisory
                    .affected
                    .iter()
                    .map(|entry| match &entry.ranges[0].events[..] {
                        [_, Event::Fixed(version)] => format!("{} {version}", entry.name),
                        [_, Event::LastAffected(version)] => format!("{} <={version}", entry.name),
                        _ => format!("{} {}", entry.name, entry.unfixed.as_str()),
                    })
                    .collect();
                format!("{} {:?} {states:?}", advisory.key.id, advisory.vulnerabilities())
            })
            .collect();
        assert_eq!(
            shown,
            [
                r#"AVG-1324 ["CVE-2023-4911"] ["glibc 2.38-7", "lib32-glibc 2.38-7"]"#,
                r#"AVG-2841 ["CVE-2024-3094"] ["xz 5.6.1-2"]"#,
                r#"AVG-2900 ["CVE-2025-6020"] ["pam open"]"#,
                r#"AVG-2901 ["CVE-2025-6021"] []"#,
                r#"AVG-2902 ["CVE-2025-6022"] ["bash under-investigation"]"#,
                r#"AVG-2904 ["CVE-2025-6024"] ["zsh <=5.9-5"]"#,
            ]
        );
        assert_eq!(brought.advisories[4].affected[0].unfixed, FixState::UnderInvestigation);
        assert_eq!(brought.advisories[0].vendor_severity.as_deref(), Some("High"));
        assert_eq!(brought.advisories[4].vendor_severity, None);
    }

    #[test]
    fn a_group_that_is_none_costs_itself() {
        let text = r#"[{"name": "AVG-1", "packages": ["a"], "status": "Vulnerable", "issues": ["CVE-2024-1000"]},
            {"name": "AVG-2", "packages": "a", "status": "Vulnerable", "issues": []}, 7]"#;
        let brought = super::super::read("all.json", Syntax::Json, text);
        assert_eq!((brought.advisories.len(), brought.quarantined.len()), (1, 2));
    }
}
