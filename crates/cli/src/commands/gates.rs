//! Gates: when a scan fails, and with which number.

use crate::args::Gate;
use lestrade_findings::ScanFinding;
use lestrade_model::Severity;
use lestrade_report::ScanReport;
use serde_json::Value;

/// What gates look at.
pub(crate) struct Facts {
    severity: Severity,
    risk: f64,
    epss: f64,
    known_exploited: bool,
    fixable: bool,
}

impl From<&ScanFinding> for Facts {
    fn from(finding: &ScanFinding) -> Self {
        Self {
            severity: finding.assessment.severity,
            risk: ScanReport::risk_of(finding),
            epss: finding.assessment.epss.unwrap_or_default(),
            known_exploited: finding.assessment.known_exploited.is_some(),
            fixable: finding.packages.iter().any(|package| package.fixed_in.is_some()),
        }
    }
}

impl Facts {
    /// Of a finding in a report of ours in JSON.
    pub(crate) fn of_json(finding: &Value) -> Self {
        Self {
            severity: finding["severity"].as_str().and_then(|word| word.parse().ok()).unwrap_or(Severity::Untriaged),
            risk: finding["risk"].as_f64().unwrap_or_default(),
            epss: finding["epss"].as_f64().unwrap_or_default(),
            known_exploited: !finding["knownExploited"].is_null(),
            fixable: finding["packages"].as_array().into_iter().flatten().any(|package| package["fixedIn"].is_string()),
        }
    }

    /// Whether any gate trips.
    pub(crate) fn trip(&self, gates: &[Gate]) -> bool {
        gates.iter().any(|gate| match gate {
            Gate::Severity(least) => self.severity >= *least,
            Gate::Risk(least) => self.risk >= *least,
            Gate::Epss(least) => self.epss >= *least,
            Gate::KnownExploited => self.known_exploited,
            Gate::Fixable => self.fixable,
        })
    }
}
