//! Findings and vulnerabilities in the shapes of the wire.

use lestrade_findings::{Assessment, FindingView};
use lestrade_model::{CvssVersion, Timestamp};
use lestrade_report::inspector::{self, Times};
use lestrade_wire::{EpochSeconds, Kind, Shape, Shaped, inspector2 as wire};
use serde_json::Value;

const DESCRIPTION: usize = 1024;

/// A finding: as `report` words it for every receiver, held against the model.
pub(super) fn finding(view: &FindingView) -> serde_json::Result<wire::Finding> {
    let mut value = inspector::finding(view, Times::EpochSeconds);
    prune(wire::Finding::SHAPE, &mut value);
    let mut finding: wire::Finding = serde_json::from_value(value)?;
    let functions = finding.resources.iter_mut().filter_map(|resource| resource.details.as_mut()?.aws_lambda_function.as_mut());
    for function in functions {
        // Newer runtimes than the model knows have a word of it all the same.
        if let wire::Runtime::Unlisted(_) = function.runtime {
            function.runtime = wire::Runtime::Unsupported;
        }
    }
    Ok(finding)
}

/// Removes empty texts where the model does not insist: what is unknown is absent there, and nothing is empty.
fn prune(shape: &Shape, value: &mut Value) {
    match (shape.kind, value) {
        (Kind::Structure(members), Value::Object(object)) => {
            for member in members {
                match object.get_mut(member.name) {
                    Some(Value::String(text)) if text.is_empty() && !member.required => {
                        object.remove(member.name);
                    }
                    Some(value) => prune(member.shape, value),
                    None => {}
                }
            }
        }
        (Kind::List { item, .. }, Value::Array(items)) => items.iter_mut().for_each(|value| prune(item, value)),
        _ => {}
    }
}

/// The vulnerability by itself.
pub(super) fn vulnerability(assessment: &Assessment) -> wire::Vulnerability {
    const MOST: usize = 100;
    let score = |versions: &[CvssVersion]| {
        let found = assessment.scores.iter().find(|score| versions.contains(&score.cvss.version));
        found.map(|score| (Some(score.cvss.score), Some(score.cvss.vector.clone())))
    };
    let some = |list: &[String]| Some(list.iter().take(MOST).cloned().collect());
    wire::Vulnerability {
        id: assessment.id.clone(),
        cwes: Some(assessment.cwes.clone()),
        cisa_data: cisa(assessment),
        // The model knows no other source here; where it is another's, `sourceUrl` says whose.
        source: (assessment.source == "NVD").then_some(wire::VulnerabilitySource::Nvd),
        description: Some(description(assessment)),
        atig_data: None,
        vendor_severity: assessment.vendor_severity.as_deref().and_then(text).map(|word| clip(&word, 64)),
        cvss4: score(&[CvssVersion::V4]).map(|(base_score, scoring_vector)| wire::Cvss4 { base_score, scoring_vector }),
        cvss3: score(&[CvssVersion::V30, CvssVersion::V31]).map(|(base_score, scoring_vector)| wire::Cvss3 { base_score, scoring_vector }),
        cvss2: score(&[CvssVersion::V2]).map(|(base_score, scoring_vector)| wire::Cvss2 { base_score, scoring_vector }),
        related_vulnerabilities: some(&assessment.related),
        vendor_created_at: assessment.published.map(EpochSeconds::from),
        vendor_updated_at: assessment.modified.map(EpochSeconds::from),
        source_url: assessment.source_url.clone(),
        reference_urls: some(&assessment.references),
        exploit_observed: None,
        detection_platforms: None,
        epss: assessment.epss.map(|score| wire::Epss { score: Some(score) }),
    }
}

/// Never empty.
fn description(assessment: &Assessment) -> String {
    let texts = [&assessment.details, &assessment.summary, &assessment.id];
    clip(texts.into_iter().find(|text| !text.trim().is_empty()).unwrap_or(&assessment.id), DESCRIPTION)
}

/// Its entry in CISA's catalogue, whose dates are days.
pub(super) fn cisa(assessment: &Assessment) -> Option<wire::CisaData> {
    let day = |day: &str| Timestamp::parse(&format!("{day}T00:00:00Z")).ok().map(EpochSeconds::from);
    let known = assessment.known_exploited.as_ref()?;
    let action = Some(known.action.clone()).filter(|action| !action.is_empty());
    Some(wire::CisaData { date_added: day(&known.added), date_due: day(&known.due), action })
}

/// A text, if there is one.
fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The first `most` characters.
fn clip(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}
