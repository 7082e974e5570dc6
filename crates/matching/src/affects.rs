//! The first gate: is this component affected by this entry? Context-free; the only place that compares versions.

use lestrade_model::{Affected, Component, Event, Family, FixState, RangeKind, Remedies, is_curated};
use lestrade_versions::{Position, Scheme, position};
use serde::{Deserialize, Serialize};

/// That a component is affected, and where the fix stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Verdict {
    /// Where it stands.
    pub state: FixState,
    /// The version that fixes it, in the terms of the package that the advisory names; only with [`FixState::Fixed`].
    pub fixed_in: Option<String>,
    /// The distributor's own word for how bad it is in this package.
    pub vendor_severity: Option<String>,
}

impl Verdict {
    /// The verdict of two advisories that both find the component affected: a known fix beats none, of two fixes the later one is
    /// needed to be rid of both, and of two without a fix the one counts that says why.
    #[must_use]
    pub fn merge(self, other: Self, scheme: Option<Scheme>) -> Self {
        let vendor_severity = self.vendor_severity.clone().or_else(|| other.vendor_severity.clone());
        let winner = match (&self.fixed_in, &other.fixed_in) {
            (Some(a), Some(b)) if scheme.map_or_else(|| a.cmp(b), |s| s.compare(a, b)).is_lt() => other,
            (None, Some(_)) => other,
            (Some(_), _) => self,
            // That there is none yet says less than why there is none.
            (None, None) => match (self.state, other.state) {
                (FixState::Open, state) if state != FixState::Open => other,
                (state, FixState::Open) if state != FixState::Open => self,
                _ => std::cmp::min(self, other),
            },
        };
        Self { vendor_severity, ..winner }
    }
}

/// Whether versions of this component's ecosystem can be compared at all. Components for which this is false are listed and
/// counted as *not judged*, never as clean.
#[must_use]
pub fn comparable(component: &Component) -> bool {
    let family = &component.ecosystem.family;
    // Of Conda's packages only some are anybody's to judge.
    let is_judged = *family != Family::Conda || is_curated(family, &component.name);
    // Nobody tells of builds of other vendors under a distributor's names.
    let is_remis = Scheme::of(family) == Some(Scheme::Rpm) && component.version.contains(REMI);
    Scheme::of(family).is_some() && is_judged && !is_remis
}

/// What Remi's builds have in their releases.
const REMI: &str = ".remi";

/// Whether `component` is affected by `affected`; none if it is not.
///
/// The package must be the one that the entry names: same family, a release that it covers, same name (the source package's
/// where the family's advisories name those). A version is affected when it is in any range or in the list of versions. A
/// language package that belongs to an operating system's package is answered for by the distributor and never by its upstream.
/// Streams of a module are packages apart, though they share a name, and so are the flavours of Oracle's builds. Windows is affected
/// when it is below the fixed build and has neither an update that mends it nor one that supersedes such an update.
#[must_use]
pub fn affects<S: AsRef<str>>(affected: &Affected<S>, component: &Component) -> Option<Verdict> {
    if !affected.ecosystem.covers(&component.ecosystem) || !is_named(affected, component) || component.os_owned {
        return None;
    }
    if affected.ecosystem.family == Family::Windows {
        return lacks_updates(affected, component);
    }
    if !same_module(affected, component) || !same_flavour(affected, component) {
        return None;
    }
    judged_by_version(affected, component)
}

/// The distributor's own word, to keep.
fn word_of<S: AsRef<str>>(affected: &Affected<S>) -> Option<String> {
    affected.vendor_severity.as_ref().map(|word| word.as_ref().to_owned())
}

/// The verdict that the versions alone give.
fn judged_by_version<S: AsRef<str>>(affected: &Affected<S>, component: &Component) -> Option<Verdict> {
    let version = component.advised_version();
    let scheme = Scheme::of(&component.ecosystem.family);
    if version.trim().is_empty() {
        // Nobody knows which version it is: it may be any that the entry speaks of.
        return Some(Verdict { state: affected.unfixed, fixed_in: None, vendor_severity: word_of(affected) });
    }
    let mut hit = listed(affected, version, scheme);
    let mut fixed: Option<&str> = None;
    for range in &affected.ranges {
        let order = match range.kind {
            RangeKind::Semver => Some(Scheme::Semver),
            RangeKind::Ecosystem => scheme,
        };
        let Some(order) = order else { continue };
        if let Position::Inside { fixed: next } = position(order, &range.events, version) {
            hit = true;
            fixed = match (fixed, next) {
                (Some(a), Some(b)) if order.compare(a, b).is_lt() => Some(b),
                (a, b) => a.or(b),
            };
        }
    }
    hit.then(|| Verdict {
        state: if fixed.is_some() { FixState::Fixed } else { affected.unfixed },
        fixed_in: fixed.map(str::to_owned),
        vendor_severity: word_of(affected),
    })
}

