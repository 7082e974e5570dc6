//! Records of the CVE list (CVE JSON 5.x), with what CISA's vulnrichment adds: scores, weaknesses and texts. Their products are
//! names for people, so no package is taken from them.

use super::{Brought, Format, Parsed, cut, is_cve};
use lestrade_model::{Advisory, Cvss, Reference, Score, ScoreSource, Ssvc, Timestamp};
use serde_json::Value;

pub(crate) const FEED: &str = "cve";

pub(super) struct Cve5;

impl Format for Cve5 {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        matches!(document, Parsed::Object(document) if document.contains_key("cveMetadata") && document.contains_key("containers"))
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let Parsed::Object(document) = document else { return Brought::default() };
        let record = Value::Object(document);
        let id = record["cveMetadata"]["cveId"].as_str().unwrap_or_default();
        if !is_cve(id) {
            return Brought::refused(name, "a record without an id of the CVE list");
        }
        let ssvc = Some((id.to_owned(), ssvc(&record)));
        Brought { advisories: vec![advisory(id, &record)], ssvc, ..Brought::default() }
    }
}

/// CISA's answers to SSVC's questions, where they are whole.
fn ssvc(record: &Value) -> Option<Ssvc> {
    let containers = record["containers"]["adp"].as_array()?;
    let own = containers.iter().filter(|container| container["providerMetadata"]["shortName"] == "CISA-ADP");
    let metrics = own.filter_map(|container| container["metrics"].as_array()).flatten();
    let content = metrics.map(|metric| &metric["other"]).find(|other| other["type"] == "ssvc").map(|other| &other["content"])?;
    let answer = |question: &str| {
        let answers = content["options"].as_array()?.iter().find_map(|option| option[question].as_str())?;
        (answers.len() <= 32).then(|| answers.to_lowercase())
    };
    Some(Ssvc {
        exploitation: answer("Exploitation")?,
        automatable: answer("Automatable")?,
        technical_impact: answer("Technical Impact")?,
        at: content["timestamp"].as_str().unwrap_or_default().chars().take(32).collect(),
    })
}

fn advisory(id: &str, record: &Value) -> Advisory {
    let metadata = &record["cveMetadata"];
    let time = |key: &str| {
        let text = metadata[key].as_str()?;
        Timestamp::parse(text).or_else(|_| Timestamp::parse(&format!("{text}Z"))).ok()
    };
    let own = &record["containers"]["cna"];
    let added = || record["containers"]["adp"].as_array().into_iter().flatten();
    let containers = || std::iter::once(own).chain(added());
    let rejected = metadata["state"] == "REJECTED";
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let english = |texts: Vec<Value>| {
        texts
            .iter()
            .find(|text| text["lang"].as_str().is_some_and(|lang| lang.starts_with("en")))
            .and_then(|text| text["value"].as_str().map(cut))
            .unwrap_or_default()
    };
    let mut scores: Vec<Score> = Vec::new();
    let mut cwes: Vec<String> = Vec::new();
    for container in containers() {
        let source = container["providerMetadata"]["shortName"].as_str().unwrap_or("CNA");
        let source = if source == "CISA-ADP" { source } else { "CNA" };
        for metric in list(container, "metrics") {
            let vectors = ["cvssV4_0", "cvssV3_1", "cvssV3_0", "cvssV2_0"].iter().filter_map(|key| metric[*key]["vectorString"].as_str());
            for cvss in vectors.filter_map(|vector| Cvss::parse(vector).ok()) {
                let score = Score { cvss, source: ScoreSource(source.to_owned()) };
                if !scores.contains(&score) {
                    scores.push(score);
                }
            }
        }
        let kinds = list(container, "problemTypes").iter().flat_map(|kind| list(kind, "descriptions")).collect::<Vec<_>>();
        cwes.extend(kinds.iter().filter_map(|kind| kind["cweId"].as_str()).filter(|cwe| cwe.starts_with("CWE-")).map(str::to_owned));
    }
    cwes.sort_unstable();
    cwes.dedup();
    let links = list(own, "references");
    let links = links.iter().filter_map(|link| link["url"].as_str()).filter(|url| url.starts_with("http") && url.len() <= 2048);
    Advisory {
        summary: own["title"].as_str().map(cut).unwrap_or_default(),
        details: english(list(own, if rejected { "rejectedReasons" } else { "descriptions" })),
        published: time("datePublished"),
        modified: time("dateUpdated"),
        withdrawn: rejected.then(|| time("dateRejected").or_else(|| time("dateUpdated")).unwrap_or_default()),
        scores,
        cwes,
        references: links.take(100).map(|url| Reference { url: url.to_owned() }).collect(),
        ..Advisory::new(FEED, id)
    }
}

#[cfg(test)]
mod tests {
    use crate::documents::Syntax;
    use serde_json::json;

    #[test]
    fn both_containers_speak() {
        let vector = "CVSS:3.1/AV:N/AC:L/PR:L/UI:R/S:C/C:L/I:L/A:L";
        let record = json!({"dataType": "CVE_RECORD", "cveMetadata": {"cveId": "CVE-2023-43727", "state": "PUBLISHED", "datePublished": "2023-09-30T21:54:50.111Z"},
            "containers": {"cna": {"title": "t", "descriptions": [{"lang": "en-US", "value": "d"}], "providerMetadata": {"shortName": "Fluid Attacks"},
                "problemTypes": [{"descriptions": [{"cweId": "CWE-79"}]}]},
                "adp": [{"providerMetadata": {"shortName": "CISA-ADP"}, "metrics": [{"cvssV3_1": {"vectorString": vector}}, {"other": {}}]}]}});
        let brought = super::super::read("x.json", Syntax::Json, &record.to_string());
        let advisory = &brought.advisories[0];
        assert_eq!(
            (advisory.scores[0].source.0.as_str(), advisory.cwes[0].as_str(), advisory.details.as_str()),
            ("CISA-ADP", "CWE-79", "d")
        );
        let rejected = json!({"cveMetadata": {"cveId": "CVE-2023-43727", "state": "REJECTED"}, "containers": {"cna": {"rejectedReasons": [{"lang": "en", "value": "dup"}]}}});
        let brought = super::super::read("x.json", Syntax::Json, &rejected.to_string());
        assert!(brought.advisories[0].is_withdrawn());
        let nothing = json!({"cveMetadata": {"cveId": "x"}, "containers": {}});
        assert_eq!(super::super::read("x.json", Syntax::Json, &nothing.to_string()).quarantined.len(), 1);
    }
}
