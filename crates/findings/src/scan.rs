//! One inventory against the index, once: what `lestrade scan` answers. The same two gates as the watching server.

use crate::{AffectedPackage, Assessment, Condition, assess};
use lestrade_matching::{
    AdvisoryIndex, Applicability, IndexError, Statement, Statements, Verdict, applies_to, comparable, judge_component,
};
use lestrade_model::{Component, Ecosystem, Family, FixState, Inventory, Lifecycle, ResourceFacts, Timestamp};
use std::collections::BTreeMap;

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
    /// Components whose versions cannot be compared or of whose ecosystem nothing is known: listed, and not clean.
    pub not_judged: Vec<Component>,
    /// Components that do not count here, with the reason.
    pub not_applicable: Vec<(Component, &'static str)>,
    /// Packages that a statement speaks against, by vulnerability id.
    pub excepted: Vec<Excepted>,
}

/// The finding that a system is no longer looked after, if that is so at a time. It stands where a package would: at the system.
#[must_use]
pub fn end_of_life(lifecycles: &[Lifecycle], inventory: &Inventory, now: Timestamp) -> Option<ScanFinding> {
    let os = inventory.os.as_ref()?;
    let condition = Condition::end_of_life(lifecycles, os, now)?;
    let ecosystem = os.ecosystem().unwrap_or_else(|| Ecosystem::of(Family::Other(os.id.clone())));
    let verdict = Verdict { state: FixState::EndOfLife, fixed_in: None, vendor_severity: None };
    let package = AffectedPackage::of(&Component::new(ecosystem, &os.id, &os.version), &verdict);
    Some(ScanFinding { assessment: Assessment::of_condition(condition), packages: vec![package] })
}

/// Judges every component of an inventory; what statements speak against is set apart.
///
/// # Errors
/// When the index is corrupt.
pub fn scan<B: AsRef<[u8]>>(
    index: &AdvisoryIndex<B>,
    inventory: &Inventory,
    facts: &ResourceFacts,
    statements: &Statements,
) -> Result<ScanResult, IndexError> {
    let mut result = ScanResult::default();
    let mut by_vulnerability: BTreeMap<String, Vec<(u32, Verdict)>> = BTreeMap::new();
    for (number, component) in (0_u32..).zip(&inventory.components) {
        if let Applicability::NotApplicable(reason) = applies_to(facts, component) {
            result.not_applicable.push((component.clone(), reason));
            continue;
        }
        // Of what an operating system owns its own packages are judged.
        let judged = comparable(component) && index.manifest().speaks_of(&component.ecosystem);
        if !(judged || component.os_owned) {
            result.not_judged.push(component.clone());
        }
        for (vulnerability, verdict) in judge_component(index, component)? {
            by_vulnerability.entry(vulnerability).or_default().push((number, verdict));
        }
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
fn affected_packages(inventory: &Inventory, number: u32, verdict: &Verdict) -> Vec<AffectedPackage> {
    let affected = AffectedPackage::of(&inventory.components[number as usize], verdict);
    inventory.occurrences_of(number).map(|occurrence| affected.at(occurrence)).collect()
}
