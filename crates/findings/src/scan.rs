//! One inventory against the index, once: what `lestrade scan` answers. The same two gates as the watching server.

use crate::{AffectedPackage, Assessment, Condition, assess};
use lestrade_matching::{
    AdvisoryIndex, Applicability, IndexError, Statement, Statements, Verdict, applies_to, comparable, judge_component,
};
use lestrade_model::{Component, Ecosystem, Family, FixState, Lifecycle, PackedComponent, PackedInventory, ResourceFacts, Timestamp};
use std::collections::BTreeMap;
use std::ops::Range;

/// A vulnerability that is in an inventory.
#[derive(Clone, Debug)]
pub struct ScanFinding {
    /// What is known of it.
    pub assessment: Assessment,
    /// What is affected: at least one.
    pub packages: Vec<AffectedPackage>,
}

/// A package of a finding that a statement speaks against: it is told, and does not count.
#[derive(Clone, Debug)]
pub struct Excepted {
    /// The vulnerability.
    pub assessment: Assessment,
    /// What would be affected.
    pub package: AffectedPackage,
    /// Who says that it is not, and why.
    pub statement: Statement,
}

/// What was found, and what was not judged.
#[derive(Clone, Debug, Default)]
pub struct ScanResult {
    /// Findings, by vulnerability id.
    pub findings: Vec<ScanFinding>,
    /// The numbers of components whose versions cannot be compared or of whose ecosystem nothing is known: listed, and not clean.
    pub not_judged: Vec<u32>,
    /// Components that do not count here, with the reason.
    pub not_applicable: Vec<(Component, &'static str)>,
    /// Packages that a statement speaks against, by vulnerability id.
    pub excepted: Vec<Excepted>,
}

/// The finding that a system is no longer looked after, if that is so at a time. It stands where a package would: at the system.
#[must_use]
pub fn end_of_life(lifecycles: &[Lifecycle], inventory: &PackedInventory, now: Timestamp) -> Option<ScanFinding> {
    let os = inventory.os.as_ref()?;
    let condition = Condition::end_of_life(lifecycles, os, now)?;
    let ecosystem = os.ecosystem().unwrap_or_else(|| Ecosystem::of(Family::Other(os.id.clone())));
    let verdict = Verdict { state: FixState::EndOfLife, fixed_in: None, vendor_severity: None };
    let package = AffectedPackage::of(&Component::new(ecosystem, &os.id, &os.version), &verdict);
    Some(ScanFinding { assessment: Assessment::of_condition(condition), packages: vec![package] })
}

/// What was said of some components of an inventory.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    by_vulnerability: BTreeMap<String, Vec<(u32, Verdict)>>,
    not_judged: Vec<u32>,
    not_applicable: Vec<(Component, &'static str)>,
}

/// Judges the components of these numbers: whoever has several threads has each judge some.
///
/// # Errors
/// When the index is corrupt.
pub fn judge<B: AsRef<[u8]>>(
    index: &AdvisoryIndex<B>,
    inventory: &PackedInventory,
    facts: &ResourceFacts,
    numbers: Range<u32>,
) -> Result<Judged, IndexError> {
    let mut judged = Judged::default();
    // Sorted components have those of one ecosystem together: what holds of all of them is asked once.
    let mut before: Option<(&Ecosystem, bool)> = None;
    for number in numbers {
        let Some(packed) = inventory.component(number) else { continue };
        let spoken_of = match before {
            Some((ecosystem, spoken_of)) if std::ptr::eq(ecosystem, packed.ecosystem) => spoken_of,
            _ => index.manifest().speaks_of(packed.ecosystem),
        };
        before = Some((packed.ecosystem, spoken_of));
        if spoken_of && is_unheard_of(index, facts, &packed)? {
            continue;
        }
        let component = packed.to_component();
        if let Applicability::NotApplicable(reason) = applies_to(facts, &component) {
            judged.not_applicable.push((component, reason));
            continue;
        }
        // Of what an operating system owns its own packages are judged.
        if !(comparable(&component) && spoken_of || component.os_owned) {
            judged.not_judged.push(number);
        }
        for (vulnerability, verdict) in judge_component(index, &component)? {
            judged.by_vulnerability.entry(vulnerability).or_default().push((number, verdict));
        }
    }
    Ok(judged)
}

/// Whether a component is one that counts, can be compared and bears a name that no advisory names: most of a large bill of materials,
/// for which nothing needs to be put together.
fn is_unheard_of<B: AsRef<[u8]>>(
    index: &AdvisoryIndex<B>,
    facts: &ResourceFacts,
    component: &PackedComponent<'_>,
) -> Result<bool, IndexError> {
    // Families for which nothing but the name decides whether there is anything to be compared.
    let by_name = matches!(
        component.ecosystem.family,
        Family::Npm | Family::PyPi | Family::Maven | Family::CratesIo | Family::RubyGems | Family::NuGet | Family::Packagist | Family::Go
    );
    Ok(by_name && facts.running_kernel.is_none() && !index.names_package(&component.ecosystem.family, component.name)?)
}

/// Judges every component of an inventory; what statements speak against is set apart.
///
/// # Errors
/// When the index is corrupt.
pub fn scan<B: AsRef<[u8]>>(
    index: &AdvisoryIndex<B>,
    inventory: &PackedInventory,
    facts: &ResourceFacts,
    statements: &Statements,
) -> Result<ScanResult, IndexError> {
    let all = 0..u32::try_from(inventory.len()).unwrap_or(u32::MAX);
    tell(index, inventory, statements, vec![judge(index, inventory, facts, all)?])
}

/// Puts together what was said of all components of an inventory, in the order of their numbers.
///
/// # Errors
/// When the index is corrupt.
pub fn tell<B: AsRef<[u8]>>(
    index: &AdvisoryIndex<B>,
    inventory: &PackedInventory,
    statements: &Statements,
    parts: Vec<Judged>,
) -> Result<ScanResult, IndexError> {
    let mut result = ScanResult::default();
    let mut by_vulnerability: BTreeMap<String, Vec<(u32, Verdict)>> = BTreeMap::new();
    for mut part in parts {
        result.not_judged.append(&mut part.not_judged);
        result.not_applicable.append(&mut part.not_applicable);
        part.by_vulnerability.into_iter().for_each(|(id, mut verdicts)| by_vulnerability.entry(id).or_default().append(&mut verdicts));
    }
    for (vulnerability, verdicts) in by_vulnerability {
        let advisories =
            index.advisories_of(&vulnerability)?.into_iter().map(|ordinal| index.advisory(ordinal)).collect::<Result<Vec<_>, _>>()?;
        let assessment = assess(&vulnerability, &advisories, index.exploitation(&vulnerability)?.as_ref());
        let ids: Vec<&str> = std::iter::once(vulnerability.as_str()).chain(assessment.related.iter().map(String::as_str)).collect();
        let mut packages = Vec::new();
        for package in verdicts.iter().flat_map(|(number, verdict)| affected_packages(inventory, *number, verdict)) {
            match statements.against(&ids, &package.component, package.path.as_deref().unwrap_or_default()) {
                Some(statement) => {
                    result.excepted.push(Excepted { assessment: assessment.clone(), package, statement: statement.clone() });
                }
                None => packages.push(package),
            }
        }
        if !packages.is_empty() {
            result.findings.push(ScanFinding { assessment, packages });
        }
    }
    Ok(result)
}

/// A component with a verdict, once for each place where it lies.
fn affected_packages(inventory: &PackedInventory, number: u32, verdict: &Verdict) -> Vec<AffectedPackage> {
    let Some(component) = inventory.component(number) else { return Vec::new() };
    let affected = AffectedPackage::of(&component.to_component(), verdict);
    inventory.places(number).map(|place| affected.at(&place.to_occurrence(number))).collect()
}
