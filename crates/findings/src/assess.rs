//! One vulnerability, assessed from all that its advisories say: which score counts, how severe, and why.
//!
//! Precedence as Inspector's own findings show it: a CVSS v3 base score (the distributor's before others), which is also the
//! `inspectorScore`; else a v4 score, which gives the severity alone; else v2, likewise; else the distributor's word; else it is
//! untriaged, which is a state and not a zero.

use crate::{Condition, Reach};
use lestrade_model::{
    Advisory, CvssVersion, Exploit, ExploitMaturity, Exploitation, FindingKey, FixState, KnownExploited, Protocol, Score, Severity, Ssvc,
    Timestamp,
};

/// What is known of a vulnerability as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// Its id.
    pub id: String,
    /// How severe.
    pub severity: Severity,
    /// The score in `inspector2`'s sense: a CVSS v3 base score.
    pub inspector_score: Option<f64>,
    /// The same on an instance that is reached from neighbouring networks only, and on one that is not reached, where they are others.
    pub nearer_scores: Option<[f64; 2]>,
    /// The score that decided the severity, if one did.
    pub decided_by: Option<Score>,
    /// In one clause: why that severity.
    pub why: String,
    /// Every score with its source.
    pub scores: Vec<Score>,
    /// The publisher's own word.
    pub vendor_severity: Option<String>,
    /// EPSS probability, 0 to 1.
    pub epss: Option<f64>,
    /// Its entry in CISA's catalogue of exploited vulnerabilities.
    pub known_exploited: Option<KnownExploited>,
    /// Published exploits.
    pub exploits: Vec<Exploit>,
    /// CISA's answers to SSVC's questions.
    pub ssvc: Option<Ssvc>,
    /// How far attacks are worked out, by the source that says most.
    pub maturity: ExploitMaturity,
    /// Whose record it is, in the words of `inspector2`: `DEBIAN_CVE`, `NVD`, or the feed's name in upper case.
    pub source: String,
    /// Where to read about it.
    pub source_url: Option<String>,
    /// One line.
    pub summary: String,
    /// Text.
    pub details: String,
    /// Other ids of it.
    pub related: Vec<String>,
    /// Ids under which its findings were known here before: a rule that names one holds on.
    pub formerly: Vec<String>,
    /// What it is put in order by in place of its id, where another one is, or was, called so.
    pub ordered_as: Option<String>,
    /// CWE ids.
    pub cwes: Vec<String>,
    /// Links.
    pub references: Vec<String>,
    /// When it was published.
    pub published: Option<Timestamp>,
    /// When it says that it was last changed.
    pub modified: Option<Timestamp>,
    /// Whether every record of it is withdrawn.
    pub withdrawn: bool,
    /// Since when NVD or the CVE list rejects its id, where others' records of it stand: they speak of packages, and so it is told and
    /// found (ADR 48).
    pub rejected: Option<Timestamp>,
    /// Whether some package has a fix, and whether some has none.
    pub any_fix: bool,
    /// The condition that this is, where it is no vulnerability.
    pub condition: Option<Condition>,
}

impl Assessment {
    /// The assessment of a condition.
    #[must_use]
    pub fn of_condition(condition: Condition) -> Self {
        let why = if condition.is_of_network() {
            "by the services that usually listen on these ports, and from where they are open"
        } else {
            "nobody mends what is found in it"
        };
        Self {
            severity: condition.severity,
            why: why.to_owned(),
            summary: condition.title.clone(),
            details: condition.description.clone(),
            condition: Some(condition.clone()),
            source: String::new(),
            source_url: None,
            withdrawn: false,
            ..assess(&condition.name(), &[], None)
        }
    }