/// The verdict about a system whose updates are known: its fix is the update, not the build that it leads to.
fn lacks_updates<S: AsRef<str>>(affected: &Affected<S>, component: &Component) -> Option<Verdict> {
    // The build tells of most, and sooner.
    let verdict = judged_by_version(affected, component)?;
    let remedies = Remedies::parse(affected.module.as_ref().map(AsRef::as_ref).unwrap_or_default());
    if remedies.are_met_by(&component.updates(), &component.version) {
        return None;
    }
    Some(match remedies.remedies.first() {
        Some(remedy) => Verdict { state: FixState::Fixed, fixed_in: Some(remedy.update.to_string()), ..verdict },
        None => verdict,
    })
}

/// Whether the entry names the component; one without a fix may name what it was built from.
fn is_named<S: AsRef<str>>(affected: &Affected<S>, component: &Component) -> bool {
    let has_fix = || affected.ranges.iter().flat_map(|range| &range.events).any(|event| matches!(event, Event::Fixed(_)));
    let name = affected.name.as_ref();
    name == component.advised_name() || (component.advised_source() == Some(name) && !has_fix())
}

/// Whether entry and component are of one module stream, or both of none. Builds in a module say so in their release, which tells
/// them apart where a database or a feed has lost the stream's name.
fn same_module<S: AsRef<str>>(affected: &Affected<S>, component: &Component) -> bool {
    let names_one = affected.module.is_some() || component.module.is_some();
    if !names_one && Scheme::of(&affected.ecosystem.family) != Some(Scheme::Rpm) {
        return true;
    }
    let is_build = |version: &str| has(version, ".module");
    let modular = component.module.is_some() || is_build(&component.version);
    match (&affected.module, &component.module) {
        (Some(stream), Some(own)) => stream.as_ref() == own,
        (Some(_), None) => modular,
        (None, _) => {
            let fixes = affected.ranges.iter().flat_map(|range| &range.events).filter_map(|event| match event {
                Event::Fixed(version) => Some(is_build(version.as_ref())),
                _ => None,
            });
            // Without a fix nothing says which builds are meant.
            let mut fixes = fixes.peekable();
            fixes.peek().is_none() || fixes.any(|of_module| of_module == modular)
        }
    }
}

/// Whether entry and component are of one flavour of builds. Oracle's that are patched while they run (`.ksplice1`) and those that are
/// certified (`_fips`) have epochs of their own: against the fix of another flavour every build would look too old. Remi's builds have
/// the names of the distributor's packages and its fixes at other versions.
fn same_flavour<S: AsRef<str>>(affected: &Affected<S>, component: &Component) -> bool {
    if Scheme::of(&component.ecosystem.family) != Some(Scheme::Rpm) {
        return true;
    }
    let is_oracle = component.ecosystem.family == Family::Oracle;
    let flavour = |version: &str| {
        [(".ksplice", is_oracle), ("_fips", is_oracle), (REMI, true)].map(|(flavour, tells)| tells && has(version, flavour))
    };
    let mut fixes = affected.ranges.iter().flat_map(|range| &range.events).filter_map(|event| match event {
        Event::Fixed(version) => Some(flavour(version.as_ref())),
        _ => None,
    });
    fixes.all(|fix| fix == flavour(&component.version))
}

/// Whether a version has this in it. Versions are short, so that looking for the first byte is faster than to prepare a search.
fn has(version: &str, part: &str) -> bool {
    let (version, part) = (version.as_bytes(), part.as_bytes());
    version.iter().enumerate().any(|(at, byte)| Some(byte) == part.first() && version[at..].starts_with(part))
}

