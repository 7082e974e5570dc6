//! What a scan has to say, before it takes a form.

use lestrade_findings::{RiskFactors, ScanFinding, ScanResult, risk};
use lestrade_matching::{Manifest, Statement};
use lestrade_model::{Completeness, Exposure, FixState, PackedComponent, PackedInventory, Severity, Timestamp};

/// What the answer rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Intelligence {
    /// The generation's number.
    pub generation: u64,
    /// When its newest feed was brought in.
    pub newest: Option<Timestamp>,
    /// Feed names and their numbers of records.
    pub feeds: Vec<(String, u64)>,
    /// Whether it is only the set that ships with the program.
    pub starter_only: bool,
}

impl From<&Manifest> for Intelligence {
    fn from(manifest: &Manifest) -> Self {
        Self {
            generation: manifest.generation,
            newest: manifest.newest_import(),
            feeds: manifest.feeds.iter().map(|feed| (feed.feed.clone(), feed.records)).collect(),
            starter_only: manifest.is_starter_only(),
        }
    }
}

/// A scan's answer.
#[derive(Clone, Debug)]
pub struct ScanReport {
    /// What was scanned, as it was named.
    pub target: String,
    /// `image`, `rootfs`, `fs`, `repo`, `host`, `function`, `sbom`.
    pub kind: &'static str,
    /// What is in it.
    pub inventory: PackedInventory,
    /// What was found.
    pub result: ScanResult,
    /// What the answer rests on.
    pub intelligence: Intelligence,
    /// Exceptions that no longer hold.
    pub expired: Vec<Statement>,
    /// When it was scanned.
    pub at: Timestamp,
    /// The time that documents shall bear which are the same each time otherwise.
    pub source_date: Option<Timestamp>,
}

impl ScanReport {
    /// The risk score of a finding, without anything known of exposure: a scan looks at one artifact and at no network.
    #[must_use]
    pub fn risk_of(finding: &ScanFinding) -> f64 {
        let assessment = &finding.assessment;
        risk(&RiskFactors {
            cvss: assessment.decided_by.as_ref().map(|score| score.cvss.score),
            maturity: assessment.maturity,
            epss: assessment.epss,
            exposure: Exposure::Unknown,
            weight: 1.0,
        })
        .value
    }

    /// Findings, the riskiest first; of equal ones by id.
    #[must_use]
    pub fn by_risk(&self) -> Vec<&ScanFinding> {
        let mut findings: Vec<&ScanFinding> = self.result.findings.iter().collect();
        findings.sort_by(|a, b| Self::risk_of(b).total_cmp(&Self::risk_of(a)).then_with(|| a.assessment.id.cmp(&b.assessment.id)));
        findings
    }

    /// How many findings there are of each severity, the gravest first.
    #[must_use]
    pub fn counts(&self) -> Vec<(Severity, usize)> {
        let of = |severity| self.result.findings.iter().filter(|f| f.assessment.severity == severity).count();
        Severity::ALL.into_iter().rev().map(|severity| (severity, of(severity))).filter(|(_, count)| *count > 0).collect()
    }

    /// Components that were not judged, sorted.
    pub fn not_judged(&self) -> impl Iterator<Item = PackedComponent<'_>> {
        self.result.not_judged.iter().filter_map(|number| self.inventory.component(*number))
    }

    /// Whether everything was read and judged.
    #[must_use]
    pub fn completeness(&self) -> Completeness {
        if self.result.not_judged.is_empty() { self.inventory.completeness() } else { Completeness::Partial }
    }
}

/// The state of a finding as a whole: fixed if any package has a fix.
pub(crate) fn state_of(finding: &ScanFinding) -> FixState {
    finding.packages.iter().map(|package| package.state).min().unwrap_or(FixState::Open)
}
