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

    /// The metrics without which a vector has no score.
    const fn base_metrics(self) -> &'static [&'static str] {
        match self {
            Self::V2 => &["AV", "AC", "Au", "C", "I", "A"],
            Self::V30 | Self::V31 => &["AV", "AC", "PR", "UI", "S", "C", "I", "A"],
            Self::V4 => &["AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA"],
        }
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
        let score = (parsed.score() * 10.0).round() / 10.0;
        Ok(Self { version, vector: vector.to_owned(), score })
    }
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
