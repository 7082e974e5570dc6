//! CVSS vectors of every version and their base scores.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The version of the CVSS standard (FIRST).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are their own documentation")]
pub enum CvssVersion {
    V2,
    V30,
    V31,
    V4,
}

impl CvssVersion {
    /// `2.0`, `3.0`, `3.1`, `4.0`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2 => "2.0",
            Self::V30 => "3.0",
            Self::V31 => "3.1",
            Self::V4 => "4.0",
        }
    }

    /// Whether a text is a vector by the letter of this version: every base metric, no metric twice, only values that exist, and
    /// the order and the whole groups that versions 2 and 4 ask for. [`Cvss::parse`] takes what can be scored, which is more.
    #[must_use]
    pub fn is_valid(self, vector: &str) -> bool {
        let (header, groups) = grammar(self);
        let Some(body) = vector.strip_prefix(header) else { return false };
        let known = || groups.iter().flat_map(|group| group.iter());
        let mut seen: Vec<usize> = Vec::new();
        for part in body.split('/') {
            let Some((metric, value)) = part.split_once(':') else { return false };
            let Some(place) = known().position(|(name, values)| *name == metric && values.split(' ').any(|v| v == value)) else {
                return false;
            };
            let is_ordered = matches!(self, Self::V30 | Self::V31) || seen.last().is_none_or(|last| *last < place);
            if seen.contains(&place) || !is_ordered {
                return false;
            }
            seen.push(place);
        }
        let mut start = 0;
        groups.iter().enumerate().all(|(i, group)| {
            let given = seen.iter().filter(|place| (start..start + group.len()).contains(place)).count();
            start += group.len();
            given == group.len() || i > 0 && (given == 0 || self != Self::V2)
        })
    }

    /// The metrics without which a vector has no score.
    const fn base_metrics(self) -> &'static [&'static str] {
        match self {
            Self::V2 => &["AV", "AC", "Au", "C", "I", "A"],
            Self::V30 | Self::V31 => &["AV", "AC", "PR", "UI", "S", "C", "I", "A"],
            Self::V4 => &["AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA"],
        }
    }
}

/// A metric and its values.
type Metric = (&'static str, &'static str);

/// How a vector begins, and its groups of metrics in order; the first is the base.
const fn grammar(version: CvssVersion) -> (&'static str, &'static [&'static [Metric]]) {
    const V2: &[&[Metric]] = &[
        &[("AV", "L A N"), ("AC", "L M H"), ("Au", "M S N"), ("C", "N P C"), ("I", "N P C"), ("A", "N P C")],
        &[("E", "U POC F H ND"), ("RL", "OF TF W U ND"), ("RC", "UC UR C ND")],
        &[("CDP", "N L LM MH H ND"), ("TD", "N L M H ND"), ("CR", "L M H ND"), ("IR", "L M H ND"), ("AR", "L M H ND")],
    ];
    const V3: &[&[Metric]] = &[
        &[("AV", "N A L P"), ("AC", "L H"), ("PR", "N L H"), ("UI", "N R"), ("S", "U C"), ("C", "H L N"), ("I", "H L N"), ("A", "H L N")],
        &[("E", "X H F P U"), ("RL", "X U W T O"), ("RC", "X C R U")],
        &[
            ("CR", "X H M L"),
            ("IR", "X H M L"),
            ("AR", "X H M L"),
            ("MAV", "X N A L P"),
            ("MAC", "X L H"),
            ("MPR", "X N L H"),
            ("MUI", "X N R"),
            ("MS", "X U C"),
            ("MC", "X N L H"),
            ("MI", "X N L H"),
            ("MA", "X N L H"),
        ],
    ];
    const V4: &[&[Metric]] = &[
        &[
            ("AV", "N A L P"),
            ("AC", "L H"),
            ("AT", "N P"),
            ("PR", "N L H"),
            ("UI", "N P A"),
            ("VC", "H L N"),
            ("VI", "H L N"),
            ("VA", "H L N"),
            ("SC", "H L N"),
            ("SI", "H L N"),
            ("SA", "H L N"),
        ],
        &[("E", "X A P U")],
        &[
            ("CR", "X H M L"),
            ("IR", "X H M L"),
            ("AR", "X H M L"),
            ("MAV", "X N A L P"),
            ("MAC", "X L H"),
            ("MAT", "X N P"),
            ("MPR", "X N L H"),
            ("MUI", "X N P A"),
            ("MVC", "X H L N"),
            ("MVI", "X H L N"),
            ("MVA", "X H L N"),
            ("MSC", "X H L N"),
            ("MSI", "X S H L N"),
            ("MSA", "X S H L N"),
        ],
        &[("S", "X N P"), ("AU", "X N Y"), ("R", "X A U I"), ("V", "X D C"), ("RE", "X L M H"), ("U", "X Clear Green Amber Red")],
    ];
    match version {
        CvssVersion::V2 => ("", V2),
        CvssVersion::V30 => ("CVSS:3.0/", V3),
        CvssVersion::V31 => ("CVSS:3.1/", V3),
        CvssVersion::V4 => ("CVSS:4.0/", V4),
    }
}

/// A vector that parsed, with its score: never a score that was told to us without one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cvss {
    /// Which standard.
    pub version: CvssVersion,
    /// The vector as given.
    pub vector: String,
    /// Its score, 0.0 to 10.0 in tenths.
    pub score: f64,
}