    /// Says anew how it is exploited.
    pub(crate) fn exploited(&mut self, exploitation: Option<&Exploitation>) {
        // Five decimals, as EPSS publishes them: no digits of a conversion.
        self.epss = exploitation.and_then(|known| known.epss).map(|epss| (f64::from(epss) * 1e5).round() / 1e5);
        self.known_exploited = exploitation.and_then(|known| known.known_exploited.clone());
        self.exploits = exploitation.map(|known| known.exploits.clone()).unwrap_or_default();
        self.ssvc = exploitation.and_then(|known| known.ssvc.clone());
        self.maturity = exploitation.map(Exploitation::maturity).unwrap_or_default();
    }

    /// The score in `inspector2`'s sense on a resource that is attacked from so far.
    #[must_use]
    pub fn score_at(&self, reach: Reach) -> Option<f64> {
        match (reach, self.nearer_scores) {
            (Reach::Adjacent, Some([adjacent, _])) => Some(adjacent),
            (Reach::Local, Some([_, local])) => Some(local),
            _ => self.inspector_score,
        }
    }

    /// Whether an exploit is published, or attacks are known.
    #[must_use]
    pub fn exploit_available(&self) -> bool {
        self.maturity > ExploitMaturity::Unreported
    }

    /// Its place in the order of ids, which it shares with no other.
    pub(crate) fn order(&self) -> &str {
        self.ordered_as.as_deref().unwrap_or(&self.id)
    }

    /// What makes a finding of it this one.
    #[must_use]
    pub fn key(&self) -> FindingKey {
        match &self.condition {
            Some(condition) => condition.key.clone(),
            None => FindingKey::Package { vulnerability: self.id.clone() },
        }
    }

    /// The protocol and the ports of an open network path.
    #[must_use]
    pub const fn opening(&self) -> Option<(Protocol, (u16, u16))> {
        match &self.condition {
            Some(Condition { key: FindingKey::Network { protocol, ports, .. }, .. }) => Some((*protocol, *ports)),
            _ => None,
        }
    }
}

fn feed_source(feed: &str) -> String {
    match feed {
        "debian-tracker" => "DEBIAN_CVE".into(),
        "redhat-csaf" => "REDHAT_CVE".into(),
        "suse-csaf" | "suse-oval" => "SUSE_CVE".into(),
        "oracle-oval" => "ORACLE_CVE".into(),
        "updateinfo" => "AMAZON_CVE".into(),
        "alpine-secdb" => "ALPINE_CVE".into(),
        other => other.to_uppercase().replace('-', "_"),
    }
}

/// Distributors first, the general databases after them.
fn feed_rank(feed: &str) -> u8 {
    match feed {
        "github" | "osv" => 1,
        "friends-of-php" | "hsec" | "nodejs-security-wg" | "retirejs" | "rubysec" => 2,
        "nvd" => 3,
        "cve" => 4,
        "starter" => 9,
        // What is left are distributors.
        _ => 0,
    }
}

/// Whether a feed is of those that keep the ids of CVE.
fn is_central(feed: &str) -> bool {
    matches!(feed, "nvd" | "cve")
}

