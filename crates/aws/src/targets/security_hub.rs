//! Security Hub: `BatchImportFindings` in ASFF. A finding keeps its id, so that a repeat changes nothing; a closed one is archived.

use super::call::{Caller, Place, entry, pieces, taken};
use lestrade_events::{DeliveryError, Message, Sent, Surroundings, Target, TargetRecord};
use lestrade_report::asff;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The service's bounds: findings of one call, and bytes of one finding.
const FINDINGS: usize = 100;
const MAX_FINDING: usize = 240 << 10;
/// Bytes of one call.
const BYTES: usize = 4 << 20;

#[derive(Deserialize)]
struct Options {
    #[serde(flatten)]
    place: Place,
}

struct SecurityHub {
    name: String,
    caller: Caller,
}

pub(super) fn open(record: &TargetRecord, surroundings: &Surroundings) -> Result<Box<dyn Target>, DeliveryError> {
    let options: Options = record.options()?;
    Ok(Box::new(SecurityHub { name: record.name.clone(), caller: Caller::open(record, surroundings, "securityhub", &options.place)? }))
}

impl Target for SecurityHub {
    fn name(&self) -> &str {
        &self.name
    }

    fn batch(&self) -> usize {
        FINDINGS
    }

    fn deliver(&mut self, messages: &[Message]) -> Vec<Sent> {
        let mut sent: Vec<Sent> = vec![Ok(()); messages.len()];
        // Of one finding the last state counts: a call may not name it twice.
        let mut last: BTreeMap<String, (usize, Value)> = BTreeMap::new();
        for (index, message) in messages.iter().enumerate() {
            match asff(&message.event.body, &self.caller.region) {
                Some(finding) if finding.to_string().len() <= MAX_FINDING => {
                    last.insert(finding["Id"].as_str().unwrap_or_default().to_owned(), (index, finding));
                }
                Some(_) => sent[index] = Err(DeliveryError::Refused("the finding is larger than 240 KB".into())),
                None => sent[index] = Err(DeliveryError::Refused("it is no finding: Security Hub takes nothing else".into())),
            }
        }
        let entries = last.into_values().map(|(index, finding)| (finding.to_string().len(), (index, finding))).collect();
        for piece in pieces(entries, FINDINGS, BYTES) {
            let findings: Vec<&Value> = piece.iter().map(|(_, finding)| finding).collect();
            let headers = [("content-type", "application/json".to_owned())];
            let answer = self.caller.send("/findings/import", &headers, json!({"Findings": findings}).to_string());
            let said = answer.and_then(|answer| taken(&answer).map(|()| answer.json()));
            for (index, finding) in &piece {
                sent[*index] = match &said {
                    Err(error) => Err(error.clone()),
                    Ok(said) => {
                        let failed = said["FailedFindings"].as_array().into_iter().flatten().find(|failed| failed["Id"] == finding["Id"]);
                        entry(failed.map(|failed| failed["ErrorCode"].as_str().unwrap_or("unknown")))
                    }
                };
            }
        }
        sent
    }
}