/// A text that is not a vector of any version.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a CVSS vector")]
pub struct UnusableVector(String);

impl Cvss {
    /// Parses a vector of any version and computes its score.
    ///
    /// Trailing "not defined" metrics of version 4 (`/E:X/CR:X`) are accepted.
    ///
    /// # Errors
    /// When it is not a vector.
    pub fn parse(vector: &str) -> Result<Self, UnusableVector> {
        let vector = vector.trim();
        let refuse = || UnusableVector(vector.chars().take(128).collect());
        if vector.len() > 512 {
            return Err(refuse());
        }
        let parsed = cvss::Cvss::from_str(vector).map_err(|_| refuse())?;
        let version = match &parsed {
            cvss::Cvss::CvssV20(_) => CvssVersion::V2,
            cvss::Cvss::CvssV30(_) => CvssVersion::V30,
            cvss::Cvss::CvssV31(_) => CvssVersion::V31,
            cvss::Cvss::CvssV40(_) => CvssVersion::V4,
            _ => return Err(refuse()),
        };
        if !version.base_metrics().iter().all(|metric| vector.split('/').any(|part| part.split(':').next() == Some(metric))) {
            return Err(refuse());
        }
        Ok(Self { version, vector: vector.to_owned(), score: tenths(parsed.score()) })
    }

    /// The score with the temporal metrics: how it stands with exploits and fixes. Version 4 has one score, which holds them all.
    #[must_use]
    pub fn temporal(&self) -> Option<f64> {
        match cvss::Cvss::from_str(&self.vector).ok()? {
            cvss::Cvss::CvssV20(vector) => Some(tenths(vector.temporal_score().value())),
            cvss::Cvss::CvssV30(_) | cvss::Cvss::CvssV31(_) => {
                let weight = self.vector.split('/').map(temporal_weight).product::<f64>();
                Some(round_up(self.score * weight, self.version))
            }
            _ => None,
        }
    }

    /// The score with the environmental metrics: how it stands where this vector was written for.
    #[must_use]
    pub fn environmental(&self) -> Option<f64> {
        match cvss::Cvss::from_str(&self.vector).ok()? {
            cvss::Cvss::CvssV20(vector) => Some(tenths(vector.environmental_score().value())),
            cvss::Cvss::CvssV30(_) | cvss::Cvss::CvssV31(_) => {
                // Weighed here: the crate's multiplication of version 3.0 rounds 9.2 up to 9.3.
                let is_weight = |part: &&str| ["E:", "RL:", "RC:"].iter().any(|metric| part.starts_with(metric));
                let unweighed = self.vector.split('/').filter(|part| !is_weight(part)).collect::<Vec<_>>().join("/");
                let (cvss::Cvss::CvssV30(vector) | cvss::Cvss::CvssV31(vector)) = cvss::Cvss::from_str(&unweighed).ok()? else {
                    return None;
                };
                let weight = self.vector.split('/').map(temporal_weight).product::<f64>();
                Some(round_up(tenths(vector.environmental_score().value()) * weight, self.version))
            }
            _ => None,
        }
    }
}

/// Scores have one digit behind the point, and zero has no sign.
fn tenths(score: f64) -> f64 {
    (score * 10.0).round() / 10.0 + 0.0
}

/// What a temporal metric of version 3 multiplies the score by (CVSS v3.1, section 7.4).
fn temporal_weight(metric: &str) -> f64 {
    match metric {
        "E:U" => 0.91,
        "E:P" => 0.94,
        "E:F" | "RL:W" => 0.97,
        "RL:O" => 0.95,
        "RL:T" | "RC:R" => 0.96,
        "RC:U" => 0.92,
        _ => 1.0,
    }
}

/// "Roundup": version 3.1 made it proof against floating point (CVSS v3.1, appendix A).
fn round_up(score: f64, version: CvssVersion) -> f64 {
    // A score of one digit times three weights of two has seven; what stands behind them is the machine's.
    let digits = if version == CvssVersion::V30 { 1e7 } else { 1e5 };
    ((score * digits).round() / digits * 10.0).ceil() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_vectors_have_their_known_scores() {
        for (vector, version, score) in [
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", CvssVersion::V31, 10.0),
            ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", CvssVersion::V30, 8.8),
            ("AV:N/AC:L/Au:N/C:P/I:P/A:P", CvssVersion::V2, 7.5),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", CvssVersion::V4, 9.3),
        ] {
            let cvss = Cvss::parse(vector).unwrap();
            assert_eq!((cvss.version, cvss.score), (version, score), "{vector}");
        }
        assert!(Cvss::parse("CVSS:3.1/AV:N").is_err());
        assert!(Cvss::parse("").is_err());
    }
}