/// Assesses a vulnerability from its advisories and from what is known of its exploitation.
///
/// Records that still stand are preferred to withdrawn ones; when all are withdrawn, their texts are kept for history.
#[must_use]
pub fn assess(id: &str, advisories: &[Advisory], exploitation: Option<&Exploitation>) -> Assessment {
    let withdrawn = advisories.iter().all(Advisory::is_withdrawn);
    let mut standing: Vec<&Advisory> = advisories.iter().filter(|a| withdrawn || !a.is_withdrawn()).collect();
    standing.sort_by_key(|a| (feed_rank(&a.key.feed), a.key.id.as_str() != id, a.key.id.clone()));

    let scores: Vec<Score> = standing.iter().flat_map(|a| a.scores.iter().cloned()).collect();
    let first_of = |versions: &[CvssVersion]| scores.iter().find(|s| versions.contains(&s.cvss.version)).cloned();
    let v3 = first_of(&[CvssVersion::V31]).or_else(|| first_of(&[CvssVersion::V30]));
    let decided_by = v3.clone().or_else(|| first_of(&[CvssVersion::V4])).or_else(|| first_of(&[CvssVersion::V2]));
    let word = standing
        .iter()
        .find_map(|a| a.vendor_severity.clone())
        .or_else(|| standing.iter().flat_map(|a| &a.affected).find_map(|affected| affected.vendor_severity.clone()));
    let (severity, why) = match (&decided_by, &word) {
        (Some(score), _) => {
            let why = format!("CVSS {} base score {:.1} of {}", score.cvss.version.as_str(), score.cvss.score, score.source.0);
            (Severity::of_score(score.cvss.score), why)
        }
        (None, Some(word)) => match Severity::of_word(word) {
            Some(severity) => (severity, format!("no score; the publisher says '{word}'")),
            None => (Severity::Untriaged, format!("no score; the publisher's '{word}' says nothing")),
        },
        (None, None) => (Severity::Untriaged, "nobody has scored it".to_owned()),
    };
    let lead = standing.first();
    let text = |pick: fn(&Advisory) -> &str| standing.iter().map(|a| pick(a)).find(|t| !t.is_empty()).unwrap_or_default().to_owned();
    let mut related: Vec<String> =
        standing.iter().flat_map(|a| std::iter::once(&a.key.id).chain(&a.aliases)).filter(|other| *other != id).cloned().collect();
    related.sort_unstable();
    related.dedup();
    let mut references: Vec<String> = standing.iter().flat_map(|a| a.references.iter().map(|r| r.url.clone())).collect();
    references.sort_unstable();
    references.dedup();
    let mut cwes: Vec<String> = standing.iter().flat_map(|a| a.cwes.iter().cloned()).collect();
    cwes.sort_unstable();
    cwes.dedup();
    let mut assessment = Assessment {
        id: id.to_owned(),
        severity,
        nearer_scores: v3.as_ref().and_then(|score| Some([Reach::Adjacent.adjust(score)?.score, Reach::Local.adjust(score)?.score])),
        inspector_score: v3.map(|score| score.cvss.score),
        decided_by,
        why,
        scores,
        vendor_severity: word,
        epss: None,
        known_exploited: None,
        exploits: vec![],
        ssvc: None,
        maturity: ExploitMaturity::default(),
        source: lead.map_or_else(|| "UNKNOWN".to_owned(), |a| feed_source(&a.key.feed)),
        source_url: source_url(id, lead.map_or("", |a| a.key.feed.as_str())),
        summary: text(|a| &a.summary),
        details: text(|a| &a.details),
        related,
        formerly: Vec::new(),
        ordered_as: None,
        cwes,
        references,
        published: standing.iter().filter_map(|a| a.published).min(),
        modified: standing.iter().filter_map(|a| a.modified).max(),
        withdrawn,
        rejected: advisories.iter().filter(|a| !withdrawn && is_central(&a.key.feed) && a.key.id == id).filter_map(|a| a.withdrawn).min(),
        any_fix: standing.iter().flat_map(|a| &a.affected).any(|affected| {
            affected.unfixed == FixState::Fixed
                || affected.ranges.iter().any(|r| r.events.iter().any(|e| matches!(e, lestrade_model::Event::Fixed(_))))
        }),
        condition: None,
    };
    assessment.exploited(exploitation);
    assessment
}

