//! NVD's CVE API 2.0 and its yearly files, which have the same shape: scores, weaknesses and texts of a vulnerability. It names
//! products by CPE, which are no packages: of those only the ones on a list are taken ([`super::cpe`]).

use super::cpe::{self, Configuration};
use super::{Brought, Format, Parsed, cut, is_cve};
use lestrade_model::{Advisory, Cvss, Reference, Score, ScoreSource, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

pub(crate) const FEED: &str = "nvd";

pub(super) struct Nvd;

impl Format for Nvd {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        let first = |list: &Value| list.as_array().is_some_and(|list| list.first().is_none_or(|entry| entry.get("cve").is_some()));
        matches!(document, Parsed::Object(document) if document.contains_key("format") && document.get("vulnerabilities").is_some_and(first))
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let Parsed::Object(mut document) = document else { return Brought::default() };
        let mut brought = Brought::default();
        let Some(Value::Array(entries)) = document.remove("vulnerabilities") else { return brought };
        // A page that was cut has fewer than it says.
        let promised = document.get("resultsPerPage").and_then(Value::as_u64).unwrap_or(entries.len() as u64);
        if promised != entries.len() as u64 {
            return Brought::refused(name, format!("it promises {promised} records and has {}", entries.len()));
        }
        for mut entry in entries {
            match serde_json::from_value::<Record>(entry["cve"].take()) {
                Ok(record) if is_cve(&record.id) => brought.advisories.push(record.advisory()),
                Ok(record) => brought.quarantined.push((format!("{name}: {}", record.id), "no id of the CVE list".into())),
                Err(error) => brought.quarantined.push((name.to_owned(), error.to_string())),
            }
        }
        brought
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    id: String,
    #[serde(default)]
    published: String,
    #[serde(default)]
    last_modified: String,
    #[serde(default)]
    vuln_status: String,
    #[serde(default)]
    descriptions: Vec<Text>,
    #[serde(default)]
    metrics: BTreeMap<String, Value>,
    #[serde(default)]
    weaknesses: Vec<Weakness>,
    #[serde(default)]
    references: Vec<Link>,
    #[serde(default)]
    configurations: Vec<Configuration>,
}

#[derive(Deserialize)]
struct Text {
    lang: String,
    value: String,
}

#[derive(Deserialize)]
struct Weakness {
    #[serde(default)]
    description: Vec<Text>,
}

#[derive(Deserialize)]
struct Link {
    url: String,
}

impl Record {
    fn advisory(self) -> Advisory {
        // Their times are UTC and do not say so.
        let time = |text: &str| Timestamp::parse(text).or_else(|_| Timestamp::parse(&format!("{text}Z"))).ok();
        let modified = time(&self.last_modified);
        let english = |texts: &[Text]| texts.iter().find(|text| text.lang == "en").map(|text| cut(&text.value)).unwrap_or_default();
        let weaknesses = self.weaknesses.iter().flat_map(|weakness| &weakness.description).map(|text| text.value.clone());
        let mut cwes: Vec<String> = weaknesses.filter(|cwe| cwe.starts_with("CWE-")).collect();
        cwes.sort_unstable();
        cwes.dedup();
        let links = self.references.into_iter().filter(|link| link.url.starts_with("http") && link.url.len() <= 2048);
        Advisory {
            details: english(&self.descriptions),
            published: time(&self.published),
            modified,
            withdrawn: (self.vuln_status == "Rejected").then(|| modified.unwrap_or_default()),
            scores: scores(&self.metrics),
            cwes,
            affected: cpe::affected(&self.configurations),
            references: links.take(100).map(|link| Reference { url: link.url }).collect(),
            ..Advisory::new(FEED, &self.id)
        }
    }
}

/// NVD's own scores first, then those of who reported it.
fn scores(metrics: &BTreeMap<String, Value>) -> Vec<Score> {
    let mut scores: Vec<Score> = Vec::new();
    for metric in metrics.values().filter_map(Value::as_array).flatten() {
        let Some(cvss) = metric["cvssData"]["vectorString"].as_str().and_then(|vector| Cvss::parse(vector).ok()) else { continue };
        let source = match metric["source"].as_str().unwrap_or_default() {
            "nvd@nist.gov" => "NVD",
            "134c704f-9b21-4f2e-91b3-4a467353bcc0" => "CISA-ADP",
            _ => "CNA",
        };
        let score = Score { cvss, source: ScoreSource(source.into()) };
        if !scores.contains(&score) {
            scores.push(score);
        }
    }
    scores.sort_by_key(|score| score.source.0 != "NVD");
    scores
}

#[cfg(test)]
mod tests {
    use crate::documents::Syntax;
    use serde_json::{Value, json};

    fn page(promised: u64, records: &[Value]) -> String {
        let records: Vec<Value> = records.iter().map(|record| json!({"cve": record})).collect();
        json!({"resultsPerPage": promised, "startIndex": 0, "totalResults": promised, "format": "NVD_CVE", "version": "2.0", "vulnerabilities": records}).to_string()
    }

    #[test]
    fn scores_have_their_sources_and_rejected_records_are_withdrawn() {
        let metric = |source: &str, vector: &str| json!([{"source": source, "cvssData": {"vectorString": vector}}]);
        let scored = json!({"id": "CVE-2022-1576", "published": "2022-07-11T13:15:08.503", "lastModified": "2024-11-21T06:41:00.133", "vulnStatus": "Modified",
            "descriptions": [{"lang": "es", "value": "x"}, {"lang": "en", "value": "text"}],
            "metrics": {"cvssMetricV2": metric("nvd@nist.gov", "AV:N/AC:M/Au:N/C:N/I:P/A:N"),
                "cvssMetricV31": metric("somebody", "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:N/I:H/A:N")},
            "weaknesses": [{"description": [{"lang": "en", "value": "CWE-352"}, {"lang": "en", "value": "NVD-CWE-noinfo"}]}]});
        let rejected = json!({"id": "CVE-2022-1577", "vulnStatus": "Rejected", "lastModified": "2024-11-21T06:41:00.133"});
        let brought = super::super::read("page.json", Syntax::Json, &page(2, &[scored, rejected]));
        let [scored, rejected] = brought.advisories.as_slice() else { panic!("{:?}", brought.quarantined) };
        let sources: Vec<&str> = scored.scores.iter().map(|score| score.source.0.as_str()).collect();
        assert_eq!(
            (sources, scored.details.as_str(), scored.cwes.as_slice()),
            (vec!["NVD", "CNA"], "text", ["CWE-352".to_owned()].as_slice())
        );
        assert!(scored.published.is_some() && !scored.is_withdrawn() && rejected.is_withdrawn());
    }

    #[test]
    fn a_page_that_is_not_whole_is_refused() {
        let brought = super::super::read("page.json", Syntax::Json, &page(3, &[json!({"id": "CVE-2022-1577"})]));
        assert_eq!((brought.advisories.len(), brought.quarantined.len()), (0, 1));
    }
}