/// Whether the list of versions names this one: verbatim, and for Python also in another spelling (PEP 440 normalisation).
fn listed<S: AsRef<str>>(affected: &Affected<S>, version: &str, scheme: Option<Scheme>) -> bool {
    let same_spelling = affected.versions.iter().any(|listed| listed.as_ref() == version);
    let same_version = || {
        affected.ecosystem.family == Family::PyPi
            && scheme.is_some_and(|scheme| affected.versions.iter().any(|listed| scheme.compare(listed.as_ref(), version).is_eq()))
    };
    same_spelling || same_version()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_model::{Ecosystem, Range};

    fn entry(ecosystem: &str, name: &str, events: &[Event]) -> Affected {
        Affected {
            ecosystem: ecosystem.parse().unwrap(),
            name: name.into(),
            module: None,
            ranges: vec![Range { kind: RangeKind::Ecosystem, events: events.to_vec() }],
            versions: vec![],
            unfixed: FixState::Open,
            vendor_severity: None,
        }
    }

    fn until(version: &str) -> Vec<Event> {
        vec![Event::Introduced("0".into()), Event::Fixed(version.into())]
    }

    fn component(ecosystem: &str, name: &str, version: &str) -> Component {
        Component::new(ecosystem.parse::<Ecosystem>().unwrap(), name, version)
    }

    #[test]
    fn debian_is_judged_by_its_source_package() {
        let openssl = entry("Debian:12", "openssl", &until("3.0.11-1~deb12u2"));
        let libssl = component("Debian:12", "libssl3", "3.0.9-1").from_source("openssl", "3.0.9-1");
        assert_eq!(affects(&openssl, &libssl).unwrap().fixed_in.as_deref(), Some("3.0.11-1~deb12u2"));
        let rebuilt = component("Debian:12", "libfoo", "9.9-1+b2").from_source("openssl", "3.0.11-1~deb12u2");
        assert_eq!(affects(&openssl, &rebuilt), None, "the source's version counts, not the binary's");
    }

    #[test]
    fn another_release_is_another_package() {
        let bullseye = entry("Debian:11", "openssl", &until("3"));
        assert_eq!(affects(&bullseye, &component("Debian:12", "openssl", "1")), None);
    }

    #[test]
    fn what_the_distribution_owns_the_distribution_answers_for() {
        let requests = entry("PyPI", "requests", &until("2.31.0"));
        let ours = component("PyPI", "requests", "2.28.1");
        assert!(affects(&requests, &ours).is_some());
        assert_eq!(affects(&requests, &ours.owned_by_os(true)), None);
    }

    #[test]
    fn listed_versions_match_in_any_python_spelling() {
        let mut listed = entry("PyPI", "a", &[]);
        listed.versions = vec!["1.0".into()];
        assert!(affects(&listed, &component("PyPI", "a", "1.0.0")).is_some());
        let mut listed = entry("npm", "a", &[]);
        listed.versions = vec!["1.0".into()];
        assert_eq!(affects(&listed, &component("npm", "a", "1.0.0")), None);
    }

    #[test]
    fn red_hat_names_what_it_fixed_as_installed_and_what_is_open_by_its_source() {
        let headers = component("Red Hat:9", "kernel-headers", "5.14.0-1.el9").from_source("kernel", "5.14.0-1.el9");
        let open = entry("Red Hat:9", "kernel", &[Event::Introduced("0".into())]);
        assert!(affects(&open, &headers).is_some());
        assert_eq!(affects(&entry("Red Hat:9", "kernel", &until("5.14.0-9.el9")), &headers), None, "a fix names each package");
        let debian = component("Debian:12", "libssl3", "3").from_source("openssl", "3");
        assert_eq!(affects(&entry("Debian:12", "libssl3", &[Event::Introduced("0".into())]), &debian), None);
    }

    #[test]
    fn streams_of_a_module_are_packages_apart() {
        let stream = |name: &str| Some(name.to_owned());
        let of_stream = |module| Affected { module, ..entry("AlmaLinux:8", "postgresql", &until("12.5-1.module_el8.3.0")) };
        let ours = |version: &str, module| component("AlmaLinux:8", "postgresql", version).in_module(module);
        let (old, new) = (ours("9.6.1-1.module_el8.1.0", stream("postgresql:9.6")), ours("12.1-1.module_el8.1.0", stream("postgresql:12")));
        let (lost, plain) = (ours("12.1-1.module_el8.1.0", None), ours("9.2-1.el8", None));
        let hits = |affected: &Affected| [&old, &new, &lost, &plain].map(|component| affects(affected, component).is_some());
        assert_eq!(hits(&of_stream(stream("postgresql:12"))), [false, true, true, false]);
        assert_eq!(hits(&of_stream(None)), [true, true, true, false], "the feed has lost the stream's name");
        assert_eq!(hits(&entry("AlmaLinux:8", "postgresql", &until("9.2-4.el8"))), [false, false, false, true]);
        assert_eq!(hits(&entry("AlmaLinux:8", "postgresql", &[Event::Introduced("0".into())])), [true; 4], "no fix yet");
        // Only rpm has them.
        assert!(affects(&entry("npm", "a", &until("2.0.0")), &component("npm", "a", "1.0.0-beta.module.1")).is_some());
    }

    #[test]
    fn windows_is_judged_by_its_build_and_by_what_supersedes_the_update() {
        const NAME: &str = "Windows Server 2022";
        let ecosystem = Ecosystem::release(Family::Windows, NAME);
        let remedies = |text: &str| Some(text.to_owned());
        let mut january = Affected::before(ecosystem.clone(), NAME, "10.0.20348.2227");
        january.module = remedies("KB5034129<KB5033118;KB5034770");
        let system = |build: &str, updates: &str| Component {
            module: Some(updates.to_owned()).filter(|updates| !updates.is_empty()),
            ..Component::new(ecosystem.clone(), NAME, build)
        };
        let verdict = affects(&january, &system("10.0.20348.2113", "KB5033118")).unwrap();
        assert_eq!((verdict.state, verdict.fixed_in.as_deref()), (FixState::Fixed, Some("KB5034129")));
        for (build, updates) in [("10.0.20348.2227", ""), ("10.0.20348", "KB5034129"), ("10.0.20348", "KB5033914 KB5034770")] {
            assert_eq!(affects(&january, &system(build, updates)), None, "{build} {updates}");
        }
        assert!(affects(&january, &system("", "")).is_some(), "nobody knows its build, and no update tells");
        // Builds of older systems do not tell: their updates need not bring what came before.
        let mut old = Affected::always(ecosystem.clone(), NAME, FixState::Open);
        old.module = remedies("KB5034171 KB5034184");
        assert!(affects(&old, &system("6.3.9600.99999", "")).is_some() && affects(&old, &system("6.3.9600.1", "KB5034184")).is_none());
        old.module = None;
        assert_eq!(affects(&old, &system("6.3.9600.1", "KB5034184")).unwrap().state, FixState::Open);
        let core = Ecosystem::release(Family::Windows, "Windows Server 2022 (Server Core installation)");
        assert_eq!(affects(&january, &Component::new(core, "Windows Server 2022 (Server Core installation)", "10.0.20348.1")), None);
    }

    #[test]
    fn builds_of_other_vendors_are_not_judged() {
        let php = |version: &str| comparable(&component("Red Hat:9", "php", version));
        assert!(php("8.0.13-1.el9") && !php("8.0.13-1.el9.remi"));
    }

    #[test]
    fn of_condas_packages_those_on_the_list_are_judged() {
        assert!(comparable(&component("Conda", "openssl", "1.1.1w")) && !comparable(&component("Conda", "numpy", "1.26.4")));
        let fixed = entry("Conda", "openssl", &until("1.1.1t"));
        assert!(affects(&fixed, &component("Conda", "openssl", "1.1.1s")).is_some());
        assert!(affects(&fixed, &component("Conda", "openssl", "1.1.1w")).is_none());
    }

    #[test]
    fn an_unknown_version_may_be_any() {
        assert!(affects(&entry("npm", "a", &until("1.0.0")), &component("npm", "a", "")).is_some());
    }

    #[test]
    fn of_two_fixes_the_later_is_needed() {
        let verdict = |fix: Option<&str>| Verdict {
            state: if fix.is_some() { FixState::Fixed } else { FixState::Open },
            fixed_in: fix.map(str::to_owned),
            vendor_severity: None,
        };
        let merged = verdict(Some("1.9")).merge(verdict(Some("1.10")), Some(Scheme::Semver));
        assert_eq!(merged.fixed_in.as_deref(), Some("1.10"));
        assert_eq!(verdict(None).merge(verdict(Some("2")), Some(Scheme::Semver)).state, FixState::Fixed);
    }

    #[test]
    fn of_two_without_a_fix_the_one_that_says_why_counts() {
        let merged = |a, b| {
            let verdict = |state| Verdict { state, fixed_in: None, vendor_severity: None };
            verdict(a).merge(verdict(b), Some(Scheme::Deb)).state
        };
        for state in [FixState::Deferred, FixState::WillNotFix, FixState::EndOfLife, FixState::UnderInvestigation] {
            assert_eq!((merged(FixState::Open, state), merged(state, FixState::Open)), (state, state));
        }
        assert_eq!(merged(FixState::EndOfLife, FixState::Deferred), merged(FixState::Deferred, FixState::EndOfLife));
    }
}