fn source_url(id: &str, feed: &str) -> Option<String> {
    let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.' || b == b':');
    plain.then(|| match feed {
        "debian-tracker" => format!("https://security-tracker.debian.org/tracker/{id}"),
        _ if id.starts_with("CVE-") => format!("https://nvd.nist.gov/vuln/detail/{id}"),
        _ => format!("https://osv.dev/vulnerability/{id}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_model::{Cvss, ScoreSource};

    fn advisory(feed: &str, vectors: &[&str], word: Option<&str>) -> Advisory {
        let score = |v: &&str| Score { cvss: Cvss::parse(v).unwrap(), source: ScoreSource(feed.into()) };
        Advisory {
            summary: feed.into(),
            scores: vectors.iter().map(score).collect(),
            vendor_severity: word.map(str::to_owned),
            ..Advisory::new(feed, "CVE-2024-1")
        }
    }

    const V31: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
    const V4: &str = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N";
    const V2: &str = "AV:N/AC:H/Au:N/C:N/I:P/A:N";

    #[test]
    fn precedence_of_scores() {
        for (vectors, word, severity, score) in [
            (&[V4, V31][..], Some("unimportant"), Severity::Critical, Some(9.8)),
            (&[V4], None, Severity::Critical, None),
            (&[V2], None, Severity::Low, None),
            (&[], Some("medium"), Severity::Medium, None),
            (&[], Some("not yet assigned"), Severity::Untriaged, None),
            (&[], None, Severity::Untriaged, None),
        ] {
            let assessment = assess("CVE-2024-1", &[advisory("osv", vectors, word)], None);
            assert_eq!((assessment.severity, assessment.inspector_score), (severity, score), "{vectors:?} {word:?}: {}", assessment.why);
        }
    }

    /// Go's records bear none.
    #[test]
    fn a_record_without_a_score_has_that_of_its_aliases() {
        let go = Advisory { aliases: vec!["CVE-2024-1".to_owned()], ..Advisory::new("osv", "GO-2024-1") };
        let assessment = assess("CVE-2024-1", &[go, advisory("github", &[V31], None)], None);
        assert_eq!((assessment.severity, assessment.inspector_score), (Severity::Critical, Some(9.8)));
    }

    #[test]
    fn what_is_rejected_and_stands_elsewhere_says_so() {
        let at = Timestamp::from_millis;
        let rejected = |feed: &str, since| Advisory { withdrawn: Some(at(since)), ..advisory(feed, &[V31], None) };
        let stands = advisory("debian-tracker", &[], Some("low"));
        let assessed = |records: &[Advisory]| {
            let assessment = assess("CVE-2024-1", records, None);
            (assessment.rejected, assessment.withdrawn, assessment.severity)
        };
        assert_eq!(assessed(std::slice::from_ref(&stands)), (None, false, Severity::Low));
        // Its score does not count any more.
        assert_eq!(assessed(&[rejected("nvd", 7), rejected("cve", 5), stands.clone()]), (Some(at(5)), false, Severity::Low));
        assert_eq!(
            assessed(&[rejected("osv", 7), stands.clone()]),
            (None, false, Severity::Low),
            "one record of a language's list is gone"
        );
        let other = Advisory { key: lestrade_model::AdvisoryKey { feed: "nvd".into(), id: "CVE-2024-2".into() }, ..rejected("nvd", 7) };
        assert_eq!(assessed(&[other, stands]), (None, false, Severity::Low), "another id of it");
        assert_eq!(assessed(&[rejected("nvd", 7)]), (None, true, Severity::Critical), "nothing stands");
    }

    #[test]
    fn the_distributor_leads() {
        let both = [advisory("osv", &[V31], None), advisory("debian-tracker", &[], Some("low"))];
        let assessment = assess("CVE-2024-1", &both, None);
        assert_eq!((assessment.source.as_str(), assessment.severity), ("DEBIAN_CVE", Severity::Critical));
    }

    /// Who keeps a list of a language's packages is no distributor: its word does not go before a general database's.
    #[test]
    fn a_languages_list_does_not_lead() {
        for feed in ["retirejs", "nodejs-security-wg", "hsec", "rubysec", "friends-of-php"] {
            let both = [advisory(feed, &[], Some("low")), advisory("osv", &[], Some("high"))];
            assert_eq!(assess("CVE-2024-1", &both, None).severity, Severity::High, "{feed}");
        }
    }
}
