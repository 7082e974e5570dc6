//! From how far an instance is attacked, as far as that moves its score (ADR 36).

use lestrade_model::{Cvss, CvssVersion, Exposure, ResourceKind, Score};
use serde::{Deserialize, Serialize};

/// From how far a resource is attacked. What is not known is the network: nothing is lowered on account of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reach {
    /// From the internet, or nobody knows; and whatever is no instance.
    #[default]
    Network,
    /// From neighbouring networks only.
    Adjacent,
    /// No path leads to it: who attacks it is on it already.
    Local,
}

impl Reach {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Network, Self::Adjacent, Self::Local];

    /// That of a resource that is exposed so. Inspector puts scores of instances into their context, and no other's.
    #[must_use]
    pub const fn of(kind: ResourceKind, exposure: Exposure) -> Self {
        match (kind, exposure) {
            (ResourceKind::Instance, Exposure::None) => Self::Local,
            (ResourceKind::Instance, Exposure::Private) => Self::Adjacent,
            _ => Self::Network,
        }
    }

    /// The attack vector that is put in the place of `AV:N`, and why.
    #[must_use]
    pub const fn adjustment(self) -> Option<(char, &'static str)> {
        match self {
            Self::Network => None,
            Self::Adjacent => {
                Some(('A', "No open network path leads from the internet to the instance; it can be reached from private networks."))
            }
            Self::Local => Some(('L', "No open network path leads to the instance.")),
        }
    }

    /// A score as it is in this reach; none when it is the same there: only what is attacked over a network is adjusted, and only by
    /// CVSS v3.
    #[must_use]
    pub fn adjust(self, score: &Score) -> Option<Cvss> {
        let (vector, _) = self.adjustment()?;
        if !matches!(score.cvss.version, CvssVersion::V30 | CvssVersion::V31) || !score.cvss.vector.contains("/AV:N") {
            return None;
        }
        Cvss::parse(&score.cvss.vector.replacen("/AV:N", &format!("/AV:{vector}"), 1)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_model::ScoreSource;

    fn score(vector: &str) -> Score {
        Score { cvss: Cvss::parse(vector).unwrap(), source: ScoreSource("NVD".into()) }
    }

    /// The figures are those of the standard's own calculator.
    #[test]
    fn what_is_attacked_over_the_network_scores_less_where_no_path_leads() {
        let network = score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H");
        let scores = Reach::ALL.map(|reach| reach.adjust(&network).map(|cvss| (cvss.score, cvss.vector)));
        let expected = |score, vector: &str| Some((score, format!("CVSS:3.1/AV:{vector}/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H")));
        assert_eq!(scores, [None, expected(8.8, "A"), expected(8.4, "L")]);
    }

    #[test]
    fn what_needs_no_network_and_what_is_no_v3_stays() {
        for vector in ["CVSS:3.1/AV:L/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "AV:N/AC:L/Au:N/C:P/I:P/A:P"] {
            assert_eq!(Reach::Local.adjust(&score(vector)), None, "{vector}");
        }
    }

    #[test]
    fn only_instances_are_put_into_context_and_nothing_is_lowered_for_what_is_not_known() {
        let of =
            |kind| [Exposure::None, Exposure::Unknown, Exposure::Private, Exposure::LoadBalancer].map(|exposure| Reach::of(kind, exposure));
        assert_eq!(of(ResourceKind::Instance), [Reach::Local, Reach::Network, Reach::Adjacent, Reach::Network]);
        assert_eq!(of(ResourceKind::Image), [Reach::Network; 4]);
    }
}
