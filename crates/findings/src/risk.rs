//! The open risk score, 0 to 100: impact x likelihood x exposure x the resource's weight.
//!
//! ```text
//! impact      CVSS base / 10; 0.5 when nobody has scored it
//! likelihood  1 when exploited in the wild; else from a floor to 1 with EPSS (0 when unknown): 0.6 where a program attacks by itself,
//!             0.4 where there is a proof of concept, 0.3 where nothing is known to have been published
//! exposure    none 0.4, unknown 0.55, private 0.6, load balancer 0.8, internet 0.9, internet and listening 1
//! weight      0.5 to 1, by tags; 1 when nothing is said
//! ```
//!
//! Monotone in each of its inputs and bounded by construction.

use lestrade_model::{ExploitMaturity, Exposure};

/// What the score is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RiskFactors {
    /// The CVSS base score, 0 to 10.
    pub cvss: Option<f64>,
    /// How far attacks are worked out.
    pub maturity: ExploitMaturity,
    /// EPSS, 0 to 1.
    pub epss: Option<f64>,
    /// From how far it can be reached.
    pub exposure: Exposure,
    /// How much the resource matters, 0.5 to 1.
    pub weight: f64,
}

/// The score and its factors, each 0 to 1: a waterfall that a person can read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RiskScore {
    /// 0 to 100.
    pub value: f64,
    /// How bad.
    pub impact: f64,
    /// How likely.
    pub likelihood: f64,
    /// How reachable.
    pub exposure: f64,
    /// How important.
    pub weight: f64,
}

/// Scores.
#[must_use]
pub fn risk(factors: &RiskFactors) -> RiskScore {
    let (impact, likelihood) = (impact(factors.cvss), likelihood(factors.maturity, factors.epss));
    let (exposure, weight) = (reach(factors.exposure), factors.weight.clamp(0.5, 1.0));
    RiskScore { value: (1000.0 * impact * likelihood * exposure * weight).round() / 10.0, impact, likelihood, exposure, weight }
}

/// How bad what has this score is.
pub(crate) fn impact(cvss: Option<f64>) -> f64 {
    cvss.map_or(0.5, |cvss| (cvss / 10.0).clamp(0.0, 1.0))
}

/// How likely what is attacked so is.
pub(crate) fn likelihood(maturity: ExploitMaturity, epss: Option<f64>) -> f64 {
    let floor = match maturity {
        ExploitMaturity::Unreported => 0.3,
        ExploitMaturity::ProofOfConcept => 0.4,
        ExploitMaturity::Functional => 0.6,
        ExploitMaturity::Attacked => 1.0,
    };
    floor + (1.0 - floor) * epss.unwrap_or(0.0).clamp(0.0, 1.0)
}

/// How reachable what is exposed so is.
pub(crate) const fn reach(exposure: Exposure) -> f64 {
    match exposure {
        Exposure::None => 0.4,
        Exposure::Unknown => 0.55,
        Exposure::Private => 0.6,
        Exposure::LoadBalancer => 0.8,
        Exposure::Internet => 0.9,
        Exposure::InternetListening => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXPOSURES: [Exposure; 6] =
        [Exposure::None, Exposure::Unknown, Exposure::Private, Exposure::LoadBalancer, Exposure::Internet, Exposure::InternetListening];

    const MATURITIES: [ExploitMaturity; 4] =
        [ExploitMaturity::Unreported, ExploitMaturity::ProofOfConcept, ExploitMaturity::Functional, ExploitMaturity::Attacked];

    proptest! {
        #[test]
        fn monotone_and_bounded(
            cvss in 0.0..10.0f64, epss in 0.0..1.0f64, e in 0usize..6, m in 0usize..4, weight in 0.5..1.0f64, more in 0.0..1.0f64
        ) {
            let base = RiskFactors { cvss: Some(cvss), maturity: MATURITIES[m], epss: Some(epss), exposure: EXPOSURES[e], weight };
            let value = risk(&base).value;
            prop_assert!((0.0..=100.0).contains(&value));
            for raised in [
                RiskFactors { cvss: Some(cvss + more * (10.0 - cvss)), ..base },
                RiskFactors { maturity: MATURITIES[(m + 1).min(3)], ..base },
                RiskFactors { epss: Some(epss + more * (1.0 - epss)), ..base },
                RiskFactors { exposure: EXPOSURES[(e + 1).min(5)], ..base },
                RiskFactors { weight: weight + more * (1.0 - weight), ..base },
            ] {
                prop_assert!(risk(&raised).value >= value);
            }
        }
    }
}
